from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.coer import (
    CoerReader,
    encode_additions,
    encode_boolean,
    encode_choice,
    encode_integer,
    encode_length,
    encode_opaque,
    encode_quantity,
    encode_sequence_of,
    encode_signed,
    encode_unsigned,
)
from shared.core.errors import DecodeError, EncodeError


def reader(text: str) -> CoerReader:
    return CoerReader(bytes.fromhex(text))


@given(st.integers(0, 2**64 - 1))
def test_a_quantity_comes_back_and_leaves_nothing_over(value: int) -> None:
    cursor = CoerReader(encode_quantity(value, "q"))
    assert cursor.quantity("q") == value
    cursor.finish("q")


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_signed_integer_comes_back(value: int) -> None:
    cursor = CoerReader(encode_integer(value, "i"))
    assert cursor.integer("i") == value
    cursor.finish("i")


@given(st.binary(min_size=1, max_size=9))
def test_every_accepted_integer_is_the_one_that_would_be_written(octets: bytes) -> None:
    encoded = bytes((len(octets),)) + octets
    for read, write in ((CoerReader.quantity, encode_quantity), (CoerReader.integer, encode_integer)):
        try:
            value = read(CoerReader(encoded), "i")
        except DecodeError:
            continue
        assert write(value, "i") == encoded


@pytest.mark.parametrize("count", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_opaque_value_of_any_length_comes_back(count: int) -> None:
    octets = b"\xa5" * count
    cursor = CoerReader(encode_opaque(octets, "o"))
    assert cursor.opaque("o") == octets
    cursor.finish("o")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8101aa", "shortest"),
        ("817faa", "shortest"),
        ("820080", "shortest"),
        ("82007f", "shortest"),
        ("80", "length of 0"),
        ("8400000001", "length of 4"),
        ("ff", "length of 127"),
    ],
)
def test_a_length_in_any_but_its_shortest_form_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        reader(text).length("l")


@pytest.mark.parametrize("text", ["020001", "00", "09010000000000000000"])
def test_a_quantity_that_is_padded_empty_or_too_wide_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        reader(text).quantity("q")


@pytest.mark.parametrize("text", ["020001", "02ffff", "02ff80", "02007f"])
def test_a_signed_integer_with_a_needless_octet_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="shortest"):
        reader(text).integer("i")


def test_psid_624_is_written_as_in_the_standard() -> None:
    assert encode_quantity(624, "psid") == bytes.fromhex("020270")


def test_a_boolean_is_ff_or_00_and_nothing_else() -> None:
    assert reader("ff").boolean("b") is True
    assert reader("00").boolean("b") is False
    assert encode_boolean(value=True) + encode_boolean(value=False) == b"\xff\x00"
    with pytest.raises(DecodeError, match="canonical"):
        reader("01").boolean("b")


def test_padding_bits_of_a_preamble_are_zero() -> None:
    assert reader("a0").preamble("p", bits=3) == 0xA0
    with pytest.raises(DecodeError, match="padding"):
        reader("b0").preamble("p", bits=3)


@pytest.mark.parametrize("text", ["00", "7f", "bf", "c0", "ff"])
def test_a_tag_of_another_class_or_of_the_long_form_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="no alternative"):
        reader(text).choice("c")


def test_an_enumeration_in_long_form_is_refused() -> None:
    with pytest.raises(DecodeError, match="long-form"):
        reader("8101").enumerated("e")


def test_a_count_outside_its_bounds_is_refused_before_any_item_is_read() -> None:
    with pytest.raises(DecodeError, match="allowed are 1 to 4"):
        reader("0105").count("n", minimum=1, maximum=4)
    with pytest.raises(DecodeError, match="allowed are 1 to 4"):
        reader("0100").count("n", minimum=1, maximum=4)
    with pytest.raises(DecodeError, match="allowed"):
        reader("08ffffffffffffffff").count("n", maximum=4)


def test_both_editions_of_an_extension_bitmap_are_read_alike() -> None:
    narrow = encode_additions({0: b"\x01"}, width=2, field="x")
    wide = encode_additions({0: b"\x01"}, width=4, field="x")
    assert narrow.hex() == "020680" + "0101"
    assert wide.hex() == "020480" + "0101"
    for encoded in (narrow, wide):
        ((index, inner),) = CoerReader(encoded).additions("x")
        assert (index, inner.unsigned(1, "x")) == (0, 1)
        inner.finish("x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("020600", "no addition"),
        ("020881", "unused"),
        ("0206c1", "padding"),
        ("0100", "empty"),
        ("0600ffffffffff", "40 bits"),
        ("020680", "octets"),
    ],
)
def test_a_crooked_extension_bitmap_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        reader(text).additions("x")


def test_an_open_type_confines_what_is_inside() -> None:
    cursor = reader("02aabbcc")
    inner = cursor.open_type("x")
    with pytest.raises(DecodeError, match="needs 3 octets, 2 are left"):
        inner.octets(3, "x")
    inner.octets(1, "x")
    with pytest.raises(DecodeError, match="1 octets follow"):
        inner.finish("x")
    assert cursor.unsigned(1, "rest") == 0xCC


def test_an_error_names_its_field_and_its_bit() -> None:
    cursor = reader("0102")
    cursor.unsigned(1, "first")
    with pytest.raises(DecodeError, match=r"second \(bit 8\): needs 4 octets, 1 are left") as caught:
        cursor.unsigned(4, "second")
    assert (caught.value.field, caught.value.bit_offset) == ("second", 8)


def test_values_that_do_not_fit_are_our_bug() -> None:
    faults: tuple[Callable[[], bytes], ...] = (
        lambda: encode_unsigned(256, 1, "u"),
        lambda: encode_unsigned(-1, 4, "u"),
        lambda: encode_signed(128, 1, "s"),
        lambda: encode_quantity(-1, "q"),
        lambda: encode_quantity(1 << 64, "q"),
        lambda: encode_integer(1 << 63, "i"),
        lambda: encode_length(1 << 24, "l"),
        lambda: encode_choice(63, b""),
        lambda: encode_additions({}, width=2, field="x"),
        lambda: encode_additions({2: b""}, width=2, field="x"),
    )
    for fault in faults:
        with pytest.raises(EncodeError):
            fault()


@given(st.binary(max_size=40))
def test_any_octets_give_a_value_or_a_decode_error(octets: bytes) -> None:
    cursor = CoerReader(octets)
    try:
        cursor.preamble("p", bits=8)
        cursor.choice("c")
        cursor.opaque("o")
        cursor.quantity("q")
        cursor.integer("i")
        cursor.additions("x")
        cursor.finish("end")
    except DecodeError:
        pass


def test_a_sequence_of_begins_with_its_count() -> None:
    assert encode_sequence_of((b"\x01", b"\x02"), "s") == bytes.fromhex("01020102")
