"""Enumerations and small values that several messages share, named as TS 102 894-2 V1.3.1 names them.

Conventions of every typed message:

- SI units with the unit in the name; angles in degrees. `None` is the standard's "unavailable".
- `math.inf` is the standard's "out of range": more than the field can say. It is accepted where it can be decoded.
- An accuracy ("confidence") is rounded up on encoding, a value to the nearest step. Values for which the standard makes the end
  of the range mean "or more" saturate; all others raise `EncodeError` when they do not fit.
- Numbers of open registries (station types, causes) decode to a member of the enumeration where there is one and to the bare
  integer where there is none, so that a newer peer is not refused.

Not here: conversions between these values and wire numbers (`conversions.py`).
"""

from enum import IntEnum, IntFlag

from shared.core.value import Value


class DriveDirection(IntEnum):
    """`DriveDirection`; "unavailable" is `None`."""

    FORWARD = 0
    BACKWARD = 1


class CurvatureCalculationMode(IntEnum):
    """`CurvatureCalculationMode`; "unavailable" is `None`."""

    YAW_RATE_USED = 0
    YAW_RATE_NOT_USED = 1


class VehicleLengthConfidenceIndication(IntEnum):
    """`VehicleLengthConfidenceIndication`: what the vehicle knows of a trailer; "unavailable" is `None`."""

    NO_TRAILER_PRESENT = 0
    TRAILER_PRESENT_WITH_KNOWN_LENGTH = 1
    TRAILER_PRESENT_WITH_UNKNOWN_LENGTH = 2
    TRAILER_PRESENCE_IS_UNKNOWN = 3


class VehicleRole(IntEnum):
    """`VehicleRole`."""

    DEFAULT = 0
    PUBLIC_TRANSPORT = 1
    SPECIAL_TRANSPORT = 2
    DANGEROUS_GOODS = 3
    ROAD_WORK = 4
    RESCUE = 5
    EMERGENCY = 6
    SAFETY_CAR = 7
    AGRICULTURE = 8
    COMMERCIAL = 9
    MILITARY = 10
    ROAD_OPERATOR = 11
    TAXI = 12
    RESERVED_1 = 13
    RESERVED_2 = 14
    RESERVED_3 = 15


class ExteriorLights(IntFlag):
    """`ExteriorLights`: lamps that are on."""

    LOW_BEAM_HEADLIGHTS_ON = 0x80
    HIGH_BEAM_HEADLIGHTS_ON = 0x40
    LEFT_TURN_SIGNAL_ON = 0x20
    RIGHT_TURN_SIGNAL_ON = 0x10
    DAYTIME_RUNNING_LIGHTS_ON = 0x08
    REVERSE_LIGHT_ON = 0x04
    FOG_LIGHT_ON = 0x02
    PARKING_LIGHTS_ON = 0x01


class AccelerationControl(IntFlag):
    """`AccelerationControl`: what is pressed or engaged."""

    BRAKE_PEDAL_ENGAGED = 0x40
    GAS_PEDAL_ENGAGED = 0x20
    EMERGENCY_BRAKE_ENGAGED = 0x10
    COLLISION_WARNING_ENGAGED = 0x08
    ACC_ENGAGED = 0x04
    CRUISE_CONTROL_ENGAGED = 0x02
    SPEED_LIMITER_ENGAGED = 0x01


class LightBarSirenInUse(IntFlag):
    """`LightBarSirenInUse`."""

    LIGHT_BAR_ACTIVATED = 0x02
    SIREN_ACTIVATED = 0x01


class HardShoulderStatus(IntEnum):
    """`HardShoulderStatus`."""

    AVAILABLE_FOR_STOPPING = 0
    CLOSED = 1
    AVAILABLE_FOR_DRIVING = 2


class TrafficRule(IntEnum):
    """`TrafficRule`."""

    NO_PASSING = 0
    NO_PASSING_FOR_TRUCKS = 1
    PASS_TO_RIGHT = 2
    PASS_TO_LEFT = 3


class CauseCode(IntEnum):
    """`CauseCodeType`: what is the matter."""

    RESERVED = 0
    TRAFFIC_CONDITION = 1
    ACCIDENT = 2
    ROADWORKS = 3
    IMPASSABILITY = 5
    ADVERSE_WEATHER_CONDITION_ADHESION = 6
    AQUAPLANNING = 7
    HAZARDOUS_LOCATION_SURFACE_CONDITION = 9
    HAZARDOUS_LOCATION_OBSTACLE_ON_THE_ROAD = 10
    HAZARDOUS_LOCATION_ANIMAL_ON_THE_ROAD = 11
    HUMAN_PRESENCE_ON_THE_ROAD = 12
    WRONG_WAY_DRIVING = 14
    RESCUE_AND_RECOVERY_WORK_IN_PROGRESS = 15
    ADVERSE_WEATHER_CONDITION_EXTREME_WEATHER_CONDITION = 17
    ADVERSE_WEATHER_CONDITION_VISIBILITY = 18
    ADVERSE_WEATHER_CONDITION_PRECIPITATION = 19
    SLOW_VEHICLE = 26
    DANGEROUS_END_OF_QUEUE = 27
    VEHICLE_BREAKDOWN = 91
    POST_CRASH = 92
    HUMAN_PROBLEM = 93
    STATIONARY_VEHICLE = 94
    EMERGENCY_VEHICLE_APPROACHING = 95
    HAZARDOUS_LOCATION_DANGEROUS_CURVE = 96
    COLLISION_RISK = 97
    SIGNAL_VIOLATION = 98
    DANGEROUS_SITUATION = 99


class PathPoint(Value, kw_only=False):
    """`PathPoint`: a place the vehicle was at, relative to the one before (the first to the reference position).

    Attributes:
        delta_lat_deg: +-0.0131071 in steps of 1e-7.
        delta_lon_deg: likewise.
        delta_altitude_m: -127.00..127.99.
        delta_time_s: time since then, 0.01..655.35 in steps of 0.01 (larger in later versions).
    """

    delta_lat_deg: float | None
    delta_lon_deg: float | None
    delta_altitude_m: float | None = None
    delta_time_s: float | None = None


class ClosedLanes(Value, kw_only=False):
    """`ClosedLanes`: which parts of the road are closed.

    Attributes:
        inner_hard_shoulder: its status, None where not stated.
        outer_hard_shoulder: likewise.
        closed_driving_lanes: one flag per lane from the outermost (lane 1) on, 1..13 of them, True where closed; None
            where not stated.
    """

    inner_hard_shoulder: HardShoulderStatus | None = None
    outer_hard_shoulder: HardShoulderStatus | None = None
    closed_driving_lanes: tuple[bool, ...] | None = None
