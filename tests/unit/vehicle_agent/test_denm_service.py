import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import StationId, StationType
from shared.facilities.originated_events import OriginatedEvents
from shared.facilities.saved_events import SavedEvents
from shared.messages.cdd import CauseCode, DriveDirection
from shared.messages.denm import (
    Denm,
    RelevanceDistance,
    RelevanceTrafficDirection,
    Termination,
    decode_denm,
    encode_denm,
)
from shared.messages.denm_alacarte import EnergyStorage, StationarySince
from shared.network.area import MAX_AREA_KM2, Circle, Ellipse, Rectangle, encode_area
from shared.stack.effects import Notice
from tests.helpers.driving import HOME, KMH, PRODUCTION_CAR, START, STATION, Drive
from tests.helpers.hierarchy import NOON
from vehicle_agent.denm_config import HazardsConfig
from vehicle_agent.denm_service import MAX_NOTICES
from vehicle_agent.triggers.catalogue import MAKERS, SILENCED_BY

STANDING, BROKEN_DOWN, CRASHED, SLOW, BRAKING = (94, 0), (94, 2), (94, 3), (26, 0), (99, 1)


def _broken_down(**changes: object) -> Drive:
    return Drive(hazard_lights=True, breakdown=True, doors_open=True, **changes)  # type: ignore[arg-type]


def _latest(drive: Drive) -> Denm:
    return drive.said[-1].announcement.denm


class TestContents:
    def test_a_stationary_vehicle_says_since_when_why_and_what_it_runs_on(self) -> None:
        drive = _broken_down().drive(50)
        first = drive.said[0].announcement.denm
        assert (first.station_id, first.station_type) == (STATION, StationType.PASSENGER_CAR)
        assert (first.lat_deg, first.lon_deg, first.altitude_m) == pytest.approx((HOME.lat_deg, HOME.lon_deg, 520.0))
        assert (first.event_speed_mps, first.event_heading_deg) == (0.0, 90.0)
        assert (first.information_quality, first.validity_duration_s, first.transmission_interval_ms) == (3, 30, 1_000)
        assert first.relevance_distance is RelevanceDistance.LESS_THAN_1000M
        assert first.relevance_traffic_direction is RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS
        assert first.alacarte is not None
        told = first.alacarte.stationary_vehicle
        assert told is not None
        assert told.stationary_since is StationarySince.LESS_THAN_1_MINUTE
        assert (told.stationary_cause_code, told.energy_storage) == (CauseCode.VEHICLE_BREAKDOWN, EnergyStorage.DIESEL)

    @pytest.mark.parametrize(
        ("seconds", "since"),
        [
            (50, StationarySince.LESS_THAN_1_MINUTE),
            (80, StationarySince.LESS_THAN_2_MINUTES),
            (140, StationarySince.LESS_THAN_15_MINUTES),
        ],
    )
    def test_how_long_it_has_stood_is_renewed(self, seconds: float, since: StationarySince) -> None:
        alacarte = _latest(_broken_down().drive(seconds)).alacarte
        assert alacarte is not None
        assert alacarte.stationary_vehicle is not None
        assert alacarte.stationary_vehicle.stationary_since is since

    def test_the_trace_leads_back_along_the_way_driven(self) -> None:
        drive = Drive(speed_mps=30 * KMH, hazard_lights=True).drive(60)
        denm = _latest(drive)
        assert denm.traces is not None
        (trace,) = denm.traces
        assert denm.lat_deg is not None
        assert denm.lon_deg is not None
        lat, lon, metres = denm.lat_deg, denm.lon_deg, 0.0
        for point in trace:
            assert point.delta_lat_deg is not None
            assert point.delta_lon_deg is not None
            assert point.delta_time_s is not None
            before = GeoPoint(lat, lon)
            lat, lon = lat + point.delta_lat_deg, lon + point.delta_lon_deg
            metres += distance_m(before, GeoPoint(lat, lon))
            assert point.delta_lon_deg < 0.0
        assert 150.0 < metres <= 300.0

    def test_a_moving_event_moves_and_is_told_behind_it(self) -> None:
        drive = Drive(speed_mps=30 * KMH, hazard_lights=True).drive(16)
        first, second = (said.announcement for said in drive.of(*SLOW) if said.what in {"new", "update"})
        assert first.denm.action_id == second.denm.action_id
        assert second.denm.reference_time - first.denm.reference_time == 5_000
        assert first.denm.lon_deg is not None
        assert second.denm.lon_deg is not None
        assert (second.denm.lon_deg - first.denm.lon_deg) * 74_400 == pytest.approx(30 * KMH * 5, rel=0.02)
        area = second.area
        assert isinstance(area, Rectangle)
        here = GeoPoint(HOME.lat_deg, second.denm.lon_deg)
        assert area.contains(here)
        assert area.contains(GeoPoint(here.lat_deg, here.lon_deg - 900 / 74_400))
        assert not area.contains(GeoPoint(here.lat_deg, here.lon_deg + 200 / 74_400))

    def test_an_emergency_vehicle_is_told_of_ahead_of_it(self) -> None:
        area = Drive(speed_mps=20.0, light_bar_on=True).drive(2).said[-1].announcement.area
        assert isinstance(area, Ellipse)
        assert area.contains(GeoPoint(HOME.lat_deg, HOME.lon_deg + 900 / 74_400))
        assert not area.contains(GeoPoint(HOME.lat_deg, HOME.lon_deg - 300 / 74_400))

    def test_without_a_heading_it_is_told_all_around(self) -> None:
        drive = Drive(speed_mps=20.0, light_bar_on=True, heading_deg=None).drive(2)
        assert isinstance(drive.said[-1].announcement.area, Circle)
        assert _latest(drive).event_heading_deg is None

    @pytest.mark.parametrize(
        "place", [GeoPoint(89.9999, 10.0), GeoPoint(-90.0, 0.0), GeoPoint(0.0, 179.99999), GeoPoint(10.0, -180.0)]
    )
    def test_at_the_poles_and_across_the_antimeridian_what_is_told_can_be_sent(self, place: GeoPoint) -> None:
        drive = Drive(speed_mps=30 * KMH, hazard_lights=True, position=place, altitude_m=8_900.0).drive(30)
        assert drive.of(*SLOW)
        for said in drive.said:
            denm = said.announcement.denm
            assert decode_denm(encode_denm(denm)).action_id == denm.action_id
            assert len(encode_area(said.announcement.area)) == 14
            assert said.announcement.area.size_km2 <= MAX_AREA_KM2


class TestWithheld:
    def test_what_the_ticket_does_not_allow_is_counted_and_told_once(self) -> None:
        drive = Drive(ssp=PRODUCTION_CAR, speed_mps=20 * KMH, hazard_lights=True).drive(30)
        assert drive.said == []
        assert drive.service.status()["withheld"] == {"not_permitted": 1}
        (notice,) = drive.service.take_notices()
        assert (notice.kind, notice.fields["use_case"], notice.fields["reason"]) == (
            "hazard_withheld",
            "slow_vehicle",
            "not_permitted",
        )
        assert "cause 26" in str(notice.fields["detail"])
        drive.drive(15, hazard_lights=False).drive(15, hazard_lights=True)
        assert drive.service.status()["withheld"] == {"not_permitted": 2}
        assert drive.service.take_notices() == ()

    def test_a_production_cars_ticket_allows_what_its_consortium_asks_of_it(self) -> None:
        drive = Drive(ssp=PRODUCTION_CAR, speed_mps=60 * KMH).drive(3).brake_to(0.0, 8.0)
        drive.drive(40, hazard_lights=True, breakdown=True, parking_brake=True)
        drive.drive(5, airbag_deployed=True)
        assert drive.causes() == {BRAKING, BROKEN_DOWN, CRASHED}

    @pytest.mark.parametrize("ssp", [None, b"", b"\x01", b"\x09\xff\xff\xff"])
    def test_without_permissions_nothing_is_told(self, ssp: bytes | None) -> None:
        drive = _broken_down(ssp=ssp).drive(5)
        assert drive.said == []
        assert drive.service.status()["withheld"] == {"not_permitted": 1}

    def test_what_happens_while_the_time_is_not_known_is_told_when_it_is_if_it_still_holds(self) -> None:
        drive = _broken_down(utc=None).drive(60)
        assert drive.said == []
        assert drive.service.status()["withheld"] == {"untrusted_time": 1}
        drive.clock.set_utc(NOON)
        drive.drive(1)
        assert drive.times("new", *BROKEN_DOWN) == [60.1]

    def test_what_is_over_by_the_time_the_clock_is_set_is_not_told(self) -> None:
        drive = Drive(utc=None, speed_mps=60 * KMH).drive(1).brake_to(0.0, 8.0).drive(5)
        drive.clock.set_utc(NOON)
        assert drive.drive(20).said == []

    def test_without_a_position_it_is_told_when_there_is_one(self) -> None:
        drive = _broken_down()
        drive.muted = frozenset({"GNSS_FIX"})
        drive.drive(20)
        assert drive.said == []
        assert drive.service.status()["withheld"] == {"no_position": 1}
        drive.muted = frozenset()
        drive.drive(1)
        assert drive.causes() == {BROKEN_DOWN}

    def test_more_events_than_can_be_told_of_are_counted(self) -> None:
        events = OriginatedEvents(STATION, StationType.PASSENGER_CAR, 0, 1)
        drive = Drive(events=events, hazard_lights=True, doors_open=True, rear_fog_light=True).drive(5)
        drive.drive(30, speed_mps=30 * KMH)
        assert len(events.live) == 1
        assert drive.service.status()["withheld"] == {"events_full": 1}

    def test_signals_that_are_gone_neither_renew_nor_end_an_event(self) -> None:
        drive = _broken_down().drive(20)
        drive.muted = frozenset({"BODY", "POWERTRAIN", "VEHICLE_SPEED"})
        drive.drive(60)
        assert drive.times("update", *BROKEN_DOWN) == [15.1]
        assert drive.times("end", *BROKEN_DOWN) == []
        assert drive.service.status()["live"] == []
        drive.muted = frozenset()
        drive.drive(5)
        assert len(drive.times("new", *BROKEN_DOWN)) == 2

    def test_without_a_position_an_event_still_ends(self) -> None:
        drive = _broken_down().drive(5)
        drive.muted = frozenset({"GNSS_FIX"})
        drive.drive(20).drive(1, hazard_lights=False)
        assert drive.times("update", *BROKEN_DOWN) == []
        assert drive.times("end", *BROKEN_DOWN)[0] == pytest.approx(25.1, abs=0.15)

    def test_use_cases_that_are_not_wanted_say_nothing(self) -> None:
        assert _broken_down(without=frozenset(MAKERS)).drive(60).said == []


class TestRestart:
    def _restarted(self, before: Drive, utc: UtcNs, **changes: object) -> Drive:
        saved = msgspec.json.decode(msgspec.json.encode(before.events.snapshot()), type=SavedEvents)
        start = MonotonicNs(900 * NS_PER_S)
        after = Drive(
            utc=utc,
            start=start,
            events=OriginatedEvents.restored(saved, StationType.PASSENGER_CAR, Instant(start, utc)),
            **changes,  # type: ignore[arg-type]
        )
        number = before.said[-1].announcement.denm
        after.recall(before.said[-1].announcement.action_id, number.reference_time)
        return after

    def test_what_no_longer_holds_is_cancelled_under_its_old_number(self) -> None:
        before = _broken_down().drive(10)
        after = self._restarted(before, UtcNs(NOON + 20 * NS_PER_S), speed_mps=15.0).drive(8)
        ends = after.said
        assert {said.what for said in ends} == {"end"}
        assert ends[0].announcement.action_id == before.said[0].announcement.action_id
        assert ends[0].announcement.denm.termination is Termination.IS_CANCELLATION
        assert ends[0].at_s < 1.0
        assert after.service.status()["live"] == []

    def test_what_still_holds_goes_on_under_its_old_number(self) -> None:
        before = _broken_down().drive(10)
        changes = {"hazard_lights": True, "breakdown": True, "doors_open": True}
        after = self._restarted(before, UtcNs(NOON + 20 * NS_PER_S), **changes).drive(40)
        assert {said.announcement.action_id for said in after.said} == {before.said[0].announcement.action_id}
        assert [round(said.at_s) for said in after.said if said.what == "update"] == [0, 15, 30]
        assert after.service.status()["begun"] == {}

    def test_a_crash_is_remembered_although_nobody_saw_it_happen(self) -> None:
        before = Drive().drive(2).drive(10, airbag_deployed=True)
        after = self._restarted(before, UtcNs(NOON + 30 * NS_PER_S), airbag_deployed=True).drive(50)
        assert [said.what for said in after.said if said.what != "repeat"] == ["update"]
        assert {said.announcement.action_id for said in after.said} == {before.said[0].announcement.action_id}

    def test_an_event_that_has_run_out_is_a_new_one(self) -> None:
        before = _broken_down().drive(10)
        changes = {"hazard_lights": True, "breakdown": True, "doors_open": True}
        after = self._restarted(before, UtcNs(NOON + 300 * NS_PER_S), **changes).drive(5)
        assert after.said[0].announcement.action_id != before.said[0].announcement.action_id
        assert after.said[0].announcement.denm.termination is None

    def test_a_use_case_that_was_switched_off_meanwhile_is_cancelled(self) -> None:
        before = _broken_down().drive(10)
        changes = {"hazard_lights": True, "breakdown": True, "without": frozenset({"breakdown"})}
        after = self._restarted(before, UtcNs(NOON + 20 * NS_PER_S), **changes).drive(1)
        assert after.said[0].what == "end"

    def test_an_icy_place_from_before_stays_told_of_and_the_next_one_is_added(self) -> None:
        before = Drive(speed_mps=60 * KMH, gas_pedal_pressed=True).drive(2).drive(1, traction_control_active=True)
        after = self._restarted(before, UtcNs(NOON + 60 * NS_PER_S), speed_mps=60 * KMH, gas_pedal_pressed=True).drive(20)
        assert {said.what for said in after.said} == {"repeat"}
        after.drive(1, traction_control_active=True)
        assert [said.what for said in after.said if said.what != "repeat"] == ["update"]


class TestPseudonym:
    def test_it_is_held_while_something_is_live_or_being_cancelled(self) -> None:
        drive = Drive().drive(1)
        assert drive.service.holds() == ()
        drive.drive(5, hazard_lights=True, doors_open=True)
        ((name, until),) = drive.service.holds()
        assert name == "denm:7"
        assert until == pytest.approx(START + 31.1 * NS_PER_S, abs=NS_PER_S)
        drive.drive(2, hazard_lights=False)
        ((name, until),) = drive.service.holds()
        assert until == pytest.approx(drive.clock.now().monotonic + 8 * NS_PER_S, abs=NS_PER_S)
        assert drive.drive(20).service.holds() == ()

    def test_under_a_new_one_what_is_live_goes_on_under_a_new_number(self) -> None:
        drive = _broken_down().drive(5)
        drive.service.assume(StationId(815), 100, drive.clock.now())
        drive.drive(20)
        drive.drive(2, hazard_lights=False)
        assert {said.announcement.denm.station_id for said in drive.said} == {STATION, 815}
        renamed = [said for said in drive.said if said.announcement.denm.station_id == 815]
        assert {said.announcement.action_id.sequence_number for said in renamed} == {100}
        assert [said.what for said in renamed if said.what != "repeat"][:3] == ["new", "update", "end"]

    def test_the_way_driven_under_the_old_one_is_forgotten(self) -> None:
        drive = Drive(speed_mps=30 * KMH, hazard_lights=True).drive(30)
        drive.service.assume(StationId(815), 100, drive.clock.now())
        drive.drive(11)
        traces = _latest(drive).traces
        assert traces is not None
        assert sum(-(point.delta_lon_deg or 0.0) for point in traces[0]) * 74_400 < 30 * KMH * 11


def test_notices_say_what_is_told_and_what_is_over_and_nobody_has_to_take_them() -> None:
    drive = _broken_down().drive(5).drive(1, hazard_lights=False)
    fields = {"use_case": "breakdown", "cause_code": 94, "sub_cause_code": 2}
    assert drive.service.take_notices() == (Notice("hazard_announced", fields), Notice("hazard_cancelled", fields))
    for _ in range(MAX_NOTICES):
        drive.drive(1.5, hazard_lights=True, doors_open=True).drive(0.2, hazard_lights=False)
    assert len(drive.service.take_notices()) == MAX_NOTICES


def test_every_use_case_can_be_switched_off_by_name() -> None:
    names = tuple(MAKERS)
    config = msgspec.convert({"announce": True, "without": names, "energy": ("diesel", "electric_energy_storage")}, HazardsConfig)
    assert set(config.without) == set(MAKERS)
    assert config.energy_storage == EnergyStorage.DIESEL | EnergyStorage.ELECTRIC_ENERGY_STORAGE
    assert HazardsConfig().energy_storage is None
    assert set(SILENCED_BY) | set().union(*SILENCED_BY.values()) <= set(MAKERS)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"without": ("earthquake",)}, HazardsConfig)


MOST_IN_A_SECOND = 30
"""Ten of a braking that is renewed, two of a queue, one of each other use case, ends twice a second, and what begins anew."""

FLAGS = (
    *("hazard_lights", "doors_open", "ignition_on", "brake_pedal_pressed", "low_beam", "rear_fog_light", "front_fog_light"),
    *("gas_pedal_pressed", "parking_brake", "abs_active", "stability_control_active", "traction_control_active"),
    *("automatic_emergency_braking", "airbag_deployed", "breakdown", "wipers_on", "wipers_fast", "light_bar_on", "siren_on"),
)
MOMENT = st.fixed_dictionaries(
    {
        "for_s": st.sampled_from([0.1, 0.2, 0.5, 1.0, 3.0, 12.0, 31.0]),
        "speed_mps": st.none() | st.sampled_from([0.0, 1.0, 6.0, 12.0, 25.0, 40.0]),
        "longitudinal_acceleration_mps2": st.none() | st.sampled_from([-9.5, -7.0, -2.5, 0.0, 2.0]),
        "drive_direction": st.sampled_from([None, *DriveDirection]),
        "position": st.none() | st.just(HOME) | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
        "heading_deg": st.none() | st.floats(0, 359.9),
        "muted": st.sampled_from([frozenset(), frozenset({"BODY"}), frozenset({"VEHICLE_SPEED"}), frozenset({"GNSS_FIX"})]),
        **{flag: st.booleans() for flag in FLAGS},
    }
)


@settings(max_examples=30, deadline=None)
@given(moments=st.lists(MOMENT, min_size=1, max_size=12), is_clock_set=st.booleans())
def test_whatever_the_signals_do_nobody_is_flooded_and_everything_told_can_be_sent(
    moments: list[dict[str, object]], *, is_clock_set: bool
) -> None:
    drive = Drive(utc=NOON if is_clock_set else None)
    drive.others.reports = dict.fromkeys((CauseCode.TRAFFIC_CONDITION, CauseCode.DANGEROUS_END_OF_QUEUE), 5)
    for moment in moments:
        changes = dict(moment)
        seconds, drive.muted = changes.pop("for_s"), changes.pop("muted")  # type: ignore[assignment]
        acceleration = changes.pop("longitudinal_acceleration_mps2")
        assert isinstance(seconds, float)
        drive.drive(seconds, acceleration_mps2=acceleration, **changes)  # type: ignore[arg-type]
    told = [said.at_s for said in drive.said]
    assert is_clock_set or not told
    for index, at_s in enumerate(told):
        assert sum(at_s <= other < at_s + 1.0 for other in told[index:]) <= MOST_IN_A_SECOND
    for said in drive.said:
        encode_denm(said.announcement.denm)
        encode_area(said.announcement.area)
