"""The way to a traffic centre: what was verified goes in, hazards come out, over an MQTT broker that many units share.

Units share nothing there but the broker: each tells under its own name, calls itself something nobody else does, and decides for
itself what it takes. A hazard for all units is taken by those near it; each tells of it under an action id of its own.

Hazards of the centre are retained at the broker, so a unit that was away finds what holds when it comes back. What it then does not
find within `SETTLE_S` was taken back meanwhile, and is cancelled; unless so much came that some of it was lost. Of each hazard the
latest document waits, and is carried out by the working loop between two steps. What is wrong with one is answered and counted, and
changes nothing; a hazard that was moved away from here, or ended, is withdrawn.

What others warn of is retained too, so that a centre that comes later finds it. While the broker is away nothing of it waits: once
it is back, it is told what lasts.
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
    CentreHazard,
    EventNews,
    Topics,
    answer_document,
    decode_hazard,
    state_document,
    traffic_documents,
)
from rsu_agent.orders import between_steps
from rsu_agent.placed_hazards import MIN_LASTS_S, HazardSource, NoSuchHazardError, PlacedName
from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs
from shared.core.errors import DecodeError, V2xError
from shared.core.geo import GeoPoint, distance_m
from shared.service.mqtt_config import broker_of
from shared.service.mqtt_documents import Document, MqttDocuments, Will
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect, Notice

MAX_WAITING = 1_024
"""Hazards of the centre that wait for the working loop; beyond it the newest is lost."""

MAX_FOUND = 4_096
"""Hazards the broker may retain for a unit to know which of its own are not among them; the centre's for all units count."""

SETTLE_S = 10.0
"""Seconds after a connection in which the broker has told what it retains."""

TRAFFIC_EXPIRY_S = 5
"""Traffic older than this is none."""

STATE_EXPIRY_S = ANSWER_EXPIRY_S = 600

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
        self._waiting: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._found: set[str] | None = None
        self._events = EventNews()
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
        try:
            hazard_id = self._topics.hazard_id(topic)
        except DecodeError as error:
            self._counters[error.code] += 1
            return
        if hazard_id not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self._counters["overrun"] += 1
            self._found = None
            return
        self._waiting[hazard_id] = octets
        self._wake.set()
        if self._found is not None:
            (self._found.add if octets else self._found.discard)(hazard_id)
            self._found = self._found if len(self._found) <= MAX_FOUND else None

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
        return Document(topic=self._topics.own("state"), octets=octets, expiry_s=STATE_EXPIRY_S, retain=True)

    def _begin(self) -> None:
        self._found = set()
        self._events.repeat()
        if self._settling is not None:
            self._settling.cancel()

    def _settle(self) -> None:
        """Take back what the broker did not tell anew."""
        found, self._found = self._found, None
        if found is None or not self._link.is_connected:
            return
        for name in self._agent.hazards.placed:
            if name.source is HazardSource.CENTRE and name.hazard_id not in found:
                self._counters["taken_back_meanwhile"] += 1
                self._waiting[name.hazard_id] = b""
                self._wake.set()

    async def _obey(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                hazard_id = next(iter(self._waiting))
                await self._take_up(hazard_id, self._waiting.pop(hazard_id))
                await asyncio.sleep(0)  # a flood of what is none of this unit's business leaves room for others

    async def _take_up(self, hazard_id: str, octets: bytes) -> None:
        refused: V2xError | None = None
        try:
            told = decode_hazard(octets) if octets else None
            if told is not None and (refused := self._refusal(told)) is not None and hazard_id in self._known():
                told = refused = None  # it was moved away, or has ended
            if refused is None:
                await between_steps(self._loop, partial(self._carry_out, hazard_id, told))
        except V2xError as error:
            refused = error
        self._counters["accepted" if refused is None else refused.code] += 1
        if not self._is_for_others(hazard_id, refused):
            reason = None if refused is None else str(refused)
            answer = answer_document(hazard_id, refused=reason, now=self._clock.now())
            self._tell(Document(topic=self._topics.own("answer"), octets=answer, expiry_s=ANSWER_EXPIRY_S))

    def _is_for_others(self, hazard_id: str, refused: V2xError | None) -> bool:
        """Tell whether a hazard for all units is none of this one's business, of which nobody need hear."""
        return hazard_id.startswith(ALL_UNITS) and isinstance(refused, NotHereError | NoSuchHazardError)

    def _carry_out(
        self, hazard_id: str, told: CentreHazard | None, now: Instant
    ) -> tuple[Mapping[str, object], tuple[Effect, ...]]:
        hazards, known = self._agent.hazards, self._known()
        if told is None:
            hazards.withdraw(HazardSource.CENTRE, hazard_id, now)
            return {}, (Notice("hazard_withdrawn", {"source": HazardSource.CENTRE.value, "id": hazard_id}),)
        name = hazards.place(HazardSource.CENTRE, hazard_id, told.hazard, now, lasts_s=_lasts_s(told, now))
        if name == known.get(hazard_id):
            return {}, ()
        fields = {"source": name.source.value, "id": hazard_id, "cause_code": told.hazard.cause_code}
        return {}, (Notice("hazard_placed", fields),)

    def _known(self) -> dict[str, PlacedName]:
        """Return the hazards of the centre's that are told of."""
        return {name.hazard_id: name for name in self._agent.hazards.placed if name.source is HazardSource.CENTRE}

    def _refusal(self, told: CentreHazard) -> V2xError | None:
        """Return why a hazard is none to tell of here and now; raises `UntrustedTimeError` while UTC is not known."""
        away_m = distance_m(self._here, told.hazard.position)
        if away_m > self._config.reach_m:
            return NotHereError(f"the hazard is {away_m:.0f} m away, and this unit reaches {self._config.reach_m:g} m")
        if _lasts_s(told, self._clock.now()) < MIN_LASTS_S:
            return OverError(f"the hazard is over, or will be within {MIN_LASTS_S} s")
        return None

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
        while True:
            if self._link.is_connected:
                for each in self._events.changes(self._agent.events, self._clock.now()):
                    topic = self._topics.own(f"event/{each.number}")
                    self._tell(Document(topic=topic, octets=each.octets, expiry_s=each.expiry_s, retain=True))
            await asyncio.sleep(LOOK_S)

    def _tell(self, document: Document) -> None:
        self._link.tell(document)


def _lasts_s(told: CentreHazard, now: Instant) -> int:
    return told.until_utc_s - now.require_utc() // NS_PER_S
