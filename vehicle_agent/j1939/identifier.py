"""The 29-bit identifier of SAE J1939-21: priority, parameter group, destination and source.

    28..26  priority, 0 the highest
    25..24  extended data page, data page
    23..16  PDU format (PF)
    15..8   PDU specific (PS): below PF 240 the destination (PDU1), from 240 on part of the group's number (PDU2)
    7..0    source address

Bits count from the right. How a unit comes by its address (SAE J1939-81) is not here.
"""

from dataclasses import dataclass

GLOBAL_ADDRESS = 255
"""Everybody."""

NULL_ADDRESS = 254
"""A source that has no address: may ask for addresses, nothing else."""

MAX_ADDRESS = 253
"""The largest address a unit can have."""

MAX_PGN = 0x3_FFFF
"""The largest parameter group number: 18 bits."""

_FIRST_PDU2 = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class J1939Identifier:
    """An identifier taken apart.

    Attributes:
        priority: 0 (highest) to 7.
        pgn: the parameter group number; its low octet is zero in PDU1.
        destination: who is meant, `GLOBAL_ADDRESS` for everybody (always so in PDU2).
        source: who sends.
    """

    priority: int
    pgn: int
    destination: int
    source: int

    @property
    def arbitration_id(self) -> int:
        """The 29 bits; raises ValueError where a part has no place in them."""
        if not 0 <= self.priority <= 7 or not 0 <= self.pgn <= MAX_PGN:
            raise ValueError(f"no priority {self.priority} or parameter group {self.pgn:#x} fits an identifier")
        if not 0 <= self.source <= GLOBAL_ADDRESS or not 0 <= self.destination <= GLOBAL_ADDRESS:
            raise ValueError(f"an address is 0..{GLOBAL_ADDRESS}, not {self.source} or {self.destination}")
        if not is_addressed(self.pgn):
            if self.destination != GLOBAL_ADDRESS:
                raise ValueError(f"parameter group {self.pgn} goes to everybody, not to {self.destination}")
            return self.priority << 26 | self.pgn << 8 | self.source
        if self.pgn & 0xFF:
            raise ValueError(f"parameter group {self.pgn:#x} has a destination in its low octet")
        return self.priority << 26 | self.pgn << 8 | self.destination << 8 | self.source


def is_addressed(pgn: int) -> bool:
    """Return whether a group goes to one address (PDU1) rather than to everybody (PDU2)."""
    return pgn >> 8 & 0xFF < _FIRST_PDU2


def pgn_of(arbitration_id: int) -> int:
    """Return the parameter group number in an identifier of 29 bits."""
    group = arbitration_id >> 8 & MAX_PGN
    return group & 0x3_FF00 if is_addressed(group) else group


def parse_identifier(arbitration_id: int) -> J1939Identifier:
    """Take an identifier of 29 bits apart."""
    pgn = pgn_of(arbitration_id)
    return J1939Identifier(
        priority=arbitration_id >> 26 & 7,
        pgn=pgn,
        destination=arbitration_id >> 8 & 0xFF if is_addressed(pgn) else GLOBAL_ADDRESS,
        source=arbitration_id & 0xFF,
    )


def pgn_mask(pgn: int) -> int:
    """Return the bits of an identifier that say the group, whoever sends it to whom with whatever priority."""
    return 0x3FF_0000 if is_addressed(pgn) else 0x3FF_FF00
