"""Unaligned packed encoding rules (ITU-T X.691, canonical), one immutable object per type of a schema.

These objects are the complete path: they handle all a schema allows. `message_codec.MessageCodec`, which is what callers hold, puts
generated code in front of them. Their values are plain trees:

    SEQUENCE          dict of the components that are present; an absent DEFAULT is filled in
    SEQUENCE OF       tuple
    CHOICE            (name of the alternative, value)
    INTEGER           int            ENUMERATED     int (the number the schema gives the name)
    BOOLEAN           bool           NULL           None
    BIT STRING        (value as int, number of bits)
    OCTET STRING      bytes          character strings   str
    open type         the tree of its type, or bytes where the schema does not know it

What a newer version of the schema added stays as it came: component `_ext_<n>` with its octets in a SEQUENCE (n counts from the
extension marker; None when the last addition announced is absent), alternative `_ext_<n>` in a CHOICE, the text `_ext_<n>` in
an ENUMERATED. All of it re-encodes to the same bytes.

Decoding accepts the canonical encoding of a value within its constraints and nothing else. All objects are immutable once built,
so any number of threads may use them. Scalar types are in `uper_scalars.py`, composite ones in `uper_composites.py`; `asn1.py`
builds them from the compiled schemas.
"""

from typing import Any, Protocol, TypeAlias

from shared.codec.bits import BitReader

Tree: TypeAlias = Any
"""A plain tree, as the opening of this module describes."""


class UperType(Protocol):
    """One type of a schema: how its values become bits and bits its values."""

    def decode(self, reader: BitReader, /) -> Tree:
        """Read one value; raises `Fault`."""
        ...

    def encode(self, acc: int, value: Tree, /) -> int:
        """Return `acc` with the bits of `value` appended; raises `Fault`."""
        ...
