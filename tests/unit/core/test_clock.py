from typing import cast

import pytest

from shared.core.clock import NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import UntrustedTimeError

SOME_DAY = UtcNs(1_700_000_000 * NS_PER_S)


def test_an_instant_with_a_date_gives_it() -> None:
    assert Instant(MonotonicNs(5), SOME_DAY).require_utc() == SOME_DAY


def test_an_instant_without_a_date_refuses_to_give_one() -> None:
    with pytest.raises(UntrustedTimeError) as caught:
        Instant(MonotonicNs(5), None).require_utc()
    assert caught.value.code == "untrusted_time"
    assert "not set" in str(caught.value)


def test_the_first_moment_of_posix_time_is_a_date_like_any_other() -> None:
    assert Instant(MonotonicNs(0), UtcNs(0)).require_utc() == 0


def test_an_instant_cannot_be_changed() -> None:
    instant = Instant(MonotonicNs(1), None)
    with pytest.raises(AttributeError):
        instant.utc = SOME_DAY  # type: ignore[misc]


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(SOME_DAY, MonotonicNs(7))
    assert clock.now() == clock.now() == Instant(MonotonicNs(7), SOME_DAY)


def test_a_manual_clock_moves_both_times_together() -> None:
    clock = ManualClock(SOME_DAY)
    assert clock.advance(250) == Instant(MonotonicNs(250), UtcNs(SOME_DAY + 250))
    assert clock.advance_to(MonotonicNs(1_000)) == Instant(MonotonicNs(1_000), UtcNs(SOME_DAY + 1_000))
    assert clock.now().monotonic == 1_000


def test_a_manual_clock_may_be_told_to_stay_where_it_is() -> None:
    clock = ManualClock(SOME_DAY)
    assert clock.advance(0) == clock.now()
    assert clock.advance_to(clock.now().monotonic) == clock.now()


@pytest.mark.parametrize("elapsed_ns", [-1, -NS_PER_S])
def test_a_manual_clock_refuses_to_run_backwards(elapsed_ns: int) -> None:
    clock = ManualClock(SOME_DAY, MonotonicNs(2 * NS_PER_S))
    before = clock.now()
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(elapsed_ns)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance_to(cast("MonotonicNs", before.monotonic + elapsed_ns))
    assert clock.now() == before


def test_a_manual_clock_without_a_date_counts_intervals_all_the_same() -> None:
    clock = ManualClock(None)
    assert clock.advance(NS_PER_S) == Instant(MonotonicNs(NS_PER_S), None)


def test_learning_the_date_leaves_interval_time_untouched() -> None:
    clock = ManualClock(None)
    clock.advance(NS_PER_S)
    clock.set_utc(SOME_DAY)
    assert clock.now() == Instant(MonotonicNs(NS_PER_S), SOME_DAY)
    assert clock.advance(1) == Instant(MonotonicNs(NS_PER_S + 1), UtcNs(SOME_DAY + 1))


def test_the_date_may_step_back_while_interval_time_goes_on() -> None:
    clock = ManualClock(SOME_DAY)
    clock.advance(NS_PER_S)
    clock.set_utc(UtcNs(SOME_DAY - 60 * NS_PER_S))
    assert clock.now() == Instant(MonotonicNs(NS_PER_S), UtcNs(SOME_DAY - 60 * NS_PER_S))


def test_a_lost_date_is_lost() -> None:
    clock = ManualClock(SOME_DAY)
    clock.set_utc(None)
    with pytest.raises(UntrustedTimeError):
        clock.advance(1).require_utc()
