"""Followed proposals made by hand, and their record."""

from __future__ import annotations

import datetime as dt

from tomic.journal import track
from tomic.models.exits import ExitRules
from tomic.models.track import FollowedProposal, TrackMark, TrackRecord

DAY = dt.date(2026, 10, 6)


def followed(number: int = 1, **changes: object) -> FollowedProposal:
    """A condor that the target closed, marked once on quotes."""
    values = {
        "id": f"20261006-{number}", "symbol": "SPY", "strategy": "iron_condor",
        "trade": f"iron_condor {number}", "grade": "A", "made": DAY,
        "expiry": dt.date(2026, 11, 20), "margin": 1000.0, "multiplier": 100, "score": 70.0,
        "pos": 0.8, "ev": 10.0, "p_target": 0.7, "managed_ev": 5.0, "rules": ExitRules(),
        "outcome": "target", "day": dt.date(2026, 10, 20), "pnl": 60.0,
        "marks": (TrackMark(day=DAY, watched=61.0, pnl=60.0, source="quotes"),),
    }  # fmt: skip
    return FollowedProposal(**(values | changes))


def record() -> TrackRecord:
    """Three proposals of October: a target, a stop, and one of grade B that is open."""
    three = (
        followed(),
        followed(2, outcome="stop", pnl=-200.0),
        followed(3, grade="B", outcome="open", note="prices after 2026-10-20 are missing"),
    )
    return TrackRecord(
        as_of=dt.date(2026, 11, 20),
        last_month="2026-10",
        groups=track.by_grade(three),
        months=track.by_month(three),
        proposals=three,
    )
