"""What others say that matters to a trigger: who stands ahead, and what is reported of the road ahead.

The triggers ask through one value; where our place, our heading or the time are not known, nobody is ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import Instant
from shared.core.errors import UntrustedTimeError
from shared.facilities.neighbours import StandingAhead
from shared.messages.cdd import CauseCode
from shared.stack.station import EgoPosition
from vehicle_agent.ego import ego_position
from vehicle_agent.hazards import HazardAhead
from vehicle_agent.vehicle_state import VehicleState

QUEUE_WITHIN_M = 100.0
"""Others that stand further ahead are not the queue we reach (C2CCC RS 2004)."""


class HazardsAhead(Protocol):
    """Who can tell which events that others report matter to us, such as `vehicle_agent.hazards.Hazards`."""

    def ahead(self, now: Instant, ego: EgoPosition) -> Sequence[HazardAhead]:
        """Return every live event that matters to the vehicle, each once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of others.

    Attributes:
        neighbours: who stands ahead.
        hazards: what others report.
    """

    neighbours: StandingAhead
    hazards: HazardsAhead

    def standing_ahead(self, state: VehicleState, now: Instant) -> int:
        """Return how many vehicles stand close ahead."""
        ego = _ego(state, now)
        if ego is None:
            return 0
        return sum(seen.distance_m <= QUEUE_WITHIN_M for seen in self.neighbours.standing_ahead(ego, now))

    def reported_ahead(self, cause: CauseCode, state: VehicleState, now: Instant) -> int:
        """Return how many events of a cause others report ahead of us, and nobody disputes."""
        ego = _ego(state, now)
        if ego is None:
            return 0
        return sum(hazard.cause_code == cause and not hazard.is_disputed for hazard in self.hazards.ahead(now, ego))


def _ego(state: VehicleState, now: Instant) -> EgoPosition | None:
    try:
        return ego_position(state, now)
    except UntrustedTimeError:
        return None
