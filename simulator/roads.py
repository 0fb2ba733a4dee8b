"""The crossing's roads as paths: straights and arcs with an exact pose at every metre, joined into a small network.

A `Path` answers where a car is after `along_m` metres, how it points and how sharply the road bends. `RoadNetwork` names the
segments of `simulator.scenarios.crossing`, what follows what, and over what length two segments that part or meet are too near
for two cars side by side. Coordinates: metres east and north of the crossing's centre; headings: degrees clockwise from north.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import combinations
from math import cos, degrees, hypot, pi, radians, sin
from typing import NamedTuple

from simulator.scenarios import crossing
from simulator.scenarios.crossing import Arm, Movement

SIDE_BY_SIDE_M = 2.6
"""Two paths nearer than this leave no room for two cars side by side."""

_SAMPLE_M = 0.5


class Pose(NamedTuple):
    """A place and a direction: metres east and north of the centre, degrees clockwise from north, bend in 1/m (right positive)."""

    east_m: float
    north_m: float
    heading_deg: float
    curvature_per_m: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A straight (`turn_deg` = 0) or an arc of a circle, beginning at a place with a heading."""

    east_m: float
    north_m: float
    heading_deg: float
    length_m: float
    turn_deg: float = 0.0

    @property
    def curvature_per_m(self) -> float:
        """Signed bend in 1/m, positive to the right."""
        return radians(self.turn_deg) / self.length_m

    def pose(self, along_m: float) -> Pose:
        """Return the pose `along_m` metres from the piece's beginning."""
        start = radians(self.heading_deg)
        if not self.turn_deg:
            return Pose(self.east_m + along_m * sin(start), self.north_m + along_m * cos(start), self.heading_deg, 0.0)
        bend = self.curvature_per_m
        end = start + bend * along_m
        east = self.east_m + (cos(start) - cos(end)) / bend
        north = self.north_m + (sin(end) - sin(start)) / bend
        return Pose(east, north, degrees(end) % 360.0, bend)


class Path:
    """Pieces laid end to end."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self.pieces = pieces
        starts = [0.0]
        for piece in pieces:
            starts.append(starts[-1] + piece.length_m)
        self.length_m = starts.pop()
        self._starts = starts

    def pose(self, along_m: float) -> Pose:
        """Return the pose at `along_m`, clamped to the path."""
        along_m = min(max(along_m, 0.0), self.length_m)
        index = bisect_right(self._starts, along_m) - 1
        return self.pieces[index].pose(along_m - self._starts[index])

    def bends(self) -> tuple[tuple[float, float, float], ...]:
        """Return (begin_m, end_m, radius_m) of every arc."""
        return tuple(
            (begin, begin + p.length_m, 1.0 / abs(p.curvature_per_m))
            for begin, p in zip(self._starts, self.pieces, strict=True)
            if p.turn_deg
        )


def straight_on(piece: Piece, length_m: float) -> Piece:
    """Return a straight of `length_m` where `piece` ends."""
    end = piece.pose(piece.length_m)
    return Piece(end.east_m, end.north_m, end.heading_deg, length_m)


def arc_on(piece: Piece, radius_m: float, turn_deg: float) -> Piece:
    """Return an arc of `radius_m` through `turn_deg` (right positive) where `piece` ends."""
    end = piece.pose(piece.length_m)
    return Piece(end.east_m, end.north_m, end.heading_deg, radius_m * radians(abs(turn_deg)), turn_deg)


@dataclass(frozen=True, slots=True)
class Approach:
    """A lane towards the crossing; its end is the stop line. `left` is the lane of those who turn left."""

    arm: Arm
    left: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The way across the crossing from one arm."""

    arm: Arm
    movement: Movement

    @property
    def exit_arm(self) -> Arm:
        """The arm by which the car leaves."""
        return self.arm.turned(self.movement.value)


@dataclass(frozen=True, slots=True)
class Exit:
    """The lane away from the crossing on `arm`, then the street around the block to where the next arm's lanes begin."""

    arm: Arm


@dataclass(frozen=True, slots=True)
class Entry:
    """The bend off the street around the block into one of the two lanes of `arm`."""

    arm: Arm
    left: bool


Segment = Approach | Turn | Exit | Entry


class RoadNetwork:
    """Every segment's path, and where segments that part or meet are too near for two cars."""

    def __init__(self) -> None:
        self.paths: dict[Segment, Path] = {}
        for arm in Arm:
            for left in (False, True):
                self.paths[Approach(arm, left)] = _approach(arm, left=left)
                self.paths[Entry(arm, left)] = _entry(arm, left=left)
            for movement in Movement:
                self.paths[Turn(arm, movement)] = _turn(arm, movement)
            self.paths[Exit(arm)] = _exit(arm)
        self.shared_start_m: dict[tuple[Segment, Segment], float] = {}
        self.shared_end_m: dict[tuple[Segment, Segment], float] = {}
        for a, b in combinations(self.paths, 2):
            if _same_start(a, b):
                self._both(self.shared_start_m, a, b, self._shared_m(a, b, from_end=False))
            if _same_end(a, b):
                self._both(self.shared_end_m, a, b, self._shared_m(a, b, from_end=True))
        self.parting: dict[Segment, tuple[Segment, ...]] = _grouped(self.shared_start_m)
        self.meeting: dict[Segment, tuple[Segment, ...]] = _grouped(self.shared_end_m)

    @staticmethod
    def _both(table: dict[tuple[Segment, Segment], float], a: Segment, b: Segment, value: float) -> None:
        table[a, b] = table[b, a] = value

    def _shared_m(self, a: Segment, b: Segment, *, from_end: bool) -> float:
        """Return over what length from the common start (or end) the two paths are nearer than `SIDE_BY_SIDE_M`."""
        pa, pb = self.paths[a], self.paths[b]
        reach = min(pa.length_m, pb.length_m)
        at = 0.0
        while at < reach:
            p = pa.pose(pa.length_m - at if from_end else at)
            q = pb.pose(pb.length_m - at if from_end else at)
            if hypot(p.east_m - q.east_m, p.north_m - q.north_m) >= SIDE_BY_SIDE_M:
                return at
            at += _SAMPLE_M
        return reach


def after(segment: Segment, movement: Movement) -> Segment:
    """Return what follows `segment` for a car that will make `movement` at the next crossing."""
    match segment:
        case Approach(arm=arm):
            return Turn(arm, movement)
        case Turn():
            return Exit(segment.exit_arm)
        case Exit(arm=arm):
            return Entry(arm.turned(1), movement is Movement.LEFT)
        case Entry(arm=arm, left=left):
            return Approach(arm, left)


def _same_start(a: Segment, b: Segment) -> bool:
    match a, b:
        case Turn(), Turn():
            return a.arm is b.arm and (a.movement is Movement.LEFT) == (b.movement is Movement.LEFT)
        case Entry(), Entry():
            return a.arm is b.arm
        case _:
            return False


def _same_end(a: Segment, b: Segment) -> bool:
    return isinstance(a, Turn) and isinstance(b, Turn) and a.exit_arm is b.exit_arm


def _grouped(table: dict[tuple[Segment, Segment], float]) -> dict[Segment, tuple[Segment, ...]]:
    grouped: dict[Segment, tuple[Segment, ...]] = {}
    for a, b in table:
        grouped[a] = (*grouped.get(a, ()), b)
    return grouped


def _lane_start(arm: Arm, offset_m: float, out_m: float) -> tuple[float, float, float]:
    """Return place and heading of a lane towards the centre on `arm`, `offset_m` right of the arm's axis, `out_m` out."""
    u_east, u_north = arm.outward
    right_east, right_north = -u_north, u_east
    return (
        u_east * out_m + right_east * offset_m,
        u_north * out_m + right_north * offset_m,
        (arm.value + 180.0) % 360.0,
    )


def _offset(*, left: bool) -> float:
    return crossing.INNER_LANE_OFFSET_M if left else crossing.OUTER_LANE_OFFSET_M


def _approach(arm: Arm, *, left: bool) -> Path:
    begin_m = crossing.ARM_END_M - (crossing.OUTER_LANE_OFFSET_M - _offset(left=left))
    east, north, heading = _lane_start(arm, _offset(left=left), begin_m)
    return Path((Piece(east, north, heading, begin_m - crossing.STOP_LINE_M),))


def _entry(arm: Arm, *, left: bool) -> Path:
    """A right-hand quarter circle that ends where the lane begins; both lanes' arcs begin at the same place."""
    radius = crossing.BLOCK_CORNER_RADIUS_M + crossing.OUTER_LANE_OFFSET_M - _offset(left=left)
    end_m = crossing.ARM_END_M - (crossing.OUTER_LANE_OFFSET_M - _offset(left=left))
    east, north, heading = _lane_start(arm, _offset(left=left), end_m)
    begin_heading = (heading - 90.0) % 360.0
    back = Piece(east, north, (heading + 180.0) % 360.0, radius * pi / 2, -90.0).pose(radius * pi / 2)
    return Path((Piece(back.east_m, back.north_m, begin_heading, radius * pi / 2, 90.0),))


def _turn(arm: Arm, movement: Movement) -> Path:
    stop = crossing.STOP_LINE_M
    east, north, heading = _lane_start(arm, _offset(left=movement is Movement.LEFT), stop)
    begin = Piece(east, north, heading, 1e-9)
    match movement:
        case Movement.STRAIGHT:
            return Path((straight_on(begin, 2 * stop),))
        case Movement.RIGHT:
            return Path((arc_on(begin, stop - crossing.OUTER_LANE_OFFSET_M, 90.0),))
        case Movement.LEFT:
            lead = straight_on(begin, crossing.OUTER_LANE_OFFSET_M - crossing.INNER_LANE_OFFSET_M)
            return Path((lead, arc_on(lead, stop + crossing.INNER_LANE_OFFSET_M, -90.0)))


def _exit(arm: Arm) -> Path:
    """Out along the arm, right, along the block, right, and back to where the bends into the next arm's lanes begin."""
    u_east, u_north = arm.outward
    right_east, right_north = u_north, -u_east
    stop, offset, radius = crossing.STOP_LINE_M, crossing.OUTER_LANE_OFFSET_M, crossing.BLOCK_CORNER_RADIUS_M
    out = Piece(
        u_east * stop + right_east * offset, u_north * stop + right_north * offset, float(arm.value), crossing.ARM_END_M - stop
    )
    first = arc_on(out, radius, 90.0)
    along = straight_on(first, crossing.ARM_END_M - offset - radius)
    second = arc_on(along, radius, 90.0)
    down = straight_on(second, crossing.ARM_END_M - offset - radius)
    return Path((out, first, along, second, down))
