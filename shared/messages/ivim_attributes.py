"""What stands on a road sign or below it (ISO 14823 attributes in ISO/TS 19321): limits, dimensions, times.

A number on a sign keeps the unit it is shown in, as the road user reads it; the properties with a unit in their name give it in SI.
Destinations stay plain decoded trees.
"""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import Final

from shared.codec.shape import Choice, Field, Fields, Record
from shared.codec.uper import Tree
from shared.core.value import Value
from shared.messages import conversions as cv

MAX_PERIODS = 8


class SignUnit(IntEnum):
    """`RSCUnit` of ISO/TS 19321 and `Code-Units` of ISO 14823."""

    KM_PER_H = 0
    MILES_PER_H = 1
    KILOMETRE = 2
    METRE = 3
    DECIMETRE = 4
    CENTIMETRE = 5
    MILE = 6
    YARD = 7
    FOOT = 8
    MINUTES_OF_TIME = 9
    TONNES = 10
    HUNDRED_KG = 11
    POUND = 12
    RATE_OF_INCLINE = 13
    DURATION_IN_MINUTES = 14


_MPS: Final[Mapping[int, float]] = {SignUnit.KM_PER_H: 1 / 3.6, SignUnit.MILES_PER_H: 0.447_04}
_M: Final[Mapping[int, float]] = {
    SignUnit.KILOMETRE: 1_000.0,
    SignUnit.METRE: 1.0,
    SignUnit.DECIMETRE: 0.1,
    SignUnit.CENTIMETRE: 0.01,
    SignUnit.MILE: 1_609.344,
    SignUnit.YARD: 0.914_4,
    SignUnit.FOOT: 0.304_8,
}
_KG: Final[Mapping[int, float]] = {SignUnit.TONNES: 1_000.0, SignUnit.HUNDRED_KG: 100.0, SignUnit.POUND: 0.453_592_37}


def speed_mps(value: int | None, unit: int | None) -> float | None:
    """Return a number on a sign in metres per second, None where it is no speed."""
    return _in_si(value, unit, _MPS)


def length_m(value: int | None, unit: int | None) -> float | None:
    """Return a number on a sign in metres, None where it is no length."""
    return _in_si(value, unit, _M)


def mass_kg(value: int | None, unit: int | None) -> float | None:
    """Return a number on a sign in kilograms, None where it is no mass."""
    return _in_si(value, unit, _KG)


def _in_si(value: int | None, unit: int | None, scale: Mapping[int, float]) -> float | None:
    return None if value is None or unit is None or unit not in scale else value * scale[unit]


class DayTypes(IntFlag):
    """`RepeatingPeriodDayTypes`."""

    NATIONAL_HOLIDAY = 0x8
    EVEN_DAYS = 0x4
    ODD_DAYS = 0x2
    MARKET_DAY = 0x1


class Weekdays(IntFlag):
    """`DayOfWeek`."""

    UNUSED = 0x80
    MONDAY = 0x40
    TUESDAY = 0x20
    WEDNESDAY = 0x10
    THURSDAY = 0x08
    FRIDAY = 0x04
    SATURDAY = 0x02
    SUNDAY = 0x01


class LaneFlow(IntEnum):
    """`InternationalSign-directionalFlowOfLane`."""

    STRAIGHT = 1
    LEFT_TURN = 2
    RIGHT_TURN = 3
    LEFT_TURN_OR_STRAIGHT = 4
    RIGHT_TURN_OR_STRAIGHT = 5
    CHANGE_TO_LEFT_LANE = 6
    CHANGE_TO_RIGHT_LANE = 7
    OVERTAKING_LANE = 8


class SignPeriod(Value):
    """`InternationalSign-applicablePeriod`: when a sign holds; everything not stated does not restrict it.

    Where one end of a range is stated all of the range is.

    Attributes:
        first_year: 2000..2127 or more.
        last_year: likewise.
        first_month: 1..12.
        first_day: 1..31.
        last_month: 1..12.
        last_day: 1..31.
        day_types: on which days of the calendar.
        start_hour: 0..23.
        start_minute: 0..59.
        end_hour: 0..23.
        end_minute: 0..59.
        weekdays: on which days of the week.
        duration_hours: 0..23, with `duration_minutes`.
        duration_minutes: 0..59.
    """

    first_year: int | None = None
    last_year: int | None = None
    first_month: int | None = None
    first_day: int | None = None
    last_month: int | None = None
    last_day: int | None = None
    day_types: DayTypes | None = None
    start_hour: int | None = None
    start_minute: int | None = None
    end_hour: int | None = None
    end_minute: int | None = None
    weekdays: Weekdays | None = None
    duration_hours: int | None = None
    duration_minutes: int | None = None


class SignMeasure(Value):
    """A length or a weight as it stands on a sign.

    Attributes:
        value: 1..16,384.
        unit: a `SignUnit`.
    """

    value: int
    unit: int

    @property
    def length_m(self) -> float | None:
        """The length in metres, None where it is none."""
        return length_m(self.value, self.unit)

    @property
    def mass_kg(self) -> float | None:
        """The mass in kilograms, None where it is none."""
        return mass_kg(self.value, self.unit)


class SignDimensions(Value):
    """`InternationalSign-applicableVehicleDimensions`; every field None where not stated.

    Attributes:
        height: a length.
        width: a length.
        length: a length.
        weight: a mass.
    """

    height: SignMeasure | None = None
    width: SignMeasure | None = None
    length: SignMeasure | None = None
    weight: SignMeasure | None = None


class SignSpeeds(Value):
    """`InternationalSign-speedLimits`.

    Attributes:
        unit: `KM_PER_H` or `MILES_PER_H`.
        highest: 0..250 of that unit, None where not stated.
        lowest: likewise.
    """

    unit: int
    highest: int | None = None
    lowest: int | None = None

    @property
    def upper_limit_mps(self) -> float | None:
        """The upper limit in SI."""
        return speed_mps(self.highest, self.unit)

    @property
    def lower_limit_mps(self) -> float | None:
        """The lower limit in SI."""
        return speed_mps(self.lowest, self.unit)


class SignAttribute(Value):
    """`ISO14823Attribute`: something that stands on a sign or below it; exactly one field is set.

    Attributes:
        applies: when the sign holds.
        exempted: when it does not.
        lane_flow: a `LaneFlow`.
        vehicle_dimensions: vehicles it is for.
        speeds: limits.
        incline_percent: 1..32.
        distance_between_vehicles: to be kept.
        destination: `InternationalSign-destinationInformation` as a plain tree.
    """

    applies: SignPeriod | None = None
    exempted: SignPeriod | None = None
    lane_flow: int | None = None
    vehicle_dimensions: SignDimensions | None = None
    speeds: SignSpeeds | None = None
    incline_percent: int | None = None
    distance_between_vehicles: SignMeasure | None = None
    destination: Tree | None = None


UNIT: Final = cv.OpenMembers(SignUnit)


def _range(first: str, last: str, parts: dict[str, str]) -> dict[str, Fields]:
    return {
        first: Fields({name: Field(field) for name, field in parts.items()}),
        last: Fields({name: Field(field.replace("first_", "last_").replace("start_", "end_")) for name, field in parts.items()}),
    }


PERIOD: Final = Record(
    SignPeriod,
    {
        "year": Fields(
            {"yearRangeStartYear": Field("first_year"), "yearRangeEndYear": Field("last_year")},
            key="first_year",
        ),
        "month-day": Fields(
            _range("dateRangeStartMonthDay", "dateRangeEndMonthDay", {"month": "first_month", "day": "first_day"}),
            key="first_month",
        ),
        "repeatingPeriodDayTypes": Field("day_types", cv.Flags(DayTypes, 4)),
        "hourMinutes": Fields(
            _range("timeRangeStartTime", "timeRangeEndTime", {"hours": "start_hour", "mins": "start_minute"}),
            key="start_hour",
        ),
        "dateRangeOfWeek": Field("weekdays", cv.Flags(Weekdays, 8)),
        "durationHourMinute": Fields(
            {"hours": Field("duration_hours"), "mins": Field("duration_minutes")},
            key="duration_hours",
        ),
    },
)
"""Shape of an `InternationalSign-applicablePeriod`."""

_MEASURE = Record(SignMeasure, {"value": Field("value"), "unit": Field("unit", UNIT)})

_DIMENSIONS = Record(
    SignDimensions,
    {
        "vehicleHeight": Field("height", _MEASURE),
        "vehicleWidth": Field("width", _MEASURE),
        "vehicleLength": Field("length", _MEASURE),
        "vehicleWeight": Field("weight", _MEASURE),
    },
)

_SPEEDS = Record(
    SignSpeeds,
    {
        "speedLimitMax": Field("highest"),
        "speedLimitMin": Field("lowest"),
        "unit": Field("unit", UNIT),
    },
)

ATTRIBUTE: Final = Record(
    SignAttribute,
    Choice(
        {
            "dtm": Field("applies", PERIOD),
            "edt": Field("exempted", PERIOD),
            "dfl": Field("lane_flow", cv.OpenMembers(LaneFlow)),
            "ved": Field("vehicle_dimensions", _DIMENSIONS),
            "spe": Field("speeds", _SPEEDS),
            "roi": Field("incline_percent"),
            "dbv": Field("distance_between_vehicles", _MEASURE),
            "ddd": Field("destination"),
        },
        demand="needs exactly one kind of content",
    ),
)
"""Shape of an `ISO14823Attribute`."""
