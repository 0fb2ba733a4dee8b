"""Bits of a UPER encoding: a reader over one big integer, an accumulator, and the numbers X.691 builds everything from.

Clauses are of ITU-T X.691 (2021). Writing needs no object: an accumulator is an integer that starts as `EMPTY`, a sentinel bit, and
grows at its low end (`acc << width | value`), so every encoder is a function from accumulator to accumulator.

Only canonical forms are read: shortest lengths, shortest integers, zero padding. Fragmented lengths (11.9.3.8) and normally small
numbers from 64 on are refused, not read: nothing that fits a V2X packet needs them.
"""

from typing import Final

from shared.core.errors import V2xError

EMPTY: Final = 1
"""The accumulator before the first bit."""

MAX_ENCODED_OCTETS: Final = 2_304
"""Longest encoding that is looked at or made: the largest frame of IEEE 802.11. A GeoNetworking packet carries at most 1,398."""

MAX_LIST_ITEMS: Final = 8 * MAX_ENCODED_OCTETS
"""Most list items in one encoding, over all its lists. Every item of the schemas has a bit of its own, so no message comes near."""

MAX_NESTING: Final = 24
"""Deepest nesting of open types and recursive types."""

MAX_LENGTH: Final = 16_383
"""Longest unconstrained length without fragments."""

MAX_INTEGER_OCTETS: Final = 8
"""Longest integer outside a constrained range."""

_SMALL_BITS: Final = 6
_FORGET_AFTER_BITS: Final = 512


class Fault(V2xError):  # noqa: N818 - internal; never leaves the codec
    """A value or an encoding that does not fit; the outermost codec turns it into a `DecodeError` or an `EncodeError`.

    Args:
        reason: a sentence without the field.
        bit: where in the outermost encoding, -1 when encoding.
    """

    def __init__(self, reason: str, bit: int = -1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.bit = bit
        self.steps: list[str] = []

    def within(self, step: str) -> "Fault":
        """Note that the fault lies inside the component `step`; called from the inside out."""
        self.steps.append(step)
        return self

    @property
    def path(self) -> str:
        """Return the dotted path of the field, outermost component first."""
        return "".join(step if step[0] == "[" else f".{step}" for step in reversed(self.steps)).removeprefix(".")


class BitReader:
    """What is left of an encoding. Not shared: one reader per decode.

    Args:
        encoded: the octets.
        origin: bit offset of `encoded` in the outermost encoding, for error messages.
        depth: how many open types or recursions this one is inside of.
        items: how many list items may still be read.
    """

    __slots__ = ("_kept", "bits", "depth", "end", "items", "left", "total")

    def __init__(self, encoded: bytes, origin: int = 0, depth: int = 0, items: int = MAX_LIST_ITEMS) -> None:
        self.bits = int.from_bytes(encoded, "big")
        self.left = self.total = self._kept = 8 * len(encoded)
        self.end = origin + self.left
        self.depth = depth
        self.items = items

    @classmethod
    def over(cls, bits: int, left: int) -> "BitReader":
        """Return a reader of the lowest `left` bits of a number."""
        reader = cls(b"")
        reader.bits = bits
        reader.left = reader.total = reader._kept = reader.end = left
        return reader

    @property
    def position(self) -> int:
        """Return the offset of the next bit in the outermost encoding."""
        return self.end - self.left

    def take(self, width: int) -> int:
        """Return the next `width` bits as a number."""
        left = self.left - width
        if left < 0:
            raise self.short(width)
        self.left = left
        return (self.bits >> left) & ((1 << width) - 1)

    def forget(self) -> None:
        """Drop bits already read, now and then: reading costs time in proportion to those still kept."""
        if self._kept - self.left > _FORGET_AFTER_BITS:
            self._kept = self.left
            self.bits &= (1 << self.left) - 1

    def short(self, width: int) -> Fault:
        """Return the fault of an encoding that ends inside a field of `width` bits."""
        return Fault(f"the encoding ends {width - self.left} bits too early", self.position)

    def fault(self, reason: str) -> Fault:
        """Return a fault at the present position."""
        return Fault(reason, self.position)

    def finish(self) -> None:
        """Check that nothing but zero bits up to the octet is left (11.1); a value of no bits takes one zero octet."""
        if self.total == 0:
            raise self.fault("the encoding is empty")
        if self.left >= 8 and not self.left == self.total == 8:
            raise self.fault(f"{self.left} bits are left over")
        if self.bits & ((1 << self.left) - 1):
            raise self.fault("padding is not zero")

    def count_items(self, count: int) -> None:
        """Charge a list of `count` items to the budget of the encoding."""
        self.items -= count
        if self.items < 0:
            raise self.fault(f"more than {MAX_LIST_ITEMS} list items")

    def inner(self, octets: int) -> "BitReader":
        """Return a reader of the next whole `octets` (an open type, 11.2), one level deeper."""
        if not octets:
            raise self.fault("an open type is empty")
        if self.depth >= MAX_NESTING:
            raise self.fault(f"nested deeper than {MAX_NESTING}")
        origin = self.position
        return BitReader(self.take(8 * octets).to_bytes(octets, "big"), origin, self.depth + 1, self.items)


def append(acc: int, tail: int) -> int:
    """Return one accumulator followed by another; joining parts this way does not move the whole for each bit."""
    bits = tail.bit_length() - 1
    return (acc << bits) + tail - (1 << bits)


def complete(acc: int) -> bytes:
    """Return the complete encoding (11.1): zero bits up to the octet, at least one octet."""
    bits = acc.bit_length() - 1
    octets = max(1, (bits + 7) // 8)
    return (acc << (8 * octets - bits)).to_bytes(octets + 1, "big")[1:]


def read_length(reader: BitReader) -> int:
    """Read an unconstrained length (11.9.3.5 to 11.9.3.7), at most `MAX_LENGTH`."""
    first = reader.take(8)
    if first < 0x80:
        return first
    if first >= 0xC0:
        raise reader.fault(f"longer than {MAX_LENGTH}")
    length = (first & 0x3F) << 8 | reader.take(8)
    if length < 0x80:
        raise reader.fault(f"length {length} in the form for 128 and more")
    return length


def write_length(acc: int, length: int) -> int:
    """Write an unconstrained length."""
    if length < 0x80:
        return acc << 8 | length
    if length > MAX_LENGTH:
        raise Fault(f"{length} is longer than {MAX_LENGTH}")
    return acc << 16 | 0x8000 | length


def read_small(reader: BitReader) -> int:
    """Read a normally small non-negative number (11.6), 0..63."""
    if reader.take(1):
        raise reader.fault("a number from 64 on where small ones are expected")
    return reader.take(_SMALL_BITS)


def write_small(acc: int, number: int) -> int:
    """Write a normally small non-negative number, 0..63."""
    if not 0 <= number < 1 << _SMALL_BITS:
        raise Fault(f"{number} is not in 0..63")
    return acc << 1 + _SMALL_BITS | number


def _read_integer_octets(reader: BitReader) -> int:
    octets = read_length(reader)
    if not 1 <= octets <= MAX_INTEGER_OCTETS:
        raise reader.fault(f"an integer of {octets} octets, not of 1..{MAX_INTEGER_OCTETS}")
    return octets


def read_signed(reader: BitReader) -> int:
    """Read an unconstrained integer (11.8): two's complement in the fewest octets."""
    octets = _read_integer_octets(reader)
    raw = reader.take(8 * octets)
    value = raw - (1 << 8 * octets) if raw >> (8 * octets - 1) else raw
    if _signed_octets(value) != octets:
        raise reader.fault(f"{value} takes {octets} octets, more than it needs")
    return value


def write_signed(acc: int, value: int) -> int:
    """Write an unconstrained integer."""
    octets = _signed_octets(value)
    if octets > MAX_INTEGER_OCTETS:
        raise Fault(f"{value} needs more than {MAX_INTEGER_OCTETS} octets")
    return write_length(acc, octets) << 8 * octets | value & ((1 << 8 * octets) - 1)


def read_unsigned(reader: BitReader) -> int:
    """Read the offset of a semi-constrained integer (11.7): unsigned in the fewest octets."""
    octets = _read_integer_octets(reader)
    value = reader.take(8 * octets)
    if max(1, (value.bit_length() + 7) // 8) != octets:
        raise reader.fault(f"{value} takes {octets} octets, more than it needs")
    return value


def write_unsigned(acc: int, value: int) -> int:
    """Write the offset of a semi-constrained integer."""
    octets = max(1, (value.bit_length() + 7) // 8)
    if octets > MAX_INTEGER_OCTETS:
        raise Fault(f"{value} needs more than {MAX_INTEGER_OCTETS} octets")
    return write_length(acc, octets) << 8 * octets | value


def _signed_octets(value: int) -> int:
    return (value if value >= 0 else ~value).bit_length() // 8 + 1
