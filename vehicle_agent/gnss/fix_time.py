"""The date from a receiver: believed when several fixes agree on it, and smoothed over what each took to arrive.

Every fix gives one reading of the same difference, UTC less interval time. A report is late by what its receiver reckons and its
line takes, never early, so the largest difference of the last minute is the best. A receiver that just woke may be some seconds
off or years, one that is lied to anything: the first date and every step wait for `CONFIRMING_FIXES` over `CONFIRMING_NS` that
agree.
"""

from collections import deque

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs

AGREEMENT_NS = 800 * NS_PER_MS
"""How far two readings of one clock may be apart: lines stall, a leap second does not fit in."""

CONFIRMING_FIXES = 3
CONFIRMING_NS = 2 * NS_PER_S

WINDOW_NS = 60 * NS_PER_S
"""From readings of this time the best is taken; interval time drifts by some 3 ms in it."""

READING_NS = NS_PER_S // 2
"""At most one reading in this time is kept, whatever the receiver's rate; so the window has a bound."""

MAX_READINGS = WINDOW_NS // READING_NS + 1


class FixTime:
    """Follows one receiver's date.

    Args:
        not_before: no true date is earlier; a receiver whose week number has rolled over says such a one.
    """

    def __init__(self, not_before: UtcNs) -> None:
        self._not_before = not_before
        self._readings: deque[tuple[MonotonicNs, int]] = deque(maxlen=MAX_READINGS)
        self._new: tuple[MonotonicNs, int, int] | None = None
        self.old_dates = 0
        self.steps = 0

    def take(self, utc: UtcNs, at: MonotonicNs) -> UtcNs | None:
        """Take the date of a fix; return the best known for the same moment, or None while it is not to be believed."""
        if utc < self._not_before:
            self.old_dates += 1
            return None
        difference = utc - at
        if self._readings and abs(difference - self._best(at)) <= AGREEMENT_NS:
            self._new = None
        elif not self._is_confirmed(difference, at):
            return None
        self._keep(difference, at)
        return UtcNs(at + self._best(at))

    def _is_confirmed(self, difference: int, at: MonotonicNs) -> bool:
        """Count readings that agree on another date; once they are enough, forget the old one."""
        if self._new is None or abs(difference - self._new[1]) > AGREEMENT_NS:
            self.steps += bool(self._readings)
            self._new = (at, difference, 1)
            return False
        begun, first, fixes = self._new
        self._new = (begun, first, fixes + 1)
        if fixes + 1 < CONFIRMING_FIXES or at - begun < CONFIRMING_NS:
            return False
        self._readings.clear()
        self._new = None
        return True

    def _keep(self, difference: int, at: MonotonicNs) -> None:
        if self._readings and at - self._readings[-1][0] < READING_NS:
            if difference > self._readings[-1][1]:
                self._readings[-1] = (self._readings[-1][0], difference)
            return
        self._readings.append((at, difference))

    def _best(self, at: MonotonicNs) -> int:
        while len(self._readings) > 1 and at - self._readings[0][0] > WINDOW_NS:
            self._readings.popleft()
        return max(difference for _, difference in self._readings)
