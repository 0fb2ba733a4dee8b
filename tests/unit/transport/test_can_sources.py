"""How an event loop waits for a bus: at once after a silence, together while frames keep coming, and by turns with other work."""

import asyncio
import socket
import threading
from collections import deque

import pytest

from shared.core.clock import MonotonicNs
from shared.core.errors import TransportError
from shared.transport.can_frame import CanFrame
from shared.transport.can_link import MAX_DRAIN, CanCounters
from shared.transport.can_sources import MAX_QUEUED_FRAMES, DescriptorSource, ThreadSource

PATIENCE_S = 60.0


def frame(number: int) -> CanFrame:
    return CanFrame(number, False, b"", "can0", MonotonicNs(number))


class Bus:
    """A bus with a descriptor: one octet is one frame."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ours.setblocking(False)

    def drain(self) -> list[CanFrame]:
        frames: list[CanFrame] = []
        try:
            while len(frames) < MAX_DRAIN:
                frames.append(frame(self.ours.recv(1)[0]))
        except BlockingIOError:
            pass
        return frames

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.theirs.send(bytes((number,)))

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


async def next_batch(source: DescriptorSource | ThreadSource) -> list[int]:
    async with asyncio.timeout(PATIENCE_S):
        await source.wait()
    return [each.arbitration_id for each in source.take()]


def test_after_a_silence_the_first_frame_wakes_and_those_that_follow_wait_for_one_another() -> None:
    async def scene() -> list[list[int]]:
        bus = Bus()
        source = DescriptorSource(bus.ours.fileno(), bus.drain)
        bus.put(1)
        batches = [await next_batch(source)]
        assert not asyncio.get_running_loop().remove_reader(bus.ours.fileno())  # nobody watches while frames gather
        bus.put(2)
        bus.put(3)
        batches.append(await next_batch(source))
        batches.append(await next_batch(source))  # nothing came: from here on it is watched again
        bus.put(4)
        batches.append(await next_batch(source))
        source.stop()
        bus.close()
        return batches

    assert asyncio.run(scene()) == [[1], [2, 3], [], [4]]


def test_a_bus_that_never_falls_silent_leaves_the_loop_to_others_after_every_batch() -> None:
    async def scene() -> tuple[list[int], int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        bus = Bus()
        source = DescriptorSource(bus.ours.fileno(), lambda: [frame(number) for number in range(MAX_DRAIN)])
        source.take()
        task = asyncio.create_task(other())
        sizes = [len(await next_batch(source)) for _ in range(5)]
        source.stop()
        bus.close()
        task.cancel()
        return sizes, turns

    sizes, turns = asyncio.run(scene())
    assert sizes == [MAX_DRAIN] * 5
    assert turns >= 4


def test_a_silent_bus_is_looked_at_all_the_same() -> None:
    async def scene() -> list[int]:
        bus = Bus()
        source = DescriptorSource(bus.ours.fileno(), bus.drain)
        looked = await next_batch(source)
        source.stop()
        bus.close()
        return looked

    assert asyncio.run(scene()) == []


def test_who_stops_leaves_nothing_behind() -> None:
    async def scene() -> None:
        bus = Bus()
        source = DescriptorSource(bus.ours.fileno(), bus.drain)
        source.stop()
        source.stop()
        assert not asyncio.get_running_loop().remove_reader(bus.ours.fileno())
        bus.close()

    asyncio.run(scene())


class Adapter:
    """A bus without a descriptor, which gives its frames and then fails or is silent."""

    receive_buffer_bytes = None

    def __init__(self, frames: int, *, fails: bool) -> None:
        self._frames = deque(frame(number) for number in range(frames))
        self._fails = fails
        self.is_empty = threading.Event()

    def fileno(self) -> int:
        return -1

    def take(self, limit: int) -> list[CanFrame]:
        return [self._frames.popleft() for _ in range(min(limit, len(self._frames)))]

    def take_one(self, timeout_s: float) -> CanFrame | None:
        if self._frames:
            return self._frames.popleft()
        self.is_empty.set()
        if self._fails:
            raise TransportError("adapter", "was pulled")
        threading.Event().wait(timeout_s)
        return None

    def look(self) -> None:
        """Nothing to see."""

    def send(self, frame: CanFrame) -> None:
        """Nothing hears it."""

    def count_losses(self) -> None:
        """None."""

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_thread_that_reads_faster_than_the_loop_drops_the_oldest_and_counts_them() -> None:
    async def scene() -> tuple[list[int], int]:
        counters, adapter = CanCounters(), Adapter(MAX_QUEUED_FRAMES + 100, fails=False)
        source = ThreadSource(adapter, counters, "adapter")
        assert adapter.is_empty.wait(PATIENCE_S)  # the loop is busy meanwhile
        taken: list[int] = []
        while len(taken) < MAX_QUEUED_FRAMES:
            taken += await next_batch(source)
        source.stop()
        return taken, counters.lost

    taken, lost = asyncio.run(scene())
    assert lost == 100
    assert taken == list(range(100, MAX_QUEUED_FRAMES + 100))


def test_what_came_before_a_failure_is_handed_on_first() -> None:
    async def scene() -> list[int]:
        adapter = Adapter(MAX_DRAIN + 6, fails=True)
        source = ThreadSource(adapter, CanCounters(), "adapter")
        assert adapter.is_empty.wait(PATIENCE_S)
        taken: list[int] = []
        while len(taken) < MAX_DRAIN + 6:
            taken += await next_batch(source)
        with pytest.raises(TransportError, match="was pulled"):
            await next_batch(source)
        source.stop()
        return taken

    assert asyncio.run(scene()) == list(range(MAX_DRAIN + 6))
