"""Contention: who waits how long, what silences whom, and what cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.ids import HashedId8
from shared.network.contention import MAX_OCTETS, MAX_PACKETS, MAX_PACKETS_PER_SIGNER, Contender, ContentionBuffer, contention_ns


def contender(number: int = 0, *, link: str = "a", hops: int = 9, due_ms: int = 50, signer: int = 1, octets: int = 40) -> Contender:
    signed = number.to_bytes(4, "big").ljust(octets, b"\0")
    return Contender(
        packet=bytes((0x12, 0, 0x1A, hops)) + signed,
        signed=signed,
        link=link,
        hops=hops,
        signer=HashedId8(bytes(7) + bytes((signer,))),
        priority=1,
        due=at_ms(due_ms),
        expires=at_ms(60_000),
    )


def at_ms(milliseconds: int) -> MonotonicNs:
    return MonotonicNs(milliseconds * NS_PER_MS)


@pytest.mark.parametrize(
    ("progress_m", "wait_ms"),
    [(0.0, 100.0), (100.0, 90.1), (500.0, 50.5), (1_000.0, 1.0), (5_000.0, 1.0), (-3.0, 100.0), (None, 100.0)],
)
def test_whoever_brings_a_packet_further_waits_less(progress_m: float | None, wait_ms: float) -> None:
    assert contention_ns(progress_m) == round(wait_ms * NS_PER_MS)


def test_a_packet_leaves_when_its_time_has_come_and_once() -> None:
    buffer = ContentionBuffer()
    late, soon = contender(1, due_ms=60), contender(2, due_ms=10)
    assert buffer.next_due() is None
    assert buffer.enter(late)
    assert buffer.enter(soon)
    assert buffer.next_due() == at_ms(10)
    assert buffer.poll(at_ms(9)) == []
    assert buffer.poll(at_ms(60)) == [soon, late]
    assert buffer.poll(at_ms(100)) == []
    assert (len(buffer), buffer.octets) == (0, 0)


@pytest.mark.parametrize(("hops", "is_given_up"), [(10, True), (9, True), (8, False), (1, False), (0, False)])
def test_only_a_copy_with_as_many_hops_as_ours_makes_ours_superfluous(hops: int, is_given_up: bool) -> None:  # noqa: FBT001 - a column of a table
    buffer, ours = ContentionBuffer(), contender(hops=9)
    buffer.enter(ours)
    assert buffer.overheard(ours.signed, "a", hops, at_ms(60_000), at_ms(0)) is is_given_up
    assert len(buffer) == (not is_given_up)


@pytest.mark.parametrize(("expires_ms", "is_given_up"), [(50, False), (1_999, False), (2_000, True), (60_000, True)])
def test_a_copy_that_is_over_before_anybody_passes_it_on_makes_ours_not_superfluous(expires_ms: int, is_given_up: bool) -> None:  # noqa: FBT001 - a column of a table
    buffer, ours = ContentionBuffer(), contender(hops=9)
    buffer.enter(ours)
    assert buffer.overheard(ours.signed, "a", 9, at_ms(expires_ms), at_ms(0)) is is_given_up


def test_what_has_not_long_to_live_takes_nothing_s_place() -> None:
    buffer, ours = ContentionBuffer(), contender(hops=9)
    brief = replace(ours, expires=at_ms(100), is_lasting=False, hops=8)
    buffer.enter(ours)
    buffer.enter(brief)
    assert len(buffer) == 2
    assert buffer.overheard(ours.signed, "a", 9, at_ms(60_000), at_ms(0))
    assert len(buffer) == 0


def test_each_link_is_a_contention_of_its_own() -> None:
    buffer, here, there = ContentionBuffer(), contender(link="a"), contender(link="b")
    buffer.enter(here)
    buffer.enter(there)
    assert not buffer.overheard(here.signed, "c", 9, at_ms(60_000), at_ms(0))
    assert buffer.overheard(here.signed, "a", 9, at_ms(60_000), at_ms(0))
    assert buffer.poll(at_ms(100)) == [there]


def test_the_same_packet_with_more_hops_takes_the_place_of_its_earlier_self() -> None:
    buffer = ContentionBuffer()
    buffer.enter(contender(hops=1, due_ms=5))
    buffer.enter(contender(hops=9, due_ms=50))
    assert [each.hops for each in buffer.poll(at_ms(100))] == [9]


def test_nobody_s_flood_costs_another_s_hazard_its_place() -> None:
    buffer = ContentionBuffer()
    taken = [buffer.enter(contender(number, signer=1)) for number in range(MAX_PACKETS)]
    assert taken == [True] * MAX_PACKETS_PER_SIGNER + [False] * (MAX_PACKETS - MAX_PACKETS_PER_SIGNER)
    assert buffer.enter(contender(1_000, signer=2))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9), st.integers(1, 2_300), st.integers(0, 3)), max_size=400))
def test_the_buffer_never_grows_beyond_its_bounds_and_its_sums_hold(steps: list[tuple[int, int, int, int]]) -> None:
    buffer = ContentionBuffer(max_packets=20, max_octets=9_000, max_packets_per_signer=8)
    for number, signer, octets, act in steps:
        each = contender(number % 40, signer=signer, octets=max(octets, 4), due_ms=number)
        if act == 0:
            buffer.overheard(each.signed, "a", 9, at_ms(number), at_ms(0))
        elif act == 1:
            buffer.poll(at_ms(number))
        else:
            buffer.enter(each)
        assert len(buffer) <= 20
        assert 0 <= buffer.octets <= 9_000
    left = buffer.poll(at_ms(1_000))
    assert sorted(each.due for each in left) == [each.due for each in left]
    assert (len(buffer), buffer.octets) == (0, 0)
    assert MAX_OCTETS >= MAX_PACKETS_PER_SIGNER * 2_304
