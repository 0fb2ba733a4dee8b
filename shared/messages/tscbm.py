"""What a traffic signal controller broadcasts: the SPaT datagram of NTCIP 1202 ("TSCBM"), octets to values and back.

    octet   0  CD
            1  16, the number of entries
            2  16 entries of 13 octets: number 8 | vehicle min 16 | max 16 | pedestrian min 16 | max 16 | overlap min 16 | max 16
          210  11 sets of 16 bits, bit 0 for number 1: phases red, yellow, green; pedestrians don't walk, clear, walk;
               overlaps red, yellow, green; flashing phases, flashing overlaps
          232  intersection status 8 | time base action 8 | discontinuity 8 | message sequence 8
          236  hour 8 | minute 8 | second 8 | millisecond 16
          241  in the longer form: pedestrian calls 16 | pedestrian detections 16

Everything is big-endian, times are tenths of a second from now, and 65535 is no time. Decoding is strict: one of the two lengths,
entries numbered 1 to 16 in order, a time of day that there is. Whether the lights shown make sense is not asked here.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Any

from shared.core.errors import DecodeError, EncodeError
from shared.core.value import Value

NUMBERS = range(1, 17)
"""Numbers of phases, and of overlaps."""

_IDENTIFIER = 0xCD
_ENTRY = Struct(">B6H")
_ENTRIES_AT = 2
_SETS = Struct(">11H")
_SETS_AT = _ENTRIES_AT + len(NUMBERS) * _ENTRY.size
_TAIL = Struct(">7BH")
_TAIL_AT = _SETS_AT + _SETS.size
_PEDESTRIANS = Struct(">2H")

SHORT_OCTETS = _TAIL_AT + _TAIL.size
LONG_OCTETS = SHORT_OCTETS + _PEDESTRIANS.size

_NO_TIME = 65_535
_PER_SECOND = 10

_SET_NAMES = (
    "reds",
    "yellows",
    "greens",
    "dont_walks",
    "pedestrian_clears",
    "walks",
    "overlap_reds",
    "overlap_yellows",
    "overlap_greens",
    "flashing_phases",
    "flashing_overlaps",
)
_TAIL_NAMES = ("status", "time_base", "discontinuity", "sequence", "hour", "minute", "second", "millisecond")
_TAIL_GREATEST = (255, 255, 255, 255, 23, 59, 60, 999)
"""The second 60 is a leap second."""


class TimesToChange(Value):
    """How long what one phase or overlap shows lasts from now on, in seconds; None where the controller gives no time.

    Attributes:
        vehicle_min_s: 0..6553.4 in steps of 0.1, at least so long.
        vehicle_max_s: at most so long.
        pedestrian_min_s: likewise, for those on foot.
        pedestrian_max_s: likewise.
        overlap_min_s: likewise, for the overlap of this number.
        overlap_max_s: likewise.
    """

    vehicle_min_s: float | None = None
    vehicle_max_s: float | None = None
    pedestrian_min_s: float | None = None
    pedestrian_max_s: float | None = None
    overlap_min_s: float | None = None
    overlap_max_s: float | None = None


class Tscbm(Value):
    """One datagram. Sets hold the numbers of phases or overlaps, 1..16.

    Attributes:
        times: of the numbers 1 to 16, in order.
        reds: phases that show red; the other sets likewise.
        status: intersection status, as the controller writes it.
        time_base: time base control action status, likewise.
        discontinuity: octet that says that times may have jumped, likewise.
        sequence: message number, modulo 256.
        hour: time of day of the controller, 0..23.
        minute: 0..59.
        second: 0..60.
        millisecond: 0..999.
        pedestrian_calls: numbers with a call, None in the shorter form.
        pedestrian_detections: numbers with a detection, None in the shorter form.
    """

    times: tuple[TimesToChange, ...]
    reds: frozenset[int]
    yellows: frozenset[int]
    greens: frozenset[int]
    dont_walks: frozenset[int]
    pedestrian_clears: frozenset[int]
    walks: frozenset[int]
    overlap_reds: frozenset[int]
    overlap_yellows: frozenset[int]
    overlap_greens: frozenset[int]
    flashing_phases: frozenset[int]
    flashing_overlaps: frozenset[int]
    status: int
    time_base: int
    discontinuity: int
    sequence: int
    hour: int
    minute: int
    second: int
    millisecond: int
    pedestrian_calls: frozenset[int] | None = None
    pedestrian_detections: frozenset[int] | None = None


def decode_tscbm(datagram: bytes) -> Tscbm:
    """Decode one datagram; raises `DecodeError` naming field and bit."""
    if len(datagram) not in (SHORT_OCTETS, LONG_OCTETS):
        raise DecodeError("tscbm", f"{len(datagram)} octets, not {SHORT_OCTETS} or {LONG_OCTETS}")
    if datagram[0] != _IDENTIFIER:
        raise DecodeError("tscbm.identifier", f"{datagram[0]:#04x} is not {_IDENTIFIER:#04x}", 0)
    if datagram[1] != len(NUMBERS):
        raise DecodeError("tscbm.entries", f"{datagram[1]} entries, not {len(NUMBERS)}", 8)
    times = tuple(_read_times(datagram, number) for number in NUMBERS)
    sets = (_numbers(bits) for bits in _SETS.unpack_from(datagram, _SETS_AT))
    tail = _TAIL.unpack_from(datagram, _TAIL_AT)
    for name, value, greatest, bit in zip(
        _TAIL_NAMES, tail, _TAIL_GREATEST, range(8 * _TAIL_AT, 8 * SHORT_OCTETS, 8), strict=False
    ):
        if value > greatest:
            raise DecodeError(f"tscbm.{name}", f"{value} is more than {greatest}", bit)
    calls = detections = None
    if len(datagram) == LONG_OCTETS:
        calls, detections = (_numbers(bits) for bits in _PEDESTRIANS.unpack_from(datagram, SHORT_OCTETS))
    fields: dict[str, Any] = {**dict(zip(_SET_NAMES, sets, strict=True)), **dict(zip(_TAIL_NAMES, tail, strict=True))}
    return Tscbm(times=times, pedestrian_calls=calls, pedestrian_detections=detections, **fields)


def encode_tscbm(message: Tscbm) -> bytes:
    """Encode one datagram, in the longer form where it has pedestrian calls; raises `EncodeError` naming the field."""
    if len(message.times) != len(NUMBERS):
        raise EncodeError("times", f"{len(message.times)} entries, not {len(NUMBERS)}")
    encoded = bytearray((_IDENTIFIER, len(NUMBERS)))
    for number, times in zip(NUMBERS, message.times, strict=True):
        encoded += _ENTRY.pack(number, *(_tenths(f"times[{number}].{name}", getattr(times, name)) for name in _TIME_NAMES))
    encoded += _SETS.pack(*(_bits(name, getattr(message, name)) for name in _SET_NAMES))
    for name, greatest in zip(_TAIL_NAMES, _TAIL_GREATEST, strict=True):
        if not 0 <= getattr(message, name) <= greatest:
            raise EncodeError(name, f"{getattr(message, name)} is not in 0..{greatest}")
    encoded += _TAIL.pack(*(getattr(message, name) for name in _TAIL_NAMES))
    calls, detections = message.pedestrian_calls, message.pedestrian_detections
    if (calls is None) is not (detections is None):
        raise EncodeError("pedestrian_calls", "calls and detections are sent both or not at all")
    if calls is not None and detections is not None:
        encoded += _PEDESTRIANS.pack(_bits("pedestrian_calls", calls), _bits("pedestrian_detections", detections))
    return bytes(encoded)


_TIME_NAMES = TimesToChange.__struct_fields__


def _read_times(datagram: bytes, number: int) -> TimesToChange:
    at = _ENTRIES_AT + (number - 1) * _ENTRY.size
    found, *tenths = _ENTRY.unpack_from(datagram, at)
    if found != number:
        raise DecodeError(f"tscbm.times[{number}].number", f"{found} where {number} belongs", 8 * at)
    seconds = [None if count == _NO_TIME else count / _PER_SECOND for count in tenths]
    return TimesToChange(**dict(zip(_TIME_NAMES, seconds, strict=True)))


def _tenths(field: str, seconds: float | None) -> int:
    if seconds is None:
        return _NO_TIME
    if not 0.0 <= seconds <= (_NO_TIME - 1) / _PER_SECOND:
        raise EncodeError(field, f"{seconds} s cannot be said")
    return round(seconds * _PER_SECOND)


def _numbers(bits: int) -> frozenset[int]:
    return frozenset(number for number in NUMBERS if bits >> number - 1 & 1)


def _bits(field: str, numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        if number not in NUMBERS:
            raise EncodeError(field, f"there is no number {number}")
        bits |= 1 << number - 1
    return bits
