"""How an authority below a root asks it for its certificate (TS 102 941 clause 6.2.1, annex A `CaCertificateRequest`).

    first    CaCertificateRequest -> signed by the new key (proof that we hold it)
    renewal  the same, and that whole signed by the present certificate's key

A first request proves nothing but possession: whose key it is, somebody at the root has to compare by another way
(`fingerprint`). Neither is encrypted, for there is nothing secret in them, and the root has no key to encrypt to. Left out: the
root's own renewal (link certificates), and how the certificate travels back.

People carry a request and compare its fingerprint, so it may be older than what goes over a network. Who plays an old one back
gets a certificate for a key he does not have.
"""

from dataclasses import dataclass
from hashlib import sha256

from shared.core.clock import Instant
from shared.core.errors import VerificationError
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.pki.authority import AuthorityCredential, AuthorityKind, RootCa
from shared.pki.desk import TrustedAuthorities
from shared.pki.exchange import (
    ManagementRight,
    SignedMessage,
    check_age,
    check_right,
    check_signature,
    follow_profile,
    named_signer,
    sign_payload,
)
from shared.pki.management import CaCertificateRequest, decode_management, encode_management
from shared.pki.policy import US_PER_S
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import Certificate, CertificateId, IdKind
from shared.security.ecdsa import PublicKey, Signer
from shared.security.encryption_key import EncryptionKey
from shared.security.freshness import trusted_time64
from shared.security.permissions import PsidGroupPermissions
from shared.security.secured_data import decode_secured_data
from shared.security.validity import Validity

MAX_REQUEST_AGE_S = 31 * 86_400
"""How old a request may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRequest:
    """A request whose signatures held; only `open_ca_request` makes one.

    Attributes:
        kind: of the authority that asks.
        name: what it wants to be called.
        validity: what it wants, or None.
        issue_permissions: what it wants to issue; None = what its kind issues.
        renewed: the certificate it has, None for a first request, which nobody vouches for.
        fingerprint: SHA-256 over the requested verification key as it stands in certificates; to be compared by people.
    """

    kind: AuthorityKind
    name: str
    public_key: PublicKey
    encryption_key: EncryptionKey
    validity: Validity | None
    renewed: Certificate | None
    issue_permissions: tuple[PsidGroupPermissions, ...] | None

    @property
    def fingerprint(self) -> str:
        """See the class."""
        return fingerprint_of(self.public_key)


def fingerprint_of(public_key: PublicKey) -> str:
    """Return SHA-256 over a key, 64 hexadecimal digits."""
    return sha256(public_key.sec1).hexdigest()


def make_ca_request(
    *, kind: AuthorityKind, name: str, key: Signer, encryption_key: EncryptionKey, now: Instant, validity: Validity | None = None
) -> bytes:
    """Make an authority's first request.

    Args:
        kind: what the authority is for.
        name: of the authority.
        key: its new signing key.
        encryption_key: what others are to encrypt to.
        now: dates the request; needs trusted UTC.
        validity: None = as the root sees fit.

    Raises:
        UntrustedTimeError: UTC is not known.
        EncodeError: a value does not fit its field.
    """
    attributes = CertificateSubjectAttributes(
        id=CertificateId(kind=IdKind.NAME, name=name),
        validity=validity,
        app_permissions=kind.app_permissions,
        cert_issue_permissions=kind.issue_permissions,
    )
    request = CaCertificateRequest(keys=PublicKeys.of(key.public_key, encryption_key), attributes=attributes)
    return sign_payload(encode_management(request), signer=key, certificate=None, at=trusted_time64(now))


def renew_ca_request(request: bytes, *, credential: AuthorityCredential, now: Instant) -> bytes:
    """Wrap a request of `make_ca_request` in a signature by the present certificate; raises `UntrustedTimeError`."""
    return sign_payload(request, signer=credential.signer, certificate=credential.certificate, at=trusted_time64(now))


def open_ca_request(octets: bytes, *, authorities: TrustedAuthorities, now: Instant) -> CaRequest:
    """Open a request of either kind, as the root.

    Args:
        octets: as they came.
        authorities: those whose certificates may be renewed.
        now: judges age and validity; needs trusted UTC.

    Raises:
        UntrustedTimeError: UTC is not known.
        DecodeError: malformed, or a key is not on its curve.
        VerificationError: it must not be believed, or asks for what no authority below a root may have.
    """
    at = trusted_time64(now)
    message = follow_profile(decode_secured_data(octets))
    check_age(message, at, oldest_us=MAX_REQUEST_AGE_S * US_PER_S)
    renewed = _renewed(message, authorities, at)
    if renewed is not None:
        message = follow_profile(decode_secured_data(message.payload))
        check_age(message, at, oldest_us=MAX_REQUEST_AGE_S * US_PER_S)
        if named_signer(message.signed) is not None:
            raise _denied("the request inside is not signed by the key it asks a certificate for")
    request = decode_management(message.payload)
    if not isinstance(request, CaCertificateRequest):
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, "the message is no request of an authority")
    key = request.keys.load()
    check_signature(message.signed, key, None)
    return _judge(request, key, renewed)


def certify(root: RootCa, request: CaRequest, validity: Validity) -> Certificate:
    """Issue what was asked for, for as long as the root decides; raises `EncodeError` beyond the root's bounds."""
    return root.certify(
        kind=request.kind,
        name=request.name,
        validity=validity,
        public_key=request.public_key,
        encryption_key=request.encryption_key,
        issue_permissions=None if request.issue_permissions == request.kind.issue_permissions else request.issue_permissions,
    )


def _renewed(message: SignedMessage, authorities: TrustedAuthorities, at: Time64) -> Certificate | None:
    """Return the certificate whose owner asks for the next one, verified, or None for a first request."""
    named = named_signer(message.signed)
    if named is None:
        return None
    trusted = authorities.find(named, at)
    check_right(trusted.certificate, ManagementRight.CA_CERTIFICATE_REQUEST)
    check_signature(message.signed, trusted.public_key, trusted.certificate)
    return trusted.certificate


def _judge(request: CaCertificateRequest, key: PublicKey, renewed: Certificate | None) -> CaRequest:
    attributes = request.attributes
    kind = _kind_of(attributes, renewed)
    name = None if attributes.id is None else attributes.id.name
    if name is None:
        raise _denied("an authority has a name")
    encryption_key = request.keys.encryption_key
    if encryption_key is None:
        raise _denied("an authority has a key others can encrypt to")
    request.keys.check_encryption_key()
    return CaRequest(
        kind=kind,
        name=name,
        public_key=key,
        encryption_key=encryption_key,
        validity=attributes.validity,
        renewed=renewed,
        issue_permissions=attributes.cert_issue_permissions,
    )


def _kind_of(attributes: CertificateSubjectAttributes, renewed: Certificate | None) -> AuthorityKind:
    wanted, issue = attributes.app_permissions, attributes.cert_issue_permissions
    for kind in AuthorityKind:
        is_kind = wanted == kind.app_permissions and issue in (None, kind.issue_permissions, kind.lesser_issue_permissions)
        if is_kind and (renewed is None or renewed.tbs.app_permissions == kind.app_permissions):
            return kind
    raise _denied("the permissions asked for are neither an enrolment nor an authorization authority's, or not those it has")


def _denied(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.PERMISSION_DENIED, detail)
