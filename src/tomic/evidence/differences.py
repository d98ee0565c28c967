"""
Whether two configurations differ over the same days, and what several looks at them are worth.

Differences are of means by day of entry, paired, with intervals over blocks of two months: what all
trades of a day share cancels out. Of a sweep the largest of several differences is expected to look
large; the correction resamples all of them together (White's reality check in its step-down form)
and asks how often the largest of as many would by chance.

Source: Romano and Wolf (2005), "Stepwise Multiple Testing as Formalized Data Snooping".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from tomic._typing import FloatArray
from tomic.evidence import results, statistics
from tomic.evidence.pool import Pool
from tomic.models.backtest import (
    BacktestDifference,
    BacktestResult,
    Comparison,
    Estimate,
    Sweep,
    SweepRow,
)
from tomic.quant import payoff

CORRECTION = (
    "step-down max-t over {looks}: p is how often the largest of all differences, resampled "
    "together in blocks of two months, would be as large by chance (Romano and Wolf)"
)


def comparison(
    base: tuple[Pool, BacktestResult], other: tuple[Pool, BacktestResult], name: str,
    changed: dict[str, tuple[str, str]],
) -> Comparison:  # fmt: skip
    """Two configurations over the same days."""
    first, second = (_chosen(pool, made.run)[0].day for pool, made in (base, other))
    days = np.intersect1d(first, second)
    rows = []
    for label in ("per margin", "per CVaR", "share won", "P&L a trade"):
        ours, theirs = (_daily(pool, made.run, label, days) for pool, made in (base, other))
        known = ~np.isnan(ours + theirs)
        rows.append(
            BacktestDifference(
                name=label,
                base=_mean(ours[known]),
                other=_mean(theirs[known]),
                difference=results.paired(days, theirs, ours),
            )
        )
    return Comparison(
        base=base[1],
        other=other[1],
        other_name=name,
        changed=changed,
        days=int(days.size),
        differences=tuple(rows),
        verdict=_compared(rows[1].difference, name),
    )


def sweep(
    key: str, values: Sequence[str], runs: Sequence[tuple[Pool, BacktestResult]],
    base: tuple[Pool, BacktestResult], *, base_value: str, variants: int,
) -> Sweep:  # fmt: skip
    """One key at *values*, each run held against *base* and corrected for their number."""
    others = [(value, run) for value, run in zip(values, runs, strict=True) if value != base_value]
    days = np.unique(_chosen(*_named(base))[0].day)
    own = _daily(base[0], base[1].run, "per CVaR", days)
    columns = [_daily(pool, made.run, "per CVaR", days) - own for _, (pool, made) in others]
    raw, adjusted = adjusted_p(statistics.months(days), columns)
    rows = [_row(base_value, base[1], is_base=True)]
    for place, (value, (_, made)) in enumerate(others):
        rows.append(
            _row(value, made).model_copy(
                update={
                    "difference": results.estimate(statistics.months(days), columns[place]),
                    "p_value": raw[place],
                    "p_adjusted": adjusted[place],
                }
            )
        )
    looks = f"{len(others)} value{'' if len(others) == 1 else 's'} beside the base"
    return Sweep(
        key=key,
        base=base[1],
        rows=tuple(rows),
        correction=CORRECTION.format(looks=looks),
        variants=variants,
        verdict=_swept(key, rows),
    )


def adjusted_p(
    month: NDArray[np.int64], columns: Sequence[FloatArray], *, draws: int = statistics.DRAWS,
    seed: int = 0,
) -> tuple[list[float | None], list[float | None]]:  # fmt: skip
    """
    Two-sided p values of mean differences, each alone and corrected for all; None where unknown.

    Args:
        month: (n,) of each day.
        columns: Differences by day (n,), NaN where there is none.
    """
    if not columns or not month.size or np.unique(month).size < results.LEAST_MONTHS:
        return [None] * len(columns), [None] * len(columns)
    place = month - month.min()
    table = np.stack(columns, axis=1)
    known = ~np.isnan(table)
    size = int(place.max()) + 1
    total = np.stack([np.bincount(place, column, size) for column in np.nan_to_num(table).T], -1)
    count = np.stack([np.bincount(place, part, size) for part in known.T.astype(float)], -1)
    there = count.sum(axis=1) > 0
    weight = statistics.resampled(int(there.sum()), draws, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total.sum(axis=0) / count.sum(axis=0)
        drawn = (weight @ total[there]) / (weight @ count[there])
        error = np.nanstd(drawn, axis=0)
        blocks = max(int(there.sum()) // statistics.BLOCK_MONTHS, 2)
        # Of few blocks the error itself is uncertain, and too small by one degree of freedom.
        student = np.abs(mean) / error * np.sqrt(1.0 - 1.0 / blocks)
        score = -ndtri(stdtr(blocks - 1, -student))
        chance = np.abs(drawn - mean) / error
    usable = np.isfinite(score)
    raw: list[float | None] = [None] * len(columns)
    final: list[float | None] = [None] * len(columns)
    left = [int(each) for each in np.argsort(-np.where(usable, score, -1.0)) if usable[each]]
    least = 0.0
    for rank, each in enumerate(left):
        raw[each] = _share(chance[:, each] >= score[each])
        largest = np.nanmax(chance[:, left[rank:]], axis=1)
        least = max(least, _share(largest >= score[each]))
        final[each] = least
    return raw, final


def _share(hits: NDArray[np.bool_]) -> float:
    """Share of draws, the data themselves counted as one of them."""
    return float((hits.sum() + 1) / (hits.size + 1))


def _named(run: tuple[Pool, BacktestResult]) -> tuple[Pool, str]:
    return run[0], run[1].run


def _chosen(pool: Pool, run: str) -> tuple[Pool, FloatArray]:
    pnl = pool.pnl(run)
    rows = np.flatnonzero((pool.rank > 0) & ~np.isnan(pnl))
    return pool.take(rows), pnl[rows]


def _daily(pool: Pool, run: str, label: str, days: NDArray[Any]) -> FloatArray:
    """Mean of a figure of the chosen by day of entry."""
    taken, pnl = _chosen(pool, run)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "per margin": pnl / taken.margin,
            "per CVaR": pnl / taken.cvar,
            "share won": (pnl > payoff.NOTHING).astype(np.float64),
            "P&L a trade": pnl,
        }[label]
    rows = np.flatnonzero(np.isin(taken.day, days))
    return results.by_day(taken.take(rows), values[rows], days)


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def _row(value: str, made: BacktestResult, *, is_base: bool = False) -> SweepRow:
    overall = made.overall
    return SweepRow(
        value=value,
        trades=overall.trades,
        win_rate=overall.win_rate,
        per_margin=overall.per_margin,
        per_cvar=overall.per_cvar,
        is_base=is_base,
    )


def _compared(figure: Estimate, name: str) -> str:
    if figure.value is None:
        return "there is no day on which both opened a trade: nothing to compare"
    told = f"{name} brings {results.signed(figure.value)} of CVaR a trade beside the base"
    if figure.low is None or figure.high is None:
        return f"{told}, over too few months for an interval: this proves nothing"
    span = f"{told}, 90 % interval {results.signed(figure.low)} to {results.signed(figure.high)}"
    if figure.holds_zero:
        return f"{span}: it holds zero, so these days do not tell the two apart"
    return f"{span}: {'more' if figure.value > 0.0 else 'less'} than the base, by one look"


def _swept(key: str, rows: Sequence[SweepRow]) -> str:
    level = 1.0 - statistics.LEVEL
    looked = [row for row in rows if row.p_adjusted is not None]
    if not looked:
        return f"{key}: too few months or values to say whether it matters"
    best = min(looked, key=lambda row: row.p_adjusted or 0.0)
    if (best.p_adjusted or 0.0) > level:
        return (
            f"no value of {key} differs from the base by more than chance over as many looks "
            f"(smallest corrected p {best.p_adjusted:.2f}, of {best.value})"
        )
    way = "more" if (best.difference.value or 0.0) > 0.0 else "less"
    return f"{key} = {best.value} brings {way} than the base (corrected p {best.p_adjusted:.2f})"
