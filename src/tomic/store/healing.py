"""
What an earlier program left in the journal that a later one must not fall over.

Part of a migration, which never changes once it is released: nothing here looks at the journal as
it is read today.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
from typing import Any

_MOST = 1e7
_NAMES = ("expiry", "strike", "right")


def heal_journal(db: sqlite3.Connection) -> None:
    """
    Say of executions why they can have been no trade, and take outdated figures out of summaries.

    Executions were stored before anybody looked at them, and one with a quantity of 0 ended every
    later import. Marks of before the last trade stayed in lists beside the legs of after it.
    """
    rows = db.execute("SELECT exec_id, document FROM executions WHERE entry_id IS NULL").fetchall()
    for exec_id, text in rows:
        if reason := _fault(text):
            db.execute("UPDATE executions SET reason = ? WHERE exec_id = ?", (reason, exec_id))
    entries = db.execute(
        "SELECT id, summary, document FROM entries WHERE status = 'open'"
    ).fetchall()
    for entry_id, summary, document in entries:
        if (kept := _current(summary, document)) is not None:
            db.execute("UPDATE entries SET summary = ? WHERE id = ?", (kept, entry_id))


def _fault(text: str) -> str:
    """Why an execution can have been no trade; empty for one that may have been."""
    try:
        document = json.loads(text)
        quantity, price = float(document["quantity"]), float(document["price"])
        strike = float(document["contract"].get("strike") or 0.0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it cannot be read"
    if not math.isfinite(quantity) or quantity == 0.0:
        return f"a quantity of {quantity:g} is no trade"
    if not 0.0 <= price <= _MOST:
        return f"a price of {price:g} is none"
    if not 0.0 <= strike <= _MOST:
        return f"a strike of {strike:g} is none"
    return ""


def _current(summary_text: str, document_text: str) -> str | None:
    """The summary without what the last trade outdated; None where nothing is outdated."""
    try:
        summary, document = json.loads(summary_text), json.loads(document_text)
        trades = document.get("trades") or []
        last = max((dt.datetime.fromisoformat(one["at"]) for one in trades), default=None)
        marked = summary.get("pnl_at")
        outdated = last and marked and dt.datetime.fromisoformat(marked) < last
        legs = _legs(trades)
        changed = len(trades) > 1 and legs != _legs(trades[:1])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    before = dict(summary)
    if outdated:
        summary.pop("pnl", None)
        summary.pop("pnl_at", None)
    if changed:
        summary["legs_changed"] = True
    if legs and not any(right for _, _, right, _ in legs):
        summary.pop("expiry", None)
    return None if summary == before else json.dumps(summary, separators=(",", ":"))


def _legs(trades: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Contracts that are held after the trades."""
    total: dict[tuple[Any, ...], float] = {}
    for trade in trades:
        for fill in trade["fills"]:
            key = tuple(fill.get(name) for name in _NAMES)
            key = (*key, fill.get("multiplier", 100) if fill.get("right") else None)
            total[key] = total.get(key, 0.0) + fill["quantity"]
    return {key for key, quantity in total.items() if abs(quantity) > 1e-9}
