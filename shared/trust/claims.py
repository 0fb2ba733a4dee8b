"""What a verified message claims about its sender's motion: the one input of every check.

A signature says who speaks and not whether it is true. A claim is where the holder of one ticket says it was, when, and how it
moved; a sender makes two kinds that must not be mixed, for a message's reference position is the front of a vehicle and a network
header's position wherever its receiver is. Left out until a check needs them: acceleration, dimensions and the reception time.
"""

from enum import Enum

from shared.core.geo import GeoPoint
from shared.core.itstime import Time64
from shared.core.value import Value

LEAST_STEP_US = 80_000
"""Two claims are never taken for nearer in time than this: the noise of a position, divided by next to no time, is any speed."""

_US_PER_S = 1_000_000


class ClaimSource(Enum):
    """Where in a packet it was claimed."""

    MESSAGE = "message"
    """The reference position of a CAM."""
    NETWORK = "network"
    """The position vector of the network header."""


class Claim(Value):
    """One claim.

    Attributes:
        source: where it was said.
        taken_at: when the sender says its position was taken, in microseconds of ITS time.
        position: where.
        speed_mps: over ground, negative in reverse, or None.
        heading_deg: clockwise from north, [0, 360), or None.
    """

    source: ClaimSource
    taken_at: Time64
    position: GeoPoint
    speed_mps: float | None = None
    heading_deg: float | None = None

    def follows(self, before: "Claim") -> bool:
        """Say whether this claim was made at least `LEAST_STEP_US` after another."""
        return self.taken_at - before.taken_at >= LEAST_STEP_US

    def apart_s(self, other: "Claim") -> float:
        """Return the seconds between two claims, whichever is the earlier; never less than `LEAST_STEP_US`."""
        return max(abs(self.taken_at - other.taken_at), LEAST_STEP_US) / _US_PER_S
