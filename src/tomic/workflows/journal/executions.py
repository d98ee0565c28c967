"""
Executions of a broker: kept, put into entries, and set aside where they belong nowhere.

What arrives is stored before anything is made of it. One order is placed in one transaction; what
cannot be placed waits with its reason, is tried again by the next import, and costs nothing else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from tomic.errors import BadFile, StoreBusy, TomicError, UsageError
from tomic.journal import broker, campaign, executions
from tomic.journal.broker import FileRow
from tomic.journal.broker.rows import drained
from tomic.journal.executions import Executed, Placed, PlacedOrder
from tomic.models import documents
from tomic.models.documents import finite, first_fault
from tomic.models.journal import (
    Action,
    CashFlow,
    Contract,
    ContractChange,
    EntryStatus,
    ExitRules,
    Fill,
    JournalEntry,
)
from tomic.store import Booking, Decision, Execution, UnreadRow
from tomic.workflows.journal.entries import Journal, change, load, load_all, rules_for, to_document
from tomic.workflows.journal.trades import strategy_of

AHEAD = dt.timedelta(minutes=5)
"""Clocks of brokers and computers differ by less."""
_DUST = 1e-6
_TRIES = 5
"""How often in a row another run may get in between without either placing anything."""
_OURSELVES = "tomic"
"""Who decided, where the executions themselves tell."""
_MOST_NOTES = 20
_FEW = 20
"""Symbols whose entries are read one by one."""
_AT_ONCE = 400
"""Entries of one transaction."""
_TEXTS = ("account", "currency", "trade_id", "transaction_id")


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of executions and rows that were taken in."""

    added: tuple[int, ...] = ()
    """Numbers of new entries."""
    changed: tuple[int, ...] = ()
    """Numbers of entries that got trades or prices."""
    known: int = 0
    """What was there already."""
    aside: int = 0
    """Of what was taken in, how much belongs to no entry yet."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution, or a row that is none, and what became of it."""

    id: str
    status: str
    """placed, waiting (for the next import), ignored, or unread (no execution)."""
    at: dt.datetime | None = None
    symbol: str = ""
    contract: str = ""
    quantity: float | None = None
    price: float | None = None
    """Currency per share."""
    commission: float | None = None
    order: str = ""
    entry: int | None = None
    reason: str = ""
    """Why it is in no entry, or what of it is in none."""
    source: str = ""
    line: int | None = None
    text: str = ""
    """The row as it stands in its file, where it is no execution."""
    decisions: tuple[Decision, ...] = ()
    """That it was set aside or taken back, oldest first."""


# -- taking in -----------------------------------------------------------------------------------


async def take_file(journal: Journal, name: str, file: broker.BrokerFile) -> Intake:
    """Keep what a broker's file holds, and place what can be placed."""
    given = list(zip(file.executions, file.rows, strict=True))
    odd, known = file.odd, file.known
    bookings: tuple[CashFlow | ContractChange, ...] = (*file.cash_flows, *file.contract_changes)
    del file
    return await _take(journal, name, given, odd, bookings, recognised=known)


async def take(
    journal: Journal,
    name: str,
    executed: Iterable[Executed],
    bookings: Iterable[CashFlow | ContractChange] = (),
) -> Intake:
    """Keep executions and bookings that came from elsewhere, and place what can be placed."""
    given: list[tuple[Executed, FileRow]] = []
    odd: list[FileRow] = []
    for execution in executions.numbered(executed):
        reason = executions.fault(execution)
        row = FileRow(0, "", _text(execution), reason)
        if reason:
            odd.append(row)
        else:
            given.append((execution, row))
    return await _take(journal, name, given, odd, tuple(bookings))


def _text(execution: Executed) -> str:
    own = {name: getattr(execution, name) for name in ("exec_id", "at", "symbol")}
    return json.dumps({**_document(execution), **own}, ensure_ascii=False, default=str)


async def recognisable(journal: Journal) -> dict[str, broker.Stored]:
    """Stored executions that a broker's file may name again without telling anything new."""
    read = await journal.store.journal.each_execution(lambda row: (row.exec_id, _recognisable(row)))
    return {number: own for number, own in read if own is not None}


_ENRICHED = ("order", "opens", "account", "currency", "trade_id", "transaction_id", "commission")
"""What a later report may tell of an execution."""


def _recognisable(stored: Execution) -> broker.Stored | None:
    """None where more than that may be told: a contract that is not known whole, for one."""
    document = stored.document
    contract = document.get("contract") or {}
    is_whole = contract.get("right") is None or contract.get("trading_class")
    quantity, price = _number(document.get("quantity")), _number(document.get("price"))
    if (
        stored.con_id is None
        or not is_whole
        or document.get("lacks_multiplier")
        or document.get("cancels")
        or not quantity
        or price is None
    ):
        return None
    lacks = tuple(name for name in _ENRICHED if document.get(name) in (None, ""))
    return broker.Stored(stored.con_id, quantity, price, document.get("account", ""), lacks)


@dataclass(slots=True)
class _Sorted:
    """What was given, by what is stored of it already."""

    stored: dict[str, Executed | None]
    """None for what can have been no trade."""
    ids: list[str] = field(default_factory=list)
    """Numbers of all that was given."""
    fresh: dict[str, Executed] = field(default_factory=dict)
    richer: dict[str, Executed] = field(default_factory=dict)
    """Stored ones of which more is told now."""
    refused: list[FileRow] = field(default_factory=list)
    resolved: dict[str, str] = field(default_factory=dict)
    """Number of the execution that a row kept aside turned out to be."""


async def _take(
    journal: Journal,
    name: str,
    given: list[tuple[Executed, FileRow]],
    odd: Sequence[FileRow],
    bookings: Sequence[CashFlow | ContractChange],
    *,
    recognised: Sequence[str] = (),
) -> Intake:
    """
    Keep everything; then place what waits, old and new; then say what became of it.

    *given* is emptied: rows of a file are let go before anything is placed.
    """
    now = await journal.clock()
    told = await _sorted(journal, given, odd, bool(bookings))
    rows = _unread(name, now, told.refused)
    new_rows = await _keep(journal, told, rows)
    booked = await _keep_bookings(journal, bookings)
    # What another report has told already is set aside: one trade counts once.
    known = [execution for execution in told.stored.values() if execution is not None]
    repeated = executions.told_before(list(told.fresh.values()), known)
    reasons = {number: f"the same trade as {other}" for number, other in repeated.items()}
    await _set_aside(journal, reasons, now)
    changed = told.fresh.keys() | told.richer.keys() | booked.changes
    at_hand = {execution.exec_id: execution for execution in known} | told.fresh | told.richer
    placing = await _place(journal, now, changed=changed, at_hand=at_hand)
    reasons_of_cash = await _book_cash(journal, now)
    waiting = {*told.ids, *recognised} & placing.reasons.keys()
    unbooked = booked.cash & reasons_of_cash.keys()
    waits = [placing.reasons[number] for number in sorted(waiting)]
    waits += [reasons_of_cash[number] for number in sorted(unbooked)]
    is_known = sum(number in told.stored for number in told.ids) + len(recognised)
    return Intake(
        added=tuple(placing.added),
        changed=tuple(placing.changed),
        known=is_known + max(len(rows) - new_rows, 0),
        aside=len(waits) + len(told.refused),
        notes=_say(placing.notes, told.refused, waits, booked.faults),
    )


async def _sorted(
    journal: Journal,
    given: list[tuple[Executed, FileRow]],
    odd: Sequence[FileRow],
    has_bookings: bool,
) -> _Sorted:
    """Tell what is new and what says more from what is known; and read again what is aside."""
    readable = await _read_again(journal)
    stored: dict[str, Executed | None] = {}
    if given or readable or has_bookings:
        stored = dict(
            await journal.store.journal.each_execution(lambda row: (row.exec_id, _sound(row)[0]))
        )
    told = _Sorted(stored, refused=list(odd))
    for execution, row in drained(given):
        _sort(_known_as(execution, stored), row, "", told)
    for execution, row, row_id in readable:
        _sort(_known_as(execution, stored), row, row_id, told)
    return told


def _sort(execution: Executed, row: FileRow, row_id: str, told: _Sorted) -> None:
    """Put one execution where it belongs; *row_id* is that of a row that was kept aside."""
    number = execution.exec_id
    other = told.fresh.get(number) or told.stored.get(number)
    is_other = other is not None and not _is_same(execution, other)
    if row_id and not is_other:
        told.resolved[row_id] = number
    elif other is not None and is_other and not row_id:
        reason = f"number {number} is that of another execution: {_described(other)}"
        told.refused.append(replace(row, reason=reason))
    if not row_id:
        told.ids.append(number)
    if is_other:
        return
    if number not in told.stored:
        told.fresh.setdefault(number, execution)
    elif other is not None and execution != other:
        more = executions.enriched(told.richer.get(number, other), execution)
        if more != other:
            told.richer[number] = more


async def _keep(journal: Journal, told: _Sorted, rows: Sequence[UnreadRow]) -> int:
    """Store what was told; how many rows were not known."""
    kept = journal.store.journal
    new_rows = await kept.save_unread_rows(rows) if rows else 0
    if told.fresh:
        await kept.save_executions(map(_stored, told.fresh.values()))
    if told.richer:
        await kept.rewrite_executions(map(_stored, told.richer.values()))
    if told.resolved:
        await kept.resolve_unread_rows(told.resolved)
    return new_rows


def _say(
    notes: Sequence[str], refused: Sequence[FileRow], waits: Sequence[str], faults: Sequence[str]
) -> tuple[str, ...]:
    """What people should read: what was placed, what was not and why, and where that is listed."""
    said = _first_of(notes)
    said += _first_of(f"line {row.line}: {row.reason}; kept aside" for row in refused)
    said += _first_of(f"waits: {reason}" for reason in waits)
    said += _first_of(faults)
    if waits or refused:
        said.append("tomic journal executions --unplaced lists what waits for an entry")
    return tuple(said)


def _known_as(execution: Executed, stored: Mapping[str, Executed | None]) -> Executed:
    """
    An execution with the number under which it is stored.

    Statements were numbered without their account once, and a replacement that has the number of
    what it replaces gets one of its own.
    """
    number = execution.exec_id
    bare = number.removeprefix(f"{execution.account}|") if execution.account else number
    if number not in stored and bare in stored:
        other = stored[bare]
        if other is not None and other.account in ("", execution.account):
            return replace(execution, exec_id=bare)
    other = stored.get(number)
    ids = {execution.transaction_id, other.transaction_id if other else ""} - {""}
    if len(ids) > 1 and number == execution.trade_id:
        return replace(execution, exec_id=f"{number}/{execution.transaction_id}")
    return execution


@dataclass(slots=True)
class _Booked:
    """Bookings of one import that were not known."""

    cash: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


async def _keep_bookings(
    journal: Journal, bookings: Sequence[CashFlow | ContractChange]
) -> _Booked:
    """Keep payments and corporate actions that are not known yet."""
    booked, rows = _Booked(), []
    known = {own.booking_id for own in await journal.store.journal.bookings()} if bookings else {}
    counts: Counter[str] = Counter()
    for told in bookings:
        text = documents.to_text(told.model_copy(update={"source": ""}), exclude_defaults=True)
        counts[text] += 1
        made = hashlib.sha256(f"{text} {counts[text]}".encode()).hexdigest()[:12]
        number = told.id or f"booking-{made}"
        booking = told.model_copy(update={"id": number})
        kind = "cash" if isinstance(booking, CashFlow) else "change"
        reason = executions.fault(booking)
        if reason:
            booked.faults.append(f"{kind} {number}: {reason}; kept aside")
        if number not in known:
            (booked.cash if kind == "cash" else booked.changes).add(number)
        document = documents.to_document(booking, exclude_defaults=True)
        rows.append(
            Booking(number, kind, booking.at, booking.account, booking.symbol, document, reason)
        )
    if rows:
        await journal.store.journal.save_bookings(rows)
    return booked


async def keep_aside(journal: Journal, name: str, rows: Sequence[FileRow]) -> list[str]:
    """Keep rows that cannot be used, with their reasons; returns what to say of them."""
    if rows:
        await journal.store.journal.save_unread_rows(_unread(name, await journal.clock(), rows))
    return _first_of(f"{row.reason}; kept aside" for row in rows)


def _first_of(texts: Iterable[str]) -> list[str]:
    """The first of many, and how many more there are; equal ones once."""
    kept = list(dict.fromkeys(texts))
    more = len(kept) - _MOST_NOTES
    return kept if more <= 0 else [*kept[:_MOST_NOTES], f"and {more} more like these"]


def _is_same(execution: Executed, other: Executed) -> bool:
    """Whether two reports of one number mean one execution: broker's files round differently."""
    mine, its = execution.contract, other.contract
    is_one = mine.con_id is not None and mine.con_id == its.con_id
    accounts = {execution.account, other.account} - {""}
    return (
        (execution.symbol, execution.quantity) == (other.symbol, other.quantity)
        and (is_one or mine.key[:3] == its.key[:3])
        and len(accounts) < 2
    )


def _unread(name: str, at: dt.datetime, rows: Iterable[FileRow]) -> list[UnreadRow]:
    """Rows as the store keeps them: the same row of the same kind of file is the same one."""
    counts: Counter[tuple[str, str]] = Counter()
    unread = []
    for row in rows:
        key = (row.columns, row.text)
        text = "\n".join((*key, str(counts[key])))
        counts[key] += 1
        number = f"row-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
        unread.append(UnreadRow(number, at, name, row.line, row.columns, row.text, row.reason))
    return unread


async def _read_again(journal: Journal) -> list[tuple[Executed, FileRow, str]]:
    """Rows that were no executions to an earlier program and are to this one, with their ids."""
    set_aside = ignored(await journal.store.journal.decisions())
    by_columns: dict[str, list[UnreadRow]] = {}
    for unread in await journal.store.journal.unread_rows():
        if unread.columns and unread.row_id not in set_aside:
            by_columns.setdefault(unread.columns, []).append(unread)
    readable = []
    for columns, rows in by_columns.items():
        try:
            read = broker.read_again(columns, [row.text for row in rows])
        except BadFile:
            continue
        for executed, row in zip(read.executions, read.rows, strict=True):
            own = rows[row.line - 1]
            readable.append((executed, replace(row, line=own.line), own.row_id))
    return readable


async def _set_aside(journal: Journal, because: Mapping[str, str], now: dt.datetime) -> None:
    await journal.store.journal.save_decisions(
        Decision(number, now, "ignore", _OURSELVES, reason) for number, reason in because.items()
    )


# -- placing -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Placing:
    """What was placed, and why the rest was not."""

    added: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def _place(
    journal: Journal, now: dt.datetime, *, changed: Collection[str], at_hand: Mapping[str, Executed]
) -> _Placing:
    """
    Place every execution that waits; what *changed* may move what was placed before.

    Those *at_hand* are not read again.

    Where something precedes, replaces or takes back what is in entries already, the entries of its
    symbol that were made of executions alone are made anew: the order of files makes no difference.
    """
    costs = journal.settings.costs
    placing = _Placing()
    symbols = None if changed else await _waiting_symbols(journal)
    if symbols is not None and not symbols:
        return placing
    fruitless, before = 0, math.inf
    while True:
        entries = await _entries_of(journal, symbols)
        work = await _waiting(journal, entries, now, changed, at_hand)
        placing.reasons = dict(work.reasons)
        orders = executions.place(
            work.executions, work.entries, changes=work.changes, commission=costs.commission_of
        )
        # Another run may place the same executions: as long as either of them gets on, go on.
        fruitless = 0 if len(work.executions) < before else fruitless + 1
        before = len(work.executions)
        try:
            await _write(journal, orders, work, placing)
            break
        except StoreBusy:
            # Another run changed one of these entries, or placed one of these executions: look
            # again at what there is now.
            if fruitless == _TRIES:
                raise
    # What was placed has no reason any more: to link it took that away.
    if placing.reasons:
        await journal.store.journal.explain_executions(placing.reasons)
    taken = sorted(
        {
            execution.currency
            for execution in work.executions
            if execution.commission is None
            and not placing.reasons.get(execution.exec_id)
            and execution.exec_id not in work.released
        }
    )
    if taken:
        fees = ", ".join(f"{costs.commission_of(name):g} {name}".rstrip() for name in taken)
        placing.notes.append(f"commissions unknown: {fees} a contract of the settings taken")
    return placing


async def _waiting_symbols(journal: Journal) -> set[str]:
    """Symbols of executions that are in no entry and not set aside, by all their names."""
    kept = journal.store.journal
    waiting = dict(await kept.each_execution(lambda row: (row.exec_id, row.symbol), unlinked=True))
    set_aside = ignored(await kept.decisions()) if waiting else frozenset()
    symbols = {symbol for number, symbol in waiting.items() if number not in set_aside}
    renamed = [
        {booking.symbol, booking.new_symbol}
        for booking in (await _bookings(journal) if symbols else ())
        if isinstance(booking, ContractChange) and booking.new_symbol
    ]
    while more := [names for names in renamed if names & symbols and not names <= symbols]:
        symbols = symbols.union(*more)
    return symbols


async def _entries_of(journal: Journal, symbols: set[str] | None) -> list[JournalEntry]:
    """Entries of some symbols; all where None are named, or so many that one read is quicker."""
    if symbols is None or len(symbols) > _FEW:
        return await load_all(journal)
    return [entry for name in sorted(symbols) for entry in await load_all(journal, symbol=name)]


@dataclass(slots=True)
class _Work:
    """What is to be placed, and beside what."""

    executions: list[Executed]
    """Waiting, or placed before and to be placed anew."""
    reasons: dict[str, str]
    """Why others cannot be placed."""
    entries: list[JournalEntry]
    """Those that stay as they are, but for what is added."""
    anew: list[JournalEntry] = field(default_factory=list)
    """Those that are made anew."""
    released: frozenset[str] = frozenset()
    """Executions of those."""
    changes: list[ContractChange] = field(default_factory=list)


async def _waiting(
    journal: Journal,
    entries: Sequence[JournalEntry],
    now: dt.datetime,
    changed: Collection[str],
    at_hand: Mapping[str, Executed],
) -> _Work:
    """
    Executions that can be placed now, and why others cannot.

    Links that an interrupted run left out are made up for.
    """
    decisions = await journal.store.journal.decisions()
    set_aside = ignored(decisions)
    there = await _there(journal, entries, now, at_hand, set_aside - _corrected(decisions))
    sound, aside = executions.without_corrected(there.active)
    changes = [
        booking for booking in await _bookings(journal) if isinstance(booking, ContractChange)
    ]
    anew = await _to_make_anew(journal, entries, there, aside, changes, changed)
    ids = {entry.id for entry in anew}
    released = frozenset(number for number, owner in there.linked.items() if owner in ids)
    fixed = {number: own for number, own in there.linked.items() if number not in released}
    decided = _decided(there, aside, fixed)
    await _set_aside(
        journal,
        {number: reason for number, reason in decided.items() if number not in set_aside},
        now,
    )
    waiting = [
        execution
        for execution in sound
        if execution.exec_id not in fixed
        and execution.exec_id not in there.reasons
        and execution.exec_id not in set_aside
    ]
    rest = [entry for entry in entries if entry.id not in ids]
    return _Work(waiting, there.reasons, rest, anew, released, changes)


@dataclass(slots=True)
class _There:
    """Executions that count, by time; which entry has them; and why others do not count."""

    active: list[Executed] = field(default_factory=list)
    linked: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


async def _there(
    journal: Journal,
    entries: Sequence[JournalEntry],
    now: dt.datetime,
    at_hand: Mapping[str, Executed],
    left_out: Collection[str],
) -> _There:
    """Every execution but those *left_out*; links that an interrupted run left out are made."""
    kept = journal.store.journal
    owners = {
        number: entry.id
        for entry in entries
        for trade in entry.trades
        for fill in trade.fills
        for number in fill.exec_id.split()
    }
    links = await kept.links()
    others: dict[str, tuple[Executed | None, str]] = {}
    if not links.keys() <= at_hand.keys():
        read = await kept.each_execution(lambda row: (row.exec_id, _sound(row)))
        others = {number: told for number, told in read if number not in at_hand}
    there = _There()
    for number, owner in links.items():
        executed, reason = (at_hand[number], "") if number in at_hand else others[number]
        if owner is None and (owner := owners.get(number)) is not None:
            await kept.link_executions([number], owner)
        if owner is None and number in left_out:
            continue
        if executed is None:
            if owner is None:
                there.reasons[number] = reason
        elif owner is None and executed.at > now + AHEAD:
            there.reasons[number] = f"{_described(executed)} lies in the future"
        else:
            there.active.append(executed)
            if owner is not None:
                there.linked[number] = owner
    there.active.sort(key=lambda execution: (execution.at, execution.exec_id))
    return there


def _decided(there: _There, aside: Mapping[str, str], fixed: Mapping[str, int]) -> dict[str, str]:
    """
    What corrections and what they correct are set aside for.

    What corrects an execution in an entry that stays as it is waits: that entry was written or
    changed by hand, and only who did that can put it right.

    Args:
        aside: What `executions.without_corrected` leaves out, and why.
        fixed: Executions of entries that stay, and these entries.
    """
    by_number = {execution.exec_id: execution for execution in there.active}
    decided: dict[str, str] = {}
    for number, reason in aside.items():
        original = reason.removeprefix("takes ").removesuffix(" back")
        if number in fixed:
            continue
        if reason.startswith("takes ") and original in fixed:
            takes = f"takes {original} back"
            there.reasons[number] = _by_hand(by_number[number], takes, fixed[original])
        else:
            decided[number] = reason
    for old, new in executions.corrections(by_number).items():
        if old in fixed and new not in there.linked:
            there.reasons[new] = _by_hand(by_number[new], f"puts {old} right", fixed[old])
    return decided


def _by_hand(execution: Executed, does: str, entry_id: int) -> str:
    return (
        f"{_described(execution)} {does}, which is in entry {entry_id}; "
        f"tomic journal correct {entry_id} changes it there"
    )


async def _to_make_anew(
    journal: Journal,
    entries: Sequence[JournalEntry],
    there: _There,
    aside: Mapping[str, str],
    changes: Sequence[ContractChange],
    changed: Collection[str],
) -> list[JournalEntry]:
    """
    Entries that what was taken in may change: of executions alone, and not written by hand.

    Those of a symbol go together, for what closes one may have to close another.
    """
    active, linked = there.active, there.linked
    last: dict[str, dt.datetime] = {}
    for execution in active:
        if execution.exec_id in linked and execution.exec_id not in changed:
            last[execution.symbol] = max(last.get(execution.symbol, execution.at), execution.at)
    # What a split has made of an entry comes later too than an execution before it.
    for split in changes:
        if split.symbol in last:
            last[split.symbol] = max(last[split.symbol], split.at)
    symbols = {
        execution.symbol
        for execution in active
        if (execution.exec_id in aside and execution.exec_id in linked)
        or (
            execution.exec_id in changed
            and (
                execution.exec_id in linked
                or execution.at < last.get(execution.symbol, execution.at)
            )
        )
    }
    symbols |= {
        change.symbol
        for change in changes
        if change.id in changed and change.at < last.get(change.symbol, change.at)
    }
    if not symbols:
        return []
    by_hand = await journal.store.journal.edited()
    numbers = {entry.id: _numbers(entry) for entry in entries if entry.symbol in symbols}
    anew = {
        entry.id
        for entry in entries
        if entry.symbol in symbols
        and entry.id not in by_hand
        and entry.status is not EntryStatus.CANCELLED
        and numbers[entry.id]
        and all(fill.exec_id for fill in _traded(entry))
        and numbers[entry.id] <= linked.keys()
    }
    # What shares an execution with an entry that stays has to stay too.
    while staying := {number for own, of in numbers.items() if own not in anew for number in of}:
        shared = {own for own in anew if numbers[own] & staying}
        if not shared:
            break
        anew -= shared
    return [entry for entry in entries if entry.id in anew]


def _traded(entry: JournalEntry) -> list[Fill]:
    """What was bought and sold, and not only converted."""
    return [
        fill for trade in entry.trades if trade.action is not Action.CONVERT for fill in trade.fills
    ]


def _numbers(entry: JournalEntry) -> set[str]:
    return {number for fill in _traded(entry) for number in fill.exec_id.split()}


@dataclass(slots=True)
class _Writing:
    """Documents of one transaction, and what they are of."""

    number: int
    entry: JournalEntry
    exec_ids: list[str]
    orders: list[int]


async def _write(
    journal: Journal, orders: Sequence[PlacedOrder], work: _Work, placing: _Placing
) -> None:
    """
    Write what became of the entries, in one transaction.

    What keeps one entry from being written is the reason its executions wait; it costs no other,
    but for those that an order of it is shared with.

    Raises:
        StoreBusy: Another run changed an entry, or placed one of the executions meanwhile.
    """
    at = await journal.clock()
    made: dict[int, _Writing] = {}
    notes: dict[int, list[str]] = {}
    for place, order in enumerate(orders):
        for unplaced in order.unplaced:
            placing.reasons |= dict.fromkeys(unplaced.exec_ids, unplaced.reason)
        for placed in order.placed:
            own = made.setdefault(placed.number, _Writing(placed.number, placed.entry, [], []))
            own.entry = placed.entry
            own.exec_ids += placed.exec_ids
            own.orders.append(place)
            if not set(placed.exec_ids) <= work.released or placed.how == "converted":
                notes.setdefault(placed.number, []).append(_how(placed))
    changed = [own for number, own in made.items() if number < len(work.entries)]
    new = [own for number, own in made.items() if number >= len(work.entries)]
    renewed = executions.carried_over(work.anew, [own.entry for own in new])
    ids_of = {_opening(own.entry): own for own in new}
    writings = [*changed]
    for entry in renewed:
        own = ids_of.get(_opening(entry)) or _Writing(-1, entry, [], [])
        own.entry = entry
        writings.append(own)
    # What is made anew goes in one piece; else entries that share an execution stay together.
    groups = [writings] if work.anew else _sharing(writings)
    for part in _chunks(groups):
        await _write_part(journal, part, work, placing, notes, at)


def _sharing(writings: Sequence[_Writing]) -> list[list[_Writing]]:
    """Entries that executions went to, in groups that share none."""
    group_of: dict[str, int] = {}
    groups: dict[int, list[_Writing]] = {}
    for place, own in enumerate(writings):
        members = [own]
        for shared in sorted({group_of[number] for number in own.exec_ids if number in group_of}):
            members = groups.pop(shared) + members
        groups[place] = members
        group_of |= {number: place for member in members for number in member.exec_ids}
    return list(groups.values())


def _chunks(groups: Iterable[Sequence[_Writing]]) -> Iterator[list[_Writing]]:
    """Groups put together until there are enough for one transaction."""
    chunk: list[_Writing] = []
    for group in groups:
        chunk += group
        if len(chunk) >= _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _write_part(
    journal: Journal,
    writings: Sequence[_Writing],
    work: _Work,
    placing: _Placing,
    notes: Mapping[int, list[str]],
    at: dt.datetime,
) -> None:
    before = {entry.id: entry for entry in work.anew}
    documents_of: list[tuple[dict[str, Any], list[str]]] = []
    written: list[_Writing] = []
    rules: dict[str, ExitRules] = {}
    unchanged: set[str] = set()
    for own in writings:
        if own.entry.id is not None and own.entry == before.get(own.entry.id):
            unchanged.update(own.exec_ids)
            continue
        try:
            document = _to_store(journal, own.entry, rules)
            documents_of.append((document, list(dict.fromkeys(own.exec_ids))))
            written.append(own)
        # One order never costs another: what keeps its entry from being written is its reason.
        except Exception as exc:
            reason = str(exc) if isinstance(exc, TomicError) else f"{type(exc).__name__}: {exc}"
            placing.reasons |= dict.fromkeys(own.exec_ids, reason)
    # One that closes legs of several entries is in a changed one and in others.
    unchanged -= {number for _, numbers in documents_of for number in numbers}
    released = [number for number in work.released if number not in unchanged]
    if not documents_of and not released:
        return
    ids = await journal.store.journal.place_executions(
        documents_of, event="executions", at=at, released=released
    )
    if ids is None:
        raise StoreBusy("another run is placing the same executions; repeat the command")
    for own, (entry_id, _) in zip(written, ids, strict=True):
        if own.entry.id is None:
            placing.added.append(entry_id)
        elif entry_id not in placing.added and entry_id not in placing.changed:
            placing.changed.append(entry_id)
        placing.notes += notes.get(own.number, [])


def _opening(entry: JournalEntry) -> tuple[str, ...]:
    fills = entry.trades[0].fills if entry.trades else ()
    return tuple(fill.exec_id for fill in fills)


def _to_store(journal: Journal, entry: JournalEntry, rules: dict[str, ExitRules]) -> dict[str, Any]:
    """The entry as it is to be written; a new one is named after what its legs make."""
    if entry.id is None:
        held = campaign.held(entry, entry.opened_at)
        strategy = strategy_of(entry.symbol, held, journal.settings)
        if strategy not in rules:
            rules[strategy] = rules_for(journal.settings, strategy, {})
        entry = entry.model_copy(update={"strategy": strategy, "rules": rules[strategy]})
    document = to_document(entry)
    if entry.id is not None:
        document["id"], document["revision"] = entry.id, entry.revision
    return document


# -- bookings --------------------------------------------------------------------------------------


async def _bookings(journal: Journal) -> list[CashFlow | ContractChange]:
    """Payments and corporate actions that can be used, by time."""
    set_aside = ignored(await journal.store.journal.decisions())
    kinds: dict[str, type[CashFlow] | type[ContractChange]] = {
        "cash": CashFlow, "change": ContractChange,
    }  # fmt: skip
    usable: list[CashFlow | ContractChange] = []
    for booking in await journal.store.journal.bookings():
        try:
            told = kinds[booking.kind].model_validate(booking.document)
        except ValidationError:
            continue
        if booking.booking_id not in set_aside and not executions.fault(told):
            usable.append(told)
    return usable


async def _book_cash(journal: Journal, now: dt.datetime) -> dict[str, str]:
    """Give payments to the entries they belong to; returns why others belong to none."""
    flows = [flow for flow in await _bookings(journal) if isinstance(flow, CashFlow)]
    if not flows:
        return {}
    taken_back = {number for flow in flows for number in flow.corrects}
    entries = await load_all(journal)
    booked = {flow.id for entry in entries for flow in entry.flows}
    waiting = [
        flow
        for flow in flows
        if flow.id not in booked and flow.id not in taken_back and flow.at <= now + AHEAD
    ]
    changed, reasons = executions.book_cash(waiting, entries)
    parts = []
    for entry in changed.values():
        document = to_document(entry)
        document["id"], document["revision"] = entry.id, entry.revision
        parts.append((document, list[str]()))
    if parts:
        at = await journal.clock()
        await journal.store.journal.place_executions(parts, event="executions", at=at, note="cash")
    await journal.store.journal.explain_bookings(
        {flow.id: reasons.get(flow.id, "") for flow in waiting}
    )
    return reasons


def _how(placed: Placed) -> str:
    entry = placed.entry
    if placed.how == "confirmed":
        return f"confirmed: {entry.symbol}, entry {entry.id}"
    if placed.how == "converted":
        told = [trade.note for trade in entry.trades if trade.action is Action.CONVERT]
        return f"converted: {entry.symbol}, {told[-1]}" if told else f"converted: {entry.symbol}"
    legs = ", ".join(f"{fill.quantity:+g} {fill.name}" for fill in placed.fills)
    return f"{placed.how}: {entry.symbol} {legs}"


def _described(execution: Executed) -> str:
    name, at = execution.contract.name, f"{execution.at:%Y-%m-%d %H:%M}"
    return f"{execution.quantity:+g} {execution.symbol} {name} at {at}"


# -- documents -----------------------------------------------------------------------------------


def _document(execution: Executed) -> dict[str, Any]:
    names = ("quantity", "price", "commission", "order")
    document: dict[str, Any] = {
        "contract": documents.to_document(execution.contract),
        **{name: getattr(execution, name) for name in names},
        "action": execution.action.value if execution.action else None,
    }
    if execution.opens is not None:
        document["opens"] = execution.opens
    for name in ("cancels", "lacks_multiplier", "account", "currency", "trade_id",
                 "transaction_id"):  # fmt: skip
        if value := getattr(execution, name):
            document[name] = value
    if execution.corrects:
        document["corrects"] = list(execution.corrects)
    if execution.source is not None:
        document["source"] = execution.source.value
    return document


def _stored(execution: Executed) -> Execution:
    return Execution(
        execution.exec_id,
        execution.at,
        execution.symbol,
        execution.contract.con_id,
        _document(execution),
    )


def _sound(stored: Execution) -> tuple[Executed | None, str]:
    """A stored execution as it was reported, or why it can have been none."""
    document = stored.document
    try:
        action = document.get("action")
        executed = Executed(
            exec_id=stored.exec_id,
            at=stored.at,
            symbol=stored.symbol,
            contract=_contract(document["contract"]),
            quantity=float(document["quantity"]),
            price=float(document["price"]),
            commission=document.get("commission"),
            order=document.get("order", ""),
            action=Action(action) if action else None,
            opens=document.get("opens"),
            cancels=bool(document.get("cancels")),
            lacks_multiplier=bool(document.get("lacks_multiplier")),
            corrects=tuple(document.get("corrects", ())),
            source=executions.Source(source) if (source := document.get("source")) else None,
            **{name: document.get(name, "") for name in _TEXTS},
        )
    except ValidationError as exc:
        return None, first_fault(exc)
    except (KeyError, TypeError, ValueError) as exc:
        return None, f"it cannot be read ({type(exc).__name__}: {exc})"
    reason = executions.fault(executed)
    return (None, reason) if reason else (executed, "")


def _contract(document: dict[str, Any]) -> Contract:
    return _contract_of(tuple(document.items()))


@lru_cache(maxsize=65536)
def _contract_of(items: tuple[tuple[str, Any], ...]) -> Contract:
    """One object a contract: many executions are of the same one."""
    return Contract.model_validate(dict(items))


def loaded(stored: Execution) -> Executed:
    """
    A stored execution as it was reported.

    Raises:
        UsageError: It can have been no trade.
    """
    executed, reason = _sound(stored)
    if executed is None:
        raise UsageError(f"execution {stored.exec_id} is no trade: {reason}")
    return executed


# -- looking and deciding --------------------------------------------------------------------------


def ignored(decisions: Mapping[str, Sequence[Decision]]) -> set[str]:
    """Executions and rows whose last decision sets them aside."""
    return {number for number, made in decisions.items() if made[-1].decision == "ignore"}


_CORRECTED = ("taken back by ", "takes ", "put right by ")
"""How the reasons begin for which corrections and what they correct are set aside."""


def _corrected(decisions: Mapping[str, Sequence[Decision]]) -> set[str]:
    """Executions that were set aside because the broker itself took them back or put them right."""
    return {
        number
        for number, made in decisions.items()
        if made[-1].decision == "ignore"
        and made[-1].who == _OURSELVES
        and made[-1].because.startswith(_CORRECTED)
    }


async def listing(
    journal: Journal, *, unplaced: bool = False, symbol: str | None = None
) -> list[ExecutionRow]:
    """
    Every execution by time, then rows that are none.

    Args:
        unplaced: Only what waits for an entry.
        symbol: Only executions of this one; rows that are no execution have none.
    """
    decisions = await journal.store.journal.decisions()
    stored = await journal.store.journal.executions()
    gaps = _gaps(stored, await load_all(journal))
    rows = [_execution_row(execution, decisions, gaps) for execution in stored]
    rows += await _booking_rows(journal, decisions)
    rows += [_unread_row(row, decisions) for row in await journal.store.journal.unread_rows()]
    return [
        row
        for row in rows
        if (not unplaced or row.status in ("waiting", "unread"))
        and (symbol is None or row.symbol == symbol)
    ]


def _gaps(stored: Iterable[Execution], entries: Iterable[JournalEntry]) -> dict[str, str]:
    """
    What of placed executions no entry has, by number.

    An earlier program lost what one order closed in a second entry; a trade that was taken back
    (`tomic journal correct --reopen`) is in no entry either. Executions that became one fill are
    looked at together.
    """
    fills: dict[str, float] = {}
    members: dict[str, str] = {}
    for fill in (fill for entry in entries for trade in entry.trades for fill in trade.fills):
        ids = fill.exec_id.split()
        if ids:
            name = members.get(ids[0], ids[0])
            members |= dict.fromkeys(ids, name)
            fills[name] = fills.get(name, 0.0) + fill.quantity
    executed: dict[str, float] = {}
    linked = [execution for execution in stored if execution.entry_id is not None]
    for execution in linked:
        name = members.get(execution.exec_id, execution.exec_id)
        executed[name] = executed.get(name, 0.0) + (
            _number(execution.document.get("quantity")) or 0.0
        )
    gaps = {}
    for execution in linked:
        name = members.get(execution.exec_id, execution.exec_id)
        has, whole = fills.get(name, 0.0), executed[name]
        if abs(has - whole) > _DUST:
            gaps[execution.exec_id] = f"entries have {has:+g} of its {whole:+g}"
    return gaps


def _execution_row(
    execution: Execution, decisions: Mapping[str, Sequence[Decision]], gaps: Mapping[str, str]
) -> ExecutionRow:
    document, made = execution.document, tuple(decisions.get(execution.exec_id, ()))
    executed, fault = _sound(execution)
    is_ignored = bool(made) and made[-1].decision == "ignore"
    status = "placed" if execution.entry_id is not None else "ignored" if is_ignored else "waiting"
    return ExecutionRow(
        id=execution.exec_id,
        status=status,
        at=execution.at,
        symbol=execution.symbol,
        contract=executed.contract.name if executed else "",
        quantity=_number(document.get("quantity")),
        price=_number(document.get("price")),
        commission=_number(document.get("commission")),
        order=str(document.get("order") or ""),
        entry=execution.entry_id,
        reason=gaps.get(execution.exec_id, "")
        if status == "placed"
        else _why(status, made, fault or execution.reason),
        decisions=made,
    )


async def _booking_rows(
    journal: Journal, decisions: Mapping[str, Sequence[Decision]]
) -> list[ExecutionRow]:
    """Payments and corporate actions, by time."""
    owners = {flow.id: entry.id for entry in await load_all(journal) for flow in entry.flows}
    rows = []
    for booking in await journal.store.journal.bookings():
        made = tuple(decisions.get(booking.booking_id, ()))
        is_ignored = bool(made) and made[-1].decision == "ignore"
        is_placed = booking.booking_id in owners or (
            booking.kind == "change" and not booking.reason
        )
        status = "ignored" if is_ignored else "placed" if is_placed else "waiting"
        document = booking.document
        amount, currency = document.get("amount"), document.get("currency", "")
        told = f"{amount:+.2f} {currency} {document.get('text', '')}" if amount is not None else ""
        rows.append(
            ExecutionRow(
                id=booking.booking_id,
                status=status,
                at=booking.at,
                symbol=booking.symbol,
                contract=str(document.get("kind", "")),
                entry=owners.get(booking.booking_id),
                reason="" if is_placed else _why(status, made, booking.reason),
                text=told.strip(),
                decisions=made,
            )
        )
    return rows


def _unread_row(row: UnreadRow, decisions: Mapping[str, Sequence[Decision]]) -> ExecutionRow:
    made = tuple(decisions.get(row.row_id, ()))
    status = "ignored" if made and made[-1].decision == "ignore" else "unread"
    return ExecutionRow(
        id=row.row_id,
        status=status,
        reason=_why(status, made, row.reason),
        source=row.source,
        line=row.line,
        text=row.text,
        decisions=made,
    )


def _why(status: str, decisions: Sequence[Decision], reason: str) -> str:
    if status != "ignored":
        return reason or "not placed yet; the next import does"
    last = decisions[-1]
    words = f"set aside by {last.who} on {last.at:%Y-%m-%d}"
    return f"{words}: {last.because}" if last.because else words


def _number(value: Any) -> float | None:
    """A number that JSON knows; None for any other."""
    try:
        return finite(float(value))
    except (TypeError, ValueError):
        return None


async def decide(
    journal: Journal, ids: Sequence[str], decision: str, *, who: str, because: str = ""
) -> list[ExecutionRow]:
    """
    Set executions or rows aside for good (``ignore``), or take that back (``restore``).

    Args:
        ids: Numbers as `listing` has them, or unambiguous beginnings of them.
        who: Whose decision it is; kept with it.

    Raises:
        UsageError: There is none of that number, or several; it is in an entry, or decided so
            already.
    """
    rows = await listing(journal)
    chosen = list({(row := _named_row(rows, number)).id: row for number in ids}.values())
    for row in chosen:
        if row.status == "placed":
            raise UsageError(f"execution {row.id} is in entry {row.entry}")
        if (row.status == "ignored") is (decision == "ignore"):
            state = "set aside already" if decision == "ignore" else "not set aside"
            raise UsageError(f"{row.id} is {state}")
    now = await journal.clock()
    await journal.store.journal.save_decisions(
        Decision(row.id, now, decision, who, because) for row in chosen
    )
    ids_chosen = {row.id for row in chosen}
    return [row for row in await listing(journal) if row.id in ids_chosen]


def _named_row(rows: Sequence[ExecutionRow], number: str) -> ExecutionRow:
    exact = [row for row in rows if row.id == number]
    fits = exact or [row for row in rows if number and row.id.startswith(number)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        names = ", ".join(row.id for row in fits[:5])
        raise UsageError(f"{len(fits)} executions begin with {number}: {names}")
    raise UsageError(f"no execution {number}; tomic journal executions lists them")


async def link_executions(journal: Journal, entry_id: int, exec_ids: Sequence[str]) -> JournalEntry:
    """
    Put imported executions that belong to no entry into this one.

    Raises:
        UsageError: Not imported, linked already, or of another symbol.
    """
    entry = await load(journal, entry_id)
    waiting = {
        execution.exec_id: execution
        for execution in await journal.store.journal.executions(unlinked=True)
    }
    missing = [number for number in exec_ids if number not in waiting]
    if missing:
        known = ", ".join(list(waiting)[:5]) or "none"
        raise UsageError(f"no execution {missing[0]} is waiting for an entry; there are {known}")
    chosen = [loaded(waiting[number]) for number in exec_ids]
    set_aside = ignored(await journal.store.journal.decisions()) & set(exec_ids)
    if set_aside:
        name = sorted(set_aside)[0]
        raise UsageError(
            f"execution {name} is set aside; tomic journal executions --restore takes that back"
        )
    foreign = [execution.exec_id for execution in chosen if execution.symbol != entry.symbol]
    if foreign:
        raise UsageError(f"execution {foreign[0]} is not of {entry.symbol}")
    for execution in chosen:
        told = {entry.currency, execution.currency} - {""}
        if len(told) > 1:
            raise UsageError(
                f"execution {execution.exec_id} is in {execution.currency} and entry {entry_id} in "
                f"{entry.currency}: money of two currencies is not added"
            )
    fee = journal.settings.costs.commission_of
    trades = [trade for _, trade in executions.to_trades(chosen, commission=fee)]

    def work(current: JournalEntry) -> JournalEntry:
        for trade in trades:
            current = campaign.with_trade(current, executions.as_part_of(trade, current))
        return current

    changed = await change(journal, entry_id, work, event="link", note=" ".join(exec_ids))
    await journal.store.journal.link_executions(exec_ids, entry_id)
    return changed
