"""Bits merged into words: the fixed-width fields of a schema that follow each other are read and written together.

Reading one field from a number of a thousand bits costs almost as much as reading a word of sixty bits and taking six fields from
that. So fields are only noted until something makes the next position depend on what was read (an optional component, a list, the
end). Then they become words:

    left -= 40
    w = bits >> left & 0xffffffffff           a negative shift raises ValueError: the encoding ends too early
    if w & 0x8000000000: raise GiveUp         every bit or number that must be what it is, in one comparison
    ... w >> 8 & 0xff ...                     and the fields

Statements about fields that are not read yet wait with them; in their text a field is a token, replaced when its place is known.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.codec.source import Source

WORD_BITS: Final = 60
"""Two digits of Python's own arithmetic."""

_TOKEN = re.compile(r"(\[)?\$(\?)?(\d+)\$(\])?")


class Bits:
    """One field; its text is a token until the field is read.

    Args:
        number: of the token.
        width: in bits, at least one.
        label: for a comment.
        expected: what it must be, None for any value.
    """

    __slots__ = ("_word", "_word_width", "expected", "label", "number", "shift", "width")

    def __init__(self, number: int, width: int, label: str, expected: int | None) -> None:
        self.number = number
        self.width = width
        self.label = label
        self.expected = expected
        self.shift = 0
        self._word = ""
        self._word_width = 0

    def __str__(self) -> str:
        return f"${self.number}$"

    def place(self, word: str, word_width: int, shift: int) -> None:
        """Say where the field came to lie."""
        self._word, self._word_width, self.shift = word, word_width, shift

    @property
    def mask(self) -> int:
        """Return the field's bits within its word."""
        return (1 << self.width) - 1 << self.shift

    @property
    def expression(self) -> str:
        """Return the field's value, once it is read."""
        shifted = f"{self._word} >> {self.shift}" if self.shift else self._word
        is_highest = self.shift + self.width == self._word_width
        return shifted if is_highest else f"{shifted} & {(1 << self.width) - 1:#x}"

    @property
    def test(self) -> str:
        """Return a token for an expression that is true where the field is not zero."""
        return f"$?{self.number}$"

    @property
    def condition(self) -> str:
        """Return what `test` stands for, once the field is read."""
        return self._word if self.width == self._word_width else f"{self._word} & {self.mask:#x}"


class WordReader:
    """Writes the reading of fields into a function that has `bits` (all bits as one number) and `left` (how many are unread)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._fields: list[Bits] = []
        self._waiting: list[Bits] = []
        self._lines: list[str] = []

    def read(self, width: int, label: str, expected: int | None = None) -> Bits:
        """Note the next field."""
        field = Bits(len(self._fields), width, label, expected)
        self._fields.append(field)
        self._waiting.append(field)
        return field

    def line(self, text: str) -> None:
        """Add a statement, as soon as every field noted so far is read."""
        if self._waiting:
            self._lines.append(text)
        else:
            self._source.line(self._resolved(text))

    def flush(self) -> None:
        """Read what is noted and add the statements that wait for it."""
        while self._waiting:
            self._read_word()
        for text in self._lines:
            self._source.line(self._resolved(text))
        self._lines.clear()

    @contextmanager
    def suite(self, head: str) -> Iterator[None]:
        """Open a suite in which reading goes on for itself."""
        self.flush()
        with self._source.suite(self._resolved(head)):
            yield
            self.flush()

    def _read_word(self) -> None:
        fields = [self._waiting.pop(0)]
        width = fields[0].width
        while self._waiting and width + self._waiting[0].width <= WORD_BITS:
            width += self._waiting[0].width
            fields.append(self._waiting.pop(0))
        word = self._source.name("w")
        self._source.line(f"left -= {width}")
        labels = ", ".join(field.label for field in fields)
        self._source.line(f"{word} = bits >> left & {(1 << width) - 1:#x}  # {labels}")
        shift = width
        mask = expected = 0
        for field in fields:
            shift -= field.width
            field.place(word, width, shift)
            if field.expected is not None:
                mask |= field.mask
                expected |= field.expected << shift
        if mask:
            held = word if mask == (1 << width) - 1 else f"{word} & {mask:#x}"
            self._source.line(f"if {held} != {expected:#x}: raise GiveUp" if expected else f"if {held}: raise GiveUp")

    def _resolved(self, text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            opening, is_test, number, closing = match.groups(default="")
            field = self._fields[int(number)]
            if is_test:
                return f"{opening}{field.condition}{closing}"
            expression = field.expression
            is_assigned = text[: match.start()].endswith("= ") and text[match.end() :][:1] in {"", ")"}
            bare = expression if is_assigned or (opening and closing) or " " not in expression else f"({expression})"
            return f"{opening}{bare}{closing}"

        return _TOKEN.sub(replace, text)


class WordWriter:
    """Writes the appending of fields into a function that has `acc`, the accumulator."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waiting: list[tuple[str | int, int]] = []

    def put(self, count: str | int, width: int) -> None:
        """Note the next field: a constant, or an expression that needs no parentheses and is sure to fit."""
        if width:
            self._waiting.append((count, width))

    def line(self, text: str) -> None:
        """Add a statement that does not touch the accumulator."""
        self._source.line(text)

    def flush(self) -> None:
        """Append what is noted."""
        while self._waiting:
            self._write_word()

    @contextmanager
    def suite(self, head: str) -> Iterator[None]:
        """Open a suite in which appending goes on for itself."""
        self.flush()
        with self._source.suite(head):
            yield
            self.flush()

    def _write_word(self) -> None:
        word = ""
        width = gap = constant = 0  # the constant bits after `word` so far
        while self._waiting and (not width or width + self._waiting[0][1] <= WORD_BITS):
            count, bits = self._waiting.pop(0)
            width += bits
            gap += bits
            constant <<= bits
            if isinstance(count, int):
                constant |= count
            else:
                word = _joined(_joined(word, gap, constant), 0, count) if constant else _joined(word, gap, count)
                gap = constant = 0
        if gap:
            word = _joined(word, gap, constant)
        self._source.line(f"acc = acc << {width} | {word}")


def _joined(word: str, shift: int, tail: str | int) -> str:
    """Return the expression of a word followed by `shift` bits that hold `tail`."""
    text = f"{tail:#x}" if isinstance(tail, int) else tail
    if not word:
        return text
    shifted = f"{word} << {shift}" if shift else word
    return f"({shifted} | {text})" if tail else f"({shifted})"
