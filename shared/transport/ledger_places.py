"""Which of several places of one log to ask next: in the operator's order, those in trouble spared for a while.

A mirror, a roadside unit's relay and the log itself serve the same tree; what they answer is verified above, so a place can only
waste time. One that does not answer, or whose answers led nowhere (`distrust`), is spared, longer each time, and asked again when
its time is over or when there is no other. Reading and submitting are judged apart: a mirror takes no submissions. A server that
names the time after which it wants to be asked again is not asked before, within `MAX_CLOSED_NS`. Sans-IO.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.clock import NS_PER_S, MonotonicNs

MAX_PLACES = 16

FIRST_SPARING_NS = 2 * NS_PER_S
MAX_SPARING_NS = 900 * NS_PER_S

MAX_CLOSED_NS = 600 * NS_PER_S
"""How long a server can keep us away by its own word."""


@dataclass(slots=True)
class _Standing:
    """How one place has done lately, for one use."""

    failures: int = 0
    spared_until: int = 0
    closed_until: int = 0

    def spare(self, now: MonotonicNs) -> None:
        """Begin to spare it, or leave it at that: what fails at the same time fails for one reason."""
        if self.spared_until > now:
            return
        self.failures += 1
        self.spared_until = now + min(FIRST_SPARING_NS << min(self.failures - 1, 16), MAX_SPARING_NS)

    def clear(self) -> None:
        self.failures = self.spared_until = self.closed_until = 0


class Places:
    """The places of one log, for one use.

    Args:
        urls: prefixes, the preferred first; 1 to `MAX_PLACES`.

    Raises:
        ValueError: there are none, or too many.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        if not 1 <= len(urls) <= MAX_PLACES:
            raise ValueError(f"{len(urls)} places of a log; there may be 1 to {MAX_PLACES}")
        self._exchanges = {url: _Standing() for url in urls}
        self._answers = {url: _Standing() for url in urls}

    def order(self, now: MonotonicNs) -> tuple[str, ...]:
        """Return whom to ask, one after the other; empty while every server wants to be left alone.

        Those in good standing come in the operator's order. Where nobody is, the one whose time is over first is asked alone.
        """
        open_now = [url for url in self._exchanges if self._exchanges[url].closed_until <= now]
        good = tuple(url for url in open_now if self._spared_until(url) <= now)
        return good or tuple(sorted(open_now, key=self._spared_until)[:1])

    def answered(self, url: str) -> None:
        """Take note that a place answered; whether the answer leads anywhere is told by `trust` and `distrust`."""
        self._exchanges[url].clear()

    def failed(self, url: str, now: MonotonicNs, *, retry_after_s: int | None = None) -> None:
        """Take note that a place did not answer, or not now."""
        self._exchanges[url].spare(now)
        if retry_after_s is not None:
            self._exchanges[url].closed_until = now + min(retry_after_s * NS_PER_S, MAX_CLOSED_NS)

    def trust(self, url: str) -> None:
        """What a place answered was verified."""
        self._answers[url].clear()

    def distrust(self, url: str, now: MonotonicNs) -> None:
        """What a place answered led nowhere."""
        self._answers[url].spare(now)

    def status(self, now: MonotonicNs) -> dict[str, str]:
        """Return each place's standing in a word."""
        return {url: self._word(url, now) for url in self._exchanges}

    def _spared_until(self, url: str) -> int:
        return max(self._exchanges[url].spared_until, self._answers[url].spared_until)

    def _word(self, url: str, now: MonotonicNs) -> str:
        if self._exchanges[url].failures:
            return "away"
        if self._answers[url].failures:
            return "distrusted"
        return "spared" if self._spared_until(url) > now else "ok"
