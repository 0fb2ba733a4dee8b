"""What a CAM says about the car, and what it leaves out when the car did not say it."""

from itertools import pairwise
from typing import TypeVar

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam, decode_cam, encode_cam
from shared.messages.cdd import AccelerationControl, DriveDirection, ExteriorLights
from vehicle_agent.cam_service import CamDue, CamService
from vehicle_agent.special_vehicle import NO_DUTY
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
