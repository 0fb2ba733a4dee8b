"""Stationary vehicle, cause not known (94/0), C2CCC RS 2006.

    begins  ignition on, hazard lights on and standing, for 30 s; with the parking brake 20 s; at once when a door opens
    ends    hazard lights off, or moving for 5 s, or carried along on a lorry              (the latter is ours)

Repeated every second for 15 s, renewed every 15 s, believed for 30 s, cancelled. All figures but the last published.
"""

from shared.core.clock import MonotonicNs
from shared.messages.cdd import CauseCode
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.latch import Row
from vehicle_agent.triggers.situation import Situation, Standing
from vehicle_agent.triggers.standing_trigger import StandingTrigger, standing_profile
from vehicle_agent.vehicle_state import VehicleState

PROFILE = standing_profile("stationary_vehicle")

BEGINS = (Row(standing.STANDS_WITH_HAZARD_LIGHTS, for_ms=standing.wait_ms),)
ENDS = (standing.HAZARD_LIGHTS_OFF, standing.MOVED)


class StationaryVehicle(StandingTrigger):
    """The car stands with its hazard lights on."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Say since when."""
        return Situation(
            cause=CauseCode.STATIONARY_VEHICLE,
            quality=standing.quality(state, now),
            standing=Standing(since=self._stands.at(now), cause=CauseCode.STATIONARY_VEHICLE),
        )
