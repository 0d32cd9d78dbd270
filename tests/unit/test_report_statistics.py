"""Percentiles and bootstrap, by definition and by what always holds."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.report.statistics import median, median_interval, percentile, spread

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40)


def test_percentile_interpolates_linearly() -> None:
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([0, 10], 95) == 9.5
    assert percentile([5], 95) == 5
    assert percentile(list(range(21)), 95) == 19


@pytest.mark.parametrize(
    ("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101), ([float("nan"), 1.0], 50)]
)
def test_percentile_refuses_what_has_none(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@given(numbers)
def test_median_is_the_librarys(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values))


@given(numbers, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_are_ordered(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert min(values) <= percentile(values, low) <= percentile(values, high) <= max(values)


def test_interval_is_seeded_and_holds_the_median() -> None:
    values = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 40.0]
    interval = median_interval(values, seed=3)
    assert interval == median_interval(list(reversed(values)), seed=3)
    assert interval is not None
    assert 10 <= interval[0] <= 13 <= interval[1] <= 40
    assert median_interval(values[:5]) is None


def test_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    import random

    draw = random.Random(11)
    samples = [[draw.gauss(100, 10) for _ in range(20)] for _ in range(60)]
    held = 0
    for index, sample in enumerate(samples):
        interval = median_interval(sample, seed=index)
        assert interval is not None
        held += interval[0] <= 100 <= interval[1]
    assert held >= 52  # 95 % of 60 is 57; fewer than 52 would be a one-in-a-hundred accident


def test_spread_leaves_out_what_is_unknown() -> None:
    found = spread([None, 3.0, 1.0, None])
    assert found is not None
    assert (found.count, found.minimum, found.median, found.maximum) == (2, 1.0, 2.0, 3.0)
    assert found.p95 == pytest.approx(2.9)
    assert found.interval is None
    assert spread([None]) is None
