"""What makes a described junction impossible: each check raises with the file, the lane and the connection it is about.

Checked besides what a message can carry: that every lane leads somewhere and is led to, that lanes are drawn from the junction
outward, that a turn is what its lanes' directions say, and that no signal group lets traffic into its own way (`map_conflicts`).
"""

from collections.abc import Mapping
from itertools import pairwise

from rsu_agent.map_conflicts import check_groups
from rsu_agent.map_geometry import turned_deg
from rsu_agent.map_lanes import (
    MAX_CONNECTIONS,
    MAX_LANES,
    MAX_NODE_STEP_M,
    MAX_NODES,
    MAX_REVISION,
    MAX_WIDTH_CHANGE_M,
    MIN_NODE_STEP_M,
    MIN_NODES,
    JunctionConnection,
    JunctionLane,
    LaneDirection,
    LaneKind,
    Turn,
)
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import IntersectionId

OUTWARD_TOLERANCE_M = 5.0
"""A lane that passes the reference point may end this much nearer to it than it begins."""

MIN_BEND_DEG = 60.0
"""A way that bends this much to one side is no turn to the other."""


def check_intersection(origin: str, name: str, intersection_id: IntersectionId, revision: int, lane_width_m: float) -> None:
    """Refuse what a message cannot say of a junction as a whole."""
    _check_name(f"{origin}: name", name)
    _check_range(f"{origin}: number", intersection_id.number, 0, 65_535)
    if intersection_id.region is not None:
        _check_range(f"{origin}: region", intersection_id.region, 0, 65_535)
    _check_range(f"{origin}: revision", revision, 0, MAX_REVISION)
    _check_width(f"{origin}: lane_width_m", lane_width_m)


def check_lanes(
    origin: str,
    reference: GeoPoint,
    lane_width_m: float,
    lanes: tuple[JunctionLane, ...],
    signal_groups: frozenset[int],
) -> None:
    """Refuse lanes and connections that are impossible, each by itself and together.

    Args:
        origin: begins every sentence.
        reference: the point nodes are relative to.
        lane_width_m: common width.
        lanes: every lane.
        signal_groups: every group that lights at the junction.

    Raises:
        ConfigError: see the module.
    """
    if not 1 <= len(lanes) <= MAX_LANES:
        raise ConfigError(f"{origin}: lane", f"{len(lanes)} lanes are not within 1 to {MAX_LANES}")
    _check_numbers(origin, lanes)
    by_number = {lane.number: lane for lane in lanes}
    for lane in lanes:
        _check_lane(origin, reference, lane_width_m, lane)
        for index, connection in enumerate(lane.connections):
            _check_connection(f"{origin}: lane {lane.number}: connection[{index}]", by_number, lane, index, connection)
            _check_group(f"{origin}: lane {lane.number}: connection[{index}]: signal_group", connection, signal_groups)
    reached = {connection.to_lane for lane in lanes for connection in lane.connections}
    for lane in lanes:
        if lane.direction.leads_out and lane.number not in reached and not _is_its_own_way(lane):
            raise ConfigError(f"{origin}: lane {lane.number}", f"no connection leads to this {lane.direction.value} lane")
    lines = {lane.number: lane.line_m(reference) for lane in lanes}
    for lane in lanes:
        for index, connection in enumerate(lane.connections):
            if lane.kind is not LaneKind.CROSSWALK:
                bend_deg = turned_deg(lines[lane.number], lines[connection.to_lane])
                _check_turn(f"{origin}: lane {lane.number}: connection[{index}]: turn", connection.turn, bend_deg)
    check_groups(origin, reference, lanes)


def _check_numbers(origin: str, lanes: tuple[JunctionLane, ...]) -> None:
    seen: set[int] = set()
    connections: set[int] = set()
    for lane in lanes:
        if lane.number in seen:
            raise ConfigError(f"{origin}: lane {lane.number}", "the number is given twice")
        seen.add(lane.number)
        for connection in lane.connections:
            if connection.connection_id is None:
                continue
            if connection.connection_id in connections:
                raise ConfigError(
                    f"{origin}: lane {lane.number}: connection", f"connection_id {connection.connection_id} is given twice"
                )
            connections.add(connection.connection_id)


def _check_lane(origin: str, reference: GeoPoint, lane_width_m: float, lane: JunctionLane) -> None:
    key = f"{origin}: lane {lane.number}"
    _check_range(key, lane.number, 1, MAX_LANES)
    if lane.name is not None:
        _check_name(f"{key}: name", lane.name)
    if lane.approach is not None:
        _check_range(f"{key}: approach", lane.approach, 0, 15)
    if lane.width_m is not None:
        _check_width(f"{key}: width_m", lane.width_m)
        if abs(lane.width_m - lane_width_m) > MAX_WIDTH_CHANGE_M:
            raise ConfigError(f"{key}: width_m", f"differs from lane_width_m by more than {MAX_WIDTH_CHANGE_M:g} m")
    if not MIN_NODES <= len(lane.nodes) <= MAX_NODES:
        raise ConfigError(f"{key}: nodes", f"{len(lane.nodes)} nodes are not within {MIN_NODES} to {MAX_NODES}")
    for index, (a, b) in enumerate(pairwise((reference, *lane.nodes))):
        step = distance_m(a, b)
        if step > MAX_NODE_STEP_M:
            before = "the node before" if index else "the reference point"
            raise ConfigError(f"{key}: nodes[{index}]", f"{step:.1f} m from {before}, at most {MAX_NODE_STEP_M:g} m can be said")
        if index and step < MIN_NODE_STEP_M:
            raise ConfigError(f"{key}: nodes[{index}]", "the same place as the node before")
    _check_outward(f"{key}: nodes", reference, lane)
    if lane.direction.leads_in and not lane.connections and not _is_its_own_way(lane):
        raise ConfigError(key, "the lane leads nowhere: whoever comes in on it needs a connection")
    if not lane.direction.leads_in and lane.connections:
        raise ConfigError(key, "an egress lane leads out of the junction and has no connection of its own")
    if len(lane.connections) > MAX_CONNECTIONS:
        raise ConfigError(key, f"{len(lane.connections)} connections, at most {MAX_CONNECTIONS} can be said")


def _is_its_own_way(lane: JunctionLane) -> bool:
    """Whether a lane needs no connection: a crosswalk that no light rules is walked from end to end."""
    return lane.kind is LaneKind.CROSSWALK and lane.direction is LaneDirection.BOTH


def _check_outward(key: str, reference: GeoPoint, lane: JunctionLane) -> None:
    """Refuse a lane drawn towards the junction: its stop line would lie at the far end."""
    if lane.kind is LaneKind.CROSSWALK:
        return
    first_m, last_m = distance_m(reference, lane.nodes[0]), distance_m(reference, lane.nodes[-1])
    if last_m < first_m - OUTWARD_TOLERANCE_M:
        raise ConfigError(
            key,
            f"the first node is {first_m:.0f} m from the reference point and the last {last_m:.0f} m: "
            "a lane begins at the junction and leads away from it",
        )


def _check_connection(
    key: str, lanes: Mapping[int, JunctionLane], lane: JunctionLane, index: int, connection: JunctionConnection
) -> None:
    target = lanes.get(connection.to_lane)
    if target is None:
        raise ConfigError(f"{key}: to_lane", f"there is no lane {connection.to_lane}")
    if target.number == lane.number and lane.kind is not LaneKind.CROSSWALK:
        raise ConfigError(f"{key}: to_lane", "the lane leads to itself")
    if not target.direction.leads_out:
        raise ConfigError(f"{key}: to_lane", f"lane {connection.to_lane} is not an egress lane")
    if any(other.to_lane == connection.to_lane for other in lane.connections[:index]):
        raise ConfigError(f"{key}: to_lane", f"lane {connection.to_lane} is connected twice")
    if connection.connection_id is not None:
        _check_range(f"{key}: connection_id", connection.connection_id, 0, 255)


def _check_group(key: str, connection: JunctionConnection, signal_groups: frozenset[int]) -> None:
    if connection.signal_group is not None and connection.signal_group not in signal_groups:
        known = ", ".join(str(g) for g in sorted(signal_groups)) or "none"
        raise ConfigError(key, f"there is no signal group {connection.signal_group}; the controller has {known}")


def _check_turn(key: str, turn: Turn, bend_deg: float) -> None:
    """Refuse a left turn that bends to the right and the reverse; gentle bends and U-turns may go by any name."""
    if not MIN_BEND_DEG <= abs(bend_deg) <= 180.0 - MIN_BEND_DEG:
        return
    side = Turn.RIGHT if bend_deg > 0 else Turn.LEFT
    if turn in {Turn.LEFT, Turn.RIGHT} and turn is not side:
        raise ConfigError(key, f"{turn.value!r}, but the lanes lead {abs(bend_deg):.0f} degrees to the {side.value}")


def _check_range(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(key, f"{value} is not within {least} to {most}")


def _check_width(key: str, width_m: float) -> None:
    if not 0.5 <= width_m <= 20.0:
        raise ConfigError(key, f"{width_m} m is no width of a lane (0.5 to 20 m)")


def _check_name(key: str, name: str) -> None:
    if not (1 <= len(name) <= 63 and name.isascii() and name.isprintable()):
        raise ConfigError(key, "a broadcast name is 1 to 63 printable ASCII characters")
