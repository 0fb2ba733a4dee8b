"""The gate to the channel: closed for T_off after each packet, with a queue for each traffic class (TS 102 687 V1.2.1).

    ours       DP0 DP1 DP2 DP3     in order; a newer word of the same thing takes the older one's place
    others'        DP1 DP2 DP3     each signer in turn; whoever has most waiting gives way when there is no room

Ours and others' take turns when both wait: whoever makes us forward, however much and however urgent it is said to be, costs us
every other turn at most, and one signer's flood costs another's hazard a turn and not its place. The most urgent class goes first,
but none is passed over more than `MAX_PASSED` times in a row, so that many hazards do not put the lights out. What others call more
urgent than a hazard is not. What has waited until it is of no use is dropped, and what was said under another name than the present
one is not sent at all, for it would tell that both names are one station's. Everything dropped is counted by its reason.

There is one gate for all links: a packet counts as one, on however many it goes out.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from shared.core.clock import MonotonicNs
from shared.core.ids import HashedId8
from shared.network.contention import UNDATED, lives_as_long
from shared.network.headers import BASIC_HEADER_OCTETS, HOP_LIMIT_OCTET

CLASSES = 4
"""Queues: traffic class identifiers 0, 1 and 2, and all beyond (DCC profiles DP0 to DP3)."""

QUEUE_PACKETS = 32
"""Packets in each, ours and others' apart; one more makes the oldest go."""

MAX_PASSED = 3
"""How often in a row a class that waits is passed over for more urgent ones."""

MOST_URGENT_OF_OTHERS = 1
"""The class of a hazard: nothing we forward is more urgent, whatever it says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outgoing:
    """A packet on its way to the channel.

    Attributes:
        packet: from the Basic Header on.
        links: where it goes; None for everywhere.
        priority: identifier of its traffic class, 0 the most urgent.
        stale_at: from then on it is of no use.
        own_mac: the link-layer address under which we say it; None for what others said.
        supersedes: a word for messages, ours or one signer's, of which only the newest matters; None where each does.
        signer: whose ticket signed what others said; None where that is forgotten.
        made: when what others said was made, to tell which is newer.
    """

    packet: bytes
    links: frozenset[str] | None
    priority: int
    stale_at: MonotonicNs
    own_mac: bytes | None = None
    supersedes: str | None = None
    signer: HashedId8 | None = None
    made: MonotonicNs = UNDATED


class _OwnQueue:
    """One class of ours, in order.

    Args:
        capacity: packets that may wait.
        dropped: counts what goes, by reason.
    """

    def __init__(self, capacity: int, dropped: Counter[str]) -> None:
        self._capacity = capacity
        self._dropped = dropped
        self._waiting: deque[Outgoing] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Outgoing]:
        return iter(self._waiting)

    def offer(self, outgoing: Outgoing) -> None:
        """Let a packet wait: in the place of the older word of the same thing, or else behind all."""
        if outgoing.supersedes is not None:
            for at, older in enumerate(self._waiting):
                if older.supersedes == outgoing.supersedes:
                    self._waiting[at] = outgoing
                    self._dropped["superseded"] += 1
                    return
        if len(self._waiting) >= self._capacity:
            self._waiting.popleft()
            self._dropped["queue_full"] += 1
        self._waiting.append(outgoing)

    def take(self) -> Outgoing:
        """Return the packet that waited longest."""
        return self._waiting.popleft()


class _OthersQueue:
    """One class of others', each signer in turn; arguments as for `_OwnQueue`."""

    def __init__(self, capacity: int, dropped: Counter[str]) -> None:
        self._capacity = capacity
        self._dropped = dropped
        self._by_signer: OrderedDict[HashedId8 | None, deque[Outgoing]] = OrderedDict()
        self._packets = 0

    def __len__(self) -> int:
        return self._packets

    def __iter__(self) -> Iterator[Outgoing]:
        return (each for waiting in self._by_signer.values() for each in waiting)

    def offer(self, outgoing: Outgoing) -> None:
        """Let a packet wait behind its signer's, or in the place of one on the same links that it makes superfluous.

        That is the same packet, if this one gets as far, or the signer's older word of the same thing.
        """
        signed = outgoing.packet[BASIC_HEADER_OCTETS:]
        waiting = self._by_signer.setdefault(outgoing.signer, deque())
        for at, older in enumerate(waiting):
            is_same_thing = outgoing.supersedes is not None and outgoing.supersedes == older.supersedes
            if is_same_thing and older.links == outgoing.links and older.made != outgoing.made:
                waiting[at] = max(older, outgoing, key=lambda each: each.made)
                self._dropped["superseded"] += 1
                return
            if older.links != outgoing.links or older.packet[BASIC_HEADER_OCTETS:] != signed:
                continue
            has_more_hops = outgoing.packet[HOP_LIMIT_OCTET] - older.packet[HOP_LIMIT_OCTET]
            lives_longer = outgoing.stale_at - older.stale_at
            if has_more_hops >= 0 and lives_longer >= 0:
                waiting[at] = outgoing
            elif has_more_hops > 0 or lives_longer > 0:
                continue  # neither gets as far as the other
            self._dropped["superseded"] += 1
            return
        waiting.append(outgoing)
        self._packets += 1
        if self._packets > self._capacity:
            self.remove(max(self._by_signer.values(), key=len)[0])
            self._dropped["queue_full"] += 1

    def take(self) -> Outgoing:
        """Return the oldest packet of the signer longest without a turn."""
        signer, waiting = next(iter(self._by_signer.items()))
        self._by_signer.move_to_end(signer)
        taken = waiting[0]
        self.remove(taken)
        return taken

    def remove(self, outgoing: Outgoing) -> None:
        """Take a packet out."""
        waiting = self._by_signer[outgoing.signer]
        waiting.remove(outgoing)
        self._packets -= 1
        if not waiting:
            del self._by_signer[outgoing.signer]


class _Side:
    """The classes of ours, or of others'."""

    def __init__(self, queues: Sequence[_OwnQueue | _OthersQueue]) -> None:
        self.queues = queues
        self._passed = [0] * len(queues)

    def __len__(self) -> int:
        return sum(map(len, self.queues))

    def take(self) -> Outgoing:
        """Return a packet of the class whose turn it is; only while there is one."""
        waiting = [number for number, queue in enumerate(self.queues) if queue]
        chosen = next((number for number in waiting if self._passed[number] >= MAX_PASSED), waiting[0])
        for number in waiting:
            self._passed[number] += number > chosen
        self._passed[chosen] = 0
        return self.queues[chosen].take()


class Gatekeeper:
    """Lets packets out one by one.

    Args:
        queue_packets: how many may wait in each class, at least 1, ours and others' apart.

    Attributes:
        dropped: packets that never left, by reason.
    """

    def __init__(self, *, queue_packets: int = QUEUE_PACKETS) -> None:
        self.dropped: Counter[str] = Counter()
        self._own_queues = tuple(_OwnQueue(queue_packets, self.dropped) for _ in range(CLASSES))
        self._others_queues = tuple(_OthersQueue(queue_packets, self.dropped) for _ in range(CLASSES))
        self._own, self._others = _Side(self._own_queues), _Side(self._others_queues)
        self._is_others_turn = False
        self._opens = MonotonicNs(0)

    def __len__(self) -> int:
        """Return how many packets wait."""
        return len(self._own) + len(self._others)

    @property
    def octets(self) -> int:
        """Octets that wait."""
        return sum(len(each.packet) for each in chain(*self._own_queues, *self._others_queues))

    def offer(self, outgoing: Outgoing) -> None:
        """Let a packet wait for its turn."""
        number = min(outgoing.priority, CLASSES - 1)
        if outgoing.own_mac is not None:
            self._own_queues[number].offer(outgoing)
        else:
            self._others_queues[max(number, MOST_URGENT_OF_OTHERS)].offer(outgoing)

    def withdraw(self, signed: bytes, link: str, hops: int, expires: MonotonicNs, now: MonotonicNs) -> bool:
        """Take back what somebody else has said on a link with so many hops left, and we were about to repeat with no more.

        Args:
            signed: its octets from behind the Basic Header.
            link: where.
            hops: left in what was heard.
            expires: from then on what was heard is of no use.
            now: the present.

        Returns:
            Whether it still waited.
        """
        for queue in self._others_queues:
            for each in queue:
                repeats = each.links is not None and link in each.links and each.packet[BASIC_HEADER_OCTETS:] == signed
                if repeats and each.packet[HOP_LIMIT_OCTET] <= hops and lives_as_long(expires, each.stale_at, now):
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
        return self._opens if len(self) else None

    def _first(self, now: MonotonicNs, own_mac: bytes) -> Outgoing | None:
        while len(self):
            is_others = len(self._own) == 0 or (self._is_others_turn and len(self._others) > 0)
            outgoing = (self._others if is_others else self._own).take()
            if now >= outgoing.stale_at:
                self.dropped["stale"] += 1
            elif outgoing.own_mac not in (None, own_mac):
                self.dropped["said_under_another_name"] += 1
            else:
                self._is_others_turn = not is_others
                return outgoing
        return None
