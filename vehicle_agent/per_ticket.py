"""A bounded store of what tickets say, in which no ticket takes the room of others."""

from collections import OrderedDict
from typing import TypeVar

from shared.core.ids import HashedId8

_Name = TypeVar("_Name")
_Value = TypeVar("_Value")


def put_per_ticket(
    store: OrderedDict[tuple[_Name, HashedId8], _Value],
    key: tuple[_Name, HashedId8],
    value: _Value,
    *,
    capacity: int,
    per_ticket: int,
) -> None:
    """Keep the latest value of a name and ticket as the one heard last.

    Args:
        store: by what is spoken of, and the ticket that speaks.
        key: which.
        value: what is said now.
        capacity: most values in all; beyond it the one heard longest ago gives way.
        per_ticket: most values of one ticket; beyond it that ticket's oldest gives way.
    """
    if store.pop(key, None) is None:
        own = [known for known in store if known[1] == key[1]]
        if len(own) >= per_ticket:
            del store[own[0]]
        elif len(store) >= capacity:
            store.popitem(last=False)
    store[key] = value
