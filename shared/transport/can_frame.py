"""A CAN data frame and an identifier to let through: values that every bus, log and decoder shares.

Remote and error frames are not data frames and have no place here; the readers of buses and logs count them.
"""

from dataclasses import dataclass

import msgspec

from shared.core.clock import MonotonicNs

MAX_STANDARD_ID = 0x7FF
"""The largest identifier of 11 bits."""

MAX_EXTENDED_ID = 0x1FFF_FFFF
"""The largest identifier of 29 bits."""

FD_LENGTHS = frozenset((0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64))
"""How many bytes a frame may carry; more than 8 with CAN FD alone."""


class CanFrame(msgspec.Struct, frozen=True, gc=False):
    """One data frame, classic or FD. Nothing is checked: a bus makes thousands a second, and its driver has done so.

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


def checked_frame(arbitration_id: int, is_extended: bool, data: bytes, channel: str, received: MonotonicNs) -> CanFrame:  # noqa: FBT001
    """Return the frame of what a file or a network says; raises ValueError for what no bus carries."""
    limit = MAX_EXTENDED_ID if is_extended else MAX_STANDARD_ID
    if not 0 <= arbitration_id <= limit:
        raise ValueError(f"no such CAN identifier: {arbitration_id:#x}")
    if len(data) not in FD_LENGTHS:
        raise ValueError(f"no CAN frame carries {len(data)} bytes")
    return CanFrame(arbitration_id, is_extended, data, channel, received)


@dataclass(frozen=True, slots=True)
class CanFilter:
    """Identifiers to let through: one, or with a mask all that agree with it.

    Attributes:
        arbitration_id: 11 bits, or 29 where `is_extended`.
        is_extended: whether the identifier has 29 bits; one of the other length never passes.
        mask: the bits that must agree; all of them unless said. A J1939 group is a mask without priority and source.
    """

    arbitration_id: int
    is_extended: bool
    mask: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.arbitration_id <= self._limit:
            raise ValueError(f"no such CAN identifier: {self.arbitration_id:#x}")
        if self.mask is not None and not 0 <= self.mask <= self._limit:
            raise ValueError(f"no such mask of a CAN identifier: {self.mask:#x}")

    @property
    def bits(self) -> int:
        """The bits that must agree."""
        return self._limit if self.mask is None else self.mask

    @property
    def _limit(self) -> int:
        return MAX_EXTENDED_ID if self.is_extended else MAX_STANDARD_ID

    def admits(self, arbitration_id: int, *, is_extended: bool) -> bool:
        """Return whether an identifier passes."""
        return is_extended is self.is_extended and not (arbitration_id ^ self.arbitration_id) & self.bits
