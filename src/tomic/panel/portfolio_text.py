"""A book, its alerts, one strategy and a trade beside it as pages of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from tomic.models.review import Alert, BookReview, Severity, Structure
from tomic.panel.glyphs import amount, money, number, per_cent

if TYPE_CHECKING:
    from tomic.workflows.review import Considered

_STYLES = {Severity.ALARM: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
_MARKS = {Severity.ALARM: "!!", Severity.WARNING: "! ", Severity.INFO: "  "}


def totals(review: BookReview) -> list[list[str]]:
    """The book in two lines."""
    total, greeks = review.totals, review.totals.greeks
    worst = total.worst
    beta = total.beta
    return [
        [
            f"net {number(review.net_liquidation, 0)} {review.currency}",
            f"P&L {_or_unknown(number(total.pnl, 0, signed=True), total.pnl_unknown)}",
            f"margin {_or_unknown(number(total.margin, 0), total.margin_unknown)}"
            + ("" if total.margin_share is None else f" ({per_cent(total.margin_share, 0)}%)"),
            f"worst {number(worst.pnl, 0, signed=True)} ({per_cent(total.worst_share)}%)"
            if worst
            else "",
        ],
        [
            f"delta$ {number(greeks.delta_value, 0, signed=True)}",
            f"gamma$/1% {number(greeks.gamma_value, 0, signed=True)}",
            f"vega {number(greeks.vega, 1, signed=True)}",
            f"theta {number(greeks.theta, 1, signed=True)}/day",
            f"{beta.benchmark} delta {number(beta.delta, 0, signed=True)}" if beta else "",
        ],
    ]


def _or_unknown(text: str, unknown: Sequence[str]) -> str:
    """A total; where a part of it is unknown, of which structures."""
    return text or (f"? ({', '.join(unknown)})" if unknown else "")


def alerts_text(alerts: Sequence[Alert], *, advice: bool = False) -> Text:
    """A line for each alert, the urgent ones marked and first."""
    order = {Severity.ALARM: 0, Severity.WARNING: 1, Severity.INFO: 2}
    text = Text()
    for place, one in enumerate(sorted(alerts, key=lambda one: order[one.severity])):
        text.append("\n" if place else "")
        scope = "" if one.message.startswith(one.scope) else f"{one.scope} "
        text.append(f"{_MARKS[one.severity]}{scope}{one.message}", _STYLES[one.severity])
        if advice:
            text.append(f"\n     {one.advice}", "dim")
    return text


def structure_text(one: Structure, review: BookReview) -> Text:
    """Legs and figures of one strategy, and the alerts about it."""
    text = Text()
    for leg in one.legs:
        text.append(
            f"{leg.quantity:+g} {leg.contract:<26} cost {number(leg.cost):>9}  now "
            f"{number(leg.price):>9} ({leg.price_source})  IV% {per_cent(leg.iv):>5}  "
            f"delta {number(leg.delta):>6}{f'  {leg.problem}' if leg.problem else ''}\n"
        )
    rows = [
        ("credit", number(one.credit, 2, signed=True)),
        ("P&L", number(one.pnl, 2, signed=True)),
        ("max profit", money(one.max_profit)),
        ("max loss", amount(one.max_loss)),
        ("margin", f"{amount(one.margin)}, net {amount(one.margin_net)}"),
        ("ROM%", per_cent(one.rom)),
        ("theta/margin%", f"{per_cent(one.theta_margin, 2)} a day"),
        ("opened", f"{one.opened or 'unknown'}{' or before' if one.days_at_least else ''}"),
        ("grouped by", f"{one.source} {one.link}".strip()),
    ]
    for name, value in rows:
        text.append(f"\n{name:<15}", "dim").append(value)
    for note in one.notes:
        text.append(f"\nnote: {note}", "dim")
    own = [alert for alert in review.alerts if alert.scope == one.id]
    text.append("\n\n").append_text(alerts_text(own, advice=True))
    for risk in review.assignments:
        if risk.structure == one.id:
            text.append(f"\nassignment: {risk.message}", "yellow")
    return text


def considered_text(found: Considered, currency: str) -> Text:
    """What a trade would change in the book."""
    change, text = found.change, Text()
    rows = [
        ("fit", number(change.fit, 2)),
        ("delta$", number(change.delta_value, 0, signed=True)),
        ("gamma$/1%", number(change.gamma_value, 0, signed=True)),
        ("vega", number(change.vega, 1, signed=True)),
        ("theta", number(change.theta, 1, signed=True)),
        ("margin", number(change.margin, 0, signed=True)),
        ("worst cell", number(change.worst, 0, signed=True)),
    ]
    text.append(f"change of the book, {currency}\n", "bold")
    for name, value in rows:
        text.append(f"{name:<15}", "dim").append(f"{value}\n")
    for one in found.structures:
        text.append(
            f"\n{one.strategy}: margin {amount(one.margin)}, "
            f"profit {amount(one.max_profit)}, loss {amount(one.max_loss)}\n"
        )
    for note in change.notes:
        text.append(f"note: {note}\n", "dim")
    return text.append("\n").append_text(alerts_text(found.alerts, advice=True))
