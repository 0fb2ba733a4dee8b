"""A signalled crossing of four arms with the four blocks around it: the one place where its numbers stand.

Right-hand traffic. Coordinates are metres east and north of `CENTRE`. Every arm has two lanes towards the crossing (the right one
goes straight on or right, the left one goes left) and one away from it; a car that leaves by one arm drives clockwise around the
block and returns by the next arm, so any duration has traffic. Left turns have a phase of their own: no two movements that are
green together cross or merge. Map data and signal plan of the roadside unit are made from these numbers (`simulator.scenario`).
Left out: pedestrians, bicycles, gradients.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.geo import GeoPoint

NAME = "crossing"
TITLE = "A signalled crossing: one roadside unit, a traffic light, cars going around the blocks"
CENTRE = GeoPoint(52.273_100, 10.525_300)
ELEVATION_M = 74.0
START_UTC = "2026-06-01T08:00:00Z"

LANE_WIDTH_M = 3.5
INNER_LANE_OFFSET_M = LANE_WIDTH_M / 2
OUTER_LANE_OFFSET_M = LANE_WIDTH_M * 1.5
STOP_LINE_M = 16.0
"""Distance of the stop lines, and of the ends of the turning arcs, from the centre."""

ARM_END_M = 150.0
"""Where an arm meets the streets around the blocks, metres from the centre."""

BLOCK_CORNER_RADIUS_M = 15.0
SPEED_LIMIT_MPS = 50.0 / 3.6

INTERSECTION_REGION = 276
INTERSECTION_NUMBER = 1


class Arm(Enum):
    """An arm, by the side of the crossing it lies on; the value is its bearing from the centre in degrees."""

    NORTH = 0
    EAST = 90
    SOUTH = 180
    WEST = 270

    @property
    def outward(self) -> tuple[float, float]:
        """Unit vector (east, north) from the centre along the arm."""
        return _OUTWARD[self]

    def turned(self, quarters_clockwise: int) -> "Arm":
        """Return the arm so many quarter turns further, clockwise as seen from above."""
        return Arm((self.value + 90 * quarters_clockwise) % 360)


_OUTWARD = {Arm.NORTH: (0.0, 1.0), Arm.EAST: (1.0, 0.0), Arm.SOUTH: (0.0, -1.0), Arm.WEST: (-1.0, 0.0)}


class Movement(Enum):
    """What a car does at the crossing; the value is how many arms clockwise of the one it came from its exit lies."""

    LEFT = 1
    STRAIGHT = 2
    RIGHT = 3


class Aspect(Enum):
    """What one signal head shows."""

    RED = "red"
    RED_AMBER = "red_amber"
    GREEN = "green"
    AMBER = "amber"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stage of the fixed-time plan: `groups` have green, then amber; afterwards everything is red for `clearance_s`."""

    groups: tuple[int, ...]
    green_s: float


GROUP_NORTH_SOUTH = 1
GROUP_NORTH_SOUTH_LEFT = 2
GROUP_EAST_WEST = 3
GROUP_EAST_WEST_LEFT = 4
GROUPS = (GROUP_NORTH_SOUTH, GROUP_NORTH_SOUTH_LEFT, GROUP_EAST_WEST, GROUP_EAST_WEST_LEFT)

PHASES = (
    Phase(groups=(GROUP_NORTH_SOUTH,), green_s=11.0),
    Phase(groups=(GROUP_NORTH_SOUTH_LEFT,), green_s=6.0),
    Phase(groups=(GROUP_EAST_WEST,), green_s=11.0),
    Phase(groups=(GROUP_EAST_WEST_LEFT,), green_s=6.0),
)
AMBER_S = 3.0
RED_AMBER_S = 1.0
CLEARANCE_S = 3.0
"""All red between two stages; the last second of it is red and amber for the next one."""

CYCLE_S = sum(p.green_s + AMBER_S + CLEARANCE_S for p in PHASES)


def signal_group(arm: Arm, movement: Movement) -> int:
    """Return the number of the signal group that a car coming in on `arm` obeys."""
    along_north_south = arm in {Arm.NORTH, Arm.SOUTH}
    if movement is Movement.LEFT:
        return GROUP_NORTH_SOUTH_LEFT if along_north_south else GROUP_EAST_WEST_LEFT
    return GROUP_NORTH_SOUTH if along_north_south else GROUP_EAST_WEST


def aspect_at(group: int, elapsed_s: float) -> Aspect:
    """Return what `group` shows `elapsed_s` seconds after the start of a cycle (any cycle)."""
    at_s = elapsed_s % CYCLE_S
    begin_s = 0.0
    for phase in PHASES:
        if group in phase.groups:
            since_s = (at_s - begin_s) % CYCLE_S
            if since_s < phase.green_s:
                return Aspect.GREEN
            if since_s < phase.green_s + AMBER_S:
                return Aspect.AMBER
            return Aspect.RED_AMBER if since_s >= CYCLE_S - RED_AMBER_S else Aspect.RED
        begin_s += phase.green_s + AMBER_S + CLEARANCE_S
    raise ValueError(f"the crossing has no signal group {group}")
