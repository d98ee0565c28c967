"""
A recorded chain behind the gateway: exactly the file's quotes, and nothing that it does not hold.

The underlying itself has no quote in such a file. A client that finds no price of the stock takes
:attr:`Replay.spot`, or draws the same parity from the quotes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time

from tomic import dates
from tomic.chain import Chain
from tomic.config import MarketSettings
from tomic.models import OptionQuote, RowStatus, SpotSource, Underlying, major_currency
from tomic.sim.market import AccountBook, Bar, Computation, Listing, Quote, listings
from tomic.sim.market.account import PAPER_ACCOUNT
from tomic.sim.market.instruments import DEMO, ExpirySchedule, Instrument, OptionClass, Venue
from tomic.wire.answers import ParameterRow
from tomic.wire.requests import ContractSpec

# The PM-settled class is the one that a chain of the index is asked for.
_CLASSES = {"SPX": "SPXW"}
_FIRST_ID = 1_000_000_000


class Replay:
    """
    One recorded chain as a market whose clock stands still.

    Attributes:
        chain: What is served; contracts that do not exist are not.
        symbol: The underlying's, as the gateway spells it.
        spot: Price of the underlying, currency per share; ``None`` where nothing implies one.
        as_of: When the chain was recorded, aware.
    """

    def __init__(self, chain: Chain) -> None:
        listing = MarketSettings().listing(chain.symbol)
        ticker = chain.underlying.ticker or listing.ticker
        self.chain, self.symbol, self.as_of = chain, ticker.replace(".", " "), chain.as_of
        self.spot = chain.spot.price if math.isfinite(chain.spot.price) else None
        # What parity implies was never quoted.
        self._stated = None if chain.spot.source is SpotSource.PARITY else self.spot
        self._local = self.as_of.astimezone(listings.NEW_YORK)
        trading_class = chain.trading_class or _CLASSES.get(
            self.symbol, self.symbol.replace(" ", "")
        )
        self._rule = OptionClass(
            trading_class,
            ExpirySchedule.DAILIES,
            multiplier=f"{chain.multiplier}",
            exchanges=() if _is_american(chain.underlying) else (listing.exchange,),
        )
        self._instrument = _instrument(self.symbol, chain.underlying, self._rule, listing.exchange)
        first = _FIRST_ID + zlib.crc32(self.symbol.encode()) % 1000 * 1_000_000
        self._underlying = listings.describe_underlying(self._instrument, first, self._local.date())
        listed = (row for row in chain.rows() if row.status != RowStatus.UNKNOWN_CONTRACT)
        self._rows = dict(enumerate(listed, start=first + 1))
        self._options = {con_id: self._describe(con_id, row) for con_id, row in self._rows.items()}

    def _describe(self, con_id: int, row: OptionQuote) -> Listing:
        rule = self._rule
        today = self._local.date()
        under = self._underlying.con_id
        settled = dates.settlement_day(
            row.expiry, trading_class=rule.name, symbol=self.chain.symbol
        )
        template = replace(
            listings.option_template(self._instrument, rule, row.expiry, under, today),
            settled=settled,
        )
        return listings.described(template, con_id, row.strike, row.right)

    def now(self) -> datetime:
        """The moment of recording, in UTC; it does not move."""
        return self.as_of.astimezone(UTC)

    def is_open(self, con_id: int) -> bool:
        """Whether the contract's liquid hours held when the chain was recorded."""
        if con_id != self._underlying.con_id and con_id not in self._rows:
            return False
        if self._instrument.venue is not None:
            return listings.venue_is_open(self._instrument.venue, self.as_of)
        hours = listings.liquid(self._instrument, option=con_id in self._rows)
        return listings.is_open(hours, self._local)

    def find(self, wanted: ContractSpec) -> Sequence[Listing]:
        """The contracts of the file that fit, or the underlying; an empty or zero field is open."""
        symbol, sec_type, local_symbol = wanted.symbol, wanted.sec_type, wanted.local_symbol
        if wanted.con_id:
            known = self._listing(wanted.con_id)
            fitting = [known] if known and sec_type in ("", known.sec_type) else []
        elif sec_type in ("OPT", "FOP"):
            mine = symbol == self.symbol or (not symbol and bool(local_symbol))
            options = self._options.values() if mine else ()
            fitting = [option for option in options if listings.is_meant(wanted, option)]
        else:
            fits = self.symbol in (symbol, local_symbol) and sec_type == self._underlying.sec_type
            fitting = [self._underlying] if fits else []
        # The file does not say where the underlying is listed.
        anywhere = replace(wanted, primary_exchange="")
        return [listing for listing in fitting if listings.reachable(anywhere, listing)]

    def _listing(self, con_id: int) -> Listing | None:
        if con_id == self._underlying.con_id:
            return self._underlying
        return self._options.get(con_id)

    def parameters(self, symbol: str, under_con_id: int) -> Sequence[ParameterRow]:
        """One class on two exchanges: all expiries and all strikes that occur in the file."""
        if symbol != self.symbol or under_con_id != self._underlying.con_id:
            return ()
        some = next(iter(self._options.values()))
        expiries = tuple(sorted({f"{row.expiry:%Y%m%d}" for row in self._rows.values()}))
        strikes = tuple(sorted({row.strike for row in self._rows.values()}))
        return [
            ParameterRow(
                exchange, under_con_id, some.trading_class, some.multiplier, expiries, strikes
            )
            for exchange in (self._rule.exchanges or ("SMART", "CBOE"))
        ]

    def quote(self, con_id: int) -> Quote | None:
        """The recorded quote; on a closed market without bid, ask and Greeks, as live data are."""
        full = self.frozen_quote(con_id)
        return full if full is None or self.is_open(con_id) else full.blinded()

    def frozen_quote(self, con_id: int) -> Quote | None:
        """The recorded quote, whether the market was open or closed; None for unknown contracts."""
        if con_id == self._underlying.con_id:
            return Quote(last=self._stated)
        row = self._rows.get(con_id)
        if row is None:
            return None
        greeks = (row.iv, row.delta, row.gamma, row.vega, row.theta)
        model = None
        if any(value is not None for value in greeks):
            model = Computation(
                iv=row.iv, delta=row.delta, gamma=row.gamma, vega=row.vega, theta=row.theta
            )
        return Quote(
            bid=row.bid,
            ask=row.ask,
            last=row.last,
            close=row.close,
            volume=row.volume,
            open_interest=row.open_interest,
            model=model,
        )

    def bars(self, con_id: int, what: str, days: int, end: datetime) -> Sequence[Bar] | None:
        """No bars: a recorded chain has no past."""
        known = self._listing(con_id)
        return None if known is None or known.is_option else []

    def accounts(self) -> Sequence[str]:
        """One paper account."""
        return (PAPER_ACCOUNT,)

    def book(self) -> AccountBook:
        """One paper account that holds nothing."""
        return AccountBook((PAPER_ACCOUNT,), {PAPER_ACCOUNT: {}})

    def whatif_margin(
        self, account: str, legs: Sequence[tuple[int, float]]
    ) -> tuple[float, float] | None:
        """Nothing: a recorded chain has no account to ask."""
        return None


def _is_american(underlying: Underlying) -> bool:
    return underlying.is_american_listing


def _venue(underlying: Underlying, exchange: str) -> Venue | None:
    """Where a recorded underlying trades, if not in New York; its hours are not in the file."""
    if _is_american(underlying):
        return None
    currency, magnifier = major_currency(underlying.currency)
    stock = underlying.sec_type == "STK"
    known = next(
        (p.venue for p in DEMO if p.venue is not None and p.venue.exchange == exchange), None
    )
    opens, closes = (known.opens, known.closes) if known else (time(9), time(17, 30))
    return Venue(
        exchange, currency, underlying.time_zone, opens, closes, routed=stock,
        overnight=closes < opens, magnifier=magnifier,
    )  # fmt: skip


def _stock_type(underlying: Underlying) -> str:
    """What the file says of it, or its name; empty where neither tells a fund from a company."""
    is_fund = underlying.sec_type == "STK" and underlying.reports_earnings is False
    return underlying.stock_type or ("ETF" if is_fund else "")


def _instrument(
    symbol: str, underlying: Underlying, rule: OptionClass, exchange: str
) -> Instrument:
    """What contract details say about the underlying; a plain share where the symbol is new."""
    classes, venue = (rule,), _venue(underlying, exchange)
    known = next(
        (p for p in DEMO if p.symbol == symbol and p.venue is None and venue is None), None
    )
    if known is not None:
        kind = underlying.stock_type or known.stock_type
        return replace(known, classes=classes, stock_type=kind)
    is_index = underlying.sec_type == "IND"
    return Instrument(
        symbol=symbol,
        long_name=symbol,
        spot=0.0,
        iv30=0.0,
        iv_stretch=0.0,
        classes=classes,
        sec_type=underlying.sec_type,
        stock_type=_stock_type(underlying),
        primary_exchange=exchange if venue else "CBOE" if is_index else "NYSE",
        venue=venue,
        expires=underlying.expiry,
        root=symbol if underlying.is_future else "",
    )
