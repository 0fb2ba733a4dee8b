"""Any bus that python-can opens, except SocketCAN.

`virtual` (one process) and `udp_multicast` (one machine, no kernel support) are tested; the adapters it knows work the same way.
Imported only where such a bus is configured.
"""

import contextlib
import socket
import struct
import time

from shared.core.clock import NS_PER_S, Clock, MonotonicNs
from shared.core.errors import ConfigError, TransportError
from shared.transport.can_frame import CanFilter, CanFrame, checked_frame
from shared.transport.can_link import MAX_DRAIN, CanBusConfig, CanCounters, StampSource, carried_over, require_multicast_group
from shared.transport.can_socket import granted_buffer_bytes, set_up_buffer
from shared.transport.frame_receiver import dropped_by
from shared.transport.python_can import can


class PythonCanLink:
    """One bus opened by python-can (`CanLink`).

    Args:
        config: names it, and its options, which are passed on.
        clock: gives arrival times.
        filters: identifiers to let through; none means all. They are applied here: python-can would say "nothing" at the first
            unwanted frame.
        stamps: where frame times come from.
        counters: what is counted; gains.

    Raises:
        ConfigError: there is no such interface, or it does not take these options.
        TransportError: the bus is not there or down; trying again may help.
    """

    def __init__(
        self, config: CanBusConfig, *, clock: Clock, filters: tuple[CanFilter, ...], stamps: StampSource, counters: CanCounters
    ) -> None:
        require_multicast_group(config)
        self._config = config
        self._clock = clock
        self._exact = frozenset((f.arbitration_id, f.is_extended) for f in filters if f.mask is None)
        self._masked = tuple(f for f in filters if f.mask is not None)
        self._wants_all = not filters
        self._stamps = stamps
        self._counters = counters
        self._dropped = 0
        options: dict[str, object] = dict(config.options)
        if config.interface == "virtual" and stamps is StampSource.SENDER:
            options["preserve_timestamps"] = True
        try:
            self._bus = can.Bus(
                interface=config.interface,
                channel=config.channel,
                ignore_config=True,
                **options,  # type: ignore[arg-type]  # the options are the interface's own
            )
        except (NotImplementedError, OverflowError, TypeError, ValueError, struct.error) as error:
            raise ConfigError(f"can {config.endpoint}", f"python-can refuses: {error}") from error
        except (can.CanError, OSError) as error:
            raise TransportError(config.endpoint, f"cannot be opened: {error}") from error
        self._socket = _socket_of(self._bus)
        self.receive_buffer_bytes: int | None = None
        if self._socket is not None:
            set_up_buffer(self._socket)
            self.receive_buffer_bytes = granted_buffer_bytes(self._socket)

    def fileno(self) -> int:
        """Return a descriptor an event loop can watch, or -1."""
        try:
            return self._bus.fileno()
        except NotImplementedError:
            return -1

    def take(self, limit: int = MAX_DRAIN) -> list[CanFrame]:
        """Take what has arrived, at most `limit` frames, without waiting; raises `TransportError`."""
        arrival = self._clock.now().monotonic
        wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        frames: list[CanFrame] = []
        for _ in range(limit):
            malformed = self._counters.malformed
            message = self._read(0.0)
            if message is None:
                if self._counters.malformed == malformed:
                    break
                continue
            frame = self._frame_of(message, arrival, wall_ns)
            if frame is not None:
                frames.append(frame)
        return frames

    def take_one(self, timeout_s: float) -> CanFrame | None:
        """Wait for one frame; raises `TransportError`."""
        message = self._read(timeout_s)
        if message is None:
            return None
        return self._frame_of(message, self._clock.now().monotonic, time.clock_gettime_ns(time.CLOCK_REALTIME))

    def look(self) -> None:
        """Nothing: these buses do not vanish without a word."""

    def send(self, frame: CanFrame) -> None:
        """Put one frame on the bus; raises `TransportError`."""
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
            raise TransportError(self._config.endpoint, f"cannot send: {error}") from error

    def count_losses(self) -> None:
        """Bring the count of lost frames up to date, where there is a socket."""
        dropped = None if self._socket is None else dropped_by(self._socket)
        if dropped is not None:
            self._counters.lost += dropped - self._dropped
            self._dropped = dropped

    def close(self) -> None:
        """Close the bus."""
        self.count_losses()
        with contextlib.suppress(can.CanError, OSError):
            self._bus.shutdown()

    def _read(self, timeout_s: float) -> can.Message | None:
        """Return the next message, or None when none came in time; something undecodable is counted and gives None."""
        try:
            return self._bus.recv(timeout_s)
        except (can.CanError, OSError, ValueError) as error:
            if _is_one_bad_datagram(error):
                self._counters.malformed += 1
                return None
            raise TransportError(self._config.endpoint, f"went down: {error}") from error

    def _frame_of(self, message: can.Message, arrival: MonotonicNs, wall_ns: int) -> CanFrame | None:
        """Turn python-can's message into a frame; None for what is unwanted or no data frame."""
        if message.is_error_frame:
            self._counters.error_frames += 1
            return None
        if message.is_remote_frame or not self._wants(message.arbitration_id, is_extended=message.is_extended_id):
            return None
        match self._stamps:
            case StampSource.ARRIVAL:
                received = arrival
            case StampSource.SENDER:
                received = MonotonicNs(round(message.timestamp * NS_PER_S))
            case StampSource.KERNEL:
                received = carried_over(round(message.timestamp * NS_PER_S), arrival, wall_ns)
        try:
            data = bytes(message.data)
            frame = checked_frame(message.arbitration_id, message.is_extended_id, data, self._config.channel, received)
        except (TypeError, ValueError):
            self._counters.malformed += 1
            return None
        self._counters.received += 1
        return frame

    def _wants(self, arbitration_id: int, *, is_extended: bool) -> bool:
        if self._wants_all or (arbitration_id, is_extended) in self._exact:
            return True
        return any(each.admits(arbitration_id, is_extended=is_extended) for each in self._masked)


def _socket_of(bus: can.BusABC) -> socket.socket | None:
    """Return the socket inside python-can's UDP bus; None where there is none."""
    candidate = getattr(getattr(bus, "_multicast", None), "_socket", None)
    return candidate if isinstance(candidate, socket.socket) else None


def _is_one_bad_datagram(error: Exception) -> bool:
    """Whether `udp_multicast` met a datagram that is no CAN frame: the bus itself is well."""
    return isinstance(error, can.CanOperationError) and error.__cause__ is not None and not isinstance(error.__cause__, OSError)
