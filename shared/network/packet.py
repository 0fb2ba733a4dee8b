"""A GeoNetworking packet as it is signed: Common Header, extended header, BTP-B, message (EN 302 636-4-1 V1.4.1 clause 9.3).

    Basic Header | secured( Common Header | extended header | BTP-B | message )
    ------------   ----------------------------------------------------------
    headers.py     this file: `encode_gn_payload` / `decode_gn_payload`

What is in the parentheses is the payload a signature covers; what comes before it is not covered, so whatever both parts say is
compared by `check_hop_limit`. Strict on reception: the payload length matches exactly and nothing is left over; reserved fields
are ignored, as the standard asks, and written as zero.
"""

from dataclasses import dataclass
from typing import assert_never

from shared.core.errors import DecodeError, EncodeError
from shared.network.area import Area, AreaShape, shape_of
from shared.network.btp import BTP_OCTETS, BtpB, decode_btp_b, encode_btp_b
from shared.network.extended import (
    BEACON_OCTETS,
    GEOCAST_OCTETS,
    SHB_OCTETS,
    ExtendedHeader,
    GacHeader,
    GbcHeader,
    ShbHeader,
    decode_gac,
    decode_gbc,
    decode_shb,
    encode_geocast,
    encode_shb,
)
from shared.network.headers import (
    COMMON_HEADER_OCTETS,
    DEFAULT_HOP_LIMIT,
    BasicHeader,
    CommonHeader,
    CommonNextHeader,
    HeaderType,
    TrafficClass,
    decode_common_header,
    encode_common_header,
)
from shared.network.octets import split
from shared.network.position_vector import LongPositionVector, decode_long_position_vector, encode_long_position_vector

MAX_SDU_OCTETS = 1_398
"""`itsGnMaxSduSize`: BTP header and message together."""

MAX_PACKET_OCTETS = 2_304
"""Largest MSDU of IEEE 802.11: a longer packet cannot have come over ITS-G5."""

SINGLE_HOP = 1


class UnsupportedPacketError(DecodeError):
    """A well-formed packet of a kind this station has no use for."""

    @property
    def code(self) -> str:
        """`unsupported_packet`."""
        return "unsupported_packet"


class ExpiredPacketError(DecodeError):
    """A well-formed packet that is of no use any more, or says that it never was."""

    @property
    def code(self) -> str:
        """`expired_packet`."""
        return "expired_packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class GnPayload:
    """A packet that carries a message.

    Attributes:
        common: the Common Header.
        extended: how far the packet goes, and from whom.
        btp: which facility it is for.
        message: the facility's octets, at least one.
    """

    common: CommonHeader
    extended: ExtendedHeader
    btp: BtpB
    message: bytes

    @property
    def source(self) -> LongPositionVector:
        """Who said it first, where they were and when."""
        return self.extended.source

    @property
    def area(self) -> Area | None:
        """Where it is meant to be heard, or None for a single hop."""
        return None if isinstance(self.extended, ShbHeader) else self.extended.area


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """A packet that only says where its sender is; sent by stations that have been silent for three seconds."""

    common: CommonHeader
    source: LongPositionVector


def encode_gn_payload(
    *,
    extended: ExtendedHeader,
    btp: BtpB,
    message: bytes,
    traffic_class: TrafficClass,
    is_mobile: bool,
    max_hop_limit: int | None = None,
) -> bytes:
    """Return the octets that get signed.

    Args:
        extended: single hop or geocast.
        btp: destination port.
        message: the facility's encoded message.
        traffic_class: queueing.
        is_mobile: the station can move.
        max_hop_limit: hops a geocast may take, 1..255, by default `DEFAULT_HOP_LIMIT`; a single hop is always 1.

    Raises:
        EncodeError: a value does not fit, the message is empty, or BTP and message exceed `MAX_SDU_OCTETS`.
    """
    sdu = encode_btp_b(btp) + message
    if not message:
        raise EncodeError("gn.message", "empty")
    if len(sdu) > MAX_SDU_OCTETS:
        raise EncodeError("gn.message", f"{len(sdu)} octets with BTP exceed the {MAX_SDU_OCTETS} of one packet")
    common = CommonHeader(
        next_header=CommonNextHeader.BTP_B,
        header_type=_header_type(extended),
        traffic_class=traffic_class,
        is_mobile=is_mobile,
        payload_octets=len(sdu),
        max_hop_limit=_max_hop_limit(extended, max_hop_limit),
    )
    header = encode_shb(extended) if isinstance(extended, ShbHeader) else encode_geocast(extended)
    return encode_common_header(common) + header + sdu


def encode_beacon(source: LongPositionVector, *, is_mobile: bool) -> bytes:
    """Return the octets of a beacon, from the Common Header on."""
    common = CommonHeader(
        next_header=CommonNextHeader.ANY,
        header_type=HeaderType.BEACON,
        traffic_class=TrafficClass(priority=0),
        is_mobile=is_mobile,
        payload_octets=0,
        max_hop_limit=SINGLE_HOP,
    )
    return encode_common_header(common) + encode_long_position_vector(source)


def decode_gn_payload(data: bytes) -> GnPayload:
    """Read a packet that carries a message, from the Common Header on.

    Raises:
        UnsupportedPacketError: a beacon, a kind of packet we do not take part in, or another transport than BTP-B.
        DecodeError: malformed.
    """
    pdu = decode_gn_pdu(data)
    if isinstance(pdu, Beacon):
        raise no_message()
    return pdu


def no_message() -> UnsupportedPacketError:
    """Return what is raised for a beacon where a message is wanted."""
    return UnsupportedPacketError("common_header.header_type", "a beacon carries no message", 8)


def decode_gn_pdu(data: bytes) -> GnPayload | Beacon:
    """Read any packet this station understands, from the Common Header on; raises as `decode_gn_payload`."""
    if len(data) > MAX_PACKET_OCTETS:
        raise DecodeError("gn", f"{len(data)} octets exceed the {MAX_PACKET_OCTETS} of a frame")
    head, rest = split(data, COMMON_HEADER_OCTETS, "common_header")
    common = decode_common_header(head)
    kind = common.header_type
    extended: ExtendedHeader
    match kind:
        case HeaderType.BEACON:
            return _decode_beacon(common, rest)
        case HeaderType.SHB:
            header, sdu = split(rest, SHB_OCTETS, "shb_header")
            extended = decode_shb(header)
        case HeaderType.GBC_CIRCLE | HeaderType.GBC_RECTANGLE | HeaderType.GBC_ELLIPSE:
            header, sdu = split(rest, GEOCAST_OCTETS, "geocast_header")
            extended = decode_gbc(header, AreaShape(kind & 0xF))
        case HeaderType.GAC_CIRCLE | HeaderType.GAC_RECTANGLE | HeaderType.GAC_ELLIPSE:
            header, sdu = split(rest, GEOCAST_OCTETS, "geocast_header")
            extended = decode_gac(header, AreaShape(kind & 0xF))
        case HeaderType.GUC | HeaderType.TSB | HeaderType.LS_REQUEST | HeaderType.LS_REPLY:
            raise UnsupportedPacketError("common_header.header_type", f"{kind.name} packets are not taken part in", 8)
        case _:
            assert_never(kind)
    _require_payload_length(common, sdu)
    if common.next_header is not CommonNextHeader.BTP_B:
        raise UnsupportedPacketError("common_header.next_header", f"{common.next_header.name} is not BTP_B", 0)
    btp, message = split(sdu, BTP_OCTETS, "btp")
    if not message:
        raise DecodeError("gn.message", "empty")
    return GnPayload(common=common, extended=extended, btp=decode_btp_b(btp), message=message)


def check_hop_limit(basic: BasicHeader, common: CommonHeader) -> None:
    """Raise `DecodeError` when more hops remain than the packet began with (clause 10.3.5): the unsigned part was changed."""
    if basic.remaining_hop_limit > common.max_hop_limit:
        raise DecodeError(
            "basic_header.remaining_hop_limit",
            f"{basic.remaining_hop_limit} hops remain of {common.max_hop_limit}",
            24,
        )


def _decode_beacon(common: CommonHeader, rest: bytes) -> Beacon:
    header, sdu = split(rest, BEACON_OCTETS, "beacon_header")
    _require_payload_length(common, sdu)
    if sdu:
        raise DecodeError("common_header.payload_length", "a beacon carries nothing", 32)
    return Beacon(common=common, source=decode_long_position_vector(header))


def _require_payload_length(common: CommonHeader, sdu: bytes) -> None:
    if common.payload_octets != len(sdu):
        raise DecodeError("common_header.payload_length", f"{common.payload_octets} octets announced, {len(sdu)} there", 32)


def _header_type(extended: ExtendedHeader) -> HeaderType:
    match extended:
        case ShbHeader():
            return HeaderType.SHB
        case GbcHeader():
            return HeaderType(HeaderType.GBC_CIRCLE | shape_of(extended.area))
        case GacHeader():
            return HeaderType(HeaderType.GAC_CIRCLE | shape_of(extended.area))
        case _:
            assert_never(extended)


def _max_hop_limit(extended: ExtendedHeader, asked: int | None) -> int:
    if isinstance(extended, ShbHeader):
        if asked not in (None, SINGLE_HOP):
            raise EncodeError("common_header.max_hop_limit", f"{asked} hops for a single-hop broadcast")
        return SINGLE_HOP
    if asked is None:
        return DEFAULT_HOP_LIMIT
    if asked < 1:
        raise EncodeError("common_header.max_hop_limit", f"{asked} hops reach nobody")
    return asked
