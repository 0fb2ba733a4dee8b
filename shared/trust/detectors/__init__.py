"""Checks of claims: each holds a claim against physics, or against the one before it, and names what cannot be.

    P  what no vehicle can do                  limits.py
    C  what contradicts the claim before       jump.py

A check has no state: the claim before is handed in, so that what is remembered of a sender is bounded in one place
(`shared.trust.suspicion`). `S` stands for the security layer, which has a say too.
"""

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
    """One check."""

    def judge(self, claim: Claim, before: Claim | None) -> Finding | None:
        """Return what cannot be; `before` is at least `LEAST_STEP_US` older and of the same source, None for a first claim."""
        ...
