"""Driving situations as time series, and when DENMs are to be sent: through real frames, the vehicle state and all triggers."""

from collections.abc import Callable

import pytest

from shared.messages.cdd import CauseCode, DriveDirection
from tests.helpers.driving import KMH, PRODUCTION_CAR, Drive

QUEUE, JAM, BRAKING, AUTOMATIC = (27, 0), (1, 0), (99, 1), (99, 5)
STANDING, BROKEN_DOWN, CRASHED = (94, 0), (94, 2), (94, 3)
SLIPPERY, FOG, RAIN, SLOW, EMERGENCY, SECURING = (6, 0), (18, 1), (19, 1), (26, 0), (95, 1), (15, 1)


def _red_light() -> Drive:
    """From 50 km/h to a red light, a minute on the brake, and on."""
    drive = Drive(speed_mps=50 * KMH)
    drive.drive(10).brake_to(0.0, 2.5).drive(60, brake_pedal_pressed=True)
    return drive.drive(8, acceleration_mps2=1.8, brake_pedal_pressed=False, gas_pedal_pressed=True)


def _traffic_light_on_a_country_road() -> Drive:
    """From 90 km/h gently to a red light where nobody is known to stand."""
    return Drive(speed_mps=90 * KMH).drive(40).brake_to(0.0, 2.0).drive(60, brake_pedal_pressed=True)


def _parcel() -> Drive:
    """A parcel is delivered in 15 s, hazard lights on, nobody gets out."""
    return Drive(speed_mps=30 * KMH).brake_to(0.0, 2.0).drive(15, hazard_lights=True).drive(20, hazard_lights=False)


def _parked() -> Drive:
    """Parked with ignition off: brake on, a door opens, somebody leaves the hazard lights on."""
    return Drive(ignition_on=False, parking_brake=True).drive(30).drive(60, doors_open=True, hazard_lights=True)


def _reversing() -> Drive:
    """Backs out of a drive with hazard lights on, and stops hard."""
    drive = Drive(speed_mps=24 * KMH, drive_direction=DriveDirection.BACKWARD, hazard_lights=True)
    return drive.drive(15).brake_to(0.0, 8.0).drive(5)


def _car_wash() -> Drive:
    """Pulled through a car wash with ignition on, wipers at their fastest and all lamps on."""
    return Drive(wipers_on=True, wipers_fast=True, rear_fog_light=True, drive_direction=None).drive(40).drive(60, speed_mps=0.4)


def _tunnel() -> Drive:
    """A tunnel: low beam on, no position for a minute."""
    drive = Drive(speed_mps=80 * KMH).drive(10)
    drive.muted = frozenset({"GNSS_FIX"})
    return drive.drive(60)


def _snowy_car_park() -> Drive:
    """Slides about at walking pace with every controller at work."""
    drive = Drive(speed_mps=6 * KMH, gas_pedal_pressed=True)
    return drive.drive(20, abs_active=True, traction_control_active=True, stability_control_active=True)


def _full_braking_with_abs() -> Drive:
    """Brakes on dry asphalt until ABS works, for a shorter time than an emergency."""
    return Drive(speed_mps=60 * KMH).drive(2).brake_to(50 * KMH, 8.0, abs_active=True).drive(3, abs_active=False)


def _bend_too_fast() -> Drive:
    """Takes a bend so fast that stability control works."""
    return Drive(speed_mps=70 * KMH).drive(4, stability_control_active=True, lateral_acceleration_mps2=7.5)


def _pothole() -> Drive:
    """One sample of -9 m/s2 with a foot on the brake."""
    drive = Drive(speed_mps=60 * KMH, brake_pedal_pressed=True).drive(5)
    return drive.drive(0.1, acceleration_mps2=-9.0).drive(5)


def _speed_bump_by_automatic_parking() -> Drive:
    """Brakes by itself while parking."""
    return Drive(speed_mps=5 * KMH).drive(2, automatic_emergency_braking=True)


def _forgotten_fog_light() -> Drive:
    """A clear motorway with the rear fog light forgotten."""
    return Drive(speed_mps=120 * KMH, rear_fog_light=True).drive(60)


def _drizzle() -> Drive:
    """Wipers at their usual pace."""
    return Drive(speed_mps=90 * KMH, wipers_on=True).drive(90)


def _splash() -> Drive:
    """A lorry's spray for ten seconds."""
    return Drive(speed_mps=90 * KMH, wipers_on=True).drive(20).drive(10, wipers_fast=True).drive(30, wipers_fast=False)


def _woken_with_an_old_airbag() -> Drive:
    """Switched on in the workshop with an airbag that fired last week."""
    return Drive(airbag_deployed=True).drive(60)


def _town_stop_and_go() -> Drive:
    """Ten minutes of a town's stop and go."""
    drive = Drive(speed_mps=30 * KMH)
    for _ in range(8):
        drive.brake_to(0.0, 2.0).drive(20, brake_pedal_pressed=True)
        drive.drive(5, acceleration_mps2=1.6, brake_pedal_pressed=False).drive(15)
    return drive


def _motorway_exit() -> Drive:
    """Leaves the motorway by a tight exit, and meets the town's traffic."""
    drive = Drive(speed_mps=110 * KMH).drive(40).brake_to(40 * KMH, 2.0)
    drive.drive(6, steering_wheel_angle_deg=140.0).drive(5, steering_wheel_angle_deg=0.0)
    return drive.brake_to(15 * KMH, 1.0).drive(130)


def _hazard_lights_by_mistake() -> Drive:
    """Hazard lights on for five seconds at 30 km/h, to say thank you."""
    return Drive(speed_mps=30 * KMH).drive(5, hazard_lights=True).drive(20, hazard_lights=False)


def _all_signals_gone() -> Drive:
    """The bus falls silent at the moment the hazard lights come on."""
    drive = Drive(hazard_lights=True).drive(2)
    drive.muted = frozenset({"VEHICLE_SPEED", "BODY", "POWERTRAIN", "BRAKE_CONTROL", "DYNAMICS"})
    return drive.drive(60)


NOTHING = [
    _red_light,
    _traffic_light_on_a_country_road,
    _parcel,
    _parked,
    _reversing,
    _car_wash,
    _tunnel,
    _snowy_car_park,
    _full_braking_with_abs,
    _bend_too_fast,
    _pothole,
    _speed_bump_by_automatic_parking,
    _forgotten_fog_light,
    _drizzle,
    _splash,
    _woken_with_an_old_airbag,
    _town_stop_and_go,
    _motorway_exit,
    _hazard_lights_by_mistake,
    _all_signals_gone,
]


@pytest.mark.parametrize("situation", NOTHING, ids=lambda made: made.__name__.strip("_"))
def test_nothing_is_said(situation: Callable[[], Drive]) -> None:
    drive = situation()
    assert drive.said == []
    assert drive.service.status()["begun"] == {}


@pytest.mark.parametrize("is_on_bus", [False, True], ids=["", "over the bus"])
def test_an_emergency_braking_is_told_ten_times_a_second_while_it_lasts_and_never_cancelled(*, is_on_bus: bool) -> None:
    drive = Drive(speed_mps=100 * KMH, is_on_bus=is_on_bus).drive(5).brake_to(0.0, 8.0).drive(10)
    assert drive.times("new", *BRAKING) == [5.6]
    assert drive.times("update", *BRAKING) == [round(5.7 + n / 10, 1) for n in range(28)]
    assert {said.what for said in drive.said} == {"new", "update"}
    last = drive.said[-1].announcement.denm
    assert (last.validity_duration_s, last.transmission_interval_ms) == (2, None)


def test_a_car_that_brakes_by_itself_says_so_at_once() -> None:
    drive = Drive(speed_mps=50 * KMH).drive(2)
    drive.drive(1.0, acceleration_mps2=-9.0, automatic_emergency_braking=True)
    drive.drive(3.0, automatic_emergency_braking=False, speed_mps=0.0)
    assert drive.times("new", *AUTOMATIC) == [2.1]
    assert drive.times("update", *AUTOMATIC) == [round(2.2 + n / 10, 1) for n in range(9)]
    assert drive.causes() == {AUTOMATIC}


@pytest.mark.parametrize("is_on_bus", [False, True], ids=["", "over the bus"])
def test_a_breakdown_on_the_road_is_told_repeated_renewed_and_cancelled(*, is_on_bus: bool) -> None:
    drive = Drive(speed_mps=60 * KMH, is_on_bus=is_on_bus).drive(4).brake_to(0.0, 2.0)
    stands_s = drive.now_s
    drive.drive(36, hazard_lights=True, parking_brake=True, breakdown=True)
    drive.drive(15, hazard_lights=False, parking_brake=False, breakdown=False)
    (new,) = drive.times("new", *BROKEN_DOWN)
    assert new == pytest.approx(stands_s + 20.0, abs=0.2)
    assert drive.times("update", *BROKEN_DOWN) == [round(new + 15, 1)]
    repeats = drive.times("repeat", *BROKEN_DOWN)
    assert repeats == [round(new + n, 1) for n in range(1, 15)]
    ends = drive.times("end", *BROKEN_DOWN)
    assert ends[0] == pytest.approx(stands_s + 36.1, abs=0.15)
    assert ends == [pytest.approx(ends[0] + n / 2, abs=0.05) for n in range(20)]
    assert drive.causes() == {BROKEN_DOWN}


@pytest.mark.parametrize(
    ("switches", "wait_s"),
    [({}, 30.0), ({"parking_brake": True}, 20.0), ({"doors_open": True}, 0.0), ({"doors_open": True, "parking_brake": True}, 0.0)],
)
def test_how_long_a_car_has_to_stand_with_its_hazard_lights_on(switches: dict[str, bool], wait_s: float) -> None:
    drive = Drive().drive(5).drive(40, hazard_lights=True, **switches)
    (new,) = drive.times("new", *STANDING)
    assert new == pytest.approx(5.1 + wait_s, abs=0.15)


def test_a_stationary_vehicle_that_is_pushed_a_little_stays_one_and_one_that_drives_on_does_not() -> None:
    drive = Drive(hazard_lights=True).drive(35).drive(3, speed_mps=1.0).drive(10, speed_mps=0.0)
    assert drive.times("end", *STANDING) == []
    moves_s = drive.now_s
    drive.drive(8, speed_mps=12 * KMH)
    assert drive.times("end", *STANDING)[0] == pytest.approx(moves_s + 5.1, abs=0.15)


def test_a_stationary_vehicle_whose_ignition_is_switched_off_is_still_there() -> None:
    drive = Drive(hazard_lights=True).drive(35).drive(40, ignition_on=False)
    assert drive.times("end", *STANDING) == []
    assert len(drive.times("update", *STANDING)) >= 2


@pytest.mark.parametrize("is_on_bus", [False, True], ids=["", "over the bus"])
def test_a_crash_is_told_while_the_car_still_rolls_and_silences_the_lesser_reports(*, is_on_bus: bool) -> None:
    drive = Drive(speed_mps=70 * KMH, is_on_bus=is_on_bus).drive(5)
    drive.drive(0.5, acceleration_mps2=-30.0, airbag_deployed=True, hazard_lights=True, breakdown=True)
    drive.drive(140, speed_mps=0.0)
    (new,) = drive.times("new", *CRASHED)
    assert new == pytest.approx(5.3, abs=0.15)
    assert drive.times("update", *CRASHED) == [round(new + 60, 1), round(new + 120, 1)]
    assert drive.times("repeat", *CRASHED)[:3] == [round(new + n, 1) for n in (1, 2, 3)]
    assert drive.causes() == {CRASHED}


def test_a_crash_takes_the_place_of_what_was_told_before() -> None:
    drive = Drive(hazard_lights=True).drive(40).drive(20, airbag_deployed=True)
    assert drive.causes() == {STANDING, CRASHED}
    assert drive.times("end", *STANDING)[0] == drive.times("new", *CRASHED)[0]


def test_ice_is_told_for_five_minutes_although_the_car_has_long_passed_it() -> None:
    drive = Drive(speed_mps=60 * KMH).drive(10).drive(0.6, acceleration_mps2=-1.0, abs_active=True, brake_pedal_pressed=True)
    drive.drive(320, abs_active=False, brake_pedal_pressed=False)
    (new,) = drive.times("new", *SLIPPERY)
    assert new == pytest.approx(10.3, abs=0.15)
    assert drive.times("repeat", *SLIPPERY) == [round(new + n, 1) for n in range(1, 300)]
    assert drive.times("end", *SLIPPERY) == []
    assert {said.announcement.denm.lon_deg for said in drive.said} == {drive.said[0].announcement.denm.lon_deg}


def test_the_next_icy_place_is_added_to_the_same_event() -> None:
    drive = Drive(speed_mps=60 * KMH)
    for pause_s in (10.0, 30.0, 5.0):
        drive.drive(pause_s, traction_control_active=False, gas_pedal_pressed=True)
        drive.drive(0.6, traction_control_active=True)
    (new,) = drive.times("new", *SLIPPERY)
    (update,) = drive.times("update", *SLIPPERY)
    assert [new, update] == pytest.approx([10.3, 40.9], abs=0.15)
    latest = drive.said[-1].announcement.denm
    (before,) = latest.event_history
    assert before.delta_lon_deg is not None
    assert before.delta_time_s is not None
    assert before.delta_time_s == pytest.approx(30.6, abs=0.2)
    assert before.delta_lon_deg < -0.006


def test_fog_is_renewed_every_minute_with_the_places_before_and_left_to_run_out() -> None:
    drive = Drive(speed_mps=50 * KMH, rear_fog_light=True, front_fog_light=True).drive(150).drive(300, rear_fog_light=False)
    (new,) = drive.times("new", *FOG)
    assert new == pytest.approx(20.1, abs=0.15)
    assert drive.times("update", *FOG) == [round(new + 60, 1), round(new + 120, 1)]
    assert drive.times("end", *FOG) == []
    assert drive.times("repeat", *FOG)[-1] == pytest.approx(new + 120 + 179, abs=0.15)
    latest = drive.said[-1].announcement.denm
    assert len(latest.event_history) == 2
    assert latest.information_quality == 2


def test_heavy_rain_is_told_after_half_a_minute_of_it() -> None:
    drive = Drive(speed_mps=70 * KMH, wipers_on=True).drive(20).drive(60, wipers_fast=True).drive(40, wipers_fast=False)
    assert drive.times("new", *RAIN) == [pytest.approx(50.1, abs=0.15)]
    assert drive.times("end", *RAIN) == []
    assert drive.causes() == {RAIN}


def test_a_car_that_limps_home_is_told_of_behind_it_and_hands_over_when_it_stops() -> None:
    drive = Drive(speed_mps=20 * KMH, hazard_lights=True).drive(31).drive(45, speed_mps=0.0)
    (new,) = drive.times("new", *SLOW)
    assert new == pytest.approx(10.1, abs=0.15)
    assert drive.times("update", *SLOW)[:4] == [round(new + 5 * n, 1) for n in (1, 2, 3, 4)]
    assert drive.times("end", *SLOW)[0] == pytest.approx(41.1, abs=0.2)
    assert drive.times("new", *STANDING) == [pytest.approx(61.1, abs=0.2)]


def test_the_end_of_a_queue_is_told_when_others_stand_there_too() -> None:
    drive = Drive(speed_mps=110 * KMH).drive(35)
    drive.others.reports = {CauseCode.TRAFFIC_CONDITION: 5}
    drive.brake_to(20 * KMH, 4.5).drive(40)
    (new,) = drive.times("new", *QUEUE)
    assert drive.times("repeat", *QUEUE) == [pytest.approx(new + n / 2, abs=0.05) for n in range(1, 40)]
    assert drive.times("end", *QUEUE) == []
    assert drive.causes() == {QUEUE}


@pytest.mark.parametrize(("braking_mps2", "reports", "fast_s"), [(2.0, 5, 35), (4.5, 4, 35), (4.5, 0, 35), (4.5, 5, 20)])
def test_braking_gently_alone_or_in_a_town_is_no_end_of_a_queue(braking_mps2: float, reports: int, fast_s: float) -> None:
    drive = Drive(speed_mps=110 * KMH).drive(fast_s)
    drive.others.reports = {CauseCode.TRAFFIC_CONDITION: reports}
    drive.brake_to(20 * KMH, braking_mps2).drive(20)
    assert drive.said == []


def test_hazard_lights_switched_on_at_the_end_of_a_queue_are_hint_enough() -> None:
    drive = Drive(speed_mps=100 * KMH).drive(35).brake_to(10 * KMH, 5.0).drive(2).drive(5, hazard_lights=True)
    assert drive.times("new", *QUEUE) == [pytest.approx(drive.now_s - 4.9, abs=0.15)]


def test_two_minutes_of_crawling_on_a_motorway_are_a_jam() -> None:
    drive = Drive(speed_mps=100 * KMH).drive(60).brake_to(15 * KMH, 2.0)
    crawls_s = drive.now_s
    drive.drive(130)
    (new,) = drive.times("new", *JAM)
    assert crawls_s + 60 < new < crawls_s + 121
    assert drive.times("repeat", *JAM)[0] == pytest.approx(new + 1, abs=0.05)
    drive.drive(10, acceleration_mps2=2.0).drive(20)
    assert drive.times("end", *JAM) == []
    assert drive.causes() == {JAM}


def test_an_emergency_vehicle_is_told_every_second_where_its_ticket_allows_it() -> None:
    drive = Drive(speed_mps=80 * KMH, light_bar_on=True, siren_on=True).drive(10).drive(8, light_bar_on=False, siren_on=False)
    (new,) = drive.times("new", *EMERGENCY)
    assert new == pytest.approx(0.4, abs=0.15)
    assert drive.times("update", *EMERGENCY) == [round(new + n, 1) for n in range(1, 11)]
    assert drive.times("end", *EMERGENCY)[0] == pytest.approx(11.1, abs=0.2)
    assert Drive(ssp=PRODUCTION_CAR, speed_mps=80 * KMH, light_bar_on=True).drive(10).said == []


def test_an_emergency_vehicle_that_stands_secures_its_place() -> None:
    drive = Drive(speed_mps=50 * KMH, light_bar_on=True).drive(5).brake_to(0.0, 3.0).drive(50, hazard_lights=True)
    assert drive.causes() == {EMERGENCY, SECURING}
    assert drive.times("new", *SECURING) == [pytest.approx(9.7 + 30.0, abs=0.3)]
