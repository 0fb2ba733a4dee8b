"""What a packet is, where it belongs and how long it is of use, read in microseconds and believed by nobody.

A medium that sorts packets by kind and place (MQTT topics) needs that much and no more: the service from the signed header (or,
of a packet that is not secured, from the BTP port), the place from the extended header, the lifetime from the Basic Header, the
generation time from the signed header. Nothing is verified: whoever lies about these lies only about where the packet is put.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.core.ids import BtpPort, ItsAid
from shared.core.itstime import Time64
from shared.network.area import AREA_OCTETS
from shared.network.btp import BTP_OCTETS
from shared.network.headers import (
    BASIC_HEADER_OCTETS,
    COMMON_HEADER_OCTETS,
    PROTOCOL_VERSION,
    BasicNextHeader,
    HeaderType,
    decode_lifetime,
)
from shared.network.position_vector import LONG_POSITION_VECTOR_OCTETS
from shared.security.peek import peek_claims

KINDS: Mapping[int, str] = {
    ItsAid.CAM: "cam",
    ItsAid.DENM: "denm",
    ItsAid.TLM: "spatem",
    ItsAid.RLT: "mapem",
    ItsAid.IVIM: "ivim",
    ItsAid.SREM: "srem",
    ItsAid.SSEM: "ssem",
    ItsAid.VAM: "vam",
    ItsAid.GNSS_CORRECTION: "rtcmem",
    ItsAid.GN_MANAGEMENT: "gn",
    639: "cpm",
}
"""Word of each service by ITS-AID; the word of any other is `aid` and its number."""

_KIND_OF_PORT: Mapping[int, str] = {port: port.name.lower() for port in BtpPort}

_PAYLOAD_LENGTH_AT = BASIC_HEADER_OCTETS + 6
"""Where TS 103 097 clause 7.1 puts the length of what is signed: behind version, type, hash, and three octets of structure."""

_PLACE = Struct(">ii")
_DEG = 10_000_000
_LATITUDE_AT = 12
"""Octet of the latitude within a long position vector."""

_GEOCAST_SOURCE_AT = 4
_GEOCASTS = frozenset((0x3, 0x4))
_WITH_SOURCE_FIRST = frozenset((HeaderType.BEACON >> 4, HeaderType.SHB >> 4))
_WITH_SEQUENCE_NUMBER = frozenset((HeaderType.GUC >> 4, HeaderType.TSB >> 4, HeaderType.LS_REQUEST >> 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketOutline:
    """What is to be known of a packet before it is put somewhere.

    Attributes:
        kind: a word of `KINDS`, or `aid` and a number; letters and digits only.
        place: the centre of the area it is meant for; of a single hop, where its sender is.
        lifetime_ms: from the Basic Header, 0 or more.
        generation_time: when it was signed; None where it is not secured.
        message_at: octet of the packet at which the facility's message begins, behind BTP; of a beacon, where it would.
        message_end: octet behind that message.
    """

    kind: str
    place: GeoPoint
    lifetime_ms: int
    generation_time: Time64 | None
    message_at: int
    message_end: int


def outline_of(packet: bytes) -> PacketOutline:
    """Read the outline of a packet from the Basic Header on; raises `TransportError` naming what cannot be read."""
    try:
        return _outline(packet)
    except IndexError:
        raise _refusal("the packet is cut short") from None


def generation_time_of(packet: bytes) -> tuple[int, Time64] | None:
    """Return ITS-AID and generation time of a secured packet; None for anything else."""
    claims = peek_claims(packet, BASIC_HEADER_OCTETS)
    return None if claims is None else (claims.psid, claims.generation_time)


def _outline(packet: bytes) -> PacketOutline:
    first = packet[0]
    if first >> 4 != PROTOCOL_VERSION:
        raise _refusal(f"GeoNetworking version {first >> 4} instead of {PROTOCOL_VERSION}")
    lifetime_ms = decode_lifetime(packet[2])
    match first & 0xF:
        case BasicNextHeader.SECURED:
            claims = peek_claims(packet, BASIC_HEADER_OCTETS)
            if claims is None:
                raise _refusal("its security header is none that is sent on the air")
            start, octets = _length(packet, _PAYLOAD_LENGTH_AT)
            place, btp_at = _place(packet, start)
            return PacketOutline(
                kind=KINDS.get(claims.psid) or f"aid{claims.psid}",
                place=place,
                lifetime_ms=lifetime_ms,
                generation_time=claims.generation_time,
                message_at=btp_at + BTP_OCTETS,
                message_end=start + octets,
            )
        case BasicNextHeader.COMMON:
            place, btp_at = _place(packet, BASIC_HEADER_OCTETS)
            return PacketOutline(
                kind=_kind(packet, btp_at),
                place=place,
                lifetime_ms=lifetime_ms,
                generation_time=None,
                message_at=btp_at + BTP_OCTETS,
                message_end=len(packet),
            )
        case other:
            raise _refusal(f"next header {other} is neither common nor secured")


def _place(packet: bytes, start: int) -> tuple[GeoPoint, int]:
    """Return where a packet belongs whose Common Header is at `start`, and where its extended header ends."""
    header_type = packet[start + 1]
    extended = start + COMMON_HEADER_OCTETS
    if header_type >> 4 in _GEOCASTS:
        at = extended + _GEOCAST_SOURCE_AT + LONG_POSITION_VECTOR_OCTETS
        place = _point(packet, at, "area")
        if place is None:
            place = GeoPoint(0.0, 0.0)  # an area may lie there; a station without a fix does not
        return place, at + AREA_OCTETS + 2
    if header_type >> 4 in _WITH_SOURCE_FIRST:
        source = extended
    elif header_type >> 4 in _WITH_SEQUENCE_NUMBER:
        source = extended + _GEOCAST_SOURCE_AT
    else:
        raise _refusal(f"header type {header_type:#04x} has no meaning")
    place = _point(packet, source + _LATITUDE_AT, "sender")
    if place is None:
        raise _refusal("its sender has no position, so it belongs nowhere")
    return place, source + LONG_POSITION_VECTOR_OCTETS + (4 if header_type == HeaderType.SHB else 0)


def _point(packet: bytes, at: int, whose: str) -> GeoPoint | None:
    """Read latitude and longitude; None for zero and zero, which says nothing."""
    if len(packet) < at + _PLACE.size:
        raise IndexError
    lat, lon = _PLACE.unpack_from(packet, at)
    if lat == lon == 0:
        return None
    if abs(lat) > 90 * _DEG or abs(lon) > 180 * _DEG:
        raise _refusal(f"the position of its {whose}, {lat} and {lon} (0.1 micro-degree), is no place")
    return GeoPoint(lat / _DEG, lon / _DEG)


def _kind(packet: bytes, btp_at: int) -> str:
    if btp_at == len(packet):
        return KINDS[ItsAid.GN_MANAGEMENT]  # a beacon
    port = packet[btp_at] << 8 | packet[btp_at + 1]
    return _KIND_OF_PORT.get(port) or f"port{port}"


def _length(packet: bytes, at: int) -> tuple[int, int]:
    """Return where what has its length at `at` begins, and the length."""
    first = packet[at]
    if first < 0x80:
        return at + 1, first
    width = first & 0x7F
    return at + 1 + width, int.from_bytes(packet[at + 1 : at + 1 + width], "big")


def _refusal(reason: str) -> TransportError:
    return TransportError("packet", reason)
