"""What the unit answers over HTTP, as an ASGI application: its state to whoever may reach it, orders to who has the token.

    GET    /api/status          JSON: what `rsu-agent status --json` shows
    POST   /api/orders          JSON: one order (`rsu_agent.orders`); token
    GET    ...                  further pages (`pages`): the console

Orders are asked for with `Authorization: Bearer`, never by a cookie, so that no page of another site can have a browser give one.
`Host` must be an address or a name of ours, so that no such page can read the state either. An order is carried out by the working
loop, like one from the command socket, and refused in the same words.

Cheap before dear: rate, host, token and size are looked at before a request is read, and what is read is bounded in size and time.
Statuses: 401 no token, or a wrong one; 403 this unit takes no orders; 408 too slow; 409 the order is refused; 413 too large; 415 no
JSON; 421 called by a name that is not ours; 422 the order is none; 429 too often. Every answer is counted; wrong tokens are logged
now and then.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from rsu_agent.console.operator_token import Claim, OperatorToken
from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.errors import ConfigError, DecodeError, V2xError
from shared.operator.http_body import read_body
from shared.operator.rate_limits import Rate, RateLimiter, client_of
from shared.service.command_socket import MAX_ORDER_OCTETS, Obey
from shared.service.counters import Counters
from shared.service.run import error_line

BODY_TIMEOUT_S = 10.0
"""Seconds a client has to send an order."""

ORDER_TIMEOUT_S = 10.0
"""Seconds the working loop has to carry it out."""

MAX_COUNTED_PATHS = 32
"""Paths that are counted by their name; all others are `other`."""

LOG_APART_NS = 60 * NS_PER_S
"""Wrong tokens are logged at most so often."""

JSON_TYPE = "application/json"
STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Content security policy of an answer that states none: it is data, and nothing in it runs."""

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_POLICY = b"content-security-policy"


def new_rates() -> RateLimiter:
    """Return how often a browser may ask, and all of them."""
    return RateLimiter(per_client=Rate(per_s=40, burst=80), overall=Rate(per_s=200, burst=400))


def wrong_token_rates() -> RateLimiter:
    """Return how often a wrong token is answered as such; beyond it, with 429."""
    return RateLimiter(per_client=Rate(per_s=0.5, burst=5), overall=Rate(per_s=5, burst=50))


class Door:
    """Lets the operator in.

    Args:
        token: the operator's; None for a unit that takes no orders over HTTP.
        counters: `token.right`, `token.wrong`, `token.absent`.
        clock: for rates.
        log: told of wrong tokens, with the client's address.
        rates: of wrong tokens.
    """

    def __init__(
        self,
        token: OperatorToken | None,
        *,
        counters: Counters,
        clock: Clock,
        log: FilteringBoundLogger,
        rates: RateLimiter | None = None,
    ) -> None:
        self._token = token
        self._counters = counters
        self._clock = clock
        self._log = log
        self._rates = wrong_token_rates() if rates is None else rates
        self._logged: MonotonicNs | None = None

    @property
    def takes_orders(self) -> bool:
        """Whether anybody can be the operator here."""
        return self._token is not None

    def check(self, request: Request) -> None:
        """Raise `HTTPException` unless the request is the operator's."""
        if self._token is None:
            raise HTTPException(403, "this unit takes no orders over HTTP: its configuration names no http.token")
        claim = self._token.judge(request.headers.get("authorization"))
        self._counters.add(f"token.{claim.value}")
        if claim is Claim.OPERATOR:
            return
        if claim is Claim.WRONG:
            self._wrong(client_of(request.client.host if request.client else ""))
        reason = "the operator's token is needed" if claim is Claim.NONE else "the token is wrong"
        raise HTTPException(401, reason, {"www-authenticate": 'Bearer realm="rsu-agent"'})

    def _wrong(self, client: str) -> None:
        now = self._clock.now().monotonic
        if self._logged is None or now - self._logged >= LOG_APART_NS:
            self._logged = now
            self._log.warning("wrong_token", client=client, times=self._counters["token.wrong"])
        wait_ns = self._rates.wait_ns(client, now)
        if wait_ns:
            raise HTTPException(429, "too many wrong tokens", {"retry-after": str(-(-wait_ns // NS_PER_S))})


def make_http_app(
    *,
    status: Callable[[], Mapping[str, object]],
    obey: Obey,
    door: Door,
    names: Sequence[str],
    counters: Counters,
    clock: Clock,
    log: FilteringBoundLogger,
    pages: Sequence[BaseRoute] = (),
    rates: RateLimiter | None = None,
    body_timeout_s: float = BODY_TIMEOUT_S,
) -> ASGIApp:
    """Return the application.

    Args:
        status: what `/api/status` shows.
        obey: carries an order out.
        door: knows the operator.
        names: of this machine, besides its addresses and `localhost`.
        counters: counts by path and status.
        clock: for rates.
        log: told of errors of ours.
        pages: further routes; those that order something call `door.check` themselves.
        rates: of all requests.
        body_timeout_s: for a client to send its order.
    """

    async def show_status(_request: Request) -> Response:
        return json_response(status())

    async def take_order(request: Request) -> Response:
        door.check(request)
        return await carry_out(obey, await read_json(request, timeout_s=body_timeout_s))

    routes: list[BaseRoute] = [
        Route("/api/status", show_status, methods=["GET"]),
        Route("/api/orders", take_order, methods=["POST"]),
        *pages,
    ]
    counted = frozenset([route.path for route in routes if isinstance(route, Route)][:MAX_COUNTED_PATHS])
    return _Gate(
        Router(routes, redirect_slashes=False),
        paths=counted,
        names=frozenset(name.lower() for name in (*names, "localhost")),
        rates=new_rates() if rates is None else rates,
        counters=counters,
        clock=clock,
        log=log,
    )


async def carry_out(obey: Obey, order: Mapping[str, object], *, timeout_s: float = ORDER_TIMEOUT_S) -> Response:
    """Give an order and return what came of it.

    Raises:
        HTTPException: 422 it is no order, 409 the unit refuses it, 503 the unit does not get to it.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return json_response({"done": await obey(order)})
    except TimeoutError:
        raise HTTPException(503, f"the unit did not get to it within {timeout_s:g} s") from None
    except (ConfigError, DecodeError) as refusal:
        raise HTTPException(422, str(refusal)) from None
    except V2xError as refusal:
        raise HTTPException(409, str(refusal)) from None


async def read_json(request: Request, *, timeout_s: float = BODY_TIMEOUT_S) -> dict[str, object]:
    """Return a request's body, one JSON object of at most `MAX_ORDER_OCTETS`; raises `HTTPException`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON_TYPE:
        raise HTTPException(415, f"the content type of an order is {JSON_TYPE}")
    body = await read_body(request, most_octets=MAX_ORDER_OCTETS, timeout_s=timeout_s, what="an order")
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(422, f"the order is no JSON object: {error}") from None


def json_response(value: object, status: int = 200) -> Response:
    """Return JSON, which no browser takes for anything else."""
    return Response(msgspec.json.encode(value) + b"\n", status, media_type=JSON_TYPE)


class _Gate:
    """Lets requests through one by one, and turns every error into an answer and a count."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: frozenset[str],
        names: frozenset[str],
        rates: RateLimiter,
        counters: Counters,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._app = app
        self._paths = paths
        self._names = names
        self._rates = rates
        self._counters = counters
        self._clock = clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        kind = path if path in self._paths else "other"

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counters.add(f"{kind} {message['status']}")
                message = {**message, "headers": _with_headers(message.get("headers", ()))}
            await send(message)

        client = scope.get("client")
        wait_ns = self._rates.wait_ns(client_of(client[0] if client else ""), self._clock.now().monotonic)
        if wait_ns:
            refusal = _error(429, "too many requests", {"retry-after": str(-(-wait_ns // NS_PER_S))})
            await refusal(scope, receive, guarded_send)
            return
        if not self._is_ours(scope):
            await _error(421, "this unit is not called that: see http.names")(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, receive, guarded_send)
        except Exception as error:  # noqa: BLE001 - whatever went wrong with one request must not end the service
            await self._response_to(error, kind)(scope, receive, guarded_send)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and is_named(hosts[0], self._names)

    def _response_to(self, error: Exception, kind: str) -> Response:
        match error:
            case HTTPException():
                return _error(error.status_code, error.detail, error.headers)
            case ClientDisconnect():
                return _error(400, "the request ended early")  # heard by nobody, but counted
            case _:
                self._log.error("request_failed", path=kind, reason=error_line(error))
                return _error(500, "this unit failed")


def is_named(host: str, names: frozenset[str]) -> bool:
    """Say whether a `Host` header is an address, or one of our names, with or without a port."""
    if host.startswith("["):
        address, bracket, port = host[1:].partition("]")
        name = address if bracket and (not port or port.startswith(":")) else ""
    else:
        name = host.partition(":")[0]
    if name.lower() in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    stated = {name.lower() for name, _ in headers}
    policy = () if _POLICY in stated else ((_POLICY, STRICT_POLICY.encode()),)
    return [*headers, *policy, *(each for each in _ALWAYS if each[0] not in stated)]


def _error(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    response = json_response({"refused": " ".join(words.split())}, status)
    response.headers.update(headers or {})
    return response
