"""What the written forms of a junction's map have in common (`map_toml`, `map_geojson`): properties by name, and what they mean."""

from collections.abc import Iterable
from typing import Literal

from rsu_agent.map_junction import JunctionMap
from rsu_agent.map_lanes import JunctionConnection, JunctionLane, LaneDirection, LaneKind, Turn
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.core.ids import IntersectionId
from shared.service.config import ConfigStruct

DEGREE_DIGITS = 7
"""Digits of a written degree: a centimetre, as in the message."""

TurnWord = Literal["straight", "left", "right", "u_turn"]


class JunctionProperties(ConfigStruct, frozen=True, kw_only=True):
    """The junction's own; see `JunctionMap`."""

    name: str
    number: int
    revision: int
    lane_width_m: float
    region: int | None = None


class LaneProperties(ConfigStruct, frozen=True, kw_only=True):
    """A lane's; see `JunctionLane`."""

    number: int
    direction: Literal["ingress", "egress", "both"]
    kind: Literal["vehicle", "crosswalk", "bike", "tracked_vehicle"] = "vehicle"
    width_m: float | None = None
    approach: int | None = None
    name: str | None = None
    revocable: bool = False


class ConnectionProperties(ConfigStruct, frozen=True, kw_only=True):
    """A connection's; see `JunctionConnection`."""

    to_lane: int
    signal_group: int | None = None
    connection_id: int | None = None
    yields: bool = False


def junction_of(
    origin: str,
    written: JunctionProperties,
    reference: GeoPoint,
    lanes: tuple[JunctionLane, ...],
    signal_groups: frozenset[int] | None,
) -> JunctionMap:
    """Return a junction that was written down.

    Args:
        origin: the file.
        written: its properties.
        reference: the point lane nodes are relative to.
        lanes: every lane.
        signal_groups: the groups the controller speaks for; None where the map's own are all there are.

    Raises:
        ConfigError: the junction is impossible.
    """
    return JunctionMap(
        origin=origin,
        name=written.name,
        intersection_id=IntersectionId(written.region, written.number),
        revision=written.revision,
        reference=reference,
        lane_width_m=written.lane_width_m,
        lanes=lanes,
        signal_groups=named_groups(lanes) if signal_groups is None else signal_groups,
    )


def lane_of(written: LaneProperties, nodes: tuple[GeoPoint, ...], connections: tuple[JunctionConnection, ...] = ()) -> JunctionLane:
    """Return a lane that was written down, with its course and the ways from it."""
    return JunctionLane(
        number=written.number,
        direction=LaneDirection(written.direction),
        nodes=nodes,
        connections=connections,
        kind=LaneKind(written.kind),
        width_m=written.width_m,
        approach=written.approach,
        name=written.name,
        revocable=written.revocable,
    )


def connection_of(written: ConnectionProperties, turn: Turn) -> JunctionConnection:
    """Return a connection that was written down."""
    return JunctionConnection(
        to_lane=written.to_lane,
        signal_group=written.signal_group,
        turn=turn,
        connection_id=written.connection_id,
        yields=written.yields,
    )


def named_groups(lanes: Iterable[JunctionLane]) -> frozenset[int]:
    """Return every signal group a connection names."""
    return frozenset(
        connection.signal_group for lane in lanes for connection in lane.connections if connection.signal_group is not None
    )


def checked_point(key: str, lat_deg: float, lon_deg: float) -> GeoPoint:
    """Return a place; raises `ConfigError` at `key` where there is none."""
    try:
        return GeoPoint(lat_deg, lon_deg)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None
