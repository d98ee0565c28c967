"""Condors through tables: the same best ones as by plain measuring, with and without pruning."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tomic.config import ScoreSettings
from tomic.quant import density, margin, payoff, probability, smile
from tomic.strategies import scoring
from tomic.strategies.condors import CondorTerms, Search, Spreads, SpreadTable

LOT, DISCOUNT, SPOT = 100.0, 0.996, 500.0
SMILE = smile.Smile(SPOT, 30 / 365, DISCOUNT, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
MARKET = density.from_smile(SMILE)
LAW = density.forecast(MARKET, 0.9 * MARKET.volatility)


def made(count, seed, *, two_spreads=True, dte=30):
    """All vertical spreads of *count* strikes around the money, with noisy quotes."""
    rng = np.random.default_rng(seed)
    strike = SPOT + np.arange(count) - count // 2.0
    sides = []
    for call in (False, True):
        price = SMILE.value(strike, call) + rng.normal(0.0, 0.01, count)
        half, liquidity = rng.uniform(0.01, 0.03, count), rng.uniform(0.7, 0.98, count)
        low, high = np.triu_indices(count, 1)
        sold, bought = (low, high) if call else (high, low)
        credit = LOT * (price[sold] - price[bought] - 0.5 * (half[sold] + half[bought])) - 1.3
        owed = LOT * DISCOUNT * (LAW.call_value(strike) if call else LAW.put_value(strike))
        sides.append(
            Spreads(
                strike[sold], np.abs(strike[sold] - strike[bought]), credit,
                credit - owed[sold] + owed[bought], (liquidity[sold] * liquidity[bought]) ** 0.25,
                np.stack((sold, bought), axis=1), call,
            )
        )  # fmt: skip
    terms = CondorTerms(LAW, ScoreSettings(), dte, LOT * DISCOUNT, LOT, two_spreads)
    return Search(*sides, terms)


def measured(search):
    """Every condor by the kernels for any structure: (put, call, score), the best first."""
    puts, calls, terms = search.puts, search.calls, search.terms
    put, call = np.nonzero(puts.short[:, None] < calls.short[None, :])
    credit = puts.credit[put] + calls.credit[call]
    strike = np.stack(
        (puts.short[put] - puts.width[put], puts.short[put],
         calls.short[call], calls.short[call] + calls.width[call]), axis=1,
    )  # fmt: skip
    legs = np.array([False, False, True, True]), np.array([1.0, -1.0, -1.0, 1.0])
    form = payoff.segments(strike, *legs, credit=credit, discount=DISCOUNT, multiplier=LOT)
    rule = "two_spreads" if terms.two_spreads else "wider"
    need = margin.requirement(
        strike, *legs, np.ones(strike.shape), spot=SPOT, credit=credit,
        rules=margin.MarginRules(unequal_condor=rule),
    )  # fmt: skip
    below = probability.shortfall(LAW, form)
    tail = np.where(below.probability > 0.05, probability.cvar(LAW, form), below.mean / 0.05)
    figures = scoring.ScoreFigures(
        payoff.profile(form).max_profit, need.net, probability.pos(LAW, form),
        probability.ev(LAW, form), tail, puts.liquidity[put] * calls.liquidity[call], terms.dte,
    )  # fmt: skip
    score = np.where((credit > 0.0) & (need.net > 0.0), scoring.total(figures, terms.score), -1.0)
    order = np.lexsort((call, put, -score))
    return put[order], call[order], score[order]


@pytest.mark.parametrize("two_spreads", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_best_are_the_best(seed, two_spreads):
    """Of all condors of 18 strikes the best ten, legs and scores."""
    search = made(18, seed, two_spreads=two_spreads, dte=20 + 10 * seed)
    put, call, score = measured(search)

    top = search.best(10)

    np.testing.assert_allclose(top.score, score[:10], atol=1e-7)
    assert top.put.tolist() == put[:10].tolist()
    assert top.call.tolist() == call[:10].tolist()
    assert top.scored == len(search) == score.size


def test_bound_is_a_bound():
    """No condor scores above the bound by which it may be left out."""
    search = made(14, 7)
    put, call, score = measured(search)

    block = search._score(put, call)

    valid = score >= 0.0
    assert np.all(block.bound[valid] + search.slack >= score[valid])


def test_number_of_condors():
    """A hundred strikes have 100 choose 4 condors."""
    assert len(made(100, 0)) == 3_921_225


def test_memory():
    """A search of half a million condors keeps under 60 MB."""
    search = made(60, 0)
    tracemalloc.start()

    search.best(5)

    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_more_wanted_than_there_are():
    """All of them come, in order."""
    search = made(6, 1)
    top = search.best(1_000_000_000)
    assert np.all(np.diff(top.score) <= 0.0)
    assert top.score.size <= len(search)


def test_no_condor():
    """Without spreads on one side there is none."""
    some = made(6, 1)
    none = some.calls.take(np.zeros(0, dtype=np.int64))
    empty = Search(some.puts, none, some.terms)
    assert len(empty) == 0
    assert empty.best(5).score.size == 0


def test_table_error_is_a_bound():
    """Between its nodes the table is off by less than it says."""
    table = SpreadTable(LAW, 430.0, 570.0)
    price = np.random.default_rng(0).uniform(430.0, 570.0, 200_000)

    off = np.abs(table.below(price) - LAW.probability_below(price))

    assert off.max() <= table.error + 1e-12
    assert table.error < 1e-6
