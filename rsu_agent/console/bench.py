"""What the console costs the unit: seconds of a crowded junction, looked at as one open page does."""

from collections.abc import Iterable, Sequence
from os import urandom
from pathlib import Path
from random import Random

import rsu_agent.junctions
from rsu_agent.agent import RsuAgent
from rsu_agent.composition import JunctionParts, RsuParts, make_agent
from rsu_agent.console.feed import LOOKS_PER_STATUS
from rsu_agent.console.open_console import make_view, seen_of
from rsu_agent.console.view import ConsoleView
from rsu_agent.map_data import load_map
from rsu_agent.signal_controllers.fixed_time import FixedTimeController, load_plan
from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RAW_VERIFY, RawP256
from shared.bench.rounds import Side, Work, measure_rates
from shared.bench.traffic import NOON, Hierarchy
from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import HashedId8, MessageId, StationId
from shared.pki.permission_sets import StationRole
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool

VEHICLES = 300
LOOKS_PER_S = 10
REACH_M = 300.0

MOST_MS = 100.0
"""A tenth of a core."""

FEWER = 250
"""A second of the console is so much more than a signature."""

Position = tuple[HashedId8, GeoPoint]


class _Crowd:
    """A junction at which everybody moves between two looks."""

    def __init__(self) -> None:
        hierarchy, folder = Hierarchy(), Path(rsu_agent.junctions.__file__).parent
        plan = load_plan(folder / "crossing.plan.toml")
        lanes = load_map(folder / "crossing.map.toml", plan.signal_groups)
        ticket = hierarchy.ticket(StationRole.RSU)
        parts = RsuParts(
            station_id=StationId(1),
            position=lanes.reference,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=TicketPool((ticket,), policy=TicketPolicy(), uses=FleetingUse()),
            junction=JunctionParts(controller=FixedTimeController(plan), rules=plan.guard_rules, lanes=lanes),
        )
        self._clock = ManualClock(NOON)
        self._lot = Random(300)  # noqa: S311 - places and names of the bench
        self._middle = lanes.reference
        self._tickets = [HashedId8(self._lot.randbytes(8)) for _ in range(VEHICLES)]
        self.agent: RsuAgent = make_agent(parts, entropy=urandom)
        self.view: ConsoleView = make_view(self.agent, lanes, position=lanes.reference, takes_orders=True)

    def seconds(self, calls: int) -> Work:
        """Prepare that many seconds of traffic, and the work of hearing and showing it."""
        looks = [self._moved() for _ in range(calls * LOOKS_PER_S)]

        def work() -> None:
            for number, (now, positions) in enumerate(looks):
                for ticket, position in positions:
                    self.agent.peers.heard(
                        ticket, StationId(7), MessageId.CAM, now, position=position, speed_mps=13.9, heading_deg=90.0
                    )
                status = self.agent.status(now) if number % LOOKS_PER_STATUS == 0 else None
                self.view.look(seen_of(self.agent), now, status)

        return work

    def _moved(self) -> tuple[Instant, Sequence[Position]]:
        aside = [self._lot.uniform(-REACH_M, REACH_M) for _ in range(2 * VEHICLES)]
        places = [displaced(self._middle, *aside[2 * n : 2 * n + 2]) for n in range(VEHICLES)]
        return self._clock.advance(NS_PER_S // LOOKS_PER_S), tuple(zip(self._tickets, places, strict=True))


def console(effort: Effort) -> Iterable[Figure]:
    """Show a page a second in which 300 vehicles move between each two of ten looks."""
    crowd, raw = _Crowd(), RawP256()
    sides = {"console": Side(crowd.seconds, fewer=FEWER), RAW_VERIFY: Side(raw.verifying)}
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    yield figure_of(
        "rsu.console",
        f"processor time of a second of the console: {VEHICLES} vehicles that all move between each two of {LOOKS_PER_S} looks",
        Unit.MILLISECONDS,
        [1_000 / rate for rate in rates["console"]],
        pace=rates[RAW_VERIFY],
        targets=(Target(measure=Measure.PACED_MEDIAN, bound=MOST_MS),),
    )
