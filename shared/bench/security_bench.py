"""Signing and verifying secured messages, without the packet around them and the message inside."""

from collections.abc import Iterable

from shared.bench.figure import Effort, Figure, Unit, figure_of
from shared.bench.limits import RAW_SIGN, RAW_VERIFY, RawP256
from shared.bench.rounds import Side, Work, measure_rates
from shared.bench.traffic import BUSY_GAP_NS, NOON, Hierarchy
from shared.core.clock import Instant, ManualClock
from shared.core.ids import ItsAid
from shared.security.certificate_cache import CertificateCache
from shared.security.freshness import Freshness
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.replay import ReplayGuard
from shared.security.sign import SigningService, TicketCredential
from shared.security.verify import VerifyService

TICKETS = 32
"""Known tickets in turn."""

NEW_FEWER = 10
"""New tickets are so many times fewer, for each must be issued first."""

PAYLOAD = bytes(180)
"""As long as a CAM of 135 octets with its GeoNetworking headers."""

RAW_PAIR = "two raw P-256 verifies"

_Secured = list[tuple[bytes, Instant]]


class _Scene:
    """One who signs under many tickets and one who verifies, on one clock."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy
        self._clock = ManualClock(NOON)
        self._tickets = [hierarchy.ticket() for _ in range(TICKETS)]
        self._signing = SigningService(ticket=self._tickets[0], trust_store=hierarchy.trust_store)
        self._verifying = _verifying(hierarchy)
        self._raw = RawP256()

    def sign(self, calls: int) -> Work:
        """Prepare signing by digest; the certificate goes along once a second."""
        moments = [self._clock.advance(BUSY_GAP_NS) for _ in range(calls)]
        signing = self._signing

        def work() -> None:
            for now in moments:
                signing.sign(PAYLOAD, ItsAid.CAM, now=now, location=None)

        return work

    def by_digest(self, calls: int) -> Work:
        """Prepare verifying under known tickets named by digest."""
        self._verify(self._shown(self._tickets))
        signers = [SigningService(ticket=ticket, trust_store=self._hierarchy.trust_store) for ticket in self._tickets]
        for signer in signers:
            signer.sign(PAYLOAD, ItsAid.CAM, now=self._clock.now(), location=None)
        secured: _Secured = []
        for number in range(calls):
            now = self._clock.advance(BUSY_GAP_NS)
            secured.append((signers[number % TICKETS].sign(PAYLOAD, ItsAid.CAM, now=now, location=None), now))
        return lambda: self._verify(secured)

    def by_certificate(self, calls: int) -> Work:
        """Prepare verifying under known tickets that are shown again."""
        self._verify(self._shown(self._tickets))
        secured = self._shown([self._tickets[number % TICKETS] for number in range(calls)])
        return lambda: self._verify(secured)

    def by_new_certificate(self, calls: int) -> Work:
        """Prepare verifying under tickets never seen before."""
        secured = self._shown([self._hierarchy.ticket() for _ in range(calls)])
        return lambda: self._verify(secured)

    def raw_pairs(self, calls: int) -> Work:
        """Prepare two raw verifications for each call."""
        return self._raw.verifying(2 * calls)

    @property
    def raw(self) -> RawP256:
        """The raw limit."""
        return self._raw

    def _shown(self, tickets: list[TicketCredential]) -> _Secured:
        """Sign once under each ticket, showing it."""
        secured: _Secured = []
        for ticket in tickets:
            self._signing.change_ticket(ticket)
            now = self._clock.advance(BUSY_GAP_NS)
            secured.append((self._signing.sign(PAYLOAD, ItsAid.CAM, now=now, location=None), now))
        return secured

    def _verify(self, secured: _Secured) -> None:
        verify = self._verifying.verify
        for message, now in secured:
            verify(message, now=now)


def _verifying(hierarchy: Hierarchy) -> VerifyService:
    freshness = Freshness()
    return VerifyService(
        trust_store=hierarchy.trust_store,
        certificates=CertificateCache(),
        replay=ReplayGuard(freshness=freshness),
        freshness=freshness,
        areas=NO_IDENTIFIED_AREAS,
    )


def sign(effort: Effort) -> Iterable[Figure]:
    """Sign a payload."""
    scene = _Scene(Hierarchy())
    sides = {"sign": Side(scene.sign), RAW_SIGN: Side(scene.raw.signing)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    yield figure_of("sign", "sign a payload", Unit.PER_SECOND, rates["sign"], limit=(RAW_SIGN, rates[RAW_SIGN]))


def verify(effort: Effort) -> Iterable[Figure]:
    """Verify by digest, by certificate, and by a certificate never seen."""
    scene = _Scene(Hierarchy())
    sides = {
        "digest": Side(scene.by_digest),
        RAW_VERIFY: Side(scene.raw.verifying),
        "certificate": Side(scene.by_certificate),
        "new": Side(scene.by_new_certificate, fewer=NEW_FEWER),
        RAW_PAIR: Side(scene.raw_pairs, fewer=NEW_FEWER),
    }
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    for name, says, limit in (
        ("digest", "verify a message whose known signer is named by digest", RAW_VERIFY),
        ("certificate", "verify a message whose known signer shows its certificate", RAW_VERIFY),
        ("new", "verify a message under a certificate never seen, and its chain", RAW_PAIR),
    ):
        yield figure_of(f"verify.{name}", says, Unit.PER_SECOND, rates[name], limit=(limit, rates[limit]))
