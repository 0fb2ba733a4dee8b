"""DBC text before it is parsed: what a file imports, and the part of it that a map or one message needs.

Public DBC files come in pieces (`CM_ "IMPORT other.dbc"` names a file beside it) and many have a fault somewhere that makes a
parser refuse all of them. A map needs few messages, so only these, with the names of their values, their multiplexers and number
formats, are handed to the parser: a fault elsewhere does no harm, and a large file costs little. A standard identifier beyond 11
bits can only mean an extended one, and is read so; a missing semicolon is set, a signal that has no name is left out. Comments
and attributes are left out. Not here: parsing (`vehicle_agent.signals.dbc`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise

MAX_STANDARD_ID = 0x7FF
MAX_EXTENDED_ID = 0x1FFF_FFFF
EXTENDED_FLAG = 1 << 31
"""Marks a 29-bit identifier in a DBC."""

_STRING = re.compile(r'"(?:\\"|[^"])*+"')
_IMPORT = re.compile(r'^[ \t]*CM_[ \t]+"IMPORT[ \t]+([^"/\\]+)"[ \t]*;', re.MULTILINE)
_STATEMENT = re.compile(
    r"^[ \t]*(?:BO_|BO_TX_BU_|CM_|BA_\w*|VAL_\w*|SIG_\w*|SG_MUL_VAL_|EV_\w*|ENVVAR_\w*|SGTYPE_\w*|BU_\w*|CAT_\w*|NS_|BS_"
    r"|VERSION|FILTER)\b",
    re.MULTILINE,
)
"""Where a statement begins; a message and its signals are one."""
_MESSAGE = re.compile(r"[ \t]*BO_[ \t]+(\d{1,10})[ \t]+([A-Za-z_]\w*)[ \t]*:")
_ABOUT = re.compile(r"[ \t]*(?:VAL_|SIG_VALTYPE_|SG_MUL_VAL_)[ \t]+(\d{1,10})[ \t]+(\w+)")
_UNNAMED = re.compile(r"^[ \t]*SG_[ \t]+\d.*$", re.MULTILINE)
"""A signal whose name begins with a digit: nothing can refer to it, and a parser stumbles over it."""
_SIGNAL = re.compile(r"^[ \t]*SG_[ \t]+(\w+)", re.MULTILINE)
_LONG_NAMES = re.compile(r'"System(?:Message|Signal)LongSymbol"')


@dataclass(frozen=True, slots=True)
class _Block:
    """One message: its identifier as written, its lines, and the statements about its signals."""

    written_id: str
    text: str
    about: tuple[str, ...]

    def mended(self) -> str:
        """Return the text without what no parser reads: see the module."""
        number = int(self.written_id)
        parts = [_UNNAMED.sub("", self.text), *(f"{statement.rstrip().removesuffix(';')};" for statement in self.about)]
        if MAX_STANDARD_ID < number <= MAX_EXTENDED_ID:
            parts = [part.replace(self.written_id, str(number | EXTENDED_FLAG), 1) for part in parts]
        return "\n".join(parts)


class DbcText:
    """A DBC file taken apart into its messages.

    Args:
        text: the file, imports already in front of it; a message described twice under one identifier is taken as described last.
    """

    def __init__(self, text: str) -> None:
        masked = _STRING.sub(lambda match: '"' + " " * (len(match[0]) - 2) + '"', text)
        self.has_long_names = bool(_LONG_NAMES.search(text))
        starts = [statement.start() for statement in _STATEMENT.finditer(masked)]
        spans = tuple(pairwise((*starts, len(masked))))
        about: dict[tuple[str, str], list[str]] = {}
        for start, end in spans:
            statement = _ABOUT.match(masked, start)
            if statement is not None:
                about.setdefault((statement[1], statement[2]), []).append(text[start:end])
        self._blocks: dict[str, dict[int, _Block]] = {}
        for start, end in spans:
            message = _MESSAGE.match(masked, start)
            if message is not None:
                signals = dict.fromkeys(_SIGNAL.findall(masked, start, end))
                statements = chain.from_iterable(about.get((message[1], signal), ()) for signal in signals)
                number = int(message[1]) & MAX_EXTENDED_ID
                self._blocks.setdefault(message[2], {})[number] = _Block(message[1], text[start:end], tuple(statements))

    def names(self) -> tuple[str, ...]:
        """Return the names of all messages."""
        return tuple(self._blocks)

    def identifiers(self) -> Mapping[str, tuple[tuple[int, bool], ...]]:
        """Return the identifier of every message, and whether it has 29 bits; some files give a name to several."""
        return {
            name: tuple((number, int(block.written_id) > MAX_STANDARD_ID) for number, block in blocks.items())
            for name, blocks in self._blocks.items()
        }

    def only(self, wanted: Mapping[str, int | None]) -> str:
        """Return a DBC of some messages, by name; empty where the file describes none of them.

        Args:
            wanted: their names, each with the identifier that is meant where the file has several; None is the last of them.
        """
        blocks = []
        for name, identifier in wanted.items():
            described = self._blocks.get(name, {})
            number = next(reversed(described), None) if identifier is None else identifier
            if number in described:
                blocks.append(described[number].mended())
        return 'VERSION ""\n\n' + "\n\n".join(blocks) + "\n" if blocks else ""


def imports(text: str) -> Iterator[str]:
    """Yield the names of the files that a DBC wants in front of it."""
    for match in _IMPORT.finditer(text):
        yield match[1]
