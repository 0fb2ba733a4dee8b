"""What a vehicle itself found odd about its readings, in words a buyer understands.

What is odd for a while is told once, with the records and dates from which to which it lasted. Serious is what touches the
distance itself: what was driven and not counted, and records that may be of two vehicles. All else is for who looks closer: a
reading of zero, or in another unit, shows as a rollback or a jump where it matters.
"""

from collections.abc import Mapping, Sequence

from shared.records.boot_dates import Stamp, bounded
from shared.records.findings import Finding, FindingKind, SequenceItem, day_text
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag

AT_ONCE = {
    OdometerFlag.STEP: "jumped further than the time since the last record allows",
    OdometerFlag.SOURCES_DISAGREE: "came from sources that disagree",
    OdometerFlag.CLOCK_NOT_SET: "was made while the vehicle did not know the date",
    OdometerFlag.SEQUENCE_RESUMED: "was made after the vehicle's store of records was lost or damaged",
}
"""Told of every record."""

WHILE_IT_LASTS = {
    OdometerFlag.UNIT_ERROR: "The odometer was off by the factor between kilometres and miles, or by a power of ten",
    OdometerFlag.ZERO: "The odometer showed nothing, or next to nothing, after it had shown a distance",
    OdometerFlag.FROZEN_WHILE_MOVING: "The odometer stood still while the vehicle moved: what was driven then is not in it",
    OdometerFlag.BLOCKER_SUSPECTED: "The odometer did not count all that was driven",
    OdometerFlag.OTHER_VEHICLE: (
        "The car said to be another vehicle than before: these are records of two vehicles, or the control unit that names it was "
        "replaced"
    ),
    OdometerFlag.BUS_SILENT_WHILE_MOVING: "The vehicle moved while nothing came from its bus",
    OdometerFlag.ODOMETER_FRAME_MISSING: "The vehicle's bus spoke, and no longer of the odometer",
    OdometerFlag.ODOMETER_FRAME_DOUBLED: "The odometer's message came more often than its sender sends it, as from two",
    OdometerFlag.ODOMETER_FRAME_OFF_PERIOD: "The odometer's message came at other moments than its sender keeps",
    OdometerFlag.CLOCK_JUMPED: "The vehicle's clock was set while its computer ran",
    OdometerFlag.UNKNOWN_PART: "A control unit answered that had never been introduced",
}
"""Told of all records in a row that say it."""

KIND_OF = {
    OdometerFlag.FROZEN_WHILE_MOVING: FindingKind.DISTANCE_MISSING,
    OdometerFlag.BLOCKER_SUSPECTED: FindingKind.DISTANCE_MISSING,
    OdometerFlag.OTHER_VEHICLE: FindingKind.OTHER_VEHICLE,
}
"""What is more than a remark."""

_SHARES = (
    (100, "a tenth"), (200, "a fifth"), (250, "a quarter"), (333, "a third"), (500, "half"), (667, "two thirds"),
    (750, "three quarters"),
)  # fmt: skip
_NEAR_PERMILLE = 15


def share_text(permille: int) -> str:
    """Return a share for people: `about a quarter (25 %)`."""
    percent = f"{(permille + 5) // 10} %"
    for share, words in _SHARES:
        if abs(permille - share) <= _NEAR_PERMILLE:
            return f"about {words} ({percent})"
    return f"about {percent}"


class Remarks:
    """Remarks on a series.

    Args:
        items: the series.
        stamps: dates of undated records, by position.
    """

    def __init__(self, items: Sequence[SequenceItem], stamps: Mapping[int, Stamp]) -> None:
        self._stamps = stamps
        self._bounds = bounded(items, stamps)
        self._lasting: dict[int, list[Finding]] = {}
        own = [position for position, item in enumerate(items) if item.is_own and item.record.kind is RecordKind.ODOMETER]
        for flag, words in WHILE_IT_LASTS.items():
            run: list[int] = []
            for position in own:
                if flag in items[position].record.flags:
                    run.append(position)
                    continue
                self._tell(flag, words, items, run)
                run = []
            self._tell(flag, words, items, run)

    def check(self, position: int, item: SequenceItem) -> list[Finding]:
        """Return what is odd about the record there."""
        record = item.record
        findings = []
        for flag in record.flags:
            if flag in AT_ONCE:
                when = self._when(position) if flag is OdometerFlag.CLOCK_NOT_SET else ""
                text = f"Record {record.seq} {AT_ONCE[flag]}{when}."
                findings.append(Finding(kind=FindingKind.FLAGGED, seq=record.seq, text=text))
        findings += self._lasting.get(position, [])
        if "odometer_m" in record.hidden:
            findings.append(Finding(kind=FindingKind.HIDDEN, seq=record.seq, text=f"Record {record.seq} hides its reading."))
        return findings

    def _when(self, position: int) -> str:
        """Say when a record without a date was made, as far as others of the same start of the computer tell."""
        stamp, bounds = self._stamps.get(position), self._bounds.get(position)
        if stamp is not None:
            return f"; it was {stamp.words} of the same start of its computer"
        if bounds is None:
            return ""
        first, last = bounds
        return f"; it was between {first.moment} and {last.moment} UTC, when the readings before and after it were taken"

    def _tell(self, flag: OdometerFlag, words: str, items: Sequence[SequenceItem], run: Sequence[int]) -> None:
        if not run:
            return
        share = ""
        if flag is OdometerFlag.BLOCKER_SUSPECTED:
            shares = [items[each].record.missing_permille for each in run]
            known = [each for each in shares if each is not None]
            part = share_text(known[-1]) if known else "a part"
            share = f": {part} of the distance is missing, by what other witnesses of it say"
        first, last = items[run[0]].record.seq, items[run[-1]].record.seq
        from_day, to_day = self._day(run[0], items), self._day(run[-1], items)
        days = from_day if from_day == to_day else f"{from_day} to {to_day}"
        where = f"record {first}, {days}" if len(run) == 1 else f"records {first} to {last}, {days}"
        finding = Finding(kind=KIND_OF.get(flag, FindingKind.FLAGGED), seq=first, text=f"{words}{share} ({where}).")
        self._lasting.setdefault(run[0], []).append(finding)

    def _day(self, position: int, items: Sequence[SequenceItem]) -> str:
        stamp = self._stamps.get(position)
        return day_text(items[position].record.occurred if stamp is None else stamp.occurred)
