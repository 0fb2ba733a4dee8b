"""One junction's lanes, stop lines, connections and signal groups, and the MAPEM that says them.

`JunctionMap` is the value; it comes from a human-written TOML file (`load_map`) or is built in code by whoever owns the geometry,
and `mapem_of` turns it into a message without touching anything else. Rules of the picture (ISO/TS 19091, TS 103 301): the first
node of a lane lies at the stop line (or where an egress lane begins) and the others lead away from the junction; a connection goes
from a lane that leads in to one that leads out.

Left out: computed lanes, node attributes other than the lane's own width, road segments, restrictions by user class.
"""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Literal

from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced, distance_m, offset_m
from shared.core.ids import IntersectionId, StationId
from shared.messages import mapem
from shared.messages.mapem import AllowedManeuvers, LaneSharing, LaneType, Mapem, NodeAttribute
from shared.service import config

MAX_LANES = 255
"""`LaneID` 1..255 (0 is unknown)."""

MIN_NODES, MAX_NODES = 2, 63
"""`NodeSetXY` holds 2 to 63 nodes."""

MAX_CONNECTIONS = 16
"""`ConnectsToList` holds at most 16 connections."""

MAX_NODE_STEP_M = 327.0
"""Greatest difference between neighbouring nodes, in each direction (`Offset-B16`, 1 cm)."""

MIN_NODE_STEP_M = 0.05
"""Nodes closer than this are one node written twice."""

MAX_NODE_DISTANCE_M = 2_000.0
"""No lane of one junction reaches further from its reference point."""

MAX_WIDTH_CHANGE_M = 5.11
"""`Offset-B10`, 1 cm: how far a lane's width may differ from the junction's."""

MAX_REVISION = 127
"""`MsgCount`."""


class LaneDirection(Enum):
    """Which way traffic moves on a lane, seen from the junction."""

    INGRESS = "ingress"
    EGRESS = "egress"
    BOTH = "both"

    @property
    def leads_in(self) -> bool:
        """Whether traffic may enter the junction on the lane."""
        return self is not LaneDirection.EGRESS

    @property
    def leads_out(self) -> bool:
        """Whether traffic may leave the junction on the lane."""
        return self is not LaneDirection.INGRESS


class LaneKind(Enum):
    """What a lane is for (`LaneTypeAttributes`)."""

    VEHICLE = "vehicle"
    CROSSWALK = "crosswalk"
    BIKE = "bike"
    TRACKED_VEHICLE = "tracked_vehicle"


class Turn(Enum):
    """Where a connection leads (`AllowedManeuvers`)."""

    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    U_TURN = "u_turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionConnection:
    """A way across the junction.

    Attributes:
        to_lane: number of the lane it leads to.
        signal_group: the lights that rule it, or None where there are none.
        turn: where it leads.
        connection_id: 0..255, unique in the junction, or None.
    """

    to_lane: int
    signal_group: int | None
    turn: Turn
    connection_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionLane:
    """One lane.

    Attributes:
        number: 1..255.
        direction: ingress, egress or both.
        nodes: centre line from the stop line outward, 2 to 63 points.
        connections: ways across from this lane; empty for an egress lane.
        kind: what it is for.
        width_m: its width, or None for the junction's common width.
        approach: number of the arm it belongs to (0..15), or None.
        name: for people, or None.
    """

    number: int
    direction: LaneDirection
    nodes: tuple[GeoPoint, ...]
    connections: tuple[JunctionConnection, ...] = ()
    kind: LaneKind = LaneKind.VEHICLE
    width_m: float | None = None
    approach: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionMap:
    """A checked junction.

    Attributes:
        origin: the file it came from; begins every error's sentence.
        name: for people; broadcast, at most 63 characters of ASCII.
        intersection_id: region and number of the junction.
        revision: 0..127, to be raised by one whenever anything here changes.
        reference: the point lane nodes are relative to, near the middle.
        lane_width_m: common width of the lanes.
        lanes: every lane, at most 255.
        signal_groups: every group that lights at the junction, from the plan.

    Raises:
        ConfigError: a number is given twice or out of range, a lane leads nowhere, or a connection names a lane or signal group
            that is not there; the key says which lane and connection.
    """

    origin: str
    name: str
    intersection_id: IntersectionId
    revision: int
    reference: GeoPoint
    lane_width_m: float
    lanes: tuple[JunctionLane, ...]
    signal_groups: frozenset[int]

    def __post_init__(self) -> None:
        _check_junction(self)
        for lane in self.lanes:
            _check_lane(self, lane)
            for index, connection in enumerate(lane.connections):
                _check_connection(self, lane, index, connection)
        reached = {connection.to_lane for lane in self.lanes for connection in lane.connections}
        for lane in self.lanes:
            if lane.direction is LaneDirection.EGRESS and lane.number not in reached:
                raise ConfigError(f"{self.origin}: lane {lane.number}", "no connection leads to this egress lane")


def load_map(path: Path, signal_groups: frozenset[int]) -> JunctionMap:
    """Read a junction from a TOML file.

    Args:
        path: the file.
        signal_groups: the groups the junction's controller speaks for; a connection may name no other.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, or describes an impossible junction.
    """
    document = config.load(path, MapDocument)
    origin = str(path)
    reference = _point(f"{origin}: reference_deg", *document.reference_deg)
    return JunctionMap(
        origin=origin,
        name=document.name,
        intersection_id=IntersectionId(document.region, document.number),
        revision=document.revision,
        reference=reference,
        lane_width_m=document.lane_width_m,
        lanes=tuple(_lane(origin, reference, lane) for lane in document.lane),
        signal_groups=signal_groups,
    )


def mapem_of(junction: JunctionMap, station_id: StationId, minute_of_year: int | None) -> Mapem:
    """Return the message that says `junction`.

    Args:
        junction: the checked junction.
        station_id: the station that sends it.
        minute_of_year: UTC minutes since the year began, or None.
    """
    return Mapem(
        station_id=station_id,
        revision=0,  # TS 103 301: msgIssueRevision is not used; the intersection's own revision counts
        minute_of_year=minute_of_year,
        layer_type=mapem.LayerType.INTERSECTION_DATA,
        intersections=(
            mapem.Intersection(
                id=junction.intersection_id,
                revision=junction.revision,
                lat_deg=junction.reference.lat_deg,
                lon_deg=junction.reference.lon_deg,
                lane_width_m=junction.lane_width_m,
                lanes=tuple(_lane_of(junction, lane) for lane in junction.lanes),
                name=junction.name,
            ),
        ),
    )


class ConnectionDocument(config.ConfigStruct, frozen=True):
    """`[[lane.connection]]` of a map file; see `JunctionConnection`."""

    to_lane: int
    turn: Literal["straight", "left", "right", "u_turn"]
    signal_group: int | None = None
    connection_id: int | None = None


class LaneDocument(config.ConfigStruct, frozen=True):
    """`[[lane]]` of a map file; see `JunctionLane`. Nodes are either metres (east, north) or degrees (latitude, longitude)."""

    number: int
    direction: Literal["ingress", "egress", "both"]
    nodes_m: tuple[tuple[float, float], ...] | None = None
    nodes_deg: tuple[tuple[float, float], ...] | None = None
    connection: tuple[ConnectionDocument, ...] = ()
    kind: Literal["vehicle", "crosswalk", "bike", "tracked_vehicle"] = "vehicle"
    width_m: float | None = None
    approach: int | None = None
    name: str | None = None


class MapDocument(config.ConfigStruct, frozen=True):
    """A map file; see `JunctionMap`."""

    name: str
    number: int
    revision: int
    reference_deg: tuple[float, float]
    lane_width_m: float
    lane: tuple[LaneDocument, ...]
    region: int | None = None


_LANE_TYPES = {
    LaneKind.VEHICLE: (LaneType.VEHICLE, LaneSharing.INDIVIDUAL_MOTORIZED_VEHICLE_TRAFFIC),
    LaneKind.CROSSWALK: (LaneType.CROSSWALK, LaneSharing.PEDESTRIANS_TRAFFIC),
    LaneKind.BIKE: (LaneType.BIKE_LANE, LaneSharing.CYCLIST_VEHICLE_TRAFFIC),
    LaneKind.TRACKED_VEHICLE: (LaneType.TRACKED_VEHICLE, LaneSharing.TRACKED_VEHICLE_TRAFFIC),
}
_DIRECTIONS = {
    LaneDirection.INGRESS: mapem.LaneDirection.INGRESS_PATH,
    LaneDirection.EGRESS: mapem.LaneDirection.EGRESS_PATH,
    LaneDirection.BOTH: mapem.LaneDirection.INGRESS_PATH | mapem.LaneDirection.EGRESS_PATH,
}
_TURNS = {
    Turn.STRAIGHT: AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
    Turn.LEFT: AllowedManeuvers.MANEUVER_LEFT_ALLOWED,
    Turn.RIGHT: AllowedManeuvers.MANEUVER_RIGHT_ALLOWED,
    Turn.U_TURN: AllowedManeuvers.MANEUVER_U_TURN_ALLOWED,
}


def _lane_of(junction: JunctionMap, lane: JunctionLane) -> mapem.Lane:
    lane_type, sharing = _LANE_TYPES[lane.kind]
    maneuvers = AllowedManeuvers(0)
    for connection in lane.connections:
        maneuvers |= _TURNS[connection.turn]
    return mapem.Lane(
        id=lane.number,
        directional_use=_DIRECTIONS[lane.direction],
        lane_type=lane_type,
        shared_with=sharing,
        nodes=_nodes_of(junction, lane),
        ingress_approach=lane.approach if lane.direction.leads_in else None,
        egress_approach=lane.approach if lane.direction.leads_out else None,
        maneuvers=maneuvers if lane.connections else None,
        connects_to=tuple(
            mapem.Connection(
                lane_id=connection.to_lane,
                maneuvers=_TURNS[connection.turn],
                signal_group=connection.signal_group,
                connection_id=connection.connection_id,
            )
            for connection in lane.connections
        ),
        name=lane.name,
    )


def _nodes_of(junction: JunctionMap, lane: JunctionLane) -> tuple[mapem.LaneNode, ...]:
    """Return nodes relative to one another; places are rounded to the centimetre first, so that rounding does not add up."""
    width_change_m = None if lane.width_m is None else lane.width_m - junction.lane_width_m
    nodes = []
    before_east, before_north = 0, 0
    for index, point in enumerate(lane.nodes):
        east_m, north_m = offset_m(junction.reference, point)
        east, north = round(east_m * 100), round(north_m * 100)
        is_stop_line = index == 0 and lane.direction.leads_in
        nodes.append(
            mapem.LaneNode(
                dx_m=(east - before_east) / 100,
                dy_m=(north - before_north) / 100,
                attributes=(NodeAttribute.STOP_LINE,) if is_stop_line else (),
                width_change_m=width_change_m if index == 0 else None,
            )
        )
        before_east, before_north = east, north
    return tuple(nodes)


def _lane(origin: str, reference: GeoPoint, lane: LaneDocument) -> JunctionLane:
    key = f"{origin}: lane {lane.number}"
    if (lane.nodes_m is None) == (lane.nodes_deg is None):
        raise ConfigError(key, "give either nodes_m (east, north) or nodes_deg (latitude, longitude)")
    if lane.nodes_deg is not None:
        nodes = tuple(_point(f"{key}: nodes_deg[{i}]", *node) for i, node in enumerate(lane.nodes_deg))
    else:
        nodes = tuple(_displaced(f"{key}: nodes_m[{i}]", reference, *node) for i, node in enumerate(lane.nodes_m or ()))
    return JunctionLane(
        number=lane.number,
        direction=LaneDirection(lane.direction),
        nodes=nodes,
        connections=tuple(
            JunctionConnection(
                to_lane=c.to_lane,
                signal_group=c.signal_group,
                turn=Turn(c.turn),
                connection_id=c.connection_id,
            )
            for c in lane.connection
        ),
        kind=LaneKind(lane.kind),
        width_m=lane.width_m,
        approach=lane.approach,
        name=lane.name,
    )


def _point(key: str, lat_deg: float, lon_deg: float) -> GeoPoint:
    try:
        return GeoPoint(lat_deg, lon_deg)
    except ValueError as error:
        raise ConfigError(key, str(error)) from error


def _displaced(key: str, reference: GeoPoint, east_m: float, north_m: float) -> GeoPoint:
    if not (abs(east_m) <= MAX_NODE_DISTANCE_M and abs(north_m) <= MAX_NODE_DISTANCE_M):
        raise ConfigError(key, f"({east_m}, {north_m}) m is more than {MAX_NODE_DISTANCE_M:g} m from the reference point")
    return displaced(reference, east_m, north_m)


def _check_junction(junction: JunctionMap) -> None:
    origin = junction.origin
    _check_name(f"{origin}: name", junction.name)
    _check_range(f"{origin}: number", junction.intersection_id.number, 0, 65_535)
    if junction.intersection_id.region is not None:
        _check_range(f"{origin}: region", junction.intersection_id.region, 0, 65_535)
    _check_range(f"{origin}: revision", junction.revision, 0, MAX_REVISION)
    _check_width(f"{origin}: lane_width_m", junction.lane_width_m)
    if not 1 <= len(junction.lanes) <= MAX_LANES:
        raise ConfigError(f"{origin}: lane", f"{len(junction.lanes)} lanes are not within 1 to {MAX_LANES}")
    seen: set[int] = set()
    connections: set[int] = set()
    for lane in junction.lanes:
        if lane.number in seen:
            raise ConfigError(f"{origin}: lane {lane.number}", "the number is given twice")
        seen.add(lane.number)
        for connection in lane.connections:
            if connection.connection_id is None:
                continue
            if connection.connection_id in connections:
                raise ConfigError(
                    f"{origin}: lane {lane.number}: connection", f"connection_id {connection.connection_id} is given twice"
                )
            connections.add(connection.connection_id)


def _check_lane(junction: JunctionMap, lane: JunctionLane) -> None:
    key = f"{junction.origin}: lane {lane.number}"
    _check_range(key, lane.number, 1, MAX_LANES)
    if lane.name is not None:
        _check_name(f"{key}: name", lane.name)
    if lane.approach is not None:
        _check_range(f"{key}: approach", lane.approach, 0, 15)
    if lane.width_m is not None:
        _check_width(f"{key}: width_m", lane.width_m)
        if abs(lane.width_m - junction.lane_width_m) > MAX_WIDTH_CHANGE_M:
            raise ConfigError(f"{key}: width_m", f"differs from lane_width_m by more than {MAX_WIDTH_CHANGE_M:g} m")
    if not MIN_NODES <= len(lane.nodes) <= MAX_NODES:
        raise ConfigError(f"{key}: nodes", f"{len(lane.nodes)} nodes are not within {MIN_NODES} to {MAX_NODES}")
    for index, (a, b) in enumerate(pairwise((junction.reference, *lane.nodes))):
        step = distance_m(a, b)
        if step > MAX_NODE_STEP_M:
            before = "the node before" if index else "the reference point"
            raise ConfigError(f"{key}: nodes[{index}]", f"{step:.1f} m from {before}, at most {MAX_NODE_STEP_M:g} m can be said")
        if index and step < MIN_NODE_STEP_M:
            raise ConfigError(f"{key}: nodes[{index}]", "the same place as the node before")
    if lane.direction is LaneDirection.INGRESS and not lane.connections:
        raise ConfigError(key, "the lane leads nowhere: an ingress lane needs a connection")
    if not lane.direction.leads_in and lane.connections:
        raise ConfigError(key, "an egress lane leads out of the junction and has no connection of its own")
    if len(lane.connections) > MAX_CONNECTIONS:
        raise ConfigError(key, f"{len(lane.connections)} connections, at most {MAX_CONNECTIONS} can be said")


def _check_connection(junction: JunctionMap, lane: JunctionLane, index: int, connection: JunctionConnection) -> None:
    key = f"{junction.origin}: lane {lane.number}: connection[{index}]"
    target = next((other for other in junction.lanes if other.number == connection.to_lane), None)
    if target is None:
        raise ConfigError(f"{key}: to_lane", f"there is no lane {connection.to_lane}")
    if target.number == lane.number:
        raise ConfigError(f"{key}: to_lane", "the lane leads to itself")
    if not target.direction.leads_out:
        raise ConfigError(f"{key}: to_lane", f"lane {connection.to_lane} is not an egress lane")
    if any(other.to_lane == connection.to_lane for other in lane.connections[:index]):
        raise ConfigError(f"{key}: to_lane", f"lane {connection.to_lane} is connected twice")
    if connection.connection_id is not None:
        _check_range(f"{key}: connection_id", connection.connection_id, 0, 255)
    if connection.signal_group is not None and connection.signal_group not in junction.signal_groups:
        known = ", ".join(str(g) for g in sorted(junction.signal_groups)) or "none"
        raise ConfigError(f"{key}: signal_group", f"there is no signal group {connection.signal_group}; the controller has {known}")


def _check_range(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(key, f"{value} is not within {least} to {most}")


def _check_width(key: str, width_m: float) -> None:
    if not 0.5 <= width_m <= 20.0:
        raise ConfigError(key, f"{width_m} m is no width of a lane (0.5 to 20 m)")


def _check_name(key: str, name: str) -> None:
    if not (1 <= len(name) <= 63 and name.isascii() and name.isprintable()):
        raise ConfigError(key, "a broadcast name is 1 to 63 printable ASCII characters")
