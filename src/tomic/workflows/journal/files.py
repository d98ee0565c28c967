"""The journal in and out: the original's file, a broker's files, TWS itself, our own formats."""

from __future__ import annotations

import asyncio
import codecs
import csv
import datetime as dt
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tomic import disk, flex, outside
from tomic.disk import parse_foreign_json
from tomic.errors import BadFile, ConfigError, FlexError, StoreError, TomicError
from tomic.ib import account
from tomic.journal import broker, campaign, legacy
from tomic.journal.broker import FileRow
from tomic.models import documents
from tomic.models.documents import first_fault
from tomic.models.journal import EntryStatus, JournalEntry
from tomic.workflows.journal import executions
from tomic.workflows.journal.entries import Journal, from_document, load_all, to_document

SCHEMA = "tomic.journal/1"
_MOST = 128_000_000
"""Bytes; a journal of a lifetime is smaller."""
_LOOK = 400
"""Bytes of which every other one is 0 in text of two bytes a letter."""
KINDS = f"the original's journal.json, an export of tomic journal, {broker.KINDS}"


@dataclass(frozen=True, slots=True)
class ImportedJournal(executions.Intake):
    """What an import did."""

    kind: str = ""
    """What it was that was imported."""


async def import_file(journal: Journal, path: Path) -> ImportedJournal:
    """
    Import a file, whatever of the known kinds it is; doing it again adds nothing.

    Raises:
        BadFile: Missing, unreadable, or of no known kind.
    """
    # In threads: a year of trades takes its time, and what else runs here shall not wait for it.
    text = await asyncio.to_thread(_read, path)
    if text.lstrip()[:1] not in ("{", "["):
        return await import_text(journal, str(path), text)
    try:
        document = parse_foreign_json(text)
    except ValueError as exc:
        raise BadFile(f"{path}: {exc}; it can be {KINDS}") from exc
    if legacy.is_legacy(document):
        return await import_legacy(journal, document)
    if isinstance(document, dict) and document.get("schema") == SCHEMA:
        return await _import_own(journal, path, document.get("entries", []))
    raise BadFile(f"{path}: JSON of another kind; it can be {KINDS}")


def _read(path: Path) -> str:
    try:
        return outside.lines(decoded(disk.read_bytes(path, _MOST)))
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8; it can be {KINDS}") from exc


def decoded(data: bytes) -> str:
    """
    Text as brokers and spreadsheets write it: UTF-8, UTF-16, or Windows' western letters.

    Raises:
        UnicodeDecodeError: None of them.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    start = data[:_LOOK]
    if not start.startswith(codecs.BOM_UTF8) and start[1::2].count(0) > len(start) // 4:
        return data.decode("utf-16-le")
    if start[::2].count(0) > len(start) // 4:
        return data.decode("utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What has the signs of a table or of XML but letters of its own is a spreadsheet's export.
        if any(byte < 9 for byte in data) or not any(sign in data for sign in (b",", b";", b"\t")):
            raise
        return data.decode("cp1252")


# -- the original ------------------------------------------------------------------------------


async def import_legacy(journal: Journal, documents: Sequence[dict[str, Any]]) -> ImportedJournal:
    """Take over the entries of a ``journal.json``; TradeIDs stay where they are free."""
    stored = await load_all(journal)
    known = {_mark(entry.original) for entry in stored if entry.original is not None}
    taken = {entry.id for entry in stored}
    notes: list[str] = []
    entries: list[JournalEntry] = []
    ahead: list[FileRow] = []
    now = await journal.clock()
    skipped = 0
    for read in legacy.read(documents):
        name = f"TradeID {read.trade_id}"
        notes += [f"{name}: {text}" for text in read.notes]
        if read.entry is None:
            continue
        if _mark(read.entry.original) in known:
            skipped += 1
            continue
        entry = read.entry
        if moment := _in_future(entry, now):
            ahead.append(_left_out(entry, len(ahead) + 1, moment))
            continue
        if entry.id in taken:
            notes.append(f"{name}: the number is taken here; it gets a new one")
            entry = entry.model_copy(update={"id": None})
        taken.add(entry.id)
        entries.append(entry)
    added = await _save(journal, entries, now)
    notes += await executions.keep_aside(journal, "journal.json", ahead)
    return ImportedJournal(
        added,
        known=skipped,
        aside=len(ahead),
        notes=tuple(notes),
        kind="journal.json of the original",
    )


def _in_future(entry: JournalEntry, now: dt.datetime) -> dt.datetime | None:
    """The last of its moments where that lies ahead: what has not happened is no entry yet."""
    moments = [entry.opened_at, entry.closed_at, *(trade.at for trade in entry.trades)]
    moments += [note.at for note in entry.notes]
    moments += [snapshot.at for snapshot in entry.snapshots]
    last = max(moment for moment in moments if moment is not None)
    return last if last > now + executions.AHEAD else None


def _left_out(entry: JournalEntry, place: int, moment: dt.datetime) -> FileRow:
    name = f"entry {entry.id}" if entry.id is not None else f"an entry of {entry.symbol}"
    reason = f"{name} has something of {moment:%Y-%m-%d}, which lies in the future"
    return FileRow(place, "", documents.to_text(entry, exclude_defaults=True), reason)


def _mark(original: dict[str, Any] | None) -> tuple[str, ...]:
    own = original or {}
    return tuple(str(own.get(name, "")) for name in ("TradeID", "DatumIn", "Symbool"))


async def _save(
    journal: Journal, entries: Iterable[JournalEntry], now: dt.datetime
) -> tuple[int, ...]:
    """Write new entries, numbered ones first, so that new numbers come after them."""
    ordered = sorted(entries, key=lambda entry: entry.id is None)
    new = [to_document(entry.model_copy(update={"revision": 0})) for entry in ordered]
    return tuple(await journal.store.journal.save_all(new, event="import", at=now))


# -- our own -----------------------------------------------------------------------------------


async def _import_own(journal: Journal, path: Path, rows: Any) -> ImportedJournal:
    try:
        entries = [JournalEntry.model_validate(row) for row in rows]
    except ValidationError as exc:
        raise BadFile(f"{path}: entry that cannot be read: {first_fault(exc)}") from exc
    except TypeError as exc:
        raise BadFile(f"{path}: its entries are no list") from exc
    stored = await load_all(journal)
    numbers = {entry.id for entry in stored}
    same = {_own_mark(entry) for entry in stored}
    now = await journal.clock()
    unknown = [entry for entry in entries if _own_mark(entry) not in same]
    ahead = [
        _left_out(entry, place, moment)
        for place, entry in enumerate(unknown, start=1)
        if (moment := _in_future(entry, now))
    ]
    fresh = [entry for entry in unknown if not _in_future(entry, now)]
    notes = tuple(
        f"entry {entry.id}: the number is taken here; it gets a new one"
        for entry in fresh
        if entry.id in numbers
    )
    moved = (
        entry.model_copy(update={"id": None}) if entry.id in numbers else entry for entry in fresh
    )
    added = await _save(journal, moved, now)
    notes = (*notes, *await executions.keep_aside(journal, str(path), ahead))
    known = len(entries) - len(unknown)
    return ImportedJournal(
        added, known=known, aside=len(ahead), notes=notes, kind="export of tomic journal"
    )


def _own_mark(entry: JournalEntry) -> tuple[Any, ...]:
    first = entry.trades[0].fills if entry.trades else ()
    return entry.symbol, entry.opened_at, tuple((fill.key, fill.quantity) for fill in first)


# -- executions --------------------------------------------------------------------------------


async def import_text(journal: Journal, name: str, text: str) -> ImportedJournal:
    """
    Import what a broker wrote, a statement or a query; *name* is put in front of what is wrong.

    Raises:
        BadFile: It is neither, or was cut off.
    """
    stored = await executions.recognisable(journal)
    file = await asyncio.to_thread(broker.parse, name, text, stored)
    kind, notes = file.kind, list(file.say())
    taking = executions.take_file(journal, name, file)
    # Its rows, and what is known, take more memory than what comes of them.
    del file, stored, text
    return _imported(kind, await taking, notes)


def _imported(kind: str, taken: executions.Intake, notes: Sequence[str]) -> ImportedJournal:
    return ImportedJournal(**{**asdict(taken), "notes": (*notes, *taken.notes), "kind": kind})


async def import_from_tws(journal: Journal) -> ImportedJournal:
    """
    Take the executions that TWS still knows.

    Raises:
        SessionError: The gateway cannot be reached.
    """
    if journal.session is None:
        raise StoreError("executions come from the gateway; leave out offline (--offline)")
    session = await journal.session()
    timeout_s = journal.settings.portfolio.account_timeout_s
    executed, left_out = await account.executions(
        session, timeout_s=timeout_s, market=journal.settings.market
    )
    notes = [f"{left_out} executions of other instruments left out"] if left_out else []
    taken = await executions.take(journal, "TWS", executed)
    return _imported("executions of TWS", taken, notes)


async def import_by_flex(
    journal: Journal,
) -> AsyncIterator[tuple[str, ImportedJournal | TomicError]]:
    """
    Fetch the queries of the settings by the Flex Web Service, one after the other, and import them.

    Yields:
        Name of the query, and what it brought or why it brought nothing: one that fails keeps no
        other from being fetched.

    Raises:
        ConfigError: There is no query, or no token that can be used.
    """
    settings = journal.settings.flex
    if not settings.query:
        raise ConfigError(
            "no Flex query; put its number into flex.query or TOMIC_FLEX_QUERY (Client Portal > "
            "Performance & Reports > Flex Queries shows it)",
            key="flex.query",
        )
    token = await asyncio.to_thread(flex.read_token, settings)
    service = flex.FlexService(settings, token)
    for query in settings.query:
        name = f"Flex query {query}"
        try:
            yield name, await import_text(journal, name, await service.report(query))
        except (FlexError, BadFile) as exc:
            yield name, exc


# -- out ---------------------------------------------------------------------------------------

ENTRY_COLUMNS = (
    "id", "continues", "symbol", "strategy", "status", "opened_at", "closed_at", "days", "legs",
    "structures", "credit", "premium", "commissions", "result", "margin", "margin_bounded", "rom",
    "pos", "ev", "score", "grade", "spot", "iv", "iv_rank", "iv_percentile", "hv30", "vix", "atr14",
    "skew", "delta", "gamma", "vega", "theta", "slippage", "proposal", "tags", "plan", "reason",
)  # fmt: skip
"""Columns of the export of entries, in order."""
FILL_COLUMNS = (
    "id", "at", "action", "symbol", "expiry", "strike", "right", "multiplier", "quantity", "price",
    "net_price", "mid", "commission", "exec_id",
)  # fmt: skip
"""Columns of the export of fills, in order."""


async def export(
    journal: Journal, *, form: str = "json", status: str | None = None, symbol: str | None = None
) -> str:
    """
    The journal as text.

    Args:
        form: ``json`` (everything; can be imported again), ``csv`` (a row per entry), ``fills`` (a
            row per fill) or ``original`` (a ``journal.json`` with every field it came with).
    """
    stored = await journal.store.journal.load_all(status, symbol=symbol)
    entries = [from_document(document) for document in stored]
    if form == "original":
        originals = [legacy.write(entry) for entry in entries]
        return json.dumps(originals, indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        pairs = zip(entries, stored, strict=True)
        return _csv(ENTRY_COLUMNS, (_entry_row(entry, row) for entry, row in pairs))
    if form == "fills":
        return _csv(FILL_COLUMNS, (row for entry in entries for row in _fill_rows(entry)))
    whole = [documents.to_document(entry, exclude_defaults=True) for entry in entries]
    return json.dumps({"schema": SCHEMA, "entries": whole}, indent=2, ensure_ascii=False) + "\n"


def _csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows({key: outside.cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _entry_row(entry: JournalEntry, stored: dict[str, Any]) -> dict[str, Any]:
    summary, context = stored["summary"], entry.context
    result = summary.get("result")
    is_done = entry.status is EntryStatus.CLOSED
    return {
        **documents.to_document(context),
        **summary,
        "id": entry.id,
        "continues": entry.continues,
        "symbol": entry.symbol,
        "strategy": entry.strategy,
        "status": entry.status.value,
        "opened_at": entry.opened_at.isoformat(),
        "closed_at": entry.closed_at.isoformat() if entry.closed_at else None,
        "days": campaign.days_in_trade(entry, dt.date.max) if is_done else None,
        "rom": round(result / context.margin, 6) if result is not None and context.margin else None,
        "tags": " ".join(entry.tags),
        "plan": entry.plan,
        "reason": entry.reason,
    }


def _fill_rows(entry: JournalEntry) -> Iterable[dict[str, Any]]:
    for trade in entry.trades:
        for fill in trade.fills:
            yield {
                **documents.to_document(fill),
                "id": entry.id,
                "at": trade.at.isoformat(),
                "action": trade.action.value,
                "symbol": entry.symbol,
                "net_price": trade.price,
            }
