"""`Ieee1609Dot2Data` (IEEE 1609.2 6.3; TS 103 097 clause 5): what surrounds every signed message on the air.

The to-be-signed octets are kept as received and hashed as received, so no edition of an extension is re-encoded into another.
Nesting is bounded and the bound is checked before anything is built. Encrypted content is parsed strictly to its end but not
opened here. Left out: SM2/SM4, multi-signer content, decryption.
"""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import (
    CoerReader,
    encode_additions,
    encode_choice,
    encode_opaque,
    encode_quantity,
    encode_sequence_of,
    encode_signed,
    encode_unsigned,
)
from shared.core.errors import EncodeError
from shared.core.ids import HashedId3, HashedId8
from shared.core.itstime import Time64
from shared.security.certificate import (
    Certificate,
    EncryptionKey,
    encode_encryption_key,
    read_certificate,
    read_encryption_key,
    read_hash_algorithm,
)
from shared.security.ecdsa import PointForm, Signature, encode_signature, read_point, read_signature
from shared.security.hashing import HashAlgorithm
from shared.security.region import MAX_LATITUDE, MAX_LONGITUDE, UNKNOWN_LATITUDE, UNKNOWN_LONGITUDE, Location

PROTOCOL_VERSION = 3
"""`Ieee1609Dot2Data.protocolVersion`."""

MAX_NESTING = 4
"""Data within data; an enrolment request, the deepest real structure, has three."""

MAX_SECURED_OCTETS = 65_536
"""Octets of one structure; a message on the air has at most 2,304, an answer of a PKI a few thousand."""

MAX_SIGNER_CERTIFICATES = 4
"""Certificates in a signer identifier; the ETSI profile wants exactly one."""

MAX_P2PCD_REQUESTS = 32
"""Identifiers in one `inlineP2pcdRequest`."""

MAX_RECIPIENTS = 16
"""Recipients of encrypted content."""

MAX_CONTRIBUTED_EXTENSIONS = 8
"""Contributions in one header, and extensions in one contribution."""

_ETSI_HEADER_ADDITIONS = 2
_HEADER_ADDITIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationLocation:
    """`ThreeDLocation`: place in 1e-7 degrees, None where the sender did not know it, and raw elevation."""

    location: Location | None
    elevation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributedExtension:
    """Header extensions of another organisation (1 IEEE, 2 ETSI), each as its encoded octets."""

    contributor: int
    extensions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderInfo:
    """IEEE 1609.2 `HeaderInfo`; None = absent.

    Attributes:
        psid: the ITS-AID.
        generation_time: TAI microseconds since 2004.
        expiry_time: TAI microseconds since 2004.
        missing_crl: encoded octets of `MissingCrlIdentifier`.
        symmetric_key: key identifier octets when the encryption key is symmetric.
    """

    psid: int
    generation_time: Time64 | None = None
    expiry_time: Time64 | None = None
    generation_location: GenerationLocation | None = None
    p2pcd_learning_request: HashedId3 | None = None
    missing_crl: bytes | None = None
    encryption_key: EncryptionKey | None = None
    symmetric_key: bytes | None = None
    inline_p2pcd_request: tuple[HashedId3, ...] | None = None
    requested_certificate: Certificate | None = None
    pdu_functional_type: int | None = None
    contributed_extensions: tuple[ContributedExtension, ...] | None = None


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


class RecipientKind(Enum):
    """IEEE 1609.2 `RecipientInfo`; the value is the index on the wire."""

    PRE_SHARED = 0
    SYMMETRIC = 1
    CERTIFICATE = 2
    SIGNED_DATA = 3
    REKEY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient: how it is named, and its encrypted key as octets (empty for a pre-shared key)."""

    kind: RecipientKind
    hashed_id8: HashedId8
    encrypted_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedData:
    """Content for named recipients: AES-128-CCM nonce, and ciphertext with its 16-octet tag."""

    recipients: tuple[Recipient, ...]
    nonce: bytes
    ciphertext: bytes


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


def encode_unsecured(payload: bytes) -> bytes:
    """Encode unsecured data around `payload`."""
    return bytes((PROTOCOL_VERSION,)) + encode_choice(0, encode_opaque(payload, "payload"))


def encode_tbs_data(payload: bytes, header: HeaderInfo) -> bytes:
    """Encode `ToBeSignedData` with `payload` as unsecured data inside; these octets are what is signed."""
    return b"\x40" + encode_unsecured(payload) + encode_header(header)


def encode_signed_data(
    *, hash_algorithm: HashAlgorithm, tbs_encoded: bytes, signer: SignerIdentifier, signature: Signature
) -> bytes:
    """Encode `Ieee1609Dot2Data` with signed content around the octets that were signed."""
    body = bytes((hash_algorithm.value,)) + tbs_encoded + _encode_signer(signer) + encode_signature(signature)
    return bytes((PROTOCOL_VERSION,)) + encode_choice(1, body)


def encode_header(header: HeaderInfo) -> bytes:
    """Encode `HeaderInfo`; the extension bitmap has the width of the additions in use (2 or 4)."""
    present = 0
    optional = b""
    if header.generation_time is not None:
        present |= 0x40
        optional += encode_unsigned(header.generation_time, 8, "generation_time")
    if header.expiry_time is not None:
        present |= 0x20
        optional += encode_unsigned(header.expiry_time, 8, "expiry_time")
    if header.generation_location is not None:
        present |= 0x10
        optional += _encode_generation_location(header.generation_location)
    if header.p2pcd_learning_request is not None:
        present |= 0x08
        optional += header.p2pcd_learning_request
    if header.missing_crl is not None:
        present |= 0x04
        optional += header.missing_crl
    if header.encryption_key is not None:
        present |= 0x02
        optional += encode_choice(0, encode_encryption_key(header.encryption_key))
    elif header.symmetric_key is not None:
        present |= 0x02
        optional += encode_choice(1, encode_choice(0, header.symmetric_key))
    additions = _header_additions(header)
    if additions:
        present |= 0x80
        width = _ETSI_HEADER_ADDITIONS if max(additions) < _ETSI_HEADER_ADDITIONS else _HEADER_ADDITIONS
        optional += encode_additions(additions, width=width, field="header")
    return bytes((present,)) + encode_quantity(header.psid, "psid") + optional


def _header_additions(header: HeaderInfo) -> dict[int, bytes]:
    additions: dict[int, bytes] = {}
    if header.inline_p2pcd_request is not None:
        if not 0 < len(header.inline_p2pcd_request) <= MAX_P2PCD_REQUESTS:
            raise EncodeError("inline_p2pcd_request", f"{len(header.inline_p2pcd_request)} identifiers")
        additions[0] = encode_sequence_of(header.inline_p2pcd_request, "inline_p2pcd_request")
    if header.requested_certificate is not None:
        additions[1] = header.requested_certificate.encoded
    if header.pdu_functional_type is not None:
        additions[2] = encode_unsigned(header.pdu_functional_type, 1, "pdu_functional_type")
    if header.contributed_extensions is not None:
        additions[3] = encode_sequence_of(
            tuple(
                encode_unsigned(entry.contributor, 1, "contributor")
                + encode_sequence_of(tuple(encode_opaque(octets, "extension") for octets in entry.extensions), "extensions")
                for entry in header.contributed_extensions
            ),
            "contributed_extensions",
        )
    return additions


def _encode_generation_location(place: GenerationLocation) -> bytes:
    lat = UNKNOWN_LATITUDE if place.location is None else place.location.lat
    lon = UNKNOWN_LONGITUDE if place.location is None else place.location.lon
    return (
        encode_signed(lat, 4, "generation_location.lat")
        + encode_signed(lon, 4, "generation_location.lon")
        + encode_unsigned(place.elevation, 2, "generation_location.elevation")
    )


def _encode_signer(signer: SignerIdentifier) -> bytes:
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
            content = _read_encrypted(reader)
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
    header = _read_header(reader)
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


def _read_header(reader: CoerReader) -> HeaderInfo:
    present = reader.preamble("header", bits=7)
    psid = reader.quantity("header.psid")
    generation_time = Time64(reader.unsigned(8, "header.generation_time")) if present & 0x40 else None
    expiry_time = Time64(reader.unsigned(8, "header.expiry_time")) if present & 0x20 else None
    location = _read_generation_location(reader) if present & 0x10 else None
    learning = HashedId3(reader.octets(3, "header.p2pcd_learning_request")) if present & 0x08 else None
    missing_crl = _read_missing_crl(reader) if present & 0x04 else None
    encryption_key, symmetric_key = _read_header_key(reader) if present & 0x02 else (None, None)
    requests: tuple[HashedId3, ...] | None = None
    requested: Certificate | None = None
    functional_type: int | None = None
    contributed: tuple[ContributedExtension, ...] | None = None
    for index, inner in reader.additions("header.extensions") if present & 0x80 else ():
        match index:
            case 0:
                requests = _read_p2pcd_requests(inner)
            case 1:
                requested = read_certificate(inner, "header.requested_certificate")
            case 2:
                functional_type = inner.unsigned(1, "header.pdu_functional_type")
            case 3:
                contributed = _read_contributed(inner)
            case _:
                raise inner.refuse("header.extensions", f"addition {index} is unknown")
        inner.finish("header.extensions")
    return HeaderInfo(
        psid=psid,
        generation_time=generation_time,
        expiry_time=expiry_time,
        generation_location=location,
        p2pcd_learning_request=learning,
        missing_crl=missing_crl,
        encryption_key=encryption_key,
        symmetric_key=symmetric_key,
        inline_p2pcd_request=requests,
        requested_certificate=requested,
        pdu_functional_type=functional_type,
        contributed_extensions=contributed,
    )


def _read_generation_location(reader: CoerReader) -> GenerationLocation:
    field = "header.generation_location"
    lat = reader.signed(4, field)
    lon = reader.signed(4, field)
    elevation = reader.unsigned(2, field)
    if not (-MAX_LATITUDE <= lat <= UNKNOWN_LATITUDE and -MAX_LONGITUDE <= lon <= UNKNOWN_LONGITUDE):
        raise reader.refuse(field, f"no such place: {lat}, {lon}")
    unknown = lat == UNKNOWN_LATITUDE or lon == UNKNOWN_LONGITUDE
    return GenerationLocation(location=None if unknown else Location(lat, lon), elevation=elevation)


def _read_missing_crl(reader: CoerReader) -> bytes:
    field = "header.missing_crl"
    start = reader.position
    if reader.preamble(field, bits=1):
        raise reader.refuse(field, "extensions are not supported")
    reader.octets(3 + 2, field)
    return reader.since(start)


def _read_header_key(reader: CoerReader) -> tuple[EncryptionKey | None, bytes | None]:
    field = "header.encryption_key"
    match reader.choice(field):
        case 0:
            key = read_encryption_key(reader, field)
            if key.point.form not in (PointForm.COMPRESSED_Y0, PointForm.COMPRESSED_Y1):
                raise reader.refuse(field, "a key in a signed header is compressed, or it would be hashed in two ways")
            return key, None
        case 1:
            if reader.choice(field) != 0:
                raise reader.refuse(field, "the symmetric algorithm is not AES-128-CCM")
            return None, reader.octets(16, field)
        case index:
            raise reader.refuse(field, f"key alternative {index} is unknown")


def _read_p2pcd_requests(reader: CoerReader) -> tuple[HashedId3, ...]:
    field = "header.inline_p2pcd_request"
    count = reader.count(field, minimum=1, maximum=MAX_P2PCD_REQUESTS)
    return tuple(HashedId3(reader.octets(3, field)) for _ in range(count))


def _read_contributed(reader: CoerReader) -> tuple[ContributedExtension, ...]:
    field = "header.contributed_extensions"
    entries = []
    for _ in range(reader.count(field, minimum=1, maximum=MAX_CONTRIBUTED_EXTENSIONS)):
        contributor = reader.unsigned(1, field)
        count = reader.count(field, minimum=1, maximum=MAX_CONTRIBUTED_EXTENSIONS)
        extensions = tuple(reader.opaque(field) for _ in range(count))
        entries.append(ContributedExtension(contributor=contributor, extensions=extensions))
    return tuple(entries)


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


def _read_encrypted(reader: CoerReader) -> EncryptedData:
    count = reader.count("encrypted.recipients", minimum=1, maximum=MAX_RECIPIENTS)
    recipients = tuple(_read_recipient(reader) for _ in range(count))
    nonce, ciphertext = _read_ciphertext(reader)
    return EncryptedData(recipients=recipients, nonce=nonce, ciphertext=ciphertext)


def _read_recipient(reader: CoerReader) -> Recipient:
    field = "encrypted.recipients"
    index = reader.choice(field)
    if index > RecipientKind.REKEY.value:
        raise reader.refuse(field, f"recipient alternative {index} is unknown")
    kind = RecipientKind(index)
    identifier = HashedId8(reader.octets(8, field))
    start = reader.position
    match kind:
        case RecipientKind.PRE_SHARED:
            pass
        case RecipientKind.SYMMETRIC:
            _read_ciphertext(reader)
        case RecipientKind.CERTIFICATE | RecipientKind.SIGNED_DATA | RecipientKind.REKEY:
            if reader.choice(field) > 1:
                raise reader.refuse(field, "the encrypted key is of an unknown kind")
            point = read_point(reader, 32, field)
            if point.form is PointForm.X_ONLY:
                raise reader.refuse(field, "an x-only point does not determine a public key")
            reader.octets(16 + 16, field)
    return Recipient(kind=kind, hashed_id8=identifier, encrypted_key=reader.since(start))


def _read_ciphertext(reader: CoerReader) -> tuple[bytes, bytes]:
    field = "encrypted.ciphertext"
    if reader.choice(field) != 0:
        raise reader.refuse(field, "the symmetric algorithm is not AES-128-CCM")
    nonce = reader.octets(12, field)
    ciphertext = reader.opaque(field)
    if len(ciphertext) < 16:
        raise reader.refuse(field, "shorter than its tag")
    return nonce, ciphertext
