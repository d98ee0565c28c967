"""Estimators of past volatility against slow references, published numbers and recorded bars."""

from __future__ import annotations

import csv
import io
import math
import os
import statistics
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support.properties import examples
from tomic.quant import realized

DATA = Path(os.environ.get("TOMIC_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
EVERY = pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.soak)])
"""Days from one comparison to the next: windows overlap, so the suite takes some of them."""
CLOSES = [100.0, 101.0, 99.0, 102.0, 103.0, 101.0, 104.0]


@pytest.fixture(scope="module")
def spy():
    """Daily open, high, low, close of SPY, 1998 to 2021."""
    archive = DATA / "lean_SPY_daily_ohlcv_1998_2021.zip"
    if not archive.exists():
        pytest.skip(f"no recorded SPY bars at {archive}; set TOMIC_REAL_DATA")
    with zipfile.ZipFile(archive) as folder:
        text = folder.read("spy.csv").decode()
    rows = [[float(cell) / 1e4 for cell in row[1:5]] for row in csv.reader(io.StringIO(text))]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def slow_close_to_close(close, i, window):
    returns = [math.log(close[j] / close[j - 1]) for j in range(i - window + 1, i + 1)]
    return statistics.stdev(returns) * math.sqrt(252)


def slow_yang_zhang(o, h, l, c, i, window):  # noqa: E741 - the letters of the published formula
    days = range(i - window + 1, i + 1)
    overnight = statistics.variance(math.log(o[j] / c[j - 1]) for j in days)
    inside = statistics.variance(math.log(c[j] / o[j]) for j in days)
    satchell = statistics.fmean(
        math.log(h[j] / o[j]) * math.log(h[j] / c[j])
        + math.log(l[j] / o[j]) * math.log(l[j] / c[j])
        for j in days
    )
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    return math.sqrt((overnight + k * inside + (1 - k) * satchell) * 252)


def slow_atr(h, l, c, window):  # noqa: E741
    ranges = [h[0] - l[0]]
    ranges += [
        max(h[j] - l[j], abs(h[j] - c[j - 1]), abs(l[j] - c[j - 1])) for j in range(1, len(c))
    ]
    level = statistics.fmean(ranges[:window])
    result = [math.nan] * (window - 1) + [level]
    for today in ranges[window:]:
        level = ((window - 1) * level + today) / window
        result.append(level)
    return result


@EVERY
def test_hv30_of_spy_equals_the_slow_reference(spy, every):
    """Close-to-close over 30 returns, from 1998 to 2021."""
    close = spy[3]

    fast = realized.close_to_close(close, 30)

    assert np.isnan(fast[:30]).all()
    values = close.tolist()
    slow = [slow_close_to_close(values, i, 30) for i in range(30, len(close), every)]
    assert_allclose(fast[30::every], slow, rtol=1e-9)


@EVERY
def test_yang_zhang_of_spy_equals_the_slow_reference(spy, every):
    """Yang-Zhang over 30 days, from 1998 to 2021."""
    fast = realized.yang_zhang(*spy, 30)

    assert np.isnan(fast[:30]).all()
    bars = [column.tolist() for column in spy]
    slow = [slow_yang_zhang(*bars, i, 30) for i in range(30, len(bars[3]), every)]
    assert_allclose(fast[30::every], slow, rtol=1e-9)


def test_atr_of_spy_equals_the_slow_reference(spy):
    """Wilder's ATR 14 with its whole memory, every day from 1998 to 2021."""
    fast = realized.atr_wilder(*spy[1:], 14)

    assert_allclose(fast, slow_atr(*(column.tolist() for column in spy[1:]), 14), rtol=1e-10)


def test_percentile_and_rank_of_spy_equal_the_slow_reference(spy):
    """HV30 placed in its 252 earlier values, every day; crises of 2008 and 2020 reach the top."""
    series = realized.close_to_close(spy[3], 30)[30:]

    percentile = realized.rolling_place(realized.iv_percentile, series, 252)
    rank = realized.rolling_place(realized.iv_rank, series, 252)

    values = series.tolist()
    for i in range(252, len(values)):
        before = values[i - 252 : i]
        low, high = min(before), max(before)
        assert percentile.value[i] == sum(v < values[i] for v in before) / 252
        assert rank.value[i] == pytest.approx((values[i] - low) / (high - low), rel=1e-12)
    assert np.isnan(percentile.value[:252]).all()
    assert percentile.n[100] == 100
    # The exercise is not tame: a new extreme takes the rank beyond one.
    assert np.nanmax(rank.value) > 1.5
    assert np.nanmax(percentile.value) == 1.0


def test_volatility_of_the_crises(spy):
    """HV30 of SPY passed 70 % in November 2008 and in April 2020."""
    fast = realized.close_to_close(spy[3], 30)

    assert np.sort(fast[30:])[-1] > 0.7
    # Row 5849 is 2021-03-31; 2020-04 lies about 245 rows before it, 2008-11 about 3115.
    assert fast[5849 - 260 : 5849 - 235].max() > 0.7
    assert fast[5849 - 3125 : 5849 - 3090].max() > 0.7


def test_fewer_returns_than_the_window_give_nan():
    """Six returns are no 30-day volatility."""
    assert np.isnan(realized.close_to_close(CLOSES, 30)).all()


def test_shorter_windows_reproduce_the_original():
    """The original printed 35.28491502 for HV(30) of these closes and 39.05811329 for HV(3)."""
    assert realized.close_to_close(CLOSES, 30, shorter=True)[-1] == pytest.approx(
        0.3528491502, abs=1e-10
    )
    assert realized.close_to_close(CLOSES, 3)[-1] == pytest.approx(0.3905811329, abs=1e-10)
    assert np.isnan(realized.close_to_close(CLOSES, 30, shorter=True)[:2]).all()


def test_atr_of_the_original():
    """Simple mean of the true ranges 3 and 4; without the switch three bars are too few."""
    bars = ([101.0, 103.0, 102.0], [99.0, 100.0, 98.0], [100.0, 102.0, 99.0])

    assert realized.atr_simple(*bars, 14, shorter=True)[-1] == 3.5
    assert realized.atr_simple(*bars, 2)[-1] == 3.5
    assert np.isnan(realized.atr_simple(*bars, 14)).all()


def test_rank_and_percentile_of_the_original():
    """25 in 10, 20, 30, 40 has rank and percentile one half."""
    assert realized.iv_rank(25, [10, 20, 30, 40]) == (0.5, 4)
    assert realized.iv_percentile(25, [10, 20, 30, 40]) == (0.5, 4)


def test_rank_without_a_range_is_missing():
    """A flat or an empty history has no rank; a flat one still has a percentile."""
    assert np.isnan(realized.iv_rank(25, [20, 20]).value)
    assert np.isnan(realized.iv_rank(25, []).value)
    assert np.isnan(realized.iv_percentile(25, []).value)
    assert np.isnan(realized.iv_percentile(math.nan, [1, 2]).value)
    assert np.isnan(realized.iv_rank(math.nan, [1, 2]).value)
    assert realized.iv_percentile(25, [20, 20]).value == 1.0


def test_rank_leaves_the_unit_interval_at_an_extreme():
    """A new high ranks above one, a new low below zero."""
    assert realized.iv_rank(50, [10, 20, 30]).value == 2.0
    assert realized.iv_rank(0, [10, 20, 30]).value == -0.5


def test_missing_days_do_not_count():
    """NaN days shrink the coverage, not the answer."""
    rank = realized.iv_rank([25, 25], [[10, math.nan, 30, 40], [math.nan] * 4])

    assert_allclose(rank.value, [0.5, math.nan])
    assert rank.n.tolist() == [3, 0]


def test_a_missing_bar_stays_inside_its_windows():
    """One NaN close blanks the windows that hold it and changes no other."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 120)))
    holed = close.copy()
    holed[50] = math.nan

    whole, fast = (realized.close_to_close(series, 20) for series in (close, holed))

    touched = np.arange(120)
    touched = (touched >= 50) & (touched <= 70)
    assert np.isnan(fast[touched]).all()
    assert np.array_equal(fast[~touched], whole[~touched], equal_nan=True)


def test_wilder_starts_again_after_a_gap():
    """ATR is missing from a lost bar until a full window of true ranges has been seen."""
    rng = np.random.default_rng(2)
    close = 100 + np.cumsum(rng.normal(0, 1, 60))
    high, low = close + 1, close - 1
    high[30] = math.nan

    atr = realized.atr_wilder(high, low, close, 14)

    assert np.isfinite(atr[13:30]).all()
    assert np.isnan(atr[30:44]).all()
    assert np.isfinite(atr[44:]).all()


@pytest.mark.parametrize("window", [2, 3, 5, 20, 30, 31, 64])
def test_every_estimator_equals_its_formula(window):
    """Rolling results equal the formula written out over each window, for odd and even windows."""
    rng = np.random.default_rng(window)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, 90)))
    opening = close * np.exp(rng.normal(0, 0.01, 90))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.01, 90)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.01, 90)))
    o, h, l, c = (np.log(v) for v in (opening, high, low, close))  # noqa: E741

    def mean(day, i):
        return math.sqrt(252 * max(np.mean(day[i - window + 1 : i + 1]), 0.0))

    i = 80
    u = np.diff(c)[i - window : i]
    bars = (opening, high, low, close, window)
    weights = 0.94 ** np.arange(window)[::-1]
    day_gk = 0.5 * (h - l) ** 2 - (2 * math.log(2) - 1) * (c - o) ** 2
    day_rs = (h - o) * (h - c) + (l - o) * (l - c)
    assert realized.close_to_close(close, window)[i] == pytest.approx(
        np.std(u, ddof=1) * math.sqrt(252), rel=1e-10
    )
    assert realized.ewma(close, window)[i] == pytest.approx(
        math.sqrt(252 * (weights @ u**2) / weights.sum()), rel=1e-12
    )
    assert realized.parkinson(high, low, window)[i] == pytest.approx(
        mean((h - l) ** 2 / (4 * math.log(2)), i), rel=1e-12
    )
    assert realized.garman_klass(*bars)[i] == pytest.approx(mean(day_gk, i), rel=1e-10)
    assert realized.rogers_satchell(*bars)[i] == pytest.approx(mean(day_rs, i), rel=1e-10)
    assert realized.yang_zhang(*bars)[i] == pytest.approx(
        slow_yang_zhang(opening, high, low, close, i, window), rel=1e-10
    )


def test_estimators_agree_on_a_driftless_diffusion():
    """On 4,000 finely sampled days of one volatility all estimators find it within 4 %."""
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 0.2 / math.sqrt(252 * 400), (4000, 400))
    path = np.concatenate([np.zeros((4000, 1)), np.cumsum(steps, axis=1)], axis=1)
    start = np.concatenate([[0.0], np.cumsum(path[:-1, -1])])[:, None]
    price = 100 * np.exp(path + start)
    bars = (price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1])

    found = [
        realized.close_to_close(bars[3], 3999)[-1],
        realized.parkinson(bars[1], bars[2], 3999)[-1],
        realized.garman_klass(*bars, 3999)[-1],
        realized.rogers_satchell(*bars, 3999)[-1],
        realized.yang_zhang(*bars, 3999)[-1],
        realized.ewma(bars[3], 3999, decay=1.0)[-1],
    ]

    # A discretely watched range is a little too small, so those estimators sit a little low.
    assert_allclose(found, 0.2, rtol=0.05)


def test_symbols_are_rows():
    """A stack of symbols gives what each gives alone."""
    rng = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (3, 2, 80)), axis=-1))
    high, low = close * 1.01, close * 0.99

    stacked = realized.yang_zhang(close, high, low, close, 30)
    atr = realized.atr_wilder(high, low, close)

    alone = realized.yang_zhang(close[2, 1], high[2, 1], low[2, 1], close[2, 1], 30)
    assert stacked.shape == (3, 2, 80)
    assert np.array_equal(stacked[2, 1], alone, equal_nan=True)
    assert np.array_equal(
        atr[1, 0], realized.atr_wilder(high[1, 0], low[1, 0], close[1, 0]), equal_nan=True
    )


def test_impossible_bars_are_missing():
    """Zero and negative prices and a high below the low give NaN, without a warning."""
    close = np.full(10, 100.0)
    high, low = close + 1, close - 1
    high[5] = 90.0
    zero = np.where(np.arange(10) == 5, 0.0, close)

    assert np.isnan(realized.parkinson(high, low, 3)[5:8]).all()
    assert realized.parkinson(high, low, 3)[8] > 0
    assert np.isnan(realized.rogers_satchell(close, high, low, close, 3)[5:8]).all()
    assert np.isnan(realized.close_to_close(zero, 3)[5:9]).all()
    assert np.isnan(realized.close_to_close(np.full(10, -1.0), 3)).all()
    assert realized.close_to_close(close, 3)[-1] == 0.0


def test_empty_bars_give_empty_volatility():
    """No bars, no numbers."""
    assert realized.close_to_close([], 30).shape == (0,)
    assert realized.close_to_close([], 30, shorter=True).shape == (0,)
    assert realized.yang_zhang([], [], [], [], 30).shape == (0,)
    assert realized.atr_wilder([], [], []).shape == (0,)
    assert realized.atr_simple([], [], [], shorter=True).shape == (0,)


def test_wrong_arguments_name_the_inequality():
    """A window of one return, unequal shapes and a decay above one are refused."""
    with pytest.raises(ValueError, match="window must be >= 2, got 1"):
        realized.close_to_close(CLOSES, 1)
    with pytest.raises(ValueError, match="one common shape"):
        realized.parkinson([1.0, 2.0], [1.0], 1)
    with pytest.raises(ValueError, match=r"decay must lie in \(0, 1\], got 1.5"):
        realized.ewma(CLOSES, 3, decay=1.5)
    with pytest.raises(ValueError, match="history must have a last axis"):
        realized.iv_rank(1.0, 2.0)


def test_cones_without_a_bar_are_missing():
    """An empty history has no quantile, no last volatility and no values."""
    cones = realized.cones(partial(realized.close_to_close, []), windows=(20, 60))

    assert np.isnan(cones.level).all()
    assert np.isnan(cones.last).all()
    assert cones.n.tolist() == [0, 0]


def test_cones_are_quantiles_of_rolling_volatility():
    """Levels equal numpy's quantiles of each rolling series; too long a window is a row of NaN."""
    rng = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))

    cones = realized.cones(partial(realized.close_to_close, close), windows=(20, 60, 252))

    rolling = realized.close_to_close(close, 60)
    assert_allclose(cones.level[1], np.quantile(rolling[60:], cones.quantile), rtol=1e-12)
    assert cones.last[1] == rolling[-1]
    assert cones.n.tolist() == [180, 140, 0]
    assert np.isnan(cones.level[2]).all()


def test_beta_of_a_leveraged_market():
    """Twice the market has beta 2 without error; shrinking then leaves it alone."""
    market = np.random.default_rng(6).normal(0, 0.01, 300)

    found = realized.beta(2 * market, market)

    assert found.beta == pytest.approx(2.0, rel=1e-12)
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.shrunk == pytest.approx(2.0, rel=1e-12)
    assert found.n == 252


def test_beta_against_the_normal_equations():
    """Slope and standard error are those of ordinary least squares with an intercept."""
    rng = np.random.default_rng(7)
    market = rng.normal(0, 0.01, 252)
    asset = 0.001 + 1.4 * market + rng.normal(0, 0.02, 252)

    found = realized.beta(asset, market)

    design = np.stack([np.ones(252), market], axis=1)
    solution, rest, *_ = np.linalg.lstsq(design, asset, rcond=None)
    covariance = rest[0] / 250 * np.linalg.inv(design.T @ design)
    assert found.beta == pytest.approx(solution[1], rel=1e-10)
    assert found.error == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-10)
    assert 1.0 < found.shrunk < found.beta or found.beta < found.shrunk < 1.0


def test_beta_needs_its_window():
    """Too few pairs and a market that stands still give NaN and say how many pairs there were."""
    returns = np.random.default_rng(8).normal(0, 0.01, 100)

    assert np.isnan(realized.beta(returns, returns).beta)
    assert realized.beta(returns, returns).n == 100
    assert realized.beta(returns, returns, least=60).beta == pytest.approx(1.0)
    assert np.isnan(realized.beta(returns, np.zeros(100), 60).beta)


def test_beta_skips_days_that_one_side_lacks():
    """Missing returns leave the window, never become zeros."""
    rng = np.random.default_rng(9)
    market = rng.normal(0, 0.01, (2, 100))
    asset = 1.5 * market
    asset[0, ::3] = math.nan

    found = realized.beta(asset, market, 100, least=50)

    assert_allclose(found.beta, [1.5, 1.5], rtol=1e-12)
    assert found.n.tolist() == [66, 100]


def test_standard_error_of_a_volatility():
    """sigma / sqrt(2 n)."""
    assert realized.standard_error(0.2, 50) == pytest.approx(0.02)


@examples(30)
@given(scale=st.floats(0.01, 1000.0), seed=st.integers(0, 1000), window=st.integers(2, 40))
def test_volatility_does_not_depend_on_the_currency(scale, seed, window):
    """Prices in cents have the volatility of prices in euros."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, 60)))

    plain = realized.close_to_close(close, window)
    scaled = realized.close_to_close(scale * close, window)

    assert_allclose(scaled, plain, rtol=1e-6, atol=1e-9)


def test_expected_from_iv():
    """.94 of IV30, and a factor of .75 and 1.33 of that either way."""
    found = realized.expected_from_iv(0.20)

    assert found == pytest.approx((0.188, 0.141, 0.25004))


def test_guarded():
    """Beyond 1.6 times the closes' volatility it is that; up to there, and unknown, it stays."""
    found = realized.guarded([0.32, 0.33, np.nan, 0.5], [0.2, 0.2, 0.2, np.nan])

    np.testing.assert_array_equal(found, [0.32, 0.2, np.nan, 0.5])


@pytest.mark.parametrize(
    ("kernel", "prices"),
    [
        (realized.close_to_close, "c"),
        (realized.ewma, "c"),
        (realized.parkinson, "hl"),
        (realized.garman_klass, "ohlc"),
        (realized.rogers_satchell, "ohlc"),
        (realized.yang_zhang, "ohlc"),
    ],
)
def test_many_series_are_each_computed_by_itself(kernel, prices):
    """More series than the cache holds give what each gives alone, by position and by name."""
    rng = np.random.default_rng(4)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (3, 30, 300)), axis=-1))
    bars = {"o": close * 1.001, "h": close * 1.01, "l": close * 0.99, "c": close}
    names = {"o": "open", "h": "high", "l": "low", "c": "close"}

    together = kernel(*(bars[p] for p in prices), 20)

    named = kernel(**{names[p]: bars[p] for p in prices}, window=20)
    np.testing.assert_array_equal(named, together)
    for place in np.ndindex(3, 30):
        np.testing.assert_array_equal(
            together[place], kernel(*(bars[p][place] for p in prices), 20)
        )
