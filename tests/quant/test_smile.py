"""The fitted smile: values, density and errors that agree, and fallbacks that keep the laws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support import index_smiles, recorded_chains
from support.properties import examples
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
    count=st.integers(4, 40),
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
    ("count", "kind"), [(4, "ssvi"), (5, "svi"), (6, "svi"), (7, "svi"), (8, "svi")]
)
def test_few_quotes_get_a_simpler_smile(count, kind):
    """Four strikes give three parameters, five give five; the note says so."""
    at = STRIKE[:: 60 // count][:count]

    found = smile.fit(at, TRUTH.iv(at), forward=FORWARD, tau=TAU)

    assert (found.kind, found.n) == (kind, count)
    assert bool(found.note) == (kind != "svi")
    assert found.arbitrage_free
    assert np.isnan(found.standard_error(500.0)) == (count == 5)


def test_five_strikes_hold_five_parameters():
    """The curve through five exact quotes is the smile that they came from, between them too."""
    at = FORWARD * np.exp(np.linspace(-0.12, 0.08, 5))

    found = smile.fit(at, TRUTH.iv(at), forward=FORWARD, tau=TAU)

    between = FORWARD * np.exp(np.linspace(-0.12, 0.08, 81))
    assert np.max(np.abs(found.iv(between) - TRUTH.iv(between))) < 1e-4


@pytest.mark.parametrize(
    ("at", "strikes"),
    [([480.0], 1), ([480.0, 500.0], 2), ([480.0, 500.0, 520.0], 3), ([480, 480, 500, 500, 520], 3)],
)
def test_fewer_than_four_strikes_are_no_smile(at, strikes):
    """A volatility made of so few was off by 12 to 42 points; calls and puts share a strike."""
    with pytest.raises(ValueError, match=f"usable strikes must be >= 4, got {strikes} from"):
        smile.fit(at, TRUTH.iv(at), forward=FORWARD, tau=TAU)


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
        ({"iv": [math.nan] * 60}, "usable strikes must be >= 4, got 0 from 60 quotes"),
        ({"iv": [0.2]}, "must have one shape"),
        ({"strike": [], "iv": []}, "usable strikes must be >= 4, got 0 from 0 quotes"),
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
    # The second expiry carries less variance than the first; the third is ordinary.
    chain, before = {}, None
    for years, scale in ((TAU, 1.0), (2 * TAU, math.sqrt(0.45)), (3 * TAU, 1.01)):
        iv = early.iv(STRIKE) * scale
        chain[years] = before = smile.fit(STRIKE, iv, forward=FORWARD, tau=years, floor=before)

    k = np.linspace(-0.15, 0.10, 200)
    curves = [fitted.total_variance(k) for fitted in chain.values()]
    assert list(chain) == sorted(chain)
    assert np.min(curves[1] - curves[0]) >= -1e-9
    assert np.min(curves[2] - curves[1]) >= -1e-9
    assert "total variance may not fall" in chain[2 * TAU].note
    assert chain[3 * TAU].note == ""
    assert all(fitted.arbitrage_free for fitted in chain.values())


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


def off(found, at_money):
    """Volatility points between a smile and the market at the money."""
    return 100.0 * abs(float(found.iv(found.forward)) - at_money)


def test_the_smile_goes_through_the_money_of_every_spx_expiry():
    """All 93 expiries of 5 to 75 days: at most one off by more than .5 points, none by 2."""
    for name in (recorded_chains.SPX_2018, recorded_chains.SPX_2019):
        if why := recorded_chains.missing(name):
            pytest.skip(why)
    misses = []

    for _, chain in recorded_chains.spx():
        for expiry in chain.expiries:
            quotes = recorded_chains.european_quotes(chain, expiry)
            found = smile.fit(
                quotes.strike,
                quotes.iv,
                weight=quotes.weight,
                forward=quotes.forward,
                tau=quotes.tau,
                discount=quotes.discount,
            )
            assert found.arbitrage_free
            misses.append(off(found, quotes.at_the_money()))

    assert len(misses) == 93
    assert sum(miss > 0.5 for miss in misses) <= 1
    assert max(misses) <= 2.0


def test_an_expiry_whose_start_was_illegal_is_fitted():
    """SPX, 28 days: 34.6 % at the money where the market has 17.6 was called free of arbitrage."""
    path = recorded_chains.CASES / "svi_misfit_SPX_20190513_28d.json"
    if not path.exists():
        pytest.skip(f"no case at {path}")
    case = json.loads(path.read_text())
    quotes = {name: np.array(case[name]) for name in ("strike", "iv", "weight")}

    found = smile.fit(**quotes, forward=case["forward"], tau=case["tau"])

    market = np.interp(case["forward"], quotes["strike"], quotes["iv"])
    assert market == pytest.approx(0.176, abs=0.001)
    assert off(found, market) < 0.3
    assert abs(found.miss) < 0.003
    assert found.rmse < 0.006


@pytest.mark.parametrize("seed", [0, 1])
def test_smooth_smiles_are_met_at_the_money(seed):
    """300 index-like smiles without noise, straight to exponential: none off by .5 points."""
    drawn = list(index_smiles.draw(300, seed))

    misses = [
        off(smile.fit(one.strike, one.iv, forward=one.forward, tau=one.tau), one.at_money)
        for one in drawn
    ]

    assert len(misses) == 300
    assert max(misses) < 0.5


def test_a_straight_smile_is_met_at_the_money():
    """Volatility falling by a fifth a deviation: 21.2 % was fitted where 18.0 was given."""
    score = np.linspace(-5.0, 1.5, 60)
    at = 100.0 * np.exp(score * 0.18 * math.sqrt(TAU))

    found = smile.fit(at, 0.18 * (1.0 - 0.2 * score), forward=100.0, tau=TAU)

    assert off(found, 0.18) < 0.05


def test_exact_slices_are_found_in_their_wings():
    """120 slices of every steepness come back within .05 points; one was off by 16 in a wing."""
    rng = np.random.default_rng(3)
    for _ in range(120):
        tau, level = rng.uniform(5, 75) / 365, rng.uniform(0.08, 0.6)
        deviation = level * math.sqrt(tau)
        put, call = deviation * rng.uniform(0.2, 1.2), deviation * rng.uniform(0.02, 0.6)
        m, sigma = deviation * rng.uniform(0.0, 0.8), deviation * rng.uniform(0.3, 1.5)
        b, tilt = 0.5 * (put + call), 0.5 * (call - put)
        a = 0.5 * deviation**2 - sigma * math.sqrt(put * call)
        truth = smile.Smile(100.0, tau, 1.0, a=a, b=b, rho=tilt / b, m=m, sigma=sigma)
        at = 100.0 * np.exp(np.linspace(-5.0, 2.0, 60) * deviation)
        if smile.butterfly(truth, np.linspace(-1.5, 1.5, 3001)).min() < 0.02:
            continue

        found = smile.fit(at, truth.iv(at), forward=100.0, tau=tau)

        assert 100.0 * np.max(np.abs(found.iv(at) - truth.iv(at))) < 0.05


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_wrong_quotes_leave_the_money_alone(share):
    """Every tenth quote off by up to a quarter moves the money by less than .5 points."""
    for seed in range(60):
        iv, weight = noisy(seed, wrong=int(60 * share))

        found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, weight=weight)

        assert off(found, float(TRUTH.iv(FORWARD))) < 0.5


def test_a_hump_is_missed_and_says_so():
    """No slice bends down at the money: `miss` has what an earnings hump is missed by."""
    score = np.linspace(-3.0, 3.0, 41)
    hump = 0.1 * np.exp(-0.5 * (score / 0.5) ** 2)
    at = 100.0 * np.exp(0.08 * score)

    found = smile.fit(at, 0.5 + hump, forward=100.0, tau=(0.08 / 0.5) ** 2)

    assert found.miss == pytest.approx(float(found.iv(100.0)) - 0.6, abs=1e-3)
    assert found.miss < -0.02
    assert found.note


def test_a_lost_start_is_given_up():
    """A start at a smile far from the quotes ends where a cold one does."""
    lost = smile.Smile(FORWARD, TAU, 1.0, a=0.9, b=0.4, rho=0.9, m=0.3, sigma=0.01)
    iv = TRUTH.iv(STRIKE)

    found = smile.fit(STRIKE, iv, forward=FORWARD, tau=TAU, previous=lost)

    assert_allclose(found.iv(STRIKE), iv, atol=5e-4)


def test_a_smile_that_nothing_confirms_has_no_miss():
    """Quotes on one side of the forward leave `miss` unknown."""
    below = STRIKE[STRIKE < FORWARD]

    assert math.isnan(smile.fit(below, TRUTH.iv(below), forward=FORWARD, tau=TAU).miss)


def test_a_chain_says_which_expiries_have_no_smile():
    """An expiry of three strikes is absent, and why is told; its neighbours keep their smiles."""
    at = np.concatenate([STRIKE[::20], STRIKE])
    tau = np.repeat([TAU, 2 * TAU], [3, 60])

    chain = smile.fit_chain(at, TRUTH.iv(at), tau=tau, forward=FORWARD)

    assert list(chain) == [2 * TAU]
    assert chain.missing == {TAU: "no smile: 3 strikes with a usable quote, it takes 4"}


def test_a_chain_skips_expiries_without_quotes():
    """An expiry whose quotes are all missing has no smile; the others keep theirs."""
    at, tau = np.tile(STRIKE, 2), np.repeat([TAU, 2 * TAU], 60)
    iv = np.tile(TRUTH.iv(STRIKE), 2)
    iv[:60] = math.nan

    chain = smile.fit_chain(at, iv, tau=tau, forward=np.repeat([500.0, 501.0], 60), discount=0.99)

    assert list(chain) == [2 * TAU]
    assert (chain[2 * TAU].forward, chain[2 * TAU].discount) == (501.0, 0.99)


def test_true_scatter_is_what_the_quotes_do_not_explain():
    """True distances of .03 under errors of .01 to .05 are found among 20,000, outliers or not."""
    rng = np.random.default_rng(1)
    error = rng.uniform(0.01, 0.05, 20_000)
    apart = rng.normal(0.0, 0.03, error.size) + rng.normal(0.0, error)
    apart[::20] = 5.0

    assert smile.true_scatter(apart, error) == pytest.approx(0.03, rel=0.12)
    assert smile.true_scatter(rng.normal(0.0, error), 1.3 * error) == 0.0


def test_nothing_known_is_nothing_true():
    """Without a usable quote there is nothing to believe."""
    assert smile.true_scatter([np.nan, 1.0], [1.0, np.nan]) == 0.0
    assert smile.true_scatter([], []) == 0.0
