from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rsu_agent.junctions
from rsu_agent.signal_controllers import PERMITTING_PHASES, Movement, conflicting_permissions
from rsu_agent.signal_controllers.fixed_time import (
    Conflict,
    FixedTimeController,
    FixedTimePlan,
    PlannedGroup,
    load_plan,
)
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, UntrustedTimeError
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.ssem import PrioritizationStatus
from tests.unit.rsu_agent.test_reported_controller import REQUEST

RED = MovementPhaseState.STOP_AND_REMAIN
RED_AMBER = MovementPhaseState.PRE_MOVEMENT
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
AMBER = MovementPhaseState.PROTECTED_CLEARANCE

EXAMPLE = Path(rsu_agent.junctions.__file__).parent / "crossing.plan.toml"
CYCLE_BEGIN = utc_from_text("2026-11-22T12:00:00Z")


def at(into_cycle_s: float) -> Instant:
    return Instant(MonotonicNs(7), UtcNs(CYCLE_BEGIN + round(into_cycle_s * NS_PER_S)))


def group(number: int, *greens_s: tuple[float, float], amber_s: float = 3.0, red_amber_s: float = 1.0) -> PlannedGroup:
    return PlannedGroup(number=number, greens_s=greens_s, amber_s=amber_s, red_amber_s=red_amber_s)


def plan(
    *groups: PlannedGroup, conflicts: tuple[Conflict, ...] = (), cycle_s: float = 60.0, offset_s: float = 0.0
) -> FixedTimePlan:
    return FixedTimePlan(origin="test.toml", name="test", cycle_s=cycle_s, offset_s=offset_s, groups=groups, conflicts=conflicts)


NORTH_SOUTH = group(1, (0.0, 25.0))
EAST_WEST = group(2, (30.0, 55.0))
CROSSING = plan(NORTH_SOUTH, EAST_WEST, conflicts=(Conflict(first=1, second=2, intergreen_s=5.0),))


@pytest.mark.parametrize(
    ("into_cycle_s", "north_south", "east_west"),
    [
        (0.0, GREEN, RED),
        (24.999, GREEN, RED),
        (25.0, AMBER, RED),
        (27.9, AMBER, RED),
        (28.0, RED, RED),
        (29.0, RED, RED_AMBER),
        (30.0, RED, GREEN),
        (54.9, RED, GREEN),
        (55.0, RED, AMBER),
        (58.0, RED, RED),
        (59.0, RED_AMBER, RED),
        (59.999, RED_AMBER, RED),
        (60.0, GREEN, RED),
    ],
)
def test_the_example_plan_shows_what_its_file_says(
    into_cycle_s: float, north_south: MovementPhaseState, east_west: MovementPhaseState
) -> None:
    first, second = FixedTimeController(load_plan(EXAMPLE)).state(at(into_cycle_s))
    assert (first.signal_group, first.phase) == (1, north_south)
    assert (second.signal_group, second.phase) == (2, east_west)


def test_each_phase_says_when_it_began_and_when_it_ends_and_the_whole_cycle_follows() -> None:
    state = FixedTimeController(CROSSING).state(at(26.0))[0]
    seen = [(i.phase, *(((each or 0) - CYCLE_BEGIN) / NS_PER_S for each in (i.start, i.min_end))) for i in state.intervals]
    assert seen == [(AMBER, 25, 28), (RED, 28, 59), (RED_AMBER, 59, 60), (GREEN, 60, 85)]
    assert all(i.min_end == i.max_end == i.likely_end for i in state.intervals)


def test_a_green_may_pass_the_end_of_the_cycle() -> None:
    state = FixedTimeController(plan(group(1, (50.0, 10.0)))).state(at(5.0))[0]
    assert state.phase is GREEN
    assert state.intervals[0].start == at(-10.0).utc
    assert state.intervals[0].min_end == at(10.0).utc


def test_two_greens_in_one_cycle_are_both_shown() -> None:
    controller = FixedTimeController(plan(group(1, (0.0, 10.0), (30.0, 40.0))))
    assert [controller.state(at(s))[0].phase for s in (5, 20, 35, 50)] == [GREEN, RED, GREEN, RED]


def test_a_pedestrian_group_has_neither_amber_nor_red_amber() -> None:
    controller = FixedTimeController(plan(group(9, (5.0, 15.0), amber_s=0.0, red_amber_s=0.0)))
    assert [controller.state(at(s))[0].phase for s in (4.9, 5, 14.9, 15)] == [RED, GREEN, GREEN, RED]


def test_a_permissive_group_shows_permissive_phases() -> None:
    controller = FixedTimeController(plan(replace(NORTH_SOUTH, movement=Movement.PERMISSIVE)))
    assert controller.state(at(1))[0].phase is MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
    assert controller.state(at(26))[0].phase is MovementPhaseState.PERMISSIVE_CLEARANCE


def test_the_offset_delays_the_cycle() -> None:
    controller = FixedTimeController(plan(NORTH_SOUTH, offset_s=10.0))
    assert controller.state(at(9.9))[0].phase is RED_AMBER
    assert controller.state(at(10.0))[0].phase is GREEN


def test_two_units_with_right_clocks_show_the_same_lights_however_long_they_have_been_up() -> None:
    controller = FixedTimeController(CROSSING)
    freshly_started = Instant(MonotonicNs(0), at(42.0).utc)
    long_up = Instant(MonotonicNs(10**18), at(42.0).utc)
    assert controller.state(freshly_started) == FixedTimeController(CROSSING).state(long_up)


def test_the_next_change_is_the_next_lamp_of_any_group() -> None:
    controller = FixedTimeController(CROSSING)
    for into_cycle_s, next_s in ((0.0, 25), (25.0, 28), (28.5, 29), (59.5, 60)):
        now = at(into_cycle_s)
        assert controller.next_change(now) == now.monotonic + round((next_s - into_cycle_s) * NS_PER_S)


def test_without_utc_there_is_no_state_and_no_next_change() -> None:
    controller = FixedTimeController(CROSSING)
    with pytest.raises(UntrustedTimeError):
        controller.state(Instant(MonotonicNs(0), None))
    assert controller.next_change(Instant(MonotonicNs(0), None)) is None


def test_conflicting_groups_that_are_green_together_are_refused_by_name() -> None:
    named = replace(NORTH_SOUTH, name="north-south")
    with pytest.raises(ConfigError, match=r"groups 1 \(north-south\) and 2: both are green at 20\.0 s"):
        plan(named, group(2, (20.0, 50.0)), conflicts=(Conflict(first=1, second=2, intergreen_s=5.0),))


def test_conflicting_groups_of_which_one_is_green_across_the_cycles_end_are_refused() -> None:
    with pytest.raises(ConfigError, match="both are green"):
        plan(group(1, (0.0, 20.0)), group(2, (40.0, 5.0)), conflicts=(Conflict(first=1, second=2, intergreen_s=5.0),))


def test_an_intergreen_that_is_too_short_is_refused_with_its_length() -> None:
    with pytest.raises(ConfigError, match=r"group 1 turns green at 0\.0 s, 4\.0 s after the green of group 2 ends at 56\.0 s"):
        plan(NORTH_SOUTH, group(2, (30.0, 56.0)), conflicts=(Conflict(first=1, second=2, intergreen_s=5.0),))


def test_an_intergreen_shorter_than_an_amber_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than the amber of group 1"):
        plan(NORTH_SOUTH, EAST_WEST, conflicts=(Conflict(first=1, second=2, intergreen_s=2.0),))


@pytest.mark.parametrize(
    ("groups", "cycle_s", "sentence"),
    [
        ((group(1, (0.0, 25.05)),), 60.0, "not a multiple of 0.1 s"),
        ((group(1, (0.0, 25.0)), group(1, (30.0, 40.0))), 60.0, "signal group 1 is planned twice"),
        ((group(255, (0.0, 25.0)),), 60.0, "signal group 255 is not within"),
        ((group(1),), 60.0, "never green"),
        ((group(1, (0.0, 70.0)),), 60.0, "not a part of the cycle"),
        ((group(1, (5.0, 5.0)),), 60.0, "not a part of the cycle"),
        ((group(1, (0.0, 57.0)),), 60.0, "leaves no red"),
        ((group(1, (0.0, 20.0), (22.0, 30.0)),), 60.0, "leaves no red"),
        ((group(1, (0.0, 25.0), amber_s=-1.0),), 60.0, "less than nothing"),
        ((group(1, (0.0, float("nan"))),), 60.0, "out of range"),
        ((NORTH_SOUTH,), 5.0, "is not within 10.0 to 600.0 s"),
        ((NORTH_SOUTH,), float("nan"), "is not within 10.0 to 600.0 s"),
        ((), 60.0, "at least one signal group"),
    ],
)
def test_an_impossible_plan_is_refused_with_a_sentence(groups: tuple[PlannedGroup, ...], cycle_s: float, sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"test\.toml") as refusal:
        plan(*groups, cycle_s=cycle_s)
    assert sentence in refusal.value.reason


@pytest.mark.parametrize(("first", "second", "sentence"), [(1, 3, "3 is not in the plan"), (1, 1, "conflict with itself")])
def test_a_conflict_that_names_no_pair_of_planned_groups_is_refused(first: int, second: int, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(NORTH_SOUTH, EAST_WEST, conflicts=(Conflict(first=first, second=second, intergreen_s=5.0),))


def test_a_plan_file_with_an_unknown_key_is_refused_by_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(EXAMPLE.read_text().replace("amber_s", "amber", 1))
    with pytest.raises(ConfigError, match=r"plan\.toml"):
        load_plan(file)


def test_a_plan_file_that_calls_a_group_what_no_message_can_say_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(EXAMPLE.read_text().replace('"north-south"', '"Nord-S\u00fcd"', 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="regex"):
        load_plan(file)


def test_a_plan_file_that_names_a_conflict_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(EXAMPLE.read_text() + "\n[[conflict]]\ngroups = [2, 1]\nintergreen_s = 4.0\n")
    with pytest.raises(ConfigError, match="named twice"):
        load_plan(file)


@given(st.integers(min_value=0, max_value=599), st.integers(min_value=1, max_value=598), st.integers(min_value=0, max_value=599))
def test_a_plan_that_is_accepted_never_permits_a_conflict_at_any_tenth_of_its_cycle(begin: int, length: int, other: int) -> None:
    try:
        accepted = plan(
            group(1, (begin / 10, (begin + length) % 600 / 10)),
            group(2, (other / 10, (other + 100) % 600 / 10)),
            conflicts=(Conflict(first=1, second=2, intergreen_s=3.0),),
        )
    except ConfigError:
        return
    controller = FixedTimeController(accepted)
    for tenth in range(0, 600, 5):
        assert not conflicting_permissions(controller.state(at(tenth / 10)), accepted.conflicting_pairs)


@given(st.floats(min_value=0, max_value=1e5))
def test_intervals_are_contiguous_and_the_present_lies_in_the_first(seconds: float) -> None:
    now = at(seconds)
    assert now.utc is not None
    for state in FixedTimeController(CROSSING).state(now):
        begin, end = state.intervals[0].start, state.intervals[0].min_end
        assert begin is not None
        assert end is not None
        assert begin <= now.utc < end
        assert sum(i.phase in PERMITTING_PHASES for i in state.intervals) == 1
        for before, after in zip(state.intervals, state.intervals[1:], strict=False):
            assert before.min_end == after.start


def test_a_plan_promises_its_ambers_its_shortest_greens_and_its_intergreens() -> None:
    rules = plan(
        group(1, (0.0, 20.0), (64.0, 72.0)), EAST_WEST, conflicts=(Conflict(first=1, second=2, intergreen_s=3.0),), cycle_s=90.0
    ).guard_rules
    assert (rules.groups[1].min_green_ns, rules.groups[1].min_amber_ns) == (8 * NS_PER_S, 3 * NS_PER_S)
    assert rules.groups[2].min_green_ns == 25 * NS_PER_S
    assert rules.intergreen_ns == {frozenset({1, 2}): 3 * NS_PER_S}
    assert rules.conflicts == {frozenset({1, 2})}


def test_a_plan_gives_nobody_priority_hears_nothing_and_says_so() -> None:
    controller = FixedTimeController(CROSSING)
    answer = controller.ask_priority(REQUEST, at(1.0))
    assert (answer.status, controller.priority(REQUEST.key)) == (PrioritizationStatus.REJECTED, None)
    assert "fixed-time plan" in answer.reason
    assert (controller.take_notices(), controller.evidence()) == ((), {})
    assert controller.mode.status == IntersectionStatus.FIXED_TIME_OPERATION
