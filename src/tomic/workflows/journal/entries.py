"""
The journal: entries opened, rolled, closed, noted and corrected; every change is kept.

Prices and context come from the gateway when it is there. Where it is not, an entry needs a price,
and says what of its context is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tomic import dates
from tomic.config import Settings
from tomic.config.book import ExitSettings
from tomic.errors import StoreError, UsageError
from tomic.journal import campaign, statistics
from tomic.models import Underlying, documents, settles_in_cash
from tomic.models.documents import first_fault
from tomic.models.journal import (
    NO_CONTEXT,
    EntryStatus,
    ExitRules,
    Fill,
    JournalEntry,
    Note,
    Snapshot,
    Trade,
)
from tomic.store import Change, Database
from tomic.store.documents import REMEDY
from tomic.store.journal import SNAPSHOT, fields_of

if TYPE_CHECKING:
    from tomic.ib.session import Session
    from tomic.workflows.chain.setup import Fetch


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

    def underlying(self, symbol: str) -> Underlying:
        """
        What an entry's options are written on, as its symbol and the settings tell it.

        Its currency is empty where they do not: of a listing abroad without one.
        """
        market = self.settings.market
        listing = market.listing(symbol)
        in_cash = settles_in_cash(symbol, indices=market.indices)
        return Underlying(
            symbol=symbol,
            con_id=0,
            sec_type="IND" if in_cash else listing.sec_types[0],
            exchange=listing.exchange,
            currency="USD" if market.is_american(symbol) else listing.currency,
            ticker=listing.ticker,
        )

    async def known_underlying(self, symbol: str) -> Underlying:
        """
        The same as TWS last told it, with currency and hours; else as `underlying` has it.

        Raises:
            StoreError: The store cannot be read.
        """
        known = await self.store.contracts.latest_underlyings([symbol])
        return known.get(symbol) or self.underlying(symbol)


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
        return JournalEntry.model_validate({"context": NO_CONTEXT, **fields_of(document)})
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
        raise UsageError(f"{at:%Y-%m-%d %H:%M} lies in the future; leave out at (--at) for now")


async def load_open(journal: Journal, ids: Sequence[int] = ()) -> list[JournalEntry]:
    """Every open entry, or the named ones whatever their status."""
    if ids:
        return [await load(journal, number) for number in ids]
    return await load_all(journal, "open")


async def load_all(
    journal: Journal, status: str | None = None, *, symbol: str | None = None
) -> list[JournalEntry]:
    """Every entry, or those of one status or symbol."""
    stored = await journal.store.journal.load_all(status, symbol=symbol)
    return [from_document(document) for document in stored]


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

    def work(entry: JournalEntry) -> JournalEntry:
        return entry.model_copy(update={"notes": (*entry.notes, note)})

    return await change(journal, entry_id, work, event="note", at=at)


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

    def work(entry: JournalEntry) -> JournalEntry:
        return entry.model_copy(update={"continues": earlier})

    return await change(journal, entry_id, work, event="link", note=f"continues {earlier}")


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
    return [_row(summary, day) for summary in summaries]


def _row(summary: dict[str, Any], day: dt.date) -> dict[str, Any]:
    with as_written(f"journal entry {summary['id']}"):
        return statistics.row(summary, day)


@contextmanager
def as_written(what: str) -> Iterator[None]:
    """
    Read figures that were checked when they were written; another program may have changed them.

    Raises:
        StoreError: It has; *what* names where.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        raise StoreError(f"{what} cannot be read ({exc}); {REMEDY}") from exc


_TEXTS = ("plan", "reason", "strategy")
_NUMBERS = ("margin", "pos", "ev", "spot", "iv", "iv_rank", "hv30", "vix", "max_profit", "max_loss")
FIELDS = (*_TEXTS, "tags", *_NUMBERS)
"""What can be corrected by name."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be put right; what is None or empty stays."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    trade: int | None = None
    """Number of a trade, from 1."""
    price: str | None = None
    leg: str | None = None
    at: dt.datetime | None = None
    commission: float | None = None
    cancel: bool = False
    reopen: bool = False
    because: str = ""


def parse_fields(texts: Sequence[str]) -> dict[str, Any]:
    """
    ``plan=hold to 21 days`` and ``margin=1530``.

    Raises:
        UsageError: No such field, or no number where one is needed.
    """
    fields: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in FIELDS:
            raise UsageError(f"{text!r}: write NAME=VALUE; there are {', '.join(FIELDS)}")
        if name in _NUMBERS:
            try:
                fields[name] = None if value in ("", "none") else float(value)
            except ValueError:
                raise UsageError(f"{name} must be a number, got {value!r}") from None
        else:
            fields[name] = tuple(value.replace(",", " ").split()) if name == "tags" else value
    return fields


async def correct(journal: Journal, entry_id: int, correction: Correction) -> Recorded:
    """
    Apply a correction.

    Raises:
        UsageError: There is nothing to correct, no such trade, the result makes no sense, or a
            time is yet to come.
    """
    await refuse_future(journal, correction.at)
    before = await load(journal, entry_id)

    def work(entry: JournalEntry) -> JournalEntry:
        try:
            return _corrected(journal, entry, correction)
        except ValidationError as exc:
            raise UsageError(first_fault(exc)) from exc

    if work(before) == before:
        raise UsageError("nothing to correct; tomic journal correct --help shows what can be")
    entry = await change(journal, entry_id, work, event="correct", note=correction.because)
    return Recorded(entry)


def _corrected(journal: Journal, entry: JournalEntry, correction: Correction) -> JournalEntry:
    values = dict(correction.fields)
    context = {name: values.pop(name) for name in _NUMBERS if name in values}
    if context:
        values["context"] = entry.context.model_copy(update=context)
    if correction.rules:
        # The entry's own rules with the changes, checked as settings are.
        checked = rules_for(journal.settings, entry.strategy, correction.rules)
        rules = {name: getattr(checked, name) for name in correction.rules}
        values["rules"] = entry.rules.model_copy(update=rules)
    changed = entry.model_copy(update=values)
    if correction.trade is not None:
        changed = _with_trade(changed, correction.trade, correction)
    elif correction.price is not None or correction.leg is not None or correction.at is not None:
        raise UsageError("say which trade is wrong: --trade 1 is the opening")
    if correction.reopen:
        changed = _reopened(changed)
    if correction.cancel:
        changed = changed.model_copy(update={"status": EntryStatus.CANCELLED})
    return changed


def _with_trade(entry: JournalEntry, number: int, correction: Correction) -> JournalEntry:
    if not 0 < number <= len(entry.trades):
        raise UsageError(f"entry {entry.id} has {len(entry.trades)} trades; --trade 1 is the first")
    trades = list(entry.trades)
    trades[number - 1] = _trade(trades[number - 1], correction)
    ordered = tuple(sorted(trades, key=lambda trade: trade.at))
    times: dict[str, Any] = {"trades": ordered, "opened_at": ordered[0].at}
    if entry.closed_at is not None:
        times["closed_at"] = ordered[-1].at
    return entry.model_copy(update=times)


def _trade(trade: Trade, correction: Correction) -> Trade:
    values: dict[str, Any] = {}
    fills = trade.fills
    if correction.price is not None:
        price = campaign.signed_price(correction.price, fills)
        if len(fills) == 1:
            fills = (fills[0].model_copy(update={"price": abs(price)}),)
        else:
            values["price"] = price
            fills = tuple(
                fill if fill.is_stock else fill.model_copy(update={"price": None}) for fill in fills
            )
    if correction.leg is not None:
        fills = _repriced(fills, correction.leg)
        values["price"] = None
    if correction.commission is not None:
        fills = _charged(fills, correction.commission)
    if correction.at is not None:
        values["at"] = correction.at
    return Trade.model_validate({**dict(trade), **values, "fills": fills})


def _repriced(fills: Sequence[Fill], text: str) -> tuple[Fill, ...]:
    name, _, value = text.partition("=")
    try:
        price = float(value)
    except ValueError:
        raise UsageError(f"--leg {text}: write it as 560P=2.35") from None
    hits = [fill for fill in fills if _is_called(fill, name)]
    if len(hits) != 1:
        names = ", ".join(fill.name for fill in fills)
        raise UsageError(f"--leg {text}: the trade has {names}; name one of them")
    return tuple(
        fill.model_copy(update={"price": price}) if fill is hits[0] else fill for fill in fills
    )


def _is_called(fill: Fill, name: str) -> bool:
    """Whether a leg's name begins so, as ``560P 2025-06-20`` does with 560p."""
    return fill.name.upper().replace(" ", "").startswith(name.upper().replace(" ", ""))


def _charged(fills: Sequence[Fill], commission: float) -> tuple[Fill, ...]:
    """The commission of a trade, spread over its contracts."""
    contracts = sum(abs(fill.quantity) for fill in fills if not fill.is_stock)
    if not contracts:
        return (fills[0].model_copy(update={"commission": commission}), *fills[1:])
    each = commission / contracts
    return tuple(
        fill.model_copy(
            update={"commission": 0.0 if fill.is_stock else round(each * abs(fill.quantity), 6)}
        )
        for fill in fills
    )


def _reopened(entry: JournalEntry) -> JournalEntry:
    if len(entry.trades) < 2 and entry.status is not EntryStatus.CANCELLED:
        raise UsageError("only its opening is left; tomic journal correct --cancel drops the entry")
    kept = entry.trades if entry.status is EntryStatus.CANCELLED else entry.trades[:-1]
    return entry.model_copy(update={"trades": kept, "status": EntryStatus.OPEN, "closed_at": None})


# -- links -------------------------------------------------------------------------------------


async def link_position(journal: Journal, entry_id: int, text: str) -> JournalEntry:
    """
    Note the contract id of a leg: ``560P=712345``.

    Raises:
        UsageError: No such leg, or no number.
    """
    name, _, value = text.partition("=")
    if not value.strip().isdigit():
        raise UsageError(f"--position {text}: write it as 560P=712345")

    def work(entry: JournalEntry) -> JournalEntry:
        fills = [fill for trade in entry.trades for fill in trade.fills]
        keys = {fill.key for fill in fills if _is_called(fill, name)}
        if len(keys) != 1:
            raise UsageError(f"--position {text}: {len(keys)} legs are called {name}; name one")

        def noted(fill: Fill) -> Fill:
            return fill.model_copy(update={"con_id": int(value)}) if fill.key in keys else fill

        trades = tuple(
            trade.model_copy(update={"fills": tuple(map(noted, trade.fills))})
            for trade in entry.trades
        )
        return entry.model_copy(update={"trades": trades})

    return await change(journal, entry_id, work, event="link", note=text)
