import pytest

from shared.core.clock import ManualClock
from shared.operator.rate_limits import Rate, RateLimiter, client_of
from tests.helpers.hierarchy import seconds


def limiter(*, per_s: float = 2, burst: int = 3, overall: int = 1_000, capacity_clients: int = 10) -> RateLimiter:
    return RateLimiter(
        per_client=Rate(per_s=per_s, burst=burst), overall=Rate(per_s=overall, burst=overall), capacity_clients=capacity_clients
    )


def admitted(limits: RateLimiter, client: str, clock: ManualClock, times: int) -> int:
    return sum(limits.wait_ns(client, clock.now().monotonic) == 0 for _ in range(times))


def test_a_burst_is_served_and_then_the_rate() -> None:
    limits, clock = limiter(), ManualClock(None)
    assert admitted(limits, "a", clock, 10) == 3
    clock.advance(seconds(1))
    assert admitted(limits, "a", clock, 10) == 2
    clock.advance(seconds(3_600))
    assert admitted(limits, "a", clock, 10) == 3


def test_whoever_is_refused_is_told_how_long_to_wait_and_that_is_true() -> None:
    limits, clock = limiter(), ManualClock(None)
    admitted(limits, "a", clock, 3)
    wait_ns = limits.wait_ns("a", clock.now().monotonic)
    assert wait_ns == seconds(0.5)
    clock.advance(wait_ns - 1_000)
    assert limits.wait_ns("a", clock.now().monotonic) > 0
    clock.advance(1_000)
    assert limits.wait_ns("a", clock.now().monotonic) == 0


def test_one_client_takes_nothing_from_another() -> None:
    limits, clock = limiter(), ManualClock(None)
    admitted(limits, "a", clock, 100)
    assert admitted(limits, "b", clock, 3) == 3


def test_many_clients_together_get_no_more_than_the_common_rate() -> None:
    limits, clock = limiter(overall=20), ManualClock(None)
    assert sum(admitted(limits, str(number), clock, 1) for number in range(50)) == 20


def test_a_refused_request_takes_no_token() -> None:
    limits, clock = limiter(burst=1, overall=2), ManualClock(None)
    assert admitted(limits, "a", clock, 50) == 1
    assert admitted(limits, "b", clock, 1) == 1


def test_the_table_of_clients_is_bounded() -> None:
    limits, clock = limiter(capacity_clients=5), ManualClock(None)
    for number in range(100):
        limits.wait_ns(str(number), clock.now().monotonic)
    assert len(limits._clients) == 5


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_addresses_of_one_client_count_together(address: str, client: str) -> None:
    assert client_of(address) == client


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1.0, 1), (1, 0)])
def test_a_rate_that_admits_nobody_is_no_rate(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="admits nobody"):
        Rate(per_s=per_s, burst=burst)
