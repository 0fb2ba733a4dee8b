"""The lights ahead of this vehicle, from verified MAPEM and SPATEM (TS 103 301 V1.3.1 on ISO/TS 19091).

`SignalsAhead` keeps the latest map and the latest lights of each junction, finds the lane towards a junction that the vehicle is on
(`vehicle_agent.junction_map`), and says for each signal group of that lane where it leads, what it shows and will show, how long,
and when it turns green. Map and lights belong together only if one ticket signed both and their revisions are equal, so nobody puts
other lights on somebody's junction; where two tickets speak for one junction and show different lights, neither is told, and where
only their times differ, the times are not to be relied on. Lights that are older than `SPATEM_LIFETIME_NS` are forgotten: no answer
is better than an old one, or than a disputed one.

Left out: junctions joined through `remote_intersection`, lanes open at times, advisory speeds.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, IntersectionId
from shared.core.report import VerificationReport
from shared.messages.mapem import AllowedManeuvers, Mapem, SpeedLimitType
from shared.messages.spatem import IntersectionState, IntersectionStatus, MovementEvent, MovementPhaseState, MovementState, Spatem
from shared.messages.time_mark import minute_of_year, ms_of_minute, seconds_until
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition
from vehicle_agent.junction_map import JunctionMap, OnLane, junction_map, lane_of
from vehicle_agent.per_ticket import put_per_ticket

MAX_JUNCTIONS = 128
"""Most junctions remembered; beyond it the one heard longest ago gives way."""

MAX_JUNCTIONS_PER_TICKET = 32
"""Most junctions remembered from one ticket, as many as one message holds; beyond it that ticket's oldest gives way."""

MAPEM_LIFETIME_NS = 300 * NS_PER_S
"""A map not heard for this long is forgotten."""

SPATEM_LIFETIME_NS = 2 * NS_PER_S
"""Lights not heard for this long are forgotten."""

REPEAT_NS = NS_PER_S
"""How often the driver is told the same phase again, with its remaining time."""

MAX_TIMES_APART_S = 2.0
"""Two tickets whose times for one light differ by more do not agree."""

PERMITTING = frozenset({MovementPhaseState.PERMISSIVE_MOVEMENT_ALLOWED, MovementPhaseState.PROTECTED_MOVEMENT_ALLOWED})
"""Green."""

STOPPING = frozenset({MovementPhaseState.STOP_AND_REMAIN, MovementPhaseState.PRE_MOVEMENT})
"""Phases after which, if nothing else is announced, the light turns green or is about to."""

CAR_LIMITS = frozenset({SpeedLimitType.VEHICLE_MAX_SPEED})
"""The kinds of speed limit that bind a car."""

_INVALID = IntersectionStatus.NO_VALID_SPAT_IS_AVAILABLE_AT_THIS_TIME | IntersectionStatus.OFF | IntersectionStatus.FAILURE_MODE
_UNDEPENDABLE = (
    IntersectionStatus.MANUAL_CONTROL_IS_ENABLED
    | IntersectionStatus.STOP_TIME_IS_ACTIVATED
    | IntersectionStatus.PREEMPT_IS_ACTIVE
    | IntersectionStatus.FAILURE_FLASH
    | IntersectionStatus.STANDBY_OPERATION
)
_NS_PER_MINUTE = 60 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAhead:
    """What a light shows now or will show.

    Attributes:
        phase: the colour.
        starts_in_s: until it begins, where announced; None for the present one and where unknown.
        earliest_end_s: it lasts at least so long; None if unknown.
        likely_end_s: best guess of the end; None if unknown.
        latest_end_s: it lasts at most so long; None if unknown.
        confidence: `TimeIntervalConfidence` 0..15 of the best guess (21 % ... 100 %), or None.
    """

    phase: MovementPhaseState
    starts_in_s: float | None = None
    earliest_end_s: float | None = None
    likely_end_s: float | None = None
    latest_end_s: float | None = None
    confidence: int | None = None


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
        turns: where the group leads from the lane; 0 where the map does not tell.
        speed_limit_mps: the lowest limit on the way to the stop line, or None.
        phases: the present phase and what is announced after it.
        is_dependable: whether the announced times may be relied on: the controller runs by itself and nobody says otherwise.
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
    turns: AllowedManeuvers = AllowedManeuvers(0)  # noqa: RUF009  # a constant, made once
    speed_limit_mps: float | None = None
    phases: tuple[PhaseAhead, ...] = ()
    is_dependable: bool = True


@dataclass(frozen=True, slots=True)
class _Lights:
    revision: int
    status: IntersectionStatus
    movements: dict[int, MovementState]
    heard: MonotonicNs


_Key = tuple[IntersectionId, HashedId8]
"""A junction, and the ticket that speaks of it."""


class SignalsAhead:
    """Maps and lights of the junctions around.

    Args:
        capacity: most junctions remembered, of maps and of lights.
        limits: the kinds of speed limit that bind the vehicle.
    """

    def __init__(self, capacity: int = MAX_JUNCTIONS, *, limits: frozenset[SpeedLimitType] = CAR_LIMITS) -> None:
        if capacity < 1:
            raise ValueError("at least one junction has to be remembered")
        self._capacity = capacity
        self._limits = limits
        self._junctions: OrderedDict[_Key, JunctionMap] = OrderedDict()
        self._lights: OrderedDict[_Key, _Lights] = OrderedDict()
        self._told: dict[tuple[IntersectionId, int, int], tuple[MovementPhaseState, MonotonicNs]] = {}

    def __len__(self) -> int:
        """How many junctions' maps are remembered."""
        return len(self._junctions)

    def hear_map(self, indication: Verified[Mapem], now: Instant) -> None:
        """Take in one verified MAPEM; junctions without a reference point are left out."""
        for intersection in indication.message.intersections:
            junction = junction_map(intersection, now.monotonic, self._limits)
            if junction is not None:
                key = intersection.id, indication.signer.hashed_id8
                put_per_ticket(self._junctions, key, junction, capacity=self._capacity, per_ticket=MAX_JUNCTIONS_PER_TICKET)

    def hear_signals(self, indication: Verified[Spatem], now: Instant) -> None:
        """Take in one verified SPATEM.

        Raises:
            VerificationError: it is freshly signed, but speaks of another time.
            UntrustedTimeError: UTC is not known, so its times mean nothing.
        """
        for state in indication.message.intersections:
            _check_present(state, now.require_utc())
            key, lights = (state.id, indication.signer.hashed_id8), _lights(state, now.monotonic)
            put_per_ticket(self._lights, key, lights, capacity=self._capacity, per_ticket=MAX_JUNCTIONS_PER_TICKET)

    def ahead(self, now: Instant, ego: EgoPosition, path: Sequence[GeoPoint] = ()) -> tuple[SignalAhead, ...]:
        """Return what the signal groups of the vehicle's lane show, in order of their numbers; empty where there is nothing to say.

        Args:
            now: the present.
            ego: where the vehicle is and where it heads.
            path: where it was lately, the latest first; tells apart lanes that lie close together.

        Raises:
            UntrustedTimeError: UTC is not known, so no remaining time can be given.
        """
        utc = now.require_utc()
        views: list[tuple[float, IntersectionId, tuple[SignalAhead, ...]]] = []
        for key, junction in self._junctions.items():
            if now.monotonic - junction.heard > MAPEM_LIFETIME_NS:
                continue
            place = lane_of(junction, ego, path)
            view = None if place is None else self._view(key, place, now, utc)
            if place is not None and view is not None:
                views.append((place.to_stop_m, key[0], view))
        if not views:
            return ()
        _, nearest, _ = min(views, key=lambda found: found[0])
        shown = [view for _, junction_id, view in views if junction_id == nearest]
        if any(_shown(view) != _shown(shown[0]) for view in shown):
            return ()
        told = min(shown, key=lambda view: min((signal.distance_to_stop_m for signal in view), default=inf))
        return told if _agree(shown) else tuple(replace(signal, is_dependable=False) for signal in told)

    def _view(self, key: _Key, place: OnLane, now: Instant, utc: UtcNs) -> tuple[SignalAhead, ...] | None:
        """Return what one ticket's lights show for a lane of that ticket's map; None where it has none to go with it."""
        lights = self._lights.get(key)
        if lights is None or lights.status & _INVALID or now.monotonic - lights.heard > SPATEM_LIFETIME_NS:
            return None
        if lights.revision != self._junctions[key].revision:
            return None
        found = []
        for signal_group in place.lane.turns:
            movement = lights.movements.get(signal_group)
            if movement is not None and movement.events and movement.events[0].phase is not MovementPhaseState.UNAVAILABLE:
                found.append(_signal_ahead(key[0], place, movement, lights.status, utc))
        return tuple(found)

    def poll(self, now: Instant, ego: EgoPosition, path: Sequence[GeoPoint] = ()) -> tuple[SignalAhead, ...]:
        """Return what is new for the driver: a lane or phase not told yet, and the rest every `REPEAT_NS`.

        Raises:
            UntrustedTimeError: UTC is not known, so no remaining time can be given.
        """
        return self.news(self.ahead(now, ego, path), now)

    def news(self, found: Sequence[SignalAhead], now: Instant) -> tuple[SignalAhead, ...]:
        """Return what of `found`, all that is ahead at present, is new for the driver."""
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


def _agree(shown: list[tuple[SignalAhead, ...]]) -> bool:
    """Whether all give the same times for the same lights, or nearly so."""
    by_group: dict[int, list[SignalAhead]] = {}
    for view in shown:
        for signal in view:
            by_group.setdefault(signal.signal_group, []).append(signal)
    return all(_near(group[0], other) for group in by_group.values() for other in group[1:])


def _near(one: SignalAhead, other: SignalAhead) -> bool:
    return all(
        (a is None and b is None) or (a is not None and b is not None and abs(a - b) <= MAX_TIMES_APART_S)
        for a, b in (
            (one.earliest_change_s, other.earliest_change_s),
            (one.latest_change_s, other.latest_change_s),
            (one.time_to_green_s, other.time_to_green_s),
        )
    )


def _lights(state: IntersectionState, heard: MonotonicNs) -> _Lights:
    return _Lights(
        revision=state.revision,
        status=state.status,
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


def _signal_ahead(
    intersection: IntersectionId, place: OnLane, movement: MovementState, status: IntersectionStatus, utc: UtcNs
) -> SignalAhead:
    event = movement.events[0]
    return SignalAhead(
        intersection=intersection,
        lane=place.lane.number,
        signal_group=movement.signal_group,
        phase=event.phase,
        time_to_change_s=_end_s(event, utc),
        earliest_change_s=_remaining_s(event.min_end_time_s, utc),
        latest_change_s=_remaining_s(event.max_end_time_s, utc),
        time_to_green_s=_time_to_green_s(movement.events, utc),
        distance_to_stop_m=place.to_stop_m,
        turns=place.lane.turns[movement.signal_group],
        speed_limit_mps=place.limit_mps,
        phases=tuple(_phase_ahead(one, utc, is_present=index == 0) for index, one in enumerate(movement.events)),
        is_dependable=not status & _UNDEPENDABLE,
    )


def _phase_ahead(event: MovementEvent, utc: UtcNs, *, is_present: bool) -> PhaseAhead:
    return PhaseAhead(
        phase=event.phase,
        starts_in_s=None if is_present else _remaining_s(event.start_time_s, utc),
        earliest_end_s=_remaining_s(event.min_end_time_s, utc),
        likely_end_s=_remaining_s(event.likely_time_s, utc),
        latest_end_s=_remaining_s(event.max_end_time_s, utc),
        confidence=event.confidence,
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
