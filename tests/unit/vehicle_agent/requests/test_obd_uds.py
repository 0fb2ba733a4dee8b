"""Answers of OBD-II and UDS: what their octets say, what is "not available", and what is refused."""

from collections.abc import Callable
from random import Random

import pytest

from shared.core.errors import DecodeError, EncodeError
from vehicle_agent.requests import read_request
from vehicle_agent.requests.obd import (
    ENGINE_ODOMETER,
    ENGINE_SPEED,
    ODOMETER,
    SINCE_CLEARED,
    SINCE_START,
    VEHICLE_SPEED,
    calibration_ids,
    calibration_numbers,
    current_values,
    info_supported,
    text_of,
    unit_name,
    vin,
    vin_of,
)
from vehicle_agent.requests.read_request import CurrentData, DataByIdentifier, VehicleInformation
from vehicle_agent.requests.uds import NEGATIVE_RESPONSES, NegativeResponse, data_record, negative_response

VIN = "WVWZZZ1KZAW000123"


def _values(octets: str) -> dict[int, float | None]:
    return {value.pid: value.number for value in current_values(bytes.fromhex(octets))}


def test_values_have_the_units_the_standard_gives_them() -> None:
    assert _values("410d64") == {VEHICLE_SPEED: pytest.approx(100 / 3.6)}
    assert _values("410c1af8") == {ENGINE_SPEED: 1_726.0}
    assert _values("411f0102") == {SINCE_START: 258.0}
    assert _values("41310203") == {SINCE_CLEARED: 515_000.0}
    assert _values("41a600025a3c") == {ODOMETER: 15_417_200.0}
    assert _values("41d300025a3c") == {ENGINE_ODOMETER: 15_417_200.0}


def test_a_count_at_its_largest_is_not_available_and_zero_is_zero() -> None:
    assert _values("410dff") == {VEHICLE_SPEED: None}
    assert _values("4131ffff") == {SINCE_CLEARED: None}
    assert _values("41a6ffffffff") == {ODOMETER: None}
    assert _values("410d00") == {VEHICLE_SPEED: 0.0}
    assert _values("41a600000000") == {ODOMETER: 0.0}


def test_several_values_in_one_answer_are_all_read_up_to_one_of_unknown_length() -> None:
    assert list(_values("410d320c0fa0056e")) == [VEHICLE_SPEED, ENGINE_SPEED, 0x05]
    assert list(_values("410d32ee0102")) == [VEHICLE_SPEED]


def test_which_values_a_unit_knows_it_says_bit_by_bit() -> None:
    (value,) = current_values(bytes.fromhex("4100be1fa813"))
    assert value.supported == {1, 3, 4, 5, 6, 7, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x13, 0x15, 0x1C, 0x1F, 0x20}
    (value,) = current_values(bytes.fromhex("41a004000000"))
    assert value.supported == {ODOMETER}
    (value,) = current_values(bytes.fromhex("410d64"))
    assert value.supported == frozenset()
    assert info_supported(bytes.fromhex("490054400000")) == {2, 4, 6, 0x0A}


@pytest.mark.parametrize("octets", ["", "41", "410d", "420d64", "7f0112", "41a6000000", "410c01"])
def test_an_answer_of_another_kind_or_cut_short_is_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        _values(octets)


def test_a_vehicle_is_known_by_its_number_without_the_padding_around_it() -> None:
    assert vin(b"\x49\x02\x01" + VIN.encode()) == VIN
    assert vin_of(b"\x00\x00\x00" + VIN.encode()) == VIN
    assert vin_of(VIN.lower().encode() + b"\xff\xff") == VIN
    assert vin_of(b"UU1ZZZ1KZAW000123") == "UU1ZZZ1KZAW000123"


@pytest.mark.parametrize("octets", [b"\x00" * 17, b"\xff" * 17, b"0" * 17, b" " * 17, b""])
def test_an_empty_number_is_none(octets: bytes) -> None:
    assert vin_of(octets) is None


@pytest.mark.parametrize(
    "octets", [b"WVWZZZ1KZAW00012", b"WVWZZZ1KZAW0001234", b"WVWZZZ1KZAI000123", b"WVW ZZ1KZAW000123", b"\x80" * 17]
)
def test_what_cannot_be_a_number_of_a_vehicle_is_refused(octets: bytes) -> None:
    with pytest.raises(DecodeError, match="vin"):
        vin_of(octets)


def test_calibrations_and_the_name_of_a_unit_are_read() -> None:
    ids = b"\x49\x04\x02" + b"37805-RBB-A530".ljust(16, b"\x00") + b"JMB*36761500".ljust(16, b"\x00")
    assert calibration_ids(ids) == ("37805-RBB-A530", "JMB*36761500")
    assert calibration_numbers(bytes.fromhex("490602" + "1791bc82" + "16e062be")) == ("1791bc82", "16e062be")
    assert unit_name(b"\x49\x0a\x01" + b"ECM\x00-EngineControl\x00\x00") == "ECM -EngineControl"


@pytest.mark.parametrize("read", [vin, calibration_ids, calibration_numbers, unit_name, info_supported])
@pytest.mark.parametrize(
    "octets", ["", "49", "4902", "490200", "4902ff" + "31" * 17, "4904", "490411" + "31" * 16, "4906021111", "490a01", "7f0912"]
)
def test_information_that_announces_more_than_it_holds_is_refused(read: Callable[[bytes], object], octets: str) -> None:
    with pytest.raises(DecodeError):
        read(bytes.fromhex(octets))


def test_text_is_kept_as_text_and_anything_else_as_digits() -> None:
    assert text_of(b"\x00 5G1 920  740 A \xff") == "5G1 920 740 A"
    assert text_of(b"\x01\x02\x90") == "010290"
    assert text_of(b"\xff\xff\x00  ") is None


def test_positive_and_negative_responses_are_told_apart() -> None:
    assert data_record(bytes.fromhex("62f18c41")).octets == b"A"
    assert negative_response(bytes.fromhex("62f18c41")) is None
    assert negative_response(bytes.fromhex("7f2278")) == NegativeResponse(0x22, 0x78)
    assert NegativeResponse(0x22, 0x78).words == "response_pending"
    assert NegativeResponse(0x22, 0x31).words == "request_out_of_range"
    assert NegativeResponse(0x22, 0xAB).words == "code_ab"
    for octets in ("62f18c", "", "6e0102"):
        with pytest.raises(DecodeError):
            data_record(bytes.fromhex(octets))
    with pytest.raises(DecodeError):
        negative_response(b"\x7f\x22")
    assert len(set(NEGATIVE_RESPONSES.values())) == len(NEGATIVE_RESPONSES)


def test_nothing_can_be_asked_but_for_reading() -> None:
    kinds = read_request.ReadRequest.__args__
    assert {kind.SERVICE for kind in kinds} == {0x01, 0x09, 0x22}
    assert CurrentData(0xA6).octets == b"\x01\xa6"
    assert VehicleInformation(0x02).octets == b"\x09\x02"
    assert DataByIdentifier(0xF190).octets == b"\x22\xf1\x90"
    for kind, value in ((CurrentData, 0x100), (VehicleInformation, -1), (DataByIdentifier, 0x1_0000)):
        with pytest.raises(EncodeError):
            kind(value)


def test_any_octets_are_an_answer_or_refused() -> None:
    random = Random(14229)
    for _ in range(5_000):
        octets = random.choice((b"\x41", b"\x49\x02", b"\x49\x04", b"\x62", b"\x7f", b"")) + random.randbytes(random.randrange(40))
        for read in (
            lambda o: list(current_values(o)),
            vin,
            calibration_ids,
            calibration_numbers,
            unit_name,
            data_record,
            negative_response,
        ):
            try:
                read(octets)
            except DecodeError as refusal:
                assert str(refusal)  # noqa: PT017 - one of many octets
