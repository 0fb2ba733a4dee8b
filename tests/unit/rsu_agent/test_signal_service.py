from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers import ControllerMode, PhaseInterval, SignalGroupState
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from rsu_agent.signal_guard import unsound
from rsu_agent.signal_service import RECOVERY_NS, SignalItem, SignalService
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, TransportError
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text
from shared.messages.mapem import Mapem
from shared.messages.spatem import IntersectionStatus, MovementPhaseState, Spatem, decode_spatem, encode_spatem
from shared.stack.effects import Notice

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
PLAN = load_plan(JUNCTIONS / "crossing.plan.toml")
MAP = load_map(JUNCTIONS / "crossing.map.toml", PLAN.signal_groups)
CYCLE_BEGIN = utc_from_text("2026-11-22T12:00:00Z")

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
AMBER = MovementPhaseState.PERMISSIVE_CLEARANCE
UNAVAILABLE = MovementPhaseState.UNAVAILABLE


class Switchable(FixedTimeController):
    """A controller that runs the plan until told to show something else, or to fail."""

    def __init__(self) -> None:
        super().__init__(PLAN)
        self.shown: tuple[MovementPhaseState, ...] | None = None
        self.failing = False
        self.end: UtcNs | None = None
        self.heard: dict[str, bytes] = {}
        self.running = ControllerMode(status=IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION)

    @property
    def mode(self) -> ControllerMode:
        return self.running

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        if self.failing:
            raise TransportError("controller", "no datagram for 3 s")
        planned = super().state(now)
        if self.end is not None:
            return tuple(
                replace(s, intervals=(replace(s.intervals[0], min_end=self.end, max_end=None, likely_end=None),)) for s in planned
            )
        if self.shown is None:
            return planned
        return tuple(
            replace(state, intervals=(replace(state.intervals[0], phase=phase),))
            for state, phase in zip(planned, self.shown, strict=True)
        )

    def next_change(self, now: Instant) -> MonotonicNs | None:
        return None

    def evidence(self) -> dict[str, bytes]:
        return self.heard


def service(controller: FixedTimeController | Switchable | None = None, interval_ms: int = 100) -> SignalService:
    return SignalService(
        controller=controller or FixedTimeController(PLAN),
        rules=PLAN.guard_rules,
        junction=MAP,
        station_id=StationId(42),
        spatem_interval_ns=interval_ms * NS_PER_MS,
    )


def clock_at(into_cycle_s: float) -> ManualClock:
    return ManualClock(UtcNs(CYCLE_BEGIN + round(into_cycle_s * NS_PER_S)), MonotonicNs(5 * NS_PER_S))


def drive(signals: SignalService, clock: ManualClock, seconds: float) -> list[tuple[MonotonicNs, SignalItem]]:
    """Poll the service exactly when it asks to be polled."""
    end = clock.now().monotonic + round(seconds * NS_PER_S)
    heard: list[tuple[MonotonicNs, SignalItem]] = []
    while True:
        due = max(signals.next_due(), clock.now().monotonic)
        if due > end:
            clock.advance_to(MonotonicNs(end))
            return heard
        now = clock.advance_to(MonotonicNs(due))
        heard += [(now.monotonic, item) for item in signals.poll(now)]


def phases(spatem: Spatem) -> list[MovementPhaseState]:
    return [movement.events[0].phase for movement in spatem.intersections[0].movements]


def test_the_lights_are_told_ten_times_a_second_and_the_map_once() -> None:
    heard = drive(service(), clock_at(1.0), 9.95)
    assert sum(isinstance(item, Spatem) for _, item in heard) == 100
    assert sum(isinstance(item, Mapem) for _, item in heard) == 10


def test_at_one_hertz_a_change_is_still_told_when_it_happens() -> None:
    clock = clock_at(23.3)
    heard = [(at, phases(item)) for at, item in drive(service(interval_ms=1000), clock, 3.0) if isinstance(item, Spatem)]
    begin = 5 * NS_PER_S
    assert [((at - begin) / NS_PER_S, shown) for at, shown in heard] == [
        (0.0, [GREEN, RED]),
        (1.0, [GREEN, RED]),
        (1.7, [AMBER, RED]),
        (2.7, [AMBER, RED]),
    ]


def test_a_slow_shell_gets_the_present_and_not_a_backlog() -> None:
    signals, clock = service(), clock_at(1.0)
    signals.poll(clock.now())
    late = clock.advance(10 * NS_PER_S)
    assert len([item for item in signals.poll(late) if isinstance(item, Spatem)]) == 1
    assert signals.poll(late) == ()
    assert signals.next_due() > late.monotonic


def test_a_spatem_dates_itself_names_its_map_and_predicts_the_whole_cycle_exactly() -> None:
    (spatem,) = [item for item in service().poll(clock_at(26.0).now()) if isinstance(item, Spatem)]
    heard = decode_spatem(encode_spatem(spatem))
    (state,) = heard.intersections
    assert heard.station_id == 42
    assert (state.id, state.revision) == (MAP.intersection_id, MAP.revision)
    assert state.status == IntersectionStatus.FIXED_TIME_OPERATION
    assert (state.minute_of_year, state.timestamp_ms) == ((30 + 295) * 1_440 + 12 * 60, 26_000)
    events = state.movements[0].events
    assert [e.phase for e in events] == [AMBER, RED, MovementPhaseState.PRE_MOVEMENT, GREEN]
    assert [e.min_end_time_s for e in events] == [28.0, 59.0, 60.0, 85.0]
    assert events[0].start_time_s is None
    assert all(before.min_end_time_s == after.start_time_s for before, after in pairwise(events))
    assert all(e.min_end_time_s == e.max_end_time_s == e.likely_time_s for e in events)


def test_a_phase_that_ends_in_the_next_hour_has_a_time_mark_of_the_next_hour() -> None:
    clock = ManualClock(utc_from_text("2026-11-22T12:59:56Z"))
    (spatem,) = [item for item in service().poll(clock.now()) if isinstance(item, Spatem)]
    events = spatem.intersections[0].movements[0].events
    assert [e.min_end_time_s for e in events] == [3599.0, 0.0, 25.0, 28.0]


@pytest.mark.parametrize(("end_s", "mark_s"), [(3_599.94, 3_599.9), (3_599.96, 0.0), (3_600.04, 0.0)])
def test_an_end_between_two_tenths_has_the_nearest_mark_also_at_the_hour(end_s: float, mark_s: float) -> None:
    controller, clock = Switchable(), clock_at(3_590.0)
    controller.end = UtcNs(CYCLE_BEGIN + round(end_s * NS_PER_S))
    (spatem,) = [item for item in service(controller).poll(clock.now()) if isinstance(item, Spatem)]
    event = spatem.intersections[0].movements[0].events[0]
    assert (event.min_end_time_s, event.max_end_time_s, event.likely_time_s) == (mark_s, None, None)
    assert decode_spatem(encode_spatem(spatem)).intersections[0].movements[0].events[0].min_end_time_s == mark_s


def test_while_utc_is_not_known_nothing_is_sent_and_it_is_counted() -> None:
    signals, clock = service(), ManualClock(None)
    assert drive(signals, clock, 3.5) == []
    assert signals.counters.untrusted_time == 4
    assert signals.counters.spatem == signals.counters.mapem == 0


def test_once_utc_is_known_the_junction_speaks_within_a_second() -> None:
    signals, clock = service(), ManualClock(None)
    drive(signals, clock, 2.5)
    clock.set_utc(CYCLE_BEGIN)
    assert any(isinstance(item, Spatem) for _, item in drive(signals, clock, 1.0))


@pytest.mark.parametrize("shown", [(GREEN, GREEN), (GREEN, AMBER), (AMBER, GREEN)])
def test_conflicting_groups_that_may_move_together_are_never_broadcast(shown: tuple[MovementPhaseState, ...]) -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    drive(signals, clock, 0.5)
    controller.shown = shown
    heard = [item for _, item in drive(signals, clock, 1.0) if not isinstance(item, Mapem)]
    notices = [item for item in heard if isinstance(item, Notice)]
    spatems = [item for item in heard if isinstance(item, Spatem)]
    assert [notice.kind for notice in notices] == ["junction_unavailable"]
    assert notices[0].fields["reason"] == "conflicting signal groups 1 and 2 are permitted together"
    assert {tuple(phases(spatem)) for spatem in spatems} == {(UNAVAILABLE, UNAVAILABLE)}
    status = spatems[-1].intersections[0].status
    assert status == IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME
    assert signals.counters.distrusted == len(spatems)
    assert signals.phases == ()
    decode_spatem(encode_spatem(spatems[-1]))


def test_two_ambers_together_are_no_conflict() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    controller.shown = (AMBER, AMBER)
    (spatem,) = [item for item in service(controller).poll(clock.now()) if isinstance(item, Spatem)]
    assert phases(spatem) == [AMBER, AMBER]


def test_a_distrusted_controller_is_believed_again_after_it_was_sound_for_the_recovery_time() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    controller.shown = (GREEN, GREEN)
    drive(signals, clock, 0.5)
    controller.shown = None
    heard = drive(signals, clock, RECOVERY_NS / NS_PER_S - 0.2)
    assert all(phases(item) == [UNAVAILABLE, UNAVAILABLE] for _, item in heard if isinstance(item, Spatem))
    heard = drive(signals, clock, 0.5)
    assert [item.kind for _, item in heard if isinstance(item, Notice)] == ["junction_available"]
    assert phases([item for _, item in heard if isinstance(item, Spatem)][-1]) == [GREEN, RED]
    assert signals.distrust is None


def test_a_controller_that_flickers_between_sound_and_unsound_stays_unavailable_and_each_doubt_is_told_once() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    heard: list[SignalItem] = []
    for _ in range(20):
        controller.shown = (GREEN, GREEN)
        heard += [item for _, item in drive(signals, clock, 0.2)]
        controller.shown = None
        heard += [item for _, item in drive(signals, clock, 0.8)]
    told = [item.fields["doubt"] for item in heard if isinstance(item, Notice)]
    assert told[0] == "conflict"
    assert sorted(told, key=str) == sorted(signals.status(clock.now())["doubts"])  # type: ignore[call-overload]
    assert all(phases(item) == [UNAVAILABLE, UNAVAILABLE] for item in heard if isinstance(item, Spatem))


def test_a_controller_that_fails_makes_the_junction_unavailable_and_says_why() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    controller.failing = True
    items = signals.poll(clock.now())
    (notice,) = [item for item in items if isinstance(item, Notice)]
    assert notice.fields["reason"] == "the controller gives no state: controller: no datagram for 3 s"
    assert signals.counters.controller_failures == 1


def interval(
    phase: MovementPhaseState, min_end_s: float, max_end_s: float | None, likely_end_s: float | None = None
) -> PhaseInterval:
    return PhaseInterval(
        phase=phase,
        start=None,
        min_end=UtcNs(CYCLE_BEGIN + round(min_end_s * NS_PER_S)),
        max_end=None if max_end_s is None else UtcNs(CYCLE_BEGIN + round(max_end_s * NS_PER_S)),
        likely_end=None if likely_end_s is None else UtcNs(CYCLE_BEGIN + round(likely_end_s * NS_PER_S)),
    )


def group_state(number: int, *intervals: PhaseInterval) -> SignalGroupState:
    return SignalGroupState(signal_group=number, name=None, intervals=intervals)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ((group_state(1, interval(RED, 5, None)),), "speaks for signal groups [1], the map for [1, 2]"),
        ((group_state(1, interval(RED, 5, None)), group_state(1, interval(RED, 5, None))), "speaks for signal groups [1, 1]"),
        ((group_state(1, interval(RED, 5, 4)), group_state(2, interval(RED, 5, 9))), "ends before its earliest end"),
        ((group_state(1, interval(RED, -5, -1)), group_state(2, interval(RED, 5, 9))), "should have ended"),
        ((group_state(1, interval(RED, 5, 9, 10)), group_state(2, interval(RED, 5, 9))), "most probably ends when it cannot"),
        ((group_state(1, interval(RED, 5, None, 4)), group_state(2, interval(RED, 5, 9))), "most probably ends when it cannot"),
        (
            (group_state(1, interval(RED, 5, 9), interval(GREEN, 3, 4)), group_state(2, interval(RED, 5, 9))),
            "signal group 1 ends before it can have begun",
        ),
        ((group_state(1), group_state(2, interval(RED, 5, 9))), "has no phase"),
    ],
)
def test_a_state_that_contradicts_itself_is_unsound(states: tuple[SignalGroupState, ...], reason: str) -> None:
    distrust = unsound(states, frozenset({1, 2}), PLAN.conflicting_pairs, CYCLE_BEGIN)
    assert distrust is not None
    assert reason in distrust.sentence


def test_an_interval_out_of_range_or_a_map_with_other_groups_is_refused() -> None:
    with pytest.raises(ConfigError, match="not within 20 to 1000 ms"):
        service(interval_ms=5)
    with pytest.raises(ConfigError, match="do not have the same signal groups: 3"):
        SignalService(
            controller=FixedTimeController(PLAN),
            rules=PLAN.guard_rules,
            junction=replace(MAP, signal_groups=frozenset({1, 2, 3})),
            station_id=StationId(42),
        )
