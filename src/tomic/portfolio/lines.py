"""
Positions with all that is known about them: spot, time, volatility, Greeks, and what is missing.

A line that cannot be valued never counts as zero: it keeps the reason, and `gaps` names it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tomic import dates
from tomic.models import ExerciseStyle, Underlying
from tomic.models.book import Book, Mark, Position, SymbolMarket
from tomic.models.review import Gap
from tomic.quant.black_scholes import Greeks

SigmaSource = Literal["own", "near", "iv30", "hv30", "none"]
_NONE = math.nan


@dataclass(frozen=True, slots=True)
class BookLine:
    """
    One position, ready to compute with; NaN where a number is not known.

    Attributes:
        spot: Price of the underlying, currency per share.
        forward: Of its expiry; NaN where the options held imply none.
        on_forward: Whether the option is on that forward, as those of a volatility index.
        tau: Years to expiry; 0 for shares.
        sigma: Volatility for revaluation, its own or what stands in for it.
        price: Of one share's worth of the contract.
        fx: Base currency for one unit of the position's.
        counted: Whether it has Greeks and can be revalued.
        problem: Why a figure is missing; empty where none is.
    """

    position: Position
    spot: float = _NONE
    forward: float = _NONE
    on_forward: bool = False
    tau: float = 0.0
    rate: float = 0.0
    div_yield: float = 0.0
    sigma: float = _NONE
    sigma_source: SigmaSource = "none"
    price: float = _NONE
    price_source: str = "none"
    model_price: float = _NONE
    cost: float = _NONE
    delta: float = _NONE
    gamma: float = _NONE
    vega: float = _NONE
    theta: float = _NONE
    fx: float = _NONE
    is_american: bool = True
    counted: bool = False
    problem: str = ""
    missing: Literal["all", "greeks", "price", "nothing"] = "nothing"

    @property
    def strike(self) -> float:
        """Currency per share; NaN for shares."""
        return _or_nan(self.position.strike)

    @property
    def underlying(self) -> float:
        """What delta and gamma are per unit of, and what stress moves; currency per share."""
        return self.forward if self.on_forward and not math.isnan(self.forward) else self.spot

    @property
    def value(self) -> float:
        """Price, or the model's where there is no quote; NaN where there is neither."""
        return self.model_price if math.isnan(self.price) else self.price


def lines_of(book: Book, positions: Iterable[Position]) -> tuple[BookLine, ...]:
    """The lines of *positions*, in their order; shared contracts share their numbers."""
    bare = [_bare(book, position) for position in positions]
    valued = _with_model(_with_stand_ins(bare, book))
    return tuple(_entered_now(line) for line in valued)


def gaps(lines: Iterable[BookLine]) -> tuple[Gap, ...]:
    """Lines that are missing from the figures, in whole or in part, and why."""
    return tuple(
        Gap(
            name=line.position.contract,
            account=line.position.account,
            quantity=line.position.quantity,
            reason=line.problem,
            missing=line.missing,
        )
        for line in lines
        if line.problem
    )


def _bare(book: Book, position: Position) -> BookLine:
    """The line of a position from the book alone."""
    market = book.markets.get(position.symbol)
    mark = book.marks.get(position.contract, Mark())
    spot = market.spot.price if market and market.spot else _NONE
    line = BookLine(
        position,
        spot=spot,
        rate=book.interest_of(position.currency),
        div_yield=_carry(book, market),
        price=_or_nan(mark.price),
        price_source=mark.price_source,
        cost=_or_nan(position.average_cost),
        fx=_or_nan(book.rate_of(position.currency)),
        is_american=_underlying(position, market).exercise_style_of(position.trading_class)
        is ExerciseStyle.AMERICAN,
    )
    if position.is_stock:
        line = _shares(line)
    elif position.is_option:
        line = _option(line, mark, market, book.as_of)
    problem, missing = _problem(line, mark)
    countable = missing in ("nothing", "price")
    return replace(line, problem=problem, missing=missing, counted=countable)


def _carry(book: Book, market: SymbolMarket | None) -> float:
    """The yield of the underlying; of a future the interest, because it costs nothing to hold."""
    if market is None:
        return 0.0
    if market.underlying is not None and market.underlying.is_future:
        return book.interest_of(market.underlying.currency)
    return market.div_yield or 0.0


def _shares(line: BookLine) -> BookLine:
    price = line.spot if math.isnan(line.price) else line.price
    source = "spot" if math.isnan(line.price) else line.price_source
    return replace(
        line, price=price, price_source=source, delta=1.0, gamma=0.0, vega=0.0, theta=0.0
    )


def _underlying(position: Position, market: SymbolMarket | None) -> Underlying:
    """What an option is written on, as far as its contract tells it where nobody asked."""
    if market is not None and market.underlying is not None:
        return market.underlying
    return Underlying(
        symbol=position.symbol,
        con_id=0,
        sec_type="IND" if position.settles_in_cash else "STK",
        currency=position.currency,
    )


def _option(
    line: BookLine, mark: Mark, market: SymbolMarket | None, as_of: dt.datetime
) -> BookLine:
    position = line.position
    assert position.expiry is not None
    tau = dates.years_to_expiry(
        as_of,
        position.expiry,
        underlying=_underlying(position, market),
        trading_class=position.trading_class,
        local_symbol=position.local_symbol,
    )
    line = _carried(replace(line, tau=tau), mark)
    return replace(
        line,
        sigma=_or_nan(mark.iv),
        sigma_source="own" if mark.iv is not None else "none",
        delta=_or_nan(mark.delta),
        gamma=_or_nan(mark.gamma),
        vega=_or_nan(mark.vega),
        theta=_or_nan(mark.theta),
    )


def _carried(line: BookLine, mark: Mark) -> BookLine:
    """The line with the rate and the forward of its expiry, where its options imply them."""
    rate = line.rate if mark.rate is None else mark.rate
    if mark.forward is None or not (line.tau > 0.0 and line.spot > 0.0):
        return replace(line, rate=rate)
    held = replace(line, rate=rate, forward=mark.forward, on_forward=mark.on_forward)
    # Time leaves a forward where it is.
    growth = 0.0 if held.on_forward else math.log(mark.forward / line.spot) / line.tau
    return replace(held, div_yield=rate - growth)


def _problem(
    line: BookLine, mark: Mark
) -> tuple[str, Literal["all", "greeks", "price", "nothing"]]:
    position = line.position
    if position.quantity == 0.0:
        return "quantity 0: closed today, still listed", "all"
    if math.isnan(line.fx):
        name = position.currency or "an unknown currency"
        return f"no exchange rate of {name}", "all"
    if not (position.is_stock or position.is_option):
        kind = position.sec_type or "no kind"
        return f"{kind} is not something TOMIC can value", "all"
    if position.is_option and line.tau == 0.0:
        return f"expired {dates.settlement_of(position)}, still listed", "all"
    if position.is_adjusted:
        return (
            f"adjusted contract (class {position.trading_class or position.symbol}, multiplier "
            f"{position.multiplier:g}): what it delivers is unknown",
            "greeks" if not math.isnan(line.price) else "all",
        )
    if math.isnan(line.spot):
        return f"no price of {position.symbol}", "all"
    if math.isnan(line.price):
        return mark.problem or "no quote", "price"
    if position.is_option and not position.quantity.is_integer():
        return f"{position.quantity:g} contracts: a fraction, grouped with nothing", "nothing"
    return "", "nothing"


# -- volatility that stands in for a missing one --------------------------------------------------


def _with_stand_ins(lines: Sequence[BookLine], book: Book) -> list[BookLine]:
    """Give lines without a volatility that of the nearest strike, else the symbol's own."""
    known: dict[tuple[str, dt.date | None], list[tuple[float, float]]] = {}
    for line in lines:
        position = line.position
        if line.sigma_source == "own" and position.strike is not None and not position.is_adjusted:
            known.setdefault((position.symbol, position.expiry), []).append(
                (position.strike, line.sigma)
            )
    return [_stand_in(line, known, book) for line in lines]


def _stand_in(
    line: BookLine, known: dict[tuple[str, dt.date | None], list[tuple[float, float]]], book: Book
) -> BookLine:
    position = line.position
    if not line.counted or not position.is_option or line.sigma_source == "own":
        return line
    near = known.get((position.symbol, position.expiry), [])
    market = book.markets.get(position.symbol)
    if near:
        sigma = min(near, key=lambda pair: (abs(pair[0] - line.strike), pair))[1]
        return _estimated(line, sigma, "near", "the volatility of the nearest strike held")
    if market is not None and market.iv30 is not None:
        return _estimated(line, market.iv30, "iv30", f"IV30 {market.iv30:.1%}")
    if market is not None and market.hv30 is not None:
        return _estimated(line, market.hv30, "hv30", f"HV30 {market.hv30:.1%}")
    reason = line.problem or "no implied volatility"
    lacking: Literal["all", "greeks"] = "all" if math.isnan(line.price) else "greeks"
    return replace(line, counted=False, missing=lacking, problem=f"{reason}, and nothing instead")


def _estimated(line: BookLine, sigma: float, source: SigmaSource, words: str) -> BookLine:
    reason = line.problem or "no implied volatility"
    return replace(
        line, sigma=sigma, sigma_source=source, problem=f"{reason}; Greeks and stress from {words}"
    )


# -- Greeks and prices of the model ---------------------------------------------------------------


def _with_model(lines: Sequence[BookLine]) -> list[BookLine]:
    """Model prices and Greeks of the options that lack one of them."""
    result = list(lines)
    for american in (True, False):
        rows = [
            number
            for number, line in enumerate(lines)
            if line.counted
            and line.position.is_option
            and line.is_american == american
            and any(math.isnan(x) for x in (line.price, line.delta, line.gamma, line.theta))
        ]
        if not rows:
            continue
        greeks = _model([lines[number] for number in rows], american=american)
        for place, number in enumerate(rows):
            result[number] = _filled(lines[number], greeks, place)
    return result


def _model(lines: Sequence[BookLine], *, american: bool) -> Greeks:
    # Here and not above: most books need neither, and the early-exercise tables take long to load.
    from tomic.quant import american as early, black_scholes

    kernel = early.greeks if american else black_scholes.greeks
    return kernel(
        np.array([line.underlying for line in lines]),
        np.array([line.position.strike or _NONE for line in lines]),
        np.array([line.tau for line in lines]),
        np.array([line.rate for line in lines]),
        np.array([line.div_yield for line in lines]),
        np.array([line.sigma for line in lines]),
        np.array([line.position.right == "C" for line in lines]),
    )


def _entered_now(line: BookLine) -> BookLine:
    """What is only considered has cost nothing yet: it is entered at its present value."""
    if line.position.proposed and math.isnan(line.cost):
        return replace(line, cost=line.value)
    return line


def _filled(line: BookLine, greeks: Greeks, place: int) -> BookLine:
    model = {name: float(getattr(greeks, name)[place]) for name in ("delta", "gamma", "vega")}
    model["theta"] = float(greeks.theta[place])
    complete = not any(math.isnan(getattr(line, name)) for name in model)
    # Greeks come as a set: those of two volatilities do not belong together.
    own = {name: getattr(line, name) for name in model} if complete else model
    return replace(line, model_price=float(greeks.price[place]), **own)


def _or_nan(value: float | None) -> float:
    return _NONE if value is None else value
