from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, EncodeError
from shared.core.geo import GeoPoint, displaced
from shared.network.area import AREA_OCTETS, Area, AreaShape, Circle, Ellipse, Rectangle, decode_area, encode_area, shape_of
from tests.unit.network.samples import CIRCLE, ELLIPSE, RECTANGLE, areas, azimuths_deg

MUNICH = GeoPoint(48.1, 11.5)
FIJI = GeoPoint(-17.0, 179.999)
EAST_OF_NORTH = Rectangle(centre=MUNICH, a_m=100.0, b_m=10.0, azimuth_deg=90.0)


@pytest.mark.parametrize("centre", [MUNICH, FIJI, GeoPoint(0.0, -180.0)])
@pytest.mark.parametrize(("east_m", "north_m", "is_inside"), [(0, 0, True), (499, 0, True), (0, -501, False), (354, 354, False)])
def test_a_circle_holds_what_is_within_its_radius(centre: GeoPoint, east_m: float, north_m: float, is_inside: bool) -> None:  # noqa: FBT001
    circle = Circle(centre=centre, radius_m=500.0)
    assert circle.contains(displaced(centre, east_m, north_m)) is is_inside


def test_an_area_across_the_antimeridian_is_one_area() -> None:
    beyond = displaced(FIJI, 300.0, 0.0)
    assert beyond.lon_deg < 0
    assert Circle(centre=FIJI, radius_m=301.0).contains(beyond)
    assert not Circle(centre=FIJI, radius_m=299.0).contains(beyond)


@pytest.mark.parametrize("area", [CIRCLE, RECTANGLE, ELLIPSE])
def test_the_geometric_function_is_one_at_the_centre(area: Area) -> None:
    assert area.geometric_function(area.centre) == 1.0


@pytest.mark.parametrize("shape", [Rectangle, Ellipse])
@pytest.mark.parametrize("azimuth_deg", [0.0, 90.0, 180.0, 270.0])
def test_the_long_axis_points_to_the_azimuth(shape: type[Rectangle] | type[Ellipse], azimuth_deg: float) -> None:
    area = shape(centre=MUNICH, a_m=100.0, b_m=10.0, azimuth_deg=azimuth_deg)
    along = (0.0, 99.0) if azimuth_deg in {0.0, 180.0} else (99.0, 0.0)
    assert area.contains(displaced(MUNICH, *along))
    assert not area.contains(displaced(MUNICH, *reversed(along)))


def test_the_azimuth_turns_clockwise() -> None:
    area = Rectangle(centre=MUNICH, a_m=100.0, b_m=10.0, azimuth_deg=45.0)
    assert area.contains(displaced(MUNICH, 60.0, 60.0))
    assert not area.contains(displaced(MUNICH, -60.0, 60.0))


def test_a_rectangle_has_corners_and_an_ellipse_has_not() -> None:
    corner = displaced(MUNICH, 99.0, 9.0)
    assert EAST_OF_NORTH.contains(corner)
    assert not Ellipse(centre=MUNICH, a_m=100.0, b_m=10.0, azimuth_deg=90.0).contains(corner)


@pytest.mark.parametrize("area", [CIRCLE, EAST_OF_NORTH, Ellipse(centre=MUNICH, a_m=100.0, b_m=10.0, azimuth_deg=90.0)])
def test_the_geometric_function_is_zero_on_the_border_and_negative_outside(area: Area) -> None:
    reach_m = area.radius_m if isinstance(area, Circle) else area.a_m
    assert area.geometric_function(displaced(MUNICH, reach_m, 0.0)) == pytest.approx(0.0, abs=1e-6)
    assert area.geometric_function(displaced(MUNICH, 2 * reach_m, 0.0)) == pytest.approx(-3.0, abs=1e-4)


def test_sizes_are_those_of_the_whole_shape() -> None:
    assert CIRCLE.size_km2 == pytest.approx(0.25 * pi)
    assert RECTANGLE.size_km2 == pytest.approx(0.024)
    assert ELLIPSE.size_km2 == pytest.approx(0.006 * pi)


def test_a_circle_is_written_with_its_second_distance_and_angle_zero() -> None:
    assert encode_area(CIRCLE).hex() == "1cab7a40" + "06dac2c0" + "01f4" + "0000" + "0000"


def test_a_rectangle_is_written_as_the_standard_lays_it_out() -> None:
    assert encode_area(RECTANGLE).hex() == "1cab7a40" + "06dac2c0" + "012c" + "0014" + "002d"


@given(areas)
def test_every_area_survives_the_round_trip(area: Area) -> None:
    assert decode_area(encode_area(area), shape_of(area)) == area


def test_an_azimuth_rounds_across_north() -> None:
    area = Ellipse(centre=MUNICH, a_m=10.0, b_m=5.0, azimuth_deg=359.6)
    decoded = decode_area(encode_area(area), AreaShape.ELLIPSE)
    assert isinstance(decoded, Ellipse)
    assert decoded.azimuth_deg == 0.0


@pytest.mark.parametrize("octets", [*range(AREA_OCTETS), AREA_OCTETS + 1])
def test_another_length_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError, match="instead of 14"):
        decode_area((encode_area(CIRCLE) * 2)[:octets], AreaShape.CIRCLE)


@pytest.mark.parametrize(
    ("wire", "shape", "field"),
    [
        ("35a4e901 06dac2c0 01f4 0000 0000", AreaShape.CIRCLE, "centre"),
        ("1cab7a40 80000000 01f4 0000 0000", AreaShape.CIRCLE, "centre"),
        ("1cab7a40 06dac2c0 0000 0000 0000", AreaShape.CIRCLE, "distance"),
        ("1cab7a40 06dac2c0 0001 0000 0000", AreaShape.RECTANGLE, "distance"),
        ("1cab7a40 06dac2c0 0000 0001 0000", AreaShape.ELLIPSE, "distance"),
        ("1cab7a40 06dac2c0 0001 0001 0169", AreaShape.ELLIPSE, "angle"),
    ],
)
def test_an_area_that_cannot_be_is_refused_by_name(wire: str, shape: AreaShape, field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_area(bytes.fromhex(wire), shape)
    assert refused.value.field == f"area.{field}"


def test_what_a_circle_has_no_use_for_is_ignored() -> None:
    assert decode_area(bytes.fromhex("1cab7a40 06dac2c0 01f4 ffff ffff"), AreaShape.CIRCLE) == CIRCLE


@pytest.mark.parametrize(
    "area", [Circle(centre=MUNICH, radius_m=1_785.0), Rectangle(centre=MUNICH, a_m=2_000.0, b_m=1_251.0, azimuth_deg=0.0)]
)
def test_we_never_address_more_than_ten_square_kilometres(area: Area) -> None:
    with pytest.raises(EncodeError, match="km2"):
        encode_area(area)


def test_an_area_without_extent_cannot_be_made_or_sent() -> None:
    with pytest.raises(EncodeError, match="no extent"):
        Circle(centre=MUNICH, radius_m=0.0)
    with pytest.raises(EncodeError, match="no extent"):
        Ellipse(centre=MUNICH, a_m=5.0, b_m=float("nan"), azimuth_deg=0.0)
    with pytest.raises(EncodeError, match="outside"):
        Rectangle(centre=MUNICH, a_m=5.0, b_m=5.0, azimuth_deg=-1.0)
    with pytest.raises(EncodeError, match="rounds to nothing"):
        encode_area(Circle(centre=MUNICH, radius_m=0.4))


@given(areas, st.floats(-3_000.0, 3_000.0), st.floats(-3_000.0, 3_000.0))
def test_an_area_anywhere_on_earth_answers_for_any_place_near_it(area: Area, east_m: float, north_m: float) -> None:
    place = displaced(area.centre, east_m, north_m)
    f = area.geometric_function(place)
    assert f <= 1.0 + 1e-9
    assert area.contains(place) is (f >= 0.0)
    assert area.contains(area.centre)


@given(st.floats(-89.0, 89.0), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02), azimuths_deg)
def test_the_antimeridian_is_a_line_like_any_other(lat_deg: float, centre_deg: float, place_deg: float, azimuth_deg: float) -> None:
    """An area there holds what the same area somewhere else holds."""

    def at(lon_deg: float) -> GeoPoint:
        return GeoPoint(lat_deg, (lon_deg + 180.0) % 360.0 - 180.0)

    for shape in (Rectangle, Ellipse):
        there = shape(centre=at(180.0 + centre_deg), a_m=900.0, b_m=300.0, azimuth_deg=azimuth_deg)
        elsewhere = shape(centre=at(20.0 + centre_deg), a_m=900.0, b_m=300.0, azimuth_deg=azimuth_deg)
        f_there = there.geometric_function(at(180.0 + place_deg))
        assert f_there == pytest.approx(elsewhere.geometric_function(at(20.0 + place_deg)), abs=1e-6)


@pytest.mark.parametrize("pole_deg", [90.0, -90.0])
@given(lon_deg=st.floats(-180.0, 180.0), distance_deg=st.floats(0.0, 0.001))
def test_around_a_pole_a_circle_holds_what_is_close(pole_deg: float, lon_deg: float, distance_deg: float) -> None:
    place = GeoPoint(pole_deg - distance_deg if pole_deg > 0 else pole_deg + distance_deg, lon_deg)
    assert Circle(centre=GeoPoint(pole_deg, 0.0), radius_m=250.0).contains(place)
