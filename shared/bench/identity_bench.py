"""What identity costs: the chain of a ticket never seen, and what an authority answers in a second.

The desks are those of `v2x pki serve`, with their files: every answer is kept on disk, synchronously, before it counts, so the time
that passes is measured. Requests are made by the stations' own code and are not part of the figure; nor is HTTP. The policy of the
bench allows more tickets at a time than Europe's, for each station asks for many.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from os import urandom
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.bench.figure import Effort, Figure, Unit, figure_of
from shared.bench.limits import RAW_VERIFY, RawP256
from shared.bench.rounds import PASSING_TIME, Side, Work, measure_rates
from shared.bench.traffic import NOON, Hierarchy
from shared.core.clock import NS_PER_MS, Instant, ManualClock
from shared.core.itstime import time64_of
from shared.pki.authorization import PendingAuthorization, make_authorization_request, ticket_attributes
from shared.pki.authorization_desk import AuthorizationCase, AuthorizationDesk
from shared.pki.desk import ChainedAuthorities
from shared.pki.enrolment import PendingEnrolment, credential_attributes, make_enrolment_request
from shared.pki.enrolment_desk import EnrolmentDesk
from shared.pki.exchange import Randomness
from shared.pki.key_source import SystemKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.policy import GrantPolicy
from shared.pki.registry import RegisteredStation, StationStatus
from shared.security.certificate import decode_certificate
from shared.security.chain import ChainVerifier
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import TicketCredential
from shared.service.pki_store import open_answer_store, open_enrolment_store

GAP_NS = 100 * NS_PER_MS
"""Between two requests, so that each has its own date."""

ITS_ID = b"bench"
CHAIN_FEWER = 5
DESK_FEWER = 25
"""Chains and exchanges are so many times fewer in a round."""

_POLICY = GrantPolicy(parallel_tickets=1_000_000)


class _Chains:
    """New tickets, and a verifier that knows their authority."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy
        self._at = time64_of(NOON)
        self._verifier = ChainVerifier(trust_store=hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)

    def new(self, calls: int) -> Work:
        """Prepare checking that many tickets never seen, from their octets on."""
        octets = [self._hierarchy.ticket().certificate.encoded for _ in range(calls)]
        check, at = self._verifier.check_ticket, self._at

        def work() -> None:
            for each in octets:
                check(decode_certificate(each), at)

        return work


class _Office:
    """Both desks with their files, and one station that asks."""

    def __init__(self, hierarchy: Hierarchy, folder: Path, closing: ExitStack) -> None:
        self._clock = ManualClock(NOON)
        self._ea, self._aa = hierarchy.enrolment_authority, hierarchy.authorization_authority
        self._randomness = Randomness(keys=SystemKeySource(), entropy=urandom)
        registry = open_enrolment_store(folder / "ea.db")
        closing.callback(registry.close)
        answers = open_answer_store(folder / "aa.db")
        closing.callback(answers.close)
        self._canonical = self._randomness.keys.generate(Curve.NIST_P256)
        registry.register(
            RegisteredStation(
                its_id=ITS_ID,
                canonical_key=self._canonical.public_key,
                role=StationRole.VEHICLE,
                status=StationStatus.ACTIVE,
            )
        )
        chain = ChainVerifier(trust_store=hierarchy.trust_store, areas=NO_IDENTIFIED_AREAS)
        authorities = ChainedAuthorities(trust_store=hierarchy.trust_store, chain=chain)
        self._enrolment = EnrolmentDesk(
            authority=self._ea,
            registry=registry,
            authorization_authorities=authorities,
            randomness=self._randomness,
            policy=_POLICY,
        )
        self._authorization = AuthorizationDesk(
            authority=self._aa,
            answers=answers,
            enrolment_authorities=authorities,
            randomness=self._randomness,
            policy=_POLICY,
        )
        self._credential = self._enrol()

    def enrolments(self, calls: int) -> Work:
        """Prepare that many first enrolments."""
        requests = [self._enrolment_request() for _ in range(calls)]

        def work() -> None:
            for pending, _, now in requests:
                self._enrolment.answer(pending.request, now)

        return work

    def authorizations(self, calls: int) -> Work:
        """Prepare that many tickets; each needs both authorities."""
        requests = [self._ticket_request() for _ in range(calls)]

        def work() -> None:
            for pending, now in requests:
                case = self._authorization.begin(pending.request, now)
                if isinstance(case, AuthorizationCase):
                    self._authorization.finish(case, self._enrolment.answer(case.validation_request, now), now)

        return work

    def _enrol(self) -> TicketCredential:
        pending, key, now = self._enrolment_request()
        certificate = pending.open(self._enrolment.answer(pending.request, now), now)
        return TicketCredential(certificate=certificate, signer=key)

    def _enrolment_request(self) -> tuple[PendingEnrolment, SoftwareSigner, Instant]:
        now, key = self._clock.advance(GAP_NS), self._randomness.keys.generate(Curve.NIST_P256)
        pending = make_enrolment_request(
            its_id=ITS_ID,
            canonical_key=self._canonical,
            key=key,
            authority=self._ea.certificate,
            attributes=credential_attributes(),
            now=now,
            randomness=self._randomness,
        )
        return pending, key, now

    def _ticket_request(self) -> tuple[PendingAuthorization, Instant]:
        now = self._clock.advance(GAP_NS)
        pending = make_authorization_request(
            credential=self._credential,
            key=self._randomness.keys.generate(Curve.NIST_P256),
            authority=self._aa.certificate,
            enrolment_authority=self._ea.certificate,
            attributes=ticket_attributes(permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]),
            now=now,
            randomness=self._randomness,
        )
        return pending, now


def identity(effort: Effort) -> Iterable[Figure]:
    """Check chains of new tickets, enrol, and authorize."""
    hierarchy, raw = Hierarchy(), RawP256()
    sides = {"chain": Side(_Chains(hierarchy).new, fewer=CHAIN_FEWER), RAW_VERIFY: Side(raw.verifying)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    says = "decode a ticket never seen and check its chain up to the root"
    yield figure_of("identity.chain", says, Unit.PER_SECOND, rates["chain"], limit=(RAW_VERIFY, rates[RAW_VERIFY]))
    with TemporaryDirectory(prefix="v2x-bench-") as folder, ExitStack() as closing:
        office = _Office(hierarchy, Path(folder), closing)
        sides = {
            "enrolment": Side(office.enrolments, fewer=DESK_FEWER),
            "authorization": Side(office.authorizations, fewer=DESK_FEWER),
            RAW_VERIFY: Side(raw.verifying),
        }
        rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls, clock=PASSING_TIME)
    for name, what in (
        ("enrolment", "answer a station's first enrolment request, kept on disk"),
        ("authorization", "issue a ticket: both authorities' part, kept on disk"),
    ):
        yield figure_of(f"identity.{name}", what, Unit.PER_SECOND, rates[name], limit=(RAW_VERIFY, rates[RAW_VERIFY]))
