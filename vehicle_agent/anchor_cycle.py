"""The logic of anchoring, sans-IO: records into a ledger and their proofs back, safe to kill at any moment.

    PENDING -> SUBMITTED -> SEQUENCED -> INCLUDED or WITNESSED

Each arrow is stored before it is acted on, so whatever the log may have heard is known to be possible, and whatever it answered is
kept; what comes at the same time is stored in one transaction. Submitting twice is harmless. Every cycle starts from the store:
which records have no proof, which checkpoint is trusted. A contradiction between two signed checkpoints stops anchoring for good,
keeps both notes as evidence, and is told once as loudly as the agent can; records go on being spooled meanwhile. Only
`acknowledge_evidence` by a person lets it go on.

It hands out requests and takes answers in any order, so a shell with a network carries them out as it can
(`vehicle_agent.online_anchoring`); `vehicle_agent.anchoring` carries them out against a log within reach of a function call. One
submission that fails does not hold up the others: what was answered is kept, proven, and not sent again.
"""

from collections.abc import Callable, Mapping, Sequence

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError, ProofError, SplitViewError, StorageError, V2xError
from shared.ledger.light_client import MAX_ROUND_PROOFS, Advanced, Behind, ClientEvent, LightClient, NotAtIndex, NotWitnessed
from shared.ledger.merkle import MAX_TREE_SIZE
from shared.ledger.policy import Policy
from shared.ledger.proof import proof_of
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.ledger.verify import Included, TrustedCheckpoint
from shared.service.spool import AnchorState, StoredRecord
from shared.stack.effects import Notice
from vehicle_agent.anchor_ports import AnchorStore, Fetch, Request, Submit

POLL_INTERVAL_NS = 2 * NS_PER_S
"""Between two looks at a log that has an entry but no checkpoint over it yet."""

MAX_BACKOFF_NS = 300 * NS_PER_S

MAX_SUBMISSIONS = 64
"""Records submitted in one cycle, all at the same time; the next cycle follows at once while it gets on."""

MAX_CYCLES_WITHOUT_PROOF = 8
"""Cycles (some eight minutes) in which nothing gets on and an index the log gave leads to no proof although its checkpoints are
witnessed; then the log is asked again, which is harmless."""


class AnchorCycle:
    """The logic of anchoring one vehicle's records in one log.

    Args:
        store: records and all that must survive.
        origin: the log.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by: trusted at first where the store has none, else what the log shows is held
            against it once; None where nobody pinned one.

    Raises:
        ProofError: the policy does not know the log, or does not accept the trusted checkpoint in the store, or the pinned one.
        DecodeError: the trusted or the pinned checkpoint is malformed.
        StorageError: the store failed.
    """

    def __init__(self, *, store: AnchorStore, origin: str, policy: Policy, pinned: bytes | None = None) -> None:
        self._store = store
        self._origin = origin
        self._policy = policy
        self._pinned = pinned
        self._due: MonotonicNs | None = None
        self._backoff_ns = POLL_INTERVAL_NS
        self._is_unavailable = False
        self._is_behind = False
        self._is_unwitnessed = False
        self._cycles_waited: dict[bytes, int] = {}
        self._stalls = 0
        self._untold: list[Notice] = []
        self._reload()
        self._due = MonotonicNs(0)

    @property
    def contradiction(self) -> SplitViewError | None:
        """The contradiction that stopped anchoring, if one has."""
        return self._contradiction

    @property
    def trusted(self) -> TrustedCheckpoint | None:
        """The checkpoint everything is measured against."""
        return self._client.trusted

    @property
    def stalls(self) -> int:
        """Cycles so far that ended without any progress although something waits: what answered may be stale."""
        return self._stalls

    def next_due(self) -> MonotonicNs | None:
        """When `requests` has something to ask for again; None if only `wake` can change that."""
        return None if self._contradiction is not None or self._open else self._due

    def wake(self, now: MonotonicNs) -> None:
        """There is a new record: start a cycle now, unless the log is being spared after a failure."""
        if not (self._is_stale or self._is_troubled) or self._due is None:
            self._due = now

    def requests(self, now: MonotonicNs) -> tuple[Request, ...]:
        """Return what is to be carried out next and was not asked for yet.

        Raises:
            StorageError: the store failed; the next call starts again from what is stored.
        """
        if self._contradiction is not None:
            self._keep_evidence(now)
            return ()
        try:
            if not self._open and self._due is not None and now >= self._due:
                self._untold += self._guarded(lambda: self._begin(now), now)
        except StorageError:
            self._fail(now)
            raise
        fresh = tuple(request for request in self._open if request not in self._asked)
        self._asked.update(fresh)
        return fresh

    def submitted(self, indexes: Mapping[Submit, int], now: MonotonicNs) -> tuple[Notice, ...]:
        """Take the log's answers to submissions, and store those that came together in one transaction.

        Raises:
            StorageError: the store failed; the next call of `requests` starts again from what is stored.
        """
        notices: tuple[Notice, ...] = ()
        good: dict[Submit, int] = {}
        for request, index in indexes.items():
            if request in self._open and 0 <= index < MAX_TREE_SIZE:
                good[request] = index
            elif request in self._open:
                notices += self.failed(request, f"the log answered with the index {index}", now)

        def take() -> tuple[Notice, ...]:
            with self._store.together():
                for request, index in good.items():
                    self._store.mark_sequenced(request.entry, index)
            for request, index in good.items():
                self._answered(request)
                self._client.prove(request.entry, index)
            self._has_progressed = True
            looked = self._look(now)
            return (*self._available(), *looked)

        return self._followed(notices, lambda: self._guarded(take, now)) if good else notices

    def fetched(self, request: Fetch, data: bytes, now: MonotonicNs) -> tuple[Notice, ...]:
        """Take the bytes of a path."""
        if request not in self._open:
            return ()

        def take() -> tuple[Notice, ...]:
            self._answered(request)
            notices = self._followed(self._keep(self._client.give(request.path, data)), lambda: self._look(now))
            return (*self._available(), *notices)

        return self._guarded(take, now)

    def failed(self, request: Request, reason: str, now: MonotonicNs) -> tuple[Notice, ...]:
        """Take note that a request could not be carried out: the next cycle waits longer.

        A path that cannot be read ends this one, a submission does not.

        Raises:
            StorageError: the store failed; the next call of `requests` starts again from what is stored.
        """
        if request not in self._open:
            return ()
        if isinstance(request, Fetch):
            self._fail(now)
            return self._unavailable(reason)
        self._answered(request)
        self._is_troubled = True
        return (*self._unavailable(reason), *self._guarded(lambda: self._look(now), now))

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what came up while requests were made, or before the store failed, once."""
        notices, self._untold = tuple(self._untold), []
        return notices

    def tell_later(self, notices: Sequence[Notice]) -> None:
        """The store failed before anybody was told of these: have `take_notices` return them."""
        self._untold[:0] = notices

    def acknowledge_evidence(self, now: MonotonicNs) -> None:
        """A person has looked at the evidence: go on from the trusted checkpoint."""
        if self._contradiction is not None and not self._is_evidence_kept:
            self._store.store_evidence(self._contradiction)
        self._store.acknowledge_evidence()
        self._reload()
        self._due = now

    def _reload(self) -> None:
        """Forget all that is not stored."""
        evidence = self._store.evidence()
        self._contradiction: SplitViewError | None = evidence[0] if evidence else None
        self._is_evidence_kept = True
        self._stored_note = self._store.trusted_note()
        first = self._pinned if self._stored_note is None else self._stored_note
        self._client = LightClient(origin=self._origin, policy=self._policy, trusted_note=first)
        if self._stored_note is None and first is not None:
            self._store.set_trusted_note(first, expected=None)
            self._stored_note = first
        if self._pinned == self._stored_note:
            self._pinned = None
        self._records: dict[bytes, StoredRecord] = {}
        self._open: dict[Request, None] = {}
        self._asked: set[Request] = set()
        self._is_stale = False
        self._reset()

    def _reset(self) -> None:
        """Forget how the last cycle went."""
        self._has_looked = False
        self._is_pinning = False
        self._is_troubled = False
        self._has_progressed = False
        self._has_round_failed_quorum = False

    def _begin(self, now: MonotonicNs) -> tuple[Notice, ...]:
        if self._is_stale:
            self._reload()
        self._due = None
        self._client.abandon()
        self._reset()
        sequenced, unsent = self._store.sequenced(MAX_ROUND_PROOFS), self._store.unsent(MAX_SUBMISSIONS)
        self._records = {record.commitment: record for record in (*sequenced, *unsent)}
        for record in sequenced:
            if record.log_index is not None:
                self._client.prove(record.commitment, record.log_index)
        with self._store.together():
            for record in unsent:
                if record.state is AnchorState.PENDING:
                    self._store.mark_submitted(record.commitment)
        self._open.update(dict.fromkeys(Submit(record.commitment) for record in unsent))
        return self._look(now)

    def _answered(self, request: Request) -> None:
        del self._open[request]
        self._asked.discard(request)

    def _look(self, now: MonotonicNs) -> tuple[Notice, ...]:
        """Once every request is answered: start a round, ask for what it wants, or end the cycle and see when the next is due."""
        if self._open:
            return ()
        notices: tuple[Notice, ...] = ()
        if not self._client.wants():
            if self._is_pinning:
                self._is_pinning, self._pinned = False, None
            if self._client.waiting and self._pinned is not None:
                self._is_pinning = True
                self._client.begin()
                notices = self._keep(self._client.give(CHECKPOINT_PATH, self._pinned))
                if not self._client.wants():
                    self._is_pinning, self._pinned = False, None
            if not self._client.wants() and self._client.waiting and not self._has_looked:
                self._has_looked = True
                self._client.begin()
        for path in self._client.wants():
            self._open[Fetch(path)] = None
        return notices if self._open else self._followed(notices, lambda: self._end(now))

    def _end(self, now: MonotonicNs) -> tuple[Notice, ...]:
        notices = self._give_up_on_indexes()
        sequenced, is_more = self._store.sequenced(MAX_ROUND_PROOFS), bool(self._store.unsent(1))
        if not sequenced and not is_more:
            self._due, self._backoff_ns = None, POLL_INTERVAL_NS
        elif self._is_troubled or not self._has_progressed:
            self._stalls += 1
            self._spare(now)
        else:
            self._backoff_ns = POLL_INTERVAL_NS
            size = 0 if self._client.trusted is None else self._client.trusted.checkpoint.tree_size
            is_more = is_more or any(record.log_index is not None and record.log_index < size for record in sequenced)
            self._due = now if is_more else MonotonicNs(now + POLL_INTERVAL_NS)
        return notices

    def _give_up_on_indexes(self) -> tuple[Notice, ...]:
        """Count in how many cycles an index led to nothing, and have the log asked again where they are too many."""
        if not self._has_looked or self._has_progressed or self._has_round_failed_quorum:
            return ()
        notices: list[Notice] = []
        waiting = {record.commitment: record.log_index for record in self._store.sequenced(MAX_ROUND_PROOFS)}
        self._cycles_waited = {commitment: self._cycles_waited.get(commitment, 0) + 1 for commitment in waiting}
        for commitment, log_index in waiting.items():
            if self._cycles_waited[commitment] > MAX_CYCLES_WITHOUT_PROOF:
                self._store.mark_refuted(commitment)
                self._client.forget(commitment)
                del self._cycles_waited[commitment]
                self._is_troubled = True
                notices.append(Notice("ledger_index_never_came", {"log": self._origin, "log_index": log_index}))
        return tuple(notices)

    def _keep(self, events: tuple[ClientEvent, ...]) -> tuple[Notice, ...]:
        """Take in what the light client showed: trust and proofs are stored in one transaction, and then told of."""
        heard = tuple(notice for event in events for notice in self._heard(event))
        return self._followed(heard, lambda: self._stored(events))

    def _followed(self, notices: tuple[Notice, ...], then: Callable[[], tuple[Notice, ...]]) -> tuple[Notice, ...]:
        """Return notices and those of what comes then; if that fails, it does not take the first ones with it."""
        try:
            return (*notices, *then())
        except V2xError:
            self.tell_later(notices)
            raise

    def _stored(self, events: tuple[ClientEvent, ...]) -> tuple[Notice, ...]:
        """Store trust first, then each proof, and return what there is to tell of them; all of it is stored, or nothing."""
        trusted, is_witnessed = self._client.trusted, self._policy.quorum is not None
        notices: list[Notice] = []
        with self._store.together():
            if trusted is not None and trusted.note != self._stored_note:
                self._store.set_trusted_note(trusted.note, expected=self._stored_note)
            for event in events:
                match event:
                    case Included():
                        proof = proof_of(event).encode()
                        self._store.store_proof(event.entry, log_index=event.index, proof=proof, is_witnessed=is_witnessed)
                        notices.append(self._anchored(event, is_witnessed=is_witnessed))
                    case NotAtIndex(entry, index):
                        self._store.mark_refuted(entry)
                        notices.append(Notice("ledger_wrong_index", {"log": self._origin, "log_index": index}))
        self._stored_note = self._stored_note if trusted is None else trusted.note
        self._has_progressed |= any(isinstance(event, Included) for event in events)
        self._is_troubled |= any(isinstance(event, NotAtIndex) for event in events)
        return tuple(notices)

    def _heard(self, event: ClientEvent) -> tuple[Notice, ...]:
        """Return what there is to tell of an event that leaves nothing to store."""
        match event:
            case NotWitnessed(detail):
                self._has_round_failed_quorum = True
                if not self._is_unwitnessed:
                    self._is_unwitnessed = True
                    return (Notice("ledger_not_witnessed", {"log": self._origin, "detail": detail}),)
            case Behind(tree_size, trusted_size):
                if not self._is_behind:
                    self._is_behind = True
                    sizes = {"tree_size": tree_size, "trusted_size": trusted_size}
                    return (Notice("ledger_behind", {"log": self._origin, **sizes}),)
            case Advanced():
                self._is_behind = self._is_unwitnessed = False
        return ()

    def _anchored(self, included: Included, *, is_witnessed: bool) -> Notice:
        record = self._records.get(included.entry)
        return Notice(
            "odometer_anchored",
            {
                "seq": None if record is None else record.seq,
                "log": self._origin,
                "log_index": included.index,
                "tree_size": included.trusted.checkpoint.tree_size,
                "witnessed": is_witnessed,
            },
        )

    def _guarded(self, step: Callable[[], tuple[Notice, ...]], now: MonotonicNs) -> tuple[Notice, ...]:
        try:
            return step()
        except SplitViewError as contradiction:
            return self._stop(contradiction, now)
        except (ProofError, DecodeError) as error:
            self._fail(now)
            return (Notice("ledger_bad_answer", {"log": self._origin, "code": error.code, "reason": str(error)}),)
        except StorageError:
            self._fail(now)
            raise

    def _stop(self, contradiction: SplitViewError, now: MonotonicNs) -> tuple[Notice, ...]:
        self._contradiction = contradiction
        self._open.clear()
        self._asked.clear()
        self._is_evidence_kept = False
        self._due = now
        self._keep_evidence(now)
        return (split_view_notice(self._origin, contradiction, is_kept=self._is_evidence_kept),)

    def _keep_evidence(self, now: MonotonicNs) -> None:
        """Store the contradiction that stopped anchoring, where that is not done yet: the disk may have been full."""
        if self._contradiction is None or self._is_evidence_kept or (self._due is not None and now < self._due):
            return
        try:
            self._store.store_evidence(self._contradiction)
        except StorageError:
            self._spare(now)
        else:
            self._is_evidence_kept = True

    def _fail(self, now: MonotonicNs) -> None:
        """End the cycle; the next starts from the store, later."""
        self._open.clear()
        self._asked.clear()
        self._is_stale = True
        self._stalls += 1
        self._spare(now)

    def _spare(self, now: MonotonicNs) -> None:
        """Leave the log alone, longer each time."""
        self._due = MonotonicNs(now + self._backoff_ns)
        self._backoff_ns = min(2 * self._backoff_ns, MAX_BACKOFF_NS)

    def _unavailable(self, reason: str) -> tuple[Notice, ...]:
        if self._is_unavailable:
            return ()
        self._is_unavailable = True
        return (Notice("ledger_unavailable", {"log": self._origin, "reason": reason}),)

    def _available(self) -> tuple[Notice, ...]:
        """The log is there again once a whole cycle went well: one that answers this and not that would be told of for ever."""
        if not self._is_unavailable or self._is_troubled or self._open:
            return ()
        self._is_unavailable = False
        return (Notice("ledger_available", {"log": self._origin}),)


def split_view_notice(origin: str, contradiction: SplitViewError, *, is_kept: bool) -> Notice:
    """Return the loudest thing an agent has to say about a log: both notes, and whether they are stored as evidence."""
    return Notice(
        "ledger_split_view",
        {
            "log": origin,
            "reason": str(contradiction),
            "evidence_kept": is_kept,
            "trusted_note": contradiction.trusted_note.decode("utf-8", "replace"),
            "conflicting_note": contradiction.conflicting_note.decode("utf-8", "replace"),
        },
    )
