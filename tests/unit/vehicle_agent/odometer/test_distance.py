"""What speeds, positions and counts amount to, and what they leave out."""

from itertools import pairwise
from random import Random

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from vehicle_agent.odometer.distance import Counted, PathLength, SpeedIntegral

HERE = GeoPoint(48.137, 11.575)
MAX_AGE_NS = 2 * NS_PER_S


def at(seconds: float) -> MonotonicNs:
    return MonotonicNs(round((100 + seconds) * NS_PER_S))


def always(_since: MonotonicNs, _now: MonotonicNs) -> bool:
    return True


def never(_since: MonotonicNs, _now: MonotonicNs) -> bool:
    return False


def test_a_speed_that_grows_evenly_is_integrated_without_error() -> None:
    integral = SpeedIntegral()
    for tenth in range(101):
        integral.take(tenth * 0.3, at(tenth / 10), MAX_AGE_NS)
    assert integral.metres == pytest.approx(0.5 * 3.0 * 10**2)
    assert integral.gaps == 0


def test_a_gap_longer_than_a_value_lives_is_not_bridged_but_noted() -> None:
    integral = SpeedIntegral()
    for second in (0, 1, 2, 12, 13):
        integral.take(20.0, at(second), MAX_AGE_NS)
    assert integral.metres == pytest.approx(60.0)
    assert integral.gaps == 1
    assert integral.sees(at(14))
    assert not integral.sees(at(16))


def test_a_value_that_lives_for_minutes_bridges_no_minutes() -> None:
    integral = SpeedIntegral()
    integral.take(20.0, at(0), 600 * NS_PER_S)
    integral.take(20.0, at(60), 600 * NS_PER_S)
    assert (integral.metres, integral.gaps) == (0.0, 1)


def test_a_speed_that_is_not_available_ends_the_sight() -> None:
    integral = SpeedIntegral()
    integral.take(20.0, at(0), MAX_AGE_NS)
    integral.lose()
    assert not integral.sees(at(0))
    integral.take(20.0, at(1), MAX_AGE_NS)
    assert (integral.metres, integral.gaps) == (0.0, 1)


def test_time_that_stands_or_runs_back_adds_nothing() -> None:
    integral = SpeedIntegral()
    for second in (5, 5, 4, 5):
        integral.take(20.0, at(second), MAX_AGE_NS)
    assert integral.metres == pytest.approx(20.0)


def test_what_a_receiver_sees_of_a_carried_vehicle_is_kept_apart() -> None:
    integral = SpeedIntegral(never)
    for second in range(11):
        integral.take(10.0, at(second), MAX_AGE_NS)
    assert integral.metres == 0.0
    assert integral.carried_m == pytest.approx(100.0)


def test_a_path_is_as_long_as_the_way() -> None:
    path = PathLength(always)
    place = HERE
    for second in range(1_001):
        path.take(place, 3.0, at(second), MAX_AGE_NS)
        place = displaced(place, 15.0 if second < 500 else 0.0, 0.0 if second < 500 else 15.0)
    assert path.metres == pytest.approx(15_000.0, rel=0.005)


def test_a_receiver_that_wanders_about_a_parked_vehicle_adds_up_next_to_nothing() -> None:
    path, rng = PathLength(always), Random(1)
    east = north = 0.0
    wandered = 0.0
    before = HERE
    for second in range(2 * 3_600):
        east, north = (each * 0.98 + rng.gauss(0.0, 0.4) for each in (east, north))
        place = displaced(HERE, east, north)
        wandered += abs(place.lat_deg - before.lat_deg) * 111_200
        before = place
        path.take(place, 5.0, at(second), MAX_AGE_NS)
    assert wandered > 1_500
    assert path.metres < 100


def test_noise_does_not_make_a_slow_way_longer() -> None:
    path, rng = PathLength(always), Random(2)
    east = north = 0.0
    for second in range(2_001):
        east, north = (each * 0.9 + rng.gauss(0.0, 0.8) for each in (east, north))
        path.take(displaced(HERE, 5.0 * second + east, north), 5.0, at(second), MAX_AGE_NS)
    assert path.metres == pytest.approx(10_000.0, rel=0.02)


def test_a_position_that_may_be_far_off_is_none() -> None:
    path = PathLength(always)
    for second in range(10):
        path.take(displaced(HERE, 30.0 * second, 0.0), 40.0, at(second), MAX_AGE_NS)
    assert path.metres == 0.0
    assert not path.sees(at(9))


def test_a_position_that_jumps_is_noted_and_not_driven() -> None:
    path = PathLength(always)
    for second, east in enumerate((0.0, 30.0, 60.0, 5_000.0, 5_030.0)):
        path.take(displaced(HERE, east, 0.0), 3.0, at(second), MAX_AGE_NS)
    assert path.metres == pytest.approx(90.0, rel=0.01)
    assert path.gaps == 1


def test_a_tunnel_is_not_bridged() -> None:
    path = PathLength(always)
    for second, east in ((0, 0.0), (1, 30.0), (61, 1_800.0), (62, 1_830.0)):
        path.take(displaced(HERE, east, 0.0), 3.0, at(second), MAX_AGE_NS)
    assert path.metres == pytest.approx(60.0, rel=0.01)
    assert path.gaps == 1


def test_a_counter_has_counted_what_it_says_since_it_was_first_heard() -> None:
    counted = Counted()
    for second in range(101):
        counted.take(50_000_000 + second * 25 // 100 * 100, at(second))
    assert counted.metres == 2_500
    assert counted.step_m == 100
    assert counted.gaps == 0


def test_a_counter_that_is_asked_every_ten_minutes_counts_between() -> None:
    counted = Counted()
    for minute in range(0, 60, 10):
        counted.take(50_000_000 + minute * 1_500, at(minute * 60))
    assert counted.metres == 75_000
    assert counted.sees(at(3_300))
    assert counted.step_m == 0


@pytest.mark.parametrize("jump_m", [-10_000.0, 900_000.0])
def test_a_counter_that_jumps_has_lost_sight(jump_m: float) -> None:
    counted = Counted()
    for second, metres in enumerate((1_000.0, 1_020.0, 1_020.0 + jump_m, 1_040.0 + jump_m)):
        counted.take(metres, at(second))
    assert (counted.metres, counted.gaps) == (40.0, 1)


def test_a_distance_never_falls() -> None:
    rng = Random(3)
    counted, path, integral = Counted(), PathLength(always), SpeedIntegral()
    seen = []
    for second in range(2_000):
        counted.take(rng.uniform(0, 1e6), at(second * rng.random()))
        path.take(displaced(HERE, rng.uniform(-500, 500), rng.uniform(-500, 500)), rng.uniform(0, 20), at(second), MAX_AGE_NS)
        integral.take(rng.uniform(0, 60), at(second * rng.random()), MAX_AGE_NS)
        seen.append((counted.metres, path.metres, integral.metres))
    assert all(a <= b for before, after in pairwise(seen) for a, b in zip(before, after, strict=True))
