"""Where the lights' state comes from: one interface for every kind of signal controller.

A controller says what each signal group shows now and, where it knows, what follows; it says nothing of lanes (`map_data`), nothing
of messages (`signal_service`), and nothing of which groups conflict: whoever guards a controller (`signal_guard`) knows that from
elsewhere, from the plan or the controller's file (`GuardRules`). Kinds: `fixed_time` (a plan of our own), `tscbm` (NTCIP 1202 over
UDP), `reported` (JSON over MQTT), `simulated` (the lights of a simulator). All are sans-IO: what comes in is handed to them, and
what goes out is taken from them (`feeds`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rsu_agent.signal_controllers.priority import PriorityAnswer, PriorityKey, PriorityRequest
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.stack.effects import Notice

PERMITTING_PHASES = frozenset(
    {MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED},
)
"""Phases in which a stopped driver may set off: what two conflicting groups must never show together."""

CLEARING_PHASES = frozenset({MovementPhaseState.PERMISSIVE_CLEARANCE, MovementPhaseState.PROTECTED_CLEARANCE})
"""Phases in which a driver who cannot stop may still pass (amber)."""

ConflictingPairs = frozenset[frozenset[int]]
"""Pairs of signal groups whose movements cross and must never be permitted together."""


class Movement(Enum):
    """Whether a green of the group may meet conflicting traffic that has to be yielded to."""

    PROTECTED = "protected"
    PERMISSIVE = "permissive"

    @property
    def green(self) -> MovementPhaseState:
        """The phase while the lamp is green."""
        if self is Movement.PROTECTED:
            return MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
        return MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED

    @property
    def amber(self) -> MovementPhaseState:
        """The phase while the lamp is amber."""
        return MovementPhaseState.PROTECTED_CLEARANCE if self is Movement.PROTECTED else MovementPhaseState.PERMISSIVE_CLEARANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseInterval:
    """One phase of one signal group, running or predicted.

    Attributes:
        phase: what the lamps show.
        start: when it begins; None for the running phase where that is not known.
        min_end: it does not end before this moment; None if nobody knows, and then nothing else is known of its end.
        max_end: it does not end after this moment; None if nobody knows.
        likely_end: when it most probably ends; None if nobody knows.
        confidence: `TimeIntervalConfidence` 0..15 (21 % ... 100 %) of `likely_end`; None where not stated.
    """

    phase: MovementPhaseState
    start: UtcNs | None
    min_end: UtcNs | None
    max_end: UtcNs | None
    likely_end: UtcNs | None
    confidence: int | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerMode:
    """How a controller runs, beside what its groups show.

    Attributes:
        status: `IntersectionStatusObject`, of which the controller says what it knows.
        enabled_lanes: numbers of the revocable lanes that are open just now, in order.
        map_revision: the revision of the map the controller was set up for; None where it says none.
        has_jumped: the controller says that the times it announced before no longer hold.
    """

    status: IntersectionStatus
    enabled_lanes: tuple[int, ...] = ()
    map_revision: int | None = None
    has_jumped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """What one signal group promises.

    Attributes:
        min_green_ns: a green lasts at least so long; 0 where nothing is promised.
        min_amber_ns: amber after a green lasts at least so long; 0 where there need be none (pedestrians).
    """

    min_green_ns: int = 0
    min_amber_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """What the groups of one junction promise.

    Attributes:
        groups: rule of each group that has one.
        intergreen_ns: for each conflicting pair the least time from the end of either's green to the beginning of the other's.
    """

    groups: Mapping[int, GroupRule]
    intergreen_ns: Mapping[frozenset[int], int]

    @property
    def conflicts(self) -> ConflictingPairs:
        """Pairs of groups that must never be permitted together."""
        return frozenset(self.intergreen_ns)


class SignalController(Protocol):
    """One junction's controller."""

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of every group the controller speaks for."""
        ...

    @property
    def mode(self) -> ControllerMode:
        """How it runs, as last known."""
        ...

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return every group's state at `now`, ordered by group number.

        Raises:
            UntrustedTimeError: the controller needs UTC and `now` has none.
            TransportError: nothing was heard of it for too long, or never.
        """
        ...

    def next_change(self, now: Instant) -> MonotonicNs | None:
        """Return when there is next something to look at, never before `now`; None if that is not known.

        That is a change by itself, news nobody has looked at yet, or the moment at which what it said is too old.
        """
        ...

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:
        """Hand a vehicle's request on and return what is known at once; a fixed-time plan says that it serves none."""
        ...

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        """Return what became of a request since; None for one that is not known (any more)."""
        ...

    def take_notices(self) -> tuple[Notice, ...]:
        """Return, once, what the operator should be told: a restart, a stranger's datagrams, silence."""
        ...

    def evidence(self) -> Mapping[str, bytes]:
        """Return the octets that were heard last, by name, for whoever asks later why the junction was not believed."""
        ...

    def status(self, now: Instant) -> dict[str, object]:
        """Return its health as JSON values: kind, age of what was heard, counts of what was taken and refused."""
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
