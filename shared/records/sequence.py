"""What a series of records says about a vehicle: gaps, forks, rollbacks, changes of credential, in words a buyer understands.

A finding is not an error: the records are genuine, and what they show is the point. Only the vehicle's own numbering can show that
a reading is missing; a log proves what it holds, never that nothing else happened. Readings left out after the last record shown
cannot be noticed at all.

That two credentials are one vehicle's is shown by the earlier one alone: its last record names the next. A later record that merely
continues the numbering proves nothing, for whoever has seen the earlier ones can write it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from shared.core.clock import UtcNs
from shared.core.itstime import utc_text
from shared.records.odometer import OdometerFlag
from shared.records.record import DisclosedRecord


class FindingKind(Enum):
    """What was found."""

    ROLLBACK = "rollback"
    FORK = "fork"
    GAP = "gap"
    CREDENTIAL_NOT_INTRODUCED = "credential_not_introduced"
    CLOCK = "clock"
    FLAGGED = "flagged"
    HIDDEN = "hidden"


SERIOUS = frozenset({FindingKind.ROLLBACK, FindingKind.FORK, FindingKind.GAP, FindingKind.CREDENTIAL_NOT_INTRODUCED})
"""What a buyer should not pay without an explanation for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the records show: what, at which record number, and the sentence."""

    kind: FindingKind
    seq: int
    text: str

    @property
    def is_serious(self) -> bool:
        """Whether it touches the distance the vehicle has run, or whether all of it is one vehicle's."""
        return self.kind in SERIOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceItem:
    """A verified record, its commitment, and the `kid` of the credential it is signed under."""

    record: DisclosedRecord
    commitment: bytes
    credential: str


def km_text(distance_m: int) -> str:
    """Return metres as kilometres for people, e.g. `25,088.1 km`."""
    return f"{distance_m / 1000:,.1f} km"


def day_text(occurred: UtcNs | None) -> str:
    """Return a date for people."""
    return "an unknown date" if occurred is None else utc_text(occurred)[:10]


def check_sequence(items: Sequence[SequenceItem]) -> tuple[Finding, ...]:
    """Return what a series, in the order shown, says: in order of record."""
    findings: list[Finding] = []
    if items and items[0].record.seq > 0:
        first = items[0].record.seq
        findings.append(_finding(FindingKind.GAP, first, f"The records before number {first} are not shown ({first} of them)."))
    highest: DisclosedRecord | None = None
    previous: SequenceItem | None = None
    for item in items:
        record = item.record
        if previous is not None:
            findings += [*_links(previous, item), *_credentials(previous, item)]
        odometer_m = record.odometer_m
        if odometer_m is not None:
            before = None if previous is None else previous.record
            if highest is not None and highest.odometer_m is not None and odometer_m < highest.odometer_m:
                findings += _below(record, odometer_m, before, highest)
            elif OdometerFlag.ROLLBACK in record.flags:
                text = f"Record {record.seq} was flagged by the vehicle itself as lower than the reading before it."
                findings.append(_finding(FindingKind.ROLLBACK, record.seq, text))
            if highest is None or highest.odometer_m is None or odometer_m > highest.odometer_m:
                highest = record
        elif OdometerFlag.ROLLBACK in record.flags:
            text = f"Record {record.seq} hides its reading, but the vehicle flagged it as lower than the one before."
            findings.append(_finding(FindingKind.ROLLBACK, record.seq, text))
        findings += _remarks(record)
        previous = item
    return tuple(findings)


def _finding(kind: FindingKind, seq: int, text: str) -> Finding:
    return Finding(kind=kind, seq=seq, text=text)


def _links(previous: SequenceItem, item: SequenceItem) -> list[Finding]:
    """Numbers and commitments: gap and fork."""
    findings: list[Finding] = []
    a, b = previous.record, item.record
    if b.seq <= a.seq:
        text = f"Record {b.seq} stands after record {a.seq}: two histories of one vehicle, as if its memory had been restored."
        findings.append(_finding(FindingKind.FORK, b.seq, text))
    elif b.seq > a.seq + 1:
        missing = b.seq - a.seq - 1
        numbers = f"{a.seq + 1}" if missing == 1 else f"{a.seq + 1} to {b.seq - 1}"
        text = f"{missing} record{'s are' if missing > 1 else ' is'} missing (number {numbers}): what they said is not known."
        findings.append(_finding(FindingKind.GAP, b.seq, text))
    elif b.prev != previous.commitment:
        text = f"Record {b.seq} follows another record {a.seq} than the one shown: two histories of one vehicle."
        findings.append(_finding(FindingKind.FORK, b.seq, text))
    if a.occurred is not None and b.occurred is not None and b.occurred < a.occurred:
        text = f"Record {b.seq} is dated {utc_text(b.occurred)}, before record {a.seq} ({utc_text(a.occurred)}): a clock was wrong."
        findings.append(_finding(FindingKind.CLOCK, b.seq, text))
    return findings


def _credentials(previous: SequenceItem, item: SequenceItem) -> list[Finding]:
    """A record is signed under the credential of the one before it, or under the one that record hands over to."""
    a, b = previous.record, item.record
    if item.credential == (a.next_credential or previous.credential):
        return []
    if item.credential == previous.credential:
        text = f"Record {b.seq} is signed under the credential that had handed over to another with record {a.seq}."
    elif a.next_credential is not None:
        text = f"Record {b.seq} is signed under another credential than the one that record {a.seq} hands over to."
    else:
        text = (
            f"Record {b.seq} is signed under another credential than record {a.seq}, and no record shown hands over to it: the "
            f"earlier key was lost, the record that names the later one was left out, or these are records of another vehicle."
        )
    return [_finding(FindingKind.CREDENTIAL_NOT_INTRODUCED, b.seq, text)]


def _below(record: DisclosedRecord, odometer_m: int, before: DisclosedRecord | None, highest: DisclosedRecord) -> list[Finding]:
    """Report a fall once, where it happens; readings that climb again below the highest are its consequence."""
    fell = before is None or before.odometer_m is None or odometer_m < before.odometer_m
    if not fell or highest.odometer_m is None:
        return []
    since = highest if before is None or before.odometer_m is None else before
    since_m = highest.odometer_m if since.odometer_m is None else since.odometer_m
    text = (
        f"The odometer was rolled back: {km_text(odometer_m)} on {day_text(record.occurred)} (record {record.seq}), after "
        f"{km_text(since_m)} on {day_text(since.occurred)} (record {since.seq}): {km_text(since_m - odometer_m)} are missing."
    )
    return [_finding(FindingKind.ROLLBACK, record.seq, text)]


def _remarks(record: DisclosedRecord) -> list[Finding]:
    texts = {
        OdometerFlag.STEP: "jumped further than the time since the last record allows",
        OdometerFlag.SOURCES_DISAGREE: "came from sources that disagree",
        OdometerFlag.CLOCK_NOT_SET: "was made while the vehicle did not know the date",
        OdometerFlag.SEQUENCE_RESUMED: "was made after the vehicle's store of records was lost or damaged",
    }
    findings = [
        _finding(FindingKind.FLAGGED, record.seq, f"Record {record.seq} {texts[flag]}.") for flag in record.flags if flag in texts
    ]
    if record.odometer_m is None:
        findings.append(_finding(FindingKind.HIDDEN, record.seq, f"Record {record.seq} hides its reading."))
    return findings
