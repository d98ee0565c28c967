"""What a backtest reports follows from its trades, and says what it does not prove."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from support import made_surfaces, walked
from tomic.evidence import ranking, results, statistics, trades, walk
from tomic.evidence.history import clean
from tomic.evidence.results import Described
from tomic.models.backtest import BacktestGroup, Estimate
from tomic.quant import density as densities


@pytest.fixture(scope="module")
def walk_of_four():
    """A walk over most of a year."""
    return walked.walked(walked.table(220))


def told(found, run="managed", **more):
    looked = found.looked
    about = Described(
        settings=found.settings, run=run, every="week", symbols=walked.SYMBOLS, strategies=("x",),
        days=looked.day, symbol_days=looked.day.size, refused=found.choice.refused, **more,
    )  # fmt: skip
    return results.result(found.pool, about)


def test_trades_add_up(walk_of_four):
    """P&L is gross less both costs, weeks sum to the trades, groups to the whole."""
    result = told(walk_of_four)

    assert len(result.trades) == result.overall.trades > 50
    for trade in result.trades:
        assert trade.pnl == pytest.approx(trade.gross - trade.entry_costs - trade.exit_costs)
    total = sum(trade.pnl for trade in result.trades)
    assert result.overall.pnl == pytest.approx(total)
    assert result.weeks[-1].total == pytest.approx(total)
    for groups in (result.by_strategy, result.by_symbol, result.by_year, result.by_exit):
        assert sum(group.trades for group in groups) == result.overall.trades
        assert sum(group.pnl for group in groups) == pytest.approx(total)
    assert result.worst_week == min(result.weeks, key=lambda week: week.pnl)


def test_held_trades_end_at_their_expiry(walk_of_four):
    """Held, every trade ends after thirty days and pays nothing for leaving."""
    result = told(walk_of_four, "hold")

    assert {trade.days for trade in result.trades} == {30}
    assert {trade.exit for trade in result.trades} == {"expiry"}
    assert all(trade.exit_costs == 0.0 and trade.pnl == trade.held for trade in result.trades)


def test_what_could_not_be_followed_is_counted(walk_of_four):
    """Trades that end after the data are no trades of the result, but counted."""
    result = told(walk_of_four, "hold", not_built=Counter({"no close on the day": 2}))

    counts = {each.reason: each.count for each in result.not_built}
    chosen = int((walk_of_four.pool.rank > 0).sum())
    assert counts["no close on the day"] == 2
    assert len(result.trades) + counts["still open at the end of the data"] == chosen


def test_lower_costs_bring_more(walk_of_four):
    """The same trades at the lower slippage cost less and bring more by as much."""
    as_set, other = told(walk_of_four).costs

    assert other.mean_costs < as_set.mean_costs
    assert other.per_margin.value > as_set.per_margin.value


def test_drawdown_is_the_deepest_fall():
    """From the peak of the total to its lowest point after it."""
    monday = dt.date(2024, 1, 1)
    totals = [0.0, 50.0, 20.0, 60.0, -10.0, 30.0]
    weeks = [
        results.BacktestWeek(
            monday=monday + dt.timedelta(weeks=n), pnl=0.0, total=total, opened=0, closed=0
        )
        for n, total in enumerate(totals)
    ]

    assert results._drawdown(weeks) == (-70.0, weeks[3].monday, weeks[4].monday)


def test_marks_put_losses_into_their_week(walk_of_four):
    """A trade that was marked down in a week loses in it, not when it is closed."""
    pool = walk_of_four.pool
    row = np.flatnonzero((pool.rank > 0) & ~np.isnan(pool.pnl("hold")))[:1]
    one = pool.take(row)
    second = one.day[0].item() + dt.timedelta(days=10)
    marked = replace(one, marks={0: [(second, -1000.0)]})

    plain, told_ = (results._weeks(each, "hold") for each in (one, marked))
    worst = min(told_, key=lambda week: week.pnl)
    assert worst.monday <= second <= worst.monday + dt.timedelta(days=6)
    assert worst.pnl == pytest.approx(-1000.0 - one.costs[0])
    assert told_[-1].total == pytest.approx(plain[-1].total)


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (Estimate(), "no trade was opened"),
        (Estimate(value=0.1, blocks=1), "too few months"),
        (Estimate(value=0.1, low=-0.1, high=0.3, blocks=9), "it holds zero"),
        (Estimate(value=0.1, low=0.05, high=0.3, blocks=9), "above zero; it was look number 7"),
        (Estimate(value=-0.1, low=-0.2, high=-0.05, blocks=9), "below zero"),
    ],
)
def test_the_verdict_says_what_is_proven(figure, words):
    """A plain sentence for each case."""
    group = BacktestGroup(label="all", trades=1, per_cvar=figure)

    assert words in results.verdict(group, 7)


def test_two_months_have_no_interval():
    """Blocks of two months cannot be resampled from two months."""
    found = results.estimate(np.array([1, 1, 2, 2]), np.array([0.1, 0.2, 0.3, np.nan]))

    assert found.value == pytest.approx(0.2)
    assert found.low is None
    assert found.holds_zero


def test_changed_keys_are_named():
    """Only what differs from the defaults is listed, by its dotted key."""
    assert results.changed(type(walked.SETTINGS)(), walked.SETTINGS) == {
        "scan.top": "3",
        "scan.profile": "all",
        "backtest.warm_up": "40",
        "backtest.processes": "1",
        "backtest.random_draws": "4",
        "backtest.funds": "['AAA']",
    }


def worlds(seed, count):
    """By world, what random entries before costs brought per margin, and their months."""
    settings = walk.WalkSettings(warm_up=40, points=501)
    parts = []
    for number, history in enumerate(clean(made_surfaces.rows(("AAA", "BBB"), 1090, seed=seed))):
        opened = walk.positions(history, walk.entry_days([history]), settings, Counter())
        draws = np.random.default_rng([seed, number]).random((opened.at.size, count))
        ends = np.array([
            densities.from_smile(opened.smiles.smile(row), points=501).quantile(draws[row])
            for row in range(opened.at.size)
        ])  # fmt: skip
        for world in range(count):
            came = trades.brought(opened.smiles, opened.trades, ends[:, world])
            gross = (came + opened.trades.costs) / opened.trades.net_margin
            parts.append((world, number, history.day[opened.at], gross))
    for world in range(count):
        mine = [part for part in parts if part[0] == world]
        kinds = mine[0][3].shape[1]
        day = np.concatenate([np.repeat(part[2], kinds) for part in mine])
        gross = np.concatenate([part[3].reshape(-1) for part in mine])
        symbol = np.concatenate([np.full(part[3].size, part[1]) for part in mine])
        structure = np.concatenate([np.tile(np.arange(kinds), part[2].size) for part in mine])
        rows = ranking.at_random(day.astype(np.int64), symbol, structure, seed=world)
        yield statistics.months(day[rows]), gross[rows]


def test_prices_of_the_market_s_own_density_prove_nothing():
    """Random entries before costs: the 90 % interval holds zero in 84 of 100 worlds or more."""
    runs = [run for seed in range(4) for run in worlds(seed, 25)]

    assert sum(results.estimate(*run).holds_zero for run in runs) >= 84
