"""The process that reads four full buses for `v2x bench can`, and says what that cost it.

    python -m vehicle_agent.bench.can_child    < orders, one JSON document a line    > answers, likewise

It answers an order (`Order`) with the ports of its buses, reads until a line says stop and nothing more waits, and answers with an
`Account`; another order may follow. Reader, sources, working loop, decoder and state are those of the agent; messages, records and
signatures are not there, for this is about the bus. As `Reader.PYTHON_CAN` it does what python-can's notifier does on an event
loop, one frame a wake, and decodes with cantools.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from itertools import chain

import msgspec
from cantools.database.can import Database

from shared.core.clock import NS_PER_S, Instant, TimeSource
from shared.service.notify import Notifier, Watchdog
from shared.service.run import WorkingLoop, settle_heap
from shared.service.system_clock import SystemClock
from shared.stack.effects import Effect
from shared.transport.can_frame import CanFrame
from shared.transport.can_link import CanCounters, StampSource
from shared.transport.can_socket import set_up_buffer, set_up_receiving
from shared.transport.can_sources import GATHER_S, DescriptorSource
from shared.transport.frame_receiver import SO_TIMESTAMPNS, FrameReceiver
from vehicle_agent.bench.can_traffic import bench_car, bench_cars, bench_database, filter_identifiers, receiving_end
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.vehicle_state import IGNITION, VehicleState, fold

STALL_S = 0.1
STALL_EVERY_S = 1.0
"""How long the whole process stands still, and how often, where that is ordered."""

QUIET_S = 0.25
"""After so long without a frame nothing waits any more."""


class Reader(Enum):
    """Who reads."""

    OURS = "ours"
    PYTHON_CAN = "python-can"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do.

    Attributes:
        buses: how many.
        reader: who reads.
        is_filtered: whether the kernel drops what the map does not name.
        is_stalled: whether everything stands still for a tenth of every second.
    """

    buses: int
    reader: Reader
    is_filtered: bool
    is_stalled: bool


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What reading was like.

    Attributes:
        received: frames that got through the kernel.
        news: values decoded from them.
        lost: frames that the reader knows the kernel dropped; filtered ones among them where there is a filter.
        processor_s: processor time of the whole process.
        passed_s: time that passed meanwhile.
        stalls: how many times it stood still.
        longest_pause_s: the longest that it did not come round to reading, stalls and the machine's other work together.
        oldest_s: how long a frame waited at most; more than a pause where the machine gave the process too little time.
    """

    received: int
    news: int
    lost: int
    processor_s: float
    passed_s: float
    stalls: int
    longest_pause_s: float
    oldest_s: float


class _Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What reading took, as in an `Account`."""

    processor_s: float
    passed_s: float
    stalls: int
    longest_pause_s: float


class _Car:
    """The part of the agent that hears the bus."""

    def __init__(self, buses: int) -> None:
        self._input = CanInput(bench_cars(buses))
        self._state = VehicleState()
        self.news = 0
        self.oldest_ns = 0

    def next_due(self) -> None:
        """Nothing falls due."""

    def on_timer(self, now: Instant) -> tuple[Effect, ...]:
        """Nothing falls due."""
        del now
        return ()

    def on_can_frames(self, frames: Sequence[CanFrame], now: Instant) -> tuple[Effect, ...]:
        """Decode and fold as the agent does."""
        self.oldest_ns = max(self.oldest_ns, now.monotonic - frames[0].received)
        read = self._input.on_frame
        news = [updates for frame in frames if (updates := read(frame))]
        together = tuple(chain.from_iterable(news))
        self.news += len(together)
        if IGNITION in {update.field for update in together}:
            for updates in news:
                self._state = fold(self._state, updates)
        else:
            self._state = fold(self._state, together)
        return ()


class LibraryReader:
    """python-can's receive function and cantools, frame by frame."""

    def __init__(self, database: Database) -> None:
        from can.interfaces.socketcan.socketcan import capture_message  # noqa: PLC0415 - the other half does without it

        self._capture = capture_message
        self._database = database
        self._wanted = {message.frame_id for message in database.messages}
        self.received = 0
        self.news = 0

    def take(self, opened: socket.socket) -> None:
        """Take one frame, which is there."""
        message = self._capture(opened)
        if message is None:
            return
        self.received += 1
        if message.arbitration_id in self._wanted:
            decoded = self._database.decode_message(message.arbitration_id, bytes(message.data), decode_choices=False)
            self.news += len(decoded)


def main() -> None:
    """Carry out orders from standard input until there are no more."""
    while line := _next_line():
        _carry_out(msgspec.json.decode(line, type=Order))


def _carry_out(order: Order) -> None:
    ends = [receiving_end() for _ in range(order.buses)]
    for end in ends:
        set_up_buffer(end)
        end.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if order.is_filtered:
            filter_identifiers(end, bench_car().filters())
    _say(asyncio.run((_ours if order.reader is Reader.OURS else _theirs)(order, ends)))
    for end in ends:
        end.close()


async def _ours(order: Order, ends: list[socket.socket]) -> Account:
    clock, car, counters = SystemClock(TimeSource.ASSUME_TRUSTED), _Car(order.buses), CanCounters()
    loop = WorkingLoop(car, clock=clock, perform=_nothing, watchdog=Watchdog(Notifier(None), None))
    receivers = []
    for number, end in enumerate(ends):
        set_up_receiving(end)
        receivers.append(FrameReceiver(end, f"can{number}", clock=clock, stamps=StampSource.KERNEL, counters=counters))
    tasks = [asyncio.create_task(_read(end, receiver, car, loop)) for end, receiver in zip(ends, receivers, strict=True)]
    tasks.append(asyncio.create_task(loop.run()))
    passed = await _read_until_stopped(order, ends, lambda: counters.received)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for receiver in receivers:
        receiver.count_losses()
    return Account(
        received=counters.received,
        news=car.news,
        lost=counters.lost,
        oldest_s=car.oldest_ns / NS_PER_S,
        **msgspec.structs.asdict(passed),
    )


async def _read(end: socket.socket, receiver: FrameReceiver, car: _Car, loop: WorkingLoop) -> None:
    source = DescriptorSource(end.fileno(), receiver.take)
    try:
        while True:
            await source.wait()
            if batch := source.take():
                await loop.post(partial(car.on_can_frames, batch))
    finally:
        source.stop()


async def _theirs(order: Order, ends: list[socket.socket]) -> Account:
    library, loop = LibraryReader(bench_database()), asyncio.get_running_loop()
    for end in ends:
        loop.add_reader(end.fileno(), library.take, end)
    passed = await _read_until_stopped(order, ends, lambda: library.received)
    for end in ends:
        loop.remove_reader(end.fileno())
    return Account(received=library.received, news=library.news, lost=0, oldest_s=0.0, **msgspec.structs.asdict(passed))


async def _read_until_stopped(order: Order, ends: list[socket.socket], received: Callable[[], int]) -> _Passed:
    """Tell the ports, let the buses be read until told to stop and nothing waits, and return what that took."""
    loop, stop, stalls = asyncio.get_running_loop(), asyncio.Event(), _Stalls()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    settle_heap()
    if order.is_stalled:
        stalls.begin()
    _say([end.getsockname()[1] for end in ends])
    began, began_processor = time.perf_counter(), time.process_time()
    longest_s, came_round = 0.0, began
    while not stop.is_set():
        await asyncio.sleep(GATHER_S)
        longest_s, came_round = max(longest_s, time.perf_counter() - came_round), time.perf_counter()
    _next_line()
    loop.remove_reader(sys.stdin.fileno())
    passed = _Passed(
        processor_s=time.process_time() - began_processor,
        passed_s=time.perf_counter() - began,
        stalls=stalls.end(),
        longest_pause_s=longest_s,
    )
    before = -1
    while before != (before := received()):  # noqa: ASYNC110 - a kernel's queue has no event for being empty
        await asyncio.sleep(QUIET_S)
    return passed


class _Stalls:
    """Stops the whole process again and again."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0

    def begin(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(STALL_EVERY_S - STALL_S, self._stall)

    def end(self) -> int:
        if self._timer is not None:
            self._timer.cancel()
        return self._count

    def _stall(self) -> None:
        time.sleep(STALL_S)
        self._count += 1
        self.begin()


async def _nothing(effect: Effect) -> None:
    del effect


def _next_line() -> bytes:
    """Return a line of standard input, and keep nothing behind it back: the event loop watches the descriptor."""
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as orders:
        return orders.readline()


def _say(document: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
