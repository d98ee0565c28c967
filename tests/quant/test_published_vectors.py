"""Published option prices, Greeks and premiums: Hull, Haug, Ju, and Andersen-Lake-Offengenden."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tomic.quant import american, american_boundary, black_scholes, implied

SHARED = Path(__file__).parents[3] / "shared" / "reference" / "vectors.json"
VECTORS = Path(os.environ.get("TOMIC_PUBLISHED_VECTORS", SHARED))
ROWS = json.loads(VECTORS.read_text())["vectors"] if VECTORS.exists() else []


def published(topic):
    """One parameter per verified row of a topic; a single skip where the file is absent."""
    rows = [row for row in ROWS if row["topic"] == topic and row["verified_by_us"]]
    absent = pytest.param(
        None, marks=pytest.mark.skip(reason=f"no published vectors at {VECTORS}"), id="absent"
    )
    cases = [pytest.param(row, id=row["id"]) for row in rows] if ROWS else [absent]
    return pytest.mark.parametrize("row", cases)


def market(row):
    """The seven arguments, in order; a future has the yield of the rate."""
    given = row["inputs"]
    spot, div_yield = given.get("S"), given.get("q", 0.0)
    if spot is None:
        spot, div_yield = given["F"], given["r"]
    is_call = given["type"] == "Call"
    return spot, given["K"], given["T"], given["r"], div_yield, given.get("vol"), is_call


@published("bsm_price")
def test_european_price(row):
    """Haug's table of European values."""
    assert black_scholes.price(*market(row)) == pytest.approx(
        row["outputs"]["price"], abs=row["tol"]
    )


@published("black76")
def test_option_on_a_future(row):
    """A futures option is an option whose yield is the rate, or Black's formula discounted."""
    spot, strike, tau, rate, _, sigma, is_call = market(row)

    value = black_scholes.price(*market(row))

    assert value == pytest.approx(row["outputs"]["price"], abs=row["tol"])
    black = black_scholes.undiscounted(spot, strike, sigma * np.sqrt(tau), is_call)
    assert value == pytest.approx(np.exp(-rate * tau) * black, rel=1e-13)


@published("bsm_greeks")
def test_greeks(row):
    """Published Greeks, brought from our units (0.01, a day) to those of the source."""
    spot, strike, tau, rate, div_yield, sigma, is_call = market(row)
    ours = black_scholes.greeks(*market(row))
    up, down = (
        black_scholes.price(spot, strike, tau, rate, div_yield + h, sigma, is_call)
        for h in (1e-5, -1e-5)
    )
    same = {
        "delta": ours.delta,
        "gamma": ours.gamma,
        "vega": 100.0 * ours.vega,
        "rho": 100.0 * ours.rho,
        "vega_per_1pct": ours.vega,
        "rho_per_1pct": ours.rho,
        "theta_per_year": 365.0 * ours.theta,
        "elasticity": ours.delta * spot / ours.price,
        "dividend_rho": (up - down) / 2e-5,
    }

    for name, expected in row["outputs"].items():
        assert same[name] == pytest.approx(expected, abs=row["tol"])


@published("implied_vol")
def test_implied_volatility(row):
    """Hull's implied-volatility example."""
    given = row["inputs"]
    *before, _, is_call = market(row)

    got = implied.implied_vol(given["price"], *before, is_call)

    assert got == pytest.approx(row["outputs"]["iv"], abs=row["tol"])


@published("american_price")
def test_american_price(row):
    """
    Ju's exhibits: the exact price, and Ju's approximation of it within its known error.

    The exhibits print an approximation, up to 8 cents off; the rows carry the exact price beside
    it, to six decimals and for the whole number of 1/360 years that the printed time rounds.
    """
    spot, strike, tau, *rest = market(row)

    ours = american.price(spot, strike, round(360.0 * tau) / 360.0, *rest)

    assert ours == pytest.approx(row["exact_QdFp_highprecision"], abs=3e-6)
    assert ours == pytest.approx(row["outputs"]["ju_price"], abs=0.08)


@published("american_premium")
def test_american_premium(row):
    """The high-precision examples, to their nine and six digits."""
    ours = american.premium(*market(row), resolution=american_boundary.FINE)

    assert ours == pytest.approx(row["outputs"]["early_exercise_premium"], abs=row["tol"])


@published("american_tree")
def test_american_tree(row):
    """Hull's binomial put: a textbook tree gives his values, and tends to ours."""
    spot, strike, tau, rate, _, sigma, is_call = market(row)
    steps = row["inputs"]["steps"]

    tree = binomial_put(spot, strike, tau, rate, sigma, steps)

    assert not is_call
    assert tree == pytest.approx(row["outputs"]["price"], abs=row["tol"])
    ours = american.price(*market(row))
    averaged = np.mean([binomial_put(spot, strike, tau, rate, sigma, n) for n in (1000, 1001)])
    assert ours == pytest.approx(averaged, abs=4e-4)


@published("discrete_dividend")
def test_discrete_dividend(row):
    """Hull's European call with two cash dividends: the equivalent yield is the escrowed model."""
    spot, strike, tau, rate, _, sigma, is_call = market(row)
    paid = american.Dividends(*zip(*row["inputs"]["dividends"], strict=True))

    div_yield = american.equivalent_yield(spot, tau, rate, paid)

    value = black_scholes.price(spot, strike, tau, rate, div_yield, sigma, is_call)
    assert value == pytest.approx(row["outputs"]["price"], abs=row["tol"])


def binomial_put(spot, strike, tau, rate, sigma, steps):
    """Cox, Ross and Rubinstein (1979), as Hull prints it: the witness, not the method."""
    dt = tau / steps
    up = np.exp(sigma * np.sqrt(dt))
    chance = (np.exp(rate * dt) - 1.0 / up) / (up - 1.0 / up)
    value = np.maximum(strike - spot * up ** np.arange(-steps, steps + 1, 2.0), 0.0)
    for step in range(steps - 1, -1, -1):
        value = np.exp(-rate * dt) * (chance * value[1:] + (1.0 - chance) * value[:-1])
        value = np.maximum(value, strike - spot * up ** np.arange(-step, step + 1, 2.0))
    return float(value[0])
