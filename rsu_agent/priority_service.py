"""SREM and SSEM of one junction (TS 103 301 V1.3.1 on ISO/TS 19091): requests for priority, and what becomes of each.

    Verified[Srem] -> check_sender, read_request -> queue -> controller          refused: counted, kept for the operator, answered
    poll            -> verdicts -> SSEM, at once when an answer changes, and every second while there is one

Whose ticket may not ask at all is never heard here: `permission_denied` before. A request that is refused here is answered
`REJECTED` for a few seconds, unless it speaks in another station's name. Requests for other junctions are not ours to answer.

A sender may repeat itself as often as it likes: answers go out no closer together than `LEAST_INTERVAL_NS`, and the controller
hears of changes no oftener. A message that was held back until its sender had said something newer changes nothing. Left out:
requests relayed for others, and priority that no vehicle asked for.
"""

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from rsu_agent.map_data import JunctionMap
from rsu_agent.priority_queue import DEFAULT_MAX_PRESENCE_S, DEFAULT_RESERVICE_S, LiveRequest, PriorityControl, PriorityQueue
from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from rsu_agent.priority_requests import RequestKey, answer, answer_to, check_sender, read_request
from rsu_agent.priority_ways import describe
from rsu_agent.signal_controllers import ConflictingPairs
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.ids import HashedId8, StationId
from shared.core.itstime import Time64, utc_text
from shared.messages.srem import PriorityRequestType, SignalRequest, Srem
from shared.messages.ssem import PrioritizationStatus, RequestStatus, SignalStatus, Ssem
from shared.messages.time_mark import minute_of_year, ms_of_minute
from shared.service.config import ConfigStruct
from shared.stack.effects import Notice
from shared.stack.indication import Verified

REPEAT_NS = NS_PER_S
"""How often answers are said again while there are any."""

LEAST_INTERVAL_NS = 100 * NS_PER_MS
"""Answers are no closer together, however many requests come; and how often the controller is looked at."""

REFUSAL_LINGERS_NS = 5 * NS_PER_S
"""How long a refused request is answered."""

MAX_REFUSED_ANSWERED = 8
"""Most refused requests answered at a time; beyond it the oldest gives way."""

MAX_REFUSALS_SHOWN = 16
"""Latest refusals in the status."""

UNANSWERED: Final = frozenset({PriorityRefusal.OTHERS_NAME})
"""Refusals of which nothing is said on the air: the answer would be another's."""

MAX_NOTICES_PER_S = 8
"""Most changes told in a second; further ones are counted."""

MAX_SENDERS = 64
"""Tickets of which it is remembered when they signed what was heard last; beyond it the one heard longest ago is forgotten."""

MSG_COUNT = 128
"""`MsgCount` runs from 0 to 127."""


class PriorityPolicy(ConfigStruct, frozen=True, kw_only=True):
    """`[junction.priority]`: what the operator decides.

    Attributes:
        max_distance_m: how far from the junction a vehicle may be that asks.
        max_presence_s: how long anybody is served at most.
        reservice_s: how long lights that served public transport do not serve it again.
    """

    max_distance_m: Annotated[float, msgspec.Meta(ge=50.0, le=5_000.0)] = 1_000.0
    max_presence_s: Annotated[float, msgspec.Meta(ge=5.0, le=600.0)] = DEFAULT_MAX_PRESENCE_S
    reservice_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)] = DEFAULT_RESERVICE_S


DEFAULT_POLICY: Final = PriorityPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A request that was refused.

    Attributes:
        ticket: who asked.
        station_id: as it calls itself.
        error: why.
        at: when.
        answer: what it is told; None where it is told nothing.
    """

    ticket: HashedId8
    station_id: StationId
    error: RefusedRequestError
    at: Instant
    answer: RequestStatus | None


class PriorityService:
    """Answers whoever asks one junction for priority.

    Args:
        control: the controller that is asked.
        junction: the lanes.
        conflicts: pairs of signal groups whose ways cross.
        station_id: the station that answers.
        policy: what the operator decides.
    """

    def __init__(
        self,
        *,
        control: PriorityControl,
        junction: JunctionMap,
        conflicts: ConflictingPairs,
        station_id: StationId,
        policy: PriorityPolicy = DEFAULT_POLICY,
    ) -> None:
        self._junction = junction
        self._station_id = station_id
        self._policy = policy
        self._queue = PriorityQueue(
            control=control,
            conflicts=conflicts,
            max_presence_ns=round(policy.max_presence_s * NS_PER_S),
            reservice_ns=round(policy.reservice_s * NS_PER_S),
        )
        self._refused: dict[RequestKey, Refused] = {}
        self._latest: deque[Refused] = deque(maxlen=MAX_REFUSALS_SHOWN)
        self._last_signed: OrderedDict[HashedId8, Time64] = OrderedDict()
        self._counters: Counter[str] = Counter()
        self._answers: tuple[RequestStatus, ...] = ()
        self._told: dict[int, PrioritizationStatus] = {}
        self._sequence_number = 0
        self._next_settle: MonotonicNs | None = None
        self._next_repeat: MonotonicNs | None = None
        self._not_before = MonotonicNs(0)
        self._notices_from = MonotonicNs(0)
        self._notices_left = MAX_NOTICES_PER_S

    @property
    def counters(self) -> dict[str, int]:
        """What was done: `requests`, `cancelled`, `nothing_to_cancel`, `elsewhere`, `outdated`, `answers`; and refusals."""
        return dict(self._counters)

    @property
    def refusals(self) -> tuple[Refused, ...]:
        """The latest refusals, the last one first."""
        return tuple(reversed(self._latest))

    def hear(self, indication: Verified[Srem], now: Instant) -> tuple[RefusedRequestError, ...]:
        """Take in one verified SREM; return what of it is refused, for whoever counts refusals.

        Raises:
            UntrustedTimeError: UTC is not known, so no arrival can be told.
        """
        now.require_utc()
        own = [wish for wish in indication.message.requests if wish.id == self._junction.intersection_id]
        self._counters["elsewhere"] += len(indication.message.requests) - len(own)
        if not own:
            return ()
        if not self._is_newer(indication):
            self._counters["outdated"] += 1
            return ()
        try:
            check_sender(indication, now)
        except RefusedRequestError as refusal:
            self._refuse(indication, own[0], refusal, now, is_answered=refusal.refusal not in UNANSWERED)
            return (refusal,)
        refusals = []
        for wish in own:
            try:
                self._take(indication, wish, now)
            except RefusedRequestError as refusal:
                self._refuse(indication, wish, refusal, now, is_answered=refusal.refusal not in UNANSWERED)
                refusals.append(refusal)
        return tuple(refusals)

    def poll(self, now: Instant, *, is_believed: bool) -> tuple[Ssem | Notice, ...]:
        """Return the answers that are due at `now`, and a notice whenever the answer to a request that is served or waits changes.

        Args:
            now: the present.
            is_believed: whether the junction's lights are believed; while they are not nobody is let through.
        """
        due = self.next_due()
        if due is None or due > now.monotonic:
            return ()
        if now.utc is None:
            self._next_settle = MonotonicNs(now.monotonic + REPEAT_NS)
            return ()
        self._queue.settle(now, is_believed=is_believed)
        self._refused = {
            key: refused for key, refused in self._refused.items() if now.monotonic - refused.at.monotonic < REFUSAL_LINGERS_NS
        }
        answers = (
            *(_answer(live) for live in self._queue.live),
            *(r.answer for r in self._refused.values() if r.answer is not None),
        )
        has_changed, self._answers = answers != self._answers, answers
        self._not_before = MonotonicNs(now.monotonic + LEAST_INTERVAL_NS)
        notices = self._news(now)
        if not answers:
            self._next_settle = self._next_repeat = None
            return notices
        self._next_settle = self._not_before
        if not has_changed and self._next_repeat is not None and now.monotonic < self._next_repeat:
            return notices
        if has_changed:
            self._sequence_number = (self._sequence_number + 1) % MSG_COUNT
        self._next_repeat = MonotonicNs(now.monotonic + REPEAT_NS)
        self._counters["answers"] += 1
        return (*notices, self._message(now))

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to do; None while nobody asks."""
        return self._next_settle

    def stop(self, now: Instant) -> None:
        """Take back everything that the controller was asked."""
        self._queue.stop(now)
        self._next_settle = None

    def status(self, now: Instant) -> dict[str, object]:
        """Return requests, refusals and counters as JSON values."""
        return {
            "requests": [_live_status(live, now) for live in self._queue.live],
            "refusals": [_refused_status(refused) for refused in self.refusals],
            "counters": self.counters,
        }

    def _is_newer(self, indication: Verified[Srem]) -> bool:
        """Tell whether a message was signed after all that was heard of its ticket: what overtook it on the way counts."""
        ticket, signed = indication.signer.hashed_id8, indication.generation_time
        before = self._last_signed.get(ticket)
        if before is not None and signed <= before:
            return False
        self._last_signed[ticket] = signed
        self._last_signed.move_to_end(ticket)
        if len(self._last_signed) > MAX_SENDERS:
            self._last_signed.popitem(last=False)
        return True

    def _take(self, indication: Verified[Srem], wish: SignalRequest, now: Instant) -> None:
        ticket = indication.signer.hashed_id8
        key = ticket, wish.request_id
        if wish.request_type == PriorityRequestType.PRIORITY_CANCELLATION:
            was_there = self._queue.cancel(key, now)
            self._counters["cancelled" if was_there else "nothing_to_cancel"] += 1
            self._wake(now)
            return
        if wish.request_type not in (PriorityRequestType.PRIORITY_REQUEST, PriorityRequestType.PRIORITY_REQUEST_UPDATE):
            raise RefusedRequestError(
                PriorityRefusal.UNKNOWN_KIND, f"a request of kind {int(wish.request_type)} means nothing here"
            )
        request = read_request(indication, wish, self._junction, now, max_distance_m=self._policy.max_distance_m)
        self._queue.put(request, now)
        self._refused.pop(key, None)
        self._counters["requests"] += 1
        self._wake(now)

    def _refuse(
        self, indication: Verified[Srem], wish: SignalRequest, refusal: RefusedRequestError, now: Instant, *, is_answered: bool
    ) -> None:
        """Count a refusal, keep it for the operator, and where it is answered end what the sender may have asked before."""
        srem, ticket = indication.message, indication.signer.hashed_id8
        self._counters[refusal.code] += 1
        refused = Refused(
            ticket=ticket,
            station_id=srem.station_id,
            error=refusal,
            at=now,
            answer=answer_to(srem, wish, PrioritizationStatus.REJECTED) if is_answered else None,
        )
        self._latest.append(refused)
        if not is_answered:
            return
        key = ticket, wish.request_id
        self._queue.cancel(key, now)
        self._refused.pop(key, None)
        if len(self._refused) >= MAX_REFUSED_ANSWERED:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = refused
        self._wake(now)

    def _wake(self, now: Instant) -> None:
        """Look again at once, or as soon as answers may be said again."""
        soon = max(now.monotonic, self._not_before)
        self._next_settle = soon if self._next_settle is None else min(soon, self._next_settle)

    def _news(self, now: Instant) -> tuple[Notice, ...]:
        """Return what has changed, so much of it in a second: who asks and cancels without end does not fill the journal."""
        told, self._told = self._told, {live.number: live.status for live in self._queue.live}
        news = [live for live in self._queue.live if told.get(live.number) is not live.status]
        if now.monotonic - self._notices_from >= NS_PER_S:
            self._notices_from, self._notices_left = now.monotonic, MAX_NOTICES_PER_S
        shown = news[: self._notices_left]
        self._notices_left -= len(shown)
        if len(shown) < len(news):
            self._counters["notices_withheld"] += len(news) - len(shown)
        return tuple(Notice("priority", _news_of(live)) for live in shown)

    def _message(self, now: Instant) -> Ssem:
        utc = now.require_utc()
        return Ssem(
            station_id=self._station_id,
            minute_of_year=minute_of_year(utc),
            timestamp_ms=ms_of_minute(utc),
            sequence_number=self._sequence_number,
            statuses=(
                SignalStatus(id=self._junction.intersection_id, sequence_number=self._sequence_number, requests=self._answers),
            ),
        )


def _answer(live: LiveRequest) -> RequestStatus:
    request = live.request
    return answer(
        request.wish,
        requester=request.requester,
        kind=request.kind,
        sequence_number=request.sequence_number,
        status=live.status,
    )


def _news_of(live: LiveRequest) -> dict[str, object]:
    request = live.request
    return {
        "ticket": request.ticket.hex(),
        "request": request.wish.request_id,
        "level": request.level.value,
        "signal_groups": sorted(request.signal_groups),
        "status": live.status.name.lower(),
        "reason": live.reason,
    }


def _live_status(live: LiveRequest, now: Instant) -> dict[str, object]:
    request = live.request
    return {
        **_news_of(live),
        "station_id": request.station_id,
        "inbound": describe(request.wish.inbound),
        "outbound": None if request.wish.outbound is None else describe(request.wish.outbound),
        "arrival": None if request.arrival is None else utc_text(request.arrival),
        "granted_s": None if live.granted_at is None else round((now.monotonic - live.granted_at) / NS_PER_S, 1),
        "expires_s": round((live.expires - now.monotonic) / NS_PER_S, 1),
    }


def _refused_status(refused: Refused) -> dict[str, object]:
    return {
        "ticket": refused.ticket.hex(),
        "station_id": refused.station_id,
        "utc": None if refused.at.utc is None else utc_text(refused.at.utc),
        "reason": refused.error.code,
        "detail": str(refused.error),
    }
