"""What `v2x bench` measures of the vehicle agent: from what the car says about itself to a signed packet."""

from collections.abc import Iterable

from shared.bench.figure import Effort, Figure, Unit, figure_of
from shared.bench.limits import RAW_SIGN, RawP256
from shared.bench.rounds import Side, Work, measure_rates
from shared.bench.traffic import CAM_GAP_NS, NOON, PLACE, Hierarchy
from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.geo import displaced
from shared.core.ids import StationType
from shared.messages.cdd import DriveDirection
from vehicle_agent.cam_service import CamService
from vehicle_agent.special_vehicle import NO_DUTY
from vehicle_agent.vehicle_state import SignalUpdate, Value, VehicleState, fold

SPEED_MPS = 50.0
"""Fast enough for a CAM at every check that may send one."""

LAP_M = 20_000.0


def _updates(driven_m: float, now: Instant) -> tuple[SignalUpdate, ...]:
    values: dict[str, Value] = {
        "position": displaced(PLACE, driven_m % LAP_M, 0.0),
        "heading_deg": 90.0,
        "speed_mps": SPEED_MPS,
        "drive_direction": DriveDirection.FORWARD,
        "longitudinal_acceleration_mps2": 0.1,
        "lateral_acceleration_mps2": -0.1,
        "yaw_rate_dps": 0.5,
        "steering_wheel_angle_deg": -1.5,
        "low_beam": True,
        "brake_pedal_pressed": False,
    }
    return tuple(SignalUpdate(field=field, value=value, at=now.monotonic, max_age_ns=NS_PER_S) for field, value in values.items())


class _Car:
    """A car on a road, without its bus."""

    def __init__(self) -> None:
        self._clock = ManualClock(NOON)
        self._station = Hierarchy().station(1)
        self._service = CamService(
            station_id=self._station.identity.station_id,
            station_type=StationType.PASSENGER_CAR,
            length_m=4.6,
            width_m=1.8,
            phase_ns=0,
            duty=NO_DUTY,
            granted=0,
        )
        self._state = VehicleState()
        self._driven_m = 0.0

    def speaking(self, calls: int) -> Work:
        """Prepare what the bus says, and the work of making a packet of it each time."""
        news: list[tuple[Instant, tuple[SignalUpdate, ...]]] = []
        for _ in range(calls):
            now = self._clock.advance(CAM_GAP_NS)
            self._driven_m += SPEED_MPS * CAM_GAP_NS / NS_PER_S
            news.append((now, _updates(self._driven_m, now)))

        def work() -> None:
            for now, updates in news:
                self._speak(now, updates)

        return work

    def _speak(self, now: Instant, updates: tuple[SignalUpdate, ...]) -> None:
        self._state = fold(self._state, updates)
        due = self._service.poll(self._state, now)
        if due is None:
            raise AssertionError("no CAM is due although the car has moved")
        self._station.send(due.cam, position=due.position, now=now)
        self._service.note_sent(due, now.monotonic)


def vehicle(effort: Effort) -> Iterable[Figure]:
    """Make CAMs of what a moving car says."""
    car, raw = _Car(), RawP256()
    sides = {"cam": Side(car.speaking), RAW_SIGN: Side(raw.signing)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    yield figure_of(
        "vehicle.cam",
        "fold ten signals, decide that a CAM is due, fill it with path history, sign and pack it",
        Unit.PER_SECOND,
        rates["cam"],
        limit=(RAW_SIGN, rates[RAW_SIGN]),
    )
