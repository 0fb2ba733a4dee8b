"""Slow vehicle (26/0): a car that limps, or is towed, with its hazard lights on.

    begins  ignition on, hazard lights on, 5..40 km/h, not in reverse, no light bar on, for 10 s
    ends    hazard lights off for 3 s, faster than 50 km/h for 5 s, or standing for 10 s (then it is a stationary vehicle's turn)

No public triggering condition was found for it: all figures are ours, and a production car's ticket does not allow it. Repeated
every second, renewed with its place every 5 s, believed for 20 s, cancelled; heard by who comes from behind.
"""

from shared.core.clock import MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance, RelevanceTrafficDirection
from vehicle_agent.triggers.conditions import (
    NOT_BACKWARDS,
    STANDS,
    all_of,
    at_least,
    at_most,
    is_off,
    is_on,
    unless_known,
)
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Ending, Profile, Reach, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

SLOW_LEAST_MPS, SLOW_MOST_MPS, FAST_AGAIN_MPS = 5.0 / KMH_PER_MPS, 40.0 / KMH_PER_MPS, 50.0 / KMH_PER_MPS
SLOW_FOR_MS = 10_000
HAZARD_LIGHTS_OFF_FOR_MS = 3_000
FAST_AGAIN_FOR_MS = 5_000
STANDS_FOR_MS = 10_000

PROFILE = Profile(
    name="slow_vehicle",
    validity_s=20,
    repetition_interval_ms=1_000,
    repetition_duration_s=20.0,
    update_ms=5_000,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    reach=Reach.BEHIND,
    reach_m=1_000.0,
    blocking_ms=10_000,
)

BEGINS = (
    Row(
        all_of(
            is_on("ignition_on"),
            is_on("hazard_lights"),
            NOT_BACKWARDS,
            unless_known(is_on("light_bar_on")),
            at_least("speed_mps", SLOW_LEAST_MPS),
            at_most("speed_mps", SLOW_MOST_MPS),
        ),
        for_ms=SLOW_FOR_MS,
    ),
)
ENDS = (
    Row(is_off("hazard_lights"), for_ms=HAZARD_LIGHTS_OFF_FOR_MS),
    Row(at_least("speed_mps", FAST_AGAIN_MPS), for_ms=FAST_AGAIN_FOR_MS),
    Row(STANDS, for_ms=STANDS_FOR_MS),
)


class SlowVehicle(TableTrigger):
    """The car creeps along."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Take the car's own word for a fault as one more hint."""
        return Situation(cause=CauseCode.SLOW_VEHICLE, quality=1 + bool(fresh(state.breakdown, now)))
