from dataclasses import replace

import pytest

from rsu_agent.hazard import MAX_MESSAGE_OCTETS
from rsu_agent.hazard_service import Announcement, Hazard, HazardService, relevance_distance
from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced, distance_m
from shared.core.ids import ActionId, StationId
from shared.core.itstime import time64_of, timestamp_its, utc_from_text
from shared.messages.denm import (
    Denm,
    RelevanceDistance,
    RelevanceTrafficDirection,
    Termination,
    decode_denm,
    encode_denm,
)
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer

NOON = utc_from_text("2026-11-22T12:00:00Z")
SITE = GeoPoint(48.137, 11.575)
ROADWORKS = Hazard(
    origin="rsu.toml: hazard[0]",
    cause_code=3,
    sub_cause_code=4,
    position=SITE,
    relevance_distance_m=400.0,
    relevance_traffic_direction=RelevanceTrafficDirection.UPSTREAM_TRAFFIC,
    radius_m=600.0,
    validity_s=60,
    repetition_s=1.0,
    heading_deg=90.0,
    speed_limit_mps=30 / 3.6,
    traces=((displaced(SITE, -100, 0), displaced(SITE, -200, -10)),),
)


def service(*hazards: Hazard) -> HazardService:
    return HazardService(hazards or (ROADWORKS,), StationId(42), first_sequence_number=7)


def drive(hazards: HazardService, clock: ManualClock, seconds: float) -> list[tuple[float, Announcement]]:
    begin = clock.now().monotonic
    end = begin + round(seconds * NS_PER_S)
    heard: list[tuple[float, Announcement]] = []
    while True:
        due = hazards.next_due()
        if due is None or max(due, clock.now().monotonic) > end:
            clock.advance_to(MonotonicNs(end))
            return heard
        now = clock.advance_to(MonotonicNs(max(due, clock.now().monotonic)))
        heard += [((now.monotonic - begin) / NS_PER_S, said) for said in hazards.poll(now)]


def test_a_configured_hazard_is_said_as_a_denm_of_this_station_to_a_circle_around_it() -> None:
    (said,) = service().poll(ManualClock(NOON).now())
    assert said.area == Circle(centre=SITE, radius_m=600.0)
    denm = decode_denm(encode_denm(said.denm))
    assert denm.action_id == ActionId(StationId(42), 7)
    assert denm.detection_time == denm.reference_time == timestamp_its(time64_of(NOON))
    assert (denm.cause_code, denm.sub_cause_code) == (3, 4)
    assert denm.relevance_distance is RelevanceDistance.LESS_THAN_500M
    assert denm.relevance_traffic_direction is RelevanceTrafficDirection.UPSTREAM_TRAFFIC
    assert (denm.validity_duration_s, denm.transmission_interval_ms) == (60, 1_000)
    assert denm.event_heading_deg == pytest.approx(90.0)
    assert denm.termination is None
    assert denm.alacarte is not None
    assert denm.alacarte.road_works is not None
    assert denm.alacarte.road_works.speed_limit_mps == pytest.approx(30 / 3.6)


def test_a_trace_on_the_air_leads_back_along_the_configured_points() -> None:
    (said,) = service().poll(ManualClock(NOON).now())
    traces = decode_denm(encode_denm(said.denm)).traces
    assert traces is not None
    lat_deg, lon_deg = SITE.lat_deg, SITE.lon_deg
    for step, expected in zip(traces[0], ROADWORKS.traces[0], strict=True):
        assert step.delta_lat_deg is not None
        assert step.delta_lon_deg is not None
        lat_deg, lon_deg = lat_deg + step.delta_lat_deg, lon_deg + step.delta_lon_deg
        assert distance_m(GeoPoint(lat_deg, lon_deg), expected) < 0.05


def test_a_hazard_of_nothing_but_a_place_and_a_cause_can_be_said() -> None:
    (said,) = service(replace(ROADWORKS, traces=(), heading_deg=None, speed_limit_mps=None)).poll(ManualClock(NOON).now())
    heard = decode_denm(encode_denm(said.denm))
    assert (heard.cause_code, heard.traces, heard.event_heading_deg, heard.alacarte) == (3, None, None, None)


def test_a_repetition_says_the_same_and_an_update_comes_before_the_validity_runs_out() -> None:
    heard = drive(service(), ManualClock(NOON), 65.5)
    assert [at for at, _ in heard] == [float(n) for n in range(66)]
    versions = {said.denm.reference_time for _, said in heard}
    assert sorted(v - min(versions) for v in versions) == [0, 30_000, 60_000]
    assert {said.denm.action_id for _, said in heard} == {ActionId(StationId(42), 7)}
    for at, said in heard:
        assert said.denm.detection_time == said.denm.reference_time
        assert at - (said.denm.reference_time - min(versions)) / 1_000 < ROADWORKS.validity_s


def test_two_hazards_have_their_own_action_ids_and_their_own_rhythm() -> None:
    heard = drive(service(ROADWORKS, replace(ROADWORKS, repetition_s=0.5)), ManualClock(NOON), 1.9)
    numbers = [said.denm.action_id.sequence_number for _, said in heard]
    assert (numbers.count(7), numbers.count(8)) == (2, 4)


def test_the_sequence_number_wraps_within_sixteen_bits() -> None:
    hazards = HazardService((ROADWORKS, ROADWORKS), StationId(42), first_sequence_number=65_535)
    heard = hazards.poll(ManualClock(NOON).now())
    assert [said.denm.action_id.sequence_number for said in heard] == [65_535, 0]


def test_a_stopped_service_cancels_its_hazard_repeats_that_for_a_while_and_says_nothing_more() -> None:
    hazards, clock = service(), ManualClock(NOON)
    drive(hazards, clock, 10.2)
    (last,) = hazards.stop(clock.now())
    heard = decode_denm(encode_denm(last.denm))
    assert heard.termination is Termination.IS_CANCELLATION
    assert heard.action_id == ActionId(StationId(42), 7)
    assert heard.reference_time == timestamp_its(time64_of(NOON)) + 10_200
    assert (heard.cause_code, heard.traces, heard.alacarte) == (None, None, None)
    assert last.area == Circle(centre=SITE, radius_m=600.0)
    again = drive(hazards, clock, 60.0)
    assert [said for _, said in again] == [last] * 19
    assert again[-1][0] == pytest.approx(9.5)
    assert hazards.next_due() is None
    assert hazards.stop(clock.now()) == ()


def test_a_cancellation_is_later_than_what_it_cancels_even_in_the_same_millisecond() -> None:
    hazards, clock = service(), ManualClock(NOON)
    (first,) = hazards.poll(clock.now())
    (last,) = hazards.stop(clock.now())
    assert last.denm.reference_time > first.denm.reference_time


def test_a_hazard_that_was_never_announced_or_shall_run_out_is_not_cancelled() -> None:
    assert service().stop(ManualClock(NOON).now()) == ()
    lasting, clock = service(replace(ROADWORKS, cancel_at_stop=False)), ManualClock(NOON)
    assert lasting.poll(clock.now())
    assert lasting.stop(clock.now()) == ()


def test_while_utc_is_not_known_nothing_is_said_and_it_is_counted_once_a_second() -> None:
    hazards, clock = service(), ManualClock(None)
    assert drive(hazards, clock, 3.5) == []
    assert hazards.untrusted_time == 4
    clock.set_utc(NOON)
    assert len(drive(hazards, clock, 0.6)) == 1


def test_without_hazards_nothing_is_ever_due() -> None:
    hazards = HazardService((), StationId(42))
    assert hazards.next_due() is None
    assert hazards.poll(ManualClock(NOON).now()) == ()


def test_after_a_long_sleep_there_is_one_repetition_and_no_backlog() -> None:
    hazards, clock = service(), ManualClock(NOON)
    hazards.poll(clock.now())
    assert len(hazards.poll(clock.advance(20 * NS_PER_S))) == 1
    assert hazards.poll(clock.now()) == ()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"cause_code": 0}, "cause_code"),
        ({"sub_cause_code": 256}, "sub_cause_code"),
        ({"validity_s": 5}, "validity_s"),
        ({"repetition_s": 0.01}, "repetition_s"),
        ({"repetition_s": float("nan")}, "repetition_s"),
        ({"radius_m": 5_000.0}, "radius_m"),
        ({"relevance_distance_m": 0.0}, "relevance_distance_m"),
        ({"heading_deg": 360.0}, "heading_deg"),
        ({"speed_limit_mps": 0.0}, "speed_limit_mps"),
        ({"traces": ((),)}, "traces[0]"),
        ({"traces": ((displaced(SITE, 2_000, 0),),)}, "traces[0][0]"),
        ({"traces": (ROADWORKS.traces[0],) * 8}, "traces"),
    ],
)
def test_an_impossible_hazard_is_refused_by_file_and_key(change: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        replace(ROADWORKS, **change)  # type: ignore[arg-type]
    assert refusal.value.path == f"rsu.toml: hazard[0]: {key}"


def test_a_hazard_too_long_for_one_message_is_refused_and_the_longest_that_fits_can_be_said() -> None:
    way = tuple(displaced(SITE, 71.0 * number, 53.0 * number) for number in range(1, 41))
    with pytest.raises(ConfigError, match=f"octets of a message, and {MAX_MESSAGE_OCTETS} can be said"):
        replace(ROADWORKS, traces=(way,) * 7)
    hierarchy, clock = Hierarchy(1), clock_at()
    unit, now = make_peer(hierarchy, 42, StationRole.RSU), clock.now()
    (said,) = HazardService((replace(ROADWORKS, traces=(way,) * 5),), StationId(42)).poll(now)
    packet = unit.send(said.denm, position=ego(now), now=now, area=said.area)
    heard = make_peer(hierarchy, 9).receive(packet, now)
    denm = None if heard is None else heard.of(Denm)
    assert denm is not None
    assert len(encode_denm(denm.message)) > 1_300


@pytest.mark.parametrize(
    ("distance", "step"),
    [
        (50.0, RelevanceDistance.LESS_THAN_50M),
        (50.1, RelevanceDistance.LESS_THAN_100M),
        (400.0, RelevanceDistance.LESS_THAN_500M),
        (10_000.0, RelevanceDistance.LESS_THAN_10KM),
        (10_001.0, RelevanceDistance.OVER_10KM),
    ],
)
def test_the_relevance_distance_is_the_next_larger_step(distance: float, step: RelevanceDistance) -> None:
    assert relevance_distance(distance) is step


def test_what_is_live_is_what_was_last_announced() -> None:
    hazards, clock = service(), ManualClock(NOON)
    before = hazards.live
    said = hazards.poll(clock.now())
    assert (len(before), hazards.live) == (0, said)
