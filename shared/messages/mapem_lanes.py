"""The lanes of a MAPEM (ISO/TS 19091): their centre lines, what they are for and what they connect to.

The node form on the wire (20 to 32 bits, or a position) is chosen as the smallest that fits.
"""

from enum import IntEnum, IntFlag

from shared.codec.shape import Choice, Field, Fields, Items, Record, With
from shared.codec.uper import Tree
from shared.core.ids import IntersectionId
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.pdu import INTERSECTION_ID

MAX_NODES = 63

_NODE_FORMS = (*["node-XY1"] * 10, "node-XY2", "node-XY3", "node-XY4", "node-XY5", "node-XY6", "node-XY6")
"""Alternatives of `NodeOffsetPointXY` by how many bits the centimetres take without their sign."""

_node_wire = cv.NODE_OFFSET.linear.wire

_SMALL_OFFSET = 2047
"""Greatest centimetres of a `DrivenLineOffsetSm`."""


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
    """Alternatives of `LaneTypeAttributes`."""

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


_LANE_TYPE_NAMES = {
    LaneType.VEHICLE: "vehicle",
    LaneType.CROSSWALK: "crosswalk",
    LaneType.BIKE_LANE: "bikeLane",
    LaneType.SIDEWALK: "sidewalk",
    LaneType.MEDIAN: "median",
    LaneType.STRIPING: "striping",
    LaneType.TRACKED_VEHICLE: "trackedVehicle",
    LaneType.PARKING: "parking",
}


class LaneNode(Value):
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


class ComputedLane(Value):
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


class Connection(Value):
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


class Lane(Value):
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


def _axis(field: str) -> Field:
    """Return the shape of a `DrivenLineOffset`, small or large."""

    def encode(path: str, offset_m: float) -> Tree:
        offset = cv.DRIVEN_LINE_OFFSET.encode(path, offset_m)
        return "small" if -_SMALL_OFFSET <= offset <= _SMALL_OFFSET else "large", offset

    return Field(field, cv.Converted(lambda wire: wire[1] / cv.DRIVEN_LINE_OFFSET.per_unit, encode))


def _scale(field: str) -> Field:
    def encode(path: str, factor: float) -> int:
        return cv.LANE_SCALE.encode(path, factor - 1)

    return Field(field, cv.Converted(lambda wire: 1 + wire / cv.LANE_SCALE.per_unit, encode))


def _node_form(node: LaneNode) -> str | None:
    """Return the smallest form a node fits, None where it is neither an offset nor a position, or both."""
    has_position = node.lat_deg is not None and node.lon_deg is not None
    if node.dx_m is None or node.dy_m is None:
        return "node-LatLon" if has_position else None
    if has_position:
        return None
    try:
        x, y = _node_wire(node.dx_m), _node_wire(node.dy_m)
    except (TypeError, ValueError, OverflowError):
        return _NODE_FORMS[-1]  # and its conversion says what is wrong
    bits = ((x if x >= 0 else ~x) | (y if y >= 0 else ~y)).bit_length()
    return _NODE_FORMS[bits] if bits < len(_NODE_FORMS) else _NODE_FORMS[-1]


_NODE_OFFSET = Fields({"x": Field("dx_m", cv.NODE_OFFSET), "y": Field("dy_m", cv.NODE_OFFSET)})


def _course(lane: Lane) -> str | None:
    if (lane.computed is None) == (not lane.nodes):
        return None
    return "nodes" if lane.computed is None else "computed"


def _lane_type(lane: Lane) -> str | None:
    return _LANE_TYPE_NAMES.get(lane.lane_type)


def _lane_type_bits(lane_type: LaneType) -> With:
    bits = cv.BitNumber(8 if lane_type is LaneType.VEHICLE else 16)
    return With(Field("lane_type_attributes", bits), {"lane_type": lane_type})


_MANEUVERS = cv.Flags(AllowedManeuvers, 12)
_SEGMENT_ATTRIBUTES = Items(cv.Whole(), drop_unknown=True)

_NODE = Record(
    LaneNode,
    {
        "delta": Choice(
            {
                **dict.fromkeys(_NODE_FORMS, _NODE_OFFSET),
                "node-LatLon": Fields({"lon": Field("lon_deg", cv.LONGITUDE), "lat": Field("lat_deg", cv.LATITUDE)}),
            },
            select=_node_form,
            demand="needs either an offset or a position",
            tolerant=True,
        ),
        "attributes": Fields(
            {
                "localNode": Field("attributes", Items(cv.Members(NodeAttribute), drop_unknown=True), absent=()),
                "disabled": Field("disabled", _SEGMENT_ATTRIBUTES, absent=()),
                "enabled": Field("enabled", _SEGMENT_ATTRIBUTES, absent=()),
                "data": Field("data", absent=()),
                "dWidth": Field("width_change_m", cv.NODE_WIDTH_CHANGE),
                "dElevation": Field("elevation_change_m", cv.NODE_ELEVATION_CHANGE),
            }
        ),
    },
)

_COMPUTED = Record(
    ComputedLane,
    {
        "referenceLaneId": Field("reference_lane_id"),
        "offsetXaxis": _axis("offset_x_m"),
        "offsetYaxis": _axis("offset_y_m"),
        "rotateXY": Field("rotation_deg", cv.LANE_ROTATION),
        "scaleXaxis": _scale("scale_x"),
        "scaleYaxis": _scale("scale_y"),
    },
)

_CONNECTION = Record(
    Connection,
    {
        "connectingLane": Fields({"lane": Field("lane_id"), "maneuver": Field("maneuvers", _MANEUVERS)}),
        "remoteIntersection": Field("remote_intersection", INTERSECTION_ID),
        "signalGroup": Field("signal_group"),
        "userClass": Field("restriction_class"),
        "connectionID": Field("connection_id"),
    },
)

LANE = Record(
    Lane,
    {
        "laneID": Field("id"),
        "name": Field("name"),
        "ingressApproach": Field("ingress_approach"),
        "egressApproach": Field("egress_approach"),
        "laneAttributes": Fields(
            {
                "directionalUse": Field("directional_use", cv.Flags(LaneDirection, 2)),
                "sharedWith": Field("shared_with", cv.Flags(LaneSharing, 10)),
                "laneType": Choice(
                    {name: _lane_type_bits(lane_type) for lane_type, name in _LANE_TYPE_NAMES.items()},
                    select=_lane_type,
                    demand="has a type of no name",
                ),
            }
        ),
        "maneuvers": Field("maneuvers", _MANEUVERS),
        "nodeList": Choice(
            {"nodes": Field("nodes", Items(_NODE)), "computed": Field("computed", _COMPUTED)},
            select=_course,
            demand="needs either nodes or a computed course",
        ),
        "connectsTo": Field("connects_to", Items(_CONNECTION), absent=()),
        "overlays": Field("overlays", absent=()),
    },
)
"""Shape of a `GenericLane`."""
