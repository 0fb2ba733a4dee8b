"""Our own packets coming back (EN 302 636-4-1 V1.4.1 clause 10.2.1.5, duplicate address detection).

A multicast loopback returns every packet, and a forwarder repeats it with one hop less. Both are echoes and dropped. Packets are
compared from behind the Basic Header, the only part a forwarder changes. What comes back after more packets than are remembered
here is known by its signature (`shared.stack.router`), as is a packet under our address that is not ours.
"""

from collections import OrderedDict

from shared.network.headers import BASIC_HEADER_OCTETS

CAPACITY_PACKETS = 64
"""Packets of a single hop remembered: several seconds of everything a station says."""

CAPACITY_GEOCASTS = 256
"""Geocasts remembered, those that came back last longest: others keep a warning or a cancellation alive for minutes."""


class OwnPackets:
    """The packets we sent last.

    Args:
        capacity_packets: how many of a single hop are remembered.
        capacity_geocasts: how many geocasts.

    Attributes:
        sent: their octets from behind the Basic Header; to be read only.
    """

    def __init__(self, *, capacity_packets: int = CAPACITY_PACKETS, capacity_geocasts: int = CAPACITY_GEOCASTS) -> None:
        self._capacity_packets = capacity_packets
        self._capacity_geocasts = capacity_geocasts
        self._packets: OrderedDict[bytes, None] = OrderedDict()
        self._geocasts: OrderedDict[bytes, None] = OrderedDict()
        self.sent: dict[bytes, None] = {}

    def note_sent(self, packet: bytes) -> None:
        """Remember a packet of a single hop, from the Basic Header on."""
        self.note_signed(packet[BASIC_HEADER_OCTETS:])

    def note_signed(self, signed: bytes, *, is_geocast: bool = False) -> None:
        """Remember a packet's octets from behind the Basic Header."""
        kept, capacity = (self._geocasts, self._capacity_geocasts) if is_geocast else (self._packets, self._capacity_packets)
        kept[signed] = self.sent[signed] = None
        if len(kept) > capacity:
            del self.sent[kept.popitem(last=False)[0]]

    def came_back(self, signed: bytes) -> None:
        """Remember a geocast that is known for longer: somebody goes on repeating it."""
        if signed in self._geocasts:
            self._geocasts.move_to_end(signed)

    def is_echo(self, packet: bytes) -> bool:
        """Say whether `packet` is one of ours, however many hops it took; cheap enough to ask first of all."""
        return self.is_own(packet[BASIC_HEADER_OCTETS:])

    def is_own(self, signed: bytes) -> bool:
        """Say the same of a packet's octets from behind the Basic Header."""
        return signed in self.sent
