"""
Entries and saved proposals as what became of them: the small records that statistics read.

A summary is kept beside each entry, so that thousands can be listed and counted without reading
their trades.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tomic.journal import campaign
from tomic.models.journal import Contract, EntryStatus, JournalEntry, Trade

CENTS = 2


@dataclass(frozen=True, slots=True)
class CampaignOutcome:
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
    """The summary of an entry, JSON-ready, without what is empty; see `from_summaries`."""
    opening = entry.trades[0] if entry.trades else None
    first, last = campaign.first_expiry(entry), _last_expiry(entry)
    result = campaign.result(entry)
    marked = [one for one in entry.snapshots if one.pnl is not None]
    pnl, pnl_at = _last_marked(entry)
    context = entry.context
    found = {
        "legs": legs_text(campaign.held(entry) or (opening.fills if opening else ())),
        "structures": opening.structures if opening else 1,
        "credit": _cents(per_structure(opening)) if opening else None,
        "premium": _cents(campaign.premium(entry)),
        "commissions": _cents(campaign.commissions(entry)),
        "result": _cents(result),
        "stated": bool(entry.stated) and (not entry.trades or bool(campaign.held(entry))),
        "pnl": _cents(pnl),
        "pnl_at": pnl_at.isoformat() if pnl_at is not None else None,
        "legs_changed": _have_changed(entry),
        "expiry": first.isoformat() if first else None,
        "last_expiry": last.isoformat() if last else None,
        "cluster": day.isoformat() if (day := campaign.opening_expiry(entry)) else None,
        "margin": _finite(context.margin),
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
    # Short summaries are read quickly, and there may be thousands.
    # A zero is a figure: only what is absent is left out.
    return {name: value for name, value in found.items() if value or type(value) in (int, float)}


def _last_marked(entry: JournalEntry) -> tuple[float | None, dt.datetime | None]:
    """
    P&L at the last marks, and when that was; nothing where a trade came after them.

    Marks of before an assignment or a roll say nothing of the legs of after it.
    """
    last = next((one for one in reversed(entry.snapshots) if one.pnl is not None), None)
    if last is None or any(trade.at > last.at for trade in entry.trades):
        return None, None
    pnl = last.pnl
    if entry.is_open and last.legs:
        # Computed anew: a trade may have been recorded later for an earlier moment.
        pnl = campaign.worth(entry, last.prices).pnl
    return (None, None) if pnl is None else (pnl, last.at)


def _have_changed(entry: JournalEntry) -> bool:
    """Whether other contracts are held than those that were opened."""
    if not entry.is_open or len(entry.trades) < 2:
        return False
    return {leg.key for leg in campaign.held(entry)} != {fill.key for fill in entry.trades[0].fills}


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


def from_summaries(rows: Iterable[Mapping[str, Any]]) -> list[CampaignOutcome]:
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


def _joined(root: int, rows: Sequence[Mapping[str, Any]]) -> CampaignOutcome:
    """One campaign from the summaries of its entries."""
    first = rows[0] if len(rows) == 1 else min(rows, key=lambda one: (one["id"] != root, one["id"]))
    summary = first["summary"]
    result, margin, slippage = (summary.get(name) for name in ("result", "margin", "slippage"))
    is_closed, closed = first["status"] == EntryStatus.CLOSED, first["closed_at"]
    opened = first["opened_at"]
    if len(rows) > 1:
        is_closed = all(one["status"] == EntryStatus.CLOSED for one in rows)
        closed = max((one["closed_at"] for one in rows if one["closed_at"]), default=None)
        opened = min(one["opened_at"] for one in rows)
        result, margin, slippage = (
            _fold(rows, "result", math.fsum, whole=True),
            _fold(rows, "margin", max, whole=True),
            _fold(rows, "slippage", math.fsum, whole=True),
        )
    expiry, curve = summary.get("cluster"), summary.get("curve")
    return CampaignOutcome(
        id=root,
        symbol=first["symbol"],
        strategy=first["strategy"] or "",
        opened=_to_day(opened),
        closed=_to_day(closed) if is_closed and closed else None,
        result=result if is_closed else None,
        margin=margin,
        pos=summary.get("pos"),
        ev=summary.get("ev"),
        score=summary.get("score"),
        grade=summary.get("grade") or "",
        expiry=_day_of(expiry) if expiry else None,
        slippage=slippage,
        # Marks of linked entries overlap in time; only a campaign in one entry has a curve.
        curve=_curve(curve) if curve and len(rows) == 1 else (),
    )


def _fold(
    rows: Iterable[Mapping[str, Any]],
    name: str,
    work: Callable[[list[float]], float],
    *,
    whole: bool = False,
) -> float | None:
    """A figure of several entries from those that have it; with *whole* all of them must."""
    values = [one["summary"].get(name) for one in rows]
    known = [value for value in values if value is not None]
    if not known or (whole and len(known) < len(values)):
        return None
    return work(known)


def _curve(points: Iterable[Sequence[Any]]) -> tuple[tuple[dt.date, float], ...]:
    return tuple((dt.date.fromisoformat(day), float(value)) for day, value in points)


def _to_day(text: str) -> dt.date:
    return _day_of(text[:10])


@lru_cache(maxsize=8192)
def _day_of(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


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
    expiry = _day_of(summary["expiry"]) if summary.get("expiry") else None
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
        # The forecast made at entry is of the legs opened then; it is kept for the statistics.
        "pos": None if is_open and summary.get("legs_changed") else summary.get("pos"),
        "score": summary.get("score"),
        "grade": summary.get("grade", ""),
        "continues": stored["continues"],
        "tags": summary.get("tags", []),
    }
