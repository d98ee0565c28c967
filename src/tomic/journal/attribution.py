"""
Where a P&L came from, accounted for twice: by Greeks with a residual, and by full revaluation.

The stretch between two snapshots with nothing traded is a *step*. In a step the book is revalued
with the time passed, then with the new volatilities, then at the new spot; the first and the last
of those four values are the marks themselves, so the three parts sum to the change exactly.
Steps add up; what was traded between them is kept apart.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray
from tomic.journal import campaign
from tomic.models.journal import Attribution, Fill, Held, JournalEntry, LegMark, Snapshot, Trade
from tomic.quant import american, black_scholes, implied

_DAYS = 365.0
_PARTS = (
    "delta", "gamma", "vega", "theta", "residual", "time", "volatility", "spot", "traded",
)  # fmt: skip
"""Of an attribution: five by Greeks, three by revaluation, and what was traded meanwhile."""


class ByGreeks(NamedTuple):
    """Greeks of the start times what changed; currency."""

    delta: float
    gamma: float
    vega: float
    theta: float
    residual: float
    """What they do not explain of the total."""
    total: float


class Stepwise(NamedTuple):
    """Full revaluation one change at a time; the parts sum to the total; currency."""

    time: float
    volatility: float
    spot: float
    total: float


class Step(NamedTuple):
    """One held book at the two ends of a step; arrays (k,), options only, house units."""

    strike: FloatArray
    is_call: BoolArray
    amount: FloatArray
    """Signed shares: quantity x multiplier."""
    tau: tuple[FloatArray, FloatArray]
    price: tuple[FloatArray, FloatArray]
    div_yield: tuple[FloatArray, FloatArray]
    spot: tuple[float, float]
    rate: tuple[FloatArray | float, FloatArray | float]
    shares: float = 0.0
    """Shares held beside the options."""
    european: bool = False
    forward: tuple[FloatArray, FloatArray] | None = None
    """What the options are on instead of the spot, (k,) each: NaN for those that are not."""

    def underlying(self, end: int) -> FloatArray | float:
        """What each option is on at an end: its forward, else the spot; currency per share."""
        if self.forward is None:
            return self.spot[end]
        level = self.forward[end]
        return np.where(np.isnan(level), self.spot[end], level)

    @property
    def total(self) -> float:
        """P&L of the step at the marks, currency."""
        moved = self.price[1] - self.price[0]
        return float(self.amount @ moved) + self.shares * (self.spot[1] - self.spot[0])


def by_greeks(step: Step, greeks: black_scholes.Greeks, vol_change: FloatArray) -> ByGreeks:
    """
    Greeks of the start times the changes: delta, half gamma, vega and theta, and the residual.

    Args:
        step: The two ends.
        greeks: Of the start, (k,) per share of one contract held long.
        vol_change: (k,) change of each leg's implied volatility, fraction.
    """
    moved = np.asarray(step.underlying(1)) - step.underlying(0)
    days = (step.tau[0] - step.tau[1]) * _DAYS
    delta = float(step.amount @ (greeks.delta * moved))
    delta += step.shares * (step.spot[1] - step.spot[0])
    gamma = 0.5 * float(step.amount @ (greeks.gamma * moved * moved))
    vega = float(step.amount @ (greeks.vega * vol_change)) * 100.0
    theta = float(step.amount @ (greeks.theta * days))
    rest = step.total - (delta + gamma + vega + theta)
    return ByGreeks(delta, gamma, vega, theta, rest, step.total)


def stepwise(step: Step, sigma: tuple[FloatArray, FloatArray]) -> Stepwise:
    """
    Revalue with the time passed, then the new volatility, then the new spot.

    Rate and dividend yield change with the spot: they are what carries it. *sigma* are the
    volatilities at both ends; where a mark cannot be reproduced by any volatility, the difference
    is part of the first or last change.
    """
    later, moved = (_later_value(step, level) for level in sigma)
    time = float(step.amount @ (later - step.price[0]))
    volatility = float(step.amount @ (moved - later))
    spot = float(step.amount @ (step.price[1] - moved))
    spot += step.shares * (step.spot[1] - step.spot[0])
    return Stepwise(time, volatility, spot, time + volatility + spot)


def volatilities(step: Step) -> tuple[FloatArray, FloatArray]:
    """
    Volatility of each leg at both ends, from its mark.

    Where a mark fits no volatility (parity, expired), that of the other end stands in, so that
    no P&L is attributed to a change of volatility that cannot be seen; 0 where neither is known.
    """
    first, last = (_implied(step, end) for end in (0, 1))
    start = np.where(np.isfinite(first), first, last)
    end = np.where(np.isfinite(last), last, first)
    return np.nan_to_num(start), np.nan_to_num(end)


def start_greeks(step: Step, sigma: FloatArray) -> black_scholes.Greeks:
    """Greeks but rho of each leg at the start of a step, per share, held long."""
    without_rho = partial(american.greeks, with_rho=False)
    kernel = black_scholes.greeks if step.european else without_rho
    terms = step.strike, step.tau[0], step.rate[0], step.div_yield[0]
    return kernel(step.underlying(0), *terms, sigma, step.is_call)


def _implied(step: Step, end: int) -> FloatArray:
    kernel = implied.implied_vol if step.european else american.implied_vol
    terms = step.strike, step.tau[end], step.rate[end], step.div_yield[end], step.is_call
    return np.asarray(kernel(step.price[end], step.underlying(end), *terms), dtype=np.float64)


def _later_value(step: Step, sigma: FloatArray) -> FloatArray:
    """Value of each leg at the end's time and the start's spot, per share, held long."""
    kernel = black_scholes.price if step.european else american.price
    terms = step.strike, step.tau[1], step.rate[0], step.div_yield[0]
    return kernel(step.underlying(0), *terms, sigma, step.is_call)


# -- a campaign --------------------------------------------------------------------------------


def attribute(
    entry: JournalEntry, path: Sequence[Snapshot], *, from_start: bool = False
) -> Attribution | None:
    """
    Attribute the P&L of a campaign between the first and the last of *path*, both ways.

    Args:
        entry: The campaign.
        path: Snapshots in order of time; each must have the spot and a mark of every contract held
            into or out of it, else it is skipped with a note.
        from_start: Count the trades up to the first snapshot as well, so that the total is the
            whole P&L of the campaign: their fills against its marks, and their commissions.

    Returns:
        None when fewer than two snapshots can be used. The total is what cash, marks and
        commissions came to between them, whatever happened in between.
    """
    usable = [
        snapshot for snapshot in path if snapshot.spot is not None and _is_marked(entry, snapshot)
    ]
    if len(usable) < 2:
        return None
    parts = np.zeros(len(_PARTS))
    notes: list[str] = []
    for before, after in pairwise(usable):
        parts += _between(entry, before, after, notes)
    first, last = usable[0], usable[-1]
    skipped = len(path) - len(usable)
    if skipped:
        notes.append(f"{skipped} snapshots without all marks were left out")
    counted = [
        trade
        for trade in entry.trades
        if trade.at <= last.at and (from_start or trade.at > first.at)
    ]
    costs = -math.fsum(fill.commission for trade in counted for fill in trade.fills)
    parts[8] += _at_marks((trade for trade in counted if trade.at <= first.at), first)
    return Attribution(
        since=first.at,
        until=last.at,
        total=float(sum(parts[5:])) + costs,
        **dict(zip(_PARTS, parts.tolist(), strict=True)),
        costs=costs,
        notes=tuple(dict.fromkeys(notes)),
    )


def _is_marked(entry: JournalEntry, snapshot: Snapshot) -> bool:
    for leg in campaign.held(entry, snapshot.at):
        if not leg.is_stock:
            mark = snapshot.mark(leg.key)
            if mark is None or mark.price is None or mark.tau is None:
                return False
    return True


def _between(
    entry: JournalEntry, before: Snapshot, after: Snapshot, notes: list[str]
) -> FloatArray:
    """`_PARTS` of one step."""
    legs = campaign.held(entry, before.at)
    kept = [leg for leg in legs if leg.is_stock or _price(after, leg) is not None]
    gone = [leg for leg in legs if leg not in kept]
    parts = np.zeros(len(_PARTS))
    between = (trade for trade in entry.trades if before.at < trade.at <= after.at)
    parts[8] = _at_marks(between, after) - _worth_of(gone, before)
    step = _step(kept, before, after, notes)
    if step is None:
        return parts
    sigma = volatilities(step)
    greeks = by_greeks(step, start_greeks(step, sigma[0]), sigma[1] - sigma[0])
    parts[:5] = greeks[:5]
    parts[5:8] = stepwise(step, sigma)[:3]
    if gone:
        notes.append("legs closed between two snapshots count as traded from mark to fill")
    return parts


def _at_marks(trades: Iterable[Trade], snapshot: Snapshot) -> float:
    """Cash of trades plus what they brought, at the marks of a snapshot."""
    return sum(campaign.cash(trade) + _worth_of(trade.fills, snapshot) for trade in trades)


def _worth_of(legs: Iterable[Fill | Held], snapshot: Snapshot) -> float:
    """Worth at the marks of a snapshot; legs without a mark there were gone by then."""
    total = 0.0
    for leg in legs:
        price = snapshot.spot if leg.is_stock else _price(snapshot, leg)
        if price is not None:
            total += leg.quantity * leg.multiplier * price
    return total


def _step(legs: Iterable[Held], before: Snapshot, after: Snapshot, notes: list[str]) -> Step | None:
    shares = sum(leg.quantity * leg.multiplier for leg in legs if leg.is_stock)
    options = [leg for leg in legs if not leg.is_stock]
    pairs = [(before.mark(leg.key), after.mark(leg.key)) for leg in options]
    if before.spot is None or after.spot is None or (not options and not shares):
        return None
    forward = _columns(pairs, "forward")
    # An option is on its forward only where both ends know it: else it would seem to have moved.
    known = np.isfinite(forward[0] + forward[1])
    rate = _rates(pairs, (before.rate, after.rate))
    tau, (first, last) = _columns(pairs, "tau"), _columns(pairs, "div_yield")
    unknown = (np.isnan(first) & (tau[0] > 0.0)) | (np.isnan(last) & (tau[1] > 0.0))
    if unknown.any():
        notes.append(
            "options without a forward at a snapshot take that of the other, or are carried "
            "without a yield"
        )
    div_yield = (
        np.nan_to_num(np.where(np.isnan(first), last, first)),
        np.nan_to_num(np.where(np.isnan(last), first, last)),
    )
    return Step(
        strike=_floats(leg.strike for leg in options),
        is_call=np.array([leg.is_call for leg in options], dtype=np.bool_),
        amount=_floats(leg.quantity * leg.multiplier for leg in options),
        tau=tau,
        price=_columns(pairs, "price"),
        div_yield=_at_ends(lambda end: np.where(known, rate[end], div_yield[end])),
        spot=(before.spot, after.spot),
        rate=rate,
        shares=shares,
        european=before.european,
        forward=_at_ends(lambda end: np.where(known, forward[end], np.nan)),
    )


def _rates(
    pairs: Sequence[tuple[LegMark | None, LegMark | None]], usual: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Rate of each leg at both ends, that of the snapshot where it has none of its own."""
    own = _columns(pairs, "rate")
    return _at_ends(lambda end: np.where(np.isnan(own[end]), usual[end], own[end]))


def _at_ends(of_end: Callable[[int], FloatArray]) -> tuple[FloatArray, FloatArray]:
    return of_end(0), of_end(1)


def _price(snapshot: Snapshot, leg: Fill | Held) -> float | None:
    mark = snapshot.mark(leg.key)
    return None if mark is None or mark.tau is None else mark.price


def _floats(values: Iterable[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _columns(
    pairs: Sequence[tuple[LegMark | None, LegMark | None]], name: str
) -> tuple[FloatArray, FloatArray]:
    first, last = (_floats(getattr(pair[end], name, None) for pair in pairs) for end in (0, 1))
    return first, last


def in_cents(parts: Sequence[float], total: float) -> tuple[float, ...]:
    """
    Parts rounded to cents so that they sum to the total rounded to cents.

    Running totals are rounded, not the parts, so each is off by at most a cent.
    """
    rounded, running, before = [], 0.0, 0.0
    for index, part in enumerate(parts):
        running += part
        now = round(total if index == len(parts) - 1 else running, 2)
        rounded.append(round(now - before, 2) + 0.0)
        before = now
    return tuple(rounded)


def entry_snapshot(entry: JournalEntry) -> Snapshot | None:
    """The snapshot taken with the opening trade, None when there was none."""
    return next((snapshot for snapshot in entry.snapshots if snapshot.at <= entry.opened_at), None)


def since_yesterday(entry: JournalEntry, day: dt.date) -> Snapshot | None:
    """The last snapshot before *day* (of the exchange), None when there is none."""
    earlier = [snapshot for snapshot in entry.snapshots if snapshot.at.date() < day]
    return earlier[-1] if earlier else None
