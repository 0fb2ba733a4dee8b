"""Check P3: no road vehicle is that fast, speeds up that hard or brakes that hard.

Only the claimed speed is looked at. The bounds are physics with room for a motorway and an emergency stop; a sports car at a light
may break the upper one for a moment, which a score that needs three points forgives. A speed below zero is one in reverse. How fast
a speed changes is only said of a claim that follows the one before: within less, a speedometer's noise is more than any engine.
"""

from shared.trust.claims import Claim
from shared.trust.detectors import CheckClass, Finding

SPEED_LIMIT_MPS = 60.0
"""Fastest speed believed, 216 km/h."""

HARDEST_BRAKING_MPS2 = -9.0
HARDEST_ACCELERATION_MPS2 = 5.0

CHECK = "P3"


class MotionLimits:
    """The check; remembers nothing."""

    __slots__ = ()

    def judge(self, claim: Claim, before: Claim | None) -> Finding | None:
        """Return by how many m/s or m/s2 a limit is broken."""
        speed = claim.speed_mps
        if speed is None:
            return None
        if abs(speed) > SPEED_LIMIT_MPS:
            return _finding(abs(speed) - SPEED_LIMIT_MPS, f"a speed of {abs(speed):.1f} m/s")
        if before is None or before.speed_mps is None or not claim.follows(before):
            return None
        change_mps2 = (speed - before.speed_mps) / claim.apart_s(before)
        if HARDEST_BRAKING_MPS2 <= change_mps2 <= HARDEST_ACCELERATION_MPS2:
            return None
        beyond = max(HARDEST_BRAKING_MPS2 - change_mps2, change_mps2 - HARDEST_ACCELERATION_MPS2)
        words = f"from {before.speed_mps:.1f} to {speed:.1f} m/s within {claim.apart_s(before):.2f} s"
        return _finding(beyond, words)


def _finding(residual: float, words: str) -> Finding:
    return Finding(check=CHECK, of=CheckClass.PLAUSIBILITY, residual=residual, sentence=f"no vehicle does that: {words}")
