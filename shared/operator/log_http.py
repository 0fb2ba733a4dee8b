"""The HTTP server of a log node: bounded against clients that are many, slow, silent or endless.

A log is asked for little, by many and often: the server that authorities have takes several times what a whole append does. So
connections are kept here, and a request costs one small object (`log_http_connection`). Once a second it is looked who is over
time. Left out: TLS, which a proxy in front ends where it is wanted; what the answers are (`log_node_answers`).
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping

from structlog.typing import FilteringBoundLogger

from shared.core.errors import TransportError
from shared.operator.http_server import url_of
from shared.operator.log_http_connection import Connection
from shared.operator.log_http_request import Request
from shared.operator.rate_limits import client_of
from shared.service.counters import Counters
from shared.service.run import error_line

MAX_CONNECTIONS = 512
MAX_CONNECTIONS_OF_A_CLIENT = 256
"""From one address; a proxy in front is one, and keeps fewer."""

MAX_HELD_OCTETS = 128 << 20
"""Octets that all clients together have asked for and do not take; while there are more, no document is read."""

STOP_TIMEOUT_S = 5.0
"""Seconds that requests under way have when the program stops."""

BACKLOG_CONNECTIONS = 512


class LogHttpServer:
    """Connections and their bounds.

    Args:
        on_request: has each request answered, now or later.
        max_body_octets: of a request.
        counters: `connections.refused`, `.no_http`, `.too_long`, `.too_large`, `.too_slow`, `.slow_reader`, `.idle`, `.cut_short`,
            `.expectation`, `.too_many_requests`, `.fault`.
        log: told of bugs of ours.
        on_second: called once a second.
        max_connections: of all clients.
        max_connections_of_a_client: of each.

    Attributes:
        seconds: since the server began, counted by itself.
    """

    def __init__(
        self,
        on_request: Callable[[Request], None],
        *,
        max_body_octets: int,
        counters: Counters,
        log: FilteringBoundLogger,
        on_second: Callable[[], None],
        max_connections: int = MAX_CONNECTIONS,
        max_connections_of_a_client: int = MAX_CONNECTIONS_OF_A_CLIENT,
    ) -> None:
        self._on_request = on_request
        self.max_body_octets = max_body_octets
        self.counters = counters
        self.seconds = 0
        self._log = log
        self._on_second = on_second
        self._max_connections = max_connections
        self._max_connections_of_a_client = max_connections_of_a_client
        self._connections: dict[Connection, str] = {}
        self._per_client: Counter[str] = Counter()
        self._held_octets = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    @property
    def is_held_up(self) -> bool:
        """Whether clients leave so much lying that no document is read for anybody."""
        return self._held_octets > MAX_HELD_OCTETS

    def on_request(self, request: Request) -> None:
        """Have a request answered."""
        self._on_request(request)

    def on_fault(self, error: BaseException) -> None:
        """Take note of a bug of ours."""
        self._log.error("request_failed", reason=error_line(error))

    def admit(self, connection: Connection) -> bool:
        """Count a connection in, or say that there are too many."""
        client = client_of(connection.address)
        if len(self._connections) >= self._max_connections or self._per_client[client] >= self._max_connections_of_a_client:
            self.counters.add("connections.refused")
            return False
        self._connections[connection] = client
        self._per_client[client] += 1
        self._nobody.clear()
        return True

    def forget(self, connection: Connection) -> None:
        """Count a connection out, if it was counted in."""
        client = self._connections.pop(connection, None)
        if client is not None:
            self._per_client[client] -= 1
            if self._per_client[client] <= 0:
                del self._per_client[client]
        if not self._connections:
            self._nobody.set()

    def hold(self, octets: int) -> None:
        """Count octets that a client does not take; negative when it has."""
        self._held_octets += octets

    def status(self) -> Mapping[str, object]:
        """Return what a person wants to know."""
        return {"connections": len(self._connections), "clients": len(self._per_client), "octets_not_taken": self._held_octets}

    async def serve(self, sock: socket.socket) -> None:
        """Serve until cancelled; then take no more requests, let those under way be answered, and close the socket.

        Args:
            sock: listens; whoever connects before this runs waits.

        Raises:
            TransportError: the socket cannot be served.
        """
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG_CONNECTIONS)
        except OSError as error:
            raise TransportError(url_of(sock), f"cannot be served: {error.strerror or error}") from error
        try:
            while True:
                await asyncio.sleep(1)
                self.tick()
        finally:
            server.close()
            await self._end()

    def tick(self) -> None:
        """Let a second have passed."""
        self.seconds += 1
        for connection in tuple(self._connections):
            connection.look(self.seconds)
        self._on_second()

    async def _end(self) -> None:
        for connection in tuple(self._connections):
            connection.stop()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
