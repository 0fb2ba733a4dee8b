"""Keeps evidence while a unit runs: a thread that owns the file, and a task that feeds it and takes batches to the ledger.

    every second        what waits is stored, in one transaction
    every minute        a batch is closed, old batches leave, and the ledger is asked until every batch is proven

The working loop never waits for the disk: a signal is told in time, and what the power cuts off within the second after is not in
the evidence. A disk that fails is told once and tried again; meanwhile records wait (`evidence_desk.MAX_WAITING`). On one that is
full the oldest evidence makes room for the newest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from rsu_agent.evidence_anchoring import Aside, EvidenceAnchoring, LedgerMedium, StoreWork
from rsu_agent.evidence_desk import Chain, EvidenceDesk
from rsu_agent.evidence_format import Dropped
from rsu_agent.evidence_store import EvidenceStore, open_evidence
from shared.core.clock import NS_PER_S, Clock, Instant, MonotonicNs, UtcNs
from shared.core.entropy import Entropy
from shared.core.errors import StorageError
from shared.ledger.policy import Policy
from shared.records.evidence_record import MAX_BATCH_RECORDS
from shared.service.database import Connect, connect_sqlite, is_disk_full
from shared.service.state_lock import locked
from shared.stack.effects import Effect, Evidence, Notice, Transmit

FLUSH_S = 1.0
"""Seconds between two transactions: what a power cut can take."""

ANCHOR_PAUSE_NS = 2 * NS_PER_S
"""Between two looks at a ledger that has not proven everything."""

MAX_ANCHOR_PAUSE_NS = 300 * NS_PER_S
"""The same where it failed again and again."""

MAX_AGED = 4
"""Batches that leave in a minute for their age: more than come, but a clock set to a wrong year takes not all there is with it."""

SHARE_OF_OTHERS = 4
"""What others made the unit write has at most this part of the room."""

T = TypeVar("T")

Tell = Callable[[Notice, Instant], None]


class EvidenceKeeper:
    """Evidence of one unit.

    Args:
        desk: takes down what happens.
        aside: the way to the store.
        station_id: the unit.
        clock: dates batches.
        max_age_ns: what is older leaves.
        max_bytes: of records.
        anchoring: takes batches to a ledger; None where none is configured.
        tell: tells the operator.
    """

    def __init__(
        self,
        *,
        desk: EvidenceDesk,
        aside: Aside,
        station_id: int,
        clock: Clock,
        max_age_ns: int,
        max_bytes: int,
        anchoring: EvidenceAnchoring | None,
        tell: Tell,
    ) -> None:
        self.desk = desk
        self._aside = aside
        self._station_id = station_id
        self._clock = clock
        self._max_age_ns = max_age_ns
        self._max_bytes = max_bytes
        self._anchoring = anchoring
        self._tell = tell
        self._anchor_due = MonotonicNs(0)
        self._has_begun = False
        self._is_over = False
        self._pause_ns = ANCHOR_PAUSE_NS
        self._trouble: str | None = None
        self._dropped_unproven = 0
        self._state: dict[str, object] = {}

    def performed(self, effect: Effect) -> None:
        """Take down what was carried out: a packet that went out, or something the unit was told and did not believe."""
        match effect:
            case Transmit(packet):
                self.desk.sent(packet)
            case Evidence():
                self.desk.disbelieved(effect, self._clock.now())
            case _:
                pass

    async def run(self) -> None:
        """Keep evidence until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self.step))
            if self._anchoring is not None:
                tasks.create_task(self._repeat(self.anchor))

    async def step(self) -> None:
        """Store what waits; at the end of a minute close a batch and let old ones go."""
        now = self._clock.now()
        try:
            self._is_over |= self.desk.tick(now)
            if not self._has_begun:  # what a run before left behind is of no minute of this one
                await self._close_batches(now)
                self._has_begun = True
            await self._store()
            if self._is_over or await self._aside(EvidenceStore.unbatched) >= MAX_BATCH_RECORDS:
                await self._close_batches(now)
                self._is_over = False
                self._anchor_due = now.monotonic
            self._state = await self._aside(EvidenceStore.status)
        except StorageError as failure:
            self._failed(failure, now)
            if is_disk_full(failure):
                await self._make_room(now)
        else:
            self._works(now)

    async def anchor(self) -> None:
        """Take one round to the ledger if one is due."""
        now = self._clock.now()
        if self._anchoring is None or now.monotonic < self._anchor_due:
            return
        try:
            for notice in await self._anchoring.round():
                self._tell(notice, self._clock.now())
        except StorageError as failure:
            self._failed(failure, now)
        is_well = self._anchoring.trouble is None
        self._pause_ns = ANCHOR_PAUSE_NS if is_well else min(2 * self._pause_ns, MAX_ANCHOR_PAUSE_NS)
        self._anchor_due = MonotonicNs(now.monotonic + self._pause_ns)

    async def finish(self) -> None:
        """Store what still waits and close the last batch: the unit stops."""
        now = self._clock.now()
        try:
            self.desk.close(now)
            await self._store()
            await self._close_batches(now)
        except StorageError as failure:
            self._failed(failure, now)

    def status(self) -> dict[str, object]:
        """Return how much there is and what fails, as JSON values."""
        anchoring = self._anchoring
        return {
            **self._state,
            "waiting": self.desk.waiting,
            "lost": self.desk.lost,
            "dropped_unproven": self._dropped_unproven,
            "trouble": self._trouble,
            "ledger": None
            if anchoring is None
            else {
                "proven": anchoring.proven,
                "trouble": anchoring.trouble,
                "contradiction": None if anchoring.contradiction is None else str(anchoring.contradiction),
            },
        }

    async def _store(self) -> None:
        waiting = self.desk.take()
        if waiting.entries or waiting.certificates:
            await self._aside(lambda store: store.append(waiting.entries, waiting.certificates))
            self.desk.stored(waiting)

    async def _close_batches(self, now: Instant) -> None:
        while await self._aside(lambda store: store.close_batch(self._station_id, now.utc)) is not None:
            pass
        while await self._aside(lambda store: store.thin(max_bytes=self._max_bytes // SHARE_OF_OTHERS)):
            pass
        before = None if now.utc is None else UtcNs(now.utc - self._max_age_ns)
        self._dropped(await self._aside(lambda store: store.expire(before=before, max_bytes=self._max_bytes, most=MAX_AGED)), now)
        while (dropped := await self._aside(lambda store: store.expire(before=None, max_bytes=self._max_bytes))).batches:
            self._dropped(dropped, now)

    async def _make_room(self, now: Instant) -> None:
        """Let the oldest batch go: what is said now counts for more, and a full disk would else stay full for good."""
        with suppress(StorageError):
            self._dropped(await self._aside(lambda store: store.expire(before=None, max_bytes=0, most=1)), now)

    def _dropped(self, dropped: Dropped, now: Instant) -> None:
        if unproven := dropped.unproven:
            self._dropped_unproven += unproven
            fields = {"batches": unproven, "reason": "no room, or too old, and the ledger has not proven them"}
            self._tell(Notice("evidence_dropped_unproven", fields), now)

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await work()
            await asyncio.sleep(FLUSH_S)

    def _failed(self, failure: StorageError, now: Instant) -> None:
        is_new, self._trouble = self._trouble is None, str(failure)
        if is_new:
            self._tell(Notice("evidence_not_kept", {"reason": str(failure)}), now)

    def _works(self, now: Instant) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._tell(Notice("evidence_kept", {"waiting": self.desk.waiting}), now)


@asynccontextmanager
async def open_keeper(
    path: Path,
    *,
    station_id: int,
    clock: Clock,
    entropy: Entropy,
    chain: Chain,
    max_age_ns: int,
    max_bytes: int,
    ledger: tuple[LedgerMedium, str, Policy, bytes | None] | None,
    tell: Tell,
    connect: Connect = connect_sqlite,
) -> AsyncIterator[EvidenceKeeper]:
    """Open the file and what keeps it; the caller runs `run`. What waits at the end is stored.

    Args:
        path: the file.
        station_id: the unit.
        clock: dates batches.
        entropy: draws salts.
        chain: says under which certificates the unit signs.
        max_age_ns: what is older leaves.
        max_bytes: of records.
        ledger: way, origin, policy and pinned checkpoint of a log; None where there is none.
        tell: tells the operator.
        connect: opens SQLite.

    Raises:
        StorageError: the file is another program's or in use by one, or cannot be made.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evidence")
    loop = asyncio.get_running_loop()
    taken = ExitStack()
    try:
        taken.enter_context(locked(path))
        opened = await loop.run_in_executor(thread, open_evidence, path, connect)
        store = opened.store

        async def aside(work: StoreWork[T]) -> T:
            return await asyncio.shield(loop.run_in_executor(thread, work, store))

        try:
            if opened.set_aside is not None:
                tell(Notice("evidence_set_aside", {"file": str(opened.set_aside), "reason": opened.problem}), clock.now())
            desk = EvidenceDesk(next_id=await aside(EvidenceStore.next_id), run=opened.run, entropy=entropy, chain=chain)
            anchoring = None
            if ledger is not None:
                medium, origin, policy, pinned = ledger
                anchoring = EvidenceAnchoring(aside=aside, medium=medium, origin=origin, policy=policy, pinned=pinned)
            keeper = EvidenceKeeper(
                desk=desk,
                aside=aside,
                station_id=station_id,
                clock=clock,
                max_age_ns=max_age_ns,
                max_bytes=max_bytes,
                anchoring=anchoring,
                tell=tell,
            )
            try:
                yield keeper
            finally:
                await keeper.finish()
        finally:
            with suppress(StorageError):
                await loop.run_in_executor(thread, store.close)
    finally:
        thread.shutdown(wait=True)
        taken.close()
