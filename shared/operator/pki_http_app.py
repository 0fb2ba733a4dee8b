"""What authorities, distribution centre, point of contact and log answer over HTTP, as an ASGI application (TS 102 941 annex D).

    POST /ea[/{name}], /aa[/{name}]         application/x-its-request -> application/x-its-response
    GET  /dc/getctl/{root}[/{held}]         a root's CTL, or the delta list that follows the one with that number
    GET  /dc/getcrl/{root}
    GET  /dc/getproof/{sha256}              tlog-proof@v1 of a certificate or list, by the hash of its octets
    GET  /cpoc/gettlmcertificate/[{tlm}]    the trust list manager's certificate
    GET  /cpoc/getectl/{tlm}                its list
    GET  /cpoc/getproof/{sha256}            as under /dc
    GET  /log/{path}                        tlog-tiles
    GET  /status                            JSON

Cheap before dear: rate, type and size are looked at before a request is read, what is read is bounded in size and time, and so is
the number worked on at once. A refusal is one line of text: 400 not even answerable, 404 not there, 408 too slow, 413 too large,
415 another type, 429 too often, 503 not now. Errors are counted by reason; only those of ours are logged.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock
from shared.core.errors import StorageError, TransportError, UntrustedTimeError
from shared.core.ids import HashedId8
from shared.operator.http_body import read_body
from shared.operator.rate_limits import RateLimiter, client_of
from shared.pki.exchange import UnanswerableRequest
from shared.service.counters import Counters
from shared.service.key_errors import TokenError
from shared.service.run import error_line
from shared.transport.pki_http import CRL_TYPE, CTL_TYPE, OCTETS_TYPE, REQUEST_TYPE, RESPONSE_TYPE

MAX_REQUEST_OCTETS = 16 * 1024
"""Octets of a request to an authority; with its nested encryptions one has below 2 KiB."""

MAX_REQUESTS_AT_ONCE = 64
"""Requests worked on or waiting for another authority; the next is told to come back. Those still being read do not count: who
sends slowly takes no place from others, and the number of connections bounds how many there are."""

BODY_TIMEOUT_S = 10.0
"""Seconds a client has to send a request's body."""

BUSY_RETRY_AFTER_S = 1

MAX_SEQUENCE = 255

_OFFICES = frozenset(("/ea", "/aa"))

TEXT_TYPE = "text/plain; charset=utf-8"
JSON_TYPE = "application/json"

Answer = Callable[[bytes], Awaitable[bytes]]
"""Answers a request to an authority; raises `UnanswerableRequest` for what has no answer."""


class Offices(Protocol):
    """The authorities that are served, which may change from one request to the next."""

    def at(self, path: str) -> Answer | None:
        """Return who answers at a path below /ea or /aa, None where nobody is; raises `TransportError`, `StorageError`."""
        ...


class Library(Protocol):
    """What is published; None where there is nothing of the kind."""

    def ctl(self, root: HashedId8) -> bytes | None:
        """Return a root's full CTL."""
        ...

    def delta_ctl(self, root: HashedId8, held: int) -> bytes | None:
        """Return the delta list of a root that follows the list with number `held`."""
        ...

    def crl(self, root: HashedId8) -> bytes | None:
        """Return a root's CRL."""
        ...

    def ectl(self, tlm: HashedId8) -> bytes | None:
        """Return the list of a trust list manager."""
        ...

    def tlm_certificate(self, tlm: HashedId8 | None) -> bytes | None:
        """Return the certificate of a trust list manager, or of the one there is."""
        ...

    def proof(self, digest: bytes) -> bytes | None:
        """Return the proof that a document is logged."""
        ...

    def log(self, path: str) -> bytes | None:
        """Return what the log serves at a path."""
        ...


def make_app(
    *,
    offices: Offices,
    library: Library,
    serves: frozenset[str],
    status: Callable[[], Mapping[str, object]],
    requests: RateLimiter,
    readings: RateLimiter,
    counters: Counters,
    clock: Clock,
    log: FilteringBoundLogger,
) -> ASGIApp:
    """Return the application.

    Args:
        offices: the authorities.
        library: what is published.
        serves: which of `dc`, `cpoc` and `log` are served.
        status: what `/status` shows.
        requests: rate of requests to authorities.
        readings: rate of everything else.
        counters: counts by reason.
        clock: for the rates.
        log: told of errors of ours.
    """
    pages = _Pages(library)
    routes = []
    if "dc" in serves:
        routes += [
            Route("/dc/getctl/{root}", pages.ctl),
            Route("/dc/getctl/{root}/{held}", pages.delta_ctl),
            Route("/dc/getcrl/{root}", pages.crl),
            Route("/dc/getproof/{digest}", pages.proof),
        ]
    if "cpoc" in serves:
        routes += [
            Route("/cpoc/gettlmcertificate", pages.tlm_certificate),
            Route("/cpoc/gettlmcertificate/", pages.tlm_certificate),
            Route("/cpoc/gettlmcertificate/{tlm}", pages.tlm_certificate),
            Route("/cpoc/getectl/{tlm}", pages.ectl),
            Route("/cpoc/getproof/{digest}", pages.proof),
        ]
    if "log" in serves:
        routes.append(Route("/log/{path:path}", pages.log))

    async def show_status(_request: Request) -> Response:
        return Response(msgspec.json.encode(status()) + b"\n", media_type=JSON_TYPE)

    routes.append(Route("/status", show_status))
    return _Gate(
        Router(routes, redirect_slashes=False),
        offices=offices,
        requests=requests,
        readings=readings,
        counters=counters,
        clock=clock,
        log=log,
    )


class _Gate:
    """Lets requests through one by one: rate, number at once, and every error turned into an answer and a count."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        offices: Offices,
        requests: RateLimiter,
        readings: RateLimiter,
        counters: Counters,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._app = app
        self._offices = offices
        self._requests = requests
        self._readings = readings
        self._counters = counters
        self._clock = clock
        self._log = log
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        kind = _kind_of(path)

        async def counted_send(message: Mapping[str, object]) -> None:
            if message["type"] == "http.response.start":
                self._counters.add(f"{kind} {message['status']}")
            await send(dict(message))

        refusal = self._refusal(scope, is_request=kind in _OFFICES)
        if refusal is not None:
            await refusal(scope, receive, counted_send)
            return
        try:
            answer = self._offices.at(path) if kind in _OFFICES else None
            if answer is None:
                await self._app(scope, receive, counted_send)
            else:
                kind = path
                response = await self._answered(answer, await _read_request(Request(scope, receive)))
                await response(scope, receive, counted_send)
        except Exception as error:  # noqa: BLE001 - whatever went wrong with one request must not end the service
            await self._response_to(error, kind)(scope, receive, counted_send)

    async def _answered(self, answer: Answer, request: bytes) -> Response:
        if self._at_once >= MAX_REQUESTS_AT_ONCE:
            return _later(503, f"{MAX_REQUESTS_AT_ONCE} requests are being served; come back", BUSY_RETRY_AFTER_S)
        self._at_once += 1
        try:
            return Response(await answer(request), media_type=RESPONSE_TYPE)
        finally:
            self._at_once -= 1

    def _response_to(self, error: Exception, kind: str) -> Response:
        """Count an error, log it if it is ours, and return what the client is told: of ours, no word of what it was."""
        match error:
            case HTTPException():
                return _line(error.status_code, error.detail, error.headers)
            case UnanswerableRequest():
                self._counters.add(f"{kind} {error.code}")
                return _line(400, str(error))
            case ClientDisconnect():
                return _line(400, "the request ended early")  # heard by nobody, but counted
            case StorageError() | UntrustedTimeError() | TransportError():
                self._counters.add(f"{kind} {error.code}")
                self._log.error("request_failed", path=kind, code=error.code, reason=str(error))
                words = "cannot use its key now" if isinstance(error, TokenError) else "cannot answer now"
                return _later(503, f"this authority {words}", BUSY_RETRY_AFTER_S)
            case _:
                self._log.error("request_failed", path=kind, reason=error_line(error))
                return _line(500, "this authority failed")

    def _refusal(self, scope: Scope, *, is_request: bool) -> Response | None:
        limiter = self._requests if is_request else self._readings
        client = scope.get("client")
        wait_ns = limiter.wait_ns(client_of(client[0] if client else ""), self._clock.now().monotonic)
        if wait_ns:
            return _later(429, "too many requests", -(-wait_ns // NS_PER_S))
        return None


class _Pages:
    """What is read with GET."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def ctl(self, request: Request) -> Response:
        return _document(self._library.ctl(_identifier(request, "root")), CTL_TYPE)

    async def delta_ctl(self, request: Request) -> Response:
        text = request.path_params["held"]
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_SEQUENCE):
            raise HTTPException(400, f"a sequence number is a number from 0 to {MAX_SEQUENCE}")
        return _document(self._library.delta_ctl(_identifier(request, "root"), int(text)), CTL_TYPE)

    async def crl(self, request: Request) -> Response:
        return _document(self._library.crl(_identifier(request, "root")), CRL_TYPE)

    async def ectl(self, request: Request) -> Response:
        return _document(self._library.ectl(_identifier(request, "tlm")), OCTETS_TYPE)

    async def tlm_certificate(self, request: Request) -> Response:
        tlm = _identifier(request, "tlm") if "tlm" in request.path_params else None
        return _document(self._library.tlm_certificate(tlm), OCTETS_TYPE)

    async def proof(self, request: Request) -> Response:
        return _document(self._library.proof(_hexadecimal(request, "digest", 32)), TEXT_TYPE)

    async def log(self, request: Request) -> Response:
        path = request.path_params["path"]
        return _document(self._library.log(path), TEXT_TYPE if path == "checkpoint" else OCTETS_TYPE)


async def _read_request(request: Request) -> bytes:
    if request.method != "POST":
        raise HTTPException(405, "a request is sent with POST", {"allow": "POST"})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != REQUEST_TYPE:
        raise HTTPException(415, f"a request is sent as {REQUEST_TYPE}")
    return await read_body(request, most_octets=MAX_REQUEST_OCTETS, timeout_s=BODY_TIMEOUT_S, what="a request")


def _identifier(request: Request, name: str) -> HashedId8:
    return HashedId8(_hexadecimal(request, name, 8))


def _hexadecimal(request: Request, name: str, octets: int) -> bytes:
    text: str = request.path_params[name]
    if len(text) != 2 * octets or not set(text) <= set("0123456789abcdefABCDEF"):
        raise HTTPException(400, f"{name}: {2 * octets} hexadecimal digits are expected")
    return bytes.fromhex(text)


def _document(octets: bytes | None, media_type: str) -> Response:
    if octets is None:
        raise HTTPException(404, "there is no such document here")
    return Response(octets, media_type=media_type)


def _kind_of(path: str) -> str:
    """Return the part of a path that is one of few, for a counter."""
    first, _, rest = path.lstrip("/").partition("/")
    second = rest.partition("/")[0]
    if first in ("dc", "cpoc") and second in ("getctl", "getcrl", "getproof", "gettlmcertificate", "getectl"):
        return f"/{first}/{second}"
    return f"/{first}" if first in ("log", "status", "ea", "aa") else "other"


def _later(status: int, words: str, retry_after_s: int) -> Response:
    return _line(status, words, {"retry-after": str(retry_after_s)})


def _line(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(" ".join(words.split()) + "\n", status, headers)
