"""Books made of text, priced by Black-Scholes, for the tests of the portfolio."""

from __future__ import annotations

import datetime as dt

import numpy as np

from tomic import dates, legs
from tomic.models import Spot, SpotSource, Underlying
from tomic.models.book import AccountSummary, Book, Mark, Position, SymbolMarket
from tomic.quant import american, black_scholes

AS_OF = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
RATE = 0.045


def underlying(symbol="SPY", sec_type="STK", currency="USD"):
    return Underlying(symbol=symbol, con_id=abs(hash(symbol)) % 10**6, sec_type=sec_type,
                      currency=currency)  # fmt: skip


def market(symbol="SPY", price=600.0, *, sec_type="STK", currency="USD", **more):
    spot = Spot(price=price, source=SpotSource.LAST, as_of=AS_OF)
    return SymbolMarket(
        symbol=symbol, underlying=underlying(symbol, sec_type, currency), spot=spot, **more
    )


def position(leg, account="DU1", **more):
    """A position from a leg as `tomic.legs` reads it."""
    fields = {"sec_type": "STK", "multiplier": 1.0}
    if not leg.is_stock:
        fields = {
            "sec_type": "OPT",
            "multiplier": 100.0,
            "right": leg.right,
            "strike": leg.strike,
            "expiry": leg.expiry,
            "trading_class": leg.symbol,
        }
    fields |= {"average_cost": leg.price, "quantity": leg.quantity, **more}
    return Position(account=account, symbol=leg.symbol, **fields)


def mark_of(one, spot, sigma, *, sec_type="STK"):
    """What a market with this volatility would show."""
    if one.is_stock:
        return Mark(price=spot, price_source="last")
    tau = dates.years_to_expiry(AS_OF, one.expiry, underlying=underlying(one.symbol, sec_type))
    kernel = black_scholes if sec_type == "IND" else american
    found = kernel.greeks(spot, one.strike, tau, RATE, 0.0, sigma, np.array(one.right == "C"))
    return Mark(
        price=float(found.price), price_source="mid", bid=float(found.price) - 0.05,
        ask=float(found.price) + 0.05, iv=sigma, delta=float(found.delta),
        gamma=float(found.gamma), vega=float(found.vega), theta=float(found.theta),
        greeks_source="ib", quoted_at=AS_OF,
    )  # fmt: skip


def made_book(text="", *, spots=None, sigma=0.2, net=100_000.0, markets=None, positions=(), **more):
    """
    A book of the legs in *text*, one symbol per ``;``-part or several by name.

    Costs that the text does not name are today's prices.
    """
    spots = {"SPY": 600.0, **(spots or {})}
    known = {name: market(name, price) for name, price in spots.items()} | (markets or {})
    held = [position(leg) for leg in (legs.parse(text) if text else ())]
    held += list(positions)
    marks = {}
    lines = []
    for one in held:
        info = known.get(one.symbol)
        if info and info.spot and info.underlying and (one.is_stock or one.is_option):
            alive = one.is_stock or one.expiry >= AS_OF.date()
            if alive:
                marks[one.contract] = mark_of(
                    one, info.spot.price, sigma, sec_type=info.underlying.sec_type
                )
        if one.average_cost is None and one.contract in marks:
            one = one.model_copy(update={"average_cost": marks[one.contract].price})
        lines.append(one)
    fields = {
        "as_of": AS_OF,
        "accounts": (AccountSummary(account="DU1", net_liquidation=net),),
        "positions": tuple(lines),
        "marks": marks,
        "markets": known,
        "interest": RATE,
    }
    return Book(**{**fields, **more})
