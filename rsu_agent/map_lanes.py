"""The lanes of a junction and the ways across it, as an operator describes them: plain values, checked in `map_checks`.

The first node of a lane lies at the stop line (or where an egress lane begins) and the others lead away from the junction (ISO/TS
19091, TS 103 301); a connection goes from a lane that leads in to one that leads out.

Left out: computed lanes, node attributes other than the lane's own width, road segments, restrictions by user class.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.geo import GeoPoint, offset_m

MAX_LANES = 255
"""`LaneID` 1..255 (0 is unknown)."""

MIN_NODES, MAX_NODES = 2, 63
"""`NodeSetXY` holds 2 to 63 nodes."""

MAX_CONNECTIONS = 16
"""`ConnectsToList` holds at most 16 connections."""

MAX_NODE_STEP_M = 327.0
"""Greatest difference between neighbouring nodes, in each direction (`Offset-B16`, 1 cm)."""

MIN_NODE_STEP_M = 0.05
"""Nodes closer than this are one node written twice."""

MAX_NODE_DISTANCE_M = 2_000.0
"""No lane of one junction reaches further from its reference point."""

MAX_WIDTH_CHANGE_M = 5.11
"""`Offset-B10`, 1 cm: how far a lane's width may differ from the junction's."""

MAX_REVISION = 127
"""`MsgCount`."""

MAX_SIGNAL_GROUP = 254
"""`SignalGroupID` 1..254 (0 is unknown, 255 permanently green)."""


class LaneDirection(Enum):
    """Which way traffic moves on a lane, seen from the junction."""

    INGRESS = "ingress"
    EGRESS = "egress"
    BOTH = "both"

    @property
    def leads_in(self) -> bool:
        """Whether traffic may enter the junction on the lane."""
        return self is not LaneDirection.EGRESS

    @property
    def leads_out(self) -> bool:
        """Whether traffic may leave the junction on the lane."""
        return self is not LaneDirection.INGRESS


class LaneKind(Enum):
    """What a lane is for (`LaneTypeAttributes`)."""

    VEHICLE = "vehicle"
    CROSSWALK = "crosswalk"
    BIKE = "bike"
    TRACKED_VEHICLE = "tracked_vehicle"


class Turn(Enum):
    """Where a connection leads (`AllowedManeuvers`)."""

    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    U_TURN = "u_turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionConnection:
    """A way across the junction.

    Attributes:
        to_lane: number of the lane it leads to.
        signal_group: the lights that rule it, or None where there are none.
        turn: where it leads.
        connection_id: 0..255, unique in the junction, or None.
        yields: whether its traffic gives way to those it crosses while its own light lets it go.
    """

    to_lane: int
    signal_group: int | None
    turn: Turn
    connection_id: int | None = None
    yields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionLane:
    """One lane.

    Attributes:
        number: 1..255.
        direction: ingress, egress or both.
        nodes: centre line from the stop line outward, 2 to 63 points.
        connections: ways across from this lane; empty for an egress lane.
        kind: what it is for.
        width_m: its width, or None for the junction's common width.
        approach: number of the arm it belongs to (0..15), or None.
        name: for people, or None.
        revocable: whether it is closed except while the controller says that it is open (bus gates, lanes that change direction).
    """

    number: int
    direction: LaneDirection
    nodes: tuple[GeoPoint, ...]
    connections: tuple[JunctionConnection, ...] = ()
    kind: LaneKind = LaneKind.VEHICLE
    width_m: float | None = None
    approach: int | None = None
    name: str | None = None
    revocable: bool = False

    def line_m(self, reference: GeoPoint) -> tuple[tuple[float, float], ...]:
        """Return its nodes as (east, north) metres from a point."""
        return tuple(offset_m(reference, node) for node in self.nodes)
