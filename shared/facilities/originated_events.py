"""The events this station tells of: the originator's side of the DEN basic service (EN 302 637-3 V1.3.1 clauses 6.1 and 8.2.1).

    trigger    a new action id; said at once, then repeated
    update     the same action id with a later reference time
    cancel     the management container alone, repeated for a while so that it arrives over loss; then nothing is said any more
    negate     an event of somebody else is not there; said with their action id and our station id
    (validity) T_O_Validity runs out: the event ends by itself, and nothing is said

`poll` returns what is due. What happened while UTC was unknown is dated by how long ago it was, once UTC is known; nothing is said
before. A sequence number is free again only when the event that had it would have run out. Under a new name
(`assume`) live events go on under new action ids; what was being cancelled or negated is let go, for only the old name could.

`snapshot` and `OriginatedEvents.restored` carry events over a restart. What was numbered after the last snapshot is unknown then:
so many numbers are passed over that none of them is used twice.

Left out: signing and sending, who hears of an event first, and files.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.errors import EncodeError, UntrustedTimeError
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts, timestamp_its
from shared.facilities.event_report import Announcement, EventReport, EventsFullError, LiveEvent, NoSuchEventError
from shared.facilities.own_event import OwnEvent
from shared.facilities.saved_events import RestoredEvent, SavedEvent, SavedEvents, read_saved, save_event
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.security.freshness import trusted_time64
from shared.stack.indication import Verified

__all__ = ["Announcement", "EventReport", "EventsFullError", "LiveEvent", "NoSuchEventError", "OriginatedEvents"]

DEFAULT_CAPACITY = 64
"""Most live events of one station."""

MAX_ENDED = 256
"""Most cancelled events whose number is kept from use; beyond it the one that ended longest ago is let go."""

MAX_NEGATIONS = 64
"""Most events of others that are negated at one time; beyond it the one negated longest ago is let go."""

NEGATION_RADIUS_M = 500.0
"""A negation of an event that came by a single hop is told this far around it."""

RESTART_GAP = 256
"""Sequence numbers passed over after a restart."""

RETRY_NS = NS_PER_S
"""How often it is counted that UTC is not known."""

_NUMBERS = 1 << 16


class OriginatedEvents:
    """The events of one station.

    Args:
        station_id: originator of the action ids.
        station_type: said in every DENM.
        first_sequence_number: of the first action id, 0..65535; a vehicle draws it, or it would link two pseudonyms.
        capacity: most live events, at least 1.
    """

    def __init__(
        self,
        station_id: StationId,
        station_type: StationType,
        first_sequence_number: int,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        if capacity < 1:
            raise ValueError("a station tells of at least one event")
        self._station_id = station_id
        self._station_type = station_type
        self._next = _number(first_sequence_number)
        self._capacity = capacity
        self._events: dict[int, OwnEvent] = {}
        self._negations: dict[ActionId, OwnEvent] = {}
        self._undated: dict[int, RestoredEvent] = {}
        self._retry: MonotonicNs | None = None
        self._revision = 0
        self._counters: Counter[str] = Counter()

    @classmethod
    def restored(
        cls,
        saved: SavedEvents,
        station_type: StationType,
        now: Instant,
        capacity: int = DEFAULT_CAPACITY,
    ) -> "OriginatedEvents":
        """Go on with what was kept; UTC need not be known yet.

        Every event that has not run out is said at once, as it was last said: a live one, because nobody knows whether its last
        version left in time; a cancelled one for as long as if it had just been cancelled.

        Args:
            saved: what `snapshot` returned.
            station_type: said in every DENM.
            now: the present.
            capacity: most live events; those kept stay, however many.

        Raises:
            DecodeError: it is not what we write.
        """
        kept = read_saved(saved)
        events = cls(StationId(saved.station_id), station_type, (saved.next_sequence_number + RESTART_GAP) % _NUMBERS, capacity)
        for each in kept:
            number = each.denm.action_id.sequence_number
            events._events[number], events._undated[number] = OwnEvent.restored(each, now.monotonic), each
        events._date(now)
        events._expire(now.monotonic)
        return events

    @property
    def station_id(self) -> StationId:
        """The originator of new action ids."""
        return self._station_id

    @property
    def live(self) -> tuple[LiveEvent, ...]:
        """The events that last, oldest first; as of the last call with a time."""
        return tuple(
            LiveEvent(action_id=event.action_id, report=event.report, expires=event.expires, denm=event.said)
            for event in self._events.values()
            if event.report is not None
        )

    @property
    def revision(self) -> int:
        """Grows with every change of what `snapshot` returns: keep a new one when it has grown."""
        return self._revision

    @property
    def counters(self) -> Mapping[str, int]:
        """Events triggered, updated, cancelled, negated, expired, never_said, let_go, refused_full; untrusted_time, unsayable."""
        return dict(self._counters)

    def trigger(self, report: EventReport, now: Instant) -> ActionId:
        """Tell of a new event, detected now; the next `poll` says it. Raises `EventsFullError`."""
        self._expire(now.monotonic)
        if sum(event.report is not None for event in self._events.values()) >= self._capacity:
            self._count("refused_full")
            raise EventsFullError(self._capacity)
        action_id = self._take_number()
        self._events[action_id.sequence_number] = OwnEvent.reported(report, action_id, now.monotonic)
        self._retry = None
        self._count("triggered")
        return action_id

    def update(self, action_id: ActionId, report: EventReport, now: Instant) -> None:
        """Tell how an event is now; its validity and repetition begin anew. Raises `NoSuchEventError`."""
        event = self._find(action_id, now.monotonic)
        if event is None:
            raise NoSuchEventError(action_id)
        self._undated.pop(action_id.sequence_number, None)
        event.change(report, now.monotonic)
        self._retry = None
        self._count("updated")

    def cancel(self, action_id: ActionId, now: Instant) -> None:
        """End an event; one that has ended already is no matter, and one that was never said ends unsaid."""
        event = self._find(action_id, now.monotonic)
        if event is None:
            return
        if event.said is None:
            del self._events[action_id.sequence_number]
            self._count("never_said")
            return
        event.end(Termination.IS_CANCELLATION, now.monotonic)
        self._let_go_of_ended()
        self._retry = None
        self._count("cancelled")

    def silence(self, action_id: ActionId) -> None:
        """Say nothing more of an event that is not to be cancelled: it runs out by itself."""
        event = self._events.get(action_id.sequence_number)
        if event is not None and event.action_id == action_id:
            event.due = None

    def negate(self, received: Verified[Denm], now: Instant) -> None:
        """Say that an event of somebody else is not there; one that is being negated, or has run out, is no matter.

        Raises:
            EncodeError: it is our own event, it has no place, or it is one that has ended.
            UntrustedTimeError: UTC is not known, so nothing says how long it would last.
        """
        denm = received.message
        if denm.action_id.originating_station_id == self._station_id:
            raise EncodeError("action_id", "an own event is cancelled, not negated")
        if denm.termination is not None or denm.lat_deg is None or denm.lon_deg is None:
            raise EncodeError("termination", "only an event that lasts and has a place can be negated")
        remaining_ms = denm.detection_time + denm.validity_duration_s * 1_000 - timestamp_its(trusted_time64(now))
        before = self._negations.get(denm.action_id)
        if remaining_ms <= 0 or (before and before.said and before.said.reference_time >= denm.reference_time):
            return
        self._negations.pop(denm.action_id, None)
        if len(self._negations) >= MAX_NEGATIONS:
            del self._negations[next(iter(self._negations))]
            self._count("let_go")
        area = received.area or Circle(centre=GeoPoint(denm.lat_deg, denm.lon_deg), radius_m=NEGATION_RADIUS_M)
        expires = MonotonicNs(now.monotonic + remaining_ms * NS_PER_MS)
        negation = OwnEvent.denied(denm, area, now=now.monotonic, expires=expires)
        self._negations[denm.action_id] = negation
        self._retry = None
        self._count("negated")

    def is_live(self, action_id: ActionId, now: Instant) -> bool:
        """Tell whether an event can be updated."""
        return self._find(action_id, now.monotonic) is not None

    def assume(self, station_id: StationId, first_sequence_number: int, now: Instant) -> Mapping[ActionId, ActionId]:
        """Go on under a new name: what is live is told anew, dated now, for as long as it was valid.

        Args:
            station_id: originator from now on.
            first_sequence_number: of its first action id, 0..65535.
            now: the present.

        Returns:
            Which action id each live event had, and which it has now.
        """
        self._date(now)
        self._expire(now.monotonic)
        before = self._events
        self._station_id, self._next, self._events = station_id, _number(first_sequence_number), {}
        self._undated.clear()
        renamed: dict[ActionId, ActionId] = {}
        gone = len(self._negations)
        self._negations.clear()
        for event in before.values():
            if event.report is None:
                gone += event.due is not None
                continue
            action_id = renamed[event.action_id] = self._take_number()
            remaining_s = -(-(event.expires - now.monotonic) // NS_PER_S)
            anew = OwnEvent.reported(replace(event.report, validity_s=remaining_s), action_id, now.monotonic)
            anew.expires, anew.repeat_until = event.expires, event.repeat_until
            self._events[action_id.sequence_number] = anew
        self._counters["let_go"] += gone
        self._retry = None
        self._revision += 1
        return renamed

    def holds(self) -> tuple[tuple[str, MonotonicNs], ...]:
        """Return what needs the present name and until when: live events, and cancellations still being repeated."""
        return tuple(
            (f"denm:{number}", event.expires if event.report is not None else event.repeat_until)
            for number, event in self._events.items()
            if event.report is not None or event.due is not None
        )

    def poll(self, now: Instant) -> tuple[Announcement, ...]:
        """Return what is due at `now`, each once; nothing while UTC is not known, which is counted once a second."""
        self._date(now)
        self._expire(now.monotonic)
        due = sorted(
            (event.due, index, event)
            for index, event in enumerate(self._all())
            if event.due is not None and event.due <= now.monotonic
        )
        if not due:
            return ()
        try:
            trusted_time64(now)
        except UntrustedTimeError:
            if self._retry is None or self._retry <= now.monotonic:
                self._counters["untrusted_time"] += 1
                self._retry = MonotonicNs(now.monotonic + RETRY_NS)
            return ()
        self._retry = None
        return tuple(self._say(event, now) for _, _, event in due)

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to say; None when never."""
        due = min((event.due for event in self._all() if event.due is not None), default=None)
        if due is None or self._retry is None:
            return due
        return max(due, self._retry)

    def snapshot(self) -> SavedEvents:
        """Return what a restart needs: everything said that has not run out, and the next number."""
        return SavedEvents(
            station_id=self._station_id,
            next_sequence_number=self._next,
            events=tuple(saved for event in self._events.values() if (saved := self._saved(event)) is not None),
        )

    def _saved(self, event: OwnEvent) -> SavedEvent | None:
        if event.said is None:
            return None
        try:
            return save_event(
                name=event.name,
                is_ended=event.report is None,
                denm=event.said,
                area=event.area,
                interval_ms=None if event.interval_ns is None else event.interval_ns // NS_PER_MS,
                repeat_until=self._repeat_until(event, event.said),
            )
        except EncodeError:  # whoever sends it is told why; nobody has heard of it
            self._counters["unsayable"] += 1
            return None

    def _all(self) -> Iterable[OwnEvent]:
        yield from self._events.values()
        yield from self._negations.values()

    def _say(self, event: OwnEvent, now: Instant) -> Announcement:
        was_current = event.is_current
        denm = event.say(self._station_id, self._station_type, now)
        self._revision += not was_current
        return Announcement(denm=denm, area=event.area, action_id=event.action_id)

    def _find(self, action_id: ActionId, now: MonotonicNs) -> OwnEvent | None:
        self._expire(now)
        event = self._events.get(action_id.sequence_number)
        if event is None or event.action_id != action_id or event.report is None:
            return None
        return event

    def _take_number(self) -> ActionId:
        while self._next in self._events:
            self._next = (self._next + 1) % _NUMBERS
        number, self._next = self._next, (self._next + 1) % _NUMBERS
        return ActionId(self._station_id, number)

    def _let_go_of_ended(self) -> None:
        ended = [number for number, event in self._events.items() if event.report is None]
        if len(ended) > MAX_ENDED:
            oldest = min(ended, key=lambda number: self._events[number].since)
            del self._events[oldest]
            self._undated.pop(oldest, None)
            self._count("let_go")

    def _expire(self, now: MonotonicNs) -> None:
        for number in [number for number, event in self._events.items() if event.expires <= now]:
            event = self._events.pop(number)
            self._undated.pop(number, None)
            self._revision += 1
            if event.report is not None:
                self._count("expired" if event.said is not None else "never_said")
        for action_id in [action_id for action_id, negation in self._negations.items() if negation.expires <= now]:
            del self._negations[action_id]

    def _count(self, what: str) -> None:
        self._counters[what] += 1
        self._revision += 1

    def _date(self, now: Instant) -> None:
        """Once UTC is known, put what a restart brought back in its place on the clock that never jumps."""
        if not self._undated:
            return
        try:
            its = timestamp_its(trusted_time64(now))
        except UntrustedTimeError:
            return
        for number, kept in self._undated.items():
            event = self._events[number]
            left_ns = min(kept.expires - its, kept.denm.validity_duration_s * 1_000) * NS_PER_MS
            event.expires = MonotonicNs(now.monotonic + left_ns)
            if event.report is not None:
                event.since = MonotonicNs(event.expires - kept.denm.validity_duration_s * NS_PER_S)
                event.repeat_until = MonotonicNs(min(event.expires, now.monotonic + (kept.repeat_until - its) * NS_PER_MS))
            else:
                event.repeat_until = min(event.repeat_until, event.expires)
        self._undated.clear()

    def _repeat_until(self, event: OwnEvent, said: Denm) -> TimestampIts:
        kept = self._undated.get(event.action_id.sequence_number)
        if kept is not None:
            return kept.repeat_until
        if not event.is_current:
            return TimestampIts(said.detection_time + said.validity_duration_s * 1_000)
        return TimestampIts(said.detection_time + max(0, (event.repeat_until - event.since) // NS_PER_MS))


def _number(number: int) -> int:
    if not 0 <= number < _NUMBERS:
        raise EncodeError("action_id.sequence_number", f"{number} is not within 0 to {_NUMBERS - 1}")
    return number
