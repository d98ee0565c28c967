"""
The scan: symbols, gated on their volatility, then chains, then one ranking over all of them.

Each symbol goes its own way to its own outcome; a few at once share the session and its message
budget. No chain is asked of a symbol whose volatility opens no strategy, and of a chain only what
the open strategies can use.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic import dates, errors
from tomic._typing import FloatArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import (
    Proposal,
    RowStatus,
    ScanResult,
    ScanScope,
    SymbolOutcome,
    TradeReview,
    VolSnapshot,
)
from tomic.models.documents import to_document
from tomic.portfolio import sizing
from tomic.portfolio.fit import BookFit
from tomic.quant import realized
from tomic.store import Database, NewProposal
from tomic.store.documents import read_as
from tomic.strategies import propose, sampling, why_not as trades, windows
from tomic.strategies.catalogue import templates
from tomic.strategies.propose import Chooser, Correlations, Evaluation, Gated, Views
from tomic.strategies.scoring import FitModel
from tomic.workflows import sampled
from tomic.workflows.chain.fetch import cut_short, fetch
from tomic.workflows.portfolio.files import last_book, snapshot_path
from tomic.workflows.progress import Event, counted
from tomic.workflows.resources import Resources
from tomic.workflows.sampled import SampledScan
from tomic.workflows.volatility import history, measure
from tomic.workflows.volatility.today import vols

REPLAYED = "R"
"""What ids of proposals begin with that were found in a recording."""
_CORRELATION_DAYS = 252
_LEAST_DAYS = 60
"""Common days below which a correlation is not known."""
_NO_LINE = 101
"""IB's code for a subscription for which no market-data line was free."""
_LET_GO_EACH = 10
"""Symbols after which it is looked at which can no longer be shown."""
_IDLE_ROUNDS = 2
"""Rounds in a row that may bring no symbol back before the missing ones are given up."""
_FRESH = dt.timedelta(days=4)
"""Age up to which a saved book says what is held: over a long weekend."""


async def search(
    resources: Resources,
    symbols: Sequence[str],
    given: Mapping[str, Chain],
    *,
    top: int | None = None,
    strategies: str | Sequence[str] | None = None,
    by_strategy: bool = False,
    book: FitModel | None = None,
    views: Views | None = None,
    job: str = "",
) -> ScanResult:
    """
    The best trades of *symbols*, in the chains *given* where there are any; kept.

    One deadline holds for all of it, and one symbol that fails never stops the others. Those that
    failed for no fault of their own (no price came, no answer, a lost line, too many messages) are
    tried again at the end, when nobody is in their way, while time is left. What is found in a
    recording is kept apart, under ids that say so, or not at all where nobody said where.

    Args:
        top, by_strategy: How many proposals, overall or of each strategy.
        strategies: Names instead of ``scan.strategies`` and the profile's.
        book: The portfolio that proposals should fit; by default the one that was saved last.
        views: What is expected of symbols, beside and over the settings' own.
        job: The job that it is a step of, which is kept with it.

    Raises:
        UsageError: A view that is impossible.
    """
    settings = propose.with_views(resources.settings, views or {})
    # Before anything is asked: an unknown name concerns no symbol.
    chosen = templates.choose(settings, strategies)
    run = _Scan(resources, given, resources.take_deadline(), strategies, views=views or {})
    store = await resources.store()
    run.announce(symbols)
    await run.measure(symbols)
    if book is None and not given and not resources.origin.simulated:
        book = saved_fit(settings, resources.clock_now())
    run.book = book
    run.leaders = propose.chooser(settings, top, len(symbols), None, by_strategy)
    known = book if isinstance(book, BookFit) else None
    correlations = await return_correlations(store, sorted({*symbols, *_held(known)}))
    run.choose_few(
        propose.chooser(settings, top, len(symbols), correlations, by_strategy), settings
    )
    await run.look_at(run.vols)
    await run.try_again()
    await run.finish()
    # What managing them brings is simulated, and the session must go on answering meanwhile.
    result = await asyncio.to_thread(
        propose.rank,
        sorted(run.evaluations.values(), key=lambda evaluation: evaluation.symbol),
        settings,
        top=top,
        by_strategy=by_strategy,
        correlations=correlations,
        failed=[
            SymbolOutcome(symbol=symbol, ok=False, error=str(error), error_code=error.code)
            for symbol, error in run.failures.items()
        ],
        with_book=book is not None,
    )
    result = sizing.sized(result, settings, _capital(settings, known), correlations)
    scope = ScanScope(
        job=job,
        symbols=tuple(symbols),
        is_default=set(symbols) == set(settings.market.symbols),
        strategies=tuple(template.name for template in chosen),
    )
    result = result.model_copy(update={"scope": scope})
    day = dates.local_date(resources.clock_now(), str(dates.NEW_YORK))
    if resources.origin.replay is None:
        return await keep(store, result, day)
    if resources.replay_store is None:
        return result
    wait_s = settings.store.lock_wait_s
    async with Database(resources.replay_store, busy_timeout_s=wait_s) as of_recordings:
        kept = await keep(of_recordings, result, day, mark=REPLAYED)
    note = f"scans of recordings are kept in {resources.replay_store}, apart from those of today"
    return kept.model_copy(update={"notes": (*kept.notes, note)})


async def why_not(
    resources: Resources, symbol: str, trade: str, given: Mapping[str, Chain]
) -> TradeReview:
    """Which rule refuses *trade*, in the chain *given* if there is one."""
    asked = trades.parse_trade(trade)
    gated = propose.all_open(asked.strategy, resources.settings)
    run = _Scan(resources, given, resources.take_deadline())
    vol = await run.vol(symbol)
    chain = await run.chain(symbol, gated)
    if chain.is_cut and RowStatus.OK not in chain.counts:
        raise cut_short(chain)
    judged = propose.explain_trade(chain, vol, trade, resources.settings)
    judged = await _sized(resources, judged)
    return judged.model_copy(update={"cut": chain.cut})


async def refreshed(resources: Resources, old: Proposal) -> TradeReview:
    """*old* judged again with its legs quoted anew, in the chain it was found in."""
    settings, deadline = resources.settings, resources.take_deadline()
    store = await resources.store()
    chain = await store.chains.load(old.symbol, whole=True) or await store.chains.load(old.symbol)
    if chain is None:
        raise errors.DataError(f"the chain of {old.symbol} is no longer stored; scan it again")
    vol = await _Scan(resources, {}, deadline).vol(old.symbol)
    # Too few options to stand for the chain of the day, so they are not kept as one.
    choose = partial(windows.of_legs, old.legs)
    legs, _ = await fetch(resources, old.symbol, settings, deadline, choose, keep=False)
    if legs.is_cut:
        raise cut_short(legs)
    review = propose.explain_trade(chain.updated(legs), vol, old.trade, settings)
    if review.proposal is None:
        return review
    now = review.proposal.model_copy(update={"id": old.id, "rank": old.rank})
    return await _sized(resources, review.model_copy(update={"proposal": now}))


def _held(fit: BookFit | None) -> set[str]:
    """Symbols of a book."""
    return {structure.symbol for structure in fit.review.structures} if fit else set()


def _capital(settings: Settings, fit: BookFit | None) -> sizing.Capital | None:
    """What trades are sized by: the settings, else the book."""
    if fit is None:
        return sizing.capital(settings.account)
    return sizing.capital(settings.account, fit.book, fit.review)


async def _sized(resources: Resources, review: TradeReview) -> TradeReview:
    """*review* with the size of its trade, by the book that was saved last; without one, as is."""
    settings, proposal = resources.settings, review.proposal
    fit = None if resources.origin.simulated else saved_fit(settings, resources.clock_now())
    capital = _capital(settings, fit)
    if proposal is None or capital is None:
        return review
    store = await resources.store()
    correlations = await return_correlations(store, sorted({proposal.symbol, *_held(fit)}))
    sized = sizing.with_size(proposal, settings, capital, correlations)
    return review.model_copy(update={"proposal": sized})


def refuse_future(symbol: str, settings: Settings) -> None:
    """
    Refuse options on futures, by name: their margin is SPAN's, so that nothing can be ranked by it.

    Raises:
        UsageError: *symbol* means a future.
    """
    if settings.market.listing(symbol).sec_types[0] == "FUT":
        raise errors.UsageError(
            f"{symbol} is a future: its options are margined by SPAN, which TOMIC does not "
            f"compute, so a scan cannot rank them; see tomic chain {symbol} and tomic portfolio"
        )


def saved_fit(settings: Settings, now: dt.datetime, *, simulated: bool = False) -> BookFit | None:
    """The fit to the last saved book; None without one, or when it is older than four days."""
    book = last_book(snapshot_path(settings, simulated=simulated))
    if book is None or abs(now - book.as_of) > _FRESH:
        return None
    return BookFit(book, settings)


@dataclass(slots=True)
class _Scan:
    """
    One look at symbols, and what it gave.

    Attributes:
        given: Chains that are searched instead of fetching any.
        deadline: Of all that is asked, a time of the running loop; nothing is tried again later.
        vols: Symbol to its volatility, or to why there is none.
    """

    resources: Resources
    given: Mapping[str, Chain]
    deadline: float
    strategies: str | Sequence[str] | None = None
    book: FitModel | None = None
    views: Views = field(default_factory=dict)
    vols: dict[str, VolSnapshot | errors.TomicError] = field(default_factory=dict)
    few: SampledScan | None = None
    """Of symbols that are sampled; None where none is."""
    leaders: Chooser | None = None
    """What leads whatever else comes; None where everything is kept."""
    begun: set[str] = field(default_factory=set)
    """Symbols of which a sample came."""
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    failures: dict[str, errors.TomicError] = field(default_factory=dict)

    async def measure(self, symbols: Sequence[str]) -> None:
        """Measure the volatility of *symbols*, after bringing today's IV history up to date."""
        resources = self.resources
        store, settings = await resources.store(), resources.settings
        if self.given:
            now = measure.Now(max(chain.as_of for chain in self.given.values()), chains=self.given)
            reports = await measure.volatility(store, symbols, settings, now=now, keep=False)
            self.vols.update((report.symbol, report.snapshot) for report in reports)
            return
        if not resources.origin.demo:
            await history.update(
                resources.session,
                store,
                symbols,
                settings,
                series=["ib30"],
                deadline=self.deadline,
                watch=resources.watch,
            )
        await self._measure(symbols)

    async def _measure(self, symbols: Sequence[str]) -> None:
        for report in await vols(self.resources, symbols, deadline=self.deadline):
            self.vols[report.symbol] = report.error or report.snapshot

    async def vol(self, symbol: str) -> VolSnapshot:
        """The volatility of one symbol; why there is none is raised."""
        await self.measure([symbol])
        snapshot = self.vols[symbol]
        if isinstance(snapshot, errors.TomicError):
            raise snapshot
        return snapshot

    async def chain(self, symbol: str, gated: Gated) -> Chain:
        """
        The chain that was given, a whole stored one that is young enough, or a new one.

        Raises:
            UsageError: It is one of options on a future, which no rule of the scan knows.
        """
        refuse_future(symbol, self.resources.settings)
        if symbol in self.given:
            return self.given[symbol]
        stored = await self._stored(symbol, gated)
        if stored is not None:
            return stored
        rules = self.resources.settings.scan
        # Where a sample will not do, for one trade or at a closed market, as many as are allowed.
        if rules.method == "exhaustive":
            rules = windows.unthinned(rules)
        choose = partial(windows.choose_for, gated.templates, rules)
        settings = self.resources.settings
        chain, _ = await fetch(self.resources, symbol, settings, self.deadline, choose)
        return chain

    async def _stored(self, symbol: str, gated: Gated) -> Chain | None:
        """A whole stored chain that is young enough."""
        resources, rules = self.resources, self.resources.settings.scan
        session = await resources.session(symbol)
        stored = await (await resources.store()).chains.load(
            symbol, max_age=rules.max_chain_age, now=session.clock_now(), whole=True
        )
        serves = stored is not None and windows.serves(stored, gated.templates, rules)
        return stored if serves else None

    def choose_few(self, choose: Chooser, settings: Settings) -> None:
        """Sample symbols of which no chain is known, if the settings want it."""
        rules = settings.scan
        if rules.method == "sampled" and not self.given and self.resources.origin.replay is None:
            self.few = SampledScan(
                resources=self.resources,
                settings=settings,
                deadline=self.deadline,
                choose=choose.walk,
                top=choose.top,
                by_strategy=choose.by_strategy,
                coarse=len(self.vols) >= sampling.COARSE_FROM,
                failures=self.failures,
                book=self.book,
            )

    def announce(self, symbols: Sequence[str]) -> None:
        """Say in which order *symbols* are looked at, and when it should be over."""
        if self.given or not symbols:
            return
        settings, names = self.resources.settings, list(dict.fromkeys(symbols))
        chosen = templates.choose(settings, self.strategies)
        pairs = any(template.gap is not None for template in chosen)
        messages = sampling.expected_messages(len(names), settings.scan, pairs=pairs)
        seconds = messages / settings.limits.messages_per_s
        done = dt.datetime.now().astimezone() + dt.timedelta(seconds=seconds)
        text = f"{len(names)} symbols: {', '.join(names)}; about {messages:,} messages"
        self.resources.watch(Event("stage", "", f"{text}, done by about {done:%H:%M:%S}"))

    async def finish(self) -> None:
        """What is left to do when every symbol has been begun."""
        if self.few is None:
            return
        found = await self.few.finish(tuple(self.evaluations.values()))
        self.evaluations |= {evaluation.symbol: evaluation for evaluation in found}
        for symbol in self.evaluations.keys() & self.failures.keys():
            del self.evaluations[symbol]
        await self.few.keep_chains()

    async def look_at(self, symbols: Iterable[str]) -> None:
        """Evaluate *symbols*, a few at once."""
        at_once = self.resources.settings.scan.symbols_at_once
        gate = asyncio.Semaphore(at_once if self.few is None else max(at_once, sampled.AT_ONCE))
        with errors.ungrouped():
            async with asyncio.TaskGroup() as group:
                for symbol in symbols:
                    group.create_task(self._look(symbol, gate), name=f"tomic scan {symbol}")

    async def _look(self, symbol: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                evaluation = await self._evaluate(symbol)
            except errors.TomicError as exc:
                self.failures[symbol] = exc
            else:
                self.failures.pop(symbol, None)
                if evaluation is None:
                    self.begun.add(symbol)
                else:
                    self.evaluations[symbol] = evaluation
                    self._tell(evaluation)
                    self._let_go()
        done = len(self.evaluations.keys() | self.begun | self.failures.keys())
        self.resources.watch(Event("count", "symbols", done=done, total=len(self.vols)))

    def _let_go(self) -> None:
        """Now and then, the candidates of symbols that can no longer be shown."""
        if self.leaders is not None and len(self.evaluations) % _LET_GO_EACH == 0:
            scan = self.resources.settings.scan
            self.evaluations = propose.contending(self.evaluations, self.leaders, scan)

    def _tell(self, evaluation: Evaluation) -> None:
        shut = "" if evaluation.gated.templates else "; no strategy's gate is open"
        text = f"{counted(evaluation.considered, 'trade')} considered{shut}"
        self.resources.watch(Event("done", evaluation.symbol, text))

    async def _evaluate(self, symbol: str) -> Evaluation | None:
        """A symbol that was searched; None for one that was sampled: see `finish`."""
        refuse_future(symbol, self.resources.settings)
        vol, settings = (self.vols[symbol], propose.with_views(self.resources.settings, self.views))
        if isinstance(vol, errors.TomicError):
            raise vol
        gated = propose.open_gates(vol, settings, self.strategies)
        if not gated.templates:
            return _closed(symbol, gated, "no strategy's gate is open; no chain fetched")
        try:
            return await self._searched(symbol, vol, gated, settings)
        except errors.EmptyWindow as exc:
            # What the strategies take is not listed today: an answer, and no fault of anybody.
            return _closed(symbol, gated, str(exc))

    async def _searched(
        self, symbol: str, vol: VolSnapshot, gated: Gated, settings: Settings
    ) -> Evaluation | None:
        if (
            self.few is not None
            and await self._stored(symbol, gated) is None
            and await self.few.begin(symbol, vol, gated)
        ):
            return None
        chain = await self.chain(symbol, gated)
        if not any(RowStatus(name) is RowStatus.OK for name in chain.counts):
            if chain.is_cut:
                raise cut_short(chain)
            raise errors.DataError(f"{symbol}: no option has a quote and Greeks: {chain.gaps}")
        # Kernels are pure, and the session must go on answering meanwhile.
        evaluation = await asyncio.to_thread(
            propose.evaluate, chain, vol, settings, gated=gated, book=self.book
        )
        return propose.settled(evaluation, settings.scan, symbols=len(self.vols))

    async def try_again(self) -> None:
        """Look once more at symbols that may come now, while time is left and some do come."""
        idle, loop = 0, asyncio.get_running_loop()
        while missing := [name for name, error in self.failures.items() if _may_come(error)]:
            if idle == _IDLE_ROUNDS or self.resources.interrupted or loop.time() >= self.deadline:
                break
            self.resources.watch(Event("stage", "", f"once more: {', '.join(missing)}"))
            unmeasured = [
                name for name in missing if isinstance(self.vols[name], errors.TomicError)
            ]
            if unmeasured:
                await self._measure(unmeasured)
            await self.look_at(missing)
            left = sum(map(_may_come, self.failures.values()))
            idle = 0 if left < len(missing) else idle + 1


def _may_come(error: errors.TomicError) -> bool:
    """Whether a symbol that failed so may be had a while later over the same connection."""
    if isinstance(error, errors.SessionError):
        return isinstance(error, errors.SessionLost)
    if isinstance(error, errors.GatewayRefused) and error.error_code == _NO_LINE:
        return True
    return error.retryable or isinstance(error, errors.MissingSpot)


def _closed(symbol: str, gated: Gated, why: str) -> Evaluation:
    """The evaluation of a symbol of which no option was asked for, and why."""
    outcome = SymbolOutcome(symbol=symbol, notes=(why,))
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
    return _Pairs({symbol: _Closes(of_it.date, of_it.close) for symbol, of_it in bars.items()})


class _Closes(NamedTuple):
    """What a correlation is drawn from."""

    date: NDArray[np.datetime64]
    close: FloatArray


class _Pairs(Mapping[frozenset[str], float]):
    """
    Correlations of pairs, each computed when it is first asked for.

    A ranking asks for those of what it shows: of hundreds of symbols a small share of all pairs.
    """

    def __init__(self, closes: Mapping[str, _Closes]) -> None:
        self._closes = closes
        self._known: dict[frozenset[str], float | None] = {}

    def __getitem__(self, pair: frozenset[str]) -> float:
        if pair not in self._known:
            self._known[pair] = self._of(pair)
        value = self._known[pair]
        if value is None:
            raise KeyError(pair)
        return value

    def __iter__(self) -> Iterator[frozenset[str]]:
        pairs = map(frozenset, combinations(sorted(self._closes), 2))
        return (pair for pair in pairs if self.get(pair) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _of(self, pair: frozenset[str]) -> float | None:
        if len(pair) != 2 or not pair <= self._closes.keys():
            return None
        first, second = sorted(pair)
        return _correlation(self._closes[first], self._closes[second])


def _correlation(first: _Closes, second: _Closes) -> float | None:
    _, in_first, in_second = np.intersect1d(first.date, second.date, return_indices=True)
    if len(in_first) <= _LEAST_DAYS:
        return None
    closes = np.stack([first.close[in_first], second.close[in_second]])
    returns = np.asarray(realized.daily_log_returns(closes))[:, 1:]
    if not np.isfinite(returns).all() or not returns.std(axis=1).all():
        return None
    return float(np.asarray(np.corrcoef(returns))[0, 1])


async def keep(store: Database, result: ScanResult, day: dt.date, *, mark: str = "") -> ScanResult:
    """
    Save a scan with its proposals; return it with the ids that the store gave them, behind *mark*.

    Raises:
        StoreError: The store cannot be used.
    """
    as_of = result.as_of or dt.datetime.now(dt.UTC)
    rows = [
        NewProposal(proposal.symbol, proposal.strategy, proposal.expiry, to_document(proposal))
        for proposal in result.proposals
    ]
    summary = to_document(result, exclude={"proposals"})
    stored = await store.scans.save(rows, as_of=as_of, day=day, document=summary, mark=mark)
    numbered = tuple(
        proposal.model_copy(update={"id": proposal_id})
        for proposal, proposal_id in zip(result.proposals, stored.proposal_ids, strict=True)
    )
    return result.model_copy(update={"proposals": numbered})


async def load(store: Database, proposal_id: str, *, replayed: Path | None = None) -> Proposal:
    """
    A stored proposal; one of a recording stands in a store of its own, *replayed*.

    Raises:
        DataError: There is none of that id.
        StoreError: The store cannot be used.
    """
    if replayed is not None and proposal_id.startswith(REPLAYED):
        async with Database(replayed) as of_recordings:
            return await load(of_recordings, proposal_id)
    stored = await store.scans.proposal(proposal_id)
    if stored is None:
        recent = [
            known_id for scan in await store.scans.latest(limit=3) for known_id in scan.proposal_ids
        ]
        known = f"; the latest are {', '.join(recent[:5])}" if recent else "; run tomic scan first"
        raise errors.DataError(f"no proposal {proposal_id}{known}")
    proposal = read_as(Proposal, stored.document, f"proposal {stored.id}")
    return proposal.model_copy(update={"id": stored.id})
