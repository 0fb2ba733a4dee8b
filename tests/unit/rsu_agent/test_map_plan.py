"""The plan of a junction is what its map message says, in metres."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

import rsu_agent.junctions
from rsu_agent.map_data import load_map, mapem_of
from rsu_agent.map_geometry import CURVE_STEPS, across, clipped, heading, meeting
from rsu_agent.map_plan import JunctionPlan, plan_document, plan_of, plan_of_map
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId, StationId
from shared.messages.mapem import ComputedLane, Connection, Intersection, Lane, LaneDirection, LaneNode, decode_mapem, encode_mapem
from tests.unit.messages import message_samples

EXAMPLE = load_map(Path(rsu_agent.junctions.__file__).parent / "crossing.map.toml", frozenset({1, 2}))
HEARD = decode_mapem(encode_mapem(mapem_of(EXAMPLE, StationId(7), None))).intersections[0]

IN = Lane(
    id=1,
    directional_use=LaneDirection.INGRESS_PATH,
    nodes=(LaneNode(dx_m=2.0, dy_m=-10.0), LaneNode(dx_m=0.0, dy_m=-50.0)),
    connects_to=(Connection(lane_id=2, signal_group=5),),
)
OUT = Lane(id=2, directional_use=LaneDirection.EGRESS_PATH, nodes=(LaneNode(dx_m=2.0, dy_m=10.0), LaneNode(dx_m=0.0, dy_m=50.0)))


HERE = GeoPoint(48.137, 11.575)


def plan(*lanes: Lane, reference: GeoPoint | None = HERE) -> JunctionPlan:
    lat_deg, lon_deg = (None, None) if reference is None else (reference.lat_deg, reference.lon_deg)
    intersection = Intersection(id=IntersectionId(None, 1), revision=9, lat_deg=lat_deg, lon_deg=lon_deg, lanes=lanes)
    return plan_of(intersection, reach_m=40.0)


def test_the_plan_drawn_from_what_is_heard_is_the_plan_drawn_from_the_file() -> None:
    ours = plan_of_map(EXAMPLE)
    assert plan_document(plan_of(HEARD)) == plan_document(ours)
    assert (len(ours.lanes), len(ours.connections), ours.signal_groups, ours.unplaced) == (12, 12, (1, 2), ())


def test_lanes_are_cut_at_the_reach_and_carry_their_stop_line() -> None:
    lane = next(lane for lane in plan_of(HEARD, reach_m=30.0).lanes if lane.number == 12)
    assert lane.centre_m[0] == pytest.approx((-5.0, 14.0), abs=0.01)
    assert lane.centre_m[-1] == pytest.approx((-5.0, 44.0), abs=0.01)
    assert lane.stop_line_m is not None
    assert sorted(point[0] for point in lane.stop_line_m) == pytest.approx([-6.625, -3.375], abs=0.01)
    assert [point[1] for point in lane.stop_line_m] == pytest.approx([14.0, 14.0], abs=0.01)
    assert (lane.kind, lane.direction, lane.approach) == ("vehicle", "ingress", 1)
    assert lane.width_m == pytest.approx(3.25)
    out = next(lane for lane in plan_of(HEARD).lanes if lane.number == 13)
    assert (out.stop_line_m, out.direction) == (None, "egress")


def test_ways_lead_from_stop_line_to_exit_under_their_group() -> None:
    left = next(way for way in plan_of(HEARD).connections if (way.from_lane, way.to_lane) == (11, 23))
    assert (left.signal_group, left.turn, left.yields, left.connection_id) == (1, "left", True, 1)
    assert left.path_m[0] == pytest.approx((-1.7, 14.0), abs=0.01)
    assert left.path_m[-1] == pytest.approx((14.0, -3.35), abs=0.01)
    assert len(left.path_m) == CURVE_STEPS + 1


def test_lights_stand_at_the_stop_line_and_face_who_comes() -> None:
    lights = {light.lane: light for light in plan_of(HEARD).signals}
    assert sorted(lights) == [11, 12, 21, 22, 31, 32, 41, 42]
    assert lights[12].at_m == pytest.approx((-5.0, 14.0), abs=0.01)
    assert lights[12].heading_deg == pytest.approx(180.0, abs=0.1)
    assert lights[12].signal_group == 1
    assert lights[12].turns == ("straight", "right")


def test_two_lights_of_one_lane_stand_side_by_side_the_left_turn_s_on_the_left() -> None:
    (light, other) = plan_of(replace(HEARD, lanes=(_with_two_groups(HEARD.lanes[1]), *HEARD.lanes[2:]))).signals[:2]
    assert (light.turns, other.turns) == (("straight",), ("right",))
    assert light.at_m[0] > -5.0 > other.at_m[0]  # southbound: left is east


def _with_two_groups(lane: Lane) -> Lane:
    first, second = lane.connects_to
    return replace(lane, connects_to=(replace(second, signal_group=9), replace(first, signal_group=8)))


def test_bounds_hold_every_lane_with_its_width() -> None:
    west, south, east, north = plan(IN, OUT).bounds_m
    assert (west, south, east, north) == pytest.approx((0.5, -51.5, 3.5, 51.5))


def test_nodes_that_are_places_and_lanes_that_follow_others_are_drawn() -> None:
    reference = GeoPoint(48.137, 11.575)
    far = displaced(reference, 2.0, 30.0)
    placed = replace(OUT, nodes=(OUT.nodes[0], LaneNode(lat_deg=far.lat_deg, lon_deg=far.lon_deg)))
    beside = replace(OUT, id=3, nodes=(), computed=ComputedLane(reference_lane_id=2, offset_x_m=3.0, offset_y_m=1.0))
    turned = replace(
        OUT, id=4, nodes=(), computed=ComputedLane(reference_lane_id=2, offset_x_m=0.0, offset_y_m=0.0, rotation_deg=90.0)
    )
    lanes = {lane.number: lane.centre_m for lane in plan(placed, beside, turned).lanes}
    assert lanes[2][1] == pytest.approx((2.0, 30.0), abs=0.01)
    assert lanes[3][0] == pytest.approx((5.0, 11.0))
    assert lanes[4][1] == pytest.approx((-18.0, 10.0), abs=0.01)


def test_a_lane_whose_place_is_not_said_is_named_and_not_drawn() -> None:
    nowhere = replace(OUT, id=2, nodes=(LaneNode(lat_deg=48.0, lon_deg=11.0), LaneNode(dx_m=1.0, dy_m=1.0)))
    follower = replace(OUT, id=3, nodes=(), computed=ComputedLane(reference_lane_id=99, offset_x_m=1.0, offset_y_m=1.0))
    point = replace(OUT, id=4, nodes=(LaneNode(dx_m=1.0, dy_m=1.0), LaneNode(dx_m=0.0, dy_m=0.0)))
    drawn = plan(IN, nowhere, follower, point, reference=None)
    assert ([lane.number for lane in drawn.lanes], drawn.unplaced, drawn.connections) == ([1], (2, 3, 4), ())
    assert drawn.reference is None
    empty = plan(point)
    assert (empty.lanes, empty.bounds_m) == ((), (0.0, 0.0, 0.0, 0.0))


def test_whatever_a_message_may_carry_can_be_drawn() -> None:
    for intersection in message_samples.TOPOLOGY.intersections:
        drawn = plan_of(intersection)
        assert len(drawn.lanes) + len(drawn.unplaced) == len(intersection.lanes)
        assert json.loads(json.dumps(plan_document(drawn)))["revision"] == intersection.revision


def test_a_curve_across_leaves_and_arrives_in_the_lanes_directions() -> None:
    curve = across(((0.0, -10.0), (0.0, -50.0)), ((10.0, 0.0), (50.0, 0.0)))
    middle = curve[CURVE_STEPS // 2]
    assert middle == pytest.approx((10 - 10 / 2**0.5, 10 / 2**0.5 - 10), abs=0.05)  # a quarter of a circle
    assert curve[1][0] < 0.2
    assert curve[-2][1] > -0.2


def test_lines_meet_where_they_cross_and_nowhere_else() -> None:
    level = ((0.0, 0.0), (10.0, 0.0))
    assert meeting(level, ((4.0, -1.0), (4.0, 1.0))) == pytest.approx((4.0, 0.0))
    assert meeting(level, ((4.0, 0.5), (4.0, 1.0))) is None
    assert meeting(level, ((2.0, 0.0), (6.0, 0.0))) is None
    assert meeting(level, ((11.0, -1.0), (11.0, 1.0))) is None


def test_a_line_is_cut_to_length_and_headings_count_from_north() -> None:
    assert clipped(((0.0, 0.0), (0.0, 3.0), (4.0, 3.0)), 5.0) == ((0.0, 0.0), (0.0, 3.0), (2.0, 3.0))
    assert clipped(((0.0, 0.0), (0.0, 3.0)), 50.0) == ((0.0, 0.0), (0.0, 3.0))
    assert [heading(way) for way in ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))] == pytest.approx([0, 90, 180, 270])
