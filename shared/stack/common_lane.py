"""A lane of the admission queue for packets whose senders nobody knows: first come first served, a fair sample when full. Sans-IO.

A stranger's name is worth nothing, for anybody can make up any number of them; so there are no places here. Once the lane is full,
each packet that comes until it has room again is kept with the same probability.
"""

from collections import Counter
from random import Random

from shared.core.clock import MonotonicNs
from shared.stack.sender_lane import SHED_STALE, Waiting

SHED_STRANGERS = "shed_strangers"


class CommonLane:
    """Packets in order of arrival.

    Args:
        capacity: packets that may wait, at least 1.
        lot: draws; must not be guessable.
        shed: counts what is dropped, by reason.
    """

    __slots__ = ("_capacity", "_crowd", "_lot", "_shed", "_waiting", "octets")

    def __init__(self, *, capacity: int, lot: Random, shed: Counter[str]) -> None:
        self._capacity = capacity
        self._lot = lot
        self._shed = shed
        self._waiting: list[Waiting] = []
        self._crowd = 0
        self.octets = 0

    @property
    def packets(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def offer(self, waiting: Waiting) -> None:
        """Let a packet wait, perhaps instead of another."""
        if len(self._waiting) < self._capacity:
            self._crowd = len(self._waiting) + 1
        else:
            self._crowd += 1
            self._shed[SHED_STRANGERS] += 1
            drawn = self._lot.randrange(self._crowd)
            if drawn >= self._capacity:
                return
            self.octets -= len(self._waiting.pop(drawn).packet)
        self._waiting.append(waiting)
        self.octets += len(waiting.packet)

    def take(self, now: MonotonicNs) -> Waiting | None:
        """Return the packet that waited longest and is not too old, or None."""
        while self._waiting:
            waiting = self._waiting.pop(0)
            self.octets -= len(waiting.packet)
            if waiting.stale_at > now:
                return waiting
            self._shed[SHED_STALE] += 1
        return None
