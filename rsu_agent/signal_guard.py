"""The guard between a signal controller and the air: what it does not believe is not broadcast.

It holds each state against the map (every group, no lane opened that is not there or is never closed, the same revision), against
itself (a phase that should have ended, ends in no order), against the conflicts (two groups that may move together), and against
time: a green or amber cut short, a green that turns to red without its amber, a group that turns green too soon after a conflicting
one.

What happens between two looks is not seen. A duration is therefore measured as the longest it can have been, and a controller is
accused only of what cannot have been otherwise. Flashing and dark signals may come at any moment: a controller that saves itself
does no wrong. A phase that ends before the earliest end it had announced is counted, unless the controller said that its times
jumped: the lamps are as they are, and are told. Left out: judging whether lamps do what the controller says.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rsu_agent.map_data import JunctionMap
from rsu_agent.signal_controllers import (
    CLEARING_PHASES,
    PERMITTING_PHASES,
    ConflictingPairs,
    ControllerMode,
    GroupRule,
    GuardRules,
    PhaseInterval,
    SignalGroupState,
    conflicting_permissions,
)
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.messages.spatem import MovementPhaseState

OVERDUE_NS = 500 * NS_PER_MS
"""How far the announced latest end of a phase may have passed: news of the change may be under way."""

TOLERANCE_NS = 100 * NS_PER_MS
"""How much less than promised a time may seem to be: news of its begin may have been later on the way than news of its end."""

_RED = frozenset({MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PRE_MOVEMENT})
"""Red is on, alone or with amber."""

_NO_RULE = GroupRule()


class Doubt(Enum):
    """Why a state is not believed: words for counters."""

    NO_STATE = "no_state"
    CLOCK = "clock"
    CONTRADICTION = "contradiction"
    WRONG_GROUPS = "wrong_groups"
    NO_PHASE = "no_phase"
    CONFLICT = "conflict"
    OVERDUE = "overdue"
    ENDS = "ends"
    SHORT_GREEN = "short_green"
    SHORT_AMBER = "short_amber"
    INTERGREEN = "intergreen"
    MAP_REVISION = "map_revision"
    ENABLED_LANE = "enabled_lane"


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a state is not believed.

    Attributes:
        doubt: the word for it.
        sentence: what is wrong, for a person.
    """

    doubt: Doubt
    sentence: str


@dataclass(frozen=True, slots=True)
class Believed:
    """What the guard found sound; only this is made into a message.

    Attributes:
        states: what every group shows.
        mode: how the controller runs.
    """

    states: tuple[SignalGroupState, ...]
    mode: ControllerMode


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one group showed when it was last looked at.

    Attributes:
        phase: what it showed.
        before: when something else was still seen; the phase began later. None where it was on when first seen.
        latest: when the phase was last seen.
        min_end: its earliest end, as last announced.
    """

    phase: MovementPhaseState
    before: MonotonicNs | None
    latest: MonotonicNs
    min_end: UtcNs | None


class SignalGuard:
    """Judges the states of one controller, in the order of time.

    Args:
        rules: what the groups promise.
        junction: the map they belong to.
    """

    def __init__(self, rules: GuardRules, junction: JunctionMap) -> None:
        self._rules = rules
        self._junction = junction
        self._revocable = {lane.number: lane.revocable for lane in junction.lanes}
        self._seen: dict[int, _Seen] = {}
        self._green_seen: dict[int, MonotonicNs] = {}
        self._doubts: Counter[str] = Counter()
        self.early_ends = 0

    @property
    def doubts(self) -> Mapping[str, int]:
        """States that were not believed, by reason."""
        return self._doubts

    def doubt(self, distrust: Distrust) -> Distrust:
        """Count a reason and return it."""
        self._doubts[distrust.doubt.value] += 1
        return distrust

    def forget(self) -> None:
        """Forget what was seen: the controller was out of sight, and nothing is known of what it did."""
        self._seen.clear()
        self._green_seen.clear()

    def judge(self, states: tuple[SignalGroupState, ...], mode: ControllerMode, now: Instant) -> Believed | Distrust:
        """Return a state that is sound, or why it must not be broadcast, counted; it is remembered in any case.

        Args:
            states: what the controller says.
            mode: how it runs.
            now: the present, with UTC.
        """
        found = (
            self._against_map(mode)
            or unsound(states, self._junction.signal_groups, self._rules.conflicts, now.require_utc())
            or self._against_time(states, now.monotonic)
        )
        self._remember(states, mode, now)
        return Believed(states, mode) if found is None else self.doubt(found)

    def _against_map(self, mode: ControllerMode) -> Distrust | None:
        revision = self._junction.revision
        if mode.map_revision is not None and mode.map_revision != revision:
            sentence = f"the controller was set up for revision {mode.map_revision} of the map, and this is revision {revision}"
            return Distrust(Doubt.MAP_REVISION, sentence)
        for lane in mode.enabled_lanes:
            if not self._revocable.get(lane, False):
                what = "is never closed by the map" if lane in self._revocable else "the map does not have"
                return Distrust(Doubt.ENABLED_LANE, f"the controller opens lane {lane}, which {what}")
        return None

    def _against_time(self, states: tuple[SignalGroupState, ...], now: MonotonicNs) -> Distrust | None:
        for state in states:
            seen = self._seen.get(state.signal_group)
            if seen is None or seen.phase is state.phase:
                continue
            found = self._ended(state, seen, now)
            if found is None and state.phase in PERMITTING_PHASES and seen.phase not in PERMITTING_PHASES:
                found = self._began(state.signal_group, now)
            if found is not None:
                return found
        return None

    def _ended(self, state: SignalGroupState, seen: _Seen, now: MonotonicNs) -> Distrust | None:
        """Judge the phase that ended: its length, and what it turned to."""
        rule = self._rules.groups.get(state.signal_group, _NO_RULE)
        group = state.signal_group
        longest = None if seen.before is None else now - seen.before + TOLERANCE_NS
        is_red = state.phase in _RED
        if seen.phase in PERMITTING_PHASES and (is_red or state.phase in CLEARING_PHASES):
            if longest is not None and longest < rule.min_green_ns:
                return _short(Doubt.SHORT_GREEN, group, "green", longest, rule.min_green_ns)
            unseen = now - seen.latest + TOLERANCE_NS
            if is_red and unseen < rule.min_amber_ns:
                amber_s = f"{rule.min_amber_ns / NS_PER_S:g} s"
                return Distrust(Doubt.SHORT_AMBER, f"signal group {group} turned from green to red without its amber of {amber_s}")
        is_over = is_red or state.phase in PERMITTING_PHASES
        if seen.phase in CLEARING_PHASES and is_over and longest is not None and longest < rule.min_amber_ns:
            return _short(Doubt.SHORT_AMBER, group, "amber", longest, rule.min_amber_ns)
        return None

    def _began(self, group: int, now: MonotonicNs) -> Distrust | None:
        """Judge a green that began: how long ago conflicting ones ended."""
        for pair, intergreen_ns in self._rules.intergreen_ns.items():
            if group not in pair:
                continue
            (other,) = pair - {group}
            left = self._green_seen.get(other)
            if left is not None and now - left + TOLERANCE_NS < intergreen_ns:
                passed = f"{(now - left) / NS_PER_S:.1f} s after signal group {other}"
                sentence = f"signal group {group} turned green {passed}, {intergreen_ns / NS_PER_S:g} s are required"
                return Distrust(Doubt.INTERGREEN, sentence)
        return None

    def _remember(self, states: tuple[SignalGroupState, ...], mode: ControllerMode, now: Instant) -> None:
        utc = now.require_utc()
        for state in states:
            if not state.intervals:
                continue
            seen = self._seen.get(state.signal_group)
            before = None if seen is None else seen.before if _is_same_light(seen.phase, state.phase) else seen.latest
            if seen is not None and seen.phase is not state.phase and seen.min_end is not None and not mode.has_jumped:
                self.early_ends += seen.min_end - TOLERANCE_NS > utc
            self._seen[state.signal_group] = _Seen(state.phase, before, now.monotonic, state.intervals[0].min_end)
            if state.phase in PERMITTING_PHASES:
                self._green_seen[state.signal_group] = now.monotonic


def unsound(
    states: tuple[SignalGroupState, ...], signal_groups: frozenset[int], conflicts: ConflictingPairs, utc: UtcNs
) -> Distrust | None:
    """Return why a state must not be broadcast, seen for itself, or None if it is sound.

    Args:
        states: what a controller says.
        signal_groups: the groups it has to speak for.
        conflicts: pairs that must not be permitted together.
        utc: the present.
    """
    named = [state.signal_group for state in states]
    if len(set(named)) != len(named) or set(named) != signal_groups:
        sentence = f"the controller speaks for signal groups {sorted(named)}, the map for {sorted(signal_groups)}"
        return Distrust(Doubt.WRONG_GROUPS, sentence)
    for state in states:
        if not state.intervals:
            return Distrust(Doubt.NO_PHASE, f"signal group {state.signal_group} has no phase")
    for first, second in conflicting_permissions(states, conflicts):
        return Distrust(Doubt.CONFLICT, f"conflicting signal groups {first} and {second} are permitted together")
    for state in states:
        latest = state.intervals[0].max_end
        if latest is not None and latest < utc - OVERDUE_NS:
            return Distrust(Doubt.OVERDUE, f"the phase of signal group {state.signal_group} should have ended")
        if (what := _disorder(state.intervals)) is not None:
            return Distrust(Doubt.ENDS, f"a phase of signal group {state.signal_group} {what}")
    return None


def _disorder(intervals: tuple[PhaseInterval, ...]) -> str | None:
    """Return what is wrong with the ends of phases that follow one another, or None."""
    earliest: UtcNs | None = None
    for interval in intervals:
        least, likely, most = interval.min_end, interval.likely_end, interval.max_end
        if least is None:
            continue
        if most is not None and most < least:
            return "ends before its earliest end"
        if likely is not None and (likely < least or (most is not None and most < likely)):
            return "most probably ends when it cannot"
        if earliest is not None and most is not None and most < earliest:
            return "ends before it can have begun"
        earliest = least if earliest is None else max(earliest, least)
    return None


def _is_same_light(first: MovementPhaseState, second: MovementPhaseState) -> bool:
    """Say whether the lamps are the same: a green goes on when somebody has to be yielded to from now on, or no longer."""
    return first is second or any({first, second} <= phases for phases in (PERMITTING_PHASES, CLEARING_PHASES))


def _short(doubt: Doubt, group: int, colour: str, longest: int, required: int) -> Distrust:
    lasted = f"at most {max(0, longest) / NS_PER_S:.1f} s"
    return Distrust(doubt, f"the {colour} of signal group {group} lasted {lasted}, {required / NS_PER_S:g} s are promised")
