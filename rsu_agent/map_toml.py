"""A junction as a TOML file people write: read, and written so that what was derived elsewhere can be looked over and changed.

`rsu_agent/junctions/crossing.map.toml` is a commented example. Nodes are metres (east, north) from the reference point, or degrees.
"""

import json
from pathlib import Path

from rsu_agent.map_document import (
    DEGREE_DIGITS,
    ConnectionProperties,
    JunctionProperties,
    LaneProperties,
    TurnWord,
    checked_point,
    connection_of,
    junction_of,
    lane_of,
)
from rsu_agent.map_junction import JunctionMap
from rsu_agent.map_lanes import MAX_NODE_DISTANCE_M, JunctionLane, LaneKind, Turn
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint, displaced
from shared.service import config


class ConnectionDocument(ConnectionProperties, frozen=True, kw_only=True):
    """`[[lane.connection]]` of a map file."""

    turn: TurnWord


class LaneDocument(LaneProperties, frozen=True, kw_only=True):
    """`[[lane]]` of a map file. Nodes are either metres (east, north) or degrees (latitude, longitude)."""

    nodes_m: tuple[tuple[float, float], ...] | None = None
    nodes_deg: tuple[tuple[float, float], ...] | None = None
    connection: tuple[ConnectionDocument, ...] = ()


class MapDocument(JunctionProperties, frozen=True, kw_only=True):
    """A map file."""

    reference_deg: tuple[float, float]
    lane: tuple[LaneDocument, ...]


def read_toml(path: Path, signal_groups: frozenset[int] | None) -> JunctionMap:
    """Read a junction from a TOML file.

    Args:
        path: the file.
        signal_groups: the groups the controller speaks for; None where the map's own are all there are.

    Raises:
        ConfigError: the file cannot be read, has an unknown key, or describes an impossible junction.
    """
    document = config.load(path, MapDocument)
    origin = str(path)
    reference = checked_point(f"{origin}: reference_deg", *document.reference_deg)
    lanes = tuple(_lane(origin, reference, lane) for lane in document.lane)
    return junction_of(origin, document, reference, lanes, signal_groups)


def toml_of(junction: JunctionMap) -> str:
    """Return a junction as the text of a map file; nodes in degrees."""
    lines = [
        "# The first node of a lane lies at the stop line (where an egress lane begins); the others lead away from the junction.",
        "",
        f"name = {_quoted(junction.name)}",
        *(() if junction.intersection_id.region is None else (f"region = {junction.intersection_id.region}",)),
        f"number = {junction.intersection_id.number}",
        f"revision = {junction.revision}  # raise by one (after 127 comes 0) whenever anything in this file changes",
        f"reference_deg = {_degrees(junction.reference)}  # latitude, longitude",
        f"lane_width_m = {junction.lane_width_m:g}",
    ]
    for lane in junction.lanes:
        lines += _lane_lines(lane)
    return "\n".join(lines) + "\n"


def _lane(origin: str, reference: GeoPoint, lane: LaneDocument) -> JunctionLane:
    key = f"{origin}: lane {lane.number}"
    if (lane.nodes_m is None) == (lane.nodes_deg is None):
        raise ConfigError(key, "give either nodes_m (east, north) or nodes_deg (latitude, longitude)")
    if lane.nodes_deg is not None:
        nodes = tuple(checked_point(f"{key}: nodes_deg[{i}]", *node) for i, node in enumerate(lane.nodes_deg))
    else:
        nodes = tuple(_displaced(f"{key}: nodes_m[{i}]", reference, *node) for i, node in enumerate(lane.nodes_m or ()))
    return lane_of(lane, nodes, tuple(connection_of(each, Turn(each.turn)) for each in lane.connection))


def _displaced(key: str, reference: GeoPoint, east_m: float, north_m: float) -> GeoPoint:
    if not (abs(east_m) <= MAX_NODE_DISTANCE_M and abs(north_m) <= MAX_NODE_DISTANCE_M):
        raise ConfigError(key, f"({east_m}, {north_m}) m is more than {MAX_NODE_DISTANCE_M:g} m from the reference point")
    return displaced(reference, east_m, north_m)


def _lane_lines(lane: JunctionLane) -> list[str]:
    lines = [
        "",
        "[[lane]]",
        f"number = {lane.number}",
        *(() if lane.name is None else (f"name = {_quoted(lane.name)}",)),
        f'direction = "{lane.direction.value}"',
        *(() if lane.kind is LaneKind.VEHICLE else (f'kind = "{lane.kind.value}"',)),
        *(() if lane.approach is None else (f"approach = {lane.approach}",)),
        *(() if lane.width_m is None else (f"width_m = {lane.width_m:g}",)),
        *(("revocable = true",) if lane.revocable else ()),
        f"nodes_deg = [{', '.join(_degrees(node) for node in lane.nodes)}]",
    ]
    for connection in lane.connections:
        lines += [
            "",
            "[[lane.connection]]",
            f"to_lane = {connection.to_lane}",
            f'turn = "{connection.turn.value}"',
            *(() if connection.signal_group is None else (f"signal_group = {connection.signal_group}",)),
            *(() if connection.connection_id is None else (f"connection_id = {connection.connection_id}",)),
            *(("yields = true",) if connection.yields else ()),
        ]
    return lines


def _degrees(place: GeoPoint) -> str:
    return f"[{place.lat_deg:.{DEGREE_DIGITS}f}, {place.lon_deg:.{DEGREE_DIGITS}f}]"


def _quoted(text: str) -> str:
    return json.dumps(text)  # what JSON escapes in ASCII text, TOML reads
