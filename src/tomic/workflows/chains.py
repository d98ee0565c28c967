"""Chains of several symbols over one session and one message budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from tomic.chain import Chain
from tomic.errors import (
    DataError,
    DeadlineExceeded,
    RequestFailed,
    SessionLost,
    TomicError,
    ungrouped,
)
from tomic.models import RowStatus, VolSnapshot

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
