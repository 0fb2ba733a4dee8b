"""What the car says about itself: an immutable snapshot whose every field knows its age.

Frames become `SignalUpdate`s (`vehicle_agent.signals.can_input`), `fold` lays them over a `VehicleState`, and whoever reads a field
asks for it at a moment: a value older than the map allows is not a value. Signs follow ISO 8855 and TS 102 894-2: yaw rate,
steering angle and lateral acceleration are positive to the left; heading is clockwise from WGS-84 north. Speed has no sign,
`drive_direction` says which way. Where a value comes from is the signal map's business, not this module's.

A bus delivers hundreds of frames a second and each makes a new state, so these values are frozen structs: those are copied in C.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from shared.core.clock import MonotonicNs
from shared.core.geo import GeoPoint
from shared.messages.cdd import DriveDirection

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class FixQuality(Enum):
    """How good a position is, as its receiver says (NMEA 0183 GGA and GSA, gpsd's `mode` and `status`)."""

    NONE = "none"
    """No fix: whatever comes beside it is no position."""
    ESTIMATED = "estimated"
    """Dead reckoning."""
    FIX_2D = "2d"
    FIX_3D = "3d"
    DIFFERENTIAL = "differential"
    RTK_FLOAT = "rtk_float"
    RTK_FIXED = "rtk_fixed"


Value = float | bool | DriveDirection | GeoPoint | FixQuality
"""What a field may hold."""


class Aged(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """A value and the moment it was true.

    Attributes:
        value: in the unit its field names.
        at: when the frame that carried it was received.
        max_age_ns: for how long it may be used, in nanoseconds.
    """

    value: T_co
    at: MonotonicNs
    max_age_ns: int

    def fresh(self, now: MonotonicNs) -> T_co | None:
        """Return the value, or None when it is older than it may be (or dated as far ahead of `now`)."""
        return self.value if -self.max_age_ns <= now - self.at <= self.max_age_ns else None


def fresh(aged: Aged[T] | None, now: MonotonicNs) -> T | None:
    """Return the value of a field at `now`; None where it was never known or is too old."""
    return None if aged is None else aged.fresh(now)


class SignalUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A frame's news about one field.

    Attributes:
        field: a name of `FIELDS`.
        value: the new value, or None when the car itself says "not available".
        at: when the frame was received.
        max_age_ns: for how long the value may be used, in nanoseconds.
    """

    field: str
    value: Value | None
    at: MonotonicNs
    max_age_ns: int


class VehicleState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything known of the car; None where the car never said or said "not available"."""

    position: Aged[GeoPoint] | None = None
    position_accuracy_m: Aged[float] | None = None
    altitude_m: Aged[float] | None = None
    heading_deg: Aged[float] | None = None
    speed_mps: Aged[float] | None = None
    longitudinal_acceleration_mps2: Aged[float] | None = None
    lateral_acceleration_mps2: Aged[float] | None = None
    yaw_rate_dps: Aged[float] | None = None
    steering_wheel_angle_deg: Aged[float] | None = None
    drive_direction: Aged[DriveDirection] | None = None
    odometer_m: Aged[float] | None = None
    drive_odometer_m: Aged[float] | None = None
    obd_odometer_m: Aged[float] | None = None
    uds_odometer_m: Aged[float] | None = None
    obd_speed_mps: Aged[float] | None = None
    gnss_speed_mps: Aged[float] | None = None
    gnss_odometer_m: Aged[float] | None = None
    fix_quality: Aged[FixQuality] | None = None
    ignition_on: Aged[bool] | None = None
    turn_left: Aged[bool] | None = None
    turn_right: Aged[bool] | None = None
    hazard_lights: Aged[bool] | None = None
    brake_pedal_pressed: Aged[bool] | None = None
    low_beam: Aged[bool] | None = None
    high_beam: Aged[bool] | None = None
    doors_open: Aged[bool] | None = None
    front_fog_light: Aged[bool] | None = None
    rear_fog_light: Aged[bool] | None = None
    daytime_running_light: Aged[bool] | None = None
    parking_light: Aged[bool] | None = None
    gas_pedal_pressed: Aged[bool] | None = None
    cruise_control: Aged[bool] | None = None
    parking_brake: Aged[bool] | None = None
    abs_active: Aged[bool] | None = None
    stability_control_active: Aged[bool] | None = None
    traction_control_active: Aged[bool] | None = None
    automatic_emergency_braking: Aged[bool] | None = None
    airbag_deployed: Aged[bool] | None = None
    breakdown: Aged[bool] | None = None
    wipers_on: Aged[bool] | None = None
    wipers_fast: Aged[bool] | None = None
    light_bar_on: Aged[bool] | None = None
    siren_on: Aged[bool] | None = None


class FieldKind(Enum):
    """What sort of value a field holds."""

    QUANTITY = "quantity"
    FLAG = "flag"
    DIRECTION = "direction"
    POSITION = "position"
    FIX = "fix"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a field can hold at all; a signal map may narrow the range, not widen it.

    Attributes:
        kind: the sort of value.
        dimension: SI unit (or degrees) of a quantity as in `shared.core.units`, else None.
        minimum: smallest plausible value of a quantity.
        maximum: largest plausible value of a quantity.
        modulus: a quantity that comes round again is kept below this.
    """

    kind: FieldKind
    dimension: str | None = None
    minimum: float = 0.0
    maximum: float = 0.0
    modulus: float | None = None


def _quantity(dimension: str, minimum: float, maximum: float) -> FieldSpec:
    return FieldSpec(FieldKind.QUANTITY, dimension, minimum, maximum)


_FLAG = FieldSpec(FieldKind.FLAG)
_SPEED = _quantity("m/s", 0.0, 163.81)
_ODOMETER = _quantity("m", 0.0, 4_294_967_295.0)

IGNITION = "ignition_on"
"""The field that says whether a cluster's readings count."""

FIELDS: Mapping[str, FieldSpec] = MappingProxyType(
    {
        "position": FieldSpec(FieldKind.POSITION, "deg"),
        "position_accuracy_m": _quantity("m", 0.0, 10_000.0),
        "altitude_m": _quantity("m", -1_000.0, 9_000.0),
        "heading_deg": FieldSpec(FieldKind.QUANTITY, "deg", 0.0, 360.0, modulus=360.0),
        "speed_mps": _SPEED,
        "longitudinal_acceleration_mps2": _quantity("m/s2", -40.0, 40.0),
        "lateral_acceleration_mps2": _quantity("m/s2", -40.0, 40.0),
        "yaw_rate_dps": _quantity("deg/s", -327.66, 327.66),
        "steering_wheel_angle_deg": _quantity("deg", -1_080.0, 1_080.0),
        "drive_direction": FieldSpec(FieldKind.DIRECTION),
        "odometer_m": _ODOMETER,
        "drive_odometer_m": _ODOMETER,
        "obd_odometer_m": _ODOMETER,
        "uds_odometer_m": _ODOMETER,
        "obd_speed_mps": _SPEED,
        "gnss_speed_mps": _SPEED,
        "gnss_odometer_m": _ODOMETER,
        "fix_quality": FieldSpec(FieldKind.FIX),
        "ignition_on": _FLAG,
        "turn_left": _FLAG,
        "turn_right": _FLAG,
        "hazard_lights": _FLAG,
        "brake_pedal_pressed": _FLAG,
        "low_beam": _FLAG,
        "high_beam": _FLAG,
        "doors_open": _FLAG,
        "front_fog_light": _FLAG,
        "rear_fog_light": _FLAG,
        "daytime_running_light": _FLAG,
        "parking_light": _FLAG,
        "gas_pedal_pressed": _FLAG,
        "cruise_control": _FLAG,
        "parking_brake": _FLAG,
        "abs_active": _FLAG,
        "stability_control_active": _FLAG,
        "traction_control_active": _FLAG,
        "automatic_emergency_braking": _FLAG,
        "airbag_deployed": _FLAG,
        "breakdown": _FLAG,
        "wipers_on": _FLAG,
        "wipers_fast": _FLAG,
        "light_bar_on": _FLAG,
        "siren_on": _FLAG,
    }
)
"""Every field of `VehicleState`. Ranges: TS 102 894-2 where it has one, else what no road vehicle reaches.

Several odometers: `odometer_m` is the cluster's, as the driver sees it; `drive_odometer_m` that of a unit that counts wheels or
shafts by itself (ABS, gearbox, drive unit); `obd_odometer_m` and `uds_odometer_m` are answers to requests; `gnss_odometer_m` is
what a GNSS receiver has counted, from a zero of its own. `position_accuracy_m` is the radius of the circle that holds the position
with 95 % confidence.
"""


def fold(state: VehicleState, updates: Iterable[SignalUpdate]) -> VehicleState:
    """Return `state` with `updates` laid over it in order; the same object where there is nothing new."""
    changes: dict[str, Any] = {u.field: None if u.value is None else Aged(u.value, u.at, u.max_age_ns) for u in updates}
    return replace(state, **changes) if changes else state


_PASSING = tuple(field for field, spec in FIELDS.items() if spec is not _ODOMETER)


def knows_anything(state: VehicleState, now: MonotonicNs) -> bool:
    """Tell whether anything is known of the car but how far it has come: one that sleeps says nothing, and its values grow old."""
    return any(fresh(getattr(state, field), now) is not None for field in _PASSING)
