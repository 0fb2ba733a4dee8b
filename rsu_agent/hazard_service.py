"""The hazards this unit warns of, told as DENMs (EN 302 637-3 V1.3.1): announced, repeated, kept valid, and cancelled at their end.

`OriginatedEvents` tells of them; this service knows which and when. An event is updated before half of its validity has passed, and
at the end it is cancelled, which is repeated for a while by whoever goes on polling. Each is geo-broadcast to a circle around the
event. Hazards are configured, placed by operator or traffic centre, or found by a watch (`placed_hazards`).

A configured hazard is known by its cause and place, a placed one by who placed it and their id. After a restart it goes on under
its old action id; one that is configured no longer, or that a watch had found, is cancelled. What is needed for that
(`EventKeeper`) is kept before a DENM leaves; where it cannot be kept, the hazard is told of all the same, and that is counted: a
warning is worth more than a tidy end. Where nothing is kept, placed hazards end with the unit.

An event that others tell of and that is not there, as the operator knows, is negated here too (`negate`): said for a while under
their action id. Nobody has to believe one station that says so.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rsu_agent.hazard import Hazard, relevance_distance, report_of_hazard
from rsu_agent.placed_hazards import (
    CONFIGURED,
    MAX_PLACED,
    Finding,
    HazardsFullError,
    HazardSource,
    HazardWatch,
    NoSuchHazardError,
    PlacedName,
    Unheeded,
    check_hazard_id,
    check_lasts_s,
    parse_placed_name,
)
from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, StorageError, V2xError
from shared.core.ids import ActionId, StationId, StationType
from shared.core.itstime import utc_text
from shared.facilities.event_report import Announcement, EventReport, NoSuchEventError
from shared.facilities.originated_events import LiveEvent, OriginatedEvents
from shared.facilities.saved_events import EventKeeper, NothingKept, SavedEvents, read_saved
from shared.messages.denm import Denm, Termination
from shared.stack.effects import Notice
from shared.stack.indication import Verified

__all__ = ["Announcement", "Hazard", "HazardService", "relevance_distance"]

MAX_HAZARDS = 64
"""Most hazards one station announces."""

CANCELLED_WITHIN_S = 10
"""A hazard is said to be valid for so much longer than it lasts, to be cancelled in: a unit that is lost is believed no longer."""

_AT_ONCE = MonotonicNs(0)


@dataclass(slots=True, kw_only=True)
class _Told:
    """A hazard and what is said of it.

    Attributes:
        report: what a DENM says.
        placed: who placed it; None for a configured one.
        cancel_at_stop: whether it ends with the unit.
        action_id: under which it is told; None before.
        next_update: when it is to be said anew.
        until: when it is over; None where that is not known, or not yet.
    """

    report: EventReport
    placed: PlacedName | None
    cancel_at_stop: bool
    action_id: ActionId | None = None
    next_update: MonotonicNs = _AT_ONCE
    until: MonotonicNs | None = None


class HazardService:
    """Announces every hazard until it is over, or the service stopped.

    Args:
        hazards: those configured, at most `MAX_HAZARDS`.
        station_id: the station that announces; originator of every action id.
        first_sequence_number: action id of the first hazard, the others follow; where nothing is resumed.
        resumed: what was kept before a restart; another station's is let go.
        keeper: keeps what a restart needs.
        watches: look out for further ones.

    Raises:
        ConfigError: there are too many hazards.
        DecodeError: what is to be resumed is not what we write.
    """

    def __init__(
        self,
        hazards: tuple[Hazard, ...],
        station_id: StationId,
        first_sequence_number: int = 0,
        *,
        resumed: SavedEvents | None = None,
        keeper: EventKeeper | None = None,
        watches: tuple[HazardWatch, ...] = (),
    ) -> None:
        if len(hazards) > MAX_HAZARDS:
            raise ConfigError(hazards[-1].origin, f"{len(hazards)} hazards, at most {MAX_HAZARDS}")
        self._told = [
            _Told(report=report_of_hazard(hazard, name), placed=None, cancel_at_stop=hazard.cancel_at_stop)
            for name, hazard in _named(hazards).items()
        ]
        self._resumed = resumed if resumed is not None and resumed.station_id == station_id else None
        if self._resumed is not None:
            read_saved(self._resumed)
        self._events = OriginatedEvents(station_id, StationType.ROAD_SIDE_UNIT, first_sequence_number, MAX_HAZARDS)
        self._keeper = NothingKept() if keeper is None else keeper
        self._is_kept = not isinstance(self._keeper, NothingKept)
        self._watches = watches
        self._notices: list[Notice] = []
        self._kept_revision: int | None = None
        self._has_stopped = False
        self._counters: Counter[str] = Counter()
        self._trouble: str | None = None

    @property
    def live(self) -> tuple[Announcement, ...]:
        """What was last announced of every hazard that is being announced."""
        return tuple(
            Announcement(denm=event.denm, area=event.report.area, action_id=event.action_id)
            for event in self._events.live
            if event.denm is not None
        )

    @property
    def live_events(self) -> tuple[LiveEvent, ...]:
        """Every hazard that is being told of, with its end."""
        return self._events.live

    @property
    def placed(self) -> tuple[PlacedName, ...]:
        """The hazards that were not configured, the oldest first."""
        return tuple(told.placed for told in self._told if told.placed is not None)

    @property
    def untrusted_time(self) -> int:
        """How often nothing could be said because UTC was not known."""
        return self._events.counters.get("untrusted_time", 0)

    @property
    def counters(self) -> Mapping[str, int]:
        """What was counted: as `OriginatedEvents.counters`; `resumed`, `removed`, `not_kept`; placed, withdrawn, over, refused."""
        return {**self._events.counters, **self._counters}

    @property
    def trouble(self) -> str | None:
        """Why the events could not be kept for a restart; None when they were."""
        return self._trouble

    def place(self, source: HazardSource, hazard_id: str, hazard: Hazard, now: Instant, *, lasts_s: int) -> PlacedName:
        """Tell of a hazard from now on; one of that id is told of anew, as it is now.

        Args:
            source: who places it.
            hazard_id: what they call it.
            hazard: what it is.
            now: the present.
            lasts_s: when it is over, unless it is placed again, 10 s to 30 days.

        Raises:
            ConfigError: the id or the time is none.
            HazardsFullError: no room.
            UntrustedTimeError: UTC is not known, so nobody knows when it would be over.
        """
        ends_utc_s = now.require_utc() // NS_PER_S + check_lasts_s(lasts_s)
        name = PlacedName(source=source, hazard_id=check_hazard_id(hazard_id), ends_utc_s=ends_utc_s)
        self._place(name, hazard, now)
        return name

    def withdraw(self, source: HazardSource, hazard_id: str, now: Instant) -> None:
        """End a placed hazard: it is cancelled. Raises `NoSuchHazardError`."""
        self._resume(now)
        told = self._find(source, hazard_id)
        if told is None:
            raise NoSuchHazardError(source, hazard_id)
        self._end(told, now)
        self._counters["withdrawn"] += 1

    def free_id(self, source: HazardSource) -> str:
        """Return an id that no hazard of this source has: `h1`, `h2` and so on."""
        number = 1
        while self._find(source, f"h{number}") is not None:
            number += 1
        return f"h{number}"

    def poll(self, now: Instant) -> tuple[Announcement, ...]:
        """Return what is due at `now`; nothing while UTC is not known, which is counted once a second."""
        self._resume(now)
        if not self._has_stopped:
            self._look(now)
        for told in tuple(self._told):
            if self._is_over(told, now):
                self._end(told, now)
                self._counters["over"] += 1
            elif told.next_update <= now.monotonic:
                self._tell(told, now)
        due = self._events.poll(now)
        self._keep()
        return due

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what there is to tell the operator since it was last asked."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to say; None without hazards."""
        if self._resumed is not None:
            return _AT_ONCE
        due = [told.next_update for told in self._told]
        due += [told.until for told in self._told if told.until is not None]
        if not self._has_stopped:
            due += [asked for watch in self._watches if (asked := watch.next_due()) is not None]
        if (said := self._events.next_due()) is not None:
            due.append(said)
        return min(due, default=None)

    def stop(self, now: Instant) -> tuple[Announcement, ...]:
        """End the service and return the cancellation of every announced hazard that asks for one.

        Nothing else is announced afterwards; `poll` repeats the cancellations for a while. Without UTC nothing can be dated or
        signed: the cancellations then wait for it, in what is kept too.
        """
        self._resume(now)
        self._has_stopped = True
        told, self._told = self._told, []
        for each in told:
            if each.action_id is None:
                continue
            if each.cancel_at_stop:
                self._events.cancel(each.action_id, now)
            else:
                self._events.silence(each.action_id)
        due = tuple(said for said in self._events.poll(now) if said.denm.termination is Termination.IS_CANCELLATION)
        self._keep()
        return due

    def negate(self, event: Verified[Denm], now: Instant) -> None:
        """Say that an event of somebody else is not there; raises as `OriginatedEvents.negate`."""
        self._resume(now)
        self._events.negate(event, now)

    def status(self) -> dict[str, object]:
        """Return what was counted, and what the watches know, as JSON values."""
        return {"counters": dict(self.counters), **{watch.source.value: watch.status() for watch in self._watches}}

    def _place(self, name: PlacedName, hazard: Hazard, now: Instant) -> None:
        self._resume(now)
        report = report_of_hazard(hazard, name.text)
        until = None
        if name.ends_utc_s is not None:
            until = MonotonicNs(now.monotonic + name.ends_utc_s * NS_PER_S - now.require_utc())
        told = self._find(name.source, name.hazard_id)
        if told is not None:
            if told.report != report:
                told.next_update = _AT_ONCE
                self._counters["changed"] += 1
            told.report, told.placed, told.until = report, name, until
            return
        own = self._count_of(name.source)
        if self._has_stopped or len(self._told) >= MAX_HAZARDS or own >= MAX_PLACED[name.source]:
            self._counters["refused"] += 1
            raise HazardsFullError(name.source, own, len(self._told))
        cancel = hazard.cancel_at_stop if not name.source.outlasts_restart else not self._is_kept
        self._told.append(_Told(report=report, placed=name, cancel_at_stop=cancel, until=until))
        self._counters["placed"] += 1

    def _find(self, source: HazardSource, hazard_id: str) -> _Told | None:
        for told in self._told:
            if told.placed is not None and (told.placed.source, told.placed.hazard_id) == (source, hazard_id):
                return told
        return None

    def _count_of(self, source: HazardSource) -> int:
        return sum(told.placed is not None and told.placed.source is source for told in self._told)

    def _end(self, told: _Told, now: Instant) -> None:
        self._told.remove(told)
        if told.action_id is not None:
            self._events.cancel(told.action_id, now)

    def _is_over(self, told: _Told, now: Instant) -> bool:
        """Tell whether a hazard's time has passed, of one from before a restart once UTC is known."""
        if told.until is None and told.placed is not None and told.placed.ends_utc_s is not None and now.utc is not None:
            told.until = MonotonicNs(now.monotonic + told.placed.ends_utc_s * NS_PER_S - now.utc)
        return told.until is not None and told.until <= now.monotonic

    def _look(self, now: Instant) -> None:
        for watch in self._watches:
            due = watch.next_due()
            if due is None or due > now.monotonic:
                continue
            for seen in watch.look(now):
                if isinstance(seen, Unheeded):
                    self._notices.append(Notice("hazard_not_corroborated", seen.fields))
                    continue
                try:
                    if isinstance(seen, Finding):
                        self._place(PlacedName(source=watch.source, hazard_id=seen.hazard_id), seen.hazard, now)
                    else:
                        self.withdraw(watch.source, seen.hazard_id, now)
                except V2xError as error:  # no room, or gone already: the watch goes on
                    self._counters[error.code] += 1

    def _tell(self, told: _Told, now: Instant) -> None:
        report, told.next_update = told.report, MonotonicNs(now.monotonic + told.report.validity_s * NS_PER_S // 2)
        if told.until is not None:
            until_gone_s = (told.until - now.monotonic) // NS_PER_S + CANCELLED_WITHIN_S
            if until_gone_s <= report.validity_s:
                report, told.next_update = replace(report, validity_s=until_gone_s), told.until
        if told.action_id is not None:
            try:
                self._events.update(told.action_id, report, now)
            except NoSuchEventError:  # it ran out while nobody polled
                told.action_id = None
        if told.action_id is None:
            told.action_id = self._events.trigger(report, now)

    def _resume(self, now: Instant) -> None:
        """Take up what was kept: hazards that are configured still, or placed for longer, go on; all others are cancelled."""
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            return
        self._events = OriginatedEvents.restored(resumed, StationType.ROAD_SIDE_UNIT, now, MAX_HAZARDS)
        by_name = {told.report.name: told for told in self._told}
        for event in self._events.live:
            told = by_name.get(event.report.name)
            name = parse_placed_name(event.report.name)
            if told is not None and told.action_id is None:
                told.action_id = event.action_id
                self._counters["resumed"] += 1
            elif name is not None and name.source.outlasts_restart and len(self._told) < MAX_HAZARDS:
                again = _Told(report=event.report, placed=name, cancel_at_stop=not self._is_kept, action_id=event.action_id)
                self._told.append(again)
                self._counters["resumed"] += 1
            else:
                self._events.cancel(event.action_id, now)
                self._counters["removed"] += 1

    def _keep(self) -> None:
        if self._kept_revision == self._events.revision:
            return
        try:
            self._keeper.keep(self._events.snapshot())
        except StorageError as error:
            self._counters["not_kept"] += 1
            self._trouble = str(error)
            return
        self._trouble = None
        self._kept_revision = self._events.revision


def name_status(name: str) -> dict[str, object]:
    """Return who placed a hazard of that name, under which id and until when, as JSON values."""
    placed = parse_placed_name(name)
    if placed is None:
        return {"source": CONFIGURED, "id": None, "ends": None}
    ends = None if placed.ends_utc_s is None else utc_text(UtcNs(placed.ends_utc_s * NS_PER_S))
    return {"source": placed.source.value, "id": placed.hazard_id, "ends": ends}


def _named(hazards: tuple[Hazard, ...]) -> dict[str, Hazard]:
    """Return each hazard under the name by which it is known again: its cause and place and, of several there, which."""
    named: dict[str, Hazard] = {}
    for hazard in hazards:
        name = f"{hazard.cause_code}@{hazard.position.lat_deg:.7f},{hazard.position.lon_deg:.7f}"
        number = 1
        while f"{name}#{number}" in named:
            number += 1
        named[f"{name}#{number}"] = hazard
    return named
