"""What the triggers of a car that stands with its hazard lights on have in common; which of them it is, each says itself.

A car that is carried does not stand (`standing.Carried`): nothing begins while its place moves, and what had begun ends.
"""

from collections.abc import Iterable

from shared.core.clock import Instant
from shared.messages.denm import RelevanceDistance
from vehicle_agent.triggers import standing
from vehicle_agent.triggers.conditions import all_of
from vehicle_agent.triggers.latch import Absence, Row
from vehicle_agent.triggers.situation import Ending, Profile, Situation
from vehicle_agent.triggers.table_trigger import TableTrigger
from vehicle_agent.vehicle_state import VehicleState


def standing_profile(name: str) -> Profile:
    """Return how a car that stands is told of."""
    return Profile(
        name=name,
        validity_s=standing.VALIDITY_S,
        repetition_interval_ms=standing.REPETITION_INTERVAL_MS,
        repetition_duration_s=standing.REPETITION_DURATION_S,
        update_ms=standing.UPDATE_MS,
        ending=Ending.CANCEL,
        relevance_distance=RelevanceDistance.LESS_THAN_1000M,
        reach_m=standing.REACH_M,
    )


class StandingTrigger(TableTrigger):
    """Knows since when the car stands, and whether it is carried.

    Args:
        profile: from `standing_profile`.
        begins: each row holds only while the car stays where it is.
        ends: besides that it is carried away.
    """

    def __init__(self, profile: Profile, begins: Iterable[Row], ends: Iterable[Row]) -> None:
        self._carried = standing.Carried()
        staying = tuple(Row(all_of(row.condition, self._carried.stays_put), for_ms=row.for_ms) for row in begins)
        super().__init__(profile, staying, (*ends, self._carried.ended))
        self._stands = standing.StandsSince()

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car."""
        self._stands.observe(state, now.monotonic)
        self._carried.observe(state, now.monotonic)
        return super().observe(state, now)
