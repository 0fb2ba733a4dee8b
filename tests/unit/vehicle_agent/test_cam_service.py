"""What a CAM says about the car, and what it leaves out when the car did not say it."""

from itertools import pairwise
from math import inf
from typing import TypeVar

import pytest
from msgspec.structs import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam, decode_cam, encode_cam
from shared.messages.cam_special import Emergency
from shared.messages.cdd import (
    AccelerationControl,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    LightBarSirenInUse,
    VehicleRole,
)
from vehicle_agent.cam_service import CamDue, CamService
from vehicle_agent.special_vehicle import NO_DUTY, Duty
from vehicle_agent.vehicle_state import Aged, VehicleState

T = TypeVar("T")

_START_UTC = 1_780_000_000 * NS_PER_S
_PLACE = GeoPoint(48.2, 11.6)


def _instant(ms: int, *, trusted: bool = True) -> Instant:
    return Instant(MonotonicNs(ms * NS_PER_MS), UtcNs(_START_UTC + ms * NS_PER_MS) if trusted else None)


def _service(phase_ms: int = 0) -> CamService:
    return CamService(
        station_id=StationId(77),
        station_type=StationType.PASSENGER_CAR,
        length_m=4.6,
        width_m=1.85,
        phase_ns=phase_ms * NS_PER_MS,
        duty=NO_DUTY,
        granted=0,
    )


def _aged(value: T, at_ms: int, max_age_ms: int = 500) -> Aged[T]:
    return Aged(value, MonotonicNs(at_ms * NS_PER_MS), max_age_ms * NS_PER_MS)


def _state(at_ms: int, position: GeoPoint = _PLACE, speed_mps: float = 10.0) -> VehicleState:
    return VehicleState(position=_aged(position, at_ms), speed_mps=_aged(speed_mps, at_ms), heading_deg=_aged(12.0, at_ms))


def _due(service: CamService, state: VehicleState, ms: int) -> CamDue | None:
    return service.poll(state, _instant(ms))


def _drive(seconds: int) -> list[tuple[int, Cam]]:
    service, sent = _service(), []
    for ms in range(0, seconds * 1000, 50):
        due = _due(service, _state(ms, displaced(_PLACE, 0.0, ms * 0.015), 15.0), ms)
        if due is not None:
            service.note_sent(due, MonotonicNs(ms * NS_PER_MS))
            sent.append((ms, due.cam))
    return sent


def test_a_car_without_a_position_says_nothing() -> None:
    assert _due(_service(), VehicleState(speed_mps=_aged(3.0, 0)), 0) is None


def test_a_position_too_old_is_no_position() -> None:
    assert _due(_service(), _state(0), 501) is None


def test_what_the_bus_does_not_give_is_unavailable_not_zero() -> None:
    due = _due(_service(), VehicleState(position=_aged(_PLACE, 0)), 0)
    assert due is not None
    decoded = decode_cam(encode_cam(due.cam))
    assert (decoded.speed_mps, decoded.heading_deg, decoded.yaw_rate_dps, decoded.altitude_m) == (None,) * 4
    assert decoded.acceleration_control is None


def test_a_stale_speed_is_unavailable_while_a_fresh_position_is_sent() -> None:
    state = VehicleState(position=_aged(_PLACE, 900), speed_mps=_aged(20.0, 0))
    due = _due(_service(), state, 900)
    assert due is not None
    assert due.cam.speed_mps is None


def test_generation_delta_time_is_the_time_of_the_position() -> None:
    due = _due(_service(), _state(1_000), 1_120)
    assert due is not None
    assert due.cam.generation_delta_time_ms == generation_delta_time(time64_of(UtcNs(_START_UTC + 1_000 * NS_PER_MS)))


def test_without_trusted_time_the_car_does_not_speak_and_says_why() -> None:
    with pytest.raises(UntrustedTimeError):
        _service().poll(_state(0), _instant(0, trusted=False))


def test_the_first_cam_and_then_one_every_half_second_has_the_low_frequency_container() -> None:
    sent = _drive(4)
    with_low_frequency = [ms for ms, cam in sent if cam.low_frequency is not None]
    assert with_low_frequency[0] == sent[0][0]
    gaps = [b - a for a, b in pairwise(with_low_frequency)]
    assert all(gap >= 500 for gap in gaps)
    assert len(with_low_frequency) >= 6
    assert len(with_low_frequency) < len(sent)


def test_the_path_history_leads_back_the_way_the_car_came() -> None:
    last = [cam for _, cam in _drive(8) if cam.low_frequency is not None][-1]
    assert last.low_frequency is not None
    first_point = last.low_frequency.path_history[0]
    assert first_point.delta_lat_deg is not None
    assert first_point.delta_lat_deg < 0
    assert first_point.delta_time_s is not None
    assert first_point.delta_time_s > 0


def test_lights_and_brake_are_told() -> None:
    state = VehicleState(
        position=_aged(_PLACE, 0),
        brake_pedal_pressed=_aged(value=True, at_ms=0),
        turn_left=_aged(value=True, at_ms=0),
        low_beam=_aged(value=True, at_ms=0),
    )
    due = _due(_service(), state, 0)
    assert due is not None
    assert due.cam.acceleration_control == AccelerationControl.BRAKE_PEDAL_ENGAGED
    assert due.cam.low_frequency is not None
    assert due.cam.low_frequency.exterior_lights == (ExteriorLights.LEFT_TURN_SIGNAL_ON | ExteriorLights.LOW_BEAM_HEADLIGHTS_ON)


def test_a_reversing_car_has_a_negative_speed_in_its_position_vector_only() -> None:
    state = VehicleState(position=_aged(_PLACE, 0), speed_mps=_aged(2.0, 0), drive_direction=_aged(DriveDirection.BACKWARD, 0))
    due = _due(_service(), state, 0)
    assert due is not None
    assert due.position.speed_mps == -2.0
    assert due.cam.speed_mps == 2.0
    assert due.cam.drive_direction is DriveDirection.BACKWARD


def test_two_cars_started_together_check_at_different_moments() -> None:
    one, other = _service(phase_ms=10), _service(phase_ms=35)
    assert one.next_due() != other.next_due()
    assert _due(other, _state(20), 20) is None
    assert _due(one, _state(20), 20) is not None


def _only(state: VehicleState) -> Cam:
    """Return the first CAM of a service, as a receiver decodes it."""
    due = _due(_service(), state, 0)
    assert due is not None
    return decode_cam(encode_cam(due.cam))


LAMPS = {
    "low_beam": ExteriorLights.LOW_BEAM_HEADLIGHTS_ON,
    "high_beam": ExteriorLights.HIGH_BEAM_HEADLIGHTS_ON,
    "turn_left": ExteriorLights.LEFT_TURN_SIGNAL_ON,
    "turn_right": ExteriorLights.RIGHT_TURN_SIGNAL_ON,
    "hazard_lights": ExteriorLights.LEFT_TURN_SIGNAL_ON | ExteriorLights.RIGHT_TURN_SIGNAL_ON,
    "daytime_running_light": ExteriorLights.DAYTIME_RUNNING_LIGHTS_ON,
    "front_fog_light": ExteriorLights.FOG_LIGHT_ON,
    "rear_fog_light": ExteriorLights.FOG_LIGHT_ON,
    "parking_light": ExteriorLights.PARKING_LIGHTS_ON,
}

PEDALS = {
    "brake_pedal_pressed": AccelerationControl.BRAKE_PEDAL_ENGAGED,
    "gas_pedal_pressed": AccelerationControl.GAS_PEDAL_ENGAGED,
    "automatic_emergency_braking": AccelerationControl.EMERGENCY_BRAKE_ENGAGED,
    "cruise_control": AccelerationControl.CRUISE_CONTROL_ENGAGED,
}


def _with_flag(name: str, *, on: bool) -> VehicleState:
    return replace(_state(0), **{name: _aged(on, 0)})


@pytest.mark.parametrize("name", LAMPS)
def test_every_lamp_is_its_bit_and_dark_when_off_or_unknown(name: str) -> None:
    for state, lights in (
        (_with_flag(name, on=True), LAMPS[name]),
        (_with_flag(name, on=False), ExteriorLights(0)),
        (_state(0), ExteriorLights(0)),
    ):
        low_frequency = _only(state).low_frequency
        assert low_frequency is not None
        assert low_frequency.exterior_lights == lights


@pytest.mark.parametrize("name", PEDALS)
def test_every_pedal_and_regulator_is_its_bit_and_nothing_known_is_nothing_said(name: str) -> None:
    assert _only(_with_flag(name, on=True)).acceleration_control == PEDALS[name]
    assert _only(_with_flag(name, on=False)).acceleration_control == AccelerationControl(0)
    assert _only(_state(0)).acceleration_control is None


@pytest.mark.parametrize(
    ("speed_mps", "yaw_rate_dps", "direction", "curvature"),
    [
        (10.0, 5.73, DriveDirection.FORWARD, 0.01),
        (10.0, -5.73, DriveDirection.FORWARD, -0.01),
        (10.0, -5.73, DriveDirection.BACKWARD, 0.01),
        (10.0, 5.73, None, 0.01),
        (2.0, 90.0, DriveDirection.FORWARD, 0.1022),
    ],
    ids=["to the left", "to the right", "backwards, wheels to the left", "forwards unless it says otherwise", "on the spot"],
)
def test_the_curvature_follows_from_yaw_rate_and_speed(
    speed_mps: float, yaw_rate_dps: float, direction: DriveDirection | None, curvature: float
) -> None:
    state = replace(_state(0, speed_mps=speed_mps), yaw_rate_dps=_aged(yaw_rate_dps, 0))
    if direction is not None:
        state = replace(state, drive_direction=_aged(direction, 0))
    cam = _only(state)
    assert cam.curvature_per_m == pytest.approx(curvature, abs=1e-4)
    assert cam.curvature_calculation_mode is CurvatureCalculationMode.YAW_RATE_USED


def test_a_car_that_hardly_moves_or_does_not_say_how_has_no_curvature() -> None:
    for state in (replace(_state(0, speed_mps=1.9), yaw_rate_dps=_aged(5.0, 0)), _state(0)):
        cam = _only(state)
        assert (cam.curvature_per_m, cam.curvature_calculation_mode) == (None, None)


@pytest.mark.parametrize(
    ("accuracy_m", "said_m", "is_accurate"),
    [(1.4, 1.4, True), (39.9, 39.9, True), (40.0, 40.0, False), (60.0, inf, False), (None, None, True)],
)
def test_how_well_the_position_is_known_is_told_in_both_places(
    accuracy_m: float | None,
    said_m: float | None,
    is_accurate: bool,  # noqa: FBT001 - a column of a table
) -> None:
    """In the CAM as a circle of 95 %, and in the packet as a flag: known to less than half of 80 m (EN 302 636-4-1)."""
    state = _state(0) if accuracy_m is None else replace(_state(0), position_accuracy_m=_aged(accuracy_m, 0))
    due = _due(_service(), state, 0)
    assert due is not None
    cam = decode_cam(encode_cam(due.cam))
    assert (cam.semi_major_m, cam.semi_minor_m) == (said_m, said_m)
    assert due.position.is_accurate is is_accurate


def test_a_path_across_the_antimeridian_leads_back_across_it() -> None:
    service, start = _service(), displaced(GeoPoint(-16.8, 180.0), -40.0, 0.0)
    cams = []
    for ms in range(0, 8_000, 50):
        due = _due(service, _state(ms, displaced(start, ms * 0.01, 0.0)), ms)
        if due is not None:
            service.note_sent(due, MonotonicNs(ms * NS_PER_MS))
            cams.append(due.cam)
    last = [decode_cam(encode_cam(cam)) for cam in cams if cam.low_frequency is not None][-1]
    assert last.low_frequency is not None
    assert last.lon_deg is not None
    (point,) = last.low_frequency.path_history
    assert last.lon_deg < -179.99
    assert point.delta_lon_deg is not None
    assert (last.lon_deg + point.delta_lon_deg) % 360.0 == pytest.approx(start.lon_deg, abs=1e-6)


def test_a_role_the_ticket_lacks_costs_the_role_and_not_the_cam() -> None:
    service = CamService(
        station_id=StationId(77),
        station_type=StationType.SPECIAL_VEHICLE,
        length_m=7.0,
        width_m=2.2,
        phase_ns=0,
        duty=Duty(role=VehicleRole.EMERGENCY, container=Emergency(), shows_by_lamps=True),
        granted=0,
    )
    on = replace(_state(0), light_bar_on=_aged(value=True, at_ms=0))
    first = _due(service, on, 0)
    assert first is not None
    assert first.cam.low_frequency is not None
    assert (first.cam.special_vehicle, first.cam.low_frequency.vehicle_role) == (None, VehicleRole.DEFAULT)
    assert service.withheld == {"emergencyContainer": 1}
    assert [notice.kind for notice in service.take_notices()] == ["role_withheld"]
    service.assume(station_id=StationId(78), first_check=MonotonicNs(0), granted=0x02_00)
    second = _due(service, on, 50)
    assert second is not None
    assert second.cam.special_vehicle == Emergency(light_bar_siren=LightBarSirenInUse.LIGHT_BAR_ACTIVATED)
