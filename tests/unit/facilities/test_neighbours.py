"""Who is around, where they should be by now, and who may not push whom out."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of, utc_from_text
from shared.facilities.neighbours import (
    CONTAINER_LIFETIME_NS,
    MAX_EXTRAPOLATION_NS,
    NEIGHBOUR_LIFETIME_NS,
    Neighbours,
    StandingAhead,
    closest_approach,
)
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import DriveDirection, ExteriorLights, VehicleRole
from shared.stack.station import EgoPosition
from tests.unit.vehicle_agent.verified_messages import ticket, verified

NOON = utc_from_text("2026-11-22T12:00:00Z")
HERE = GeoPoint(48.137, 11.575)


def at(seconds: float) -> Instant:
    elapsed = round(seconds * NS_PER_S)
    return Instant(MonotonicNs(5_000 * NS_PER_S + elapsed), UtcNs(NOON + elapsed))


def cam(east_m: float = 0.0, north_m: float = 0.0, *, now: Instant | None = None, age_ms: int = 0, **fields: object) -> Cam:
    point = displaced(HERE, east_m, north_m)
    date = time64_of((now or at(0)).require_utc())
    said = Cam(
        station_id=StationId(7),
        generation_delta_time_ms=(generation_delta_time(date) - age_ms) % 65_536,
        station_type=StationType.PASSENGER_CAR,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        heading_deg=0.0,
        speed_mps=10.0,
        drive_direction=DriveDirection.FORWARD,
    )
    return replace(said, **fields)


def ego(heading_deg: float | None = 0.0, speed_mps: float | None = 10.0) -> EgoPosition:
    return EgoPosition(point=HERE, taken_at=NOON, speed_mps=speed_mps, heading_deg=heading_deg)


def heard(*cams: Cam, now: Instant | None = None) -> Neighbours:
    neighbours = Neighbours()
    for number, one in enumerate(cams, 1):
        neighbours.hear(verified(one, now or at(0), signer=number), now or at(0))
    return neighbours


def test_a_car_that_drives_is_moved_on_by_the_age_of_its_position() -> None:
    neighbours = heard(cam(0, 100, age_ms=200))
    (seen,) = neighbours.within(500, ego(), at(0.3))
    assert seen.neighbour.age_s == pytest.approx(0.5)
    assert seen.distance_m == pytest.approx(105, abs=0.05)


def test_a_position_is_moved_on_for_a_bounded_time_only() -> None:
    (seen,) = heard(cam(0, 100)).within(500, ego(), at(2.9))
    assert seen.distance_m == pytest.approx(100 + 10 * MAX_EXTRAPOLATION_NS / NS_PER_S, abs=0.05)


def test_a_car_in_reverse_is_moved_backwards() -> None:
    (seen,) = heard(cam(0, 100, drive_direction=DriveDirection.BACKWARD)).within(500, ego(), at(1))
    assert seen.neighbour.speed_mps == -10.0
    assert seen.distance_m == pytest.approx(90, abs=0.05)


def test_a_date_that_cannot_be_is_replaced_by_the_messages_own_and_counted() -> None:
    neighbours = heard(cam(0, 100, age_ms=-5_000))
    (seen,) = neighbours.within(500, ego(), at(0))
    assert (seen.neighbour.age_s, neighbours.misdated) == (0.0, 1)


def test_one_ticket_has_one_row_the_latest_and_an_older_message_changes_nothing() -> None:
    neighbours = heard(cam(0, 100))
    neighbours.hear(verified(cam(0, 110, now=at(1)), at(1)), at(1))
    neighbours.hear(verified(cam(0, 100, now=at(1), age_ms=500), at(1)), at(1))
    (seen,) = neighbours.within(500, ego(), at(1))
    assert len(neighbours) == 1
    assert seen.distance_m == pytest.approx(110, abs=0.05)


def test_who_was_not_heard_for_the_lifetime_is_gone_and_not_before() -> None:
    neighbours = heard(cam())
    assert neighbours.next_expiry() == at(0).monotonic + NEIGHBOUR_LIFETIME_NS + 1
    assert len(neighbours.around(at(NEIGHBOUR_LIFETIME_NS / NS_PER_S))) == 1
    assert neighbours.around(at(NEIGHBOUR_LIFETIME_NS / NS_PER_S + 0.001)) == ()
    assert neighbours.next_expiry() is None


def test_role_and_lights_are_carried_over_from_the_message_that_had_them_until_they_are_old() -> None:
    low = LowFrequency(vehicle_role=VehicleRole.TAXI, exterior_lights=ExteriorLights.LEFT_TURN_SIGNAL_ON)
    neighbours = heard(cam(low_frequency=low))
    for tenths in range(1, 30):
        neighbours.hear(verified(cam(now=at(tenths / 10)), at(tenths / 10)), at(tenths / 10))
        (one,) = neighbours.around(at(tenths / 10))
        is_known = tenths * 100 * NS_PER_MS <= CONTAINER_LIFETIME_NS
        assert (one.role, one.lights) == ((low.vehicle_role, low.exterior_lights) if is_known else (None, None))


def test_roadside_units_and_messages_without_a_place_are_no_vehicles() -> None:
    neighbours = heard(cam(protected_zones=()), cam(lat_deg=None), cam(lon_deg=None))
    assert len(neighbours) == 0


def test_what_is_out_of_range_is_unknown() -> None:
    (one,) = heard(cam(vehicle_length_m=inf, vehicle_width_m=inf, semi_major_m=inf)).around(at(0))
    assert (one.length_m, one.width_m, one.accuracy_m) == (None, None, None)


def test_the_nearest_comes_first_and_who_is_too_far_not_at_all() -> None:
    seen = heard(cam(0, 90), cam(0, -20), cam(400, 0), cam(50, 0)).within(100, ego(), at(0))
    assert [round(s.distance_m) for s in seen] == [20, 50, 90]


@pytest.mark.parametrize(("heading_deg", "ahead_m", "right_m"), [(0, 30, 40), (90, 40, -30), (180, -30, -40), (270, -40, 30)])
def test_places_are_told_along_and_across_our_heading(heading_deg: float, ahead_m: float, right_m: float) -> None:
    (seen,) = heard(cam(40, 30)).within(100, ego(heading_deg), at(0))
    assert seen.ahead_m == pytest.approx(ahead_m, abs=0.05)
    assert seen.right_m == pytest.approx(right_m, abs=0.05)


def test_the_corridor_holds_who_drives_ahead_in_our_lane_and_nobody_else() -> None:
    neighbours = heard(
        cam(0, 50), cam(2, 80), cam(3.5, 60), cam(0, -30), cam(0, 70, heading_deg=180.0), cam(0, 350), cam(0, 40, heading_deg=None)
    )
    assert [round(s.distance_m) for s in neighbours.ahead(ego(), at(0))] == [50, 80]
    assert neighbours.ahead(ego(heading_deg=None), at(0)) == ()


def test_the_corridor_bends_with_our_path() -> None:
    neighbours = heard(cam(-5, 50), cam(5, 50))
    assert [s.neighbour.ticket for s in neighbours.ahead(ego(), at(0), curvature_per_m=0.004)] == [ticket(1)]
    assert [s.neighbour.ticket for s in neighbours.ahead(ego(), at(0), curvature_per_m=-0.004)] == [ticket(2)]


def test_standing_ones_ahead_are_those_on_our_road_in_our_direction() -> None:
    neighbours = heard(
        cam(0, 50, speed_mps=0.0),
        cam(3.5, 55, speed_mps=0.3),
        cam(0, 45, speed_mps=0.6),
        cam(-3.5, 40, speed_mps=0.0, heading_deg=180.0),
    )
    source: StandingAhead = neighbours
    assert [s.neighbour.ticket for s in source.standing_ahead(ego(), at(0))] == [ticket(1), ticket(2)]


def test_who_approaches_is_found_by_the_closest_approach() -> None:
    crossing = cam(100, 100, heading_deg=270.0)
    away = cam(0, 50, speed_mps=20.0)
    wide = cam(300, 100, heading_deg=0.0, speed_mps=5.0)
    (seen,) = heard(crossing, away, wide).approaching(ego(), at(0), within_s=20, within_m=10)
    assert seen.neighbour.ticket == ticket(1)
    assert seen.closest_in_s == pytest.approx(10, abs=0.1)
    assert seen.closest_m == pytest.approx(0, abs=0.5)
    assert seen.closing_mps == pytest.approx(200**0.5, abs=0.05)


def test_what_is_not_known_is_not_reckoned_with() -> None:
    (seen,) = heard(cam(0, 50, speed_mps=None)).within(100, ego(), at(0))
    assert (seen.closing_mps, seen.closest_in_s, seen.closest_m) == (None, None, None)
    (standing,) = heard(cam(0, 50, speed_mps=0.0, heading_deg=None)).within(100, ego(), at(0))
    assert standing.closing_mps == pytest.approx(10, abs=0.01)


@given(st.tuples(*[st.floats(-500, 500)] * 2), st.tuples(*[st.floats(-50, 50)] * 2), st.floats(0, 100))
def test_nobody_ever_comes_nearer_than_the_closest_approach(
    offset: tuple[float, float], relative: tuple[float, float], at_s: float
) -> None:
    in_s, metres = closest_approach(offset, relative)
    there = (offset[0] + relative[0] * at_s) ** 2 + (offset[1] + relative[1] * at_s) ** 2
    assert in_s >= 0.0
    assert there**0.5 >= metres - 1e-6


def test_a_crowd_from_afar_cannot_push_out_who_is_near() -> None:
    neighbours = Neighbours(capacity=64)
    neighbours.place(HERE)
    for number in range(20):
        neighbours.hear(verified(cam(number, 10), at(0), signer=number), at(0))
    for number in range(1_000):
        neighbours.hear(verified(cam(5_000 + number, 0), at(0), signer=1_000 + number), at(0))
    assert len(neighbours) <= 64
    assert len(neighbours.within(100, ego(), at(0))) == 20
    assert neighbours.crowded_out >= 1_000 + 20 - 64


def test_without_a_place_of_our_own_who_was_heard_longest_ago_gives_way() -> None:
    neighbours = Neighbours(capacity=2)
    for number in (1, 2, 1, 3):
        neighbours.hear(verified(cam(), at(0), signer=number), at(0))
    assert [one.ticket for one in neighbours.around(at(0))] == [ticket(1), ticket(3)]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(-89.99, 89.99), st.floats(-180, 180)), max_size=60))
def test_the_bound_holds_whoever_speaks_from_wherever(heard_from: list[tuple[int, float, float]]) -> None:
    neighbours = Neighbours(capacity=8)
    neighbours.place(HERE)
    for number, lat_deg, lon_deg in heard_from:
        neighbours.hear(verified(cam(lat_deg=lat_deg, lon_deg=lon_deg), at(0), signer=number), at(0))
        assert len(neighbours) <= 8
    for seen in neighbours.within(inf, ego(), at(1)):
        assert distance_m(HERE, seen.neighbour.point) == pytest.approx(seen.distance_m)


def test_a_table_without_room_or_life_is_refused() -> None:
    for wrong in ({"capacity": 0}, {"lifetime_ns": 0}):
        with pytest.raises(ValueError, match="at least one neighbour"):
            Neighbours(**wrong)
