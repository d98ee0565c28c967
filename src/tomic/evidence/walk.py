"""
A walk forward: every week the same structures are opened on what was known that day, and held.

What is decided on a day reads the rows up to that day; only outcomes read later ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.evidence import trades
from tomic.evidence.history import Dates, SurfaceHistory
from tomic.evidence.managed import Exits, Surfaces, managed
from tomic.evidence.slices import PSI_ETF, PSI_STOCK, Slices, rho_of_skew, slices
from tomic.evidence.structures import STRUCTURES, StandardStructure, legs
from tomic.evidence.trades import Costs, OpenedTrades
from tomic.quant.margin import MarginRules

RATES: Mapping[int, float] = {
    2018: 0.019, 2019: 0.021, 2020: 0.004, 2021: 0.0005, 2022: 0.020, 2023: 0.051, 2024: 0.050,
    2025: 0.042,
}  # fmt: skip
"""Three-month Treasury bills, mean of the year (FRED, TB3MS); others take the nearest year."""
UNKNOWN = (
    "", "still open at the end of the data", "no close at the expiry",
    "the series breaks before the expiry",
)  # fmt: skip
"""Why nobody knows how holding to the expiry would have ended."""
NO_TERM = "no term structure, which trades of two expiries need"
_LATEST_GAP = 4
"""Days before the expiry whose close still tells where it ended: a long weekend."""


@dataclass(frozen=True, slots=True)
class WalkSettings:
    """How the walk is done; the defaults are those of the findings."""

    days: int = 30
    """Calendar days from entry to expiry."""
    costs: Costs = field(default_factory=Costs)
    exits: Exits = field(default_factory=Exits)
    margin: MarginRules = field(default_factory=MarginRules)
    structures: tuple[StandardStructure, ...] = STRUCTURES
    rates: Mapping[int, float] = field(default_factory=lambda: RATES)
    """Fraction a year, by calendar year."""
    div_yield: float = 0.01
    first: np.datetime64 | None = None
    last: np.datetime64 | None = None
    """Days between which trades are opened; None is as far as the data go."""
    hv_window: int = 30
    warm_up: int = 252
    """Closes a symbol must have had before its first trade."""
    points: int = 2001
    """Of each density: 0.01 standard deviations apart."""
    every_day: bool = False
    """Whether trades are opened every day, and not once a week."""
    wings: tuple[float, float] = (PSI_ETF, PSI_STOCK)
    """phi x sqrt(theta) of the slices of funds and of stocks; see `tomic.evidence.slices`."""

    def rate(self, day: Dates) -> FloatArray:
        """Rate of each day, fraction a year."""
        years = day.astype("datetime64[Y]").astype(np.int64) + 1970
        known = np.array(sorted(self.rates))
        place = np.clip(np.searchsorted(known, years), 0, known.size - 1)
        return np.array([self.rates[int(year)] for year in known])[place]


class Positions(NamedTuple):
    """What one symbol's walk opened, n entries of s structures."""

    history: SurfaceHistory
    surfaces: Surfaces
    at: IntArray
    """(n,) rows of entry."""
    smiles: Slices
    trades: OpenedTrades
    hv: FloatArray
    """(n,) fraction a year; NaN where the history is too short."""
    terminal: FloatArray
    """(n,) price at expiry in shares of the day of entry: the only figure from later."""
    realised: FloatArray
    """(n,) root mean square of the daily log-returns until expiry, fraction a year."""
    unknown: IntArray
    """(n,) why the outcome is not known, a place in `UNKNOWN`; 0 where it is."""
    end: IntArray
    """(n,) rows of the expiry."""
    far_days: FloatArray
    """(n,) calendar days from entry to the second expiry; NaN where the surface has none."""
    far: Slices | None
    """Smiles of it on the day of entry; None where no structure asks."""


class Record(NamedTuple):
    """Entries of all symbols, n of s structures."""

    symbol: NDArray[Any]
    is_etf: BoolArray
    day: Dates
    iv30: FloatArray
    hv: FloatArray
    realised: FloatArray
    credit: FloatArray
    margin: FloatArray
    vega: FloatArray
    pos: FloatArray
    ev: FloatArray
    cvar: FloatArray
    pnl: FloatArray
    managed: FloatArray
    """P&L with exits; of structures without them that of holding."""
    front_days: FloatArray
    """Days from entry to the first third Friday, where its volatility was measured."""


def entry_days(histories: Iterable[SurfaceHistory], *, every_day: bool = False) -> Dates:
    """`entries` of the days on which any symbol traded."""
    days = [history.day for history in histories]
    every = np.unique(np.concatenate(days)) if days else np.array([], dtype="datetime64[D]")
    return entries(every, every_day=every_day)


def entries(every: Dates, *, every_day: bool = False) -> Dates:
    """
    The first of *every* day, ascending, from Wednesday on of every week.

    Args:
        every_day: All of them instead.
    """
    if every_day:
        return every
    weekday = (every.astype(np.int64) + 3) % 7
    late = every[(weekday >= 2) & (weekday <= 4)]
    week = (late.astype(np.int64) + 3) // 7
    _, first = np.unique(week, return_index=True)
    return np.asarray(late[first])


def positions(
    history: SurfaceHistory, days: Dates, settings: WalkSettings, missing: Counter[str],
    *, whole: bool = True,
) -> Positions | None:  # fmt: skip
    """
    Open every structure on those of *days* on which the history knows enough; None if on none.

    Why others are left out is counted in *missing*.

    Args:
        whole: Leave out those whose outcome is not known. That is a look ahead: whoever chooses
            among entries keeps them, with NaN for what came.
    """
    at, end, unknown = _entries(history, days, settings, missing)
    if whole:
        missing.update(UNKNOWN[max(code, 2)] for code in unknown[unknown > 0].tolist())
        at, end, unknown = at[unknown == 0], end[unknown == 0], unknown[unknown == 0]
    rate, psi = settings.rate(history.day), settings.wings[0 if history.is_etf else 1]
    rho = rho_of_skew(
        history.close, history.front_days, history.front_iv, history.skew, psi,
        is_delta=history.skew_is_delta, rate=rate, div_yield=settings.div_yield,
    )  # fmt: skip
    horizon = np.full(at.size, float(settings.days))
    iv = history.iv(at, horizon)
    known = ~np.isnan(iv + rho[at])
    missing["no IV or skew on the day"] += int((~known).sum())
    at, end, iv, horizon = at[known], end[known], iv[known], horizon[known]
    unknown = unknown[known]
    if not at.size:
        return None
    surfaces = Surfaces(history, rho, rate, psi, settings.div_yield)
    spot = history.close[at]
    smiles = slices(spot, horizon, iv, rho[at], psi, rate=rate[at], div_yield=settings.div_yield)
    far_days, far = _second(surfaces, at, settings, missing)
    struck = legs(smiles, settings.structures, far)
    opened = trades.opened(smiles, struck, spot, settings.costs, settings.margin, far=far)
    hv = history.historical_volatility(settings.hv_window)[at]
    terminal = history.close[end] * history.factor[end] / history.factor[at]
    realised = _realised(history, at, end)
    told = unknown == 0
    return Positions(
        history, surfaces, at, smiles, opened, hv, np.where(told, terminal, np.nan),
        np.where(told, realised, np.nan), unknown, end, far_days, far,
    )  # fmt: skip


def _second(
    surfaces: Surfaces, at: IntArray, settings: WalkSettings, missing: Counter[str]
) -> tuple[FloatArray, Slices | None]:
    """Days to the second expiry of the surface, and its smiles, where a structure asks for it."""
    history = surfaces.history
    if not any(structure.has_far for structure in settings.structures):
        return np.full(at.size, np.nan), None
    days = np.where(
        (history.next_days[at] > settings.days) & history.has_term, history.next_days[at], np.nan
    )
    iv = history.next_iv[at] + 0.0 * days
    why = "no second expiry beyond the first on the day" if history.has_term else NO_TERM
    missing[why] += int(np.isnan(iv).sum())
    return days, slices(
        history.close[at], days, iv, surfaces.rho[at], surfaces.psi,
        rate=surfaces.rate[at], div_yield=surfaces.div_yield,
    )  # fmt: skip


def record(opened: Positions, settings: WalkSettings) -> Record:
    """What was promised and what came of one symbol's positions."""
    told = trades.promises(opened.smiles, opened.trades, points=settings.points)
    held = trades.brought(opened.smiles, opened.trades, opened.terminal)
    has_exits = np.array([structure.managed for structure in settings.structures])
    closed = managed(
        opened.surfaces, opened.at, settings.days, opened.trades, held, has_exits,
        settings.costs, settings.exits,
    )  # fmt: skip
    history, at = opened.history, opened.at
    return Record(
        symbol=np.full(at.size, history.symbol, dtype=object),
        is_etf=np.full(at.size, history.is_etf),
        day=history.day[at],
        iv30=np.sqrt(opened.smiles.theta / opened.smiles.tau),
        hv=opened.hv,
        realised=opened.realised,
        credit=opened.trades.credit,
        margin=opened.trades.net_margin,
        vega=opened.trades.vega,
        pos=told.pos,
        ev=told.ev,
        cvar=told.cvar,
        pnl=held,
        managed=closed.pnl,
        front_days=history.front_days[at],
    )


def walk(
    histories: Sequence[SurfaceHistory],
    settings: WalkSettings,
    *,
    beside: Callable[[Positions], None] | None = None,
) -> tuple[Record | None, Counter[str]]:
    """
    Walk over all symbols, one at a time; None where nothing could be opened.

    Args:
        beside: Called with each symbol's positions, in the order of the record, for whoever wants
            to judge them otherwise as well.

    Returns:
        The record and, by reason, how many entries could not be made.
    """
    days = entry_days(histories)
    missing: Counter[str] = Counter()
    records = []
    for history in histories:
        opened = positions(history, days, settings, missing)
        if opened is None:
            continue
        records.append(record(opened, settings))
        if beside is not None:
            beside(opened)
    if not records:
        return None, +missing
    return Record._make(np.concatenate(parts) for parts in zip(*records, strict=True)), +missing


def _entries(
    history: SurfaceHistory, days: Dates, settings: WalkSettings, missing: Counter[str]
) -> tuple[IntArray, IntArray, IntArray]:
    """Rows of entry and of expiry, and why what came is not known, for days with a close."""
    if settings.first is not None:
        days = days[days >= settings.first]
    if settings.last is not None:
        days = days[days <= settings.last]
    priced = np.flatnonzero(~np.isnan(history.close))
    if priced.size <= settings.warm_up:
        missing["fewer closes than the warm-up"] += 1
        return priced[:0], priced[:0], priced[:0]
    span = history.day[priced[settings.warm_up]], history.day[priced[-1]]
    # Before its first and after its last close a symbol is not missing: it is not there.
    days = days[(days >= span[0]) & (days <= span[1])]
    place = np.minimum(np.searchsorted(history.day[priced], days), priced.size - 1)
    at, traded = priced[place], history.day[priced[place]] == days
    missing["no close on the day"] += int((~traded).sum())
    at, days = at[traded], days[traded]
    expiry = days + settings.days
    end = priced[np.searchsorted(history.day[priced], expiry, side="right") - 1]
    late = history.day[end] < expiry - _LATEST_GAP
    ahead = expiry > span[1]
    broken = history.broken[end] != history.broken[at]
    return at, end, np.select([late & ahead, late, broken], [1, 2, 3], 0)


def _realised(history: SurfaceHistory, at: IntArray, end: IntArray) -> FloatArray:
    """Root mean square of log-returns from each entry to its expiry, 252 days a year."""
    level = np.log(history.close * history.factor)
    known = ~np.isnan(level)
    move = np.diff(level[known], prepend=np.nan)
    total, count = np.zeros(level.size), np.zeros(level.size)
    total[known], count[known] = np.nan_to_num(move) ** 2, 1.0
    total, count = np.cumsum(total), np.cumsum(count)
    days = count[end] - count[at]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(252.0 * (total[end] - total[at]) / days)
