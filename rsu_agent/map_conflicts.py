"""Which ways across a junction get into each other's: the ground for refusing a map, and for guarding what a controller says.

Two ways are in conflict where their courses cross, or where they come from different lanes into the same one. Ways from the same
lane only part. Under one signal group such a pair is let go together: that is sound only where one of the two gives way (`yields`),
as a left turn does to those who come towards it. Under two groups it means that the two must never be permitted together, unless,
again, one gives way.

Left out: vehicles' widths and swept paths (the courses are centre lines), and who clears the junction how fast.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from rsu_agent.map_geometry import Line, Point, across, clipped, distance, meeting
from rsu_agent.map_lanes import JunctionConnection, JunctionLane, LaneKind
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint

MAX_WAYS = 128
"""Ways of one junction, each compared with every other; a large one has some fifty."""

LEAVING_M = 20.0
"""How far into the lane it leads to a way is looked at: crosswalks lie there."""

LEAVING_STEPS = 5
"""Pieces in which that is looked at, however many nodes the lane has there."""

TOUCH_M = 0.05
"""Ways that meet no further than this from a beginning of both have only parted there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way across, with its course.

    Attributes:
        lane: where it begins.
        connection: where it leads, and under which light.
        course_m: from the stop line into the lane it leads to; a crosswalk's is the crosswalk.
    """

    lane: JunctionLane
    connection: JunctionConnection
    course_m: Line

    @property
    def title(self) -> str:
        """From where to where, for sentences."""
        return f"lane {self.lane.number} to {self.connection.to_lane}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Two ways in conflict.

    Attributes:
        first: one way.
        second: the other.
        at_m: where they first meet.
        is_merge: whether they lead into the same lane.
    """

    first: Way
    second: Way
    at_m: Point
    is_merge: bool

    @property
    def words(self) -> str:
        """What happens where, for sentences."""
        east_m, north_m = self.at_m
        what = "run into the same lane" if self.is_merge else f"cross at ({east_m:.1f}, {north_m:.1f}) m"
        return f"{self.first.title} and {self.second.title} {what}"


def ways_of(reference: GeoPoint, lanes: Iterable[JunctionLane]) -> tuple[Way, ...]:
    """Return every way across, in the order of the lanes; connections to lanes that are not there have none."""
    lines = {lane.number: (lane, lane.line_m(reference)) for lane in lanes}
    return tuple(
        Way(lane=lane, connection=connection, course_m=_course(lane, line, lines[connection.to_lane][1]))
        for lane, line in lines.values()
        for connection in lane.connections
        if connection.to_lane in lines
    )


def meeting_of(first: Way, second: Way) -> Meeting | None:
    """Return the conflict of two ways, settled or not; None where they do not get into each other's."""
    if first.lane.number == second.lane.number:
        return None
    is_merge = first.connection.to_lane == second.connection.to_lane and first.lane.kind is not LaneKind.CROSSWALK
    place = first.course_m[-1] if is_merge else meeting(first.course_m, second.course_m)
    if place is None or (not is_merge and _only_parted(first, second, place)):
        return None
    return Meeting(first=first, second=second, at_m=place, is_merge=is_merge)


def check_groups(origin: str, reference: GeoPoint, lanes: Iterable[JunctionLane]) -> None:
    """Refuse two ways that one signal group lets go into each other.

    Raises:
        ConfigError: neither of two ways in conflict under the same group yields; the sentence names both and the place. Or there
            are more than `MAX_WAYS`.
    """
    ways = ways_of(reference, lanes)
    if len(ways) > MAX_WAYS:
        raise ConfigError(f"{origin}: lane", f"{len(ways)} connections in all, at most {MAX_WAYS} are possible")
    for first, second in _unsettled(ways):
        group = first.connection.signal_group
        if group == second.connection.signal_group and (found := meeting_of(first, second)) is not None:
            raise ConfigError(
                f"{origin}: lane {first.lane.number}",
                f"signal group {group} lets traffic into its own way: {found.words}; give them groups of their own, "
                "or let one of them yield (yields = true)",
            )


def conflicting_groups(reference: GeoPoint, lanes: Iterable[JunctionLane]) -> frozenset[frozenset[int]]:
    """Return the pairs of signal groups whose ways are in conflict, neither giving way: never to be permitted together."""
    found: set[frozenset[int]] = set()
    for first, second in _unsettled(ways_of(reference, lanes)):
        pair = _groups(first, second)
        if len(pair) == 2 and pair not in found and meeting_of(first, second) is not None:
            found.add(pair)
    return frozenset(found)


def permissive_groups(lanes: Iterable[JunctionLane]) -> frozenset[int]:
    """Return the signal groups with a way that yields: their green is permissive, not protected."""
    return frozenset(
        connection.signal_group
        for lane in lanes
        for connection in lane.connections
        if connection.yields and connection.signal_group is not None
    )


def check_guarded(origin: str, reference: GeoPoint, lanes: Iterable[JunctionLane], guarded: frozenset[frozenset[int]]) -> None:
    """Refuse a guard that overlooks a conflict of the map.

    Args:
        origin: the file of the map, for the sentence.
        reference: the point the lanes are relative to.
        lanes: the map's lanes.
        guarded: pairs of groups that are never permitted together, from the plan.

    Raises:
        ConfigError: ways of two groups are in conflict, neither yields, and no pair of `guarded` names the two.
    """
    for first, second in _unsettled(ways_of(reference, lanes)):
        pair = _groups(first, second)
        if len(pair) == 2 and pair not in guarded and (found := meeting_of(first, second)) is not None:
            one, other = sorted(pair)
            raise ConfigError(
                f"{origin}: lane {first.lane.number}",
                f"{found.words}, under signal groups {one} and {other}, which are not named as a conflict",
            )


def _unsettled(ways: Iterable[Way]) -> Iterator[tuple[Way, Way]]:
    """Yield the pairs of ways with lights of which neither gives way, whether or not they meet."""
    firm = [way for way in ways if way.connection.signal_group is not None and not way.connection.yields]
    return combinations(firm, 2)


def _groups(first: Way, second: Way) -> frozenset[int]:
    return frozenset({group for way in (first, second) if (group := way.connection.signal_group) is not None})


def _course(lane: JunctionLane, line: Line, target: Line) -> Line:
    if lane.kind is LaneKind.CROSSWALK:
        return line
    return (*across(line, target), *(clipped(target, LEAVING_M * step / LEAVING_STEPS)[-1] for step in range(1, LEAVING_STEPS + 1)))


def _only_parted(first: Way, second: Way, place: Point) -> bool:
    """Whether two ways touch only where both begin: lanes that share their stop line's end."""
    return all(distance(way.course_m[0], place) < TOUCH_M for way in (first, second))
