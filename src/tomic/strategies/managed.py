"""
What proposals bring if the exits of the journal close them: for the few that are shown.

Each is run over simulated paths of `tomic.quant.paths` that end as the market's densities say,
once a trading day, at the hour at which it was found, as ``tomic journal check`` would be. Paths
are shared by all trades of one symbol and first expiry.

Simulated: the profit target, the stop, the last day (``min_dte``, ``max_days_in_trade``,
``earnings_days`` before a known date), and ``spot_below``, ``spot_above``, ``short_delta`` and
``short_strike_breached``, which count as the stop. Not simulated, as it does not follow from the
price of the underlying alone: ``iv_rank_below``, ``iv_rise``, ``dividend_days``, ``negative_ev``.

Closing costs what entering costs: the same share of each leg's half-spread, and commission. At an
expiry nothing is closed: options are settled, or assigned, and later legs stand at their value, as
in `Proposal.ev`. With every exit off this is `Proposal.ev` again. What exits change is the spread
of outcomes; on average they cost what closing costs, since the market's density knows no edge.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic import dates
from tomic._typing import FloatArray
from tomic.models import ManagedOutcome, Proposal
from tomic.models.exits import ExitRules
from tomic.quant import paths, probability
from tomic.quant.paths import ExitPlan, Law, Paths
from tomic.strategies import measures
from tomic.strategies.candidates import expiry_of
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.outlooks import Outlook
from tomic.strategies.proposals import batch_of
from tomic.strategies.search import Hit

_HOUR = 1.0 / (365.0 * 24.0)


def outcomes(hits: Sequence[Hit], shifts: Sequence[float] = ()) -> list[ManagedOutcome | None]:
    """
    The managed outcome of each of *hits*, with the exits of ``[journal]`` for its strategy.

    Args:
        shifts: Added to each P&L, as where `Proposal.ev` does not trust the quotes' credit in
            full; none where empty. Target and stop are those of the credit itself.

    Returns:
        In their order; None where a price that is needed is missing.
    """
    added = list(shifts) or [0.0] * len(hits)
    groups: dict[tuple[int, dt.date], list[int]] = {}
    for place, hit in enumerate(hits):
        groups.setdefault((id(hit.board), hit.expiries[0]), []).append(place)
    results: list[ManagedOutcome | None] = [None] * len(hits)
    for places in groups.values():
        chosen = [hits[place] for place in places]
        answers = _of_group(chosen, [added[place] for place in places])
        for place, answer in zip(places, answers, strict=True):
            results[place] = answer
    return results


def with_outcomes(hits: Sequence[Hit], proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """*proposals*, which describe *hits* one by one, with what managing them brings."""
    shifts = [
        0.0 if proposal.ev_quotes is None else proposal.ev - proposal.ev_quotes
        for proposal in proposals
    ]
    return tuple(
        proposal.model_copy(update={"managed": result})
        for proposal, result in zip(proposals, outcomes(hits, shifts), strict=True)
    )


class _Days(NamedTuple):
    """The days on which trades of one expiry may be closed; its settlement is the last."""

    elapsed: FloatArray
    """(d,) calendar days from now."""
    tau: FloatArray
    """(d,) years from now."""

    @classmethod
    def until(cls, board: Board, first: Outlook) -> _Days:
        """Trading days after today up to the expiry, at the hour of the chain; the expiry last."""
        underlying = board.chain.underlying
        today = first.expiry - dt.timedelta(days=first.dte)
        in_new_york = dates.keeps_new_york_hours(underlying)
        later = [
            number
            for number in range(1, first.dte + 1)
            if (day := today + dt.timedelta(days=number)).weekday() < 5
            and not (in_new_york and dates.is_holiday(day))
            and number / 365.0 < first.tau - _HOUR
        ]
        elapsed = np.array([*later, max(first.dte, 1)], dtype=np.float64)
        return cls(elapsed, np.array([*(elapsed[:-1] / 365.0), first.tau]))


class _Group(NamedTuple):
    """What trades of one symbol and first expiry share."""

    board: Board
    first: Outlook
    days: _Days
    law: Law
    discount: FloatArray
    """(d,) from now to each day."""
    values: dict[tuple[dt.date, float, str], FloatArray]
    """Value of each option so far, (d, m)."""


class Managed(NamedTuple):
    """Trades of one symbol and first expiry, ready to be run: a plan each, paths for all."""

    plans: list[ExitPlan]
    paths: Paths
    elapsed: FloatArray
    """(d,) calendar days from now."""


def prepare(hits: Sequence[Hit], shifts: Sequence[float]) -> Managed:
    """The plans of trades of one board and first expiry; *shifts* as for `outcomes`."""
    board, near = hits[0].board, hits[0].expiries[0]
    first = board.outlooks[near]
    days = _Days.until(board, first)
    rules = [board.settings.journal.exits_for(hit.template.name) for hit in hits]
    ends = [_last_day(rule, days, first, board.vol.next_earnings) for rule in rules]
    count = max(ends) + 1
    days = _Days(days.elapsed[:count], days.tau[:count])
    earlier = [outlook for outlook in board.outlooks.values() if outlook.tau <= first.tau]
    earlier.sort(key=lambda outlook: outlook.tau)
    law = paths.law(board.spot, [outlook.market for outlook in earlier], days.tau)
    time = [0.0, *(outlook.tau for outlook in earlier)]
    carry = [0.0, *(math.log(outlook.discount) for outlook in earlier)]
    group = _Group(board, first, days, law, np.exp(np.interp(days.tau, time, carry)), {})
    plans = [
        _plan(hit, rule, group, end, shift)
        for hit, rule, end, shift in zip(hits, rules, ends, shifts, strict=True)
    ]
    return Managed(plans, paths.simulate(law), days.elapsed)


def _of_group(hits: Sequence[Hit], shifts: Sequence[float]) -> list[ManagedOutcome | None]:
    ready = prepare(hits, shifts)
    return [_outcome(plan, ready) for plan in ready.plans]


def _outcome(plan: ExitPlan, ready: Managed) -> ManagedOutcome | None:
    """None where a value is missing."""
    if not (np.isfinite(plan.gain).all() and np.isfinite(plan.watched).all()):
        return None
    result = paths.outcome(plan, ready.paths, ready.elapsed)
    return ManagedOutcome(
        target=plan.target if math.isfinite(plan.target) else None,
        p_target=result.p_target,
        p_stop=result.p_stop,
        p_time=result.p_time,
        p_expiry=result.p_expiry,
        days=result.held,
        ev=result.ev,
        ev_error=result.ev_error,
        tail=result.tail,
        paths=ready.paths.cell.shape[1],
    )


def _last_day(rules: ExitRules, days: _Days, first: Outlook, earnings: dt.date | None) -> int:
    """Place of the day on which time closes a trade; the last one is the expiry itself."""
    today = first.expiry - dt.timedelta(days=first.dte)
    report = None if earnings is None else (earnings - today).days
    for place, number in enumerate(days.elapsed[:-1].tolist()):
        if rules.is_last_day(
            dte=first.dte - int(number),
            held=int(number),
            to_earnings=None if report is None else report - int(number),
        ):
            return place
    return len(days.elapsed) - 1


def _plan(hit: Hit, rules: ExitRules, group: _Group, end: int, shift: float) -> ExitPlan:
    board, law, discount = group.board, group.law, group.discount
    batch = batch_of(hit)
    credit, _, commission = (float(part[0]) for part in measures.credits(batch, board))
    lot = float(board.chain.multiplier)
    strikes = board.strike[list(hit.rows)].tolist()
    values = [
        leg.quantity * _option(group, expiry_of(leg, hit.expiries), strike, leg.right)
        for leg, strike in zip(hit.template.legs, strikes, strict=True)
    ]
    worth: FloatArray = lot * np.stack(values).sum(axis=0)
    closing = (
        board.settings.costs.slippage
        * lot
        * float((np.abs(batch.quantity) * batch.legs(board.prices.half_spread)).sum())
        + commission
    )
    expires = end == len(discount) - 1 and group.days.tau[end] == group.first.tau
    shares = lot * hit.template.stock * (law.price - law.forward[:, None])
    form = measures.shape(batch, board, np.array([credit]))
    target, stop = rules.levels(credit + commission)
    return ExitPlan(
        watched=worth + credit,
        gain=credit + shift + discount[:, None] * (worth + shares),
        cost=discount * closing,
        hold=shift + float(probability.ev(group.first.market, form)[0]),
        target=math.inf if target is None else target,
        stop=-math.inf if stop is None else stop,
        last=end,
        expires=expires,
        breach=_breach(hit, rules, group),
    )


def _option(group: _Group, expiry: dt.date, strike: float, right: str) -> FloatArray:
    """Value of one option on every day, (d, m), currency per share; worked out once a group."""
    key = (expiry, strike, right)
    if key not in group.values:
        board, outlook = group.board, group.board.outlooks[expiry]
        value = paths.option_values(
            group.law,
            outlook.smile,
            strike,
            right == "C",
            discount=group.discount,
            american=board.chain.is_american,
        )
        if outlook is not group.first and group.days.tau[-1] == group.first.tau:
            # The same values as behind the expected value of holding.
            later = board.later(group.first.expiry, expiry)
            value[-1] = later.value(group.law.price[-1], strike, right)
        group.values[key] = value
    return group.values[key]


def _breach(hit: Hit, rules: ExitRules, group: _Group) -> FloatArray | None:
    """How far each price is beyond the nearest level at which the trade is left, (d, m)."""
    price = group.law.price
    beyond: list[FloatArray] = []
    if rules.spot_below is not None:
        beyond.append(rules.spot_below - price)
    if rules.spot_above is not None:
        beyond.append(price - rules.spot_above)
    strikes = hit.board.strike[list(hit.rows)].tolist()
    for leg, strike in zip(hit.template.legs, strikes, strict=True):
        if leg.quantity >= 0:
            continue
        if rules.short_strike_breached:
            beyond.append(price - strike if leg.right == "C" else strike - price)
        if rules.short_delta is not None:
            value = _option(group, expiry_of(leg, hit.expiries), strike, leg.right)
            delta = np.gradient(value, axis=1) / np.gradient(price, axis=1)
            beyond.append(np.abs(delta) - rules.short_delta)
    return np.max(beyond, axis=0) if beyond else None
