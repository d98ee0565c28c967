"""Chains of several symbols over one session and one message budget."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tomic.chain import Chain
from tomic.errors import (
    DataError,
    DeadlineExceeded,
    RequestFailed,
    SessionLost,
    StoreError,
    TomicError,
    ungrouped,
)
from tomic.models import OptionParams, RowStatus, Underlying, VolSnapshot
from tomic.selection import Wanted, choose_params
from tomic.store import Database, StoredContract
from tomic.workflows.chain.setup import KnownContracts


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
            underlying = await self._database.contracts.underlying(symbol, day)
            params = await self._database.contracts.option_params(symbol, day)
        except StoreError as exc:
            self._forgets(exc)
            return None, ()
        return underlying, tuple(params)

    async def load(self, symbol: str, day: dt.date, trading_class: str) -> KnownContracts:
        """The contracts of one class that were asked for on *day*."""
        key = (symbol, day, trading_class)
        try:
            known = await self._database.contracts.load(*key)
            complete = await self._database.contracts.complete_expiries(*key)
        except StoreError as exc:
            self._forgets(exc)
            return KnownContracts({}, frozenset())
        ids = {Wanted(one.expiry, one.strike, one.right): one.con_id for one in known}
        return KnownContracts(ids, complete)

    async def save(
        self,
        underlying: Underlying,
        day: dt.date,
        listed: tuple[OptionParams, ...],
        params: OptionParams,
        known: KnownContracts,
    ) -> None:
        """Remember the underlying, each class that is listed, and what is known of *params*."""
        symbol = underlying.symbol
        rows = [
            StoredContract(con_id, *pair, multiplier=params.multiplier)
            for pair, con_id in known.ids.items()
        ]
        try:
            await self._database.contracts.save_underlying(underlying, day)
            for name in sorted({one.trading_class for one in listed}):
                # Of the exchanges that list a class, the one that is chosen when it is asked for.
                best = choose_params(listed, symbol, name)
                await self._database.contracts.save_option_params(symbol, day, best)
            await self._database.contracts.save(
                symbol, day, params.trading_class, rows, complete=known.complete
            )
        except StoreError as exc:
            self._forgets(exc)

    async def last_chain(self, symbol: str, trading_class: str) -> Chain | None:
        """The last whole chain that was stored, else the last one, if it is of that class."""
        try:
            chain = await self._database.chains.load(symbol, whole=True)
            chain = chain or await self._database.chains.load(symbol)
        except StoreError as exc:
            self._note(f"the last chain cannot be read: {exc}")
            return None
        return chain if chain is not None and chain.trading_class == trading_class else None

    def _forgets(self, error: StoreError) -> None:
        self._note(f"contracts are not remembered: {error}")


FetchOne = Callable[[str, int], Coroutine[Any, Any, tuple[Chain, VolSnapshot | None]]]
"""Fetches one symbol, which has a place among the others."""


@dataclass(frozen=True, slots=True)
class ChainOutcome:
    """What became of one symbol."""

    symbol: str
    chain: Chain | None = None
    snapshot: VolSnapshot | None = None
    """What the chain and the store say of its volatility."""
    error: TomicError | None = None


async def fetch_chains(
    fetch: FetchOne,
    symbols: Sequence[str],
    *,
    on_done: Callable[[ChainOutcome], None] | None = None,
) -> list[ChainOutcome]:
    """
    Run *fetch* for all *symbols* at once; return an outcome per symbol, in order.

    The messages of all share the session's pacer, so several symbols take the time of their
    summed messages, never of their summed time-outs; the first is whole first. *on_done* is
    called as each finishes. One failing symbol never stops the others.
    """
    outcomes: dict[str, ChainOutcome] = {}

    async def run(symbol: str, place: int) -> None:
        try:
            chain, snapshot = await fetch(symbol, place)
            outcome = ChainOutcome(symbol, chain=chain, snapshot=snapshot)
        except TomicError as exc:
            outcome = ChainOutcome(symbol, error=exc)
        outcomes[symbol] = outcome
        if on_done is not None:
            on_done(outcome)

    unique = list(dict.fromkeys(symbols))
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for place, symbol in enumerate(unique):
                group.create_task(run(symbol, place), name=f"tomic chain {symbol}")
    return [outcomes[symbol] for symbol in unique]


def cut_short(chain: Chain) -> TomicError:
    """Why a part of *chain* is missing, as the error that would have been raised for all of it."""
    found = chain.unanswered
    text = f"{chain.symbol}: {chain.cut}"
    if RowStatus.LOST in found:
        # Single options that were refused are lost over a line that stands.
        return RequestFailed(text) if chain.fetch.complete else SessionLost(text)
    if RowStatus.TIMEOUT in found or not chain.fetch.complete:
        return DeadlineExceeded(text)
    return DataError(text)
