"""Orders over a Unix socket, both ends real: what an agent is told to do, and what it answers."""

import asyncio
import socket
import stat
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

import pytest

from shared.core.errors import StorageError, TransportError
from shared.service.command_socket import MAX_CLIENTS, MAX_ORDER_OCTETS, CommandSocket, Order, give_order


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(guarded_scene())


async def echo(order: Order) -> Mapping[str, object]:
    return {"told": order}


async def refuse(_order: Order) -> Mapping[str, object]:
    raise StorageError("store", "is full")


async def never(_order: Order) -> Mapping[str, object]:
    await asyncio.Event().wait()
    raise AssertionError


def spoken(path: Path, octets: bytes) -> bytes:
    """Say something to the socket and return everything it answers."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(octets)
        sock.shutdown(socket.SHUT_WR)
        while part := sock.recv(4_096):
            answer += part
    return answer


def test_an_order_is_carried_out_and_answered(tmp_path: Path) -> None:
    path = tmp_path / "orders"

    async def scene() -> None:
        async with CommandSocket(path, echo):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert await asyncio.to_thread(give_order, path, {"order": "sing"}) == {"told": {"order": "sing"}}
        assert not path.exists()

    run(scene)


def test_an_agent_that_refuses_says_why(tmp_path: Path) -> None:
    path = tmp_path / "orders"

    async def scene() -> None:
        async with CommandSocket(path, refuse):
            with pytest.raises(TransportError, match="is full"):
                await asyncio.to_thread(give_order, path, {})

    run(scene)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", b"an order is one line"),
        (b'{"order": "sing"}', b"an order is one line"),
        (b"[" * (MAX_ORDER_OCTETS + 1) + b"\n", b"an order is one line"),
        (b"sing\n", b"no JSON object"),
        (b"[1]\n", b"no JSON object"),
        (b"\xff\n", b"no JSON object"),
    ],
)
def test_what_is_no_order_is_told_so_and_the_next_one_is_obeyed(tmp_path: Path, octets: bytes, reason: bytes) -> None:
    path = tmp_path / "orders"

    async def scene() -> None:
        async with CommandSocket(path, echo):
            assert reason in await asyncio.to_thread(spoken, path, octets)
            assert await asyncio.to_thread(give_order, path, {}) == {"told": {}}

    run(scene)


def test_who_says_nothing_is_dropped_and_an_agent_that_hangs_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "orders"

    async def scene() -> None:
        async with CommandSocket(path, never, patience_s=0.05):
            with socket.socket(socket.AF_UNIX) as silent:
                silent.settimeout(10)
                silent.connect(str(path))
                assert await asyncio.to_thread(silent.recv, 1) == b""
            with pytest.raises(TransportError, match="without an answer"):
                await asyncio.to_thread(give_order, path, {})

    run(scene)


def test_so_many_clients_are_served_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "orders"

    async def scene() -> None:
        async with CommandSocket(path, echo):
            crowd = [socket.socket(socket.AF_UNIX) for _ in range(MAX_CLIENTS)]
            for each in crowd:
                each.connect(str(path))
            assert await asyncio.to_thread(spoken, path, b"") == b""
            for each in crowd:
                each.close()

    run(scene)


def test_where_nobody_listens_or_something_else_does_the_operator_is_told(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="no agent takes orders here"):
        give_order(tmp_path / "absent", {})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order = await reader.readline()
        writer.write(b'{"alive": true}' if order == b"{}\n" else b"what?")
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_unix_server(answer, path=tmp_path / "other"):
            for order, match in (({}, "neither done nor refused"), ({"order": "sing"}, "the answer is none")):
                with pytest.raises(TransportError, match=match):
                    await asyncio.to_thread(give_order, tmp_path / "other", order)

    run(scene)
