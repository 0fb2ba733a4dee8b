"""The plan of a junction as the page draws it: lanes, the ways across and stop lines in metres; x to the east, y to the south.

y points south because screens count downwards: the page draws the numbers as they are. A way across is a quadratic curve from the
inner end of one lane to that of another, bent where the two lanes' directions meet. Left out: anything that changes while the
junction works (`view`), and the drawing.
"""

from dataclasses import dataclass
from math import hypot

from rsu_agent.map_data import JunctionLane, JunctionMap
from shared.core.geo import GeoPoint, offset_m

MARGIN_M = 10.0
"""Kept free around the outermost lane."""

BARE_REACH_M = 150.0
"""How far a plan without a junction reaches around the unit."""

PARALLEL = 0.05
"""Below this sine of the angle between them two lanes are drawn as joined by a straight line."""

Place = tuple[float, float]
"""(x, y) in metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLane:
    """A lane as a broad line.

    Attributes:
        number: of the map.
        name: for people, or None.
        kind: `vehicle`, `crosswalk`, `bike` or `tracked_vehicle`.
        direction: `ingress`, `egress` or `both`.
        width_m: its width.
        points: from the junction outward.
    """

    number: int
    name: str | None
    kind: str
    direction: str
    width_m: float
    points: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWay:
    """A way across: from where, the point it bends towards, to where.

    Attributes:
        lane: where it begins.
        to_lane: where it ends.
        group: the lights that rule it, or None.
        turn: `straight`, `left`, `right` or `u_turn`.
        curve: beginning, control point and end.
    """

    lane: int
    to_lane: int
    group: int | None
    turn: str
    curve: tuple[Place, Place, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStop:
    """A stop line across a lane, and the groups that rule its lane."""

    lane: int
    groups: tuple[int, ...]
    line: tuple[Place, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that does not change.

    Attributes:
        name: of the junction; None for a unit without one.
        intersection: region and number as text, or None.
        revision: of the map, or None.
        reach_m: how far from the middle there is something to see.
        lanes: every lane.
        ways: every way across.
        stops: every stop line.
        unit: where the unit itself stands.
    """

    name: str | None
    intersection: str | None
    revision: int | None
    reach_m: float
    lanes: tuple[PlanLane, ...] = ()
    ways: tuple[PlanWay, ...] = ()
    stops: tuple[PlanStop, ...] = ()
    unit: Place = (0.0, 0.0)


def place_of(middle: GeoPoint, point: GeoPoint) -> Place:
    """Return where the plan around `middle` shows a point."""
    east_m, north_m = offset_m(middle, point)
    return round(east_m, 2), round(-north_m, 2)


def plan_of(junction: JunctionMap | None, unit: GeoPoint) -> tuple[Plan, GeoPoint]:
    """Return the plan, and the point in its middle.

    Args:
        junction: what the unit speaks for, or None.
        unit: where it stands.
    """
    if junction is None:
        return Plan(name=None, intersection=None, revision=None, reach_m=BARE_REACH_M), unit
    middle = junction.reference
    lanes = tuple(_lane(junction, lane) for lane in junction.lanes)
    by_number = {lane.number: lane for lane in lanes}
    ways = tuple(
        PlanWay(
            lane=lane.number,
            to_lane=connection.to_lane,
            group=connection.signal_group,
            turn=connection.turn.value,
            curve=_curve(by_number[lane.number].points, by_number[connection.to_lane].points),
        )
        for lane in junction.lanes
        for connection in lane.connections
    )
    stops = tuple(
        PlanStop(lane=lane.number, groups=_groups(lane), line=_across(by_number[lane.number]))
        for lane in junction.lanes
        if lane.direction.leads_in and lane.connections
    )
    reach_m = max(max(abs(x), abs(y)) for lane in lanes for x, y in lane.points) + MARGIN_M
    region = junction.intersection_id.region or 0
    plan = Plan(
        name=junction.name,
        intersection=f"{region}/{junction.intersection_id.number}",
        revision=junction.revision,
        reach_m=round(reach_m, 1),
        lanes=lanes,
        ways=ways,
        stops=stops,
        unit=place_of(middle, unit),
    )
    return plan, middle


def _lane(junction: JunctionMap, lane: JunctionLane) -> PlanLane:
    return PlanLane(
        number=lane.number,
        name=lane.name,
        kind=lane.kind.value,
        direction=lane.direction.value,
        width_m=junction.lane_width_m if lane.width_m is None else lane.width_m,
        points=tuple(place_of(junction.reference, node) for node in lane.nodes),
    )


def _groups(lane: JunctionLane) -> tuple[int, ...]:
    return tuple(sorted({each.signal_group for each in lane.connections if each.signal_group is not None}))


def _inward(points: tuple[Place, ...]) -> Place:
    """Return the direction of a lane at its inner end, towards the junction, one metre long."""
    (x, y), (outer_x, outer_y) = points[0], points[1]
    length = hypot(x - outer_x, y - outer_y)
    return (x - outer_x) / length, (y - outer_y) / length


def _curve(come: tuple[Place, ...], go: tuple[Place, ...]) -> tuple[Place, Place, Place]:
    """Return the way from one lane's inner end to another's, bent where their directions meet."""
    (ax, ay), (bx, by) = come[0], go[0]
    (ux, uy), (vx, vy) = _inward(come), _inward(go)
    middle = ((ax + bx) / 2, (ay + by) / 2)
    sine = ux * vy - uy * vx
    if abs(sine) > PARALLEL:
        along = ((bx - ax) * vy - (by - ay) * vx) / sine
        back = ((bx - ax) * uy - (by - ay) * ux) / sine
        if along > 0 and back > 0:
            middle = (ax + ux * along, ay + uy * along)
    return (ax, ay), (round(middle[0], 2), round(middle[1], 2)), (bx, by)


def _across(lane: PlanLane) -> tuple[Place, Place]:
    """Return the stop line: across the lane's inner end."""
    (x, y), (ux, uy), half = lane.points[0], _inward(lane.points), lane.width_m / 2
    return (round(x - uy * half, 2), round(y + ux * half, 2)), (round(x + uy * half, 2), round(y - ux * half, 2))
