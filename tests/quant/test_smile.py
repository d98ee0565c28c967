"""The fitted smile: values, density and errors that agree, and fallbacks that keep the laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import recorded_chains
from properties import examples
from tomic.quant import american, black_scholes, parity, smile

TAU = 30 / 365
FORWARD = 500.0
TRUTH = smile.Smile(FORWARD, TAU, 0.996, a=0.0012, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
STRIKE = FORWARD * np.exp(np.linspace(-0.15, 0.10, 60))


def noisy(seed, *, wrong=3):
    """Volatilities off by half a spread, three of sixty by up to a quarter, and their weights."""
    rng = np.random.default_rng(seed)
    is_call = STRIKE > FORWARD
    half = 0.01 + 0.01 * TRUTH.value(STRIKE, is_call)
    error = 0.01 * half / TRUTH.vega(STRIKE)
    iv = TRUTH.iv(STRIKE) + rng.normal(0.0, error)
    bad = rng.choice(60, wrong, replace=False)
    iv[bad] *= 1.0 + rng.uniform(-0.25, 0.25, wrong)
    return iv, 0.01 / error


def moments(of):
    """Mass, mean and the least density, over every price from e^-650 to e^650 forwards."""
    # Densest where the smile bends and where the mass is; k is the variable of integration.
    width = min(of.sigma, math.sqrt(float(of.total_variance(0.0))))
    end = math.asinh(650.0 / width)
    k = of.m + width * np.sinh(np.linspace(-end, end, 40_001))
    k = np.union1d(k[np.abs(k) <= 650.0], np.linspace(-3.0, 3.0, 20_001))
    price = of.forward * np.exp(k)
    density = of.density(price)
    return np.trapezoid(density * price, k), np.trapezoid(density * price * price, k), density.min()


def test_exact_quotes_give_back_the_smile():
    """Without noise the fit reproduces every quote to a hundredth of a basis point."""
    found = smile.fit(STRIKE, TRUTH.iv(STRIKE), forward=FORWARD, tau=TAU)

    assert_allclose(found.iv(STRIKE), TRUTH.iv(STRIKE), rtol=1e-5)
    assert (found.kind, found.n, found.note, found.arbitrage_free) == ("svi", 60, "", True)
    assert found.span == pytest.approx((-0.15, 0.10))


def test_wrong_quotes_hardly_move_the_smile():
    """Median error of 100 fits to half-spread noise and three wrong quotes: under .06 points."""
    errors = []
    for seed in range(100):
        iv, weight = noisy(seed)
        found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)
        errors.append(100 * np.sqrt(np.mean((found.iv(STRIKE) - TRUTH.iv(STRIKE)) ** 2)))
        assert found.arbitrage_free
        assert smile.butterfly(found, np.linspace(-0.5, 0.5, 2001)).min() >= 0.0

    assert np.median(errors) <= 0.06


def test_standard_errors_are_honest():
    """Over 100 fits the error of the fitted volatility is its stated standard error, on average."""
    middle = STRIKE[5:55]
    ratios = []
    for seed in range(100):
        iv, weight = noisy(seed, wrong=0)
        found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)
        ratios.append((found.iv(middle) - TRUTH.iv(middle)) / found.standard_error(middle))

    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1.0, abs=0.2)


def test_a_smile_starts_from_the_one_before():
    """A warm start ends where a cold one does."""
    iv, weight = noisy(7)
    cold = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)

    warm = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight, previous=cold)

    assert_allclose(warm.iv(STRIKE), cold.iv(STRIKE), atol=2e-4)
    flat = smile.flat(0.2, forward=FORWARD, tau=TAU)
    again = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight, previous=flat)
    assert_allclose(again.iv(STRIKE), cold.iv(STRIKE), rtol=1e-12)


def test_value_is_black_at_the_smile():
    """Value equals the discounted Black price at iv, and calls less puts the discounted forward."""
    call, put = TRUTH.value(STRIKE, True), TRUTH.value(STRIKE, False)

    black = black_scholes.undiscounted(FORWARD, STRIKE, TRUTH.iv(STRIKE) * math.sqrt(TAU), True)
    assert_allclose(call, 0.996 * black, rtol=1e-12)
    assert_allclose(call - put, 0.996 * (FORWARD - STRIKE), atol=1e-10)


def test_vega_is_the_slope_of_the_value():
    """Vega is the change of Black's price for a hundredth of volatility."""
    root = math.sqrt(TAU)
    up, down = (
        black_scholes.undiscounted(FORWARD, STRIKE, (TRUTH.iv(STRIKE) + h) * root, True)
        for h in (1e-5, -1e-5)
    )

    assert_allclose(TRUTH.vega(STRIKE), 0.996 * (up - down) / 2e-5 * 0.01, rtol=1e-6)


def test_distribution_is_the_slope_of_the_values():
    """P(S <= K) = 1 + dC/dK and density = d2C/dK2, both undiscounted (Breeden, Litzenberger)."""
    h = 0.02
    up, at, down = (TRUTH.value(STRIKE + d, True) / 0.996 for d in (h, 0.0, -h))

    assert_allclose(TRUTH.cdf(STRIKE), 1.0 + (up - down) / (2 * h), atol=1e-6)
    assert_allclose(TRUTH.density(STRIKE), (up - 2 * at + down) / h**2, rtol=1e-4, atol=1e-8)


def test_distribution_at_the_edges():
    """Nothing lies at or below zero, everything below infinity; missing stays missing."""
    price = [-1.0, 0.0, math.inf, math.nan]

    assert_allclose(TRUTH.cdf(price), [0.0, 0.0, 1.0, math.nan])
    assert_allclose(TRUTH.density(price), [0.0, 0.0, 0.0, math.nan])


def test_quantiles_invert_the_distribution():
    """The price at a probability has that probability below it."""
    probability = np.array([1e-4, 0.1587, 0.5, 0.8413, 0.9999])

    assert_allclose(TRUTH.cdf(TRUTH.quantile(probability)), probability, rtol=1e-9)
    assert np.isnan(TRUTH.quantile([0.0, 1.0, math.nan, 2.0])).all()


def test_flat_smile_is_lognormal():
    """One volatility gives the lognormal distribution around the forward."""
    flat = smile.flat(0.2, forward=100.0, tau=0.25, discount=0.99)

    assert_allclose(flat.iv([50.0, 100.0, 200.0]), 0.2, rtol=1e-14)
    assert flat.cdf(100.0) == pytest.approx(0.5199388058, abs=1e-9)  # N(0.05)
    assert_allclose(moments(flat)[:2], [1.0, 100.0], rtol=1e-6)


@examples(40)
@given(
    seed=st.integers(0, 100_000),
    count=st.integers(1, 40),
    days=st.integers(1, 700),
    level=st.floats(0.08, 1.2),
    wildness=st.floats(0.0, 0.5),
)
def test_every_fit_is_a_distribution(seed, count, days, level, wildness):
    """However wild the quotes: density >= 0, mass one, mean the forward."""
    rng = np.random.default_rng(seed)
    tau = days / 365
    k = np.sort(rng.normal(0.0, 1.5 * level * math.sqrt(tau), count))
    iv = level * np.exp(rng.normal(0.0, wildness, count) - 0.3 * k)

    found = smile.fit(100.0 * np.exp(k), iv, forward=100.0, tau=tau)

    mass, mean, least = moments(found)
    assert found.arbitrage_free
    assert least >= 0.0
    assert mass == pytest.approx(1.0, abs=1e-5)
    assert mean == pytest.approx(100.0, rel=1e-4)
    k = np.linspace(-3, 3, 2001) * level * math.sqrt(tau)
    assert smile.butterfly(found, k).min() >= -1e-9
    assert np.diff(found.cdf(100.0 * np.exp(k))).min() >= -1e-12


@pytest.mark.parametrize(
    ("count", "kind"), [(1, "flat"), (2, "flat"), (3, "ssvi"), (7, "ssvi"), (8, "svi")]
)
def test_few_quotes_get_a_simpler_smile(count, kind):
    """One or two strikes give one volatility, three to seven three parameters; the note says so."""
    at = STRIKE[:: 60 // count][:count]

    found = smile.fit(at, TRUTH.iv(at), forward=FORWARD, tau=TAU)

    assert (found.kind, found.n) == (kind, count)
    assert bool(found.note) == (kind != "svi")
    assert found.arbitrage_free
    if count < 4:
        assert np.isnan(found.standard_error(500.0))


def test_one_quote_is_its_own_smile():
    """A single quote gives its volatility everywhere."""
    found = smile.fit([480.0], [0.31], forward=FORWARD, tau=TAU)

    assert_allclose(found.iv([300.0, 480.0, 900.0]), 0.31, rtol=1e-12)


def test_quotes_with_arbitrage_are_fitted_without_it():
    """Vogt's slice has a negative density; a fit to its quotes does not, and its note says why."""
    vogt = smile.Smile(100.0, 1.0, 1.0, a=-0.041, b=0.1331, rho=0.306, m=0.3586, sigma=0.4153)
    at = 100.0 * np.exp(np.linspace(-1.5, 1.5, 60))
    assert smile.butterfly(vogt, 0.879) < -0.03

    found = smile.fit(at, vogt.iv(at), forward=100.0, tau=1.0)

    assert found.arbitrage_free
    assert "density" in found.note or "arbitrage" in found.note
    assert smile.butterfly(found, np.linspace(-2, 2, 4001)).min() >= 0.0
    assert np.max(np.abs(found.iv(at) - vogt.iv(at))) < 0.03


def test_unusable_quotes_are_left_out():
    """NaN, zero and negative volatilities, strikes and weights do not count."""
    iv, weight = TRUTH.iv(STRIKE), np.ones(60)
    at = STRIKE.copy()
    iv[0], iv[1], at[2], weight[3], weight[4] = math.nan, -0.2, 0.0, 0.0, math.nan

    found = smile.fit(at, iv, forward=FORWARD, tau=TAU, weight=weight)

    assert found.n == 55
    assert_allclose(found.iv(STRIKE), TRUTH.iv(STRIKE), rtol=1e-5)


def test_missing_strikes_stay_missing():
    """A strike that is NaN or not positive has no volatility, value or error."""
    at = [math.nan, 0.0, -5.0, math.inf, 500.0]

    for answer in (TRUTH.iv(at), TRUTH.value(at, True), TRUTH.vega(at)):
        assert np.isnan(answer[:4]).all()
        assert np.isfinite(answer[4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forward": 0.0}, "forward must be > 0, got 0"),
        ({"tau": -0.1}, "tau must be > 0, got -0.1"),
        ({"discount": math.nan}, "discount must be > 0, got nan"),
        ({"iv": [math.nan] * 60}, "usable quotes must be >= 1, got 0 of 60"),
        ({"iv": [0.2]}, "must have one shape"),
        ({"strike": [], "iv": []}, "usable quotes must be >= 1, got 0 of 0"),
    ],
)
def test_impossible_markets_are_refused(change, message):
    """The error names the inequality that failed."""
    given_market = {"strike": STRIKE, "iv": TRUTH.iv(STRIKE), "forward": FORWARD, "tau": TAU}

    with pytest.raises(ValueError, match=message):
        smile.fit(**(given_market | change))


def test_weights_are_vega_over_half_the_spread():
    """A quote with twice the spread counts half; without a bid, or crossed, not at all."""
    weight = smile.quote_weights(
        [100.0, 100.0, 100.0, 100.0, 100.0, -1.0, 100.0],
        [1.0, 1.0, 0.0, 1.2, 1.0, 1.0, -1.0],
        [1.1, 1.2, 0.1, 1.1, math.nan, 1.1, 0.05],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    )

    assert_allclose(weight, [2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], rtol=1e-12)


def test_a_locked_quote_does_not_rule():
    """A stale market without a spread counts for at most four ordinary quotes."""
    iv, weight = TRUTH.iv(STRIKE), np.ones(60)
    iv[40] *= 1.15
    weight[40] = 1e6

    found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)

    assert np.max(np.abs(found.iv(STRIKE) - TRUTH.iv(STRIKE))) < 0.005


def test_residuals_show_the_quote_that_does_not_belong():
    """Residual is price less value; one option 20 % too dear stands out, its neighbours do not."""
    iv, weight = noisy(11, wrong=0)
    iv[20] *= 1.2
    is_call = STRIKE > FORWARD
    price = black_scholes.undiscounted(FORWARD, STRIKE, iv * math.sqrt(TAU), is_call)
    found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)

    against = smile.residuals(found, STRIKE, price, is_call)

    assert_allclose(against.value + against.residual, price, rtol=1e-12)
    score = against.residual / against.error
    assert score[20] > 10
    assert np.sort(np.abs(score))[-2] < 6
    assert np.median(np.abs(score)) < 1.5


def test_total_variance_never_falls_along_a_chain():
    """Quotes of a later expiry below the earlier one are raised to it, and the note says so."""
    early = smile.Smile(FORWARD, TAU, 1.0, a=0.004, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
    at = np.concatenate([STRIKE, STRIKE, STRIKE])
    tau = np.repeat([TAU, 2 * TAU, 3 * TAU], 60)
    # The second expiry carries less variance than the first; the third is ordinary.
    iv = np.concatenate(
        [early.iv(STRIKE), early.iv(STRIKE) * math.sqrt(0.45), early.iv(STRIKE) * 1.01]
    )

    chain = smile.fit_chain(at, iv, tau=tau, forward=FORWARD)

    k = np.linspace(-0.15, 0.10, 200)
    curves = [fitted.total_variance(k) for fitted in chain.values()]
    assert list(chain) == sorted(chain)
    assert np.min(curves[1] - curves[0]) >= -1e-9
    assert np.min(curves[2] - curves[1]) >= -1e-9
    assert "total variance may not fall" in chain[2 * TAU].note
    assert chain[3 * TAU].note == ""
    assert all(fitted.arbitrage_free for fitted in chain.values())


def test_a_chain_skips_expiries_without_quotes():
    """An expiry whose quotes are all missing has no smile; the others keep theirs."""
    at, tau = np.tile(STRIKE, 2), np.repeat([TAU, 2 * TAU], 60)
    iv = np.tile(TRUTH.iv(STRIKE), 2)
    iv[:60] = math.nan

    chain = smile.fit_chain(at, iv, tau=tau, forward=np.repeat([500.0, 501.0], 60), discount=0.99)

    assert list(chain) == [2 * TAU]
    assert (chain[2 * TAU].forward, chain[2 * TAU].discount) == (501.0, 0.99)


def recorded_smiles(chain):
    """A smile per expiry from the out-of-the-money side, with its quotes in half-spreads."""
    before = None
    for e in chain.expiries:
        quotes = (e.strike, e.call_mid, e.put_mid)
        found = parity.american_forward(chain.spot, *quotes, chain.rate, e.tau)
        is_call = e.strike >= found.forward
        bid, ask = np.where(is_call, [e.call_bid, e.call_ask], [e.put_bid, e.put_ask])
        div_yield = parity.implied_yield(chain.spot, found.forward, chain.rate, e.tau)
        market = (chain.spot, e.strike, e.tau, chain.rate, div_yield)
        iv = american.implied_vol((bid + ask) / 2, *market, is_call)
        vega = black_scholes.greeks(*market, np.nan_to_num(iv, nan=0.3), is_call).vega
        weight = smile.quote_weights(e.strike, bid, ask, vega)
        before = smile.fit(
            e.strike,
            iv,
            forward=found.forward,
            tau=e.tau,
            weight=weight,
            discount=math.exp(-chain.rate * e.tau),
            floor=before,
        )
        used = (weight > 0) & np.isfinite(iv)
        european = black_scholes.price(*market, np.nan_to_num(iv), is_call)
        miss = (european - before.value(e.strike, is_call))[used]
        yield e, before, miss / np.maximum((ask - bid)[used] / 2, 0.005)


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("spy", "tomic_ib_SPY_20250519_2026cest.csv", 3),
        ("goog", "lean_GOOG_20151224_eod_chain.csv", 11),
    ],
)
def test_recorded_chains_are_fitted(name, file, count):
    """Every expiry gets a smile without arbitrage; the median quote is within half its spread."""
    if why := recorded_chains.missing(file):
        pytest.skip(why)

    fitted = list(recorded_smiles(getattr(recorded_chains, name)()))

    assert len(fitted) == count
    for expiry, found, miss in fitted:
        assert found.kind in ("svi", "ssvi"), expiry.name
        assert found.arbitrage_free
        assert np.median(np.abs(miss)) < 1.0, expiry.name
