"""The control units of the simulator's car: how it moves becomes frames on its bus, per `simulator/dbc/sim_car.dbc`.

Each message goes out at its cycle time from the DBC, with a counter that grows by one per frame and a CRC-8 over the rest. The
odometer passes through a hook, since what a cluster shows need not be true. No input or output: `poll` returns the frames and
the caller puts them on a `CanBus`. cantools would need 30 us a frame; here each message is one integer put together by shifts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.core.units import KMH_PER_MPS
from shared.messages.cdd import DriveDirection
from shared.transport.can_frame import CanFrame
from vehicle_agent.signals.checksums import crc8_j1850
from vehicle_agent.signals.dbc import Dbc, MessageLayout, load_dbc

SIM_CAR_DBC = Path(__file__).with_name("dbc") / "sim_car.dbc"
SIM_CAR_MAP = Path(__file__).with_name("dbc") / "sim_car.toml"

MAX_BACKLOG_NS = NS_PER_S
"""After a longer pause between polls the units resume in the present, like units that slept."""

STAGGER_NS = NS_PER_MS
"""Messages start this far apart, so that they do not all fall due at once."""

STANDSTILL_MPS = 0.05

_NEUTRAL_GEAR, _REVERSE_GEAR, _FORWARD_GEAR = 2, 1, 3
_WHEELS = ("WHEEL_FL", "WHEEL_FR", "WHEEL_RL", "WHEEL_RR")

OdometerTamper = Callable[[float, MonotonicNs], float]
"""What the cluster shows, in metres, for the true distance and the moment."""


def honest(odometer_m: float, _now: MonotonicNs) -> float:
    """Show the true distance."""
    return odometer_m


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A cluster that is set back by `by_m` metres at the moment `at`; never below zero."""

    at: MonotonicNs
    by_m: float

    def __call__(self, odometer_m: float, now: MonotonicNs) -> float:
        """Return what the cluster shows."""
        return odometer_m if now < self.at else max(0.0, odometer_m - self.by_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is switched on, or at work, beyond what a car does on every drive; named as the fields of `VehicleState`."""

    front_fog_light: bool = False
    rear_fog_light: bool = False
    daytime_running_light: bool = False
    parking_light: bool = False
    gas_pedal_pressed: bool = False
    cruise_control: bool = False
    parking_brake: bool = False
    abs_active: bool = False
    stability_control_active: bool = False
    traction_control_active: bool = False
    automatic_emergency_braking: bool = False
    airbag_deployed: bool = False
    breakdown: bool = False
    wipers_on: bool = False
    wipers_fast: bool = False
    light_bar_on: bool = False
    siren_on: bool = False


NOTHING_ON = Body()
"""A car on an ordinary drive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KinematicSample:
    """How the car stands and moves at one moment; None where the car itself does not know.

    Attributes:
        position: of the antenna.
        altitude_m: above the ellipsoid.
        position_accuracy_m: radius that holds the antenna with 95 % confidence.
        heading_deg: clockwise from north.
        speed_mps: not negative.
        longitudinal_acceleration_mps2: positive when gaining speed forwards.
        lateral_acceleration_mps2: positive to the left.
        yaw_rate_dps: positive to the left.
        steering_wheel_angle_deg: positive to the left.
        odometer_m: the true distance travelled in the car's life.
        drive_direction: None in neutral.
        body: what else is switched on or at work.
    """

    position: GeoPoint | None
    altitude_m: float | None = None
    position_accuracy_m: float | None = None
    heading_deg: float | None
    speed_mps: float | None
    longitudinal_acceleration_mps2: float | None = None
    lateral_acceleration_mps2: float | None = None
    yaw_rate_dps: float | None = None
    steering_wheel_angle_deg: float | None = None
    odometer_m: float | None
    drive_direction: DriveDirection | None = DriveDirection.FORWARD
    ignition_on: bool = True
    brake_pedal_pressed: bool = False
    turn_left: bool = False
    turn_right: bool = False
    hazard_lights: bool = False
    low_beam: bool = False
    high_beam: bool = False
    doors_open: bool = False
    body: Body = NOTHING_ON


class SimulatedEcu:
    """All control units of one car.

    Args:
        dbc: the car's bus, from `load_sim_car`; cars may share it.
        channel: the bus that the frames name.
        start: when the units wake up.
        odometer_tamper: what the cluster makes of the true distance.
    """

    def __init__(self, dbc: Dbc, *, channel: str, start: MonotonicNs, odometer_tamper: OdometerTamper = honest) -> None:
        self._channel = channel
        self._tamper = odometer_tamper
        units: tuple[tuple[str, Callable[[KinematicSample, MonotonicNs], dict[str, float | None]]], ...] = (
            ("VEHICLE_SPEED", self._speed),
            ("WHEEL_SPEEDS", self._wheels),
            ("DYNAMICS", self._dynamics),
            ("GNSS_FIX", self._fix),
            ("POWERTRAIN", self._powertrain),
            ("BODY", self._body),
            ("ODOMETER", self._odometer),
            ("BRAKE_CONTROL", self._brakes),
            ("LIGHTS_AND_WIPERS", self._lights),
            ("RESTRAINTS", self._restraints),
        )
        self._messages = tuple(
            _CyclicMessage(dbc.message(name), values, MonotonicNs(start + n * STAGGER_NS)) for n, (name, values) in enumerate(units)
        )

    def next_due(self) -> MonotonicNs:
        """Return when the next frame is due."""
        return min(message.due for message in self._messages)

    def poll(self, sample: KinematicSample, now: MonotonicNs) -> tuple[CanFrame, ...]:
        """Return the frames due up to and including `now`, in the order of their due times, all showing `sample`."""
        frames: list[CanFrame] = []
        for message in self._messages:
            if message.due <= now:
                frames.extend(message.frames(sample, now, self._channel))
        frames.sort(key=_by_time_and_priority)
        return tuple(frames)

    @staticmethod
    def _speed(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        if sample.speed_mps is None:
            return {"SPEED": None, "STANDSTILL": 0}
        return {"SPEED": sample.speed_mps * KMH_PER_MPS, "STANDSTILL": sample.speed_mps < STANDSTILL_MPS}

    @staticmethod
    def _wheels(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        speed = None if sample.speed_mps is None else sample.speed_mps * KMH_PER_MPS
        return dict.fromkeys(_WHEELS, speed)

    @staticmethod
    def _dynamics(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        return {
            "YAW_RATE": sample.yaw_rate_dps,
            "LONGITUDINAL_ACCELERATION": sample.longitudinal_acceleration_mps2,
            "LATERAL_ACCELERATION": sample.lateral_acceleration_mps2,
            "STEERING_WHEEL_ANGLE": sample.steering_wheel_angle_deg,
        }

    @staticmethod
    def _fix(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        position, heading = sample.position, sample.heading_deg
        return {
            "LATITUDE": None if position is None else position.lat_deg,
            "LONGITUDE": None if position is None else position.lon_deg,
            "ALTITUDE": sample.altitude_m,
            "ACCURACY": sample.position_accuracy_m,
            "HEADING": None if heading is None else round(heading, 2) % 360.0,
        }

    @staticmethod
    def _powertrain(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        gears = {None: _NEUTRAL_GEAR, DriveDirection.BACKWARD: _REVERSE_GEAR, DriveDirection.FORWARD: _FORWARD_GEAR}
        return {
            "GEAR": gears[sample.drive_direction],
            "IGNITION": sample.ignition_on,
            "BRAKE_PEDAL": sample.brake_pedal_pressed,
            "ACCELERATOR_PEDAL": sample.body.gas_pedal_pressed,
            "CRUISE_CONTROL": sample.body.cruise_control,
            "BREAKDOWN": sample.body.breakdown,
        }

    @staticmethod
    def _body(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        return {
            "TURN_LEFT": sample.turn_left,
            "TURN_RIGHT": sample.turn_right,
            "HAZARD_LIGHTS": sample.hazard_lights,
            "LOW_BEAM": sample.low_beam,
            "HIGH_BEAM": sample.high_beam,
            "DOOR_FL": sample.doors_open,
        }

    @staticmethod
    def _brakes(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        return {
            "ABS_ACTIVE": sample.body.abs_active,
            "STABILITY_CONTROL_ACTIVE": sample.body.stability_control_active,
            "TRACTION_CONTROL_ACTIVE": sample.body.traction_control_active,
            "AUTOMATIC_BRAKING": sample.body.automatic_emergency_braking,
            "PARKING_BRAKE": sample.body.parking_brake,
        }

    @staticmethod
    def _lights(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        return {
            "FRONT_FOG_LIGHT": sample.body.front_fog_light,
            "REAR_FOG_LIGHT": sample.body.rear_fog_light,
            "DAYTIME_RUNNING_LIGHT": sample.body.daytime_running_light,
            "PARKING_LIGHT": sample.body.parking_light,
            "LIGHT_BAR": sample.body.light_bar_on,
            "SIREN": sample.body.siren_on,
            "WIPERS": sample.body.wipers_on,
            "WIPERS_FAST": sample.body.wipers_fast,
        }

    @staticmethod
    def _restraints(sample: KinematicSample, _now: MonotonicNs) -> dict[str, float | None]:
        return {"AIRBAG_DEPLOYED": sample.body.airbag_deployed}

    def _odometer(self, sample: KinematicSample, now: MonotonicNs) -> dict[str, float | None]:
        if sample.odometer_m is None:
            return {"TOTAL_DISTANCE": None}
        # A cluster shows whole metres driven, not the nearest.
        return {"TOTAL_DISTANCE": self._tamper(sample.odometer_m, now) // 1}


def load_sim_car() -> Dbc:
    """Load the DBC of the simulator's car; several cars share one."""
    return load_dbc(SIM_CAR_DBC, key="simulator")


class _Packer:
    """Puts one little-endian signal into a message's integer."""

    def __init__(self, message: MessageLayout, name: str) -> None:
        layout = message.signal(name)
        if layout.is_big_endian or layout.is_float or layout.conditions:
            raise ConfigError(f"simulator: {message.name}.{name}", "the simulated units pack plain little-endian signals only")
        self._start = layout.first_byte * 8 + layout.shift
        self._scale, self._offset = layout.scale, layout.offset
        self._mask = (1 << layout.length_bits) - 1
        # The most negative number, or all ones, says "not available"; values saturate before it.
        if layout.is_signed:
            self._absent = 1 << (layout.length_bits - 1)
            self._lowest, self._highest = 1 - self._absent, self._absent - 1
        else:
            self._absent = self._mask
            self._lowest, self._highest = 0, self._mask - (layout.length_bits > 1)

    def bits(self, value: float | None) -> int:
        if value is None:
            return self._absent << self._start
        raw = round((value - self._offset) / self._scale)
        return (min(max(raw, self._lowest), self._highest) & self._mask) << self._start


class _CyclicMessage:
    """One message, its clock and its counter."""

    def __init__(
        self,
        layout: MessageLayout,
        values: Callable[[KinematicSample, MonotonicNs], dict[str, float | None]],
        first_due: MonotonicNs,
    ) -> None:
        cycle_ms = layout.source.cycle_time
        if not cycle_ms:
            raise ConfigError(f"simulator: {layout.name}", "the DBC gives no cycle time")
        self.due = first_due
        self._cycle_ns = cycle_ms * NS_PER_MS
        self._values = values
        self._layout = layout
        self._packers = {name: _Packer(layout, name) for name in layout.signal_names() if name not in {"COUNTER", "CHECKSUM"}}
        counter = layout.signal("COUNTER")
        self._counter_start = counter.first_byte * 8 + counter.shift
        self._counter_mask = (1 << counter.length_bits) - 1
        self._counter = 0

    def frames(self, sample: KinematicSample, now: MonotonicNs, channel: str) -> list[CanFrame]:
        """Return the frames due up to `now` and set the next due time."""
        if now - self.due > MAX_BACKLOG_NS:
            self.due = MonotonicNs(now - (now - self.due) % self._cycle_ns)
        packers = self._packers
        word = 0
        for name, value in self._values(sample, now).items():
            word |= packers[name].bits(value)
        frames = []
        size = self._layout.length - 1
        while self.due <= now:
            body = (word | self._counter << self._counter_start).to_bytes(size, "little")
            self._counter = (self._counter + 1) & self._counter_mask
            data = body + bytes((crc8_j1850(body),))
            frames.append(CanFrame(self._layout.arbitration_id, False, data, channel, self.due))
            self.due = MonotonicNs(self.due + self._cycle_ns)
        return frames


def _by_time_and_priority(frame: CanFrame) -> tuple[int, int]:
    return frame.received, frame.arbitration_id
