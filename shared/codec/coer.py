"""Canonical OER (ITU-T X.696 clauses 8-30), read and written by hand: a cursor that accepts one encoding of each value.

The subset is what IEEE 1609.2 and TS 102 941 use: fixed-width integers, unbounded integers, octet strings, sequences with
preambles and extension additions, choices, sequence-of. Every length is minimal, every padding bit zero, every unused octet an
error. Left out on purpose: REAL, SET, object identifiers, times, tags above 62; nothing in those standards needs them.

Offsets in errors are bits from the start of the octets the outermost reader was given.
"""

from shared.core.errors import DecodeError, EncodeError

MAX_LENGTH_OCTETS = 3
"""Octets of a long-form length; 16 MiB is far above any structure a station accepts."""

MAX_QUANTITY_OCTETS = 8
"""Octets of an unbounded unsigned integer; wider values have no meaning here."""

MAX_CHOICE_INDEX = 62
"""Greatest tag number of the one-octet form."""

MAX_EXTENSION_ADDITIONS = 32
"""Width of an extension addition bitmap."""

_CONTEXT_CLASS = 0x80


class CoerReader:
    """A cursor over octets; every method names the field it reads and raises `DecodeError` when the octets do not fit."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end

    @property
    def position(self) -> int:
        """Offset in octets of the next unread octet."""
        return self._position

    @property
    def remaining(self) -> int:
        """Number of unread octets."""
        return self._end - self._position

    def since(self, start: int) -> bytes:
        """Return the octets read from offset `start` up to here."""
        return self._data[start : self._position]

    def refuse(self, field: str, reason: str) -> DecodeError:
        """Build the error for `field` at the present offset; the caller raises it."""
        return DecodeError(field, reason, self._position * 8)

    def octets(self, count: int, field: str) -> bytes:
        """Read exactly `count` octets."""
        start = self._position
        stop = start + count
        if stop > self._end:
            raise self.refuse(field, f"needs {count} octets, {self._end - start} are left")
        self._position = stop
        return self._data[start:stop]

    def unsigned(self, width: int, field: str) -> int:
        """Read an unsigned integer of `width` octets, big-endian."""
        return int.from_bytes(self.octets(width, field), "big")

    def signed(self, width: int, field: str) -> int:
        """Read a two's complement integer of `width` octets, big-endian."""
        return int.from_bytes(self.octets(width, field), "big", signed=True)

    def enumerated(self, field: str) -> int:
        """Read a short-form enumeration value (0..127)."""
        value = self.unsigned(1, field)
        if value > 127:
            raise self.refuse(field, "long-form enumeration")
        return value

    def boolean(self, field: str) -> bool:
        """Read FF as true, 00 as false; every other octet is refused."""
        value = self.unsigned(1, field)
        if value not in (0x00, 0xFF):
            raise self.refuse(field, f"boolean octet is {value:02x}, canonical are 00 and ff")
        return value == 0xFF

    def length(self, field: str) -> int:
        """Read a length determinant in its shortest form."""
        first = self.unsigned(1, field)
        if first < 128:
            return first
        width = first & 0x7F
        if width == 0 or width > MAX_LENGTH_OCTETS:
            raise self.refuse(field, f"length of {width} octets")
        value = self.unsigned(width, field)
        if value < 128 or value >> (8 * (width - 1)) == 0:
            raise self.refuse(field, "length is not in its shortest form")
        return value

    def opaque(self, field: str, *, maximum: int | None = None) -> bytes:
        """Read a length and that many octets; more than `maximum` is refused."""
        count = self.length(field)
        if maximum is not None and count > maximum:
            raise self.refuse(field, f"{count} octets, at most {maximum} are allowed")
        return self.octets(count, field)

    def quantity(self, field: str) -> int:
        """Read an unsigned integer without upper bound, in its shortest form."""
        octets = self._integer(field)
        if len(octets) > 1 and octets[0] == 0:
            raise self.refuse(field, "integer is not in its shortest form")
        return int.from_bytes(octets, "big")

    def integer(self, field: str) -> int:
        """Read a signed integer without bounds, in its shortest form."""
        octets = self._integer(field)
        value = int.from_bytes(octets, "big", signed=True)
        if len(octets) > 1 and -(1 << (8 * len(octets) - 9)) <= value < 1 << (8 * len(octets) - 9):
            raise self.refuse(field, "integer is not in its shortest form")
        return value

    def count(self, field: str, *, minimum: int = 0, maximum: int) -> int:
        """Read how many items a sequence-of holds; outside `minimum`..`maximum` is refused."""
        value = self.quantity(field)
        if not minimum <= value <= maximum:
            raise self.refuse(field, f"{value} items, allowed are {minimum} to {maximum}")
        return value

    def preamble(self, field: str, *, bits: int) -> int:
        """Read a sequence preamble of `bits` (1..8) flags, left-aligned in one octet; padding bits must be zero."""
        value = self.unsigned(1, field)
        if value & ((1 << (8 - bits)) - 1):
            raise self.refuse(field, f"preamble {value:02x} has padding bits set")
        return value

    def choice(self, field: str) -> int:
        """Read the tag of a choice and return the index of its alternative."""
        tag = self.unsigned(1, field)
        index = tag - _CONTEXT_CLASS
        if not 0 <= index <= MAX_CHOICE_INDEX:
            raise self.refuse(field, f"tag {tag:02x} is no alternative")
        return index

    def open_type(self, field: str) -> "CoerReader":
        """Read the length that wraps an extension and return a reader confined to its value; this cursor moves behind it."""
        count = self.length(field)
        start = self._position
        self.octets(count, field)
        return CoerReader(self._data, start, start + count)

    def additions(self, field: str) -> tuple[tuple[int, "CoerReader"], ...]:
        """Read the extension addition bitmap and the additions behind it, as (index, confined reader) in order.

        The bitmap may be wider than this edition of a structure knows; the caller refuses indices it does not know.
        """
        count = self.length(field)
        if count < 2:
            raise self.refuse(field, "extension bitmap is empty")
        unused = self.unsigned(1, field)
        width = (count - 1) * 8 - unused
        if unused > 7 or width > MAX_EXTENSION_ADDITIONS:
            raise self.refuse(field, f"extension bitmap of {width} bits with {unused} unused")
        bitmap = self.unsigned(count - 1, field)
        if bitmap & ((1 << unused) - 1):
            raise self.refuse(field, "extension bitmap has padding bits set")
        bitmap >>= unused
        if bitmap == 0:
            raise self.refuse(field, "extension bit is set, but no addition is present")
        present = [index for index in range(width) if bitmap >> (width - 1 - index) & 1]
        return tuple((index, self.open_type(field)) for index in present)

    def finish(self, field: str) -> None:
        """Refuse octets behind the value."""
        if self._position != self._end:
            raise self.refuse(field, f"{self._end - self._position} octets follow the value")

    def _integer(self, field: str) -> bytes:
        width = self.length(field)
        if not 1 <= width <= MAX_QUANTITY_OCTETS:
            raise self.refuse(field, f"integer of {width} octets")
        return self.octets(width, field)


def encode_unsigned(value: int, width: int, field: str) -> bytes:
    """Encode an unsigned integer in `width` octets; raises `EncodeError` when it does not fit."""
    if not 0 <= value < 1 << (8 * width):
        raise EncodeError(field, f"{value} does not fit {width} unsigned octets")
    return value.to_bytes(width, "big")


def encode_signed(value: int, width: int, field: str) -> bytes:
    """Encode a two's complement integer in `width` octets; raises `EncodeError` when it does not fit."""
    if not -(1 << (8 * width - 1)) <= value < 1 << (8 * width - 1):
        raise EncodeError(field, f"{value} does not fit {width} signed octets")
    return value.to_bytes(width, "big", signed=True)


def encode_boolean(*, value: bool) -> bytes:
    """Encode FF or 00."""
    return b"\xff" if value else b"\x00"


def encode_length(count: int, field: str) -> bytes:
    """Encode a length determinant in its shortest form."""
    if count < 128:
        return bytes((count,))
    width = (count.bit_length() + 7) // 8
    if width > MAX_LENGTH_OCTETS:
        raise EncodeError(field, f"{count} octets are too many")
    return bytes((0x80 | width,)) + count.to_bytes(width, "big")


def encode_opaque(octets: bytes, field: str) -> bytes:
    """Encode a length and the octets; also the wrapping of an extension."""
    count = len(octets)
    return (_LENGTHS[count] if count < _USUAL_OCTETS else encode_length(count, field)) + octets


_USUAL_OCTETS = 2_048
_LENGTHS = tuple(encode_length(count, "length") for count in range(_USUAL_OCTETS))


def encode_quantity(value: int, field: str) -> bytes:
    """Encode an unsigned integer without upper bound; also the count of a sequence-of."""
    width = max(1, (value.bit_length() + 7) // 8)
    if value < 0 or width > MAX_QUANTITY_OCTETS:
        raise EncodeError(field, f"{value} is no quantity")
    return bytes((width,)) + value.to_bytes(width, "big")


def encode_integer(value: int, field: str) -> bytes:
    """Encode a signed integer without bounds in its shortest form."""
    width = (value if value >= 0 else ~value).bit_length() // 8 + 1
    if width > MAX_QUANTITY_OCTETS:
        raise EncodeError(field, f"{value} is too wide")
    return bytes((width,)) + value.to_bytes(width, "big", signed=True)


def encode_choice(index: int, value: bytes) -> bytes:
    """Encode the tag of alternative `index` and its already encoded value."""
    if not 0 <= index <= MAX_CHOICE_INDEX:
        raise EncodeError("choice", f"alternative {index} has no one-octet tag")
    return bytes((_CONTEXT_CLASS | index,)) + value


def encode_sequence_of(items: tuple[bytes, ...], field: str) -> bytes:
    """Encode the count and the already encoded items."""
    return encode_quantity(len(items), field) + b"".join(items)


def encode_additions(additions: dict[int, bytes], *, width: int, field: str) -> bytes:
    """Encode the bitmap of `width` extension additions and the present ones, keyed by index, each already encoded."""
    if not additions or any(not 0 <= index < width for index in additions) or width > MAX_EXTENSION_ADDITIONS:
        raise EncodeError(field, f"additions {sorted(additions)} do not fit a bitmap of {width}")
    octets = (width + 7) // 8
    unused = octets * 8 - width
    bitmap = sum(1 << (width - 1 - index) for index in additions) << unused
    head = encode_length(octets + 1, field) + bytes((unused,)) + bitmap.to_bytes(octets, "big")
    return head + b"".join(encode_opaque(additions[index], field) for index in sorted(additions))
