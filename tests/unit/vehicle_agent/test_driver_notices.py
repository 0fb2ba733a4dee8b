"""What a display gets: flat fields, plain colours, and no number that JSON does not have."""

import json
from dataclasses import replace
from math import inf

import pytest

from shared.core.ids import ActionId, HashedId8, IntersectionId, StationId
from shared.facilities.hazard_words import hazard_words
from shared.messages.cdd import CauseCode
from shared.messages.mapem import AllowedManeuvers
from shared.messages.spatem import MovementPhaseState
from vehicle_agent.driver_notices import emergency_notice, hazard_notice, signal_notice
from vehicle_agent.emergency_vehicles import Course, EmergencyChange, EmergencyNotice, EmergencyVehicle, Side
from vehicle_agent.glosa import Advice, Manoeuvre
from vehicle_agent.hazards import HazardAhead, HazardChange, HazardNotice
from vehicle_agent.signals_ahead import SignalAhead

HAZARD = HazardAhead(
    action_id=ActionId(StationId(4711), 3),
    cause_code=3,
    sub_cause_code=0,
    distance_m=386.04,
    time_to_reach_s=27.46,
    is_disputed=False,
    speed_limit_mps=60 / 3.6,
    lane_position=2,
)
SIGNAL = SignalAhead(
    intersection=IntersectionId(region=276, number=7),
    lane=1,
    signal_group=2,
    phase=MovementPhaseState.STOP_AND_REMAIN,
    time_to_change_s=12.34,
    earliest_change_s=10.0,
    latest_change_s=inf,
    time_to_green_s=12.34,
    distance_to_stop_m=54.96,
    turns=AllowedManeuvers.MANEUVER_RIGHT_ALLOWED | AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
    speed_limit_mps=50 / 3.6,
)
ADVICE = Advice(manoeuvre=Manoeuvre.DRIVE, speed_kmh=31, lowest_kmh=20, highest_kmh=34, green_in_s=14.04, limit_kmh=50)
AMBULANCE = EmergencyVehicle(
    ticket=HashedId8(bytes(8)),
    station_id=StationId(112),
    is_rescue=False,
    light_bar=True,
    siren=None,
    side=Side.BEHIND,
    course=Course.SAME,
    distance_m=199.96,
    time_to_reach_s=13.33,
    closest_m=4.02,
    speed_mps=25.0,
)


@pytest.mark.parametrize("change", list(HazardChange))
def test_a_hazard_is_told_by_what_happened_to_it(change: HazardChange) -> None:
    notice = hazard_notice(HazardNotice(change=change, hazard=HAZARD))
    assert notice.kind == f"hazard_{change.value}"
    assert notice.fields == {
        "originating_station_id": 4711,
        "sequence_number": 3,
        "cause_code": 3,
        "sub_cause_code": 0,
        "words": "roadworks",
        "distance_m": 386.0,
        "time_to_reach_s": 27.5,
        "is_disputed": False,
        "speed_limit_kmh": 60,
        "lane_position": 2,
    }


def test_a_hazard_for_a_car_that_stands_has_no_time_and_none_without_a_limit_has_one() -> None:
    told = HazardNotice(change=HazardChange.AHEAD, hazard=replace(HAZARD, time_to_reach_s=None, speed_limit_mps=None))
    fields = hazard_notice(told).fields
    assert fields["time_to_reach_s"] is None
    assert fields["speed_limit_kmh"] is None


def test_a_light_is_told_with_its_colour_and_times() -> None:
    notice = signal_notice(SIGNAL)
    assert notice.kind == "signal_ahead"
    assert notice.fields == {
        "region": 276,
        "intersection": 7,
        "lane": 1,
        "signal_group": 2,
        "turns": ["straight", "right"],
        "colour": "red",
        "phase": "stop_and_remain",
        "time_to_change_s": 12.3,
        "earliest_change_s": 10.0,
        "latest_change_s": None,
        "time_to_green_s": 12.3,
        "distance_to_stop_m": 55.0,
        "speed_limit_kmh": 50,
        "is_dependable": True,
        "advice": None,
    }


@pytest.mark.parametrize("phase", list(MovementPhaseState))
def test_every_phase_has_a_colour_and_every_notice_is_json(phase: MovementPhaseState) -> None:
    signal = replace(SIGNAL, phase=phase, time_to_change_s=inf, earliest_change_s=None, time_to_green_s=None)
    fields = dict(signal_notice(signal).fields)
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert fields["colour"]


def test_green_is_green_whether_protected_or_not() -> None:
    greens = [phase for phase in MovementPhaseState if signal_notice(replace(SIGNAL, phase=phase)).fields["colour"] == "green"]
    assert set(greens) == {
        MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED,
        MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED,
    }


def test_a_light_is_told_with_the_speed_that_meets_its_green() -> None:
    assert signal_notice(SIGNAL, ADVICE).fields["advice"] == {
        "manoeuvre": "drive",
        "speed_kmh": 31,
        "lowest_kmh": 20,
        "highest_kmh": 34,
        "green_in_s": 14.0,
        "limit_kmh": 50,
    }


@pytest.mark.parametrize("change", list(EmergencyChange))
def test_an_emergency_vehicle_is_told_by_what_it_does(change: EmergencyChange) -> None:
    notice = emergency_notice(EmergencyNotice(change=change, vehicle=AMBULANCE))
    assert notice.kind == f"emergency_vehicle_{change.value}"
    assert notice.fields == {
        "station_id": 112,
        "vehicle_kind": "emergency",
        "light_bar": True,
        "siren": None,
        "side": "behind",
        "course": "same",
        "distance_m": 200.0,
        "time_to_reach_s": 13.3,
        "closest_m": 4.0,
        "speed_kmh": 90.0,
        "is_urgent": False,
    }


def test_every_cause_has_words_and_a_finer_one_has_finer_words() -> None:
    words = {hazard_words(cause, 0) for cause in CauseCode if cause is not CauseCode.RESERVED}
    assert len(words) == len(CauseCode) - 1
    assert not any(word.startswith("hazard of kind") for word in words)
    assert hazard_words(99, 1) == "vehicle braking hard"
    assert hazard_words(99, 250) == hazard_words(99, 0) == "dangerous situation"
    assert hazard_words(200, 7) == "hazard of kind 200"
