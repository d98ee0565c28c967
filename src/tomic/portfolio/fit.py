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
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tomic._typing import FloatArray
from tomic.config import Settings
from tomic.models.book import Book
from tomic.models.review import BookReview, FitChange, SymbolBeta
from tomic.portfolio import exposure, overview, stress
from tomic.portfolio.grouping import Claim
from tomic.quant.revaluation import stress_grid
from tomic.strategies.fit import Fit, Prospect

_HALF = 0.05
_MOVE = 0.10
_POINTS = 10.0
_AT_ONCE = 64
"""Trades whose grids are held in memory together."""


class _State(NamedTuple):
    """What of a book the strain looks at; base currency."""

    delta: float
    gamma: float
    vega: float
    margin: float
    worst: float


class BookFit:
    """
    A book that says how trades would fit it.

    Args:
        book: As it was read; trades that are only considered are left out.
        settings: Axes of the stress grid, beta window and margin rules.
        claims: Your pins and the journal's entries.
    """

    def __init__(self, book: Book, settings: Settings, *, claims: Sequence[Claim] = ()) -> None:
        self.book = overview.without_considered(book)
        self._settings = settings
        self._axes = stress.Axes.of(settings.portfolio.stress)
        found = overview.review(self.book, settings, claims=claims)
        self._net = found.net_liquidation
        shape = (self._axes.spot.size, self._axes.vol.size, self._axes.days.size)
        self._grid = np.array(found.stress.pnl) if found.stress else np.zeros(shape)
        self._before = _state(found)

    def fits(self, trades: Sequence[Prospect]) -> Sequence[Fit]:
        """A `Fit` for each of *trades*, in their order; 1 where net liquidation is unknown."""
        if self._net is None or self._net <= 0.0:
            return [Fit(1.0, "net liquidation unknown: fit counts 1") for _ in trades]
        found: list[Fit] = []
        symbols = {one.symbol for one in trades}
        window = self._settings.portfolio.beta_days
        betas = exposure.betas(self.book, symbols, window=window)
        for start in range(0, len(trades), _AT_ONCE):
            some = trades[start : start + _AT_ONCE]
            grids = self._grids(some, betas)
            found += [
                self._fit(one, grid, betas[one.symbol])
                for one, grid in zip(some, grids, strict=True)
            ]
        return found

    def _fit(self, trade: Prospect, grid: FloatArray, beta: SymbolBeta) -> Fit:
        net = self._net or math.inf
        rate = self._rate(trade.symbol)
        value = trade.spot * rate
        whole = self._grid + grid
        after = _State(
            delta=self._before.delta + trade.delta * value * beta.beta,
            gamma=self._before.gamma + trade.gamma * trade.spot * value / 100.0,
            vega=self._before.vega + trade.vega * rate,
            margin=self._before.margin + trade.margin * rate,
            worst=float(whole.min()),
        )
        if not all(math.isfinite(x) for x in after):
            return Fit(1.0, "the trade cannot be revalued: fit counts 1")
        factor = factor_of(self._before, after, net)
        return Fit(factor, _words(self._before, after, net))

    def _rate(self, symbol: str) -> float:
        market = self.book.markets.get(symbol)
        currency = market.underlying.currency if market and market.underlying else "USD"
        rate = self.book.rate_of(currency)
        return math.nan if rate is None else rate

    def _grids(self, trades: Sequence[Prospect], betas: dict[str, SymbolBeta]) -> FloatArray:
        """P&L of each trade over the book's axes, base currency."""
        # Shares stand as one more leg, so that every trade has at least one.
        sizes = [one.strike.size + 1 for one in trades]
        owner = np.repeat(np.arange(len(trades)), sizes)

        def column(values: Sequence[FloatArray | Sequence[float]]) -> FloatArray:
            return np.concatenate([np.asarray(one, dtype=np.float64) for one in values])

        def each(values: Sequence[float]) -> FloatArray:
            return np.repeat(np.asarray(values, dtype=np.float64), sizes)

        is_stock = column([[0.0] * (size - 1) + [1.0] for size in sizes]) == 1.0
        rate = each([self._rate(one.symbol) for one in trades])
        amount = column([[*(one.quantity * one.multiplier), one.shares] for one in trades])
        return stress_grid(
            each([one.spot for one in trades]),
            column([[*one.strike, 1.0] for one in trades]),
            column([[*one.tau, 0.0] for one in trades]),
            each([one.rate for one in trades]),
            column([[*one.div_yield, 0.0] for one in trades]),
            column([[*one.iv, 0.0] for one in trades]),
            column([[*one.is_call, 0.0] for one in trades]) == 1.0,
            quantity=amount * rate,
            multiplier=1.0,
            is_american=each([float(one.is_american) for one in trades]) == 1.0,
            is_stock=is_stock,
            beta=each([betas[one.symbol].beta for one in trades]),
            group=owner,
            spot_moves=self._axes.spot,
            vol_moves=self._axes.vol,
            days=self._axes.days,
        )


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
    one, two = _state(before), _state(after)
    notes: tuple[str, ...] = ()
    factor = 1.0
    if before.net_liquidation is None or before.net_liquidation <= 0.0:
        notes = ("net liquidation unknown: fit counts 1",)
    else:
        factor = factor_of(one, two, before.net_liquidation)
    first, second = before.totals.greeks, after.totals.greeks
    stressed = after.stress is not None
    return FitChange(
        trade=trade,
        fit=factor,
        delta_value=two.delta - one.delta,
        gamma_value=second.gamma_value - first.gamma_value,
        vega=second.vega - first.vega,
        theta=second.theta - first.theta,
        margin=two.margin - one.margin,
        worst=two.worst - one.worst if stressed else None,
        notes=notes,
    )


def _state(found: BookReview) -> _State:
    totals = found.totals
    return _State(
        delta=totals.beta.delta_value if totals.beta else 0.0,
        gamma=totals.greeks.gamma_value,
        vega=totals.greeks.vega,
        margin=totals.margin_net,
        worst=found.stress.worst.pnl if found.stress else 0.0,
    )


def _words(before: _State, after: _State, net: float) -> str:
    return (
        f"delta {after.delta - before.delta:+,.0f}, vega {after.vega - before.vega:+,.1f}, "
        f"margin {(after.margin - before.margin) / net:+.1%}, "
        f"worst cell {(after.worst - before.worst) / net:+.1%} of net liquidation"
    )
