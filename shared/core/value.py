"""Values: what a message is made of once it is decoded.

A `Value` is immutable, has slots, is compared by content and hashed by it where its fields can be. It is built by keyword; type
checkers enforce that, and the generated codec alone builds by position, which takes a fifth of the time (so no `kw_only=True` in a
class statement). Changed copies come from `msgspec.structs.replace(value, field=...)`.

Values hold numbers, text, enumeration members, other values, tuples and plain trees, so they never form a cycle, and the garbage
collector does not track them: thousands of messages kept alive cost it nothing.
"""

from typing import dataclass_transform

import msgspec


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of every value; declare fields as in a dataclass."""
