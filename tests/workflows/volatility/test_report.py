"""What one chain says: 30-day IV, skew, term structure, expected moves."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from tomic.chain import Chain
from tomic.models import OptionQuote, RowStatus, Spot, SpotSource, Underlying
from tomic.quant import black_scholes
from tomic.workflows.volatility.report import of_chain

AS_OF = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
SPOT, RATE = 600.0, 0.045


def chain_of(levels: dict[int, float], strikes=range(560, 641, 5)) -> Chain:
    """A chain with one flat volatility an expiry, by days; quotes a cent around fair value."""
    underlying = Underlying(symbol="SPY", con_id=1)
    rows = []
    for days, sigma in levels.items():
        expiry = AS_OF.date() + dt.timedelta(days=days)
        tau = days / 365.0
        for strike in map(float, strikes):
            for right in "CP":
                g = black_scholes.greeks(SPOT, strike, tau, RATE, 0.0, sigma, right == "C")
                rows.append(
                    OptionQuote(
                        expiry=expiry,
                        dte=0,
                        strike=strike,
                        right=right,
                        bid=float(g.price) - 0.01,
                        ask=float(g.price) + 0.01,
                        iv=sigma,
                        delta=float(g.delta),
                        gamma=float(g.gamma),
                        vega=float(g.vega),
                        theta=float(g.theta),
                        status=RowStatus.OK,
                        greeks_source="ib",
                    )
                )
    spot = Spot(price=SPOT, source=SpotSource.LAST, as_of=AS_OF)
    return Chain.from_quotes(rows, underlying=underlying, spot=spot, as_of=AS_OF, rate=RATE)


def test_flat_volatility_comes_back():
    """Two expiries at 20 % give 20 % at thirty days, no skew and no slope."""
    found = of_chain(chain_of({21: 0.2, 49: 0.2}))

    assert found.iv30 == pytest.approx(0.2, rel=1e-9)
    assert found.skew == pytest.approx(0.0, abs=1e-12)
    assert found.term_m1_m2 == pytest.approx(0.0, abs=1e-12)


def test_term_structure_is_first_less_later():
    """ATM volatilities of .20, .22 and .25 give -2 and -5 points: the front is cheaper."""
    found = of_chain(chain_of({21: 0.20, 28: 0.22, 56: 0.25}))

    assert found.term_m1_m2 == pytest.approx(-0.02)
    assert found.term_m1_m3 == pytest.approx(-0.05)


def test_one_expiry_has_no_term_structure():
    """Nothing to compare with, and the reason says so; strikes beyond the window do not count."""
    one = of_chain(chain_of({28: 0.2}))
    far = of_chain(chain_of({28: 0.2, 56: 0.2}, strikes=(580, 590, 610, 620)))

    assert (one.term_m1_m2, one.term_m1_m3) == (None, None)
    assert one.missing["term_m1_m2"].startswith("fewer than two expiries")
    assert far.term_m1_m2 is None


def test_strikes_near_the_money_reach_no_skew():
    """Ten points around 600 hold no 25-delta options: no skew, never a wrong one."""
    found = of_chain(chain_of({28: 0.2}, strikes=range(590, 611)))

    assert found.skew is None
    assert "0.25" in found.missing["skew"]
    assert found.iv30 == pytest.approx(0.2)


def test_three_kinds_of_expected_move():
    """For a flat smile the density's deviation is lognormal's, the straddle four fifths of it."""
    found = of_chain(chain_of({30: 0.2}, strikes=range(500, 701, 5)), smiles=True)

    (move,) = found.moves
    tau = 30 / 365.0 + 1 / 365.0 / 24.0
    forward = SPOT * math.exp(RATE * tau)
    assert move.dte == 30
    assert move.iv == pytest.approx(SPOT * 0.2 * math.sqrt(30 / 365.0))
    assert move.density == pytest.approx(forward * math.sqrt(math.expm1(0.04 * tau)), rel=0.01)
    assert move.straddle == pytest.approx(math.sqrt(2.0 / math.pi) * move.iv, rel=0.02)


def test_a_density_that_no_smile_gives_has_a_reason():
    """Four strikes are too few, and a hump at the money fits no smile: a note instead."""
    few = of_chain(chain_of({30: 0.2}, strikes=(580, 590, 610, 620)), smiles=True)
    plain = chain_of({30: 0.2}, strikes=range(500, 701, 5))
    hump = 0.1 * np.exp(-0.5 * ((plain["strike"] - SPOT) / 12.0) ** 2)
    humped = of_chain(plain.with_columns(iv=plain["iv"] + hump), smiles=True)

    assert few.moves[0].density is None
    assert few.moves[0].note == "4 strikes with a volatility, a density takes 5"
    assert humped.moves[0].density is None
    assert "volatility points" in humped.moves[0].note


def test_smiles_are_fitted_only_when_asked():
    """Without them the third kind is absent."""
    assert of_chain(chain_of({30: 0.2})).moves[0].density is None


def test_an_empty_chain_says_nothing():
    """No rows, no numbers, four reasons."""
    empty = chain_of({28: 0.2}).where(np.zeros(34, dtype=bool))
    found = of_chain(empty, smiles=True)

    assert found.moves == ()
    assert set(found.missing) == {"iv30", "skew", "term_m1_m2", "term_m1_m3"}
