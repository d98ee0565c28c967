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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from tomic import errors
from tomic._typing import BoolArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.evidence import candidates, choice, differences, pool as pools, quoted, results, walk
from tomic.evidence.candidates import Looked, WalkTerms
from tomic.evidence.history import Dates, SurfaceHistory, clean, from_series
from tomic.evidence.pool import Pool
from tomic.evidence.results import Described, Every, Run
from tomic.evidence.structures import StandardStructure
from tomic.files.option_tables import DayTable, read_days
from tomic.files.surfaces import read_surface
from tomic.models import VolSnapshot
from tomic.models.backtest import BacktestGroup, BacktestResult, Comparison, Sweep, TradeSource
from tomic.models.documents import first_fault
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template
from tomic.workflows import workers
from tomic.workflows.progress import Event
from tomic.workflows.resources import Resources

KEPT = "chains kept in the store"
"""What a result calls them among its data."""
_EVENT = "backtest"
"""What a run is called in what is told of its progress."""
_TOLD_EVERY_S = 5.0
_FEW = 4
_OLD_S = 7 * 86400.0
_UNJUDGED = ("short_delta", "iv_rank_below", "iv_rise", "dividend_days", "negative_ev")
"""Exits that no modelled smile, and no table of quotes alone, can judge."""
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
class _Share:
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
    source: TradeSource
    data: tuple[str, ...]
    earnings: dict[str, Dates]
    missing: Counter[str]
    kept: _Kept
    quotes: Sequence[DayTable] | None = None
    """Recorded chains, day by day; None where none are given."""
    quotes_missing: Counter[str] = field(default_factory=Counter)
    looked: dict[str, tuple[Looked | None, Counter[str], str]] = field(default_factory=dict)
    """By terms: days of all symbols, why others were left out, and why it is not whole."""

    @classmethod
    async def opened(cls, resources: Resources, asked: WalkRequest) -> _Walked:
        """With the histories read."""
        missing: Counter[str] = Counter()
        quotes: list[DayTable] | None = None
        histories: list[SurfaceHistory] = []
        source: TradeSource = "surface"
        data: tuple[str, ...] = ()
        if asked.chains:
            quotes = await asyncio.to_thread(_read, asked)
            data = tuple(map(str, asked.chains))
        if asked.kept:
            quotes = _by_day([*(quotes or ()), *await _of_kept(resources, asked)])
            data += (KEPT,)
        if asked.surface is not None or quotes is None:
            load = _of_file if asked.surface is not None else _of_store
            histories, source, more = await load(resources, asked, missing)
            data += more
        names = [history.symbol for history in histories]
        stored = await (await resources.store()).calendar.earnings(names, since=dt.date(1990, 1, 1))
        return cls(
            resources=resources,
            asked=asked,
            histories=histories,
            source=source,
            data=data,
            earnings={
                symbol: np.array([event.day for event in events], dtype="datetime64[D]")
                for symbol, events in stored.items()
            },
            missing=missing,
            kept=_Kept.beside(resources),
            quotes=quotes,
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
            levels=_levels(settings, quoted=self.quotes is not None, modelled=bool(self.histories)),
            variants=await self._count(settings),
            notes=[note for part in parts for note in part.notes],
            partial=next((part.partial for part in parts if part.partial), ""),
        )
        result = await asyncio.to_thread(results.result, rows, about)
        if sensitivity and self.source == "history" and self.histories and not result.partial:
            others = [await self._other(settings, chosen, *each) for each in _SENSITIVITY]
            result = result.model_copy(update={"sensitivity": tuple(others)})
        return Made(rows, result)

    # -- recorded chains -------------------------------------------------------------------

    async def _quoted(self, settings: Settings) -> _Share | None:
        """What the scan finds in the recorded chains, and what their later quotes make of it."""
        if self.quotes is None:
            return None
        asked = self.asked
        days, opens = self.quotes, _entries(self.quotes, asked)
        vols: dict[str, VolSnapshot] = {}
        jobs = [
            (day, (day, chains, vols, settings, asked.strategies, day in opens))
            for day, chains in days
        ]
        wanted = min(settings.backtest.processes or workers.processors(), max(len(opens), 1))
        tell = _Progress(self.resources, len(jobs), "days")
        found: dict[dt.date, quoted.Day] = {}
        async for day, made in workers.spread(
            quoted.searched, jobs, processes=wanted,
            stopped=lambda: self.resources.interrupted,
        ):  # fmt: skip
            found[day] = made
            tell.one_more(str(day))
        pool = await asyncio.to_thread(_followed, [found[day] for day in sorted(found)], settings)
        missing, refused = Counter(self.quotes_missing), Counter[str]()
        for made in found.values():
            missing.update(made.not_built)
            refused.update(made.refused)
        entered = [day for day in sorted(found) if day in opens]
        return _Share(
            pool=pool,
            days=np.array(entered, dtype="datetime64[D]"),
            symbol_days=sum(len(chains) for day, chains in days if day in entered),
            missing=missing,
            refused=refused,
            notes=(
                "trades on chains are found, marked and closed on their own bid and ask; gates on "
                "figures that no chain holds, as IV rank, are passed",
            ),
            partial=_cut(len(found), len(days), "days"),
        )

    # -- modelled smiles -------------------------------------------------------------------

    async def _modelled(self, settings: Settings, chosen: Sequence[Template]) -> _Share:
        structures = candidates.chosen_structures([template.name for template in chosen])
        if not structures:
            raise errors.ConfigError(
                f"none of {', '.join(template.name for template in chosen)} can be opened on a "
                "modelled smile; name others, or give chains",
                key="scan.strategies",
            )
        looked, missing, partial_text = await self._look(settings, structures)
        notes = _notes(settings, chosen, structures, self.source)
        if looked is None:
            empty = np.array([], dtype="datetime64[D]")
            return _Share(None, empty, 0, missing, Counter(), notes, partial_text)
        pool, decided = await asyncio.to_thread(self._judged, settings, chosen, structures, looked)
        return _Share(
            pool, looked.day, int(looked.day.size), missing, decided.refused, notes, partial_text
        )

    def _judged(
        self, settings: Settings, chosen: Sequence[Template],
        structures: Sequence[StandardStructure], looked: Looked,
    ) -> tuple[Pool, choice.Choice]:  # fmt: skip
        if self.quotes is not None:
            looked = looked.take(_without(looked, self.quotes))
        names = _templates(structures, chosen)
        decided = choice.choose(looked, structures, names, settings, self.histories)
        pool = pools.modelled(looked, decided, structures, names, settings, self.source)
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
        if self.source == "history":
            histories = [_with_skew(history, settings) for history in histories]
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
            reports = self.earnings.get(history.symbol)
            key = self.kept.key(history, days, terms, reports)
            known = self.kept.load(key)
            if known is not None:
                parts[history.symbol] = known
            else:
                jobs.append(((history.symbol, key), (history, days, terms, reports)))
        if parts:
            self.resources.note(f"{len(parts)} symbols were worked out before")
        tell = _Progress(self.resources, len(jobs))
        wanted = settings.backtest.processes or workers.processors()
        async for (symbol, key), found in workers.spread(
            _of_symbol,
            jobs,
            processes=min(wanted, max(len(jobs), 1)),
            stopped=lambda: self.resources.interrupted,
        ):
            parts[symbol] = found
            self.kept.save(key, found)
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


def _followed(days: Sequence[quoted.Day], settings: Settings) -> Pool | None:
    """What was found in all chains, followed to its end; None where nothing was."""
    parts = [
        quoted.followed(found, days[place + 1 :], settings)
        for place, day in enumerate(days)
        for found in day.found
    ]
    return pools.joined(parts) if parts else None


def _of_symbol(
    history: SurfaceHistory, days: Dates, terms: WalkTerms, earnings: Dates | None
) -> tuple[Looked | None, Counter[str]]:
    """One symbol, as a process works it out."""
    missing: Counter[str] = Counter()
    found = candidates.look(history, days, terms, missing, earnings)
    return found, +missing


# -- sources -------------------------------------------------------------------------------------


def _read(asked: WalkRequest) -> list[DayTable]:
    return list(read_days(asked.chains, rate=walk.RATES, symbols=asked.symbols))


async def _of_kept(resources: Resources, asked: WalkRequest) -> list[DayTable]:
    """The chains that the store keeps, a table each."""
    store = await resources.store()
    tables = []
    for each in await store.kept.days():
        if asked.symbols and each.symbol not in asked.symbols:
            continue
        chain = await store.kept.load(each.symbol, each.day, trading_class=each.trading_class)
        if chain is not None:
            tables.append(DayTable(each.day, (chain,)))
    if not tables:
        raise errors.DataError(
            "the store keeps no chain of these symbols yet; each tomic scan and tomic chain leaves "
            "one, for store.keep_chains"
        )
    return tables


def _by_day(tables: Sequence[DayTable]) -> list[DayTable]:
    """A table a day, ascending; of a chain that comes twice, the first."""
    days: dict[dt.date, dict[tuple[str, str], Chain]] = {}
    for day, chains in tables:
        for chain in chains:
            days.setdefault(day, {}).setdefault((chain.symbol, chain.trading_class), chain)
    return [DayTable(day, tuple(days[day].values())) for day in sorted(days)]


def _entries(days: Sequence[DayTable], asked: WalkRequest) -> frozenset[dt.date]:
    """The days on which trades are opened: all, or the first from Wednesday on of each week."""
    every = np.array([table.day for table in days], dtype="datetime64[D]")
    chosen = walk.entries(every, every_day=asked.every == "day").tolist()
    first, last = asked.first or dt.date.min, asked.last or dt.date.max
    return frozenset(day for day in chosen if first <= day <= last)


def _without(looked: Looked, quotes: Sequence[DayTable]) -> BoolArray:
    """Days of symbols of which no chain was recorded."""
    recorded = {(table.day, chain.symbol) for table in quotes for chain in table.chains}
    pairs = zip(looked.day.tolist(), looked.symbol.tolist(), strict=True)
    return np.array([pair not in recorded for pair in pairs], dtype=np.bool_)


async def _of_file(
    resources: Resources, asked: WalkRequest, missing: Counter[str]
) -> tuple[list[SurfaceHistory], TradeSource, tuple[str, ...]]:
    path = asked.surface
    assert path is not None
    rows = await asyncio.to_thread(read_surface, path)
    funds = resources.settings.backtest.funds
    if asked.symbols:
        lacking = sorted(set(asked.symbols) - set(rows.symbol.tolist()))
        missing.update(f"{symbol} is not in {path.name}" for symbol in lacking)
        keep = np.isin(rows.symbol, asked.symbols)
        rows = type(rows)._make(column[keep] for column in rows)
    histories = await asyncio.to_thread(clean, rows, etfs=funds)
    return histories, "surface", (str(path),)


async def _of_store(
    resources: Resources, asked: WalkRequest, missing: Counter[str]
) -> tuple[list[SurfaceHistory], TradeSource, tuple[str, ...]]:
    """Closes and IB's 30-day volatility, with an assumed skew."""
    settings = resources.settings
    names = list(asked.symbols or settings.market.symbols)
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
        is_etf = name in settings.backtest.funds
        skew = _skew(settings, is_etf)
        histories.append(from_series(name, own.date, own.close, iv, skew=skew, is_etf=is_etf))
    if not histories:
        raise errors.DataError(
            "the store holds no history of "
            f"{', '.join(names)}; tomic prices --days 2000 fetches it, or give a "
            "surface (--surface FILE)"
        )
    return histories, "history", (str(settings.store.path),)


def _skew(settings: Settings, is_etf: bool) -> float:
    return settings.backtest.skew_fund if is_etf else settings.backtest.skew_stock


def _with_skew(history: SurfaceHistory, settings: Settings) -> SurfaceHistory:
    skew = _skew(settings, history.is_etf)
    return replace(history, skew=np.full(history.day.size, skew))


def _templates(
    structures: Sequence[StandardStructure], chosen: Sequence[Template]
) -> dict[str, Template]:
    """The strategy that each structure stands for; a short put for the one the account holds."""
    by_name = {template.name: template for template in chosen}
    found = {}
    for structure in structures:
        name = structure.strategy if structure.strategy in by_name else "cash_secured_put"
        found[structure.name] = by_name[name]
    return found


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
    settings: Settings, chosen: Sequence[Template], structures: Sequence[StandardStructure],
    source: TradeSource,
) -> tuple[str, ...]:  # fmt: skip
    own = settings.backtest
    notes = [
        f"smiles are modelled: wings {own.wings_fund:g} (funds) and {own.wings_stock:g} (stocks), "
        f"strikes continuous, one variant a strategy, {own.days} days to expiry",
        "liquidity and fit count 1; dates of earnings are those that the store knows today",
    ]
    if source == "history":
        notes.append(
            f"the skew is assumed: 25-delta put less call {own.skew_fund:+.1%} (funds) and "
            f"{own.skew_stock:+.1%} (stocks); the term structure is flat"
        )
    there = {structure.strategy for structure in structures}
    absent = [t.name for t in chosen if t.name not in there and t.name != "cash_secured_put"]
    if absent:
        notes.append(f"not opened, as no structure stands for them: {', '.join(absent)}")
    if settings.scan.top and (told := _unjudged(settings, chosen)):
        notes.append(f"exits that are not judged here: {', '.join(told)}")
    return tuple(notes)


def _unjudged(settings: Settings, chosen: Sequence[Template]) -> list[str]:
    rules = [settings.journal.exits_for(template.name) for template in chosen]
    return [name for name in _UNJUDGED if any(getattr(rule, name) for rule in rules)]


def _excluded(histories: Sequence[SurfaceHistory]) -> Counter[str]:
    total: Counter[str] = Counter()
    for history in histories:
        total.update(history.excluded)
    return total


def _reasons(missing: Mapping[str, int]) -> str:
    told = ", ".join(f"{count.reason} ({count.count})" for count in results.counted(missing)[:3])
    return told or "the data hold no day in this period"


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

    def key(
        self, history: SurfaceHistory, days: Dates, terms: WalkTerms, earnings: Dates | None
    ) -> str:
        """Names what is worked out of a symbol by all that it follows from."""
        digest = hashlib.sha256(repr(terms).encode())
        for part in (
            history.day, history.close, history.front_iv, history.next_iv, history.skew, days,
            np.array([history.is_etf]), earnings if earnings is not None else days[:0],
        ):  # fmt: skip
            digest.update(np.ascontiguousarray(part).tobytes())
        return f"{history.symbol}-{digest.hexdigest()[:24]}"

    def load(self, key: str) -> tuple[Looked | None, Counter[str]] | None:
        """What is kept; None where nothing is, or it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / f"{key}.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                columns: dict[str, Any] = dict(stored)
        except (OSError, ValueError, EOFError):
            return None
        self.used.add(path)
        missing = Counter(json.loads(str(columns.pop("missing"))))
        if "day" not in columns:
            return None, missing
        columns["symbol"] = columns["symbol"].astype(object)
        return Looked(**columns), missing

    def save(self, key: str, found: tuple[Looked | None, Counter[str]]) -> None:
        """Keep it; a disk that refuses costs only the resuming."""
        if self.folder is None:
            return
        looked, missing = found
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
    found = {}
    for text in values:
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        tree = settings.model_dump()
        *above, last = key.split(".")
        node = tree
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
        if above == ["score", "weights"]:
            # What is left of 1 goes to the other part.
            node[{"pos": "ev", "ev": "pos"}.get(last, last)] = 1.0 - float(value)
        try:
            found[_written(value)] = Settings.model_validate(tree)
        except ValidationError as exc:
            raise errors.ConfigError(f"{key} = {text}: {first_fault(exc)}", key=key) from exc
    return found


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
