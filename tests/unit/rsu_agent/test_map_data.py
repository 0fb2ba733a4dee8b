from dataclasses import replace
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.map_data import (
    JunctionConnection,
    JunctionLane,
    JunctionMap,
    LaneDirection,
    LaneKind,
    Turn,
    load_map,
    mapem_of,
)
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import IntersectionId, StationId
from shared.messages import mapem
from shared.messages.mapem import AllowedManeuvers, NodeAttribute, decode_mapem, encode_mapem

EXAMPLE = Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml"
GROUPS = frozenset({1, 2})
CENTRE = GeoPoint(48.137, 11.575)


def place(east_m: float, north_m: float) -> GeoPoint:
    return displaced(CENTRE, east_m, north_m)


def way(to_lane: int, signal_group: int | None = 1, connection_id: int | None = None) -> JunctionConnection:
    return JunctionConnection(to_lane=to_lane, signal_group=signal_group, turn=Turn.STRAIGHT, connection_id=connection_id)


INGRESS = JunctionLane(
    number=1, direction=LaneDirection.INGRESS, nodes=(place(2, -10), place(2, -100)), connections=(way(2),), approach=3
)
EGRESS = JunctionLane(number=2, direction=LaneDirection.EGRESS, nodes=(place(2, 10), place(2, 100)))


def junction(*lanes: JunctionLane, **changes: object) -> JunctionMap:
    values: dict[str, object] = {
        "origin": "test.toml",
        "name": "test",
        "intersection_id": IntersectionId(None, 7),
        "revision": 3,
        "reference": CENTRE,
        "lane_width_m": 3.0,
        "lanes": lanes,
        "signal_groups": GROUPS,
    }
    return JunctionMap(**{**values, **changes})  # type: ignore[arg-type]


def test_the_example_map_fits_the_example_plan_and_survives_the_air() -> None:
    message = mapem_of(load_map(EXAMPLE, GROUPS), StationId(5), 1_234)
    heard = decode_mapem(encode_mapem(message))
    assert heard.station_id == 5
    (intersection,) = heard.intersections
    assert intersection.id == IntersectionId(49, 1)
    assert len(intersection.lanes) == 12
    assert {c.signal_group for lane in intersection.lanes for c in lane.connects_to} == {1, 2}


def test_nodes_on_the_air_lead_back_to_the_places_in_the_file_within_a_centimetre() -> None:
    winding = tuple(place(2 + 0.333 * i, -10 - 7.777 * i) for i in range(30))
    message = mapem_of(junction(replace(INGRESS, nodes=winding), EGRESS), StationId(5), None)
    heard = decode_mapem(encode_mapem(message)).intersections[0]
    east, north = 0.0, 0.0
    for node, expected in zip(heard.lanes[0].nodes, winding, strict=True):
        assert node.dx_m is not None
        assert node.dy_m is not None
        east, north = east + node.dx_m, north + node.dy_m
        assert distance_m(place(east, north), expected) < 0.011


def test_an_ingress_lane_says_its_stop_line_its_ways_and_its_signal_group() -> None:
    message = mapem_of(junction(replace(INGRESS, connections=(way(2, 2, 9),)), EGRESS), StationId(5), None)
    lane, out = message.intersections[0].lanes
    assert lane.directional_use is mapem.LaneDirection.INGRESS_PATH
    assert (lane.ingress_approach, lane.egress_approach) == (3, None)
    assert lane.nodes[0].attributes == (NodeAttribute.STOP_LINE,)
    assert lane.nodes[1].attributes == ()
    assert lane.maneuvers is AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED
    assert (lane.connects_to[0].lane_id, lane.connects_to[0].signal_group, lane.connects_to[0].connection_id) == (2, 2, 9)
    assert out.directional_use is mapem.LaneDirection.EGRESS_PATH
    assert out.nodes[0].attributes == ()
    assert out.connects_to == ()


def test_a_lane_of_its_own_width_says_the_difference_at_its_first_node() -> None:
    lane = mapem_of(junction(replace(INGRESS, width_m=2.5), EGRESS), StationId(5), None).intersections[0].lanes[0]
    assert lane.nodes[0].width_change_m == pytest.approx(-0.5)
    assert lane.nodes[1].width_change_m is None


@pytest.mark.parametrize("kind", LaneKind)
def test_a_lane_that_is_not_always_open_says_so_whatever_it_is_for(kind: LaneKind) -> None:
    sound = junction(replace(INGRESS, kind=kind, revocable=True), EGRESS)
    revocable, other = decode_mapem(encode_mapem(mapem_of(sound, StationId(5), None))).intersections[0].lanes
    assert revocable.lane_type_attributes == (0x80 if kind is LaneKind.VEHICLE else 0x8000)
    assert other.lane_type_attributes == 0


@pytest.mark.parametrize("kind", LaneKind)
def test_every_kind_of_lane_can_be_said(kind: LaneKind) -> None:
    message = mapem_of(junction(replace(INGRESS, kind=kind), EGRESS), StationId(5), None)
    assert decode_mapem(encode_mapem(message)).intersections[0].lanes[0].lane_type.name.lower().startswith(kind.value)


def test_nodes_may_be_given_in_degrees(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    text = EXAMPLE.read_text().replace("nodes_m = [[-1.7, 14], [-1.7, 150]]", "nodes_deg = [[48.1371, 11.575], [48.138, 11.575]]")
    file.write_text(text)
    assert load_map(file, GROUPS).lanes[0].nodes == (GeoPoint(48.1371, 11.575), GeoPoint(48.138, 11.575))


@pytest.mark.parametrize(
    ("lanes", "key", "reason"),
    [
        ((replace(INGRESS, connections=()), EGRESS), "lane 1", "leads nowhere"),
        ((INGRESS, replace(EGRESS, direction=LaneDirection.BOTH)), "lane 2", "leads nowhere"),
        ((replace(INGRESS, direction=LaneDirection.BOTH), EGRESS), "lane 1", "no connection leads to this both lane"),
        ((replace(INGRESS, kind=LaneKind.CROSSWALK, connections=()), EGRESS), "lane 1", "leads nowhere"),
        ((INGRESS,), "lane 1: connection[0]: to_lane", "there is no lane 2"),
        ((replace(INGRESS, connections=(way(1),)),), "lane 1: connection[0]: to_lane", "leads to itself"),
        (
            (replace(INGRESS, connections=(way(3), way(2))), EGRESS, replace(INGRESS, number=3)),
            "lane 1: connection[0]: to_lane",
            "lane 3 is not an egress lane",
        ),
        ((replace(INGRESS, connections=(way(2, 4),)), EGRESS), "lane 1: connection[0]: signal_group", "no signal group 4"),
        ((replace(INGRESS, connections=(way(2), way(2))), EGRESS), "lane 1: connection[1]: to_lane", "connected twice"),
        ((INGRESS, EGRESS, EGRESS), "lane 2", "given twice"),
        ((INGRESS, EGRESS, replace(EGRESS, number=3)), "lane 3", "no connection leads to this egress lane"),
        ((INGRESS, replace(EGRESS, connections=(way(2),))), "lane 2", "no connection of its own"),
        (
            (replace(INGRESS, connections=(way(2, 1, 5),)), replace(INGRESS, number=3, connections=(way(2, 1, 5),)), EGRESS),
            "lane 3: connection",
            "connection_id 5 is given twice",
        ),
        ((replace(INGRESS, nodes=(place(2, -10),)), EGRESS), "lane 1: nodes", "1 nodes are not within 2 to 63"),
        ((replace(INGRESS, nodes=(place(2, -10), place(2, -400))), EGRESS), "lane 1: nodes[1]", "390.0 m from the node before"),
        ((replace(INGRESS, nodes=(place(2, -330), place(2, -340))), EGRESS), "lane 1: nodes[0]", "from the reference point"),
        ((replace(INGRESS, nodes=(place(2, -10), place(2, -10))), EGRESS), "lane 1: nodes[1]", "the same place"),
        ((replace(INGRESS, width_m=0.1), EGRESS), "lane 1: width_m", "no width of a lane"),
        ((replace(INGRESS, width_m=15.0), EGRESS), "lane 1: width_m", "differs from lane_width_m"),
        ((replace(INGRESS, approach=16), EGRESS), "lane 1: approach", "not within 0 to 15"),
        ((replace(INGRESS, name="Straße"), EGRESS), "lane 1: name", "printable ASCII"),
        ((replace(INGRESS, number=256), EGRESS), "lane 256", "not within 1 to 255"),
        ((), "lane", "0 lanes"),
    ],
)
def test_an_impossible_lane_is_refused_by_file_and_key(lanes: tuple[JunctionLane, ...], key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        junction(*lanes)
    assert refusal.value.path == f"test.toml: {key}"
    assert reason in refusal.value.reason


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"revision": 128}, "revision"),
        ({"name": ""}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"lane_width_m": float("nan")}, "lane_width_m"),
        ({"intersection_id": IntersectionId(None, 65_536)}, "number"),
        ({"intersection_id": IntersectionId(-1, 1)}, "region"),
    ],
)
def test_an_impossible_junction_is_refused_by_file_and_key(change: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        junction(INGRESS, EGRESS, **change)
    assert refusal.value.path == f"test.toml: {key}"


@pytest.mark.parametrize(
    ("found", "written", "where"),
    [
        ("to_lane = 23", "to_lane = 99", "lane 11: connection[0]: to_lane"),
        ("nodes_m = [[-1.7, 14], [-1.7, 150]]", "nodes_m = [[-1.7, 14], [-1.7, 9000]]", "lane 11: nodes_m[1]"),
        ("nodes_m = [[-1.7, 14], [-1.7, 150]]", "nodes_deg = [[48.1, 11.5], [91.0, 11.5]]", "lane 11: nodes_deg[1]"),
        ("nodes_m = [[-1.7, 14], [-1.7, 150]]", "", "lane 11"),
        ("reference_deg = [48.137000, 11.575000]", "reference_deg = [148.1, 11.5]", "reference_deg"),
        ("lane_width_m = 3.25", "lane_width_m = 3.25\nlanewidth = 3", ""),
        ('turn = "left"', 'turn = "sideways"', "lane[0].connection[0].turn"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_file_and_key(tmp_path: Path, found: str, written: str, where: str) -> None:
    file = tmp_path / "map.toml"
    assert found in EXAMPLE.read_text()
    file.write_text(EXAMPLE.read_text().replace(found, written, 1))
    with pytest.raises(ConfigError) as refusal:
        load_map(file, GROUPS)
    assert refusal.value.path == (f"{file}: {where}" if where else str(file))


def test_a_map_that_names_groups_the_controller_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no signal group 1; the controller has 2"):
        load_map(EXAMPLE, frozenset({2}))
