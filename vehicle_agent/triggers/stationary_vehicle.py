"""Stationary vehicle, cause not known (94/0), C2CCC RS 2006.

    begins  ignition on, hazard lights on and standing, for 30 s; with the parking brake 20 s; at once when a door opens
    ends    hazard lights off, or moving for 5 s, or carried along on a lorry              (the latter is ours)

Repeated every second for 15 s, renewed every 15 s, believed for 30 s, cancelled. All figures but the last published.
"""

from shared.core.clock import Instant, MonotonicNs
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.conditions import all_of
from vehicle_agent.triggers.latch import Absence, Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation, Standing
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState

PROFILE = Profile(
    name="stationary_vehicle",
    validity_s=standing.VALIDITY_S,
    repetition_interval_ms=standing.REPETITION_INTERVAL_MS,
    repetition_duration_s=standing.REPETITION_DURATION_S,
    update_ms=standing.UPDATE_MS,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach_m=standing.REACH_M,
)

BEGINS = (Row(standing.STANDS_WITH_HAZARD_LIGHTS, for_ms=standing.wait_ms),)
ENDS = (standing.HAZARD_LIGHTS_OFF, standing.MOVED)


class StationaryVehicle(TableTrigger):
    """The car stands with its hazard lights on."""

    def __init__(self) -> None:
        self._carried = standing.Carried()
        begins = tuple(Row(all_of(row.condition, self._carried.stays_put), for_ms=row.for_ms) for row in BEGINS)
        super().__init__(PROFILE, begins, (*ENDS, self._carried.ended))
        self._stands = standing.StandsSince()

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car."""
        self._stands.observe(state, now.monotonic)
        self._carried.observe(state, now.monotonic)
        return super().observe(state, now)

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Say since when."""
        return Situation(
            cause=CauseCode.STATIONARY_VEHICLE,
            quality=standing.quality(state, now),
            standing=Standing(since=self._stands.at(now), cause=CauseCode.STATIONARY_VEHICLE),
        )
