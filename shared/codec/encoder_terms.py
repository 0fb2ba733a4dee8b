"""Terms that generated encoders are made of: conditions on fields, and what code and generator both ask of plain values."""

from collections.abc import Mapping
from operator import index

from shared.codec.cells import Cell, GiveUp
from shared.codec.shape import Conversion, Field
from shared.codec.uper import Tree
from shared.core.errors import EncodeError


def bit_string(value: Tree, bits: int) -> int:
    """Return the number in a plain bit string of a fixed size."""
    if value.__class__ is not tuple or len(value) != 2 or value[1] != bits:
        raise GiveUp
    number = index(value[0])
    if number >> bits:
        raise GiveUp
    return number


def is_sent(field: Field, variables: Mapping[str, str]) -> str:
    """Return the condition that a field is something to send."""
    return variables[field.name] + (" is not None" if field.absent is None else "")


def as_bit(test: str) -> str:
    """Return a condition as a number; a bool serves as one."""
    plain = test.endswith("None") and " and " not in test and " or " not in test
    return f"({test})" if plain else f"(1 if {test} else 0)"


def count_of_none(cell: Cell, conversion: Conversion) -> int | None:
    """Return the count that stands for None, where there is one."""
    try:
        return cell.count(conversion.encode("", None))
    except (EncodeError, GiveUp, TypeError):
        return None
