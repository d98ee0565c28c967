"""The ranking as text, by the width of the terminal; what machines read of it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from support.made_proposals import FAR, NEXT_YEAR, bare, calendar, leg, whole
from tomic.models import RuleCount, ScanResult, TradeEvent
from tomic.present import scan
from tomic.present.forms import Format
from tomic.present.proposal import legs_text

WIDTHS = (60, 80, 120, 200)


def heads(text: str) -> list[str]:
    """The headings of a ranking."""
    return text.splitlines()[0].replace("short Δ", "short_Δ").replace("to BE", "to_BE").split()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("proposal", [bare(), whole(), calendar()], ids=["bare", "whole", "debit"])
def test_no_line_is_longer_than_the_terminal(width, proposal):
    """Columns and key fit; symbol, score, credit, PoS and EV stand at any width."""
    text = scan.ranking([proposal, proposal], width=width)

    assert max(map(len, text.splitlines())) <= width
    assert {"score", "symbol", "credit", "PoS", "EV"} <= set(heads(text))


def test_what_a_phone_shows():
    """At 60 letters a trade stands below its figures, and its number in the key."""
    text = scan.ranking([whole(max_loss=1460.0)], width=60).splitlines()

    assert text[:3] == [
        " score  symbol  DTE  credit  short Δ  PoS     EV  event",
        "63.4 B  SPY      28    0.55     0.16  81%  +3 ±2  E D",
        "  iron condor +546P -561P -625C +640C Dec18",
    ]
    assert "ids, in this order: 20261120-1" in " ".join(text)


def test_what_eighty_columns_show():
    """At 80 letters the trade is in its row, with what does not fit left out."""
    text = scan.ranking([whole()], width=80).splitlines()

    assert text[:2] == [
        " score  symbol  trade                          credit  PoS     EV  event",
        "63.4 B  SPY     +546P -561P -625C +640C Dec18    0.55  81%  +3 ±2  E D",
    ]


def test_what_a_wide_terminal_shows():
    """At 200 letters everything that a seller decides by is there, in one row."""
    head, row, *_ = scan.ranking([whole()], width=200).splitlines()

    assert " ".join(head.split()) == (
        "# id score symbol strategy trade DTE credit short Δ to BE PoS P(target) EV EV view costs "
        "BP max loss event similar"
    )
    assert " ".join(row.split()) == (
        "1 20261120-1 63.4 B SPY iron condor +546P -561P -625C +640C Dec18 28 0.55 0.16 1.1σ 81% "
        "71% +3 ±2 +12 27% 1,460 1,460 E D 99+"
    )


def test_what_is_unknown_is_a_dash_or_has_no_column():
    """Without exits, view, events and others of its kind nothing is invented."""
    head, row, *_ = scan.ranking([bare()], width=200).splitlines()

    assert not {"view", "event", "similar", "id"} & set(head.split())
    assert row.endswith("0.55        -      -  81%          -  +3      -  1,460     1,460")


def test_the_key_says_what_a_heading_means():
    """What others call POP is said once, and so are the letters of the events."""
    text = " ".join(scan.ranking([whole()]).split())

    assert text.count("profit at expiry (others say POP)") == 1
    assert "E earnings, E? their date unknown, D ex-dividend" in text
    assert "score 63.4 =" not in text


def test_every_kind_of_event_has_a_flag():
    """An unknown date is told from a known one, and a kind is flagged once."""
    kinds = ("earnings_unknown", "earnings", "priced", "ex_dividend", "ex_dividend")
    events = tuple(TradeEvent(kind=kind, text=kind) for kind in kinds)

    assert scan.events_text(bare(events=events)) == "E? E ~ D"


@pytest.mark.parametrize(("count", "text"), [(0, ""), (28, "28"), (99, "99"), (100, "99+")])
def test_large_numbers_of_alike_trades_are_not_shown(count, text):
    """Above 99 the number says no more."""
    assert scan.similar_count(bare(alternatives=count)) == text


def test_a_debit_is_in_brackets():
    """A calendar is typed as a debit per share."""
    assert scan.per_share_text(calendar()) == "(7.20)"


@pytest.mark.parametrize(
    ("proposal", "text"),
    [
        (bare(), "+546P -561P -625C +640C Dec18"),
        (calendar(), "-Dec18 440P +Jan15 440P"),
        (
            calendar(legs=(leg(-2, 175.0, "P"), leg(2, 155.0, "P", NEXT_YEAR))),
            "-2xDec18 175P +2xDec17'27 155P",
        ),
        (bare(legs=(leg(-1, 1e3, "C", FAR),)), "-1000C Jan15"),
    ],
    ids=["condor", "calendar", "diagonal", "one leg"],
)
def test_every_leg_has_its_expiry(proposal, text):
    """One expiry is said once; several at each leg, with the year where it is another."""
    assert legs_text(proposal) == text


def test_shares_stand_without_expiry():
    """A covered call has one expiry, that of its call."""
    call = leg(-1, 320.0, "C")
    shares = call.model_copy(
        update={"sec_type": "STK", "quantity": 100, "right": None, "strike": None, "expiry": None}
    )

    assert legs_text(bare(legs=(call, shares))) == "-320C +100sh Dec18"


def test_other_currencies_are_said():
    """Money in euros says so in a column that dollars do not need."""
    assert "in" in heads(scan.ranking([whole(currency="EUR")], width=120))
    assert "in" not in heads(scan.ranking([whole()], width=120))


def test_rules_are_said_in_words():
    """What refused most is readable without knowing the rules' names."""
    counts = [("upside_loss", 8876), ("volume", 2753), ("cannot_win", 3), ("spread", 1)]
    rejected = tuple(RuleCount(rule=rule, kind="rule", count=count) for rule, count in counts)

    text = scan.scan_summary(ScanResult(rejected=rejected, proposals=(bare(),)))

    assert "failed: loses when the underlying rises 8,876, volume 2,753, cannot win" in text


def test_the_parts_of_a_score_name_their_row():
    """They stand with the explanation, and say of which trade they are."""
    result = ScanResult(proposals=(whole(),))

    plain = scan.shown(result, Format.TABLE, explain=False)
    explained = scan.shown(result, Format.TABLE, explain=True)

    assert "score 63.4 =" not in plain
    assert "#1: score 63.4 = pos +20.0 ev +43.4\n" in explained


def test_programs_get_every_column():
    """CSV has what lies deeper too, empty where it is unknown; JSON has it where it lies."""
    result = ScanResult(proposals=(whole(), bare(rank=2)))
    first, second = csv.DictReader(io.StringIO(scan.to_csv(result)))
    document = json.loads(scan.to_json(result))

    assert first["legs"] == "+546P -561P -625C +640C Dec18"
    assert (first["limit"], first["short_delta"], first["distance"]) == ("0.55", "0.16", "1.12")
    assert (first["p_target"], first["ev_view"], first["contracts"]) == ("0.713", "12.2", "2")
    assert first["events"] == "earnings on 3 Dec; ex-dividend on 18 Dec"
    assert {second[name] for name in ("p_target", "ev_view", "contracts", "events")} == {""}
    assert document["proposals"][0]["managed"]["p_target"] == 0.713
    assert document["proposals"][1]["managed"] is None
