"""The console of one unit, put together: its plan, its eyes and its feed."""

from collections.abc import Callable, Mapping

from rsu_agent.agent import RsuAgent
from rsu_agent.console.feed import ConsoleFeed
from rsu_agent.console.view import ConsoleView, Seen
from rsu_agent.map_data import JunctionMap
from rsu_agent.map_plan import plan_document, plan_of_map
from shared.core.clock import Clock
from shared.core.geo import GeoPoint, metres_per_degree
from shared.service.counters import Counters

PLAN_REACH_M = 150.0
"""How much of a lane is drawn."""

ORDERS_PATH = "/api/orders"


def make_feed(
    agent: RsuAgent,
    junction: JunctionMap | None,
    *,
    position: GeoPoint,
    status: Callable[[], Mapping[str, object]],
    takes_orders: bool,
    clock: Clock,
    counters: Counters,
) -> ConsoleFeed:
    """Return the feed of a unit's console; somebody runs it.

    Args:
        agent: what is shown.
        junction: what it speaks for, or None.
        position: where it stands.
        status: returns its status document.
        takes_orders: whether an operator with a token may order something over HTTP.
        clock: dates events.
        counters: of the feed.
    """
    middle = position if junction is None else junction.reference
    view = ConsoleView(
        plan=None if junction is None else plan_document(plan_of_map(junction, reach_m=PLAN_REACH_M)),
        middle=middle,
        groups=frozenset() if junction is None else junction.signal_groups,
        station_id=agent.identity.station_id,
        orders=orders_offered(middle) if takes_orders else None,
    )
    return ConsoleFeed(view, see=lambda: seen_of(agent), status=status, clock=clock, counters=counters)


def seen_of(agent: RsuAgent) -> Seen:
    """Return what there is to see of an agent at this moment."""
    signals = agent.signals
    return Seen(
        states=() if signals is None else signals.phases,
        distrust=None if signals is None else signals.distrust,
        peers=agent.peers,
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
