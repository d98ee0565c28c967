"""
Thirty-delta spreads on real chains of SPX, 2018 and 2019: PoS beside what came.

Bought and sold at the quotes, held to the expiry. Where it ended the files say themselves if the
expiry is one of their days; else SPY's return does, up to its next dividend.
"""

from __future__ import annotations

import csv
import datetime as dt
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import BoolArray, FloatArray
from tomic.quant import density, payoff, probability, smile

# The reader of the recorded chains lives with the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import recorded_chains
from support.recorded_chains import Expiry, Recorded

FILES = (recorded_chains.SPX_2018, recorded_chains.SPX_2019)
SPY = "lean_SPY_daily_ohlcv_1998_2021.zip"
DIVIDENDS = tuple(
    map(dt.date.fromisoformat, ("2018-03-16", "2019-03-15", "2019-06-21", "2019-09-20"))
)
"""Ex-dividend days of SPY: over one its price is no measure of the index."""
SHORT, LONG = 0.30, 0.15
DAYS = (5, 45)
COMMISSION = 0.65
MULTIPLIER = 100.0


class Spread(NamedTuple):
    """One spread opened at its quotes."""

    side: str
    year: int
    day: dt.date
    expiry: dt.date
    pos: float
    pnl: float
    """Currency, costs included."""
    margin: float
    """Width less the credit, currency."""
    ev: float


def figures(folder: Path) -> list[dict[str, Any]] | None:
    """Said and won by side and year; None where the chains are absent."""
    if not all((folder / name).exists() for name in (*FILES, SPY)):
        return None
    found = list(spreads(folder))
    rows = []
    for year in sorted({one.year for one in found}):
        for side in ("put", "call"):
            group = [one for one in found if (one.year, one.side) == (year, side)]
            if group:
                rows.append(_row(year, side, group))
    return rows


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, with what they are worth."""
    lines = [
        f"| {row['year']} {row['side']} | {row['n']} | {row['days']} | {row['expiries']} "
        f"| {row['said']:.3f} | {row['won']:.3f} | {row['EV']:+.1f} | {row['came']:+.1f} |"
        for row in rows
    ]
    head = (
        "| spread | n | days | expiries | said | won | EV, % of margin | came |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    return "\n".join(("### 30/15-delta spreads on SPX, real quotes", "", head, *lines))


def spreads(folder: Path) -> Iterator[Spread]:
    """Every spread that can be opened and whose outcome is known."""
    chains = [
        (dt.date.fromisoformat(name.split()[1]), chain)
        for name, chain in recorded_chains.spx(0, DAYS[1])
    ]
    spots = {day: chain.spot for day, chain in chains}
    closes = _closes(folder)
    for day, chain in chains:
        for expiry in chain.expiries:
            last = dt.datetime.strptime(expiry.name, "%Y%m%d").date()
            final = spots.get(last) or _by_spy(day, chain.spot, last, closes)
            if expiry.dte >= DAYS[0] and final is not None:
                yield from _opened(day, chain, expiry, last, final)


def _closes(folder: Path) -> dict[dt.date, float]:
    """Closes of SPY, currency per share."""
    closes = {}
    with zipfile.ZipFile(folder / SPY) as archive, archive.open("spy.csv") as raw:
        for row in csv.reader(TextIOWrapper(raw, "ascii")):
            day = dt.datetime.strptime(row[0][:8], "%Y%m%d").date()
            closes[day] = float(row[4]) / 1e4
    return closes


def _by_spy(
    day: dt.date, spot: float, last: dt.date, closes: Mapping[dt.date, float]
) -> float | None:
    """Where SPX ended, by SPY's return; None over a dividend or without closes."""
    if any(day < ex <= last for ex in DIVIDENDS) or not {day, last} <= closes.keys():
        return None
    return spot * closes[last] / closes[day]


def _opened(
    day: dt.date, chain: Recorded, expiry: Expiry, last: dt.date, final: float
) -> Iterator[Spread]:
    """The spread of each side, where both of its legs are quoted."""
    quotes = recorded_chains.european_quotes(chain, expiry)
    try:
        curve = smile.fit(
            quotes.strike, quotes.iv, forward=quotes.forward, tau=quotes.tau,
            weight=quotes.weight, discount=quotes.discount,
        )  # fmt: skip
        law = density.from_smile(curve)
    except ValueError:
        return
    total = curve.iv(expiry.strike) * np.sqrt(curve.tau)
    delta = ndtr(-np.log(expiry.strike / curve.forward) / total + 0.5 * total)
    for side, of_side, bid, ask in (
        ("put", 1.0 - delta, expiry.put_bid, expiry.put_ask),
        ("call", delta, expiry.call_bid, expiry.call_ask),
    ):
        legs = _nearest(of_side, (bid > 0.0) & (ask >= bid))
        if legs is None:
            continue
        sold, bought = legs
        credit = MULTIPLIER * (bid[sold] - ask[bought]) - 2.0 * COMMISSION
        strike = expiry.strike[[sold, bought]]
        shape = payoff.segments(
            strike, [side == "call"] * 2, [-1.0, 1.0], credit=credit, discount=curve.discount,
            multiplier=MULTIPLIER,
        )  # fmt: skip
        came = payoff.interpolate(shape, [final])
        width = MULTIPLIER * abs(float(strike[0] - strike[1]))
        figures = (probability.pos(law, shape), came[0], width - credit, probability.ev(law, shape))
        yield Spread(side, day.year, day, last, *map(float, figures))


def _nearest(delta: FloatArray, quoted: BoolArray) -> tuple[int, int] | None:
    """The quoted strikes nearest to the short and the long delta; None if they are one."""
    places = np.flatnonzero(quoted)
    if not places.size:
        return None
    sold, bought = (int(places[np.argmin(np.abs(delta[places] - goal))]) for goal in (SHORT, LONG))
    return None if sold == bought else (sold, bought)


def _row(year: int, side: str, group: Sequence[Spread]) -> dict[str, Any]:
    margin = np.array([one.margin for one in group])
    pnl = np.array([one.pnl for one in group])
    return {
        "year": year,
        "side": side,
        "n": len(group),
        "days": len({one.day for one in group}),
        "expiries": len({one.expiry for one in group}),
        "said": float(np.mean([one.pos for one in group])),
        "won": float((pnl > 0.0).mean()),
        "EV": float(100.0 * np.mean(np.array([one.ev for one in group]) / margin)),
        "came": float(100.0 * np.mean(pnl / margin)),
    }
