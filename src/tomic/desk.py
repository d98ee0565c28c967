"""
The desk: settings, session, store and, for a demo, the simulated gateway, under one roof.

``async with tomic.Desk() as desk: chain = await desk.chain("SPY", dte=15)`` — the session opens
on first need and closes with the desk.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tomic import dates
from tomic.chain import Chain
from tomic.config import IbSettings, Settings, load_settings
from tomic.config.market import ChainSettings
from tomic.errors import DataError, StoreError, TomicError, UsageError
from tomic.ib.session import Session
from tomic.models import DataType, Spot, SpotSource, Underlying, VolSnapshot, normalize_symbol
from tomic.store import Database
from tomic.workflows import stand_in
from tomic.workflows.chain import fetch_chain
from tomic.workflows.chain_setup import Chooser
from tomic.workflows.chains import ChainOutcome, fetch_chains
from tomic.workflows.doctor import Check, examine
from tomic.workflows.memory import StoreMemory
from tomic.workflows.progress import Event, Watcher, ignore

if TYPE_CHECKING:
    from tomic.models import Proposal, ScanResult, TradeReview
    from tomic.sim.session_file import Recorder
    from tomic.strategies.fit import FitModel
    from tomic.strategies.propose import Gated
    from tomic.web import Visits
    from tomic.workflows.history import HistoryRun
    from tomic.workflows.journal import Journal
    from tomic.workflows.missing_days import SeriesName
    from tomic.workflows.review import PortfolioView
    from tomic.workflows.stored_volatility import PastDay
    from tomic.workflows.volatility import Now, VolReport

_DEMO_PACE = 1000.0
"""Messages a second towards the demo gateway, which by default has no limit."""
_RECORDED_SPOT_S = 0.5


class Desk:
    """
    What notebooks and commands work with.

    Args:
        settings: Settings to use; by default those of `load_settings(config)`.
        config: Configuration file instead of ``./tomic.toml``.
        demo: Start the built-in gateway on its model market; no TWS is needed.
        replay: A recorded chain or session to serve through the built-in gateway.
        as_of: When a recorded chain was recorded, if its name does not say.
        paced: Keep IB's message limit in a demo too.
        seed: Seed of the demo market.
        record: Where to write what the session receives and asks, account numbers masked.
        command: What the recording says was run.
        demo_store: Where a demo keeps its store; by default it has one only while it runs.
        watch: Called with each :class:`~tomic.workflows.progress.Event`.
        **overrides: Sections of settings, such as ``ib={"port": 4002}``.

    Raises:
        ConfigError: The settings cannot be used.
        UsageError: *demo* and *replay* together.
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
        watch: Watcher = ignore,
        **overrides: Mapping[str, Any],
    ) -> None:
        if demo and replay is not None:
            raise UsageError("--demo and --replay exclude each other; give one of them")
        self.settings = settings or load_settings(config, **overrides)
        self.demo, self.replay, self.as_of, self.paced, self.seed = demo, replay, as_of, paced, seed
        self._watch = watch
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._storing = asyncio.Lock()
        self._database: Database | None = None
        self._web: Visits | None = None
        self._stand_in: stand_in.StandIn | None = None
        self.record = Path(record) if record is not None else None
        self._demo_store = demo_store
        self._recorder = _recorder(command) if record is not None else None
        self._deadline: float | None = None

    async def __aenter__(self) -> Self:
        # The first fetch has what is left since here, later ones a time of their own each.
        self._deadline = asyncio.get_running_loop().time() + self.settings.chain.deadline_s
        return self

    def _take_deadline(self, settings: Settings) -> float:
        """When the fetch that begins now must have ended, on the loop's clock."""
        deadline, self._deadline = self._deadline, None
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + settings.chain.deadline_s
        if self._session is not None:
            self._session.deadline = deadline
        return deadline

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._stack.aclose()
        finally:
            self._session = self._database = None
            self._write_recording()

    def _write_recording(self) -> None:
        if self._recorder is None or self.record is None:
            return
        from tomic.export.atomic import write_bytes

        if not self._recorder.messages:
            self._watch(Event("note", "", "nothing was recorded: no session was opened"))
            return
        data = self._recorder.to_bytes(compress=self.record.suffix == ".gz")
        write_bytes(self.record, data)
        count = f"{self._recorder.messages} messages"
        self._watch(Event("note", "", f"{count} in {self.record}, account numbers masked"))

    # -- what it holds ---------------------------------------------------------------------

    @property
    def simulated(self) -> bool:
        """Whether the built-in gateway is used."""
        return self.demo or self.replay is not None

    @property
    def has_session(self) -> bool:
        """Whether the session is open."""
        return self._session is not None

    async def session(self, symbol: str = "") -> Session:
        """
        The session, opened on first need. *symbol* names what a recorded chain holds.

        Raises:
            SessionError: The gateway cannot be reached.
            BadFile: The recording cannot be used.
        """
        async with self._opening:
            if self._session is None:
                self._session = await self._open_session(symbol)
            return self._session

    async def _open_session(self, symbol: str) -> Session:
        ib, pace = await self._gateway(symbol)
        return await self._stack.enter_async_context(
            Session(
                ib,
                self.settings.limits,
                on_note=lambda text: self._watch(Event("note", "", text)),
                tap=self._recorder,
                realtime_only=self.settings.market.realtime_only,
                pace=pace,
                deadline=self._deadline,
            )
        )

    async def _gateway(self, symbol: str = "") -> tuple[IbSettings, float | None]:
        """Where the gateway is and its own pace, if any; what stands in for TWS is started."""
        ib = self.settings.ib
        if not self.simulated:
            return ib, None
        if self._stand_in is None:
            found = self._choose_stand_in(symbol)
            await self._stack.enter_async_context(found.server)
            # Only now: whoever is cancelled while it starts must not leave one without a port.
            self._stand_in = found
        here = {"host": "127.0.0.1", "port": self._stand_in.server.port}
        return ib.model_copy(update=here), None if self.paced else _DEMO_PACE

    def _choose_stand_in(self, symbol: str) -> stand_in.StandIn:
        if self.replay is None:
            return stand_in.demo(seed=self.seed, paced=self.paced)
        return stand_in.replay(self.replay, symbol, as_of=self.as_of, paced=self.paced)

    async def store(self) -> Database:
        """The store, opened on first need; a demo or replay has its own, while it runs."""
        async with self._storing:
            if self._database is None:
                path = self.settings.store.path
                if self.demo and self._demo_store is not None:
                    path = self._demo_store
                elif self.simulated:
                    folder = self._stack.enter_context(TemporaryDirectory(prefix="tomic-"))
                    path = Path(folder) / "demo.db"
                wait_s = self.settings.store.lock_wait_s
                database = Database(path, busy_timeout_s=wait_s)
                self._database = await self._stack.enter_async_context(database)
            return self._database

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` stopped a fetch."""
        return self._session is not None and self._session.interrupted

    def interrupt(self) -> bool:
        """Stop what is being fetched and keep what is there; False when nothing is."""
        if self._session is None or self._session.interrupted:
            return False
        self._session.interrupt()
        return True

    async def examine(self) -> AsyncIterator[Check]:
        """Climb the ladder of checks, from the socket to option data."""
        ib, pace = await self._gateway()
        settings = self.settings.model_copy(update={"ib": ib})
        async for check in examine(
            settings, pace=pace, simulated=self.simulated, tap=self._recorder
        ):
            yield check

    # -- chains ----------------------------------------------------------------------------

    async def chain(
        self,
        symbol: str,
        *,
        dte: int | tuple[int, int | None] | None = None,
        delta: tuple[float, float] | None = None,
        **rules: Any,
    ) -> Chain:
        """
        Fetch the option chain of one symbol.

        Args:
            symbol: Such as ``SPY``, ``BRK.B`` or ``SPX``.
            dte: Fewest days to expiry, or ``(fewest, most)``.
            delta: Lowest and highest delta; rows outside are marked.
            **rules: Keys of the settings' section ``chain``, such as ``strike_range="5%"``.

        Raises:
            InvalidSymbol, UsageError: Before any connection.
            TomicError: Nothing could be had; a chain that is only partly there is returned.
        """
        name = normalize_symbol(symbol)
        settings = self._with_rules(dte, delta, rules)
        await self.session(name)
        chain, _ = await self._fetch(name, settings, self._take_deadline(settings))
        return chain

    async def chains(
        self,
        symbols: Sequence[str],
        *,
        dte: int | tuple[int, int | None] | None = None,
        delta: tuple[float, float] | None = None,
        on_done: Callable[[ChainOutcome], None] | None = None,
        **rules: Any,
    ) -> list[ChainOutcome]:
        """As :meth:`chain` for several symbols at once; an outcome per symbol, in order."""
        names = [normalize_symbol(one) for one in symbols]
        settings = self._with_rules(dte, delta, rules)
        if self.replay is not None and len(set(names)) > 1:
            raise UsageError("a recording holds one symbol; name one")
        if names:
            await self.session(names[0])
        deadline = self._take_deadline(settings)
        return await fetch_chains(
            lambda name: self._fetch(name, settings, deadline), names, on_done=on_done
        )

    async def _fetch(
        self,
        symbol: str,
        settings: Settings,
        deadline: float,
        choose: Chooser | None = None,
        *,
        keep: bool = True,
    ) -> tuple[Chain, VolSnapshot | None]:
        session = await self.session(symbol)
        recorded_spot = self._stand_in.recorded_spot if self._stand_in else None
        if recorded_spot is not None:
            settings = _less_patient(settings)
        # A recording must hold the contracts too, so it takes none from the store.
        forgetful = self.simulated or self._recorder is not None
        memory = None if forgetful else StoreMemory(await self.store(), session.note)
        chain = await fetch_chain(
            session,
            symbol,
            settings,
            memory=memory,
            deadline=deadline,
            watch=self._watch,
            spot_fallback=self._recorded_web_spot if self.simulated else self._web_spot,
            recorded_spot=recorded_spot,
            choose=choose,
            # The same seed is to give the same document, its count of messages included.
            eager=self.paced or not self.demo,
        )
        if self._recorder is not None and chain.spot.source in (SpotSource.PARITY, SpotSource.WEB):
            self._note_spot(self._recorder, symbol, chain.spot)
        return chain, await self._remembered(chain) if keep else None

    @staticmethod
    def _note_spot(recorder: Recorder, symbol: str, spot: Spot) -> None:
        from tomic.sim.session_file import RecordedSpot

        recorder.note_spot(RecordedSpot(symbol, spot.price, spot.source.value, spot.as_of))

    async def _remembered(self, chain: Chain) -> VolSnapshot | None:
        """The figures beside *chain*; None when the store cannot be used, which costs no chain."""
        from tomic.workflows.volatility import remember_chain

        try:
            return await remember_chain(await self.store(), chain, self.settings)
        except StoreError as exc:
            self._watch(Event("note", "", f"{exc}; volatility history left out"))
            return None

    # -- volatility ------------------------------------------------------------------------

    async def prices(
        self,
        symbols: Sequence[str] = (),
        *,
        days: int | None = None,
        ib_hv: bool = False,
        force: bool = False,
        timeout_s: float | None = None,
    ) -> HistoryRun:
        """
        Bring stored bars and implied volatility up to date; see `workflows.history.update`.

        Raises:
            InvalidSymbol: Before any connection.
            SessionError: The gateway is needed and cannot be reached.
            StoreBusy: Another run is at it.
        """
        from tomic.workflows import history

        names = self._names(symbols)
        series: list[SeriesName] = ["bars", "ib30", "ib_hv30"] if ib_hv else ["bars", "ib30"]
        store, wait_s = await self.store(), self.settings.store.lock_wait_s
        deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        async with store.run_lock("prices", wait_s=wait_s):
            return await history.update(
                self.session,
                store,
                names,
                self.settings,
                now=None if self.simulated else dt.datetime.now(dt.UTC),
                days=days,
                series=series,
                force=force,
                deadline=deadline,
                watch=self._watch,
            )

    async def vol(self, symbol: str, **options: Any) -> VolReport:
        """As :meth:`vols`, for one symbol."""
        (report,) = await self.vols([symbol], **options)
        return report

    async def vols(
        self,
        symbols: Sequence[str] = (),
        *,
        days: int | None = None,
        chain: bool = False,
        smiles: bool = False,
        stored: bool = False,
    ) -> list[VolReport]:
        """
        Measure the volatility of *symbols*, those of the settings by default.

        Args:
            symbols: Underlyings.
            days: Window of IV rank and percentile, trading days.
            chain: Take the chain of the day, fetched when there is none yet.
            smiles: Fit smiles to the chains, for one more kind of expected move.
            stored: From the store alone; nobody is asked.
        """
        from tomic.workflows import volatility

        names, store = self._names(symbols), await self.store()
        if self.demo and not stored:
            await self.prices([*names, volatility.VIX])
        now = volatility.Now(dt.datetime.now(dt.UTC))
        if not stored:
            # A chain that is fetched afterwards shares this deadline.
            patience_s = self.settings.chain.deadline_s
            deadline = self._deadline or asyncio.get_running_loop().time() + patience_s
            now = await volatility.observe(
                self.session, names, self.settings, deadline=deadline, watch=self._watch
            )
        if chain:
            now = await self._with_chains(now, names, fetch=not stored)
        visits = None if stored or self.simulated else self._visits()
        return await volatility.volatility(
            store,
            names,
            self.settings,
            now=now,
            days=days,
            visits=visits,
            smiles=smiles,
            keep=not stored,
        )

    async def vol_history(self, symbol: str, days: int = 30) -> list[PastDay]:
        """The stored closes and volatilities of the last *days* days, oldest first."""
        from tomic.workflows.volatility import load_days

        return await load_days(await self.store(), normalize_symbol(symbol), days, self.settings)

    async def _with_chains(self, now: Now, names: Sequence[str], *, fetch: bool) -> Now:
        from tomic.workflows.volatility import chain_of_the_day

        store, chains = await self.store(), {}
        for name in names:
            if (known := await chain_of_the_day(store, name, now.at)) is not None:
                chains[name] = known
        wanted = [name for name in names if name not in chains and name not in now.errors]
        errors = dict(now.errors)
        if fetch and wanted:
            # Skew needs strikes out to deltas of 0.25, about 0.7 standard deviations; four
            # expiries hold the thirtieth day and the three months of the term structure.
            rules: dict[str, Any] = {"strike_range": "1s", "monthlies": 2, "weeklies": 2}
            for outcome in await self.chains(wanted, **rules):
                if outcome.chain is not None:
                    chains[outcome.symbol] = outcome.chain
                elif outcome.error is not None:
                    errors[outcome.symbol] = outcome.error
        return replace(now, chains=chains, errors=errors)

    # -- scan ------------------------------------------------------------------------------

    async def scan(
        self,
        symbols: Sequence[str] = (),
        *,
        top: int | None = None,
        strategies: Sequence[str] | None = None,
        by_strategy: bool = False,
        chains: Sequence[Chain] = (),
        book: FitModel | None = None,
    ) -> ScanResult:
        """
        Search *symbols*, those of the settings by default, for the best trades.

        Args:
            symbols: Underlyings.
            top: How many proposals; with *by_strategy*, of each strategy.
            strategies: Names instead of all.
            by_strategy: The best of each strategy instead of the best of all.
            chains: Search these instead of fetching any.
            book: A portfolio that the proposals should fit; the last saved one by default.

        Raises:
            ConfigError: A strategy that does not exist.
            SessionError: The gateway cannot be reached at all.
        """
        from tomic.workflows import scan

        given = {one.symbol: one for one in chains}
        names = list(given) or self._names(symbols)
        store = await self.store()
        vols = await self._scan_vols(names, given)
        if book is None and not given and not self.simulated:
            book = self._saved_fit()
        result = await scan.scan(
            vols,
            self.settings,
            partial(self._scan_chain, given),
            strategies=strategies,
            top=top,
            by_strategy=by_strategy,
            book=book,
            correlations=await scan.return_correlations(store, names),
            watch=self._watch,
        )
        return await scan.keep(store, result, self._today())

    def _saved_fit(self) -> FitModel | None:
        from tomic.workflows import review

        now = self._session.clock_now() if self._session else dt.datetime.now(dt.UTC)
        return review.saved_fit(self.settings, now)

    # -- journal ---------------------------------------------------------------------------

    async def journal(self, *, offline: bool = False) -> Journal:
        """
        The journal, for the functions of `tomic.workflows.journal` and its neighbours.

        A replay reads the real journal; a demo has one of its own.

        Args:
            offline: Ask nobody.
        """
        from tomic.workflows.journal import Journal

        store = await (self._real_store() if self.replay is not None else self.store())
        quiet = offline and not self.simulated
        return Journal(
            store,
            self.settings,
            clock=self._now,
            fetch=None if quiet else self._fetch_legs,
            session=None if quiet else self.session,
            source="replay" if self.replay is not None else "demo" if self.demo else "live",
        )

    async def _real_store(self) -> Database:
        wait_s = self.settings.store.lock_wait_s
        database = Database(self.settings.store.path, busy_timeout_s=wait_s)
        return await self._stack.enter_async_context(database)

    async def _now(self) -> dt.datetime:
        """The gateway's time in a demo or replay and while connected, else that of the computer."""
        if self.demo or self._session is not None:
            return await (await self.session()).now()
        return dt.datetime.now(dt.UTC)

    async def _fetch_legs(self, symbol: str, settings: Settings, choose: Chooser) -> Chain:
        # Too few options to stand for the chain of the day, so nothing of it is kept.
        deadline = self._take_deadline(settings)
        chain, _ = await self._fetch(symbol, settings, deadline, choose, keep=False)
        return chain

    async def why_not(self, symbol: str, trade: str, *, chain: Chain | None = None) -> TradeReview:
        """
        Which rule refuses *trade*, such as ``short_put_spread 560/550 2025-06-20``.

        Raises:
            UsageError, ConfigError: The text is no trade, or of no known strategy.
        """
        from tomic.strategies import propose, why_not

        name, asked = normalize_symbol(symbol), why_not.parse_trade(trade)
        given = {name: chain} if chain is not None else {}
        vol = (await self._scan_vols([name], given))[name]
        if isinstance(vol, TomicError):
            raise vol
        gated = propose.all_open(asked.strategy, self.settings)
        found = await self._scan_chain(given, name, gated)
        return propose.explain_trade(found, vol, trade, self.settings)

    async def proposal(self, proposal_id: str) -> Proposal:
        """A stored proposal; DataError when there is none of that id."""
        from tomic.workflows import scan

        return await scan.load(await self.store(), proposal_id)

    async def refreshed(self, old: Proposal) -> TradeReview:
        """*old* judged again with its legs quoted anew, in the chain it was found in."""
        from tomic.strategies import propose, windows

        chain = await (await self.store()).load_chain(old.symbol)
        if chain is None:
            raise DataError(f"the chain of {old.symbol} is no longer stored; scan it again")
        vol = (await self._scan_vols([old.symbol], {}))[old.symbol]
        if isinstance(vol, TomicError):
            raise vol
        legs = await self._quoted(old.symbol, partial(windows.of_legs, old.legs))
        return propose.explain_trade(chain.updated(legs), vol, old.trade, self.settings)

    async def _scan_vols(
        self, names: Sequence[str], given: Mapping[str, Chain]
    ) -> dict[str, VolSnapshot | TomicError]:
        """Volatility by symbol, after bringing today's IV history up to date."""
        from tomic.workflows import history, volatility

        store = await self.store()
        if given:
            at = max(chain.as_of for chain in given.values())
            reports = await volatility.volatility(
                store, names, self.settings, now=volatility.Now(at, chains=given), keep=False
            )
        else:
            if not self.demo:
                await history.update(
                    self.session, store, names, self.settings, series=["ib30"], watch=self._watch
                )
            reports = await self.vols(names)
        return {
            one.symbol: one.error if one.error is not None and not given else one.snapshot
            for one in reports
        }

    async def _scan_chain(self, given: Mapping[str, Chain], symbol: str, gated: Gated) -> Chain:
        """The chain that was given, a stored one that is young enough, or a new one."""
        from tomic.strategies import windows

        if symbol in given:
            return given[symbol]
        session, scan = await self.session(symbol), self.settings.scan
        stored = await (await self.store()).load_chain(
            symbol, max_age=scan.max_chain_age, now=session.clock_now()
        )
        if stored is not None and windows.serves(stored, gated.templates, scan):
            return stored
        return await self._quoted(symbol, partial(windows.choose_for, gated.templates, scan))

    async def _quoted(self, symbol: str, choose: Chooser) -> Chain:
        """A chain of just the options that *choose* picks."""
        deadline = asyncio.get_running_loop().time() + self.settings.chain.deadline_s
        chain, _ = await self._fetch(symbol, self.settings, deadline, choose)
        return chain

    # -- portfolio -------------------------------------------------------------------------

    async def portfolio(
        self,
        trade: str = "",
        *,
        each_symbol: bool = False,
        ib_margin: bool = False,
        file: Path | None = None,
        last: bool = False,
    ) -> PortfolioView:
        """
        Review what is held; see `workflows.review.portfolio`.

        Args:
            trade: A proposal's id, or legs, to put beside the book.
            each_symbol: Also a stress grid for every symbol by itself.
            ib_margin: Also the broker's own margin of that trade, by one what-if order.
            file, last: A saved book, or the last one, instead of the gateway.

        Raises:
            UsageError: What is asked cannot be.
            RequestTimeout, SessionError: The account could not be read.
        """
        from tomic.workflows import review

        ask = review.Ask(trade, each_symbol, ib_margin, file, last)
        return await review.portfolio(
            self.session,
            await self.store(),
            self.settings,
            ask,
            simulated=self.simulated,
            deadline=self._take_deadline(self.settings),
            watch=self._watch,
        )

    def _today(self) -> dt.date:
        now = self._session.clock_now() if self._session else dt.datetime.now(dt.UTC)
        return dates.local_date(now, str(dates.NEW_YORK))

    def _names(self, symbols: Sequence[str]) -> list[str]:
        names = [normalize_symbol(one) for one in symbols]
        return list(dict.fromkeys(names or self.settings.market.symbols))

    def _visits(self) -> Visits | None:
        if self.settings.web.enabled and self._web is None:
            from tomic.web import Visits

            self._web = Visits(self.settings.web, self.settings.store.path.parent / "web")
        return self._web

    async def _recorded_web_spot(self, underlying: Underlying) -> Spot | None:
        return self._stand_in.web_spots.get(underlying.symbol) if self._stand_in else None

    async def _web_spot(self, underlying: Underlying) -> Spot | None:
        visits = self._visits()
        page = await visits.page(underlying.symbol) if visits is not None else None
        if page is None or page.spot_price is None:
            return None
        return Spot(
            price=page.spot_price,
            source=SpotSource.WEB,
            data_type=DataType.DELAYED,
            as_of=page.fetched_at,
        )

    def _with_rules(
        self,
        dte: int | tuple[int, int | None] | None,
        delta: tuple[float, float] | None,
        rules: Mapping[str, Any],
    ) -> Settings:
        changes = dict(rules)
        if dte is not None:
            changes["min_dte"], changes["max_dte"] = (dte, None) if isinstance(dte, int) else dte
        if delta is not None:
            changes["min_delta"], changes["max_delta"] = delta
        if not changes:
            return self.settings
        chain = checked(ChainSettings, {**self.settings.chain.model_dump(), **changes})
        return self.settings.model_copy(update={"chain": chain})


def _recorder(command: str) -> Recorder:
    from tomic import __version__
    from tomic.sim.session_file import Recorder

    return Recorder(command, __version__)


def _less_patient(settings: Settings) -> Settings:
    """A recorded chain of which the price is known has no quote of the underlying to wait for."""
    patience_s = min(_RECORDED_SPOT_S, settings.market.spot_timeout_s)
    market = settings.market.model_copy(update={"spot_timeout_s": patience_s})
    return settings.model_copy(update={"market": market})


def checked(section: type[ChainSettings], values: Mapping[str, Any]) -> ChainSettings:
    """
    Build a section of settings from keyword arguments.

    Raises:
        UsageError: A key is unknown or a value cannot be right.
    """
    from pydantic import ValidationError

    try:
        return section.model_validate(values)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{where}: {text}" if where else text) from exc
