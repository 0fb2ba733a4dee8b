"""The whole picture: what others say becomes one document, five times a second, and notices told once."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from jsonschema import ValidationError
from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of, timestamp_its
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cam_special import Emergency
from shared.messages.cdd import DriveDirection, ExteriorLights, LightBarSirenInUse, VehicleRole
from shared.messages.denm import Alacarte, Denm, RoadWorks
from shared.messages.mapem import AllowedManeuvers, Connection, SpeedLimit, SpeedLimitType
from shared.stack.effects import DriverView, Effect, Notice
from tests.unit.vehicle_agent.driver_documents import DOCS, SCHEMA, check_document
from tests.unit.vehicle_agent.test_signals_ahead import CENTRE, GREEN, RED, at, event, lane, lights, northbound_arm
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.driver_view import MAX_NEIGHBOURS_SHOWN
from vehicle_agent.hazards import Hazards
from vehicle_agent.local_dynamic_map import VIEW_INTERVAL_NS, LocalDynamicMap
from vehicle_agent.vehicle_state import Aged, VehicleState

NOWHERE = VehicleState()


def state(
    east_m: float = 4.5, north_m: float = -150.0, *, now: Instant | None = None, speed_mps: float = 50 / 3.6, **flags: bool
) -> VehicleState:
    moment = (now or at(0)).monotonic
    known: dict[str, Any] = {
        "position": displaced(CENTRE, east_m, north_m),
        "heading_deg": 0.0,
        "speed_mps": speed_mps,
        "drive_direction": DriveDirection.FORWARD,
        **flags,
    }
    return VehicleState(**{name: Aged(value, moment, 2 * NS_PER_S) for name, value in known.items()})


def around() -> LocalDynamicMap:
    return LocalDynamicMap(hazards=Hazards(), started=at(0).monotonic)


def view_of(effects: Sequence[Effect]) -> dict[str, Any]:
    (view,) = [effect for effect in effects if isinstance(effect, DriverView)]
    return check_document(view.fields)


def kinds_of(effects: Sequence[Effect]) -> list[str]:
    for effect in effects:
        if isinstance(effect, Notice):
            check_document({"schema": "v2x-trust/driver-event/1", "kind": effect.kind, "utc": None, **effect.fields})
    return [effect.kind for effect in effects if isinstance(effect, Notice)]


def cam(east_m: float, north_m: float, *, now: Instant | None = None, **fields: object) -> Cam:
    point = displaced(CENTRE, east_m, north_m)
    said = Cam(
        station_id=StationId(7),
        generation_delta_time_ms=generation_delta_time(time64_of((now or at(0)).require_utc())),
        station_type=StationType.PASSENGER_CAR,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        heading_deg=0.0,
        speed_mps=10.0,
        drive_direction=DriveDirection.FORWARD,
    )
    return replace(said, **fields)


def denm(north_m: float, cause_code: int = 3, **fields: object) -> Denm:
    point = displaced(CENTRE, 4.5, north_m)
    date = timestamp_its(time64_of(at(0).require_utc()))
    said = Denm(
        station_id=StationId(9),
        action_id=ActionId(StationId(9), cause_code),
        detection_time=date,
        reference_time=date,
        station_type=StationType.ROAD_SIDE_UNIT,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        cause_code=cause_code,
    )
    return replace(said, **fields)


def test_without_a_place_there_is_a_view_that_says_so() -> None:
    view = view_of(around().poll(NOWHERE, at(0)))
    assert view["ego"] == {
        "is_time_known": True,
        "is_positioned": False,
        "lat_deg": None,
        "lon_deg": None,
        "fix_age_s": None,
        "heading_deg": None,
        "speed_kmh": None,
    }
    assert [view[name] for name in ("neighbours", "hazards", "signals", "emergency_vehicles", "road_signs")] == [[]] * 5


def test_without_trusted_time_there_is_a_view_that_says_so_and_what_the_car_itself_knows() -> None:
    view = view_of(around().poll(state(), Instant(at(0).monotonic, None)))
    assert (view["utc"], view["ego"]["is_time_known"], view["ego"]["is_positioned"]) == (None, False, False)
    assert view["ego"]["speed_kmh"] == 50.0


def test_a_view_comes_five_times_a_second_and_is_numbered() -> None:
    here, sequences = around(), []
    for ms in range(0, 2_001, 10):
        now = at(ms / 1_000)
        assert here.next_due() >= at(0).monotonic
        sequences += [view_of([e])["sequence"] for e in here.poll(state(now=now), now)]
    assert sequences == list(range(1, 12))
    assert here.next_due() == at(2.0).monotonic + VIEW_INTERVAL_NS


def test_neighbours_are_shown_the_nearest_first_with_all_they_said() -> None:
    here = around()
    low = LowFrequency(
        vehicle_role=VehicleRole.TAXI, exterior_lights=ExteriorLights.LEFT_TURN_SIGNAL_ON | ExteriorLights.FOG_LIGHT_ON
    )
    far = cam(4.5, 100, station_type=200)
    near = cam(4.5, -100, low_frequency=low, vehicle_length_m=4.5, vehicle_width_m=1.8, semi_major_m=1.23, speed_mps=5.0)
    for number, one in enumerate((far, near), 1):
        here.hear(verified(one, at(0), signer=number), at(0))
    first, second = view_of(here.poll(state(), at(0)))["neighbours"]
    assert (first["distance_m"], first["ahead_m"], first["right_m"], first["role"]) == (50.0, 50.0, 0.0, "taxi")
    assert (first["closing_kmh"], first["closest_in_s"], first["closest_m"]) == (32.0, 5.6, 0.0)
    assert (first["length_m"], first["width_m"], first["accuracy_m"]) == (4.5, 1.8, 1.23)
    assert first["lights"] == ["left_turn_signal_on", "fog_light_on"]
    assert (second["distance_m"], second["station_type"], second["lights"]) == (250.0, "other", None)


def test_a_crowd_is_shown_up_to_a_bound_and_counted() -> None:
    here = around()
    for number in range(100):
        here.hear(verified(cam(4.5, -140 + number), at(0), signer=number), at(0))
    view = view_of(here.poll(state(), at(0)))
    assert (len(view["neighbours"]), view["neighbours_known"]) == (MAX_NEIGHBOURS_SHOWN, 100)
    assert len(json.dumps(view)) < 64 * 1024


def test_a_hazard_is_told_once_and_shown_as_long_as_it_matters() -> None:
    here = around()
    works = Alacarte(lane_position=1, road_works=RoadWorks(speed_limit_mps=30 / 3.6))
    here.hear(verified(denm(150, sub_cause_code=4, alacarte=works), at(0)), at(0))
    effects = here.poll(state(), at(0))
    assert kinds_of(effects) == ["hazard_ahead"]
    (hazard,) = view_of(effects)["hazards"]
    assert (hazard["words"], hazard["distance_m"], hazard["time_to_reach_s"]) == ("short-term roadworks", 300.0, 21.6)
    assert (hazard["speed_limit_kmh"], hazard["lane_position"]) == (30, 1)
    later = here.poll(state(now=at(0.2)), at(0.2))
    assert kinds_of(later) == []
    assert len(view_of(later)["hazards"]) == 1


def shared_lane(here: LocalDynamicMap, *, now: Instant | None = None) -> None:
    """One lane with two groups: 1 straight and right, 2 left; 30 km/h."""
    moment = now or at(0)
    way_in = replace(
        lane(1, lane_direction(), ((4.5, -15.0), (4.5, -300.0))),
        connects_to=(
            Connection(
                lane_id=8,
                signal_group=1,
                maneuvers=AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED | AllowedManeuvers.MANEUVER_RIGHT_ALLOWED,
            ),
            Connection(lane_id=9, signal_group=2, maneuvers=AllowedManeuvers.MANEUVER_LEFT_ALLOWED),
        ),
    )
    mapem = northbound_arm()
    limit = SpeedLimit(kind=SpeedLimitType.VEHICLE_MAX_SPEED, speed_mps=50 / 3.6)
    geometry = replace(mapem.intersections[0], lanes=(way_in,), speed_limits=(limit,))
    here.hear(verified(replace(mapem, intersections=(geometry,)), moment), moment)
    red = event(RED, 14, max_end_s=14, likely_s=14), event(GREEN, 34, max_end_s=34, likely_s=34)
    green = (event(GREEN, 5, max_end_s=40),)
    here.hear(verified(lights((1, red), (2, green), now=moment), moment), moment)


def lane_direction() -> Any:
    return northbound_arm().intersections[0].lanes[0].directional_use


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({}, 1), ({"turn_left": True}, 2), ({"turn_right": True}, 1), ({"turn_left": True, "turn_right": True}, 1)],
)
def test_lights_are_shown_with_their_advice_and_the_one_for_our_way_is_marked(flags: dict[str, Any], expected: int) -> None:
    here = around()
    shared_lane(here)
    effects = here.poll(state(north_m=-165, **flags), at(0))
    assert kinds_of(effects) == ["signal_ahead", "signal_ahead"]
    view = view_of(effects)
    assert view["speed_limit"] == {"kmh": 50, "source": "map"}
    first, second = view["signals"]
    assert [signal["signal_group"] for signal in (first, second) if signal["is_expected"]] == [expected]
    assert (first["turns"], second["turns"]) == (["straight", "right"], ["left"])
    assert (first["colour"], first["distance_to_stop_m"], [phase["colour"] for phase in first["phases"]]) == (
        "red",
        150.0,
        ["red", "green"],
    )
    assert first["advice"] == {
        "manoeuvre": "drive",
        "speed_kmh": 31,
        "lowest_kmh": 20,
        "highest_kmh": 34,
        "green_in_s": 14.0,
        "limit_kmh": 50,
    }
    assert second["advice"] is None


def test_vehicles_that_stand_before_the_line_delay_the_advice() -> None:
    here = around()
    shared_lane(here)
    for number in range(3):
        here.hear(verified(cam(4.5, -17 - 7 * number, speed_mps=0.0), at(0), signer=number), at(0))
    here.hear(verified(cam(4.5, 0, speed_mps=0.0), at(0), signer=9), at(0))
    (first, _) = view_of(here.poll(state(north_m=-165), at(0)))["signals"]
    assert first["advice"]["highest_kmh"] < 34 - 6


def test_an_emergency_vehicle_is_told_and_shown() -> None:
    here = around()
    siren = Emergency(light_bar_siren=LightBarSirenInUse.SIREN_ACTIVATED)
    here.hear(verified(cam(4.5, -300, speed_mps=30.0, special_vehicle=siren), at(0)), at(0))
    effects = here.poll(state(), at(0))
    assert kinds_of(effects) == ["emergency_vehicle_approaching"]
    view = view_of(effects)
    assert [(one["side"], one["siren"], one["light_bar"]) for one in view["emergency_vehicles"]] == [("behind", True, False)]
    assert view["neighbours"][0]["is_on_mission"] is True


def test_our_own_place_is_moved_on_to_the_present() -> None:
    here = around()
    here.hear(verified(denm(150), at(0)), at(0))
    view = view_of(here.poll(state(speed_mps=10.0), at(1.0)))
    assert view["hazards"][0]["distance_m"] == 290.0
    assert view["ego"]["fix_age_s"] == 1.0


def test_what_must_not_be_believed_is_refused_and_changes_nothing() -> None:
    here = around()
    stale = timestamp_its(time64_of(at(-1_000).require_utc()))
    with pytest.raises(VerificationError):
        here.hear(verified(denm(150, 95, detection_time=stale, event_speed_mps=20.0, event_heading_deg=180.0), at(0)), at(0))
    view = view_of(here.poll(state(), at(0)))
    assert (view["hazards"], view["emergency_vehicles"]) == ([], [])


def test_a_jump_of_the_receiver_begins_another_way() -> None:
    here, moments = around(), [at(n / 5) for n in range(40)]
    for n, now in enumerate(moments):
        here.poll(state(4.5, -300.0 + 2 * n + (500 if n > 30 else 0), now=now, speed_mps=10.0), now)
    assert len(here._path) <= 5


def test_status_counts_what_is_known() -> None:
    here = around()
    shared_lane(here)
    here.hear(verified(cam(0, 0), at(0)), at(0))
    here.poll(state(), at(0))
    assert here.status() == {
        "neighbours": {"known": 1, "crowded_out": 0, "misdated": 0},
        "hazards": 0,
        "junctions": 1,
        "road_signs": 0,
        "views": 1,
    }


def test_the_description_names_every_field_and_the_schema_requires_each() -> None:
    described = (DOCS / "driver-view.md").read_text()
    for definition in SCHEMA["$defs"].values():
        assert set(definition["required"]) == set(definition["properties"])
        for name, field in definition["properties"].items():
            assert f"`{name}`" in described, name
            for kind in field.get("enum", ()) if name == "kind" else ():
                assert f"`{kind}`" in described


@pytest.mark.parametrize(
    "change", [{"sequence": 0}, {"schema": "v2x-trust/driver-view/2"}, {"hazards": [{}]}, {"ego": None}, {"utc": 5}]
)
def test_the_schema_refuses_what_is_no_view(change: dict[str, object]) -> None:
    view = view_of(around().poll(state(), at(0)))
    with pytest.raises((ValidationError, AssertionError)):
        check_document(view | change)


def test_the_poles_and_the_antimeridian_are_places_too() -> None:
    for point in (GeoPoint(90.0, 0.0), GeoPoint(-89.999, 12.0), GeoPoint(0.0, 180.0), GeoPoint(0.0, -179.9999)):
        here = around()
        here.hear(verified(cam(0, 0, lat_deg=point.lat_deg, lon_deg=point.lon_deg), at(0)), at(0))
        moment = at(0).monotonic
        there = replace_position(state(), point, moment)
        view = view_of(here.poll(there, at(0)))
        assert view["neighbours"][0]["distance_m"] == pytest.approx(0, abs=0.1)


def replace_position(before: VehicleState, point: GeoPoint, moment: MonotonicNs) -> VehicleState:
    return replace(before, position=Aged(point, moment, NS_PER_S))
