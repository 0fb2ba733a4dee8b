"""A warning of vehicles is told in the unit's own name when witnesses agree, and in no other case. Real stations on both ends."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.corroboration import LOOK_EVERY_NS, MAX_CONSIDERED, MAX_UNHEEDED_A_MINUTE, Corroboration, Policy
from rsu_agent.corroboration_config import CorroborationConfig
from rsu_agent.peers import Peer, PeerTable
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import HashedId8, MessageId, StationId
from shared.facilities.received_events import ReceivedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, RelevanceDistance, RelevanceTrafficDirection, Termination
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.claimed import claim_of
from shared.stack.effects import Notice, Transmit
from shared.stack.inbound import Inbound
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
UNIT = StationId(4049)
SITE = displaced(HERE, 100.0, 0.0)
AREA = Circle(centre=SITE, radius_m=500.0)


class Road:
    """Units with a policy, and cars that say what they are told to; everybody hears everybody."""

    def __init__(self, policy: Policy | None, *, units: int = 1) -> None:
        self.units: list[RsuAgent] = []
        for number in range(units):
            ticket = HIERARCHY.ticket(StationRole.RSU)
            parts = RsuParts(
                station_id=StationId(UNIT + number),
                position=displaced(HERE, 20.0 * number, 0.0),
                ticket=ticket,
                trust_store=HIERARCHY.trust_store,
                tickets=pool_of(ticket),
                corroboration=policy,
            )
            self.units.append(make_agent(parts, entropy=Random(number + 1).randbytes))
        self.agent = self.units[0]
        self.clock: ManualClock = clock_at()
        self.around: dict[int, GeoPoint] = {}
        self.said: list[bytes] = []
        self.notices: list[Notice] = []
        self._listener = Inbound(make_peer(HIERARCHY, 99))
        self._cars: dict[int, Station] = {}

    def car(self, number: int, role: StationRole = StationRole.VEHICLE) -> Station:
        return self._cars.setdefault(number, make_peer(HIERARCHY, number, role))

    def drives(self, number: int, point: GeoPoint) -> None:
        car, now = self.car(number), self.clock.now()
        cam = replace(cam_of(car, now, point), speed_mps=0.0)
        self._on_air(car.send(cam, position=ego(now, point), now=now))

    def warns(
        self,
        number: int,
        point: GeoPoint = SITE,
        *,
        of: CauseCode = CauseCode.STATIONARY_VEHICLE,
        at: GeoPoint | None = None,
        ends: bool = False,
        speed_mps: float = 0.0,
        sequence_number: int = 1,
        **details: Any,
    ) -> bytes:
        car, now = self.car(number), self.clock.now()
        place = displaced(point, 8.0 * number, 0.0) if at is None else at
        denm = replace(denm_of(car, now, cause=of, point=point, sequence_number=sequence_number), **details)
        if ends:
            denm = replace(denm, termination=Termination.IS_CANCELLATION, cause_code=None, information_quality=None)
        packet = car.send(denm, position=replace(ego(now, place), speed_mps=speed_mps), now=now, area=AREA)
        self._on_air(packet)
        return packet

    def runs(self, seconds: float) -> list[Denm]:
        """Return what units warn of meanwhile, as a car hears it; who is around says so twice a second."""
        end, told = self.clock.now().monotonic + round(seconds * NS_PER_S), list[Denm]()
        while (now := self.clock.now().monotonic) < end:
            for number, point in self.around.items():
                self.drives(number, point)
            told += self._heard(min(0.5, (end - now) / NS_PER_S))
        return told

    def _heard(self, seconds: float) -> Iterator[Denm]:
        end = self.clock.now().monotonic + round(seconds * NS_PER_S)
        while (due := max(min(unit.next_due() for unit in self.units), self.clock.now().monotonic)) <= end:
            now = self.clock.advance_to(MonotonicNs(due))
            for unit in self.units:
                for effect in unit.on_timer(now) if unit.next_due() <= now.monotonic else ():
                    if isinstance(effect, Notice):
                        self.notices.append(effect)
                    if isinstance(effect, Transmit):
                        yield from self._said_by(unit, effect.packet)
        self.clock.advance_to(MonotonicNs(end))

    def _said_by(self, unit: RsuAgent, packet: bytes) -> Iterator[Denm]:
        self.said.append(packet)
        self._on_air(packet, by=unit)
        heard = self._listener.receive(packet, self.clock.now())
        denm = None if heard is None else heard.of(Denm)
        if denm is not None and denm.message.station_id >= UNIT:
            yield denm.message

    def _on_air(self, packet: bytes, *, by: RsuAgent | None = None) -> None:
        for unit in self.units:
            if unit is not by:
                unit.on_packet(packet, self.clock.now())


def is_geocast(packet: bytes) -> bool:
    return packet[3] > 1


def known(road: Road, *numbers: int) -> None:
    """Let cars come, stay, and be heard for long enough."""
    for number in numbers:
        road.around[number] = displaced(SITE, 8.0 * number, 0.0)
    road.runs(5.0)


def test_what_one_car_warns_of_is_not_told_and_what_two_warn_of_is() -> None:
    road = Road(Policy())
    known(road, 1, 2)
    road.warns(1)
    assert road.runs(3.0) == []
    road.warns(2, displaced(SITE, 20.0, 0.0))
    told = road.runs(3.0)
    assert told
    assert {(each.cause_code, each.station_id, each.action_id.originating_station_id) for each in told} == {
        (CauseCode.STATIONARY_VEHICLE, UNIT, UNIT)
    }
    place = told[0]
    assert place.lat_deg is not None
    assert place.lon_deg is not None
    assert distance_m(GeoPoint(place.lat_deg, place.lon_deg), displaced(SITE, 10.0, 0.0)) < 1.0
    assert place.information_quality == 4


def not_corroborated(road: Road) -> list[Notice]:
    return [each for each in road.notices if each.kind == "hazard_not_corroborated"]


def test_what_one_car_alone_has_warned_of_for_a_while_is_noted_once_and_by_whom() -> None:
    road = Road(Policy())
    known(road, 1, 2)
    road.warns(1)
    road.runs(3.0)
    assert not_corroborated(road) == [], "somebody may still confirm it"
    road.runs(10.0)
    (noted,) = not_corroborated(road)
    assert (noted.fields["station_id"], noted.fields["cause_code"]) == (1, CauseCode.STATIONARY_VEHICLE)
    assert noted.fields["reason"] == "too few witnesses that count"
    road.warns(2)
    assert road.runs(10.0)
    assert len(not_corroborated(road)) == 1


def test_many_who_warn_each_alone_do_not_fill_the_journal() -> None:
    road = Road(Policy())
    for number in range(1, MAX_UNHEEDED_A_MINUTE + 10):
        road.warns(number, displaced(SITE, 0.0, 0.5 * number), at=displaced(SITE, 0.0, 500.0))
    road.runs(12.0)
    assert len(not_corroborated(road)) == MAX_UNHEEDED_A_MINUTE


def test_without_a_policy_it_is_never_told() -> None:
    road = Road(None)
    known(road, 1, 2)
    road.warns(1)
    road.warns(2)
    assert road.runs(5.0) == []


def test_three_witnesses_can_be_asked_for() -> None:
    road = Road(Policy(witnesses=3))
    known(road, 1, 2, 3)
    road.warns(1)
    road.warns(2)
    assert road.runs(3.0) == []
    road.warns(3)
    assert road.runs(3.0)


def test_two_tickets_at_one_place_are_one_witness() -> None:
    road = Road(Policy())
    road.around = {1: SITE, 2: displaced(SITE, 2.0, 0.0)}
    road.runs(5.0)
    road.warns(1, at=SITE)
    road.warns(2, at=displaced(SITE, 2.0, 0.0))
    assert road.runs(5.0) == []
    road.around[2] = displaced(SITE, 8.0, 0.0)
    assert road.runs(2.0), "one drives away from the other: they are two"
    road.around[2] = displaced(SITE, 2.0, 0.0)
    assert road.runs(2.0)
    assert road.runs(20.0)[-1].termination is None, "once seen to be two, they are"


@pytest.mark.parametrize("known_s", [3.0, 0.0])
def test_one_car_under_one_name_after_another_is_one_witness_however_far_it_drives_meanwhile(known_s: float) -> None:
    road = Road(Policy(known_s=known_s))
    for name in (1, 2, 3):
        road.around = {name: displaced(SITE, 40.0 * name, 0.0)}
        road.drives(name, road.around[name])
        road.warns(name, at=road.around[name])
        assert road.runs(10.0) == []
    assert road.agent.events.counters["new"] == 3, "all three warnings hold"
    known(road, 4)
    road.warns(4)
    assert road.runs(3.0), "somebody else, while the last is around"


def test_two_tickets_of_one_car_that_drives_and_speaks_under_both_are_one_witness() -> None:
    road = Road(Policy())
    speed_mps, driven_m = 20.0, -300.0
    for turn in range(30):
        driven_m += speed_mps * 0.5
        number, place = turn % 2 + 1, displaced(SITE, driven_m, 0.0)
        car, now = road.car(number), road.clock.now()
        cam = replace(cam_of(car, now, place), speed_mps=speed_mps)
        road.agent.on_packet(car.send(cam, position=ego(now, place), now=now), now)
        if turn > 20:
            road.warns(number, at=place, speed_mps=speed_mps, sequence_number=turn)
        assert road.runs(0.5) == []


def test_units_that_hear_each_other_do_not_keep_an_event_alive_between_them() -> None:
    road = Road(Policy(hold_s=10.0))
    for number in (7, 8):
        road.car(number, StationRole.RSU)
    known(road, 1, 7, 8)
    for number in (1, 7, 8):
        road.warns(number)
    assert road.runs(10.0) == [], "two units and one car are one witness"


def test_units_within_each_others_hearing_all_tell_of_what_cars_agree_on_and_all_end_it_with_them() -> None:
    road = Road(Policy(hold_s=5.0), units=3)
    known(road, 1, 2)
    for number in (1, 2):
        road.warns(number)
    assert {denm.station_id for denm in road.runs(5.0)} == {UNIT, UNIT + 1, UNIT + 2}
    assert {len(unit.events) for unit in road.units} == {4}, "each knows both cars' and what the two others say"
    for number in (1, 2):
        road.warns(number, ends=True)
    road.runs(10.0)
    assert [unit.hazards.placed for unit in road.units] == [(), (), ()]
    assert {denm.termination for denm in road.runs(20.0)} == {Termination.IS_CANCELLATION}
    assert road.runs(10.0) == []


def test_of_details_only_what_all_say_is_told() -> None:
    towards: dict[str, Any] = {"relevance_traffic_direction": RelevanceTrafficDirection.UPSTREAM_TRAFFIC, "traces": ((),)}
    road = Road(Policy())
    known(road, 1, 2, 3)
    road.warns(1, sub_cause_code=2, event_heading_deg=350.0, event_heading_confidence_deg=5.0, **towards)
    road.warns(2, sub_cause_code=2, event_heading_deg=10.0, event_heading_confidence_deg=5.0, **towards)
    (told, *_) = road.runs(2.0)
    assert (told.sub_cause_code, told.event_heading_deg) == (2, 350.0)
    assert told.relevance_traffic_direction is RelevanceTrafficDirection.UPSTREAM_TRAFFIC

    road = Road(Policy())
    known(road, 1, 2)
    far = RelevanceDistance.OVER_10KM
    road.warns(1, sub_cause_code=3, event_heading_deg=90.0, event_heading_confidence_deg=5.0, relevance_distance=far, **towards)
    road.warns(2, event_heading_deg=270.0, event_heading_confidence_deg=5.0, relevance_distance=far, **towards)
    (told, *_) = road.runs(2.0)
    assert (told.sub_cause_code, told.event_heading_deg) == (0, None)
    assert told.relevance_traffic_direction is RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS
    assert told.relevance_distance is RelevanceDistance.LESS_THAN_500M, "as the policy says, however far they say"


def test_an_echo_of_the_units_own_warning_and_copies_of_anothers_are_no_witnesses() -> None:
    road = Road(Policy(hold_s=5.0))
    known(road, 1, 2)
    sent = [road.warns(number) for number in (1, 2)]
    own = {each.action_id for each in road.runs(3.0)}
    assert len(own) == 1
    echoes = [packet for packet in road.said if is_geocast(packet)]
    road.warns(2, ends=True)
    for _ in range(10):
        for packet in (*echoes, *sent):
            road.agent.on_packet(packet, road.clock.now())
        road.runs(1.0)
    assert road.agent.hazards.placed == ()
    assert road.agent.inbound.echoes + road.agent.inbound.copies > 0


def test_who_was_just_where_it_cannot_have_been_is_no_witness_until_it_makes_sense_again() -> None:
    road = Road(Policy())
    known(road, 1, 2)
    road.drives(2, displaced(SITE, 5_000.0, 0.0))
    for number in (1, 2):
        road.warns(number)
    assert road.runs(3.0) == []
    assert road.agent.status(road.clock.now())["peers"]
    assert road.runs(15.0), "believed again"


def test_who_came_just_now_is_no_witness() -> None:
    road = Road(Policy(known_s=3.0))
    known(road, 1)
    road.warns(1)
    road.warns(2)
    road.around[2] = displaced(SITE, 16.0, 0.0)
    assert road.runs(2.0) == []
    assert road.runs(3.0), "heard for long enough by now"


@pytest.mark.parametrize(
    "second",
    [
        {"of": CauseCode.ACCIDENT},
        {"point": displaced(SITE, 150.0, 0.0)},
        {"at": displaced(SITE, 0.0, 700.0)},
    ],
)
def test_who_says_something_else_or_of_somewhere_else_or_from_afar_corroborates_nothing(second: dict[str, Any]) -> None:
    road = Road(Policy())
    known(road, 1, 2)
    road.warns(1)
    road.warns(2, **second)
    assert road.runs(5.0) == []


def test_what_only_one_car_can_know_of_is_not_told_however_many_say_so() -> None:
    road = Road(Policy())
    known(road, 1, 2)
    for number in (1, 2):
        road.warns(number, of=CauseCode.HUMAN_PROBLEM)
    assert road.runs(5.0) == []


def test_an_event_out_of_reach_is_not_told() -> None:
    road = Road(Policy(reach_m=50.0))
    known(road, 1, 2)
    road.warns(1)
    road.warns(2)
    assert road.runs(5.0) == []


def test_once_too_few_agree_it_is_told_for_a_while_and_then_cancelled() -> None:
    road = Road(Policy(hold_s=10.0))
    known(road, 1, 2)
    road.warns(1)
    road.warns(2)
    assert all(each.termination is None for each in road.runs(5.0))
    road.warns(2, ends=True)
    told = road.runs(9.0)
    assert told
    assert all(each.termination is None for each in told)
    assert {each.termination for each in road.runs(5.0)} >= {Termination.IS_CANCELLATION}
    assert road.agent.hazards.placed == ()


def test_the_status_says_how_many_agree() -> None:
    road = Road(Policy())
    known(road, 1, 2, 3)
    for number in (1, 2, 3):
        road.warns(number)
    road.runs(2.0)
    status = road.agent.status(road.clock.now())
    sources = status["hazard_sources"]
    assert isinstance(sources, dict)
    assert sources["vehicles"]["told"] == {"v1": 3}
    hazards = status["hazards"]
    assert isinstance(hazards, list)
    (hazard,) = hazards
    assert (hazard["source"], hazard["id"], hazard["ends"]) == ("vehicles", "v1", None)


def test_a_flood_of_warnings_costs_a_bounded_look() -> None:
    clock, events, peers = clock_at(), ReceivedEvents(), PeerTable()
    asked: list[bytes] = []

    def find(ticket: HashedId8) -> Peer | None:
        asked.append(ticket)
        return peers.find(ticket)

    now = clock.now()
    listener = Inbound(make_peer(HIERARCHY, 99))
    for number in range(MAX_CONSIDERED + 10):
        car = make_peer(HIERARCHY, number + 1)
        point = displaced(HERE, 5.0 * number, 0.0)
        heard = listener.receive(car.send(denm_of(car, now, point=point), position=ego(now, point), now=now, area=AREA), now)
        denm = None if heard is None else heard.of(Denm)
        assert denm is not None
        events.hear(denm, now)
        peers.heard(denm.signer.hashed_id8, denm.message.station_id, MessageId.DENM, now, claim=claim_of(denm))
    watch = Corroboration(Policy(known_s=0.0), events=events, find=find, here=HERE)
    assert watch.look(now)
    assert len(asked) == MAX_CONSIDERED
    assert watch.next_due() == now.monotonic + LOOK_EVERY_NS


def test_one_witness_is_refused_as_a_policy() -> None:
    with pytest.raises(ValueError, match="one witness corroborates nothing"):
        Corroboration(Policy(witnesses=1), events=(), find=PeerTable().find, here=HERE)
    with pytest.raises(ValueError, match="'accidents' is not one of"):
        CorroborationConfig(causes=("accidents",))
    assert CorroborationConfig(causes=("accident",)).policy.causes == {CauseCode.ACCIDENT}
    assert LOOK_EVERY_NS >= 500 * NS_PER_MS
