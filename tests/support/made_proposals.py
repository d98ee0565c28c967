"""Proposals made by hand: one with every figure there is, one with none that may be missing."""

from __future__ import annotations

import datetime as dt

from tomic.models import (
    Alternative,
    CurvePoint,
    DataType,
    Grade,
    Leg,
    ManagedOutcome,
    PriceSource,
    Proposal,
    ScorePart,
    SpotSource,
    TradeEvent,
    TradeSize,
    ViewFigures,
)

AS_OF = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
NEAR, FAR, NEXT_YEAR = dt.date(2026, 12, 18), dt.date(2027, 1, 15), dt.date(2027, 12, 17)
CALENDAR = ((-1, 440.0, "P", NEAR), (1, 440.0, "P", FAR))


def leg(quantity, strike, right, expiry=NEAR, *, bid=1.0, ask=1.1, **fields) -> Leg:
    """One option, quoted in pennies or nickels as *bid* and *ask* are."""
    known = {"price": (bid + ask) / 2, "price_source": PriceSource.TRUE, "con_id": 7000 + quantity}
    return Leg(
        name="short_put" if quantity < 0 else "long_put",
        quantity=quantity, strike=strike, right=right, expiry=expiry, bid=bid, ask=ask,
        **(known | fields),
    )  # fmt: skip


def condor_legs() -> tuple[Leg, ...]:
    """546/561/625/640, quoted in nickels; .545 at mid, .30 at natural."""
    return (
        leg(1, 546.0, "P", bid=0.90, ask=0.95, con_id=1001, delta=-0.08),
        leg(-1, 561.0, "P", bid=1.20, ask=1.30, con_id=1002, delta=-0.16),
        leg(-1, 625.0, "C", bid=1.00, ask=1.10, con_id=1003, delta=0.14),
        leg(1, 640.0, "C", bid=0.80, ask=0.88, con_id=1004, delta=0.07),
    )


def bare(**changes) -> Proposal:
    """A condor of which nothing is known that may be unknown."""
    fields = {
        "rank": 1, "symbol": "SPY", "strategy": "iron_condor", "side": "neutral", "as_of": AS_OF,
        "spot": 590.0, "spot_source": SpotSource.LAST, "data_type": DataType.LIVE, "rate": 0.04,
        "forward": 591.8, "expiry": NEAR, "dte": 28, "tau": 28 / 365, "last_expiry": NEAR,
        "legs": condor_legs(), "credit": 42.6, "credit_mid": 54.5, "credit_natural": 30.0,
        "commission": 2.6, "max_profit": 40.0, "max_loss": 1460.0, "breakevens": (560.6, 625.4),
        "margin": 1460.0, "margin_requirement": 1500.0, "profit": 40.0, "rom": 0.027,
        "rom_30d": 0.029, "pos": 0.812, "ev": 3.4, "ev_30d": 0.002, "cvar95": 900.0,
        "risk_reward": 0.04, "edge": 2.0, "delta": -1.0, "gamma": -0.8, "vega": -42.0,
        "theta": 9.5, "theta_margin": 0.006, "liquidity": 0.9, "score": 63.42, "grade": Grade.B,
        "parts": (ScorePart(name="pos", points=20.0), ScorePart(name="ev", points=43.42)),
        "market_volatility": 0.16,
        # Of the densities before the market's was the basis, where a proposal still has them.
        "pos_market": 0.8, "ev_market": 1.0, "forecast_volatility": 0.15,
    }  # fmt: skip
    fields |= changes
    return Proposal(**{name: fields[name] for name in fields if name in Proposal.model_fields})


def whole(**changes) -> Proposal:
    """The same with everything: exits, view, events, size, others of its thesis."""
    fields = {
        "id": "20261120-1", "short_delta": 0.16, "distance": 1.12, "expected_move": 26.2,
        "cost_share": 0.266, "mean_win": 38.0, "ev_quotes": 5.1, "ev_error": 2.4,
        "percentile": 0.93, "touch": 0.412, "edge_error": 1.5, "iv30": 0.158, "iv_rank": 0.44,
        "alternatives": 128, "margin_cash": 56100.0,
        "view": ViewFigures(volatility=0.9, drift=0.02, pos=0.86, ev=12.2),
        "managed": ManagedOutcome(
            target=20.0, p_target=0.713, p_stop=0.12, p_time=0.102, p_expiry=0.065, days=11.4,
            ev=2.2, ev_error=0.4, tail=-310.0, paths=4000,
        ),
        "events": (
            TradeEvent(kind="earnings", date=dt.date(2026, 12, 3), text="earnings on 3 Dec"),
            TradeEvent(kind="ex_dividend", date=NEAR, text="ex-dividend on 18 Dec"),
        ),
        "size": TradeSize(
            contracts=2, by_risk=2, by_margin=5, buying_power_after=40321.0, kelly=3,
            limited_by="risk per trade",
        ),
        "similar": (
            Alternative(
                strategy="short_put_spread", trade="short_put_spread 561P/546P 2026-12-18",
                expiry=NEAR, credit=31.0, pos=0.87, ev=2.9, margin=1469.0, score=61.0,
            ),
        ),
        "curve": tuple(
            CurvePoint(price=price, profit=profit)
            for price, profit in (
                (500.0, -1460.0), (546.0, -1460.0), (560.6, 0.0), (561.0, 40.0), (625.0, 40.0),
                (625.4, 0.0), (640.0, -1460.0), (680.0, -1460.0),
            )
        ),
        "notes": ("open interest unknown",),
    }  # fmt: skip
    return bare(**(fields | changes))


def calendar(**changes) -> Proposal:
    """A put calendar for a debit of 7.20."""
    legs = tuple(leg(*each, bid=7.0, ask=7.1) for each in CALENDAR)
    fields = {
        "strategy": "calendar_put", "legs": legs, "last_expiry": FAR, "credit": -723.7,
        "credit_mid": -720.0, "credit_natural": -730.0, "max_profit": 310.0, "margin": 726.3,
        "margin_requirement": 0.0, "breakevens": (431.0, 452.0),
    }  # fmt: skip
    return bare(**(fields | changes))
