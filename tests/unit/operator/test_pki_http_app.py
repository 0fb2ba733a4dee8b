"""The application and its server on loopback, with authorities and a library as small as they can be."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import StorageError, TransportError
from shared.core.ids import HashedId8
from shared.operator.http_server import MAX_CONNECTIONS_OF_A_CLIENT, MAX_HEAD_OCTETS, listen, serve, url_of
from shared.operator.pki_http_app import MAX_REQUEST_OCTETS, MAX_REQUESTS_AT_ONCE, Answer, make_app
from shared.operator.rate_limits import Rate, RateLimiter
from shared.pki.exchange import UnanswerableRequest
from shared.service.counters import Counters
from shared.service.log import make_logger
from shared.transport.pki_http import HttpStatusError, PkiHttp

ROOT, TLM, OTHER = HashedId8(b"rootroot"), HashedId8(b"tlmtlmtl"), HashedId8(b"unknown.")
PLENTY = Rate(per_s=10_000, burst=10_000)
REQUEST_HEAD = b"POST /ea HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-its-request\r\n"


class Shelf:
    """A library with one document of each kind."""

    def ctl(self, root: HashedId8) -> bytes | None:
        return b"ctl" if root == ROOT else None

    def delta_ctl(self, root: HashedId8, held: int) -> bytes | None:
        return b"delta after %d" % held if root == ROOT and held < 10 else None

    def crl(self, root: HashedId8) -> bytes | None:
        return b"crl" if root == ROOT else None

    def ectl(self, tlm: HashedId8) -> bytes | None:
        return b"ectl" if tlm == TLM else None

    def tlm_certificate(self, tlm: HashedId8 | None) -> bytes | None:
        return b"tlm" if tlm in (TLM, None) else None

    def proof(self, digest: bytes) -> bytes | None:
        return b"proof" if digest == bytes(32) else None

    def log(self, path: str) -> bytes | None:
        return {"checkpoint": b"note", "tile/0/000": b"hashes"}.get(path)


async def mirror(body: bytes) -> bytes:
    """Answer with the request, backwards; some words have no answer."""
    match body:
        case b"garbage":
            raise UnanswerableRequest("the request is\nmalformed")
        case b"full":
            raise StorageError("/a/secret/place", "the disk is full")
        case b"bug":
            raise ZeroDivisionError("a secret")
    return body[::-1]


class Desk:
    """One authority at /ea."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def at(self, path: str) -> Answer | None:
        return self._answer if path == "/ea" else None


class Running:
    """What a test sees of the server."""

    def __init__(self, url: str, counters: Counters, log: io.StringIO, clock: ManualClock) -> None:
        self.url = url
        self.counters = counters
        self.log = log
        self.clock = clock

    async def said(self, octets: bytes) -> bytes:
        """Send octets as they are and return everything that comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(octets)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return await asyncio.open_connection(host, int(port))


def run(
    test: Callable[[Running, PkiHttp], Awaitable[None]],
    *,
    answer: Answer = mirror,
    requests: Rate = PLENTY,
    serves: frozenset[str] = frozenset(("dc", "cpoc", "log")),
    connection_timeout_s: float = 60.0,
) -> Running:
    """Run a server and a test against it."""

    async def both() -> Running:
        counters, words, clock = Counters(), io.StringIO(), ManualClock(None)
        app = make_app(
            offices=Desk(answer),
            library=Shelf(),
            serves=serves,
            status=lambda: {"counters": counters.snapshot()},
            requests=RateLimiter(per_client=requests, overall=PLENTY),
            readings=RateLimiter(per_client=PLENTY, overall=PLENTY),
            counters=counters,
            clock=clock,
            log=make_logger(words, as_json=True),
        )
        sock = listen("127.0.0.1", 0)
        running = Running(url_of(sock), counters, words, clock)
        server = asyncio.create_task(serve(app, sock, counters=counters, connection_timeout_s=connection_timeout_s))
        try:
            async with PkiHttp() as http:
                await test(running, http)
        finally:
            server.cancel()
            with suppress(asyncio.CancelledError):
                await server
        return running

    return asyncio.run(both())


async def status_of(asked: Awaitable[bytes]) -> int:
    with pytest.raises(HttpStatusError) as caught:
        await asked
    return caught.value.status


def test_a_request_is_answered() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        assert await http.post(running.url + "/ea", b"request") == b"tseuqer"

    assert run(test).counters["/ea 200"] == 1


def test_what_is_published_is_served() -> None:
    published = {
        f"/dc/getctl/{ROOT.hex().upper()}": b"ctl",
        f"/dc/getctl/{ROOT.hex()}": b"ctl",
        f"/dc/getctl/{ROOT.hex().upper()}/3": b"delta after 3",
        f"/dc/getcrl/{ROOT.hex().upper()}": b"crl",
        f"/dc/getproof/{bytes(32).hex()}": b"proof",
        f"/cpoc/getproof/{bytes(32).hex()}": b"proof",
        "/cpoc/gettlmcertificate": b"tlm",
        "/cpoc/gettlmcertificate/": b"tlm",
        f"/cpoc/gettlmcertificate/{TLM.hex().upper()}": b"tlm",
        f"/cpoc/getectl/{TLM.hex().upper()}": b"ectl",
        "/log/checkpoint": b"note",
        "/log/tile/0/000": b"hashes",
    }

    async def test(running: Running, http: PkiHttp) -> None:
        assert {path: await http.get(running.url + path) for path in published} == published

    run(test)


def test_what_is_not_there_is_refused_with_one_line() -> None:
    refused = {
        f"/dc/getctl/{OTHER.hex()}": 404,
        f"/dc/getctl/{ROOT.hex()}/11": 404,
        f"/dc/getctl/{ROOT.hex()}/256": 400,
        f"/dc/getctl/{ROOT.hex()}/-1": 400,
        f"/dc/getctl/{ROOT.hex()}/%D9%A1": 400,
        f"/dc/getctl/{ROOT.hex()}/3/4": 404,
        "/dc/getctl/xyz": 400,
        "/dc/getcrl/" + "0" * 17: 400,
        "/dc/getproof/" + "g" * 64: 400,
        "/cpoc/getectl/" + OTHER.hex(): 404,
        "/cpoc/gettlmcertificate/" + OTHER.hex(): 404,
        "/log/../../etc/passwd": 404,
        "/log/%2e%2e/secret": 404,
        "/": 404,
        "/" + "x" * 1_000: 404,
        "/ea": 405,
    }

    async def test(running: Running, http: PkiHttp) -> None:
        for path, status in refused.items():
            said = await running.said(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d" % status), path
            assert body.count(b"\n") <= 1
            assert len(body) < 200

    run(test)


def test_what_is_not_to_be_served_here_is_not_there() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        assert await status_of(http.get(f"{running.url}/dc/getctl/{ROOT.hex()}")) == 404
        assert await status_of(http.get(running.url + "/log/checkpoint")) == 404
        assert await http.get(running.url + "/cpoc/gettlmcertificate") == b"tlm"

    run(test, serves=frozenset(("cpoc",)))


def test_what_cannot_be_answered_is_refused_with_the_reason() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        with pytest.raises(HttpStatusError, match="400 Bad Request: the request is malformed"):
            await http.post(running.url + "/ea", b"garbage")

    counters = run(test).counters
    assert (counters["/ea 400"], counters["/ea unanswerable"]) == (1, 1)


@pytest.mark.parametrize(("body", "status", "logged"), [(b"full", 503, "the disk is full"), (b"bug", 500, "ZeroDivisionError")])
def test_a_failure_of_ours_is_logged_and_its_words_stay_here(body: bytes, status: int, logged: str) -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        with pytest.raises(HttpStatusError) as caught:
            await http.post(running.url + "/ea", body)
        assert caught.value.status == status
        assert "secret" not in caught.value.reason
        assert await http.post(running.url + "/ea", b"ab") == b"ba"

    assert logged in run(test).log.getvalue()


def test_a_request_of_another_type_is_not_read() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        said = await running.said(b"POST /ea HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Type: text/html\r\n\r\nabc")
        assert said.startswith(b"HTTP/1.1 415")
        assert b"application/x-its-request" in said

    run(test)


def test_a_request_may_be_as_large_as_is_allowed_and_not_an_octet_larger() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        assert await http.post(running.url + "/ea", bytes(MAX_REQUEST_OCTETS)) == bytes(MAX_REQUEST_OCTETS)
        assert await status_of(http.post(running.url + "/ea", bytes(MAX_REQUEST_OCTETS + 1))) == 413

    run(test)


@pytest.mark.parametrize("announced", ["99999", "9" * 18])
def test_a_request_announced_too_large_is_refused_before_it_is_sent(announced: str) -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        said = await running.said(REQUEST_HEAD + f"Content-Length: {announced}\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 413")

    run(test)


def test_a_request_without_end_is_cut_off() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        chunks = b"".join(b"1000\r\n" + bytes(4_096) + b"\r\n" for _ in range(5))
        said = await running.said(REQUEST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert said.startswith(b"HTTP/1.1 413")

    run(test)


def test_too_many_requests_of_a_client_are_refused_until_it_has_waited() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        for _ in range(3):
            await http.post(running.url + "/ea", b"x")
        with pytest.raises(HttpStatusError) as caught:
            await http.post(running.url + "/ea", b"x")
        assert (caught.value.status, caught.value.retry_after_s) == (429, 2)
        assert await http.get(f"{running.url}/dc/getcrl/{ROOT.hex()}") == b"crl"
        running.clock.advance(2_000_000_000)
        assert await http.post(running.url + "/ea", b"x") == b"x"

    assert run(test, requests=Rate(per_s=0.5, burst=3)).counters["/ea 429"] == 1


def test_requests_at_once_are_bounded_and_the_next_is_told_to_come_back() -> None:
    waiting = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def slow(body: bytes) -> bytes:
        waiting.release()
        await go_on.wait()
        return body

    async def test(running: Running, http: PkiHttp) -> None:
        request = REQUEST_HEAD + b"Content-Length: 1\r\n\r\nx"
        first = [asyncio.create_task(running.said(request)) for _ in range(MAX_REQUESTS_AT_ONCE)]
        for _ in first:
            await waiting.acquire()
        with pytest.raises(HttpStatusError) as caught:
            await http.post(running.url + "/ea", b"x")
        assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
        go_on.set()
        assert all(said.endswith(b"x") for said in await asyncio.gather(*first))
        assert await http.post(running.url + "/ea", b"x") == b"x"

    run(test, answer=slow)


def test_requests_sent_slowly_take_no_place_from_others() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        slow = [await running.connect() for _ in range(MAX_REQUESTS_AT_ONCE)]
        for _reader, writer in slow:
            writer.write(REQUEST_HEAD + b"Content-Length: 2\r\n\r\na")
            await writer.drain()
        assert await http.post(running.url + "/ea", b"ab") == b"ba"
        assert await http.get(f"{running.url}/dc/getcrl/{ROOT.hex()}") == b"crl"
        for _reader, writer in slow:
            writer.write(b"b")
        for reader, writer in slow:
            assert (await reader.read()).endswith(b"ba")
            writer.close()

    run(test)


def test_a_client_that_says_nothing_is_cut() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        for octets in (b"", b"POST /ea HT", REQUEST_HEAD + b"Content-Length: 5\r\n\r\nab"):
            with suppress(ConnectionResetError):
                assert await running.said(octets) == b""

    assert run(test, connection_timeout_s=0.05).counters["connections.too_slow"] == 3


def test_one_address_has_no_more_connections_than_its_share() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        idle = [await running.connect() for _ in range(MAX_CONNECTIONS_OF_A_CLIENT)]
        with suppress(ConnectionResetError):
            await running.said(b"")  # those before it are accepted by now, and it is one too many
        for _reader, writer in idle:
            writer.close()
        for reader, _writer in idle:
            await reader.read()
        assert await http.post(running.url + "/ea", b"ab") == b"ba"

    assert run(test).counters["connections.refused"] == 1


def test_what_is_no_http_is_refused_counted_and_not_logged() -> None:
    garbage = (
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        b"GET /" + b"x" * MAX_HEAD_OCTETS + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * MAX_HEAD_OCTETS,
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    )

    async def test(running: Running, http: PkiHttp) -> None:
        for octets in garbage:
            assert (await running.said(octets)).startswith(b"HTTP/1.1 400"), octets

    running = run(test)
    assert running.counters["connections.no_http"] == len(garbage)
    assert running.log.getvalue() == ""


def test_a_connection_serves_one_request() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        said = await running.said(b"GET /log/checkpoint HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        assert said.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in said.lower()

    run(test)


def test_the_status_counts_by_reason_and_invents_no_names() -> None:
    async def test(running: Running, http: PkiHttp) -> None:
        for number in range(20):
            await status_of(http.get(f"{running.url}/made-up-{number}/{number}"))
        shown: Mapping[str, Mapping[str, int]] = json.loads(await http.get(running.url + "/status"))
        assert shown == {"counters": {"other 404": 20}}

    run(test)


def test_a_request_under_way_is_finished_when_the_server_stops() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(body: bytes) -> bytes:
        asked.set()
        await go_on.wait()
        return body

    async def both() -> bytes:
        counters = Counters()
        limiter = RateLimiter(per_client=PLENTY, overall=PLENTY)
        app = make_app(
            offices=Desk(slow),
            library=Shelf(),
            serves=frozenset(),
            status=dict,
            requests=limiter,
            readings=limiter,
            counters=counters,
            clock=ManualClock(None),
            log=make_logger(io.StringIO()),
        )
        sock = listen("127.0.0.1", 0)
        url = url_of(sock)
        server = asyncio.create_task(serve(app, sock, counters=counters))
        async with PkiHttp() as http:
            posted = asyncio.create_task(http.post(url + "/ea", b"request"))
            await asked.wait()
            server.cancel()
            asyncio.get_running_loop().call_soon(go_on.set)
            with suppress(asyncio.CancelledError):
                await server
            with pytest.raises(TransportError, match="cannot be reached"):
                await http.post(url + "/ea", b"late")
            return await posted

    assert asyncio.run(both()) == b"request"
