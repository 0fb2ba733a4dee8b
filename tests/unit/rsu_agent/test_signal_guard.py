from dataclasses import replace
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers import ControllerMode, GroupRule, GuardRules, PhaseInterval, SignalGroupState
from rsu_agent.signal_guard import Distrust, SignalGuard
from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState

PLAIN = load_map(Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml", frozenset({1, 2}))
MAP = replace(PLAIN, lanes=tuple(replace(lane, revocable=lane.number == 22) for lane in PLAIN.lanes))
RULE = GroupRule(min_green_ns=5 * NS_PER_S, min_amber_ns=3 * NS_PER_S)
RULES = GuardRules(groups={1: RULE, 2: RULE}, intergreen_ns={frozenset({1, 2}): 4 * NS_PER_S})
NORMAL = ControllerMode(status=IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION)
LETTERS = {
    "r": MovementPhaseState.STOP_AND_REMAIN,
    "u": MovementPhaseState.PRE_MOVEMENT,
    "g": MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED,
    "p": MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED,
    "y": MovementPhaseState.PROTECTED_CLEARANCE,
    "o": MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC,
    "O": MovementPhaseState.DARK,
}


class Watched:
    """A guard that looks at two groups ten times a second."""

    def __init__(self) -> None:
        self.guard = SignalGuard(RULES, MAP)
        self.clock = ManualClock(utc_from_text("2026-11-22T12:00:00Z"))
        self.min_end: float | None = None

    def see(self, letters: str, seconds: float, mode: ControllerMode = NORMAL) -> list[Distrust]:
        """Show one letter for each group for so long; return every doubt."""
        doubts = []
        for _ in range(round(seconds * 10)):
            now = self.clock.now()
            min_end = None if self.min_end is None else UtcNs(now.require_utc() + round(self.min_end * NS_PER_S))
            states = tuple(
                SignalGroupState(
                    signal_group=number,
                    name=None,
                    intervals=(PhaseInterval(phase=LETTERS[letter], start=None, min_end=min_end, max_end=None, likely_end=None),),
                )
                for number, letter in enumerate(letters, 1)
            )
            judged = self.guard.judge(states, mode, now)
            doubts += [judged] if isinstance(judged, Distrust) else []
            self.clock.advance(NS_PER_S // 10)
        return doubts


def whole_cycle(watched: Watched) -> list[Distrust]:
    return [
        doubt
        for letters, seconds in (("gr", 5), ("yr", 3), ("rr", 1), ("ru", 1), ("rg", 5), ("ry", 3), ("rr", 1), ("ur", 1))
        for doubt in watched.see(letters, seconds)
    ]


def test_a_cycle_that_keeps_every_promise_to_the_tenth_is_believed() -> None:
    watched = Watched()
    assert whole_cycle(watched) + whole_cycle(watched) == []
    assert watched.guard.doubts == {}


@pytest.mark.parametrize(
    ("before", "after", "doubt", "words"),
    [
        ([("gr", 4.0), ("yr", 3)], None, "short_green", "the green of signal group 1 lasted at most 4.2 s, 5 s are promised"),
        ([("gr", 6), ("yr", 2.5)], ("rr", 1), "short_amber", "the amber of signal group 1 lasted at most 2.7 s, 3 s are promised"),
        ([("gr", 6)], ("rr", 1), "short_amber", "turned from green to red without its amber of 3 s"),
        ([("gr", 6)], ("ur", 1), "short_amber", "turned from green to red without its amber of 3 s"),
        ([("gr", 6), ("yr", 2.5)], ("ur", 1), "short_amber", "the amber of signal group 1 lasted at most 2.7 s, 3 s are promised"),
        ([("gr", 6), ("yr", 1)], ("gr", 1), "short_amber", "the amber of signal group 1 lasted at most 1.2 s, 3 s are promised"),
        (
            [("gr", 6), ("yr", 3)],
            ("rg", 1),
            "intergreen",
            "signal group 2 turned green 3.1 s after signal group 1, 4 s are required",
        ),
        ([("gr", 6)], ("gg", 1), "conflict", "conflicting signal groups 1 and 2 are permitted together"),
    ],
)
def test_a_state_that_breaks_a_promise_is_doubted_when_it_comes(
    before: list[tuple[str, float]], after: tuple[str, float] | None, doubt: str, words: str
) -> None:
    watched = Watched()
    watched.see("rr", 5)
    found = [each for letters, seconds in [*before, *([after] if after else [])] for each in watched.see(letters, seconds)]
    assert found[0].doubt.value == doubt
    assert words in found[0].sentence
    assert watched.guard.doubts[doubt] >= 1


def test_a_green_whose_begin_nobody_saw_is_not_called_short() -> None:
    watched = Watched()
    assert watched.see("gr", 1) + watched.see("yr", 3) == []


def test_what_may_have_passed_unseen_is_not_held_against_the_controller() -> None:
    watched = Watched()
    watched.see("rr", 5)
    watched.see("gr", 6)
    watched.clock.advance(5 * NS_PER_S)
    assert watched.see("rg", 1) == [], "amber and intergreen fit into the time between two looks"


def test_a_controller_that_was_out_of_sight_is_judged_from_what_it_shows_when_it_is_back() -> None:
    watched = Watched()
    watched.see("rr", 5)
    watched.see("gr", 6)
    watched.guard.forget()
    assert watched.see("rg", 1) == []


def test_a_green_that_becomes_protected_on_its_way_is_one_green() -> None:
    watched = Watched()
    watched.see("rr", 5)
    assert watched.see("pr", 3) + watched.see("gr", 3) + watched.see("yr", 3) == []


def test_flashing_and_dark_lamps_may_come_at_any_moment() -> None:
    watched = Watched()
    watched.see("rr", 5)
    assert watched.see("gr", 1) + watched.see("oo", 2) + watched.see("OO", 2) == []


def test_another_revision_of_the_map_and_a_lane_that_is_not_there_are_doubted() -> None:
    watched = Watched()
    other = ControllerMode(status=NORMAL.status, map_revision=MAP.revision + 1)
    (doubt,) = watched.see("rr", 0.1, other)
    assert doubt.sentence == "the controller was set up for revision 1 of the map, and this is revision 0"
    (doubt,) = watched.see("rr", 0.1, ControllerMode(status=NORMAL.status, enabled_lanes=(22, 99)))
    assert doubt.sentence == "the controller opens lane 99, which the map does not have"
    (doubt,) = watched.see("rr", 0.1, ControllerMode(status=NORMAL.status, enabled_lanes=(11,)))
    assert doubt.sentence == "the controller opens lane 11, which is never closed by the map"
    assert watched.see("rr", 0.1, ControllerMode(status=NORMAL.status, enabled_lanes=(22,), map_revision=MAP.revision)) == []
    assert watched.guard.doubts == {"map_revision": 1, "enabled_lane": 2}


def test_a_phase_that_ends_before_its_earliest_end_is_counted_unless_the_controller_says_that_times_jumped() -> None:
    watched = Watched()
    watched.see("rr", 5)
    watched.min_end = 4.0
    watched.see("gr", 6)
    watched.see("yr", 0.1)
    assert watched.guard.early_ends == 1
    watched.see("yr", 2.9)
    watched.see("rr", 0.1, ControllerMode(status=NORMAL.status, has_jumped=True))
    assert watched.guard.early_ends == 1


def test_a_unit_that_starts_in_the_middle_of_a_phase_accuses_nobody_of_what_it_did_not_see() -> None:
    watched = Watched()
    assert watched.see("yr", 1) + watched.see("rr", 1) + watched.see("rg", 5) + watched.see("ry", 3) == []


def test_another_programme_may_begin_at_any_moment_but_keeps_the_times_that_are_promised() -> None:
    hasty, patient = Watched(), Watched()
    for each in (hasty, patient):
        each.see("rr", 5)
        each.see("gr", 2)
    assert [doubt.doubt.value for doubt in hasty.see("yr", 3)] == ["short_green"]
    assert patient.see("gr", 3) + patient.see("yr", 3) + patient.see("rr", 1) + patient.see("rg", 5) == []
