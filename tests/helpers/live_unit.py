"""A roadside unit that works in real time with its console on loopback: only the radio is the test's own.

The unit runs on a thread of its own, as a process would: its working loop gives the agent its inputs, and the console looks at it
between two steps. What it says is kept; what the test says is posted to it like a packet from the air.
"""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.open_console import OpenConsole, open_console
from rsu_agent.orders import obeying
from rsu_agent.signal_controllers.feeds import open_feed
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, FixedTimePlan
from shared.core.clock import NS_PER_S, Instant, TimeSource, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of
from shared.messages.cam import Cam
from shared.pki.permission_sets import StationRole
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import TicketCredential
from shared.service.log import make_logger
from shared.service.notify import Notifier, Watchdog
from shared.service.run import WorkingLoop
from shared.service.system_clock import SystemClock
from shared.stack.effects import Effect, Transmit
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.pools import pool_of
from tests.unit.rsu_agent.test_rsu_agent import CENTRE, MAP, PLAN

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
TOKEN = "the-operator-knows-this-one-0001"
PATIENCE_S = 60.0
UNIT_ID = StationId(4049)


@dataclass(slots=True, kw_only=True)
class LiveCar:
    """A car that says where it is whenever it is told to."""

    station: Station
    ticket: str
    east_m: float = -60.0
    north_m: float = -5.0
    heading_deg: float = 90.0
    speed_mps: float = 10.0

    def cam(self, now: Instant) -> bytes:
        """Return a signed CAM of this moment."""
        point = displaced(CENTRE, self.east_m, self.north_m)
        message = Cam(
            station_id=self.station.identity.station_id,
            generation_delta_time_ms=generation_delta_time(time64_of(now.require_utc())),
            station_type=StationType.PASSENGER_CAR,
            lat_deg=round(point.lat_deg, 7),
            lon_deg=round(point.lon_deg, 7),
            heading_deg=self.heading_deg,
            speed_mps=self.speed_mps,
        )
        here = EgoPosition(point=point, taken_at=now.require_utc(), speed_mps=self.speed_mps, heading_deg=self.heading_deg)
        return self.station.send(message, position=here, now=now)


@dataclass(slots=True, kw_only=True)
class LiveUnit:
    """The unit while it runs."""

    hierarchy: Hierarchy
    console: OpenConsole
    loop: WorkingLoop
    events: asyncio.AbstractEventLoop
    agent: RsuAgent
    said: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"{self.console.http.url}/console"

    def hear(self, packet: bytes) -> None:
        """Have the unit hear a packet, and wait until it is in its inbox."""
        step = partial(self.agent.on_packet, packet)
        asyncio.run_coroutine_threadsafe(self.loop.post(step), self.events).result(PATIENCE_S)

    def hear_car(self, car: LiveCar) -> None:
        """Have a car speak and the unit hear it."""
        self.hear(car.cam(CLOCK.now()))


def live_hierarchy(seed: int, *, hours_old: float = 1.0) -> Hierarchy:
    """Return authorities whose certificates began to be valid a while ago."""
    return Hierarchy(seed, begin=UtcNs(CLOCK.now().require_utc() - round(hours_old * 3_600) * NS_PER_S))


def live_car(hierarchy: Hierarchy, seed: int, ticket: TicketCredential | None = None) -> LiveCar:
    """Return a car with a ticket of its own."""
    ticket = ticket or hierarchy.ticket()
    station = make_station(
        identity=StationIdentity.drawn(StationType.PASSENGER_CAR, Random(seed).randbytes),
        ticket=ticket,
        trust_store=hierarchy.trust_store,
        areas=NO_IDENTIFIED_AREAS,
    )
    return LiveCar(station=station, ticket=ticket.certificate.hashed_id8.hex())


@contextmanager
def live_unit(
    folder: Path,
    *,
    hierarchy: Hierarchy,
    plan: FixedTimePlan = PLAN,
    position: GeoPoint = CENTRE,
    parts: RsuParts | None = None,
) -> Iterator[LiveUnit]:
    """Run a unit while the block runs.

    Args:
        folder: for the operator's token.
        hierarchy: whose tickets it and others have.
        plan: of its lights.
        position: where it stands.
        parts: what it is made of besides; None for a junction and nothing else.
    """
    token = folder / "operator.token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    ticket = hierarchy.ticket(StationRole.RSU)
    made = parts or RsuParts(
        station_id=UNIT_ID,
        position=position,
        ticket=ticket,
        trust_store=hierarchy.trust_store,
        tickets=pool_of(ticket),
        junction=JunctionParts(
            controller=FixedTimeController(plan),
            rules=plan.guard_rules,
            lanes=replace(MAP, signal_groups=plan.signal_groups),
        ),
    )
    started: list[LiveUnit] = []
    is_running, stop = threading.Event(), []

    async def work() -> None:
        async with AsyncExitStack() as stack:
            await work_within(stack)

    async def work_within(stack: AsyncExitStack) -> None:
        agent = make_agent(made, entropy=Random(1).randbytes)
        said: list[bytes] = []

        async def perform(effect: Effect) -> None:
            if isinstance(effect, Transmit):
                said.append(effect.packet)

        loop = WorkingLoop(agent, clock=CLOCK, perform=perform, watchdog=Watchdog(Notifier(None), None))
        tasks: list[asyncio.Future[None]] = []
        if made.junction is not None and made.junction.place is not None and agent.signals is not None:
            listening = open_feed(
                made.junction.place, agent.signals, clock=CLOCK, wake=loop.wake, entropy=Random(2).randbytes, environment={}
            )
            feed = await stack.enter_async_context(listening)
            tasks.append(asyncio.ensure_future(feed.run()))
        opening = open_console(
            HttpConfig(listen="127.0.0.1:0", token=token),
            agent,
            None if made.junction is None else made.junction.lanes,
            position=made.position,
            status=lambda: agent.status(CLOCK.now()),
            obey=obeying(agent, loop),
            clock=CLOCK,
            log=make_logger(io.StringIO(), as_json=True),
            environment={},
        )
        with opening as console:
            started.append(
                LiveUnit(
                    hierarchy=hierarchy,
                    console=console,
                    loop=loop,
                    events=asyncio.get_running_loop(),
                    agent=agent,
                    said=said,
                )
            )
            tasks[:0] = [asyncio.ensure_future(loop.run()), asyncio.ensure_future(console.run())]
            stop.append(tasks)
            is_running.set()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            for each in done:
                if not each.cancelled():
                    each.result()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert is_running.wait(PATIENCE_S), "the unit did not start"
    (unit,) = started
    try:
        yield unit
    finally:
        unit.events.call_soon_threadsafe(stop[0][0].cancel)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
