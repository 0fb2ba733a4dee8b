"""What a checksum rule is, and the sums and CRCs that several makers' rules are made of.

The rules themselves are in `vehicle_agent.signals.checksums` and, where a maker adds a constant per message,
`vehicle_agent.signals.checksums_by_identifier`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksumRule:
    """One way to compute a checksum.

    Attributes:
        name: what a signal map calls it.
        width_bits: how wide its field must be; 16 bits stand in two whole bytes, the lower one first.
        compute: from identifier, data with the checksum's bits zero, and the index of the (first) byte that holds the checksum.
        identifiers: the only messages the rule is known for; None where it holds for any.
        prepared: the short way for sums of bytes: from identifier, length and index to a function of the data as they came.
    """

    name: str
    width_bits: int
    compute: Callable[[int, bytes, int], int]
    identifiers: frozenset[int] | None = None
    prepared: Callable[[int, int, int], Callable[[bytes], int]] | None = None


def crc8_table(polynomial: int) -> bytes:
    """Return the CRC-8 of every byte, most significant bit first."""
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1) ^ polynomial if crc & 0x80 else crc << 1
        table.append(crc & 0xFF)
    return bytes(table)


J1850 = crc8_table(0x1D)
"""SAE J1850."""

AUTOSAR = crc8_table(0x2F)
"""AUTOSAR 8H2F."""


def crc8(table: bytes, data: bytes, start: int) -> int:
    """Return the CRC-8 of `data`, without a final exclusive or."""
    crc = start
    for byte in data:
        crc = table[crc ^ byte]
    return crc


def without(data: bytes, index: int) -> bytes:
    """Return `data` without the byte at `index`."""
    return data[:index] + data[index + 1 :]


_NIBBLE_SUMS = bytes((byte >> 4) + (byte & 0xF) for byte in range(256))


def nibble_sum(data: bytes) -> int:
    """Return the sum of the halves of all bytes."""
    return sum(data.translate(_NIBBLE_SUMS))


@lru_cache(maxsize=4_096)
def identifier_sum(arbitration_id: int) -> int:
    """Return the sum of an identifier's bytes."""
    return sum(arbitration_id.to_bytes(4, "big"))
