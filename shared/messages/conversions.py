"""Between SI values and wire numbers: one object per data element, with its unit and special values.

The elements are those of TS 102 894-2 V1.3.1 and ISO/TS 19091.

Every object is a `shared.codec.shape.Conversion`: `encode(field, value)` raises `EncodeError` naming `field`, `decode(wire)` is
total. Nothing else in the messages knows a scale or a number that means "unavailable".
"""

from collections.abc import Callable
from enum import IntEnum, IntFlag
from math import inf, nan
from typing import Any, Generic, TypeVar

from shared.codec.shape import Linear
from shared.codec.uper import Tree
from shared.codec.uper_scalars import shown
from shared.core.errors import EncodeError

_Member = TypeVar("_Member", bound=IntEnum)
_Flags = TypeVar("_Flags", bound=IntFlag)
_CEIL_TOLERANCE = 1e-6
_FAR = 1e15
"""Beyond this a value is out of every range, and need not be multiplied."""


class Quantity:
    """A physical value in equal steps.

    Args:
        per_unit: steps per SI unit.
        lower: least wire number that is a value.
        upper: greatest wire number that is a value.
        unavailable: wire number of `None`; without one `None` cannot be encoded.
        beyond: wire number of `inf`, "more than the field can say".
        saturates: values outside become the end of the range instead of an error; below only where there are negative values.
        rounds_up: to the next step up (accuracies), not to the nearest; the least step stands for anything from zero on.
    """

    __slots__ = ("beyond", "linear", "lower", "per_unit", "rounds_up", "saturates", "unavailable", "upper")

    def __init__(
        self,
        per_unit: float,
        lower: int,
        upper: int,
        *,
        unavailable: int | None = None,
        beyond: int | None = None,
        saturates: bool = False,
        rounds_up: bool = False,
    ) -> None:
        self.per_unit = float(per_unit)
        self.lower = lower
        self.upper = upper
        self.unavailable = unavailable
        self.beyond = beyond
        self.saturates = saturates
        self.rounds_up = rounds_up
        base = lower if unavailable is None else min(lower, unavailable)
        self.linear = Linear(self.per_unit, lower, upper, base, rounds_up=rounds_up)

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` for a value the element cannot say."""
        if value is None:
            if self.unavailable is None:
                raise EncodeError(field, "must be known")
            return self.unavailable
        try:
            if -_FAR < value < _FAR:
                wire = self.linear.wire(value)
                if self.lower <= wire <= self.upper:
                    return wire
            return self._extreme(field, value)
        except TypeError:
            return self.encode(field, _same_float(field, value))

    def decode(self, wire: int) -> float | None:
        """Return the value, None for unavailable, `inf` for beyond."""
        if wire == self.unavailable:
            return None
        if wire == self.beyond:
            return inf
        return wire / self.per_unit

    def _extreme(self, field: str, value: float) -> int:
        steps = value * self.per_unit if -_FAR < value < _FAR else value
        if steps > self.upper and self.beyond is not None:
            return self.beyond
        if steps > self.upper and self.saturates:
            return self.upper
        if (self.saturates and steps < self.lower < 0) or (self.rounds_up and 0 <= steps < self.lower):
            return self.lower
        raise EncodeError(field, f"{shown(value)} is not in {self.lower / self.per_unit:.10g}..{self.upper / self.per_unit:.10g}")


class Heading:
    """`HeadingValue`: degrees clockwise from north in steps of 0.1."""

    __slots__ = ()
    unavailable = 3601
    linear = Linear(10.0, 0, 3599)

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` outside [0, 360]."""
        if value is None:
            return self.unavailable
        try:
            wire = self.linear.wire(value) if -_FAR < value < _FAR else -1
        except TypeError:
            return self.encode(field, _same_float(field, value))
        if not 0 <= wire <= 3600:
            raise EncodeError(field, f"{shown(value)} is not in [0, 360)")
        return wire % 3600

    def decode(self, wire: int) -> float | None:
        """Return degrees in [0, 360), None for unavailable."""
        return None if wire == self.unavailable else wire % 3600 / 10.0


class Steps:
    """An enumerated accuracy: the least step that is not smaller than the value.

    Args:
        steps: the bounds in SI units, ascending; the wire numbers after them mean out of range and unavailable.
    """

    __slots__ = ("steps",)
    linear = None

    def __init__(self, *steps: float) -> None:
        self.steps = (*steps, inf)

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` for a negative accuracy."""
        if value is None:
            return len(self.steps)
        try:
            if not value >= 0:
                raise EncodeError(field, f"{shown(value)} is no accuracy")
            return next(wire for wire, step in enumerate(self.steps) if value <= step * (1 + _CEIL_TOLERANCE))
        except TypeError:
            return self.encode(field, _same_float(field, value))

    def decode(self, wire: int) -> float | None:
        """Return the bound, `inf` for out of range, None for unavailable."""
        return self.steps[wire] if wire < len(self.steps) else None


class Whole:
    """A whole number.

    Args:
        unavailable: wire number of `None`: 0, or the one after the greatest that is a value.
        assumed: wire number sent for `None`, but not read as such.
    """

    __slots__ = ("assumed", "linear", "unavailable")

    def __init__(self, *, unavailable: int | None = None, assumed: int | None = None) -> None:
        self.unavailable = unavailable
        self.assumed = unavailable if assumed is None else assumed
        self.linear = Linear(None, 0, unavailable - 1) if unavailable else None

    def encode(self, field: str, value: int | None) -> int:
        """Return the number; raises `EncodeError` where it must be known. Its range is the schema's business."""
        if value is not None:
            return _same_int(value)
        if self.assumed is None:
            raise EncodeError(field, "must be known")
        return self.assumed

    def decode(self, wire: int | str) -> int | None:
        """Return the number, None for unavailable and for numbers of later versions."""
        return None if wire == self.unavailable or isinstance(wire, str) else wire


class Clamped:
    """A whole number that becomes the end of its range where it lies outside."""

    __slots__ = ("lower", "upper")
    linear = None

    def __init__(self, lower: int, upper: int) -> None:
        self.lower = lower
        self.upper = upper

    def encode(self, field: str, value: int | None) -> int:
        """Return the number within the range; raises `EncodeError` for None."""
        if value is None:
            raise EncodeError(field, "must be known")
        return max(self.lower, min(self.upper, _same_int(value)))

    def decode(self, wire: int) -> int:
        """Return the number."""
        return wire


class Members(Generic[_Member]):
    """A closed enumeration.

    Args:
        enumeration: its members, which carry the wire numbers.
        unavailable: wire number of `None`; without one `None` cannot be encoded, but stands for numbers of later versions.
    """

    __slots__ = ("_members", "unavailable")
    linear = None

    def __init__(self, enumeration: type[_Member], *, unavailable: int | None = None) -> None:
        self._members: dict[int | str, _Member] = {member.value: member for member in enumeration}
        self.unavailable = unavailable

    def encode(self, field: str, value: int | None) -> int:
        """Return the wire number; raises `EncodeError` where it must be known."""
        if value is not None:
            return _same_int(value)
        if self.unavailable is None:
            raise EncodeError(field, "must be known")
        return self.unavailable

    def decode(self, wire: int | str) -> _Member | None:
        """Return the member, None for unavailable and for numbers of later versions."""
        return self._members.get(wire)


class OpenMembers:
    """A number of an open registry: a member of the enumeration where there is one, the bare integer where there is none."""

    __slots__ = ("_members",)
    linear = None

    def __init__(self, enumeration: type[IntEnum]) -> None:
        self._members: dict[int, int] = {member.value: member for member in enumeration}

    def encode(self, field: str, value: int | None) -> int:
        """Return the number; raises `EncodeError` for None."""
        if value is None:
            raise EncodeError(field, "must be known")
        return _same_int(value)

    def decode(self, wire: int) -> int:
        """Return the member or the number."""
        return self._members.get(wire, wire)


class BitNumber:
    """A bit string as a number, its first bit being the highest.

    Args:
        bits: how many there are.
    """

    __slots__ = ("bits", "linear")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.linear: Linear | None = Linear(None, 0, (1 << bits) - 1)

    def encode(self, field: str, value: int | None) -> Tree:
        """Return the bit string; raises `EncodeError` for None."""
        if value is None:
            raise EncodeError(field, "must be known")
        return _same_int(value), self.bits

    def decode(self, wire: Tree) -> int:
        """Return the number."""
        return leading_bits(wire, self.bits)


class Flags(BitNumber, Generic[_Flags]):
    """A bit string of named bits.

    Args:
        flags: the names, the first bit of the string being the highest.
        bits: how many there are.
    """

    __slots__ = ("flags",)

    def __init__(self, flags: type[_Flags], bits: int) -> None:
        super().__init__(bits)
        self.linear = None
        self.flags = flags

    def decode(self, wire: Tree) -> _Flags:
        """Return the flags that are set."""
        return self.flags(leading_bits(wire, self.bits))


class Converted:
    """A value with rules of its own.

    Args:
        decode: from the plain value.
        encode: to the plain value; takes the field's name for its `EncodeError`.
    """

    __slots__ = ("decode", "encode")
    linear = None

    def __init__(self, decode: Callable[[Tree], Any], encode: Callable[[str, Any], Tree]) -> None:
        self.decode = decode
        self.encode = encode


def leading_bits(bit_string: Tree, wanted: int) -> int:
    """Return the first bits of a bit string, which a later version may have made longer."""
    number, bits = bit_string
    leading: int = number >> max(0, bits - wanted)
    return leading


def _same_float(field: str, value: float) -> float:
    """Return the float equal to a number of a type arithmetic does not take; raises `EncodeError` for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = nan
    if number != value:
        raise EncodeError(field, f"{shown(value)} is not a number")
    return number


def _same_int(value: int) -> int:
    """Return the int equal to a value, so that 1.0 means what 1 does in every path; the value itself where there is none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return value
    return number if number == value else value


LATITUDE = Quantity(1e7, -900_000_000, 900_000_000, unavailable=900_000_001)
LONGITUDE = Quantity(1e7, -1_800_000_000, 1_800_000_000, unavailable=1_800_000_001)
SEMI_AXIS_LENGTH = Quantity(100, 0, 4093, unavailable=4095, beyond=4094, rounds_up=True)
HEADING_VALUE = Heading()
HEADING_CONFIDENCE = Quantity(10, 1, 125, unavailable=127, beyond=126, rounds_up=True)
ALTITUDE_VALUE = Quantity(100, -100_000, 800_000, unavailable=800_001)
ALTITUDE_CONFIDENCE = Steps(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
SPEED_VALUE = Quantity(100, 0, 16_382, unavailable=16_383, saturates=True)
SPEED_CONFIDENCE = Quantity(100, 1, 125, unavailable=127, beyond=126, rounds_up=True)
VEHICLE_LENGTH_VALUE = Quantity(10, 1, 1021, unavailable=1023, beyond=1022)
VEHICLE_WIDTH = Quantity(10, 1, 60, unavailable=62, beyond=61)
ACCELERATION_VALUE = Quantity(10, -160, 160, unavailable=161, saturates=True)
ACCELERATION_CONFIDENCE = Quantity(10, 0, 100, unavailable=102, beyond=101, rounds_up=True)
CURVATURE_VALUE = Quantity(10_000, -1023, 1022, unavailable=1023, saturates=True)
CURVATURE_CONFIDENCE = Steps(0.00002, 0.0001, 0.0005, 0.002, 0.01, 0.1)
YAW_RATE_VALUE = Quantity(100, -32_766, 32_766, unavailable=32_767, saturates=True)
YAW_RATE_CONFIDENCE = Steps(0.01, 0.05, 0.1, 1.0, 5.0, 10.0, 100.0)
STEERING_WHEEL_ANGLE_VALUE = Quantity(2 / 3, -511, 511, unavailable=512, saturates=True)
STEERING_WHEEL_ANGLE_CONFIDENCE = Quantity(2 / 3, 1, 125, unavailable=127, beyond=126, rounds_up=True)
DELTA_LATITUDE = Quantity(1e7, -131_071, 131_071, unavailable=131_072)
DELTA_LONGITUDE = Quantity(1e7, -131_071, 131_071, unavailable=131_072)
DELTA_ALTITUDE = Quantity(100, -12_700, 12_799, unavailable=12_800)
PATH_DELTA_TIME = Quantity(100, 1, 65_535)
SPEED_LIMIT = Quantity(3.6, 1, 255)

TIME_MARK_UNKNOWN = 36_001
TIME_MARK = Quantity(10, 0, 35_999, unavailable=TIME_MARK_UNKNOWN, beyond=36_000)
SPEED_ADVICE = Quantity(10, 0, 499, unavailable=500)
VELOCITY = Quantity(50, 0, 8190, unavailable=8191)
ELEVATION = Quantity(10, -4095, 61_439, unavailable=-4096)
LANE_WIDTH = Quantity(100, 0, 32_767)
NODE_OFFSET = Quantity(100, -32_768, 32_767)
NODE_WIDTH_CHANGE = Quantity(100, -512, 511)
NODE_ELEVATION_CHANGE = Quantity(10, -512, 511)
DRIVEN_LINE_OFFSET = Quantity(100, -32_767, 32_767)
LANE_ROTATION = Quantity(80, 0, 28_800)
LANE_SCALE = Quantity(2000, -2048, 2047)
ANGLE = Quantity(80, 0, 28_799, unavailable=28_800)
SCHEDULE_DELTA = Quantity(0.1, -121, 121, unavailable=-122)
IVI_LANE_WIDTH = Quantity(100, 0, 1023)
