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
