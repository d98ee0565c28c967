from __future__ import annotations

import csv
import datetime as dt
import io
import json

from support.made_followed import followed, record
from tomic.models.journal import Interval
from tomic.models.track import TrackRecord
from tomic.present import track as present
from tomic.present.forms import Format


def test_each_grade_is_a_line():
    """Promised beside realised, of all months and of the last, and what is too few says so."""
    lines = present.report(record(), Format.TABLE).splitlines()

    assert " ".join(lines[0].split()) == (
        "all proposals n ended won % PoS % target % P(target) % /margin % managed EV EV by quotes %"
    )
    assert lines[1].split()[:5] == ["A", "2", "2", "50", "(9"]
    assert lines[1].endswith("too few: 2 ended in 1 month")
    assert "of 2026-10" in "\n".join(lines)


def test_each_proposal_is_a_line():
    """Its outcome and day, per share and per margin, and what it was marked by."""
    text = present.report(record(), Format.TABLE)

    assert (
        "20261006-2  A      SPY     iron condor 2  stop     2026-10-20   -2.00      -20.0" in text
    )
    assert "+0.60       +6.0     80  quotes" in text


def test_without_proposals_it_says_what_to_do():
    """An empty store has no table."""
    empty = TrackRecord(as_of=dt.date(2026, 11, 20), last_month="2026-10")

    assert present.report(empty, Format.TABLE).startswith("no proposal is saved; tomic scan")
    assert json.loads(present.report(empty, Format.JSON))["groups"] == []


def test_machines_get_all_of_it():
    """JSON has every mark; rows have a proposal each."""
    document = json.loads(present.report(record(), Format.JSON))
    rows = list(csv.DictReader(io.StringIO(present.report(record(), Format.CSV))))
    lines = [json.loads(line) for line in present.report(record(), Format.NDJSON).splitlines()]

    assert document["schema"] == "tomic.journal.proposals/1"
    assert document["proposals"][0]["marks"][0]["source"] == "quotes"
    assert document["proposals"][0]["per_margin"] == 0.06
    assert [row["outcome"] for row in rows] == ["target", "stop", "open"]
    assert lines[0]["marks"] == 1


def test_intervals_are_in_words():
    """Shares without a sign, returns with one; without an interval only the figure."""
    share = Interval(value=0.74, low=0.6, high=0.85)

    assert present.share_text(share) == "74 (60 to 85)"
    assert present.return_text(share) == "+74.0 (+60.0 to +85.0)"
    assert present.return_text(Interval(value=-0.012)) == "-1.2"
    assert present.share_text(Interval()) == ""


def test_many_proposals_are_cut_in_the_text():
    """Twenty are printed, the others counted."""
    many = record().model_copy(update={"proposals": tuple(followed(n) for n in range(45))})

    assert "and 25 more, in JSON" in present.report(many, Format.TABLE)
