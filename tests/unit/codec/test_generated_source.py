"""The generated code: what it reads like, and that each way of declaring a shape works on both paths."""

from enum import IntEnum
from typing import Any

import pytest

from shared.codec.message_codec import MessageCodec
from shared.codec.shape import Choice, Field, Fields, Fixed, Items, Record, Shape, With
from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice as ChoiceType
from shared.codec.uper_composites import Component, OpenType, Sequence, SequenceOf
from shared.codec.uper_scalars import BitString, Boolean, ConstrainedInteger, Enumerated, Size, Utf8String
from shared.core.errors import DecodeError, EncodeError
from shared.core.value import Value
from shared.messages import conversions as cv
from tests.helpers.paths import decoded_alike, encoded_alike


class Position(Value):
    lat_deg: float | None
    speed_mps: float | None = None


POSITION_TYPE = Sequence(
    (Component("latitude", ConstrainedInteger(0, 1001)), Component("speed", ConstrainedInteger(0, 31), optional=True)), ()
)
POSITION = Record(
    Position,
    {
        "latitude": Field("lat_deg", cv.Quantity(1000, 0, 1000, unavailable=1001)),
        "speed": Field("speed_mps", cv.Quantity(2, 0, 30, unavailable=31)),
    },
)

POSITION_SOURCE = """\
def decode(encoded):
    if len(encoded) > 2304: raise GiveUp
    bits = from_bytes(encoded, "big")
    left = 8 * len(encoded)
    left -= 12
    w = bits >> left & 0xfff  # extended, speed?, lat_deg
    if w & 0x800: raise GiveUp
    if w & 0x400:
        left -= 5
        w_2 = bits >> left & 0x1f  # speed_mps
        speed_mps = SPEED_MPS[w_2]
    else:
        speed_mps = None
    if bits & PADDING[left]: raise GiveUp
    return POSITION((x / 1000.0 if (x := w & 0x3ff) <= 1000 else LAT_DEG[x]), speed_mps)


def encode(value):
    acc = 1
    lat_deg = value.lat_deg
    speed_mps = value.speed_mps
    acc = acc << 12 | ((speed_mps is not None) << 10 | (1001 if lat_deg is None else \
floor(x) if 0.0 <= (x := lat_deg * 1000.0 + 0.5) < 1001.0 else LAT_DEG.count(lat_deg)))
    if speed_mps is not None:
        acc = acc << 5 | SPEED_MPS[speed_mps]
    bits = acc.bit_length() - 1
    if not 0 < bits <= 18432: raise GiveUp
    return (acc << (-bits & 7)).to_bytes((bits + 7 >> 3) + 1, "big")[1:]
"""


def codec(type_: UperType, shape: Shape) -> MessageCodec[Any]:
    return MessageCodec("T", lambda: type_, shape)


def comes_back(type_: UperType, shape: Shape, value: Any) -> None:
    """Check that a value takes the generated path both ways and comes back as it was."""
    both = codec(type_, shape)
    encoded = both.encode(value)
    assert both.decode(encoded) == value
    assert decoded_alike(both, encoded)
    assert encoded_alike(both, value)


def test_the_source_is_what_the_description_of_the_generator_says() -> None:
    assert codec(POSITION_TYPE, POSITION).source == POSITION_SOURCE


@pytest.mark.parametrize("lat_deg", [None, 0.0, 0.001, 0.4567, 1.0])
@pytest.mark.parametrize("speed_mps", [None, 0.0, 0.5, 15.0])
def test_numbers_and_optional_components_come_back(lat_deg: float | None, speed_mps: float | None) -> None:
    value = Position(lat_deg=lat_deg, speed_mps=speed_mps)
    both = codec(POSITION_TYPE, POSITION)
    encoded = both.encode(value)
    assert decoded_alike(both, encoded)
    assert encoded_alike(both, value)
    assert both.decode(encoded).speed_mps == speed_mps


def test_the_code_is_written_when_first_needed_and_once() -> None:
    asked = 0

    def type_() -> UperType:
        nonlocal asked
        asked += 1
        return POSITION_TYPE

    lazy = MessageCodec[Position]("T", type_, POSITION)
    assert asked == 0
    lazy.decode(lazy.encode(Position(lat_deg=0.5)))
    assert asked == 2
    lazy.prepare()
    lazy.decode(lazy.encode(Position(lat_deg=0.5)))
    assert asked == 2


class Colour(IntEnum):
    RED = 3
    GREEN = 5


class Everything(Value):
    kind: Colour | None
    a: int | None = None
    b: int | None = None
    flags: int = 0
    tags: tuple[Colour, ...] = ()
    text: str | None = None
    inner: Position | None = None
    side: str = "none"
    left: int | None = None
    on: bool = False
    count: int = 7


NIBBLE = ConstrainedInteger(0, 15)
EVERYTHING_TYPE = Sequence(
    (
        Component("version", NIBBLE),
        Component("kind", Enumerated((3, 5), (9,), {3: "red", 5: "green", 9: "grey"})),
        Component("pair", Sequence((Component("a", NIBBLE), Component("b", NIBBLE, optional=True))), optional=True),
        Component("flags", BitString(Size(3, 3)), optional=True),
        Component("tags", SequenceOf(Enumerated((3, 5), (), {3: "red", 5: "green"}), Size(1, 4)), optional=True),
        Component("text", Utf8String(Size()), optional=True),
        Component("inner", POSITION_TYPE, optional=True),
        Component(
            "side",
            ChoiceType((("left", NIBBLE), ("right", Boolean()), ("up", NIBBLE)), (("down", NIBBLE),)),
        ),
        Component("more", OpenType({}), optional=True),
        Component("count", NIBBLE, optional=True, default=7),
    )
)


EVERYTHING = Record(
    Everything,
    {
        "version": Fixed(2, frozenset({1})),
        "kind": Field("kind", cv.Members(Colour)),
        "pair": Fields({"a": Field("a"), "b": Field("b")}, key="a"),
        "flags": Field("flags", cv.BitNumber(3), absent=0),
        "tags": Field("tags", Items(cv.Members(Colour), drop_unknown=True), absent=()),
        "text": Field("text"),
        "inner": Field("inner", POSITION),
        "side": Choice(
            {"left": With(Field("left"), {"side": "left"}), "right": With(Field("on"), {"side": "right"})},
            select=lambda value: value.side if value.side != "none" else None,
            demand="has no side",
        ),
        "count": Field("count"),
    },
)


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "left", "left": 3},
        {"side": "right", "on": True, "kind": Colour.RED},
        {"side": "right", "a": 1, "b": 2, "flags": 5},
        {"side": "right", "a": 0},
        {"side": "right", "tags": (Colour.RED, Colour.GREEN), "text": "Straße"},
        {"side": "right", "inner": Position(lat_deg=0.5, speed_mps=3.5), "count": 8},
    ],
)
def test_every_kind_of_part_comes_back(changes: dict[str, Any]) -> None:
    comes_back(EVERYTHING_TYPE, EVERYTHING, Everything(**({"kind": Colour.GREEN} | changes)))


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"side": "none"}, "", "has no side"),
        ({"side": "right", "b": 2}, "a", "must be known"),
        ({"side": "right", "kind": None}, "kind", "must be known"),
        ({"side": "right", "flags": 8}, "T.flags", "does not fit"),
        ({"side": "right", "tags": (None,)}, "tags[0]", "must be known"),
        ({"side": "right", "inner": Position(lat_deg=2.0)}, "inner.lat_deg", "is not in"),
        ({"side": "left", "left": 16}, "T.side.left", "is not in"),
        ({"side": "left", "left": None}, "T.side.left", "not an integer"),
    ],
)
def test_what_does_not_fit_is_named_by_the_complete_path(changes: dict[str, Any], field: str, why: str) -> None:
    value = Everything(**({"kind": Colour.GREEN} | changes))
    both = codec(EVERYTHING_TYPE, EVERYTHING)
    assert not encoded_alike(both, value)
    with pytest.raises(EncodeError, match=why) as caught:
        both.encode(value)
    assert caught.value.field == field


def test_what_a_shape_does_not_mention_is_checked_and_dropped() -> None:
    plain = MessageCodec[Any]("T", lambda: EVERYTHING_TYPE)
    tree = {"version": 1, "kind": 5, "side": ("right", True), "more": b"\x12", "count": 7}
    both = codec(EVERYTHING_TYPE, EVERYTHING)
    encoded = plain.encode(tree)
    assert decoded_alike(both, encoded)
    assert both.decode(encoded) == Everything(kind=Colour.GREEN, side="right", on=True)
    with pytest.raises(DecodeError):
        both.decode(encoded[:-1])


@pytest.mark.parametrize(
    ("change", "why"),
    [({"version": 3}, "3 where 2 belongs"), ({"side": ("up", 1)}, "later version"), ({"side": ("down", 1)}, "later version")],
)
def test_what_a_shape_refuses_is_refused_by_both_paths(change: dict[str, Any], why: str) -> None:
    encoded = MessageCodec[Any]("T", lambda: EVERYTHING_TYPE).encode(
        {"version": 2, "kind": 5, "side": ("right", True), "count": 7} | change
    )
    both = codec(EVERYTHING_TYPE, EVERYTHING)
    assert not decoded_alike(both, encoded)
    with pytest.raises(DecodeError, match=why):
        both.decode(encoded)


def test_numbers_of_later_versions_are_unknown_and_never_stop_a_message() -> None:
    tree = {"version": 2, "kind": 9, "tags": (3, "_ext_0"), "side": ("right", True), "count": 7}
    encoded = MessageCodec[Any]("T", lambda: EVERYTHING_TYPE).encode(tree)
    assert codec(EVERYTHING_TYPE, EVERYTHING).decode(encoded) == Everything(kind=None, tags=(Colour.RED,), side="right", on=True)
