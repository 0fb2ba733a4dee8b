"""What `v2x bench` measures of the bus: what a frame costs, how much of a core four full buses take, and what a stall loses.

Beside each stands python-can's receive function with cantools, in the same rounds and over the same kind of socket. That is UDP on
loopback, which costs the kernel more than CAN does; frames are `struct can_frame`, stamps, counts and buffers those of a CAN socket
(`vehicle_agent.bench.can_traffic`).

    can.mapped     one frame of the map: received, decoded, folded into the state with the others of its batch
    can.unmapped   one frame that the map does not name and the kernel let through nevertheless
    can.core       four buses of 4,000 frames a second as they come, the kernel dropping what the map does not name: share of a core
    can.core.all   the same without filters: every frame gets through
    can_stall      four full buses without filters, and a tenth of every second in which nobody reads
"""

import select
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from itertools import chain, cycle, islice
from time import perf_counter, sleep
from types import TracebackType
from typing import TypeVar

import msgspec

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RAW_VERIFY, RawP256
from shared.bench.rounds import Side, Work, elapsed_ns, measure_rates, microseconds
from shared.core.clock import NS_PER_S, TimeSource
from shared.core.errors import TransportError
from shared.service.system_clock import SystemClock
from shared.transport.can_link import MAX_DRAIN, CanCounters, StampSource
from shared.transport.can_socket import set_up_buffer, set_up_receiving
from shared.transport.frame_receiver import SO_TIMESTAMPNS, FrameReceiver
from vehicle_agent.bench.can_child import Account, LibraryReader, Order, Reader
from vehicle_agent.bench.can_traffic import (
    FRAMES_PER_S,
    LOOP_S,
    CarTraffic,
    bench_car,
    bench_database,
    receiving_end,
    sending_end,
)
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.vehicle_state import VehicleState, fold

BUSES = 4
MOST_US = 4.0
MOST_CORE_PERCENT = 8.0

MAX_WAITING = 2_000
"""Frames in one round: so many fit the buffer."""

DRIVES = 3
"""A share of a core is measured for a third of the seconds of a load, because it is measured four times."""

PACE_S = 0.002
"""How often the sender looks what is due."""

MAX_MADE_UP = 200
"""Frames of each bus sent at once after a delay of this machine: those of 50 ms."""

PATIENCE_S = 60.0

VERIFICATIONS = 100
"""Bare verifications before a drive, and after it."""

LIBRARIES = "python-can and cantools"

Answer = TypeVar("Answer")


class _End(ABC):
    """A reader at its end of a bus."""

    def __init__(self) -> None:
        self._traffic = CarTraffic(bench_car(), bench_database())
        self._mapped = self._traffic.mapped()
        self._end = receiving_end()
        self._sender = sending_end(self._end.getsockname()[1])

    def mapped(self, calls: int) -> Work:
        """Put mapped frames on the bus, and return the work of hearing them."""
        return self._hearing([next(self._mapped) for _ in range(calls)])

    def unmapped(self, calls: int) -> Work:
        """The same with frames nobody asked for."""
        return self._hearing([self._traffic.unmapped() for _ in range(calls)])

    def close(self) -> None:
        """Close both ends."""
        self._end.close()
        self._sender.close()

    def _hearing(self, frames: list[bytes]) -> Work:
        for frame in frames:
            self._sender.send(frame)
        return lambda: self._hear(len(frames))

    @abstractmethod
    def _hear(self, count: int) -> None:
        """Hear so many frames, which are there."""


class _Ours(_End):
    """Our reader, decoder and state."""

    def __init__(self) -> None:
        super().__init__()
        set_up_receiving(self._end)
        self._counters = CanCounters()
        clock = SystemClock(TimeSource.ASSUME_TRUSTED)
        self._receiver = FrameReceiver(self._end, "can0", clock=clock, stamps=StampSource.KERNEL, counters=self._counters)
        self._input = CanInput(bench_car())
        self._state = VehicleState()

    def _hear(self, count: int) -> None:
        read, due = self._input.on_frame, self._counters.received + count
        while batch := self._receiver.take(MAX_DRAIN):
            news = [updates for frame in batch if (updates := read(frame))]
            if news:
                self._state = fold(self._state, tuple(chain.from_iterable(news)))
        if self._counters.received != due:
            raise TransportError("bench", f"{due - self._counters.received} of {count} frames did not come")


class _Theirs(_End):
    """The libraries."""

    def __init__(self) -> None:
        super().__init__()
        set_up_buffer(self._end)
        self._end.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._library = LibraryReader(bench_database())

    def _hear(self, count: int) -> None:
        for _ in range(count):
            self._library.take(self._end)


def can(effort: Effort) -> Iterable[Figure]:
    """Measure what a frame costs, and what four buses do."""
    with ExitStack() as stack:
        mapped, unmapped = (stack.enter_context(closing(_Ours())) for _ in range(2))
        mapped_beside, unmapped_beside = (stack.enter_context(closing(_Theirs())) for _ in range(2))
        sides = {
            "mapped": Side(mapped.mapped),
            "mapped beside": Side(mapped_beside.mapped),
            "unmapped": Side(unmapped.unmapped),
            "unmapped beside": Side(unmapped_beside.unmapped),
            RAW_VERIFY: Side(RawP256().verifying, fewer=5),
        }
        rates = measure_rates(sides, rounds=effort.rounds, calls=min(effort.calls, MAX_WAITING))
    yield figure_of(
        "can.mapped",
        "receive a mapped CAN frame, decode it and fold it into the state with its batch",
        Unit.MICROSECONDS,
        microseconds(rates["mapped"]),
        limit=(LIBRARIES, microseconds(rates["mapped beside"])),
        pace=rates[RAW_VERIFY],
        targets=(
            Target(measure=Measure.MEDIAN, bound=MOST_US),
            Target(measure=Measure.PACED_MEDIAN, bound=MOST_US),
        ),
    )
    yield figure_of(
        "can.unmapped",
        "receive a CAN frame that is not mapped and got through the kernel's filters",
        Unit.MICROSECONDS,
        microseconds(rates["unmapped"]),
        limit=(LIBRARIES, microseconds(rates["unmapped beside"])),
    )
    with _Child() as child:
        yield from _core_figures(child, effort.load_s / DRIVES)


def _core_figures(child: "_Child", seconds: float) -> Iterable[Figure]:
    for name, is_filtered, says, targets in (
        (
            "can.core",
            True,
            f"share of a core for {BUSES} buses at {FRAMES_PER_S:,} frames/s, others than mapped ones dropped by a packet filter",
            (
                Target(measure=Measure.MEDIAN, bound=MOST_CORE_PERCENT),
                Target(measure=Measure.PACED_MEDIAN, bound=MOST_CORE_PERCENT),
            ),
        ),
        ("can.core.all", False, f"share of a core for {BUSES} buses of {FRAMES_PER_S:,} frames/s, every one of them received", ()),
    ):
        ours, beside = (child.read(reader, seconds, is_filtered=is_filtered) for reader in (Reader.OURS, Reader.PYTHON_CAN))
        yield figure_of(
            name,
            says,
            Unit.PERCENT,
            [ours.core_percent],
            limit=(LIBRARIES, [beside.core_percent]),
            pace=[ours.verifications_per_s],
            targets=targets,
        )


def can_stall(effort: Effort) -> Iterable[Figure]:
    """Read four full buses with a stall in each second, for as long as a load lasts."""
    with _Child() as child:
        drive = child.read(Reader.OURS, effort.load_s, is_filtered=False, is_stalled=True)
    account, sent = drive.account, drive.sent
    nothing = (Target(measure=Measure.MEDIAN, bound=0),)
    what = (
        f"{sent:,} frames on {BUSES} buses in {account.passed_s:,.0f} s with {account.stalls:,} stalls of 100 ms; "
        f"the longest that nobody read, {account.longest_pause_s:.2f} s, that a frame waited, {account.oldest_s:.2f} s"
    )
    yield figure_of("can_stall.lost", f"frames lost of {what}", Unit.PACKETS, [float(sent - account.received)], targets=nothing)
    yield figure_of(
        "can_stall.uncounted",
        "frames lost and not counted as lost, or the other way round",
        Unit.PACKETS,
        [float(abs(sent - account.received - account.lost))],
        targets=nothing,
    )
    yield figure_of("can_stall.frames", "frames received on all buses", Unit.PER_SECOND, [account.received / account.passed_s])
    yield figure_of("can_stall.core", "share of a core", Unit.PERCENT, [drive.core_percent], pace=[drive.verifications_per_s])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drive:
    """What reading full buses was like.

    Attributes:
        account: of the process that read.
        sent: frames, on all buses.
        verifications_per_s: bare ones, before and after.
    """

    account: Account
    sent: int
    verifications_per_s: float

    @property
    def core_percent(self) -> float:
        """Share of a core that reading took."""
        return 100 * self.account.processor_s / self.account.passed_s


class _Child(AbstractContextManager["_Child"]):
    """A process of its own that reads full buses, and the traffic for it."""

    def __init__(self) -> None:
        self._frames = CarTraffic(bench_car(), bench_database()).bus(LOOP_S)
        self._raw = RawP256()
        command = (sys.executable, "-m", "vehicle_agent.bench.can_child")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, reader: Reader, seconds: float, *, is_filtered: bool, is_stalled: bool = False) -> _Drive:
        """Have it read full buses for so many seconds."""
        before, after = (self._raw.verifying(VERIFICATIONS) for _ in range(2))
        taken_ns = elapsed_ns(before)
        self._tell(msgspec.json.encode(Order(buses=BUSES, reader=reader, is_filtered=is_filtered, is_stalled=is_stalled)))
        with ExitStack() as stack:
            senders = [stack.enter_context(sending_end(port)) for port in self._answer(list[int])]
            sent = _send(senders, self._frames, seconds)
            self._tell(b"stop")
            account = self._answer(Account)
        taken_ns += elapsed_ns(after)
        return _Drive(account=account, sent=sent, verifications_per_s=2 * VERIFICATIONS * NS_PER_S / taken_ns)

    def _tell(self, line: bytes) -> None:
        orders = self._process.stdin
        if orders is not None:
            orders.write(line + b"\n")
            orders.flush()

    def _answer(self, kind: type[Answer]) -> Answer:
        answers = self._process.stdout
        if answers is None or not select.select([answers], [], [], PATIENCE_S)[0] or not (line := answers.readline()):
            raise TransportError("bench", "the process that reads the buses has not answered")
        return msgspec.json.decode(line, type=kind)


def _send(senders: list[socket.socket], frames: list[bytes], seconds: float) -> int:
    """Send at the pace of a full bus on all buses at once; return how many frames.

    What this machine delays is made up for as long as it is little: no bus is faster than full, so of more there is less to read.
    """
    traffic = cycle(frames)
    began, sent = perf_counter(), 0
    end = began + seconds
    while (now := perf_counter()) < end:
        due = int((now - began) * FRAMES_PER_S)
        if due - sent > MAX_MADE_UP:
            began += (due - sent - MAX_MADE_UP) / FRAMES_PER_S
            due = sent + MAX_MADE_UP
        for frame in islice(traffic, due - sent):
            for sender in senders:
                sender.send(frame)
        sent = due
        sleep(PACE_S)
    return sent * len(senders)
