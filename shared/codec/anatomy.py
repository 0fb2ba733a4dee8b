"""What schema types are made of: for those who ask about a whole type rather than encode a value of it."""

from collections import Counter
from collections.abc import Iterator

from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice, Sequence, SequenceOf


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
