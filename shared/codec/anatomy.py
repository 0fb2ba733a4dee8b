"""What schema types are made of: for those who ask about a whole type rather than encode a value of it."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice, Sequence, SequenceOf

BULKY_LIST: Final = 16


def root_components(type_: UperType) -> Iterator[UperType]:
    """Yield the types directly inside a type, leaving out what lies behind extension markers and in open types."""
    match type_:
        case Sequence():
            yield from (component.type for component in type_.components)
        case Choice():
            yield from (inner for _, inner in type_.root)
        case SequenceOf():
            yield type_.item


def shared_types(type_: UperType) -> frozenset[int]:
    """Return the identities of SEQUENCE and CHOICE types that occur in more than one place inside a type."""
    uses: Counter[int] = Counter()

    def visit(one: UperType) -> None:
        for inner in root_components(one):
            if isinstance(inner, (Sequence, Choice)):
                uses[id(inner)] += 1
                if uses[id(inner)] > 1:
                    continue
            visit(inner)

    visit(type_)
    return frozenset(key for key, count in uses.items() if count > 1)


def longest_list(type_: UperType) -> int:
    """Return how many items the longest list inside a type may have within its bounds, 0 where there is none."""
    own = type_.size.upper or 0 if isinstance(type_, SequenceOf) else 0
    return max([own, *map(longest_list, root_components(type_))])


def is_bulky(type_: UperType) -> bool:
    """Whether a value of the type takes so many bits that it is worth its own number while it is read or written."""
    return longest_list(type_) >= BULKY_LIST
