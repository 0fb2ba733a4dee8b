"""Good input damaged on purpose: by what attackers, editors and bad disks do, the same for the same seed."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from random import Random

Mutation = Callable[[bytes, Random], bytes]

EXTREMES = (
    b"0", b"-0", b"-1", b"00", b"01", b"+1", b"1.0", b"1e3", b"1e999", b"0x1", b"1_0", b" 1", b"1 ", b"2147483648",
    b"9007199254740992", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"9" * 400, b"9" * 5_000,
    "\uff11".encode(), "\u0661".encode(), b"NaN", b"Infinity", b"true", b"null", b"",
)  # fmt: skip

LOOKALIKES = {
    "a": "\u0430", "c": "\u0441", "e": "\u0435", "o": "\u043e", "p": "\u0440", "x": "\u0445", "A": "\u0410", "B": "\u0412",
    "0": "\uff10", "1": "\uff11", "5": "\uff15", "/": "\u2044", ".": "\u2024", "-": "\u2010", "+": "\uff0b", "=": "\uff1d",
    " ": "\u00a0", "\n": "\u2028", "\u2014": "-", '"': "\u201d", "~": "\u02dc", "_": "\uff3f", ":": "\uff1a",
}  # fmt: skip

INSERTED = (
    b"\x00", b"\r", b"\t", b"\x0b", b"\x1b[2J", b"\x7f", b"\x85", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b" ",
    b"\n", b"\n\n", b"\\", b'"', b"~", b"=", b"+", b"/", b"#", b"\\ud800", b"\\u0000", b"%00", b"../",
    "\u200b".encode(), "\u202e".encode(), "\u2028".encode(), "\u0301".encode(), "\U0001f600".encode(),
)  # fmt: skip

NESTINGS = (7, 20, 400, 5_000)
"""Deep enough for any bound, and for the interpreter's own."""

_NUMBER = re.compile(rb"[0-9]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
_VALUE = re.compile(rb'"(?:[^"\\]|\\.){0,400}"|[0-9]+|true|false|null')
_HEX = re.compile(rb"[0-9a-f]{4,}")


def _found(pattern: re.Pattern[bytes], data: bytes, random: Random) -> tuple[int, int] | None:
    spans = [match.span() for match in pattern.finditer(data)]
    return random.choice(spans) if spans else None


def _replaced(data: bytes, span: tuple[int, int] | None, by: bytes) -> bytes:
    return data if span is None else data[: span[0]] + by + data[span[1] :]


def _stretch(data: bytes, random: Random, most: int = 40) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randrange(most))


def flip(data: bytes, random: Random) -> bytes:
    """One bit."""
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def cut(data: bytes, random: Random) -> bytes:
    return _replaced(data, _stretch(data, random), b"")


def double(data: bytes, random: Random) -> bytes:
    start, end = _stretch(data, random, 200)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 70)) + data[end:]


def overwrite(data: bytes, random: Random) -> bytes:
    return _replaced(data, _stretch(data, random, 12), random.randbytes(random.randrange(12)))


def insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(INSERTED) + data[at:]


def extreme(data: bytes, random: Random) -> bytes:
    """A number at the edge of what fits, or just beyond."""
    return _replaced(data, _found(_NUMBER, data, random), random.choice(EXTREMES))


def lookalike(data: bytes, random: Random) -> bytes:
    """A character that looks like the one that was there."""
    text = data.decode("utf-8", "surrogateescape")
    places = [at for at, c in enumerate(text) if c in LOOKALIKES]
    if not places:
        return data
    at = random.choice(places)
    return (text[:at] + LOOKALIKES[text[at]] + text[at + 1 :]).encode("utf-8", "surrogateescape")


def lines(data: bytes, random: Random) -> bytes:
    """Lines in another order, doubled or left out."""
    parts = data.split(b"\n")
    at, to = random.randrange(len(parts)), random.randrange(len(parts))
    match random.randrange(4):
        case 0:
            parts[at], parts[to] = parts[to], parts[at]
        case 1:
            parts.insert(to, parts[at])
        case 2:
            del parts[at]
        case _:
            parts[at:at] = [parts[at]] * 80
    return b"\n".join(parts)


def base64(data: bytes, random: Random) -> bytes:
    """Another spelling of the same octets, or of others."""
    span = _found(_BASE64, data, random)
    if span is None:
        return data
    code = data[span[0] : span[1]]
    bare = code.rstrip(b"=")
    match random.randrange(6):
        case 0:
            other = bare
        case 1:
            other = code + b"="
        case 2:
            other = bare[:-1] + bytes([random.choice(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")])
        case 3:
            other = code.translate(bytes.maketrans(b"+/-_", b"-_+/"))
        case 4:
            other = code[:4] + b"\n" + code[4:]
        case _:
            whole = bare[: len(bare) // 4 * 4].translate(bytes.maketrans(b"-_", b"+/"))
            other = b64encode(flip(b64decode(whole), random)) + bare[len(whole) :]
    return _replaced(data, span, other)


def value(data: bytes, random: Random) -> bytes:
    """Another value of JSON in the place of one."""
    others = (b"null", b"true", b"{}", b"[]", b"-1", b"1.0", b"1e5", b'""', b'"\\u0041"', b"[null]", b'{"a":1,"a":1}', b"9" * 5_000)
    return _replaced(data, _found(_VALUE, data, random), random.choice(others))


def nest(data: bytes, random: Random) -> bytes:
    """A value inside lists inside lists."""
    span = _found(_VALUE, data, random) or (0, len(data))
    depth = random.choice(NESTINGS)
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"{", b"}")))
    return _replaced(data, span, opening * depth + data[span[0] : span[1]] + closing * random.choice((depth, 0)))


def spelling(data: bytes, random: Random) -> bytes:
    """The same, written otherwise: capital digits, escapes, spaces, another end of line."""
    match random.randrange(5):
        case 0:
            span = _found(_HEX, data, random)
            return data if span is None else _replaced(data, span, data[span[0] : span[1]].upper())
        case 1:
            return data.replace(b"\n", b"\r\n")
        case 2:
            return data + random.choice((b"\n", b" ", b"\x00", data))
        case 3:
            at = random.randrange(len(data)) if data else 0
            return data[:at] + b"\\u%04x" % data[at] + data[at + 1 :] if data else data
        case _:
            return data.replace(b": ", b":") if random.random() < 0.5 else data.replace(b",", b", ")


MUTATIONS: tuple[Mutation, ...] = (
    flip, truncate, cut, double, overwrite, insert, extreme, lookalike, lines, base64, value, nest, spelling,
)  # fmt: skip


def mutated(good: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield that many damaged copies: each mutation in turn alone, then several after one another."""
    random = Random(seed)
    for number in range(count):
        data = good
        for mutation in (MUTATIONS[number % len(MUTATIONS)], *random.choices(MUTATIONS, k=random.choice((0, 0, 1, 3)))):
            data = mutation(data, random)
        yield data
