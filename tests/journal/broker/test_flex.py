"""Flex queries: days and times, levels, sections, exercises, and what they lack."""

from __future__ import annotations

import csv
import io

import pytest

from tomic.errors import BadFile
from tomic.journal import broker, executions
from tomic.journal.broker import BrokerFile, Stored
from tomic.models.journal import Action, CashKind

ROW = {
    "ClientAccountID": "U1", "CurrencyPrimary": "USD", "AssetClass": "OPT",
    "Symbol": "XYZ   251219P00050000", "Description": "XYZ 19DEC25 50 P", "Conid": "12",
    "UnderlyingSymbol": "XYZ", "Multiplier": "100", "Strike": "50", "Expiry": "20251219",
    "Put/Call": "P", "TradeID": "910", "DateTime": "20251104;125447", "TradeDate": "20251104",
    "Quantity": "-1", "TradePrice": "2.75", "Proceeds": "275", "IBCommission": "-1",
    "IBCommissionCurrency": "USD", "Open/CloseIndicator": "O", "Buy/Sell": "SELL",
    "IBExecID": "0002.01", "IBOrderID": "78", "TransactionID": "1001", "Notes/Codes": "",
    "LevelOfDetail": "EXECUTION", "TransactionType": "ExchTrade",
}  # fmt: skip


def lines(*rows: dict[str, str], without: tuple[str, ...] = (), sep: str = ",") -> str:
    """A query of these rows; each names what is other than in `ROW`."""
    names = [name for name in ROW if name not in without]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([{**ROW, **row}[name] for name in names] for row in rows)
    return out.getvalue()


def read(*rows: dict[str, str], **more: tuple[str, ...]) -> BrokerFile:
    return broker.parse("x.csv", lines(*rows, **more))


# -- days and times ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "20251104;125447", "20251104,125447", "20251104 125447", "20251104125447",
        "2025-11-04;12:54:47", "2025-11-04, 12:54:47", "2025-11-0412:54:47", "2025-11-04 12:54:47",
        "2025-11-04T12:54:47", "2025-11-04;125447", "04-NOV-25;125447", "04-Nov-2025 12:54:47",
        "04.11.2025 12:54:47", "11/04/2025 12:54:47 PM", "20251104;125447 EST",
        "20251104;125447 America/New_York", "20251104;175447 GMT", "20251104;185447 CET",
        "2025-11-04 12:54:47-05:00", "2025-11-04T17:54:47Z", "20251104;125447 US/Eastern",
    ],
)  # fmt: skip
def test_moments(text):
    """Each of IB's forms of date, time, separator and zone; New York's where none is named."""
    found = read({"DateTime": text}, {"DateTime": "11/25/2025;093000", "IBExecID": "0003.01"})

    assert found.odd == ()
    assert found.executions[0].at.isoformat()[:19] in (
        "2025-11-04T12:54:47", "2025-11-04T17:54:47", "2025-11-04T18:54:47",
    )  # fmt: skip
    assert found.executions[0].at.timestamp() == 1762278887.0


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (("04/11/2025", "19/12/2025"), "2025-11-04"),
        (("11/04/2025", "12/19/2025"), "2025-11-04"),
        (("04/11/25", "19/12/25"), "2025-11-04"),
        (("11/04/25", "12/19/25"), "2025-11-04"),
        (("04/11/25125447", "19/12/25"), "2025-11-04"),
        (("04/11/2025125447", "19/12/2025"), "2025-11-04"),
    ],
)
def test_days_that_can_be_two(days, expected):
    """Any day of the file that can only be read one way tells how to read the others."""
    at, expiry = days

    (sold,) = read({"DateTime": at, "Expiry": expiry, "TradeDate": ""}).executions

    assert sold.at.date().isoformat() == expected
    assert sold.contract.expiry.isoformat() == "2025-12-19"


def test_the_symbol_tells_which_number_is_the_day():
    """All days are below 13, and the symbol of the option has its expiry."""
    days = {"DateTime": "04/11/2025;100000", "TradeDate": "04/11/2025", "Expiry": "05/12/2025"}

    (sold,) = read({**days, "Symbol": "XYZ   251205P00050000"}).executions

    assert (sold.at.day, sold.at.month) == (4, 11)


def test_days_that_nothing_tells():
    """They are refused with line and remedy, and never guessed."""
    symbol = {"Symbol": "P XYZ", "Expiry": "05/12/2025", "Description": "d"}
    (odd,) = read({"DateTime": "04/11/2025;100000", "TradeDate": "04/11/2025", **symbol}).odd

    assert odd.line == 2
    assert "can be two days" in odd.reason
    assert "choose yyyyMMdd or yyyy-MM-dd" in odd.reason


def test_days_of_both_kinds():
    """A file that writes some days first and some months first is not read by either."""
    found = read({"DateTime": "25/11/2025;100000"}, {"DateTime": "11/26/2025;100000"})

    assert found.executions == ()
    assert all("no certain day" in odd.reason for odd in found.odd)


def test_a_zone_that_nobody_knows():
    """It is named, with the row."""
    (odd,) = read({"DateTime": "20251104;125447 XQZT"}).odd

    assert "time zone that is not known: XQZT" in odd.reason


def test_an_expiry_of_another_option():
    """Symbol and expiry that contradict each other are kept aside."""
    (odd,) = read({"Expiry": "20260116"}).odd

    assert "'20260116' is not an expiry of XYZ   251219P00050000" in odd.reason


# -- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (("-1", "2,75", "275", "-1,05"), (-1.0, 2.75, 1.05)),
        (("-1.000", "2,75", "275.000", "-1,05"), (-1000.0, 2.75, 1.05)),
        (("-1", "2.75", "275", "-1.05"), (-1.0, 2.75, 1.05)),
        (("-1,000", "2.75", "275,000.00", "-1.05"), (-1000.0, 2.75, 1.05)),
        (("-1 000", "2,75", "275 000", "-1,05"), (-1000.0, 2.75, 1.05)),
        (("-1\u202f000", "2,75", "275\u202f000,00", "-1,05"), (-1000.0, 2.75, 1.05)),
        (("-1", "1.250,5", "125.050", "-1,05"), (-1.0, 1250.5, 1.05)),
    ],
)
@pytest.mark.parametrize("sep", [";", "\t"])
def test_decimal_commas(numbers, expected, sep):
    """Where a spreadsheet saved the file, the whole of it tells which sign is the decimal one."""
    names = ("Quantity", "TradePrice", "Proceeds", "IBCommission")

    (sold,) = broker.parse("x", lines(dict(zip(names, numbers, strict=True)), sep=sep)).executions

    assert (sold.quantity, sold.price, sold.commission) == expected


def test_a_number_that_can_be_two():
    """``1,250`` alone in a file with semicolons is neither 1.25 nor 1250."""
    row = {"Quantity": "-1", "TradePrice": "1,250", "Proceeds": "", "IBCommission": "-1"}

    (odd,) = broker.parse("x", lines(row, sep=";")).odd

    assert "'1,250' can be 1.250 or 1250" in odd.reason


@pytest.mark.parametrize("text", ['="-1"', " -1 ", "-1.0"])
def test_quoted_and_padded_numbers(text):
    """What a spreadsheet puts around a number is not part of it."""
    (sold,) = read({"Quantity": text}).executions

    assert sold.quantity == -1.0


def test_fractional_shares():
    """Shares come in parts; their multiplier is 1."""
    no_option = {"Multiplier": "1", "Strike": "", "Expiry": "", "Put/Call": ""}
    part = {"Quantity": "-0.4268", "TradePrice": "100", "Proceeds": "42.68"}

    (sold,) = read({"AssetClass": "STK", "Symbol": "BRK B", **no_option, **part}).executions

    assert (sold.symbol, sold.quantity, sold.contract.is_stock) == ("BRK.B", -0.4268, True)


# -- levels --------------------------------------------------------------------------------------


def test_levels_of_detail():
    """Executions count, what repeats them is counted; else orders count."""
    order = {"LevelOfDetail": "ORDER", "IBExecID": "", "TradeID": "", "TransactionID": ""}
    rows = (
        {"LevelOfDetail": "SYMBOL_SUMMARY", "Quantity": "0"},
        order,
        {},
        {"LevelOfDetail": "CLOSED_LOT"},
        {**order, "Symbol": "ABC   251219P00050000", "Conid": "13", "UnderlyingSymbol": "ABC"},
    )

    found = read(*rows)

    assert [each.symbol for each in found.executions] == ["XYZ", "ABC"]
    assert found.other_levels == {"SYMBOL_SUMMARY": 1, "ORDER": 1, "CLOSED_LOT": 1}
    assert any("3 rows (SYMBOL_SUMMARY 1, ORDER 1" in text for text in found.say())


def test_levels_without_their_column():
    """What has a number of its own is an execution, what has only an order's is an order."""
    order = {"IBExecID": "", "TradeID": "", "TransactionID": ""}

    found = read(order, {}, without=("LevelOfDetail",))

    assert len(found.executions) == 1
    assert found.other_levels == {"ORDER": 1}


@pytest.mark.parametrize(
    "without",
    [
        ("Multiplier",), ("Strike", "Expiry", "Put/Call"), ("UnderlyingSymbol",), ("Conid",),
        ("AssetClass",), ("DateTime",), ("Buy/Sell",), ("Description", "Proceeds"),
        ("Multiplier", "Proceeds"), ("TransactionType",), ("TradeDate",), ("Notes/Codes",),
    ],
)  # fmt: skip
def test_columns_left_out(without):
    """What the other columns tell is not missed."""
    (sold,) = read({}, without=without).executions

    assert (sold.symbol, sold.contract.name, sold.quantity) == ("XYZ", "50P 2025-12-19", -1.0)
    assert (sold.contract.multiplier, sold.contract.trading_class) == (100, "XYZ")
    assert sold.at.date().isoformat() == "2025-11-04"


@pytest.mark.parametrize("name", ["Symbol", "Quantity", "TradePrice"])
def test_columns_that_cannot_be_left_out(name):
    """They are named, and what to export."""
    with pytest.raises(BadFile, match=f"its columns lack {name}: export Trades at level"):
        read({}, without=(name,))


@pytest.mark.parametrize("kind", ["FUT", "CASH", "BOND", "CFD", "WAR", "FUND", "CRYPTO"])
def test_other_instruments(kind):
    """They are counted by their kind."""
    found = read({"AssetClass": kind}, {})

    assert found.other_assets == {kind: 1}
    assert len(found.executions) == 1


def test_options_on_futures_are_kept_aside():
    """The row stays with its reason and costs the others nothing; a later version may read it."""
    found = read({"AssetClass": "FOP", "Symbol": "EWZ5 P5000", "Multiplier": "50"}, {})

    assert (len(found.executions), found.other_assets) == (1, {})
    assert [(one.reason, "EWZ5 P5000" in one.text) for one in found.odd] == [
        (executions.ON_FUTURE, True)
    ]


def test_a_currency_without_its_kind():
    """A pair is no share."""
    row = {"Symbol": "EUR.USD", "Strike": "", "Expiry": "", "Put/Call": "", "Proceeds": ""}

    assert read(row, {}, without=("AssetClass",)).other_assets == {"CASH": 1}


def test_a_commission_in_another_currency():
    """It is not added to the trade's money, and that is said."""
    found = read({"IBCommissionCurrency": "EUR"})

    assert found.executions[0].commission is None
    assert any("commissions in EUR on trades in USD" in note for note in found.notes)


# -- what is stored already ----------------------------------------------------------------------

STORED = {"0002.01": Stored(12, -1.0, 2.75, "U1")}


def test_a_row_that_is_stored_is_recognised_unread():
    """It is named by its number, whatever else is in the file; twice in it, it is one."""
    text = lines({}, {}, {"IBExecID": "0003.01"})

    found = broker.parse("x.csv", text, STORED)

    assert found.known == ("0002.01",)
    assert [one.exec_id for one in found.executions] == ["0003.01"]
    assert found.other_levels == {"told twice": 1}


@pytest.mark.parametrize(
    ("row", "stored"),
    [
        ({"Quantity": "-2", "Proceeds": "550"}, STORED["0002.01"]),
        ({"TradePrice": "2.70", "Proceeds": "270"}, STORED["0002.01"]),
        ({"Conid": "13"}, STORED["0002.01"]),
        ({"ClientAccountID": "U2"}, STORED["0002.01"]),
        ({"Notes/Codes": "Ep"}, STORED["0002.01"]),
        ({"Notes/Codes": "Ca"}, STORED["0002.01"]),
        ({}, STORED["0002.01"]._replace(lacks=("order",))),
        ({}, STORED["0002.01"]._replace(lacks=("commission",))),
    ],
)
def test_a_row_that_may_tell_more_is_read(row, stored):
    """What differs from what is stored, corrects it, or fills a gap of it."""
    found = broker.parse("x.csv", lines(row), {"0002.01": stored})

    assert found.known == ()
    assert len(found.executions) == 1


def test_a_gap_that_the_row_has_too_is_none():
    """What neither tells keeps nothing from being recognised."""
    stored = STORED["0002.01"]._replace(lacks=("order",))

    assert broker.parse("x.csv", lines({"IBOrderID": ""}), {"0002.01": stored}).known


# -- frames --------------------------------------------------------------------------------------


def framed(*blocks: tuple[str, str, str], end: bool = True) -> str:
    """A query with header and trailer records: account, section and text of each block."""
    out = ['"BOF","U0","trades","1","20251101","20251231","20260101;010101"']
    for account, section, text in blocks:
        rows = text.splitlines()
        out += [f'"BOA","{account}"', f'"BOS","{section}","Trades; trade date basis"', *rows]
        out += [f'"EOS","{section}","{len(rows) - 1}","0"', f'"EOA","{account}"']
    return "\n".join([*out, '"EOF","U0"'] if end else out)


def described(text: str) -> str:
    """With section code and line descriptor in front of each row."""
    heading, *rows = text.splitlines()
    return "\n".join([f'"HEADER","TRNT",{heading}', *(f'"DATA","TRNT",{row}' for row in rows)])


@pytest.mark.parametrize("form", [str, described])
def test_blocks_of_accounts(form):
    """Accounts follow one another; a row without an account column has that of its block."""
    text = lines({}, without=("ClientAccountID",))
    other = lines({"IBExecID": "0003.01"}, without=("ClientAccountID", "Description"))

    found = broker.parse(
        "x", framed(("U11111", "TRNT", form(text)), ("U22222", "TRNT", form(other)))
    )

    assert [each.account for each in found.executions] == ["U11111", "U22222"]
    assert (found.odd, found.notes) == ((), ())


def test_descriptors_without_a_frame():
    """HEADER and DATA alone will do."""
    assert len(broker.parse("x", described(lines({}, {"IBExecID": "0003.01"}))).executions) == 2


def test_a_query_that_was_cut_off():
    """A missing end, and rows that the file says it has, are told."""
    text = framed(("U11111", "TRNT", lines({})), end=False)
    short = framed(("U11111", "TRNT", lines({}))).replace('"EOS","TRNT","1"', '"EOS","TRNT","7"')

    assert any("has no end record" in note for note in broker.parse("x", text).notes)
    assert any("7 rows, and has 1" in note for note in broker.parse("x", short).notes)


def test_sections_behind_one_another():
    """Positions and cash have headers of their own; only what is read is read."""
    cash = (
        "ClientAccountID,CurrencyPrimary,Symbol,Description,Date/Time,Amount,Type,TransactionID\n"
        "U1,USD,XYZ,XYZ(US123) CASH DIVIDEND,20251222,50,Dividends,5001\n"
        "U1,USD,,USD CREDIT INT,20251222,3.5,Broker Interest Received,5002\n"
    )
    positions = (
        "ClientAccountID,AssetClass,Symbol,Quantity,MarkPrice,LevelOfDetail\n"
        "U1,OPT,XYZ   251219P00050000,-1,2.5,SUMMARY\n"
    )

    for order in ((positions, lines({}), cash), (cash, positions, lines({}))):
        found = broker.parse("x", "".join(order))

        assert len(found.executions) == 1
        assert [(flow.kind, flow.amount) for flow in found.cash_flows] == [
            (CashKind.DIVIDEND, 50.0), (CashKind.INTEREST, 3.5),
        ]  # fmt: skip
        assert sum(found.other_rows.values()) == 1


def test_a_file_of_another_kind():
    """It says which of its lines it could not read, and what to export instead."""
    with pytest.raises(BadFile) as caught:
        broker.parse("bank.csv", "Datum;Omschrijving;Bedrag\n01-11-2025;Huur;-900\n")

    text = str(caught.value)
    assert "bank.csv: no trades in it" in text
    assert "2 lines could not be read (line 1 'Datum;Omschrijving;Bedrag'" in text
    assert "as XML or as CSV with column headers" in text


# -- exercises -----------------------------------------------------------------------------------

EAE = (
    "ClientAccountID,CurrencyPrimary,AssetClass,Symbol,Conid,UnderlyingSymbol,Multiplier,Strike,"
    "Expiry,Put/Call,Date,Transaction Type,Quantity,Trade Price,Proceeds,Comm/Tax,TradeID\n"
)
PUT = "XYZ   251219P00050000,12,XYZ,100,50,20251219,P,20251219"
INDEX = "SPX   251219P06000000,44,SPX,100,6000,20251218,P,20251219"


def test_exercises_alone():
    """Without the trades they are the trades: an assignment with its shares, an expiry."""
    text = (
        EAE + f"U1,USD,OPT,{PUT},Assignment,2,0,0,0,911\n"
        "U1,USD,STK,XYZ,99,XYZ,1,,,,20251219,Buy,200,50,-10000,0,912\n"
        f"U1,USD,OPT,{PUT.replace('P00050000,12', 'P00045000,13').replace(',50,', ',45,')},"
        "Expiration,1,0,0,0,913\n"
    )

    assigned, shares, expired = broker.parse("x", text).executions

    assert (assigned.action, assigned.quantity, assigned.opens) == (Action.ASSIGN, 2.0, False)
    assert (shares.quantity, shares.price, shares.contract.is_stock) == (200.0, 50.0, True)
    assert (expired.action, expired.contract.strike) == (Action.EXPIRE, 45.0)
    assert {each.at.isoformat() for each in (assigned, shares, expired)} == {
        "2025-12-19T16:20:00-05:00"
    }


def test_exercises_beside_the_trades():
    """A row that repeats a trade counts once; the cash of a settlement stands there alone."""
    trades = lines(
        {"TradeID": "914", "TransactionType": "BookTrade", "Notes/Codes": "A", "Quantity": "1",
         "Buy/Sell": "BUY", "TradePrice": "0", "Proceeds": "0", "IBExecID": "",
         "DateTime": "20251219;162000", "Symbol": "SPX   251219P06000000", "Conid": "44",
         "UnderlyingSymbol": "SPX", "Strike": "6000", "Expiry": "20251218"}
    )  # fmt: skip
    exercises = (
        EAE + f"U1,USD,OPT,{INDEX},Assignment,1,0,0,0,914\n"
        f"U1,USD,OPT,{INDEX},Cash Settlement,0,0,-1234.5,0,915\n"
    )

    for text in (trades + exercises, exercises + trades):
        found = broker.parse("x", text)

        (assigned,) = found.executions
        (settled,) = found.cash_flows
        assert (assigned.trade_id, assigned.price) == ("914", 0.0)
        assert (settled.kind, settled.amount, settled.trade_id) == (
            CashKind.SETTLEMENT, -1234.5, "914",
        )  # fmt: skip
        assert settled.contract == assigned.contract
        assert found.other_levels == {"OptionEAE": 1}
        assert found.notes == ()
    alone = broker.parse("x", trades)
    assert any("1 settlements of SPX in cash without their amount" in each for each in alone.notes)


# -- cancels -------------------------------------------------------------------------------------


def test_a_cancel_names_what_it_takes_back():
    """Its numbers are those of the original, its sign the other one."""
    found = read(
        {"TradeID": "T", "TransactionID": "1", "Quantity": "2", "Buy/Sell": "BUY"},
        {"TradeID": "", "TransactionID": "2", "Quantity": "-2", "Buy/Sell": "BUY (Ca.)",
         "IBExecID": "", "TransactionType": "TradeCancel", "Notes/Codes": "Ca"},
        {"TradeID": "T", "TransactionID": "3", "Quantity": "1", "Buy/Sell": "BUY",
         "IBExecID": "0002.02"},
        without=("Proceeds",),
    )  # fmt: skip

    assert [(each.quantity, each.cancels) for each in found.executions] == [
        (2.0, False), (-2.0, True), (1.0, False),
    ]  # fmt: skip


def test_rows_can_be_read_again():
    """A kept row and its columns give what they gave in their file."""
    text = framed(("U11111", "TRNT", described(lines({}, without=("ClientAccountID",)))))
    found = broker.parse("x", text)

    for sold, row in zip(found.executions, found.rows, strict=True):
        again = broker.read_again(row.columns, [row.text])
        assert again.executions == (sold,)
        assert again.rows[0].line == 1
