"""The a la carte container of a DENM (EN 302 637-3 V1.3.1): details for roadworks, stationary vehicles and others.

Impact reduction and dangerous goods stay plain decoded trees.
"""

from enum import IntEnum, IntFlag

from shared.codec.shape import Field, Fields, Items, Record
from shared.codec.uper import Tree
from shared.core.ids import ActionId
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.cdd import ClosedLanes, LightBarSirenInUse, PathPoint, TrafficRule
from shared.messages.positions import ACTION_ID, CLOSED_LANES, DELTA_POSITION, REFERENCE_POSITION, STATION_TYPE, cause


class PositioningSolution(IntEnum):
    """`PositioningSolutionType`."""

    NO_POSITIONING_SOLUTION = 0
    S_GNSS = 1
    D_GNSS = 2
    S_GNSS_PLUS_DR = 3
    D_GNSS_PLUS_DR = 4
    DR = 5


class StationarySince(IntEnum):
    """`StationarySince`."""

    LESS_THAN_1_MINUTE = 0
    LESS_THAN_2_MINUTES = 1
    LESS_THAN_15_MINUTES = 2
    EQUAL_OR_GREATER_15_MINUTES = 3


class EnergyStorage(IntFlag):
    """`EnergyStorageType`."""

    HYDROGEN_STORAGE = 0x40
    ELECTRIC_ENERGY_STORAGE = 0x20
    LIQUID_PROPANE_GAS = 0x10
    COMPRESSED_NATURAL_GAS = 0x08
    DIESEL = 0x04
    GASOLINE = 0x02
    AMMONIA = 0x01


class Place(Value):
    """`ReferencePosition` inside a list, such as a recommended path; fields as in `Denm`."""

    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None


class RoadWorks(Value):
    """`RoadWorksContainerExtended`; every field None where not stated.

    Attributes:
        light_bar_siren: in use on a works vehicle.
        closed_lanes: which parts of the road are closed.
        restriction: station types (at most 3) the rules apply to.
        speed_limit_mps: 1..255 km/h on the wire.
        incident_cause_code: with `incident_sub_cause_code`, what happened at the works.
        incident_sub_cause_code: 0..255.
        recommended_path: 1..40 places.
        starting_point_speed_limit: where the limit begins, relative to the event position; `delta_time_s` is unused.
        traffic_flow_rule: passing rule.
        reference_denms: 1..8 related events.
    """

    light_bar_siren: LightBarSirenInUse | None = None
    closed_lanes: ClosedLanes | None = None
    restriction: tuple[int, ...] | None = None
    speed_limit_mps: float | None = None
    incident_cause_code: int | None = None
    incident_sub_cause_code: int | None = None
    recommended_path: tuple[Place, ...] | None = None
    starting_point_speed_limit: PathPoint | None = None
    traffic_flow_rule: TrafficRule | None = None
    reference_denms: tuple[ActionId, ...] | None = None


class StationaryVehicle(Value):
    """`StationaryVehicleContainer`; every field None where not stated.

    Attributes:
        stationary_since: how long.
        stationary_cause_code: with `stationary_sub_cause_code`, why.
        stationary_sub_cause_code: 0..255.
        carrying_dangerous_goods: `DangerousGoodsExtended` as a plain tree.
        number_of_occupants: 0..126.
        wmi_number: first part of the VIN.
        vds: second part of the VIN, six characters.
        energy_storage: what the vehicle runs on.
    """

    stationary_since: StationarySince | None = None
    stationary_cause_code: int | None = None
    stationary_sub_cause_code: int | None = None
    carrying_dangerous_goods: Tree | None = None
    number_of_occupants: int | None = None
    wmi_number: str | None = None
    vds: str | None = None
    energy_storage: EnergyStorage | None = None


class Alacarte(Value):
    """`AlacarteContainer`; every field None where not stated.

    Attributes:
        lane_position: -1..14.
        impact_reduction: `ImpactReductionContainer` as a plain tree.
        external_temperature_c: -60..67 (saturates).
        road_works: details of roadworks.
        positioning_solution: how the detector knows where it is.
        stationary_vehicle: details of a stationary vehicle.
    """

    lane_position: int | None = None
    impact_reduction: Tree | None = None
    external_temperature_c: int | None = None
    road_works: RoadWorks | None = None
    positioning_solution: PositioningSolution | None = None
    stationary_vehicle: StationaryVehicle | None = None


_ROAD_WORKS = Record(
    RoadWorks,
    {
        "lightBarSirenInUse": Field("light_bar_siren", cv.Flags(LightBarSirenInUse, 2)),
        "closedLanes": Field("closed_lanes", CLOSED_LANES),
        "restriction": Field("restriction", Items(STATION_TYPE)),
        "speedLimit": Field("speed_limit_mps", cv.SPEED_LIMIT),
        "incidentIndication": cause("incident_cause_code", Field("incident_sub_cause_code", cv.Whole(assumed=0))),
        "recommendedPath": Field("recommended_path", Items(Record(Place, REFERENCE_POSITION))),
        "startingPointSpeedLimit": Field("starting_point_speed_limit", Record(PathPoint, DELTA_POSITION)),
        "trafficFlowRule": Field("traffic_flow_rule", cv.Members(TrafficRule)),
        "referenceDenms": Field("reference_denms", Items(ACTION_ID)),
    },
)

_STATIONARY_VEHICLE = Record(
    StationaryVehicle,
    {
        "stationarySince": Field("stationary_since", cv.Members(StationarySince)),
        "stationaryCause": cause("stationary_cause_code", Field("stationary_sub_cause_code", cv.Whole(assumed=0))),
        "carryingDangerousGoods": Field("carrying_dangerous_goods"),
        "numberOfOccupants": Field("number_of_occupants", cv.Whole(unavailable=127)),
        "vehicleIdentification": Fields({"wMInumber": Field("wmi_number"), "vDS": Field("vds")}),
        "energyStorageType": Field("energy_storage", cv.Flags(EnergyStorage, 7)),
    },
)

ALACARTE = Record(
    Alacarte,
    {
        "lanePosition": Field("lane_position"),
        "impactReduction": Field("impact_reduction"),
        "externalTemperature": Field("external_temperature_c", cv.Clamped(-60, 67)),
        "roadWorks": Field("road_works", _ROAD_WORKS),
        "positioningSolution": Field("positioning_solution", cv.Members(PositioningSolution)),
        "stationaryVehicle": Field("stationary_vehicle", _STATIONARY_VEHICLE),
    },
)
"""Shape of an `AlacarteContainer`."""
