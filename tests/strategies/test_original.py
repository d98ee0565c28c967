"""The original program's score, by the figures that were worked out for it."""

from __future__ import annotations

import numpy as np
import pytest

import random_chains
from tomic.config import ScoreSettings, Settings
from tomic.quant import payoff
from tomic.strategies import original, propose


def structure(legs, credit, **stock):
    """Largest profit and loss of legs (strike, right, quantity), premium per share."""
    strike, right, quantity = (np.array([column]) for column in zip(*legs, strict=True))
    return [
        float(value[0])
        for value in original.structure(
            strike.astype(float), right == "C", quantity.astype(float),
            np.array([100.0 * credit]), **stock,
        )
    ]  # fmt: skip


def test_short_put_spread():
    """95/90 for 1.50 makes 150, loses 350 (which is its margin), returns 42.857 %, BE 93.50."""
    legs = [(95.0, "P", -1), (90.0, "P", 1)]

    profit, loss = structure(legs, 1.50)

    assert (profit, loss) == (150.0, -350.0)
    assert profit / -loss == pytest.approx(0.42857, abs=5e-6)
    form = payoff.segments([95.0, 90.0], [False, False], [-1, 1], credit=1.50)
    assert payoff.profile(form).breakevens[0] == pytest.approx(93.50)


def test_iron_condor():
    """90/95/105/110 for 2.00 makes 200 and loses 300; wings of 5 and 7 need the wider, 500."""
    condor = [(90.0, "P", 1), (95.0, "P", -1), (105.0, "C", -1), (110.0, "C", 1)]
    assert structure(condor, 2.00) == [200.0, -300.0]

    unequal = [*condor[:3], (112.0, "C", 1)]
    assert structure(unequal, 2.00)[1] == -500.0


def test_naked_put_is_cash_secured():
    """A 95 put for 1.50 ties up 9,350."""
    assert structure([(95.0, "P", -1)], 1.50) == [150.0, -9350.0]


def test_backspread_loses_most_at_the_long_strike():
    """One 100 put sold and two 95 bought for .50 lose 450 at 95."""
    assert structure([(100.0, "P", -1), (95.0, "P", 2)], 0.50)[1] == -450.0


def test_more_calls_sold_than_held_is_refused():
    """Its loss has no bound, so the original gives no score."""
    profit, loss = structure([(100.0, "C", 1), (105.0, "C", -2)], 0.50)

    figures = original.OriginalFigures(*(np.array([x]) for x in (profit, loss, -loss, 0.8, 10.0)))
    assert loss == -np.inf
    assert np.isnan(original.total(figures)[0])


def test_success_is_one_less_the_mean_delta():
    """A short delta of .20 gives 80 %; .16 and .20 together 82 %, not 64 %."""
    delta = np.array([[-0.20, -0.05, 0.0, 0.0], [-0.16, -0.05, 0.20, 0.05]])
    quantity = np.array([[-1.0, 1.0, 0.0, 0.0], [-1.0, 1.0, -1.0, 1.0]])

    assert original.success(delta, quantity) == pytest.approx([0.80, 0.82])


def test_expected_value_has_two_outcomes():
    """80 % of 150 and 20 % of -350 are 50."""
    found = original.expected(np.array([0.8]), np.array([150.0]), np.array([-350.0]))
    assert found == pytest.approx([50.0])


@pytest.mark.parametrize(
    ("rom", "pos", "ev", "ratio", "score"),
    [(0.20, 1.00, 0.10, 8.0, 100.0), (0.10, 0.75, 0.05, 1.0, 42.5)],
)
def test_score(rom, pos, ev, ratio, score):
    """20 %, 100 %, 10 % and full marks for risk give 100; half of each and none give 42.5."""
    parts = [
        np.array([min(rom / 0.20, 1.0)]), np.array([(pos - 0.5) / 0.5]),
        np.array([ev / 0.10]), original.risk_reward(np.array([ratio])),
    ]  # fmt: skip
    weighed = 100.0 * sum(w * p for w, p in zip((0.40, 0.25, 0.20, 0.15), parts, strict=True))
    assert weighed == pytest.approx(score)


@pytest.mark.parametrize(
    ("ratio", "part"),
    [(1.0, 0.0), (1.5, 0.3221), (2.0, 0.5232), (3.0, 0.85), (5.0, 0.942), (8.0, 1.0)],
)
def test_risk_reward_part(ratio, part):
    """Published points of its curve, which rises with the risk."""
    assert original.risk_reward(np.array([ratio]))[0] == pytest.approx(part, abs=6e-4)


def test_whole_score_of_a_spread():
    """Of the put spread above at a delta of .20: ROM 1, PoS .6, EV 1 and its risk part."""
    figures = original.OriginalFigures(
        np.array([150.0]), np.array([-350.0]), np.array([350.0]), np.array([0.8]), np.array([50.0])
    )

    parts = original.components(figures)[:, 0]

    assert parts[:3] == pytest.approx([1.0, 0.6, 1.0])
    assert original.total(figures)[0] == pytest.approx(
        100.0 * (0.40 + 0.15 + 0.20 + 0.15 * parts[3])
    )


def test_a_scan_can_rank_by_it():
    """Parts still add up to the score, and liquidity takes nothing away."""
    chain = random_chains.chain(3)
    settings = Settings(score=ScoreSettings(definition="original"))

    found = propose.propose(chain, random_chains.snapshot(chain), settings=settings)

    assert found.proposals
    for one in found.proposals:
        assert sum(part.points for part in one.parts) == pytest.approx(one.score)
        assert one.parts[4].points == 0.0
