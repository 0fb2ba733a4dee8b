"""What trust lists in force make of certificates: whom they trust, which tickets they accept, what a restart leaves of them."""

import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import time64_of
from shared.core.report import VerificationReport as Report
from shared.security.certificate import Certificate
from shared.security.chain import ChainVerifier
from shared.security.list_sequence import StoredList
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_lists_held import TrustChange, TrustLists
from tests.helpers.publishing import after

NO_NEWS = TrustChange(is_news=False)
NOBODY = HashedId8(b"whoever!")
NO_UTC = Instant(MonotonicNs(0), None)


def roots_of(lists: TrustLists, elapsed_s: float = 0) -> set[HashedId8]:
    """Return the roots that are trusted."""
    return set(lists.trust(after(elapsed_s)).roots)


def authorities_of(lists: TrustLists, elapsed_s: float = 0) -> set[HashedId8]:
    """Return the authorities that are known."""
    return set(lists.trust(after(elapsed_s)).authorities)


def chain_of(lists: TrustLists, elapsed_s: float = 0) -> ChainVerifier:
    """Return a verifier under the lists in force."""
    return ChainVerifier(trust_store=lists.trust(after(elapsed_s)), areas=NO_IDENTIFIED_AREAS)


def refusal(lists: TrustLists, ticket: Certificate, elapsed_s: float = 0) -> Report:
    """Return why a ticket is refused."""
    with pytest.raises(VerificationError) as caught:
        chain_of(lists, elapsed_s).check_ticket(ticket, time64_of(after(elapsed_s).require_utc()))
    return caught.value.report


def accepted(lists: TrustLists, ticket: Certificate, elapsed_s: float = 0) -> bool:
    """Accept a ticket; raises when it is refused."""
    chain_of(lists, elapsed_s).check_ticket(ticket, time64_of(after(elapsed_s).require_utc()))
    return True


def report_of(error: V2xError) -> Report:
    """Return the report of an error that has one."""
    assert isinstance(error, VerificationError)
    return error.report


def restored(stored: tuple[StoredList, ...], like: TrustLists, now: Instant) -> tuple[TrustLists, list[Report]]:
    """Return lists made anew from what was stored, and why some of it was not taken."""
    lists = TrustLists(pins=like._pins, admission=like._admission, grace_s=like._grace_s)
    return lists, [report_of(each.error) for each in lists.restore(stored, now)]
