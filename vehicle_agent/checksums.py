"""Checksums and running counters that car makers put into frames, by name.

A rule computes what the checksum must be from the identifier and the data in which the checksum's own bits are zero. Rules
that need a secret or a table per identifier (SecOC, VW MQB) are not here.

    toyota           length + identifier bytes + data, modulo 256
    honda            nibbles of identifier and data; 8 (11 with a 29-bit identifier) minus their sum, modulo 16
    crc8_j1850       CRC-8, polynomial 0x1D, start 0xFF, final XOR 0xFF, without the checksum byte (AUTOSAR E2E profile 1 style)
    crc8_autosar     CRC-8, polynomial 0x2F, start 0xFF, final XOR 0xFF, without the checksum byte
    xor              exclusive or of the data
    sum8             data modulo 256
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksumRule:
    """One way to compute a checksum.

    Attributes:
        name: what a signal map calls it.
        width_bits: how wide its field must be.
        compute: from identifier, data with the checksum's bits zero, and the index of the byte that holds the checksum.
    """

    name: str
    width_bits: int
    compute: Callable[[int, bytes, int], int]


def _crc8_table(polynomial: int) -> bytes:
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1) ^ polynomial if crc & 0x80 else crc << 1
        table.append(crc & 0xFF)
    return bytes(table)


_J1850 = _crc8_table(0x1D)
_AUTOSAR = _crc8_table(0x2F)


def _crc8(table: bytes, data: bytes) -> int:
    crc = 0xFF
    for byte in data:
        crc = table[crc ^ byte]
    return crc ^ 0xFF


def crc8_j1850(data: bytes) -> int:
    """CRC-8 of SAE J1850 over `data`."""
    return _crc8(_J1850, data)


def crc8_autosar(data: bytes) -> int:
    """CRC-8 with polynomial 0x2F (AUTOSAR `Crc_CalculateCRC8H2F`) over `data`."""
    return _crc8(_AUTOSAR, data)


def _toyota(arbitration_id: int, data: bytes, _index: int) -> int:
    identifier = sum(arbitration_id.to_bytes(4, "big"))
    return (len(data) + identifier + sum(data)) & 0xFF


def _honda(arbitration_id: int, data: bytes, _index: int) -> int:
    total = 0
    rest = arbitration_id
    while rest:
        total += rest & 0xF
        rest >>= 4
    total += sum((byte >> 4) + (byte & 0xF) for byte in data)
    return ((11 if arbitration_id > 0x7FF else 8) - total) & 0xF


def _j1850_without(_arbitration_id: int, data: bytes, index: int) -> int:
    return _crc8(_J1850, data[:index] + data[index + 1 :])


def _autosar_without(_arbitration_id: int, data: bytes, index: int) -> int:
    return _crc8(_AUTOSAR, data[:index] + data[index + 1 :])


def _xor(_arbitration_id: int, data: bytes, _index: int) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


def _sum8(_arbitration_id: int, data: bytes, _index: int) -> int:
    return sum(data) & 0xFF


CHECKSUMS: Mapping[str, ChecksumRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            ChecksumRule(name="toyota", width_bits=8, compute=_toyota),
            ChecksumRule(name="honda", width_bits=4, compute=_honda),
            ChecksumRule(name="crc8_j1850", width_bits=8, compute=_j1850_without),
            ChecksumRule(name="crc8_autosar", width_bits=8, compute=_autosar_without),
            ChecksumRule(name="xor", width_bits=8, compute=_xor),
            ChecksumRule(name="sum8", width_bits=8, compute=_sum8),
        )
    }
)
"""Every rule a signal map may name."""
