"""One junction, checked, and the MAPEM that says it (TS 103 301 on ISO/TS 19091).

`JunctionMap` is the value; it comes from a file (`map_data.load_map`) or is built in code by whoever owns the geometry, and
`mapem_of` turns it into a message without touching anything else.

Left out: what `map_lanes` leaves out; and elevations.
"""

from dataclasses import dataclass

from rsu_agent.map_checks import check_intersection, check_lanes
from rsu_agent.map_conflicts import check_guarded, conflicting_groups, permissive_groups
from rsu_agent.map_lanes import JunctionConnection, JunctionLane, LaneDirection, LaneKind, Turn
from shared.core.geo import GeoPoint
from shared.core.ids import IntersectionId, StationId
from shared.messages import mapem
from shared.messages.mapem import AllowedManeuvers, LaneSharing, LaneType, Mapem, NodeAttribute


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionMap:
    """A checked junction.

    Attributes:
        origin: the file it came from; begins every error's sentence.
        name: for people; broadcast, at most 63 characters of ASCII.
        intersection_id: region and number of the junction.
        revision: 0..127, to be raised by one whenever anything here changes.
        reference: the point lane nodes are relative to, near the middle.
        lane_width_m: common width of the lanes.
        lanes: every lane, at most 255.
        signal_groups: every group that lights at the junction, from the plan.

    Raises:
        ConfigError: a number is given twice or out of range, a lane leads nowhere or is drawn the wrong way round, a connection
            names a lane or signal group that is not there, or a signal group lets traffic into its own way; the key says which
            lane and connection.
    """

    origin: str
    name: str
    intersection_id: IntersectionId
    revision: int
    reference: GeoPoint
    lane_width_m: float
    lanes: tuple[JunctionLane, ...]
    signal_groups: frozenset[int]

    def __post_init__(self) -> None:
        check_intersection(self.origin, self.name, self.intersection_id, self.revision, self.lane_width_m)
        check_lanes(self.origin, self.reference, self.lane_width_m, self.lanes, self.signal_groups)

    def conflicting_groups(self) -> frozenset[frozenset[int]]:
        """Return the pairs of groups whose ways cross or merge with none giving way; worked out anew at each call."""
        return conflicting_groups(self.reference, self.lanes)

    def check_guarded(self, guarded: frozenset[frozenset[int]]) -> None:
        """Refuse a guard that overlooks a conflict of the map; raises `ConfigError`, see `map_conflicts.check_guarded`."""
        check_guarded(self.origin, self.reference, self.lanes, guarded)

    def permissive_groups(self) -> frozenset[int]:
        """Return the groups with a way that yields: they are never protected, whatever a controller calls their green."""
        return permissive_groups(self.lanes)


def mapem_of(junction: JunctionMap, station_id: StationId, minute_of_year: int | None) -> Mapem:
    """Return the message that says `junction`.

    Args:
        junction: the checked junction.
        station_id: the station that sends it.
        minute_of_year: UTC minutes since the year began, or None.
    """
    return Mapem(
        station_id=station_id,
        revision=0,  # TS 103 301: msgIssueRevision is not used; the intersection's own revision counts
        minute_of_year=minute_of_year,
        layer_type=mapem.LayerType.INTERSECTION_DATA,
        intersections=(
            mapem.Intersection(
                id=junction.intersection_id,
                revision=junction.revision,
                lat_deg=junction.reference.lat_deg,
                lon_deg=junction.reference.lon_deg,
                lane_width_m=junction.lane_width_m,
                lanes=tuple(_lane_of(junction, lane) for lane in junction.lanes),
                name=junction.name,
            ),
        ),
    )


_LANE_TYPES = {
    LaneKind.VEHICLE: (LaneType.VEHICLE, LaneSharing.INDIVIDUAL_MOTORIZED_VEHICLE_TRAFFIC, 0x80),
    LaneKind.CROSSWALK: (LaneType.CROSSWALK, LaneSharing.PEDESTRIANS_TRAFFIC, 0x8000),
    LaneKind.BIKE: (LaneType.BIKE_LANE, LaneSharing.CYCLIST_VEHICLE_TRAFFIC, 0x8000),
    LaneKind.TRACKED_VEHICLE: (LaneType.TRACKED_VEHICLE, LaneSharing.TRACKED_VEHICLE_TRAFFIC, 0x8000),
}
"""Type, who shares it, and the first bit of the type's attributes, which says of each that the lane is revocable."""

_DIRECTIONS = {
    LaneDirection.INGRESS: mapem.LaneDirection.INGRESS_PATH,
    LaneDirection.EGRESS: mapem.LaneDirection.EGRESS_PATH,
    LaneDirection.BOTH: mapem.LaneDirection.INGRESS_PATH | mapem.LaneDirection.EGRESS_PATH,
}
_TURNS = {
    Turn.STRAIGHT: AllowedManeuvers.MANEUVER_STRAIGHT_ALLOWED,
    Turn.LEFT: AllowedManeuvers.MANEUVER_LEFT_ALLOWED,
    Turn.RIGHT: AllowedManeuvers.MANEUVER_RIGHT_ALLOWED,
    Turn.U_TURN: AllowedManeuvers.MANEUVER_U_TURN_ALLOWED,
}


def _lane_of(junction: JunctionMap, lane: JunctionLane) -> mapem.Lane:
    lane_type, sharing, revocable = _LANE_TYPES[lane.kind]
    maneuvers = AllowedManeuvers(0)
    for connection in lane.connections:
        maneuvers |= _TURNS[connection.turn]
    return mapem.Lane(
        id=lane.number,
        directional_use=_DIRECTIONS[lane.direction],
        lane_type=lane_type,
        lane_type_attributes=revocable if lane.revocable else 0,
        shared_with=sharing,
        nodes=_nodes_of(junction, lane),
        ingress_approach=lane.approach if lane.direction.leads_in else None,
        egress_approach=lane.approach if lane.direction.leads_out else None,
        maneuvers=maneuvers if lane.connections else None,
        connects_to=tuple(_connection_of(connection) for connection in lane.connections),
        name=lane.name,
    )


def _connection_of(connection: JunctionConnection) -> mapem.Connection:
    yielding = AllowedManeuvers.YIELD_ALLWAYS_REQUIRED if connection.yields else AllowedManeuvers(0)
    return mapem.Connection(
        lane_id=connection.to_lane,
        maneuvers=_TURNS[connection.turn] | yielding,
        signal_group=connection.signal_group,
        connection_id=connection.connection_id,
    )


def _nodes_of(junction: JunctionMap, lane: JunctionLane) -> tuple[mapem.LaneNode, ...]:
    """Return nodes relative to one another; places are rounded to the centimetre first, so that rounding does not add up."""
    width_change_m = None if lane.width_m is None else lane.width_m - junction.lane_width_m
    nodes = []
    before_east, before_north = 0, 0
    for index, (east_m, north_m) in enumerate(lane.line_m(junction.reference)):
        east, north = round(east_m * 100), round(north_m * 100)
        is_stop_line = index == 0 and lane.direction.leads_in
        nodes.append(
            mapem.LaneNode(
                dx_m=(east - before_east) / 100,
                dy_m=(north - before_north) / 100,
                attributes=(NodeAttribute.STOP_LINE,) if is_stop_line else (),
                width_change_m=width_change_m if index == 0 else None,
            )
        )
        before_east, before_north = east, north
    return tuple(nodes)
