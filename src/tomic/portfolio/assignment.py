"""Short options that may well be exercised: before a dividend, deep in the money, at expiry."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tomic.models.book import Book
from tomic.models.review import AssignmentRisk
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.lines import BookLine

_AT_THE_END_DAYS = 2
_PIN = 0.005
"""Share of spot around the strike within which an expiring short option may go either way."""


def risks(
    rows: Sequence[ExposureRow], names: Sequence[str], book: Book, *, itm_share: float
) -> tuple[AssignmentRisk, ...]:
    """
    Short American options with a reason to be exercised; index options have none before expiry.

    Args:
        names: Of the structures, by the group of a row.
        itm_share: In the money by this share of spot counts as deep.
    """
    result = []
    for row in rows:
        line, position = row.line, row.line.position
        short = position.is_option and row.quantity < 0.0 and line.is_american
        if not short or math.isnan(line.spot) or position.is_adjusted or line.tau == 0.0:
            continue
        risk = (
            _before_dividend(row, names[row.group], book)
            or _at_expiry(row, names[row.group], book)
            or _deep(row, names[row.group], itm_share)
        )
        if risk is not None:
            result.append(risk)
    return tuple(result)


def _intrinsic(line: BookLine) -> float:
    """What exercise pays, currency per share; negative out of the money."""
    gap = line.spot - line.strike
    return gap if line.position.right == "C" else -gap


def _time_value(line: BookLine) -> float | None:
    value = line.value - max(_intrinsic(line), 0.0)
    return None if math.isnan(value) else max(value, 0.0)


def _before_dividend(row: ExposureRow, name: str, book: Book) -> AssignmentRisk | None:
    """A short call in the money whose time value is less than the dividend its holder would get."""
    line, position = row.line, row.line.position
    market = book.markets.get(position.symbol)
    day = market.next_dividend if market else None
    amount = market.dividend_amount if market else None
    left = _time_value(line)
    if position.right != "C" or day is None or amount is None or position.expiry is None:
        return None
    in_time = book.today < day <= position.expiry
    if not in_time or _intrinsic(line) <= 0.0 or left is None or left >= amount:
        return None
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="dividend",
        time_value=left,
        dividend=amount,
        day=day,
        message=f"time value {left:.2f} is less than the dividend {amount:.2f}, ex on {day}",
    )


def _at_expiry(row: ExposureRow, name: str, book: Book) -> AssignmentRisk | None:
    line, position = row.line, row.line.position
    if position.expiry is None:
        return None
    days = (position.expiry - book.today).days
    if days > _AT_THE_END_DAYS or _intrinsic(line) < -_PIN * line.spot:
        return None
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="expiry",
        time_value=_time_value(line),
        day=position.expiry,
        message=f"{_place(line)} with {_span(days)} left",
    )


def _deep(row: ExposureRow, name: str, itm_share: float) -> AssignmentRisk | None:
    line, position = row.line, row.line.position
    share = _intrinsic(line) / line.spot
    if share < itm_share:
        return None
    left = _time_value(line)
    words = "time value unknown" if left is None else f"time value {left:.2f}"
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="deep_in_the_money",
        time_value=left,
        day=position.expiry,
        message=f"{share:.1%} in the money, {words}",
    )


def _place(line: BookLine) -> str:
    inside = _intrinsic(line)
    where = "in" if inside > 0.0 else "out of"
    return f"{abs(inside):.2f} {where} the money"


def _span(days: int) -> str:
    return "no day" if days == 0 else "1 day" if days == 1 else f"{days} days"
