"""
What became of saved proposals, traded or not: each followed by the exits of its strategy.

Money is currency per structure, after the costs of entry and exit.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from tomic.models.exits import ExitRules
from tomic.models.journal import Interval
from tomic.models.market import Model

MarkSource = Literal["quotes", "model"]
"""
What a mark is made from.

``quotes`` are bid and ask of every leg in the chain kept that day; ``model`` prices the legs with
the day's close and their volatility of the day of the proposal, moved as the 30-day one did.
"""

TrackOutcome = Literal["target", "stop", "time", "expiry", "open", "void"]
"""How it ended: by its target, its stop or its last day, at its expiry; void counts nowhere."""


class TrackMark(Model):
    """The end of one day in the life of a proposal."""

    day: dt.date
    watched: float
    """P&L at mid of the options after the commission of entry: what target and stop look at."""
    pnl: float
    """P&L if it were closed: costs of exit and shares included, in the proposal's own day."""
    source: MarkSource


class FollowedProposal(Model):
    """A proposal with what was promised and what came."""

    id: str
    symbol: str
    strategy: str
    trade: str
    grade: str
    made: dt.date
    """Day of the proposal in New York."""
    expiry: dt.date
    margin: float
    multiplier: int
    score: float
    pos: float
    ev: float
    p_target: float | None = None
    managed_ev: float | None = None
    """Both promised of managing it; None where they were not computed."""
    rules: ExitRules
    """As they were when it was first followed; later settings do not change the past."""
    outcome: TrackOutcome = "open"
    rule: str = ""
    """The exit rule that closed it."""
    day: dt.date | None = None
    """When it ended, or of the last mark; None without either."""
    pnl: float | None = None
    """Of its end, or the mark of an open one."""
    marks: tuple[TrackMark, ...] = ()
    note: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self.outcome != "open"

    @property
    def counts(self) -> bool:
        """Whether it ended with a result."""
        return self.is_over and self.outcome != "void" and self.pnl is not None

    @property
    def per_share(self) -> float | None:
        """P&L, currency per share."""
        return None if self.pnl is None else self.pnl / self.multiplier

    @property
    def per_margin(self) -> float | None:
        """P&L over its margin, a fraction; None where it has none."""
        return None if self.pnl is None or not self.margin > 0.0 else self.pnl / self.margin

    @property
    def source(self) -> str:
        """``quotes``, ``model``, ``mixed``; empty without a mark."""
        kinds = {mark.source for mark in self.marks}
        return "mixed" if len(kinds) > 1 else next(iter(kinds), "")


class TrackGroup(Model):
    """Proposals of one grade, of all months or of one: promised and realised."""

    grade: str
    month: str = ""
    """Of the proposals, ``2026-10``; empty for all months."""
    n: int
    ended: int
    won: Interval = Interval()
    """Share of the ended that made money; by whole months, or of fewer than three Wilson's."""
    pos: float | None = None
    """Mean promised probability of success, of holding."""
    target: Interval = Interval()
    """Share of the ended that the target closed; the interval likewise."""
    p_target: float | None = None
    """Mean promised, of those that promised it."""
    per_margin: Interval = Interval()
    """Mean P&L over margin of the ended; resampled by month, so none for a single month."""
    managed_ev: float | None = None
    """Mean promised EV of managing over margin, of those that promised it."""
    ev: float | None = None
    """Mean promised EV of holding over margin."""
    by_quotes: float | None = None
    """Share of the marks of the ended that are quotes; the others are a model's."""
    few: str = ""
    """Why it proves nothing; empty when there are enough."""


class TrackRecord(Model):
    """Everything `tomic journal stats --proposals` shows."""

    as_of: dt.date
    last_month: str
    """The calendar month before."""
    groups: tuple[TrackGroup, ...] = ()
    """By grade, over all months."""
    months: tuple[TrackGroup, ...] = ()
    """By month, newest first, and grade."""
    proposals: tuple[FollowedProposal, ...] = ()
    """Newest first."""
    repeated: int = 0
    """Proposals that repeat another of their day; those count once."""
    notes: tuple[str, ...] = ()
