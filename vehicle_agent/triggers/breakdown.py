"""Broken-down vehicle (94/2), C2CCC RS 2006.

    begins  as a stationary vehicle, while the car itself says that it cannot go on
    ends    as a stationary vehicle, or the fault is gone for 5 s                         (the latter is ours)

Told of as stationary vehicles are. The consortium's broken-down vehicle is a stationary vehicle of sub cause 2, and that is what a
production car's ticket allows; cause 91 is for who has a ticket that names it.
"""

from shared.core.clock import MonotonicNs
from shared.messages.cdd import CauseCode
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.conditions import all_of, is_off, is_on
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Situation, Standing
from vehicle_agent.triggers.standing_trigger import StandingTrigger, standing_profile
from vehicle_agent.vehicle_state import VehicleState

VEHICLE_BREAKDOWN = 2
"""`StationaryVehicleSubCauseCode`."""

REPAIRED_FOR_MS = 5_000
"""Ours."""

PROFILE = standing_profile("breakdown")

BEGINS = (Row(all_of(standing.STANDS_WITH_HAZARD_LIGHTS, is_on("breakdown")), for_ms=standing.wait_ms),)
ENDS = (standing.HAZARD_LIGHTS_OFF, standing.MOVED, Row(is_off("breakdown"), for_ms=REPAIRED_FOR_MS))


class Breakdown(StandingTrigger):
    """The car has broken down and stands on the road."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Say since when; the fault is one more hint."""
        return Situation(
            cause=CauseCode.STATIONARY_VEHICLE,
            sub_cause=VEHICLE_BREAKDOWN,
            quality=1 + standing.quality(state, now),
            standing=Standing(since=self._stands.at(now), cause=CauseCode.VEHICLE_BREAKDOWN),
        )
