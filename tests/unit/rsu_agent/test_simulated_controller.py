from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers import GuardRules
from rsu_agent.signal_controllers.fixed_time import FixedTimeController
from rsu_agent.signal_controllers.priority import PriorityAnswer
from rsu_agent.signal_controllers.simulated import STALE_NS, SimulatedController
from rsu_agent.signal_service import SignalService
from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, TransportError
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState, Spatem, encode_spatem
from shared.messages.ssem import PrioritizationStatus
from simulator.roads import RoadNetwork
from simulator.scenario import junction_map, signal_plan
from simulator.scenarios.crossing import Aspect, aspect_at
from tests.helpers.data import data_file
from tests.unit.rsu_agent.test_reported_controller import REQUEST

NOON = utc_from_text("2026-11-22T12:00:00Z")
CROSSING = load_map(Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml", frozenset({1, 2}))
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


def test_the_lights_that_simulated_cars_obey_are_told_as_the_plan_they_run_tells_them() -> None:
    plan = signal_plan()
    roads, groups = junction_map(RoadNetwork()), sorted(plan.signal_groups)
    clock = ManualClock(UtcNs(NOON - NOON % round(plan.cycle_s * NS_PER_S)))
    begin = clock.now().monotonic
    lamps = SimulatedController({group: (position,) for position, group in enumerate(groups)})
    seen, planned = (
        SignalService(controller=controller, rules=plan.guard_rules, junction=roads, station_id=StationId(1))
        for controller in (lamps, FixedTimeController(plan))
    )

    def told(service: SignalService) -> list[list[MovementPhaseState]]:
        spatems = [item for item in service.poll(clock.now()) if isinstance(item, Spatem)]
        return [[movement.events[0].phase for movement in each.intersections[0].movements] for each in spatems]

    letters = {Aspect.RED: "r", Aspect.RED_AMBER: "u", Aspect.GREEN: "G", Aspect.AMBER: "Y"}
    said = []
    for _ in range(round(2 * plan.cycle_s * 10)):
        elapsed_s = round((clock.now().monotonic - begin) / NS_PER_S, 1)
        lamps.show("".join(letters[aspect_at(group, elapsed_s)] for group in groups), clock.now())
        said += told(seen)
        assert said[-1:] == told(planned)
        clock.advance(NS_PER_S // 10)
    assert (len(said), seen.distrust) == (round(2 * plan.cycle_s * 10), None)
    assert len({tuple(phases) for phases in said}) > 8, "greens, ambers, and reds between them, of four stages"


@dataclass(frozen=True, slots=True)
class Programme:
    """A signal programme of the Bologna scenario: letters and seconds of each phase."""

    name: str
    phases: tuple[tuple[str, int], ...]

    @property
    def links(self) -> dict[int, tuple[int, ...]]:
        """One signal group for all links that always show the same letters."""
        columns: dict[tuple[str, ...], list[int]] = {}
        for position in range(len(self.phases[0][0])):
            columns.setdefault(tuple(letters[position] for letters, _ in self.phases), []).append(position)
        return {number: tuple(positions) for number, positions in enumerate(columns.values(), 1)}

    def shows(self, positions: tuple[int, ...], wanted: str) -> set[int]:
        """Return the phases in which a group shows one of some letters."""
        return {index for index, (letters, _) in enumerate(self.phases) if letters[positions[0]] in wanted}

    def meet(self, first: tuple[int, ...], second: tuple[int, ...]) -> bool:
        """Say whether one group is ever green while the other is green or clears."""
        return any(self.shows(one, "Gg") & self.shows(other, "GgYy") for one, other in ((first, second), (second, first)))


def bologna() -> list[Programme]:
    root = ET.parse(data_file("traffic/bologna_acosta/acosta_tls.add.xml")).getroot()
    return [
        Programme(
            name=str(logic.get("id")),
            phases=tuple((str(phase.get("state")), round(float(str(phase.get("duration"))))) for phase in logic.iter("phase")),
        )
        for logic in root.iter("tlLogic")
    ]


def service_of(programme: Programme, controller: SimulatedController) -> SignalService:
    """Return a junction in which groups conflict that the programme never lets go together."""
    links = programme.links
    pairs = [
        frozenset({first, second}) for first, second in combinations(links, 2) if not programme.meet(links[first], links[second])
    ]
    return SignalService(
        controller=controller,
        rules=GuardRules(groups={}, intergreen_ns=dict.fromkeys(pairs, 0)),
        junction=replace(CROSSING, signal_groups=controller.signal_groups),
        station_id=StationId(1),
    )


@pytest.mark.parametrize("programme", bologna(), ids=lambda programme: programme.name)
def test_the_lights_of_a_real_town_are_told_as_sumo_shows_them_and_a_wrong_one_is_not(programme: Programme) -> None:
    clock, controller = ManualClock(NOON), SimulatedController(programme.links, name=programme.name)
    service = service_of(programme, controller)
    shown: list[list[MovementPhaseState]] = []

    def step(letters: str) -> list[MovementPhaseState]:
        controller.show(letters, clock.now(), next_switch=MonotonicNs(clock.now().monotonic + NS_PER_S))
        spatems = [item for item in service.poll(clock.now()) if isinstance(item, Spatem)]
        clock.advance(NS_PER_S)
        encode_spatem(spatems[-1])
        return [movement.events[0].phase for movement in spatems[-1].intersections[0].movements]

    for letters, seconds in programme.phases:
        shown += [step(letters) for _ in range(seconds)]
    assert len(shown) == sum(seconds for _, seconds in programme.phases)
    assert all(MovementPhaseState.UNAVAILABLE not in phases for phases in shown)
    assert service.distrust is None
    assert set(step("G" * len(programme.phases[0][0]))) == {MovementPhaseState.UNAVAILABLE}
    assert "are permitted together" in str(service.distrust)
