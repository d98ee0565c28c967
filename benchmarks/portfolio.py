"""The review of a large book, its stress grid, and how fast trades are fitted to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.figures import Row, burnt, elementary, figure, in_turns

from tomic.config import Settings
from tomic.models import Spot, SpotSource, Underlying
from tomic.models.book import AccountSummary, Book, Mark, Position, SymbolMarket
from tomic.portfolio import exposure, overview, stress
from tomic.portfolio.fit import BookFit
from tomic.portfolio.overview import Holdings
from tomic.quant import american
from tomic.strategies.scoring import Prospect

AS_OF = dt.datetime(2026, 11, 20, 20, tzinfo=dt.UTC)
EXPIRIES = tuple(dt.date(2026, 12, 18) + dt.timedelta(days=28 * n) for n in range(4))
POSITIONS, SYMBOLS, DAYS = 500, 40, 252
TRADES = 200
FIT_CELLS = 21 * 3 * 2
"""Cells in which a fit looks for the worst one: every other spot, the ends of what else moves."""


def run() -> list[Row]:
    """500 positions on 40 symbols with a year of returns each, in processor time."""
    book, settings = large_book(), Settings()
    held = Holdings.of(book)
    betas = exposure.betas(book, held.by_symbol(), window=DAYS)
    names = [str(number) for number in range(len(held.grouping.groups))]
    axes = settings.portfolio.stress

    def grid() -> object:
        return stress.of_book(held.rows, names, betas, axes, benchmark="SPY")

    def whole(each_symbol: bool = False) -> object:
        return overview.review(book, settings, each_symbol=each_symbol)

    model, trades = BookFit(book, settings), [trade(number) for number in range(TRADES)]
    works: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("stress grid 41 x 9 x 5, 500 positions", "<= 100 ms", grid),
        ("complete view, 500 positions", "<= 1000 ms", whole),
        ("with a grid per symbol", "", lambda: whole(True)),
        (f"fit of {TRADES} spreads to that book", "", lambda: model.fits(trades)),
    )
    for *_, work in works:
        work()
    samples = in_turns(*(burnt(work, scale=1e3) for *_, work in works))
    # Every position is worth something else in every cell, however that is found out.
    cells = elementary("one product a cell", scale=1e-6, items=POSITIONS * 41 * 9 * 5, multiply=1)
    fitted = elementary(
        "one product a leg and cell", scale=1e-6, items=2 * TRADES * FIT_CELLS, multiply=1
    )
    return [
        figure(f"book: {name}", sample, "ms", asked=asked, limit=fitted if "fit" in name else cells)
        for (name, asked, _), sample in zip(works, samples, strict=True)
    ]


def large_book(count: int = POSITIONS) -> Book:
    """*count* random options at random strikes, every twentieth position shares."""
    rng = np.random.default_rng(4)
    symbols = ["SPY", *(f"S{n:02d}" for n in range(SYMBOLS - 1))]
    spots = {name: float(rng.uniform(50.0, 600.0)) for name in symbols}
    found: dict[str, Position] = {}
    while len(found) < count:
        symbol = symbols[int(rng.integers(SYMBOLS))]
        one = position(rng, symbol, spots[symbol])
        found[one.contract] = one
    days = tuple(dt.date(2025, 11, 20) + dt.timedelta(days=n) for n in range(DAYS))
    return Book(
        as_of=AS_OF,
        accounts=(AccountSummary(account="U1", net_liquidation=1e6),),
        positions=tuple(found.values()),
        marks={one.contract: mark(one, spots[one.symbol]) for one in found.values()},
        markets={name: market(name, spots[name]) for name in symbols},
        return_days=days,
        returns={name: tuple(rng.normal(0.0, 0.015, DAYS).tolist()) for name in symbols},
    )


def position(rng: np.random.Generator, symbol: str, spot: float) -> Position:
    """One line of the book."""
    common: dict[str, Any] = {"account": "U1", "symbol": symbol, "average_cost": 3.0}
    if rng.random() < 0.05:
        return Position(**common, sec_type="STK", quantity=100.0)
    return Position(
        **common,
        sec_type="OPT",
        quantity=float(rng.choice([-3, -2, -1, 1, 2, 3])),
        multiplier=100.0,
        right="C" if rng.random() < 0.5 else "P",
        strike=float(round(spot * rng.uniform(0.8, 1.2))),
        expiry=EXPIRIES[int(rng.integers(len(EXPIRIES)))],
        trading_class=symbol,
    )


def market(symbol: str, spot: float) -> SymbolMarket:
    """An underlying and its price."""
    underlying = Underlying(symbol=symbol, con_id=1)
    return SymbolMarket(
        symbol=symbol,
        underlying=underlying,
        spot=Spot(price=spot, source=SpotSource.LAST, as_of=AS_OF),
    )


def mark(one: Position, spot: float) -> Mark:
    """The model's quote at a volatility of 30 %."""
    if one.expiry is None or one.strike is None:
        return Mark(price=spot, price_source="last")
    tau = (one.expiry - AS_OF.date()).days / 365.0
    found = american.greeks(spot, one.strike, tau, 0.045, 0.0, 0.3, one.right == "C")
    return Mark(
        price=float(found.price),
        price_source="mid",
        iv=0.3,
        delta=float(found.delta),
        gamma=float(found.gamma),
        vega=float(found.vega),
        theta=float(found.theta),
        greeks_source="ib",
    )


def trade(number: int) -> Prospect:
    """A short put spread on SPY."""
    strike = 300.0 + 0.5 * number
    return Prospect(
        symbol="SPY",
        strategy="short_put_spread",
        spot=420.0,
        rate=0.045,
        div_yield=np.zeros(2),
        strike=np.array([strike - 5.0, strike]),
        tau=np.full(2, 28 / 365.0),
        iv=np.full(2, 0.25),
        is_call=np.zeros(2, dtype=np.bool_),
        quantity=np.array([1.0, -1.0]),
        shares=0.0,
        multiplier=100,
        is_american=True,
        delta=5.0,
        gamma=-0.2,
        vega=-6.0,
        theta=2.0,
        margin=400.0,
    )
