"""A search for trades: which volatility, chains and book the scan looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tomic import dates
from tomic.errors import DataError, TomicError
from tomic.models import RowStatus, VolSnapshot
from tomic.strategies import propose, why_not as trades, windows
from tomic.strategies.catalogue import templates
from tomic.workflows import scan
from tomic.workflows.chain.chains import quoted
from tomic.workflows.chain.fetch import cut_short
from tomic.workflows.portfolio import review
from tomic.workflows.volatility import history, measure
from tomic.workflows.volatility.today import vols

if TYPE_CHECKING:
    from tomic.chain import Chain
    from tomic.models import Proposal, ScanResult, TradeReview
    from tomic.strategies.propose import Gated
    from tomic.strategies.scoring import FitModel
    from tomic.workflows.resources import Resources


async def search(
    resources: Resources,
    symbols: Sequence[str],
    given: Mapping[str, Chain],
    *,
    top: int | None = None,
    strategies: str | Sequence[str] | None = None,
    by_strategy: bool = False,
    book: FitModel | None = None,
) -> ScanResult:
    """
    The best trades of *symbols*, in the chains *given* where there are any; kept.

    One deadline holds for all of it. What is found in a recording is not kept, and has no ids.
    """
    rules = resources.settings
    # Before anything is asked: an unknown name concerns no symbol.
    templates.choose(rules.scan.strategies if strategies is None else strategies, rules.strategies)
    deadline = resources.take_deadline()
    store = await resources.store()
    snapshots = await _vols(resources, symbols, given, deadline)
    if book is None and not given and not resources.origin.simulated:
        book = review.saved_fit(rules, resources.clock_now())
    result = await scan.scan(
        snapshots,
        rules,
        partial(_chain, resources, given, deadline),
        again=partial(_measured, resources, deadline=deadline),
        deadline=deadline,
        stopped=lambda: resources.interrupted,
        strategies=strategies,
        top=top,
        by_strategy=by_strategy,
        book=book,
        correlations=await scan.return_correlations(store, symbols),
        watch=resources.watch,
    )
    if resources.origin.replay is not None:
        return result
    return await scan.keep(
        store, result, dates.local_date(resources.clock_now(), str(dates.NEW_YORK))
    )


async def why_not(
    resources: Resources, symbol: str, trade: str, given: Mapping[str, Chain]
) -> TradeReview:
    """Which rule refuses *trade*, in the chain *given* if there is one."""
    asked = trades.parse_trade(trade)
    gated = propose.all_open(asked.strategy, resources.settings)
    deadline = resources.take_deadline()
    vol = await _vol(resources, symbol, given, deadline)
    fetched = await _chain(resources, given, deadline, symbol, gated)
    if fetched.is_cut and RowStatus.OK not in fetched.counts:
        raise cut_short(fetched)
    judged = propose.explain_trade(fetched, vol, trade, resources.settings)
    return judged.model_copy(update={"cut": fetched.cut})


async def refreshed(resources: Resources, old: Proposal) -> TradeReview:
    """*old* judged again with its legs quoted anew, in the chain it was found in."""
    deadline = resources.take_deadline()
    store = await resources.store()
    chain = await store.chains.load(old.symbol, whole=True) or await store.chains.load(old.symbol)
    if chain is None:
        raise DataError(f"the chain of {old.symbol} is no longer stored; scan it again")
    vol = await _vol(resources, old.symbol, {}, deadline)
    # Too few options to stand for the chain of the day, so they are not kept as one.
    choose = partial(windows.of_legs, old.legs)
    legs = await quoted(resources, old.symbol, choose, deadline, keep=False)
    if legs.is_cut:
        raise cut_short(legs)
    review = propose.explain_trade(chain.updated(legs), vol, old.trade, resources.settings)
    if review.proposal is None:
        return review
    now = review.proposal.model_copy(update={"id": old.id, "rank": old.rank})
    return review.model_copy(update={"proposal": now})


async def _vol(
    resources: Resources, symbol: str, given: Mapping[str, Chain], deadline: float
) -> VolSnapshot:
    snapshot = (await _vols(resources, [symbol], given, deadline))[symbol]
    if isinstance(snapshot, TomicError):
        raise snapshot
    return snapshot


async def _vols(
    resources: Resources, symbols: Sequence[str], given: Mapping[str, Chain], deadline: float
) -> dict[str, VolSnapshot | TomicError]:
    """Volatility by symbol, after bringing today's IV history up to date."""
    store = await resources.store()
    if given:
        at = max(chain.as_of for chain in given.values())
        reports = await measure.volatility(
            store, symbols, resources.settings, now=measure.Now(at, chains=given), keep=False
        )
        return {report.symbol: report.snapshot for report in reports}
    if not resources.origin.demo:
        await history.update(
            resources.session,
            store,
            symbols,
            resources.settings,
            series=["ib30"],
            deadline=deadline,
            watch=resources.watch,
        )
    return await _measured(resources, symbols, deadline=deadline)


async def _measured(
    resources: Resources, symbols: Sequence[str], *, deadline: float
) -> dict[str, VolSnapshot | TomicError]:
    return {
        report.symbol: report.snapshot if report.error is None else report.error
        for report in await vols(resources, symbols, deadline=deadline)
    }


async def _chain(
    resources: Resources, given: Mapping[str, Chain], deadline: float, symbol: str, gated: Gated
) -> Chain:
    """The chain that was given, a whole stored one that is young enough, or a new one."""
    if symbol in given:
        return given[symbol]
    session, rules = await resources.session(symbol), resources.settings.scan
    stored = await (await resources.store()).chains.load(
        symbol, max_age=rules.max_chain_age, now=session.clock_now(), whole=True
    )
    if stored is not None and windows.serves(stored, gated.templates, rules):
        return stored
    choose = partial(windows.choose_for, gated.templates, rules)
    return await quoted(resources, symbol, choose, deadline)
