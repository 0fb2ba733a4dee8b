"""Interleaved rounds: every side once, then every side again, so that a slow moment of the machine falls on all of them.

The clock is the processor time of the one thread that works, so that other programs of the machine do not count; what uses several
threads is measured by the time that passes. A side prepares its work off the clock, then does exactly that much on it. The garbage
collector stays on, for what a message costs it is part of the figure; what was there before the first round is frozen, as a program
freezes what it made at start.
"""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns, thread_time_ns

NS_PER_S = 1_000_000_000

WARM_UP_CALLS = 8
"""Operations of each side before the first round: codecs are made when first needed."""

Work = Callable[[], object]
"""Does a known number of operations."""

ReadClock = Callable[[], int]
"""Returns nanoseconds."""

PROCESSOR_TIME: ReadClock = thread_time_ns
PASSING_TIME: ReadClock = perf_counter_ns

Preparation = Callable[[int], Work]
"""Given a number of operations, returns the work that does them."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        prepare: makes its work.
        fewer: it does this many times fewer operations in a round, because each takes so much longer.
    """

    prepare: Preparation
    fewer: int = 1


def repeated(operation: Callable[[], object]) -> Preparation:
    """Return the preparation for an operation that can be done again and again."""

    def prepare(calls: int) -> Work:
        def work() -> None:
            for _ in range(calls):
                operation()

        return work

    return prepare


def measure_rates(
    sides: Mapping[str, Side], *, rounds: int, calls: int, clock: ReadClock = PROCESSOR_TIME
) -> dict[str, list[float]]:
    """Return operations per second of each side, round by round.

    Args:
        sides: what is measured; all are prepared in this order, then done in this order and in the reverse order by turns.
        rounds: at least 1.
        calls: operations of each side in a round.
        clock: `PASSING_TIME` where a side uses threads of its own.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    counts = {name: max(1, calls // side.fewer) for name, side in sides.items()}
    for side in sides.values():
        side.prepare(WARM_UP_CALLS)()
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        works = {name: side.prepare(counts[name]) for name, side in sides.items()}
        for name in names:
            rates[name].append(counts[name] * NS_PER_S / elapsed_ns(works.pop(name), clock))
        names.reverse()
    gc.unfreeze()
    return rates


def elapsed_ns(work: Work, clock: ReadClock = PROCESSOR_TIME) -> int:
    """Return how long some work takes, at least 1 ns."""
    gc.collect()
    began = clock()
    work()
    return max(1, clock() - began)


def microseconds(rates: list[float]) -> list[float]:
    """Return the duration of one operation for each rate."""
    return [1_000_000 / rate for rate in rates]
