"""Duplicate packet detection for geocast packets (EN 302 636-4-1 V1.4.1 clause 8.1.2 and annex A.2).

Each forwarder repeats a packet, so one reaches us many times. The list holds the last sequence numbers of each source. Asking and
remembering are two steps on purpose: a packet is remembered only after its signature held, so a forger cannot make us deaf to a
number. Single-hop packets have no number; the replay check of the security layer covers them.
"""

from collections import OrderedDict, deque

from shared.network.address import GnAddress

NUMBERS_PER_SOURCE = 8
"""`itsGnDPLLength`."""

MAX_SOURCES = 4_096
"""Sources remembered; then the one silent longest is forgotten."""


class DuplicatePacketList:
    """The last sequence numbers of the sources heard last.

    Args:
        numbers_per_source: how many numbers of one source are kept.
        max_sources: how many sources are kept.
    """

    def __init__(self, *, numbers_per_source: int = NUMBERS_PER_SOURCE, max_sources: int = MAX_SOURCES) -> None:
        self._numbers_per_source = numbers_per_source
        self._max_sources = max_sources
        self._numbers: OrderedDict[bytes, deque[int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many sources are remembered."""
        return len(self._numbers)

    def contains(self, source: GnAddress, sequence_number: int) -> bool:
        """Say whether this packet of this source was remembered."""
        return sequence_number in self._numbers.get(source.mac, ())

    def remember(self, source: GnAddress, sequence_number: int) -> None:
        """Note a packet whose signature held."""
        numbers = self._numbers.setdefault(source.mac, deque(maxlen=self._numbers_per_source))
        self._numbers.move_to_end(source.mac)
        if sequence_number not in numbers:
            numbers.append(sequence_number)
        while len(self._numbers) > self._max_sources:
            self._numbers.popitem(last=False)
