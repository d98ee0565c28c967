"""
The backtest: history walked forward with the scan's own choice, on the best source there is.

Whole chains with their quotes where some are given, daily surfaces from a file, or the closes and
30-day volatilities of the store. Symbols are shared by processes; what was worked out of a symbol
is kept until the run is whole, so that one that was stopped goes on where it was.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import time
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from tomic import disk, errors
from tomic._typing import BoolArray
from tomic._version import __version__
from tomic.chain import Chain
from tomic.config import Settings
from tomic.evidence import candidates, choice, differences, pool as pools, quoted, results, walk
from tomic.evidence.candidates import Calendar, Looked, WalkTerms
from tomic.evidence.history import Dates, SurfaceHistory, from_series
from tomic.evidence.pool import Pool
from tomic.evidence.quoted import StoredFigures
from tomic.evidence.results import Described, Every, Run
from tomic.evidence.structures import StandardStructure
from tomic.files.option_tables import read_days
from tomic.files.surfaces import read_surface
from tomic.models import VolSnapshot, settles_in_cash
from tomic.models.backtest import BacktestGroup, BacktestResult, Comparison, Sweep
from tomic.models.documents import first_fault, to_text
from tomic.quant import realized
from tomic.store import Database, KeptDay
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template
from tomic.workflows import surfaces, workers
from tomic.workflows.progress import Event
from tomic.workflows.resources import Resources

KEPT = "chains kept in the store"
"""What a result calls them among its data."""
_EVENT = "backtest"
"""What a run is called in what is told of its progress."""
_TOLD_EVERY_S = 5.0
_FEW = 4
_OLD_S = 7 * 86400.0
_EVER = dt.date(1990, 1, 1)
_PLACES = (realized.iv_rank, realized.iv_percentile)
_SENSITIVITY = (
    ("wings 40 % flatter", {"wings_fund": 0.6, "wings_stock": 0.6}),
    ("no skew", {"skew_fund": 0.0, "skew_stock": 0.0}),
    ("skew twice as steep", {"skew_fund": 2.0, "skew_stock": 2.0}),
)
"""What is modelled, times these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkRequest:
    """What is walked over, and how."""

    symbols: tuple[str, ...] = ()
    """Those of the data by default; of the settings where the store is the source."""
    first: dt.date | None = None
    last: dt.date | None = None
    strategies: tuple[str, ...] | None = None
    every: Every = "week"
    run: Run = "managed"
    surface: Path | None = None
    """Daily surfaces; None takes the store's closes and volatilities."""
    chains: tuple[Path, ...] = ()
    kept: bool = False
    """Whether the chains that the store keeps of each day are walked over too."""


@dataclass(frozen=True, slots=True)
class _DayShare:
    """What was made of one source."""

    pool: Pool | None
    days: Dates
    """Of entry, one for each symbol that was looked at."""
    symbol_days: int
    missing: Counter[str]
    refused: Counter[str]
    notes: tuple[str, ...]
    partial: str


@dataclass(frozen=True, slots=True)
class Made:
    """A backtest and what it was made of."""

    pool: Pool
    result: BacktestResult


async def backtest(resources: Resources, asked: WalkRequest) -> BacktestResult:
    """
    Walk forward over history with the settings of *resources*.

    An interrupt ends it after the symbols that are being worked on; what is there is judged, and
    `BacktestResult.partial` says so. Cancelling keeps what was worked out for the next run.

    Raises:
        BadFile: A file cannot be used.
        ConfigError: A strategy that does not exist, or settings that no source can serve.
        DataError: Nothing could be searched on any day.
    """
    with resources.computing():
        walked = await _Walked.opened(resources, asked)
        made = await walked.made(resources.settings, sensitivity=True)
        walked.forget()
        return made.result


async def compare(
    resources: Resources, asked: WalkRequest, other: Settings, name: str
) -> Comparison:
    """
    The settings of *resources* and *other* over the same days.

    Raises:
        TomicError: As `backtest`.
    """
    with resources.computing():
        walked = await _Walked.opened(resources, asked)
        base = await walked.made(resources.settings)
        made = await walked.made(other)
        walked.forget()
    ours, theirs = base.result.changed, made.result.changed
    plain = results.changed(other, resources.settings)
    told = results.changed(resources.settings, other)
    changed = {
        key: (plain.get(key, ours.get(key, "")), told.get(key, theirs.get(key, "")))
        for key in {**plain, **told}
    }
    return await asyncio.to_thread(
        differences.comparison, (base.pool, base.result), (made.pool, made.result), name, changed
    )


async def sweep(
    resources: Resources,
    asked: WalkRequest,
    key: str,
    choices: Mapping[str, Settings],
    base_value: str,
) -> Sweep:
    """
    *key* at several values, each held against the settings of *resources*.

    Args:
        choices: Value as written, to the settings that have it.
        base_value: The value that the settings have.

    Raises:
        TomicError: As `backtest`.
    """
    with resources.computing():
        walked = await _Walked.opened(resources, asked)
        base = await walked.made(resources.settings)
        runs = [await walked.made(settings) for settings in choices.values()]
        walked.forget()
    pairs = [(made.pool, made.result) for made in runs]
    variants = max(made.result.variants for made in (base, *runs))
    return await asyncio.to_thread(
        partial(
            differences.sweep,
            key,
            list(choices),
            pairs,
            (base.pool, base.result),
            base_value=base_value,
            variants=variants,
        )
    )


@dataclass(slots=True, kw_only=True)
class _Walked:
    """One set of days, walked with any number of settings."""

    resources: Resources
    asked: WalkRequest
    histories: list[SurfaceHistory]
    data: tuple[str, ...]
    calendars: dict[str, Calendar]
    missing: Counter[str]
    kept: _Kept
    recorded: Sequence[_RecordedDay] | None = None
    """Days of which chains are recorded, ascending; None where none are given."""
    known: dict[str, StoredFigures] = field(default_factory=dict)
    """What the store knows beside the chains, by their symbols."""
    looked: dict[str, tuple[Looked | None, Counter[str], str]] = field(default_factory=dict)
    """By terms: days of all symbols, why others were left out, and why it is not whole."""

    @classmethod
    async def opened(cls, resources: Resources, asked: WalkRequest) -> _Walked:
        """With the histories read."""
        missing: Counter[str] = Counter()
        recorded: list[_RecordedDay] | None = None
        histories: list[SurfaceHistory] = []
        data: tuple[str, ...] = ()
        if asked.chains:
            recorded = await asyncio.to_thread(_of_files, asked)
            data = tuple(map(str, asked.chains))
        if asked.kept:
            recorded = _by_day([*(recorded or ()), *await _of_kept(resources, asked)])
            data += (KEPT,)
        if asked.surface is not None or recorded is None:
            load = _of_file if asked.surface is not None else _of_store
            histories, more = await load(resources, asked, missing)
            data += more
        quoted_names = sorted({symbol for day in recorded or () for symbol, _ in day.names})
        names = sorted({*quoted_names, *(history.symbol for history in histories)})
        calendars = await _calendars(resources, names)
        return cls(
            resources=resources,
            asked=asked,
            histories=histories,
            data=data,
            calendars=calendars,
            known=await _known(resources, quoted_names, calendars),
            missing=missing,
            kept=_Kept.beside(resources),
            recorded=recorded,
        )

    def forget(self) -> None:
        """What was kept for a run that might have been stopped."""
        if not self.resources.interrupted:
            self.kept.clear()

    async def made(self, settings: Settings, *, sensitivity: bool = False) -> Made:
        """The backtest with *settings*."""
        chosen = templates.choose(settings, self.asked.strategies)
        parts = [part for part in (
            await self._quoted(settings),
            await self._modelled(settings, chosen) if self.histories else None,
        ) if part is not None]  # fmt: skip
        missing: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for part in parts:
            missing.update(part.missing)
            refused.update(part.refused)
        pooled = [part.pool for part in parts if part.pool is not None]
        if not pooled:
            why = _reasons(missing or self.missing)
            raise errors.DataError(f"no trade could be found on any day: {why}")
        rows = pools.joined(pooled) if len(pooled) > 1 else pooled[0]
        about = Described(
            settings=settings,
            run=self.asked.run,
            every=self.asked.every,
            symbols=sorted({str(symbol) for symbol in rows.symbol}),
            strategies=[template.name for template in chosen],
            data=self.data,
            days=np.concatenate([part.days for part in parts]),
            symbol_days=sum(part.symbol_days for part in parts),
            not_built=missing,
            refused=refused,
            excluded=_excluded(self.histories),
            levels=_levels(
                settings, quoted=self.recorded is not None, modelled=bool(self.histories)
            ),
            variants=await self._count(settings),
            notes=[note for part in parts for note in part.notes],
            partial=next((part.partial for part in parts if part.partial), ""),
        )
        result = await asyncio.to_thread(results.result, rows, about)
        if sensitivity and _is_assumed(self.histories) and not result.partial:
            others = [await self._other(settings, chosen, *each) for each in _SENSITIVITY]
            result = result.model_copy(update={"sensitivity": tuple(others)})
        return Made(rows, result)

    # -- recorded chains -------------------------------------------------------------------

    async def _quoted(self, settings: Settings) -> _DayShare | None:
        """
        What the scan finds in the recorded chains, and what their later quotes make of it.

        A day that is searched is put away on disk, and taken from there when it is followed: what
        is in memory does not grow with the number of chains.
        """
        if self.recorded is None:
            return None
        days, opens = self.recorded, _entries(self.recorded, self.asked)
        wanted = min(settings.backtest.processes or workers.processors(), max(len(opens), 1))
        tell = _Progress(self.resources, len(days), "days")
        with self.kept.for_days() as shelf:
            async for (day, key), made in workers.spread(
                quoted.searched, self._searches(settings, days, opens, shelf, tell),
                processes=wanted, stopped=lambda: self.resources.interrupted,
            ):  # fmt: skip
                await asyncio.to_thread(shelf.put, day, key, made)
                tell.one_more(str(day))
            if shelf.before:
                self.resources.note(f"{shelf.before} days were worked out before")
            collected = await asyncio.to_thread(_followed, shelf, settings, self.known)
            done = sorted(shelf.keys)
        entered = [day for day in done if day in opens]
        counts = {day.day: len(day.names) for day in days}
        return _DayShare(
            pool=collected.pool,
            days=np.array(entered, dtype="datetime64[D]"),
            symbol_days=sum(counts[day] for day in entered),
            missing=collected.missing,
            refused=collected.refused,
            notes=tuple(_on_quotes(settings, self.asked.strategies, self.known)),
            partial=_cut(len(done), len(days), "days"),
        )

    async def _searches(
        self, settings: Settings, days: Sequence[_RecordedDay], opens: Collection[dt.date],
        shelf: _Shelf, tell: _Progress,
    ) -> AsyncIterator[workers.Job]:  # fmt: skip
        """Days that were not searched before, their chains read when their turn comes."""
        for day in days:
            if self.resources.interrupted:
                return
            chains = await day.load()
            vols = {chain.symbol: self._volatility(chain, day.day) for chain in chains}
            key = _day_key(settings, self.asked, chains, vols, is_open=day.day in opens)
            if await asyncio.to_thread(shelf.has, day.day, key):
                tell.one_more(str(day.day))
                continue
            given = (day.day, chains, vols, settings, self.asked.strategies, day.day in opens)
            yield (day.day, key), given

    def _volatility(self, chain: Chain, day: dt.date) -> VolSnapshot:
        """What was known on the evening of *day* of the symbol of a chain, beside the chain."""
        known, calendar = self.known[chain.symbol], self.calendars[chain.symbol]
        iv30, rank, percentile = known.on(day)
        place = int(np.searchsorted(calendar.earnings, np.datetime64(day, "D")))
        report = calendar.earnings[place].item() if place < calendar.earnings.size else None
        return VolSnapshot(
            symbol=chain.symbol, as_of=chain.as_of, iv30=iv30, iv_rank=rank,
            iv_percentile=percentile, next_earnings=report,
        )  # fmt: skip

    # -- modelled smiles -------------------------------------------------------------------

    async def _modelled(self, settings: Settings, chosen: Sequence[Template]) -> _DayShare:
        structures = candidates.chosen_structures([template.name for template in chosen])
        if not structures:
            raise errors.ConfigError(
                f"none of {', '.join(template.name for template in chosen)} can be opened on a "
                "modelled smile; name others, or give chains",
                key="scan.strategies",
            )
        looked, missing, partial_text = await self._look(settings, structures)
        notes = _notes(settings, chosen, self.histories, self.calendars)
        if looked is None:
            empty = np.array([], dtype="datetime64[D]")
            return _DayShare(None, empty, 0, missing, Counter(), notes, partial_text)
        pool, decided = await asyncio.to_thread(self._judged, settings, chosen, structures, looked)
        return _DayShare(
            pool, looked.day, int(looked.day.size), missing, decided.refused, notes, partial_text
        )

    def _judged(
        self, settings: Settings, chosen: Sequence[Template],
        structures: Sequence[StandardStructure], looked: Looked,
    ) -> tuple[Pool, choice.Choice]:  # fmt: skip
        if self.recorded is not None:
            looked = looked.take(_without(looked, self.recorded))
        names = _templates(structures, chosen)
        decided = choice.choose(looked, structures, names, settings, self.histories)
        sources = {history.symbol: history.source for history in self.histories}
        pool = pools.modelled(looked, decided, structures, names, settings, sources)
        return pool, decided

    async def _other(
        self, settings: Settings, chosen: Sequence[Template], name: str, times: Mapping[str, float]
    ) -> BacktestGroup:
        """The whole run with what is modelled changed."""
        own = settings.backtest
        update = {key: getattr(own, key) * factor for key, factor in times.items()}
        part = await self._modelled(
            settings.model_copy(update={"backtest": own.model_copy(update=update)}), chosen
        )
        if part.pool is None:
            return BacktestGroup(label=name, trades=0)
        taken = part.pool.take(np.flatnonzero(part.pool.rank > 0))
        return results.Figures.of(taken, self.asked.run).group(name, np.arange(taken.size))

    async def _look(
        self, settings: Settings, structures: Sequence[StandardStructure]
    ) -> tuple[Looked | None, Counter[str], str]:
        """Days of all symbols under the terms of *settings*, worked out once."""
        asked = self.asked
        terms = WalkTerms.of(
            settings, structures,
            first=_day(asked.first), last=_day(asked.last), every_day=asked.every == "day",
        )  # fmt: skip
        histories = self.histories
        histories = [
            _with_skew(history, settings) if history.source == "history" else history
            for history in histories
        ]
        key = repr(terms) + repr([history.skew[:1] for history in histories])
        if key not in self.looked:
            self.looked[key] = await self._spread(terms, histories, settings)
        return self.looked[key]

    async def _spread(
        self, terms: WalkTerms, histories: Sequence[SurfaceHistory], settings: Settings
    ) -> tuple[Looked | None, Counter[str], str]:
        days = walk.entry_days(histories, every_day=terms.walk.every_day)
        missing, parts = Counter(self.missing), {}
        jobs = []
        for history in histories:
            calendar = self.calendars[history.symbol]
            key = self.kept.key(history, days, terms, calendar)
            known = self.kept.load(key)
            if known is not None:
                parts[history.symbol] = known
            else:
                jobs.append(((history.symbol, key), (history, days, terms, calendar)))
        if parts:
            self.resources.note(f"{len(parts)} symbols were worked out before")
        tell = _Progress(self.resources, len(jobs))
        wanted = settings.backtest.processes or workers.processors()
        async for (symbol, key), collected in workers.spread(
            _of_symbol,
            jobs,
            processes=min(wanted, max(len(jobs), 1)),
            stopped=lambda: self.resources.interrupted,
        ):
            parts[symbol] = collected
            self.kept.save(key, collected)
            tell.one_more(symbol)
        for symbol in sorted(parts):
            missing.update(parts[symbol][1])
        whole = [each for symbol in sorted(parts) if (each := parts[symbol][0]) is not None]
        partial_text = _cut(len(parts), len(histories), "symbols")
        # One below the other they take the same memory once more.
        parts.clear()
        return Looked.joined(whole) if whole else None, +missing, partial_text

    async def _count(self, settings: Settings) -> int:
        """How many different backtests of these data or symbols were run, this one among them."""
        asked = self.asked
        shape = [asked.run, asked.every, asked.strategies, asked.first, asked.last]
        changed = results.changed(Settings(), settings)
        made = _digest(json.dumps([changed, shape], default=str))
        store = await self.resources.store()
        return await store.backtests.note(
            [made],
            [*self.data, *(history.symbol for history in self.histories)],
            at=self.resources.clock_now(),
            facts={"changed": changed, "data": list(self.data)},
        )


def _cut(done: int, total: int, what: str) -> str:
    """Why it is not whole; empty where it is."""
    return f"interrupted: {done} of {total} {what}" if done < total else ""


class _FromChains(NamedTuple):
    """What recorded chains came to."""

    pool: Pool | None
    missing: Counter[str]
    refused: Counter[str]


def _followed(shelf: _Shelf, settings: Settings, known: Mapping[str, StoredFigures]) -> _FromChains:
    """
    What was found in all chains, followed day by day to its end; no pool where nothing was.

    Days are read one at a time, and what has ended needs no more of them.
    """
    live: list[quoted.Following] = []
    parts: list[Pool] = []
    missing, refused = Counter[str](), Counter[str]()
    for day in shelf.days():
        missing.update(day.not_built)
        refused.update(day.refused)
        for following in live:
            following.step(day)
        parts += [following.pool() for following in live if following.is_over]
        live = [following for following in live if not following.is_over]
        live += [
            quoted.Following(ranked, settings, known.get(ranked.symbol, quoted.NOTHING_KNOWN))
            for ranked in day.found
        ]
    parts += [following.pool() for following in live]
    return _FromChains(pools.joined(parts) if parts else None, missing, refused)


def _of_symbol(
    history: SurfaceHistory, days: Dates, terms: WalkTerms, calendar: Calendar
) -> tuple[Looked | None, Counter[str]]:
    """One symbol, as a process works it out."""
    missing: Counter[str] = Counter()
    collected = candidates.look(history, days, terms, missing, calendar)
    return collected, +missing


# -- sources -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RecordedDay:
    """A day of which chains are recorded; they are read when they are asked for."""

    day: dt.date
    names: frozenset[tuple[str, str]]
    """Symbol and trading class of each."""
    load: Callable[[], Awaitable[tuple[Chain, ...]]]


def _of_files(asked: WalkRequest) -> list[_RecordedDay]:
    """The chains of files, which are read whole: a day of a table may stand anywhere in it."""
    collected = []
    for table in read_days(asked.chains, rate=walk.RATES, symbols=asked.symbols):
        names = frozenset((chain.symbol, chain.trading_class) for chain in table.chains)
        collected.append(_RecordedDay(table.day, names, partial(_given, table.chains)))
    return collected


async def _given(chains: tuple[Chain, ...]) -> tuple[Chain, ...]:
    return chains


async def _of_kept(resources: Resources, asked: WalkRequest) -> list[_RecordedDay]:
    """The chains that the store keeps, one each."""
    store = await resources.store()
    collected = [
        _RecordedDay(
            each.day, frozenset({(each.symbol, each.trading_class)}), partial(_load, store, each)
        )
        for each in await store.kept.days()
        if not asked.symbols or each.symbol in asked.symbols
    ]
    if not collected:
        raise errors.DataError(
            "the store keeps no chain of these symbols yet; each tomic scan and tomic chain leaves "
            "one, for store.keep_chains"
        )
    return collected


async def _load(store: Database, kept: KeptDay) -> tuple[Chain, ...]:
    """A chain that is kept; none where it was pruned meanwhile."""
    chain = await store.kept.load(kept.symbol, kept.day, trading_class=kept.trading_class)
    return () if chain is None else (chain,)


def _by_day(recorded: Sequence[_RecordedDay]) -> list[_RecordedDay]:
    """One of each day, ascending; of a chain that comes twice, the first."""
    days: dict[dt.date, list[_RecordedDay]] = {}
    for each in recorded:
        days.setdefault(each.day, []).append(each)
    return [
        _RecordedDay(day, frozenset().union(*(each.names for each in parts)), partial(_all, parts))
        for day, parts in sorted(days.items())
    ]


async def _all(parts: Sequence[_RecordedDay]) -> tuple[Chain, ...]:
    chains: dict[tuple[str, str], Chain] = {}
    for part in parts:
        for chain in await part.load():
            chains.setdefault((chain.symbol, chain.trading_class), chain)
    return tuple(chains.values())


async def _calendars(resources: Resources, names: Sequence[str]) -> dict[str, Calendar]:
    """Reports and dividends that the store knows."""
    events = (await resources.store()).calendar
    reports = await events.earnings(names, since=_EVER)
    dividends = await events.dividends(names, since=_EVER)
    return {
        symbol: Calendar.of(
            [event.day for event in reports.get(symbol, ())],
            [event.day for event in dividends.get(symbol, ())],
            [event.amount for event in dividends.get(symbol, ())],
        )
        for symbol in names
    }


async def _known(
    resources: Resources, names: Sequence[str], calendars: Mapping[str, Calendar]
) -> dict[str, StoredFigures]:
    """IB's 30-day volatility of each day with its place in the year before, and dividends."""
    if not names:
        return {}
    levels = await (await resources.store()).history.many_iv(names, "ib30")
    collected = {}
    for name in names:
        day, iv = (
            (levels[name].date, levels[name].value)
            if name in levels
            else (calendars[name].earnings[:0], np.array([]))
        )
        place = (
            [realized.rolling_place(kind, iv).value for kind in _PLACES] if iv.size else [iv, iv]
        )
        collected[name] = StoredFigures(
            calendars[name].ex_days, calendars[name].dividends, day, iv, *place
        )
    return collected


def _entries(days: Sequence[_RecordedDay], asked: WalkRequest) -> frozenset[dt.date]:
    """The days on which trades are opened: all, or the first from Wednesday on of each week."""
    every = np.array([each.day for each in days], dtype="datetime64[D]")
    chosen = walk.entries(every, every_day=asked.every == "day").tolist()
    first, last = asked.first or dt.date.min, asked.last or dt.date.max
    return frozenset(day for day in chosen if first <= day <= last)


def _without(looked: Looked, recorded: Sequence[_RecordedDay]) -> BoolArray:
    """Days of symbols of which no chain was recorded."""
    known = {(each.day, symbol) for each in recorded for symbol, _ in each.names}
    pairs = zip(looked.day.tolist(), looked.symbol.tolist(), strict=True)
    return np.array([pair not in known for pair in pairs], dtype=np.bool_)


async def _of_file(
    resources: Resources, asked: WalkRequest, missing: Counter[str]
) -> tuple[list[SurfaceHistory], tuple[str, ...]]:
    path = asked.surface
    assert path is not None
    rows = await asyncio.to_thread(read_surface, path)
    if asked.symbols:
        lacking = sorted(set(asked.symbols) - set(rows.symbol.tolist()))
        missing.update(f"{symbol} is not in {path.name}" for symbol in lacking)
        keep = np.isin(rows.symbol, asked.symbols)
        rows = type(rows)._make(column[keep] for column in rows)
    store, funds = await resources.store(), await _funds(resources, np.unique(rows.symbol).tolist())
    return await surfaces.histories(store, rows, funds, missing), (str(path),)


async def _of_store(
    resources: Resources, asked: WalkRequest, missing: Counter[str]
) -> tuple[list[SurfaceHistory], tuple[str, ...]]:
    """Surfaces that were imported; of other symbols closes and IB's 30-day volatility."""
    settings = resources.settings
    names = list(asked.symbols or settings.market.symbols)
    store = await resources.store()
    rows = await store.surfaces.load(names)
    funds = await _funds(resources, names)
    collected = await surfaces.histories(store, rows, funds, missing)
    told = {history.symbol for history in collected}
    others = [name for name in names if name not in told]
    collected += await _of_series(resources, others, funds, missing)
    if not collected:
        raise errors.DataError(
            f"the store holds no history of {', '.join(names)}; tomic prices --days 2000 fetches "
            "it, tomic store import takes daily surfaces, or give a surface (--surface FILE)"
        )
    return collected, (str(settings.store.path),)


async def _funds(resources: Resources, names: Sequence[str]) -> frozenset[str]:
    """
    Which of *names* are funds or indices, whose smiles have wings of their own.

    What IB said of a symbol counts first; then an index by its name, and a company by the reports
    that the calendar knows; only of others the list in the settings.
    """
    store, listed = await resources.store(), resources.settings.backtest.funds
    known = await store.contracts.latest_underlyings(names)
    reports = await store.calendar.earnings(names, since=_EVER)
    funds = set()
    for name in names:
        told = known[name].reports_earnings if name in known else None
        if told is None:
            told = not settles_in_cash(name) and (bool(reports.get(name)) or name not in listed)
        if not told:
            funds.add(name)
    return frozenset(funds)


async def _of_series(
    resources: Resources, names: Sequence[str], funds: Collection[str], missing: Counter[str]
) -> list[SurfaceHistory]:
    """Closes and IB's 30-day volatility, with an assumed skew."""
    settings = resources.settings
    store = await resources.store()
    bars = await store.history.many_bars(names)
    levels = await store.history.many_iv(names, "ib30")
    histories = []
    for name in names:
        if name not in bars or name not in levels:
            missing[f"{name}: no {'closes' if name not in bars else 'volatilities'} stored"] += 1
            continue
        own, level = bars[name], levels[name]
        iv = np.full(len(own), np.nan)
        _, at, from_ = np.intersect1d(own.date, level.date, return_indices=True)
        iv[at] = level.value[from_]
        is_etf = name in funds
        skew = _skew(settings, is_etf)
        histories.append(from_series(name, own.date, own.close, iv, skew=skew, is_etf=is_etf))
    return histories


def _skew(settings: Settings, is_etf: bool) -> float:
    return settings.backtest.skew_fund if is_etf else settings.backtest.skew_stock


def _with_skew(history: SurfaceHistory, settings: Settings) -> SurfaceHistory:
    skew = _skew(settings, history.is_etf)
    return replace(history, skew=np.full(history.day.size, skew))


def _is_assumed(histories: Sequence[SurfaceHistory]) -> bool:
    """Whether the skew of any is an assumption."""
    return any(history.source == "history" for history in histories)


def _templates(
    structures: Sequence[StandardStructure], chosen: Sequence[Template]
) -> dict[str, Template]:
    """The strategy that each structure stands for; a short put for the one the account holds."""
    by_name = {template.name: template for template in chosen}
    collected = {}
    for structure in structures:
        name = structure.strategy if structure.strategy in by_name else "cash_secured_put"
        collected[structure.name] = by_name[name]
    return collected


# -- what is said beside -------------------------------------------------------------------------


def _levels(settings: Settings, *, quoted: bool, modelled: bool) -> tuple[str, str]:
    own, costs = settings.backtest, settings.costs
    first, second = [], []
    if quoted:
        first.append(f"{costs.slippage:.0%} of each half-spread")
        second.append("each half-spread whole")
    if modelled:
        first.append(f"{own.slippage:.1%} of each modelled option")
        second.append(f"{own.other_slippage:.1%} of each modelled option")
    return ", ".join(first), ", ".join(second)


def _notes(
    settings: Settings, chosen: Sequence[Template], histories: Sequence[SurfaceHistory],
    calendars: Mapping[str, Calendar],
) -> tuple[str, ...]:  # fmt: skip
    own = settings.backtest
    notes = [
        f"smiles are modelled: wings {own.wings_fund:g} (funds) and {own.wings_stock:g} (stocks), "
        f"strikes continuous, one variant a strategy, {own.days} days to expiry",
        "liquidity and fit count 1; dates of earnings are those that the store knows today",
    ]
    if assumed := sum(history.source == "history" for history in histories):
        whose = "" if assumed == len(histories) else f" of {assumed} symbols"
        notes.append(
            f"the skew{whose} is assumed: 25-delta put less call {own.skew_fund:+.1%} (funds) and "
            f"{own.skew_stock:+.1%} (stocks); the term structure is flat"
        )
        if two := [template.name for template in chosen if template.gap is not None]:
            notes.append(
                f"not opened{whose}: {', '.join(two)}, as closes and 30-day IV hold no "
                "second expiry"
            )
    if any(template.gap is not None for template in chosen):
        notes.append(
            "trades of two expiries: the first as all others, the second the next third Friday of "
            "the surface; it is sold at the first on that evening's surface"
        )
    return (*notes, *_on_exits(settings, chosen, calendars))


def _on_quotes(
    settings: Settings, strategies: tuple[str, ...] | None, known: Mapping[str, StoredFigures]
) -> Iterator[str]:
    """How trades on chains are run, and what of it chains cannot carry."""
    yield "trades on chains are found, marked and closed on their own bid and ask"
    chosen = templates.choose(settings, strategies)
    rules = [settings.journal.exits_for(template.name) for template in chosen]
    blank = sorted(symbol for symbol, each in known.items() if not each.day.size)
    if blank:
        asks = [
            name
            for name in ("iv_rise", "iv_rank_below")
            if any(getattr(rule, name) is not None for rule in rules)
        ]
        unjudged = f", and {', '.join(asks)} not judged" if asks else ""
        yield (
            f"of {len(blank)} of {len(known)} symbols the store knows no IV30: gates on IV rank "
            f"and percentile are passed{unjudged}"
        )
    bare = [symbol for symbol, each in known.items() if not each.ex_days.size]
    if bare and any(rule.dividend_days is not None for rule in rules):
        yield (
            f"dividend_days is not judged of {len(bare)} of {len(known)} symbols: the store knows "
            "no dividend of theirs"
        )
    if any(rule.negative_ev for rule in rules):
        yield "negative_ev is not judged on chains: no density is fitted on days of no entry"


def _on_exits(
    settings: Settings, chosen: Sequence[Template], calendars: Mapping[str, Calendar]
) -> Iterator[str]:
    """Which exits of ``[journal]`` a modelled smile cannot judge, or judges in its own way."""
    rules = {template.name: settings.journal.exits_for(template.name) for template in chosen}
    blank = [symbol for symbol, known in calendars.items() if not known.ex_days.size]
    calls = any(leg.right == "C" and leg.quantity < 0 for each in chosen for leg in each.legs)
    if calls and blank and any(each.dividend_days is not None for each in rules.values()):
        yield (
            f"dividend_days is not judged of {len(blank)} of {len(calendars)} symbols: the store "
            "knows no dividend of theirs"
        )
    if any(each.iv_rank_below is not None for each in rules.values()):
        yield "iv_rank_below is judged where a year of volatilities came before"
    if not any(each.negative_ev for each in rules.values()):
        return
    if settings.view.trust == 0.0 or not set(settings.view.by_symbol) & set(calendars):
        yield (
            "negative_ev closes nothing here: a modelled smile values all options at what they "
            "bring on average, and no view is trusted"
        )
    elif any(template.gap is not None and rules[template.name].negative_ev for template in chosen):
        yield "negative_ev is not judged of trades of two expiries"


def _excluded(histories: Sequence[SurfaceHistory]) -> Counter[str]:
    total: Counter[str] = Counter()
    for history in histories:
        total.update(history.excluded)
    return total


def _reasons(missing: Mapping[str, int]) -> str:
    told = ", ".join(f"{count.reason} ({count.count})" for count in results.counted(missing)[:3])
    return told or (
        "the data hold no day in this period, or none from Wednesday to Friday; --every day takes "
        "any"
    )


def _day(day: dt.date | None) -> np.datetime64 | None:
    return None if day is None else np.datetime64(day, "D")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Progress:
    """Tells how many symbols are done, and now and then how long the others will take."""

    def __init__(self, resources: Resources, total: int, what: str = "symbols") -> None:
        self._watch, self._total, self._done, self._what = resources.watch, total, 0, what
        self._began = self._told = time.monotonic()

    def one_more(self, symbol: str) -> None:
        """Another symbol is done."""
        self._done += 1
        self._watch(Event("count", _EVENT, self._what, self._done, self._total))
        now = time.monotonic()
        # The first ones carry what it takes to start the processes.
        is_known = _FEW <= self._done < self._total
        if is_known and now - self._told >= _TOLD_EVERY_S:
            self._told = now
            left = (now - self._began) / self._done * (self._total - self._done)
            count = f"{self._done} of {self._total} {self._what}"
            text = f"{symbol} done, {count}; about {left:.0f} s left"
            self._watch(Event("stage", "", text))


def _day_key(
    settings: Settings, asked: WalkRequest, chains: Sequence[Chain],
    vols: Mapping[str, VolSnapshot], *, is_open: bool,
) -> str:  # fmt: skip
    """Names what is found on one day by all that it follows from."""
    told = [__version__, to_text(settings, exclude=_APART), asked.strategies, is_open]
    told += [to_text(vols[name]) for name in sorted(vols)]
    digest = hashlib.sha256(repr(told).encode())
    for chain in chains:
        digest.update(repr((chain.symbol, chain.trading_class, chain.spot, chain.rate)).encode())
        for name, column in sorted(chain.columns.items()):
            digest.update(name.encode())
            plain = column.astype(str) if column.dtype == object else column
            digest.update(np.ascontiguousarray(plain).tobytes())
    return digest.hexdigest()[:24]


_APART = {"ib", "store", "log", "jobs", "notify", "web", "portfolio", "export"}
"""Sections that no search depends on."""


@dataclass(slots=True)
class _Shelf:
    """Days of chains that were searched, in files, by what they follow from."""

    folder: Path
    used: set[Path]
    keys: dict[dt.date, str] = field(default_factory=dict)
    before: int = 0
    """How many were there already."""

    def _path(self, day: dt.date, key: str) -> Path:
        return self.folder / f"{day}-{key}.npz"

    def has(self, day: dt.date, key: str) -> bool:
        """Whether a day was searched before; it is one of the run then."""
        path = self._path(day, key)
        if _stored(path) is None:
            return False
        self.keys[day], self.before = key, self.before + 1
        self.used.add(path)
        return True

    def put(self, day: dt.date, key: str, made: quoted.Day) -> None:
        """
        Keep a day.

        Raises:
            TomicError: The disk refuses.
        """
        path, part = self._path(day, key), self.folder / f"{day}-{key}.part.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            columns: dict[str, Any] = dict(quoted.packed(made))
            np.savez(part, **columns)
            part.replace(path)
        except OSError as exc:
            raise errors.TomicError(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
        self.keys[day] = key
        self.used.add(path)

    def days(self) -> Iterator[quoted.Day]:
        """All of the run, ascending, each read when its turn comes."""
        for day in sorted(self.keys):
            path = self._path(day, self.keys[day])
            columns = _stored(path)
            if columns is None:
                raise errors.TomicError(f"{path}: gone while the backtest ran; run it again")
            yield quoted.unpacked(columns)


def _stored(path: Path) -> dict[str, Any] | None:
    """The arrays of a file; None where there is none, or it is damaged."""
    try:
        # Opened here, as numpy leaves open what it finds damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


@dataclass(slots=True)
class _Kept:
    """Symbols that were worked out, on disk until the run is whole; nowhere for a demo."""

    folder: Path | None
    used: set[Path] = field(default_factory=set)

    @classmethod
    def beside(cls, resources: Resources) -> _Kept:
        """Beside the store; what was left there a week ago is removed."""
        if resources.origin.simulated:
            return cls(None)
        folder = resources.settings.store.path.parent / "backtest"
        for old in folder.glob("*.npz"):
            if time.time() - old.stat().st_mtime > _OLD_S:
                old.unlink(missing_ok=True)
        return cls(folder)

    @contextmanager
    def for_days(self) -> Iterator[_Shelf]:
        """Where days of chains go; a demo's are gone at the end."""
        if self.folder is not None:
            yield _Shelf(self.folder, self.used)
            return
        with disk.temporary_folder() as folder:
            yield _Shelf(folder, set())

    def key(
        self, history: SurfaceHistory, days: Dates, terms: WalkTerms, calendar: Calendar
    ) -> str:
        """Names what is worked out of a symbol by all that it follows from."""
        digest = hashlib.sha256(f"{__version__} {terms!r}".encode())
        for part in (
            history.day, history.close, history.front_iv, history.next_iv, history.skew, days,
            history.front_days, history.next_days, np.array([history.is_etf, history.has_term]),
            *calendar,
        ):  # fmt: skip
            digest.update(np.ascontiguousarray(part).tobytes())
        return f"{history.symbol}-{digest.hexdigest()[:24]}"

    def load(self, key: str) -> tuple[Looked | None, Counter[str]] | None:
        """What is kept; None where nothing is, or it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / f"{key}.npz"
        columns = _stored(path)
        if columns is None:
            return None
        self.used.add(path)
        missing = Counter(json.loads(str(columns.pop("missing"))))
        if "day" not in columns:
            return None, missing
        columns["symbol"] = columns["symbol"].astype(object)
        return Looked(**columns), missing

    def save(self, key: str, collected: tuple[Looked | None, Counter[str]]) -> None:
        """Keep it; a disk that refuses costs only the resuming."""
        if self.folder is None:
            return
        looked, missing = collected
        path, partial_ = self.folder / f"{key}.npz", self.folder / f"{key}.part.npz"
        columns = {} if looked is None else looked._asdict()
        if looked is not None:
            columns["symbol"] = looked.symbol.astype(str)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            np.savez(partial_, missing=np.array(json.dumps(missing)), **columns)
            partial_.replace(path)
        except OSError:
            return
        self.used.add(path)

    def clear(self) -> None:
        """The run is whole: what it kept is of no more use."""
        for path in self.used:
            path.unlink(missing_ok=True)


# -- one key at several values -------------------------------------------------------------------


def value_of(settings: Settings, key: str) -> str:
    """
    The value of *key*, such as ``score.ev_scale``, as text; empty inside an absent table.

    Raises:
        ConfigError: There is no such key.
    """
    node: Any = settings
    for name in key.split("."):
        if node is None:
            return ""
        if isinstance(node, Mapping):
            node = node.get(name)
        elif name in type(node).model_fields:
            node = getattr(node, name)
        else:
            known = ", ".join(type(node).model_fields)
            raise errors.ConfigError(f"{key}: there is no {name}; there are {known}", key=key)
    return _written(node)


def varied(settings: Settings, key: str, values: Sequence[str]) -> dict[str, Settings]:
    """
    The settings with *key* at each of *values*, by the value as it is written.

    Raises:
        ConfigError: There is no such key, or a value is impossible.
    """
    value_of(settings, key)
    collected = {}
    for text in values:
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
        tree = settings.model_dump()
        *above, last = key.split(".")
        node = tree
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
        if above == ["score", "weights"] and isinstance(value, int | float):
            # What is left of 1 goes to the other part.
            node[{"pos": "ev", "ev": "pos"}.get(last, last)] = 1.0 - float(value)
        try:
            collected[_written(value)] = Settings.model_validate(tree)
        except ValidationError as exc:
            raise errors.ConfigError(f"{key} = {text}: {first_fault(exc)}", key=key) from exc
    return collected


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
