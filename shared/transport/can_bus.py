"""A CAN bus as the programs see it: frames in, frames out, over whatever python-can can open.

`virtual` (one process), `udp_multicast` (one machine, no kernel support) and `socketcan` (Linux) are tested; any other
python-can interface name works the same way. Reading is ours, not python-can's Notifier: an interface that goes down, comes back
or is made anew is opened again, and what was lost is counted. `drain` is for a simulator that steps time by hand, `frames` for
a program with an event loop.

Deliberately not here: what frames mean (`vehicle_agent.can_input`) and recorded buses (`shared.transport.can_log`).
"""

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import msgspec

from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.errors import ConfigError, TransportError
from shared.transport.can_frame import MAX_EXTENDED_ID, MAX_STANDARD_ID, CanFilter, CanFrame
from shared.transport.python_can import can

MAX_DRAIN = 64
"""Frames taken per wake, so that one busy bus cannot starve the rest of the program."""

MAX_QUEUED_FRAMES = 8_192
"""Frames kept for an event loop that is behind, on buses without a file descriptor; about two seconds of a full bus."""

RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
"""Kernel buffer asked for; the default holds 70 ms of a full bus."""

MAX_STAMP_AGE_NS = 10 * NS_PER_S
"""A kernel stamp older than this (the wall clock was set meanwhile) is taken as the present."""

_RETRY_FIRST_S = 0.05
_RETRY_MAX_S = 2.0
_THREAD_WAIT_S = 0.1

# linux/sock_diag.h: SO_MEMINFO fills nine u32; the last counts what the socket dropped.
_SO_MEMINFO = 55
_SK_MEMINFO = struct.Struct("@9I")


class CanBusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a bus is; the shape of a `[[can]]` table.

    Attributes:
        interface: python-can's name: `socketcan`, `udp_multicast`, `virtual`, `pcan` ...
        channel: python-can's channel: `can0`, a multicast group, any name; frames carry it.
        options: further arguments of that interface, unchanged (`fd`, `port`, `bitrate` ...).
    """

    interface: str
    channel: str
    options: dict[str, bool | int | float | str] = {}


def require_known_interface(interface: str, *, key: str) -> None:
    """Raise `ConfigError` for an interface that python-can does not have, by itself or from a plugin."""
    if interface not in can.interfaces.VALID_INTERFACES:
        known = ", ".join(sorted(can.interfaces.VALID_INTERFACES))
        raise ConfigError(key, f"{interface!r} is none of {known}")


class StampSource(Enum):
    """Where `CanFrame.received` comes from."""

    KERNEL = "kernel"
    """The wall-clock stamp of driver or kernel, carried over to monotonic time on arrival."""
    SENDER = "sender"
    """The sender's stamp is monotonic time already: simulated buses (`virtual`)."""
    ARRIVAL = "arrival"
    """The moment of reading: adapters whose stamps count from their own start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanBusStatistics:
    """What a bus has been through; counts since the object was made.

    Attributes:
        is_up: whether the bus is open and its last read succeeded.
        received: data frames handed on.
        lost: frames dropped because we read too late, by kernel or by our queue.
        error_frames: error frames seen.
        malformed: things received that are no data frame.
        interruptions: times the bus went from up to down.
        last_fault: the sentence of the last interruption.
    """

    is_up: bool
    received: int
    lost: int
    error_frames: int
    malformed: int
    interruptions: int
    last_fault: str | None


class BusListener(Protocol):
    """Wants to know when a bus comes and goes, such as a log."""

    def lost(self, reason: str) -> None:
        """The bus is down or cannot be opened."""
        ...

    def works(self) -> None:
        """The bus is open."""
        ...


class CanBus:
    """One bus, opened on demand and reopened when it fails.

    Args:
        config: where the bus is.
        clock: gives arrival times.
        filters: identifiers wanted; none means all. In the kernel for SocketCAN, else here.
        stamps: where frame times come from.
    """

    def __init__(
        self,
        config: CanBusConfig,
        *,
        clock: Clock,
        filters: tuple[CanFilter, ...] = (),
        stamps: StampSource = StampSource.KERNEL,
    ) -> None:
        self._config = config
        self._clock = clock
        self._stamps = stamps
        self._filters = filters
        # python-can filters other buses in software, and its recv(0) then says "nothing" at the first unwanted frame.
        kernel_filters = config.interface == "socketcan"
        self._wanted = None if kernel_filters or not filters else frozenset((f.arbitration_id, f.is_extended) for f in filters)
        self._bus: can.BusABC | None = None
        self._is_up = False
        self._received = 0
        self._lost_before = 0
        self._lost_here = 0
        self._error_frames = 0
        self._malformed = 0
        self._interruptions = 0
        self._last_fault: str | None = None

    @property
    def endpoint(self) -> str:
        """Interface and channel, for messages."""
        return f"{self._config.interface}:{self._config.channel}"

    def statistics(self) -> CanBusStatistics:
        """Return the counts so far."""
        return CanBusStatistics(
            is_up=self._is_up,
            received=self._received,
            lost=self._lost_before + self._lost_here + self._kernel_drops(),
            error_frames=self._error_frames,
            malformed=self._malformed,
            interruptions=self._interruptions,
            last_fault=self._last_fault,
        )

    def open(self) -> None:
        """Open the bus; nothing happens when it is open.

        Raises:
            ConfigError: there is no such interface, or it does not take these options.
            TransportError: the bus is not there or down; trying again may help.
        """
        if self._bus is not None:
            return
        options: dict[str, object] = dict(self._config.options)
        if self._config.interface == "socketcan" and self._filters:
            options["can_filters"] = [
                {
                    "can_id": f.arbitration_id,
                    "can_mask": MAX_EXTENDED_ID if f.is_extended else MAX_STANDARD_ID,
                    "extended": f.is_extended,
                }
                for f in self._filters
            ]
        if self._config.interface == "virtual" and self._stamps is StampSource.SENDER:
            options["preserve_timestamps"] = True
        try:
            if self._config.interface == "socketcan" and self._config.channel:
                socket.if_nametoindex(self._config.channel)  # python-can leaks its socket where this would fail
            self._bus = can.Bus(
                interface=self._config.interface,
                channel=self._config.channel,
                ignore_config=True,
                **options,  # type: ignore[arg-type]  # the options are the interface's own
            )
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ConfigError(f"can {self.endpoint}", f"python-can refuses: {error}") from error
        except (can.CanError, OSError) as error:
            raise self._fault(f"cannot be opened: {error}") from error
        opened = _socket_of(self._bus)
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            # Binding to an interface that is down succeeds; only the socket's pending error says so.
            pending = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if pending:
                raise self._fault(f"cannot be opened: {os.strerror(pending)}")
        self._is_up = True

    def close(self) -> None:
        """Close the bus; `open` may follow."""
        if self._bus is None:
            return
        self._lost_before += self._kernel_drops()
        bus, self._bus = self._bus, None
        self._is_up = False
        with contextlib.suppress(can.CanError, OSError):
            bus.shutdown()

    def drain(self, limit: int = MAX_DRAIN) -> list[CanFrame]:
        """Take what has arrived, at most `limit` frames, without waiting.

        Raises:
            TransportError: the bus is closed or went down. It is closed then; `open` it again.
        """
        arrival = self._clock.now().monotonic
        wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        frames: list[CanFrame] = []
        for _ in range(limit):
            malformed = self._malformed
            message = self._read(0.0)
            if message is None:
                if self._malformed == malformed:
                    break
                continue
            frame = self._frame_of(message, arrival, wall_ns)
            if frame is not None:
                frames.append(frame)
        return frames

    def send(self, frame: CanFrame) -> None:
        """Put one frame on the bus; its channel is this bus, its time is kept by simulated buses.

        Raises:
            TransportError: the bus is closed, down, full, or cannot carry FD frames.
        """
        if self._bus is None:
            raise TransportError(self.endpoint, "is not open")
        message = can.Message(
            timestamp=frame.received / NS_PER_S,
            arbitration_id=frame.arbitration_id,
            is_extended_id=frame.is_extended,
            is_fd=len(frame.data) > 8,
            data=frame.data,
        )
        try:
            self._bus.send(message)
        except (can.CanError, OSError, ValueError) as error:
            raise TransportError(self.endpoint, f"cannot send: {error}") from error

    async def frames(self, listener: BusListener | None = None) -> AsyncGenerator[CanFrame, None]:
        """Yield frames for ever; the bus is opened here, and again after every failure.

        Args:
            listener: told of every failure and every success to open.

        Raises:
            ConfigError: there is no such interface; retrying would not help.
        """
        delay_s = _RETRY_FIRST_S
        try:
            while True:
                try:
                    self.open()
                    if listener is not None:
                        listener.works()
                    async for batch in self._batches():
                        delay_s = _RETRY_FIRST_S
                        for frame in batch:
                            yield frame
                except TransportError as fault:
                    if listener is not None:
                        listener.lost(fault.reason)
                    await asyncio.sleep(delay_s)
                    delay_s = min(2 * delay_s, _RETRY_MAX_S)
        finally:
            self.close()

    async def _batches(self) -> AsyncIterator[list[CanFrame]]:
        """Yield non-empty batches until the bus fails."""
        source = _FdSource(self) if self._fileno() >= 0 else _ThreadSource(self)
        try:
            while True:
                await source.wait()
                batch = source.take()
                if batch:
                    yield batch
                # A bus that never falls silent must not keep the loop from its other work.
                await asyncio.sleep(0)
        finally:
            source.stop()

    def _read(self, timeout_s: float) -> can.Message | None:
        """Return the next message, or None when none came in time; something undecodable is counted and gives None."""
        if self._bus is None:
            raise TransportError(self.endpoint, "is not open")
        try:
            return self._bus.recv(timeout_s)
        except (can.CanError, OSError, ValueError) as error:
            if _is_one_bad_datagram(error):
                self._malformed += 1
                return None
            raise self._fault(f"went down: {error}") from error

    def _frame_of(self, message: can.Message, arrival: MonotonicNs, wall_ns: int) -> CanFrame | None:
        """Turn python-can's message into a frame; None for what is unwanted or no data frame."""
        if message.is_error_frame:
            self._error_frames += 1
            return None
        if self._wanted is not None and (message.arbitration_id, message.is_extended_id) not in self._wanted:
            return None
        if message.is_remote_frame:
            return None
        match self._stamps:
            case StampSource.ARRIVAL:
                received = arrival
            case StampSource.SENDER:
                received = MonotonicNs(round(message.timestamp * NS_PER_S))
            case StampSource.KERNEL:
                age_ns = wall_ns - round(message.timestamp * NS_PER_S)
                received = MonotonicNs(arrival - age_ns) if 0 < age_ns <= MAX_STAMP_AGE_NS else arrival
        try:
            frame = CanFrame(message.arbitration_id, message.is_extended_id, bytes(message.data), self._config.channel, received)
        except (TypeError, ValueError):
            self._malformed += 1
            return None
        self._received += 1
        return frame

    def _fileno(self) -> int:
        """Return a descriptor an event loop can watch, or -1."""
        if self._bus is None:
            return -1
        try:
            return self._bus.fileno()
        except NotImplementedError:
            return -1

    def _fault(self, reason: str) -> TransportError:
        """Close the bus, count the interruption if it was up, and return the error to raise."""
        if self._is_up:
            self._interruptions += 1
        self._last_fault = reason
        self.close()
        return TransportError(self.endpoint, reason)

    def _kernel_drops(self) -> int:
        """Return how many frames the kernel dropped on the open socket; 0 where it cannot say."""
        opened = None if self._bus is None else _socket_of(self._bus)
        if opened is None:
            return 0
        try:
            return int(_SK_MEMINFO.unpack(opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _SK_MEMINFO.size))[8])
        except (OSError, struct.error):
            return 0


class _FdSource:
    """Wakes when the event loop sees the bus's descriptor readable."""

    def __init__(self, bus: CanBus) -> None:
        self._bus = bus
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fileno = bus._fileno()  # noqa: SLF001  # the other half of the same module
        self._loop.add_reader(self._fileno, self._readable.set)

    async def wait(self) -> None:
        """Wait for something to read."""
        await self._readable.wait()

    def take(self) -> list[CanFrame]:
        """Return up to `MAX_DRAIN` frames; raises `TransportError` when the bus failed."""
        self._readable.clear()
        return self._bus.drain()

    def stop(self) -> None:
        """Forget the descriptor."""
        self._loop.remove_reader(self._fileno)


class _ThreadSource:
    """Reads a bus without a descriptor in one thread into a bounded queue that drops the oldest and counts."""

    def __init__(self, bus: CanBus) -> None:
        self._bus = bus
        self._frames: deque[CanFrame] = deque()
        self._failure: TransportError | None = None
        self._readable = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_until_stopped, name=f"can {bus.endpoint}", daemon=True)
        self._thread.start()

    async def wait(self) -> None:
        """Wait for frames or a failure."""
        await self._readable.wait()

    def take(self) -> list[CanFrame]:
        """Return up to `MAX_DRAIN` frames; raises `TransportError` once the bus failed and the queue is empty."""
        self._readable.clear()
        batch = [self._frames.popleft() for _ in range(min(MAX_DRAIN, len(self._frames)))]
        if self._frames:
            self._readable.set()
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def stop(self) -> None:
        """End the thread and wait for it; it looks up every tenth of a second."""
        self._stopping.set()
        self._thread.join()

    def _read_until_stopped(self) -> None:
        bus = self._bus
        try:
            while not self._stopping.is_set():
                message = bus._read(_THREAD_WAIT_S)  # noqa: SLF001  # the other half of the same module
                if message is None:
                    continue
                wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
                frame = bus._frame_of(message, bus._clock.now().monotonic, wall_ns)  # noqa: SLF001
                if frame is None:
                    continue
                if len(self._frames) >= MAX_QUEUED_FRAMES:
                    self._frames.popleft()
                    bus._lost_here += 1  # noqa: SLF001
                self._frames.append(frame)
                self._wake()
        except TransportError as error:
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop closed while the thread was about to report
            self._loop.call_soon_threadsafe(self._readable.set)


def _socket_of(bus: can.BusABC) -> socket.socket | None:
    """Return the socket inside python-can's SocketCAN and UDP buses, where there is one."""
    for candidate in (getattr(bus, "socket", None), getattr(getattr(bus, "_multicast", None), "_socket", None)):
        if isinstance(candidate, socket.socket):
            return candidate
    return None


def _is_one_bad_datagram(error: Exception) -> bool:
    """Whether `udp_multicast` met a datagram that is no CAN frame: the bus itself is well."""
    return isinstance(error, can.CanOperationError) and error.__cause__ is not None and not isinstance(error.__cause__, OSError)
