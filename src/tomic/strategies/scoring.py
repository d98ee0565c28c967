"""
The TOMIC score: what a trade wins, how likely and at what risk, times liquidity and fit.

score = 100 L F (w_pos PoS + w_ev n_ev)

n_ev = 1 / (1 + exp(-x / s)) with x the expected value, after the costs of entry, per CVaR95; a
robust score, the default, first takes `measures.robust_cost` off it. It is strictly monotone:
nothing is clipped, so nothing ties. Where no outcome loses it is its limit: 1 where something is
expected, 0 where less than nothing is, and a half in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import expit

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import ScoreSettings
from tomic.models import Grade, ScorePart
from tomic.quant import payoff
from tomic.strategies.measures import Batch
from tomic.strategies.pricing.board import Board

DAYS = 30.0
NAMES = ("pos", "ev")
"""Components in the order in which they are printed."""
ORIGINAL_NAMES = ("rom", "pos", "ev", "risk_reward")
"""The same of the original program."""


class ScoreFigures(NamedTuple):
    """What the score is made of, (n,) each."""

    pos: FloatArray
    ev: FloatArray
    """Currency per structure."""
    tail_loss: FloatArray
    """CVaR95 of the loss, currency per structure, >= 0."""
    liquidity: FloatArray
    """L in (0, 1]."""


def components(figures: ScoreFigures, score: ScoreSettings) -> FloatArray:
    """PoS and n_ev, unweighted, (2, n) in the order of `NAMES`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = figures.ev / figures.tail_loss
    nothing = (figures.tail_loss == 0.0) & (figures.ev == 0.0)
    return np.stack((figures.pos, expit(np.where(nothing, 0.0, ratio) / score.ev_scale)))


ORIGINAL_WEIGHTS = (0.40, 0.25, 0.20, 0.15)
"""Weights of the original program, in the order of `ORIGINAL_NAMES`."""


def names(score: ScoreSettings) -> tuple[str, ...]:
    """Components of the definition that is set."""
    return ORIGINAL_NAMES if score.definition == "original" else NAMES


def weights(score: ScoreSettings) -> FloatArray:
    """Weights in the order of `names`."""
    if score.definition == "original":
        return np.array(ORIGINAL_WEIGHTS)
    return np.array([getattr(score.weights, name) for name in NAMES])


def total(figures: ScoreFigures, score: ScoreSettings) -> FloatArray:
    """The score before fit, 0 to 100; NaN where a figure is NaN."""
    parts = components(figures, score)
    summed = np.zeros(parts.shape[1])
    # One order of addition, whatever the shape: the same trade scores the same in any batch.
    for weight, part in zip(weights(score), parts, strict=True):
        summed = summed + weight * part
    return 100.0 * figures.liquidity * summed


BINS = 1000
"""Bins of equal width over scores from 0 to 100."""
LAST_GRADE = Grade.C
"""Best grade of a trade that something speaks against."""


def counted(scores: FloatArray) -> IntArray:
    """How many *scores* lie in each of `BINS`; those that are NaN in none."""
    known = scores[np.isfinite(scores)]
    place = np.clip(known * (BINS / 100.0), 0.0, BINS - 1.0).astype(np.int64)
    return np.bincount(place, minlength=BINS)


def percentile(counts: IntArray, score: float) -> float | None:
    """
    Share of the other counted candidates that score below *score*, itself one of them.

    Within its own bin of a tenth of a point they are taken as evenly spread. None without others.
    """
    total = int(counts.sum())
    if total < 2 or not np.isfinite(score):
        return None
    place = min(max(score * (BINS / 100.0), 0.0), BINS - 1e-9)
    here = int(place)
    below = float(counts[:here].sum()) + (place - here) * max(float(counts[here]) - 1.0, 0.0)
    return min(max(below / (total - 1), 0.0), 1.0)


def grade(standing: float | None, score: ScoreSettings, *, capped: bool = False) -> Grade:
    """The letter of a percentile; C where there is none, and at best where it is *capped*."""
    if standing is None:
        return LAST_GRADE
    limits = ((score.grade_a, Grade.A), (score.grade_b, Grade.B), (score.grade_c, Grade.C))
    letter = next((letter for limit, letter in limits if standing >= limit), Grade.D)
    return max(letter, LAST_GRADE) if capped else letter


def parts(
    components: FloatArray,
    score: ScoreSettings,
    *,
    liquidity: float,
    fit: float = 1.0,
    penalty: float = 0.0,
) -> tuple[ScorePart, ...]:
    """
    What each component adds and what liquidity, fit and correlation then take away.

    Args:
        components: From `components`, in the order of `names`.
        score: Holds the weights.
        liquidity, fit: L and F in (0, 1].
        penalty: Share of the score that a correlation costs.
    """
    points = 100.0 * weights(score) * components
    gross = float(points.sum())
    parts = [ScorePart(name=n, points=float(p)) for n, p in zip(names(score), points, strict=True)]
    parts.append(ScorePart(name="liquidity", points=-(1.0 - liquidity) * gross))
    parts.append(ScorePart(name="fit", points=-(1.0 - fit) * liquidity * gross))
    if penalty:
        parts.append(ScorePart(name="correlation", points=-penalty * fit * liquidity * gross))
    return tuple(parts)


SCENARIOS = {
    "iron_butterfly": 0.0,
    "put_backspread": -0.15,
    "calendar": 0.02,
    "naked_put": 0.05,
    "ratio_spread": 0.10,
    "short_put_spread": 0.03,
    "short_call_spread": -0.03,
}
"""Move of the underlying whose payoff stands for the profit of a trade that pays a debit."""


class OriginalFigures(NamedTuple):
    """The original's figures, (n,) each; currency per structure."""

    max_profit: FloatArray
    max_loss: FloatArray
    """Negative, as it wrote it; -inf where unbounded."""
    margin: FloatArray
    pos: FloatArray
    """Fraction."""
    ev: FloatArray


def success(delta: FloatArray, quantity: FloatArray) -> FloatArray:
    """1 - mean |delta| of the short legs; (n, k) each to (n,), NaN without a short leg."""
    short = quantity < 0.0
    count = short.sum(axis=1)
    original_score = np.where(short, np.abs(delta), 0.0).sum(axis=1)
    return np.where(count > 0, 1.0 - original_score / np.maximum(count, 1), np.nan)


def expected(pos: FloatArray, max_profit: FloatArray, max_loss: FloatArray) -> FloatArray:
    """pos x max_profit + (1 - pos) x max_loss, the loss negative."""
    return np.asarray(pos * max_profit + (1.0 - pos) * max_loss)


def original_components(figures: OriginalFigures) -> FloatArray:
    """Clipped, unweighted: ROM / 20 %, (PoS - 50 %) / 50 %, EV / 10 % of margin, risk-reward."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rom = figures.max_profit / figures.margin
        ev = figures.ev / figures.margin
        ratio = -figures.max_loss / figures.max_profit
    return np.stack(
        (
            np.clip(rom / 0.20, 0.0, 1.0),
            np.clip((figures.pos - 0.5) / 0.5, 0.0, 1.0),
            np.clip(ev / 0.10, 0.0, 1.0),
            risk_reward(ratio),
        )
    )


def risk_reward(ratio: FloatArray) -> FloatArray:
    """Its part for max loss per max profit: 0 up to 1, .85 at 3, 1 from 8 on."""
    middle = 0.85 * ((np.clip(ratio, 1.0, 3.0) - 1.0) / 2.0) ** 0.7
    above = 0.15 * np.log1p(np.clip(ratio, 3.0, 8.0) - 3.0) / np.log(6.0)
    return np.where(ratio <= 1.0, 0.0, middle + above)


def original_score(figures: OriginalFigures) -> FloatArray:
    """The score, 0 to 100; NaN where it refuses: unbounded or no loss, or a negative EV."""
    parts = original_components(figures)
    score = 100.0 * np.clip(np.array(ORIGINAL_WEIGHTS) @ parts, 0.0, 1.0)
    bounded = np.isfinite(figures.max_loss) & (figures.margin > 0.0)
    return np.where(bounded & (figures.ev >= 0.0), score, np.nan)


def structure(
    strike: FloatArray,
    is_call: BoolArray,
    quantity: FloatArray,
    credit: FloatArray,
    *,
    stock: FloatArray | float = 0.0,
    spot: float = 0.0,
    multiplier: float = 100.0,
) -> tuple[FloatArray, FloatArray]:
    """
    Largest profit and loss (negative) of structures of one expiry at mid, undiscounted.

    Args:
        strike, is_call, quantity: (n, k) legs.
        credit: (n,) currency per structure, negative for a debit.
        stock: (n,) shares per share of multiplier, bought at *spot*.
    """
    costs = {"credit": credit, "stock": stock, "stock_cost": spot, "multiplier": multiplier}
    profile = payoff.profile(payoff.segments(strike, is_call, quantity, **costs))
    return profile.max_profit, -profile.max_loss


def figures(batch: Batch, board: Board) -> OriginalFigures:
    """The original's figures of a batch, at mid and without costs."""
    lot = float(board.chain.multiplier)
    credit = -lot * (batch.quantity * batch.legs(board.price)).sum(axis=1)
    pos = success(batch.legs(board.delta), batch.quantity)
    if batch.expiries[1] is not None:
        # Of several expiries it knew only that a calendar cannot lose more than its debit.
        profit, loss = np.full(len(batch), np.nan), np.where(credit < 0.0, credit, -np.inf)
    else:
        profit, loss = structure(
            batch.legs(board.strike),
            batch.is_call,
            batch.quantity,
            credit,
            stock=batch.stock,
            spot=board.spot,
            multiplier=lot,
        )
    profit = np.where(credit > 0.0, np.minimum(credit, np.nan_to_num(profit, nan=np.inf)), profit)
    for place, member in enumerate(batch.members):
        move = SCENARIOS.get(member.template.name)
        if move is not None:
            rows = np.flatnonzero((batch.group == place) & (credit <= 0.0))
            profit[rows] = np.abs(_at_scenario(batch.take(rows), board, credit[rows], move))
    return OriginalFigures(profit, loss, -loss, pos, expected(pos, profit, loss))


def _at_scenario(batch: Batch, board: Board, credit: FloatArray, move: float) -> FloatArray:
    """P&L at expiry if the underlying moved by *move*; later legs at their time value of today."""
    price = board.spot * (1.0 + move)
    strike, lot = batch.legs(board.strike), float(board.chain.multiplier)
    worth = np.maximum(np.where(batch.is_call, price - strike, strike - price), 0.0)
    near, far = batch.expiries
    if far is not None:
        far_worth = board.later(near, far).value(np.array(price), strike, batch.is_call)
        worth = np.where(batch.is_far, far_worth, worth)
    return np.asarray(credit + lot * (batch.quantity * worth).sum(axis=1))


# -- the fit to a portfolio ---------------------------------------------------------------------

NO_BOOK = "no portfolio known: fit counts 1"


class PortfolioFit(NamedTuple):
    """How a trade fits."""

    factor: float = 1.0
    """F in (0, 1], by which the score is multiplied."""
    note: str = ""
    """What it does to the book, in words."""


@dataclass(frozen=True, eq=False)
class Prospect:
    """One trade as a portfolio sees it: legs as columns (k,), figures per structure."""

    symbol: str
    strategy: str
    spot: float
    """Or the forward, where Greeks are per unit of that; currency per share."""
    rate: FloatArray | float
    """(k,) or the same for all, fraction per year, of each leg's expiry."""
    div_yield: FloatArray
    """(k,) what carries `spot` to the forward of each leg's expiry, fraction per year."""
    strike: FloatArray
    tau: FloatArray
    iv: FloatArray
    is_call: BoolArray
    quantity: FloatArray
    """(k,) signed contracts."""
    shares: float
    """Signed shares of the underlying."""
    multiplier: int
    is_american: bool
    delta: float
    """Shares."""
    gamma: float
    vega: float
    theta: float
    margin: float
    """Currency that the trade takes from excess liquidity."""
    currency: str = ""
    """Of all its money; empty for that of the symbol in the book."""


class FitModel(Protocol):
    """A book that can say how trades would fit it."""

    def fits(self, trades: Sequence[Prospect]) -> Sequence[PortfolioFit]:
        """A `PortfolioFit` for each of *trades*, in their order."""
