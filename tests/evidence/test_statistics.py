"""Intervals cover what they say, slopes and calibration are those of the textbook."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.evidence import statistics


def test_a_draw_has_as_many_months_as_the_data():
    """Circular blocks leave no month out at the edges: each is drawn equally often on average."""
    weight = statistics.resampled(24, 4000, seed=1)

    assert_allclose(weight.sum(axis=1), 24.0)
    assert_allclose(weight.mean(axis=0), 1.0, atol=0.06)


def test_a_mean_has_its_value_and_its_months():
    """The estimate is the mean over rows; months count once."""
    month = np.repeat(np.arange(12), 10)
    values = np.arange(120.0)

    found = statistics.mean(month, values)

    assert found.value == pytest.approx(59.5)
    assert found.months == 12
    assert found.low < 59.5 < found.high


def test_the_interval_holds_the_truth_nine_times_in_ten():
    """Of 300 samples of 48 months whose rows share their month's luck, 84 to 95 % hold it."""
    generator = np.random.default_rng(7)
    month = np.repeat(np.arange(48), 20)
    held = 0
    for seed in range(300):
        luck = np.repeat(generator.normal(size=48), 20)
        values = luck + generator.normal(size=month.size)
        held += statistics.interval(
            month, np.column_stack((values, np.ones(month.size))),
            lambda total: total[..., 0] / total[..., 1], draws=400, seed=seed,
        ).holds(0.0)  # fmt: skip

    assert 0.84 <= held / 300 <= 0.95


def test_the_same_seed_gives_the_same_interval():
    """A page that is made again holds the same figures."""
    month, values = np.arange(30), np.random.default_rng(2).normal(size=30)

    assert statistics.mean(month, values) == statistics.mean(month, values)


def test_missing_rows_are_left_out():
    """NaN counts neither in the sum nor in the number; all NaN is NaN."""
    found = statistics.mean(np.array([0, 0, 1]), np.array([1.0, np.nan, 3.0]))
    nothing = statistics.mean(np.array([0]), np.array([np.nan]))

    assert found.value == 2.0
    assert np.isnan(nothing.value)
    assert nothing.months == 0


def test_a_regression_is_that_of_least_squares():
    """Constant and slopes agree with numpy's."""
    generator = np.random.default_rng(3)
    factors, month = generator.normal(size=(200, 2)), np.arange(200) // 10
    came = 0.5 + factors @ [2.0, -1.0] + 0.1 * generator.normal(size=200)
    expected = np.linalg.lstsq(np.column_stack((np.ones(200), factors)), came, rcond=None)[0]

    found = statistics.regression(month, factors, came)

    assert_allclose([each.value for each in found], expected)
    assert all(each.low < each.value < each.high for each in found)
    assert all(each.months == 20 for each in found)


def test_a_slope_may_be_cut():
    """A single enormous gain moves the slope, but not where what came is cut."""
    promised, came = np.linspace(-0.2, 0.2, 100), np.linspace(-0.2, 0.2, 100)
    came[-1] = 50.0
    month = np.arange(100) // 10

    assert statistics.slope(month, promised, came).value > 5.0
    assert statistics.slope(month, promised, came, winsor=0.5).value == pytest.approx(1.0, abs=0.1)


def test_calibration_is_the_weighed_distance():
    """Half of the forecasts are right, half are off by .2: an error of .1."""
    said = np.repeat([0.3, 0.7], 100)
    happened = np.concatenate((np.arange(100) < 30, np.arange(100) < 50)).astype(float)

    bins = statistics.reliability(said, happened)

    assert [each.rows for each in bins] == [100, 100]
    assert statistics.calibration_error(bins) == pytest.approx(0.1)
    assert statistics.brier(said, happened) == pytest.approx(np.mean((said - happened) ** 2))


def test_certainty_has_a_bin():
    """A probability of 1 is in the last bin, 0 in the first."""
    bins = statistics.reliability(np.array([0.0, 1.0]), np.array([0.0, 1.0]))

    assert [(each.said, each.came) for each in bins] == [(0.0, 0.0), (1.0, 1.0)]


def test_deciles_are_equal_groups():
    """105 rows make ten groups of 10 or 11, ascending."""
    by = np.random.default_rng(4).permutation(105).astype(float)

    groups = statistics.deciles(by, by)

    assert {each.rows for each in groups} == {10, 11}
    assert all(one.said < other.said for one, other in pairwise(groups))
    assert_allclose([each.said for each in groups], [each.came for each in groups])
