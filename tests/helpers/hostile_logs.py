"""Logs that lie, stall and flood: a real server on loopback that serves a true log until it is told what to do instead."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum

from shared.core.errors import V2xError
from shared.ledger.tiles import CHECKPOINT_PATH
from tests.helpers.ledger import MemoryLog

ADD, CHECKPOINT = "POST /add", f"GET /{CHECKPOINT_PATH}"
TILES = "GET /tile/"
DRIP_S = 0.005
CHUNK = bytes(65_536)


class Silence(Enum):
    """No answer at all."""

    STALLS = "stalls"


Answer = bytes | AsyncIterator[bytes] | Silence | None
"""What goes over the line, a piece after the other; None for the true answer."""

Lie = Callable[["HostileLog", str], Answer]
"""Makes an answer to a request's method and path."""


class HostileLog:
    """The server's state: the true log, what it lies, and what it was asked.

    Args:
        log: what it serves while it does not lie.
    """

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.lie: Lie = lambda _server, _asked: None
        self.asked: list[str] = []
        self.elsewhere: list[str] = []
        self.sent = 0
        self.url = ""
        self.talking: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self.other_url = ""

    def true_answer(self, asked: str, body: bytes = b"") -> bytes:
        """Return what an honest log answers."""
        try:
            data = b"%d" % self.log.submit(body) if asked == ADD else self.log.read(asked.removeprefix("GET /"))
        except V2xError:
            return answer(b"not there", status=404)
        return answer(data)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection until it ends."""
        talking = asyncio.current_task()
        assert talking is not None
        self.talking[writer] = talking
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            del self.talking[writer]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked, body = await request_of(reader)
            self.asked.append(asked)
            said = self.lie(self, asked)
            if said is None:
                said = self.true_answer(asked, body)
            if isinstance(said, Silence):
                await reader.read()
                break
            async for piece in _pieces(said):
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
            if not isinstance(said, bytes) or b"\r\nConnection: close\r\n" in said:
                break

    async def talk_elsewhere(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be asked where a redirect points; nobody should."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.elsewhere.append((await request_of(reader))[0])
        writer.close()


@asynccontextmanager
async def serving(log: HostileLog) -> AsyncIterator[None]:
    """Serve on loopback until the block ends."""
    async with (
        await asyncio.start_server(log.talk, "127.0.0.1", 0) as listener,
        await asyncio.start_server(log.talk_elsewhere, "127.0.0.1", 0) as other,
    ):
        log.url, log.other_url = (f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (listener, other))
        try:
            yield
        finally:
            talking = dict(log.talking)
            for writer in talking:
                writer.transport.abort()
            await asyncio.gather(*talking.values())


def answer(body: bytes, *, status: int = 200, headers: bytes = b"", close: bool = False) -> bytes:
    """Return an HTTP answer; `headers` are whole lines."""
    ending = b"\r\nConnection: close\r\n" if close else b"\r\n"
    return b"HTTP/1.1 %d Word\r\nContent-Length: %d%s%s\r\n%s" % (status, len(body), ending, headers, body)


def others(count: int, prefix: str = "someone else's") -> MemoryLog:
    """Return a log with entries of other people."""
    log = MemoryLog()
    log.entries = [f"{prefix} {n}".encode() for n in range(count)]
    log.publish()
    return log


async def request_of(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Return a request's method and path, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
    return " ".join(head.split(" ", 2)[:2]), await reader.readexactly(length)


async def _pieces(said: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(said, bytes):
        yield said
        return
    async for piece in said:
        yield piece


async def endless_body() -> AsyncIterator[bytes]:
    """Give the pieces of such an answer."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + CHUNK + b"\r\n"


async def endless_header() -> AsyncIterator[bytes]:
    """Give the pieces of such an answer."""
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: " + bytes(1_000).replace(b"\0", b"m") + b"\r\n"


async def drip() -> AsyncIterator[bytes]:
    """Give the pieces of such an answer."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    never = asyncio.Event()
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), DRIP_S)
        yield b"x"


async def cut_short() -> AsyncIterator[bytes]:
    """Give the pieces of such an answer."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it"
