"""Our own packets coming back (EN 302 636-4-1 V1.4.1 clause 10.2.1.5, duplicate address detection).

A multicast loopback returns every packet, and a forwarder repeats it with one hop less. Both are echoes and dropped. Packets are
compared from behind the Basic Header, the only part a forwarder changes. What comes back after more packets than are remembered
here is known by its signature (`shared.stack.router`), as is a packet under our address that is not ours.
"""

from collections import OrderedDict

from shared.network.headers import BASIC_HEADER_OCTETS

CAPACITY_PACKETS = 64
"""Sent packets remembered: several seconds of everything a station says."""


class OwnPackets:
    """The packets we sent last.

    Args:
        capacity_packets: how many are remembered.

    Attributes:
        sent: their octets from behind the Basic Header; to be read only.
    """

    def __init__(self, *, capacity_packets: int = CAPACITY_PACKETS) -> None:
        self._capacity_packets = capacity_packets
        self.sent: OrderedDict[bytes, None] = OrderedDict()

    def note_sent(self, packet: bytes) -> None:
        """Remember a packet, from the Basic Header on."""
        self.note_signed(packet[BASIC_HEADER_OCTETS:])

    def note_signed(self, signed: bytes) -> None:
        """Remember a packet's octets from behind the Basic Header."""
        self.sent[signed] = None
        if len(self.sent) > self._capacity_packets:
            self.sent.popitem(last=False)

    def is_echo(self, packet: bytes) -> bool:
        """Say whether `packet` is one of ours, however many hops it took; cheap enough to ask first of all."""
        return self.is_own(packet[BASIC_HEADER_OCTETS:])

    def is_own(self, signed: bytes) -> bool:
        """Say the same of a packet's octets from behind the Basic Header."""
        return signed in self.sent
