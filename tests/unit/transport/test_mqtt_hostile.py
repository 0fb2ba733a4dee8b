"""Brokers that refuse, lie, repeat and send rubbish: counted, said and survived."""

import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest

from shared.core.clock import ManualClock
from shared.network.packet import MAX_PACKET_OCTETS
from shared.transport.mqtt_radio import MqttRadio
from shared.transport.radio import NOT_YET
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.hostile_broker import (
    ACCEPTED,
    CONNECT,
    PUBLISH,
    SUBSCRIBE,
    Answer,
    disconnect,
    hostile_broker,
    manners,
    number_of,
    puback,
    publish,
    refused,
    suback,
)
from tests.helpers.mqtt_medium import open_radio, plain
from tests.helpers.stations import TURIN, Speaker

PATIENCE_S = 20.0
"""A guard against a hung test; nothing waits for it to pass."""

MAC = bytes.fromhex("020000000001")

Scene = Callable[[MqttRadio], Coroutine[object, object, None]]


def with_radio(answer: Answer, scene: Scene) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S), hostile_broker(answer) as port:
            radio = open_radio(plain("127.0.0.1", port), ManualClock(NOON))
            radio.attend(TURIN)
            try:
                await scene(radio)
            finally:
                radio.close()

    asyncio.run(guarded_scene())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (0x87, "the broker refuses: Not authorized"),
        (0x86, "the broker refuses: Bad user name or password"),
        (0x97, "the broker refuses: Quota exceeded"),
        (0x84, "the broker refuses: Unsupported protocol version"),
        (0x9F, "the broker refuses: Connection rate exceeded"),
    ],
)
def test_a_refusal_is_told_in_the_brokers_words_and_tried_again(reason: int, words: str) -> None:
    async def scene(radio: MqttRadio) -> None:
        await until(lambda: radio.status()["failures"] == 2)
        assert radio.fault == words
        assert radio.status()["connections"] == 0

    with_radio(lambda _kind, _body: refused(reason), scene)


def test_a_broker_that_is_not_there_is_told_in_a_sentence() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        radio = open_radio(plain("127.0.0.1", port), ManualClock(NOON))
        assert radio.fault == NOT_YET
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: radio.status()["failures"] == 1)
        assert radio.fault == "nobody answers there: the connection was refused"
        radio.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "rubbish",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x20\x00",
        b"\xff" * 100,
        b"\x30\x02\xff\xff",
        b"",
    ],
)
def test_what_answers_with_rubbish_is_left_and_tried_again(rubbish: bytes) -> None:
    def answer(_kind: int, _body: bytes) -> bytes | None:
        return rubbish or None

    async def scene(radio: MqttRadio) -> None:
        await until(lambda: radio.status()["failures"] == 2)
        assert radio.fault

    with_radio(answer, scene)


@pytest.mark.parametrize(
    "rubbish", [b"\x30\x03\x00\x05x", b"\x32\x04\x00\x01t\x00", b"\xf0\x00", b"\x90\x00", b"\x40\x00", b"\x00\x00"]
)
def test_rubbish_in_the_middle_ends_the_connection_and_not_the_radio(rubbish: bytes) -> None:
    said: list[bytes] = []

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == SUBSCRIBE and not said:
            said.append(rubbish)
            return suback(body) + rubbish
        return manners(kind, body)

    async def scene(radio: MqttRadio) -> None:
        await until(lambda: radio.status()["connections"] == 2)
        await radio.settled()
        assert radio.fault is None
        assert radio.counts.interruptions == 1

    with_radio(answer, scene)


def test_a_packet_larger_than_any_is_not_read() -> None:
    said: list[bytes] = []

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == SUBSCRIBE and not said:
            said.append(b"")
            return suback(body) + b"\x30\xff\xff\xff\x7f" + bytes(1_000)
        return manners(kind, body)

    async def scene(radio: MqttRadio) -> None:
        await until(lambda: radio.counts.interruptions == 1)
        assert radio.fault == "the broker sends a packet of more than 8192 octets"
        await until(lambda: radio.status()["connections"] == 2)

    with_radio(answer, scene)


def test_payloads_that_are_no_packets_are_counted_and_what_comes_twice_is_delivered_twice() -> None:
    packet = b"\x12" * 100

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == SUBSCRIBE:
            return suback(body) + publish(b"") + publish(bytes(MAX_PACKET_OCTETS + 1)) + publish(packet) * 2
        return manners(kind, body)

    async def scene(radio: MqttRadio) -> None:
        assert [(await radio.receive()).packet for _ in range(2)] == [packet, packet]
        assert (radio.counts.dropped_empty, radio.counts.dropped_oversize, radio.counts.received) == (1, 1, 2)

    with_radio(answer, scene)


@pytest.fixture(name="car", scope="module")
def speaking_car() -> Speaker:
    return Speaker(Hierarchy(4))


class TestPublications:
    def test_a_refused_publication_is_counted_said_and_not_repeated(self, car: Speaker) -> None:
        published: list[bytes] = []

        def answer(kind: int, body: bytes) -> bytes | None:
            if kind == PUBLISH:
                published.append(body)
                return puback(number_of(body), 0x87)
            return manners(kind, body)

        async def scene(radio: MqttRadio) -> None:
            await radio.send(car.denm(NOON), source_mac=MAC)
            await radio.drained()
            assert (radio.status()["refused"], radio.status()["acknowledged"]) == (1, 0)
            assert radio.fault == "the broker refuses a publication: Not authorized"
            assert len(published) == 1

        with_radio(answer, scene)

    def test_a_refused_subscription_is_counted_and_said(self, car: Speaker) -> None:
        async def scene(radio: MqttRadio) -> None:
            await radio.settled()
            assert radio.status()["refused_filters"] == radio.status()["subscriptions"]
            assert radio.fault == "the broker refuses a subscription: Not authorized"

        with_radio(lambda kind, body: suback(body, 0x87) if kind == SUBSCRIBE else manners(kind, body), scene)

    def test_a_packet_the_broker_finds_too_large_is_not_sent_to_it(self, car: Speaker) -> None:
        small = bytes((0x20, 8, 0, 0, 5, 0x27)) + (100).to_bytes(4, "big")

        async def scene(radio: MqttRadio) -> None:
            await radio.send(car.denm(NOON), source_mac=MAC)
            await radio.drained()
            assert radio.status()["refused"] == 1
            assert radio.fault == "the broker takes no more than 100 octets"

        with_radio(lambda kind, body: small if kind == CONNECT else manners(kind, body), scene)

    def test_an_unacknowledged_publication_is_repeated_on_the_next_connection_in_its_place(self, car: Speaker) -> None:
        connections: list[list[bytes]] = []

        def answer(kind: int, body: bytes) -> bytes | None:
            if kind == CONNECT:
                connections.append([])
            if kind == PUBLISH:
                connections[-1].append(body[-100:])
                if len(connections) == 1:
                    return disconnect(0x8B) if len(connections[0]) == 3 else b""
            return manners(kind, body)

        async def scene(radio: MqttRadio) -> None:
            packets = [car.denm(NOON) for _ in range(3)]
            for packet in packets:
                await radio.send(packet, source_mac=MAC)
            await radio.drained()
            assert connections[0] == connections[1] == [packet[-100:] for packet in packets]
            status = radio.status()
            assert (status["handed"], status["repeated"], status["acknowledged"]) == (3, 3, 3)
            assert radio.counts.sent == 3

        with_radio(answer, scene)

    def test_no_more_is_under_way_than_the_broker_takes(self, car: Speaker) -> None:
        two_at_a_time = bytes((0x20, 6, 0, 0, 3, 0x21, 0, 2))
        open_numbers: list[bytes] = []
        most: list[int] = []

        def answer(kind: int, body: bytes) -> bytes | None:
            if kind == CONNECT:
                return two_at_a_time
            if kind == PUBLISH:
                open_numbers.append(number_of(body))
                most.append(len(open_numbers))
                if len(open_numbers) < 2:
                    return b""
                said = b"".join(puback(number) for number in open_numbers)
                open_numbers.clear()
                return said
            return manners(kind, body)

        async def scene(radio: MqttRadio) -> None:
            for _ in range(6):
                await radio.send(car.denm(NOON), source_mac=MAC)
            await radio.drained()
            assert len(most) == 6
            assert max(most) == 2

        with_radio(answer, scene)

    def test_a_topic_is_spelt_out_once_where_the_broker_takes_aliases(self, car: Speaker) -> None:
        aliases = bytes((0x20, 6, 0, 0, 3, 0x22, 0, 5))
        topics: list[int] = []
        expiries: list[bytes] = []

        def answer(kind: int, body: bytes) -> bytes | None:
            if kind == CONNECT:
                return aliases
            if kind == PUBLISH:
                topic_octets = int.from_bytes(body[:2], "big")
                topics.append(topic_octets)
                expiries.append(body[topic_octets + 4 : topic_octets + 13])
            return manners(kind, body)

        async def scene(radio: MqttRadio) -> None:
            for _ in range(3):
                await radio.send(car.cam(NOON), source_mac=MAC)
            await radio.drained()
            assert topics[0] > 40
            assert topics[1:] == [0, 0]
            assert set(expiries) == {b"\x08\x02\x00\x00\x00\x01\x23\x00\x01"}  # eight octets: a second to live, alias 1

        with_radio(answer, scene)


def test_a_radio_may_be_closed_at_any_moment_of_connecting() -> None:
    async def scene() -> None:
        async with hostile_broker(manners) as port:
            for turns in range(40):
                radio = open_radio(plain("127.0.0.1", port), ManualClock(NOON))
                for _ in range(turns):
                    await asyncio.sleep(0)
                radio.close()
                radio.close()

    asyncio.run(scene())


def test_accepted_is_what_the_helper_says_it_is() -> None:
    assert manners(CONNECT, b"") == ACCEPTED
