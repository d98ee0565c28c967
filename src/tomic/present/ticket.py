"""
A ticket in the forms that other programs read, and as one types it. Nothing is sent.

What TWS's BasketTrader writes for a combination is not documented, and its rows are orders of their
own: a file for it would offer the legs one by one. The file here is for the What-If of the Risk
Navigator, which trades nothing.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tomic import dates
from tomic.legs import MONTHS
from tomic.models import INDEX_CLASSES, Ticket, TicketLeg, split_symbol
from tomic.models.documents import to_document
from tomic.present.forms import to_csv

WHAT_IF_COLUMNS = (
    "Action", "Quantity", "Symbol", "SecType", "LastTradingDayOrContractMonth", "Strike", "Right",
    "Exchange", "Currency",
)  # fmt: skip
"""Of a file that the What-If of TWS's Risk Navigator imports, in its order."""
_PAGES = {
    "short_put_spread": "bull-put-spread",
    "short_call_spread": "bear-call-spread",
    "iron_condor": "iron-condor",
    "short_strangle": "short-strangle",
    "covered_call": "covered-call",
}
"""OptionStrat's page by strategy; others are shown on the page of any legs, ``custom``."""
_RIGHTS: Mapping[str, str] = {"C": "CALL", "P": "PUT"}
_FLY, _CONDOR = (1, -2, 1), (1, -1, -1, 1)
"""Contracts over ascending strikes, in multiples of those of the lowest."""


class TicketLine(NamedTuple):
    """A ticket in one line for another program; empty where there is none, and why."""

    text: str = ""
    why_none: str = ""


# -- TWS, Risk Navigator -------------------------------------------------------------------


def what_if_csv(ticket: Ticket) -> str:
    """A row per leg, all units, for *Import* in the What-If of TWS's Risk Navigator."""
    rows = [
        {
            "Action": "BUY" if leg.quantity > 0 else "SELL",
            "Quantity": abs(leg.quantity) * ticket.quantity,
            "Symbol": _ticker(leg.symbol).replace(".", " "),
            "SecType": leg.sec_type,
            "LastTradingDayOrContractMonth": _last_day(leg),
            "Strike": "" if leg.strike is None else f"{leg.strike:.10g}",
            "Right": leg.right or "",
            "Exchange": leg.exchange,
            "Currency": leg.currency,
        }
        for leg in ticket.legs
    ]
    return to_csv(rows, WHAT_IF_COLUMNS)


def what_if_notes(ticket: Ticket) -> tuple[str, ...]:
    """What the file cannot say, in sentences for who imports it."""
    notes = [
        "the file is for the What-If of TWS's Risk Navigator, which trades nothing: do not place "
        "its legs one by one"
    ]
    classes = {leg.trading_class for leg in ticket.options if leg.trading_class}
    if any(name in INDEX_CLASSES for name in classes):
        notes.append(f"it cannot name the class ({', '.join(sorted(classes))}); check it in TWS")
    odd = {leg.multiplier for leg in ticket.options} - {100}
    if odd:
        sizes = ", ".join(f"{size}" for size in sorted(odd))
        notes.append(f"it cannot name the multiplier ({sizes}); check it in TWS")
    if ticket.currency != "USD":
        notes.append("its exchange is SMART; name the one of the options where TWS asks for it")
    return tuple(notes)


def _last_day(leg: TicketLeg) -> str:
    if leg.expiry is None:
        return ""
    day = dates.last_trading_day(leg.expiry, trading_class=leg.trading_class, symbol=leg.symbol)
    return f"{day:%Y%m%d}"


def _ticker(symbol: str) -> str:
    return split_symbol(symbol)[0]


# -- OptionStrat ---------------------------------------------------------------------------


def optionstrat(ticket: Ticket) -> TicketLine:
    """The page of OptionStrat that shows what the ticket opens; for American options."""
    if ticket.kind != "open":
        return TicketLine(why_none="OptionStrat shows a position, and this order changes one")
    if ticket.currency != "USD" or any(leg.sec_type == "FOP" for leg in ticket.legs):
        return TicketLine(why_none="OptionStrat knows options on American shares and indices only")
    page = _PAGES.get(ticket.strategy, "custom")
    legs = ",".join(_optionstrat_leg(leg, ticket.quantity) for leg in ticket.legs)
    under = _ticker(ticket.symbol).replace(".", "%2F")
    return TicketLine(f"https://optionstrat.com/build/{page}/{under}/{legs}")


def _optionstrat_leg(leg: TicketLeg, units: int) -> str:
    sign = "-" if leg.quantity < 0 else ""
    count = abs(leg.quantity) * units
    price = "" if leg.price is None else f"@{leg.price:.2f}"
    root = (leg.trading_class or _ticker(leg.symbol)).replace(".", "").replace(" ", "")
    if leg.expiry is None:
        return f"{sign}{root}x{count}{price}"
    times = f"x{count}" if count > 1 else ""
    return f"{sign}.{root}{_settled(leg):%y%m%d}{leg.right}{leg.strike:.10g}{times}{price}"


def _settled(leg: TicketLeg) -> dt.date:
    """The day that names it outside IB: of its settlement, as in the symbols of OCC."""
    assert leg.expiry is not None
    return dates.settlement_day(
        leg.expiry, trading_class=leg.trading_class, symbol=_ticker(leg.symbol)
    )


# -- thinkorswim ---------------------------------------------------------------------------


class _Spread(NamedTuple):
    """How thinkorswim names a combination: its name, and its legs in their order."""

    name: str
    legs: Sequence[TicketLeg]
    rights: str
    units: int
    """Signed: bought > 0."""


def thinkorswim(ticket: Ticket) -> TicketLine:
    """
    The line that thinkorswim reads from the clipboard as an order; it is not documented.

    Every form was seen in public: single options, verticals, butterflies, strangles and iron
    condors have a name, others state each leg with its sign.
    """
    if ticket.currency != "USD" or any(leg.sec_type == "FOP" for leg in ticket.legs):
        return TicketLine(
            why_none="thinkorswim's line is known for options on American shares only"
        )
    if ticket.shares:
        return TicketLine(why_none="thinkorswim's line is not known for trades with shares")
    if ticket.multiplier != 100:
        return TicketLine(why_none="thinkorswim's line is known for contracts of 100 shares only")
    spread = _named(ticket) or _custom(ticket)
    side = "BUY" if spread.units > 0 else "SELL"
    # Both pay the same: a debit to buy, a credit to sell; what is the other way is negative.
    price = ticket.price
    limit = "" if price is None else f" @{-price if spread.units > 0 else price:.2f} LMT"
    days = "/".join(dict.fromkeys(_worded(leg) for leg in spread.legs))
    if spread.name.endswith("CUSTOM"):
        days = "/".join(_worded(leg) for leg in spread.legs)
    strikes = "/".join(_strikes(spread))
    weekly = "" if all(map(_is_monthly, spread.legs)) else " (Weeklys)"
    name = f"{spread.name} " if spread.name else ""
    under = _ticker(ticket.symbol).replace(".", "/")
    return TicketLine(
        f"{side} {spread.units * ticket.quantity:+d} {name}{under} 100{weekly} {days} {strikes} "
        f"{spread.rights}{limit}"
    )


def _strikes(spread: _Spread) -> list[str]:
    return [f"{leg.strike:.10g}" for leg in spread.legs]


def _worded(leg: TicketLeg) -> str:
    """The day as thinkorswim writes it: ``18 DEC 26``, with [AM] where the opening settles it."""
    day = _settled(leg)
    named = {"trading_class": leg.trading_class, "symbol": _ticker(leg.symbol)}
    at_open = dates.settles_at_open(**named) and leg.symbol != "VIX"
    month = MONTHS[day.month - 1]
    return f"{day.day} {month} {day:%y}{' [AM]' if at_open else ''}"


def _is_monthly(leg: TicketLeg) -> bool:
    """Whether it is a standard monthly; those of the weekly classes of an index never are."""
    terms = INDEX_CLASSES.get(leg.trading_class)
    if terms is not None and terms.symbol != leg.trading_class:
        return False
    day = _settled(leg)
    friday = dates.third_friday(day.year, day.month)
    listed = () if dates.is_holiday(friday) else (friday,)
    return dates.is_monthly(day, listed, trading_class=leg.trading_class)


def _named(ticket: Ticket) -> _Spread | None:
    """The combination under a name of thinkorswim's; None where it has none that is certain."""
    legs = sorted(ticket.options, key=lambda leg: leg.strike or 0.0)
    if len({leg.expiry for leg in legs}) != 1 or ticket.kind == "roll":
        return None
    counts = [leg.quantity for leg in legs]
    rights = "".join(leg.right or "" for leg in legs)
    if len(legs) == 1:
        return _Spread("", legs, _RIGHTS[rights], counts[0])
    if len(set(rights)) == 1:
        return _of_one_right(legs, counts, _RIGHTS[rights[0]])
    return _of_both_rights(legs, counts, rights)


def _of_one_right(legs: list[TicketLeg], counts: list[int], right: str) -> _Spread | None:
    if counts == [counts[0], -counts[0]]:
        # Bought first where the spread is a debit: the lower call, or the higher put.
        first = 0 if right == "CALL" else 1
        ordered = [legs[first], legs[1 - first]]
        return _Spread("VERTICAL", ordered, right, ordered[0].quantity)
    if len(legs) == len(_FLY) and counts == [side * counts[0] for side in _FLY]:
        low, middle, high = (leg.strike or 0.0 for leg in legs)
        if math.isclose(low + high, 2.0 * middle):
            return _Spread("BUTTERFLY", legs, right, counts[0])
    return None


def _of_both_rights(legs: list[TicketLeg], counts: list[int], rights: str) -> _Spread | None:
    if rights == "PC" and counts[0] == counts[1] and legs[0].strike != legs[1].strike:
        return _Spread("STRANGLE", [legs[1], legs[0]], "CALL/PUT", counts[0])
    if rights == "PPCC" and counts == [side * counts[0] for side in _CONDOR]:
        long_put, short_put, short_call, long_call = legs
        if short_put.strike != short_call.strike:
            ordered = [short_call, long_call, short_put, long_put]
            return _Spread("IRON CONDOR", ordered, "CALL/PUT", short_call.quantity)
    return None


def _custom(ticket: Ticket) -> _Spread:
    legs = ticket.options
    ratio = "/".join(f"{leg.quantity}" for leg in legs)
    rights = "/".join(_RIGHTS[leg.right or "C"] for leg in legs)
    return _Spread(f"{ratio} CUSTOM", legs, rights, 1)


# -- as one types it -----------------------------------------------------------------------


def order_lines(ticket: Ticket) -> tuple[str, ...]:
    """The order, a line per leg with its contract id, and its limit on the tick."""
    return (*(_order_leg(leg) for leg in ticket.legs), *_limit(ticket))


def closing_line(ticket: Ticket) -> str:
    """The order that closes the unit at its profit target, good till cancelled; empty without."""
    if ticket.target is None or ticket.kind == "close":
        return ""
    what = "the options" if ticket.shares else "the same combination"
    return f"then, good till cancelled: close {what} at {side_text(ticket.target)} per share"


def _order_leg(leg: TicketLeg) -> str:
    side = "BUY " if leg.quantity > 0 else "SELL"
    what = "shares"
    if leg.expiry is not None:
        right = "CALL" if leg.right == "C" else "PUT"
        what = f"{leg.expiry:%d %b %Y} {leg.strike:g} {right}"
    contract = f"  (contract id {leg.con_id})" if leg.con_id else ""
    return f"{side} {abs(leg.quantity)}  {leg.symbol} {what}{contract}"


def _limit(ticket: Ticket) -> tuple[str, ...]:
    if ticket.price is None or ticket.mid is None:
        return ("no limit: a leg has no price",)
    because = f", {ticket.tick_reason}" if ticket.tick_reason else ""
    natural = "" if ticket.natural is None else f"; at natural {side_text(ticket.natural)}"
    whole = ticket.with_shares
    shares = "" if whole is None else f"; with the shares in one order {side_text(round(whole, 2))}"
    return (
        f"limit {side_text(ticket.price)} per share (mid {_mid_text(ticket.mid)} on a tick of "
        f"{ticket.tick:.2f}{because}){natural}{shares}",
    )


def _mid_text(mid: float) -> str:
    """A price between ticks: in cents, with the part of a cent it has."""
    return f"{abs(mid):.2f}" if round(mid, 2) == round(mid, 4) else f"{abs(mid):.4g}"


def side_text(credit: float) -> str:
    """A price per share in words: ``1.25 credit`` or ``0.40 debit``."""
    return f"{abs(credit):.2f} {'credit' if credit >= 0 else 'debit'}"


# -- all of them ---------------------------------------------------------------------------


def ticket_text(ticket: Ticket) -> str:
    """The order as one types it, its closing order, and the lines for other programs."""
    times = f", {ticket.quantity} times" if ticket.quantity > 1 else ""
    lines = [
        f"to type in TWS (Strategy Builder), ratio as listed{times}:",
        *(f"  {line}" for line in (*order_lines(ticket), closing_line(ticket)) if line),
        *_program("thinkorswim", thinkorswim(ticket)),
        *_program("OptionStrat", optionstrat(ticket)),
    ]
    return "\n".join(lines) + "\n"


def _program(name: str, line: TicketLine) -> tuple[str, str]:
    return f"{name}:", f"  {line.text or line.why_none}"


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    """The ticket as JSON values, with each of its forms; null where there is none."""
    return {
        **to_document(ticket),
        "order": list(order_lines(ticket)),
        "closing_order": closing_line(ticket) or None,
        "what_if_csv": what_if_csv(ticket),
        "optionstrat": optionstrat(ticket).text or None,
        "thinkorswim": thinkorswim(ticket).text or None,
    }
