from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.core.geo import GeoPoint
from shared.core.itstime import Time64, gn_timestamp
from shared.network.position_vector import (
    LongPositionVector,
    decode_long_position_vector,
    encode_long_position_vector,
    is_later,
    time64_nearest,
)
from tests.unit.network.samples import VECTOR, VECTOR_HEX, vectors

WIRE = bytes.fromhex(VECTOR_HEX)


def wire_with(**fields: str) -> bytes:
    at = {"lat": 12, "lon": 16, "motion": 20, "heading": 22}
    data = bytearray(WIRE)
    for name, text in fields.items():
        value = bytes.fromhex(text)
        data[at[name] : at[name] + len(value)] = value
    return bytes(data)


def test_a_vector_is_written_as_the_standard_lays_it_out() -> None:
    assert encode_long_position_vector(VECTOR) == WIRE


@given(vectors)
def test_every_vector_survives_the_round_trip(vector: LongPositionVector) -> None:
    assert decode_long_position_vector(encode_long_position_vector(vector)) == vector


@pytest.mark.parametrize("octets", [*range(24), 25])
def test_another_length_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError, match="instead of 24"):
        decode_long_position_vector((WIRE + WIRE)[:octets])


@pytest.mark.parametrize(
    ("speed_mps", "read_mps"), [(163.83, 163.83), (163.84, 163.83), (1e9, 163.83), (-163.84, -163.84), (-500.0, -163.84)]
)
def test_a_speed_beyond_the_field_saturates(speed_mps: float, read_mps: float) -> None:
    wire = encode_long_position_vector(replace(VECTOR, speed_mps=speed_mps))
    assert decode_long_position_vector(wire).speed_mps == read_mps


def test_the_accuracy_bit_and_the_sign_of_the_speed_do_not_touch_each_other() -> None:
    for is_accurate in (False, True):
        for speed_mps in (-0.01, 0.0, 0.01):
            vector = replace(VECTOR, is_accurate=is_accurate, speed_mps=speed_mps)
            assert decode_long_position_vector(encode_long_position_vector(vector)) == vector


@pytest.mark.parametrize(("heading_deg", "read_deg"), [(359.97, 0.0), (360.0, 0.0), (0.04, 0.0), (359.94, 359.9)])
def test_a_heading_rounds_across_north(heading_deg: float, read_deg: float) -> None:
    wire = encode_long_position_vector(replace(VECTOR, heading_deg=heading_deg))
    assert decode_long_position_vector(wire).heading_deg == read_deg


def test_without_a_fix_everything_is_zero_and_reads_back_as_unknown() -> None:
    vector = replace(VECTOR, position=None, is_accurate=False, speed_mps=None, heading_deg=None)
    wire = encode_long_position_vector(vector)
    assert wire[12:] == bytes(12)
    assert decode_long_position_vector(wire) == vector


def test_an_accurate_place_at_zero_zero_is_a_place() -> None:
    vector = replace(VECTOR, position=GeoPoint(0.0, 0.0), is_accurate=True)
    assert decode_long_position_vector(encode_long_position_vector(vector)) == vector


def test_the_unavailable_values_of_the_data_dictionary_read_as_unknown() -> None:
    vector = decode_long_position_vector(wire_with(lat="35a4e901", lon="6b49d201", motion="8000", heading="0e11"))
    assert (vector.position, vector.is_accurate, vector.speed_mps, vector.heading_deg) == (None, False, None, None)


@pytest.mark.parametrize(
    ("wire", "field"),
    [
        (wire_with(lat="35a4e902"), "latitude"),
        (wire_with(lat="80000000"), "latitude"),
        (wire_with(lon="6b49d202"), "longitude"),
        (wire_with(lon="94b62dff"), "longitude"),
        (wire_with(heading="0e12"), "heading"),
        (wire_with(heading="ffff"), "heading"),
    ],
)
def test_a_place_or_heading_that_does_not_exist_is_refused_by_name(wire: bytes, field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_long_position_vector(wire)
    assert refused.value.field == f"position_vector.{field}"


@pytest.mark.parametrize(
    "vector",
    [
        replace(VECTOR, timestamp_ms=2**32),
        replace(VECTOR, timestamp_ms=-1),
        replace(VECTOR, heading_deg=-0.1),
        replace(VECTOR, heading_deg=360.1),
        replace(VECTOR, heading_deg=nan),
        replace(VECTOR, speed_mps=inf),
        replace(VECTOR, position=None),
    ],
)
def test_what_the_field_cannot_say_is_our_error(vector: LongPositionVector) -> None:
    with pytest.raises(EncodeError, match="position_vector"):
        encode_long_position_vector(vector)


def test_later_is_judged_on_the_circle() -> None:
    assert is_later(5, 4)
    assert not is_later(4, 5)
    assert not is_later(4, 4)
    assert is_later(0, 2**32 - 1)
    assert not is_later(2**32 - 1, 0)


@given(st.integers(10**15, 10**16), st.integers(-(2**31) + 1, 2**31 - 1))
def test_a_timestamp_stands_for_the_nearest_time(reference_us: int, apart_ms: int) -> None:
    meant = Time64((reference_us // 1_000 + apart_ms) * 1_000)
    assert time64_nearest(gn_timestamp(meant), Time64(reference_us)) == meant
