"""Opinions instead of yes and no: how much speaks for somebody, how much against, and how much is not known (subjective logic)."""

from dataclasses import dataclass

PRIOR_WEIGHT = 2.0
"""How much evidence it takes to half replace not knowing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """Three shares whose sum is one.

    Attributes:
        belief: speaks for it.
        disbelief: speaks against it.
        uncertainty: is not known.
    """

    belief: float
    disbelief: float
    uncertainty: float


def opinion_of(positive: float, negative: float) -> Opinion:
    """Return the opinion that evidence gives: b = r/(r+s+W), d = s/(r+s+W), u = W/(r+s+W).

    Args:
        positive: r, how much evidence speaks for it, 0 or more.
        negative: s, how much speaks against it, 0 or more.
    """
    if positive < 0 or negative < 0:
        raise ValueError("there is no less evidence than none")
    whole = positive + negative + PRIOR_WEIGHT
    return Opinion(belief=positive / whole, disbelief=negative / whole, uncertainty=PRIOR_WEIGHT / whole)
