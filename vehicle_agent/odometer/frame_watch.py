"""The message with the odometer, as a message: missing, sent by two, or kept at another pace than its sender's.

A device between harness and cluster has to let the odometer's message through, hold it back, or send one of its own, and each
leaves a trace in when it comes. A cluster keeps its period well; how long that is, is learnt from the first frames of a start.
A message that is sent on change has none, and only whether two senders contradict each other is looked at then.

Not seen: a device that was there at the start already and passes each frame on at once.
"""

from collections import deque
from itertools import pairwise

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.records.odometer import OdometerFlag

LEARN_FRAMES = 33
"""Frames from which the period is learnt."""

REGULAR_WITHIN = 0.3
"""A period is one if most intervals are within this share of their median."""

MOST_INTERVALS = 0.8

MISSING_PERIODS = 8
MISSING_LEAST_NS = 5 * NS_PER_S
"""Frames are missing after this many periods, and this long at least."""

DOUBLED_PACE = 0.7
"""Share of its period below which the mean interval shows a second sender."""

OFF_PACE = 0.25
"""Share by which the mean interval may differ from the period."""

CONTRADICTIONS = 6
"""Falling readings within the window that only two senders explain."""

NOTHING_ODD: frozenset[OdometerFlag] = frozenset()


class FrameWatch:
    """Looks at the moments of one message, which names the odometer."""

    def __init__(self) -> None:
        self._period_ns: float | None = None
        self._is_learning = True
        self._frames: deque[tuple[MonotonicNs, bool]] = deque()
        self._falls = 0
        self._since_pause = 0
        self._last_m = 0.0

    @property
    def period_ns(self) -> float | None:
        """The period that was learnt; None while it is not known, or where there is none."""
        return self._period_ns

    def sleep(self) -> None:
        """The vehicle is switched off: the pause that follows is no matter."""
        self._frames.clear()
        self._falls = self._since_pause = 0

    def take(self, odometer_m: float, at: MonotonicNs) -> None:
        """Take a frame and what it says, believed or not."""
        frames, period_ns = self._frames, self._period_ns
        if frames and at < frames[-1][0]:
            self.sleep()
        if period_ns is not None and frames and at - frames[-1][0] > MISSING_PERIODS * period_ns:
            self._since_pause = 0
        falls = odometer_m < self._last_m
        self._last_m = odometer_m
        frames.append((at, falls))
        self._falls += falls
        self._since_pause += 1
        if len(frames) > LEARN_FRAMES:
            self._falls -= frames.popleft()[1]
        if self._is_learning and len(frames) == LEARN_FRAMES:
            self._is_learning = False
            self._period_ns = _period(frames)

    def flags(self, *, awake_since: MonotonicNs, heard_at: MonotonicNs) -> frozenset[OdometerFlag]:
        """Return what is odd about the message, on a bus that has spoken since `awake_since` and last at `heard_at`."""
        frames, period_ns = self._frames, self._period_ns
        if not frames:
            return NOTHING_ODD
        without_ns = heard_at - max(frames[-1][0], awake_since)
        if period_ns is not None and without_ns > max(MISSING_PERIODS * period_ns, MISSING_LEAST_NS):
            return frozenset({OdometerFlag.ODOMETER_FRAME_MISSING})
        if self._falls >= CONTRADICTIONS:
            return frozenset({OdometerFlag.ODOMETER_FRAME_DOUBLED})
        if period_ns is None or self._since_pause < LEARN_FRAMES:
            return NOTHING_ODD  # after a pause the pace is judged again once it is behind
        pace = (frames[-1][0] - frames[0][0]) / (len(frames) - 1) / period_ns
        if pace < DOUBLED_PACE:
            return frozenset({OdometerFlag.ODOMETER_FRAME_DOUBLED})
        if abs(pace - 1) > OFF_PACE:
            return frozenset({OdometerFlag.ODOMETER_FRAME_OFF_PERIOD})
        return NOTHING_ODD


def _period(frames: deque[tuple[MonotonicNs, bool]]) -> float | None:
    moments = [at for at, _ in frames]
    intervals = [b - a for a, b in pairwise(moments)]
    middle = sorted(intervals)[len(intervals) // 2]
    regular = sum(abs(interval - middle) <= REGULAR_WITHIN * middle for interval in intervals)
    return middle if middle > 0 and regular >= MOST_INTERVALS * len(intervals) else None
