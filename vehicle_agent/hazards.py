"""Hazards ahead of this vehicle, from verified DENMs (EN 302 637-3 V1.3.1).

`Hazards` keeps the live events. An event belongs to the ticket that announced it: only that ticket updates or cancels it, and an
update or cancellation counts only with a later reference time. Two tickets that use one action id make two events, so nobody can
take an event over, nor occupy its number beforehand. Anybody else may negate an event, but one stranger does not silence a warning:
it is kept as disputed until `NEGATIONS_NEEDED` different tickets have negated it. An ended event is remembered until it would have
run out, so that a late repetition does not revive it.

Relevance, for events with traces: the vehicle is on one of them, moving towards the event. Without: the event lies within a cone
ahead, within the relevance distance (or, where none is stated, the vehicle is in the area it was broadcast to), and its direction
of traffic fits. What was passed, or is on another carriageway, is not ahead.

Left out: map matching, events that move, closed lanes.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from math import cos, hypot, radians, sin

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint, heading_difference_deg, offset_m
from shared.core.ids import ActionId, HashedId8
from shared.core.itstime import Time64, TimestampIts, utc_of
from shared.core.report import VerificationReport
from shared.messages.cdd import PathPoint
from shared.messages.denm import Denm, RelevanceDistance, RelevanceTrafficDirection, Termination
from shared.network.area import Area
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition

MAX_HAZARDS = 256
"""Most events remembered; beyond it the one heard longest ago gives way."""

MAX_HAZARDS_PER_TICKET = 32
"""Most events remembered from one ticket; beyond it that ticket's oldest gives way, never another's."""

MAX_VALIDITY_NS = 86_400 * NS_PER_S
"""`ValidityDuration`: no event lives longer without being heard again."""

MAX_FUTURE_NS = 60 * NS_PER_S
"""A detection or reference time further ahead of our clock is refused."""

NEGATIONS_NEEDED = 2
"""How many different tickets have to negate an event before it is dropped."""

AHEAD_CONE_DEG = 30.0
"""An event further than this to the side of our heading is not ahead."""

SAME_DIRECTION_DEG = 60.0
"""Headings nearer than this are of one direction of traffic."""

TRACE_HALF_WIDTH_M = 15.0
"""How far beside a trace a vehicle still is on it."""

DEFAULT_RELEVANCE_M = 1_000.0
"""Relevance distance of an event that states none."""

MOVED_M = 20.0
"""An event that moved further than this is told again."""

MIN_REACH_SPEED_MPS = 1.0
"""Below this speed no time to reach is given."""

LEAVE_NS = 3 * NS_PER_S
"""How long an announced event has to be irrelevant before it counts as passed."""

_RELEVANCE_M = {
    RelevanceDistance.LESS_THAN_50M: 50.0,
    RelevanceDistance.LESS_THAN_100M: 100.0,
    RelevanceDistance.LESS_THAN_200M: 200.0,
    RelevanceDistance.LESS_THAN_500M: 500.0,
    RelevanceDistance.LESS_THAN_1000M: 1_000.0,
    RelevanceDistance.LESS_THAN_5KM: 5_000.0,
    RelevanceDistance.LESS_THAN_10KM: 10_000.0,
    RelevanceDistance.OVER_10KM: 20_000.0,
}


class HazardChange(Enum):
    """Why the driver is told."""

    AHEAD = "ahead"
    """It became relevant."""
    CHANGED = "changed"
    """Something the driver acts on changed."""
    ENDED = "ended"
    """It was cancelled, negated or ran out."""
    PASSED = "passed"
    """It is no longer ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardAhead:
    """One event that matters to this vehicle.

    Attributes:
        action_id: which event.
        cause_code: TS 102 894-2 cause, 3 for roadworks.
        sub_cause_code: finer cause, 0 where unknown.
        distance_m: to the event: along its trace where the vehicle is on one, otherwise straight.
        time_to_reach_s: at the present speed; None at standstill.
        is_disputed: somebody else says the event is not there.
        speed_limit_mps: limit at roadworks, or None.
    """

    action_id: ActionId
    cause_code: int
    sub_cause_code: int
    distance_m: float
    time_to_reach_s: float | None
    is_disputed: bool
    speed_limit_mps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardNotice:
    """One thing to tell the driver, told once; `hazard` is the last known state for an event that ended or was passed."""

    change: HazardChange
    hazard: HazardAhead


@dataclass(slots=True)
class _Event:
    """What is known of one event, and what the driver was told of it."""

    denm: Denm
    position: GeoPoint
    area: Area | None
    expires: MonotonicNs
    ended: bool = False
    negated_by: frozenset[HashedId8] = frozenset()
    told: HazardAhead | None = None
    told_position: GeoPoint | None = None
    last_relevant: MonotonicNs | None = None


_Key = tuple[ActionId, HashedId8]


class Hazards:
    """The live events.

    Args:
        capacity: most events remembered.
        per_ticket: most events remembered from one ticket.
    """

    def __init__(self, capacity: int = MAX_HAZARDS, per_ticket: int = MAX_HAZARDS_PER_TICKET) -> None:
        if not 1 <= per_ticket <= capacity:
            raise ValueError("one ticket holds at least one event and at most all of them")
        self._capacity = capacity
        self._per_ticket = per_ticket
        self._events: OrderedDict[_Key, _Event] = OrderedDict()
        self._ended_notices: list[HazardNotice] = []

    def __len__(self) -> int:
        """How many events are remembered, ended ones included."""
        return len(self._events)

    def hear(self, indication: Verified[Denm], now: Instant) -> None:
        """Take in one verified DENM: a new event, an update, a repetition, a cancellation or a negation.

        Raises:
            VerificationError: the sender has no right to change this event, or its times are impossible; the event stays as it was.
            UntrustedTimeError: UTC is not known, so validity cannot be judged.
        """
        self._expire(now)
        denm, ticket = indication.message, indication.signer.hashed_id8
        expires = _expiry(denm, now)
        match denm.termination:
            case None:
                self._announced(denm, ticket, indication.area, expires)
            case Termination.IS_CANCELLATION:
                self._cancelled(denm, ticket)
            case Termination.IS_NEGATION:
                self._negated(denm, ticket)

    def ahead(self, now: Instant, ego: EgoPosition) -> tuple[HazardAhead, ...]:
        """Return every live event that matters to the vehicle, the nearest first."""
        self._expire(now)
        found = [self._relevant(event, ego) for event in self._events.values() if not event.ended]
        return tuple(sorted((f for f in found if f is not None), key=lambda hazard: hazard.distance_m))

    def poll(self, now: Instant, ego: EgoPosition) -> tuple[HazardNotice, ...]:
        """Return what is new for the driver: each event once, then only when it changed, ended or was passed; the nearest first."""
        self._expire(now)
        notices = self._ended_notices
        self._ended_notices = []
        for event in self._events.values():
            if event.ended:
                continue
            hazard = self._relevant(event, ego)
            if hazard is None:
                left = event.last_relevant is None or now.monotonic - event.last_relevant > LEAVE_NS
                if event.told is not None and left:
                    notices.append(HazardNotice(change=HazardChange.PASSED, hazard=event.told))
                    event.told = event.told_position = None
                continue
            event.last_relevant = now.monotonic
            change = _change(event, hazard)
            if change is not None:
                notices.append(HazardNotice(change=change, hazard=hazard))
                event.told, event.told_position = hazard, event.position
        return tuple(sorted(notices, key=lambda notice: notice.hazard.distance_m))

    def next_expiry(self) -> MonotonicNs | None:
        """Return when the next event runs out; None when there is none."""
        return min((event.expires for event in self._events.values()), default=None)

    def _announced(self, denm: Denm, ticket: HashedId8, area: Area | None, expires: MonotonicNs) -> None:
        position = _position(denm)
        if denm.cause_code is None or position is None:
            raise VerificationError(VerificationReport.CONTENT_MISMATCH, "the event has no cause or no position")
        key = (denm.action_id, ticket)
        event = self._events.get(key)
        if event is None:
            self._make_room(ticket)
            self._events[key] = _Event(denm=denm, position=position, area=area, expires=expires)
            return
        if denm.reference_time < event.denm.reference_time:
            return
        if denm.reference_time > event.denm.reference_time:
            event.ended, event.negated_by = False, frozenset()
        event.denm, event.position, event.area, event.expires = denm, position, area, expires
        self._events.move_to_end(key)

    def _cancelled(self, denm: Denm, ticket: HashedId8) -> None:
        event = self._events.get((denm.action_id, ticket))
        if event is None:
            if any(action_id == denm.action_id for action_id, _ in self._events):
                raise VerificationError(VerificationReport.PERMISSION_DENIED, "an event is cancelled only by who announced it")
            return
        if denm.reference_time > event.denm.reference_time:
            event.denm = denm
            self._end(event)

    def _negated(self, denm: Denm, ticket: HashedId8) -> None:
        if (denm.action_id, ticket) in self._events or denm.station_id == denm.action_id.originating_station_id:
            raise VerificationError(VerificationReport.CONTENT_MISMATCH, "an event's own originator cancels it, others negate it")
        for (action_id, _), event in self._events.items():
            if action_id != denm.action_id or event.ended or denm.reference_time < event.denm.reference_time:
                continue
            event.negated_by |= {ticket}
            if len(event.negated_by) >= NEGATIONS_NEEDED:
                self._end(event)

    def _end(self, event: _Event) -> None:
        event.ended = True
        if event.told is not None:
            self._ended_notices.append(HazardNotice(change=HazardChange.ENDED, hazard=event.told))
            event.told = event.told_position = None

    def _make_room(self, ticket: HashedId8) -> None:
        own = [key for key in self._events if key[1] == ticket]
        if len(own) >= self._per_ticket:
            self._drop(own[0])
        elif len(self._events) >= self._capacity:
            self._drop(next(iter(self._events)))

    def _drop(self, key: _Key) -> None:
        self._end(self._events.pop(key))

    def _expire(self, now: Instant) -> None:
        for key in [key for key, event in self._events.items() if event.expires <= now.monotonic]:
            self._drop(key)

    def _relevant(self, event: _Event, ego: EgoPosition) -> HazardAhead | None:
        distance_m = _distance_ahead_m(event.denm, event.position, event.area, ego)
        if distance_m is None:
            return None
        denm = event.denm
        speed_mps = ego.speed_mps or 0.0
        works = None if denm.alacarte is None else denm.alacarte.road_works
        return HazardAhead(
            action_id=denm.action_id,
            cause_code=denm.cause_code or 0,
            sub_cause_code=denm.sub_cause_code,
            distance_m=distance_m,
            time_to_reach_s=distance_m / speed_mps if speed_mps >= MIN_REACH_SPEED_MPS else None,
            is_disputed=bool(event.negated_by),
            speed_limit_mps=None if works is None else works.speed_limit_mps,
        )


def _expiry(denm: Denm, now: Instant) -> MonotonicNs:
    """Return when the event runs out (EN 302 637-3: detection time + validity) on the clock that never jumps."""
    utc = now.require_utc()
    for name, time in (("detection", denm.detection_time), ("reference", denm.reference_time)):
        if _utc_ns(time) > utc + MAX_FUTURE_NS:
            raise VerificationError(VerificationReport.INVALID_TIMESTAMP, f"the event's {name} time lies in the future")
    remaining = _utc_ns(denm.detection_time) + denm.validity_duration_s * NS_PER_S - utc
    if remaining <= 0:
        raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "the event has run out already")
    return MonotonicNs(now.monotonic + min(remaining, MAX_VALIDITY_NS))


def _utc_ns(time: TimestampIts) -> int:
    return utc_of(Time64(time * 1_000))


def _position(denm: Denm) -> GeoPoint | None:
    return None if denm.lat_deg is None or denm.lon_deg is None else GeoPoint(denm.lat_deg, denm.lon_deg)


def _change(event: _Event, hazard: HazardAhead) -> HazardChange | None:
    told = event.told
    if told is None:
        return HazardChange.AHEAD
    moved = event.told_position is not None and hypot(*offset_m(event.told_position, event.position)) > MOVED_M
    says = (hazard.cause_code, hazard.sub_cause_code, hazard.is_disputed, hazard.speed_limit_mps)
    said = (told.cause_code, told.sub_cause_code, told.is_disputed, told.speed_limit_mps)
    return HazardChange.CHANGED if moved or says != said else None


def _distance_ahead_m(denm: Denm, position: GeoPoint, area: Area | None, ego: EgoPosition) -> float | None:
    """Return how far ahead the event is, or None if it does not matter to the vehicle."""
    east_m, north_m = offset_m(ego.point, position)
    distance_m = hypot(east_m, north_m)
    reach_m = DEFAULT_RELEVANCE_M if denm.relevance_distance is None else _RELEVANCE_M[denm.relevance_distance]
    heading_deg = ego.heading_deg
    if heading_deg is None or distance_m > reach_m or not _direction_fits(denm, heading_deg):
        return None
    if denm.relevance_distance is None and area is not None and not area.contains(ego.point):
        return None
    traces = [line for line in (_trace_line(position, trace, ego) for trace in denm.traces or ()) if len(line) > 1]
    if traces:
        on_trace = [d for d in (_along_trace_m(line, heading_deg) for line in traces) if d is not None]
        if on_trace:
            return min(on_trace)
        longest_m = max(sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(line)) for line in traces)
        if distance_m <= longest_m:
            return None
    heading = radians(heading_deg)
    ahead_m = east_m * sin(heading) + north_m * cos(heading)
    return distance_m if ahead_m >= distance_m * cos(radians(AHEAD_CONE_DEG)) else None


def _direction_fits(denm: Denm, heading_deg: float) -> bool:
    """`RelevanceTrafficDirection` against the heading of the event, where both are stated."""
    direction = denm.relevance_traffic_direction
    if direction is RelevanceTrafficDirection.DOWNSTREAM_TRAFFIC:
        return False
    if denm.event_heading_deg is None or direction is RelevanceTrafficDirection.ALL_TRAFFIC_DIRECTIONS:
        return True
    apart_deg = heading_difference_deg(denm.event_heading_deg, heading_deg)
    if direction is RelevanceTrafficDirection.OPPOSITE_TRAFFIC:
        return apart_deg >= 180.0 - SAME_DIRECTION_DEG
    return apart_deg <= SAME_DIRECTION_DEG


def _trace_line(position: GeoPoint, trace: Iterable[PathPoint], ego: EgoPosition) -> tuple[tuple[float, float], ...]:
    """Return the trace in metres east and north of the vehicle, from the event backwards, up to the first unknown point."""
    points = [offset_m(ego.point, position)]
    lat_deg, lon_deg = position.lat_deg, position.lon_deg
    for step in trace:
        if step.delta_lat_deg is None or step.delta_lon_deg is None:
            break
        lat_deg += step.delta_lat_deg
        lon_deg = (lon_deg + step.delta_lon_deg + 180.0) % 360.0 - 180.0
        if not -90.0 <= lat_deg <= 90.0:
            break
        points.append(offset_m(ego.point, GeoPoint(lat_deg, lon_deg)))
    return tuple(points)


def _along_trace_m(line: tuple[tuple[float, float], ...], heading_deg: float) -> float | None:
    """Return the way left along a trace to the event, for a vehicle at (0, 0) that is on it and moves towards the event."""
    heading = radians(heading_deg)
    from_event_m = 0.0
    best: tuple[float, float] | None = None
    for (ax, ay), (bx, by) in pairwise(line):
        dx, dy = bx - ax, by - ay
        length_m = hypot(dx, dy)
        if length_m == 0.0:
            continue
        along_m = -(ax * dx + ay * dy) / length_m
        aside_m = abs(ax * dy - ay * dx) / length_m
        towards = -(dx * sin(heading) + dy * cos(heading)) / length_m
        on_segment = 0.0 <= along_m <= length_m and aside_m <= TRACE_HALF_WIDTH_M and towards >= cos(radians(SAME_DIRECTION_DEG))
        if on_segment and (best is None or aside_m < best[0]):
            best = aside_m, from_event_m + along_m
        from_event_m += length_m
    return None if best is None else best[1]
