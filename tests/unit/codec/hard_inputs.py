"""Encodings that are as much work as a schema allows: every list in it filled to the longest encoding that is looked at."""

from collections.abc import Iterator
from typing import Any

from shared.codec.bits import EMPTY, MAX_ENCODED_OCTETS, MAX_LENGTH, complete
from shared.codec.uper import UperType
from shared.codec.uper_composites import Choice, Component, OpenType, Recursive, Sequence, SequenceOf
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
    Utf8String,
)

FULL_ITEM_BITS = 600
"""Size of list items that hold full lists themselves."""


def least(type_: UperType) -> Any:
    """Return a value that takes few bits."""
    match type_:
        case Boolean():
            return False
        case Null():
            return None
        case ConstrainedInteger():
            return type_.lower
        case ExtensibleInteger():
            return type_.root.lower
        case SemiConstrainedInteger():
            return type_.lower or 0
        case Enumerated():
            return type_.root[0]
        case BitString():
            return 0, type_.size.lower
        case OctetString():
            return bytes(type_.size.lower)
        case CharacterString():
            return type_.alphabet[0] * type_.size.lower
        case Utf8String():
            return "a" * type_.size.lower
        case SequenceOf():
            return (least(type_.item),) * type_.size.lower
        case Choice():
            ways = [(name, least(inner)) for name, inner in type_.root if not isinstance(inner, Recursive)]
            return min(ways, key=lambda one: bits(type_, one))
        case Sequence():
            return {c.name: _least_component(c) for c in type_.components if not c.optional}
        case _:
            raise NotImplementedError(type_)


def _least_component(component: Component) -> Any:
    return b"\0" if isinstance(component.type, OpenType) else least(component.type)


def bits(type_: UperType, value: Any) -> int:
    return type_.encode(EMPTY, value).bit_length() - 1


def fillings(type_: UperType, budget: int, within: tuple[int, ...] = (), lists: int = 2) -> Iterator[Any]:
    """Yield, for every list at most `lists` deep, values in which it holds as many items as `budget` bits allow."""
    if id(type_) in within:
        return
    within = (*within, id(type_))
    match type_:
        case SequenceOf() if lists:
            yield from _filled(type_, budget, within, lists - 1)
        case Choice():
            for name, inner in (*type_.root, *(type_.additions or ())):
                yield from ((name, value) for value in fillings(inner, budget - 20, within, lists))
        case Sequence():
            base = least(type_)
            rest = budget - bits(type_, base) - 20
            for c in type_.components:
                if isinstance(c.type, OpenType):
                    for key, inner in c.type.table.items():
                        chosen = {**base, str(c.governor): key}
                        yield from ({**chosen, c.name: value} for value in fillings(inner, rest - 40, within, lists))
                else:
                    yield from ({**base, c.name: value} for value in fillings(c.type, rest, within, lists))
            for addition in type_.additions or ():
                for value in fillings(addition.type, rest - 100, within, lists):
                    yield {**base, **value} if addition.is_group else {**base, addition.name: value}
        case _:
            return


def _filled(type_: SequenceOf, budget: int, within: tuple[int, ...], lists: int) -> Iterator[tuple[Any, ...]]:
    item = least(type_.item)
    full = fillings(type_.item, FULL_ITEM_BITS, within, lists)
    for filling in (item, *_with_one_component(type_.item, item), *full):
        most = MAX_LENGTH if type_.size.extensible or type_.size.upper is None else type_.size.upper
        count = min(most, max(1, (budget - 32) // bits(type_.item, filling)))
        if count >= type_.size.lower:
            yield (filling,) * count


def _with_one_component(type_: UperType, item: Any) -> Iterator[Any]:
    if isinstance(type_, Sequence):
        for c in type_.components:
            if c.optional and not isinstance(c.type, (OpenType, Recursive)):
                yield {**item, c.name: least(c.type)}


def hard_encodings(type_: UperType) -> Iterator[bytes]:
    """Yield encodings of a message type, each as long as is looked at."""
    for value in fillings(type_, 8 * MAX_ENCODED_OCTETS):
        encoded = complete(type_.encode(EMPTY, value))
        if len(encoded) <= MAX_ENCODED_OCTETS:
            yield encoded
