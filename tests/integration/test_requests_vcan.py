"""Questions to control units over real buses: python-can's virtual one, and the kernel's where V2X_VCAN names it.

Both ends are read and written in one loop, and their common time runs ten times as fast as the machine's: nothing is about rates.
"""

import io
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs, TimeSource
from shared.records.recorder import Recorder
from shared.service.log import make_logger
from shared.service.system_clock import SystemClock
from shared.stack.effects import Effect, Notice
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFrame
from simulator.diagnostics import CarFigures, Diagnostics, Manners, brakes_unit, cluster_unit
from tests.helpers.control_units import BRAKES_ODOMETER, CLUSTER_ODOMETER, VIN, Shelf, all_units
from tests.helpers.ledger import Vehicle, seeded_entropy
from vehicle_agent.part_identity import PartIdentity
from vehicle_agent.request_sender import RequestSender
from vehicle_agent.requests.car_requests import CONFIRM_AFTER_NS, FIRST_SURVEY_AFTER_NS, CarRequests
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.vehicle_memory import InMemory, Remembered
from vehicle_agent.vehicle_state import Aged, SignalUpdate, VehicleState

_NUMBERS = itertools.count()
_PATIENCE_NS = 120_000 * NS_PER_MS
_HASTE = 10
_FIGURES = CarFigures(odometer_m=123_456_700.0, speed_mps=0.0, engine_per_min=800.0, since_cleared_m=9_000.0)


def _virtual() -> CanBusConfig:
    return CanBusConfig(interface="virtual", channel=f"test-requests-{next(_NUMBERS)}")


def _socketcan() -> CanBusConfig:
    return CanBusConfig(interface="socketcan", channel=os.environ["V2X_VCAN"])


_CONFIGS: dict[str, Callable[[], CanBusConfig]] = {"virtual": _virtual}
if os.environ.get("V2X_VCAN"):
    _CONFIGS["socketcan"] = _socketcan


class Drive:
    """An agent's questions and a car's units, each at an end of its own of one bus."""

    def __init__(self, config: CanBusConfig, diagnostics: Diagnostics, settings: RequestsConfig, stack: ExitStack) -> None:
        self._clock = SystemClock(TimeSource.ASSUME_TRUSTED)
        self._start = self._clock.now().monotonic
        self._skipped_ns = 0
        self.diagnostics = diagnostics
        self._units_end = CanBus(config, clock=self._clock)
        self._agent_end = CanBus(config, clock=self._clock, filters=settings.filters)
        for bus in (self._units_end, self._agent_end):
            stack.callback(bus.close)
            bus.open()
        self.remembered = Remembered(InMemory())
        self.requests = CarRequests(
            settings,
            channel=config.channel,
            identity=PartIdentity(self.remembered),
            says_ignition=True,
            started=self._start,
        )
        self.log = io.StringIO()
        self.sender = RequestSender({settings.bus: self._agent_end}, make_logger(self.log, as_json=True))
        self._recorder = Recorder(signer=Vehicle(), store=Shelf(), entropy=seeded_entropy(), boot_id=bytes(16))
        self.updates: list[SignalUpdate] = []
        self.notices: list[Notice] = []

    def skip(self, ns: int) -> None:
        """Let time pass in which nobody says anything."""
        self._skipped_ns += ns

    def until(self, is_done: Callable[[], bool]) -> None:
        """Let both ends work until something is so; fails where it never is."""
        deadline = self._clock.now().monotonic + _PATIENCE_NS
        while not is_done():
            real = self._clock.now()
            assert real.monotonic < deadline, self.requests.status()
            now = Instant(MonotonicNs(self._start + _HASTE * (real.monotonic - self._start) + self._skipped_ns), real.utc)
            at = now.monotonic
            for frame in self._units_end.drain():
                for answer in self.diagnostics.hear(frame, _FIGURES, at):
                    self._units_end.send(answer)
            for answer in self.diagnostics.poll(at):
                self._units_end.send(answer)
            for frame in self._agent_end.drain():
                stamped = CanFrame(frame.arbitration_id, frame.is_extended, frame.data, frame.channel, at)
                updates, effects = self.requests.hear(stamped, at)
                self.updates += updates
                self._carry_out(effects)
            standing = VehicleState(ignition_on=Aged(True, at, 1), speed_mps=Aged(0.0, at, 1))
            self._carry_out(self.requests.poll(standing, self._recorder, now))
            os.sched_yield()

    def said(self, field: str) -> set[object]:
        """All values of a field so far."""
        return {update.value for update in self.updates if update.field == field}

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            self.sender.take(effect)
            if isinstance(effect, Notice):
                self.notices.append(effect)


@pytest.fixture(params=sorted(_CONFIGS))
def drive(request: pytest.FixtureRequest) -> Iterator[Callable[..., Drive]]:
    with ExitStack() as stack:

        def make(diagnostics: Diagnostics) -> Drive:
            settings = RequestsConfig(bus="car", rate_per_s=10.0, odometer=(CLUSTER_ODOMETER, BRAKES_ODOMETER))
            return Drive(_CONFIGS[str(request.param)](), diagnostics, settings, stack)

        yield make


def test_odometers_by_obd_and_uds_and_the_vehicles_number_come_over_the_bus(drive: Callable[..., Drive]) -> None:
    manners = Manners(pending=1, delay_ns=20 * NS_PER_MS)
    units = all_units(cluster=cluster_unit(VIN, manners=manners), brakes=brakes_unit(manners=Manners(busy=1)))
    car = drive(Diagnostics(units, channel="car"))
    car.until(lambda: bool(car.said("uds_odometer_m")) and bool(car.said("obd_odometer_m")) and bool(car.said("obd_speed_mps")))
    assert car.said("obd_odometer_m") == {123_456_700.0}
    assert car.said("uds_odometer_m") <= {123_456_000.0, 123_456_700.0}
    for survey, pause_ns in ((1, FIRST_SURVEY_AFTER_NS), (2, CONFIRM_AFTER_NS)):
        car.skip(pause_ns)
        car.until(partial(_has_surveyed, car, survey))
    memory = car.remembered.memory
    assert memory.vin == VIN
    assert [part.unit for part in memory.parts] == ["car:77d", "car:77e", "car:7e8", "car:7e9"]
    assert (car.notices, car.requests.status()["faults"]) == ([], {})
    assert car.sender.status()["failed"] == {}


def _has_surveyed(car: Drive, times: int) -> bool:
    return car.requests.identity.status()["surveys"] == times


def test_a_bus_that_cannot_send_is_told_once_and_counted(drive: Callable[..., Drive]) -> None:
    car = drive(Diagnostics((), channel="car"))
    car._agent_end.close()
    frame = car.requests.poll(
        VehicleState(ignition_on=Aged(True, car._start, 1)),
        car._recorder,
        Instant(car._start, None),
    )
    for _ in range(3):
        for effect in frame:
            car.sender.take(effect)
    status = car.sender.status()
    assert (status["sent"], status["failed"]) == ({}, {"car": 3})
    assert "not open" in str(status["last_fault"])
    assert car.log.getvalue().count("unavailable") == 1
