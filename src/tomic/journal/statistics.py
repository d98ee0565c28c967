"""How campaigns did: win rate, expectancy, profit factor, drawdown, days, return on margin."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomic._typing import FloatArray, IntArray
from tomic.journal import campaign
from tomic.models import Leg, journal as nouns
from tomic.models.documents import finite

CENTS = 2


@dataclass(frozen=True, slots=True)
class CampaignOutcome:
    """One campaign, possibly over several linked entries; money in currency."""

    id: int
    symbol: str
    strategy: str
    opened: dt.date
    closed: dt.date | None
    """None while it is open."""
    result: float | None
    """None while it is open, or where it is unknown."""
    margin: float | None = None
    pos: float | None = None
    ev: float | None = None
    score: float | None = None
    grade: str = ""
    expiry: dt.date | None = None
    """First expiry of the opening trade: with the symbol, the cluster that shares an outcome."""
    slippage: float | None = None
    curve: tuple[tuple[dt.date, float], ...] = ()
    """P&L at each snapshot, ascending."""
    currency: str = ""
    """Of all its money; empty where nobody said."""

    @property
    def days(self) -> int | None:
        """Calendar days in the trade; None while it is open."""
        return None if self.closed is None else (self.closed - self.opened).days

    @property
    def cluster(self) -> tuple[str, dt.date]:
        """Campaigns of one symbol and expiry share one outcome."""
        return self.symbol, self.expiry or self.closed or self.opened


@dataclass(frozen=True, slots=True)
class ProposalOutcome:
    """A saved proposal that has reached its first expiry; money in currency per structure."""

    id: str
    symbol: str
    strategy: str
    expiry: dt.date
    result: float
    pos: float
    ev: float
    score: float
    grade: str
    margin: float


def summarise(entry: nouns.JournalEntry) -> dict[str, Any]:
    """The summary of an entry, JSON-ready, without what is empty; see `from_summaries`."""
    opening = entry.trades[0] if entry.trades else None
    first, last = campaign.first_expiry(entry), _last_expiry(entry)
    opened = entry.opened_at.date()
    left = campaign.days_left(entry, opened)
    settled = None if left is None else opened + dt.timedelta(days=left)
    result = campaign.result(entry)
    marked = [snapshot for snapshot in entry.snapshots if snapshot.pnl is not None]
    pnl, pnl_at = _last_marked(entry)
    context = entry.context
    summary = {
        "legs": legs_text(campaign.held(entry) or (opening.fills if opening else ())),
        "structures": opening.structures if opening else 1,
        "credit": _cents(per_structure(opening)) if opening else None,
        "premium": _cents(campaign.premium(entry)),
        "commissions": _cents(campaign.commissions(entry)),
        "result": _cents(result),
        "stated": bool(entry.stated) and (not entry.trades or bool(campaign.held(entry))),
        "pnl": _cents(pnl),
        "pnl_at": pnl_at.isoformat() if pnl_at is not None else None,
        "legs_changed": _have_changed(entry),
        "expiry": first.isoformat() if first else None,
        "settles": settled.isoformat() if settled and settled != first else None,
        "last_expiry": last.isoformat() if last else None,
        "cluster": day.isoformat() if (day := campaign.opening_expiry(entry)) else None,
        "margin": finite(context.margin),
        "max_profit": finite(context.max_profit),
        "pos": context.pos,
        "ev": context.ev,
        "score": context.score,
        "grade": context.grade,
        "slippage": _cents(campaign.slippage(entry)),
        "trades": len(entry.trades),
        "tags": list(entry.tags),
        "account": entry.account,
        "currency": entry.currency,
        "curve": [[snapshot.at.date().isoformat(), _cents(snapshot.pnl)] for snapshot in marked],
    }
    # Short summaries are read quickly, and there may be thousands.
    # A zero is a figure: only what is absent is left out.
    return {name: value for name, value in summary.items() if value or type(value) in (int, float)}


def _last_marked(entry: nouns.JournalEntry) -> tuple[float | None, dt.datetime | None]:
    """
    P&L at the last marks, and when that was; nothing where a trade came after them.

    Marks from before an assignment or a roll say nothing about the legs after it.
    """
    last = next(
        (snapshot for snapshot in reversed(entry.snapshots) if snapshot.pnl is not None), None
    )
    if last is None or any(trade.at > last.at for trade in entry.trades):
        return None, None
    pnl = last.pnl
    if entry.is_open and last.legs:
        # Computed anew: a trade may have been recorded later for an earlier moment.
        pnl = campaign.worth(entry, last.prices).pnl
    return (None, None) if pnl is None else (pnl, last.at)


def _have_changed(entry: nouns.JournalEntry) -> bool:
    """Whether other contracts are held than those that were opened."""
    if not entry.is_open or len(entry.trades) < 2:
        return False
    opened = {fill.key[:4] for fill in entry.trades[0].fills}
    return {leg.key[:4] for leg in campaign.held(entry)} != opened


def per_structure(trade: nouns.Trade) -> float:
    """What one structure brought in, currency per share: 2.35 for a credit, -1.20 for a debit."""
    return campaign.cash(trade) / (trade.structures * campaign.structure_multiplier(trade.fills))


def legs_text(legs: Sequence[nouns.Contract]) -> str:
    """Legs in a line, an expiry after those that share it: ``-1 560P +1 550P 2025-06-20``."""
    options = [leg for leg in legs if not leg.is_stock]
    parts = [f"{getattr(leg, 'quantity', 0.0):+g} shares" for leg in legs if leg.is_stock]
    for day in sorted({leg.expiry for leg in options if leg.expiry}):
        of_day = [leg for leg in options if leg.expiry == day]
        of_day.sort(key=lambda leg: (leg.right == "C", leg.strike or 0.0))
        parts += [f"{getattr(leg, 'quantity', 0.0):+g} {leg.strike:g}{leg.right}" for leg in of_day]
        parts.append(day.isoformat())
    return " ".join(parts)


def from_summaries(rows: Iterable[Mapping[str, Any]]) -> list[CampaignOutcome]:
    """
    Campaigns from stored summaries; entries that continue each other become one.

    Cancelled entries count nowhere. A campaign is closed when all of its entries are.
    """
    live = {row["id"]: row for row in rows if row["status"] != nouns.EntryStatus.CANCELLED}
    members: dict[int, list[Mapping[str, Any]]] = {}
    for number, row in live.items():
        members.setdefault(_root(number, live), []).append(row)
    return [_joined(root, entries) for root, entries in sorted(members.items())]


def _root(number: int, rows: Mapping[int, Mapping[str, Any]]) -> int:
    visited = {number}
    while True:
        earlier = rows[number].get("continues")
        if earlier is None or earlier not in rows:
            return number
        if earlier in visited:
            return min(visited)
        number = int(earlier)
        visited.add(number)


def _joined(root: int, rows: Sequence[Mapping[str, Any]]) -> CampaignOutcome:
    """One campaign from the summaries of its entries."""
    first = (
        rows[0]
        if len(rows) == 1
        else min(rows, key=lambda entry: (entry["id"] != root, entry["id"]))
    )
    summary = first["summary"]
    result, margin, slippage = (summary.get(name) for name in ("result", "margin", "slippage"))
    is_closed, closed = first["status"] == nouns.EntryStatus.CLOSED, first["closed_at"]
    opened = first["opened_at"]
    if len(rows) > 1:
        is_closed = all(entry["status"] == nouns.EntryStatus.CLOSED for entry in rows)
        closed = max((entry["closed_at"] for entry in rows if entry["closed_at"]), default=None)
        opened = min(entry["opened_at"] for entry in rows)
        result, margin, slippage = (
            _fold(rows, "result", math.fsum, from_all=True),
            _fold(rows, "margin", max, from_all=True),
            _fold(rows, "slippage", math.fsum, from_all=True),
        )
    currencies = {entry["summary"].get("currency", "") for entry in rows} - {""}
    if len(currencies) > 1:
        # Money of two currencies has no sum.
        result = margin = slippage = None
    expiry, curve = summary.get("cluster"), summary.get("curve")
    return CampaignOutcome(
        id=root,
        symbol=first["symbol"],
        strategy=first["strategy"] or "",
        opened=_to_day(opened),
        closed=_to_day(closed) if is_closed and closed else None,
        result=result if is_closed else None,
        margin=margin,
        pos=summary.get("pos"),
        ev=summary.get("ev"),
        score=summary.get("score"),
        grade=summary.get("grade") or "",
        expiry=_day_of(expiry) if expiry else None,
        slippage=slippage,
        # Marks of linked entries overlap in time; only a campaign in one entry has a curve.
        curve=_curve(curve) if curve and len(rows) == 1 else (),
        currency=min(currencies, default=""),
    )


def by_currency(
    outcomes: Iterable[CampaignOutcome],
) -> tuple[dict[str, list[CampaignOutcome]], int]:
    """
    Campaigns apart by currency, that of most of them first; money of two currencies has no sum.

    Those that say none go with the others where there is only one currency.

    Returns:
        Campaigns by currency, and how many of them say none.
    """
    groups: dict[str, list[CampaignOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.currency, []).append(outcome)
    silent = groups.get("", [])
    named = sorted((name for name in groups if name), key=lambda name: (-len(groups[name]), name))
    if len(named) < 2:
        name = named[0] if named else ""
        return {name: [outcome for own in groups.values() for outcome in own]}, len(silent)
    parts = {name: groups[name] for name in named}
    return parts | ({"": silent} if silent else {}), len(silent)


def _fold(
    rows: Iterable[Mapping[str, Any]],
    name: str,
    work: Callable[[list[float]], float],
    *,
    from_all: bool = False,
) -> float | None:
    """A figure of several entries from those that have it; with *from_all* all of them must."""
    values = [entry["summary"].get(name) for entry in rows]
    known = [value for value in values if value is not None]
    if not known or (from_all and len(known) < len(values)):
        return None
    return work(known)


def _curve(points: Iterable[Sequence[Any]]) -> tuple[tuple[dt.date, float], ...]:
    return tuple((dt.date.fromisoformat(day), float(value)) for day, value in points)


def _to_day(text: str) -> dt.date:
    return _day_of(text[:10])


@lru_cache(maxsize=8192)
def _day_of(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _last_expiry(entry: nouns.JournalEntry) -> dt.date | None:
    legs: Sequence[nouns.Contract] = campaign.held(entry)
    return max((leg.expiry for leg in legs if leg.expiry is not None), default=None)


def _cents(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, CENTS)


def _unmarked(summary: Mapping[str, Any]) -> str:
    """Why an open entry has no P&L."""
    return "not marked since the last trade" if summary.get("trades", 0) > 1 else "not marked yet"


def row(stored: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    """One entry for a list: who, what, since when, and what it made so far."""
    summary = stored["summary"]
    is_open = stored["status"] == nouns.EntryStatus.OPEN
    premium, pnl = summary.get("premium"), summary.get("pnl")
    earned = pnl if is_open else summary.get("result")
    settles = summary.get("settles") or summary.get("expiry")
    opened = _to_day(stored["opened_at"])
    closed = _to_day(stored["closed_at"]) if stored["closed_at"] else None
    last = closed or day
    return {
        "id": stored["id"],
        "symbol": stored["symbol"],
        "strategy": stored["strategy"],
        "status": stored["status"],
        "legs": summary.get("legs", ""),
        "opened": opened.isoformat(),
        "closed": closed.isoformat() if closed else None,
        "days": (last - opened).days,
        "dte": (_day_of(settles) - day).days if settles and is_open else None,
        "expiry": summary.get("expiry"),
        "structures": summary.get("structures", 1),
        "credit": summary.get("credit"),
        "premium": premium,
        "pnl": earned,
        "pnl_at": summary.get("pnl_at") if is_open else stored["closed_at"],
        "share": round(earned / abs(premium), 6) if earned is not None and premium else None,
        "margin": summary.get("margin"),
        # The forecast made at entry is of the legs opened then; it is kept for the statistics.
        "pos": None if is_open and summary.get("legs_changed") else summary.get("pos"),
        "score": summary.get("score"),
        "grade": summary.get("grade", ""),
        "account": summary.get("account", ""),
        "currency": summary.get("currency", ""),
        "continues": stored["continues"],
        "unmarked": _unmarked(summary) if is_open and pnl is None else "",
        "legs_changed": bool(is_open and summary.get("legs_changed")),
        "tags": summary.get("tags", []),
    }


Z95 = 1.959963984540054
"""Standard normal quantile of 97.5 %."""

_SEED = 20260720
_CHUNK = 250_000
"""Drawn clusters worked on at once."""
_MOST = 16_000_000
"""Drawn clusters in all; beyond that there are fewer resamples."""
_FEWEST = 200


def wilson(hits: int, n: int, z: float = Z95) -> nouns.Interval:
    """
    Share of hits with Wilson's interval; nothing where n is 0.

    Source: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if n == 0:
        return nouns.Interval()
    share = hits / n
    scale = 1.0 / (1.0 + z * z / n)
    middle = scale * (share + z * z / (2.0 * n))
    half = scale * z * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == n else middle + half
    return nouns.Interval(value=share, low=low, high=high)


def clusters(keys: Sequence[Hashable]) -> IntArray:
    """Number of the cluster that each key belongs to, from 0 in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def resampled_sums(cluster: IntArray, columns: FloatArray, draws: int) -> FloatArray:
    """
    Sums of columns over resamples of the clusters, drawn with replacement.

    Args:
        cluster: (n,) number of the cluster of each row.
        columns: (n, k) what is summed.
        draws: Resamples; over very many clusters fewer, which then suffice.

    Returns:
        (draws, k); the same every time.

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap".
    """
    count = int(cluster.max(initial=-1)) + 1
    if count == 0:
        return np.zeros((draws, columns.shape[1]))
    per_cluster = np.zeros((count, columns.shape[1]))
    np.add.at(per_cluster, cluster, columns)
    times = _times_drawn(count, min(draws, max(_FEWEST, _MOST // count)))
    # Single precision: the product reads the whole table, and an interval needs three digits.
    sums: FloatArray = (times @ per_cluster.astype(np.float32)).astype(np.float64)
    return sums


@lru_cache(maxsize=2)
def _times_drawn(count: int, draws: int) -> NDArray[np.float32]:
    """How often each of *count* clusters is drawn in each of *draws* resamples, (draws, count)."""
    rng = np.random.default_rng(_SEED)
    out = np.empty((draws, count), dtype=np.float32)
    rows = max(1, _CHUNK // count)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        drawn = rng.integers(0, count, (size, count))
        drawn += np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count)
        out[start : start + size] = times.reshape(size, count)
    out.setflags(write=False)
    return out


def interval(value: float | None, samples: FloatArray, *, count: int) -> nouns.Interval:
    """
    A value with the middle 95 % of its resamples; no interval from fewer than two clusters.
    """
    known = samples[np.isfinite(samples)]
    if value is None or not math.isfinite(value):
        return nouns.Interval()
    if count < 2 or known.size == 0:
        return nouns.Interval(value=value)
    low, high = np.percentile(known, (2.5, 97.5))
    return nouns.Interval(value=value, low=float(low), high=float(high))


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, NaN where bottom is 0."""
    good = bottom != 0.0
    return np.where(good, top / np.where(good, bottom, 1.0), np.nan)


BINS = 10
"""Bins of equal width over [0, 1]; the last one includes 1."""


def of_trades(outcomes: Sequence[CampaignOutcome], *, draws: int = 2000) -> nouns.Calibration:
    """PoS at entry against how campaigns ended, however early they were closed."""
    known = [
        (outcome.pos, outcome.result > 0.0, outcome.cluster)
        for outcome in outcomes
        if outcome.result is not None and outcome.pos is not None
    ]
    return calibration(
        "campaigns, as they were closed",
        [chance for chance, _, _ in known],
        [won for _, won, _ in known],
        [cluster for _, _, cluster in known],
        draws=draws,
    )


def of_proposals(outcomes: Sequence[ProposalOutcome], *, draws: int = 2000) -> nouns.Calibration:
    """PoS of every saved proposal, traded or not, against its result when held to expiry."""
    return calibration(
        "saved proposals, held to expiry",
        [outcome.pos for outcome in outcomes],
        [outcome.result > 0.0 for outcome in outcomes],
        [(outcome.symbol, outcome.expiry) for outcome in outcomes],
        draws=draws,
    )


def calibration(
    what: str,
    forecast: Sequence[float],
    hit: Sequence[bool],
    keys: Sequence[Hashable],
    *,
    draws: int = 2000,
) -> nouns.Calibration:
    """
    Probabilities against what happened.

    Args:
        forecast: Probabilities, each in [0, 1].
        hit: Whether it came true.
        keys: Cluster of each, from which intervals are drawn.

    Source: Brier (1950), "Verification of Forecasts Expressed in Terms of Probability".
    """
    p = np.array(forecast, dtype=np.float64)
    y = np.array(hit, dtype=np.float64)
    n = len(p)
    if n == 0:
        return nouns.Calibration(
            what=what, n=0, clusters=0, brier=nouns.Interval(), bias=nouns.Interval()
        )
    cluster = clusters(keys)
    count = int(cluster.max()) + 1
    slot = np.minimum((p * BINS + 1e-9).astype(np.int64), BINS - 1)
    members = (slot[:, None] == np.arange(BINS)).astype(np.float64)
    miss = (p - y) ** 2
    columns = np.column_stack((np.ones(n), miss, p - y, members, members * y[:, None]))
    sums = resampled_sums(cluster, columns, draws)
    base = float(y.mean())
    brier = float(miss.mean())
    bins = []
    for index in np.flatnonzero(members.sum(axis=0)):
        in_bin = slot == index
        samples = ratio(sums[:, 3 + BINS + index], sums[:, 3 + index])
        inside = len(set(cluster[in_bin].tolist()))
        bins.append(
            nouns.CalibrationBin(
                low=index / BINS,
                high=(index + 1) / BINS,
                n=int(in_bin.sum()),
                forecast=float(p[in_bin].mean()),
                hit=interval(float(y[in_bin].mean()), samples, count=inside),
            )
        )
    spread = base * (1.0 - base)
    return nouns.Calibration(
        what=what,
        n=n,
        clusters=count,
        bins=tuple(bins),
        brier=interval(brier, ratio(sums[:, 1], sums[:, 0]), count=count),
        base_rate=base,
        skill=1.0 - brier / spread if spread > 0.0 else None,
        bias=interval(float((p - y).mean()), ratio(sums[:, 2], sums[:, 0]), count=count),
    )


def score_test(outcomes: Sequence[ProposalOutcome], *, draws: int = 2000) -> nouns.ScoreTest:
    """Results of saved proposals by grade, and the rank correlation of score and return."""
    usable = [
        outcome for outcome in outcomes if outcome.margin > 0.0 and math.isfinite(outcome.margin)
    ]
    if not usable:
        return nouns.ScoreTest(n=0, clusters=0, correlation=nouns.Interval())
    cluster = clusters([(outcome.symbol, outcome.expiry) for outcome in usable])
    count = int(cluster.max()) + 1
    x = ranks(np.array([outcome.score for outcome in usable]))
    y = ranks(np.array([outcome.result / outcome.margin for outcome in usable]))
    columns = np.column_stack((np.ones(len(x)), x, y, x * x, y * y, x * y))
    correlation = _correlation(columns.sum(axis=0)[None, :])
    samples = _correlation(resampled_sums(cluster, columns, draws))
    return nouns.ScoreTest(
        n=len(usable),
        clusters=count,
        bands=tuple(
            _band(grade, [outcome for outcome in usable if outcome.grade == grade], draws)
            for grade in sorted({outcome.grade for outcome in usable})
        ),
        correlation=interval(float(correlation[0]), samples, count=count),
    )


def _band(grade: str, outcomes: Sequence[ProposalOutcome], draws: int) -> nouns.ScoreBand:
    cluster = clusters([(outcome.symbol, outcome.expiry) for outcome in outcomes])
    count = int(cluster.max()) + 1
    result = np.array([outcome.result for outcome in outcomes])
    won = (result > 0.0).astype(np.float64)
    sums = resampled_sums(cluster, np.column_stack((np.ones(len(outcomes)), won, result)), draws)
    return nouns.ScoreBand(
        grade=grade,
        n=len(outcomes),
        hit=interval(float(won.mean()), ratio(sums[:, 1], sums[:, 0]), count=count),
        forecast=_mean([outcome.pos for outcome in outcomes]),
        ev=_mean([outcome.ev for outcome in outcomes]),
        result=interval(float(result.mean()), ratio(sums[:, 2], sums[:, 0]), count=count),
        rom=_mean([outcome.result / outcome.margin for outcome in outcomes]),
    )


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, those of equal values averaged."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return np.asarray((last - 0.5 * (size - 1))[group], dtype=np.float64)


def _correlation(sums: FloatArray) -> FloatArray:
    """Pearson's correlation from sums of 1, x, y, xx, yy, xy per row; NaN without spread."""
    n, x, y, xx, yy, xy = sums.T
    spread = np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0)
    return ratio(n * xy - x * y, np.sqrt(np.where(spread > 1e-9, spread, 0.0)))


By: TypeAlias = Literal["strategy", "symbol", "month", "grade"]

_KEYS: dict[str, Callable[[CampaignOutcome], str]] = {
    "strategy": lambda outcome: outcome.strategy or "unnamed",
    "symbol": lambda outcome: outcome.symbol,
    "month": lambda outcome: f"{outcome.closed:%Y-%m}" if outcome.closed else "",
    "grade": lambda outcome: outcome.grade or "none",
}


def statistics(
    outcomes: Sequence[CampaignOutcome], *, label: str = "", draws: int = 2000
) -> nouns.Statistics:
    """
    Statistics of the closed campaigns among *outcomes*; open ones only deepen the drawdown.

    Results are to the cent; a result of 0 is not a win.
    """
    done = _done(outcomes)
    (expectancy,) = _expectancies([done], done, draws)
    return _statistics(outcomes, done, label, expectancy)


def by_group(
    outcomes: Sequence[CampaignOutcome], by: By, *, draws: int = 2000
) -> tuple[nouns.Statistics, ...]:
    """
    Statistics per strategy, symbol, month of closing or grade, in order of name.

    Clusters are drawn from all campaigns, because those of different groups share outcomes too.
    """
    key, done = _KEYS[by], _done(outcomes)
    groups: dict[str, list[CampaignOutcome]] = {}
    for outcome in done:
        groups.setdefault(key(outcome), []).append(outcome)
    named = sorted(groups.items())
    intervals = _expectancies([members for _, members in named], done, draws)
    return tuple(
        _statistics(members, members, name, expectancy)
        for (name, members), expectancy in zip(named, intervals, strict=True)
    )


def _statistics(
    outcomes: Sequence[CampaignOutcome],
    done: Sequence[CampaignOutcome],
    label: str,
    expectancy: nouns.Interval,
) -> nouns.Statistics:
    results = _results(done)
    wins = [value for value in results if value > 0.0]
    losses = [value for value in results if value < 0.0]
    gained, lost = math.fsum(wins), -math.fsum(losses)
    days = [outcome.days for outcome in done if outcome.days is not None]
    on_margin = [
        value / outcome.margin
        for outcome, value in zip(done, results, strict=True)
        if outcome.margin
    ]
    slips = [outcome.slippage for outcome in done if outcome.slippage is not None]
    return nouns.Statistics(
        label=label,
        n=len(done),
        wins=len(wins),
        win_rate=wilson(len(wins), len(done)),
        average_win=_mean(wins),
        average_loss=_mean(losses),
        expectancy=expectancy,
        total=round(math.fsum(results), 2),
        profit_factor=gained / lost if lost else (math.inf if gained else None),
        max_drawdown=max_drawdown(outcomes),
        average_days=_mean(days),
        rom=_mean(on_margin),
        rom_n=len(on_margin),
        slippage=_mean(slips),
        slippage_n=len(slips),
    )


def _done(outcomes: Iterable[CampaignOutcome]) -> list[CampaignOutcome]:
    return [
        outcome for outcome in outcomes if outcome.closed is not None and outcome.result is not None
    ]


def _results(done: Iterable[CampaignOutcome]) -> list[float]:
    """Results of campaigns that have one, as all of `_done` do."""
    return [outcome.result for outcome in done if outcome.result is not None]


def _expectancies(
    groups: Sequence[Sequence[CampaignOutcome]], done: Sequence[CampaignOutcome], draws: int
) -> list[nouns.Interval]:
    """Mean result of each group, with intervals from the clusters of all campaigns."""
    group = {id(outcome): place for place, members in enumerate(groups) for outcome in members}
    rows = np.arange(len(done))
    places = [group[id(outcome)] for outcome in done]
    counted = np.zeros((len(done), len(groups)))
    counted[rows, places] = 1.0
    results = np.zeros_like(counted)
    results[rows, places] = _results(done)
    cluster = clusters([outcome.cluster for outcome in done])
    sums = resampled_sums(cluster, np.hstack((results, counted)), draws)
    intervals = []
    for place, own in enumerate(groups):
        rows_of_group = [at for at, other in enumerate(places) if other == place]
        mean = _mean(_results(own))
        samples = ratio(sums[:, place], sums[:, len(groups) + place])
        intervals.append(interval(mean, samples, count=len(set(cluster[rows_of_group].tolist()))))
    return intervals


def max_drawdown(outcomes: Iterable[CampaignOutcome]) -> float:
    """
    Deepest fall of the running total from its highest point, <= 0, day by day.

    Closed campaigns count their result on the day they closed; marks taken before that, and those
    of open ones, count on theirs, so that a loss that was sat out is not hidden.
    """
    changes: dict[dt.date, float] = {}
    for outcome in outcomes:
        points = list(outcome.curve)
        if outcome.closed is not None and outcome.result is not None:
            points = [point for point in points if point[0] < outcome.closed]
            points.append((outcome.closed, outcome.result))
        before = 0.0
        for day, value in points:
            changes[day] = changes.get(day, 0.0) + value - before
            before = value
    if not changes:
        return 0.0
    total = np.cumsum([changes[day] for day in sorted(changes)])
    peak = np.maximum(np.maximum.accumulate(total), 0.0)
    # Rounded: sums of cents leave dust, and -0.0 is not a drawdown.
    return round(float(np.min(total - peak)), 2) + 0.0


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


# -- saved proposals ---------------------------------------------------------------------------


class Settleable(Protocol):
    """Legs that are held to their first expiry: a saved proposal, or an alternative of one."""

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Options and shares."""

    @property
    def expiry(self) -> dt.date | None:
        """The first one."""

    @property
    def net_credit(self) -> float:
        """Received in all, the shares counted at *spot*; currency."""

    @property
    def multiplier(self) -> int:
        """Shares per contract."""

    @property
    def spot(self) -> float:
        """At the beginning, as the next four."""

    @property
    def forward(self) -> float:
        """To the first expiry."""

    @property
    def tau(self) -> float:
        """Years."""

    @property
    def rate(self) -> float:
        """Fraction per year."""

    @property
    def market_volatility(self) -> float:
        """Of legs without one of their own."""


def settle_proposal(
    proposal: Settleable, spot: float, *, vol_ratio: float = 1.0, is_american: bool = True
) -> dict[str, Any]:
    """
    Result of a saved proposal at its first expiry: filled as it was scored, and held until then.

    Later legs are revalued at their own volatility times *vol_ratio* (how the underlying's 30-day
    volatility changed meanwhile), on the spot carried as their own forward stood to that of the
    first expiry; that is a model, and the outcome says so.

    Args:
        spot: Price of the underlying at the first expiry, currency per share.

    Returns:
        JSON-ready: ``result`` in currency per structure and today's money, ``won``, ``spot``,
        ``modelled``.
    """
    # Pricing later legs takes long to import, and is needed only where something expired.
    from tomic.quant import later_expiries

    options = [leg for leg in proposal.legs if leg.sec_type == "OPT"]
    shares = sum(leg.quantity for leg in proposal.legs if leg.sec_type == "STK")
    later, slots = [], []
    for leg in options:
        days = (leg.expiry - proposal.expiry).days if leg.expiry and proposal.expiry else 0
        if days > 0:
            # An expiry of its own for each: legs have volatilities and forwards of their own.
            sigma = (leg.iv or proposal.market_volatility) * vol_ratio
            years, rate = days / 365.0, proposal.rate
            div_yield = rate - _carry_behind(proposal, leg, years)
            later.append(later_expiries.flat(years, rate, div_yield, sigma, american=is_american))
        slots.append(len(later) if days > 0 else 0)
    worth = later_expiries.value_at_first_expiry(
        np.array([spot]),
        np.array([leg.strike for leg in options if leg.strike is not None]),
        np.array([leg.right == "C" for leg in options]),
        np.array([float(leg.quantity) for leg in options]),
        np.array(slots),
        later,
        stock=shares / proposal.multiplier,
    )
    discount = math.exp(-proposal.rate * proposal.tau)
    # A share costs what its forward is worth today: financing paid, dividends received.
    paid = shares * discount * proposal.forward
    result = proposal.net_credit + discount * float(worth[0]) * proposal.multiplier - paid
    return {
        "result": round(result, CENTS),
        "won": result > 0.0,
        "spot": spot,
        "modelled": bool(later),
    }


def _carry_behind(proposal: Settleable, leg: Leg, years: float) -> float:
    """
    What carries a price of the first expiry to a later one, fraction per year.

    As the forwards of both were; that up to the first expiry where the leg's own is not kept.
    """
    if leg.forward is not None:
        return math.log(leg.forward / proposal.forward) / years
    return math.log(proposal.forward / proposal.spot) / proposal.tau if proposal.tau else 0.0
