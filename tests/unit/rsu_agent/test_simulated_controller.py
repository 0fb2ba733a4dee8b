import pytest

from rsu_agent.signal_controllers.priority import PriorityAnswer
from rsu_agent.signal_controllers.simulated import STALE_NS, SimulatedController
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import DecodeError, TransportError
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.ssem import PrioritizationStatus
from tests.unit.rsu_agent.test_reported_controller import REQUEST

NOON = utc_from_text("2026-11-22T12:00:00Z")
LINKS = {2: (3, 4), 1: (0, 1, 2)}


def shown(letters: str, *, is_static: bool = True) -> tuple[SimulatedController, Instant]:
    controller, now = SimulatedController(LINKS, is_static=is_static), ManualClock(NOON).now()
    controller.show(letters, now, next_switch=MonotonicNs(now.monotonic + 7 * NS_PER_S))
    return controller, now


@pytest.mark.parametrize(
    ("letters", "first", "second"),
    [
        ("GGGrr", MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED, MovementPhaseState.STOP_AND_REMAIN),
        ("GGguu", MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PRE_MOVEMENT),
        ("YYYss", MovementPhaseState.PROTECTED_CLEARANCE, MovementPhaseState.STOP_THEN_PROCEED),
        ("yyyoo", MovementPhaseState.PERMISSIVE_CLEARANCE, MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC),
        ("OOOrr", MovementPhaseState.DARK, MovementPhaseState.STOP_AND_REMAIN),
    ],
)
def test_letters_are_lamps_and_a_group_yields_where_one_of_its_links_does(
    letters: str, first: MovementPhaseState, second: MovementPhaseState
) -> None:
    controller, now = shown(letters)
    assert [state.phase for state in controller.state(now)] == [first, second]
    assert controller.signal_groups == {1, 2}


def test_a_static_programme_switches_for_certain_and_another_at_least_not_sooner() -> None:
    static, now = shown("GGGrr")
    running = static.state(now)[0].intervals[0]
    assert (running.min_end, running.likely_end, running.confidence) == (NOON + 7 * NS_PER_S, NOON + 7 * NS_PER_S, 15)
    assert static.mode.status == IntersectionStatus.FIXED_TIME_OPERATION
    actuated, now = shown("GGGrr", is_static=False)
    running = actuated.state(now)[0].intervals[0]
    assert (running.min_end, running.likely_end, running.confidence) == (NOON + 7 * NS_PER_S, None, None)
    assert actuated.mode.status == IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("GGrrr", "the links of signal group 1 show G and r at once"),
        ("GGG", "signal group 2 has a link beyond the 3 letters"),
        ("GGGxx", "'x' of signal group 2 is no light"),
    ],
)
def test_lights_that_contradict_the_setup_are_no_state(letters: str, words: str) -> None:
    controller, now = shown(letters)
    with pytest.raises(DecodeError, match=words):
        controller.state(now)
    assert controller.next_change(now) != now.monotonic
    controller.show("GGGrr", now)
    assert len(controller.state(now)) == 2


def test_a_simulator_that_stands_still_is_stale_and_a_change_is_news() -> None:
    clock, controller = ManualClock(NOON), SimulatedController(LINKS, name="J7")
    with pytest.raises(TransportError, match="J7: nothing was heard yet"):
        controller.state(clock.now())
    controller.show("GGGrr", clock.now())
    assert controller.next_change(clock.now()) == clock.now().monotonic
    controller.state(clock.now())
    due = controller.next_change(clock.now())
    assert due == STALE_NS + 1
    clock.advance_to(due)
    with pytest.raises(TransportError, match=r"nothing was heard for 2\.0 s"):
        controller.state(clock.now())


def test_the_simulator_takes_requests_and_answers_them() -> None:
    controller, now = shown("GGGrr")
    assert controller.ask_priority(REQUEST, now).status is PrioritizationStatus.REQUESTED
    assert controller.take_requests() == (REQUEST,)
    assert controller.take_requests() == ()
    granted = PriorityAnswer(status=PrioritizationStatus.GRANTED, reason="the stage is inserted")
    controller.answer(REQUEST.key, granted)
    assert controller.priority(REQUEST.key) == granted
