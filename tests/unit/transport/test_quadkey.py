"""Quadkeys against published examples, and tiles around every kind of place."""

from random import Random

import pytest

from shared.core.geo import GeoPoint, displaced, distance_m
from shared.transport.quadkey import MAX_TILES, keys_around, quadkey, tile_key


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "key"),
    [
        (48.6263556, 2.2492123, "120220011203"),
        (48.6263556, 2.2492123, "120220011203100323"),
        (8.3689428, -14.3165555, "033321211101"),
        (35.63051, 139.69116, "1330"),
        (0.0, 0.0, "300"),
    ],
)
def test_published_examples(lat_deg: float, lon_deg: float, key: str) -> None:
    assert quadkey(GeoPoint(lat_deg, lon_deg), len(key)) == key


def test_the_example_of_the_tile_system_itself() -> None:
    assert tile_key(3, 5, 3) == "213"


def test_every_key_is_the_beginning_of_a_longer_one() -> None:
    place = GeoPoint(45.07, 7.68)
    whole = quadkey(place)
    assert len(whole) == 22
    assert [quadkey(place, digits) for digits in range(23)] == [whole[:digits] for digits in range(23)]


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg", "begins"),
    [(90.0, 0.0, "1"), (-90.0, 0.0, "3"), (89.0, -180.0, "0000"), (-89.0, 179.9999, "3333"), (0.0, 180.0, "2"), (0.0, -180.0, "2")],
)
def test_poles_and_the_antimeridian_belong_to_the_outermost_tiles(lat_deg: float, lon_deg: float, begins: str) -> None:
    assert quadkey(GeoPoint(lat_deg, lon_deg)).startswith(begins)


PLACES = [
    GeoPoint(45.07, 7.68),
    GeoPoint(0.0, 0.0),
    GeoPoint(10.0, 179.9999),
    GeoPoint(-10.0, -180.0),
    GeoPoint(69.6, 18.95),
    GeoPoint(84.99, 100.0),
    GeoPoint(-77.85, 166.67),
]


@pytest.mark.parametrize("centre", PLACES, ids=str)
@pytest.mark.parametrize("radius_m", [10.0, 500.0, 2_000.0, 50_000.0])
def test_few_tiles_cover_the_whole_circle(centre: GeoPoint, radius_m: float) -> None:
    keys = keys_around(centre, radius_m)
    assert 1 <= len(keys) <= MAX_TILES
    assert len(set(keys)) == len(keys)
    assert len({len(key) for key in keys}) == 1
    random = Random(1)
    for _ in range(300):
        point = displaced(centre, random.uniform(-radius_m, radius_m), random.uniform(-radius_m, radius_m))
        if distance_m(centre, point) <= radius_m:
            assert quadkey(point).startswith(keys)


@pytest.mark.parametrize("pole", [GeoPoint(90.0, 0.0), GeoPoint(-90.0, 12.0), GeoPoint(89.999, -170.0)], ids=str)
def test_around_a_pole_every_direction_is_covered(pole: GeoPoint) -> None:
    keys = keys_around(pole, 1_000.0)
    assert len(keys) <= MAX_TILES
    for lon_deg in range(-180, 181, 15):
        assert quadkey(GeoPoint(pole.lat_deg, float(lon_deg))).startswith(keys)


def test_a_circle_larger_than_the_world_is_the_world() -> None:
    assert keys_around(GeoPoint(0.0, 0.0), 1e9) in (("",), ("0", "1", "2", "3"))


def test_tiles_are_no_larger_than_they_must_be() -> None:
    assert min(len(key) for key in keys_around(GeoPoint(45.07, 7.68), 500.0)) >= 13
