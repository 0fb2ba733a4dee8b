"""Checksums with a constant per message: each rule is known for the messages listed here and no others.

    vw_mqb           CRC-8H2F over all after the checksum, then over a byte chosen by message and counter (AUTOSAR E2E profile 2):
                     Volkswagen MQB, MEB
    rivian           CRC-8 J1850 from 0 over all after the checksum, exclusive or with a constant of the message
    fca_giorgio      CRC-8 J1850 from 0 over all before the checksum, exclusive or with a constant of the message
    psa              a constant of the message minus the nibbles of the data, modulo 16
    ford             0xFF minus bytes, quality flags and counter of the guarded signals
    hyundai_nibbles  minus the nibbles of the data, modulo 16

The constants are facts of the cars' networks, known from public decoders that such cars are driven with; they cannot be derived. No
rule here was checked by this project against a real car.
"""

from collections.abc import Mapping
from types import MappingProxyType

from vehicle_agent.signals.checksum_rule import AUTOSAR, J1850, ChecksumRule, crc8, nibble_sum

_VW_CONSTANT = {0x040: 0x40, 0x086: 0x86, 0x09F: 0xF5, 0x101: 0xAA, 0x106: 0x07, 0x116: 0xAC, 0x117: 0x16, 0x3C0: 0xC3}
"""Messages with one byte for every counter value."""

_VW_BY_COUNTER = {
    0x0AD: "3f6939dc94f91464d86a34cea255b52c",
    0x0FC: "775ca0894b7cbbd61f6c4ff6202b43dd",
    0x0FD: "b4eff8491ee5c2c097193cc9f198d661",
    0x102: "d712857e0b34fa167a252d8f048e5d35",
    0x10B: "775ca0894b7cbbd61f6c4ff6202b43dd",
    0x120: "c4e24fe4f82f56819fe58344053f97df",
    0x121: "e965ae6b7b35e55f4ec786a2bbddebb4",
    0x139: "ed031c13c623787a8b401451bf6832ba",
    0x14C: "163559159a2a97b80e4e30ccb30701ad",
    0x3BE: "1f28c685e6f8b0195b643521e4f79c24",
    0x3D5: "c539c7f992d824cef1b57ac4bc60e3d1",
}
"""Messages with a byte for each value of the counter in the low half of byte 1."""

_VW: Mapping[int, bytes] = MappingProxyType(
    {identifier: bytes((byte,)) * 16 for identifier, byte in _VW_CONSTANT.items()}
    | {identifier: bytes.fromhex(text) for identifier, text in _VW_BY_COUNTER.items()}
)
_RIVIAN: Mapping[int, int] = MappingProxyType({0x150: 0x9A, 0x208: 0xB1})
_GIORGIO: Mapping[int, int] = MappingProxyType({0x0DE: 0x10, 0x0EE: 0x0A, 0x0FA: 0x0A, 0x0FC: 0x0A, 0x106: 0xF6, 0x122: 0xF1})
_PSA: Mapping[int, int] = MappingProxyType({0x38D: 0x7, 0x42D: 0xC, 0x452: 0x4})
_FORD_YAW, _FORD_SPEED = 0x091, 0x415
_HYUNDAI_PEDAL, _HYUNDAI_BRAKE, _HYUNDAI_CRUISE = 0x260, 0x394, 0x421


def _vw_mqb(arbitration_id: int, data: bytes, _index: int) -> int:
    constant = _VW[arbitration_id][data[1] & 0xF]
    return crc8(AUTOSAR, data[1:] + bytes((constant,)), 0xFF) ^ 0xFF


def _rivian(arbitration_id: int, data: bytes, _index: int) -> int:
    return crc8(J1850, data[1:], 0) ^ _RIVIAN[arbitration_id]


def _giorgio(arbitration_id: int, data: bytes, _index: int) -> int:
    return crc8(J1850, data[:-1], 0) ^ _GIORGIO[arbitration_id]


def _psa(arbitration_id: int, data: bytes, _index: int) -> int:
    return (_PSA[arbitration_id] - nibble_sum(data)) & 0xF


def _ford(arbitration_id: int, data: bytes, _index: int) -> int:
    if arbitration_id == _FORD_SPEED:
        total = data[0] + data[1] + (data[2] >> 6) + (data[2] >> 2 & 0xF)
    else:
        total = sum(data[:4]) + data[5] + (data[6] >> 6) + (data[6] >> 4 & 3)
    return 0xFF - (total & 0xFF)


def _hyundai_nibbles(arbitration_id: int, data: bytes, _index: int) -> int:
    guarded = data[:7] if arbitration_id == _HYUNDAI_BRAKE else data
    return -nibble_sum(guarded) & 0xF


BY_IDENTIFIER = (
    ChecksumRule(name="vw_mqb", width_bits=8, compute=_vw_mqb, identifiers=frozenset(_VW)),
    ChecksumRule(name="rivian", width_bits=8, compute=_rivian, identifiers=frozenset(_RIVIAN)),
    ChecksumRule(name="fca_giorgio", width_bits=8, compute=_giorgio, identifiers=frozenset(_GIORGIO)),
    ChecksumRule(name="psa", width_bits=4, compute=_psa, identifiers=frozenset(_PSA)),
    ChecksumRule(name="ford", width_bits=8, compute=_ford, identifiers=frozenset({_FORD_YAW, _FORD_SPEED})),
    ChecksumRule(
        name="hyundai_nibbles",
        width_bits=4,
        compute=_hyundai_nibbles,
        identifiers=frozenset({_HYUNDAI_PEDAL, _HYUNDAI_BRAKE, _HYUNDAI_CRUISE}),
    ),
)
"""The rules of this module."""
