"""The contracts of the model market on one day: searched, described, and listed as parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.sim.market import Listing, OptionParameters, listings
from tomic.sim.market.instruments import Instrument, OptionClass
from tomic.sim.market.listings import OptionFilter
from tomic.sim.market.paths import generator


class Catalogue:
    """
    Every contract of some instruments, described when first asked for.

    Args:
        now: Options that have stopped living by then are not listed.
        level: Spot and 30-day volatility of an instrument, which decide its strikes.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        now: datetime,
        level: Callable[[Instrument], tuple[float, float]],
        seed: int,
    ) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._numbers = listings.Numbering(tuple(instruments))
        self._now, self._today = now, now.date()
        self._level, self._seed = level, seed
        self._expiries: dict[OptionClass, list[date]] = {}
        self._strikes: dict[tuple[str, str, date], list[float]] = {}
        self._listed: dict[tuple[str, str, date], dict[int, tuple[float, str]]] = {}
        self._described: dict[tuple[str, str, date], dict[int, Listing]] = {}

    def instrument(self, symbol: str) -> Instrument | None:
        """The instrument of a symbol, if it is part of the market."""
        return self._instruments.get(symbol)

    def underlying_of(self, con_id: int) -> Instrument | None:
        """The instrument whose own contract has that id."""
        return self._numbers.underlying(con_id)

    def underlying_id(self, symbol: str) -> int:
        """Contract id of an underlying."""
        return self._numbers.underlying_id(symbol)

    def option_class(self, con_id: int) -> tuple[Instrument, OptionClass, date] | None:
        """Underlying, class and expiry of an option that exists, else None."""
        found = self._numbers.option_class(con_id)
        if found is None:
            return None
        instrument, rule = found
        expiry = self._numbers.expiry(con_id, self._today)
        if expiry not in self.expiries(rule):
            return None
        return (*found, expiry) if con_id in self._options(instrument, rule, expiry) else None

    def expiries(self, rule: OptionClass) -> list[date]:
        """Expiries of a class that still live."""
        found = self._expiries.get(rule)
        if found is None:
            days = listings.expiries(rule, self._today)
            found = [day for day in days if listings.last_trade(rule, day) > self._now]
            self._expiries[rule] = found
        return found

    def options(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> dict[int, Listing]:
        """All options of one class and expiry by id; call before put, strikes ascending."""
        key = (instrument.symbol, rule.name, expiry)
        found = self._described.get(key)
        if found is None:
            template = self._template(instrument, rule, expiry)
            found = {
                con_id: listings.described(template, con_id, strike, right)
                for con_id, (strike, right) in self._options(instrument, rule, expiry).items()
            }
            self._described[key] = found
        return found

    def _options(
        self, instrument: Instrument, rule: OptionClass, expiry: date
    ) -> dict[int, tuple[float, str]]:
        """Strike and right of the same options by id, which takes a tenth of describing them."""
        key = (instrument.symbol, rule.name, expiry)
        found = self._listed.get(key)
        if found is None:
            grid = self.strikes(instrument, rule, expiry)
            ids = self.ids(instrument, rule, expiry, np.array(grid)).tolist()
            sides = zip(grid, ids[: len(grid)], ids[len(grid) :], strict=True)
            found = {
                con_id: (strike, right)
                for strike, call, put in sides
                for con_id, right in ((call, "C"), (put, "P"))
            }
            self._listed[key] = found
        return found

    def _template(self, instrument: Instrument, rule: OptionClass, expiry: date) -> Listing:
        under = self.underlying_id(instrument.symbol)
        return listings.option_template(instrument, rule, expiry, under, self._today)

    def strikes(self, instrument: Instrument, rule: OptionClass, expiry: date) -> list[float]:
        """Strikes of one class and expiry, ascending."""
        key = (instrument.symbol, rule.name, expiry)
        found = self._strikes.get(key)
        if found is None:
            spot, iv30 = self._level(instrument)
            found = listings.strikes(rule, spot, (expiry - self._today).days, iv30)
            self._strikes[key] = found
        return found

    def ids(
        self, instrument: Instrument, rule: OptionClass, expiry: date, strike: FloatArray
    ) -> IntArray:
        """Contract ids of the calls of an expiry, then of its puts."""
        return self._numbers.pack_all(instrument.symbol, rule, expiry, strike)

    def listing(self, con_id: int) -> Listing | None:
        """The contract with that id."""
        instrument = self.underlying_of(con_id)
        if instrument is not None:
            return listings.describe_underlying(instrument, con_id, self._today)
        found = self.option_class(con_id)
        if found is None:
            return None
        instrument, rule, expiry = found
        described = self._described.get((instrument.symbol, rule.name, expiry))
        if described is not None:
            return described[con_id]
        # Most ids are of a few contracts that are held; their neighbours need no description.
        strike, right = self._options(*found)[con_id]
        return listings.described(self._template(*found), con_id, strike, right)

    def underlyings(self, symbol: str, sec_type: str, local_symbol: str) -> list[Listing]:
        """The share, fund or index of that name, if there is one of that type."""
        named = self._instruments.get(symbol) or self._instruments.get(local_symbol)
        if named is None or named.sec_type != sec_type:
            return []
        con_id = self.underlying_id(named.symbol)
        return [listings.describe_underlying(named, con_id, self._today)]

    def matching(self, symbol: str, wanted: OptionFilter) -> Iterator[Listing]:
        """The options of a symbol that fit; an OCC symbol alone will do."""
        owners = [self._instruments[symbol]] if symbol in self._instruments else []
        if not symbol and wanted.local_symbol:
            root = wanted.local_symbol[:6].strip()
            owners = [p for p in self._instruments.values() if root in {c.name for c in p.classes}]
        for owner in owners:
            for rule in filter(wanted.has_class, owner.classes):
                for day in filter(wanted.has_expiry, self.expiries(rule)):
                    yield from filter(wanted.accepts, self.options(owner, rule, day).values())

    def parameters(self, symbol: str) -> list[OptionParameters]:
        """Rows per exchange and class, shuffled, strikes the union over expiries, shuffled too."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return []
        rng = generator(self._seed, f"parameters {symbol}")
        con_id = self.underlying_id(symbol)
        rows = []
        for rule in instrument.classes:
            days = self.expiries(rule)
            union = sorted({k for day in days for k in self.strikes(instrument, rule, day)})
            strikes = tuple(union[i] for i in rng.permutation(len(union)))
            texts = tuple(f"{days[i]:%Y%m%d}" for i in rng.permutation(len(days)))
            for exchange in self._exchanges(instrument, rule):
                rows.append(
                    OptionParameters(exchange, con_id, rule.name, rule.multiplier, texts, strikes)
                )
        return [rows[i] for i in rng.permutation(len(rows))]

    @staticmethod
    def _exchanges(instrument: Instrument, rule: OptionClass) -> Sequence[str]:
        if instrument.is_index:
            return listings.INDEX_EXCHANGES
        # Adjusted contracts never reach the newest venues.
        return listings.EXCHANGES[:-1] if rule.odd else listings.EXCHANGES
