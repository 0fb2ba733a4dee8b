"""What a lane says besides its lights: where they lead, how fast it may be driven, and which lane the way driven lately was on."""

import pytest
from msgspec.structs import replace

from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId, StationId
from shared.messages.mapem import (
    AllowedManeuvers,
    Connection,
    Intersection,
    Lane,
    LaneDirection,
    LaneNode,
    Mapem,
    SpeedLimit,
    SpeedLimitType,
    decode_mapem,
    encode_mapem,
)
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from tests.unit.vehicle_agent.test_signals_ahead import (
    BOTH,
    CENTRE,
    GREEN,
    RED,
    at,
    ego,
    event,
    heard,
    lane,
    lights,
    northbound_arm,
    only,
)
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.signals_ahead import CAR_LIMITS, PhaseAhead, SignalsAhead

LEFT, STRAIGHT, RIGHT, BACK = (
    AllowedManeuvers.MANEUVER_LEFT_ALLOWED,
    AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
    AllowedManeuvers.MANEUVER_RIGHT_ALLOWED,
    AllowedManeuvers.MANEUVER_U_TURN_ALLOWED,
)
WITHIN = ((0.0, -15.0), (0.0, -60.0), (0.0, -150.0))


def junction(*lanes: Lane, limits: tuple[SpeedLimit, ...] = ()) -> Mapem:
    mapem = northbound_arm()
    return replace(mapem, intersections=(replace(mapem.intersections[0], lanes=lanes, speed_limits=limits),))


def limited(kind: SpeedLimitType, kmh: float) -> SpeedLimit:
    return SpeedLimit(kind=kind, speed_mps=kmh / 3.6)


def node_limit(node: LaneNode, kind: SpeedLimitType, kmh: float) -> LaneNode:
    return replace(node, data=(("speedLimits", ({"type": int(kind), "speed": round(kmh / 3.6 * 50)},)),))


OUT = {
    2: ((15.0, 0.0), (100.0, 0.0), RIGHT),
    3: ((0.0, 15.0), (5.0, 100.0), STRAIGHT),
    4: ((-15.0, 0.0), (-100.0, 0.0), LEFT),
    5: ((-3.0, -15.0), (-3.0, -100.0), BACK),
}


def test_where_the_map_does_not_tell_the_lanes_themselves_say_where_a_light_leads() -> None:
    way_in = replace(
        lane(1, LaneDirection.INGRESS_PATH, WITHIN),
        connects_to=tuple(Connection(lane_id=number, signal_group=number) for number in OUT),
    )
    ways_out = (lane(number, LaneDirection.EGRESS_PATH, (near, far)) for number, (near, far, _) in OUT.items())
    red = event(RED, 20)
    signals = heard(junction(way_in, *ways_out), lights(*((number, (red,)) for number in OUT)))
    found = signals.ahead(at(0), ego(0, -75))
    assert {signal.signal_group: signal.turns for signal in found} == {number: turn for number, (_, _, turn) in OUT.items()}


def test_what_the_map_tells_counts_and_one_group_may_lead_several_ways() -> None:
    way_in = replace(
        lane(1, LaneDirection.INGRESS_PATH, WITHIN),
        connects_to=(
            Connection(lane_id=9, signal_group=1, maneuvers=STRAIGHT | AllowedManeuvers.CAUTION),
            Connection(lane_id=8, signal_group=1, maneuvers=RIGHT),
            Connection(lane_id=7, signal_group=2, maneuvers=LEFT),
            Connection(lane_id=6, signal_group=3),
        ),
    )
    signals = heard(junction(way_in), lights(*((group, (event(RED, 20),)) for group in (1, 2, 3))))
    assert [signal.turns for signal in signals.ahead(at(0), ego(0, -75))] == [STRAIGHT | RIGHT, LEFT, AllowedManeuvers(0)]


def test_the_limit_of_the_junction_holds_where_no_node_says_otherwise() -> None:
    way_in = lane(1, LaneDirection.INGRESS_PATH, WITHIN, 1)
    said = (
        limited(SpeedLimitType.VEHICLE_MAX_SPEED, 50),
        limited(SpeedLimitType.TRUCK_MAX_SPEED, 40),
        limited(SpeedLimitType.VEHICLE_NIGHT_MAX_SPEED, 30),
    )
    mapem = junction(way_in, limits=said)
    assert only(heard(mapem, BOTH).ahead(at(0), ego(0, -75))).speed_limit_mps == pytest.approx(50 / 3.6)
    trucks = SignalsAhead(limits=CAR_LIMITS | {SpeedLimitType.TRUCK_MAX_SPEED})
    trucks.hear_map(verified(mapem, at(0)), at(0))
    trucks.hear_signals(verified(BOTH, at(0)), at(0))
    assert only(trucks.ahead(at(0), ego(0, -75))).speed_limit_mps == pytest.approx(40 / 3.6)
    assert only(heard(junction(way_in), BOTH).ahead(at(0), ego(0, -75))).speed_limit_mps is None


@pytest.mark.parametrize(
    ("near_kmh", "far_kmh", "east_m", "expected_kmh"),
    [(30, 70, -50, 30), (30, 70, -100, 30), (50, 30, -50, 50), (50, 30, -100, 30)],
)
def test_on_the_way_to_the_line_the_lowest_limit_counts_as_it_stands_on_the_wire(
    near_kmh: float, far_kmh: float, east_m: float, expected_kmh: float
) -> None:
    way_in = lane(1, LaneDirection.INGRESS_PATH, WITHIN, 1)
    kind = SpeedLimitType.VEHICLE_MAX_SPEED
    nodes = (node_limit(way_in.nodes[0], kind, near_kmh), node_limit(way_in.nodes[1], kind, far_kmh), way_in.nodes[2])
    mapem = decode_mapem(encode_mapem(junction(replace(way_in, nodes=nodes))))
    signal = only(heard(mapem, BOTH).ahead(at(0), ego(0, east_m)))
    assert signal.speed_limit_mps == pytest.approx(expected_kmh / 3.6, abs=0.02)


@pytest.mark.parametrize(
    "tree",
    [None, "speedLimits", ("speedLimits", 5), ("speedLimits", ({"type": 5},)), ("speedLimits", ({"type": 5, "speed": 8191},))],
)
def test_a_limit_that_is_none_is_none(tree: object) -> None:
    way_in = lane(1, LaneDirection.INGRESS_PATH, WITHIN, 1)
    odd = replace(way_in, nodes=(replace(way_in.nodes[0], data=(tree,)), *way_in.nodes[1:]))
    assert only(heard(junction(odd), BOTH).ahead(at(0), ego(0, -75))).speed_limit_mps is None


def test_the_way_driven_lately_decides_between_lanes_that_both_fit() -> None:
    signals = heard(northbound_arm(), BOTH)
    between = ego(3.1, -75)
    assert only(signals.ahead(at(0), between)).lane == 2
    left_all_the_way = [displaced(CENTRE, 1.5, -75 - 5 * n) for n in range(1, 20)]
    assert only(signals.ahead(at(0), between, left_all_the_way)).lane == 1
    from_elsewhere = [displaced(CENTRE, 1.5, -900 - n) for n in range(5)]
    assert only(signals.ahead(at(0), between, from_elsewhere)).lane == 2


def test_a_vehicle_that_changes_lanes_is_on_the_new_one_soon() -> None:
    path: list[GeoPoint] = []
    signals, lanes = heard(northbound_arm(), BOTH), []
    for step in range(20):
        north_m, east_m = -140 + 5.0 * step, 1.5 + min(3.0, max(0.0, (step - 5) * 1.0))
        lanes.append(only(signals.ahead(at(0), ego(east_m, north_m), path)).lane)
        path.insert(0, displaced(CENTRE, east_m, north_m))
    assert lanes == [1] * 8 + [2] * 12


def test_every_announced_phase_is_told_with_its_times() -> None:
    announced = (event(GREEN, 10, max_end_s=12, likely_s=11), event(RED, 40, start_s=15, likely_s=41))
    signal = only(heard(northbound_arm(), lights((1, announced))).ahead(at(1), ego(4.5, -75)))
    assert signal.phases == (
        PhaseAhead(phase=GREEN, earliest_end_s=9.0, likely_end_s=10.0, latest_end_s=11.0),
        PhaseAhead(phase=RED, starts_in_s=14.0, earliest_end_s=39.0, likely_end_s=40.0),
    )


@pytest.mark.parametrize(
    ("status", "is_dependable"),
    [
        (IntersectionStatus.FIXED_TIME_OPERATION, True),
        (IntersectionStatus.TRAFFIC_DEPENDENT_OPERATION | IntersectionStatus.SIGNAL_PRIORITY_IS_ACTIVE, True),
        (IntersectionStatus.MANUAL_CONTROL_IS_ENABLED, False),
        (IntersectionStatus.PREEMPT_IS_ACTIVE, False),
        (IntersectionStatus.FAILURE_FLASH, False),
    ],
)
def test_times_count_only_while_the_controller_runs_by_itself(status: IntersectionStatus, *, is_dependable: bool) -> None:
    spatem = replace(BOTH, intersections=(replace(BOTH.intersections[0], status=status),))
    signal = only(heard(northbound_arm(), spatem).ahead(at(0), ego(4.5, -75)))
    assert (signal.phase, signal.is_dependable) == (RED, is_dependable)


@pytest.mark.parametrize(("other_end_s", "is_dependable"), [(20, True), (21.5, True), (25, False), (None, False)])
def test_where_two_tickets_show_one_colour_and_different_times_the_times_do_not_count(
    other_end_s: float | None, *, is_dependable: bool
) -> None:
    signals = heard(northbound_arm(), BOTH)
    signals.hear_map(verified(northbound_arm(), at(0), signer=2), at(0))
    end = event(RED) if other_end_s is None else event(RED, other_end_s, max_end_s=other_end_s, likely_s=other_end_s)
    same = lights((1, (end,)), (2, (event(GREEN, 10, max_end_s=10, likely_s=10),)))
    signals.hear_signals(verified(same, at(0), signer=2), at(0))
    signal = only(signals.ahead(at(0), ego(4.5, -75)))
    assert (signal.phase, signal.is_dependable) == (RED, is_dependable)


def test_a_map_at_the_pole_or_the_antimeridian_matches_nobody_here_and_breaks_nothing() -> None:
    signals = heard(northbound_arm(), BOTH)
    for number, place in enumerate((GeoPoint(90.0, 0.0), GeoPoint(-90.0, 180.0), GeoPoint(0.0, 180.0), GeoPoint(0.0, -180.0))):
        odd = replace(northbound_arm().intersections[0], id=IntersectionId(1, number), lat_deg=place.lat_deg, lon_deg=place.lon_deg)
        signals.hear_map(verified(Mapem(station_id=StationId(1), revision=0, intersections=(odd,)), at(0)), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).phase is MovementPhaseState.STOP_AND_REMAIN


def test_a_junction_of_the_simplest_form_needs_no_limits_and_no_turns() -> None:
    bare = Intersection(
        id=IntersectionId(None, 0), revision=0, lat_deg=0.0, lon_deg=0.0, lanes=(lane(1, LaneDirection.INGRESS_PATH, WITHIN, 1),)
    )
    signals = SignalsAhead()
    signals.hear_map(verified(Mapem(station_id=StationId(1), revision=0, intersections=(bare,)), at(0)), at(0))
    assert len(signals) == 1
