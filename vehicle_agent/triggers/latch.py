"""A table of conditions with times, and the two states it switches between.

    idle      a row of `begins` held without a break for its time      -> active
    active    a row of `ends` held without a break for its time        -> idle
    active    nobody knows for `MAX_UNKNOWN_NS` whether it has ended    -> idle, told as unknown and not as over

What makes it begin is stricter than what keeps it going, so a value at the threshold does not make it flicker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from vehicle_agent.triggers.conditions import Condition
from vehicle_agent.vehicle_state import VehicleState

MAX_GAP_NS = NS_PER_S
"""Looked at less often than this, a condition did not hold "without a break": nobody saw what was between. Ours."""

MAX_UNKNOWN_NS = 30 * NS_PER_S
"""After this long without an answer it begins from the beginning. Ours."""


class Absence(Enum):
    """Why there is no situation to report."""

    OVER = "over"
    """It is known not to be there."""
    UNKNOWN = "unknown"
    """It may be there: signals are missing, or have not been so for long enough."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        condition: what has to hold.
        for_ms: how long; 0 for at once. A function where it depends on the state.
    """

    condition: Condition
    for_ms: int | Callable[[VehicleState, MonotonicNs], int] = 0

    def wanted_ns(self, state: VehicleState, now: MonotonicNs) -> int:
        """Return how long it has to hold."""
        return (self.for_ms if isinstance(self.for_ms, int) else self.for_ms(state, now)) * NS_PER_MS


class _Answer(Enum):
    YES = 0
    NOT_YET = 1
    NO = 2
    UNKNOWN = 3


class _Held:
    """How long a row has held without a break."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._since: MonotonicNs | None = None
        self._seen: MonotonicNs | None = None

    def restart(self) -> None:
        self._since = None

    def look(self, state: VehicleState, now: MonotonicNs) -> "_Answer":
        answer = self._row.condition.test(state, now)
        if self._seen is not None and now - self._seen > MAX_GAP_NS:
            self._since = None
        self._seen = now
        if not answer:
            self._since = None
            return _Answer.UNKNOWN if answer is None else _Answer.NO
        if self._since is None:
            self._since = now
        return _Answer.YES if now - self._since >= self._row.wanted_ns(state, now) else _Answer.NOT_YET


class Latch:
    """The state of one table.

    Args:
        begins: any of these rows makes it active.
        ends: any of these rows makes it idle again.
        stays: what shows that it is still there; None where that is every end being known not to hold.
    """

    def __init__(self, begins: tuple[Row, ...], ends: tuple[Row, ...], *, stays: Condition | None = None) -> None:
        self._stays = stays
        self._begins = tuple(_Held(row) for row in begins)
        self._ends = tuple(_Held(row) for row in ends)
        self._is_active = False
        self._known: MonotonicNs | None = None

    @property
    def is_active(self) -> bool:
        """Whether the table's begin was met, and its end not yet."""
        return self._is_active

    def resume(self, now: MonotonicNs) -> None:
        """Be active without having seen the begin: another run of the program saw it."""
        self._switch(is_active=True, now=now)

    def observe(self, state: VehicleState, now: MonotonicNs) -> Absence | None:
        """Look at the state; None where the situation is there, and seen to be."""
        return self._observe_active(state, now) if self._is_active else self._observe_idle(state, now)

    def _observe_idle(self, state: VehicleState, now: MonotonicNs) -> Absence | None:
        answers = [held.look(state, now) for held in self._begins]
        if _Answer.YES not in answers:
            return Absence.OVER if all(answer is _Answer.NO for answer in answers) else Absence.UNKNOWN
        self._switch(is_active=True, now=now)
        return None

    def _observe_active(self, state: VehicleState, now: MonotonicNs) -> Absence | None:
        answers = [held.look(state, now) for held in self._ends]
        if _Answer.YES in answers:
            self._switch(is_active=False, now=now)
            return Absence.OVER
        is_known = _Answer.UNKNOWN not in answers if self._stays is None else self._stays.test(state, now) is True
        if is_known or self._known is None:
            self._known = now
        if now - self._known > MAX_UNKNOWN_NS:
            self._switch(is_active=False, now=now)
        return None if is_known else Absence.UNKNOWN

    def _switch(self, *, is_active: bool, now: MonotonicNs) -> None:
        self._is_active = is_active
        self._known = now
        for held in (*self._begins, *self._ends):
            held.restart()
