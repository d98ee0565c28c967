"""
Reports that a broker writes of a made-up history: TWS executions, Flex CSV and XML, statements.

Written from the samples in the reference, and without a word of the program's own readers.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from xml.sax.saxutils import quoteattr

import ib_async

from support.broker_histories import History, Row, Terms

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _text(value: float) -> str:
    return f"{Decimal(str(round(value, 6))).normalize():f}"


# -- TWS ---------------------------------------------------------------------------------------


def tws(
    rows: Iterable[Row],
) -> list[tuple[ib_async.Contract, ib_async.Execution, ib_async.CommissionReport]]:
    """What `reqExecutions` answers: exchange trades alone, corrections beside what they correct."""
    answers = []
    for row in rows:
        if row.cancels is not None or row.is_booked:
            continue
        terms = row.terms
        contract = ib_async.Contract(
            secType="OPT" if terms.right else "STK",
            conId=terms.con_id,
            symbol=terms.symbol.replace(".", " "),
            currency=row.currency,
            tradingClass=terms.trading_class,
            multiplier=str(terms.multiplier) if terms.right else "",
            lastTradeDateOrContractMonth=f"{terms.expiry:%Y%m%d}" if terms.expiry else "",
            strike=terms.strike,
            right=terms.right,
            localSymbol=terms.occ if terms.right else terms.symbol,
        )
        execution = ib_async.Execution(
            execId=row.exec_id,
            time=row.at.astimezone(dt.UTC),
            acctNumber=row.account,
            side="BOT" if row.quantity > 0 else "SLD",
            shares=abs(row.quantity),
            price=row.price,
            permId=int(row.order),
        )
        paid = row.commission + (row.replaces.commission if row.replaces else 0.0)
        report = ib_async.CommissionReport(
            execId=row.exec_id, commission=paid, currency=row.currency
        )
        answers.append((contract, execution, report))
    return answers


# -- Flex --------------------------------------------------------------------------------------

_FLEX = {
    "ClientAccountID": "accountId",
    "CurrencyPrimary": "currency",
    "AssetClass": "assetCategory",
    "Symbol": "symbol",
    "Description": "description",
    "Conid": "conid",
    "UnderlyingSymbol": "underlyingSymbol",
    "Multiplier": "multiplier",
    "Strike": "strike",
    "Expiry": "expiry",
    "Put/Call": "putCall",
    "TradeID": "tradeID",
    "TransactionID": "transactionID",
    "OrigTradeID": "origTradeID",
    "OrigTransactionID": "origTransactionID",
    "DateTime": "dateTime",
    "TradeDate": "tradeDate",
    "TransactionType": "transactionType",
    "Quantity": "quantity",
    "TradePrice": "tradePrice",
    "Proceeds": "proceeds",
    "IBCommission": "ibCommission",
    "IBCommissionCurrency": "ibCommissionCurrency",
    "Open/CloseIndicator": "openCloseIndicator",
    "Buy/Sell": "buySell",
    "IBOrderID": "ibOrderID",
    "IBExecID": "ibExecID",
    "Notes/Codes": "notes",
    "LevelOfDetail": "levelOfDetail",
}
"""Columns of the CSV and what the XML calls them."""


def _flex_cells(row: Row) -> dict[str, str]:
    terms = row.terms
    indicator = [code for code in row.codes if code in ("O", "C")]
    notes = [code for code in row.codes if code not in ("O", "C")]
    original = row.cancels
    side = "BUY" if row.quantity > 0 else "SELL"
    if original is not None:
        # A cancelled purchase is still called one, with the quantity that takes it back.
        side = ("BUY" if original.quantity > 0 else "SELL") + " (Ca.)"
    option = terms.occ if terms.right else terms.symbol.replace(".", " ")
    kind = "TradeCancel" if original else "BookTrade" if row.is_booked else "ExchTrade"
    return {
        "ClientAccountID": row.account,
        "CurrencyPrimary": row.currency,
        "AssetClass": "OPT" if terms.right else "STK",
        "Symbol": option,
        "Description": option,
        "Conid": str(terms.con_id),
        "UnderlyingSymbol": terms.symbol.replace(".", " ") if terms.right else "",
        "Multiplier": str(terms.multiplier),
        "Strike": _text(terms.strike) if terms.right else "",
        "Expiry": f"{terms.expiry:%Y%m%d}" if terms.expiry else "",
        "Put/Call": terms.right,
        "TradeID": row.trade_id,
        "TransactionID": row.transaction_id,
        "OrigTradeID": original.trade_id if original else "",
        "OrigTransactionID": original.transaction_id if original else "",
        "DateTime": f"{row.at:%Y%m%d;%H%M%S}",
        "TradeDate": f"{row.at:%Y%m%d}",
        "TransactionType": kind,
        "Quantity": _text(row.quantity),
        "TradePrice": _text(row.price),
        "Proceeds": _text(-row.quantity * row.price * terms.multiplier),
        "IBCommission": _text(-row.commission),
        "IBCommissionCurrency": row.currency,
        "Open/CloseIndicator": ";".join(indicator),
        "Buy/Sell": side,
        "IBOrderID": row.order if original is None else "",
        "IBExecID": row.exec_id,
        "Notes/Codes": ";".join(notes),
        "LevelOfDetail": "EXECUTION",
    }


def flex_csv(rows: Sequence[Row]) -> str:
    """A Flex query of trades as CSV, every cell in quotation marks."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_FLEX), quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_flex_cells, rows))
    return out.getvalue()


def flex_xml(rows: Sequence[Row]) -> str:
    """The same as XML: a statement for each account."""
    accounts = sorted({row.account for row in rows})
    parts = [
        '<FlexQueryResponse queryName="trades" type="AF">',
        f'<FlexStatements count="{len(accounts)}">',
    ]
    for account in accounts:
        parts.append(
            f'<FlexStatement accountId="{account}" fromDate="20250501" toDate="20250829" '
            'period="" whenGenerated="20250830;010101">'
        )
        parts.append("<Trades>")
        for row in rows:
            if row.account == account:
                cells = _flex_cells(row)
                attributes = " ".join(
                    f"{name}={quoteattr(cells[column])}" for column, name in _FLEX.items()
                )
                parts.append(f"<Trade {attributes} />")
        parts += ["</Trades>", "</FlexStatement>"]
    parts += ["</FlexStatements>", "</FlexQueryResponse>"]
    return "\n".join(parts) + "\n"


# -- activity statement ------------------------------------------------------------------------

_ACTIVITY = (
    "Trades", "Header", "DataDiscriminator", "Asset Category", "Currency", "Account", "Symbol",
    "Date/Time", "Quantity", "T. Price", "C. Price", "Proceeds", "Comm/Fee", "Basis",
    "Realized P/L", "MTM P/L", "Code",
)  # fmt: skip


def _statement_name(terms: Terms) -> str:
    if not terms.right:
        return terms.symbol.replace(".", " ")
    day = terms.expiry
    assert day is not None
    words = f"{day.day:02d}{_MONTHS[day.month - 1]}{day:%y}"
    return f"{terms.trading_class} {words} {_text(terms.strike)} {terms.right}"


def activity(rows: Sequence[Row]) -> str:
    """An activity statement: a row per order and contract, its executions are not told."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("Statement", "Header", "Field Name", "Field Value"))
    writer.writerow(("Statement", "Data", "Title", "Activity Statement"))
    several = len({row.account for row in rows}) > 1
    if not several and rows:
        writer.writerow(("Account Information", "Header", "Field Name", "Field Value"))
        writer.writerow(("Account Information", "Data", "Account", rows[0].account))
        writer.writerow(("Account Information", "Data", "Base Currency", "USD"))

    def write(cells: Sequence[str]) -> None:
        writer.writerow([cell for n, cell in enumerate(cells) if several or n != 5])

    write(_ACTIVITY)
    by_order: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        name = (row.account, row.order, row.terms.con_id, row.quantity > 0, row.codes,
                row.at.date())  # fmt: skip
        by_order.setdefault(name, []).append(row)
    for parts in by_order.values():
        first = parts[0]
        # A row of an order has the time of its first execution, whatever its leg.
        at = min(row.at for row in rows if row.order == first.order and row.codes != ("Ca",))
        if first.cancels is not None or first.is_booked:
            at = first.at
        size = sum(row.quantity for row in parts)
        value = sum(row.quantity * row.price for row in parts)
        write((
            "Trades", "Data", "Order",
            "Equity and Index Options" if first.terms.right else "Stocks",
            first.currency, first.account, _statement_name(first.terms), f"{at:%Y-%m-%d, %H:%M:%S}",
            f"{size:,.10g}", _text(value / size), "", _text(-value * first.terms.multiplier),
            _text(-sum(row.commission for row in parts)), "", "", "", ";".join(first.codes),
        ))  # fmt: skip
    return out.getvalue()


# -- files -------------------------------------------------------------------------------------


def windows(rng: random.Random, made: History) -> list[list[Row]]:
    """Rows as files of periods that overlap, in any order; together they have all of them."""
    rows = made.rows
    if not rows:
        return []
    days = sorted({row.at.date() for row in rows})
    cuts = sorted(rng.sample(days, min(len(days), rng.randint(0, 3))))
    edges = [days[0], *cuts, days[-1] + dt.timedelta(days=1)]
    files = []
    for first, last in pairwise(edges):
        overlap = dt.timedelta(days=rng.choice([0, 0, 3, 20]))
        period = [row for row in rows if first - overlap <= row.at.date() < last + overlap]
        if period:
            files.append(period)
    rng.shuffle(files)
    return files
