"""A roadside unit at work: its agent in a working loop, and a car that hears what it says. Only the air between them is fake."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.object_watch import ObjectWatch
from shared.core.clock import NS_PER_MS, ManualClock
from shared.core.geo import GeoPoint
from shared.core.ids import StationId
from shared.facilities.received_events import News, ReceivedEvents
from shared.messages.denm import Denm
from shared.pki.permission_sets import StationRole
from shared.service.notify import Notifier, Watchdog
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.inbound import Inbound
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, make_peer
from tests.helpers.pools import pool_of

STEP_NS = 100 * NS_PER_MS
"""Time goes on by so much while something is waited for."""


class WorkingUnit:
    """One unit, and one car beside it.

    Args:
        hierarchy: who both believe.
        number: the unit's station id.
        position: where both are.
        objects: what its detectors see.
    """

    def __init__(
        self, hierarchy: Hierarchy, number: int = 4049, *, position: GeoPoint = HERE, objects: ObjectWatch | None = None
    ) -> None:
        ticket = hierarchy.ticket(StationRole.RSU)
        self.parts = RsuParts(
            station_id=StationId(number),
            position=position,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=pool_of(ticket),
            objects=objects,
        )
        self.agent: RsuAgent = make_agent(self.parts, entropy=Random(number).randbytes)
        self.clock: ManualClock = clock_at()
        self.loop = WorkingLoop(self.agent, clock=self.clock, perform=self._perform, watchdog=Watchdog(Notifier(None), None))
        self.notices: list[Notice] = []
        self.news: list[tuple[News, Denm]] = []
        self._car = Inbound(make_peer(hierarchy, 9))
        self._events = ReceivedEvents()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Work as long as this is entered."""
        task = asyncio.create_task(self.loop.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let time go on until something holds."""
        while not holds():
            self.clock.advance(STEP_NS)
            await asyncio.sleep(0.002)  # the broker and its clients are real

    async def hears(self, news: News) -> Denm:
        """Let time go on until the car has heard some news; return what was said."""
        await self.until(lambda: any(kind is news for kind, _ in self.news))
        return next(denm for kind, denm in self.news if kind is news)

    async def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Notice):
            self.notices.append(effect)
        if isinstance(effect, Transmit):
            now = self.clock.now()
            heard = self._car.receive(effect.packet, now)
            denm = None if heard is None else heard.of(Denm)
            if denm is not None:
                self.news.append((self._events.hear(denm, now), denm.message))
