"""Network interfaces as radios need them: is it there, is it up, and tell me when it is back.

The kernel is asked by ioctl and /proc, which a service without the right to netlink sockets may use. `InterfaceWatch` looks after
one interface on behalf of a radio: it looks every second, sooner after an error, and has the radio attached anew when the interface
comes back, also under another index. While it is away the radio says so and sends nothing.
"""

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from struct import Struct

from shared.core.errors import TransportError

MAX_INTERFACE_NAME_OCTETS = 15
"""`IFNAMSIZ` less its zero."""

LOOK_EVERY_S = 1.0
"""How often an interface that works is looked at: one that was replaced raises no error."""

RETRY_FIRST_S = 0.1
RETRY_MAX_S = 2.0

AWAY = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL})
"""Errors of a socket that mean the interface is away."""

_SIOCGIFFLAGS = 0x8913
_SIOCGIFADDR = 0x8915
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_REQUEST = Struct("@16s24s")
_FLAGS = Struct("@16sH22x")
_INET_ADDRESS = slice(20, 24)
_NAMES = Path("/proc/self/net/dev")


def check_interface_name(name: str) -> None:
    """Raise ValueError for what no network interface can be called."""
    octets = name.encode()
    is_plain = name.isprintable() and not any(sign.isspace() or sign in "/:" for sign in name)
    if not 1 <= len(octets) <= MAX_INTERFACE_NAME_OCTETS or not is_plain or name in {".", ".."}:
        raise ValueError(f"{name!r} cannot be the name of a network interface")


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """An interface that is up.

    Attributes:
        index: what the kernel calls it; another one when it is made anew.
        has_carrier: whether something is at its other end; of CAN: whether the controller is on the bus.
    """

    index: int
    has_carrier: bool


def interface_state(name: str) -> InterfaceState:
    """Return the state of an interface.

    Raises:
        TransportError: there is none of that name, or it is down.
    """
    try:
        index = socket.if_nametoindex(name)
        flags = _flags(name)
    except OSError:
        raise TransportError(name, f"there is no interface {name}") from None
    if not flags & _IFF_UP:
        raise TransportError(name, f"interface {name} is down")
    return InterfaceState(index, has_carrier=bool(flags & _IFF_RUNNING))


def usable_index(name: str) -> int:
    """Return the index of an interface that is up and has a carrier.

    Raises:
        TransportError: there is none of that name, it is down, or nothing is at its other end.
    """
    state = interface_state(name)
    if not state.has_carrier:
        raise TransportError(name, f"interface {name} has no carrier")
    return state.index


def usable_index_of(address: IPv4Address) -> int:
    """Return the index of the interface with an address, once it is up; 0 where the address is a secondary one.

    Raises:
        TransportError: no interface has it, or the one that has it is down.
    """
    for name in _interface_names():
        if address_of(name) == address:
            return usable_index(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            raise TransportError(str(address), f"no interface has the address {address}") from None
    return 0


def address_of(name: str) -> IPv4Address | None:
    """Return the primary IPv4 address of an interface; None where there is none, or no such interface."""
    try:
        return IPv4Address(_asked(_SIOCGIFADDR, name)[_INET_ADDRESS])
    except OSError:
        return None


def _interface_names() -> list[str]:
    try:
        lines = _NAMES.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.partition(":")[0].strip() for line in lines if ":" in line]


def _flags(name: str) -> int:
    flags: int = _FLAGS.unpack(_asked(_SIOCGIFFLAGS, name))[1]
    return flags


def _asked(request: int, name: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        return fcntl.ioctl(asker.fileno(), request, _REQUEST.pack(name.encode(), b""))


class InterfaceWatch:
    """Keeps a socket attached to an interface that comes and goes; needs a running event loop.

    Args:
        look: returns the index of the usable interface, or raises `TransportError`.
        attach: binds the socket to the interface of an index; raises OSError or `TransportError` when that fails.
    """

    def __init__(self, *, look: Callable[[], int], attach: Callable[[int], None]) -> None:
        self._look = look
        self._attach = attach
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._index: int | None = None
        self._delay_s = RETRY_FIRST_S
        self.fault: str | None = None
        self.interruptions = 0
        self._check()

    def suspect(self, error: OSError) -> None:
        """Take note of an error of the socket; where it means the interface is away, look again soon."""
        if error.errno in AWAY:
            self._gone(self._why_away() or f"interface went away: {sentence_of(error)}")
            self._schedule(RETRY_FIRST_S)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        try:
            index = self._look()
            if index != self._index:
                if self._index is not None:
                    self.interruptions += 1
                self._attach(index)
        except TransportError as away:
            self._gone(away.reason)
        except OSError as error:
            self._gone(f"cannot be used: {sentence_of(error)}")
        else:
            self._index, self.fault, self._delay_s = index, None, RETRY_FIRST_S
            self._schedule(LOOK_EVERY_S)
            return
        self._schedule(self._delay_s)
        self._delay_s = min(2 * self._delay_s, RETRY_MAX_S)

    def _why_away(self) -> str | None:
        """Return what is wrong with the interface at this moment, in words that name it; None where it is back already."""
        try:
            self._look()
        except TransportError as away:
            return away.reason
        except OSError:
            return None
        return None

    def _gone(self, reason: str) -> None:
        if self._index is not None:
            self._index = None
            self.interruptions += 1
        self.fault = reason

    def _schedule(self, delay_s: float) -> None:
        self.stop()
        self._timer = self._loop.call_later(delay_s, self._check)


def sentence_of(error: OSError) -> str:
    """Return what an error says, without its number."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
