"""A running agent's status over a Unix socket: connect, read one JSON document, done.

The socket has mode 0660: whoever may see the status is in the agent's group. It takes no commands and reads nothing from its
clients. How the socket comes and goes: `unix_server`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from shared.core.errors import TransportError
from shared.service.unix_server import UnixServer, ask

MODE = 0o660
MAX_STATUS_OCTETS = 1 << 21
MAX_CLIENTS = 16
"""Clients served at once; the next is closed at once."""

WRITE_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 2.0

_MAX_LINE_OCTETS = 1_024

ROWS_PER_TURN = 16
"""Rows drawn before the event loop may do something else: less than a millisecond."""

Snapshot = Callable[[], Mapping[str, object]]
"""Returns the status: JSON values, units in their names; an iterator stands for a list, and is drawn a few rows at a time."""


class StatusSocket:
    """Serves snapshots while it is entered (`async with`).

    Args:
        path: where the socket goes; its folder exists.
        snapshot: called once per client.
        write_timeout_s: how long a client may take to read; then it is dropped.
    """

    def __init__(self, path: Path, snapshot: Snapshot, *, write_timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._server = UnixServer(path, self._serve, mode=MODE, max_line_octets=_MAX_LINE_OCTETS)
        self._snapshot = snapshot
        self._write_timeout_s = write_timeout_s
        self._clients = 0

    async def __aenter__(self) -> Self:
        """Begin to serve; raises `TransportError` when the path is taken or cannot be bound."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop serving."""
        await self._server.__aexit__(kind, error, trace)

    async def _serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= MAX_CLIENTS:
                writer.transport.set_write_buffer_limits(high=0)  # drained means taken by the client, all of it
                writer.write(msgspec.json.encode(await self._document()) + b"\n")
                async with asyncio.timeout(self._write_timeout_s):
                    await writer.drain()
        except (TimeoutError, OSError):
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()

    async def _document(self) -> dict[str, object]:
        """Return the status, its long members drawn while others have their turns."""
        return {name: await _drawn(value) if isinstance(value, Iterator) else value for name, value in self._snapshot().items()}


async def _drawn(rows: Iterator[object]) -> list[object]:
    drawn: list[object] = []
    while some := list(islice(rows, ROWS_PER_TURN)):
        drawn += some
        await asyncio.sleep(0)
    return drawn


def read_status(path: Path, *, timeout_s: float = READ_TIMEOUT_S) -> dict[str, object]:
    """Ask a running agent for its status.

    Raises:
        TransportError: nobody listens, nothing comes for `timeout_s`, or the answer is no JSON object of at most
            `MAX_STATUS_OCTETS`.
    """
    received = ask(path, b"", max_octets=MAX_STATUS_OCTETS, timeout_s=timeout_s, absent="no agent is running here")
    try:
        return msgspec.json.decode(received, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise TransportError(str(path), f"the answer is no status: {error}") from None
