import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsu_agent.signal_controllers import Movement
from rsu_agent.signal_controllers.priority import MAX_REQUESTS, PriorityAction, PriorityKey, PriorityLevel, PriorityRequest
from rsu_agent.signal_controllers.report_message import MAX_MESSAGE_OCTETS, confidence_of, report_schema
from rsu_agent.signal_controllers.reported import MAX_ORDERS, ReportedController, ReportedGroup, ReportedSetup
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock
from shared.core.errors import TransportError
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text, utc_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.ssem import PrioritizationStatus
from tests.helpers.data import REPOSITORY

NOON = utc_from_text("2026-11-22T12:00:00Z")
RED = MovementPhaseState.STOP_AND_REMAIN
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED

GROUPS = (ReportedGroup(number=1, name="north-south"), ReportedGroup(number=2, movement=Movement.PERMISSIVE))
REQUEST = PriorityRequest(
    key=PriorityKey(requester=StationId(1_513_886_192), request_id=3),
    sequence_number=7,
    action=PriorityAction.ASK,
    level=PriorityLevel.PUBLIC_TRANSPORT,
    signal_groups=frozenset({2, 1}),
    arrival=utc_from_text("2026-11-22T12:00:21Z"),
)


class Line:
    """A controller that reports, and the topic it is heard on."""

    def __init__(self, *, takes_priority: bool = False) -> None:
        self.clock = ManualClock(NOON)
        self.sequence = 0
        setup = ReportedSetup(controller="K123", endpoint="mqtt:x", groups=GROUPS, takes_priority=takes_priority)
        self.controller = ReportedController(setup)

    @property
    def now(self) -> Instant:
        return self.clock.now()

    def report(self, **changes: Any) -> bytes:
        """Return the next report with some keys replaced; a key that is None is left out."""
        self.clock.advance(100 * NS_PER_MS)
        self.sequence += 1
        document: dict[str, Any] = {
            "version": 1,
            "controller": "K123",
            "boot": "first",
            "sequence": self.sequence,
            "time": utc_text(self.now.require_utc()),
            "groups": [{"group": 2, "state": "green", "min_end_s": 4.0}, {"group": 1, "state": "red"}],
            **changes,
        }
        return json.dumps({key: value for key, value in document.items() if value is not None}).encode()

    def say(self, **changes: Any) -> None:
        self.controller.hear(self.report(**changes), self.now)

    def refused(self) -> object:
        return self.controller.status(self.now)["refused"]


def test_a_report_shows_every_group_in_order_with_what_it_predicts() -> None:
    line = Line()
    line.say(
        groups=[
            {
                "group": 2,
                "state": "green",
                "min_end_s": 4.0,
                "max_end_s": 22.0,
                "likely_end_s": 9.5,
                "confidence_percent": 82,
                "next": [{"state": "amber", "min_end_s": 7, "max_end_s": 25}, {"state": "red"}],
            },
            {"group": 1, "state": "red_amber"},
        ],
        modes=["preempted", "traffic_dependent"],
        enabled_lanes=[11],
        map_revision=5,
    )
    heard = line.now.require_utc()
    line.clock.advance(300 * NS_PER_MS)
    first, second = line.controller.state(line.now)
    assert (first.signal_group, first.name, first.phase) == (1, "north-south", MovementPhaseState.PRE_MOVEMENT)
    running, amber, red = second.intervals
    assert running.phase is MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED
    ends = running.min_end, running.max_end, running.likely_end
    assert ends == (heard + 4 * NS_PER_S, heard + 22 * NS_PER_S, heard + 9_500 * NS_PER_MS)
    assert running.confidence == 8
    assert (amber.phase, amber.start) == (MovementPhaseState.PERMISSIVE_CLEARANCE, running.likely_end)
    assert (red.phase, red.start, red.min_end) == (RED, heard + 7 * NS_PER_S, None)
    mode = line.controller.mode
    assert mode.status == IntersectionStatus.PREEMPT_IS_ACTIVE | IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION
    assert (mode.enabled_lanes, mode.map_revision, mode.has_jumped) == ((11,), 5, False)


@pytest.mark.parametrize(
    ("lamp", "phase"),
    [
        ("amber_flash", MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC),
        ("red_flash", MovementPhaseState.STOP_THEN_PROCEED),
        ("dark", MovementPhaseState.DARK),
        ("unknown", MovementPhaseState.UNAVAILABLE),
        ("green", GREEN),
        ("amber", MovementPhaseState.PROTECTED_CLEARANCE),
    ],
)
def test_every_word_for_lamps_has_its_phase(lamp: str, phase: MovementPhaseState) -> None:
    line = Line()
    line.say(groups=[{"group": 1, "state": lamp}])
    (state,) = line.controller.state(line.now)
    assert state.phase is phase


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"version": 2}, "malformed", "report.version"),
        ({"greens": [1]}, "malformed", "unknown field `greens`"),
        ({"sequence": None}, "malformed", "missing required field `sequence`"),
        ({"groups": []}, "malformed", "report.groups"),
        ({"groups": [{"group": 255, "state": "red"}]}, "malformed", "report.groups[0].group"),
        ({"groups": [{"group": 1, "state": "blue"}]}, "malformed", "blue"),
        ({"groups": [{"group": 1, "state": "red", "max_end_s": 3.0}]}, "malformed", "need min_end_s"),
        ({"groups": [{"group": 1, "state": "red", "min_end_s": 3600.0}]}, "malformed", "min_end_s"),
        ({"enabled_lanes": list(range(1, 18))}, "malformed", "enabled_lanes"),
        ({"time": "2026-11-22T12:00:00"}, "malformed", "report.time"),
        ({"controller": "K124"}, "stranger", "'K124'"),
        ({"time": "2026-11-22T11:59:58Z"}, "late", "2.1 s ago"),
        ({"time": "2026-11-22T12:00:09Z"}, "future", "-8.9 s ago"),
    ],
)
def test_a_report_that_is_not_what_it_should_be_is_counted_with_its_reason(changes: dict[str, Any], code: str, words: str) -> None:
    line = Line()
    line.say(**changes)
    assert line.refused() == {code: 1}
    (notice,) = line.controller.take_notices()
    assert words in str(notice.fields["reason"])
    with pytest.raises(TransportError, match="nothing was heard yet"):
        line.controller.state(line.now)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b"[" * 60_000, b" " * (MAX_MESSAGE_OCTETS + 1)])
def test_what_is_no_report_is_refused_and_not_read_for_long(payload: bytes) -> None:
    line = Line()
    line.controller.hear(payload, line.now)
    assert line.refused() == {"malformed": 1}


def test_a_report_that_a_broker_kept_says_nothing_of_now() -> None:
    line = Line()
    line.controller.hear(line.report(), line.now, is_retained=True)
    assert line.refused() == {"retained": 1}


def test_without_utc_no_report_can_be_dated() -> None:
    line = Line()
    report = line.report()
    line.controller.hear(report, Instant(line.now.monotonic, None))
    assert line.refused() == {"undated": 1}


def test_a_sequence_that_does_not_grow_is_not_taken_and_gaps_are_counted() -> None:
    line = Line()
    line.say(sequence=5)
    line.say(sequence=5)
    line.say(sequence=4)
    line.say(sequence=9)
    status = line.controller.status(line.now)
    assert (status["taken"], status["skipped"], status["refused"]) == (2, 3, {"repeated": 1, "out_of_order": 1})


def test_a_new_boot_is_a_restart_and_a_boot_that_was_left_never_comes_back() -> None:
    line = Line()
    line.say(sequence=500)
    line.controller.state(line.now)
    line.say(boot="second", sequence=0)
    assert line.controller.next_change(line.now) == line.now.monotonic
    with pytest.raises(TransportError, match="the controller restarted"):
        line.controller.state(line.now)
    assert len(line.controller.state(line.now)) == 2
    line.say(sequence=501)
    assert line.refused() == {"former_boot": 1}
    assert line.controller.status(line.now)["restarts"] == 1


def test_silence_is_stale_after_two_seconds() -> None:
    line = Line()
    line.say()
    line.controller.state(line.now)
    due = line.controller.next_change(line.now)
    assert due == line.now.monotonic + 2 * NS_PER_S + 1
    line.clock.advance_to(due)
    with pytest.raises(TransportError, match=r"nothing was heard for 2\.0 s"):
        line.controller.state(line.now)


def test_a_report_that_was_long_on_its_way_is_stale_the_sooner() -> None:
    line = Line()
    late = line.report()
    line.clock.advance(900 * NS_PER_MS)
    line.controller.hear(late, line.now)
    line.controller.state(line.now)
    due = line.controller.next_change(line.now)
    assert due == line.now.monotonic + 1_100 * NS_PER_MS + 1
    line.clock.advance_to(due)
    with pytest.raises(TransportError, match=r"nothing was heard for 2\.0 s"):
        line.controller.state(line.now)


def test_a_jump_is_told_once() -> None:
    line = Line()
    line.say(jumped=True)
    line.say()
    jumped = []
    for _ in range(2):
        line.controller.state(line.now)
        jumped.append(line.controller.mode.has_jumped)
    assert jumped == [True, False]


def answer(status: str, request_id: int = 3, **changes: Any) -> bytes:
    document = {"version": 1, "controller": "K123", "requester": REQUEST.key.requester, "request_id": request_id, "status": status}
    return json.dumps({**document, **changes}).encode()


def test_a_request_for_priority_is_published_and_its_answers_are_kept() -> None:
    line = Line(takes_priority=True)
    line.say()
    assert line.controller.ask_priority(REQUEST, line.now).status is PrioritizationStatus.REQUESTED
    (order,) = line.controller.take_orders()
    assert json.loads(order) == {
        "version": 1,
        "controller": "K123",
        "requester": 1_513_886_192,
        "request_id": 3,
        "sequence_number": 7,
        "action": "ask",
        "level": "public_transport",
        "signal_groups": [1, 2],
        "arrival": utc_text(utc_from_text("2026-11-22T12:00:21Z")),
    }
    assert line.controller.take_orders() == ()
    line.controller.hear_answer(answer("granted", reason="green extended by 6 s"), line.now)
    known = line.controller.priority(REQUEST.key)
    assert known is not None
    assert (known.status, known.reason) == (PrioritizationStatus.GRANTED, "green extended by 6 s")


def test_an_update_keeps_the_answer_and_a_withdrawn_request_is_forgotten() -> None:
    line = Line(takes_priority=True)
    line.say()
    line.controller.ask_priority(REQUEST, line.now)
    line.controller.hear_answer(answer("processing"), line.now)
    known = line.controller.ask_priority(_changed(PriorityAction.UPDATE), line.now)
    assert (known.status, known.reason) == (PrioritizationStatus.PROCESSING, "the controller says processing")
    line.controller.ask_priority(_changed(PriorityAction.CANCEL), line.now)
    assert line.controller.priority(REQUEST.key) is None
    assert [json.loads(order)["action"] for order in line.controller.take_orders()] == ["ask", "update", "cancel"]


def _changed(action: PriorityAction, request_id: int = 3) -> PriorityRequest:
    return PriorityRequest(
        key=PriorityKey(requester=REQUEST.key.requester, request_id=request_id),
        sequence_number=8,
        action=action,
        level=PriorityLevel.EMERGENCY,
        signal_groups=frozenset({2}),
    )


def test_an_answer_a_broker_kept_may_be_to_another_request() -> None:
    line = Line(takes_priority=True)
    line.say()
    line.controller.ask_priority(REQUEST, line.now)
    line.controller.hear_answer(answer("granted"), line.now, is_retained=True)
    assert line.refused() == {"retained": 1}
    known = line.controller.priority(REQUEST.key)
    assert known is not None
    assert known.status is PrioritizationStatus.REQUESTED


@pytest.mark.parametrize(
    "changes",
    [{"jumped": True}, {"enabled_lanes": [11]}, {"modes": ["preempted"]}, {"map_revision": 4}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_said_besides_the_lamps_is_news_too_and_the_same_again_is_none(changes: dict[str, Any]) -> None:
    line = Line()
    line.say()
    line.controller.state(line.now)
    line.say()
    assert line.controller.next_change(line.now) != line.now.monotonic
    line.say(**changes)
    assert line.controller.next_change(line.now) == line.now.monotonic
    line.controller.state(line.now)
    line.say(**{key: value for key, value in changes.items() if key != "jumped"})
    assert line.controller.next_change(line.now) != line.now.monotonic


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-12-31T23:59:60Z"])
def test_a_time_at_the_ends_of_the_calendar_is_refused_and_no_trouble(time: str) -> None:
    line = Line()
    line.say(time=time)
    assert line.refused() in ({"late": 1}, {"future": 1}, {"malformed": 1})


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (answer("granted", request_id=4), "unasked_answer"),
        (answer("granted", controller="K124"), "unasked_answer"),
        (answer("certainly"), "malformed"),
        (b"null", "malformed"),
    ],
)
def test_an_answer_to_nothing_that_was_asked_is_counted(payload: bytes, code: str) -> None:
    line = Line(takes_priority=True)
    line.say()
    line.controller.ask_priority(REQUEST, line.now)
    line.controller.hear_answer(payload, line.now)
    assert line.refused() == {code: 1}


def test_a_silent_controller_and_one_that_takes_none_reject_at_once() -> None:
    silent = Line(takes_priority=True)
    assert silent.controller.ask_priority(REQUEST, silent.now).reason == "the controller cannot be asked: nothing was heard yet"
    deaf = Line()
    deaf.say()
    assert deaf.controller.ask_priority(REQUEST, deaf.now).status is PrioritizationStatus.REJECTED
    assert silent.controller.take_orders() == deaf.controller.take_orders() == ()


def test_a_request_is_withdrawn_also_from_a_controller_that_fell_silent() -> None:
    line = Line(takes_priority=True)
    line.say()
    line.controller.ask_priority(REQUEST, line.now)
    line.clock.advance(60 * NS_PER_S)
    assert line.controller.ask_priority(_changed(PriorityAction.ASK, 4), line.now).status is PrioritizationStatus.REJECTED
    assert line.controller.ask_priority(_changed(PriorityAction.CANCEL), line.now).reason == "the request was withdrawn"
    assert [json.loads(order)["action"] for order in line.controller.take_orders()] == ["ask", "cancel"]


def test_requests_nobody_fetches_are_bounded_and_counted() -> None:
    line = Line(takes_priority=True)
    line.say()
    for request_id in range(MAX_ORDERS + 10):
        line.controller.ask_priority(_changed(PriorityAction.ASK, request_id), line.now)
    assert len(line.controller.take_orders()) == MAX_ORDERS
    assert line.controller.status(line.now)["dropped_orders"] == 10
    assert line.controller.priority(_changed(PriorityAction.ASK, 9).key) is None, (
        f"of more than {MAX_REQUESTS} the oldest is forgotten"
    )


@pytest.mark.parametrize(("percent", "step"), [(0, 0), (21, 0), (35, 0), (36, 1), (81, 8), (84, 8), (99, 14), (100, 15)])
def test_a_confidence_promises_no_more_than_the_controller_did(percent: int, step: int) -> None:
    assert confidence_of(percent) == step


def test_the_schema_in_the_documentation_is_the_one_that_is_enforced() -> None:
    written = json.loads((REPOSITORY / "docs" / "signal-controller-mqtt.schema.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report_schema()))


def test_the_examples_of_the_documentation_are_taken_and_made() -> None:
    text = (REPOSITORY / "docs" / "signal-controller-mqtt.md").read_text(encoding="utf-8")
    state, order, reply = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    line = Line(takes_priority=True)
    line.clock = ManualClock(utc_from_text("2026-11-29T11:38:00Z"))
    line.controller.hear(state.encode(), line.now)
    assert [each.phase for each in line.controller.state(line.now)] == [GREEN, RED]
    line.controller.ask_priority(REQUEST, line.now)
    (made,) = line.controller.take_orders()
    assert json.loads(order).keys() - {"departure"} == json.loads(made).keys()
    line.controller.hear_answer(reply.encode(), line.now)
    assert line.refused() == {}


@given(
    payload=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )
)
def test_any_json_is_refused_with_a_reason(payload: object) -> None:
    line = Line(takes_priority=True)
    line.controller.hear(json.dumps(payload).encode(), line.now)
    line.controller.hear_answer(json.dumps(payload).encode(), line.now)
    assert line.refused() == {"malformed": 2}
