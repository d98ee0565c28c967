"""A small market for journal tests: chains made by the model, without a session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from support.journal_entries import EXPIRY, LATER, OPENED
from tomic import dates
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import RequestTimeout, TomicError
from tomic.models import (
    DataType,
    OptionParams,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    TradingSession,
    Underlying,
)
from tomic.quant import black_scholes
from tomic.store import Database
from tomic.workflows.chain.setup import Chooser
from tomic.workflows.journal.entries import Journal

RATE = 0.045
OPEN_HOURS = TradingSession(
    opens=dt.datetime(2025, 5, 1, 13, 30, tzinfo=dt.UTC),
    closes=dt.datetime(2026, 5, 1, 20, 0, tzinfo=dt.UTC),
)


@dataclass
class Quotes:
    """What the market says; change it between two looks."""

    spot: float = 593.0
    sigma: float = 0.17
    at: dt.datetime = OPENED
    spread: float = 0.10
    stock_type: str = ""
    sec_type: str = "STK"
    expiries: tuple[dt.date, ...] = (EXPIRY, LATER)
    source: QuoteSource = QuoteSource.LIVE
    data_type: DataType = DataType.LIVE
    missing: frozenset[float] = frozenset()
    """Strikes that nobody quotes."""
    odd: Mapping[float, float] = field(default_factory=dict)
    """Strikes that trade off the smile, and by how much, currency per share."""
    refusals: Mapping[str, TomicError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def fetch(self, symbol: str, settings: Settings, choose: Chooser) -> Chain:
        """The chain that a chooser picks."""
        self.asked.append(symbol)
        if symbol in self.refusals:
            raise self.refusals[symbol]
        underlying = Underlying(
            symbol=symbol,
            con_id=1,
            sec_type="IND" if self.sec_type == "IND" else "STK",
            sessions=(OPEN_HOURS,),
            stock_type=self.stock_type,
        )
        strikes = tuple(float(strike) for strike in range(500, 690, 5))
        params = OptionParams(
            exchange="SMART",
            trading_class=symbol,
            multiplier=100,
            expiries=self.expiries,
            strikes=strikes,
        )
        today = dates.local_date(self.at, underlying.time_zone)
        rows = [
            self._row(underlying, one.expiry, one.strike, one.right)
            for one in choose(params, self.spot, today, self.sigma)
        ]
        return Chain.from_quotes(
            rows,
            underlying=underlying,
            spot=Spot(
                price=self.spot, source=SpotSource.LAST, data_type=self.data_type, as_of=self.at
            ),
            as_of=self.at,
            rate=RATE,
            data_type=self.data_type,
            trading_class=symbol,
        )

    def price(self, strike: float, right: str, expiry: dt.date = EXPIRY) -> float:
        """The model's value of one option now."""
        settled = dt.datetime.combine(expiry, dt.time(16), dates.NEW_YORK)
        tau = max((settled - self.at).total_seconds(), 0.0) / (365 * 86400)
        return float(
            black_scholes.price(self.spot, strike, tau, RATE, 0.0, self.sigma, right == "C")
        )

    def _row(
        self, underlying: Underlying, expiry: dt.date, strike: float, right: str
    ) -> OptionQuote:
        mid = self.price(strike, right, expiry) + self.odd.get(strike, 0.0)
        quoted = strike not in self.missing and mid > 0.5 * self.spread
        return OptionQuote(
            con_id=int(strike),
            expiry=expiry,
            dte=0,
            strike=strike,
            right="C" if right == "C" else "P",
            bid=mid - 0.5 * self.spread if quoted else None,
            ask=mid + 0.5 * self.spread if quoted else None,
            volume=100,
            open_interest=1000,
            status=RowStatus.OK if quoted else RowStatus.TIMEOUT,
            quote_source=self.source if quoted else None,
            quoted_at=self.at if quoted else None,
        )


def journal(
    store: Database, quotes: Quotes | None, *, now: dt.datetime = OPENED, **settings: object
) -> Journal:
    """A journal over this market; without one nobody is asked, and it is *now*."""
    own = Settings(**settings)
    market = quotes or Quotes(at=now)

    async def clock() -> dt.datetime:
        return market.at

    return Journal(store, own, clock=clock, fetch=quotes.fetch if quotes else None)


LATE = RequestTimeout("SPY quotes", 3.0)
"""What a silent gateway comes to."""
