"""Broken-down vehicle (94/2), C2CCC RS 2006.

    begins  as a stationary vehicle, while the car itself says that it cannot go on
    ends    as a stationary vehicle, or the fault is gone for 5 s                         (the latter is ours)

Told of as stationary vehicles are. The consortium's broken-down vehicle is a stationary vehicle of sub cause 2, and that is what a
production car's ticket allows; cause 91 is for who has a ticket that names it.
"""

from shared.core.clock import Instant, MonotonicNs
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.conditions import all_of, is_off, is_on
from vehicle_agent.triggers.latch import Absence, Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation, Standing
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState

VEHICLE_BREAKDOWN = 2
"""`StationaryVehicleSubCauseCode`."""

REPAIRED_FOR_MS = 5_000
"""Ours."""

PROFILE = Profile(
    name="breakdown",
    validity_s=standing.VALIDITY_S,
    repetition_interval_ms=standing.REPETITION_INTERVAL_MS,
    repetition_duration_s=standing.REPETITION_DURATION_S,
    update_ms=standing.UPDATE_MS,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach_m=standing.REACH_M,
)

BEGINS = (Row(all_of(standing.STANDS_WITH_HAZARD_LIGHTS, is_on("breakdown")), for_ms=standing.wait_ms),)
ENDS = (standing.HAZARD_LIGHTS_OFF, standing.MOVED, Row(is_off("breakdown"), for_ms=REPAIRED_FOR_MS))


class Breakdown(TableTrigger):
    """The car has broken down and stands on the road."""

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
        """Say since when; the fault is one more hint."""
        return Situation(
            cause=CauseCode.STATIONARY_VEHICLE,
            sub_cause=VEHICLE_BREAKDOWN,
            quality=1 + standing.quality(state, now),
            standing=Standing(since=self._stands.at(now), cause=CauseCode.VEHICLE_BREAKDOWN),
        )
