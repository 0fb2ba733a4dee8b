"""Distances from what moves: the integral of a speed, the length of a path of positions, the count of a receiver.

Each only grows, and counts how often it lost sight: over a gap nothing is added, for what is not known is not guessed. A distance
therefore is a lower bound, which is what makes it fit to say that an odometer counts too little. What a carried vehicle goes
through (`vehicle_agent.odometer.motion`) is kept apart.
"""

from collections.abc import Callable

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, distance_m

MAX_BRIDGED_NS = 5 * NS_PER_S
"""Longest time between two values that belong together, however long the signal map lets a value live."""

MAX_SPEED_MPS = 80.0
"""Faster than this (288 km/h) nothing drove: a position jumped."""

MIN_STEP_M = 20.0
"""Shortest straight piece of a path: shorter ones would add up a receiver's noise."""

STEP_PER_ACCURACY = 4.0
"""Pieces are at least this many times the 95 % radius of a position: noise then makes a path longer by 1 % at most."""

WORST_ACCURACY_M = 15.0
"""A position that may be farther off than this is no position of a path."""

WasDriven = Callable[[MonotonicNs, MonotonicNs], bool]
"""Whether the vehicle went by itself between two moments, the second of which is the present."""


class Distance:
    """What one witness saw the vehicle go.

    Attributes:
        metres: driven, while it looked.
        carried_m: gone without driving.
        gaps: how often it lost sight.
        step_m: its coarsest step so far: it may have gone that much further than it says.
        lump_m: the most it has added at once: it may have gone that before it said so.
        is_asked: whether it counts unseen and says so now and then: it is exact only when it has just spoken.
        at: when it last looked; None before it ever did, and from where it says that it sees nothing.
    """

    def __init__(self) -> None:
        self.metres = 0.0
        self.carried_m = 0.0
        self.gaps = 0
        self.step_m = 0.0
        self.lump_m = 0.0
        self.is_asked = False
        self.at: MonotonicNs | None = None
        self._bridged_ns = MAX_BRIDGED_NS

    def sees(self, now: MonotonicNs) -> bool:
        """Whether it has not lost sight at `now`."""
        return self.at is not None and now - self.at <= self._bridged_ns

    def lose(self) -> None:
        """It says itself that it sees nothing."""
        if self.at is not None:
            self.at = None
            self.gaps += 1

    def _looked(self, at: MonotonicNs, max_age_ns: int) -> int | None:
        """Note that it looks; return the time since it last did in nanoseconds, None where it had lost sight or time stands."""
        before, self.at = self.at, at
        bridged, self._bridged_ns = self._bridged_ns, min(max_age_ns, MAX_BRIDGED_NS)
        if before is None or at == before:
            return None
        if not 0 < at - before <= bridged:
            self.gaps += 1
            return None
        return at - before


class SpeedIntegral(Distance):
    """The integral of a speed by the trapezoidal rule.

    Args:
        was_driven: tells driving from being carried; None for a speed measured at the wheels.
    """

    def __init__(self, was_driven: WasDriven | None = None) -> None:
        super().__init__()
        self._was_driven = was_driven
        self._speed_mps = 0.0

    def take(self, speed_mps: float, at: MonotonicNs, max_age_ns: int) -> None:
        """Take a speed in m/s that was true `at`."""
        elapsed_ns = self._looked(at, max_age_ns)
        before_mps, self._speed_mps = self._speed_mps, speed_mps
        if elapsed_ns is None:
            return
        metres = (before_mps + speed_mps) / 2 * elapsed_ns / NS_PER_S
        if self._was_driven is None or self._was_driven(MonotonicNs(at - elapsed_ns), at):
            self.metres += metres
        else:
            self.carried_m += metres


class PathLength(Distance):
    """The length of the path of positions, in straight pieces long enough that noise and standing drift do not add up.

    Args:
        was_driven: tells driving from being carried.
    """

    def __init__(self, was_driven: WasDriven) -> None:
        super().__init__()
        self._was_driven = was_driven
        self._corner: tuple[GeoPoint, MonotonicNs] | None = None

    def take(self, place: GeoPoint, accuracy_m: float | None, at: MonotonicNs, max_age_ns: int) -> None:
        """Take a position that was true `at`, in a circle of `accuracy_m` metres with 95 % confidence."""
        if accuracy_m is not None and accuracy_m > WORST_ACCURACY_M:
            self.lose()
            return
        corner = self._corner
        if self._looked(at, max_age_ns) is None or corner is None:
            if corner is None or at != corner[1]:
                self._corner = (place, at)
            return
        metres = distance_m(corner[0], place)
        if metres < max(MIN_STEP_M, STEP_PER_ACCURACY * (accuracy_m or 0.0)):
            return
        self._corner = (place, at)
        if metres > MAX_SPEED_MPS * (at - corner[1]) / NS_PER_S:
            self.gaps += 1
        elif self._was_driven(corner[1], at):
            self.metres += metres
        else:
            self.carried_m += metres


class Counted(Distance):
    """What a counter has counted since it was first heard; a jump of it is a gap.

    Args:
        was_driven: tells driving from being carried; None for a counter of the vehicle's own.
    """

    def __init__(self, was_driven: WasDriven | None = None) -> None:
        super().__init__()
        self._was_driven = was_driven
        self.is_asked = was_driven is None
        self._count_m = 0.0
        self._changed_at = MonotonicNs(0)

    def sees(self, now: MonotonicNs) -> bool:
        """Whether it counts; an odometer of the vehicle does so unseen too."""
        return self.at is not None and (self.is_asked or now - self.at <= MAX_BRIDGED_NS)

    def take(self, count_m: float, at: MonotonicNs) -> None:
        """Take its count in metres at a moment."""
        before, self.at = self.at, at
        if before is None:
            self._count_m, self._changed_at = count_m, at
            return
        metres = count_m - self._count_m
        if metres == 0:
            return
        self._count_m = count_m
        since, self._changed_at = self._changed_at, at
        if not 0 < metres <= MAX_SPEED_MPS * max(at - since, NS_PER_S) / NS_PER_S:
            self.gaps += 1
        elif self._was_driven is None or self._was_driven(since, at):
            self.metres += metres
            self.lump_m = max(self.lump_m, metres)
            self.step_m = max(self.step_m, metres if at - before <= MAX_BRIDGED_NS else 0.0)
        else:
            self.carried_m += metres
