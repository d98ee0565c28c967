"""A book of positions that no gateway told: as text, as a table, or as models."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tomic import legs as words, valuation
from tomic._keywords import suggests
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import UsageError
from tomic.legs import NamedLeg
from tomic.models import DataType, Spot, SpotSource, Underlying, normalize_symbol, settles_in_cash
from tomic.models.book import AccountSummary, Book, Mark, Position, SymbolMarket
from tomic.selection import usual_multiplier
from tomic.strategies.catalogue.templates import own
from tomic.workflows.portfolio.review import PortfolioReview, look, to_mark

if TYPE_CHECKING:
    import pandas as pd

OwnPositions: TypeAlias = "str | Iterable[str | Position] | pd.DataFrame"
"""Legs as people write them, one text or several; `Position` models; or a DataFrame of them."""

_ACCOUNT = "own"
_COLUMNS = {"price": "average_cost", "cost": "average_cost", "type": "right", "qty": "quantity"}


@suggests
def book_of(
    positions: OwnPositions,
    *,
    chains: Chain | Iterable[Chain] = (),
    spots: Mapping[str, float] | None = None,
    iv: Mapping[str, float] | None = None,
    net_liquidation: float | None = None,
    as_of: dt.datetime | None = None,
    settings: Settings | None = None,
) -> Book:
    """
    A book of your own positions, without TWS.

    Args:
        positions: Texts such as ``"-2 SPY 2026-12-18 560P @3.10, +2 550P @1.95"`` (``@`` is what it
            was entered at, per share) or ``"+100 SPY @590"``; or a DataFrame with the columns
            symbol, quantity, right, strike, expiry and price, shares without the middle three.
        chains: Give spots, prices, volatilities and Greeks of what they hold.
        spots: Currency per share by symbol, where no chain says it.
        iv: A volatility by symbol, fraction, for options that no chain holds.
        net_liquidation: In dollars, for shares of it; None leaves those out.
        as_of: With a time zone. None is the time of the latest chain, or now.
        settings: Its strategies may be named in the texts; its ``market.rate`` is the interest.

    Raises:
        UsageError: A text or row cannot be read, or a time has no zone.
    """
    settings = settings or Settings()
    given = [chains] if isinstance(chains, Chain) else list(chains)
    at = as_of or max((chain.as_of for chain in given), default=dt.datetime.now(dt.UTC))
    if at.tzinfo is None:
        raise UsageError(f"as_of={at!r} needs a time zone, as in at.astimezone()")
    held = _positions(positions, settings)
    markets = _markets(held, given, spots or {}, iv or {}, at)
    return Book(
        as_of=at,
        accounts=(AccountSummary(account=_ACCOUNT, net_liquidation=net_liquidation),),
        positions=tuple(held),
        marks=_marks(held, given, markets),
        markets=markets,
        interest=settings.market.rate,
        data_type=given[0].data_type if given else None,
    )


@suggests
def review_book(
    book: Book, settings: Settings | None = None, *, each_symbol: bool = True
) -> PortfolioReview:
    """
    Review a book: structures, Greeks, margin, stress and alerts. Pure: the same gives the same.

    ``.to_frame()`` has a row a structure, ``.stress()`` is the grid of the book and
    ``.stress("SPY")`` that of one symbol. What could not be valued is in ``.review.gaps``.

    Args:
        book: Of `book_of`, for one.
        settings: None for the defaults.
        each_symbol: Also a stress grid for every symbol by itself.
    """
    if not isinstance(book, Book):
        raise UsageError(f"a Book is needed, as book_of makes one; got {type(book).__name__}")
    return look(book, settings or Settings(), each_symbol=each_symbol)


def _positions(given: OwnPositions, settings: Settings) -> list[Position]:
    if isinstance(given, str):
        given = [given]
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        return _of_frame(cast("pd.DataFrame", given))
    held: list[Position] = []
    for each in given:
        if isinstance(each, Position):
            held.append(each)
        elif isinstance(each, str):
            held += [_position(leg) for leg in words.parse(each, own=own(settings))]
        else:
            raise UsageError(f"positions are texts or Positions, got {each!r:.60}")
    return held


def _position(leg: NamedLeg) -> Position:
    where: dict[str, Any] = {"sec_type": "STK", "multiplier": 1.0}
    if not leg.is_stock:
        size = usual_multiplier(leg.symbol)
        if size is None:
            raise UsageError(
                f"the size of a contract on {leg.symbol} is not known by its name; give a Position "
                "with its multiplier"
            )
        where = {"sec_type": "OPT", "multiplier": float(size), "right": leg.right,
                 "strike": leg.strike, "expiry": leg.expiry}  # fmt: skip
    return Position(
        account=_ACCOUNT, symbol=leg.symbol, quantity=leg.quantity, average_cost=leg.price, **where
    )


def _of_frame(frame: pd.DataFrame) -> list[Position]:
    table = frame.rename(columns=lambda name: str(name).strip().lower())
    table = table.rename(columns=_COLUMNS)
    missing = [name for name in ("symbol", "quantity") if name not in table]
    if missing:
        raise UsageError(f"positions: the DataFrame has no column {' or '.join(missing)}")
    return [_of_row(number, row) for number, row in enumerate(table.to_dict("records"))]


def _of_row(number: int, row: Mapping[Any, Any]) -> Position:
    known = {str(name): value for name, value in row.items() if not _is_missing(value)}
    try:
        right = str(known.get("right", ""))[:1].upper()
        expiry = known.get("expiry")
        leg = NamedLeg(
            symbol=normalize_symbol(known["symbol"]),
            quantity=float(known["quantity"]),
            right="C" if right == "C" else "P" if right == "P" else "",
            strike=float(known["strike"]) if right else None,
            expiry=_day(expiry) if right else None,
            price=float(known["average_cost"]) if "average_cost" in known else None,
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise UsageError(f"positions, row {number}: {exc}") from exc
    return _position(leg)


def _is_missing(value: Any) -> bool:
    return value is None or value != value or value == ""


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    return value if isinstance(value, dt.date) else words.day_of(str(value))


def _markets(
    held: Sequence[Position],
    chains: Sequence[Chain],
    spots: Mapping[str, float],
    iv: Mapping[str, float],
    at: dt.datetime,
) -> dict[str, SymbolMarket]:
    of_chain = {chain.symbol: chain for chain in chains}
    price = {normalize_symbol(name): float(value) for name, value in spots.items()}
    level = {normalize_symbol(name): float(value) for name, value in iv.items()}
    markets = {}
    for symbol in sorted({position.symbol for position in held}):
        chain, stated = of_chain.get(symbol), price.get(symbol)
        spot = chain.spot if chain else None
        if stated is not None:
            spot = Spot(price=stated, source=SpotSource.LAST, as_of=at, data_type=DataType.LIVE)
        kind = "IND" if settles_in_cash(symbol) else "STK"
        markets[symbol] = SymbolMarket(
            symbol=symbol,
            underlying=chain.underlying
            if chain
            else Underlying(symbol=symbol, con_id=0, sec_type="IND" if kind == "IND" else "STK"),
            spot=spot,
            div_yield=chain.div_yield if chain else None,
            iv30=level.get(symbol),
        )
    return markets


def _marks(
    held: Sequence[Position], chains: Sequence[Chain], markets: Mapping[str, SymbolMarket]
) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    rows: dict[tuple[str, dt.date, float, str], Mark] = {}
    for chain in chains:
        by_expiry = valuation.carries(chain)
        on_forward = valuation.is_on_forward(chain, by_expiry)
        for row in chain.rows():
            mark = to_mark(row, by_expiry.get(row.expiry), on_forward=on_forward)
            rows[chain.symbol, row.expiry, row.strike, row.right] = mark
    for position in held:
        spot = markets[position.symbol].spot
        if position.is_stock and spot is not None and math.isfinite(spot.price):
            marks[position.contract] = Mark(
                price=spot.price, price_source=spot.source.value, quoted_at=spot.as_of
            )
        elif position.expiry is not None and position.strike is not None and position.right:
            key = (position.symbol, position.expiry, position.strike, position.right)
            if key in rows:
                marks[position.contract] = rows[key]
    return marks
