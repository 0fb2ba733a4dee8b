"""A raw SocketCAN socket, opened and set up: filters in the kernel, a buffer for two seconds, error frames, stamps, losses.

(Linux `Documentation/networking/can.rst`.) Nothing is read here (`shared.transport.frame_receiver`) and no interface watched
(`shared.transport.socketcan_link`).
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from struct import Struct

from shared.transport.can_errors import ALL_ERRORS
from shared.transport.can_frame import CanFilter
from shared.transport.can_link import RECEIVE_BUFFER_BYTES
from shared.transport.frame_receiver import EXTENDED_FLAG, REMOTE_FLAG, SO_RXQ_OVFL, SO_TIMESTAMPNS

MAX_KERNEL_FILTERS = 512
"""The kernel takes no more (CAN_RAW_FILTER_MAX)."""

SO_RCVBUFFORCE = 33
"""As SO_RCVBUF, beyond the system's limit, for who has CAP_NET_ADMIN."""

_ERROR_FILTER = 2
"""CAN_RAW_ERR_FILTER, which Python's `socket` does not name."""

_FILTER = Struct("=II")
_LIMIT = Path("/proc/sys/net/core/rmem_max")


def kernel_filters(filters: Sequence[CanFilter]) -> bytes:
    """Return filters as CAN_RAW_FILTER takes them; without any, everything but remote frames passes."""
    if not filters:
        return _FILTER.pack(0, REMOTE_FLAG)
    exact = EXTENDED_FLAG | REMOTE_FLAG  # with the flag of error frames it would be a filter of these
    return b"".join(
        _FILTER.pack(each.arbitration_id | (EXTENDED_FLAG if each.is_extended else 0), each.bits | exact) for each in filters
    )


def open_can_socket(channel: str, filters: Sequence[CanFilter], *, hears_itself: bool, is_looped: bool) -> socket.socket:
    """Return a socket that is bound to an interface.

    Args:
        channel: the interface.
        filters: what to let through, at most `MAX_KERNEL_FILTERS`; nothing else is asked for: all.
        hears_itself: whether its own frames come back to it.
        is_looped: whether other programs of this machine hear what it sends.

    Raises:
        OSError: there is no such interface, it is down, or the kernel has no CAN.
    """
    opened = socket.socket(socket.AF_CAN, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.CAN_RAW)
    try:
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, kernel_filters(filters))
        opened.setsockopt(socket.SOL_CAN_RAW, _ERROR_FILTER, ALL_ERRORS)
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_RECV_OWN_MSGS, int(hears_itself))
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_LOOPBACK, int(is_looped))
        set_up_receiving(opened)
        opened.bind((channel,))
        _raise_pending(opened)
    except BaseException:
        opened.close()
        raise
    return opened


def _raise_pending(opened: socket.socket) -> None:
    """Raise what binding does not: to an interface that is down it succeeds, and only the socket's pending error says so."""
    if pending := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(pending, os.strerror(pending))


def set_up_receiving(opened: socket.socket) -> None:
    """Ask for stamps, counts of losses and the large buffer, on any datagram socket."""
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    set_up_buffer(opened)


def set_up_buffer(opened: socket.socket) -> None:
    """Ask for the large buffer; the kernel grants what it likes (`granted_buffer_bytes`)."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except OSError:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def granted_buffer_bytes(opened: socket.socket) -> int:
    """Return the buffer a socket got, in the terms in which it is asked for: the kernel doubles that for its own accounts."""
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def buffer_warning(limit: Path = _LIMIT) -> str | None:
    """Return a sentence where this system does not grant an ordinary program the buffer it asks for; None where it does."""
    try:
        granted = int(limit.read_text(encoding="ascii"))
    except (OSError, ValueError):  # a service may not be shown it
        return None
    if granted >= RECEIVE_BUFFER_BYTES:
        return None
    return buffer_sentence(granted)


def buffer_sentence(granted: int) -> str:
    """Say that a buffer is too small, and what helps."""
    return (
        f"the kernel grants {granted:,} of {RECEIVE_BUFFER_BYTES:,} bytes of receive buffer, so a shorter stall loses frames: "
        f"set net.core.rmem_max (systemd/sysctl.d/90-v2x-trust.conf)"
    )
