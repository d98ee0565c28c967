"""The original program's score, by the figures that were worked out for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from support import random_chains
from tomic.config import ScoreSettings, ScoreWeights, Settings
from tomic.quant import payoff
from tomic.strategies import propose, scoring

SCORE = ScoreSettings()
positive = st.floats(1.0, 1e5)
fraction = st.floats(0.01, 0.999)
value = st.floats(-1e4, 1e4)


def figures(pos=0.7, ev=5.0, tail=300.0, liquidity=0.9):
    return scoring.ScoreFigures(*(np.array([float(x)]) for x in (pos, ev, tail, liquidity)))


def score(**changes):
    return float(scoring.total(figures(**changes), SCORE)[0])


def test_definition():
    """100 L (.25 PoS + .75 / (1 + exp(-EV / CVaR95 / .02))), by hand."""
    expected = 0.25 * 0.7 + 0.75 / (1.0 + math.exp(-5.0 / 300.0 / 0.02))

    assert score() == pytest.approx(100.0 * 0.9 * expected)


def test_what_is_risked_is_the_unit():
    """Twice the expected value at twice the tail loss is the same score."""
    assert score(ev=10.0, tail=600.0) == pytest.approx(score())


@pytest.mark.parametrize(("ev", "part"), [(0.01, 1.0), (0.0, 0.5), (-0.01, 0.0)])
def test_nothing_to_lose_is_the_limit(ev, part):
    """Where no outcome loses, the sign of the expected value decides, as the limit does."""
    found = scoring.components(figures(ev=ev, tail=0.0), SCORE)[1, 0]

    assert found == part
    assert scoring.components(figures(ev=ev, tail=1e-9), SCORE)[1, 0] == pytest.approx(part)


@given(fraction, value, st.floats(0.01, 1e5), fraction, st.floats(0.01, 100.0))
def test_more_credit_never_lowers(pos, ev, tail, liquidity, more):
    """Higher credit: more EV, less tail loss, no lower PoS; of any trade that wins on average."""
    before = score(pos=pos, ev=abs(ev), tail=tail, liquidity=liquidity)

    after = score(
        pos=min(pos + 0.001, 1.0), ev=abs(ev) + more, tail=max(tail - more, 0.0),
        liquidity=liquidity,
    )  # fmt: skip

    assert after >= before


@given(fraction, fraction)
def test_liquidity_scales(one, other):
    """A less liquid trade, all else equal, scores less."""
    low, high = sorted((one, other))
    assert score(liquidity=low) <= score(liquidity=high)


@pytest.mark.parametrize("field", [{"pos": 0.001}, {"ev": 0.01}, {"liquidity": 0.001}])
def test_nothing_is_clipped(field):
    """A little more of anything is a little more score, also far up."""
    best = {"pos": 0.99, "ev": 25.0, "liquidity": 0.99, "tail": 50.0}
    ((name, step),) = field.items()

    assert score(**{**best, name: best[name] + step}) > score(**best)


def test_missing_figure_has_no_score():
    """NaN in, NaN out: such a trade can win nothing."""
    assert np.isnan(score(ev=np.nan))
    assert np.isnan(score(pos=np.nan))


def test_parts_add_up():
    """Components add, then liquidity, fit and correlation take away; the sum is the score."""
    one = figures()
    parts = scoring.parts(
        scoring.components(one, SCORE)[:, 0], SCORE, liquidity=0.9, fit=0.8, penalty=0.1
    )

    names = [part.name for part in parts]
    assert names == ["pos", "ev", "liquidity", "fit", "correlation"]
    assert sum(part.points for part in parts) == pytest.approx(score() * 0.8 * 0.9)
    assert all(part.points < 0.0 for part in parts[2:])


def test_parts_by_hand():
    """
    .8 and .6 under .25 and .75 are 20 + 45 = 65 points.

    Of those, liquidity .9 takes a tenth, a fit of .8 a fifth of the rest, a correlation a tenth of
    what is left then: 6.5, 11.7 and 4.68.
    """
    components = np.array([0.8, 0.6])

    plain = scoring.parts(components, SCORE, liquidity=1.0)
    cut = scoring.parts(components, SCORE, liquidity=0.9, fit=0.8, penalty=0.1)

    assert [part.points for part in plain] == pytest.approx([20.0, 45.0, 0.0, 0.0])
    assert [part.points for part in cut[2:]] == pytest.approx([-6.5, -11.7, -4.68])


def test_weights_of_the_original():
    """The original program weighs return .40, PoS .25, EV .20 and risk .15, whatever is set."""
    original = ScoreSettings(definition="original", weights=ScoreWeights(pos=1.0))

    assert scoring.weights(original).tolist() == [0.40, 0.25, 0.20, 0.15]
    assert scoring.weights(SCORE).tolist() == [0.25, 0.75]


def test_weights_are_settings():
    """With PoS alone the score is 100 L PoS."""
    only = ScoreSettings(weights=ScoreWeights(pos=1.0))
    assert scoring.total(figures(), only)[0] == pytest.approx(100.0 * 0.9 * 0.7)


@pytest.mark.parametrize(
    ("standing", "grade"),
    [(1.0, "A"), (0.9, "A"), (0.899, "B"), (0.7, "B"), (0.4, "C"), (0.39, "D"), (None, "C")],
)
def test_grades(standing, grade):
    """A from 90 % of the others, B from 70 %, C from 40 %; without others C."""
    assert scoring.grade(standing, SCORE).value == grade


@pytest.mark.parametrize(("standing", "grade"), [(1.0, "C"), (0.5, "C"), (0.1, "D")])
def test_a_grade_may_be_capped(standing, grade):
    """What something speaks against is C at best, and no better for it."""
    assert scoring.grade(standing, SCORE, capped=True).value == grade


def test_percentile_by_hand():
    """Of 40, 45, 50, 55 and 60, three of the four others are below 55, and all of them below 60."""
    counts = scoring.counted(np.array([40.0, 45.0, 50.0, 55.0, 60.0, np.nan]))

    assert counts.sum() == 5
    assert scoring.percentile(counts, 55.0) == 0.75
    assert scoring.percentile(counts, 60.0) == 1.0
    assert scoring.percentile(counts, 40.0) == 0.0
    assert scoring.percentile(scoring.counted(np.array([50.0])), 50.0) is None


@given(st.lists(st.floats(0.0, 100.0), min_size=2, max_size=300), st.data())
def test_percentiles_of_bins_are_those_of_the_scores(scores, data):
    """They differ by what shares a bin of a tenth of a point, and no more."""
    chosen = data.draw(st.sampled_from(scores))
    known = np.array(scores)
    near = np.abs(known - chosen) <= 0.1

    found = scoring.percentile(scoring.counted(known), chosen)

    exact = (known < chosen).sum() / (known.size - 1)
    assert abs(found - exact) <= near.sum() / (known.size - 1)


def structure(legs, credit, **stock):
    """Largest profit and loss of legs (strike, right, quantity), premium per share."""
    strike, right, quantity = (np.array([column]) for column in zip(*legs, strict=True))
    return [
        float(value[0])
        for value in scoring.structure(
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

    figures = scoring.OriginalFigures(*(np.array([x]) for x in (profit, loss, -loss, 0.8, 10.0)))
    assert loss == -np.inf
    assert np.isnan(scoring.original_score(figures)[0])


def test_success_is_one_less_the_mean_delta():
    """A short delta of .20 gives 80 %; .16 and .20 together 82 %, not 64 %."""
    delta = np.array([[-0.20, -0.05, 0.0, 0.0], [-0.16, -0.05, 0.20, 0.05]])
    quantity = np.array([[-1.0, 1.0, 0.0, 0.0], [-1.0, 1.0, -1.0, 1.0]])

    assert scoring.success(delta, quantity) == pytest.approx([0.80, 0.82])


def test_expected_value_has_two_outcomes():
    """80 % of 150 and 20 % of -350 are 50."""
    found = scoring.expected(np.array([0.8]), np.array([150.0]), np.array([-350.0]))
    assert found == pytest.approx([50.0])


@pytest.mark.parametrize(
    ("rom", "pos", "ev", "ratio", "score"),
    [(0.20, 1.00, 0.10, 8.0, 100.0), (0.10, 0.75, 0.05, 1.0, 42.5)],
)
def test_score(rom, pos, ev, ratio, score):
    """20 %, 100 %, 10 % and full marks for risk give 100; half of each and none give 42.5."""
    parts = [
        np.array([min(rom / 0.20, 1.0)]), np.array([(pos - 0.5) / 0.5]),
        np.array([ev / 0.10]), scoring.risk_reward(np.array([ratio])),
    ]  # fmt: skip
    weighed = 100.0 * sum(w * p for w, p in zip((0.40, 0.25, 0.20, 0.15), parts, strict=True))
    assert weighed == pytest.approx(score)


@pytest.mark.parametrize(
    ("ratio", "part"),
    [(1.0, 0.0), (1.5, 0.3221), (2.0, 0.5232), (3.0, 0.85), (5.0, 0.942), (8.0, 1.0)],
)
def test_risk_reward_part(ratio, part):
    """Published points of its curve, which rises with the risk."""
    assert scoring.risk_reward(np.array([ratio]))[0] == pytest.approx(part, abs=6e-4)


def test_whole_score_of_a_spread():
    """Of the put spread above at a delta of .20: ROM 1, PoS .6, EV 1 and its risk part."""
    figures = scoring.OriginalFigures(
        np.array([150.0]), np.array([-350.0]), np.array([350.0]), np.array([0.8]), np.array([50.0])
    )

    parts = scoring.original_components(figures)[:, 0]

    assert parts[:3] == pytest.approx([1.0, 0.6, 1.0])
    assert scoring.original_score(figures)[0] == pytest.approx(
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
        assert [part.name for part in one.parts[:4]] == ["rom", "pos", "ev", "risk_reward"]
        assert one.parts[4].points == 0.0
