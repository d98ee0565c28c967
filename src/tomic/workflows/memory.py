"""Contracts remembered in the store for the rest of the trading day."""

from __future__ import annotations

import datetime as dt


from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted
from tomic.store import Database, StoredContract


class StoreMemory:
    """Contract details change only overnight, so what was asked today need not be asked again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(
        self, symbol: str, day: dt.date
    ) -> tuple[Underlying | None, tuple[OptionParams, ...]]:
        """The underlying and its option parameters as they were asked on *day*."""
        underlying = await self._database.load_underlying(symbol, day)
        params = await self._database.load_option_params(symbol, day)
        return underlying, tuple(params)

    async def load(
        self, underlying: Underlying, day: dt.date, trading_class: str
    ) -> dict[Wanted, int]:
        """Contract ids of the expiries that are known completely."""
        known = await self._database.load_contracts(underlying.symbol, day, trading_class)
        complete = await self._database.load_complete_expiries(
            underlying.symbol, day, trading_class
        )
        return {
            Wanted(one.expiry, one.strike, one.right): one.con_id
            for one in known
            if one.expiry in complete
        }

    async def save(
        self,
        underlying: Underlying,
        day: dt.date,
        params: OptionParams,
        found: dict[Wanted, int],
        complete: set[dt.date],
    ) -> None:
        """Remember the underlying, its parameters and every complete expiry."""
        symbol = underlying.symbol
        await self._database.save_underlying(underlying, day)
        await self._database.save_option_params(symbol, day, params)
        await self._database.save_contracts(
            symbol,
            day,
            params.trading_class,
            [
                StoredContract(
                    con_id, pair.expiry, pair.strike, pair.right, params.multiplier, "SMART", ""
                )
                for pair, con_id in found.items()
            ],
            complete=complete,
        )
