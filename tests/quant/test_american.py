"""American options: exact references, bounds, limits, Greeks, dividends, de-Americanised IV."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from support.properties import examples
from tomic.quant import american, american_boundary, black_scholes, implied
from tomic.quant.american import Dividends
from tomic.quant.implied import Reason

SPOT, RATE, DIV_YIELD = 500.0, 0.045, 0.013
TODAY = ql.Date(1, 1, 2024)
DAY_COUNT = ql.Actual365Fixed()


def quantlib_process(spot, rate, div_yield, vol):
    ql.Settings.instance().evaluationDate = TODAY
    curve = [
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, x, DAY_COUNT)) for x in (rate, div_yield)
    ]
    surface = ql.BlackConstantVol(TODAY, ql.NullCalendar(), ql.QuoteHandle(vol), DAY_COUNT)
    return ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        curve[1],
        curve[0],
        ql.BlackVolTermStructureHandle(surface),
    )


def quantlib_option(strike, days, is_call):
    side = ql.Option.Call if is_call else ql.Option.Put
    payoff = ql.PlainVanillaPayoff(side, float(strike))
    return ql.VanillaOption(payoff, ql.AmericanExercise(TODAY, TODAY + int(days)))


def quantlib_prices(strikes, days, rate, div_yield, sigmas, is_call):
    """QuantLib's high-precision fixed-point engine, one option at a time."""
    vol = ql.SimpleQuote(0.2)
    process = quantlib_process(SPOT, rate, div_yield, vol)
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
    values = []
    for strike, sigma, call in zip(strikes, sigmas, is_call, strict=True):
        vol.setValue(float(sigma))
        option = quantlib_option(strike, days, call)
        option.setPricingEngine(engine)
        values.append(option.NPV())
    return np.array(values)


def options(days, n, seed=5):
    """Strikes within two standard deviations, volatilities of 10 to 80 %, both sides."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.1, 0.8, n)
    strike = SPOT * np.exp(rng.uniform(-2.0, 2.0, n) * sigma * np.sqrt(days / 365.0))
    return strike, sigma, rng.random(n) > 0.5


@pytest.fixture(scope="module")
def chain():
    """Ten expiries of a hundred strikes and two sides under a sloping smile."""
    tau = np.repeat(np.linspace(7.0, 730.0, 10).round() / 365.0, 200)
    width = np.tile(np.repeat(np.linspace(-2.0, 2.0, 100), 2), 10)
    strike = SPOT * np.exp(width * 0.25 * np.sqrt(tau))
    is_call = np.tile([True, False], 1000)
    sigma = 0.25 - 0.1 * np.log(strike / SPOT)
    value = american.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)
    return strike, tau, sigma, is_call, value


@pytest.mark.parametrize("days", [7, 30, 91, 365, 730])
def test_within_a_millionth_of_spot(days):
    """Prices differ from QuantLib's high-precision engine by less than a millionth of spot."""
    strike, sigma, is_call = options(days, 24)

    ours = american.price(SPOT, strike, days / 365.0, RATE, DIV_YIELD, sigma, is_call)

    exact = quantlib_prices(strike, days, RATE, DIV_YIELD, sigma, is_call)
    assert_allclose(ours, exact, atol=1e-6 * SPOT, rtol=0)


@pytest.mark.parametrize(
    ("rate", "div_yield"),
    [(0.0, 0.03), (0.0, -0.03), (0.02, -0.02), (0.1, 0.1), (0.01, 0.12), (0.3, 0.0), (-0.01, 0.02)],
)
def test_any_rates(rate, div_yield):
    """The same precision for zero, negative and large rates and yields, calls and puts."""
    strike, sigma, is_call = options(180, 14, seed=8)

    ours = american.price(SPOT, strike, 180 / 365.0, rate, div_yield, sigma, is_call)

    # QuantLib's engine knows non-negative rates of the put form only; elsewhere waiting is free.
    with_engine = np.where(is_call, div_yield, rate) >= 0.0
    exact = black_scholes.price(SPOT, strike, 180 / 365.0, rate, div_yield, sigma, is_call)
    exact[with_engine] = quantlib_prices(
        strike[with_engine], 180, rate, div_yield, sigma[with_engine], is_call[with_engine]
    )
    assert_allclose(ours, exact, atol=2e-6 * SPOT, rtol=0)


@pytest.mark.parametrize(
    ("rate", "div_yield", "is_call"), [(-0.01, -0.04, False), (-0.04, -0.01, True)]
)
def test_two_boundaries(rate, div_yield, is_call):
    """Where exercise pays between two prices only, a finite-difference engine agrees."""
    strikes = np.array([420.0, 480.0, 520.0, 600.0])
    process = quantlib_process(SPOT, rate, div_yield, ql.SimpleQuote(0.15))
    engine = ql.FdBlackScholesVanillaEngine(process, 600, 1200)

    ours = american.price(SPOT, strikes, 1.0, rate, div_yield, 0.15, is_call)

    for strike, value in zip(strikes, ours, strict=True):
        option = quantlib_option(strike, 365, is_call)
        option.setPricingEngine(engine)
        assert value == pytest.approx(option.NPV(), abs=0.02)


def test_call_without_yield_is_european():
    """Without dividends a call is never exercised early: the premium is exactly zero."""
    strike = np.linspace(300.0, 700.0, 41)

    extra = american.premium(SPOT, strike, 0.5, RATE, 0.0, 0.3, True)

    assert_array_equal(extra, 0.0)


def test_put_call_symmetry():
    """A call is a put with spot and strike, and rate and yield, exchanged."""
    strike = np.linspace(400.0, 600.0, 21)

    call = american.price(SPOT, strike, 0.7, RATE, DIV_YIELD, 0.25, True)

    put = american.price(strike, SPOT, 0.7, DIV_YIELD, RATE, 0.25, False)
    assert_allclose(call, put, rtol=1e-13)


@examples(40)
@given(
    st.floats(0.02, 2.0),
    st.floats(-0.02, 0.1),
    st.floats(-0.02, 0.1),
    st.floats(0.05, 1.2),
    st.booleans(),
)
def test_bounds_monotone_convex(tau, rate, div_yield, sigma, is_call):
    """American >= European >= 0, American >= intrinsic, monotone and convex in the strike."""
    if (own := div_yield if is_call else rate) < 0.0 and (rate + div_yield - own) < own:
        rate = div_yield = -0.01  # two boundaries are tested apart: a lattice is not convex to 1e-9
    strike = np.linspace(250.0, 900.0, 40)

    value = american.price(SPOT, strike, tau, rate, div_yield, sigma, is_call)

    sign = 1.0 if is_call else -1.0
    noise = 1e-6 * SPOT
    assert np.all(value >= black_scholes.price(SPOT, strike, tau, rate, div_yield, sigma, is_call))
    assert np.all(value >= sign * (SPOT - strike))
    assert np.all(-sign * np.diff(value) >= -noise)
    assert np.all(np.diff(value, 2) >= -noise)


def test_boundary_is_where_value_meets_intrinsic():
    """At the critical price the value touches intrinsic; just above it holding is worth more."""
    table = american_boundary.solve(0.5, RATE, DIV_YIELD)
    critical = float(np.exp(table.deepest(np.array([0.3]))[0]))

    at, above = american.price([critical, critical * 1.02], 1.0, 0.5, RATE, DIV_YIELD, 0.3, False)

    assert at == pytest.approx(1.0 - critical, abs=1e-7)
    assert above > 1.0 - critical * 1.02 + 1e-5


def test_boundary_is_kept_until_something_changes():
    """A second call with the same expiry solves nothing; another yield does."""
    american_boundary.solve.cache_clear()

    for div_yield in (0.013, 0.013, 0.014):
        american.price(SPOT, [490.0, 510.0], 0.25, RATE, div_yield, [0.2, 0.3], False)

    info = american_boundary.solve.cache_info()
    assert (info.misses, info.hits) == (2, 1)
    assert info.maxsize == american_boundary.CACHED_BOUNDARIES


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_are_finite_differences(is_call):
    """Greeks equal central differences of the price, away from and near the boundary."""
    strike = np.array([430.0, 470.0, 500.0, 540.0, 570.0])
    market = {"spot": SPOT, "tau": 0.6, "rate": 0.06, "div_yield": 0.05, "sigma": 0.25}

    def price(**change):
        moved = market | change
        return american.price(
            moved["spot"], strike, moved["tau"], moved["rate"], moved["div_yield"],
            moved["sigma"], is_call, resolution=american_boundary.FINE,
        )  # fmt: skip

    def slope(name, step):
        up, down = (price(**{name: market[name] + h}) for h in (step, -step))
        return (up - down) / (2.0 * step)

    ours = american.greeks(SPOT, strike, 0.6, 0.06, 0.05, 0.25, is_call)

    curve = (price(spot=SPOT + 0.1) - 2.0 * price() + price(spot=SPOT - 0.1)) / 0.01
    assert_allclose(ours.price, price(), atol=1e-6 * SPOT)
    assert_allclose(ours.delta, slope("spot", 0.1), atol=2e-5)
    assert_allclose(ours.gamma, curve, atol=2e-5)
    assert_allclose(ours.vega, slope("sigma", 1e-4) / 100.0, atol=2e-4)
    assert_allclose(ours.theta, -slope("tau", 1e-4) / 365.0, atol=2e-4)
    assert_allclose(ours.rho, slope("rate", 1e-4) / 100.0, atol=4e-3)


def test_exercised_option_is_stock():
    """Beyond the boundary the price is intrinsic, delta that of the stock, the rest zero."""
    put = american.greeks(300.0, 500.0, 1.0, 0.05, 0.0, 0.2, False)
    call = american.greeks(500.0, 300.0, 1.0, 0.0, 0.08, 0.15, True)

    assert_allclose(put, [200.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    assert_allclose(call, [200.0, 1.0, 0.0, 0.0, 0.0, 0.0])


def test_put_on_a_worthless_share_is_exercised():
    """At a spot of zero interest makes waiting dear, and the put is stock; without it, it waits."""
    due = american.greeks(0.0, 100.0, 1.0, 0.05, 0.0, 0.2, False)
    held = american.greeks(0.0, 100.0, 1.0, 0.0, 0.0, 0.2, False)

    assert_allclose(due, [100.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    assert_allclose(held, [100.0, -1.0, 0.0, 0.0, 0.0, -1.0])


def test_no_price_is_negative_zero():
    """An option at its strike that can pay nothing is worth plain zero."""
    found = american.greeks(100.0, 100.0, 0.0, 0.05, 0.0, 0.2, False)

    assert not np.signbit(found.price)


def test_edges():
    """Expired is intrinsic, zero volatility the best deterministic exercise, NaN stays NaN."""
    expired = american.price([90.0, 110.0], 100.0, [0.0, -1.0], 0.05, 0.02, 0.2, False)
    calm_put = american.price(90.0, 100.0, 1.0, 0.05, 0.0, 0.0, False)
    calm_call = american.price(110.0, 100.0, 1.0, 0.0, 0.06, 0.0, True)
    worthless = american.price(0.0, 100.0, 1.0, 0.05, 0.0, 0.3, False)
    missing = american.price([np.nan, 100.0], 100.0, 1.0, 0.05, 0.0, [0.2, np.nan], False)

    assert_allclose(expired, [10.0, 0.0])
    assert calm_put == pytest.approx(10.0)
    assert calm_call == pytest.approx(10.0)
    assert worthless == pytest.approx(100.0)
    assert np.all(np.isnan(missing))


def test_zero_volatility_is_the_limit():
    """Tiny volatilities, priced on boundaries of their own band, lead up to the riskless value."""
    limit = american.price(102.0, 100.0, 2.0, 0.02, 0.05, 0.0, False)

    near = american.price(102.0, 100.0, 2.0, 0.02, 0.05, [1e-4, 1e-3, 0.01], False)

    assert_allclose(near, limit, atol=2e-3)


def test_mixed_expiries_in_one_call():
    """Options of several expiries, sides and volatility bands price as they do alone."""
    rng = np.random.default_rng(2)
    tau = rng.choice([0.1, 0.25, 1.0], 60)
    sigma = rng.choice([0.02, 0.3, 3.0], 60)
    is_call = rng.random(60) > 0.5
    strike = rng.uniform(400.0, 600.0, 60)

    together = american.price(SPOT, strike, tau, RATE, 0.06, sigma, is_call)

    alone = [
        float(american.price(SPOT, k, t, RATE, 0.06, v, c))
        for k, t, v, c in zip(strike, tau, sigma, is_call, strict=True)
    ]
    assert_allclose(together, alone, rtol=1e-12, atol=1e-9)


def test_shapes_and_wrong_arguments():
    """Scalars give a 0-d array, empty arrays an empty one; impossible arguments are named."""
    assert american.price(100.0, 95.0, 0.5, 0.04, 0.01, 0.2, True).shape == ()
    assert american.greeks([], 95.0, 0.5, 0.04, 0.01, 0.2, True).delta.shape == (0,)
    assert american.price(np.ones((2, 1)), [1.0, 2.0, 3.0], 1.0, 0.0, 0.0, 0.2, True).shape == (
        2,
        3,
    )
    with pytest.raises(ValueError, match=r"sigma must be >= 0, got -0\.2 at index 1"):
        american.price(100.0, 95.0, 0.5, 0.04, 0.01, [0.2, -0.2], True)


def test_de_americanised_chain_out_of_the_money(chain):
    """Out of the money the volatility of all 1,000 quotes comes back within 5e-5 of itself."""
    strike, tau, sigma, is_call, value = chain

    got = american.solve(value, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    otm = is_call == (strike > SPOT)
    assert_array_equal(got.reason[otm], Reason.OK)
    assert_allclose(got.sigma[otm], sigma[otm], rtol=1e-8)


def test_in_the_money_is_right_or_absent(chain):
    """In the money the answer is right, or NaN with a reason where exercise is near."""
    strike, tau, sigma, is_call, value = chain
    itm = is_call != (strike > SPOT)

    got = american.solve(value, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    found = itm & (got.reason == Reason.OK)
    assert_allclose(got.sigma[found], sigma[found], rtol=1e-6)
    assert set(got.reason[itm]) == {Reason.OK, Reason.NOT_IDENTIFIABLE}
    assert np.all(np.isnan(got.sigma[got.reason != Reason.OK]))
    assert np.mean(got.reason[itm] == Reason.OK) > 0.75


def test_quantlib_quotes_give_their_volatility():
    """Quotes from QuantLib's engine, not ours, give back the volatility they were made with."""
    strike = np.linspace(380.0, 640.0, 20)
    is_call = strike > SPOT
    sigma = np.full(20, 0.22)
    quotes = quantlib_prices(strike, 365, RATE, DIV_YIELD, sigma, is_call)

    got = american.implied_vol(quotes, SPOT, strike, 1.0, RATE, DIV_YIELD, is_call)

    assert_allclose(got, sigma, rtol=1e-6)


@pytest.mark.parametrize(
    ("spot", "strike", "tau", "rate", "div_yield", "sigma", "is_call"),
    [
        (93.0, 70.8, 10.0, 0.3, -0.01, 0.6, False),
        (70.1, 86.0, 10.0, 0.3, 0.0, 2.0, False),
        (114.2, 56.0, 2.0, 0.0, -0.05, 2.51, False),
        (99.7, 52.0, 10.0, 0.05, 0.1, 0.7, True),
        (500.0, 520.0, 0.02, 1e-7, 0.0, 0.2, False),
        (100.0, 140.0, 5.0, 0.02, 0.2, 5.0, True),
    ],
)
def test_round_trip_far_out(spot, strike, tau, rate, div_yield, sigma, is_call):
    """Long lives, large rates and volatilities beyond the usual band come back as well."""
    quote = american.price(spot, strike, tau, rate, div_yield, sigma, is_call)

    got = american.implied_vol(quote, spot, strike, tau, rate, div_yield, is_call)

    assert got == pytest.approx(sigma, rel=1e-6)


@pytest.mark.parametrize("sigma", [2.4999, 2.5001, 9.0])
def test_high_volatilities(sigma):
    """Across the edge of a volatility band, and far above it, the high-precision engine agrees."""
    strikes = np.array([300.0, 500.0, 800.0])

    ours = american.price(SPOT, strikes, 0.6, 0.0, -0.05, sigma, False)

    exact = quantlib_prices(strikes, 219, 0.0, -0.05, [sigma] * 3, [False] * 3)
    assert_allclose(ours, exact, atol=1e-6 * SPOT, rtol=0)


def test_european_solver_would_be_wrong():
    """Without taking the premium off, an at-the-money put shows a volatility that is too high."""
    quote = american.price(SPOT, 500.0, 1.0, RATE, DIV_YIELD, 0.2, False)

    naive = implied.implied_vol(quote, SPOT, 500.0, 1.0, RATE, DIV_YIELD, False)

    assert naive > 0.2 + 0.005


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ({"price": np.nan}, Reason.MISSING),
        ({"strike": 0.0}, Reason.MISSING),
        ({"tau": 0.0}, Reason.EXPIRED),
        ({"price": 0.0}, Reason.BELOW_INTRINSIC),
        ({"price": 59.0, "strike": 160.0}, Reason.BELOW_INTRINSIC),
        ({"price": 60.0, "strike": 160.0}, Reason.NOT_IDENTIFIABLE),
        ({"price": 60.0001, "strike": 160.0}, Reason.NOT_IDENTIFIABLE),
        ({"price": 100.0}, Reason.ABOVE_MAXIMUM),
    ],
)
def test_impossible_quotes_have_a_reason(quote, reason):
    """Quotes that no volatility explains, and quotes at intrinsic, are NaN and say why."""
    good = {
        "price": 7.0,
        "spot": 100.0,
        "strike": 100.0,
        "tau": 0.5,
        "rate": 0.05,
        "div_yield": 0.0,
        "is_call": False,
    }

    got = american.solve(**{name: [good[name], (good | quote)[name]] for name in good})

    assert np.isnan(got.sigma[1])
    assert got.reason[1] == reason
    assert got.reason[0] == Reason.OK


def test_kernels_never_warn():
    """Arrays full of holes pass without a warning."""
    holes = [np.nan, 0.0, 1.0, 100.0, np.inf]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        american.solve(holes, 100.0, 100.0, [1.0, 0.0, np.nan, -1.0, 2.0], 0.05, 0.01, True)
        american.greeks(holes, 100.0, [1.0, 0.0, np.nan, -1.0, 2.0], 0.05, 0.01, 0.2, False)


QUARTERLY = Dividends(np.array([20.0, 111.0, 202.0, 293.0]) / 365.0, [1.75, 1.80, 1.80, 1.80])


def quantlib_with_dividends(strike, days, sigma, is_call):
    """QuantLib's finite differences with escrowed cash dividends."""
    ex_days = np.rint(np.asarray(QUARTERLY.tau) * 365.0).astype(int)
    paid = [(d, a) for d, a in zip(ex_days, QUARTERLY.amount, strict=True) if d <= days]
    schedule = ql.DividendVector([TODAY + int(d) for d, _ in paid], [a for _, a in paid])
    process = quantlib_process(SPOT, RATE, 0.0, ql.SimpleQuote(sigma))
    engine = ql.FdBlackScholesVanillaEngine(
        process, schedule, 400, 800, 0, ql.FdmSchemeDesc.Douglas(), False, -1.0,
        ql.FdBlackScholesVanillaEngine.Escrowed,
    )  # fmt: skip
    option = quantlib_option(strike, days, is_call)
    option.setPricingEngine(engine)
    return option.NPV()


@pytest.mark.parametrize("days", [30, 120, 300])
@pytest.mark.parametrize("is_call", [True, False])
def test_exact_path_with_cash_dividends(days, is_call):
    """The lattice agrees with finite differences under escrowed dividends, both sides."""
    strike = np.array([450.0, 500.0, 540.0])

    ours = american.price_discrete(SPOT, strike, days / 365.0, RATE, QUARTERLY, 0.2, is_call)

    exact = [quantlib_with_dividends(k, days, 0.2, is_call) for k in strike]
    assert_allclose(ours, exact, atol=0.02)


def test_no_dividends_is_the_plain_american():
    """Without ex-dates before expiry the exact path prices what the boundary prices."""
    strike = np.array([450.0, 500.0, 550.0])
    later = Dividends([0.9], [2.0])

    ours = american.price_discrete(SPOT, strike, 0.5, RATE, later, 0.25, False)

    assert_allclose(ours, american.price(SPOT, strike, 0.5, RATE, 0.0, 0.25, False), atol=5e-3)


def test_exact_volatility_with_cash_dividends():
    """With ex-dates inside, the exact path is within 0.05 volatility points out of the money."""
    strike = np.array([460.0, 490.0, 510.0, 540.0])
    is_call = strike > SPOT
    quotes = [
        quantlib_with_dividends(k, 120, 0.2, bool(c)) for k, c in zip(strike, is_call, strict=True)
    ]

    fast = american.solve_discrete(quotes, SPOT, strike, 120 / 365.0, RATE, QUARTERLY, is_call)
    exact = american.solve_discrete(
        quotes, SPOT, strike, 120 / 365.0, RATE, QUARTERLY, is_call, exact=True
    )

    assert_allclose(fast.sigma, 0.2, atol=0.004)
    assert_allclose(exact.sigma, 0.2, atol=0.0005)


def test_equivalent_yield_keeps_the_forward():
    """The yield gives the forward of the cash dividends, expiry by expiry."""
    tau = np.array([0.02, 0.2, 0.5, 1.0])

    div_yield = american.equivalent_yield(SPOT, tau, RATE, QUARTERLY)

    times, amounts = np.asarray(QUARTERLY.tau), np.asarray(QUARTERLY.amount)
    worth = [np.sum((amounts * np.exp(-RATE * times))[times <= t]) for t in tau]
    assert_allclose(SPOT * np.exp(-div_yield * tau), SPOT - np.array(worth), rtol=1e-14)
    assert div_yield[0] == 0.0


@pytest.mark.parametrize(
    ("dividends", "message"),
    [
        (Dividends([0.1, 0.2], [1.0]), r"one length, got \(2,\) and \(1,\)"),
        (Dividends([0.1], [-1.0]), "dividend amount must be >= 0, got -1 at index 0"),
        (Dividends([np.nan], [1.0]), "must be finite"),
    ],
)
def test_wrong_dividends_are_named(dividends, message):
    """Dividends that cannot be are refused with the reason."""
    with pytest.raises(ValueError, match=message):
        american.price_discrete(100.0, 100.0, 0.5, 0.04, dividends, 0.2, True)


@pytest.mark.parametrize("strike", [490.0, [490.0], [490.0, 510.0]])
def test_greeks_without_rho_are_those_with_it(strike):
    """Of one option, in an array or not, and of several: all but rho are the same, rho is NaN."""
    terms = (SPOT, strike, 0.1, RATE, DIV_YIELD, 0.2, False)

    whole, part = american.greeks(*terms), american.greeks(*terms, with_rho=False)

    for name, value in part._asdict().items():
        if name == "rho":
            assert np.isnan(value).all() and np.shape(value) == np.shape(strike)
        else:
            assert_array_equal(value, getattr(whole, name))
