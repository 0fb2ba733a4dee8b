"""The gate to the channel: closed for T_off after each packet, with a queue for each traffic class (TS 102 687 V1.2.1).

The most urgent class goes first, and within one the order is kept. What has waited until it is of no use is dropped, a newer
message makes the waiting older one of its kind superfluous (a CAM), and what was said under another name than the present one is
not sent at all, for it would tell that both names are one station's. Everything dropped is counted by its reason.

There is one gate for all links: a packet counts as one, on however many it goes out.
"""

from collections import Counter, deque
from dataclasses import dataclass

from shared.core.clock import MonotonicNs
from shared.network.headers import BASIC_HEADER_OCTETS, HOP_LIMIT_OCTET

CLASSES = 4
"""Queues: traffic class identifiers 0, 1 and 2, and all beyond (DCC profiles DP0 to DP3)."""

QUEUE_PACKETS = 32
"""Packets in each; one more makes the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outgoing:
    """A packet on its way to the channel.

    Attributes:
        packet: from the Basic Header on.
        links: where it goes; None for everywhere.
        priority: identifier of its traffic class, 0 the most urgent.
        stale_at: from then on it is of no use.
        own_mac: the link-layer address under which we say it; None for what others said.
        supersedes: a word for messages of which only the newest matters; None where each does.
    """

    packet: bytes
    links: frozenset[str] | None
    priority: int
    stale_at: MonotonicNs
    own_mac: bytes | None = None
    supersedes: str | None = None


class Gatekeeper:
    """Lets packets out one by one.

    Args:
        queue_packets: how many may wait in each class, at least 1.

    Attributes:
        dropped: packets that never left, by reason.
    """

    def __init__(self, *, queue_packets: int = QUEUE_PACKETS) -> None:
        self._queue_packets = queue_packets
        self._queues: tuple[deque[Outgoing], ...] = tuple(deque() for _ in range(CLASSES))
        self._opens = MonotonicNs(0)
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many packets wait."""
        return sum(map(len, self._queues))

    @property
    def octets(self) -> int:
        """Octets that wait."""
        return sum(len(each.packet) for queue in self._queues for each in queue)

    def offer(self, outgoing: Outgoing) -> None:
        """Let a packet wait for its turn."""
        queue = self._queues[min(outgoing.priority, CLASSES - 1)]
        if outgoing.supersedes is not None:
            for older in [each for each in queue if each.supersedes == outgoing.supersedes]:
                queue.remove(older)
                self.dropped["superseded"] += 1
        if len(queue) >= self._queue_packets:
            queue.popleft()
            self.dropped["queue_full"] += 1
        queue.append(outgoing)

    def withdraw(self, signed: bytes, link: str, hops: int) -> bool:
        """Take back what somebody else has said on a link with so many hops left, and we were about to repeat with no more.

        Args:
            signed: its octets from behind the Basic Header.
            link: where.
            hops: left in what was heard.

        Returns:
            Whether it still waited.
        """
        for queue in self._queues:
            for each in queue:
                repeats = each.own_mac is None and each.links is not None and link in each.links
                if repeats and each.packet[HOP_LIMIT_OCTET] <= hops and each.packet[BASIC_HEADER_OCTETS:] == signed:
                    queue.remove(each)
                    return True
        return False

    def take(self, now: MonotonicNs, own_mac: bytes) -> Outgoing | None:
        """Return the packet whose turn it is; None while the gate is closed or nothing waits. Then `sent` closes the gate.

        Args:
            now: the present.
            own_mac: our present link-layer address.
        """
        return None if now < self._opens else self._first(now, own_mac)

    def sent(self, now: MonotonicNs, t_off_ns: int) -> None:
        """Take note that a packet leaves now: the gate opens again after `t_off_ns`."""
        self._opens = MonotonicNs(now + t_off_ns)

    def empty(self, now: MonotonicNs, own_mac: bytes) -> list[Outgoing]:
        """Return everything that still waits and is of use, whatever the gate says: last words of a station."""
        left = []
        while (outgoing := self._first(now, own_mac)) is not None:
            left.append(outgoing)
        return left

    def next_due(self) -> MonotonicNs | None:
        """Return when the gate opens for what waits, None when nothing does."""
        return self._opens if any(self._queues) else None

    def _first(self, now: MonotonicNs, own_mac: bytes) -> Outgoing | None:
        for queue in self._queues:
            while queue:
                outgoing = queue.popleft()
                if now >= outgoing.stale_at:
                    self.dropped["stale"] += 1
                elif outgoing.own_mac not in (None, own_mac):
                    self.dropped["said_under_another_name"] += 1
                else:
                    return outgoing
        return None
