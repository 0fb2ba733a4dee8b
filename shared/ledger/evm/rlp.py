"""RLP, the encoding of everything an EVM chain hashes (Ethereum yellow paper, appendix B); strict both ways.

    00..7f      that octet itself
    80..b7      0 to 55 octets         b8..bf  longer ones, after 1 to 8 octets of length
    c0..f7      list of 0 to 55 octets f8..ff  longer ones, likewise

An item is octets or a list of items. What is not the one shortest encoding is refused, so whatever decodes encodes to the same
octets again. Numbers are octets without leading zeros.
"""

from collections.abc import Sequence
from typing import TypeAlias

from shared.core.errors import DecodeError, EncodeError

MAX_RLP_OCTETS = 1 << 20
"""Octets of one encoding; a receipt with the largest events of a full block has fewer."""

MAX_RLP_DEPTH = 8
"""Lists inside lists; a receipt has four."""

MAX_RLP_ITEMS = 65_536
"""Items of one encoding, on all levels."""

Item: TypeAlias = "bytes | tuple[Item, ...]"
"""Octets, or a list of items."""

Encodable: TypeAlias = "bytes | int | Sequence[Encodable]"
"""What encodes: octets, a number from 0 up, or a list of both."""

_SHORT = 55


def encode_rlp(item: Encodable) -> bytes:
    """Return the encoding; raise `EncodeError` for a negative number."""
    if isinstance(item, int):
        if item < 0:
            raise EncodeError("rlp", f"{item} is negative")
        item = item.to_bytes((item.bit_length() + 7) // 8)
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _head(0x80, len(item)) + item
    body = b"".join(encode_rlp(part) for part in item)
    return _head(0xC0, len(body)) + body


def decode_rlp(data: bytes, field: str) -> Item:
    """Return the one item that `data` encodes.

    Args:
        data: at most `MAX_RLP_OCTETS`.
        field: what it is, for errors.

    Raises:
        DecodeError: cut short, too long, too deep, too many items, not the shortest encoding, or followed by more.
    """
    if len(data) > MAX_RLP_OCTETS:
        raise DecodeError(field, f"{len(data)} octets; at most {MAX_RLP_OCTETS} are read")
    reader = _Reader(data, field)
    item, end = reader.read(0, len(data), 0)
    if end != len(data):
        raise DecodeError(field, f"{len(data) - end} octets follow after its end")
    return item


def octets_of(item: Item, field: str, length: int | None = None) -> bytes:
    """Return an item that must be octets, of a given length if any; raises `DecodeError`."""
    if not isinstance(item, bytes):
        raise DecodeError(field, "a list stands where octets should be")
    if length is not None and len(item) != length:
        raise DecodeError(field, f"{len(item)} octets; it has {length}")
    return item


def number_of(item: Item, field: str, octets: int = 32) -> int:
    """Return an item that must be a number of at most so many octets, without leading zeros; raises `DecodeError`."""
    data = octets_of(item, field)
    if len(data) > octets:
        raise DecodeError(field, f"a number of {len(data)} octets; at most {octets} are read")
    if data[:1] == b"\x00":
        raise DecodeError(field, "a number with leading zeros")
    return int.from_bytes(data)


def list_of(item: Item, field: str, minimum: int, maximum: int | None = None) -> tuple[Item, ...]:
    """Return an item that must be a list of `minimum` (to `maximum`) items; raises `DecodeError`."""
    if isinstance(item, bytes):
        raise DecodeError(field, "octets stand where a list should be")
    highest = minimum if maximum is None else maximum
    if not minimum <= len(item) <= highest:
        raise DecodeError(field, f"a list of {len(item)} items; it has {minimum}{'' if maximum is None else f' to {maximum}'}")
    return item


class _Reader:
    """Reads items out of one encoding and counts them."""

    def __init__(self, data: bytes, field: str) -> None:
        self._data = data
        self._field = field
        self._items = 0

    def read(self, at: int, end: int, depth: int) -> tuple[Item, int]:
        """Return the item that starts at `at` inside [0, end), and where it ends."""
        self._items += 1
        if self._items > MAX_RLP_ITEMS:
            raise DecodeError(self._field, f"more than {MAX_RLP_ITEMS} items")
        if at >= end:
            raise DecodeError(self._field, "is cut short")
        first = self._data[at]
        if first < 0x80:
            return self._data[at : at + 1], at + 1
        is_list = first >= 0xC0
        start, stop = self._extent(at, end, 0xC0 if is_list else 0x80)
        if not is_list:
            octets = self._data[start:stop]
            if len(octets) == 1 and octets[0] < 0x80:
                raise DecodeError(self._field, "not the shortest encoding: one small octet with a length")
            return octets, stop
        if depth == MAX_RLP_DEPTH:
            raise DecodeError(self._field, f"lists inside lists, deeper than {MAX_RLP_DEPTH}")
        items: list[Item] = []
        while start < stop:
            item, start = self.read(start, stop, depth + 1)
            items.append(item)
        return tuple(items), stop

    def _extent(self, at: int, end: int, base: int) -> tuple[int, int]:
        """Return where the contents of the item at `at` start and stop."""
        length = self._data[at] - base
        start = at + 1
        if length > _SHORT:
            size = length - _SHORT
            octets = self._data[start : min(start + size, end)]
            start += size
            length = int.from_bytes(octets)
            if len(octets) < size:
                raise DecodeError(self._field, "is cut short")
            if octets[0] == 0 or length <= _SHORT:
                raise DecodeError(self._field, "not the shortest encoding: a length longer than it needs to be")
        if length > end - start:
            raise DecodeError(self._field, "is cut short")
        return start, start + length


def _head(base: int, length: int) -> bytes:
    if length <= _SHORT:
        return bytes((base + length,))
    size = (length.bit_length() + 7) // 8
    return bytes((base + _SHORT + size,)) + length.to_bytes(size)
