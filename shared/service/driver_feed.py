"""The driver's view and events over a Unix socket: connect, read one JSON object per line, for as long as you like.

A client gets the present view at once, then each new one, and every event. It is never waited for: of views it has not taken yet
only the latest is kept, of events the last `MAX_PENDING_EVENTS`; what it missed is counted. One that takes nothing for `STALL_S` is
dropped. The socket has mode 0660 and takes no commands: what clients send is not read.
"""

import asyncio
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.service.status_socket import MODE
from shared.service.unix_server import UnixServer

MAX_CLIENTS = 16
"""Clients served at once; the next is closed at once."""

MAX_PENDING_EVENTS = 64
"""Events kept for a client that is slow."""

STALL_S = 30.0
"""Seconds in which a client takes something, or is dropped."""

_MAX_READ_OCTETS = 1_024


class _Client:
    """What one client has not been given yet."""

    def __init__(self, view: bytes | None, transport: asyncio.BaseTransport) -> None:
        self.view = view
        self.events: deque[bytes] = deque()
        self.news = asyncio.Event()
        self.transport = transport
        if view is not None:
            self.news.set()

    def take(self) -> bytes:
        """Return everything that waits, as lines."""
        lines = [*self.events] if self.view is None else [*self.events, self.view]
        self.events.clear()
        self.view = None
        self.news.clear()
        return b"".join(line + b"\n" for line in lines)


class DriverFeed:
    """Serves the driver's documents while it is entered (`async with`).

    Args:
        path: where the socket goes; its folder exists.
        stall_s: seconds in which a client takes something.
    """

    def __init__(self, path: Path, *, stall_s: float = STALL_S) -> None:
        self._server = UnixServer(path, self._meet, mode=MODE, max_line_octets=_MAX_READ_OCTETS)
        self._stall_s = stall_s
        self._view: bytes | None = None
        self._clients: dict[_Client, asyncio.Task[None]] = {}
        self._served = self._refused = self._dropped = self._lost_views = self._lost_events = 0

    async def __aenter__(self) -> Self:
        """Begin to serve; raises `TransportError` when the path is taken or cannot be bound."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the clients go and remove the socket, unless somebody else has replaced it."""
        await self._server.__aexit__(kind, error, trace)
        clients = dict(self._clients)
        for client, task in clients.items():
            task.cancel()
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()
        await asyncio.gather(*clients.values(), return_exceptions=True)

    def show(self, view: bytes) -> None:
        """Replace the view by a newer one, a JSON object on one line; never waits."""
        self._view = view
        for client in self._clients:
            self._lost_views += client.view is not None
            client.view = view
            client.news.set()

    def tell(self, event: bytes) -> None:
        """Tell every client one event, a JSON object on one line; never waits."""
        for client in self._clients:
            if len(client.events) >= MAX_PENDING_EVENTS:
                client.events.popleft()
                self._lost_events += 1
            client.events.append(event)
            client.news.set()

    def status(self) -> dict[str, int]:
        """Return counts as JSON values."""
        return {
            "clients": len(self._clients),
            "served": self._served,
            "refused": self._refused,
            "dropped": self._dropped,
            "lost_views": self._lost_views,
            "lost_events": self._lost_events,
        }

    async def _meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if len(self._clients) >= MAX_CLIENTS or task is None:
            self._refused += 1
            writer.close()
            return
        client = _Client(self._view, writer.transport)
        self._clients[client] = task
        self._served += 1
        try:
            await self._serve(client, writer)
        except TimeoutError:
            self._dropped += 1
            writer.transport.abort()
        except OSError:
            writer.transport.abort()
        finally:
            del self._clients[client]
            writer.close()

    async def _serve(self, client: _Client, writer: asyncio.StreamWriter) -> None:
        """Give a client what is new, as fast as it takes it."""
        writer.transport.set_write_buffer_limits(high=0)  # drained means taken by the client, all of it
        while not writer.is_closing():
            await client.news.wait()
            writer.write(client.take())
            async with asyncio.timeout(self._stall_s):
                await writer.drain()
