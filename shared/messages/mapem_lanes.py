"""The lanes of a MAPEM (ISO/TS 19091): their centre lines, what they are for and what they connect to.

The node form on the wire (20 to 32 bits, or a position) is chosen as the smallest that fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from shared.codec.uper import Tree
from shared.core.errors import DecodeError, EncodeError
from shared.core.ids import IntersectionId
from shared.messages import conversions as cv
from shared.messages.pdu import decode_intersection_id, encode_intersection_id

MAX_NODES = 63

_NODE_FORMS = (
    ("node-XY1", 1 << 9),
    ("node-XY2", 1 << 10),
    ("node-XY3", 1 << 11),
    ("node-XY4", 1 << 12),
    ("node-XY5", 1 << 13),
    ("node-XY6", 1 << 15),
)
"""Alternatives of `NodeOffsetPointXY` with the bound of their centimetres, smallest first."""

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


_LANE_TYPE_NAMES = ("vehicle", "crosswalk", "bikeLane", "sidewalk", "median", "striping", "trackedVehicle", "parking")
_LANE_TYPES: Mapping[str, LaneType] = {name: LaneType(number) for number, name in enumerate(_LANE_TYPE_NAMES)}
_NODE_ATTRIBUTES: Mapping[int | str, NodeAttribute] = {member.value: member for member in NodeAttribute}


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


def encode_lane(field: str, lane: Lane) -> Tree:
    """Return the tree of a `GenericLane`; raises `EncodeError` with a path that begins with `field`."""
    bits = 8 if lane.lane_type is LaneType.VEHICLE else 16
    return cv.present(
        laneID=lane.id,
        name=lane.name,
        ingressApproach=lane.ingress_approach,
        egressApproach=lane.egress_approach,
        laneAttributes={
            "directionalUse": (int(lane.directional_use), 2),
            "sharedWith": (int(lane.shared_with), 10),
            "laneType": (_LANE_TYPE_NAMES[lane.lane_type], (lane.lane_type_attributes, bits)),
        },
        maneuvers=_encode_maneuvers(lane.maneuvers),
        nodeList=_encode_course(field, lane),
        connectsTo=tuple(_encode_connection(connection) for connection in lane.connects_to) or None,
        overlays=tuple(lane.overlays) or None,
    )


def decode_lane(tree: Tree) -> Lane:
    """Return the lane in a `GenericLane`; raises `DecodeError` for a course of a later version."""
    attributes = tree["laneAttributes"]
    lane_type, type_attributes = attributes["laneType"]
    if lane_type not in _LANE_TYPES:
        raise DecodeError("MAPEM.laneType", f"{lane_type} belongs to a later version")
    form, course = tree["nodeList"]
    if form not in {"nodes", "computed"}:
        raise DecodeError("MAPEM.nodeList", f"{form} belongs to a later version")
    return Lane(
        id=tree["laneID"],
        directional_use=LaneDirection(attributes["directionalUse"][0]),
        lane_type=_LANE_TYPES[lane_type],
        lane_type_attributes=_leading_bits(type_attributes, 8 if lane_type == "vehicle" else 16),
        shared_with=LaneSharing(attributes["sharedWith"][0]),
        nodes=tuple([_decode_node(node) for node in course]) if form == "nodes" else (),
        computed=_decode_computed(course) if form == "computed" else None,
        ingress_approach=tree.get("ingressApproach"),
        egress_approach=tree.get("egressApproach"),
        maneuvers=_decode_maneuvers(tree.get("maneuvers")),
        connects_to=tuple([_decode_connection(connection) for connection in tree.get("connectsTo", ())]),
        overlays=tree.get("overlays", ()),
        name=tree.get("name"),
    )


def _leading_bits(bit_string: tuple[int, int], wanted: int) -> int:
    value, bits = bit_string
    return value >> max(0, bits - wanted)


def _encode_maneuvers(maneuvers: AllowedManeuvers | None) -> Tree | None:
    return None if maneuvers is None else (int(maneuvers), 12)


def _decode_maneuvers(tree: Tree | None) -> AllowedManeuvers | None:
    return None if tree is None else AllowedManeuvers(tree[0])


def _encode_course(field: str, lane: Lane) -> Tree:
    if (lane.computed is None) == (not lane.nodes):
        raise EncodeError(field, "needs either nodes or a computed course")
    if lane.computed is not None:
        return "computed", _encode_computed(f"{field}.computed", lane.computed)
    return "nodes", tuple(_encode_node(f"{field}.nodes[{index}]", node) for index, node in enumerate(lane.nodes))


def _encode_node(field: str, node: LaneNode) -> Tree:
    tree: dict[str, Tree] = {"delta": _encode_delta(field, node)}
    attributes = cv.present(
        localNode=tuple(node.attributes) or None,
        disabled=tuple(node.disabled) or None,
        enabled=tuple(node.enabled) or None,
        data=tuple(node.data) or None,
        dWidth=_optional(cv.NODE_WIDTH_CHANGE, f"{field}.width_change_m", node.width_change_m),
        dElevation=_optional(cv.NODE_ELEVATION_CHANGE, f"{field}.elevation_change_m", node.elevation_change_m),
    )
    if attributes:
        tree["attributes"] = attributes
    return tree


def _encode_delta(field: str, node: LaneNode) -> Tree:
    is_offset = node.dx_m is not None and node.dy_m is not None
    is_position = node.lat_deg is not None and node.lon_deg is not None
    if is_offset == is_position:
        raise EncodeError(field, "needs either an offset or a position")
    if is_position:
        return "node-LatLon", {
            "lon": cv.LONGITUDE.encode(f"{field}.lon_deg", node.lon_deg),
            "lat": cv.LATITUDE.encode(f"{field}.lat_deg", node.lat_deg),
        }
    x = cv.NODE_OFFSET.encode(f"{field}.dx_m", node.dx_m)
    y = cv.NODE_OFFSET.encode(f"{field}.dy_m", node.dy_m)
    return next((form, {"x": x, "y": y}) for form, bound in _NODE_FORMS if -bound <= x < bound and -bound <= y < bound)


def _decode_node(tree: Tree) -> LaneNode:
    form, delta = tree["delta"]
    attributes = tree.get("attributes", {})
    width, elevation = attributes.get("dWidth"), attributes.get("dElevation")
    is_offset = form.startswith("node-XY")
    is_position = form == "node-LatLon"
    return LaneNode(
        dx_m=cv.NODE_OFFSET.decode(delta["x"]) if is_offset else None,
        dy_m=cv.NODE_OFFSET.decode(delta["y"]) if is_offset else None,
        lat_deg=cv.LATITUDE.decode(delta["lat"]) if is_position else None,
        lon_deg=cv.LONGITUDE.decode(delta["lon"]) if is_position else None,
        attributes=tuple([_NODE_ATTRIBUTES[n] for n in attributes.get("localNode", ()) if n in _NODE_ATTRIBUTES]),
        disabled=tuple([number for number in attributes.get("disabled", ()) if isinstance(number, int)]),
        enabled=tuple([number for number in attributes.get("enabled", ()) if isinstance(number, int)]),
        data=attributes.get("data", ()),
        width_change_m=None if width is None else cv.NODE_WIDTH_CHANGE.decode(width),
        elevation_change_m=None if elevation is None else cv.NODE_ELEVATION_CHANGE.decode(elevation),
    )


def _encode_computed(field: str, computed: ComputedLane) -> Tree:
    return cv.present(
        referenceLaneId=computed.reference_lane_id,
        offsetXaxis=_encode_axis(f"{field}.offset_x_m", computed.offset_x_m),
        offsetYaxis=_encode_axis(f"{field}.offset_y_m", computed.offset_y_m),
        rotateXY=_optional(cv.LANE_ROTATION, f"{field}.rotation_deg", computed.rotation_deg),
        scaleXaxis=_encode_scale(f"{field}.scale_x", computed.scale_x),
        scaleYaxis=_encode_scale(f"{field}.scale_y", computed.scale_y),
    )


def _encode_axis(field: str, offset_m: float) -> Tree:
    offset = cv.DRIVEN_LINE_OFFSET.encode(field, offset_m)
    return "small" if -_SMALL_OFFSET <= offset <= _SMALL_OFFSET else "large", offset


def _encode_scale(field: str, factor: float | None) -> int | None:
    return None if factor is None else cv.LANE_SCALE.encode(field, factor - 1)


def _decode_computed(tree: Tree) -> ComputedLane:
    rotation = tree.get("rotateXY")
    return ComputedLane(
        reference_lane_id=tree["referenceLaneId"],
        offset_x_m=tree["offsetXaxis"][1] / cv.DRIVEN_LINE_OFFSET.per_unit,
        offset_y_m=tree["offsetYaxis"][1] / cv.DRIVEN_LINE_OFFSET.per_unit,
        rotation_deg=None if rotation is None else cv.LANE_ROTATION.decode(rotation),
        scale_x=_decode_scale(tree.get("scaleXaxis")),
        scale_y=_decode_scale(tree.get("scaleYaxis")),
    )


def _decode_scale(wire: int | None) -> float | None:
    return None if wire is None else 1 + wire / cv.LANE_SCALE.per_unit


def _encode_connection(connection: Connection) -> Tree:
    remote = connection.remote_intersection
    return cv.present(
        connectingLane=cv.present(lane=connection.lane_id, maneuver=_encode_maneuvers(connection.maneuvers)),
        remoteIntersection=None if remote is None else encode_intersection_id(remote),
        signalGroup=connection.signal_group,
        userClass=connection.restriction_class,
        connectionID=connection.connection_id,
    )


def _decode_connection(tree: Tree) -> Connection:
    lane = tree["connectingLane"]
    return Connection(
        lane_id=lane["lane"],
        maneuvers=_decode_maneuvers(lane.get("maneuver")),
        remote_intersection=decode_intersection_id(tree["remoteIntersection"]) if "remoteIntersection" in tree else None,
        signal_group=tree.get("signalGroup"),
        restriction_class=tree.get("userClass"),
        connection_id=tree.get("connectionID"),
    )


def _optional(quantity: cv.Quantity, field: str, value: float | None) -> int | None:
    return None if value is None else quantity.encode(field, value)
