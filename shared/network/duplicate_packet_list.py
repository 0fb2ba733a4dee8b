"""Duplicate packet detection for geocast packets (EN 302 636-4-1 V1.4.1 clause 8.1.2 and annex A.2).

Each forwarder repeats a packet, so one reaches us many times. The list holds the geocasts accepted last, by their octets from
behind the Basic Header, the only part a forwarder changes. The standard's list holds source addresses and sequence numbers; nobody
vouches for either, and whoever has a ticket could use the number a neighbour will use next, and make us deaf to it. Octets cannot
be used by anybody before they were said. A packet is remembered only after its signature held, so a forger fills nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from shared.core.clock import MonotonicNs
from shared.core.ids import HashedId8
from shared.network.area import Area
from shared.network.headers import BASIC_HEADER_OCTETS

MAX_PACKETS = 1_024
"""Geocasts remembered: those of a minute with seventeen new ones each second."""

MAX_OCTETS = 1 << 20
"""Their octets together; beyond either, the oldest are forgotten, and their copies are for the replay check to refuse."""


@dataclass(slots=True, eq=False, kw_only=True)
class Geocast:
    """One geocast that was accepted.

    Attributes:
        max_hop_limit: hops it began with; signed.
        area: where it is meant to be heard.
        priority: identifier of its traffic class.
        signer: whose ticket signed it.
        source: its source's position vector, 24 octets.
        made: when it was made by its own account; its lifetime, which is not signed, counts from then.
        is_anycast: it is for any one station of the area, not for all.
        subject: a word for what it is about, where only its signer's newest word of that matters; None where each does.
        best_hops: by link, and whether it had a while to live, the most hops left with which it came to be forwarded there.
        contentions: how often it entered contention.
    """

    max_hop_limit: int
    area: Area
    priority: int
    signer: HashedId8
    source: bytes
    made: MonotonicNs
    is_anycast: bool = False
    subject: str | None = None
    best_hops: dict[tuple[str, bool], int] = field(default_factory=dict)
    contentions: int = 0


class DuplicatePacketList:
    """The geocasts accepted last.

    Args:
        max_packets: how many are kept.
        max_octets: likewise.

    Attributes:
        known: the geocasts by their octets from behind the Basic Header; to be read only.
    """

    __slots__ = ("_max_octets", "_max_packets", "_octets", "known")

    def __init__(self, *, max_packets: int = MAX_PACKETS, max_octets: int = MAX_OCTETS) -> None:
        self._max_packets = max_packets
        self._max_octets = max_octets
        self._octets = 0
        self.known: OrderedDict[bytes, Geocast] = OrderedDict()

    @property
    def octets(self) -> int:
        """Octets remembered."""
        return self._octets

    def find(self, packet: bytes) -> Geocast | None:
        """Return the geocast of which a packet, from the Basic Header on, is a copy."""
        return self.known.get(packet[BASIC_HEADER_OCTETS:])

    def remember(self, packet: bytes, geocast: Geocast) -> None:
        """Note a packet, from the Basic Header on, whose signature held; one that is known already stays as it is."""
        signed = packet[BASIC_HEADER_OCTETS:]
        if signed in self.known:
            return
        self.known[signed] = geocast
        self._octets += len(signed)
        while len(self.known) > self._max_packets or self._octets > self._max_octets:
            forgotten, _ = self.known.popitem(last=False)
            self._octets -= len(forgotten)
