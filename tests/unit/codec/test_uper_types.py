from typing import Any

import pytest

from shared.codec.bits import MAX_NESTING
from shared.codec.message_codec import MessageCodec
from shared.codec.uper import UperType
from shared.codec.uper_composites import Addition, Choice, Component, OpenType, Recursive, Sequence, SequenceOf
from shared.codec.uper_scalars import (
    BitString,
    Boolean,
    CharacterString,
    ConstrainedInteger,
    Enumerated,
    ExtensibleInteger,
    Null,
    OctetString,
    SemiConstrainedInteger,
    Size,
    Utf8String,
)
from shared.core.errors import DecodeError, EncodeError
from tests.helpers.paths import decoded_alike, encoded_alike

OCTET = ConstrainedInteger(0, 255)
NIBBLE = ConstrainedInteger(0, 15)


def codec(type_: UperType) -> MessageCodec[Any]:
    return MessageCodec("T", lambda: type_)


def bits(text: str) -> bytes:
    """Pack a string of 0, 1 and spaces, padded with zeros."""
    digits = text.replace(" ", "")
    octets = max(1, -(-len(digits) // 8))
    return int((digits or "0").ljust(8 * octets, "0"), 2).to_bytes(octets, "big")


EXTENSIBLE = ExtensibleInteger(ConstrainedInteger(1, 255))
COLOUR = Enumerated((10, 20, 30), (40,), {10: "red", 20: "green", 30: "blue", 40: "grey"})
NAMED = BitString(Size(2, 2, extensible=True), {0: "first"})
GROUP = Sequence((Component("g1", NIBBLE, optional=True), Component("g2", NIBBLE, optional=True)))
GROWN = Sequence(
    (Component("a", NIBBLE), Component("d", NIBBLE, optional=True, default=7)),
    (Addition("g1", ("g1", "g2"), GROUP, is_group=True), Addition("b", ("b",), NIBBLE, is_group=False)),
)
PLAIN = Sequence((Component("a", NIBBLE),), ())
EITHER = Choice((("x", NIBBLE), ("y", OCTET)), (("z", OCTET),))
REGIONAL = Sequence((Component("id", OCTET), Component("value", OpenType({3: NIBBLE}), governor="id")))


@pytest.mark.parametrize(
    ("type_", "value", "encoded"),
    [
        (Boolean(), True, bits("1")),
        (Null(), None, b"\0"),
        (ConstrainedInteger(-1, 14), -1, bits("0000")),
        (ConstrainedInteger(5, 5), 5, b"\0"),
        (ConstrainedInteger(2, 8, ((5, 5),)), 6, bits("100")),
        (EXTENSIBLE, 255, bits("0 11111110")),
        (EXTENSIBLE, 256, bits("1 00000010 00000001 00000000")),
        (EXTENSIBLE, 0, bits("1 00000001 00000000")),
        (SemiConstrainedInteger(10), 10, bits("00000001 00000000")),
        (SemiConstrainedInteger(None), -1, bits("00000001 11111111")),
        (COLOUR, 30, bits("0 10")),
        (COLOUR, 40, bits("1 0 000000")),
        (COLOUR, "_ext_5", bits("1 0 000101")),
        (BitString(Size(3, 3)), (0b101, 3), bits("101")),
        (BitString(Size(1, 13)), (0b10, 2), bits("0001 10")),
        (NAMED, (0b10, 2), bits("0 10")),
        (NAMED, (0b101, 3), bits("1 00000011 101")),
        (OctetString(Size(1, 4)), b"\xab", bits("00 10101011")),
        (OctetString(Size()), b"", b"\0"),
        (CharacterString(Size(1, 3), " 0123456789"), "09", bits("01 0001 1010")),
        (Utf8String(Size(1, 4)), "ß", bits("00000010 11000011 10011111")),
        (SequenceOf(NIBBLE, Size(0, 3)), (1, 2), bits("10 0001 0010")),
        (SequenceOf(NIBBLE, Size(1, 1, extensible=True)), (1, 2), bits("1 00000010 0001 0010")),
        (PLAIN, {"a": 5}, bits("0 0101")),
        (GROWN, {"a": 5, "d": 7}, bits("0 0 0101")),
        (GROWN, {"a": 5, "d": 6}, bits("0 1 0101 0110")),
        (GROWN, {"a": 5, "d": 7, "g2": 9}, bits("1 0 0101 0 000001 10 00000001 01 1001 00")),
        (GROWN, {"a": 5, "d": 7, "b": 9}, bits("1 0 0101 0 000001 01 00000001 1001 0000")),
        (GROWN, {"a": 5, "d": 7, "_ext_2": b"\xee"}, bits("1 0 0101 0 000010 001 00000001 11101110")),
        (PLAIN, {"a": 5, "_ext_0": b"\xee", "_ext_1": None}, bits("1 0101 0 000001 10 00000001 11101110")),
        (EITHER, ("y", 255), bits("0 1 11111111")),
        (EITHER, ("z", 255), bits("1 0 000000 00000001 11111111")),
        (EITHER, ("_ext_1", b"\xff"), bits("1 0 000001 00000001 11111111")),
        (REGIONAL, {"id": 3, "value": 5}, bits("00000011 00000001 0101 0000")),
        (REGIONAL, {"id": 4, "value": b"\x51"}, bits("00000100 00000001 0101 0001")),
    ],
)
def test_a_value_has_this_one_encoding(type_: UperType, value: Any, encoded: bytes) -> None:
    assert codec(type_).encode(value) == encoded
    assert codec(type_).decode(encoded) == value
    decoded_alike(codec(type_), encoded)
    encoded_alike(codec(type_), value)


@pytest.mark.parametrize(
    ("type_", "encoded", "field", "why"),
    [
        (ConstrainedInteger(0, 4), bits("101"), "T", "5 is not in 0..4"),
        (ConstrainedInteger(2, 8, ((5, 5),)), bits("011"), "T", "5 is not in 2..8 without 5..5"),
        (EXTENSIBLE, bits("1 00000001 00000001"), "T", "as an extension although"),
        (SemiConstrainedInteger(0), bits("00000010 00000000 00000001"), "T", "more than it needs"),
        (COLOUR, bits("0 11"), "T", "3 is not in 0..2"),
        (COLOUR, bits("1 1 00000001 01000000"), "T", "64"),
        (NAMED, bits("1 00000011 100"), "T", "ends in a zero bit"),
        (NAMED, bits("1 00000010 10"), "T", "as an extension although"),
        (OctetString(Size(2, 300)), bits("111111111"), "T", "not in 2..300"),
        (CharacterString(Size(1, 3), " 0123456789"), bits("00 1111"), "T", "outside the alphabet"),
        (Utf8String(Size(1, 4)), bits("00000001 11111111"), "T", "not UTF-8"),
        (Utf8String(Size(1, 4)), bits("00000000"), "T", "0 characters"),
        (SequenceOf(ConstrainedInteger(0, 4), Size(0, 3)), bits("10 001 101"), "T.[1]", "5 is not"),
        (GROWN, bits("0 1 0101 0111"), "T.d", "although it is the default"),
        (GROWN, bits("1 0 0101 0 000001 00"), "T", "none is there"),
        (GROWN, bits("1 0 0101 0 000001 10 00000001 00 000000"), "T.g1", "without content"),
        (GROWN, bits("1 0 0101 0 000001 01 00000001 1001 0001"), "T.b", "padding"),
        (GROWN, bits("1 0 0101 0 000001 01 00000010 1001 0000 00000000"), "T.b", "left over"),
        (GROWN, bits("1 0 0101 0 000010 001 00000000"), "T._ext_2", "empty"),
        (GROWN, bits("1 0 0101 1"), "T", "64"),
        (EITHER, bits("1 0 000001 00000000"), "T", "empty"),
        (REGIONAL, bits("00000011 00000000"), "T.value", "empty"),
        (REGIONAL, bits("00000011 00000010 01010000"), "T.value", "too early"),
    ],
)
def test_any_other_form_is_refused_naming_the_field(type_: UperType, encoded: bytes, field: str, why: str) -> None:
    assert not decoded_alike(codec(type_), encoded)
    with pytest.raises(DecodeError, match=why) as caught:
        codec(type_).decode(encoded)
    assert caught.value.field.replace("T[", "T.[") == field
    assert caught.value.bit_offset is not None


@pytest.mark.parametrize(
    ("type_", "value", "field"),
    [
        (OCTET, 256, "T"),
        (OCTET, -1, "T"),
        (OCTET, "5", "T"),
        (OCTET, 1.0, "T"),
        (EXTENSIBLE, 1 << 70, "T"),
        (Boolean(), 1, "T"),
        (Null(), 0, "T"),
        (COLOUR, 11, "T"),
        (COLOUR, "red", "T"),
        (COLOUR, "_ext_0", "T"),
        (COLOUR, "_ext_01", "T"),
        (COLOUR, "_ext_64", "T"),
        (BitString(Size(3, 3)), (8, 3), "T"),
        (BitString(Size(3, 3)), (1, 4), "T"),
        (BitString(Size(3, 3)), 5, "T"),
        (NAMED, (0b100, 3), "T"),
        (OctetString(Size(1, 4)), b"", "T"),
        (OctetString(Size(1, 4)), "ab", "T"),
        (CharacterString(Size(1, 3), " 0123456789"), "a", "T"),
        (Utf8String(Size(1, 4)), "\ud800", "T"),
        (Utf8String(Size(1, 4)), "12345", "T"),
        (SequenceOf(OCTET, Size(0, 3)), (1, 2, 3, 4), "T"),
        (SequenceOf(OCTET, Size(0, 3)), (1, 256), "T[1]"),
        (SequenceOf(OCTET, Size(0, 3)), "ab", "T"),
        (PLAIN, {}, "T.a"),
        (PLAIN, {"a": 1, "b": 2}, "T.b"),
        (PLAIN, {"a": 1, 2: 2}, "T"),
        (PLAIN, {"a": 1, "_ext_0": b""}, "T._ext_0"),
        (PLAIN, {"a": 1, "_ext_64": b"x"}, "T._ext_64"),
        (PLAIN, [1], "T"),
        (GROWN, {"a": 1, "g1": 16}, "T.g1.g1"),
        (GROWN, {"a": 1, "_ext_1": b"x"}, "T._ext_1"),
        (Sequence((Component("a", NIBBLE),)), {"a": 1, "_ext_0": b"x"}, "T._ext_0"),
        (EITHER, ("w", 1), "T.w"),
        (EITHER, ("_ext_0", b"x"), "T._ext_0"),
        (EITHER, "x", "T"),
        (REGIONAL, {"id": 3, "value": b"x"}, "T.value"),
        (REGIONAL, {"id": 4, "value": 5}, "T.value"),
    ],
)
def test_what_does_not_fit_is_an_encode_error_naming_the_field(type_: UperType, value: Any, field: str) -> None:
    assert not encoded_alike(codec(type_), value)
    with pytest.raises(EncodeError) as caught:
        codec(type_).encode(value)
    assert caught.value.field == field


def test_a_number_too_long_to_print_is_still_an_encode_error() -> None:
    with pytest.raises(EncodeError, match="far out of range"):
        codec(OCTET).encode(1 << 50_000)


def test_a_list_of_items_without_bits_cannot_be_long() -> None:
    of_nothing = SequenceOf(SequenceOf(Null(), Size()), Size())
    inner = "10111111 11111111"
    with pytest.raises(DecodeError, match="list items"):
        codec(of_nothing).decode(bits("00000011" + 3 * inner))


def test_a_type_within_itself_is_read_to_a_bounded_depth() -> None:
    inside = Recursive()
    nest = Sequence((Component("deeper", inside, optional=True),))
    inside.resolve(nest)
    depth = MAX_NESTING
    value = codec(nest).decode(bits("1" * depth + "0"))
    assert codec(nest).encode(value) == bits("1" * depth + "0")
    with pytest.raises(DecodeError, match="nested deeper"):
        codec(nest).decode(bits("1" * (depth + 1) + "0"))


def test_an_encoding_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(DecodeError, match="more than"):
        codec(OCTET).decode(bytes(2305))
    with pytest.raises(EncodeError, match="more than"):
        codec(OctetString(Size())).encode(bytes(2305))
