"""Who is let through at a junction first: the queue of live requests for priority, one verdict for each. Sans-IO.

    REQUESTED -> PROCESSING -> GRANTED -> MAX_PRESENCE        the controller's word, and the operator's limit
        |            |            |
        +------------+------------+---> WATCH_OTHER_TRAFFIC   somebody of higher rank, or who came first, crosses the way
        +------------+----------------> REJECTED              the controller says no, or cannot be asked
    RESERVICE_LOCKED                                          these lights served public transport a moment ago

Emergency vehicles go before public transport; within a rank, who is granted already, then who arrives first. Requests whose lights
do not conflict are served together. While the junction itself is not believed (`signal_service`) everything is taken back, and
every status is `UNKNOWN`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from rsu_agent.priority_requests import HeardRequest, RequestKey
from rsu_agent.signal_controllers import ConflictingPairs
from rsu_agent.signal_controllers.priority import PriorityAction, PriorityAnswer, PriorityKey, PriorityLevel, PriorityRequest
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.ids import HashedId8
from shared.messages.ssem import PrioritizationStatus

MAX_LIVE = 24
"""Most requests kept; an SSEM answers 32, and those that are refused need room there too."""

MAX_LIVE_PER_TICKET = 4
"""Most requests of one ticket."""

GRACE_NS = 10 * NS_PER_S
"""How long after its arrival and duration a request is forgotten, if nobody cancels it."""

UNDATED_LIFETIME_NS = 30 * NS_PER_S
"""How long a request without an arrival lives when it is not said again."""

RECONSIDERED_NS = 2 * NS_PER_S
"""A request that was turned down is put to the controller again when its arrival moves by more."""

DEFAULT_MAX_PRESENCE_S = 60.0
"""How long anybody is served at most, unless the operator says otherwise."""

DEFAULT_RESERVICE_S = 10.0
"""How long lights that served public transport do not serve it again, unless the operator says otherwise."""


@dataclass(slots=True)
class LiveRequest:
    """A request that waits or is served.

    Attributes:
        request: as it was said last.
        number: of the order to the controller, and the order in which requests came.
        status: what is answered.
        expires: when it is forgotten.
        is_asked: whether the controller has the order.
        is_outdated: whether what it has is not what was said last.
        granted_at: since when it is granted; None while it is not.
        reason: why that is the answer, for a person.
        is_turned_down: the controller said no; it is not asked again unless something else is wanted.
    """

    request: HeardRequest
    number: int
    expires: MonotonicNs
    status: PrioritizationStatus = PrioritizationStatus.REQUESTED
    is_asked: bool = False
    is_outdated: bool = False
    granted_at: MonotonicNs | None = None
    reason: str = "the signal controller has not been asked yet"
    is_turned_down: bool = False

    @property
    def is_out(self) -> bool:
        """Whether it is not served any more, whatever happens."""
        return self.is_turned_down or self.status is PrioritizationStatus.MAX_PRESENCE


class PriorityControl(Protocol):
    """What of a signal controller is needed here; every `SignalController` has it."""

    def ask_priority(self, request: PriorityRequest, now: Instant) -> PriorityAnswer:
        """Hand a request on and return what is known at once."""
        ...

    def priority(self, key: PriorityKey) -> PriorityAnswer | None:
        """Return what became of a request since; None for one that is not known (any more)."""
        ...


class PriorityQueue:
    """The requests at one junction.

    Args:
        control: the controller that is asked (`SignalController`).
        conflicts: pairs of signal groups whose ways cross.
        max_presence_ns: how long anybody is served at most.
        reservice_ns: how long lights that served public transport do not serve it again.
    """

    def __init__(self, *, control: PriorityControl, conflicts: ConflictingPairs, max_presence_ns: int, reservice_ns: int) -> None:
        self._control = control
        self._conflicts = conflicts
        self._max_presence_ns = max_presence_ns
        self._reservice_ns = reservice_ns
        self._live: dict[RequestKey, LiveRequest] = {}
        self._locked_until: dict[int, MonotonicNs] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._live)

    @property
    def live(self) -> tuple[LiveRequest, ...]:
        """Every request, in the order in which they came."""
        return tuple(self._live.values())

    def put(self, request: HeardRequest, now: Instant) -> None:
        """Take in a request, or what became of one that is known.

        Raises:
            RefusedRequestError: `TOO_MANY`, or `OTHERS_NAME` where another ticket asks under the same name already.
        """
        known = self._live.get(request.key)
        if known is None:
            self._check_name(request, now)
            self._make_room(request, now)
            self._numbers += 1
            known = LiveRequest(request, self._numbers, _expiry(request, now))
            self._live[request.key] = known
            return
        before, known.request, known.expires = known.request, request, _expiry(request, now)
        if request.signal_groups != before.signal_groups:
            known.request = before  # whose lights the grant is over for
            self._withdraw(known, now)
            known.request = request
        known.is_outdated |= (request.arrival, request.departure) != (before.arrival, before.departure)
        if known.is_turned_down and _asks_otherwise(before, request):
            known.is_turned_down, known.status = False, PrioritizationStatus.REQUESTED

    def cancel(self, key: RequestKey, now: Instant) -> bool:
        """Forget a request, served or not; return whether it was there."""
        live = self._live.pop(key, None)
        if live is None:
            return False
        self._withdraw(live, now)
        return True

    def settle(self, now: Instant, *, is_believed: bool) -> None:
        """Bring every status up to date, and the controller with it.

        Args:
            now: the present.
            is_believed: whether the junction's lights are believed.
        """
        for key in [key for key, live in self._live.items() if live.expires <= now.monotonic]:
            self.cancel(key, now)
        self._locked_until = {group: until for group, until in self._locked_until.items() if until > now.monotonic}
        if not is_believed:
            for live in self._live.values():
                self._set_aside(live, PrioritizationStatus.UNKNOWN, "the junction's lights are not believed", now)
            return
        for live in self._live.values():
            self._limit(live, now)
        chosen: list[LiveRequest] = []
        for live in sorted(self._live.values(), key=_first):
            if live.is_out:
                continue
            if self._is_locked(live):
                self._set_aside(live, PrioritizationStatus.RESERVICE_LOCKED, "these lights were served a moment ago", now)
            elif self._crosses(live, chosen):
                self._set_aside(live, PrioritizationStatus.WATCH_OTHER_TRAFFIC, "another request goes first", now)
            else:
                chosen.append(live)
        for live in chosen:
            self._serve(live, now)

    def stop(self, now: Instant) -> None:
        """Take everything back."""
        for key in list(self._live):
            self.cancel(key, now)

    def _serve(self, live: LiveRequest, now: Instant) -> None:
        answer = self._control.priority(live.request.name) if live.is_asked else None
        if live.is_outdated or not live.is_asked:
            action = PriorityAction.UPDATE if live.is_asked else PriorityAction.ASK
            answer = self._control.ask_priority(live.request.order(action), now)
            live.is_asked, live.is_outdated = True, False
        elif answer is None:
            answer = _FORGOTTEN
        live.status, live.reason = answer.status, answer.reason
        if answer.status in _FINAL:
            live.is_turned_down = True
            self._withdraw(live, now)
        elif answer.status is not PrioritizationStatus.GRANTED:
            live.granted_at = None
        elif live.granted_at is None:
            live.granted_at = now.monotonic

    def _set_aside(self, live: LiveRequest, status: PrioritizationStatus, reason: str, now: Instant) -> None:
        """Take an order back from the controller through no fault of who made it: its lights are not locked for that."""
        live.granted_at = None
        self._withdraw(live, now)
        if not live.is_out:
            live.status, live.reason = status, reason

    def _withdraw(self, live: LiveRequest, now: Instant) -> None:
        if live.is_asked:
            live.is_asked = False
            self._control.ask_priority(live.request.order(PriorityAction.CANCEL), now)
        self._lock(live, now)

    def _lock(self, live: LiveRequest, now: Instant) -> None:
        """A grant is over: its lights serve public transport again only after a while."""
        if live.granted_at is None:
            return
        live.granted_at = None
        if live.request.level is PriorityLevel.PUBLIC_TRANSPORT and self._reservice_ns:
            for group in live.request.signal_groups:
                self._locked_until[group] = MonotonicNs(now.monotonic + self._reservice_ns)

    def _limit(self, live: LiveRequest, now: Instant) -> None:
        if live.granted_at is not None and now.monotonic - live.granted_at >= self._max_presence_ns:
            self._withdraw(live, now)
            live.status, live.reason = PrioritizationStatus.MAX_PRESENCE, "it was served as long as anybody may be"

    def _is_locked(self, live: LiveRequest) -> bool:
        """Whether its lights served public transport a moment ago; who is being served stays so, and an emergency does not wait."""
        is_served = live.granted_at is not None
        is_bus = live.request.level is PriorityLevel.PUBLIC_TRANSPORT
        return is_bus and not is_served and any(group in self._locked_until for group in live.request.signal_groups)

    def _crosses(self, live: LiveRequest, chosen: Iterable[LiveRequest]) -> bool:
        return any(
            frozenset({own, other}) in self._conflicts
            for before in chosen
            for own in live.request.signal_groups
            for other in before.request.signal_groups
        )

    def _check_name(self, request: HeardRequest, now: Instant) -> None:
        """Let one ticket speak under one name: the controller and the answers know a request by nothing else.

        Whoever took an emergency vehicle's name first does not keep it.
        """
        for other in self.live:
            if other.request.name != request.name:
                continue
            if other.request.rank >= request.rank:
                raise RefusedRequestError(
                    PriorityRefusal.OTHERS_NAME, f"another ticket asks as station {request.station_id} already"
                )
            self.cancel(other.request.key, now)

    def _make_room(self, request: HeardRequest, now: Instant) -> None:
        """Refuse whoever asks for too much; an emergency vehicle takes the place of the last of public transport."""
        if _asked_by(self._live.values(), request.ticket) >= MAX_LIVE_PER_TICKET:
            raise RefusedRequestError(
                PriorityRefusal.TOO_MANY, f"the ticket has {MAX_LIVE_PER_TICKET} requests at this junction already"
            )
        if len(self._live) < MAX_LIVE:
            return
        last = max(self._live.values(), key=_first)
        if last.request.rank >= request.rank and not last.is_out:
            raise RefusedRequestError(PriorityRefusal.TOO_MANY, f"the junction has {MAX_LIVE} requests already")
        self.cancel(last.request.key, now)


_FORGOTTEN: Final = PriorityAnswer(status=PrioritizationStatus.REJECTED, reason="the signal controller does not know it any more")
_FINAL: Final = frozenset({PrioritizationStatus.REJECTED, PrioritizationStatus.MAX_PRESENCE})


def _first(live: LiveRequest) -> tuple[bool, int, bool, int, int]:
    """Return what puts requests in order; one that is out comes last of all, and one without an arrival wants it at once."""
    return live.is_out, -live.request.rank, live.granted_at is None, live.request.arrival or 0, live.number


def _asks_otherwise(before: HeardRequest, after: HeardRequest) -> bool:
    """Whether a controller that said no may say something else now."""
    if before.signal_groups != after.signal_groups or before.arrival is None or after.arrival is None:
        return before.signal_groups != after.signal_groups
    return abs(before.arrival - after.arrival) > RECONSIDERED_NS


def _asked_by(live: Iterable[LiveRequest], ticket: HashedId8) -> int:
    return sum(each.request.ticket == ticket for each in live)


def _expiry(request: HeardRequest, now: Instant) -> MonotonicNs:
    if request.arrival is None:
        return MonotonicNs(now.monotonic + UNDATED_LIFETIME_NS)
    left_ns = max(0, (request.departure or request.arrival) - now.require_utc()) + GRACE_NS
    return MonotonicNs(now.monotonic + left_ns)
