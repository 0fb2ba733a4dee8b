"""The events others tell of: the receiver's side of the DEN basic service (EN 302 637-3 V1.3.1 clauses 6.2 and 8.4.1).

An event belongs to the ticket that announced it: only that ticket updates or cancels it, and an update or cancellation counts only
with a later reference time. Two tickets that use one action id make two events, so nobody can take an event over, nor occupy its
number beforehand. Anybody else may negate an event, but one stranger does not silence a warning: it is kept as disputed until
`NEGATIONS_NEEDED` different tickets have negated it. Nor do many while its originator goes on signing it: several tickets may be
one car's, and who has announced an event knows of it first. One that does so after its event was negated brings it back, and then
it takes one ticket more. An ended event is remembered until it would have run out, so that neither a late repetition nor a copy
that somebody kept alive revives it; so is a cancellation that overtook what it cancels.

Nothing ties the tickets of one originator together, and an impostor could claim what a successor would. So an event ends at the
latest with its ticket, after which nobody could cancel it. A station that renews its ticket (a roadside unit) does so a minute
before that, and goes on under the same action id: for that minute there are two events, which `is_same_event` tells to be one.

Left out: what matters to this vehicle (`relevance`), and what a driver is told.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US, Instant, MonotonicNs
from shared.core.errors import VerificationError
from shared.core.geo import GeoPoint, distance_m
from shared.core.ids import ActionId, HashedId8
from shared.core.itstime import Time64, TimestampIts, utc_of
from shared.core.report import VerificationReport
from shared.messages.denm import Denm, Termination
from shared.network.area import Area
from shared.stack.indication import Verified

MAX_EVENTS = 256
"""Most events remembered; beyond it the ticket with most of them loses one that has ended, or else the one heard longest ago."""

MAX_EVENTS_PER_TICKET = 32
"""Most events remembered from one ticket; beyond it one of that ticket gives way, never another's."""

MAX_VALIDITY_NS = 86_400 * NS_PER_S
"""`ValidityDuration`: no event lives longer without being heard again."""

MAX_FUTURE_NS = 60 * NS_PER_S
"""A detection or reference time further ahead of our clock is refused."""

NEGATIONS_NEEDED = 2
"""How many different tickets have to negate an event before it is dropped."""

MAX_NEGATIONS = 32
"""Most tickets remembered that negate one event."""

SPEAKING_INTERVALS = 3
"""An originator that has signed its event within so many transmission intervals still stands by it."""

SPEAKING_NS, MAX_SPEAKING_NS = NS_PER_S, 30 * NS_PER_S
"""At least and at most so long; at least also where it states no interval."""

SAME_PLACE_M = 20.0
"""Two places nearer than this may be of one event."""

LONG_AGO = Time64(0)

EventKey = tuple[ActionId, HashedId8]
"""Which event: its number, and the ticket that announced it."""


class News(Enum):
    """What a DENM said that was not known before."""

    NEW = "new"
    UPDATED = "updated"
    REPEATED = "repeated"
    OUTDATED = "outdated"
    """A version older than the known one, or of an event that has ended."""
    CANCELLED = "cancelled"
    DISPUTED = "disputed"
    NEGATED = "negated"
    """By as many as it takes."""
    OURS = "ours"
    """What we said ourselves, brought back by others."""


@dataclass(slots=True, kw_only=True)
class ReceivedEvent:
    """What is known of one event; others only read it.

    Attributes:
        key: which event.
        heard: its last version, or what ended it.
        position: where it is; None for a cancellation that came alone.
        area: where it was to be heard; None for a single hop.
        expires: T_R_Validity.
        has_ended: it was cancelled or negated.
        negated_by: tickets that say it is not there.
        signed: when its originator last signed what it says of it, by its own account.
        negated: when somebody last signed that it is not there.
        revivals: how often its originator has answered for it after it was dropped as negated.
        is_announced: False for a cancellation that came alone.
    """

    key: EventKey
    heard: Verified[Denm]
    position: GeoPoint | None
    area: Area | None
    expires: MonotonicNs
    signed: Time64
    has_ended: bool = False
    negated_by: frozenset[HashedId8] = frozenset()
    negated: Time64 = LONG_AGO
    revivals: int = 0
    is_announced: bool = True

    @property
    def denm(self) -> Denm:
        """What was said of it last."""
        return self.heard.message

    @property
    def is_disputed(self) -> bool:
        """Whether somebody says it is not there."""
        return bool(self.negated_by)

    @property
    def is_outvoted(self) -> bool:
        """Whether as many say it is not there as it takes."""
        return len(self.negated_by) >= NEGATIONS_NEEDED + self.revivals

    def is_spoken_for(self, at: Time64) -> bool:
        """Whether its originator has signed it lately."""
        interval_ns = (self.denm.transmission_interval_ms or 0) * NS_PER_MS
        lately_ns = min(max(SPEAKING_INTERVALS * interval_ns, SPEAKING_NS), MAX_SPEAKING_NS)
        return at - self.signed < lately_ns // NS_PER_US


def _nobody(ticket: HashedId8) -> bool:
    del ticket
    return False


class ReceivedEvents:
    """The events heard of that have not run out.

    Args:
        capacity: most events remembered.
        per_ticket: most events remembered from one ticket.
        is_own: tells whether a ticket is ours; what was said under it before a restart comes back to us as if it were another's.
    """

    def __init__(
        self,
        capacity: int = MAX_EVENTS,
        per_ticket: int = MAX_EVENTS_PER_TICKET,
        *,
        is_own: Callable[[HashedId8], bool] = _nobody,
    ) -> None:
        if not 1 <= per_ticket <= capacity:
            raise ValueError("one ticket holds at least one event and at most all of them")
        self._capacity = capacity
        self._per_ticket = per_ticket
        self._is_own = is_own
        self._events: OrderedDict[EventKey, ReceivedEvent] = OrderedDict()
        self._counters: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many events are remembered, ended ones included."""
        return len(self._events)

    def __iter__(self) -> Iterator[ReceivedEvent]:
        """The live events, the one heard longest ago first."""
        return (event for event in self._events.values() if not event.has_ended)

    @property
    def counters(self) -> Mapping[str, int]:
        """How often each kind of `News` came, and how many events `expired`, were `evicted`, or `denied` by us."""
        return dict(self._counters)

    def get(self, key: EventKey) -> ReceivedEvent | None:
        """Return a live event, or None."""
        event = self._events.get(key)
        return None if event is None or event.has_ended else event

    def remembered_until(self, key: EventKey) -> MonotonicNs | None:
        """Return when an event, live or ended, is forgotten; None for one that is not known."""
        event = self._events.get(key)
        return None if event is None else event.expires

    def is_own(self, ticket: HashedId8) -> bool:
        """Tell whether a ticket is ours."""
        return self._is_own(ticket)

    def hear(self, indication: Verified[Denm], now: Instant) -> News:
        """Take in one verified DENM: a new event, an update, a repetition, a cancellation or a negation.

        Raises:
            VerificationError: the sender has no right to change this event, or its times are impossible; the event stays as it was.
            UntrustedTimeError: UTC is not known, so validity cannot be judged.
        """
        self.expire(now.monotonic)
        denm, ticket = indication.message, indication.signer.hashed_id8
        if self._is_own(ticket):
            news = News.OURS
        else:
            expires = _expiry(denm, indication.signer.certificate.validity.end_time64, now)
            match denm.termination:
                case None:
                    news = self._announced(indication, expires)
                case Termination.IS_CANCELLATION:
                    news = self._cancelled(indication, expires)
                case Termination.IS_NEGATION:
                    news = self._negated(denm, ticket, indication.generation_time)
        self._counters[news.value] += 1
        return news

    def deny(self, action_id: ActionId) -> Verified[Denm] | None:
        """Take note that we know better: an event is not there, whoever says so; it ends for us as if it had been negated.

        Returns:
            Its last version, for `OriginatedEvents.negate`; None where no such event lasts.
        """
        denied = [event for event in self if event.key[0] == action_id]
        for event in denied:
            event.has_ended = True
            self._counters["denied"] += 1
        return max((event.heard for event in denied), key=lambda heard: heard.message.reference_time, default=None)

    def expire(self, now: MonotonicNs) -> None:
        """Forget what has run out."""
        for key in [key for key, event in self._events.items() if event.expires <= now]:
            self._counters["expired"] += not self._events.pop(key).has_ended

    def next_expiry(self) -> MonotonicNs | None:
        """Return when the next event runs out; None when there is none."""
        return min((event.expires for event in self._events.values()), default=None)

    def _announced(self, heard: Verified[Denm], expires: MonotonicNs) -> News:
        denm, ticket, signed = heard.message, heard.signer.hashed_id8, heard.generation_time
        position = _position(denm)
        if denm.cause_code is None or position is None:
            raise VerificationError(VerificationReport.CONTENT_MISMATCH, "the event has no cause or no position")
        key = (denm.action_id, ticket)
        event = self._events.get(key)
        if event is None:
            self._remember(ReceivedEvent(key=key, heard=heard, position=position, area=heard.area, expires=expires, signed=signed))
            return News.NEW
        known = event.denm.reference_time
        if denm.reference_time == known and event.has_ended and event.is_outvoted and signed > event.negated:
            event.has_ended, event.signed = False, signed
            event.revivals += 1
            return News.NEW
        if denm.reference_time < known or (event.has_ended and denm.reference_time == known):
            return News.OUTDATED
        event.signed = max(event.signed, signed)
        self._events.move_to_end(key)
        if denm.reference_time == known:
            return News.REPEATED
        was_over = event.has_ended
        event.has_ended, event.negated_by, event.revivals, event.is_announced = False, frozenset(), 0, True
        event.heard, event.position, event.area, event.expires = heard, position, heard.area, expires
        return News.NEW if was_over else News.UPDATED

    def _cancelled(self, heard: Verified[Denm], expires: MonotonicNs) -> News:
        denm = heard.message
        key = (denm.action_id, heard.signer.hashed_id8)
        event = self._events.get(key)
        if event is None:
            self._remember(
                ReceivedEvent(
                    key=key,
                    heard=heard,
                    position=_position(denm),
                    area=heard.area,
                    expires=expires,
                    signed=heard.generation_time,
                    has_ended=True,
                    is_announced=False,
                )
            )
            self._check_may_cancel(key)
            return News.CANCELLED
        if not event.is_announced:
            self._check_may_cancel(key)
        if denm.reference_time <= event.denm.reference_time:
            return News.REPEATED if event.has_ended else News.OUTDATED
        was_over = event.has_ended
        event.heard, event.has_ended = heard, True
        event.expires = MonotonicNs(max(event.expires, expires))
        return News.REPEATED if was_over else News.CANCELLED

    def _check_may_cancel(self, key: EventKey) -> None:
        """Refuse a cancellation by who has announced nothing, of what somebody else has; its own, yet to come, is over."""
        if any(other[0] == key[0] and other[1] != key[1] and event.is_announced for other, event in self._events.items()):
            raise VerificationError(VerificationReport.PERMISSION_DENIED, "an event is cancelled only by who announced it")

    def _negated(self, denm: Denm, ticket: HashedId8, signed: Time64) -> News:
        if (denm.action_id, ticket) in self._events or denm.station_id == denm.action_id.originating_station_id:
            raise VerificationError(VerificationReport.CONTENT_MISMATCH, "an event's own originator cancels it, others negate it")
        news = News.OUTDATED
        for (action_id, _), event in self._events.items():
            if action_id != denm.action_id or event.has_ended or denm.reference_time < event.denm.reference_time:
                continue
            is_known = ticket in event.negated_by
            if not is_known and len(event.negated_by) < MAX_NEGATIONS:
                event.negated_by |= {ticket}
            event.negated = max(event.negated, signed)
            event.has_ended = event.is_outvoted and not event.is_spoken_for(signed)
            news = News.NEGATED if event.has_ended else News.REPEATED if is_known else News.DISPUTED
        return news

    def _remember(self, event: ReceivedEvent) -> None:
        of_ticket = [key for key in self._events if key[1] == event.key[1]]
        if len(of_ticket) >= self._per_ticket:
            self._evict(of_ticket)
        elif len(self._events) >= self._capacity:
            by_ticket = Counter(ticket for _, ticket in self._events)
            most = max(by_ticket.values())
            self._evict([key for key in self._events if by_ticket[key[1]] == most])
        self._events[event.key] = event

    def _evict(self, keys: list[EventKey]) -> None:
        ended = (key for key in keys if self._events[key].has_ended)
        del self._events[next(ended, keys[0])]
        self._counters["evicted"] += 1


def is_same_event(one: ReceivedEvent, other: ReceivedEvent) -> bool:
    """Tell whether two tickets speak of one event: the same number, cause and place. Neither can end it for the other."""
    return (
        one.key[0] == other.key[0]
        and one.denm.cause_code == other.denm.cause_code
        and one.position is not None
        and other.position is not None
        and distance_m(one.position, other.position) <= SAME_PLACE_M
    )


def _expiry(denm: Denm, ticket_ends: Time64, now: Instant) -> MonotonicNs:
    """Return when the event runs out (detection time + validity, or the ticket's end) on the clock that never jumps."""
    utc = now.require_utc()
    for name, time in (("detection", denm.detection_time), ("reference", denm.reference_time)):
        if _utc_ns(time) > utc + MAX_FUTURE_NS:
            raise VerificationError(VerificationReport.INVALID_TIMESTAMP, f"the event's {name} time lies in the future")
    remaining = _utc_ns(denm.detection_time) + denm.validity_duration_s * NS_PER_S - utc
    if remaining <= 0:
        raise VerificationError(VerificationReport.INVALID_TIMESTAMP, "the event has run out already")
    return MonotonicNs(now.monotonic + min(remaining, MAX_VALIDITY_NS, max(0, utc_of(ticket_ends) - utc)))


def _utc_ns(time: TimestampIts) -> int:
    return utc_of(Time64(time * 1_000))


def _position(denm: Denm) -> GeoPoint | None:
    return None if denm.lat_deg is None or denm.lon_deg is None else GeoPoint(denm.lat_deg, denm.lon_deg)
