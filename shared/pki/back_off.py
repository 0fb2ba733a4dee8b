"""When to ask again an authority that did not answer: twice as long after each failure, with a random part, up to a limit.

The random part keeps a fleet that lost its authority at one moment from coming back at one moment.
"""

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.entropy import Entropy

FIRST_NS = 2 * NS_PER_S
"""After the first failure."""

MOST_NS = 3_600 * NS_PER_S
"""However many there were."""

_PARTS = 1 << 16


class BackOff:
    """Counts the failures in a row of one endpoint.

    Args:
        entropy: source of the random part.
        first_ns: wait after the first failure, nanoseconds.
        most_ns: longest wait, nanoseconds.

    Attributes:
        failures: in a row.
        due: not to be asked before; 0 when nothing failed.
    """

    __slots__ = ("_entropy", "_first_ns", "_most_ns", "due", "failures")

    def __init__(self, *, entropy: Entropy, first_ns: int = FIRST_NS, most_ns: int = MOST_NS) -> None:
        self._entropy = entropy
        self._first_ns = first_ns
        self._most_ns = most_ns
        self.failures = 0
        self.due = MonotonicNs(0)

    def failed(self, now: Instant) -> None:
        """Take note of a failure: wait between half and the whole of the next interval."""
        interval_ns = min(self._most_ns, self._first_ns << min(self.failures, 32))
        self.failures += 1
        part = int.from_bytes(self._entropy(2), "big")
        self.due = MonotonicNs(now.monotonic + interval_ns // 2 + interval_ns // 2 * part // _PARTS)

    def succeeded(self) -> None:
        """Take note of an answer."""
        self.failures = 0
        self.due = MonotonicNs(0)

    def allows(self, now: Instant) -> bool:
        """Say whether the endpoint may be asked."""
        return now.monotonic >= self.due
