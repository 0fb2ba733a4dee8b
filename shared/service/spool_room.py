"""How much room a vehicle's records have, and who is refused first where it ends: by class of record, evidence last.

Nothing that was recorded is ever dropped: each record names the one before, and a record taken out of the middle breaks every proof
of what came after. So a spool can only refuse, and a class of records is refused once the spool as a whole has reached its share:
what is left is for the classes above it. Both bounds count, octets and records, whichever is reached first. A record also reserves
the room of its proof, so that what was recorded can always be proven (`docs/decisions/0022-a-full-spool-refuses-by-class.md`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil

from shared.core.errors import StorageError
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag, RecordReason
from shared.records.record import DisclosedRecord, Record

DEFAULT_LIMIT_MIB = 1_024
"""Of a spool's file, and of the proofs that records in it still wait for."""

PROOF_OCTETS = 2_048
"""Room that is kept for each proof to come: a tree of a thousand million entries and a handful of witnesses."""

PERCENT = 100


class RecordClass(Enum):
    """What a record counts as when room is short; the value is its name in the status."""

    ROUTINE = "routine"
    """What recurs and is of use for a while: trips, charging, the battery's health."""
    LIFE = "life"
    """What happens to the vehicle, and what was said to others of it: work done, parts, owners, consent, answers."""
    ODOMETER = "odometer"
    """Readings with which nothing is odd."""
    EVIDENCE = "evidence"
    """What a dispute is about: readings with a flag or asked for by an inspector, accidents, credentials handed over."""


SHARES: Mapping[RecordClass, int] = {
    RecordClass.ROUTINE: 60,
    RecordClass.LIFE: 80,
    RecordClass.ODOMETER: 95,
    RecordClass.EVIDENCE: 100,
}
"""Up to how full a spool takes records of a class, in percent."""

CLASSES: Mapping[RecordKind, RecordClass] = {
    RecordKind.ODOMETER: RecordClass.ODOMETER,
    RecordKind.MAINTENANCE: RecordClass.LIFE,
    RecordKind.INSPECTION: RecordClass.EVIDENCE,
    RecordKind.ACCIDENT: RecordClass.EVIDENCE,
    RecordKind.REPAIR: RecordClass.LIFE,
    RecordKind.INSURANCE_CLAIM: RecordClass.LIFE,
    RecordKind.PART: RecordClass.LIFE,
    RecordKind.BATTERY: RecordClass.ROUTINE,
    RecordKind.CHARGING: RecordClass.ROUTINE,
    RecordKind.TRIP: RecordClass.ROUTINE,
    RecordKind.OWNERSHIP: RecordClass.LIFE,
    RecordKind.CONSENT_GRANT: RecordClass.LIFE,
    RecordKind.CONSENT_WITHDRAWAL: RecordClass.LIFE,
    RecordKind.DATA_ANSWER: RecordClass.LIFE,
}
"""Of every kind; what makes a single record evidence is in `class_of`."""

_EVIDENT_REASONS = frozenset((RecordReason.CREDENTIAL_RENEWED.value, RecordReason.INSPECTION.value, RecordReason.CLOCK_SET.value))
_NO_EVIDENCE = frozenset((OdometerFlag.CLOCK_NOT_SET,))
"""Flags that by themselves make no reading evidence: a vehicle whose clock is never set has this one in each record."""

_WORDS = {
    RecordClass.ROUTINE: "trips, charging and the battery",
    RecordClass.LIFE: "events in the vehicle's life",
    RecordClass.ODOMETER: "readings of the odometer",
    RecordClass.EVIDENCE: "records of any kind",
}


class SpoolFullError(StorageError):
    """A spool takes no more records of a class.

    Args:
        path: the file.
        refused: the class.
        bound: what it has reached, in words.
    """

    def __init__(self, path: str, refused: RecordClass, bound: str) -> None:
        super().__init__(path, f"the spool is full for {_WORDS[refused]}: {bound}")
        self.refused = refused
        self.bound = bound

    @property
    def code(self) -> str:
        """`spool_full`."""
        return "spool_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolBounds:
    """How large a spool may become: records, and octets with the proofs to come."""

    records: int
    octets: int

    def check(self, path: str, wanting: RecordClass, *, records: int, octets: int) -> None:
        """Refuse another record of a class where so many records and octets are there; raises `SpoolFullError`."""
        share = SHARES[wanting]
        part = "" if share == PERCENT else f"{share} % of "
        if records >= self.share_of(self.records, wanting):
            raise SpoolFullError(path, wanting, f"{part}{self.records} records")
        if octets >= self.share_of(self.octets, wanting):
            raise SpoolFullError(path, wanting, f"{part}{self.octets / 2**20:g} MiB")

    @staticmethod
    def share_of(bound: int, wanting: RecordClass) -> int:
        """Return a class's part of a bound."""
        return ceil(bound * SHARES[wanting] / PERCENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolUse:
    """How full a spool is.

    Attributes:
        records: how many of each class.
        octets: of the file, and of the proofs to come.
        bounds: how large it may become.
        lasts_days: for how long there is room for readings of the odometer at the pace of the last records; None where the pace
            is not known, because there are few of them or they bear no date.
        unmarked: how often the number of the last record could not be marked beside the file (`shared.service.spool_mark`).
    """

    records: Mapping[RecordClass, int]
    octets: int
    bounds: SpoolBounds
    lasts_days: float | None
    unmarked: int

    def json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "records": {each.value: count for each, count in self.records.items()},
            "octets": self.octets,
            "limit_octets": self.bounds.octets,
            "limit_records": self.bounds.records,
            "refuses": [each.value for each in SHARES if self._is_refused(each)],
            "lasts_days": None if self.lasts_days is None else round(self.lasts_days, 1),
            "unmarked": self.unmarked,
        }

    def _is_refused(self, wanting: RecordClass) -> bool:
        try:
            self.bounds.check("", wanting, records=sum(self.records.values()), octets=self.octets)
        except SpoolFullError:
            return True
        return False


def class_of(record: Record | DisclosedRecord) -> RecordClass:
    """Return what a record counts as."""
    if isinstance(record, Record):
        reason, hands_over = record.fields.get("reason"), record.successor is not None
    else:
        reason, hands_over = None if record.reason is None else record.reason.value, record.next_credential is not None
    if hands_over or _is_odd(record.flags) or (isinstance(reason, str) and reason in _EVIDENT_REASONS):
        return RecordClass.EVIDENCE
    return CLASSES[record.kind]


def _is_odd(flags: Collection[OdometerFlag]) -> bool:
    return any(flag not in _NO_EVIDENCE for flag in flags)
