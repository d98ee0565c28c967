"""What lies within the life of a trade: earnings, ex-dividends, and what only the options know."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from tomic.models import TradeEvent, Underlying
from tomic.strategies.candidates import expiry_of
from tomic.strategies.pricing.term import PricedEvent, in_words

if TYPE_CHECKING:
    from tomic.strategies.search import Hit


def of_trade(hit: Hit) -> tuple[TradeEvent, ...]:
    """
    Every event from today to the last expiry of a trade, in order of date.

    Earnings without a date are among them, unless the underlying is known to have none: they may
    come at any time.
    """
    found, last = [*_earnings(hit), *_ex_dividend(hit)], _last(hit)
    found += [
        _priced(event) for event in hit.board.events if not event.is_dated and event.by <= last
    ]
    return tuple(sorted(found, key=lambda event: event.date or dt.date.max))


def _last(hit: Hit) -> dt.date:
    return hit.expiries[1] or hit.expiries[0]


def _earnings(hit: Hit) -> list[TradeEvent]:
    board = hit.board
    day = board.vol.next_earnings
    if day is None or day < board.today:
        text = _unknown(board.chain.underlying)
        return [TradeEvent(kind="earnings_unknown", text=text)] if text else []
    if day > _last(hit):
        return []
    priced = next((event for event in board.events if event.is_dated), None)
    move = priced.jump.move if priced is not None and priced.is_priced else None
    text = f"earnings {in_words(day)}"
    if move is not None:
        text += f": ±{move:.0%}"
    elif priced is not None:
        text += ", no jump is priced"
    return [TradeEvent(kind="earnings", date=day, move=move, text=text)]


def _unknown(underlying: Underlying) -> str:
    """What is not known of the next report; empty where there is none to come."""
    if underlying.reports_earnings is False:
        return ""
    if underlying.reports_earnings is None:
        return f"no earnings date is known, nor whether {underlying.symbol} is a fund"
    return "no earnings date is known"


def _priced(event: PricedEvent) -> TradeEvent:
    move = event.jump.move
    text = f"an event is priced {event.when}: ±{move:.0%}"
    return TradeEvent(kind="priced", date=event.by, move=move, text=text)


def _ex_dividend(hit: Hit) -> list[TradeEvent]:
    board = hit.board
    day, amount = board.vol.next_dividend, board.vol.dividend_amount
    if day is None or not board.today < day <= _last(hit) or board.chain.underlying.is_future:
        return []
    paid = f", {amount:.2f} a share" if amount is not None else ""
    text = "; ".join([f"ex-dividend {in_words(day)}{paid}", *_assignments(hit, day, amount)])
    return [TradeEvent(kind="ex_dividend", date=day, text=text)]


def _assignments(hit: Hit, day: dt.date, amount: float | None) -> list[str]:
    """
    Short calls that may be exercised for the dividend: in the money, or within one sigma of it.

    Whoever holds a call in the money takes the shares on the day before when the dividend is more
    than its time value.
    """
    board, today = hit.board, hit.board.today
    if amount is None or not board.chain.is_american:
        return []
    texts = []
    for leg, row in zip(hit.template.legs, hit.rows, strict=True):
        expiry = expiry_of(leg, hit.expiries)
        strike, price = float(board.strike[row]), float(board.price[row])
        sigma = board.outlooks[expiry].atm_iv * math.sqrt((day - today).days / 365.0)
        is_near = strike < board.spot * math.exp(sigma)
        if leg.right != "C" or leg.quantity >= 0 or expiry < day or not is_near:
            continue
        time_value = max(price - max(board.spot - strike, 0.0), 0.0)
        compared = f"short {strike:g}C has a time value of {time_value:.2f}"
        if strike >= board.spot:
            texts.append(f"{compared}, assigned if in the money with less than {amount:.2f} left")
        elif time_value < amount:
            texts.append(f"{compared}, less than the dividend: assignment the day before is likely")
        else:
            texts.append(f"{compared}, more than the dividend: assignment once that is gone")
    return texts
