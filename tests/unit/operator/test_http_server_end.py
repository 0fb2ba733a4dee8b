"""How the HTTP server ends: quietly, in whatever order a program lets go of what it opened."""

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from shared.operator.http_server import listen, serve, url_of
from shared.service.counters import Counters


@pytest.mark.parametrize("is_closed_first", [True, False])
def test_it_ends_quietly_and_its_port_is_free_again(caplog: pytest.LogCaptureFixture, *, is_closed_first: bool) -> None:
    async def scene() -> None:
        sock = listen("127.0.0.1", 0)
        port, url = sock.getsockname()[1], url_of(sock)
        task = asyncio.create_task(serve(PlainTextResponse("here"), sock, counters=Counters()))
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "here"
            if is_closed_first:
                sock.close()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        listen("127.0.0.1", port).close()

    asyncio.run(scene(), debug=True)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_it_does_not_begin_where_its_owner_has_let_go_already() -> None:
    sock = listen("127.0.0.1", 0)
    sock.close()
    asyncio.run(serve(PlainTextResponse("here"), sock, counters=Counters()))
