"""What if, of one structure: the figures are those of a slow computation beside it."""

from __future__ import annotations

import numpy as np
import pytest

from support.made_books import made_book, market
from tomic import legs
from tomic.config import Settings
from tomic.errors import DataError, UsageError
from tomic.portfolio import overview, what_if
from tomic.portfolio.grouping import Claim
from tomic.quant import black_scholes

CONDOR = "+1 SPX 2026-12-18 5800P, -1 5900P, -1 6100C, +1 6200C"
INDEX = {"spots": {"SPX": 6000.0}, "markets": {"SPX": market("SPX", 6000.0, sec_type="IND")}}


AT_END = 1e-6 * 6000.0 * 100.0


def held(book, claims=()):
    review = overview.review(book, Settings(), claims=claims)
    return what_if.subjects(book, claims, review.structures)


def worth(subject, *, price, vol, days):
    """Value of its legs, one by one in closed form, currency; inputs are those of the book."""
    total = 0.0
    for row in subject.rows:
        line = row.line
        value = black_scholes.price(
            price, line.strike, max(line.tau - days / 365.0, 0.0), line.rate, line.div_yield,
            line.sigma * (1.0 + vol), np.array(line.position.right == "C"),
        )  # fmt: skip
        total += 100.0 * row.quantity * float(value)
    return total


@pytest.mark.parametrize(
    ("move", "vol", "days"),
    [(0.0, 0.0, 0), (-0.05, 0.2, 7), (0.03, -0.3, 20), (-0.1, 1.0, 60), (0.08, 0.0, 27)],
)
def test_the_change_is_that_of_a_valuation_leg_by_leg(move, vol, days):
    """To the cent, also past the expiry, where the payoff counts."""
    subject = what_if.find(held(made_book(CONDOR, sigma=0.2, **INDEX)), "SPX-1")

    asked = what_if.what_if(subject, move=move, vol=vol, days=days)

    then = worth(subject, price=6000.0 * (1.0 + move), vol=vol, days=days)
    now = worth(subject, price=6000.0, vol=0.0, days=0)
    assert asked.change == pytest.approx(then - now, abs=0.005)
    assert asked.then == pytest.approx(asked.pnl + then - now, abs=0.005)


def test_every_cell_is_that_of_the_point():
    """Each row and day of the table is what asking for that point alone gives."""
    subject = what_if.find(held(made_book(CONDOR, **INDEX)), "SPX-1")
    asked = what_if.what_if(subject, move=-0.05, vol=0.2, days=7)

    for row in asked.rows:
        for day, change in zip(asked.horizons, row.change, strict=True):
            then = worth(subject, price=row.price, vol=0.2, days=day)
            now = worth(subject, price=6000.0, vol=0.0, days=0)
            # At its end an option at the strike is worth its payoff to 1e-6 of the spot.
            near = AT_END if day == asked.to_expiry else 0.005
            assert change == pytest.approx(then - now, abs=near)


def test_the_rows_have_strikes_spot_and_what_was_asked():
    """Ascending prices, each named; days now, in a week, in two, and at the first expiry."""
    subject = what_if.find(held(made_book(CONDOR, **INDEX)), "SPX-1")

    asked = what_if.what_if(subject, move=-0.05, days=3)
    names = {row.name: row.price for row in asked.rows}

    assert [row.price for row in asked.rows] == sorted(row.price for row in asked.rows)
    assert names["5900P"] == pytest.approx(5900.0) and names["6200C"] == pytest.approx(6200.0)
    assert names["spot"] == 6000.0 and names["asked"] == pytest.approx(5700.0)
    assert asked.horizons[:4] == (0.0, 3.0, 7.0, 14.0)
    assert asked.horizons[4] == asked.to_expiry == pytest.approx(28.0, abs=0.3)


def test_nothing_moves_nothing():
    """The spot now is exactly 0 against now, and the P&L from entry what the review says."""
    subject = what_if.find(held(made_book(CONDOR, **INDEX)), "SPX-1")

    asked = what_if.what_if(subject)

    assert asked.change == 0.0
    assert asked.then == asked.pnl == subject.structure.pnl


def test_shares_have_no_expiry():
    """They are linear in the price, whatever the day."""
    subject = what_if.find(held(made_book("+100 SPY shares")), "SPY-1")

    asked = what_if.what_if(subject, move=-0.05, vol=0.5, days=30)

    assert asked.change == pytest.approx(-3000.0)
    assert asked.to_expiry is None
    assert asked.horizons == (0.0, 7.0, 14.0, 30.0)


def test_a_calendar_keeps_its_far_leg():
    """At the first expiry the other option still has its time."""
    text = "-1 SPX 2026-12-18 6000P, +1 SPX 2027-01-15 6000P"
    subject = what_if.find(held(made_book(text, **INDEX)), "SPX-1")
    asked = what_if.what_if(subject)

    (at_spot,) = (row for row in asked.rows if "spot" in row.name)
    then = worth(subject, price=6000.0, vol=0.0, days=asked.to_expiry)
    now = worth(subject, price=6000.0, vol=0.0, days=0)

    assert at_spot.change[-1] == pytest.approx(then - now, abs=AT_END)
    assert at_spot.change[-1] > 0.0


@pytest.mark.parametrize("name", ["SPY-1", "spy-1", "SPY", "31", "J-31", "j31"])
def test_a_structure_has_three_names(name):
    """Its id, its symbol where that is the only one, and the number of its journal entry."""
    text = "-1 SPY 2026-12-18 560P, +1 550P"
    claim = Claim("journal", "31", legs.parse(text), strategy=None)
    book = made_book(text)

    assert what_if.find(held(book, (claim,)), name).structure.id == "SPY-1"


def test_what_is_not_held_is_said():
    """With what is; two of one symbol have to be told apart."""
    both = held(made_book("-1 SPY 2026-12-18 560P, +100 SPY shares, -1 QQQ 2026-12-18 500P",
                          spots={"QQQ": 510.0}))  # fmt: skip
    known = {each.structure.id for each in both}

    with pytest.raises(UsageError, match="no structure 'IWM-1' is held; there is ") as caught:
        what_if.find(both, "IWM-1")
    assert all(name in str(caught.value) for name in known)
    with pytest.raises(UsageError, match="there is nothing"):
        what_if.find((), "SPY-1")


def test_what_cannot_be_valued_is_no_zero():
    """A leg without a spot is named."""
    book = made_book("-1 SPY 2026-12-18 560P", markets={"SPY": market("SPY").model_copy(
        update={"spot": None})})  # fmt: skip

    with pytest.raises(DataError, match="SPY-1 cannot be valued: SPY 2026-12-18 560P"):
        what_if.find(held(book), "SPY-1")


@pytest.mark.parametrize(
    ("move", "vol", "days"),
    [(-1.0, 0.0, 0), (11.0, 0.0, 0), (0.0, -1.0, 0), (0.0, 0.0, -1), (0.0, 0.0, 10**9)],
)
def test_what_cannot_be_is_refused(move, vol, days):
    """Before anything is computed."""
    with pytest.raises(UsageError):
        what_if.check(move, vol, days)


def test_the_grid_is_that_of_the_points():
    """What a page steps through is what asking gives."""
    subject = what_if.find(held(made_book(CONDOR, **INDEX)), "SPX-1")
    grid = what_if.grid(subject, (-0.05, 0.0, 0.05), (0.0, 0.2), (0.0, 7.0))

    assert grid.pnl[0][1][1] == pytest.approx(
        what_if.what_if(subject, move=-0.05, vol=0.2, days=7).change
    )
    assert grid.pnl[1][0][0] == 0.0
