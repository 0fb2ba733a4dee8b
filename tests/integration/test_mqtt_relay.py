"""The relay as a program and as an object: what comes into one queue is heard in the other, once acknowledged never lost."""

import asyncio
import io
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from shared.operator.mqtt_relay import MqttRelay
from shared.service.log import Availability, make_logger
from shared.transport.mqtt_session import BackOff
from shared.transport.mqtt_topics import TopicGrammar
from tests.helpers.broker import PERSISTENT, MosquittoBroker, TlsAuthority
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.mqtt_medium import BARE, open_radio, plain
from tests.helpers.stations import TURIN, Speaker, after_ms

PATIENCE_S = 30.0
"""A guard against a hung test; nothing waits for it to pass."""

MAC = bytes.fromhex("020000000001")
GRAMMAR = TopicGrammar(namespace="test")
HABITS = replace(BARE, grammar=GRAMMAR)


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(guarded_scene())


@pytest.fixture(name="car", scope="module")
def speaking_car() -> Speaker:
    return Speaker(Hierarchy(6))


def client_of(broker: MosquittoBroker) -> aiomqtt.Client:
    """Return a client like any other."""
    return aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5)


@asynccontextmanager
async def relaying(broker: MosquittoBroker) -> AsyncIterator[MqttRelay]:
    relay = MqttRelay(
        plain(broker.host, broker.port),
        grammar=GRAMMAR,
        entropy=secrets.token_bytes,
        random=Random(1),
        state=Availability(make_logger(io.StringIO()), "broker"),
        back_off=BackOff(first_s=0.02, longest_s=0.2),
    )
    task = asyncio.create_task(relay.run())
    await relay.ready()
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.wait([task])


def test_with_two_queues_a_bare_broker_is_silent_and_the_relay_speaks(tmp_path: Path, car: Speaker) -> None:
    async def scene() -> None:
        sender, hearer = (open_radio(plain(broker.host, broker.port), clock_at(), habits=HABITS) for _ in range(2))
        hearer.attend(TURIN)
        await hearer.settled()
        await sender.send(car.denm(NOON), source_mac=MAC)
        await sender.drained()
        async with relaying(broker) as relay:
            packets = [car.denm(after_ms(NOON, number)) for number in range(1, 40)]
            for packet in packets:
                await sender.send(packet, source_mac=MAC)
            assert [(await hearer.receive()).packet for _ in packets] == packets
            while relay.counts.relayed < len(packets):  # noqa: ASYNC110 - its acknowledgement comes behind the copy
                await asyncio.sleep(0)
            assert relay.counts.relayed == len(packets)
        sender.close()
        hearer.close()

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_quality_retention_and_the_rest_of_its_life_go_along(tmp_path: Path) -> None:
    async def scene() -> None:
        async with relaying(broker), client_of(broker) as client:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = 100
            await client.subscribe("test/outQueue/#", qos=1)
            await client.publish("test/inQueue/v2x/denm/x/0/1", b"kept", qos=1, retain=True, properties=properties)
            heard = await anext(client.messages)
            assert (str(heard.topic), heard.payload, heard.qos) == ("test/outQueue/v2x/denm/x/0/1", b"kept", 1)
            assert heard.properties is not None
            assert 98 <= heard.properties.MessageExpiryInterval <= 100  # type: ignore[attr-defined]
            async with client_of(broker) as late:
                await late.subscribe("test/outQueue/#", qos=1)
                kept = await anext(late.messages)
                assert (kept.payload, kept.retain) == (b"kept", True)

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_what_no_packet_can_be_is_not_copied(tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            relaying(broker) as relay,
            aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        ):
            await client.subscribe("test/outQueue/#", qos=1)
            await client.publish("test/inQueue/v2x/cam/x/0", bytes(2_305), qos=1)
            await client.publish("test/inQueue/" + "x" * 600, b"long", qos=1)
            await client.publish("test/inQueue/v2x/cam/x/0", b"good", qos=0)
            assert (await anext(client.messages)).payload == b"good"
            assert (relay.counts.oversize, relay.counts.foreign) == (1, 1)

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_what_was_published_while_the_relay_was_away_is_copied_when_it_is_back(tmp_path: Path, car: Speaker) -> None:
    async def scene() -> None:
        sender, hearer = (open_radio(plain(broker.host, broker.port), clock_at(), habits=HABITS) for _ in range(2))
        hearer.attend(TURIN)
        await hearer.settled()
        async with relaying(broker) as relay:
            connection = relay._connection
            assert connection is not None
            connection.fail("pulled out by the test")
            packets = [car.denm(after_ms(NOON, 100 + number)) for number in range(5)]
            for packet in packets:
                await sender.send(packet, source_mac=MAC)
            assert [(await hearer.receive()).packet for _ in packets] == packets
            assert relay.counts.interruptions == 1
        sender.close()
        hearer.close()

    with MosquittoBroker(tmp_path, lines=PERSISTENT) as broker:
        run(scene)


def test_a_relay_to_the_same_queue_is_refused() -> None:
    with pytest.raises(ValueError, match="would never end"):
        MqttRelay(
            plain("127.0.0.1", 1),
            grammar=TopicGrammar(listen_queue="inQueue"),
            entropy=secrets.token_bytes,
            random=Random(1),
            state=Availability(make_logger(io.StringIO()), "broker"),
            back_off=BackOff(),
        )


class TestTheCommand:
    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "from shared.cli.main import main; main()", "mqtt", "relay", *arguments]

    def test_it_relays_over_mutual_tls_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        authority = TlsAuthority(tmp_path)
        certificate, key = authority.issue("relay")
        with MosquittoBroker(tmp_path, authority=authority) as broker:
            files = ("--ca", str(authority.path), "--certificate", str(certificate), "--key", str(key))
            command = self.command("--host", broker.host, "--port", str(broker.port), *files)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
                assert relay.stdout is not None
                assert relay.stdout.readline() == f"ready mqtts://127.0.0.1:{broker.port}\n"
                relay.terminate()
                assert relay.wait() == 0

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("--from", "a", "--to", "a"), "--from and --to are the same queue"),
            (("--namespace", "a/#"), "namespace 'a/#' is not made of"),
            (("--ca", "/nowhere/ca.pem"), "/nowhere/ca.pem: holds no certificates"),
            (("--certificate", "x"), "certificate and key belong together"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_sentence(self, arguments: tuple[str, ...], sentence: str) -> None:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1
