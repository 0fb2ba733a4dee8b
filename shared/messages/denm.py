"""Decentralised environmental notification messages (EN 302 637-3 V1.3.1): an event, where it is, what it is, until when.

Impact reduction stays a plain decoded tree (`Alacarte.impact_reduction`).
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from shared.codec.uper import Tree
from shared.core.ids import ActionId, StationId
from shared.core.itstime import TimestampIts
from shared.messages.cdd import ClosedLanes, LightBarSirenInUse, PathPoint, TrafficRule

DEFAULT_VALIDITY_DURATION_S = 600
MAX_TRACES = 7


class Termination(IntEnum):
    """`Termination`: the event is over (its detector says so), or never was (another station says so)."""

    IS_CANCELLATION = 0
    IS_NEGATION = 1


class RelevanceDistance(IntEnum):
    """`RelevanceDistance`."""

    LESS_THAN_50M = 0
    LESS_THAN_100M = 1
    LESS_THAN_200M = 2
    LESS_THAN_500M = 3
    LESS_THAN_1000M = 4
    LESS_THAN_5KM = 5
    LESS_THAN_10KM = 6
    OVER_10KM = 7


class RelevanceTrafficDirection(IntEnum):
    """`RelevanceTrafficDirection`."""

    ALL_TRAFFIC_DIRECTIONS = 0
    UPSTREAM_TRAFFIC = 1
    DOWNSTREAM_TRAFFIC = 2
    OPPOSITE_TRAFFIC = 3


class RoadType(IntEnum):
    """`RoadType`."""

    URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 0
    URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 1
    NON_URBAN_NO_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 2
    NON_URBAN_WITH_STRUCTURAL_SEPARATION_TO_OPPOSITE_LANES = 3


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPoint:
    """`EventPoint`: where else the event was seen.

    Attributes:
        point: place relative to the one before (the first to the event position) and time since.
        information_quality: 1..7, or None.
    """

    point: PathPoint
    information_quality: int | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Denm:
    """One DENM, flat. `cause_code is None` means no situation container, `traces is None` no location container.

    Attributes:
        station_id: who sends this (a forwarder keeps the detector's `action_id`).
        action_id: who detected the event, and its running number there.
        detection_time: when the event was detected or ended.
        reference_time: when this version of the DENM was made.
        termination: None while the event lasts.
        lat_deg: event position, in [-90, 90].
        lon_deg: event position, in [-180, 180].
        semi_major_m: half axis of the 95 % ellipse, 0.01..40.93, inf.
        semi_minor_m: likewise, across.
        semi_major_orientation_deg: [0, 360).
        altitude_m: -1000..8000.
        altitude_confidence_m: a step of 0.01 ... 200, inf.
        relevance_distance: how far it matters.
        relevance_traffic_direction: to whom.
        validity_duration_s: 0..86,400 after `detection_time`.
        transmission_interval_ms: 1..10,000 between repetitions.
        station_type: a `StationType` where the number has one.
        information_quality: 1..7, or None.
        cause_code: a `CauseCode` where the number has one.
        sub_cause_code: 0..255, 0 where unknown.
        linked_cause_code: another cause behind this one.
        linked_sub_cause_code: 0..255.
        event_history: where else it was seen, at most 23.
        event_speed_mps: 0..163.82.
        event_speed_confidence_mps: 0.01..1.25, inf.
        event_heading_deg: [0, 360).
        event_heading_confidence_deg: 0.1..12.5, inf.
        traces: 1..`MAX_TRACES` ways that lead to the event, each from the event backwards.
        road_type: kind of road.
        alacarte: further details.
    """

    station_id: StationId
    action_id: ActionId
    detection_time: TimestampIts
    reference_time: TimestampIts
    station_type: int
    lat_deg: float | None
    lon_deg: float | None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    semi_major_orientation_deg: float | None = None
    altitude_m: float | None = None
    altitude_confidence_m: float | None = None
    termination: Termination | None = None
    relevance_distance: RelevanceDistance | None = None
    relevance_traffic_direction: RelevanceTrafficDirection | None = None
    validity_duration_s: int = DEFAULT_VALIDITY_DURATION_S
    transmission_interval_ms: int | None = None
    information_quality: int | None = None
    cause_code: int | None = None
    sub_cause_code: int = 0
    linked_cause_code: int | None = None
    linked_sub_cause_code: int = 0
    event_history: tuple[EventPoint, ...] = ()
    event_speed_mps: float | None = None
    event_speed_confidence_mps: float | None = None
    event_heading_deg: float | None = None
    event_heading_confidence_deg: float | None = None
    traces: tuple[tuple[PathPoint, ...], ...] | None = None
    road_type: RoadType | None = None
    alacarte: Alacarte | None = None


def encode_denm(denm: Denm) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    raise NotImplementedError


def decode_denm(encoded: bytes) -> Denm:
    """Decode a whole DENM; raises `DecodeError` and nothing else."""
    raise NotImplementedError
