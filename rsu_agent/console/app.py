"""The console's addresses, further pages of the operator's HTTP server (`http_app`).

    GET /                  leads to the page
    GET /console           the page
    GET /console/events    what there is to see, as server-sent events (WHATWG HTML 9.2)

They only show; the server adds the headers that every answer has. A stream of events ends by itself before the server would cut the
connection; the page opens the next one at once and goes on with a whole picture. One that nobody reads ends earlier.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, suppress

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from rsu_agent.console.feed import ConsoleFeed, Watcher
from rsu_agent.console.page import content_security_policy, page
from shared.core.errors import TransportError
from shared.operator.rate_limits import client_of

STREAM_S = 45.0
"""How long one stream of events lasts; less than what the server gives a connection."""

LAST_WORDS_S = 1.0
"""How long a page may still read what was sent before a stream that has ended is given up."""

RETRY_MS = 100
"""After which the page opens the next stream."""

RETRY_FULL_S = 5
"""After which whoever found no room may come again."""

PATH = "/console"
EVENTS_PATH = "/console/events"


def console_routes(feed: ConsoleFeed, *, stream_s: float = STREAM_S) -> Sequence[BaseRoute]:
    """Return the addresses.

    Args:
        feed: tells what there is to see; somebody runs it.
        stream_s: how long one stream lasts.
    """

    async def show(_request: Request) -> Response:
        policy = {"content-security-policy": content_security_policy()}
        return Response(page(), media_type="text/html; charset=utf-8", headers=policy)

    async def lead_on(_request: Request) -> Response:
        return RedirectResponse(PATH)

    async def stream(_request: Request) -> Response:
        return _Events(feed, stream_s)

    events = Route(EVENTS_PATH, stream, methods=["GET"])
    events.methods = {"GET"}  # without HEAD: who reads no body would take a place for nothing
    return [Route("/", lead_on, methods=["GET"]), Route(PATH, show, methods=["GET"]), events]


class _Events(Response):
    """A stream of events; watches for as long as it is read."""

    def __init__(self, feed: ConsoleFeed, stream_s: float) -> None:
        super().__init__()
        self._feed = feed
        self._stream_s = stream_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        with ExitStack() as stack:
            try:
                watcher = stack.enter_context(self._feed.watch(client_of(client[0] if client else "")))
            except TransportError as full:
                raise HTTPException(503, full.reason, {"retry-after": str(RETRY_FULL_S)}) from None
            stream = StreamingResponse(_told(watcher, self._stream_s), media_type="text/event-stream")
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as reading:
                    watcher.on_end = lambda: reading.reschedule(asyncio.get_running_loop().time() + LAST_WORDS_S)
                    await stream(scope, receive, send)


async def _told(watcher: Watcher, stream_s: float) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    async for event in watcher.events(stream_s):
        yield event
