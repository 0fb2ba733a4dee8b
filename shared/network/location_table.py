"""Location table (EN 302 636-4-1 V1.4.1 clause 8.1): the last position vector of every station heard.

An entry lives `itsGnLifetimeLocTE` after it was last heard and is replaced only by a later vector of the same station (annex C).
Enter only vectors whose signature held. Every verified packet is entered, so an entry keeps the 24 octets as they came and decodes
them when somebody asks. Packet data rates and location service are not kept: nothing of ours unicasts.

No ticket vouches for an address, so an entry belongs to the ticket under which the address was heard first: nobody else moves it,
but whoever claims the same address makes it disputed for as long as an entry lives, when nobody should rely on where it is. A
ticket has one address at a time; under a new one its old entry is gone, so that one ticket cannot fill the table.
"""

from collections import OrderedDict
from struct import Struct

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.ids import HashedId8
from shared.network.position_vector import LongPositionVector, decode_long_position_vector

ENTRY_LIFETIME_NS = 20 * NS_PER_S
"""`itsGnLifetimeLocTE`."""

MAX_ENTRIES = 4_096
"""Stations remembered; then the one silent longest is forgotten."""

MAC_AT = slice(2, 8)
"""The link-layer address within a position vector: names the station in the table."""

_read = Struct(">2x6sI12x").unpack
_HALF_CIRCLE = 1 << 31
_FULL_CIRCLE = 0xFFFF_FFFF


class LocationEntry:
    """What is known of one station.

    Attributes:
        octets: its latest position vector as it was signed.
        timestamp_ms: the vector's own time.
        is_neighbour: it was heard directly, not only through a forwarder.
        heard: when it was last heard.
        signer: the ticket under which it was heard first.
        disputed_until: somebody else has claimed its address; until then nobody knows who is where.
    """

    __slots__ = ("disputed_until", "heard", "is_neighbour", "octets", "signer", "timestamp_ms")

    def __init__(self, octets: bytes, timestamp_ms: int, heard: MonotonicNs, signer: HashedId8, *, is_neighbour: bool) -> None:
        self.octets = octets
        self.timestamp_ms = timestamp_ms
        self.heard = heard
        self.signer = signer
        self.is_neighbour = is_neighbour
        self.disputed_until = heard

    @property
    def vector(self) -> LongPositionVector:
        """Its latest position vector, read anew at every call."""
        return decode_long_position_vector(self.octets)

    def is_disputed(self, now: MonotonicNs) -> bool:
        """Say whether another ticket has claimed the address lately."""
        return now < self.disputed_until


class LocationTable:
    """The stations heard in the last twenty seconds.

    Args:
        entry_lifetime_ns: how long a silent station is kept.
        max_entries: how many stations are kept.
    """

    __slots__ = ("_entries", "_entry_lifetime_ns", "_mac_of", "_max_entries")

    def __init__(self, *, entry_lifetime_ns: int = ENTRY_LIFETIME_NS, max_entries: int = MAX_ENTRIES) -> None:
        self._entry_lifetime_ns = entry_lifetime_ns
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, LocationEntry] = OrderedDict()
        self._mac_of: dict[HashedId8, bytes] = {}

    def update(self, vector: bytes, signer: HashedId8, now: MonotonicNs, *, is_neighbour: bool) -> bool:
        """Enter what was heard; it runs for every verified packet.

        A station that was a neighbour stays one when a forwarder repeats an older packet of it.

        Args:
            vector: 24 octets that `decode_long_position_vector` reads without fail.
            signer: whose ticket vouches for it.
            now: the present.
            is_neighbour: heard directly.

        Returns:
            Whether the vector is later than what was known.
        """
        entries = self._entries
        mac, timestamp_ms = _read(vector)
        entry = entries.get(mac)
        if entry is None or now - entry.heard >= self._entry_lifetime_ns:
            self._enter(LocationEntry(vector, timestamp_ms, now, signer, is_neighbour=is_neighbour), mac)
            return True
        if signer != entry.signer:
            entry.disputed_until = MonotonicNs(now + self._entry_lifetime_ns)
            return False
        entry.heard = now
        entries.move_to_end(mac)
        if is_neighbour:
            entry.is_neighbour = True
        if 0 < (timestamp_ms - entry.timestamp_ms) & _FULL_CIRCLE < _HALF_CIRCLE:  # `is_later`
            entry.octets = vector
            entry.timestamp_ms = timestamp_ms
            return True
        return False

    def get(self, mac: bytes, now: MonotonicNs) -> LocationEntry | None:
        """Return what is known of the station with a link-layer address; None when it was never heard or is silent too long."""
        entry = self._entries.get(mac)
        return entry if entry is not None and self._is_alive(entry, now) else None

    def neighbours(self, now: MonotonicNs) -> tuple[LocationEntry, ...]:
        """Return every station heard directly, the one silent longest first."""
        return tuple(e for e in self._entries.values() if e.is_neighbour and self._is_alive(e, now))

    def expire(self, now: MonotonicNs) -> int:
        """Forget the stations that are silent too long; returns how many."""
        forgotten = 0
        while self._entries:
            mac, entry = next(iter(self._entries.items()))
            if self._is_alive(entry, now):
                break
            self._forget(mac)
            forgotten += 1
        return forgotten

    def __len__(self) -> int:
        """Return how many stations are kept, those not expired yet among them."""
        return len(self._entries)

    def _enter(self, entry: LocationEntry, mac: bytes) -> None:
        self.expire(entry.heard)
        before = self._mac_of.get(entry.signer)
        if before is not None:
            self._forget(before)
        if mac in self._entries:
            self._forget(mac)
        self._entries[mac] = entry
        self._mac_of[entry.signer] = mac
        if len(self._entries) > self._max_entries:
            self._forget(next(iter(self._entries)))

    def _forget(self, mac: bytes) -> None:
        del self._mac_of[self._entries.pop(mac).signer]

    def _is_alive(self, entry: LocationEntry, now: MonotonicNs) -> bool:
        return now - entry.heard < self._entry_lifetime_ns
