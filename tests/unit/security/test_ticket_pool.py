"""The pool of tickets: none is used twice while another was never used, and the next week's are asked for in time."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ConfigError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64, time64_of
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security import ticket_pool
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import MAX_TICKETS, FleetingUse, NextTicket, TicketPolicy, TicketPool, TicketsWanted
from shared.security.validity import Validity
from tests.helpers.hierarchy import NOON, Hierarchy

HIERARCHY = Hierarchy(31)
AT_NOON = time64_of(NOON)
HOUR_US = 3_600_000_000
TICKETS = tuple(HIERARCHY.ticket() for _ in range(6))
GRID = TicketPolicy(target=3)


class Diary:
    """Keeps uses in memory; a disk that is full when told so."""

    def __init__(self) -> None:
        self.marked: list[HashedId8] = []
        self.is_full = False

    def mark_used(self, hashed_id8: HashedId8) -> None:
        if self.is_full:
            raise StorageError("tickets.db", "the disk is full")
        self.marked.append(hashed_id8)


def pool(*tickets: TicketCredential, policy: TicketPolicy = GRID, used: tuple[HashedId8, ...] = ()) -> TicketPool:
    return TicketPool(tickets, policy=policy, uses=FleetingUse(), used=used)


def name(ticket: TicketCredential) -> HashedId8:
    return ticket.certificate.hashed_id8


def drawn(pool: TicketPool, count: int, *, seed: int = 1, at: Time64 = AT_NOON) -> list[NextTicket]:
    entropy, taken, current = Random(seed).randbytes, [], None
    for _ in range(count):
        taken_now = pool.next_ticket(at, entropy, instead_of=current)
        assert taken_now is not None
        taken.append(taken_now)
        current = taken_now.ticket
    return taken


def issued(validity: Validity) -> TicketCredential:
    """Issue a ticket with a validity that the authority of this hierarchy can give."""
    signer = HIERARCHY.keys.generate(Curve.NIST_P256)
    certificate = HIERARCHY.aa.issue_ticket(
        public_key=signer.public_key, validity=validity, permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    return TicketCredential(certificate=certificate, signer=signer)


def test_every_ticket_is_used_once_before_any_is_used_twice() -> None:
    held = pool(*TICKETS)
    first = drawn(held, len(TICKETS))
    assert {name(each.ticket) for each in first} == {name(each) for each in TICKETS}
    assert not any(each.is_reused for each in first)
    assert held.counts == {"fresh": len(TICKETS)}
    assert held.unused(AT_NOON) == ()


def test_the_order_of_use_says_nothing_about_the_order_of_issue() -> None:
    orders = {tuple(name(each.ticket) for each in drawn(pool(*TICKETS), 6, seed=seed)) for seed in range(20)}
    assert len(orders) > 15
    assert tuple(name(each) for each in TICKETS) not in orders


def test_a_pool_that_runs_dry_uses_again_the_ticket_used_longest_ago_and_says_so() -> None:
    held = pool(*TICKETS[:3])
    order = [name(each.ticket) for each in drawn(held, 3)]
    current = held.valid(AT_NOON)[[name(each) for each in held.valid(AT_NOON)].index(order[-1])]
    again = held.next_ticket(AT_NOON, Random(2).randbytes, instead_of=current)
    assert again is not None
    assert (name(again.ticket), again.is_reused) == (order[0], True)
    assert held.counts == {"fresh": 3, "reused": 1}


def test_where_policy_forbids_it_no_ticket_is_used_twice_but_after_a_start_one_is_better_than_none() -> None:
    held = pool(*TICKETS[:2], policy=TicketPolicy(may_reuse=False))
    last = drawn(held, 2)[-1].ticket
    assert held.next_ticket(AT_NOON, Random(1).randbytes, instead_of=last) is None
    restarted = held.next_ticket(AT_NOON, Random(1).randbytes)
    assert restarted is not None
    assert restarted.is_reused


def test_the_ticket_in_use_is_never_the_next_one() -> None:
    only = TICKETS[0]
    held = pool(only)
    assert [each.ticket for each in drawn(held, 1)] == [only]
    assert held.next_ticket(AT_NOON, Random(1).randbytes, instead_of=only) is None
    unused = pool(only)
    assert unused.next_ticket(AT_NOON, Random(1).randbytes, instead_of=only) is None
    assert held.counts == {"fresh": 1}


def test_without_a_valid_ticket_there_is_none_and_that_is_counted() -> None:
    late = Time64(AT_NOON + 200 * HOUR_US)
    held = pool(*TICKETS)
    assert held.next_ticket(late, Random(1).randbytes) is None
    assert held.next_ticket(Time64(AT_NOON - 4 * HOUR_US), Random(1).randbytes) is None
    assert held.counts == {"none_valid": 2}
    assert pool().next_ticket(AT_NOON, Random(1).randbytes) is None


def test_uses_of_earlier_days_count() -> None:
    used = (name(TICKETS[2]), name(TICKETS[0]), HashedId8(bytes(8)))
    held = pool(*TICKETS[:3], used=used)
    assert held.unused(AT_NOON) == (TICKETS[1],)
    assert [each.ticket for each in drawn(held, 3)] == [TICKETS[1], TICKETS[2], TICKETS[0]]


def test_a_use_is_kept_before_the_ticket_is_handed_out_and_a_full_disk_does_not_hold_up_the_change() -> None:
    diary = Diary()
    held = TicketPool(TICKETS[:2], policy=GRID, uses=diary)
    first = drawn(held, 1)[0].ticket
    assert diary.marked == [name(first)]
    diary.is_full = True
    second = held.next_ticket(AT_NOON, Random(1).randbytes, instead_of=first)
    assert second is not None
    assert held.counts == {"fresh": 2, "use_not_kept": 1}
    assert held.unused(AT_NOON) == ()


def test_expired_tickets_are_dropped_to_the_microsecond() -> None:
    short, long = HIERARCHY.ticket(valid_hours=4), HIERARCHY.ticket(valid_hours=168)
    held = pool(short, long)
    drawn(held, 2)
    end = short.certificate.validity.end_time64
    assert held.drop_expired(Time64(end - 1)) == 0
    assert len(held.valid(Time64(end - 1))) == 2
    assert held.valid(end) == (long,)
    assert held.drop_expired(end) == 1
    assert len(held) == 1
    assert held.summary(end) == {"held": 1, "valid": 1, "unused": 0, "fresh": 2}


def test_one_ticket_is_held_once_and_what_has_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    held = pool(TICKETS[0])
    assert held.add(TICKETS[:2]) == 1
    assert held.add(TICKETS[:2]) == 0
    monkeypatch.setattr(ticket_pool, "MAX_TICKETS", 3)
    assert held.add(TICKETS) == 1
    assert len(held) == 3
    assert held.counts == {"not_taken_in": 3}
    assert MAX_TICKETS >= 13 * ticket_pool.MAX_PARALLEL_TICKETS


def test_an_empty_pool_asks_for_the_whole_present_period_on_the_common_grid() -> None:
    (wanted,) = pool().refill(AT_NOON)
    assert wanted.count == 3
    assert wanted.validity.contains(AT_NOON)
    assert wanted.validity.start % (168 * 3_600) == 0
    assert wanted.validity.end_time64 - wanted.validity.start_time64 == 168 * HOUR_US


def test_whoever_asks_and_whenever_in_the_week_the_validity_is_the_same() -> None:
    begin = GRID.period_at(AT_NOON).start_time64
    assert {pool().refill(Time64(begin + hour * HOUR_US))[0].validity for hour in range(0, 168, 7)} == {GRID.period_at(AT_NOON)}


def test_tickets_are_asked_for_ahead_of_the_next_period_and_only_as_many_as_lack() -> None:
    policy = TicketPolicy(target=2, period_hours=4, lead_hours=1)
    present = policy.period_at(Time64(AT_NOON + 100 * HOUR_US))
    following = policy.period_at(present.end_time64)
    held = pool(issued(present), policy=policy)
    begin, end = present.start_time64, present.end_time64
    assert held.refill(begin) == (TicketsWanted(validity=present, count=1),)
    held.add((issued(present),))
    assert held.refill(begin) == ()
    assert held.refill(Time64(end - HOUR_US - 1)) == ()
    assert held.refill(Time64(end - HOUR_US)) == (TicketsWanted(validity=following, count=2),)
    held.add((issued(following),))
    assert held.refill(Time64(end - 1)) == (TicketsWanted(validity=following, count=1),)
    held.add((issued(following),))
    assert held.refill(Time64(end - 1)) == held.refill(end) == ()


def test_use_does_not_make_a_ticket_lack_but_its_end_does() -> None:
    policy = TicketPolicy(target=1, period_hours=168, lead_hours=24)
    ticket = HIERARCHY.ticket(valid_hours=48)
    held = pool(ticket, policy=policy)
    drawn(held, 1)
    assert held.refill(AT_NOON) == ()
    a_day_left = Time64(ticket.certificate.validity.end_time64 - 24 * HOUR_US)
    present = policy.period_at(a_day_left)
    assert present.end_time64 - a_day_left > 24 * HOUR_US
    assert held.refill(a_day_left) == ()
    assert held.refill(Time64(a_day_left + 1)) == (TicketsWanted(validity=present, count=1),)


def test_an_authority_that_grants_ever_shorter_tickets_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticket_pool, "MAX_PARALLEL_TICKETS", 5)
    held = pool()
    for _ in range(10):
        for wanted in held.refill(AT_NOON):
            held.add(HIERARCHY.ticket(valid_hours=4) for _ in range(wanted.count))
    assert len(held.valid(AT_NOON)) == 5
    assert held.refill(AT_NOON) == ()


@pytest.mark.parametrize("wrong", [{"target": 0}, {"target": 101}, {"period_hours": 169}, {"lead_hours": 0}, {"lead_hours": 169}])
def test_a_policy_beyond_what_authorities_grant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"tickets.{next(iter(wrong))}"):
        replace(TicketPolicy(), **wrong)


def test_the_grid_begins_with_its_time() -> None:
    assert TicketPolicy(period_hours=1, lead_hours=1).period_at(time64_of(UtcNs(NOON + NS_PER_S))) == hours(
        Time32(AT_NOON // 1_000_000 - 5), 1
    )


def test_a_ticket_that_is_set_aside_is_neither_valid_nor_next_is_replaced_and_may_come_back() -> None:
    hierarchy = Hierarchy(171)
    first, second = hierarchy.ticket(), hierarchy.ticket()
    pool = TicketPool((first, second), policy=TicketPolicy(target=2), uses=FleetingUse())
    at = time64_of(NOON)
    lacking = sum(each.count for each in pool.refill(at))
    for _ in range(2):
        assert pool.next_ticket(at, bytes) is not None
    pool.set_aside({each.certificate.hashed_id8: "revoked" for each in (first, second)})
    assert pool.valid(at) == pool.unused(at) == ()
    assert pool.next_ticket(at, bytes) is None
    assert pool.last_to_end() is None
    assert pool.why_set_aside(first) == "revoked"
    assert pool.reasons == ("revoked",)
    assert pool.summary(at)["set_aside"] == 2
    assert sum(each.count for each in pool.refill(at)) == lacking + 2
    pool.set_aside({})
    assert len(pool.valid(at)) == 2
    assert "set_aside" not in pool.summary(at)
