"""The unit's HTTP interface with the console in it, put together: plan, eyes, feed, addresses."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from structlog.typing import FilteringBoundLogger

from rsu_agent.agent import RsuAgent
from rsu_agent.console.app import console_routes
from rsu_agent.console.feed import ConsoleFeed
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.http_door import OpenHttp, open_http
from rsu_agent.console.view import ConsoleView, Seen
from rsu_agent.map_data import JunctionMap
from rsu_agent.map_plan import plan_document, plan_of_map
from shared.core.clock import Clock
from shared.core.geo import GeoPoint, metres_per_degree
from shared.service.command_socket import Obey
from shared.service.counters import Counters

PLAN_REACH_M = 150.0
"""How much of a lane is drawn."""

ORDERS_PATH = "/api/orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConsole:
    """An interface that listens; `run` serves and looks.

    Attributes:
        http: answers.
        feed: looks while somebody watches.
        counters: of the feed.
    """

    http: OpenHttp
    feed: ConsoleFeed
    counters: Counters

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.feed.run())
            tasks.create_task(self.http.run())

    def status(self) -> dict[str, object]:
        """Return where it is, who watches and what was answered, as JSON values."""
        return {**self.http.status(), "watchers": self.feed.watchers, "console": self.counters.snapshot()}


@contextmanager
def open_console(
    config: HttpConfig,
    agent: RsuAgent,
    junction: JunctionMap | None,
    *,
    position: GeoPoint,
    status: Callable[[], Mapping[str, object]],
    obey: Obey,
    clock: Clock,
    log: FilteringBoundLogger,
    brief: Callable[[], Mapping[str, object]] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[OpenConsole]:
    """Listen; closed again on leaving.

    Args:
        config: where, and for whom.
        agent: what is shown.
        junction: what it speaks for, or None.
        position: where it stands.
        status: returns the unit's status document.
        obey: carries orders out.
        clock: dates events, and for rates.
        log: told of wrong tokens and errors of ours.
        brief: returns the document without a row for each peer, which the page has from the agent; None for the whole one.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the address cannot be listened on, or a file is not what it should be.
    """
    counters = Counters()
    view = make_view(agent, junction, position=position, takes_orders=config.token is not None)
    feed = ConsoleFeed(view, see=partial(seen_of, agent), status=brief or status, clock=clock, counters=counters)
    opening = open_http(
        config,
        status=status,
        obey=obey,
        clock=clock,
        log=log,
        pages=lambda _door: console_routes(feed),
        environment=environment,
    )
    with opening as http:
        yield OpenConsole(http=http, feed=feed, counters=counters)


def make_view(agent: RsuAgent, junction: JunctionMap | None, *, position: GeoPoint, takes_orders: bool) -> ConsoleView:
    """Return what follows a unit from picture to picture.

    Args:
        agent: what is shown.
        junction: what it speaks for, or None.
        position: where it stands.
        takes_orders: whether an operator with a token may order something over HTTP.
    """
    middle = position if junction is None else junction.reference
    return ConsoleView(
        plan=None if junction is None else plan_document(plan_of_map(junction, reach_m=PLAN_REACH_M)),
        middle=middle,
        groups=frozenset() if junction is None else junction.signal_groups,
        station_id=agent.identity.station_id,
        orders=orders_offered(middle) if takes_orders else None,
    )


def seen_of(agent: RsuAgent) -> Seen:
    """Return what there is to see of an agent at this moment."""
    signals = agent.signals
    return Seen(
        states=() if signals is None else signals.phases,
        distrust=None if signals is None else signals.distrust,
        peers=agent.peers.glimpses(),
        refused_senders=agent.plausibility.refused_senders,
        refused=agent.peers.refused,
    )


def orders_offered(middle: GeoPoint) -> dict[str, object]:
    """Return what the page needs to give orders: where they go, and how metres on the plan become degrees."""
    return {
        "path": ORDERS_PATH,
        "middle_deg": [middle.lat_deg, middle.lon_deg],
        "metres_per_degree": list(metres_per_degree(middle.lat_deg)),
    }
