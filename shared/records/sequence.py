"""What a series of records says about a vehicle: gaps, forks, rollbacks, changes of credential, in words a buyer understands.

Only the vehicle's own numbering can show that a record is missing; a log proves what it holds, never that nothing else happened.
Records left out after the last one shown cannot be noticed at all.

That two credentials are one vehicle's is shown by the earlier one alone: its last record names the next. A later record that merely
continues the numbering proves nothing, for whoever has seen the earlier ones can write it. Records that others signed stand in the
same numbering and name the vehicle's credential; their readings of the odometer are held against the vehicle's own, with room for a
display that counts whole kilometres or miles. That the vehicle took one up is shown by a record of its own that comes after it:
whoever has a passport can write on where it ends. What records of other kinds say about each other is
`shared.records.life_events`'; what the vehicle itself found odd, `shared.records.remarks`'; what the time since a start of its
computer says about dates, `shared.records.boot_dates`'; a counter beside the records, `shared.records.counter_steps`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.itstime import utc_text
from shared.records.boot_dates import check_clock, dated, stamped_later
from shared.records.corrections import Corrections, read_corrections
from shared.records.counter_steps import CounterSteps
from shared.records.findings import Finding, FindingKind, SequenceItem, day_text, km_text
from shared.records.kind import RecordKind
from shared.records.life_events import check_life_events
from shared.records.odometer import OdometerFlag
from shared.records.remarks import Remarks

READ_BY_EYE_M = 1_609
"""How much lower than the vehicle's own a reading may be that somebody read off a display: the last mile is not shown."""

ENTERED_LATE_NS = 86_400 * NS_PER_S
"""From when on it is told that a record was entered after what it states."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading of the odometer, in metres, and the record that states it; `item` is the one in whose place it stands."""

    metres: int
    stated_by: SequenceItem
    item: SequenceItem

    @property
    def is_own(self) -> bool:
        return self.stated_by.is_own

    def words(self, *, with_source: bool) -> str:
        """Return `60,000.0 km (a garage's reading) on 2026-01-02 (record 3)`."""
        whose = "the vehicle's own" if self.is_own else f"{self.stated_by.signer}'s"
        source = f" ({whose} reading)" if with_source else ""
        seq = self.stated_by.record.seq
        return f"{km_text(self.metres)}{source} on {day_text(self.item.record.occurred)} (record {seq})"


def check_sequence(items: Sequence[SequenceItem]) -> tuple[Finding, ...]:
    """Return what a series, in the order shown, says: in order of record."""
    findings: list[Finding] = []
    if items and items[0].record.seq > 0:
        first = items[0].record.seq
        findings.append(_finding(FindingKind.GAP, first, f"The records before number {first} are not shown ({first} of them)."))
    corrections = read_corrections(items)
    life = check_life_events(items, corrections)
    stamps, clock, counter = stamped_later(items), check_clock(items), CounterSteps()
    remarks = Remarks(items, stamps)
    credentials, dates, odometer = _Credentials(), _Dates(), _Odometer(corrections)
    previous: SequenceItem | None = None
    for position, item in enumerate(items):
        if previous is not None:
            findings += _links(previous, item)
        findings += [*dates.check(item), *([clock[position]] if position in clock else []), *credentials.check(item)]
        findings += [*odometer.check(position, dated(item, stamps.get(position))), *counter.check(item)]
        findings += remarks.check(position, item)
        findings += [*corrections.findings.get(position, ()), *life.get(position, ())]
        previous = item
    return (*findings, *_taken_up(items))


def _finding(kind: FindingKind, seq: int, text: str) -> Finding:
    return Finding(kind=kind, seq=seq, text=text)


def _taken_up(items: Sequence[SequenceItem]) -> list[Finding]:
    """Records of others after the vehicle's last one: it need not know of them; nor of any, where none is its own."""
    own = next((position for position in range(len(items) - 1, -1, -1) if items[position].is_own), None)
    last = items[0 if own is None else own + 1 :]
    if not last:
        return []
    seq = last[0].record.seq
    if own is None:
        text = "No record shown is signed by the vehicle itself: whoever signed these could write them without it."
        return [_finding(FindingKind.NONE_OF_ITS_OWN, seq, text)]
    text = (
        f"The last record (number {seq}) is not the vehicle's own but signed by {last[0].signer}, and none of its own follows: "
        f"nothing shows yet that the vehicle knows of it."
        if len(last) == 1
        else f"The last {len(last)} records, from number {seq} on, are not the vehicle's own, and none of its own follows: "
        f"nothing shows yet that the vehicle knows of them."
    )
    return [_finding(FindingKind.NOT_TAKEN_UP, seq, text)]


def _links(previous: SequenceItem, item: SequenceItem) -> list[Finding]:
    """Numbers and commitments: gap and fork."""
    a, b = previous.record, item.record
    if b.seq <= a.seq:
        text = f"Record {b.seq} stands after record {a.seq}: two histories of one vehicle, as if its memory had been restored."
        return [_finding(FindingKind.FORK, b.seq, text)]
    if b.seq > a.seq + 1:
        missing = b.seq - a.seq - 1
        numbers = f"{a.seq + 1}" if missing == 1 else f"{a.seq + 1} to {b.seq - 1}"
        text = f"{missing} record{'s are' if missing > 1 else ' is'} missing (number {numbers}): what they said is not known."
        return [_finding(FindingKind.GAP, b.seq, text)]
    if b.prev != previous.commitment:
        text = f"Record {b.seq} follows another record {a.seq} than the one shown: two histories of one vehicle."
        return [_finding(FindingKind.FORK, b.seq, text)]
    return []


class _Dates:
    """Dates that run backwards: a clock was wrong, or somebody entered a record later than what it states."""

    def __init__(self) -> None:
        self._last: SequenceItem | None = None

    def check(self, item: SequenceItem) -> list[Finding]:
        last, occurred = self._last, item.record.occurred
        if occurred is None:
            self._last = None if item.is_own else last
            return []
        before = None if last is None else last.record.occurred
        findings: list[Finding] = []
        if last is not None and before is not None and occurred < before:
            findings = self._backwards(item, occurred, last, before)
        if item.is_own or before is None or occurred >= before:
            self._last = item
        return findings

    def _backwards(self, item: SequenceItem, occurred: UtcNs, last: SequenceItem, before: UtcNs) -> list[Finding]:
        a, b = last.record.seq, item.record.seq
        if item.is_own:
            text = f"Record {b} is dated {utc_text(occurred)}, before record {a} ({utc_text(before)}): a clock was wrong."
            return [_finding(FindingKind.CLOCK, b, text)]
        if before - occurred < ENTERED_LATE_NS:
            return []
        text = (
            f"Record {b} was entered by {item.signer} after record {a} of {day_text(before)}, "
            f"and is of something that happened on {day_text(occurred)}."
        )
        return [_finding(FindingKind.ENTERED_LATE, b, text)]


class _Credentials:
    """A record is the vehicle's if it is signed under the credential in force, or names it as its subject.

    In force is the credential of the vehicle's record before, or the one that record hands over to.
    """

    def __init__(self) -> None:
        self._in_force: str | None = None
        self._last_own: SequenceItem | None = None
        self._last: SequenceItem | None = None

    def check(self, item: SequenceItem) -> list[Finding]:
        in_force, last = self._in_force, self._last
        self._last = item
        named = item.record.subject or item.credential
        if item.is_own:
            own, self._last_own = self._last_own, item
            self._in_force = item.record.next_credential or item.credential
        else:
            own = self._last_own
            self._in_force = in_force or named
        if in_force is None or last is None or named == in_force:
            return []
        if not item.is_own:
            text = (
                f"Record {item.record.seq}, signed by {item.signer}, is not about the credential under which the vehicle's records "
                f"are signed there: it is about another vehicle, or a record that names that credential was left out."
            )
            return [_finding(FindingKind.FOREIGN_SUBJECT, item.record.seq, text)]
        return [_finding(FindingKind.CREDENTIAL_NOT_INTRODUCED, item.record.seq, _not_introduced(item, own or last))]


def _not_introduced(item: SequenceItem, last: SequenceItem) -> str:
    a, b = last.record, item.record
    if last.is_own and item.credential == last.credential:
        return f"Record {b.seq} is signed under the credential that had handed over to another with record {a.seq}."
    if a.next_credential is not None:
        return f"Record {b.seq} is signed under another credential than the one that record {a.seq} hands over to."
    if not last.is_own:
        return f"Record {b.seq} is signed under another credential than the one that record {a.seq} is about."
    return (
        f"Record {b.seq} is signed under another credential than record {a.seq}, and no record shown hands over to it: the "
        f"earlier key was lost, the record that names the later one was left out, or these are records of another vehicle."
    )


class _Odometer:
    """Readings of the odometer, whoever took them: none may be below one before it."""

    def __init__(self, corrections: Corrections) -> None:
        self._corrections = corrections
        self._highest_own: _Reading | None = None
        self._highest_read: _Reading | None = None
        self._before: _Reading | None = None
        self._has_fallen = False

    def check(self, position: int, item: SequenceItem) -> list[Finding]:
        record = item.record
        if record.kind is RecordKind.ODOMETER:
            stated = [] if record.odometer_m is None else [item]
        elif self._corrections.is_correction(position):
            return []  # its reading stands in the place of the one it corrects
        else:
            stated = self._corrections.readings(position)
        if not stated and "odometer_m" in record.hidden:
            self._before = None
        readings = [_Reading(each.record.odometer_m or 0, each, item) for each in stated]
        findings = [finding for reading in readings for finding in self._held(reading)]
        return findings or ([] if stated and self._has_fallen else self._flagged(item))

    def _flagged(self, item: SequenceItem) -> list[Finding]:
        record = item.record
        if OdometerFlag.ROLLBACK not in record.flags:
            return []
        text = (
            f"Record {record.seq} hides its reading, but the vehicle flagged it as lower than the one before."
            if record.odometer_m is None
            else f"Record {record.seq} was flagged by the vehicle itself as lower than the reading before it."
        )
        return [_finding(FindingKind.ROLLBACK, record.seq, text)]

    def _held(self, reading: _Reading) -> list[Finding]:
        """Hold a reading against those before it, and remember it."""
        highest = [before for before in (self._highest_own, self._highest_read) if before is not None]
        above = [before for before in highest if _fell(before, reading)]
        findings = self._compared(reading, above)
        if above:
            self._has_fallen = True
        elif all(before.metres <= reading.metres for before in highest):
            self._has_fallen = False
        self._before = reading
        if reading.is_own and (self._highest_own is None or reading.metres > self._highest_own.metres):
            self._highest_own = reading
        if not reading.is_own and (self._highest_read is None or reading.metres > self._highest_read.metres):
            self._highest_read = reading
        return findings

    def _compared(self, reading: _Reading, above: list[_Reading]) -> list[Finding]:
        """Report a fall once, where it happens; readings that climb again below the highest are its consequence."""
        falls = self._before is None or _fell(self._before, reading)
        if not above or (self._has_fallen and not falls):
            return []
        since = self._before if self._before is not None and falls else max(above, key=lambda each: each.metres)
        with_source = not (reading.is_own and since.is_own)
        text = (
            f"The odometer was rolled back: {reading.words(with_source=with_source)}, after "
            f"{since.words(with_source=with_source)}: {km_text(since.metres - reading.metres)} are missing."
        )
        return [_finding(FindingKind.ROLLBACK, reading.item.record.seq, text)]


def _fell(before: _Reading | None, reading: _Reading) -> bool:
    """Whether a reading is below an earlier one; what was read by eye from a display is given its last digit."""
    if before is None:
        return False
    return reading.metres + (0 if reading.is_own and before.is_own else READ_BY_EYE_M) < before.metres
