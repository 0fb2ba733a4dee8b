"""The path history keeps bends, drops straights, and stays bounded."""

from itertools import pairwise
from math import cos, radians, sin

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.geo import GeoPoint, displaced, distance_m
from vehicle_agent.path_history import HISTORY_LENGTH_M, MAX_POINTS, PathHistory

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
    assert sum(distance_m(a, b) for a, b in pairwise(path)) <= HISTORY_LENGTH_M


def test_points_come_youngest_first() -> None:
    history = PathHistory()
    for n in range(400):
        history.add(displaced(_ORIGIN, 20.0 * sin(n / 10), float(n)), _at(n))
    times = [p.at for p in history.points(displaced(_ORIGIN, 0.0, 400.0))]
    assert len(times) > 3
    assert times == sorted(times, reverse=True)
