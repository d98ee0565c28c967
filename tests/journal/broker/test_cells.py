"""Cells of brokers' files: options' names, codes, days and numbers."""

from __future__ import annotations

import datetime as dt

import pytest

from tomic.journal.broker import cells
from tomic.journal.broker.cells import Habits, Refused
from tomic.models.journal import Action


@pytest.mark.parametrize(
    ("text", "root", "trading_class", "strike", "right"),
    [
        ("SPY   251219P00560000", "SPY", "SPY", 560.0, "P"),
        ("SPY 251219P00560500", "SPY", "SPY", 560.5, "P"),
        ("BRK B 251219P00500000", "BRK B", "BRKB", 500.0, "P"),
        ("BRKB  251219P00500000", "BRKB", "BRKB", 500.0, "P"),
        ("OPEN1 251219C00005000", "OPEN1", "OPEN1", 5.0, "C"),
        ("SPY 19DEC25 560 P", "SPY", "", 560.0, "P"),
        ("BRK B 19DEC25 500.5 C", "BRK B", "", 500.5, "C"),
        ("XYZ 19DEC25 7,5 C", "XYZ", "", 7.5, "C"),
        ("P OESX 20251219 5200 M", "OESX", "OESX", 5200.0, "P"),
        ("C ODAX 20251219 17700.0 W", "ODAX", "ODAX", 17700.0, "C"),
    ],
)
def test_names_of_options(text, root, trading_class, strike, right):
    """OCC's form, that of statements and that of Europe's exchanges."""
    name = cells.option_name(text)

    assert name is not None
    assert (name.root, name.trading_class, name.strike, name.right) == (
        root, trading_class, strike, right,
    )  # fmt: skip
    assert name.expiry == dt.date(2025, 12, 19)


@pytest.mark.parametrize("text", ["SPY", "ESZ5", "EUR.USD", "SPY 40JUN25 560 P", "", "EWZ5 P5000"])
def test_what_is_no_option(text):
    """Shares, futures and pairs are none, nor is a day that no month has."""
    assert cells.option_name(text) is None


def test_indices():
    """The class of a weekly is not its index, and AM classes end the day before they settle."""
    weekly, monthly = cells.option_name("SPXW  261218P1"), cells.option_name("VIX 21JAN26 20 C")

    assert weekly is None
    assert monthly is not None
    assert monthly.expiry == dt.date(2026, 1, 20)
    own = cells.option_name("SPXW  261218P05950000")
    assert own is not None
    assert (own.underlying, own.expiry) == ("SPX", dt.date(2026, 12, 18))


@pytest.mark.parametrize(
    ("codes", "action", "opens"),
    [
        ("O", None, True),
        ("C;P", None, False),
        ("C;O", None, None),
        ("A;C", Action.ASSIGN, False),
        ("C;Ep", Action.EXPIRE, False),
        ("Ex, O", Action.ASSIGN, True),
        ("GEA", Action.ASSIGN, None),
        ("MEx;C", Action.ASSIGN, False),
        ("RI;LT;ML", None, None),
        ("", None, None),
    ],
)
def test_codes(codes, action, opens):
    """Case matters, and either separator will do."""
    marks = cells.marks(codes)

    assert (cells.action(marks), cells.opens(marks)) == (action, opens)


@pytest.mark.parametrize("text", ["", "x", "1_000", "nan", "inf", "1,2,3", "--1", "1.2.3"])
def test_what_is_no_number(text):
    """Nothing is guessed."""
    for decimal in (".", ",", ""):
        with pytest.raises(Refused, match="is no number"):
            Habits(decimal).number(text)


@pytest.mark.parametrize(
    "text", ["", "2025", "20251301", "2025-02-30", "99:99", "20251104;250000", "1/2", "32/13/2025"]
)
def test_what_is_no_moment(text):
    """A day that does not exist is none."""
    with pytest.raises(Refused):
        Habits().moment(text)


@pytest.mark.parametrize("text", ["-", "--", "N/A", "MULTI", " ", '=""'])
def test_absent(text):
    """What IB writes where there is nothing to say is nothing."""
    own = cells.Cells([text], {"quantity": 0})

    assert (own.text("quantity"), own.number("quantity")) == ("", None)
