"""
How a trade fits a book: what it changes, and the factor F in (0, 1] by which its score is cut.

    F = 1 / (1 + max(0, strain) / 0.05)

The strain is the mean of five changes, each as a share of net liquidation and positive where the
book gets heavier: the currency delta, beta-weighted, for a move of 10 %; the vega for 10 points;
the loss that short gamma makes over that move; the margin; and the worst stress cell. A trade that
relieves as much as it burdens costs nothing; one whose mean burden is 5 % of net liquidation halves
its score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.config import Settings
from tomic.models.book import Book
from tomic.models.review import BookReview, FitChange, SymbolBeta
from tomic.portfolio import exposure, overview, stress
from tomic.portfolio.grouping import Claim
from tomic.quant.revaluation import stress_grid
from tomic.strategies.scoring import PortfolioFit, Prospect

_HALF = 0.05
_MOVE = 0.10
_POINTS = 10.0
_AT_ONCE = 1024
"""Trades whose cells are held in memory together."""


class _State(NamedTuple):
    """The figures of a book that the strain uses; base currency."""

    delta: float
    gamma: float
    vega: float
    margin: float
    worst: float


class BookFit:
    """
    A book that rates how well trades would fit it.

    A scan rates thousands of trades, so their worst cell is searched on a part of the stress grid:
    every other spot, both ends and the middle of volatility, the first day and the last.

    Args:
        book: As it was read; trades that are only considered are left out.
        settings: Axes of the stress grid, beta window and margin rules.
        claims: Your pins and the journal's entries.
    """

    def __init__(self, book: Book, settings: Settings, *, claims: Sequence[Claim] = ()) -> None:
        self.book = overview.without_considered(book)
        self._settings = settings
        review = overview.review(self.book, settings, claims=claims)
        self.review = review
        self._net = review.net_liquidation
        axes = stress.Axes.of(settings.portfolio.stress)
        kept = np.ix_(_thinned(axes.spot), _outer(axes.vol), _ends(axes.days))
        self._axes = stress.Axes(
            axes.spot[kept[0].ravel()], axes.vol[kept[1].ravel()], axes.days[kept[2].ravel()]
        )
        grid = np.array(review.stress.pnl)[kept] if review.stress else np.zeros((1, 1, 1))
        self._grid = np.broadcast_to(grid, tuple(axis.size for axis in kept)).reshape(-1)
        # Only what a trade adds to the margin counts, so that of the book may be unknown.
        self._before = _state(review)._replace(margin=0.0, worst=float(self._grid.min()))

    def fits(self, trades: Sequence[Prospect]) -> Sequence[PortfolioFit]:
        """The fit of each of *trades*, in their order; 1 where net liquidation is unknown."""
        if not trades:
            return []
        if self._net is None or self._net <= 0.0:
            return [PortfolioFit(1.0, "net liquidation unknown: fit counts 1") for _ in trades]
        window = self._settings.portfolio.beta_days
        betas = exposure.betas(self.book, {trade.symbol for trade in trades}, window=window)
        worst = self._worst(trades, betas)
        return [
            self._fit(trade, float(low), betas[trade.symbol])
            for trade, low in zip(trades, worst, strict=True)
        ]

    def _fit(self, trade: Prospect, worst: float, beta: SymbolBeta) -> PortfolioFit:
        net = self._net or math.inf
        rate = self._rate(trade)
        value = trade.spot * rate
        after = _State(
            delta=self._before.delta + trade.delta * value * beta.beta,
            gamma=self._before.gamma + trade.gamma * trade.spot * value / 100.0,
            vega=self._before.vega + trade.vega * rate,
            margin=self._before.margin + trade.margin * rate,
            worst=worst,
        )
        if not all(math.isfinite(x) for x in after):
            return PortfolioFit(1.0, "the trade cannot be revalued: fit counts 1")
        factor = factor_of(self._before, after, net)
        return PortfolioFit(factor, _words(self._before, after, net))

    def _rate(self, trade: Prospect) -> float:
        """Base currency for one unit of the trade's; NaN where the broker gave no rate."""
        market = self.book.markets.get(trade.symbol)
        known = market.underlying.currency if market and market.underlying else ""
        rate = self.book.rate_of(trade.currency or known)
        return math.nan if rate is None else rate

    def _worst(self, trades: Sequence[Prospect], betas: dict[str, SymbolBeta]) -> FloatArray:
        """The worst cell of the book with each trade, base currency; NaN where unknown."""
        width = max((trade.strike.size for trade in trades), default=0)
        legs = np.concatenate([_legs(trade, betas[trade.symbol].beta) for trade in trades])
        # Trades of one symbol are made of the same few options: each is revalued once.
        unique, which = np.unique(legs, axis=0, return_inverse=True)
        cells = self._leg_cells(unique)
        place = np.zeros((len(trades), width), dtype=np.int64)
        amount = np.zeros((len(trades), width))
        first = 0
        for number, trade in enumerate(trades):
            size = trade.strike.size
            place[number, :size] = which.reshape(-1)[first : first + size]
            amount[number, :size] = trade.quantity * trade.multiplier * self._rate(trade)
            first += size
        worst = np.empty(len(trades))
        for start in range(0, len(trades), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            total = (
                np.stack([self._share_cells(trade, betas) for trade in trades[rows]]) + self._grid
            )
            for leg in range(width):
                total += amount[rows, leg, None] * cells[place[rows, leg]]
            worst[rows] = total.min(axis=1)
        return worst

    def _leg_cells(self, legs: FloatArray) -> FloatArray:
        """P&L of one long share's worth of each leg (`_legs`), (legs, cells)."""
        spot, strike, tau, rate, div_yield, sigma, is_call, is_american, beta = legs.T
        grid = stress_grid(
            spot, strike, tau, rate, div_yield, sigma, is_call == 1.0,
            quantity=1.0,
            multiplier=1.0,
            is_american=is_american == 1.0,
            beta=beta,
            group=np.arange(len(legs)),
            spot_moves=self._axes.spot,
            vol_moves=self._axes.vol,
            days=self._axes.days,
        )  # fmt: skip
        return grid[: len(legs)].reshape(len(legs), self._grid.size)

    def _share_cells(self, trade: Prospect, betas: dict[str, SymbolBeta]) -> FloatArray:
        """P&L of a trade's shares, (cells,): linear in the spot, which never falls below 0."""
        moves = np.maximum(betas[trade.symbol].beta * self._axes.spot, -1.0)
        value = trade.shares * trade.spot * self._rate(trade)
        plane = self._axes.vol.size * self._axes.days.size
        return np.repeat(value * moves if trade.shares else np.zeros(moves.size), plane)


def _legs(trade: Prospect, beta: float) -> FloatArray:
    """The options of a trade as rows of what their revaluation needs, (k, 9)."""
    size = trade.strike.size
    each = np.ones(size)
    return np.column_stack(
        (
            each * trade.spot, trade.strike, trade.tau, each * trade.rate,
            each * trade.div_yield, trade.iv, trade.is_call.astype(np.float64),
            each * trade.is_american, each * beta,
        )
    )  # fmt: skip


def _thinned(axis: FloatArray) -> IntArray:
    """Every other place, counted from the middle, and both ends."""
    middle = axis.size // 2
    return np.unique([0, *range(middle % 2, axis.size, 2), axis.size - 1])


def _outer(axis: FloatArray) -> IntArray:
    """Both ends, and where nothing moves."""
    return np.unique([0, int(np.flatnonzero(axis == 0.0)[0]), axis.size - 1])


def _ends(axis: FloatArray) -> IntArray:
    return np.unique([0, axis.size - 1])


def factor_of(before: _State, after: _State, net_liquidation: float) -> float:
    """F for a change of a book's state; see the module."""
    changes = (
        _MOVE * (abs(after.delta) - abs(before.delta)),
        _POINTS * (abs(after.vega) - abs(before.vega)),
        _gamma_loss(after.gamma) - _gamma_loss(before.gamma),
        after.margin - before.margin,
        before.worst - after.worst,
    )
    strain = sum(changes) / len(changes) / net_liquidation
    return 1.0 / (1.0 + max(0.0, strain) / _HALF)


def _gamma_loss(gamma_value: float) -> float:
    """What short gamma costs over the move: half of gamma times the move squared."""
    # gamma_value is the change of currency delta per 1 %: 0.5 x (100 x gamma_value) x move^2.
    return 50.0 * max(-gamma_value, 0.0) * _MOVE**2


def change(trade: str, before: BookReview, after: BookReview) -> FitChange:
    """What a considered trade changes, from the reviews of the book without and with it."""
    old, new = _state(before), _state(after)
    margin = _margin_added(before, after)
    notes: tuple[str, ...] = ()
    factor = 1.0
    if before.net_liquidation is None or before.net_liquidation <= 0.0:
        notes = ("net liquidation unknown: fit counts 1",)
    elif margin is None:
        notes = ("what it adds to the margin is unknown: fit counts 1",)
    else:
        old, new = old._replace(margin=0.0), new._replace(margin=margin)
        factor = factor_of(old, new, before.net_liquidation)
    first, second = before.totals.greeks, after.totals.greeks
    stressed = after.stress is not None
    return FitChange(
        trade=trade,
        fit=factor,
        delta_value=new.delta - old.delta,
        gamma_value=second.gamma_value - first.gamma_value,
        vega=second.vega - first.vega,
        theta=second.theta - first.theta,
        margin=margin,
        worst=new.worst - old.worst if stressed else None,
        notes=notes,
    )


def _margin_added(before: BookReview, after: BookReview) -> float | None:
    """What a trade adds to the net margin; None where it changes something that is unknown."""
    (known, unknown), (more, still) = _net_margins(before), _net_margins(after)
    return more - known if unknown == still else None


def _net_margins(review: BookReview) -> tuple[float, Counter[tuple[tuple[str, float], ...]]]:
    """The net margins that are known, added up, and the legs of the structures without one."""
    total = exposure.Total.of(
        (structure.id, structure.margin_net) for structure in review.structures
    )
    legs = Counter(
        tuple((leg.contract, leg.quantity) for leg in structure.legs)
        for structure in review.structures
        if structure.id in total.unknown
    )
    return total.known, legs


def _state(review: BookReview) -> _State:
    totals = review.totals
    return _State(
        delta=totals.beta.delta_value if totals.beta else 0.0,
        gamma=totals.greeks.gamma_value,
        vega=totals.greeks.vega,
        margin=math.nan if totals.margin_net is None else totals.margin_net,
        worst=review.stress.worst.pnl if review.stress else 0.0,
    )


def _words(before: _State, after: _State, net: float) -> str:
    return (
        f"delta {after.delta - before.delta:+,.0f}, vega {after.vega - before.vega:+,.1f}, "
        f"margin {(after.margin - before.margin) / net:+.1%}, "
        f"worst cell {(after.worst - before.worst) / net:+.1%} of net liquidation"
    )
