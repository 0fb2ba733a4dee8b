"""Units as they come from buses and go to people, converted to SI at the edge.

Inside the project every quantity is SI with the unit in its name; degrees are the one exception (`heading_deg`, `lat_deg`).
"""

from dataclasses import dataclass

KMH_PER_MPS = 3.6
METRES_PER_MILE = 1609.344
STANDARD_GRAVITY_MPS2 = 9.80665


@dataclass(frozen=True, slots=True)
class Unit:
    """A linear unit: SI value = `raw * factor + offset`; `dimension` is the SI unit it converts to."""

    dimension: str
    factor: float
    offset: float = 0.0

    def to_si(self, raw: float) -> float:
        """Convert a value in this unit to its SI unit."""
        return raw * self.factor + self.offset


UNITS: dict[str, Unit] = {
    "m": Unit("m", 1.0),
    "km": Unit("m", 1_000.0),
    "mile": Unit("m", METRES_PER_MILE),
    "m/s": Unit("m/s", 1.0),
    "km/h": Unit("m/s", 1 / KMH_PER_MPS),
    "mph": Unit("m/s", METRES_PER_MILE / 3_600),
    "knot": Unit("m/s", 1_852 / 3_600),
    "m/s2": Unit("m/s2", 1.0),
    "g": Unit("m/s2", STANDARD_GRAVITY_MPS2),
    "deg": Unit("deg", 1.0),
    "rad": Unit("deg", 57.29577951308232),
    "deg/s": Unit("deg/s", 1.0),
    "rad/s": Unit("deg/s", 57.29577951308232),
    "s": Unit("s", 1.0),
    "ms": Unit("s", 1e-3),
    "1": Unit("1", 1.0),
}
"""Every unit a signal map may name."""


def kmh_from_mps(speed_mps: float) -> float:
    """Speed in km/h, for people."""
    return speed_mps * KMH_PER_MPS


def miles_from_m(distance_m: float) -> float:
    """Distance in international miles, for people."""
    return distance_m / METRES_PER_MILE
