"""Replays: genuine packets, unchanged, sent again when they are out of date or have been heard already.

Some copies come within the freshness window (the receiver must remember what it has heard), some after it (the receiver must look
at the date). A copy that reaches a receiver who missed the original, while still fresh, is what any forwarder does and no lie.
"""

from collections import deque
from random import Random

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from simulator.adversaries import AttackPacket
from simulator.options import AttackerKind

SHARE = 0.06
"""Share of the overheard packets that is kept for replay."""

SOON_NS = (300 * NS_PER_MS, 1_200 * NS_PER_MS)
LATE_NS = (11 * NS_PER_S, 14 * NS_PER_S)
"""Later than any window for messages that are repeated (CAM 2 s, others 10 s)."""

MAX_KEPT = 512
"""Packets kept; when full, no more are taken."""


class Replayer:
    """Replays what it overhears, half of it soon and half of it late.

    Args:
        rng: the only source of chance.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._soon: deque[tuple[MonotonicNs, int, bytes]] = deque()
        self._late: deque[tuple[MonotonicNs, int, bytes]] = deque()

    @property
    def kind(self) -> AttackerKind:
        """Replayed."""
        return AttackerKind.REPLAYED

    def overhear(self, number: int, packet: bytes, now: Instant) -> None:
        """Keep some of the packets, each for one replay."""
        if self._rng.random() >= SHARE:
            return
        late = self._rng.random() < 0.5
        queue, (least, most) = (self._late, LATE_NS) if late else (self._soon, SOON_NS)
        wait = self._rng.randrange(least, most)
        if len(queue) < MAX_KEPT:
            after = queue[-1][0] if queue else MonotonicNs(0)
            queue.append((MonotonicNs(max(now.monotonic + wait, after)), number, packet))

    def next_due(self) -> MonotonicNs | None:
        """Return when the next replay is due."""
        return min((queue[0][0] for queue in (self._soon, self._late) if queue), default=None)

    def act(self, now: Instant) -> tuple[AttackPacket, ...]:
        """Return the replays that are due."""
        due = []
        for queue in (self._soon, self._late):
            while queue and queue[0][0] <= now.monotonic:
                _, number, packet = queue.popleft()
                due.append(AttackPacket(packet=packet, copy_of=number))
        return tuple(due)
