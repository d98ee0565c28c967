"""How honest forecasts were: probabilities against outcomes, scores against results."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from tomic._typing import FloatArray
from tomic.journal.outcomes import CampaignOutcome, ProposalOutcome
from tomic.journal.resampling import clusters, interval, ratio, resampled_sums
from tomic.models.journal import (
    Calibration,
    CalibrationBin,
    Interval,
    ScoreBand,
    ScoreTest,
)

BINS = 10
"""Bins of equal width over [0, 1]; the last one includes 1."""


def of_trades(outcomes: Sequence[CampaignOutcome], *, draws: int = 2000) -> Calibration:
    """PoS at entry against how campaigns ended, however early they were closed."""
    known = [
        (one.pos, one.result > 0.0, one.cluster)
        for one in outcomes
        if one.result is not None and one.pos is not None
    ]
    return calibration(
        "campaigns, as they were closed",
        [chance for chance, _, _ in known],
        [won for _, won, _ in known],
        [cluster for _, _, cluster in known],
        draws=draws,
    )


def of_proposals(outcomes: Sequence[ProposalOutcome], *, draws: int = 2000) -> Calibration:
    """PoS of every saved proposal, traded or not, against its result when held to expiry."""
    return calibration(
        "saved proposals, held to expiry",
        [one.pos for one in outcomes],
        [one.result > 0.0 for one in outcomes],
        [(one.symbol, one.expiry) for one in outcomes],
        draws=draws,
    )


def calibration(
    what: str,
    forecast: Sequence[float],
    hit: Sequence[bool],
    keys: Sequence[Hashable],
    *,
    draws: int = 2000,
) -> Calibration:
    """
    Probabilities against what happened.

    Args:
        forecast: Probabilities, each in [0, 1].
        hit: Whether it came true.
        keys: Cluster of each, from which intervals are drawn.

    Source: Brier (1950), "Verification of Forecasts Expressed in Terms of Probability".
    """
    p = np.array(forecast, dtype=np.float64)
    y = np.array(hit, dtype=np.float64)
    n = len(p)
    if n == 0:
        return Calibration(what=what, n=0, clusters=0, brier=Interval(), bias=Interval())
    cluster = clusters(keys)
    count = int(cluster.max()) + 1
    slot = np.minimum((p * BINS + 1e-9).astype(np.int64), BINS - 1)
    members = (slot[:, None] == np.arange(BINS)).astype(np.float64)
    miss = (p - y) ** 2
    columns = np.column_stack((np.ones(n), miss, p - y, members, members * y[:, None]))
    sums = resampled_sums(cluster, columns, draws)
    base = float(y.mean())
    brier = float(miss.mean())
    bins = []
    for index in np.flatnonzero(members.sum(axis=0)):
        here = slot == index
        samples = ratio(sums[:, 3 + BINS + index], sums[:, 3 + index])
        inside = len(set(cluster[here].tolist()))
        bins.append(
            CalibrationBin(
                low=index / BINS,
                high=(index + 1) / BINS,
                n=int(here.sum()),
                forecast=float(p[here].mean()),
                hit=interval(float(y[here].mean()), samples, count=inside),
            )
        )
    spread = base * (1.0 - base)
    return Calibration(
        what=what,
        n=n,
        clusters=count,
        bins=tuple(bins),
        brier=interval(brier, ratio(sums[:, 1], sums[:, 0]), count=count),
        base_rate=base,
        skill=1.0 - brier / spread if spread > 0.0 else None,
        bias=interval(float((p - y).mean()), ratio(sums[:, 2], sums[:, 0]), count=count),
    )


def score_test(outcomes: Sequence[ProposalOutcome], *, draws: int = 2000) -> ScoreTest:
    """Results of saved proposals by grade, and the rank correlation of score and return."""
    usable = [one for one in outcomes if one.margin > 0.0 and math.isfinite(one.margin)]
    if not usable:
        return ScoreTest(n=0, clusters=0, correlation=Interval())
    cluster = clusters([(one.symbol, one.expiry) for one in usable])
    count = int(cluster.max()) + 1
    x = ranks(np.array([one.score for one in usable]))
    y = ranks(np.array([one.result / one.margin for one in usable]))
    columns = np.column_stack((np.ones(len(x)), x, y, x * x, y * y, x * y))
    whole = _correlation(columns.sum(axis=0)[None, :])
    samples = _correlation(resampled_sums(cluster, columns, draws))
    return ScoreTest(
        n=len(usable),
        clusters=count,
        bands=tuple(
            _band(grade, [one for one in usable if one.grade == grade], draws)
            for grade in sorted({one.grade for one in usable})
        ),
        correlation=interval(float(whole[0]), samples, count=count),
    )


def _band(grade: str, found: Sequence[ProposalOutcome], draws: int) -> ScoreBand:
    cluster = clusters([(one.symbol, one.expiry) for one in found])
    count = int(cluster.max()) + 1
    result = np.array([one.result for one in found])
    won = (result > 0.0).astype(np.float64)
    sums = resampled_sums(cluster, np.column_stack((np.ones(len(found)), won, result)), draws)
    return ScoreBand(
        grade=grade,
        n=len(found),
        hit=interval(float(won.mean()), ratio(sums[:, 1], sums[:, 0]), count=count),
        forecast=_average([one.pos for one in found]),
        ev=_average([one.ev for one in found]),
        result=interval(float(result.mean()), ratio(sums[:, 2], sums[:, 0]), count=count),
        rom=_average([one.result / one.margin for one in found]),
    )


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, those of equal values averaged."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return np.asarray((last - 0.5 * (size - 1))[group], dtype=np.float64)


def _correlation(sums: FloatArray) -> FloatArray:
    """Pearson's correlation from sums of 1, x, y, xx, yy, xy per row; NaN without spread."""
    n, x, y, xx, yy, xy = sums.T
    spread = np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0)
    return ratio(n * xy - x * y, np.sqrt(np.where(spread > 1e-9, spread, 0.0)))


def _average(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
