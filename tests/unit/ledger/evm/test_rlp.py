"""RLP: one encoding of each value and no other."""

import random

import pytest
import rlp  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.ledger.evm.rlp import (
    MAX_RLP_DEPTH,
    MAX_RLP_ITEMS,
    MAX_RLP_OCTETS,
    Item,
    decode_rlp,
    encode_rlp,
    list_of,
    number_of,
    octets_of,
)

ITEMS = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


def as_lists(item: Item) -> object:
    return item if isinstance(item, bytes) else [as_lists(part) for part in item]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b"dog", "83646f67"),
        ((b"cat", b"dog"), "c88363617483646f67"),
        (b"", "80"),
        ((), "c0"),
        (0, "80"),
        (b"\x00", "00"),
        (15, "0f"),
        (1024, "820400"),
        (((), ((),), ((), ((),))), "c7c0c1c0c3c0c1c0"),
    ],
)
def test_the_published_examples_encode_as_published(value: bytes | int | tuple[object, ...], encoded: str) -> None:
    assert encode_rlp(value).hex() == encoded  # type: ignore[arg-type]  # what is in the table encodes


@given(ITEMS)
def test_what_encodes_decodes_again_and_another_implementation_agrees(item: Item) -> None:
    encoded = encode_rlp(item)
    assert decode_rlp(encoded, "item") == item
    assert rlp.encode(as_lists(item)) == encoded


@given(st.binary(max_size=40))
def test_octets_either_decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    try:
        item = decode_rlp(data, "item")
    except DecodeError:
        return
    assert encode_rlp(item) == data


def test_every_truncation_and_a_trailing_octet_are_refused() -> None:
    encoded = encode_rlp((b"a" * 60, (b"b", b"", 7), b"c" * 300))
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_rlp(encoded[:length], "item")
    with pytest.raises(DecodeError, match="1 octets follow"):
        decode_rlp(encoded + b"\x00", "item")


@pytest.mark.parametrize("encoded", ["8100", "817f", "b80161", "b837" + "00" * 55, "b90001", "b9003a" + "00" * 58, "f80180"])
def test_an_encoding_longer_than_the_shortest_is_refused(encoded: str) -> None:
    with pytest.raises(DecodeError, match=r"shortest|cut short"):
        decode_rlp(bytes.fromhex(encoded), "item")


def test_lists_are_read_to_a_depth_and_no_deeper() -> None:
    item: Item = b""
    for _ in range(MAX_RLP_DEPTH):
        item = (item,)
    assert decode_rlp(encode_rlp(item), "item") == item
    with pytest.raises(DecodeError, match="lists inside lists"):
        decode_rlp(encode_rlp((item,)), "item")
    with pytest.raises(DecodeError, match=r"cut short|lists inside lists"):
        decode_rlp(b"\xff" * 400_000, "item")


def test_items_and_octets_are_bounded() -> None:
    with pytest.raises(DecodeError, match="more than"):
        decode_rlp(encode_rlp((b"",) * MAX_RLP_ITEMS), "item")
    with pytest.raises(DecodeError, match="at most"):
        decode_rlp(bytes(MAX_RLP_OCTETS + 1), "item")


def test_an_announced_length_beyond_the_end_costs_nothing() -> None:
    with pytest.raises(DecodeError, match="cut short"):
        decode_rlp(bytes.fromhex("bfffffffffffffffff"), "item")


def test_a_negative_number_has_no_encoding() -> None:
    with pytest.raises(EncodeError):
        encode_rlp(-1)


def test_what_stands_where_another_kind_should_is_named() -> None:
    with pytest.raises(DecodeError, match="root: a list stands"):
        octets_of((), "root")
    with pytest.raises(DecodeError, match="root: 3 octets; it has 32"):
        octets_of(b"abc", "root", 32)
    with pytest.raises(DecodeError, match="leading zeros"):
        number_of(b"\x00\x01", "number")
    with pytest.raises(DecodeError, match="at most 8"):
        number_of(b"\x01" * 9, "number", 8)
    with pytest.raises(DecodeError, match="octets stand"):
        list_of(b"", "list", 0)
    with pytest.raises(DecodeError, match="it has 2 to 3"):
        list_of((), "list", 2, 3)


def test_no_flipped_bit_of_an_encoding_decodes_to_the_same() -> None:
    chance = random.Random(1)
    encoded = encode_rlp((b"x" * 57, (b"y", b"zz"), 1 << 40))
    whole = decode_rlp(encoded, "item")
    for _ in range(300):
        at = chance.randrange(len(encoded))
        flipped = bytearray(encoded)
        flipped[at] ^= 1 << chance.randrange(8)
        try:
            assert decode_rlp(bytes(flipped), "item") != whole
        except DecodeError:
            continue
