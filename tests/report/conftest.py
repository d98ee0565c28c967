"""A proposal that hangs together, for pictures and pages."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from tomic.models import DataType, SpotSource
from tomic.models.trade import CurvePoint, Grade, Leg, PriceSource, Proposal, ScorePart
from tomic.quant import black_scholes, payoff

EXPIRY = dt.date(2026, 12, 18)
SPOT, TAU, RATE, IV = 590.0, 28 / 365, 0.045, 0.16
COSTS = 10.0
_LEGS = (
    ("long_put", 1, "P", 550.0, -0.07),
    ("short_put", -1, "P", 560.0, -0.13),
    ("short_call", -1, "C", 620.0, 0.14),
    ("long_call", 1, "C", 630.0, 0.08),
)


def legs() -> tuple[Leg, ...]:
    """The four legs, priced at one volatility without dividends."""
    return tuple(
        Leg(
            name=name,
            quantity=quantity,
            right=right,
            strike=strike,
            expiry=EXPIRY,
            price=float(black_scholes.price(SPOT, strike, TAU, RATE, 0.0, IV, right == "C")),
            price_source=PriceSource.TRUE,
            iv=IV,
            delta=delta,
        )
        for name, quantity, right, strike, delta in _LEGS
    )


def condor() -> Proposal:
    """One iron condor on SPY, 10 points wide."""
    four = legs()
    credit_mid = -100.0 * sum(leg.quantity * leg.price for leg in four)
    credit = credit_mid - COSTS
    strikes = [leg.strike for leg in four]
    shape = payoff.segments(
        strikes,
        [leg.right == "C" for leg in four],
        [float(leg.quantity) for leg in four],
        credit=credit,
        multiplier=100.0,
    )
    figures = payoff.profile(shape)
    prices = [500.0, *strikes, 680.0]
    curve = zip(prices, payoff.interpolate(shape, prices), strict=True)
    return Proposal(
        id="20261120-1", rank=1, symbol="SPY", strategy="iron_condor", side="neutral",
        as_of=dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC), spot=SPOT,
        spot_source=SpotSource.LAST, data_type=DataType.LIVE, rate=RATE, expiry=EXPIRY, dte=28,
        forward=SPOT * math.exp(RATE * TAU), tau=TAU, last_expiry=EXPIRY, legs=four,
        credit=credit, credit_mid=credit_mid, credit_natural=credit_mid - 16.0, commission=2.6,
        max_profit=float(figures.max_profit), max_loss=float(figures.max_loss),
        breakevens=tuple(float(one) for one in figures.breakevens if math.isfinite(one)),
        margin=1000.0 - credit, margin_requirement=1000.0, profit=credit, rom=0.21, rom_30d=0.22,
        pos=0.68, ev=-8.0, ev_30d=0.018, cvar95=690.0,
        risk_reward=0.25, edge=6.0, edge_error=4.0, delta=-1.0, gamma=-0.8, vega=-42.0, theta=9.5,
        theta_margin=0.013, liquidity=0.9, score=63.4, grade=Grade.B,
        parts=(ScorePart(name="pos", points=30.0), ScorePart(name="rom", points=33.4)),
        market_volatility=IV,
        curve=tuple(CurvePoint(price=x, profit=float(y)) for x, y in curve),
        notes=("next earnings: unknown",),
    )  # fmt: skip


@pytest.fixture
def proposal() -> Proposal:
    """The iron condor."""
    return condor()
