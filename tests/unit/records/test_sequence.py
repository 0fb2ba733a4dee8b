"""What a series of records says, in words."""

import re

from shared.core.clock import NS_PER_S, UtcNs
from shared.records.findings import Finding, FindingKind, SequenceItem
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.record import DisclosedRecord
from shared.records.sequence import check_sequence

DAY_NS = 86_400 * NS_PER_S
START = 1_767_225_600 * NS_PER_S  # 2026-01-01


def item(
    seq: int,
    km: float | None,
    *,
    flags: tuple[OdometerFlag, ...] = (),
    day: int | None = None,
    prev: bytes | None = None,
    credential: str = "a",
    hands_over_to: str | None = None,
) -> SequenceItem:
    return SequenceItem(
        record=DisclosedRecord(
            kind=RecordKind.ODOMETER,
            seq=seq,
            prev=prev if prev is not None else (None if seq == 0 else bytes([seq - 1]) * 32),
            flags=flags,
            fields={} if km is None else {"odometer_m": round(km * 1000)},
            occurred=UtcNs(START + (seq if day is None else day) * DAY_NS),
            next_credential=hands_over_to,
            hidden=() if km is not None else ("odometer_m",),
        ),
        commitment=bytes([seq]) * 32,
        credential=credential,
    )


def found(*items: SequenceItem) -> list[tuple[FindingKind, int]]:
    return [(f.kind, f.seq) for f in check_sequence(items)]


def only(*items: SequenceItem) -> Finding:
    (finding,) = check_sequence(items)
    return finding


def test_a_proper_history_has_no_findings() -> None:
    assert found() == []
    assert found(item(0, 10), item(1, 10), item(2, 500)) == []


def test_a_rollback_is_told_with_dates_and_distance() -> None:
    finding = only(item(0, 80_000), item(1, 120_000), item(2, 60_000.5), item(3, 61_000))
    assert finding.kind is FindingKind.ROLLBACK
    assert finding.is_serious
    assert "60,000.5 km on 2026-01-03" in finding.text
    assert "120,000.0 km on 2026-01-02" in finding.text
    assert "59,999.5 km are missing" in finding.text


def test_two_rollbacks_are_two_findings() -> None:
    assert found(item(0, 100), item(1, 50), item(2, 70), item(3, 60)) == [(FindingKind.ROLLBACK, 1), (FindingKind.ROLLBACK, 3)]


def test_a_rollback_over_hidden_readings_is_still_one() -> None:
    assert (FindingKind.ROLLBACK, 2) in found(item(0, 100), item(1, None), item(2, 50))


def test_a_hidden_reading_the_vehicle_flagged_is_told() -> None:
    assert found(item(0, 100), item(1, None, flags=(OdometerFlag.ROLLBACK,))) == [
        (FindingKind.ROLLBACK, 1),
        (FindingKind.HIDDEN, 1),
    ]


def test_the_vehicles_own_flag_is_told_where_the_higher_reading_is_not_shown() -> None:
    assert found(item(1, 50, flags=(OdometerFlag.ROLLBACK,))) == [(FindingKind.GAP, 1), (FindingKind.ROLLBACK, 1)]


def test_gaps_are_counted_and_numbered() -> None:
    assert "1 record is missing (number 1)" in only(item(0, 1), item(2, 2)).text
    assert "3 records are missing (number 1 to 3)" in only(item(0, 1), item(4, 2)).text
    assert "before number 3" in only(item(3, 1)).text


def test_two_histories_are_a_fork() -> None:
    assert only(item(0, 1), item(1, 2, prev=b"?" * 32)).kind is FindingKind.FORK
    assert (FindingKind.FORK, 1) in found(item(0, 1), item(1, 2), item(1, 2))
    assert (FindingKind.FORK, 0) in found(item(1, 2), item(0, 1))


def test_a_clock_that_ran_backwards_is_told_and_not_serious() -> None:
    finding = only(item(0, 1, day=5), item(1, 2, day=3))
    assert finding.kind is FindingKind.CLOCK
    assert len(set(re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", finding.text))) == 2
    assert not finding.is_serious


def test_other_flags_are_told() -> None:
    for flag in (OdometerFlag.STEP, OdometerFlag.SOURCES_DISAGREE, OdometerFlag.CLOCK_NOT_SET, OdometerFlag.SEQUENCE_RESUMED):
        assert only(item(0, 1, flags=(flag,))).kind is FindingKind.FLAGGED


def test_a_credential_that_hands_over_to_the_next_is_in_order() -> None:
    assert found(item(0, 1), item(1, 2, hands_over_to="b"), item(2, 3, credential="b"), item(3, 4, credential="b")) == []
    assert found(item(0, 1), item(1, 2, hands_over_to="b")) == []


def test_a_credential_nobody_handed_over_to_is_told_once_and_serious() -> None:
    finding = only(item(0, 1), item(1, 2, credential="b"), item(2, 3, credential="b"))
    assert (finding.kind, finding.seq, finding.is_serious) == (FindingKind.CREDENTIAL_NOT_INTRODUCED, 1, True)
    assert finding.text == (
        "Record 1 is signed under another credential than record 0, and no record shown hands over to it: the earlier key was "
        "lost, the record that names the later one was left out, or these are records of another vehicle."
    )


def test_a_hand_over_to_another_than_the_one_that_signs_is_told() -> None:
    assert "than the one that record 0 hands over to" in only(item(0, 1, hands_over_to="b"), item(1, 2, credential="c")).text
    retired = only(item(0, 1, hands_over_to="b"), item(1, 2))
    assert retired.kind is FindingKind.CREDENTIAL_NOT_INTRODUCED
    assert retired.text == "Record 1 is signed under the credential that had handed over to another with record 0."


def test_a_hand_over_that_is_left_out_is_a_gap_and_an_unknown_credential() -> None:
    findings = found(item(0, 1), item(2, 3, credential="b"))
    assert findings == [(FindingKind.GAP, 2), (FindingKind.CREDENTIAL_NOT_INTRODUCED, 2)]
