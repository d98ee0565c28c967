"""The contracts of the model market on one day: searched, described, and listed as parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime

from tomic._typing import FloatArray, IntArray
from tomic.sim import listings
from tomic.sim.market import Listing, OptionParameters
from tomic.sim.paths import generator
from tomic.sim.profiles import OptionClass, Profile

_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}
_OPEN_RIGHTS = {"", "?", "0"}


class Catalogue:
    """
    Every contract of some profiles, described when first asked for.

    Args:
        now: Options that have stopped living by then are not listed.
        level: Spot and 30-day volatility of a profile, which decide its strikes.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        now: datetime,
        level: Callable[[Profile], tuple[float, float]],
        seed: int,
    ) -> None:
        self._profiles = {profile.symbol: profile for profile in profiles}
        self._numbers = listings.Numbering(tuple(profiles))
        self._now, self._today = now, now.date()
        self._level, self._seed = level, seed
        self._expiries: dict[OptionClass, list[date]] = {}
        self._described: dict[tuple[str, str, date], dict[int, Listing]] = {}

    def profile(self, symbol: str) -> Profile | None:
        """The profile of a symbol, if it is part of the market."""
        return self._profiles.get(symbol)

    def underlying_of(self, con_id: int) -> Profile | None:
        """The profile whose own contract has that id."""
        return self._numbers.underlying(con_id)

    def underlying_id(self, symbol: str) -> int:
        """Contract id of an underlying."""
        return self._numbers.underlying_id(symbol)

    def option_class(self, con_id: int) -> tuple[Profile, OptionClass, date] | None:
        """Underlying, class and expiry of an option that exists, else None."""
        found = self._numbers.option_class(con_id)
        if found is None:
            return None
        profile, rule = found
        expiry = self._numbers.expiry(con_id, self._today)
        listed = expiry in self.expiries(rule) and con_id in self.options(profile, rule, expiry)
        return (profile, rule, expiry) if listed else None

    def expiries(self, rule: OptionClass) -> list[date]:
        """Expiries of a class that still live."""
        found = self._expiries.get(rule)
        if found is None:
            days = listings.expiries(rule, self._today)
            found = [day for day in days if listings.last_trade(rule, day) > self._now]
            self._expiries[rule] = found
        return found

    def options(self, profile: Profile, rule: OptionClass, expiry: date) -> dict[int, Listing]:
        """All options of one class and expiry by id; call before put, strikes ascending."""
        key = (profile.symbol, rule.name, expiry)
        found = self._described.get(key)
        if found is None:
            grid = self.strikes(profile, rule, expiry)
            found = listings.describe_options(
                profile, rule, expiry, grid, self._numbers, self._today
            )
            self._described[key] = found
        return found

    def strikes(self, profile: Profile, rule: OptionClass, expiry: date) -> list[float]:
        """Strikes of one class and expiry, ascending."""
        spot, iv30 = self._level(profile)
        return listings.strikes(rule, spot, (expiry - self._today).days, iv30)

    def ids(
        self, profile: Profile, rule: OptionClass, expiry: date, strike: FloatArray
    ) -> IntArray:
        """Contract ids of the calls of an expiry, then of its puts."""
        return self._numbers.pack_all(profile.symbol, rule, expiry, strike)

    def listing(self, con_id: int) -> Listing | None:
        """The contract with that id."""
        profile = self.underlying_of(con_id)
        if profile is not None:
            return listings.describe_underlying(profile, con_id, self._today)
        found = self.option_class(con_id)
        return self.options(*found)[con_id] if found else None

    def search(
        self,
        symbol: str,
        sec_type: str,
        *,
        expiry: str,
        strike: float,
        right: str,
        trading_class: str,
        multiplier: str,
        local_symbol: str,
    ) -> Iterator[Listing]:
        """Contracts that fit, exchanges and currency left to the caller."""
        profile = self._profiles.get(symbol)
        if sec_type != "OPT":
            named = profile or self._profiles.get(local_symbol)
            if named is not None and named.sec_type == sec_type:
                found = self.listing(self.underlying_id(named.symbol))
                if found is not None:
                    yield found
            return
        for owner in [profile] if profile else self._by_local_symbol(local_symbol):
            for rule in owner.classes:
                if trading_class in ("", rule.name) and multiplier in ("", rule.multiplier):
                    yield from self._of_class(owner, rule, expiry, strike, right, local_symbol)

    def _by_local_symbol(self, local_symbol: str) -> list[Profile]:
        root = local_symbol[:6].strip()
        return [p for p in self._profiles.values() if root in {c.name for c in p.classes}]

    def _of_class(
        self,
        profile: Profile,
        rule: OptionClass,
        expiry: str,
        strike: float,
        right: str,
        local_symbol: str,
    ) -> Iterator[Listing]:
        side = "" if right in _OPEN_RIGHTS else _RIGHTS.get(right.upper(), right)
        for day in self.expiries(rule):
            # A month alone (YYYYMM) is a legal, open expiry.
            if not f"{day:%Y%m%d}".startswith(expiry):
                continue
            for found in self.options(profile, rule, day).values():
                fits = side in ("", found.right) and strike in (0.0, found.strike)
                if fits and local_symbol in ("", found.local_symbol):
                    yield found

    def parameters(self, symbol: str) -> list[OptionParameters]:
        """Rows per exchange and class, shuffled, strikes the union over expiries, shuffled too."""
        profile = self._profiles.get(symbol)
        if profile is None:
            return []
        rng = generator(self._seed, f"parameters {symbol}")
        con_id = self.underlying_id(symbol)
        rows = []
        for rule in profile.classes:
            days = self.expiries(rule)
            union = sorted({k for day in days for k in self.strikes(profile, rule, day)})
            strikes = tuple(union[i] for i in rng.permutation(len(union)))
            texts = tuple(f"{days[i]:%Y%m%d}" for i in rng.permutation(len(days)))
            for exchange in self._exchanges(profile, rule):
                rows.append(
                    OptionParameters(exchange, con_id, rule.name, rule.multiplier, texts, strikes)
                )
        return [rows[i] for i in rng.permutation(len(rows))]

    @staticmethod
    def _exchanges(profile: Profile, rule: OptionClass) -> Sequence[str]:
        if profile.is_index:
            return listings.INDEX_EXCHANGES
        # Adjusted contracts never reach the newest venues.
        return listings.EXCHANGES[:-1] if rule.odd else listings.EXCHANGES
