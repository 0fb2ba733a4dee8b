"""Location table (EN 302 636-4-1 V1.4.1 clause 8.1): the last position vector of every station heard.

An entry lives `itsGnLifetimeLocTE` after it was last heard and is replaced only by a later vector of the same station (annex C).
Enter only vectors whose signature held. Packet data rates and location service are not kept: nothing of ours unicasts.
"""

from collections import OrderedDict
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.network.address import GnAddress
from shared.network.position_vector import LongPositionVector, is_later

ENTRY_LIFETIME_NS = 20 * NS_PER_S
"""`itsGnLifetimeLocTE`."""

MAX_ENTRIES = 4_096
"""Stations remembered; then the one silent longest is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationEntry:
    """What is known of one station.

    Attributes:
        vector: its latest position vector.
        is_neighbour: it was heard directly, not through a forwarder.
        heard: when it was last heard.
    """

    vector: LongPositionVector
    is_neighbour: bool
    heard: MonotonicNs


class LocationTable:
    """The stations heard in the last twenty seconds.

    Args:
        entry_lifetime_ns: how long a silent station is kept.
        max_entries: how many stations are kept.
    """

    def __init__(self, *, entry_lifetime_ns: int = ENTRY_LIFETIME_NS, max_entries: int = MAX_ENTRIES) -> None:
        self._entry_lifetime_ns = entry_lifetime_ns
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, LocationEntry] = OrderedDict()

    def update(self, vector: LongPositionVector, now: MonotonicNs, *, is_neighbour: bool) -> bool:
        """Enter what was heard.

        A station that was a neighbour stays one when a forwarder repeats an older packet of it.

        Returns:
            Whether the vector is later than what was known.
        """
        self.expire(now)
        known = self._entries.get(vector.address.mac)
        later = known is None or is_later(vector.timestamp_ms, known.vector.timestamp_ms)
        self._entries[vector.address.mac] = LocationEntry(
            vector=vector if known is None or later else known.vector,
            is_neighbour=is_neighbour or (known is not None and known.is_neighbour),
            heard=now,
        )
        self._entries.move_to_end(vector.address.mac)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return later

    def get(self, address: GnAddress, now: MonotonicNs) -> LocationEntry | None:
        """Return what is known of a station, or None when it was never heard or is silent too long."""
        entry = self._entries.get(address.mac)
        return entry if entry is not None and self._is_alive(entry, now) else None

    def neighbours(self, now: MonotonicNs) -> tuple[LocationEntry, ...]:
        """Return every station heard directly, the one silent longest first."""
        return tuple(e for e in self._entries.values() if e.is_neighbour and self._is_alive(e, now))

    def expire(self, now: MonotonicNs) -> int:
        """Forget the stations that are silent too long; returns how many."""
        forgotten = 0
        while self._entries:
            address, entry = next(iter(self._entries.items()))
            if self._is_alive(entry, now):
                break
            del self._entries[address]
            forgotten += 1
        return forgotten

    def next_due(self) -> MonotonicNs | None:
        """Return when the next entry expires, or None while the table is empty."""
        for entry in self._entries.values():
            return MonotonicNs(entry.heard + self._entry_lifetime_ns)
        return None

    def _is_alive(self, entry: LocationEntry, now: MonotonicNs) -> bool:
        return now - entry.heard < self._entry_lifetime_ns
