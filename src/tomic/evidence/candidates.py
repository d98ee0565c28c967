"""
What could have been opened on modelled smiles, day by day: promises, exits, and what came.

Figures of a day are those of `tomic.strategies.measures`, by the same kernels, for structures of
`tomic.evidence.structures` in the place of a search; outcomes stand beside them and are read by
nothing that decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings, View
from tomic.evidence import trades, walk
from tomic.evidence.history import Dates, SurfaceHistory
from tomic.evidence.managed import ExitBounds, Followed, followed
from tomic.evidence.slices import Slices
from tomic.evidence.structures import STRUCTURES, StandardStructure
from tomic.evidence.trades import Costs, OpenedTrades
from tomic.models.exits import ExitRules
from tomic.quant import density as densities, payoff, probability, realized
from tomic.quant.density import Density
from tomic.strategies import measures
from tomic.strategies.pricing.outlooks import BUMP

_OFTEN = 1.0 - measures.TAIL
"""PoS from which on fewer than 5 % of outcomes may lose, and the tail is that of losses alone."""
_POINTS = 1001
"""Of each density, .02 standard deviations apart: EV to a tenth of a per mille of margin."""
_BLANK = np.datetime64("NaT", "D")


@dataclass(frozen=True, slots=True)
class WalkTerms:
    """Everything that the figures of a day depend on, but for its data."""

    walk: walk.WalkSettings
    exits: tuple[ExitRules, ...]
    """Of each structure."""
    other: Costs
    """A second level of costs."""
    views: Mapping[str, View]
    trust: float
    """How far views move the ranking."""

    @classmethod
    def of(cls, settings: Settings, structures: Sequence[StandardStructure], **given: Any) -> Self:
        """As the settings have it; *given* are fields of `walk.Settings`."""
        own, rules = settings.backtest, settings.journal
        costs = Costs(own.slippage, own.least_slippage, settings.costs.commission)
        walked = walk.WalkSettings(
            days=own.days,
            costs=costs,
            margin=measures.margin_rules(settings, cash=settings.account.margin == "cash"),
            structures=tuple(structures),
            warm_up=own.warm_up,
            points=_POINTS,
            wings=(own.wings_fund, own.wings_stock),
            **given,
        )
        exits = tuple(rules.exits_for(structure.strategy) for structure in structures)
        other = costs._replace(share=own.other_slippage)
        return cls(walked, exits, other, settings.view.by_symbol, settings.view.trust)

    def ranked(self, symbol: str, market: Density) -> Density:
        """The density under which trades of a symbol are ranked; see `Outlook.ranked`."""
        view = self.views.get(symbol)
        if view is None or view == View() or self.trust == 0.0:
            return market
        own = densities.viewed(market, volatility=view.volatility, drift=view.drift)
        return densities.mixture(market, own, self.trust)


class Looked(NamedTuple):
    """Days of entry of any symbols, m of s structures; money in currency per structure."""

    symbol: NDArray[Any]
    """(m,), as all that follows until `strike`."""
    day: Dates
    spot: FloatArray
    iv30: FloatArray
    hv30: FloatArray
    iv_rank: FloatArray
    iv_percentile: FloatArray
    skew: FloatArray
    """Volatility of the 25-delta call less that of the put, as in `VolSnapshot`."""
    term: FloatArray
    """First less second expiry."""
    earnings: Dates
    """The next report; NaT where none is known."""
    unknown: IntArray
    """Why holding has no outcome: a place in `walk.UNKNOWN`."""
    move: FloatArray
    """Return of the underlying until the expiry, fraction."""
    strike: FloatArray
    """(m, s, k), currency per share."""
    credit: FloatArray
    """(m, s), as all that follows: after costs of entry."""
    costs: FloatArray
    other_costs: FloatArray
    margin: FloatArray
    max_profit: FloatArray
    max_loss: FloatArray
    profit: FloatArray
    pos: FloatArray
    ev: FloatArray
    ranked_pos: FloatArray
    ranked_ev: FloatArray
    """With the view as far as it is trusted, before what a robust score takes off."""
    tail: FloatArray
    slope: FloatArray
    """dEV / d ln sigma."""
    held: FloatArray
    """P&L at the expiry before costs; NaN where it is not known."""
    managed: FloatArray
    """P&L with exits before costs; NaN where it is not known."""
    days: FloatArray
    """Calendar days until an exit or the expiry."""
    reason: IntArray
    """Place in `managed.REASONS`."""
    leaving: FloatArray
    other_leaving: FloatArray
    exit_move: FloatArray
    """Return of the underlying until an exit; NaN of what was held."""
    unmarked: IntArray

    def take(self, rows: IntArray | BoolArray) -> Looked:
        """The chosen days, in their order."""
        return Looked._make(part[rows] for part in self)

    @classmethod
    def joined(cls, parts: Sequence[Looked]) -> Looked:
        """One below the other."""
        return cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def look(
    history: SurfaceHistory,
    days: Dates,
    terms: WalkTerms,
    missing: Counter[str],
    earnings: Dates | None = None,
) -> Looked | None:
    """
    Every structure of one symbol on those of *days* on which it can be opened; None if on none.

    Args:
        history: Of the symbol.
        days: Of entry, ascending.
        terms: What is opened, how it is judged and left.
        missing: Told why days are left out.
        earnings: Days of its reports, ascending.
    """
    given = terms.walk
    opened = walk.positions(history, days, given, missing, whole=False)
    if opened is None:
        return None
    at, smiles, entries = opened.at, opened.smiles, opened.trades
    day, spot = history.day[at], history.close[at]
    report = _next(earnings, day)
    gross = trades.brought(smiles, entries, opened.terminal) + entries.costs
    came = _followed(opened, terms, gross, (report - day).astype(float))
    figures = _figures(history.symbol, smiles, entries, terms)
    lows, highs = (smiles.k_of_delta(np.full(at.size, delta)) for delta in (0.75, 0.25))
    place = {
        name: realized.rolling_place(kind, history.iv30).value[at]
        for name, kind in (("rank", realized.iv_rank), ("percentile", realized.iv_percentile))
    }
    return Looked(
        symbol=np.full(at.size, history.symbol, dtype=object),
        day=day,
        spot=spot,
        iv30=np.sqrt(smiles.theta / smiles.tau),
        hv30=history.historical_volatility(given.hv_window)[at],
        iv_rank=place["rank"],
        iv_percentile=place["percentile"],
        skew=smiles.iv(highs) - smiles.iv(lows),
        term=(history.front_iv - history.next_iv)[at],
        earnings=report,
        unknown=opened.unknown,
        move=opened.terminal / spot - 1.0,
        strike=entries.legs.strike.astype(np.float32),
        credit=entries.credit,
        costs=entries.costs,
        other_costs=terms.other.of(entries.price, entries.legs.quantity),
        margin=entries.net_margin,
        held=gross,
        managed=came.gross,
        days=came.days,
        reason=came.reason,
        leaving=came.leaving[0],
        other_leaving=came.leaving[1],
        exit_move=came.spot / spot[:, None] - 1.0,
        unmarked=came.unmarked,
        **figures,
    )


def chosen_structures(strategies: Sequence[str]) -> tuple[StandardStructure, ...]:
    """The structures that stand for *strategies*; a short put for either kind of it."""
    names = {"naked_put" if name == "cash_secured_put" else name for name in strategies}
    return tuple(structure for structure in STRUCTURES if structure.strategy in names)


def _next(earnings: Dates | None, day: Dates) -> Dates:
    """The first report on or after each day; NaT where none is known."""
    if earnings is None or not earnings.size:
        return np.full(day.size, _BLANK)
    place = np.searchsorted(earnings, day)
    return np.where(place < earnings.size, earnings[np.minimum(place, earnings.size - 1)], _BLANK)


def _followed(
    opened: walk.Positions, terms: WalkTerms, gross: FloatArray, to_earnings: FloatArray
) -> Followed:
    given, entries = terms.walk, opened.trades

    def limits(name: str) -> FloatArray:
        own = [getattr(rules, name) for rules in terms.exits]
        return np.array([np.nan if value is None else float(value) for value in own])

    plan = ExitBounds(
        limits("profit_target"), limits("stop"), limits("min_dte"), limits("max_days_in_trade"),
        limits("earnings_days"),
        np.array([rules.short_strike_breached for rules in terms.exits], dtype=np.bool_),
    )  # fmt: skip
    contracts = np.abs(entries.legs.quantity).sum(axis=-1)
    premium = entries.credit + given.costs.commission * contracts
    return followed(
        opened.surfaces, opened.at, given.days, entries, gross, plan, [given.costs, terms.other],
        start=entries.credit, premium=premium, to_earnings=to_earnings,
    )  # fmt: skip


def _figures(
    symbol: str, smiles: Slices, entries: OpenedTrades, terms: WalkTerms
) -> dict[str, FloatArray]:
    """What a structure promises on each day, (m, s) by name."""
    most, worst = payoff.extremes(_printed(smiles, entries))
    names = ("pos", "ev", "ranked_pos", "ranked_ev", "tail", "slope")
    told = {name: np.full(most.shape, np.nan) for name in names} | {"profit": most.copy()}
    open_ended = _rises(entries)
    for row in range(most.shape[0]):
        shape = payoff.Segments(*(part[row] for part in entries.shape))
        market = densities.from_smile(smiles.smile(row), points=terms.walk.points)
        ranked = terms.ranked(symbol, market)
        told["pos"][row] = probability.pos(market, shape)
        told["ev"][row] = probability.ev(market, shape)
        told["tail"][row] = _tail(market, shape, told["pos"][row])
        told["slope"][row] = float(smiles.discount[row]) * _slope(ranked, entries, row)
        far = np.flatnonzero(open_ended[row])
        if far.size:
            part = payoff.Segments(*(each[far] for each in shape))
            told["profit"][row, far] = probability.quantiles(market, part, 1.0 - measures.TAIL)
        for name, figure in (("ranked_pos", probability.pos), ("ranked_ev", probability.ev)):
            plain = told[name.removeprefix("ranked_")][row]
            told[name][row] = plain if ranked is market else figure(ranked, shape)
    return told | {"max_profit": most, "max_loss": worst}


def _printed(smiles: Slices, entries: OpenedTrades) -> payoff.Segments:
    """P&L at the expiry as brokers print it, not discounted; see `measures.as_printed`."""
    form, discount = entries.shape, smiles.discount[:, None]
    credit = entries.credit[..., None]
    value = (form.value - credit) / discount[..., None] + credit
    return payoff.Segments(form.node, value, form.slope / discount)


def _rises(entries: OpenedTrades) -> BoolArray:
    """Where profit has no bound but the price itself; see `measures.rises_without_bound`."""
    form, legs = entries.shape, entries.legs
    puts = np.where(legs.is_call, 0.0, legs.quantity).sum(axis=-1)
    falling = (puts > 0.0) & (form.value[..., 0] >= form.value.max(axis=-1))
    return np.asarray((form.slope > 0.0) | falling, dtype=np.bool_)


def _tail(market: Density, shape: payoff.Segments, pos: FloatArray) -> FloatArray:
    """Mean loss of the worst 5 % of outcomes, >= 0; see `measures.tail_loss`."""
    near = probability.quantiles(market, shape, measures.TAIL)
    tail = probability.cvar(market, shape, 1.0 - measures.TAIL, near=near)
    if (pos >= _OFTEN).any():
        below = probability.shortfall(market, shape)
        tail = np.where(below.probability > measures.TAIL, tail, below.mean / measures.TAIL)
    return np.asarray(np.maximum(tail, 0.0))


def _slope(ranked: Density, entries: OpenedTrades, row: int) -> FloatArray:
    """dEV / d ln sigma undiscounted, (s,); the sum of the legs' own, as in `measures`."""
    legs = entries.legs
    low, high = (
        np.where(legs.is_call, law.call_value(legs.strike[row]), law.put_value(legs.strike[row]))
        for law in (densities.viewed(ranked, volatility=1.0 + sign * BUMP) for sign in (-1.0, 1.0))
    )
    worth = (legs.quantity * (high - low)).sum(axis=-1)
    return np.asarray(trades.MULTIPLIER * worth / (2.0 * BUMP))
