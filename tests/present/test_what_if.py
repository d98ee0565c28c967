"""What if as text and as rows: every figure once, and what is not known said."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tomic.models.what_if import WhatIf, WhatIfRow
from tomic.present import what_if as present
from tomic.present.forms import Format


def asked(**changes) -> WhatIf:
    fields = {
        "id": "SPY-1", "symbol": "SPY", "strategy": "iron_condor", "currency": "EUR",
        "spot": 600.0, "move": -0.05, "vol": 0.2, "days": 7, "change": -150.0, "pnl": 80.0,
        "to_expiry": 28.04, "horizons": (0.0, 7.0, 28.04),
        "rows": (
            WhatIfRow(move=-0.05, price=570.0, name="asked", change=(-100.0, -150.0, -400.0)),
            WhatIfRow(move=0.0, price=600.0, name="spot", change=(0.0, 20.0, 220.0)),
        ),
    }  # fmt: skip
    return WhatIf(**(fields | changes))


def test_the_headline_says_what_and_how_much():
    """The move, the price it leads to, and the P&L against now and from entry."""
    text = present.what_if_text(asked(notes=("a volatility stands in",)))

    assert text.startswith(
        "SPY-1 iron condor: SPY -5.00% to 570.00, volatility +20.0%, in 7 days\n"
        "-150.00 EUR against now, -70.00 from entry (now +80.00)\n"
    )
    assert "note: a volatility stands in" in text
    assert text.endswith("Not advice; nothing is sent to the broker\n")


def test_the_table_is_from_entry():
    """P&L until now is in every cell; the bars are those of the day asked for."""
    lines = present.table(asked()).splitlines()

    assert lines[0] == "P&L from entry, EUR, volatility +20.0%"
    assert lines[1].split() == ["price", "move", "now", "+7d", "expiry", "+7d"]
    assert lines[2].split()[:5] == ["570.00", "-5.0%", "-20", "-70", "-320"]
    assert lines[3].split()[:5] == ["600.00", "+0.0%", "+80", "+100", "+300"]
    assert lines[2].count("█") == 14 and lines[3].count("█") == 20


def test_without_a_result_until_now():
    """The table is against now, and says so; nothing stands in for the P&L."""
    text = present.what_if_text(asked(pnl=None))

    assert "P&L from entry is not known" in text
    assert "P&L against now, EUR" in text
    assert present.rows(asked(pnl=None))[0]["pnl"] is None


@pytest.mark.parametrize("format", [Format.CSV, Format.NDJSON])
def test_rows_have_every_price_and_day(format):
    """A row per price and day, with the change and the P&L from entry."""
    text = present.shown(asked(), format)
    read = (
        list(csv.DictReader(io.StringIO(text)))
        if format is Format.CSV
        else [json.loads(line) for line in text.splitlines()]
    )

    assert len(read) == 6
    assert (float(read[1]["change"]), float(read[1]["pnl"])) == (-150.0, -70.0)


def test_the_document_is_all_of_it():
    """Schema, what was asked, the rows, and the P&L then."""
    document = json.loads(present.shown(asked(), Format.JSON))

    assert document["schema"] == "tomic.what-if/1"
    assert (document["change"], document["then"]) == (-150.0, -70.0)
    assert document["rows"][1]["change"] == [0.0, 20.0, 220.0]
