"""Maps derived from a SUMO network: a small one written here, and the junctions of a real town."""

import gzip
from itertools import combinations
from pathlib import Path

import pytest

from rsu_agent.map_data import LaneDirection, LaneKind, NetworkChoice, Turn, load_map, mapem_octets
from rsu_agent.map_projection import Around, utm_of
from rsu_agent.map_sumo import junction_of, signal_groups_of
from rsu_agent.map_sumo_net import Network, load_network
from rsu_agent.map_toml import toml_of
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, distance_m, offset_m
from tests.helpers.data import data_file

BOLOGNA = "traffic/bologna_acosta/acosta_buslanes.net.xml"

SMALL = """<?xml version="1.0" encoding="UTF-8"?>
<net version="1.20">
    <location netOffset="0.00,0.00" convBoundary="0,0,200,200" origBoundary="0,0,1,1" projParameter="!"/>
    <edge id=":J_0" function="internal"><lane id=":J_0_0" index="0" speed="9" length="10" shape="102,90 102,110"/></edge>
    <edge id=":J_c0" function="crossing" crossingEdges="n">
        <lane id=":J_c0_0" index="0" allow="pedestrian" speed="1" length="9" width="4.00" shape="95,113 105,113"/>
    </edge>
    <edge id=":J_w0" function="walkingarea"><lane id=":J_w0_0" index="0" allow="pedestrian" speed="1" shape="95,113 95,112"/></edge>
    <edge id="s" from="S" to="J">
        <lane id="s_0" index="0" allow="pedestrian" speed="1" length="90" width="2.00" shape="106,0 106,90"/>
        <lane id="s_1" index="1" speed="13" length="90" shape="102,0 102,45 102,90"/>
    </edge>
    <edge id="e" from="E" to="J"><lane id="e_0" index="0" speed="13" length="90" shape="200,102 110,102"/></edge>
    <edge id="n" from="J" to="N"><lane id="n_0" index="0" speed="13" length="90" shape="102,110 102,400"/></edge>
    <edge id="w" from="J" to="W">
        <lane id="w_0" index="0" allow="bicycle" speed="13" length="90" width="1.50" shape="90,106 0,106"/>
        <lane id="w_1" index="1" speed="13" length="90" shape="90,102 0,102"/>
    </edge>
    <tlLogic id="J" type="static" programID="0" offset="0">
        <phase duration="30" state="gGrrG"/>
        <phase duration="30" state="rrGGr"/>
    </tlLogic>
    <tlLogic id="J" type="static" programID="night" offset="0"><phase duration="30" state="ooooo"/></tlLogic>
    <junction id="J" type="traffic_light" x="100" y="100" incLanes="s_1 e_0" intLanes="" shape="90,90 110,110"/>
    <junction id="S" type="dead_end" x="100" y="0" incLanes="" intLanes="" shape=""/>
    <connection from="s" to="w" fromLane="1" toLane="1" tl="J" linkIndex="0" dir="l" state="o"/>
    <connection from="s" to="n" fromLane="1" toLane="0" tl="J" linkIndex="1" dir="s" state="O"/>
    <connection from="e" to="w" fromLane="0" toLane="1" tl="J" linkIndex="2" dir="s" state="O"/>
    <connection from="e" to="w" fromLane="0" toLane="0" tl="J" linkIndex="3" dir="s" state="O"/>
    <connection from=":J_w0" to=":J_c0" fromLane="0" toLane="0" tl="J" linkIndex="4" dir="s" state="M"/>
    <connection from=":J_0" to="n" fromLane="0" toLane="0" dir="s" state="M"/>
</net>
"""

HERE = GeoPoint(48.137, 11.575)
THERE = NetworkChoice(reference=HERE, number=77, region=49, name="Small")


def network_file(folder: Path, text: str = SMALL) -> Path:
    file = folder / "small.net.xml"
    file.write_text(text)
    return file


def test_lanes_ways_and_groups_come_from_the_network(tmp_path: Path) -> None:
    junction = load_map(network_file(tmp_path), None, choice=THERE)
    assert (junction.name, junction.intersection_id.number, junction.intersection_id.region) == ("Small", 77, 49)
    named = {lane.name: lane for lane in junction.lanes}
    assert set(named) == {"s_1", "e_0", "n_0", "w_0", "w_1", ":J_c0_0"}
    south = named["s_1"]
    assert (south.direction, south.kind, south.width_m) == (LaneDirection.INGRESS, LaneKind.VEHICLE, 3.2)
    ways = [(way.to_lane, way.turn, way.signal_group, way.yields) for way in south.connections]
    assert ways == [(named["w_1"].number, Turn.LEFT, 1, True), (named["n_0"].number, Turn.STRAIGHT, 1, False)]
    assert [way.signal_group for way in named["e_0"].connections] == [2, 2]
    assert named["w_0"].kind is LaneKind.BIKE
    assert junction.signal_groups == {1, 2, 3}


def test_lanes_run_from_the_junction_outward_as_far_as_is_said(tmp_path: Path) -> None:
    named = {lane.name: lane for lane in load_map(network_file(tmp_path), None, choice=THERE).lanes}
    assert [tuple(round(part, 1) for part in offset_m(HERE, node)) for node in named["s_1"].nodes] == [(2, -10), (2, -100)]
    assert [tuple(round(part, 1) for part in offset_m(HERE, node)) for node in named["n_0"].nodes] == [(2, 10), (2, 210)]
    assert [named[name].approach for name in ("n_0", "e_0", "s_1", "w_1")] == [1, 2, 3, 4]


def test_a_crossing_becomes_a_crosswalk_under_its_light(tmp_path: Path) -> None:
    (walk,) = (lane for lane in load_map(network_file(tmp_path), None, choice=THERE).lanes if lane.kind is LaneKind.CROSSWALK)
    assert (walk.direction, walk.width_m) == (LaneDirection.BOTH, 4.0)
    assert [(way.to_lane, way.signal_group) for way in walk.connections] == [(walk.number, 3)]


def test_the_one_junction_with_lights_needs_no_name_and_a_packed_network_is_read(tmp_path: Path) -> None:
    plain = load_map(network_file(tmp_path), None, choice=THERE)
    packed = tmp_path / "small.net.xml.gz"
    packed.write_bytes(gzip.compress(SMALL.encode()))
    assert load_map(packed, None, choice=THERE).lanes == plain.lanes
    assert load_map(tmp_path / "small.net.xml", None, choice=NetworkChoice(reference=HERE, junction="J")).lanes == plain.lanes


@pytest.mark.parametrize(
    ("text", "choice", "reason"),
    [
        (SMALL, NetworkChoice(), "projection '!' is not UTM: say where the junction lies"),
        (SMALL, NetworkChoice(reference=HERE, junction="K"), "there is no junction 'K'; those with lights are J"),
        (SMALL.replace(' tl="J"', ""), NetworkChoice(reference=HERE), "say which junction is meant; those with lights are none"),
        (SMALL, NetworkChoice(reference=HERE, junction="S"), "no way leads across it"),
        (SMALL.replace('dir="l"', 'dir="x"'), THERE, "a connection with the direction 'x'"),
        (SMALL.replace("200,102 110,102", "110,102 110,102"), THERE, "has no length"),
        (SMALL.replace("200,102 110,102", "200,102"), THERE, "a shape has 2 to 10000 points"),
        (SMALL.replace("200,102 110,102", "200,nan 110,102"), THERE, "'200,nan' is no point"),
        (SMALL.replace("200,102 110,102", "200,1O2 110,102"), THERE, "is not made of numbers"),
        (SMALL.replace('fromLane="1" toLane="1"', 'toLane="1"'), THERE, "the attribute 'fromLane' is missing"),
        (SMALL.replace('linkIndex="1"', 'linkIndex="-9"'), THERE, "linkIndex '-9' is no index"),
        (SMALL.replace('fromLane="1"', 'fromLane="1.5"', 1), THERE, "fromLane '1.5' is no index"),
        (SMALL.replace("UTF-8", "UTF-9"), THERE, "unknown encoding: UTF-9"),
        (SMALL.replace("</net>", ""), THERE, "not XML: no element found"),
        ("<routes/>", THERE, "there is no <net> in it"),
        ('<!DOCTYPE net [<!ENTITY a "aa">]><net/>', THERE, "a network declares no entities"),
        ("", THERE, "not XML"),
    ],
)
def test_a_network_that_makes_no_map_is_refused_in_a_sentence(
    tmp_path: Path, text: str, choice: NetworkChoice, reason: str
) -> None:
    file = network_file(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        load_map(file, None, choice=choice)
    assert refusal.value.path.startswith(str(file))
    assert reason in refusal.value.reason


def test_a_packed_network_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.net.xml.gz"
    file.write_bytes(gzip.compress(SMALL.encode())[:-9])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_map(file, None, choice=THERE)
    file.write_bytes(b"no gzip at all")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_map(file, None, choice=THERE)


def test_a_known_tower_stands_where_its_utm_coordinates_say() -> None:
    utm = utm_of("+proj=utm +zone=17 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", (0.0, 0.0))
    assert utm is not None
    assert distance_m(utm.place(630_084, 4_833_438), GeoPoint(43.642567, -79.387139)) < 1.5


def test_a_zone_s_middle_meridian_and_equator_are_exact_north_and_south() -> None:
    north = utm_of("+proj=utm +zone=32 +ellps=WGS84", (-500_000.0, 0.0))
    south = utm_of("+proj=utm +zone=32 +south +ellps=WGS84", (-500_000.0, -10_000_000.0))
    assert north is not None
    assert south is not None
    for each in (north, south):
        assert (each.place(0, 0).lat_deg, each.place(0, 0).lon_deg) == pytest.approx((0.0, 9.0), abs=1e-9)
    assert south.place(0, -1_000_000).lat_deg == pytest.approx(-north.place(0, 1_000_000).lat_deg, abs=1e-9)


def test_distances_in_a_zone_are_those_on_the_ground_but_for_its_scale() -> None:
    utm = utm_of("+proj=utm +zone=32 +ellps=WGS84", (-683_542.41, -4_928_877.56))
    assert utm is not None
    scale = 0.9996 * (1 + (683_542.41 + 600 - 500_000) ** 2 / (2 * 6_378_000.0**2))
    for point in ((700.0, 800.0), (600.0, 900.0)):
        assert distance_m(utm.place(600, 800), utm.place(*point)) == pytest.approx(100 / scale, rel=2e-5)


@pytest.mark.parametrize(
    "parameters", ["!", "-", "+proj=tmerc +zone=32", "+proj=utm +zone=61", "+proj=utm", "+proj=utm +zone=32 +ellps=intl"]
)
def test_other_projections_are_not_guessed_at(parameters: str) -> None:
    assert utm_of(parameters, (0.0, 0.0)) is None


def test_a_plane_is_laid_around_a_place() -> None:
    around = Around(point_m=(100.0, 50.0), reference=HERE)
    assert around.place(100, 50) == HERE
    assert offset_m(HERE, around.place(130, 10)) == pytest.approx((30, -40), abs=1e-3)


@pytest.fixture(name="town", scope="module")
def _town() -> Network:
    return load_network(data_file(BOLOGNA))


def test_every_junction_with_lights_of_a_real_town_makes_a_sound_map(town: Network, tmp_path: Path) -> None:
    lit = town.junctions_with_lights()
    assert len(lit) == 16
    for name in lit:
        junction = junction_of(town, None, choice=NetworkChoice(junction=name), origin=BOLOGNA)
        ruled = {way.signal_group for lane in junction.lanes for way in lane.connections}
        assert ruled >= junction.signal_groups
        assert distance_m(junction.reference, GeoPoint(44.49, 11.32)) < 3_000
        assert mapem_octets(junction) < 1_394
        file = tmp_path / "again.map.toml"
        file.write_text(toml_of(junction))
        assert len(load_map(file, junction.signal_groups).lanes) == len(junction.lanes)


def test_the_lights_of_a_real_town_never_let_go_together_what_its_maps_call_a_conflict(town: Network) -> None:
    groups = signal_groups_of(town)
    compared = 0
    for name in town.junctions_with_lights():
        junction = junction_of(town, None, choice=NetworkChoice(junction=name), origin=BOLOGNA)
        lights = {each.light for each in town.at_junction(name) if each.light is not None}
        conflicts = junction.conflicting_groups()
        for light in lights:
            for state in town.programs[light]:
                green = {groups[light, link] for link, letter in enumerate(state) if letter in "Gg" and (light, link) in groups}
                together = {frozenset(pair) for pair in combinations(sorted(green), 2)}
                assert not together & conflicts, (name, state)
                compared += len(conflicts)
    assert compared > 100
