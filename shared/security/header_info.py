"""What a signed message says about itself: `HeaderInfo` of IEEE 1609.2 6.3.9, with the extension additions of both editions.

Two additions make the ETSI edition of 2019 (bitmap of 2 bits), four the edition of 2022 (4 bits); both are read, and the bitmap
written is the narrower one that holds what is present. Additions beyond those are refused. Which fields a message may have is
`header_policy`.
"""

from dataclasses import dataclass
from struct import Struct

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
from shared.core.ids import HashedId3
from shared.core.itstime import Time64
from shared.security.certificate import Certificate, read_certificate
from shared.security.ecdsa import PointForm
from shared.security.encryption_key import EncryptionKey, encode_encryption_key, read_encryption_key
from shared.security.region import MAX_LATITUDE, MAX_LONGITUDE, UNKNOWN_LATITUDE, UNKNOWN_LONGITUDE, Location

MAX_P2PCD_REQUESTS = 32
"""Identifiers in one `inlineP2pcdRequest`."""

MAX_CONTRIBUTED_EXTENSIONS = 8
"""Contributions in one header, and extensions in one contribution."""

_BRIEF = Struct(">BBBQ")
"""Preamble with generationTime only, ITS-AID of one octet and its length, `Time64`."""

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


def encode_brief_header(psid: int, generation_time: Time64) -> bytes:
    """Encode `HeaderInfo` that says nothing but service and time, as most do."""
    if psid < 0x100 and 0 <= generation_time < 1 << 64:
        return _BRIEF.pack(0x40, 1, psid, generation_time)
    return encode_header(HeaderInfo(psid=psid, generation_time=generation_time))


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


def read_header(reader: CoerReader) -> HeaderInfo:
    """Read `HeaderInfo`; raises `DecodeError`."""
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
