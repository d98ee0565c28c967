"""
The same trades with exits: half of the credit as a target, twice of it as a stop, once a day.

Every day until expiry the legs are valued on that day's own surface for the days that are left;
leaving pays costs like entering. A day without a surface is a day without an exit. Legs of a second
expiry are sold at the first on the surface of that day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.evidence import trades as valuing
from tomic.evidence.history import Dates, SurfaceHistory
from tomic.evidence.slices import Slices, slices
from tomic.evidence.trades import MULTIPLIER, Costs, LegValues, OpenedTrades
from tomic.models.exits import MODEL_ERROR
from tomic.quant import density as densities
from tomic.quant.density import Density

_POINTS = 501
"""Of a density that only says whether holding pays."""
_NEARLY_NOTHING = 1e-9


class Exits(NamedTuple):
    """When a trade is closed before its expiry, as shares of the credit received at mid."""

    target: float = 0.5
    stop: float = 2.0


class Closed(NamedTuple):
    """How managed trades ended, (n, s)."""

    pnl: FloatArray
    """Currency per structure, costs of entry and exit included."""
    days: FloatArray
    """Calendar days held."""


class Surfaces(NamedTuple):
    """What every day of a history is valued with."""

    history: SurfaceHistory
    rho: FloatArray
    """(m,) of each day."""
    rate: FloatArray
    """(m,)."""
    psi: float
    div_yield: float


class ExitBounds(NamedTuple):
    """When trades are left before their expiry: (s,) or (n, s) each, NaN for a rule that is off."""

    target: FloatArray
    """Share of the premium, received or paid, as a profit."""
    stop: FloatArray
    """The same as a loss."""
    min_dte: FloatArray
    """Calendar days to the expiry."""
    max_days: FloatArray
    """Calendar days held."""
    earnings_days: FloatArray
    """Calendar days to the next report."""
    breach: BoolArray
    """Whether a price beyond a sold strike closes it."""
    spot_below: FloatArray
    spot_above: FloatArray
    short_delta: FloatArray
    """Of a sold leg, either sign."""
    dividend_days: FloatArray
    """Calendar days to an ex-day before which a sold call pays to be exercised."""
    iv_rise: FloatArray
    """Of 30-day volatility since entry, fraction."""
    iv_rank_below: FloatArray
    negative_ev: BoolArray
    """Whether holding that is expected to bring less than closing closes it."""


REASONS = (
    "expiry", "stop", "dividend_days", "short_strike_breached", "spot_below", "spot_above",
    "short_delta", "earnings_days", "min_dte", "profit_target", "max_days_in_trade", "iv_rise",
    "iv_rank_below", "negative_ev",
)  # fmt: skip
"""Why a trade ended, the most urgent first as in `tomic.journal.exits`."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What exits ask of a symbol beside the surface of the day."""

    to_earnings: FloatArray | None = None
    """(n,) days from entry to the report that is next on that day; NaN where none is known."""
    iv_rank: FloatArray | None = None
    """(m,) of each day of the history, fraction."""
    ex_days: Dates = field(default_factory=lambda: np.array([], dtype="datetime64[D]"))
    """Of dividends, ascending."""
    dividends: FloatArray = field(default_factory=lambda: np.array([]))
    """Their amounts, currency per share of that day."""
    viewed: Callable[[Density], Density] | None = None
    """What a trusted view makes of the market's density; None where none is."""


NOTHING_BESIDE = Beside()


class Followed(NamedTuple):
    """How trades ended, (n, s)."""

    gross: FloatArray
    """Currency per structure at the middle of the market, without any costs."""
    days: FloatArray
    """Calendar days held."""
    reason: IntArray
    """Place in `REASONS`."""
    leaving: FloatArray
    """(levels of costs, n, s): what closing costs; at the expiry that of what outlives it."""
    spot: FloatArray
    """Of the day of closing, in shares of the day of entry; NaN of those held to the expiry."""
    unmarked: IntArray
    """Days with a close but without a surface, while it was open."""


class Later(NamedTuple):
    """The legs of a second expiry on the day of the first."""

    worth: FloatArray
    """(n, s) at the middle of the market, currency per structure; 0 without such legs."""
    paid: FloatArray
    """(levels of costs, n, s) for selling them."""


def sold_later(
    surfaces: Surfaces, end: IntArray, left: FloatArray, terminal: FloatArray,
    trades: OpenedTrades, costs: Sequence[Costs],
) -> Later:  # fmt: skip
    """
    What the legs of the second expiry are worth when the first one comes.

    Args:
        end: (n,) rows of the first expiry.
        left: (n,) calendar days from it to the second.
        terminal: (n,) price there, in shares of the day of entry.
    """
    legs = trades.legs
    blank = np.zeros((len(costs), *trades.credit.shape))
    if not legs.is_far.any():
        return Later(blank[0], blank)
    only = legs._replace(
        quantity=np.where(legs.is_far, legs.quantity, 0.0), is_far=np.zeros_like(legs.is_far)
    )
    price = valuing.valued(_smiles(surfaces, end, left, terminal), None, only).price
    has = only.quantity != 0.0
    worth = MULTIPLIER * np.where(has, only.quantity * price, 0.0).sum(axis=-1)
    used = np.where(has, price, 0.0)
    paid = np.stack([each.of(used, only.quantity) for each in costs])
    return Later(worth, np.where(legs.has_far, paid, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Evening:
    """Open trades on one day of their life, n of s structures."""

    spot: FloatArray
    """(n,) in shares of the day of entry; NaN without a close."""
    shares: FloatArray
    """(n,) by how much that changes a figure of a share of the day."""
    smiles: Slices
    market: LegValues
    worth: FloatArray
    """(n, s) of the options at mid, currency per structure; NaN without a surface."""
    stock: FloatArray
    """(n, s) P&L of shares beside their carry."""


def followed(
    surfaces: Surfaces, at: IntArray, days: int, trades: OpenedTrades, held: FloatArray,
    plan: ExitBounds, costs: Sequence[Costs], *, start: FloatArray, premium: FloatArray,
    beside: Beside = NOTHING_BESIDE, far_days: FloatArray | None = None,
    leaving: FloatArray | None = None,
) -> Followed:  # fmt: skip
    """
    What came of trades opened on rows *at*, judged once a day until their expiry.

    Args:
        at: (n,) rows of entry.
        days: Calendar days from entry to expiry.
        held: (n, s) what holding to the expiry brought without costs, for what is never closed.
        plan: The exits.
        costs: Levels of costs of leaving.
        start: (n, s) P&L that exits are judged on while the legs are worth nothing: the credit.
        premium: (n, s) that target and stop are shares of, either sign; 0 for neither.
        far_days: (n,) days from entry to the second expiry.
        leaving: (levels of costs, n, s) what is paid at the expiry by what is never closed.
    """
    history, shape = surfaces.history, trades.credit.shape
    expiry, size = history.day[at] + days, np.abs(premium)
    later = None if far_days is None or not trades.legs.is_far.any() else far_days
    mid = trades.credit + trades.costs
    open_ = np.ones(shape, dtype=np.bool_)
    gross, kept, reason = held.copy(), np.full(shape, float(days)), np.zeros(shape, dtype=np.int64)
    final = np.zeros((len(costs), *shape)) if leaving is None else leaving.copy()
    spot = np.full(shape, np.nan)
    unmarked = np.zeros(shape, dtype=np.int64)
    for step in range(1, days):
        row = np.minimum(at + step, history.day.size - 1)
        alive = (at + step < history.day.size) & (history.day[row] < expiry)
        alive &= history.broken[row] == history.broken[at]
        live = open_ & alive[:, None]
        if not live.any():
            if not (at + step < history.day.size).any():
                break
            continue
        since = (history.day[row] - history.day[at]).astype(float)
        evening = _evening(surfaces, at, row, days - since, later, trades)
        marked = ~np.isnan(evening.worth)
        unmarked += live & ~marked & ~np.isnan(evening.spot)[:, None]
        paid = np.stack([each.of(evening.market.price, trades.legs.quantity) for each in costs])
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(size > 0.0, (start + evening.worth) / size, np.nan)
            fired = _fired(plan, surfaces, at, row, evening, trades, share, days, beside)
            if plan.negative_ev.any() and beside.viewed is not None:
                fired[-1] = _is_negative(evening, trades, paid[0], size, beside.viewed, live)
                fired[-1] &= plan.negative_ev
        out = live & marked & fired.any(axis=0)
        reason[out] = (np.argmax(fired, axis=0) + 1)[out]
        gross[out] = (mid + evening.worth + evening.stock)[out]
        kept[out] = np.broadcast_to(since[:, None], shape)[out]
        spot[out] = np.broadcast_to(evening.spot[:, None], shape)[out]
        final[:, out] = paid[:, out]
        open_ = open_ & ~out
    return Followed(gross, kept, reason, final, spot, unmarked)


def _fired(
    plan: ExitBounds, surfaces: Surfaces, at: IntArray, row: IntArray, evening: _Evening,
    trades: OpenedTrades, share: FloatArray, days: int, beside: Beside,
) -> BoolArray:  # fmt: skip
    """Which of `REASONS` but the first and the last fire, (13, n, s), the last left False."""
    history, shape = surfaces.history, share.shape
    since = (history.day[row] - history.day[at]).astype(float)[:, None]
    report = np.full(at.size, np.nan) if beside.to_earnings is None else beside.to_earnings
    near, spot = report[:, None] - since, evening.spot[:, None]
    iv, rank = history.iv30, beside.iv_rank
    place = np.full(at.size, np.nan) if rank is None else rank[row]
    rules = (
        share <= -plan.stop,
        _is_exercised(plan, history, row, evening, trades, beside),
        _beyond(trades, evening.spot) & plan.breach,
        spot < plan.spot_below,
        spot > plan.spot_above,
        _tested(plan, evening, trades, surfaces.div_yield),
        (near >= 0.0) & (near <= plan.earnings_days),
        days - since <= plan.min_dte,
        share >= plan.target,
        since >= plan.max_days,
        np.round(iv[row] - iv[at], 9)[:, None] >= plan.iv_rise,
        place[:, None] < plan.iv_rank_below,
        np.zeros(shape, dtype=np.bool_),
    )
    return np.stack([np.broadcast_to(fires, shape) for fires in rules])


def _tested(
    plan: ExitBounds, evening: _Evening, trades: OpenedTrades, div_yield: float
) -> BoolArray:
    """Whether the delta of a sold leg has grown to the limit, (n, s)."""
    legs, market = trades.legs, evening.market
    if np.isnan(plan.short_delta).all():
        return np.zeros(trades.credit.shape, dtype=np.bool_)
    d1 = -market.k / market.total_vol + 0.5 * market.total_vol
    delta = np.exp(-div_yield * market.tau) * ndtr(np.where(legs.is_call, d1, -d1))
    worst = np.where(legs.quantity < 0.0, delta, 0.0).max(axis=-1)
    return np.asarray(worst >= plan.short_delta)


def _is_exercised(
    plan: ExitBounds, history: SurfaceHistory, row: IntArray, evening: _Evening,
    trades: OpenedTrades, beside: Beside,
) -> BoolArray:  # fmt: skip
    """Whether a sold call gives up less than the dividend of an ex-day within the limit, (n, s)."""
    legs, blank = trades.legs, np.zeros(trades.credit.shape, dtype=np.bool_)
    if np.isnan(plan.dividend_days).all() or not beside.ex_days.size:
        return blank
    place = np.searchsorted(beside.ex_days, history.day[row])
    there = place < beside.ex_days.size
    place = np.minimum(place, beside.ex_days.size - 1)
    ahead = (beside.ex_days[place] - history.day[row]).astype(float)
    amount = np.where(there, beside.dividends[place] * evening.shares, np.nan)
    given_up = evening.market.price - (evening.spot[:, None, None] - legs.strike)
    in_time = np.round(365.0 * evening.market.tau, 6) >= ahead[:, None, None]
    pays = legs.is_call & (legs.quantity < 0.0) & in_time & (given_up < amount[:, None, None])
    return np.asarray(pays.any(axis=-1) & (ahead[:, None] <= plan.dividend_days))


def _is_negative(
    evening: _Evening, trades: OpenedTrades, paid: FloatArray, premium: FloatArray,
    viewed: Callable[[Density], Density], live: BoolArray,
) -> BoolArray:  # fmt: skip
    """
    Whether holding to the expiry is expected to bring less than closing now, (n, s).

    Under the market's own density it never is: a modelled smile values all options at their mean,
    and closing costs. Under a trusted view it may be.
    """
    legs, smiles = trades.legs, evening.smiles
    expected = np.full(premium.shape, np.nan)
    for place in np.flatnonzero(live.any(axis=1) & ~np.isnan(smiles.theta)).tolist():
        law = viewed(densities.from_smile(smiles.smile(place), points=_POINTS))
        strike = legs.strike[place]
        known = np.where(np.isnan(strike), evening.spot[place], strike)
        unit = np.where(legs.is_call, law.call_value(known), law.put_value(known))
        shares = legs.stock * (float(law.call_value(_NEARLY_NOTHING)) - smiles.forward[place])
        worth = (legs.quantity * unit).sum(axis=-1) + shares
        expected[place] = MULTIPLIER * smiles.discount[place] * worth
    expected = np.where(legs.has_far, np.nan, expected)
    error = MODEL_ERROR * np.maximum(np.abs(evening.worth), premium)
    return np.asarray(expected - (evening.worth - paid) < -error)


def managed(
    surfaces: Surfaces, at: IntArray, days: int, trades: OpenedTrades, held: FloatArray,
    chosen: BoolArray, costs: Costs, exits: Exits,
) -> Closed:  # fmt: skip
    """
    P&L with exits of the trades opened on rows *at*, of those that receive a credit.

    Args:
        at: (n,) rows of entry.
        days: Calendar days from entry to expiry.
        held: (n, s) P&L of holding to the expiry, for what is never closed.
        chosen: (s,) the structures that have exits; the others are held.
    """
    mid = trades.credit + trades.costs
    off = np.full(mid.shape, np.nan)
    has_exits = np.broadcast_to(chosen, mid.shape) & (mid > 0.0)
    never = np.zeros(mid.shape, dtype=np.bool_)
    plan = ExitBounds(
        np.where(has_exits, exits.target, np.nan), np.where(has_exits, exits.stop, np.nan),
        off, off, off, never, off, off, off, off, off, off, never,
    )  # fmt: skip
    came = followed(
        surfaces, at, days, trades, held + trades.costs, plan, [costs], start=mid, premium=mid
    )
    return Closed(came.gross - trades.costs - came.leaving[0], came.days)


def _beyond(trades: OpenedTrades, price: FloatArray) -> BoolArray:
    """Whether a day's price is beyond a sold strike, (n, s)."""
    gap = price[:, None, None] - trades.legs.strike
    inside = np.where(trades.legs.is_call, gap, -gap) > 0.0
    return np.asarray((inside & (trades.legs.quantity < 0.0)).any(axis=-1))


def _smiles(surfaces: Surfaces, row: IntArray, left: FloatArray, spot: FloatArray) -> Slices:
    """Of days *row* for *left* calendar days, by their own surfaces."""
    return slices(
        spot, left, surfaces.history.iv(row, left), surfaces.rho[row], surfaces.psi,
        rate=surfaces.rate[row], div_yield=surfaces.div_yield,
    )  # fmt: skip


def _evening(
    surfaces: Surfaces, at: IntArray, row: IntArray, left: FloatArray,
    far_days: FloatArray | None, trades: OpenedTrades,
) -> _Evening:  # fmt: skip
    """What trades opened on rows *at* are worth on rows *row*, *left* days before their expiry."""
    history = surfaces.history
    # In shares of the day of entry: a split changes neither the trade nor its strikes' meaning.
    shares = history.factor[row] / history.factor[at]
    spot = history.close[row] * shares
    since = (history.day[row] - history.day[at]).astype(float)
    smiles = _smiles(surfaces, row, np.maximum(left, 1.0), spot)
    far = None
    if far_days is not None:
        far = _smiles(surfaces, row, np.maximum(far_days - since, 1.0), spot)
    market = valuing.valued(smiles, far, trades.legs)
    worth = MULTIPLIER * (trades.legs.quantity * market.price).sum(axis=-1)
    carry = np.exp((surfaces.rate[at] - surfaces.div_yield) * since / 365.0)
    gain = (spot - history.close[at] * carry)[:, None]
    stock = np.where(trades.legs.stock == 0.0, 0.0, MULTIPLIER * trades.legs.stock * gain)
    return _Evening(spot, shares, smiles, market, worth, stock)
