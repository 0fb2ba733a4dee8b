"""The types a claim of a record may have: what fits, in which words a misfit is told, and how a JSON Schema says the same.

A kind of record is a table of fields (`shared.records.kind`). Signing, strict reading, the schemas in `docs/records` and the table
for people all come from that one table, so what is read here and what a schema accepts is the same, character for character. Every
text, list and number is bounded. Numbers are integers in the unit their name says: a float has more than one spelling.

Left out: rules between fields, but for dates that must not stand in the wrong order, which the table of a kind names.
"""

import re
from dataclasses import dataclass, field
from typing import Protocol

from shared.records.strict_json import MAX_SAFE_INTEGER, Json

MAX_NAME_CHARACTERS = 64
"""Of a maker, a workshop, a source."""

MAX_NUMBER_CHARACTERS = 64
"""Of a part, serial, order, report or claim number."""

MAX_NOTE_CHARACTERS = 500

INVISIBLE = (
    "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb]"
)
"""Characters no text holds: controls, and those that make a text look like another one. Both regular expressions know it."""

_INVISIBLE = re.compile(INVISIBLE)

_DAY = (
    "(?=19[7-9]|[2-9])"
    "(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
"""A day of the Gregorian calendar from 1970 to 9999 that exists."""


class FieldType(Protocol):
    """What a claim may be."""

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        ...

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema (draft 2020-12) of it."""
        ...

    def words(self) -> str:
        """Return it for people, e.g. `0 to 1,000`."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer within bounds."""

    most: int = MAX_SAFE_INTEGER
    least: int = 0

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "not an integer"
        return None if self.least <= value <= self.most else f"{value} is outside {self.words()}"

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def words(self) -> str:
        """Return the bounds."""
        return f"{self.least:,} to {self.most:,}"


@dataclass(frozen=True, slots=True)
class YesNo:
    """True or false."""

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        return None if isinstance(value, bool) else "neither true nor false"

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        return {"type": "boolean"}

    def words(self) -> str:
        """Return it for people."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Text:
    """A line of visible text."""

    most_characters: int

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        if not isinstance(value, str):
            return "not a text"
        if not 1 <= len(value) <= self.most_characters:
            return f"{len(value)} characters; {self.words()} fit"
        return "holds a control character or one that hides or turns text" if _INVISIBLE.search(value) else None

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        return {"type": "string", "minLength": 1, "maxLength": self.most_characters, "not": {"pattern": INVISIBLE}}

    def words(self) -> str:
        """Return the bounds."""
        return f"text of 1 to {self.most_characters} characters"


@dataclass(frozen=True, slots=True)
class Spelled:
    """A text of a fixed spelling: a hash, a date, a code.

    Args:
        pattern: all of it, as both regular expressions know it.
        meaning: what it is, e.g. `a date`.
        least_characters: of the shortest one.
        most_characters: of the longest one.
    """

    pattern: str
    meaning: str
    least_characters: int
    most_characters: int
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.pattern))

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        if not isinstance(value, str) or not self.least_characters <= len(value) <= self.most_characters:
            return f"not {self.meaning}"
        return None if self._compiled.fullmatch(value) else f"not {self.meaning}"

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        bounds: dict[str, Json] = {"minLength": self.least_characters, "maxLength": self.most_characters}
        return {"type": "string", **bounds, "pattern": f"^(?:{self.pattern})$"}

    def words(self) -> str:
        """Return what it is."""
        return self.meaning


@dataclass(frozen=True, slots=True)
class Choice:
    """One word out of a list."""

    of: tuple[str, ...]

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        return None if isinstance(value, str) and value in self.of else f"not one of {', '.join(self.of)}"

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        return {"enum": [*self.of]}

    def words(self) -> str:
        """Return the list."""
        return ", ".join(self.of)


@dataclass(frozen=True, slots=True)
class Many:
    """A list; of words, no word twice."""

    item: FieldType
    most: int
    least: int = 0

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            return f"not a list of {self.least} to {self.most}"
        for number, item in enumerate(value, 1):
            fault = self.item.fault(item)
            if fault is not None:
                return f"item {number}: {fault}"
        if self._is_set() and len(set(map(str, value))) != len(value):
            return "an item appears twice"
        return None

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        unique: dict[str, Json] = {"uniqueItems": True} if self._is_set() else {}
        return {"type": "array", "minItems": self.least, "maxItems": self.most, "items": self.item.schema(), **unique}

    def words(self) -> str:
        """Return the bounds and what it is a list of."""
        return f"list of {self.least} to {self.most}: {self.item.words()}"

    def _is_set(self) -> bool:
        return not isinstance(self.item, Group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One claim of a record.

    Attributes:
        name: with its unit.
        type: what it may be.
        meaning: for people, with what it is measured by.
        is_optional: whether it may be null, which says that it is not known or does not apply.
    """

    name: str
    type: FieldType
    meaning: str
    is_optional: bool = False

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        if value is None and self.is_optional:
            return None
        return self.type.fault(value)

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        schema = self.type.schema()
        return {"description": self.meaning, **({"anyOf": [schema, {"type": "null"}]} if self.is_optional else schema)}

    def words(self) -> str:
        """Return what it may be, for people."""
        return f"{self.type.words()}; or null" if self.is_optional else self.type.words()


@dataclass(frozen=True, slots=True)
class Group:
    """An object with exactly these members."""

    members: tuple[Field, ...]

    def fault(self, value: Json) -> str | None:
        """Return why a value does not fit, None if it does."""
        names = [member.name for member in self.members]
        if not isinstance(value, dict) or set(value) != set(names):
            return f"not an object of {', '.join(names)}"
        for member in self.members:
            fault = member.fault(value[member.name])
            if fault is not None:
                return f"{member.name}: {fault}"
        return None

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of it."""
        properties: dict[str, Json] = {member.name: member.schema() for member in self.members}
        names: list[Json] = [*properties]
        return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}

    def words(self) -> str:
        """Return the members."""
        return "; ".join(f"{member.name} ({member.words()})" for member in self.members)


HASH = Spelled("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", "a SHA-256 hash in base64url", 43, 43)
MOMENT = Spelled(
    f"{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{{3}}Z", "a time in UTC like 2026-11-22T09:30:00.250Z", 24, 24
)
DAY = Spelled(_DAY, "a date like 2026-11-22", 10, 10)
CURRENCY = Spelled("[A-Z]{3}", "a currency code of ISO 4217", 3, 3)
COUNTRY = Spelled("[A-Z]{2}", "a country code of ISO 3166-1", 2, 2)
BOOT_ID = Spelled("[0-9a-f]{32}", "16 bytes in hexadecimal", 32, 32)
PERMILLE = Whole(1_000)
NOTE = Text(MAX_NOTE_CHARACTERS)
NAME = Text(MAX_NAME_CHARACTERS)
NUMBER = Text(MAX_NUMBER_CHARACTERS)
"""Of a part, an order, a report: whatever its maker prints."""

MAX_AMOUNT_MINOR = 1_000_000_000_00
"""A thousand million of a currency with cents."""

MONEY = Group(
    (
        Field(name="amount_minor", type=Whole(MAX_AMOUNT_MINOR), meaning="In the currency's smallest unit, e.g. cents."),
        Field(name="currency", type=CURRENCY, meaning="ISO 4217."),
    )
)
POSITION = Group(
    (
        Field(
            name="latitude_e7", type=Whole(900_000_000, -900_000_000), meaning="WGS 84, tenths of a microdegree, north positive."
        ),
        Field(name="longitude_e7", type=Whole(1_800_000_000, -1_800_000_000), meaning="Likewise, east positive."),
    )
)
