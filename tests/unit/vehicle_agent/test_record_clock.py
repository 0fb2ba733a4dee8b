"""The clock as a vehicle's records see it: not known, then known, then set by somebody."""

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.record import Record
from shared.stack.effects import Notice
from vehicle_agent.record_clock import DRIFT_PPM, JUMP_NS, RecordClock

NOON = UtcNs(1_795_340_000 * NS_PER_S)


def record(now: Instant, *flags: OdometerFlag) -> Record:
    return Record(kind=RecordKind.ODOMETER, seq=0, prev=None, occurred=now.utc, fields={}, flags=flags)


def test_records_made_before_the_date_was_known_wait_for_one_that_has_a_date() -> None:
    watch, clock = RecordClock(), ManualClock(None)
    assert watch.see(clock.now()) == ()
    watch.recorded(record(clock.now()))
    assert not watch.wants_dated_record(clock.now()), "nobody knows the date yet"
    clock.advance(60 * NS_PER_S)
    clock.set_utc(NOON)
    (notice,) = watch.see(clock.now())
    assert (notice.kind, notice.fields) == ("clock_set", {"undated_records": 1})
    assert watch.flags == (), "a date that became known is no jump"
    assert watch.wants_dated_record(clock.now())
    watch.recorded(record(clock.now()))
    assert not watch.wants_dated_record(clock.now())


def test_a_clock_that_is_set_is_said_by_the_next_record_that_has_a_date() -> None:
    watch, clock = RecordClock(), ManualClock(NOON)
    watch.see(clock.now())
    clock.advance(NS_PER_S)
    clock.set_utc(UtcNs(NOON + 3_600 * NS_PER_S))
    (notice,) = watch.see(clock.now())
    assert (notice.kind, notice.fields) == ("clock_jumped", {"by_s": 3_599.0})
    assert watch.see(clock.now()) == (), "told once"
    assert watch.flags == (OdometerFlag.CLOCK_JUMPED,)
    watch.recorded(record(clock.now()))
    assert watch.flags == (OdometerFlag.CLOCK_JUMPED,), "that one had been asked for before"
    watch.recorded(record(clock.now(), *watch.flags))
    assert not watch.flags


def test_a_clock_set_back_in_many_small_steps_is_seen_too() -> None:
    watch, clock = RecordClock(), ManualClock(NOON)
    watch.see(clock.now())
    told: list[Notice] = []
    for step in range(1, 11):
        clock.advance(60 * NS_PER_S)
        clock.set_utc(UtcNs(NOON + 60 * step * NS_PER_S - step * NS_PER_S))
        told += watch.see(clock.now())
    assert {notice.kind for notice in told} == {"clock_jumped"}
    assert len(told) == 3, "each time the steps together are more than a clock may be off"


def test_what_a_kernel_slews_and_a_long_sleep_of_the_computer_are_no_jump() -> None:
    watch, clock = RecordClock(), ManualClock(NOON)
    watch.see(clock.now())
    clock.advance(14 * 86_400 * NS_PER_S)  # interval time goes on through sleep
    assert watch.see(clock.now()) == ()
    asleep_ns = 14 * 86_400 * NS_PER_S
    slewed = asleep_ns * DRIFT_PPM // 1_000_000
    clock.set_utc(UtcNs(NOON + asleep_ns + slewed + JUMP_NS))
    assert watch.see(clock.now()) == ()
    clock.set_utc(UtcNs(NOON + asleep_ns + slewed + JUMP_NS + 1))
    assert [notice.kind for notice in watch.see(clock.now())] == ["clock_jumped"]


def test_a_date_lost_for_a_while_is_held_against_the_one_before() -> None:
    watch = RecordClock()
    watch.see(Instant(MonotonicNs(0), NOON))
    watch.see(Instant(MonotonicNs(60 * NS_PER_S), None))
    assert watch.see(Instant(MonotonicNs(120 * NS_PER_S), UtcNs(NOON + 120 * NS_PER_S + NS_PER_MS))) == ()
    (notice,) = watch.see(Instant(MonotonicNs(180 * NS_PER_S), UtcNs(NOON - 86_400 * NS_PER_S)))
    assert notice.kind == "clock_jumped"
