"""Security profiles of TS 103 097 clause 7.1: which header fields and which signer a message may have.

    7.1.1 CAM      psid, generationTime; digest, or one certificate; may ask for certificates, a digest-signed one may pass one on
    7.1.2 DENM     psid, generationTime, generationLocation; always one certificate
    7.1.3 generic  psid, generationTime; digest or one certificate; location, expiry and requests are allowed

The same table serves the sender and the receiver. Left out: the request and response profiles of the public key infrastructure.
"""

from dataclasses import dataclass

from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.header_info import HeaderInfo
from shared.security.secured_data import SecuredData, SignedData, SignerKind, UnsecuredData


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderProfile:
    """What one profile demands and allows.

    Attributes:
        name: for people.
        always_certificate: the signer is named by certificate in every message.
        requires_location: the header has a generation location; otherwise see `allows_location`.
        allows_location: the header may have one.
        allows_expiry: the header may have an expiry time.
        allows_p2pcd: the header may ask for certificates and pass one on.
        allows_encryption_key: the header may carry a key for the answer.
        allows_contributions: the header may carry other organisations' extensions.
    """

    name: str
    always_certificate: bool
    requires_location: bool
    allows_location: bool
    allows_expiry: bool
    allows_p2pcd: bool
    allows_encryption_key: bool
    allows_contributions: bool


CAM_PROFILE = HeaderProfile(
    name="CAM",
    always_certificate=False,
    requires_location=False,
    allows_location=False,
    allows_expiry=False,
    allows_p2pcd=True,
    allows_encryption_key=False,
    allows_contributions=False,
)

DENM_PROFILE = HeaderProfile(
    name="DENM",
    always_certificate=True,
    requires_location=True,
    allows_location=True,
    allows_expiry=False,
    allows_p2pcd=False,
    allows_encryption_key=False,
    allows_contributions=False,
)

GENERIC_PROFILE = HeaderProfile(
    name="generic",
    always_certificate=False,
    requires_location=False,
    allows_location=True,
    allows_expiry=True,
    allows_p2pcd=True,
    allows_encryption_key=True,
    allows_contributions=True,
)

_PROFILES: dict[int, HeaderProfile] = {ItsAid.CAM: CAM_PROFILE, ItsAid.DENM: DENM_PROFILE}


def profile_of(its_aid: int) -> HeaderProfile:
    """Return the profile of an ITS-AID."""
    return _PROFILES.get(its_aid, GENERIC_PROFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledHeader:
    """What a header says once it is known to follow its profile.

    Attributes:
        payload: octets of the unsecured data inside.
        generation_location: the signed place, None where the profile has none.
    """

    payload: bytes
    generation_time: Time64
    generation_location: GeoPoint | None


def check_header(signed: SignedData, profile: HeaderProfile) -> ProfiledHeader:
    """Check signed data against a profile.

    Raises:
        VerificationError: `HEADER_PROFILE`, naming the field; `UNSUPPORTED_SIGNER_IDENTIFIER_TYPE` for a self-signed message.
    """
    header = signed.header
    _check_signer(signed, profile)
    payload = _payload(signed.payload, profile)
    if signed.external_hash is not None:
        raise _breaks(profile, "signs external data")
    if header.generation_time is None:
        raise _breaks(profile, "has no generationTime")
    for present, allowed, field in (
        (header.expiry_time, profile.allows_expiry, "expiryTime"),
        (header.generation_location, profile.allows_location, "generationLocation"),
        (header.p2pcd_learning_request, False, "p2pcdLearningRequest"),
        (header.missing_crl, False, "missingCrlIdentifier"),
        (header.encryption_key, profile.allows_encryption_key, "encryptionKey"),
        (header.symmetric_key, False, "encryptionKey (symmetric)"),
        (header.inline_p2pcd_request, profile.allows_p2pcd, "inlineP2pcdRequest"),
        (header.requested_certificate, profile.allows_p2pcd, "requestedCertificate"),
        (header.pdu_functional_type, False, "pduFunctionalType"),
        (header.contributed_extensions, profile.allows_contributions, "contributedExtensions"),
    ):
        if present is not None and not allowed:
            raise _breaks(profile, f"has {field}")
    if header.requested_certificate is not None and signed.signer.kind is not SignerKind.DIGEST:
        raise _breaks(profile, "passes a certificate on but is not signed by digest")
    return ProfiledHeader(
        payload=payload,
        generation_time=header.generation_time,
        generation_location=_location(header, profile),
    )


def _check_signer(signed: SignedData, profile: HeaderProfile) -> None:
    signer = signed.signer
    if signer.kind is SignerKind.SELF:
        raise VerificationError(
            VerificationReport.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE, f"a {profile.name} message cannot be signed by itself"
        )
    if signer.kind is SignerKind.CERTIFICATE and len(signer.certificates) != 1:
        raise _breaks(profile, f"has {len(signer.certificates)} signer certificates")
    if profile.always_certificate and signer.kind is not SignerKind.CERTIFICATE:
        raise _breaks(profile, "is not signed with its certificate")


def _payload(payload: SecuredData | None, profile: HeaderProfile) -> bytes:
    if payload is None or not isinstance(payload.content, UnsecuredData):
        raise _breaks(profile, "does not carry plain data")
    return payload.content.payload


def _location(header: HeaderInfo, profile: HeaderProfile) -> GeoPoint | None:
    place = header.generation_location
    if place is None or place.location is None:
        if profile.requires_location:
            raise _breaks(profile, "has no known generationLocation")
        return None
    return place.location.point


def _breaks(profile: HeaderProfile, what: str) -> VerificationError:
    return VerificationError(VerificationReport.HEADER_PROFILE, f"a {profile.name} message {what} (TS 103 097 clause 7.1)")
