"""
The model market: a seeded, arbitrage-free market that stands behind the demo gateway.

The same seed gives the same contracts and quotes, in whatever order they are asked for and however
long it takes; only the clock moves. Nothing is computed before somebody asks for it.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tomic.sim.market import (
    AccountBook,
    Bar,
    Holding,
    Listing,
    MarketFill,
    Quote,
    instruments as declared,
    listings,
    paths,
    slices,
    smiles,
)
from tomic.sim.market.account import (
    DEMO_BOOK,
    PAPER_ACCOUNT,
    Planned,
    UnderlyingLeg,
    margin,
    merged,
    open_book,
)
from tomic.sim.market.instruments import Instrument, OptionClass
from tomic.sim.market.listings import Catalogue
from tomic.sim.market.slices import MarketState, Slice
from tomic.wire.answers import ParameterRow
from tomic.wire.requests import ContractSpec

OPEN_START = listings.moment(date(2026, 11, 20), time(15, 0))
"""A Friday afternoon, an hour before the close."""

CLOSED_START = listings.moment(date(2026, 11, 21), time(15, 0))
"""The Saturday after."""

_BOOK_DAYS = 20
_PRICE_SERIES = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST", "BID_ASK"})
_OPTION_HISTORY_DAYS = 60


class ModelMarket:
    """
    A seeded market of shares, funds and indices with their options.

    Args:
        seed: Everything random follows from it.
        start: The market's time when it is made, aware; default a Friday 15:00 in New York.
        closed: Start on the Saturday instead, when nothing trades.
        speed: Market seconds per second of *monotonic*.
        monotonic: Where elapsed time comes from.
        universe: ``demo``, ``synthetic`` (demo and 500 more) or instruments.
        symbols: Keep only these.
        accounts: Account numbers; the holdings belong to the first.
        currency: Base currency of the accounts: USD, EUR, GBP or CHF.
        splits: New shares per old one, by symbol: prices and history as after a split.
        fills: Executions of the day.

    Attributes:
        board: The prices themselves, unrounded, for those who test against them.

    Raises:
        ValueError: A start without zone or outside 2011 to 2032, an unknown universe or symbol.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        start: datetime | None = None,
        closed: bool = False,
        speed: float = 1.0,
        monotonic: Callable[[], float] = clock.monotonic,
        universe: str | Sequence[Instrument] = "demo",
        symbols: Sequence[str] | None = None,
        accounts: Sequence[str] = (PAPER_ACCOUNT,),
        currency: str = "USD",
        splits: Mapping[str, float] | None = None,
        fills: Sequence[MarketFill] = (),
    ) -> None:
        self.seed = seed
        self.start = start or (CLOSED_START if closed else OPEN_START)
        if self.start.tzinfo is None:
            raise ValueError(f"start needs a time zone, got {self.start}")
        self._speed, self._monotonic, self._began = speed, monotonic, monotonic()
        self._instruments = declared.select(universe, symbols)
        self.board = shared_board(self._instruments, seed, self.start, splits or {})
        self._catalogue = self.board.catalogue
        self._accounts, self._currency = tuple(accounts), currency
        self._fills = tuple(fills)
        self._book: AccountBook | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every underlying of this market."""
        return tuple(instrument.symbol for instrument in self._instruments)

    @property
    def built(self) -> tuple[str, ...]:
        """
        The underlyings that somebody has asked for so far; the others have cost nothing.

        Asked here or in another market of the same instruments, seed and start, in this process.
        """
        return self.board.built

    def price_ahead(self) -> Iterator[str]:
        """Price the demo's symbols before anybody asks, yielding the symbol after each expiry."""
        for instrument in declared.select("demo", None):
            if instrument in self._instruments:
                for _ in self.board.price_ahead(instrument):
                    yield instrument.symbol

    def now(self) -> datetime:
        """The market's own time, aware, in UTC."""
        elapsed = (self._monotonic() - self._began) * self._speed
        return (self.start + timedelta(seconds=elapsed)).astimezone(UTC)

    def is_open(self, con_id: int) -> bool:
        """Whether the contract's liquid hours hold now; an unknown contract is never open."""
        instrument = self._catalogue.underlying_of(con_id)
        kind = None if instrument else self._catalogue.option_class(con_id)
        owner = kind[0] if kind else instrument
        if owner is None:
            return False
        hours = listings.liquid(owner, option=kind is not None)
        return listings.is_open(hours, self.now().astimezone(listings.NEW_YORK))

    def find(self, wanted: ContractSpec) -> Sequence[Listing]:
        """All contracts that fit; an empty or zero field is open, and con_id alone is enough."""
        fitting: Iterable[Listing]
        if wanted.con_id:
            known = self._catalogue.listing(wanted.con_id)
            fitting = [known] if known and wanted.sec_type in ("", known.sec_type) else []
        elif wanted.sec_type == "OPT":
            fitting = self._catalogue.matching(wanted)
        else:
            fitting = self._catalogue.underlyings(wanted)
        return [listing for listing in fitting if listings.reachable(wanted, listing)]

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[ParameterRow]:
        """Option parameters of an underlying, several exchanges and classes; empty when unknown."""
        instrument = self._catalogue.underlying_of(under_con_id)
        if instrument is None or instrument.symbol != symbol:
            return ()
        return self._catalogue.parameters(symbol)

    def quote(self, con_id: int) -> Quote | None:
        """Everything that contract can tick now; without bid, ask and Greeks while closed."""
        full = self.frozen_quote(con_id)
        return full if full is None or self.is_open(con_id) else full.blinded()

    def frozen_quote(self, con_id: int) -> Quote | None:
        """The last values of the session that is on, or of the last one."""
        instrument = self._catalogue.underlying_of(con_id)
        if instrument is not None:
            return self.board.underlying_quote(instrument)
        return self.board.option_quote(con_id)

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> Sequence[Bar] | None:
        """Daily bars of *days* sessions up to *end*, oldest first; None where IB has no series."""
        return self.board.bars(con_id, what, days, end)

    def book(self) -> AccountBook:
        """Accounts, values and positions."""
        if self._book is None:
            holdings = [holding for plan in DEMO_BOOK if (holding := self._held(plan)) is not None]
            book = open_book(self._accounts, self._currency, holdings, self._line)
            self._book = replace(book, fills=self._fills)
        return self._book

    def whatif_margin(
        self, account: str, legs: Sequence[tuple[int, float]]
    ) -> tuple[float, float] | None:
        """Change of initial and maintenance margin for (con_id, signed quantity) legs."""
        book = self.book()
        if account not in book.accounts:
            return None
        if any(self._catalogue.listing(con_id) is None for con_id, _ in legs):
            return None
        mine = [holding for holding in book.holdings if holding.account == account]
        added = [Holding(account, con_id, quantity, 0.0) for con_id, quantity in legs]
        before = margin([self._line(holding) for holding in mine])
        after = margin([self._line(holding) for holding in merged([*mine, *added])])
        return round(after[0] - before[0], 2), round(after[1] - before[1], 2)

    def _line(self, holding: Holding) -> UnderlyingLeg:
        listing = self._catalogue.listing(holding.con_id)
        if listing is None:
            raise ValueError(f"no contract {holding.con_id} in this market")
        instrument = self._catalogue.instrument(listing.symbol)
        spot = self.board.level(instrument)[0] if instrument else 0.0
        return UnderlyingLeg(
            underlying=listing.symbol,
            quantity=holding.quantity,
            price=self.board.fair(holding.con_id),
            spot=spot,
            multiplier=float(listing.multiplier or 1),
            strike=listing.strike,
            right=listing.right,
            expiry=listing.expiry_text,
        )

    def _held(self, plan: Planned) -> Holding | None:
        """The contract that a planned holding means today; None when its symbol is not here."""
        instrument = self._catalogue.instrument(plan.symbol)
        if instrument is None:
            return None
        con_id = self._catalogue.underlying_id(plan.symbol)
        multiplier = 1.0
        if plan.right:
            con_id, multiplier = self._planned_option(instrument, plan), 100.0
        cost = round(self.board.fair(con_id) * plan.paid * multiplier, 4)
        return Holding(self._accounts[0], con_id, plan.quantity, cost)

    def _planned_option(self, instrument: Instrument, plan: Planned) -> int:
        rule, today = instrument.classes[0], self.start.astimezone(listings.NEW_YORK).date()
        monthly = [
            day
            for day in self._catalogue.expiries(rule)
            if day == listings.third_friday(day.year, day.month)
            and (day - today).days >= _BOOK_DAYS
        ]
        expiry = monthly[plan.month]
        spot, iv30 = self.board.level(instrument)
        width = iv30 * float(np.sqrt((expiry - today).days / 365.0))
        target = spot * float(np.exp(plan.sigmas * width))
        strike = min(
            self._catalogue.strikes(instrument, rule, expiry), key=lambda k: abs(k - target)
        )
        calls_then_puts = self._catalogue.ids(instrument, rule, expiry, np.array([strike]))
        return int(calls_then_puts["CP".index(plan.right)])


class QuoteBoard:
    """
    Quotes and bars, fixed at one moment.

    Args:
        start: Aware. Outside a session everything stands at the last session's close.
        splits: New shares per old one, by symbol.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        seed: int,
        start: datetime,
        splits: Mapping[str, float],
    ) -> None:
        self._seed, self._splits = seed, splits
        local = start.astimezone(listings.NEW_YORK)
        self.day = _last_session(local)
        self._session = _day(self.day)
        end = listings.moment(self._session, listings.close_time(self._session))
        self.live = local < end
        self.quoted_at = min(local, end)
        self._tape: dict[str, paths.Path] = {}
        self._slices: dict[tuple[str, str, date], tuple[Slice, dict[int, int]]] = {}
        self._quotes: dict[str, Quote] = {}
        self.catalogue = Catalogue(instruments, local, self.level, seed)

    @property
    def built(self) -> tuple[str, ...]:
        """Underlyings whose history has been generated."""
        return tuple(self._tape)

    def path(self, instrument: Instrument) -> paths.Path:
        """The daily history of an underlying."""
        path = self._tape.get(instrument.symbol)
        if path is None:
            path = paths.build(instrument, self._seed)
            ratio = self._splits.get(instrument.symbol, 1.0)
            if ratio != 1.0:
                path = paths.split(path, ratio)
            self._tape[instrument.symbol] = path
        return path

    def level(self, instrument: Instrument) -> tuple[float, float]:
        """Spot and 30-day implied volatility."""
        path = self.path(instrument)
        return float(path.close[self.day]), float(path.iv[self.day])

    def setting(self, instrument: Instrument, day: int | None = None) -> MarketState:
        """What options are priced on, now or at the close of an earlier day."""
        now = self.quoted_at
        if day is not None and day != self.day:
            now = _close_of(day)
        at = self.day if day is None else day
        path = self.path(instrument)
        return MarketState(
            instrument=instrument,
            spot=float(path.close[at]),
            previous_spot=float(path.close[at - 1]),
            iv30=float(path.iv[at]),
            previous_iv30=float(path.iv[at - 1]),
            now=now,
            previous=_close_of(at - 1),
            seed=self._seed,
            live=self.live,
        )

    def slice_of(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> tuple[Slice, dict[int, int]]:
        """All quotes of one class and expiry, and where each contract id stands in them."""
        key = (instrument.symbol, rule.name, expiry)
        known = self._slices.get(key)
        if known is None:
            strike = np.array(self.catalogue.strikes(instrument, rule, expiry))
            ids = self.catalogue.ids(instrument, rule, expiry, strike)
            end = listings.last_trade(rule, expiry)
            built = slices.build(self.setting(instrument), rule, end, strike, ids)
            known = built, {con_id: i for i, con_id in enumerate(ids.tolist())}
            self._slices[key] = known
        return known

    def price_ahead(self, instrument: Instrument) -> Iterator[date]:
        """Price and describe every option of *instrument* now, yielding each expiry when done."""
        self.underlying_quote(instrument)
        for rule in instrument.classes:
            for expiry in self.catalogue.expiries(rule):
                self.slice_of(instrument, rule, expiry)
                self.catalogue.options(instrument, rule, expiry)
                yield expiry

    def option_quote(self, con_id: int) -> Quote | None:
        """Quote of an option, None when there is no such contract."""
        kind = self.catalogue.option_class(con_id)
        if kind is None:
            return None
        built, position = self.slice_of(*kind)
        return built.quote(position[con_id])

    def fair(self, con_id: int) -> float:
        """Model value of any contract, currency per share."""
        instrument = self.catalogue.underlying_of(con_id)
        if instrument is not None:
            return self.level(instrument)[0]
        kind = self.catalogue.option_class(con_id)
        if kind is None:
            raise ValueError(f"no contract {con_id} in this market")
        built, position = self.slice_of(*kind)
        return float(built.fair[position[con_id]])

    def underlying_quote(self, instrument: Instrument) -> Quote:
        """Quote of a share, fund or index."""
        quote = self._quotes.get(instrument.symbol)
        if quote is None:
            quote = self._underlying_quote(instrument)
            self._quotes[instrument.symbol] = quote
        return quote

    def _underlying_quote(self, instrument: Instrument) -> Quote:
        path, day = self.path(instrument), self.day
        spot, iv30 = self.level(instrument)
        half = max(0.01, round(spot * 0.00002 / instrument.liquidity, 2))
        sums = self._option_activity(instrument)
        seasoned = day >= self._first_day(instrument) + paths.HV_RETURNS
        quote = Quote(
            last=spot,
            close=float(path.close[day - 1]),
            open=float(path.open[day]),
            high=float(path.high[day]),
            low=float(path.low[day]),
            historical_volatility=float(path.hv[day]) if seasoned else None,
            implied_volatility=iv30,
            call_volume=sums[0],
            put_volume=sums[1],
            call_open_interest=sums[2],
            put_open_interest=sums[3],
        )
        if instrument.is_index:
            return quote
        return replace(
            quote,
            bid=round(spot - half, 2),
            ask=round(spot + half, 2),
            bid_size=int(200 + 900 * instrument.liquidity),
            ask_size=int(300 + 700 * instrument.liquidity),
            last_size=100,
            volume=int(path.volume[day]),
            dividends=self._dividends(instrument, spot),
        )

    def _option_activity(self, instrument: Instrument) -> tuple[int, int, int, int]:
        """Call and put volume, call and put open interest, over all options of an underlying."""
        totals = np.zeros(4, np.int64)
        setting = self.setting(instrument)
        for rule in instrument.classes:
            for expiry in self.catalogue.expiries(rule):
                strike = np.array(self.catalogue.strikes(instrument, rule, expiry))
                ids = self.catalogue.ids(instrument, rule, expiry, strike)
                end = listings.last_trade(rule, expiry)
                volume, interest = slices.activity(setting, rule, end, strike, ids)
                n = len(strike)
                parts = (volume[:n], volume[n:], interest[:n], interest[n:])
                totals += np.array([part.sum() for part in parts])
        calls, puts, call_interest, put_interest = totals.tolist()
        return calls, puts, call_interest, put_interest

    def _dividends(self, instrument: Instrument, spot: float) -> str | None:
        """Past and next twelve months, next ex-day and amount; None where nothing is paid."""
        today = self._session
        year = timedelta(days=365)
        ahead = smiles.dividends(instrument, spot, today, today + year)
        past = smiles.dividends(instrument, spot, today - year, today)
        if not ahead:
            return None
        sums = [round(sum(d.amount for d in paid), 3) for paid in (past, ahead)]
        return f"{sums[0]},{sums[1]},{ahead[0].ex_day:%Y%m%d},{ahead[0].amount}"

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> list[Bar] | None:
        """Daily bars up to *end*, None where IB has no such series."""
        last = min(self.day, _last_session(end.astimezone(listings.NEW_YORK)))
        first = last - days + 1
        instrument = self.catalogue.underlying_of(con_id)
        if instrument is None:
            return self._option_bars(con_id, what, max(first, last - _OPTION_HISTORY_DAYS), last)
        first = max(first, self._first_day(instrument))
        path = self.path(instrument)
        if what == "OPTION_IMPLIED_VOLATILITY":
            return paths.volatility_bars(path.iv, path.iv_open, first, last)
        if what == "HISTORICAL_VOLATILITY":
            first = max(first, self._first_day(instrument) + paths.HV_RETURNS)
            return paths.volatility_bars(path.hv, path.hv, first, last)
        if what not in _PRICE_SERIES:
            return None
        bars = paths.price_bars(path, first, last)
        if what not in ("TRADES", "ADJUSTED_LAST") or instrument.is_index:
            return [replace(bar, volume=-1, average=-1.0, count=-1) for bar in bars]
        return bars

    @staticmethod
    def _first_day(instrument: Instrument) -> int:
        return 0 if instrument.listed is None else listings.day_index(instrument.listed)

    def _option_bars(self, con_id: int, what: str, first: int, last: int) -> list[Bar] | None:
        """Fair values at the close of each day; trades only where the option trades at all."""
        kind = self.catalogue.option_class(con_id)
        if kind is None or what not in _PRICE_SERIES:
            return None
        instrument, rule, expiry = kind
        listing = self.catalogue.options(instrument, rule, expiry)[con_id]
        built, position = self.slice_of(instrument, rule, expiry)
        i = position[con_id]
        if what == "TRADES" and not built.volume[i]:
            return []
        end = listings.last_trade(rule, expiry)
        premium = float(built.premium[i])
        settings = (self.setting(instrument, day) for day in range(first - 1, last + 1))
        values = [
            slices.past_value(setting, end, listing.strike, listing.right, premium)
            for setting in settings
        ]
        bars = []
        for day, (before, value) in enumerate(pairwise(values), start=first):
            high, low = max(before, value) * 1.02, min(before, value) * 0.98
            opened, top, bottom, closed = (round(x, 4) for x in (before, high, low, value))
            bars.append(Bar(_day(day), opened, top, bottom, closed))
        return bars


def shared_board(
    instruments: Sequence[Instrument], seed: int, start: datetime, splits: Mapping[str, float]
) -> QuoteBoard:
    """
    The board of these arguments: of one moment everybody sees the same prices, computed once.

    A board only remembers what follows from its arguments, so markets may stand on the same one.
    """
    return _remembered(tuple(instruments), seed, start, tuple(sorted(splits.items())))


@lru_cache(maxsize=8)
def _remembered(
    instruments: tuple[Instrument, ...],
    seed: int,
    start: datetime,
    splits: tuple[tuple[str, float], ...],
) -> QuoteBoard:
    return QuoteBoard(instruments, seed, start, dict(splits))


def _day(index: int) -> date:
    day: date = listings.trading_days()[index].item()
    return day


def _close_of(index: int) -> datetime:
    day = _day(index)
    return listings.moment(day, listings.close_time(day))


def _last_session(local: datetime) -> int:
    """Position of the last trading day whose session has begun at *local*."""
    index = listings.day_index(local.date())
    day = _day(index)
    if day == local.date() and local < listings.moment(day, listings.STOCK_LIQUID.opens):
        return index - 1
    return index
