"""Up to 64 frames out of a SocketCAN socket in one system call, with the kernel's time of each and its count of what it dropped.

This is the loop that runs thousands of times a second, so it is written for speed: `recvmmsg(2)` fills memory laid out once
(Python's own `recvmsg` takes one frame a call, and asks the kernel for the interface's name each time), and two precompiled layouts
take it apart. The layouts are those of `linux/can.h` and of this machine's C library:

    slot     struct canfd_frame (72; a classic frame fills 16) | control messages: SO_TIMESTAMPNS, then SO_RXQ_OVFL
    header   struct mmsghdr: where the slot is; afterwards how much of it was filled

Any datagram socket that carries such frames will do, which is how the speed is measured where a kernel has no CAN. How a socket is
opened is `shared.transport.can_socket`'s business.
"""

import ctypes
import errno
import os
import socket
import time
from struct import Struct
from struct import error as struct_error

from shared.core.clock import NS_PER_S, Clock
from shared.transport.can_errors import note_error
from shared.transport.can_frame import FD_LENGTHS, MAX_EXTENDED_ID, MAX_STANDARD_ID, CanFrame
from shared.transport.can_link import MAX_DRAIN, MAX_STAMP_AGE_NS, CanCounters, StampSource

SO_TIMESTAMPNS = 35
"""Ask for a `struct timespec` with each frame (SO_TIMESTAMPNS_OLD: two native longs on every machine)."""

SO_RXQ_OVFL = 40
"""Ask for the count of frames dropped, with each frame once there is one."""

SO_MEMINFO = 55
"""Fills nine u32 of which the last is the same count, at this moment (linux/sock_diag.h)."""

CLASSIC_BYTES, FD_BYTES = 16, 72
"""Sizes of `struct can_frame` and `struct canfd_frame`."""

EXTENDED_FLAG, REMOTE_FLAG, ERROR_FLAG = 0x8000_0000, 0x4000_0000, 0x2000_0000

_STAMP = Struct("@ll")
_DROPS = Struct("@I")
_MEMINFO = Struct("@9I")
_CONTROL_BYTES = 64
_SLOT_BYTES = FD_BYTES + _CONTROL_BYTES
_DROPS_AT = FD_BYTES + socket.CMSG_SPACE(_STAMP.size) + socket.CMSG_LEN(0)
_STAMP_SPACE = socket.CMSG_SPACE(_STAMP.size)
_SLOT = Struct(f"@IB3x8s{FD_BYTES - CLASSIC_BYTES}xNii{_STAMP.format[1:]}")
_SLOT = Struct(f"{_SLOT.format}{_SLOT_BYTES - _SLOT.size}x")
_HALF_COUNT = 1 << 31


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MessageHeader(ctypes.Structure):
    """`struct mmsghdr`; its first part ends with a gap of its own, so the two cannot be one."""

    _fields_ = (("message", _Message), ("filled", ctypes.c_uint))


_HEADER_BYTES = ctypes.sizeof(_MessageHeader)
_HEADER = Struct(f"@{_Message.control_length.offset}xN{_MessageHeader.filled.offset - _Message.flags.offset}xI")
_HEADER = Struct(f"{_HEADER.format}{_HEADER_BYTES - _HEADER.size}x")


class FrameReceiver:
    """Reads one socket.

    Args:
        opened: the socket, with `SO_TIMESTAMPNS` and `SO_RXQ_OVFL` on; is not closed here.
        channel: what frames say they were seen on.
        clock: gives arrival times.
        stamps: `ARRIVAL`, or else the kernel's time.
        counters: what is counted; gains.
    """

    def __init__(self, opened: socket.socket, channel: str, *, clock: Clock, stamps: StampSource, counters: CanCounters) -> None:
        self._socket = opened
        self._channel = channel
        self._clock = clock
        self._stamp_kind = -1 if stamps is StampSource.ARRIVAL else SO_TIMESTAMPNS
        self._counters = counters
        self._dropped = 0
        # The interpreter is not let go of during a call that never waits: another thread would keep it for longer than the call.
        self._receive = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._lay_out()

    def _lay_out(self) -> None:
        slots = (ctypes.c_char * (MAX_DRAIN * _SLOT_BYTES))()
        vectors = (_IoVector * MAX_DRAIN)()
        headers = (_MessageHeader * MAX_DRAIN)()
        for number in range(MAX_DRAIN):
            slot = ctypes.addressof(slots) + number * _SLOT_BYTES
            vectors[number].base, vectors[number].length = slot, FD_BYTES
            header = headers[number].message
            header.vectors, header.vector_count = ctypes.addressof(vectors) + number * ctypes.sizeof(_IoVector), 1
            header.control, header.control_length = slot + FD_BYTES, _CONTROL_BYTES
        self._vectors = vectors  # the headers point into it
        self._slots = memoryview(slots).cast("B")
        self._headers = memoryview(headers).cast("B")
        self._untouched = bytes(headers)
        self._headers_address = ctypes.addressof(headers)

    def take(self, limit: int = MAX_DRAIN) -> list[CanFrame]:
        """Take what has arrived, at most `limit` frames (itself at most `MAX_DRAIN`), without waiting.

        Raises:
            OSError: the socket's pending error, such as ENETDOWN.
        """
        count = self._fill(min(limit, MAX_DRAIN))
        if count == 0:
            return []
        arrival = self._clock.now().monotonic
        wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        oldest_ns, carry_ns = wall_ns - MAX_STAMP_AGE_NS, arrival - wall_ns
        channel, stamp_kind = self._channel, self._stamp_kind
        frames: list[CanFrame] = []
        add = frames.append
        slots = _SLOT.iter_unpack(self._slots[: count * _SLOT_BYTES])
        headers = _HEADER.iter_unpack(self._headers[: count * _HEADER_BYTES])
        number = control = 0
        for (word, length, data, _, _, kind, seconds, nanoseconds), (control, filled) in zip(slots, headers, strict=True):
            number += 1
            received = arrival
            if kind == stamp_kind and control:
                stamp_ns = seconds * NS_PER_S + nanoseconds
                if oldest_ns <= stamp_ns < wall_ns:
                    received = stamp_ns + carry_ns
            if filled == CLASSIC_BYTES and length <= 8:
                if length != 8:
                    data = data[:length]  # noqa: PLW2901 - a name more costs time here
            elif filled == FD_BYTES and length in FD_LENGTHS:
                at = number * _SLOT_BYTES - _SLOT_BYTES + 8
                data = bytes(self._slots[at : at + length])  # noqa: PLW2901
            else:
                self._counters.malformed += 1
                continue
            if word <= MAX_STANDARD_ID:
                add(CanFrame(word, False, data, channel, received))
            elif word & EXTENDED_FLAG and not word & (REMOTE_FLAG | ERROR_FLAG):
                add(CanFrame(word & MAX_EXTENDED_ID, True, data, channel, received))
            else:
                self._note_other(word, data)
        if control > _STAMP_SPACE:
            self._note_drops(_DROPS.unpack_from(self._slots, number * _SLOT_BYTES - _SLOT_BYTES + _DROPS_AT)[0])
        self._counters.received += len(frames)
        return frames

    def count_losses(self) -> None:
        """Count also what was dropped after the last frame that was taken."""
        if (dropped := dropped_by(self._socket)) is not None:
            self._note_drops(dropped)

    def _fill(self, limit: int) -> int:
        """Have the kernel fill slots; return how many."""
        self._headers[:] = self._untouched
        while True:
            count = int(self._receive(self._socket.fileno(), self._headers_address, limit, socket.MSG_DONTWAIT, None))
            if count >= 0:
                return count
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return 0
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))

    def _note_other(self, word: int, data: bytes) -> None:
        """Count what is no data frame; a remote frame is nothing to us."""
        if word & ERROR_FLAG:
            self._counters.error_frames += 1
            self._counters.state = note_error(word & MAX_EXTENDED_ID, data, self._counters.errors, self._counters.state)
        elif not word & REMOTE_FLAG:
            self._counters.malformed += 1

    def _note_drops(self, dropped: int) -> None:
        """Add what the kernel's count (32 bits, comes round) has gained; a count that was taken earlier has gained nothing."""
        gained = (dropped - self._dropped) & 0xFFFF_FFFF
        if gained < _HALF_COUNT:
            self._counters.lost += gained
            self._dropped = dropped


def dropped_by(opened: socket.socket) -> int | None:
    """Return how many datagrams the kernel has dropped at a socket; None where it is closed, or the kernel older than 4.12."""
    try:
        count: int = _MEMINFO.unpack(opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))[8]
    except (OSError, struct_error):
        return None
    return count
