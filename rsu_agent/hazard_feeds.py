"""The ways by which hazards come to a running unit from elsewhere: its detectors' broker, and the traffic centre's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.backhaul import Backhaul
from rsu_agent.composition import RsuParts
from rsu_agent.config import RsuConfig
from rsu_agent.detector_feed import DetectorFeed
from shared.core.clock import Clock
from shared.service.mqtt_config import broker_of
from shared.service.run import WorkingLoop


class HazardFeed(Protocol):
    """One of them."""

    @property
    def name(self) -> str:
        """Its key in the status."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...

    def status(self) -> dict[str, object]:
        """Return how it is, as JSON values."""
        ...


def hazard_feeds(
    config: RsuConfig,
    parts: RsuParts,
    agent: RsuAgent,
    loop: WorkingLoop,
    *,
    clock: Clock,
    log: FilteringBoundLogger,
    environment: Mapping[str, str],
) -> tuple[HazardFeed, ...]:
    """Return those that are configured; raises `ConfigError` where a file of a broker's cannot be used."""
    named = environment.get("CREDENTIALS_DIRECTORY")
    folder = None if named is None else Path(named)
    feeds: list[HazardFeed] = []
    if config.detectors is not None and parts.objects is not None:
        feeds.append(DetectorFeed(config.detectors, watch=parts.objects, loop=loop, log=log, credentials_directory=folder))
    if config.backhaul is not None:
        feeds.append(
            Backhaul(
                config.backhaul,
                agent=agent,
                here=parts.position,
                station_id=parts.station_id,
                loop=loop,
                clock=clock,
                log=log,
                credentials_directory=folder,
            )
        )
    return tuple(feeds)


def describe_hazard_ways(config: RsuConfig, *, environment: Mapping[str, str]) -> list[str]:
    """Say where hazards come from besides the configuration; raises `ConfigError` where a file of a broker's cannot be used."""
    named = environment.get("CREDENTIALS_DIRECTORY")
    folder = None if named is None else Path(named)
    lines: list[str] = []
    if config.detectors is not None:
        broker = broker_of(config.detectors, credentials_directory=folder)
        names = ", ".join(each.name for each in config.detectors.detector)
        lines.append(f"listens to detectors {names} at {broker.endpoint}, {config.detectors.topic}")
    if config.corroboration is not None:
        lines.append(f"tells of what {config.corroboration.witnesses} or more vehicles agree on")
    if config.backhaul is not None:
        broker = broker_of(config.backhaul, credentials_directory=folder)
        lines.append(f"talks to a traffic centre at {broker.endpoint} as {config.backhaul.unit}, {config.backhaul.topic}")
    return lines
