"""The track record of saved proposals: promised and realised by grade, as text and documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tomic.models.documents import to_document
from tomic.models.journal import Interval
from tomic.models.track import FollowedProposal, TrackGroup, TrackRecord
from tomic.present.forms import Format, emit, to_csv, to_json, to_ndjson
from tomic.present.text import PlainTable, number, points

MOST_SHOWN = 20
"""Proposals that are printed; the other forms have all."""
EXPLAINED = (
    "each proposal counts once a day, traded or not, and is closed by the exits of its strategy",
    "95 % intervals are those of whole months; shares of fewer than three months have Wilson's, "
    "which takes trades for independent, and money of a single month has none",
    "quotes are those kept of the day; where a leg has none all are priced by a model",
)


def report(record: TrackRecord, shape: Format) -> str:
    """The record; rows, where they are asked for, are proposals."""
    return emit(
        shape,
        table=lambda: text(record),
        json=lambda: to_json({"schema": "tomic.journal.proposals/1", **document(record)}),
        ndjson=lambda: to_ndjson(map(row, record.proposals)),
        csv=lambda: to_csv([*map(row, record.proposals)]),
    )


def row(followed: FollowedProposal) -> dict[str, Any]:
    """A proposal without its marks and rules."""
    told = to_document(followed, exclude={"marks", "rules"})
    return told | {
        "per_share": followed.per_share,
        "per_margin": followed.per_margin,
        "source": followed.source,
        "marks": len(followed.marks),
    }


def document(record: TrackRecord) -> dict[str, Any]:
    """All of it, JSON-ready; proposals with their marks."""
    whole = to_document(record)
    for told, followed in zip(whole["proposals"], record.proposals, strict=True):
        told |= {
            "per_share": followed.per_share,
            "per_margin": followed.per_margin,
            "source": followed.source,
        }
    return whole


# -- text ----------------------------------------------------------------------------------


def text(record: TrackRecord) -> str:
    """What each grade promised and brought, of all months and of the last, and the proposals."""
    if not record.proposals:
        return "no proposal is saved; tomic scan saves those that it shows\n"
    parts = [
        _groups("all proposals", record.groups),
        _groups(f"of {record.last_month}", last_month(record)),
        _proposals(record.proposals),
        "\n".join(EXPLAINED) + "\n",
    ]
    return "\n".join(filter(None, parts))


def last_month(record: TrackRecord) -> list[TrackGroup]:
    """The groups of the month before."""
    return [group for group in record.months if group.month == record.last_month]


def share_text(share: Interval) -> str:
    """A share in per cent: ``74 (60 to 85)``."""
    if share.value is None:
        return ""
    if share.low is None or share.high is None:
        return points(share.value, 0)
    return f"{points(share.value, 0)} ({points(share.low, 0)} to {points(share.high, 0)})"


def return_text(mean: Interval) -> str:
    """A return in per cent: ``+1.2 (-0.4 to +2.9)``."""
    if mean.value is None:
        return ""
    value = number(mean.value, 1, 100.0, signed=True)
    if mean.low is None or mean.high is None:
        return value
    low, high = (number(end, 1, 100.0, signed=True) for end in (mean.low, mean.high))
    return f"{value} ({low} to {high})"


def _groups(title: str, groups: Sequence[TrackGroup]) -> str:
    if not groups:
        return ""
    table = PlainTable(
        title, "n", "ended", "won %", "PoS %", "target %", "P(target) %", "/margin %",
        "managed EV", "EV", "by quotes %", "",
    )  # fmt: skip
    for group in groups:
        table.add_row(
            group.grade,
            str(group.n),
            str(group.ended),
            share_text(group.won),
            points(group.pos, 0),
            share_text(group.target),
            points(group.p_target, 0),
            return_text(group.per_margin),
            number(group.managed_ev, 1, 100.0, signed=True),
            number(group.ev, 1, 100.0, signed=True),
            points(group.by_quotes, 0),
            group.few,
        )
    return table.text()


def _proposals(proposals: Sequence[FollowedProposal]) -> str:
    table = PlainTable(
        "proposal", "grade", "symbol", "trade", "outcome", "day", "/share", "/margin %",
        "PoS %", "by", left=(0, 1, 2, 3, 4, 5, 9),
    )  # fmt: skip
    for each in proposals[:MOST_SHOWN]:
        table.add_row(
            each.id,
            each.grade,
            each.symbol,
            each.trade.replace("_", " "),
            each.outcome,
            str(each.day or ""),
            number(each.per_share, 2, signed=True),
            number(each.per_margin, 1, 100.0, signed=True),
            points(each.pos, 0),
            each.source,
        )
    hidden = len(proposals) - MOST_SHOWN
    return table.text() + (f"and {hidden} more, in JSON\n" if hidden > 0 else "")


# -- what a page shows beside the document -------------------------------------------------


def page_document(record: TrackRecord) -> dict[str, Any]:
    """
    The record JSON-ready, with intervals in words beside their numbers.

    Marks are left out: a page lists none.
    """
    return {
        "groups": [*map(_told, record.groups)],
        "last_month": [*map(_told, last_month(record))],
        "months": [*map(_told, record.months)],
        "proposals": [
            row(each) | {"trade_text": each.trade.replace("_", " ")} for each in record.proposals
        ],
        "explained": list(EXPLAINED),
        "notes": list(record.notes),
    }


def _told(group: TrackGroup) -> dict[str, Any]:
    return to_document(group) | {
        "won_text": share_text(group.won),
        "target_text": share_text(group.target),
        "margin_text": return_text(group.per_margin),
    }
