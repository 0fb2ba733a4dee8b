"""Between SI values and wire numbers: one object per data element, with its unit and special values.

The elements are those of TS 102 894-2 V1.3.1 and ISO/TS 19091.

Every object has `encode(field, value)`, which raises `EncodeError` naming `field`, and `decode(wire)`. Nothing else in the
messages knows a scale or a number that means "unavailable".
"""

from collections.abc import Mapping
from enum import IntEnum
from math import ceil, inf
from typing import TypeVar

from shared.codec.uper import Tree
from shared.core.errors import EncodeError

_Member = TypeVar("_Member", bound=IntEnum)
_CEIL_TOLERANCE = 1e-6


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

    __slots__ = ("beyond", "lower", "per_unit", "rounds_up", "saturates", "unavailable", "upper")

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
        self.per_unit = per_unit
        self.lower = lower
        self.upper = upper
        self.unavailable = unavailable
        self.beyond = beyond
        self.saturates = saturates
        self.rounds_up = rounds_up

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` for a value the element cannot say."""
        if value is None:
            if self.unavailable is None:
                raise EncodeError(field, "must be known")
            return self.unavailable
        steps = value * self.per_unit
        if not self.lower - 0.5 <= steps <= self.upper + 0.5:
            if steps > self.upper and self.beyond is not None:
                return self.beyond
            if self.saturates and steps > self.upper:
                return self.upper
            if (self.saturates and steps < self.lower < 0) or (self.rounds_up and 0 <= steps < self.lower):
                return self.lower
            raise EncodeError(field, f"{value} is not in {self.lower / self.per_unit:.10g}..{self.upper / self.per_unit:.10g}")
        wire = ceil(steps - _CEIL_TOLERANCE) if self.rounds_up else round(steps)
        if wire > self.upper:
            return self.upper if self.beyond is None else self.beyond
        return max(wire, self.lower)

    def decode(self, wire: int) -> float | None:
        """Return the value, None for unavailable, `inf` for beyond."""
        if wire == self.unavailable:
            return None
        if wire == self.beyond:
            return inf
        return wire / self.per_unit


class Heading:
    """`HeadingValue`: degrees clockwise from north in steps of 0.1."""

    __slots__ = ()
    unavailable = 3601

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` outside [0, 360]."""
        if value is None:
            return self.unavailable
        if not 0.0 <= value <= 360.0:
            raise EncodeError(field, f"{value} is not in [0, 360)")
        return round(value * 10) % 3600

    def decode(self, wire: int) -> float | None:
        """Return degrees in [0, 360), None for unavailable."""
        return None if wire == self.unavailable else wire % 3600 / 10


class Steps:
    """An enumerated accuracy: the least step that is not smaller than the value.

    Args:
        steps: the bounds in SI units, ascending; the wire numbers after them mean out of range and unavailable.
    """

    __slots__ = ("steps",)

    def __init__(self, *steps: float) -> None:
        self.steps = (*steps, inf)

    def encode(self, field: str, value: float | None) -> int:
        """Return the wire number; raises `EncodeError` for a negative accuracy."""
        if value is None:
            return len(self.steps)
        if not value >= 0:
            raise EncodeError(field, f"{value} is no accuracy")
        return next(wire for wire, step in enumerate(self.steps) if value <= step * (1 + _CEIL_TOLERANCE))

    def decode(self, wire: int) -> float | None:
        """Return the bound, `inf` for out of range, None for unavailable."""
        return self.steps[wire] if wire < len(self.steps) else None


def members(enumeration: type[_Member]) -> Mapping[int, _Member]:
    """Return the members of an enumeration by number."""
    return {member.value: member for member in enumeration}


def member_or_int(table: Mapping[int, int], number: int) -> int:
    """Return the enumeration's member for a number of an open registry, the bare number where there is none."""
    return table.get(number, number)


def encode_int(field: str, value: int, lower: int, upper: int) -> int:
    """Return a plain whole number; raises `EncodeError` out of bounds."""
    if not lower <= value <= upper:
        raise EncodeError(field, f"{value} is not in {lower}..{upper}")
    return value


def present(**components: Tree) -> dict[str, Tree]:
    """Return the components that are not None."""
    return {name: value for name, value in components.items() if value is not None}


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
