"""Corrections among the records of one vehicle: a record that puts an earlier one right stands beside it, never in its place.

Who may correct is said at admission (`shared.records.admission.check_correction`): the same role, in a record of the same kind.
Here a series is read for it: which record counts for what an earlier one said, and what a reader is told. A correction that is not
allowed counts for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.errors import RecordError
from shared.records.admission import check_correction
from shared.records.findings import Finding, FindingKind, SequenceItem
from shared.records.issuers import IssuerRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What corrects what, by position in the series.

    Attributes:
        findings: what to tell, by position.
    """

    items: Sequence[SequenceItem]
    corrected_by: Mapping[int, int]
    findings: Mapping[int, tuple[Finding, ...]]

    def is_correction(self, position: int) -> bool:
        """Whether the record there is a correction that counts."""
        return position in self.corrected_by.values()

    def latest(self, position: int) -> SequenceItem:
        """Return the record that counts for what the one there said: its last correction, or itself."""
        while position in self.corrected_by:
            position = self.corrected_by[position]
        return self.items[position]


def read_corrections(items: Sequence[SequenceItem]) -> Corrections:
    """Find the corrections of a series; of several of one record, the last one counts."""
    positions = {item.record.seq: position for position, item in reversed(list(enumerate(items)))}
    corrected_by: dict[int, int] = {}
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
        while wrong_at in corrected_by:  # a second correction of one record corrects the first
            wrong_at = corrected_by[wrong_at]
        corrected_by[wrong_at] = position
        another = "" if item.credential == wrong.credential or item.is_own else ", not the one that had issued it"
        text = f"Record {record.corrects} was corrected with record {record.seq} by {item.signer}{another}; both are shown."
        findings[position] = (Finding(kind=FindingKind.CORRECTED, seq=record.seq, text=text),)
    return Corrections(items=items, corrected_by=corrected_by, findings=findings)


def _role(item: SequenceItem) -> IssuerRole:
    """Where nobody has verified who signed, roles are not held against each other beyond what the record itself says."""
    return IssuerRole.VEHICLE if item.is_own else item.role or IssuerRole.GARAGE
