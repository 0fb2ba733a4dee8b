"""Claims of records for people: the unit that a name says, and a value with it, e.g. `50,000 m` or `3.5 °C`.

The units come from the names in the tables of kinds (`shared.records.kinds`): a number whose name says none is a count or a number
of something. What somebody else wrote is shown with everything unprintable escaped.
"""

from collections.abc import Mapping

from shared.cli.tree_view import visible
from shared.core.clock import UtcNs
from shared.core.itstime import utc_text
from shared.records.fields import Field, Group, Many, Whole
from shared.records.kind import OCCURRED
from shared.records.kinds import KINDS
from shared.records.record import DisclosedRecord
from shared.records.strict_json import Json

UNITS: Mapping[str, str] = {
    "_permille": "‰",
    "_kmh": "km/h",
    "_mah": "mAh",
    "_minor": "of the currency's smallest unit",
    "_wh": "Wh",
    "_dc": "0.1 °C",
    "_e7": "0.0000001°",
    "_ml": "ml",
    "_ms": "ms",
    "_g": "g",
    "_m": "m",
    "_s": "s",
    "_w": "W",
}
"""By the end of a claim's name."""

NOTHING = "-"


def unit_of(field: Field) -> str | None:
    """Return the unit a claim is stated in; None where it is no quantity, or a count."""
    if not isinstance(field.type, Whole):
        return None
    return next((unit for end, unit in UNITS.items() if field.name.endswith(end)), None)


def units_of(field: Field) -> dict[str, str]:
    """Return the units in a claim and its members, by name."""
    found = unit_of(field)
    units = {} if found is None else {field.name: found}
    inner = field.type.item if isinstance(field.type, Many) else field.type
    if isinstance(inner, Group):
        for member in inner.members:
            units |= units_of(member)
    return units


def value_words(field: Field, value: Json) -> str:
    """Return the value of a claim for people."""
    match field.type, value:
        case _, None:
            return NOTHING
        case Whole(), int(number):
            unit = unit_of(field)
            return f"{number:,}" if unit is None else f"{number:,} {unit}" if unit[0] != "0" else f"{number:,} x {unit}"
        case Group(members), dict(parts):
            return ", ".join(f"{m.name} {value_words(m, parts.get(m.name))}" for m in members if parts.get(m.name) is not None)
        case Many(item), list(items):
            inner = Field(name=field.name, type=item, meaning=field.meaning)
            mark = "; " if isinstance(item, Group) else ", "
            return mark.join(value_words(inner, each) for each in items) or NOTHING
        case _:
            return visible(str(value))


def claim_rows(record: DisclosedRecord) -> list[tuple[str, str]]:
    """Return the claims that a record shows, by name, for people; what is not known is left out."""
    rows = []
    for field in KINDS[record.kind].fields:
        value = moment_text(record.occurred) if field.name == OCCURRED else record.fields.get(field.name)
        if value is not None:
            rows.append((field.name, value_words(field, value)))
    return rows


def moment_text(utc: UtcNs | None) -> str | None:
    """Return a moment as records spell it; None where there is none."""
    return None if utc is None else utc_text(utc)
