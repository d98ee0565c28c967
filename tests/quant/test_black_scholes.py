"""European prices and Greeks: identities, limits, independent references, bad input."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose

from support.properties import examples
from tomic.quant import black_scholes

MARKETS = st.fixed_dictionaries(
    {
        "spot": st.floats(20.0, 500.0),
        "strike": st.floats(20.0, 500.0),
        "tau": st.floats(0.002, 3.0),
        "rate": st.floats(-0.02, 0.12),
        "div_yield": st.floats(-0.02, 0.12),
        "sigma": st.floats(0.03, 1.5),
    }
)
MARKET = {"spot": 100.0, "strike": 95.0, "tau": 0.5, "rate": 0.04, "div_yield": 0.01, "sigma": 0.2}


@pytest.fixture
def grid():
    """A thousand options over the whole range a chain shows."""
    rng = np.random.default_rng(3)
    return {
        "spot": rng.uniform(50.0, 150.0, 1000),
        "strike": rng.uniform(50.0, 150.0, 1000),
        "tau": rng.uniform(0.01, 2.0, 1000),
        "rate": rng.uniform(-0.02, 0.08, 1000),
        "div_yield": rng.uniform(0.0, 0.08, 1000),
        "sigma": rng.uniform(0.05, 1.0, 1000),
    }


def test_put_call_parity(grid):
    """Call minus put equals discounted forward minus strike, over the whole grid."""
    call = black_scholes.price(**grid, is_call=True)
    put = black_scholes.price(**grid, is_call=False)

    forward = grid["spot"] * np.exp((grid["rate"] - grid["div_yield"]) * grid["tau"])
    expected = np.exp(-grid["rate"] * grid["tau"]) * (forward - grid["strike"])
    assert_allclose(call - put, expected, rtol=1e-12, atol=1e-11)


def test_price_matches_fifty_digits(grid):
    """Prices agree with Merton's formula evaluated with fifty digits."""
    got = black_scholes.price(**grid, is_call=True)[:60]

    with mpmath.workdps(50):
        for i, value in enumerate(got):
            s, k, t, r, q, v = (mpmath.mpf(float(grid[name][i])) for name in grid)
            total = v * mpmath.sqrt(t)
            d1 = (mpmath.log(s / k) + (r - q) * t) / total + total / 2
            exact = s * mpmath.exp(-q * t) * mpmath.ncdf(d1)
            exact -= k * mpmath.exp(-r * t) * mpmath.ncdf(d1 - total)
            assert abs(value - float(exact)) <= 3e-14 * float(s)


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_match_quantlib(is_call):
    """QuantLib's calculator gives the same five Greeks, in its own units."""
    spot, strike, tau, rate, div_yield, sigma = 102.0, 97.0, 0.37, 0.045, 0.013, 0.28
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
    forward = spot * np.exp((rate - div_yield) * tau)
    peer = ql.BlackCalculator(payoff, forward, sigma * np.sqrt(tau), np.exp(-rate * tau))

    ours = black_scholes.greeks(spot, strike, tau, rate, div_yield, sigma, is_call)

    expected = (
        peer.value(),
        peer.delta(spot),
        peer.gamma(spot),
        peer.vega(tau) / 100.0,
        peer.theta(spot, tau) / 365.0,
        peer.rho(tau) / 100.0,
    )
    assert_allclose(ours, expected, rtol=1e-11)


def test_greeks_are_finite_differences(grid):
    """Every Greek is the central difference of the price in its own unit."""
    ours = black_scholes.greeks(**grid, is_call=False)

    def slope(name, step):
        up = black_scholes.price(**(grid | {name: grid[name] + step}), is_call=False)
        down = black_scholes.price(**(grid | {name: grid[name] - step}), is_call=False)
        return (up - down) / (2.0 * step)

    up, down = (
        black_scholes.greeks(**(grid | {"spot": grid["spot"] + h}), is_call=False).delta
        for h in (1e-4, -1e-4)
    )
    assert_allclose(ours.delta, slope("spot", 1e-4), atol=1e-7)
    assert_allclose(ours.gamma, (up - down) / 2e-4, atol=1e-6)
    assert_allclose(ours.vega, slope("sigma", 1e-5) / 100.0, atol=1e-7)
    assert_allclose(ours.theta, -slope("tau", 1e-6) / 365.0, atol=1e-6)
    assert_allclose(ours.rho, slope("rate", 1e-5) / 100.0, atol=1e-7)


def test_greeks_carry_the_price(grid):
    """The price among the Greeks is the price."""
    assert_allclose(
        black_scholes.greeks(**grid, is_call=True).price,
        black_scholes.price(**grid, is_call=True),
        rtol=0,
    )


@examples(60)
@given(MARKETS, st.booleans())
def test_monotone_and_convex_in_strike(market, is_call):
    """Prices move one way in the strike and are convex in it, and never fall below intrinsic."""
    strikes = np.linspace(0.5, 2.0, 61) * market["strike"]

    value = black_scholes.price(**(market | {"strike": strikes}), is_call=is_call)

    noise = 1e-12 * market["spot"]
    assert np.all(np.diff(value) * (-1.0 if is_call else 1.0) >= -noise)
    assert np.all(np.diff(value, 2) >= -noise)
    sign = 1.0 if is_call else -1.0
    floor = sign * (
        market["spot"] * np.exp(-market["div_yield"] * market["tau"])
        - strikes * np.exp(-market["rate"] * market["tau"])
    )
    assert np.all(value >= np.maximum(floor, 0.0) - noise)


def test_options_on_a_future_are_blacks():
    """Haug's example of Black (1976): 1.7011 for F = K = 19, r 10 %, sigma 28 %, nine months."""
    call, put = (black_scholes.greeks(19.0, 19.0, 0.75, 0.1, 0.1, 0.28, c) for c in (True, False))

    assert call.price == pytest.approx(1.7011, abs=5e-5)
    assert put.price == pytest.approx(1.7011, abs=5e-5)
    assert call.delta - put.delta == pytest.approx(np.exp(-0.075))


def test_black_76_is_the_same_formula(grid):
    """Discounting the undiscounted Black value of the forward gives the spot formula."""
    forward = grid["spot"] * np.exp((grid["rate"] - grid["div_yield"]) * grid["tau"])

    value = black_scholes.undiscounted(
        forward, grid["strike"], grid["sigma"] * np.sqrt(grid["tau"]), False
    )

    expected = black_scholes.price(**grid, is_call=False)
    assert_allclose(np.exp(-grid["rate"] * grid["tau"]) * value, expected, atol=1e-11)


def test_expired_option_is_its_payoff():
    """At and after expiry only the payoff and its delta are left; at the strike delta is a half."""
    ours = black_scholes.greeks(
        [110.0, 90.0, 100.0], 100.0, [0.0, -0.1, 0.0], 0.05, 0.01, 0.2, True
    )

    assert_allclose(ours.price, [10.0, 0.0, 0.0])
    assert_allclose(ours.delta, [1.0, 0.0, 0.5])
    for greek in ours[2:]:
        assert_allclose(greek, 0.0)


def test_zero_volatility_is_the_discounted_forward_payoff():
    """Without volatility an option is worth its discounted forward intrinsic value."""
    call, put = black_scholes.price(100.0, 90.0, 0.5, 0.05, 0.02, 0.0, [True, False])

    assert call == pytest.approx(100.0 * np.exp(-0.01) - 90.0 * np.exp(-0.025), rel=1e-14)
    assert put == 0.0


def test_worthless_underlying():
    """With the stock at zero a call is worth nothing and a put its discounted strike."""
    call, put = black_scholes.price(0.0, 50.0, 1.0, 0.04, 0.0, 0.5, [True, False])

    assert call == 0.0
    assert put == pytest.approx(50.0 * np.exp(-0.04), rel=1e-14)


@pytest.mark.parametrize("name", ["spot", "strike", "tau", "rate", "div_yield", "sigma"])
@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_missing_input_is_missing_output(name, missing):
    """A NaN or infinite input makes that element NaN in every output, and no other."""
    ours = black_scholes.greeks(**(MARKET | {name: [MARKET[name], missing]}), is_call=False)

    for greek in ours:
        assert np.isfinite(greek[0])
        assert np.isnan(greek[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sigma": [0.1] * 17 + [-0.2]}, "sigma must be >= 0, got -0.2 at index 17"),
        ({"strike": 0.0}, "strike must be > 0, got 0"),
        ({"spot": [[1.0, 2.0], [3.0, -4.0]]}, r"spot must be >= 0, got -4 at index \(1, 1\)"),
        (
            {"spot": [1.0, 2.0], "tau": [1.0, 2.0, 3.0]},
            r"shapes do not broadcast: spot \(2,\), tau",
        ),
        ({"tau": "soon"}, "tau must be numbers, got 'soon'"),
    ],
)
def test_wrong_arguments_name_the_inequality(wrong, message):
    """Impossible arguments raise, and the message says which, what and where."""
    with pytest.raises(ValueError, match=message):
        black_scholes.price(**(MARKET | wrong), is_call=True)


def test_shapes():
    """Scalars give a 0-d array, empty arrays an empty one, and outer products their product."""
    assert black_scholes.price(100.0, 95.0, 0.5, 0.04, 0.01, 0.2, True).shape == ()
    assert black_scholes.price([], 95.0, 0.5, 0.04, 0.01, 0.2, True).shape == (0,)
    outer = black_scholes.price(np.full((3, 1), 100.0), np.full(4, 95.0), 0.5, 0.0, 0.0, 0.2, True)
    assert outer.shape == (3, 4)


def test_blocks_do_not_show():
    """A long array prices element by element exactly as its pieces do."""
    strike = np.linspace(50.0, 150.0, 5000)

    whole = black_scholes.price(100.0, strike, 0.5, 0.04, 0.01, 0.2, True)

    part = black_scholes.price(100.0, strike[2000:2100], 0.5, 0.04, 0.01, 0.2, True)
    assert_allclose(whole[2000:2100], part, rtol=1e-15)
