"""What the driver is told of the events ahead: each once, then only when it changed, ended or was passed.

`ReceivedEvents` says which events there are, `relevance` which of them matter to the vehicle; `Hazards` remembers what was told.
Where two tickets speak of one event (`is_same_event`), as while a roadside unit renews its ticket, the driver hears of one. Where
two events of one kind stand at one place, as when several cars report one obstacle or one car goes on under another name, the
driver is told once, and of the end when the last is over; both stay in `ahead`, which counts who reports.

Left out: approaching emergency vehicles (cause 95), which are no places; `vehicle_agent.emergency_vehicles` tells of them, once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import ActionId
from shared.facilities.received_events import EventKey, ReceivedEvent, ReceivedEvents, is_same_event
from shared.facilities.relevance import is_moving, relevance
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm
from shared.stack.indication import Verified
from shared.stack.station import EgoPosition

MOVED_M = 20.0
"""An event that stands and was moved further than this is told again."""

LEAVE_NS = 3 * NS_PER_S
"""How long an announced event has to be irrelevant before it counts as passed."""


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
        time_to_reach_s: at the present speeds; None when standing, or when the distance does not shrink.
        is_disputed: somebody else says the event is not there.
        speed_limit_mps: limit at roadworks, or None.
        lane_position: the lane it is on, `LanePosition` -1..14 (1 the outermost), or None.
    """

    action_id: ActionId
    cause_code: int
    sub_cause_code: int
    distance_m: float
    time_to_reach_s: float | None
    is_disputed: bool
    speed_limit_mps: float | None
    lane_position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardNotice:
    """One thing to tell the driver, told once; `hazard` is the last known state for an event that ended or was passed."""

    change: HazardChange
    hazard: HazardAhead


@dataclass(slots=True, kw_only=True)
class _Told:
    """One event the driver was told of: as it last was, where it was then said to be, and when it last mattered."""

    hazard: HazardAhead
    position: GeoPoint
    last_relevant: MonotonicNs


class Hazards:
    """The events ahead.

    Args:
        events: what was heard; it knows which tickets are ours, so what we said ourselves is never told to our own driver.
    """

    def __init__(self, events: ReceivedEvents | None = None) -> None:
        self._events = ReceivedEvents() if events is None else events
        self._told: dict[EventKey, _Told] = {}

    def __len__(self) -> int:
        """How many events are remembered, ended ones included."""
        return len(self._events)

    @property
    def events(self) -> ReceivedEvents:
        """Every event heard of, relevant or not."""
        return self._events

    @property
    def counters(self) -> Mapping[str, int]:
        """What became of the DENMs heard."""
        return self._events.counters

    def hear(self, indication: Verified[Denm], now: Instant) -> None:
        """Take in one verified DENM; raises as `ReceivedEvents.hear`."""
        self._events.hear(indication, now)

    def ahead(self, now: Instant, ego: EgoPosition) -> tuple[HazardAhead, ...]:
        """Return every live event that matters to the vehicle, each once, the nearest first."""
        self._events.expire(now.monotonic)
        found: list[tuple[ReceivedEvent, HazardAhead]] = []
        for event in sorted(self._events, key=lambda event: -event.denm.reference_time):
            hazard = _ahead(event, ego)
            if hazard is not None and not any(is_same_event(event, other) for other, _ in found):
                found.append((event, hazard))
        return tuple(sorted((hazard for _, hazard in found), key=lambda hazard: hazard.distance_m))

    def poll(self, now: Instant, ego: EgoPosition) -> tuple[HazardNotice, ...]:
        """Return what is new for the driver: each event once, then only when it changed, ended or was passed; the nearest first."""
        self._events.expire(now.monotonic)
        notices = [notice for event in tuple(self._events) for notice in self._look(event, _ahead(event, ego), now.monotonic)]
        notices += self._ended()
        return tuple(sorted(notices, key=lambda notice: notice.hazard.distance_m))

    def next_expiry(self) -> MonotonicNs | None:
        """Return when the next event runs out; None when there is none."""
        return self._events.next_expiry()

    def _look(self, event: ReceivedEvent, hazard: HazardAhead | None, now: MonotonicNs) -> Iterable[HazardNotice]:
        told = self._told.get(event.key)
        if hazard is None or event.position is None:
            if told is not None and now - told.last_relevant > LEAVE_NS:
                del self._told[event.key]
                if not self._is_told_otherwise(event):
                    yield HazardNotice(change=HazardChange.PASSED, hazard=told.hazard)
            return
        change = self._change(event, hazard, told)
        if change is not None:
            yield HazardNotice(change=change, hazard=hazard)
        if told is None or change is not None:
            self._told[event.key] = _Told(hazard=hazard, position=event.position, last_relevant=now)
        else:
            told.hazard, told.last_relevant = hazard, now

    def _ended(self) -> Iterable[HazardNotice]:
        for key in [key for key in self._told if self._events.get(key) is None]:
            told = self._told.pop(key)
            others = ((other, self._events.get(other)) for other in self._told)
            if not any(
                other is not None
                and (number == key[0] or not is_moving(other.denm))
                and other.denm.cause_code == told.hazard.cause_code
                and other.position is not None
                and distance_m(other.position, told.position) <= MOVED_M
                for (number, _), other in others
            ):
                yield HazardNotice(change=HazardChange.ENDED, hazard=told.hazard)

    def _change(self, event: ReceivedEvent, hazard: HazardAhead, told: _Told | None) -> HazardChange | None:
        if told is None:
            return None if self._is_told_otherwise(event) else HazardChange.AHEAD
        has_moved = event.position is not None and not is_moving(event.denm) and distance_m(told.position, event.position) > MOVED_M
        return HazardChange.CHANGED if has_moved or _says(hazard) != _says(told.hazard) else None

    def _is_told_otherwise(self, event: ReceivedEvent) -> bool:
        """Whether the driver knows of the event by somebody else's word, or of another of its kind at its place.

        One that has run out just now still counts: its end is told after what is new, and only where nothing took its place.
        """
        for key, told in self._told.items():
            other = self._events.get(key)
            if key == event.key:
                continue
            if other is not None and is_same_event(event, other):
                return True
            if (other is None or not is_moving(other.denm)) and _is_at_its_place(event, told):
                return True
        return False


def _is_at_its_place(event: ReceivedEvent, told: _Told) -> bool:
    """Tell whether an event stands where a driver would take it for the one of its kind that was told."""
    return (
        (event.denm.cause_code, event.denm.sub_cause_code) == (told.hazard.cause_code, told.hazard.sub_cause_code)
        and event.position is not None
        and not is_moving(event.denm)
        and distance_m(event.position, told.position) <= MOVED_M
    )


def _says(hazard: HazardAhead) -> tuple[object, ...]:
    return hazard.cause_code, hazard.sub_cause_code, hazard.is_disputed, hazard.speed_limit_mps


def _ahead(event: ReceivedEvent, ego: EgoPosition) -> HazardAhead | None:
    denm = event.denm
    if event.position is None or denm.cause_code == CauseCode.EMERGENCY_VEHICLE_APPROACHING:
        return None
    ahead = relevance(denm, event.position, event.area, ego)
    if ahead is None:
        return None
    works = None if denm.alacarte is None else denm.alacarte.road_works
    return HazardAhead(
        action_id=denm.action_id,
        cause_code=denm.cause_code or 0,
        sub_cause_code=denm.sub_cause_code,
        distance_m=ahead.distance_m,
        time_to_reach_s=ahead.time_to_reach_s,
        is_disputed=event.is_disputed,
        speed_limit_mps=None if works is None else works.speed_limit_mps,
        lane_position=None if denm.alacarte is None else denm.alacarte.lane_position,
    )
