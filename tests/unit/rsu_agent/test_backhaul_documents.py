"""What goes to a traffic centre fits into a publication, and what comes from there is a hazard or refused."""

import json
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu_agent.backhaul_documents import ALL_UNITS, PEERS_PER_DOCUMENT, EventNews, Topics, decode_hazard, traffic_documents
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.object_lists import MAX_OBJECTS, decode_object_list
from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError, DecodeError
from shared.core.geo import displaced
from shared.core.ids import StationId
from shared.core.itstime import utc_from_text
from shared.facilities.received_events import ReceivedEvents
from shared.messages.denm import Denm
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.service.mqtt_documents import MAX_DOCUMENT_OCTETS
from shared.stack.inbound import Inbound
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
    assert list(traffic_documents(agent.peers, now.monotonic, clock.advance(NS_PER_S))) == []


def test_an_event_is_told_when_it_is_new_when_it_changes_and_when_it_is_over_and_not_in_between() -> None:
    clock, events, news = clock_at(), ReceivedEvents(), EventNews()
    listener, car = Inbound(make_peer(HIERARCHY, 99)), make_peer(HIERARCHY, 9)

    def warns() -> None:
        now = clock.now()
        packet = car.send(denm_of(car, now), position=ego(now), now=now, area=Circle(centre=HERE, radius_m=300.0))
        heard = listener.receive(packet, now)
        denm = None if heard is None else heard.of(Denm)
        assert denm is not None
        events.hear(denm, now)

    def told() -> list[str]:
        return [json.loads(each)["news"] for each in news.changes(events, clock.now())]

    warns()
    assert (told(), told()) == (["new"], [])
    clock.advance(NS_PER_S)
    warns()
    assert (told(), told()) == (["changed"], [])
    clock.advance(601 * NS_PER_S)
    events.expire(clock.now().monotonic)
    assert (told(), told()) == (["over"], [])


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
