"""How an event loop waits for a CAN bus: woken by its descriptor, or by a thread where there is none.

Waking a program costs several times what decoding a frame does. `DescriptorSource` is woken by the first frame after a
silence and takes it at once; while frames keep coming it looks again every `GATHER_S` and lets the kernel, which has stamped them,
keep what comes meanwhile. All buses look at the same moments, so that one wake serves them together.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from math import floor
from typing import Protocol

from shared.core.errors import TransportError
from shared.transport.can_frame import CanFrame
from shared.transport.can_link import MAX_DRAIN, CanCounters, CanLink

GATHER_S = 0.02
"""How long frames wait for one another. Their times are the kernel's, so only what is done about them is later."""

LOOK_EVERY_S = 1.0
"""How often a silent bus is looked at: an interface that was replaced raises no error."""

MAX_QUEUED_FRAMES = 8_192
"""Frames kept for an event loop that is behind, on buses without a file descriptor; about two seconds of a full bus."""

_THREAD_WAIT_S = 0.1


class FrameSource(Protocol):
    """Where a reading program waits."""

    async def wait(self) -> None:
        """Wait until it is time to look; other tasks get a turn in any case."""
        ...

    def take(self) -> list[CanFrame]:
        """Return up to `MAX_DRAIN` frames, perhaps none; raises `TransportError` when the bus failed."""
        ...

    def stop(self) -> None:
        """Wait no more."""
        ...


class DescriptorSource:
    """Waits for a descriptor to be readable, then looks at intervals until nothing comes.

    Args:
        fileno: the descriptor.
        drain: takes frames without waiting; called at least every `LOOK_EVERY_S`.
    """

    def __init__(self, fileno: int, drain: Callable[[], list[CanFrame]]) -> None:
        self._fileno = fileno
        self._drain = drain
        self._loop = asyncio.get_running_loop()
        self._time_to_look = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_watching = False
        self._watch()

    async def wait(self) -> None:
        """Wait until it is time to look."""
        if self._time_to_look.is_set():  # more is known to wait, and a bus that never falls silent must not keep the loop
            await asyncio.sleep(0)
        else:
            await self._time_to_look.wait()

    def take(self) -> list[CanFrame]:
        """Return up to `MAX_DRAIN` frames, perhaps none; raises `TransportError` when the bus failed."""
        self.stop()
        self._time_to_look.clear()
        batch = self._drain()
        if len(batch) >= MAX_DRAIN:
            self._time_to_look.set()
        elif batch:
            next_look = (floor(self._loop.time() / GATHER_S) + 1) * GATHER_S
            self._timer = self._loop.call_at(next_look, self._time_to_look.set)
        else:
            self._watch()
        return batch

    def stop(self) -> None:
        """Forget descriptor and timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_watching:
            self._loop.remove_reader(self._fileno)
            self._is_watching = False

    def _watch(self) -> None:
        self._loop.add_reader(self._fileno, self._readable)
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._time_to_look.set)
        self._is_watching = True

    def _readable(self) -> None:
        self.stop()
        self._time_to_look.set()


class ThreadSource:
    """Reads a bus without a descriptor in one thread into a bounded queue that drops the oldest and counts.

    Args:
        link: the bus.
        counters: where what is dropped is counted.
        name: of the thread.
    """

    def __init__(self, link: CanLink, counters: CanCounters, name: str) -> None:
        self._link = link
        self._counters = counters
        self._frames: deque[CanFrame] = deque()
        self._failure: TransportError | None = None
        self._readable = asyncio.Event()
        self._is_told = False
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_until_stopped, name=name, daemon=True)
        self._thread.start()

    async def wait(self) -> None:
        """Wait for frames or a failure."""
        if self._readable.is_set():
            await asyncio.sleep(0)
        else:
            await self._readable.wait()

    def take(self) -> list[CanFrame]:
        """Return up to `MAX_DRAIN` frames; raises `TransportError` once the bus failed and the queue is empty."""
        self._readable.clear()
        self._is_told = False
        batch = [self._frames.popleft() for _ in range(min(MAX_DRAIN, len(self._frames)))]
        if self._frames or (batch and self._failure is not None):
            self._readable.set()
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def stop(self) -> None:
        """End the thread and wait for it; it looks up every tenth of a second."""
        self._stopping.set()
        self._thread.join()

    def _read_until_stopped(self) -> None:
        try:
            while not self._stopping.is_set():
                frame = self._link.take_one(_THREAD_WAIT_S)
                if frame is None:
                    continue
                if len(self._frames) >= MAX_QUEUED_FRAMES:
                    self._frames.popleft()
                    self._counters.lost += 1
                self._frames.append(frame)
                self._wake()
        except TransportError as error:
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        with contextlib.suppress(RuntimeError):  # the loop closed while the thread was about to report
            self._loop.call_soon_threadsafe(self._readable.set)
