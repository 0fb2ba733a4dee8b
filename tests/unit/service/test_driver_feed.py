"""The driver's feed: who reads gets everything, who does not holds nobody up and misses what is old."""

import asyncio
import json
import socket
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import TransportError
from shared.service.driver_feed import MAX_CLIENTS, MAX_PENDING_EVENTS, DriverFeed

LARGE = 300_000


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(guarded_scene())


def document(**fields: object) -> bytes:
    return json.dumps(fields).encode()


async def line(reader: asyncio.StreamReader) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(await reader.readline())
    return read


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
        await asyncio.sleep(0)


async def unread(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, str(path))
    return client


def test_a_client_gets_the_present_view_at_once_and_then_everything_in_order(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            feed.show(document(sequence=1))
            feed.tell(document(kind="before anybody listened"))
            feed.show(document(sequence=2))
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver")
            assert await line(reader) == {"sequence": 2}
            feed.tell(document(kind="hazard_ahead"))
            feed.show(document(sequence=3))
            assert [await line(reader), await line(reader)] == [{"kind": "hazard_ahead"}, {"sequence": 3}]
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_without_a_view_yet_a_client_waits_for_the_first(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver")
            await until(lambda: feed.status()["clients"] == 1)
            feed.show(document(sequence=1))
            assert await line(reader) == {"sequence": 1}
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_the_socket_is_for_the_group_and_goes_with_the_agent_and_so_do_its_clients(tmp_path: Path) -> None:
    def names() -> list[str]:
        return [path.name for path in tmp_path.iterdir()]

    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            assert stat.S_IMODE((tmp_path / "driver").stat().st_mode) == 0o660
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver")
            await until(lambda: feed.status()["clients"] == 1)
        assert await reader.read() == b""
        assert names() == []
        writer.close()
        await writer.wait_closed()

    run(scene)


def test_the_feed_of_a_living_agent_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver"):
            with pytest.raises(TransportError, match="another agent is running here"):
                await DriverFeed(tmp_path / "driver").__aenter__()

    run(scene)


def test_a_slow_client_loses_old_views_and_old_events_and_never_the_newest(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            slow = await unread(tmp_path / "driver")
            await until(lambda: feed.status()["clients"] == 1)
            feed.show(document(sequence=1, padding="x" * LARGE))
            (client,) = feed._clients
            await until(lambda: client.view is None)  # it is being written, and nobody reads
            for number in range(2, 101):
                feed.show(document(sequence=number))
                feed.tell(document(event=number))
            slow.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=slow, limit=2 * LARGE)
            got = [await line(reader) for _ in range(1 + MAX_PENDING_EVENTS + 1)]
            assert got[0]["sequence"] == 1
            assert [one["event"] for one in got[1:-1]] == list(range(101 - MAX_PENDING_EVENTS, 101))
            assert got[-1] == {"sequence": 100}
            assert (feed.status()["lost_views"], feed.status()["lost_events"]) == (98, 99 - MAX_PENDING_EVENTS)
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_one_that_never_reads_holds_up_neither_the_agent_nor_others_and_is_dropped(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver", stall_s=0.05) as feed:
            dead = await unread(tmp_path / "driver")
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver", limit=2 * LARGE)
            await until(lambda: feed.status()["clients"] == 2)
            feed.show(document(sequence=1, padding="x" * LARGE))
            assert (await line(reader))["sequence"] == 1
            await until(lambda: feed.status()["dropped"] == 1)
            feed.show(document(sequence=2))
            assert await line(reader) == {"sequence": 2}
            assert feed.status()["clients"] == 1
            dead.close()
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_clients_that_leave_in_any_way_are_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            for number in range(50):
                client = await unread(tmp_path / "driver")
                await until(lambda: feed.status()["clients"] == 1)
                if number % 2:
                    feed.show(document(sequence=number, padding="x" * LARGE))
                client.close()
                for attempt in range(3):
                    feed.show(document(sequence=number, attempt=attempt))
                    await asyncio.sleep(0)
                feed.tell(document(kind="x"))
                await until(lambda: feed.status()["clients"] == 0)
            assert feed.status()["served"] == 50

    run(scene)


def test_one_too_many_is_refused_and_counted(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            clients = [await unread(tmp_path / "driver") for _ in range(MAX_CLIENTS)]
            await until(lambda: feed.status()["clients"] == MAX_CLIENTS)
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver")
            assert await reader.read() == b""
            assert feed.status()["refused"] == 1
            for client in clients:
                client.close()
            writer.close()
            await writer.wait_closed()

    run(scene)


def test_what_a_client_says_is_not_read_and_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            hostile = await unread(tmp_path / "driver")
            sent = 0
            try:
                while True:
                    sent += hostile.send(b"\x00{" * 32_768)
                    await asyncio.sleep(0)
                    assert sent < 64 << 20
            except BlockingIOError:
                pass  # nobody takes any more of it
            feed.show(document(sequence=1))
            reader, writer = await asyncio.open_unix_connection(sock=hostile)
            assert await line(reader) == {"sequence": 1}
            writer.transport.abort()
            await until(lambda: not writer.transport.get_write_buffer_size())

    run(scene)


def test_one_that_only_stops_talking_goes_on_being_told(tmp_path: Path) -> None:
    async def scene() -> None:
        async with DriverFeed(tmp_path / "driver") as feed:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "driver")
            writer.write_eof()
            await until(lambda: feed.status()["clients"] == 1)
            for number in range(20):
                feed.show(document(sequence=number))
                assert await line(reader) == {"sequence": number}
            writer.close()
            await writer.wait_closed()

    run(scene)
