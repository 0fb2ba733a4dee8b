"""Whether an event matters to this vehicle, how far ahead it is and when it is reached (EN 302 637-3 V1.3.1, annex B).

For events with traces: the vehicle is on one of them, moving towards the event, or so far away that no trace reaches it, and
about to come upon the far end of one, heading as it leads. Without: the event lies within a cone ahead. Another place where it was
seen (its history) counts likewise. All within the relevance distance (or, where none is stated, the vehicle is in the area it was
broadcast to), and its direction of traffic fits, which a trace shows better than a heading where roads bend. What was passed, or is
on another carriageway, is not ahead; nor is it from further away, so that nobody is told of what turns out to be on another road.

An event that moves, such as a slow vehicle, is reached as fast as the distance to it shrinks.

Left out: map matching, closed lanes, and where an event that moves has got to since it was last told of.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, radians, sin

from shared.core.geo import GeoPoint, heading_difference_deg, offset_m
from shared.messages.cdd import PathPoint
from shared.messages.denm import Denm, EventPoint, RelevanceDistance, RelevanceTrafficDirection
from shared.network.area import Area
from shared.stack.station import EgoPosition

AHEAD_CONE_DEG = 30.0
"""An event further than this to the side of our heading is not ahead."""

SAME_DIRECTION_DEG = 60.0
"""Headings nearer than this are of one direction of traffic."""

TRACE_HALF_WIDTH_M = 15.0
"""How far beside a trace a vehicle still is on it."""

MIN_TRACE_M = 20.0
"""A shorter trace shows the receiver's noise, and no direction."""

BEYOND_TRACE_SPREAD = 0.25
"""A vehicle that no trace reaches is on that road if it lies beside its continuation by no more than this share of the way to it,
and half the width of a trace: roads bend."""

DEFAULT_RELEVANCE_M = 1_000.0
"""Relevance distance of an event that states none."""

MIN_REACH_SPEED_MPS = 1.0
"""Below this speed towards it no time to reach is given."""

MOVING_MPS = 1.0
"""An event that states no less speed moves."""

_AGAINST_TRACES = frozenset({RelevanceTrafficDirection.OPPOSITE_TRAFFIC, RelevanceTrafficDirection.DOWNSTREAM_TRAFFIC})
"""Traffic that does not come along the traces: the heading of the event decides."""

_RELEVANCE_M = {
    RelevanceDistance.LESS_THAN_50M: 50.0,
    RelevanceDistance.LESS_THAN_100M: 100.0,
    RelevanceDistance.LESS_THAN_200M: 200.0,
    RelevanceDistance.LESS_THAN_500M: 500.0,
    RelevanceDistance.LESS_THAN_1000M: 1_000.0,
    RelevanceDistance.LESS_THAN_5KM: 5_000.0,
    RelevanceDistance.LESS_THAN_10KM: 10_000.0,
    RelevanceDistance.OVER_10KM: 20_000.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How an event lies ahead.

    Attributes:
        distance_m: along its trace where the vehicle is on one, otherwise straight.
        time_to_reach_s: at the present speeds; None when standing, or when the distance does not shrink.
    """

    distance_m: float
    time_to_reach_s: float | None


def relevance(denm: Denm, position: GeoPoint, area: Area | None, ego: EgoPosition) -> Ahead | None:
    """Say how an event lies ahead, or None when it does not matter to the vehicle.

    Args:
        denm: its last version.
        position: where it is.
        area: where it was to be heard; None for a single hop.
        ego: where the vehicle is and how it moves; without a heading nothing is ahead.
    """
    distance_m = _distance_ahead_m(denm, position, area, ego)
    if distance_m is None:
        return None
    closing_mps = (ego.speed_mps or 0.0) - _speed_away_mps(denm, ego.heading_deg)
    return Ahead(distance_m=distance_m, time_to_reach_s=distance_m / closing_mps if closing_mps >= MIN_REACH_SPEED_MPS else None)


def is_moving(denm: Denm) -> bool:
    """Tell whether the event says of itself that it moves."""
    return denm.event_speed_mps is not None and denm.event_speed_mps >= MOVING_MPS


def _speed_away_mps(denm: Denm, heading_deg: float | None) -> float:
    """Return how fast the event moves the way we do, negative when it comes towards us."""
    if heading_deg is None or denm.event_speed_mps is None or denm.event_heading_deg is None:
        return 0.0
    return denm.event_speed_mps * cos(radians(heading_difference_deg(denm.event_heading_deg, heading_deg)))


def _distance_ahead_m(denm: Denm, position: GeoPoint, area: Area | None, ego: EgoPosition) -> float | None:
    heading_deg = ego.heading_deg
    if heading_deg is None:
        return None
    if denm.relevance_distance is None and area is not None and not area.contains(ego.point):
        return None
    reach_m = DEFAULT_RELEVANCE_M if denm.relevance_distance is None else _RELEVANCE_M[denm.relevance_distance]
    east_m, north_m = offset_m(ego.point, position)
    distance_m = hypot(east_m, north_m)
    traces = [line for line in (_trace_line(position, trace, ego) for trace in denm.traces or ()) if _length_m(line) >= MIN_TRACE_M]
    fits = _direction_fits(denm, heading_deg)
    if not fits and (not traces or denm.relevance_traffic_direction in _AGAINST_TRACES):
        return None
    found: list[float | None] = []
    if traces and distance_m <= reach_m:
        on_trace = [d for d in (_along_trace_m(line, heading_deg) for line in traces) if d is not None]
        if on_trace:
            return min(on_trace)
        if distance_m <= max(_length_m(line) for line in traces):
            return None
        found += (_before_trace_m(line, heading_deg) for line in traces)
    places = (*(() if traces else ((east_m, north_m),)), *(_history(position, denm.event_history, ego) if fits else ()))
    found += (hypot(*place) for place in places if hypot(*place) <= reach_m and _is_in_cone(place, heading_deg))
    return min((way_m for way_m in found if way_m is not None), default=None)


def _is_in_cone(place_m: tuple[float, float], heading_deg: float) -> bool:
    heading = radians(heading_deg)
    ahead_m = place_m[0] * sin(heading) + place_m[1] * cos(heading)
    return ahead_m >= hypot(*place_m) * cos(radians(AHEAD_CONE_DEG))


def _history(position: GeoPoint, points: Iterable[EventPoint], ego: EgoPosition) -> tuple[tuple[float, float], ...]:
    """Return the other places of an event in metres east and north of the vehicle, up to the first unknown one."""
    return _line(position, ((point.delta_lat_deg, point.delta_lon_deg) for point in points), ego)[1:]


def _direction_fits(denm: Denm, heading_deg: float) -> bool:
    """`RelevanceTrafficDirection` against the heading of the event, where both are stated."""
    direction = denm.relevance_traffic_direction
    if direction is RelevanceTrafficDirection.DOWNSTREAM_TRAFFIC:
        return False
    if denm.event_heading_deg is None or direction is RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS:
        return True
    apart_deg = heading_difference_deg(denm.event_heading_deg, heading_deg)
    if direction is RelevanceTrafficDirection.OPPOSITE_TRAFFIC:
        return apart_deg >= 180.0 - SAME_DIRECTION_DEG
    return apart_deg <= SAME_DIRECTION_DEG


def _trace_line(position: GeoPoint, trace: Iterable[PathPoint], ego: EgoPosition) -> tuple[tuple[float, float], ...]:
    """Return the trace in metres east and north of the vehicle, from the event backwards, up to the first unknown point."""
    return _line(position, ((step.delta_lat_deg, step.delta_lon_deg) for step in trace), ego)


def _line(
    position: GeoPoint, steps: Iterable[tuple[float | None, float | None]], ego: EgoPosition
) -> tuple[tuple[float, float], ...]:
    points = [offset_m(ego.point, position)]
    lat_deg, lon_deg = position.lat_deg, position.lon_deg
    for delta_lat_deg, delta_lon_deg in steps:
        if delta_lat_deg is None or delta_lon_deg is None:
            break
        lat_deg += delta_lat_deg
        lon_deg = (lon_deg + delta_lon_deg + 180.0) % 360.0 - 180.0
        if not -90.0 <= lat_deg <= 90.0:
            break
        points.append(offset_m(ego.point, GeoPoint(lat_deg, lon_deg)))
    return tuple(points)


def _length_m(line: tuple[tuple[float, float], ...]) -> float:
    return sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(line))


def _along_trace_m(line: tuple[tuple[float, float], ...], heading_deg: float) -> float | None:
    """Return the way left along a trace to the event, for a vehicle at (0, 0) that is on it and moves towards the event.

    On the outside of a bend, where neither part of the trace is straight beside the vehicle, its corner is the nearest place.
    """
    heading = radians(heading_deg)
    from_event_m = 0.0
    best: tuple[float, float] | None = None
    last = len(line) - 2
    for part, ((ax, ay), (bx, by)) in enumerate(pairwise(line)):
        dx, dy = bx - ax, by - ay
        length_m = hypot(dx, dy)
        if length_m == 0.0:
            continue
        raw_m = -(ax * dx + ay * dy) / length_m
        along_m = min(max(raw_m, 0.0), length_m)
        aside_m = hypot(ax + dx * along_m / length_m, ay + dy * along_m / length_m)
        towards = -(dx * sin(heading) + dy * cos(heading)) / length_m
        is_beside = (raw_m >= 0.0 or from_event_m > 0.0) and (raw_m <= length_m or part < last)
        is_on = is_beside and aside_m <= TRACE_HALF_WIDTH_M and towards >= cos(radians(SAME_DIRECTION_DEG))
        if is_on and (best is None or aside_m < best[0]):
            best = aside_m, from_event_m + along_m
        from_event_m += length_m
    return None if best is None else best[1]


def _before_trace_m(line: tuple[tuple[float, float], ...], heading_deg: float) -> float | None:
    """Return the way to the event by the far end of a trace, for a vehicle at (0, 0) that comes upon it and heads as it leads."""
    heading = radians(heading_deg)
    end_x, end_y = line[-1]
    (ax, ay), (bx, by) = next((a, b) for a, b in pairwise(reversed(line)) if a != b)
    dx, dy = bx - ax, by - ay
    length_m = hypot(dx, dy)
    leads = (dx * sin(heading) + dy * cos(heading)) / length_m
    before_m = (end_x * dx + end_y * dy) / length_m
    aside_m = abs(end_x * dy - end_y * dx) / length_m
    if leads < cos(radians(SAME_DIRECTION_DEG)) or not _is_in_cone(line[-1], heading_deg):
        return None
    if before_m < 0.0 or aside_m > TRACE_HALF_WIDTH_M + BEYOND_TRACE_SPREAD * before_m:
        return None
    return hypot(end_x, end_y) + _length_m(line)
