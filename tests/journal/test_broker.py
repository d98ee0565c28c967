"""Trades in a broker's CSV files."""

from __future__ import annotations

import datetime as dt

import pytest

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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no trades in it; it can be an activity statement"),
        ("a,b\n1,2\n", "no trades in it"),
        ("Symbol,Quantity,TradePrice,DateTime\nSPY,x,5,20250519\n", "x.csv:2: quantity 'x' is no"),
        (
            "Symbol,Quantity,TradePrice,DateTime\nSPY,1,,20250519\n",
            "x.csv:2: tradeprice is missing",
        ),
        ("Symbol,Quantity,TradePrice,DateTime\nSPY,1,5,yesterday\n", "'yesterday' is no time"),
        ("Symbol,Quantity,TradePrice,DateTime\nSPY,1,5,20251319\n", "'20251319' is no time"),
        ("Symbol,Quantity,TradePrice,DateTime\n;,1,5,20250519\n", "';' is not a ticker symbol"),
        (ACTIVITY.replace("SPY 20JUN25 560 P", "SPY PUT"), "'SPY PUT' is no option such as"),
        (ACTIVITY.replace("20JUN25", "40JUN25"), "'40JUN25' is no expiry"),
        (FLEX.replace('"560"', '"-1"', 1), "x.csv:2: -1P 2025-06-20 is no option"),
    ],
)
def test_broken_files_name_the_line(text, message):
    """What cannot be read is named with its file and line."""
    with pytest.raises(BadFile, match=message):
        broker.parse("x.csv", text)
