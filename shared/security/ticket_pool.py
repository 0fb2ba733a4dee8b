"""The authorization tickets a station holds: which are valid, which is next, and how many more to ask for.

A ticket that was never used comes first, drawn at random among its like, so that the order of use says nothing about the order of
issue. When none is left, the one used longest ago is used again: European certificate policy lets a station use its parallel
tickets of a week more than once, and speaking under a known ticket is better than silence where others need to see the car. With no
valid ticket at all there is nothing to speak under, and `next_ticket` answers None.

A ticket nobody believes any more, because its authority was revoked or is no longer listed (`ticket_standing`), is set aside: it is
neither used nor counted as valid, but kept, since lists that name its authority again give it back.

Validity periods lie on a grid that all stations share, counted from the begin of ITS time: a period of one's own would name its
owner on every ticket of the batch. Left out: requesting (`shared.pki`), and where tickets lie over night (`service.ticket_store`).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64, time32_of
from shared.security.sign import TicketCredential
from shared.security.validity import DurationUnit, Validity

MAX_PARALLEL_TICKETS = 100
"""Tickets valid at one time (European certificate policy)."""

MAX_TICKETS = 1_300
"""Tickets in a pool: three months, the policy's longest supply, of as many parallel ones as it allows."""

WEEK_HOURS = 168
"""The longest validity of a ticket in European policy."""

_DRAW_OCTETS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketPolicy:
    """How many tickets, for how long, and how early.

    Attributes:
        target: tickets wanted in each period, 1..100.
        period_hours: length of a validity period, 1..168; periods follow each other from the begin of ITS time.
        lead_hours: how long before a period its tickets are asked for; tickets that end sooner than this no longer count.
        may_reuse: whether a ticket may be used again once none is left that was not; else the station keeps the one it has.

    Raises:
        ConfigError: a number is outside its range.
    """

    target: int = 20
    period_hours: int = WEEK_HOURS
    lead_hours: int = 24
    may_reuse: bool = True

    def __post_init__(self) -> None:
        for name, value, most in (
            ("target", self.target, MAX_PARALLEL_TICKETS),
            ("period_hours", self.period_hours, WEEK_HOURS),
            ("lead_hours", self.lead_hours, self.period_hours),
        ):
            if not 1 <= value <= most:
                raise ConfigError(f"tickets.{name}", f"{value} is not between 1 and {most}")

    def period_at(self, at: Time64) -> Validity:
        """Return the period of the grid that `at` lies in."""
        now, length_s = time32_of(at), self.period_hours * 3_600
        return Validity(start=Time32(now - now % length_s), unit=DurationUnit.HOURS, count=self.period_hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketsWanted:
    """`count` tickets to ask for, all with the same validity."""

    validity: Validity
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTicket:
    """The ticket to go on with; `is_reused` when it was used before."""

    ticket: TicketCredential
    is_reused: bool


class UseRecord(Protocol):
    """Remembers over a power cut which tickets were used, so that none counts as unused twice."""

    def mark_used(self, hashed_id8: HashedId8) -> None:
        """Keep that a ticket is about to be used, as the latest of all; raises `StorageError`."""
        ...


class FleetingUse:
    """Remembers nothing: for tickets that do not outlive the program (a simulation) or of which there is only one."""

    def mark_used(self, hashed_id8: HashedId8) -> None:
        """Do nothing."""


class TicketPool:
    """Tickets and which of them were used.

    Args:
        tickets: to begin with, at most `MAX_TICKETS`.
        policy: how many, for how long, how early.
        uses: told of every use before the ticket is handed out.
        used: those used already, the one used longest ago first.

    Attributes:
        counts: how often a ticket was handed out `fresh` or `reused`, none was there (`none_valid`), a use could not be kept
            (`use_not_kept`), or a ticket was not taken in (`not_taken_in`: the pool is full).
    """

    def __init__(
        self,
        tickets: Iterable[TicketCredential],
        *,
        policy: TicketPolicy,
        uses: UseRecord,
        used: Iterable[HashedId8] = (),
    ) -> None:
        self._policy = policy
        self._uses = uses
        self._tickets: dict[HashedId8, TicketCredential] = {}
        self._set_aside: Mapping[HashedId8, str] = {}
        self.counts: Counter[str] = Counter()
        self.add(tickets)
        self._used: OrderedDict[HashedId8, None] = OrderedDict((each, None) for each in used if each in self._tickets)

    def __len__(self) -> int:
        """Return how many tickets there are, valid or not."""
        return len(self._tickets)

    @property
    def policy(self) -> TicketPolicy:
        """How many, for how long, how early."""
        return self._policy

    def add(self, tickets: Iterable[TicketCredential]) -> int:
        """Take tickets in and return how many were new; what has no room is left out and counted."""
        added = 0
        for ticket in tickets:
            hashed_id8 = ticket.certificate.hashed_id8
            if hashed_id8 in self._tickets:
                continue
            if len(self._tickets) >= MAX_TICKETS:
                self.counts["not_taken_in"] += 1
                continue
            self._tickets[hashed_id8] = ticket
            added += 1
        return added

    @property
    def tickets(self) -> tuple[TicketCredential, ...]:
        """Every ticket, valid or not, set aside or not."""
        return tuple(self._tickets.values())

    def find(self, hashed_id8: HashedId8) -> TicketCredential | None:
        """Return one of our tickets, valid or not; None for somebody else's."""
        return self._tickets.get(hashed_id8)

    def set_aside(self, reasons: Mapping[HashedId8, str]) -> None:
        """Take these tickets out of use, each for a reason told in a sentence, and all others back into use."""
        self._set_aside = {each: reason for each, reason in reasons.items() if each in self._tickets}

    def why_set_aside(self, ticket: TicketCredential) -> str | None:
        """Return why a ticket must not be used; None where it may."""
        return self._set_aside.get(ticket.certificate.hashed_id8)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why tickets are set aside, each reason once."""
        return tuple(dict.fromkeys(self._set_aside.values()))

    def valid(self, at: Time64) -> tuple[TicketCredential, ...]:
        """Return the tickets valid at a moment that are not set aside."""
        return tuple(ticket for ticket in self._usable() if ticket.certificate.validity.contains(at))

    def _usable(self) -> Iterator[TicketCredential]:
        return (ticket for hashed_id8, ticket in self._tickets.items() if hashed_id8 not in self._set_aside)

    def unused(self, at: Time64) -> tuple[TicketCredential, ...]:
        """Return the tickets valid at a moment that were never used."""
        return tuple(ticket for ticket in self.valid(at) if ticket.certificate.hashed_id8 not in self._used)

    def last_to_end(self) -> TicketCredential | None:
        """Return the ticket that is not set aside whose validity ends last, valid now or not; None when there is none."""
        return max(self._usable(), key=lambda each: each.certificate.validity.end_time64, default=None)

    def next_ticket(self, at: Time64, entropy: Entropy, *, instead_of: TicketCredential | None = None) -> NextTicket | None:
        """Choose the ticket to go on with, and mark it used.

        Args:
            at: the present.
            entropy: returns that many random octets.
            instead_of: the ticket in use, which is never the next one.

        Returns:
            None when there is no other valid one, or none that may be used again.
        """
        current = None if instead_of is None else instead_of.certificate.hashed_id8
        fresh = [ticket for ticket in self.unused(at) if ticket.certificate.hashed_id8 != current]
        if fresh:
            return self._hand_out(fresh[int.from_bytes(entropy(_DRAW_OCTETS), "big") % len(fresh)], is_reused=False)
        for hashed_id8 in self._used:
            ticket = self._tickets[hashed_id8]
            is_allowed = hashed_id8 not in self._set_aside and (self._policy.may_reuse or current is None)
            if is_allowed and hashed_id8 != current and ticket.certificate.validity.contains(at):
                return self._hand_out(ticket, is_reused=True)
        if not self.valid(at):
            self.counts["none_valid"] += 1
        return None

    def drop_expired(self, at: Time64) -> int:
        """Forget tickets that will never be valid again; return how many."""
        expired = [each for each, ticket in self._tickets.items() if ticket.certificate.validity.end_time64 <= at]
        for hashed_id8 in expired:
            del self._tickets[hashed_id8]
            self._used.pop(hashed_id8, None)
        self._set_aside = {each: reason for each, reason in self._set_aside.items() if each in self._tickets}
        return len(expired)

    def refill(self, at: Time64) -> tuple[TicketsWanted, ...]:
        """Return what to ask for: what the present period lacks, and ahead of its end what the next one does.

        Where an authority grants shorter tickets than were asked for, asking ends with `MAX_PARALLEL_TICKETS` valid at one time.
        """
        present = self._policy.period_at(at)
        lead_us = self._policy.lead_hours * DurationUnit.HOURS.microseconds
        soon = Time64(at + lead_us)
        wanted = [self._lacking(present, at, min(soon, present.end_time64))]
        if soon >= present.end_time64:
            following = self._policy.period_at(present.end_time64)
            until = min(Time64(following.start_time64 + lead_us), following.end_time64)
            wanted.append(self._lacking(following, following.start_time64, until))
        return tuple(each for each in wanted if each.count > 0)

    def _lacking(self, period: Validity, begin: Time64, until: Time64) -> TicketsWanted:
        ends = [ticket.certificate.validity.end_time64 for ticket in self.valid(begin)]
        lasting = sum(until <= end for end in ends)
        return TicketsWanted(validity=period, count=min(self._policy.target - lasting, MAX_PARALLEL_TICKETS - len(ends)))

    def _hand_out(self, ticket: TicketCredential, *, is_reused: bool) -> NextTicket:
        """A disk that fails does not hold up the change: a use that is forgotten costs less than a pseudonym kept."""
        hashed_id8 = ticket.certificate.hashed_id8
        try:
            self._uses.mark_used(hashed_id8)
        except StorageError:
            self.counts["use_not_kept"] += 1
        self._used[hashed_id8] = None
        self._used.move_to_end(hashed_id8)
        self.counts["reused" if is_reused else "fresh"] += 1
        return NextTicket(ticket=ticket, is_reused=is_reused)

    def summary(self, at: Time64) -> Mapping[str, int]:
        """Return the counts, how many tickets are `valid` and `unused` at a moment, and `set_aside` where any is."""
        set_aside = {"set_aside": len(self._set_aside)} if self._set_aside else {}
        return {"held": len(self), "valid": len(self.valid(at)), "unused": len(self.unused(at)), **set_aside, **self.counts}
