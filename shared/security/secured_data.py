"""`Ieee1609Dot2Data` (IEEE 1609.2 6.3; TS 103 097 clause 5): what surrounds every signed message on the air.

The to-be-signed octets are kept as received and hashed as received, so no edition of an extension is re-encoded into another.
Nesting is bounded and the bound is checked before anything is built. Encrypted content is parsed strictly to its end but not
opened here. Left out: SM2/SM4, multi-signer content, decryption.
"""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import CoerReader, encode_choice, encode_length, encode_opaque, encode_sequence_of
from shared.core.errors import EncodeError
from shared.core.ids import HashedId8
from shared.security.certificate import Certificate, read_certificate, read_hash_algorithm
from shared.security.ecdsa import Signature, encode_signature, read_signature
from shared.security.encrypted_data import EncryptedData, encode_encrypted, read_encrypted
from shared.security.hashing import HashAlgorithm
from shared.security.header_info import HeaderInfo, encode_header, read_header

PROTOCOL_VERSION = 3
"""`Ieee1609Dot2Data.protocolVersion`."""

_TBS_FRONT = bytes((0x40, PROTOCOL_VERSION, 0x80))
_TBS_FRONTS = tuple(_TBS_FRONT + encode_length(count, "payload") for count in range(1_500))
"""The same with the length of a payload that fits into a frame."""

"""Data without external hash, and that data plain."""

MAX_NESTING = 4
"""Data within data; an enrolment request, the deepest real structure, has three."""

MAX_SECURED_OCTETS = 65_536
"""Octets of one structure; a message on the air has at most 2,304, an answer of a PKI a few thousand."""

MAX_SIGNER_CERTIFICATES = 4
"""Certificates in a signer identifier; the ETSI profile wants exactly one."""


class SignerKind(Enum):
    """IEEE 1609.2 `SignerIdentifier`; the value is the index on the wire."""

    DIGEST = 0
    CERTIFICATE = 1
    SELF = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerIdentifier:
    """Who signed: a digest, one or more certificates (the first is the signer's), or the key inside."""

    kind: SignerKind
    digest: HashedId8 | None = None
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalDataHash:
    """Hash of data that travels elsewhere."""

    algorithm: HashAlgorithm
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsecuredData:
    """Octets nobody vouches for."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """Signed content.

    Attributes:
        hash_algorithm: the hash the signature uses.
        payload: data inside, or None when only a hash of external data is signed.
        external_hash: that hash, or None.
        tbs_encoded: the to-be-signed octets as received.
    """

    hash_algorithm: HashAlgorithm
    payload: "SecuredData | None"
    external_hash: ExternalDataHash | None
    header: HeaderInfo
    signer: SignerIdentifier
    signature: Signature
    tbs_encoded: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequestData:
    """A signed certificate request of the IEEE kind (index 3) or of X.509 (index 4), as octets; no ETSI message uses it."""

    index: int
    request: bytes


Content = UnsecuredData | SignedData | EncryptedData | CertificateRequestData


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredData:
    """`Ieee1609Dot2Data` of protocol version 3."""

    content: Content
    encoded: bytes


def decode_secured_data(encoded: bytes) -> SecuredData:
    """Decode one structure that fills `encoded` exactly; raises `DecodeError`."""
    reader = CoerReader(encoded)
    if len(encoded) > MAX_SECURED_OCTETS:
        raise reader.refuse("secured_data", f"{len(encoded)} octets, at most {MAX_SECURED_OCTETS} are allowed")
    data = _read_data(reader, MAX_NESTING)
    reader.finish("secured_data")
    return data


def read_secured_data(reader: CoerReader) -> SecuredData:
    """Read a structure inside another one; raises `DecodeError`. The nesting is counted from here on."""
    return _read_data(reader, MAX_NESTING)


def encode_unsecured(payload: bytes) -> bytes:
    """Encode unsecured data around `payload`."""
    return bytes((PROTOCOL_VERSION,)) + encode_choice(0, encode_opaque(payload, "payload"))


def encode_tbs_data(payload: bytes, header: HeaderInfo) -> bytes:
    """Encode `ToBeSignedData` with `payload` as unsecured data inside; these octets are what is signed."""
    return join_tbs_data(payload, encode_header(header))


def join_tbs_data(payload: bytes, encoded_header: bytes) -> bytes:
    """Encode like `encode_tbs_data` with a header that is encoded already."""
    count = len(payload)
    if count < len(_TBS_FRONTS):
        return _TBS_FRONTS[count] + payload + encoded_header
    return _TBS_FRONT + encode_opaque(payload, "payload") + encoded_header


def encode_signed_data(
    *, hash_algorithm: HashAlgorithm, tbs_encoded: bytes, signer: SignerIdentifier, signature: Signature
) -> bytes:
    """Encode `Ieee1609Dot2Data` with signed content around the octets that were signed."""
    return encode_signed_front(hash_algorithm) + tbs_encoded + encode_signer(signer) + encode_signature(signature)


def encode_encrypted_data(encrypted: EncryptedData) -> bytes:
    """Encode `Ieee1609Dot2Data` with encrypted content; raises `EncodeError`."""
    return bytes((PROTOCOL_VERSION,)) + encode_choice(2, encode_encrypted(encrypted))


def encode_signed_front(hash_algorithm: HashAlgorithm) -> bytes:
    """Encode what stands before the octets that are signed."""
    return bytes((PROTOCOL_VERSION,)) + encode_choice(1, bytes((hash_algorithm.value,)))


def encode_signer(signer: SignerIdentifier) -> bytes:
    """Encode `SignerIdentifier`; raises `EncodeError` for a digest that is not there."""
    match signer.kind:
        case SignerKind.DIGEST:
            if signer.digest is None:
                raise EncodeError("signer", "no digest")
            return encode_choice(SignerKind.DIGEST.value, signer.digest)
        case SignerKind.CERTIFICATE:
            listed = encode_sequence_of(tuple(certificate.encoded for certificate in signer.certificates), "signer")
            return encode_choice(SignerKind.CERTIFICATE.value, listed)
        case SignerKind.SELF:
            return encode_choice(SignerKind.SELF.value, b"")


def _read_data(reader: CoerReader, depth: int) -> SecuredData:
    if depth == 0:
        raise reader.refuse("secured_data", f"nested more than {MAX_NESTING} deep")
    start = reader.position
    version = reader.unsigned(1, "secured_data.protocol_version")
    if version != PROTOCOL_VERSION:
        raise reader.refuse("secured_data.protocol_version", f"version {version} is not {PROTOCOL_VERSION}")
    content: Content
    match reader.choice("secured_data.content"):
        case 0:
            content = UnsecuredData(payload=reader.opaque("secured_data.payload"))
        case 1:
            content = _read_signed(reader, depth)
        case 2:
            content = read_encrypted(reader)
        case 3:
            content = CertificateRequestData(index=3, request=reader.opaque("secured_data.certificate_request"))
        case 4:
            inner = reader.open_type("secured_data.certificate_request")
            request = inner.opaque("secured_data.certificate_request")
            inner.finish("secured_data.certificate_request")
            content = CertificateRequestData(index=4, request=request)
        case index:
            raise reader.refuse("secured_data.content", f"content alternative {index} is unknown")
    return SecuredData(content=content, encoded=reader.since(start))


def _read_signed(reader: CoerReader, depth: int) -> SignedData:
    algorithm = read_hash_algorithm(reader, "signed.hash_algorithm")
    start = reader.position
    present = reader.preamble("signed.payload", bits=3)
    if present & 0x80:
        raise reader.refuse("signed.payload", "extensions of the payload are not supported")
    if not present:
        raise reader.refuse("signed.payload", "neither data nor a hash is present")
    payload = _read_data(reader, depth - 1) if present & 0x40 else None
    external_hash = _read_external_hash(reader) if present & 0x20 else None
    header = read_header(reader)
    tbs_encoded = reader.since(start)
    signer = _read_signer(reader)
    return SignedData(
        hash_algorithm=algorithm,
        payload=payload,
        external_hash=external_hash,
        header=header,
        signer=signer,
        signature=read_signature(reader, "signed.signature"),
        tbs_encoded=tbs_encoded,
    )


def _read_external_hash(reader: CoerReader) -> ExternalDataHash:
    field = "signed.external_hash"
    match reader.choice(field):
        case 0:
            return ExternalDataHash(algorithm=HashAlgorithm.SHA256, digest=reader.octets(32, field))
        case 1:
            inner = reader.open_type(field)
            digest = inner.octets(48, field)
            inner.finish(field)
            return ExternalDataHash(algorithm=HashAlgorithm.SHA384, digest=digest)
        case index:
            raise reader.refuse(field, f"hash alternative {index} is not supported")


def _read_signer(reader: CoerReader) -> SignerIdentifier:
    match reader.choice("signed.signer"):
        case SignerKind.DIGEST.value:
            return SignerIdentifier(kind=SignerKind.DIGEST, digest=HashedId8(reader.octets(8, "signed.signer")))
        case SignerKind.CERTIFICATE.value:
            count = reader.count("signed.signer", minimum=1, maximum=MAX_SIGNER_CERTIFICATES)
            certificates = tuple(read_certificate(reader, "signed.signer.certificate") for _ in range(count))
            return SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=certificates)
        case SignerKind.SELF.value:
            return SignerIdentifier(kind=SignerKind.SELF)
        case index:
            raise reader.refuse("signed.signer", f"signer alternative {index} is unknown")
