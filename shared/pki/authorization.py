"""A station's side of authorization (TS 102 941 clause 6.2.3.3): asking for one ticket.

    SharedAtRequest -> its hash signed by the credential -> encrypted to the EA, so that the AA never learns who asks
    InnerAtRequest: new key, HMAC key, SharedAtRequest, that signature -> EtsiTs102941Data
      -> signed by the NEW key (proof that we hold it) -> encrypted to the AA

The key tag in the shared part binds the new key, which the EA does not see, to what the EA vouches for. A station without privacy
may leave its signature in the open, and the proof may be left out where an authority does not want it. One object per exchange, as
in `enrolment`. Left out: how many tickets to ask for and when, and the transport.
"""

from hmac import digest

from shared.core.clock import Instant
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.pki.exchange import (
    ManagementRight,
    Randomness,
    seal_request,
    sign_external,
    sign_payload,
)
from shared.pki.issued import PendingCertificate
from shared.pki.management import (
    HMAC_KEY_OCTETS,
    KEY_TAG_OCTETS,
    EcSignature,
    InnerAtRequest,
    InnerAtResponse,
    SharedAtRequest,
    encode_management,
)
from shared.pki.subject import CertificateSubjectAttributes, PublicKeys, encode_key_material
from shared.security.certificate import Certificate
from shared.security.ecdsa import Signer
from shared.security.encryption_key import EncryptionKey
from shared.security.freshness import trusted_time64
from shared.security.permissions import APP_END_ENTITY, PsidSsp
from shared.security.region import GeographicRegion
from shared.security.secured_data import decode_secured_data, encode_unsecured
from shared.security.sign import TicketCredential
from shared.security.validity import Validity


class PendingAuthorization(PendingCertificate):
    """An authorization request on its way."""

    __slots__ = ()

    def open(self, answer: bytes, now: Instant) -> Certificate:
        """Open the answer and return the ticket; raises as `PendingEnrolment.open`."""
        right = ManagementRight.AUTHORIZATION_RESPONSE
        return self._open(answer, now, right=right, expected=InnerAtResponse, end_entities=APP_END_ENTITY)


def ticket_attributes(
    *, permissions: tuple[PsidSsp, ...], validity: Validity | None = None, region: GeographicRegion | None = None
) -> CertificateSubjectAttributes:
    """Return what a station asks of a ticket; None = as the authority sees fit."""
    return CertificateSubjectAttributes(validity=validity, region=region, app_permissions=permissions)


def key_tag(hmac_key: bytes, keys: PublicKeys) -> bytes:
    """Return the tag over the requested keys that the authorization authority can check and the enrolment authority cannot."""
    return digest(hmac_key, encode_key_material(keys), "sha256")[:KEY_TAG_OCTETS]


def make_authorization_request(
    *,
    credential: TicketCredential,
    key: Signer,
    authority: Certificate,
    enrolment_authority: Certificate,
    attributes: CertificateSubjectAttributes,
    now: Instant,
    randomness: Randomness,
    encryption_key: EncryptionKey | None = None,
    hides_credential: bool = True,
    proves_possession: bool = True,
) -> PendingAuthorization:
    """Make a request for one ticket.

    Args:
        credential: the station's enrolment credential.
        key: the new key, for the ticket.
        authority: the authorization authority; its chain held.
        enrolment_authority: issuer of the credential, which is asked to vouch; its chain held.
        attributes: see `ticket_attributes`.
        now: dates the request; needs trusted UTC.
        randomness: for this request's secrets.
        encryption_key: to go into the ticket, or None.
        hides_credential: encrypt the credential's signature to the enrolment authority; a station that leaves it in the open tells
            the authorization authority who it is.
        proves_possession: sign the request with the new key, as deployed authorities want it.

    Raises:
        UntrustedTimeError: UTC is not known.
        DecodeError: an authority's certificate has no usable encryption key.
        EncodeError: a value does not fit its field.
    """
    at = trusted_time64(now)
    keys = PublicKeys.of(key.public_key, encryption_key)
    hmac_key = randomness.entropy(HMAC_KEY_OCTETS)
    shared = SharedAtRequest(
        ea_id=HashedId8(enrolment_authority.hashed_id8), key_tag=key_tag(hmac_key, keys), attributes=attributes
    )
    signature = _vouch(shared, credential, at)
    if hides_credential:
        signature = seal_request(signature, recipient=enrolment_authority, randomness=randomness).octets
    ec_signature = EcSignature(data=decode_secured_data(signature))
    message = encode_management(InnerAtRequest(keys=keys, hmac_key=hmac_key, shared=shared, ec_signature=ec_signature))
    outer = sign_payload(message, signer=key, certificate=None, at=at) if proves_possession else encode_unsecured(message)
    sealed = seal_request(outer, recipient=authority, randomness=randomness)
    return PendingAuthorization(sealed=sealed, authority=authority, keys=keys, attributes=attributes)


def _vouch(shared: SharedAtRequest, credential: TicketCredential, at: Time64) -> bytes:
    return sign_external(shared.digest(), signer=credential.signer, certificate=credential.certificate, at=at)
