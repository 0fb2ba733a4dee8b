"""Lists kept as the bits of the wire: every item is checked where it lies, and made only when somebody asks for it.

A path history takes two thirds of a message's bits and is read by few who receive it; who sends it sends the same points again and
again, but for the first. Where all items of a list have the one usual form (no extension, every optional component there), the
list is a number:

    flag 1 | latitude 18 | longitude 18 | altitude 15 | time 17        one item, 69 bits
    item | item | item | ...                                            the list

Arithmetic on the whole number checks all its items at once:

    list & FLAGS == EXPECTED             extension bits and optional components are as in the usual form
    (list & FIELD) + ROOM & CARRY        one field of every item; ROOM is 2^width - 1 - span, so a count above `span`, and no
                                         other, carries into the bit above the field, which FIELD leaves empty

`Packed` behaves as the tuple of its items: equal to it, of the same hash. Left out: items of varying width; for those, and wherever
a check fails, the list is read item by item (`decoder_source.py`).
"""

import collections.abc
from collections.abc import Callable, Iterator
from sys import intern
from typing import Any, cast

import msgspec

from shared.codec.cells import NOT_ENCODED, cell_of
from shared.codec.uper import UperType
from shared.codec.uper_composites import Sequence

Field = tuple[int, int | None, int]
"""Width, expected number (None for any) and greatest count of one field."""

Check = tuple[int, int, int]
"""Place of a field's lowest bit, its width and its greatest count."""

Rule = tuple[int, int, int, tuple[tuple[int, int, int], ...]]
"""For lists of one length: all bits; flags and what they must be; for each pass FIELD, ROOM and CARRY."""


class Packing:
    """How items of one kind lie in a list.

    Args:
        type_: of an item: a SEQUENCE of components of fixed width, SEQUENCEs of such among them.
        make_reader: returns what makes an item of its bits; called when the first item is asked for.
        make_writer: returns what makes bits of an item, behind a one; called when the first is packed.

    Raises:
        ValueError: the items do not have one width, or two fields cannot be told apart by a carry.
    """

    __slots__ = ("_flags", "_make_reader", "_make_writer", "_passes", "_reader", "_rules", "_writer", "layout", "width")

    def __init__(
        self,
        type_: UperType,
        make_reader: Callable[[], Callable[[int], Any]],
        make_writer: Callable[[], Callable[[Any], int]],
    ) -> None:
        fields = tuple(_fields(type_))
        self.layout = layout_of(type_)
        self.width = width_of(type_)
        self._flags: list[tuple[int, int]] = []
        self._passes: list[list[Check]] = []
        shift = self.width
        for width, expected, span in fields:
            shift -= width
            if expected is not None:
                self._flags.append((shift, expected))
            elif span < (1 << width) - 1:
                self._add((shift, width, span))
        self._make_reader = make_reader
        self._make_writer = make_writer
        self._reader: Callable[[int], Any] | None = None
        self._writer: Callable[[Any], int] | None = None
        self._rules: dict[int, Rule] = {}

    def take(self, bits: int, left: int, count: int) -> "Packed | tuple[()] | None":
        """Return the next `count` items, or None where they must be read one by one.

        Args:
            bits: all bits of the message as one number.
            left: how many of them are unread.
            count: how many items there are, within the bounds of their list.
        """
        if not count:
            return ()
        behind = left - self.width * count
        if behind < 0:
            return None
        everything, flags, expected, passes = self._rules.get(count) or self._rule(count)
        items = bits >> behind & everything
        if items & flags != expected:
            return None
        for field, room, carry in passes:
            if (items & field) + room & carry:
                return None
        return Packed(items, count, self)

    def read(self, bits: int) -> Any:  # noqa: ANN401 - whatever the list consists of
        """Make one item of its bits."""
        if self._reader is None:
            self._reader = self._make_reader()
        return self._reader(bits)

    def led_by(self, first: Any, rest: collections.abc.Sequence[Any]) -> collections.abc.Sequence[Any]:  # noqa: ANN401
        """Return the list of `first` and `rest`, packed where `rest` is packed or empty and `first` has the usual form.

        Nothing is refused here: with an item that cannot be sent, the list is a tuple, and the encoder says so.
        """
        bits = length = 0
        if isinstance(rest, Packed) and rest.packing.layout == self.layout:
            bits, length = rest.bits, rest.length
        elif rest:
            return (first, *rest)
        if self._writer is None:
            self._writer = self._make_writer()
        try:
            written = self._writer(first)
        except NOT_ENCODED:
            return (first, *rest)
        if written >> self.width != 1:
            return (first, *rest)
        packed = Packed((written ^ 1 << self.width) << self.width * length | bits, length + 1, self)
        return cast("collections.abc.Sequence[Any]", packed)

    def _add(self, check: Check) -> None:
        """Put a check into the first pass in which no other field touches it; the item above is like this one."""

        def touch(low: Check, high: Check) -> bool:
            return (low[0] + low[1]) % self.width == high[0]

        if touch(check, check):
            raise ValueError("an item of one field alone leaves no room for a carry")
        for one in self._passes:
            if not any(touch(check, other) or touch(other, check) for other in one):
                one.append(check)
                return
        self._passes.append([check])

    def _rule(self, count: int) -> Rule:
        every = sum(1 << self.width * number for number in range(count))
        passes = []
        for one in self._passes:
            field = sum((1 << width) - 1 << shift for shift, width, _ in one)
            room = sum((1 << width) - 1 - span << shift for shift, width, span in one)
            carry = sum(1 << shift + width for shift, width, _ in one)
            passes.append((field * every, room * every, carry * every))
        flags = sum(1 << shift for shift, _ in self._flags)
        expected = sum(number << shift for shift, number in self._flags)
        rule = self._rules[count] = ((1 << self.width * count) - 1, flags * every, expected * every, tuple(passes))
        return rule


class Packed(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A list as its bits; to whoever reads it, the tuple of its items. Only a `Packing` makes one.

    Attributes:
        bits: of all items.
        length: how many there are, at least one.
        packing: how they lie.
    """

    bits: int
    length: int
    packing: Packing

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int | slice) -> Any:  # noqa: ANN401
        if isinstance(index, slice):
            return tuple(self)[index]
        number = range(self.length)[index]
        width = self.packing.width
        return self.packing.read(self.bits >> width * (self.length - 1 - number) & (1 << width) - 1)

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(self.length))

    def count(self, item: object) -> int:
        """Return how often an item occurs."""
        return tuple(self).count(item)

    def index(self, item: object, *bounds: int) -> int:
        """Return where an item occurs first; raises ValueError where it does not."""
        return tuple(self).index(item, *bounds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed) and other.packing is self.packing:
            return self.bits == other.bits and self.length == other.length
        if isinstance(other, Packed | tuple):
            return tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[type[tuple[Any, ...]], tuple[tuple[Any, ...]]]:
        return tuple, (tuple(self),)


collections.abc.Sequence.register(Packed)


def layout_of(type_: UperType) -> str:
    """Return how an item in its usual form lies, as a word to compare; raises ValueError where its width varies."""
    return intern(" ".join(f"{width}:{'' if expected is None else expected}<={span}" for width, expected, span in _fields(type_)))


def width_of(type_: UperType) -> int:
    """Return the bits of an item; raises ValueError where they vary."""
    return sum(width for width, _, _ in _fields(type_))


def _fields(type_: UperType) -> Iterator[Field]:
    """Yield the fields of an item, highest first."""
    if isinstance(type_, Sequence):
        if type_.additions is not None:
            yield 1, 0, 1
        for component in type_.components:
            if component.default is not None:
                raise ValueError(f"{component.name} has a default, which must not be sent")
            if component.optional:
                yield 1, 1, 1
        for component in type_.components:
            yield from _fields(component.type)
        return
    cell = cell_of(type_)
    if cell is None or cell.gaps:
        raise ValueError("an item has a component of no fixed width")
    yield cell.width, None, cell.span
