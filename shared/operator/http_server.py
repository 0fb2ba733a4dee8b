"""The HTTP server of an operator's programs: uvicorn, bounded against clients that are many, slow, silent or endless.

A connection serves one request and has `CONNECTION_TIMEOUT_S` for all of it, its head, its body and the reading of the answer;
then it is cut. At most `MAX_CONNECTIONS` are open, `MAX_CONNECTIONS_OF_A_CLIENT` from one address. What is no HTTP is answered 400
and counted. Signals are not touched: `shared.service.run` owns the process. TLS is spoken where a context is given (`http_tls`);
logs and authorities need none: what they serve is signed, and what must be secret is encrypted end to end.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.core.errors import ConfigError, TransportError
from shared.operator.http_tls import TlsServer
from shared.operator.rate_limits import client_of
from shared.service.counters import Counters

MAX_CONNECTIONS = 512
MAX_CONNECTIONS_OF_A_CLIENT = 128
MAX_HEAD_OCTETS = 16 * 1024
"""Octets of a request line with its headers."""

CONNECTION_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5
"""Seconds that requests under way have when the program stops."""

BACKLOG_CONNECTIONS = 128

_SILENT = logging.CRITICAL + 1


class _Connection(H11Protocol):
    """One connection within its bounds; made by uvicorn."""

    counters: Counters
    per_client: Counter[str]
    timeout_s: float
    _deadline: asyncio.TimerHandle | None = None
    _counted: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        super().connection_made(transport)
        client = client_of(self.client[0] if self.client else "")
        self._deadline = self.loop.call_later(self.timeout_s, self._cut)
        self._counted = client
        self.per_client[client] += 1
        if len(self.connections) > MAX_CONNECTIONS or self.per_client[client] > MAX_CONNECTIONS_OF_A_CLIENT:
            self.counters.add("connections.refused")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._counted is not None:
            self.per_client[self._counted] -= 1
            if self.per_client[self._counted] <= 0:
                del self.per_client[self._counted]
            self._counted = None
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self.counters.add("connections.no_http")
        super().send_400_response(msg)

    def _cut(self) -> None:
        self.counters.add("connections.too_slow")
        self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process's signals, and behind TLS where that is wanted."""

    def __init__(self, config: uvicorn.Config, *, tls: ssl.SSLContext | None, counters: Counters) -> None:
        super().__init__(config)
        self._tls = tls
        self._counters = counters

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._tls is None:
            await super().startup(sockets)
            return
        await super().startup([])
        self.servers = [
            TlsServer(sock, self._tls, self._make_protocol, counters=self._counters)  # type: ignore[misc] # has what is asked of one
            for sock in sockets or ()
        ]

    def _make_protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return protocol


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen.

    Args:
        host: an IP address or a name of this machine.
        port: 0 lets the system choose.

    Raises:
        ConfigError: this machine has no such address, or the port is taken or reserved.
    """
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(f"{host}:{port}", f"is no address of this machine: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG_CONNECTIONS)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{host}:{port}", f"cannot be listened on: {error.strerror or error}") from error
    return sock


def url_of(sock: socket.socket, *, is_tls: bool = False) -> str:
    """Return the URL that reaches a listening socket from this machine."""
    host, port = sock.getsockname()[:2]
    scheme = "https" if is_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(
    app: ASGIApp,
    sock: socket.socket,
    *,
    counters: Counters,
    connection_timeout_s: float = CONNECTION_TIMEOUT_S,
    cache_control: str | None = "no-store",
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until cancelled; then take no more connections, let requests under way finish, and close the socket.

    Whoever opened the socket may close it at any time, too: a program that ends does so before its tasks are told. Where that was
    before this began, it returns at once.

    Args:
        app: an ASGI application.
        sock: from `listen`; whoever connects before this runs waits.
        counters: `connections.refused`, `connections.no_http`, `connections.too_slow`; with TLS as `TlsServer`, too.
        connection_timeout_s: for everything on one connection.
        cache_control: said with every answer; None where the application says it.
        tls: who we are; None speaks in the clear.

    Raises:
        TransportError: the server ended by itself.
    """
    bounds = {"counters": counters, "per_client": Counter(), "timeout_s": connection_timeout_s}
    caching = [] if cache_control is None else [("cache-control", cache_control)]
    options: dict[str, Any] = {
        "http": type("_BoundConnection", (_Connection,), bounds),
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "log_level": _SILENT,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "headers": [("connection", "close"), *caching],
        "h11_max_incomplete_event_size": MAX_HEAD_OCTETS,
        "timeout_graceful_shutdown": STOP_TIMEOUT_S,
    }
    server = _Server(uvicorn.Config(app, **options), tls=tls, counters=counters)
    if sock.fileno() < 0:
        return
    url, own = url_of(sock, is_tls=tls is not None), sock.dup()
    running = asyncio.create_task(server.serve(sockets=[own]))
    try:
        await asyncio.shield(running)
        raise TransportError(url, "the server ended by itself")
    finally:
        server.should_exit = True
        await asyncio.wait([running])
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        own.close()
        sock.close()
