"""One thesis a row, with what else would say the same."""

from __future__ import annotations

import itertools

import pytest

from support import random_chains
from tomic.config import Settings
from tomic.strategies import propose, search, thesis
from tomic.strategies.catalogue.templates import CATALOGUE
from tomic.strategies.pricing import board as boards

BULLISH = ("short_put_spread", "naked_put", "cash_secured_put", "jade_lizard")


@pytest.fixture(scope="module")
def chain():
    """S = 100, volatility 40 %, 32 and 60 days."""
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)


@pytest.fixture(scope="module")
def result(chain):
    """A scan for what is bullish, short puts on margin and in cash among it."""
    vol = random_chains.snapshot(chain, iv30=0.40)
    return propose.propose(chain, vol, strategies=[*BULLISH, "iron_condor"], top=20)


def test_rows_are_theses(result):
    """No two proposals want the same of a symbol by the same week."""
    theses = [(one.symbol, one.side, one.expiry.isocalendar()[:2]) for one in result.proposals]

    assert len(set(theses)) == len(theses) == 4
    # Whatever passed is a row or one of the others of a row.
    assert sum(one.alternatives + 1 for one in result.proposals) == result.passed


def test_alternatives_are_of_the_thesis_and_best_first(result):
    """Three at most, none better than what is proposed, none of another week."""
    for proposal in result.proposals:
        scores = [proposal.score, *(each.score for each in proposal.similar)]
        assert len(proposal.similar) <= thesis.SHOWN
        assert scores == sorted(scores, reverse=True)
        week = proposal.expiry.isocalendar()[:2]
        assert {each.expiry.isocalendar()[:2] for each in proposal.similar} <= {week}
        assert proposal.trade not in {each.trade for each in proposal.similar}


def test_figures_of_an_alternative_are_those_of_its_proposal(chain, result):
    """Proposed alone, it has the same credit, PoS, EV, margin and score."""
    vol = random_chains.snapshot(chain, iv30=0.40)
    other = result.proposals[0].similar[0]

    proposal = propose.explain_trade(chain, vol, other.trade).proposal

    for name in ("strategy", "trade", "expiry", "credit", "pos", "ev", "margin", "score"):
        assert getattr(proposal, name) == pytest.approx(getattr(other, name)), name


@pytest.fixture(scope="module")
def hits(chain):
    """Every short put, naked and secured, of the first expiry."""
    board = boards.prepare(chain, random_chains.snapshot(chain), Settings())
    templates = [CATALOGUE["naked_put"], CATALOGUE["cash_secured_put"]]
    found = search.search(board, templates, keep=search.ALL).hits
    return [hit for hit in found if hit.expiries[0] == chain.expiries[0]]


def test_a_short_put_and_its_secured_twin_are_one_choice(hits):
    """Two short puts differ by their strikes alone: half a deviation makes a choice."""
    sigma = hits[0].board.outlooks[hits[0].expiries[0]].sigma_points
    assert {hit.template.name for hit in hits} == {"naked_put", "cash_secured_put"}

    for hit, other in itertools.combinations(hits, 2):
        apart = abs(hit.legs[0][1] - other.legs[0][1])
        assert thesis.is_another_choice(hit, other) is bool(apart >= 0.5 * sigma)
