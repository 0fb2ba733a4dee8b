"""The odometer: what one reading is made of, why it was recorded, and what was odd about it.

A vehicle reads its odometer from its own instruments; the record of it is the backbone of its sequence. A record with which a
credential hands over to the next one is an odometer record too. When a reading becomes a record is `vehicle_agent.odometer`'s
business; how a record is signed, read and committed to, `shared.records.record`'s; what a series says, `shared.records.sequence`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shared.records.fields import BOOT_ID, MAX_NAME_CHARACTERS, Choice, Field, Group, Many, Text, Whole
from shared.records.kind import MAX_ODOMETER_M, KindSpec, RecordKind, occurred
from shared.records.strict_json import MAX_SAFE_INTEGER, Json

BOOT_ID_BYTES = 16
MAX_SOURCES = 8


class RecordReason(Enum):
    """Why an odometer record was made."""

    IGNITION_ON = "ignition_on"
    IGNITION_OFF = "ignition_off"
    DISTANCE = "distance"
    TIME = "time"
    FLAG = "flag"
    CREDENTIAL_RENEWED = "credential_renewed"
    """The last one under a credential; the next is signed under the one it names."""


class OdometerFlag(Enum):
    """What was odd about a reading; always visible. The last two are said of records of other kinds too."""

    ROLLBACK = "rollback"
    """Lower than the reading recorded before."""
    STEP = "step"
    """Higher than the time since the last record allows."""
    SOURCES_DISAGREE = "sources_disagree"
    """Sources differ by more than their resolution explains."""
    CLOCK_NOT_SET = "clock_not_set"
    """The vehicle did not know the date; the boot time orders the record."""
    SEQUENCE_RESUMED = "sequence_resumed"
    """The store of earlier records was lost or damaged; numbering went on knowingly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerSource:
    """One source of a reading: its name, what it said in metres, and how old that was in milliseconds."""

    name: str
    odometer_m: int
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BootTime:
    """Time since a start of the vehicle's computer: which start (16 random bytes), and milliseconds since."""

    boot_id: bytes
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometerReading:
    """What a vehicle states about its odometer.

    Attributes:
        odometer_m: distance in metres.
        reason: why it was recorded.
        sources: where the reading came from, the one recorded first.
        boot: boot time of the reading.
    """

    odometer_m: int
    reason: RecordReason
    sources: tuple[OdometerSource, ...]
    boot: BootTime

    def fields(self) -> dict[str, Json]:
        """Return it as claims of a record."""
        return {
            "odometer_m": self.odometer_m,
            "reason": self.reason.value,
            "sources": [{"name": s.name, "odometer_m": s.odometer_m, "age_ms": s.age_ms} for s in self.sources],
            "boot": {"id": self.boot.boot_id.hex(), "elapsed_ms": self.boot.elapsed_ms},
        }


_METRES = Whole(MAX_ODOMETER_M)
_SOURCE = Group(
    (
        Field(name="name", type=Text(MAX_NAME_CHARACTERS), meaning="Of the source, e.g. cluster."),
        Field(name="odometer_m", type=_METRES, meaning="What it said, in metres."),
        Field(name="age_ms", type=Whole(MAX_SAFE_INTEGER), meaning="How old that was, in milliseconds."),
    )
)
_BOOT = Group(
    (
        Field(name="id", type=BOOT_ID, meaning="Which start of the vehicle's computer."),
        Field(name="elapsed_ms", type=Whole(MAX_SAFE_INTEGER), meaning="Milliseconds since."),
    )
)

ODOMETER = KindSpec(
    kind=RecordKind.ODOMETER,
    meaning="A reading of the odometer, as the vehicle itself took it.",
    fields=(
        Field(name="odometer_m", type=_METRES, meaning="Distance in metres."),
        occurred("When it was read; null if the clock was not set."),
        Field(name="reason", type=Choice(tuple(reason.value for reason in RecordReason)), meaning="Why it was recorded."),
        Field(name="sources", type=Many(_SOURCE, MAX_SOURCES, 1), meaning="Where it came from, the one recorded first."),
        Field(
            name="boot", type=_BOOT, meaning="Time since a start of the vehicle's computer, which orders readings without a date."
        ),
    ),
)


def sources_of(fields: Mapping[str, Json]) -> tuple[OdometerSource, ...]:
    """Return where a reading came from, as its checked claims say; empty where that is hidden."""
    items = fields.get("sources")
    sources = []
    for item in items if isinstance(items, list) else ():
        match item:
            case {"name": str(name), "odometer_m": int(metres), "age_ms": int(age_ms)}:
                sources.append(OdometerSource(name=name, odometer_m=metres, age_ms=age_ms))
            case _:
                pass
    return tuple(sources)


def boot_of(fields: Mapping[str, Json]) -> BootTime | None:
    """Return the boot time of a reading, as its checked claims say; None where that is hidden."""
    match fields.get("boot"):
        case {"id": str(boot_id), "elapsed_ms": int(elapsed_ms)}:
            return BootTime(boot_id=bytes.fromhex(boot_id), elapsed_ms=elapsed_ms)
        case _:
            return None


def reason_of(fields: Mapping[str, Json]) -> RecordReason | None:
    """Return why a reading was recorded, as its checked claims say; None where that is hidden."""
    reason = fields.get("reason")
    return RecordReason(reason) if isinstance(reason, str) else None
