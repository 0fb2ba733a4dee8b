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
    OCTETS = "octets"
    PACKETS = "packets"
    TIMES = "x"
    PERCENT = "%"

    @property
    def is_better_high(self) -> bool:
        """Whether more is better."""
        return self in (Unit.PER_SECOND, Unit.TIMES)


REFERENCE_PACE = 20_400.0
"""Raw P-256 verifications a second and core of the machine for which absolute figures are promised: OpenSSL's 21,700, of which
`cryptography` with a key at hand reaches 94 %."""


class Measure(Enum):
    """Which number of a figure a target is about."""

    MEDIAN = "median"
    PACED_MEDIAN = "median at the reference pace"
    MEDIAN_RATIO = "median ratio"
    BEST_RATIO = "best ratio"

    @property
    def is_ratio(self) -> bool:
        """Whether it is about the ratio to the limit."""
        return self in (Measure.MEDIAN_RATIO, Measure.BEST_RATIO)


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
        paced: what the value would be on a machine of `REFERENCE_PACE`, by the pace of this one in the same rounds; None where
            nothing absolute was promised.
        targets: any one of them is enough; empty where nothing was promised.
        rounds: how many.
    """

    name: str
    says: str
    unit: Unit
    value: Spread
    limit: Limit | None
    ratio: Spread | None
    paced: Spread | None
    targets: tuple[Target, ...]
    rounds: int

    @property
    def is_met(self) -> bool | None:
        """Whether a target is reached; None where there is none."""
        return any(self._reaches(target) for target in self.targets) if self.targets else None

    def _reaches(self, target: Target) -> bool:
        measured = {
            Measure.MEDIAN: self.value,
            Measure.PACED_MEDIAN: self.paced,
            Measure.MEDIAN_RATIO: self.ratio,
            Measure.BEST_RATIO: self.ratio,
        }[target.measure]
        if measured is None:
            return False
        reached = measured.best if target.measure is Measure.BEST_RATIO else measured.median
        is_floor = target.measure.is_ratio or self.unit.is_better_high
        return reached >= target.bound if is_floor else reached <= target.bound


def figure_of(
    name: str,
    says: str,
    unit: Unit,
    values: Sequence[float],
    *,
    limit: tuple[str, Sequence[float]] | None = None,
    pace: Sequence[float] | None = None,
    targets: tuple[Target, ...] = (),
) -> Figure:
    """Make a figure of its rounds.

    Args:
        name: stable name.
        says: what was measured.
        unit: of values and limit.
        values: one per round.
        limit: its name and its values, round by round; of a duration, the slower thing it is compared with.
        pace: raw P-256 verifications a second in the same rounds, for a figure with an absolute target.
        targets: any one is enough.
    """
    ratio = paced = None
    if limit is not None:
        ratios = pairwise(values, limit[1]) if unit.is_better_high else pairwise(limit[1], values)
        ratio = spread(ratios, is_better_high=True)
    if pace is not None:
        shares = [raw / REFERENCE_PACE for raw in pace]
        at_pace = pairwise(values, shares) if unit.is_better_high else [v * share for v, share in zip(values, shares, strict=True)]
        paced = spread(at_pace, is_better_high=unit.is_better_high)
    return Figure(
        name=name,
        says=says,
        unit=unit,
        value=spread(values, is_better_high=unit.is_better_high),
        limit=None if limit is None else Limit(name=limit[0], value=spread(limit[1], is_better_high=unit.is_better_high)),
        ratio=ratio,
        paced=paced,
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
        audited_entries: entries of the log that is audited.
        append_s: seconds of one round of appends over HTTP.
        stored_appends: appends to a log's file, of which the last are compared with the first.
        spool_records: records of a full spool.
        load_s: seconds of each load of a roadside unit, and of a vehicle's buses.
        load_cars: cars of the first of them, each of which speaks ten times a second.
    """

    rounds: int = 35
    calls: int = 500
    kept_messages: int = 8_000
    overload_s: float = 3.0
    overload_cars: int = 4_000
    threads: int = 2
    audited_entries: int = 1_000_000
    append_s: float = 4.0
    stored_appends: int = 200_000
    spool_records: int = 250_000
    load_s: float = 10.0
    load_cars: int = 400


Bench = Callable[[Effort], Iterable[Figure]]
"""Measures, and yields each figure as soon as it is known."""
