"""
The journal with its verbs: what `Desk.journal` gives, and a notebook works with.

Each does what the function of the same name does for the command line, in the modules beside this.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tomic import dates
from tomic._keywords import suggests
from tomic.errors import UsageError
from tomic.journal.statistics import By
from tomic.models import Proposal, journal as nouns
from tomic.models.frames import Rows
from tomic.models.journal import JournalReport
from tomic.workflows.journal import entries, review, statistics, trades
from tomic.workflows.journal.entries import Journal, Recorded
from tomic.workflows.journal.review import CheckRun
from tomic.workflows.journal.statistics import BY
from tomic.workflows.journal.trades import EntryNotes, TradeTicket
from tomic.workflows.portfolio.review import PROPOSAL_ID

Price: TypeAlias = float | str
"""
Currency per share of one structure. A number is received where the legs are sold and paid where
they are bought; where both are possible a text says it: ``"+0.35"`` received, ``"-0.35"`` paid.
"""
Status: TypeAlias = Literal["open", "closed", "cancelled"]


@dataclass(frozen=True, slots=True)
class DeskJournal(Journal):
    """
    The journal of a desk: ``journal = await desk.journal()``.

    Whatever is traded is recorded, never sent: TOMIC places no orders. All verbs are safe to
    cancel; an entry is written whole or not at all.
    """

    @suggests
    async def entries(
        self, status: Status | None = None, *, symbol: str | None = None
    ) -> Rows[nouns.JournalEntry]:
        """Entries by number, all of them or those of one status or symbol."""
        return Rows(await entries.load_all(self, status, symbol=symbol))

    @suggests
    async def summaries(
        self, status: Status | None = None, *, symbol: str | None = None
    ) -> Rows[dict[str, Any]]:
        """
        What `entries` come to, a mapping each: legs, credit, result, margin, days; quick for many.

        ``(await journal.summaries()).to_frame()`` is the journal as a DataFrame. Money is in the
        currency of the entry, ``result`` that of a closed campaign and ``pnl`` at the last marks.
        """
        rows = await self.store.journal.summaries(status, symbol=symbol)
        return Rows(
            {**{name: value for name, value in row.items() if name != "summary"}, **_flat(row)}
            for row in rows
        )

    async def entry(self, number: int) -> nouns.JournalEntry:
        """
        One entry with its trades, rules, notes and snapshots.

        Raises:
            UsageError: There is none of that number.
        """
        return await entries.load(self, number)

    @suggests
    async def add(
        self,
        trade: str | Proposal | Sequence[int],
        *,
        price: Price | None = None,
        quantity: int = 1,
        at: dt.datetime | None = None,
        strategy: str = "",
        plan: str = "",
        reason: str = "",
        tags: str | Iterable[str] = (),
        rules: Mapping[str, Any] | None = None,
        commission: float | None = None,
        offline: bool = False,
    ) -> Recorded:
        """
        Open an entry.

        Args:
            trade: Legs as people write them (``"SPY short_put_spread 560/550 2026-12-18"``), a
                proposal or its id, or contract ids of positions in the account.
            price: What one structure traded for, see `Price`; None takes what the market asks.
            quantity: How many structures.
            at: When it was; None is now. Of the past nobody is asked for marks.
            strategy: What to call it; by default the name that the legs have.
            plan, reason, tags: What you write beside it.
            rules: Exit rules that differ from those of the settings, such as ``{"stop": 1.5}``.
            commission: Of the whole trade, currency; None takes that of the settings.
            offline: Ask nobody for marks; needs a *price*.

        Returns:
            The entry with its number, and what the trader should know.

        Raises:
            UsageError: The legs cannot be read, or no price is known.
            DataError: There is no proposal of that id.
            SessionError: Positions are asked for, and the gateway cannot be reached.
        """
        draft = await self._draft(trade, quantity)
        notes = EntryNotes(
            strategy=strategy,
            plan=plan,
            reason=reason,
            tags=tuple(tags.replace(",", " ").split() if isinstance(tags, str) else tags),
            rules=dict(rules or {}),
        )
        ticket = _ticket(price, at, commission, offline=offline)
        return await trades.add(self, draft, ticket, notes)

    @suggests
    async def close(
        self,
        number: int,
        *,
        price: Price | None = None,
        structures: int | None = None,
        at: dt.datetime | None = None,
        commission: float | None = None,
        note: str = "",
        offline: bool = False,
    ) -> Recorded:
        """
        Close an entry, or some *structures* of it; other arguments as of `add`.

        Raises:
            UsageError: It is not open, no price is known, or so many are not held.
        """
        ticket = _ticket(price, at, commission, note, offline=offline)
        return await trades.close(self, number, ticket, structures=structures)

    @suggests
    async def roll(
        self,
        number: int,
        legs: str = "",
        *,
        to: dt.date | str | None = None,
        strikes: Sequence[float | None] = (),
        price: Price | None = None,
        at: dt.datetime | None = None,
        commission: float | None = None,
        note: str = "",
        offline: bool = False,
    ) -> Recorded:
        """
        Close options and open others in one trade; the campaign goes on.

        Args:
            legs: What is traded, closing and opening, as in
                ``"+1 560P 2026-12-18, -1 555P 2027-01-15"``.
            to: Instead, the expiry to which every option is rolled.
            strikes: New strikes in the order of the legs held, None for one that stays; alone:
                within the same expiry.
            price: As of `add`; often a credit or a debit may be meant, and a text says which.

        Raises:
            UsageError: It is not open, the legs do not fit, or no price is known.
        """
        if bool(legs) == (to is not None or bool(strikes)):
            raise UsageError(
                "roll by legs, or by to= and strikes=, as in journal.roll(1, to='2027-01-15')"
            )
        ticket = _ticket(price, at, commission, note, offline=offline)
        before = await self.entry(number)
        if legs:
            draft = trades.written(before, legs)
            return await trades.roll(self, number, draft.legs, draft.prices, ticket)
        expiry = dates.parse_expiry(to) if isinstance(to, str) else to
        rolled = trades.rolled_to(before, expiry, strikes)
        return await trades.roll(self, number, rolled, {}, ticket)

    @suggests
    async def settle(
        self, number: int, *, spot: float | None = None, at: dt.datetime | None = None
    ) -> Recorded:
        """Record what became of expired options; see `trades.settle`."""
        return await trades.settle(self, number, at=at, spot=spot)

    async def note(self, number: int, text: str) -> nouns.JournalEntry:
        """Add a dated note to an entry."""
        return await entries.add_note(self, number, text)

    @suggests
    async def check(self, *numbers: int, keep: bool = True) -> CheckRun:
        """
        Judge the exit rules of every open entry, or of those named, on fresh marks.

        Args:
            keep: Keep a snapshot of the day with each entry.
        """
        return await review.check(self, numbers, keep=keep)

    @suggests
    async def stats(self, by: By | None = None, *, symbol: str | None = None) -> JournalReport:
        """
        Statistics of closed campaigns, and of saved proposals followed to their end.

        Args:
            by: Also in groups, such as ``"strategy"``, ``"symbol"`` or ``"month"``.

        Raises:
            UsageError: Nothing to group by is called so.
        """
        if by is not None and by not in BY:
            raise UsageError(f"by={by!r}: statistics are grouped by {', '.join(BY)}")
        return await statistics.report(self, by=by, symbol=symbol)

    async def _draft(self, trade: str | Proposal | Sequence[int], quantity: int) -> trades.Draft:
        if isinstance(trade, Proposal):
            return trades.of_proposal(trade, quantity)
        if isinstance(trade, str):
            if PROPOSAL_ID.fullmatch(trade.strip()):
                return await trades.from_proposal(self, trade.strip(), quantity=quantity)
            return trades.from_text(trade, quantity=quantity, settings=self.settings)
        if isinstance(trade, Iterable) and all(isinstance(number, int) for number in trade):
            return await trades.from_positions(self, list(trade))
        raise UsageError(
            f"a trade is a text of legs, a proposal or its id, or contract ids; got {trade!r:.60}"
        )


def of_journal(journal: Journal) -> DeskJournal:
    """*journal* with the verbs."""
    return DeskJournal(
        journal.store,
        journal.settings,
        clock=journal.clock,
        fetch=journal.fetch,
        session=journal.session,
        source=journal.source,
    )


def _ticket(
    price: Price | None,
    at: dt.datetime | None,
    commission: float | None,
    note: str = "",
    *,
    offline: bool,
) -> TradeTicket:
    if at is not None and at.tzinfo is None:
        raise UsageError(f"at={at!r} needs a time zone, as in at.astimezone()")
    text = price if isinstance(price, str) or price is None else f"{price:.10g}"
    return TradeTicket(price=text, at=at, offline=offline, commission=commission, note=note)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    summary = dict(row["summary"])
    summary.pop("curve", None)
    for name in ("expiry", "settles", "last_expiry", "cluster"):
        if name in summary:
            summary[name] = dt.date.fromisoformat(summary[name])
    return summary
