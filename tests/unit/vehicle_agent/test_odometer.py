"""When an odometer reading becomes a record, told as drives."""

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag, RecordReason
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue

_POLICY = OdometerPolicy(every_m=1_000, every_s=3_600)


def _drive(watch: OdometerWatch, readings: list[tuple[float, int]]) -> list[RecordDue]:
    """Feed (second, metres) readings; each record that is due is kept at once."""
    kept = []
    for second, odometer_m in readings:
        due = watch.read(odometer_m, MonotonicNs(int(second * NS_PER_S)))
        if due is not None:
            watch.note_recorded(due)
            kept.append(due)
    return kept


def test_the_first_reading_is_never_recorded_alone() -> None:
    watch = OdometerWatch(_POLICY, None)
    assert watch.read(5_000, MonotonicNs(0)) is None
    due = watch.read(5_000, MonotonicNs(NS_PER_S))
    assert due is not None
    assert due.reason is RecordReason.IGNITION_ON


def test_a_cluster_that_wakes_up_with_zero_is_not_recorded() -> None:
    watch = OdometerWatch(_POLICY, None)
    due = _drive(watch, [(0, 0), (1, 500_000), (2, 500_000)])
    assert [d.odometer_m for d in due] == [500_000]


def test_a_record_is_due_every_kilometre() -> None:
    watch = OdometerWatch(_POLICY, None)
    due = _drive(watch, [(n, 10_000 + n * 20) for n in range(120)])
    assert [d.reason for d in due] == [RecordReason.IGNITION_ON, RecordReason.DISTANCE, RecordReason.DISTANCE]
    assert [d.odometer_m for d in due] == [10_020, 11_020, 12_020]


def test_a_standing_car_records_by_time() -> None:
    due = _drive(OdometerWatch(_POLICY, None), [(n * 600, 10_000) for n in range(9)])
    assert [d.reason for d in due] == [RecordReason.IGNITION_ON, RecordReason.TIME]


def test_a_rolled_back_odometer_is_recorded_with_its_flag() -> None:
    watch = OdometerWatch(_POLICY, None)
    due = _drive(watch, [(0, 90_000_000), (1, 90_000_000), (2, 50_000_000), (3, 50_000_000), (4, 50_000_010)])
    assert [(d.odometer_m, d.reason, d.flags) for d in due] == [
        (90_000_000, RecordReason.IGNITION_ON, ()),
        (50_000_000, RecordReason.FLAG, (OdometerFlag.ROLLBACK,)),
    ]


def test_a_rollback_while_the_car_slept_is_flagged_by_what_was_recorded_before() -> None:
    due = _drive(OdometerWatch(_POLICY, 80_000_000), [(0, 40_000_000), (1, 40_000_000)])
    assert due[0].flags == (OdometerFlag.ROLLBACK,)


def test_a_single_odd_frame_among_good_ones_records_nothing() -> None:
    watch = OdometerWatch(_POLICY, None)
    _drive(watch, [(0, 10_000), (1, 10_000)])
    assert _drive(watch, [(2, 0), (3, 10_010), (4, 10_020)]) == []


def test_a_step_forward_is_flagged() -> None:
    watch = OdometerWatch(_POLICY, None)
    due = _drive(watch, [(0, 10_000), (1, 10_000), (2, 700_000), (3, 700_000)])
    assert due[-1].flags == (OdometerFlag.STEP,)


def test_ignition_off_records_the_last_confirmed_reading_once() -> None:
    watch = OdometerWatch(_POLICY, None)
    _drive(watch, [(0, 10_000), (1, 10_000), (2, 10_400)])
    due = watch.ignition_off()
    assert due is not None
    assert (due.odometer_m, due.reason) == (10_400, RecordReason.IGNITION_OFF)
    watch.note_recorded(due)
    assert watch.ignition_off() is None


def test_the_next_drive_begins_with_a_record_of_its_own() -> None:
    watch = OdometerWatch(_POLICY, None)
    _drive(watch, [(0, 10_000), (1, 10_000)])
    off = watch.ignition_off()
    assert off is not None
    watch.note_recorded(off)
    due = _drive(watch, [(100, 10_000), (101, 10_000)])
    assert [d.reason for d in due] == [RecordReason.IGNITION_ON]


def test_a_record_that_could_not_be_kept_is_asked_for_again() -> None:
    watch = OdometerWatch(_POLICY, None)
    watch.read(10_000, MonotonicNs(0))
    first = watch.read(10_000, MonotonicNs(1))
    again = watch.read(10_000, MonotonicNs(2))
    assert first is not None
    assert again is not None
    assert again.reason is first.reason
