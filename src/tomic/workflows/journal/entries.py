"""
The journal: entries opened, rolled, closed, noted and corrected; every change is kept.

Prices and context come from the gateway when it is there. Where it is not, an entry needs a price,
and says what of its context is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tomic import dates
from tomic.config import Settings
from tomic.errors import StoreError, UsageError
from tomic.journal import campaign, statistics
from tomic.models import documents
from tomic.models.documents import first_fault
from tomic.models.journal import ExitRules, JournalEntry, Note, Snapshot
from tomic.store import Change, Database
from tomic.store.journal import SNAPSHOT, fields_of

if TYPE_CHECKING:
    from tomic.ib.session import Session
    from tomic.workflows.journal.market import Fetch


@dataclass(frozen=True, slots=True)
class Journal:
    """
    The journal and what it asks for prices.

    Args:
        store: Where entries are.
        settings: All settings.
        clock: The time: the gateway's where there is one.
        fetch: Gives chains; None to ask nobody.
        session: Opens the session, for positions and executions; None to ask nobody.
        source: Where marks come from: live, demo or replay.
    """

    store: Database
    settings: Settings
    clock: Callable[[], Awaitable[dt.datetime]]
    fetch: Fetch | None = None
    session: Callable[[], Awaitable[Session]] | None = None
    source: str = "live"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it is now, and what the trader should know."""

    entry: JournalEntry
    notes: tuple[str, ...] = ()


# -- documents -------------------------------------------------------------------------------


def to_document(entry: JournalEntry) -> dict[str, Any]:
    """The entry as the store keeps it: with its summary, and a key of its own per snapshot."""
    document = documents.to_document(entry, exclude_defaults=True, exclude={"snapshots"})
    document["status"], document["strategy"] = entry.status.value, entry.strategy
    # Stored in UTC, so that text order is time order.
    document["opened_at"] = entry.opened_at.astimezone(dt.UTC).isoformat()
    if entry.closed_at is not None:
        document["closed_at"] = entry.closed_at.astimezone(dt.UTC).isoformat()
    for snapshot in entry.snapshots:
        key = SNAPSHOT + snapshot.at.astimezone(dt.UTC).isoformat()
        document[key] = documents.to_document(snapshot, exclude_defaults=True)
    document["summary"] = statistics.summarise(entry)
    return document


def from_document(document: Mapping[str, Any]) -> JournalEntry:
    """
    The entry behind a stored document.

    Raises:
        StoreError: It is not one, which a newer version may have written.
    """
    try:
        return JournalEntry.model_validate(fields_of(document))
    except ValidationError as exc:
        raise StoreError(
            f"journal entry {document.get('id')} cannot be read: {first_fault(exc)}"
        ) from exc


# -- reading -----------------------------------------------------------------------------------


async def load(journal: Journal, entry_id: int) -> JournalEntry:
    """
    One entry.

    Raises:
        UsageError: There is none of that number.
    """
    document = await journal.store.journal.load(entry_id)
    if document is None:
        raise UsageError(f"no journal entry {entry_id}; tomic journal list shows them")
    return from_document(document)


async def refuse_future(journal: Journal, at: dt.datetime | None) -> None:
    """
    Nothing has happened yet that lies ahead: not in a demo either, whose clock is its own.

    Raises:
        UsageError: *at* is later than now; None is now.
    """
    if at is not None and at > await journal.clock():
        raise UsageError(f"{at:%Y-%m-%d %H:%M} lies in the future; leave out --at for now")


async def load_open(journal: Journal, ids: Sequence[int] = ()) -> list[JournalEntry]:
    """Every open entry, or the named ones whatever their status."""
    if ids:
        return [await load(journal, number) for number in ids]
    return [from_document(document) for document in await journal.store.journal.load_all("open")]


async def history(journal: Journal, entry_id: int) -> list[Change]:
    """
    Every change of an entry, oldest first.

    Raises:
        UsageError: There is none of that number.
    """
    changes = await journal.store.journal.changes(entry_id)
    if not changes:
        raise UsageError(f"no journal entry {entry_id}; tomic journal list shows them")
    return changes


# -- writing -----------------------------------------------------------------------------------


async def save(
    journal: Journal, entry: JournalEntry, *, event: str, note: str = ""
) -> JournalEntry:
    """Write a new entry and return it with its number."""
    at = await journal.clock()
    number = await journal.store.journal.save(to_document(entry), event=event, at=at, note=note)
    return await load(journal, number)


async def change(
    journal: Journal,
    entry_id: int,
    what: Callable[[JournalEntry], JournalEntry],
    *,
    event: str,
    note: str = "",
    at: dt.datetime | None = None,
) -> JournalEntry:
    """Read, change and write one entry in one transaction: two writers lose nothing."""
    document = await journal.store.journal.change(
        entry_id,
        lambda document: to_document(what(from_document(document))),
        event=event,
        at=at or await journal.clock(),
        note=note,
    )
    return from_document(document)


async def add_note(journal: Journal, entry_id: int, text: str) -> JournalEntry:
    """Add a dated note."""
    at = await journal.clock()
    note = Note(at=at, text=text)
    return await change(
        journal,
        entry_id,
        lambda entry: entry.model_copy(update={"notes": (*entry.notes, note)}),
        event="note",
        at=at,
    )


async def continue_from(journal: Journal, entry_id: int, earlier: int) -> JournalEntry:
    """
    Say that an entry goes on with the campaign of an earlier one: they get one result together.

    Raises:
        UsageError: No such entry, or the two would go round in a circle.
    """
    number: int | None = earlier
    while number is not None:
        if number == entry_id:
            raise UsageError(f"entry {earlier} already continues entry {entry_id}")
        number = (await load(journal, number)).continues
    return await change(
        journal,
        entry_id,
        lambda entry: entry.model_copy(update={"continues": earlier}),
        event="link",
        note=f"continues {earlier}",
    )


def with_snapshot(
    entry: JournalEntry, snapshot: Snapshot, *, at: dt.datetime | None = None, note: str = ""
) -> JournalEntry:
    """The entry with one more snapshot, its P&L computed."""
    pnl = campaign.worth(entry, snapshot.prices).pnl
    changes: dict[str, Any] = {"pnl": None if pnl is None else round(pnl, 2)}
    changes["at"] = at or campaign.not_before(entry, snapshot.at)
    if note:
        changes["note"] = note
    shots = sorted(
        (*entry.snapshots, snapshot.model_copy(update=changes)), key=lambda shot: shot.at
    )
    return entry.model_copy(update={"snapshots": tuple(shots)})


def rules_for(settings: Settings, strategy: str, changes: Mapping[str, Any]) -> ExitRules:
    """
    Exit rules of a strategy as the settings have them, with the trader's own changes.

    Raises:
        UsageError: No such rule, or a value that cannot be right.
    """
    from tomic.config.book import ExitSettings

    given = settings.journal.exits_for(strategy).model_dump()
    unknown = sorted(set(changes) - set(given))
    if unknown:
        raise UsageError(f"no exit rule {unknown[0]}; there are {', '.join(sorted(given))}")
    try:
        checked = ExitSettings.model_validate({**given, **changes})
    except ValidationError as exc:
        raise UsageError(first_fault(exc)) from exc
    return ExitRules.model_validate(checked.model_dump())


async def listing(
    journal: Journal,
    *,
    status: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    since: dt.date | None = None,
) -> list[dict[str, Any]]:
    """A row per entry from the summaries alone: quick for thousands."""
    summaries = await journal.store.journal.summaries(
        status, symbol=symbol, strategy=strategy, since=since
    )
    day = (await journal.clock()).astimezone(dates.NEW_YORK).date()
    return [statistics.row(summary, day) for summary in summaries]
