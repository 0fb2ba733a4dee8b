"""A car on a drive, second by second: what it says about itself, the real vehicle state, the real triggers and DENM service.

Over the bus (`is_on_bus`) simulated control units put frames together and the signal map takes them apart again; otherwise the same
values, with the ages of that map, are folded into the state as the bus would bring them, which is much faster.

What happens is said in words (`drive(10.0, hazard_lights=True)`); speed and place follow from the acceleration. Everything the
service wants sent is kept with the moment it was said and what it was: new, update, repeat or end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId, StationType
from shared.facilities.event_report import Announcement
from shared.facilities.neighbours import Sighting
from shared.facilities.originated_events import OriginatedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm_alacarte import EnergyStorage
from shared.stack.station import EgoPosition
from simulator.ecu import SIM_CAR_MAP, Body, KinematicSample, SimulatedEcu, load_sim_car
from tests.helpers.hierarchy import NOON
from vehicle_agent.denm_service import DenmService
from vehicle_agent.hazards import HazardAhead
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.signals.signal_map import load_signal_map
from vehicle_agent.triggers.catalogue import make_triggers
from vehicle_agent.triggers.surroundings import Surroundings
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fold

DBC = load_sim_car()
SIGNAL_MAP = load_signal_map(SIM_CAR_MAP)
SOURCES = {field.field: (message.layout.name, field.max_age_ns) for message in SIGNAL_MAP.messages for field in message.fields}
"""Which message of the simulated car brings a field, and for how long it may be used."""
NAMES = {DBC.message(name).arbitration_id: name for name in DBC.message_names()}
START = MonotonicNs(5 * NS_PER_S)
BUS_STEP_NS = 50 * NS_PER_MS
STEP_NS = 100 * NS_PER_MS
HOME = GeoPoint(48.137, 11.575)
EVERYTHING = bytes.fromhex("01ffffff")
PRODUCTION_CAR = bytes.fromhex("01901a25")
"""What the ticket of a car on sale allows."""

KMH = 1 / 3.6
STATION = StationId(4_711)
_BODY = frozenset(field.name for field in fields(Body))


class Others:
    """The neighbours of a test: what it says is there, is there."""

    def __init__(self) -> None:
        self.standing: tuple[Sighting, ...] = ()
        self.reports: dict[CauseCode, int] = {}

    def standing_ahead(self, ego: EgoPosition, now: Instant) -> tuple[Sighting, ...]:
        return self.standing

    def ahead(self, now: Instant, ego: EgoPosition) -> tuple[HazardAhead, ...]:
        return tuple(
            HazardAhead(
                action_id=ActionId(STATION, number),
                cause_code=cause,
                sub_cause_code=0,
                distance_m=200.0,
                time_to_reach_s=None,
                is_disputed=False,
                speed_limit_mps=None,
            )
            for cause, count in self.reports.items()
            for number in range(count)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One DENM: seconds since the start of the drive, what it was, and itself."""

    at_s: float
    what: str
    announcement: Announcement

    @property
    def cause(self) -> tuple[int | None, int]:
        """Cause and sub cause."""
        return self.announcement.denm.cause_code, self.announcement.denm.sub_cause_code


class Drive:
    """One car.

    Args:
        utc: what its clock says, None while it is not set.
        ssp: what its ticket allows.
        without: use cases that are switched off.
        events: from before a restart; None for a first start.
        speed_mps: at the start.
        start: of the clock that never jumps.
        is_on_bus: whether everything passes over a CAN bus.
        changes: how the car begins, as for `drive`.
    """

    def __init__(
        self,
        *,
        utc: UtcNs | None = NOON,
        ssp: bytes | None = EVERYTHING,
        without: frozenset[str] = frozenset(),
        events: OriginatedEvents | None = None,
        speed_mps: float = 0.0,
        start: MonotonicNs = START,
        is_on_bus: bool = False,
        **changes: Any,
    ) -> None:
        self.clock = ManualClock(utc, start)
        self.others = Others()
        self.ssp = ssp
        self.said: list[Said] = []
        self.state = VehicleState()
        self.muted: frozenset[str] = frozenset()
        self.sample = KinematicSample(
            position=HOME,
            altitude_m=520.0,
            heading_deg=90.0,
            speed_mps=speed_mps,
            longitudinal_acceleration_mps2=0.0,
            lateral_acceleration_mps2=0.0,
            yaw_rate_dps=0.0,
            steering_wheel_angle_deg=0.0,
            odometer_m=1_000.0,
            low_beam=True,
        )
        self.events = OriginatedEvents(STATION, StationType.PASSENGER_CAR, 7) if events is None else events
        self.service = DenmService(
            events=self.events,
            triggers=make_triggers(Surroundings(neighbours=self.others, hazards=self.others), without),
            energy_storage=EnergyStorage.DIESEL,
            phase_ns=0,
            started=self.clock.now(),
        )
        self._start = start
        self._is_on_bus = is_on_bus
        self._step_ns = BUS_STEP_NS if is_on_bus else STEP_NS
        self._ecu = SimulatedEcu(DBC, channel="can0", start=start)
        self._can_input = CanInput(SIGNAL_MAP)
        self._known: dict[ActionId, int] = {}
        self.change(**changes)

    def change(self, **changes: Any) -> None:
        """Switch things on and off; names of `KinematicSample` and of `Body`."""
        body = {name: value for name, value in changes.items() if name in _BODY}
        rest = {name: value for name, value in changes.items() if name not in _BODY}
        self.sample = replace(self.sample, body=replace(self.sample.body, **body), **rest)

    def drive(self, seconds: float, *, acceleration_mps2: float | None = 0.0, **changes: Any) -> "Drive":
        """Let time pass, after the changes; the car does not roll backwards."""
        self.change(longitudinal_acceleration_mps2=acceleration_mps2, **changes)
        end = self.clock.now().monotonic + round(seconds * NS_PER_S)
        while self.clock.now().monotonic < end:
            before = self.clock.now().monotonic
            due_ns = self.service.next_due() - before
            step_ns = min(self._step_ns, end - before, due_ns if due_ns > 0 else self._step_ns)
            now = self.clock.advance(step_ns)
            self._move(step_ns / NS_PER_S, acceleration_mps2 or 0.0)
            self.state = fold(self.state, self._over_bus(now.monotonic) if self._is_on_bus else self._said_directly(now.monotonic))
            if now.monotonic >= self.service.next_due():
                for announcement in self.service.poll(self.state, now, ssp=self.ssp):
                    self._keep(announcement, now)
        return self

    def recall(self, action_id: ActionId, reference_time: int) -> None:
        """Take what was said before this drive as known."""
        self._known[action_id] = reference_time

    def brake_to(self, speed_mps: float, by_mps2: float, **changes: Any) -> "Drive":
        """Slow down."""
        assert self.sample.speed_mps is not None
        seconds = (self.sample.speed_mps - speed_mps) / by_mps2
        self.drive(seconds, acceleration_mps2=-by_mps2, brake_pedal_pressed=True, **changes)
        self.change(speed_mps=speed_mps, longitudinal_acceleration_mps2=0.0)
        return self

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return (self.clock.now().monotonic - self._start) / NS_PER_S

    def moment(self, said: Said) -> Instant:
        """Return when something was said, on both clocks."""
        ago_ns = round((self.now_s - said.at_s) * NS_PER_S)
        now = self.clock.now()
        return Instant(MonotonicNs(now.monotonic - ago_ns), UtcNs(now.require_utc() - ago_ns))

    def of(self, cause: int, sub_cause: int = 0) -> list[Said]:
        """Return what was said of events of a cause, their ends too."""
        numbers = {said.announcement.action_id for said in self.said if said.cause == (cause, sub_cause)}
        return [said for said in self.said if said.announcement.action_id in numbers]

    def times(self, what: str, cause: int, sub_cause: int = 0) -> list[float]:
        """Return when something was said, to the tenth of a second."""
        return [round(said.at_s, 1) for said in self.of(cause, sub_cause) if said.what == what]

    def causes(self) -> set[tuple[int | None, int]]:
        """Return every cause that was told of."""
        return {said.cause for said in self.said if said.what != "end"}

    def _over_bus(self, now: MonotonicNs) -> Iterable[SignalUpdate]:
        frames = self._ecu.poll(self.sample, now)
        return chain.from_iterable(
            self._can_input.on_frame(frame) for frame in frames if NAMES[frame.arbitration_id] not in self.muted
        )

    def _said_directly(self, now: MonotonicNs) -> Iterable[SignalUpdate]:
        for name, (message, max_age_ns) in SOURCES.items():
            if message not in self.muted:
                holder = self.sample.body if name in _BODY else self.sample
                yield SignalUpdate(field=name, value=getattr(holder, name), at=now, max_age_ns=max_age_ns)

    def _move(self, step_s: float, acceleration_mps2: float) -> None:
        sample = self.sample
        if sample.speed_mps is None or sample.position is None or sample.odometer_m is None:
            return
        speed_mps = max(0.0, sample.speed_mps + acceleration_mps2 * step_s)
        moved_m = speed_mps * step_s
        self.sample = replace(
            sample,
            speed_mps=speed_mps,
            position=displaced(sample.position, moved_m, 0.0),
            odometer_m=sample.odometer_m + moved_m,
        )

    def _keep(self, announcement: Announcement, now: Instant) -> None:
        denm = announcement.denm
        last = self._known.get(announcement.action_id)
        if denm.termination is not None:
            what = "end"
        elif last is None:
            what = "new"
        else:
            what = "repeat" if denm.reference_time == last else "update"
        self._known[announcement.action_id] = denm.reference_time
        self.said.append(Said(at_s=(now.monotonic - self._start) / NS_PER_S, what=what, announcement=announcement))
