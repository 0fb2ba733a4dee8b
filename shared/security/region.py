"""Where a certificate is valid: `GeographicRegion` of IEEE 1609.2 6.4.17-6.4.25, and whether a place lies in it.

Coordinates are held as the wire holds them, tenths of a micro-degree, so that comparisons of rectangles and polygons are exact.
Edges of rectangles and polygons are straight in latitude and longitude. Countries and their parts are numbers only; what area they
cover comes from a table the operator supplies, and a number that is not in it covers nothing. Whether one region lies within
another is in `region_containment`. Left out: rectangles and polygons across the antimeridian, which are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.codec.coer import CoerReader, encode_choice, encode_sequence_of, encode_signed, encode_unsigned
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint, distance_m, metres_per_degree
from shared.core.report import VerificationReport

UNITS_PER_DEGREE = 10_000_000
"""Wire units (0.1 micro-degree) in a degree."""

MAX_LATITUDE = 900_000_000
MAX_LONGITUDE = 1_800_000_000
UNKNOWN_LATITUDE = 900_000_001
UNKNOWN_LONGITUDE = 1_800_000_001

MAX_SHAPES = 64
"""Rectangles, corners or identified regions in one region."""


@dataclass(frozen=True, slots=True)
class Location:
    """`TwoDLocation` in wire units of 1e-7 degrees."""

    lat: int
    lon: int

    @classmethod
    def of(cls, point: GeoPoint) -> "Location":
        """Round a place to wire units."""
        return cls(round(point.lat_deg * UNITS_PER_DEGREE), round(point.lon_deg * UNITS_PER_DEGREE))

    @property
    def point(self) -> GeoPoint:
        """The place in degrees."""
        return GeoPoint(self.lat / UNITS_PER_DEGREE, self.lon / UNITS_PER_DEGREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircularRegion:
    """Everything within `radius_m` metres of `centre`."""

    centre: Location
    radius_m: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A box of parallels and meridians; `north > south`, `east > west`, wire units."""

    north: int
    west: int
    south: int
    east: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RectangularRegion:
    """The union of rectangles."""

    rectangles: tuple[Rectangle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonalRegion:
    """The inside and the edge of a polygon of at least three corners."""

    corners: tuple[Location, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPart:
    """A numbered part of a country; an empty `subregions` means the whole part."""

    region: int
    subregions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedRegion:
    """A country by its United Nations M49 number; an empty `parts` means all of it."""

    country: int
    parts: tuple[RegionPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedRegions:
    """The union of countries and parts of countries."""

    regions: tuple[IdentifiedRegion, ...]


GeometricRegion = CircularRegion | RectangularRegion | PolygonalRegion
GeographicRegion = GeometricRegion | IdentifiedRegions

AreaKey = tuple[int, int | None, int | None]
"""Country, part, part of the part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedAreas:
    """What area each identified region covers: the union of its shapes; an absent entry covers nothing."""

    shapes: Mapping[AreaKey, tuple[GeometricRegion, ...]] = field(default_factory=dict)

    def covering(self, regions: IdentifiedRegions) -> tuple[GeometricRegion, ...]:
        """Return the known shapes whose union is a part of `regions`."""
        return tuple(shape for key in area_keys(regions) for shape in self.shapes.get(key, ()))

    def missing(self, regions: IdentifiedRegions) -> tuple[AreaKey, ...]:
        """Return which of `regions` have no shape here."""
        return tuple(key for key in area_keys(regions) if not self.shapes.get(key))


NO_IDENTIFIED_AREAS = IdentifiedAreas()
"""The table of an operator who has configured none: identified regions contain no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A certificate's region together with what is needed to judge it.

    Attributes:
        shape: the nearest region named in the chain; None = no certificate of the chain names one, so everywhere.
        areas: the operator's table of identified regions.
    """

    shape: GeographicRegion | None
    areas: IdentifiedAreas
    _inside: "_InsideOfCircle | None" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        inside = _inside_of(self.shape) if isinstance(self.shape, CircularRegion) else None
        object.__setattr__(self, "_inside", inside)

    def contains(self, point: GeoPoint) -> bool:
        """Tell whether a place lies in the region or on its edge."""
        match self.shape:
            case None:
                return True
            case IdentifiedRegions() as identified:
                return any(contains_point(shape, point) for shape in self.areas.covering(identified))
            case shape:
                return contains_point(shape, point)

    def check_contains(self, point: GeoPoint) -> None:
        """Raise `VerificationError(OUTSIDE_REGION)` when a place is outside, or the table has no shape that could hold it."""
        if self.contains(point):
            return
        detail = "the message was generated outside the region its certificate is valid in"
        missing = () if not isinstance(self.shape, IdentifiedRegions) else self.areas.missing(self.shape)
        if missing:
            detail = f"the certificate is valid in {_named(missing[0])}, of which this station's table of areas has no shape"
        raise VerificationError(VerificationReport.OUTSIDE_REGION, detail)

    def check_contains_at(self, lat: int, lon: int) -> None:
        """Judge like `check_contains` a place in wire units, which must exist; cheap for nearly every place inside a circle."""
        inside = self._inside
        if self.shape is None or (inside is not None and inside.contains(lat, lon)):
            return
        self.check_contains(GeoPoint(lat / UNITS_PER_DEGREE, lon / UNITS_PER_DEGREE))


@dataclass(frozen=True, slots=True, kw_only=True)
class _InsideOfCircle:
    """Places that lie in a circle for certain: judged by the longest degrees there are within its reach, kept per certificate."""

    centre: Location
    reach_lat: int
    metres_per_lat: float
    metres_per_lon: float
    radius_m: float

    def contains(self, lat: int, lon: int) -> bool:
        d_lat = lat - self.centre.lat
        north_m = d_lat * self.metres_per_lat
        east_m = (lon - self.centre.lon) * self.metres_per_lon
        return -self.reach_lat <= d_lat <= self.reach_lat and north_m * north_m + east_m * east_m < self.radius_m * self.radius_m


def _inside_of(circle: CircularRegion) -> _InsideOfCircle:
    longest_lat = metres_per_degree(90.0)[0]
    reach_deg = circle.radius_m / longest_lat
    nearest_equator_deg = max(0.0, abs(circle.centre.point.lat_deg) - reach_deg)
    longest_lon = metres_per_degree(nearest_equator_deg)[1]
    return _InsideOfCircle(
        centre=circle.centre,
        reach_lat=int(reach_deg * UNITS_PER_DEGREE),
        metres_per_lat=longest_lat / UNITS_PER_DEGREE,
        metres_per_lon=longest_lon / UNITS_PER_DEGREE,
        radius_m=circle.radius_m * (1 - 1e-9),
    )


def contains_point(shape: GeometricRegion, point: GeoPoint) -> bool:
    """Tell whether a place lies in a shape or on its edge."""
    match shape:
        case CircularRegion(centre=centre, radius_m=radius_m):
            return distance_m(centre.point, point) <= radius_m
        case RectangularRegion(rectangles=rectangles):
            at = Location.of(point)
            return any(box.south <= at.lat <= box.north and box.west <= at.lon <= box.east for box in rectangles)
        case PolygonalRegion(corners=corners):
            return polygon_contains(corners, Location.of(point))


def polygon_contains(corners: tuple[Location, ...], at: Location) -> bool:
    """Tell whether a location is inside a polygon or on its edge (even-odd rule, exact in integers)."""
    inside = False
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        side = cross(a, b, at)
        if side == 0 and min(a.lat, b.lat) <= at.lat <= max(a.lat, b.lat) and min(a.lon, b.lon) <= at.lon <= max(a.lon, b.lon):
            return True
        if (a.lat > at.lat) != (b.lat > at.lat) and (side > 0) == (b.lat > a.lat):
            inside = not inside
    return inside


def cross(a: Location, b: Location, c: Location) -> int:
    """Return twice the signed area of the triangle a, b, c; positive when c is left of the way from a to b."""
    return (b.lon - a.lon) * (c.lat - a.lat) - (b.lat - a.lat) * (c.lon - a.lon)


def area_keys(regions: IdentifiedRegions) -> tuple[AreaKey, ...]:
    """Return every country, part, or part of a part that `regions` names as a whole."""
    keys: list[AreaKey] = []
    for region in regions.regions:
        if not region.parts:
            keys.append((region.country, None, None))
        for part in region.parts:
            if part.subregions:
                keys.extend((region.country, part.region, number) for number in part.subregions)
            else:
                keys.append((region.country, part.region, None))
    return tuple(keys)


def _named(key: AreaKey) -> str:
    words = zip(("country", "part", "subpart"), key, strict=True)
    return " ".join(f"{word} {number}" for word, number in words if number is not None)


def read_region(reader: CoerReader, name: str) -> GeographicRegion:
    """Read IEEE 1609.2 `GeographicRegion`."""
    match reader.choice(name):
        case 0:
            return CircularRegion(centre=_read_location(reader, name), radius_m=reader.unsigned(2, name))
        case 1:
            count = reader.count(name, minimum=1, maximum=MAX_SHAPES)
            return RectangularRegion(rectangles=tuple(_read_rectangle(reader, name) for _ in range(count)))
        case 2:
            count = reader.count(name, minimum=3, maximum=MAX_SHAPES)
            return PolygonalRegion(corners=tuple(_read_location(reader, name) for _ in range(count)))
        case 3:
            count = reader.count(name, minimum=1, maximum=MAX_SHAPES)
            return IdentifiedRegions(regions=tuple(_read_identified(reader, name) for _ in range(count)))
        case index:
            raise reader.refuse(name, f"region alternative {index} is unknown")


def encode_region(region: GeographicRegion) -> bytes:
    """Encode IEEE 1609.2 `GeographicRegion`."""
    match region:
        case CircularRegion(centre=centre, radius_m=radius_m):
            return encode_choice(0, _encode_location(centre) + encode_unsigned(radius_m, 2, "radius"))
        case RectangularRegion(rectangles=rectangles):
            items = tuple(
                _encode_location(Location(box.north, box.west)) + _encode_location(Location(box.south, box.east))
                for box in rectangles
            )
            return encode_choice(1, encode_sequence_of(items, "rectangles"))
        case PolygonalRegion(corners=corners):
            return encode_choice(2, encode_sequence_of(tuple(_encode_location(corner) for corner in corners), "corners"))
        case IdentifiedRegions(regions=regions):
            return encode_choice(3, encode_sequence_of(tuple(_encode_identified(entry) for entry in regions), "regions"))


def _read_location(reader: CoerReader, name: str) -> Location:
    lat = reader.signed(4, name)
    lon = reader.signed(4, name)
    if abs(lat) > MAX_LATITUDE or abs(lon) > MAX_LONGITUDE:
        raise reader.refuse(name, f"no such place: {lat}, {lon}")
    return Location(lat, lon)


def _encode_location(location: Location) -> bytes:
    return encode_signed(location.lat, 4, "latitude") + encode_signed(location.lon, 4, "longitude")


def _read_rectangle(reader: CoerReader, name: str) -> Rectangle:
    north_west = _read_location(reader, name)
    south_east = _read_location(reader, name)
    if north_west.lat <= south_east.lat or north_west.lon >= south_east.lon:
        raise reader.refuse(name, "the first corner is not north-west of the second")
    return Rectangle(north=north_west.lat, west=north_west.lon, south=south_east.lat, east=south_east.lon)


def _read_identified(reader: CoerReader, name: str) -> IdentifiedRegion:
    kind = reader.choice(name)
    if kind > 2:
        raise reader.refuse(name, f"identified region alternative {kind} is unknown")
    country = reader.unsigned(2, name)
    if kind == 0:
        return IdentifiedRegion(country=country)
    count = reader.count(name, minimum=1, maximum=MAX_SHAPES)
    if kind == 1:
        return IdentifiedRegion(country=country, parts=tuple(RegionPart(region=reader.unsigned(1, name)) for _ in range(count)))
    parts = []
    for _ in range(count):
        region = reader.unsigned(1, name)
        subregions = reader.count(name, minimum=1, maximum=MAX_SHAPES)
        parts.append(RegionPart(region=region, subregions=tuple(reader.unsigned(2, name) for _ in range(subregions))))
    return IdentifiedRegion(country=country, parts=tuple(parts))


def _encode_identified(entry: IdentifiedRegion) -> bytes:
    country = encode_unsigned(entry.country, 2, "country")
    if not entry.parts:
        return encode_choice(0, country)
    if all(not part.subregions for part in entry.parts):
        items = tuple(encode_unsigned(part.region, 1, "region") for part in entry.parts)
        return encode_choice(1, country + encode_sequence_of(items, "regions"))
    items = tuple(
        encode_unsigned(part.region, 1, "region")
        + encode_sequence_of(tuple(encode_unsigned(number, 2, "subregion") for number in part.subregions), "subregions")
        for part in entry.parts
    )
    return encode_choice(2, country + encode_sequence_of(items, "regions"))
