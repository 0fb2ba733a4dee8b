"""Geometry on WGS-84, good to centimetres over a junction and to a few parts per thousand over a radio's range.

Headings are degrees clockwise from WGS-84 north in [0, 360). Positions beyond a few hundred kilometres apart, and the poles
themselves, are outside what a station needs; the functions stay defined there but lose accuracy.
"""

from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, radians, sin, sqrt

_A_M = 6_378_137.0
_E2 = 6.694_379_990_14e-3


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place: `lat_deg` in [-90, 90], `lon_deg` in [-180, 180]."""

    lat_deg: float
    lon_deg: float

    def __post_init__(self) -> None:
        if not (-90.0 <= self.lat_deg <= 90.0 and -180.0 <= self.lon_deg <= 180.0):
            raise ValueError(f"no such place: latitude {self.lat_deg}, longitude {self.lon_deg}")


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """Return metres per degree of latitude and of longitude at `lat_deg` (radii of curvature of WGS-84)."""
    phi = radians(lat_deg)
    w = sqrt(1 - _E2 * sin(phi) ** 2)
    meridian = _A_M * (1 - _E2) / w**3
    prime_vertical = _A_M / w
    return radians(meridian), radians(prime_vertical * cos(phi))


def offset_m(origin: GeoPoint, point: GeoPoint) -> tuple[float, float]:
    """Return (east, north) in metres from `origin` to `point`, across the antimeridian where that is shorter."""
    per_lat, per_lon = metres_per_degree((origin.lat_deg + point.lat_deg) / 2)
    d_lon = (point.lon_deg - origin.lon_deg + 180.0) % 360.0 - 180.0
    return d_lon * per_lon, (point.lat_deg - origin.lat_deg) * per_lat


def displaced(origin: GeoPoint, east_m: float, north_m: float) -> GeoPoint:
    """Return the place `east_m`, `north_m` metres from `origin`; inverse of `offset_m`."""
    lat = origin.lat_deg + north_m / metres_per_degree(origin.lat_deg)[0]
    per_lat, per_lon = metres_per_degree((origin.lat_deg + lat) / 2)
    lat = max(-90.0, min(90.0, origin.lat_deg + north_m / per_lat))
    lon = origin.lon_deg + (east_m / per_lon if per_lon > 1e-9 else 0.0)
    return GeoPoint(lat, lon if -180.0 <= lon <= 180.0 else (lon + 180.0) % 360.0 - 180.0)


def distance_m(a: GeoPoint, b: GeoPoint) -> float:
    """Distance in metres."""
    return hypot(*offset_m(a, b))


def bearing_deg(origin: GeoPoint, target: GeoPoint) -> float:
    """Direction from `origin` to `target`, degrees clockwise from north in [0, 360)."""
    east, north = offset_m(origin, target)
    bearing = degrees(atan2(east, north)) % 360.0
    return bearing if bearing < 360.0 else 0.0  # -1e-15 % 360 rounds to 360


def heading_difference_deg(a_deg: float, b_deg: float) -> float:
    """Smallest angle between two headings, in [0, 180]; 359 and 1 are 2 apart."""
    return abs((a_deg - b_deg + 180.0) % 360.0 - 180.0)
