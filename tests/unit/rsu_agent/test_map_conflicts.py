"""Which ways across a junction get into each other's, and what the map of one is refused for."""

from dataclasses import replace
from pathlib import Path

import pytest

import rsu_agent.junctions
from rsu_agent.composition import JunctionParts
from rsu_agent.map_conflicts import MAX_WAYS, check_guarded, conflicting_groups, meeting_of, ways_of
from rsu_agent.map_data import JunctionConnection, JunctionLane, JunctionMap, LaneDirection, LaneKind, Turn, load_map, mapem_of
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId, StationId
from shared.messages.mapem import AllowedManeuvers, decode_mapem, encode_mapem
from simulator.roads import RoadNetwork
from simulator.scenario import junction_map, signal_plan

JUNCTIONS = Path(rsu_agent.junctions.__file__).parent
CENTRE = GeoPoint(48.137, 11.575)
NORTH, EAST, SOUTH, WEST = (0, 1), (1, 0), (0, -1), (-1, 0)


def place(east_m: float, north_m: float) -> GeoPoint:
    return displaced(CENTRE, east_m, north_m)


def way(to_lane: int, group: int | None, turn: Turn = Turn.STRAIGHT, *, yields: bool = False) -> JunctionConnection:
    return JunctionConnection(to_lane=to_lane, signal_group=group, turn=turn, yields=yields)


def arm(number: int, towards: tuple[int, int], aside_m: float, *ways: JunctionConnection) -> JunctionLane:
    """A lane from 12 to 80 m out on one arm, `aside_m` to the right of who looks outward; it leads in where it has ways."""
    e, n = towards
    nodes = tuple(place(e * out + n * aside_m, n * out - e * aside_m) for out in (12.0, 80.0))
    direction = LaneDirection.INGRESS if ways else LaneDirection.EGRESS
    return JunctionLane(number=number, direction=direction, nodes=nodes, connections=ways)


def crossing(south: JunctionConnection, east: JunctionConnection, north: JunctionConnection) -> tuple[JunctionLane, ...]:
    """Three roads in (right-hand traffic) and three out."""
    return (
        arm(1, SOUTH, -2.0, south),
        arm(2, EAST, -2.0, east),
        arm(3, NORTH, -2.0, north),
        arm(11, NORTH, 2.0),
        arm(12, WEST, 2.0),
        arm(13, SOUTH, 2.0),
    )


def junction(*lanes: JunctionLane, groups: frozenset[int] = frozenset({1, 2, 3})) -> JunctionMap:
    return JunctionMap(
        origin="test.toml",
        name="test",
        intersection_id=IntersectionId(None, 7),
        revision=0,
        reference=CENTRE,
        lane_width_m=3.0,
        lanes=lanes,
        signal_groups=groups,
    )


THREE_GROUPS = crossing(way(11, 1), way(12, 2), way(13, 3))


def test_straight_ways_from_two_sides_cross_and_those_that_come_towards_each_other_do_not() -> None:
    south, east, north = ways_of(CENTRE, THREE_GROUPS)
    assert meeting_of(south, east) is not None
    assert meeting_of(east, north) is not None
    assert meeting_of(south, north) is None
    assert conflicting_groups(CENTRE, THREE_GROUPS) == {frozenset({1, 2}), frozenset({2, 3})}


def test_the_place_where_two_ways_cross_is_told() -> None:
    (south, east, _) = ways_of(CENTRE, THREE_GROUPS)
    found = meeting_of(south, east)
    assert found is not None
    assert found.at_m == pytest.approx((2.0, 2.0), abs=0.01)
    assert found.words == "lane 1 to 11 and lane 2 to 12 cross at (2.0, 2.0) m"


def test_two_ways_of_one_signal_group_that_cross_are_refused() -> None:
    with pytest.raises(ConfigError) as refusal:
        junction(*crossing(way(11, 1), way(12, 1), way(13, 3)))
    assert refusal.value.path == "test.toml: lane 1"
    assert "signal group 1 lets traffic into its own way: lane 1 to 11 and lane 2 to 12 cross at" in refusal.value.reason


def test_two_ways_of_one_signal_group_into_the_same_lane_are_refused() -> None:
    lanes = (arm(1, SOUTH, -2.0, way(12, 1, Turn.LEFT)), arm(2, EAST, -2.0, way(12, 1)), arm(12, WEST, 2.0))
    with pytest.raises(ConfigError, match="lane 1 to 12 and lane 2 to 12 run into the same lane"):
        junction(*lanes)


def test_a_left_turn_across_those_who_come_towards_it_needs_to_yield_or_a_group_of_its_own() -> None:
    together = crossing(way(12, 1, Turn.LEFT), way(11, 2, Turn.RIGHT), way(13, 1))
    with pytest.raises(ConfigError, match="lane 1 to 12 and lane 3 to 13 cross"):
        junction(*together)
    apart = crossing(way(12, 3, Turn.LEFT), way(11, 2, Turn.RIGHT), way(13, 1))
    assert junction(*apart).conflicting_groups() == {frozenset({1, 3})}


def test_a_way_that_yields_is_settled_permissive_and_said_so() -> None:
    lanes = crossing(way(12, 1, Turn.LEFT, yields=True), way(11, 2, Turn.RIGHT), way(13, 1))
    sound = junction(*lanes)
    assert sound.permissive_groups() == {1}
    assert sound.conflicting_groups() == frozenset()
    heard = decode_mapem(encode_mapem(mapem_of(sound, StationId(1), None))).intersections[0].lanes[0]
    assert heard.connects_to[0].maneuvers == (AllowedManeuvers.MANEUVER_LEFT_ALLOWED | AllowedManeuvers.YIELD_ALLWAYS_REQUIRED)


def test_a_crosswalk_is_in_conflict_with_the_ways_over_it() -> None:
    walk = JunctionLane(
        number=20,
        direction=LaneDirection.BOTH,
        kind=LaneKind.CROSSWALK,
        nodes=(place(-6, 15), place(6, 15)),
        connections=(way(20, 3),),
    )
    lanes = (arm(1, SOUTH, -2.0, way(11, 1)), arm(2, EAST, -2.0, way(12, 2)), arm(11, NORTH, 2.0), arm(12, WEST, 2.0), walk)
    assert junction(*lanes).conflicting_groups() == {frozenset({1, 2}), frozenset({1, 3})}


def test_a_plan_that_overlooks_a_conflict_of_the_map_is_refused() -> None:
    with pytest.raises(ConfigError) as refusal:
        check_guarded("test.toml", CENTRE, THREE_GROUPS, frozenset({frozenset({1, 2})}))
    assert refusal.value.path == "test.toml: lane 2"
    assert "under signal groups 2 and 3, which are not named as a conflict" in refusal.value.reason


def test_the_example_plan_names_the_conflicts_of_the_example_map() -> None:
    plan = load_plan(JUNCTIONS / "crossing.plan.toml")
    example = load_map(JUNCTIONS / "crossing.map.toml", plan.signal_groups)
    assert example.conflicting_groups() == plan.conflicting_pairs
    check_guarded(example.origin, example.reference, example.lanes, plan.conflicting_pairs)
    assert example.permissive_groups() == {1, 2}


def test_a_unit_whose_plan_overlooks_a_conflict_of_its_map_is_not_built() -> None:
    plan = load_plan(JUNCTIONS / "crossing.plan.toml")
    example = load_map(JUNCTIONS / "crossing.map.toml", plan.signal_groups)
    blind = replace(plan, conflicts=())
    with pytest.raises(ConfigError, match="under signal groups 1 and 2, which are not named as a conflict"):
        JunctionParts(controller=FixedTimeController(blind), rules=blind.guard_rules, lanes=example)


def test_the_example_map_without_yielding_left_turns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "map.toml"
    file.write_text((JUNCTIONS / "crossing.map.toml").read_text().replace("yields = true\n", ""))
    with pytest.raises(ConfigError, match="signal group 1 lets traffic into its own way"):
        load_map(file, frozenset({1, 2}))


def test_the_simulated_crossing_is_sound_and_its_plan_names_every_conflict() -> None:
    simulated = junction_map(RoadNetwork())
    conflicts = simulated.conflicting_groups()
    assert conflicts
    assert conflicts <= signal_plan().conflicting_pairs


def test_more_ways_than_have_numbers_are_refused_before_they_are_compared() -> None:
    exits = [arm(100 + index, NORTH, 2.0 + 3 * index) for index in range(16)]
    entries = [arm(1 + index, SOUTH, -2.0 - 3 * index, *(way(lane.number, None) for lane in exits)) for index in range(17)]
    with pytest.raises(ConfigError, match=f"272 connections in all, at most {MAX_WAYS}"):
        junction(*entries, *exits)


def test_a_lane_drawn_towards_the_junction_is_refused() -> None:
    lane = arm(1, SOUTH, -2.0, way(11, 1))
    turned = replace(lane, nodes=tuple(reversed(lane.nodes)))
    with pytest.raises(ConfigError, match="a lane begins at the junction and leads away from it") as refusal:
        junction(turned, *THREE_GROUPS[1:])
    assert refusal.value.path == "test.toml: lane 1: nodes"


@pytest.mark.parametrize(
    ("south", "sentence"),
    [
        (way(12, 1, Turn.RIGHT), "'right', but the lanes lead 90 degrees to the left"),
        (way(11, 1, Turn.LEFT), None),
        (way(12, 1, Turn.STRAIGHT), None),
    ],
)
def test_a_turn_to_the_wrong_side_is_refused(south: JunctionConnection, sentence: str | None) -> None:
    lanes = (arm(1, SOUTH, -2.0, south), arm(south.to_lane, NORTH if south.to_lane == 11 else WEST, 2.0))
    if sentence is None:
        assert junction(*lanes).lanes == lanes
        return
    with pytest.raises(ConfigError, match=sentence) as refusal:
        junction(*lanes)
    assert refusal.value.path == "test.toml: lane 1: connection[0]: turn"
