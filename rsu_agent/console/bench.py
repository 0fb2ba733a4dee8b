"""What the console costs the unit: a crowded junction in real time, looked at by one page over HTTP.

All of it is the unit's own: the agent, the feed that looks at it, and the server that sends what changed; the reader at the other
end is a thread whose processor time does not count, nor does what the unit hears and says anyway. In a round everybody moves
between each two looks for a second, and the reader counts the events that tell of everybody.
"""

import asyncio
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import urandom
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import thread_time_ns
from urllib.parse import urlsplit

import structlog

import rsu_agent.junctions
from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.console.app import EVENTS_PATH
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.open_console import OpenConsole, open_console
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RawP256
from shared.bench.rounds import elapsed_ns
from shared.bench.traffic import NOON, Hierarchy
from shared.core.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.core.errors import TransportError
from shared.core.geo import displaced
from shared.core.ids import HashedId8, MessageId, StationId
from shared.pki.permission_sets import StationRole
from shared.security.freshness import trusted_time64
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.service.command_socket import Order
from shared.trust.claims import Claim, ClaimSource

VEHICLES = 300
MOVES_PER_S = 10
REACH_M = 300.0
START_TIMEOUT_S = 30.0
READ_OCTETS = 1 << 16

MOST_MS = 100.0
"""A tenth of a core."""

LEAST_UPDATES = 9.9
"""Ten a second, on a clock read at both ends of a second."""

_END = b"\n\n"
_A_ROW = b'"trusted"'
"""What stands once in the row of each vehicle here."""


class _Reader(Thread):
    """Reads a stream of events as a page does, again and again until it hangs up; counts those that tell of everybody."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._request = b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (EVENTS_PATH.encode(), parts.netloc.encode())
        self._is_over = Event()
        self.updates = 0

    def run(self) -> None:
        while not self._is_over.is_set():
            with socket.create_connection(self._address, START_TIMEOUT_S) as connection:
                connection.sendall(self._request)
                self._read(connection)

    def hang_up(self) -> None:
        """Read no further than the event that comes next, or the end."""
        self._is_over.set()

    def _read(self, connection: socket.socket) -> None:
        unread = b""
        while not self._is_over.is_set() and (octets := connection.recv(READ_OCTETS)):
            *events, unread = (unread + octets).split(_END)
            self.updates += sum(event.count(_A_ROW) >= VEHICLES for event in events)


class _Crowd:
    """A unit at a junction where everybody moves ten times a second."""

    def __init__(self) -> None:
        hierarchy, folder = Hierarchy(), Path(rsu_agent.junctions.__file__).parent
        plan = load_plan(folder / "crossing.plan.toml")
        self._lanes = load_map(folder / "crossing.map.toml", plan.signal_groups)
        ticket = hierarchy.ticket(StationRole.RSU)
        parts = RsuParts(
            station_id=StationId(1),
            position=self._lanes.reference,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=TicketPool((ticket,), policy=TicketPolicy(), uses=FleetingUse()),
            junction=JunctionParts(controller=FixedTimeController(plan), rules=plan.guard_rules, lanes=self._lanes),
        )
        self._clock = ManualClock(NOON)
        self._lot = Random(300)  # noqa: S311 - places and names of the bench
        self._tickets = [HashedId8(self._lot.randbytes(8)) for _ in range(VEHICLES)]
        self._agent: RsuAgent = make_agent(parts, entropy=urandom)

    @contextmanager
    def console(self) -> Iterator[OpenConsole]:
        """Open the console of the unit, as its shell does."""
        opening = open_console(
            HttpConfig(listen="127.0.0.1:0"),
            self._agent,
            self._lanes,
            position=self._lanes.reference,
            status=lambda: self._agent.status(self._clock.now()),
            brief=lambda: self._agent.status(self._clock.now(), brief=True),
            obey=_refuse,
            clock=self._clock,
            log=structlog.get_logger(),
        )
        with opening as console:
            yield console

    def move(self) -> None:
        """Have everybody move and the unit do its work."""
        now = self._clock.advance(NS_PER_S // MOVES_PER_S)
        for ticket in self._tickets:
            place = displaced(self._lanes.reference, self._lot.uniform(-REACH_M, REACH_M), self._lot.uniform(-REACH_M, REACH_M))
            taken_at = trusted_time64(now)
            claim = Claim(source=ClaimSource.MESSAGE, taken_at=taken_at, position=place, speed_mps=13.9, heading_deg=90.0)
            self._agent.peers.heard(ticket, StationId(7), MessageId.CAM, now, claim=claim)
        self._agent.on_timer(now)


@dataclass(slots=True, kw_only=True)
class _Rounds:
    """What was measured, round by round: processor time in ms, updates a second, raw P-256 verifications a second."""

    spent_ms: list[float] = field(default_factory=list)
    updates: list[float] = field(default_factory=list)
    pace: list[float] = field(default_factory=list)


async def _measured(effort: Effort) -> _Rounds:
    crowd, raw, measured = _Crowd(), RawP256(), _Rounds()
    crowd.move()
    with crowd.console() as console:
        reader, serving = _Reader(console.http.url), asyncio.create_task(console.run())
        reader.start()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not reader.updates:
                    await asyncio.sleep(1 / MOVES_PER_S)
                    crowd.move()
            for _ in range(effort.rounds):
                measured.pace.append(effort.calls * NS_PER_S / elapsed_ns(raw.verifying(effort.calls)))
                spent_ns, updates = await _second(crowd, reader)
                measured.spent_ms.append(spent_ns / NS_PER_MS)
                measured.updates.append(updates)
        finally:
            reader.hang_up()
            serving.cancel()
            await asyncio.wait((serving,))
            await asyncio.to_thread(reader.join)
    return measured


async def _second(crowd: _Crowd, reader: _Reader) -> tuple[int, float]:
    """Let a second pass; return the processor time that the console took of it, and its updates a second."""
    loop = asyncio.get_running_loop()
    seen, others_ns, began_s, began_ns = reader.updates, 0, loop.time(), thread_time_ns()
    for move in range(1, MOVES_PER_S + 1):
        before_ns = thread_time_ns()
        crowd.move()
        others_ns += thread_time_ns() - before_ns
        await asyncio.sleep(began_s + move / MOVES_PER_S - loop.time())
    spent_ns = thread_time_ns() - began_ns - others_ns
    return spent_ns, (reader.updates - seen) / (loop.time() - began_s)


async def _refuse(_order: Order) -> Mapping[str, object]:
    raise TransportError("bench", "nothing is ordered here")


def console(effort: Effort) -> Iterable[Figure]:
    """Show a page seconds in which 300 vehicles move between each two of ten looks."""
    measured = asyncio.run(_measured(effort))
    yield figure_of(
        "rsu.console",
        f"processor time of a second of the console, its server included: {VEHICLES} vehicles that all move {MOVES_PER_S} times",
        Unit.MILLISECONDS,
        measured.spent_ms,
        pace=measured.pace,
        targets=(Target(measure=Measure.PACED_MEDIAN, bound=MOST_MS),),
    )
    yield figure_of(
        "rsu.console.updates",
        f"updates that reach a page over HTTP, each with all {VEHICLES} vehicles",
        Unit.PER_SECOND,
        measured.updates,
        targets=(Target(measure=Measure.MEDIAN, bound=LEAST_UPDATES),),
    )
