"""What records of many kinds say about each other: whose reading is below whose, what was corrected, what a life looks like."""

from shared.core.clock import NS_PER_S, UtcNs
from shared.records.findings import Finding, FindingKind, SequenceItem
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.record import DisclosedRecord
from shared.records.sequence import READ_BY_EYE_M, check_sequence
from shared.records.strict_json import Json
from tests.unit.records.test_kinds import fields_of, role_for

DAY_NS = 86_400 * NS_PER_S
START = 1_767_225_600 * NS_PER_S  # 2026-01-01
SUBJECT = "the car"


class Life:
    """A car's records, one after the other."""

    def __init__(self) -> None:
        self.items: list[SequenceItem] = []

    def add(
        self,
        kind: RecordKind,
        *,
        role: IssuerRole | None = None,
        corrects: int | None = None,
        day: int | None = None,
        subject: str = SUBJECT,
        hidden: tuple[str, ...] = (),
        **fields: Json,
    ) -> int:
        seq = len(self.items)
        who = role_for(kind) if role is None else role
        is_own = who is IssuerRole.VEHICLE
        own: dict[str, Json] = {"bound_to": None} if kind is RecordKind.ODOMETER else {}
        shown = {name: value for name, value in {**fields_of(kind), **own, **fields}.items() if name not in hidden}
        record = DisclosedRecord(
            kind=kind,
            seq=seq,
            prev=self.items[-1].commitment if self.items else None,
            occurred=UtcNs(START + (seq if day is None else day) * DAY_NS),
            fields=shown,
            subject=None if is_own else subject,
            corrects=corrects,
            hidden=hidden,
        )
        credential = SUBJECT if is_own else who.value
        self.items.append(SequenceItem(record=record, commitment=bytes([seq]) * 32, credential=credential, role=who))
        return seq

    def reads(self, metres: int) -> int:
        """The car's own odometer."""
        return self.add(RecordKind.ODOMETER, odometer_m=metres)

    def found(self, kind: FindingKind) -> list[Finding]:
        return [finding for finding in check_sequence(self.items) if finding.kind is kind]

    def serious(self) -> list[FindingKind]:
        return [finding.kind for finding in check_sequence(self.items) if finding.is_serious]


def test_a_garage_that_reads_what_the_car_says_is_no_finding() -> None:
    life = Life()
    life.reads(50_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=50_000_000 - READ_BY_EYE_M)
    life.reads(50_000_100)
    assert life.serious() == []


def test_a_garages_reading_below_the_cars_says_whose_is_whose() -> None:
    life = Life()
    life.reads(50_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=30_000_000)
    (finding,) = life.found(FindingKind.ROLLBACK)
    assert "30,000.0 km (a garage's reading)" in finding.text
    assert "50,000.0 km (the vehicle's own reading)" in finding.text


def test_a_car_below_what_an_inspector_read_is_found() -> None:
    life = Life()
    life.add(RecordKind.INSPECTION, odometer_m=90_000_000)
    life.reads(60_000_000)
    (finding,) = life.found(FindingKind.ROLLBACK)
    assert "an inspector's reading" in finding.text
    assert finding.is_serious


def test_a_slip_that_was_corrected_counts_as_corrected_and_stays_visible() -> None:
    life = Life()
    life.reads(50_000_000)
    slip = life.add(RecordKind.MAINTENANCE, odometer_m=500_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=50_000_000, corrects=slip)
    life.reads(51_000_000)
    assert life.serious() == []
    (finding,) = life.found(FindingKind.CORRECTED)
    assert finding.text == "Record 1 was corrected with record 2 by a garage, from 500,000.0 km to 50,000.0 km; both are shown."


def test_a_rollback_is_not_made_good_by_the_cars_own_correction() -> None:
    life = Life()
    high = life.reads(90_000_000)
    life.add(RecordKind.ODOMETER, odometer_m=40_000_000, corrects=high)
    assert FindingKind.ROLLBACK in life.serious()


def test_a_correction_by_another_role_or_of_another_kind_is_none() -> None:
    life = Life()
    wrong = life.add(RecordKind.MAINTENANCE, odometer_m=1_000_000)
    life.add(RecordKind.MAINTENANCE, role=IssuerRole.MAKER, odometer_m=1_000_000, corrects=wrong)
    life.add(RecordKind.REPAIR, odometer_m=1_000_000, corrects=wrong)
    texts = [finding.text for finding in life.found(FindingKind.BAD_CORRECTION)]
    assert len(texts) == 2
    assert "a maker may not correct it" in texts[0]


def test_a_record_about_another_vehicle_is_told() -> None:
    life = Life()
    life.reads(1_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=1_000_000, subject="another car")
    assert life.serious() == [FindingKind.FOREIGN_SUBJECT]


def test_a_record_entered_late_is_told_and_is_no_wrong_clock() -> None:
    life = Life()
    life.reads(1_000_000)
    life.reads(2_000_000)
    life.add(RecordKind.ACCIDENT, role=IssuerRole.INSURER, day=-30, odometer_m=None)
    assert [finding.seq for finding in life.found(FindingKind.ENTERED_LATE)] == [2]
    assert life.found(FindingKind.CLOCK) == []


def test_a_grave_crash_is_followed_to_its_repair() -> None:
    life = Life()
    crash = life.add(RecordKind.ACCIDENT, severity="structural", odometer_m=None)
    (open_finding,) = life.found(FindingKind.DAMAGE)
    assert "no complete repair of it is shown" in open_finding.text
    life.add(RecordKind.REPAIR, accident_seq=crash, outcome="partial", odometer_m=None)
    assert "no complete repair" in life.found(FindingKind.DAMAGE)[0].text
    life.add(RecordKind.REPAIR, accident_seq=crash, outcome="complete", odometer_m=None)
    assert life.found(FindingKind.DAMAGE)[0].text.endswith("repaired, says a garage (record 2).")


def test_owners_that_do_not_follow_each_other_are_serious() -> None:
    a, b, c = ("A" * 42 + last for last in "AEI")
    life = Life()
    life.add(RecordKind.OWNERSHIP, from_party=None, to_party=a, holders=1)
    life.add(RecordKind.OWNERSHIP, from_party=a, to_party=b, holders=2)
    assert life.found(FindingKind.OWNERSHIP_BREAK) == []
    life.add(RecordKind.OWNERSHIP, from_party=c, to_party=a, holders=3)
    (found,) = life.found(FindingKind.OWNERSHIP_BREAK)
    assert (found.seq, found.is_serious) == (2, True)


def test_hidden_owners_are_not_guessed_at() -> None:
    a, c = "A" * 43, "A" * 42 + "I"
    life = Life()
    life.add(RecordKind.OWNERSHIP, from_party=None, hidden=("to_party",), holders=1)
    life.add(RecordKind.OWNERSHIP, from_party=c, to_party=a, holders=2)
    assert life.found(FindingKind.OWNERSHIP_BREAK) == []
    assert life.serious() == [FindingKind.NONE_OF_ITS_OWN]


def test_a_used_part_that_came_from_nowhere_is_told() -> None:
    life = Life()
    by = IssuerRole.GARAGE
    life.add(RecordKind.PART, role=by, action="fitted", condition="used", previous_holder=None, odometer_m=None)
    life.add(RecordKind.PART, role=by, action="fitted", condition="new", previous_holder=None, odometer_m=None, serial_number="S2")
    texts = [finding.text for finding in life.found(FindingKind.PART)]
    assert len(texts) == 1
    assert "where it came from is not said" in texts[0]


def test_what_the_vehicle_notices_of_its_parts_is_told_as_its_own_word() -> None:
    life = Life()
    for action in ("replaced", "reprogrammed"):
        part = "instrument cluster"
        life.add(RecordKind.PART, action=action, part=part, condition="not_known", maker=None, part_number=None, serial_number="7")
    assert [finding.text for finding in life.found(FindingKind.PART)] == [
        "The vehicle noticed on 2026-01-01 that a part had been replaced: instrument cluster (record 0).",
        "The vehicle noticed on 2026-01-02 that a part had other software than before: instrument cluster (record 1).",
    ]
    assert life.serious() == []


def test_work_on_the_odometer_is_told() -> None:
    life = Life()
    life.add(RecordKind.REPAIR, works=["odometer"], odometer_m=None)
    assert [finding.seq for finding in life.found(FindingKind.ODOMETER_WORKED_ON)] == [0]


def test_an_answer_under_a_withdrawn_grant_is_told() -> None:
    life = Life()
    grant = life.add(RecordKind.CONSENT_GRANT, valid_until="2030-01-01T00:00:00.000Z")
    life.add(RecordKind.DATA_ANSWER, grant_seq=grant)
    before = [finding.text for finding in life.found(FindingKind.CONSENT)]
    life.add(RecordKind.CONSENT_WITHDRAWAL, grant_seq=grant)
    life.add(RecordKind.DATA_ANSWER, grant_seq=grant)
    after = [finding.text for finding in life.found(FindingKind.CONSENT)]
    assert after[: len(before)] != after
    assert "withdrawn" in after[-1]
