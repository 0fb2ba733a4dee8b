"""TLS in front of the HTTP server: served when the hand is shaken, and strangers who will not shake it cost little."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from shared.core.errors import ConfigError
from shared.operator.http_server import listen, serve, url_of
from shared.operator.http_tls import MAX_HANDSHAKES, TlsServer
from shared.service.counters import Counters
from shared.service.server_tls import server_tls
from tests.helpers.broker import TlsAuthority


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(guarded())


@asynccontextmanager
async def serving(authority: TlsAuthority, counters: Counters) -> AsyncIterator[str]:
    sock = listen("127.0.0.1", 0)
    context = server_tls(*authority.issue("rsu"), environment={})
    task = asyncio.create_task(serve(PlainTextResponse("here"), sock, counters=counters, tls=context))
    try:
        yield url_of(sock, is_tls=True)
    finally:
        task.cancel()
        await asyncio.wait((task,))


def client_of(authority: TlsAuthority) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(authority.path)), timeout=20)


def test_who_shakes_hands_is_served_as_often_as_he_likes(tmp_path: Path) -> None:
    authority, counters = TlsAuthority(tmp_path), Counters()

    async def scene() -> None:
        async with serving(authority, counters) as url, client_of(authority) as client:
            for _ in range(3):
                assert (await client.get(url)).text == "here"
        assert counters.total == 0

    run(scene)


def test_strangers_in_the_middle_of_a_handshake_are_few_and_the_operator_is_served_once_they_are_gone(tmp_path: Path) -> None:
    authority, counters = TlsAuthority(tmp_path), Counters()

    async def scene() -> None:
        async with serving(authority, counters) as url, client_of(authority) as client:
            port = httpx.URL(url).port
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_HANDSHAKES + 5)]
            for reader, _ in silent[MAX_HANDSHAKES:]:
                assert await reader.read() == b"", "closed at once"
            assert counters["handshakes.refused"] == 5
            for _, writer in silent:
                writer.close()
            while counters["handshakes.failed"] < MAX_HANDSHAKES:  # noqa: ASYNC110 - counted elsewhere, without an event
                await asyncio.sleep(0.001)
            assert (await client.get(url)).text == "here"

    run(scene)


def test_a_handshake_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    authority, counters = TlsAuthority(tmp_path), Counters()

    async def scene() -> None:
        sock = listen("127.0.0.1", 0)
        context = server_tls(*authority.issue("rsu"), environment={})
        server = TlsServer(sock, context, asyncio.Protocol, counters=counters, timeout_s=0.01)
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        assert await reader.read() == b""
        assert counters["handshakes.failed"] == 1
        writer.close()
        server.close()
        await server.wait_closed()
        sock.close()

    run(scene)


def test_a_server_that_ends_drops_who_is_in_the_middle_of_a_handshake(tmp_path: Path) -> None:
    authority, counters = TlsAuthority(tmp_path), Counters()

    async def scene() -> None:
        async with serving(authority, counters) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
            async with client_of(authority) as client:
                assert (await client.get(url)).text == "here"
        assert await reader.read() == b""
        writer.close()

    run(scene)


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1_1])
def test_an_old_tls_is_not_spoken(tmp_path: Path, old: ssl.TLSVersion) -> None:
    context = server_tls(*TlsAuthority(tmp_path).issue("rsu"), environment={})
    assert context.minimum_version > old


def test_files_that_do_not_belong_together_or_are_open_are_refused(tmp_path: Path) -> None:
    authority = TlsAuthority(tmp_path)
    certificate, key = authority.issue("one")
    _, other = authority.issue("two")
    with pytest.raises(ConfigError, match="belongs to the key"):
        server_tls(certificate, other, environment={})
    with pytest.raises(ConfigError, match="cannot be read"):
        server_tls(certificate, tmp_path / "absent", environment={})
    with pytest.raises(ConfigError, match="belongs to the key"):
        server_tls(tmp_path / "absent", key, environment={})
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="open to others"):
        server_tls(certificate, key, environment={})
