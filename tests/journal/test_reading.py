"""Marks and expectations of an entry's legs agree with the scan's own figures."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from support.journal_entries import CONDOR, EXPIRY, LATER, OPENED
from support.journal_market import Quotes
from tomic.config import CostsSettings, Settings
from tomic.journal import reading
from tomic.models import QuoteSource, VolSnapshot
from tomic.models.journal import Held, LegMark, Snapshot
from tomic.strategies import measures
from tomic.strategies.candidates import Candidates
from tomic.strategies.catalogue import templates
from tomic.strategies.measures import Batch
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.workflows.journal.market import choose_legs

SETTINGS = Settings(costs={"commission": 0.0, "slippage": 0.0})


def held(quantity: float, name: str, expiry: dt.date = EXPIRY) -> Held:
    return Held(expiry=expiry, strike=float(name[:-1]), right=name[-1], quantity=quantity)


LEGS = tuple(held(sign, name) for name, sign in CONDOR)


async def board_of(legs: tuple[Held, ...], quotes: Quotes | None = None) -> Board:
    market = quotes or Quotes()
    chain = await market.fetch("SPY", SETTINGS, choose_legs(legs))
    vol = VolSnapshot(symbol="SPY", as_of=market.at, iv30=0.17, hv30=0.15)
    return boards.prepare(chain, vol, SETTINGS)


async def test_expectations_are_those_of_the_scan():
    """A condor at its own price has the PoS, EV at quotes, margin and extremes of the scan."""
    board = await board_of(LEGS)
    (template,) = templates.choose(Settings(), ("iron_condor",))
    by_name = {"long_put": 550.0, "short_put": 560.0, "short_call": 620.0, "long_call": 630.0}
    rows = [
        next(int(row) for row in board.side(EXPIRY, leg.right)
             if board.strike[row] == by_name[leg.name])
        for leg in template.legs
    ]  # fmt: skip
    batch = Batch.of([Candidates(template, (EXPIRY, None), np.array([rows]))])
    scanned = measures.measure(batch, board)

    found = reading.expect(board, LEGS, float(scanned.credit[0]))

    assert found.pos == pytest.approx(float(scanned.pos[0]), abs=1e-12)
    at_quotes = scanned.ev + measures.distrusted(batch, board)
    assert found.ev == pytest.approx(float(at_quotes[0]), abs=1e-9)
    assert found.margin == pytest.approx(float(scanned.margin[0]), abs=1e-9)
    assert found.max_profit == pytest.approx(float(scanned.max_profit[0]), abs=1e-9)
    assert found.max_loss == pytest.approx(float(scanned.max_loss[0]), abs=1e-9)


async def test_two_structures_are_twice_one():
    """Money doubles with the quantity, probability does not."""
    board = await board_of(LEGS)
    twice = tuple(leg.model_copy(update={"quantity": 2 * leg.quantity}) for leg in LEGS)

    one, two = reading.expect(board, LEGS, 200.0), reading.expect(board, twice, 400.0)

    assert two.pos == pytest.approx(one.pos)
    assert two.ev == pytest.approx(2 * one.ev)
    assert two.margin == pytest.approx(2 * one.margin)


async def test_nothing_is_expected_of_what_is_not_quoted():
    """An expiry or a leg that the chain lacks, or no options at all, gives no expectation."""
    board = await board_of(LEGS)
    shares = Held(multiplier=1, quantity=100)

    assert reading.expect(board, (*LEGS, held(1, "500P", LATER)), 0.0) is None
    assert reading.expect(board, (held(1, "123P"),), 0.0) is None
    assert reading.expect(board, (shares,), 0.0) is None


@pytest.mark.parametrize(
    ("bid", "ask", "price"),
    [
        (1.0, 1.2, 1.1),
        (0.0, 0.10, 0.05),
        (None, 0.10, 0.05),
        (1.0, None, None),
        (1.3, 1.2, None),
        (None, 0.0, None),
    ],
)
def test_the_price_of_a_quote(bid, ask, price):
    """The middle; half of the ask where nobody bids; nothing for a crossed or empty market."""
    found = reading._price(bid, ask)

    assert found == (None if price is None else pytest.approx(price))


async def test_marks_of_legs_that_are_not_there():
    """A contract that was not asked for, or of another multiplier, has no mark."""
    board = await board_of(LEGS)
    mini = LEGS[0].model_copy(update={"multiplier": 10})

    found = reading.marks(board, (LEGS[0], mini, held(1, "123P")))

    assert [one.price is None for one in found] == [False, True, True]


async def test_greeks_of_what_is_held():
    """Shares count one each, options their contracts; one unknown Greek makes the sum unknown."""
    board = await board_of(LEGS)
    vol = VolSnapshot(symbol="SPY", as_of=board.chain.as_of)
    covered = (Held(multiplier=1, quantity=100), held(-1, "620C"))

    seen = reading.snapshot(board, covered, covered, vol)
    blind = reading.snapshot(board, covered, (*covered, held(1, "123P")), vol)

    (mark,) = seen.legs
    assert seen.delta == pytest.approx(100 - 100 * mark.delta)
    assert seen.theta == pytest.approx(-100 * mark.theta)
    assert blind.delta is None


async def test_age_is_judged_by_what_is_held():
    """Old marks of legs that are not held do not matter."""
    frozen = await board_of(LEGS, Quotes(source=QuoteSource.FROZEN))
    vol = VolSnapshot(symbol="SPY", as_of=frozen.chain.as_of)
    seen = reading.snapshot(frozen, LEGS, LEGS, vol)

    assert reading.staleness(seen, LEGS) == "marks are frozen, not live"
    assert reading.staleness(seen, ()) == ""


def test_an_offer_for_shares_needs_their_price():
    """Without a spot nobody can say what a covered call brings in at the market."""
    call, shares = held(-1, "620C"), Held(multiplier=1, quantity=100)
    mark = LegMark(expiry=EXPIRY, strike=620.0, right="C", price=1.0, bid=0.9, ask=1.1)
    seen = Snapshot(at=OPENED, spot=600.0, legs=(mark,))

    offered = reading.executable((call, shares), seen, 1.0)
    unknown = reading.executable((call, shares), seen.model_copy(update={"spot": None}), 1.0)

    assert offered == pytest.approx(100.0 - 10.0 - 60_000.0)
    assert unknown is None


def test_closing_costs_what_opening_did():
    """A short call of .90 to 1.10 costs 110.65 to buy back; without a quote its mark of 1.00."""
    call = held(-1, "620C")
    mark = LegMark(expiry=EXPIRY, strike=620.0, right="C", price=1.0, bid=0.9, ask=1.1)
    seen = Snapshot(at=OPENED, spot=600.0, legs=(mark,))
    costs = CostsSettings(slippage=1.0)
    marked = seen.model_copy(update={"legs": (mark.model_copy(update={"ask": None}),)})

    assert reading.closing((call,), seen, costs) == pytest.approx(-110.65)
    assert reading.closing((call,), marked, costs) == pytest.approx(-100.65)
    assert reading.closing((call,), seen.model_copy(update={"legs": ()}), costs) is None
