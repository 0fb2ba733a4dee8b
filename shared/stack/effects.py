"""What an agent asks its shell to do: effects are values, returned in order, never callbacks.

The shell of a program, the log replay and the simulator all carry out the same effects. An effect is complete in itself: whoever
carries it out needs to ask the agent nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send one GeoNetworking packet.

    Attributes:
        packet: everything after the Ethernet header, from the Basic Header on.
        links: names of the radios it goes to; None for all of them.
    """

    packet: bytes
    links: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell the driver, the operator or a log one thing; it becomes one JSON line.

    Attributes:
        kind: a stable lower-case word: `hazard_ahead`, `signal_ahead`, `odometer_recorded` ...
        fields: JSON values with units in their names.
    """

    kind: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Keep what somebody said who must not have said it.

    Attributes:
        kind: a stable lower-case word: `not_logged` ...
        subject: whom it is about, as hex digits.
        sentence: what is wrong, for a person.
        documents: the octets that prove it, by name.
    """

    kind: str
    subject: str
    sentence: str
    documents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class DriverView:
    """Show the driver the whole picture: it replaces what was shown before.

    Attributes:
        fields: JSON values as `docs/driver-view.md` says, units in their names.
    """

    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCan:
    """Put one frame on a bus of the vehicle: a request to its control units.

    Attributes:
        bus: the vehicle's name for the bus (`can0`).
        arbitration_id: 11 bits, or 29 where `is_extended`.
        is_extended: whether the identifier has 29 bits.
        data: 0..8 octets, or what CAN FD allows.
    """

    bus: str
    arbitration_id: int
    is_extended: bool
    data: bytes


Effect = Transmit | Notice | Evidence | DriverView | SendCan
