"""What goes to a traffic centre fits into a publication, and what comes from there is a hazard or refused."""

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rsu_agent.backhaul_config import BackhaulConfig
from rsu_agent.backhaul_documents import (
    ALL_UNITS,
    MAX_EVENT_EXPIRY_S,
    PEERS_PER_DOCUMENT,
    EventNews,
    Topics,
    decode_hazard,
    traffic_documents,
)
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.object_lists import MAX_OBJECTS, decode_object_list
from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError
from shared.core.geo import displaced
from shared.core.ids import ActionId, StationId
from shared.core.itstime import utc_from_text
from shared.facilities.received_events import ReceivedEvents
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.service.mqtt_documents import MAX_DOCUMENT_OCTETS
from shared.stack.inbound import Inbound
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer
from tests.helpers.pools import pool_of

HIERARCHY = Hierarchy(1)
GOOD = {
    "until": "2026-11-29T13:00:00Z",
    "hazard": {"cause": "accident", "lat_deg": 48.1, "lon_deg": 11.5, "relevance_distance_m": 500.0, "radius_m": 300.0},
}


def test_traffic_is_told_in_parts_that_fit_and_only_of_who_was_heard_since() -> None:
    ticket, clock = HIERARCHY.ticket(StationRole.RSU), clock_at()
    parts = RsuParts(
        station_id=StationId(4049), position=HERE, ticket=ticket, trust_store=HIERARCHY.trust_store, tickets=pool_of(ticket)
    )
    agent, now = make_agent(parts, entropy=Random(1).randbytes), clock.now()
    for number in range(PEERS_PER_DOCUMENT + 6):
        car, point = make_peer(HIERARCHY, number + 1), displaced(HERE, -33.333_333 * number, 7.777_777)
        agent.on_packet(car.send(cam_of(car, now, point), position=ego(now, point), now=now), now)
    told = list(traffic_documents(agent.peers, MonotonicNs(-1), now))
    assert [len(json.loads(each)["peers"]) for each in told] == [PEERS_PER_DOCUMENT, 6]
    assert max(len(each) for each in told) <= MAX_DOCUMENT_OCTETS
    assert len(list(traffic_documents(agent.peers, now.monotonic, now))) == 2, "heard in the moment that was told of last"
    assert list(traffic_documents(agent.peers, MonotonicNs(now.monotonic + 1), clock.advance(NS_PER_S))) == []


class Warned:
    """Events heard from cars, and the news of them."""

    def __init__(self) -> None:
        self.clock, self.events, self.news = clock_at(), ReceivedEvents(), EventNews()
        self._listener = Inbound(make_peer(HIERARCHY, 99))

    def warns(self, car: Station, **changes: Any) -> None:
        now = self.clock.now()
        denm = replace(denm_of(car, now), **changes)
        heard = self._listener.receive(car.send(denm, position=ego(now), now=now, area=Circle(centre=HERE, radius_m=300.0)), now)
        indication = None if heard is None else heard.of(Denm)
        assert indication is not None
        self.events.hear(indication, now)

    def told(self) -> list[tuple[int, bool]]:
        """Which events are told of now, and whether they last."""
        self.events.expire(self.clock.now().monotonic)
        return [(each.number, bool(each.octets)) for each in self.news.changes(self.events, self.clock.now())]


def test_an_event_is_told_when_it_is_new_when_it_changes_and_when_it_is_over_and_not_in_between() -> None:
    warned, car = Warned(), make_peer(HIERARCHY, 9)
    warned.warns(car)
    assert (warned.told(), warned.told()) == ([(1, True)], [])
    warned.clock.advance(NS_PER_S)
    warned.warns(car)
    assert (warned.told(), warned.told()) == ([(1, True)], [])
    warned.news.repeat()
    assert (warned.told(), warned.told()) == ([(1, True)], [])
    warned.clock.advance(601 * NS_PER_S)
    assert (warned.told(), warned.told()) == ([(1, False)], [])
    warned.warns(car)
    assert warned.told() == [(2, True)], "another event has another number"


def test_the_broker_forgets_an_event_whose_unit_was_lost_and_no_other() -> None:
    warned = Warned()
    warned.warns(make_peer(HIERARCHY, 9), validity_duration_s=40_000)
    warned.warns(make_peer(HIERARCHY, 8), validity_duration_s=60)
    now = warned.clock.now()
    assert [each.expiry_s for each in warned.news.changes(warned.events, now)] == [MAX_EVENT_EXPIRY_S, 60]
    warned.clock.advance((MAX_EVENT_EXPIRY_S // 2 - 1) * NS_PER_S)
    assert warned.told() == [(2, False)]
    warned.clock.advance(NS_PER_S)
    assert warned.told() == [(1, True)]


def test_who_warns_under_anothers_action_id_and_takes_that_back_ends_its_own_event_alone() -> None:
    warned, car, impostor = Warned(), make_peer(HIERARCHY, 9), make_peer(HIERARCHY, 8)
    warned.warns(car)
    claimed = ActionId(car.identity.station_id, 1)
    warned.warns(impostor, action_id=claimed)
    assert warned.told() == [(1, True), (2, True)]
    warned.clock.advance(NS_PER_S)
    ended = {"termination": Termination.IS_CANCELLATION, "cause_code": None, "information_quality": None}
    warned.warns(impostor, action_id=claimed, **ended)
    assert warned.told() == [(2, False)]


def test_no_unit_is_called_like_the_level_of_hazards_for_all() -> None:
    with pytest.raises(ValueError, match="can be no unit's name"):
        BackhaulConfig(host="127.0.0.1", unit="hazard")
    assert BackhaulConfig(host="127.0.0.1", unit="hazards").unit == "hazards"


@pytest.mark.parametrize(
    ("topic", "hazard_id"),
    [
        ("v2x/backhaul/hazard/a7", f"{ALL_UNITS}a7"),
        ("v2x/backhaul/unit/hazard/a7", "a7"),
        ("v2x/backhaul/unit/hazard/A.b-c_9", "A.b-c_9"),
    ],
)
def test_the_id_of_a_hazard_is_the_last_level_of_its_topic(topic: str, hazard_id: str) -> None:
    assert Topics("v2x/backhaul", "unit").hazard_id(topic) == hazard_id


@pytest.mark.parametrize(
    "topic",
    ["v2x/backhaul/hazard/", "v2x/backhaul/hazard/-a", "v2x/backhaul/hazard/ä", "v2x/backhaul/other/hazard/a", "", "x" * 9_000],
)
def test_what_can_be_no_id_is_refused(topic: str) -> None:
    with pytest.raises(DecodeError, match="last level"):
        Topics("v2x/backhaul", "unit").hazard_id(topic)


def test_a_document_of_the_centre_cut_anywhere_is_refused() -> None:
    octets = json.dumps(GOOD).encode()
    assert decode_hazard(octets).until_utc_s * NS_PER_S == utc_from_text("2026-11-29T13:00:00Z")
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_hazard(octets[:end])


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["until", "hazard", "cause", "lat_deg", "lon_deg", "radius_m", "objects", "utc", "kind", "confidence"]),
            inner,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_a_value_or_refused(octets: bytes) -> None:
    with suppress(DecodeError, ConfigError):
        assert decode_hazard(octets).hazard.cause_code > 0
    with suppress(DecodeError):
        assert len(decode_object_list(octets).objects) <= MAX_OBJECTS
