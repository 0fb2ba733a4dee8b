"""A vehicle's anchoring over a medium that is not within reach of a function call: the real courier, turn by turn."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from shared.core.clock import NS_PER_S, Clock, Instant, ManualClock, UtcNs
from shared.core.errors import TransportError
from shared.ledger.policy import Policy
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.spool import AnchorState, Spool, open_spool
from shared.stack.effects import Notice
from tests.helpers.ledger import ORIGIN, MemoryLog, Vehicle, policy_of, seeded_entropy
from vehicle_agent.ledger_courier import LedgerCourier, LedgerMedium
from vehicle_agent.online_anchoring import Errands, OnlineAnchoring

VEHICLE, POLICY = Vehicle(), policy_of()

STEP_NS = 400 * NS_PER_S
"""Between two polls: longer than any back-off."""

PATIENCE_S = 30.0
"""How long the first answer may take."""

POLL_S = 0.1
"""Between two polls by a real clock while nothing is under way."""

TURNS = 400
"""Polls after which a test gives up."""


class AsyncLog:
    """A log in memory behind a line that can be cut, stall, or fail at one submission in so many."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.is_down = False
        self.fails_each: int | None = None
        self.submitted: list[bytes] = []
        self.reads: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.verdicts: list[bool] = []

    async def submit(self, entry: bytes) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self._check()
        self.submitted.append(entry)
        if self.fails_each is not None and len(self.submitted) % self.fails_each == 0:
            raise TransportError("log", "500")
        return self.log.submit(entry)

    async def read(self, path: str) -> bytes:
        self._check()
        self.reads.append(path)
        return self.log.read(path)

    def trust(self) -> None:
        self.verdicts.append(True)

    def distrust(self) -> None:
        self.verdicts.append(False)

    def _check(self) -> None:
        if self.is_down:
            raise TransportError("log", "the line is down")


def record(spool: Spool, count: int = 1) -> None:
    """Make records with salts that differ by number."""
    for _ in range(count):
        head = spool.head()
        number = 0 if head is None else head.seq + 1
        recorder = Recorder(signer=VEHICLE, store=spool, entropy=seeded_entropy(number), boot_id=bytes(16))
        source = OdometerSource(name="cluster", odometer_m=number, age_ms=0)
        at = ManualClock(UtcNs(1_700_000_000 * NS_PER_S)).now()
        recorder.record_reading(odometer_m=number, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)


class Car:
    """A spool, the anchoring, and the courier's other end.

    Args:
        folder: for the spool.
        policy: of the log.
        origin: of the log.
        pinned: a checkpoint to stand by.
    """

    def __init__(self, folder: Path, *, policy: Policy = POLICY, origin: str = ORIGIN, pinned: bytes | None = None) -> None:
        self.spool = open_spool(folder / "spool.db")
        self.errands = Errands()
        self.anchoring = OnlineAnchoring(store=self.spool, errands=self.errands, origin=origin, policy=policy, pinned=pinned)
        self.notices: list[Notice] = []

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.notices]

    def proven(self) -> int:
        counts = self.spool.counts()
        return counts[AnchorState.INCLUDED] + counts[AnchorState.WITNESSED]

    async def drive(
        self, medium: LedgerMedium, *, until: Callable[[], bool], clock: Clock | None = None, turns: int = TURNS
    ) -> bool:
        """Poll whenever an answer has come, until something is so; return whether it came to that."""
        own = ManualClock(None)
        come = asyncio.Event()

        async def tell() -> None:
            come.set()

        courier = LedgerCourier(self.errands, medium, submit_delay_s=0, lot=Random(1), on_answers=tell)
        running = asyncio.create_task(courier.run())
        try:
            for _ in range(turns):
                now: Instant = own.advance(STEP_NS) if clock is None else clock.now()
                come.clear()
                self.notices += self.anchoring.poll(now)
                if until():
                    return True
                if self.errands.waiting:
                    await asyncio.wait_for(come.wait(), PATIENCE_S)
                elif clock is not None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(come.wait(), POLL_S)
        finally:
            running.cancel()
            await asyncio.wait((running,))
        return False
