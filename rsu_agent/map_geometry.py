"""Lines in a plane, in metres: what the checks of a junction and the drawing of it have in common.

Points are (east, north). A lane's line begins at the junction and leads away from it. Messages do not say how one drives between
two lanes (the connection trajectory of ISO/TS 19091's regional extensions is left out); `across` gives the course that is assumed.
"""

from itertools import pairwise
from math import atan2, cos, degrees, hypot, radians

from shared.core.geo import heading_difference_deg

Point = tuple[float, float]
"""Metres (east, north) from the reference point."""

Line = tuple[Point, ...]
"""Two points or more; neighbours differ."""

CURVE_STEPS = 16
"""Pieces of the curve across the junction."""


def across(ingress: Line, egress: Line) -> Line:
    """Return the course from the end of one lane to the beginning of another, `CURVE_STEPS` pieces.

    Both lines begin at the junction. The curve is the cubic that is closest to a circle's arc for the angle between them.
    """
    start, end = ingress[0], egress[0]
    into, out = direction(ingress[1], ingress[0]), direction(egress[0], egress[1])
    turn = radians(heading_difference_deg(heading(into), heading(out)))
    handle = hypot(end[0] - start[0], end[1] - start[1]) / 3 / cos(turn / 4) ** 2
    first = (start[0] + into[0] * handle, start[1] + into[1] * handle)
    second = (end[0] - out[0] * handle, end[1] - out[1] * handle)
    return tuple(_on_cubic((start, first, second, end), step / CURVE_STEPS) for step in range(CURVE_STEPS + 1))


def turned_deg(ingress: Line, egress: Line) -> float:
    """Return by how much one turns from the one lane into the other: clockwise (right) positive, in [-180, 180)."""
    into, out = direction(ingress[1], ingress[0]), direction(egress[0], egress[1])
    return (heading(out) - heading(into) + 180.0) % 360.0 - 180.0


def clipped(line: Line, reach_m: float) -> Line:
    """Return the first `reach_m` metres of a line; `reach_m` is more than nothing."""
    kept = [line[0]]
    left_m = reach_m
    for a, b in pairwise(line):
        length_m = distance(a, b)
        if length_m >= left_m:
            share = left_m / length_m
            kept.append((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share))
            break
        kept.append(b)
        left_m -= length_m
    return tuple(kept)


def meeting(first: Line, second: Line) -> Point | None:
    """Return the first place along `first` where two lines cross or touch; pieces that run on top of each other do not count."""
    box = _box(first)
    others = [(c, d) for c, d in pairwise(second) if _overlap(_box((c, d)), box)]
    box = _box(second)
    for a, b in pairwise(first):
        if not (others and _overlap(_box((a, b)), box)):
            continue
        found = [place for c, d in others if (place := _crossing(a, b, c, d)) is not None]
        if found:
            return min(found, key=lambda place: distance(a, place))
    return None


def distance(a: Point, b: Point) -> float:
    """Return the distance of two points."""
    return hypot(b[0] - a[0], b[1] - a[1])


def aside_m(a: Point, b: Point, point: Point) -> float:
    """Return how far a point is from the piece from `a` to `b`."""
    length = distance(a, b)
    if length == 0.0:
        return distance(a, point)
    along = ((point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])) / length**2
    share = min(max(along, 0.0), 1.0)
    return distance((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share), point)


def direction(a: Point, b: Point) -> Point:
    """Return the direction from `a` to `b`, of length 1; the points are not the same."""
    length = distance(a, b)
    return ((b[0] - a[0]) / length, (b[1] - a[1]) / length)


def heading(towards: Point) -> float:
    """Return the heading of a direction, degrees clockwise from north in [0, 360)."""
    angle = degrees(atan2(towards[0], towards[1])) % 360.0
    return angle if angle < 360.0 else 0.0


def _box(line: Line) -> tuple[float, float, float, float]:
    """Return (west, south, east, north) of a line."""
    east, north = [point[0] for point in line], [point[1] for point in line]
    return min(east), min(north), max(east), max(north)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _crossing(a: Point, b: Point, c: Point, d: Point) -> Point | None:
    """Return where the piece from `a` to `b` meets the one from `c` to `d`."""
    (a_east, a_north), (c_east, c_north) = a, c
    ab_east, ab_north = b[0] - a_east, b[1] - a_north
    cd_east, cd_north = d[0] - c_east, d[1] - c_north
    span = ab_east * cd_north - ab_north * cd_east
    if -1e-12 < span < 1e-12:
        return None
    ac_east, ac_north = c_east - a_east, c_north - a_north
    along = (ac_east * cd_north - ac_north * cd_east) / span
    if not 0.0 <= along <= 1.0 or not 0.0 <= (ac_east * ab_north - ac_north * ab_east) / span <= 1.0:
        return None
    return (a_east + ab_east * along, a_north + ab_north * along)


def _on_cubic(control: tuple[Point, Point, Point, Point], share: float) -> Point:
    rest = 1.0 - share
    weights = (rest**3, 3 * rest**2 * share, 3 * rest * share**2, share**3)
    east = sum(weight * point[0] for weight, point in zip(weights, control, strict=True))
    north = sum(weight * point[1] for weight, point in zip(weights, control, strict=True))
    return east, north
