"""What if, of one structure, as a table and a picture of bars."""

from __future__ import annotations

from typing import Any

from tomic._version import __version__
from tomic.models.documents import to_document
from tomic.models.what_if import WhatIf
from tomic.present.forms import NOT_ADVICE, Format, emit, to_csv, to_json, to_ndjson
from tomic.present.text import PlainTable, money, number

SCHEMA = "tomic.what-if/1"
_BAR = 20
"""Letters of the longest bar."""


def shown(asked: WhatIf, format: Format) -> str:
    """*asked* in *format*."""
    return emit(
        format,
        table=lambda: what_if_text(asked),
        json=lambda: to_json(document(asked)),
        ndjson=lambda: to_ndjson(rows(asked)),
        csv=lambda: to_csv(rows(asked)),
    )


def document(asked: WhatIf) -> dict[str, Any]:
    """All of it as JSON values."""
    return {"schema": SCHEMA, "version": __version__, **to_document(asked), "then": asked.then}


def rows(asked: WhatIf) -> list[dict[str, Any]]:
    """A row per price and day."""
    return [
        {
            "id": asked.id,
            "price": row.price,
            "move": row.move,
            "vol": asked.vol,
            "days": day,
            "change": change,
            "pnl": None if asked.pnl is None else asked.pnl + change,
        }
        for row in asked.rows
        for day, change in zip(asked.horizons, row.change, strict=True)
    ]


def what_if_text(asked: WhatIf) -> str:
    """The point that was asked for, then P&L by price and day, and the asked day as bars."""
    parts = [headline(asked), f"\n{table(asked)}", *(f"note: {note}" for note in asked.notes)]
    return "\n".join([*parts, NOT_ADVICE]) + "\n"


def headline(asked: WhatIf) -> str:
    """What was asked, and what it would bring."""
    what = (
        f"{asked.id} {asked.strategy.replace('_', ' ')}: {asked.symbol} {asked.move:+.2%} to "
        f"{asked.spot * (1.0 + asked.move):,.2f}, volatility {asked.vol:+.1%}, in {asked.days} days"
    )
    change = f"{money(asked.change)} {asked.currency} against now"
    if asked.then is None:
        return f"{what}\n{change}; P&L from entry is not known"
    return f"{what}\n{change}, {money(asked.then)} from entry (now {money(asked.pnl)})"


def table(asked: WhatIf) -> str:
    """P&L from entry, or against now where that is not known, by price and day."""
    base = asked.pnl or 0.0
    place = asked.horizons.index(float(asked.days))
    titles = [day_title(asked, day) for day in asked.horizons]
    largest = max((abs(base + row.change[place]) for row in asked.rows), default=0.0) or 1.0
    grid = PlainTable("price", "move", *titles, f"{titles[place]:^{2 * _BAR + 1}}", "", left=())
    for row in asked.rows:
        value = base + row.change[place]
        bar = "█" * round(_BAR * abs(value) / largest)
        left, right = ("", bar) if value >= 0.0 else (bar, "")
        grid.add_row(
            number(row.price),
            f"{row.move:+.1%}",
            *(money(base + change, 0) for change in row.change),
            f"{left:>{_BAR}}|{right:<{_BAR}}",
            row.name,
        )
    since = "from entry" if asked.pnl is not None else "against now"
    return f"P&L {since}, {asked.currency}, volatility {asked.vol:+.1%}\n{grid.text()}"


def day_title(asked: WhatIf, day: float) -> str:
    """``now``, ``+7d``, or ``expiry`` for the first one."""
    if asked.to_expiry is not None and day == asked.to_expiry:
        return "expiry"
    return "now" if day == 0.0 else f"+{day:g}d"
