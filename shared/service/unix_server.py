"""A Unix socket that a program serves while it runs, and the other end of it.

The socket appears whole (bound beside its place, given its mode, then moved there) and goes with the program. A stale socket of a
dead program is replaced; a live one, or a file that is no socket, is left alone and reported. What is said over it is the caller's.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.core.errors import TransportError

BACKLOG = 16
"""Clients that may wait for the program to turn to them."""

PROBE_TIMEOUT_S = 2.0

_READ_OCTETS = 65_536

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UnixServer:
    """Serves a path while it is entered (`async with`).

    Args:
        path: where the socket goes; its folder exists.
        serve: called for each client; closes the writer.
        mode: who may connect.
        max_line_octets: longest line a client may say.
    """

    def __init__(self, path: Path, serve: Serve, *, mode: int, max_line_octets: int) -> None:
        self._path = path
        self._serve = serve
        self._mode = mode
        self._max_line_octets = max_line_octets
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    async def __aenter__(self) -> Self:
        """Begin to serve; raises `TransportError` when the path is taken or cannot be bound."""
        sock = _bound_socket(self._path, self._mode)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=self._max_line_octets)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop serving and remove the socket, unless somebody else has replaced it."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def ask(path: Path, request: bytes, *, max_octets: int, timeout_s: float, absent: str) -> bytes:
    """Say `request` to who serves a path, and return everything that is answered until it closes.

    Raises:
        TransportError: nobody listens (`absent` says it), or nothing comes for `timeout_s`, or more than `max_octets` does.
    """
    received = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(os.fspath(path))
            if request:
                with suppress(BrokenPipeError):  # it closed, and has perhaps said why
                    sock.sendall(request)
            with suppress(ConnectionResetError):  # it closed before it had read everything
                while len(received) <= max_octets and (part := sock.recv(_READ_OCTETS)):
                    received += part
    except TimeoutError:
        raise TransportError(str(path), f"no answer within {timeout_s} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise TransportError(str(path), absent) from None
    except OSError as error:
        raise TransportError(str(path), f"cannot be asked: {error.strerror or error}") from error
    if len(received) > max_octets:
        raise TransportError(str(path), f"the answer exceeds {max_octets} octets")
    return bytes(received)


def _bound_socket(path: Path, mode: int) -> socket.socket:
    """Return a socket bound beside `path`, given its mode, and only then moved there: no client ever meets it half made.

    Raises:
        TransportError: the path is taken by a living program or by something else, or cannot be bound.
    """
    _require_free(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()
        sock.bind(os.fspath(fresh))
        fresh.chmod(mode)
        sock.listen(BACKLOG)
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
        probe.settimeout(PROBE_TIMEOUT_S)
        with suppress(OSError):
            probe.connect(os.fspath(path))
            raise TransportError(str(path), "another agent is running here")
