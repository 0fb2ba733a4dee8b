"""UPER of types without components: numbers, bits, octets and characters. The module `uper` describes their values."""

import operator
from typing import Final

from shared.codec.bits import (
    EMPTY,
    MAX_LENGTH,
    BitReader,
    Fault,
    append,
    read_length,
    read_signed,
    read_small,
    read_unsigned,
    write_length,
    write_signed,
    write_small,
    write_unsigned,
)
from shared.codec.uper import Tree

EXTENSION_PREFIX: Final = "_ext_"
_MAX_TEXT_SHOWN: Final = 40


def shown(value: Tree) -> str:
    """Return a value as an error message may show it: short whatever it is."""
    if isinstance(value, (int, float)) and not -(1 << 64) < value < 1 << 64:
        return "a number far out of range"
    text = repr(value)
    return text if len(text) <= _MAX_TEXT_SHOWN else f"{text[:_MAX_TEXT_SHOWN]}..."


def extension_index(name: str) -> int:
    """Return n of `_ext_<n>` in its one spelling; raises `Fault`."""
    digits = name.removeprefix(EXTENSION_PREFIX)
    if digits == name or not (digits.isascii() and digits.isdigit()) or str(int(digits[:3])) != digits:
        raise Fault(f"{shown(name)} is not in the schema")
    return int(digits)


def _require_int(value: Tree) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise Fault(f"{shown(value)} is not an integer") from None


class Boolean:
    """BOOLEAN (clause 12)."""

    __slots__ = ()

    def decode(self, reader: BitReader) -> bool:
        """Read one bit."""
        return reader.take(1) == 1

    def encode(self, acc: int, value: Tree) -> int:
        """Write one bit."""
        if not isinstance(value, bool):
            raise Fault(f"{shown(value)} is not a boolean")
        return acc << 1 | value


class Null:
    """NULL (clause 18): no bits."""

    __slots__ = ()

    def decode(self, _reader: BitReader) -> None:
        """Read nothing."""

    def encode(self, acc: int, value: Tree) -> int:
        """Write nothing."""
        if value is not None:
            raise Fault(f"{shown(value)} where only None fits")
        return acc


class ConstrainedInteger:
    """INTEGER (lower..upper) (11.5).

    Args:
        lower: least value.
        upper: greatest value.
        gaps: ranges (first, last) in between that the constraint leaves out.
        name: what errors call it.
    """

    __slots__ = ("gaps", "lower", "mask", "span", "upper", "width")

    def __init__(self, lower: int, upper: int, gaps: tuple[tuple[int, int], ...] = ()) -> None:
        self.lower = lower
        self.upper = upper
        self.gaps = gaps
        self.span = upper - lower
        self.width = self.span.bit_length()
        self.mask = (1 << self.width) - 1

    def decode(self, reader: BitReader) -> int:
        """Read the offset from `lower` in as few bits as the range needs."""
        left = reader.left - self.width
        if left < 0:
            raise reader.short(self.width)
        offset = (reader.bits >> left) & self.mask
        value = offset + self.lower
        if offset > self.span or (self.gaps and self._in_gap(value)):
            raise reader.fault(f"{value} is not in {self.range_text}")
        reader.left = left
        return value

    def encode(self, acc: int, value: Tree) -> int:
        """Write the offset from `lower`."""
        if value.__class__ is not int:
            value = _require_int(value)
        offset: int = value - self.lower
        if not 0 <= offset <= self.span or (self.gaps and self._in_gap(value)):
            raise Fault(f"{shown(value)} is not in {self.range_text}")
        return acc << self.width | offset

    @property
    def range_text(self) -> str:
        """Return the range as errors show it."""
        return f"{self.lower}..{self.upper}" + "".join(f" without {a}..{b}" for a, b in self.gaps)

    def _in_gap(self, value: int) -> bool:
        return any(first <= value <= last for first, last in self.gaps)


class ExtensibleInteger:
    """INTEGER (lower..upper, ...) (13.1): values beyond the root are unconstrained."""

    __slots__ = ("root",)

    def __init__(self, root: ConstrainedInteger) -> None:
        self.root = root

    def decode(self, reader: BitReader) -> int:
        """Read a value of the root, or one beyond it that the root could not have held."""
        if not reader.take(1):
            return self.root.decode(reader)
        value = read_signed(reader)
        if self.root.lower <= value <= self.root.upper:
            raise reader.fault(f"{value} as an extension although it is in {self.root.range_text}")
        return value

    def encode(self, acc: int, value: Tree) -> int:
        """Write a value of the root, or any other integer as an extension."""
        number = _require_int(value)
        if self.root.lower <= number <= self.root.upper:
            return self.root.encode(acc << 1, number)
        return write_signed(acc << 1 | 1, number)


class SemiConstrainedInteger:
    """INTEGER (lower..MAX) (11.7), or without any bound (11.8) where `lower` is None."""

    __slots__ = ("lower",)

    def __init__(self, lower: int | None) -> None:
        self.lower = lower

    def decode(self, reader: BitReader) -> int:
        """Read the value."""
        return read_signed(reader) if self.lower is None else self.lower + read_unsigned(reader)

    def encode(self, acc: int, value: Tree) -> int:
        """Write the value."""
        number = _require_int(value)
        if self.lower is None:
            return write_signed(acc, number)
        if number < self.lower:
            raise Fault(f"{shown(number)} is below {self.lower}")
        return write_unsigned(acc, number - self.lower)


class Enumerated:
    """ENUMERATED (clause 14).

    Args:
        root: the numbers of the root, in the order of their index.
        additions: the numbers after the extension marker, None where there is no marker.
        names: what the schema calls each number.
    """

    __slots__ = ("additions", "extension_indices", "names", "root", "root_index", "root_indices")

    def __init__(self, root: tuple[int, ...], additions: tuple[int, ...] | None, names: dict[int, str]) -> None:
        self.root = root
        self.additions = additions
        self.names = names
        self.root_index = ConstrainedInteger(0, len(root) - 1)
        self.root_indices = {number: index for index, number in enumerate(root)}
        self.extension_indices = {number: index for index, number in enumerate(additions or ())}

    def decode(self, reader: BitReader) -> int | str:
        """Read an index, return the number it stands for."""
        if self.additions is None or not reader.take(1):
            return self.root[self.root_index.decode(reader)]
        index = read_small(reader)
        return self.additions[index] if index < len(self.additions) else f"{EXTENSION_PREFIX}{index}"

    def encode(self, acc: int, value: Tree) -> int:
        """Write the index of a number."""
        if isinstance(value, str) and self.additions is not None:
            index = extension_index(value)
            if index < len(self.additions):
                raise Fault(f"{value} has a number in the schema: {self.additions[index]}")
            return write_small(acc << 1 | 1, index)
        number = _require_int(value)
        root_index = self.root_indices.get(number)
        if root_index is not None:
            return self.root_index.encode(acc if self.additions is None else acc << 1, root_index)
        extended = self.extension_indices.get(number)
        if extended is None:
            raise Fault(f"{shown(number)} is not one of {tuple(self.names)}")
        return write_small(acc << 1 | 1, extended)


class Size:
    """The size constraint of a string or list, and the length that goes with it (11.9).

    Args:
        lower: least size.
        upper: greatest size, None where unbounded.
        extensible: whether later versions may exceed the bounds.
    """

    __slots__ = ("extensible", "fixed", "lower", "root", "upper")

    def __init__(self, lower: int = 0, upper: int | None = None, *, extensible: bool = False) -> None:
        self.lower = lower
        self.upper = upper
        self.extensible = extensible
        self.root = None if upper is None or upper > MAX_LENGTH else ConstrainedInteger(lower, upper)
        self.fixed = lower if lower == upper and not extensible else None

    def decode(self, reader: BitReader) -> int:
        """Read a length."""
        if self.fixed is not None:
            return self.fixed
        extended = self.extensible and reader.take(1)
        if self.root is not None and not extended:
            return self.root.decode(reader)
        length = read_length(reader)
        within = self.contains(length)
        if extended and within:
            raise reader.fault(f"size {length} as an extension although it is within the bounds")
        if not extended and not within:
            raise reader.fault(f"size {length} is not in {self.range_text}")
        return length

    def encode(self, acc: int, length: int) -> int:
        """Write a length."""
        within = self.contains(length)
        if not within and not self.extensible:
            raise Fault(f"size {length} is not in {self.range_text}")
        if self.extensible:
            acc = acc << 1 | (not within)
        if within and self.root is not None:
            return self.root.encode(acc, length)
        return write_length(acc, length)

    def contains(self, length: int) -> bool:
        """Whether the size is within the root of the constraint."""
        return self.lower <= length and (self.upper is None or length <= self.upper)

    @property
    def range_text(self) -> str:
        """Return the bounds as errors show them."""
        return f"{self.lower}..{'' if self.upper is None else self.upper}"


class BitString:
    """BIT STRING (clause 16).

    Args:
        size: its size constraint.
        names: names of single bits; with them, trailing zero bits mean nothing and are not sent beyond the least size (16.2).
    """

    __slots__ = ("names", "size")

    def __init__(self, size: Size, names: dict[int, str] | None = None) -> None:
        self.size = size
        self.names = names or {}

    def decode(self, reader: BitReader) -> tuple[int, int]:
        """Read the bits as (value, number of bits)."""
        bits = self.size.decode(reader)
        value = reader.take(bits)
        if self.names and bits > self.size.lower and not value & 1:
            raise reader.fault("a named bit string ends in a zero bit")
        return value, bits

    def encode(self, acc: int, value: Tree) -> int:
        """Write (value, number of bits)."""
        if not isinstance(value, tuple) or len(value) != 2:
            raise Fault(f"{shown(value)} is not (value, number of bits)")
        number, bits = _require_int(value[0]), _require_int(value[1])
        if not 0 <= bits <= MAX_LENGTH or not 0 <= number < 1 << bits:
            raise Fault(f"{shown(number)} does not fit {shown(bits)} bits")
        if self.names and bits > self.size.lower and not number & 1:
            raise Fault("a named bit string must not end in a zero bit")
        return self.size.encode(acc, bits) << bits | number


class OctetString:
    """OCTET STRING (clause 17)."""

    __slots__ = ("size",)

    def __init__(self, size: Size) -> None:
        self.size = size

    def decode(self, reader: BitReader) -> bytes:
        """Read the octets."""
        octets = self.size.decode(reader)
        return reader.take(8 * octets).to_bytes(octets, "big")

    def encode(self, acc: int, value: Tree) -> int:
        """Write the octets."""
        if not isinstance(value, (bytes, bytearray)):
            raise Fault(f"{shown(value)} is not octets")
        return self.size.encode(acc, len(value)) << 8 * len(value) | int.from_bytes(value, "big")


class CharacterString:
    """A string of known multiplier (clause 30): each character is its index in `alphabet`, in as few bits as that needs.

    Args:
        size: its size constraint, in characters.
        alphabet: the permitted characters in canonical order.
    """

    __slots__ = ("alphabet", "character", "indices", "size")

    def __init__(self, size: Size, alphabet: str) -> None:
        self.size = size
        self.alphabet = alphabet
        self.character = ConstrainedInteger(0, len(alphabet) - 1)
        self.indices = {character: index for index, character in enumerate(alphabet)}

    def decode(self, reader: BitReader) -> str:
        """Read the characters."""
        width = self.character.width
        bits = width * self.size.decode(reader)
        packed = reader.take(bits)
        mask, alphabet = self.character.mask, self.alphabet
        try:
            return "".join([alphabet[packed >> shift & mask] for shift in range(bits - width, -1, -width)])
        except IndexError:
            raise reader.fault("a character outside the alphabet") from None

    def encode(self, acc: int, value: Tree) -> int:
        """Write the characters."""
        if not isinstance(value, str):
            raise Fault(f"{shown(value)} is not text")
        acc = self.size.encode(acc, len(value))
        packed, width = EMPTY, self.character.width
        for character in value:
            index = self.indices.get(character)
            if index is None:
                raise Fault(f"{shown(character)} is not in the alphabet")
            packed = packed << width | index
        return append(acc, packed)


class Utf8String:
    """UTF8String (clause 30.3): its length is in octets and unconstrained; `size` binds its characters."""

    __slots__ = ("size",)

    def __init__(self, size: Size) -> None:
        self.size = size

    def decode(self, reader: BitReader) -> str:
        """Read the text."""
        octets = read_length(reader)
        try:
            text = reader.take(8 * octets).to_bytes(octets, "big").decode()
        except UnicodeDecodeError:
            raise reader.fault("not UTF-8") from None
        if not self.size.contains(len(text)) and not self.size.extensible:
            raise reader.fault(f"{len(text)} characters, not {self.size.range_text}")
        return text

    def encode(self, acc: int, value: Tree) -> int:
        """Write the text."""
        if not isinstance(value, str):
            raise Fault(f"{shown(value)} is not text")
        if not self.size.contains(len(value)) and not self.size.extensible:
            raise Fault(f"{len(value)} characters, not {self.size.range_text}")
        try:
            octets = value.encode()
        except UnicodeEncodeError:
            raise Fault("a lone surrogate is not text") from None
        return write_length(acc, len(octets)) << 8 * len(octets) | int.from_bytes(octets, "big")
