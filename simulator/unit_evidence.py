"""The roadside unit's evidence of a run: kept and closed by the minute as a real unit does, proven by the run's own ledger.

A run leaves the unit's store in its folder `state`, from which `rsu-agent evidence --store` hands out what the lights showed at any
moment and what the unit refused of the attackers, and beside it one file for the middle of the run, as a court would get it. Left
out: what the unit told its operator.
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from rsu_agent.agent import RsuAgent
from rsu_agent.evidence_anchoring import EvidenceAnchoring, StoreWork
from rsu_agent.evidence_desk import EvidenceDesk
from rsu_agent.evidence_proof import Question, gather
from rsu_agent.evidence_store import open_evidence
from shared.core.clock import Instant, UtcNs
from shared.core.entropy import Entropy
from shared.core.errors import RecordError
from shared.ledger.policy import Policy
from simulator.witnesses import WitnessedLedger

T = TypeVar("T")

STORE_FILE = "rsu-evidence.sqlite"
EVIDENCE_FILE = "junction.json"

MAX_ROUNDS = 10
"""Rounds to the ledger until every batch is proven: 64 batches each, so ten hours of a run."""


class UnitEvidence:
    """Keeps one unit's evidence during a run.

    Args:
        folder: where the store is made.
        agent: the unit.
        ledger: the run's log with its witnesses.
        origin: its name.
        policy: its key and the witnesses' quorum.
        entropy: draws salts.
        stack: closes the store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        agent: RsuAgent,
        ledger: WitnessedLedger,
        origin: str,
        policy: Policy,
        entropy: Entropy,
        stack: ExitStack,
    ) -> None:
        opened = open_evidence(folder / STORE_FILE)
        stack.callback(opened.store.close)
        self._store = opened.store
        self._station_id = agent.identity.station_id
        self._desk = EvidenceDesk(next_id=opened.store.next_id(), run=opened.run, entropy=entropy, chain=agent.signing_chain)
        agent.plausibility.follow(self._desk.refused)
        self._anchoring = EvidenceAnchoring(aside=self._aside, medium=_Within(ledger), origin=origin, policy=policy)

    def said(self, packet: bytes, now: Instant) -> None:
        """Take down a packet on the air, if it is the unit's own word; at the end of a minute close a batch."""
        if self._desk.tick(now):
            self._close(now)
        self._desk.sent(packet)

    def finish(self, moment: UtcNs, file: Path, now: Instant) -> None:
        """Close the last batch, have all proven, and write what proves the lights of a moment, if the unit had told any by then.

        Raises:
            RecordError: `ledger`: the ledger has not proven it.
            StorageError: the store failed.
        """
        self._desk.close(now)
        self._close(now)
        for _ in range(MAX_ROUNDS):
            if self._store.unproven(1):
                asyncio.run(self._anchoring.round())
        try:
            evidence = gather(self._store, Question(at=moment))
        except RecordError as error:
            if error.check == "empty":
                return
            raise
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(evidence.encode())

    def _close(self, now: Instant) -> None:
        waiting = self._desk.take()
        self._store.append(waiting.entries, waiting.certificates)
        self._desk.stored(waiting)
        self._store.close_batch(self._station_id, now.utc)

    async def _aside(self, work: StoreWork[T]) -> T:
        return work(self._store)


class _Within:
    """A log within reach of a function call, asked as one on a network is."""

    def __init__(self, ledger: WitnessedLedger) -> None:
        self._ledger = ledger

    async def submit(self, entry: bytes) -> int:
        """Append an entry and return its index."""
        return self._ledger.submit(entry)

    async def read(self, path: str) -> bytes:
        """Return the bytes at a path."""
        return self._ledger.read(path)

    def trust(self) -> None:
        """Nothing else could be asked."""

    def distrust(self) -> None:
        """Nothing else could be asked."""
