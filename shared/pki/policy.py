"""How long and how much an authority grants: the European policy for credentials and tickets, and arithmetic on what is asked.

A credential lives three years; a ticket a week, may begin at most three months ahead, and a station holds at most a hundred for any
moment. Beside that policy stand two bounds of our own, so that no station fills the registry. What is asked is never exceeded: a
period is cut at its ends, permissions are compared bit by bit.
"""

from dataclasses import dataclass

from shared.core.errors import EncodeError
from shared.core.itstime import Time32, Time64
from shared.security.permissions import PsidSsp, SspKind
from shared.security.validity import DurationUnit, Validity

US_PER_S = 1_000_000

YEAR_S = 31_556_952
"""A year as IEEE 1609.2 counts it."""

MAX_CREDENTIAL_LIFETIME_S = 3 * YEAR_S
"""Lifetime of an enrolment credential."""

MAX_TICKET_LIFETIME_S = 7 * 86_400
"""Lifetime of an authorization ticket."""

MAX_PRELOAD_S = YEAR_S // 4
"""How long before its begin a ticket may be fetched: three months."""

MAX_PARALLEL_TICKETS = 100
"""Tickets of one station whose periods overlap."""

MAX_CREDENTIALS_OF_A_STATION = 100
"""Enrolment credentials of one station in all its life; one that asks for more is broken or in wrong hands."""

MAX_TICKETS_OF_A_STATION = 10_000
"""Tickets granted to one station that have not run out, or not longer ago than a ticket lives: very short ones are many."""

BACKDATING_ALLOWANCE_S = 3_600
"""How long before it is issued an enrolment credential may begin; it covers clocks that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPolicy:
    """What an authority grants at most.

    Attributes:
        credential_lifetime_s: of an enrolment credential; a longer request is cut.
        ticket_lifetime_s: of a ticket; a longer request is denied.
        preload_s: how far ahead a ticket may begin.
        parallel_tickets: tickets of one station that overlap.
        credentials_of_a_station: in all its life.
        tickets_of_a_station: that have not run out, or not long ago.
    """

    credential_lifetime_s: int = MAX_CREDENTIAL_LIFETIME_S
    ticket_lifetime_s: int = MAX_TICKET_LIFETIME_S
    preload_s: int = MAX_PRELOAD_S
    parallel_tickets: int = MAX_PARALLEL_TICKETS
    credentials_of_a_station: int = MAX_CREDENTIALS_OF_A_STATION
    tickets_of_a_station: int = MAX_TICKETS_OF_A_STATION


_UNITS = (DurationUnit.SECONDS, DurationUnit.MINUTES, DurationUnit.HOURS, DurationUnit.SIXTY_HOURS, DurationUnit.YEARS)
_MAX_COUNT = 0xFFFF


def period(start: Time32, end: Time32) -> Validity:
    """Return the validity from `start` for as long as can be said without passing `end`.

    Raises:
        EncodeError: the end is not after the start.
    """
    lifetime_s = end - start
    if lifetime_s <= 0:
        raise EncodeError("validity", "ends before it begins")
    for unit in _UNITS:
        count = lifetime_s * US_PER_S // unit.microseconds
        if count <= _MAX_COUNT:
            return Validity(start=start, unit=unit, count=count)
    raise EncodeError("validity", f"{lifetime_s} s are too long to be said")


def cut(validity: Validity, *, begin: Time32, end: Time32) -> Validity | None:
    """Return the part of a period that lies between `begin` and `end`, or None where there is none."""
    if validity.start >= begin and validity.end_time64 <= end * US_PER_S:
        return validity if validity.count else None
    start = max(validity.start, begin)
    stop = min(validity.end_time64 // US_PER_S, end)
    return period(Time32(start), Time32(stop)) if stop > start else None


def usual_ticket_period(at: Time64, policy: GrantPolicy) -> Validity:
    """Return the validity of a ticket for which none was asked.

    From the begin of this hour: the moment of the request would name its owner on every ticket of a batch.
    """
    now = at // US_PER_S
    start = now - now % 3_600
    return period(Time32(start), Time32(start + policy.ticket_lifetime_s))


def earliest_begin(at: Time64) -> Time32:
    """Return the earliest moment an enrolment credential issued now may begin.

    A ticket may begin at any time that leaves it valid: its period is one that many stations ask for, so that it says nothing of
    its owner, and such a period has begun when a station asks in the middle of it.
    """
    return Time32(max(0, at // US_PER_S - BACKDATING_ALLOWANCE_S))


def stay_within(permissions: tuple[PsidSsp, ...], allowed: tuple[PsidSsp, ...]) -> bool:
    """Tell whether every permission is among the allowed ones, with no bit of its SSP that is not allowed there."""
    return all(any(_is_within(permission, limit) for limit in allowed) for permission in permissions)


def _is_within(permission: PsidSsp, limit: PsidSsp) -> bool:
    if permission.psid != limit.psid:
        return False
    ssp, most = permission.ssp, limit.ssp
    if ssp is None or most is None:
        return ssp is None and most is None
    if permission.kind is not limit.kind or len(ssp) != len(most) or ssp[:1] != most[:1]:
        return False
    if permission.kind is SspKind.OPAQUE:
        return ssp == most
    return all(bits & ~allowed == 0 for bits, allowed in zip(ssp, most, strict=True))
