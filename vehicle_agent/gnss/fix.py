"""One fix of a GNSS receiver, whatever language it spoke.

Altitude is above the WGS-84 ellipsoid, as a CAM states it: a receiver that gives only the height above the geoid and not how far
the two are apart gives none. The course is that of the antenna's movement, which is no heading while the car stands or reverses;
what becomes of it is `vehicle_agent.gnss.gnss_input`'s business.
"""

from dataclasses import dataclass
from math import hypot

from shared.core.clock import MonotonicNs, UtcNs
from shared.core.geo import GeoPoint
from vehicle_agent.vehicle_state import FixQuality

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What a receiver said at one moment; None is "not said".

    Attributes:
        at: interval time at which the first octet of it arrived.
        utc: the moment of the fix; None where the receiver gives no date.
        time_of_day_ns: UTC within its day, for receivers that give no more than that.
        quality: `FixQuality.NONE` where there is no fix; then there is no position either.
        position: WGS-84.
        altitude_m: above the ellipsoid.
        speed_mps: over ground.
        course_deg: of the movement, clockwise from north.
        hdop: horizontal dilution of precision, a number without a unit.
        accuracy_m: radius of the circle that holds the position with 95 % confidence.
        satellites: how many were used.
    """

    at: MonotonicNs
    utc: UtcNs | None
    time_of_day_ns: int | None = None
    quality: FixQuality = FixQuality.NONE
    position: GeoPoint | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    hdop: float | None = None
    accuracy_m: float | None = None
    satellites: int | None = None


def circle_of_95_percent(latitude_error_m: float, longitude_error_m: float) -> float:
    """Return the radius for two standard deviations at right angles: 2 DRMS, which holds 95 to 98 % whatever their proportion."""
    return 2.0 * hypot(latitude_error_m, longitude_error_m)
