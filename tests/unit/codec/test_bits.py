import pytest

from shared.codec import bits
from shared.codec.bits import EMPTY, BitReader, Fault, append, complete


def written(acc: int) -> BitReader:
    return BitReader(complete(acc))


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, -128, -129, 32_767, -32_768, (1 << 63) - 1, -(1 << 63)])
def test_a_signed_integer_comes_back(value: int) -> None:
    assert bits.read_signed(written(bits.write_signed(EMPTY, value))) == value


@pytest.mark.parametrize("value", [0, 1, 255, 256, (1 << 64) - 1])
def test_an_unsigned_integer_comes_back(value: int) -> None:
    assert bits.read_unsigned(written(bits.write_unsigned(EMPTY, value))) == value


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, 1 << 5000])
def test_an_integer_beyond_the_bound_is_not_written(value: int) -> None:
    with pytest.raises(Fault):
        bits.write_signed(EMPTY, value)


@pytest.mark.parametrize(("encoded", "why"), [("020001", "more than"), ("02ffff", "more than"), ("00", "0 octets")])
def test_an_integer_in_too_many_or_no_octets_is_refused(encoded: str, why: str) -> None:
    with pytest.raises(Fault, match=why):
        bits.read_signed(BitReader(bytes.fromhex(encoded)))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383])
def test_a_length_comes_back(length: int) -> None:
    assert bits.read_length(written(bits.write_length(EMPTY, length))) == length


@pytest.mark.parametrize(("encoded", "why"), [("807f", "form for 128"), ("c100", "longer than"), ("80", "too early")])
def test_a_length_in_another_form_is_refused(encoded: str, why: str) -> None:
    with pytest.raises(Fault, match=why):
        bits.read_length(BitReader(bytes.fromhex(encoded)))


def test_a_number_from_64_on_is_not_small() -> None:
    with pytest.raises(Fault, match="64"):
        bits.read_small(BitReader(b"\x80\x40"))
    with pytest.raises(Fault):
        bits.write_small(EMPTY, 64)


def test_reading_past_the_end_says_by_how_much_and_where() -> None:
    reader = BitReader(b"\xff", origin=100)
    assert reader.take(3) == 7
    with pytest.raises(Fault, match="4 bits too early") as caught:
        reader.take(9)
    assert caught.value.bit == 103


def test_forgetting_what_was_read_changes_nothing_that_follows() -> None:
    octets = bytes(range(256))
    reader = BitReader(octets)
    read = bytearray()
    for _ in octets:
        read.append(reader.take(8))
        reader.forget()
    assert read == octets


def test_an_accumulator_appended_to_another_is_both_in_a_row() -> None:
    assert complete(append(EMPTY << 4 | 0b0101, EMPTY << 4 | 0b0011)) == b"\x53"
    assert append(EMPTY, EMPTY) == EMPTY


def test_nothing_still_takes_one_octet() -> None:
    assert complete(EMPTY) == b"\0"
    BitReader(b"\0").finish()
    for wrong in (b"", b"\x01", b"\0\0"):
        with pytest.raises(Fault):
            BitReader(wrong).finish()


def test_padding_must_be_zero_and_shorter_than_an_octet() -> None:
    reader = BitReader(b"\xf0\x00")
    reader.take(4)
    with pytest.raises(Fault, match="left over"):
        reader.finish()
    reader = BitReader(b"\xf8")
    reader.take(4)
    with pytest.raises(Fault, match="padding"):
        reader.finish()


def test_nesting_and_list_items_are_bounded() -> None:
    reader = BitReader(b"\0" * 8)
    with pytest.raises(Fault, match="list items"):
        reader.count_items(bits.MAX_LIST_ITEMS + 1)
    reader = BitReader(b"\0" * 8, depth=bits.MAX_NESTING)
    with pytest.raises(Fault, match="nested"):
        reader.inner(1)
