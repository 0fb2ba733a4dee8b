"""A roadside unit that keeps evidence, without the program around it: real packets, a real store, a log in memory."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rsu_agent.evidence_anchoring import EvidenceAnchoring, LedgerMedium, StoreWork
from rsu_agent.evidence_desk import EvidenceDesk
from rsu_agent.evidence_store import EvidenceStore, open_evidence
from shared.core.clock import NS_PER_S, UtcNs
from shared.ledger.policy import Policy
from shared.pki.permission_sets import StationRole
from shared.records.evidence_record import BatchStatement
from shared.security.certificate import Certificate
from shared.service.database import Connect, connect_sqlite
from shared.stack.effects import Notice
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import ORIGIN, MemoryLog, policy_of, seeded_entropy
from tests.helpers.online_ledger import AsyncLog
from tests.helpers.stations import Speaker, after_ms

T = TypeVar("T")

WITNESSED = policy_of(witnesses=("w1", "w2"), quorum="2")
FILE = "evidence.db"


class Unit:
    """A unit's desk and store.

    Args:
        folder: for the store.
        hierarchy: whose ticket it speaks under.
        connect: opens SQLite.
        seed: of its salts.
        speaker: what speaks; by default one of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hierarchy: Hierarchy | None = None,
        connect: Connect = connect_sqlite,
        seed: int = 1,
        speaker: Speaker | None = None,
    ) -> None:
        self.hierarchy = hierarchy or Hierarchy(3)
        self.speaker = speaker or Speaker(self.hierarchy, StationRole.RSU)
        opened = open_evidence(folder / FILE, connect)
        self.store: EvidenceStore = opened.store
        self.set_aside = opened.set_aside
        self.desk = EvidenceDesk(
            next_id=self.store.next_id(), run=opened.run, entropy=seeded_entropy(seed), chain=lambda: self.chain
        )
        self.now = NOON
        self.log = witnessed_log(after_ms(NOON, 65_000))

    @property
    def chain(self) -> tuple[Certificate, ...]:
        return (self.speaker.ticket.certificate, self.hierarchy.aa.certificate)

    @property
    def station_id(self) -> int:
        return int(self.speaker.station.identity.station_id)

    def light(self, elapsed_ms: int = 100) -> UtcNs:
        """Tell the lights, and return when."""
        self.now = after_ms(self.now, elapsed_ms)
        self.desk.sent(self.speaker.spatem(self.now))
        return self.now

    def map(self) -> None:
        self.desk.sent(self.speaker.mapem(self.now))

    def store_all(self) -> None:
        waiting = self.desk.take()
        self.store.append(waiting.entries, waiting.certificates)
        self.desk.stored(waiting)

    def close_batch(self) -> BatchStatement | None:
        self.store_all()
        return self.store.close_batch(self.station_id, self.now)

    async def aside(self, work: StoreWork[T]) -> T:
        return work(self.store)

    def anchoring(self, medium: LedgerMedium, policy: Policy = WITNESSED, *, pinned: bytes | None = None) -> EvidenceAnchoring:
        return EvidenceAnchoring(aside=self.aside, medium=medium, origin=ORIGIN, policy=policy, pinned=pinned)

    def anchor(self, log: MemoryLog, policy: Policy = WITNESSED) -> tuple[Notice, ...]:
        """Take one round to a log that answers at once."""
        return asyncio.run(self.anchoring(AsyncLog(log), policy).round())


def witnessed_log(seen_at: UtcNs) -> MemoryLog:
    """Return a log whose witnesses cosign at that moment."""
    log = MemoryLog(witnesses=("w1", "w2"))
    log.time_s = seen_at // NS_PER_S
    return log


def killing(at_step: int) -> Connect:
    """Return a way to open SQLite that ends the process before a statement that writes, behind the one before it."""
    count = 0

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return self._step(sql, lambda: super(Counted, self).execute(sql, *values))

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return self._step(sql, lambda: super(Counted, self).executemany(sql, *values))

        def _step(self, sql: str, act: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
            nonlocal count
            if sql.split(maxsplit=1)[0].upper() in {"SELECT", "PRAGMA"}:
                return act()
            number, count = count, count + 1
            if number == at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            return act()

    return lambda uri: sqlite3.connect(uri, uri=True, isolation_level=None, factory=Counted)


def in_a_child(work: Callable[[int], None]) -> tuple[bool, bytes]:
    """Run something in a child process; return whether it was killed, and what it wrote to the descriptor it was given."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        told = said.read()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), told
