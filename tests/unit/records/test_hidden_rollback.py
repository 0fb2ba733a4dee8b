"""Ways to hide that an odometer was turned back behind records that are genuine: small steps, corrections, what is not shown."""

from dataclasses import replace

from shared.records.findings import FindingKind
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.sequence import READ_BY_EYE_M
from tests.unit.records.test_life_events import Life

STEP_M = READ_BY_EYE_M - 9


def corrected_by_another(life: Life) -> None:
    """Have the last record signed by another garage."""
    life.items[-1] = replace(life.items[-1], credential="another garage")


def test_a_stair_of_readings_each_a_mile_lower_is_told_where_it_leaves_the_highest() -> None:
    life, metres = Life(), 150_000_000
    life.reads(metres)
    for _ in range(30):
        life.add(RecordKind.MAINTENANCE, odometer_m=metres - STEP_M)
        metres -= 2 * STEP_M
        life.reads(metres)
    (finding,) = life.found(FindingKind.ROLLBACK)
    assert finding.seq == 2
    assert "after 150,000.0 km" in finding.text


def test_a_stair_that_garages_alone_read_is_told_too() -> None:
    life, metres = Life(), 150_000_000
    for _ in range(30):
        life.add(RecordKind.MAINTENANCE, odometer_m=metres)
        metres -= STEP_M
    assert [finding.seq for finding in life.found(FindingKind.ROLLBACK)] == [2]


def test_readings_by_eye_about_the_cars_own_are_no_stair() -> None:
    life = Life()
    for own, read in ((50_000_000, 49_999_000), (50_000_100, 50_001_000), (50_000_200, 49_999_400), (50_001_000, 50_002_000)):
        life.reads(own)
        life.add(RecordKind.MAINTENANCE, odometer_m=read)
    assert life.serious() == []


def test_one_small_fall_is_not_told_anew_with_every_reading_by_eye() -> None:
    life = Life()
    life.reads(50_000_000)
    life.reads(49_999_500)
    life.add(RecordKind.MAINTENANCE, odometer_m=49_999_400)
    life.reads(49_999_600)
    life.reads(50_000_000)
    assert [finding.seq for finding in life.found(FindingKind.ROLLBACK)] == [1]


def test_what_one_garage_read_another_does_not_take_back() -> None:
    life = Life()
    life.reads(45_000_000)
    read = life.add(RecordKind.MAINTENANCE, odometer_m=150_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=46_000_000, corrects=read)
    corrected_by_another(life)
    life.reads(50_000_000)
    (finding,) = life.found(FindingKind.ROLLBACK)
    assert "after 150,000.0 km (a garage's reading)" in finding.text
    (told,) = life.found(FindingKind.CORRECTED)
    assert "by a garage, not the one that had issued it, from 150,000.0 km to 46,000.0 km; both are shown" in told.text


def test_what_another_garage_corrects_upwards_counts() -> None:
    life = Life()
    read = life.add(RecordKind.MAINTENANCE, odometer_m=50_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=150_000_000, corrects=read)
    corrected_by_another(life)
    life.reads(60_000_000)
    assert FindingKind.ROLLBACK in life.serious()


def test_a_correction_that_hides_its_reading_takes_no_reading_back() -> None:
    life = Life()
    read = life.add(RecordKind.MAINTENANCE, odometer_m=150_000_000)
    life.add(RecordKind.MAINTENANCE, corrects=read, hidden=("odometer_m",))
    life.reads(50_000_000)
    (finding,) = life.found(FindingKind.ROLLBACK)
    assert finding.seq == 2


def test_a_reading_that_its_own_issuer_withdrew_counts_no_more() -> None:
    life = Life()
    read = life.add(RecordKind.REPAIR, odometer_m=150_000_000)
    life.add(RecordKind.REPAIR, corrects=read, odometer_m=None)
    life.reads(50_000_000)
    assert life.serious() == []


def test_a_reading_given_with_a_correction_counts_though_there_was_none_before() -> None:
    life = Life()
    read = life.add(RecordKind.REPAIR, odometer_m=None)
    life.add(RecordKind.REPAIR, corrects=read, odometer_m=150_000_000)
    life.reads(50_000_000)
    assert FindingKind.ROLLBACK in life.serious()


def test_a_crash_is_not_made_good_before_it_happens_nor_by_a_repair_that_was_corrected() -> None:
    life = Life()
    life.add(RecordKind.REPAIR, accident_seq=1, outcome="complete", odometer_m=None)
    life.add(RecordKind.ACCIDENT, role=IssuerRole.VEHICLE, severity="structural", odometer_m=None)
    repair = life.add(RecordKind.REPAIR, accident_seq=1, outcome="complete", odometer_m=None)
    assert "repaired, says a garage (record 2)" in life.found(FindingKind.DAMAGE)[0].text
    life.add(RecordKind.REPAIR, accident_seq=1, outcome="partial", odometer_m=None, corrects=repair)
    assert "no complete repair of it is shown" in life.found(FindingKind.DAMAGE)[0].text


def test_a_correction_that_hides_how_bad_a_crash_was_does_not_hide_the_crash() -> None:
    life = Life()
    crash = life.add(RecordKind.ACCIDENT, role=IssuerRole.INSURER, severity="structural", odometer_m=None)
    life.add(RecordKind.ACCIDENT, role=IssuerRole.INSURER, odometer_m=None, corrects=crash, hidden=("severity",))
    assert "structural damage" in life.found(FindingKind.DAMAGE)[0].text


def test_a_history_without_a_record_of_the_vehicles_own_is_serious() -> None:
    life = Life()
    for metres in (10_000_000, 20_000_000, 30_000_000):
        life.add(RecordKind.MAINTENANCE, odometer_m=metres)
    assert life.serious() == [FindingKind.NONE_OF_ITS_OWN]


def test_records_written_on_where_the_vehicles_own_end_are_told_until_it_takes_them_up() -> None:
    life = Life()
    life.reads(50_000_000)
    life.add(RecordKind.MAINTENANCE, odometer_m=50_000_000)
    (finding,) = life.found(FindingKind.NOT_TAKEN_UP)
    assert finding.text.startswith("The last record (number 1) is not the vehicle's own but signed by a garage, and none")
    life.add(RecordKind.INSPECTION, odometer_m=51_000_000)
    (finding,) = life.found(FindingKind.NOT_TAKEN_UP)
    assert finding.text.startswith("The last 2 records, from number 1 on, are not the vehicle's own")
    assert not finding.is_serious
    life.reads(52_000_000)
    assert life.found(FindingKind.NOT_TAKEN_UP) == []
    assert life.serious() == []


def test_thousands_of_corrections_of_one_record_are_read_one_after_the_other() -> None:
    life = Life()
    first = life.add(RecordKind.REPAIR, odometer_m=1_000)
    for n in range(5_000):
        last = replace(life.items[0].record, seq=n + 1, corrects=first if n % 2 else n)
        life.items.append(replace(life.items[0], record=last))
    assert len(life.found(FindingKind.CORRECTED)) == 5_000
