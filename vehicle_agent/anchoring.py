"""Anchors the vehicle's records in a log within reach of a function call: the embedded ledger, or a client that waits.

What is asked, in which order, and what survives a power cut is `vehicle_agent.anchor_cycle`'s; this carries it out at once.
"""

from typing import Protocol

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import SplitViewError, StorageError, TransportError
from shared.ledger.policy import Policy
from shared.ledger.verify import TrustedCheckpoint
from shared.service.spool import AnchorState
from shared.stack.effects import Notice
from vehicle_agent.anchor_cycle import AnchorCycle, AnchorStore, Fetch, Request, Submit, split_view_notice

MAX_REQUESTS_AT_ONCE = 10_000
"""Requests that `Anchoring.poll` carries out before it gives way to other work."""


class LedgerTransport(Protocol):
    """A log within reach: `LogStore` in the same process, or a client of one elsewhere."""

    def submit(self, entry: bytes) -> int:
        """Append an entry and return its index; raises `TransportError` or `StorageError`."""
        ...

    def read(self, path: str) -> bytes:
        """Return the bytes at a tlog-tiles path; raises `TransportError` or `StorageError`."""
        ...


class Anchoring:
    """Anchors the records of one vehicle in a log within reach of a function call.

    Args:
        store: records and all that must survive.
        transport: the log.
        origin: its origin.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by, see `AnchorCycle`.

    Raises:
        ProofError: the policy does not know the log, or does not accept the trusted checkpoint in the store, or the pinned one.
        DecodeError: the trusted or the pinned checkpoint is malformed.
        StorageError: the store failed.
    """

    def __init__(
        self, *, store: AnchorStore, transport: LedgerTransport, origin: str, policy: Policy, pinned: bytes | None = None
    ) -> None:
        self._store = store
        self._transport = transport
        self._origin = origin
        self._cycle = AnchorCycle(store=store, origin=origin, policy=policy, pinned=pinned)
        self._has_told = False

    @property
    def contradiction(self) -> SplitViewError | None:
        """The contradiction that stopped anchoring, if one has."""
        return self._cycle.contradiction

    @property
    def trusted(self) -> TrustedCheckpoint | None:
        """The checkpoint everything is measured against."""
        return self._cycle.trusted

    def counts(self) -> dict[str, int]:
        """Return how many records are in each state, by the state's name in lower case."""
        return {state.name.lower(): count for state, count in self._store.counts().items()}

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Carry out all that is due and return what there is to tell; a contradiction is told once after every start.

        Raises:
            StorageError: the vehicle's own store failed. A failure of the log is told, not raised, and tried again later.
        """
        if self._cycle.contradiction is not None:
            return self._tell_contradiction()
        if self._store.counts()[AnchorState.PENDING]:
            self._cycle.wake(now.monotonic)
        notices: list[Notice] = []
        carried_out = 0
        while carried_out < MAX_REQUESTS_AT_ONCE and (requests := self._cycle.requests(now.monotonic)):
            for request in requests:
                carried_out += 1
                notices += self._carry_out(request, now.monotonic)
        notices += self._cycle.take_notices()
        self._has_told = self._cycle.contradiction is not None
        return tuple(notices)

    def acknowledge_evidence(self, now: Instant) -> None:
        """A person has looked at the evidence: go on from the trusted checkpoint."""
        self._cycle.acknowledge_evidence(now.monotonic)
        self._has_told = False

    def _tell_contradiction(self) -> tuple[Notice, ...]:
        if self._has_told or self._cycle.contradiction is None:
            return ()
        self._has_told = True
        return (split_view_notice(self._origin, self._cycle.contradiction, is_kept=True),)

    def _carry_out(self, request: Request, now: MonotonicNs) -> tuple[Notice, ...]:
        try:
            answer = self._transport.submit(request.entry) if isinstance(request, Submit) else self._transport.read(request.path)
        except (TransportError, StorageError) as error:
            return self._cycle.failed(request, str(error), now)
        if isinstance(request, Submit) and isinstance(answer, int):
            return self._cycle.submitted(request, answer, now)
        if isinstance(request, Fetch) and isinstance(answer, bytes):
            return self._cycle.fetched(request, answer, now)
        return self._cycle.failed(request, "the log's answer is of the wrong kind", now)
