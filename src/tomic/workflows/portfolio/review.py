"""
The review of the portfolio: a book from the gateway or from a file, and what it says.

Each run saves the book it read, so that the same review can be had later without TWS. Reading goes
over the session's one budget and through the same quotes as a chain. What cannot be had is noted
with its reason; only the positions and the account values themselves must come.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomic import dates, errors, legs, selection, valuation
from tomic.chain import Chain
from tomic.config import Settings
from tomic.ib import account, contracts, convert
from tomic.ib.option_quotes import Patience, option_quote, quote_all
from tomic.ib.session import Session
from tomic.ib.spot import UnderlyingTicks, ticks_by_other_means, underlying_ticks
from tomic.journal import campaign
from tomic.legs import NamedLeg
from tomic.models import (
    Carry,
    DataType,
    OptionQuote,
    Proposal,
    RowStatus,
    Underlying,
    VolSnapshot,
    normalize_symbol,
)
from tomic.models.book import MOST_LOG_RETURN, AccountSummary, Book, Mark, Position, SymbolMarket
from tomic.models.documents import finite
from tomic.models.frames import Framed
from tomic.models.review import Alert, BookReview, FitChange, StressGrid, Structure, WhatIfMargin
from tomic.models.what_if import WhatIf
from tomic.portfolio import alerts, fit, overview, what_if
from tomic.portfolio.grouping import UNPATTERNED, Claim, Shapes, is_named, known_to
from tomic.selection import Wanted
from tomic.store import Database, Dividend, Earnings
from tomic.strategies.catalogue.templates import own
from tomic.workflows.chain.setup import wanted_data_type
from tomic.workflows.journal.entries import from_document
from tomic.workflows.portfolio import files
from tomic.workflows.progress import Event, Watcher, counting, ignore
from tomic.workflows.scan import load as load_proposal
from tomic.workflows.volatility import history
from tomic.workflows.volatility.measure import EXTRAS_S, parse_dividends

PriceSource = Literal["mid", "ask", "last", "close", "none"]
_OF_QUOTE = (
    "bid", "ask", "iv", "delta", "gamma", "vega", "theta", "greeks_source", "quoted_at",
)  # fmt: skip
"""What a quote and a mark both have."""


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
    problems: dict[str, errors.TomicError] = field(default_factory=dict)


def pair_of(position: Position) -> Wanted:
    """Expiry, strike and right of an option."""
    assert position.expiry is not None and position.strike is not None
    return Wanted(position.expiry, position.strike, "C" if position.right == "C" else "P")


def marks_of(
    quoted: Quoted,
    positions: Sequence[Position],
    *,
    as_of: dt.datetime,
    rate_of: Callable[[str], float],
    data_type: DataType | None,
) -> dict[str, Mark]:
    """A mark of every contract of which something was said, by `Position.contract`."""
    chains: dict[tuple[str, str, float], list[Position]] = {}
    for position in positions:
        if position.contract in quoted.rows:
            chains.setdefault(
                (position.symbol, position.trading_class, position.multiplier), []
            ).append(position)
    marks: dict[str, Mark] = {}
    for members in chains.values():
        names = {pair_of(position): position.contract for position in members}
        rows = [quoted.rows[position.contract] for position in members]
        chain = _completed(quoted, members[0], rows, as_of, rate_of(members[0].currency), data_type)
        if chain is None:
            marks |= {
                names[Wanted(row.expiry, row.strike, row.right)]: to_mark(row) for row in rows
            }
            continue
        by_expiry = valuation.carries(chain)
        on_forward = valuation.is_on_forward(chain, by_expiry)
        for row in chain.rows():
            mark = to_mark(row, by_expiry.get(row.expiry), on_forward=on_forward)
            marks[names[Wanted(row.expiry, row.strike, row.right)]] = mark
    for name, error in quoted.problems.items():
        final = isinstance(error, errors.UnknownContract)
        marks.setdefault(name, Mark(problem=str(error), unfinished=not final))
    for position in positions:
        ticks = quoted.ticks.get(position.symbol)
        if position.is_stock and ticks is not None and ticks.spot is not None:
            marks[position.contract] = Mark(
                price=ticks.spot.price,
                price_source=ticks.spot.source.value,
                quoted_at=ticks.spot.as_of,
            )
        elif position.symbol in quoted.unpriced:
            # Without the underlying there is no price of shares, and no Greek of its options.
            mark = marks.get(position.contract) or Mark(problem=quoted.unpriced[position.symbol])
            marks[position.contract] = mark.model_copy(update={"unfinished": True})
    return marks


def _completed(
    quoted: Quoted,
    like: Position,
    rows: Sequence[OptionQuote],
    as_of: dt.datetime,
    rate: float,
    data_type: DataType | None,
) -> Chain | None:
    """The rows with local IV and Greeks where IB gave none; None without a spot."""
    ticks, underlying = quoted.ticks.get(like.symbol), quoted.underlyings.get(like.symbol)
    if ticks is None or ticks.spot is None or underlying is None:
        return None
    # Nobody holds pairs. A share that IB tells no dividends of is taken to pay none; the book's
    # notes say so. An index always pays some.
    assumed = 0.0 if underlying.sec_type == "STK" else None
    told = ticks.dividend_yield
    chain = Chain.from_quotes(
        rows,
        underlying=underlying,
        spot=ticks.spot,
        as_of=as_of,
        rate=rate,
        div_yield=assumed if told is None else told,
        data_type=data_type,
        multiplier=int(like.multiplier),
        trading_class=like.trading_class,
    )
    return valuation.with_local_greeks(chain)


def to_mark(row: OptionQuote, carry: Carry | None = None, *, on_forward: bool = False) -> Mark:
    """
    A quote as a mark. The middle where both sides are there; half of the ask where nobody bids;
    then the last trade, then the close.

    Args:
        carry: Forward and rate of its expiry.
        on_forward: Whether Greeks of our own are per unit of that forward.
    """
    price, source = _price(row)
    figures: dict[str, Any] = {name: getattr(row, name) for name in _OF_QUOTE}
    if carry is not None:
        figures |= {
            "forward": carry.forward,
            "forward_source": carry.forward_source,
            "rate": carry.rate,
            "on_forward": on_forward,
        }
    return Mark(
        price=price,
        price_source=source,
        problem=row.status.value.replace("_", " ") if price is None else "",
        unfinished=not row.status.is_final,
        **figures,
    )


def _price(row: OptionQuote) -> tuple[float | None, PriceSource]:
    if row.bid is not None and row.ask is not None:
        return 0.5 * (row.bid + row.ask), "mid"
    if row.ask is not None and row.status is RowStatus.NO_QUOTE:
        return 0.5 * row.ask, "ask"
    if row.last is not None:
        return row.last, "last"
    return (row.close, "close") if row.close is not None else (None, "none")


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about the symbols of a book."""

    days: tuple[dt.date, ...] = ()
    returns: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    """Symbols of which a stored price cannot follow the one before it."""
    snapshots: dict[str, VolSnapshot] = field(default_factory=dict)
    earnings: dict[str, list[Earnings]] = field(default_factory=dict)
    dividends: dict[str, list[Dividend]] = field(default_factory=dict)


async def stored(
    store: Database | None, symbols: Sequence[str], settings: Settings, today: dt.date
) -> Known:
    """What is known from *today* on; nothing without a store."""
    if store is None:
        return Known()
    bars = await store.history.many_bars(symbols, days=settings.portfolio.beta_days + 1)
    days, returns, odd = _returns(
        {name: (series.date, series.close) for name, series in bars.items()}
    )
    return Known(
        days,
        returns,
        odd,
        await store.history.latest_snapshots(symbols),
        await store.calendar.earnings(symbols, since=today),
        await store.calendar.dividends(symbols, since=today),
    )


def _returns(
    series: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[tuple[dt.date, ...], dict[str, tuple[float | None, ...]], tuple[str, ...]]:
    """
    Daily log returns on the days of all symbols together; None where a symbol has none.

    A return spans two days that follow each other in that calendar, so a hole costs two of them.
    One that no market has is none; the symbols with such a one are told.
    """
    if not series:
        return (), {}, ()
    days = np.unique(np.concatenate([date for date, _ in series.values()]))
    returns, odd = {}, []
    for name, (date, close) in series.items():
        whole = np.full(days.size, np.nan)
        whole[np.searchsorted(days, date)] = np.log(close)
        steps = np.diff(whole)
        if (beyond := np.abs(steps) > MOST_LOG_RETURN).any():
            odd.append(name)
            steps[beyond] = np.nan
        returns[name] = tuple(map(finite, steps))
    return tuple(days[1:].astype("datetime64[D]").tolist()), returns, tuple(odd)


def market_of(
    symbol: str, quoted: Quoted, known: Known, *, sector: str | None, today: dt.date
) -> SymbolMarket:
    """What the gateway and the store say of one symbol; a file's dates win over the gateway's."""
    midnight = dt.datetime.combine(today, dt.time(), dt.UTC)
    snapshot = known.snapshots.get(symbol) or VolSnapshot(symbol=symbol, as_of=midnight)
    ticks = quoted.ticks.get(symbol)
    spot = ticks.spot if ticks else None
    iv = ticks.implied_volatility if ticks else None
    hv = ticks.historical_volatility if ticks else None
    earnings = [event.day for event in known.earnings.get(symbol, ())]
    if snapshot.next_earnings and snapshot.next_earnings >= today:
        earnings = earnings or [snapshot.next_earnings]
    dividend = next(iter(known.dividends.get(symbol, ())), None)
    if dividend is None and ticks is not None and ticks.dividends:
        announced = parse_dividends(symbol, ticks.dividends)
        dividend = announced if announced and announced.day >= today else None
    return SymbolMarket(
        symbol=symbol,
        underlying=quoted.underlyings.get(symbol),
        spot=spot,
        div_yield=ticks.dividend_yield if ticks else None,
        iv30=snapshot.iv30 if iv is None else iv,
        hv30=hv if snapshot.hv30 is None else snapshot.hv30,
        iv_rank=snapshot.iv_rank,
        skew=snapshot.skew,
        next_earnings=min(earnings, default=None),
        next_dividend=dividend.day if dividend else None,
        dividend_amount=dividend.amount if dividend else None,
        sector=sector,
    )


Refresh = Callable[[Sequence[str]], Awaitable[object]]


@dataclass(slots=True)
class _Reading:
    """A book while it is being read."""

    session: Session
    settings: Settings
    deadline: float | None
    watch: Watcher
    positions: tuple[Position, ...] = ()
    accounts: tuple[AccountSummary, ...] = ()
    legs: tuple[Position, ...] = ()
    """Every contract to quote, once: what is held, then what is only considered."""
    quoted: Quoted = field(default_factory=Quoted)
    notes: list[str] = field(default_factory=list)

    @property
    def benchmark(self) -> str:
        return self.settings.portfolio.benchmark

    @property
    def symbols(self) -> list[str]:
        return sorted({leg.symbol for leg in self.legs} | {self.benchmark})

    @property
    def today(self) -> dt.date:
        return dates.local_date(self.session.clock_now(), str(dates.NEW_YORK))


async def read_book(
    session: Session,
    settings: Settings,
    store: Database | None,
    *,
    considered: Sequence[NamedLeg] = (),
    before: Book | None = None,
    sectors: Mapping[str, str] | None = None,
    refresh: Refresh | None = None,
    deadline: float | None = None,
    watch: Watcher = ignore,
) -> tuple[Book, tuple[Position, ...]]:
    """
    Read positions and accounts over *session* and quote every leg.

    Returns the book, with marks of the considered legs as well, and those legs as contracts of the
    gateway, of quantity 0: they are no part of the book.

    Args:
        store: Stored returns, volatility and events; None leaves them out.
        considered: Legs of a trade to quote beside those that are held.
        before: The last saved book, for the day since which a position is held.
        sectors: Symbol to its sector.
        refresh: Brings the stored bars of symbols up to date; what it cannot do costs no book.
        deadline: Time of the running loop; legs without a quote by then say so.

    Raises:
        RequestTimeout: Positions or account values did not come whole; never an empty book instead.
        DeadlineExceeded: The deadline passed before they came.
        SessionError: The gateway was lost for good.
    """
    work = _Reading(session, settings, deadline, watch)
    watch(Event("stage", "", "positions and account values"))
    try:
        async with asyncio.timeout_at(deadline):
            await session.persistently(partial(_read_account, work), deadline=deadline)
            asked = [await _considered(work, leg) for leg in considered]
    except TimeoutError as exc:
        raise errors.DeadlineExceeded("the deadline passed before the account was read") from exc
    by_contract: dict[str, Position] = {}
    for leg in (*work.positions, *asked):
        by_contract.setdefault(leg.contract, leg)
    work.legs = tuple(by_contract.values())
    await _quote_underlyings(work)
    await _quote_options(work)
    known = await _known(work, store, refresh)
    return _assembled(work, known, before, sectors or {}), tuple(
        leg for leg in work.legs if leg.proposed
    )


# -- the account -----------------------------------------------------------------------------


async def _read_account(work: _Reading) -> None:
    timeout_s = work.settings.portfolio.account_timeout_s
    held = await account.positions(work.session, timeout_s=timeout_s)
    work.positions = await account.named(
        work.session, held, work.settings.market, timeout_s=work.settings.ib.request_timeout_s
    )
    work.accounts = await account.summaries(work.session, timeout_s=timeout_s)
    await work.session.now()


async def _considered(work: _Reading, leg: NamedLeg) -> Position:
    """
    A leg that is not held, with the contract id and class that the gateway gives it.

    Raises:
        UnknownContract: There is no such option or symbol.
        UsageError: It is shares of an index.
        RequestFailed: The gateway did not say.
    """
    own = next((position for position in work.positions if is_named(position, leg)), None)
    if own is not None:
        return own
    session, ib = work.session, work.settings.ib
    underlying = await contracts.resolve_underlying(
        session, leg.symbol, work.settings.market, timeout_s=ib.request_timeout_s
    )
    if leg.strike is None and underlying.settles_in_cash:
        legs.refuse_index_shares([leg], [leg.symbol])
    bare = Position(
        account="",
        symbol=leg.symbol,
        sec_type="STK",
        quantity=0.0,
        con_id=underlying.con_id,
        currency=underlying.currency,
        proposed=True,
    )
    if leg.strike is None or leg.expiry is None:
        return bare
    listed = await contracts.option_params(session, underlying, timeout_s=ib.params_timeout_s)
    market, asked = work.settings.market, work.settings.chain.trading_class
    params = selection.choose_params(
        listed, leg.symbol, market.trading_class(leg.symbol, asked), ticker=underlying.ib_symbol
    )
    pair = Wanted(leg.expiry, leg.strike, "C" if leg.right == "C" else "P")
    contract = convert.option_contract(underlying, params, pair)
    details = await account.details_of(
        session, contract, contracts.describe(leg.symbol, pair), timeout_s=ib.request_timeout_s
    )
    option = {
        **pair._asdict(),
        "sec_type": "FOP" if underlying.is_future else "OPT",
        "exchange": "" if params.exchange == "SMART" else params.exchange,
        "con_id": details.contract.conId if details.contract else None,
        "multiplier": float(params.multiplier),
        "trading_class": params.trading_class,
    }
    return bare.model_copy(update=option)


# -- quotes ------------------------------------------------------------------------------------


async def _quote_underlyings(work: _Reading) -> None:
    first = {leg.symbol: leg for leg in reversed(work.legs) if leg.is_option or leg.is_stock}
    optioned = {leg.symbol for leg in work.legs if leg.is_option}
    session, settings = work.session, work.settings
    now = session.clock_now()

    async def quote(symbol: str) -> UnderlyingTicks:
        like = first.get(symbol) or Position(
            account="", symbol=symbol, sec_type="STK", quantity=0.0
        )
        underlying = await account.underlying_of(
            session, like, settings.market, timeout_s=settings.ib.request_timeout_s
        )
        work.quoted.underlyings[symbol] = underlying
        await session.use_data_type(wanted_data_type(session, underlying, now))
        timeout_s, has_options = settings.market.spot_timeout_s, symbol in optioned
        try:
            return await underlying_ticks(
                session,
                underlying,
                timeout_s=timeout_s,
                extras_s=EXTRAS_S,
                # Without options of it there is no other price than a delayed one.
                delayed=not has_options,
            )
        except errors.NoMarketData as exc:
            if not has_options:
                raise
            refused = exc
        listed = await contracts.option_params(
            session, underlying, timeout_s=settings.ib.params_timeout_s
        )
        ticks, _ = await ticks_by_other_means(
            session,
            underlying,
            selection.choose_params(listed, symbol, settings.chain.trading_class),
            dates.local_date(now, underlying.time_zone),
            refused,
            rate=settings.market.rate_of(underlying.currency),
            timeout_s=timeout_s,
            extras_s=EXTRAS_S,
        )
        return ticks

    asked = [symbol for symbol in work.symbols if symbol in first or symbol == work.benchmark]
    count = counting(work.watch, "underlyings", len(asked), "underlyings")
    outcomes = await session.fan_out(
        asked, quote, deadline=work.deadline, on_done=count, resume=True
    )
    for outcome in outcomes:
        if outcome.value is not None:
            work.quoted.ticks[outcome.item] = outcome.value
            if outcome.value.spot is None:
                seconds = settings.market.spot_timeout_s
                work.quoted.unpriced[outcome.item] = f"no price within {seconds:g} s"
        elif outcome.error is not None:
            if not isinstance(outcome.error, errors.UnknownContract):
                work.quoted.unpriced[outcome.item] = str(outcome.error)
            work.notes.append(f"{outcome.item}: {outcome.error}")


async def _quote_options(work: _Reading) -> None:
    """Quote every living option."""
    session, rules = work.session, work.settings.chain
    options = [leg for leg in work.legs if leg.is_option]
    living = [
        leg for leg in options if (settled := dates.settlement_of(leg)) and settled >= work.today
    ]
    patience = Patience(rules.silent_s)

    async def quote(leg: Position, on_asked: Callable[[], None]) -> OptionQuote:
        contract = account.leg_contract(leg)
        return await option_quote(
            session, leg.contract, contract, pair_of(leg), rules, patience, on_asked
        )

    count = counting(work.watch, "legs", len(living), "legs")
    outcomes = await quote_all(session, living, quote, deadline=work.deadline, on_done=count)
    for outcome in outcomes:
        name = outcome.item.contract
        if outcome.value is not None:
            work.quoted.rows[name] = outcome.value
        elif outcome.error is not None:
            work.quoted.problems[name] = outcome.error


async def _known(work: _Reading, store: Database | None, refresh: Refresh | None) -> Known:
    if refresh is not None:
        try:
            await refresh(work.symbols)
        except errors.TomicError as exc:
            work.notes.append(f"returns were not brought up to date: {exc}")
    return await stored(store, work.symbols, work.settings, work.today)


# -- the book ----------------------------------------------------------------------------------


def _assembled(
    work: _Reading, known: Known, before: Book | None, sectors: Mapping[str, str]
) -> Book:
    session, quoted, market = work.session, work.quoted, work.settings.market
    as_of, today = session.clock_now(), work.today
    base = work.accounts[0].currency if work.accounts else "USD"
    symbols = {leg.symbol for leg in work.legs if leg.is_option or leg.is_stock}
    if unknown := sorted(symbols - set(known.returns)):
        work.notes.append(
            f"no stored returns of {', '.join(unknown)}: beta taken as 1; run tomic prices"
        )
    if known.odd:
        work.notes.append(
            f"stored prices of {', '.join(known.odd)} jump as no market does; those days are left "
            "out of returns"
        )
    marks = marks_of(
        quoted, work.legs, as_of=as_of, rate_of=market.rate_of, data_type=session.data_type
    )
    markets = {
        name: market_of(name, quoted, known, sector=sectors.get(name), today=today)
        for name in work.symbols
    }
    work.notes += _carry_notes(work.legs, marks, markets)
    return Book(
        as_of=as_of,
        currency=base,
        accounts=work.accounts,
        positions=_with_first_seen(work.positions, before, today),
        marks=marks,
        markets=markets,
        rates=_rates(work.accounts, base),
        interest=market.rate,
        interest_rates=market.rates,
        data_type=session.data_type,
        benchmark=work.benchmark,
        return_days=known.days,
        returns=known.returns,
        notes=(*session.notes, *work.notes),
    )


def _carry_notes(
    positions: Sequence[Position], marks: Mapping[str, Mark], markets: Mapping[str, SymbolMarket]
) -> list[str]:
    """Of which symbols local Greeks hang on an assumed forward, and of which there are none."""
    assumed: set[str] = set()
    unknown: set[str] = set()
    for position in positions:
        mark = marks.get(position.contract)
        if not position.is_option or mark is None or mark.price is None:
            continue
        if mark.greeks_source == "local" and mark.forward_source == "spot":
            assumed.add(position.symbol)
        elif mark.greeks_source == "none" and mark.forward_source == "none":
            unknown.add(position.symbol)
    notes = []
    for symbol in sorted(assumed):
        market = markets.get(symbol)
        told = None if market is None else market.div_yield
        words = "no dividends, as IB told none" if told is None else f"a yield of {told:.2%}"
        notes.append(
            f"{symbol}: no call and put held are a pair, so Greeks marked local take the spot "
            f"carried at the rate less {words}"
        )
    if unknown:
        notes.append(
            f"{', '.join(sorted(unknown))}: IB gave no Greeks, and no call and put held are a pair "
            "that implies a forward: none of our own"
        )
    return notes


def _rates(accounts: Sequence[AccountSummary], base: str) -> dict[str, float]:
    """Base currency for one unit of each, from the accounts that have this base."""
    own = (summary for summary in accounts if summary.currency == base)
    return {name: rate for summary in own for name, rate in summary.rates.items()}


def _with_first_seen(
    positions: Iterable[Position], before: Book | None, today: dt.date
) -> tuple[Position, ...]:
    """Each position with the day of the first saved book that held it on the same side."""
    earlier = {
        (position.account, position.contract): position
        for position in (before.positions if before else ())
        if position.first_seen is not None
    }

    def first_seen(position: Position) -> dt.date | None:
        old = earlier.get((position.account, position.contract))
        return old.first_seen if old and old.quantity * position.quantity > 0.0 else today

    return tuple(
        position.model_copy(update={"first_seen": first_seen(position)}) for position in positions
    )


_REFRESH_S = 15.0
PROPOSAL_ID = re.compile(r"R?\d{8}-\d+")
"""How the store numbers proposals: 20261120-3, or R20250519-3 in a recording."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A trade beside the book: what it would change, and what speaks for or against it now."""

    trade: str
    legs: tuple[NamedLeg, ...]
    after: BookReview
    change: FitChange
    structures: tuple[Structure, ...]
    """The trade by itself: what it would be called, its margin, largest profit and loss."""
    alerts: tuple[Alert, ...] = ()
    what_if: WhatIfMargin | None = None
    what_if_problem: str = ""
    """Why there is no margin of the broker's, where it was asked for."""


@dataclass(frozen=True, slots=True)
class PortfolioReview(Framed):
    """What `tomic portfolio` shows."""

    book: Book
    review: BookReview
    considered: Considered | None = None
    saved: Path | None = None
    """Where the book was written, or read from."""
    claims: tuple[Claim, ...] = ()
    """What its legs were grouped by."""
    own: Shapes = UNPATTERNED
    """Strategies that were recognised by their shape alone."""

    def _framed(self) -> Iterable[Any]:
        return self.review._framed()

    def _heading(self) -> str:
        return self.review._heading()

    def stress(self, symbol: str = "") -> StressGrid:
        """
        P&L of the book over moves of spot, of volatility and days, or that of one symbol.

        Raises:
            DataError: Nothing in the book could be revalued.
            UsageError: There is no grid of that symbol; ``each_symbol=True`` makes them.
        """
        if not symbol:
            if self.review.stress is None:
                raise errors.DataError("nothing in the book can be revalued; see review.gaps")
            return self.review.stress
        grids = {grid.name: grid for grid in self.review.stress_by_symbol}
        name = normalize_symbol(symbol)
        if name not in grids:
            known = ", ".join(grids) or "none: ask desk.portfolio(each_symbol=True)"
            raise errors.UsageError(f"no stress grid of {name}; there are {known}")
        return grids[name]

    def what_if(self, name: str, *, move: float = 0.0, vol: float = 0.0, days: int = 0) -> WhatIf:
        """
        What one structure would bring if the market moved; see `tomic.portfolio.what_if`.

        Args:
            name: Its id, the number of its journal entry, or its symbol where it is the only one.
            move, vol: Of the price and, relative, of every volatility; fractions.
            days: Calendar days to pass.

        Raises:
            UsageError: There is no such structure, or what is asked cannot be.
            DataError: One of its legs cannot be valued.
        """
        held = what_if.subjects(self.book, self.claims, self.review.structures, self.own)
        return what_if.what_if(what_if.find(held, name), move=move, vol=vol, days=days)


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """
    What somebody wants to see.

    Attributes:
        trade: A proposal's id, or legs, to put beside the book; empty for none.
        each_symbol: Also a stress grid for every symbol by itself.
        ib_margin: Also the broker's own margin of that trade.
        file: A saved book instead of the gateway.
        last: The last saved book instead of the gateway.
    """

    trade: str = ""
    each_symbol: bool = False
    ib_margin: bool = False
    file: Path | None = None
    last: bool = False

    def check(self) -> None:
        """
        Refuse what cannot be, before anything is opened.

        Raises:
            UsageError: Options that exclude or need each other.
        """
        if self.file is not None and self.last:
            raise errors.UsageError("file and last exclude each other; give one of them")
        if self.ib_margin and not self.trade:
            raise errors.UsageError(
                "ib_margin (--ib-margin) asks about one trade; name it (--with)"
            )
        if self.ib_margin and (self.file is not None or self.last):
            raise errors.UsageError("ib_margin (--ib-margin) needs TWS; leave out file and last")


# -- the command's work ------------------------------------------------------------------------


async def portfolio(
    open_session: Callable[[], Awaitable[Session]],
    store: Database,
    settings: Settings,
    ask: ReviewRequest,
    *,
    simulated: bool = False,
    deadline: float | None = None,
    watch: Watcher = ignore,
) -> PortfolioReview:
    """
    Review the book of the gateway, which is then saved, or a saved one.

    Args:
        open_session: Gives the session, called only when the gateway is needed.
        simulated: Whether a demo or replay answers; its book is saved apart.
        deadline: Time of the running loop.

    Raises:
        UsageError: The trade, or what is asked, cannot be right.
        BadFile: No such saved book, or pins or sectors that cannot be read.
        RequestTimeout, SessionError: The account could not be read.
    """
    ask.check()
    trade_legs = await _trade_legs(ask.trade, store, settings)
    legs.refuse_index_shares(trade_legs, settings.market.indices)
    if ask.ib_margin:
        _check_one_underlying(leg.symbol for leg in trade_legs)
    pins = (
        files.load_pins(settings.portfolio.pins, own(settings)) if settings.portfolio.pins else []
    )
    claims = [*pins, *await journal_claims(store, watch)]
    path = files.snapshot_path(settings, simulated=simulated)
    reviewed = partial(
        look, settings=settings, claims=claims, each_symbol=ask.each_symbol, trade=ask.trade,
        trade_legs=trade_legs,
    )  # fmt: skip
    if ask.file is not None or ask.last:
        source = ask.file or path
        if ask.last and not simulated:
            files.check_saved(settings)
        book = files.load_book(source)
        _check_known(book, trade_legs, source)
        return await asyncio.to_thread(reviewed, book, saved=source)
    sectors = files.load_sectors(settings.portfolio.sectors) if settings.portfolio.sectors else {}
    session = await open_session()
    book, known = await read_book(
        session,
        settings,
        store,
        considered=trade_legs,
        before=files.last_book(path),
        sectors=sectors,
        refresh=_refresher(open_session, store, settings, deadline),
        deadline=deadline,
        watch=watch,
    )
    # Stress grids are pure and take a while, and the session must go on answering meanwhile.
    saved = _saved(book, path, watch)
    view = await asyncio.to_thread(reviewed, book, known=known, saved=saved)
    if not ask.ib_margin or view.considered is None:
        return view
    asked = overview.with_legs(book, trade_legs, known=known)
    margin, problem = await _margin_or_reason(session, asked, settings, deadline)
    if problem:
        watch(Event("note", "", problem))
    considered = replace(view.considered, what_if=margin, what_if_problem=problem)
    return replace(view, considered=considered)


async def _margin_or_reason(
    session: Session, asked: Book, settings: Settings, deadline: float | None
) -> tuple[WhatIfMargin | None, str]:
    """The broker's margin, or why there is none: a book that was read is shown in any case."""
    try:
        async with asyncio.timeout_at(deadline):
            return await session.stoppable(broker_margin(session, asked, settings)), ""
    except TimeoutError:
        return None, "the deadline passed before TWS gave a what-if margin"
    except errors.TomicError as exc:
        return None, str(exc)


def _check_one_underlying(symbols: Iterable[str]) -> None:
    if len(set(symbols)) > 1:
        raise errors.UsageError(
            "ib_margin (--ib-margin) asks about one combination: name one underlying"
        )


def _saved(book: Book, path: Path, watch: Watcher) -> Path | None:
    """Where the book was saved; a disk that is full costs the copy, not the review."""
    try:
        return files.save_book(book, path)
    except errors.BadFile as exc:
        watch(Event("note", "", f"{exc}; the book was not saved"))
        return None


def _refresher(
    open_session: Callable[[], Awaitable[Session]],
    store: Database,
    settings: Settings,
    deadline: float | None,
) -> Refresh:
    """Brings bars up to date while it takes seconds; what IB's limit would delay stays old."""

    async def refresh(symbols: Sequence[str]) -> object:
        until = asyncio.get_running_loop().time() + _REFRESH_S
        if deadline is not None:
            until = min(until, deadline)
        return await history.update(
            open_session, store, symbols, settings, series=("bars",), deadline=until
        )

    return refresh


def _check_known(book: Book, trade_legs: Iterable[NamedLeg], source: Path) -> None:
    for leg in trade_legs:
        if leg.symbol not in book.markets:
            raise errors.DataError(
                f"{source} knows no price of {leg.symbol}; ask without file or last "
                "(--file, --last)"
            )


async def _trade_legs(trade: str, store: Database, settings: Settings) -> tuple[NamedLeg, ...]:
    """The legs of a proposal by its id, or as they are written."""
    if not trade:
        return ()
    if PROPOSAL_ID.fullmatch(trade.strip()):
        replayed = settings.store.replay_path
        return legs_of(await load_proposal(store, trade.strip(), replayed=replayed))
    return legs.parse(trade, own=own(settings))


# -- looking at a book -------------------------------------------------------------------------


def look(
    book: Book,
    settings: Settings,
    *,
    claims: Sequence[Claim] = (),
    each_symbol: bool = False,
    trade: str = "",
    trade_legs: Sequence[NamedLeg] = (),
    known: Sequence[Position] = (),
    saved: Path | None = None,
) -> PortfolioReview:
    """
    Review *book*, and beside it the book with *trade_legs* where some are given.

    Args:
        claims: Your pins and the journal's entries.
        known: Contracts of the trade that are not held, as the gateway gave them.
    """
    before = overview.review(book, settings, claims=claims, each_symbol=each_symbol)
    considered = None
    if trade_legs:
        considered = _consider(book, before, settings, claims, trade, tuple(trade_legs), known)
    return PortfolioReview(book, before, considered, saved, tuple(claims), known_to(settings))


def _consider(
    book: Book,
    before: BookReview,
    settings: Settings,
    claims: Sequence[Claim],
    trade: str,
    trade_legs: tuple[NamedLeg, ...],
    known: Sequence[Position],
) -> Considered:
    with_it = overview.with_legs(book, trade_legs, known=known)
    after = overview.review(with_it, settings, claims=claims)
    added = tuple(position for position in with_it.positions if position.proposed)
    alone = overview.review(book.model_copy(update={"positions": added}), settings)
    volatilities = {structure.symbol: structure.iv for structure in reversed(alone.structures)}
    limits, warnings = settings.portfolio.alerts, list[Alert]()
    for symbol in sorted({leg.symbol for leg in trade_legs}):
        iv, market = volatilities.get(symbol), book.markets.get(symbol)
        warnings += alerts.of_entry(symbol, iv, market, limits)
    return Considered(
        trade=trade,
        legs=trade_legs,
        after=after,
        change=fit.change(trade, before, after),
        structures=alone.structures,
        alerts=tuple(warnings),
    )


async def broker_margin(
    session: Session, book: Book, settings: Settings, *, account_name: str = ""
) -> WhatIfMargin:
    """
    What TWS says the trade considered in *book* would take: one what-if order for all its legs.

    Raises:
        DataError: A leg was not found at the gateway.
        UsageError: Legs on several underlyings, which no combination can hold.
        GatewayRefused: TWS refuses, as it does in read-only mode.
        RequestTimeout, SessionLost: No answer.
    """
    proposed = [position for position in book.positions if position.proposed]
    for position in proposed:
        if position.con_id is None:
            raise errors.DataError(f"{position.contract}: the gateway gave no contract id")
    order = [
        account.OrderLeg(account.leg_contract(leg), leg.quantity, leg.contract) for leg in proposed
    ]
    _check_one_underlying(leg.contract.symbol for leg in order)
    where = account_name or proposed[0].account
    return await account.what_if(
        session, order, account=where, timeout_s=settings.portfolio.account_timeout_s
    )


# -- which trade ---------------------------------------------------------------------------------


def legs_of(proposal: Proposal) -> tuple[NamedLeg, ...]:
    """The legs of a proposal, entered at their present marks."""
    return tuple(
        NamedLeg(proposal.symbol, float(leg.quantity), leg.right or "", leg.strike, leg.expiry)
        for leg in proposal.legs
    )


# -- who says what belongs together ----------------------------------------------------------------


async def journal_claims(store: Database, watch: Watcher = ignore) -> list[Claim]:
    """
    The open entries of the journal, by number: their legs form one structure each.

    An entry that cannot be read is told to *watch* and claims nothing.
    """
    claims = []
    for document in await store.journal.load_all("open"):
        try:
            entry = from_document(document)
        except errors.StoreError as exc:
            watch(Event("note", "", str(exc)))
            continue
        owned = tuple(
            NamedLeg(entry.symbol, leg.quantity, leg.right or "", leg.strike, leg.expiry)
            for leg in campaign.held(entry)
        )
        if owned:
            strategy, opened = entry.strategy or None, entry.opened_at.date()
            claims.append(Claim("journal", f"{entry.id}", owned, strategy=strategy, opened=opened))
    return claims
