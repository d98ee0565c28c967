"""Prices of the model market: what each contract quotes on one day, and its past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tomic.sim.market import Bar, Quote, listings, paths, slices, smiles
from tomic.sim.market.catalogue import Catalogue
from tomic.sim.market.instruments import Instrument, OptionClass
from tomic.sim.market.slices import MarketState, Slice

_PRICE_SERIES = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST", "BID_ASK"})
_OPTION_HISTORY_DAYS = 60


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
        self._settings: dict[str, MarketState] = {}
        self._slices: dict[tuple[str, str, date], tuple[Slice, dict[int, int]]] = {}
        self._quotes: dict[str, Quote] = {}
        self.catalogue = Catalogue(instruments, local, self.level, seed)

    @property
    def built(self) -> tuple[str, ...]:
        """Underlyings whose history has been generated."""
        return tuple(self._tape)

    def path(self, instrument: Instrument) -> paths.Path:
        """The daily history of an underlying."""
        found = self._tape.get(instrument.symbol)
        if found is None:
            found = paths.build(instrument, self._seed)
            ratio = self._splits.get(instrument.symbol, 1.0)
            if ratio != 1.0:
                found = paths.split(found, ratio)
            self._tape[instrument.symbol] = found
        return found

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
        found = self._slices.get(key)
        if found is None:
            strike = np.array(self.catalogue.strikes(instrument, rule, expiry))
            ids = self.catalogue.ids(instrument, rule, expiry, strike)
            end = listings.last_trade(rule, expiry)
            built = slices.build(self.setting(instrument), rule, end, strike, ids)
            found = built, {con_id: i for i, con_id in enumerate(ids.tolist())}
            self._slices[key] = found
        return found

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
        found = self._quotes.get(instrument.symbol)
        if found is None:
            found = self._underlying_quote(instrument)
            self._quotes[instrument.symbol] = found
        return found

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
        found = paths.price_bars(path, first, last)
        if what not in ("TRADES", "ADJUSTED_LAST") or instrument.is_index:
            return [replace(bar, volume=-1, average=-1.0, count=-1) for bar in found]
        return found

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


def shared(
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
