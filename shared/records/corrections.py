"""Corrections among the records of one vehicle: a record that puts an earlier one right stands beside it, never in its place.

Who may correct is said at admission (`shared.records.admission.check_correction`): the same role, in a record of the same kind.
Here a series is read for it: which record counts for what an earlier one said, and what a reader is told. A correction that is not
allowed counts for nothing, and one of which a claim is hidden takes nothing back with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.errors import RecordError
from shared.records.admission import check_correction
from shared.records.findings import Finding, FindingKind, SequenceItem, km_text
from shared.records.issuers import IssuerRole
from shared.records.strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What corrects what, by position in the series.

    Attributes:
        items: the series.
        first: of every correction that counts, the record it leads back to.
        later: of every record that was corrected, its corrections in order.
        findings: what to tell.
    """

    items: Sequence[SequenceItem]
    first: Mapping[int, int]
    later: Mapping[int, Sequence[int]]
    findings: Mapping[int, tuple[Finding, ...]]

    def is_correction(self, position: int) -> bool:
        """Whether the record there is a correction that counts."""
        return position in self.first

    def said_of(self, position: int) -> tuple[SequenceItem, ...]:
        """Return the record there, which is no correction, and its corrections in order."""
        return (self.items[position], *(self.items[each] for each in self.later.get(position, ())))

    def fields(self, position: int) -> dict[str, Json]:
        """Return what counts of a record that is no correction: of each claim, what was last said and is shown."""
        return {name: value for item in self.said_of(position) for name, value in item.record.fields.items()}

    def readings(self, position: int) -> list[SequenceItem]:
        """Return the records whose readings count for one that is no correction: of whoever gave one, the last that is shown.

        What one issuer had read, another does not take back; what is hidden takes nothing back.
        """
        counting: dict[str, SequenceItem] = {}
        for item in self.said_of(position):
            if "odometer_m" not in item.record.hidden:
                who = "" if item.is_own else item.credential
                counting.pop(who, None)
                if item.record.odometer_m is not None:
                    counting[who] = item
        return [*counting.values()]


def read_corrections(items: Sequence[SequenceItem]) -> Corrections:
    """Find the corrections of a series; of several of one record, the last one counts."""
    positions = {item.record.seq: position for position, item in reversed(list(enumerate(items)))}
    first: dict[int, int] = {}
    later: dict[int, list[int]] = {}
    findings: dict[int, tuple[Finding, ...]] = {}
    for position, item in enumerate(items):
        record = item.record
        if record.corrects is None:
            continue
        wrong_at = positions.get(record.corrects)
        if wrong_at is None or wrong_at >= position:
            text = f"Record {record.seq} corrects record {record.corrects}, which is not shown before it."
            findings[position] = (Finding(kind=FindingKind.CORRECTED, seq=record.seq, text=text),)
            continue
        wrong = items[wrong_at]
        try:
            check_correction(record, wrong.record, _role(item), _role(wrong))
        except RecordError as error:
            text = f"Record {record.seq} is no correction: {error.reason}."
            findings[position] = (Finding(kind=FindingKind.BAD_CORRECTION, seq=record.seq, text=text),)
            continue
        first[position] = first.get(wrong_at, wrong_at)  # a second correction of one record corrects the first
        later.setdefault(first[position], []).append(position)
        another = "" if item.credential == wrong.credential or item.is_own else ", not the one that had issued it"
        text = f"Record {record.corrects} was corrected with record {record.seq} by {item.signer}{another}{_change(wrong, item)}."
        findings[position] = (Finding(kind=FindingKind.CORRECTED, seq=record.seq, text=text),)
    return Corrections(items=items, first=first, later=later, findings=findings)


def counting_readings(items: Sequence[SequenceItem]) -> dict[int, int]:
    """Return the positions of the records whose readings count, and the number of the record in whose place each stands."""
    corrections = read_corrections(items)
    positions = {id(item): position for position, item in enumerate(items)}
    return {
        positions[id(counting)]: item.record.seq
        for position, item in enumerate(items)
        if not corrections.is_correction(position)
        for counting in corrections.readings(position)
    }


def _change(wrong: SequenceItem, item: SequenceItem) -> str:
    """Say how a reading was changed, where both are shown."""
    before, after = wrong.record.odometer_m, item.record.odometer_m
    if before is None or after is None or before == after:
        return "; both are shown"
    return f", from {km_text(before)} to {km_text(after)}; both are shown"


def _role(item: SequenceItem) -> IssuerRole:
    """Where nobody has verified who signed, roles are not held against each other beyond what the record itself says."""
    return IssuerRole.VEHICLE if item.is_own else item.role or IssuerRole.GARAGE
