"""
The desk: settings, session, store and, for a demo, the simulated gateway, under one roof.

``async with tomic.Desk() as desk: chain = await desk.chain("SPY", dte=15)`` — the session opens
on first need and closes with the desk. In a notebook, `Desk.open` and `Desk.close` do the same in
cells of their own.
"""

from __future__ import annotations

import datetime as dt
import difflib
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack, get_args, overload

from tomic._keywords import refuse_unknown, suggests
from tomic.chain import Chain
from tomic.config import Settings, load_settings
from tomic.errors import DataError, UsageError
from tomic.ib.session import Session
from tomic.models import normalize_symbol, normalize_symbols, several
from tomic.models.frames import Rows
from tomic.store import Database
from tomic.store.history import IvKind
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.templates import Wanted
from tomic.workflows import backtest as backtesting, recording, scan
from tomic.workflows.chain.fetch import ChainOutcome, fetch, fetch_all, with_rules
from tomic.workflows.chain.setup import Chooser
from tomic.workflows.doctor import ladder
from tomic.workflows.journal import manage as managing, verbs
from tomic.workflows.portfolio import review
from tomic.workflows.progress import Watcher, ignore
from tomic.workflows.resources import Origin, Resources, SharedResources
from tomic.workflows.volatility import measure, today

if TYPE_CHECKING:
    from tomic.config.market import ChainRules
    from tomic.models import BacktestResult, Comparison, Proposal, ScanResult, Sweep, TradeReview
    from tomic.models.review import StressGrid
    from tomic.store.history import Bars, VolSeries
    from tomic.strategies.propose import Views
    from tomic.strategies.scoring import FitModel
    from tomic.workflows.doctor.ladder import Check
    from tomic.workflows.journal.manage import ManageRun
    from tomic.workflows.journal.verbs import DeskJournal
    from tomic.workflows.portfolio.review import PortfolioReview
    from tomic.workflows.volatility.history import HistoryRun
    from tomic.workflows.volatility.measure import VolReport
    from tomic.workflows.volatility.stored import PastDay


class VolOptions(TypedDict, total=False):
    """Keywords of `Desk.vol`, which `Desk.vols` explains."""

    days: int | None
    chain: bool
    smiles: bool
    stored: bool


class WalkOptions(TypedDict, total=False):
    """Keywords of `Desk.compare` and `Desk.sweep`, which `Desk.backtest` explains."""

    symbols: str | Sequence[str]
    since: dt.date | None
    until: dt.date | None
    strategies: str | Sequence[str] | None
    every: Literal["week", "day"]
    run: Literal["hold", "managed"]
    surface: Path | str | None
    chains: Sequence[Path | str]
    kept: bool


class Desk:
    """
    What notebooks and commands work with.

    It must be open before it is asked for anything: by ``async with``, or by `open`. Where several
    symbols or strategies are wanted, one text is one name, or several by commas.

    Args:
        settings: Settings to use; by default those of `load_settings(config, **overrides)`.
        config: Configuration file instead of ``./tomic.toml``.
        demo: Start the built-in gateway on its model market; no TWS is needed.
        replay: A recorded chain or session to serve through the built-in gateway.
        as_of: When a recorded chain was recorded, if its name does not say.
        paced: Keep IB's message limit in a demo too.
        seed: Seed of the demo market.
        record: Where to write what the session receives and asks, account numbers masked.
        command: What the recording says was run.
        demo_store: Where a demo keeps its store; by default it has one only while it runs. The same
            as ``store={"path": ...}``, which a replay takes too.
        replay_store: Where the scans of a replay are kept, under ids of their own; by default
            nowhere.
        began: Since when the first call has its time, on the loop's clock, as for a command that
            took a while to start; by default every call has it from its own start.
        watch: Called with each :class:`~tomic.workflows.progress.Event`.
        resources: What to work with, settings among it, instead of all the others: those of
            another desk, for one; see `sharing`.
        **overrides: Sections of settings, such as ``ib={"port": 4002}``.

    Raises:
        ConfigError: The settings cannot be used.
        UsageError: *demo* and *replay* together, *settings* beside what they are made of, or the
            store of real data for a demo or replay.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        config: Path | str | None = None,
        demo: bool = False,
        replay: Path | str | None = None,
        as_of: dt.datetime | None = None,
        paced: bool = False,
        seed: int = 1,
        record: Path | str | None = None,
        command: str = "",
        demo_store: Path | None = None,
        replay_store: Path | None = None,
        began: float | None = None,
        watch: Watcher = ignore,
        resources: Resources | None = None,
        **overrides: Mapping[str, Any],
    ) -> None:
        if resources is not None:
            self._resources = resources
            return
        origin = Origin(demo, replay, as_of, paced, seed)
        if settings is not None and (overrides or config is not None):
            beside = ", ".join(overrides) or "config"
            raise UsageError(
                f"{beside} beside settings: give either settings, or what they are made of"
            )
        _refuse_misspelt(overrides)
        settings = settings or load_settings(config, **overrides)
        given_store = _store_of_its_own(settings, config, overrides) if origin.simulated else None
        if given_store is not None and demo_store is not None:
            raise UsageError("demo_store and store: give the store of a demo once")
        recorded = None if record is None else recording.SessionRecording(Path(record), command)
        self._resources = Resources(
            settings,
            origin,
            recording=recorded,
            simulated_store=given_store or (demo_store if demo else None),
            replay_store=replay_store if replay is not None else None,
            began=began,
            watch=watch,
        )

    def sharing(self, settings: Settings, *, watch: Watcher = ignore) -> Desk | None:
        """
        A desk over the session and the store of this one, which keeps both open.

        For work that follows other work. None where *settings* mean another gateway or store.
        """
        if not self._resources.serves(settings):
            return None
        return Desk(resources=SharedResources(self._resources, settings, watch=watch))

    async def open(self) -> Self:
        """
        Let the desk open what it needs, as it needs it; returns the desk.

        The time of the first fetch runs from here. Opening twice changes nothing; a desk that was
        closed may be opened again. A process ends also where nobody closes: what the store was
        told is kept, but a recording is written, and TWS told good-bye, only by `close`.
        """
        self._resources.open()
        return self

    async def close(self) -> None:
        """
        Close the session, the store and what stands in for TWS, and write the recording.

        Closing twice, or what was never opened, changes nothing. Cancelled, it still closes.

        Raises:
            BadFile: The recording cannot be written.
        """
        await self._resources.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- what it holds ---------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings in effect."""
        return self._resources.settings

    @property
    def demo(self) -> bool:
        """Whether the quotes are those of the demo market."""
        return self._resources.origin.demo

    @property
    def replay(self) -> Path | str | None:
        """The recording that is served, if any."""
        return self._resources.origin.replay

    @property
    def paced(self) -> bool:
        """Whether a demo keeps IB's message limit."""
        return self._resources.origin.paced

    @property
    def simulated(self) -> bool:
        """Whether the built-in gateway is used."""
        return self._resources.origin.simulated

    @property
    def record(self) -> Path | None:
        """Where the recording goes, if there is one."""
        recorded = self._resources.recording
        return recorded.file if recorded is not None else None

    @property
    def has_session(self) -> bool:
        """Whether the session is open."""
        return self._resources.has_session

    async def session(self, symbol: str = "") -> Session:
        """
        The session, opened on first need. *symbol* names what a recorded chain holds.

        Raises:
            SessionError: The gateway cannot be reached.
            BadFile: The recording cannot be used.
            UsageError: The desk is not open.
        """
        return await self._resources.session(symbol)

    async def store(self) -> Database:
        """
        The store, opened on first need; a demo or replay has its own, by default while it runs.

        Raises:
            StoreError: It cannot be used.
            UsageError: The desk is not open.
        """
        return await self._resources.store()

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` stopped a fetch."""
        return self._resources.interrupted

    def interrupt(self) -> bool:
        """Stop what is being fetched and keep what is there; False when nothing is."""
        return self._resources.interrupt()

    async def examine(self) -> AsyncIterator[Check]:
        """Climb the ladder of checks, from the socket to option data."""
        resources = self._resources
        ib, pace = await resources.gateway()
        tap = resources.recording.recorder if resources.recording is not None else None
        settings = resources.settings.model_copy(update={"ib": ib})
        async for check in ladder.examine(settings, pace=pace, simulated=self.simulated, tap=tap):
            yield check

    # -- chains ----------------------------------------------------------------------------

    async def chain(
        self,
        symbol: str,
        *,
        dte: int | tuple[int, int | None] | str | None = None,
        delta: tuple[float, float] | str | None = None,
        **rules: Unpack[ChainRules],
    ) -> Chain:
        """
        Fetch the option chain of one symbol.

        Args:
            symbol: Such as ``SPY``, ``BRK.B`` or ``SPX``.
            dte: Fewest days to expiry, or ``(fewest, most)``, which may be written ``"15:60"``.
            delta: Lowest and highest delta, or ``"-0.8:0.8"``; rows outside are marked.
            **rules: Keys of the settings' section ``chain``, such as ``strike_range="5%"``.

        Cancelled, it gives back its lines and leaves the desk usable.

        Raises:
            InvalidSymbol, UsageError: Before any connection; a rule that does not exist is one.
            MarketClosed: Only live quotes are wanted (``market.realtime_only``), and it is closed.
            TomicError: Nothing could be had; a chain that is only partly there is returned.
        """
        name = normalize_symbol(symbol)
        settings = with_rules(self.settings, dte, delta, rules)
        deadline = self._resources.take_deadline(settings.chain.deadline_s)
        chain, _ = await fetch(self._resources, name, settings, deadline)
        return chain

    async def chains(
        self,
        symbols: str | Sequence[str],
        *,
        dte: int | tuple[int, int | None] | str | None = None,
        delta: tuple[float, float] | str | None = None,
        on_done: Callable[[ChainOutcome], None] | None = None,
        **rules: Unpack[ChainRules],
    ) -> list[ChainOutcome]:
        """
        As :meth:`chain` for several symbols at once; an outcome per symbol, in order.

        Args:
            on_done: Called with each outcome as soon as it is there.
        """
        names = normalize_symbols(symbols)
        settings = with_rules(self.settings, dte, delta, rules)
        return await fetch_all(self._resources, names, settings, on_done=on_done)

    # -- volatility ------------------------------------------------------------------------

    @suggests
    async def prices(
        self,
        symbols: str | Sequence[str] = (),
        *,
        days: int | None = None,
        ib_hv: bool = False,
        force: bool = False,
        timeout_s: float | None = None,
    ) -> HistoryRun:
        """
        Bring stored bars and implied volatility up to date; see `volatility.history.update`.

        Raises:
            InvalidSymbol: Before any connection.
            SessionError: The gateway is needed and cannot be reached.
            StoreBusy: Another run is at it.
        """
        names = self._names(symbols)
        return await today.prices(
            self._resources, names, days=days, ib_hv=ib_hv, force=force, timeout_s=timeout_s
        )

    @overload
    async def vol(self, symbol: str, **options: Unpack[VolOptions]) -> VolReport: ...

    @overload
    async def vol(
        self, symbol: list[str] | tuple[str, ...], **options: Unpack[VolOptions]
    ) -> Rows[VolReport]: ...

    async def vol(
        self, symbol: str | list[str] | tuple[str, ...], **options: Unpack[VolOptions]
    ) -> VolReport | Rows[VolReport]:
        """
        As :meth:`vols`: a report for one symbol, a list of them for several.

        Several are a list, or one text with commas.
        """
        refuse_unknown("vol", options, VolOptions.__annotations__)
        names = several(symbol)
        if isinstance(symbol, str) and len(names) < 2:
            (report,) = await self.vols([symbol], **options)
            return report
        return await self.vols(names, **options)

    @suggests
    async def vols(
        self,
        symbols: str | Sequence[str] = (),
        *,
        days: int | None = None,
        chain: bool = False,
        smiles: bool = False,
        stored: bool = False,
    ) -> Rows[VolReport]:
        """
        Measure the volatility of *symbols*, those of the settings by default.

        ``(await desk.vols()).to_frame()`` has a row a symbol; volatilities and ranks are fractions.

        Args:
            symbols: Underlyings.
            days: Window of IV rank and percentile, trading days.
            chain: Take the chain of the day, fetched when there is none yet.
            smiles: Fit smiles to the chains, for one more kind of expected move.
            stored: From the store alone; nobody is asked.
        """
        names = self._names(symbols)
        return Rows(
            await today.vols(
                self._resources, names, days=days, chain=chain, smiles=smiles, stored=stored
            )
        )

    @suggests
    async def vol_history(self, symbol: str, days: int = 30) -> Rows[PastDay]:
        """The stored closes and volatilities of the last *days* days, oldest first."""
        return Rows(
            await measure.load_days(
                await self.store(), normalize_symbol(symbol), days, self.settings
            )
        )

    @suggests
    async def bars(self, symbol: str, *, days: int | None = None, stored: bool = False) -> Bars:
        """
        Daily bars of one symbol, ascending; ``.to_frame()`` indexes them by day.

        Args:
            symbol: Such as ``SPY``.
            days: The last trading days; None is all that is stored.
            stored: From the store alone; nobody is asked. Else it is brought up to date first, as
                by :meth:`prices`.

        Raises:
            DataError: Nothing is stored of it and nothing came.
            InvalidSymbol, SessionError, StoreBusy: As :meth:`prices`.
        """
        name = await self._brought(symbol, days, stored=stored)
        bars = await (await self.store()).history.bars(name, days=days)
        if not len(bars):
            raise self._nothing(name, "bars")
        return bars

    @suggests
    async def iv(
        self, symbol: str, *, days: int | None = None, kind: IvKind = "ib30", stored: bool = False
    ) -> VolSeries:
        """
        Implied volatility of one symbol by day, ascending fractions; `to_series` for pandas.

        Args:
            symbol, days, stored: As of :meth:`bars`.
            kind: ``ib30`` is IB's 30-day volatility, ``chain30`` that of chains of your own,
                ``ib_hv30`` IB's historical one.

        Raises:
            DataError: Nothing is stored of it and nothing came.
        """
        kinds = get_args(IvKind)
        if kind not in kinds:
            raise UsageError(f"kind={kind!r} is none of {', '.join(kinds)}")
        name = await self._brought(symbol, days, stored=stored, ib_hv=kind == "ib_hv30")
        series = await (await self.store()).history.iv(name, kind, days=days)
        if not len(series):
            raise self._nothing(name, kind)
        return series

    async def _brought(
        self, symbol: str, days: int | None, *, stored: bool, ib_hv: bool = False
    ) -> str:
        name = normalize_symbol(symbol)
        if days is not None and days < 1:
            raise UsageError(f"days={days}: ask for at least one")
        if not stored:
            await self.prices([name], days=days, ib_hv=ib_hv)
        return name

    @staticmethod
    def _nothing(name: str, what: str) -> DataError:
        return DataError(f"no {what} of {name} stored; await desk.prices({name!r}) fetches them")

    # -- scan ------------------------------------------------------------------------------

    @suggests
    async def scan(
        self,
        symbols: str | Sequence[str] = (),
        *,
        top: int | None = None,
        strategies: Wanted | None = None,
        by_strategy: bool = False,
        chains: Chain | Sequence[Chain] = (),
        book: FitModel | None = None,
        views: Views | None = None,
        job: str = "",
    ) -> ScanResult:
        """
        Search *symbols*, those of the settings by default, for the best trades.

        Args:
            symbols: Underlyings.
            top: How many proposals; with *by_strategy*, of each strategy.
            strategies: Names, or `Template` objects of your own, or a list of both, instead of
                those of the settings.
            by_strategy: The best of each strategy instead of the best of all.
            chains: Search these instead of fetching any.
            book: A portfolio that the proposals should fit; the last saved one by default.
            views: What you expect of symbols, beside and over the settings' own, such as
                ``{"SPY": tomic.View(volatility=0.9)}``; shown beside the market's figures.
            job: The job that this is a step of; `tomic report day` prefers its scan to others.

        Raises:
            ConfigError: A strategy that does not exist.
            UsageError: Several chains of one symbol, or an impossible view.
            SessionError: The gateway cannot be reached at all.
        """
        loaded = [chains] if isinstance(chains, Chain) else list(chains)
        given = {chain.symbol: chain for chain in loaded}
        if len(given) < len(loaded):
            twice = next(chain.symbol for chain in loaded if given[chain.symbol] is not chain)
            raise UsageError(f"several chains of {twice}; a scan searches one of each symbol")
        async with self._knowing(strategies) as (resources, names):
            return await scan.search(
                resources,
                list(given) or self._names(symbols),
                given,
                top=top,
                strategies=names,
                by_strategy=by_strategy,
                book=book,
                views=views,
                job=job,
            )

    @asynccontextmanager
    async def _knowing(
        self, strategies: Wanted | None
    ) -> AsyncIterator[tuple[Resources, list[str] | None]]:
        """What to work with so that templates among *strategies* are known, and all their names."""
        settings, names = templates.with_own(self.settings, strategies)
        if settings is self.settings:
            yield self._resources, names
            return
        shared = SharedResources(self._resources, settings, watch=self._resources.watch)
        shared.open()
        try:
            yield shared, names
        finally:
            await shared.close()

    # -- backtest --------------------------------------------------------------------------

    @suggests
    async def backtest(
        self,
        symbols: str | Sequence[str] = (),
        *,
        since: dt.date | None = None,
        until: dt.date | None = None,
        strategies: Wanted | None = None,
        every: Literal["week", "day"] = "week",
        run: Literal["hold", "managed"] = "managed",
        surface: Path | str | None = None,
        chains: Sequence[Path | str] = (),
        kept: bool = False,
    ) -> BacktestResult:
        """
        Walk forward over history with these settings: what the scan would have shown, and its end.

        Args:
            symbols: Underlyings; those of the data, or of the settings where that is the store.
            since, until: First and last day of entry.
            strategies: Names or templates, as of :meth:`scan`, instead of those of the settings.
            every: Open trades once a week, or every day.
            run: Close by the exits of ``[journal]``, or hold to the expiry.
            surface: File of daily surfaces; by default the store's closes and volatilities.
            chains: Files or folders of recorded chains, which go before anything modelled.
            kept: Whether to walk over the chains that the store keeps, too.

        Raises:
            BadFile: A file cannot be used.
            ConfigError: A strategy that does not exist.
            DataError: Nothing could be searched on any day.
        """
        async with self._knowing(strategies) as (resources, names):
            asked = _asked(symbols, since, until, names, every, run, surface, chains, kept)
            return await backtesting.backtest(resources, asked)

    async def compare(self, other: Settings, name: str, **asked: Unpack[WalkOptions]) -> Comparison:
        """These settings and *other*, called *name*, over the same days; else as `backtest`."""
        refuse_unknown("compare", asked, WalkOptions.__annotations__)
        return await backtesting.compare(self._resources, _asked(**asked), other, name)

    async def sweep(self, key: str, values: Sequence[str], **asked: Unpack[WalkOptions]) -> Sweep:
        """
        One key of the settings, such as ``score.weights.pos``, at several values.

        Raises:
            ConfigError: There is no such key, or a value is impossible.
        """
        refuse_unknown("sweep", asked, WalkOptions.__annotations__)
        choices = backtesting.varied(self.settings, key, values)
        base = backtesting.value_of(self.settings, key)
        return await backtesting.sweep(self._resources, _asked(**asked), key, choices, base)

    @suggests
    async def why_not(self, symbol: str, trade: str, *, chain: Chain | None = None) -> TradeReview:
        """
        Which rule refuses *trade*, such as ``short_put_spread 560/550 2025-06-20``.

        Raises:
            UsageError, ConfigError: The text is no trade, or of no known strategy.
        """
        name = normalize_symbol(symbol)
        given = {name: chain} if chain is not None else {}
        return await scan.why_not(self._resources, name, trade, given)

    async def proposal(self, proposal_id: str) -> Proposal:
        """A stored proposal, of a recording too; DataError when there is none of that id."""
        replayed = self.settings.store.replay_path
        return await scan.load(await self.store(), proposal_id, replayed=replayed)

    async def refreshed(self, old: Proposal) -> TradeReview:
        """*old* judged again with its legs quoted anew, in the chain it was found in."""
        return await scan.refreshed(self._resources, old)

    # -- journal ---------------------------------------------------------------------------

    @suggests
    async def journal(self, *, offline: bool = False) -> DeskJournal:
        """
        The journal: ``journal = await desk.journal()``, then ``await journal.add(...)``, ``close``,
        ``roll``, ``check``, ``stats``, ``entries``.

        A replay reads the real journal; a demo has one of its own.

        Args:
            offline: Ask nobody.
        """
        resources, replayed = self._resources, self.replay is not None
        quiet = offline and not self.simulated
        return verbs.DeskJournal(
            await (resources.own_store() if replayed else resources.store()),
            self.settings,
            clock=self._now,
            fetch=None if quiet else self._fetch_legs,
            session=None if quiet else self.session,
            source="replay" if replayed else "demo" if self.demo else "live",
        )

    async def _now(self) -> dt.datetime:
        """The gateway's time in a demo and while connected, else that of the computer."""
        if self.demo or self.has_session:
            return await (await self.session()).now()
        return dt.datetime.now(dt.UTC)

    async def _fetch_legs(self, symbol: str, settings: Settings, choose: Chooser) -> Chain:
        """The legs of one symbol; of several that are asked at once, all by one deadline."""
        with self._resources.sharing_deadline(settings.chain.deadline_s) as deadline:
            # Too few options to stand for the chain of the day, so nothing of it is kept.
            chain, _ = await fetch(self._resources, symbol, settings, deadline, choose, keep=False)
        return chain

    @suggests
    async def manage(
        self, which: str = "", *, offline: bool = False, keep: bool = True
    ) -> ManageRun:
        """
        What to do with open positions: every alternative with its figures, the best first.

        Entries of the journal, and structures of the last saved portfolio that no entry has.

        Args:
            which: The number of an entry, the name of a structure, a symbol, or "" for all.
            offline: Ask nobody: alternatives among the strikes of the last stored chain.
            keep: Keep what is shown, for what it would have brought.

        Raises:
            UsageError: Nothing that is open is called so.
            SessionError: The gateway cannot be reached at all.
        """
        journal = await self.journal(offline=offline)
        resources = self._resources
        with resources.sharing_deadline(self.settings.chain.deadline_s):
            manager = await managing.manager(resources, journal, offline=offline)
            return await managing.manage(manager, which, keep=keep)

    # -- portfolio -------------------------------------------------------------------------

    @suggests
    async def portfolio(
        self,
        trade: str = "",
        *,
        each_symbol: bool = False,
        ib_margin: bool = False,
        file: Path | None = None,
        last: bool = False,
    ) -> PortfolioReview:
        """
        Review what is held; see `workflows.portfolio.review.portfolio`.

        Args:
            trade: A proposal's id, or legs, to put beside the book.
            each_symbol: Also a stress grid for every symbol by itself.
            ib_margin: Also the broker's own margin of that trade, by one what-if order.
            file, last: A saved book, or the last one, instead of the gateway.

        Raises:
            UsageError: What is asked cannot be.
            RequestTimeout, SessionError: The account could not be read.
        """
        return await review.portfolio(
            self.session,
            await self.store(),
            self.settings,
            review.ReviewRequest(trade, each_symbol, ib_margin, file, last),
            simulated=self.simulated,
            deadline=self._resources.take_deadline(),
            watch=self._resources.watch,
        )

    @suggests
    async def stress(self, symbol: str = "", *, last: bool = False) -> StressGrid:
        """
        P&L of the portfolio over moves of spot, of volatility and days; see :meth:`portfolio`.

        Args:
            symbol: Of this one alone; by default the book, in terms of the benchmark.
            last: Of the last saved book, without asking the gateway.

        Raises:
            DataError: Nothing that is held can be revalued.
        """
        found = await self.portfolio(each_symbol=bool(symbol), last=last)
        return found.stress(symbol)

    def _names(self, symbols: str | Sequence[str]) -> list[str]:
        names = normalize_symbols(symbols)
        return list(dict.fromkeys(names or self.settings.market.symbols))


def _asked(
    symbols: str | Sequence[str] = (),
    since: dt.date | None = None,
    until: dt.date | None = None,
    strategies: str | Sequence[str] | None = None,
    every: Literal["week", "day"] = "week",
    run: Literal["hold", "managed"] = "managed",
    surface: Path | str | None = None,
    chains: Sequence[Path | str] = (),
    kept: bool = False,
) -> backtesting.WalkRequest:
    return backtesting.WalkRequest(
        symbols=tuple(normalize_symbols(symbols)),
        first=since,
        last=until,
        strategies=None if strategies is None else tuple(several(strategies)),
        every=every,
        run=run,
        surface=None if surface is None else Path(surface),
        chains=tuple(map(Path, chains)),
        kept=kept,
    )


def _refuse_misspelt(sections: Mapping[str, object]) -> None:
    """Refuse what is no section of the settings but nearly an argument of `Desk`."""
    known = [name for name in inspect.signature(Desk.__init__).parameters if name != "self"]
    for name in sections:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in Settings.model_fields:
            raise TypeError(f"Desk() has no argument {name!r}; did you mean {near[0]!r}?")


def _store_of_its_own(
    settings: Settings, config: Path | str | None, overrides: Mapping[str, Mapping[str, Any]]
) -> Path | None:
    """The store that a demo or replay was given as an argument; never that of real data."""
    if "store" not in overrides:
        return None
    others = {name: keys for name, keys in overrides.items() if name != "store"}
    real = load_settings(config, **others).store.path
    path = settings.store.path
    if path.resolve() == real.resolve():
        given = overrides["store"]
        if isinstance(given, Mapping) and "path" not in given:
            return None
        raise UsageError(
            f"{path} is the store of real data; a demo or replay needs another, such as "
            f"store={{'path': '{settings.store.demo_path}'}}"
        )
    return path
