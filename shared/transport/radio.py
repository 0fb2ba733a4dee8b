"""What a radio is to the shells: packets out, packets with their time of arrival in.

A packet is everything after the Ethernet header, from the Basic Header on: the same octets on every medium. A radio delivers what
it hears; on media that echo, our own packets are among it, and who recognises them is the stack. `MemoryMedium` is the ether of one
process, for tests.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shared.core.clock import Clock, Instant
from shared.core.errors import TransportError
from shared.core.geo import GeoPoint
from shared.network.packet import MAX_PACKET_OCTETS

RECEIVE_QUEUE_PACKETS = 1_024
"""Packets a radio keeps for a slow reader; then the oldest is dropped and counted."""


class ReceivedPacket(msgspec.Struct, frozen=True, gc=False):
    """One packet as it was heard.

    Attributes:
        packet: from the Basic Header on, 1..`MAX_PACKET_OCTETS` octets.
        received: when it arrived.
        sender_mac: link-layer address of whoever transmitted it (a forwarder's, not the source's); None where the medium has none.
    """

    packet: bytes
    received: Instant
    sender_mac: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioCounts:
    """What a radio has done since it was opened.

    Attributes:
        sent: packets handed to the medium.
        received: packets queued for the reader.
        dropped_oldest: queued packets a slow reader lost.
        dropped_empty: datagrams without an octet.
        dropped_oversize: datagrams longer than a packet can be.
        dropped_foreign: frames for somebody else's link-layer address.
        dropped_kernel: what the operating system dropped because we read too late; 0 where it does not say.
        interruptions: times the medium went away: an interface down or gone, a connection lost.
    """

    sent: int = 0
    received: int = 0
    dropped_oldest: int = 0
    dropped_empty: int = 0
    dropped_oversize: int = 0
    dropped_foreign: int = 0
    dropped_kernel: int = 0
    interruptions: int = 0


NOT_YET = "not connected yet"
"""The fault of a medium that was not tried yet: nothing is wrong."""


class Radio(Protocol):
    """One medium, opened."""

    @property
    def counts(self) -> RadioCounts:
        """What was sent, received and dropped so far."""
        ...

    @property
    def fault(self) -> str | None:
        """Why the medium cannot be used at the moment, as a sentence; None while it can. It comes back by itself."""
        ...

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        """Transmit one packet; never waits for a medium that is away.

        Args:
            packet: from the Basic Header on.
            source_mac: our link-layer address while we hold the present pseudonym; a medium without addresses ignores it.

        Raises:
            TransportError: the medium refuses it, or the radio is closed.
        """
        ...

    async def receive(self) -> ReceivedPacket:
        """Wait for the next packet, oldest first; raises `TransportError` once the radio is closed and empty."""
        ...

    def attend(self, position: GeoPoint) -> None:
        """Say where we are: a medium that is everywhere delivers what concerns the surroundings. Others ignore it."""
        ...

    def close(self) -> None:
        """Leave the medium; closing twice is harmless."""
        ...


class ReceiveQueue:
    """Packets between a medium and one reader: bounded, the oldest dropped first, everything counted.

    Args:
        endpoint: name of the medium, for the error after closing.
        capacity_packets: how many wait before the oldest is dropped.
    """

    def __init__(self, endpoint: str, capacity_packets: int = RECEIVE_QUEUE_PACKETS) -> None:
        self._endpoint = endpoint
        self._packets: deque[ReceivedPacket] = deque(maxlen=capacity_packets)
        self._arrived = asyncio.Event()
        self._failure: TransportError | None = None
        self.received = 0
        self.dropped_oldest = 0
        self.dropped_empty = 0
        self.dropped_oversize = 0

    def put(self, packet: bytes, received: Instant, *, sender_mac: bytes | None = None) -> None:
        """Queue what a medium delivered, or count why not."""
        if not packet:
            self.dropped_empty += 1
        elif len(packet) > MAX_PACKET_OCTETS:
            self.dropped_oversize += 1
        else:
            if len(self._packets) == self._packets.maxlen:
                self.dropped_oldest += 1
            self.received += 1
            self._packets.append(ReceivedPacket(packet, received, sender_mac))
            self._arrived.set()

    async def get(self) -> ReceivedPacket:
        """Wait for the oldest packet; raises `TransportError` once closed and empty."""
        while not self._packets:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        return self._packets.popleft()

    def close(self, reason: str = "closed") -> None:
        """Let the reader have what is queued and then tell it why there is no more."""
        if self._failure is None:
            self._failure = TransportError(self._endpoint, reason)
        self._arrived.set()

    def require_open(self) -> None:
        """Raise the `TransportError` the queue was closed with, if it was."""
        if self._failure is not None:
            raise self._failure


def require_sendable(packet: bytes, endpoint: str) -> None:
    """Raise `TransportError` for a packet no medium carries."""
    if not 1 <= len(packet) <= MAX_PACKET_OCTETS:
        raise TransportError(endpoint, f"a packet of {len(packet)} octets is outside 1..{MAX_PACKET_OCTETS}")


class MemoryMedium:
    """An ether inside one process: every radio hears all, itself included, as on a multicast loopback.

    Args:
        clock: stamps arrivals.
        name: appears in errors.
    """

    def __init__(self, clock: Clock, name: str = "memory") -> None:
        self._clock = clock
        self.name = name
        self._queues: list[ReceiveQueue] = []

    def open_radio(self, capacity_packets: int = RECEIVE_QUEUE_PACKETS) -> "MemoryRadio":
        """Return a new radio that hears everything sent from now on."""
        queue = ReceiveQueue(self.name, capacity_packets)
        self._queues.append(queue)
        return MemoryRadio(self, queue)

    def spread(self, packet: bytes, *, sender_mac: bytes) -> None:
        """Deliver one packet to every open radio."""
        now = self._clock.now()
        for queue in self._queues:
            queue.put(packet, now, sender_mac=sender_mac)

    def leave(self, queue: ReceiveQueue) -> None:
        """Deliver nothing more to `queue`."""
        if queue in self._queues:
            self._queues.remove(queue)


class MemoryRadio:
    """One ear and mouth on a `MemoryMedium`; made by `MemoryMedium.open_radio`."""

    def __init__(self, medium: MemoryMedium, queue: ReceiveQueue) -> None:
        self._medium = medium
        self._queue = queue
        self._sent = 0

    @property
    def counts(self) -> RadioCounts:
        """What was sent, received and dropped so far."""
        return counts_of(self._queue, self._sent)

    @property
    def fault(self) -> None:
        """Memory does not go away."""

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        """Deliver one packet to every radio on the medium; raises `TransportError` when closed."""
        self._queue.require_open()
        require_sendable(packet, self._medium.name)
        self._medium.spread(packet, sender_mac=source_mac)
        self._sent += 1

    async def receive(self) -> ReceivedPacket:
        """Wait for the next packet; raises `TransportError` once closed and empty."""
        return await self._queue.get()

    def attend(self, position: GeoPoint) -> None:
        """All is heard everywhere."""

    def close(self) -> None:
        """Leave the medium."""
        self._medium.leave(self._queue)
        self._queue.close()


def counts_of(
    queue: ReceiveQueue, sent: int, *, dropped_foreign: int = 0, dropped_kernel: int = 0, interruptions: int = 0
) -> RadioCounts:
    """Return the counts of a radio that reads from `queue`."""
    return RadioCounts(
        sent=sent,
        received=queue.received,
        dropped_oldest=queue.dropped_oldest,
        dropped_empty=queue.dropped_empty,
        dropped_oversize=queue.dropped_oversize,
        dropped_foreign=dropped_foreign,
        dropped_kernel=dropped_kernel,
        interruptions=interruptions,
    )
