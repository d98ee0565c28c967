"""The gate: an expiry whose smile the market contradicts has no outlook, and says why."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support import random_chains, recorded_chains
from support.made_chains import AS_OF, RATE, SPOT, chain_of, row
from tomic.config import Settings
from tomic.errors import UsageError
from tomic.files import load_chain
from tomic.models import VolSnapshot
from tomic.present import scan
from tomic.quant import black_scholes, density, payoff, probability, smile
from tomic.strategies import propose
from tomic.strategies.pricing import board as boards, outlooks

DAYS = (dt.date(2025, 7, 18), dt.date(2025, 8, 15))
NOTHING = VolSnapshot(symbol="SPY", as_of=AS_OF)
SPX = "option_chain_SPX_20190513_160000.csv"
FORWARD, TAU = 100.0, 30 / 365
GOOD = smile.Smile(FORWARD, TAU, 0.996, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)


def skewed(score):
    """An index's smile: 18 % at the money, higher below."""
    return 0.18 * (1.0 - 0.08 * score + 0.01 * score**2)


def humped(score):
    """A stock before earnings: the volatility at the money stands above both shoulders."""
    return skewed(score) + 0.06 * np.exp(-0.5 * (score / 0.4) ** 2)


def european(curves, *, strikes=tuple(range(540, 661, 5)), half=0.05):
    """A chain of European options: to each expiry its volatility over standard deviations."""
    quotes = []
    for day, curve in zip(DAYS, curves, strict=False):
        one = [row(strike, right) for strike in strikes for right in "CP"]
        (tau,) = set(chain_of(*(q.model_copy(update={"expiry": day}) for q in one))["tau"].tolist())
        forward = SPOT * math.exp(RATE * tau)
        for quote in one:
            score = math.log(quote.strike / forward) / (0.18 * math.sqrt(tau))
            value = float(
                black_scholes.price(SPOT, quote.strike, tau, RATE, 0.0, curve(score), quote.right)
            )
            if value > 2.0 * half:
                sides = {"bid": value - half, "ask": value + half}
                quotes.append(quote.model_copy(update={"expiry": day, **sides}))
    return chain_of(*quotes, sec_type="IND")


def prepared(chain):
    return boards.prepare(chain, NOTHING, Settings())


def test_a_smile_that_fits_is_an_outlook():
    """Both expiries of an ordinary chain have one, and its volatility is the market's."""
    board = prepared(european([skewed, skewed]))

    assert tuple(board.outlooks) == DAYS
    assert not board.blind
    assert not board.unfit
    assert board.outlooks[DAYS[0]].atm_iv == pytest.approx(0.18, abs=0.001)


def test_a_hump_at_the_money_is_no_outlook():
    """Where no slice reaches the quotes at the money the expiry is blind, its neighbour is not."""
    board = prepared(european([humped, skewed]))

    assert tuple(board.outlooks) == DAYS[1:]
    assert set(board.blind) == set(board.unfit) == {DAYS[0]}
    assert "volatility points" in board.blind[DAYS[0]]


def test_nothing_is_computed_from_a_refused_smile():
    """No model value, no error, no volatility of 30 days: only what the quotes themselves say."""
    board = prepared(european([humped]))

    assert np.isnan(board.value).all()
    assert np.isnan(board.value_error).all()
    assert board.iv30 is None
    quoted = np.isfinite(board.chain["bid"])
    assert np.isfinite(board.delta[quoted]).any()
    assert np.max(board.iv[np.isfinite(board.iv)]) < 0.35


def test_a_refused_smile_does_not_hold_up_the_next():
    """The later expiry is fitted as if the earlier one were not there."""
    alone = prepared(european([skewed, skewed])).outlooks[DAYS[1]]
    both = prepared(european([lambda score: 1.6 * humped(score), skewed])).outlooks[DAYS[1]]

    assert both.atm_iv == pytest.approx(alone.atm_iv, abs=1e-4)
    assert both.smile.note == ""


def test_quotes_that_fall_from_one_expiry_to_the_next_are_kept():
    """The later smile stays with its quotes, and is said not to be free of arbitrage."""
    board = prepared(european([lambda score: 1.5 * skewed(score), lambda s: 0.9 * skewed(s)]))

    later = board.outlooks[DAYS[1]]
    assert later.atm_iv == pytest.approx(0.162, abs=0.002)
    assert not later.smile.arbitrage_free
    assert "total variance falls from the expiry before" in later.smile.note


@pytest.mark.parametrize("strikes", [(600,), (595, 605), (595, 600, 610)])
def test_fewer_than_four_strikes_are_no_outlook(strikes):
    """One to three strikes give no smile but a reason; Greeks are those of each option's mid."""
    board = prepared(european([skewed], strikes=strikes))

    assert not board.outlooks
    assert board.unfit[DAYS[0]] == (
        f"no smile: {len(strikes)} strikes with a usable quote, it takes 4"
    )
    assert np.isfinite(board.delta).all()
    assert np.isfinite(board.price).all()


def test_quotes_on_one_side_of_the_forward_are_no_outlook():
    """Nothing confirms what a smile says at the money when all strikes lie below it."""
    board = prepared(european([skewed], strikes=tuple(range(540, 600, 5))))

    assert "no quotes on both sides of the forward" in board.unfit[DAYS[0]]


def test_a_scan_says_which_expiries_it_did_not_search():
    """The note names symbol and expiry, the explanation says why, and so does each proposal."""
    result = propose.propose(european([skewed, humped]), NOTHING, strategies=["short_put_spread"])

    (note,) = (note for note in result.notes if "not searched" in note)
    assert note.startswith("SPY: ")
    assert str(DAYS[1]) in note
    assert str(DAYS[0]) not in note
    assert f"{DAYS[1]}: the fitted" in scan.explanation(result)
    assert [one.rule for one in result.rejected if one.kind == "no_data"] == [
        "expiry_without_smile"
    ]
    assert result.proposals
    for proposal in result.proposals:
        assert proposal.expiry == DAYS[0]
        assert any(f"{DAYS[1]} was not searched" in text for text in proposal.notes)


def test_a_trade_of_a_refused_expiry_is_explained():
    """`why-not` says that the expiry has no outlook, and why."""
    trade = f"short_put_spread 580/570 {DAYS[0]}"

    found = propose.explain_trade(european([humped]), NOTHING, trade)

    assert not found.accepted
    assert any("volatility points" in refusal.message for refusal in found.refusals)


def quotes_of(found, *, half_spread=0.001, shift=0.0):
    """Out-of-the-money quotes at a smile's volatilities plus *shift*, and its straddle."""
    strike = FORWARD * np.exp(np.linspace(-0.12, 0.09, 22))
    straddle = float(found.value(100.0, True) + found.value(100.0, False))
    return outlooks.NearMoney(
        strike, found.iv(strike) + shift, np.full(22, half_spread), 100.0, straddle, 0.02
    )


@pytest.mark.parametrize(
    ("miss", "half_spread", "refused"),
    [
        (0.0029, 0.0001, False),
        (0.0031, 0.0001, True),
        (-0.0031, 0.0001, True),
        (0.0079, 0.004, False),
        (0.0081, 0.004, True),
        (math.nan, 0.004, True),
    ],
)
def test_a_smile_may_miss_two_half_spreads_or_a_third_of_a_point(miss, half_spread, refused):
    """The larger of both is allowed at the money, in either direction."""
    fields = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    found = smile.Smile(**(fields | {"miss": miss}))
    market = quotes_of(GOOD, half_spread=half_spread)

    why = outlooks.smile_missed(found, market.strike, market.iv, market.half_spread)

    assert bool(why) is refused
    if miss == -0.0031:
        assert "0.31 volatility points below the quotes at the money, more than 0.30" in why


def test_half_of_the_quotes_near_the_money_must_be_met():
    """A curve that crosses the quotes at the forward alone is no smile of theirs."""
    fields = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    found = smile.Smile(**(fields | {"miss": 0.0}))
    market = quotes_of(GOOD, shift=0.01)

    why = outlooks.smile_missed(found, market.strike, market.iv, market.half_spread)

    assert "misses half of the quotes within one standard deviation" in why


def test_a_density_must_give_back_the_straddle():
    """Two points of volatility too wide, or a forward that is wrong, and the straddle tells."""
    fields = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    found = smile.Smile(**(fields | {"miss": 0.0}))
    market = quotes_of(GOOD)

    assert outlooks.disagreement(found, density.from_smile(found), market) == ""
    wide = density.lognormal(FORWARD, TAU, float(GOOD.iv(FORWARD)) + 0.02)
    assert "values the 100 straddle at" in outlooks.disagreement(found, wide, market)
    unknown = market._replace(straddle_strike=math.nan, straddle=math.nan)
    assert outlooks.disagreement(found, wide, unknown) == ""


def test_the_spx_chain_that_promised_thousands_is_valued_at_its_quotes():
    """SPX, 13 May 2019: puts at 40.5 were valued at 112.67, a backspread at EV +4,416, grade A."""
    path = recorded_chains.CASES / SPX
    if not path.exists():
        pytest.skip(f"no case at {path}")
    chain = load_chain(path, as_of=dt.datetime(2019, 5, 13, 20, 0, tzinfo=dt.UTC))

    result = propose.propose(chain, VolSnapshot(symbol="SPX", as_of=chain.as_of))

    board = boards.prepare(chain, VolSnapshot(symbol="SPX", as_of=chain.as_of), Settings())
    for day in chain.expiries:
        outlook = board.outlooks.get(day)
        assert (outlook is None) == (day in board.blind)
        if outlook is not None:
            assert abs(outlook.smile.miss) < 0.003
            assert outlook.atm_iv == pytest.approx(0.175, abs=0.01)
    backspreads = propose.propose(
        chain, VolSnapshot(symbol="SPX", as_of=chain.as_of), strategies=["put_backspread"]
    ).proposals
    assert backspreads
    for proposal in (*result.proposals, *backspreads):
        assert abs(proposal.ev_quotes) < 150.0


def test_a_picture_says_why_it_has_no_curve():
    """The plot of a refused expiry shows its quotes, and the title the reason."""
    pytest.importorskip("matplotlib")
    chain = european([humped, skewed])

    refused, fitted = (chain.plot_smile(day) for day in DAYS)

    assert "not fitted: the fitted smile" in refused.get_title(loc="left") + refused.get_title()
    assert "not fitted" not in fitted.get_title(loc="left") + fitted.get_title()
    assert "fit" not in refused.get_legend_handles_labels()[1]
    assert "fit" in fitted.get_legend_handles_labels()[1]


def test_a_density_of_ones_own_ranks_and_stands_beside_the_market():
    """Under it EV and PoS are those of a direct integral; the market's own figures stay."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.38, iv_rank=0.6, skew=-0.02)
    expiry = chain.expiries[0]
    tau = float(chain["tau"][chain["expiry"] == np.datetime64(expiry)][0])
    own = density.lognormal(108.0, tau, 0.25)
    strategies = ["short_put_spread", "short_call_spread"]

    plain = propose.propose(chain, vol, strategies=strategies)
    found = propose.propose(chain, vol, strategies=strategies, densities={expiry: own})

    best = next(trade for trade in found.proposals if trade.expiry == expiry)
    assert best.strategy == "short_put_spread"
    outlook = boards.prepare(chain, vol, Settings()).outlooks[expiry]
    shape = payoff.segments(
        np.array([[leg.strike for leg in best.legs]]),
        np.array([[leg.right for leg in best.legs]]),
        np.array([[leg.quantity for leg in best.legs]]),
        credit=best.credit,
        discount=outlook.discount,
        multiplier=100.0,
    )
    market = outlook.market
    moved = float((probability.ev(own, shape) - probability.ev(market, shape))[0])
    assert best.view.ev == pytest.approx(best.ev + moved, abs=1e-6)
    assert best.view.pos == pytest.approx(float(probability.pos(own, shape)[0]), abs=2e-3)
    assert best.view.volatility == pytest.approx(0.25 / 0.40, rel=0.1)
    assert best.view.drift == pytest.approx(np.log(108.0 / best.forward) / tau, rel=1e-6)
    same = {trade.trade: trade.ev for trade in plain.proposals}
    assert all(same.get(trade.trade, trade.ev) == trade.ev for trade in found.proposals)


def test_samples_are_a_density():
    """Prices of the underlying on that day, each equally likely, are taken as they are."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)
    board = boards.prepare(chain, random_chains.snapshot(chain), Settings())
    prices = 100.0 * np.exp(np.random.default_rng(2).normal(0.0, 0.1, 2000))

    changed = outlooks.with_own(board.outlooks, {chain.expiries[0]: prices}, 0.5)

    (outlook,) = changed.values()
    assert outlook.view.mean == pytest.approx(prices.mean(), rel=1e-3)
    assert outlook.is_own and outlook.trust == 0.5
    assert outlook.market is board.outlooks[chain.expiries[0]].market
    with pytest.raises(UsageError, match=r"made for 0\.5000 years"):
        own = density.lognormal(100.0, 0.5, 0.2)
        outlooks.with_own(board.outlooks, {chain.expiries[0]: own}, 1.0)
