"""
Pictures of what TOMIC gives back: a proposal, a chain, a stress grid, a calibration, a cone.

Behind ``proposal.plot()``, ``chain.plot_smile()`` and their like; see `tomic.report.figures` for
the same from plain numbers.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tomic._typing import FloatArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import DataError, UsageError
from tomic.models import Proposal, VolSnapshot
from tomic.models.backtest import BacktestBucket, BacktestResult
from tomic.models.journal import Calibration
from tomic.models.review import StressGrid
from tomic.models.what_if import WhatIf
from tomic.quant import density, implied, realized, revaluation
from tomic.quant.density import Density
from tomic.report import figures
from tomic.report.figures import ThemeName
from tomic.store import Bars
from tomic.strategies.pricing.board import Board, prepare
from tomic.workflows.chain import open_interest
from tomic.workflows.volatility import cones
from tomic.workflows.volatility.stored import PastDay, with_gaps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 241
_REACH_SIGMAS = 3.0
_CONE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def proposal_payoff(
    proposal: Proposal,
    *,
    days: int | None = None,
    market: Density | None = None,
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    P&L of a proposal today, after *days* and at its first expiry, with breakevens.

    Values before expiry are full revaluations at each leg's own volatility, early exercise
    included; they are left out where a leg has no volatility.

    Args:
        days: Calendar days for the line between today and expiry; by default half of them.
        market: Density to draw behind; by default lognormal at the market's volatility.

    Raises:
        UsageError: *days* do not lie between today and the first expiry.
    """
    after = proposal.dte // 2 if days is None else days
    if not 0 <= after <= proposal.dte:
        raise UsageError(f"days {after}: must lie between 0 and {proposal.dte}, the first expiry")
    behind = market or density.lognormal(
        proposal.forward, max(proposal.tau, 1e-6), max(proposal.market_volatility, 1e-4)
    )
    price = _prices(proposal, behind)
    lines = revalued(proposal, price, [0, after] if 0 < after < proposal.dte else [0])
    labels = ["today", f"in {after} days"]
    before = {
        label: line for label, line in zip(labels, lines, strict=False) if np.isfinite(line).all()
    }
    return figures.payoff(
        price,
        at_expiry(proposal, price),
        before=before,
        breakevens=proposal.breakevens,
        spot=proposal.spot,
        density=np.gradient(behind.probability_below(price), price),
        currency=proposal.currency,
        title=f"{proposal.symbol} {proposal.trade}".replace("_", " "),
        ax=ax,
        theme=theme,
    )


def at_expiry(proposal: Proposal, price: FloatArray) -> FloatArray:
    """P&L at the first expiry, currency per structure; outside the proposal's curve revalued."""
    values = revalued(proposal, price, [_end(proposal)])[0]
    if proposal.curve:
        node = np.array([point.price for point in proposal.curve])
        profit = np.array([point.profit for point in proposal.curve])
        inside = ((price >= node[0]) & (price <= node[-1])) | np.isnan(values)
        values = np.where(inside, np.interp(price, node, profit), values)
    return np.asarray(values, dtype=np.float64)


def revalued(proposal: Proposal, price: FloatArray, days: Sequence[float]) -> FloatArray:
    """
    P&L of the whole structure at *price* after each of *days*, shape (days, prices).

    Each leg is valued at its own volatility, from the executable credit on; the level is that of
    the proposal's curve at expiry, so that all lines meet there. NaN where a leg has no volatility.
    """
    profit = _changes(proposal, price, days)
    if not proposal.curve:
        return profit + (proposal.net_credit - proposal.credit_mid)
    middle = proposal.curve[len(proposal.curve) // 2]
    end = _changes(proposal, np.array([middle.price]), [_end(proposal)])
    return profit + (middle.profit - float(end[0, 0]))


def _end(proposal: Proposal) -> float:
    """Days to the first expiry, to the minute: whole ones would leave it hours of time value."""
    return 365.0 * proposal.tau


def _changes(proposal: Proposal, price: FloatArray, days: Sequence[float]) -> FloatArray:
    """Change of the structure's value from now, (days, prices)."""
    legs = proposal.legs
    is_stock = np.array([leg.sec_type == "STK" for leg in legs])
    years = [
        proposal.tau + ((leg.expiry or proposal.expiry) - proposal.expiry).days / 365.0
        for leg in legs
    ]
    carry = proposal.rate - math.log(proposal.forward / proposal.spot) / max(proposal.tau, 1e-9)
    grid = revaluation.stress_grid(
        proposal.spot,
        [leg.strike or 1.0 for leg in legs],
        years,
        proposal.rate,
        carry if proposal.tau > 0.0 else 0.0,
        [0.0 if leg.sec_type == "STK" else _number(leg.iv) for leg in legs],
        np.array([leg.right == "C" for leg in legs]),
        quantity=[float(leg.quantity) for leg in legs],
        multiplier=np.where(is_stock, 1.0, float(proposal.multiplier)),
        is_stock=is_stock,
        spot_moves=price / proposal.spot - 1.0,
        vol_moves=[0.0],
        days=[float(day) for day in days],
    )
    return np.asarray(grid[0, :, 0, :].T)


def chain_smile(
    chain: Chain,
    expiry: dt.date | None = None,
    *,
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Quotes of one expiry out of the money, the spread of each, and the smile that TOMIC fits.

    Args:
        expiry: By default the one nearest to thirty days.

    Raises:
        UsageError: The chain has no such expiry.
        DataError: The chain is empty.
    """
    day = _expiry(chain, expiry)
    board = _board(chain)
    outlook = board.outlooks.get(day)
    forward = outlook.forward if outlook else chain.spot.price
    rows = (chain["expiry"] == np.datetime64(day, "D")) & (
        chain.is_call == (chain["strike"] >= forward)
    )
    strike, is_call = chain["strike"][rows], chain.is_call[rows]
    bid, mid, ask = (
        implied.implied_vol(
            price[rows],
            chain.spot.price,
            strike,
            chain["tau"][rows],
            outlook.rate if outlook else board.rate[rows],
            outlook.div_yield if outlook else board.div_yield[rows],
            is_call,
        )
        for price in (chain["bid"], chain.mid, chain["ask"])
    )
    fit = None
    if outlook is not None and strike.size:
        across = np.linspace(strike.min(), strike.max(), _POINTS)
        fit = across, outlook.smile.iv(across)
    title = f"{chain.symbol} {day}"
    if strike.size:
        title += f" ({int(chain['dte'][rows][0])} days), {chain.as_of:%d %b %H:%M}"
    return figures.smile(
        strike,
        mid,
        is_call=is_call,
        low=np.where(np.isfinite(bid), bid, mid),
        high=np.where(np.isfinite(ask), ask, mid),
        fit=fit,
        forward=forward,
        title=title if outlook is not None else f"{title}\nnot fitted: {board.blind[day]}",
        ax=ax,
        theme=theme,
    )


def chain_term_structure(
    chain: Chain, *, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """
    Volatility at the money of every expiry of a chain, from the fitted smiles.

    Raises:
        DataError: No expiry has a smile.
    """
    board = _board(chain)
    if not board.outlooks:
        raise DataError(f"{chain.symbol}: no expiry has usable quotes, so there is no smile")
    points = [board.outlooks[day] for day in sorted(board.outlooks)]
    return figures.term_structure(
        [point.dte for point in points],
        [point.atm_iv for point in points],
        expiries=[point.expiry for point in points],
        iv30=board.iv30,
        title=f"{chain.symbol} term structure, {chain.as_of:%d %b %H:%M}",
        ax=ax,
        theme=theme,
    )


def volatility_cone(
    bars: Bars, *, iv30: float | None = None, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """
    How high realised volatility has been over the stored bars, window by window.

    Args:
        bars: At least 21 of them; windows that they do not fill are left out.
        iv30: Implied volatility of 30 days, drawn at its 21 trading days.

    Raises:
        DataError: There are too few bars for the shortest window.
    """
    windows = [window for window in realized.WINDOWS if window < len(bars)]
    if not windows:
        least = min(realized.WINDOWS) + 1
        raise DataError(f"{bars.symbol}: {len(bars)} bars, a cone needs {least}; run tomic prices")
    cones = realized.cones(
        lambda window: realized.close_to_close(bars.close, window),
        windows=windows,
        quantiles=_CONE_QUANTILES,
    )
    return figures.hv_cone(
        cones,
        iv=None if iv30 is None else {21: iv30},
        title=f"{bars.symbol} realised volatility, {len(bars)} days to {bars.date[-1]}",
        ax=ax,
        theme=theme,
    )


def volatility_history(symbol: str, days: Sequence[PastDay], *, theme: ThemeName = "auto") -> Axes:
    """
    Months of one symbol: price in its expected-move cones, IV and HV, rank, skew and terms.

    Days of which nothing is stored are gaps. See `tomic.workflows.volatility.cones` for how the
    cones are computed.

    Args:
        days: Oldest first, as `tomic.Desk.vol_history` gives them.

    Returns:
        The axes of the price, the first of those above each other.

    Raises:
        DataError: Nothing is stored.
    """
    whole = with_gaps(days)
    if not whole:
        raise DataError(f"{symbol}: nothing stored; run tomic prices {symbol}")
    shown = [
        (height, title, unit, lines)
        for height, title, unit, names in _SECTIONS
        if any((lines := _series(whole, names)).values())
    ]
    stacked, _ = figures.sections([height for height, *_ in shown], theme=theme)
    for ax, (_, title, unit, lines) in zip(stacked, shown, strict=True):
        if unit == "price":
            _draw_cones(cones.move_cones(days), ax, theme)
        figures.by_day(
            [past.day for past in whole],
            {label: list(map(_number, values)) for label, values in lines.items()},
            unit=unit,
            title=title.format(symbol=symbol),
            ax=ax,
            theme=theme,
        )
    return stacked[0]


_SECTIONS: tuple[tuple[float, str, figures.DayUnit, Mapping[str, str]], ...] = (
    (3.0, "{symbol}: close, and the expected moves of 30 days (1 and 2 sigma of IV30)", "price",
     {"close": "close"}),
    (2.2, "volatility", "share", {"iv30": "IV30", "hv30": "HV30", "chain_iv30": "own IV30"}),
    (1.6, "place of IV30 in its year", "share", {"iv_rank": "rank", "iv_percentile": "percentile"}),
    (1.8, "points of volatility, of days on which a chain was taken", "points",
     {"skew": "skew, 25 delta", "term_m1_m2": "M1-M2", "term_m1_m3": "M1-M3"}),
)  # fmt: skip
"""Height beside the others, title, unit, and figure to label."""


def _series(days: Sequence[PastDay], names: Mapping[str, str]) -> dict[str, list[float | None]]:
    """Label to a value a day; a figure that no day has is left out."""
    lines = {label: [getattr(past, name) for past in days] for name, label in names.items()}
    return {label: line for label, line in lines.items() if any(x is not None for x in line)}


def _draw_cones(drawn: Sequence[cones.MoveCone], ax: Axes, theme: ThemeName) -> None:
    offset = np.arange(cones.HORIZON + 1)
    figures.cones(
        [cone.day for cone in drawn],
        [cone.close for cone in drawn],
        np.array([cone.reach(offset) for cone in drawn]).reshape(-1, offset.size),
        offset,
        ax=ax,
        theme=theme,
    )


def chain_open_interest(
    chain: Chain,
    expiry: dt.date | None = None,
    *,
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    Open interest of each strike, puts to the left, calls to the right.

    Args:
        expiry: Of that one alone; by default all expiries of the chain together.

    Raises:
        UsageError: The chain has no such expiry.
        DataError: No option has an open interest.
    """
    day = None if expiry is None else _expiry(chain, expiry)
    strikes = open_interest.by_strike(chain, day)
    if not strikes:
        raise DataError(f"{chain.symbol}: no option of this chain has an open interest")
    when = "all expiries" if day is None else f"{day}"
    return figures.by_strike(
        [row.strike for row in strikes],
        [_number(row.puts) for row in strikes],
        [_number(row.calls) for row in strikes],
        spot=chain.spot.price,
        unit="open interest, contracts: puts left, calls right",
        title=f"{chain.symbol} {when}, {chain.as_of:%d %b %H:%M}",
        ax=ax,
        theme=theme,
    )


def stress_heat_map(
    grid: StressGrid,
    *,
    days: int = 0,
    spots: Sequence[float] | None = None,
    currency: str = "",
    ax: Axes | None = None,
    theme: ThemeName = "auto",
) -> Axes:
    """
    One day of a stress grid as a heat map.

    Args:
        days: Which day, one of the grid's.
        spots: Moves of the spot to show, those nearest on the grid; all of them by default.

    Raises:
        UsageError: The grid has no such day.
    """
    if days not in grid.days:
        known = ", ".join(str(day) for day in grid.days)
        raise UsageError(f"days {days}: not on the stress grid; use one of {known}")
    at = grid.days.index(days)
    moves = np.asarray(grid.spot_moves)
    wanted = moves if spots is None else np.asarray(spots)
    rows = sorted({int(np.argmin(np.abs(moves - move))) for move in wanted})
    return figures.stress_heat_map(
        moves[rows],
        grid.vol_moves,
        [[cell[at] for cell in grid.pnl[row]] for row in rows],
        currency=currency,
        title=f"{grid.name}, {'now' if days == 0 else f'in {days} days'}",
        ax=ax,
        theme=theme,
    )


def what_if(asked: WhatIf, *, ax: Axes | None = None, theme: ThemeName = "auto") -> Axes:
    """
    P&L of one structure over the price, a line a day, at the volatility that was asked.

    Raises:
        UsageError: It is shares alone, which have no expiry.
    """
    if asked.to_expiry is None:
        raise UsageError(f"{asked.id} is shares alone: its P&L is a straight line")
    base = asked.pnl or 0.0
    lines = {
        day: [base + row.change[place] for row in asked.rows]
        for place, day in enumerate(asked.horizons)
    }
    named = {day: "now" if day == 0.0 else f"in {day:g} days" for day in lines}
    return figures.payoff(
        [row.price for row in asked.rows],
        lines[asked.to_expiry],
        before={named[day]: profit for day, profit in lines.items() if day < asked.to_expiry},
        spot=asked.spot,
        currency=asked.currency,
        title=f"{asked.id} {asked.strategy.replace('_', ' ')}, volatility {asked.vol:+.0%}",
        ax=ax,
        theme=theme,
    )


def calibration(
    measured: Calibration, *, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """Forecast probabilities against what came true, with the interval of each bin."""
    bins = [band for band in measured.bins if band.n]
    return figures.calibration(
        [band.forecast for band in bins],
        [_number(band.hit.value) for band in bins],
        low=[_number(band.hit.low) for band in bins],
        high=[_number(band.hit.high) for band in bins],
        n=[band.n for band in bins],
        title=f"{measured.what} ({measured.n})",
        ax=ax,
        theme=theme,
    )


def backtest_calibration(
    result: BacktestResult, *, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """
    Promised PoS of every candidate against the share that won, by decile.

    Raises:
        DataError: There are no candidates.
    """
    return figures.calibration(
        **_buckets(result.pos_deciles, "forecast", "observed"),
        title="probability of success, by decile",
        ax=ax,
        theme=theme,
    )


def backtest_promises(
    result: BacktestResult, *, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """
    Promised EV per margin of every candidate against what came, by decile.

    Raises:
        DataError: There are no candidates.
    """
    return figures.promised(
        **_buckets(result.ev_deciles, "said", "came"),
        what="per margin",
        title="expected value per margin, by decile",
        ax=ax,
        theme=theme,
    )


def _buckets(buckets: Sequence[BacktestBucket], said: str, came: str) -> dict[str, Any]:
    """Deciles as the columns that a figure takes."""
    if not buckets:
        raise DataError("no candidate has ended: there is nothing to compare")
    return {
        said: [bucket.promised for bucket in buckets],
        came: [_number(bucket.came.value) for bucket in buckets],
        "low": [_number(bucket.came.low) for bucket in buckets],
        "high": [_number(bucket.came.high) for bucket in buckets],
        "n": [bucket.trades for bucket in buckets],
    }


def backtest_equity(
    result: BacktestResult, *, ax: Axes | None = None, theme: ThemeName = "auto"
) -> Axes:
    """
    The weekly total of a backtest and its drawdown.

    Raises:
        DataError: No week has a trade.
    """
    if not result.weeks:
        raise DataError("no trade was opened: there is no total to draw")
    return figures.equity(
        [week.monday for week in result.weeks],
        [week.total for week in result.weeks],
        title="total of the account, one structure a trade",
        ax=ax,
        theme=theme,
    )


def _prices(proposal: Proposal, behind: Density) -> FloatArray:
    """An even grid over the strikes and three standard deviations, kinks and spot included."""
    spread = proposal.forward * _REACH_SIGMAS * behind.volatility * math.sqrt(behind.tau)
    strikes = [leg.strike for leg in proposal.legs if leg.strike is not None]
    low = min([proposal.forward - spread, *(0.98 * strike for strike in strikes)])
    high = max([proposal.forward + spread, *(1.02 * strike for strike in strikes)])
    even = np.linspace(max(low, 0.01 * proposal.spot), high, _POINTS)
    return np.unique(np.concatenate([even, strikes, proposal.breakevens, [proposal.spot]]))


def _expiry(chain: Chain, expiry: dt.date | None) -> dt.date:
    if not chain.expiries:
        raise DataError(f"{chain.symbol}: the chain is empty")
    if expiry is None:
        days = {day: abs((day - chain.as_of.date()).days - 30) for day in chain.expiries}
        return min(days, key=lambda day: days[day])
    if expiry not in chain.expiries:
        known = ", ".join(str(day) for day in chain.expiries)
        raise UsageError(f"expiry {expiry}: not in this chain; it has {known}")
    return expiry


def _board(chain: Chain) -> Board:
    return prepare(chain, VolSnapshot(symbol=chain.symbol, as_of=chain.as_of), Settings())


def _number(value: float | None) -> float:
    return math.nan if value is None else value
