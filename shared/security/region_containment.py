"""Whether a certificate's region lies within its issuer's (IEEE 1609.2 5.1.2.4): said only when it can be proved.

Rectangles and polygons are compared exactly, in integers. Circles are judged in a local flat metric, so a margin of
`CIRCLE_MARGIN` is taken off the outer shape; equal shapes need no proof. An inner shape must lie within ONE of the outer shapes:
a union that only together covers it is refused, as is everything else that is merely likely.
"""

from math import ceil

from shared.core.geo import distance_m, metres_per_degree
from shared.security.region import (
    MAX_LATITUDE,
    MAX_LONGITUDE,
    UNITS_PER_DEGREE,
    AreaKey,
    CircularRegion,
    GeographicRegion,
    GeometricRegion,
    IdentifiedAreas,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    Rectangle,
    RectangularRegion,
    area_keys,
    cross,
    polygon_contains,
)

CIRCLE_MARGIN = 0.01
"""Share of a circle's reach taken off as the error of the flat metric."""


def lies_within(inner: GeographicRegion, outer: GeographicRegion, areas: IdentifiedAreas) -> bool:
    """Tell whether `inner` provably lies within `outer`; `areas` gives identified regions their shapes."""
    if inner == outer:
        return True
    if isinstance(inner, IdentifiedRegions):
        outer_keys = set(area_keys(outer)) if isinstance(outer, IdentifiedRegions) else set()
        return all(_key_lies_within(key, outer_keys, outer, areas) for key in area_keys(inner))
    return _shape_lies_within(inner, outer, areas)


def _key_lies_within(key: AreaKey, outer_keys: set[AreaKey], outer: GeographicRegion, areas: IdentifiedAreas) -> bool:
    country, part, _ = key
    if key in outer_keys or (country, part, None) in outer_keys or (country, None, None) in outer_keys:
        return True
    shapes = areas.shapes.get(key)
    return shapes is not None and all(_shape_lies_within(shape, outer, areas) for shape in shapes)


def _shape_lies_within(inner: GeometricRegion, outer: GeographicRegion, areas: IdentifiedAreas) -> bool:
    shapes = areas.covering(outer) if isinstance(outer, IdentifiedRegions) else (outer,)
    singles = tuple(single for shape in shapes for single in _singles(shape))
    return all(any(_single_lies_within(part, whole) for whole in singles) for part in _singles(inner))


_Single = CircularRegion | Rectangle | PolygonalRegion


def _singles(shape: GeometricRegion) -> tuple[_Single, ...]:
    return shape.rectangles if isinstance(shape, RectangularRegion) else (shape,)


def _single_lies_within(inner: _Single, outer: _Single) -> bool:
    if inner == outer:
        return True
    match outer:
        case CircularRegion():
            return _lies_in_circle(inner, outer)
        case Rectangle():
            box = _bounds(inner)
            return box is not None and _box_in_box(box, outer)
        case PolygonalRegion(corners=corners):
            return _lies_in_polygon(inner, corners)


def _lies_in_circle(inner: _Single, outer: CircularRegion) -> bool:
    reach_m = outer.radius_m * (1 - CIRCLE_MARGIN)
    if isinstance(inner, CircularRegion):
        return distance_m(outer.centre.point, inner.centre.point) + inner.radius_m * (1 + CIRCLE_MARGIN) <= reach_m
    return all(distance_m(outer.centre.point, corner.point) <= reach_m for corner in _corners(inner))


def _lies_in_polygon(inner: _Single, corners: tuple[Location, ...]) -> bool:
    if isinstance(inner, CircularRegion):
        box = _bounds(inner)
        return box is not None and _lies_in_polygon(box, corners)
    points = _corners(inner)
    if not all(polygon_contains(corners, point) for point in points):
        return False
    if _is_convex(corners):
        return True
    inner_edges = tuple(zip(points, points[1:] + points[:1], strict=True))
    outer_edges = tuple(zip(corners, corners[1:] + corners[:1], strict=True))
    return not any(_touch(a, b, c, d) for a, b in inner_edges for c, d in outer_edges)


def _corners(shape: Rectangle | PolygonalRegion) -> tuple[Location, ...]:
    if isinstance(shape, PolygonalRegion):
        return shape.corners
    return (
        Location(shape.north, shape.west),
        Location(shape.north, shape.east),
        Location(shape.south, shape.east),
        Location(shape.south, shape.west),
    )


def _bounds(shape: _Single) -> Rectangle | None:
    """Return a box around a shape, or None where the shape reaches a pole or the antimeridian."""
    match shape:
        case Rectangle():
            return shape
        case PolygonalRegion(corners=corners):
            return Rectangle(
                north=max(corner.lat for corner in corners),
                west=min(corner.lon for corner in corners),
                south=min(corner.lat for corner in corners),
                east=max(corner.lon for corner in corners),
            )
        case CircularRegion(centre=centre, radius_m=radius_m):
            reach_m = radius_m * (1 + CIRCLE_MARGIN)
            per_lat, _ = metres_per_degree(centre.point.lat_deg)
            high = ceil(reach_m / per_lat * UNITS_PER_DEGREE) + 1
            poleward_deg = min(90.0, (abs(centre.lat) + high) / UNITS_PER_DEGREE)
            _, per_lon = metres_per_degree(poleward_deg)
            if per_lon < 1.0:
                return None
            wide = ceil(reach_m / per_lon * UNITS_PER_DEGREE) + 1
            box = Rectangle(north=centre.lat + high, west=centre.lon - wide, south=centre.lat - high, east=centre.lon + wide)
            off_the_map = max(box.north, -box.south) > MAX_LATITUDE or max(box.east, -box.west) > MAX_LONGITUDE
            return None if off_the_map else box


def _box_in_box(inner: Rectangle, outer: Rectangle) -> bool:
    return inner.north <= outer.north and inner.south >= outer.south and inner.west >= outer.west and inner.east <= outer.east


def _is_convex(corners: tuple[Location, ...]) -> bool:
    """Tell whether a polygon is convex and goes round once: every turn the same way, the heading's east part changes sign twice."""
    count = len(corners)
    turns = [cross(corners[n], corners[(n + 1) % count], corners[(n + 2) % count]) for n in range(count)]
    if not (all(turn > 0 for turn in turns) or all(turn < 0 for turn in turns)):
        return False
    steps = [corners[(n + 1) % count].lon - corners[n].lon for n in range(count)]
    signs = [step > 0 for step in steps if step != 0]
    return sum(signs[n] != signs[n - 1] for n in range(len(signs))) == 2


def _touch(a: Location, b: Location, c: Location, d: Location) -> bool:
    """Tell whether the closed segments a-b and c-d have a point in common."""
    if max(a.lat, b.lat) < min(c.lat, d.lat) or max(c.lat, d.lat) < min(a.lat, b.lat):
        return False
    if max(a.lon, b.lon) < min(c.lon, d.lon) or max(c.lon, d.lon) < min(a.lon, b.lon):
        return False
    return cross(a, b, c) * cross(a, b, d) <= 0 and cross(c, d, a) * cross(c, d, b) <= 0
