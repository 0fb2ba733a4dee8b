"""Dates by the time since a start of the vehicle's computer: of records made before the date was known, and against a clock set.

Every odometer record names the start of the computer under which it was made, and the time since, which goes on while the computer
sleeps and which nobody sets. So one record with a date dates the others of the same start; and where two have dates that lie
further apart than that time, or closer, the clock was set between them. How long lay between two starts is not known. Records
of the table's first version measured a time that stands still in sleep; they are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.clock import NS_PER_MS, UtcNs
from shared.core.itstime import utc_text
from shared.records.findings import Finding, FindingKind, SequenceItem
from shared.records.kind import OCCURRED, RecordKind
from shared.records.record import MAX_OCCURRED_NS

FIRST_VERSION_IN_BOOT_TIME = 2
CLOCK_SET_MS = 60_000
"""So far two dates may be from what the computer measured between them; behind a minute nobody looks for fraud."""

DRIFT_PERMILLE = 1
"""And so much of the time between them: a bad quartz is off by a tenth of that."""

_UNITS_MS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an undated record was made, and the number of the record that tells."""

    occurred: UtcNs
    by_seq: int

    @property
    def words(self) -> str:
        """Return `2026-11-22 09:30 UTC by record 5`."""
        return f"{self.moment} UTC by record {self.by_seq}"

    @property
    def moment(self) -> str:
        """Return `2026-11-22 09:30`, in UTC."""
        return utc_text(self.occurred)[:16].replace("T", " ")


@dataclass(frozen=True, slots=True)
class _Timed:
    """A record of the vehicle's own with the time since the start of its computer."""

    position: int
    seq: int
    elapsed_ms: int
    occurred: UtcNs | None


def stamped_later(items: Sequence[SequenceItem]) -> dict[int, Stamp]:
    """Return the dates of undated records, by position: by the next dated record of the same start, else by the last before."""
    stamps: dict[int, Stamp] = {}
    for timed in _by_start(items).values():
        before: _Timed | None = None
        waiting: list[_Timed] = []
        for each in timed:
            if each.occurred is None:
                waiting.append(each)
                continue
            _stamp(stamps, waiting, each)
            before, waiting = each, []
        if before is not None:
            _stamp(stamps, waiting, before)
    return stamps


def bounded(items: Sequence[SequenceItem], stamps: Mapping[int, Stamp]) -> dict[int, tuple[Stamp, Stamp]]:
    """Return between which moments the vehicle made records of other kinds without a date, by position.

    They name no start of the computer, but where the readings of the odometer before and after one are of the same start and have
    dates, or were given them later, it was made in between.
    """
    bounds: dict[int, tuple[Stamp, Stamp]] = {}
    before: tuple[_Timed, bytes] | None = None
    waiting: list[int] = []
    timed = {each.position: (each, start) for start, starts in _by_start(items).items() for each in starts}
    for position, item in enumerate(items):
        if position not in timed:
            if item.is_own and item.record.kind is RecordKind.ODOMETER:
                before, waiting = None, []
            elif item.is_own and item.record.occurred is None and OCCURRED not in item.record.hidden:
                waiting.append(position)
            continue
        each, start = timed[position]
        if before is not None and before[1] == start:
            first, last = _made(before[0], stamps), _made(each, stamps)
            if first is not None and last is not None:
                bounds |= dict.fromkeys(waiting, (first, last))
        before, waiting = (each, start), []
    return bounds


def dated(item: SequenceItem, stamp: Stamp | None) -> SequenceItem:
    """Return a record as if it had said the date that it was given later."""
    return item if stamp is None else replace(item, record=replace(item.record, occurred=stamp.occurred))


def check_clock(items: Sequence[SequenceItem]) -> Mapping[int, Finding]:
    """Return where the vehicle's clock was set between two records of one start, by position of the later one."""
    found: dict[int, Finding] = {}
    for timed in _by_start(items).values():
        before: _Timed | None = None
        for each in timed:
            if each.occurred is None:
                continue
            if before is not None and before.occurred is not None:
                finding = _clock_set(before, before.occurred, each, each.occurred)
                found |= {} if finding is None else {each.position: finding}
            before = each
    return found


def duration_text(duration_ms: int) -> str:
    """Return a time for people, in the largest unit of which it holds two, rounded down: `3 days`, `90 minutes`."""
    for unit, unit_ms in _UNITS_MS:
        if duration_ms >= 2 * unit_ms:
            return f"{duration_ms // unit_ms} {unit}s"
    return "a second"


def _by_start(items: Sequence[SequenceItem]) -> dict[bytes, list[_Timed]]:
    starts: dict[bytes, list[_Timed]] = {}
    for position, item in enumerate(items):
        record = item.record
        boot = record.boot
        if item.is_own and boot is not None and record.version >= FIRST_VERSION_IN_BOOT_TIME and OCCURRED not in record.hidden:
            starts.setdefault(boot.boot_id, []).append(_Timed(position, record.seq, boot.elapsed_ms, record.occurred))
    return starts


def _made(timed: _Timed, stamps: Mapping[int, Stamp]) -> Stamp | None:
    """Return when a reading was taken, by itself or by the record that tells."""
    return stamps.get(timed.position) if timed.occurred is None else Stamp(timed.occurred, timed.seq)


def _stamp(stamps: dict[int, Stamp], waiting: Sequence[_Timed], by: _Timed) -> None:
    for each in waiting:
        occurred = (by.occurred or 0) - (by.elapsed_ms - each.elapsed_ms) * NS_PER_MS
        if 0 <= occurred < MAX_OCCURRED_NS:
            stamps[each.position] = Stamp(UtcNs(occurred), by.seq)


def _clock_set(a: _Timed, a_occurred: UtcNs, b: _Timed, b_occurred: UtcNs) -> Finding | None:
    ran_ms = b.elapsed_ms - a.elapsed_ms
    off_ms = (b_occurred - a_occurred) // NS_PER_MS - ran_ms
    if abs(off_ms) <= CLOCK_SET_MS + abs(ran_ms) * DRIFT_PERMILLE // 1_000:
        return None
    text = (
        f"Between record {a.seq} and record {b.seq} the vehicle's clock was set {'forward' if off_ms > 0 else 'back'} by "
        f"{duration_text(abs(off_ms))}: its computer ran on from one to the other and measured the time."
    )
    return Finding(kind=FindingKind.CLOCK, seq=b.seq, text=text)
