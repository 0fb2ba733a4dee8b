"""Checksums that car makers put into frames, by name.

A rule computes what the checksum must be from the identifier and the data in which the checksum's own bits are zero. Rules
that need a secret (SecOC) are not here; those with a constant per message are in `vehicle_agent.signals.checksums_by_identifier`.

    toyota           length + identifier bytes + data, modulo 256
    sum8_identifier  identifier bytes + data, modulo 256: Subaru, Tesla
    sum8             data modulo 256
    xor              exclusive or of the data: Volkswagen PQ
    honda            nibbles of identifier and data; 8 (11 with a 29-bit identifier) minus their sum, modulo 16
    crc8_j1850       CRC-8, polynomial 0x1D, start 0xFF, final XOR 0xFF, without the checksum byte (AUTOSAR E2E profile 1 style):
                     Chrysler, Nissan
    crc8_hyundai     the same polynomial, start 0x22, final XOR 0xDF: Hyundai and Kia
    crc8_autosar     CRC-8, polynomial 0x2F, start 0xFF, final XOR 0xFF, without the checksum byte
    hyundai_canfd    CRC-16, polynomial 0x1021, start 0, over the data after it and the identifier, low byte first, exclusive
                     or with a constant of the length
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vehicle_agent.signals.checksum_rule import AUTOSAR, J1850, ChecksumRule, crc8, identifier_sum, nibble_sum, without
from vehicle_agent.signals.checksums_by_identifier import BY_IDENTIFIER

__all__ = ["CHECKSUMS", "ChecksumRule", "crc8_autosar", "crc8_j1850"]

_CRC16_POLYNOMIAL = 0x1021
_CANFD_CONSTANTS = {8: 0x5F29, 16: 0x041D, 24: 0x819D, 32: 0x9F5B}
"""Final exclusive or by the length of the frame; others have none."""


def crc8_j1850(data: bytes) -> int:
    """CRC-8 of SAE J1850 over `data`."""
    return crc8(J1850, data, 0xFF) ^ 0xFF


def crc8_autosar(data: bytes) -> int:
    """CRC-8 with polynomial 0x2F (AUTOSAR `Crc_CalculateCRC8H2F`) over `data`."""
    return crc8(AUTOSAR, data, 0xFF) ^ 0xFF


def _crc16_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ _CRC16_POLYNOMIAL if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC16 = _crc16_table()


def _toyota(arbitration_id: int, data: bytes, _index: int) -> int:
    return (len(data) + identifier_sum(arbitration_id) + sum(data)) & 0xFF


def _sum_without(constant: int, index: int) -> Callable[[bytes], int]:
    """Return a function to a constant plus all bytes but one, modulo 256."""

    def compute(data: bytes) -> int:
        return (constant + sum(data) - data[index]) & 0xFF

    return compute


def _prepared_toyota(arbitration_id: int, length: int, index: int) -> Callable[[bytes], int]:
    return _sum_without(length + identifier_sum(arbitration_id), index)


def _prepared_sum8_identifier(arbitration_id: int, _length: int, index: int) -> Callable[[bytes], int]:
    return _sum_without(identifier_sum(arbitration_id), index)


def _prepared_sum8(_arbitration_id: int, _length: int, index: int) -> Callable[[bytes], int]:
    return _sum_without(0, index)


def _sum8_identifier(arbitration_id: int, data: bytes, _index: int) -> int:
    return (identifier_sum(arbitration_id) + sum(data)) & 0xFF


def _honda(arbitration_id: int, data: bytes, _index: int) -> int:
    total = nibble_sum(arbitration_id.to_bytes(4, "big")) + nibble_sum(data)
    return ((11 if arbitration_id > 0x7FF else 8) - total) & 0xF


def _j1850_without(_arbitration_id: int, data: bytes, index: int) -> int:
    return crc8_j1850(without(data, index))


def _hyundai_without(_arbitration_id: int, data: bytes, index: int) -> int:
    return crc8(J1850, without(data, index), 0x22) ^ 0xDF


def _autosar_without(_arbitration_id: int, data: bytes, index: int) -> int:
    return crc8_autosar(without(data, index))


def _xor(_arbitration_id: int, data: bytes, _index: int) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


def _sum8(_arbitration_id: int, data: bytes, _index: int) -> int:
    return sum(data) & 0xFF


def _hyundai_canfd(arbitration_id: int, data: bytes, index: int) -> int:
    crc = 0
    for byte in data[index + 2 :] + arbitration_id.to_bytes(4, "little")[:2]:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc ^ _CANFD_CONSTANTS.get(len(data), 0)


CHECKSUMS: Mapping[str, ChecksumRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            ChecksumRule(name="toyota", width_bits=8, compute=_toyota, prepared=_prepared_toyota),
            ChecksumRule(name="honda", width_bits=4, compute=_honda),
            ChecksumRule(name="crc8_j1850", width_bits=8, compute=_j1850_without),
            ChecksumRule(name="crc8_hyundai", width_bits=8, compute=_hyundai_without),
            ChecksumRule(name="crc8_autosar", width_bits=8, compute=_autosar_without),
            ChecksumRule(name="xor", width_bits=8, compute=_xor),
            ChecksumRule(name="sum8", width_bits=8, compute=_sum8, prepared=_prepared_sum8),
            ChecksumRule(name="sum8_identifier", width_bits=8, compute=_sum8_identifier, prepared=_prepared_sum8_identifier),
            ChecksumRule(name="hyundai_canfd", width_bits=16, compute=_hyundai_canfd),
            *BY_IDENTIFIER,
        )
    }
)
"""Every rule a signal map may name."""
