"""One verdict from all witnesses: whether the odometer counts what the vehicle drives, and what is odd where it does not.

Any witness alone may accuse. A witness on the bus is heard out against one beside it: wheels that spin on ice or rollers see more
than the vehicle drove, and a receiver that saw the same way knows. A receiver's accusation stands whatever the bus says, for a
device between harness and cluster can bend the speed as well. Odometers of other control units are compared by how much they
count, and by what they say: whoever sets back the cluster leaves the engine's alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.core.clock import MonotonicNs
from shared.records.odometer import OdometerFlag, Verdict
from vehicle_agent.odometer.comparison import ALLOWED_M, Comparison
from vehicle_agent.odometer.witnesses import OUTSIDE, Witness

FROZEN_STEPS = 2
"""An odometer is frozen if it has not changed while a witness saw the vehicle drive this many of its steps, and `ALLOWED_M`."""

LEAST_COUNTED = 0.02
"""Of an odometer that counts less than this share it is said that it stands still."""

STANDS_SHARE = 0.3
"""Share of what wheels saw below which a receiver says that the vehicle hardly went anywhere."""

APART_M = 10_000.0
APART_SHARE = 0.05
"""Two odometers of one vehicle may differ by the greater of these: some count from a first zero of their own."""

UNEXPLAINED_M = 3_000.0
"""What a witness on the bus may see more than the vehicle drove, by a receiver, before the two are held to be apart."""

JUDGED_ENOUGH_M = 1_000.0
"""Distance after which a witness whose factor is not learnt may confirm."""

MOST_MISSING_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What witnesses say about the odometer.

    Attributes:
        verdict: in one word.
        flags: what is odd as long as it lasts.
        missing_permille: share that is not counted where a blocker is suspected; else None.
    """

    verdict: Verdict
    flags: frozenset[OdometerFlag]
    missing_permille: int | None


NOT_JUDGED = Judgement(Verdict.ALONE, frozenset(), None)


def judge(
    comparisons: Mapping[Witness, Comparison],
    *,
    now: MonotonicNs,
    step_m: float,
    is_current: bool,
    odometer_m: float,
    others_m: Iterable[float],
) -> Judgement:
    """Judge an odometer.

    Args:
        comparisons: each witness that was ever heard, held to the odometer.
        now: the present.
        step_m: what the odometer counts in.
        is_current: whether it still speaks, so that standing still means something.
        odometer_m: what it says.
        others_m: what other odometers of the vehicle are believed to say.
    """
    flags: set[OdometerFlag] = set()
    missing_permille = None
    if is_current and any(
        _is_frozen(comparison, step_m) and not _stands(witness, comparison, comparisons, now)
        for witness, comparison in comparisons.items()
    ):
        flags.add(OdometerFlag.FROZEN_WHILE_MOVING)
    accusers = [(witness, comparison) for witness, comparison in comparisons.items() if comparison.is_short]
    believed = [comparison for witness, comparison in accusers if witness in OUTSIDE or not _is_cleared(comparison, comparisons)]
    if believed and OdometerFlag.FROZEN_WHILE_MOVING not in flags:
        flags.add(OdometerFlag.BLOCKER_SUSPECTED)
        surest = max(believed, key=lambda comparison: comparison.counted_m)
        missing_permille = min(round(surest.share * MOST_MISSING_PERMILLE), MOST_MISSING_PERMILLE)
    is_apart = any(abs(other_m - odometer_m) > max(APART_M, APART_SHARE * odometer_m) for other_m in others_m)
    is_apart |= any(comparison.short_m > UNEXPLAINED_M and comparison not in believed for _, comparison in accusers)
    is_apart |= any(
        comparison.is_over and not _confirms_count(comparisons)
        for witness, comparison in comparisons.items()
        if witness not in OUTSIDE
    )
    if is_apart:
        flags.add(OdometerFlag.SOURCES_DISAGREE)
    return Judgement(_verdict(comparisons, bool(flags), now), frozenset(flags), missing_permille)


def _verdict(comparisons: Mapping[Witness, Comparison], is_odd: bool, now: MonotonicNs) -> Verdict:  # noqa: FBT001
    if is_odd:
        return Verdict.DISAGREE
    seeing = [comparison for comparison in comparisons.values() if comparison.seen.sees(now)]
    if any(each.calibration.is_settled and each.judged_m >= JUDGED_ENOUGH_M for each in seeing):
        return Verdict.AGREE
    return Verdict.LEARNING if seeing else Verdict.ALONE


def _is_frozen(comparison: Comparison, step_m: float) -> bool:
    """Whether the odometer stands still by a witness; one of which a share is known to be missing turns the more seldom."""
    counts = max(1 - comparison.share, LEAST_COUNTED) if comparison.is_short else 1.0
    return comparison.standing_m() > (FROZEN_STEPS * step_m + comparison.seen.lump_m + ALLOWED_M) / counts


def _stands(witness: Witness, accuser: Comparison, comparisons: Mapping[Witness, Comparison], now: MonotonicNs) -> bool:
    """Whether a receiver that saw the same time says that the vehicle did not go where its wheels say."""
    if witness in OUTSIDE:
        return False
    return any(
        other in OUTSIDE and comparison.seen.sees(now) and comparison.standing_m() < STANDS_SHARE * accuser.standing_m()
        for other, comparison in comparisons.items()
    )


def _is_cleared(accuser: Comparison, comparisons: Mapping[Witness, Comparison]) -> bool:
    return any(
        witness in OUTSIDE and not comparison.is_short and comparison.clears(accuser.counted_m, accuser.share)
        for witness, comparison in comparisons.items()
    )


def _confirms_count(comparisons: Mapping[Witness, Comparison]) -> bool:
    """Whether a receiver saw what the odometer counted."""
    return any(
        witness in OUTSIDE and comparison.judged_m >= JUDGED_ENOUGH_M and not comparison.is_over
        for witness, comparison in comparisons.items()
    )
