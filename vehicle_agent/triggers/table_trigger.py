"""A trigger that is a table, and a situation made of the state while the table is active."""

from abc import abstractmethod

from shared.core.clock import Instant, MonotonicNs
from vehicle_agent.triggers.conditions import Condition
from vehicle_agent.triggers.latch import Absence, Latch, Row
from vehicle_agent.triggers.situation import Profile, Situation
from vehicle_agent.vehicle_state import VehicleState


class TableTrigger:
    """Base of the triggers that need nothing but their table.

    Args:
        profile: how the use case is told of.
        begins: rows of which one has to hold.
        ends: likewise, for the end.
        stays: what shows in between that it is still there; None where that is every end being known not to hold.
    """

    def __init__(self, profile: Profile, begins: tuple[Row, ...], ends: tuple[Row, ...], *, stays: Condition | None = None) -> None:
        self._profile = profile
        self._latch = Latch(begins, ends, stays=stays)

    @property
    def profile(self) -> Profile:
        """How it is told of."""
        return self._profile

    def observe(self, state: VehicleState, now: Instant) -> Situation | Absence:
        """Look at the car."""
        absence = self._latch.observe(state, now.monotonic)
        return self.situation(state, now.monotonic) if absence is None else absence

    def resume(self, now: Instant) -> None:
        """Go on from a live event."""
        self._latch.resume(now.monotonic)

    @abstractmethod
    def situation(self, state: VehicleState, now: MonotonicNs) -> Situation:
        """Describe the situation that is there."""
