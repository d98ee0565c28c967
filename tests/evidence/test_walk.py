"""A walk forward decides on what was known, and only outcomes read later days."""

from __future__ import annotations

import weakref
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support import made_surfaces
from tomic.evidence import statistics, walk
from tomic.evidence.history import clean
from tomic.evidence.structures import STRUCTURES

FEW = walk.WalkSettings(warm_up=40, points=501, structures=STRUCTURES[:5])


def walked(table, settings=FEW):
    return walk.walk(clean(table), settings)


def test_entries_are_weekly_from_wednesday_on():
    """Wednesday where it traded, Thursday where that was closed, nothing in a week of Mondays."""
    table = made_surfaces.rows(days=20, first="2022-01-03")
    weekday = (table.day.astype(np.int64) + 3) % 7
    week = (table.day.astype(np.int64) + 3) // 7
    shut = (week == week[5]) & (weekday == 2)
    shut |= (week == week[12]) & (weekday >= 2)
    (history,) = clean(type(table)._make(column[~shut] for column in table))

    days = walk.entry_days([history])

    assert days.astype(str).tolist() == ["2022-01-05", "2022-01-13", "2022-01-26"]


def test_the_future_changes_nothing_before():
    """Whatever happens after a day, promises made until then and outcomes known by then stay."""
    table = made_surfaces.rows(("AAA", "BBB"), 200)
    seam = table.day[150]
    later = table.day > seam
    generator = np.random.default_rng(5)
    other = made_surfaces.changed(
        table,
        close=np.where(later, table.close * np.exp(generator.normal(size=later.size)), table.close),
        atm_iv=np.where(later, 9.9 * table.atm_iv, table.atm_iv),
        skew=np.where(later, -table.skew, table.skew),
        term_m1_m2=np.where(later, np.nan, table.term_m1_m2),
    )

    before, after = walked(table)[0], walked(other)[0]

    # An entry whose own outcome is unknowable in the other future is not in its record.
    ours, theirs = _shared_entries(before, after)
    told = before.day[ours] <= seam
    known = before.day[ours] + 30 <= seam
    assert known.sum() == (before.day + 30 <= seam).sum() > 20
    assert told.sum() > known.sum()
    for name in ("iv30", "hv", "credit", "margin", "vega", "pos", "ev", "cvar"):
        one, other = getattr(before, name)[ours], getattr(after, name)[theirs]
        assert_array_equal(one[told], other[told], name)
    for name in ("pnl", "managed", "realised"):
        one, other = getattr(before, name)[ours], getattr(after, name)[theirs]
        assert_array_equal(one[known], other[known], name)


def _shared_entries(one, other):
    """Rows of two records for the entries that both hold."""
    keys = [
        [f"{s} {d}" for s, d in zip(record.symbol, record.day, strict=True)]
        for record in (one, other)
    ]
    both = sorted(set(keys[0]) & set(keys[1]))
    return tuple([key.index(each) for each in both] for key in keys)


def test_a_rule_that_looks_ahead_is_caught():
    """Volatility taken from the day after changes promises when only later days change."""

    def leaky(table):
        return made_surfaces.changed(table, atm_iv=np.append(table.atm_iv[1:], table.atm_iv[-1]))

    table = made_surfaces.rows(days=200)
    # An entry day, so that its own leaky row is the first of the changed ones.
    place = np.flatnonzero((table.day.astype(np.int64) + 3) % 7 == 2)[30]
    later = np.arange(table.day.size) > place
    other = made_surfaces.changed(table, atm_iv=np.where(later, 1.2, 1.0) * table.atm_iv)

    one, two = walked(leaky(table))[0], walked(leaky(other))[0]

    assert one.iv30[one.day == table.day[place]] != two.iv30[two.day == table.day[place]]


def test_a_short_history_opens_nothing_and_says_so():
    """Ten days are fewer than the warm-up, and are counted."""
    record, missing = walked(made_surfaces.rows(days=10))

    assert record is None
    assert missing == {"fewer closes than the warm-up": 1}


def test_every_entry_that_is_not_made_is_counted():
    """Made and missing entries add up to the entry days after the warm-up."""
    table = made_surfaces.rows(days=200)
    table.close[100], table.atm_iv[120] = np.nan, 0.0
    table.atm_iv[table.day == walk.entry_days(clean(table))[20]] = np.nan
    (history,) = clean(table)
    days = walk.entry_days([history])
    priced = history.day[~np.isnan(history.close)]
    possible = ((days >= priced[FEW.warm_up]) & (days <= priced[-1])).sum()

    record, missing = walked(table)

    assert record.day.size + sum(missing.values()) == possible
    assert missing["no IV or skew on the day"] >= 1
    assert missing["no close at the expiry"] >= 4


def test_a_split_before_the_expiry_leaves_the_outcome():
    """P&L of the trades that live through it is that of the unsplit price."""
    table = made_surfaces.rows(days=200)
    plain = walked(table)[0]
    table.close[150:] /= 4.0

    split = walked(table)[0]

    through = plain.day < table.day[150]
    assert_allclose(split.pnl[through], plain.pnl[through])
    assert_allclose(split.realised, plain.realised)


def test_trades_over_a_break_are_left_out():
    """Nobody knows what they were worth when the series became another."""
    table = made_surfaces.rows(days=200)
    table.close[150:] *= 17.6

    record, missing = walked(table)

    spanned = (record.day < table.day[150]) & (record.day + 30 >= table.day[150])
    assert not spanned.any()
    assert missing["the series breaks before the expiry"] >= 4


def test_rates_are_those_of_the_year():
    """A year beyond the table takes the nearest one's."""
    days = np.array(["2015-06-01", "2023-06-01", "2031-06-01"], dtype="datetime64[D]")

    assert_allclose(walk.WalkSettings().rate(days), [0.019, 0.051, 0.042])


def test_a_symbol_is_forgotten_before_the_next_is_judged():
    """However many symbols there are, the prices of one are in memory at a time."""
    before, left = [], []

    def look(opened):
        left.append([price for price in before if price() is not None])
        before.append(weakref.ref(opened.trades.price))

    walk.walk(clean(made_surfaces.rows(tuple("ABCDE"), 100)), FEW, beside=look)

    assert left == [[]] * 5


@pytest.mark.parametrize("seed", range(3))
def test_whoever_stands_beside_sees_every_symbol(seed):
    """Positions come in the order of the record."""
    seen = []
    table = made_surfaces.rows(("BBB", "AAA"), 120, seed=seed)

    record, _ = walk.walk(clean(table), FEW, beside=lambda p: seen.append(p.history.symbol))

    assert seen == ["AAA", "BBB"]
    assert record.symbol.tolist() == sorted(record.symbol.tolist())


def test_prices_drawn_from_the_market_prove_nothing():
    """Where prices follow the volatility they were priced with, EV is right within its interval."""
    table = made_surfaces.rows(tuple(f"S{n}" for n in range(4)), 240, seed=11)
    table.skew[:] = 0.0
    record, missing = walked(table)

    strangle = ((record.pnl - record.ev) / record.margin)[:, 0]

    assert isinstance(missing, Counter)
    assert statistics.mean(statistics.months(record.day), strangle).holds(0.0)
