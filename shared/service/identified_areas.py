"""The table of identified regions: which area a country, a part of it, or a part of a part covers (IEEE 1609.2 6.4.22).

A certificate may name its region by numbers alone: a country by its United Nations M49 number, and the parts of it as that country
numbers them. What ground those cover is for the operator to say, in a TOML file:

    [[area]]
    country = 276                                             # M49, 0..999
    part = 9                                                  # optional: a part of it, 0..255
    subpart = 184                                             # optional: a part of that part, 0..65535
    name = "anything"                                         # optional, for people
    polygons = [[[47.3, 7.6], [47.3, 13.0], [54.8, 9.5]]]     # corners as [latitude, longitude], degrees
    rectangles = [{ north = 55.1, west = 5.8, south = 47.2, east = 15.1 }]
    circles = [{ lat = 50.0, lon = 8.6, radius_m = 5000 }]

An area is the union of its shapes. Nothing is inherited: a certificate for a part of a country is judged by the entry of that part,
one for the whole country by the entry of the country, and what is in no entry covers nothing, so its messages are refused wherever
they come from. Edges are straight in latitude and longitude. Left out: areas across the antimeridian, and parts held against their
country.
"""

from itertools import pairwise
from pathlib import Path

from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.security.region import (
    AreaKey,
    CircularRegion,
    GeometricRegion,
    IdentifiedAreas,
    Location,
    PolygonalRegion,
    Rectangle,
    RectangularRegion,
    cross,
)
from shared.service.config import ConfigStruct, load

MAX_AREAS = 1_024
"""Entries of one table."""

MAX_SHAPES_OF_AREA = 64
"""Polygons, rectangles and circles of one entry, each kind by itself."""

MAX_CORNERS = 256
"""Corners of one polygon; a position under such a certificate is held against each of its edges."""

MAX_COUNTRY = 999
MAX_PART = 255
MAX_SUBPART = 65_535
MAX_RADIUS_M = 65_535


class RectangleConfig(ConfigStruct, frozen=True, kw_only=True):
    """A box of parallels and meridians, degrees."""

    north: float
    west: float
    south: float
    east: float

    def __post_init__(self) -> None:
        for lat, lon in ((self.north, self.west), (self.south, self.east)):
            _location(lat, lon)
        if self.north <= self.south or self.east <= self.west:
            raise ValueError("north must be above south and east of west; an area across the antimeridian is written as two")


class CircleConfig(ConfigStruct, frozen=True, kw_only=True):
    """Everything within `radius_m` metres of a place."""

    lat: float
    lon: float
    radius_m: int

    def __post_init__(self) -> None:
        _location(self.lat, self.lon)
        if not 1 <= self.radius_m <= MAX_RADIUS_M:
            raise ValueError(f"radius_m {self.radius_m} is outside 1..{MAX_RADIUS_M}")


class AreaConfig(ConfigStruct, frozen=True, kw_only=True):
    """One entry: a country or a part, and the shapes it covers."""

    country: int
    part: int | None = None
    subpart: int | None = None
    name: str = ""
    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()
    rectangles: tuple[RectangleConfig, ...] = ()
    circles: tuple[CircleConfig, ...] = ()

    def __post_init__(self) -> None:
        for what, number, highest in (
            ("country", self.country, MAX_COUNTRY),
            ("part", self.part, MAX_PART),
            ("subpart", self.subpart, MAX_SUBPART),
        ):
            if number is not None and not 0 <= number <= highest:
                raise ValueError(f"{what} {number} is outside 0..{highest}")
        if self.subpart is not None and self.part is None:
            raise ValueError("subpart belongs to a part, and part is missing")
        for what, shapes in (("polygons", self.polygons), ("rectangles", self.rectangles), ("circles", self.circles)):
            if len(shapes) > MAX_SHAPES_OF_AREA:
                raise ValueError(f"{len(shapes)} {what}, at most {MAX_SHAPES_OF_AREA} are allowed")
        if not (self.polygons or self.rectangles or self.circles):
            raise ValueError("an area has at least one of polygons, rectangles and circles")
        for number, corners in enumerate(self.polygons, start=1):
            _check_polygon(corners, number)

    @property
    def key(self) -> AreaKey:
        """The numbers a certificate names."""
        return self.country, self.part, self.subpart

    @property
    def shapes(self) -> tuple[GeometricRegion, ...]:
        """What it covers."""
        polygons = [PolygonalRegion(corners=_corners(corners)) for corners in self.polygons]
        rectangles = [
            RectangularRegion(rectangles=(Rectangle(north=high.lat, west=high.lon, south=low.lat, east=low.lon),))
            for high, low in ((_location(box.north, box.west), _location(box.south, box.east)) for box in self.rectangles)
        ]
        circles = [CircularRegion(centre=_location(one.lat, one.lon), radius_m=one.radius_m) for one in self.circles]
        return (*polygons, *rectangles, *circles)


class AreasConfig(ConfigStruct, frozen=True, kw_only=True):
    """The whole table."""

    area: tuple[AreaConfig, ...]

    def __post_init__(self) -> None:
        if len(self.area) > MAX_AREAS:
            raise ValueError(f"{len(self.area)} areas, at most {MAX_AREAS} are allowed")
        seen: set[AreaKey] = set()
        for entry in self.area:
            if entry.key in seen:
                raise ValueError(f"{_words(entry.key)} occurs twice: one entry holds all shapes of an area")
            seen.add(entry.key)


def read_identified_areas(path: Path) -> IdentifiedAreas:
    """Read a table of identified regions.

    Raises:
        ConfigError: the file cannot be read or does not fit; it names file and key.
    """
    config = load(path, AreasConfig)
    if not config.area:
        raise ConfigError(f"{path}: area", "the table is empty; an operator without areas names no table")
    return IdentifiedAreas(shapes={entry.key: entry.shapes for entry in config.area})


def _location(lat: float, lon: float) -> Location:
    return Location.of(GeoPoint(lat, lon))


def _corners(corners: tuple[tuple[float, float], ...]) -> tuple[Location, ...]:
    return tuple(_location(lat, lon) for lat, lon in corners)


def _check_polygon(corners: tuple[tuple[float, float], ...], number: int) -> None:
    """Refuse a polygon whose inside is not what it seems: too few or too many corners, no area, edges that meet."""
    if not 3 <= len(corners) <= MAX_CORNERS:
        raise ValueError(f"polygon {number} has {len(corners)} corners, 3 to {MAX_CORNERS} are allowed")
    places = _corners(corners)
    if len(set(places)) < len(places):
        raise ValueError(f"polygon {number} has a corner twice; the last corner is joined to the first by itself")
    edges = tuple(pairwise((*places, places[0])))
    for first, (a, b) in enumerate(edges):
        for second in range(first + 1, len(edges)):
            c, d = edges[second]
            if b == c or d == a:
                if _folds_back(a, b, d) if b == c else _folds_back(c, d, b):
                    raise ValueError(f"polygon {number} folds back on itself at corner {(second if b == c else first) + 1}")
            elif _meet(a, b, c, d):
                raise ValueError(f"polygon {number} crosses itself: edges {first + 1} and {second + 1} meet")


def _folds_back(a: Location, joint: Location, b: Location) -> bool:
    """Tell whether the way from `a` to `b` over `joint` turns round."""
    ahead = (joint.lat - a.lat) * (b.lat - joint.lat) + (joint.lon - a.lon) * (b.lon - joint.lon)
    return cross(a, joint, b) == 0 and ahead < 0


def _meet(a: Location, b: Location, c: Location, d: Location) -> bool:
    """Tell whether two segments have a point in common."""
    if max(a.lat, b.lat) < min(c.lat, d.lat) or max(c.lat, d.lat) < min(a.lat, b.lat):
        return False
    if max(a.lon, b.lon) < min(c.lon, d.lon) or max(c.lon, d.lon) < min(a.lon, b.lon):
        return False
    return cross(a, b, c) * cross(a, b, d) <= 0 and cross(c, d, a) * cross(c, d, b) <= 0


def _words(key: AreaKey) -> str:
    country, part, subpart = key
    words = f"country {country}"
    if part is not None:
        words += f", part {part}"
    return words if subpart is None else f"{words}, subpart {subpart}"
