"""The few statistics a figure needs, over rounds that were measured side by side.

Rounds, not averages: on a machine with other work a single round is worth little, the median of many is steady, and the best says
what the code can do. Ratios are taken pair by pair, within one round, so that what slows the machine slows both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Best, median and worst of some rounds; which end is best depends on what was measured."""

    best: float
    median: float
    worst: float


def spread(values: Sequence[float], *, is_better_high: bool) -> Spread:
    """Return the spread of at least one value; the median of an even number is the mean of the middle two."""
    if not values:
        raise ValueError("no round was measured")
    ordered = sorted(values, reverse=is_better_high)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(best=ordered[0], median=median, worst=ordered[-1])


def pairwise(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the ratio of each round; both sides have as many rounds."""
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of at least one value that `percent` (above 0, at most 100) of them do not exceed: the nearest rank."""
    if not values or not 0 < percent <= 100:
        raise ValueError(f"{percent} % of {len(values)} values")
    return sorted(values)[ceil(percent / 100 * len(values)) - 1]
