"""Long position vector (EN 302 636-4-1 V1.4.1 clause 9.5.2): where the sender was, when, and how it moved.

    GN address 64 | timestamp u32 ms | latitude i32 | longitude i32 (0.1 micro-degree) |
    PAI 1 | speed i15 (0.01 m/s) | heading u16 (0.1 degree)

What is unknown is zero on the wire (clause 8.2: a router starts with every element zero):

- no position: latitude, longitude and PAI zero; the same on reception reads as None, and then a zero speed or heading is None too;
- no speed or no heading beside a known position: zero on the wire, and a receiver cannot tell it from a standstill or from north.
  The vector only steers forwarding; the message inside says what is unavailable.

Some senders write the "unavailable" of TS 102 894-2 instead (900000001, 1800000001, 3601): those read as None; any other number
outside the range is refused. Speeds beyond +-163.8 m/s saturate. Short position vectors are not here: nothing of ours unicasts.
"""

from dataclasses import dataclass
from struct import Struct

from shared.core.errors import DecodeError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time64, gn_timestamp
from shared.network.address import ADDRESS_OCTETS, GnAddress, decode_address, encode_address
from shared.network.octets import require_length, require_unsigned, scaled

LONG_POSITION_VECTOR_OCTETS = 24
SPEED_MAX_MPS = 163.83
SPEED_MIN_MPS = -163.84

_LAYOUT = Struct(">8sIiiHH")
_DEG = 10_000_000
_LAT_UNAVAILABLE = 900_000_001
_LON_UNAVAILABLE = 1_800_000_001
_HEADING_UNAVAILABLE = 3_601
_SPEED_MAX = 0x3FFF
_SPEED_MIN = -0x4000
_PAI = 0x8000
_US_PER_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LongPositionVector:
    """Where a station was at one moment.

    Attributes:
        address: the station.
        timestamp_ms: TAI milliseconds since 2004 modulo 2^32 (`shared.core.itstime.gn_timestamp`), when the position was taken.
        position: where, or None while there is no fix.
        is_accurate: PAI: the position is within `itsGnPaiInterval` of the truth; never set without a position.
        speed_mps: over ground, negative in reverse, -163.84..163.83, or None.
        heading_deg: clockwise from north, [0, 360), or None.
    """

    address: GnAddress
    timestamp_ms: int
    position: GeoPoint | None
    is_accurate: bool
    speed_mps: float | None
    heading_deg: float | None


def encode_long_position_vector(vector: LongPositionVector) -> bytes:
    """Return the 24 octets of `vector`; raises `EncodeError` for a value the field cannot say even saturated."""
    lat = lon = 0
    if vector.position is not None:
        lat = scaled(vector.position.lat_deg, _DEG, "position_vector.latitude")
        lon = scaled(vector.position.lon_deg, _DEG, "position_vector.longitude")
    elif vector.is_accurate:
        raise EncodeError("position_vector.is_accurate", "set without a position")
    speed = 0 if vector.speed_mps is None else scaled(vector.speed_mps, 100, "position_vector.speed")
    speed = max(_SPEED_MIN, min(_SPEED_MAX, speed))
    return _LAYOUT.pack(
        encode_address(vector.address),
        require_unsigned(vector.timestamp_ms, 32, "position_vector.timestamp"),
        lat,
        lon,
        (_PAI if vector.is_accurate else 0) | speed & 0x7FFF,
        _heading(vector.heading_deg),
    )


def decode_long_position_vector(data: bytes) -> LongPositionVector:
    """Read 24 octets; raises `DecodeError` for another length or a place or heading that does not exist."""
    require_length(data, LONG_POSITION_VECTOR_OCTETS, "position_vector")
    address, timestamp_ms, lat, lon, motion, heading = _LAYOUT.unpack(data)
    is_accurate = bool(motion & _PAI)
    position = _position(lat, lon, is_accurate=is_accurate)
    speed = (motion & 0x7FFF ^ 0x4000) - 0x4000
    if heading > _HEADING_UNAVAILABLE:
        raise DecodeError("position_vector.heading", f"{heading} is more than a full turn", 22 * 8)
    unknown = position is None
    return LongPositionVector(
        address=decode_address(address),
        timestamp_ms=timestamp_ms,
        position=position,
        is_accurate=is_accurate and not unknown,
        speed_mps=None if unknown and speed == 0 else speed / 100,
        heading_deg=None if heading == _HEADING_UNAVAILABLE or (unknown and heading == 0) else heading % 3_600 / 10,
    )


def is_later(timestamp_ms: int, than_ms: int) -> bool:
    """Say whether one timestamp is later than another on the circle of 2^32 ms (EN 302 636-4-1 V1.4.1 annex C)."""
    return 0 < (timestamp_ms - than_ms) & 0xFFFFFFFF < 1 << 31


def time64_nearest(timestamp_ms: int, reference: Time64) -> Time64:
    """Return the full time a timestamp stands for: the one closest to `reference` (within 24.8 days of it)."""
    behind_ms = (gn_timestamp(reference) - timestamp_ms + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
    return Time64((reference // _US_PER_MS - behind_ms) * _US_PER_MS)


def _heading(heading_deg: float | None) -> int:
    if heading_deg is None:
        return 0
    tenths = scaled(heading_deg, 10, "position_vector.heading")
    if not 0.0 <= heading_deg <= 360.0:
        raise EncodeError("position_vector.heading", f"{heading_deg} degrees is outside 0..360")
    return tenths % 3_600


def _position(lat: int, lon: int, *, is_accurate: bool) -> GeoPoint | None:
    if lat == _LAT_UNAVAILABLE or lon == _LON_UNAVAILABLE or (lat == lon == 0 and not is_accurate):
        return None
    if abs(lat) > 90 * _DEG:
        raise DecodeError("position_vector.latitude", f"{lat} is beyond the pole", (ADDRESS_OCTETS + 4) * 8)
    if abs(lon) > 180 * _DEG:
        raise DecodeError("position_vector.longitude", f"{lon} is beyond 180 degrees", (ADDRESS_OCTETS + 8) * 8)
    return GeoPoint(lat / _DEG, lon / _DEG)
