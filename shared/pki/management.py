"""The messages of TS 102 941 annex A: `EtsiTs102941Data` around requests and answers of enrolment and authorization.

    01 version
    80 enrolment request       signed data, by the new key, around InnerEcRequest      station -> EA
    81 enrolment response      InnerEcResponse                                         EA -> station
    82 authorization request   InnerAtRequest                                          station -> AA
    83 authorization response  InnerAtResponse                                         AA -> station
    87 validation request      SharedAtRequest and the station's signature, passed on  AA -> EA
    88 validation response     AuthorizationValidationResponse                         EA -> AA
    89 CA certificate request  CaCertificateRequest                                    EA or AA -> root

Unknown alternatives, extension bits, octets behind the value and a certificate beside a refusal are refused. Nothing here is
verified or decrypted. Left out: trust lists (`trust_list`), link certificates, butterfly keys.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

from shared.codec.coer import CoerReader, encode_choice, encode_opaque
from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import HashedId8
from shared.pki.response_codes import (
    AuthorizationResponseCode,
    EnrolmentResponseCode,
    ResponseCode,
    ValidationResponseCode,
    read_response_code,
)
from shared.pki.subject import (
    CertificateSubjectAttributes,
    PublicKeys,
    encode_public_keys,
    encode_subject_attributes,
    read_public_keys,
    read_subject_attributes,
)
from shared.security.certificate import Certificate, read_certificate
from shared.security.encrypted_data import EncryptedData
from shared.security.secured_data import MAX_SECURED_OCTETS, SecuredData, SignedData, read_secured_data
from shared.security.trust_list import MANAGEMENT_VERSION, ManagementContent, peek_management_content

CERTIFICATE_FORMAT = 1
"""`CertificateFormat`: TS 103 097 in its present form."""

MAX_ITS_ID_OCTETS = 64
"""Octets of a station's canonical identifier."""

REQUEST_HASH_OCTETS = 16
"""Octets of the hash by which an answer names its request."""

KEY_TAG_OCTETS = 16
"""Octets of the tag that binds the keys of an authorization request to what the enrolment authority sees of it."""

HMAC_KEY_OCTETS = 32
"""Octets of the key that made the tag."""

C = TypeVar("C", bound=ResponseCode)


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerEcRequest:
    """What a station asks its enrolment authority for.

    Attributes:
        its_id: canonical identifier at first, later the eight octets of the present credential's `HashedId8`.
    """

    its_id: bytes
    keys: PublicKeys
    attributes: CertificateSubjectAttributes


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """Content 80: the request, signed by the key it asks a credential for; not yet known to be so."""

    proof: SecuredData


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerEcResponse:
    """Content 81; the certificate is there exactly when the code is OK."""

    request_hash: bytes
    code: EnrolmentResponseCode
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAtRequest:
    """The part of an authorization request that both authorities see.

    Attributes:
        ea_id: the enrolment authority that is to vouch for the station.
        key_tag: binds the keys, which the enrolment authority does not see.
        attributes: what the ticket is to say.
    """

    ea_id: HashedId8
    key_tag: bytes
    attributes: CertificateSubjectAttributes

    def digest(self) -> bytes:
        """Return the hash the station signs with its credential: SHA-256, whatever the key."""
        return sha256(encode_shared_request(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class EcSignature:
    """The station's signature under its credential: encrypted to the enrolment authority, or plain where nobody minds.

    Raises:
        EncodeError: the content is neither encrypted nor signed data.
    """

    data: SecuredData

    def __post_init__(self) -> None:
        if not isinstance(self.data.content, EncryptedData | SignedData):
            raise EncodeError("ec_signature", "is neither encrypted nor signed data")

    @property
    def is_encrypted(self) -> bool:
        """Whether only the enrolment authority can read whose it is."""
        return isinstance(self.data.content, EncryptedData)


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerAtRequest:
    """Content 82: what a station asks an authorization authority for."""

    keys: PublicKeys
    hmac_key: bytes = field(repr=False)
    shared: SharedAtRequest
    ec_signature: EcSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerAtResponse:
    """Content 83; the certificate is there exactly when the code is OK."""

    request_hash: bytes
    code: AuthorizationResponseCode
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationValidationRequest:
    """Content 87: what an authorization authority asks a station's enrolment authority."""

    shared: SharedAtRequest
    ec_signature: EcSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationValidationResponse:
    """Content 88; what the ticket may say at most is there exactly when the code is OK."""

    request_hash: bytes
    code: ValidationResponseCode
    confirmed: CertificateSubjectAttributes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificateRequest:
    """Content 89: what an authority below a root asks it for."""

    keys: PublicKeys
    attributes: CertificateSubjectAttributes


ManagementMessage = (
    EnrolmentRequest
    | InnerEcResponse
    | InnerAtRequest
    | InnerAtResponse
    | AuthorizationValidationRequest
    | AuthorizationValidationResponse
    | CaCertificateRequest
)


def decode_management(octets: bytes) -> ManagementMessage:
    """Decode `EtsiTs102941Data` that fills `octets` exactly and is no trust list; raises `DecodeError`."""
    if len(octets) > MAX_SECURED_OCTETS:
        raise DecodeError("management", f"{len(octets)} octets, at most {MAX_SECURED_OCTETS} are allowed")
    content = peek_management_content(octets)
    reader = CoerReader(octets, 2)
    message: ManagementMessage
    match content:
        case ManagementContent.ENROLMENT_REQUEST:
            message = EnrolmentRequest(proof=read_secured_data(reader))
        case ManagementContent.ENROLMENT_RESPONSE:
            request_hash, code, certificate = _read_response(reader, EnrolmentResponseCode, "enrolment_response")
            message = InnerEcResponse(request_hash=request_hash, code=code, certificate=certificate)
        case ManagementContent.AUTHORIZATION_REQUEST:
            message = _read_authorization_request(reader)
        case ManagementContent.AUTHORIZATION_RESPONSE:
            request_hash, at_code, certificate = _read_response(reader, AuthorizationResponseCode, "authorization_response")
            message = InnerAtResponse(request_hash=request_hash, code=at_code, certificate=certificate)
        case ManagementContent.AUTHORIZATION_VALIDATION_REQUEST:
            _no_extension(reader, "validation_request")
            shared = _read_shared_request(reader, "validation_request.shared")
            message = AuthorizationValidationRequest(shared=shared, ec_signature=_read_ec_signature(reader, "validation_request"))
        case ManagementContent.AUTHORIZATION_VALIDATION_RESPONSE:
            message = _read_validation_response(reader)
        case ManagementContent.CA_CERTIFICATE_REQUEST:
            message = _read_ca_request(reader)
        case _:
            raise reader.refuse("management.content", f"{content.name.lower().replace('_', ' ')} is no request and no answer")
    reader.finish("management")
    return message


def encode_management(message: ManagementMessage) -> bytes:
    """Encode `EtsiTs102941Data` around a message; raises `EncodeError`."""
    match message:
        case EnrolmentRequest(proof=proof):
            content, value = ManagementContent.ENROLMENT_REQUEST, proof.encoded
        case InnerEcResponse():
            content, value = ManagementContent.ENROLMENT_RESPONSE, _encode_response(message)
        case InnerAtRequest(keys=keys, hmac_key=hmac_key, shared=shared, ec_signature=ec_signature):
            content = ManagementContent.AUTHORIZATION_REQUEST
            front = b"\x00" + encode_public_keys(keys) + _sized(hmac_key, HMAC_KEY_OCTETS, "hmac_key")
            value = front + encode_shared_request(shared) + _encode_ec_signature(ec_signature)
        case InnerAtResponse():
            content, value = ManagementContent.AUTHORIZATION_RESPONSE, _encode_response(message)
        case AuthorizationValidationRequest(shared=shared, ec_signature=ec_signature):
            content = ManagementContent.AUTHORIZATION_VALIDATION_REQUEST
            value = b"\x00" + encode_shared_request(shared) + _encode_ec_signature(ec_signature)
        case AuthorizationValidationResponse(confirmed=confirmed):
            content = ManagementContent.AUTHORIZATION_VALIDATION_RESPONSE
            attributes = None if confirmed is None else encode_subject_attributes(confirmed)
            value = _encode_answer(message.request_hash, message.code, attributes)
        case CaCertificateRequest(keys=keys, attributes=wanted):
            content = ManagementContent.CA_CERTIFICATE_REQUEST
            value = b"\x00" + encode_public_keys(keys) + encode_subject_attributes(wanted)
    return bytes((MANAGEMENT_VERSION,)) + encode_choice(content.value, value)


def decode_inner_ec_request(octets: bytes) -> InnerEcRequest:
    """Decode `InnerEcRequest` that fills `octets` exactly; raises `DecodeError`."""
    field = "enrolment_request"
    reader = CoerReader(octets)
    _no_extension(reader, field)
    its_id = reader.opaque(f"{field}.its_id", maximum=MAX_ITS_ID_OCTETS)
    _check_format(reader, field)
    keys = read_public_keys(reader, f"{field}.keys")
    attributes = read_subject_attributes(reader, f"{field}.attributes")
    reader.finish(field)
    return InnerEcRequest(its_id=its_id, keys=keys, attributes=attributes)


def encode_inner_ec_request(request: InnerEcRequest) -> bytes:
    """Encode `InnerEcRequest`; raises `EncodeError`."""
    if len(request.its_id) > MAX_ITS_ID_OCTETS:
        raise EncodeError("its_id", f"{len(request.its_id)} octets, at most {MAX_ITS_ID_OCTETS} are allowed")
    front = b"\x00" + encode_opaque(request.its_id, "its_id") + bytes((CERTIFICATE_FORMAT,))
    return front + encode_public_keys(request.keys) + encode_subject_attributes(request.attributes)


def encode_shared_request(shared: SharedAtRequest) -> bytes:
    """Encode `SharedAtRequest`; what the station's credential signs is the hash of these octets."""
    front = b"\x00" + shared.ea_id + _sized(shared.key_tag, KEY_TAG_OCTETS, "key_tag") + bytes((CERTIFICATE_FORMAT,))
    return front + encode_subject_attributes(shared.attributes)


def _read_authorization_request(reader: CoerReader) -> InnerAtRequest:
    field = "authorization_request"
    _no_extension(reader, field)
    keys = read_public_keys(reader, f"{field}.keys")
    hmac_key = reader.octets(HMAC_KEY_OCTETS, f"{field}.hmac_key")
    shared = _read_shared_request(reader, f"{field}.shared")
    return InnerAtRequest(keys=keys, hmac_key=hmac_key, shared=shared, ec_signature=_read_ec_signature(reader, field))


def _read_shared_request(reader: CoerReader, field: str) -> SharedAtRequest:
    start = reader.position
    _no_extension(reader, field)
    ea_id = HashedId8(reader.octets(8, f"{field}.ea_id"))
    key_tag = reader.octets(KEY_TAG_OCTETS, f"{field}.key_tag")
    _check_format(reader, field)
    shared = SharedAtRequest(ea_id=ea_id, key_tag=key_tag, attributes=read_subject_attributes(reader, f"{field}.attributes"))
    if encode_shared_request(shared) != reader.since(start):
        raise reader.refuse(field, "is not in canonical form, so its hash would have two values")
    return shared


def _read_ec_signature(reader: CoerReader, field: str) -> EcSignature:
    name = f"{field}.ec_signature"
    index = reader.choice(name)
    if index > 1:
        raise reader.refuse(name, f"signature alternative {index} is unknown")
    data = read_secured_data(reader)
    if not isinstance(data.content, SignedData if index else EncryptedData):
        raise reader.refuse(name, f"the content is not {'signed' if index else 'encrypted'}")
    return EcSignature(data=data)


def _encode_ec_signature(ec_signature: EcSignature) -> bytes:
    return encode_choice(0 if ec_signature.is_encrypted else 1, ec_signature.data.encoded)


def _read_response(reader: CoerReader, table: type[C], field: str) -> tuple[bytes, C, Certificate | None]:
    has_certificate, request_hash, code = _read_answer(reader, table, field)
    return request_hash, code, read_certificate(reader, f"{field}.certificate") if has_certificate else None


def _read_validation_response(reader: CoerReader) -> AuthorizationValidationResponse:
    field = "validation_response"
    is_confirmed, request_hash, code = _read_answer(reader, ValidationResponseCode, field)
    confirmed = read_subject_attributes(reader, f"{field}.confirmed") if is_confirmed else None
    return AuthorizationValidationResponse(request_hash=request_hash, code=code, confirmed=confirmed)


def _read_answer(reader: CoerReader, table: type[C], field: str) -> tuple[bool, bytes, C]:
    present = reader.preamble(field, bits=2)
    if present & 0x80:
        raise reader.refuse(field, "extensions are not supported")
    request_hash = reader.octets(REQUEST_HASH_OCTETS, f"{field}.request_hash")
    code = read_response_code(reader, table, f"{field}.code")
    if (code.number == 0) is not bool(present):
        raise reader.refuse(field, "what was asked for goes with the code ok, and with no other")
    return bool(present), request_hash, code


def _encode_response(response: InnerEcResponse | InnerAtResponse) -> bytes:
    certificate = response.certificate
    return _encode_answer(response.request_hash, response.code, None if certificate is None else certificate.encoded)


def _encode_answer(request_hash: bytes, code: ResponseCode, granted: bytes | None) -> bytes:
    if (code.number == 0) is not (granted is not None):
        raise EncodeError("response", "what was asked for goes with the code ok, and with no other")
    front = b"\x00" if granted is None else b"\x40"
    return front + _sized(request_hash, REQUEST_HASH_OCTETS, "request_hash") + bytes((code.number,)) + (granted or b"")


def _read_ca_request(reader: CoerReader) -> CaCertificateRequest:
    field = "ca_certificate_request"
    _no_extension(reader, field)
    keys = read_public_keys(reader, f"{field}.keys")
    return CaCertificateRequest(keys=keys, attributes=read_subject_attributes(reader, f"{field}.attributes"))


def _no_extension(reader: CoerReader, field: str) -> None:
    if reader.preamble(field, bits=1):
        raise reader.refuse(field, "extensions are not supported")


def _check_format(reader: CoerReader, field: str) -> None:
    value = reader.unsigned(1, f"{field}.certificate_format")
    if value != CERTIFICATE_FORMAT:
        raise reader.refuse(f"{field}.certificate_format", f"format {value} is not {CERTIFICATE_FORMAT}")


def _sized(octets: bytes, count: int, field: str) -> bytes:
    if len(octets) != count:
        raise EncodeError(field, f"{len(octets)} octets, {count} are needed")
    return octets
