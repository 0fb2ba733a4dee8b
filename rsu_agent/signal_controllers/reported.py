"""A signal controller that reports its state as JSON by way of a broker, and may take requests for priority the same way.

Who may publish on the controller's topic is the broker's affair (its access lists, its TLS); here a report must come under the
controller's name, from its present boot, with a greater sequence than the one before, and dated within `skew_ns` of our own UTC.
So what waited at a broker, was retained or is played again is not taken. A new boot is a restart, and the junction is then watched
anew; a boot that was left never comes back. Left out: reports of a part of the groups.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec

from rsu_agent.signal_controllers import ControllerMode, Movement, PhaseInterval, SignalGroupState
from rsu_agent.signal_controllers.hearing import HeardController, Hearing
from rsu_agent.signal_controllers.priority import (
    PriorityAction,
    PriorityAnswer,
    PriorityDesk,
    PriorityKey,
    PriorityRequest,
    not_served,
)
from rsu_agent.signal_controllers.report_message import (
    ANSWERS,
    MODES,
    GroupReport,
    Lamp,
    PhaseReport,
    PriorityOrder,
    PriorityReport,
    StateReport,
    confidence_of,
    read_report,
)
from shared.core.clock import NS_PER_S, NS_PER_US, Instant, UtcNs
from shared.core.errors import DecodeError, TransportError
from shared.core.ids import StationId
from shared.core.itstime import utc_text
from shared.messages.spatem import IntersectionStatus, MovementPhaseState
from shared.messages.ssem import PrioritizationStatus

MAX_FORMER_BOOTS = 16
"""Boots remembered so that none of them comes back."""

MAX_ORDERS = 64
"""Requests that wait to be published; of more, the oldest is dropped and counted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedGroup:
    """One signal group: number 1..254, name for people or None, protected or permissive green."""

    number: int
    name: str | None = None
    movement: Movement = Movement.PROTECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSetup:
    """How one controller is listened to.

    Attributes:
        controller: its name in reports.
        endpoint: its topic, for errors.
        groups: every signal group.
        stale_ns: how old its last report may be, by the report's own time where that is earlier than its arrival.
        skew_ns: how far a report's time may be from ours.
        takes_priority: whether it takes requests.
    """

    controller: str
    endpoint: str
    groups: tuple[ReportedGroup, ...]
    stale_ns: int = 2 * NS_PER_S
    skew_ns: int = NS_PER_S
    takes_priority: bool = False


class ReportedController(HeardController):
    """One controller; what is published on its topics goes to `hear` and `hear_answer`.

    Args:
        setup: how it is listened to.
    """

    def __init__(self, setup: ReportedSetup) -> None:
        super().__init__(Hearing(setup.endpoint, setup.stale_ns), ControllerMode(status=IntersectionStatus(0)))
        self._setup = setup
        self._groups = {group.number: group for group in setup.groups}
        self._boots: deque[str] = deque(maxlen=MAX_FORMER_BOOTS)
        self._boot: str | None = None
        self._sequence = 0
        self._states: tuple[SignalGroupState, ...] = ()
        self._looked_at: tuple[MovementPhaseState, ...] = ()
        self._heard_mode = self._mode
        self._has_restarted = False
        self._has_jumped = False
        self._desk = PriorityDesk()
        self._orders: deque[bytes] = deque()
        self._dropped_orders = 0

    @property
    def signal_groups(self) -> frozenset[int]:
        """Numbers of the groups the setup names."""
        return frozenset(self._groups)

    def hear(self, payload: bytes, now: Instant, *, is_retained: bool = False) -> None:
        """Take one report in; never raises for what is in it.

        Args:
            payload: what was published on the controller's topic.
            now: the present.
            is_retained: the broker kept it from before: it says nothing of now.
        """
        hearing = self._hearing
        if not hearing.may_look(now):
            return
        if is_retained:
            hearing.refuse("retained", "a report was retained by the broker, and says nothing of now", payload, now)
            return
        try:
            report = read_report(payload, StateReport)
        except DecodeError as error:
            hearing.refuse("malformed", str(error), payload, now)
            return
        time = UtcNs((report.time - _EPOCH) // timedelta(microseconds=1) * NS_PER_US)
        reason = self._reason_against(report, time, now)
        if reason is not None:
            hearing.refuse(*reason, payload, now)
            return
        if report.boot != self._boot:
            if self._boot is not None:
                self._boots.append(self._boot)
                self._has_restarted = True
                hearing.restarted(now)
        else:
            hearing.skipped += report.sequence - self._sequence - 1
        self._boot, self._sequence = report.boot, report.sequence
        hearing.take(payload, now, age_ns=max(0, now.require_utc() - time))
        self._take(report, time)

    def hear_answer(self, payload: bytes, now: Instant, *, is_retained: bool = False) -> None:
        """Take an answer to a request for priority in; never raises for what is in it. Arguments as of `hear`."""
        if not self._hearing.may_look(now):
            return
        if is_retained:
            self._hearing.refuse("retained", "an answer was retained by the broker, and may be to another request", payload, now)
            return
        try:
            answer = read_report(payload, PriorityReport)
        except DecodeError as error:
            self._hearing.refuse("malformed", str(error), payload, now)
            return
        key = PriorityKey(requester=StationId(answer.requester), request_id=answer.request_id)
        if answer.controller != self._setup.controller or key not in self._desk:
            sentence = f"an answer of {answer.controller!r} is to nothing that was asked"
            self._hearing.refuse("unasked_answer", sentence, payload, now)
            return
        reason = answer.reason or f"the controller says {answer.status.replace('_', ' ')}"
        self._desk.note(key, PriorityAnswer(status=ANSWERS[answer.status], reason=reason))

    def state(self, now: Instant) -> tuple[SignalGroupState, ...]:
        """Return what every group showed in the last report.

        Raises:
            UntrustedTimeError: `now` has no UTC.
            TransportError: nothing was heard for too long, or never, or the controller has begun anew since it was last asked.
        """
        now.require_utc()
        self._has_news = False
        self._hearing.require_fresh(now)
        if self._has_restarted:
            self._has_restarted = False
            raise TransportError(self._setup.endpoint, "the controller restarted")
        self._mode = replace(self._heard_mode, has_jumped=self._has_jumped)
        self._has_jumped = False
        self._looked_at = tuple(state.phase for state in self._states)
        return self._states

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:
        """Have a request published, and answer that it was; a controller that takes none, or is silent, rejects it at once.

        What is withdrawn is published also while the controller is silent: it may hear us although we do not hear it.
        """
        if not self._setup.takes_priority:
            return not_served("the controller takes no requests")
        if request.action is PriorityAction.CANCEL:
            self._desk.forget(request.key)
        else:
            try:
                self._hearing.require_fresh(now)
            except TransportError as error:
                return not_served(f"the controller cannot be asked: {error.reason}")
        self._orders.append(msgspec.json.encode(self._order(request)))
        while len(self._orders) > MAX_ORDERS:
            self._orders.popleft()
            self._dropped_orders += 1
        if request.action is PriorityAction.CANCEL:
            return PriorityAnswer(status=PrioritizationStatus.UNKNOWN, reason="the request was withdrawn")
        known = self._desk.status(request.key)
        if request.action is PriorityAction.UPDATE and known is not None:
            return known
        asked = PriorityAnswer(status=PrioritizationStatus.REQUESTED, reason="the controller was asked")
        return self._desk.note(request.key, asked)

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        """Return what became of a request since; None for one that is not known (any more)."""
        return self._desk.status(key)

    def take_orders(self) -> tuple[bytes, ...]:
        """Return, once, what is to be published for the controller."""
        orders = tuple(self._orders)
        self._orders.clear()
        return orders

    def status(self, now: Instant) -> dict[str, object]:
        """Return its health as JSON values."""
        return {
            "kind": "reported",
            **self._hearing.status(now),
            "boot": self._boot,
            "sequence": self._sequence,
            "takes_priority": self._setup.takes_priority,
            "dropped_orders": self._dropped_orders,
        }

    def _reason_against(self, report: StateReport, time: UtcNs, now: Instant) -> tuple[str, str] | None:
        """Return word and sentence why a report is not taken, or None."""
        if report.controller != self._setup.controller:
            return "stranger", f"a report of controller {report.controller!r} came on the topic of {self._setup.controller!r}"
        if report.boot in self._boots:
            return "former_boot", f"boot {report.boot!r} was left before"
        if report.boot == self._boot and report.sequence <= self._sequence:
            word = "repeated" if report.sequence == self._sequence else "out_of_order"
            return word, f"sequence {report.sequence} does not follow {self._sequence}"
        if now.utc is None:
            return "undated", "a report cannot be dated while UTC is not known"
        age_ns = now.utc - time
        if abs(age_ns) > self._setup.skew_ns:
            return "late" if age_ns > 0 else "future", f"a report is dated {age_ns / NS_PER_S:.1f} s ago"
        return None

    def _take(self, report: StateReport, time: UtcNs) -> None:
        status = IntersectionStatus(0)
        for mode in report.modes:
            status |= MODES[mode]
        self._heard_mode = ControllerMode(status=status, enabled_lanes=report.enabled_lanes, map_revision=report.map_revision)
        self._has_jumped |= report.jumped
        ordered = sorted(report.groups, key=lambda group: group.group)
        self._states = tuple(self._state_of(group, time) for group in ordered)
        is_change = self._looked_at != tuple(state.phase for state in self._states)
        is_other_mode = replace(self._mode, has_jumped=False) != self._heard_mode
        self._has_news |= is_change or is_other_mode or self._has_jumped or self._has_restarted

    def _state_of(self, report: GroupReport, time: UtcNs) -> SignalGroupState:
        group = self._groups.get(report.group)
        movement = Movement.PROTECTED if group is None else group.movement
        intervals = [_interval(report, movement, None, time)]
        for following in report.next:
            intervals.append(_interval(following, movement, intervals[-1].likely_end or intervals[-1].min_end, time))
        return SignalGroupState(signal_group=report.group, name=None if group is None else group.name, intervals=tuple(intervals))

    def _order(self, request: PriorityRequest) -> PriorityOrder:
        return PriorityOrder(
            version=1,
            controller=self._setup.controller,
            requester=request.key.requester,
            request_id=request.key.request_id,
            sequence_number=request.sequence_number,
            action=request.action.value,
            level=request.level.value,
            signal_groups=tuple(sorted(request.signal_groups)),
            arrival=None if request.arrival is None else utc_text(request.arrival),
            departure=None if request.departure is None else utc_text(request.departure),
        )


_PHASES: dict[Lamp, MovementPhaseState] = {
    "red": MovementPhaseState.STOP_AND_REMAIN,
    "red_amber": MovementPhaseState.PRE_MOVEMENT,
    "amber_flash": MovementPhaseState.CAUTION_CONFLICTING_TRAFFIC,
    "red_flash": MovementPhaseState.STOP_THEN_PROCEED,
    "dark": MovementPhaseState.DARK,
    "unknown": MovementPhaseState.UNAVAILABLE,
}


def _phase(lamp: Lamp, movement: Movement) -> MovementPhaseState:
    if lamp == "green":
        return movement.green
    return movement.amber if lamp == "amber" else _PHASES[lamp]


def _interval(report: PhaseReport, movement: Movement, start: UtcNs | None, time: UtcNs) -> PhaseInterval:
    def end(seconds: float | None) -> UtcNs | None:
        return None if seconds is None else UtcNs(time + round(seconds * NS_PER_S))

    percent = report.confidence_percent
    return PhaseInterval(
        phase=_phase(report.state, movement),
        start=start,
        min_end=end(report.min_end_s),
        max_end=end(report.max_end_s),
        likely_end=end(report.likely_end_s),
        confidence=None if percent is None else confidence_of(percent),
    )
