"""A figure and its targets; rounds that interleave what they compare."""

import pytest

from shared.bench.figure import REFERENCE_PACE, Measure, Target, Unit, figure_of
from shared.bench.rounds import WARM_UP_CALLS, Side, Work, elapsed_ns, measure_rates, microseconds, repeated


def target(measure: Measure, bound: float) -> tuple[Target, ...]:
    return (Target(measure=measure, bound=bound),)


def test_a_rate_is_compared_with_its_limit_as_a_share_of_it() -> None:
    figure = figure_of("f", "says", Unit.PER_SECOND, [50.0, 90.0, 60.0], limit=("raw", [100.0, 100.0, 80.0]))
    assert figure.ratio is not None
    assert figure.limit is not None
    assert (figure.ratio.worst, figure.ratio.median, figure.ratio.best) == (0.5, 0.75, 0.9)
    assert (figure.value.best, figure.limit.name, figure.limit.value.median) == (90.0, "raw", 100.0)
    assert figure.rounds == 3
    assert figure.is_met is None


def test_a_duration_is_compared_with_a_slower_one_as_times_faster() -> None:
    figure = figure_of("f", "says", Unit.MICROSECONDS, [10.0, 20.0], limit=("reference", [200.0, 200.0]))
    assert figure.ratio is not None
    assert (figure.ratio.worst, figure.ratio.best) == (10.0, 20.0)
    assert figure.value.best == 10.0


@pytest.mark.parametrize(
    ("unit", "values", "targets", "is_met"),
    [
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.MEDIAN, 10.0), True),
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.MEDIAN, 10.5), False),
        (Unit.MICROSECONDS, [9.0, 10.0, 11.0], target(Measure.MEDIAN, 10.0), True),
        (Unit.MICROSECONDS, [9.0, 10.0, 11.0], target(Measure.MEDIAN, 9.5), False),
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.MEDIAN_RATIO, 0.1), True),
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.MEDIAN_RATIO, 0.105), False),
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.BEST_RATIO, 0.105), True),
        (Unit.PER_SECOND, [9.0, 10.0, 11.0], target(Measure.MEDIAN, 12.0) + target(Measure.BEST_RATIO, 0.11), True),
        (Unit.PACKETS, [0.0], target(Measure.MEDIAN, 0.0), True),
        (Unit.PACKETS, [1.0], target(Measure.MEDIAN, 0.0), False),
    ],
)
def test_a_target_is_met_or_not(unit: Unit, values: list[float], targets: tuple[Target, ...], is_met: bool) -> None:  # noqa: FBT001 - a case
    limit = None if unit is Unit.PACKETS else ("limit", [100.0] * len(values))
    figure = figure_of("f", "says", unit, values, limit=limit, targets=targets)
    assert figure.is_met is is_met


@pytest.mark.parametrize(
    ("unit", "values", "paced", "bound", "is_met"),
    [
        (Unit.PER_SECOND, [10.0, 30.0, 20.0], (60.0, 40.0, 20.0), 40.0, True),
        (Unit.PER_SECOND, [10.0, 30.0, 20.0], (60.0, 40.0, 20.0), 41.0, False),
        (Unit.MICROSECONDS, [10.0, 30.0, 20.0], (5.0, 10.0, 15.0), 10.0, True),
        (Unit.MICROSECONDS, [10.0, 30.0, 20.0], (5.0, 10.0, 15.0), 9.0, False),
    ],
)
def test_an_absolute_target_is_judged_at_the_pace_of_the_reference_machine(
    unit: Unit,
    values: list[float],
    paced: tuple[float, float, float],
    bound: float,
    is_met: bool,  # noqa: FBT001 - a case
) -> None:
    half = [REFERENCE_PACE / 2] * 3
    figure = figure_of("f", "says", unit, values, pace=half, targets=target(Measure.PACED_MEDIAN, bound))
    assert figure.paced is not None
    assert (figure.paced.best, figure.paced.median, figure.paced.worst) == paced
    assert figure.is_met is is_met


def test_a_target_at_the_reference_pace_is_not_met_where_no_pace_was_measured() -> None:
    assert figure_of("f", "says", Unit.TIMES, [9.0], targets=target(Measure.PACED_MEDIAN, 0.1)).is_met is False


def test_a_target_on_a_ratio_is_not_met_where_there_is_no_limit() -> None:
    assert figure_of("f", "says", Unit.TIMES, [9.0], targets=target(Measure.BEST_RATIO, 0.1)).is_met is False


def test_rounds_prepare_all_sides_then_do_them_in_turn_and_the_next_time_the_other_way_round() -> None:
    trace: list[tuple[str, str, int]] = []

    def side(name: str) -> Side:
        def prepare(calls: int) -> Work:
            trace.append(("prepare", name, calls))
            return lambda: trace.append(("work", name, calls))

        return Side(prepare, fewer=10 if name == "b" else 1)

    rates = measure_rates({"a": side("a"), "b": side("b")}, rounds=3, calls=200)
    expected = [(what, name, WARM_UP_CALLS) for name in "ab" for what in ("prepare", "work")]
    for order in ("ab", "ba", "ab"):
        expected += [("prepare", "a", 200), ("prepare", "b", 20)]
        expected += [("work", name, 200 if name == "a" else 20) for name in order]
    assert trace == expected
    assert {name: len(found) for name, found in rates.items()} == {"a": 3, "b": 3}
    assert all(rate > 0 for found in rates.values() for rate in found)


def test_a_side_does_at_least_one_operation() -> None:
    calls: list[int] = []
    measure_rates({"a": Side(lambda count: lambda: calls.append(count), fewer=1_000)}, rounds=1, calls=3)
    assert calls == [WARM_UP_CALLS, 1]


def test_an_operation_is_repeated_as_often_as_asked() -> None:
    done: list[None] = []
    repeated(lambda: done.append(None))(7)()
    assert len(done) == 7
    assert elapsed_ns(lambda: None) >= 1


def test_rates_are_told_as_durations() -> None:
    assert microseconds([1_000_000.0, 500_000.0]) == [1.0, 2.0]
