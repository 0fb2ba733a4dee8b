"""A fixed-time signal plan: the same cycle again and again, anchored to UTC, so that any clock that is right shows the same lights.

A cycle begins whenever UTC since 1970 (POSIX, without leap seconds), less the plan's offset, is a multiple of the cycle; plans of
neighbouring junctions with the same cycle therefore keep their offsets. Every time of a plan is a multiple of 0.1 s, the resolution
of `TimeMark`, so what is broadcast is exact and minimum, maximum and likely end are the same moment.

Left out: plans that change by time of day, and signal programmes that react to traffic.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rsu_agent.map_lanes import MAX_SIGNAL_GROUP
from rsu_agent.signal_controllers import (
    ConflictingPairs,
    ControllerMode,
    GroupRule,
    GuardRules,
    Movement,
    PhaseInterval,
    SignalGroupState,
)
from rsu_agent.signal_controllers.documents import PlanDocument
from rsu_agent.signal_controllers.priority import PriorityAnswer, PriorityKey, PriorityRequest, not_served
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.service import config
from shared.stack.effects import Notice

TENTH_NS = 100 * NS_PER_MS
"""Resolution of a plan and of `TimeMark`: 0.1 s."""

MIN_CYCLE_S = 10.0
MAX_CYCLE_S = 600.0
"""Longest cycle: every predicted end stays far inside the hour a `TimeMark` can name."""

CERTAIN = 15
"""`TimeIntervalConfidence` of a plan: 100 %."""

MAX_PREDICTED_INTERVALS = 4
"""The running phase and those that follow: with red, red-amber, green and amber a whole cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """One signal group of a plan; times are seconds into the cycle.

    Attributes:
        number: 1..254.
        name: for people, or None.
        greens_s: (begin, end) of each green; an end before its begin passes the end of the cycle.
        amber_s: amber after each green, 0 for pedestrian signals.
        red_amber_s: red-amber before each green, 0 where the country has none.
        movement: protected or permissive green.
    """

    number: int
    greens_s: tuple[tuple[float, float], ...]
    amber_s: float
    red_amber_s: float
    name: str | None = None
    movement: Movement = Movement.PROTECTED

    @property
    def title(self) -> str:
        """Number and name, for sentences."""
        return f"{self.number}" if self.name is None else f"{self.number} ({self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two groups whose movements cross.

    Attributes:
        first: number of one group.
        second: number of the other.
        intergreen_s: least time from the end of either's green to the beginning of the other's.
    """

    first: int
    second: int
    intergreen_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTimePlan:
    """A checked plan: whoever holds one knows that conflicting groups are never permitted together.

    Attributes:
        origin: the file it came from; begins every error's sentence.
        name: for people.
        cycle_s: length of the cycle in seconds.
        offset_s: delay of the cycle against UTC in seconds.
        groups: every signal group.
        conflicts: every conflicting pair.

    Raises:
        ConfigError: a time is not a multiple of 0.1 s, phases overlap, a group is unknown or named twice, or conflicting groups
            are green together or too close; the sentence names the groups and the second of the cycle.
    """

    origin: str
    name: str
    cycle_s: float
    offset_s: float
    groups: tuple[PlannedGroup, ...]
    conflicts: tuple[Conflict, ...]

    def __post_init__(self) -> None:
        if not MIN_CYCLE_S <= self.cycle_s <= MAX_CYCLE_S:
            raise ConfigError(f"{self.origin}: cycle_s", f"{self.cycle_s} is not within {MIN_CYCLE_S} to {MAX_CYCLE_S} s")
        _ticks(self, "cycle_s", self.cycle_s)
        _ticks(self, "offset_s", self.offset_s)
        if not self.groups:
            raise ConfigError(f"{self.origin}: group", "a plan needs at least one signal group")
        numbers = [g.number for g in self.groups]
        for number in numbers:
            if not 1 <= number <= MAX_SIGNAL_GROUP:
                raise ConfigError(f"{self.origin}: group", f"signal group {number} is not within 1 to {MAX_SIGNAL_GROUP}")
            if numbers.count(number) > 1:
                raise ConfigError(f"{self.origin}: group", f"signal group {number} is planned twice")
        for group in self.groups:
            _phase_table(self, group)
        for conflict in self.conflicts:
            _check_conflict(self, conflict)

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of every planned group."""
        return frozenset(g.number for g in self.groups)

    @property
    def conflicting_pairs(self) -> ConflictingPairs:
        """Every conflicting pair, for the guard of what is broadcast."""
        return frozenset(frozenset({c.first, c.second}) for c in self.conflicts)

    @property
    def guard_rules(self) -> GuardRules:
        """What the plan promises, for the guard of what is broadcast: pairs with their intergreens, shortest greens, ambers."""
        return GuardRules(
            groups={group.number: _rule(self, group) for group in self.groups},
            intergreen_ns={
                frozenset({c.first, c.second}): _ticks(self, "conflict: intergreen_s", c.intergreen_s) * TENTH_NS
                for c in self.conflicts
            },
        )


def load_plan(path: Path) -> FixedTimePlan:
    """Read a plan from a TOML file.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, or the plan is unsafe.
    """
    document = config.load(path, PlanDocument)
    origin = str(path)
    pairs = {frozenset(c.groups) for c in document.conflict}
    if len(pairs) != len(document.conflict):
        raise ConfigError(f"{origin}: conflict", "a pair of groups is named twice")
    return FixedTimePlan(
        origin=origin,
        name=document.name,
        cycle_s=document.cycle_s,
        offset_s=document.offset_s,
        groups=tuple(
            PlannedGroup(
                number=g.number,
                name=g.name,
                greens_s=tuple(g.green_s),
                amber_s=g.amber_s,
                red_amber_s=g.red_amber_s,
                movement=Movement(g.movement),
            )
            for g in document.group
        ),
        conflicts=tuple(Conflict(first=c.groups[0], second=c.groups[1], intergreen_s=c.intergreen_s) for c in document.conflict),
    )


class FixedTimeController:
    """The controller of a junction that runs one fixed-time plan.

    Args:
        plan: a checked plan.
    """

    def __init__(self, plan: FixedTimePlan) -> None:
        self._cycle_ns = _ticks(plan, "cycle_s", plan.cycle_s) * TENTH_NS
        self._offset_ns = _ticks(plan, "offset_s", plan.offset_s) * TENTH_NS
        self._groups = tuple(
            (group, _phase_table(plan, group)) for group in sorted(plan.groups, key=lambda planned: planned.number)
        )
        self._changes_ns = tuple(sorted({begin for _, table in self._groups for begin, _ in table}))
        self._signal_groups = plan.signal_groups

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of every planned group."""
        return self._signal_groups

    @property
    def mode(self) -> ControllerMode:
        """Fixed-time operation."""
        return ControllerMode(status=IntersectionStatus.FIXED_TIME_OPERATION)

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return each group's running phase and those that follow, exact to 0.1 s.

        Raises:
            UntrustedTimeError: `now` has no UTC.
        """
        utc = now.require_utc()
        into_cycle = (utc - self._offset_ns) % self._cycle_ns
        cycle_begin = utc - into_cycle
        return tuple(
            SignalGroupState(
                signal_group=group.number,
                name=group.name,
                intervals=self._intervals(table, cycle_begin, into_cycle),
            )
            for group, table in self._groups
        )

    def next_change(self, now: Instant) -> MonotonicNs | None:
        """Return when the next lamp changes; None while UTC is not known."""
        if now.utc is None or not self._changes_ns:
            return None
        into_cycle = (now.utc - self._offset_ns) % self._cycle_ns
        index = bisect_right(self._changes_ns, into_cycle)
        if index < len(self._changes_ns):
            remaining = self._changes_ns[index] - into_cycle
        else:
            remaining = self._changes_ns[0] + self._cycle_ns - into_cycle
        return MonotonicNs(now.monotonic + remaining)

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:  # noqa: ARG002 - the answer is always the same
        """Say that a fixed-time plan serves no priority."""
        return not_served("the junction runs a fixed-time plan, which gives nobody priority")

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:  # noqa: ARG002 - no request is ever kept
        """None: a request was answered for good when it was made."""
        return None

    def take_notices(self) -> tuple[Notice, ...]:
        """Nothing: a plan has no news."""
        return ()

    def evidence(self) -> Mapping[str, bytes]:
        """Nothing: a plan hears nothing."""
        return {}

    def status(self, now: Instant) -> dict[str, object]:
        """Return the kind, and how far the cycle is."""
        into_cycle = None if now.utc is None else (now.utc - self._offset_ns) % self._cycle_ns
        return {
            "kind": "fixed_time",
            "cycle_s": self._cycle_ns / NS_PER_S,
            "into_cycle_s": None if into_cycle is None else round(into_cycle / NS_PER_S, 1),
        }

    def _intervals(
        self, table: tuple[tuple[int, MovementPhaseState], ...], cycle_begin: int, into_cycle: int
    ) -> tuple[PhaseInterval, ...]:
        begins = [begin for begin, _ in table]
        running = bisect_right(begins, into_cycle) - 1
        intervals = []
        for index in range(running, running + min(len(table), MAX_PREDICTED_INTERVALS)):
            turn, place = divmod(index, len(table))
            next_turn, next_place = divmod(index + 1, len(table))
            end = UtcNs(cycle_begin + next_turn * self._cycle_ns + begins[next_place])
            intervals.append(
                PhaseInterval(
                    phase=table[place][1],
                    start=UtcNs(cycle_begin + turn * self._cycle_ns + begins[place]),
                    min_end=end,
                    max_end=end,
                    likely_end=end,
                    confidence=CERTAIN,
                )
            )
        return tuple(intervals)


def _ticks(plan: FixedTimePlan, key: str, value_s: float) -> int:
    """Return tenths of a second, refusing what a `TimeMark` could not name exactly."""
    if not -MAX_CYCLE_S <= value_s <= MAX_CYCLE_S:
        raise ConfigError(f"{plan.origin}: {key}", f"{value_s} s is out of range")
    ticks = round(value_s * 10)
    if abs(value_s * 10 - ticks) > 1e-6:
        raise ConfigError(f"{plan.origin}: {key}", f"{value_s} s is not a multiple of 0.1 s")
    return ticks


def _phase_table(plan: FixedTimePlan, group: PlannedGroup) -> tuple[tuple[int, MovementPhaseState], ...]:
    """Return (begin in ns into the cycle, phase) of every phase of one group, in order."""
    key = f"group {group.title}"
    cycle = _ticks(plan, "cycle_s", plan.cycle_s)
    amber = _ticks(plan, f"{key}: amber_s", group.amber_s)
    red_amber = _ticks(plan, f"{key}: red_amber_s", group.red_amber_s)
    if amber < 0 or red_amber < 0:
        raise ConfigError(f"{plan.origin}: {key}", "a phase cannot last less than nothing")
    if not group.greens_s:
        raise ConfigError(f"{plan.origin}: {key}: green_s", "the group is never green")
    spans = sorted(_green_ticks(plan, group))
    wrapped = [*spans, (spans[0][0] + cycle, 0)]
    for (begin, end), (next_begin, _) in pairwise(wrapped):
        busy = (end - begin) % cycle + amber + red_amber
        if busy >= next_begin - begin:
            raise ConfigError(
                f"{plan.origin}: {key}: green_s",
                f"the green that begins at {begin / 10} s leaves no red before the next: "
                f"green, amber and red-amber take {busy / 10} s of {(next_begin - begin) / 10} s",
            )
    table: dict[int, MovementPhaseState] = {}
    for begin, end in spans:
        table[begin] = group.movement.green
        if amber:
            table[end % cycle] = group.movement.amber
        table[(end + amber) % cycle] = MovementPhaseState.STOP_AND_REMAIN
        if red_amber:
            table[(begin - red_amber) % cycle] = MovementPhaseState.PRE_MOVEMENT
    return tuple((begin * TENTH_NS, table[begin]) for begin in sorted(table))


def _rule(plan: FixedTimePlan, group: PlannedGroup) -> GroupRule:
    cycle = _ticks(plan, "cycle_s", plan.cycle_s)
    return GroupRule(
        min_green_ns=min((end - begin) % cycle for begin, end in _green_ticks(plan, group)) * TENTH_NS,
        min_amber_ns=_ticks(plan, "amber_s", group.amber_s) * TENTH_NS,
    )


def _green_ticks(plan: FixedTimePlan, group: PlannedGroup) -> tuple[tuple[int, int], ...]:
    """Return (begin, end) of each green in tenths of a second, each within the cycle."""
    key = f"group {group.title}: green_s"
    cycle = _ticks(plan, "cycle_s", plan.cycle_s)
    spans = []
    for begin_s, end_s in group.greens_s:
        begin, end = _ticks(plan, key, begin_s), _ticks(plan, key, end_s)
        if not (0 <= begin < cycle and 0 <= end <= cycle) or begin == end % cycle:
            raise ConfigError(f"{plan.origin}: {key}", f"[{begin_s}, {end_s}] is not a part of the cycle of {plan.cycle_s} s")
        spans.append((begin, end))
    return tuple(spans)


def _check_conflict(plan: FixedTimePlan, conflict: Conflict) -> None:
    """Refuse a conflicting pair that is green together or whose intergreen is too short."""
    by_number = {g.number: g for g in plan.groups}
    for number in (conflict.first, conflict.second):
        if number not in by_number:
            raise ConfigError(f"{plan.origin}: conflict", f"signal group {number} is not in the plan")
    if conflict.first == conflict.second:
        raise ConfigError(f"{plan.origin}: conflict", f"signal group {conflict.first} cannot conflict with itself")
    first, second = by_number[conflict.first], by_number[conflict.second]
    key = f"{plan.origin}: conflict of groups {first.title} and {second.title}"
    required = _ticks(plan, f"conflict of groups {first.title} and {second.title}: intergreen_s", conflict.intergreen_s)
    cycle = _ticks(plan, "cycle_s", plan.cycle_s)
    for leaving, entering in ((first, second), (second, first)):
        if required < _ticks(plan, "amber_s", leaving.amber_s):
            raise ConfigError(
                f"{key}: intergreen_s",
                f"{conflict.intergreen_s} s is shorter than the amber of group {leaving.title} ({leaving.amber_s} s)",
            )
        for begin, end in _green_ticks(plan, leaving):
            length = (end - begin) % cycle
            for enter, _ in _green_ticks(plan, entering):
                if (enter - begin) % cycle < length:
                    raise ConfigError(key, f"both are green at {enter / 10} s of the cycle")
                gap = (enter - end) % cycle
                if gap < required:
                    raise ConfigError(
                        f"{key}: intergreen_s",
                        f"group {entering.title} turns green at {enter / 10} s, {gap / 10} s after the green of group "
                        f"{leaving.title} ends at {end / 10} s; {conflict.intergreen_s} s are required",
                    )
