"""Checks of claims: each holds a claim against physics, or against the one before it, and names what cannot be.

    P  what no vehicle can do                  limits.py
    C  what contradicts the claim before       jump.py

Each holder of a ticket has checks of its own, made when it is first heard and gone with it (`shared.trust.suspicion`). A check may
remember a bounded number of its holder's claims; the two here need no more than the claim before, which is handed in. What a check
has to know besides (a road, a place, a sensor) its maker gives it. `S` stands for the security layer, which has a say too.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from shared.core.value import Value
from shared.trust.claims import Claim


class CheckClass(Enum):
    """What a check looks at; accusations need two that are independent of each other."""

    SECURITY = "S"
    PLAUSIBILITY = "P"
    CONSISTENCY = "C"


class Finding(Value):
    """One check failed.

    Attributes:
        check: its short name, as in `P3`.
        of: its class.
        residual: by how much, in the unit of the check.
        sentence: what cannot be, for a person.
    """

    check: str
    of: CheckClass
    residual: float
    sentence: str


class Detector(Protocol):
    """One check of one holder's claims."""

    def judge(self, claim: Claim, before: Claim | None) -> Finding | None:
        """Return what cannot be.

        Args:
            claim: just heard.
            before: the holder's last claim of the same source that followed those before it; None for a first one. `claim` need not
                follow it (`Claim.follows`): packets overtake each other. A check whose noise does not bear that says nothing then.
        """
        ...


DetectorMaker = Callable[[], Detector]
"""Makes a check for one holder."""
