"""What the vehicle tells others of its own accord: triggers observe the car, situations become events, events become DENMs.

Ten times a second every trigger (`vehicle_agent.triggers`) looks at the vehicle state. What begins is triggered, what lasts is
renewed at its pace, what is over is cancelled or left to run out, as its profile says; `shared.facilities.originated_events`
numbers, repeats and ends them (EN 302 637-3 V1.3.1). A situation that cannot be told of now (no trusted time, no position, not
within the ticket's permissions, too many events) is counted once for its reason, and told of later if it is still there. Signals
that are missing end nothing: the event is no longer renewed, and runs out.

After a restart with events that were live, each trigger goes on from its event, so that what has ended meanwhile is cancelled.

Left out: signing and sending. Who calls must hold the pseudonym for `holds`, and hand over a new one with `assume`.
"""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Final

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs
from shared.core.errors import EncodeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import ActionId, StationId
from shared.core.itstime import TimestampIts
from shared.facilities.event_report import MAX_EVENT_POINTS, Announcement, EventReport
from shared.facilities.originated_events import EventsFullError, OriginatedEvents
from shared.messages.denm import Denm
from shared.messages.denm_alacarte import Alacarte, EnergyStorage, StationaryVehicle
from shared.stack.content_permissions import check_content
from shared.stack.effects import Notice
from vehicle_agent.event_place import area_of, history_of, trace_to
from vehicle_agent.path_history import PathHistory, TracePoint
from vehicle_agent.triggers.catalogue import SILENCED_BY
from vehicle_agent.triggers.latch import Absence
from vehicle_agent.triggers.situation import Ending, Profile, Situation, Trigger
from vehicle_agent.vehicle_state import VehicleState, fresh

CHECK_INTERVAL_NS: Final = 100 * NS_PER_MS
"""How often the triggers look."""

STEP_INTERVAL_NS: Final = 200 * NS_PER_MS
"""How often the way is taken note of."""

MAX_NOTICES = 64
"""Most notices kept until they are taken."""

MAX_ALTITUDE_M = 8_000.0
"""`AltitudeValue`; higher is not said."""

NO_POSITION, UNTRUSTED_TIME, NOT_PERMITTED, EVENTS_FULL, UNFIT = (
    "no_position",
    "untrusted_time",
    "not_permitted",
    "events_full",
    "unfit",
)
"""Why a situation was not told of."""


@dataclass(slots=True, kw_only=True)
class _Told:
    """The event of one trigger; one from before a restart was not renewed by us yet."""

    action_id: ActionId
    kind: tuple[int, int]
    renewed: MonotonicNs | None
    place: TracePoint | None
    before: deque[TracePoint] = field(default_factory=lambda: deque(maxlen=MAX_EVENT_POINTS))
    is_past: bool = False


class DenmService:
    """The events of one vehicle.

    Args:
        events: numbers and repeats them; may bring events from before a restart.
        triggers: the use cases, the gravest first (`make_triggers`).
        energy_storage: what the vehicle runs on, for who comes to help; None says nothing of it.
        phase_ns: offset of the checks, so that a fleet does not speak in lock-step.
        started: the present.
    """

    def __init__(
        self,
        *,
        events: OriginatedEvents,
        triggers: tuple[Trigger, ...],
        energy_storage: EnergyStorage | None,
        phase_ns: int,
        started: Instant,
    ) -> None:
        self._events = events
        self._triggers = triggers
        self._endings = {trigger.profile.name: trigger.profile.ending for trigger in triggers}
        self._energy_storage = energy_storage
        self._next_check = MonotonicNs(started.monotonic + phase_ns % CHECK_INTERVAL_NS)
        self._next_step = self._next_check
        self._path = PathHistory()
        self._told: dict[str, _Told] = {}
        self._blocked_until: dict[str, MonotonicNs] = {}
        self._withheld_now: dict[str, str] = {}
        self._withheld: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._notices: deque[Notice] = deque(maxlen=MAX_NOTICES)
        self._refusals_told: set[str] = set()
        self._go_on(started)

    @property
    def events(self) -> OriginatedEvents:
        """The events told of; kept over a restart by who owns the store."""
        return self._events

    @property
    def must_be_ended(self) -> bool:
        """Whether something is told of that has to be cancelled one day: a restart must know of it."""
        return any(not told.is_past and self._endings.get(name) is Ending.CANCEL for name, told in self._told.items())

    def next_due(self) -> MonotonicNs:
        """When `poll` wants to be called."""
        due = self._events.next_due()
        return self._next_check if due is None else min(self._next_check, due)

    def holds(self) -> tuple[tuple[str, MonotonicNs], ...]:
        """Return what needs the present pseudonym, and until when: for `PseudonymRules.hold`."""
        return self._events.holds()

    def assume(self, station_id: StationId, first_sequence_number: int, now: Instant) -> None:
        """Speak as another from now on: live events go on under new action ids, and nothing is kept of the way so far."""
        renamed = self._events.assume(station_id, first_sequence_number, now)
        for name, told in tuple(self._told.items()):
            action_id = renamed.get(told.action_id)
            if action_id is None:
                del self._told[name]
            else:
                told.action_id = action_id
                told.before.clear()
        self._path = PathHistory()
        self._refusals_told.clear()

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what there is to tell the driver or the operator since the last call."""
        notices = tuple(self._notices)
        self._notices.clear()
        return notices

    def status(self) -> dict[str, object]:
        """Everything counted so far, as JSON values."""
        return {
            "live": sorted(event.report.name for event in self._events.live),
            "begun": dict(self._begun),
            "withheld": dict(self._withheld),
            "events": dict(self._events.counters),
        }

    def poll(self, state: VehicleState, now: Instant, *, ssp: bytes | None) -> tuple[Announcement, ...]:
        """Look at the car if it is time, and return the DENMs that are due.

        Args:
            state: what the car says about itself.
            now: the present.
            ssp: the present ticket's permissions for DENMs; None where it has none, or where there is no ticket.
        """
        if now.monotonic >= self._next_check:
            passed = (now.monotonic - self._next_check) // CHECK_INTERVAL_NS + 1
            self._next_check = MonotonicNs(self._next_check + passed * CHECK_INTERVAL_NS)
            self._check(state, now, ssp)
        return self._events.poll(now)

    def _go_on(self, now: Instant) -> None:
        """Take up the events of before a restart; those of a use case that is not wanted any more are cancelled."""
        triggers = {trigger.profile.name: trigger for trigger in self._triggers}
        for event in self._events.live:
            trigger = triggers.get(event.report.name)
            if trigger is None or event.report.name in self._told:
                self._events.cancel(event.action_id, now)
                continue
            is_past = trigger.profile.ending is not Ending.CANCEL
            if not is_past:
                trigger.resume(now)
            self._told[event.report.name] = _Told(
                action_id=event.action_id,
                kind=(event.report.cause_code, event.report.sub_cause_code),
                renewed=None,
                place=None,
                is_past=is_past,
            )

    def _check(self, state: VehicleState, now: Instant, ssp: bytes | None) -> None:
        point = fresh(state.position, now.monotonic)
        if point is not None and state.position is not None and now.monotonic >= self._next_step:
            self._next_step = MonotonicNs(now.monotonic + STEP_INTERVAL_NS)
            self._path.add(point, state.position.at)
        seen = {trigger.profile.name: trigger.observe(state, now) for trigger in self._triggers}
        there = {name for name, what in seen.items() if isinstance(what, Situation)}
        for trigger in self._triggers:
            name = trigger.profile.name
            what = Absence.OVER if SILENCED_BY.get(name, frozenset()) & there else seen[name]
            if isinstance(what, Situation):
                self._tell(trigger.profile, what, state, now, ssp)
                continue
            self._withheld_now.pop(name, None)
            if what is Absence.OVER:
                self._end(trigger.profile, now)

    def _tell(self, profile: Profile, situation: Situation, state: VehicleState, now: Instant, ssp: bytes | None) -> None:
        """Begin, renew or replace the event of a situation that is there."""
        told = self._told.get(profile.name)
        if told is not None and not self._events.is_live(told.action_id, now):
            del self._told[profile.name]
            told = None
        is_blocked = now.monotonic < self._blocked_until.get(profile.name, now.monotonic)
        kind = (situation.cause, situation.sub_cause)
        if told is None:
            if not is_blocked:
                self._begin(profile, situation, state, now, ssp)
        elif told.is_past:
            if not is_blocked:
                told.is_past = False
                self._renew(profile, told, situation, state, now)
        elif told.kind != kind and not is_blocked:
            self._end(profile, now)
            self._begin(profile, situation, state, now, ssp)
        elif profile.update_ms is not None and self._is_stale(told, profile.update_ms, now):
            cause, sub_cause = told.kind
            self._renew(profile, told, replace(situation, cause=type(situation.cause)(cause), sub_cause=sub_cause), state, now)

    @staticmethod
    def _is_stale(told: _Told, update_ms: int, now: Instant) -> bool:
        """Whether a renewal is due at this check rather than at the next."""
        return told.renewed is None or now.monotonic - told.renewed > update_ms * NS_PER_MS - CHECK_INTERVAL_NS // 2

    def _begin(self, profile: Profile, situation: Situation, state: VehicleState, now: Instant, ssp: bytes | None) -> None:
        refusal = _refusal(situation, ssp)
        if refusal is not None:
            self._withhold(profile, NOT_PERMITTED, refusal)
            return
        if now.utc is None:
            self._withhold(profile, UNTRUSTED_TIME)
            return
        place = _place(state, now)
        if place is None:
            self._withhold(profile, NO_POSITION)
            return
        try:
            action_id = self._events.trigger(self._report(profile, situation, state, place, now, ()), now)
        except EventsFullError:
            self._withhold(profile, EVENTS_FULL)
            return
        except EncodeError as error:
            self._withhold(profile, UNFIT, str(error))
            return
        self._withheld_now.pop(profile.name, None)
        self._told[profile.name] = _Told(
            action_id=action_id,
            kind=(situation.cause, situation.sub_cause),
            renewed=now.monotonic,
            place=place,
        )
        self._block(profile, now)
        self._begun[profile.name] += 1
        self._notices.append(Notice("hazard_announced", _fields(profile, *self._told[profile.name].kind)))

    def _renew(self, profile: Profile, told: _Told, situation: Situation, state: VehicleState, now: Instant) -> None:
        """Say how it is now; without a position what was said last stands."""
        place = _place(state, now)
        if place is None or now.utc is None:
            return
        keeps_places = profile.ending is Ending.STAY
        if keeps_places and told.place is not None:
            told.before.appendleft(told.place)
        before = tuple(told.before) if keeps_places else ()
        try:
            report = self._report(profile, situation, state, place, now, before)
        except EncodeError as error:
            self._withhold(profile, UNFIT, str(error))
            return
        self._events.update(told.action_id, report, now)
        told.renewed = now.monotonic
        told.place = place
        if keeps_places:
            self._block(profile, now)

    def _end(self, profile: Profile, now: Instant) -> None:
        told = self._told.get(profile.name)
        if told is None or told.is_past:
            return
        if profile.ending is Ending.STAY:
            told.is_past = True
            return
        del self._told[profile.name]
        self._block(profile, now)
        if profile.ending is Ending.CANCEL and self._events.is_live(told.action_id, now):
            self._events.cancel(told.action_id, now)
            self._notices.append(Notice("hazard_cancelled", _fields(profile, *told.kind)))

    def _block(self, profile: Profile, now: Instant) -> None:
        self._blocked_until[profile.name] = MonotonicNs(now.monotonic + profile.blocking_ms * NS_PER_MS)

    def _withhold(self, profile: Profile, reason: str, detail: str = "") -> None:
        """Count a situation that is not told of, once for each reason; a ticket that forbids it is told once."""
        if self._withheld_now.get(profile.name) == reason:
            return
        self._withheld_now[profile.name] = reason
        self._withheld[reason] += 1
        if reason in {NOT_PERMITTED, UNFIT} and profile.name not in self._refusals_told:
            self._refusals_told.add(profile.name)
            self._notices.append(Notice("hazard_withheld", {"use_case": profile.name, "reason": reason, "detail": detail}))

    def _report(
        self,
        profile: Profile,
        situation: Situation,
        state: VehicleState,
        place: TracePoint,
        now: Instant,
        before: tuple[TracePoint, ...],
    ) -> EventReport:
        at = now.monotonic
        heading_deg = fresh(state.heading_deg, at)
        altitude_m = fresh(state.altitude_m, at)
        trace = trace_to(place.position, place.at, self._path.points(place.position))
        return EventReport(
            cause_code=situation.cause,
            sub_cause_code=situation.sub_cause,
            name=profile.name,
            position=place.position,
            altitude_m=altitude_m if altitude_m is not None and altitude_m <= MAX_ALTITUDE_M else None,
            area=area_of(place.position, heading_deg, profile.reach, profile.reach_m),
            validity_s=profile.validity_s,
            repetition_interval_ms=profile.repetition_interval_ms,
            repetition_duration_s=profile.repetition_duration_s,
            information_quality=situation.quality,
            relevance_distance=profile.relevance_distance,
            relevance_traffic_direction=profile.relevance_traffic_direction,
            event_history=history_of(place.position, place.at, before, situation.quality),
            event_speed_mps=fresh(state.speed_mps, at),
            event_heading_deg=heading_deg,
            traces=(trace,),
            alacarte=self._alacarte(situation),
        )

    def _alacarte(self, situation: Situation) -> Alacarte | None:
        standing = situation.standing
        if standing is None:
            return None
        return Alacarte(
            stationary_vehicle=StationaryVehicle(
                stationary_since=standing.since,
                stationary_cause_code=standing.cause,
                stationary_sub_cause_code=standing.sub_cause,
                energy_storage=self._energy_storage,
            )
        )


def _place(state: VehicleState, now: Instant) -> TracePoint | None:
    point = fresh(state.position, now.monotonic)
    return None if point is None or state.position is None else TracePoint(point, state.position.at)


def _refusal(situation: Situation, ssp: bytes | None) -> str | None:
    """Return why a ticket does not allow a DENM of this cause: the sender asks what the receiver will ask."""
    nobody, nowhere = StationId(0), GeoPoint(0.0, 0.0)
    denm = Denm(
        station_id=nobody,
        action_id=ActionId(nobody, 0),
        detection_time=TimestampIts(0),
        reference_time=TimestampIts(0),
        station_type=0,
        lat_deg=nowhere.lat_deg,
        lon_deg=nowhere.lon_deg,
        cause_code=situation.cause,
    )
    try:
        check_content(denm, ssp)
    except VerificationError as refusal:
        return str(refusal)
    return None


def _fields(profile: Profile, cause: int, sub_cause: int) -> dict[str, object]:
    return {"use_case": profile.name, "cause_code": int(cause), "sub_cause_code": int(sub_cause)}
