"""What a witness answers over HTTP, as an ASGI application (C2SP tlog-witness).

    POST /add-checkpoint                        decided by `shared.ledger.witness`
    GET  /{hex SHA-256 of an origin}/checkpoint the checkpoint it cosigned last, with its cosignature
    GET  /status                                JSON
    GET  /forks                                 JSON: contradictions it was shown, both notes of each

Cheap before dear: rate and size are looked at before a request is read, and what is read is bounded in size and time. Beside the
protocol's statuses: 408 too slow, 413 too large, 429 too often, 503 cannot keep what it would cosign. Every answer is counted by
its word; only errors of ours, contradictions, and what a lost file looks like are logged.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Clock
from shared.core.errors import StorageError
from shared.ledger.add_checkpoint import MAX_REQUEST_BYTES
from shared.ledger.witness import Witness, WitnessAnswer
from shared.operator.http_body import read_body
from shared.operator.rate_limits import RateLimiter, client_of
from shared.service.counters import Counters
from shared.service.run import error_line
from shared.service.witness_store import MAX_FORKS, WitnessFile

BODY_TIMEOUT_S = 10.0
"""Seconds a client has to send a request's body."""

RETRY_AFTER_S = 5
"""Seconds after which a log may ask again a witness that has no clock, or cannot write."""

LOST_FILE = b"a log says this witness has cosigned more than it knows of; if its file was put back from a copy, it needs a new key"
"""Told once; anybody can say so, and whoever did put a copy back learns of it."""

JSON_TYPE = "application/json"
NOTE_TYPE = "text/plain; charset=utf-8"

_CALLS = frozenset(("/add-checkpoint", "/status", "/forks"))


def make_witness_app(
    *,
    witness: Witness,
    store: WitnessFile,
    origins: tuple[str, ...],
    status: Callable[[], Mapping[str, object]],
    rates: RateLimiter,
    counters: Counters,
    clock: Clock,
    log: FilteringBoundLogger,
    body_timeout_s: float = BODY_TIMEOUT_S,
) -> ASGIApp:
    """Return the application.

    Args:
        witness: decides.
        store: what it has cosigned.
        origins: of the logs it knows.
        status: what `/status` shows.
        rates: of all requests.
        counters: counts by word.
        clock: dates cosignatures, and for the rates.
        log: told of errors of ours, and of contradictions.
        body_timeout_s: for a client to send its request.
    """
    told: set[bytes] = set()
    known = {sha256(origin.encode()).hexdigest(): origin for origin in origins}

    async def add_checkpoint(request: Request) -> Response:
        answer = witness.add_checkpoint(
            await read_body(request, most_octets=MAX_REQUEST_BYTES, timeout_s=body_timeout_s, what="a request"), clock.now()
        )
        counters.add(f"answered.{answer.word}")
        if answer.word == "fork" and answer.body not in told and len(told) < MAX_FORKS:
            told.add(answer.body)
            log.error("fork", reason=answer.body.decode().strip(), evidence="/forks")
        if answer.word == "ahead" and LOST_FILE not in told:
            told.add(LOST_FILE)
            log.warning("log_ahead", reason=LOST_FILE.decode())
        return _response(answer)

    async def checkpoint(request: Request) -> Response:
        origin = known.get(request.path_params["digest"])
        cosigned = None if origin is None else store.cosigned(origin)
        if cosigned is None:
            raise HTTPException(404, "nothing was cosigned for such a log")
        return Response(cosigned.note, media_type=NOTE_TYPE)

    async def show_status(_request: Request) -> Response:
        return _json(status())

    async def show_forks(_request: Request) -> Response:
        return _json(
            [
                {
                    "origin": origin,
                    "reason": str(fork),
                    "cosigned_note": fork.trusted_note.decode(),
                    "conflicting_note": fork.conflicting_note.decode(),
                }
                for origin, fork in store.forks()
            ]
        )

    routes = [
        Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
        Route("/status", show_status, methods=["GET"]),
        Route("/forks", show_forks, methods=["GET"]),
        Route("/{digest}/checkpoint", checkpoint, methods=["GET"]),
    ]
    return _Gate(Router(routes, redirect_slashes=False), rates=rates, counters=counters, clock=clock, log=log)


class _Gate:
    """Lets requests through one by one, and turns every error into an answer and a count."""

    def __init__(self, app: ASGIApp, *, rates: RateLimiter, counters: Counters, clock: Clock, log: FilteringBoundLogger) -> None:
        self._app = app
        self._rates = rates
        self._counters = counters
        self._clock = clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        kind = path if path in _CALLS else "/checkpoint" if path.endswith("/checkpoint") else "other"

        async def counted_send(message: Mapping[str, object]) -> None:
            if message["type"] == "http.response.start":
                self._counters.add(f"{kind} {message['status']}")
            await send(dict(message))

        client = scope.get("client")
        wait_ns = self._rates.wait_ns(client_of(client[0] if client else ""), self._clock.now().monotonic)
        if wait_ns:
            refusal = _line(429, "too many requests", {"retry-after": str(-(-wait_ns // NS_PER_S))})
            await refusal(scope, receive, counted_send)
            return
        try:
            await self._app(scope, receive, counted_send)
        except Exception as error:  # noqa: BLE001 - whatever went wrong with one request must not end the service
            await self._response_to(error, kind)(scope, receive, counted_send)

    def _response_to(self, error: Exception, kind: str) -> Response:
        """Count an error, log it if it is ours, and return what the client is told: of ours, no word of what it was."""
        match error:
            case HTTPException():
                return _line(error.status_code, error.detail, error.headers)
            case ClientDisconnect():
                return _line(400, "the request ended early")  # heard by nobody, but counted
            case StorageError():
                self._counters.add(f"answered.{error.code}")
                self._log.error("request_failed", path=kind, code=error.code, reason=str(error))
                return _line(503, "this witness cannot keep what it cosigns now", {"retry-after": str(RETRY_AFTER_S)})
            case _:
                self._log.error("request_failed", path=kind, reason=error_line(error))
                return _line(500, "this witness failed")


def _response(answer: WitnessAnswer) -> Response:
    headers = {"content-type": answer.content_type}
    if answer.status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    return Response(answer.body, answer.status, headers)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", media_type=JSON_TYPE)


def _line(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(" ".join(words.split()) + "\n", status, headers)
