"""Calibration, Brier score and the test of the score against results."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from tomic.journal import calibration
from tomic.journal.outcomes import CampaignOutcome, ProposalOutcome

EXPIRY = dt.date(2025, 6, 20)


def proposal(n: int, *, pos: float, result: float, score: float = 50.0, **more: object):
    values = {
        "id": f"20250519-{n}",
        "symbol": f"S{n}",
        "strategy": "iron_condor",
        "expiry": EXPIRY,
        "result": result,
        "pos": pos,
        "ev": 10.0,
        "score": score,
        "grade": "A" if score >= 70 else "B",
        "margin": 500.0,
        **more,
    }
    return ProposalOutcome(**values)


def test_four_forecasts_by_hand():
    """.8 hit, .7 missed, .9 hit, .6 hit: Brier (.04 + .49 + .01 + .16) / 4 = .175, bias 0."""
    found = calibration.calibration(
        "four", [0.8, 0.7, 0.9, 0.6], [True, False, True, True], ["a", "b", "c", "d"]
    )

    assert (found.n, found.clusters, found.base_rate) == (4, 4, 0.75)
    assert found.brier.value == pytest.approx(0.175)
    assert found.bias.value == pytest.approx(0.0, abs=1e-12)
    assert found.skill == pytest.approx(1.0 - 0.175 / (0.75 * 0.25))
    assert [(one.low, one.n, one.hit.value) for one in found.bins] == [
        (0.6, 1, 1.0),
        (0.7, 1, 0.0),
        (0.8, 1, 1.0),
        (0.9, 1, 1.0),
    ]


def test_edges_of_bins():
    """A forecast on an edge belongs to the bin above; 1 belongs to the last."""
    found = calibration.calibration(
        "edges", [0.7, 0.6999, 1.0, 0.0], [True] * 4, ["a", "b", "c", "d"]
    )

    assert [(one.low, one.high, one.n) for one in found.bins] == [
        (0.0, 0.1, 1),
        (0.6, 0.7, 1),
        (0.7, 0.8, 1),
        (0.9, 1.0, 1),
    ]


def test_nothing_to_calibrate():
    """Without forecasts there are no figures, and nothing breaks."""
    found = calibration.calibration("nothing", [], [], [])

    assert (found.n, found.clusters, found.bins, found.brier.value) == (0, 0, (), None)
    assert calibration.score_test([]).n == 0


def test_a_base_rate_of_one_has_no_skill():
    """Where everything came true no forecast can beat saying so."""
    found = calibration.calibration("sure", [0.9, 0.8], [True, True], ["a", "b"])

    assert found.skill is None


def test_honest_forecasts_are_found_honest():
    """2,000 independent outcomes drawn from their forecasts: the bias interval covers 0."""
    rng = np.random.default_rng(3)
    p = rng.uniform(0.5, 0.95, 2000)
    hit = rng.uniform(size=2000) < p

    found = calibration.calibration("honest", p.tolist(), hit.tolist(), list(range(2000)))

    assert found.bias.low < 0.0 < found.bias.high
    assert found.brier.value == pytest.approx(float((p * (1 - p)).mean()), abs=0.01)
    for one in found.bins:
        assert one.hit.low - 0.02 <= one.forecast <= one.hit.high + 0.02


def test_rosy_forecasts_are_found_rosy():
    """Eight points too high, as 1 - |delta| is on condors: the interval does not cover 0."""
    rng = np.random.default_rng(4)
    p = rng.uniform(0.5, 0.9, 1500)
    hit = rng.uniform(size=1500) < p - 0.08

    found = calibration.calibration("rosy", p.tolist(), hit.tolist(), list(range(1500)))

    assert found.bias.low > 0.0
    assert found.bias.value == pytest.approx(0.08, abs=0.03)


def test_proposals_of_one_day_share_one_outcome():
    """A hundred proposals of one symbol and expiry are one cluster: no interval at all."""
    same = [proposal(n, pos=0.8, result=50.0, symbol="SPY") for n in range(100)]

    found = calibration.of_proposals(same)

    assert (found.n, found.clusters) == (100, 1)
    assert found.brier.low is None
    assert found.bins[0].hit.low is None


def test_cluster_intervals_are_wider():
    """Forty clusters of ten give a wider interval than four hundred single outcomes."""
    rng = np.random.default_rng(5)
    hit = np.repeat(rng.uniform(size=40) < 0.7, 10).tolist()
    p = [0.7] * 400

    grouped = calibration.calibration("x", p, hit, [n // 10 for n in range(400)])
    alone = calibration.calibration("x", p, hit, list(range(400)))

    assert grouped.bias.value == alone.bias.value
    assert grouped.bias.high - grouped.bias.low > 2.0 * (alone.bias.high - alone.bias.low)


def test_of_trades_uses_campaigns_with_forecast_and_result():
    """Open campaigns and those without a forecast are left out."""
    day = dt.date(2025, 6, 1)

    def campaign(result, pos):
        closed = None if result is None else day
        return CampaignOutcome(1, "SPY", "x", day, closed, result, pos=pos, expiry=EXPIRY)

    found = calibration.of_trades([campaign(10.0, 0.8), campaign(-5.0, None), campaign(None, 0.7)])

    assert (found.n, found.base_rate) == (1, 1.0)
    assert found.brier.value == pytest.approx(0.04)


def test_ranks_average_ties():
    """10, 20, 20, 30 have ranks 1, 2.5, 2.5 and 4."""
    assert calibration.ranks(np.array([20.0, 10.0, 30.0, 20.0])).tolist() == [2.5, 1.0, 4.0, 2.5]


def test_a_score_that_orders_results_perfectly():
    """Higher score, higher return on margin: a rank correlation of 1; the reverse, -1."""
    rising = [proposal(n, pos=0.7, result=10.0 * n, score=40.0 + n) for n in range(8)]
    falling = [proposal(n, pos=0.7, result=-10.0 * n, score=40.0 + n) for n in range(8)]

    assert calibration.score_test(rising).correlation.value == pytest.approx(1.0)
    assert calibration.score_test(falling).correlation.value == pytest.approx(-1.0)


def test_spearman_by_hand():
    """Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6 x 4 / (5 x 24) = 0.8 (Spearman's formula)."""
    scores, results = (1, 2, 3, 4, 5), (20, 10, 40, 30, 50)

    found = calibration.score_test(
        [
            proposal(n, pos=0.5, result=float(result), score=float(score))
            for n, (score, result) in enumerate(zip(scores, results, strict=True))
        ]
    )

    assert found.correlation.value == pytest.approx(0.8)


def test_bands_of_grades():
    """Each grade has its hits, forecasts and results; an unusable margin is left out."""
    found = calibration.score_test(
        [
            proposal(1, pos=0.8, result=50.0, score=75.0),
            proposal(2, pos=0.7, result=-150.0, score=72.0),
            proposal(3, pos=0.6, result=20.0, score=50.0),
            proposal(4, pos=0.6, result=20.0, score=50.0, margin=float("inf")),
        ]
    )

    assert found.n == 3
    first, second = found.bands
    assert (first.grade, first.n, first.hit.value, first.result.value) == ("A", 2, 0.5, -50.0)
    assert first.forecast == pytest.approx(0.75)
    assert first.rom == pytest.approx(-0.1)
    assert (second.grade, second.n, second.ev) == ("B", 1, 10.0)


def test_equal_scores_have_no_correlation():
    """Where all scores are the same there is nothing to correlate."""
    same = [proposal(n, pos=0.7, result=float(n), score=50.0) for n in range(4)]

    assert calibration.score_test(same).correlation.value is None
