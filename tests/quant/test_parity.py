"""Forwards and yields from put-call parity, European and American, and how tidy quotes are."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support import recorded_chains
from support.properties import examples
from tomic.quant import american, black_scholes, parity

NAN = math.nan


@pytest.mark.parametrize("index", [0, 1, 2])
def test_forwards_of_the_recorded_spy_chain(index):
    """Parity puts the June, July and August forwards at 594.9, 596.1 and 598.4 (± 0.3)."""
    if why := recorded_chains.missing("tomic_ib_SPY_20250519_2026cest.csv"):
        pytest.skip(why)
    e = recorded_chains.spy().expiries[index]

    found = parity.forward_from_parity(e.strike, e.call_mid, e.put_mid, 0.045, e.tau)

    assert found.forward == pytest.approx([594.9, 596.1, 598.4][index], abs=0.3)
    assert found.error < 0.2
    assert found.n >= 3


@examples(50)
@given(
    forward=st.floats(10.0, 5000.0),
    rate=st.floats(-0.02, 0.1),
    tau=st.floats(0.01, 3.0),
    sigma=st.floats(0.1, 0.8),
)
def test_parity_finds_the_forward_of_european_prices(forward, rate, tau, sigma):
    """Without noise every pair gives the same forward, so the median has no error."""
    strike = forward * np.linspace(0.7, 1.3, 25)
    call, put = (
        math.exp(-rate * tau)
        * black_scholes.undiscounted(forward, strike, sigma * math.sqrt(tau), is_call)
        for is_call in (True, False)
    )

    found = parity.forward_from_parity(strike, call, put, rate, tau)

    assert found.forward == pytest.approx(forward, rel=1e-10)
    assert found.error == pytest.approx(0.0, abs=1e-9 * forward)


def test_one_wrong_pair_does_not_move_the_forward():
    """The median shrugs off a quote that is ten off."""
    strike = np.arange(90.0, 111.0)
    call, put = 102.0 - strike + 20.0, np.full(21, 20.0)
    call[10] += 10.0

    assert parity.forward_from_parity(strike, call, put, 0.0, 0.1).forward == 102.0


def test_parity_without_pairs_is_missing():
    """Unquoted sides, negative prices and empty chains give no forward."""
    for call, put in (([NAN, 1.0], [1.0, NAN]), ([-1.0, 1.0], [1.0, -1.0]), ([], [])):
        found = parity.forward_from_parity([100.0, 101.0][: len(call)], call, put, 0.05, 0.1)
        assert math.isnan(found.forward)
        assert found.n == 0
    one = parity.forward_from_parity([100.0], [2.0], [1.0], 0.0, 0.1)
    assert (one.forward, one.n) == (101.0, 1)
    assert math.isnan(one.error)


def test_implied_yield_inverts_the_forward():
    """The yield carries spot to the forward; impossible inputs are missing."""
    forward = 100.0 * math.exp((0.045 - 0.013) * 0.5)

    assert parity.implied_yield(100.0, forward, 0.045, 0.5) == pytest.approx(0.013, rel=1e-12)
    assert math.isnan(parity.implied_yield(100.0, forward, 0.045, 0.0))
    assert math.isnan(parity.implied_yield(NAN, forward, 0.045, 0.5))


def test_parity_deviation_of_the_original():
    """Mids 6.1 and 5.1, spot 600.5, strike 600, 30 days: 1.9607."""
    assert parity.parity_deviation(6.1, 5.1, 600.5, 600.0, 30) == 1.9607
    # The sign is lost, and an expired pair is carried over no days.
    assert parity.parity_deviation(5.1, 8.0, 600.5, 600.0, 30) == 5.8607
    assert parity.parity_deviation(6.0, 5.0, 600.5, 600.0, -3) == 0.5


def test_parity_deviation_is_missing_with_a_quote():
    """A missing or negative mid leaves its row empty and no other."""
    off = parity.parity_deviation([6.1, NAN, 6.1, -0.5], [5.1, 5.1, -1.0, 5.1], 600.5, 600.0, 30)

    assert_allclose(off, [1.9607, NAN, NAN, NAN])


def test_average_parity_deviation_uses_the_first_expiry():
    """Later expiries do not count, not even when the first has no pair."""
    assert parity.average_parity_deviation([0.1, 0.2, NAN, 9.0], [10, 10, 10, 40]) == 0.15
    assert math.isnan(parity.average_parity_deviation([NAN, 9.0], [10, 40]))
    assert math.isnan(parity.average_parity_deviation([], []))


def american_quotes(spot, rate, div_yield, tau, *, sigma=0.25):
    strike = spot * np.linspace(0.9, 1.1, 21)
    market = (spot, strike, tau, rate, div_yield, sigma)
    return strike, american.price(*market, True), american.price(*market, False)


@pytest.mark.parametrize(
    ("rate", "div_yield", "tau"), [(0.045, 0.013, 0.25), (0.05, 0.0, 1.0), (0.02, 0.06, 0.5)]
)
def test_american_forward_takes_early_exercise_off(rate, div_yield, tau):
    """American prices give back spot e^((r - q) tau) to 2e-5, plain parity misses it by more."""
    quotes = american_quotes(500.0, rate, div_yield, tau)
    true = 500.0 * math.exp((rate - div_yield) * tau)

    plain = parity.forward_from_parity(*quotes, rate, tau)
    found = parity.american_forward(500.0, *quotes, rate, tau, rounds=4)

    assert found.forward == pytest.approx(true, rel=2e-5)
    assert abs(plain.forward - true) > 10 * abs(found.forward - true)
    assert found.error < plain.error


def test_american_forward_of_the_recorded_spy_chain():
    """Premiums are cents in June, half a dollar in August; pairs then agree better."""
    if why := recorded_chains.missing("tomic_ib_SPY_20250519_2026cest.csv"):
        pytest.skip(why)
    chain = recorded_chains.spy()

    for e, gain in zip(chain.expiries, [0.08, 0.21, 0.52], strict=True):
        quotes = (e.strike, e.call_mid, e.put_mid, chain.rate, e.tau)
        plain = parity.forward_from_parity(*quotes)
        found = parity.american_forward(chain.spot, *quotes)
        assert found.forward - plain.forward == pytest.approx(gain, abs=0.05)
        assert found.error < plain.error


def test_volatilities_from_these_forwards_agree_with_the_gateways_own():
    """Out of the money within .2 points of IB over the file, .4 in every expiry and side."""
    name = "tomic_ib_SPY_20250519_2026cest.csv"
    if why := recorded_chains.missing(name):
        pytest.skip(why)
    with (recorded_chains.DATA / name).open(newline="") as file:
        theirs = {
            (row["Expiry"], row["Type"], float(row["Strike"])): float(row["IV"])
            for row in csv.DictReader(file)
            if row["IV"]
        }
    chain = recorded_chains.spy()

    every = []
    for e in chain.expiries:
        market = (chain.rate, e.tau)
        forward = parity.american_forward(
            chain.spot, e.strike, e.call_mid, e.put_mid, *market
        ).forward
        div_yield = parity.implied_yield(chain.spot, forward, *market)
        for right, mid in (("C", e.call_mid), ("P", e.put_mid)):
            outside = (e.strike >= forward) == (right == "C")
            ours = american.implied_vol(
                mid[outside], chain.spot, e.strike[outside], e.tau, chain.rate, div_yield,
                right == "C",
            )  # fmt: skip
            ib = [theirs.get((e.name, right, k), NAN) for k in e.strike[outside].tolist()]
            off = np.abs(ours - ib)[np.isfinite(ours - ib)]
            every.append(off)
            assert off.size > 10
            assert np.median(off) <= 0.004

    assert np.median(np.concatenate(every)) <= 0.002


def test_american_forward_without_a_spot_is_the_plain_one():
    """Where spot is missing, or no pair has a volatility, parity is taken as it stands."""
    quotes = american_quotes(100.0, 0.05, 0.0, 0.5)
    plain = parity.forward_from_parity(*quotes, 0.05, 0.5)

    assert parity.american_forward(NAN, *quotes, 0.05, 0.5) == plain
    assert parity.american_forward(100.0, *quotes, 0.05, 0.5, rounds=0) == plain
    nothing = parity.american_forward(100.0, [100.0], [0.0], [0.0], 0.05, 0.5)
    assert (nothing.forward, nothing.n) == (100.0, 1)
    assert parity.american_forward(100.0, [], [], [], 0.05, 0.5).n == 0


def european_pairs(forward, rate, tau, strikes, *, sigma=0.18):
    """Strikes and the European prices of both sides."""
    strike = np.asarray(strikes, dtype=float)
    call, put = (
        math.exp(-rate * tau)
        * black_scholes.undiscounted(forward, strike, sigma * math.sqrt(tau), is_call)
        for is_call in (True, False)
    )
    return strike, call, put


@examples(50)
@given(
    forward=st.floats(50.0, 20_000.0),
    rate=st.floats(-0.02, 0.15),
    tau=st.floats(0.02, 3.0),
    sigma=st.floats(0.1, 0.9),
)
def test_the_slope_of_european_prices_is_their_discount_factor(forward, rate, tau, sigma):
    """Without noise discount, rate and forward come back, with no error to speak of."""
    reach = np.exp(sigma * math.sqrt(tau) * np.linspace(-2.0, 2.0, 101))
    quotes = european_pairs(forward, rate, tau, forward * reach, sigma=sigma)

    line = parity.discount_from_parity(*quotes)

    assert line.discount == pytest.approx(math.exp(-rate * tau), rel=1e-9)
    assert line.forward == pytest.approx(forward, rel=1e-9)
    assert line.rate(tau)[0] == pytest.approx(rate, abs=1e-6)
    assert line.error < 1e-8


@pytest.mark.parametrize(("days", "basis_points"), [(30, 20.0), (90, 7.0), (180, 3.5)])
def test_noisy_quotes_give_an_honest_error(days, basis_points):
    """With ten cents of noise in C - P the rate is off by about its stated standard error."""
    rng = np.random.default_rng(days)
    tau, scores, errors = days / 365.0, [], []
    for _ in range(60):
        strike, call, put = european_pairs(5000.0, 0.04, tau, np.arange(4000.0, 6000.0, 5.0))
        line = parity.discount_from_parity(strike, call + rng.normal(0.0, 0.1, strike.size), put)
        rate, error = line.rate(tau)
        scores.append((rate - 0.04) / error)
        errors.append(error)

    assert 0.7 < np.std(scores) < 1.4
    assert abs(np.mean(scores)) < 0.5
    assert 1e4 * np.median(errors) < basis_points


def test_wrong_quotes_leave_the_discount_factor_alone():
    """A tenth of the calls five off, all above the money: the rate moves by under 15 points."""
    tau, rng = 90 / 365.0, np.random.default_rng(7)
    strike, call, put = european_pairs(5000.0, 0.04, tau, np.arange(4500.0, 5500.0, 10.0))
    call = call + rng.normal(0.0, 0.05, strike.size)
    call[-20::2] += 5.0

    rate, _ = parity.discount_from_parity(strike, call, put).rate(tau)

    assert rate == pytest.approx(0.04, abs=0.0015)


def test_wide_quotes_weigh_less():
    """Where half of the pairs is quoted wide and wrong, their spread says so."""
    tau, rng = 90 / 365.0, np.random.default_rng(3)
    strike, call, put = european_pairs(5000.0, 0.04, tau, np.arange(4600.0, 5400.0, 10.0))
    wide = np.arange(strike.size) % 2 == 0
    noisy = call + np.where(wide, rng.normal(0.0, 4.0, strike.size), 0.0)
    spread = np.where(wide, 8.0, 0.2)

    blind = parity.discount_from_parity(strike, noisy, put).rate(tau)
    weighed = parity.discount_from_parity(strike, noisy, put, spread).rate(tau)

    assert weighed[0] == pytest.approx(0.04, abs=0.0005)
    assert weighed[1] < blind[1]


def test_a_line_needs_pairs():
    """Too few pairs, no spread of strikes, missing prices: no discount factor, and no error."""
    tau = 0.25
    few = european_pairs(100.0, 0.04, tau, [95.0, 100.0, 105.0])
    assert math.isnan(parity.discount_from_parity(*few).discount)
    assert parity.discount_from_parity(*few).n == 3
    same = np.full(20, 100.0)
    assert math.isnan(parity.discount_from_parity(same, same, same).discount)
    nothing = parity.discount_from_parity([], [], [])
    assert (nothing.n, math.isnan(nothing.error)) == (0, True)
    missing = np.full(20, NAN)
    assert parity.discount_from_parity(np.arange(20.0) + 90.0, missing, missing).n == 0
    assert all(map(math.isnan, parity.discount_from_parity([], [], []).rate(tau)))
    rising = np.arange(90.0, 111.0)
    assert math.isnan(parity.discount_from_parity(rising, rising, np.full(21, 1.0)).discount)
    with pytest.raises(ValueError, match="one shape"):
        parity.discount_from_parity([1.0, 2.0], [1.0], [1.0])


def test_the_order_of_strikes_does_not_matter():
    """Pairs may come in any order."""
    quotes = np.array(european_pairs(5000.0, 0.04, 0.25, np.arange(4600.0, 5400.0, 10.0)))
    shuffled = quotes[:, np.random.default_rng(1).permutation(quotes.shape[1])]

    assert parity.discount_from_parity(*shuffled) == parity.discount_from_parity(*quotes)


def test_american_options_imply_no_rate():
    """Early exercise bends their line by hundreds of basis points: why it is never used."""
    strike = 500.0 * np.linspace(0.95, 1.05, 41)
    market = (500.0, strike, 90 / 365.0, 0.04, 0.012, 0.18)

    line = parity.discount_from_parity(
        strike, american.price(*market, True), american.price(*market, False)
    )

    assert line.rate(90 / 365.0)[0] < 0.03


def test_pooled_rates_follow_the_sure_ones():
    """A sure rate stays where it is, an unsure one goes to its neighbours, one without joins."""
    tau = np.array([7, 30, 45, 60, 90, 180]) / 365.0
    rate = np.array([0.09, 0.041, 0.060, 0.0405, 0.040, NAN])
    error = np.array([0.02, 0.0005, 0.0100, 0.0003, 0.0001, NAN])

    pooled = parity.pooled_rates(tau, rate, error)

    assert pooled.rate[[1, 3, 4]] == pytest.approx([0.041, 0.0405, 0.040], abs=0.0005)
    assert pooled.rate[2] == pytest.approx(0.0408, abs=0.001)
    assert pooled.rate[0] == pytest.approx(0.0415, abs=0.003)
    assert pooled.rate[5] == pytest.approx(0.0395, abs=0.003)
    assert pooled.error[4] < pooled.error[0] < 0.01


def test_one_odd_rate_is_outvoted():
    """An expiry whose stale quotes look sure is drawn to the others, not they to it."""
    tau = np.array([30, 60, 90, 120, 150, 180]) / 365.0
    rate = np.array([0.040, 0.040, 0.080, 0.040, 0.040, 0.040])

    pooled = parity.pooled_rates(tau, rate, np.full(6, 0.0003))

    assert pooled.rate[[0, 1, 3, 4, 5]] == pytest.approx([0.04] * 5, abs=0.002)


def test_pooled_rates_of_nothing_are_missing():
    """Without a rate, or without time, there is none; a single one stands as it is."""
    assert np.isnan(parity.pooled_rates([0.1, 0.2], [NAN, NAN], [NAN, NAN]).rate).all()
    assert parity.pooled_rates([], [], []).rate.size == 0
    alone = parity.pooled_rates([0.1, 0.0], [0.03, 0.03], [0.001, 0.001])
    assert_allclose(alone.rate, [0.03, NAN])
    assert alone.error[0] == pytest.approx(0.001, rel=0.1)


def test_spx_expiries_imply_rates_that_agree():
    """2019: neighbours of 30 to 365 days with 80 strikes lie within 20 basis points."""
    if why := recorded_chains.missing(recorded_chains.SPX_2019):
        pytest.skip(why)
    steps, overnight = [], 0.024
    for name, chain in recorded_chains.spx(2, 800):
        if " 2019" not in name:
            continue
        years, lines, strikes = [], [], []
        for e in chain.expiries:
            quoted = (e.call_bid > 0.0) & (e.put_bid > 0.0)
            spread = e.call_ask - e.call_bid + e.put_ask - e.put_bid
            years.append(e.tau)
            strikes.append(np.count_nonzero(quoted))
            lines.append(
                parity.discount_from_parity(
                    e.strike[quoted], e.call_mid[quoted], e.put_mid[quoted], spread[quoted]
                ).rate(e.tau)
            )
        pooled = parity.pooled_rates(years, *np.array(lines).T).rate
        days = np.array([e.dte for e in chain.expiries])
        among = (days >= 30) & (days <= 365) & (np.array(strikes) >= 80)
        assert np.abs(pooled[among] - overnight).max() < 0.008
        steps.append(np.abs(np.diff(pooled[among])))

    every = np.concatenate(steps)
    assert len(steps) == 6
    assert every.size > 60
    assert 1e4 * every.max() < 20.0


@pytest.mark.parametrize("sides", [(True,), (False,), (True, False)])
def test_prices_and_volatilities_tell_their_forward(sides):
    """The future of 16.5 comes back from one side at 90 %, however far the strikes lie."""
    strike = np.array([10.0, 13.0, 16.0, 18.0, 20.0, 30.0, 60.0])
    k, call = (x.ravel() for x in np.broadcast_arrays(strike, np.array(sides)[:, None]))
    mid = math.exp(-0.045 * 0.08) * black_scholes.undiscounted(16.5, k, 0.9 * 0.08**0.5, call)

    found = parity.forward_from_volatility(k, mid, np.full(k.size, 0.9), call, 0.045, 0.08)

    assert found.forward == pytest.approx(16.5, rel=1e-9)
    assert found.error < 1e-8
    assert found.n >= 3


def test_impossible_prices_have_no_forward():
    """A put above its strike, a missing volatility, no time: nothing is implied."""
    for mid, iv, tau in ((120.0, 0.2, 0.1), (5.0, NAN, 0.1), (5.0, 0.2, 0.0), (0.0, 0.2, 0.1)):
        found = parity.forward_from_volatility([100.0], [mid], [iv], [False], 0.04, tau)
        assert (found.n, math.isnan(found.forward)) == (0, True)


def test_a_volatility_that_none_has_gives_no_forward_and_no_warning():
    """The exponential of what it would allow has no number."""
    strike = np.array([90.0, 100.0, 110.0])

    found = parity.forward_from_volatility(
        strike, strike, 1e6 * np.ones(3), np.ones(3, bool), 0.04, 1.0
    )

    assert math.isnan(found.forward) or found.forward > 0.0
