"""Driving situations as time series: when a CAM is sent, and which containers it has (EN 302 637-2 V1.4.1 clause 6.1.3).

The conditions are checked every 50 ms, at 0, 50, 100 ... A CAM is sent
  by condition 1 when at least T_GenCam_DCC (100 ms unless said otherwise) passed since the last, and heading changed by more than 4
    degrees, position by more than 4 m, or speed by more than 0.5 m/s since then; T_GenCam becomes the time that passed;
  by condition 2 when T_GenCam passed; it is 1000 ms at first, and again after three CAMs in a row by condition 2.
The low-frequency container is in the first CAM and in every one at least 500 ms after the last that had it; the special-vehicle
container likewise while the vehicle has a role. The comments at each row compute its times by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, degrees, radians, sin
from typing import Any

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationId, StationType
from shared.messages.cam import Cam
from shared.messages.cam_special import Emergency, PublicTransport, SpecialVehicle
from shared.messages.cdd import DriveDirection, ExteriorLights, LightBarSirenInUse, VehicleRole
from tests.helpers.hierarchy import NOON
from vehicle_agent.cam_service import CamService
from vehicle_agent.special_vehicle import NO_DUTY, Duty
from vehicle_agent.vehicle_state import Aged, VehicleState

PLACE = GeoPoint(48.2, 11.6)
MAX_AGE_MS = 500
KMH = 1 / 3.6

AMBULANCE = Duty(role=VehicleRole.EMERGENCY, container=Emergency(), shows_by_lamps=True)
TRAM = Duty(role=VehicleRole.PUBLIC_TRANSPORT, container=PublicTransport(embarkation_status=False), shows_by_lamps=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One row.

    Attributes:
        state: what the car says about itself at a millisecond.
        until_ms: the series ends before this.
        sent_ms: when CAMs are expected.
        low_frequency_ms: those of them with the low-frequency container.
        special_ms: those with the special-vehicle container.
        dcc_ms: T_GenCam_DCC at a millisecond.
        changes_ms: moments at which the vehicle takes on another pseudonym, which checks first 20 ms later.
        duty: what the vehicle is for.
        station_type: what it is.
    """

    state: Callable[[float], VehicleState]
    until_ms: int
    sent_ms: list[int]
    low_frequency_ms: list[int]
    special_ms: list[int] = field(default_factory=list)
    dcc_ms: Callable[[float], int] = lambda _ms: 100
    changes_ms: tuple[int, ...] = ()
    duty: Duty = NO_DUTY
    station_type: StationType = StationType.PASSENGER_CAR


def spoken(situation: Situation) -> list[tuple[int, Cam]]:
    """Let the real service live through a situation."""
    service = CamService(
        station_id=StationId(1),
        station_type=situation.station_type,
        length_m=4.6,
        width_m=1.8,
        phase_ns=0,
        duty=situation.duty,
        granted=0xFF_FC,
    )
    changes = list(situation.changes_ms)
    cams: list[tuple[int, Cam]] = []
    for ms in range(0, situation.until_ms, 10):
        if changes and ms >= changes[0]:
            first_check = MonotonicNs((changes.pop(0) + 20) * NS_PER_MS)
            service.assume(station_id=StationId(2), first_check=first_check, granted=0xFF_FC)
        now = Instant(MonotonicNs(ms * NS_PER_MS), UtcNs(NOON + ms * NS_PER_MS))
        due = service.poll(situation.state(ms), now, t_gen_cam_dcc_ns=situation.dcc_ms(ms) * NS_PER_MS)
        if due is not None:
            service.note_sent(due, now.monotonic)
            cams.append((ms, due.cam))
    return cams


def car(ms: float, *, fix_ms: float | None = None, **values: Any) -> VehicleState:
    """Return a state whose values are all of this moment, the position of `fix_ms` where that is given."""
    at = MonotonicNs(round(ms * NS_PER_MS))
    aged = {name: Aged(value, at, MAX_AGE_MS * NS_PER_MS) for name, value in values.items()}
    if fix_ms is not None:
        aged["position"] = Aged(values["position"], MonotonicNs(round(fix_ms * NS_PER_MS)), MAX_AGE_MS * NS_PER_MS)
    return VehicleState(**aged)


def north(metres: float) -> GeoPoint:
    return displaced(PLACE, 0.0, metres)


def steady(speed_mps: float, **values: Any) -> Callable[[float], VehicleState]:
    """Drive north at one speed."""
    return lambda ms: car(ms, position=north(speed_mps * ms / 1000), speed_mps=speed_mps, heading_deg=0.0, **values)


def parked(ms: float) -> VehicleState:
    return car(ms, position=PLACE, speed_mps=0.0, heading_deg=0.0)


def parked_under_a_noisy_sky(ms: float) -> VehicleState:
    return car(ms, position=displaced(PLACE, 1.5 * sin(ms), 1.5 * cos(ms)), speed_mps=0.0)


def woken(ms: float) -> VehicleState:
    """Nothing is known until the bus and the receiver wake up."""
    return parked(ms) if ms >= 700 else VehicleState()


def from_standstill(ms: float) -> VehicleState:
    t = min(max(0.0, ms / 1000 - 1.0), 4.0)
    cruise_s = max(0.0, ms / 1000 - 5.0)
    return car(ms, position=north(1.5 * t * t + 12.0 * cruise_s), speed_mps=3.0 * t, heading_deg=0.0)


def braking_hard(ms: float) -> VehicleState:
    t = min(max(0.0, ms / 1000 - 0.6), 3.75)
    way_m = 30.0 * min(ms / 1000, 0.6) + 30.0 * t - 4.0 * t * t
    return car(ms, position=north(way_m), speed_mps=30.0 - 8.0 * t, heading_deg=0.0, brake_pedal_pressed=ms >= 600)


def stop_and_go(ms: float) -> VehicleState:
    """Stand for 1.2 s, drive off with 2.1 m/s2 for 2 s, roll at 4.2 m/s for 2 s, stop with 2.1 m/s2."""
    t = ms / 1000
    off, roll, stop = min(max(0.0, t - 1.2), 2.0), min(max(0.0, t - 3.2), 2.0), min(max(0.0, t - 5.2), 2.0)
    way_m = 1.05 * off * off + 4.2 * roll + 4.2 * stop - 1.05 * stop * stop
    return car(ms, position=north(way_m), speed_mps=2.1 * off - 2.1 * stop, heading_deg=0.0)


def on_a_roundabout(ms: float) -> VehicleState:
    """6 m/s on a radius of 12 m, anticlockwise: 0.5 rad/s, 28.65 degrees a second to the left."""
    angle = 0.5 * ms / 1000
    return car(
        ms,
        position=displaced(PLACE, 12.0 * cos(angle), 12.0 * sin(angle)),
        speed_mps=6.0,
        heading_deg=-degrees(angle) % 360.0,
        yaw_rate_dps=degrees(0.5),
    )


def turning(start_deg: float, dps: float) -> Callable[[float], VehicleState]:
    return lambda ms: car(
        ms, position=north(2.0 * ms / 1000), speed_mps=2.0, heading_deg=(start_deg + dps * ms / 1000) % 360.0, yaw_rate_dps=-dps
    )


def changing_lanes(ms: float) -> VehicleState:
    """At 100 km/h 3.5 m to the left within 4 s, the indicator on: the heading leaves the road's by three degrees at most."""
    part = min(ms / 4000, 1.0)
    left_m = 3.5 * (part - sin(radians(360.0 * part)) / 6.283185)
    return car(
        ms,
        position=displaced(PLACE, -left_m, 100 * KMH * ms / 1000),
        speed_mps=100 * KMH,
        heading_deg=-1.8 * (1 - cos(radians(360.0 * part))) / 2 % 360.0,
        turn_left=True,
    )


def backing_out(ms: float) -> VehicleState:
    backwards_m = 1.5 * max(0.0, ms / 1000 - 1.45)
    speed_mps = 1.5 if ms >= 1450 else 0.0
    return car(ms, position=north(-backwards_m), speed_mps=speed_mps, heading_deg=0.0, drive_direction=DriveDirection.BACKWARD)


def through_a_tunnel(ms: float) -> VehicleState:
    """The last fix is of 1000 ms, the next of 4000 ms; wheels and compass go on."""
    fix_ms = 1000 if 1000 <= ms < 4000 else ms
    return car(ms, fix_ms=fix_ms, position=north(22.0 * fix_ms / 1000), speed_mps=22.0, heading_deg=0.0)


def tram_at_its_stop(ms: float) -> VehicleState:
    t = max(0.0, ms / 1000 - 2.0)
    return car(ms, position=north(0.55 * t * t), speed_mps=1.1 * t, heading_deg=0.0, doors_open=ms < 1500)


def ambulance(ms: float) -> VehicleState:
    is_on = 1100 <= ms < 2500 or ms >= 2700
    return steady(25.0, light_bar_on=is_on, siren_on=False)(ms)


SITUATIONS = {
    # Nothing changes, so condition 2 alone: T_GenCam stays 1000 ms.
    "parked": Situation(
        state=parked, until_ms=4_500, sent_ms=[0, 1000, 2000, 3000, 4000], low_frequency_ms=[0, 1000, 2000, 3000, 4000]
    ),
    # Two fixes are at most 3 m apart, less than 4 m.
    "parked, and the receiver's fixes dance": Situation(
        state=parked_under_a_noisy_sky, until_ms=3_500, sent_ms=[0, 1000, 2000, 3000], low_frequency_ms=[0, 1000, 2000, 3000]
    ),
    # The first CAM leaves at the first check with a position.
    "engine start": Situation(state=woken, until_ms=3_000, sent_ms=[700, 1700, 2700], low_frequency_ms=[700, 1700, 2700]),
    # 1 m/s: 4 m would take 4 s, so condition 2 is first, once a second.
    "crawl in a jam": Situation(
        state=steady(1.0), until_ms=4_500, sent_ms=[0, 1000, 2000, 3000, 4000], low_frequency_ms=[0, 1000, 2000, 3000, 4000]
    ),
    # 13.89 m/s: 4 m take 288 ms, seen at 300. Containers: 300 < 500 <= 600.
    "steady town traffic at 50 km/h": Situation(
        state=steady(50 * KMH), until_ms=1_600, sent_ms=[0, 300, 600, 900, 1200, 1500], low_frequency_ms=[0, 600, 1200]
    ),
    # Condition 2 at 1000. From 1200 on 2.1 m/s2: 0.5 m/s take 238 ms, seen at 1450 (0.525), then every 250 up to 3200 (4.2
    # m/s). There T_GenCam is 250: at 3450, 3700 and 3950 condition 2 (4.2 m/s * 250 ms = 1.05 m), the third makes T_GenCam
    # 1000. From 3950, 4 m take 952 ms, seen at 4950 with 4.2 m (T_GenCam = 1000, and condition 2 would agree). From 5200 on the
    # speed falls: 0.5 m/s less at 5439, seen at 5450; then every 250 to 7200, where it stands: 2.1 * 0.25 = 0.525. T_GenCam is
    # 250 again: 7450, 7700, 7950 by condition 2, and then a second later.
    "stop and go in town": Situation(
        state=stop_and_go,
        until_ms=9_500,
        sent_ms=[0, 1000, *range(1450, 3201, 250), 3450, 3700, 3950, 4950, *range(5450, 7201, 250), 7450, 7700, 7950, 8950],
        low_frequency_ms=[0, 1000, 1700, 2200, 2700, 3200, 3700, 4950, 5450, 5950, 6450, 6950, 7450, 7950, 8950],
    ),
    # 36.11 m/s: 3.6 m in 100 ms, 5.4 m in 150.
    "steady motorway at 130 km/h": Situation(
        state=steady(130 * KMH), until_ms=1_400, sent_ms=list(range(0, 1_400, 150)), low_frequency_ms=[0, 600, 1200]
    ),
    # 30 m/s: 4.5 m in 150 ms, up to 600. Then 8 m/s2: 0.4 m/s in 50 ms, 0.8 in 100. At 4300 it is 0.4 m/s fast, at 4350 it
    # stands: 0.4 m/s is no reason, so condition 2 with T_GenCam 100 at 4400, 4500, 4600, and then a second later.
    "hard braking to a standstill": Situation(
        state=braking_hard,
        until_ms=6_000,
        sent_ms=[0, 150, 300, 450, *range(600, 4_601, 100), 5600],
        low_frequency_ms=[0, *range(600, 4_601, 500), 5600],
    ),
    # From 1000 on 3 m/s2: 0.45 m/s in 150 ms, 0.6 in 200. At 5000 it is 12 m/s fast and T_GenCam 200: three by condition 2 (2.4
    # m in 200 ms), then T_GenCam is 1000 and 4 m take 333 ms, seen at 350.
    "acceleration from standstill": Situation(
        state=from_standstill,
        until_ms=6_900,
        sent_ms=[0, *range(1000, 5_001, 200), 5200, 5400, 5600, 5950, 6300, 6650],
        low_frequency_ms=[0, *range(1000, 5_300, 600), 5950, 6650],
    ),
    # 28.65 degrees a second: 4 degrees take 140 ms, seen at 150; 0.9 m are no reason.
    "roundabout": Situation(
        state=on_a_roundabout, until_ms=1_300, sent_ms=list(range(0, 1_300, 150)), low_frequency_ms=[0, 600, 1200]
    ),
    # 9 degrees a second: 4 degrees take 444 ms, seen at 450. North is crossed at 1111 ms, between two CAMs.
    "heading across north to the right": Situation(
        state=turning(350.0, 9.0), until_ms=2_300, sent_ms=[0, 450, 900, 1350, 1800, 2250], low_frequency_ms=[0, 900, 1800]
    ),
    "heading across north to the left": Situation(
        state=turning(10.0, -9.0), until_ms=2_300, sent_ms=[0, 450, 900, 1350, 1800, 2250], low_frequency_ms=[0, 900, 1800]
    ),
    # 27.8 m/s: 4.17 m in 150 ms; the heading changes by less than two degrees in all.
    "lane change": Situation(
        state=changing_lanes, until_ms=1_400, sent_ms=list(range(0, 1_400, 150)), low_frequency_ms=[0, 600, 1200]
    ),
    # Standing until 1450; there 1.5 m/s backwards are a change of speed, after 450 ms. That is T_GenCam: 1900, 2350, 2800 by
    # condition 2 (0.7 m each), then a second later.
    "reversing": Situation(
        state=backing_out,
        until_ms=4_000,
        sent_ms=[0, 1000, 1450, 1900, 2350, 2800, 3800],
        low_frequency_ms=[0, 1000, 1900, 2800, 3800],
    ),
    # 22 m/s: 3.3 m in 150 ms, 4.4 in 200, up to 1000. The last fix may be used until 1500: 1200 and 1400 by condition 2. Then
    # nothing is known to be said, until at 4000 a fix is back, 66 m farther on.
    "tunnel without position, and out of it": Situation(
        state=through_a_tunnel,
        until_ms=4_900,
        sent_ms=[0, 200, 400, 600, 800, 1000, 1200, 1400, 4000, 4200, 4400, 4600, 4800],
        low_frequency_ms=[0, 600, 1200, 4000, 4600],
    ),
    # 150 ms as on the motorway, the last before the limit at 900. While the channel allows 500 ms: 1400, 1900, 2400, 2900. At
    # 3000 it is free again, and 150 ms after 2900 condition 1 holds.
    "a congested channel, and a free one again": Situation(
        state=steady(130 * KMH),
        until_ms=3_600,
        dcc_ms=lambda ms: 500 if 1000 <= ms < 3000 else 100,
        sent_ms=[0, 150, 300, 450, 600, 750, 900, 1400, 1900, 2400, 2900, 3050, 3200, 3350, 3500],
        low_frequency_ms=[0, 600, 1400, 1900, 2400, 2900, 3500],
    ),
    # T_GenCam_DCC is never taken for more than T_GenCamMax nor for less than T_GenCamMin.
    "a channel that would allow one in a minute": Situation(
        state=steady(130 * KMH),
        until_ms=2_500,
        dcc_ms=lambda _ms: 60_000,
        sent_ms=[0, 1000, 2000],
        low_frequency_ms=[0, 1000, 2000],
    ),
    "a channel that allows more than the service": Situation(
        state=steady(70.0), until_ms=700, dcc_ms=lambda _ms: 0, sent_ms=[0, 100, 200, 300, 400, 500, 600], low_frequency_ms=[0, 500]
    ),
    # 300 ms as in town; another name at 1000 speaks first at its first check, 1020, with every container, and keeps its own
    # grid.
    "pseudonym change on the way": Situation(
        state=steady(50 * KMH),
        until_ms=2_000,
        changes_ms=(1000,),
        sent_ms=[0, 300, 600, 900, 1020, 1320, 1620, 1920],
        low_frequency_ms=[0, 600, 1020, 1620],
    ),
    # Once a second at the stop; from 2000 on 1.1 m/s2: 0.5 m/s take 455 ms, seen at 500 (0.55). Both containers in each, 500 ms
    # apart.
    "tram at its stop, and on": Situation(
        state=tram_at_its_stop,
        until_ms=4_200,
        duty=TRAM,
        station_type=StationType.TRAM,
        sent_ms=[0, 1000, 2000, 2500, 3000, 3500, 4000],
        low_frequency_ms=[0, 1000, 2000, 2500, 3000, 3500, 4000],
        special_ms=[0, 1000, 2000, 2500, 3000, 3500, 4000],
    ),
    # 25 m/s: 3.75 m in 150 ms, 5 in 200. The light bar goes on at 1100: the container is in the next CAM, 1200, and then every 600;
    # off at 2500, so none at 2600, and on again at 2700: in the next, 2800, though 2400 is less than 500 ms ago.
    "ambulance, light bar on, off and on": Situation(
        state=ambulance,
        until_ms=4_100,
        duty=AMBULANCE,
        station_type=StationType.SPECIAL_VEHICLE,
        sent_ms=list(range(0, 4_100, 200)),
        low_frequency_ms=list(range(0, 4_100, 600)),
        special_ms=[1200, 1800, 2400, 2800, 3400, 4000],
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_cams_leave_when_the_clause_says_and_with_the_containers_it_says(name: str) -> None:
    situation = SITUATIONS[name]
    cams = spoken(situation)
    assert [ms for ms, _ in cams] == situation.sent_ms
    assert [ms for ms, cam in cams if cam.low_frequency is not None] == situation.low_frequency_ms
    assert [ms for ms, cam in cams if cam.special_vehicle is not None] == situation.special_ms
    assert {cam.station_type for _, cam in cams} == {situation.station_type}


def low_frequency_of(name: str) -> list[tuple[int, VehicleRole, ExteriorLights, int]]:
    """Return role, lights and number of path points of each low-frequency container."""
    return [
        (ms, cam.low_frequency.vehicle_role, cam.low_frequency.exterior_lights, len(cam.low_frequency.path_history))
        for ms, cam in spoken(SITUATIONS[name])
        if cam.low_frequency is not None
    ]


def test_a_new_name_brings_no_path_of_the_old_one() -> None:
    cams = spoken(SITUATIONS["pseudonym change on the way"])
    assert [(ms, cam.station_id) for ms, cam in cams if ms >= 900][:2] == [(900, StationId(1)), (1020, StationId(2))]
    assert [points for _, _, _, points in low_frequency_of("pseudonym change on the way")] == [0, 1, 0, 1]


def test_on_a_roundabout_the_curvature_is_that_of_its_radius() -> None:
    for _, cam in spoken(SITUATIONS["roundabout"]):
        assert cam.curvature_per_m == pytest.approx(1 / 12.0)


def test_backwards_the_speed_has_no_sign_and_the_reverse_light_is_on() -> None:
    cams = spoken(SITUATIONS["reversing"])
    assert {cam.drive_direction for _, cam in cams} == {DriveDirection.BACKWARD}
    assert [cam.speed_mps for _, cam in cams] == [0.0, 0.0, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert {lights for _, _, lights, _ in low_frequency_of("reversing")} == {ExteriorLights.REVERSE_LIGHT_ON}


def test_the_indicator_is_told_during_a_lane_change() -> None:
    assert {lights for _, _, lights, _ in low_frequency_of("lane change")} == {ExteriorLights.LEFT_TURN_SIGNAL_ON}


def test_a_position_of_the_tunnel_s_mouth_is_dated_when_it_was_taken() -> None:
    cams = dict(spoken(SITUATIONS["tunnel without position, and out of it"]))
    assert cams[1400].generation_delta_time_ms == cams[1000].generation_delta_time_ms
    assert (cams[4000].generation_delta_time_ms - cams[1000].generation_delta_time_ms) % 65_536 == 3_000


def specials_of(name: str) -> list[tuple[int, SpecialVehicle | tuple[str, bytes] | None]]:
    return [(ms, cam.special_vehicle) for ms, cam in spoken(SITUATIONS[name]) if cam.special_vehicle is not None]


def test_a_tram_says_that_passengers_get_on_until_its_doors_close() -> None:
    said = specials_of("tram at its stop, and on")
    assert said == [(ms, PublicTransport(embarkation_status=ms < 1500)) for ms, _ in said]
    assert {role for _, role, _, _ in low_frequency_of("tram at its stop, and on")} == {VehicleRole.PUBLIC_TRANSPORT}


def test_an_ambulance_has_its_role_while_its_light_bar_is_on() -> None:
    name = "ambulance, light bar on, off and on"
    assert {special for _, special in specials_of(name)} == {Emergency(light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED)}
    roles = {ms: role for ms, role, _, _ in low_frequency_of(name)}
    emergency = [ms for ms, role in roles.items() if role is VehicleRole.EMERGENCY]
    assert emergency == [1200, 1800, 2400, 3000, 3600]
    assert {role for ms, role in roles.items() if ms not in emergency} == {VehicleRole.DEFAULT}


def test_a_cam_that_could_not_be_sent_keeps_both_containers_for_the_next() -> None:
    """What `note_sent` never heard of did not happen: the next check brings the same again."""
    service = CamService(
        station_id=StationId(1),
        station_type=StationType.TRAM,
        length_m=30.0,
        width_m=2.4,
        phase_ns=0,
        duty=TRAM,
        granted=0xFF_FC,
    )
    for ms in (0, 50, 100):
        due = service.poll(tram_at_its_stop(ms), Instant(MonotonicNs(ms * NS_PER_MS), NOON), t_gen_cam_dcc_ns=NS_PER_S)
        assert due is not None
        assert due.cam.low_frequency is not None
        assert due.cam.special_vehicle is not None
