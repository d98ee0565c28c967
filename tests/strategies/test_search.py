"""The search against brute force: same trades, scores and refusals; condors through tables too."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict

import numpy as np
import pytest

from support import random_chains, recorded_chains, reference
from tomic.config import ScoreSettings, Settings
from tomic.files import load_chain
from tomic.quant import density, margin, payoff, probability, smile
from tomic.strategies import measures, propose, scoring, search
from tomic.strategies.candidates import Candidates
from tomic.strategies.catalogue.templates import CATALOGUE, choose
from tomic.strategies.measures import Batch
from tomic.strategies.pricing import board as boards

POINT = 1e-6
"""Points of score by which two exact computations may differ."""
TOP = 5


def assert_same_as_brute_force(chain, settings=None, names=tuple(CATALOGUE)):
    """Compare every group of every strategy, and the walk over all of them."""
    settings = settings or Settings()
    if chain.underlying.settles_in_cash:  # an index has no shares
        names = [name for name in names if not CATALOGUE[name].stock]
    templates = choose(settings, names)
    vol = random_chains.snapshot(chain, hv30=0.22)
    board = boards.prepare(chain, vol, settings)
    trades, refused, considered = reference.scan(board, templates)

    for template in templates:
        found = search.search(board, [template], keep=TOP)
        own = [one for one in trades if one.strategy == template.name]
        assert_same_groups(found.hits, own)
        if search._falls_alone(template):
            assert_same_groups(search.seek(board, [template], keep=TOP), own)
    whole = propose.propose(chain, vol, strategies=names, settings=settings)

    expected, like = reference.walk(trades, settings.scan, TOP)
    scores = [one.score for one in expected]
    assert [one.score for one in whole.proposals] == pytest.approx(scores, abs=POINT)
    assert [legs_of(one) for one in whole.proposals] == [one.legs for one in expected]
    assert [one.alternatives for one in whole.proposals] == like
    assert (whole.considered, whole.passed) == (considered, len(trades))
    assert {one.rule: one.count for one in whole.rejected} == dict(refused)


def assert_same_groups(hits, trades):
    """The best five of each variant and expiries are the same trades with the same scores."""
    groups = defaultdict(list)
    for trade in sorted(trades, key=lambda one: one.key):
        groups[trade.group].append(trade)
    found = defaultdict(list)
    for hit in hits:
        found[hit.template.side, hit.legs[0][2], hit.expiries].append(hit)

    assert set(found) == set(groups)
    for group, expected in groups.items():
        best = [one.score for one in expected[:TOP]]
        assert [one.score for one in found[group]] == pytest.approx(best, abs=POINT)
        assert [one.legs for one in found[group]] == [one.legs for one in expected[:TOP]]


def legs_of(proposal):
    return tuple(
        (str(leg.expiry), leg.strike, leg.right, leg.quantity)
        for leg in proposal.legs
        if leg.sec_type == "OPT"
    )


def test_a_search_of_hits_alone_gives_those_of_the_search():
    """Also where more candidates than are measured first lose on one side alone."""
    chain = random_chains.chain(5, strikes=61, gaps=False, sec_type="IND")
    settings = Settings()
    board = boards.prepare(chain, random_chains.snapshot(chain, hv30=0.22), settings)
    templates = choose(settings, ["jade_lizard"])

    whole = search.search(board, templates, keep=TOP)
    alone = search.seek(board, templates, keep=TOP)

    assert whole.tally.considered > 3 * search.PROMISING
    assert [hit.legs for hit in alone] == [hit.legs for hit in whole.hits]
    scores = [hit.score for hit in whole.hits]
    assert [hit.score for hit in alone] == pytest.approx(scores, abs=POINT)


def test_no_expected_value_is_made_by_revaluing_later_expiries():
    """At the smile a calendar of American options is worth what it costs, deep puts too."""
    chain = random_chains.chain(5, strikes=31, gaps=False, sec_type="STK")
    board = boards.prepare(chain, random_chains.snapshot(chain, hv30=0.22), Settings())

    for batch in search.batches(board, choose(Settings(), ["calendar"])):
        figures = measures.measure(batch, board)
        residual = np.where(np.isfinite(board.doubted), board.price - board.value, 0.0)
        believed = -100.0 * (batch.quantity * batch.legs(residual - board.doubted)).sum(axis=1)
        known = np.isfinite(figures.ev)

        costs = figures.credit_mid - figures.credit
        assert figures.ev[known] == pytest.approx((believed - costs)[known], abs=1e-6)
        assert (known & ~batch.is_call[:, 0]).any()


def test_ceilings_are_the_scores_of_trades_that_lose_on_one_side_alone():
    """Moments of the density give what the segments of each trade give."""
    chain = random_chains.chain(5, strikes=31, gaps=False, sec_type="STK")
    settings = Settings()
    board = boards.prepare(chain, random_chains.snapshot(chain, hv30=0.22), settings)
    hits = search.search(board, choose(settings, ["jade_lizard"]), keep=search.ALL).hits
    built = [
        Candidates(hit.template, hit.expiries, np.array([hit.rows], dtype=np.int64)) for hit in hits
    ]

    ceilings = [float(search._ceilings(Batch.of([one]), board)[0]) for one in built]

    assert hits
    assert ceilings == pytest.approx([hit.score for hit in hits], abs=0.01 * search.OFF)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 20))]
)
def test_random_chains_give_what_brute_force_gives(seed):
    """On a random chain of two expiries."""
    style = "STK" if seed % 4 == 0 else "IND"
    assert_same_as_brute_force(random_chains.chain(seed, strikes=10, sec_type=style))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20, 220))
def test_many_random_chains_give_what_brute_force_gives(seed):
    """On larger random chains, some with a third expiry."""
    days = (24, 38, 66) if seed % 2 else (32, 60)
    style = "STK" if seed % 4 == 0 else "IND"
    assert_same_as_brute_force(random_chains.chain(seed, strikes=14, days=days, sec_type=style))


LARGEST = "tomic_ib_SPY_20250519_2026cest.csv"
RECORDED = {
    LARGEST: ({}, 10.0),
    "lean_GOOG_20151224_eod_chain.csv": ({"spot": 748.40, "rate": 0.003}, 17.5),
    "tomic_ib_XLF_20250518_sunday_closed.csv": ({}, 1.0),
}
"""File to what it does not say of itself, and the distance of strikes that are kept."""


# Loops in plain Python over the strikes of SPY take as long as all other searches together.
@pytest.mark.parametrize(
    "name", [pytest.param(LARGEST, marks=pytest.mark.soak), *sorted(set(RECORDED) - {LARGEST})]
)
def test_recorded_chains_give_what_brute_force_gives(name):
    """On recorded chains, thinned so that plain loops can go through them."""
    if why := recorded_chains.missing(name):
        pytest.skip(why)
    known, step = RECORDED[name]
    chain = load_chain(recorded_chains.DATA / name, **known)
    # Strikes a step apart, few enough for loops over four legs.
    place = chain["strike"] / step
    near = np.abs(chain["strike"] / chain.spot.price - 1.0) < 0.12
    chain = chain.where((np.abs(place - np.round(place)) < 1e-9) & near & (chain["dte"] < 90))

    assert_same_as_brute_force(chain)


# -- condors through tables -----------------------------------------------------------------------

LOT, DISCOUNT, SPOT = 100.0, 0.996, 500.0
SMILE = smile.Smile(SPOT, 30 / 365, DISCOUNT, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
MARKET = density.from_smile(SMILE)
LAW = density.viewed(MARKET, volatility=0.9)


def made(count, seed, *, two_spreads=True):
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
            search.Spreads(
                strike[sold], np.abs(strike[sold] - strike[bought]), credit,
                credit - owed[sold] + owed[bought],
                credit - owed[sold] + owed[bought] + rng.normal(0.0, 4.0, sold.size),
                np.zeros(sold.size),
                (liquidity[sold] * liquidity[bought]) ** 0.25,
                np.stack((sold, bought), axis=1), call,
            )
        )  # fmt: skip
    terms = search.CondorTerms(LAW, ScoreSettings(), LOT * DISCOUNT, LOT, two_spreads)
    return search.CondorSearch(*sides, terms)


def measured(condors):
    """Every condor by the kernels for any structure: (put, call, score), the best first."""
    puts, calls, terms = condors.puts, condors.calls, condors.terms
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
        probability.pos(LAW, form),
        probability.ev(LAW, form)
        + puts.ev[put] - puts.mean[put] + calls.ev[call] - calls.mean[call],
        tail, puts.liquidity[put] * calls.liquidity[call],
    )  # fmt: skip
    score = np.where((credit > 0.0) & (need.net > 0.0), scoring.total(figures, terms.score), -1.0)
    order = np.lexsort((call, put, -score))
    return put[order], call[order], score[order]


@pytest.mark.parametrize("two_spreads", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_best_are_the_best(seed, two_spreads):
    """Of all condors of 18 strikes the best ten, legs and scores."""
    condors = made(18, seed, two_spreads=two_spreads)
    put, call, score = measured(condors)

    top = condors.best(10)

    np.testing.assert_allclose(top.score, score[:10], atol=1e-7)
    assert top.put.tolist() == put[:10].tolist()
    assert top.call.tolist() == call[:10].tolist()
    assert top.scored == len(condors) == score.size


def test_bound_is_a_bound():
    """No condor scores above the bound by which it may be left out."""
    condors = made(14, 7)
    put, call, score = measured(condors)

    block = condors._score(condors._put_side.take(put), condors._call_side.take(call))

    valid = score >= 0.0
    assert np.all(block.bound[valid] + condors.slack >= score[valid])


def test_number_of_condors():
    """A hundred strikes have 100 choose 4 condors."""
    assert len(made(100, 0)) == 3_921_225


def test_memory():
    """A condors of half a million condors keeps under 60 MB."""
    condors = made(60, 0)
    tracemalloc.start()

    condors.best(5)

    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_more_wanted_than_there_are():
    """All of them come, in order."""
    condors = made(6, 1)
    top = condors.best(1_000_000_000)
    assert np.all(np.diff(top.score) <= 0.0)
    assert top.score.size <= len(condors)


def test_no_condor():
    """Without spreads on one side there is none."""
    some = made(6, 1)
    none = some.calls.take(np.zeros(0, dtype=np.int64))
    empty = search.CondorSearch(some.puts, none, some.terms)
    assert len(empty) == 0
    assert empty.best(5).score.size == 0


def test_table_error_is_a_bound():
    """Between its nodes the table is off by less than it says."""
    table = search.SpreadTable(LAW, 430.0, 570.0)
    price = np.random.default_rng(0).uniform(430.0, 570.0, 200_000)

    off = np.abs(table.below(price) - LAW.probability_below(price))

    assert off.max() <= table.error + 1e-12
    assert table.error < 1e-6
