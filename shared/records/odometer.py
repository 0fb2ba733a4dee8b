"""The odometer: what one reading is made of, why it was recorded, and what was odd about it.

A vehicle reads its odometer from its own instruments; the record of it is the backbone of its sequence. A record with which a
credential hands over to the next one is an odometer record too. When a reading becomes a record is `vehicle_agent.odometer`'s
business; how a record is signed, read and committed to, `shared.records.record`'s; what a series says, `shared.records.sequence`'s.

The table has two versions. The first knows one instrument and what can be odd about it; the second also says what the vehicle's
other witnesses of its distance say to it, which challenge of an inspector it answers, and where a counter in hardware stood.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shared.records.fields import BOOT_ID, MAX_NAME_CHARACTERS, PERMILLE, Choice, Field, Group, Many, Spelled, Text, Whole
from shared.records.kind import MAX_ODOMETER_M, KindSpec, RecordKind, occurred
from shared.records.sd_jwt import decode_base64url, encode_base64url
from shared.records.strict_json import MAX_SAFE_INTEGER, Json

BOOT_ID_BYTES = 16
MAX_SOURCES = 12
"""Witnesses of one distance that a record tells of; in the first version of its table, eight."""

MIN_NONCE_OCTETS = 16
MAX_NONCE_OCTETS = 32
NONCE = Spelled(
    "(?:[A-Za-z0-9_-]{4}){5,10}(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?",
    f"{MIN_NONCE_OCTETS} to {MAX_NONCE_OCTETS} bytes in base64url",
    22,
    43,
)
"""How a record spells the challenge of an inspector; unpadded, with one spelling for each."""


class RecordReason(Enum):
    """Why an odometer record was made."""

    IGNITION_ON = "ignition_on"
    IGNITION_OFF = "ignition_off"
    DISTANCE = "distance"
    TIME = "time"
    FLAG = "flag"
    CREDENTIAL_RENEWED = "credential_renewed"
    """The last one under a credential; the next is signed under the one it names."""
    INSPECTION = "inspection"
    """Somebody beside the vehicle asked for it, with a fresh nonce that is in the record."""
    CLOCK_SET = "clock_set"
    """The date became known: records of the same start before it are dated by it."""


class OdometerFlag(Enum):
    """What was odd about a reading; always visible. The last two are said of records of any kind."""

    ROLLBACK = "rollback"
    """Lower than the reading recorded before."""
    STEP = "step"
    """Jumped: higher than the time since the last record allows."""
    SOURCES_DISAGREE = "sources_disagree"
    """Sources apart: they differ by more than their resolution explains."""
    UNIT_ERROR = "unit_error"
    """Off by the factor between two units, as kilometres and miles, or by a power of ten."""
    ZERO = "zero"
    """The odometer shows nothing, or next to nothing, where it had shown a distance before."""
    FROZEN_WHILE_MOVING = "frozen_while_moving"
    """It stood still while other witnesses saw the vehicle move."""
    BLOCKER_SUSPECTED = "blocker_suspected"
    """It counts a steady share less than other witnesses do: something swallows distance; `missing_permille` says how much."""
    OTHER_VEHICLE = "other_vehicle"
    """The vehicle says to be another one than before: the recorder was moved, or the control unit that names the vehicle."""
    BUS_SILENT_WHILE_MOVING = "bus_silent_while_moving"
    """Nothing came from the vehicle's bus while a witness beside it saw the vehicle move."""
    ODOMETER_FRAME_MISSING = "odometer_frame_missing"
    """The bus speaks, but the message with the odometer no longer comes."""
    ODOMETER_FRAME_DOUBLED = "odometer_frame_doubled"
    """The message with the odometer comes more often than its sender sends it: a second one speaks too."""
    ODOMETER_FRAME_OFF_PERIOD = "odometer_frame_off_period"
    """The message with the odometer comes at other moments than its sender keeps."""
    CLOCK_JUMPED = "clock_jumped"
    """The date went further, or less far, than the time since the start of the vehicle's computer: somebody set the clock."""
    UNKNOWN_PART = "unknown_part"
    """A control unit answered that was never introduced and took no other's place."""
    CLOCK_NOT_SET = "clock_not_set"
    """The vehicle did not know the date; the boot time orders the record."""
    SEQUENCE_RESUMED = "sequence_resumed"
    """The store of earlier records was lost or damaged; numbering went on knowingly."""


class Verdict(Enum):
    """What the other witnesses of the distance say about the reading that is recorded."""

    AGREE = "agree"
    DISAGREE = "disagree"
    ALONE = "alone"
    """There is no other witness."""
    LEARNING = "learning"
    """There is one, and how far it is off by nature is not known yet."""


class CounterKind(Enum):
    """What keeps a counter that an old copy of the records does not take back."""

    TPM = "tpm"
    """A counter of a TPM 2.0, which can only count up."""
    FILE = "file"
    """A file on another medium."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareCount:
    """Where the counter beside the records stands once this record is counted: what keeps it, and its value, which only rises."""

    kind: CounterKind
    value: int


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
        verdict: what other witnesses say; None where nobody judged.
        missing_permille: share of the distance that is not counted, where a blocker is suspected; else None, as without a verdict.
        nonce: the inspector's, `MIN_NONCE_OCTETS` to `MAX_NONCE_OCTETS`; None where nobody asked.
        counter: where the counter beside the records stands with this one; None where there is none.
    """

    odometer_m: int
    reason: RecordReason
    sources: tuple[OdometerSource, ...]
    boot: BootTime
    verdict: Verdict | None = None
    missing_permille: int | None = None
    nonce: bytes | None = None
    counter: HardwareCount | None = None

    def fields(self) -> dict[str, Json]:
        """Return it as claims of a record; what is not known is left out, which a record shows as null."""
        fields = self._read()
        if self.verdict is not None:
            fields["judgement"] = {"verdict": self.verdict.value, "missing_permille": self.missing_permille}
        if self.nonce is not None or self.counter is not None:
            nonce, counter = self.nonce, self.counter
            fields["bound_to"] = {
                "nonce": None if nonce is None else encode_base64url(nonce),
                "counter": None if counter is None else {"kind": counter.kind.value, "value": counter.value},
            }
        return fields

    def _read(self) -> dict[str, Json]:
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

_COUNTER = Group(
    (
        Field(name="kind", type=Choice(tuple(kind.value for kind in CounterKind)), meaning="What keeps it."),
        Field(name="value", type=Whole(MAX_SAFE_INTEGER), meaning="Where it stands once this record is counted."),
    )
)

_JUDGEMENT = Group(
    (
        Field(
            name="verdict",
            type=Choice(tuple(verdict.value for verdict in Verdict)),
            meaning="What the other sources say about the one recorded.",
        ),
        Field(
            name="missing_permille",
            type=PERMILLE,
            meaning="Of the distance driven, the share that is not counted, where a blocker is suspected.",
            is_optional=True,
        ),
    )
)
_BOUND_TO = Group(
    (
        Field(name="nonce", type=NONCE, meaning="The inspector's challenge that this reading answers.", is_optional=True),
        Field(name="counter", type=_COUNTER, meaning="The counter beside the records, which only counts up.", is_optional=True),
    )
)
"""One claim for both, as above: each claim costs a record a tenth of its size, and most records have nothing to say in them."""

_FIRST_REASONS = ("ignition_on", "ignition_off", "distance", "time", "flag", "credential_renewed")
_FIRST_FLAGS = ("rollback", "step", "sources_disagree")
_FIRST_MAX_SOURCES = 8


def _fields(reasons: tuple[str, ...], most_sources: int) -> tuple[Field, ...]:
    return (
        Field(name="odometer_m", type=_METRES, meaning="Distance in metres."),
        occurred("When it was read; null if the clock was not set."),
        Field(name="reason", type=Choice(reasons), meaning="Why it was recorded."),
        Field(name="sources", type=Many(_SOURCE, most_sources, 1), meaning="Where it came from, the one recorded first."),
        Field(
            name="boot", type=_BOOT, meaning="Time since a start of the vehicle's computer, which orders readings without a date."
        ),
    )


ODOMETER_1 = KindSpec(
    kind=RecordKind.ODOMETER,
    meaning="A reading of the odometer, as the vehicle itself took it.",
    fields=_fields(_FIRST_REASONS, _FIRST_MAX_SOURCES),
    flags=_FIRST_FLAGS,
)

ODOMETER_2 = KindSpec(
    kind=RecordKind.ODOMETER,
    version=2,
    meaning="A reading of the odometer, as the vehicle itself took it, and what its other witnesses of the distance say to it.",
    fields=(
        *_fields(tuple(reason.value for reason in RecordReason), MAX_SOURCES),
        Field(name="judgement", type=_JUDGEMENT, meaning="What the other sources say; null where nobody judged.", is_optional=True),
        Field(
            name="bound_to",
            type=_BOUND_TO,
            meaning="What ties the record to its moment and its place; null where nothing does.",
            is_optional=True,
        ),
    ),
    flags=tuple(flag.value for flag in OdometerFlag),
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


def verdict_of(fields: Mapping[str, Json]) -> Verdict | None:
    """Return what other witnesses said about a reading, as its checked claims say; None where nobody judged or it is hidden."""
    verdict = _member(fields, "judgement", "verdict")
    return Verdict(verdict) if isinstance(verdict, str) else None


def missing_permille_of(fields: Mapping[str, Json]) -> int | None:
    """Return the share of the distance that is not counted, as its checked claims say; None where none is known or it is hidden."""
    share = _member(fields, "judgement", "missing_permille")
    return share if isinstance(share, int) else None


def nonce_of(fields: Mapping[str, Json]) -> bytes | None:
    """Return the inspector's challenge that a reading answers, as its checked claims say; None where there is none shown."""
    nonce = _member(fields, "bound_to", "nonce")
    return decode_base64url(nonce, "nonce") if isinstance(nonce, str) else None


def counter_of(fields: Mapping[str, Json]) -> HardwareCount | None:
    """Return where the counter beside the records stood, as its checked claims say; None where there is none shown."""
    match _member(fields, "bound_to", "counter"):
        case {"kind": str(kind), "value": int(value)}:
            return HardwareCount(kind=CounterKind(kind), value=value)
        case _:
            return None


def _member(fields: Mapping[str, Json], group: str, name: str) -> Json:
    members = fields.get(group)
    return members.get(name) if isinstance(members, dict) else None
