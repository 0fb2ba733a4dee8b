"""A CAN data frame and an identifier to let through: values that every bus, log and decoder shares.

Remote and error frames are not data frames and have no place here; the readers of buses and logs count them.
"""

from dataclasses import dataclass

from shared.core.clock import MonotonicNs

MAX_STANDARD_ID = 0x7FF
"""The largest identifier of 11 bits."""

MAX_EXTENDED_ID = 0x1FFF_FFFF
"""The largest identifier of 29 bits."""

_FD_LENGTHS = frozenset((0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64))


@dataclass(frozen=True, slots=True)
class CanFrame:
    """One data frame, classic or FD.

    Attributes:
        arbitration_id: 11 bits, or 29 where `is_extended`.
        is_extended: whether the identifier has 29 bits.
        data: 0..8 bytes; more only as CAN FD allows (12, 16, 20, 24, 32, 48, 64).
        channel: the bus it was seen on.
        received: when the bus carried it.
    """

    arbitration_id: int
    is_extended: bool
    data: bytes
    channel: str
    received: MonotonicNs

    def __post_init__(self) -> None:
        limit = MAX_EXTENDED_ID if self.is_extended else MAX_STANDARD_ID
        if not 0 <= self.arbitration_id <= limit:
            raise ValueError(f"no such CAN identifier: {self.arbitration_id:#x}")
        if len(self.data) not in _FD_LENGTHS:
            raise ValueError(f"no CAN frame carries {len(self.data)} bytes")


@dataclass(frozen=True, slots=True)
class CanFilter:
    """An identifier to let through.

    Attributes:
        arbitration_id: 11 bits, or 29 where `is_extended`.
        is_extended: whether the identifier has 29 bits.
        mask: the bits in which a frame's identifier must agree with this one (J1939: those of the parameter group); None for all.
    """

    arbitration_id: int
    is_extended: bool
    mask: int | None = None
