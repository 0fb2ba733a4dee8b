"""Which lights a request for priority is about: from where a junction is entered and left to the signal groups on that way.

A request names lanes, approaches or connections (ISO/TS 19091 `IntersectionAccessPoint`) as the junction's MAPEM numbers them. A
lane or approach by itself stands for every way that begins there, so all of its lights are meant; where it is left narrows that
down.
"""

from collections.abc import Iterator

from rsu_agent.map_data import JunctionConnection, JunctionLane, JunctionMap
from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from shared.messages.requestor import AccessPoint


def signal_groups_between(junction: JunctionMap, inbound: AccessPoint, outbound: AccessPoint | None) -> frozenset[int]:
    """Return the lights that rule the way, at least one.

    Args:
        junction: whose lanes.
        inbound: where it is entered.
        outbound: where it is left, None where that is not stated.

    Raises:
        RefusedRequestError: `NO_SUCH_WAY`, or `NO_LIGHTS` where the way has none.
    """
    ways = [way for way in _ways(junction) if _enters(way, inbound)]
    if not ways:
        raise _no_way(f"the map has no way in at {describe(inbound)}")
    if outbound is not None:
        by_number = {lane.number: lane for lane in junction.lanes}
        ways = [way for way in ways if _leaves(way, outbound, by_number)]
        if not ways:
            raise _no_way(f"the map has no way from {describe(inbound)} to {describe(outbound)}")
    groups = frozenset(connection.signal_group for _, connection in ways if connection.signal_group is not None)
    if not groups:
        raise RefusedRequestError(PriorityRefusal.NO_LIGHTS, f"no lights rule the way from {describe(inbound)}")
    return groups


def describe(point: AccessPoint) -> str:
    """Return an access point in words."""
    if point.lane is not None:
        return f"lane {point.lane}"
    if point.approach is not None:
        return f"approach {point.approach}"
    if point.connection is not None:
        return f"connection {point.connection}"
    return "a place of a kind this unit does not know"


_Way = tuple[JunctionLane, JunctionConnection]


def _ways(junction: JunctionMap) -> Iterator[_Way]:
    for lane in junction.lanes:
        for connection in lane.connections:
            yield lane, connection


def _enters(way: _Way, point: AccessPoint) -> bool:
    lane, connection = way
    if point.lane is not None:
        return lane.number == point.lane
    if point.approach is not None:
        return lane.approach == point.approach
    return point.connection is not None and connection.connection_id == point.connection


def _leaves(way: _Way, point: AccessPoint, by_number: dict[int, JunctionLane]) -> bool:
    _, connection = way
    if point.lane is not None:
        return connection.to_lane == point.lane
    if point.approach is not None:
        return by_number[connection.to_lane].approach == point.approach
    return point.connection is not None and connection.connection_id == point.connection


def _no_way(sentence: str) -> RefusedRequestError:
    return RefusedRequestError(PriorityRefusal.NO_SUCH_WAY, sentence)
