"""A pool of candidates as the result of a backtest: groups, intervals, baselines, a sentence."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings
from tomic.evidence import ranking, statistics
from tomic.evidence.pool import Pool
from tomic.evidence.ranking import TopLimits
from tomic.models.backtest import (
    BacktestBaseline,
    BacktestBucket,
    BacktestCosts,
    BacktestGroup,
    BacktestResult,
    BacktestTrade,
    BacktestWeek,
    Estimate,
    ReasonCount,
)
from tomic.models.documents import to_document
from tomic.quant import payoff
from tomic.strategies import propose

LEAST_MONTHS = 3
"""Months below which resampling blocks of two of them says nothing."""
_TOPS = (1, 2, 3, 5, 10, 20)
_PERCENTILES = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
_SECTIONS = ("scan", "score", "view", "costs", "account", "margin", "journal", "backtest")
Every = Literal["week", "day"]
Run = Literal["hold", "managed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a result says beside its figures."""

    settings: Settings
    run: Run
    every: Every
    symbols: Sequence[str]
    strategies: Sequence[str]
    data: Sequence[str] = ()
    days: NDArray[Any] = field(default_factory=lambda: np.array([], dtype="datetime64[D]"))
    """Of entry, that were looked at."""
    symbol_days: int = 0
    not_built: Mapping[str, int] = field(default_factory=Counter)
    refused: Mapping[str, int] = field(default_factory=Counter)
    excluded: Mapping[str, int] = field(default_factory=Counter)
    levels: tuple[str, str] = ("as set", "at the other slippage")
    variants: int = 1
    notes: Sequence[str] = ()
    partial: str = ""


def result(pool: Pool, about: Described) -> BacktestResult:
    """Everything that a backtest reports."""
    known = ~np.isnan(pool.pnl(about.run))
    chosen = np.flatnonzero((pool.rank > 0) & known)
    chosen = chosen[np.lexsort((pool.rank[chosen], pool.day[chosen]))]
    lost = Counter(_why(pool, row) for row in np.flatnonzero((pool.rank > 0) & ~known).tolist())
    taken = pool.take(chosen)
    figures = Figures.of(taken, about.run)
    overall = figures.group("all", np.arange(taken.size))
    weeks = _weeks(taken, about.run)
    worst = min(weeks, key=lambda week: week.pnl, default=None)
    depth, peak, trough = _drawdown(weeks)
    sources = Counter(taken.source.tolist())
    return BacktestResult(
        settings=_plain(about.settings),
        changed=changed(Settings(), about.settings),
        symbols=tuple(about.symbols),
        strategies=tuple(about.strategies),
        every=about.every,
        run=about.run,
        start=about.days.min().item() if about.days.size else None,
        end=about.days.max().item() if about.days.size else None,
        entry_days=int(np.unique(about.days).size),
        symbol_days=about.symbol_days,
        candidates=int(pool.passed.sum()),
        sources=dict(sources),
        data=tuple(about.data),
        blocks=overall.per_cvar.blocks,
        overall=overall,
        trades=tuple(_trade(taken, row, about.run) for row in range(taken.size)),
        weeks=weeks,
        worst_week=worst,
        drawdown=depth,
        drawdown_from=peak,
        drawdown_to=trough,
        **_promised(pool),
        top=tuple(
            figures.group(f"top {count}", np.flatnonzero(taken.rank <= count))
            for count in _TOPS
            if count <= about.settings.scan.top and taken.size
        ),
        structures=_structures(pool),
        **_split(taken, figures, about.run),
        baselines=_baselines(pool, taken, about),
        costs=_costs(taken, about),
        not_built=counted(Counter(about.not_built) + lost),
        refused=counted(about.refused),
        excluded=counted(about.excluded),
        variants=about.variants,
        verdict=verdict(overall, about.variants),
        notes=tuple(about.notes),
        partial=about.partial,
    )


def counted(reasons: Mapping[str, int]) -> tuple[ReasonCount, ...]:
    """Reasons with their counts, most first."""
    order = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(ReasonCount(reason=reason, count=count) for reason, count in order if count)


def estimate(month: IntArray, values: FloatArray) -> Estimate:
    """Mean of *values* (n,) with its interval over months (n,); NaN is left out."""
    known = np.isfinite(values)
    if not known.any():
        return Estimate()
    found = statistics.mean(month[known], values[known])
    blocks = max(found.months // statistics.BLOCK_MONTHS, 1)
    if found.months < LEAST_MONTHS:
        return Estimate(value=found.value, blocks=blocks)
    return Estimate(value=found.value, low=found.low, high=found.high, blocks=blocks)


def signed(share: float) -> str:
    """A share in per cent with its sign; what rounds to nothing has none."""
    text = f"{share:+z.1%}"
    return text if text.strip("+0.%") else text.removeprefix("+")


def verdict(overall: BacktestGroup, variants: int = 1) -> str:
    """What the record proves, in a sentence."""
    figure = overall.per_cvar
    if figure.value is None:
        return "no trade was opened: nothing is proven either way"
    came = f"{signed(figure.value)} of CVaR a trade"
    if figure.low is None or figure.high is None:
        return f"{came}, over too few months for an interval: this proves nothing"
    span = f"{came}, 90 % interval {signed(figure.low)} to {signed(figure.high)}"
    over = f"{figure.blocks} independent block{'' if figure.blocks == 1 else 's'} of two months"
    if figure.holds_zero:
        return f"{span}, over {over}: it holds zero, so this record does not show that it pays"
    way = "above" if figure.value > 0.0 else "below"
    looks = f"; it was look number {variants} at these symbols" if variants > 1 else ""
    return f"{span}, over {over}: {way} zero{looks}"


def changed(base: Settings, other: Settings) -> dict[str, str]:
    """Keys of the sections that decide whose values differ, with those of *other*."""
    ours, theirs = (dict(_leaves(_plain(settings))) for settings in (base, other))
    return {key: str(value) for key, value in theirs.items() if ours.get(key) != value}


def _plain(settings: Settings) -> dict[str, Any]:
    sections = {name: to_document(getattr(settings, name)) for name in _SECTIONS}
    return sections | {"strategies": settings.strategies}


def _leaves(tree: Mapping[str, Any], head: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        name = f"{head}{key}"
        found += _leaves(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return found


def _why(pool: Pool, row: int) -> str:
    return str(pool.unknown[row]) or "no price of a leg until the end"


# -- groups --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What trades brought, (n,) each; fractions."""

    month: IntArray
    pos: FloatArray
    promised: FloatArray
    promised_cvar: FloatArray
    per_margin: FloatArray
    per_cvar: FloatArray
    pnl: FloatArray

    @classmethod
    def of(cls, pool: Pool, run: str) -> Figures:
        """Of every row of *pool*."""
        pnl = pool.pnl(run)
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(
                statistics.months(pool.day), pool.pos, pool.ev / pool.margin, pool.ev / pool.cvar,
                pnl / pool.margin, pnl / pool.cvar, pnl,
            )  # fmt: skip

    def group(self, label: str, rows: IntArray | BoolArray) -> BacktestGroup:
        """One group of trades whose outcome is known."""
        places = np.arange(self.pnl.size)[rows]
        places = places[~np.isnan(self.pnl[places])]
        if not places.size:
            return BacktestGroup(label=label, trades=0)
        month = self.month[places]
        return BacktestGroup(
            label=label,
            trades=int(places.size),
            win_rate=float((self.pnl[places] > payoff.NOTHING).mean()),
            pos=_mean(self.pos[places]),
            promised=_mean(self.promised[places]),
            promised_cvar=_mean(self.promised_cvar[places]),
            per_margin=estimate(month, self.per_margin[places]),
            per_cvar=estimate(month, self.per_cvar[places]),
            median_per_margin=_median(self.per_margin[places]),
            median_per_cvar=_median(self.per_cvar[places]),
            pnl=float(self.pnl[places].sum()),
        )

    def groups(self, label: NDArray[Any]) -> tuple[BacktestGroup, ...]:
        """A group for each label, most trades first; labels that are empty have none."""
        count = Counter(label.tolist())
        names = sorted(filter(None, count), key=lambda name: (-count[name], str(name)))
        found = [self.group(str(name), label == name) for name in names]
        return tuple(group for group in found if group.trades)


def _mean(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _median(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _structures(pool: Pool) -> tuple[BacktestGroup, ...]:
    """All candidates held to their expiry, by strategy."""
    known = np.asarray(pool.unknown == "", dtype=np.bool_)
    return Figures.of(pool, "hold").groups(np.where(known, pool.strategy, ""))


def _split(taken: Pool, figures: Figures, run: str) -> dict[str, Any]:
    """The same trades by what they are, where and when they were opened, and how they ended."""
    years = taken.day.astype("datetime64[Y]").astype(str)
    within = (taken.earnings >= taken.day) & (taken.earnings <= taken.expiry)
    event = np.where(within, "earnings within its life", "none known within its life")
    by_year = figures.groups(years)
    by_place = [
        figures.group(f"{low:.0%} to {high:.0%}", _between(taken, low, high))
        for low, high in _PERCENTILES
    ]
    return {
        "by_strategy": figures.groups(taken.strategy),
        "by_symbol": figures.groups(taken.symbol),
        "by_year": tuple(sorted(by_year, key=lambda group: group.label)),
        "by_iv_percentile": tuple(group for group in by_place if group.trades),
        "by_event": figures.groups(event),
        "by_source": figures.groups(taken.source),
        "by_exit": figures.groups(taken.ended(run).reason),
    }


def _between(taken: Pool, low: float, high: float) -> BoolArray:
    place = taken.iv_percentile
    return np.asarray((place >= low) & ((place < high) | (high == 1.0)))


def _promised(pool: Pool) -> dict[str, Any]:
    """All candidates that passed, in tenths by their promises, beside what holding brought."""
    pnl = pool.pnl("hold")
    ended = pool.unknown == ""
    rows = np.flatnonzero(pool.passed & ended & ~np.isnan(pnl))
    month, won = statistics.months(pool.day[rows]), (pnl[rows] > payoff.NOTHING).astype(np.float64)
    ev, came = pool.ev[rows] / pool.margin[rows], pnl[rows] / pool.margin[rows]
    return {
        "ev_deciles": _buckets(month, ev, came),
        "pos_deciles": _buckets(month, pool.pos[rows], won),
    }


def _buckets(month: IntArray, said: FloatArray, came: FloatArray) -> tuple[BacktestBucket, ...]:
    order = np.argsort(said, kind="stable")
    return tuple(
        BacktestBucket(
            trades=int(rows.size),
            promised=float(said[rows].mean()),
            came=estimate(month[rows], came[rows]),
        )
        for rows in np.array_split(order, 10)
        if rows.size
    )


def _trade(taken: Pool, row: int, run: str) -> BacktestTrade:
    ended = taken.ended(run)
    held = float(taken.held.gross[row] - taken.costs[row] - taken.held.leaving[row])
    report = taken.earnings[row]
    within = bool(taken.day[row] <= report <= taken.expiry[row])
    return BacktestTrade(
        symbol=str(taken.symbol[row]),
        strategy=str(taken.strategy[row]),
        trade=taken.text(row),
        source=taken.source[row],
        day=taken.day[row].item(),
        rank=int(taken.rank[row]),
        expiry=taken.expiry[row].item(),
        closed=ended.closed[row].item(),
        exit=str(ended.reason[row]),
        credit=float(taken.credit[row]),
        margin=float(taken.margin[row]),
        cvar=float(taken.cvar[row]),
        score=float(taken.score[row]),
        pos=float(taken.pos[row]),
        ev=float(taken.ev[row]),
        ev_market=float(taken.ev_market[row]),
        gross=float(ended.gross[row]),
        entry_costs=float(taken.costs[row]),
        exit_costs=float(ended.leaving[row]),
        pnl=float(taken.pnl(run)[row]),
        held=None if np.isnan(held) else held,
        underlying=_number(ended.move[row]),
        iv30=_number(taken.iv30[row]),
        iv_percentile=_number(taken.iv_percentile[row]),
        event=f"earnings {report}" if within else "",
        unmarked=int(taken.unmarked[row]),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


# -- weeks ---------------------------------------------------------------------------------------


def _monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


def _weeks(taken: Pool, run: str) -> tuple[BacktestWeek, ...]:
    """Every week in which something was opened, marked or closed."""
    ended, pnl = taken.ended(run), taken.pnl(run)
    change: defaultdict[dt.date, float] = defaultdict(float)
    opened = Counter(_monday(day) for day in taken.day.tolist())
    closed = Counter(_monday(day) for day in ended.closed.tolist())
    for row, last in enumerate(ended.closed.tolist()):
        before = 0.0
        for day, gross in taken.marks.get(row, ()):
            if day < last:
                now = gross - float(taken.costs[row])
                change[_monday(day)] += now - before
                before = now
        change[_monday(last)] += float(pnl[row]) - before
    total, weeks = 0.0, []
    for monday in sorted({*change, *opened, *closed}):
        total += change[monday]
        weeks.append(
            BacktestWeek(
                monday=monday,
                pnl=change[monday],
                total=total,
                opened=opened[monday],
                closed=closed[monday],
            )
        )
    return tuple(weeks)


def _drawdown(weeks: Sequence[BacktestWeek]) -> tuple[float, dt.date | None, dt.date | None]:
    """Deepest fall of the total from its peak, and the weeks of peak and trough."""
    depth, most = 0.0, 0.0
    peak: dt.date | None = None
    start: dt.date | None = None
    end: dt.date | None = None
    for week in weeks:
        if week.total > most:
            most, peak = week.total, week.monday
        if week.total - most < depth:
            depth, start, end = week.total - most, peak, week.monday
    return depth, start, end


# -- baselines and costs -------------------------------------------------------------------------


def by_day(pool: Pool, values: FloatArray, days: NDArray[Any]) -> FloatArray:
    """Mean of *values* (n,) over the rows of each of *days*; NaN where there is none."""
    known = np.isfinite(values)
    place = np.searchsorted(days, pool.day[known])
    total = np.bincount(place, values[known], days.size)
    count = np.bincount(place, minlength=days.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count)


def paired(days: NDArray[Any], ours: FloatArray, theirs: FloatArray) -> Estimate:
    """Mean difference by day of entry, with its interval."""
    return estimate(statistics.months(days), ours - theirs)


def _baselines(pool: Pool, taken: Pool, about: Described) -> tuple[BacktestBaseline, ...]:
    if not taken.size:
        return ()
    month, days = statistics.months(taken.day), np.unique(taken.day)
    pnl, ended = taken.pnl(about.run), taken.ended(about.run)
    own = by_day(taken, pnl / taken.cvar, days)
    market = BacktestBaseline(
        name="market EV",
        text="what the market's own density expected of the same trades, after costs of entry",
        per_margin=estimate(month, taken.ev_market / taken.margin),
        per_cvar=estimate(month, taken.ev_market / taken.cvar),
        difference=paired(days, own, by_day(taken, taken.ev_market / taken.cvar, days)),
    )
    bought = BacktestBaseline(
        name="buy and hold",
        text="the underlyings bought on the same days and sold when the trades ended, return",
        per_margin=estimate(month, ended.move),
        difference=paired(
            days, by_day(taken, pnl / taken.margin, days), by_day(taken, ended.move, days)
        ),
    )
    return (market, _at_random(pool, days, own, about), bought)


def _at_random(
    pool: Pool, days: NDArray[Any], own: FloatArray, about: Described
) -> BacktestBaseline:
    """Trades drawn from the same candidates, as many and as various, over many draws."""
    scan, draws = about.settings.scan, about.settings.backtest.random_draws
    rows = np.flatnonzero(pool.passed)
    symbol, strategy, side = (
        _numbers(each[rows]) for each in (pool.symbol, pool.strategy, pool.side)
    )
    few = np.unique(symbol).size < propose.FEW_SYMBOLS
    limits = TopLimits(scan.top, scan.top if few else scan.max_per_symbol, scan.max_per_strategy)
    week = (pool.expiry[rows].astype(np.int64) + 3) // 7
    thesis = (week * (symbol.max(initial=0) + 1) + symbol) * (side.max(initial=0) + 1) + side
    day = pool.day[rows].astype(np.int64)
    drawn = [
        ranking.at_random(day, symbol, strategy, seed=seed, limits=limits, thesis=thesis)
        for seed in range(draws)
    ]
    places = rows[np.concatenate(drawn)]
    every, come = pool.take(places), pool.pnl(about.run)[places]
    month = statistics.months(every.day)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_cvar, per_margin = come / every.cvar, come / every.margin
    return BacktestBaseline(
        name="random choice",
        text=f"as many trades drawn without judgement from the same candidates, {draws} times",
        per_margin=estimate(month, per_margin),
        per_cvar=estimate(month, per_cvar),
        difference=paired(days, own, by_day(*_within(every, per_cvar, days), days)),
    )


def _numbers(names: NDArray[Any]) -> IntArray:
    """A number for each name."""
    known = {name: place for place, name in enumerate(dict.fromkeys(names.tolist()))}
    return np.array([known[name] for name in names.tolist()], dtype=np.int64)


def _within(pool: Pool, values: FloatArray, days: NDArray[Any]) -> tuple[Pool, FloatArray]:
    """The rows of *days* alone."""
    rows = np.flatnonzero(np.isin(pool.day, days))
    return pool.take(rows), values[rows]


def _costs(taken: Pool, about: Described) -> tuple[BacktestCosts, ...]:
    ended, month = taken.ended(about.run), statistics.months(taken.day)
    levels: list[tuple[str, FloatArray]] = [
        (about.levels[0], taken.costs + ended.leaving),
        (about.levels[1], taken.other_costs + ended.other_leaving),
    ]
    return tuple(
        BacktestCosts(
            name=name,
            per_margin=estimate(month, (ended.gross - costs) / taken.margin),
            per_cvar=estimate(month, (ended.gross - costs) / taken.cvar),
            mean_costs=_mean(costs),
        )
        for name, costs in levels
    )
