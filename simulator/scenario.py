"""The crossing as the programs need it: its geometry as map data and signal plan of a roadside unit, its place and its date.

The numbers stand in `simulator.scenarios.crossing`; nothing here adds one. What the lamps show to the simulated drivers and what
the roadside unit broadcasts come from the same plan, so a difference between them is a bug that a test can find.
"""

from itertools import combinations

from rsu_agent.map_data import JunctionConnection, JunctionLane, JunctionMap, LaneDirection
from rsu_agent.map_data import Turn as MapTurn
from rsu_agent.signal_controllers.fixed_time import Conflict, FixedTimePlan, PlannedGroup
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import IntersectionId
from shared.core.itstime import utc_from_text
from simulator.kinematics import Breakdown
from simulator.roads import Approach, Exit, RoadNetwork, Turn
from simulator.scenarios import crossing
from simulator.scenarios.crossing import Arm, Movement

LEAST_EVENTFUL_S = 15.0
"""In a shorter run nothing happens but traffic."""

LANE_REACH_M = 100.0
"""How far along its arm a lane is described in the map data."""


def start_utc() -> UtcNs:
    """Return the date at which every run begins."""
    return utc_from_text(crossing.START_UTC)


def plan_offset_s() -> float:
    """Return how far into its cycle the fixed-time plan is when a run begins (cycles are counted from 1970)."""
    return (start_utc() / NS_PER_S) % crossing.CYCLE_S


def planned_breakdown(duration_s: float, offset_s: float) -> Breakdown | None:
    """Return when a car breaks down in a run of this length; None in a short one. It begins `offset_s` into the traffic's time."""
    if duration_s < LEAST_EVENTFUL_S:
        return None
    standing_s = min(max(duration_s * 0.3, 6.0), 20.0)
    return Breakdown(from_s=offset_s + duration_s * 0.25, standing_s=standing_s)


def planned_call_out(duration_s: float) -> tuple[float, float] | None:
    """Return when the ambulance drives with light bar and siren, in seconds of the run; None in a short one."""
    return None if duration_s < LEAST_EVENTFUL_S else (duration_s * 0.1, duration_s * 0.6)


def place(east_m: float, north_m: float) -> GeoPoint:
    """Return the place so many metres from the crossing's centre."""
    return displaced(crossing.CENTRE, east_m, north_m)


def signal_plan() -> FixedTimePlan:
    """Return the crossing's plan for the roadside unit."""
    groups: list[PlannedGroup] = []
    begin_s = 0.0
    for phase in crossing.PHASES:
        groups.extend(
            PlannedGroup(
                number=number,
                greens_s=((begin_s, begin_s + phase.green_s),),
                amber_s=crossing.AMBER_S,
                red_amber_s=crossing.RED_AMBER_S,
            )
            for number in phase.groups
        )
        begin_s += phase.green_s + crossing.AMBER_S + crossing.CLEARANCE_S
    stages = [phase.groups for phase in crossing.PHASES]
    conflicts = tuple(
        Conflict(first=a, second=b, intergreen_s=crossing.AMBER_S + crossing.CLEARANCE_S)
        for one, other in combinations(stages, 2)
        for a in one
        for b in other
    )
    return FixedTimePlan(
        origin=f"scenario {crossing.NAME}",
        name="Crossing, four stages",
        cycle_s=crossing.CYCLE_S,
        offset_s=0.0,
        groups=tuple(sorted(groups, key=lambda group: group.number)),
        conflicts=conflicts,
    )


def junction_map(network: RoadNetwork) -> JunctionMap:
    """Return the crossing's lanes, stop lines and connections for the roadside unit."""
    numbers = {approach: 10 * index + 1 + approach.left for index, arm in enumerate(Arm) for approach in _approaches(arm)}
    exits = {arm: 10 * index + 3 for index, arm in enumerate(Arm)}
    lanes = []
    connection_id = 0
    for index, arm in enumerate(Arm):
        for approach in _approaches(arm):
            connections = []
            for movement in (Movement.LEFT,) if approach.left else (Movement.STRAIGHT, Movement.RIGHT):
                connection_id += 1
                connections.append(
                    JunctionConnection(
                        to_lane=exits[Turn(arm, movement).exit_arm],
                        signal_group=crossing.signal_group(arm, movement),
                        turn=MapTurn(movement.name.lower()),
                        connection_id=connection_id,
                    )
                )
            path = network.paths[approach]
            lanes.append(
                JunctionLane(
                    number=numbers[approach],
                    direction=LaneDirection.INGRESS,
                    nodes=tuple(_place_on(network, approach, path.length_m - back) for back in (0.0, LANE_REACH_M)),
                    connections=tuple(connections),
                    approach=index + 1,
                    name=f"{arm.name.lower()} in, {'left' if approach.left else 'straight and right'}",
                )
            )
        lanes.append(
            JunctionLane(
                number=exits[arm],
                direction=LaneDirection.EGRESS,
                nodes=tuple(_place_on(network, Exit(arm), along) for along in (0.0, LANE_REACH_M)),
                approach=index + 1,
                name=f"{arm.name.lower()} out",
            )
        )
    return JunctionMap(
        origin=f"scenario {crossing.NAME}",
        name="Crossing",
        intersection_id=IntersectionId(crossing.INTERSECTION_REGION, crossing.INTERSECTION_NUMBER),
        revision=1,
        reference=crossing.CENTRE,
        lane_width_m=crossing.LANE_WIDTH_M,
        lanes=tuple(lanes),
        signal_groups=frozenset(crossing.GROUPS),
    )


def _approaches(arm: Arm) -> tuple[Approach, Approach]:
    return Approach(arm, left=False), Approach(arm, left=True)


def _place_on(network: RoadNetwork, segment: Approach | Exit, along_m: float) -> GeoPoint:
    pose = network.paths[segment].pose(along_m)
    return place(pose.east_m, pose.north_m)
