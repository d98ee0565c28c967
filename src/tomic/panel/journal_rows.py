"""Open entries as rows of a grid, with what became of their rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from tomic.models.journal import ExitCheck, Verdict
from tomic.panel.glyphs import number, per_cent
from tomic.panel.grid import Column

_TONES = {Verdict.ACT: "bold red", Verdict.STALE: "yellow", Verdict.UNJUDGED: "yellow"}


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One open entry, and what became of its rules once they were judged."""

    id: int
    symbol: str
    strategy: str
    legs: str
    opened: str
    credit: float | None
    expiry: dt.date | None
    pnl: float | None
    check: ExitCheck | None = None

    @property
    def verdict(self) -> str:
        """In a word; empty before a check."""
        return self.check.verdict.value if self.check else ""

    @property
    def signal(self) -> str:
        """The first rule that fired, else the first that could not be judged."""
        if self.check is None:
            return ""
        found = [*self.check.signals, *self.check.unjudged]
        more = f" (+{len(found) - 1})" if len(found) > 1 else ""
        return f"{found[0].text}{more}" if found else ""


def rows_of(
    summaries: Sequence[dict[str, Any]], checks: Sequence[ExitCheck] = ()
) -> list[EntryRow]:
    """A row for each stored summary of an open entry, with its check where there is one."""
    judged = {one.entry_id: one for one in checks}
    rows = []
    for one in summaries:
        summary, check = one["summary"], judged.get(one["id"])
        expiry = summary.get("expiry")
        rows.append(
            EntryRow(
                id=one["id"],
                symbol=one["symbol"],
                strategy=one["strategy"] or "",
                legs=summary.get("legs") or "",
                opened=one["opened_at"][:10],
                credit=summary.get("credit"),
                expiry=dt.date.fromisoformat(expiry) if expiry else None,
                pnl=check.pnl if check and check.pnl is not None else summary.get("pnl"),
                check=check,
            )
        )
    return rows


def _share(row: EntryRow) -> float | None:
    return row.check.share_of_premium if row.check else None


def _dte(row: EntryRow) -> int | None:
    return row.check.dte if row.check else None


def _tone(row: EntryRow) -> str:
    return _TONES.get(row.check.verdict, "green") if row.check else "dim"


COLUMNS: list[Column[Any]] = [
    Column("id", attrgetter("id"), lambda row: f"{row.id}"),
    Column("sym", attrgetter("symbol"), attrgetter("symbol"), left=True),
    Column(
        "strategy", attrgetter("strategy"), lambda row: row.strategy.replace("_", " "), left=True
    ),
    Column("dte", _dte, lambda row: "" if _dte(row) is None else f"{_dte(row)}"),
    Column("P&L", attrgetter("pnl"), lambda row: number(row.pnl, 0, signed=True)),
    Column("%prem", _share, lambda row: per_cent(_share(row), 0)),
    Column("verdict", attrgetter("verdict"), attrgetter("verdict"), style=_tone, left=True),
    Column("signal", attrgetter("signal"), attrgetter("signal"), left=True),
    Column("opened", attrgetter("opened"), attrgetter("opened"), left=True),
    Column("legs", attrgetter("legs"), attrgetter("legs"), left=True),
]
