"""An odometer set back while the car drives, as the devices sold for it do: the cluster shows less from one moment on.

The car's own agent sees only the bus; the attack is in what the cluster says there (`simulator.ecu.Rollback`). Here is only
when and by how much.
"""

from random import Random

from shared.core.clock import NS_PER_S, MonotonicNs
from simulator.ecu import Rollback

LEAST_KM, MOST_KM = 10_000, 60_000
EARLIEST_SHARE, LATEST_SHARE = 0.3, 0.5
"""Of the run: late enough for honest records before it, early enough to be noticed."""


def drawn_rollback(rng: Random, duration_s: float) -> Rollback:
    """Draw when, in a run of `duration_s` seconds, and by how many whole kilometres an odometer is set back."""
    at_s = duration_s * rng.uniform(EARLIEST_SHARE, LATEST_SHARE)
    by_km = rng.randrange(LEAST_KM, MOST_KM)
    return Rollback(at=MonotonicNs(round(at_s * NS_PER_S)), by_m=by_km * 1_000.0)
