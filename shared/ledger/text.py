"""Canonical pieces of the C2SP text formats: decimal numbers and base64 that have exactly one spelling.

Standard base64 with padding (RFC 4648 4). Everything that does not re-encode to the same characters is refused.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error

from shared.core.errors import DecodeError
from shared.ledger.merkle import HASH_BYTES, Hash

MAX_DECIMAL_DIGITS = 19
"""2^63 - 1 has 19."""


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str, field: str) -> bytes:
    """Return the bytes of canonical base64, or raise `DecodeError`."""
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise DecodeError(field, "not base64") from None
    if encode_base64(data) != text:
        raise DecodeError(field, "base64 that is not canonical")
    return data


def decode_hash(text: str, field: str) -> Hash:
    """Return the hash of 32 bytes that base64 `text` spells, or raise `DecodeError`."""
    data = decode_base64(text, field)
    if len(data) != HASH_BYTES:
        raise DecodeError(field, f"a SHA-256 hash has 32 bytes, not {len(data)}")
    return Hash(data)


def decode_decimal(text: str, field: str, maximum: int = (1 << 63) - 1) -> int:
    """Return the number that `text` spells without sign, space or leading zero, at most `maximum`, or raise `DecodeError`."""
    if not text or len(text) > MAX_DECIMAL_DIGITS or not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise DecodeError(field, "not a canonical decimal number")
    number = int(text)
    if number > maximum:
        raise DecodeError(field, f"{number} is larger than {maximum}")
    return number
