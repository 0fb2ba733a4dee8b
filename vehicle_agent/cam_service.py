"""The CAM basic service of a vehicle: state in, CAM out (EN 302 637-2 V1.4.1 clauses 5.3 and 6.1).

The service fills the containers from a `VehicleState`, adds the low-frequency container to the first CAM and then whenever 500 ms
have passed since the last that had it, likewise the special-vehicle container while `SpecialRole` claims one, and keeps the path
history. It signs and sends nothing: it answers `poll` with a `CamDue`, and takes `note_sent` once the packet really left. A value
the bus does not give, or gave too long ago, is unavailable in the CAM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import radians

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint
from shared.core.ids import StationId, StationType
from shared.core.itstime import Time64, generation_delta_time
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cdd import (
    AccelerationControl,
    CurvatureCalculationMode,
    DriveDirection,
    ExteriorLights,
    PathPoint,
    VehicleRole,
)
from shared.messages.positions import path_led_by
from shared.security.freshness import trusted_time64
from shared.stack.effects import Notice
from shared.stack.station import EgoPosition
from vehicle_agent.cam_trigger import T_CHECK_CAM_GEN_NS, T_GEN_CAM_MIN_NS, CamTrigger, Dynamics, TriggerCondition
from vehicle_agent.ego import ego_position
from vehicle_agent.path_history import PathHistory, TracePoint, can_be_said, delta_deg
from vehicle_agent.special_vehicle import Duty, SpecialRole
from vehicle_agent.vehicle_state import VehicleState, fresh

T_GEN_CAM_LF_NS = 500 * NS_PER_MS
"""Least interval between two low-frequency containers, and between two special-vehicle containers."""

MIN_CURVATURE_SPEED_MPS = 2.0
"""Slower than this the quotient of yaw rate and speed is noise."""

MIN_PATH_DELTA_TIME_S = 0.01
MAX_PATH_DELTA_TIME_S = 655.35


@dataclass(frozen=True, slots=True, kw_only=True)
class CamDue:
    """A CAM that should leave now.

    Attributes:
        cam: the message.
        position: for the position vector.
        dynamics: what the next trigger compares with.
        condition: why it is due.
    """

    cam: Cam
    position: EgoPosition
    dynamics: Dynamics
    condition: TriggerCondition


class CamService:
    """Builds the CAMs of one pseudonym at a time.

    Args:
        station_id: the pseudonym's to begin with.
        station_type: of the vehicle.
        length_m: outline of the vehicle.
        width_m: likewise.
        phase_ns: offset of this station's checks within `T_CHECK_CAM_GEN_NS`, so that a fleet does not speak in lock-step.
        duty: what the vehicle is for.
        granted: octets 1 and 2 of the CAM SSP of the ticket to begin with (`shared.stack.cam_permissions.ticket_flags`).
    """

    def __init__(
        self,
        *,
        station_id: StationId,
        station_type: StationType,
        length_m: float,
        width_m: float,
        phase_ns: int,
        duty: Duty,
        granted: int,
    ) -> None:
        self._role = SpecialRole(duty, granted=granted)
        self._station_type = station_type
        self._length_m = length_m
        self._width_m = width_m
        self.assume(station_id=station_id, first_check=MonotonicNs(phase_ns % T_CHECK_CAM_GEN_NS), granted=granted)

    @property
    def withheld(self) -> dict[str, int]:
        """How many CAMs lacked what the ticket does not allow, by what it is."""
        return self._role.withheld

    def role_status(self) -> dict[str, object]:
        """Return what the vehicle is, and what of it its ticket lets it say, as JSON values."""
        return self._role.status()

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what there is to tell of the role, once."""
        return self._role.take_notices()

    def assume(self, *, station_id: StationId, first_check: MonotonicNs, granted: int) -> None:
        """Speak as another from now on: nothing is kept of the path, pace and interval of the one before.

        Args:
            station_id: of the new pseudonym.
            first_check: when to check first; the later checks follow at `T_CHECK_CAM_GEN_NS`, so it should be drawn.
            granted: what its ticket allows, as for the service.
        """
        self._role.assume(granted)
        self._station_id = station_id
        self._trigger = CamTrigger()
        self._path = PathHistory()
        self._trace: tuple[TracePoint, ...] = ()
        self._behind_first: Sequence[PathPoint] = ()
        self._low_frequency_sent_at: MonotonicNs | None = None
        self._special_sent_at: MonotonicNs | None = None
        self._next_check = first_check

    def next_due(self) -> MonotonicNs:
        """When the conditions should be checked next."""
        return self._next_check

    def poll(self, state: VehicleState, now: Instant, *, t_gen_cam_dcc_ns: int = T_GEN_CAM_MIN_NS) -> CamDue | None:
        """Return the CAM that is due, or None: not time yet, or the position is not known.

        Raises:
            UntrustedTimeError: a CAM is due and UTC is not known, or the clock stands before 2004.
        """
        if now.monotonic < self._next_check:
            return None
        checks_passed = (now.monotonic - self._next_check) // T_CHECK_CAM_GEN_NS + 1
        self._next_check = MonotonicNs(self._next_check + checks_passed * T_CHECK_CAM_GEN_NS)
        point = fresh(state.position, now.monotonic)
        if point is None or state.position is None:
            return None
        self._path.add(point, state.position.at)
        dynamics = Dynamics(point, fresh(state.heading_deg, now.monotonic), fresh(state.speed_mps, now.monotonic))
        condition = self._trigger.due(dynamics, now.monotonic, t_gen_cam_dcc_ns=t_gen_cam_dcc_ns)
        if condition is None:
            return None
        ego = ego_position(state, now)
        if ego is None:
            return None
        taken_at = trusted_time64(Instant(state.position.at, ego.taken_at))
        return CamDue(cam=self._cam(state, point, taken_at, now.monotonic), position=ego, dynamics=dynamics, condition=condition)

    def note_sent(self, due: CamDue, now: MonotonicNs) -> None:
        """Take note that the packet left."""
        self._trigger.note_sent(due.dynamics, now, due.condition)
        if due.cam.low_frequency is not None:
            self._low_frequency_sent_at = now
        if due.cam.special_vehicle is not None:
            self._special_sent_at = now

    def _cam(self, state: VehicleState, point: GeoPoint, taken_at: Time64, now: MonotonicNs) -> Cam:
        claim = self._role.claim(state, now)
        if claim.container is None:
            self._special_sent_at = None
        accuracy_m = fresh(state.position_accuracy_m, now)
        curvature = _curvature(state, now)
        return Cam(
            station_id=self._station_id,
            generation_delta_time_ms=generation_delta_time(taken_at),
            station_type=self._station_type,
            lat_deg=point.lat_deg,
            lon_deg=point.lon_deg,
            semi_major_m=accuracy_m,
            semi_minor_m=accuracy_m,
            semi_major_orientation_deg=None if accuracy_m is None else 0.0,
            altitude_m=fresh(state.altitude_m, now),
            heading_deg=fresh(state.heading_deg, now),
            speed_mps=fresh(state.speed_mps, now),
            drive_direction=fresh(state.drive_direction, now),
            vehicle_length_m=self._length_m,
            vehicle_width_m=self._width_m,
            longitudinal_acceleration_mps2=fresh(state.longitudinal_acceleration_mps2, now),
            lateral_acceleration_mps2=fresh(state.lateral_acceleration_mps2, now),
            curvature_per_m=curvature,
            curvature_calculation_mode=None if curvature is None else CurvatureCalculationMode.YAW_RATE_USED,
            yaw_rate_dps=fresh(state.yaw_rate_dps, now),
            steering_wheel_angle_deg=fresh(state.steering_wheel_angle_deg, now),
            acceleration_control=_acceleration_control(state, now),
            low_frequency=self._low_frequency(state, claim.role, point, now) if _is_due(self._low_frequency_sent_at, now) else None,
            special_vehicle=claim.container if _is_due(self._special_sent_at, now) else None,
        )

    def _low_frequency(self, state: VehicleState, role: VehicleRole, reference: GeoPoint, now: MonotonicNs) -> LowFrequency:
        return LowFrequency(
            vehicle_role=role,
            exterior_lights=_exterior_lights(state, now),
            path_history=self._path_points(self._path.points(reference), reference, now),
        )

    def _path_points(self, points: tuple[TracePoint, ...], reference: GeoPoint, now: MonotonicNs) -> Sequence[PathPoint]:
        """Each point relative to the one before it. From message to message mostly the first alone is new; the rest is kept."""
        if not points:
            return ()
        if points != self._trace:
            self._trace, self._behind_first = points, _path_behind_first(points)
        first = _step(reference, now, points[0])
        return () if first is None else path_led_by(first, self._behind_first)


def _is_due(sent_at: MonotonicNs | None, now: MonotonicNs) -> bool:
    """Tell whether a container that was last sent then belongs into the next CAM."""
    return sent_at is None or now - sent_at >= T_GEN_CAM_LF_NS


def _step(here: GeoPoint, here_at: MonotonicNs, there: TracePoint) -> PathPoint | None:
    """Return where a point of the path lies as seen from the one before it; None where that is too far to be said."""
    delta_lat, delta_lon = delta_deg(here, there.position)
    if not can_be_said(delta_lat, delta_lon):
        return None
    delta_time_s = (here_at - there.at) / NS_PER_S
    in_range = MIN_PATH_DELTA_TIME_S <= delta_time_s <= MAX_PATH_DELTA_TIME_S
    return PathPoint(delta_lat, delta_lon, delta_time_s=delta_time_s if in_range else None)


def _path_behind_first(points: tuple[TracePoint, ...]) -> Sequence[PathPoint]:
    """Return the steps from point to point, youngest first, as far as each can be said."""
    steps = [_step(youngest.position, youngest.at, older) for youngest, older in pairwise(points)]
    path: Sequence[PathPoint] = ()
    for step in reversed(list(takewhile(lambda step: step is not None, steps))):
        assert step is not None
        path = path_led_by(step, path)
    return path


def _curvature(state: VehicleState, now: MonotonicNs) -> float | None:
    """Return 1/radius in 1/m, positive to the vehicle's left, backwards too; None where it does not say or hardly moves."""
    speed_mps, yaw_rate_dps = fresh(state.speed_mps, now), fresh(state.yaw_rate_dps, now)
    if speed_mps is None or yaw_rate_dps is None or speed_mps < MIN_CURVATURE_SPEED_MPS:
        return None
    is_backward = fresh(state.drive_direction, now) is DriveDirection.BACKWARD
    return radians(yaw_rate_dps) / (-speed_mps if is_backward else speed_mps)


def _acceleration_control(state: VehicleState, now: MonotonicNs) -> AccelerationControl | None:
    """Return what is pressed or engaged; None where the bus says nothing of any of it."""
    flags = {
        AccelerationControl.BRAKE_PEDAL_ENGAGED: fresh(state.brake_pedal_pressed, now),
        AccelerationControl.GAS_PEDAL_ENGAGED: fresh(state.gas_pedal_pressed, now),
        AccelerationControl.EMERGENCY_BRAKE_ENGAGED: fresh(state.automatic_emergency_braking, now),
        AccelerationControl.CRUISE_CONTROL_ENGAGED: fresh(state.cruise_control, now),
    }
    if all(is_on is None for is_on in flags.values()):
        return None
    control = AccelerationControl(0)
    for flag, is_on in flags.items():
        if is_on:
            control |= flag
    return control


def _exterior_lights(state: VehicleState, now: MonotonicNs) -> ExteriorLights:
    hazard = fresh(state.hazard_lights, now) is True
    lights = ExteriorLights(0)
    if fresh(state.low_beam, now):
        lights |= ExteriorLights.LOW_BEAM_HEADLIGHTS_ON
    if fresh(state.high_beam, now):
        lights |= ExteriorLights.HIGH_BEAM_HEADLIGHTS_ON
    if hazard or fresh(state.turn_left, now):
        lights |= ExteriorLights.LEFT_TURN_SIGNAL_ON
    if hazard or fresh(state.turn_right, now):
        lights |= ExteriorLights.RIGHT_TURN_SIGNAL_ON
    if fresh(state.daytime_running_light, now):
        lights |= ExteriorLights.DAYTIME_RUNNING_LIGHTS_ON
    if fresh(state.drive_direction, now) is DriveDirection.BACKWARD:
        lights |= ExteriorLights.REVERSE_LIGHT_ON
    if fresh(state.front_fog_light, now) or fresh(state.rear_fog_light, now):
        lights |= ExteriorLights.FOG_LIGHT_ON
    if fresh(state.parking_light, now):
        lights |= ExteriorLights.PARKING_LIGHTS_ON
    return lights
