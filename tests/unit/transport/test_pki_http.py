"""The client against a real server on loopback that says whatever octets a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.core.errors import TransportError
from shared.transport.pki_http import MAX_ANSWER_OCTETS, MAX_REASON_CHARACTERS, HttpStatusError, PkiHttp

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SHORT_S = 0.05
"""What a test waits for a server that will never speak."""


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """Run a server that reads a request's head and then does what `talk` says; yields its URL."""
    done: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        done.append(task)
        try:
            await talk(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in done:
            task.cancel()
        await asyncio.gather(*done)


def saying(octets: bytes) -> Talk:
    """Answer anything with these octets."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(octets)

    return talk


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"".join(header + b"\r\n" for header in (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers))
    return head + b"\r\n" + body


def fetched(talk: Talk, *, maximum: int = 100, exchange_timeout_s: float = 30.0, silence_timeout_s: float = 10.0) -> bytes:
    async def run() -> bytes:
        async with (
            server(talk) as url,
            PkiHttp(exchange_timeout_s=exchange_timeout_s, silence_timeout_s=silence_timeout_s) as http,
        ):
            return await http.get(url + "/list", maximum=maximum)

    return asyncio.run(run())


def refusal(talk: Talk, *, maximum: int = 100, exchange_timeout_s: float = 30.0, silence_timeout_s: float = 10.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        fetched(talk, maximum=maximum, exchange_timeout_s=exchange_timeout_s, silence_timeout_s=silence_timeout_s)
    return caught.value


def test_a_document_is_returned_octet_for_octet_whatever_type_it_claims() -> None:
    assert fetched(saying(answer(bytes(range(100)), b"Content-Type: text/html"))) == bytes(range(100))


def test_a_request_goes_out_as_its_request_and_says_nothing_of_who_asks() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(7))
        writer.write(answer(b"answer", b"Set-Cookie: you=known", b"Content-Type: application/x-its-response"))

    async def run() -> tuple[bytes, bytes]:
        async with server(talk) as url, PkiHttp() as http:
            return await http.post(url + "/ea", b"request"), await http.post(url + "/ea", b"request")

    assert asyncio.run(run()) == (b"answer", b"answer")
    assert heard[1] == b"request"
    names = {line.split(b":")[0].lower() for line in heard[0].split(b"\r\n")[1:] if line}
    assert names == {b"host", b"content-length", b"content-type", b"accept", b"accept-encoding", b"connection"}
    assert b"application/x-its-request" in heard[0]
    assert heard[2] == heard[0]


def test_exchanges_share_no_connection() -> None:
    ports: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ports.append(writer.get_extra_info("peername")[1])
        await saying(answer(b"x"))(reader, writer)
        await writer.drain()
        await reader.read()

    async def run() -> None:
        async with server(talk) as url, PkiHttp() as http:
            for _ in range(3):
                await http.get(url)

    asyncio.run(run())
    assert len(ports) == 3


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"SSH-2.0-server\r\n\r\n", "no HTTP"),
        (b"", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", "no HTTP"),
        (b"\x16\x03\x01\x00\x05hello" * 50, "no HTTP"),
    ],
)
def test_what_is_no_http_is_refused_with_the_url(octets: bytes, words: str) -> None:
    error = refusal(saying(octets))
    assert words in error.reason
    assert error.endpoint.startswith("http://127.0.0.1:")
    assert error.endpoint.endswith("/list")


def test_an_announced_excess_is_refused_unread() -> None:
    assert "101 octets" in refusal(saying(answer(b"x" * 101))).reason
    assert len(fetched(saying(answer(b"x" * 100)))) == 100


def test_an_announcement_of_thousands_of_digits_is_refused() -> None:
    assert refusal(saying(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n")).endpoint


def test_an_excess_that_nobody_announced_is_cut_off_where_it_begins() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10\r\n" + bytes(16) + b"\r\n")
            await writer.drain()

    assert "more than 100 octets" in refusal(talk).reason


def test_a_body_in_an_encoding_nobody_asked_for_is_not_unpacked() -> None:
    assert "gzip" in refusal(saying(answer(b"\x1f\x8b", b"Content-Encoding: gzip"))).reason


def test_a_server_that_never_speaks_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.Event().wait()

    assert "silent" in refusal(talk, silence_timeout_s=SHORT_S).reason


def test_a_server_that_does_not_come_to_an_end_is_given_up_when_the_exchange_has_had_its_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf of")(reader, writer)
        await asyncio.Event().wait()

    assert "not over within" in refusal(talk, exchange_timeout_s=SHORT_S).reason


def test_a_server_that_is_not_there_is_named() -> None:
    async def run() -> None:
        async with server(saying(b"")) as url:
            gone = url
        async with PkiHttp() as http:
            with pytest.raises(TransportError, match="cannot be reached") as caught:
                await http.post(gone, b"x")
            assert caught.value.endpoint == gone

    asyncio.run(run())


def test_a_status_is_told_with_the_servers_own_words_on_one_printable_line() -> None:
    body = b"too many\r\n\x1b[31mrequests" + b"!" * 1_000
    error = refusal(saying(answer(body, b"Content-Type: text/plain", b"Retry-After: 7", status=b"429 Too Many Requests")))
    assert isinstance(error, HttpStatusError)
    assert (error.status, error.retry_after_s) == (429, 7)
    assert "too many ?[31mrequests!" in error.reason
    assert len(error.reason) < 2 * MAX_REASON_CHARACTERS
    assert error.reason.isprintable()


def test_an_endless_page_about_a_failure_is_not_read_to_its_end() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Broken\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(bytes(MAX_ANSWER_OCTETS))
            await writer.drain()

    error = refusal(talk)
    assert isinstance(error, HttpStatusError)
    assert error.status == 500


def test_a_redirect_is_an_answer_that_is_not_followed() -> None:
    error = refusal(saying(answer(b"", b"Location: http://elsewhere.example/", status=b"302 Found")))
    assert "http://elsewhere.example/, which is not followed" in error.reason


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ea",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://a\n.example/",
        "http://user:word@127.0.0.1/",
        "http://[::1/",
        "http://xn--a/",
        "http://127.0.0.1:99999/",
        "http://\u2603" + "x" * 300 + ".example/",
    ],
)
def test_what_is_no_url_of_a_server_is_refused_before_anything_is_sent(url: str) -> None:
    async def run() -> None:
        async with PkiHttp() as http:
            await http.get(url)

    with pytest.raises(TransportError) as caught:
        asyncio.run(run())
    assert str(caught.value).isprintable()
    assert "word" not in str(caught.value)
