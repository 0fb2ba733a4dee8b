"""Which of a station's own tickets nobody believes any more, by the trust lists it holds itself (TS 102 941 clause 6.3).

A ticket is out of use while its root has revoked it or an authority above it, or no list of its root names its authority (or not
as one in the transparency log). Revocation counts whatever else is known. That a name is missing counts only where the lists that
could have it are here and have not run out: a station that cannot fetch lists goes on under the tickets it has. Judged anew
whenever trust changes, so an authority that is listed again gives its tickets back. Left out: expiry, and asking for others
(`IdentityUpkeep`).
"""

from collections.abc import Iterable, Mapping

from shared.core.clock import Instant
from shared.core.errors import VerificationError
from shared.core.ids import HashedId8
from shared.core.report import VerificationReport
from shared.security.chain import ChainVerifier
from shared.security.list_sequence import ListKind
from shared.security.region import IdentifiedAreas
from shared.security.sign import TicketCredential
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_store import TrustStore

_WHERE_LISTS_ARE_COMPLETE = frozenset(
    (VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND, VerificationReport.UNTRUSTED_ROOT, VerificationReport.NOT_LOGGED)
)


class TicketStanding:
    """Judges own tickets.

    Args:
        lists: the trust lists in force.
        areas: shapes of identified regions.
    """

    def __init__(self, *, lists: TrustLists, areas: IdentifiedAreas) -> None:
        self._lists = lists
        self._areas = areas
        self._roots_above: dict[HashedId8, HashedId8] = {}

    def refused(self, tickets: Iterable[TicketCredential], now: Instant) -> Mapping[HashedId8, VerificationError]:
        """Return which tickets must not be used, and why."""
        tickets, store = tuple(tickets), self._lists.trust(now)
        issuers = {each.certificate.issuer.hashed_id8 for each in tickets}
        self._roots_above = {each: root for each, root in self._roots_above.items() if each in issuers}
        for issuer in issuers:
            path = () if issuer is None else store.path_to_root(issuer)
            if issuer is not None and path:
                self._roots_above[issuer] = path[-1].hashed_id8
        verifier = ChainVerifier(trust_store=store, areas=self._areas)
        refusals = {}
        for ticket in tickets:
            certificate = ticket.certificate
            try:
                verifier.check_ticket(certificate, certificate.validity.start_time64)
            except VerificationError as refusal:
                if self._counts(refusal, certificate.issuer.hashed_id8, store, now):
                    refusals[certificate.hashed_id8] = refusal
        return refusals

    def _counts(self, refusal: VerificationError, issuer: HashedId8 | None, store: TrustStore, now: Instant) -> bool:
        if refusal.report is VerificationReport.REVOKED_CERTIFICATE:
            return True
        if refusal.report not in _WHERE_LISTS_ARE_COMPLETE or now.utc is None:
            return False
        wanted = self._lists.wanted(now)
        lacking = {each.issuer for each in wanted if each.kind is not ListKind.CRL and each.held_sequence is None}
        root = None if issuer is None else self._roots_above.get(issuer)
        if root is None:
            return not store.outdated and not lacking
        return root not in store.outdated and root not in lacking
