"""The quality of exported chains: what counts as complete, as valid, and as wrong."""

from __future__ import annotations

import datetime as dt

import pytest

from support.recorded_chains import DATA, missing
from tomic.errors import BadFile
from tomic.files import to_csv_text
from tomic.files.quality import check_csv

HEADER = "Expiry,Type,Strike,Bid,Ask,IV,Delta,Gamma,Vega,Theta\n"
GOOD = "20261218,C,600,2.0,2.1,0.16,0.30,0.01,0.5,-0.1\n"


def test_a_good_row_is_valid():
    """A row with every cell in its range is complete and valid."""
    found = check_csv(HEADER + GOOD)

    assert (found.total, found.complete, found.valid) == (1, 1, 1)
    assert found.quality == 1.0
    assert found.expiries == (dt.date(2026, 12, 18),)
    assert not found.wrong
    assert not found.empty


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("20261218,C,600,-1,2.1,0.16,0.30,0.01,0.5,-0.1", "minus_one"),
        ("20261218,C,600,-1.0,-1.0,0.16,0.30,0.01,0.5,-0.1", "minus_one"),
        ("20261218,C,600,-2,2.1,0.16,0.30,0.01,0.5,-0.1", "bid"),
        ("20261218,C,600,2.0,x,0.16,0.30,0.01,0.5,-0.1", "ask"),
        ("20261218,C,600,2.2,2.1,0.16,0.30,0.01,0.5,-0.1", "crossed"),
        ("20261218,C,0,2.0,2.1,0.16,0.30,0.01,0.5,-0.1", "strike"),
        ("20261218,C,600,2.0,2.1,0.16,1.30,0.01,0.5,-0.1", "delta"),
        ("20261218,X,600,2.0,2.1,0.16,0.30,0.01,0.5,-0.1", "type"),
        ("20261318,C,600,2.0,2.1,0.16,0.30,0.01,0.5,-0.1", "expiry"),
        ("20261218,C,600,2.0,2.1,0.16,0.30,many,0.5,-0.1", "number"),
    ],
)
def test_one_wrong_cell_is_named_and_costs_the_row(row, fault):
    """Each fault has a name, and its row is complete but not valid."""
    found = check_csv(HEADER + row + "\n")

    assert found.wrong == {fault: 1}
    assert (found.complete, found.valid) == (1, 0)


def test_empty_cells_are_counted_by_column():
    """Blanks and NaN are empty: the row is not complete, and nothing in it is wrong."""
    found = check_csv(HEADER + "20261218,C,600,,2.1,nan,0.30,0.01,0.5,-0.1\n")

    assert found.empty == {"bid": 1, "iv": 1}
    assert (found.complete, found.valid) == (0, 0)
    assert not found.wrong


def test_a_repeated_contract_counts_once():
    """The second row of a contract is a duplicate, however its numbers are written."""
    again = GOOD.replace("600", "600.00").replace(",C,", ",call,").replace("0.30", "0.31")

    found = check_csv(HEADER + GOOD + again)

    assert found.wrong == {"duplicate": 1}
    assert (found.total, found.valid) == (2, 1)


def test_a_row_cut_short_is_counted_not_fatal():
    """A file that ends in the middle of a row is still judged."""
    found = check_csv(HEADER + GOOD + "20261218,P,600,2.0")

    assert found.wrong == {"damaged": 1}
    assert found.quality == 0.5


def test_a_file_without_greeks_has_no_complete_row():
    """A missing column is named; empty cells of it are not counted."""
    found = check_csv("Expiry,Type,Strike,Bid,Ask\n20261218,C,600,2.0,2.1\n")

    assert found.absent == ("iv", "delta", "gamma", "vega", "theta")
    assert (found.complete, found.empty) == (0, {})


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", 'Expiry,Type,Strike\n"20261218,C,600\n'])
def test_what_is_no_chain_is_refused(text):
    """Without expiry, type and strike, or with an open quotation, there is nothing to judge."""
    with pytest.raises(BadFile):
        check_csv(text)


def test_our_own_export_is_whole(demo_chain):
    """What TOMIC writes has no fault; rows without Greeks or quotes are its empty cells."""
    found = check_csv(to_csv_text(demo_chain))

    assert not found.wrong
    assert found.total == found.valid == demo_chain.counts["ok"]
    assert found.expiries == demo_chain.expiries


@pytest.mark.skipif(
    missing("tomic_ib_XLF_20250518_sunday_closed.csv") is not None,
    reason=str(missing("tomic_ib_XLF_20250518_sunday_closed.csv")),
)
def test_a_closed_market_is_seen():
    """XLF exported on a Sunday: 476 rows, the bids of -1 and the blanks found by a plain count."""
    lines = (DATA / "tomic_ib_XLF_20250518_sunday_closed.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]

    found = check_csv("\n".join(lines) + "\n")

    assert found.total == len(cells) == 476
    assert found.wrong["minus_one"] == sum("-1.0" in row[3:5] for row in cells)
    assert found.empty["bid"] == sum(row[3] == "" for row in cells)
    assert found.valid < found.total
