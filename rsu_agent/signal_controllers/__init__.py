"""Where the lights' state comes from: one interface for every kind of signal controller.

A controller says what each signal group shows now and, where it knows, what follows; it says nothing of lanes (`map_data`), nothing
of messages (`signal_service`), and nothing of which groups conflict: whoever guards a controller knows that from elsewhere. Kinds:
`fixed_time`; real controllers and simulated lights follow.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.messages.spatem import MovementPhaseState

PERMITTING_PHASES = frozenset(
    {MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED},
)
"""Phases in which a stopped driver may set off: what two conflicting groups must never show together."""

CLEARING_PHASES = frozenset({MovementPhaseState.PERMISSIVE_CLEARANCE, MovementPhaseState.PROTECTED_CLEARANCE})
"""Phases in which a driver who cannot stop may still pass (amber)."""

ConflictingPairs = frozenset[frozenset[int]]
"""Pairs of signal groups whose movements cross and must never be permitted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseInterval:
    """One phase of one signal group, running or predicted.

    Attributes:
        phase: what the lamps show.
        start: when it begins; None for the running phase where that is not known.
        min_end: it does not end before this moment.
        max_end: it does not end after this moment; None if nobody knows.
        likely_end: when it most probably ends; None if nobody knows.
    """

    phase: MovementPhaseState
    start: UtcNs | None
    min_end: UtcNs
    max_end: UtcNs | None
    likely_end: UtcNs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalGroupState:
    """What one signal group shows.

    Attributes:
        signal_group: its number, 1..254.
        name: what the operator calls it, or None.
        intervals: the running phase first, then predicted ones in order; never empty.
    """

    signal_group: int
    name: str | None
    intervals: tuple[PhaseInterval, ...]

    @property
    def phase(self) -> MovementPhaseState:
        """What the group shows now."""
        return self.intervals[0].phase


class SignalController(Protocol):
    """One junction's controller."""

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of every group the controller speaks for."""
        ...

    @property
    def is_fixed_time(self) -> bool:
        """Whether the controller runs a fixed-time plan (`IntersectionStatusObject.fixedTimeOperation`)."""
        ...

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return every group's state at `now`, ordered by group number.

        Raises:
            UntrustedTimeError: the controller needs UTC and `now` has none.
        """
        ...

    def next_change(self, now: Instant) -> MonotonicNs | None:
        """Return when the state next changes by itself, or None if that is not known; never before `now`."""
        ...


def conflicting_permissions(states: tuple[SignalGroupState, ...], conflicts: ConflictingPairs) -> tuple[tuple[int, int], ...]:
    """Return the conflicting pairs that are permitted together, or of which one still clears while the other is permitted."""
    permitted = {s.signal_group for s in states if s.phase in PERMITTING_PHASES}
    moving = permitted | {s.signal_group for s in states if s.phase in CLEARING_PHASES}
    found = []
    for pair in conflicts:
        first, second = sorted(pair)
        if (first in permitted and second in moving) or (second in permitted and first in moving):
            found.append((first, second))
    return tuple(sorted(found))
