"""Whether a car can have come from where it was to where its receiver says it is; a jump is believed when the fixes after it agree.

A receiver that jumps has met a reflection, has been restarted with an old almanac, or is being lied to. Until `CONFIRMING_FIXES`
over at least `CONFIRMING_NS` tell of one movement from the new place on, the car is nowhere; a fix that fits the old place ends the
doubt. A lie that draws a receiver away slowly is not seen here: that is for the distances of other witnesses to tell.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.geo import GeoPoint, distance_m

SCATTER_M = 30.0
"""What two fixes of an antenna that stands may lie apart, in a street with reflections."""

MAX_STATED_ERROR_M = 50.0
"""How much of a receiver's own statement of its error is allowed for, each time."""

MAX_SPEED_MPS = 100.0
"""What no road vehicle exceeds; counts where speeds are not known, or nothing was heard for long."""

MAX_ACCELERATION_MPS2 = 10.0

SPEED_FACTOR = 1.1
"""How far a stated speed may be off."""

SPEED_KNOWN_NS = 5 * NS_PER_S
"""Over a longer gap a car may have gone at any speed."""

CONFIRMING_FIXES = 3
CONFIRMING_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where a car was, and how fast, when one fix came.

    Attributes:
        position: WGS-84.
        at: interval time.
        speed_mps: over ground; None where it was not said.
        error_m: stated by the receiver, 0 where it states none.
    """

    position: GeoPoint
    at: MonotonicNs
    speed_mps: float | None
    error_m: float = 0.0


def reach_m(earlier: Seen, later: Seen) -> float:
    """Return how far apart two fixes of one car may be."""
    elapsed_s = max(0.0, (later.at - earlier.at) / NS_PER_S)
    speed_mps = MAX_SPEED_MPS
    if earlier.speed_mps is not None and later.speed_mps is not None and later.at - earlier.at <= SPEED_KNOWN_NS:
        stated = SPEED_FACTOR * max(earlier.speed_mps, later.speed_mps)
        speed_mps = min(MAX_SPEED_MPS, stated + MAX_ACCELERATION_MPS2 * elapsed_s / 2)
    stated_m = min(MAX_STATED_ERROR_M, earlier.error_m) + min(MAX_STATED_ERROR_M, later.error_m)
    return SCATTER_M + stated_m + speed_mps * elapsed_s


class PlaceCheck:
    """Follows one receiver's places."""

    def __init__(self) -> None:
        self._last: Seen | None = None
        self._new: tuple[Seen, Seen, int] | None = None
        self.jumps = 0
        self.confirmed = 0
        self.last_jump_m: float | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether a jump waits to be confirmed."""
        return self._new is not None

    def accepts(self, seen: Seen) -> bool:
        """Tell whether a fix can be believed; of a jump, the one that confirms it is the first that is."""
        last = self._last
        if last is None or _are_near(last, seen):
            self._last, self._new = seen, None
            return True
        if self._new is not None and _are_near(self._new[1], seen):
            first, _, fixes = self._new
            if fixes + 1 >= CONFIRMING_FIXES and seen.at - first.at >= CONFIRMING_NS:
                self._last, self._new = seen, None
                self.confirmed += 1
                return True
            self._new = (first, seen, fixes + 1)
            return False
        self.jumps += 1
        self.last_jump_m = distance_m(last.position, seen.position)
        self._new = (seen, seen, 1)
        return False


def _are_near(earlier: Seen, later: Seen) -> bool:
    return distance_m(earlier.position, later.position) <= reach_m(earlier, later)
