"""Topics, filters, and the surroundings of a station on the move."""

import pytest

from shared.core.geo import GeoPoint, displaced
from shared.transport.mqtt_area import Surroundings
from shared.transport.mqtt_topics import TopicGrammar
from shared.transport.quadkey import quadkey

MAC = bytes.fromhex("0200000000ff")
TURIN = GeoPoint(45.07, 7.68)
GRAMMAR = TopicGrammar(namespace="5GCroCo")


def matches(topic: str, topic_filter: str) -> bool:
    wanted, there = topic_filter.split("/"), topic.split("/")
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(there) or level not in ("+", there[at]):
            return False
    return len(wanted) == len(there)


def test_a_publication_has_a_level_for_each_digit_of_its_place() -> None:
    topic = GRAMMAR.publication("denm", MAC, GeoPoint(48.6263556, 2.2492123))
    assert topic.startswith("5GCroCo/inQueue/v2x/denm/0200000000ff/1/2/0/2/2/0/0/1/1/2/0/3/1/0/0/3/2/3/")
    assert len(topic.split("/")) == 5 + 22


def test_a_subscription_is_a_tile_and_all_in_it() -> None:
    assert GRAMMAR.subscription("cam", "0123") == "5GCroCo/outQueue/v2x/cam/+/0/1/2/3/#"
    assert GRAMMAR.subscription("cam", "") == "5GCroCo/outQueue/v2x/cam/+/#"


def test_what_a_relay_copies_keeps_all_behind_the_queue() -> None:
    topic = GRAMMAR.publication("cam", MAC, TURIN)
    assert GRAMMAR.relayed(topic) == topic.replace("inQueue", "outQueue")
    assert matches(topic, GRAMMAR.inbox)


@pytest.mark.parametrize("topic", ["5GCroCo/outQueue/v2x/cam/a/0", "other/inQueue/v2x/cam", "5GCroCo/inQueue/" + "x" * 600])
def test_a_relay_copies_nothing_from_elsewhere(topic: str) -> None:
    assert GRAMMAR.relayed(topic) is None


@pytest.mark.parametrize("namespace", ["", "a/", "/a", "a//b", "a/#", "+", "$SYS", "ä", "a b", "x" * 65, "a\0"])
def test_a_namespace_that_is_no_topic_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        TopicGrammar(namespace=namespace)


@pytest.mark.parametrize("queue", ["", "a/b", "#", "+"])
def test_a_queue_that_is_no_level_is_refused(queue: str) -> None:
    with pytest.raises(ValueError, match="queue"):
        TopicGrammar(listen_queue=queue)


class TestSurroundings:
    def hears(self, surroundings: Surroundings, place: GeoPoint, kind: str = "cam") -> bool:
        topic = TopicGrammar(publish_queue="outQueue").publication(kind, MAC, place)
        return any(matches(topic, each) for each in surroundings.filters)

    def test_what_is_within_the_distance_is_heard_wherever_one_drives(self) -> None:
        surroundings = Surroundings(TopicGrammar(), {"cam": 500.0, "denm": 2_000.0})
        changes = 0
        for step in range(2_000):
            here = displaced(TURIN, 10.0 * step, 4.0 * step)
            changes += surroundings.move(here)
            for east_m, north_m in ((495.0, 0.0), (-350.0, 350.0), (0.0, -495.0)):
                assert self.hears(surroundings, displaced(here, east_m, north_m))
                assert self.hears(surroundings, displaced(here, 4 * east_m, 4 * north_m), "denm")
            assert len(surroundings.filters) <= 8
        assert 5 < changes < 120

    def test_what_is_far_away_is_not(self) -> None:
        surroundings = Surroundings(TopicGrammar(), {"cam": 500.0})
        assert surroundings.move(TURIN)
        assert not self.hears(surroundings, displaced(TURIN, 10_000.0, 0.0))
        assert not self.hears(surroundings, TURIN, "denm")

    def test_who_drives_to_and_fro_across_a_border_stays_subscribed(self) -> None:
        edge = GeoPoint(0.0, 0.0)
        surroundings = Surroundings(TopicGrammar(), {"cam": 500.0})
        changes = sum(surroundings.move(displaced(edge, 60.0 * (-1) ** step, 0.0)) for step in range(100))
        assert changes == 1

    def test_across_the_antimeridian_nothing_is_missed(self) -> None:
        surroundings = Surroundings(TopicGrammar(), {"cam": 500.0})
        for step in range(-20, 20):
            here = displaced(GeoPoint(-16.8, 180.0), 50.0 * step, 0.0)
            surroundings.move(here)
            for east_m in (-490.0, 490.0):
                assert self.hears(surroundings, displaced(here, east_m, 0.0)), quadkey(here)
