"""Canonical pieces of the C2SP text formats: decimal numbers and base64 that have exactly one spelling.

Standard base64 with padding (RFC 4648 4). Everything that does not re-encode to the same characters is refused.
"""

import struct
from binascii import a2b_base64, b2a_base64

from shared.core.errors import DecodeError
from shared.ledger.merkle import HASH_BYTES, Hash

MAX_DECIMAL_DIGITS = 19
"""2^63 - 1 has 19."""

_LINE_CHARACTERS = 45
"""Of a line that holds a hash, with its newline."""


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str, field: str) -> bytes:
    """Return the bytes of canonical base64, or raise `DecodeError`."""
    try:
        data = a2b_base64(text, strict_mode=True)
    except ValueError:  # also of a character beyond ASCII
        raise DecodeError(field, "not base64") from None
    if b2a_base64(data, newline=False) != text.encode():
        raise DecodeError(field, "base64 that is not canonical")
    return data


def decode_hash(text: str, field: str) -> Hash:
    """Return the hash of 32 bytes that base64 `text` spells, or raise `DecodeError`."""
    data = decode_base64(text, field)
    if len(data) != HASH_BYTES:
        raise DecodeError(field, f"a SHA-256 hash has 32 bytes, not {len(data)}")
    return Hash(data)


def decode_hashes(lines: str, field: str) -> tuple[Hash, ...]:
    """Return the hashes that lines of base64 spell, one in each, every line with its newline.

    All at once, for a path of twenty hashes is most of a proof's text: with `A`, six zero bits, in place of padding and newline,
    every line spells a hash and one octet more, which is zero where the spelling is canonical.

    Raises:
        DecodeError: naming the first line that is no hash, counted from 0.
    """
    count = len(lines) // _LINE_CHARACTERS
    whole = lines.replace("=\n", "A")
    if lines[_LINE_CHARACTERS - 2 :: _LINE_CHARACTERS] == "=" * count and len(whole) == (_LINE_CHARACTERS - 1) * count:
        try:
            data = a2b_base64(whole, strict_mode=True)
        except ValueError:
            data = b""
        if len(data) == count * (HASH_BYTES + 1) and data[HASH_BYTES :: HASH_BYTES + 1] == bytes(count):
            return struct.unpack(f"{HASH_BYTES}sx" * count, data)
    return tuple([decode_hash(line, f"{field}[{number}]") for number, line in enumerate(lines.split("\n")[:-1])])


def decode_decimal(text: str, field: str, maximum: int = (1 << 63) - 1) -> int:
    """Return the number that `text` spells without sign, space or leading zero, at most `maximum`, or raise `DecodeError`."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_DECIMAL_DIGITS or (text[0] == "0" and text != "0"):
        raise DecodeError(field, "not a canonical decimal number")
    number = int(text)
    if number > maximum:
        raise DecodeError(field, f"{number} is larger than {maximum}")
    return number
