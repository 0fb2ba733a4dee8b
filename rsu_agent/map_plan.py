"""A junction as plain geometry in metres, taken from the map message that is broadcast: what a drawing or a live view needs.

`plan_of` reads an `IntersectionGeometry`, our own or one heard (ISO/TS 19091), so a plan shows what receivers are told and nothing
else. Points are (east, north) metres from the reference point. A message says where lanes begin and end but not how one drives
between them; that course is a curve which leaves the one lane and meets the other in their directions (`across`).

Left out: heights, lanes that grow wider on their way, connections to the lanes of other junctions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

from rsu_agent.map_geometry import Line, Point, across, clipped, direction, distance, heading
from rsu_agent.map_junction import JunctionMap, mapem_of
from shared.core.geo import GeoPoint, offset_m
from shared.core.ids import StationId
from shared.messages.mapem import AllowedManeuvers, ComputedLane, Intersection, Lane, LaneDirection

DEFAULT_REACH_M = 80.0
"""How much of a lane is drawn, from the junction outward."""

DEFAULT_LANE_WIDTH_M = 3.0
"""Of lanes whose message says no width."""

SAME_POINT_M = 0.005
"""Points nearer than this, half of what a message can say, are one."""

MIN_WIDTH_M = 0.5
"""No lane is drawn narrower, whatever its message says."""

_TURNS = {
    AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED: "straight",
    AllowedManeuvers.MANEUVER_LEFT_ALLOWED: "left",
    AllowedManeuvers.MANEUVER_RIGHT_ALLOWED: "right",
    AllowedManeuvers.MANEUVER_U_TURN_ALLOWED: "u_turn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLane:
    """One lane.

    Attributes:
        number: 0..255.
        kind: `vehicle`, `crosswalk`, `bike_lane`, `sidewalk`, `median`, `striping`, `tracked_vehicle` or `parking`.
        direction: `ingress`, `egress`, `both` or `none`.
        centre_m: centre line, from the junction outward, no longer than the plan's reach.
        width_m: its width where it begins.
        stop_line_m: both ends of its stop line; None where traffic only leaves, and for crosswalks.
        approach: number of its arm, or None.
        name: for people, or None.
    """

    number: int
    kind: str
    direction: str
    centre_m: Line
    width_m: float
    stop_line_m: tuple[Point, Point] | None
    approach: int | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConnection:
    """One way across.

    Attributes:
        from_lane: number of the lane it begins at.
        to_lane: number of the lane it leads to.
        path_m: the course across the junction, from the one lane's end to the other's.
        signal_group: the lights that rule it, or None.
        turn: `straight`, `left`, `right`, `u_turn`, or None where the message does not say.
        yields: whether it gives way to those it crosses.
        connection_id: 0..255, or None.
    """

    from_lane: int
    to_lane: int
    path_m: Line
    signal_group: int | None
    turn: str | None
    yields: bool
    connection_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSignal:
    """One light: a signal group where it stands at the end of one lane.

    Attributes:
        signal_group: whose light it is.
        lane: number of the lane it stands at.
        at_m: on the stop line; several lights of one lane stand side by side.
        heading_deg: which way traffic comes to it, clockwise from north.
        turns: where it lets go, each once: values as in `PlanConnection.turn`.
    """

    signal_group: int
    lane: int
    at_m: Point
    heading_deg: float
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionPlan:
    """The drawn junction.

    Attributes:
        name: for people, or None.
        revision: of the map it is drawn from.
        reference: the place of (0, 0); None where the message leaves it out. `offset_m(reference, place)` puts others on the plan.
        lanes: as in the message.
        connections: those between lanes that are drawn.
        signals: lights, by lane and group.
        signal_groups: every group with a light, in order.
        bounds_m: (west, south, east, north) of everything, widths included.
        unplaced: numbers of lanes whose place the message does not give, which are not drawn.
    """

    name: str | None
    revision: int
    reference: GeoPoint | None
    lanes: tuple[PlanLane, ...]
    connections: tuple[PlanConnection, ...]
    signals: tuple[PlanSignal, ...]
    signal_groups: tuple[int, ...]
    bounds_m: tuple[float, float, float, float]
    unplaced: tuple[int, ...]


def plan_of_map(junction: JunctionMap, *, reach_m: float = DEFAULT_REACH_M) -> JunctionPlan:
    """Return the plan of a junction of our own, drawn from the message that says it."""
    return plan_of(mapem_of(junction, StationId(0), None).intersections[0], reach_m=reach_m)


def plan_of(intersection: Intersection, *, reach_m: float = DEFAULT_REACH_M) -> JunctionPlan:
    """Return the plan of a junction as its message gives it.

    Args:
        intersection: from a MAPEM.
        reach_m: how much of each lane is drawn.
    """
    lat_deg, lon_deg = intersection.lat_deg, intersection.lon_deg
    reference = None if lat_deg is None or lon_deg is None else GeoPoint(lat_deg, lon_deg)
    courses = _courses(intersection, reference)
    width_m = DEFAULT_LANE_WIDTH_M if intersection.lane_width_m is None else intersection.lane_width_m
    lanes = tuple(_lane(lane, clipped(courses[lane.id], reach_m), width_m) for lane in intersection.lanes if lane.id in courses)
    by_number = {lane.number: lane for lane in lanes}
    connections = tuple(
        PlanConnection(
            from_lane=lane.id,
            to_lane=connection.lane_id,
            path_m=across(by_number[lane.id].centre_m, by_number[connection.lane_id].centre_m),
            signal_group=connection.signal_group,
            turn=None if connection.maneuvers is None else _turn(connection.maneuvers),
            yields=connection.maneuvers is not None and AllowedManeuvers.YIELD_ALLWAYS_REQUIRED in connection.maneuvers,
            connection_id=connection.connection_id,
        )
        for lane in intersection.lanes
        for connection in lane.connects_to
        if lane.id in by_number and connection.lane_id in by_number and connection.remote_intersection is None
    )
    signals = tuple(signal for lane in intersection.lanes if lane.id in by_number for signal in _signals(lane, by_number[lane.id]))
    return JunctionPlan(
        name=intersection.name,
        revision=intersection.revision,
        reference=reference,
        lanes=lanes,
        connections=connections,
        signals=signals,
        signal_groups=tuple(sorted({signal.signal_group for signal in signals})),
        bounds_m=_bounds(lanes, connections),
        unplaced=tuple(lane.id for lane in intersection.lanes if lane.id not in courses),
    )


def plan_document(plan: JunctionPlan) -> dict[str, object]:
    """Return the plan as JSON values, lengths to the centimetre; keys as the attributes, `reference_deg` [latitude, longitude]."""
    return {
        "name": plan.name,
        "revision": plan.revision,
        "reference_deg": None if plan.reference is None else [plan.reference.lat_deg, plan.reference.lon_deg],
        "bounds_m": [round(bound, 2) for bound in plan.bounds_m],
        "signal_groups": list(plan.signal_groups),
        "unplaced": list(plan.unplaced),
        "lanes": [
            {
                "number": lane.number,
                "kind": lane.kind,
                "direction": lane.direction,
                "centre_m": _points(lane.centre_m),
                "width_m": round(lane.width_m, 2),
                "stop_line_m": None if lane.stop_line_m is None else _points(lane.stop_line_m),
                "approach": lane.approach,
                "name": lane.name,
            }
            for lane in plan.lanes
        ],
        "connections": [
            {
                "from_lane": connection.from_lane,
                "to_lane": connection.to_lane,
                "path_m": _points(connection.path_m),
                "signal_group": connection.signal_group,
                "turn": connection.turn,
                "yields": connection.yields,
                "connection_id": connection.connection_id,
            }
            for connection in plan.connections
        ],
        "signals": [
            {
                "signal_group": signal.signal_group,
                "lane": signal.lane,
                "at_m": _points((signal.at_m,))[0],
                "heading_deg": round(signal.heading_deg, 1),
                "turns": list(signal.turns),
            }
            for signal in plan.signals
        ],
    }


def _courses(intersection: Intersection, reference: GeoPoint | None) -> dict[int, Line]:
    """Return the centre line of every lane that can be placed, by number."""
    courses = {lane.id: line for lane in intersection.lanes if (line := _course(lane, reference)) is not None}
    for lane in intersection.lanes:
        if lane.computed is not None and (leader := courses.get(lane.computed.reference_lane_id)) is not None:
            line = _apart(_moved(leader, lane.computed))
            if line is not None and lane.id not in courses:
                courses[lane.id] = line
    return courses


def _course(lane: Lane, reference: GeoPoint | None) -> Line | None:
    points: list[Point] = []
    here = (0.0, 0.0)
    for node in lane.nodes:
        if node.dx_m is not None and node.dy_m is not None:
            here = (here[0] + node.dx_m, here[1] + node.dy_m)
        elif reference is not None and node.lat_deg is not None and node.lon_deg is not None:
            here = offset_m(reference, GeoPoint(node.lat_deg, node.lon_deg))
        else:
            return None
        points.append(here)
    return _apart(points)


def _apart(points: Sequence[Point]) -> Line | None:
    """Return a line without points that are where the one before is; None where fewer than two remain."""
    kept: list[Point] = []
    for point in points:
        if not kept or distance(kept[-1], point) >= SAME_POINT_M:
            kept.append(point)
    return tuple(kept) if len(kept) >= 2 else None


def _moved(line: Line, computed: ComputedLane) -> list[Point]:
    """Return a line scaled and turned about its first point, then moved."""
    scale_x = 1.0 if computed.scale_x is None else computed.scale_x
    scale_y = 1.0 if computed.scale_y is None else computed.scale_y
    angle = radians(computed.rotation_deg or 0.0)
    first = line[0]
    moved = []
    for east, north in line:
        x, y = (east - first[0]) * scale_x, (north - first[1]) * scale_y
        moved.append(
            (
                first[0] + x * cos(angle) - y * sin(angle) + computed.offset_x_m,
                first[1] + x * sin(angle) + y * cos(angle) + computed.offset_y_m,
            )
        )
    return moved


def _lane(lane: Lane, centre: Line, common_width_m: float) -> PlanLane:
    change_m = next((node.width_change_m for node in lane.nodes[:1] if node.width_change_m is not None), 0.0)
    width_m = max(common_width_m + change_m, MIN_WIDTH_M)
    kind = lane.lane_type.name.lower()
    leads_in = LaneDirection.INGRESS_PATH in lane.directional_use
    along = direction(centre[0], centre[1])
    side = (along[1] * width_m / 2, -along[0] * width_m / 2)
    east, north = centre[0]
    return PlanLane(
        number=lane.id,
        kind=kind,
        direction=_use(lane.directional_use),
        centre_m=centre,
        width_m=width_m,
        stop_line_m=((east - side[0], north - side[1]), (east + side[0], north + side[1]))
        if leads_in and kind != "crosswalk"
        else None,
        approach=lane.ingress_approach if lane.ingress_approach is not None else lane.egress_approach,
        name=lane.name,
    )


def _use(use: LaneDirection) -> str:
    leads_in, leads_out = LaneDirection.INGRESS_PATH in use, LaneDirection.EGRESS_PATH in use
    if leads_in and leads_out:
        return "both"
    return "ingress" if leads_in else "egress" if leads_out else "none"


def _turn(maneuvers: AllowedManeuvers) -> str | None:
    return next((name for flag, name in _TURNS.items() if flag in maneuvers), None)


def _signals(lane: Lane, drawn: PlanLane) -> tuple[PlanSignal, ...]:
    """Return the lights of one lane, side by side on its stop line; the lane's own order keeps left turns on the left."""
    turns: dict[int, list[str]] = {}
    for connection in lane.connects_to:
        if connection.signal_group is None:
            continue
        said = turns.setdefault(connection.signal_group, [])
        turn = None if connection.maneuvers is None else _turn(connection.maneuvers)
        if turn is not None and turn not in said:
            said.append(turn)
    into = direction(drawn.centre_m[1], drawn.centre_m[0])
    right = (into[1], -into[0])
    east, north = drawn.centre_m[0]
    signals = []
    ordered = sorted(turns, key=lambda group: (_from_left(turns[group]), group))
    for index, group in enumerate(ordered):
        aside_m = ((index + 0.5) / len(ordered) - 0.5) * drawn.width_m
        signals.append(
            PlanSignal(
                signal_group=group,
                lane=lane.id,
                at_m=(east + right[0] * aside_m, north + right[1] * aside_m),
                heading_deg=heading(into),
                turns=tuple(turns[group]),
            )
        )
    return tuple(signals)


def _from_left(turns: list[str]) -> int:
    order = ("u_turn", "left", "straight", "right")
    return min((order.index(turn) for turn in turns), default=len(order))


def _bounds(lanes: tuple[PlanLane, ...], connections: tuple[PlanConnection, ...]) -> tuple[float, float, float, float]:
    half = max((lane.width_m for lane in lanes), default=0.0) / 2
    points = [point for lane in lanes for point in lane.centre_m] + [point for each in connections for point in each.path_m]
    if not points:
        return (0.0, 0.0, 0.0, 0.0)
    east, north = [point[0] for point in points], [point[1] for point in points]
    return (min(east) - half, min(north) - half, max(east) + half, max(north) + half)


def _points(line: Line) -> list[list[float]]:
    return [[round(east, 2), round(north, 2)] for east, north in line]
