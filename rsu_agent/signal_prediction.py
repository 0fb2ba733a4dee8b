"""When a phase most probably ends, learnt from those before it: for controllers that announce no likely end themselves.

Of each group and phase the last durations are kept. Of those that lasted longer than the running phase has by now the median is the
likely end, kept within the ends the controller announced, and the share that ended within a second of it is the confidence. Where
there are too few, or the share is below what a message can say (21 %), nothing is told. What the controller says is never replaced,
and a phase whose begin nobody saw teaches nothing. Left out: time of day, detectors, and phases to come.
"""

from collections import deque
from dataclasses import dataclass, replace
from statistics import median

from rsu_agent.signal_controllers import SignalGroupState
from rsu_agent.signal_controllers.report_message import confidence_of
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.messages.spatem import MovementPhaseState

MAX_DURATIONS = 32
"""Durations kept of one phase of one group: the cycles of half an hour or so."""

MIN_DURATIONS = 5
"""With fewer that lasted as long nothing is said."""

NEAR_NS = NS_PER_S
"""An end this near the likely one is counted as one that was foretold."""

LEAST_PERCENT = 21
"""The least `TimeIntervalConfidence` there is."""


@dataclass(frozen=True, slots=True)
class _Running:
    """The phase a group shows, and since when; None where its begin was not seen."""

    phase: MovementPhaseState
    since: MonotonicNs | None


class PhaseHistory:
    """What one junction's phases lasted; shown every state that is believed, in the order of time."""

    def __init__(self) -> None:
        self._running: dict[int, _Running] = {}
        self._durations: dict[tuple[int, MovementPhaseState], deque[int]] = {}

    def lose_sight(self) -> None:
        """Note that states were missed: begins of what runs are not known any more; what was learnt stays."""
        self._running.clear()

    def predict(self, states: tuple[SignalGroupState, ...], now: Instant) -> tuple[SignalGroupState, ...]:
        """Learn from a state, and return it with the likely ends the controller left open, where they can be told."""
        for state in states:
            self._learn(state, now.monotonic)
        return tuple(self._completed(state, now) for state in states)

    def _learn(self, state: SignalGroupState, now: MonotonicNs) -> None:
        before = self._running.get(state.signal_group)
        if before is None:
            self._running[state.signal_group] = _Running(state.phase, None)
        elif before.phase is not state.phase:
            if before.since is not None:
                kept = self._durations.setdefault((state.signal_group, before.phase), deque(maxlen=MAX_DURATIONS))
                kept.append(now - before.since)
            self._running[state.signal_group] = _Running(state.phase, now)

    def _completed(self, state: SignalGroupState, now: Instant) -> SignalGroupState:
        shown, since = state.intervals[0], self._running[state.signal_group].since
        if shown.likely_end is not None or shown.min_end is None or since is None:
            return state
        elapsed = now.monotonic - since
        longer = [each for each in self._durations.get((state.signal_group, state.phase), ()) if each > elapsed]
        if len(longer) < MIN_DURATIONS:
            return state
        duration = round(median(longer))
        percent = 100 * sum(abs(each - duration) <= NEAR_NS for each in longer) // len(longer)
        if percent < LEAST_PERCENT:
            return state
        likely = max(now.require_utc() + duration - elapsed, shown.min_end)
        if shown.max_end is not None:
            likely = min(likely, max(shown.max_end, shown.min_end))
        told = replace(shown, likely_end=UtcNs(likely), confidence=confidence_of(percent))
        return replace(state, intervals=(told, *state.intervals[1:]))
