"""What a vehicle says of its own readings, of its clock and of a counter beside its records, in words for who buys it."""

import re
from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs
from shared.records.boot_dates import CLOCK_SET_MS, Stamp, duration_text, stamped_later
from shared.records.findings import SERIOUS, Finding, FindingKind, SequenceItem
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.remarks import AT_ONCE, WHILE_IT_LASTS, share_text
from shared.records.sequence import check_sequence
from shared.records.strict_json import Json
from tests.unit.records.test_sequence import DAY_NS, START, item

START_A, START_B = "0a" * 16, "0b" * 16
HOUR_MS = 3_600_000


def told(*items: SequenceItem) -> list[str]:
    return [finding.text for finding in check_sequence(items)]


def serious(*items: SequenceItem) -> list[Finding]:
    return [finding for finding in check_sequence(items) if finding.is_serious]


def second(made: SequenceItem, *, version: int = 2, dated: bool = True, **fields: Json) -> SequenceItem:
    """The record as the second version of the table has it, with claims of that version."""
    record = made.record
    occurred = record.occurred if dated else None
    return replace(made, record=replace(record, version=version, occurred=occurred, fields={**record.fields, **fields}))


def read(seq: int, *flags: OdometerFlag, **fields: Json) -> SequenceItem:
    made = second(item(seq, 100 + seq, flags=flags))
    return replace(made, record=replace(made.record, fields={**made.record.fields, **fields}))


def missing(seq: int, permille: int | None) -> SequenceItem:
    """A reading that says how much of the distance is missing."""
    return read(seq, OdometerFlag.BLOCKER_SUSPECTED, judgement={"verdict": "disagree", "missing_permille": permille})


def booted(seq: int, start: str, elapsed_ms: int, *, at_ms: int | None = None, version: int = 2) -> SequenceItem:
    """A reading so long after a start, dated so long after the first day; None where the date was not known."""
    boot: Json = {"id": start, "elapsed_ms": elapsed_ms}
    flags = () if at_ms is not None else (OdometerFlag.CLOCK_NOT_SET,)
    made = second(item(seq, 100 + seq, flags=flags), version=version, dated=at_ms is not None, boot=boot)
    return made if at_ms is None else replace(made, record=replace(made.record, occurred=UtcNs(START + at_ms * NS_PER_MS)))


def counted(seq: int, value: int | None, kind: str = "tpm") -> SequenceItem:
    counter: Json = None if value is None else {"kind": kind, "value": value}
    return read(seq, bound_to={"nonce": None, "counter": counter})


def test_every_flag_is_told_in_words_of_its_own() -> None:
    sentences = {*AT_ONCE.values(), *WHILE_IT_LASTS.values()}
    assert {*AT_ONCE, *WHILE_IT_LASTS} == set(OdometerFlag) - {OdometerFlag.ROLLBACK}, "a rollback has a finding of its own"
    assert len(sentences) == len(OdometerFlag) - 1
    for flag in OdometerFlag:
        assert len(told(read(0, flag))) == 1


@pytest.mark.parametrize(
    ("permille", "words"),
    [
        (250, "about a quarter (25 %)"),
        (248, "about a quarter (25 %)"),
        (264, "about a quarter (26 %)"),
        (266, "about 27 %"),
        (100, "about a tenth (10 %)"),
        (500, "about half (50 %)"),
        (661, "about two thirds (66 %)"),
        (1_000, "about 100 %"),
        (0, "about 0 %"),
        (1, "about 0 %"),
    ],
)
def test_a_share_is_told_as_people_say_it(permille: int, words: str) -> None:
    assert share_text(permille) == words


def test_a_blocker_is_serious_and_told_once_with_the_last_share_and_from_when_to_when() -> None:
    series = (
        read(0),
        missing(1, 310),
        missing(2, None),
        missing(3, 252),
        read(4),
        missing(5, None),
    )
    first, later = serious(*series)
    assert (first.kind, first.seq) == (FindingKind.DISTANCE_MISSING, 1)
    assert first.text == (
        "The odometer did not count all that was driven: about a quarter (25 %) of the distance is missing, by what other "
        "witnesses of it say (records 1 to 3, 2026-01-02 to 2026-01-04)."
    )
    assert later.text.endswith(": a part of the distance is missing, by what other witnesses of it say (record 5, 2026-01-06).")


def test_what_is_serious_is_what_touches_the_distance_or_the_vehicle() -> None:
    worst = {flag for flag in OdometerFlag if serious(read(0, flag))}
    assert worst == {
        OdometerFlag.ROLLBACK,
        OdometerFlag.BLOCKER_SUSPECTED,
        OdometerFlag.FROZEN_WHILE_MOVING,
        OdometerFlag.OTHER_VEHICLE,
    }
    assert {FindingKind.DISTANCE_MISSING, FindingKind.OTHER_VEHICLE, FindingKind.COUNTER_OUT_OF_STEP} <= SERIOUS


def test_somebody_elses_record_in_between_does_not_end_what_lasts() -> None:
    flag = OdometerFlag.FROZEN_WHILE_MOVING
    between = read(1)
    foreign = replace(between, record=replace(between.record, subject="a", hidden=("odometer_m",), fields={}), credential="garage")
    texts = [f.text for f in check_sequence((read(0, flag), foreign, read(2, flag))) if f.kind is FindingKind.DISTANCE_MISSING]
    assert len(texts) == 1
    assert "(records 0 to 2, " in texts[0]


def test_a_record_without_a_date_gets_the_one_of_the_next_of_the_same_start() -> None:
    series = (booted(0, START_A, 1_000), booted(1, START_B, 2_000), booted(2, START_A, 61_000, at_ms=DAY_NS // NS_PER_MS))
    assert stamped_later(series) == {0: Stamp(UtcNs(START + DAY_NS - 60 * NS_PER_S), 2)}
    unknown = "was made while the vehicle did not know the date"
    assert told(*series)[:2] == [
        f"Record 0 {unknown}; it was 2026-01-01 23:59 UTC by record 2 of the same start of its computer.",
        f"Record 1 {unknown}.",
    ]


def test_where_none_follows_the_last_one_before_dates_it() -> None:
    series = (booted(0, START_A, 1_000, at_ms=0), booted(1, START_A, 10_000, at_ms=9_000), booted(2, START_A, HOUR_MS))
    assert stamped_later(series) == {2: Stamp(UtcNs(START + (HOUR_MS - 1_000) * NS_PER_MS), 1)}


def test_no_date_is_made_up_from_what_is_hidden_or_from_a_time_that_stood_still_in_sleep() -> None:
    dated, undated = booted(1, START_A, 2_000, at_ms=0), booted(0, START_A, 1_000)
    hidden = replace(undated, record=replace(undated.record, hidden=("occurred",)))
    assert stamped_later((hidden, dated)) == {}, "its holder knows when it was"
    old = booted(0, START_A, 1_000, version=1)
    assert stamped_later((old, dated)) == {}
    foreign = replace(undated, record=replace(undated.record, subject="a"))
    assert stamped_later((foreign, dated)) == {}
    before_time = booted(1, START_A, (START // NS_PER_MS) + 10_000, at_ms=0)
    assert stamped_later((booted(0, START_A, 0), before_time)) == {}, "no date before 1970"


def test_a_record_of_another_kind_without_a_date_lies_between_the_readings_around_it() -> None:
    def trip(seq: int) -> SequenceItem:
        made = item(seq, None, flags=(OdometerFlag.CLOCK_NOT_SET,))
        return replace(made, record=replace(made.record, kind=RecordKind.TRIP, occurred=None, hidden=()))

    unknown = "was made while the vehicle did not know the date"
    around = booted(0, START_A, 0), trip(1), trip(2), booted(3, START_A, 2 * HOUR_MS, at_ms=3 * HOUR_MS)
    between = "; it was between 2026-01-01 01:00 and 2026-01-01 03:00 UTC, when the readings before and after it were taken"
    assert told(*around)[1:] == [f"Record {seq} {unknown}{between}." for seq in (1, 2)]
    other_start = booted(0, START_A, 0, at_ms=0), trip(1), booted(2, START_B, 1_000, at_ms=HOUR_MS)
    assert told(*other_start) == [f"Record 1 {unknown}."]
    never_dated = booted(0, START_A, 0), trip(1), booted(2, START_A, 1_000)
    assert f"Record 1 {unknown}." in told(*never_dated)
    hidden = replace(around[0], record=replace(around[0].record, hidden=("boot",), fields={"odometer_m": 1}))
    assert f"Record 1 {unknown}." in told(hidden, *around[1:])


def test_a_rollback_between_records_is_told_with_the_dates_they_were_given_later() -> None:
    low = second(item(1, 50, flags=(OdometerFlag.CLOCK_NOT_SET,)), dated=False, boot={"id": START_A, "elapsed_ms": 0})
    dating = second(item(2, 51, day=2), boot={"id": START_A, "elapsed_ms": 86_400_000})
    (finding,) = serious(second(item(0, 100)), low, dating)
    assert "50.0 km on 2026-01-02 (record 1)" in finding.text


@pytest.mark.parametrize(("by_ms", "words"), [(86_400_000 * 3, "forward by 3 days"), (-7_200_000, "back by 2 hours")])
def test_a_clock_that_was_set_within_one_start_is_told(by_ms: int, words: str) -> None:
    series = (booted(0, START_A, 0, at_ms=10 * HOUR_MS), booted(1, START_A, HOUR_MS, at_ms=11 * HOUR_MS + by_ms))
    found = [f for f in check_sequence(series) if f.kind is FindingKind.CLOCK and "computer ran on" in f.text]
    assert [(f.seq, f.is_serious) for f in found] == [(1, False)]
    assert f"Between record 0 and record 1 the vehicle's clock was set {words}:" in found[0].text


def test_a_drifting_clock_another_start_and_the_first_table_are_no_clock_that_was_set() -> None:
    week_ms = 7 * 86_400_000
    slack = CLOCK_SET_MS + week_ms // 1_000
    assert told(booted(0, START_A, 0, at_ms=0), booted(1, START_A, week_ms, at_ms=week_ms + slack)) == []
    assert len(told(booted(0, START_A, 0, at_ms=0), booted(1, START_A, week_ms, at_ms=week_ms + slack + 1))) == 1
    assert told(booted(0, START_A, 0, at_ms=0), booted(1, START_B, 1_000, at_ms=week_ms)) == []
    assert told(booted(0, START_A, 0, at_ms=0, version=1), booted(1, START_A, 1_000, at_ms=week_ms, version=1)) == []


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "a second"), (1_999, "a second"), (2_000, "2 seconds"), (119_999, "119 seconds"), (120_000, "2 minutes"),
     (HOUR_MS * 2, "2 hours"), (86_400_000, "24 hours"), (86_400_000 * 2, "2 days")],
)  # fmt: skip
def test_a_time_is_told_in_the_largest_unit_of_which_it_holds_two(ms: int, words: str) -> None:
    assert duration_text(ms) == words


def test_a_counter_that_goes_with_the_records_is_not_worth_a_word() -> None:
    assert told(counted(0, None), counted(1, 41), counted(2, 42)) == []
    gap = check_sequence((counted(0, 40), counted(3, 43)))
    assert [finding.kind for finding in gap] == [FindingKind.GAP], "left out of the passport, and counted"


def test_a_fork_of_the_vehicle_shows_in_its_counter() -> None:
    (finding,) = serious(counted(0, 40), counted(1, 41), counted(2, 45), counted(3, 46))
    assert (finding.kind, finding.seq) == (FindingKind.COUNTER_OUT_OF_STEP, 2)
    assert finding.text == (
        "Between record 1 and record 2 the counter in the vehicle's TPM went from 41 to 45, not up by 1: records were made that "
        "are not in this history, or the counter was made anew."
    )


@pytest.mark.parametrize("value", [41, 40, 3])
def test_a_step_that_was_taken_before_is_two_histories(value: int) -> None:
    (finding,) = serious(counted(0, 40), counted(1, 41), counted(2, value))
    assert re.search(rf"went from 41 to {value}, not up by 1: two histories of one vehicle", finding.text)


def test_a_counter_that_is_gone_or_another_one_is_told() -> None:
    gone = check_sequence((counted(0, 40), counted(1, None), counted(2, None)))
    assert [(f.kind, f.seq, f.is_serious) for f in gone] == [(FindingKind.COUNTER_CHANGED, 1, False)]
    assert "record 1 names no counter any more" in gone[0].text
    (other,) = check_sequence((counted(0, 40), counted(1, 2, "file")))
    assert other.text == (
        "Up to record 0 the counter in the vehicle's TPM counted with the records; record 1 names the counter beside the vehicle's "
        "records instead."
    )


def test_what_is_hidden_of_a_counter_is_not_guessed_at() -> None:
    hidden = read(1)
    hidden = replace(hidden, record=replace(hidden.record, hidden=("bound_to",)))
    assert told(counted(0, 40), hidden, counted(2, 42)) == []
    assert len(serious(counted(0, 40), hidden, counted(2, 43))) == 1
