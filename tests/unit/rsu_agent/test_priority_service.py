"""Who is let through first, what each is answered, and how often: an SREM in, an SSEM out, and a controller asked in between."""

from msgspec.structs import replace

from rsu_agent.priority_queue import MAX_LIVE, MAX_LIVE_PER_TICKET
from rsu_agent.priority_service import MAX_REFUSED_ANSWERED, PriorityPolicy, PriorityService
from rsu_agent.signal_controllers.priority import PriorityAction
from shared.cli.status_words import items
from shared.core.clock import NS_PER_MS, NS_PER_S
from shared.messages.requestor import BasicVehicleRole
from shared.messages.srem import PriorityRequestType, Srem
from shared.messages.ssem import PrioritizationStatus as Status
from shared.messages.ssem import Ssem, decode_ssem, encode_ssem
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Notice
from shared.stack.station import Station
from tests.helpers.identities import ego
from tests.helpers.priority import (
    EAST_WEST,
    FROM_EAST,
    FROM_NORTH,
    MAP,
    NEAR,
    NORTH_SOUTH,
    PLAN,
    TO_SOUTH,
    UNIT_ID,
    AskedJunction,
    srem_of,
)

BUS, AMBULANCE = BasicVehicleRole.PUBLIC_TRANSPORT, BasicVehicleRole.AMBULANCE
UPDATE, CANCELLATION = PriorityRequestType.PRIORITY_REQUEST_UPDATE, PriorityRequestType.PRIORITY_CANCELLATION
NS, EW = frozenset({NORTH_SOUTH}), frozenset({EAST_WEST})


def a_bus(junction: AskedJunction, number: int = 1) -> Station:
    return junction.vehicle(number, StationRole.PUBLIC_TRANSPORT)


def an_ambulance(junction: AskedJunction, number: int = 2) -> Station:
    return junction.vehicle(number, StationRole.EMERGENCY)


def test_a_bus_is_let_through_and_told_so_in_a_message_that_repeats_what_it_asked() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    srem = srem_of(bus, junction.clock.now(), role=BUS, outbound=TO_SOUTH, sequence_number=17)
    assert junction.ask(bus, srem) == []
    said = [message for message in junction.said(0.1) if isinstance(message, Ssem)]
    assert said == [decode_ssem(encode_ssem(said[0]))]
    (request,) = said[0].statuses[0].requests
    (wish,) = srem.requests
    assert request.requester is not None
    assert (request.requester.request_id, request.requester.sequence_number, request.requester.role) == (1, 17, BUS)
    assert (request.status, request.inbound, request.outbound) == (Status.GRANTED, FROM_NORTH, TO_SOUTH)
    assert (request.arrival_minute_of_year, request.arrival_ms) == (wish.arrival_minute_of_year, wish.arrival_ms)
    ((action, _, groups),) = junction.controller.asked
    assert (action, groups) == (PriorityAction.ASK, NS)
    (order,) = junction.controller.orders.values()
    assert order.arrival is not None
    assert order.departure == order.arrival + 5 * NS_PER_S


def test_answers_are_said_when_they_change_and_every_second_besides() -> None:
    junction = AskedJunction()
    junction.controller.says = Status.PROCESSING
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert len([m for m in junction.said(3.05) if isinstance(m, Ssem)]) == 4
    junction.controller.says = Status.GRANTED
    said = junction.said(0.2)
    assert [type(message) for message in said] == [Notice, Ssem]
    (notice, ssem) = said
    assert isinstance(notice, Notice)
    assert isinstance(ssem, Ssem)
    assert (notice.fields["status"], notice.fields["level"]) == ("granted", "public_transport")
    assert ssem.sequence_number == 2, "one for each answer that differs"


def test_however_often_a_bus_asks_answers_and_orders_are_ten_a_second_at_most() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    said: list[Ssem | Notice] = []
    for turn in range(200):
        junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=12.0 + turn % 7, sequence_number=turn % 128))
        said += junction.said(0.004)
    assert len([message for message in said if isinstance(message, Ssem)]) <= 11
    assert len(junction.controller.asked) <= 11


def test_the_controllers_word_is_passed_on_and_a_no_is_final_until_something_else_is_asked() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.controller.says = Status.REQUESTED
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.REQUESTED}
    junction.controller.says = Status.REJECTED
    assert junction.answers() == {(1, 1): Status.REJECTED}
    junction.controller.says = Status.GRANTED
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=11.7, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.REJECTED}
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=20.0, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.GRANTED}


def test_an_order_the_controller_forgot_is_rejected_rather_than_believed() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.controller.orders.clear()
    assert junction.answers() == {(1, 1): Status.REJECTED}


def test_an_ambulance_goes_before_a_bus_that_crosses_its_way_and_the_bus_goes_on_afterwards() -> None:
    junction = AskedJunction()
    bus, ambulance = a_bus(junction), an_ambulance(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, inbound=FROM_EAST))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.ask(ambulance, srem_of(ambulance, junction.clock.now(), role=AMBULANCE))
    assert junction.answers() == {(1, 1): Status.WATCH_OTHER_TRAFFIC, (2, 1): Status.GRANTED}
    assert junction.controller.served == {(2, 1)}
    junction.ask(ambulance, srem_of(ambulance, junction.clock.now(), role=AMBULANCE, kind=CANCELLATION))
    assert junction.answers() == {(1, 1): Status.GRANTED}, "it was displaced, not served: nothing is locked"
    assert junction.controller.served == {(1, 1)}


def test_vehicles_whose_ways_do_not_cross_are_let_through_together() -> None:
    junction = AskedJunction()
    first, second, crossing = a_bus(junction, 1), a_bus(junction, 2), a_bus(junction, 3)
    for bus, inbound, in_s in ((crossing, FROM_EAST, 30.0), (first, FROM_NORTH, 20.0), (second, FROM_NORTH, 25.0)):
        junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, inbound=inbound, in_s=in_s))
    assert junction.answers() == {
        (3, 1): Status.WATCH_OTHER_TRAFFIC,
        (1, 1): Status.GRANTED,
        (2, 1): Status.GRANTED,
    }, "who arrives first goes first, whoever asked first"


def test_a_bus_that_is_being_let_through_is_not_displaced_by_another_bus() -> None:
    junction = AskedJunction()
    first, second = a_bus(junction, 1), a_bus(junction, 2)
    junction.ask(first, srem_of(first, junction.clock.now(), role=BUS, in_s=20.0))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.ask(second, srem_of(second, junction.clock.now(), role=BUS, inbound=FROM_EAST, in_s=3.0))
    assert junction.answers() == {(1, 1): Status.GRANTED, (2, 1): Status.WATCH_OTHER_TRAFFIC}


def test_lights_that_served_a_bus_serve_no_other_for_a_while_but_an_ambulance_at_once() -> None:
    junction = AskedJunction(policy=PriorityPolicy(reservice_s=10.0))
    first, second, ambulance = a_bus(junction, 1), a_bus(junction, 3), an_ambulance(junction)
    junction.ask(first, srem_of(first, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.ask(first, srem_of(first, junction.clock.now(), role=BUS, kind=CANCELLATION))
    junction.ask(second, srem_of(second, junction.clock.now(), role=BUS, in_s=20.0))
    junction.ask(ambulance, srem_of(ambulance, junction.clock.now(), role=AMBULANCE))
    assert junction.answers() == {(3, 1): Status.RESERVICE_LOCKED, (2, 1): Status.GRANTED}
    assert junction.answers(10.0) == {(3, 1): Status.GRANTED, (2, 1): Status.GRANTED}


def test_nobody_is_served_for_longer_than_the_operator_allows() -> None:
    junction = AskedJunction(policy=PriorityPolicy(max_presence_s=6.0))
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=20.0))
    assert junction.answers(5.9) == {(1, 1): Status.GRANTED}
    assert junction.answers(0.3) == {(1, 1): Status.MAX_PRESENCE}
    assert junction.controller.served == set()
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=20.0, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.MAX_PRESENCE}


def test_a_request_that_nobody_cancels_is_forgotten_after_its_time() -> None:
    junction = AskedJunction()
    dated, undated = a_bus(junction, 1), a_bus(junction, 2)
    junction.ask(dated, srem_of(dated, junction.clock.now(), role=BUS, in_s=5.0, duration_ms=2_000))
    junction.ask(undated, srem_of(undated, junction.clock.now(), role=BUS, in_s=None))
    assert set(junction.answers(16.8)) == {(1, 1), (2, 1)}
    assert set(junction.answers(0.4)) == {(2, 1)}
    junction.said(13.0)
    assert junction.service.next_due() is None
    assert junction.controller.served == set()


def test_what_another_ticket_asked_nobody_changes_or_cancels() -> None:
    junction = AskedJunction()
    bus, impostor, ambulance = a_bus(junction, 1), a_bus(junction, 1), an_ambulance(junction, 1)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    cancel = srem_of(impostor, junction.clock.now(), role=BUS, kind=CANCELLATION)
    assert junction.ask(impostor, cancel) == []
    assert junction.service.counters["nothing_to_cancel"] == 1
    assert junction.ask(impostor, srem_of(impostor, junction.clock.now(), role=BUS)) == ["priority_in_others_name"]
    assert junction.answers() == {(1, 1): Status.GRANTED}
    assert junction.ask(ambulance, srem_of(ambulance, junction.clock.now(), role=AMBULANCE)) == []
    junction.said(0.2)
    (order,) = junction.controller.orders.values()
    assert order.level.value == "emergency", "nobody keeps an ambulance's name from it"


def test_one_ticket_and_all_together_ask_for_so_much_and_no_more() -> None:
    junction = AskedJunction()
    bus = a_bus(junction, 1)
    for request_id in range(MAX_LIVE_PER_TICKET):
        assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, request_id=request_id)) == []
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, request_id=99)) == ["priority_too_many"]
    for number in range(2, 2 + MAX_LIVE - MAX_LIVE_PER_TICKET):
        another = a_bus(junction, number)
        assert junction.ask(another, srem_of(another, junction.clock.now(), role=BUS, in_s=20.0)) == []
    last = a_bus(junction, 100)
    assert junction.ask(last, srem_of(last, junction.clock.now(), role=BUS)) == ["priority_too_many"]
    ambulance = an_ambulance(junction, 101)
    assert junction.ask(ambulance, srem_of(ambulance, junction.clock.now(), role=AMBULANCE, inbound=FROM_EAST)) == []
    answers = junction.answers()
    assert len(answers) == MAX_LIVE + 2, "those served and waiting, and two that were refused"
    assert answers[101, 1] is Status.GRANTED


def test_refusals_are_answered_for_a_few_seconds_and_so_many_at_a_time() -> None:
    junction = AskedJunction()
    bus = a_bus(junction, 1)
    for request_id in range(MAX_REFUSED_ANSWERED + 3):
        junction.ask(bus, srem_of(bus, junction.clock.now(), role=AMBULANCE, request_id=request_id))
    assert set(junction.answers(4.5)) == {(1, request_id) for request_id in range(3, MAX_REFUSED_ANSWERED + 3)}
    junction.said(1.0)
    assert junction.service.next_due() is None
    assert junction.service.counters["priority_role_not_permitted"] == MAX_REFUSED_ANSWERED + 3


def test_while_the_lights_are_not_believed_nobody_is_let_through() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.is_believed = False
    assert junction.answers() == {(1, 1): Status.UNKNOWN}
    assert junction.controller.served == set()
    junction.is_believed = True
    assert junction.answers() == {(1, 1): Status.GRANTED}


def test_another_way_under_the_same_number_is_another_order() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, inbound=FROM_EAST, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    assert [(action, groups) for action, _, groups in junction.controller.asked] == [
        (PriorityAction.ASK, NS),
        (PriorityAction.CANCEL, NS),
        (PriorityAction.ASK, EW),
    ]


def test_without_a_date_nothing_is_said_and_nobody_calls_in_vain() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    indication = junction.heard(bus, srem_of(bus, junction.clock.now(), role=BUS))
    junction.service.hear(indication, junction.clock.now())
    junction.clock.set_utc(None)
    now = junction.clock.now()
    assert junction.service.poll(now, is_believed=True) == ()
    due = junction.service.next_due()
    assert due is not None
    assert due >= now.monotonic + 900 * NS_PER_MS


def test_a_unit_that_stops_takes_every_order_back() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    junction.said(0.2)
    assert junction.controller.served == {(1, 1)}
    junction.service.stop(junction.clock.now())
    assert junction.controller.served == set()
    assert junction.service.next_due() is None


def test_the_status_says_who_waits_for_what_and_who_was_refused_why() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    indication_of = srem_of(bus, junction.clock.now(), role=BUS)
    junction.ask(bus, indication_of)
    junction.ask(bus, replace(indication_of, requestor=replace(indication_of.requestor, type=None), requests=()))
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=AMBULANCE, request_id=2))
    junction.said(0.2)
    status = junction.service.status(junction.clock.now())
    (request,) = items(status["requests"])
    assert (request["inbound"], request["signal_groups"], request["status"]) == ("lane 12", [NORTH_SOUTH], "granted")
    (refusal,) = items(status["refusals"])
    assert refusal["reason"] == "priority_role_not_permitted"
    assert refusal["station_id"] == 1


def test_a_request_held_back_until_it_was_taken_back_is_not_asked_again() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=CANCELLATION)) == [], "known by its certificate"
    now = junction.clock.now()
    held = bus.send(srem_of(bus, now, role=BUS, sequence_number=1), position=ego(now, NEAR), now=now)
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, sequence_number=2)) == []
    assert junction.answers() == {(1, 1): Status.GRANTED}
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=CANCELLATION, sequence_number=3)) == []
    heard = junction.unit.receive(held, junction.clock.now())
    late = None if heard is None else heard.of(Srem)
    assert late is not None, "it is fresh, and was never heard"
    assert junction.service.hear(late, junction.clock.now()) == ()
    assert junction.answers() == {}
    assert junction.controller.served == set()
    assert junction.service.counters["outdated"] == 1


def test_a_unit_that_was_lost_takes_up_who_goes_on_asking() -> None:
    junction = AskedJunction()
    bus = a_bus(junction)
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    junction.service = PriorityService(
        control=junction.controller, junction=MAP, conflicts=PLAN.conflicting_pairs, station_id=UNIT_ID
    )
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=UPDATE))
    assert junction.answers() == {(1, 1): Status.GRANTED}
    assert junction.controller.asked == [(PriorityAction.ASK, 1, NS)] * 2, "the same order under the same name"
    junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=CANCELLATION))
    assert junction.controller.served == set()
