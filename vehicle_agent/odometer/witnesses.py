"""Who can say how far the vehicle went: the names of a reading's sources in records, and the fields they come by.

Counters keep an odometer of their own; integrals only see movement, and say what the odometer should be from what it was.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class Witness(Enum):
    """A source of distance; the value is its name in records."""

    CLUSTER = "cluster"
    """The instrument cluster, as the driver sees it."""
    DRIVE_UNIT = "drive_unit"
    """A unit that counts wheels or shafts by itself: brakes, gearbox, electric drive."""
    OBD = "obd"
    """The answer to OBD-II mode 01 PID A6."""
    UDS = "uds"
    """The answer to a maker's own UDS identifier."""
    WHEELS = "wheels"
    """Integral of the speed on the bus."""
    OBD_SPEED = "obd_speed"
    """Integral of the speed of OBD-II mode 01 PID 0D."""
    GNSS = "gnss"
    """Length of the path of good positions."""
    GNSS_SPEED = "gnss_speed"
    """Integral of the speed a GNSS receiver measures."""
    GNSS_ODOMETER = "gnss_odometer"
    """What a GNSS receiver has counted by itself."""


COUNTERS: Mapping[str, Witness] = MappingProxyType(
    {
        "odometer_m": Witness.CLUSTER,
        "drive_odometer_m": Witness.DRIVE_UNIT,
        "obd_odometer_m": Witness.OBD,
        "uds_odometer_m": Witness.UDS,
    }
)
"""Fields with an odometer of the vehicle, the one that is recorded first where several speak."""

SPEEDS: Mapping[str, Witness] = MappingProxyType(
    {"speed_mps": Witness.WHEELS, "obd_speed_mps": Witness.OBD_SPEED, "gnss_speed_mps": Witness.GNSS_SPEED}
)
"""Fields whose integral is a witness."""

OUTSIDE = frozenset({Witness.GNSS, Witness.GNSS_SPEED, Witness.GNSS_ODOMETER})
"""Witnesses that no device on the vehicle's bus can bend."""

OWN_INTEGRALS = frozenset({Witness.WHEELS, Witness.OBD_SPEED})
"""Integrals of what the vehicle measures at its wheels: off by a factor that stays, so it can be learnt."""

BESIDE_THE_BUS = frozenset(
    {
        *("position", "position_accuracy_m", "altitude_m", "heading_deg", "gnss_speed_mps", "gnss_odometer_m", "fix_quality"),
        *("obd_odometer_m", "obd_speed_mps", "uds_odometer_m"),
    }
)
"""Fields that say nothing about whether the bus speaks by itself: those of a receiver, and answers to questions."""
