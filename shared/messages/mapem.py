"""Map messages (TS 103 301 V1.3.1 on ISO/TS 19091): a junction's lanes, where they run and what connects to what.

Typed here: intersections with their lanes. Road segments, restriction classes, preemption zones and regional extensions are not;
`tree.decode_tree` shows them. The node form on the wire (20 to 32 bits) is chosen as the smallest that fits.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from shared.codec.uper import Tree
from shared.core.ids import IntersectionId, StationId

MAX_INTERSECTIONS = 32
MAX_LANES = 255
MAX_NODES = 63


class LayerType(IntEnum):
    """`LayerType`."""

    NONE = 0
    MIXED_CONTENT = 1
    GENERAL_MAP_DATA = 2
    INTERSECTION_DATA = 3
    CURVE_DATA = 4
    ROADWAY_SECTION_DATA = 5
    PARKING_AREA_DATA = 6
    SHARED_LANE_DATA = 7


class SpeedLimitType(IntEnum):
    """`SpeedLimitType`."""

    UNKNOWN = 0
    MAX_SPEED_IN_SCHOOL_ZONE = 1
    MAX_SPEED_IN_SCHOOL_ZONE_WHEN_CHILDREN_ARE_PRESENT = 2
    MAX_SPEED_IN_CONSTRUCTION_ZONE = 3
    VEHICLE_MIN_SPEED = 4
    VEHICLE_MAX_SPEED = 5
    VEHICLE_NIGHT_MAX_SPEED = 6
    TRUCK_MIN_SPEED = 7
    TRUCK_MAX_SPEED = 8
    TRUCK_NIGHT_MAX_SPEED = 9
    VEHICLES_WITH_TRAILERS_MIN_SPEED = 10
    VEHICLES_WITH_TRAILERS_MAX_SPEED = 11
    VEHICLES_WITH_TRAILERS_NIGHT_MAX_SPEED = 12


class LaneDirection(IntFlag):
    """`LaneDirection`: traffic towards the junction (ingress), away from it (egress), both, or none."""

    INGRESS_PATH = 0x2
    EGRESS_PATH = 0x1


class LaneSharing(IntFlag):
    """`LaneSharing`."""

    OVERLAPPING_LANE_DESCRIPTION_PROVIDED = 0x200
    MULTIPLE_LANES_TREATED_AS_ONE_LANE = 0x100
    OTHER_NON_MOTORIZED_TRAFFIC_TYPES = 0x080
    INDIVIDUAL_MOTORIZED_VEHICLE_TRAFFIC = 0x040
    BUS_VEHICLE_TRAFFIC = 0x020
    TAXI_VEHICLE_TRAFFIC = 0x010
    PEDESTRIANS_TRAFFIC = 0x008
    CYCLIST_VEHICLE_TRAFFIC = 0x004
    TRACKED_VEHICLE_TRAFFIC = 0x002
    PEDESTRIAN_TRAFFIC = 0x001


NOT_SHARED = LaneSharing(0)


class LaneType(IntEnum):
    """Alternatives of `LaneTypeAttributes`, numbered as on the wire."""

    VEHICLE = 0
    CROSSWALK = 1
    BIKE_LANE = 2
    SIDEWALK = 3
    MEDIAN = 4
    STRIPING = 5
    TRACKED_VEHICLE = 6
    PARKING = 7


class AllowedManeuvers(IntFlag):
    """`AllowedManeuvers`."""

    MANEUVER_STRAIGHT_ALLOWED = 0x800
    MANEUVER_LEFT_ALLOWED = 0x400
    MANEUVER_RIGHT_ALLOWED = 0x200
    MANEUVER_U_TURN_ALLOWED = 0x100
    MANEUVER_LEFT_TURN_ON_RED_ALLOWED = 0x080
    MANEUVER_RIGHT_TURN_ON_RED_ALLOWED = 0x040
    MANEUVER_LANE_CHANGE_ALLOWED = 0x020
    MANEUVER_NO_STOPPING_ALLOWED = 0x010
    YIELD_ALLWAYS_REQUIRED = 0x008
    GO_WITH_HALT = 0x004
    CAUTION = 0x002
    RESERVED_1 = 0x001


class NodeAttribute(IntEnum):
    """`NodeAttributeXY`."""

    RESERVED = 0
    STOP_LINE = 1
    ROUNDED_CAP_STYLE_A = 2
    ROUNDED_CAP_STYLE_B = 3
    MERGE_POINT = 4
    DIVERGE_POINT = 5
    DOWNSTREAM_STOP_LINE = 6
    DOWNSTREAM_START_NODE = 7
    CLOSED_TO_TRAFFIC = 8
    SAFE_ISLAND = 9
    CURB_PRESENT_AT_STEP_OFF = 10
    HYDRANT_PRESENT = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedLimit:
    """`RegulatorySpeedLimit`.

    Attributes:
        kind: whom and when it binds; None for a kind of a later version.
        speed_mps: 0..163.8 in steps of 0.02.
    """

    kind: SpeedLimitType | None
    speed_mps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneNode:
    """`NodeXY`: a point of a lane's centre line, as an offset (`dx_m`, `dy_m`) or as a position (`lat_deg`, `lon_deg`), never both.

    Attributes:
        dx_m: metres east of the node before (of the reference point for the first), +-327.67 in steps of 0.01.
        dy_m: metres north, likewise.
        lat_deg: absolute position instead.
        lon_deg: absolute position instead.
        attributes: what is at this node, at most 8; those of later versions are left out.
        disabled: `SegmentAttributeXY` numbers that end here.
        enabled: `SegmentAttributeXY` numbers that begin here.
        data: `LaneDataAttribute`s as plain trees, at most 8.
        width_change_m: +-5.12 added to the lane's width from here on.
        elevation_change_m: +-51.2 in steps of 0.1.
    """

    dx_m: float | None = None
    dy_m: float | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    attributes: tuple[NodeAttribute, ...] = ()
    disabled: tuple[int, ...] = ()
    enabled: tuple[int, ...] = ()
    data: tuple[Tree, ...] = ()
    width_change_m: float | None = None
    elevation_change_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedLane:
    """`ComputedLane`: a lane that runs like another one, moved aside.

    Attributes:
        reference_lane_id: 0..255.
        offset_x_m: +-327.67.
        offset_y_m: +-327.67.
        rotation_deg: 0..360 in steps of 0.0125.
        scale_x: factor 0..2 on the offsets, None for 1.
        scale_y: likewise.
    """

    reference_lane_id: int
    offset_x_m: float
    offset_y_m: float
    rotation_deg: float | None = None
    scale_x: float | None = None
    scale_y: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`Connection`: where one may go from the end of a lane.

    Attributes:
        lane_id: the lane one comes to.
        maneuvers: what one does to get there.
        remote_intersection: where that lane belongs to another junction.
        signal_group: the group of the SPATEM that governs it; None where nothing does.
        restriction_class: users it is for, 0..255.
        connection_id: 0..255.
    """

    lane_id: int
    maneuvers: AllowedManeuvers | None = None
    remote_intersection: IntersectionId | None = None
    signal_group: int | None = None
    restriction_class: int | None = None
    connection_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """`GenericLane`. Exactly one of `nodes` (2..63) and `computed` says where it runs.

    Attributes:
        id: 0..255, unique in the junction.
        directional_use: towards the junction, away from it.
        lane_type: what it is for.
        lane_type_attributes: the type's bit string as a number, first bit highest (8 bits for a vehicle lane, 16 for others).
        shared_with: other users.
        nodes: centre line, beginning at the stop line.
        computed: instead of nodes.
        ingress_approach: 0..15.
        egress_approach: 0..15.
        maneuvers: what is allowed at its end.
        connects_to: at most 16.
        overlays: lanes above or below, at most 5.
        name: 1..63 characters of ASCII.
    """

    id: int
    directional_use: LaneDirection
    lane_type: LaneType = LaneType.VEHICLE
    lane_type_attributes: int = 0
    shared_with: LaneSharing = NOT_SHARED
    nodes: tuple[LaneNode, ...] = ()
    computed: ComputedLane | None = None
    ingress_approach: int | None = None
    egress_approach: int | None = None
    maneuvers: AllowedManeuvers | None = None
    connects_to: tuple[Connection, ...] = ()
    overlays: tuple[int, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intersection:
    """`IntersectionGeometry`.

    Attributes:
        id: region and number, as in the SPATEM.
        revision: 0..127; changes with the content.
        lat_deg: reference point, in [-90, 90].
        lon_deg: reference point, in [-180, 180].
        elevation_m: of the reference point, -409.5..6143.9.
        lane_width_m: 0..327.67, of every lane that says nothing else.
        speed_limits: at most 9.
        lanes: 1..`MAX_LANES`.
        name: 1..63 characters of ASCII.
    """

    id: IntersectionId
    revision: int
    lat_deg: float | None
    lon_deg: float | None
    lanes: tuple[Lane, ...]
    elevation_m: float | None = None
    lane_width_m: float | None = None
    speed_limits: tuple[SpeedLimit, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapem:
    """One MAPEM.

    Attributes:
        station_id: the roadside unit.
        revision: `msgIssueRevision`, 0..127.
        intersections: at most `MAX_INTERSECTIONS`.
        minute_of_year: minutes since the year began, UTC.
        layer_type: kind of content.
        layer_id: 0..100.
    """

    station_id: StationId
    revision: int
    intersections: tuple[Intersection, ...]
    minute_of_year: int | None = None
    layer_type: LayerType | None = None
    layer_id: int | None = None


def encode_mapem(mapem: Mapem) -> bytes:
    """Encode to UPER; raises `EncodeError` naming the field that does not fit."""
    raise NotImplementedError


def decode_mapem(encoded: bytes) -> Mapem:
    """Decode a whole MAPEM; raises `DecodeError` and nothing else."""
    raise NotImplementedError
