"""A figure: what was measured, its limit, what it should reach, and whether it does.

A bench is a function from `Effort` to figures. The benches of `shared` are listed in `shared.bench.catalogue`; a program above adds
its own under the entry-point group `v2x.bench`, for nothing here may import a program.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from shared.bench.statistics import Spread, pairwise, spread


class Unit(Enum):
    """What a figure counts; the value is how it is written."""

    PER_SECOND = "/s"
    MICROSECONDS = "us"
    MILLISECONDS = "ms"
    MEBIBYTES = "MiB"
    PACKETS = "packets"
    TIMES = "x"

    @property
    def is_better_high(self) -> bool:
        """Whether more is better."""
        return self in (Unit.PER_SECOND, Unit.TIMES)


class Measure(Enum):
    """Which number of a figure a target is about."""

    MEDIAN = "median"
    MEDIAN_RATIO = "median ratio"
    BEST_RATIO = "best ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure should reach: at least `bound` where more is better, at most elsewhere; a ratio is always at least."""

    measure: Measure
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a figure is measured against in the same rounds.

    Attributes:
        name: what it is.
        value: in the unit of the figure.
    """

    name: str
    value: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result.

    Attributes:
        name: stable, dotted: `inbound.typed`.
        says: what was measured, in words.
        value: over the rounds.
        limit: measured beside it, or None.
        ratio: how much of the limit was reached, or how many times faster than it (times); taken round by round.
        targets: any one of them is enough; empty where nothing was promised.
        rounds: how many.
    """

    name: str
    says: str
    unit: Unit
    value: Spread
    limit: Limit | None
    ratio: Spread | None
    targets: tuple[Target, ...]
    rounds: int

    @property
    def is_met(self) -> bool | None:
        """Whether a target is reached; None where there is none."""
        return any(self._reaches(target) for target in self.targets) if self.targets else None

    def _reaches(self, target: Target) -> bool:
        if target.measure is Measure.MEDIAN:
            reached = self.value.median
            return reached >= target.bound if self.unit.is_better_high else reached <= target.bound
        if self.ratio is None:
            return False
        reached = self.ratio.median if target.measure is Measure.MEDIAN_RATIO else self.ratio.best
        return reached >= target.bound


def figure_of(
    name: str,
    says: str,
    unit: Unit,
    values: Sequence[float],
    *,
    limit: tuple[str, Sequence[float]] | None = None,
    targets: tuple[Target, ...] = (),
) -> Figure:
    """Make a figure of its rounds.

    Args:
        name: stable name.
        says: what was measured.
        unit: of values and limit.
        values: one per round.
        limit: its name and its values, round by round; of a duration, the slower thing it is compared with.
        targets: any one is enough.
    """
    ratio = None
    if limit is not None:
        ratios = pairwise(values, limit[1]) if unit.is_better_high else pairwise(limit[1], values)
        ratio = spread(ratios, is_better_high=True)
    return Figure(
        name=name,
        says=says,
        unit=unit,
        value=spread(values, is_better_high=unit.is_better_high),
        limit=None if limit is None else Limit(name=limit[0], value=spread(limit[1], is_better_high=unit.is_better_high)),
        ratio=ratio,
        targets=targets,
        rounds=len(values),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much to measure.

    Attributes:
        rounds: side-by-side rounds of each figure.
        calls: operations of each side in one round.
        kept_messages: typed messages kept alive beside the inbound path.
        overload_s: seconds of the overload.
        overload_cars: cars that cause it, at most; so many fit the certificate cache of one station.
        threads: threads of the verification pool.
    """

    rounds: int = 9
    calls: int = 2_000
    kept_messages: int = 8_000
    overload_s: float = 3.0
    overload_cars: int = 4_000
    threads: int = 2


Bench = Callable[[Effort], Iterable[Figure]]
"""Measures, and yields each figure as soon as it is known."""
