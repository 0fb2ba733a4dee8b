"""Which authorities serve a station: those its trust lists name, whose chain holds at this moment.

Where lists name several of a kind, the one whose certificate began last is asked: whoever replaces an authority lists the new one
beside the old one, whose tickets are believed as long as it is listed.
"""

from shared.core.clock import Instant
from shared.core.errors import V2xError
from shared.core.ids import HashedId8
from shared.pki.account import AccessPoint
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.ctl import AaEntry, EaEntry
from shared.security.freshness import trusted_time64
from shared.security.list_sequence import ListKind
from shared.security.region import IdentifiedAreas
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_store import TrustStore


class ListedAuthorities:
    """Finds authorities in the lists.

    Args:
        lists: the trust lists in force.
        areas: shapes of identified regions.
        enrolment_authority: the only one to ask for a first credential; None for the newest that holds.
        authorization_authority: likewise.
    """

    def __init__(
        self,
        lists: TrustLists,
        *,
        areas: IdentifiedAreas,
        enrolment_authority: HashedId8 | None = None,
        authorization_authority: HashedId8 | None = None,
    ) -> None:
        self._lists = lists
        self._areas = areas
        self._enrolment_authority = enrolment_authority
        self._authorization_authority = authorization_authority

    def enrolment_authority(self, now: Instant, *, issued: Certificate | None) -> AccessPoint | None:
        """Return the EA that issued a credential (None: the one to ask for the first), or None while no list names it."""
        wanted = self._enrolment_authority if issued is None else issued.issuer.hashed_id8
        return self._find(EaEntry, wanted, now)

    def successor(self, now: Instant, *, issued: Certificate) -> AccessPoint | None:
        """Return the EA to go over to where no list names the one that issued a credential any more; None while one does.

        An EA that its root has revoked is as good as not listed. While lists of some root are lacking, only the operator can name
        that EA: it may be listed there, and who this station is concerns no other root's authorities.
        """
        store, issuer = self._lists.trust(now), issued.issuer.hashed_id8
        listed = [entry.certificate for entry in self._lists.entries if isinstance(entry, EaEntry)]
        if any(each.hashed_id8 == issuer and not _is_revoked(each, store) for each in listed):
            return None
        if self._enrolment_authority is None and (store.outdated or self._lacks_ctl(now)):
            return None
        return self._find(EaEntry, self._enrolment_authority, now)

    def authorization_authority(self, now: Instant) -> AccessPoint | None:
        """Return the AA to ask, or None while no list names one."""
        return self._find(AaEntry, self._authorization_authority, now)

    def _find(self, kind: type[EaEntry | AaEntry], wanted: HashedId8 | None, now: Instant) -> AccessPoint | None:
        certificates = [entry.certificate for entry in self._lists.entries if isinstance(entry, kind)]
        for certificate in sorted(certificates, key=lambda each: each.validity.start, reverse=True):
            url = self._lists.access_point(certificate.hashed_id8)
            if url is not None and wanted in (None, certificate.hashed_id8) and self._holds(certificate, now):
                return AccessPoint(certificate=certificate, url=url)
        return None

    def _lacks_ctl(self, now: Instant) -> bool:
        """Say whether the list of some root was never there; one the operator has pinned is not outdated by that."""
        return any(each.kind is ListKind.ROOT_CTL and each.held_sequence is None for each in self._lists.wanted(now))

    def _holds(self, certificate: Certificate, now: Instant) -> bool:
        try:
            verifier = ChainVerifier(trust_store=self._lists.trust(now), areas=self._areas)
            verifier.check_authority(certificate, trusted_time64(now))
        except V2xError:
            return False
        return True


def _is_revoked(authority: Certificate, store: TrustStore) -> bool:
    root = authority.issuer.hashed_id8
    return root is not None and store.revokes(root, authority)
