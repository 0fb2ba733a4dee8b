"""Tickets of the stations around us, kept so that a message signed by digest needs no chain check (TS 103 097 7.1.1).

A ticket enters only after its chain held AND a message under it verified, so nobody fills the cache with other people's
certificates. Bounded; the tickets not heard for longest make room. Not remembered for longer than `lifetime_ns` of silence,
nor once trust has changed so that its chain holds no more.
"""

from collections.abc import Callable, Mapping
from heapq import nsmallest

from shared.core.clock import Instant, MonotonicNs
from shared.core.ids import HashedId8
from shared.security.certificate import Certificate
from shared.security.trusted_certificate import TrustedCertificate

DEFAULT_CAPACITY = 4_096
"""Tickets; more than a radio's range holds."""

SHARE_THAT_MAKES_ROOM = 16
"""A full cache forgets this part of its tickets at once, so that looking for them costs little per new ticket."""

DEFAULT_LIFETIME_NS = 60_000_000_000
"""Silence after which a ticket is forgotten."""


class HeardTicket:
    """A ticket and when it was last heard."""

    __slots__ = ("heard", "ticket")

    def __init__(self, ticket: TrustedCertificate, heard: MonotonicNs) -> None:
        self.ticket = ticket
        self.heard = heard


class CertificateCache:
    """Trusted tickets by identifier.

    Args:
        capacity: greatest number of tickets, at least 1.
        lifetime_ns: nanoseconds of silence after which a ticket is forgotten.

    Attributes:
        tickets: to be read only; those among them that have been silent for too long are not forgotten yet.
    """

    __slots__ = ("_by_octets", "_capacity", "lifetime_ns", "tickets")

    def __init__(self, capacity: int = DEFAULT_CAPACITY, lifetime_ns: int = DEFAULT_LIFETIME_NS) -> None:
        if capacity < 1 or lifetime_ns < 1:
            raise ValueError(f"capacity {capacity}, lifetime {lifetime_ns} ns")
        self._capacity = capacity
        self.lifetime_ns = lifetime_ns
        self.tickets: dict[HashedId8, HeardTicket] = {}
        self._by_octets: dict[bytes, Certificate] = {}

    def __len__(self) -> int:
        return len(self.tickets)

    @property
    def by_octets(self) -> Mapping[bytes, Certificate]:
        """The certificates of the tickets by their octets on the air; whoever sees the same octets need not decode them again."""
        return self._by_octets

    def find(self, hashed_id8: HashedId8, now: Instant) -> TrustedCertificate | None:
        """Return the ticket, or None when it is unknown or was silent for too long."""
        entry = self.tickets.get(hashed_id8)
        if entry is None:
            return None
        if now.monotonic - entry.heard > self.lifetime_ns:
            self._forget(hashed_id8)
            return None
        return entry.ticket

    def remember(self, ticket: TrustedCertificate, now: Instant) -> None:
        """Keep a ticket under which a message has just verified."""
        identifier = ticket.facts.hashed_id8
        if identifier in self.tickets:
            self._forget(identifier)
        elif len(self.tickets) >= self._capacity:
            self._make_room()
        self.tickets[identifier] = HeardTicket(ticket, now.monotonic)
        self._by_octets[ticket.certificate.encoded] = ticket.certificate

    def keep(self, holds: Callable[[TrustedCertificate], bool]) -> int:
        """Forget every ticket for which `holds` says no; return how many."""
        gone = [identifier for identifier, entry in self.tickets.items() if not holds(entry.ticket)]
        for identifier in gone:
            self._forget(identifier)
        return len(gone)

    def _make_room(self) -> None:
        count = max(1, self._capacity // SHARE_THAT_MAKES_ROOM)
        for identifier in nsmallest(count, self.tickets, key=lambda identifier: self.tickets[identifier].heard):
            self._forget(identifier)

    def _forget(self, hashed_id8: HashedId8) -> None:
        entry = self.tickets.pop(hashed_id8)
        self._by_octets.pop(entry.ticket.certificate.encoded, None)
