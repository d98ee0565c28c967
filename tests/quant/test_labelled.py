"""Columns of pandas in and out of kernels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tomic.quant import american, black_scholes, implied, realized

DAYS = pd.bdate_range("2025-01-01", periods=120, name="day")


@pytest.fixture
def closes():
    """Two random walks, a column each."""
    steps = np.random.default_rng(3).normal(0.0, 0.01, (len(DAYS), 2))
    return pd.DataFrame(100.0 * np.exp(np.cumsum(steps, axis=0)), index=DAYS, columns=["A", "B"])


@pytest.mark.parametrize(
    "kernel",
    [
        realized.daily_log_returns,
        lambda close: realized.close_to_close(close, 20),
        lambda close: realized.ewma(close, 20),
        lambda close: realized.parkinson(1.01 * close, close, 20),
        lambda close: realized.garman_klass(close, 1.01 * close, 0.99 * close, close, 20),
        lambda close: realized.yang_zhang(close, 1.01 * close, 0.99 * close, close, window=20),
        lambda close: realized.atr_wilder(1.01 * close, 0.99 * close, close, 14),
    ],
)
def test_a_series_gives_a_series_and_a_table_a_table(closes, kernel):
    """Each column of days by symbols is what that column by itself is, with its index."""
    table = kernel(closes)

    assert isinstance(table, pd.DataFrame)
    assert table.index.equals(DAYS) and list(table.columns) == ["A", "B"]
    for name in closes:
        alone = kernel(closes[name])
        assert isinstance(alone, pd.Series) and alone.name == name
        pd.testing.assert_series_equal(alone, table[name])
        assert_array_equal(alone.to_numpy(), kernel(closes[name].to_numpy()))


def test_fields_of_a_result_are_labelled(closes):
    """A rolling rank has its values and its counts by day; a rank of today is a number."""
    volatility = realized.close_to_close(closes["A"], 20).dropna()

    rolling = realized.rolling_place(realized.iv_rank, volatility, 50)
    today = realized.iv_rank(volatility.iloc[-1], volatility.iloc[:-1])

    assert rolling.value.index.equals(volatility.index)
    assert rolling.n.index.equals(volatility.index)
    assert float(today.value) == pytest.approx(
        float(realized.iv_rank(volatility.to_numpy()[-1], volatility.to_numpy()[:-1]).value)
    )


def test_a_rank_of_a_table_goes_by_column(closes):
    """Each symbol is ranked in its own history, not each day among the symbols."""
    place = realized.iv_rank(closes.iloc[-1], closes.iloc[:-1])

    expected = [realized.iv_rank(closes[n].iloc[-1], closes[n].iloc[:-1]).value for n in closes]
    assert_array_equal(place.value, expected)


def test_options_keep_their_index():
    """Prices, Greeks and implied volatilities of a frame's columns have its index."""
    frame = pd.DataFrame({"strike": [90.0, 100.0], "right": ["P", "C"]}, index=["x", "y"])
    terms = (100.0, frame.strike, 0.25, 0.04, 0.01)

    value = american.price(*terms, 0.2, frame.right)
    again = american.implied_vol(value, *terms, frame.right)
    european = black_scholes.greeks(*terms, 0.2, frame.right)

    assert list(value.index) == ["x", "y"]
    assert again.to_numpy() == pytest.approx([0.2, 0.2], abs=1e-6)
    assert list(european.delta.index) == ["x", "y"]
    assert isinstance(implied.implied_vol(3.0, *terms, frame.right), pd.Series)
    assert isinstance(american.price(100.0, [90.0, 100.0], 0.25, 0.04, 0.01, 0.2, "P"), np.ndarray)


def test_rows_never_meet_rows_of_another_index(closes):
    """Columns that do not share their index, or tables their columns, are refused."""
    with pytest.raises(ValueError, match="high and low have different indexes; align them first"):
        realized.parkinson(closes["A"], closes["A"].iloc[::-1], 20)
    with pytest.raises(ValueError, match="different columns"):
        realized.parkinson(closes, closes[["B", "A"]], 20)
