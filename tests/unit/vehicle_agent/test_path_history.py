"""The path history keeps bends, drops straights, and stays bounded."""

from itertools import pairwise
from math import cos, radians, sin

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.geo import GeoPoint, displaced, distance_m
from vehicle_agent.path_history import (
    CHORD_LENGTH_M,
    HISTORY_LENGTH_M,
    MAX_DELTA_DEG,
    MAX_POINTS,
    PathHistory,
    can_be_said,
    delta_deg,
)

_ORIGIN = GeoPoint(48.2, 11.6)


def _at(n: int) -> MonotonicNs:
    return MonotonicNs(n * 100 * NS_PER_MS)


def test_a_straight_road_needs_only_the_point_it_began_at() -> None:
    history = PathHistory()
    for n in range(80):
        history.add(displaced(_ORIGIN, 0.0, 2.0 * n), _at(n))
    points = history.points(displaced(_ORIGIN, 0.0, 160.0))
    assert [p.position for p in points] == [_ORIGIN]


def test_a_corner_is_kept() -> None:
    history = PathHistory()
    corner = displaced(_ORIGIN, 0.0, 50.0)
    for n in range(51):
        history.add(displaced(_ORIGIN, 0.0, float(n)), _at(n))
    for n in range(1, 51):
        history.add(displaced(corner, float(n), 0.0), _at(50 + n))
    nearest = min(distance_m(p.position, corner) for p in history.points(displaced(corner, 50.0, 0.0)))
    assert nearest < 3.0


def test_a_standing_car_with_noisy_gnss_adds_nothing() -> None:
    history = PathHistory()
    for n in range(500):
        history.add(displaced(_ORIGIN, 0.1 * (n % 3), 0.1 * (n % 2)), _at(n))
    assert history.points(_ORIGIN) == ()


def test_points_and_length_are_bounded_on_an_endless_roundabout() -> None:
    history = PathHistory()
    for n in range(5_000):
        history.add(displaced(_ORIGIN, 15.0 * cos(radians(n * 5)), 15.0 * sin(radians(n * 5))), _at(n))
    here = displaced(_ORIGIN, 15.0 * cos(radians(4_999 * 5)), 15.0 * sin(radians(4_999 * 5)))
    points = history.points(here)
    assert 0 < len(points) <= MAX_POINTS
    path = [here, *(p.position for p in points)]
    assert sum(distance_m(a, b) for a, b in pairwise(path)) <= HISTORY_LENGTH_M + CHORD_LENGTH_M


def test_points_come_youngest_first() -> None:
    history = PathHistory()
    for n in range(400):
        history.add(displaced(_ORIGIN, 20.0 * sin(n / 10), float(n)), _at(n))
    times = [p.at for p in history.points(displaced(_ORIGIN, 0.0, 400.0))]
    assert len(times) > 3
    assert times == sorted(times, reverse=True)


def driven(start: GeoPoint, east_step_m: float, north_step_m: float, steps: int) -> tuple[PathHistory, list[GeoPoint]]:
    """Drive straight; return the history and every position."""
    history, places = PathHistory(), [start]
    for n in range(steps):
        history.add(places[-1], _at(n))
        places.append(displaced(places[-1], east_step_m, north_step_m))
    return history, places


def length_m(history: PathHistory, here: GeoPoint) -> float:
    return sum(distance_m(a, b) for a, b in pairwise([here, *(point.position for point in history.points(here))]))


def test_on_a_straight_road_two_hundred_metres_are_covered_wherever_the_last_point_lies() -> None:
    """The points lie 200 m apart, so the second of them is needed as soon as the first is nearer than that."""
    history, here = PathHistory(), _ORIGIN
    for n in range(600):
        history.add(here, _at(n))
        if n * 2 >= 200:
            assert 200.0 - 1e-6 <= length_m(history, here) <= 400.0 + 2.0, n
        here = displaced(here, 0.0, 2.0)


def test_a_street_of_blocks_is_covered_for_two_hundred_metres_at_least() -> None:
    history, here = PathHistory(), _ORIGIN
    for n in range(800):
        history.add(here, _at(n))
        here = displaced(here, *((1.0, 0.0) if n // 50 % 2 else (0.0, 1.0)))
    assert length_m(history, here) >= 200.0 - 1.0
    assert len(history.points(here)) <= MAX_POINTS


def test_a_path_across_the_antimeridian_is_as_short_as_it_was_driven() -> None:
    start = displaced(GeoPoint(-16.8, 180.0), -150.0, 0.0)
    history, places = driven(start, 2.0, 0.0, 200)
    here = places[-1]
    assert start.lon_deg > 179.99
    assert here.lon_deg < -179.99
    points = history.points(here)
    assert len({point.position.lon_deg > 0 for point in points}) == 2
    assert all(can_be_said(*delta_deg(a, b)) for a, b in pairwise([here, *(point.position for point in points)]))
    assert 200.0 <= length_m(history, here) < 402.0


def test_near_the_pole_points_come_so_close_that_a_message_can_say_them() -> None:
    """At 88 degrees 0.0131071 degrees of longitude are 51 m."""
    history, places = driven(GeoPoint(88.0, 10.0), 2.0, 0.0, 120)
    here = places[-1]
    steps = [delta_deg(a, b) for a, b in pairwise([here, *(point.position for point in history.points(here))])]
    assert len(steps) >= 4
    assert all(abs(lon) <= MAX_DELTA_DEG for _, lon in steps)


def test_a_gap_of_a_tunnel_is_not_bridged() -> None:
    history, places = driven(_ORIGIN, 0.0, 2.0, 100)
    exit_of_tunnel = displaced(places[-1], 0.0, 900.0)
    history.add(exit_of_tunnel, _at(500))
    assert history.points(exit_of_tunnel) == ()
    beyond = displaced(exit_of_tunnel, 0.0, 30.0)
    history.add(beyond, _at(510))
    assert [point.position for point in history.points(beyond)] == [exit_of_tunnel]
