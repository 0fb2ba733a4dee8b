"""Who may ask a junction for priority, as what, and for which way: every refusal for its reason."""

import pytest
from msgspec.structs import replace

from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from rsu_agent.priority_rights import priority_level, shown_levels
from rsu_agent.priority_ways import signal_groups_between
from rsu_agent.signal_controllers.priority import PriorityLevel
from shared.core.errors import VerificationError
from shared.core.geo import displaced
from shared.core.ids import IntersectionId, ItsAid, StationId
from shared.core.report import VerificationReport
from shared.messages.requestor import AccessPoint, BasicVehicleRole, VehicleId
from shared.messages.ssem import PrioritizationStatus
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.permissions import PsidSsp
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.identities import make_peer
from tests.helpers.priority import EAST_WEST, FROM_NORTH, MAP, NORTH_SOUTH, TO_SOUTH, AskedJunction, srem_of

BUS, AMBULANCE = BasicVehicleRole.PUBLIC_TRANSPORT, BasicVehicleRole.AMBULANCE
ROLES = {StationRole.PUBLIC_TRANSPORT: {PriorityLevel.PUBLIC_TRANSPORT}, StationRole.EMERGENCY: {PriorityLevel.EMERGENCY}}


def test_a_ticket_shows_a_bus_or_an_ambulance_and_no_other_vehicle() -> None:
    hierarchy = Hierarchy(72)
    for role in StationRole:
        assert shown_levels(hierarchy.ticket(role).certificate) == ROLES.get(role, set())


def test_without_the_right_to_ask_for_free_crossing_nobody_is_an_emergency_at_a_light() -> None:
    others = tuple(each for each in TICKET_PERMISSIONS[StationRole.EMERGENCY] if each.psid != ItsAid.CAM)
    hierarchy = Hierarchy(73)
    lacking = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x02\x40"), *others))
    assert shown_levels(lacking.certificate) == set()
    silent = hierarchy.ticket(permissions=others)
    assert shown_levels(silent.certificate) == set()
    with pytest.raises(RefusedRequestError, match="shows neither"):
        priority_level(silent.certificate, None)


def test_who_does_not_say_what_it_is_is_what_its_ticket_shows() -> None:
    hierarchy = Hierarchy(74)
    assert priority_level(hierarchy.ticket(StationRole.PUBLIC_TRANSPORT).certificate, None) is PriorityLevel.PUBLIC_TRANSPORT
    assert priority_level(hierarchy.ticket(StationRole.EMERGENCY).certificate, None) is PriorityLevel.EMERGENCY


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        (AMBULANCE, "does not show a vehicle in the role ambulance"),
        (BasicVehicleRole.TRUCK, "the role truck is given no priority"),
        (BasicVehicleRole.MILITARY, "the role military is given no priority"),
    ],
)
def test_a_bus_asks_as_nothing_but_a_bus(role: int, sentence: str) -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=role)) == ["priority_role_not_permitted"]
    assert junction.answers() == {(1, 1): PrioritizationStatus.REJECTED}
    assert junction.controller.asked == []
    (refused,) = junction.service.refusals
    assert sentence in str(refused.error)


def test_an_ordinary_car_is_not_even_heard() -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    car = make_peer(junction.hierarchy, 2)
    with pytest.raises(VerificationError) as caught:
        junction.heard(car, srem_of(car, junction.clock.now(), role=BUS))
    assert caught.value.report is VerificationReport.PERMISSION_DENIED
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS)) == []


@pytest.mark.parametrize(
    ("inbound", "outbound", "groups"),
    [
        (FROM_NORTH, None, {NORTH_SOUTH}),
        (FROM_NORTH, TO_SOUTH, {NORTH_SOUTH}),
        (AccessPoint(approach=1), None, {NORTH_SOUTH}),
        (AccessPoint(approach=2), AccessPoint(approach=3), {EAST_WEST}),
        (AccessPoint(connection=4), None, {EAST_WEST}),
        (AccessPoint(connection=4), AccessPoint(connection=4), {EAST_WEST}),
    ],
)
def test_a_way_has_the_lights_the_map_gives_it(inbound: AccessPoint, outbound: AccessPoint | None, groups: set[int]) -> None:
    assert signal_groups_between(MAP, inbound, outbound) == groups


@pytest.mark.parametrize(
    ("inbound", "outbound", "sentence"),
    [
        (AccessPoint(lane=99), None, "no way in at lane 99"),
        (AccessPoint(approach=9), None, "no way in at approach 9"),
        (AccessPoint(connection=200), None, "no way in at connection 200"),
        (TO_SOUTH, None, "no way in at lane 33"),
        (FROM_NORTH, AccessPoint(lane=13), "no way from lane 12 to lane 13"),
        (FROM_NORTH, AccessPoint(approach=1), "no way from lane 12 to approach 1"),
        (FROM_NORTH, AccessPoint(connection=1), "no way from lane 12 to connection 1"),
        (AccessPoint(other=("later", 1)), None, "a kind this unit does not know"),
    ],
)
def test_a_way_that_is_not_on_the_map_is_refused(inbound: AccessPoint, outbound: AccessPoint | None, sentence: str) -> None:
    with pytest.raises(RefusedRequestError, match=sentence) as caught:
        signal_groups_between(MAP, inbound, outbound)
    assert caught.value.refusal is PriorityRefusal.NO_SUCH_WAY


def test_a_request_in_anothers_name_is_refused_and_the_other_told_nothing() -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    srem = srem_of(bus, junction.clock.now(), role=BUS)
    for foreign in (VehicleId(station_id=StationId(2)), VehicleId(entity_id=b"bus1")):
        forged = replace(srem, requestor=replace(srem.requestor, id=foreign))
        assert junction.ask(bus, forged) == ["priority_in_others_name"]
    assert junction.answers() == {}
    assert junction.service.counters["priority_in_others_name"] == 2


@pytest.mark.parametrize(
    ("in_s", "expected"),
    [(-11.0, ["priority_wrong_time"]), (-9.0, []), (None, []), (179.0, []), (181.0, ["priority_wrong_time"])],
)
def test_nobody_books_the_lights_for_tomorrow_nor_for_what_is_over(in_s: float | None, expected: list[str]) -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, in_s=in_s)) == expected


def test_a_message_of_another_time_or_from_far_away_is_refused() -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    srem = srem_of(bus, junction.clock.now(), role=BUS)
    assert srem.minute_of_year is not None
    assert junction.ask(bus, replace(srem, minute_of_year=srem.minute_of_year - 1)) == ["priority_wrong_time"]
    assert junction.ask(bus, srem, point=displaced(MAP.reference, 0.0, 1_001.0)) == ["priority_too_far"]
    assert junction.ask(bus, srem, point=displaced(MAP.reference, 0.0, 999.0)) == []


def test_requests_of_other_junctions_and_of_no_kind_are_not_served() -> None:
    junction = AskedJunction()
    bus = junction.vehicle(1, StationRole.PUBLIC_TRANSPORT)
    now = junction.clock.now()
    assert junction.ask(bus, srem_of(bus, now, role=BUS, junction=IntersectionId(1, 2))) == []
    assert junction.answers() == {}
    assert junction.service.counters["elsewhere"] == 1
    assert junction.ask(bus, srem_of(bus, junction.clock.now(), role=BUS, kind=0)) == ["priority_unknown_kind"]
    assert junction.controller.asked == []
