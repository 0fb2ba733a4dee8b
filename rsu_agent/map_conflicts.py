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

MAX_WAYS = 256
"""Ways of one junction, as many as there are `ConnectionID`s; each is compared with every other."""

LEAVING_M = 20.0
"""How far into the lane it leads to a way is looked at: crosswalks lie there."""

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
    def is_settled(self) -> bool:
        """Whether one of the two gives way."""
        return self.first.connection.yields or self.second.connection.yields

    @property
    def groups(self) -> frozenset[int]:
        """The signal groups that rule the two: one, two, or none where there are no lights."""
        return frozenset({group for way in (self.first, self.second) if (group := way.connection.signal_group) is not None})

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


def meetings(ways: Iterable[Way]) -> Iterator[Meeting]:
    """Yield every pair of ways in conflict, settled or not."""
    for first, second in combinations(ways, 2):
        if first.lane.number == second.lane.number:
            continue
        is_merge = first.connection.to_lane == second.connection.to_lane and first.lane.kind is not LaneKind.CROSSWALK
        place = first.course_m[-1] if is_merge else meeting(first.course_m, second.course_m)
        if place is not None and (is_merge or not _only_parted(first, second, place)):
            yield Meeting(first=first, second=second, at_m=place, is_merge=is_merge)


def check_groups(origin: str, reference: GeoPoint, lanes: Iterable[JunctionLane]) -> None:
    """Refuse two ways that one signal group lets go into each other.

    Raises:
        ConfigError: neither of two ways in conflict under the same group yields; the sentence names both and the place. Or there
            are more than `MAX_WAYS`.
    """
    ways = ways_of(reference, lanes)
    if len(ways) > MAX_WAYS:
        raise ConfigError(f"{origin}: lane", f"{len(ways)} connections in all, at most {MAX_WAYS} are possible")
    by_group: dict[int, list[Way]] = {}
    for way in ways:
        if way.connection.signal_group is not None:
            by_group.setdefault(way.connection.signal_group, []).append(way)
    for group, together in by_group.items():
        for each in meetings(together):
            if not each.is_settled:
                raise ConfigError(
                    f"{origin}: lane {each.first.lane.number}",
                    f"signal group {group} lets traffic into its own way: {each.words}; give them groups of their own, "
                    "or let one of them yield (yields = true)",
                )


def conflicting_groups(reference: GeoPoint, lanes: Iterable[JunctionLane]) -> frozenset[frozenset[int]]:
    """Return the pairs of signal groups whose ways are in conflict, neither giving way: never to be permitted together."""
    return frozenset(each.groups for each in meetings(ways_of(reference, lanes)) if len(each.groups) == 2 and not each.is_settled)


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
    for each in meetings(ways_of(reference, lanes)):
        if len(each.groups) == 2 and not each.is_settled and each.groups not in guarded:
            first, second = sorted(each.groups)
            raise ConfigError(
                f"{origin}: lane {each.first.lane.number}",
                f"{each.words}, under signal groups {first} and {second}, which the plan does not name as a conflict",
            )


def _course(lane: JunctionLane, line: Line, target: Line) -> Line:
    if lane.kind is LaneKind.CROSSWALK:
        return line
    return (*across(line, target), *clipped(target, LEAVING_M)[1:])


def _only_parted(first: Way, second: Way, place: Point) -> bool:
    """Whether two ways touch only where both begin: lanes that share their stop line's end."""
    return all(distance(way.course_m[0], place) < TOUCH_M for way in (first, second))
