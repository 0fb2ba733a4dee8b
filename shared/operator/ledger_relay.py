"""A roadside unit's relay of a log: what a passing vehicle asks of it over the unit's own way to the network, and nothing more.

    POST /add                 passed on as it is, with the vehicle's own authorization; 503 while the log is away
    GET  /checkpoint          asked of the log, at most once a second; the last one seen while the log is away
    GET  /tile/...            asked of the log; whole tiles and bundles are kept, for they never change

Nobody need trust a relay: a vehicle verifies everything. So it verifies nothing itself, and the worst it can do is to waste time.
It is bounded in what it keeps, in how many requests wait for the log, in how often a client may ask, and in everything that
`http_server` bounds. Left out: TLS towards the vehicle, and keeping tiles over a restart.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.core.clock import NS_PER_S, Clock
from shared.core.errors import DecodeError, TransportError
from shared.ledger.tiles import CHECKPOINT_PATH, MAX_ENTRY_BYTES, TILE_WIDTH, parse_tile_path
from shared.operator.http_body import read_body
from shared.operator.rate_limits import Rate, RateLimiter, client_of
from shared.service.counters import Counters
from shared.transport.bounded_http import HttpStatusError

MAX_KEPT_OCTETS = 32 * 1024 * 1024
"""Octets of whole tiles and bundles kept; those not asked for longest give way."""

MAX_KEPT_PIECE_OCTETS = 1024 * 1024
"""Octets of one that is kept: a tile has 8 KiB, a bundle of commitments 9 KiB."""

MAX_ASKED_AT_ONCE = 32
"""Requests that wait for the log; the next is told to come back."""

CHECKPOINT_AGE_NS = NS_PER_S
"""How old a checkpoint may be that is given without asking the log."""

BODY_TIMEOUT_S = 10.0
AWAY_RETRY_AFTER_S = 5
BUSY_RETRY_AFTER_S = 1

MAX_AUTHORIZATION_CHARACTERS = 8_192

CLIENT_RATE = Rate(per_s=100.0, burst=1_000)
"""Requests of one client: a vehicle that catches up with months asks for some hundred tiles at once."""

OVERALL_RATE = Rate(per_s=500.0, burst=5_000)

_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
_NOT_KEPT = {"cache-control": "no-cache"}
_PASSED_ON = frozenset((400, 401, 403, 404, 410, 413, 415, 422, 429))
"""Refusals by the log that are its own word to the client."""


_T = TypeVar("_T")


class Upstream(Protocol):
    """The log: `shared.transport.ledger_http.LedgerHttp`."""

    async def submit(self, entry: bytes, *, authorization: str | None = None) -> int:
        """Submit an entry; raises `TransportError`."""
        ...

    async def read(self, path: str) -> bytes:
        """Read a path; raises `DecodeError`, `TransportError`."""
        ...


class KeptPieces:
    """Whole tiles and bundles, those asked for lately.

    Args:
        capacity_octets: of all together.
    """

    def __init__(self, capacity_octets: int = MAX_KEPT_OCTETS) -> None:
        self._capacity_octets = capacity_octets
        self._pieces: OrderedDict[str, bytes] = OrderedDict()
        self.octets = 0

    def get(self, path: str) -> bytes | None:
        """Return a piece, None where it is not kept."""
        data = self._pieces.get(path)
        if data is not None:
            self._pieces.move_to_end(path)
        return data

    def keep(self, path: str, data: bytes) -> None:
        """Keep a piece, if it is not too long, in place of those asked for longest ago."""
        if len(data) > min(MAX_KEPT_PIECE_OCTETS, self._capacity_octets) or path in self._pieces:
            return
        self._pieces[path] = data
        self.octets += len(data)
        while self.octets > self._capacity_octets:
            self.octets -= len(self._pieces.popitem(last=False)[1])


class LedgerRelay:
    """The relay as an ASGI application.

    Args:
        upstream: the log.
        clock: for rates and the age of a checkpoint.
        counters: counts by what was asked and answered.
        kept: whole tiles and bundles.
    """

    def __init__(self, upstream: Upstream, *, clock: Clock, counters: Counters, kept: KeptPieces | None = None) -> None:
        self._upstream = upstream
        self._clock = clock
        self._counters = counters
        self._kept = KeptPieces() if kept is None else kept
        self._limiter = RateLimiter(per_client=CLIENT_RATE, overall=OVERALL_RATE)
        self._checkpoint: bytes | None = None
        self._checkpoint_at: int | None = None
        self._is_stale = False
        self._fetching: dict[str, asyncio.Task[bytes]] = {}
        self._asked = 0
        routes = [
            Route("/add", self._add, methods=["POST"]),
            Route(f"/{CHECKPOINT_PATH}", self._show_checkpoint, methods=["GET"]),
            Route("/{path:path}", self._piece, methods=["GET"]),
        ]
        self._app: ASGIApp = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever goes wrong with it is an answer and a count."""

        async def counted_send(message: Mapping[str, object]) -> None:
            if message["type"] == "http.response.start":
                self._counters.add(f"{_kind_of(str(scope['path']))} {message['status']}")
            await send(dict(message))

        client = scope.get("client")
        wait_ns = self._limiter.wait_ns(client_of(client[0] if client else ""), self._clock.now().monotonic)
        if wait_ns:
            await _line(429, "too many requests", -(-wait_ns // NS_PER_S))(scope, receive, counted_send)
            return
        try:
            await self._app(scope, receive, counted_send)
        except HTTPException as error:
            await _line(error.status_code, error.detail)(scope, receive, counted_send)
        except ClientDisconnect:
            self._counters.add("gone")

    def status(self) -> dict[str, object]:
        """Return what was done, as JSON values."""
        return {"requests": self._counters.snapshot(), "kept_octets": self._kept.octets, "checkpoint_is_stale": self._is_stale}

    async def _add(self, request: Request) -> Response:
        entry = await read_body(request, most_octets=MAX_ENTRY_BYTES, timeout_s=BODY_TIMEOUT_S, what="an entry")
        if not entry:
            raise HTTPException(400, "an entry has at least 1 octet")
        authorization = request.headers.get("authorization", "")[:MAX_AUTHORIZATION_CHARACTERS] or None
        try:
            index = await self._ask(lambda: self._upstream.submit(entry, authorization=authorization))
        except TransportError as error:
            return _refused(error)
        return PlainTextResponse(str(index), headers=_NOT_KEPT)

    async def _show_checkpoint(self, _request: Request) -> Response:
        now = self._clock.now().monotonic
        if self._checkpoint is None or self._checkpoint_at is None or now - self._checkpoint_at >= CHECKPOINT_AGE_NS:
            try:
                self._checkpoint = await self._fetch(CHECKPOINT_PATH)
                self._is_stale = False
            except TransportError as error:
                if self._checkpoint is None:
                    return _refused(error)
                self._is_stale = True
                self._counters.add("checkpoint stale")
            self._checkpoint_at = self._clock.now().monotonic
        return PlainTextResponse(self._checkpoint, headers=_NOT_KEPT)

    async def _piece(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        try:
            wanted = parse_tile_path(path)
        except DecodeError as error:
            return _line(404, str(error))
        data = self._kept.get(path)
        if data is None:
            try:
                data = await self._fetch(path)
            except TransportError as error:
                return _refused(error)
            if wanted.width == TILE_WIDTH:
                self._kept.keep(path, data)
        return Response(data, media_type="application/octet-stream", headers=_IMMUTABLE)

    async def _fetch(self, path: str) -> bytes:
        """Read a path of the log, once for all who ask for it at the same time."""
        task = self._fetching.get(path)
        if task is None:
            task = asyncio.create_task(self._ask(lambda: self._upstream.read(path)))
            self._fetching[path] = task
            task.add_done_callback(lambda done: self._fetched(path, done))
        return await asyncio.shield(task)

    def _fetched(self, path: str, task: "asyncio.Task[bytes]") -> None:
        del self._fetching[path]
        if not task.cancelled():
            task.exception()  # whoever asked has it; where all of them are gone, nobody misses it

    async def _ask(self, question: Callable[[], Awaitable[_T]]) -> _T:
        if self._asked >= MAX_ASKED_AT_ONCE:
            raise HTTPException(503, f"{MAX_ASKED_AT_ONCE} requests wait for the log; come back")
        self._asked += 1
        try:
            return await question()
        finally:
            self._asked -= 1


def _refused(error: TransportError) -> Response:
    """Return the log's own refusal, or that it is away."""
    if isinstance(error, HttpStatusError) and error.status in _PASSED_ON:
        return _line(error.status, "the log refused", error.retry_after_s)
    return _line(503, "the log cannot be reached from here now", AWAY_RETRY_AFTER_S)


def _kind_of(path: str) -> str:
    first = path.lstrip("/").partition("/")[0]
    return f"/{first}" if first in ("add", "checkpoint", "tile") else "other"


def _line(status: int, words: str, retry_after_s: int | None = None) -> Response:
    after = BUSY_RETRY_AFTER_S if retry_after_s is None and status == 503 else retry_after_s
    return PlainTextResponse(words + "\n", status, None if after is None else {"retry-after": str(after)})
