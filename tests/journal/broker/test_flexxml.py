"""Flex queries as XML: rows by attributes, and documents that are not to be trusted."""

from __future__ import annotations

import pytest

from tomic.errors import BadFile
from tomic.journal import broker
from tomic.journal.broker import flexxml
from tomic.models.journal import CashKind, ChangeKind

OPTION = (
    'currency="USD" assetCategory="OPT" symbol="XYZ   251219P00050000" conid="12" '
    'underlyingSymbol="XYZ" multiplier="100" strike="50" expiry="20251219" putCall="P"'
)
TRADE = (
    f'<Trade {OPTION} tradeID="910" dateTime="20251103;100000" transactionType="ExchTrade" '
    'quantity="-2" tradePrice="1" proceeds="200" ibCommission="-2" ibCommissionCurrency="USD" '
    'openCloseIndicator="O" notes="P" buySell="SELL" ibOrderID="78" transactionID="1001" '
    'ibExecID="0000e0d5.69087a01.01.01" levelOfDetail="EXECUTION" someNewThing="&lt;yes&gt;"/>'
)

END = "</FlexStatements>"


def query(*statements: str, account: str = "U1234567") -> str:
    own = "".join(
        f'<FlexStatement accountId="{account}" fromDate="20251101" toDate="20251231">\n{text}\n'
        "</FlexStatement>\n"
        for text in statements
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<FlexQueryResponse queryName="q" type="AF">\n'
        f'<FlexStatements count="{len(statements)}">\n{own}{END}\n</FlexQueryResponse>\n'
    )


def test_a_trade():
    """Its attributes give all that a CSV's columns do; those nobody knows are skipped."""
    (sold,) = broker.parse("x.xml", query(f"<Trades>{TRADE}</Trades>")).executions

    assert (sold.account, sold.symbol, sold.contract.name) == ("U1234567", "XYZ", "50P 2025-12-19")
    assert (sold.quantity, sold.price, sold.commission, sold.currency) == (-2.0, 1.0, 2.0, "USD")
    assert (sold.exec_id, sold.order) == ("0000e0d5.69087a01.01.01", "78")
    assert (sold.trade_id, sold.transaction_id, sold.opens) == ("910", "1001", True)
    assert sold.at.isoformat() == "2025-11-03T10:00:00-05:00"


def test_rows_that_repeat_others():
    """Elements of other levels are counted by what they are; what two sections tell counts once."""
    confirm = (
        TRADE.replace("<Trade ", "<TradeConfirm ").replace("ibExecID", "execID")
        .replace("ibOrderID", "orderID").replace("tradePrice", "price")
        .replace("ibCommission=", "commission=").replace("notes=", "code=")
    )  # fmt: skip
    rows = (
        f'<SymbolSummary {OPTION} quantity="-2" tradePrice="1"/>',
        f'<Order {OPTION} quantity="-2" tradePrice="1" ibOrderID="78" levelOfDetail="ORDER"/>',
        TRADE,
        f'<Lot {OPTION} quantity="2" openDateTime="20251103"/>',
        f'<Trade {OPTION} quantity="2" levelOfDetail="CLOSED_LOT"/>',
        f'<WashSale {OPTION} quantity="2"/>',
    )

    found = broker.parse(
        "x.xml", query(f"<Trades>{''.join(rows)}</Trades><TradeConfirms>{confirm}</TradeConfirms>")
    )

    assert len(found.executions) == 1
    assert found.other_levels == {
        "SYMBOL_SUMMARY": 1, "ORDER": 1, "CLOSED_LOT": 2, "WASH_SALE": 1, "told twice": 1,
    }  # fmt: skip
    assert found.odd == ()


def test_orders_alone():
    """A query at level Order is read by its orders."""
    order = TRADE.replace("<Trade ", "<Order ").replace("EXECUTION", "ORDER")

    assert len(broker.parse("x", query(f"<Trades>{order}</Trades>")).executions) == 1


def test_trade_confirmations_alone():
    """They have names of their own for price, order, commission and codes."""
    confirm = (
        f'<TradeConfirm {OPTION} tradeID="910" orderID="78" execID="x.01" quantity="-2" price="1" '
        'dateTime="20251103;100000" amount="-200" proceeds="200" commission="-2" code="O;P" '
        'commissionCurrency="USD" buySell="SELL" levelOfDetail="EXECUTION"/>'
    )

    (sold,) = broker.parse("x", query(f"<TradeConfirms>{confirm}</TradeConfirms>")).executions

    assert (sold.exec_id, sold.order, sold.price, sold.commission) == ("x.01", "78", 1.0, 2.0)
    assert sold.opens is True


def test_two_accounts():
    """Each statement is of one account, which its rows need not repeat."""
    trade = TRADE.replace("910", "911").replace(".01.01", ".02.01")
    other = query(f"<Trades>{trade}</Trades>", account="U7654321")
    second = other[other.index("<FlexStatement ") : other.index(END)]

    text = query(f"<Trades>{TRADE}</Trades>").replace(END, f"{second}{END}")

    assert [each.account for each in broker.parse("x", text).executions] == ["U1234567", "U7654321"]


def test_all_sections():
    """Settlements, dividends and splits are read, the rest is counted."""
    found = broker.parse(
        "x",
        query(
            f"<Trades>{TRADE}</Trades>",
            f'<OptionEAE><OptionEAE {OPTION} date="20251219" transactionType="Assignment" '
            'quantity="2" tradePrice="0" proceeds="0" tradeID="914"/>'
            f'<OptionEAE {OPTION} date="20251219" transactionType="Cash Settlement" quantity="0" '
            'tradePrice="0" proceeds="-300" tradeID="915"/></OptionEAE>',
            '<CashTransactions><CashTransaction currency="USD" assetCategory="STK" symbol="XYZ" '
            'dateTime="20251222" amount="50" type="Payment In Lieu Of Dividends" '
            'transactionID="5001" levelOfDetail="DETAIL"/><CashTransaction currency="USD" '
            'symbol="XYZ" dateTime="" amount="50" type="Dividends" levelOfDetail="SUMMARY"/>'
            "</CashTransactions>",
            '<CorporateActions><CorporateAction assetCategory="STK" symbol="XYZ" conid="99" '
            'dateTime="20251229;202500" actionDescription="XYZ(US1) SPLIT 1 FOR 8 (XYZ, N, US1)" '
            'type="RS" quantity="-70" amount="0" transactionID="6001"/></CorporateActions>',
            '<Transfers><Transfer assetCategory="STK" symbol="ACME" date="20260102" quantity="5" '
            'type="INTERNAL" transferPrice="0"/></Transfers>',
            '<OpenPositions><OpenPosition assetCategory="STK" symbol="ACME" position="10" '
            'markPrice="110" levelOfDetail="SUMMARY"/></OpenPositions>',
            "<ConversionRates/>",
        ),
    )

    assert len(found.executions) == 2
    settled, in_lieu = found.cash_flows
    assert (settled.kind, settled.amount, settled.trade_id) == (
        CashKind.SETTLEMENT, -300.0, "914",
    )  # fmt: skip
    assert (in_lieu.kind, in_lieu.id) == (CashKind.IN_LIEU, "5001")
    (split,) = found.contract_changes
    assert (split.kind, split.symbol, split.ratio) == (ChangeKind.SPLIT, "XYZ", 0.125)
    assert found.other_rows == {"Transfers": 1, "OpenPositions": 1}


def test_the_multiplier_of_securities_info():
    """A trade without one has that of its contract id."""
    trade = TRADE.replace('multiplier="100" ', "").replace('proceeds="200"', "")
    info = '<SecuritiesInfo><SecurityInfo conid="12" symbol="x" multiplier="10"/></SecuritiesInfo>'

    (sold,) = broker.parse("x", query(f"<Trades>{trade}</Trades>{info}")).executions

    assert (sold.contract.multiplier, sold.lacks_multiplier) == (10, False)


def test_a_period_without_trades():
    """It is no error: nothing was traded, and that is said."""
    found = broker.parse("x", query("<Trades/>"))

    assert (found.executions, found.notes) == ((), ("no rows in this query's period",))


def test_an_odd_row_costs_no_other():
    """It is kept with line, reason and the elements around it, and can be read again."""
    odd = TRADE.replace('tradePrice="1"', 'tradePrice="many"').replace("910", "9 &amp; 11")

    found = broker.parse("x", query(f"<Trades>\n{odd}\n{TRADE}\n</Trades>"))

    (kept,) = found.odd
    assert (len(found.executions), kept.line) == (1, 6)
    assert "tradeprice 'many' is no number" in kept.reason
    again = broker.read_again(kept.columns, [kept.text, kept.text.replace("many", "1")])
    assert (again.odd[0].line, again.rows[0].line) == (1, 2)
    assert again.executions[0].trade_id == "9 & 11"
    assert again.executions[0].account == "U1234567"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (query(f"<Trades>{TRADE}</Trades>")[:-60], "cut off or changed, download it again"),
        (query(f"<Trades>{TRADE[:-30]}</Trades>"), "line 5: .*cut off or changed"),
        ("<html><body>Sorry</body></html>", "a page, no Flex query"),
        ("<!DOCTYPE html>\n<html><br></html>", "this is a page, no Flex query"),
        ("<html><br></html>", "a page, no Flex query"),
        ("<ofx/>", "XML of another kind .it begins with ofx"),
        ("<FlexQueryResponse/>", "begins with FlexQueryResponse"),
        ("<FlexStatementResponse><Status>Warn</Status><ErrorCode>1019</ErrorCode>"
         "<ErrorMessage>Not yet</ErrorMessage></FlexStatementResponse>",
         "an answer of the Flex Web Service: Warn 1019 Not yet"),
        ("<a>" * 100, "deeper or longer"),
        ("<", "x.xml: line 1"),
    ],
)  # fmt: skip
def test_what_is_no_query(text, message):
    """Each is named for what it is."""
    with pytest.raises(BadFile, match=message):
        broker.parse("x.xml", text)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    ],
)
def test_no_document_defines_anything(declared):
    """Neither files nor addresses are opened, nor is anything multiplied."""
    text = query(f"<Trades>{TRADE.replace('910', '&e;')}</Trades>").replace(
        "<FlexQueryResponse", f"{declared}<FlexQueryResponse"
    )

    with pytest.raises(BadFile, match="it has a document type, which no Flex query has"):
        broker.parse("x.xml", text)


def test_answers_of_the_service():
    """By the names of their elements."""
    told = flexxml.answer(
        '<FlexStatementResponse timestamp="x"><Status>Success</Status>'
        "<ReferenceCode>123</ReferenceCode><url>https://a/b?c&amp;d</url></FlexStatementResponse>"
    )

    assert told == {"status": "Success", "referencecode": "123", "url": "https://a/b?c&d"}
    with pytest.raises(BadFile):
        flexxml.answer(query("<Trades/>"))
