"""The choice of a day is the scan's own, and knows nothing of the days after it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support import made_surfaces, walked
from tomic.config import Settings
from tomic.errors import ConfigError
from tomic.evidence import choice
from tomic.strategies import measures

DECIDED = (
    "symbol", "strategy", "rank", "passed", "score", "credit", "costs", "margin", "cvar", "pos",
    "ev", "ev_market", "iv30", "iv_percentile",
)  # fmt: skip


def other_future(table, day):
    """The same table until *day*; prices, volatilities and skews of another world after it."""
    later = table.day > day
    generator = np.random.default_rng(5)
    factor = np.exp(0.2 * generator.normal(size=later.size))
    return made_surfaces.changed(
        table,
        close=np.where(later, table.close * factor, table.close),
        atm_iv=np.where(later, 1.7 * table.atm_iv, table.atm_iv),
        skew=np.where(later, -table.skew, table.skew),
        term_m1_m2=np.where(later, 3.0, table.term_m1_m2),
    )


def decided_until(pool, day):
    """What was decided on every day up to *day*."""
    rows = np.flatnonzero(pool.day <= day)
    return {name: getattr(pool, name)[rows] for name in DECIDED}


def is_the_same(table, score=None):
    """Whether another future changes nothing of what was decided until then."""
    day = table.day[110]
    one, two = (
        decided_until(walked.walked(each, score=score).pool, day)
        for each in (table, other_future(table, day))
    )
    return all(np.array_equal(one[name], two[name], equal_nan=name not in
               ("symbol", "strategy", "rank", "passed")) for name in DECIDED)  # fmt: skip


def test_the_future_changes_nothing_before():
    """Choices, ranks and promises until a day are the same whatever comes after it."""
    assert is_the_same(walked.table())


def test_a_rule_that_looks_ahead_is_caught():
    """Ranking by the close of the expiry gives another choice where only later days differ."""

    def leaky(looked, settings):
        plain = choice.scored(looked, settings)
        return plain + 100.0 * np.nan_to_num(looked.move)[:, None]

    assert not is_the_same(walked.table(), leaky)


def test_exits_that_came_before_are_the_same():
    """A trade that was closed until a day is closed on the same day at the same P&L."""
    table = walked.table()
    day = table.day[110]
    one, two = (walked.walked(each).pool for each in (table, other_future(table, day)))

    known = (one.rank > 0) & (one.managed.closed <= day)
    assert known.sum() > 10
    assert_array_equal(one.managed.closed[known], two.managed.closed[known])
    assert_allclose(one.pnl("managed")[known], two.pnl("managed")[known])


def test_the_outcome_decides_nothing():
    """What ends after the data is chosen all the same, and its P&L is not known."""
    pool = walked.walked(walked.table()).pool

    still = (pool.rank > 0) & (pool.unknown == "still open at the end of the data")
    assert still.any()
    assert np.isnan(pool.pnl("hold")[still]).all()


def test_limits_of_the_scan_hold():
    """No day shows more than the top, two of a symbol, three of a strategy, or a thesis twice."""
    pool = walked.walked(walked.table()).pool

    for day in np.unique(pool.day):
        rows = np.flatnonzero((pool.day == day) & (pool.rank > 0))
        sides = [f"{pool.symbol[row]} {pool.side[row]}" for row in rows]
        _, of_symbol = np.unique(pool.symbol[rows].astype(str), return_counts=True)
        _, of_strategy = np.unique(pool.strategy[rows].astype(str), return_counts=True)
        assert sorted(pool.rank[rows]) == list(range(1, rows.size + 1))
        assert rows.size <= 3
        assert max(of_symbol) <= 2
        assert max(of_strategy) <= 3
        assert len(set(sides)) == rows.size


def test_the_first_of_a_day_has_its_best_score():
    """Nothing that passed scores above the first."""
    pool = walked.walked(walked.table()).pool

    for day in np.unique(pool.day):
        of_day = (pool.day == day) & pool.passed
        assert pool.score[of_day].max() == pool.score[of_day & (pool.rank == 1)][0]


def test_gates_and_rules_refuse_and_are_counted():
    """A gate that nothing passes, and a rule that refuses the rest, leave nothing."""
    settings = Settings(
        scan={"profile": "all", "min_pos": 0.99},
        strategies={"short_strangle": {"gates": ["iv_rank >= 5"]}},
        backtest={"warm_up": 40},
    )
    found = walked.walked(walked.table(420), settings)

    assert not found.choice.passed.any()
    assert found.choice.refused["gate:iv_rank"] > 0
    assert found.choice.refused["min_pos"] > 0


def test_a_window_that_does_not_hold_the_days_refuses():
    """A strategy that wants 40 days is not opened at 30."""
    settings = Settings(
        scan={"profile": "all", "strategies": ["naked_put", "short_put_spread"]},
        strategies={"naked_put": {"dte": [40, 50]}},
        backtest={"warm_up": 40},
    )
    found = walked.walked(walked.table(), settings)

    assert set(found.pool.strategy[found.choice.passed.reshape(-1)]) == {"short_put_spread"}
    assert found.choice.refused["dte"] == found.looked.day.size


def test_the_original_score_is_refused_by_name():
    """It needs quotes, which a modelled smile does not have."""
    settings = Settings(score={"definition": "original"}, backtest={"warm_up": 40})

    with pytest.raises(ConfigError, match="original needs quotes"):
        walked.walked(walked.table(), settings)


def test_a_robust_score_ranks_by_less():
    """Without it, what is short volatility scores higher by half of a usual miss."""
    plain = walked.SETTINGS.model_copy(
        update={"score": walked.SETTINGS.score.model_copy(update={"robust": False})}
    )
    found = walked.walked(walked.table())
    robust, bold = (choice.scored(found.looked, each) for each in (walked.SETTINGS, plain))

    assert (bold >= robust).all()
    assert (measures.robust_cost(found.looked.slope) > 0.0).all()


def test_correlations_are_those_of_the_evening():
    """The returns after a day do not move the correlation of that day."""
    table = walked.table()
    day = table.day[110]
    before, after = (
        choice.Correlations.of(walked.walked(each).histories)
        for each in (table, other_future(table, day))
    )
    pair = frozenset(("AAA", "BBB"))

    assert before.until(day).get(pair) == after.until(day).get(pair) != 0.0
    assert before.until(table.day[20]).get(pair, 0.25) == 0.25
