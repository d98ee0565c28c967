"""
Columns of a Flex query that has no column headers, by the type of their values.

A section code says that the rows are trades; which column is what shows in the values: only one has
symbols of options, and only one quantity and one price give the proceeds. Where anything of this is
not certain, nothing is read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from tomic.journal.broker import cells
from tomic.journal.broker.cells import Habits, Refused

TRADES = "TRNT"
"""Section code of trades."""
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d+)?", re.ASCII)
_EXEC_ID = re.compile(r"[0-9a-f]{6,8}\.[0-9a-f]{6,8}\.\d\d\.\d\d", re.ASCII)
_ACCOUNT = re.compile(r"D?[UFI][A-Z]?\d{3,}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_WORDS = {
    "levelofdetail": {"EXECUTION", "ORDER", "CLOSED_LOT", "SYMBOL_SUMMARY", "ASSET_SUMMARY"},
    "assetclass": {"STK", "OPT", "FUT", "FOP", "CASH", "BOND", "BILL", "CFD", "WAR", "FUND"},
    "buysell": {"BUY", "SELL", "BUY (Ca.)", "SELL (Ca.)"},
    "transactiontype": {"ExchTrade", "BookTrade", "TradeCancel", "TradeCorrect", "FracShare"},
}
_EXACT = 0.005
"""Proceeds are rounded to the cent."""


def columns_of(rows: Sequence[Sequence[str]], first: int) -> dict[str, int] | None:
    """
    Places of columns, from *first* on; None where the rows do not tell them for certain.

    Contract and transaction ids are whole numbers as many others are, and stay unknown.
    """
    width = min(map(len, rows), default=0)
    values = {at: [row[at].strip() for row in rows] for at in range(first, width)}
    columns: dict[str, int] = {}
    for name, words in _WORDS.items():
        _first(columns, name, values, words.__contains__)
    _first(columns, "currencyprimary", values, _is_currency)
    _first(columns, "clientaccountid", values, lambda text: _ACCOUNT.fullmatch(text) is not None)
    _first(
        columns, "ibexecid", values, lambda text: _EXEC_ID.fullmatch(text) is not None, some=True
    )
    _first(columns, "datetime", values, _is_moment)
    _first(columns, "symbol", values, lambda text: cells.option_name(text) is not None, some=True)
    if columns.get("currencyprimary", width) > columns.get("symbol", 0):
        # Behind the contract stands the currency of the commission.
        columns.pop("currencyprimary", None)
    _opens(columns, values)
    _amounts(columns, values)
    needed = {"symbol", "datetime", "quantity", "tradeprice", "currencyprimary", "buysell"}
    return columns if needed <= columns.keys() else None


def _first(
    columns: dict[str, int],
    name: str,
    values: dict[int, list[str]],
    fits: Callable[[str], bool],
    *,
    some: bool = False,
) -> None:
    """The first column of which all values fit; *some* may be empty or of another kind."""
    for at, column in values.items():
        if at in columns.values():
            continue
        given = [text for text in column if text]
        if given and (len(given) == len(column) or some) and all(map(fits, given)):
            columns[name] = at
            return


def _is_currency(text: str) -> bool:
    return _CURRENCY.fullmatch(text) is not None and text not in _WORDS["assetclass"]


def _is_moment(text: str) -> bool:
    habits = Habits()
    try:
        return habits.has_time(text) and not text.isdecimal() and habits.moment(text).year > 1990
    except Refused:
        return False


def _opens(columns: dict[str, int], values: dict[int, list[str]]) -> None:
    """Open and close: not the column of puts and calls, whose letters the symbols have."""
    for at, column in values.items():
        given = {text for text in column if text}
        if given and given <= {"O", "C", "C;O", "-"} and at not in columns.values():
            rights = [cells.option_name(text) for text in values.get(columns.get("symbol", -1), [])]
            told = ["" if name is None else name.right for name in rights]
            if column != told:
                columns["opencloseindicator"] = at
                return


def _amounts(columns: dict[str, int], values: dict[int, list[str]]) -> None:
    """Quantity, price and proceeds are the one triple that fits in every row; then commissions."""
    if "buysell" not in columns:
        return
    sides = [-1.0 if text.startswith("SELL") else 1.0 for text in values[columns["buysell"]]]
    numbers = {
        at: [float(text) for text in column]
        for at, column in values.items()
        if at not in columns.values() and all(_NUMBER.fullmatch(text) for text in column)
    }
    fitting = [
        (quantity, price, proceeds)
        for quantity, price, proceeds in itertools.permutations(numbers, 3)
        if _fits(numbers[quantity], numbers[price], numbers[proceeds], sides)
    ]
    if len(fitting) != 1:
        return
    columns["quantity"], columns["tradeprice"], columns["proceeds"] = fitting[0]
    proceeds = numbers[columns["proceeds"]]
    paid = [
        cost
        for cost, net in itertools.permutations(numbers.keys() - set(fitting[0]), 2)
        if any(numbers[cost])
        and all(
            abs(got + fee - left) < _EXACT
            for got, fee, left in zip(proceeds, numbers[cost], numbers[net], strict=True)
        )
    ]
    if len(paid) == 1:
        columns["ibcommission"] = paid[0]


def _fits(
    quantity: Sequence[float],
    price: Sequence[float],
    proceeds: Sequence[float],
    sides: Sequence[float],
) -> bool:
    """Whether these are quantity, price and proceeds, with one whole multiplier."""
    ratios: set[int] = set()
    for amount, paid, got, side in zip(quantity, price, proceeds, sides, strict=True):
        if amount * side <= 0.0 or paid < 0.0:
            return False
        if paid == 0.0:
            if got:
                return False
            continue
        ratio = -got / (amount * paid)
        if ratio < 0.5 or abs(ratio - round(ratio)) > _EXACT:
            return False
        ratios.add(round(ratio))
    # A multiplier of 1 has every product; shares stand beside options at times.
    return bool(ratios - {1}) and len(ratios - {1}) == 1
