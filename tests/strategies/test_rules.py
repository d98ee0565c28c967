"""Rules on whole trades: each refuses what lies beyond its limit, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, strategies as st

from support import random_chains
from tomic.config import ScanSettings, Settings
from tomic.strategies import candidates, measures, propose, rules
from tomic.strategies.catalogue.templates import choose
from tomic.strategies.measures import Batch
from tomic.strategies.pricing import board as boards

SPREADS = ("short_put_spread", "short_call_spread")
UNCOVERED = ("naked_put", "short_strangle", "jade_lizard")
OTHERS = ("long_call_spread", "put_backspread", "broken_wing_butterfly", "long_butterfly")
OFF = {
    "min_credit_share": None,
    "min_credit_commissions": None,
    "max_cost_share": None,
    "max_spread_share": None,
    "natural_sign": False,
}
ROUNDING = 1e-9


class Trades:
    """What is judged; hypothesis prints it in short."""

    def __init__(self, batch: Batch, board: boards.Board) -> None:
        self.batch, self.board = batch, board

    def __repr__(self) -> str:
        return f"{len(self.batch)} trades"


@pytest.fixture(scope="module")
def trades():
    """Every trade of nine strategies at one expiry of a chain with wide quotes, and its board."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=31, gaps=False, spread=3.0)
    board = boards.prepare(chain, random_chains.snapshot(chain), Settings())
    pair = (chain.expiries[0], None)
    built = [
        candidates.build(variant, board, pair)
        for template in choose(Settings(), [*SPREADS, *UNCOVERED, *OTHERS])
        for variant in template.variants
    ]
    return Trades(Batch.of([each for each in built if len(each)]), board)


def refused(trades, **limits):
    """Which trades the only rule that *limits* switches on refuses."""
    batch, board = trades.batch, trades.board
    scan = ScanSettings.model_validate({**OFF, **limits})
    settings = board.settings.model_copy(update={"scan": scan})
    board = dataclasses.replace(board, settings=settings)
    (name,) = limits
    verdicts = rules.judge(batch, measures.measure(batch, board), board)
    assert not (set(OFF) - {name}) & {verdict.rule.name for verdict in verdicts}
    (verdict,) = [verdict for verdict in verdicts if verdict.rule.name == name]
    return verdict.miss > 0.0


def of(trades, names):
    """Which trades belong to the strategies *names*."""
    batch = trades.batch
    return np.array([member.template.name in names for member in batch.members])[batch.group]


def money(trades):
    """Credit at mid and natural, half-spreads, commission: from the quotes, leg by leg."""
    batch, board = trades.batch, trades.board
    mid = -100.0 * (batch.quantity * batch.legs(board.price)).sum(axis=1)
    half = 100.0 * (np.abs(batch.quantity) * batch.legs(board.prices.half_spread)).sum(axis=1)
    return mid, mid - half, half, 0.65 * np.abs(batch.quantity).sum(axis=1)


def same(refusals, figure, limit):
    """Refused exactly where *figure* (above 0: refused) says so, next to rounding."""
    clear = np.abs(figure) > ROUNDING * (1.0 + abs(limit))
    return (refusals == (figure > 0.0))[clear].all()


@given(limit=st.just(0.0) | st.floats(0.001, 0.6))
def test_credit_as_a_share_of_the_width(trades, limit):
    """Of spreads: executable credit, commission apart, over the distance of the strikes."""
    batch, board = trades.batch, trades.board
    mid, _, half, _ = money(trades)
    strike = batch.legs(board.strike)
    width = 100.0 * np.abs(strike[:, 0] - strike[:, 1])

    refusals = refused(trades, min_credit_share=limit)

    spreads = of(trades, SPREADS)
    assert not refusals[~spreads].any()
    figure = limit - (mid - 0.5 * half) / width
    assert same(refusals[spreads], figure[spreads], limit)


@given(limit=st.just(0.0) | st.floats(0.001, 400.0))
def test_credit_in_commissions(trades, limit):
    """Of what is sold uncovered, which has no width."""
    mid, _, half, commission = money(trades)

    refusals = refused(trades, min_credit_commissions=limit)

    uncovered = of(trades, UNCOVERED)
    assert not refusals[~uncovered].any()
    figure = limit - (mid - 0.5 * half) / commission
    assert same(refusals[uncovered], figure[uncovered], limit)


@given(limit=st.floats(0.001, 1.0))
def test_costs_as_a_share_of_the_maximum_profit(trades, limit):
    """Of every strategy: slippage and commission over what could be made without them."""
    batch, board = trades.batch, trades.board
    _, _, half, commission = money(trades)
    costs = 0.5 * half + commission
    best = measures.measure(batch, board).max_profit

    refusals = refused(trades, max_cost_share=limit)

    with np.errstate(divide="ignore"):
        share = costs / np.maximum(best + costs, 0.0)
    assert same(refusals, share - limit, limit)


@given(limit=st.just(0.0) | st.floats(0.001, 2.0))
def test_spread_as_a_share_of_the_credit(trades, limit):
    """Of what is entered to be paid: all its spreads over its credit at mid."""
    mid, _, half, _ = money(trades)

    refusals = refused(trades, max_spread_share=limit)

    paid = of(trades, SPREADS + UNCOVERED)
    assert not refusals[~paid].any()
    with np.errstate(divide="ignore"):
        share = 2.0 * half / np.maximum(mid, 0.0)
    assert same(refusals[paid], (share - limit)[paid], limit)


def test_sign_of_the_credit_at_natural_prices(trades):
    """A credit at mid that is none when every spread is crossed; a debit stays one."""
    mid, natural, _, _ = money(trades)

    refusals = refused(trades, natural_sign=True)

    assert (refusals == ((mid > 0.0) & (natural <= 0.0))).all()
    assert refusals.any()


def test_refusals_are_counted_by_reason():
    """Each trade at the first rule that it fails; switched off, none of them counts any."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=31, gaps=False, spread=4.0)
    vol = random_chains.snapshot(chain)
    every = {"profile": "all", "max_spread_points": 5.0}

    with_rules = propose.propose(chain, vol, settings=scanning(**every))
    without = propose.propose(chain, vol, settings=scanning(**every, **OFF))

    counted = {count.rule: count.count for count in with_rules.rejected}
    assert set(OFF) - {"min_credit_commissions"} <= set(counted)
    assert not set(OFF) & {count.rule for count in without.rejected}
    assert with_rules.considered == with_rules.passed + sum(counted.values())


def scanning(**scan):
    """Settings with these of the scan."""
    return Settings.model_validate({"scan": scan})
