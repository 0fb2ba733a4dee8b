"""A certificate that may be believed, and what every message under it needs of it. Only `chain` makes one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.errors import VerificationError
from shared.core.ids import HashedId3, HashedId8
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, PublicKey
from shared.security.permissions import no_permission
from shared.security.region import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFacts:
    """Who signed a verified message.

    Attributes:
        region: where the ticket is valid; `region.check_contains(point)` judges the sender's position.
    """

    hashed_id8: HashedId8
    hashed_id3: HashedId3
    certificate: Certificate
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificate:
    """A certificate whose chain held up to a trusted root; only `ChainVerifier` makes one.

    It is trusted at moments inside `certificate.validity`, which lies inside the validity of all certificates above it. What every
    message under it needs is worked out once, here.

    Attributes:
        public_key: the verification key, loaded.
        region: where it is valid, inherited where the certificate names no region.
        above: the issuer's, None for a root.
        root: identifier of the root its chain ends at.
        chain_certificates: certificates from here up to the root, both included.
        digest: the certificate's hash.
        facts: what a verified message says of its signer.
        ssps: its service-specific permissions by ITS-AID; None where a permission has none.
        valid_from: first valid microsecond.
        valid_until: first microsecond that is no longer valid.
        is_p256: whether the key is on P-256.
    """

    certificate: Certificate
    public_key: PublicKey
    region: Region
    above: "TrustedCertificate | None"
    root: HashedId8 = field(init=False)
    chain_certificates: int = field(init=False)
    digest: bytes = field(init=False)
    facts: SignerFacts = field(init=False)
    ssps: Mapping[int, bytes | None] = field(init=False)
    valid_from: Time64 = field(init=False)
    valid_until: Time64 = field(init=False)
    is_p256: bool = field(init=False)

    def __post_init__(self) -> None:
        certificate = self.certificate
        facts = SignerFacts(
            hashed_id8=certificate.hashed_id8, hashed_id3=certificate.hashed_id3, certificate=certificate, region=self.region
        )
        permissions = certificate.tbs.app_permissions or ()
        above = self.above
        object.__setattr__(self, "root", certificate.hashed_id8 if above is None else above.root)
        object.__setattr__(self, "chain_certificates", 1 if above is None else above.chain_certificates + 1)
        object.__setattr__(self, "digest", certificate.digest)
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "ssps", {permission.psid: permission.ssp for permission in permissions})
        object.__setattr__(self, "valid_from", certificate.validity.start_time64)
        object.__setattr__(self, "valid_until", certificate.validity.end_time64)
        object.__setattr__(self, "is_p256", self.public_key.curve is Curve.NIST_P256)

    @property
    def issuer(self) -> HashedId8 | None:
        """Identifier of the certificate above, None for a root."""
        return None if self.above is None else self.above.facts.hashed_id8

    @property
    def path(self) -> tuple[Certificate, ...]:
        """The certificates from here up to the root, both included."""
        return (self.certificate, *(() if self.above is None else self.above.path))

    def check_valid_at(self, at: Time64) -> None:
        """Raise `VerificationError(EXPIRED_CERTIFICATE)` outside the validity period."""
        if not self.valid_from <= at < self.valid_until:
            raise expired(self.certificate)

    def ssp_for(self, its_aid: int) -> bytes | None:
        """Return the service-specific permission for an ITS-AID; raises `VerificationError(PERMISSION_DENIED)` without one."""
        try:
            return self.ssps[its_aid]
        except KeyError:
            raise no_permission(its_aid) from None


def expired(certificate: Certificate) -> VerificationError:
    """Return what is raised outside a certificate's validity period."""
    return VerificationError(
        VerificationReport.EXPIRED_CERTIFICATE, f"certificate {certificate.hashed_id8.hex()} is outside its validity period"
    )
