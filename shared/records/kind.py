"""What a kind of record is: a name, a version, and a table of the claims its holder may show or hide.

The tables themselves are in `shared.records.kinds_*`, all of them together in `shared.records.kinds`.
"""

from dataclasses import dataclass
from enum import Enum

from shared.records.fields import MOMENT, Field, Whole

MAX_ODOMETER_M = 10_000_000_000
"""Ten million kilometres."""

OCCURRED = "occurred"


class RecordKind(Enum):
    """What a record is about."""

    ODOMETER = "odometer"
    MAINTENANCE = "maintenance"
    INSPECTION = "inspection"
    ACCIDENT = "accident"
    REPAIR = "repair"
    INSURANCE_CLAIM = "insurance_claim"
    PART = "part"
    BATTERY = "battery"
    CHARGING = "charging"
    TRIP = "trip"
    OWNERSHIP = "ownership"
    CONSENT_GRANT = "consent_grant"
    CONSENT_WITHDRAWAL = "consent_withdrawal"
    DATA_ANSWER = "data_answer"

    @property
    def words(self) -> str:
        """For people: `an insurance claim record`."""
        name = self.value.replace("_", " ")
        return f"{'an' if name[0] in 'aeiou' else 'a'} {name} record"

    @property
    def plural(self) -> str:
        """For people: `insurance claim records`."""
        return f"{self.value.replace('_', ' ')} records"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSpec:
    """The schema of one version of one kind.

    Attributes:
        kind: what it is about.
        version: of the table, from 1.
        meaning: what such a record states, a sentence for people.
        fields: the claims that can be left out when it is shown, in the order they are disclosed; `occurred` is one of them.
        in_order: pairs of times of which the second is never before the first.
        flags: names of what may be odd about such a record, beside what may be odd about any.
    """

    kind: RecordKind
    version: int = 1
    meaning: str
    fields: tuple[Field, ...]
    in_order: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def claim(self) -> str:
        """The `kind` a token shows, e.g. `odometer/1`."""
        return f"{self.kind.value}/{self.version}"

    @property
    def hideable(self) -> tuple[str, ...]:
        """Names of the claims a holder may leave out."""
        return tuple(field.name for field in self.fields)


def occurred(meaning: str) -> Field:
    """Return the field every kind has: when it happened, to the millisecond; null where the clock was not set."""
    return Field(name=OCCURRED, type=MOMENT, meaning=meaning, is_optional=True)


def odometer_m(*, is_optional: bool) -> Field:
    """Return the field of a reading, as most kinds have it."""
    meaning = "What the odometer showed, in metres."
    return Field(name="odometer_m", type=Whole(MAX_ODOMETER_M), meaning=meaning, is_optional=is_optional)
