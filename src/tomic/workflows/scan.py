"""
The scan: symbols, gated on their volatility, then chains, then one ranking over all of them.

Each symbol goes its own way to its own outcome; a few at once share the session and its message
budget. No chain is asked of a symbol whose volatility opens no strategy, and of a chain only what
the open strategies can use.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import (
    DataError,
    GatewayRefused,
    MissingSpot,
    SessionError,
    SessionLost,
    TomicError,
    ungrouped,
)
from tomic.models import Proposal, RowStatus, ScanResult, SymbolOutcome, VolSnapshot
from tomic.models.documents import to_document
from tomic.quant import realized
from tomic.store import Bars, Database, NewProposal
from tomic.strategies import propose
from tomic.strategies.propose import Correlations, Evaluation, Gated
from tomic.strategies.scoring import FitModel
from tomic.workflows.chain.fetch import cut_short
from tomic.workflows.progress import Event, Watcher, ignore

FetchFor = Callable[[str, Gated], Awaitable[Chain]]
"""Gives the chain of a symbol for the strategies that its gates let through."""

_CORRELATION_DAYS = 252
_LEAST_DAYS = 60
"""Common days below which a correlation is not known."""


Again = Callable[[Sequence[str]], Awaitable[Mapping[str, VolSnapshot | TomicError]]]
"""Measures the volatility of symbols once more, of which it was not known."""

_NO_LINE = 101
"""IB's code for a subscription for which no market-data line was free."""
_IDLE_ROUNDS = 2
"""Rounds in a row that may bring no symbol back before the missing ones are given up."""


@dataclass(slots=True)
class _Gathered:
    """What the symbols gave, by symbol, as they come."""

    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    errors: dict[str, TomicError] = field(default_factory=dict)

    @property
    def may_come(self) -> list[str]:
        """Symbols without a result that asking again may give."""
        return [symbol for symbol, error in self.errors.items() if _may_come(error)]


async def scan(
    vols: Mapping[str, VolSnapshot | TomicError],
    settings: Settings,
    fetch: FetchFor,
    *,
    again: Again | None = None,
    deadline: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    strategies: str | Sequence[str] | None = None,
    top: int | None = None,
    by_strategy: bool = False,
    book: FitModel | None = None,
    correlations: Correlations | None = None,
    watch: Watcher = ignore,
) -> ScanResult:
    """
    Scan the symbols of *vols*; one that fails never stops the others.

    Those that failed for no fault of their own (no price came, no answer, a lost line, too many
    messages) are tried again at the end, when nobody is in their way, while time is left.

    Args:
        vols: Symbol to its volatility, or to why there is none.
        settings: The limits, weights and costs of the search.
        fetch: Where chains come from; it keeps to the deadline by itself.
        again: Where volatility comes from that was missing; None to leave it missing.
        deadline: Time of the running loop after which nothing is tried again.
        stopped: Whether somebody wants the scan to end.
        strategies: Names instead of ``scan.strategies``.
        top, by_strategy: How many proposals, overall or of each strategy.
        book: The portfolio that proposals should fit.
        correlations: Return correlations of pairs of symbols.
    """
    gathered, known = _Gathered(), dict(vols)
    gate = asyncio.Semaphore(settings.scan.symbols_at_once)

    async def look(symbol: str) -> None:
        async with gate:
            try:
                vol = known[symbol]
                if isinstance(vol, TomicError):
                    raise vol
                evaluation = await _evaluate(symbol, vol, settings, fetch, strategies, book)
            except TomicError as exc:
                gathered.errors[symbol] = exc
            else:
                gathered.evaluations[symbol] = evaluation
                gathered.errors.pop(symbol, None)
        done = len(gathered.evaluations) + len(gathered.errors)
        watch(Event("count", "symbols", done=done, total=len(vols)))

    async def look_at(symbols: Iterable[str]) -> None:
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                for symbol in symbols:
                    group.create_task(look(symbol), name=f"tomic scan {symbol}")

    await look_at(vols)
    idle, loop = 0, asyncio.get_running_loop()
    while missing := gathered.may_come:
        if idle == _IDLE_ROUNDS or stopped() or (deadline is not None and loop.time() >= deadline):
            break
        watch(Event("stage", "", f"once more: {', '.join(missing)}"))
        unmeasured = [symbol for symbol in missing if isinstance(known[symbol], TomicError)]
        if again is not None and unmeasured:
            known.update(await again(unmeasured))
        await look_at(missing)
        idle = 0 if len(gathered.may_come) < len(missing) else idle + 1
    evaluations = sorted(gathered.evaluations.values(), key=lambda evaluation: evaluation.symbol)
    return propose.rank(
        evaluations,
        settings,
        top=top,
        by_strategy=by_strategy,
        correlations=correlations,
        failed=[
            SymbolOutcome(symbol=symbol, ok=False, error=str(error), error_code=error.code)
            for symbol, error in gathered.errors.items()
        ],
        with_book=book is not None,
    )


def _may_come(error: TomicError) -> bool:
    """Whether a symbol that failed so may be had a while later over the same connection."""
    if isinstance(error, SessionError):
        return isinstance(error, SessionLost)
    if isinstance(error, GatewayRefused) and error.error_code == _NO_LINE:
        return True
    return error.retryable or isinstance(error, MissingSpot)


async def _evaluate(
    symbol: str,
    vol: VolSnapshot,
    settings: Settings,
    fetch: FetchFor,
    strategies: str | Sequence[str] | None,
    book: FitModel | None,
) -> Evaluation:
    gated = propose.open_gates(vol, settings, strategies)
    if not gated.templates:
        return _closed(symbol, gated)
    chain = await fetch(symbol, gated)
    if not any(RowStatus(name) is RowStatus.OK for name in chain.counts):
        if chain.is_cut:
            raise cut_short(chain)
        raise DataError(f"{symbol}: no option has a quote and Greeks: {chain.gaps}")
    # Kernels are pure, and the session must go on answering meanwhile.
    return await asyncio.to_thread(propose.evaluate, chain, vol, settings, gated=gated, book=book)


def _closed(symbol: str, gated: Gated) -> Evaluation:
    """The evaluation of a symbol none of whose gates is open; no chain was asked for."""
    outcome = SymbolOutcome(symbol=symbol, notes=("no strategy's gate is open; no chain fetched",))
    return Evaluation(
        symbol=symbol,
        contenders=(),
        passed={},
        considered=0,
        rejected=(),
        nearest_misses=(),
        gated=gated,
        outcome=outcome,
    )


async def return_correlations(store: Database, symbols: Sequence[str]) -> Correlations:
    """
    Correlation of daily log-returns of each pair of *symbols* over their last 252 common days.

    A pair with fewer than 60 common days is left out.

    Raises:
        StoreError: The store cannot be used.
    """
    bars = await store.history.many_bars(symbols, days=_CORRELATION_DAYS + 1)
    names = sorted(bars)
    correlations: dict[frozenset[str], float] = {}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            value = _correlation(bars[first], bars[second])
            if value is not None:
                correlations[frozenset((first, second))] = value
    return correlations


def _correlation(first: Bars, second: Bars) -> float | None:
    _, in_first, in_second = np.intersect1d(first.date, second.date, return_indices=True)
    if len(in_first) <= _LEAST_DAYS:
        return None
    closes = np.stack([first.close[in_first], second.close[in_second]])
    returns = np.asarray(realized.daily_log_returns(closes))[:, 1:]
    if not np.isfinite(returns).all() or not returns.std(axis=1).all():
        return None
    return float(np.asarray(np.corrcoef(returns))[0, 1])


async def keep(store: Database, result: ScanResult, day: dt.date) -> ScanResult:
    """
    Save a scan with its proposals; return it with the ids that the store gave them.

    Raises:
        StoreError: The store cannot be used.
    """
    as_of = result.as_of or dt.datetime.now(dt.UTC)
    rows = [
        NewProposal(proposal.symbol, proposal.strategy, proposal.expiry, to_document(proposal))
        for proposal in result.proposals
    ]
    summary = to_document(result, exclude={"proposals"})
    stored = await store.scans.save(rows, as_of=as_of, day=day, document=summary)
    numbered = tuple(
        proposal.model_copy(update={"id": proposal_id})
        for proposal, proposal_id in zip(result.proposals, stored.proposal_ids, strict=True)
    )
    return result.model_copy(update={"proposals": numbered})


async def load(store: Database, proposal_id: str) -> Proposal:
    """
    A stored proposal.

    Raises:
        DataError: There is none of that id.
        StoreError: The store cannot be used.
    """
    stored = await store.scans.proposal(proposal_id)
    if stored is None:
        recent = [
            known_id for scan in await store.scans.latest(limit=3) for known_id in scan.proposal_ids
        ]
        known = f"; the latest are {', '.join(recent[:5])}" if recent else "; run tomic scan first"
        raise DataError(f"no proposal {proposal_id}{known}")
    return Proposal.model_validate(stored.document).model_copy(update={"id": stored.id})
