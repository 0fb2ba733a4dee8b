import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.core.geo import displaced
from shared.facilities.relevance import Ahead, is_moving, relevance
from shared.messages.cdd import PathPoint
from shared.messages.denm import Denm, EventPoint, RelevanceTrafficDirection
from shared.network.area import Area, Circle
from shared.stack.station import EgoPosition
from tests.unit.facilities.event_scenes import BEFORE, ROADWORKS, SITE, ego, trace


def ahead(denm: Denm, place: EgoPosition, area: Area | None = None) -> Ahead | None:
    return relevance(denm, SITE, area, place)


def distances(denm: Denm, *places: EgoPosition, area: Area | None = None) -> list[float | None]:
    found = [ahead(denm, place, area) for place in places]
    return [None if each is None else round(each.distance_m) for each in found]


def back_along(*points_m: tuple[float, float]) -> tuple[EventPoint, ...]:
    return tuple(EventPoint(delta_lat_deg=step.delta_lat_deg, delta_lon_deg=step.delta_lon_deg) for step in trace(*points_m))


def test_a_standing_vehicle_has_a_hazard_ahead_but_no_time_to_reach_it() -> None:
    found = ahead(ROADWORKS, ego(-100, 0, speed_mps=0.0))
    assert found is not None
    assert found.time_to_reach_s is None


def test_what_is_behind_beside_or_beyond_its_relevance_distance_is_not_ahead() -> None:
    behind, beside, far = ego(100, 0), ego(0, 100), ego(-501, 0)
    assert distances(ROADWORKS, BEFORE, behind, beside, far, ego(-499, 0)) == [100, None, None, None, 499]


def test_a_vehicle_without_a_heading_is_told_of_nothing_ahead() -> None:
    assert ahead(ROADWORKS, ego(-100, 0, heading_deg=None)) is None


@pytest.mark.parametrize(
    ("heading_deg", "is_ahead"), [(355.0, True), (0.0, True), (359.999, True), (29.0, True), (31.0, False), (180.0, False)]
)
def test_the_cone_ahead_works_across_north(heading_deg: float, *, is_ahead: bool) -> None:
    assert (ahead(ROADWORKS, ego(0, -100, heading_deg=heading_deg)) is not None) is is_ahead


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (None, [100, None]),
        (RelevanceTrafficDirection.UPSTREAM_TRAFFIC, [100, None]),
        (RelevanceTrafficDirection.OPPOSITE_TRAFFIC, [None, 100]),
        (RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS, [100, 100]),
        (RelevanceTrafficDirection.DOWNSTREAM_TRAFFIC, [None, None]),
    ],
)
def test_the_other_carriageway_is_told_only_when_it_is_meant(
    direction: RelevanceTrafficDirection | None, expected: list[float | None]
) -> None:
    eastbound = replace(ROADWORKS, event_heading_deg=90.0, relevance_traffic_direction=direction)
    assert distances(eastbound, BEFORE, ego(100, 0, heading_deg=270.0)) == expected


def test_headings_of_event_and_vehicle_are_compared_across_north() -> None:
    northbound = replace(ROADWORKS, event_heading_deg=350.0)
    assert distances(northbound, ego(0, -100, heading_deg=10.0)) == [100]


def test_on_a_trace_the_distance_follows_the_road_around_the_bend() -> None:
    bend = replace(ROADWORKS, traces=(trace((-100, 0), (-100, -100)),))
    around_the_corner = ego(-100, -50, heading_deg=0.0)
    assert distances(bend, around_the_corner) == [150]


def test_beside_every_trace_the_hazard_is_another_roads() -> None:
    traced = replace(ROADWORKS, traces=(trace((-300, 0)),))
    assert distances(traced, ego(-100, 0), ego(-100, 30), ego(-100, 0, heading_deg=270.0)) == [100, None, None]


def test_one_of_several_traces_is_enough() -> None:
    traced = replace(ROADWORKS, traces=(trace((-300, 0)), trace((0, -300))))
    assert distances(traced, ego(0, -200, heading_deg=0.0)) == [200]


def test_beyond_the_end_of_the_traces_the_cone_decides() -> None:
    traced = replace(ROADWORKS, traces=(trace((-50, 0)),))
    assert distances(traced, ego(-200, 0), ego(200, 0, heading_deg=90.0)) == [200, None]


def test_from_beyond_the_traces_nobody_is_told_of_what_will_turn_out_to_be_on_another_road() -> None:
    traced = replace(ROADWORKS, traces=(trace((-150, 0)),), event_heading_deg=90.0)
    traced = replace(traced, relevance_traffic_direction=RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS)
    ours, oncoming, crossing = ego(-400, 0), ego(400, 0, heading_deg=270.0), ego(0, -400, heading_deg=0.0)
    parallel, on_the_ramp = ego(-250, 60), ego(-300, -30, heading_deg=70.0)
    assert distances(traced, ours, oncoming, crossing, parallel, on_the_ramp) == [400, None, None, None, 303]


def test_around_a_bend_the_trace_tells_the_direction_and_not_the_heading_of_the_event() -> None:
    bend = replace(ROADWORKS, traces=(trace((-100, 0), (-100, -100)),), event_heading_deg=90.0)
    bend = replace(bend, relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC)
    assert distances(bend, ego(-100, -50, heading_deg=0.0), ego(-100, -200, heading_deg=0.0)) == [150, 300]
    opposite = replace(bend, relevance_traffic_direction=RelevanceTrafficDirection.OPPOSITE_TRAFFIC)
    assert distances(opposite, ego(-100, -50, heading_deg=0.0)) == [None]


def test_beyond_a_trace_around_a_bend_the_way_to_its_far_end_counts() -> None:
    bend = replace(ROADWORKS, traces=(trace((-100, 0), (-100, -100)),))
    onto_it, past_its_end = ego(-100, -300, heading_deg=0.0), ego(-300, -100, heading_deg=45.0)
    assert distances(bend, onto_it, past_its_end) == [400, None]


def test_on_the_outside_of_a_bend_a_vehicle_is_still_on_the_road() -> None:
    bend = replace(ROADWORKS, traces=(trace((-100, 0), (-170, -70)),))
    around = [ego(-100 + east_m, 4, heading_deg=65.0) for east_m in (-6.0, -4.0, -2.0, -1.0, 0.0)]
    assert None not in distances(bend, *around)


def test_a_trace_of_a_few_metres_is_noise_and_shows_no_direction() -> None:
    noisy = replace(ROADWORKS, traces=(trace((3, 4), (-2, 5)),))
    assert distances(noisy, BEFORE, ego(-300, 0)) == [100, 300]


def test_an_empty_trace_and_a_trace_with_an_unknown_point_do_not_hide_the_hazard() -> None:
    assert distances(replace(ROADWORKS, traces=((),)), BEFORE) == [100]
    unknown = replace(ROADWORKS, traces=((PathPoint(None, None), PathPoint(0.001, 0.0)),))
    assert distances(unknown, BEFORE) == [100]


def test_without_a_relevance_distance_the_area_of_the_broadcast_bounds_it() -> None:
    denm = replace(ROADWORKS, relevance_distance=None)
    area = Circle(centre=SITE, radius_m=150.0)
    assert distances(denm, BEFORE, ego(-200, 0), area=area) == [100, None]


@given(
    st.floats(min_value=-600, max_value=600),
    st.floats(min_value=-600, max_value=600),
    st.floats(min_value=0, max_value=359.99),
    st.lists(st.tuples(st.floats(min_value=-600, max_value=600), st.floats(min_value=-600, max_value=600)), max_size=5),
)
def test_wherever_a_trace_runs_a_hazard_ahead_is_within_reach_of_its_trace_and_distance(
    east_m: float, north_m: float, heading_deg: float, points_m: list[tuple[float, float]]
) -> None:
    found = ahead(replace(ROADWORKS, traces=(trace(*points_m),)), ego(east_m, north_m, heading_deg=heading_deg))
    straight_m = (east_m**2 + north_m**2) ** 0.5
    assert found is None or (straight_m <= 501 and found.distance_m >= straight_m - 16)


def test_the_end_of_a_jam_that_reaches_towards_us_is_nearer_than_its_head() -> None:
    jam = replace(ROADWORKS, event_history=back_along((-60, 0), (-90, 0)))
    assert distances(jam, ego(-300, 0), ego(-75, 0), ego(20, 0)) == [210, 15, None]


def test_an_event_whose_head_was_passed_is_still_ahead_where_its_history_is() -> None:
    loop = replace(ROADWORKS, event_history=back_along((200, 0)))
    assert distances(loop, ego(50, 0)) == [150]


@pytest.mark.parametrize(
    ("speed_mps", "heading_deg", "time_s"),
    [(None, None, 10.0), (5.0, 90.0, 20.0), (10.0, 90.0, None), (12.0, 90.0, None), (10.0, 270.0, 5.0), (5.0, None, 10.0)],
)
def test_an_event_that_moves_is_reached_as_fast_as_the_distance_shrinks(
    speed_mps: float | None, heading_deg: float | None, time_s: float | None
) -> None:
    slow = replace(
        ROADWORKS,
        event_speed_mps=speed_mps,
        event_heading_deg=heading_deg,
        relevance_traffic_direction=RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS,
    )
    found = ahead(slow, BEFORE)
    assert found is not None
    assert found.time_to_reach_s == (None if time_s is None else pytest.approx(time_s, abs=0.01))


def test_only_what_says_so_moves() -> None:
    speeds = (None, 0.0, 0.9, 1.0, 30.0)
    assert [is_moving(replace(ROADWORKS, event_speed_mps=speed)) for speed in speeds] == [False, False, False, True, True]


def test_across_the_antimeridian_an_event_is_as_near_as_anywhere() -> None:
    site = displaced(SITE, 0, 0)
    east = type(site)(10.0, -179.9999)
    found = relevance(ROADWORKS, east, None, ego(-100, 0, centre=east))
    assert found is not None
    assert found.distance_m == pytest.approx(100, abs=0.5)
