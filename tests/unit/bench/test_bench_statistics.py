"""Best, median, worst, ratios pair by pair, percentiles: by hand and against the definitions."""

import statistics
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bench.statistics import Spread, pairwise, percentile, spread

VALUES = st.lists(st.floats(0.001, 1e9), min_size=1, max_size=30)


def test_the_best_rate_is_the_highest_and_the_best_duration_the_lowest() -> None:
    assert spread([3.0, 1.0, 2.0], is_better_high=True) == Spread(best=3.0, median=2.0, worst=1.0)
    assert spread([3.0, 1.0, 2.0], is_better_high=False) == Spread(best=1.0, median=2.0, worst=3.0)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    assert spread([4.0, 1.0, 2.0, 8.0], is_better_high=True).median == 3.0


@given(VALUES, st.booleans())
def test_the_median_is_the_usual_one_and_lies_between_best_and_worst(values: list[float], is_better_high: bool) -> None:  # noqa: FBT001 - drawn
    found = spread(values, is_better_high=is_better_high)
    assert found.median == pytest.approx(statistics.median(values))
    assert sorted([found.best, found.worst], reverse=is_better_high) == [found.best, found.worst]
    assert {found.best, found.worst} == {max(values), min(values)}


def test_no_round_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no round"):
        spread([], is_better_high=True)


def test_a_ratio_is_taken_within_each_round() -> None:
    assert pairwise([10.0, 5.0], [20.0, 5.0]) == [0.5, 1.0]
    with pytest.raises(ValueError, match="zip"):
        pairwise([1.0], [1.0, 2.0])


@given(VALUES, st.floats(0.1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= ceil(percent / 100 * len(values))
    assert sum(value < found for value in values) < ceil(percent / 100 * len(values))


@pytest.mark.parametrize(("values", "percent"), [([], 50.0), ([1.0], 0.0), ([1.0], 100.1)])
def test_an_impossible_percentile_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="values"):
        percentile(values, percent)
