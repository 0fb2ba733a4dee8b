import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.coer import CoerReader
from shared.core.errors import DecodeError, VerificationError
from shared.core.geo import GeoPoint, displaced
from shared.core.report import VerificationReport
from shared.security.region import (
    NO_IDENTIFIED_AREAS,
    CircularRegion,
    GeographicRegion,
    IdentifiedAreas,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    Rectangle,
    RectangularRegion,
    Region,
    RegionPart,
    contains_point,
    encode_region,
    read_region,
)
from shared.security.region_containment import lies_within

TURIN = GeoPoint(45.07, 7.68)


def polygon(*corners: tuple[int, int]) -> PolygonalRegion:
    return PolygonalRegion(corners=tuple(Location(lat, lon) for lat, lon in corners))


def box(north: int, west: int, south: int, east: int) -> RectangularRegion:
    return RectangularRegion(rectangles=(Rectangle(north=north, west=west, south=south, east=east),))


def circle(centre: GeoPoint, radius_m: int) -> CircularRegion:
    return CircularRegion(centre=Location.of(centre), radius_m=radius_m)


def country(number: int, *parts: RegionPart) -> IdentifiedRegions:
    return IdentifiedRegions(regions=(IdentifiedRegion(country=number, parts=parts),))


L_SHAPE = polygon((0, 0), (0, 1000), (500, 1000), (500, 500), (1000, 500), (1000, 0))
ITALY = 380
AREAS = IdentifiedAreas(shapes={(ITALY, None, None): (box(471_000_000, 66_000_000, 350_000_000, 186_000_000),)})

EXAMPLES: tuple[GeographicRegion, ...] = (
    circle(TURIN, 5_000),
    box(1000, -1000, -1000, 1000),
    RectangularRegion(rectangles=(Rectangle(north=5, west=0, south=0, east=5), Rectangle(north=15, west=10, south=10, east=15))),
    L_SHAPE,
    country(ITALY),
    country(ITALY, RegionPart(region=1), RegionPart(region=2)),
    country(ITALY, RegionPart(region=1, subregions=(7, 8)), RegionPart(region=2, subregions=(9,))),
)


@pytest.mark.parametrize("region", EXAMPLES)
def test_a_region_comes_back_and_no_part_of_it_is_a_region(region: GeographicRegion) -> None:
    encoded = encode_region(region)
    cursor = CoerReader(encoded)
    assert read_region(cursor, "r") == region
    cursor.finish("r")
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            read_region(CoerReader(encoded[:length]), "r")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("80" + "35a4e901" + "00000000" + "0001", "no such place"),
        ("80" + "00000000" + "6b49d201" + "0001", "no such place"),
        ("810101" + "00000000" + "00000000" + "00000001" + "00000001", "not north-west"),
        ("810101" + "00000001" + "00000001" + "00000000" + "00000000", "not north-west"),
        ("810101" + "00000000" + "00000000" + "00000000" + "00000001", "not north-west"),
        ("820102" + "00" * 16, "2 items"),
        ("810100", "0 items"),
        ("84", "alternative 4"),
        ("830101" + "83" + "017c", "identified region alternative 3"),
        ("830101" + "81" + "017c" + "0100", "0 items"),
        ("830101" + "82" + "017c" + "0101" + "05" + "0100", "0 items"),
    ],
)
def test_regions_that_cannot_be_are_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read_region(CoerReader(bytes.fromhex(text)), "r")


def test_a_circle_ends_at_its_radius() -> None:
    region = circle(TURIN, 1_000)
    for east, north in ((0.0, 0.0), (990.0, 0.0), (0.0, -990.0), (700.0, 700.0)):
        assert contains_point(region, displaced(TURIN, east, north))
    for east, north in ((1_010.0, 0.0), (0.0, -1_010.0), (720.0, 720.0)):
        assert not contains_point(region, displaced(TURIN, east, north))


def test_a_rectangle_includes_its_edges() -> None:
    region = box(1000, 0, 0, 1000)
    for lat, lon in ((0, 0), (1000, 1000), (500, 0), (500, 500)):
        assert contains_point(region, Location(lat, lon).point)
    for lat, lon in ((-1, 0), (1001, 500), (500, 1001), (500, -1)):
        assert not contains_point(region, Location(lat, lon).point)


@pytest.mark.parametrize("shape", [L_SHAPE, PolygonalRegion(corners=L_SHAPE.corners[::-1])])
def test_a_polygon_is_its_inside_and_its_edge_whichever_way_it_is_drawn(shape: PolygonalRegion) -> None:
    for lat, lon in ((250, 250), (250, 900), (900, 250), (0, 0), (500, 750), (750, 500), (1000, 0), (500, 500)):
        assert contains_point(shape, Location(lat, lon).point), (lat, lon)
    for lat, lon in ((750, 750), (501, 501), (-1, 500), (1001, 0), (500, 1001), (1000, 501)):
        assert not contains_point(shape, Location(lat, lon).point), (lat, lon)


def test_a_country_contains_what_the_operators_table_says_and_nothing_without_one() -> None:
    Region(shape=country(ITALY), areas=AREAS).check_contains(TURIN)
    for region in (
        Region(shape=country(ITALY), areas=NO_IDENTIFIED_AREAS),
        Region(shape=country(276), areas=AREAS),
        Region(shape=country(ITALY, RegionPart(region=1)), areas=AREAS),
        Region(shape=country(ITALY), areas=AREAS),
    ):
        outside = GeoPoint(52.5, 13.4)
        with pytest.raises(VerificationError) as caught:
            region.check_contains(outside)
        assert caught.value.report is VerificationReport.OUTSIDE_REGION


def test_no_region_contains_every_place() -> None:
    Region(shape=None, areas=NO_IDENTIFIED_AREAS).check_contains(GeoPoint(-90.0, 180.0))


@pytest.mark.parametrize("region", EXAMPLES)
def test_every_region_lies_within_itself(region: GeographicRegion) -> None:
    assert lies_within(region, region, NO_IDENTIFIED_AREAS)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (circle(TURIN, 900), circle(TURIN, 1_000)),
        (circle(displaced(TURIN, 400.0, 0.0), 500), circle(TURIN, 1_000)),
        (box(100, 100, 0, 200), box(1000, 0, 0, 1000)),
        (box(100, 100, 50, 200), polygon((0, 0), (0, 1000), (1000, 1000), (1000, 0))),
        (box(400, 600, 100, 900), L_SHAPE),
        (polygon((10, 10), (10, 400), (400, 10)), L_SHAPE),
        (polygon((10, 10), (10, 400), (400, 10)), box(1000, 0, 0, 1000)),
        (circle(TURIN, 1_000), box(451_000_000, 76_000_000, 450_000_000, 77_000_000)),
        (
            circle(TURIN, 1_000),
            polygon((450_000_000, 76_000_000), (450_000_000, 77_500_000), (451_500_000, 77_500_000), (451_500_000, 76_000_000)),
        ),
        (country(ITALY, RegionPart(region=1)), country(ITALY)),
        (country(ITALY, RegionPart(region=1, subregions=(3,))), country(ITALY, RegionPart(region=1))),
        (country(ITALY), box(480_000_000, 60_000_000, 340_000_000, 190_000_000)),
        (circle(TURIN, 1_000), country(ITALY)),
    ],
)
def test_what_provably_lies_within_is_accepted(inner: GeographicRegion, outer: GeographicRegion) -> None:
    assert lies_within(inner, outer, AREAS)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (circle(TURIN, 1_000), circle(TURIN, 900)),
        (circle(TURIN, 999), circle(TURIN, 1_000)),
        (circle(displaced(TURIN, 600.0, 0.0), 500), circle(TURIN, 1_000)),
        (box(100, 100, -1, 200), box(1000, 0, 0, 1000)),
        (box(1000, 0, 0, 1000), L_SHAPE),
        (box(600, 100, 100, 600), L_SHAPE),
        (polygon((10, 990), (10, 10), (990, 10)), L_SHAPE),
        (polygon((400, 990), (990, 400), (10, 10)), L_SHAPE),
        (circle(TURIN, 60_000), box(451_000_000, 76_000_000, 450_000_000, 77_000_000)),
        (circle(GeoPoint(0.0, 179.999), 60_000), box(10_000_000, -1_800_000_000, -10_000_000, 1_800_000_000)),
        (circle(GeoPoint(89.999, 0.0), 60_000), box(900_000_000, -1_800_000_000, 0, 1_800_000_000)),
        (country(ITALY), country(ITALY, RegionPart(region=1))),
        (country(276), country(ITALY)),
        (country(276), box(900_000_000, -1_800_000_000, -900_000_000, 1_800_000_000)),
        (box(600_000_000, 0, 0, 100_000_000), country(ITALY)),
        (
            box(10, 0, 0, 20),
            RectangularRegion(
                rectangles=(Rectangle(north=10, west=0, south=0, east=10), Rectangle(north=10, west=10, south=0, east=20))
            ),
        ),
    ],
)
def test_what_lies_outside_or_cannot_be_proved_is_refused(inner: GeographicRegion, outer: GeographicRegion) -> None:
    assert not lies_within(inner, outer, AREAS)


def test_a_star_drawn_in_one_stroke_is_not_taken_for_convex() -> None:
    star = polygon((1000, 0), (-809, 588), (309, -951), (309, 951), (-809, -588))
    hollow = box(50, -50, -50, 50)
    assert not contains_point(star, Location(0, 0).point)
    assert not lies_within(hollow, star, NO_IDENTIFIED_AREAS)


@given(st.tuples(*[st.integers(-1000, 1000)] * 8), st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)))
def test_a_place_in_a_region_within_another_is_in_the_other(corners: tuple[int, ...], at: tuple[int, int]) -> None:
    inner = polygon((corners[0], corners[1]), (corners[2], corners[3]), (corners[4], corners[5]))
    place = Location(*at).point
    for outer in (L_SHAPE, polygon((-900, -900), (-900, 900), (900, 0)), box(800, -800, -800, corners[6] + 1001)):
        if lies_within(inner, outer, NO_IDENTIFIED_AREAS) and contains_point(inner, place):
            assert contains_point(outer, place)
