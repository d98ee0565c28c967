"""
The TOMIC score: four figures of a trade between 0 and 1, weighed, times liquidity and fit.

score = 100 L F (w_rom n_rom + w_pos n_pos + w_ev n_ev + w_rr n_rr)

n_rom = x / (x + h) with x the return on margin per 30 days; n_pos the probability of success;
n_ev = 1 / (1 + exp(-x / s)) with x the expected value per margin and 30 days; n_rr = x / (x + 1)
with x the profit per CVaR95. Each is strictly monotone: nothing is clipped, so nothing ties.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from tomic._typing import FloatArray
from tomic.config import ScoreSettings
from tomic.models import Grade, ScorePart

DAYS = 30.0
NAMES = ("rom", "pos", "ev", "risk_reward")
"""Components in the order in which they are printed."""


class ScoreFigures(NamedTuple):
    """What the score is made of, (n,) each."""

    profit: FloatArray
    """Maximum, or the 95 % quantile where unbounded; currency per structure."""
    margin: FloatArray
    """Net, currency per structure, positive."""
    pos: FloatArray
    ev: FloatArray
    """Currency per structure."""
    tail_loss: FloatArray
    """CVaR95 of the loss, currency per structure, >= 0."""
    liquidity: FloatArray
    """L in (0, 1]."""
    dte: float | FloatArray
    """Calendar days to the first expiry; fewer than 1 count as 1."""


def components(figures: ScoreFigures, score: ScoreSettings) -> FloatArray:
    """The four n, unweighted, (4, n) in the order of `NAMES`."""
    per_30 = DAYS / np.maximum(figures.dte, 1.0)
    rom = per_30 * figures.profit / figures.margin
    ev = per_30 * figures.ev / figures.margin
    risked = figures.profit + figures.tail_loss
    return np.stack(
        (
            rom / (np.abs(rom) + score.rom_half),
            figures.pos,
            expit(ev / score.ev_scale),
            figures.profit / np.where(risked > 0.0, risked, np.nan),
        )
    )


ORIGINAL_WEIGHTS = (0.40, 0.25, 0.20, 0.15)
"""Those of the original program, in the order of `NAMES`."""


def weights(score: ScoreSettings) -> FloatArray:
    """Weights in the order of `NAMES`, (4,)."""
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


def grade(value: float, score: ScoreSettings) -> Grade:
    """The letter of a score."""
    for limit, letter in (
        (score.grade_a, Grade.A),
        (score.grade_b, Grade.B),
        (score.grade_c, Grade.C),
    ):
        if value >= limit:
            return letter
    return Grade.D


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
        components: (4,) from `components`.
        score: Holds the weights.
        liquidity, fit: L and F in (0, 1].
        penalty: Share of the score that a correlation costs.
    """
    points = 100.0 * weights(score) * components
    gross = float(points.sum())
    found = [ScorePart(name=n, points=float(p)) for n, p in zip(NAMES, points, strict=True)]
    found.append(ScorePart(name="liquidity", points=-(1.0 - liquidity) * gross))
    found.append(ScorePart(name="fit", points=-(1.0 - fit) * liquidity * gross))
    if penalty:
        found.append(ScorePart(name="correlation", points=-penalty * fit * liquidity * gross))
    return tuple(found)
