"""The a la carte container of a DENM (EN 302 637-3 V1.3.1): details for roadworks, stationary vehicles and others.

Impact reduction and dangerous goods stay plain decoded trees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from shared.codec.uper import Tree
from shared.core.errors import EncodeError
from shared.core.ids import ActionId
from shared.messages import conversions as cv
from shared.messages.cdd import ClosedLanes, HardShoulderStatus, LightBarSirenInUse, PathPoint, TrafficRule
from shared.messages.positions import (
    STATION_TYPES,
    decode_action_id,
    decode_cause,
    decode_delta_position,
    decode_reference_position,
    encode_action_id,
    encode_cause,
    encode_delta_position,
    encode_reference_position,
)


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


_POSITIONING_SOLUTIONS: Mapping[int | str | None, PositioningSolution] = {member.value: member for member in PositioningSolution}
_STATIONARY_SINCE: Mapping[int | None, StationarySince] = {member.value: member for member in StationarySince}
_TRAFFIC_RULES: Mapping[int | str | None, TrafficRule] = {member.value: member for member in TrafficRule}
_SHOULDERS: Mapping[int | None, HardShoulderStatus] = {member.value: member for member in HardShoulderStatus}
_OCCUPANTS_UNAVAILABLE = 127
_MAX_DRIVING_LANES = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`ReferencePosition` inside a list, such as a recommended path; fields as in `Denm`."""

    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadWorks:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StationaryVehicle:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Alacarte:
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


def encode_alacarte(value: Alacarte) -> Tree:
    """Return the tree of an `AlacarteContainer`; raises `EncodeError`."""
    temperature = value.external_temperature_c
    return cv.present(
        lanePosition=value.lane_position,
        impactReduction=value.impact_reduction,
        externalTemperature=None if temperature is None else max(-60, min(67, temperature)),
        roadWorks=None if value.road_works is None else _encode_road_works(value.road_works),
        positioningSolution=value.positioning_solution,
        stationaryVehicle=None if value.stationary_vehicle is None else _encode_stationary(value.stationary_vehicle),
    )


def decode_alacarte(tree: Tree) -> Alacarte:
    """Return the value of an `AlacarteContainer`."""
    return Alacarte(
        lane_position=tree.get("lanePosition"),
        impact_reduction=tree.get("impactReduction"),
        external_temperature_c=tree.get("externalTemperature"),
        road_works=_decode_road_works(tree["roadWorks"]) if "roadWorks" in tree else None,
        positioning_solution=_POSITIONING_SOLUTIONS.get(tree.get("positioningSolution")),
        stationary_vehicle=_decode_stationary(tree["stationaryVehicle"]) if "stationaryVehicle" in tree else None,
    )


def _encode_road_works(value: RoadWorks) -> Tree:
    point = value.starting_point_speed_limit
    path, denms = value.recommended_path, value.reference_denms
    return cv.present(
        lightBarSirenInUse=None if value.light_bar_siren is None else (int(value.light_bar_siren), 2),
        closedLanes=None if value.closed_lanes is None else _encode_closed_lanes(value.closed_lanes),
        restriction=value.restriction,
        speedLimit=None if value.speed_limit_mps is None else cv.SPEED_LIMIT.encode("speed_limit_mps", value.speed_limit_mps),
        incidentIndication=encode_cause("incident_cause_code", value.incident_cause_code, value.incident_sub_cause_code or 0),
        recommendedPath=None if path is None else tuple(encode_reference_position(place) for place in path),
        startingPointSpeedLimit=None if point is None else encode_delta_position("starting_point_speed_limit", point),
        trafficFlowRule=value.traffic_flow_rule,
        referenceDenms=None if denms is None else tuple(encode_action_id(denm) for denm in denms),
    )


def _decode_road_works(tree: Tree) -> RoadWorks:
    speed_limit = tree.get("speedLimit")
    incident, sub_cause = decode_cause(tree.get("incidentIndication"))
    return RoadWorks(
        light_bar_siren=LightBarSirenInUse(tree["lightBarSirenInUse"][0]) if "lightBarSirenInUse" in tree else None,
        closed_lanes=_decode_closed_lanes(tree["closedLanes"]) if "closedLanes" in tree else None,
        restriction=tuple([STATION_TYPES.get(n, n) for n in tree["restriction"]]) if "restriction" in tree else None,
        speed_limit_mps=None if speed_limit is None else cv.SPEED_LIMIT.decode(speed_limit),
        incident_cause_code=incident,
        incident_sub_cause_code=None if incident is None else sub_cause,
        recommended_path=_decode_places(tree["recommendedPath"]) if "recommendedPath" in tree else None,
        starting_point_speed_limit=(
            decode_delta_position(tree["startingPointSpeedLimit"], None) if "startingPointSpeedLimit" in tree else None
        ),
        traffic_flow_rule=_TRAFFIC_RULES.get(tree.get("trafficFlowRule")),
        reference_denms=tuple([decode_action_id(denm) for denm in tree["referenceDenms"]]) if "referenceDenms" in tree else None,
    )


def _decode_places(tree: Tree) -> tuple[Place, ...]:
    return tuple([Place(**decode_reference_position(place)._asdict()) for place in tree])


def _encode_closed_lanes(value: ClosedLanes) -> Tree:
    lanes = value.closed_driving_lanes
    status = None
    if lanes is not None:
        if not 1 <= len(lanes) <= _MAX_DRIVING_LANES:
            raise EncodeError("closed_lanes.closed_driving_lanes", f"{len(lanes)} lanes are not 1..{_MAX_DRIVING_LANES}")
        status = (sum(closed << (len(lanes) - 1 - lane) for lane, closed in enumerate(lanes)), len(lanes))
    return cv.present(
        innerhardShoulderStatus=value.inner_hard_shoulder,
        outerhardShoulderStatus=value.outer_hard_shoulder,
        drivingLaneStatus=status,
    )


def _decode_closed_lanes(tree: Tree) -> ClosedLanes:
    lanes = None
    if "drivingLaneStatus" in tree:
        value, count = tree["drivingLaneStatus"]
        lanes = tuple([value >> (count - 1 - lane) & 1 == 1 for lane in range(count)])
    return ClosedLanes(
        _SHOULDERS.get(tree.get("innerhardShoulderStatus")),
        _SHOULDERS.get(tree.get("outerhardShoulderStatus")),
        lanes,
    )


def _encode_stationary(value: StationaryVehicle) -> Tree:
    identification = cv.present(wMInumber=value.wmi_number, vDS=value.vds)
    return cv.present(
        stationarySince=value.stationary_since,
        stationaryCause=encode_cause("stationary_cause_code", value.stationary_cause_code, value.stationary_sub_cause_code or 0),
        carryingDangerousGoods=value.carrying_dangerous_goods,
        numberOfOccupants=value.number_of_occupants,
        vehicleIdentification=identification or None,
        energyStorageType=None if value.energy_storage is None else (int(value.energy_storage), 7),
    )


def _decode_stationary(tree: Tree) -> StationaryVehicle:
    cause, sub_cause = decode_cause(tree.get("stationaryCause"))
    identification = tree.get("vehicleIdentification", {})
    occupants = tree.get("numberOfOccupants")
    return StationaryVehicle(
        stationary_since=_STATIONARY_SINCE.get(tree.get("stationarySince")),
        stationary_cause_code=cause,
        stationary_sub_cause_code=None if cause is None else sub_cause,
        carrying_dangerous_goods=tree.get("carryingDangerousGoods"),
        number_of_occupants=None if occupants == _OCCUPANTS_UNAVAILABLE else occupants,
        wmi_number=identification.get("wMInumber"),
        vds=identification.get("vDS"),
        energy_storage=EnergyStorage(tree["energyStorageType"][0]) if "energyStorageType" in tree else None,
    )
