"""Control units that answer, and the agent's questions to them, on one bus that may lose frames; the test holds the clock."""

from collections import deque
from collections.abc import Callable
from random import Random

from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import StorageError
from shared.records.credential import VehicleCredential
from shared.records.record import SignedRecord
from shared.records.recorder import Recorder, RecordHead
from shared.stack.effects import Effect, Notice, SendCan
from shared.transport.can_frame import CanFrame
from simulator.diagnostics import CarFigures, Diagnostics, DiagnosticUnit, brakes_unit, cluster_unit, engine_unit, gearbox_unit
from tests.helpers.ledger import Vehicle, seeded_entropy
from vehicle_agent.part_identity import PartIdentity
from vehicle_agent.requests.car_requests import CarRequests
from vehicle_agent.requests.config import OdometerConfig, RequestsConfig
from vehicle_agent.vehicle_memory import InMemory, Remembered
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fold

VIN = "WVWZZZ1KZAW000123"
CHANNEL = "can0"
START_UTC = UtcNs(1_790_000_000 * NS_PER_S)

CLUSTER_ODOMETER = OdometerConfig(
    unit="cluster", request=0x714, response=0x77E, identifier=0x2203, octets=3, metres_per_bit=1_000.0, every_s=5.0
)
BRAKES_ODOMETER = OdometerConfig(
    unit="abs", request=0x713, response=0x77D, identifier=0x10E0, first_octet=2, octets=4, metres_per_bit=1.0, every_s=5.0
)
SETTINGS = RequestsConfig(bus=CHANNEL, rate_per_s=10.0, odometer=(CLUSTER_ODOMETER, BRAKES_ODOMETER))

CarryOn = Callable[[CanFrame], bool]
"""Whether the bus carries a frame."""


def all_units(**changes: DiagnosticUnit) -> tuple[DiagnosticUnit, ...]:
    """Return the units of a whole car; `engine=`, `gearbox=`, `cluster=`, `brakes=` put another in a unit's place."""
    units = {"engine": engine_unit(VIN), "gearbox": gearbox_unit(), "cluster": cluster_unit(VIN), "brakes": brakes_unit()}
    return tuple({**units, **changes}.values())


class Shelf:
    """A store of records in memory that can be full."""

    def __init__(self) -> None:
        self.records: list[SignedRecord] = []
        self.is_full = False

    def head(self) -> RecordHead | None:
        if not self.records:
            return None
        last = self.records[-1]
        return RecordHead(seq=last.record.seq, commitment=last.commitment, odometer_m=last.record.odometer_m)

    def credentials(self) -> tuple[VehicleCredential, ...]:
        return tuple({signed.credential.id: signed.credential for signed in self.records}.values())

    def append(self, record: SignedRecord) -> None:
        if self.is_full:
            raise StorageError("shelf", "is full")
        self.records.append(record)


class Car:
    """A car whose units are asked.

    Args:
        units: that answer.
        settings: what may be asked.
        carries: whether the bus carries a frame; all of them unless said.
        remembered: what was known before.
        says_ignition: whether the car says so.
    """

    def __init__(
        self,
        units: tuple[DiagnosticUnit, ...] | None = None,
        settings: RequestsConfig = SETTINGS,
        *,
        carries: CarryOn = lambda _: True,
        remembered: Remembered | None = None,
        says_ignition: bool = True,
    ) -> None:
        self.clock = ManualClock(START_UTC, MonotonicNs(1_000 * NS_PER_S))
        self.diagnostics = Diagnostics(all_units() if units is None else units, channel=CHANNEL)
        self.remembered = Remembered(InMemory()) if remembered is None else remembered
        self.requests = CarRequests(
            settings,
            channel=CHANNEL,
            identity=PartIdentity(self.remembered),
            says_ignition=says_ignition,
            started=self.clock.now().monotonic,
        )
        self.figures = CarFigures(
            odometer_m=123_456_700.0, speed_mps=0.0, engine_per_min=800.0, running_s=30.0, since_cleared_m=9_000.0
        )
        self.state = VehicleState()
        self.known: dict[str, object] = {"ignition_on": True, "speed_mps": 0.0} if says_ignition else {}
        self.updates: list[SignalUpdate] = []
        self.notices: list[Notice] = []
        self.frames: list[CanFrame] = []
        """All that was on the bus, in order."""
        self.asked: list[CanFrame] = []
        """What the agent sent."""
        self.shelf = Shelf()
        self._recorder = Recorder(signer=Vehicle(), store=self.shelf, entropy=seeded_entropy(), boot_id=bytes(16))
        self._carries = carries
        self._wire: deque[CanFrame] = deque()

    @property
    def now(self) -> MonotonicNs:
        return self.clock.now().monotonic

    def latest(self, field: str) -> object:
        """The last news of a field; raises where there was none."""
        return next(update.value for update in reversed(self.updates) if update.field == field)

    def run(self, seconds: float) -> None:
        """Let time pass, a timer at a time; what the car says by itself is renewed every half second."""
        end = self.now + round(seconds * NS_PER_S)
        while self.now < end:
            step = min(end, self.now + NS_PER_S // 2)
            self._say()
            while True:
                due = [each for each in (self.requests.next_due(), self.diagnostics.next_due()) if each is not None]
                at = max(self.now, min(due, default=MonotonicNs(step)))
                if at > step:
                    break
                before = (self.now, len(self.frames))
                self.clock.advance_to(MonotonicNs(at))
                self.turn()
                if (self.now, len(self.frames)) == before:
                    self.clock.advance(NS_PER_MS)
            if self.now < step:
                self.clock.advance_to(MonotonicNs(step))

    def turn(self) -> None:
        """Let everybody do what is due now."""
        self._effects(self.requests.poll(self.state, self._recorder, self.clock.now()))
        self._wire.extend(self.diagnostics.poll(self.now))
        self.settle()

    def put(self, frame: CanFrame) -> None:
        """Put a frame of somebody else on the bus."""
        self._wire.append(frame)
        self.settle()

    def settle(self) -> None:
        """Carry what is on the wire."""
        while self._wire:
            frame = self._wire.popleft()
            self.frames.append(frame)
            if not self._carries(frame):
                continue
            self._wire.extend(self.diagnostics.hear(frame, self.figures, self.now))
            updates, effects = self.requests.hear(frame, self.now)
            self.updates += updates
            self.state = fold(self.state, updates)
            self._effects(effects)

    def _say(self) -> None:
        self.state = fold(
            self.state,
            [SignalUpdate(field=field, value=value, at=self.now, max_age_ns=NS_PER_S) for field, value in self.known.items()],  # type: ignore[arg-type]  # values of the test
        )

    def _effects(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case SendCan():
                    frame = CanFrame(effect.arbitration_id, effect.is_extended, effect.data, CHANNEL, self.now)
                    self.asked.append(frame)
                    self._wire.append(frame)
                case Notice():
                    self.notices.append(effect)
                case _:
                    raise AssertionError(effect)


def losing(share: float, seed: int) -> CarryOn:
    """Return a bus that loses a share of its frames."""
    random = Random(seed)
    return lambda _: random.random() >= share
