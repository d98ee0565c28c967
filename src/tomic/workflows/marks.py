"""Quotes of legs as marks: a price with its source, and Greeks computed where IB gave none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tomic import valuation
from tomic.chain import Chain
from tomic.errors import TomicError, UnknownContract
from tomic.ib.quotes import UnderlyingTicks
from tomic.models import DataType, OptionQuote, RowStatus, Underlying
from tomic.models.book import Mark, Position
from tomic.selection import Wanted

PriceSource = Literal["mid", "ask", "last", "close", "none"]


@dataclass(slots=True)
class Quoted:
    """Everything the gateway said of the contracts of a book."""

    underlyings: dict[str, Underlying] = field(default_factory=dict)
    ticks: dict[str, UnderlyingTicks] = field(default_factory=dict)
    """By symbol."""
    unpriced: dict[str, str] = field(default_factory=dict)
    """Symbol to why its underlying has no price."""
    rows: dict[str, OptionQuote] = field(default_factory=dict)
    """By contract, as are *problems*: why it has no quote."""
    problems: dict[str, TomicError] = field(default_factory=dict)


def pair_of(position: Position) -> Wanted:
    """Expiry, strike and right of an option."""
    assert position.expiry is not None and position.strike is not None
    return Wanted(position.expiry, position.strike, "C" if position.right == "C" else "P")


def marks_of(
    quoted: Quoted,
    wanted: Sequence[Position],
    *,
    as_of: dt.datetime,
    rate: float,
    data_type: DataType | None,
) -> dict[str, Mark]:
    """A mark of every contract of which something was said, by `Position.contract`."""
    chains: dict[tuple[str, str, float], list[Position]] = {}
    for one in wanted:
        if one.contract in quoted.rows:
            chains.setdefault((one.symbol, one.trading_class, one.multiplier), []).append(one)
    found: dict[str, Mark] = {}
    for members in chains.values():
        names = {pair_of(one): one.contract for one in members}
        rows = [quoted.rows[one.contract] for one in members]
        for row in _completed(quoted, members[0], rows, as_of, rate, data_type):
            found[names[Wanted(row.expiry, row.strike, row.right)]] = to_mark(row)
    for name, error in quoted.problems.items():
        final = isinstance(error, UnknownContract)
        found.setdefault(name, Mark(problem=str(error), unfinished=not final))
    for one in wanted:
        ticks = quoted.ticks.get(one.symbol)
        if one.is_stock and ticks is not None and ticks.spot is not None:
            found[one.contract] = Mark(
                price=ticks.spot.price, price_source="last", quoted_at=ticks.spot.as_of
            )
        elif one.symbol in quoted.unpriced:
            # Without the underlying there is no price of shares, and no Greek of its options.
            mark = found.get(one.contract) or Mark(problem=quoted.unpriced[one.symbol])
            found[one.contract] = mark.model_copy(update={"unfinished": True})
    return found


def _completed(
    quoted: Quoted,
    like: Position,
    rows: Sequence[OptionQuote],
    as_of: dt.datetime,
    rate: float,
    data_type: DataType | None,
) -> Iterable[OptionQuote]:
    """The rows with local IV and Greeks where IB gave none; as they are without a spot."""
    ticks, underlying = quoted.ticks.get(like.symbol), quoted.underlyings.get(like.symbol)
    if ticks is None or ticks.spot is None or underlying is None:
        return rows
    chain = Chain.from_quotes(
        rows,
        underlying=underlying,
        spot=ticks.spot,
        as_of=as_of,
        rate=rate,
        data_type=data_type,
        multiplier=int(like.multiplier),
        trading_class=like.trading_class,
    )
    return valuation.with_local_greeks(chain).rows()


def to_mark(row: OptionQuote) -> Mark:
    """
    A quote as a mark. The middle where both sides are there; half of the ask where nobody bids;
    then the last trade, then the close.
    """
    price, source = _price(row)
    problem = ""
    if price is None:
        problem = row.status.value.replace("_", " ")
    return Mark(
        price=price,
        price_source=source,
        bid=row.bid,
        ask=row.ask,
        iv=row.iv,
        delta=row.delta,
        gamma=row.gamma,
        vega=row.vega,
        theta=row.theta,
        greeks_source=row.greeks_source,
        quoted_at=row.quoted_at,
        problem=problem,
        unfinished=not row.status.is_final,
    )


def _price(row: OptionQuote) -> tuple[float | None, PriceSource]:
    if row.bid is not None and row.ask is not None:
        return 0.5 * (row.bid + row.ask), "mid"
    if row.ask is not None and row.status is RowStatus.NO_QUOTE:
        return 0.5 * row.ask, "ask"
    if row.last is not None:
        return row.last, "last"
    return (row.close, "close") if row.close is not None else (None, "none")
