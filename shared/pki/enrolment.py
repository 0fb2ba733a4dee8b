"""A station's side of enrolment (TS 102 941 clause 6.2.3.2): asking for a credential, and for the next one.

    InnerEcRequest -> signed by the NEW key (proof that we hold it) -> EtsiTs102941Data
      -> signed by the CANONICAL key, or, to renew, by the present credential -> encrypted to the EA

One object per exchange: `request` is what to post, and posting it again is harmless; `open` takes what came back. A key is anything
that can sign a digest, so it may live in a token. Left out: when to ask, and the transport.
"""

from shared.core.clock import Instant
from shared.core.itstime import Time64
from shared.pki.exchange import ManagementRight, Randomness, seal_request, sign_payload
from shared.pki.issued import PendingCertificate
from shared.pki.management import (
    EnrolmentRequest,
    InnerEcRequest,
    InnerEcResponse,
    encode_inner_ec_request,
    encode_management,
)
from shared.pki.permission_sets import EC_APP_PERMISSIONS
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys
from shared.security.certificate import Certificate, CertificateId, IdKind
from shared.security.ecdsa import Signer
from shared.security.encryption_key import EncryptionKey
from shared.security.freshness import trusted_time64
from shared.security.permissions import APP_END_ENTITY, ENROL_END_ENTITY
from shared.security.region import GeographicRegion
from shared.security.secured_data import decode_secured_data
from shared.security.sign import TicketCredential
from shared.security.validity import Validity


class PendingEnrolment(PendingCertificate):
    """An enrolment request on its way."""

    __slots__ = ()

    def open(self, answer: bytes, now: Instant) -> Certificate:
        """Open the answer and return the credential.

        Raises:
            UntrustedTimeError: UTC is not known.
            DecodeError: malformed, or not encrypted under the request's key.
            VerificationError: not from this authority, too old, about another request, or a certificate we did not ask for.
            AuthorityRefusal: the authority said no.
        """
        right, kind = ManagementRight.ENROLMENT_RESPONSE, APP_END_ENTITY | ENROL_END_ENTITY
        return self._open(answer, now, right=right, expected=InnerEcResponse, end_entities=kind)


def credential_attributes(
    *, validity: Validity | None = None, name: str | None = None, region: GeographicRegion | None = None
) -> CertificateSubjectAttributes:
    """Return what a station asks of a credential: to sign enrolment and authorization requests, and no more."""
    return CertificateSubjectAttributes(
        id=None if name is None else CertificateId(kind=IdKind.NAME, name=name),
        validity=validity,
        region=region,
        app_permissions=EC_APP_PERMISSIONS,
    )


def make_enrolment_request(
    *,
    its_id: bytes,
    canonical_key: Signer,
    key: Signer,
    authority: Certificate,
    attributes: CertificateSubjectAttributes,
    now: Instant,
    randomness: Randomness,
    encryption_key: EncryptionKey | None = None,
) -> PendingEnrolment:
    """Make a station's first request.

    Args:
        its_id: canonical identifier, as registered with the authority.
        canonical_key: the key registered with it.
        key: the new key, for the credential.
        authority: the enrolment authority; its chain held.
        attributes: see `credential_attributes`.
        now: dates the request; needs trusted UTC.
        randomness: for this request's secrets.
        encryption_key: to go into the credential, or None.

    Raises:
        UntrustedTimeError: UTC is not known.
        DecodeError: the authority's certificate has no usable encryption key.
        EncodeError: a value does not fit its field.
    """
    at = trusted_time64(now)
    keys = PublicKeys.of(key.public_key, encryption_key)
    message = _message(InnerEcRequest(its_id=its_id, keys=keys, attributes=attributes), key, at)
    outer = sign_payload(message, signer=canonical_key, certificate=None, at=at)
    sealed = seal_request(outer, recipient=authority, randomness=randomness)
    return PendingEnrolment(sealed=sealed, authority=authority, keys=keys, attributes=attributes)


def make_renewal_request(
    *,
    credential: TicketCredential,
    key: Signer,
    authority: Certificate,
    attributes: CertificateSubjectAttributes,
    now: Instant,
    randomness: Randomness,
    encryption_key: EncryptionKey | None = None,
) -> PendingEnrolment:
    """Make a request for the credential after the present one, which signs it; arguments and errors as `make_enrolment_request`.

    The authority knows the station by the present credential, so the identifier in the request is that credential's.
    """
    at = trusted_time64(now)
    keys = PublicKeys.of(key.public_key, encryption_key)
    inner = InnerEcRequest(its_id=credential.certificate.hashed_id8, keys=keys, attributes=attributes)
    outer = sign_payload(_message(inner, key, at), signer=credential.signer, certificate=credential.certificate, at=at)
    sealed = seal_request(outer, recipient=authority, randomness=randomness)
    return PendingEnrolment(sealed=sealed, authority=authority, keys=keys, attributes=attributes)


def _message(inner: InnerEcRequest, key: Signer, at: Time64) -> bytes:
    proof = sign_payload(encode_inner_ec_request(inner), signer=key, certificate=None, at=at)
    return encode_management(EnrolmentRequest(proof=decode_secured_data(proof)))
