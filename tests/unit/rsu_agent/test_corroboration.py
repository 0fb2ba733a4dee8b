"""A warning of vehicles is told in the unit's own name when witnesses agree, and in no other case. Real stations on both ends."""

from collections.abc import Iterator
from random import Random

import pytest
from msgspec.structs import replace

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.corroboration import LOOK_EVERY_NS, MAX_CONSIDERED, Corroboration, Policy
from rsu_agent.corroboration_config import CorroborationConfig
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import StationId
from shared.facilities.received_events import ReceivedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.stack.effects import Transmit
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
    """A unit with a policy, and cars that say what they are told to."""

    def __init__(self, policy: Policy | None) -> None:
        ticket = HIERARCHY.ticket(StationRole.RSU)
        parts = RsuParts(
            station_id=UNIT,
            position=HERE,
            ticket=ticket,
            trust_store=HIERARCHY.trust_store,
            tickets=pool_of(ticket),
            corroboration=policy,
        )
        self.agent: RsuAgent = make_agent(parts, entropy=Random(1).randbytes)
        self.clock: ManualClock = clock_at()
        self._listener = Inbound(make_peer(HIERARCHY, 99))
        self._cars: dict[int, Station] = {}

    def car(self, number: int) -> Station:
        return self._cars.setdefault(number, make_peer(HIERARCHY, number))

    def drives(self, number: int, point: GeoPoint) -> None:
        car, now = self.car(number), self.clock.now()
        self.agent.on_packet(car.send(cam_of(car, now, point), position=ego(now, point), now=now), now)

    def warns(
        self,
        number: int,
        point: GeoPoint = SITE,
        *,
        of: CauseCode = CauseCode.STATIONARY_VEHICLE,
        at: GeoPoint | None = None,
        ends: bool = False,
    ) -> None:
        car, now = self.car(number), self.clock.now()
        place = displaced(point, 8.0 * number, 0.0) if at is None else at
        denm = denm_of(car, now, cause=of, point=point)
        if ends:
            denm = replace(denm, termination=Termination.IS_CANCELLATION, cause_code=None, information_quality=None)
        self.agent.on_packet(car.send(denm, position=ego(now, place), now=now, area=AREA), now)

    def runs(self, seconds: float) -> list[Denm]:
        """Return what the unit warns of meanwhile, as a car hears it."""
        return list(self._heard(seconds))

    def _heard(self, seconds: float) -> Iterator[Denm]:
        end = self.clock.now().monotonic + round(seconds * NS_PER_S)
        while max(self.agent.next_due(), self.clock.now().monotonic) <= end:
            now = self.clock.advance_to(MonotonicNs(max(self.agent.next_due(), self.clock.now().monotonic)))
            for effect in self.agent.on_timer(now):
                if not isinstance(effect, Transmit):
                    continue
                heard = self._listener.receive(effect.packet, now)
                denm = None if heard is None else heard.of(Denm)
                if denm is not None and denm.message.station_id == UNIT:
                    yield denm.message
        self.clock.advance_to(MonotonicNs(end))


def known(road: Road, *numbers: int) -> None:
    """Let cars be heard for long enough."""
    for _ in range(5):
        for number in numbers:
            road.drives(number, displaced(SITE, 8.0 * number, 0.0))
        road.runs(1.0)


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
    known(road, 1, 2)
    road.warns(1, at=SITE)
    road.warns(2, at=displaced(SITE, 1.0, 0.0))
    assert road.runs(5.0) == []


def test_who_came_just_now_is_no_witness() -> None:
    road = Road(Policy(known_s=3.0))
    known(road, 1)
    road.warns(1)
    road.warns(2)
    assert road.runs(2.0) == []
    road.drives(2, displaced(SITE, 16.0, 0.0))
    assert road.runs(3.0), "heard for long enough by now"


@pytest.mark.parametrize(
    "second",
    [
        {"of": CauseCode.ACCIDENT},
        {"point": displaced(SITE, 150.0, 0.0)},
        {"at": displaced(SITE, 0.0, 700.0)},
    ],
)
def test_who_says_something_else_or_of_somewhere_else_or_from_afar_corroborates_nothing(second: dict[str, object]) -> None:
    road = Road(Policy())
    known(road, 1, 2)
    road.warns(1)
    road.warns(2, **second)  # type: ignore[arg-type]  # as `warns` takes them
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
    clock, events = clock_at(), ReceivedEvents()
    asked: list[bytes] = []

    def vouch(ticket: bytes, _now: object) -> bool:
        asked.append(ticket)
        return True

    now = clock.now()
    listener = Inbound(make_peer(HIERARCHY, 99))
    for number in range(MAX_CONSIDERED + 10):
        car = make_peer(HIERARCHY, number + 1)
        point = displaced(HERE, 5.0 * number, 0.0)
        heard = listener.receive(car.send(denm_of(car, now, point=point), position=ego(now, point), now=now, area=AREA), now)
        denm = None if heard is None else heard.of(Denm)
        assert denm is not None
        events.hear(denm, now)
    watch = Corroboration(Policy(), events=events, vouch=vouch, here=HERE)
    assert watch.look(now)
    assert len(asked) == MAX_CONSIDERED
    assert watch.next_due() == now.monotonic + LOOK_EVERY_NS


def test_one_witness_is_refused_as_a_policy() -> None:
    with pytest.raises(ValueError, match="one witness corroborates nothing"):
        Corroboration(Policy(witnesses=1), events=(), vouch=lambda _ticket, _now: True, here=HERE)
    with pytest.raises(ValueError, match="'accidents' is not one of"):
        CorroborationConfig(causes=("accidents",))
    assert CorroborationConfig(causes=("accident",)).policy.causes == {CauseCode.ACCIDENT}
    assert LOOK_EVERY_NS >= 500 * NS_PER_MS
