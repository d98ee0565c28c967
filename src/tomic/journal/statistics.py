"""How campaigns did: win rate, expectancy, profit factor, drawdown, days, return on margin."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from tomic.journal.outcomes import CampaignOutcome
from tomic.journal.resampling import clusters, interval, ratio, resampled_sums, wilson
from tomic.models.journal import Interval, Statistics

By: TypeAlias = Literal["strategy", "symbol", "month", "grade"]

_KEYS: dict[str, Callable[[CampaignOutcome], str]] = {
    "strategy": lambda one: one.strategy or "unnamed",
    "symbol": lambda one: one.symbol,
    "month": lambda one: f"{one.closed:%Y-%m}" if one.closed else "",
    "grade": lambda one: one.grade or "none",
}


def statistics(
    outcomes: Sequence[CampaignOutcome], *, label: str = "", draws: int = 2000
) -> Statistics:
    """
    Statistics of the closed campaigns among *outcomes*; open ones only deepen the drawdown.

    Results are to the cent; a result of 0 is no win.
    """
    done = _done(outcomes)
    (expectancy,) = _expectancies([done], done, draws)
    return _statistics(outcomes, done, label, expectancy)


def by_group(
    outcomes: Sequence[CampaignOutcome], by: By, *, draws: int = 2000
) -> tuple[Statistics, ...]:
    """
    Statistics per strategy, symbol, month of closing or grade, in order of name.

    Clusters are drawn from all campaigns, because those of different groups share outcomes too.
    """
    key, done = _KEYS[by], _done(outcomes)
    groups: dict[str, list[CampaignOutcome]] = {}
    for one in done:
        groups.setdefault(key(one), []).append(one)
    named = sorted(groups.items())
    intervals = _expectancies([found for _, found in named], done, draws)
    return tuple(
        _statistics(found, found, name, expectancy)
        for (name, found), expectancy in zip(named, intervals, strict=True)
    )


def _statistics(
    outcomes: Sequence[CampaignOutcome],
    done: Sequence[CampaignOutcome],
    label: str,
    expectancy: Interval,
) -> Statistics:
    results = _results(done)
    wins = [value for value in results if value > 0.0]
    losses = [value for value in results if value < 0.0]
    gained, lost = math.fsum(wins), -math.fsum(losses)
    days = [one.days for one in done if one.days is not None]
    on_margin = [value / one.margin for one, value in zip(done, results, strict=True) if one.margin]
    slips = [one.slippage for one in done if one.slippage is not None]
    return Statistics(
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
    return [one for one in outcomes if one.closed is not None and one.result is not None]


def _results(done: Iterable[CampaignOutcome]) -> list[float]:
    """Results of campaigns that have one, as all of `_done` do."""
    return [one.result for one in done if one.result is not None]


def _expectancies(
    groups: Sequence[Sequence[CampaignOutcome]], every: Sequence[CampaignOutcome], draws: int
) -> list[Interval]:
    """Mean result of each group, with intervals from the clusters of all campaigns."""
    group = {id(one): place for place, found in enumerate(groups) for one in found}
    rows = np.arange(len(every))
    places = [group[id(one)] for one in every]
    counted = np.zeros((len(every), len(groups)))
    counted[rows, places] = 1.0
    results = np.zeros_like(counted)
    results[rows, places] = _results(every)
    cluster = clusters([one.cluster for one in every])
    sums = resampled_sums(cluster, np.hstack((results, counted)), draws)
    found = []
    for place, own in enumerate(groups):
        here = [at for at, other in enumerate(places) if other == place]
        mean = _mean(_results(own))
        samples = ratio(sums[:, place], sums[:, len(groups) + place])
        found.append(interval(mean, samples, count=len(set(cluster[here].tolist()))))
    return found


def max_drawdown(outcomes: Iterable[CampaignOutcome]) -> float:
    """
    Deepest fall of the running total from its highest point, <= 0, day by day.

    Closed campaigns count their result on the day they closed; marks taken before that, and those
    of open ones, count on theirs, so that a loss sat out is not hidden.
    """
    changes: dict[dt.date, float] = {}
    for one in outcomes:
        points = list(one.curve)
        if one.closed is not None and one.result is not None:
            points = [point for point in points if point[0] < one.closed]
            points.append((one.closed, one.result))
        before = 0.0
        for day, value in points:
            changes[day] = changes.get(day, 0.0) + value - before
            before = value
    if not changes:
        return 0.0
    total = np.cumsum([changes[day] for day in sorted(changes)])
    peak = np.maximum(np.maximum.accumulate(total), 0.0)
    # Rounded: sums of cents leave dust, and -0.0 is no drawdown.
    return round(float(np.min(total - peak)), 2) + 0.0


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
