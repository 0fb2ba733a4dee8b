"""A lane of the admission queue in which every known sender has a place of its own. Sans-IO.

The sender longest without a turn comes next, so whoever speaks seldom never waits for those who speak often, and nobody's crowd
costs another's turn. What stands in a sender's place is not verified: anybody may have put it there. Hence:

- No packet drives another out for being newer. Only a packet that *verified* makes the older ones of its sender superfluous, and
  older means generated no later, so a recording played back late makes nothing superfluous either.
- A full place is a sample: each packet that comes while it is full is kept with the same probability. A thousand forgeries under a
  victim's name cost the victim a share, never all, and no timing of them does better than chance.
- Once something from a place was refused, the next is drawn by lot until the place has been quiet for a while. Otherwise the newest
  comes first where only the newest matters, and the oldest elsewhere.

So those who use a sender's name can crowd it in proportion to their number, for more cannot be told apart before the signature is
checked. They cannot silence it, and no other sender notices.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.stack.arrival import UNKNOWN_ARRIVAL, Arrival

MAX_SENDERS = 4_096
"""Senders with a place in a lane; as many as tickets are remembered."""

CONTESTED_NS = 2 * NS_PER_S
"""How long after a refusal a sender's packets are drawn by lot."""

NO_TIME = Time64(0)
"""Generation time of what claims none: older than anything verified."""

_LONG_AGO = MonotonicNs(0)

SHED_STALE = "shed_stale"
SHED_SUPERSEDED = "shed_superseded"
SHED_CROWDED = "shed_crowded"


@dataclass(slots=True, eq=False)
class Waiting:
    """A packet that waits for its verification.

    Attributes:
        packet: from the Basic Header on.
        stale_at: from this moment on it is of no use.
        generation_time: what it claims.
        place: where it waited; None outside the lanes of known senders.
        arrival: how it came.
    """

    packet: bytes
    stale_at: MonotonicNs
    generation_time: Time64 = NO_TIME
    place: "Place | None" = None
    arrival: Arrival = UNKNOWN_ARRIVAL


@dataclass(slots=True, eq=False)
class Place:
    """What waits under one sender's name, in order of arrival.

    Attributes:
        signer: the name.
        crowd: how many packets the present ones are a sample of.
        last_turn: number of its last turn, 0 for none yet.
        contested_until: until then packets are drawn by lot.
        is_queued: whether it waits for a turn.
    """

    lane: "SenderLane"
    signer: HashedId8
    packets: list[Waiting] = field(default_factory=list)
    crowd: int = 0
    last_turn: int = 0
    contested_until: MonotonicNs = _LONG_AGO
    is_queued: bool = False


class SenderLane:
    """Known senders in the order of their turns.

    Args:
        depth: packets one sender may have waiting, at least 1.
        newest_first: whether only a sender's newest packet matters.
        lot: draws; must not be guessable.
        shed: counts what is dropped, by reason.
        max_senders: places; whoever finds none is treated as a stranger.
    """

    __slots__ = (
        "_depth",
        "_idle",
        "_lot",
        "_max_senders",
        "_newest_first",
        "_places",
        "_queued",
        "_shed",
        "_turn",
        "_turns",
        "octets",
        "packets",
    )

    def __init__(self, *, depth: int, newest_first: bool, lot: Random, shed: Counter[str], max_senders: int = MAX_SENDERS) -> None:
        self._depth = depth
        self._newest_first = newest_first
        self._lot = lot
        self._shed = shed
        self._max_senders = max_senders
        self._places: dict[HashedId8, Place] = {}
        self._idle: OrderedDict[HashedId8, None] = OrderedDict()
        self._turns: list[tuple[int, int, HashedId8]] = []
        self._queued = 0
        self._turn = 0
        self.packets = 0
        self.octets = 0

    def offer(self, waiting: Waiting, signer: HashedId8, now: MonotonicNs, *, is_scarce: bool) -> bool:
        """Let a packet wait in its sender's place; False when there is no place for another sender.

        Args:
            waiting: the packet.
            signer: whose place.
            now: the present.
            is_scarce: memory is scarce, so that a place holds no more than one packet.
        """
        place = self._places.get(signer)
        if place is None:
            place = self._new_place(signer)
            if place is None:
                return False
        waiting.place = place
        packets = place.packets
        depth = 1 if is_scarce else self._depth
        if len(packets) >= depth:
            while packets and packets[0].stale_at <= now:
                self._drop(place, 0, SHED_STALE)
        if len(packets) < depth:
            self._add(place, waiting)
            self._queue(place)
            place.crowd = len(packets)
            return True
        place.crowd += 1
        drawn = self._lot.randrange(place.crowd)
        if drawn < len(packets):
            self._drop(place, drawn, SHED_CROWDED)
            self._add(place, waiting)
        else:
            self._shed[SHED_CROWDED] += 1
        return True

    def take(self, now: MonotonicNs) -> Waiting | None:
        """Return a packet of the sender whose turn it is, or None when nobody waits."""
        while self._turns:
            place = self._places[heappop(self._turns)[2]]
            place.is_queued = False
            packets = place.packets
            for at in reversed(range(len(packets))):
                if packets[at].stale_at <= now:
                    self._drop(place, at, SHED_STALE)
            if not packets:
                self._idle[place.signer] = None
                continue
            self._turn += 1
            place.last_turn = self._turn
            waiting = packets.pop(self._choose(place, now))
            self.packets -= 1
            self.octets -= len(waiting.packet)
            if packets:
                self._queue(place)
            else:
                self._idle[place.signer] = None
            return waiting
        return None

    def settle(self, place: Place, waiting: Waiting, now: MonotonicNs, *, is_verified: bool) -> None:
        """Take note of what became of a packet taken from `place`."""
        if not is_verified:
            place.contested_until = MonotonicNs(now + CONTESTED_NS)
        elif self._newest_first:
            for at in reversed(range(len(place.packets))):
                if place.packets[at].generation_time <= waiting.generation_time:
                    self._drop(place, at, SHED_SUPERSEDED)

    def _new_place(self, signer: HashedId8) -> Place | None:
        if len(self._places) >= self._max_senders:
            if not self._idle:
                return None
            del self._places[self._idle.popitem(last=False)[0]]
        place = self._places[signer] = Place(self, signer)
        return place

    def _choose(self, place: Place, now: MonotonicNs) -> int:
        if now < place.contested_until:
            return self._lot.randrange(len(place.packets))
        return -1 if self._newest_first else 0

    def _queue(self, place: Place) -> None:
        if place.is_queued:
            return
        place.is_queued = True
        self._idle.pop(place.signer, None)
        self._queued += 1
        heappush(self._turns, (place.last_turn, self._queued, place.signer))

    def _add(self, place: Place, waiting: Waiting) -> None:
        place.packets.append(waiting)
        self.packets += 1
        self.octets += len(waiting.packet)

    def _drop(self, place: Place, at: int, reason: str) -> None:
        dropped = place.packets.pop(at)
        self.packets -= 1
        self.octets -= len(dropped.packet)
        self._shed[reason] += 1
