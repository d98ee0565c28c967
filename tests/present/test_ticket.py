"""A ticket in the forms that other programs read."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest

from support.made_proposals import calendar, whole
from tomic.models import ExitRules, Ticket, TicketLeg
from tomic.present import ticket as present
from tomic.strategies import tickets

DEC, JAN, WEEKLY = dt.date(2026, 12, 18), dt.date(2027, 1, 15), dt.date(2026, 12, 11)
HEADER = (
    "Action,Quantity,Symbol,SecType,LastTradingDayOrContractMonth,Strike,Right,Exchange,Currency"
)


def option(quantity, strike, right, expiry=DEC, *, symbol="SPY", **fields) -> TicketLeg:
    return TicketLeg(
        symbol=symbol, quantity=quantity, strike=strike, right=right, expiry=expiry, **fields
    )


def ticket(*legs, price=1.0, **fields) -> Ticket:
    return Ticket(symbol=legs[0].symbol, legs=legs, price=price, mid=price, **fields)


def shares(quantity, symbol="SPY", price=590.0) -> TicketLeg:
    return TicketLeg(symbol=symbol, sec_type="STK", quantity=quantity, multiplier=1, price=price)


def test_the_file_has_the_columns_that_what_if_imports():
    """Nine columns in their order, a row a leg, no blank after a comma and none within a value."""
    text = present.what_if_csv(tickets.of_proposal(whole(), quantity=2))

    assert text.splitlines() == [
        HEADER,
        "BUY,2,SPY,OPT,20261218,546,P,SMART,USD",
        "SELL,2,SPY,OPT,20261218,561,P,SMART,USD",
        "SELL,2,SPY,OPT,20261218,625,C,SMART,USD",
        "BUY,2,SPY,OPT,20261218,640,C,SMART,USD",
    ]


def test_shares_and_fractional_strikes_in_the_file():
    """Shares have no day, strike and right; a strike keeps its cents; a class its blank."""
    made = ticket(shares(100, "BRK.B"), option(-1, 482.5, "C", JAN, symbol="BRK.B"), price=-470.0)

    assert present.what_if_csv(made).splitlines()[1:] == [
        "BUY,100,BRK B,STK,,,,SMART,USD",
        "SELL,1,BRK B,OPT,20270115,482.5,C,SMART,USD",
    ]


def test_the_file_names_the_last_day_of_trading():
    """SPX settles on the morning of Friday and trades until Thursday; SPXW trades on its Friday."""
    made = ticket(
        option(-1, 6000.0, "P", DEC, symbol="SPX", trading_class="SPX"),
        option(1, 5900.0, "P", DEC, symbol="SPX", trading_class="SPXW"),
    )

    rows = list(csv.DictReader(io.StringIO(present.what_if_csv(made))))

    assert [row["LastTradingDayOrContractMonth"] for row in rows] == ["20261217", "20261218"]
    assert {row["Symbol"] for row in rows} == {"SPX"}
    notes = " ".join(present.what_if_notes(made))
    assert "it cannot name the class (SPX, SPXW)" in notes
    assert "do not place its legs one by one" in notes


@pytest.mark.parametrize(
    ("made", "page"),
    [
        (tickets.of_proposal(whole()), "iron-condor/SPY/"),
        (tickets.of_proposal(calendar()), "custom/SPY/"),
        (
            ticket(option(1, 570.0, "P"), option(-1, 580.0, "P"), strategy="short_put_spread"),
            "bull-put-spread/SPY/.SPY261218P570,-.SPY261218P580",
        ),
        (
            ticket(option(-2, 580.0, "P"), option(1, 590.0, "P"), strategy="ratio_spread"),
            "custom/SPY/-.SPY261218P580x2,.SPY261218P590",
        ),
        (
            ticket(shares(100), option(-1, 600.5, "C"), strategy="covered_call"),
            "covered-call/SPY/SPYx100@590.00,-.SPY261218C600.5",
        ),
        (
            ticket(option(-1, 6000.0, "P", dt.date(2026, 12, 17), symbol="SPX",
                          trading_class="SPX", price=41.5)),
            "custom/SPX/-.SPX261218P6000@41.50",
        ),
        (
            ticket(option(1, 6000.0, "P", WEEKLY, symbol="SPX", trading_class="SPXW")),
            "custom/SPX/.SPXW261211P6000",
        ),
        (ticket(option(1, 480.0, "P", symbol="BRK.B")), "custom/BRK%2FB/.BRKB261218P480"),
    ],
)  # fmt: skip
def test_optionstrat_links(made, page):
    """The page of the strategy where it is known, legs as OCC names them, prices where known."""
    link = present.optionstrat(made).text

    assert link.startswith(f"https://optionstrat.com/build/{page}")


def test_a_condor_is_linked_leg_by_leg():
    """Long legs with a dot, short ones with a minus before it, each with its middle price."""
    assert present.optionstrat(tickets.of_proposal(whole())).text == (
        "https://optionstrat.com/build/iron-condor/SPY/.SPY261218P546@0.93,-.SPY261218P561@1.25,"
        "-.SPY261218C625@1.05,.SPY261218C640@0.84"
    )


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            tickets.of_proposal(whole()),
            "SELL -1 IRON CONDOR SPY 100 18 DEC 26 625/640/561/546 CALL/PUT @0.55 LMT",
        ),
        (
            ticket(option(1, 570.0, "P", WEEKLY), option(-1, 580.0, "P", WEEKLY), price=1.1),
            "SELL -1 VERTICAL SPY 100 (Weeklys) 11 DEC 26 580/570 PUT @1.10 LMT",
        ),
        (
            ticket(option(1, 570.0, "C"), option(-1, 580.0, "C"), price=-4.1, quantity=3),
            "BUY +3 VERTICAL SPY 100 18 DEC 26 570/580 CALL @4.10 LMT",
        ),
        (
            ticket(option(-1, 570.0, "C"), option(1, 580.0, "C"), price=4.1),
            "SELL -1 VERTICAL SPY 100 18 DEC 26 570/580 CALL @4.10 LMT",
        ),
        (
            ticket(option(1, 5880.0, "C", symbol="SPX", trading_class="SPXW"),
                   option(-2, 5900.0, "C", symbol="SPX", trading_class="SPXW"),
                   option(1, 5920.0, "C", symbol="SPX", trading_class="SPXW"), price=-1.2),
            "BUY +1 BUTTERFLY SPX 100 (Weeklys) 18 DEC 26 5880/5900/5920 CALL @1.20 LMT",
        ),
        (
            ticket(option(-1, 560.0, "P"), option(-1, 620.0, "C"), price=3.0),
            "SELL -1 STRANGLE SPY 100 18 DEC 26 620/560 CALL/PUT @3.00 LMT",
        ),
        (
            ticket(option(-1, 582.5, "P"), price=2.0),
            "SELL -1 SPY 100 18 DEC 26 582.5 PUT @2.00 LMT",
        ),
        (
            ticket(option(-1, 6000.0, "P", symbol="SPX", trading_class="SPX"), price=20.0),
            "SELL -1 SPX 100 18 DEC 26 [AM] 6000 PUT @20.00 LMT",
        ),
        (
            tickets.of_proposal(calendar()),
            "BUY +1 -1/1 CUSTOM SPY 100 18 DEC 26/15 JAN 27 440/440 PUT/PUT @7.20 LMT",
        ),
        (
            ticket(option(1, 570.0, "P"), option(-2, 580.0, "P"), price=1.0),
            "BUY +1 1/-2 CUSTOM SPY 100 18 DEC 26/18 DEC 26 570/580 PUT/PUT @-1.00 LMT",
        ),
        (
            ticket(option(1, 570.0, "P"), option(-2, 580.0, "P"), option(1, 595.0, "P")),
            "BUY +1 1/-2/1 CUSTOM SPY 100 18 DEC 26/18 DEC 26/18 DEC 26 570/580/595 "
            "PUT/PUT/PUT @-1.00 LMT",
        ),
    ],
)  # fmt: skip
def test_thinkorswim_lines(made, line):
    """The forms seen in public; whatever has no certain name states each leg with its sign."""
    assert present.thinkorswim(made).text == line


def test_what_other_programs_do_not_know_is_said():
    """No link for options in euros, no line for trades with shares: a reason instead."""
    abroad = ticket(option(-1, 700.0, "P", symbol="ASML@AEB", currency="EUR"), currency="EUR")

    assert present.optionstrat(abroad) == (
        "", "OptionStrat knows options on American shares and indices only"
    )  # fmt: skip
    assert "American" in present.thinkorswim(abroad).why_none
    closing = ticket(option(1, 570.0, "P"), kind="close")
    assert "changes one" in present.optionstrat(closing).why_none
    assert present.closing_line(closing) == ""
    covered = ticket(shares(100), option(-1, 600.0, "C"))
    assert "shares" in present.thinkorswim(covered).why_none
    assert any("SMART" in note for note in present.what_if_notes(abroad))


def test_the_order_has_its_closing_order():
    """The limit first, then the order that closes at the target, good till cancelled."""
    made = tickets.of_proposal(whole(), ExitRules(profit_target=0.5), quantity=2)

    text = present.ticket_text(made)

    assert "ratio as listed, 2 times:" in text
    assert "  limit 0.55 credit per share (mid 0.545 on a tick of 0.01" in text
    assert "  then, good till cancelled: close the same combination at 0.27 debit per share" in text
    assert "SELL -2 IRON CONDOR" in text


def test_a_ticket_without_prices_says_so():
    """Nothing stands in for a price that is not known."""
    made = Ticket(symbol="SPY", legs=(option(1, 570.0, "P"),))

    assert present.order_lines(made)[-1] == "no limit: a leg has no price"
    assert "@" not in present.thinkorswim(made).text + present.optionstrat(made).text


def test_the_document_has_every_form():
    """Fields of the ticket, and its forms; null where there is none."""
    document = present.ticket_document(ticket(shares(100), option(-1, 600.0, "C")))

    assert document["what_if_csv"].startswith(HEADER)
    assert document["thinkorswim"] is None
    assert document["closing_order"] is None
    assert document["legs"][1]["strike"] == 600.0
