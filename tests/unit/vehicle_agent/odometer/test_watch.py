"""When a reading becomes a record and what it carries, told as journeys."""

from dataclasses import replace

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import MAX_SOURCES, OdometerFlag, RecordReason, Verdict
from simulator.adversaries.mileage_blocker import Between, SetBack, Swallowed
from tests.helpers.odometer_journey import POLICY, STARTED_AT, Going, Journey, Vehicle
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue
from vehicle_agent.odometer.readings import BELIEVE_AFTER_S
from vehicle_agent.odometer.watch import CURRENT_WITHIN_NS
from vehicle_agent.vehicle_state import SignalUpdate

FINE = Vehicle(step_m=1.0)
DRIVE = Going(seconds=900, is_on=True)
PARKED = Going(seconds=5, ground_mps=0.0, is_on=False)
_POLICY = OdometerPolicy(every_m=1_000, every_s=3_600)


def heard(watch: OdometerWatch, readings: list[tuple[float, float]], field: str = "odometer_m") -> list[RecordDue]:
    """Let (second, metres) readings come; each record that is due is kept at once."""
    kept = []
    for second, metres in readings:
        at = MonotonicNs(STARTED_AT + round(second * NS_PER_S))
        watch.take(SignalUpdate(field=field, value=float(metres), at=at, max_age_ns=3 * NS_PER_S))
        due = watch.due(at)
        if due is not None:
            watch.note_recorded(due)
            kept.append(due)
    return kept


def test_a_drive_is_recorded_at_its_beginning_every_ten_kilometres_and_at_its_end() -> None:
    journey = Journey(FINE).go(Going(seconds=1_100, is_on=True), PARKED)
    assert [due.reason.value for _, due in journey.told] == ["ignition_on", "distance", "distance", "ignition_off"]
    assert [due.flags for _, due in journey.told] == [()] * 4


def test_the_first_reading_is_never_recorded_alone() -> None:
    watch = OdometerWatch(_POLICY, 4_900)
    assert heard(watch, [(0, 5_000)]) == []
    assert [due.reason for due in heard(watch, [(1, 5_000)])] == [RecordReason.IGNITION_ON]


def test_a_standing_car_records_by_time() -> None:
    due = heard(OdometerWatch(_POLICY, 10_000), [(n * 600, 10_000) for n in range(9)])
    assert [d.reason for d in due] == [RecordReason.IGNITION_ON, RecordReason.TIME]


def test_a_lorry_that_wakes_up_with_wrong_odometers_records_none_of_them() -> None:
    watch = OdometerWatch(_POLICY, None)
    wrong = [(float(n), 37_500.0) for n in range(374)] + [(374.0 + n, 0.0) for n in range(3)]
    assert heard(watch, wrong) == []
    waiting = watch.waiting()
    assert waiting is not None
    assert (waiting["odometer_m"], waiting["waits_for"]) == (0, "counting")
    right = [(400.0 + n, 158_910_600.0 + n * 5) for n in range(10)]
    assert [(d.odometer_m, d.flags) for d in heard(watch, right)] == [(158_910_600, ())]


def test_the_reading_that_waits_is_told_with_what_it_waits_for() -> None:
    watch = OdometerWatch(_POLICY, None)
    assert watch.waiting() is None
    heard(watch, [(0, 5_000_000)])
    assert watch.waiting() == {
        "odometer": "cluster",
        "odometer_m": 5_000_000,
        "readings": 1,
        "heard_s": 0.0,
        "waits_for": "agreeing",
        "believed_after_s": None,
    }
    heard(watch, [(n, 5_000_000) for n in range(1, 128)])
    assert watch.waiting() == {
        "odometer": "cluster",
        "odometer_m": 5_000_000,
        "readings": 128,
        "heard_s": 127.0,
        "waits_for": "counting",
        "believed_after_s": BELIEVE_AFTER_S,
    }
    heard(watch, [(128, 5_001_000)])
    assert watch.waiting() is None
    heard(watch, [(129, 3_000_000)])
    fallen = watch.waiting()
    assert fallen is not None
    assert (fallen["odometer_m"], fallen["waits_for"]) == (3_000_000, "staying")


def test_a_believed_odometer_that_is_not_the_clusters_waits_for_a_better_one() -> None:
    watch = OdometerWatch(_POLICY, 5_000_000)
    heard(watch, [(0, 5_000_000), (1, 5_000_000)], "obd_odometer_m")
    waiting = watch.waiting()
    assert waiting is not None
    assert (waiting["odometer"], waiting["odometer_m"], waiting["waits_for"]) == ("obd", 5_000_000, "better")
    heard(watch, [(30, 5_000_000)], "obd_odometer_m")
    assert watch.waiting() is None


def test_ignition_off_records_the_last_reading_once() -> None:
    watch = OdometerWatch(_POLICY, 10_000)
    heard(watch, [(0, 10_000), (1, 10_000), (2, 10_400)])
    now = MonotonicNs(STARTED_AT + 3 * NS_PER_S)
    due = watch.ignition_off(now)
    assert due is not None
    assert (due.odometer_m, due.reason) == (10_400, RecordReason.IGNITION_OFF)
    watch.note_recorded(due)
    assert watch.ignition_off(now) is None


def test_the_next_drive_begins_with_a_record_of_its_own() -> None:
    journey = Journey(FINE).go(DRIVE, PARKED, replace(DRIVE, seconds=60))
    assert [due.reason.value for _, due in journey.told][-2:] == ["ignition_off", "ignition_on"]


def test_a_record_that_could_not_be_kept_is_asked_for_again() -> None:
    watch = OdometerWatch(_POLICY, 10_000)
    asked = []
    for second in range(4):
        at = MonotonicNs(STARTED_AT + second * NS_PER_S)
        watch.take(SignalUpdate(field="odometer_m", value=10_000.0, at=at, max_age_ns=NS_PER_S))
        asked.append(watch.due(at))
    assert [None if due is None else due.reason for due in asked] == [None, *[RecordReason.IGNITION_ON] * 3]


def test_a_flag_that_could_not_be_kept_is_asked_for_again() -> None:
    watch = OdometerWatch(_POLICY, 90_000_000)
    heard(watch, [(0, 90_000_000), (1, 90_000_000)])
    asked = []
    for second in range(2, 10):
        at = MonotonicNs(STARTED_AT + second * NS_PER_S)
        watch.take(SignalUpdate(field="odometer_m", value=5e7, at=at, max_age_ns=NS_PER_S))
        if (due := watch.due(at)) is not None:
            asked.append((due.reason, due.flags))
    assert len(asked) == 4
    assert set(asked) == {(RecordReason.FLAG, (OdometerFlag.ROLLBACK,))}


def test_a_reading_carries_what_every_witness_says_and_how_old_that_is() -> None:
    journey = Journey(FINE).go(replace(DRIVE, answers=True), PARKED)
    due = journey.told[-1][1]
    assert [source.name for source in due.sources] == ["cluster", "wheels", "obd_speed", "gnss", "gnss_speed"]
    assert due.sources[0].odometer_m == due.odometer_m
    assert all(abs(source.odometer_m - due.odometer_m) < 400 for source in due.sources)
    assert all(0 <= source.age_ms <= 10_000 for source in due.sources)
    assert len(due.sources) <= MAX_SOURCES


def test_the_verdict_is_alone_where_nobody_else_saw_anything() -> None:
    journey = Journey(replace(FINE, has_wheels=False, has_gnss=False)).go(DRIVE, PARKED)
    assert journey.told[-1][1].verdict is Verdict.ALONE
    assert [source.name for source in journey.told[-1][1].sources] == ["cluster"]


def test_the_verdict_is_learning_until_a_witness_is_known_and_then_that_they_agree() -> None:
    journey = Journey(replace(FINE, has_gnss=False)).go(Going(seconds=1_100), Going(seconds=100, ground_mps=0.0))
    verdicts = [due.verdict for _, due in journey.told]
    assert verdicts[0] is Verdict.LEARNING
    assert journey.watch.judgement.verdict is Verdict.AGREE


def test_what_lasts_is_told_once_stands_in_every_record_and_ends_with_the_state() -> None:
    device = Between(Swallowed(0.25), after_m=4_000, until_m=21_000)
    journey = Journey(replace(FINE, shown=device)).go(DRIVE, DRIVE)
    reasons = [due.reason for _, due in journey.told if OdometerFlag.BLOCKER_SUSPECTED in due.flags]
    assert reasons.count(RecordReason.FLAG) == 2  # when it began, and the step when the device was taken out
    assert RecordReason.DISTANCE in reasons
    assert journey.watch.judgement.flags == frozenset()
    assert journey.watch.take_ended() == (OdometerFlag.BLOCKER_SUSPECTED,)
    assert journey.watch.take_ended() == ()
    assert journey.told[-1][1].flags == ()


def test_an_inspector_gets_the_reading_there_is_at_once() -> None:
    journey = Journey(FINE).go(DRIVE)
    due = journey.watch.inspect(journey.now)
    assert due is not None
    assert due.reason is RecordReason.INSPECTION
    assert due.odometer_m == journey.vehicle.starts_at_m + journey.wheels_m
    assert due.sources[0].age_ms <= 1_000


def test_an_inspector_gets_nothing_where_no_reading_is_believed() -> None:
    watch = OdometerWatch(POLICY, None)
    assert watch.inspect(STARTED_AT) is None
    heard(watch, [(0, 37_500), (1, 37_500)])
    assert watch.inspect(MonotonicNs(STARTED_AT + NS_PER_S)) is None


def test_a_reading_is_stale_once_a_cluster_that_sends_by_itself_fell_silent_and_an_answer_has_died() -> None:
    cluster = OdometerWatch(_POLICY, 4_000_000)
    assert cluster.stale_since(STARTED_AT) is None, "there is none yet"
    heard(cluster, [(n / 10, 4_000_000) for n in range(51)])
    last = MonotonicNs(STARTED_AT + 5 * NS_PER_S)
    assert cluster.stale_since(MonotonicNs(last + CURRENT_WITHIN_NS)) is None
    assert cluster.stale_since(MonotonicNs(last + CURRENT_WITHIN_NS + 1)) == last
    asked = OdometerWatch(_POLICY, 4_000_000)
    heard(asked, [(n, 4_000_000) for n in range(0, 45, 5)], field="obd_odometer_m")  # each answer lives for 3 s
    last = MonotonicNs(STARTED_AT + 40 * NS_PER_S)
    assert asked.stale_since(MonotonicNs(last + 3 * NS_PER_S)) is None
    assert asked.stale_since(MonotonicNs(last + 3 * NS_PER_S + 1)) == last


def test_a_cluster_that_sends_on_change_is_current_while_its_bus_speaks() -> None:
    watch = OdometerWatch(_POLICY, 4_000_000)
    heard(watch, [(0, 4_000_000), (1, 4_000_000)])
    heard(watch, [(second, 0.0) for second in range(2, 60)], field="speed_mps")
    assert watch.stale_since(MonotonicNs(STARTED_AT + 60 * NS_PER_S)) is None
    assert watch.stale_since(MonotonicNs(STARTED_AT + 70 * NS_PER_S)) == STARTED_AT + NS_PER_S


def test_a_car_whose_cluster_says_nothing_is_recorded_by_what_its_engine_answers() -> None:
    watch = OdometerWatch(_POLICY, 4_000_000)
    due = heard(watch, [(second, 4_000_000 + second * 20 // 100 * 100) for second in range(0, 200, 5)], field="obd_odometer_m")
    assert due[0].sources[0].name == "obd"
    assert [d.reason.value for d in due] == ["ignition_on", "distance", "distance", "distance"]


def test_a_cluster_that_speaks_is_recorded_rather_than_the_engine_that_answered_first() -> None:
    watch = OdometerWatch(_POLICY, 4_000_000)
    heard(watch, [(0, 4_000_100), (1, 4_000_100)], field="obd_odometer_m")
    due = heard(watch, [(2, 4_000_000), (3, 4_000_000)])
    assert [source.name for source in due[0].sources] == ["cluster", "obd"]


def test_an_engine_that_knows_of_more_than_the_cluster_is_told() -> None:
    watch = OdometerWatch(_POLICY, None)
    heard(watch, [(0, 158_000_000), (1, 158_000_100)], field="obd_odometer_m")
    due = heard(watch, [(2 + n, 60_000_000 + n * 100) for n in range(4)])
    assert due[-1].flags == (OdometerFlag.SOURCES_DISAGREE,)
    assert due[-1].verdict is Verdict.DISAGREE


def test_another_vehicle_is_told_until_it_is_the_same_again() -> None:
    journey = Journey(FINE, known_m=120_000_000).go(replace(DRIVE, seconds=60))
    journey.watch.other_vehicle(is_other=True)
    journey.go(replace(DRIVE, seconds=10))
    assert journey.told[-1][1].flags == (OdometerFlag.OTHER_VEHICLE,)
    journey.watch.other_vehicle(is_other=False)
    journey.go(replace(DRIVE, seconds=10))
    assert journey.watch.take_ended() == (OdometerFlag.OTHER_VEHICLE,)


def test_a_bus_that_falls_silent_at_speed_is_told_from_what_the_receiver_sees() -> None:
    journey = Journey(FINE).go(DRIVE, Going(seconds=60, has_bus=False))
    assert journey.flags == {OdometerFlag.BUS_SILENT_WHILE_MOVING}
    assert journey.told[-1][1].sources[0].age_ms > 10_000
    journey.go(Going(seconds=30))
    assert journey.watch.take_ended() == (OdometerFlag.BUS_SILENT_WHILE_MOVING,)


def test_a_bus_taken_away_while_parked_is_told_from_an_engine_that_answers() -> None:
    journey = Journey(FINE).go(DRIVE, Going(seconds=60, ground_mps=0.0), Going(seconds=90, has_bus=False, answers=True))
    assert journey.flags == {OdometerFlag.BUS_SILENT_WHILE_MOVING}


def test_a_device_that_holds_back_wheels_and_cluster_is_told_while_somebody_accelerates() -> None:
    journey = Journey(FINE).go(DRIVE, Going(seconds=120, wheel_mps=0.0, accelerates=True))
    assert journey.flags == {OdometerFlag.FROZEN_WHILE_MOVING}


def test_an_odometer_set_back_by_forty_thousand_kilometres_on_the_way_is_told_at_once() -> None:
    journey = Journey(replace(FINE, shown=Between(SetBack(40_000_000.0), after_m=2_000))).go(DRIVE)
    (flagged,) = (due for _, due in journey.told if due.flags)
    assert (flagged.reason, flagged.flags) == (RecordReason.FLAG, (OdometerFlag.ROLLBACK,))
    told_after_m = journey.told_after_m(OdometerFlag.ROLLBACK)
    assert told_after_m is not None
    assert told_after_m <= 2_200


def test_news_that_say_nothing_of_distance_are_let_pass() -> None:
    watch = OdometerWatch(POLICY, None)
    for field, value in (("turn_left", True), ("heading_deg", 4.0), ("speed_mps", None), ("position", None), ("odometer_m", None)):
        watch.take(SignalUpdate(field=field, value=value, at=STARTED_AT, max_age_ns=NS_PER_S))
    assert not watch.has_reading
    assert watch.poll(STARTED_AT) is None


@pytest.mark.parametrize("field", ["fix_quality", "position_accuracy_m", "gnss_speed_mps", "obd_speed_mps"])
def test_a_witness_that_says_it_does_not_know_is_no_witness(field: str) -> None:
    watch = OdometerWatch(POLICY, None)
    watch.take(SignalUpdate(field=field, value=None, at=STARTED_AT, max_age_ns=NS_PER_S))
    assert watch.status()["witnesses"] == {}


def test_a_cluster_in_whole_miles_is_the_same_after_a_restart_as_its_record_in_whole_metres() -> None:
    watch = OdometerWatch(_POLICY, 25_088_064)
    miles_m = 15_589 * 1_609.344
    due = heard(watch, [(0, miles_m), (1, miles_m), (2, miles_m + 1_609.344)])
    assert [(d.odometer_m, d.flags) for d in due] == [(25_088_064, ()), (25_089_673, ())]


def test_a_cluster_that_sends_on_change_and_falls_silent_is_frozen_by_its_silence() -> None:
    watch = OdometerWatch(POLICY, 90_000_000)
    told = []
    for second in range(400):
        at = MonotonicNs(STARTED_AT + second * NS_PER_S)
        watch.take(SignalUpdate(field="speed_mps", value=20.0, at=at, max_age_ns=2 * NS_PER_S))
        if second % 10 == 0 and second <= 200:
            watch.take(SignalUpdate(field="odometer_m", value=90e6 + second * 20.0, at=at, max_age_ns=2 * NS_PER_S))
        due = watch.due(at) if watch.has_reading else watch.poll(at)
        if due is not None:
            watch.note_recorded(due)
            told.append((second, due.flags))
    assert [flags for _, flags in told] == [(), (OdometerFlag.FROZEN_WHILE_MOVING,)]
    assert 220 < told[1][0] < 260


def test_a_drive_that_begins_with_an_inspection_still_has_its_own_first_record() -> None:
    watch = OdometerWatch(_POLICY, 5_000)
    for second in range(2):
        at = MonotonicNs(STARTED_AT + second * NS_PER_S)
        watch.take(SignalUpdate(field="odometer_m", value=5_000.0, at=at, max_age_ns=NS_PER_S))
    inspected = watch.inspect(at)
    assert inspected is not None
    watch.note_recorded(inspected)
    due = watch.due(at)
    assert due is not None
    assert due.reason is RecordReason.IGNITION_ON


def test_what_lasts_over_a_night_is_not_told_anew_in_the_morning() -> None:
    night = Going(seconds=60, ground_mps=0.0, is_on=False)
    journey = Journey(replace(FINE, shown=Swallowed(0.25))).go(replace(DRIVE, seconds=300), night, replace(DRIVE, seconds=60))
    assert [due.reason.value for _, due in journey.told] == ["ignition_on", "flag", "ignition_off", "ignition_on"]
    assert journey.told[-1][1].flags == (OdometerFlag.BLOCKER_SUSPECTED,)
    assert journey.watch.take_ended() == ()
