"""A CAN bus as the programs see it: frames in, frames out, kept open whatever becomes of it.

SocketCAN is read by ourselves (`shared.transport.socketcan_link`), every other bus by way of python-can
(`shared.transport.python_can_link`). An interface that goes down, comes back or is made anew is opened again, and what was lost is
counted. `drain` is for a simulator that steps time by hand, `batches` for a program with an event loop.

Deliberately not here: what frames mean (`vehicle_agent.signals.can_input`) and recorded buses (`shared.transport.can_log`).
"""

import asyncio
from collections.abc import AsyncGenerator
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.errors import TransportError
from shared.transport.can_frame import CanFilter, CanFrame
from shared.transport.can_link import (
    MAX_DRAIN,
    SOCKETCAN,
    BusListener,
    CanBusConfig,
    CanBusStatistics,
    CanCounters,
    CanLink,
    ControllerState,
    StampSource,
    require_known_interface,
)
from shared.transport.can_sources import LOOK_EVERY_S, DescriptorSource, FrameSource, ThreadSource
from shared.transport.socketcan_link import SocketCanLink

if TYPE_CHECKING:
    from shared.transport.python_can_link import PythonCanLink

__all__ = [
    "MAX_DRAIN",
    "BusListener",
    "CanBus",
    "CanBusConfig",
    "CanBusStatistics",
    "ControllerState",
    "StampSource",
    "require_known_interface",
]

BUS_OFF_REASON = "the controller has left the bus after too many errors (bus-off)"

_RETRY_FIRST_S = 0.05
_RETRY_MAX_S = 2.0


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
        self._link: CanLink | None = None
        self._counters = CanCounters()
        self._is_up = False
        self._interruptions = 0
        self._last_fault: str | None = None
        self._buffer_bytes: int | None = None
        self._next_look = MonotonicNs(0)
        self._was_off = False

    @property
    def endpoint(self) -> str:
        """Interface and channel, for messages."""
        return self._config.endpoint

    def statistics(self) -> CanBusStatistics:
        """Return the counts so far."""
        if self._link is not None:
            self._link.count_losses()
        counted = self._counters
        return CanBusStatistics(
            is_up=self._is_up,
            received=counted.received,
            lost=counted.lost,
            error_frames=counted.error_frames,
            malformed=counted.malformed,
            interruptions=self._interruptions,
            last_fault=self._last_fault,
            errors=MappingProxyType(dict(counted.errors)),
            controller=counted.state,
            receive_buffer_bytes=self._buffer_bytes,
        )

    def open(self) -> None:
        """Open the bus; nothing happens when it is open.

        Raises:
            ConfigError: there is no such interface, or it does not take these options.
            TransportError: the bus is not there or down; trying again may help.
        """
        if self._link is not None:
            return
        try:
            self._link = self._open_link()
        except TransportError as error:
            raise self._fault(error.reason) from error
        self._buffer_bytes = self._link.receive_buffer_bytes
        self._put_off_look()
        self._is_up = True

    def close(self) -> None:
        """Close the bus; `open` may follow."""
        if self._link is None:
            return
        link, self._link = self._link, None
        self._is_up = False
        link.close()

    def drain(self, limit: int = MAX_DRAIN) -> list[CanFrame]:
        """Take what has arrived, at most `limit` frames (itself at most `MAX_DRAIN`), without waiting.

        Raises:
            TransportError: the bus is closed or went down. It is closed then; `open` it again.
        """
        link = self._opened()
        try:
            frames = link.take(limit)
            if not frames and self._clock.now().monotonic >= self._next_look:
                self._put_off_look()
                link.look()
        except TransportError as error:
            raise self._fault(error.reason) from error
        return frames

    def send(self, frame: CanFrame) -> None:
        """Put one frame on the bus; its channel is this bus, its time is kept by simulated buses.

        Raises:
            TransportError: the bus is closed, down, full, or cannot carry FD frames.
        """
        try:
            self._opened().send(frame)
        except TransportError:
            self._next_look = MonotonicNs(0)  # sending may have taken the one error that would tell the reader
            raise

    async def batches(self, listener: BusListener | None = None) -> AsyncGenerator[list[CanFrame], None]:
        """Yield frames for ever, up to `MAX_DRAIN` at a time; the bus is opened here, and again after every failure.

        Args:
            listener: told of every failure and every success to open, and when the controller leaves the bus and comes back.

        Raises:
            ConfigError: there is no such interface; retrying would not help.
        """
        delay_s = _RETRY_FIRST_S
        try:
            while True:
                source: FrameSource | None = None
                try:
                    self.open()
                    if listener is not None:
                        listener.works()
                    source = self._source(self._opened())
                    while True:
                        await source.wait()
                        batch = source.take()
                        self._tell_controller(listener)
                        if batch:
                            delay_s = _RETRY_FIRST_S
                            yield batch
                except TransportError as fault:
                    if self._link is not None:  # it failed in the source's own thread
                        self._fault(fault.reason)
                    if listener is not None:
                        listener.lost(fault.reason)
                finally:
                    if source is not None:
                        source.stop()
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RETRY_MAX_S)
        finally:
            self.close()

    def _source(self, link: CanLink) -> FrameSource:
        fileno = link.fileno()
        if fileno >= 0:
            return DescriptorSource(fileno, self.drain)
        return ThreadSource(link, self._counters, f"can {self.endpoint}")

    def _open_link(self) -> CanLink:
        return _kind_of(self._config.interface)(
            self._config, clock=self._clock, filters=self._filters, stamps=self._stamps, counters=self._counters
        )

    def _opened(self) -> CanLink:
        if self._link is None:
            raise TransportError(self.endpoint, "is not open")
        return self._link

    def _tell_controller(self, listener: BusListener | None) -> None:
        is_off = self._counters.state is ControllerState.BUS_OFF
        if is_off is not self._was_off and listener is not None:
            if is_off:
                listener.lost(BUS_OFF_REASON)
            else:
                listener.works()
        self._was_off = is_off

    def _put_off_look(self) -> None:
        self._next_look = MonotonicNs(self._clock.now().monotonic + round(LOOK_EVERY_S * NS_PER_S))

    def _fault(self, reason: str) -> TransportError:
        """Close the bus, count the interruption if it was up, and return the error to raise."""
        if self._is_up:
            self._interruptions += 1
        self._last_fault = reason
        self.close()
        return TransportError(self.endpoint, reason)


def _kind_of(interface: str) -> "type[SocketCanLink | PythonCanLink]":
    if interface == SOCKETCAN:
        return SocketCanLink
    from shared.transport import python_can_link  # noqa: PLC0415 - costs time and memory

    return python_can_link.PythonCanLink
