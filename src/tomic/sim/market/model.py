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

from tomic.sim import market
from tomic.sim.market import account as accounting, forex
from tomic.sim.market.instruments import Instrument
from tomic.sim.market.intraday import Session, bars_within
from tomic.sim.market.prices import shared_board
from tomic.wire.answers import ParameterRow
from tomic.wire.requests import ContractSpec

OPEN_START = market.listings.moment(date(2026, 11, 20), time(15, 0))
"""A Friday afternoon, an hour before the close."""

CLOSED_START = market.listings.moment(date(2026, 11, 21), time(15, 0))
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
        fills: Executions of the day; None for those behind the demo account's holdings.
        planned: What the first account holds; the book of the demo by default.
        holdings: What accounts hold, by contract id, instead of *planned*.
        values: Values of every account by their tag, such as ``NetLiquidation``, instead of those
            that follow from the holdings.

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
        accounts: Sequence[str] = (accounting.PAPER_ACCOUNT,),
        currency: str = "USD",
        splits: Mapping[str, float] | None = None,
        fills: Sequence[market.MarketFill] | None = None,
        planned: Sequence[accounting.Planned] | None = None,
        holdings: Sequence[market.Holding] | None = None,
        values: Mapping[str, float] | None = None,
    ) -> None:
        self.seed = seed
        self.start = start or (CLOSED_START if closed else OPEN_START)
        if self.start.tzinfo is None:
            raise ValueError(f"start needs a time zone, got {self.start}")
        self._speed, self._monotonic, self._began = speed, monotonic, monotonic()
        self._instruments = market.instruments.select(universe, symbols)
        self.board = shared_board(self._instruments, seed, self.start, splits or {})
        self._catalogue = self.board.catalogue
        self._accounts, self._currency = tuple(accounts), currency
        self._fills = None if fills is None else tuple(fills)
        self._planned = accounting.DEMO_BOOK if planned is None else tuple(planned)
        self._holdings, self._values = holdings, dict(values or {})
        self._book: market.AccountBook | None = None

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
        for instrument in market.instruments.select("demo", None):
            # What trades elsewhere is priced when somebody asks for it.
            if instrument.venue is None and instrument in self._instruments:
                for _ in self.board.price_ahead(instrument):
                    yield instrument.symbol

    def now(self) -> datetime:
        """The market's own time, aware, in UTC."""
        elapsed = (self._monotonic() - self._began) * self._speed
        return (self.start + timedelta(seconds=elapsed)).astimezone(UTC)

    def is_open(self, con_id: int) -> bool:
        """Whether the contract's liquid hours hold now; an unknown contract is never open."""
        if con_id in forex.PAIRS:
            return forex.is_open(self.now())
        instrument = self._catalogue.underlying_of(con_id)
        kind = None if instrument else self._catalogue.option_class(con_id)
        owner = kind[0] if kind else instrument
        if owner is None:
            return False
        if owner.venue is not None:
            return market.listings.venue_is_open(owner.venue, self.now())
        hours = market.listings.liquid(owner, option=kind is not None)
        return market.listings.is_open(hours, self.now().astimezone(market.listings.NEW_YORK))

    def find(self, wanted: ContractSpec) -> Sequence[market.Listing]:
        """All contracts that fit; an empty or zero field is open, and con_id alone is enough."""
        fitting: Iterable[market.Listing]
        if wanted.sec_type == "CASH" or wanted.con_id in forex.PAIRS:
            return forex.find(wanted, self.now().astimezone(market.listings.NEW_YORK).date())
        if wanted.con_id:
            known = self._catalogue.listing(wanted.con_id)
            fitting = [known] if known and wanted.sec_type in ("", known.sec_type) else []
        elif wanted.sec_type in ("OPT", "FOP"):
            fitting = self._catalogue.matching(wanted)
        else:
            fitting = self._catalogue.underlyings(wanted)
        return [listing for listing in fitting if market.listings.reachable(wanted, listing)]

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[ParameterRow]:
        """Option parameters of an underlying, several exchanges and classes; empty when unknown."""
        instrument = self._catalogue.underlying_of(under_con_id)
        if instrument is None or instrument.ticker != symbol:
            return ()
        return self._catalogue.parameters(instrument)

    def quote(self, con_id: int) -> market.Quote | None:
        """Everything that contract can tick now; without bid, ask and Greeks while closed."""
        full = self.frozen_quote(con_id)
        return full if full is None or self.is_open(con_id) else full.blinded()

    def frozen_quote(self, con_id: int) -> market.Quote | None:
        """The last values of the session that is on, or of the last one."""
        if (pair := forex.PAIRS.get(con_id)) is not None:
            return forex.quote(pair, self.start, self.seed)
        instrument = self._catalogue.underlying_of(con_id)
        if instrument is not None:
            return self.board.underlying_quote(instrument)
        return self.board.option_quote(con_id)

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> Sequence[market.Bar] | None:
        """Daily bars of *days* sessions up to *end*, oldest first; None where IB has no series."""
        if (pair := forex.PAIRS.get(con_id)) is not None:
            known = min(end, self.now())
            return (
                forex.bars(pair, what, days, known, self.seed) if forex.has_series(what) else None
            )
        return self.board.bars(con_id, what, days, end)

    def intraday(
        self, con_id: int, what: str, size_s: int, days: int, end: datetime
    ) -> Sequence[market.Bar] | None:
        """
        Bars of *size_s* seconds of *days* sessions up to *end*, in regular hours only.

        None where IB has no such series, as for volatilities.
        """
        daily = None if what.endswith("VOLATILITY") else self.bars(con_id, what, days, end)
        if daily is None:
            return None
        session = forex.session if con_id in forex.PAIRS else self._session_of(con_id)
        until = min(end, self.now())
        return bars_within(f"{con_id} {self.seed}", daily, size_s, session, until)

    def _session_of(self, con_id: int) -> Session:
        instrument = self._catalogue.underlying_of(con_id)
        kind = None if instrument else self._catalogue.option_class(con_id)
        owner = instrument or (kind[0] if kind else None)
        hours = market.listings.STOCK_LIQUID
        if owner is not None:
            hours = market.listings.liquid(owner, option=kind is not None)
        return lambda bar: market.listings.session(hours, bar.day)

    def calculate(
        self, con_id: int, under_price: float, *, price: float | None, volatility: float | None
    ) -> market.Computation | None:
        """What an option costs at a volatility, or the volatility behind a price, with Greeks."""
        if self._catalogue.option_class(con_id) is None:
            return None
        return self.board.calculate(
            con_id, self.now(), under_price, price=price, volatility=volatility
        )

    def accounts(self) -> Sequence[str]:
        """The accounts of the login; what they hold is not priced for it."""
        return self._accounts

    def book(self) -> market.AccountBook:
        """Accounts, values and positions."""
        if self._book is None:
            holdings = list(self._holdings) if self._holdings is not None else self._as_planned()
            book = accounting.open_book(self._accounts, self._currency, holdings, self._line)
            fills = self._fills
            if fills is None:
                fills = accounting.day_of_trading(holdings, self._listing_of, self.start)
            self._book = replace(book, fills=fills, values=self._as_given(book.values))
        return self._book

    def _as_planned(self) -> list[market.Holding]:
        holdings = map(self._planned_holding, self._planned)
        return [holding for holding in holdings if holding is not None]

    def _as_given(
        self, values: dict[str, dict[str, tuple[str, str]]]
    ) -> dict[str, dict[str, tuple[str, str]]]:
        given = {tag: (f"{value:.2f}", self._currency) for tag, value in self._values.items()}
        return {account: own | given for account, own in values.items()}

    def _listing_of(self, holding: market.Holding) -> market.Listing | None:
        return self._catalogue.listing(holding.con_id)

    def whatif_margin(
        self, account: str, legs: Sequence[tuple[int, float]]
    ) -> tuple[float, float] | None:
        """Change of initial and maintenance margin for (con_id, signed quantity) legs."""
        book = self.book()
        if account not in book.accounts:
            return None
        if any(con_id in forex.PAIRS for con_id, _ in legs):
            return self._cash_margin(legs)
        if any(self._catalogue.listing(con_id) is None for con_id, _ in legs):
            return None
        mine = [holding for holding in book.holdings if holding.account == account]
        added = [market.Holding(account, con_id, quantity, 0.0) for con_id, quantity in legs]
        before = accounting.margin([self._line(holding) for holding in mine])
        after = accounting.margin(
            [self._line(holding) for holding in accounting.merged([*mine, *added])]
        )
        return round(after[0] - before[0], 2), round(after[1] - before[1], 2)

    def _cash_margin(self, legs: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
        """Of currencies alone: a combination with anything else cannot be ordered."""
        pairs = [(forex.PAIRS.get(con_id), quantity) for con_id, quantity in legs]
        dollars = sum(forex.margin(pair, quantity) for pair, quantity in pairs if pair is not None)
        if any(pair is None for pair, _ in pairs):
            return None
        amount = round(dollars * forex.PER_DOLLAR[self._currency], 2)
        return amount, amount

    def _line(self, holding: market.Holding) -> accounting.UnderlyingLeg:
        listing = self._catalogue.listing(holding.con_id)
        if listing is None:
            raise ValueError(f"no contract {holding.con_id} in this market")
        owner = listing.under_con_id or listing.con_id
        instrument = self._catalogue.underlying_of(owner)
        spot = self.board.level(instrument)[0] if instrument else 0.0
        return accounting.UnderlyingLeg(
            underlying=instrument.symbol if instrument else listing.symbol,
            quantity=holding.quantity,
            price=self.board.fair(holding.con_id),
            spot=spot,
            multiplier=float(listing.multiplier or 1),
            strike=listing.strike,
            fx=accounting.in_dollars(listing.currency) / listing.magnifier,
            currency=listing.currency,
            right=listing.right,
            expiry=listing.expiry_text,
        )

    def _planned_holding(self, plan: accounting.Planned) -> market.Holding | None:
        """The contract that a planned holding means today; None when its symbol is not here."""
        instrument = self._catalogue.instrument(plan.symbol)
        if instrument is None:
            return None
        con_id = self._catalogue.underlying_id(plan.symbol)
        multiplier = 1.0
        if plan.right:
            con_id = self._planned_option(instrument, plan)
            multiplier = float(instrument.classes[0].multiplier)
        # The cost of what is quoted in pence is in pounds all the same (bankroll, issue 31).
        magnifier = instrument.venue.magnifier if instrument.venue else 1
        cost = round(self.board.fair(con_id) * plan.paid * multiplier / magnifier, 4)
        return market.Holding(self._accounts[0], con_id, plan.quantity, cost)

    def _planned_option(self, instrument: Instrument, plan: accounting.Planned) -> int:
        rule, today = instrument.classes[0], self.start.astimezone(market.listings.NEW_YORK).date()
        monthly = [
            day
            for day in self._catalogue.expiries(rule, instrument)
            if day == market.listings.third_friday(day.year, day.month)
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
