"""How busy the channel is: an estimate from the packets heard and sent, for radios that do not measure it themselves.

Time is cut into windows of 100 ms (TS 102 687 V1.2.1: T_CBR). The ratio of a window is the airtime of all packets in it; what is
given out is the mean of the last two, so that one burst is not taken for a load. Frames nobody could decode are not heard and not
counted, so the estimate is low on a channel full of collisions: a radio that measures its ratio hands it in instead. Each link is a
channel of its own, and the busiest counts. Links that are no shared channel (`unshared`) count nothing: a broker is not silenced by
silence, and whoever can publish there must not be able to quieten the radio.
"""

from collections import deque
from collections.abc import Iterable

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.network.dcc import BITS_PER_S, PREAMBLE_NS
from shared.network.packet import MAX_PACKET_OCTETS

WINDOW_NS = 100 * NS_PER_MS
"""T_CBR."""

MEASURED_LASTS_NS = NS_PER_S
"""How long a ratio that a radio measured stands for the channel."""

MAX_LINKS = 16
"""Links that are looked at; further ones count nothing."""

MAX_WINDOWS = 10
"""Windows given out at once: more lie between two looks only where nothing happens, and then all are the same."""

_NS_PER_OCTET = 8 * NS_PER_S / BITS_PER_S


class ChannelLoadMeter:
    """Adds up airtime.

    Args:
        started: begin of the first window.

    Attributes:
        unshared: links that count nothing.
    """

    __slots__ = ("_busy_ns", "_ends", "_last", "_measured", "_measured_until", "_ratios", "unshared")

    def __init__(self, started: MonotonicNs) -> None:
        self._ends = started + WINDOW_NS
        self._busy_ns: dict[str, float] = {}
        self._last = 0.0
        self._ratios: deque[float] = deque(maxlen=MAX_WINDOWS)
        self._measured = 0.0
        self._measured_until = started
        self.unshared: frozenset[str] = frozenset()

    def heard(self, octets: int, link: str, now: MonotonicNs) -> None:
        """Take note of a packet on a link; it runs for every packet that arrives, whatever becomes of it."""
        if now >= self._ends:
            self._close(now)
        busy = self._busy_ns
        if link in busy:
            busy[link] += PREAMBLE_NS + min(octets, MAX_PACKET_OCTETS) * _NS_PER_OCTET
        elif len(busy) < MAX_LINKS and link not in self.unshared:
            busy[link] = PREAMBLE_NS + min(octets, MAX_PACKET_OCTETS) * _NS_PER_OCTET

    def sent(self, octets: int, links: Iterable[str], now: MonotonicNs) -> None:
        """Take note of a packet of ours on each of the links it goes to."""
        for link in links:
            self.heard(octets, link, now)

    def measured(self, busy_ratio: float, now: MonotonicNs) -> None:
        """Take what a radio measured, 0..1: it stands for the channel for `MEASURED_LASTS_NS`."""
        self._measured = min(max(busy_ratio, 0.0), 1.0)
        self._measured_until = MonotonicNs(now + MEASURED_LASTS_NS)

    def ratios(self, now: MonotonicNs) -> list[float]:
        """Return the channel busy ratio at the end of each window over since it was asked last, at most `MAX_WINDOWS` of them."""
        if now >= self._ends:
            self._close(now)
        ratios = list(self._ratios)
        self._ratios.clear()
        return [self._measured] * len(ratios) if now < self._measured_until else ratios

    def _close(self, now: MonotonicNs) -> None:
        """Close the present window, and those after it in which nothing happened."""
        ratio = min(max(self._busy_ns.values(), default=0.0) / WINDOW_NS, 1.0)
        passed = (now - self._ends) // WINDOW_NS + 1
        self._ends += passed * WINDOW_NS
        self._busy_ns.clear()
        for _ in range(min(passed, MAX_WINDOWS)):
            self._ratios.append((ratio + self._last) / 2)
            self._last, ratio = ratio, 0.0
        if passed > MAX_WINDOWS:
            self._last = 0.0
