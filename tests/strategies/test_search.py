"""The search against brute force: the same trades, the same scores, the same refusals."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from support import random_chains, recorded_chains, reference
from tomic.config import Settings
from tomic.files import load_chain
from tomic.strategies import propose, search
from tomic.strategies.catalogue.templates import CATALOGUE
from tomic.strategies.pricing import board as boards

POINT = 1e-6
"""Points of score by which two exact computations may differ."""
TOP = 5


def assert_same_as_brute_force(chain, settings=None, names=tuple(CATALOGUE)):
    """Compare every group of every strategy, and the walk over all of them."""
    settings = settings or Settings()
    templates = [CATALOGUE[name] for name in names]
    vol = random_chains.snapshot(chain, hv30=0.22)
    board = boards.prepare(chain, vol, settings)
    trades, refused, considered = reference.scan(board, templates)

    for template in templates:
        found = search.search(board, [template], keep=TOP)
        assert_same_groups(found.hits, [one for one in trades if one.strategy == template.name])
    whole = propose.propose(chain, vol, strategies=names, settings=settings)

    expected, like = reference.walk(trades, settings.scan, TOP)
    scores = [one.score for one in expected]
    assert [one.score for one in whole.proposals] == pytest.approx(scores, abs=POINT)
    assert [legs_of(one) for one in whole.proposals] == [one.legs for one in expected]
    assert [one.alternatives for one in whole.proposals] == like
    assert (whole.considered, whole.passed) == (considered, len(trades))
    assert {one.rule: one.count for one in whole.rejected} == dict(refused)


def assert_same_groups(hits, trades):
    """The best five of each variant and expiries are the same trades with the same scores."""
    groups = defaultdict(list)
    for trade in sorted(trades, key=lambda one: one.key):
        groups[trade.group].append(trade)
    found = defaultdict(list)
    for hit in hits:
        found[hit.template.side, hit.legs[0][2], hit.expiries].append(hit)

    assert set(found) == set(groups)
    for group, expected in groups.items():
        best = [one.score for one in expected[:TOP]]
        assert [one.score for one in found[group]] == pytest.approx(best, abs=POINT)
        assert [one.legs for one in found[group]] == [one.legs for one in expected[:TOP]]


def legs_of(proposal):
    return tuple(
        (str(leg.expiry), leg.strike, leg.right, leg.quantity)
        for leg in proposal.legs
        if leg.sec_type == "OPT"
    )


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 20))]
)
def test_random_chains_give_what_brute_force_gives(seed):
    """On a random chain of two expiries."""
    style = "STK" if seed % 4 == 0 else "IND"
    assert_same_as_brute_force(random_chains.chain(seed, strikes=10, sec_type=style))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20, 220))
def test_many_random_chains_give_what_brute_force_gives(seed):
    """On larger random chains, some with a third expiry."""
    days = (24, 38, 66) if seed % 2 else (32, 60)
    style = "STK" if seed % 4 == 0 else "IND"
    assert_same_as_brute_force(random_chains.chain(seed, strikes=14, days=days, sec_type=style))


LARGEST = "tomic_ib_SPY_20250519_2026cest.csv"
RECORDED = {
    LARGEST: ({}, 10.0),
    "lean_GOOG_20151224_eod_chain.csv": ({"spot": 748.40, "rate": 0.003}, 17.5),
    "tomic_ib_XLF_20250518_sunday_closed.csv": ({}, 1.0),
}
"""File to what it does not say of itself, and the distance of strikes that are kept."""


# Loops in plain Python over the strikes of SPY take as long as all other searches together.
@pytest.mark.parametrize(
    "name", [pytest.param(LARGEST, marks=pytest.mark.soak), *sorted(set(RECORDED) - {LARGEST})]
)
def test_recorded_chains_give_what_brute_force_gives(name):
    """On recorded chains, thinned so that plain loops can go through them."""
    if why := recorded_chains.missing(name):
        pytest.skip(why)
    known, step = RECORDED[name]
    chain = load_chain(recorded_chains.DATA / name, **known)
    # Strikes a step apart, few enough for loops over four legs.
    place = chain["strike"] / step
    near = np.abs(chain["strike"] / chain.spot.price - 1.0) < 0.12
    chain = chain.where((np.abs(place - np.round(place)) < 1e-9) & near & (chain["dte"] < 90))

    assert_same_as_brute_force(chain)
