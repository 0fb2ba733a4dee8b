"""What every way to a CAN bus has in common: where a bus is, what an opened one can do, and what is counted of it.

`CanLink` is one opened bus; `shared.transport.socketcan_link` and `shared.transport.python_can_link` are the two there are. Who
keeps it open over failures is `shared.transport.can_bus.CanBus`, which is what programs use.
"""

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import msgspec

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.transport.can_frame import CanFrame

SOCKETCAN = "socketcan"
"""The interface that is read without python-can."""

UDP_MULTICAST = "udp_multicast"
"""python-can's bus of datagrams."""

MULTICAST_GROUPS = ("239.74.163.2", "ff15:7079:7468:6f6e:6465:6d6f:6d63:6173")
"""Where python-can's other programs look for such a bus."""

MAX_DRAIN = 64
"""Frames taken per wake, so that one busy bus cannot starve the rest of the program."""

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Kernel buffer asked for; the default holds 70 ms of a full bus, this one more than two seconds."""

MAX_STAMP_AGE_NS = 10 * NS_PER_S
"""A kernel stamp older than this (the wall clock was set meanwhile) is taken as the present."""


class CanBusConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a bus is; the shape of a `[[can]]` table.

    Attributes:
        interface: `socketcan`, or python-can's name: `udp_multicast`, `virtual`, `pcan` ...
        channel: `can0`, a multicast group, any name, as the interface has it; frames carry it.
        options: further arguments of that interface, unchanged (`fd`, `port`, `bitrate` ...).
    """

    interface: str
    channel: str
    options: dict[str, bool | int | float | str] = {}

    @property
    def endpoint(self) -> str:
        """Interface and channel, for messages."""
        return f"{self.interface}:{self.channel}"


def require_known_interface(interface: str, *, key: str) -> None:
    """Raise `ConfigError` for an interface that neither we nor python-can have, by itself or from a plugin."""
    if interface == SOCKETCAN:
        return
    from shared.transport.python_can import can  # noqa: PLC0415 - costs time and memory that SocketCAN does not need

    if interface not in can.interfaces.VALID_INTERFACES:
        known = ", ".join(sorted(can.interfaces.VALID_INTERFACES))
        raise ConfigError(key, f"{interface!r} is none of {known}")


def require_multicast_group(config: CanBusConfig) -> None:
    """Raise `ConfigError` for a bus of `udp_multicast` whose channel is no multicast address; every other bus passes."""
    if config.interface != UDP_MULTICAST:
        return
    try:
        is_group = ipaddress.ip_address(config.channel).is_multicast
    except ValueError:
        is_group = False
    if not is_group:
        groups = " or ".join(MULTICAST_GROUPS)
        raise ConfigError(
            f"can {config.endpoint}",
            f"the channel of {UDP_MULTICAST} is a multicast address, such as {groups}; {config.channel!r} is none",
        )


class StampSource(Enum):
    """Where `CanFrame.received` comes from."""

    KERNEL = "kernel"
    """The wall-clock stamp of driver or kernel, carried over to monotonic time on arrival."""
    SENDER = "sender"
    """The sender's stamp is monotonic time already: simulated buses (`virtual`)."""
    ARRIVAL = "arrival"
    """The moment of reading: adapters whose stamps count from their own start."""


class ControllerState(Enum):
    """How a CAN controller stands with its bus (ISO 11898-1, fault confinement)."""

    ERROR_ACTIVE = "error_active"
    """It takes part; so is every bus without a controller."""
    ERROR_WARNING = "error_warning"
    """It takes part, and has counted 96 errors."""
    ERROR_PASSIVE = "error_passive"
    """It has counted 128 errors and may no longer object."""
    BUS_OFF = "bus_off"
    """It hears and says nothing until it is restarted."""


@dataclass(slots=True, kw_only=True)
class CanCounters:
    """What is counted of a bus, over all the times it was opened; its links add to it.

    Attributes:
        received: data frames handed on.
        lost: frames dropped because we read too late, by kernel or by our queue.
        error_frames: error frames seen.
        malformed: things received that are no data frame.
        errors: what error frames told of, by name.
        state: how the controller stands.
    """

    received: int = 0
    lost: int = 0
    error_frames: int = 0
    malformed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    state: ControllerState = ControllerState.ERROR_ACTIVE


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
        errors: what the error frames told of, by name (`shared.transport.can_errors`); one frame may tell of several things.
        controller: how the controller stands; error-active where nobody tells.
        receive_buffer_bytes: what the kernel granted of `RECEIVE_BUFFER_BYTES`; None where there is no such buffer.
    """

    is_up: bool
    received: int
    lost: int
    error_frames: int
    malformed: int
    interruptions: int
    last_fault: str | None
    errors: Mapping[str, int]
    controller: ControllerState
    receive_buffer_bytes: int | None

    @property
    def is_bus_off(self) -> bool:
        """Whether the controller has left the bus."""
        return self.controller is ControllerState.BUS_OFF


class BusListener(Protocol):
    """Wants to know when a bus comes and goes, such as a log."""

    def lost(self, reason: str) -> None:
        """The bus is down, cannot be opened, or its controller has left it."""
        ...

    def works(self) -> None:
        """The bus is open."""
        ...


class CanLink(Protocol):
    """One opened bus. Whatever raises `TransportError` in it, except `send`, ends it: close it and open another."""

    @property
    def receive_buffer_bytes(self) -> int | None:
        """What the kernel keeps for us while we do not read."""
        ...

    def fileno(self) -> int:
        """Return a descriptor an event loop can watch, or -1."""
        ...

    def take(self, limit: int) -> list[CanFrame]:
        """Take what has arrived, without waiting; `limit` is at most `MAX_DRAIN`. Raises `TransportError`."""
        ...

    def take_one(self, timeout_s: float) -> CanFrame | None:
        """Wait for one frame; for a thread, where there is no descriptor. Raises `TransportError`."""
        ...

    def look(self) -> None:
        """See whether the bus is still there, where it may vanish without a word. Raises `TransportError`."""
        ...

    def send(self, frame: CanFrame) -> None:
        """Put a frame on the bus. Raises `TransportError`; the link may be well nevertheless."""
        ...

    def count_losses(self) -> None:
        """Bring `CanCounters.lost` up to date."""
        ...

    def close(self) -> None:
        """Let go of the bus; never fails."""
        ...


def carried_over(stamp_ns: int, arrival: MonotonicNs, wall_ns: int) -> MonotonicNs:
    """Return a wall-clock stamp as monotonic time.

    Args:
        stamp_ns: when a frame came, by the wall clock.
        arrival: the present.
        wall_ns: the same by the wall clock; a stamp after it or older than `MAX_STAMP_AGE_NS` becomes the present.
    """
    age_ns = wall_ns - stamp_ns
    return MonotonicNs(arrival - age_ns) if 0 < age_ns <= MAX_STAMP_AGE_NS else arrival
