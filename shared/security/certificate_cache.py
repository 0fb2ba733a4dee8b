"""Tickets of the stations around us, kept so that a message signed by digest needs no chain check (TS 103 097 7.1.1).

A ticket enters only after its chain held AND a message under it verified, so nobody fills the cache with other people's
certificates. Bounded; the ticket not heard for longest makes room. Not remembered for longer than `lifetime_ns` of silence.
"""

from collections import OrderedDict

from shared.core.clock import Instant, MonotonicNs
from shared.core.ids import HashedId8
from shared.security.chain import TrustedCertificate

DEFAULT_CAPACITY = 4_096
"""Tickets; more than a radio's range holds."""

DEFAULT_LIFETIME_NS = 60_000_000_000
"""Silence after which a ticket is forgotten."""


class CertificateCache:
    """Trusted tickets by identifier.

    Args:
        capacity: greatest number of tickets, at least 1.
        lifetime_ns: nanoseconds of silence after which a ticket is forgotten.
    """

    __slots__ = ("_capacity", "_lifetime_ns", "_tickets")

    def __init__(self, capacity: int = DEFAULT_CAPACITY, lifetime_ns: int = DEFAULT_LIFETIME_NS) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError(f"capacity {capacity}, lifetime {lifetime_ns} ns")
        self._capacity = capacity
        self._lifetime_ns = lifetime_ns
        self._tickets: OrderedDict[HashedId8, tuple[TrustedCertificate, MonotonicNs]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tickets)

    def find(self, hashed_id8: HashedId8, now: Instant) -> TrustedCertificate | None:
        """Return the ticket, or None when it is unknown or was silent for too long."""
        entry = self._tickets.get(hashed_id8)
        if entry is None:
            return None
        ticket, heard = entry
        if now.monotonic - heard > self._lifetime_ns:
            del self._tickets[hashed_id8]
            return None
        return ticket

    def remember(self, ticket: TrustedCertificate, now: Instant) -> None:
        """Keep a ticket under which a message has just verified."""
        identifier = ticket.certificate.hashed_id8
        self._tickets[identifier] = (ticket, now.monotonic)
        self._tickets.move_to_end(identifier)
        if len(self._tickets) > self._capacity:
            self._tickets.popitem(last=False)
