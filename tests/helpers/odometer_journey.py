"""A vehicle that goes somewhere while its odometer is watched: what really happens, and what each witness makes of it.

Steps of one second. Wheels turn or do not, the vehicle moves over ground or is carried, the cluster counts wheels in its own
units, a receiver has noise that wanders, loses the sky and starts cold. Whoever writes a test says what is different from an
ordinary drive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, displaced
from shared.records.odometer import OdometerFlag
from simulator.adversaries.mileage_blocker import Shown
from vehicle_agent.odometer import OdometerPolicy, OdometerWatch, RecordDue
from vehicle_agent.vehicle_memory import KnownFactor
from vehicle_agent.vehicle_state import SignalUpdate

START = GeoPoint(48.137, 11.575)
STARTED_AT = MonotonicNs(1_000 * NS_PER_S)
NORTH_FOR_S = 300
"""The way turns by a right angle this often."""

POLICY = OdometerPolicy(every_m=10_000, every_s=86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """One stretch of a journey.

    Attributes:
        seconds: how long it lasts.
        ground_mps: speed over ground.
        wheel_mps: speed at which the wheels turn; None: that of the ground.
        is_on: whether the ignition is on; None where the vehicle never says.
        has_bus: whether the bus speaks.
        has_sky: whether the receiver sees the sky.
        short: share by which the receiver sees less movement than there is: a cold start.
        answers: whether a control unit answers how fast the vehicle is.
        accelerates: whether somebody is on the accelerator.
    """

    seconds: int
    ground_mps: float = 20.0
    wheel_mps: float | None = None
    is_on: bool | None = None
    has_bus: bool = True
    has_sky: bool = True
    short: float = 0.0
    answers: bool = False
    accelerates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """What a vehicle and its witnesses are like.

    Attributes:
        starts_at_m: its odometer.
        step_m: what the cluster counts in.
        cluster_factor: metres the cluster counts for each of its wheels'.
        wheel_factor: metres the bus says of the speed for each of its wheels'.
        obd_factor: likewise of the answers of a control unit.
        noise_m: how far positions wander about the truth, 1 sigma.
        jitter_s: most a message is early or late.
        has_wheels: whether the bus gives a speed.
        has_gnss: whether there is a receiver.
        obd_every_s: how often the engine is asked for its odometer, in steps of 100 m; None: never.
        shown: what a device makes of the cluster's odometer.
    """

    starts_at_m: float = 120_000_000.0
    step_m: float = 1_000.0
    cluster_factor: float = 1.0
    wheel_factor: float = 1.0
    obd_factor: float = 1.0
    noise_m: float = 2.0
    jitter_s: float = 0.1
    has_wheels: bool = True
    has_gnss: bool = True
    obd_every_s: int | None = None
    shown: Shown | None = None


@dataclass(slots=True)
class Journey:
    """A journey of one vehicle under watch.

    Args:
        vehicle: what it is like.
        seed: of all noise.
        known_m: the odometer it recorded last; None for a vehicle nobody knows.
        factors: what is remembered of its witnesses.
    """

    vehicle: Vehicle
    seed: int = 1
    known_m: int | None = None
    factors: tuple[KnownFactor, ...] = ()
    watch: OdometerWatch = field(init=False)
    told: list[tuple[float, RecordDue]] = field(init=False, default_factory=list)
    """Metres the wheels had turned, and what was recorded."""
    wheels_m: float = field(init=False, default=0.0)
    now: MonotonicNs = field(init=False, default=STARTED_AT)
    _rng: Random = field(init=False)
    _place: GeoPoint = field(init=False, default=START)
    _wander: tuple[float, float] = field(init=False, default=(0.0, 0.0))
    _second: int = field(init=False, default=0)
    _was_off: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self.watch = OdometerWatch(POLICY, self.known_m, self.factors)

    def go(self, *stretches: Going) -> "Journey":
        """Go on."""
        for stretch in stretches:
            for _ in range(stretch.seconds):
                self._go_on(stretch)
        return self

    def restart(self) -> "Journey":
        """The agent is stopped and starts again, with what was remembered and recorded."""
        self._keep(self.watch.ignition_off(self.now))
        return self._again(replace(self.vehicle), self.watch.factors())

    def _again(self, vehicle: Vehicle, factors: tuple[KnownFactor, ...]) -> "Journey":
        self.watch = OdometerWatch(POLICY, self.watch.last_recorded_m, factors)
        self.vehicle = vehicle
        return self

    @property
    def flags(self) -> set[OdometerFlag]:
        """Everything that was told."""
        return {flag for _, due in self.told for flag in due.flags}

    def told_after_m(self, flag: OdometerFlag) -> float | None:
        """Return what the wheels had turned when a flag was first told."""
        return next((metres for metres, due in self.told if flag in due.flags), None)

    def _go_on(self, going: Going) -> None:
        self._second += 1
        self.now = MonotonicNs(STARTED_AT + self._second * NS_PER_S)
        wheel_mps = going.ground_mps if going.wheel_mps is None else going.wheel_mps
        self.wheels_m += wheel_mps
        seen_m = going.ground_mps * (1 - going.short)
        north = self._second // NORTH_FOR_S % 2 == 0
        self._place = displaced(self._place, 0.0 if north else seen_m, seen_m if north else 0.0)
        is_off = going.is_on is False
        self.watch.switched(is_off=is_off)
        if is_off and not self._was_off:
            self._keep(self.watch.ignition_off(self.now))
        self._was_off = is_off
        for update in self._updates(going, wheel_mps):
            self.watch.take(update)
        self._keep(self.watch.due(self.now) if self.watch.has_reading else self.watch.poll(self.now))

    def _keep(self, due: RecordDue | None) -> None:
        if due is not None:
            self.watch.note_recorded(due)
            self.told.append((self.wheels_m, due))

    def _updates(self, going: Going, wheel_mps: float) -> Iterator[SignalUpdate]:
        vehicle = self.vehicle
        if going.has_bus:
            if vehicle.has_wheels:
                yield self._said("speed_mps", wheel_mps * vehicle.wheel_factor)
            if going.is_on is not None:
                yield self._said("ignition_on", going.is_on)
            if going.accelerates:
                yield self._said("gas_pedal_pressed", value=True)
        if going.answers:
            yield self._said("obd_speed_mps", wheel_mps * vehicle.obd_factor)
        if vehicle.obd_every_s is not None and self._second % vehicle.obd_every_s == 0:
            engine_m = vehicle.starts_at_m + self.wheels_m * vehicle.obd_factor
            yield self._said("obd_odometer_m", engine_m // 100 * 100)
        if vehicle.has_gnss and going.has_sky:
            yield self._said("position_accuracy_m", 2.5 * vehicle.noise_m)
            yield self._said("position", self._seen_place())
            yield self._said("gnss_speed_mps", max(0.0, going.ground_mps * (1 - going.short) + self._rng.gauss(0.0, 0.1)))
        if going.has_bus:
            true_m = vehicle.starts_at_m + self.wheels_m * vehicle.cluster_factor
            shown_m = true_m if vehicle.shown is None else vehicle.shown(true_m, self.now)
            yield self._said("odometer_m", shown_m // vehicle.step_m * vehicle.step_m)

    def _seen_place(self) -> GeoPoint:
        """The wander of a receiver is slow: it forgets a twentieth of where it was each second."""
        noise_m = self.vehicle.noise_m
        east, north = (each * 0.95 + self._rng.gauss(0.0, noise_m * 0.31) for each in self._wander)
        self._wander = east, north
        return displaced(self._place, east, north)

    def _said(self, field_name: str, value: float | GeoPoint | bool) -> SignalUpdate:  # noqa: FBT001 - a field's value
        early_s = self._rng.uniform(0.0, self.vehicle.jitter_s)
        at = MonotonicNs(self.now - round(early_s * NS_PER_S))
        return SignalUpdate(field=field_name, value=value, at=at, max_age_ns=2_500_000_000)
