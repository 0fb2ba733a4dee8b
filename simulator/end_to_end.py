"""A car and its listener on one real medium, for figures: from a frame on the bus to what the other verified.

    SimulatedEcu -> python-can's virtual bus -> the vehicle agent's own shell -> radio -> RadioSet, Intake, Station -> `Verified`

Nothing is left out and nothing is replaced: the car is `vehicle_agent.shell.serve` with files, status socket and timers. Both run
in one event loop of one process, so each also pays for the other's work. When the car looks whether a message is due is learned
from outside, by the generation times it signs. Left out: the air, and a bus that arbitrates.
"""

import asyncio
import gc
import io
import os
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory
from typing import TypeVar

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, TimeSource
from shared.core.errors import TransportError, V2xError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationType
from shared.core.itstime import utc_of
from shared.network.forwarding import Forwarding
from shared.pki.permission_sets import StationRole
from shared.security.ecdsa import SoftwareSigner
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.open_radios import attend, open_radios
from shared.service.radio_config import RadioConfig
from shared.service.radio_intake import feed_intake
from shared.service.run import Service, WorkingLoop
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import write_ticket, write_trust_directory
from shared.service.verification_pool import VerificationConfig, VerificationPool
from shared.stack.batch import Outcome
from shared.stack.effects import Effect
from shared.stack.inbound import Inbound
from shared.stack.indication import Indication
from shared.stack.intake import Intake
from shared.stack.router import Router
from shared.stack.station import StationIdentity, make_station
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.can_frame import CanFrame
from simulator.authorities import Authorities
from simulator.ecu import SIM_CAR_MAP, Body, KinematicSample, SimulatedEcu, load_sim_car
from vehicle_agent.config import CanConfig, IdentityConfig, LedgerConfig, StateConfig, StationConfig, TimeConfig, VehicleConfig
from vehicle_agent.shell import serve

T = TypeVar("T")

PLACE = GeoPoint(48.1312, 11.5498)
"""Where the listener is, and the car nearly."""

SPEED_MPS = 15.0
TICK_S = 0.01
"""How often the units look what is due."""

TICKS_PER_REPEAT = 10
"""Turns of the units after which they repeat what is otherwise said at a chosen moment."""

PATIENCE_S = 10.0
"""A message that has not come by then does not come: something is broken, or the machine stands still."""

NEAR_NS = 2 * NS_PER_MS
"""A moment so near is not slept for."""

REMEMBERED = 32
"""Messages from which a rhythm is learned."""

FIX, BRAKES = "GNSS_FIX", "BRAKE_CONTROL"
"""Frames that go on the bus at chosen moments."""

_STEP_M = 6.0
_DRIFT_M = 0.05
_SAMPLE = KinematicSample(
    position=PLACE,
    altitude_m=520.0,
    position_accuracy_m=1.0,
    heading_deg=0.0,
    speed_mps=SPEED_MPS,
    longitudinal_acceleration_mps2=0.0,
    lateral_acceleration_mps2=0.0,
    yaw_rate_dps=0.0,
    steering_wheel_angle_deg=0.0,
    odometer_m=1_000.0,
    low_beam=True,
)


class Rhythm:
    """When an agent looks whether a message is due, learned from the generation times it signed.

    Args:
        period_ns: from one look to the next.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._generated: deque[MonotonicNs] = deque(maxlen=REMEMBERED)
        self._look = MonotonicNs(0)

    def note(self, generated: MonotonicNs) -> None:
        """Take the moment a message was made: a look, or somewhat after one, for timers are late and never early."""
        self._generated.append(generated)
        self._look = min(self._generated, key=self._lateness_ns)

    def next_look(self, after: MonotonicNs) -> MonotonicNs:
        """Return the first look not before `after`."""
        return MonotonicNs(after + (self._look - after) % self._period_ns)

    def _lateness_ns(self, look: MonotonicNs) -> int:
        """Return how late all were together, had this been a look."""
        return sum((generated - look) % self._period_ns for generated in self._generated)


class Units:
    """The car's control units: a steady bus, and frames of one kind at chosen moments.

    Args:
        channel: of the virtual bus.
        clock: of everybody.
    """

    def __init__(self, channel: str, clock: SystemClock) -> None:
        dbc = load_sim_car()
        self._clock = clock
        self._bus = CanBus(CanBusConfig(interface="virtual", channel=channel), clock=clock)
        self._ids = {name: dbc.message(name).arbitration_id for name in (FIX, BRAKES)}
        self._steady = SimulatedEcu(dbc, channel=channel, start=clock.now().monotonic)
        self._chosen = {name: SimulatedEcu(dbc, channel=channel, start=MonotonicNs(0)) for name in (FIX, BRAKES)}
        self._moves = 0
        self.sample = _SAMPLE
        self.repeated = {FIX, BRAKES}

    def move(self) -> GeoPoint:
        """Be elsewhere, far enough for a CAM, where the car was never before; return the place as the bus can say it."""
        self._moves += 1
        point = displaced(PLACE, self._moves * _DRIFT_M, self._moves % 2 * _STEP_M)
        point = GeoPoint(round(point.lat_deg, 7), round(point.lon_deg, 7))
        self.sample = replace(self.sample, position=point)
        return point

    def brake(self, *, is_automatic: bool) -> None:
        """Begin or cease to brake of the car's own accord."""
        self.sample = replace(self.sample, body=Body(automatic_emergency_braking=is_automatic))

    def prepare(self, name: str) -> Callable[[], MonotonicNs]:
        """Make the next frame of a kind; what is returned puts it on the bus, before any other of its kind, and tells when."""
        ecu, wanted = self._chosen[name], self._ids[name]
        while True:
            for frame in ecu.poll(self.sample, ecu.next_due()):
                if frame.arbitration_id == wanted:
                    return partial(self._put, frame)

    def _put(self, frame: CanFrame) -> MonotonicNs:
        began = self._clock.now().monotonic
        self._bus.send(frame)
        return began

    async def run(self) -> None:
        """Keep the bus busy until cancelled."""
        self._bus.open()
        try:
            ticks = 0
            while True:
                for frame in self._steady.poll(self.sample, self._clock.now().monotonic):
                    if frame.arbitration_id not in self._ids.values():
                        self._bus.send(frame)
                if ticks % TICKS_PER_REPEAT == 0:
                    for name in self.repeated:
                        self.prepare(name)()
                ticks += 1
                await asyncio.sleep(TICK_S)
        finally:
            self._bus.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A verified message and when it was there."""

    indication: Indication
    at: MonotonicNs

    @property
    def generated(self) -> MonotonicNs:
        """When its sender says it was made, on our clock."""
        received = self.indication.received
        return MonotonicNs(received.monotonic - (received.require_utc() - utc_of(self.indication.generation_time)))


class Listener:
    """An agent that only listens.

    Args:
        authorities: whom it believes, and whose ticket it has.
        clock: of everybody.
    """

    def __init__(self, authorities: Authorities, clock: SystemClock) -> None:
        station = make_station(
            identity=StationIdentity.drawn(StationType.PASSENGER_CAR, os.urandom),
            ticket=authorities.ticket(StationRole.VEHICLE),
            trust_store=authorities.trust_store,
            areas=NO_IDENTIFIED_AREAS,
        )
        router = Router(station=station, forwarding=Forwarding.NONE, entropy=os.urandom, started=clock.now().monotonic)
        self.inbound = Inbound(station, router)
        self._clock = clock
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()

    def next_due(self) -> MonotonicNs | None:
        """Nothing of its own is ever due."""
        return None

    def on_timer(self, _now: Instant) -> tuple[Effect, ...]:
        """Nothing of its own is ever due."""
        return ()

    def on_outcome(self, outcome: Outcome, _now: Instant, _packet: bytes) -> tuple[Effect, ...]:
        """Take the moment of what was verified."""
        if outcome is not None and not isinstance(outcome, V2xError):
            self._heard.put_nowait(Heard(indication=outcome, at=self._clock.now().monotonic))
        return ()

    async def hear(self, is_it: Callable[[Indication], bool]) -> Heard:
        """Wait for a message; what comes before it is let go.

        Raises:
            TransportError: it does not come.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    heard = await self._heard.get()
                    if is_it(heard.indication):
                        return heard
        except TimeoutError:
            refused = dict(self.inbound.refused)
            raise TransportError("end_to_end", f"it was not verified within {PATIENCE_S:g} s; refused: {refused}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """A car that drives and somebody who listens."""

    units: Units
    listener: Listener
    clock: SystemClock

    async def until(self, moment: MonotonicNs) -> None:
        """Wait for a moment: asleep while it is far, for timers are a millisecond late, then turn by turn of the event loop."""
        await asyncio.sleep(max(0, moment - NEAR_NS - self.clock.now().monotonic) / NS_PER_S)
        while self.clock.now().monotonic < moment:  # noqa: ASYNC110 - no event tells the time
            await asyncio.sleep(0)


class _Over(Exception):  # noqa: N818 - not an error: how the task group is told to end
    """What was to be measured has been."""


async def on_the_road(radio: RadioConfig, measure: Callable[[Road], Awaitable[T]]) -> T:
    """Put up a car and a listener, have something measured, and take them down.

    Args:
        radio: the medium.
        measure: is given both.

    Raises:
        TransportError: the medium cannot be had, or nothing comes through.
    """
    clock = SystemClock(TimeSource.ASSUME_TRUSTED)
    log = make_logger(io.StringIO())
    service = Notifier(None)
    results: list[T] = []
    with TemporaryDirectory() as directory, VerificationPool(threads=VerificationConfig().threads_here()) as checker:
        authorities = Authorities(Random(SystemRandom().random()), clock.now().require_utc(), name="Bench")  # noqa: S311 - short-lived
        config = _configure(Path(directory), authorities, radio)
        listener = Listener(authorities, clock)
        units = Units(config.can[0].channel, clock)
        radios = open_radios((radio,), clock=clock, log=log)
        intake = Intake(listener=listener, checker=checker, lot=SystemRandom())
        loop = WorkingLoop(listener, clock=clock, perform=_nothing, watchdog=Watchdog(service, None), intake=intake)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(feed_intake(radios, intake, loop, capture=None))
                tasks.create_task(attend(radios, lambda: PLACE))
                tasks.create_task(loop.run())
                tasks.create_task(units.run())
                agent = Service(tasks, service, Watchdog(service, None))
                tasks.create_task(serve(config, Path(directory) / "agent.toml", agent, log))
                results.append(await measure(Road(units=units, listener=listener, clock=clock)))
                _end()
        except* _Over:
            pass
        finally:
            radios.close()
            gc.unfreeze()  # what the car settled when it started
    return results[0]


def _end() -> None:
    raise _Over


async def _nothing(_effect: Effect) -> None:
    """Carry out nothing: a listener asks for nothing."""


def _configure(directory: Path, authorities: Authorities, radio: RadioConfig) -> VehicleConfig:
    """Write the identity of a car, and return the configuration it would have in a file."""
    write_trust_directory(directory / "trust", authorities.trust_store)
    for name, credential in (
        ("ticket", authorities.ticket(StationRole.VEHICLE)),
        ("enrolment", authorities.enrolment_credential()),
    ):
        assert isinstance(credential.signer, SoftwareSigner)
        write_ticket(directory / name, credential.certificate, credential.signer)
    return VehicleConfig(
        station=StationConfig(length_m=4.6, width_m=1.8),
        identity=IdentityConfig(trust=directory / "trust", ticket=directory / "ticket", enrolment=directory / "enrolment"),
        time=TimeConfig(source="assume_trusted"),
        can=(CanConfig(interface="virtual", channel=f"end-to-end-{directory.name}", map=SIM_CAR_MAP),),
        radio=(radio,),
        ledger=LedgerConfig(
            log=directory / "log.db", key=directory / "log.key", policy=directory / "log.policy", origin="bench.example/log"
        ),
        state=StateConfig(
            spool=directory / "spool.db", status_socket=directory / "status.sock", notices=directory / "notices.jsonl"
        ),
    )
