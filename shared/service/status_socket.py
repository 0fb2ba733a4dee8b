"""A running agent's status over a Unix socket: connect, read one JSON document, done.

The socket has mode 0660: whoever may see the status is in the agent's group. It takes no commands and reads nothing from its
clients. A stale socket of a dead agent is replaced; a live one, or a file that is no socket, is left alone and reported.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from shared.core.errors import TransportError

MODE = 0o660
MAX_STATUS_OCTETS = 1 << 20
MAX_CLIENTS = 16
"""Clients served at once; the next is closed at once."""

WRITE_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 2.0

Snapshot = Callable[[], Mapping[str, object]]
"""Returns the status: JSON values, units in their names."""


class StatusSocket:
    """Serves snapshots while it is entered (`async with`).

    Args:
        path: where the socket goes; its folder exists.
        snapshot: called once per client.
        write_timeout_s: how long a client may take to read; then it is dropped.
    """

    def __init__(self, path: Path, snapshot: Snapshot, *, write_timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._path = path
        self._snapshot = snapshot
        self._write_timeout_s = write_timeout_s
        self._clients = 0
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    async def __aenter__(self) -> Self:
        """Begin to serve; raises `TransportError` when the path is taken or cannot be bound."""
        sock = bound_socket(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=sock)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop serving and remove the socket, unless somebody else has replaced it."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= MAX_CLIENTS:
                writer.transport.set_write_buffer_limits(high=0)  # drained means taken by the client, all of it
                writer.write(msgspec.json.encode(self._snapshot()) + b"\n")
                async with asyncio.timeout(self._write_timeout_s):
                    await writer.drain()
        except (TimeoutError, OSError):
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()


def read_status(path: Path, *, timeout_s: float = READ_TIMEOUT_S) -> dict[str, object]:
    """Ask a running agent for its status.

    Raises:
        TransportError: nobody listens, nothing comes for `timeout_s`, or the answer is no JSON object of at most
            `MAX_STATUS_OCTETS`.
    """
    received = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(os.fspath(path))
            while len(received) <= MAX_STATUS_OCTETS and (part := sock.recv(65_536)):
                received += part
    except TimeoutError:
        raise TransportError(str(path), f"no answer within {timeout_s} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise TransportError(str(path), "no agent is running here") from None
    except OSError as error:
        raise TransportError(str(path), f"cannot be asked: {error.strerror or error}") from error
    if len(received) > MAX_STATUS_OCTETS:
        raise TransportError(str(path), f"the answer exceeds {MAX_STATUS_OCTETS} octets")
    try:
        return msgspec.json.decode(bytes(received), type=dict[str, object])
    except msgspec.DecodeError as error:
        raise TransportError(str(path), f"the answer is no status: {error}") from None


def bound_socket(path: Path, *, mode: int = MODE) -> socket.socket:
    """Return a socket bound beside `path`, given its mode, and only then moved there: no client ever meets it half made.

    Raises:
        TransportError: the path is taken by a living agent or by something else, or cannot be bound.
    """
    _require_free(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()
        sock.bind(os.fspath(fresh))
        fresh.chmod(mode)
        sock.listen(MAX_CLIENTS)
        fresh.replace(path)
    except OSError as error:
        sock.close()
        with suppress(OSError):
            fresh.unlink()
        raise TransportError(str(path), f"cannot be opened: {error.strerror or error}") from error
    return sock


def _require_free(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise TransportError(str(path), "exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(READ_TIMEOUT_S)
        with suppress(OSError):
            probe.connect(os.fspath(path))
            raise TransportError(str(path), "another agent is running here")
