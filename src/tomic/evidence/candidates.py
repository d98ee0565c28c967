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
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings, View
from tomic.evidence import trades, walk
from tomic.evidence.history import Dates, SurfaceHistory
from tomic.evidence.managed import Beside, ExitBounds, Followed, Later, followed, sold_later
from tomic.evidence.structures import ALL, StandardStructure
from tomic.evidence.trades import Costs
from tomic.models import settles_in_cash
from tomic.models.exits import ExitRules
from tomic.quant import density as densities, later_expiries, payoff, probability, realized
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
        if not self.is_viewed(symbol):
            return market
        view = self.views[symbol]
        own = densities.viewed(market, volatility=view.volatility, drift=view.drift)
        return densities.mixture(market, own, self.trust)

    def is_viewed(self, symbol: str) -> bool:
        """Whether a view moves the ranking of a symbol."""
        view = self.views.get(symbol)
        return not (view is None or view == View() or self.trust == 0.0)


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
    far_days: FloatArray
    """Calendar days to the second expiry; NaN where there is none."""
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
    upside: FloatArray
    """Least P&L from the highest strike up: -inf where it falls without bound."""
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
    final: FloatArray
    """What selling the legs of a second expiry costs there."""
    other_final: FloatArray
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


class Calendar(NamedTuple):
    """What is known to come of one symbol, ascending by day."""

    earnings: Dates
    ex_days: Dates
    dividends: FloatArray
    """Amounts on the ex-days, currency per share."""

    @classmethod
    def of(
        cls, earnings: Sequence[Any] = (), ex_days: Sequence[Any] = (),
        dividends: Sequence[float] = (),
    ) -> Self:  # fmt: skip
        """From days as they come."""
        return cls(
            np.array(earnings, dtype="datetime64[D]"), np.array(ex_days, dtype="datetime64[D]"),
            np.array(dividends, dtype=np.float64),
        )  # fmt: skip


NOTHING_KNOWN = Calendar.of()


def look(
    history: SurfaceHistory,
    days: Dates,
    terms: WalkTerms,
    missing: Counter[str],
    calendar: Calendar = NOTHING_KNOWN,
) -> Looked | None:
    """
    Every structure of one symbol on those of *days* on which it can be opened; None if on none.

    Args:
        history: Of the symbol.
        days: Of entry, ascending.
        terms: What is opened, how it is judged and left.
        missing: Told why days are left out.
        calendar: Of the symbol.
    """
    given = terms.walk
    opened = walk.positions(history, days, given, missing, whole=False)
    if opened is None:
        return None
    at, smiles, entries = opened.at, opened.smiles, opened.trades
    day, spot = history.day[at], history.close[at]
    report = _next(calendar.earnings, day)
    lows, highs = (smiles.k_of_delta(np.full(at.size, delta)) for delta in (0.75, 0.25))
    place = {
        name: realized.rolling_place(kind, history.iv30).value
        for name, kind in (("rank", realized.iv_rank), ("percentile", realized.iv_percentile))
    }
    beside = Beside(
        to_earnings=(report - day).astype(float),
        iv_rank=place["rank"],
        ex_days=calendar.ex_days,
        dividends=calendar.dividends,
        viewed=partial(terms.ranked, history.symbol) if terms.is_viewed(history.symbol) else None,
    )
    whole = (history.day[opened.end] - day).astype(float)
    later = sold_later(
        opened.surfaces, opened.end, opened.far_days - whole, opened.terminal, entries,
        [given.costs, terms.other],
    )  # fmt: skip
    gross = trades.brought(smiles, entries, opened.terminal, later.worth) + entries.costs
    came = _followed(opened, terms, gross, later, beside)
    figures = _figures(history.symbol, opened, terms)
    return Looked(
        symbol=np.full(at.size, history.symbol, dtype=object),
        day=day,
        spot=spot,
        iv30=np.sqrt(smiles.theta / smiles.tau),
        hv30=history.historical_volatility(given.hv_window)[at],
        iv_rank=place["rank"][at],
        iv_percentile=place["percentile"][at],
        skew=smiles.iv(highs) - smiles.iv(lows),
        term=(history.front_iv - history.next_iv)[at],
        earnings=report,
        unknown=opened.unknown,
        move=opened.terminal / spot - 1.0,
        far_days=opened.far_days,
        strike=entries.legs.strike.astype(np.float32),
        credit=entries.credit,
        costs=entries.costs,
        other_costs=terms.other.of(entries.price, entries.legs.quantity),
        margin=entries.net_margin,
        held=gross,
        final=later.paid[0],
        other_final=later.paid[1],
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
    return tuple(structure for structure in ALL if structure.strategy in names)


def _next(earnings: Dates, day: Dates) -> Dates:
    """The first report on or after each day; NaT where none is known."""
    if not earnings.size:
        return np.full(day.size, _BLANK)
    place = np.searchsorted(earnings, day)
    return np.where(place < earnings.size, earnings[np.minimum(place, earnings.size - 1)], _BLANK)


def _followed(
    opened: walk.Positions, terms: WalkTerms, gross: FloatArray, later: Later, beside: Beside
) -> Followed:
    given, entries = terms.walk, opened.trades

    def limits(name: str) -> FloatArray:
        own = [getattr(rules, name) for rules in terms.exits]
        return np.array([np.nan if value is None else float(value) for value in own])

    def agreed(name: str) -> BoolArray:
        return np.array([getattr(rules, name) for rules in terms.exits], dtype=np.bool_)

    plan = ExitBounds(
        target=limits("profit_target"),
        stop=limits("stop"),
        min_dte=limits("min_dte"),
        max_days=limits("max_days_in_trade"),
        earnings_days=limits("earnings_days"),
        breach=agreed("short_strike_breached"),
        spot_below=limits("spot_below"),
        spot_above=limits("spot_above"),
        short_delta=limits("short_delta"),
        dividend_days=limits("dividend_days"),
        iv_rise=limits("iv_rise"),
        iv_rank_below=limits("iv_rank_below"),
        negative_ev=agreed("negative_ev"),
    )
    contracts = np.abs(entries.legs.quantity).sum(axis=-1)
    premium = entries.credit + given.costs.commission * contracts
    return followed(
        opened.surfaces, opened.at, given.days, entries, gross, plan, [given.costs, terms.other],
        start=entries.credit, premium=premium, beside=beside, far_days=opened.far_days,
        leaving=later.paid,
    )  # fmt: skip


_FIGURES = (
    "max_profit", "max_loss", "profit", "upside", "pos", "ev", "ranked_pos", "ranked_ev", "tail",
    "slope",
)  # fmt: skip


def _figures(symbol: str, opened: walk.Positions, terms: WalkTerms) -> dict[str, FloatArray]:
    """What a structure promises on each day, (m, s) by name."""
    entries, smiles = opened.trades, opened.smiles
    told = {name: np.full(entries.credit.shape, np.nan) for name in _FIGURES}
    two = entries.legs.has_far
    days = _Promising(symbol, opened, terms)
    for row in range(opened.at.size):
        market = densities.from_smile(smiles.smile(row), points=terms.walk.points)
        ranked = terms.ranked(symbol, market)
        laws = _Laws(market, ranked, *(
            densities.viewed(ranked, volatility=1.0 + sign * BUMP) for sign in (-1.0, 1.0)
        ))  # fmt: skip
        for places in (np.flatnonzero(~two), np.flatnonzero(two & ~np.isnan(entries.credit[row]))):
            if places.size:
                for name, values in days.of(row, places, laws).items():
                    told[name][row, places] = values
    return told


class _Laws(NamedTuple):
    """Densities of one expiry."""

    market: Density
    ranked: Density
    narrow: Density
    """The ranked with less volatility by `BUMP`, and with more."""
    wide: Density


@dataclass(frozen=True, slots=True)
class _Promising:
    """The figures of one symbol's positions, day by day."""

    symbol: str
    opened: walk.Positions
    terms: WalkTerms

    def of(self, row: int, places: IntArray, laws: _Laws) -> dict[str, FloatArray]:
        """Of structures *places*, either all of one expiry or all of two; (p,) by name."""
        entries, discount = self.opened.trades, float(self.opened.smiles.discount[row])
        has_far = bool(entries.legs.has_far[places[0]])
        form = self._form(row, places, laws.market)
        shown = self._printed(form, row, places)
        most, worst = payoff.extremes(shown)
        pos = probability.pos(laws.market, form)
        mean = probability.ev(laws.market, form)
        # At the smile all legs are worth what they cost; see `measures.made_by_revaluation`.
        ev = -entries.costs[row, places] if has_far else mean
        ranked_pos, ranked_ev = pos, ev
        if laws.ranked is not laws.market:
            ranked_pos = probability.pos(laws.ranked, form)
            ranked_ev = ev + probability.ev(laws.ranked, form) - mean
        if has_far:
            low, high = (probability.ev(law, form) for law in (laws.narrow, laws.wide))
            slope = (high - low) / (2.0 * BUMP)
        else:
            slope = discount * self._slope(row, places, laws)
        return {
            "max_profit": most,
            "max_loss": worst,
            "profit": self._profit(form, row, places, laws.market, most),
            "upside": self._upside(form, row, places),
            "pos": pos,
            "ev": ev,
            "ranked_pos": ranked_pos,
            "ranked_ev": ranked_ev,
            "tail": _tail(laws.market, form, pos),
            "slope": slope,
        }

    def _form(self, row: int, places: IntArray, market: Density) -> payoff.Segments:
        """P&L at the first expiry, in today's money."""
        opened, legs = self.opened, self.opened.trades.legs
        if not legs.has_far[places[0]]:
            return payoff.Segments(*(part[row, places] for part in opened.trades.shape))
        assert opened.far is not None
        first, second = opened.smiles.smile(row), opened.far.smile(row)
        later = later_expiries.from_smiles(
            first, second, american=not settles_in_cash(self.symbol), market=market
        )
        return later_expiries.segments(
            legs.strike[row, places], legs.is_call[places], legs.quantity[places],
            legs.is_far[places].astype(np.int64), [later], grid=later_expiries.grid(market),
            credit=opened.trades.credit[row, places], discount=first.discount,
            stock=legs.stock[places],
            stock_cost=float(payoff.stock_cost(first.forward, first.discount)),
            multiplier=trades.MULTIPLIER,
        )  # fmt: skip

    def _printed(self, form: payoff.Segments, row: int, places: IntArray) -> payoff.Segments:
        """P&L at the expiry as brokers print it, not discounted; see `measures.as_printed`."""
        opened, smiles = self.opened, self.opened.smiles
        discount, credit = smiles.discount[row], opened.trades.credit[row, places]
        shares = trades.MULTIPLIER * opened.trades.legs.stock[places]
        start = credit - shares * payoff.stock_cost(smiles.forward[row], discount)
        paid = credit - shares * opened.history.close[opened.at[row]]
        value = (form.value - start[:, None]) / discount + paid[:, None]
        return payoff.Segments(form.node, value, form.slope / discount)

    def _profit(
        self, form: payoff.Segments, row: int, places: IntArray, market: Density, most: FloatArray
    ) -> FloatArray:
        """The largest profit, or what one in twenty outcomes exceeds where it has no bound."""
        legs = self.opened.trades.legs
        puts = np.where(legs.is_call, 0.0, legs.quantity)[places].sum(axis=-1)
        falling = (puts > legs.stock[places]) & (form.value[:, 0] >= form.value.max(axis=-1))
        far = np.flatnonzero((form.slope > 0.0) | falling)
        if not far.size:
            return most
        profit = most.copy()
        part = payoff.Segments(*(each[far] for each in form))
        profit[far] = probability.quantiles(market, part, 1.0 - measures.TAIL)
        return profit

    def _upside(self, form: payoff.Segments, row: int, places: IntArray) -> FloatArray:
        """Least P&L at or above the highest strike."""
        legs = self.opened.trades.legs
        used = legs.quantity[places] != 0.0
        top = np.where(used, legs.strike[row, places], 0.0).max(axis=-1)
        above = np.where(form.node >= top[:, None], form.value, np.inf).min(axis=-1)
        return np.where(form.slope < 0.0, -np.inf, above)

    def _slope(self, row: int, places: IntArray, laws: _Laws) -> FloatArray:
        """dEV / d ln sigma undiscounted, (p,); the sum of the legs' own, as in `measures`."""
        legs = self.opened.trades.legs
        strike, is_call = legs.strike[row, places], legs.is_call[places]
        low, high = (
            np.where(is_call, law.call_value(strike), law.put_value(strike))
            for law in (laws.narrow, laws.wide)
        )
        worth = (legs.quantity[places] * (high - low)).sum(axis=-1)
        return np.asarray(trades.MULTIPLIER * worth / (2.0 * BUMP))


def _tail(market: Density, shape: payoff.Segments, pos: FloatArray) -> FloatArray:
    """Mean loss of the worst 5 % of outcomes, >= 0; see `measures.tail_loss`."""
    near = probability.quantiles(market, shape, measures.TAIL)
    tail = probability.cvar(market, shape, 1.0 - measures.TAIL, near=near)
    if (pos >= _OFTEN).any():
        below = probability.shortfall(market, shape)
        tail = np.where(below.probability > measures.TAIL, tail, below.mean / measures.TAIL)
    return np.asarray(np.maximum(tail, 0.0))
