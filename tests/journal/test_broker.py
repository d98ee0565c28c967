"""Trades in a broker's CSV files."""

from __future__ import annotations

import datetime as dt

import pytest

from support.recorded_chains import DATA
from tomic.errors import BadFile
from tomic.journal import broker
from tomic.models.journal import Action

ACTIVITY = """\
Statement,Header,Field Name,Field Value
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Equity and Index Options,USD,SPY 20JUN25 560 P,"2025-05-19, 10:31:02",-2,2.35,2.3,470,-1.3,-468.7,0,10,O
Trades,Data,Trade,Equity and Index Options,USD,SPY 20JUN25 560 P,"2025-05-19, 10:31:02",-2,2.35,2.3,470,-1.3,-468.7,0,10,O
Trades,Data,Order,Equity and Index Options,USD,SPY 20JUN25 557.5 P,"2025-05-19, 10:31:02",2,1.95,1.9,-390,-1.3,391.3,0,10,O
Trades,SubTotal,,Equity and Index Options,USD,SPY 20JUN25 560 P,,-2,,,470,-1.3,-468.7,0,10,
Trades,Data,Order,Equity and Index Options,USD,SPY 20JUN25 560 P,"2025-06-20, 16:20:00",2,0,0,0,0,468.7,468.7,0,C;Ep
Trades,Data,Order,Forex,EUR,EUR.USD,"2025-05-19, 09:00:00",1000,1.1,,,-2,,,,
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Stocks,USD,BRK B,"2025-05-20, 11:00:00","1,200",480.5,480,-576600,-6,576606,0,0,A;O
"""  # noqa: E501

FLEX = """\
"CurrencyPrimary","AssetClass","Symbol","Conid","UnderlyingSymbol","Multiplier","Strike","Expiry","Put/Call","DateTime","Quantity","TradePrice","IBCommission","Buy/Sell","IBOrderID","IBExecID","Notes/Codes","LevelOfDetail"
"USD","OPT","SPY   250620P00560000","712345","SPY","100","560","20250620","P","20250519;103102","1","2.35","-0.65","SELL","88","0001.1","","EXECUTION"
"USD","OPT","SPY   250620P00550000","712346","SPY","100","550","2025-06-20","P","2025-05-19 10:31:03","1","1.10","-0.65","BUY","88","0001.2","P","EXECUTION"
"USD","OPT","SPY   250620P00550000","712346","SPY","100","550","2025-06-20","P","20250519;103103","1","1.10","-0.65","BUY","88","","","ORDER"
"USD","CASH","EUR.USD","1","","","","","","20250519;090000","1000","1.1","-2","BUY","","0009","","EXECUTION"
"USD","STK","SPY","756733","","1","","","","20250620;162000","100","560","0","BUY","","0001.3","A","EXECUTION"
"""  # noqa: E501


def test_activity_statement():
    """Orders of options and stocks; their executions, subtotals and currencies are left out."""
    found = broker.parse("u123.csv", ACTIVITY)

    assert (found.kind, found.left_out) == ("IB activity statement", 1)
    sold, bought, expired, stock = found.executions
    assert (sold.symbol, sold.contract.name, sold.quantity) == ("SPY", "560P 2025-06-20", -2.0)
    assert (sold.price, sold.commission, sold.action) == (2.35, 1.3, None)
    assert sold.at.isoformat() == "2025-05-19T10:31:02-04:00"
    assert bought.contract.strike == 557.5
    assert (expired.quantity, expired.price, expired.action) == (2.0, 0.0, Action.EXPIRE)
    assert (stock.symbol, stock.quantity, stock.price) == ("BRK.B", 1200.0, 480.5)
    assert stock.contract.is_stock
    assert stock.action is Action.ASSIGN


def test_flex_query():
    """Executions with their numbers, orders, ids and sides; order rows are left out."""
    found = broker.parse("flex.csv", FLEX)

    assert (found.kind, found.left_out) == ("IB Flex query", 1)
    sold, bought, stock = found.executions
    assert (sold.exec_id, sold.order, sold.contract.con_id) == ("0001.1", "88", 712345)
    assert (sold.symbol, sold.quantity, sold.commission) == ("SPY", -1.0, 0.65)
    assert sold.contract.expiry == bought.contract.expiry == dt.date(2025, 6, 20)
    assert bought.at.isoformat() == "2025-05-19T10:31:03-04:00"
    assert (stock.action, stock.quantity, stock.contract.multiplier) == (Action.ASSIGN, 100.0, 1)


def test_executions_without_numbers_get_stable_ones():
    """The same file gives the same numbers; two equal rows are two executions."""
    twice = ACTIVITY + ACTIVITY.splitlines()[2] + "\n"

    first, again = broker.parse("a", ACTIVITY), broker.parse("b", ACTIVITY)
    more = broker.parse("c", twice)

    ids = [one.exec_id for one in first.executions]
    assert ids == [one.exec_id for one in again.executions]
    assert len({one.exec_id for one in more.executions}) == len(ids) + 1


def test_semicolons_and_a_byte_order_mark():
    """Files saved by spreadsheets are read as well."""
    text = "\ufeff" + "Symbol;Quantity;TradePrice;DateTime\nSPY;100;593.5;2025-05-19 10:00:00\n"

    (one,) = broker.parse("x.csv", text).executions

    assert (one.symbol, one.quantity, one.price) == ("SPY", 100.0, 593.5)
    assert one.commission is None


def test_date_and_time_apart():
    """TradeDate and TradeTime do as well as DateTime."""
    text = "Symbol,Quantity,TradePrice,TradeDate,TradeTime\nSPY,1,5,20250519,103102\n"

    (one,) = broker.parse("x.csv", text).executions

    assert one.at.isoformat() == "2025-05-19T10:31:02-04:00"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_files_without_trades_are_refused(text):
    """A file of another kind is named as such."""
    with pytest.raises(BadFile, match="no trades in it; it can be an activity statement"):
        broker.parse("x.csv", text)


HEAD = "Symbol,Quantity,TradePrice,DateTime,Conid,Multiplier"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("SPY,x,5,20250519", "quantity 'x' is no number"),
        ("SPY,nan,5,20250519", "quantity 'nan' is no number"),
        ("SPY,inf,5,20250519", "quantity 'inf' is no number"),
        ("SPY,1e999,5,20250519", "quantity inf is no number"),
        ("SPY,0,5,20250519", "a quantity of 0 is no trade"),
        ("SPY,1_000,5,20250519", "quantity '1_000' is no number"),
        ("SPY,1e300,5,20250519", "beyond reason"),
        ("SPY,1,,20250519", "tradeprice is missing"),
        ("SPY,1,-3.10,20250519", "a price of -3.1 is below 0"),
        ("SPY,1,-Infinity,20250519", "tradeprice '-Infinity' is no number"),
        ("SPY,1,1e308,20250519", "a price or strike of 1e+308 is beyond reason"),
        ('SPY,1,"1,05",20250519', "tradeprice '1,05' is no number"),
        ("SPY,1,5,yesterday", "'yesterday' is no time"),
        ("SPY,1,5,20251319", "'20251319' is no time"),
        ("SPY,1,5,00010101", "1 is no year to trade in"),
        (";,1,5,20250519", "';' is not a ticker symbol"),
        (",1,5,20250519", "is not a ticker symbol"),
        ("SPY,1,5,20250519,9223372036854775808", "9223372036854775808 is no contract id"),
        ("SPY,1,5,20250519,-5", "-5 is no contract id"),
        ("SPY,1,5,20250519,1.5", "conid '1.5' is no whole number"),
        ("SPY,1,5,20250519,1e999", "conid '1e999' is no whole number"),
        ("SPY", "quantity is missing"),
    ],
)
def test_an_odd_row_costs_no_other(row, reason):
    """What is no execution is handed back as it stands, with line and reason; the rest is read."""
    found = broker.parse("x.csv", f"{HEAD}\nQQQ,1,5,20250519\n{row}\nIWM,2,6,20250519\n")

    assert [one.symbol for one in found.executions] == ["QQQ", "IWM"]
    (odd,) = found.odd
    assert (odd.line, odd.columns, odd.text) == (3, HEAD, row)
    assert reason in odd.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ACTIVITY.replace("SPY 20JUN25 560 P", "SPY PUT", 1), "'SPY PUT' is no option such as"),
        (ACTIVITY.replace("560 P", "1" + "0" * 30 + " P", 1), "1e+30 is beyond reason"),
        (ACTIVITY.replace("560 P", "0 P", 1), "0P 2025-06-20 is no option"),
        (ACTIVITY.replace("20JUN25", "40JUN25", 1), "'40JUN25' is no expiry"),
        (FLEX.replace('"560"', '"-1"', 1), "-1P 2025-06-20 is no option"),
        (FLEX.replace('"560"', "1e308", 1), "1e+308 is beyond reason"),
        (FLEX.replace('"20250620"', '"19/12/2025"', 1), "'19/12/2025' is not an expiry"),
        (FLEX.replace('"100"', '"0.5"', 1), "multiplier '0.5' is no whole number"),
        (FLEX.replace('"P"', '"X"', 1), "is no option"),
        (FLEX.replace('"2.35"', '"' + "9" * 200_000 + '"', 1), "price inf is no number"),
    ],
)
def test_an_odd_option_costs_no_other(text, reason):
    """Options are looked at as closely as shares; the other rows of the file are read."""
    whole = broker.parse("x", ACTIVITY if text.startswith("Statement") else FLEX)

    found = broker.parse("x.csv", text)

    (odd,) = found.odd
    assert reason in odd.reason
    assert len(found.executions) == len(whole.executions) - 1


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems(end):
    """Windows and old Excel end lines otherwise."""
    found = broker.parse("x.csv", ACTIVITY.replace("\n", end))

    assert found.executions == broker.parse("x.csv", ACTIVITY).executions


def test_an_open_quotation_mark_costs_its_line():
    """Without the mark that ends it a cell does not swallow the lines below."""
    text = FLEX.replace('"SPY   250620P00560000"', '"SPY   250620P00560000')

    found = broker.parse("x.csv", text)

    assert len(found.executions) + len(found.odd) == 3
    assert [one.exec_id for one in found.executions][-2:] == ["0001.2", "0001.3"]


def test_opening_and_closing_by_their_codes():
    """Code O opens, C closes, both or neither say nothing; expiries and deliveries have theirs."""
    text = ACTIVITY.replace("391.3,0,10,O", "391.3,0,10,C;O")

    found = broker.parse("x.csv", text)

    assert [one.opens for one in found.executions] == [True, None, False, True]


def test_a_cancelled_row_takes_back():
    """A row marked Ca or TradeCancel is a cancellation, with the sign that takes its trade back."""
    heading, sold, *_ = FLEX.splitlines()
    cancelled = sold.replace('"SELL"', '"SELL (Ca.)"').replace('"0001.1",""', '"0001.9","Ca"')

    one, two = broker.parse("x.csv", "\n".join((heading, sold, cancelled))).executions

    assert (one.cancels, one.quantity) == (False, -1.0)
    assert (two.cancels, two.quantity) == (True, 1.0)


def test_parts_where_there_are_no_orders():
    """A statement without orders gives its parts, a query without executions its orders."""
    parts = "\n".join(line for line in ACTIVITY.splitlines() if "Data,Order" not in line)
    heading, *rows = FLEX.splitlines()
    orders = "\n".join([heading, *(row for row in rows if "ORDER" in row)])
    sums = orders.replace("ORDER", "SYMBOL_SUMMARY")

    assert [one.contract.name for one in broker.parse("a", parts).executions] == ["560P 2025-06-20"]
    assert [one.contract.name for one in broker.parse("b", orders).executions] == [
        "550P 2025-06-20"
    ]
    none = broker.parse("c", sums)
    assert (none.executions, none.other_levels) == ((), {"SYMBOL_SUMMARY": 1})


def test_a_share_class_and_a_holding_company():
    """``BRK B`` is one symbol in statements and queries; who holds the assets says nothing."""
    text = ACTIVITY.replace("SPY 20JUN25 560 P", "BRK B 20JUN25 560 P", 1).replace(
        "Equity and Index Options", "Equity and Index Options - Held with Interactive Brokers"
    )

    found = broker.parse("x.csv", text)

    assert [one.symbol for one in found.executions] == ["BRK.B", "SPY", "SPY", "BRK.B"]
    stock = FLEX.replace('"STK","SPY"', '"STK","BRK B"')
    assert [one.symbol for one in broker.parse("y.csv", stock).executions][-1] == "BRK.B"


def test_a_decimal_comma():
    """Where columns are parted by semicolons, 1,05 is one and five hundredths."""
    text = "Symbol;Quantity;TradePrice;DateTime;IBCommission\nSPY;-1;1,05;20250519;-1,25\n"

    (one,) = broker.parse("x.csv", text).executions

    assert (one.price, one.commission) == (1.05, 1.25)


def test_rows_can_be_read_again():
    """A row with the line that names its columns reads as it did in its file."""
    for text in (ACTIVITY, FLEX):
        found = broker.parse("x.csv", text)
        for one, row in zip(found.executions, found.rows, strict=True):
            (again,) = broker.parse("x.csv", f"{row.columns}\n{row.text}").executions
            assert again == one


# -- shared cases ------------------------------------------------------------------------------

SHARED = DATA.parent / "cases" / "broker"
PUT = ("XYZ", "50P 2025-12-19", 100)
SPX = ("SPX", "5950P 2026-12-17", 100)
EUROPE = ("ESTX50", "5200P 2025-12-19", 10, "EUR")


@pytest.mark.parametrize(
    ("name", "trades"),
    [
        ("c_", [(*PUT, -1.0, 1.0), (*PUT, 1.0, 0.4)]),
        ("e_", [(*PUT, -1.0, 1.0), ("BRK.B", "500P 2025-12-19", 100, -1.0, 2.75)]),
        ("f_", [(*PUT, -1.0, 1.0), (*PUT, 1.0, 0.4)]),
        ("g_", [(*EUROPE, -2.0, 60.0), (*EUROPE, 2.0, 20.0)]),
        ("h_", [(*PUT, -1.0, 1.0)]),
        ("i_", [(*PUT, -1.0, 1.05), (*PUT, 1.0, 0.4)]),
        ("k_", [("BRK.B", "500P 2025-12-19", 100, "U1", -1.0, 2.75),
                ("BRK.B", "500P 2025-12-19", 100, "U1", 1.0, 0.0),
                ("BRK.B", "shares", 1, "U1", 100.0, 500.0)]),
        ("l_", [(*PUT, "U1", -1.0, 2.75)]),
        ("m_", [(*PUT, "U1", -1.0, 2.75)]),
        ("n_", [(*PUT, "U1", -1.0, 2.75)]),
        ("o_", []),
        ("p_", [(*PUT, "U1", -1.0, 2.75), (*PUT, "U2", 1.0, 2.5)]),
        ("q_", [(*PUT, "U1", -1.0, 2.75), (*PUT, "U1", 1.0, 2.75)]),
        ("r_", [(*PUT, "U1", -1.0, 2.75)]),
        ("u_", [(*SPX, "U1", -1.0, 40.0), (*SPX, "U1", 1.0, 30.0)]),
        ("v_", [("ESTX50", "5200P 2026-12-18", 10, "EUR", "U1", -2.0, 60.0)]),
    ],
)  # fmt: skip
def test_shared_cases(name, trades):
    """Underlying, contract, multiplier, quantity and price of each row; account and currency."""
    files = sorted(SHARED.glob(f"{name}*.csv"))
    if not files:
        pytest.skip(f"no shared cases at {SHARED}")

    found = broker.parse(files[0].name, files[0].read_text(encoding="utf-8"))

    told = [
        {each.symbol, each.contract.name, each.contract.multiplier, each.quantity, each.price,
         each.account, each.currency}
        for each in found.executions
    ]  # fmt: skip
    assert len(told) == len(trades)
    assert [set(wanted) - own for own, wanted in zip(told, trades, strict=True)] == [set()] * len(
        told
    )
