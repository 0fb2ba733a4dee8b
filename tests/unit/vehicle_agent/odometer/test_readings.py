"""Which reading of an odometer is believed, and what is odd about it, told frame by frame."""

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag
from vehicle_agent.odometer.readings import BELIEVE_AFTER_S, Believed, Readings

KNOWN_M = 90_000_000.0


def heard(readings: Readings, *said_m: float, every_s: float = 1.0, others: tuple[float, ...] = ()) -> list[Believed]:
    """Let readings come one after another; return those that are believed."""
    at = readings.last_said_at or MonotonicNs(0)
    believed: list[Believed] = []
    for number, metres in enumerate(said_m, start=1):
        believed += readings.take(metres, MonotonicNs(at + round(number * every_s * NS_PER_S)), others)
    return believed


def test_a_reading_that_goes_on_from_what_is_known_needs_a_second_that_agrees() -> None:
    readings = Readings(KNOWN_M)
    assert heard(readings, KNOWN_M + 3_000) == []
    assert [b.odometer_m for b in heard(readings, KNOWN_M + 3_000)] == [KNOWN_M + 3_000]


@pytest.mark.parametrize("known_m", [None, 158_910_000.0])
def test_a_lorry_that_wakes_up_with_two_wrong_odometers_is_believed_once_it_says_the_right_one(known_m: float | None) -> None:
    readings = Readings(known_m)
    assert heard(readings, *[37_500.0] * 374, *[0.0] * 3, 158_910_600.0) == []
    believed = heard(readings, 158_910_600.0, 158_910_605.0)
    assert believed[0].odometer_m == 158_910_600.0
    assert all(b.flags == () for b in believed)


def test_the_first_reading_of_a_vehicle_nobody_knows_is_believed_once_it_counts() -> None:
    readings = Readings(None)
    assert heard(readings, *[5_000_000.0] * 60) == []
    assert [b.odometer_m for b in heard(readings, 5_001_000.0)] == [5_000_000.0, 5_001_000.0]


def test_what_it_said_before_it_counted_is_dated_when_it_was_last_said() -> None:
    readings = Readings(None)
    heard(readings, *[5_000_000.0] * 60)
    first, second = heard(readings, 5_001_000.0)
    assert second.at - first.at == NS_PER_S


def test_a_vehicle_that_stands_is_believed_in_the_end() -> None:
    readings = Readings(None)
    believed = heard(readings, *[5_000_000.0] * (BELIEVE_AFTER_S + 2))
    assert believed[0].at == (BELIEVE_AFTER_S + 1) * NS_PER_S


def test_another_odometer_of_the_vehicle_that_says_the_same_is_enough() -> None:
    assert heard(Readings(None), 5_000_000.0, 5_000_000.0, others=(5_000_300.0,)) != []


def test_two_odometers_that_wake_up_with_nothing_do_not_confirm_each_other() -> None:
    assert heard(Readings(KNOWN_M), *[0.0] * 20, others=(0.0,)) == []


@pytest.mark.parametrize(
    ("becomes_m", "flags"),
    [
        (50_000_000.0, (OdometerFlag.ROLLBACK,)),
        (KNOWN_M - 2_000.0, (OdometerFlag.ROLLBACK,)),
        (0.0, (OdometerFlag.ROLLBACK, OdometerFlag.ZERO)),
        (KNOWN_M + 700_000.0, (OdometerFlag.STEP,)),
        (KNOWN_M / 1.609_344, (OdometerFlag.ROLLBACK, OdometerFlag.UNIT_ERROR)),
        (KNOWN_M * 1.609_344, (OdometerFlag.UNIT_ERROR,)),
        (KNOWN_M * 10, (OdometerFlag.UNIT_ERROR,)),
        (KNOWN_M / 10, (OdometerFlag.ROLLBACK, OdometerFlag.UNIT_ERROR)),
    ],
)
def test_what_an_odometer_becomes_on_the_way_has_its_name(becomes_m: float, flags: tuple[OdometerFlag, ...]) -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M)
    assert heard(readings, *[becomes_m] * 4) == []
    (believed,) = heard(readings, becomes_m)
    assert believed.flags == flags
    assert [b.flags for b in heard(readings, becomes_m)] == [()]


def test_one_set_back_while_the_vehicle_slept_is_flagged_once_it_counts() -> None:
    readings = Readings(KNOWN_M)
    assert heard(readings, *[50_000_000.0] * 100) == []
    first, _ = heard(readings, 50_000_100.0)
    assert first.flags == (OdometerFlag.ROLLBACK,)


def test_three_odd_frames_among_good_ones_are_nothing() -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M)
    assert [b.odometer_m for b in heard(readings, 0.0, 0.0, 0.0, KNOWN_M + 10)] == [KNOWN_M + 10]


def test_five_odd_frames_within_a_second_are_not_enough() -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M)
    assert heard(readings, *[0.0] * 9, every_s=0.1) == []


def test_a_pause_gives_room_for_what_was_driven_meanwhile() -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M)
    assert [b.flags for b in heard(readings, KNOWN_M + 40_000, every_s=600)] == [()]


def test_a_step_is_learnt_from_what_the_odometer_counts_in() -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M, *[KNOWN_M + 1_000 * n for n in range(3)], every_s=60)
    assert readings.step_m == 1_000
    heard(readings, KNOWN_M + 2_100, every_s=60)
    assert readings.step_m == 100


def test_a_vehicle_that_was_away_from_its_agent_for_long_is_asked_to_count() -> None:
    readings = Readings(KNOWN_M)
    assert heard(readings, *[KNOWN_M + 900_000] * 5) == []
    assert [b.flags for b in heard(readings, KNOWN_M + 901_000)] == [(), ()]


def test_after_a_sleep_a_reading_has_to_agree_anew_with_what_was_known() -> None:
    readings = Readings(None)
    heard(readings, 4_000.0, 5_000.0)
    readings.sleep()
    assert readings.believed is None
    assert heard(readings, 5_000.0) == []
    assert [b.odometer_m for b in heard(readings, 5_000.0)] == [5_000.0]


def test_an_odometer_that_jumped_while_the_vehicle_slept_under_the_eyes_of_its_agent_is_a_step() -> None:
    readings = Readings(KNOWN_M)
    heard(readings, KNOWN_M, KNOWN_M)
    readings.sleep()
    assert heard(readings, *[KNOWN_M + 60_000] * 3) == []
    assert [b.flags for b in heard(readings, KNOWN_M + 60_100)] == [(OdometerFlag.STEP,), ()]


def test_one_that_jumped_while_nobody_watched_was_driven_without_its_agent() -> None:
    assert [b.flags for b in heard(Readings(KNOWN_M), *[KNOWN_M + 60_000] * 2)] == [()]
