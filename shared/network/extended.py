"""Extended headers (EN 302 636-4-1 V1.4.1 clause 9.8): single-hop broadcast, geocast and beacon.

    SHB     source LPV 24 | media-dependent data 4                                                  28 octets
    GBC/GAC sequence number 2 | reserved 2 | source LPV 24 | area 14 | reserved 2                    44 octets
    beacon  source LPV 24                                                                           24 octets

The media-dependent data is the channel load of TS 102 636-4-2 V1.4.1 clause 5: own and one-hop channel busy ratio, transmit power.
Unicast, topologically scoped broadcast and location service are not decoded; `shared.network.packet` names them when it refuses.
"""

from dataclasses import dataclass
from struct import Struct

from shared.core.errors import EncodeError
from shared.network.area import AREA_OCTETS, Area, AreaShape, decode_area, encode_area
from shared.network.octets import require_length, require_unsigned
from shared.network.position_vector import (
    LONG_POSITION_VECTOR_OCTETS,
    LongPositionVector,
    decode_long_position_vector,
    encode_long_position_vector,
)

SHB_OCTETS = LONG_POSITION_VECTOR_OCTETS + 4
GEOCAST_OCTETS = 4 + LONG_POSITION_VECTOR_OCTETS + AREA_OCTETS + 2
BEACON_OCTETS = LONG_POSITION_VECTOR_OCTETS

_CHANNEL_LOAD = Struct(">BBH")
_GEOCAST_HEAD = Struct(">HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLoad:
    """What a station tells its neighbours of the channel; all three at zero reads back as None.

    Attributes:
        busy_ratio: own channel busy ratio, 0..1, in steps of 1/255.
        neighbours_busy_ratio: largest ratio its one-hop neighbours report, 0..1.
        power_dbm: transmit power of this packet, 0..31.
    """

    busy_ratio: float
    neighbours_busy_ratio: float
    power_dbm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShbHeader:
    """Single-hop broadcast: for whoever hears it.

    Attributes:
        source: the sender.
        channel_load: media-dependent data, None where the sender measures nothing.
    """

    source: LongPositionVector
    channel_load: ChannelLoad | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GbcHeader:
    """Geographically-scoped broadcast: for everybody in the area.

    Attributes:
        sequence_number: the source's running number, 0..65535.
        source: who said it first, whoever forwarded it.
        area: where it is meant to be heard.
    """

    sequence_number: int
    source: LongPositionVector
    area: Area


@dataclass(frozen=True, slots=True, kw_only=True)
class GacHeader:
    """Geographically-scoped anycast: for any one station in the area; fields as in `GbcHeader`."""

    sequence_number: int
    source: LongPositionVector
    area: Area


ExtendedHeader = ShbHeader | GbcHeader | GacHeader


def encode_shb(header: ShbHeader) -> bytes:
    """Return 28 octets; raises `EncodeError` for a ratio outside 0..1 or a power outside 0..31 dBm."""
    return encode_long_position_vector(header.source) + _encode_channel_load(header.channel_load)


def decode_shb(data: bytes) -> ShbHeader:
    """Read 28 octets; raises `DecodeError`."""
    require_length(data, SHB_OCTETS, "shb_header")
    return ShbHeader(
        source=decode_long_position_vector(data[:LONG_POSITION_VECTOR_OCTETS]),
        channel_load=_decode_channel_load(data[LONG_POSITION_VECTOR_OCTETS:]),
    )


def encode_geocast(header: GbcHeader | GacHeader) -> bytes:
    """Return 44 octets; raises `EncodeError` for a number that does not fit or an area too large."""
    return b"".join(
        (
            _GEOCAST_HEAD.pack(require_unsigned(header.sequence_number, 16, "geocast.sequence_number"), 0),
            encode_long_position_vector(header.source),
            encode_area(header.area),
            bytes(2),
        )
    )


def decode_gbc(data: bytes, shape: AreaShape) -> GbcHeader:
    """Read 44 octets of a broadcast to an area of the given shape; raises `DecodeError`."""
    sequence_number, source, area = _decode_geocast(data, shape)
    return GbcHeader(sequence_number=sequence_number, source=source, area=area)


def decode_gac(data: bytes, shape: AreaShape) -> GacHeader:
    """Read 44 octets of an anycast to an area of the given shape; raises `DecodeError`."""
    sequence_number, source, area = _decode_geocast(data, shape)
    return GacHeader(sequence_number=sequence_number, source=source, area=area)


def _decode_geocast(data: bytes, shape: AreaShape) -> tuple[int, LongPositionVector, Area]:
    require_length(data, GEOCAST_OCTETS, "geocast_header")
    sequence_number, _reserved = _GEOCAST_HEAD.unpack(data[:4])
    area_at = 4 + LONG_POSITION_VECTOR_OCTETS
    source = decode_long_position_vector(data[4:area_at])
    return sequence_number, source, decode_area(data[area_at : area_at + AREA_OCTETS], shape)


def _encode_channel_load(load: ChannelLoad | None) -> bytes:
    if load is None:
        return bytes(_CHANNEL_LOAD.size)
    for ratio, field in ((load.busy_ratio, "busy_ratio"), (load.neighbours_busy_ratio, "neighbours_busy_ratio")):
        if not 0.0 <= ratio <= 1.0:
            raise EncodeError(f"channel_load.{field}", f"{ratio} is no ratio")
    power_dbm = require_unsigned(load.power_dbm, 5, "channel_load.power_dbm")
    return _CHANNEL_LOAD.pack(round(load.busy_ratio * 255), round(load.neighbours_busy_ratio * 255), power_dbm << 11)


def _decode_channel_load(data: bytes) -> ChannelLoad | None:
    own, neighbours, power = _CHANNEL_LOAD.unpack(data)
    power_dbm = power >> 11
    if not (own or neighbours or power_dbm):
        return None
    return ChannelLoad(busy_ratio=own / 255, neighbours_busy_ratio=neighbours / 255, power_dbm=power_dbm)
