"""What a vehicle's records say beside the odometer: owners, crashes and their repair, parts and where they came from, consent.

Remarks for a reader of the whole series, in the order of record; where a correction counts for a record, its words are used. Only
changes of owner that do not follow each other are serious: the rest is what a life looks like. What is hidden is not guessed at.
"""

from collections.abc import Callable, Mapping, Sequence

from shared.core.itstime import utc_text
from shared.records.corrections import Corrections
from shared.records.findings import Finding, FindingKind, SequenceItem, day_text
from shared.records.kind import RecordKind
from shared.records.strict_json import Json

NOT_TO_BE_OVERLOOKED = ("moderate", "structural", "total_loss")
"""Severities of a crash after which a reader asks for the repair."""


def check_life_events(items: Sequence[SequenceItem], corrections: Corrections) -> dict[int, tuple[Finding, ...]]:
    """Return what a series says, by position in it."""
    reader = _LifeEvents(items, corrections)
    found = {
        position: tuple(reader.check(position, item))
        for position, item in enumerate(items)
        if not corrections.is_correction(position)
    }
    return {position: findings for position, findings in found.items() if findings}


class _LifeEvents:
    """Reads a series record by record."""

    def __init__(self, items: Sequence[SequenceItem], corrections: Corrections) -> None:
        self._counting = {
            position: corrections.fields(position) for position in range(len(items)) if position not in corrections.first
        }
        self._repaired = {
            fields.get("accident_seq"): items[position]
            for position, fields in self._counting.items()
            if items[position].record.kind is RecordKind.REPAIR and fields.get("outcome") == "complete"
        }
        self._holder: tuple[str, int] | None = None
        self._holders: tuple[int, int] | None = None
        self._fitted: dict[tuple[str, str], int] = {}
        self._grants: dict[int, Mapping[str, Json]] = {}
        self._withdrawn: dict[int, int] = {}
        self._checks: dict[RecordKind, Callable[[SequenceItem, Mapping[str, Json]], list[Finding]]] = {
            RecordKind.OWNERSHIP: self._ownership,
            RecordKind.ACCIDENT: self._accident,
            RecordKind.PART: self._part,
            RecordKind.MAINTENANCE: self._works,
            RecordKind.REPAIR: self._works,
            RecordKind.CONSENT_GRANT: self._grant,
            RecordKind.CONSENT_WITHDRAWAL: self._withdrawal,
            RecordKind.DATA_ANSWER: self._answer,
        }

    def check(self, position: int, item: SequenceItem) -> list[Finding]:
        """Take the next record that is no correction."""
        check = self._checks.get(item.record.kind)
        return [] if check is None else check(item, self._counting[position])

    def _ownership(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        seq, event = item.record.seq, fields.get("event")
        if not isinstance(event, str):
            return []
        on = day_text(item.record.occurred)
        findings = [_finding(FindingKind.OWNERSHIP, seq, f"{_EVENTS[event]} on {on} (record {seq}).")]
        giver, taker, holders = fields.get("from_party"), fields.get("to_party"), fields.get("holders")
        if isinstance(giver, str) and self._holder is not None and giver != self._holder[0]:
            text = (
                f"Record {seq} hands the vehicle on from somebody else than the one record {self._holder[1]} gave it to: "
                f"a change of owner is not shown."
            )
            findings.append(_finding(FindingKind.OWNERSHIP_BREAK, seq, text))
        if isinstance(holders, int):
            if self._holders is not None and holders < self._holders[0]:
                text = f"Record {seq} counts {holders} holders, after {self._holders[0]} in record {self._holders[1]}."
                findings.append(_finding(FindingKind.OWNERSHIP_BREAK, seq, text))
            self._holders = (holders, seq)
        if isinstance(taker, str):
            self._holder = (taker, seq)
        elif "to_party" not in fields:  # hidden: whoever comes next cannot be held against it
            self._holder = None
        return findings

    def _accident(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        severity, seq = fields.get("severity"), item.record.seq
        if not isinstance(severity, str):
            return []
        on = day_text(item.record.occurred)
        what = f"{_SEVERITIES[severity]} on {on} (record {seq}, told by {item.signer})"
        repair = self._repaired.get(seq)
        if repair is not None and repair.record.seq > seq:
            done = f": repaired, says {repair.signer} (record {repair.record.seq})."
        else:
            done = "; no complete repair of it is shown." if severity in NOT_TO_BE_OVERLOOKED else "."
        return [_finding(FindingKind.DAMAGE, seq, f"{what}{done}")]

    def _part(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        action, part, condition, seq = fields.get("action"), fields.get("part"), fields.get("condition"), item.record.seq
        if not isinstance(action, str) or not isinstance(part, str):
            return []
        if item.is_own:
            return [_noticed(item, part, action)]
        findings = [] if action == "reprogrammed" else self._serials(item, part, action, fields)
        if "odometer" in part.lower():
            findings.append(_worked_on(item))
        if action == "removed" or condition not in ("used", "remanufactured", "repurposed"):
            return findings
        match fields.get("previous_holder"):
            case {"by": "commitment", "hash": str(link)}:
                origin = f"it came with the record that the ledger holds as {link}"
            case {"hash": str(link)}:
                origin = f"it came from the holder of credential {link}"
            case _:
                hidden = "previous_holder" in item.record.hidden
                origin = "where it came from is hidden" if hidden else "where it came from is not said"
        text = f"A part that is {condition} was fitted with record {seq} by {item.signer}: {part}; {origin}."
        return [*findings, _finding(FindingKind.PART, seq, text)]

    def _serials(self, item: SequenceItem, part: str, action: str, fields: Mapping[str, Json]) -> list[Finding]:
        """Follow serial numbers in and out."""
        maker, serial, replaced = fields.get("maker"), fields.get("serial_number"), fields.get("replaced_serial_number")
        seq = item.record.seq
        if not isinstance(maker, str):
            return []
        if isinstance(replaced, str):
            self._fitted.pop((maker, replaced), None)
        if not isinstance(serial, str):
            return []
        fitted = self._fitted.pop((maker, serial), None)
        if action == "removed":
            return []
        self._fitted[maker, serial] = seq
        if fitted is None:
            return []
        text = (
            f"The {part} with serial number {serial} was fitted with record {seq}, and had been fitted with record {fitted} before."
        )
        return [_finding(FindingKind.PART, seq, text)]

    def _works(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        works = fields.get("works")
        return [_worked_on(item)] if isinstance(works, list) and "odometer" in works else []

    def _grant(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        self._grants[item.record.seq] = fields
        return []

    def _withdrawal(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        granted = fields.get("grant_seq")
        if isinstance(granted, int):
            self._withdrawn.setdefault(granted, item.record.seq)
        return []

    def _answer(self, item: SequenceItem, fields: Mapping[str, Json]) -> list[Finding]:
        seq, granted = item.record.seq, fields.get("grant_seq")
        if not isinstance(granted, int):
            return []
        words = f"Data were given to others with record {seq}"
        if granted in self._withdrawn:
            text = f"{words} under grant {granted}, which had been withdrawn with record {self._withdrawn[granted]}."
        elif granted not in self._grants:
            text = f"{words} under grant {granted}, which is not shown before it."
        elif self._is_over(item, granted):
            text = f"{words} under grant {granted}, which had ended."
        else:
            text = f"{words}, as the holder had let them have with record {granted}."
        return [_finding(FindingKind.CONSENT, seq, text)]

    def _is_over(self, item: SequenceItem, granted: int) -> bool:
        until, occurred = self._grants[granted].get("valid_until"), item.record.occurred
        return isinstance(until, str) and occurred is not None and utc_text(occurred) >= until


def _finding(kind: FindingKind, seq: int, text: str) -> Finding:
    return Finding(kind=kind, seq=seq, text=text)


def _noticed(item: SequenceItem, part: str, action: str) -> Finding:
    """What the vehicle noticed by itself: who did it, and whether anybody said so, the other records tell."""
    text = f"The vehicle noticed on {day_text(item.record.occurred)} that {_ACTIONS[action]}: {part} (record {item.record.seq})."
    return _finding(FindingKind.PART, item.record.seq, text)


def _worked_on(item: SequenceItem) -> Finding:
    text = f"The odometer itself was worked on by {item.signer} on {day_text(item.record.occurred)} (record {item.record.seq})."
    return _finding(FindingKind.ODOMETER_WORKED_ON, item.record.seq, text)


_EVENTS = {
    "first_registration": "The vehicle was registered for the first time",
    "transfer": "The vehicle changed hands",
    "deregistration": "The vehicle was taken off the register",
    "export": "The vehicle was exported",
    "import": "The vehicle was imported",
    "scrapped": "The vehicle was scrapped",
}
_ACTIONS = {
    "fitted": "a part had been fitted",
    "replaced": "a part had been replaced",
    "removed": "a part was gone",
    "reprogrammed": "a part had other software than before",
}
_SEVERITIES = {
    "not_known": "A crash, how bad is not known,",
    "cosmetic": "A crash with cosmetic damage",
    "moderate": "A crash with moderate damage",
    "structural": "A crash with structural damage",
    "total_loss": "A crash that was a total loss",
}
