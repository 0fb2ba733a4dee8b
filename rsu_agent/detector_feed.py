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

MAX_WAITING = 64
"""Lists that wait for the working loop; beyond it the oldest is lost, for a newer one says more."""


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
        self._topic = config.topic
        self._watch = watch
        self._loop = loop
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_WAITING)
        self._overrun = 0
        self._link = MqttDocuments(
            broker_of(config, credentials_directory=credentials_directory),
            filters=[f"{config.topic}/{each.name}" for each in config.detector],
            hear=self.take,
            client_name="rsu-detectors",
            log=log,
            lot=SystemRandom(),
        )

    def take(self, topic: str, octets: bytes) -> None:
        """Take a document of the broker's; neither waits nor raises."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self._overrun += 1
        self._waiting.put_nowait((topic.removeprefix(f"{self._topic}/"), octets))

    async def run(self) -> None:
        """Listen, and hand lists on, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run())
            tasks.create_task(self._hand_on())

    def status(self) -> dict[str, object]:
        """Return how the broker is, and what was lost, as JSON values."""
        return {"overrun": self._overrun, **self._link.status()}

    async def _hand_on(self) -> None:
        while True:
            name, octets = await self._waiting.get()
            await self._loop.post(partial(self._hear, name, octets))

    def _hear(self, name: str, octets: bytes, now: Instant) -> tuple[Effect, ...]:
        self._watch.hear(name, octets, now)
        return ()
