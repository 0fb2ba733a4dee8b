from functools import partial

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.pki.back_off import BackOff


def at(elapsed_s: float) -> Instant:
    return Instant(MonotonicNs(round(elapsed_s * NS_PER_S)), None)


def test_an_endpoint_that_never_failed_may_be_asked() -> None:
    assert BackOff(entropy=bytes).allows(at(0))


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    back_off = BackOff(entropy=bytes, first_ns=2 * NS_PER_S, most_ns=10 * NS_PER_S)
    waits = []
    for _ in range(5):
        back_off.failed(at(100))
        waits.append((back_off.due - at(100).monotonic) / NS_PER_S)
    assert waits == [1, 2, 4, 5, 5]
    assert not back_off.allows(at(104.9))
    assert back_off.allows(at(105))


def test_the_random_part_spreads_a_fleet_over_the_second_half_of_the_wait() -> None:
    dues = set()
    for part in range(0, 65_536, 4_096):
        back_off = BackOff(entropy=partial(int.to_bytes, part, byteorder="big"), first_ns=8 * NS_PER_S)
        back_off.failed(at(0))
        dues.add(back_off.due)
    assert len(dues) == 16
    assert min(dues) == 4 * NS_PER_S
    assert max(dues) < 8 * NS_PER_S


def test_an_answer_ends_the_waiting() -> None:
    back_off = BackOff(entropy=bytes)
    for _ in range(40):
        back_off.failed(at(1))
    back_off.succeeded()
    assert back_off.allows(at(1))
    back_off.failed(at(1))
    assert back_off.failures == 1
