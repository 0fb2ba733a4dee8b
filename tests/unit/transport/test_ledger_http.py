"""The client of a log against real servers on loopback: what it asks, what it puts up with, and whom it asks next."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs
from shared.core.errors import DecodeError, EncodeError, TransportError
from shared.ledger.tiles import MAX_ENTRY_BYTES, encode_bundle
from shared.service.secret import SecretText
from shared.transport.bounded_http import HttpStatusError
from shared.transport.ledger_http import LedgerHttp, check_token
from shared.transport.ledger_places import FIRST_SPARING_NS, MAX_PLACES, MAX_SPARING_NS, Places

SHORT_S = 0.05
"""What a test waits for a server that will never speak."""


class Server:
    """Answers by path; what it does not know is 404. `None` as an answer: silence."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes] | None] = {}
        self.headers = b""
        self.heard: list[str] = []
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
            self.bodies.append(await reader.readexactly(length))
            self.heads.append(head)
            path = head.split(" ")[1]
            self.heard.append(path)
            answer = self.answers.get(path, (404, b"none"))
            if answer is None:
                await reader.read()
                return
            status, body = answer
            writer.write(b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\nConnection: close\r\n" % (status, len(body)))
            writer.write(self.headers + b"\r\n" + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*servers: Server) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for server in servers:
            listener = await asyncio.start_server(server.talk, "127.0.0.1", 0)
            stack.callback(listener.close)
            server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield


def talk(
    use: Callable[[LedgerHttp], Awaitable[object]],
    *servers: Server,
    token: str | None = None,
    clock: ManualClock | None = None,
    prefix: str = "",
    silence_timeout_s: float = 10.0,
) -> object:
    async def run() -> object:
        async with serving(*servers):
            urls = [server.url + prefix for server in servers]
            client = LedgerHttp(urls, clock=clock or ManualClock(None), token=token, silence_timeout_s=silence_timeout_s)
            async with client as http:
                return await use(http)

    return asyncio.run(run())


def test_an_entry_is_posted_as_it_is_and_its_index_read() -> None:
    server = Server()
    server.answers["/log/add"] = (200, b"73894")
    assert talk(lambda http: http.submit(b"\x00entry\xff"), server, prefix="/log/") == 73894
    assert server.bodies == [b"\x00entry\xff"]
    assert "authorization" not in server.heads[0].lower()
    names = {line.split(":")[0].lower() for line in server.heads[0].split("\r\n")[1:] if line}
    assert names == {"host", "content-length", "content-type", "accept-encoding", "connection"}


def test_a_token_goes_with_submissions_only_and_a_caller_may_bring_its_own() -> None:
    server = Server()
    server.answers |= {"/add": (200, b"1"), "/checkpoint": (200, b"note")}

    async def use(http: LedgerHttp) -> None:
        await http.submit(b"one")
        await http.submit(b"two", authorization="Bearer theirs")
        await http.read("checkpoint")

    talk(use, server, token=SecretText("s3cret.token"))
    said = [[line for line in head.split("\r\n") if line.lower().startswith("authorization")] for head in server.heads]
    assert [[line.split(": ", 1)[1] for line in lines] for lines in said] == [["Bearer s3cret.token"], ["Bearer theirs"], []]


@pytest.mark.parametrize("answer", [b"", b"-1", b"01", b"1 ", b"1\n\n", b"9223372036854775807", b"1" * 21, b"<html>", b"\xff"])
def test_an_answer_that_is_no_index_is_the_servers_failure(answer: bytes) -> None:
    server = Server()
    server.answers["/add"] = (200, answer)
    with pytest.raises(TransportError):
        talk(lambda http: http.submit(b"entry"), server)


@pytest.mark.parametrize("entry", [b"", bytes(MAX_ENTRY_BYTES + 1)])
def test_an_entry_no_log_takes_is_our_mistake(entry: bytes) -> None:
    with pytest.raises(EncodeError):
        talk(lambda http: http.submit(entry), Server())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("checkpoint", bytes(65_537)),
        ("tile/0/000", bytes(8_193)),
        ("tile/0/000.p/3", bytes(97)),
        ("tile/entries/000.p/1", bytes(65_538)),
    ],
)
def test_a_flood_is_cut_off_at_what_the_path_can_have(path: str, body: bytes) -> None:
    server = Server()
    server.answers["/" + path] = (200, body)
    with pytest.raises(TransportError, match="octets"):
        talk(lambda http: http.read(path), server)
    server.answers["/" + path] = (200, body[:-1])
    assert talk(lambda http: http.read(path), server) == body[:-1]


def test_a_server_that_stalls_is_given_up_on_and_the_next_place_asked() -> None:
    stalled, good = Server(), Server()
    stalled.answers["/checkpoint"] = None
    good.answers["/checkpoint"] = (200, b"note")
    assert talk(lambda http: http.read("checkpoint"), stalled, good, silence_timeout_s=SHORT_S) == b"note"
    with pytest.raises(TransportError, match="silent"):
        talk(lambda http: http.read("checkpoint"), stalled, silence_timeout_s=SHORT_S)


def test_no_path_of_a_log_is_no_request() -> None:
    server = Server()
    for path in ("../secret", "tile/9/000", "tile/0/1", "", "http://other/"):
        with pytest.raises(DecodeError):
            talk(lambda http, path=path: http.read(path), server)  # type: ignore[misc]  # bound now, not later
    assert server.heard == []


def test_a_partial_tile_that_became_whole_is_cut_from_it() -> None:
    server = Server()
    tile = bytes(range(256)) * 32
    entries = [b"entry %d" % n for n in range(256)]
    server.answers |= {"/tile/0/000": (200, tile), "/tile/entries/000": (200, encode_bundle(entries))}
    assert talk(lambda http: http.read("tile/0/000.p/5"), server) == tile[:160]
    assert talk(lambda http: http.read("tile/entries/000.p/7"), server) == encode_bundle(entries[:7])
    with pytest.raises(HttpStatusError):
        talk(lambda http: http.read("tile/1/000.p/5"), server)


def test_a_mirror_takes_no_submissions_and_is_read_first_all_the_same() -> None:
    mirror, log = Server(), Server()
    mirror.answers["/checkpoint"] = (200, b"from the mirror")
    log.answers |= {"/add": (200, b"5"), "/checkpoint": (200, b"from the log")}

    async def use(http: LedgerHttp) -> tuple[int, int, bytes]:
        return await http.submit(b"one"), await http.submit(b"two"), await http.read("checkpoint")

    assert talk(use, mirror, log) == (5, 5, b"from the mirror")
    assert mirror.heard == ["/add", "/checkpoint"]


def test_a_place_without_a_tile_is_not_unhealthy() -> None:
    lagging, log = Server(), Server()
    lagging.answers["/checkpoint"] = (200, b"note")
    log.answers["/tile/0/000"] = (200, bytes(8_192))

    async def use(http: LedgerHttp) -> None:
        await http.read("tile/0/000")
        await http.read("checkpoint")

    talk(use, lagging, log)
    assert lagging.heard[-1] == "/checkpoint"


def test_whoever_answered_what_led_nowhere_is_asked_last_for_a_while() -> None:
    first, second, clock = Server(), Server(), ManualClock(None)
    first.answers["/checkpoint"], second.answers["/checkpoint"] = (200, b"first"), (200, b"second")

    async def use(http: LedgerHttp) -> None:
        read = [await http.read("checkpoint")]
        http.distrust()
        read.append(await http.read("checkpoint"))
        clock.advance(FIRST_SPARING_NS)
        read.append(await http.read("checkpoint"))
        http.trust()
        read.append(await http.read("checkpoint"))
        assert read == [b"first", b"second", b"first", b"first"]
        assert http.status()["reading"] == dict.fromkeys((first.url, second.url), "ok")

    talk(use, first, second, clock=clock)


def test_a_server_that_names_its_time_is_left_alone_until_then() -> None:
    server, clock = Server(), ManualClock(None)
    server.answers["/add"], server.headers = (429, b"slowly"), b"Retry-After: 60\r\n"

    async def use(http: LedgerHttp) -> int:
        with pytest.raises(HttpStatusError, match="429"):
            await http.submit(b"entry")
        with pytest.raises(TransportError, match="left alone"):
            await http.submit(b"entry")
        clock.advance(60 * NS_PER_S)
        server.answers["/add"] = (200, b"3")
        return await http.submit(b"entry")

    assert talk(use, server, clock=clock) == 3
    assert len(server.heard) == 2


def test_places_in_trouble_are_spared_longer_each_time_and_the_next_due_is_asked_when_all_are() -> None:
    places = Places(("a", "b"))
    now = MonotonicNs(0)
    assert places.order(now) == ("a", "b")
    for _ in range(40):
        for _ in range(8):
            places.failed("a", now)
        assert places.order(now) == ("b",)
        spared = 0
        while places.order(MonotonicNs(now + spared)) == ("b",):
            spared += FIRST_SPARING_NS
        assert FIRST_SPARING_NS <= spared <= MAX_SPARING_NS + FIRST_SPARING_NS
        now = MonotonicNs(now + spared)
    places.failed("a", now)
    places.failed("b", now)
    assert places.order(now) == ("b",)
    places.answered("a")
    assert places.order(now) == ("a",)
    with pytest.raises(ValueError, match="places"):
        Places(())
    with pytest.raises(ValueError, match="places"):
        Places([str(n) for n in range(MAX_PLACES + 1)])


@pytest.mark.parametrize(
    "url", ["", "ftp://log.example", "http://", "http://log.example/?x=1", "http://user@log.example", "file:///etc"]
)
def test_a_place_that_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(TransportError):
        LedgerHttp((url,), clock=ManualClock(None))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "é", "x" * 5_000])
def test_what_no_header_can_carry_is_no_token(token: str) -> None:
    with pytest.raises(DecodeError):
        check_token(token)
    assert check_token("abc.DEF-123_~+/==") == "abc.DEF-123_~+/=="
