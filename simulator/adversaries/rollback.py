"""An odometer set back while the car drives, as the devices sold for it do: the cluster shows less from one moment on.

The car's own agent sees only the bus; the attack is in what the cluster says there.
"""

from dataclasses import dataclass
from random import Random

from shared.core.clock import NS_PER_S, MonotonicNs

LEAST_M, MOST_M = 20_000_000, 60_000_000
EARLIEST_SHARE, LATEST_SHARE = 0.3, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerRollback:
    """When the odometer is set back, and by how many metres."""

    at: MonotonicNs
    by_m: int

    @classmethod
    def drawn(cls, rng: Random, duration_s: float) -> "OdometerRollback":
        """Draw a rollback for a run of `duration_s` seconds, so that enough of the run is left to notice it."""
        at_s = duration_s * rng.uniform(EARLIEST_SHARE, LATEST_SHARE)
        by_km = rng.randrange(LEAST_M // 1_000, MOST_M // 1_000)
        return cls(at=MonotonicNs(round(at_s * NS_PER_S)), by_m=by_km * 1_000)

    def shown_m(self, driven_m: float, now: MonotonicNs) -> float:
        """Return what the cluster shows for a car that has truly driven `driven_m`."""
        return driven_m if now < self.at else driven_m - self.by_m
