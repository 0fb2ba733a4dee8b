"""Checks that every header of this package shares: exact lengths on the way in, fixed widths on the way out.

GeoNetworking headers are fixed-width big-endian fields (EN 302 636-4-1 V1.4.1 clause 9), so each header file reads itself with one
`struct` layout; this file holds what would otherwise be repeated around it. It knows no header.
"""

from math import isfinite

from shared.core.errors import DecodeError, EncodeError


def require_length(data: bytes, octets: int, field: str) -> None:
    """Raise `DecodeError` unless `data` is exactly `octets` long."""
    if len(data) != octets:
        raise DecodeError(field, f"{len(data)} octets instead of {octets}", min(len(data), octets) * 8)


def split(data: bytes, octets: int, field: str) -> tuple[bytes, bytes]:
    """Return the first `octets` of `data` and the rest; raises `DecodeError` when `data` is shorter."""
    if len(data) < octets:
        raise DecodeError(field, f"cut short: {len(data)} of {octets} octets", len(data) * 8)
    return data[:octets], data[octets:]


def require_unsigned(value: int, bits: int, field: str) -> int:
    """Return `value`, or raise `EncodeError` unless it fits `bits` unsigned bits."""
    if not 0 <= value < 1 << bits:
        raise EncodeError(field, f"{value} does not fit {bits} unsigned bits")
    return value


def scaled(value: float, per_unit: float, field: str) -> int:
    """Return `value * per_unit` rounded to the nearest integer; raises `EncodeError` for infinities and NaN."""
    if not isfinite(value):
        raise EncodeError(field, f"{value} is not a number")
    return round(value * per_unit)
