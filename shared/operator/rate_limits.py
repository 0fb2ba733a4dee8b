"""How much work is taken on from whom: a bucket of tokens for each client address, and one for all of them.

A request takes a token from both; a bucket fills up at its rate, to its depth. Whoever finds one empty is told how long to wait.
The table of clients is bounded: the one not heard of for longest gives way, and comes back with a full bucket, so the common
bucket bounds what many addresses can do together. An IPv6 client is its /64: it has as many addresses in it as it likes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from shared.core.clock import NS_PER_S, MonotonicNs

MAX_CLIENTS = 4_096
"""Client addresses with a bucket of their own."""

IPV6_CLIENT_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a bucket fills and how much it holds.

    Attributes:
        per_s: requests a second in the long run, more than 0.
        burst: requests at once, at least 1.
    """

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError(f"a rate of {self.per_s} a second and {self.burst} at once admits nobody")


class _Bucket:
    """Tokens at a moment; full at first."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: MonotonicNs) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def wait_ns(self, now: MonotonicNs) -> int:
        """Return 0 if there is a token, or the time until there is one."""
        elapsed_s = max(0, now - self._at) / NS_PER_S
        self._tokens = min(self._rate.burst, self._tokens + elapsed_s * self._rate.per_s)
        self._at = now
        return 0 if self._tokens >= 1 else max(1, round((1 - self._tokens) / self._rate.per_s * NS_PER_S))

    def take(self) -> None:
        """Take the token that `wait_ns` found."""
        self._tokens -= 1


class RateLimiter:
    """Admits requests.

    Args:
        per_client: for each client address.
        overall: for all together.
        capacity_clients: client addresses remembered.
    """

    def __init__(self, *, per_client: Rate, overall: Rate, capacity_clients: int = MAX_CLIENTS) -> None:
        self._per_client = per_client
        self._overall_rate = overall
        self._overall: _Bucket | None = None
        self._capacity_clients = capacity_clients
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_ns(self, client: str, now: MonotonicNs) -> int:
        """Admit a request and return 0, or return how many nanoseconds later one would be admitted.

        Args:
            client: `client_of` the address it came from.
            now: interval time.
        """
        overall = self._overall = self._overall or _Bucket(self._overall_rate, now)
        own = self._clients.pop(client, None) or _Bucket(self._per_client, now)
        self._clients[client] = own
        if len(self._clients) > self._capacity_clients:
            self._clients.popitem(last=False)
        wait_ns = max(own.wait_ns(now), overall.wait_ns(now))
        if wait_ns == 0:
            own.take()
            overall.take()
        return wait_ns


def client_of(address: str) -> str:
    """Return whose requests count together: an IPv4 address, the /64 of an IPv6 address, or the text as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(ip_network((parsed, IPV6_CLIENT_BITS), strict=False)) if mapped is None else str(mapped)
    return str(parsed)
