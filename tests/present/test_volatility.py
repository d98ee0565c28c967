"""Volatility for people and for programs: the same figures in every form."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from dataclasses import replace

import pytest

from support import panel_figures as figures
from tomic.cli.options import Format
from tomic.present import volatility
from tomic.quant.events import VarianceJump
from tomic.strategies.pricing.term import PricedEvent
from tomic.workflows.volatility.stored import Realised, WindowStanding


def reports():
    """The reports of `panel_figures`; the first also with what bars and chains give."""
    known, little = figures.vol_reports()
    day = dt.date(2026, 11, 19)
    own = WindowStanding(
        value=0.172, day=day, rank=0.5, percentile=0.6, n=40, window=252, reason=""
    )
    realised = Realised(hv={"close_to_close": {20: 0.177}, "yang_zhang": {20: 0.181, 60: 0.16}})
    return [replace(known, realised=realised, own=own, ib_hv30=(0.161, day)), little]


def test_documents_of_programs():
    """JSON holds an array of the documents that NDJSON has a line each; absent numbers are null."""
    whole = json.loads(volatility.vol(reports(), Format.JSON))
    lines = volatility.vol(reports(), Format.NDJSON).splitlines()

    assert whole["schema"] == "tomic.vol/1"
    assert whole["symbols"] == [json.loads(line) for line in lines]
    known, little = whole["symbols"]
    assert (known["iv30"], known["hv"]["yang_zhang"]["60"]) == (0.171, 0.16)
    assert (known["own_iv"]["rank"], known["ib_hv30"]) == (0.5, 0.161)
    assert (little["iv30"], little["own_iv"], little["ib_hv30"]) == (None, None, None)


def test_a_row_a_symbol():
    """CSV is what exports write as other data."""
    rows = list(csv.DictReader(io.StringIO(volatility.vol(reports(), Format.CSV))))

    assert [row["Symbol"] for row in rows] == ["SPY", "ASML"]


def test_a_page_a_symbol():
    """Estimators and checks follow the figures where there are any."""
    known, little = volatility.vol(reports(), Format.TABLE).split("ASML · ")

    assert "yang zhang" in known
    assert (
        "IV30 of our own chains 17.20 % on 2026-11-19: rank 50.0, percentile 60.0 over 40 of "
        "252 days"
    ) in known
    assert "IB's own HV30 16.10 % on 2026-11-19, ours 16.30 %" in known
    assert "realised" not in little
    assert "own" not in little


def test_prices_abroad_name_their_currency():
    """A row names it where one is not in dollars; a page beside each price."""
    american, european = reports()
    abroad = european.snapshot.model_copy(update={"currency": "EUR", "spot": 910.0})
    both = [
        replace(american, snapshot=american.snapshot.model_copy(update={"currency": "USD"})),
        replace(european, snapshot=abroad),
    ]

    table, _ = volatility.vol_table(both)
    home, _ = volatility.vol_table(both[:1])
    assert "ASML EUR  910.00" in table and "SPY USD" in table
    assert "USD" not in home
    assert "910.00 EUR" in volatility.vol(both[1:], Format.TABLE)


def test_events_that_the_expiries_price():
    """A known date with its move, one that has no date, and thirty days without both."""
    dated = PricedEvent(None, dt.date(2026, 12, 2), VarianceJump(0.03, 0.03, 0.0049, 0.0004, 40.0))
    found = PricedEvent(
        dt.date(2026, 12, 11), dt.date(2026, 12, 24), VarianceJump(0.05, 0.1, 0.0036, 0.0004, 20.0)
    )
    vain = dated._replace(jump=VarianceJump(0.03, 0.03, 0.0001, 0.0004, 0.1))
    known = replace(reports()[0], events=(dated, found), ex_event_iv30=0.152)

    text = volatility.vol([known], Format.TABLE)
    document = volatility.vol_document(known)

    assert "earnings on 2 Dec: ±7.0%\n" in text
    assert "an event is priced between 11 Dec and 24 Dec: ±6.0%; IV30 counts the part" in text
    assert "IV30 of this chain ex-event 15.20 %" in text
    assert "earnings on 2 Dec: no jump is priced" in volatility.vol(
        [replace(known, events=(vain,))], Format.TABLE
    )
    assert document["iv30_ex_event"] == 0.152
    assert document["events"][0] == {
        "kind": "earnings", "after": None, "by": "2026-12-02", "move": pytest.approx(0.07)
    }  # fmt: skip
    assert document["events"][1]["after"] == "2026-12-11"


def test_a_rank_that_cannot_be_had_says_why():
    """Too few chains for a rank."""
    known = reports()[0]
    few = replace(known, own=replace(known.own, rank=None, reason="3 of 20 days stored"))

    text = volatility.vol([few], Format.TABLE)

    assert "17.20 % on 2026-11-19: 3 of 20 days stored" in text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (dt.timedelta(seconds=30), "now"),
        (dt.timedelta(minutes=45), "45 min"),
        (dt.timedelta(hours=5), "5 h"),
        (dt.timedelta(days=3), "3 d"),
        (-dt.timedelta(minutes=5), "now"),
    ],
)
def test_ages(age, text):
    """How old a figure is, in the unit that one would say."""
    known = reports()[0]
    snapshot = known.snapshot.model_copy(update={"ages": {"iv30": known.snapshot.as_of - age}})

    assert volatility._age(snapshot, "iv30") == text
    assert volatility._age(snapshot, "hv30") == ""


@pytest.mark.parametrize("format", [Format.JSON, Format.NDJSON, Format.CSV])
def test_stored_days_of_programs(format):
    """The same thirty days, a row each."""
    text = volatility.history({"SPY": figures.past_days()}, format)

    if format is Format.JSON:
        rows = json.loads(text)["rows"]
    elif format is Format.NDJSON:
        rows = [json.loads(line) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 30
    assert {row["symbol"] for row in rows} == {"SPY"}
    assert float(rows[3]["close"]) == 581.5
