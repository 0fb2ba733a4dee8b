"""The driver's view and events through a real broker: seen by who subscribes, gone with the agent, and never in the agent's way."""

import asyncio
import io
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiomqtt
import pytest

from shared.core.errors import ConfigError
from shared.service.local_mqtt import MAX_PENDING_EVENTS, LocalMqtt, LocalMqttConfig
from shared.service.log import make_logger
from tests.helpers.broker import MosquittoBroker

_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded_scene())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0.001)


@asynccontextmanager
async def publishing(
    config: LocalMqttConfig, said: io.StringIO | None = None, *, answer_s: float = 5.0
) -> AsyncIterator[LocalMqtt]:
    log = make_logger(said or io.StringIO(), as_json=True)
    mqtt = LocalMqtt(config, log=log, lot=Random(1), retry_first_s=0.01, answer_s=answer_s)
    task = asyncio.create_task(mqtt.run())
    try:
        yield mqtt
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()


def display(broker: MosquittoBroker, **more: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.port,
        protocol=aiomqtt.ProtocolVersion.V5,
        logger=_SILENT,
        username=more.get("username"),
        password=more.get("password"),
    )


def document(**fields: object) -> bytes:
    return json.dumps(fields).encode()


async def heard(client: aiomqtt.Client) -> tuple[str, bytes, bool]:
    message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return str(message.topic), message.payload, message.retain


def test_who_subscribes_gets_the_present_view_at_once_and_then_views_and_events(tmp_path: Path) -> None:
    async def scene() -> None:
        async with publishing(LocalMqttConfig(port=broker.port)) as mqtt:
            mqtt.show(document(sequence=1))
            await until(lambda: mqtt.status()["published"] == 1)
            async with display(broker) as client:
                await client.subscribe("v2x/driver/#", qos=1)
                assert await heard(client) == ("v2x/driver/view", document(sequence=1), True)
                mqtt.tell("hazard_ahead", document(kind="hazard_ahead"))
                mqtt.show(document(sequence=2))
                assert await heard(client) == ("v2x/driver/event/hazard_ahead", document(kind="hazard_ahead"), False)
                assert await heard(client) == ("v2x/driver/view", document(sequence=2), False)

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_the_view_expires_and_is_gone_when_the_agent_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        async with display(broker) as client:
            await client.subscribe("other/car/#")
            async with publishing(LocalMqttConfig(port=broker.port, topic="other/car")) as mqtt:
                mqtt.show(document(sequence=1))
                message = await anext(aiter(client.messages))
                assert message.properties is not None
                assert 1 <= vars(message.properties)["MessageExpiryInterval"] <= 2
            assert (await heard(client))[:2] == ("other/car/view", b"")

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_the_view_is_gone_when_the_agent_is_lost(tmp_path: Path) -> None:
    async def scene() -> None:
        async with display(broker) as client:
            await client.subscribe("v2x/driver/view")
            async with publishing(LocalMqttConfig(port=broker.port)) as mqtt:
                mqtt.show(document(sequence=1))
                assert (await heard(client))[1] == document(sequence=1)
                _cut_off(broker.port)
                assert await heard(client) == ("v2x/driver/view", b"", False)

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def _cut_off(port: int) -> None:
    """Shut the agent's socket down as the kernel does for a process that was killed: the last one made to the broker."""
    import gc

    mine = [
        one
        for one in gc.get_objects()
        if isinstance(one, socket.socket) and one.fileno() >= 0 and one.family == socket.AF_INET and _peer(one) == port
    ]
    newest = max(mine, key=lambda one: one.fileno())
    newest.shutdown(socket.SHUT_RDWR)


def _peer(one: socket.socket) -> int | None:
    try:
        return int(one.getpeername()[1])
    except OSError:
        return None


def test_a_broker_that_comes_late_or_goes_and_comes_again_is_found_and_what_is_old_is_let_go(tmp_path: Path) -> None:
    said = io.StringIO()

    async def scene() -> None:
        async with publishing(LocalMqttConfig(port=broker.port), said) as mqtt:
            for number in range(1, 201):
                mqtt.show(document(sequence=number))
                mqtt.tell("hazard_ahead", document(event=number))
            assert (mqtt.status()["lost_views"], mqtt.status()["lost_events"]) == (199, 200 - MAX_PENDING_EVENTS)
            await until(lambda: "unavailable" in said.getvalue())
            await asyncio.to_thread(broker.start)
            await until(lambda: mqtt.status()["published"] == MAX_PENDING_EVENTS + 1)
            async with display(broker) as client:
                await client.subscribe("v2x/driver/view")
                assert (await heard(client))[1] == document(sequence=200)
            await asyncio.to_thread(broker.kill)
            await until(lambda: not mqtt.status()["is_connected"])
            mqtt.show(document(sequence=201))
            await asyncio.to_thread(broker.start)
            await until(lambda: bool(mqtt.status()["is_connected"]))
            async with display(broker) as client:
                await client.subscribe("v2x/driver/view")
                mqtt.show(document(sequence=202))
                while (await heard(client))[1] != document(sequence=202):
                    pass
            assert mqtt.status()["interruptions"] == 1

    with MosquittoBroker(tmp_path) as broker:
        broker.kill()
        run(scene)
    events = [json.loads(line)["event"] for line in said.getvalue().splitlines()]
    assert events == ["unavailable", "recovered"] * 2


def test_a_broker_that_hangs_up_at_once_is_told_and_tried_again() -> None:
    said = io.StringIO()

    async def scene() -> None:
        met = 0

        async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal met
            met += 1
            writer.close()

        async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with publishing(LocalMqttConfig(port=port), said) as mqtt:
                mqtt.show(document(sequence=1))
                await until(lambda: met >= 3)
                assert (mqtt.status()["published"], mqtt.status()["interruptions"]) == (0, 0)

    run(scene)
    assert [json.loads(line)["event"] for line in said.getvalue().splitlines()] == ["unavailable"]


def test_a_broker_that_is_frozen_is_given_up_and_found_again_when_it_thaws(tmp_path: Path) -> None:
    said = io.StringIO()

    async def scene() -> None:
        async with publishing(LocalMqttConfig(port=broker.port), said, answer_s=0.1) as mqtt:
            mqtt.show(document(sequence=1))
            await until(lambda: mqtt.status()["published"] == 1)
            assert broker._process is not None
            broker._process.send_signal(signal.SIGSTOP)
            mqtt.tell("hazard_ahead", document(kind="hazard_ahead"))
            await until(lambda: mqtt.status()["interruptions"] == 1)
            broker._process.send_signal(signal.SIGCONT)
            await until(lambda: mqtt.status()["published"] == 2)

    with MosquittoBroker(tmp_path) as broker:
        run(scene)


def test_a_broker_that_asks_for_a_password_gets_the_one_in_the_file(tmp_path: Path) -> None:
    import subprocess

    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "car", "p:w"], check=True)
    secret.touch(mode=0o600)
    secret.write_text("p:w\nanything else\n")
    lines = (f"password_file {passwords}",)

    async def scene() -> None:
        config = LocalMqttConfig(port=broker.port, username="car", password_file=secret)
        async with publishing(config) as mqtt:
            mqtt.show(document(sequence=1))
            await until(lambda: mqtt.status()["published"] == 1)
        said = io.StringIO()
        async with publishing(LocalMqttConfig(port=broker.port), said):
            await until(lambda: "unavailable" in said.getvalue())

    broker = MosquittoBroker(tmp_path, lines=lines)
    broker._config.write_text(broker._config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    with broker:
        run(scene)


def test_an_open_or_empty_password_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for mode, text, reason in ((0o644, "p", "open to others"), (0o600, "", "no password"), (0o600, "x" * 2_000, "more than")):
        secret.write_text(text)
        secret.chmod(mode)
        with pytest.raises(ConfigError, match=reason):
            LocalMqtt(LocalMqttConfig(username="car", password_file=secret), log=make_logger(io.StringIO()), lot=Random(1))
