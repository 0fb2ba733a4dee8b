"""Keeps a roadside unit under a valid ticket: it never changes its name, but its tickets run out (TS 103 097 clause 7.2.1).

The next ticket is taken up a while before the present one ends, so that receivers see its certificate in time. Where there is no
other, the unit keeps the one it has: once that has expired nothing is signed, and the unit says why; a ticket that arrives later
lets it speak again. Under a ticket that the pool has set aside, because nobody believes it any more, nothing is signed at once.
"""

from collections.abc import Iterable

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import UntrustedTimeError
from shared.core.itstime import Time64, utc_of, utc_text
from shared.security.freshness import trusted_time64
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import TicketPool
from shared.stack.effects import Notice
from shared.stack.station import Station

CHECK_INTERVAL_NS = NS_PER_S
"""How often it is looked whether the ticket lasts."""

TAKE_OVER_US = 60 * 1_000_000
"""How long before its end a ticket makes room for the next."""

MAX_REASONS_TOLD = 3
"""So many reasons why tickets are out of use are told at once."""


class TicketRenewal:
    """Hands a station its next ticket in time.

    Args:
        station: speaks under the tickets.
        current: the ticket it speaks under now, None where it has none yet.
        pool: holds them all.

    Attributes:
        due: when `poll` wants to be called.
    """

    def __init__(self, *, station: Station, current: TicketCredential | None, pool: TicketPool) -> None:
        self._station = station
        self._current = current
        self._pool = pool
        self.due = MonotonicNs(0)

    @property
    def ticket(self) -> TicketCredential | None:
        """The ticket the station speaks under now."""
        return self._current

    def add(self, tickets: Iterable[TicketCredential]) -> int:
        """Take new tickets in, which are looked at with the next poll; return how many were new."""
        self.due = MonotonicNs(0)
        return self._pool.add(tickets)

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Take the ticket that lasts longest once the present one does not last any more."""
        self.due = MonotonicNs(now.monotonic + CHECK_INTERVAL_NS)
        try:
            at = trusted_time64(now)
        except UntrustedTimeError:
            return ()
        current = self._current
        why = None if current is None else self._pool.why_set_aside(current)
        if current is not None and why is None and _lasts(current, at):
            return ()
        self._pool.drop_expired(at)
        best = max(self._pool.valid(at), key=_end, default=None)
        if best is None and why is not None:
            self._current = None
            self._station.fall_silent()
            return (Notice("ticket_set_aside", {"reason": why}),)
        if best is None or (current is not None and why is None and _end(best) <= _end(current)):
            return ()
        self._current = best
        self._station.assume(self._station.identity, best)
        name, until = best.certificate.hashed_id8.hex(), utc_text(utc_of(_end(best)))
        return (Notice("ticket_renewed", {"ticket": name, "valid_until": until}),)

    def status(self, now: Instant) -> dict[str, object]:
        """Return how many tickets there are and which is in use, as JSON values."""
        current = self._current
        counts: dict[str, object] = {"held": len(self._pool)}
        if now.utc is not None:
            counts |= self._pool.summary(trusted_time64(now))
        if reasons := self._pool.reasons:
            counts["why_set_aside"] = list(reasons[:MAX_REASONS_TOLD])
        return {"current": None if current is None else current.certificate.hashed_id8.hex(), **counts}


def _lasts(ticket: TicketCredential, at: Time64) -> bool:
    validity = ticket.certificate.validity
    return validity.contains(at) and validity.contains(Time64(at + TAKE_OVER_US))


def _end(ticket: TicketCredential) -> Time64:
    return ticket.certificate.validity.end_time64
