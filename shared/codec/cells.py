"""Cells: schema types that always take the same number of bits, seen as one number each.

A `Cell` of `width` bits holds a count 0..`span`, and every count stands for one plain value. The extension bit in front of an
extensible type belongs to the cell as its highest bit: set, it makes the count greater than `span`, so that one comparison (or an
index beyond the end of a table) finds extensions and values out of range alike.

The tables here are what the generated code looks values up in. They are filled from a conversion's own methods, so the complete
path and the generated one cannot disagree.
"""

from contextlib import suppress
from dataclasses import dataclass
from operator import index
from typing import Any, Final

from shared.codec.bits import Fault
from shared.codec.shape import Conversion
from shared.codec.uper import Tree, UperType
from shared.codec.uper_scalars import BitString, Boolean, ConstrainedInteger, Enumerated, ExtensibleInteger, Size
from shared.core.errors import EncodeError

SMALL: Final = 256
"""Cells with at most this many counts are looked up in a table made beforehand."""


class GiveUp(Exception):  # noqa: N818 - not an error: the complete path decides
    """The generated code does not handle this; the complete path is to look at it."""


NOT_ENCODED: Final = (GiveUp, Fault, EncodeError, LookupError, ValueError, TypeError, AttributeError, OverflowError)
"""How a generated encoder gives up: by itself, in an object of the complete path, in a table, or at a value of another type."""


def give_up(*_: object) -> Any:  # noqa: ANN401 - stands in for a value of any type
    """Raise `GiveUp` where an expression is wanted."""
    raise GiveUp


@dataclass(frozen=True, slots=True)
class Cell:
    """A type of fixed width.

    Args:
        width: bits, with the extension bit.
        span: greatest count.
        lower: plain value of count 0 where count n stands for `lower + n`, None for other types.
        wires: plain values by count for an enumeration, None for other types.
        bits: size of a bit string, whose plain values are (count, bits), None for other types.
        gaps: counts in between that stand for nothing.
    """

    width: int
    span: int
    lower: int | None = None
    wires: tuple[Tree, ...] | None = None
    bits: int | None = None
    gaps: frozenset[int] = frozenset()

    @property
    def base(self) -> int | None:
        """Return the number that count 0 stands for, None where counts are not numbers in order."""
        return self.lower if self.bits is None else 0

    @property
    def is_full(self) -> bool:
        """Whether every number of `width` bits is a count that stands for a value."""
        return self.span + 1 == 1 << self.width and not self.gaps

    def wire(self, count: int) -> Tree:
        """Return the plain value of a count; raises `GiveUp` where there is none."""
        if count > self.span or count in self.gaps:
            raise GiveUp
        if self.lower is not None:
            return self.lower + count
        return (count, self.bits) if self.wires is None else self.wires[count]

    def count(self, wire: Tree) -> int:
        """Return the count of a plain value; raises `GiveUp` where there is none."""
        if self.wires is not None:
            if wire not in self.wires:
                raise GiveUp
            return self.wires.index(wire)
        if self.lower is not None:
            count = index(wire) - self.lower
        else:
            number, bits = wire
            if bits != self.bits:
                raise GiveUp
            count = index(number)
        if not 0 <= count <= self.span or count in self.gaps:
            raise GiveUp
        return count


def cell_of(type_: UperType) -> Cell | None:
    """Return a type as a cell, None where its values differ in width."""
    match type_:
        case Boolean():
            return Cell(1, 1, wires=(False, True))
        case ConstrainedInteger():
            return _integer(type_, type_.width)
        case ExtensibleInteger():
            return _integer(type_.root, 1 + type_.root.width)
        case Enumerated():
            width = type_.root_index.width + (type_.additions is not None)
            return Cell(width, len(type_.root) - 1, wires=type_.root)
        case BitString() if type_.size.lower == type_.size.upper:
            bits = type_.size.lower
            return Cell(bits + type_.size.extensible, (1 << bits) - 1, bits=bits)
        case _:
            return None


def length_cell(size: Size) -> Cell | None:
    """Return the length in front of a string or list as a cell, None where it is not there or has no fixed width."""
    if size.root is None or size.fixed is not None:
        return None
    return _integer(size.root, size.root.width + size.extensible)


def _integer(type_: ConstrainedInteger, width: int) -> Cell | None:
    if not width:
        return None
    gaps = frozenset(n - type_.lower for first, last in type_.gaps for n in range(first, last + 1))
    return Cell(width, type_.span, lower=type_.lower, gaps=gaps)


class DecodeTable(dict[int, Any]):
    """Values by count for cells too wide for a table made beforehand; each is converted when first met, so at most `span` + 1."""

    def __init__(self, cell: Cell, conversion: Conversion) -> None:
        super().__init__()
        self._cell = cell
        self._conversion = conversion

    def __missing__(self, count: int) -> Any:  # noqa: ANN401 - whatever the conversion makes
        value = self[count] = self._conversion.decode(self._cell.wire(count))
        return value


class EncodeTable(dict[Any, int]):
    """Counts by value. What is not on a step is converted each time and never kept, so the table is as small as the cell."""

    def __init__(self, cell: Cell, conversion: Conversion) -> None:
        super().__init__()
        self._cell = cell
        self._conversion = conversion
        for count in range(cell.span + 1 if cell.span < SMALL else 0):
            if count not in cell.gaps:
                value = conversion.decode(cell.wire(count))
                with suppress(EncodeError):  # a value that can be received but not sent
                    self[value] = self.count(value)

    def __missing__(self, value: Any) -> int:  # noqa: ANN401 - whatever the program hands over
        count = self.count(value)
        if self._conversion.decode(self._cell.wire(count)) == value:
            self[value] = count
        return count

    def count(self, value: Any) -> int:  # noqa: ANN401
        """Return the count of a value; raises `GiveUp` where the cell has none, `EncodeError` where the conversion refuses."""
        return self._cell.count(self._conversion.encode("", value))


def decode_table(cell: Cell, conversion: Conversion | None) -> tuple[Any, ...]:
    """Return the values of all counts of a small cell; a count beyond the end has none."""
    plain = [cell.wire(count) for count in range(cell.span + 1)]
    return tuple(plain if conversion is None else [conversion.decode(wire) for wire in plain])
