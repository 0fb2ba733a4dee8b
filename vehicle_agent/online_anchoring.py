"""Anchors the vehicle's records in a log on a network: asks at one poll, takes the answers at another, and waits for nothing.

    OnlineAnchoring.poll -> Errands.ask .. ledger_courier carries them out .. Errands.answer -> the next poll

What is asked, in which order, and what survives a power cut is `vehicle_agent.anchor_cycle`'s, the same as for the embedded ledger.
Months offline make the spool grow and nothing else. What the log's places answered is judged here by what came of it: answers that
led nowhere make the courier's client prefer another place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import StorageError
from shared.ledger.light_client import MAX_ROUND_PROOFS
from shared.ledger.policy import Policy
from shared.ledger.tiles import MAX_TILE_LEVEL
from shared.stack.effects import Notice
from vehicle_agent.anchor_cycle import MAX_SUBMISSIONS
from vehicle_agent.anchor_ports import AnchorStore, Fetch, Request, Submit
from vehicle_agent.anchors import Anchors

MAX_ERRANDS = 2 * (MAX_SUBMISSIONS + MAX_ROUND_PROOFS * (MAX_TILE_LEVEL + 1))
"""Requests asked for and not answered: those of one cycle, and as many of one that was given up."""

_TROUBLE = frozenset(("ledger_bad_answer", "ledger_behind", "ledger_split_view"))


@dataclass(frozen=True, slots=True)
class Failure:
    """A request could not be carried out; `reason` is a sentence."""

    reason: str


Answer = int | bytes | Failure
"""An index, the bytes of a path, or why neither."""


@dataclass(slots=True)
class Errands:
    """Requests on their way to a log, and answers on their way back; one thread, no waiting.

    Attributes:
        on_asked: called when there is something to take; whoever carries requests out sets it.
        on_judged: told whether what was read lately led anywhere.
    """

    on_asked: Callable[[], None] = lambda: None
    on_judged: Callable[[bool], None] = lambda _is_good: None
    _asked: dict[Request, None] = field(default_factory=dict)
    _under_way: set[Request] = field(default_factory=set)
    _answers: dict[Request, Answer] = field(default_factory=dict)

    def ask(self, request: Request) -> None:
        """Have a request carried out, once, however often it is asked before it is answered."""
        if request in self._asked or request in self._under_way:
            return
        if self.waiting >= MAX_ERRANDS:
            self._answers[request] = Failure(f"{MAX_ERRANDS} requests wait already")
            return
        self._asked[request] = None
        self.on_asked()

    def take(self) -> tuple[Request, ...]:
        """Return what is to be carried out; each is to be answered."""
        taken = tuple(self._asked)
        self._asked.clear()
        self._under_way.update(taken)
        return taken

    def answer(self, request: Request, answer: Answer) -> bool:
        """Bring an answer back; return whether it is the first since answers were last fetched."""
        is_first = not self._answers
        self._under_way.discard(request)
        self._answers[request] = answer
        return is_first

    def answers(self) -> tuple[tuple[Request, Answer], ...]:
        """Return the answers that have come, once."""
        come = tuple(self._answers.items())
        self._answers.clear()
        return come

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._asked) + len(self._under_way)


class OnlineAnchoring(Anchors):
    """Anchors the records of one vehicle in a log that somebody else asks.

    Args:
        store: records and all that must survive.
        errands: takes requests, brings answers.
        origin: the log's origin.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by.

    Raises:
        V2xError: as `Anchors` does.
    """

    def __init__(self, *, store: AnchorStore, errands: Errands, origin: str, policy: Policy, pinned: bytes | None = None) -> None:
        super().__init__(store=store, origin=origin, policy=policy, pinned=pinned)
        self._errands = errands
        self._stalls = 0

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Take the answers that have come, ask for what is wanted next, and return what there is to tell.

        A contradiction is told once after every start.

        Raises:
            StorageError: the vehicle's own store failed. A failure of the log is told, not raised, and tried again later.
        """
        notices: list[Notice] = []
        try:
            self._store.check_some()
            indexes: dict[Submit, int] = {}
            for request, answer in self._errands.answers():
                notices += self._take(request, answer, indexes, now.monotonic)
            if indexes:
                notices += self._cycle.submitted(indexes, now.monotonic)
            if self._cycle.contradiction is None and self._store.has_pending():
                self._cycle.wake(now.monotonic)
            for request in self._cycle.requests(now.monotonic):
                self._errands.ask(request)
        except StorageError:
            self._cycle.tell_later(notices)
            raise
        notices += self._cycle.take_notices()
        self._judge(notices)
        return (*notices, *self._tell_contradiction(notices))

    def _take(self, request: Request, answer: Answer, indexes: dict[Submit, int], now: MonotonicNs) -> tuple[Notice, ...]:
        """Take an answer; the index of a submission is added to those that are stored together."""
        match request, answer:
            case _, Failure(reason):
                return self._cycle.failed(request, reason, now)
            case Submit() as submission, int(index):
                indexes[submission] = index
                return ()
            case Fetch(), bytes(data):
                return self._cycle.fetched(request, data, now)
            case _:
                return self._cycle.failed(request, "the log's answer is of the wrong kind", now)

    def _judge(self, notices: list[Notice]) -> None:
        kinds = {notice.kind for notice in notices}
        if kinds & _TROUBLE or self._cycle.stalls != self._stalls:
            self._errands.on_judged(False)
        elif "odometer_anchored" in kinds:
            self._errands.on_judged(True)
        self._stalls = self._cycle.stalls
