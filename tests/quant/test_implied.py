"""Implied volatility: precision against fifty digits, round trips, reasons, independent solvers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from support.properties import examples
from tomic.quant import arguments, black_scholes, implied
from tomic.quant.implied import Reason

SPOT, RATE, DIV_YIELD = 500.0, 0.045, 0.013


def fifty_digit_price(spot, strike, tau, rate, div_yield, sigma, is_call):
    """Merton's formula with fifty digits, rounded to a double only at the end."""
    with mpmath.workdps(50):
        s, k, t, r, q, v = (
            mpmath.mpf(float(x)) for x in (spot, strike, tau, rate, div_yield, sigma)
        )
        total = v * mpmath.sqrt(t)
        d1 = (mpmath.log(s / k) + (r - q) * t) / total + total / 2
        sign = 1 if is_call else -1
        return float(
            sign
            * (
                s * mpmath.exp(-q * t) * mpmath.ncdf(sign * d1)
                - k * mpmath.exp(-r * t) * mpmath.ncdf(sign * (d1 - total))
            )
        )


def out_of_the_money(days, sigmas, deviations, n=120):
    """Strikes so many standard deviations from the forward, on the side without intrinsic value."""
    rng = np.random.default_rng(11)
    tau = np.exp(rng.uniform(*np.log(days), n)) / 365.0
    sigma = rng.uniform(*sigmas, n)
    z = rng.uniform(*deviations, n) * rng.choice([-1.0, 1.0], n)
    forward = SPOT * np.exp((RATE - DIV_YIELD) * tau)
    strike = forward * np.exp(z * sigma * np.sqrt(tau))
    return strike, tau, sigma, strike > forward


@pytest.mark.parametrize(
    ("days", "sigmas", "deviations"),
    [
        ((1.0, 730.0), (0.1, 0.8), (0.0, 2.5)),
        ((1.0, 730.0), (0.1, 0.8), (2.5, 8.0)),
        ((0.2, 1.0), (0.1, 0.8), (0.0, 8.0)),
        ((30.0, 3650.0), (0.8, 3.0), (0.0, 4.0)),
        ((0.2, 30.0), (0.01, 0.1), (0.0, 8.0)),
    ],
    ids=["chain", "deep", "short", "wild", "calm"],
)
def test_twelve_digits_out_of_the_money(days, sigmas, deviations):
    """From fifty-digit prices the volatility comes back with a relative error under 1e-12."""
    strike, tau, sigma, is_call = out_of_the_money(days, sigmas, deviations)
    prices = [
        fifty_digit_price(SPOT, k, t, RATE, DIV_YIELD, v, c)
        for k, t, v, c in zip(strike, tau, sigma, is_call, strict=True)
    ]

    got = implied.solve(prices, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    assert_allclose(got.sigma, sigma, rtol=1e-12)
    assert_array_equal(got.reason, Reason.OK)


@examples(200)
@given(
    st.floats(-4.0, 4.0),
    st.floats(0.001, 4.0),
    st.floats(0.02, 3.0),
    st.floats(-0.03, 0.12),
    st.booleans(),
)
def test_round_trip(deviations, tau, sigma, rate, is_call):
    """The volatility found gives back the price, in and out of the money."""
    strike = 100.0 * np.exp(deviations * sigma * np.sqrt(tau))
    value = black_scholes.price(100.0, strike, tau, rate, 0.01, sigma, is_call)

    got = implied.solve(value, 100.0, strike, tau, rate, 0.01, is_call)

    if got.reason == Reason.OK:
        again = black_scholes.price(100.0, strike, tau, rate, 0.01, got.sigma, is_call)
        assert_allclose(again, value, rtol=1e-12, atol=1e-13 * strike)
    else:
        # Only rounding may hide a volatility: next to no time value, or next to the maximum.
        lowest = black_scholes.price(100.0, strike, tau, rate, 0.01, 0.0, is_call)
        highest = 100.0 * np.exp(-0.01 * tau) if is_call else strike * np.exp(-rate * tau)
        assert min(value - lowest, highest - value) <= 1e-14 * max(strike, 100.0)


def test_agrees_with_quantlib():
    """QuantLib's solver finds the same standard deviations on the money side it is good at."""
    strike, tau, sigma, is_call = out_of_the_money((7.0, 730.0), (0.1, 0.8), (0.0, 2.5))
    value = black_scholes.price(SPOT, strike, tau, RATE, DIV_YIELD, sigma, is_call)

    ours = implied.implied_vol(value, SPOT, strike, tau, RATE, DIV_YIELD, is_call)

    forward = SPOT * np.exp((RATE - DIV_YIELD) * tau)
    peer = [
        ql.blackFormulaImpliedStdDev(
            ql.Option.Call if c else ql.Option.Put, k, f, p, np.exp(-RATE * t), 0.0, 0.2, 1e-14, 200
        )
        for k, f, p, t, c in zip(strike, forward, value, tau, is_call, strict=True)
    ]
    assert_allclose(ours * np.sqrt(tau), peer, rtol=1e-9)


@pytest.mark.parametrize("sigma", [1e-4, 0.02, 0.2, 2.0, 5.0, 8.0])
def test_at_the_money_at_any_volatility(sigma):
    """At the forward itself, where the guess divides zero by zero, nothing is lost."""
    value = fifty_digit_price(100.0, 100.0, 1.0, 0.02, 0.02, sigma, True)

    got = implied.implied_vol(value, 100.0, 100.0, 1.0, 0.02, 0.02, True)

    # Near the maximum the rounding of the price itself moves sigma by its share of the vega.
    vega = 100.0 * black_scholes.greeks(100.0, 100.0, 1.0, 0.02, 0.02, sigma, True).vega
    assert abs(got - sigma) <= 1e-13 * sigma + 3e-16 * value / vega


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ({"price": -1.0}, Reason.BELOW_INTRINSIC),
        ({"price": 0.0}, Reason.BELOW_INTRINSIC),
        ({"price": 9.9, "strike": 90.0}, Reason.BELOW_INTRINSIC),
        ({"price": 100.0}, Reason.ABOVE_MAXIMUM),
        ({"price": 95.0, "strike": 95.0, "is_call": False}, Reason.ABOVE_MAXIMUM),
        ({"tau": 0.0}, Reason.EXPIRED),
        ({"tau": -0.5}, Reason.EXPIRED),
        ({"price": np.nan}, Reason.MISSING),
        ({"price": np.inf}, Reason.MISSING),
        ({"strike": 0.0}, Reason.MISSING),
        ({"spot": -5.0}, Reason.MISSING),
        ({"tau": np.nan}, Reason.MISSING),
        ({"rate": np.nan}, Reason.MISSING),
        ({"price": np.nextafter(99.0, 100.0), "strike": 1.0}, Reason.NOT_IDENTIFIABLE),
    ],
)
def test_impossible_quotes_have_a_reason(quote, reason):
    """What no volatility explains gives NaN and says why; the neighbour keeps its answer."""
    good = {
        "price": 8.0,
        "spot": 100.0,
        "strike": 100.0,
        "tau": 0.5,
        "rate": 0.0,
        "div_yield": 0.0,
        "is_call": True,
    }

    got = implied.solve(**{name: [good[name], (good | quote)[name]] for name in good})

    assert np.isnan(got.sigma[1])
    assert got.reason[1] == reason
    assert got.sigma[0] == pytest.approx(0.2839, abs=1e-3)
    assert got.reason[0] == Reason.OK


def test_result_types_and_shapes():
    """Scalars give 0-d arrays, empty input empty output, and the reason is a byte."""
    scalar = implied.solve(8.0, 100.0, 100.0, 0.5, 0.0, 0.0, True)
    empty = implied.solve([], [], [], [], 0.0, 0.0, [])
    outer = implied.solve(np.full((2, 1), 8.0), 100.0, [99.0, 100.0, 101.0], 0.5, 0.0, 0.0, True)

    assert scalar.sigma.shape == scalar.reason.shape == ()
    assert empty.sigma.shape == (0,)
    assert outer.sigma.shape == (2, 3)
    assert outer.reason.dtype == np.int8


def test_wrong_shapes_are_named():
    """Arguments that do not fit together raise and list their shapes."""
    with pytest.raises(ValueError, match=r"shapes do not broadcast: price \(3,\), strike \(2,\)"):
        implied.solve([1.0, 2.0, 3.0], 100.0, [90.0, 95.0], 0.5, 0.0, 0.0, True)


def test_the_edge_of_a_block_does_not_show():
    """Across the edge of a block, volatility and Greeks are those of the elements alone."""
    strike = np.linspace(60.0, 160.0, arguments.BLOCK + 100)
    is_call = strike > 100.0
    edge = slice(arguments.BLOCK - 50, None)

    whole = black_scholes.greeks(100.0, strike, 0.5, 0.04, 0.01, 0.3, is_call)
    sigma = implied.implied_vol(whole.price, 100.0, strike, 0.5, 0.04, 0.01, is_call)

    alone = black_scholes.greeks(100.0, strike[edge], 0.5, 0.04, 0.01, 0.3, is_call[edge])
    assert_allclose(np.array(whole)[:, edge], np.array(alone), rtol=1e-14)
    assert_allclose(sigma, 0.3, rtol=1e-12)


def test_blocks_do_not_show():
    """A long chain solves element by element exactly as its pieces do."""
    strike = np.linspace(60.0, 160.0, 5000)
    is_call = strike > 100.0
    value = black_scholes.price(100.0, strike, 0.5, 0.04, 0.01, 0.3, is_call)

    whole = implied.implied_vol(value, 100.0, strike, 0.5, 0.04, 0.01, is_call)

    piece = slice(1900, 2200)
    part = implied.implied_vol(value[piece], 100.0, strike[piece], 0.5, 0.04, 0.01, is_call[piece])
    assert_allclose(whole, 0.3, rtol=1e-12)
    assert_allclose(whole[piece], part, rtol=1e-14)
