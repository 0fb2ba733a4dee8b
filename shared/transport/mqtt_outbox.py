"""What waits to be published, in order and within bounds, and leaves only when the broker has it.

A parcel goes from `waiting` to `in flight` when it is handed to a connection, and away when it is acknowledged (at QoS 0: when its
last octet is written). When the connection breaks, what was in flight goes back in front of what waits, in the order it came: so
one sender's packets keep their order over any number of connections, and what the broker had but could not acknowledge any more
is published a second time. What has expired goes nowhere. Nothing here knows a socket or a clock.
"""

from collections import deque
from dataclasses import dataclass

from shared.core.clock import MonotonicNs

CAPACITY_PACKETS = 1_024
"""Parcels waiting and in flight: more than a vehicle says in half a minute."""

CAPACITY_OCTETS = 1 << 20
"""Octets of their payloads."""


@dataclass(slots=True, kw_only=True)
class Parcel:
    """One packet on its way.

    Attributes:
        payload: the packet.
        topic: where it is published.
        qos: 0 or 1.
        retain: whether the broker keeps it for who subscribes later.
        useful_ns: for how long it was of use when it was put here; what is of use longer is kept longer when room is short.
        expires: moment from which on it is of no use.
        was_handed: it has been with a connection before.
    """

    payload: bytes
    topic: str
    qos: int
    retain: bool
    useful_ns: int
    expires: MonotonicNs
    was_handed: bool = False


@dataclass(slots=True, kw_only=True)
class OutboxCounts:
    """What became of parcels.

    Attributes:
        handed: handed to a connection for the first time.
        repeated: handed again because a connection broke before it was acknowledged.
        acknowledged: the broker has it (at QoS 0: it was written).
        expired: of no use any more before the broker had it.
        crowded_out: still of use when room was needed for others.
        refused: the broker refused it, or it is larger than the broker takes.
    """

    handed: int = 0
    repeated: int = 0
    acknowledged: int = 0
    expired: int = 0
    crowded_out: int = 0
    refused: int = 0


class Outbox:
    """Parcels of one session.

    Args:
        counts: kept here, shared with the sessions before and after.
        capacity_packets: parcels at most.
        capacity_octets: octets of payload at most; at least one parcel always has room.
    """

    def __init__(
        self, counts: OutboxCounts, *, capacity_packets: int = CAPACITY_PACKETS, capacity_octets: int = CAPACITY_OCTETS
    ) -> None:
        self._counts = counts
        self._capacity_packets = capacity_packets
        self._capacity_octets = capacity_octets
        self._waiting: deque[Parcel] = deque()
        self._in_flight: dict[int, Parcel] = {}
        self._octets = 0

    def __len__(self) -> int:
        """Return how many parcels there are."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Parcels with no connection yet."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Parcels handed over and not acknowledged."""
        return len(self._in_flight)

    def put(self, parcel: Parcel, now: MonotonicNs) -> None:
        """Take a parcel in; where there is no room, what is of use for the shortest time goes first, of equals the oldest."""
        self._waiting.append(parcel)
        self._octets += len(parcel.payload)
        if self._is_crowded():
            self.expire(now)
        while self._is_crowded() and len(self._waiting) > 1:
            least = min(self._waiting, key=_usefulness)
            self._forget(least)
            self._counts.crowded_out += 1

    def take(self, now: MonotonicNs) -> Parcel | None:
        """Return the next parcel that is still of use, or None; it goes in flight with `hand_over`, or is lost."""
        while self._waiting:
            parcel = self._waiting.popleft()
            self._octets -= len(parcel.payload)
            if parcel.expires > now:
                return parcel
            self._counts.expired += 1
        return None

    def hand_over(self, parcel: Parcel, number: int) -> None:
        """Note that a parcel just taken is with the connection, which calls it `number`."""
        if parcel.was_handed:
            self._counts.repeated += 1
        else:
            self._counts.handed += 1
        parcel.was_handed = True
        self._octets += len(parcel.payload)
        self._in_flight[number] = parcel

    def put_back(self, parcel: Parcel) -> None:
        """Have a parcel just taken wait again, before everything else."""
        self._waiting.appendleft(parcel)
        self._octets += len(parcel.payload)

    def refuse(self) -> None:
        """Note that a parcel just taken is none the broker takes; it is gone."""
        self._counts.refused += 1

    def acknowledge(self, number: int, *, is_refused: bool = False) -> Parcel | None:
        """Let a parcel go that the broker has, or does not want; None for a number that is not in flight."""
        parcel = self._in_flight.pop(number, None)
        if parcel is None:
            return None
        self._octets -= len(parcel.payload)
        if is_refused:
            self._counts.refused += 1
        else:
            self._counts.acknowledged += 1
        return parcel

    def come_back(self, now: MonotonicNs) -> None:
        """Note that the connection broke: what was in flight waits again, before everything else."""
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        self.expire(now)

    def expire(self, now: MonotonicNs) -> None:
        """Drop what waits and is of no use any more."""
        before = len(self._waiting)
        self._waiting = deque(parcel for parcel in self._waiting if parcel.expires > now)
        self._octets = sum(len(parcel.payload) for parcel in (*self._waiting, *self._in_flight.values()))
        self._counts.expired += before - len(self._waiting)

    def _is_crowded(self) -> bool:
        return len(self) > self._capacity_packets or self._octets > self._capacity_octets

    def _forget(self, parcel: Parcel) -> None:
        for position, each in enumerate(self._waiting):
            if each is parcel:
                del self._waiting[position]
                break
        self._octets -= len(parcel.payload)


def _usefulness(parcel: Parcel) -> int:
    return parcel.useful_ns
