"""From the plane of a SUMO network to places on WGS-84: the inverse of the universal transverse Mercator projection.

Krueger's series in the third flattening to the third order, good to a millimetre within a zone. Other projections are left out:
whoever has one says where the junction lies (`Around`).
"""

from dataclasses import dataclass
from math import asin, atan2, cos, cosh, degrees, sin, sinh

from shared.core.geo import GeoPoint, displaced

_A_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_N = _FLATTENING / (2 - _FLATTENING)
_RECTIFYING_M = _A_M / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_SCALE = 0.9996
_FALSE_EASTING_M = 500_000.0
_FALSE_NORTHING_M = 10_000_000.0
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96,
    _N**2 / 48 + _N**3 / 15,
    17 * _N**3 / 480,
)
_DELTA = (
    2 * _N - 2 * _N**2 / 3 - 2 * _N**3,
    7 * _N**2 / 3 - 8 * _N**3 / 5,
    56 * _N**3 / 15,
)

MAX_ZONE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Utm:
    """A zone of the universal transverse Mercator projection, and what a network moved its coordinates by.

    Attributes:
        zone: 1..60.
        is_south: whether northings count from the south.
        offset_m: what was added to (easting, northing).
    """

    zone: int
    is_south: bool
    offset_m: tuple[float, float]

    def place(self, x_m: float, y_m: float) -> GeoPoint:
        """Return the place of a network's point; raises ValueError where there is none."""
        northing_m = y_m - self.offset_m[1] - (_FALSE_NORTHING_M if self.is_south else 0.0)
        xi = northing_m / (_SCALE * _RECTIFYING_M)
        eta = (x_m - self.offset_m[0] - _FALSE_EASTING_M) / (_SCALE * _RECTIFYING_M)
        if abs(eta) > 1.0 or abs(xi) > 2.0:
            raise ValueError(f"({x_m}, {y_m}) m lies outside the zone")
        conformal_xi, conformal_eta = xi, eta
        for order, beta in enumerate(_BETA, 1):
            conformal_xi -= beta * sin(2 * order * xi) * cosh(2 * order * eta)
            conformal_eta -= beta * cos(2 * order * xi) * sinh(2 * order * eta)
        chi = asin(sin(conformal_xi) / cosh(conformal_eta))
        lat = chi + sum(delta * sin(2 * order * chi) for order, delta in enumerate(_DELTA, 1))
        lon_deg = self.zone * 6 - 183 + degrees(atan2(sinh(conformal_eta), cos(conformal_xi)))
        return GeoPoint(degrees(lat), (lon_deg + 180.0) % 360.0 - 180.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """A plane whose y axis points north, laid so that one of its points is at a known place.

    Attributes:
        point_m: the point of the plane.
        reference: its place.
    """

    point_m: tuple[float, float]
    reference: GeoPoint

    def place(self, x_m: float, y_m: float) -> GeoPoint:
        """Return the place of a network's point."""
        return displaced(self.reference, x_m - self.point_m[0], y_m - self.point_m[1])


Projection = Utm | Around


def utm_of(parameters: str, offset_m: tuple[float, float]) -> Utm | None:
    """Read `projParameter` of a network's location; None where it is not UTM on WGS-84.

    Args:
        parameters: in PROJ's notation.
        offset_m: `netOffset`.
    """
    words = dict(word.lstrip("+").partition("=")[::2] for word in parameters.split())
    zone = words.get("zone", "")
    on_wgs84 = words.get("ellps", "WGS84") == "WGS84" and words.get("datum", "WGS84") == "WGS84" and words.get("units", "m") == "m"
    if words.get("proj") != "utm" or not on_wgs84 or not (zone.isascii() and zone.isdigit() and len(zone) <= 2):
        return None
    return Utm(zone=int(zone), is_south="south" in words, offset_m=offset_m) if 1 <= int(zone) <= MAX_ZONE else None
