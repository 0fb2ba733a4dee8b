"""Reads a socket as soon as it has something, and then not again for a moment: what comes meanwhile is read at one stroke.

On a busy channel a packet comes every few hundred microseconds. A program that turns to each of them spends more on turning than on
reading, for the processor forgets in between what it was at; so the kernel keeps what comes within `PAUSE_S`, as a network card
does for its driver. Whoever comes after a silence is read at once.
"""

import asyncio
import socket
from collections.abc import Callable

PAUSE_S = 0.002
"""From one reading to the next, unless more is left: on a busy channel a packet waits half of that."""


class PacedReader:
    """Watches one socket from the moment it is made; needs a running event loop.

    Args:
        sock: non-blocking.
        read: reads what there is, up to a bound of its own; returns whether more may be left.
    """

    def __init__(self, sock: socket.socket, read: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = sock.fileno()
        self._read = read
        self._resumes: asyncio.TimerHandle | None = None
        self._watch()

    def stop(self) -> None:
        """Watch no more; to be called before the socket is closed."""
        if self._resumes is not None:
            self._resumes.cancel()
        self._loop.remove_reader(self._descriptor)

    def _watch(self) -> None:
        self._resumes = None
        self._loop.add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        if not self._read():
            self._loop.remove_reader(self._descriptor)
            self._resumes = self._loop.call_later(PAUSE_S, self._watch)
