"""Whatever those who may ask do ask: answers stay few, short and true, and the controller has no order that nobody waits for."""

from random import Random

import pytest
from msgspec.structs import replace

from rsu_agent.priority_queue import MAX_LIVE, MAX_LIVE_PER_TICKET
from rsu_agent.priority_service import MAX_NOTICES_PER_S, MAX_REFUSED_ANSWERED, PriorityPolicy
from shared.core.clock import NS_PER_MS, NS_PER_S
from shared.messages.requestor import AccessPoint, BasicVehicleRole
from shared.messages.srem import MAX_REQUESTS, PriorityRequestType
from shared.messages.ssem import MAX_REQUEST_STATUSES, PrioritizationStatus, Ssem, encode_ssem
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Notice
from tests.helpers.priority import FROM_EAST, FROM_NORTH, AskedJunction, srem_of, statuses

BUS, AMBULANCE = BasicVehicleRole.PUBLIC_TRANSPORT, BasicVehicleRole.AMBULANCE
LONGEST_ANSWER_OCTETS = 1_000
"""Of an SSEM; a packet carries some 1,400 octets besides headers, certificate and signature."""

STRANGE_WAY = AccessPoint(other=("_ext_3", b"\x55" * 200))


def check(junction: AskedJunction, said: list[Ssem]) -> None:
    """Hold what is promised against what was said and asked."""
    for ssem in said:
        (status,) = ssem.statuses
        assert len(status.requests) <= MAX_REQUEST_STATUSES
        assert len(encode_ssem(ssem)) <= LONGEST_ANSWER_OCTETS
    if said:
        granted = {name for name, status in statuses(said[-1]).items() if status is PrioritizationStatus.GRANTED}
        assert granted <= junction.controller.served
        groups = [order.signal_groups for order in junction.controller.orders.values()]
        assert not ({1} in groups and {2} in groups), "never two ways that cross"


@pytest.mark.parametrize("seed", range(4))
def test_a_crowd_that_asks_for_anything_never_gets_two_ways_that_cross(seed: int) -> None:
    lot = Random(seed)
    junction = AskedJunction(policy=PriorityPolicy(max_presence_s=5.0, reservice_s=3.0))
    roles = {number: lot.choice((StationRole.PUBLIC_TRANSPORT, StationRole.EMERGENCY)) for number in range(1, 9)}
    vehicles = {number: junction.vehicle(number, role) for number, role in roles.items()}
    for _ in range(150):
        number = lot.randrange(1, 9)
        srem = srem_of(
            vehicles[number],
            junction.clock.now(),
            role=lot.choice((BUS, AMBULANCE, BasicVehicleRole.TRUCK, None)),
            request_id=lot.randrange(6),
            inbound=lot.choice((FROM_NORTH, FROM_EAST, AccessPoint(approach=2), AccessPoint(lane=200), STRANGE_WAY)),
            in_s=lot.choice((None, -30.0, 1.0, 20.0, 170.0)),
            duration_ms=lot.choice((None, 0, 60_999)),
            kind=lot.choice((0, 1, 1, 2, 3)),
        )
        junction.ask(vehicles[number], srem)
        junction.controller.says = lot.choice((*PrioritizationStatus, *[PrioritizationStatus.GRANTED] * 6))
        junction.is_believed = lot.random() > 0.1
        said = [message for message in junction.said(lot.random() * 0.4) if isinstance(message, Ssem)]
        check(junction, said)
    junction.said(300.0)
    assert junction.service.next_due() is None, "everything runs out by itself"
    assert junction.controller.served == set()


def test_one_message_with_all_the_requests_it_can_hold_is_judged_one_by_one() -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    srem = srem_of(bus, junction.clock.now(), role=BUS)
    many = tuple(replace(srem.requests[0], request_id=number) for number in range(MAX_REQUESTS))
    refused = junction.ask(bus, replace(srem, requests=many))
    assert refused == ["priority_too_many"] * (MAX_REQUESTS - MAX_LIVE_PER_TICKET)
    said = [message for message in junction.said(0.2) if isinstance(message, Ssem)]
    check(junction, said)
    assert len(statuses(said[-1])) == MAX_LIVE_PER_TICKET + MAX_REFUSED_ANSWERED


def test_a_sender_cannot_make_the_answers_to_all_too_long_to_be_said() -> None:
    junction = AskedJunction()
    for number in range(1, MAX_LIVE + 1):
        bus = junction.vehicle(number, StationRole.PUBLIC_TRANSPORT)
        assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS)) == []
    bus = junction.vehicle(99, StationRole.PUBLIC_TRANSPORT)
    for number in range(MAX_REFUSED_ANSWERED):
        srem = srem_of(bus, junction.clock.now(), role=BUS, request_id=number, inbound=STRANGE_WAY)
        assert junction.ask(bus, srem) == ["priority_no_such_way"]
    said = [message for message in junction.said(0.2) if isinstance(message, Ssem)]
    check(junction, said)
    assert len(statuses(said[-1])) == MAX_LIVE, "a way of an unknown kind is refused, and not repeated"


def test_who_asks_and_cancels_without_end_does_not_fill_the_journal() -> None:
    junction = AskedJunction()
    buses = [junction.vehicle(number, StationRole.PUBLIC_TRANSPORT) for number in range(1, 6)]
    said: list[Ssem | Notice] = []
    for _ in range(20):
        for kind in (PriorityRequestType.PRIORITY_REQUEST, PriorityRequestType.PRIORITY_CANCELLATION):
            for bus in buses:
                junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=kind))
            said += junction.said(0.1)
    elapsed_s = (junction.clock.now().monotonic) / NS_PER_S
    notices = [message for message in said if isinstance(message, Notice)]
    assert len(buses) <= len(notices) <= (elapsed_s + 1) * MAX_NOTICES_PER_S
    assert junction.service.counters["notices_withheld"] >= 20


def test_a_flood_of_one_tickets_requests_leaves_the_others_alone() -> None:
    junction = AskedJunction()
    loud, quiet = junction.vehicle(1, StationRole.EMERGENCY), junction.vehicle(2, StationRole.PUBLIC_TRANSPORT)
    junction.ask(quiet, srem_of(quiet, junction.clock.now(), role=BUS))
    for turn in range(300):
        inbound = FROM_EAST if turn % 2 else FROM_NORTH
        junction.ask(loud, srem_of(loud, junction.clock.now(), role=AMBULANCE, request_id=turn % 256, inbound=inbound))
        junction.clock.advance(NS_PER_MS)
    assert sum(1 for name in junction.answers() if name[0] == 1) == MAX_LIVE_PER_TICKET + MAX_REFUSED_ANSWERED
    assert (2, 1) in junction.answers(1.5)
