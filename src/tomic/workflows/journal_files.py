"""The journal in and out: the original's file, a broker's CSV, TWS itself, our own JSON and CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tomic.errors import BadFile, StoreError
from tomic.ib import executions as ib_executions
from tomic.journal import broker, campaign, executions, legacy
from tomic.journal.executions import Executed, Placed
from tomic.models import documents
from tomic.models.faults import first_fault
from tomic.models.journal import Action, Contract, EntryStatus, JournalEntry
from tomic.store import Execution
from tomic.workflows.journal import Journal, from_document, rules_for, to_document
from tomic.workflows.journal_opening import strategy_of

SCHEMA = "tomic.journal/1"
KINDS = (
    "the original's journal.json, an export of tomic journal, or a CSV of trades of Interactive "
    "Brokers (activity statement or Flex query)"
)


@dataclass(frozen=True, slots=True)
class ImportedJournal:
    """What an import did."""

    kind: str
    added: tuple[int, ...] = ()
    """Numbers of new entries."""
    changed: tuple[int, ...] = ()
    """Numbers of entries that got trades or prices."""
    known: int = 0
    """What was there already."""
    notes: tuple[str, ...] = ()


async def import_file(journal: Journal, path: Path) -> ImportedJournal:
    """
    Import a file, whatever of the known kinds it is; doing it again adds nothing.

    Raises:
        BadFile: Missing, unreadable, or of no known kind.
    """
    text = _read(path)
    if text.lstrip()[:1] not in ("{", "["):
        found = broker.parse(str(path), text)
        notes = [f"{found.left_out} rows of other instruments left out"] if found.left_out else []
        return await _take(journal, found.kind, found.executions, notes)
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise BadFile(f"{path}: {exc}; it can be {KINDS}") from exc
    if legacy.is_legacy(document):
        return await import_legacy(journal, document)
    if isinstance(document, dict) and document.get("schema") == SCHEMA:
        return await _import_own(journal, path, document.get("entries", []))
    raise BadFile(f"{path}: JSON of another kind; it can be {KINDS}")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8; it can be {KINDS}") from exc


# -- the original ------------------------------------------------------------------------------


async def import_legacy(journal: Journal, documents: Sequence[dict[str, Any]]) -> ImportedJournal:
    """Take over the entries of a ``journal.json``; TradeIDs stay where they are free."""
    stored = await _all(journal)
    known = {_mark(one.original) for one in stored if one.original is not None}
    taken = {one.id for one in stored}
    notes: list[str] = []
    entries: list[JournalEntry] = []
    skipped = 0
    for found in legacy.read(documents):
        name = f"TradeID {found.trade_id}"
        notes += [f"{name}: {text}" for text in found.notes]
        if found.entry is None:
            continue
        if _mark(found.entry.original) in known:
            skipped += 1
            continue
        entry = found.entry
        if entry.id in taken:
            notes.append(f"{name}: the number is taken here; it gets a new one")
            entry = entry.model_copy(update={"id": None})
        taken.add(entry.id)
        entries.append(entry)
    # Numbered ones first, so that new numbers come after them.
    entries.sort(key=lambda one: one.id is None)
    numbers = await journal.store.save_entries(
        [_new(one) for one in entries], event="import", at=await journal.clock()
    )
    return ImportedJournal(
        "journal.json of the original", tuple(numbers), (), skipped, tuple(notes)
    )


def _mark(original: dict[str, Any] | None) -> tuple[str, ...]:
    own = original or {}
    return tuple(str(own.get(name, "")) for name in ("TradeID", "DatumIn", "Symbool"))


def _new(entry: JournalEntry) -> dict[str, Any]:
    document = to_document(entry)
    if entry.id is None:
        document.pop("id", None)
    document.pop("revision", None)
    return document


async def _all(journal: Journal) -> list[JournalEntry]:
    return [from_document(one) for one in await journal.store.load_entries()]


# -- our own -----------------------------------------------------------------------------------


async def _import_own(journal: Journal, path: Path, rows: Any) -> ImportedJournal:
    try:
        entries = [JournalEntry.model_validate(row) for row in rows]
    except ValidationError as exc:
        raise BadFile(f"{path}: entry that cannot be read: {first_fault(exc)}") from exc
    except TypeError as exc:
        raise BadFile(f"{path}: its entries are no list") from exc
    stored = await _all(journal)
    numbers = {one.id for one in stored}
    same = {_own_mark(one) for one in stored}
    fresh = [one for one in entries if _own_mark(one) not in same]
    notes = tuple(
        f"entry {one.id}: the number is taken here; it gets a new one"
        for one in fresh
        if one.id in numbers
    )
    moved = [one.model_copy(update={"id": None}) if one.id in numbers else one for one in fresh]
    moved.sort(key=lambda one: one.id is None)
    added = await journal.store.save_entries(
        [_new(one) for one in moved], event="import", at=await journal.clock()
    )
    known = len(entries) - len(fresh)
    return ImportedJournal("export of tomic journal", tuple(added), (), known, notes)


def _own_mark(entry: JournalEntry) -> tuple[Any, ...]:
    first = entry.trades[0].fills if entry.trades else ()
    return entry.symbol, entry.opened_at, tuple((fill.key, fill.quantity) for fill in first)


# -- executions --------------------------------------------------------------------------------


async def import_from_tws(journal: Journal) -> ImportedJournal:
    """
    Take the executions that TWS still knows.

    Raises:
        SessionError: The gateway cannot be reached.
    """
    if journal.session is None:
        raise StoreError("executions come from the gateway; leave out --offline")
    session = await journal.session()
    timeout_s = journal.settings.portfolio.account_timeout_s
    found, left_out = await ib_executions.executions(session, timeout_s=timeout_s)
    notes = [f"{left_out} executions of other instruments left out"] if left_out else []
    return await _take(journal, "executions of TWS", found, notes)


async def _take(
    journal: Journal, kind: str, found: Iterable[Executed], notes: list[str]
) -> ImportedJournal:
    """Keep new executions, and find the campaign of each that belongs to none yet."""
    every = list(found)
    before = {one.exec_id for one in await journal.store.load_executions()}
    await journal.store.save_executions(map(_stored, every))
    known = sum(one.exec_id in before for one in every)
    entries = await _all(journal)
    waiting = await _unlinked(journal, entries)
    costs = journal.settings.costs.commission
    placed = executions.place(waiting, entries, commission=costs)
    if any(one.commission is None for one in waiting):
        notes.append(f"commissions unknown: {costs:g} a contract of the settings taken")
    added, changed = await _write(journal, placed, len(entries), notes)
    return ImportedJournal(kind, added, changed, known, tuple(notes))


async def _unlinked(journal: Journal, entries: Iterable[JournalEntry]) -> list[Executed]:
    """Executions of no entry yet; links that an interrupted run left out are made up for."""
    owners = {
        number: entry.id
        for entry in entries
        for trade in entry.trades
        for fill in trade.fills
        for number in fill.exec_id.split()
    }
    waiting = []
    for one in await journal.store.load_executions(unlinked=True):
        owner = owners.get(one.exec_id)
        if owner is None:
            waiting.append(loaded(one))
        else:
            await journal.store.link_executions([one.exec_id], owner)
    return waiting


async def _write(
    journal: Journal, placed: Sequence[Placed], known: int, notes: list[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    last: dict[int, JournalEntry] = {}
    ids: dict[int, list[str]] = {}
    for one in placed:
        last[one.number] = one.entry
        ids.setdefault(one.number, []).extend(one.exec_ids)
        notes.append(_told(one))
    added: list[int] = []
    changed: list[int] = []
    at = await journal.clock()
    for number, entry in last.items():
        document = to_document(_named(journal, entry) if number >= known else entry)
        if number >= known:
            document.pop("id", None)
            document.pop("revision", None)
        saved = await journal.store.save_entry(document, event="executions", at=at)
        (changed if number < known else added).append(saved)
        await journal.store.link_executions(ids[number], saved)
    return tuple(added), tuple(changed)


def _told(placed: Placed) -> str:
    entry = placed.entry
    if placed.how == "confirmed":
        return f"confirmed: {entry.symbol}, entry {entry.id}"
    legs = ", ".join(f"{fill.quantity:+g} {fill.name}" for fill in entry.trades[-1].fills)
    return f"{placed.how}: {entry.symbol} {legs}"


def _named(journal: Journal, entry: JournalEntry) -> JournalEntry:
    """A new entry with the strategy that its legs make, and that strategy's exit rules."""
    strategy = strategy_of(entry.symbol, campaign.held(entry, entry.opened_at))
    rules = rules_for(journal.settings, strategy, {})
    return entry.model_copy(update={"strategy": strategy, "rules": rules})


def _stored(one: Executed) -> Execution:
    document = {
        "contract": documents.to_document(one.contract),
        "quantity": one.quantity,
        "price": one.price,
        "commission": one.commission,
        "order": one.order,
        "action": one.action.value if one.action else None,
    }
    return Execution(one.exec_id, one.at, one.symbol, one.contract.con_id, document)


def loaded(one: Execution) -> Executed:
    """A stored execution as it was reported."""
    document = one.document
    action = document.get("action")
    return Executed(
        exec_id=one.exec_id,
        at=one.at,
        symbol=one.symbol,
        contract=Contract.model_validate(document["contract"]),
        quantity=document["quantity"],
        price=document["price"],
        commission=document.get("commission"),
        order=document.get("order", ""),
        action=Action(action) if action else None,
    )


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
    stored = await journal.store.load_entries(status, symbol=symbol)
    entries = [from_document(one) for one in stored]
    if form == "original":
        originals = [legacy.write(one) for one in entries]
        return json.dumps(originals, indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        pairs = zip(entries, stored, strict=True)
        return _csv(ENTRY_COLUMNS, (_entry_row(one, row) for one, row in pairs))
    if form == "fills":
        return _csv(FILL_COLUMNS, (row for one in entries for row in _fill_rows(one)))
    whole = [documents.to_document(one, exclude_defaults=True) for one in entries]
    return json.dumps({"schema": SCHEMA, "entries": whole}, indent=2, ensure_ascii=False) + "\n"


def _csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
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
