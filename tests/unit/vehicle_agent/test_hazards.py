import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError, VerificationError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts, time64_of, timestamp_its, utc_from_text
from shared.core.report import VerificationReport
from shared.messages.cdd import CauseCode, PathPoint
from shared.messages.denm import (
    Alacarte,
    Denm,
    RelevanceDistance,
    RelevanceTrafficDirection,
    RoadWorks,
    Termination,
)
from shared.network.area import Circle
from shared.stack.station import EgoPosition
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.hazards import LEAVE_NS, HazardChange, Hazards

NOON = utc_from_text("2026-11-22T12:00:00Z")
SITE = GeoPoint(48.137, 11.575)
RSU = StationId(42)


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round((1_000 + seconds) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def its(seconds: float) -> TimestampIts:
    return timestamp_its(time64_of(UtcNs(NOON + round(seconds * NS_PER_S))))


ROADWORKS = Denm(
    station_id=RSU,
    action_id=ActionId(RSU, 1),
    detection_time=its(0),
    reference_time=its(0),
    station_type=StationType.ROAD_SIDE_UNIT,
    lat_deg=SITE.lat_deg,
    lon_deg=SITE.lon_deg,
    cause_code=CauseCode.ROADWORKS,
    relevance_distance=RelevanceDistance.LESS_THAN_500M,
    validity_duration_s=60,
)


def ego(
    east_m: float, north_m: float, heading_deg: float | None = 90.0, speed_mps: float | None = 10.0, centre: GeoPoint = SITE
) -> EgoPosition:
    return EgoPosition(point=displaced(centre, east_m, north_m), taken_at=NOON, speed_mps=speed_mps, heading_deg=heading_deg)


def heard(*denms: Denm, signer: int = 1) -> Hazards:
    hazards = Hazards()
    for denm in denms:
        hazards.hear(verified(denm, at(0), signer=signer), at(0))
    return hazards


def distances(hazards: Hazards, *places: EgoPosition) -> list[float | None]:
    found = [hazards.ahead(at(1), place) for place in places]
    return [round(hazard[0].distance_m) if hazard else None for hazard in found]


BEFORE = ego(-100, 0)


def trace(*points_m: tuple[float, float]) -> tuple[PathPoint, ...]:
    """The way to the event as points (east, north) of the site, from the event backwards."""
    steps, before = [], SITE
    for east_m, north_m in points_m:
        point = displaced(SITE, east_m, north_m)
        steps.append(PathPoint(point.lat_deg - before.lat_deg, point.lon_deg - before.lon_deg))
        before = point
    return tuple(steps)


def test_a_hazard_ahead_has_a_distance_a_time_to_reach_and_a_speed_limit() -> None:
    limited = replace(ROADWORKS, alacarte=Alacarte(road_works=RoadWorks(speed_limit_mps=8.0)))
    (hazard,) = heard(limited).ahead(at(1), BEFORE)
    assert hazard.distance_m == pytest.approx(100, abs=0.1)
    assert hazard.time_to_reach_s == pytest.approx(10, abs=0.01)
    assert (hazard.cause_code, hazard.speed_limit_mps, hazard.is_disputed) == (3, 8.0, False)


def test_a_standing_vehicle_has_a_hazard_ahead_but_no_time_to_reach_it() -> None:
    (hazard,) = heard(ROADWORKS).ahead(at(1), ego(-100, 0, speed_mps=0.0))
    assert hazard.time_to_reach_s is None


def test_what_is_behind_beside_or_beyond_its_relevance_distance_is_not_ahead() -> None:
    behind, beside, far = ego(100, 0), ego(0, 100), ego(-501, 0)
    assert distances(heard(ROADWORKS), BEFORE, behind, beside, far, ego(-499, 0)) == [100, None, None, None, 499]


def test_a_vehicle_without_a_heading_is_told_of_nothing_ahead() -> None:
    assert heard(ROADWORKS).ahead(at(1), ego(-100, 0, heading_deg=None)) == ()


@pytest.mark.parametrize(
    ("heading_deg", "is_ahead"), [(355.0, True), (0.0, True), (359.999, True), (29.0, True), (31.0, False), (180.0, False)]
)
def test_the_cone_ahead_works_across_north(heading_deg: float, *, is_ahead: bool) -> None:
    assert bool(heard(ROADWORKS).ahead(at(1), ego(0, -100, heading_deg=heading_deg))) is is_ahead


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
    assert distances(heard(eastbound), BEFORE, ego(100, 0, heading_deg=270.0)) == expected


def test_headings_of_event_and_vehicle_are_compared_across_north() -> None:
    northbound = replace(ROADWORKS, event_heading_deg=350.0)
    assert distances(heard(northbound), ego(0, -100, heading_deg=10.0)) == [100]


def test_on_a_trace_the_distance_follows_the_road_around_the_bend() -> None:
    bend = replace(ROADWORKS, traces=(trace((-100, 0), (-100, -100)),))
    around_the_corner = ego(-100, -50, heading_deg=0.0)
    assert distances(heard(bend), around_the_corner) == [150]


def test_beside_every_trace_the_hazard_is_another_roads() -> None:
    traced = replace(ROADWORKS, traces=(trace((-300, 0)),))
    assert distances(heard(traced), ego(-100, 0), ego(-100, 30), ego(-100, 0, heading_deg=270.0)) == [100, None, None]


def test_one_of_several_traces_is_enough() -> None:
    traced = replace(ROADWORKS, traces=(trace((-300, 0)), trace((0, -300))))
    assert distances(heard(traced), ego(0, -200, heading_deg=0.0)) == [200]


def test_beyond_the_end_of_the_traces_the_cone_decides() -> None:
    traced = replace(ROADWORKS, traces=(trace((-50, 0)),))
    assert distances(heard(traced), ego(-200, 0), ego(200, 0, heading_deg=90.0)) == [200, None]


def test_an_empty_trace_and_a_trace_with_an_unknown_point_do_not_hide_the_hazard() -> None:
    assert distances(heard(replace(ROADWORKS, traces=((),))), BEFORE) == [100]
    unknown = replace(ROADWORKS, traces=((PathPoint(None, None), PathPoint(0.001, 0.0)),))
    assert distances(heard(unknown), BEFORE) == [100]


def test_without_a_relevance_distance_the_area_of_the_broadcast_bounds_it() -> None:
    hazards = Hazards()
    denm = replace(ROADWORKS, relevance_distance=None)
    hazards.hear(verified(denm, at(0), area=Circle(centre=SITE, radius_m=150.0)), at(0))
    assert distances(hazards, BEFORE, ego(-200, 0)) == [100, None]


def test_the_nearest_hazard_comes_first() -> None:
    nearer = replace(ROADWORKS, action_id=ActionId(RSU, 2), lon_deg=displaced(SITE, -50, 0).lon_deg, cause_code=CauseCode.ACCIDENT)
    assert [hazard.cause_code for hazard in heard(ROADWORKS, nearer).ahead(at(1), BEFORE)] == [2, 3]


def test_a_hazard_is_told_once_however_often_it_is_repeated() -> None:
    hazards = Hazards()
    told = []
    for second in range(5):
        hazards.hear(verified(ROADWORKS, at(second)), at(second))
        told += [notice.change for notice in hazards.poll(at(second), BEFORE)]
    assert told == [HazardChange.AHEAD]


@pytest.mark.parametrize(
    "change",
    [
        {"sub_cause_code": 4},
        {"cause_code": CauseCode.ACCIDENT},
        {"alacarte": Alacarte(road_works=RoadWorks(speed_limit_mps=8.0))},
        {"lon_deg": displaced(SITE, 30, 0).lon_deg},
    ],
)
def test_an_update_that_matters_is_told_and_one_that_does_not_is_not(change: dict[str, object]) -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    hazards.hear(verified(replace(ROADWORKS, reference_time=its(1), detection_time=its(1)), at(1)), at(1))
    assert hazards.poll(at(1), BEFORE) == ()
    changed = replace(ROADWORKS, reference_time=its(2), detection_time=its(2), **change)
    hazards.hear(verified(changed, at(2)), at(2))
    assert [notice.change for notice in hazards.poll(at(2), BEFORE)] == [HazardChange.CHANGED]


def test_an_update_extends_the_validity_and_an_older_version_changes_nothing() -> None:
    hazards = heard(ROADWORKS)
    hazards.hear(verified(replace(ROADWORKS, detection_time=its(50), reference_time=its(50)), at(50)), at(50))
    hazards.hear(verified(replace(ROADWORKS, cause_code=CauseCode.ACCIDENT), at(51)), at(51))
    (hazard,) = hazards.ahead(at(100), BEFORE)
    assert hazard.cause_code == 3


def test_a_hazard_runs_out_when_its_validity_does_and_the_driver_is_told() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    assert hazards.ahead(at(59.9), BEFORE)
    assert hazards.next_expiry() == at(60).monotonic
    assert hazards.ahead(at(60), BEFORE) == ()
    assert [notice.change for notice in hazards.poll(at(60), BEFORE)] == [HazardChange.ENDED]
    assert len(hazards) == 0


def test_no_hazard_outlives_a_day_unheard() -> None:
    hazards = heard(replace(ROADWORKS, detection_time=its(50), validity_duration_s=86_400))
    assert hazards.next_expiry() == at(86_400).monotonic


def test_a_repetition_does_not_revive_what_was_negated() -> None:
    hazards = heard(ROADWORKS)
    for signer in (2, 3):
        hazards.hear(verified(NEGATION, at(5), signer=signer), at(5))
    hazards.hear(verified(ROADWORKS, at(6)), at(6))
    assert hazards.ahead(at(6), BEFORE) == ()


def test_a_lost_clock_does_not_keep_a_hazard_alive() -> None:
    hazards = heard(ROADWORKS)
    without_utc = Instant(at(61).monotonic, None)
    assert hazards.ahead(without_utc, BEFORE) == ()


def test_a_hazard_that_was_passed_is_told_once_and_not_at_the_first_lost_look() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    behind = ego(50, 0)
    assert hazards.poll(at(1), behind) == ()
    assert [n.change for n in hazards.poll(at(1 + LEAVE_NS / NS_PER_S), behind)] == [HazardChange.PASSED]
    assert hazards.poll(at(10), behind) == ()


CANCELLATION = replace(
    ROADWORKS, termination=Termination.IS_CANCELLATION, reference_time=its(5), detection_time=its(5), cause_code=None
)


def test_the_announcing_station_cancels_its_hazard_and_a_late_repetition_does_not_revive_it() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    hazards.hear(verified(CANCELLATION, at(5)), at(5))
    assert [notice.change for notice in hazards.poll(at(5), BEFORE)] == [HazardChange.ENDED]
    hazards.hear(verified(ROADWORKS, at(6)), at(6))
    assert hazards.ahead(at(6), BEFORE) == ()


def test_a_newer_announcement_after_a_cancellation_begins_anew() -> None:
    hazards = heard(ROADWORKS)
    hazards.hear(verified(CANCELLATION, at(5)), at(5))
    hazards.hear(verified(replace(ROADWORKS, detection_time=its(9), reference_time=its(9)), at(9)), at(9))
    assert hazards.ahead(at(9), BEFORE)


def test_a_cancellation_older_than_the_hazard_changes_nothing() -> None:
    hazards = heard(replace(ROADWORKS, reference_time=its(8), detection_time=its(8)))
    hazards.hear(verified(CANCELLATION, at(9)), at(9))
    assert hazards.ahead(at(9), BEFORE)


def test_a_cancellation_by_somebody_else_is_refused_even_in_the_originators_name() -> None:
    hazards = heard(ROADWORKS)
    for station in (RSU, StationId(666)):
        with pytest.raises(VerificationError) as refusal:
            hazards.hear(verified(replace(CANCELLATION, station_id=station), at(5), signer=2), at(5))
        assert refusal.value.report is VerificationReport.PERMISSION_DENIED
    assert hazards.ahead(at(5), BEFORE)


def test_a_cancellation_of_something_never_heard_is_nothing() -> None:
    hazards = Hazards()
    hazards.hear(verified(CANCELLATION, at(5)), at(5))
    assert len(hazards) == 0


def test_nobody_takes_an_event_over_and_nobody_occupies_its_number_beforehand() -> None:
    elsewhere = replace(ROADWORKS, lat_deg=SITE.lat_deg + 1, reference_time=its(1), detection_time=its(1))
    for first, second in (((ROADWORKS, 1), (elsewhere, 2)), ((elsewhere, 2), (ROADWORKS, 1))):
        hazards = Hazards()
        for denm, signer in (first, second):
            hazards.hear(verified(denm, at(1), signer=signer), at(1))
        assert distances(hazards, BEFORE) == [100]


NEGATION = replace(
    ROADWORKS,
    station_id=StationId(7),
    termination=Termination.IS_NEGATION,
    reference_time=its(5),
    detection_time=its(5),
    cause_code=None,
)


def test_one_stranger_disputes_a_hazard_and_two_end_it() -> None:
    hazards = heard(ROADWORKS)
    hazards.poll(at(0), BEFORE)
    for _ in range(3):
        hazards.hear(verified(NEGATION, at(5), signer=2), at(5))
    (notice,) = hazards.poll(at(5), BEFORE)
    assert (notice.change, notice.hazard.is_disputed) == (HazardChange.CHANGED, True)
    hazards.hear(verified(replace(NEGATION, station_id=StationId(8)), at(6), signer=3), at(6))
    assert [n.change for n in hazards.poll(at(6), BEFORE)] == [HazardChange.ENDED]


def test_an_update_by_the_originator_answers_a_negation() -> None:
    hazards = heard(ROADWORKS)
    hazards.hear(verified(NEGATION, at(5), signer=2), at(5))
    hazards.hear(verified(replace(ROADWORKS, reference_time=its(6), detection_time=its(6)), at(6)), at(6))
    (hazard,) = hazards.ahead(at(6), BEFORE)
    assert not hazard.is_disputed


def test_an_originator_cannot_negate_its_own_event() -> None:
    hazards = heard(ROADWORKS)
    for denm, signer in ((NEGATION, 1), (replace(NEGATION, station_id=RSU), 2)):
        with pytest.raises(VerificationError) as refusal:
            hazards.hear(verified(denm, at(5), signer=signer), at(5))
        assert refusal.value.report is VerificationReport.CONTENT_MISMATCH
    assert hazards.ahead(at(5), BEFORE)


@pytest.mark.parametrize(
    ("change", "report"),
    [
        ({"detection_time": its(100)}, VerificationReport.INVALID_TIMESTAMP),
        ({"reference_time": its(100)}, VerificationReport.INVALID_TIMESTAMP),
        ({"detection_time": its(-61)}, VerificationReport.INVALID_TIMESTAMP),
        ({"validity_duration_s": 0}, VerificationReport.INVALID_TIMESTAMP),
        ({"cause_code": None}, VerificationReport.CONTENT_MISMATCH),
        ({"lat_deg": None}, VerificationReport.CONTENT_MISMATCH),
    ],
)
def test_an_event_with_impossible_times_or_without_cause_or_place_is_refused(
    change: dict[str, object], report: VerificationReport
) -> None:
    hazards = Hazards()
    with pytest.raises(VerificationError) as refusal:
        hazards.hear(verified(replace(ROADWORKS, **change), at(0)), at(0))
    assert refusal.value.report is report
    assert len(hazards) == 0


def test_without_utc_validity_cannot_be_judged() -> None:
    indication = verified(ROADWORKS, at(0))
    with pytest.raises(UntrustedTimeError):
        Hazards().hear(indication, Instant(MonotonicNs(0), None))


def test_one_tickets_flood_drops_only_its_own_events() -> None:
    hazards = Hazards(capacity=100, per_ticket=10)
    hazards.hear(verified(ROADWORKS, at(0), signer=1), at(0))
    for number in range(1_000):
        hazards.hear(verified(replace(ROADWORKS, action_id=ActionId(StationId(9), number)), at(0), signer=2), at(0))
    assert len(hazards) == 11
    assert any(hazard.action_id == ROADWORKS.action_id for hazard in hazards.ahead(at(0), BEFORE))


def test_a_full_table_forgets_what_was_heard_longest_ago_and_says_so_if_it_was_told() -> None:
    hazards = Hazards(capacity=3, per_ticket=1)
    for signer in range(3):
        hazards.hear(verified(ROADWORKS, at(0), signer=signer), at(0))
    hazards.poll(at(0), BEFORE)
    hazards.hear(verified(ROADWORKS, at(1), signer=9), at(1))
    assert len(hazards) == 3
    changes = [notice.change for notice in hazards.poll(at(1), BEFORE)]
    assert sorted(change.value for change in changes) == ["ahead", "ended"]


@given(
    st.floats(min_value=-600, max_value=600),
    st.floats(min_value=-600, max_value=600),
    st.floats(min_value=0, max_value=359.99),
    st.lists(st.tuples(st.floats(min_value=-600, max_value=600), st.floats(min_value=-600, max_value=600)), max_size=5),
)
def test_wherever_a_trace_runs_a_hazard_ahead_is_within_reach_of_its_trace_and_distance(
    east_m: float, north_m: float, heading_deg: float, points_m: list[tuple[float, float]]
) -> None:
    hazards = heard(replace(ROADWORKS, traces=(trace(*points_m),)))
    for hazard in hazards.ahead(at(1), ego(east_m, north_m, heading_deg=heading_deg)):
        straight_m = (east_m**2 + north_m**2) ** 0.5
        assert straight_m <= 501
        assert hazard.distance_m >= straight_m - 16
