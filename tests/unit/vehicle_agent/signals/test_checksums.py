from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vehicle_agent.signals.checksums import CHECKSUMS, crc8_autosar, crc8_j1850


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

    @given(data=st.binary(min_size=8, max_size=8), counter=st.integers(0, 15))
    def test_vw_mqb(self, data: bytes, counter: int) -> None:
        mqbcan = pytest.importorskip("opendbc.car.volkswagen.mqbcan", exc_type=ImportError)
        counted = bytes((0, (data[1] & 0xF0) | counter)) + data[2:]
        for identifier in CHECKSUMS["vw_mqb"].identifiers or ():
            theirs = mqbcan.volkswagen_mqb_meb_checksum(identifier, None, bytearray(counted))
            assert CHECKSUMS["vw_mqb"].compute(identifier, counted, 0) == theirs

    @given(arbitration_id=st.integers(0, 0x7FF), data=st.binary(min_size=8, max_size=8))
    def test_the_sum_with_the_identifier_is_that_of_subaru_and_tesla(self, arbitration_id: int, data: bytes) -> None:
        subarucan = pytest.importorskip("opendbc.car.subaru.subarucan", exc_type=ImportError)
        teslacan = pytest.importorskip("opendbc.car.tesla.teslacan", exc_type=ImportError)
        ours = CHECKSUMS["sum8_identifier"].compute(arbitration_id, b"\0" + data[1:], 0)
        assert ours == subarucan.subaru_checksum(arbitration_id, None, bytearray(data))
        assert ours == teslacan.tesla_checksum(arbitration_id, SimpleNamespace(start_bit=0), bytearray(data))

    @given(data=st.binary(min_size=2, max_size=8))
    def test_chrysler_and_nissan_use_j1850_and_hyundai_another_start(self, data: bytes) -> None:
        chryslercan = pytest.importorskip("opendbc.car.chrysler.chryslercan", exc_type=ImportError)
        nissancan = pytest.importorskip("opendbc.car.nissan.nissancan", exc_type=ImportError)
        hyundaican = pytest.importorskip("opendbc.car.hyundai.hyundaican", exc_type=ImportError)
        last, bare = len(data) - 1, data[:-1] + b"\0"
        assert CHECKSUMS["crc8_j1850"].compute(0x123, bare, last) == chryslercan.chrysler_checksum(0x123, None, bytearray(data))
        assert CHECKSUMS["crc8_j1850"].compute(0x123, bare, last) == nissancan.nissan_checksum(data[:-1])
        assert CHECKSUMS["crc8_hyundai"].compute(0x123, bare, last) == hyundaican.hyundai_checksum(data[:-1])

    @given(arbitration_id=st.integers(0, 0x7FF), data=st.binary(min_size=6, max_size=30), length=st.sampled_from((8, 16, 24, 32)))
    def test_hyundai_canfd(self, arbitration_id: int, data: bytes, length: int) -> None:
        hyundaicanfd = pytest.importorskip("opendbc.car.hyundai.hyundaicanfd", exc_type=ImportError)
        frame = (b"\0\0" + data).ljust(length, b"\x5a")[:length]
        theirs = hyundaicanfd.hkg_can_fd_checksum(arbitration_id, None, bytearray(frame))
        assert CHECKSUMS["hyundai_canfd"].compute(arbitration_id, frame, 0) == theirs

    @given(data=st.binary(min_size=8, max_size=8))
    def test_psa_and_fca_giorgio(self, data: bytes) -> None:
        psacan = pytest.importorskip("opendbc.car.psa.psacan", exc_type=ImportError)
        chryslercan = pytest.importorskip("opendbc.car.chrysler.chryslercan", exc_type=ImportError)
        for identifier in CHECKSUMS["psa"].identifiers or ():
            theirs = psacan.psa_checksum(identifier, SimpleNamespace(start_bit=59), bytearray(data))
            assert CHECKSUMS["psa"].compute(identifier, data[:-1] + bytes((data[-1] & 0xF0,)), 7) == theirs
        for identifier in CHECKSUMS["fca_giorgio"].identifiers or ():
            theirs = chryslercan.fca_giorgio_checksum(identifier, None, bytearray(data))
            assert CHECKSUMS["fca_giorgio"].compute(identifier, data[:-1] + b"\0", 7) == theirs

    @given(data=st.binary(min_size=7, max_size=8))
    def test_rivian(self, data: bytes) -> None:
        riviancan = pytest.importorskip("opendbc.car.rivian.riviancan", exc_type=ImportError)
        for identifier, constant in ((0x150, 0x9A), (0x208, 0xB1)):
            theirs = riviancan.checksum(data[1:], 0x1D, constant)
            assert CHECKSUMS["rivian"].compute(identifier, b"\0" + data[1:], 0) == theirs

    @given(data=st.binary(min_size=1, max_size=8), index=st.integers(0, 7))
    def test_xor(self, data: bytes, index: int) -> None:
        mqbcan = pytest.importorskip("opendbc.car.volkswagen.mqbcan", exc_type=ImportError)
        at = index % len(data)
        bare = data[:at] + b"\0" + data[at + 1 :]
        theirs = mqbcan.xor_checksum(0, SimpleNamespace(start_bit=8 * at), bytearray(data))
        assert CHECKSUMS["xor"].compute(0, bare, at) == theirs


FIRST = {"vw_mqb", "rivian", "hyundai_canfd", "sum8_identifier"}
"""Rules whose checksum stands in front; the others' stands last."""

UNGUARDED = {"ford": (0x415, range(18)), "hyundai_nibbles": (0x394, range(56))}
"""Rules that guard only some bits of a message."""


@given(rule=st.sampled_from(sorted(CHECKSUMS)), data=st.binary(min_size=8, max_size=8), bit=st.integers(0, 63))
def test_every_rule_notices_one_flipped_bit(rule: str, data: bytes, bit: int) -> None:
    identifier = min(CHECKSUMS[rule].identifiers or {0x123})
    octets = (CHECKSUMS[rule].width_bits + 7) // 8
    index, guarded = (0, range(8 * octets, 64)) if rule in FIRST else (7, range(56))
    if rule in UNGUARDED:
        identifier, guarded = UNGUARDED[rule]
    at = guarded[bit % len(guarded)]
    bare = data[:index] + bytes(octets) + data[index + octets :]
    changed = bytearray(bare)
    changed[at // 8] ^= 1 << (at % 8 if rule != "ford" or at < 16 else at % 8 + 6)
    compute = CHECKSUMS[rule].compute
    assert compute(identifier, bytes(changed), index) != compute(identifier, bare, index)


@given(
    rule=st.sampled_from(sorted(name for name, rule in CHECKSUMS.items() if rule.prepared is not None)),
    identifier=st.integers(0, 0x1FFF_FFFF),
    data=st.binary(min_size=1, max_size=64),
    at=st.integers(0, 63),
)
def test_the_short_way_of_a_rule_comes_to_the_same(rule: str, identifier: int, data: bytes, at: int) -> None:
    index = at % len(data)
    bare = data[:index] + b"\0" + data[index + 1 :]
    prepared = CHECKSUMS[rule].prepared
    assert prepared is not None
    assert prepared(identifier, len(data), index)(data) == CHECKSUMS[rule].compute(identifier, bare, index)


@pytest.mark.parametrize(
    ("identifier", "data", "expected"),
    [
        (0x415, "1234d40000000000", 0xFF - (0x12 + 0x34 + 3 + 5)),  # speed 0x1234, quality 3, counter 5
        (0x415, "ffff000000000000", 0xFF - (0xFF + 0xFF & 0xFF)),
        (0x091, "0102030400065000", 0xFF - (1 + 2 + 3 + 4 + 6 + 1 + 1)),  # counter 6, both qualities 1
    ],
)
def test_the_sum_of_ford_is_that_of_the_guarded_signals(identifier: int, data: str, expected: int) -> None:
    assert CHECKSUMS["ford"].compute(identifier, bytes.fromhex(data), 3) == expected


@pytest.mark.parametrize(
    ("identifier", "data", "expected"),
    [
        (0x260, "0000000000000010", 0xF),
        (0x421, "123456789abcdef0", -(sum(range(1, 16))) & 0xF),
        (0x394, "00000000000010ff", 0xF),  # the last byte is not guarded
        (0x394, "0000000000000000", 0x0),
    ],
)
def test_the_nibbles_of_hyundai_add_up_to_a_multiple_of_sixteen(identifier: int, data: str, expected: int) -> None:
    assert CHECKSUMS["hyundai_nibbles"].compute(identifier, bytes.fromhex(data), 7) == expected


def test_the_sum_of_bytes_wraps_at_256() -> None:
    assert CHECKSUMS["sum8"].compute(0x7FF, bytes((0xFF, 0x02, 0x00)), 2) == 0x01
