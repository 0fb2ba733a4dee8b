"""The way to a traffic centre: what was verified goes in, hazards come out, over an MQTT broker that many units share.

Units share nothing there but the broker: each tells under its own name, calls itself something nobody else does, and decides for
itself what it takes. A hazard for all units is taken by those near it; each tells of it under an action id of its own.

Hazards of the centre are retained at the broker, so a unit that was away finds what holds when it comes back. What it then does not
find within `SETTLE_S` was taken back meanwhile, and is cancelled. Documents are read and answered one after another, by the working
loop; what is wrong with one is answered and counted, and changes nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.backhaul_config import BackhaulConfig
from rsu_agent.backhaul_documents import (
    ALL_UNITS,
    EventNews,
    Topics,
    answer_document,
    decode_hazard,
    state_document,
    traffic_documents,
)
from rsu_agent.orders import between_steps
from rsu_agent.placed_hazards import MIN_LASTS_S, HazardSource, NoSuchHazardError
from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.errors import V2xError
from shared.core.geo import GeoPoint, distance_m
from shared.service.mqtt_config import broker_of
from shared.service.mqtt_documents import Document, MqttDocuments, Will
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Notice

MAX_WAITING = 128
"""Documents of the centre that wait for the working loop; beyond it the newest is lost."""

SETTLE_S = 10.0
"""Seconds after a connection in which the broker has told what it retains."""

TRAFFIC_EXPIRY_S = 5
"""Traffic older than this is none."""

EVENT_EXPIRY_S = 600
ANSWER_EXPIRY_S = 600

LOOK_S = 1.0
"""How often changes of events are told."""


class NotHereError(V2xError):
    """A hazard is farther away than the unit reaches."""

    @property
    def code(self) -> str:
        """`not_here`."""
        return "not_here"


class OverError(V2xError):
    """A hazard of the centre's is over already."""

    @property
    def code(self) -> str:
        """`over`."""
        return "over"


class Backhaul:
    """One unit's side, while `run` runs.

    Args:
        config: its name, its topics, what it takes.
        agent: the unit; touched by the working loop only, but for reading between its steps.
        here: where it stands.
        station_id: what it calls itself on the air.
        loop: carries out what the centre asks.
        clock: dates what is told.
        log: told when the broker comes and goes.
        credentials_directory: as in `broker_of`.
        settle_s: see `SETTLE_S`.

    Raises:
        ConfigError: a file of the broker's configuration cannot be used.
    """

    name = "backhaul"

    def __init__(
        self,
        config: BackhaulConfig,
        *,
        agent: RsuAgent,
        here: GeoPoint,
        station_id: int,
        loop: WorkingLoop,
        clock: Clock,
        log: FilteringBoundLogger,
        credentials_directory: Path | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._config = config
        self._agent = agent
        self._here = here
        self._station_id = station_id
        self._loop = loop
        self._clock = clock
        self._settle_s = settle_s
        self._topics = Topics(config.topic, config.unit)
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_WAITING)
        self._retained: set[str] = set()
        self._settling: asyncio.TimerHandle | None = None
        self._counters: Counter[str] = Counter()
        gone = state_document(is_online=False, station_id=station_id)
        self._link = MqttDocuments(
            broker_of(config, credentials_directory=credentials_directory),
            filters=self._topics.filters,
            hear=self.take,
            client_name=f"rsu-{config.unit}",
            log=log,
            lot=SystemRandom(),
            will=Will(topic=self._topics.own("state"), octets=gone),
            greeting=self._greeting,
            begin=self._begin,
        )

    def take(self, topic: str, octets: bytes) -> None:
        """Take a document of the broker's; neither waits nor raises."""
        if self._waiting.full():
            self._counters["overrun"] += 1
            return
        self._waiting.put_nowait((topic, octets))

    async def run(self) -> None:
        """Tell and take until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._link.run())
                tasks.create_task(self._obey())
                tasks.create_task(self._tell_events())
                if self._config.traffic_interval_s:
                    tasks.create_task(self._tell_traffic())
        finally:
            if self._settling is not None:
                self._settling.cancel()

    def status(self) -> dict[str, object]:
        """Return how the broker is and what was taken, as JSON values."""
        return {
            "unit": self._config.unit,
            "counters": dict(self._counters),
            **self._link.status(),
        }

    def _greeting(self) -> Document:
        """Say that the unit is there, now that it listens: what the broker retains comes from here on."""
        self._settling = asyncio.get_running_loop().call_later(self._settle_s, self._settle)
        octets = state_document(is_online=True, station_id=self._station_id)
        return Document(topic=self._topics.own("state"), octets=octets, expiry_s=EVENT_EXPIRY_S, retain=True)

    def _begin(self) -> None:
        self._retained = set()
        if self._settling is not None:
            self._settling.cancel()

    def _settle(self) -> None:
        """Take back what the broker did not tell anew."""
        if not self._link.is_connected:
            return
        for name in self._agent.hazards.placed:
            if name.source is HazardSource.CENTRE and name.hazard_id not in self._retained:
                self._counters["taken_back_meanwhile"] += 1
                self.take(self._topic_of(name.hazard_id), b"")

    def _topic_of(self, hazard_id: str) -> str:
        common, own = (each.removesuffix("+") for each in self._topics.filters)
        return common + hazard_id.removeprefix(ALL_UNITS) if hazard_id.startswith(ALL_UNITS) else own + hazard_id

    async def _obey(self) -> None:
        while True:
            topic, octets = await self._waiting.get()
            hazard_id = ""
            refused: V2xError | None = None
            try:
                hazard_id = self._topics.hazard_id(topic)
                if octets:
                    self._retained.add(hazard_id)
                else:
                    self._retained.discard(hazard_id)
                await between_steps(self._loop, partial(self._carry_out, hazard_id, octets))
            except V2xError as error:
                refused = error
            self._counters["accepted" if refused is None else refused.code] += 1
            if hazard_id and not self._is_for_others(hazard_id, refused):
                reason = None if refused is None else str(refused)
                answer = answer_document(hazard_id, refused=reason, now=self._clock.now())
                self._tell(Document(topic=self._topics.own("answer"), octets=answer, expiry_s=ANSWER_EXPIRY_S))

    def _is_for_others(self, hazard_id: str, refused: V2xError | None) -> bool:
        """Tell whether a hazard for all units is none of this one's business, of which nobody need hear."""
        return hazard_id.startswith(ALL_UNITS) and isinstance(refused, NotHereError | NoSuchHazardError)

    def _carry_out(self, hazard_id: str, octets: bytes, now: Instant) -> tuple[Mapping[str, object], tuple[Effect, ...]]:
        hazards = self._agent.hazards
        if not octets:
            hazards.withdraw(HazardSource.CENTRE, hazard_id, now)
            return {}, (Notice("hazard_withdrawn", {"source": HazardSource.CENTRE.value, "id": hazard_id}),)
        told = decode_hazard(octets)
        away_m = distance_m(self._here, told.hazard.position)
        if away_m > self._config.reach_m:
            raise NotHereError(f"the hazard is {away_m:.0f} m away, and this unit reaches {self._config.reach_m:g} m")
        lasts_s = told.until_utc_s - now.require_utc() // NS_PER_S
        if lasts_s < MIN_LASTS_S:
            raise OverError(f"the hazard is over, or will be within {MIN_LASTS_S} s")
        known = {(name.source, name.hazard_id, name.ends_utc_s) for name in hazards.placed}
        name = hazards.place(HazardSource.CENTRE, hazard_id, told.hazard, now, lasts_s=lasts_s)
        if (name.source, name.hazard_id, name.ends_utc_s) in known:
            return {}, ()
        fields = {"source": name.source.value, "id": hazard_id, "cause_code": told.hazard.cause_code}
        return {}, (Notice("hazard_placed", fields),)

    async def _tell_traffic(self) -> None:
        since = MonotonicNs(-1)
        while True:
            now = self._clock.now()
            for octets in traffic_documents(self._agent.peers, since, now):
                topic = self._topics.own("traffic")
                self._tell(Document(topic=topic, octets=octets, expiry_s=TRAFFIC_EXPIRY_S, matters=False))
            since = now.monotonic
            await asyncio.sleep(self._config.traffic_interval_s)

    async def _tell_events(self) -> None:
        news = EventNews()
        while True:
            for octets in news.changes(self._agent.events, self._clock.now()):
                self._tell(Document(topic=self._topics.own("event"), octets=octets, expiry_s=EVENT_EXPIRY_S))
            await asyncio.sleep(LOOK_S)

    def _tell(self, document: Document) -> None:
        self._link.tell(document)
