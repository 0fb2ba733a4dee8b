"""The signalled lanes that lead into a junction, from its MAPEM (ISO/TS 19091), and which of them a vehicle is on.

A lane is matched by place, heading and path: it must pass within its own width of where the vehicle is and lead where it heads; of
those that do, the one counts that lay nearest to the way driven lately, so that one bad position between two lanes changes nothing.

Left out: rotated and scaled computed lanes, junctions joined through `remote_intersection`, lanes that are open only at times.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, degrees, hypot

from shared.core.clock import MonotonicNs
from shared.core.geo import GeoPoint, heading_difference_deg, offset_m
from shared.messages.mapem import (
    AllowedManeuvers,
    Connection,
    Intersection,
    Lane,
    LaneDirection,
    LaneType,
    SpeedLimitType,
)
from shared.stack.station import EgoPosition

REACH_M = 400.0
"""Junctions further away along the lane are not spoken of."""

LATERAL_MARGIN_M = 1.0
"""How far beyond half the lane's width a position may lie: what a good GNSS receiver is wrong by."""

DEFAULT_LANE_WIDTH_M = 3.0
"""Width of a lane where the map gives none."""

MAX_HEADING_DIFFERENCE_DEG = 45.0
"""A vehicle whose heading differs more from the lane's direction is crossing it, not driving on it."""

MAX_PATH_POINTS = 8
"""Most places of the way driven lately that are looked at."""

PATH_FADING = 0.5
"""Each earlier place counts this much less than the next one."""

STRAIGHT_ON_DEG = 35.0
"""Turning less than this is straight on, where the map does not say."""

TURNED_BACK_DEG = 150.0
"""Turning more than this is turning back."""

_TURNS = (
    AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED
    | AllowedManeuvers.MANEUVER_LEFT_ALLOWED
    | AllowedManeuvers.MANEUVER_RIGHT_ALLOWED
    | AllowedManeuvers.MANEUVER_U_TURN_ALLOWED
)
_VELOCITY_UNITS_PER_MPS = 50
_VELOCITY_UNAVAILABLE = 8_191

Point = tuple[float, float]
"""Metres east and north of a junction's reference point."""


@dataclass(frozen=True, slots=True)
class LaneLine:
    """A signalled lane that leads in, from the stop line outward.

    Attributes:
        number: of the lane.
        points: its centre line.
        half_width_m: half its width.
        turns: where each signal group of the lane leads; 0 where that is not known.
        limits_mps: the speed limit on each part between two points, None where none is given.
    """

    number: int
    points: tuple[Point, ...]
    half_width_m: float
    turns: Mapping[int, AllowedManeuvers]
    limits_mps: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class JunctionMap:
    """One junction.

    Attributes:
        revision: that of the lights it goes with.
        reference: its reference point.
        lanes: those that lead in and have lights.
        heard: when its message came.
    """

    revision: int
    reference: GeoPoint
    lanes: tuple[LaneLine, ...]
    heard: MonotonicNs


@dataclass(frozen=True, slots=True)
class OnLane:
    """A vehicle's place on a lane.

    Attributes:
        lane: the lane.
        to_stop_m: along it to the stop line.
        limit_mps: the lowest limit on the way there, or None.
    """

    lane: LaneLine
    to_stop_m: float
    limit_mps: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a strip along a line.

    Attributes:
        aside_m: from the line.
        from_start_m: along it from its first point.
        part: which of its parts.
    """

    aside_m: float
    from_start_m: float
    part: int


def junction_map(intersection: Intersection, heard: MonotonicNs, limits: frozenset[SpeedLimitType]) -> JunctionMap | None:
    """Return the lanes of a junction; None where it has no reference point.

    Args:
        intersection: its geometry.
        heard: when its message came.
        limits: the kinds of speed limit that bind the vehicle.
    """
    if intersection.lat_deg is None or intersection.lon_deg is None:
        return None
    reference = GeoPoint(intersection.lat_deg, intersection.lon_deg)
    by_number = {lane.id: lane for lane in intersection.lanes}
    width_m = intersection.lane_width_m or DEFAULT_LANE_WIDTH_M
    said = ((limit.kind, limit.speed_mps) for limit in intersection.speed_limits)
    limit_mps = _lowest(speed_mps for kind, speed_mps in said if kind in limits)
    lines = (_lane_line(lane, by_number, reference, width_m, limit_mps, limits) for lane in intersection.lanes)
    return JunctionMap(intersection.revision, reference, tuple(line for line in lines if line is not None), heard)


def lane_of(junction: JunctionMap, ego: EgoPosition, path: Iterable[GeoPoint] = ()) -> OnLane | None:
    """Return the lane the vehicle is on and its place there, or None.

    Args:
        junction: whose lanes.
        ego: where the vehicle is and where it heads.
        path: where it was lately, the latest first.
    """
    if ego.heading_deg is None:
        return None
    here = offset_m(junction.reference, ego.point)
    fitting = []
    for lane in junction.lanes:
        place = place_on(lane.points, lane.half_width_m, here, ego.heading_deg)
        if place is not None and place.from_start_m <= REACH_M:
            fitting.append((lane, place))
    if not fitting:
        return None
    before = [] if len(fitting) == 1 else [offset_m(junction.reference, point) for point in _few(path)]
    lane, place = min(fitting, key=lambda one: _strangeness(one[0], one[1], before))
    return OnLane(lane, place.from_start_m, _lowest(lane.limits_mps[: place.part + 1]))


def _few(path: Iterable[GeoPoint]) -> Iterable[GeoPoint]:
    for _, point in zip(range(MAX_PATH_POINTS), path, strict=False):
        yield point


def _strangeness(lane: LaneLine, place: Place, before: list[Point]) -> float:
    """Return the mean distance of the way driven from the lane, the latest places counting most."""
    total, weights, weight = place.aside_m, 1.0, 1.0
    for point in before:
        weight *= PATH_FADING
        aside_m = _aside_m(lane, point)
        if aside_m is not None:
            total, weights = total + weight * aside_m, weights + weight
    return total / weights


def _lane_line(
    lane: Lane,
    by_number: dict[int, Lane],
    reference: GeoPoint,
    width_m: float,
    limit_mps: float | None,
    limits: frozenset[SpeedLimitType],
) -> LaneLine | None:
    """Return a vehicle lane that leads in and has lights; None for every other."""
    groups = sorted({c.signal_group for c in lane.connects_to if c.signal_group})
    if not groups or LaneDirection.INGRESS_PATH not in lane.directional_use or lane.lane_type is not LaneType.VEHICLE:
        return None
    points = _points(lane, by_number, reference)
    if len(points) < 2:
        return None
    change_m = lane.nodes[0].width_change_m if lane.nodes else None
    turns = dict.fromkeys(groups, AllowedManeuvers(0))
    for connection in lane.connects_to:
        if connection.signal_group:
            turns[connection.signal_group] |= _turn(connection, lane, points, by_number, reference)
    return LaneLine(
        lane.id, points, (width_m + (change_m or 0.0)) / 2, turns, _limits(lane, by_number, len(points) - 1, limit_mps, limits)
    )


def _limits(
    lane: Lane, by_number: dict[int, Lane], parts: int, limit_mps: float | None, limits: frozenset[SpeedLimitType]
) -> tuple[float | None, ...]:
    """Return the limit of each part: what the nodes say from where they say it, and before that what the junction says."""
    source = lane if lane.computed is None else by_number.get(lane.computed.reference_lane_id, lane)
    found: list[float | None] = []
    for node in source.nodes[:parts]:
        for data in node.data:
            if isinstance(data, tuple) and len(data) == 2 and data[0] == "speedLimits":
                said = _lowest(_node_limits_mps(data[1], limits))
                limit_mps = limit_mps if said is None else said
        found.append(limit_mps)
    return tuple(found)


def _node_limits_mps(tree: object, limits: frozenset[SpeedLimitType]) -> Iterable[float]:
    """Yield the limits of a `SpeedLimitList` as the plain tree it is decoded to."""
    for limit in tree if isinstance(tree, tuple | list) else ():
        kind, speed = limit.get("type"), limit.get("speed")
        if kind in limits and isinstance(speed, int) and speed != _VELOCITY_UNAVAILABLE:
            yield speed / _VELOCITY_UNITS_PER_MPS


def _lowest(limits_mps: Iterable[float | None]) -> float | None:
    """Return the lowest limit there is; one of nothing is none."""
    return min((limit for limit in limits_mps if limit), default=None)


def _turn(
    connection: Connection, lane: Lane, points: tuple[Point, ...], by_number: dict[int, Lane], reference: GeoPoint
) -> AllowedManeuvers:
    """Return where a connection leads: as the map says, else by the direction of the lane it leads to; 0 where neither is known."""
    said = connection.maneuvers if connection.maneuvers is not None else lane.maneuvers
    if said is not None and said & _TURNS:
        return said & _TURNS
    onward = by_number.get(connection.lane_id)
    if onward is None or connection.remote_intersection is not None:
        return AllowedManeuvers(0)
    out = _points(onward, by_number, reference)
    if len(out) < 2:
        return AllowedManeuvers(0)
    (near_x, near_y), (far_x, far_y) = points[0], points[1]
    arriving_deg = degrees(atan2(near_x - far_x, near_y - far_y))
    leaving_deg = degrees(atan2(out[1][0] - out[0][0], out[1][1] - out[0][1]))
    turned_deg = (leaving_deg - arriving_deg + 180.0) % 360.0 - 180.0
    if abs(turned_deg) <= STRAIGHT_ON_DEG:
        return AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED
    if abs(turned_deg) >= TURNED_BACK_DEG:
        return AllowedManeuvers.MANEUVER_U_TURN_ALLOWED
    return AllowedManeuvers.MANEUVER_RIGHT_ALLOWED if turned_deg > 0.0 else AllowedManeuvers.MANEUVER_LEFT_ALLOWED


def _points(lane: Lane, by_number: dict[int, Lane], reference: GeoPoint) -> tuple[Point, ...]:
    """Return a lane's nodes in metres east and north of the reference point; empty where they cannot be known."""
    shift_x, shift_y = 0.0, 0.0
    source: Lane | None = lane
    if lane.computed is not None:
        computed = lane.computed
        if computed.rotation_deg or computed.scale_x or computed.scale_y:
            return ()
        source = by_number.get(computed.reference_lane_id)
        shift_x, shift_y = computed.offset_x_m, computed.offset_y_m
    if source is None:
        return ()
    points: list[Point] = []
    x, y = 0.0, 0.0
    for node in source.nodes:
        if node.dx_m is not None and node.dy_m is not None:
            x, y = x + node.dx_m, y + node.dy_m
        elif node.lat_deg is not None and node.lon_deg is not None:
            x, y = offset_m(reference, GeoPoint(node.lat_deg, node.lon_deg))
        else:
            return ()
        points.append((x + shift_x, y + shift_y))
    return tuple(points)


def place_on(points: tuple[Point, ...], half_width_m: float, here: Point, heading_deg: float | None) -> Place | None:
    """Return the place on a strip for who drives towards its first point, or None.

    Args:
        points: the middle of the strip.
        half_width_m: half its width.
        here: where the vehicle is.
        heading_deg: where it heads; None where that does not matter.
    """
    best: Place | None = None
    from_start_m = 0.0
    last = len(points) - 2
    for part, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        length_m = hypot(bx - ax, by - ay)
        if length_m == 0.0:
            continue
        raw_m, along_m, aside_m = _projected(here, (ax, ay), (bx, by), length_m)
        is_beside = (raw_m >= 0.0 or from_start_m > 0.0) and (raw_m <= length_m or part < last)
        direction_deg = degrees(atan2(ax - bx, ay - by)) % 360.0
        fits = heading_deg is None or heading_difference_deg(direction_deg, heading_deg) <= MAX_HEADING_DIFFERENCE_DEG
        if is_beside and fits and aside_m <= half_width_m + LATERAL_MARGIN_M and (best is None or aside_m < best.aside_m):
            best = Place(aside_m, from_start_m + along_m, part)
        from_start_m += length_m
    return best


def _aside_m(lane: LaneLine, point: Point) -> float | None:
    """Return how far beside a lane a place is; None before the lane begins and past its stop line."""
    best: float | None = None
    from_stop_m = 0.0
    last = len(lane.points) - 2
    for part, (a, b) in enumerate(pairwise(lane.points)):
        length_m = hypot(b[0] - a[0], b[1] - a[1])
        if length_m == 0.0:
            continue
        raw_m, _, aside_m = _projected(point, a, b, length_m)
        if (raw_m >= 0.0 or from_stop_m > 0.0) and (raw_m <= length_m or part < last):
            best = aside_m if best is None else min(best, aside_m)
        from_stop_m += length_m
    return best


def _projected(point: Point, a: Point, b: Point, length_m: float) -> tuple[float, float, float]:
    """Return (along the line through a and b, along the part between them, aside of that part) in metres."""
    (x, y), (ax, ay) = point, a
    ux, uy = (b[0] - ax) / length_m, (b[1] - ay) / length_m
    raw_m = (x - ax) * ux + (y - ay) * uy
    along_m = min(max(raw_m, 0.0), length_m)
    return raw_m, along_m, hypot(x - ax - along_m * ux, y - ay - along_m * uy)
