"""TLS in front of the HTTP server: connections shake hands here, few at a time and not for long, before anything is served on them.

asyncio's own server lets any number of strangers be in the middle of a handshake, for a minute each; every one of them is a file
descriptor that a roadside unit needs for something better. Here at most `MAX_HANDSHAKES` are, for `HANDSHAKE_TIMEOUT_S`; who comes
meanwhile is closed at once. Left out: certificates of clients; who an operator is says a token inside.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from shared.service.counters import Counters

MAX_HANDSHAKES = 64
"""Connections in the middle of their handshake."""

HANDSHAKE_TIMEOUT_S = 5.0
SHUTDOWN_TIMEOUT_S = 2.0
"""Seconds for the farewell of TLS."""

ACCEPT_PAUSE_S = 0.5
"""After an attempt to accept for which the machine had nothing left."""


class TlsServer:
    """Accepts connections and hands them on once they are protected; has what uvicorn asks of a server.

    Args:
        sock: listens, and does not block; whoever made it closes it.
        context: who we are.
        make_protocol: called for each connection.
        counters: `handshakes.refused`, `handshakes.failed`.
        timeout_s: of one handshake.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        counters: Counters,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self._sock = sock
        self._context = context
        self._make_protocol = make_protocol
        self._counters = counters
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Take no more connections; those in the middle of their handshake are dropped."""
        self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way here."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._sock)
            except OSError:  # no descriptor left, or the client gave up already
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            if len(self._handshakes) >= MAX_HANDSHAKES:
                self._counters.add("handshakes.refused")
                connection.close()
                continue
            handshake = self._loop.create_task(self._protect(connection))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _protect(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                sock=connection,
                ssl=self._context,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except (OSError, TimeoutError):
            self._counters.add("handshakes.failed")
