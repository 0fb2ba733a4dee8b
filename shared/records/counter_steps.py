"""Whether the counter beside a vehicle's records went up with them: one that an old copy of the records does not take back.

Each record of the odometer says where the counter stands once the record is counted. A record takes one step, so between two
records the counter rises as their numbers do. Further: steps were taken for records that are not in this history, as where a copy
of the vehicle's memory went on by itself beside it. Less far, or not at all: the same step was taken twice, or another counter was
put in its place. A file on another medium shows as much, to who trusts that nobody wrote it.
"""

from shared.records.findings import Finding, FindingKind, SequenceItem
from shared.records.odometer import CounterKind, HardwareCount

_WORDS = {CounterKind.TPM: "the counter in the vehicle's TPM", CounterKind.FILE: "the counter beside the vehicle's records"}


class CounterSteps:
    """Follows the counter through a series."""

    def __init__(self) -> None:
        self._last: tuple[int, HardwareCount] | None = None

    def check(self, item: SequenceItem) -> list[Finding]:
        """Take the next record."""
        record = item.record
        if not item.is_own or "bound_to" not in record.fields:
            return []
        last, count, seq = self._last, record.counter, record.seq
        self._last = None if count is None else (seq, count)
        if last is None:
            return []
        before_seq, before = last
        if count is None or count.kind is not before.kind:
            then = "no counter any more" if count is None else f"{_WORDS[count.kind]} instead"
            text = f"Up to record {before_seq} {_WORDS[before.kind]} counted with the records; record {seq} names {then}."
            return [Finding(kind=FindingKind.COUNTER_CHANGED, seq=seq, text=text)]
        records, steps = seq - before_seq, count.value - before.value
        if records <= 0 or steps == records:  # a fork of the numbers themselves is told elsewhere
            return []
        went = f"from {before.value} to {count.value}"
        why = (
            "records were made that are not in this history, or the counter was made anew"
            if steps > records
            else "two histories of one vehicle, or another counter was put in its place"
        )
        text = f"Between record {before_seq} and record {seq} {_WORDS[count.kind]} went {went}, not up by {records}: {why}."
        return [Finding(kind=FindingKind.COUNTER_OUT_OF_STEP, seq=seq, text=text)]
