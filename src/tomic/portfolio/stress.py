"""
What the book would make or lose: over a grid of moves, over the days that were, at known events.

Every figure is a full revaluation from the live spot; the cell in which nothing moves is exactly 0.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tomic import dates
from tomic._typing import FloatArray
from tomic.config.book import StressSettings
from tomic.models.book import Book, SymbolMarket
from tomic.models.review import Driver, Jump, StressCell, StressGrid, SymbolBeta, TailRisk
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.lines import BookLine
from tomic.quant.revaluation import stress_grid

_LEAST_DAYS = 60
"""Fewest days that a tail is estimated from."""
_MOST_IN_A_DAY = 5.0
"""Largest log return of a day; beyond that, a price 150 times the former, it is an error."""
_YEAR = 252.0
_EARNINGS_SIGMAS = 3.0
"""Earnings move in standard deviations of an ordinary day, where none is known."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Moves of spot and volatility, and days to pass."""

    spot: FloatArray
    vol: FloatArray
    days: FloatArray

    @classmethod
    def of(cls, settings: StressSettings) -> Axes:
        """The axes of the settings; the middle of the spots is exactly 0."""
        half = settings.spot_steps // 2
        up = settings.spot_reach * np.arange(1, half + 1) / half
        return cls(
            np.concatenate((-up[::-1], [0.0], up)),
            np.array(settings.vols, dtype=np.float64),
            np.array(settings.days, dtype=np.float64),
        )


def revalued(
    rows: Sequence[ExposureRow],
    member: Sequence[int],
    axes: Axes,
    *,
    beta: Mapping[str, float] | None = None,
) -> FloatArray:
    """
    P&L of each group of *rows* over the axes, base currency, (groups, spots, vols, days).

    Args:
        rows: Counted ones only; *member* is the group of each, from 0.
        beta: Of each symbol: its spot then moves by beta x move. None moves each by the move.
    """
    lines = [row.line for row in rows]
    return stress_grid(
        np.array([line.underlying for line in lines]),
        np.array([line.strike for line in lines]),
        np.array([line.tau for line in lines]),
        np.array([line.rate for line in lines]),
        np.array([line.div_yield for line in lines]),
        np.array([line.sigma for line in lines]),
        np.array([line.position.right == "C" for line in lines]),
        quantity=np.array([row.quantity * row.line.fx for row in rows]),
        multiplier=np.array([line.position.multiplier for line in lines]),
        is_american=np.array([line.is_american for line in lines]),
        is_stock=np.array([line.position.is_stock for line in lines]),
        beta=np.array([beta[line.position.symbol] if beta else 1.0 for line in lines]),
        group=np.array(member, dtype=np.int64),
        spot_moves=axes.spot,
        vol_moves=axes.vol,
        days=axes.days,
    )


# -- the grid -------------------------------------------------------------------------------------


def of_book(
    rows: Sequence[ExposureRow],
    names: Sequence[str],
    betas: Mapping[str, SymbolBeta],
    settings: StressSettings,
    *,
    benchmark: str,
) -> StressGrid | None:
    """
    The whole book if the benchmark moved, each symbol by its beta; None when nothing is counted.

    *names* are those of the groups of *rows*; the drivers of the worst cell are named by them.
    """
    counted = [row for row in rows if row.line.counted]
    if not counted:
        return None
    axes = Axes.of(settings)
    groups = sorted({row.group for row in counted})
    place = {group: number for number, group in enumerate(groups)}
    weights = {name: beta.beta for name, beta in betas.items()}
    parts = revalued(counted, [place[row.group] for row in counted], axes, beta=weights)
    sound = np.array([bool(np.isfinite(part).all()) for part in parts])
    title = f"book, {benchmark} moves and each symbol by its beta"
    labels = [names[group] for group in groups]
    grid = _grid(title, np.where(sound[:, None, None, None], parts, 0.0), labels, axes)
    lost = [label for label, complete in zip(labels, sound, strict=True) if not complete]
    return grid.model_copy(update={"without": (*_left_out(rows), *lost)})


def by_symbol(rows: Sequence[ExposureRow], settings: StressSettings) -> tuple[StressGrid, ...]:
    """A grid per symbol, each moving by itself."""
    counted = [row for row in rows if row.line.counted]
    if not counted:
        return ()
    axes = Axes.of(settings)
    symbols = sorted({row.line.position.symbol for row in counted})
    place = {symbol: number for number, symbol in enumerate(symbols)}
    parts = revalued(counted, [place[row.line.position.symbol] for row in counted], axes)
    return tuple(
        _grid(symbol, parts[number : number + 1], [], axes).model_copy(
            update={"without": _left_out([r for r in rows if r.line.position.symbol == symbol])}
        )
        for number, symbol in enumerate(symbols)
        if np.isfinite(parts[number]).all()
    )


def grid_of(name: str, cells: FloatArray, axes: Axes) -> StressGrid:
    """The grid of one group, (spots, vols, days), base currency."""
    return _grid(name, cells[None], [], axes)


def _grid(name: str, parts: FloatArray, labels: Sequence[str], axes: Axes) -> StressGrid:
    total = parts.sum(axis=0)
    where = np.unravel_index(int(np.argmin(total)), total.shape)
    spot, vol, day = (int(index) for index in where)
    drivers = [
        Driver(name=label, pnl=float(part[spot, vol, day]))
        for label, part in zip(labels, parts, strict=False)
    ]
    return StressGrid(
        name=name,
        spot_moves=tuple(axes.spot.tolist()),
        vol_moves=tuple(axes.vol.tolist()),
        days=tuple(int(day) for day in axes.days),
        pnl=tuple(tuple(tuple(cells) for cells in plane) for plane in total.tolist()),
        worst=StressCell(
            spot_move=float(axes.spot[spot]),
            vol_move=float(axes.vol[vol]),
            days=int(axes.days[day]),
            pnl=float(total[spot, vol, day]),
        ),
        drivers=tuple(sorted(drivers, key=lambda driver: (driver.pnl, driver.name))),
    )


def _left_out(rows: Sequence[ExposureRow]) -> tuple[str, ...]:
    return tuple(sorted({row.line.position.contract for row in rows if not row.line.counted}))


def assumptions(rows: Sequence[ExposureRow], book: Book) -> tuple[str, ...]:
    """Of which options revaluation takes for granted that their shares pay no dividends."""
    assumed = {
        row.line.position.symbol
        for row in rows
        if row.line.counted and row.line.position.is_option and _lacks_yield(row.line, book)
    }
    if not assumed:
        return ()
    return (
        f"{', '.join(sorted(assumed))}: IB told no dividends, and no call and put held are a pair "
        "that implies a forward: stress and VaR revalue their options as if none were paid",
    )


def _lacks_yield(line: BookLine, book: Book) -> bool:
    market = book.markets.get(line.position.symbol)
    underlying = market.underlying if market is not None else None
    if underlying is not None and underlying.is_future:
        return False
    return math.isnan(line.forward) and (market is None or market.div_yield is None)


# -- the days that were ---------------------------------------------------------------------------


def tail_risk(rows: Sequence[ExposureRow], book: Book, *, confidence: float) -> TailRisk | None:
    """
    One day's value at risk and CVaR by historical simulation, and what diversification is worth.

    Each symbol moves as it did on each stored day, all on the same day; volatilities stay. VaR is
    the quantile of the losses, CVaR the mean of those at least as large. None with fewer than 60
    days on which every symbol that has returns moved.

    Source: Hull (2018), "Options, Futures, and Other Derivatives", chapter 22.
    """
    counted = [row for row in rows if row.line.counted]
    symbols = sorted({row.line.position.symbol for row in counted})
    known = [name for name in symbols if _moves(book, name).size >= _LEAST_DAYS]
    if not known:
        return None
    moves = np.array([_moves(book, name) for name in known])
    common = np.isfinite(moves).all(axis=0)
    if common.sum() < _LEAST_DAYS:
        return None
    pnl = np.array(
        [
            _of_days([r for r in counted if r.line.position.symbol == name], moves[number, common])
            for number, name in enumerate(known)
        ]
    )
    sound = np.isfinite(pnl).all(axis=1)
    if not sound.any():
        return None
    pnl = pnl[sound]
    total = pnl.sum(axis=0)
    loss = float(np.quantile(-total, confidence))
    spread = float(total.std())
    worst = int(np.argmin(total))
    left = [name for name in symbols if name not in known]
    left += [name for name, complete in zip(known, sound, strict=True) if not complete]
    return TailRisk(
        confidence=confidence,
        days=int(common.sum()),
        value_at_risk=loss,
        cvar=float(-total[-total >= loss].mean()),
        worst=float(-total[worst]),
        worst_day=book.return_days[int(np.flatnonzero(common)[worst])],
        diversification=float(pnl.std(axis=1).sum()) / spread if spread > 0.0 else None,
        symbols=int(sound.sum()),
        without=tuple(sorted(left)),
    )


def _moves(book: Book, symbol: str) -> FloatArray:
    """Relative moves of a symbol on the stored days, NaN for one that cannot be; may be empty."""
    logs = np.array([math.nan if each is None else each for each in book.returns.get(symbol, ())])
    return np.expm1(np.where(np.abs(logs) < _MOST_IN_A_DAY, logs, math.nan))


def _of_days(rows: Sequence[ExposureRow], moves: FloatArray) -> FloatArray:
    axes = Axes(np.maximum(moves, -1.0), np.zeros(1), np.zeros(1))
    return revalued(rows, [0] * len(rows), axes)[0, :, 0, 0]


# -- events that are known ------------------------------------------------------------------------


def jumps(rows: Sequence[ExposureRow], book: Book) -> tuple[Jump, ...]:
    """
    What earnings and dividends before the last expiry held would do, symbol by symbol.

    Shares have no last expiry: they meet every event. A dividend is the fall of the price on the
    ex-day less what the shares receive.
    """
    result = []
    for symbol in sorted({row.line.position.symbol for row in rows if row.line.counted}):
        counted = [row for row in rows if row.line.counted and row.line.position.symbol == symbol]
        market = book.markets.get(symbol)
        if market is None or market.spot is None:
            continue
        earnings = _earnings(symbol, counted, market, book.today)
        dividend = _dividend(symbol, counted, market, book.today)
        result += [jump for jump in (earnings, dividend) if jump is not None]
    return tuple(sorted(result, key=lambda jump: (jump.day, jump.symbol)))


def _meets(rows: Sequence[ExposureRow], day: dt.date | None, today: dt.date) -> list[ExposureRow]:
    """The rows still held on the day of an event."""
    if day is None or day < today:
        return []
    return [
        row
        for row in rows
        if (settled := dates.settlement_of(row.line.position)) is None or settled >= day
    ]


def _earnings(
    symbol: str, rows: Sequence[ExposureRow], market: SymbolMarket, today: dt.date
) -> Jump | None:
    day, affected = market.next_earnings, _meets(rows, market.next_earnings, today)
    move, note = market.earnings_move, ""
    if move is None:
        base = market.hv30 if market.hv30 is not None else market.iv30
        if base is None:
            return None
        move = _EARNINGS_SIGMAS * base / math.sqrt(_YEAR)
        note = "size unknown: three standard deviations of an ordinary day"
    if day is None or not affected:
        return None
    up, down = _after(affected, move), _after(affected, -move)
    return Jump(symbol=symbol, kind="earnings", day=day, move=move, up=up, down=down, note=note)


def _dividend(
    symbol: str, rows: Sequence[ExposureRow], market: SymbolMarket, today: dt.date
) -> Jump | None:
    day, affected = market.next_dividend, _meets(rows, market.next_dividend, today)
    amount = market.dividend_amount
    if day is None or not affected or not amount or market.spot is None:
        return None
    drop = amount / market.spot.price
    received = sum(
        amount * row.quantity * row.line.fx for row in affected if row.line.position.is_stock
    )
    down = _after(affected, -drop) + received
    note = f"{amount:g} a share; option prices know it already"
    return Jump(symbol=symbol, kind="dividend", day=day, move=-drop, up=None, down=down, note=note)


def _after(rows: Sequence[ExposureRow], move: float) -> float:
    return float(_of_days(rows, np.array([move]))[0])
