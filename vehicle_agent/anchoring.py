"""Anchors the vehicle's records in a log within reach of a function call: the embedded ledger, or a client that waits.

What is asked, in which order, and what survives a power cut is `vehicle_agent.anchor_cycle`'s; this carries it out at once.
"""

from typing import Protocol

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import StorageError, TransportError
from shared.ledger.policy import Policy
from shared.stack.effects import Notice
from vehicle_agent.anchor_ports import AnchorStore, Fetch, Request, Submit
from vehicle_agent.anchors import Anchors

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


class Anchoring(Anchors):
    """Anchors the records of one vehicle in a log within reach of a function call.

    Args:
        store: records and all that must survive.
        transport: the log.
        origin: its origin.
        policy: its key and the witnesses' quorum.
        pinned: a checkpoint note the log must stand by.

    Raises:
        V2xError: as `Anchors` does.
    """

    def __init__(
        self, *, store: AnchorStore, transport: LedgerTransport, origin: str, policy: Policy, pinned: bytes | None = None
    ) -> None:
        super().__init__(store=store, origin=origin, policy=policy, pinned=pinned)
        self._transport = transport

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Carry out all that is due and return what there is to tell; a contradiction is told once after every start.

        Raises:
            StorageError: the vehicle's own store failed. A failure of the log is told, not raised, and tried again later.
        """
        notices: list[Notice] = []
        try:
            self._store.check_some()
            if self._store.has_pending():
                self._cycle.wake(now.monotonic)
            carried_out = 0
            while carried_out < MAX_REQUESTS_AT_ONCE and (requests := self._cycle.requests(now.monotonic)):
                carried_out += len(requests)
                indexes: dict[Submit, int] = {}
                for request in requests:
                    notices += self._carry_out(request, indexes, now.monotonic)
                if indexes:
                    notices += self._cycle.submitted(indexes, now.monotonic)
        except StorageError:
            self._cycle.tell_later(notices)
            raise
        notices += self._cycle.take_notices()
        return (*notices, *self._tell_contradiction(notices))

    def _carry_out(self, request: Request, indexes: dict[Submit, int], now: MonotonicNs) -> tuple[Notice, ...]:
        """Ask the log; the index of a submission is added to those that are stored together."""
        try:
            answer = self._transport.submit(request.entry) if isinstance(request, Submit) else self._transport.read(request.path)
        except (TransportError, StorageError) as error:
            return self._cycle.failed(request, str(error), now)
        if isinstance(request, Submit) and isinstance(answer, int):
            indexes[request] = answer
            return ()
        if isinstance(request, Fetch) and isinstance(answer, bytes):
            return self._cycle.fetched(request, answer, now)
        return self._cycle.failed(request, "the log's answer is of the wrong kind", now)
