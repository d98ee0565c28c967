"""Surfaces are cleaned with what was known, and what is taken out is counted."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support import made_surfaces
from tomic import dates
from tomic.evidence import history as histories
from tomic.evidence.history import clean, front_and_next, third_fridays


def test_third_fridays_are_those_of_the_calendar():
    """Every month of ten years has the third Friday that `dates` gives."""
    months = np.arange("2016-01", "2026-01", dtype="datetime64[M]").astype("datetime64[D]")

    expected = [dates.third_friday(day.year, day.month) for day in months.astype(dt.date)]

    assert_array_equal(third_fridays(months, 0).astype(dt.date), expected)


def test_the_front_expiry_is_13_to_48_days_out():
    """On any day the front lies within the bounds, and the next one 28 or 35 days after it."""
    days = np.arange("2018-01-01", "2026-01-01", dtype="datetime64[D]")

    front, following = front_and_next(days)

    assert front.min() == 13.0
    assert front.max() <= 48.0
    assert set((following - front).tolist()) == {28.0, 35.0}


def test_the_order_of_rows_does_not_matter():
    """A shuffled table gives the history of the sorted one."""
    table = made_surfaces.rows(("AAA", "BBB"), 60)
    order = np.random.default_rng(1).permutation(table.day.size)

    plain, shuffled = clean(table), clean(type(table)._make(c[order] for c in table))

    for one, other in zip(plain, shuffled, strict=True):
        assert_array_equal(one.close, other.close)
        assert_array_equal(one.front_iv, other.front_iv)


def test_of_a_repeated_day_the_last_row_counts():
    """It is said how many were repeated."""
    table = made_surfaces.rows(days=30)
    again = type(table)._make(np.append(column, column[5]) for column in table)
    again.close[-1] = 77.0

    (history,) = clean(again)

    assert history.day.size == 30
    assert history.close[5] == 77.0
    assert history.excluded["repeated days"] == 1


def test_rows_without_a_date_are_counted():
    """They belong nowhere and take nothing with them."""
    table = made_surfaces.rows(days=30)
    table.day[3] = np.datetime64("NaT")

    (history,) = clean(table)

    assert history.day.size == 29
    assert history.excluded == {"rows without a date": 1}


@pytest.mark.parametrize("close", [0.0, -5.0, np.inf])
def test_a_price_that_cannot_be_is_missing(close):
    """It becomes NaN and is counted; a blank one is only missing."""
    table = made_surfaces.rows(days=30)
    table.close[7], table.close[9] = close, np.nan

    (history,) = clean(table)

    assert np.isnan(history.close[[7, 9]]).all()
    assert history.excluded == {"impossible closes": 1}


def test_an_impossible_volatility_is_missing():
    """0 and 700 % are what bad files print."""
    table = made_surfaces.rows(days=40)
    table.atm_iv[20], table.atm_iv[30] = 0.0, 7.0

    (history,) = clean(table)

    assert np.isnan(history.front_iv[[20, 30]]).all()
    assert history.excluded["impossible IVs"] == 2


def test_a_spike_of_one_day_is_not_believed_and_a_new_level_is():
    """The first day of a new level is doubted, the second is not: nobody knew on the first."""
    table = made_surfaces.rows(days=60)
    table.atm_iv[:] = 0.25
    table.atm_iv[20] = 0.60
    table.atm_iv[40:] = 0.60

    (history,) = clean(table)

    assert np.flatnonzero(np.isnan(history.front_iv)).tolist() == [20, 40]
    assert history.excluded["spikes of one day"] == 2


@pytest.mark.parametrize("ratio", [2.0, 3.0, 20.0, 0.1])
def test_a_split_is_undone(ratio):
    """Close x factor goes on where the price was divided; volatility does not see it."""
    table = made_surfaces.rows(days=120)
    whole = clean(table)[0].historical_volatility()
    table.close[70:] /= ratio

    (history,) = clean(table)

    assert history.excluded == {"splits undone": 1}
    assert_allclose(history.factor[[69, 70]], [1.0, ratio])
    assert_allclose(history.historical_volatility(), whole)


def test_a_crash_that_the_options_saw_is_no_split():
    """A price halved while volatility doubles is a loss, and stays one."""
    table = made_surfaces.rows(days=120)
    table.close[70:] /= 2.0
    table.atm_iv[70:] *= 2.0

    (history,) = clean(table)

    assert_array_equal(history.factor, 1.0)
    assert history.broken.max() == 0


def test_a_series_that_becomes_another_is_broken():
    """A move of no ratio of a split, which IV did not see, parts the history."""
    table = made_surfaces.rows(days=120)
    table.close[70:] *= 17.6

    (history,) = clean(table)

    assert history.excluded == {"breaks of the series": 1}
    assert np.isnan(history.historical_volatility()[70:100]).all()
    assert np.isfinite(history.historical_volatility()[101:]).all()


def test_volatility_between_two_expiries_is_linear_in_variance():
    """At the expiries it is theirs, before the first it is the first's, beyond the second NaN."""
    table = made_surfaces.rows(days=30)
    (history,) = clean(table)
    at = np.arange(30)

    assert_allclose(history.iv(at, history.front_days), history.front_iv)
    assert_allclose(history.iv(at, history.next_days), history.next_iv)
    assert_allclose(history.iv(at, np.full(30, 2.0)), history.front_iv)
    assert np.isnan(history.iv(at, history.next_days + 1.0)).all()
    middle = 0.5 * (history.front_days + history.next_days)
    variance = history.iv(at, middle) ** 2 * middle
    ends = history.front_iv**2 * history.front_days + history.next_iv**2 * history.next_days
    assert_allclose(variance, 0.5 * ends)


def test_who_reports_is_a_stock():
    """With a table of earnings every other symbol is a fund; without one the list says so."""
    table = made_surfaces.rows(("AAA", "SPY"), 20)

    by_earnings = clean(table, stocks={"AAA"}, etfs={"AAA"})
    by_list = clean(table, etfs={"SPY"})

    assert [history.is_etf for history in by_earnings] == [False, True]
    assert [history.is_etf for history in by_list] == [False, True]


def test_the_skew_changes_its_meaning_at_the_seam():
    """From 24 November 2025 the source measures at 25 delta."""
    (history,) = clean(made_surfaces.rows(days=30, first="2025-11-03"))

    assert history.day[history.skew_is_delta].min() == histories.SEAM
