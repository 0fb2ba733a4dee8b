from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vehicle_agent.checksums import CHECKSUMS, crc8_autosar, crc8_j1850


@pytest.mark.parametrize(
    ("compute", "check", "empty"),
    [(crc8_j1850, 0x4B, 0x00), (crc8_autosar, 0xDF, 0x00)],
    ids=["SAE-J1850", "AUTOSAR-8H2F"],
)
def test_crc8_gives_the_check_value_of_the_catalogue(compute: object, check: int, empty: int) -> None:
    assert callable(compute)
    assert compute(b"123456789") == check
    assert compute(b"") == empty


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("00000000", 0x59),
        ("f20183", 0x37),
        ("0faa0055", 0x79),
        ("00ff5511", 0xB8),
        ("332255aabbccddeeff", 0xCB),
        ("926b55", 0x8C),
        ("ffffffff", 0x74),
    ],
)
def test_crc8_j1850_gives_the_values_of_the_autosar_crc_library(data: str, expected: int) -> None:
    assert crc8_j1850(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("00000000", 0x12),
        ("f20183", 0xC2),
        ("0faa0055", 0xC6),
        ("00ff5511", 0x77),
        ("332255aabbccddeeff", 0x11),
        ("926b55", 0x33),
        ("ffffffff", 0x6C),
    ],
)
def test_crc8_autosar_gives_the_values_of_the_autosar_crc_library(data: str, expected: int) -> None:
    assert crc8_autosar(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("arbitration_id", "frame"),
    [(0x0B4, "000000001d0b7a5e"), (0x025, "00001000c00000fd"), (0x260, "08fffb0000001884"), (0x2C1, "0014df14bbca3a91")],
)
def test_the_toyota_sum_is_that_of_frames_a_real_car_sent(arbitration_id: int, frame: str) -> None:
    data = bytes.fromhex(frame)
    assert CHECKSUMS["toyota"].compute(arbitration_id, data[:-1] + b"\0", len(data) - 1) == data[-1]


class TestAgainstOpendbc:
    @given(arbitration_id=st.integers(0, 0x1FFFFFFF), data=st.binary(min_size=1, max_size=8))
    def test_toyota(self, arbitration_id: int, data: bytes) -> None:
        toyotacan = pytest.importorskip("opendbc.car.toyota.toyotacan", exc_type=ImportError)
        bare = data[:-1] + b"\0"
        theirs = toyotacan.toyota_checksum(arbitration_id, None, bytearray(data))
        assert CHECKSUMS["toyota"].compute(arbitration_id, bare, len(data) - 1) == theirs

    @given(arbitration_id=st.integers(0, 0x1FFFFFFF), data=st.binary(min_size=1, max_size=8))
    def test_honda(self, arbitration_id: int, data: bytes) -> None:
        hondacan = pytest.importorskip("opendbc.car.honda.hondacan", exc_type=ImportError)
        bare = data[:-1] + bytes((data[-1] & 0xF0,))
        theirs = hondacan.honda_checksum(arbitration_id, None, bytearray(data))
        assert CHECKSUMS["honda"].compute(arbitration_id, bare, len(data) - 1) == theirs

    @given(data=st.binary(min_size=1, max_size=8), index=st.integers(0, 7))
    def test_xor(self, data: bytes, index: int) -> None:
        mqbcan = pytest.importorskip("opendbc.car.volkswagen.mqbcan", exc_type=ImportError)
        at = index % len(data)
        bare = data[:at] + b"\0" + data[at + 1 :]
        theirs = mqbcan.xor_checksum(0, SimpleNamespace(start_bit=8 * at), bytearray(data))
        assert CHECKSUMS["xor"].compute(0, bare, at) == theirs


@given(rule=st.sampled_from(sorted(CHECKSUMS)), data=st.binary(min_size=2, max_size=8), bit=st.integers(0, 63))
def test_every_rule_notices_one_flipped_bit(rule: str, data: bytes, bit: int) -> None:
    body = data[:-1]
    flipped = int.from_bytes(body, "little") ^ 1 << bit % (8 * len(body))
    changed = flipped.to_bytes(len(body), "little") + b"\0"
    compute = CHECKSUMS[rule].compute
    assert compute(0x123, changed, len(body)) != compute(0x123, body + b"\0", len(body))


def test_the_sum_of_bytes_wraps_at_256() -> None:
    assert CHECKSUMS["sum8"].compute(0x7FF, bytes((0xFF, 0x02, 0x00)), 2) == 0x01
