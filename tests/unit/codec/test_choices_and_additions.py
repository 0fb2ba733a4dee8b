"""A CHOICE that is a value of its own, the alternative whose field is given, and components behind an extension marker."""

from typing import Any

import pytest

from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Choice, Field, Items, Record, Shape
from shared.codec.uper import Tree, UperType
from shared.codec.uper_composites import Addition, Component, Sequence, SequenceOf
from shared.codec.uper_composites import Choice as ChoiceType
from shared.codec.uper_scalars import Boolean, ConstrainedInteger, Size
from shared.core.errors import DecodeError, EncodeError
from shared.core.value import Value
from tests.helpers.paths import decoded_alike, encoded_alike

NIBBLE = ConstrainedInteger(0, 15)


class Way(Value):
    left: int | None = None
    right: tuple[int, ...] = ()
    down: int | None = None
    other: Tree | None = None


WAY_TYPE = ChoiceType((("left", NIBBLE), ("right", SequenceOf(NIBBLE, Size(1, 3))), ("up", NIBBLE)), (("down", NIBBLE),))
WAY = Record(
    Way,
    Choice(
        {"left": Field("left"), "right": Field("right", absent=()), "down": Field("down")},
        demand="needs exactly one way",
        later="other",
    ),
)

WAYS_TYPE, WAYS = SequenceOf(WAY_TYPE, Size(0, 3)), Items(WAY)


class Outer(Value):
    number: int
    way: Way | None = None
    left: int | None = None
    down: int | None = None
    other: Tree | None = None
    alone: int | None = None
    first: int | None = None
    second: tuple[int, ...] = ()


OUTER_TYPE = Sequence(
    (Component("number", NIBBLE), Component("way", WAY_TYPE, optional=True), Component("side", WAY_TYPE, optional=True)),
    (
        Addition("alone", ("alone",), NIBBLE, is_group=False),
        Addition(
            "first",
            ("first", "second", "third"),
            Sequence(
                (
                    Component("first", NIBBLE),
                    Component("second", SequenceOf(NIBBLE, Size(1, 3)), optional=True),
                    Component("third", Boolean(), optional=True),
                )
            ),
            is_group=True,
        ),
    ),
)
OUTER = Record(
    Outer,
    {
        "number": Field("number"),
        "way": Field("way", WAY),
        "side": Choice({"left": Field("left"), "down": Field("down")}, demand="has two sides", later="other"),
        "alone": Field("alone"),
        "first": Field("first"),
        "second": Field("second", absent=()),
    },
)


def codec(type_: UperType, shape: Shape) -> MessageCodec[Any]:
    return MessageCodec("T", lambda: type_, shape)


@pytest.mark.parametrize(
    ("value", "is_usual"),
    [
        ((), True),
        ((Way(left=0), Way(right=(1, 2, 3)), Way(left=15)), True),
        ((Way(left=3), Way(down=4)), False),
        ((Way(other=("_ext_1", b"\x40")),), False),
    ],
)
def test_each_item_of_a_list_may_be_another_alternative(value: tuple[Way, ...], *, is_usual: bool) -> None:
    both = codec(WAYS_TYPE, WAYS)
    encoded = both.encode(value)
    assert both.decode(encoded) == value
    assert decoded_alike(both, encoded) is is_usual
    assert encoded_alike(both, value) is is_usual


@pytest.mark.parametrize(
    ("way", "field"),
    [
        (Way(), "[0].other"),
        (Way(left=1, right=(1,)), "[0]"),
        (Way(left=1, down=1), "[0]"),
        (Way(left=1, other=("_ext_1", b"\x40")), "[0]"),
        (Way(other=7), "[0].other"),
    ],
)
def test_none_or_several_alternatives_are_refused_on_both_paths(way: Way, field: str) -> None:
    both = codec(WAYS_TYPE, WAYS)
    assert not encoded_alike(both, (way,))
    with pytest.raises(EncodeError, match="needs exactly one way") as caught:
        both.encode((way,))
    assert caught.value.field == field


def test_an_alternative_nobody_mentions_is_kept_and_one_of_the_schema_cannot_be_sent_back() -> None:
    encoded = MessageCodec[Any]("T", lambda: WAYS_TYPE).encode((("up", 3),))
    both = codec(WAYS_TYPE, WAYS)
    assert both.decode(encoded) == (Way(other=("up", 3)),)
    with pytest.raises(EncodeError):
        both.encode(both.decode(encoded))


@pytest.mark.parametrize(
    ("value", "is_usual"),
    [
        (Outer(number=1), True),
        (Outer(number=2, way=Way(right=(4,)), left=5), True),
        (Outer(number=3, down=6), False),
        (Outer(number=4, other=("_ext_1", b"\x40")), False),
        (Outer(number=5, alone=7), False),
        (Outer(number=6, first=0), False),
        (Outer(number=7, way=Way(left=1), alone=15, first=8, second=(1, 2)), False),
    ],
)
def test_what_lies_behind_an_extension_marker_comes_back_too(value: Outer, *, is_usual: bool) -> None:
    both = codec(OUTER_TYPE, OUTER)
    encoded = both.encode(value)
    assert both.decode(encoded) == value
    assert decoded_alike(both, encoded) is is_usual
    assert encoded_alike(both, value) is is_usual
    for octets in range(len(encoded)):
        with pytest.raises(DecodeError):
            both.decode(encoded[:octets])


def test_a_group_of_additions_needs_what_it_cannot_do_without() -> None:
    with pytest.raises(EncodeError) as caught:
        codec(OUTER_TYPE, OUTER).encode(Outer(number=1, second=(1,)))
    assert caught.value.field == "T.first.first"


def test_an_addition_nobody_mentions_is_dropped() -> None:
    tree = {"number": 1, "first": 2, "third": True}
    encoded = MessageCodec[Any]("T", lambda: OUTER_TYPE).encode(tree)
    assert codec(OUTER_TYPE, OUTER).decode(encoded) == Outer(number=1, first=2)


def test_two_sides_are_refused() -> None:
    both = codec(OUTER_TYPE, OUTER)
    value = Outer(number=1, left=1, down=2)
    assert not encoded_alike(both, value)
    with pytest.raises(EncodeError, match="has two sides"):
        both.encode(value)
