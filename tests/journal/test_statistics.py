"""Statistics against numbers worked out by hand."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from support.journal_entries import OPENED, at, condor, entry, option, snapshot, trade
from tomic.journal import statistics
from tomic.journal.statistics import CampaignOutcome, ProposalOutcome, resampled_sums, wilson
from tomic.models.journal import Context, EntryStatus, JournalEntry, Stated

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
    found = statistics.calibration(
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
    found = statistics.calibration(
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
    found = statistics.calibration("nothing", [], [], [])

    assert (found.n, found.clusters, found.bins, found.brier.value) == (0, 0, (), None)
    assert statistics.score_test([]).n == 0


def test_a_base_rate_of_one_has_no_skill():
    """Where everything came true no forecast can beat saying so."""
    found = statistics.calibration("sure", [0.9, 0.8], [True, True], ["a", "b"])

    assert found.skill is None


def test_honest_forecasts_are_found_honest():
    """2,000 independent outcomes drawn from their forecasts: the bias interval covers 0."""
    rng = np.random.default_rng(3)
    p = rng.uniform(0.5, 0.95, 2000)
    hit = rng.uniform(size=2000) < p

    found = statistics.calibration("honest", p.tolist(), hit.tolist(), list(range(2000)))

    assert found.bias.low < 0.0 < found.bias.high
    assert found.brier.value == pytest.approx(float((p * (1 - p)).mean()), abs=0.01)
    for one in found.bins:
        assert one.hit.low - 0.02 <= one.forecast <= one.hit.high + 0.02


def test_rosy_forecasts_are_found_rosy():
    """Eight points too high, as 1 - |delta| is on condors: the interval does not cover 0."""
    rng = np.random.default_rng(4)
    p = rng.uniform(0.5, 0.9, 1500)
    hit = rng.uniform(size=1500) < p - 0.08

    found = statistics.calibration("rosy", p.tolist(), hit.tolist(), list(range(1500)))

    assert found.bias.low > 0.0
    assert found.bias.value == pytest.approx(0.08, abs=0.03)


def test_proposals_of_one_day_share_one_outcome():
    """A hundred proposals of one symbol and expiry are one cluster: no interval at all."""
    same = [proposal(n, pos=0.8, result=50.0, symbol="SPY") for n in range(100)]

    found = statistics.of_proposals(same)

    assert (found.n, found.clusters) == (100, 1)
    assert found.brier.low is None
    assert found.bins[0].hit.low is None


def test_cluster_intervals_are_wider():
    """Forty clusters of ten give a wider interval than four hundred single outcomes."""
    rng = np.random.default_rng(5)
    hit = np.repeat(rng.uniform(size=40) < 0.7, 10).tolist()
    p = [0.7] * 400

    grouped = statistics.calibration("x", p, hit, [n // 10 for n in range(400)])
    alone = statistics.calibration("x", p, hit, list(range(400)))

    assert grouped.bias.value == alone.bias.value
    assert grouped.bias.high - grouped.bias.low > 2.0 * (alone.bias.high - alone.bias.low)


def test_of_trades_uses_campaigns_with_forecast_and_result():
    """Open campaigns and those without a forecast are left out."""
    day = dt.date(2025, 6, 1)

    def campaign(result, pos):
        closed = None if result is None else day
        return CampaignOutcome(1, "SPY", "x", day, closed, result, pos=pos, expiry=EXPIRY)

    found = statistics.of_trades([campaign(10.0, 0.8), campaign(-5.0, None), campaign(None, 0.7)])

    assert (found.n, found.base_rate) == (1, 1.0)
    assert found.brier.value == pytest.approx(0.04)


def test_ranks_average_ties():
    """10, 20, 20, 30 have ranks 1, 2.5, 2.5 and 4."""
    assert statistics.ranks(np.array([20.0, 10.0, 30.0, 20.0])).tolist() == [2.5, 1.0, 4.0, 2.5]


def test_a_score_that_orders_results_perfectly():
    """Higher score, higher return on margin: a rank correlation of 1; the reverse, -1."""
    rising = [proposal(n, pos=0.7, result=10.0 * n, score=40.0 + n) for n in range(8)]
    falling = [proposal(n, pos=0.7, result=-10.0 * n, score=40.0 + n) for n in range(8)]

    assert statistics.score_test(rising).correlation.value == pytest.approx(1.0)
    assert statistics.score_test(falling).correlation.value == pytest.approx(-1.0)


def test_spearman_by_hand():
    """Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6 x 4 / (5 x 24) = 0.8 (Spearman's formula)."""
    scores, results = (1, 2, 3, 4, 5), (20, 10, 40, 30, 50)

    found = statistics.score_test(
        [
            proposal(n, pos=0.5, result=float(result), score=float(score))
            for n, (score, result) in enumerate(zip(scores, results, strict=True))
        ]
    )

    assert found.correlation.value == pytest.approx(0.8)


def test_bands_of_grades():
    """Each grade has its hits, forecasts and results; an unusable margin is left out."""
    found = statistics.score_test(
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

    assert statistics.score_test(same).correlation.value is None


DAY = dt.date(2025, 6, 2)


def outcome(result: float | None, *, day: int = 0, **more: object) -> CampaignOutcome:
    values = {
        "id": day,
        "symbol": "SPY",
        "strategy": "iron_condor",
        "opened": DAY,
        "closed": DAY + dt.timedelta(days=day),
        "result": result,
        **more,
    }
    return CampaignOutcome(**values)


def row(one: JournalEntry) -> dict:
    """What the store keeps of an entry beside its document."""
    document = one.model_dump(mode="json")
    keys = ("id", "symbol", "strategy", "status", "opened_at", "closed_at", "continues")
    return {**{key: document[key] for key in keys}, "summary": statistics.summarise(one)}


def stated(number: int, result: float) -> JournalEntry:
    return JournalEntry(
        id=number,
        symbol="SPY",
        status=EntryStatus.CLOSED,
        opened_at=OPENED,
        closed_at=at(3),
        stated=Stated(result=result),
    )


def test_three_trades_of_the_original():
    """+100, -50 and 1.10 to 0.40: 66.7 % won, 85 and -50 on average, expectancy +40."""
    sold = entry(
        trade("open", 0, option(-1, "560P", 1.1)), trade("close", 5, option(1, "560P", 0.4)), id=3
    )

    found = statistics.statistics(
        statistics.from_summaries([row(stated(1, 100.0)), row(stated(2, -50.0)), row(sold)])
    )

    assert (found.n, found.wins) == (3, 2)
    assert found.win_rate.value == pytest.approx(2 / 3)
    assert found.average_win == pytest.approx(85.0)
    assert found.average_loss == pytest.approx(-50.0)
    assert found.expectancy.value == pytest.approx(40.0)
    assert found.total == 120.0
    assert found.profit_factor == pytest.approx(170.0 / 50.0)


def test_quantity_counts():
    """The same trade with two contracts brings twice as much."""
    sold = entry(
        trade("open", 0, option(-2, "560P", 1.1)), trade("close", 5, option(2, "560P", 0.4)), id=1
    )

    assert statistics.from_summaries([row(sold)])[0].result == 140.0


def test_nothing_closed():
    """Without closed campaigns there is nothing to say, and nothing breaks."""
    found = statistics.statistics([outcome(None, closed=None)])

    assert found.n == 0
    assert found.win_rate.value is None
    assert found.expectancy.value is None
    assert found.average_days is found.profit_factor is found.rom is None
    assert found.max_drawdown == 0.0


def test_no_losses():
    """Gains without losses have an infinite profit factor; a result of nothing is no win."""
    found = statistics.statistics([outcome(10.0), outcome(0.0)])

    assert found.profit_factor == math.inf
    assert (found.n, found.wins, found.average_loss) == (2, 1, None)
    assert statistics.statistics([outcome(0.0)]).profit_factor is None


def test_drawdown_from_the_highest_point():
    """100, -30, -50, +20, -10: from 100 down to 20, and 30 at the end: 80."""
    results = (100.0, -30.0, -50.0, 20.0, -10.0)

    found = [outcome(value, day=n) for n, value in enumerate(results)]

    assert statistics.max_drawdown(found) == -80.0
    assert statistics.max_drawdown(reversed(found)) == -80.0


def test_drawdown_from_the_start():
    """A first loss is a fall from nothing; one day's gains and losses are netted."""
    assert statistics.max_drawdown([outcome(-40.0)]) == -40.0
    assert statistics.max_drawdown([outcome(-40.0, day=1), outcome(40.0, day=1)]) == 0.0


def test_a_loss_sat_out_is_in_the_drawdown():
    """A trade that was 300 under and closed at +50 had a drawdown of 300; so has an open one."""
    curve = ((DAY, -20.0), (DAY + dt.timedelta(days=2), -300.0))

    assert statistics.max_drawdown([outcome(50.0, day=9, curve=curve)]) == -300.0
    assert statistics.max_drawdown([outcome(None, closed=None, curve=curve)]) == -300.0


def test_days_margin_and_slippage():
    """Averages are over those that know the figure, and say how many."""
    found = statistics.statistics(
        [
            outcome(100.0, day=10, margin=500.0, slippage=4.0),
            outcome(-50.0, day=20, margin=1000.0),
            outcome(10.0, day=30, slippage=8.0),
        ]
    )

    assert found.average_days == 20.0
    assert found.rom == pytest.approx((0.2 - 0.05) / 2)
    assert found.rom_n == 2
    assert found.slippage == 6.0
    assert found.slippage_n == 2


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("strategy", ["iron_condor", "unnamed"]),
        ("symbol", ["QQQ", "SPY"]),
        ("month", ["2025-06", "2025-07"]),
        ("grade", ["A", "none"]),
    ],
)
def test_groups(by, labels):
    """Closed campaigns fall into groups by name; open ones are left out."""
    found = statistics.by_group(
        [
            outcome(10.0, grade="A"),
            outcome(20.0, day=40, symbol="QQQ", strategy=""),
            outcome(None, closed=None, symbol="IWM"),
        ],
        by,
    )

    assert sorted(one.label for one in found) == labels
    assert [one.n for one in found] == [1, 1]


def test_wilson():
    """Wilson's interval of 34 of 46 is 0.597 to 0.844 (Agresti and Coull 1998, the formula)."""
    found = wilson(34, 46)

    assert found.value == pytest.approx(0.7391, abs=1e-4)
    assert found.low == pytest.approx(0.5974, abs=2e-4)
    assert found.high == pytest.approx(0.8440, abs=2e-4)


def test_wilson_at_the_ends():
    """All or none of ten still leaves doubt on the open side: 0.7225 (Wilson 1927)."""
    assert (wilson(10, 10).low, wilson(10, 10).high) == (pytest.approx(0.7225, abs=1e-4), 1.0)
    assert (wilson(0, 10).low, wilson(0, 10).high) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert wilson(0, 0).value is None


def test_expectancy_interval_is_that_of_clusters():
    """Ten copies of one outcome are as uncertain as one: the interval does not shrink."""
    alone = [outcome(100.0, symbol="A"), outcome(-100.0, symbol="B"), outcome(50.0, symbol="C")]
    copies = [one for one in alone for _ in range(10)]

    once, often = statistics.statistics(alone), statistics.statistics(copies)

    assert often.expectancy.low == pytest.approx(once.expectancy.low, rel=1e-5)
    assert often.expectancy.high == pytest.approx(once.expectancy.high, rel=1e-5)
    assert once.expectancy.low == pytest.approx(-100.0)
    assert once.expectancy.high == pytest.approx(100.0)
    assert statistics.statistics(alone[:1]).expectancy.low is None


def test_resampling_is_unbiased_and_repeatable():
    """Mean and spread of resampled sums are those of theory, and the same every time."""
    rng = np.random.default_rng(7)
    values = rng.normal(5.0, 2.0, (200, 1))
    cluster = np.arange(200)

    sums = resampled_sums(cluster, values, 4000)

    assert sums.mean() == pytest.approx(values.sum(), rel=2e-3)
    assert sums.std() == pytest.approx(math.sqrt(200.0) * values.std(), rel=0.05)
    assert np.array_equal(sums, resampled_sums(cluster, values, 4000))
    assert resampled_sums(np.array([], dtype=np.int64), np.zeros((0, 2)), 3).shape == (3, 2)


def test_entries_that_continue_each_other_are_one():
    """Two linked entries have one result, the forecast of the first and the days of both."""
    first = entry(
        trade("open", 0, option(-1, "560P", 2.0)),
        trade("close", 10, option(1, "560P", 2.6)),
        id=4,
        strategy="short_put",
        context=Context(pos=0.8, margin=900.0),
    )
    second = entry(
        trade("open", 10, option(-1, "550P", 2.4)),
        trade("close", 25, option(1, "550P", 0.4)),
        id=9,
        continues=4,
        context=Context(pos=0.7, margin=1200.0),
    )

    (found,) = statistics.from_summaries([row(second), row(first)])

    assert (found.id, found.result, found.days) == (4, 140.0, 25)
    assert (found.pos, found.margin, found.strategy) == (0.8, 1200.0, "short_put")


def test_a_linked_campaign_is_open_until_all_of_it_is_closed():
    """While one of its entries is open there is no result; a cancelled one does not count."""
    first = entry(
        trade("open", 0, option(-1, "560P", 2.0)), trade("close", 9, option(1, "560P", 1.0)), id=1
    )
    still = entry(trade("open", 9, option(-1, "550P", 2.4)), id=2, continues=1)
    dropped = still.model_copy(update={"status": EntryStatus.CANCELLED})

    (found,) = statistics.from_summaries([row(first), row(still)])
    assert (found.closed, found.result) == (None, None)
    (found,) = statistics.from_summaries([row(first), row(dropped)])
    assert found.result == 100.0
    assert statistics.from_summaries([row(dropped)])[0:] == []


def test_links_in_a_circle_end():
    """Entries linked to each other in a circle are one campaign, not an endless loop."""
    one = entry(trade("open", 0, option(-1, "560P", 2.0)), id=1, continues=2)
    two = entry(trade("open", 1, option(-1, "560P", 2.0)), id=2, continues=1)

    assert [found.id for found in statistics.from_summaries([row(one), row(two)])] == [1]


def test_a_result_of_nothing_is_a_result():
    """Bought back for what was received: 0, which is not the same as unknown."""
    even = entry(
        trade("open", 0, option(-1, "560P", 2.0)), trade("close", 5, option(1, "560P", 2.0)), id=1
    )

    (found,) = statistics.from_summaries([row(even)])

    assert found.result == 0.0
    assert statistics.statistics([found]).n == 1


def test_summary():
    """The summary has what a list shows: legs, credit, premium, expiry, last mark."""
    one = condor(2, id=7, context=Context(margin=1530.0, pos=0.71, max_loss=math.inf))
    one = one.model_copy(update={"snapshots": (snapshot(3, 593.0, (), pnl=81.004),)})

    summary = statistics.summarise(one)

    assert summary["legs"] == "+2 550P -2 560P -2 620C +2 630C 2025-06-20"
    assert (summary["structures"], summary["credit"], summary["premium"]) == (2, 2.35, 470.0)
    assert (summary["expiry"], summary["cluster"]) == ("2025-06-20", "2025-06-20")
    assert (summary["pnl"], summary["pnl_at"]) == (81.0, at(3).isoformat())
    assert "result" not in summary
    assert summary["curve"] == [["2025-05-22", 81.0]]
