"""The HTTP server of a log against clients of every kind, over real sockets; who answers is an echo."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.operator import log_http_connection as connection
from shared.operator.http_server import listen
from shared.operator.log_http import LogHttpServer
from shared.operator.log_http_answers import encode_answer, encode_line
from shared.operator.log_http_request import Request
from shared.service.counters import Counters
from shared.service.log import make_logger

MAX_BODY = 1_000
PATIENCE_S = 20.0
PAGE_OCTETS = 32_768
PAGES = 1_000
"""More of them than the kernel keeps for a connection, and fewer requests than are too many."""
TURNS = 200
"""Of the event loop, in which what could happen has happened."""


class Echo:
    """Answers each request with what it was; those to /later when told to, /big and /page with much, /bug not at all."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.said = io.StringIO()
        self.later: list[Request] = []
        self.started = 0
        self.server = LogHttpServer(
            self.on_request,
            max_body_octets=MAX_BODY,
            counters=self.counters,
            log=make_logger(self.said),
            on_second=lambda: None,
            max_connections=8,
            max_connections_of_a_client=4,
        )
        self.port = 0

    def on_request(self, request: Request) -> None:
        if request.path == b"/later":
            self.later.append(request)
        elif request.path == b"/big":
            request.defer(lambda: self._big(request))
        elif request.path == b"/page":
            request.defer(lambda: self._page(request))
        elif request.path == b"/bug":
            raise ValueError("a bug of ours")
        else:
            said = [request.method.decode(), request.path.decode(), len(request.body), (request.authorization or b"").decode()]
            is_head = request.method == b"HEAD"
            request.answer(encode_answer(200, json.dumps(said).encode(), is_closing=request.is_closing, is_head=is_head))

    def _big(self, request: Request) -> None:
        self.started += 1
        request.answer(encode_answer(200, bytes(1 << 20)))

    def _page(self, request: Request) -> None:
        request.answer(encode_answer(200, page(self.started)))
        self.started += 1

    def not_sent(self) -> tuple[int, int]:
        """Return how many octets lie in the write buffer of the only connection, and in answers behind it."""
        (only,) = self.server._connections
        assert only._transport is not None
        return only._transport.get_write_buffer_size(), sum(len(request.octets or b"") for request in only._owed)


def page(number: int) -> bytes:
    """Return the answer that is made as number so many."""
    return b"%d".ljust(PAGE_OCTETS) % number


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self, *, is_head: bool = False) -> tuple[int, bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        length = 0 if is_head else int(lines.get("content-length", "0"))
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        return await self.reader.read()


@asynccontextmanager
async def connected(echo: Echo) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def serving(test: Callable[[Echo], Awaitable[None]]) -> Echo:
    """Run a test beside a server; the server must end by itself when it is told to."""

    async def run() -> Echo:
        echo = Echo()
        sock = listen("127.0.0.1", 0)
        echo.port = sock.getsockname()[1]
        task = asyncio.ensure_future(echo.server.serve(sock))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await test(echo)
        finally:
            task.cancel()
            await asyncio.wait([task])
        return echo

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    while not is_so():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


def post(body: bytes, path: str = "/add", *, headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: log\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


async def last_answer(octets: bytes, echo: Echo) -> tuple[int, bytes]:
    """Send octets, and return the only answer and what follows it until the end."""
    async with connected(echo) as client:
        client.send(octets)
        status, _ = await client.answer()
        return status, await client.rest()


def test_requests_on_one_connection_are_answered_in_their_order_whichever_is_done_first() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(post(b"a", "/later") + post(b"bb") + b"GET /c?query HTTP/1.1\r\nAuthorization: Bearer t\r\n\r\n")
            client.send(b"HEAD /d HTTP/1.1\r\n\r\n" + post(b"eee", "/later"))
            await until(lambda: len(echo.later) == 2)
            echo.later[1].answer(encode_line(200, "last"))
            echo.later[0].answer(encode_line(200, "first"))
            assert await client.answer() == (200, b"first\n")
            assert json.loads((await client.answer())[1]) == ["POST", "/add", 2, ""]
            assert json.loads((await client.answer())[1]) == ["GET", "/c", 0, "Bearer t"]
            assert await client.answer(is_head=True) == (200, b"")
            assert await client.answer() == (200, b"last\n")

    serving(test)


def test_a_request_in_single_octets_and_one_in_chunks_are_read_like_any_other() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            for octet in post(b"hello"):
                client.send(bytes([octet]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert json.loads((await client.answer())[1])[2] == 5
            client.send(b"POST /add HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            assert json.loads((await client.answer())[1])[2] == 5

    serving(test)


def test_the_connection_ends_where_the_client_says_so_or_speaks_an_older_http() -> None:
    async def test(echo: Echo) -> None:
        for octets in (post(b"a", headers="connection: close\r\n"), b"GET /a HTTP/1.0\r\n\r\n"):
            assert await last_answer(octets, echo) == (200, b"")
        async with connected(echo) as client:
            client.send(post(b"a"))
            client.writer.write_eof()
            assert (await client.answer())[0] == 200
            assert await client.rest() == b""

    serving(test)


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked_only_if_it_may_send_it() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(b"POST /add HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
            assert await client.answer() == (100, b"")
            client.send(b"abc")
            assert json.loads((await client.answer())[1])[2] == 3
        head = b"POST /add HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1)
        assert await last_answer(head, echo) == (413, b"")
        assert (await last_answer(b"POST /add HTTP/1.1\r\nexpect: more\r\ncontent-length: 3\r\n\r\n", echo))[0] == 417

    serving(test)


@pytest.mark.parametrize(
    ("octets", "status", "word"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400, "no_http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "no_http"),
        (b"nonsense\r\n\r\n", 400, "no_http"),
        (b"GET /a HTTP/1.1\r\nbad header\r\n\r\n", 400, "no_http"),
        (b"POST /a HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400, "no_http"),
        (b"POST /a HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400, "no_http"),
        (b"POST /a HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n", 400, "no_http"),
        (b"GET /" + b"a" * 2_000 + b" HTTP/1.1\r\n\r\n", 414, "too_long"),
        (b"GET /a HTTP/1.1\r\n" + b"x: y\r\n" * 10_000, 431, "too_long"),
        (b"GET /a HTTP/1.1\r\nx: " + b"y" * 100_000, 431, "too_long"),
        (post(bytes(MAX_BODY + 1)), 413, "too_large"),
        (post(bytes(3_000_000)), 413, "too_large"),
        (b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * (MAX_BODY + 1), 413, "too_large"),
        (b"GET /bug HTTP/1.1\r\n\r\n", 500, "fault"),
    ],
)  # fmt: skip
def test_what_is_no_request_or_too_much_is_refused_once_counted_and_the_connection_ends(
    octets: bytes, status: int, word: str
) -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(octets)
            assert (await client.answer())[0] == status
            try:
                assert await client.rest() == b""
            except ConnectionResetError:
                assert len(octets) > connection.MAX_DISCARDED_OCTETS
        async with connected(echo) as client:
            client.send(post(b"a"))
            assert (await client.answer())[0] == 200

    echo = serving(test)
    assert echo.counters.snapshot() == ({f"connections.{word}": 1} if word != "fault" else {"connections.fault": 1})
    assert ("a bug of ours" in echo.said.getvalue()) == (word == "fault")


def test_an_answer_that_is_owed_still_comes_before_the_refusal_of_what_follows_it() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(post(b"a", "/later") + b"nonsense\r\n\r\n")
            await until(lambda: bool(echo.later))
            echo.later[0].answer(encode_line(200, "kept"))
            assert await client.answer() == (200, b"kept\n")
            assert (await client.answer())[0] == 400
            assert await client.rest() == b""

    serving(test)


def test_a_client_that_hangs_up_in_the_middle_is_counted_and_its_answer_goes_nowhere() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(post(b"a", "/later"))
            await until(lambda: bool(echo.later))
        async with connected(echo) as client:
            client.send(b"POST /add HTTP/1.1\r\ncontent-le")
            await client.writer.drain()
            client.writer.write_eof()
            assert await client.rest() == b""
        echo.later[0].answer(encode_line(200, "nobody hears it"))
        async with connected(echo) as client:
            client.send(post(b"a"))
            assert (await client.answer())[0] == 200

    assert serving(test).counters["connections.cut_short"] == 1


def test_more_connections_than_a_client_may_have_are_not_served() -> None:
    async def test(echo: Echo) -> None:
        held = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
            writer.write(post(b"a"))
            held.append(writer)
            await reader.readuntil(b"\r\n\r\n")
        async with connected(echo) as client:
            client.send(post(b"a"))
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.answer()
        assert echo.server.status()["connections"] == 4
        for writer in held:
            writer.close()

    assert serving(test).counters["connections.refused"] == 1


def test_who_does_not_take_what_he_asked_for_is_not_read_any_further_and_cut_off_in_the_end() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(b"GET /big HTTP/1.1\r\n\r\n" * 200)
            await until(lambda: bool(echo.server.status()["octets_not_taken"]))
            assert echo.started < 20
            for _ in range(connection.READING_TIMEOUT_S + 2):
                echo.server.tick()
            await until(lambda: not echo.server.status()["connections"])
            assert echo.server.status()["octets_not_taken"] == 0

    assert serving(test).counters["connections.slow_reader"] == 1


def test_answers_that_nobody_reads_are_not_made_and_come_in_their_order_once_somebody_does() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(b"GET /page HTTP/1.1\r\n\r\n" * PAGES)
            await until(lambda: bool(echo.server.status()["octets_not_taken"]))
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert echo.started < PAGES
            in_buffer, behind_it = echo.not_sent()
            assert in_buffer <= connection.WRITE_BUFFER_OCTETS + 2 * PAGE_OCTETS
            assert behind_it == 0
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for number in range(PAGES):
                assert await client.answer() == (200, page(number))

    assert serving(test).counters.snapshot() == {}


def test_answers_that_are_there_while_nobody_reads_wait_outside_of_the_buffer_in_their_order() -> None:
    count = connection.MAX_ANSWERS_OWED

    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(post(b"", "/later") * count + b"GET /page HTTP/1.1\r\n\r\n")
            await until(lambda: len(echo.later) == count)
            for number, request in enumerate(echo.later):
                request.answer(encode_answer(200, page(number) * 4))
                await asyncio.sleep(0)
            in_buffer, behind_it = echo.not_sent()
            assert in_buffer <= connection.WRITE_BUFFER_OCTETS + 5 * PAGE_OCTETS
            assert behind_it > 0
            assert echo.started == 0
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for number in range(count):
                assert await client.answer() == (200, page(number) * 4)
            assert await client.answer() == (200, page(0))
        assert echo.server.status()["octets_not_taken"] == 0

    serving(test)


def test_the_slow_and_the_silent_are_told_and_cut_off_when_their_time_is_over() -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as slow, connected(echo) as silent:
            slow.send(post(b"abc")[:-1])
            silent.send(post(b"a"))
            await silent.answer()
            for _ in range(connection.REQUEST_TIMEOUT_S + 2):
                echo.server.tick()
            assert (await slow.answer())[0] == 408
            assert await slow.rest() == b""
            for _ in range(connection.IDLE_TIMEOUT_S):
                echo.server.tick()
            assert await silent.rest() == b""

    counters = serving(test).counters
    assert (counters["connections.too_slow"], counters["connections.idle"]) == (1, 1)


def test_a_flood_of_requests_on_one_connection_is_answered_as_far_as_it_is_bounded() -> None:
    count = connection.MAX_ANSWERS_OWED + connection.MAX_ANSWERS_BURST

    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(post(b"", "/later") * (3 * count))
            await until(lambda: len(echo.later) > connection.MAX_ANSWERS_OWED)
            owed = len(echo.later)
            assert owed <= count
            for request in echo.later:
                request.answer(encode_line(200, "ok"))
            for _ in range(owed):
                assert (await client.answer())[0] == 200
            for each in tuple(echo.server._connections):
                each.abort()  # the rest of the flood is owed too

    serving(test)


def test_a_server_that_stops_answers_what_is_under_way() -> None:
    async def run() -> bytes:
        echo = Echo()
        sock = listen("127.0.0.1", 0)
        echo.port = sock.getsockname()[1]
        task = asyncio.ensure_future(echo.server.serve(sock))
        async with connected(echo) as client, connected(echo) as idle:
            client.send(post(b"a", "/later"))
            await until(lambda: bool(echo.later))
            task.cancel()
            assert await idle.rest() == b""
            echo.later[0].answer(encode_line(200, "done"))
            said = await client.rest()
            await asyncio.wait([task], timeout=PATIENCE_S)
            assert task.cancelled()
        return said

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(asyncio.wait_for(run(), PATIENCE_S)).endswith(b"done\n")


PIECES = [
    *(b"GET ", b"POST ", b"CONNECT ", b"/a", b" HTTP/1.1", b"\r\n", b"content-length: 5", b"x:y", b"\0", b"a" * 300),
    *(b"transfer-encoding: chunked", b"5\r\n", b"upgrade: h2c\r\nconnection: upgrade"),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_whatever_octets_come_end_in_answers_and_an_end(pieces: list[bytes]) -> None:
    async def test(echo: Echo) -> None:
        async with connected(echo) as client:
            client.send(b"".join(pieces))
            client.writer.write_eof()
            said = await client.rest()
            assert not said or said.startswith(b"HTTP/1.1 ")
        assert echo.counters["connections.fault"] == 0

    serving(test)
