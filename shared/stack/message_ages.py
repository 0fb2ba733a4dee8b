"""How old what is heard is when its turn comes: from the moment its sender says it was made to the moment it is judged. Sans-IO.

One number for each bound and a sum, as a Prometheus histogram has them, so that whoever looks twice knows what was between. An
overloaded station hears later and later until its queue drops what is too old (`shared.stack.admission`); here that shows. Senders'
clocks are part of an age: what seems to come from the near future counts as no age at all.
"""

from bisect import bisect_left
from itertools import accumulate

from shared.core.clock import NS_PER_MS, NS_PER_S

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Ages counted apart; what is older is in the total alone."""

_BOUNDS_NS = tuple(bound * NS_PER_MS for bound in BOUNDS_MS)


class MessageAges:
    """The ages of everything heard so far."""

    __slots__ = ("_counts", "_sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self._sum_ns = 0

    def note(self, age_ns: int) -> None:
        """Count one message; it runs for every one that is heard."""
        self._counts[bisect_left(_BOUNDS_NS, age_ns)] += 1
        self._sum_ns += age_ns

    def status(self) -> dict[str, object]:
        """Return JSON values: how many messages were no older than each bound, how many there were, the sum of their ages."""
        totals = list(accumulate(self._counts))
        return {
            "within_ms": {str(bound): total for bound, total in zip(BOUNDS_MS, totals, strict=False)},
            "count": totals[-1],
            "sum_s": self._sum_ns / NS_PER_S,
        }
