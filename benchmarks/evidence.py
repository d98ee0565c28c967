"""
What TOMIC's ranking promised and what came: ``python -m benchmarks.evidence [SURFACE [EARNINGS]]``.

Without a file the shared one is read, and docs/evidence.md written. ``--json`` prints every figure.
The walk itself is `tomic.evidence`; what is compared with it (the score before the market's density
became the basis, a robust form, choices without judgement) is here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks import spx_spreads
from benchmarks.figures import Row, fact
from scipy.special import expit

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.config.scan import BacktestSettings
from tomic.errors import BadFile, TomicError
from tomic.evidence import ranking, statistics, trades, walk
from tomic.evidence.history import SurfaceHistory, clean
from tomic.evidence.statistics import Interval
from tomic.files.surfaces import read_surface
from tomic.quant import density, payoff, probability
from tomic.quant.density import Density
from tomic.store import importing
from tomic.store.calendar import Earnings
from tomic.strategies import scoring
from tomic.strategies.measures import MISS
from tomic.strategies.pricing.outlooks import BUMP

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence.md"
SHARED = ROOT.parent / "shared" / "data"
SURFACE, EARNINGS = "surface_daily_20_symbols.csv", "earnings_20_symbols.csv"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
ETFS = frozenset(BacktestSettings().funds)
"""Funds, for files that come without a table of earnings."""
RANDOM_DRAWS = 20
HALF_HV = 0.5


class Today(NamedTuple):
    """
    Figures under the density that was the default before, half HV and half IV; (n, s) each.

    The last is the market's, and what the robust score takes.
    """

    pos: FloatArray
    ev: FloatArray
    cvar: FloatArray
    profit: FloatArray
    """Maximum, or its 95 % quantile where unbounded."""
    slope: FloatArray
    """dEV / d ln sigma, by widening the market's density as the scan does."""


class Table(NamedTuple):
    """The record as rows of trades, (n,) each."""

    month: IntArray
    week: IntArray
    symbol: IntArray
    structure: IntArray
    margin: FloatArray
    cvar: FloatArray
    pos: FloatArray
    ev: FloatArray
    pnl: FloatArray
    managed: FloatArray
    today: Today

    @property
    def promised(self) -> FloatArray:
        """EV per margin."""
        return self.ev / self.margin

    @property
    def came(self) -> FloatArray:
        """P&L per margin."""
        return self.pnl / self.margin

    @property
    def won(self) -> FloatArray:
        """1 where it made money."""
        return (self.pnl > payoff.NOTHING).astype(np.float64)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and without files write the page."""
    parser = argparse.ArgumentParser(prog="benchmarks.evidence", description=__doc__)
    parser.add_argument("surface", nargs="?", type=Path, help="daily surfaces; the shared ones")
    parser.add_argument("earnings", nargs="?", type=Path, help="dates of earnings reports")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--every", action="store_true", help="keep weeks with few symbols too")
    chosen = parser.parse_args(words)
    own = chosen.surface is None
    surface, earnings = chosen.surface or SHARED / SURFACE, chosen.earnings
    if own and not surface.exists():
        print(f"no recorded data at {surface}; name a file", file=sys.stderr)
        return 5
    if own:
        earnings = SHARED / EARNINGS
    try:
        figures = measured(surface, earnings, every=chosen.every)
    except TomicError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    if own:
        figures["spx"] = spx_spreads.figures(SHARED)
    if chosen.json:
        print(json.dumps(_plain(figures), indent=2, allow_nan=False))
    else:
        print(page(figures))
    if own:
        write_page(figures)
    return 0


def run() -> list[Row]:
    """The figures that were asked for, as rows of `nox -s bench`; the page is written too."""
    if not (SHARED / SURFACE).exists():
        return [{"name": "evidence", "skipped": f"no recorded data at {SHARED / SURFACE}"}]
    figures = measured(SHARED / SURFACE, SHARED / EARNINGS)
    figures["spx"] = spx_spreads.figures(SHARED)
    write_page(figures)
    return [
        fact(name, f"{plain} · robust: {robust}", asked)
        for name, plain, robust, asked in _asked(figures)
    ]


# -- measuring --------------------------------------------------------------------------------


def measured(
    surface: Path, earnings: Path | None = None, *, every: bool = False,
    settings: walk.WalkSettings | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Every figure of a file of surfaces, as a document of plain numbers."""
    dates = _earnings(earnings) if earnings is not None else None
    rows = read_surface(surface)
    if dates is not None and not dates.keys() & set(rows.symbol.tolist()):
        raise BadFile(f"{earnings}: no report of any symbol of {surface.name}")
    histories = clean(rows, stocks=None if dates is None else dates.keys(), etfs=ETFS)
    settings = settings or walk.WalkSettings()
    today: list[Today] = []
    began = time.process_time()
    spent = 0.0

    def beside(opened: walk.Positions) -> None:
        nonlocal spent
        start = time.process_time()
        today.append(_as_before(opened, settings))
        spent += time.process_time() - start

    record, missing = walk.walk(histories, settings, beside=beside)
    seconds = time.process_time() - began - spent
    if record is None:
        raise BadFile(f"{surface}: no trade could be opened ({dict(missing)})")
    before = Today._make(np.concatenate(parts) for parts in zip(*today, strict=True))
    rate = record.day.size / seconds
    kept = _full_weeks(record, len(histories)) if not every else np.ones(record.day.size, bool)
    missing["a day with under half of the symbols"] = int((~kept).sum())
    record = walk.Record._make(part[kept] for part in record)
    before = Today._make(part[kept] for part in before)
    table = _table(record, before)
    return {
        "data": _data(surface, histories, record, +missing),
        "symbol-days a second": rate,
        "volatility": _volatility(record),
        "earnings": _around_earnings(record, dates) if dates is not None else None,
        "structures": _structures(record, before, settings),
        "calibration": _calibration(table),
        "slopes": _slopes(table),
        "deciles": {
            "market": _bins(statistics.deciles(table.promised, table.came)),
            "half HV": _bins(_known_deciles(table.today.ev / table.margin, table.came)),
        },
        "rankings": _rankings(table),
    }


def _earnings(path: Path) -> dict[str, FloatArray]:
    """Days of reports by symbol."""
    try:
        rows = importing.parse(path, path.read_bytes())
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    found: dict[str, list[str]] = {}
    for row in rows.events:
        if isinstance(row, Earnings):
            found.setdefault(row.symbol, []).append(str(row.day))
    return {
        symbol: np.sort(np.array(days, dtype="datetime64[D]")) for symbol, days in found.items()
    }


def _as_before(opened: walk.Positions, settings: walk.WalkSettings) -> Today:
    """Figures under the density scaled to half HV and half IV, as the scan had them."""
    iv = np.sqrt(opened.smiles.theta / opened.smiles.tau)
    ratio = (HALF_HV * opened.hv + (1.0 - HALF_HV) * iv) / iv
    profit, slope = np.full((2, *opened.trades.credit.shape), np.nan)
    known = ~np.isnan(ratio)

    def scaled(row: int, market: Density) -> Density:
        law = density.viewed(market, volatility=float(ratio[row]) if known[row] else 1.0)
        shape = payoff.Segments(*(part[row] for part in opened.trades.shape))
        low, high = (
            probability.ev(density.viewed(market, volatility=1.0 + sign * BUMP), shape)
            for sign in (-1.0, 1.0)
        )
        slope[row] = (high - low) / (2.0 * BUMP)
        most = payoff.profile(shape).max_profit
        profit[row] = np.where(np.isinf(most), probability.profit_quantile(law, shape), most)
        return law

    told = trades.promises(opened.smiles, opened.trades, scaled, points=settings.points)
    blank = np.where(known, 0.0, np.nan)[:, None]
    return Today(told.pos + blank, told.ev + blank, told.cvar + blank, profit + blank, slope)


def _full_weeks(record: walk.Record, symbols: int) -> BoolArray:
    """Entries of days on which at least half of the symbols were opened."""
    _, place, count = np.unique(record.day, return_inverse=True, return_counts=True)
    return np.asarray(count[place] >= 0.5 * symbols)


def _table(record: walk.Record, before: Today) -> Table:
    count, kinds = record.pos.shape
    _, symbol = np.unique(record.symbol.astype(str), return_inverse=True)
    return Table(
        month=np.repeat(statistics.months(record.day), kinds),
        week=np.repeat((record.day.astype(np.int64) + 3) // 7, kinds),
        symbol=np.repeat(symbol, kinds),
        structure=np.tile(np.arange(kinds), count),
        margin=record.margin.reshape(-1),
        cvar=record.cvar.reshape(-1),
        pos=record.pos.reshape(-1),
        ev=record.ev.reshape(-1),
        pnl=record.pnl.reshape(-1),
        managed=record.managed.reshape(-1),
        today=Today._make(part.reshape(-1) for part in before),
    )


def _data(
    surface: Path, histories: Sequence[SurfaceHistory], record: walk.Record, missing: Counter[str]
) -> dict[str, Any]:
    excluded: Counter[str] = Counter()
    for history in histories:
        excluded.update(history.excluded)
    return {
        "file": surface.name,
        "symbols": len(histories),
        "opened symbols": int(np.unique(record.symbol.astype(str)).size),
        "funds": [history.symbol for history in histories if history.is_etf],
        "symbol-weeks": int(record.day.size),
        "trades": int(record.pos.size),
        "weeks": int(np.unique(record.day).size),
        "months": int(np.unique(statistics.months(record.day)).size),
        "first": str(record.day.min()),
        "last": str(record.day.max()),
        "taken out of the data": dict(excluded),
        "entries not made": dict(missing),
    }


def _volatility(record: walk.Record) -> dict[str, Any]:
    month = statistics.months(record.day)
    ratio = np.log(record.realised / record.iv30)
    logs = np.log(np.column_stack((record.iv30, record.hv)))
    names = ("constant", "log IV30", "log HV30")
    fit = statistics.regression(month, logs, np.log(record.realised))
    by = record.hv / record.iv30
    return {
        "mean log RV/IV30": _span(statistics.mean(month, ratio)),
        "sd log RV/IV30": float(np.std(ratio)),
        "root mean square RV/IV30": float(np.sqrt(np.nanmean(np.exp(2.0 * ratio)))),
        "log RV on": {name: _span(each) for name, each in zip(names, fit, strict=True)},
        "RV/IV30 by HV30/IV30": _bins(_known_deciles(by, np.exp(ratio), 6)),
    }


def _around_earnings(record: walk.Record, dates: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Where the next report lies: before the expiry that IV was measured at, after it, nowhere."""
    ahead = np.full(record.day.size, np.inf)
    for symbol, days in dates.items():
        rows = np.flatnonzero(record.symbol == symbol)
        place = np.searchsorted(days, record.day[rows], side="right")
        following = days[np.minimum(place, days.size - 1)]
        gap = (following - record.day[rows]).astype(float)
        ahead[rows] = np.where(place < days.size, gap, np.inf)
    inside = ahead <= np.minimum(record.front_days, 30.0)
    hidden = ~inside & (ahead <= 30.0)
    straddle = walk.STRUCTURES.index(next(s for s in walk.STRUCTURES if s.name == "straddle"))
    over = ((record.pnl - record.ev) / record.margin)[:, straddle]
    month, ratio = statistics.months(record.day), np.log(record.realised / record.iv30)
    groups = {
        "inside the first expiry": inside,
        "after it, within 30 days": hidden,
        "none within 30 days": ~inside & ~hidden,
    }
    return {
        name: {
            "n": int(rows.sum()),
            "mean log RV/IV30": _span(statistics.mean(month[rows], ratio[rows])),
            "straddle less promised": _span(statistics.mean(month[rows], 100.0 * over[rows])),
        }
        for name, rows in groups.items()
    }


def _structures(
    record: walk.Record, before: Today, settings: walk.WalkSettings
) -> list[dict[str, Any]]:
    month = statistics.months(record.day)
    rows = []
    for place, structure in enumerate(settings.structures):
        margin = record.margin[:, place]
        share = {
            name: 100.0 * values[:, place] / margin
            for name, values in (
                ("ev", record.ev), ("half", before.ev), ("came", record.pnl),
                ("managed", record.managed),
            )
        }  # fmt: skip
        rows.append({
            "name": structure.name,
            "n": int(margin.size),
            "EV half HV": float(np.nanmean(share["half"])),
            "EV": float(share["ev"].mean()),
            "came": _span(statistics.mean(month, share["came"])),
            "PoS": float(record.pos[:, place].mean()),
            "won": float((record.pnl[:, place] > payoff.NOTHING).mean()),
            "managed": _span(statistics.mean(month, share["managed"])) if structure.managed
            else None,
        })  # fmt: skip
    return rows


def _calibration(table: Table) -> dict[str, Any]:
    found = {}
    for name, said in (("market", table.pos), ("half HV", table.today.pos)):
        known = ~np.isnan(said)
        bins = statistics.reliability(said[known], table.won[known])
        found[name] = {
            "ECE": statistics.calibration_error(bins),
            "Brier": statistics.brier(said[known], table.won[known]),
            "bins": _bins(bins),
        }
    return found


def _slopes(table: Table) -> dict[str, Any]:
    month, known = table.month, ~np.isnan(table.today.ev)
    today = table.today.ev / table.margin
    cut = np.clip(table.came, -statistics.WINSOR, statistics.WINSOR)
    both = np.column_stack((table.promised, today - table.promised))[known]
    parts = statistics.regression(month[known], both, cut[known])
    return {
        "market": _span(statistics.slope(month, table.promised, table.came)),
        "market, cut at 50 %": _span(
            statistics.slope(month, table.promised, table.came, winsor=statistics.WINSOR)
        ),
        "half HV": _span(statistics.slope(month[known], today[known], table.came[known])),
        "half HV, cut at 50 %": _span(statistics.slope(month[known], today[known], cut[known])),
        "of market's EV beside the difference": _span(parts[1]),
        "of the difference": _span(parts[2]),
    }


def _scores(table: Table) -> Iterator[tuple[str, FloatArray]]:
    """Rankings that are compared; the first is the program's own."""
    settings = ScoreSettings()
    robust = table.ev - 0.5 * MISS * np.abs(table.today.slope)
    today, margin = table.today, table.margin
    yield "score", _score(table.pos, table.ev, table.cvar, settings)
    yield "robust score", _score(table.pos, robust, table.cvar, settings)
    yield "EV per CVaR alone", table.ev / table.cvar
    rom = today.profit / margin
    old = 0.25 * today.pos + 0.30 * rom / (np.abs(rom) + 0.10)
    old += 0.30 * expit(today.ev / margin / 0.02)
    old += 0.15 * today.profit / (today.profit + np.maximum(today.cvar, 0.0))
    yield "the score before", old


def _score(
    pos: FloatArray, ev: FloatArray, cvar: FloatArray, settings: ScoreSettings
) -> FloatArray:
    """The scan's own score, of trades whose liquidity and fit are 1."""
    figures = scoring.ScoreFigures(
        pos=pos, ev=ev, tail_loss=np.maximum(cvar, 0.0), liquidity=np.ones(pos.size)
    )
    return scoring.total(figures, settings)


def _rankings(table: Table) -> list[dict[str, Any]]:
    chosen = {
        name: ranking.top(score, table.week, table.symbol, table.structure)
        for name, score in _scores(table)
    }
    draws = [
        ranking.at_random(table.week, table.symbol, table.structure, seed=seed)
        for seed in range(RANDOM_DRAWS)
    ]
    by_chance = _weekly_mean(table, draws)
    before = _weekly(table, chosen["the score before"])
    rows = [_ranked(table, name, rows, by_chance, before) for name, rows in chosen.items()]
    rows.append(_ranked(table, "five at random", draws[0], by_chance, before, draws))
    return rows


def _ranked(
    table: Table, name: str, rows: IntArray, by_chance: FloatArray, before: FloatArray,
    draws: Sequence[IntArray] = (),
) -> dict[str, Any]:  # fmt: skip
    told = name == "the score before"
    pos, ev = (table.today.pos, table.today.ev) if told else (table.pos, table.ev)
    rows = np.concatenate(draws) if draws else rows
    month, came = table.month[rows], 100.0 * table.came[rows]
    risked = 100.0 * (table.pnl / table.cvar)[rows]
    weekly = by_chance if draws else _weekly(table, rows)
    week_month = statistics.months(_monday(np.unique(table.week)))
    per_margin, per_cvar = statistics.mean(month, came), statistics.mean(month, risked)
    promised = 100.0 * (ev / table.margin)[rows].mean()
    promised_risk = 100.0 * (ev / table.cvar)[rows].mean()
    one = draws[0] if draws else rows
    return {
        "name": name,
        "trades": int(rows.size // max(len(draws), 1)),
        "promised per margin": float(promised),
        "per margin": _span(per_margin),
        "promised per CVaR": float(promised_risk),
        "per CVaR": _span(per_cvar),
        "promise inside, per margin": per_margin.holds(promised),
        "promise inside, per CVaR": per_cvar.holds(promised_risk),
        "said": float(pos[rows].mean()),
        "won": float(table.won[rows].mean()),
        "managed per CVaR": float(100.0 * (table.managed / table.cvar)[rows].mean()),
        "per CVaR less five at random": _span(statistics.mean(week_month, weekly - by_chance)),
        "per CVaR less the score before": _span(statistics.mean(week_month, weekly - before)),
        "worst week per margin": float(
            ranking.by_week(one, table.week, 100.0 * table.came)[1].min()
        ),
        "worst week per CVaR": float(
            ranking.by_week(one, table.week, 100.0 * table.pnl / table.cvar)[1].min()
        ),
        "structures": {
            walk.STRUCTURES[place].name: int(count)
            for place, count in enumerate(np.bincount(table.structure[one]))
            if count
        },
    }


def _weekly(table: Table, rows: IntArray) -> FloatArray:
    """Mean P&L per CVaR of *rows* in every week of the table, per cent; NaN where none is."""
    every = np.unique(table.week)
    weeks, mean = ranking.by_week(rows, table.week, 100.0 * table.pnl / table.cvar)
    found = np.full(every.size, np.nan)
    found[np.searchsorted(every, weeks)] = mean
    return found


def _weekly_mean(table: Table, draws: Sequence[IntArray]) -> FloatArray:
    return np.asarray(np.mean([_weekly(table, rows) for rows in draws], axis=0))


def _monday(week: IntArray) -> np.ndarray:
    return (7 * week - 3).astype("datetime64[D]")


def _known_deciles(by: FloatArray, came: FloatArray, count: int = 10) -> list[statistics.Bin]:
    known = ~np.isnan(by + came)
    return statistics.deciles(by[known], came[known], count)


def _span(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _bins(bins: Sequence[statistics.Bin]) -> list[dict[str, float]]:
    return [each._asdict() for each in bins]


def _plain(value: Any) -> Any:
    """*value* as JSON can hold it: what is not a number becomes null."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


# -- the page ---------------------------------------------------------------------------------


def write_page(figures: Mapping[str, Any]) -> None:
    """Put the tables between the markers of docs/evidence.md."""
    old = PAGE.read_text(encoding="utf-8")
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(figures)}\n\n{END}{after}", encoding="utf-8")


def page(figures: Mapping[str, Any]) -> str:
    """Every figure as Markdown."""
    parts: list[str] = [_facts(figures), _asked_table(figures), _ranking_table(figures)]
    parts += [_structure_table(figures), _bins_tables(figures), _volatility_table(figures)]
    if figures["earnings"]:
        parts.append(_earnings_table(figures))
    if figures.get("spx"):
        parts.append(spx_spreads.page(figures["spx"]))
    return "\n\n".join(parts)


def _facts(figures: Mapping[str, Any]) -> str:
    data = figures["data"]
    out = ", ".join(f"{n} {reason}" for reason, n in data["taken out of the data"].items())
    missed = ", ".join(f"{n} for {reason}" for reason, n in data["entries not made"].items())
    return (
        f"`{data['file']}`: {data['opened symbols']} of {data['symbols']} symbols "
        f"(funds: {' '.join(data['funds']) or 'none'}), "
        f"{data['weeks']} weeks from {data['first']} to {data['last']} ({data['months']} months, "
        f"about {data['months'] // 2} independent blocks), {data['symbol-weeks']:,} symbol-weeks, "
        f"{data['trades']:,} trades. Taken out: {out or 'nothing'}. "
        f"Entries not made: {missed or 'none'}."
    )


def _asked(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Figure, by the plain score, by the robust one, what is asked."""
    rows = {row["name"]: row for row in figures["rankings"]}
    both, before = (rows["score"], rows["robust score"]), rows["the score before"]
    slopes, market = figures["slopes"], figures["calibration"]["market"]
    cut = _in_brackets(slopes["market, cut at 50 %"], 2)
    slope = f"{_in_brackets(slopes['market'], 2)}; cut at 50 %: {cut}"
    yield "realised on promised EV: slope, all candidates", slope, "the same", ".8 to 1.25"
    for unit in ("margin", "CVaR"):
        told = [f"{r[f'promised per {unit}']:+.1f}, {_in_brackets(r[f'per {unit}'])}" for r in both]
        yield f"top five: promised, came, % of {unit}", *told, "inside"
    yield "PoS: calibration error, all candidates", f"{market['ECE']:.4f}", "the same", "<= .016"
    told = [f"{row['said']:.3f}, {row['won']:.3f}" for row in both]
    yield "PoS of the top five: said, won", *told, "within .03"
    told = [_in_brackets(row["per CVaR less five at random"]) for row in both]
    yield "top five less five at random, points of CVaR", *told, ">= +5"
    worst, *told = (
        f"{row['worst week per margin']:.0f}, {row['worst week per CVaR']:.0f}"
        for row in (before, *both)
    )
    yield "worst week, % of margin, of CVaR", *told, f"no worse than before: {worst}"
    rate = f"{figures['symbol-days a second']:.0f}"
    yield "symbol-days a second and core, 13 structures", rate, "the same", ">= 140"


def _asked_table(figures: Mapping[str, Any]) -> str:
    heads = ["figure", "score", "robust score", "asked"]
    # What the scan ranks by unless it is told otherwise.
    heads[1 + ScoreSettings().robust] += " (the default)"
    return _markdown(heads, list(_asked(figures)))


def _ranking_table(figures: Mapping[str, Any]) -> str:
    heads = (
        "top five of a week by", "promised", "came, % of margin", "promised", "came, % of CVaR95",
        "less random", "less the score before", "said / won", "managed", "worst week",
    )  # fmt: skip
    rows = [
        (
            row["name"],
            f"{row['promised per margin']:+.1f}",
            _in_brackets(row["per margin"]),
            f"{row['promised per CVaR']:+.1f}",
            _in_brackets(row["per CVaR"]),
            _in_brackets(row["per CVaR less five at random"]),
            _in_brackets(row["per CVaR less the score before"]),
            f"{row['said']:.3f} / {row['won']:.3f}",
            f"{row['managed per CVaR']:+.1f}",
            f"{row['worst week per margin']:.0f} / {row['worst week per CVaR']:.0f}",
        )
        for row in figures["rankings"]
    ]
    most = [
        f"{row['name']}: " + ", ".join(f"{name} {n}" for name, n in row["structures"].items())
        for row in figures["rankings"]
    ]
    return (
        "### Rankings\n\n"
        + _markdown(heads, rows)
        + "\n\nWhat was chosen. "
        + "; ".join(most)
        + "."
    )


def _structure_table(figures: Mapping[str, Any]) -> str:
    heads = ("structure", "EV half HV", "EV", "came", "PoS", "won", "managed")
    rows = [
        (
            row["name"],
            f"{row['EV half HV']:+.1f}",
            f"{row['EV']:+.1f}",
            _in_brackets(row["came"]),
            f"{row['PoS']:.3f}",
            f"{row['won']:.3f}",
            _in_brackets(row["managed"]) if row["managed"] else "",
        )
        for row in figures["structures"]
    ]
    return "### Structures, % of margin\n\n" + _markdown(heads, rows)


def _bins_tables(figures: Mapping[str, Any]) -> str:
    calibration, slopes = figures["calibration"], figures["slopes"]
    bins = [
        (f"{each['said']:.3f}", f"{each['came']:.3f}", f"{each['rows']:,}")
        for each in calibration["market"]["bins"]
    ]
    words = [
        f"{name}: calibration error {each['ECE']:.4f}, Brier {each['Brier']:.4f}"
        for name, each in calibration.items()
    ]
    groups = [
        (name, " ".join(f"{100 * each['said']:+.1f}>{100 * each['came']:+.1f}" for each in found))
        for name, found in figures["deciles"].items()
    ]
    lines = [(name, _in_brackets(each, 2)) for name, each in slopes.items()]
    return "\n\n".join((
        "### PoS under the market's density\n\n" + _markdown(("said", "won", "trades"), bins),
        "; ".join(words) + ".",
        "### EV: deciles promised > came, % of margin\n\n"
        + _markdown(("density", "lowest to highest"), groups),
        "### Slope of what came on what was promised\n\n" + _markdown(("promise", "slope"), lines),
    ))  # fmt: skip


def _volatility_table(figures: Mapping[str, Any]) -> str:
    found = figures["volatility"]
    rows = [
        ("mean log RV/IV30", _in_brackets(found["mean log RV/IV30"], 3)),
        ("sd of it", f"{found['sd log RV/IV30']:.3f}"),
        ("root mean square RV/IV30", f"{found['root mean square RV/IV30']:.3f}"),
    ]
    rows += [
        (f"log RV on: {name}", _in_brackets(each, 3)) for name, each in found["log RV on"].items()
    ]
    rows += [
        (f"RV/IV30 where HV30/IV30 is {each['said']:.2f}", f"{each['came']:.3f}")
        for each in found["RV/IV30 by HV30/IV30"]
    ]
    return "### Realised volatility (RV), 30 days\n\n" + _markdown(("figure", "measured"), rows)


def _earnings_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{each['n']:,}",
            _in_brackets(each["mean log RV/IV30"], 3),
            _in_brackets(each["straddle less promised"]),
        )
        for name, each in figures["earnings"].items()
    ]
    heads = ("next report", "symbol-weeks", "mean log RV/IV30", "straddle less EV, % of margin")
    return "### Earnings\n\n" + _markdown(heads, rows)


def _in_brackets(span: Mapping[str, float], digits: int = 1) -> str:
    return f"{span['value']:+.{digits}f} [{span['low']:.{digits}f}, {span['high']:.{digits}f}]"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
