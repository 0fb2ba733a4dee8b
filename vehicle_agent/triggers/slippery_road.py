"""Slippery road, felt by the wheels (6/0), C2CCC RS 2002 "traction loss".

    begins  ABS at work although the car slows down by less than 3 m/s2                        } faster than 25 km/h,
            traction control at work with the accelerator pressed                              } for 200 ms
            stability control at work although the car is pushed sideways by less than 3 m/s2  }
    ends    none of the three at work for a second

The idea is published: an intervention on a road that would have held a dry tyre easily. The thresholds are ours. A wheel that
lets go at full braking, or in a bend taken too fast, says nothing of the road, and a wheel that spins at walking pace
(a snowy car park) endangers nobody. The place stays slippery after the car has left it, so nothing is cancelled: it is repeated
every second for 300 s and believed for 600 s; the next place is added to the same event while that lasts.
"""

from shared.core.clock import MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers.conditions import (
    NOT_BACKWARDS,
    all_of,
    any_of,
    at_least,
    is_on,
    magnitude_at_most,
    unless_known,
)
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

LEAST_SPEED_MPS = 25.0 / KMH_PER_MPS
MILD_BRAKING_MPS2 = -3.0
MILD_BEND_MPS2 = 3.0
SLIPS_FOR_MS = 200
GRIPS_FOR_MS = 1_000

PROFILE = Profile(
    name="slippery_road",
    validity_s=600,
    repetition_interval_ms=1_000,
    repetition_duration_s=300.0,
    ending=Ending.STAY,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach_m=1_000.0,
    blocking_ms=15_000,
)

_DRIVES = all_of(is_on("ignition_on"), NOT_BACKWARDS, at_least("speed_mps", LEAST_SPEED_MPS))
ABS_AT_MILD_BRAKING = all_of(is_on("abs_active"), at_least("longitudinal_acceleration_mps2", MILD_BRAKING_MPS2))
WHEELS_SPIN = all_of(is_on("traction_control_active"), is_on("gas_pedal_pressed"))
SLIDES_IN_A_MILD_BEND = all_of(is_on("stability_control_active"), magnitude_at_most("lateral_acceleration_mps2", MILD_BEND_MPS2))

BEGINS = (
    Row(all_of(_DRIVES, ABS_AT_MILD_BRAKING), for_ms=SLIPS_FOR_MS),
    Row(all_of(_DRIVES, WHEELS_SPIN), for_ms=SLIPS_FOR_MS),
    Row(all_of(_DRIVES, SLIDES_IN_A_MILD_BEND), for_ms=SLIPS_FOR_MS),
)
ENDS = (
    Row(
        unless_known(any_of(is_on("abs_active"), is_on("traction_control_active"), is_on("stability_control_active"))),
        for_ms=GRIPS_FOR_MS,
    ),
)


class SlipperyRoad(TableTrigger):
    """The road does not hold the wheels."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Count the controllers that agree."""
        at_work = (state.abs_active, state.traction_control_active, state.stability_control_active)
        agreeing = sum(bool(fresh(flag, now)) for flag in at_work)
        return Situation(cause=CauseCode.ADVERSE_WEATHER_CONDITION_ADHESION, quality=max(1, agreeing))
