from pathlib import Path

import pytest

from shared.core.errors import ConfigError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.report import VerificationReport
from shared.security.region import (
    CircularRegion,
    IdentifiedAreas,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    RectangularRegion,
    Region,
    RegionPart,
)
from shared.security.region_containment import lies_within
from shared.service.identified_areas import MAX_AREAS, MAX_CORNERS, MAX_SHAPES_OF_AREA, read_identified_areas
from tests.helpers.data import REPOSITORY

EXAMPLE = REPOSITORY / "systemd/identified-areas.example.toml"
GERMANY, FRANCE, MONACO = 276, 250, 492

GOOD = """
[[area]]
country = 276
name = "Somewhere"
polygons = [[[50.0, 8.0], [50.0, 9.0], [51, 9]]]
rectangles = [{ north = 49.0, west = 8.0, south = 48.0, east = 9.0 }]
circles = [{ lat = 52.0, lon = 13.0, radius_m = 1000 }]

[[area]]
country = 276
part = 9
circles = [{ lat = 48.1, lon = 11.6, radius_m = 20000 }]

[[area]]
country = 276
part = 9
subpart = 184
circles = [{ lat = 48.1, lon = 11.6, radius_m = 5000 }]
"""


def table(folder: Path, text: str) -> Path:
    path = folder / "areas.toml"
    path.write_text(text)
    return path


def region(areas: IdentifiedAreas, country: int, *parts: RegionPart) -> Region:
    shape = IdentifiedRegions(regions=(IdentifiedRegion(country=country, parts=parts),))
    return Region(shape=shape, areas=areas)


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_identified_areas(path)
    return caught.value


def test_a_table_gives_each_number_its_shapes(tmp_path: Path) -> None:
    areas = read_identified_areas(table(tmp_path, GOOD))
    assert set(areas.shapes) == {(276, None, None), (276, 9, None), (276, 9, 184)}
    assert [type(shape) for shape in areas.shapes[276, None, None]] == [PolygonalRegion, RectangularRegion, CircularRegion]
    whole = region(areas, GERMANY)
    for inside in (GeoPoint(50.2, 8.9), GeoPoint(48.5, 8.5), GeoPoint(52.001, 13.001)):
        assert whole.contains(inside)
    for outside in (GeoPoint(50.8, 8.1), GeoPoint(49.5, 8.5), GeoPoint(52.1, 13.0)):
        assert not whole.contains(outside)


def test_a_part_is_judged_by_its_own_entry_and_a_missing_one_covers_nothing(tmp_path: Path) -> None:
    areas = read_identified_areas(table(tmp_path, GOOD))
    munich, nearby = GeoPoint(48.1, 11.6), GeoPoint(48.2, 11.6)
    assert region(areas, GERMANY, RegionPart(region=9)).contains(nearby)
    assert region(areas, GERMANY, RegionPart(region=9, subregions=(184,))).contains(munich)
    assert not region(areas, GERMANY, RegionPart(region=9, subregions=(184,))).contains(nearby)
    assert not region(areas, GERMANY).contains(munich)
    assert not region(areas, GERMANY, RegionPart(region=8)).contains(munich)
    for shape, sentence in (
        (region(areas, FRANCE), f"valid in country {FRANCE}, of which this station's table of areas has no shape"),
        (region(areas, GERMANY, RegionPart(region=8)), f"valid in country {GERMANY} part 8, of which"),
        (region(areas, GERMANY, RegionPart(region=8, subregions=(7,))), f"valid in country {GERMANY} part 8 subpart 7, of which"),
        (region(areas, GERMANY), "generated outside the region"),
    ):
        with pytest.raises(VerificationError, match=sentence) as caught:
            shape.check_contains(munich)
        assert caught.value.report is VerificationReport.OUTSIDE_REGION


def test_a_country_of_several_shapes_lies_within_what_holds_all_of_them(tmp_path: Path) -> None:
    areas = read_identified_areas(table(tmp_path, GOOD))
    germany = IdentifiedRegions(regions=(IdentifiedRegion(country=GERMANY),))
    wide = CircularRegion(centre=Location.of(GeoPoint(50.0, 10.0)), radius_m=60_000)
    assert not lies_within(germany, wide, areas)
    box = read_identified_areas(EXAMPLE).shapes[GERMANY, None, None][0]
    assert lies_within(germany, box, areas)


def test_the_example_holds_the_places_one_expects() -> None:
    areas = read_identified_areas(EXAMPLE)
    assert set(areas.shapes) == {(GERMANY, None, None), (FRANCE, None, None), (MONACO, None, None)}
    berlin, paris, ajaccio, rome = GeoPoint(52.52, 13.40), GeoPoint(48.86, 2.35), GeoPoint(41.93, 8.74), GeoPoint(41.9, 12.5)
    marseille, bordeaux, strasbourg = GeoPoint(43.30, 5.37), GeoPoint(44.84, -0.58), GeoPoint(48.58, 7.75)
    assert region(areas, GERMANY).contains(berlin)
    for place in (paris, ajaccio, marseille, bordeaux, strasbourg):
        assert region(areas, FRANCE).contains(place)
    for country in (GERMANY, FRANCE, MONACO):
        assert not region(areas, country).contains(rome)
    assert not region(areas, GERMANY).contains(paris)
    assert not region(areas, FRANCE).contains(berlin)
    assert region(areas, MONACO).contains(GeoPoint(43.74, 7.42))


def test_the_example_says_that_it_is_one() -> None:
    assert EXAMPLE.read_text().startswith("# EXAMPLE ONLY")


@pytest.mark.parametrize(
    ("before", "after", "key", "reason"),
    [
        ("country = 276\nname", "country = 1000\nname", "area", "country 1000 is outside 0..999"),
        ("part = 9\ncircles", "part = 256\ncircles", "area", "part 256 is outside 0..255"),
        ("subpart = 184", "subpart = -1", "area", "subpart -1 is outside 0..65535"),
        ("part = 9\nsubpart", "subpart", "area", "part is missing"),
        ("part = 9\nsubpart = 184", "part = 9", "", "country 276, part 9 occurs twice"),
        ("radius_m = 20000", "radius_m = 0", "area", "radius_m 0 is outside 1..65535"),
        ("radius_m = 20000", "radius_m = 70000", "area", "radius_m 70000 is outside"),
        ("radius_m = 20000", "radius_m = 2.5", "radius_m", "Expected `int`"),
        ("north = 49.0", "north = 48.0", "rectangles", "north must be above south"),
        ("west = 8.0, south", "west = 10.0, south", "rectangles", "across the antimeridian is written as two"),
        ("north = 49.0", "north = 91.0", "rectangles", "no such place"),
        ("north = 49.0", "north = nan", "rectangles", "no such place"),
        ("lat = 52.0", 'lat = "52"', "circles", "Expected `float`"),
        ("[50.0, 8.0], [50.0, 9.0]", "[50.0, 8.0]", "area", "polygon 1 has 2 corners"),
        ("[51, 9]", "[51, 9, 0]", "polygons", "of length 2, got 3"),
        ("[51, 9]", "[51, 190]", "area", "no such place"),
        ("[51, 9]", "[50.0, 8.0]", "area", "polygon 1 has a corner twice"),
        ("[51, 9]", "[50.0, 8.5]", "area", "polygon 1 folds back on itself"),
        ("[51, 9]", "[49, 8.5], [51, 8.5]", "area", "polygon 1 crosses itself"),
        ('name = "Somewhere"', "nmae = 1", "area", "unknown key `nmae`"),
        ("country = 276\nname", "name", "area", "missing key `country`"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, before: str, after: str, key: str, reason: str) -> None:
    assert before in GOOD
    path = table(tmp_path, GOOD.replace(before, after, 1))
    error = refused(path)
    assert error.path.startswith(str(path))
    assert key in error.path
    assert reason in error.reason


def test_an_area_without_shapes_and_a_table_without_areas_are_mistakes(tmp_path: Path) -> None:
    assert "at least one of polygons" in refused(table(tmp_path, "[[area]]\ncountry = 1\n")).reason
    assert "the table is empty" in refused(table(tmp_path, "area = []\n")).reason
    assert "missing key `area`" in refused(table(tmp_path, "")).reason
    assert "cannot be read" in refused(tmp_path / "absent.toml").reason


def test_a_table_is_bounded_in_every_direction(tmp_path: Path) -> None:
    circle = "{ lat = 1, lon = 1, radius_m = 1 }"
    entries = "".join(f"[[area]]\ncountry = 1\npart = 1\nsubpart = {number}\ncircles = [{circle}]\n" for number in range(MAX_AREAS))
    assert len(read_identified_areas(table(tmp_path, entries)).shapes) == MAX_AREAS
    one_more = f"{entries}[[area]]\ncountry = 2\ncircles = [{circle}]\n"
    assert "1025 areas, at most 1024" in refused(table(tmp_path, one_more)).reason
    many = ", ".join([circle] * (MAX_SHAPES_OF_AREA + 1))
    assert "65 circles, at most 64" in refused(table(tmp_path, f"[[area]]\ncountry = 1\ncircles = [{many}]\n")).reason
    steps = [f"[{number / 100}, 0]" for number in range(MAX_CORNERS // 2)]
    back = [f"[{number / 100}, 1]" for number in reversed(range(MAX_CORNERS // 2))]
    widest = f"[[area]]\ncountry = 1\npolygons = [[{', '.join(steps + back)}]]\n"
    (polygon,) = read_identified_areas(table(tmp_path, widest)).shapes[1, None, None]
    assert isinstance(polygon, PolygonalRegion)
    assert len(polygon.corners) == MAX_CORNERS
    too_many = widest.replace("[[[0.0, 0]", "[[[0.0, 0.5], [0.0, 0]")
    assert "polygon 1 has 257 corners" in refused(table(tmp_path, too_many)).reason
