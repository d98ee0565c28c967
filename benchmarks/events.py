"""
How well events are found in recorded term structures, and where they are put: prints Markdown.

``python -m benchmarks.events``: 20 symbols 2018-2025, weekly, three monthly expiries a day, with
the days of the reports (shared data); SPX of 2019 and GOOG of 2015 with all their expiries.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from tomic.quant import events, surface
from tomic.strategies.pricing.term import THRESHOLD_TO_BE_EXPECTED

# The readers of recorded data live with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import recorded_chains, recorded_terms
from support.recorded_terms import Day

GROUPS = {
    "no report (funds)": lambda day: day.symbol in recorded_terms.FUNDS,
    "before the first expiry": lambda day: day.places == (0,),
    "between first and second": lambda day: day.places == (1,),
    "between second and third": lambda day: day.places == (2,),
}


def group(day: Day) -> str | None:
    """Where the reports of a day lie; None where they are of no one kind."""
    return next((name for name, holds in GROUPS.items() if holds(day)), None)


def found_where(day: Day, threshold: float) -> int:
    """Place of the expiry that holds a recognised event; -1 without one."""
    jumps = events.recognise(day.tau, day.iv, threshold=threshold)
    return int(np.searchsorted(day.tau, jumps[0].by)) if jumps else -1


def recognition(days: Sequence[Day], threshold: float) -> Iterator[str]:
    """Shares of days with an event found, by where the report lay."""
    places = defaultdict(list)
    for day in days:
        if (name := group(day)) is not None:
            places[name].append(found_where(day, threshold))
    yield f"| threshold {threshold:g}: report | days | found before first | first to second |"
    yield "| --- | --- | --- | --- |"
    for name in GROUPS:
        where = np.array(places[name])
        shares = " | ".join(f"{(where == place).mean():.1%}" for place in (0, 1))
        yield f"| {name} | {where.size} | {shares} |"


def held_out(day: Day, *, dated: bool) -> float:
    """Log of the second expiry's volatility interpolated between its neighbours over its own."""
    tau, iv = day.tau[[0, 2]], day.iv[[0, 2]]
    jumps = events.dated(tau, iv, day.reports) if dated else ()
    return math.log(surface.constant_maturity_iv(tau, iv, day.tau[1], jumps=jumps) / day.iv[1])


def interpolation(days: Sequence[Day]) -> Iterator[str]:
    """Error at a maturity that is held out, with straight lines and with the jump on its day."""
    yield "| second expiry held out: report | days | straight: mean, RMS | jump on its day |"
    yield "| --- | --- | --- | --- |"
    for name in list(GROUPS)[1:]:
        chosen = [day for day in days if group(day) == name]
        cells = []
        for dated in (False, True):
            error = np.array([held_out(day, dated=dated) for day in chosen])
            cells.append(f"{error.mean():+.1%}, {math.sqrt((error**2).mean()):.1%}")
        yield f"| {name} | {len(chosen)} | {' | '.join(cells)} |"


def realised(days: Sequence[Day]) -> Callable[[Day], float]:
    """Volatility that came in the 30 calendar days after each day; NaN where closes lack."""
    closes: dict[str, dict[dt.date, float]] = defaultdict(dict)
    for day in days:
        closes[day.symbol][day.day] = day.close

    def of(day: Day) -> float:
        until = day.day + dt.timedelta(days=30)
        path = [price for date, price in closes[day.symbol].items() if day.day <= date <= until]
        if len(path) < 18:
            return math.nan
        moves = np.diff(np.log(path))
        # A split that was not repaired.
        return math.nan if np.abs(moves).max() > 0.5 else math.sqrt((moves**2).sum() * 365 / 30)

    return of


def against_realised(every_day: Sequence[Day], days: Sequence[Day]) -> Iterator[str]:
    """IV30 by both interpolations beside what came."""
    target, came_after = surface.THIRTY_DAYS, realised(every_day)
    kinds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for day in days:
        came = came_after(day)
        if day.symbol in recorded_terms.FUNDS or day.tau[0] > target or not came > 0.0:
            continue
        first = min(day.reports, default=math.inf)
        name = "other"
        if first <= day.tau[0]:
            name = "before the first expiry"
        elif first <= target:
            name = "after it, within 30 days"
        elif first <= day.tau[1]:
            name = "after 30 days, before the second"
        jumps = events.dated(day.tau, day.iv, day.reports)
        plain = surface.constant_maturity_iv(day.tau, day.iv)
        put = surface.constant_maturity_iv(day.tau, day.iv, jumps=jumps)
        kinds[name].append((math.log(came / plain), math.log(came / put)))
    yield "| realised over IV30: report | days | straight: mean log, RMS ratio | jump on its day |"
    yield "| --- | --- | --- | --- |"
    for name, ratios in sorted(kinds.items()):
        table = np.array(ratios)
        rms = np.sqrt(np.exp(2.0 * table).mean(axis=0))
        cells = " | ".join(f"{table[:, i].mean():+.3f}, {rms[i]:.3f}" for i in (0, 1))
        yield f"| {name} | {len(ratios)} | {cells} |"


def at_the_money(expiry: recorded_chains.Expiry, spot: float) -> float:
    """Volatility of the straddle at the forward; NaN where quotes do not enclose it."""
    gap, straddle = expiry.call_mid - expiry.put_mid, expiry.call_mid + expiry.put_mid
    near = np.isfinite(gap) & (np.abs(expiry.strike / spot - 1.0) < 0.1)
    strike, gap, straddle = expiry.strike[near], gap[near], straddle[near]
    order = np.argsort(gap)
    forward = np.interp(0.0, gap[order], strike[order], left=np.nan, right=np.nan)
    value = np.interp(forward, strike, straddle)
    return float(2.0 * ndtri(0.25 * value / forward + 0.5) / math.sqrt(expiry.tau))


def chains() -> Iterator[str]:
    """What is recognised in chains with all their expiries."""
    wide = dict(recorded_chains.spx(least=2, most=270))
    named = {"GOOG 2015-12-24": recorded_chains.goog(), **wide}
    for name, chain in named.items():
        expiries = [expiry for expiry in chain.expiries if expiry.dte > 1]
        if len(expiries) < events.LEAST_EXPIRIES:
            continue
        tau = [expiry.tau for expiry in expiries]
        iv = [at_the_money(expiry, chain.spot) for expiry in expiries]
        found = events.recognise(tau, iv, threshold=THRESHOLD_TO_BE_EXPECTED)
        texts = [
            f"days {jump.after * 365:.0f} to {jump.by * 365:.0f}: ±{jump.move:.1%} "
            f"({jump.score:.0f})"
            for jump in found
        ]
        yield f"- {name}, {len(expiries)} expiries: {'; '.join(texts) or 'none'}"


def main() -> None:
    """Print every table; where the data are absent, why."""
    for name in (recorded_terms.SURFACE, recorded_terms.EARNINGS):
        if why := recorded_chains.missing(name):
            print(why, file=sys.stderr)
            sys.exit(1)
    every_day = list(recorded_terms.days())
    days = [day for day in every_day if day.day.weekday() == 2]
    parts = (
        recognition(days, events.THRESHOLD),
        recognition(days, THRESHOLD_TO_BE_EXPECTED),
        interpolation(days),
        against_realised(every_day, days),
        chains(),
    )
    for part in parts:
        print("\n".join(part), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
