"""The events this station tells of: the originator's side of the DEN basic service (EN 302 637-3 V1.3.1 clauses 6.1 and 8.2.1).

    trigger    a new action id; said at once, then repeated
    update     the same action id with a later reference time
    cancel     the management container alone, repeated for a while so that it arrives over loss; then nothing is said any more
    negate     an event of somebody else is not there; said with their action id and our station id
    (validity) T_O_Validity runs out: the event ends by itself, and nothing is said

`poll` returns what is due. What happened while UTC was unknown is dated by how long ago it was once UTC is known, never wrongly, and
nothing is said before. A sequence number is free again only when the event that had it would have run out. Under a new name
(`assume`) live events go on under new action ids; what was being cancelled or negated is let go, for only the old name could.

`snapshot` and `OriginatedEvents.restored` carry events over a restart. What was numbered after the last snapshot is unknown then:
so many numbers are passed over that none of them is used twice.

Left out: signing and sending, who hears of an event first, and files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.errors import V2xError
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import TimestampIts, time64_of, timestamp_its
from shared.facilities.event_report import Announcement, EventReport, announcing_denm, terminating_denm
from shared.facilities.saved_events import RestoredEvent, SavedEvent, SavedEvents, read_saved, save_event
from shared.messages.denm import Denm, Termination
from shared.network.area import Area, Circle
from shared.stack.indication import Verified

__all__ = ["Announcement", "EventReport", "EventsFullError", "LiveEvent", "NoSuchEventError", "OriginatedEvents"]

DEFAULT_CAPACITY = 64
"""Most live events of one station."""

MAX_ENDED = 256
"""Most cancelled events whose number is kept from use; beyond it the one that ended longest ago is let go."""

MAX_NEGATIONS = 64
"""Most events of others that are negated at one time."""

CANCELLATION_REPEATED_NS = 10 * NS_PER_S
"""A cancellation or negation is repeated this long, but not after the event would have run out."""

CANCELLATION_INTERVAL_NS = 500 * NS_PER_MS
"""How often, where the event itself was repeated less often or not at all."""

RESTART_GAP = 256
"""Sequence numbers passed over after a restart."""

RETRY_NS = NS_PER_S
"""How often it is counted that UTC is not known."""

_NUMBERS = 1 << 16


class NoSuchEventError(V2xError):
    """An update for an event that is not live: never triggered, cancelled, or run out. Trigger it anew."""

    def __init__(self, action_id: ActionId) -> None:
        super().__init__(f"event {action_id.sequence_number} of station {action_id.originating_station_id} is not live")

    @property
    def code(self) -> str:
        """`no_such_event`."""
        return "no_such_event"


class EventsFullError(V2xError):
    """There are as many live events as this station tells of."""

    def __init__(self, capacity: int) -> None:
        super().__init__(f"{capacity} events are live already, and no more are told of")

    @property
    def code(self) -> str:
        """`events_full`."""
        return "events_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvent:
    """One event that lasts.

    Attributes:
        action_id: under which it is said now.
        report: what is said of it.
        expires: when it runs out by itself.
        denm: what was last said; None until UTC is known.
    """

    action_id: ActionId
    report: EventReport
    expires: MonotonicNs
    denm: Denm | None


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
        raise NotImplementedError

    @classmethod
    def restored(
        cls,
        saved: SavedEvents,
        station_type: StationType,
        now: Instant,
        capacity: int = DEFAULT_CAPACITY,
    ) -> "OriginatedEvents":
        """Go on with what was kept; UTC need not be known yet. Raises `DecodeError` for what we never wrote."""
        raise NotImplementedError

    @property
    def station_id(self) -> StationId:
        """The originator of new action ids."""
        raise NotImplementedError

    @property
    def live(self) -> tuple[LiveEvent, ...]:
        """The events that last, oldest first; as of the last call with a time."""
        raise NotImplementedError

    @property
    def revision(self) -> int:
        """Grows with every change of what `snapshot` returns: keep a new one when it has grown."""
        raise NotImplementedError

    @property
    def counters(self) -> Mapping[str, int]:
        """Events triggered, updated, cancelled, negated, expired, never_said, let_go; and untrusted_time."""
        raise NotImplementedError

    def trigger(self, report: EventReport, now: Instant) -> ActionId:
        """Tell of a new event, detected now; the next `poll` says it. Raises `EventsFullError`."""
        raise NotImplementedError

    def update(self, action_id: ActionId, report: EventReport, now: Instant) -> None:
        """Tell how an event is now; its validity and repetition begin anew. Raises `NoSuchEventError`."""
        raise NotImplementedError

    def cancel(self, action_id: ActionId, now: Instant) -> None:
        """End an event; one that has ended already is no matter."""
        raise NotImplementedError

    def negate(self, received: Verified[Denm], now: Instant) -> None:
        """Say that an event of somebody else is not there."""
        raise NotImplementedError

    def is_live(self, action_id: ActionId, now: Instant) -> bool:
        """Tell whether an event can be updated."""
        raise NotImplementedError

    def assume(self, station_id: StationId, first_sequence_number: int, now: Instant) -> Mapping[ActionId, ActionId]:
        """Go on under a new name; return which action id each live event had and which it has now."""
        raise NotImplementedError

    def holds(self) -> tuple[tuple[str, MonotonicNs], ...]:
        """Return what needs the present name and until when: live events, and cancellations still being repeated."""
        raise NotImplementedError

    def poll(self, now: Instant) -> tuple[Announcement, ...]:
        """Return what is due at `now`, each once; nothing while UTC is not known, which is counted once a second."""
        raise NotImplementedError

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to say; None when never."""
        raise NotImplementedError

    def snapshot(self) -> SavedEvents:
        """Return what a restart needs: everything said that has not run out, and the next number."""
        raise NotImplementedError
