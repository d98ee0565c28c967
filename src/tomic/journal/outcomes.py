"""
Entries and saved proposals as what became of them: the small records that statistics read.

A summary is kept beside each entry, so that thousands can be listed and counted without reading
their trades.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomic.journal import campaign
from tomic.models.journal import Contract, EntryStatus, JournalEntry, Trade

CENTS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One campaign, possibly over several linked entries; money in currency."""

    id: int
    symbol: str
    strategy: str
    opened: dt.date
    closed: dt.date | None
    """None while it is open."""
    result: float | None
    """None while it is open, or where nothing says it."""
    margin: float | None = None
    pos: float | None = None
    ev: float | None = None
    score: float | None = None
    grade: str = ""
    expiry: dt.date | None = None
    """First expiry of the opening trade: with the symbol, the cluster that shares an outcome."""
    slippage: float | None = None
    curve: tuple[tuple[dt.date, float], ...] = ()
    """P&L at each snapshot, ascending."""

    @property
    def days(self) -> int | None:
        """Calendar days in the trade; None while it is open."""
        return None if self.closed is None else (self.closed - self.opened).days

    @property
    def cluster(self) -> tuple[str, dt.date]:
        """Campaigns of one symbol and expiry share one outcome."""
        return self.symbol, self.expiry or self.closed or self.opened


@dataclass(frozen=True, slots=True)
class ProposalOutcome:
    """A saved proposal that has reached its first expiry; money in currency per structure."""

    id: str
    symbol: str
    strategy: str
    expiry: dt.date
    result: float
    pos: float
    ev: float
    score: float
    grade: str
    margin: float


def summarise(entry: JournalEntry) -> dict[str, Any]:
    """The summary of an entry, JSON-ready; see `from_summary`."""
    opening = entry.trades[0] if entry.trades else None
    first, last = campaign.first_expiry(entry), _last_expiry(entry)
    result = campaign.result(entry)
    marked = [one for one in entry.snapshots if one.pnl is not None]
    context = entry.context
    return {
        "legs": legs_text(campaign.held(entry) or (opening.fills if opening else ())),
        "structures": opening.structures if opening else 1,
        "credit": _cents(per_structure(opening)) if opening else None,
        "premium": _cents(campaign.premium(entry)),
        "commissions": _cents(campaign.commissions(entry)),
        "result": _cents(result),
        "stated": bool(entry.stated) and (not entry.trades or bool(campaign.held(entry))),
        "pnl": _cents(marked[-1].pnl) if marked else None,
        "pnl_at": marked[-1].at.isoformat() if marked else None,
        "expiry": first.isoformat() if first else None,
        "last_expiry": last.isoformat() if last else None,
        "cluster": day.isoformat() if (day := campaign.opening_expiry(entry)) else None,
        "margin": context.margin,
        "max_profit": _finite(context.max_profit),
        "pos": context.pos,
        "ev": context.ev,
        "score": context.score,
        "grade": context.grade,
        "slippage": _cents(campaign.slippage(entry)),
        "trades": len(entry.trades),
        "tags": list(entry.tags),
        "curve": [[one.at.date().isoformat(), _cents(one.pnl)] for one in marked],
    }


def per_structure(trade: Trade) -> float:
    """What one structure brought in, currency per share: 2.35 for a credit, -1.20 for a debit."""
    return campaign.cash(trade) / (trade.structures * campaign.structure_multiplier(trade.fills))


def legs_text(legs: Sequence[Contract]) -> str:
    """Legs in a line, an expiry after those that share it: ``-1 560P +1 550P 2025-06-20``."""
    options = [leg for leg in legs if not leg.is_stock]
    parts = [f"{getattr(leg, 'quantity', 0.0):+g} shares" for leg in legs if leg.is_stock]
    for day in sorted({leg.expiry for leg in options if leg.expiry}):
        of_day = [leg for leg in options if leg.expiry == day]
        of_day.sort(key=lambda leg: (leg.right == "C", leg.strike or 0.0))
        parts += [f"{getattr(leg, 'quantity', 0.0):+g} {leg.strike:g}{leg.right}" for leg in of_day]
        parts.append(day.isoformat())
    return " ".join(parts)


def from_summaries(rows: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """
    Campaigns from stored summaries; entries that continue each other become one.

    Cancelled entries count nowhere. A campaign is closed when all of its entries are.
    """
    live = {row["id"]: row for row in rows if row["status"] != EntryStatus.CANCELLED}
    members: dict[int, list[Mapping[str, Any]]] = {}
    for number, row in live.items():
        members.setdefault(_root(number, live), []).append(row)
    return [_joined(root, found) for root, found in sorted(members.items())]


def _root(number: int, rows: Mapping[int, Mapping[str, Any]]) -> int:
    seen = {number}
    while True:
        earlier = rows[number].get("continues")
        if earlier is None or earlier not in rows:
            return number
        if earlier in seen:
            return min(seen)
        number = int(earlier)
        seen.add(number)


def _joined(root: int, rows: Sequence[Mapping[str, Any]]) -> Outcome:
    first = min(rows, key=lambda row: (row["id"] != root, row["id"]))
    summary = first["summary"]
    is_closed = all(row["status"] == EntryStatus.CLOSED for row in rows)
    results = [row["summary"].get("result") for row in rows]
    known = is_closed and None not in results
    margins = [m for row in rows if (m := row["summary"].get("margin")) is not None]
    slips = [s for row in rows if (s := row["summary"].get("slippage")) is not None]
    days = [_to_day(row["closed_at"]) for row in rows if row["closed_at"]]
    single = len(rows) == 1
    expiry = summary.get("cluster")
    return Outcome(
        id=root,
        symbol=first["symbol"],
        strategy=first["strategy"] or "",
        opened=min(_to_day(row["opened_at"]) for row in rows),
        closed=max(days) if is_closed and days else None,
        result=math.fsum(results) if known else None,
        margin=max(margins, default=None),
        pos=summary.get("pos"),
        ev=summary.get("ev"),
        score=summary.get("score"),
        grade=summary.get("grade") or "",
        expiry=dt.date.fromisoformat(expiry) if expiry else None,
        slippage=math.fsum(slips) if slips else None,
        # Marks of linked entries overlap in time; only a campaign in one entry has a curve.
        curve=_curve(summary.get("curve") or ()) if single else (),
    )


def _curve(points: Iterable[Sequence[Any]]) -> tuple[tuple[dt.date, float], ...]:
    return tuple((dt.date.fromisoformat(day), float(value)) for day, value in points)


def _to_day(text: str) -> dt.date:
    return dt.date.fromisoformat(text[:10])


def _last_expiry(entry: JournalEntry) -> dt.date | None:
    legs: Sequence[Contract] = campaign.held(entry)
    return max((leg.expiry for leg in legs if leg.expiry is not None), default=None)


def _cents(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, CENTS)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def row(stored: Mapping[str, Any], day: dt.date) -> dict[str, Any]:
    """One entry for a list: who, what, since when, and what it made so far."""
    summary = stored["summary"]
    is_open = stored["status"] == EntryStatus.OPEN
    premium, pnl = summary.get("premium"), summary.get("pnl")
    earned = pnl if is_open else summary.get("result")
    expiry = dt.date.fromisoformat(summary["expiry"]) if summary.get("expiry") else None
    opened = _to_day(stored["opened_at"])
    closed = _to_day(stored["closed_at"]) if stored["closed_at"] else None
    last = closed or day
    return {
        "id": stored["id"],
        "symbol": stored["symbol"],
        "strategy": stored["strategy"],
        "status": stored["status"],
        "legs": summary.get("legs", ""),
        "opened": opened.isoformat(),
        "closed": closed.isoformat() if closed else None,
        "days": (last - opened).days,
        "dte": (expiry - day).days if expiry and is_open else None,
        "expiry": summary.get("expiry"),
        "structures": summary.get("structures", 1),
        "credit": summary.get("credit"),
        "premium": premium,
        "pnl": earned,
        "pnl_at": summary.get("pnl_at") if is_open else stored["closed_at"],
        "share": round(earned / abs(premium), 6) if earned is not None and premium else None,
        "margin": summary.get("margin"),
        "pos": summary.get("pos"),
        "score": summary.get("score"),
        "grade": summary.get("grade", ""),
        "continues": stored["continues"],
        "tags": summary.get("tags", []),
    }
