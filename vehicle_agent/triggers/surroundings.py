"""What others say that matters to a trigger: who stands ahead, and what is reported of the road ahead.

The triggers ask through one value, so that they know neither the table of neighbours nor the store of hazards heard.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.clock import Instant
from shared.core.errors import UntrustedTimeError
from shared.facilities.neighbours import StandingAhead
from shared.messages.cdd import CauseCode
from vehicle_agent.ego import ego_position
from vehicle_agent.vehicle_state import VehicleState

QUEUE_WITHIN_M = 100.0
"""Others that stand further ahead are not the queue we reach (C2CCC RS 2004)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of others.

    Attributes:
        neighbours: who stands ahead; such as `shared.facilities.neighbours.Neighbours`.
        reported: how many live events of a cause others report on our road ahead.
    """

    neighbours: StandingAhead
    reported: Callable[[CauseCode], int]

    def standing_ahead(self, state: VehicleState, now: Instant) -> int:
        """Return how many vehicles stand close ahead; 0 where our place, heading or the time are not known."""
        try:
            ego = ego_position(state, now)
        except UntrustedTimeError:
            return 0
        if ego is None:
            return 0
        return sum(seen.distance_m <= QUEUE_WITHIN_M for seen in self.neighbours.standing_ahead(ego, now))
