"""Detectors' object lists from their broker into the working loop, which alone gives them to the watch."""

import asyncio
from functools import partial
from pathlib import Path
from random import SystemRandom

from structlog.typing import FilteringBoundLogger

from rsu_agent.detector_config import DetectorsConfig
from rsu_agent.object_watch import ObjectWatch
from shared.core.clock import Instant
from shared.service.mqtt_config import broker_of
from shared.service.mqtt_documents import MqttDocuments
from shared.service.run import WorkingLoop
from shared.stack.effects import Effect

APART_S = 0.02
"""The working loop is given a detector's lists at most so often: a detector gone wild must not hold up the lights."""


class DetectorFeed:
    """Listens while `run` runs.

    Args:
        config: which detectors, and by way of which broker.
        watch: is given every list.
        loop: gives it.
        log: told when the broker comes and goes.
        credentials_directory: as in `broker_of`.

    Raises:
        ConfigError: a file of the broker's configuration cannot be used.
    """

    name = "detectors"

    def __init__(
        self,
        config: DetectorsConfig,
        *,
        watch: ObjectWatch,
        loop: WorkingLoop,
        log: FilteringBoundLogger,
        credentials_directory: Path | None = None,
    ) -> None:
        self._names = {f"{config.topic}/{each.name}": each.name for each in config.detector}
        self._watch = watch
        self._loop = loop
        self._latest: dict[str, bytes] = {}
        self._news = asyncio.Event()
        self._overrun = self._strangers = 0
        self._link = MqttDocuments(
            broker_of(config, credentials_directory=credentials_directory),
            filters=tuple(self._names),
            hear=self.take,
            client_name="rsu-detectors",
            log=log,
            lot=SystemRandom(),
        )

    def take(self, topic: str, octets: bytes) -> None:
        """Take a document of the broker's; neither waits nor raises. A list that waits still gives way to the next."""
        name = self._names.get(topic)
        if name is None:
            self._strangers += 1
            return
        self._overrun += name in self._latest
        self._latest[name] = octets
        self._news.set()

    async def run(self) -> None:
        """Listen, and hand lists on, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run())
            tasks.create_task(self._hand_on())

    def status(self) -> dict[str, object]:
        """Return how the broker is, and what was lost, as JSON values."""
        return {"overrun": self._overrun, "strangers": self._strangers, **self._link.status()}

    async def _hand_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            latest, self._latest = self._latest, {}
            for name, octets in latest.items():
                await self._loop.post(partial(self._hear, name, octets))
            await asyncio.sleep(APART_S)

    def _hear(self, name: str, octets: bytes, now: Instant) -> tuple[Effect, ...]:
        self._watch.hear(name, octets, now)
        return ()
