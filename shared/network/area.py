"""Geographical areas (EN 302 931 V1.1.1): where a geocast packet is meant to be heard.

With x along the long axis a and y across it, from the centre (clause 5):

    circle     F = 1 - (x/r)^2 - (y/r)^2
    rectangle  F = min(1 - (x/a)^2, 1 - (y/b)^2)
    ellipse    F = 1 - (x/a)^2 - (y/b)^2

F is 1 at the centre, positive inside, 0 on the border, negative outside. On the wire an area is fourteen octets of the GBC header;
its shape is the header's subtype. Distances are whole metres there and the azimuth whole degrees; a circle's second distance and
angle are zero, and ignored on reception. An area without extent has no F and is refused.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import cos, isfinite, pi, radians, sin
from struct import Struct
from typing import assert_never

from shared.core.errors import DecodeError, EncodeError
from shared.core.geo import GeoPoint, offset_m
from shared.network.octets import require_length, require_unsigned, scaled

AREA_OCTETS = 14
MAX_AREA_KM2 = 10.0
"""`itsGnMaxGeoAreaSize`: we never send to a larger area, and nobody forwards within one."""

_LAYOUT = Struct(">iiHHH")
_DEG = 10_000_000
_M2_PER_KM2 = 1e6


class AreaShape(IntEnum):
    """Header subtype of a GBC or GAC packet (EN 302 636-4-1 V1.4.1 clause 9.7)."""

    CIRCLE = 0
    RECTANGLE = 1
    ELLIPSE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """All places within `radius_m` (positive) of `centre`."""

    centre: GeoPoint
    radius_m: float

    def __post_init__(self) -> None:
        _require_extent(self.radius_m, "area.radius")

    def geometric_function(self, point: GeoPoint) -> float:
        """Return F: 1 at the centre, 0 on the border, negative outside."""
        east, north = offset_m(self.centre, point)
        return 1 - (east / self.radius_m) ** 2 - (north / self.radius_m) ** 2

    def contains(self, point: GeoPoint) -> bool:
        """Say whether `point` is inside or on the border."""
        return self.geometric_function(point) >= 0

    @property
    def size_km2(self) -> float:
        """Return the area in square kilometres."""
        return pi * self.radius_m**2 / _M2_PER_KM2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A rectangle around `centre`, 2a by 2b.

    Attributes:
        centre: where the diagonals cross.
        a_m: half the length, positive; the side that points to `azimuth_deg`.
        b_m: half the width, positive.
        azimuth_deg: direction of the long side, clockwise from north, [0, 360].
    """

    centre: GeoPoint
    a_m: float
    b_m: float
    azimuth_deg: float

    def __post_init__(self) -> None:
        _require_axes(self.a_m, self.b_m, self.azimuth_deg)

    def geometric_function(self, point: GeoPoint) -> float:
        """Return F: 1 at the centre, 0 on the border, negative outside."""
        along, across = _along_across_m(self.centre, self.azimuth_deg, point)
        return min(1 - (along / self.a_m) ** 2, 1 - (across / self.b_m) ** 2)

    def contains(self, point: GeoPoint) -> bool:
        """Say whether `point` is inside or on the border."""
        return self.geometric_function(point) >= 0

    @property
    def size_km2(self) -> float:
        """Return the area in square kilometres."""
        return 4 * self.a_m * self.b_m / _M2_PER_KM2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse:
    """An ellipse around `centre`.

    Attributes:
        centre: where its axes cross.
        a_m: semi-axis that points to `azimuth_deg`, positive.
        b_m: the other semi-axis, positive.
        azimuth_deg: direction of the axis a, clockwise from north, [0, 360].
    """

    centre: GeoPoint
    a_m: float
    b_m: float
    azimuth_deg: float

    def __post_init__(self) -> None:
        _require_axes(self.a_m, self.b_m, self.azimuth_deg)

    def geometric_function(self, point: GeoPoint) -> float:
        """Return F: 1 at the centre, 0 on the border, negative outside."""
        along, across = _along_across_m(self.centre, self.azimuth_deg, point)
        return 1 - (along / self.a_m) ** 2 - (across / self.b_m) ** 2

    def contains(self, point: GeoPoint) -> bool:
        """Say whether `point` is inside or on the border."""
        return self.geometric_function(point) >= 0

    @property
    def size_km2(self) -> float:
        """Return the area in square kilometres."""
        return pi * self.a_m * self.b_m / _M2_PER_KM2


Area = Circle | Rectangle | Ellipse


def shape_of(area: Area) -> AreaShape:
    """Return the header subtype that says what `area` is."""
    match area:
        case Circle():
            return AreaShape.CIRCLE
        case Rectangle():
            return AreaShape.RECTANGLE
        case Ellipse():
            return AreaShape.ELLIPSE
        case _:
            assert_never(area)


def encode_area(area: Area) -> bytes:
    """Return fourteen octets: centre, distances a and b in metres, angle in degrees.

    Raises:
        EncodeError: an axis under half a metre or beyond 65535 m, or more than `MAX_AREA_KM2` in all.
    """
    if area.size_km2 > MAX_AREA_KM2:
        raise EncodeError("area", f"{area.size_km2:.1f} km2 is more than the {MAX_AREA_KM2:.0f} km2 that may be addressed")
    if isinstance(area, Circle):
        a, b, angle = _metres(area.radius_m, "area.radius"), 0, 0
    else:
        a, b = _metres(area.a_m, "area.distance_a"), _metres(area.b_m, "area.distance_b")
        angle = round(area.azimuth_deg) % 360
    return _LAYOUT.pack(
        scaled(area.centre.lat_deg, _DEG, "area.latitude"), scaled(area.centre.lon_deg, _DEG, "area.longitude"), a, b, angle
    )


def decode_area(data: bytes, shape: AreaShape) -> Area:
    """Read fourteen octets as the given shape; raises `DecodeError` for a place, extent or angle that cannot be.

    The size is not bounded here: what a forwarder may do with an area beyond `MAX_AREA_KM2` is the forwarder's rule.
    """
    require_length(data, AREA_OCTETS, "area")
    lat, lon, a, b, angle = _LAYOUT.unpack(data)
    if abs(lat) > 90 * _DEG or abs(lon) > 180 * _DEG:
        raise DecodeError("area.centre", f"latitude {lat}, longitude {lon} (0.1 micro-degree) is no place", 0)
    if a == 0 or (b == 0 and shape is not AreaShape.CIRCLE):
        raise DecodeError("area.distance", "an area without extent", 64)
    centre = GeoPoint(lat / _DEG, lon / _DEG)
    if shape is AreaShape.CIRCLE:
        return Circle(centre=centre, radius_m=float(a))
    if angle > 360:
        raise DecodeError("area.angle", f"{angle} degrees is more than a full turn", 96)
    axes = {"a_m": float(a), "b_m": float(b), "azimuth_deg": float(angle % 360)}
    return Rectangle(centre=centre, **axes) if shape is AreaShape.RECTANGLE else Ellipse(centre=centre, **axes)


def _along_across_m(centre: GeoPoint, azimuth_deg: float, point: GeoPoint) -> tuple[float, float]:
    east, north = offset_m(centre, point)
    sine, cosine = sin(radians(azimuth_deg)), cos(radians(azimuth_deg))
    return east * sine + north * cosine, east * cosine - north * sine


def _metres(distance_m: float, field: str) -> int:
    metres = require_unsigned(round(distance_m), 16, field)
    if metres == 0:
        raise EncodeError(field, f"{distance_m} m rounds to nothing")
    return metres


def _require_extent(distance_m: float, field: str) -> None:
    if not (isfinite(distance_m) and distance_m > 0):
        raise EncodeError(field, f"{distance_m} m is no extent")


def _require_axes(a_m: float, b_m: float, azimuth_deg: float) -> None:
    _require_extent(a_m, "area.distance_a")
    _require_extent(b_m, "area.distance_b")
    if not 0.0 <= azimuth_deg <= 360.0:
        raise EncodeError("area.angle", f"{azimuth_deg} degrees is outside 0..360")
