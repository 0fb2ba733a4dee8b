"""What a controller that speaks for itself has the junction say: news at once, ends as far as they are known, lanes, evidence."""

import json
from base64 import b64encode
from dataclasses import replace
from random import Random

import pytest

from rsu_agent.evidence_desk import EvidenceDesk
from rsu_agent.signal_controllers import ControllerMode, PhaseInterval, SignalGroupState
from rsu_agent.signal_controllers.simulated import SimulatedController
from rsu_agent.signal_service import MAX_EVIDENCE_OCTETS, MIN_CHANGE_NS, RECOVERY_NS, SignalService
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.ids import StationId
from shared.messages.mapem import Mapem
from shared.messages.spatem import IntersectionStatus, MovementPhaseState, Spatem, decode_spatem, encode_spatem
from shared.stack.effects import Evidence, Notice
from tests.unit.rsu_agent.test_signal_guard import MAP as GATED
from tests.unit.rsu_agent.test_signal_service import CYCLE_BEGIN, MAP, PLAN, Switchable, clock_at, drive, phases, service

RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
UNAVAILABLE = MovementPhaseState.UNAVAILABLE


class Predicting(Switchable):
    """A controller whose groups all run one phase, with ends the test chooses (seconds into the cycle)."""

    def __init__(self, **ends_s: float | None) -> None:
        super().__init__()
        self.confidence: int | None = None
        self.ends_s = ends_s

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        ends = {
            name: None if seconds is None else UtcNs(CYCLE_BEGIN + round(seconds * NS_PER_S))
            for name, seconds in self.ends_s.items()
        }
        running = PhaseInterval(
            phase=RED,
            start=None,
            min_end=ends.get("min_end"),
            max_end=ends.get("max_end"),
            likely_end=ends.get("likely_end"),
            confidence=self.confidence,
        )
        return tuple(replace(each, intervals=(running,)) for each in super().state(now))


def spatem_of(signals: SignalService, now: Instant) -> Spatem:
    (spatem,) = [item for item in signals.poll(now) if isinstance(item, Spatem)]
    return decode_spatem(encode_spatem(spatem))


def test_a_change_that_was_heard_is_due_at_once_and_nothing_is_when_nothing_changed() -> None:
    clock, lights = clock_at(1.0), SimulatedController({1: (0,), 2: (1,)}, is_static=False)
    signals = SignalService(controller=lights, rules=PLAN.guard_rules, junction=MAP, station_id=StationId(1))
    lights.show("Gr", clock.now())
    signals.look(clock.now())
    assert phases(spatem_of(signals, clock.now())) == [GREEN, RED]
    now = clock.advance(30 * NS_PER_MS)
    lights.show("Gr", now)
    signals.look(now)
    assert signals.next_due() == now.monotonic + 70 * NS_PER_MS
    lights.show("Yr", now)
    signals.look(now)
    assert signals.next_due() == now.monotonic
    assert phases(spatem_of(signals, now)) == [MovementPhaseState.PERMISSIVE_CLEARANCE, RED]


def test_lamps_that_flicker_cannot_make_the_junction_chatter() -> None:
    clock, lights = clock_at(1.0), SimulatedController({1: (0,), 2: (1,)})
    signals = SignalService(controller=lights, rules=PLAN.guard_rules, junction=MAP, station_id=StationId(1))
    said = 0
    for turn in range(1_000):
        now = clock.advance(NS_PER_MS)
        lights.show("or" if turn % 2 else "Or", now)
        signals.look(now)
        if signals.next_due() <= now.monotonic:
            said += sum(isinstance(item, Spatem) for item in signals.poll(now))
    assert said == pytest.approx(NS_PER_S / MIN_CHANGE_NS, abs=1)


def test_while_utc_is_not_known_news_changes_no_timer() -> None:
    signals, now = service(), Instant(MonotonicNs(9 * NS_PER_S), None)
    signals.poll(now)
    due = signals.next_due()
    signals.look(now)
    assert signals.next_due() == due


@pytest.mark.parametrize(
    ("ends_s", "confidence", "told"),
    [
        ({}, None, (None, None, None, None)),
        ({"min_end": 5.0}, None, (5.0, None, None, None)),
        ({"min_end": 5.0, "max_end": 30.0, "likely_end": 12.5}, 8, (5.0, 30.0, 12.5, 8)),
        ({"min_end": 5.0}, 8, (5.0, None, None, None)),
        ({"min_end": 0.5, "max_end": 0.8}, None, (1.0, 1.0, None, None)),
    ],
)
def test_ends_are_told_as_far_as_they_are_known_and_never_in_the_past(
    ends_s: dict[str, float], confidence: int | None, told: tuple[float | None, ...]
) -> None:
    controller = Predicting(**ends_s)
    controller.confidence = confidence
    event = spatem_of(service(controller), clock_at(1.0).now()).intersections[0].movements[0].events[0]
    assert (event.min_end_time_s, event.max_end_time_s, event.likely_time_s, event.confidence) == told


def test_an_end_that_passed_half_a_second_ago_is_not_believed_any_more() -> None:
    signals = service(Predicting(min_end=0.0, max_end=0.49))
    assert phases(spatem_of(signals, clock_at(1.0).now())) == [UNAVAILABLE, UNAVAILABLE]
    assert signals.status(clock_at(1.0).now())["doubts"] == {"overdue": 1}


def test_open_lanes_and_the_mode_of_the_controller_are_told() -> None:
    controller = Switchable()
    mode = IntersectionStatus.PREEMPT_IS_ACTIVE | IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION
    controller.running = ControllerMode(status=mode, enabled_lanes=(22,), map_revision=MAP.revision)
    signals = SignalService(controller=controller, rules=PLAN.guard_rules, junction=GATED, station_id=StationId(1))
    (state,) = spatem_of(signals, clock_at(1.0).now()).intersections
    assert (state.enabled_lanes, state.status) == ((22,), mode)


@pytest.mark.parametrize(
    ("mode", "doubt", "status"),
    [
        (
            ControllerMode(status=IntersectionStatus(0), map_revision=MAP.revision + 1),
            "map_revision",
            IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME | IntersectionStatus.NO_VALID_MAP_IS_AVAILABLE_AT_THIS_TIME,
        ),
        (
            ControllerMode(status=IntersectionStatus(0), enabled_lanes=(99,)),
            "enabled_lane",
            IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME,
        ),
    ],
)
def test_a_controller_of_another_map_is_told_as_unavailable_and_opens_no_lane(
    mode: ControllerMode, doubt: str, status: IntersectionStatus
) -> None:
    controller = Switchable()
    controller.running = mode
    signals = service(controller)
    (state,) = spatem_of(signals, clock_at(1.0).now()).intersections
    assert (state.status, state.enabled_lanes) == (status, ())
    assert signals.status(clock_at(1.0).now())["doubts"] == {doubt: 1}


def test_the_evidence_of_a_doubt_is_handed_out_once_and_says_what_was_shown() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    controller.shown = (GREEN, GREEN)
    items = [item for _, item in drive(signals, clock, 1.0)]
    (evidence,) = [item for item in items if isinstance(item, Evidence)]
    assert (evidence.kind, evidence.subject) == ("signals_not_believed", f"{MAP.intersection_id.region or 0:04X}0001-conflict")
    document = json.loads(evidence.documents["state.json"])
    assert (document["doubt"], document["groups"]["2"]["phase"]) == ("conflict", "permissive_movement_allowed")
    controller.shown = None
    items = [item for _, item in drive(signals, clock, RECOVERY_NS / NS_PER_S + 0.4)]
    told = [item for item in items if isinstance(item, Notice | Evidence)]
    assert [item.kind for item in told] == ["junction_unavailable", "signals_not_believed", "junction_available"]
    assert isinstance(told[0], Notice)
    assert told[0].fields["doubt"] == "short_amber", "the light that should not have been green goes out without its amber"
    assert any(isinstance(item, Mapem) for item in items), "the map is told whether or not the lights are believed"


def test_a_controller_that_was_silent_and_then_shows_what_cannot_be_is_told_of_a_second_time() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    controller.failing = True
    heard = drive(signals, clock, 1.0)
    controller.failing, controller.shown = False, (GREEN, GREEN)
    heard += drive(signals, clock, 1.0)
    told = [item for _, item in heard if isinstance(item, Notice | Evidence)]
    assert [item.fields["doubt"] for item in told if isinstance(item, Notice)] == ["no_state", "conflict"]
    assert [json.loads(item.documents["state.json"])["doubt"] for item in told if isinstance(item, Evidence)] == [
        "no_state",
        "conflict",
    ]
    assert signals.distrust == "conflicting signal groups 1 and 2 are permitted together"


def test_evidence_is_cut_to_what_is_kept_the_newest_of_what_was_heard_first() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    controller.heard = {f"heard-{number}": bytes([number]) * 3_000 for number in range(1, 9)}
    signals = service(controller)
    controller.shown = (GREEN, GREEN)
    (evidence,) = [item for item in signals.poll(clock.now()) if isinstance(item, Evidence)]
    assert sum(map(len, evidence.documents.values())) == MAX_EVIDENCE_OCTETS
    assert list(evidence.documents) == ["state.json", "heard-8", "heard-7", "heard-6"]
    assert evidence.documents["heard-8"] == controller.heard["heard-8"]
    desk = EvidenceDesk(next_id=0, run=1, entropy=Random(1).randbytes, chain=lambda: ())
    desk.disbelieved(evidence, clock.now())
    (entry,) = desk.take().entries
    assert b64encode(controller.heard["heard-8"]) in entry.entry


def test_while_utc_is_not_known_no_light_is_believed_and_what_was_seen_before_is_not_held_against_the_controller() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    drive(signals, clock, 1.0)
    assert signals.phases
    clock.set_utc(None)
    drive(signals, clock, 3.0)
    status = signals.status(clock.now())
    assert (signals.phases, status["available"], status["phases"]) == ((), False, {})
    assert signals.distrust == status["reason"] == "UTC is not known, so nothing is said of the lights"
    clock.set_utc(UtcNs(CYCLE_BEGIN + 5 * NS_PER_S))
    heard = drive(signals, clock, 1.5)
    assert [item for _, item in heard if isinstance(item, Notice)] == []
    assert phases(next(item for _, item in heard if isinstance(item, Spatem))) == [GREEN, RED]
    assert signals.distrust is None


@pytest.mark.parametrize(
    ("set_to_s", "words"),
    [
        (36.0, "UTC was set forward by 25.0 s, and what was announced before is void"),
        (10.0, "UTC was set back by 1.0 s, and what was announced before is void"),
        (3_600.0 + 11.3, "UTC was set forward by 3600.3 s, and what was announced before is void"),
    ],
    ids=["forward", "leap second", "by an hour"],
)
def test_a_clock_that_is_set_voids_what_was_announced_also_where_the_lights_stay_the_same(set_to_s: float, words: str) -> None:
    clock = clock_at(10.0)
    signals = service()
    drive(signals, clock, 0.99)
    clock.advance(NS_PER_S // 100)
    clock.set_utc(UtcNs(CYCLE_BEGIN + round(set_to_s * NS_PER_S)))
    heard = drive(signals, clock, RECOVERY_NS / NS_PER_S + 1.0)
    said = [phases(item) for _, item in heard if isinstance(item, Spatem)]
    assert (said[0], UNAVAILABLE in said[-1]) == ([UNAVAILABLE, UNAVAILABLE], False)
    assert [item.fields.get("reason") for _, item in heard if isinstance(item, Notice)] == [words, None]


def test_a_clock_that_is_disciplined_and_drifts_is_no_clock_that_was_set() -> None:
    clock, signals = clock_at(10.0), service()
    for _ in range(100):
        drive(signals, clock, 0.1)
        clock.set_utc(UtcNs((clock.now().utc or 0) + 5 * NS_PER_MS))
    assert signals.status(clock.now())["doubts"] == {}


def test_the_status_says_what_is_shown_how_long_and_why_not() -> None:
    controller, clock = Switchable(), clock_at(1.0)
    signals = service(controller)
    signals.poll(clock.now())
    status = signals.status(clock.now())
    assert (status["available"], status["reason"], status["link_fault"]) == (True, None, None)
    assert status["groups"] == {
        "1": {
            "name": "north-south",
            "phase": "permissive_movement_allowed",
            "min_end_s": 24.0,
            "likely_end_s": 24.0,
            "max_end_s": 24.0,
        },
        "2": {"name": "east-west", "phase": "stop_and_remain", "min_end_s": 28.0, "likely_end_s": 28.0, "max_end_s": 28.0},
    }
    controller.failing = True
    signals.poll(clock.advance(100 * NS_PER_MS))
    status = signals.status(clock.now())
    assert (status["available"], status["groups"], status["doubts"]) == (False, {}, {"no_state": 1})
    assert status["controller"] == {"kind": "fixed_time", "cycle_s": 60.0, "into_cycle_s": 1.1}
