"""The lights ahead of this vehicle, from verified MAPEM and SPATEM (TS 103 301 V1.3.1 on ISO/TS 19091).

`SignalsAhead` keeps the latest map and the latest lights of each junction, finds the lane towards a junction that the vehicle is on
(nearest centre line whose width and direction fit), and says for each signal group of that lane what it shows, how long, and when
it turns green. Map and lights belong together only if one ticket signed both and their revisions are equal, so nobody puts other
lights on somebody's junction; where two tickets speak for one junction and show different lights, neither is told. Lights that are
older than `SPATEM_LIFETIME_NS` are forgotten: no answer is better than an old one, or than a disputed one.

Left out: rotated and scaled computed lanes, junctions joined through `remote_intersection`, advisory speeds.
"""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, degrees, hypot, inf
from typing import TypeVar

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint, heading_difference_deg, offset_m
from shared.core.ids import HashedId8, IntersectionId
from shared.core.report import VerificationReport
from shared.messages.mapem import Intersection, Lane, LaneDirection, LaneType, Mapem
from shared.messages.spatem import IntersectionState, IntersectionStatus, MovementEvent, MovementPhaseState, MovementState, Spatem
from shared.messages.time_mark import minute_of_year, ms_of_minute, seconds_until
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition

MAX_JUNCTIONS = 128
"""Most junctions remembered; beyond it the one heard longest ago gives way."""

MAX_JUNCTIONS_PER_TICKET = 32
"""Most junctions remembered from one ticket, as many as one message holds; beyond it that ticket's oldest gives way."""

MAPEM_LIFETIME_NS = 300 * NS_PER_S
"""A map not heard for this long is forgotten."""

SPATEM_LIFETIME_NS = 2 * NS_PER_S
"""Lights not heard for this long are forgotten."""

REACH_M = 400.0
"""Junctions further away along the lane are not spoken of."""

LATERAL_MARGIN_M = 1.0
"""How far beyond half the lane's width a position may lie: what a good GNSS receiver is wrong by."""

DEFAULT_LANE_WIDTH_M = 3.0
"""Width of a lane where the map gives none."""

MAX_HEADING_DIFFERENCE_DEG = 45.0
"""A vehicle whose heading differs more from the lane's direction is crossing it, not driving on it."""

REPEAT_NS = NS_PER_S
"""How often the driver is told the same phase again, with its remaining time."""

PERMITTING = frozenset({MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED})
"""Green."""

STOPPING = frozenset({MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PRE_MOVEMENT})
"""Phases after which, if nothing else is announced, the light turns green or is about to."""


_NS_PER_MINUTE = 60 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAhead:
    """What one signal group shows to this vehicle.

    Attributes:
        intersection: the junction.
        lane: number of the lane the vehicle is on.
        signal_group: the group that rules one or more ways from that lane.
        phase: what it shows.
        time_to_change_s: until the phase ends: the likely time where one is announced, otherwise the earliest; None if unknown.
        earliest_change_s: the phase lasts at least so long; None if unknown.
        latest_change_s: the phase lasts at most so long; None if unknown.
        time_to_green_s: 0 when green; otherwise until green begins, by the announced phases or, where only the present one is
            announced and it is red, until that ends (red-amber not counted); None if unknown.
        distance_to_stop_m: along the lane to the stop line.
    """

    intersection: IntersectionId
    lane: int
    signal_group: int
    phase: MovementPhaseState
    time_to_change_s: float | None
    earliest_change_s: float | None
    latest_change_s: float | None
    time_to_green_s: float | None
    distance_to_stop_m: float


@dataclass(frozen=True, slots=True)
class _LaneLine:
    """A signalled ingress lane: metres east and north of the junction's reference point, from the stop line outward."""

    number: int
    points: tuple[tuple[float, float], ...]
    half_width_m: float
    signal_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Junction:
    revision: int
    reference: GeoPoint
    lanes: tuple[_LaneLine, ...]
    heard: MonotonicNs


@dataclass(frozen=True, slots=True)
class _Lights:
    revision: int
    is_valid: bool
    movements: dict[int, MovementState]
    heard: MonotonicNs


_Key = tuple[IntersectionId, HashedId8]
"""A junction, and the ticket that speaks of it."""


class SignalsAhead:
    """Maps and lights of the junctions around.

    Args:
        capacity: most junctions remembered, of maps and of lights.
    """

    def __init__(self, capacity: int = MAX_JUNCTIONS) -> None:
        if capacity < 1:
            raise ValueError("at least one junction has to be remembered")
        self._capacity = capacity
        self._junctions: OrderedDict[_Key, _Junction] = OrderedDict()
        self._lights: OrderedDict[_Key, _Lights] = OrderedDict()
        self._told: dict[tuple[IntersectionId, int, int], tuple[MovementPhaseState, MonotonicNs]] = {}

    def __len__(self) -> int:
        """How many junctions' maps are remembered."""
        return len(self._junctions)

    def hear_map(self, indication: Verified[Mapem], now: Instant) -> None:
        """Take in one verified MAPEM; junctions without a reference point are left out."""
        for intersection in indication.message.intersections:
            junction = _junction(intersection, now.monotonic)
            if junction is not None:
                _put(self._junctions, (intersection.id, indication.signer.hashed_id8), junction, self._capacity)

    def hear_signals(self, indication: Verified[Spatem], now: Instant) -> None:
        """Take in one verified SPATEM.

        Raises:
            VerificationError: it is freshly signed, but speaks of another time.
            UntrustedTimeError: UTC is not known, so its times mean nothing.
        """
        for state in indication.message.intersections:
            _check_present(state, now.require_utc())
            _put(self._lights, (state.id, indication.signer.hashed_id8), _lights(state, now.monotonic), self._capacity)

    def ahead(self, now: Instant, ego: EgoPosition) -> tuple[SignalAhead, ...]:
        """Return what the signal groups of the vehicle's lane show, in order of their numbers; empty where there is nothing to say.

        Raises:
            UntrustedTimeError: UTC is not known, so no remaining time can be given.
        """
        utc = now.require_utc()
        matches: list[tuple[float, _Key, _LaneLine]] = []
        for key, junction in self._junctions.items():
            if now.monotonic - junction.heard > MAPEM_LIFETIME_NS:
                continue
            match = _match(junction, ego)
            if match is not None:
                matches.append((match[0], key, match[1]))
        views = [
            (distance_m, key[0], view)
            for distance_m, key, lane in matches
            if (view := self._view(key, lane, distance_m, now, utc)) is not None
        ]
        if not views:
            return ()
        _, nearest, _ = min(views, key=lambda found: found[0])
        shown = [view for _, junction, view in views if junction == nearest]
        if any(_shown(view) != _shown(shown[0]) for view in shown):
            return ()
        return min(shown, key=lambda view: min((signal.distance_to_stop_m for signal in view), default=inf))

    def _view(self, key: _Key, lane: _LaneLine, distance_m: float, now: Instant, utc: UtcNs) -> tuple[SignalAhead, ...] | None:
        """Return what one ticket's lights show for a lane of that ticket's map; None where it has none to go with it."""
        lights = self._lights.get(key)
        if lights is None or not lights.is_valid or now.monotonic - lights.heard > SPATEM_LIFETIME_NS:
            return None
        if lights.revision != self._junctions[key].revision:
            return None
        found = []
        for signal_group in lane.signal_groups:
            movement = lights.movements.get(signal_group)
            if movement is not None and movement.events and movement.events[0].phase is not MovementPhaseState.UNAVAILABLE:
                found.append(_signal_ahead(key[0], lane.number, movement, distance_m, utc))
        return tuple(found)

    def poll(self, now: Instant, ego: EgoPosition) -> tuple[SignalAhead, ...]:
        """Return what is new for the driver: a lane or phase not told yet, and the rest every `REPEAT_NS`.

        Raises:
            UntrustedTimeError: UTC is not known, so no remaining time can be given.
        """
        found = self.ahead(now, ego)
        told: dict[tuple[IntersectionId, int, int], tuple[MovementPhaseState, MonotonicNs]] = {}
        news = []
        for signal in found:
            key = (signal.intersection, signal.lane, signal.signal_group)
            before = self._told.get(key)
            if before is None or before[0] is not signal.phase or now.monotonic - before[1] >= REPEAT_NS:
                news.append(signal)
                before = signal.phase, now.monotonic
            told[key] = before
        self._told = told
        return tuple(news)


def _shown(view: tuple[SignalAhead, ...]) -> dict[int, MovementPhaseState]:
    return {signal.signal_group: signal.phase for signal in view}


_T = TypeVar("_T")


def _put(store: OrderedDict[_Key, _T], key: _Key, value: _T, capacity: int) -> None:
    """Keep the latest; a ticket that speaks of too many junctions displaces its own."""
    if store.pop(key, None) is None:
        own = [known for known in store if known[1] == key[1]]
        if len(own) >= MAX_JUNCTIONS_PER_TICKET:
            del store[own[0]]
        elif len(store) >= capacity:
            store.popitem(last=False)
    store[key] = value


def _junction(intersection: Intersection, heard: MonotonicNs) -> _Junction | None:
    if intersection.lat_deg is None or intersection.lon_deg is None:
        return None
    reference = GeoPoint(intersection.lat_deg, intersection.lon_deg)
    by_number = {lane.id: lane for lane in intersection.lanes}
    width_m = intersection.lane_width_m or DEFAULT_LANE_WIDTH_M
    lines = (_lane_line(lane, by_number, reference, width_m) for lane in intersection.lanes)
    return _Junction(intersection.revision, reference, tuple(line for line in lines if line is not None), heard)


def _lane_line(lane: Lane, by_number: dict[int, Lane], reference: GeoPoint, width_m: float) -> _LaneLine | None:
    """Return a vehicle lane that leads in and has lights; None for every other."""
    groups = tuple(sorted({c.signal_group for c in lane.connects_to if c.signal_group}))
    if not groups or LaneDirection.INGRESS_PATH not in lane.directional_use or lane.lane_type is not LaneType.VEHICLE:
        return None
    points = _points(lane, by_number, reference)
    if len(points) < 2:
        return None
    change_m = lane.nodes[0].width_change_m if lane.nodes else None
    return _LaneLine(lane.id, points, (width_m + (change_m or 0.0)) / 2, groups)


def _points(lane: Lane, by_number: dict[int, Lane], reference: GeoPoint) -> tuple[tuple[float, float], ...]:
    """Return a lane's nodes in metres east and north of the reference point; empty where they cannot be known."""
    shift_x, shift_y = 0.0, 0.0
    source: Lane | None = lane
    if lane.computed is not None:
        computed = lane.computed
        if computed.rotation_deg or computed.scale_x or computed.scale_y:
            return ()
        source = by_number.get(computed.reference_lane_id)
        shift_x, shift_y = computed.offset_x_m, computed.offset_y_m
    if source is None:
        return ()
    points: list[tuple[float, float]] = []
    x, y = 0.0, 0.0
    for node in source.nodes:
        if node.dx_m is not None and node.dy_m is not None:
            x, y = x + node.dx_m, y + node.dy_m
        elif node.lat_deg is not None and node.lon_deg is not None:
            x, y = offset_m(reference, GeoPoint(node.lat_deg, node.lon_deg))
        else:
            return ()
        points.append((x + shift_x, y + shift_y))
    return tuple(points)


def _lights(state: IntersectionState, heard: MonotonicNs) -> _Lights:
    invalid = IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME | IntersectionStatus.OFF | IntersectionStatus.FAILURE_MODE
    return _Lights(
        revision=state.revision,
        is_valid=not state.status & invalid,
        movements={movement.signal_group: movement for movement in state.movements},
        heard=heard,
    )


def _check_present(state: IntersectionState, utc: UtcNs) -> None:
    """Refuse lights whose own date, where they have one, is further than `SPATEM_LIFETIME_NS` from the present."""
    if state.minute_of_year is None or state.timestamp_ms is None:
        return
    for minutes in (-1, 0, 1):
        if state.minute_of_year == minute_of_year(UtcNs(utc + minutes * _NS_PER_MINUTE)):
            ahead_ms = minutes * 60_000 + state.timestamp_ms - ms_of_minute(utc)
            if abs(ahead_ms) * NS_PER_MS <= SPATEM_LIFETIME_NS:
                return
    raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "the lights' own date is not the present")


def _match(junction: _Junction, ego: EgoPosition) -> tuple[float, _LaneLine] | None:
    """Return (distance to the stop line in metres, lane) of the lane the vehicle is on, or None."""
    if ego.heading_deg is None:
        return None
    x, y = offset_m(junction.reference, ego.point)
    best: tuple[float, float, _LaneLine] | None = None
    for lane in junction.lanes:
        place = _place_on(lane, x, y, ego.heading_deg)
        if place is not None and place[1] <= REACH_M and (best is None or place[0] < best[0]):
            best = *place, lane
    return None if best is None else best[1:]


def _place_on(lane: _LaneLine, x: float, y: float, heading_deg: float) -> tuple[float, float] | None:
    """Return (distance aside, distance to the stop line) for a place on the lane with the lane's direction, or None."""
    best: tuple[float, float] | None = None
    from_stop_m = 0.0
    for index, ((ax, ay), (bx, by)) in enumerate(pairwise(lane.points)):
        dx, dy = bx - ax, by - ay
        length_m = hypot(dx, dy)
        if length_m == 0.0:
            continue
        raw_m = ((x - ax) * dx + (y - ay) * dy) / length_m
        along_m = min(max(raw_m, 0.0), length_m)
        aside_m = hypot(x - ax - along_m * dx / length_m, y - ay - along_m * dy / length_m)
        is_beside = (raw_m >= 0.0 or from_stop_m > 0.0) and (raw_m <= length_m or index < len(lane.points) - 2)
        direction_deg = degrees(atan2(-dx, -dy)) % 360.0
        fits = heading_difference_deg(direction_deg, heading_deg) <= MAX_HEADING_DIFFERENCE_DEG
        if is_beside and fits and aside_m <= lane.half_width_m + LATERAL_MARGIN_M and (best is None or aside_m < best[0]):
            best = aside_m, from_stop_m + along_m
        from_stop_m += length_m
    return best


def _signal_ahead(intersection: IntersectionId, lane: int, movement: MovementState, distance_m: float, utc: UtcNs) -> SignalAhead:
    event = movement.events[0]
    return SignalAhead(
        intersection=intersection,
        lane=lane,
        signal_group=movement.signal_group,
        phase=event.phase,
        time_to_change_s=_end_s(event, utc),
        earliest_change_s=_remaining_s(event.min_end_time_s, utc),
        latest_change_s=_remaining_s(event.max_end_time_s, utc),
        time_to_green_s=_time_to_green_s(movement.events, utc),
        distance_to_stop_m=distance_m,
    )


def _time_to_green_s(events: tuple[MovementEvent, ...], utc: UtcNs) -> float | None:
    if events[0].phase in PERMITTING:
        return 0.0
    for before, event in pairwise(events):
        if event.phase in PERMITTING:
            begins_s = _remaining_s(event.start_time_s, utc)
            return _end_s(before, utc) if begins_s is None else begins_s
    return _end_s(events[0], utc) if len(events) == 1 and events[0].phase in STOPPING else None


def _end_s(event: MovementEvent, utc: UtcNs) -> float | None:
    likely_s = _remaining_s(event.likely_time_s, utc)
    return _remaining_s(event.min_end_time_s, utc) if likely_s is None else likely_s


def _remaining_s(mark_s: float | None, utc: UtcNs) -> float | None:
    """Return the seconds until a time mark, 0 for one just gone by; None for an unknown or distant one."""
    if mark_s is None or mark_s == inf:
        return None
    return max(0.0, seconds_until(mark_s, utc))
