"""Basic Header and Common Header (EN 302 636-4-1 V1.4.1 clauses 9.6 and 9.7).

    Basic   4 octets: version 4 | next header 4 | reserved 8 | lifetime 6 * base 2 | remaining hop limit 8
    Common  8 octets: next header 4 | reserved 4 | type 4 | subtype 4 | traffic class 8 | flags 8 | payload length 16 |
                      maximum hop limit 8 | reserved 8

The Basic Header stays outside what is signed: a forwarder changes the hop limit in it and nothing else (`forwarded`). Reserved
bits are ignored on reception and zero when we encode. Two ways to write one lifetime exist (60 s is 6 x 10 s or 60 x 1 s): both
are read; we write the coarsest base that says it, as cars do (`1a` for 60 s).
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from shared.core.clock import NS_PER_MS
from shared.core.errors import DecodeError, EncodeError
from shared.network.octets import require_length, require_unsigned, split

BASIC_HEADER_OCTETS = 4
COMMON_HEADER_OCTETS = 8
PROTOCOL_VERSION = 1
"""`itsGnProtocolVersion`."""

DEFAULT_LIFETIME_MS = 60_000
"""`itsGnDefaultPacketLifetime`."""

MAX_LIFETIME_MS = 600_000
"""`itsGnMaxPacketLifetime`: we never ask for more."""

DEFAULT_HOP_LIMIT = 10
"""`itsGnDefaultHopLimit`."""

LIFETIME_BASES_MS = (50, 1_000, 10_000, 100_000)

LIFETIME_OCTET = 2
HOP_LIMIT_OCTET = 3
"""Where the Basic Header says how long a packet is of use, and how many hops are left."""

LEAST_LIFETIME = 1 << 2
"""A lifetime octet below this says no time at all, whatever its base."""

_BASIC = Struct(">BBBB")
_COMMON = Struct(">BBBBHBB")
_MAX_MULTIPLIER = 0x3F
_MOBILE = 0x80


class BasicNextHeader(IntEnum):
    """What follows the Basic Header (clause 9.6); `ANY` is refused on reception."""

    COMMON = 1
    SECURED = 2


class CommonNextHeader(IntEnum):
    """What follows the extended header (clause 9.7)."""

    ANY = 0
    BTP_A = 1
    BTP_B = 2
    IPV6 = 3


class HeaderType(IntEnum):
    """Type << 4 | subtype of the extended header (clause 9.7)."""

    BEACON = 0x10
    GUC = 0x20
    GAC_CIRCLE = 0x30
    GAC_RECTANGLE = 0x31
    GAC_ELLIPSE = 0x32
    GBC_CIRCLE = 0x40
    GBC_RECTANGLE = 0x41
    GBC_ELLIPSE = 0x42
    SHB = 0x50
    TSB = 0x51
    LS_REQUEST = 0x60
    LS_REPLY = 0x61


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficClass:
    """How a packet may be queued (clause 9.7).

    Attributes:
        priority: identifier 0..63, 0 the most urgent; CAM 2, DENM 1.
        store_carry_forward: keep the packet while there is nobody to pass it to.
        channel_offload: another channel may be used.
    """

    priority: int
    store_carry_forward: bool = False
    channel_offload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicHeader:
    """The four octets in front of everything, unsigned.

    Attributes:
        next_header: secured, or a bare Common Header.
        lifetime_ms: how long the packet is of use; encoded as the nearest representable time not exceeding it.
        remaining_hop_limit: hops left, 0..255.
    """

    next_header: BasicNextHeader
    lifetime_ms: int
    remaining_hop_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonHeader:
    """The eight octets that begin the signed packet.

    Attributes:
        next_header: the transport protocol.
        header_type: which extended header follows.
        traffic_class: queueing.
        is_mobile: the sender can move (`itsGnIsMobile`).
        payload_octets: octets after the extended header, 0..65535.
        max_hop_limit: hops the packet began with, 0..255.
    """

    next_header: CommonNextHeader
    header_type: HeaderType
    traffic_class: TrafficClass
    is_mobile: bool
    payload_octets: int
    max_hop_limit: int


def encode_basic_header(header: BasicHeader) -> bytes:
    """Return four octets; raises `EncodeError` for a lifetime below 50 ms or beyond `MAX_LIFETIME_MS`."""
    return _BASIC.pack(
        PROTOCOL_VERSION << 4 | header.next_header,
        0,
        encode_lifetime(header.lifetime_ms),
        require_unsigned(header.remaining_hop_limit, 8, "basic_header.remaining_hop_limit"),
    )


def decode_basic_header(packet: bytes) -> tuple[BasicHeader, bytes]:
    """Read the Basic Header of a whole packet.

    Returns:
        The header, and the rest of the packet: a secured structure, or a bare Common Header and what follows it.

    Raises:
        DecodeError: cut short, another version, or a next header that is neither.
    """
    head, rest = split(packet, BASIC_HEADER_OCTETS, "basic_header")
    first, _reserved, lifetime, remaining_hop_limit = _BASIC.unpack(head)
    if first >> 4 != PROTOCOL_VERSION:
        raise DecodeError("basic_header.version", f"{first >> 4} instead of {PROTOCOL_VERSION}", 0)
    try:
        next_header = BasicNextHeader(first & 0xF)
    except ValueError:
        raise DecodeError("basic_header.next_header", f"{first & 0xF} is neither common nor secured", 4) from None
    return (
        BasicHeader(
            next_header=next_header,
            lifetime_ms=decode_lifetime(lifetime),
            remaining_hop_limit=remaining_hop_limit,
        ),
        rest,
    )


def encode_lifetime(lifetime_ms: int) -> int:
    """Return the octet for the nearest representable lifetime not exceeding `lifetime_ms` (clause 9.6).

    Raises:
        EncodeError: below the 50 ms that can be said, or above `MAX_LIFETIME_MS`.
    """
    if not LIFETIME_BASES_MS[0] <= lifetime_ms <= MAX_LIFETIME_MS:
        raise EncodeError("basic_header.lifetime", f"{lifetime_ms} ms is outside {LIFETIME_BASES_MS[0]}..{MAX_LIFETIME_MS}")
    candidates = ((min(lifetime_ms // base_ms, _MAX_MULTIPLIER), code) for code, base_ms in enumerate(LIFETIME_BASES_MS))
    multiplier, code = max(candidates, key=lambda c: (c[0] * LIFETIME_BASES_MS[c[1]], c[1]))
    return multiplier << 2 | code


def decode_lifetime(octet: int) -> int:
    """Return milliseconds, 0..6,300,000; every octet says one."""
    return (octet >> 2) * LIFETIME_BASES_MS[octet & 3]


def lifetime_ns(packet: bytes) -> int:
    """Return how long a packet says it is of use, at most as long as a packet may."""
    return min(decode_lifetime(packet[LIFETIME_OCTET]), MAX_LIFETIME_MS) * NS_PER_MS


def forwarded(packet: bytes) -> bytes:
    """Return `packet` as a forwarder sends it on: one hop less, every other octet untouched.

    Raises:
        DecodeError: the packet has no Basic Header or no hop left.
    """
    header, rest = decode_basic_header(packet)
    if header.remaining_hop_limit < 2:
        raise DecodeError("basic_header.remaining_hop_limit", "no hop left to forward with", 24)
    return packet[:3] + bytes((header.remaining_hop_limit - 1,)) + rest


def encode_common_header(header: CommonHeader) -> bytes:
    """Return eight octets; raises `EncodeError` for a number that does not fit."""
    return _COMMON.pack(
        header.next_header << 4,
        header.header_type,
        _encode_traffic_class(header.traffic_class),
        _MOBILE if header.is_mobile else 0,
        require_unsigned(header.payload_octets, 16, "common_header.payload_length"),
        require_unsigned(header.max_hop_limit, 8, "common_header.max_hop_limit"),
        0,
    )


def decode_common_header(data: bytes) -> CommonHeader:
    """Read eight octets; raises `DecodeError` for another length or a type or next header without meaning."""
    require_length(data, COMMON_HEADER_OCTETS, "common_header")
    next_header, header_type, traffic_class, flags, payload_octets, max_hop_limit, _reserved = _COMMON.unpack(data)
    try:
        following = CommonNextHeader(next_header >> 4)
    except ValueError:
        raise DecodeError("common_header.next_header", f"{next_header >> 4} has no meaning", 0) from None
    try:
        kind = HeaderType(header_type)
    except ValueError:
        raise DecodeError("common_header.header_type", f"{header_type:#04x} has no meaning", 8) from None
    return CommonHeader(
        next_header=following,
        header_type=kind,
        traffic_class=TrafficClass(
            priority=traffic_class & 0x3F,
            store_carry_forward=bool(traffic_class & 0x80),
            channel_offload=bool(traffic_class & 0x40),
        ),
        is_mobile=bool(flags & _MOBILE),
        payload_octets=payload_octets,
        max_hop_limit=max_hop_limit,
    )


def _encode_traffic_class(traffic_class: TrafficClass) -> int:
    priority = require_unsigned(traffic_class.priority, 6, "common_header.traffic_class.priority")
    return (0x80 if traffic_class.store_carry_forward else 0) | (0x40 if traffic_class.channel_offload else 0) | priority
