"""Many appends, one commit: what waits while the disk writes goes into the next transaction, all of it.

One thread writes. An append is answered once its transaction is on disk, never before; one that fails is answered as failed, all
of its group, and may be sent again. What waits is bounded in number and in octets. Nothing is delayed on purpose: a lone append is
a group of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from shared.service.counters import Counters

MAX_GROUP_ENTRIES = 1_024
"""Entries of one transaction; the next one is not kept waiting for longer than that many take."""

MAX_GROUP_OCTETS = 4 << 20

MAX_WAITING_ENTRIES = 8_192
"""Entries that wait, beside those that are being written."""

MAX_WAITING_OCTETS = 64 << 20
"""Octets of entries that wait."""

Ticket = TypeVar("Ticket")
"""Whatever says who waits for an entry's index."""

Append = Callable[[Sequence[bytes]], "asyncio.Future[tuple[int, ...]]"]
"""Appends in the writer's thread; the future gives the indexes."""


class GroupCommit(Generic[Ticket]):
    """Collects entries and has them appended, one group after another; belongs to one event loop.

    Args:
        append: appends a group.
        on_committed: told that a group is on disk, with the index of each.
        on_failed: told that a group is not, or that nobody knows, and why.
        counters: `groups`, `groups.failed`, `entries`.
        max_waiting_entries: that wait at most.
        max_waiting_octets: of them.
    """

    def __init__(
        self,
        append: Append,
        *,
        on_committed: Callable[[Sequence[Ticket], Sequence[int]], None],
        on_failed: Callable[[Sequence[Ticket], BaseException], None],
        counters: Counters,
        max_waiting_entries: int = MAX_WAITING_ENTRIES,
        max_waiting_octets: int = MAX_WAITING_OCTETS,
    ) -> None:
        self._append = append
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._counters = counters
        self._max_waiting_entries = max_waiting_entries
        self._max_waiting_octets = max_waiting_octets
        self._entries: deque[bytes] = deque()
        self._tickets: deque[Ticket] = deque()
        self._waiting_octets = 0
        self._is_busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.largest_group = 0

    @property
    def waiting(self) -> int:
        """Entries that wait."""
        return len(self._entries)

    def offer(self, entry: bytes, ticket: Ticket) -> bool:
        """Take an entry, or return False because too much waits."""
        if len(self._entries) >= self._max_waiting_entries or self._waiting_octets + len(entry) > self._max_waiting_octets:
            return False
        self._entries.append(entry)
        self._tickets.append(ticket)
        self._waiting_octets += len(entry)
        if not self._is_busy:
            self._is_busy = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._begin)  # what comes in the same turn of the loop is in the group
        return True

    async def settled(self) -> None:
        """Wait until nothing waits and nothing is being written."""
        await self._idle.wait()

    def _begin(self) -> None:
        if not self._entries:
            self._is_busy = False
            self._idle.set()
            return
        entries: list[bytes] = []
        octets = 0
        while self._entries and len(entries) < MAX_GROUP_ENTRIES and octets < MAX_GROUP_OCTETS:
            entries.append(self._entries.popleft())
            octets += len(entries[-1])
        self._waiting_octets -= octets
        self.largest_group = max(self.largest_group, len(entries))
        tickets = [self._tickets.popleft() for _ in entries]
        try:
            appending = self._append(entries)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            self._failed(tickets, error)
            asyncio.get_running_loop().call_soon(self._begin)
            return
        appending.add_done_callback(lambda done: self._written(tickets, done))

    def _written(self, tickets: Sequence[Ticket], done: "asyncio.Future[tuple[int, ...]]") -> None:
        """Have the next group written, then answer this one: the disk need not wait for that."""
        self._begin()
        if done.cancelled():
            self._failed(tickets, asyncio.CancelledError())
        elif (error := done.exception()) is not None:
            self._failed(tickets, error)
        else:
            self._counters.add("groups")
            self._counters.add("entries", len(tickets))
            self._on_committed(tickets, done.result())

    def _failed(self, tickets: Sequence[Ticket], error: BaseException) -> None:
        self._counters.add("groups.failed")
        self._on_failed(tickets, error)
