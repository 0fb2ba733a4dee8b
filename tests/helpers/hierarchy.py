"""A real certificate hierarchy for tests: the same objects and the same octets for the same seed."""

from random import Random

from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.itstime import Time32, time32_of, time64_of, utc_from_text
from shared.pki.authority import AuthorizationAuthority, EnrolmentAuthority, RootCa, hours, years
from shared.pki.key_source import SeededKeySource
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate_cache import CertificateCache
from shared.security.ecdsa import Curve
from shared.security.freshness import Freshness
from shared.security.permissions import PsidSsp
from shared.security.region import NO_IDENTIFIED_AREAS, GeographicRegion, IdentifiedAreas
from shared.security.replay import ReplayGuard
from shared.security.sign import SigningService, TicketCredential
from shared.security.trust_store import TrustStore
from shared.security.verify import VerifyService

BEGIN = utc_from_text("2026-11-22T09:00:00Z")
"""Begin of validity of every certificate of a hierarchy."""

NOON = utc_from_text("2026-11-22T12:00:00Z")
"""A moment inside it."""


LIFETIME_YEARS = 5
"""How long the authorities of a hierarchy are valid unless a test asks for longer."""


class Hierarchy:
    """Root, EA and AA of one seed, and what hangs below them.

    Args:
        seed: for every key and name.
        begin: of every validity.
        lifetime_years: of the root, the EA and the AA. What a command judges at the real clock needs decades.
        region: of the root, and so of all below it.
        curve: of the keys that sign.
        encryption_curve: of the keys that others encrypt to.
    """

    def __init__(
        self,
        seed: int,
        *,
        begin: UtcNs = BEGIN,
        lifetime_years: int = LIFETIME_YEARS,
        region: GeographicRegion | None = None,
        curve: Curve = Curve.NIST_P256,
        encryption_curve: Curve = Curve.NIST_P256,
    ) -> None:
        self.keys = SeededKeySource(Random(seed))
        self.start: Time32 = time32_of(time64_of(begin))
        lifetime = years(self.start, lifetime_years)
        self.root = RootCa.create(name=f"root {seed}", validity=lifetime, keys=self.keys, region=region, curve=curve)
        self.ea: EnrolmentAuthority = self.root.create_enrolment_authority(
            name=f"EA {seed}", validity=lifetime, keys=self.keys, curve=curve, encryption_curve=encryption_curve
        )
        self.aa: AuthorizationAuthority = self.root.create_authorization_authority(
            name=f"AA {seed}", validity=lifetime, keys=self.keys, curve=curve, encryption_curve=encryption_curve
        )
        self.trust_store = TrustStore.of_operator((self.root.certificate,), (self.ea.certificate, self.aa.certificate))

    def ticket(
        self,
        role: StationRole = StationRole.VEHICLE,
        *,
        permissions: tuple[PsidSsp, ...] | None = None,
        region: GeographicRegion | None = None,
        valid_hours: int = 168,
        curve: Curve = Curve.NIST_P256,
    ) -> TicketCredential:
        """Issue a ticket under a fresh key."""
        signer = self.keys.generate(curve)
        certificate = self.aa.issue_ticket(
            public_key=signer.public_key,
            validity=hours(self.start, valid_hours),
            permissions=TICKET_PERMISSIONS[role] if permissions is None else permissions,
            region=region,
        )
        return TicketCredential(certificate=certificate, signer=signer)

    def signing(self, ticket: TicketCredential | None = None) -> SigningService:
        """Make a signing service under a ticket of this hierarchy."""
        return SigningService(ticket=ticket or self.ticket(), trust_store=self.trust_store)

    def verifying(self, *, areas: IdentifiedAreas = NO_IDENTIFIED_AREAS) -> VerifyService:
        """Make a verifying service that trusts this hierarchy."""
        return verifying(self.trust_store, areas=areas)


def verifying(trust_store: TrustStore, *, areas: IdentifiedAreas = NO_IDENTIFIED_AREAS) -> VerifyService:
    """Make a verifying service with fresh memories."""
    freshness = Freshness()
    return VerifyService(
        trust_store=trust_store,
        certificates=CertificateCache(),
        replay=ReplayGuard(freshness=freshness),
        freshness=freshness,
        areas=areas,
    )


def clock_at(utc: UtcNs = NOON) -> ManualClock:
    """Make a clock that stands at a moment."""
    return ManualClock(UtcNs(utc))


def seconds(count: float) -> int:
    """Return nanoseconds."""
    return round(count * NS_PER_S)
