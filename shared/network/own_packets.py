"""Our own packets coming back (EN 302 636-4-1 V1.4.1 clause 10.2.1.5, duplicate address detection).

A multicast loopback returns every packet, and a forwarder repeats it with one hop less. Both are echoes and dropped. A packet
under our address that we did *not* send is another matter: somebody uses our address, and the station needs a new pseudonym.
Packets are compared from behind the Basic Header, the only part a forwarder changes.
"""

from collections import OrderedDict
from enum import Enum

from shared.network.address import GnAddress
from shared.network.headers import BASIC_HEADER_OCTETS

CAPACITY_PACKETS = 64
"""Sent packets remembered: several seconds of everything a station says."""


class Origin(Enum):
    """Whose a received packet is."""

    OTHER = "other"
    ECHO = "echo"
    ADDRESS_CONFLICT = "address_conflict"


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

    def origin(self, packet: bytes, source: GnAddress, own_address: GnAddress) -> Origin:
        """Say whose a packet is, once its source address is known."""
        if self.is_echo(packet):
            return Origin.ECHO
        return Origin.ADDRESS_CONFLICT if source.mac == own_address.mac else Origin.OTHER
