"""JSON from outside, read strictly: bounded in size, depth and values, no duplicate names, no number that is not what it seems.

And JSON of our own, written canonically: the one spelling of a value, so that a file can be compared with what it should have been.
"""

import json
import re
from typing import NoReturn

from shared.core.errors import DecodeError, EncodeError
from shared.core.json_shape import check_depth, without_strings

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_SAFE_INTEGER = (1 << 53) - 1
"""Integers beyond are read differently by different programs (RFC 8259 6)."""

MAX_JSON_VALUES = 1 << 18
"""Of one text; a passport of all the records it may hold has half as many. Each costs memory many times its octets."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse_json(data: bytes, field: str, max_bytes: int) -> Json:
    """Parse one JSON value, or raise `DecodeError` naming `field`."""
    if len(data) > max_bytes:
        raise DecodeError(field, f"{len(data)} bytes; at most {max_bytes} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError(field, "not UTF-8") from None
    _check_shape(text, field)

    def refuse(literal: str) -> NoReturn:
        raise DecodeError(field, f"{literal} is not JSON")

    def integer(literal: str) -> int:
        if len(literal) > 17 or abs(int(literal)) > MAX_SAFE_INTEGER:
            raise DecodeError(field, "an integer of more than 53 bits")
        return int(literal)

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        names = dict(items)
        if len(names) != len(items):
            raise DecodeError(field, "a name appears twice in one object")
        return names

    try:
        value: Json = json.loads(text, parse_constant=refuse, parse_int=integer, object_pairs_hook=pairs)
    except ValueError:
        raise DecodeError(field, "not JSON") from None
    _check_text(value, field)
    return value


def _check_shape(text: str, field: str) -> None:
    """Refuse what is nested too deep, or holds too many values, before anything is made of it."""
    skeleton = without_strings(text)
    if skeleton.count(",") + skeleton.count("[") + skeleton.count("{") > MAX_JSON_VALUES:
        raise DecodeError(field, f"more than {MAX_JSON_VALUES} values")
    try:
        check_depth(skeleton)
    except ValueError as error:
        raise DecodeError(field, str(error)) from None


def _check_text(value: Json, field: str) -> None:
    """Refuse lone surrogates (they cannot be written again) and numbers beyond every float."""
    match value:
        case str():
            if not value.isascii() and _SURROGATE.search(value):
                raise DecodeError(field, "half of a surrogate pair")
        case float():
            if value in (float("inf"), float("-inf")):
                raise DecodeError(field, "a number too large")
        case list():
            for item in value:
                _check_text(item, field)
        case dict():
            for name, item in value.items():
                _check_text(name, field)
                _check_text(item, field)
        case _:
            pass


def encode_json(value: Json) -> str:
    """Return the compact spelling: no spaces, names in the order given, text as it is; raise `EncodeError` if there is none."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise EncodeError("json", str(error)) from None


def encode_json_lines(value: Json) -> str:
    """Return the spelling of our files: like `encode_json`, but indented by one and with a final newline."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    except (TypeError, ValueError) as error:
        raise EncodeError("json", str(error)) from None
