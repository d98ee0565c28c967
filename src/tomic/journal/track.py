"""
Saved proposals followed day by day: marked, judged by the exits of their strategy, and counted.

A day is judged on what was known at its end, so that nothing of a later day can change it. The
rules are those that a scan's managed outcome simulates; ``iv_rank_below``, ``iv_rise``,
``dividend_days`` and ``negative_ev`` are left out there and here. Closing costs what entering cost:
the same share of each leg's half-spread, and commission.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.journal import exits, statistics
from tomic.journal.exits import Observed, ShortLeg
from tomic.models import Proposal
from tomic.models.exits import ExitRules
from tomic.models.journal import Interval
from tomic.models.track import FollowedProposal, MarkSource, TrackGroup, TrackMark, TrackOutcome
from tomic.models.trade import Leg
from tomic.quant import black_scholes

LegName = tuple[dt.date, float, str]
"""Expiry, strike and right of an option."""

LEAST_ENDED = 30
"""Ended proposals below which a group proves nothing, and `LEAST_MONTHS` the months."""
LEAST_MONTHS = 3
_OUTCOMES: Mapping[str, TrackOutcome] = {
    "profit_target": "target",
    "min_dte": "time",
    "max_days_in_trade": "time",
    "earnings_days": "time",
}
_NUDGE = 1e-3


class LegQuote(NamedTuple):
    """The market of one option at the end of a day; currency per share."""

    bid: float
    ask: float
    delta: float

    @property
    def is_usable(self) -> bool:
        """Whether both sides are there and in order; a bid of nothing is one."""
        return 0.0 <= self.bid <= self.ask < math.inf and self.ask > 0.0


class DayMarket(NamedTuple):
    """What is known of an underlying at the end of one day."""

    day: dt.date
    close: float | None
    """Of the stored bar."""
    vol_ratio: float = 1.0
    """30-day volatility of the day over that of the day of the proposal."""
    spot: float | None = None
    """Of the kept chain."""
    quotes: Mapping[LegName, LegQuote] = {}


class _Priced(NamedTuple):
    """The options of a proposal on one day."""

    price: FloatArray
    delta: FloatArray
    cost: float
    """Of closing, currency per structure."""
    spot: float
    source: MarkSource


def simulated(rules: ExitRules) -> ExitRules:
    """*rules* without those that do not follow from prices alone."""
    off = {"iv_rank_below": None, "iv_rise": None, "dividend_days": None, "negative_ev": False}
    return ExitRules(**(rules.model_dump() | off))


def begin(proposal: Proposal, made: dt.date, rules: ExitRules) -> FollowedProposal:
    """A proposal on the day it was made."""
    managed = proposal.managed
    return FollowedProposal(
        id=proposal.id,
        symbol=proposal.symbol,
        strategy=proposal.strategy,
        trade=proposal.trade,
        grade=proposal.grade.value,
        made=made,
        expiry=proposal.expiry,
        margin=proposal.margin,
        multiplier=proposal.multiplier,
        score=proposal.score,
        pos=proposal.pos,
        ev=proposal.ev,
        p_target=managed.p_target if managed else None,
        managed_ev=managed.ev if managed else None,
        rules=simulated(rules),
    )


def advanced(
    followed: FollowedProposal, proposal: Proposal, market: DayMarket, *, slippage: float
) -> FollowedProposal | None:
    """
    The proposal after one more day before its expiry; None where the day has no price of it.

    Args:
        slippage: Share of each leg's half-spread that closing costs.
    """
    priced = _priced(proposal, market, slippage)
    if priced is None:
        return None
    mark = _mark(proposal, market.day, priced)
    grown = followed.model_copy(
        update={"marks": (*followed.marks, mark), "day": market.day, "pnl": round(mark.pnl, 2)}
    )
    observed = _observed(proposal, followed.made, mark, priced)
    fired = next((s for s in exits.evaluate(followed.rules, observed) if s.fired), None)
    if fired is None:
        return grown
    return grown.model_copy(
        update={"outcome": _OUTCOMES.get(fired.rule, "stop"), "rule": fired.rule}
    )


def expired(followed: FollowedProposal, result: float) -> FollowedProposal:
    """A proposal that no rule closed, at its expiry."""
    return followed.model_copy(
        update={"outcome": "expiry", "day": followed.expiry, "pnl": round(result, 2)}
    )


def void(followed: FollowedProposal, why: str) -> FollowedProposal:
    """A proposal that can no longer be followed, and counts nowhere."""
    return followed.model_copy(update={"outcome": "void", "pnl": None, "note": why})


# -- a day -----------------------------------------------------------------------------------


def _options(proposal: Proposal) -> list[Leg]:
    return [leg for leg in proposal.legs if leg.sec_type == "OPT"]


def leg_names(proposal: Proposal) -> list[LegName]:
    """The options of a proposal, in the order of its legs."""
    return [
        (leg.expiry, leg.strike, leg.right)
        for leg in _options(proposal)
        if leg.expiry is not None and leg.strike is not None and leg.right is not None
    ]


def _priced(proposal: Proposal, market: DayMarket, slippage: float) -> _Priced | None:
    quotes = [market.quotes.get(name) for name in leg_names(proposal)]
    usable = [quote for quote in quotes if quote is not None and quote.is_usable]
    spot = market.spot if market.spot is not None else market.close
    if len(usable) == len(quotes) and spot is not None:
        size = np.abs([leg.quantity for leg in _options(proposal)])
        bid, ask, delta = np.array(usable).T
        half = float((size * 0.5 * (ask - bid)).sum()) * proposal.multiplier
        cost = slippage * half + proposal.commission
        return _Priced(0.5 * (bid + ask), delta, cost, spot, "quotes")
    if market.close is None:
        return None
    return _modelled(proposal, market, market.close)


def _modelled(proposal: Proposal, market: DayMarket, spot: float) -> _Priced:
    """By Black's formula, never below what exercise pays."""
    options = _options(proposal)
    strike = np.array([leg.strike for leg in options], dtype=np.float64)
    days = [(leg.expiry - market.day).days if leg.expiry else 0 for leg in options]
    sigma = market.vol_ratio * np.array(
        [leg.iv or proposal.market_volatility for leg in options], dtype=np.float64
    )
    is_call = np.array([leg.right == "C" for leg in options])
    tau = np.array(days, dtype=np.float64) / 365.0

    def value(price: float) -> FloatArray:
        worth = black_scholes.price(
            price, strike, tau, proposal.rate, _div_yield(proposal), sigma, is_call
        )
        gap = price - strike
        return np.asarray(np.maximum(worth, np.maximum(np.where(is_call, gap, -gap), 0.0)))

    up, down = (value(spot * (1.0 + step)) for step in (_NUDGE, -_NUDGE))
    # What entering gave away against mid is what leaving will.
    cost = max(proposal.credit_mid - proposal.credit, 0.0) + proposal.commission
    return _Priced(value(spot), (up - down) / (2.0 * _NUDGE * spot), cost, spot, "model")


def _div_yield(proposal: Proposal) -> float:
    carry = math.log(proposal.forward / proposal.spot) / proposal.tau if proposal.tau else 0.0
    return proposal.rate - carry


def _mark(proposal: Proposal, day: dt.date, priced: _Priced) -> TrackMark:
    quantity = np.array([leg.quantity for leg in _options(proposal)], dtype=np.float64)
    worth = proposal.multiplier * float((quantity * priced.price).sum())
    years = (day - proposal.as_of.date()).days / 365.0
    shares = sum(leg.quantity for leg in proposal.legs if leg.sec_type == "STK")
    # Shares are financed and pay dividends: what counts is where they stand against the forward.
    forward = proposal.spot * math.exp((proposal.rate - _div_yield(proposal)) * years)
    later = worth + shares * (priced.spot - forward) - priced.cost
    return TrackMark(
        day=day,
        watched=round(worth + proposal.net_credit, 4),
        pnl=round(proposal.net_credit + math.exp(-proposal.rate * years) * later, 4),
        source=priced.source,
    )


def _observed(proposal: Proposal, made: dt.date, mark: TrackMark, priced: _Priced) -> Observed:
    reports = [event.date for event in proposal.events if event.kind == "earnings" and event.date]
    shorts = [
        ShortLeg(
            leg.text,
            leg.strike or 0.0,
            leg.right == "C",
            leg.expiry or proposal.expiry,
            None if math.isnan(delta) else delta,
            price,
        )
        for leg, delta, price in zip(
            _options(proposal), priced.delta.tolist(), priced.price.tolist(), strict=True
        )
        if leg.quantity < 0
    ]
    return Observed(
        day=mark.day,
        opened=made,
        dte=(proposal.expiry - mark.day).days,
        pnl=mark.watched,
        premium=proposal.credit,
        spot=priced.spot,
        shorts=tuple(shorts),
        earnings=min((day for day in reports if day >= mark.day), default=None),
    )


# -- counting --------------------------------------------------------------------------------


def distinct(followed: Iterable[FollowedProposal]) -> list[FollowedProposal]:
    """Each trade of a day once: the first of those that several scans of the day proposed."""
    seen: dict[tuple[dt.date, str, str], FollowedProposal] = {}
    for each in followed:
        seen.setdefault((each.made, each.symbol, each.trade), each)
    return list(seen.values())


def by_grade(
    followed: Sequence[FollowedProposal], *, month: str = "", draws: int = 2000
) -> tuple[TrackGroup, ...]:
    """Promised and realised of each grade, A first; void ones are left out."""
    live = [each for each in followed if each.outcome != "void"]
    grades = sorted({each.grade for each in live})
    return tuple(
        _group(grade, month, [each for each in live if each.grade == grade], draws)
        for grade in grades
    )


def by_month(followed: Sequence[FollowedProposal], *, draws: int = 2000) -> tuple[TrackGroup, ...]:
    """The same for each month of proposals, newest first."""
    months = sorted({month_of(each) for each in followed}, reverse=True)
    return tuple(
        group
        for month in months
        for group in by_grade(
            [each for each in followed if month_of(each) == month], month=month, draws=draws
        )
    )


def month_of(followed: FollowedProposal) -> str:
    """Month of the proposal, ``2026-10``."""
    return f"{followed.made:%Y-%m}"


def _group(grade: str, month: str, members: list[FollowedProposal], draws: int) -> TrackGroup:
    ended = [each for each in members if each.counts]
    months = {month_of(each) for each in ended}
    marks = [mark for each in ended for mark in each.marks]
    targets = [each for each in ended if each.p_target is not None]
    return TrackGroup(
        grade=grade,
        month=month,
        n=len(members),
        ended=len(ended),
        won=_rate(ended, [(each.pnl or 0.0) > 0.0 for each in ended], draws),
        pos=_mean([each.pos for each in ended]),
        target=_rate(ended, [each.outcome == "target" for each in ended], draws),
        p_target=_mean([each.p_target for each in targets if each.p_target is not None]),
        per_margin=_returns(ended, draws),
        managed_ev=_mean(
            [
                each.managed_ev / each.margin
                for each in ended
                if each.managed_ev is not None and each.margin > 0.0
            ]
        ),
        ev=_mean([each.ev / each.margin for each in ended if each.margin > 0.0]),
        by_quotes=_mean([float(mark.source == "quotes") for mark in marks]),
        few=_too_few(len(ended), len(months)),
    )


def _too_few(ended: int, months: int) -> str:
    if ended >= LEAST_ENDED and months >= LEAST_MONTHS:
        return ""
    if not ended:
        return "none has ended"
    return f"too few: {ended} ended in {months} month{'' if months == 1 else 's'}"


def _rate(ended: Sequence[FollowedProposal], hits: Sequence[bool], draws: int) -> Interval:
    """
    A share: by whole months where there are enough of them, else Wilson's interval.

    Wilson's takes trades for independent, which those of one month are not: of many it says too
    much, and few months have no better.
    """
    months = [month_of(each) for each in ended]
    if len(set(months)) < LEAST_MONTHS:
        return statistics.wilson(sum(hits), len(hits))
    return _by_month([(month, float(hit)) for month, hit in zip(months, hits, strict=True)], draws)


def _returns(ended: Sequence[FollowedProposal], draws: int) -> Interval:
    """Mean P&L per margin."""
    known = [(month_of(each), value) for each in ended if (value := each.per_margin) is not None]
    return _by_month(known, draws)


def _by_month(known: Sequence[tuple[str, float]], draws: int) -> Interval:
    """A mean; whole months are drawn, as proposals of one share its market."""
    if not known:
        return Interval()
    cluster = statistics.clusters([month for month, _ in known])
    values = np.array([value for _, value in known])
    sums = statistics.resampled_sums(cluster, np.column_stack((np.ones(len(known)), values)), draws)
    return statistics.interval(
        float(values.mean()), statistics.ratio(sums[:, 1], sums[:, 0]), count=int(cluster.max()) + 1
    )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
