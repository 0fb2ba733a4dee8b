from math import cos, inf, radians, sin

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError, VerificationError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId, StationId
from shared.core.itstime import utc_from_text
from shared.core.report import VerificationReport
from shared.messages.mapem import (
    ComputedLane,
    Connection,
    Intersection,
    Lane,
    LaneDirection,
    LaneNode,
    LaneType,
    Mapem,
)
from shared.messages.spatem import (
    IntersectionState,
    IntersectionStatus,
    MovementEvent,
    MovementPhaseState,
    MovementState,
    Spatem,
)
from shared.messages.time_mark import minute_of_year, ms_of_minute, second_of_hour
from shared.stack.station import EgoPosition
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.signals_ahead import (
    MAPEM_LIFETIME_NS,
    MAX_JUNCTIONS_PER_TICKET,
    SPATEM_LIFETIME_NS,
    SignalAhead,
    SignalsAhead,
)

NOON = utc_from_text("2026-11-22T12:00:00Z")
CENTRE = GeoPoint(48.137, 11.575)
JUNCTION = IntersectionId(49, 1)

RED = MovementPhaseState.STOP_AND_REMAIN
RED_AMBER = MovementPhaseState.PRE_MOVEMENT
GREEN = MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED
AMBER = MovementPhaseState.PROTECTED_CLEARANCE

LEFT_LANE, RIGHT_LANE, LANE_OUT = 1, 2, 3


def instant(utc: UtcNs) -> Instant:
    return Instant(MonotonicNs(utc - NOON + 5_000 * NS_PER_S), utc)


def at(seconds: float) -> Instant:
    return instant(UtcNs(NOON + round(seconds * NS_PER_S)))


def lane(number: int, direction: LaneDirection, nodes_m: tuple[tuple[float, float], ...], *signal_groups: int) -> Lane:
    nodes, before = [], (0.0, 0.0)
    for east_m, north_m in nodes_m:
        nodes.append(LaneNode(dx_m=round(east_m - before[0], 2), dy_m=round(north_m - before[1], 2)))
        before = east_m, north_m
    return Lane(
        id=number,
        directional_use=direction,
        nodes=tuple(nodes),
        connects_to=tuple(Connection(lane_id=9, signal_group=group) for group in signal_groups),
    )


def northbound_arm(turned_deg: float = 0.0, *, revision: int = 4) -> Mapem:
    """The southern arm of a crossing, traffic heading north: a left and a right lane in, one out; then turned about the centre."""

    def turned(east_m: float, north_m: float) -> tuple[float, float]:
        angle = radians(turned_deg)
        return round(east_m * cos(angle) + north_m * sin(angle), 2), round(north_m * cos(angle) - east_m * sin(angle), 2)

    return Mapem(
        station_id=StationId(42),
        revision=0,
        intersections=(
            Intersection(
                id=JUNCTION,
                revision=revision,
                lat_deg=CENTRE.lat_deg,
                lon_deg=CENTRE.lon_deg,
                lane_width_m=3.0,
                lanes=(
                    lane(LEFT_LANE, LaneDirection.INGRESS_PATH, (turned(1.5, -15), turned(1.5, -60), turned(1.5, -150)), 2),
                    lane(RIGHT_LANE, LaneDirection.INGRESS_PATH, (turned(4.5, -15), turned(4.5, -60), turned(4.5, -150)), 1),
                    lane(LANE_OUT, LaneDirection.EGRESS_PATH, (turned(-1.5, -15), turned(-1.5, -150))),
                ),
            ),
        ),
    )


def event(
    phase: MovementPhaseState,
    min_end_s: float | None = None,
    *,
    start_s: float | None = None,
    max_end_s: float | None = None,
    likely_s: float | None = None,
) -> MovementEvent:
    """An event whose times are seconds after noon, as time marks."""

    def mark(seconds: float | None) -> float | None:
        return seconds if seconds is None or seconds == inf else second_of_hour(UtcNs(NOON + round(seconds * NS_PER_S)))

    return MovementEvent(
        phase=phase,
        start_time_s=mark(start_s),
        min_end_time_s=mark(min_end_s),
        max_end_time_s=mark(max_end_s),
        likely_time_s=mark(likely_s),
    )


def lights(*groups: tuple[int, tuple[MovementEvent, ...]], now: Instant | None = None, revision: int = 4) -> Spatem:
    dated = (now or at(0)).require_utc()
    return Spatem(
        station_id=StationId(42),
        intersections=(
            IntersectionState(
                id=JUNCTION,
                revision=revision,
                status=IntersectionStatus.FIXED_TIME_OPERATION,
                movements=tuple(MovementState(signal_group=group, events=events) for group, events in groups),
                minute_of_year=minute_of_year(dated),
                timestamp_ms=ms_of_minute(dated),
            ),
        ),
    )


BOTH = lights((1, (event(RED, 20, max_end_s=20, likely_s=20),)), (2, (event(GREEN, 10, max_end_s=10, likely_s=10),)))


def ego(east_m: float, north_m: float, heading_deg: float | None = 0.0) -> EgoPosition:
    return EgoPosition(point=displaced(CENTRE, east_m, north_m), taken_at=NOON, speed_mps=10.0, heading_deg=heading_deg)


def heard(mapem: Mapem, spatem: Spatem, now: Instant | None = None) -> SignalsAhead:
    signals = SignalsAhead()
    signals.hear_map(verified(mapem, now or at(0)), now or at(0))
    signals.hear_signals(verified(spatem, now or at(0)), now or at(0))
    return signals


def only(found: tuple[SignalAhead, ...]) -> SignalAhead:
    (signal,) = found
    return signal


def test_a_vehicle_on_a_lane_gets_that_lanes_light_and_the_way_to_its_stop_line() -> None:
    signal = only(heard(northbound_arm(), BOTH).ahead(at(1.5), ego(4.5, -75)))
    assert (signal.intersection, signal.lane, signal.signal_group, signal.phase) == (JUNCTION, RIGHT_LANE, 1, RED)
    assert signal.distance_to_stop_m == pytest.approx(60, abs=0.1)
    assert signal.time_to_change_s == pytest.approx(18.5)
    assert signal.time_to_green_s == pytest.approx(18.5)


def test_the_neighbouring_lane_gets_its_own_light() -> None:
    signal = only(heard(northbound_arm(), BOTH).ahead(at(1.5), ego(1.5, -75)))
    assert (signal.lane, signal.signal_group, signal.phase) == (LEFT_LANE, 2, GREEN)
    assert signal.time_to_green_s == 0.0


@pytest.mark.parametrize(("east_m", "expected"), [(2.9, LEFT_LANE), (3.1, RIGHT_LANE), (6.9, RIGHT_LANE), (-0.9, LEFT_LANE)])
def test_between_two_lanes_the_nearer_one_counts(east_m: float, expected: int) -> None:
    assert only(heard(northbound_arm(), BOTH).ahead(at(0), ego(east_m, -75))).lane == expected


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (ego(7.1, -75), "beside the road"),
        (ego(-1.5, -75, heading_deg=180.0), "on the lane out"),
        (ego(4.5, -75, heading_deg=180.0), "against the lane's direction"),
        (ego(4.5, -75, heading_deg=90.0), "across the lane"),
        (ego(4.5, -75, heading_deg=None), "without a heading"),
        (ego(4.5, -14), "past the stop line"),
        (ego(4.5, -151), "before the lane begins"),
    ],
)
def test_a_vehicle_that_is_not_on_an_ingress_lane_gets_nothing(place: EgoPosition, why: str) -> None:
    assert heard(northbound_arm(), BOTH).ahead(at(0), place) == (), why


@pytest.mark.parametrize("turned_deg", [0.0, 45.0, 90.0, 179.0, 270.0, 359.0])
@pytest.mark.parametrize("heading_error_deg", [-40.0, 0.0, 40.0])
def test_lanes_match_in_every_direction_also_across_north(turned_deg: float, heading_error_deg: float) -> None:
    angle = radians(turned_deg)
    east_m, north_m = 4.5 * cos(angle) - 75 * sin(angle), -75 * cos(angle) - 4.5 * sin(angle)
    place = ego(east_m, north_m, heading_deg=(turned_deg + heading_error_deg) % 360.0)
    signal = only(heard(northbound_arm(turned_deg), BOTH).ahead(at(0), place))
    assert signal.lane == RIGHT_LANE
    assert signal.distance_to_stop_m == pytest.approx(60, abs=0.2)


def test_around_a_bend_the_distance_follows_the_lane() -> None:
    bent = lane(RIGHT_LANE, LaneDirection.INGRESS_PATH, ((4.5, -15), (4.5, -65), (-95.5, -65)), 1)
    mapem = northbound_arm()
    mapem = replace(mapem, intersections=(replace(mapem.intersections[0], lanes=(bent,)),))
    signals = heard(mapem, BOTH)
    assert only(signals.ahead(at(0), ego(-45.5, -65, heading_deg=90.0))).distance_to_stop_m == pytest.approx(100, abs=0.2)
    assert only(signals.ahead(at(0), ego(5.0, -65.5, heading_deg=45.0))).distance_to_stop_m == pytest.approx(50, abs=0.6)


def test_a_junction_beyond_reach_is_not_spoken_of_although_its_lane_leads_there() -> None:
    long = lane(RIGHT_LANE, LaneDirection.INGRESS_PATH, ((4.5, -15), (4.5, -315), (4.5, -615)), 1)
    mapem = northbound_arm()
    signals = heard(replace(mapem, intersections=(replace(mapem.intersections[0], lanes=(long,)),)), BOTH)
    assert signals.ahead(at(0), ego(4.5, -414))
    assert signals.ahead(at(0), ego(4.5, -416)) == ()


def test_a_lane_with_two_signal_groups_gives_both_in_order() -> None:
    mapem = northbound_arm()
    shared = lane(RIGHT_LANE, LaneDirection.INGRESS_PATH, ((4.5, -15), (4.5, -150)), 2, 1, 2)
    mapem = replace(mapem, intersections=(replace(mapem.intersections[0], lanes=(shared,)),))
    assert [s.signal_group for s in heard(mapem, BOTH).ahead(at(0), ego(4.5, -75))] == [1, 2]


def test_a_lane_of_its_own_width_and_absolute_nodes_is_matched() -> None:
    first, last = displaced(CENTRE, 20, -15), displaced(CENTRE, 20, -150)
    wide = Lane(
        id=7,
        directional_use=LaneDirection.INGRESS_PATH,
        nodes=(
            LaneNode(lat_deg=first.lat_deg, lon_deg=first.lon_deg, width_change_m=4.0),
            LaneNode(lat_deg=last.lat_deg, lon_deg=last.lon_deg),
        ),
        connects_to=(Connection(lane_id=9, signal_group=1),),
    )
    mapem = northbound_arm()
    mapem = replace(mapem, intersections=(replace(mapem.intersections[0], lanes=(wide,)),))
    assert only(heard(mapem, BOTH).ahead(at(0), ego(24.3, -75))).lane == 7


def test_a_computed_lane_runs_beside_its_reference_and_a_rotated_one_is_left_out() -> None:
    computed = ComputedLane(reference_lane_id=RIGHT_LANE, offset_x_m=3.0, offset_y_m=0.0)
    beside = Lane(
        id=8,
        directional_use=LaneDirection.INGRESS_PATH,
        computed=computed,
        connects_to=(Connection(lane_id=9, signal_group=1),),
    )
    for changed, expected in ((computed, 8), (replace(computed, rotation_deg=5.0), RIGHT_LANE)):
        mapem = northbound_arm()
        lanes = (*mapem.intersections[0].lanes, replace(beside, computed=changed))
        mapem = replace(mapem, intersections=(replace(mapem.intersections[0], lanes=lanes),))
        assert only(heard(mapem, BOTH).ahead(at(0), ego(6.9, -75))).lane == expected


@pytest.mark.parametrize("change", [{"lane_type": LaneType.CROSSWALK}, {"connects_to": ()}, {"nodes": (LaneNode(), LaneNode())}])
def test_lanes_without_lights_without_geometry_or_not_for_vehicles_are_left_out(change: dict[str, object]) -> None:
    mapem = northbound_arm()
    lanes = tuple(replace(one, **change) for one in mapem.intersections[0].lanes)
    mapem = replace(mapem, intersections=(replace(mapem.intersections[0], lanes=lanes),))
    assert heard(mapem, BOTH).ahead(at(0), ego(4.5, -75)) == ()


def test_map_and_lights_of_different_revisions_do_not_belong_together() -> None:
    signals = heard(northbound_arm(revision=5), BOTH)
    assert signals.ahead(at(0), ego(4.5, -75)) == ()
    signals.hear_map(verified(northbound_arm(revision=4), at(0)), at(0))
    assert signals.ahead(at(0), ego(4.5, -75))


def test_lights_without_a_map_and_a_map_without_lights_say_nothing() -> None:
    signals = SignalsAhead()
    signals.hear_signals(verified(BOTH, at(0)), at(0))
    assert signals.ahead(at(0), ego(4.5, -75)) == ()
    signals = SignalsAhead()
    signals.hear_map(verified(northbound_arm(), at(0)), at(0))
    assert signals.ahead(at(0), ego(4.5, -75)) == ()


def test_old_lights_and_old_maps_are_forgotten_and_not_before() -> None:
    signals = heard(northbound_arm(), BOTH)
    assert signals.ahead(at(SPATEM_LIFETIME_NS / NS_PER_S), ego(4.5, -75))
    assert signals.ahead(at(SPATEM_LIFETIME_NS / NS_PER_S + 0.1), ego(4.5, -75)) == ()
    late = at(MAPEM_LIFETIME_NS / NS_PER_S + 0.1)
    signals.hear_signals(verified(lights((1, (event(RED, 500),)), now=late), late), late)
    assert signals.ahead(late, ego(4.5, -75)) == ()


@pytest.mark.parametrize("off_s", [-61.0, -3.0, 3.0, 61.0, 3_600.0, 86_400.0])
def test_lights_dated_otherwise_than_now_are_refused_however_fresh_their_signature(off_s: float) -> None:
    signals = heard(northbound_arm(), BOTH)
    stale = lights((1, (event(GREEN, 90),)), now=at(off_s))
    with pytest.raises(VerificationError) as refusal:
        signals.hear_signals(verified(stale, at(0)), at(0))
    assert refusal.value.report is VerificationReport.INVALID_TIMESTAMP
    assert only(signals.ahead(at(0), ego(4.5, -75))).phase is RED


def test_lights_dated_at_the_last_moment_of_the_year_are_fresh_at_the_first_of_the_next() -> None:
    new_year = instant(utc_from_text("2027-01-01T00:00:00.100Z"))
    before = instant(utc_from_text("2026-12-31T23:59:59.900Z"))
    SignalsAhead().hear_signals(verified(lights((1, (event(RED),)), now=before), new_year), new_year)


@pytest.mark.parametrize(
    "status",
    [
        IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME,
        IntersectionStatus.FAILURE_MODE | IntersectionStatus.FIXED_TIME_OPERATION,
        IntersectionStatus.OFF,
    ],
)
def test_lights_that_say_they_are_not_valid_are_not_shown(status: IntersectionStatus) -> None:
    spatem = replace(BOTH, intersections=(replace(BOTH.intersections[0], status=status),))
    assert heard(northbound_arm(), spatem).ahead(at(0), ego(4.5, -75)) == ()


def test_a_group_that_is_unavailable_is_not_shown() -> None:
    assert heard(northbound_arm(), lights((1, (event(MovementPhaseState.UNAVAILABLE),)))).ahead(at(0), ego(4.5, -75)) == ()


def test_time_marks_wrap_at_the_hour() -> None:
    now = instant(utc_from_text("2026-11-22T12:59:55Z"))
    seconds = 3_595.0
    spatem = lights((1, (event(RED, seconds + 10, max_end_s=seconds + 20, likely_s=seconds + 15),)), now=now)
    assert spatem.intersections[0].movements[0].events[0].min_end_time_s == 5.0
    signal = only(heard(northbound_arm(), spatem, now).ahead(now, ego(4.5, -75)))
    assert (signal.earliest_change_s, signal.time_to_change_s, signal.latest_change_s) == pytest.approx((10, 15, 20))


def test_a_mark_just_gone_by_is_now_and_not_in_an_hour() -> None:
    signal = only(heard(northbound_arm(), lights((1, (event(RED, -0.3),)))).ahead(at(0), ego(4.5, -75)))
    assert signal.earliest_change_s == 0.0


@pytest.mark.parametrize(
    ("events", "to_change_s", "to_green_s"),
    [
        ((event(RED, 20, likely_s=30),), 30, 30),
        ((event(RED, 20, max_end_s=40),), 20, 20),
        ((event(RED),), None, None),
        ((event(RED, inf),), None, None),
        ((event(GREEN, 20),), 20, 0),
        ((event(MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, 20),), 20, 0),
        ((event(AMBER, 3),), 3, None),
        ((event(RED_AMBER, 1),), 1, 1),
        ((event(AMBER, 3), event(RED, 30, start_s=3), event(RED_AMBER, 31, start_s=30), event(GREEN, 50, start_s=31)), 3, 31),
        ((event(AMBER, 3), event(RED, 30), event(GREEN, 50)), 3, 30),
        ((event(RED, 30), event(RED_AMBER, 31)), 30, None),
        ((event(MovementPhaseState.DARK, 30),), 30, None),
    ],
)
def test_time_to_change_and_time_to_green_follow_what_is_announced(
    events: tuple[MovementEvent, ...], to_change_s: float | None, to_green_s: float | None
) -> None:
    signal = only(heard(northbound_arm(), lights((1, events))).ahead(at(0), ego(4.5, -75)))
    assert signal.time_to_change_s == (None if to_change_s is None else pytest.approx(to_change_s))
    assert signal.time_to_green_s == (None if to_green_s is None else pytest.approx(to_green_s))


def test_of_two_junctions_in_a_row_the_nearer_one_is_told() -> None:
    signals = heard(northbound_arm(), BOTH)
    further = northbound_arm()
    moved = displaced(CENTRE, 0, 70)
    other = IntersectionId(49, 2)
    geometry = replace(further.intersections[0], id=other, lat_deg=moved.lat_deg, lon_deg=moved.lon_deg)
    signals.hear_map(verified(replace(further, intersections=(geometry,)), at(0)), at(0))
    state = replace(BOTH.intersections[0], id=other)
    signals.hear_signals(verified(replace(BOTH, intersections=(state,)), at(0)), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).intersection == JUNCTION
    assert only(signals.ahead(at(0), ego(4.5, -10))).intersection == other


def test_the_driver_is_told_at_a_change_and_otherwise_once_a_second() -> None:
    signals = heard(northbound_arm(), BOTH)
    told = []
    for tenth in range(25):
        now = at(tenth / 10)
        phase = RED if tenth < 14 else RED_AMBER
        signals.hear_signals(verified(lights((1, (event(phase, 20),)), now=now), now), now)
        told += [(tenth, signal.phase) for signal in signals.poll(now, ego(4.5, -75))]
    assert told == [(0, RED), (10, RED), (14, RED_AMBER), (24, RED_AMBER)]


def test_without_utc_no_remaining_time_can_be_given() -> None:
    signals = heard(northbound_arm(), BOTH)
    with pytest.raises(UntrustedTimeError):
        signals.ahead(Instant(at(0).monotonic, None), ego(4.5, -75))


def test_more_junctions_than_there_is_room_for_leave_the_latest() -> None:
    signals = SignalsAhead(capacity=3)
    for number in range(20):
        mapem = northbound_arm()
        geometry = replace(mapem.intersections[0], id=IntersectionId(49, number))
        signals.hear_map(verified(replace(mapem, intersections=(geometry,)), at(0)), at(0))
        state = replace(BOTH.intersections[0], id=IntersectionId(49, number))
        signals.hear_signals(verified(replace(BOTH, intersections=(state,)), at(0)), at(0))
    assert len(signals) == 3
    assert only(signals.ahead(at(0), ego(4.5, -75))).intersection.number in {17, 18, 19}


def test_a_junction_without_a_reference_point_replaces_nothing() -> None:
    signals = heard(northbound_arm(), BOTH)
    broken = replace(northbound_arm().intersections[0], lat_deg=None)
    signals.hear_map(verified(replace(northbound_arm(), intersections=(broken,)), at(0)), at(0))
    assert signals.ahead(at(0), ego(4.5, -75))


def test_lights_of_another_ticket_do_not_go_with_a_map() -> None:
    signals = SignalsAhead()
    signals.hear_map(verified(northbound_arm(), at(0)), at(0))
    signals.hear_signals(verified(lights((1, (event(GREEN, 20),))), at(0), signer=2), at(0))
    assert signals.ahead(at(0), ego(4.5, -75)) == ()


def test_a_second_ticket_that_shows_other_lights_for_a_junction_silences_it_and_does_not_take_it_over() -> None:
    signals = heard(northbound_arm(), BOTH)
    signals.hear_map(verified(northbound_arm(), at(0), signer=2), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).phase is RED
    signals.hear_signals(verified(lights((1, (event(GREEN, 20),))), at(0), signer=2), at(0))
    assert signals.ahead(at(0), ego(4.5, -75)) == ()
    signals.hear_signals(verified(BOTH, at(0), signer=2), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).phase is RED


def test_a_ticket_that_speaks_of_too_many_junctions_displaces_its_own() -> None:
    signals = heard(northbound_arm(), BOTH)
    for number in range(4 * MAX_JUNCTIONS_PER_TICKET):
        elsewhere = replace(northbound_arm().intersections[0], id=IntersectionId(49, 100 + number), lat_deg=10.0)
        signals.hear_map(verified(replace(northbound_arm(), intersections=(elsewhere,)), at(0), signer=2), at(0))
        state = replace(BOTH.intersections[0], id=IntersectionId(49, 100 + number))
        signals.hear_signals(verified(replace(BOTH, intersections=(state,)), at(0), signer=2), at(0))
    assert len(signals) == 1 + MAX_JUNCTIONS_PER_TICKET
    assert only(signals.ahead(at(0), ego(4.5, -75))).intersection == JUNCTION


def test_a_nearer_junction_that_shows_no_lights_hides_none() -> None:
    signals = heard(northbound_arm(), BOTH)
    nearer = replace(northbound_arm().intersections[0], id=IntersectionId(49, 99), lat_deg=CENTRE.lat_deg - 0.0003)
    signals.hear_map(verified(replace(northbound_arm(), intersections=(nearer,)), at(0), signer=2), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).intersection == JUNCTION
    state = replace(BOTH.intersections[0], id=IntersectionId(49, 99))
    signals.hear_signals(verified(replace(BOTH, intersections=(state,)), at(0), signer=2), at(0))
    assert only(signals.ahead(at(0), ego(4.5, -75))).intersection == IntersectionId(49, 99)
