import pytest

from rsu_agent.signal_controllers import PhaseInterval, SignalGroupState
from rsu_agent.signal_prediction import MAX_DURATIONS, MIN_DURATIONS, PhaseHistory
from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.itstime import utc_from_text
from shared.messages.spatem import MovementPhaseState

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED


class Lights:
    """One signal group that is looked at once a second."""

    def __init__(self) -> None:
        self.clock = ManualClock(utc_from_text("2026-11-22T12:00:00Z"))
        self.history = PhaseHistory()
        self.min_end_s: float | None = 0.0
        self.max_end_s: float | None = None
        self.likely_end_s: float | None = None

    def show(self, phase: MovementPhaseState, seconds: int) -> list[tuple[float, int] | None]:
        """Show a phase for so long; return, for each look, how many seconds are told to remain, and the confidence."""
        told: list[tuple[float, int] | None] = []
        for _ in range(seconds):
            now = self.clock.now()
            utc = now.require_utc()
            ends = [
                None if each is None else UtcNs(utc + round(each * NS_PER_S))
                for each in (self.min_end_s, self.max_end_s, self.likely_end_s)
            ]
            shown = PhaseInterval(phase=phase, start=None, min_end=ends[0], max_end=ends[1], likely_end=ends[2])
            (state,) = self.history.predict((SignalGroupState(signal_group=1, name=None, intervals=(shown,)),), now)
            running = state.intervals[0]
            told.append(
                None
                if running.likely_end is None or running.confidence is None
                else ((running.likely_end - utc) / NS_PER_S, running.confidence)
            )
            self.clock.advance(NS_PER_S)
        return told


def learnt(*greens_s: int) -> Lights:
    """Return lights that were seen to be green for so long each time, and are about to be green again."""
    lights = Lights()
    lights.show(RED, 10)
    for green_s in greens_s:
        lights.show(GREEN, green_s)
        lights.show(RED, 10)
    return lights


def test_a_green_that_always_lasts_twelve_seconds_is_foretold_for_certain() -> None:
    told = learnt(*[12] * MIN_DURATIONS).show(GREEN, 12)
    assert told == [(12.0 - second, 15) for second in range(12)]


def test_with_fewer_than_five_examples_nothing_is_said() -> None:
    assert set(learnt(*[12] * (MIN_DURATIONS - 1)).show(GREEN, 12)) == {None}


def test_the_first_phase_seen_teaches_nothing_because_its_begin_was_not_seen() -> None:
    lights = Lights()
    lights.show(GREEN, 3)
    for _ in range(MIN_DURATIONS - 1):
        lights.show(RED, 10)
        lights.show(GREEN, 12)
    lights.show(RED, 10)
    assert set(lights.show(GREEN, 12)) == {None}


def test_only_greens_that_lasted_longer_than_this_one_count() -> None:
    told = learnt(*[8] * 6, *[20] * 6).show(GREEN, 15)
    assert told[3] is None, "as many were short as were long: there is no likely end between them"
    assert told[9] == (11.0, 15), "after nine seconds it can only be one of the long ones"


def test_the_share_that_ended_near_the_likely_end_is_the_confidence() -> None:
    told = learnt(10, 10, 10, 10, 10, 30, 30, 30).show(GREEN, 1)
    assert told == [(10.0, 4)], "five of eight are 62 %"


def test_durations_that_scatter_are_no_prediction() -> None:
    assert learnt(10, 20, 30, 40, 50, 60, 70).show(GREEN, 1) == [None]


@pytest.mark.parametrize(("min_end_s", "max_end_s", "remaining_s"), [(15.0, None, 15.0), (0.0, 7.0, 7.0), (0.0, 30.0, 12.0)])
def test_a_likely_end_stays_within_what_the_controller_announced(
    min_end_s: float, max_end_s: float | None, remaining_s: float
) -> None:
    lights = learnt(*[12] * 6)
    lights.min_end_s, lights.max_end_s = min_end_s, max_end_s
    assert lights.show(GREEN, 1) == [(remaining_s, 15)]


def test_what_the_controller_foretells_itself_is_left_as_it_is_and_so_is_one_that_says_nothing() -> None:
    lights = learnt(*[12] * 6)
    lights.likely_end_s = 3.0
    assert lights.show(GREEN, 1) == [None], "its likely end has no confidence, and none is made up"
    lights.min_end_s = lights.likely_end_s = None
    assert lights.show(GREEN, 1) == [None]


def test_after_states_were_missed_the_running_phase_is_not_foretold_but_the_next_is() -> None:
    lights = learnt(*[12] * 6)
    lights.show(GREEN, 4)
    lights.history.lose_sight()
    assert set(lights.show(GREEN, 4)) == {None}
    lights.show(RED, 10)
    assert lights.show(GREEN, 1) == [(12.0, 15)]


def test_what_is_long_past_is_forgotten() -> None:
    lights = learnt(*[12] * MAX_DURATIONS, *[25] * MAX_DURATIONS)
    assert lights.show(GREEN, 1) == [(25.0, 15)]
