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

import numpy as np

from tomic.sim.market import (
    AccountBook,
    Bar,
    Holding,
    Listing,
    MarketFill,
    OptionParameters,
    Quote,
    board,
    listings,
)
from tomic.sim.market import instruments as declared
from tomic.sim.market.account import (
    DEMO_BOOK,
    PAPER_ACCOUNT,
    Planned,
    UnderlyingLeg,
    margin,
    merged,
    open_book,
)
from tomic.sim.market.instruments import Instrument

OPEN_START = listings.moment(date(2026, 11, 20), time(15, 0))
"""A Friday afternoon, an hour before the close."""

CLOSED_START = listings.moment(date(2026, 11, 21), time(15, 0))
"""The Saturday after."""

_BOOK_DAYS = 20


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
        self.board = board.shared(self._instruments, seed, self.start, splits or {})
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

    def find(
        self,
        symbol: str,
        sec_type: str,
        *,
        con_id: int = 0,
        expiry: str = "",
        strike: float = 0.0,
        right: str = "",
        exchange: str = "",
        primary_exchange: str = "",
        currency: str = "",
        trading_class: str = "",
        multiplier: str = "",
        local_symbol: str = "",
    ) -> Sequence[Listing]:
        """All contracts that fit; an empty or zero field is open, and con_id alone is enough."""
        found: Iterable[Listing]
        if con_id:
            known = self._catalogue.listing(con_id)
            found = [known] if known is not None and sec_type in ("", known.sec_type) else []
        elif sec_type == "OPT":
            wanted = listings.OptionFilter(
                expiry, strike, right, trading_class, multiplier, local_symbol
            )
            found = self._catalogue.matching(symbol, wanted)
        else:
            found = self._catalogue.underlyings(symbol, sec_type, local_symbol)
        return [x for x in found if listings.reachable(x, exchange, primary_exchange, currency)]

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[OptionParameters]:
        """Option parameters of an underlying, several exchanges and classes; empty when unknown."""
        instrument = self._catalogue.underlying_of(under_con_id)
        if instrument is None or instrument.symbol != symbol:
            return ()
        return self._catalogue.parameters(symbol)

    def quote(self, con_id: int) -> Quote | None:
        """Everything that contract can tick now; without bid, ask and Greeks while closed."""
        full = self.frozen_quote(con_id)
        if full is None or self.is_open(con_id):
            return full
        return replace(
            full,
            bid=None,
            ask=None,
            bid_size=None,
            ask_size=None,
            model=None,
            bid_model=None,
            ask_model=None,
            last_model=None,
        )

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
            held = [holding for plan in DEMO_BOOK if (holding := self._held(plan)) is not None]
            book = open_book(self._accounts, self._currency, held, self._line)
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
        mine = [held for held in book.holdings if held.account == account]
        added = [Holding(account, con_id, quantity, 0.0) for con_id, quantity in legs]
        before = margin([self._line(held) for held in mine])
        after = margin([self._line(held) for held in merged([*mine, *added])])
        return round(after[0] - before[0], 2), round(after[1] - before[1], 2)

    def _line(self, held: Holding) -> UnderlyingLeg:
        listing = self._catalogue.listing(held.con_id)
        if listing is None:
            raise ValueError(f"no contract {held.con_id} in this market")
        instrument = self._catalogue.instrument(listing.symbol)
        spot = self.board.level(instrument)[0] if instrument else 0.0
        return UnderlyingLeg(
            underlying=listing.symbol,
            quantity=held.quantity,
            price=self.board.fair(held.con_id),
            spot=spot,
            multiplier=float(listing.multiplier or 1),
            strike=listing.strike,
            right=listing.right,
            expiry=f"{listing.expiry:%Y%m%d}" if listing.expiry else "",
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
