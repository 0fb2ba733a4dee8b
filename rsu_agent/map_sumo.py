"""A junction's map derived from a SUMO network, so that a simulated or a surveyed network need not be written down a second time.

Lanes that lead to the junction and lanes that its connections lead to become lanes, numbered arm by arm; pedestrian crossings
become crosswalks. Signal groups are what the light's program makes of its links: links of one road that show the same in every
phase are one group. A link that ever shows the small letter of green (`g`) yields. Groups are numbered over the whole light in the
order of its links, so that junctions that share a light agree.

Left out: walking areas, stop lines set back from the junction, elevation, restrictions by vehicle class but bicycle and rail lanes.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rsu_agent.map_document import named_groups
from rsu_agent.map_geometry import Line, Point, aside_m, clipped, direction, distance, heading
from rsu_agent.map_junction import JunctionMap
from rsu_agent.map_lanes import MAX_NODES, MAX_SIGNAL_GROUP, JunctionConnection, JunctionLane, LaneDirection, LaneKind, Turn
from rsu_agent.map_projection import Around, Projection, utm_of
from rsu_agent.map_sumo_net import NetConnection, NetEdge, NetLane, Network, load_network
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.core.ids import IntersectionId

REACH_M = 200.0
"""How far from the junction its lanes are described."""

MAX_APPROACH = 15
"""`ApproachID`."""

NODE_TOLERANCE_M = 0.1
"""Nodes that are no further from the straight line between their neighbours say nothing."""

SAME_NODE_M = 0.1

MAX_NAMED = 20
"""Junctions named in an error's sentence."""

RAIL_CLASSES = frozenset({"tram", "rail", "rail_urban", "rail_electric", "rail_fast", "subway", "cable_car"})

_TURNS = {
    "s": Turn.STRAIGHT,
    "l": Turn.LEFT,
    "L": Turn.LEFT,
    "r": Turn.RIGHT,
    "R": Turn.RIGHT,
    "t": Turn.U_TURN,
    "T": Turn.U_TURN,
}

Key = tuple[str, int]
"""A lane: its edge and its index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChoice:
    """Which junction of a network is meant, and what the map says of it that the network does not know.

    Attributes:
        junction: its name in the network, or None where it has but one with lights.
        number: of the intersection, 0..65535.
        region: of the intersection, or None.
        revision: 0..127.
        name: for people; None for the junction's name in the network.
        reference: the place of the junction's middle, for a network that lies nowhere on Earth.
    """

    junction: str | None = None
    number: int = 1
    region: int | None = None
    revision: int = 0
    name: str | None = None
    reference: GeoPoint | None = None


def read_network(path: Path, signal_groups: frozenset[int] | None, *, choice: NetworkChoice) -> JunctionMap:
    """Derive a junction from a network file (`.net.xml`, `.net.xml.gz`).

    Args:
        path: the file.
        signal_groups: the groups the controller speaks for; None to take the map's own.
        choice: which junction.

    Raises:
        ConfigError: the file cannot be read, the junction is not in it or not to be placed, or it makes an impossible map.
    """
    return junction_of(load_network(path), signal_groups, choice=choice, origin=str(path))


def junction_of(network: Network, signal_groups: frozenset[int] | None, *, choice: NetworkChoice, origin: str) -> JunctionMap:
    """Derive a junction from a network that was read; see `read_network`."""
    name = _chosen(network, choice, origin)
    middle = network.junctions[name].point_m
    projection: Projection | None = utm_of(network.projection, network.offset_m)
    if choice.reference is not None:
        projection = Around(point_m=middle, reference=choice.reference)
    if projection is None:
        raise ConfigError(
            origin, f"the network's projection {network.projection!r} is not UTM: say where the junction lies (reference)"
        )
    groups = signal_groups_of(network)
    connections = _between_roads(network, name)
    numbers, arms = _numbered(network, name, connections)
    try:
        lanes = tuple(
            _lane(network, key, number, arms, connections, numbers, groups, projection, origin) for key, number in numbers.items()
        )
        crosswalks = _crosswalks(network, name, len(lanes), groups, projection)
        reference = projection.place(*middle)
    except ValueError as error:
        raise ConfigError(origin, str(error)) from None
    every = (*lanes, *crosswalks)
    widths = Counter(lane.width_m for lane in every if lane.width_m is not None)
    if not widths:
        raise ConfigError(f"{origin}: junction {name!r}", "no way leads across it")
    return JunctionMap(
        origin=f"{origin}: junction {name!r}",
        name=name if choice.name is None else choice.name,
        intersection_id=IntersectionId(choice.region, choice.number),
        revision=choice.revision,
        reference=reference,
        lane_width_m=widths.most_common(1)[0][0],
        lanes=every,
        signal_groups=named_groups(every) if signal_groups is None else signal_groups,
    )


def signal_groups_of(network: Network) -> dict[tuple[str, int], int]:
    """Return the signal group of every link of every light, by light and link; links of no program have none."""
    roads = {(each.light, each.link): each.from_edge for each in network.connections if each.light is not None}
    crossings = {(each.light, each.link): each.to_edge for each in network.connections if each.to_edge.startswith(":")}
    groups: dict[tuple[str, int], int] = {}
    for light, states in network.programs.items():
        seen: dict[tuple[str, str], int] = {}
        for link in range(min((len(state) for state in states), default=0)):
            road = crossings.get((light, link)) or roads.get((light, link))
            if road is not None:
                column = "".join(state[link] for state in states).replace("g", "G")
                groups[light, link] = seen.setdefault((road, column), len(seen) + 1)
    return groups


def _chosen(network: Network, choice: NetworkChoice, origin: str) -> str:
    lit = network.junctions_with_lights()
    named = ", ".join(lit[:MAX_NAMED]) + (" ..." if len(lit) > MAX_NAMED else "") if lit else "none"
    if choice.junction is not None:
        if choice.junction not in network.junctions:
            raise ConfigError(origin, f"there is no junction {choice.junction!r}; those with lights are {named}")
        return choice.junction
    if len(lit) != 1:
        raise ConfigError(origin, f"say which junction is meant; those with lights are {named}")
    return lit[0]


def _between_roads(network: Network, junction: str) -> list[NetConnection]:
    """Return the junction's ways for anything but walkers, each pair of lanes once."""
    seen: set[tuple[Key, Key]] = set()
    kept = []
    for each in network.at_junction(junction):
        begins, ends = (each.from_edge, each.from_lane), (each.to_edge, each.to_lane)
        lanes = (_find(network, begins), _find(network, ends))
        if (begins, ends) in seen or any(lane is None or lane.is_for_walking for lane in lanes):
            continue
        seen.add((begins, ends))
        kept.append(each)
    return kept


def _numbered(network: Network, junction: str, connections: list[NetConnection]) -> tuple[dict[Key, int], dict[str, int]]:
    """Return the lanes' numbers, arm by arm clockwise from north, and each arm's number by the junction at its other end."""
    middle = network.junctions[junction].point_m
    ingress = {(each.from_edge, each.from_lane) for each in connections}
    egress = {(each.to_edge, each.to_lane) for each in connections}
    bearings: dict[str, float] = {}
    for edge_name, index in sorted(ingress | egress):
        edge = network.edges[edge_name]
        outward = _outward(edge, edge.lanes[index], junction)
        far = clipped(outward, 10.0)[-1]
        bearings.setdefault(_arm(edge, junction), heading(direction(middle, far)) if distance(middle, far) > SAME_NODE_M else 0.0)
    arms = {arm: number for number, arm in enumerate(sorted(bearings, key=lambda arm: (bearings[arm], arm)), 1)}

    def order(key: Key) -> tuple[int, bool, str, int]:
        edge = network.edges[key[0]]
        return arms[_arm(edge, junction)], key in egress, key[0], -key[1]

    return {key: number for number, key in enumerate(sorted(ingress | egress, key=order), 1)}, arms


def _arm(edge: NetEdge, junction: str) -> str:
    return edge.begins if edge.ends == junction else edge.ends


def _lane(
    network: Network,
    key: Key,
    number: int,
    arms: dict[str, int],
    connections: list[NetConnection],
    numbers: dict[Key, int],
    groups: dict[tuple[str, int], int],
    projection: Projection,
    origin: str,
) -> JunctionLane:
    edge = network.edges[key[0]]
    lane = edge.lanes[key[1]]
    junction = edge.ends if any((each.from_edge, each.from_lane) == key for each in connections) else edge.begins
    leads_in = edge.ends == junction
    arm = arms[_arm(edge, junction)]
    ways = []
    for each in connections:
        if (each.from_edge, each.from_lane) == key and leads_in:
            if each.turn not in _TURNS:
                raise ConfigError(f"{origin}: lane {lane.id!r}", f"a connection with the direction {each.turn!r}")
            ways.append(
                JunctionConnection(
                    to_lane=numbers[each.to_edge, each.to_lane],
                    signal_group=_group(groups, each),
                    turn=_TURNS[each.turn],
                    yields=_yields(network, each),
                )
            )
    return JunctionLane(
        number=number,
        direction=LaneDirection.INGRESS if leads_in else LaneDirection.EGRESS,
        nodes=tuple(projection.place(*point) for point in _nodes(_outward(edge, lane, junction))),
        connections=tuple(ways),
        kind=_kind(lane),
        width_m=lane.width_m,
        approach=arm if arm <= MAX_APPROACH else None,
        name=_name(lane),
    )


def _crosswalks(
    network: Network, junction: str, before: int, groups: dict[tuple[str, int], int], projection: Projection
) -> tuple[JunctionLane, ...]:
    lights = {each.to_edge: each for each in network.connections if each.to_edge.startswith(":")}
    found: list[JunctionLane] = []
    for edge in network.crossings_of(junction):
        if not edge.lanes:
            continue
        number = before + len(found) + 1
        ruled = lights.get(edge.id)
        way = JunctionConnection(to_lane=number, signal_group=None if ruled is None else _group(groups, ruled), turn=Turn.STRAIGHT)
        found.append(
            JunctionLane(
                number=number,
                direction=LaneDirection.BOTH,
                nodes=tuple(projection.place(*point) for point in _nodes(edge.lanes[0].shape_m)),
                connections=(way,),
                kind=LaneKind.CROSSWALK,
                width_m=edge.lanes[0].width_m,
                name=_name(edge.lanes[0]),
            )
        )
    return tuple(found)


def _group(groups: dict[tuple[str, int], int], connection: NetConnection) -> int | None:
    if connection.light is None or connection.link is None:
        return None
    group = groups.get((connection.light, connection.link))
    if group is not None and group > MAX_SIGNAL_GROUP:
        raise ValueError(f"the light {connection.light!r} has more than {MAX_SIGNAL_GROUP} signal groups")
    return group


def _yields(network: Network, connection: NetConnection) -> bool:
    """Whether the link ever shows the small letter of green; where no light rules, nobody is told to go."""
    if connection.light is None or connection.link is None:
        return False
    states = network.programs.get(connection.light, [])
    return any(connection.link < len(state) and state[connection.link] == "g" for state in states)


def _kind(lane: NetLane) -> LaneKind:
    if lane.allowed == {"bicycle"}:
        return LaneKind.BIKE
    if lane.allowed and lane.allowed <= RAIL_CLASSES:
        return LaneKind.TRACKED_VEHICLE
    return LaneKind.VEHICLE


def _find(network: Network, key: Key) -> NetLane | None:
    edge = network.edges.get(key[0])
    return edge.lanes[key[1]] if edge is not None and 0 <= key[1] < len(edge.lanes) else None


def _outward(edge: NetEdge, lane: NetLane, junction: str) -> Line:
    """Return a lane's line from the junction outward: lanes that lead to it run the other way in the network."""
    return tuple(reversed(lane.shape_m)) if edge.ends == junction else lane.shape_m


def _nodes(line: Line) -> Line:
    """Return at most `MAX_NODES` points that say a line's first `REACH_M` metres; those that lie on the way are dropped."""
    apart: list[Point] = [line[0]]
    for point in clipped(line, REACH_M):
        if distance(apart[-1], point) > SAME_NODE_M:
            apart.append(point)
    if len(apart) < 2:
        raise ValueError(f"a lane at ({line[0][0]}, {line[0][1]}) m has no length")
    tolerance_m = NODE_TOLERANCE_M
    kept = _thinned(tuple(apart), tolerance_m)
    while len(kept) > MAX_NODES:
        tolerance_m *= 2
        kept = _thinned(tuple(apart), tolerance_m)
    return kept


def _thinned(line: Line, tolerance_m: float) -> Line:
    """Return a line without the points that are within a tolerance of what remains, as Douglas and Peucker choose them."""
    keep = {0, len(line) - 1}
    open_spans = [(0, len(line) - 1)]
    while open_spans:
        first, last = open_spans.pop()
        aside = [(aside_m(line[first], line[last], line[i]), i) for i in range(first + 1, last)]
        if aside and max(aside)[0] > tolerance_m:
            middle = max(aside)[1]
            keep.add(middle)
            open_spans += [(first, middle), (middle, last)]
    return tuple(line[i] for i in sorted(keep))


def _name(lane: NetLane) -> str | None:
    """Return the lane's name in the network where it can be broadcast."""
    name = lane.id[:63]
    return name if name.isascii() and name.isprintable() and name else None
