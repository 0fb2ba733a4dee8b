"""One NMEA 0183 sentence: `$` talker, kind, fields, `*` checksum. The checksum is mandatory here.

A sentence has at most 82 characters by the standard; receivers of high precision exceed that, so there is room for twice as many.
What precedes the last `$` of a line is another protocol's octets on the same wire (a receiver's own binary one) or the rest of a
sentence that was cut off, and is passed over. Encapsulated (`!`) and proprietary (`$P`) sentences say nothing an agent needs.
"""

import re
from dataclasses import dataclass

from shared.core.errors import DecodeError

MAX_SENTENCE_OCTETS = 164
"""Twice the 82 of the standard, with `$` and without the line's end."""

MAX_FIELDS = 40

TALKERS = frozenset({"GP", "GN", "GL", "GA", "GB", "BD", "GQ", "GI"})
"""GPS, several systems, GLONASS, Galileo, BeiDou (and its older name), QZSS, NavIC."""

CHECKSUM = "checksum"
"""The `DecodeError.field` of a sentence whose checksum is absent or wrong."""

_SENTENCE = re.compile(rb"\$([A-Z0-9]{2})([A-Z]{3}),([\x20-\x7e]*)")
_DIGITS = re.compile(rb"[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence whose checksum held.

    Attributes:
        talker: which system speaks: `GP`, `GN` ...
        kind: `GGA`, `RMC` ...
        fields: as text, without talker and kind; an empty one is "not available".
    """

    talker: str
    kind: str
    fields: tuple[str, ...]

    def field(self, index: int) -> str:
        """Return a field; one that an older version of the standard does not have is empty."""
        return self.fields[index] if index < len(self.fields) else ""


def parse_sentence(line: bytes) -> Sentence | None:
    """Read one line; None where it is no sentence of a GNSS receiver.

    Args:
        line: without its end.

    Raises:
        DecodeError: the checksum is absent or wrong (its field is `CHECKSUM`), or the sentence is malformed.
    """
    begin = line.rfind(b"$")
    if begin < 0:
        return None
    body, star, given = line[begin:].partition(b"*")
    if not star or _DIGITS.fullmatch(given.rstrip(b" ")) is None:
        raise DecodeError(CHECKSUM, "a sentence without a checksum")
    expected = 0
    for octet in body[1:]:
        expected ^= octet
    if int(given, 16) != expected:
        raise DecodeError(CHECKSUM, f"is {int(given, 16):02X}, the sentence gives {expected:02X}")
    found = _SENTENCE.fullmatch(body)
    if found is None:
        return None  # proprietary, or a query
    talker, kind = found[1].decode(), found[2].decode()
    if talker not in TALKERS:
        return None
    fields = tuple(found[3].decode().split(","))
    if len(fields) > MAX_FIELDS:
        raise DecodeError(kind, f"{len(fields)} fields, more than {MAX_FIELDS}")
    return Sentence(talker, kind, fields)
