"""Lengths of a degree are the published ones of WGS-84, to the metre."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.geo import GeoPoint, bearing_deg, displaced, distance_m, heading_difference_deg, metres_per_degree, offset_m

MUNICH = GeoPoint(48.137, 11.575)

places = st.builds(GeoPoint, st.floats(-84.0, 84.0), st.floats(-180.0, 180.0))
steps_m = st.floats(-10_000.0, 10_000.0)
headings = st.floats(0.0, 360.0, exclude_max=True)


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg"), [(90.001, 0.0), (-91.0, 0.0), (0.0, 180.001), (0.0, -181.0), (nan, 0.0), (0.0, nan), (inf, 0.0)]
)
def test_there_is_no_place_beyond_the_poles_or_the_antimeridian(lat_deg: float, lon_deg: float) -> None:
    with pytest.raises(ValueError, match="no such place"):
        GeoPoint(lat_deg, lon_deg)


@pytest.mark.parametrize(("lat_deg", "lon_deg"), [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)])
def test_the_poles_and_both_names_of_the_antimeridian_are_places(lat_deg: float, lon_deg: float) -> None:
    assert GeoPoint(lat_deg, lon_deg) == GeoPoint(lat_deg, lon_deg)


@pytest.mark.parametrize(
    ("lat_deg", "per_lat_m", "per_lon_m"),
    [
        (0, 110_574, 111_320),
        (15, 110_649, 107_550),
        (30, 110_852, 96_486),
        (45, 111_132, 78_847),
        (60, 111_412, 55_800),
        (75, 111_618, 28_902),
    ],
)
def test_a_degree_is_as_long_as_on_wgs_84(lat_deg: float, per_lat_m: float, per_lon_m: float) -> None:
    assert metres_per_degree(lat_deg) == pytest.approx((per_lat_m, per_lon_m), abs=1.0)
    assert metres_per_degree(-lat_deg) == metres_per_degree(lat_deg)


def test_at_a_pole_a_degree_of_longitude_has_no_length() -> None:
    assert metres_per_degree(90.0) == pytest.approx((111_694, 0.0), abs=1.0)


def test_a_place_is_nowhere_from_itself() -> None:
    assert offset_m(MUNICH, MUNICH) == (0.0, 0.0)
    assert distance_m(MUNICH, MUNICH) == 0.0


def test_east_and_north_have_the_signs_of_a_map() -> None:
    east, north = offset_m(MUNICH, GeoPoint(48.138, 11.576))
    assert east == pytest.approx(74.4, abs=0.1)
    assert north == pytest.approx(111.2, abs=0.1)
    assert offset_m(GeoPoint(48.138, 11.576), MUNICH) == pytest.approx((-east, -north))


def test_two_places_astride_the_antimeridian_are_close() -> None:
    west, east = GeoPoint(-17.0, 179.9999), GeoPoint(-17.0, -179.9999)
    assert offset_m(west, east) == pytest.approx((21.3, 0.0), abs=0.1)
    assert offset_m(east, west) == pytest.approx((-21.3, 0.0), abs=0.1)
    assert bearing_deg(west, east) == pytest.approx(90.0)
    assert bearing_deg(east, west) == pytest.approx(270.0)


def test_the_two_names_of_the_antimeridian_are_one_place() -> None:
    assert distance_m(GeoPoint(5.0, 180.0), GeoPoint(5.0, -180.0)) == 0.0


def test_a_step_over_the_antimeridian_comes_out_on_the_other_side() -> None:
    assert displaced(GeoPoint(0.0, 179.9999), 30.0, 0.0).lon_deg == pytest.approx(-179.99983, abs=1e-5)
    assert displaced(GeoPoint(0.0, -179.9999), -30.0, 0.0).lon_deg == pytest.approx(179.99983, abs=1e-5)


def test_a_step_beyond_a_pole_stops_at_it() -> None:
    assert displaced(GeoPoint(89.9999, 0.0), 0.0, 1_000.0).lat_deg == 90.0
    assert displaced(GeoPoint(-89.9999, 0.0), 0.0, -1_000.0).lat_deg == -90.0
    assert displaced(GeoPoint(90.0, 0.0), 10.0, 0.0).lat_deg == 90.0


@given(places, steps_m, steps_m)
def test_a_step_and_the_offset_it_makes_are_inverse_to_the_millimetre(origin: GeoPoint, east_m: float, north_m: float) -> None:
    assert offset_m(origin, displaced(origin, east_m, north_m)) == pytest.approx((east_m, north_m), abs=1e-3, rel=1e-6)


@given(places, places)
def test_a_distance_is_the_same_both_ways(a: GeoPoint, b: GeoPoint) -> None:
    assert distance_m(a, b) == pytest.approx(distance_m(b, a))


@pytest.mark.parametrize(
    ("east_m", "north_m", "expected_deg"),
    [(0, 10, 0), (10, 10, 45), (10, 0, 90), (10, -10, 135), (0, -10, 180), (-10, -10, 225), (-10, 0, 270), (-10, 10, 315)],
)
def test_bearings_go_clockwise_from_north(east_m: float, north_m: float, expected_deg: float) -> None:
    assert bearing_deg(MUNICH, displaced(MUNICH, east_m, north_m)) == pytest.approx(expected_deg, abs=1e-3)


def test_a_bearing_just_west_of_north_is_just_below_360() -> None:
    assert 359.9 < bearing_deg(MUNICH, displaced(MUNICH, -0.1, 1_000.0)) < 360.0


def test_a_bearing_a_hair_west_of_north_is_north_not_360() -> None:
    assert bearing_deg(GeoPoint(-80.0, 3e-14), GeoPoint(80.0, 0.0)) == pytest.approx(0.0)


@given(places, places)
def test_a_bearing_is_at_least_0_and_below_360(a: GeoPoint, b: GeoPoint) -> None:
    assert 0.0 <= bearing_deg(a, b) < 360.0


@pytest.mark.parametrize(
    ("a_deg", "b_deg", "expected_deg"), [(359, 1, 2), (1, 359, 2), (0, 180, 180), (90, 270, 180), (10, 10, 0), (350, 180, 170)]
)
def test_headings_differ_by_the_shorter_way_round_north(a_deg: float, b_deg: float, expected_deg: float) -> None:
    assert heading_difference_deg(a_deg, b_deg) == expected_deg


@given(headings, headings)
def test_a_heading_difference_is_symmetric_and_at_most_half_a_turn(a_deg: float, b_deg: float) -> None:
    difference = heading_difference_deg(a_deg, b_deg)
    assert 0.0 <= difference <= 180.0
    assert difference == pytest.approx(heading_difference_deg(b_deg, a_deg), abs=1e-9)
