"""A book of one's own positions, without TWS."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import tomic
from support import random_chains
from tomic.errors import UsageError
from tomic.strategies.catalogue.templates import with_own

AT = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
EXPIRY = dt.date(2026, 12, 18)
SPREAD = "-2 SPY 2026-12-18 560P @3.10, +2 550P @1.95"


def test_texts_become_structures():
    """Margin and largest loss of a spread sold twice: 2 x 100 x (10 - 1.15)."""
    book = tomic.book_of([SPREAD, "+100 QQQ @480"], spots={"SPY": 590.0, "QQQ": 500.0},
                         iv={"SPY": 0.17}, as_of=AT)  # fmt: skip

    review = tomic.review_book(book)

    frame = review.to_frame().set_index("symbol")
    assert frame.strategy.to_dict() == {"SPY": "short_put_spread", "QQQ": "shares"}
    assert frame.max_loss["SPY"] == pytest.approx(1770.0)
    assert frame.margin_net["SPY"] == pytest.approx(1770.0)
    assert frame.pnl["QQQ"] == pytest.approx(2000.0)
    assert review.stress("spy").name == "SPY"
    assert review.stress("QQQ").to_frame().loc[(0, 0.0), -0.1] == pytest.approx(-5000.0)
    assert [gap.name for gap in review.review.gaps] == [
        f"SPY {EXPIRY} 550P", f"SPY {EXPIRY} 560P",
    ]  # fmt: skip


def test_chains_price_what_is_held():
    """Marks, volatilities and Greeks come from the chain that holds the contracts."""
    chain = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=15, gaps=False, sec_type="STK")
    frame = chain.to_frame()
    near = frame[(frame.right == "P") & (frame.expiry == frame.expiry.min())]
    low, high = near.iloc[3], near.iloc[5]
    rows = pd.DataFrame({
        "Symbol": chain.symbol, "Qty": [1, -1], "Right": ["P", "put"],
        "Strike": [low.strike, high.strike], "Expiry": near.expiry.iloc[:2], "Price": [1.0, 3.0],
    })  # fmt: skip

    review = tomic.review_book(tomic.book_of(rows, chains=chain))

    (structure,) = review.review.structures
    worth = 0.5 * (low.bid + low.ask - high.bid - high.ask)
    assert structure.strategy == "short_put_spread"
    assert structure.pnl == pytest.approx(100.0 * (worth + 2.0))
    assert review.review.gaps == ()


def test_own_strategies_are_named_and_recognised():
    """A strategy of the settings may be written by its name, and the book finds it."""
    ladder = tomic.Template(
        name="ladder", outlook="", side="bearish", dte=(20, 40),
        legs=(
            tomic.LegRule("long_put", "P", 1, tomic.DeltaBand(-0.5, -0.3)),
            tomic.LegRule("short_put", "P", -1, tomic.Below("long_put", strikes=(1, 5))),
            tomic.LegRule("low_put", "P", -2, tomic.Below("short_put", strikes=(1, 5))),
        ),
    )  # fmt: skip

    settings, _ = with_own(tomic.Settings(), ladder)

    book = tomic.book_of("SPY ladder 540/550/560 2026-12-18", spots={"SPY": 590}, settings=settings)

    assert [position.quantity for position in book.positions] == [-2.0, -1.0, 1.0]
    (structure,) = tomic.review_book(book, settings).review.structures
    assert structure.strategy == "ladder"


def test_rows_that_cannot_be_read_are_named():
    """The row and what is missing of it; contracts of unknown size need a Position."""
    rows = pd.DataFrame({"symbol": ["SPY"], "quantity": [1], "right": ["P"]})

    with pytest.raises(UsageError, match="positions, row 0: 'strike'"):
        tomic.book_of(rows)
    with pytest.raises(UsageError, match="no stress grid of IWM; there are SPY"):
        tomic.review_book(tomic.book_of(SPREAD, spots={"SPY": 590.0}, as_of=AT,
                                        iv={"SPY": 0.2})).stress("IWM")  # fmt: skip
