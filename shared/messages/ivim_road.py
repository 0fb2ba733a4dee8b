"""The road in an IVIM (ISO/TS 19321): its lanes and its surface, from the road configuration and road surface containers."""

from enum import IntEnum
from typing import Final

from shared.codec.shape import Field, Items, Record
from shared.codec.uper import Tree
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.denm import RoadType
from shared.messages.ivim_attributes import PERIOD, SignPeriod

MAX_LANES = 16


class IviDirection(IntEnum):
    """`Direction`: of the traffic something concerns, as seen along its zone."""

    SAME_DIRECTION = 0
    OPPOSITE_DIRECTION = 1
    BOTH_DIRECTIONS = 2
    VALUE_NOT_USED = 3


class LaneStatus(IntEnum):
    """`LaneStatus`; 7 and beyond are free."""

    OPEN = 0
    CLOSED = 1
    MERGE_R = 2
    MERGE_L = 3
    MERGE_LR = 4
    PROVISIONALLY_OPEN = 5
    DIVERGING = 6


class IviLaneType(IntEnum):
    """`LaneType` of ISO/TS 19321; the rest up to 31 is free."""

    TRAFFIC = 0
    THROUGH = 1
    REVERSIBLE = 2
    ACCELERATION = 3
    DECELERATION = 4
    LEFT_HAND_TURNING = 5
    RIGHT_HAND_TURNING = 6
    DEDICATED_VEHICLE = 7
    BUS = 8
    TAXI = 9
    HOV = 10
    HOT = 11
    PEDESTRIAN = 12
    BIKE_LANE = 13
    MEDIAN = 14
    STRIPING = 15
    TRACKED_VEHICLE = 16
    PARKING = 17
    EMERGENCY = 18
    VERGE = 19
    MINIMUM_RISK_MANOEUVRE = 20


class SurfaceMaterial(IntEnum):
    """`MaterialType`."""

    ASPHALT = 0
    CONCRETE = 1
    COBBLESTONE = 2
    GRAVEL = 3
    UNAVAILABLE = 7


class SurfaceWear(IntEnum):
    """`WearLevel`."""

    NEW = 0
    GOOD = 1
    BAD = 2
    HAS_POTHOLES = 3
    UNAVAILABLE = 7


class SurfaceCondition(IntEnum):
    """`Condition`."""

    DRY = 0
    MOIST = 1
    WET = 2
    STANDING_WATER = 3
    FROST = 4
    ICE = 5
    SNOW = 6
    SLUSH = 7
    UNAVAILABLE = 8


class SurfaceTreatment(IntEnum):
    """`TreatmentType`."""

    NO = 0
    ANTISKID = 1
    ANTI_ICING = 2
    DE_ICING = 3
    UNAVAILABLE = 7


class SurfaceStatics(Value):
    """`RoadSurfaceStaticCharacteristics`: what stays.

    Attributes:
        friction_coefficient: 0..1 in steps of 0.01.
        material: a `SurfaceMaterial` where the number has one.
        wear: a `SurfaceWear` where the number has one.
        banking_angle_deg: -20..20.
    """

    friction_coefficient: float | None
    material: int
    wear: int
    banking_angle_deg: int | None


class SurfaceDynamics(Value):
    """`RoadSurfaceDynamicCharacteristics`: what changes with the weather.

    Attributes:
        condition: a `SurfaceCondition` where the number has one.
        temperature_c: -100..150.
        ice_or_water_depth: the number on the wire, 0..255.
        treatment: a `SurfaceTreatment` where the number has one.
    """

    condition: int
    temperature_c: int | None
    ice_or_water_depth: int
    treatment: int


class IviLane(Value):
    """`LaneInformation`: one lane of a road.

    Attributes:
        lane_number: -1 off the road, 0 inner hard shoulder, 1..13 driving lanes from inside, 14 outer hard shoulder.
        direction: an `IviDirection`.
        lane_type: an `IviLaneType` where the number has one.
        lane_status: a `LaneStatus` where the number has one.
        validity: when that holds, None for always.
        lane_type_qualifier: `CompleteVehicleCharacteristics` of whom it is for, as a plain tree.
        lane_width_m: 0..10.23.
        detection_zone_ids: zones in which the lane is met.
        relevance_zone_ids: zones in which it runs.
        lane_characteristics: `LaneCharacteristics` as a plain tree.
        surface: what its surface is like.
        surface_now: what its surface is like just now.
    """

    lane_number: int
    direction: int
    lane_type: int
    lane_status: int
    validity: SignPeriod | None = None
    lane_type_qualifier: Tree | None = None
    lane_width_m: float | None = None
    detection_zone_ids: tuple[int, ...] = ()
    relevance_zone_ids: tuple[int, ...] = ()
    lane_characteristics: Tree | None = None
    surface: SurfaceStatics | None = None
    surface_now: SurfaceDynamics | None = None


class RoadConfiguration(Value):
    """`RccPart`: the lanes of a road.

    Attributes:
        relevance_zone_ids: the zones it is about.
        road_type: kind of road.
        lanes: usually 1..`MAX_LANES`.
    """

    relevance_zone_ids: tuple[int, ...]
    road_type: RoadType
    lanes: tuple[IviLane, ...]


class RoadSurface(Value):
    """`RscPart`: the surface of a road.

    Attributes:
        relevance_zone_ids: the zones it is about.
        detection_zone_ids: zones in which it is met.
        direction: an `IviDirection`.
        surface: what stays.
        surface_now: what changes with the weather.
    """

    relevance_zone_ids: tuple[int, ...]
    detection_zone_ids: tuple[int, ...] = ()
    direction: int | None = None
    surface: SurfaceStatics | None = None
    surface_now: SurfaceDynamics | None = None


DIRECTION: Final = cv.OpenMembers(IviDirection)
LANE_STATUS: Final = cv.OpenMembers(LaneStatus)

_STATICS = Record(
    SurfaceStatics,
    {
        "frictionCoefficient": Field("friction_coefficient", cv.Quantity(100, 0, 100, unavailable=101)),
        "material": Field("material", cv.OpenMembers(SurfaceMaterial)),
        "wear": Field("wear", cv.OpenMembers(SurfaceWear)),
        "avBankingAngle": Field("banking_angle_deg", cv.Whole(unavailable=21)),
    },
)

_DYNAMICS = Record(
    SurfaceDynamics,
    {
        "condition": Field("condition", cv.OpenMembers(SurfaceCondition)),
        "temperature": Field("temperature_c", cv.Whole(unavailable=151)),
        "iceOrWaterDepth": Field("ice_or_water_depth"),
        "treatment": Field("treatment", cv.OpenMembers(SurfaceTreatment)),
    },
)

_LANE = Record(
    IviLane,
    {
        "laneNumber": Field("lane_number"),
        "direction": Field("direction", DIRECTION),
        "validity": Field("validity", PERIOD),
        "laneType": Field("lane_type", cv.OpenMembers(IviLaneType)),
        "laneTypeQualifier": Field("lane_type_qualifier"),
        "laneStatus": Field("lane_status", LANE_STATUS),
        "laneWidth": Field("lane_width_m", cv.IVI_LANE_WIDTH),
        "detectionZoneIds": Field("detection_zone_ids", absent=()),
        "relevanceZoneIds": Field("relevance_zone_ids", absent=()),
        "laneCharacteristics": Field("lane_characteristics"),
        "laneSurfaceStaticCharacteristics": Field("surface", _STATICS),
        "laneSurfaceDynamicCharacteristics": Field("surface_now", _DYNAMICS),
    },
)

ROAD_CONFIGURATION: Final = Record(
    RoadConfiguration,
    {
        "relevanceZoneIds": Field("relevance_zone_ids"),
        "roadType": Field("road_type", cv.Members(RoadType)),
        "laneConfiguration": Field("lanes", Items(_LANE)),
    },
)
"""Shape of an `RccPart`."""

ROAD_SURFACE: Final = Record(
    RoadSurface,
    {
        "detectionZoneIds": Field("detection_zone_ids", absent=()),
        "relevanceZoneIds": Field("relevance_zone_ids"),
        "direction": Field("direction", DIRECTION),
        "roadSurfaceStaticCharacteristics": Field("surface", _STATICS),
        "roadSurfaceDynamicCharacteristics": Field("surface_now", _DYNAMICS),
    },
)
"""Shape of an `RscPart`."""
