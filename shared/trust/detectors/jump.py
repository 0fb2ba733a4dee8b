"""Check C1: whoever was there a moment ago cannot be here now.

Only places and times are looked at, not the claimed speed, so it finds who lies about the place and is modest about the rest. The
way from one place to the other is as long in either direction, so a claim that comes late or hard upon another is judged like any:
otherwise a liar would only have to speak between two claims that are true.
"""

from shared.core.geo import distance_m
from shared.trust.claims import Claim
from shared.trust.detectors import CheckClass, Finding

JUMP_LIMIT_MPS = 60.0
"""Fastest way from one claimed place to the next that is believed, 216 km/h."""

CHECK = "C1"


class PositionJump:
    """The check; remembers nothing."""

    __slots__ = ()

    def judge(self, claim: Claim, before: Claim | None) -> Finding | None:
        """Return how many metres a claim is beyond what could be reached."""
        if before is None:
            return None
        apart_s = claim.apart_s(before)
        moved_m = distance_m(before.position, claim.position)
        beyond_m = moved_m - JUMP_LIMIT_MPS * apart_s
        if beyond_m <= 0:
            return None
        sentence = f"the position jumped by {moved_m:.0f} m within {apart_s:.2f} s"
        return Finding(check=CHECK, of=CheckClass.CONSISTENCY, residual=beyond_m, sentence=sentence)
