"""The walk down the ranking, on made-up hits."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from tomic.config import ScanSettings
from tomic.strategies.catalogue.templates import CATALOGUE
from tomic.strategies.diversify import Contender, by_strategy, walk
from tomic.strategies.scoring import PortfolioFit
from tomic.strategies.search import Hit

MAY, JUNE = dt.date(2026, 5, 15), dt.date(2026, 6, 19)
SCAN = ScanSettings()


def contender(symbol, strategy, score, expiry=MAY, fit=1.0, row=0):
    """A hit on a chain of one row; only what the walk reads is real."""
    columns = {"expiry": np.array([expiry] * 9), "strike": np.arange(100.0, 109.0)}
    chain = type("Chain", (), {"symbol": symbol, "__getitem__": lambda _, name: columns[name]})()
    template = CATALOGUE[strategy]
    hit = Hit(
        board=SimpleNamespace(chain=chain),
        template=template,
        expiries=(expiry, None),
        rows=tuple(range(row, row + len(template.legs))),
        score=score,
        components=np.zeros(4),
        liquidity=1.0,
        ev=1.0,
        margin=100.0,
        tail_loss=50.0,
    )
    return Contender(hit, PortfolioFit(fit))


def names(chosen):
    return [(one.hit.board.chain.symbol, one.hit.template.name) for one in chosen]


def test_one_of_a_kind():
    """Of a symbol, strategy and expiry only the best; another expiry is another kind."""
    some = [
        contender("SPY", "iron_condor", 70.0),
        contender("SPY", "iron_condor", 69.0, row=1),
        contender("SPY", "iron_condor", 60.0, JUNE),
    ]

    chosen = walk(some, SCAN, top=5, symbols=1)

    assert [one.score for one in chosen] == [70.0, 60.0]


def test_two_of_a_symbol_when_three_are_scanned():
    """With fewer symbols there is no such limit."""
    strategies = ("iron_condor", "collar", "naked_put", "short_strangle")
    some = [contender("SPY", name, 70.0 - n) for n, name in enumerate(strategies)]

    assert len(walk(some, SCAN, top=5, symbols=3)) == 2
    assert len(walk(some, SCAN, top=5, symbols=2)) == 4


def test_three_of_a_strategy():
    """The fourth condor is passed over for the next strategy."""
    some = [contender(symbol, "iron_condor", 70.0) for symbol in ("A", "B", "C", "D")]
    some.append(contender("E", "collar", 10.0))

    chosen = walk(some, SCAN, top=5, symbols=5)

    assert names(chosen) == [("A", "iron_condor"), ("B", "iron_condor"), ("C", "iron_condor"),
                             ("E", "collar")]  # fmt: skip


def test_correlation_costs_a_tenth():
    """QQQ runs with SPY on the same side: it is shown with its tenth taken, after what beats it."""
    some = [
        contender("SPY", "iron_condor", 70.0),
        contender("QQQ", "iron_condor", 69.0),
        contender("GLD", "iron_condor", 65.0),
        contender("QQQ", "short_put_spread", 60.0),
    ]
    correlations = {frozenset(("SPY", "QQQ")): 0.93, frozenset(("SPY", "GLD")): 0.1}

    chosen = walk(some, SCAN, top=5, symbols=3, correlations=correlations)

    assert [(one.hit.board.chain.symbol, one.score) for one in chosen] == [
        ("SPY", 70.0), ("GLD", 65.0), ("QQQ", pytest.approx(62.1)), ("QQQ", 60.0),
    ]  # fmt: skip
    assert [one.correlated for one in chosen] == ["", "", "SPY", ""]


def test_fit_ranks():
    """A trade that does not fit the book falls behind one that does."""
    some = [contender("A", "iron_condor", 70.0, fit=0.5), contender("B", "iron_condor", 60.0)]
    assert [one.score for one in walk(some, SCAN, top=5, symbols=2)] == [60.0, 35.0]


def test_ties_stand_by_symbol_and_legs():
    """Equal in score, EV and margin: in the order of symbol, strategy and legs, however given."""
    some = [
        contender(symbol, "iron_condor", 70.0, row=row) for symbol in ("B", "A") for row in (1, 0)
    ]
    for order in (some, some[::-1]):
        chosen = walk(order, SCAN, top=5, symbols=2)
        assert [(one.hit.board.chain.symbol, one.hit.rows[0]) for one in chosen] == [
            ("A", 0), ("B", 0),
        ]  # fmt: skip


def test_by_strategy():
    """The best few of each strategy, strategies by their best trade."""
    some = [
        contender("A", "collar", 50.0),
        contender("A", "iron_condor", 70.0),
        contender("B", "iron_condor", 40.0),
        contender("C", "iron_condor", 30.0),
        contender("B", "collar", 60.0),
    ]

    chosen = by_strategy(some, SCAN, top=2, symbols=3)

    assert [(one.hit.template.name, one.score) for one in chosen] == [
        ("iron_condor", 70.0), ("iron_condor", 40.0), ("collar", 60.0), ("collar", 50.0),
    ]  # fmt: skip
