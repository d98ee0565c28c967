"""Contracts remembered in the store for the rest of the trading day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from tomic.errors import StoreError
from tomic.models import OptionParams, Underlying
from tomic.selection import Wanted
from tomic.store import Database, StoredContract


class StoreMemory:
    """
    Contract details change only overnight, so what was asked today need not be asked again.

    A store that cannot be used costs the memory and nothing else: *note* is told, and the chain
    goes on.
    """

    def __init__(self, database: Database, note: Callable[[str], None]) -> None:
        self._database, self._note = database, note

    async def recall(
        self, symbol: str, day: dt.date
    ) -> tuple[Underlying | None, tuple[OptionParams, ...]]:
        """The underlying and its option parameters as they were asked on *day*."""
        try:
            underlying = await self._database.load_underlying(symbol, day)
            params = await self._database.load_option_params(symbol, day)
        except StoreError as exc:
            self._forgets(exc)
            return None, ()
        return underlying, tuple(params)

    async def load(
        self, underlying: Underlying, day: dt.date, trading_class: str
    ) -> dict[Wanted, int]:
        """Contract ids of the expiries that are known completely."""
        key = (underlying.symbol, day, trading_class)
        try:
            known = await self._database.load_contracts(*key)
            complete = await self._database.load_complete_expiries(*key)
        except StoreError as exc:
            self._forgets(exc)
            return {}
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
        rows = [
            StoredContract(con_id, *pair, multiplier=params.multiplier)
            for pair, con_id in found.items()
        ]
        key = (underlying.symbol, day)
        try:
            await self._database.save_underlying(underlying, day)
            await self._database.save_option_params(*key, params)
            await self._database.save_contracts(*key, params.trading_class, rows, complete=complete)
        except StoreError as exc:
            self._forgets(exc)

    def _forgets(self, error: StoreError) -> None:
        self._note(f"contracts are not remembered: {error}")
