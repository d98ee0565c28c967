"""Figures of a modelled day are those of the kernels of the scan."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from support import walked
from tomic.config import Settings
from tomic.evidence import candidates, trades, walk
from tomic.evidence.candidates import WalkTerms
from tomic.evidence.history import clean
from tomic.evidence.structures import STRUCTURES

TABLE = walked.table()


def looked_at(settings=walked.SETTINGS, earnings=None, **given):
    """The first symbol of the table, and the positions that the walk opens on the same days."""
    history = clean(TABLE, etfs=("AAA",))[0]
    terms = WalkTerms.of(settings, STRUCTURES, **given)
    days = walk.entry_days([history])
    found = candidates.look(history, days, terms, Counter(), earnings)
    return found, walk.positions(history, days, terms.walk, Counter(), whole=False)


def test_figures_are_those_of_the_walk():
    """PoS, EV and CVaR agree with the walk's own to what a coarser grid costs."""
    found, opened = looked_at()
    told = trades.promises(opened.smiles, opened.trades, points=4001)

    margin = opened.trades.net_margin
    assert np.abs(found.pos - told.pos).max() < 1e-3
    assert np.abs((found.ev - told.ev) / margin).max() < 2e-4
    rare = told.pos >= 0.95
    assert_allclose(found.tail[~rare], np.maximum(told.cvar, 0.0)[~rare], rtol=2e-3)


def test_a_trusted_view_moves_the_ranking_alone():
    """The market's figures stay; what ranks goes by the view."""
    view = {"AAA": {"volatility": 0.8}, "trust": 1.0}
    plain, _ = looked_at()
    own, _ = looked_at(walked.SETTINGS.model_copy(
        update={"view": Settings(view=view).view}
    ))  # fmt: skip

    assert_array_equal(own.ev, plain.ev)
    assert_array_equal(plain.ranked_ev, plain.ev)
    assert (own.ranked_ev[:, 0] > own.ev[:, 0]).all()


def test_held_and_managed_agree_without_exits():
    """With every exit off nothing is closed early."""
    off = dict.fromkeys(("profit_target", "stop", "min_dte", "earnings_days"), "none")
    found, _ = looked_at(Settings(journal={"exits": off}, backtest={"warm_up": 40}))

    known = ~np.isnan(found.held)
    assert_array_equal(found.managed[known], found.held[known])
    assert (found.leaving == 0.0).all()
    assert (found.reason == 0).all()


def test_min_dte_closes_on_its_first_day():
    """At 21 days to expiry nothing is older than the first trading day from day 9 on."""
    rules = {"profit_target": "none", "stop": "none", "earnings_days": "none"}
    found, _ = looked_at(Settings(journal={"exits": rules}, backtest={"warm_up": 40}))

    closed = found.reason == 4
    assert closed.mean() > 0.7
    assert set(found.days[closed]) <= {9.0, 10.0, 11.0}


def test_a_report_closes_before_it():
    """Two days before earnings the exit fires, and the next report is known on the day."""
    day = looked_at()[0].day[3]
    reports = np.array([day + 7], dtype="datetime64[D]")
    rules = {"profit_target": "none", "stop": "none", "min_dte": "none", "earnings_days": 2}
    found, _ = looked_at(Settings(journal={"exits": rules}, backtest={"warm_up": 40}), reports)

    assert found.earnings[3] == reports[0]
    assert set(found.reason[3]) == {3}
    assert set(found.days[3]) <= {5.0, 6.0, 7.0}
    assert np.isnat(found.earnings[-1])


def test_structures_stand_for_strategies():
    """A short put stands for either kind; what no structure can stand for is absent."""
    names = [each.name for each in candidates.chosen_structures(["cash_secured_put", "calendar"])]

    assert names == ["short put 20"]
    assert len(candidates.chosen_structures([each.strategy for each in STRUCTURES])) == 13
