"""Several threads for the one thing that is worth them: the elliptic curve of a batch of signatures.

Python runs on one thread at a time; the cryptographic library lets go of that lock while it computes. So everything about a message
but the curve stays on the thread that owns the station (`shared.stack.batch`), and what crosses over is immutable: a key, a digest,
a signature. The owner takes its share of the work instead of waiting, so `threads=2` is one thread more. A batch is handed over
whole and comes back whole, in order: nothing waits here between two batches, and no sender's messages overtake one another. Where a
thread has lost its processor to another program, what it was at is done again.

A batch below `SMALLEST_BATCH` is not worth waking anybody, so at ordinary load the other threads sleep.
"""

import os
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Annotated, Self

import msgspec

from shared.core.errors import VerificationError
from shared.security.verify import Claim
from shared.service.config import ConfigStruct
from shared.stack.batch import Verdict, verdict_of

MAX_THREADS = 16
"""More threads than this only wait for each other."""

DEFAULT_THREADS = 2
"""Used where that many cores are; see docs/decisions/0011-packets-judged-in-batches.md."""

SMALLEST_BATCH = 8
"""Signatures from which on a second thread is worth waking."""


PATIENCE_S = 0.0005
"""How long the owner waits for others once nothing is left to begin: several signatures."""


class VerificationConfig(ConfigStruct, frozen=True, kw_only=True):
    """How many threads check signatures; by default two where there are two cores, otherwise one."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)] | None = None

    def threads_here(self) -> int:
        """Return the number of threads on this machine."""
        return threads_for(usable_cores()) if self.threads is None else self.threads


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def threads_for(cores: int) -> int:
    """Return how many threads check signatures on a machine with that many cores, unless the operator says otherwise."""
    return max(1, min(cores, DEFAULT_THREADS))


class _Work:
    """One batch: what is left to do, and what was found."""

    __slots__ = ("claims", "done", "found", "left")

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.left = deque(range(len(claims)))
        self.found: list[Verdict | Exception | None] = [None] * len(claims)
        self.done: SimpleQueue[None] = SimpleQueue()

    def do_next(self) -> bool:
        """Check one signature; False when none is left."""
        try:
            index = self.left.popleft()
        except IndexError:
            return False
        self._do(index)
        return True

    def do_the_rest(self) -> None:
        """Check again what others began and have not finished."""
        for index, found in enumerate(self.found):
            if found is None:
                self._do(index)

    def _do(self, index: int) -> None:
        try:
            self.found[index] = verdict_of(self.claims[index])
        except Exception as bug:  # noqa: BLE001 - a bug is raised where the batch came from, not on a thread nobody watches
            self.found[index] = bug


class VerificationPool(AbstractContextManager["VerificationPool"]):
    """Checks the signatures of a batch on several threads; only one thread may ask.

    Args:
        threads: how many check, the one that asks included; 1 starts none.
        smallest_batch: from this many signatures on the others help.
    """

    def __init__(self, *, threads: int, smallest_batch: int = SMALLEST_BATCH) -> None:
        if not 1 <= threads <= MAX_THREADS or smallest_batch < 1:
            raise ValueError(f"{threads} threads for batches from {smallest_batch} on")
        self._smallest_batch = smallest_batch
        self._offers: SimpleQueue[_Work | None] = SimpleQueue()
        self._helpers = [Thread(target=self._help, name=f"verification-{number}", daemon=True) for number in range(1, threads)]
        for helper in self._helpers:
            helper.start()

    @property
    def threads(self) -> int:
        """How many threads check, the one that asks included."""
        return len(self._helpers) + 1

    def check_all(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return one verdict for each, in the same order."""
        work = _Work(claims)
        if len(claims) >= self._smallest_batch:
            for _ in range(len(self._helpers) - self._offers.qsize()):
                self._offers.put(work)
        own = 0
        while work.do_next():
            own += 1
        try:
            for _ in range(len(claims) - own):
                work.done.get(timeout=PATIENCE_S)
        except Empty:
            work.do_the_rest()
        return [_verdict(found) for found in work.found]

    def close(self) -> None:
        """Send the threads home; a batch asked for afterwards is checked by whoever asks."""
        for _ in self._helpers:
            self._offers.put(None)
        for helper in self._helpers:
            helper.join()
        self._helpers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _help(self) -> None:
        while (work := self._offers.get()) is not None:
            while work.do_next():
                work.done.put(None)


def _verdict(found: Verdict | Exception | None) -> Verdict:
    if found is None or (isinstance(found, Exception) and not isinstance(found, VerificationError)):
        raise RuntimeError("a signature could not be checked") from found
    return found
