"""Emergency vehicles on their way to us: which are told, when, from where, and when they are over."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of, timestamp_its, utc_from_text
from shared.facilities.neighbours import CONTAINER_LIFETIME_NS, Neighbours
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cam_special import Emergency, Rescue, SafetyCar
from shared.messages.cdd import DriveDirection, ExteriorLights, LightBarSirenInUse, VehicleRole
from shared.messages.denm import Denm, Termination
from shared.stack.station import EgoPosition
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.emergency_vehicles import (
    DENM_LIFETIME_NS,
    MAX_ANNOUNCED,
    MAX_TOLD,
    Course,
    EmergencyChange,
    EmergencyVehicles,
    Side,
)

NOON = utc_from_text("2026-11-22T12:00:00Z")
HERE = GeoPoint(48.137, 11.575)
BOTH_ON = LightBarSirenInUse.LIGHT_BAR_ACTIVATED | LightBarSirenInUse.SIREN_ACTIVATED
OFF = LightBarSirenInUse(0)


def at(seconds: float) -> Instant:
    elapsed = round(seconds * NS_PER_S)
    return Instant(MonotonicNs(5_000 * NS_PER_S + elapsed), UtcNs(NOON + elapsed))


def ego(*, heading_deg: float | None = 0.0, speed_mps: float = 10.0, north_m: float = 0.0) -> EgoPosition:
    return EgoPosition(point=displaced(HERE, 0.0, north_m), taken_at=NOON, speed_mps=speed_mps, heading_deg=heading_deg)


def cam(
    east_m: float,
    north_m: float,
    heading_deg: float,
    speed_mps: float,
    *,
    now: Instant,
    role: VehicleRole = VehicleRole.EMERGENCY,
    special: object = None,
) -> Cam:
    point = displaced(HERE, east_m, north_m)
    said = Cam(
        station_id=StationId(112),
        generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())),
        station_type=StationType.SPECIAL_VEHICLE,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        heading_deg=heading_deg,
        speed_mps=speed_mps,
        drive_direction=DriveDirection.FORWARD,
        low_frequency=LowFrequency(vehicle_role=role, exterior_lights=ExteriorLights(0)),
    )
    return replace(said, special_vehicle=special)


SIREN = Emergency(light_bar_siren=BOTH_ON)


def told(*cams: Cam, place: EgoPosition | None = None) -> list[tuple[EmergencyChange, Side | None]]:
    neighbours, vehicles, place = Neighbours(), EmergencyVehicles(), place or ego()
    for number, one in enumerate(cams, 1):
        neighbours.hear(verified(one, at(0), signer=number), at(0))
    return [(n.change, n.vehicle.side) for n in vehicles.poll(neighbours.within(1_000, place, at(0)), place, at(0))]


@pytest.mark.parametrize(
    ("place", "side", "course"),
    [
        ((0, -200, 0, 25), Side.BEHIND, Course.SAME),
        ((3, 300, 180, 20), Side.AHEAD, Course.ONCOMING),
        ((150, 80, 270, 15), Side.RIGHT, Course.CROSSING),
        ((-150, 80, 90, 15), Side.LEFT, Course.CROSSING),
    ],
)
def test_it_is_told_from_where_it_comes(place: tuple[float, float, float, float], side: Side, course: Course) -> None:
    neighbours, vehicles = Neighbours(), EmergencyVehicles()
    neighbours.hear(verified(cam(*place, now=at(0), special=SIREN), at(0)), at(0))
    (notice,) = vehicles.poll(neighbours.within(1_000, ego(), at(0)), ego(), at(0))
    assert (notice.change, notice.vehicle.side, notice.vehicle.course) == (EmergencyChange.APPROACHING, side, course)
    assert (notice.vehicle.light_bar, notice.vehicle.siren, notice.vehicle.is_rescue) == (True, True, False)


def test_the_time_to_reach_is_until_it_is_nearest() -> None:
    neighbours, vehicles = Neighbours(), EmergencyVehicles()
    neighbours.hear(verified(cam(4, -200, 0, 25, now=at(0), special=SIREN), at(0)), at(0))
    (notice,) = vehicles.poll(neighbours.within(1_000, ego(), at(0)), ego(), at(0))
    assert notice.vehicle.time_to_reach_s == pytest.approx(200 / 15, abs=0.05)
    assert notice.vehicle.closest_m == pytest.approx(4, abs=0.05)
    assert vehicles.near == (notice.vehicle,)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (cam(0, -200, 180, 25, now=at(0), special=SIREN), "it drives away"),
        (cam(0, -600, 0, 20, now=at(0), special=SIREN), "it needs a minute"),
        (cam(400, -200, 0, 25, now=at(0), special=SIREN), "it passes far away"),
        (cam(0, 200, 0, 0, now=at(0), special=SIREN), "it stands"),
        (cam(0, -200, 0, 25, now=at(0), special=Emergency(light_bar_siren=OFF)), "its light bar and siren are off"),
        (cam(0, -200, 0, 25, now=at(0), role=VehicleRole.TAXI), "it is none"),
        (
            cam(0, -200, 0, 25, now=at(0), role=VehicleRole.SAFETY_CAR, special=SafetyCar(light_bar_siren=BOTH_ON)),
            "a safety car is none",
        ),
    ],
)
def test_what_is_no_emergency_vehicle_on_its_way_here_is_not_told(one: Cam, why: str) -> None:
    assert told(one) == [], why


def test_a_role_alone_and_a_rescue_vehicle_are_told() -> None:
    by_role = cam(0, -200, 0, 25, now=at(0))
    tow_truck = cam(
        0, -150, 0, 25, now=at(0), role=VehicleRole.RESCUE, special=Rescue(light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED)
    )
    assert [change for change, _ in told(by_role, tow_truck)] == [EmergencyChange.APPROACHING] * 2


def test_without_a_heading_of_our_own_it_is_told_without_a_side() -> None:
    assert told(cam(0, -200, 0, 25, now=at(0), special=SIREN), place=ego(heading_deg=None, speed_mps=0.0)) == [
        (EmergencyChange.APPROACHING, None)
    ]


def drive_by(
    steps: Iterable[int], *, lights: LightBarSirenInUse = BOTH_ON, heard_until_s: float = 1e9
) -> list[tuple[float, EmergencyChange, Side | None]]:
    """We drive north at 10 m/s; it comes from 300 m behind at 25 m/s beside us, and goes on."""
    neighbours, vehicles, found = Neighbours(), EmergencyVehicles(), []
    for step in steps:
        seconds = step / 5
        now, here = at(seconds), ego(north_m=10 * seconds)
        if seconds <= heard_until_s:
            special = Emergency(light_bar_siren=lights)
            neighbours.hear(verified(cam(-3.5, -300 + 25 * seconds, 0, 25, now=now, special=special), now), now)
        notices = vehicles.poll(neighbours.within(1_000, here, now), here, now)
        found += [(seconds, notice.change, notice.vehicle.side) for notice in notices]
    return found


def test_one_that_overtakes_is_told_when_it_comes_when_it_is_near_beside_ahead_and_when_it_has_passed() -> None:
    events = drive_by(range(300))
    assert [(change, side) for _, change, side in events] == [
        (EmergencyChange.APPROACHING, Side.BEHIND),
        (EmergencyChange.CHANGED, Side.BEHIND),
        (EmergencyChange.CHANGED, Side.LEFT),
        (EmergencyChange.CHANGED, Side.AHEAD),
        (EmergencyChange.CHANGED, Side.AHEAD),
        (EmergencyChange.PASSED, Side.AHEAD),
    ]
    first, urgent, beside, ahead, calm, passed = (seconds for seconds, _, _ in events)
    assert first <= 0.2
    assert urgent == pytest.approx(14, abs=0.3)  # 20 s to reach, 6 s before
    assert beside <= 20.0 < ahead <= beside + 1.2
    assert calm == pytest.approx(20 + 50 / 15, abs=0.3)
    assert passed == pytest.approx(20 + 80 / 15 + 3, abs=0.5)


def test_one_that_falls_silent_is_gone_and_can_come_again() -> None:
    events = drive_by(range(60), heard_until_s=5)
    assert [change for _, change, _ in events] == [EmergencyChange.APPROACHING, EmergencyChange.GONE]
    assert events[1][0] == pytest.approx(5 + CONTAINER_LIFETIME_NS / NS_PER_S, abs=0.2)


def test_a_vehicle_on_the_edge_of_what_is_told_does_not_flicker() -> None:
    neighbours, vehicles, changes = Neighbours(), EmergencyVehicles(), []
    for step in range(200):
        now, here = at(step / 5), ego(speed_mps=0.0)
        wobble = 12.4 if step % 2 else 12.7  # 20.2 s or 19.7 s away
        neighbours.hear(verified(cam(0, -250, 0, wobble, now=now, special=SIREN), now), now)
        changes += [n.change for n in vehicles.poll(neighbours.within(1_000, here, now), here, now)]
    assert changes == [EmergencyChange.APPROACHING]


def test_a_siren_that_flutters_is_told_once_a_second_at_most() -> None:
    neighbours, vehicles, moments = Neighbours(), EmergencyVehicles(), []
    for step in range(50):
        now, here = at(step / 5), ego(speed_mps=0.0)
        special = Emergency(light_bar_siren=BOTH_ON if step % 2 else LightBarSirenInUse.LIGHT_BAR_ACTIVATED)
        neighbours.hear(verified(cam(0, -200, 0, 15, now=now, special=special), now), now)
        moments += [step / 5 for _ in vehicles.poll(neighbours.within(1_000, here, now), here, now)]
    assert all(later - before >= 1.0 for before, later in pairwise(moments))


def denm(north_m: float, *, seconds: float = 0.0, number: int = 1, **fields: object) -> Denm:
    point = displaced(HERE, 0.0, north_m)
    date = timestamp_its(time64_of(at(seconds).require_utc()))
    said = Denm(
        station_id=StationId(112),
        action_id=ActionId(StationId(112), number),
        detection_time=date,
        reference_time=date,
        station_type=StationType.SPECIAL_VEHICLE,
        lat_deg=point.lat_deg,
        lon_deg=point.lon_deg,
        cause_code=95,
        sub_cause_code=1,
        event_speed_mps=25.0,
        event_heading_deg=0.0,
    )
    return replace(said, **fields)


def from_denm(*heard: tuple[float, Denm], until_s: float = 0.0) -> EmergencyVehicles:
    vehicles = EmergencyVehicles()
    for seconds, one in heard:
        vehicles.hear(verified(one, at(seconds)), at(seconds))
    vehicles.poll((), ego(), at(until_s))
    return vehicles


def test_a_denm_tells_of_one_too_until_it_is_too_old_or_cancelled() -> None:
    assert [v.side for v in from_denm((0, denm(-200))).near] == [Side.BEHIND]
    assert from_denm((0, denm(-200)), until_s=DENM_LIFETIME_NS / NS_PER_S).near == ()
    assert (
        from_denm((0, denm(-200)), (0.5, denm(-190, seconds=0.5, termination=Termination.IS_CANCELLATION)), until_s=0.6).near == ()
    )
    assert from_denm((0, denm(-200, validity_duration_s=1)), until_s=1.0).near == ()
    assert from_denm((6, denm(-200))).near == ()


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (denm(-200, cause_code=94), "another cause"),
        (denm(-200, lat_deg=None), "no place"),
        (denm(-200, event_speed_mps=None), "no speed"),
    ],
)
def test_a_denm_that_says_too_little_or_something_else_tells_of_none(one: Denm, why: str) -> None:
    assert from_denm((0, one)).near == (), why


def test_an_older_denm_and_the_end_of_another_event_change_nothing() -> None:
    vehicles = from_denm(
        (1, denm(-200, seconds=1)),
        (1, denm(500, seconds=0)),
        (1, denm(0, number=2, termination=Termination.IS_CANCELLATION)),
        until_s=1,
    )
    assert [round(v.distance_m) for v in vehicles.near] == [200]


def test_where_one_ticket_says_it_by_cam_and_denm_it_is_one_vehicle_and_the_cam_counts() -> None:
    vehicles, neighbours = EmergencyVehicles(), Neighbours()
    vehicles.hear(verified(denm(-250), at(0)), at(0))
    neighbours.hear(verified(cam(0, -200, 0, 25, now=at(0), special=SIREN), at(0)), at(0))
    vehicles.poll(neighbours.within(1_000, ego(), at(0)), ego(), at(0))
    assert [(round(v.distance_m), v.siren) for v in vehicles.near] == [(200, True)]


def test_a_crowd_of_them_is_bounded_and_the_nearest_are_told() -> None:
    vehicles, neighbours = EmergencyVehicles(), Neighbours()
    for number in range(200):
        vehicles.hear(verified(denm(-200), at(0), signer=1_000 + number), at(0))
        neighbours.hear(verified(cam(0, -100 - number / 10, 0, 25, now=at(0), special=SIREN), at(0), signer=number), at(0))
    notices = vehicles.poll(neighbours.within(1_000, ego(), at(0)), ego(), at(0))
    assert len(vehicles._announced) == MAX_ANNOUNCED
    assert len(notices) == len(vehicles.near) == MAX_TOLD
    assert max(v.distance_m for v in vehicles.near) == pytest.approx(100 + (MAX_TOLD - 1) / 10, abs=0.05)
