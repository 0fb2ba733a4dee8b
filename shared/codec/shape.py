"""Shapes: what a decoded value looks like, declared once and used by every codec path.

A schema says which bits there are; a shape says what the program gets for them. Without one (`PLAIN`) it gets the plain tree that
`uper` describes. With one it gets typed values, the tree's nesting flattened away where the program has no use for it:

    Record(Position, {                                   a SEQUENCE becomes one Position(...)
        "latitude": Field("lat_deg", LATITUDE),          a component becomes its field, through a conversion
        "altitude": Fields({                             a nested SEQUENCE lies flat in the same Position
            "altitudeValue": Field("altitude_m", ALTITUDE_VALUE),
        }),
        "history": Field("history", Items(POINT), absent=()),     a SEQUENCE OF becomes a tuple
    })

A *shape* stands for one value: `PLAIN`, a `Conversion`, a `Record`, an `Items`. A *part* stands for what one component gives to the
record around it: a `Field`, `Fields`, a `Choice`, a `Fixed` number. A `Record` of a `Choice` stands for a CHOICE that is a value of
its own, such as each item of a list.

An OPTIONAL component that is absent leaves its fields at `absent`, and is sent when any of them is something else. Components a
shape does not mention are checked and dropped on decoding, and absent on encoding. Components behind an extension marker may be
mentioned too; their fields must have `absent` as the default of their class, and the complete path alone reads and writes them.

`shaping.py` applies shapes to trees; `decoder_source.py` and `encoder_source.py` write them into the fast path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any, Final, Protocol, TypeAlias

from shared.codec.uper import Tree

_UP_TOLERANCE: Final = 1e-6
"""Part of a step that rounding up forgives, so that a value that came from the wire goes back to the same step."""


class Linear:
    """The regular range of a number: `value = wire / per_unit` for the wire numbers `first` to `last`.

    The generated code does the same arithmetic in the same order, so that both paths round alike.

    Args:
        per_unit: steps per unit; None where the value is the wire number itself, an int.
        first: least wire number the rule holds for.
        last: greatest.
        base: wire numbers are counted from here before rounding; the least of the element, whether regular or not.
        rounds_up: to the next step up, not to the nearest.
    """

    __slots__ = ("base", "bias", "first", "last", "per_unit", "rounds_up")

    def __init__(self, per_unit: float | None, first: int, last: int, base: int = 0, *, rounds_up: bool = False) -> None:
        self.per_unit = per_unit
        self.first = first
        self.last = last
        self.base = base
        self.rounds_up = rounds_up
        self.bias = (-_UP_TOLERANCE if rounds_up else 0.5) - base

    def wire(self, value: float) -> int:
        """Return the wire number of a finite value, whether it is in the range or not; only where there is a scale."""
        assert self.per_unit is not None
        steps = value * self.per_unit + self.bias
        return (ceil(steps) if self.rounds_up else floor(steps)) + self.base


class Conversion(Protocol):
    """Between the plain value of a schema type without components and the program's value."""

    @property
    def linear(self) -> Linear | None:
        """The regular range, where there is one: both paths agree on it by arithmetic. All else goes through the methods."""
        ...

    def decode(self, wire: Tree, /) -> Any:  # noqa: ANN401 - any value a program wants
        """Return the value; total over what the schema allows, later versions included."""
        ...

    def encode(self, field: str, value: Any, /) -> Tree:  # noqa: ANN401
        """Return the plain value; raises `EncodeError` naming `field`."""
        ...


class Plain:
    """The plain tree as it is."""

    __slots__ = ()


PLAIN: Final = Plain()


@dataclass(frozen=True, slots=True)
class Field:
    """A component that becomes one field.

    Args:
        name: the field.
        shape: of its value.
        absent: the field's value where the component is absent: None, or `()` or 0 and then anything false counts as absent.
    """

    name: str
    shape: "Shape" = PLAIN
    absent: Any = None

    def is_given(self, record: Any) -> bool:  # noqa: ANN401 - any record
        """Whether the field of `record` is something to send."""
        value = getattr(record, self.name)
        return value is not None if self.absent is None else bool(value)


@dataclass(frozen=True, slots=True)
class Fields:
    """A SEQUENCE whose components become fields of the record around it.

    Args:
        parts: by name of the component.
        key: for an OPTIONAL one, the field that decides alone whether it is sent; the others must then be absent without it.
    """

    parts: Mapping[str, "Part"]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A CHOICE whose alternatives become different fields of the record around it.

    Args:
        alternatives: by name. Fields of those not chosen keep the record's default.
        select: the name of the alternative for a record, None where none fits; without it, each alternative gives one field and
            the one whose field is given is chosen.
        unless: instead of `select`, where there are two alternatives: the field that is None for the first and not for the second.
        demand: what a record needs for one to fit, as the reason of the `EncodeError`.
        tolerant: whether alternatives the shape does not mention are accepted, giving nothing.
        later: instead, the field that takes such an alternative as its plain tree `(name, content)`, and gives it back.
    """

    alternatives: Mapping[str, "Part"]
    select: Callable[[Any], str | None] | None = None
    unless: str | None = None
    demand: str = "fits no alternative"
    tolerant: bool = False
    later: str | None = None

    @property
    def by_given(self) -> bool:
        """Whether the alternative is the one whose fields are given."""
        return self.select is None and self.unless is None and len(self.alternatives) > 1

    def selected(self, record: Any) -> str | None:  # noqa: ANN401 - any record
        """Return the name of the alternative for a record, None where none fits."""
        names = tuple(self.alternatives)
        if self.unless is not None:
            return names[getattr(record, self.unless) is not None]
        if self.by_given:
            given = [name for name, part in self.alternatives.items() if is_given(part, record)]
            return given[0] if len(given) == 1 else None
        return names[0] if self.select is None else self.select(record)


@dataclass(frozen=True, slots=True)
class With:
    """A part that also settles other fields of the record by being there.

    Args:
        part: the part.
        settled: fields and their values; ignored on encoding.
    """

    part: "Part"
    settled: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A number that must be what it is.

    Args:
        number: what is sent.
        also: what else is accepted.
    """

    number: int
    also: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Record:
    """A SEQUENCE, or a CHOICE, that becomes a value of its own.

    Args:
        cls: its class; `cls(*values)` takes the fields in their order.
        parts: by name of the component; a `Choice` where the type is a CHOICE.
        settled: fields no component gives, and their values; fields neither given nor settled keep their default.
    """

    cls: type[Any]
    parts: "Mapping[str, Part] | Choice"
    settled: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return every field its parts may give, each name once."""
        parts = (self.parts,) if isinstance(self.parts, Choice) else self.parts.values()
        return tuple({one.name: one for part in parts for one in fields_of(part)}.values())


@dataclass(frozen=True, slots=True)
class Items:
    """A SEQUENCE OF that becomes a tuple, or what behaves as one.

    Args:
        item: shape of each item.
        drop_unknown: leave out items that decode to None (numbers of later versions).
        packed: keep the list as its bits where all items have their usual form, and make items when asked for (`packed.py`).
    """

    item: "Shape"
    drop_unknown: bool = False
    packed: bool = False


Shape: TypeAlias = Plain | Record | Items | Conversion
Part: TypeAlias = Field | Fields | Choice | With | Fixed


def fields_of(part: Part) -> tuple[Field, ...]:
    """Return every field a part may give, each name once."""
    match part:
        case Field():
            return (part,)
        case Fixed():
            return ()
        case With():
            return fields_of(part.part)
        case Fields():
            inner = list(part.parts.values())
        case Choice():
            inner = [*([] if part.later is None else [Field(part.later)]), *part.alternatives.values()]
    found = {one.name: one for each in inner for one in fields_of(each)}
    return tuple(found.values())


def defaults_of(cls: type[Any]) -> dict[str, Any]:
    """Return the defaults of a record's class."""
    defaults = cls.__struct_defaults__
    return dict(zip(cls.__struct_fields__[len(cls.__struct_fields__) - len(defaults) :], defaults, strict=True))


def names_of(part: Part) -> tuple[str, ...]:
    """Return the names of all fields a part gives or settles, each once."""
    match part:
        case Field():
            names = [part.name]
        case Fixed():
            names = []
        case With():
            names = [*names_of(part.part), *part.settled]
        case Fields():
            names = [name for inner in part.parts.values() for name in names_of(inner)]
        case Choice():
            names = [name for inner in part.alternatives.values() for name in names_of(inner)]
            names += [] if part.later is None else [part.later]
    return tuple(dict.fromkeys(names))


def is_given(part: Part, record: Any) -> bool:  # noqa: ANN401 - any record
    """Whether any field of a part is something to send."""
    return any(one.is_given(record) for one in fields_of(part))
