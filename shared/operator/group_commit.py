"""Many appends, one commit: what waits while the disk writes goes into the next transaction, all of it.

An append is answered once its transaction is on disk, never before; one that fails is answered as failed, all of its group, and may
be sent again. What waits is bounded in number and in octets. Nothing is delayed on purpose: a lone append is a group of its own.
This is the event loop's side: it passes entries on as they come, once in a turn of the loop, and hears of groups in the same order.
The other side, which writes, is a process of its own (`log_writer`): Python runs one thread at a time, and the half of the work
that is HTTP would keep the half that is the tree waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from shared.operator.log_writer import append_frame
from shared.service.counters import Counters

MAX_WAITING_ENTRIES = 8_192
"""Entries that are not on disk yet."""

MAX_WAITING_OCTETS = 64 << 20
"""Octets of entries that are not on disk yet."""

Ticket = TypeVar("Ticket")
"""Whatever says who waits for an entry's index."""


class GroupCommit(Generic[Ticket]):
    """Passes entries on to the writer, and tells who waits for them; belongs to one event loop.

    Args:
        send: passes octets on to the writer.
        on_committed: told that a group is on disk, with the index of each entry.
        on_failed: told that a group is not, or that nobody knows, and why.
        counters: `groups`, `groups.failed`, `entries`.
        max_waiting_entries: that are not on disk yet.
        max_waiting_octets: of them.

    Attributes:
        largest_group: entries of the largest so far.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        on_committed: Callable[[Sequence[Ticket], Sequence[int]], None],
        on_failed: Callable[[Sequence[Ticket], Exception], None],
        counters: Counters,
        max_waiting_entries: int = MAX_WAITING_ENTRIES,
        max_waiting_octets: int = MAX_WAITING_OCTETS,
    ) -> None:
        self._send = send
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._counters = counters
        self._max_waiting_entries = max_waiting_entries
        self._max_waiting_octets = max_waiting_octets
        self._tickets: deque[tuple[Ticket, int]] = deque()
        self._waiting_octets = 0
        self._frames: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lost: Exception | None = None
        self.largest_group = 0

    @property
    def waiting(self) -> int:
        """Entries that are not on disk yet."""
        return len(self._tickets)

    def offer(self, entry: bytes, ticket: Ticket) -> bool:
        """Take an entry, or return False because too much waits, or nobody writes any more."""
        octets = self._waiting_octets + len(entry)
        if len(self._tickets) >= self._max_waiting_entries or octets > self._max_waiting_octets or self._lost is not None:
            return False
        self._waiting_octets = octets
        self._tickets.append((ticket, len(entry)))
        if not self._frames:
            self._idle.clear()
            self._loop.call_soon(self._pass_on)  # once for all that comes in the same turn of the loop
        self._frames.append(append_frame(entry))
        return True

    def committed(self, indexes: Sequence[int]) -> None:
        """The writer says that the next group is on disk."""
        tickets = self._take(len(indexes))
        self._counters.add("groups")
        self._counters.add("entries", len(tickets))
        self.largest_group = max(self.largest_group, len(tickets))
        self._on_committed(tickets, indexes)

    def failed(self, count: int, error: Exception) -> None:
        """The writer says that the next group, so many entries, is not on disk, or that it does not know."""
        self._counters.add("groups.failed")
        self._on_failed(self._take(count), error)

    def lost(self, error: Exception) -> None:
        """There is no writer any more."""
        self._lost = error
        if self._tickets:
            self.failed(len(self._tickets), error)

    async def settled(self) -> None:
        """Wait until nothing waits."""
        await self._idle.wait()

    def _pass_on(self) -> None:
        frames, self._frames = self._frames, []
        if self._lost is None:
            self._send(b"".join(frames))

    def _take(self, count: int) -> list[Ticket]:
        taken = [self._tickets.popleft() for _ in range(count)]
        self._waiting_octets -= sum(octets for _, octets in taken)
        if not self._tickets:
            self._idle.set()
        return [ticket for ticket, _ in taken]
