"""A passport in a file: the passport itself, or the page that carries one.

Whoever gets a page from a seller need not trust what it draws: its passport is taken out and verified by a program of one's own.
The page is not interpreted; the one element that holds the passport is looked for, and a page with two of them is refused.
"""

import json
import re
import zlib
from pathlib import Path

from shared.core.errors import DecodeError, RecordError
from shared.core.json_shape import check_depth
from shared.ledger.text import decode_base64
from shared.records.passport import MAX_PASSPORT_BYTES, Passport, parse_passport
from shared.service.keystore import read_bounded
from shared.service.passport_page import DEFLATED

MAX_PAGE_BYTES = 2 * MAX_PASSPORT_BYTES + 4 * 1024 * 1024
"""A passport packed into a page is hardly ever longer than itself; the rest of the page is small."""

DAMAGED = "the passport in this page was damaged or altered"

_PAGE = re.compile(rb"<!doctype html>", re.IGNORECASE)
_ELEMENT = re.compile(rb'<script type="text/plain" id="passport">([^<]*)</script>')


def read_passport_file(path: Path) -> Passport:
    """Read a passport, or the one that a page carries.

    Raises:
        ConfigError: the file cannot be read or is too long.
        RecordError: `format`: it is no passport, and no page with one.
    """
    return parse_passport(read_passport_octets(path))


def read_passport_octets(path: Path) -> bytes:
    """Return the octets of a passport, not parsed, from its file or from a page (likewise)."""
    data = read_bounded(path, MAX_PAGE_BYTES)
    if not _PAGE.match(data):
        return data
    found = _ELEMENT.findall(data)
    if len(found) != 1:
        raise RecordError("format", f"this is a page that carries {len(found) or 'no'} passport{'s' if len(found) > 1 else ''}")
    try:
        text = found[0].decode("utf-8")
        check_depth(text)
        value = json.loads(text)
    except ValueError:
        raise RecordError("format", DAMAGED) from None
    if value is None:
        raise RecordError("format", "this is a page that carries no passport")
    try:
        return _inflated(value)
    except (ValueError, DecodeError, zlib.error):
        raise RecordError("format", DAMAGED) from None


def _inflated(text: object) -> bytes:
    """Return a passport as `shared.service.passport_page` packs it; raises ValueError, `DecodeError` or `zlib.error` otherwise."""
    if not isinstance(text, str) or not text.startswith(DEFLATED):
        raise ValueError("no passport")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    octets = unpacker.decompress(decode_base64(text.removeprefix(DEFLATED), "the page"), MAX_PASSPORT_BYTES + 1)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("no passport")
    return octets
