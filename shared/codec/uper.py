"""Unaligned packed encoding rules (ITU-T X.691, canonical), one immutable object per type of a schema.

`MessageCodec` is what callers hold: plain trees in, bytes out, and back. A plain tree is

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

from shared.codec.bits import EMPTY, MAX_ENCODED_OCTETS, BitReader, Fault, complete
from shared.core.errors import DecodeError, EncodeError

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


class MessageCodec:
    """The codec of one message type.

    Args:
        name: the type's name, first step of every field path.
        type_: its outermost type.
    """

    __slots__ = ("name", "type")

    def __init__(self, name: str, type_: UperType) -> None:
        self.name = name
        self.type = type_

    def decode(self, encoded: bytes) -> Tree:
        """Decode a complete encoding; raises `DecodeError` (field, reason, bit offset) for anything but a canonical one."""
        if len(encoded) > MAX_ENCODED_OCTETS:
            raise DecodeError(self.name, f"{len(encoded)} octets are more than {MAX_ENCODED_OCTETS}", 0)
        reader = BitReader(encoded)
        try:
            value = self.type.decode(reader)
            reader.finish()
        except Fault as fault:
            raise DecodeError(fault.within(self.name).path, fault.reason, fault.bit) from None
        return value

    def encode(self, value: Tree) -> bytes:
        """Encode a tree canonically; raises `EncodeError` naming the field that does not fit."""
        try:
            encoded = complete(self.type.encode(EMPTY, value))
        except Fault as fault:
            raise EncodeError(fault.within(self.name).path, fault.reason) from None
        if len(encoded) > MAX_ENCODED_OCTETS:
            raise EncodeError(self.name, f"{len(encoded)} octets are more than {MAX_ENCODED_OCTETS}")
        return encoded
