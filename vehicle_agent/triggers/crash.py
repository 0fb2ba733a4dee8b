"""Post-crash (94/3), C2CCC RS 2006.

    begins  an airbag that was known not to have fired has fired, for 200 ms              (published; the time is ours)
    ends    the airbag is known not to have fired (another unit was built in), or the car is driven at 20 km/h for 30 s  (ours)

Neither ignition nor standstill is needed: a crash may end the one and not yet have ended the other. A car that is switched on
with a fired airbag says nothing: that crash was before, and it is being moved or repaired. Repeated every second for 60 s, renewed
every 60 s, believed for 180 s, cancelled when it is over.

The consortium's post-crash is a stationary vehicle of sub cause 3, and that is what a production car's ticket allows.
"""

from shared.core.clock import Instant, MonotonicNs
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import CauseCode
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.conditions import at_least, is_off, is_on
from vehicle_agent.triggers.latch import Absence, Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation, Standing
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState, fresh

POST_CRASH = 3
"""`StationaryVehicleSubCauseCode`."""

FIRED_FOR_MS = 200
DRIVEN_AWAY_MPS = 20.0 / KMH_PER_MPS
DRIVEN_AWAY_FOR_MS = 30_000

PROFILE = Profile(
    name="crash",
    validity_s=180,
    repetition_interval_ms=1_000,
    repetition_duration_s=60.0,
    update_ms=60_000,
    ending=Ending.CANCEL,
    relevance_distance=RelevanceDistance.LESS_THAN_1000M,
    reach_m=standing.REACH_M,
    blocking_ms=60_000,
)
"""One source for its times, none for how far it matters: ours."""

BEGINS = (Row(is_on("airbag_deployed"), for_ms=FIRED_FOR_MS),)
STAYS = is_on("airbag_deployed")
"""What keeps it going, whatever else a damaged car no longer says."""
ENDS = (Row(is_off("airbag_deployed"), for_ms=5_000), Row(at_least("speed_mps", DRIVEN_AWAY_MPS), for_ms=DRIVEN_AWAY_FOR_MS))


class Crash(TableTrigger):
    """The car has had a crash."""

    def __init__(self) -> None:
        super().__init__(PROFILE, BEGINS, ENDS, stays=STAYS)
        self._stands = standing.StandsSince()
        self._was_whole = False

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car."""
        self._stands.observe(state, now.monotonic)
        if fresh(state.airbag_deployed, now.monotonic) is False:
            self._was_whole = True
        if not (self._was_whole or self._latch.is_active):
            return Absence.UNKNOWN
        was_active = self._latch.is_active
        seen = super().observe(state, now)
        if was_active and not self._latch.is_active:
            self._was_whole = False
        return seen

    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:  # noqa: ARG002  # only the others look at it
        """Say since when; one that stands is more certain."""
        since = self._stands.at(now)
        return Situation(
            cause=CauseCode.STATIONARY_VEHICLE,
            sub_cause=POST_CRASH,
            quality=2 + (since is not None),
            standing=Standing(since=since, cause=CauseCode.POST_CRASH),
        )
