"""Corrections and links of entries; what they were before stays in their history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tomic.errors import UsageError
from tomic.journal import campaign, executions
from tomic.models.documents import first_fault
from tomic.models.journal import EntryStatus, ExitRules, Fill, JournalEntry, Trade
from tomic.workflows.journal.entries import (
    Journal,
    Recorded,
    change,
    load,
    refuse_future,
    rules_for,
)
from tomic.workflows.journal.executions import ignored, loaded

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
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or name not in FIELDS:
            raise UsageError(f"{text!r}: write NAME=VALUE; there are {', '.join(FIELDS)}")
        if name in _NUMBERS:
            try:
                found[name] = None if value in ("", "none") else float(value)
            except ValueError:
                raise UsageError(f"{name} must be a number, got {value!r}") from None
        else:
            found[name] = tuple(value.replace(",", " ").split()) if name == "tags" else value
    return found


async def correct(journal: Journal, entry_id: int, wanted: Correction) -> Recorded:
    """
    Apply a correction.

    Raises:
        UsageError: There is nothing to correct, no such trade, the result makes no sense, or a
            time is yet to come.
    """
    await refuse_future(journal, wanted.at)
    before = await load(journal, entry_id)
    work = _worker(journal, wanted)
    if work(before) == before:
        raise UsageError("nothing to correct; tomic journal correct --help shows what can be")
    entry = await change(journal, entry_id, work, event="correct", note=wanted.because)
    return Recorded(entry)


def _worker(journal: Journal, wanted: Correction) -> Callable[[JournalEntry], JournalEntry]:
    def work(entry: JournalEntry) -> JournalEntry:
        try:
            return _corrected(journal, entry, wanted)
        except ValidationError as exc:
            raise UsageError(first_fault(exc)) from exc

    return work


def _corrected(journal: Journal, entry: JournalEntry, wanted: Correction) -> JournalEntry:
    values = dict(wanted.fields)
    context = {name: values.pop(name) for name in _NUMBERS if name in values}
    if context:
        values["context"] = entry.context.model_copy(update=context)
    if wanted.rules:
        values["rules"] = _rules(journal, entry, wanted.rules)
    changed = entry.model_copy(update=values)
    if wanted.trade is not None:
        changed = _with_trade(changed, wanted.trade, wanted)
    elif wanted.price is not None or wanted.leg is not None or wanted.at is not None:
        raise UsageError("say which trade is wrong: --trade 1 is the opening")
    if wanted.reopen:
        changed = _reopened(changed)
    if wanted.cancel:
        changed = changed.model_copy(update={"status": EntryStatus.CANCELLED})
    return changed


def _rules(journal: Journal, entry: JournalEntry, changes: Mapping[str, Any]) -> ExitRules:
    """The entry's own rules with the changes, checked as settings are."""
    checked = rules_for(journal.settings, entry.strategy, changes)
    return entry.rules.model_copy(update={name: getattr(checked, name) for name in changes})


def _with_trade(entry: JournalEntry, number: int, wanted: Correction) -> JournalEntry:
    if not 0 < number <= len(entry.trades):
        raise UsageError(f"entry {entry.id} has {len(entry.trades)} trades; --trade 1 is the first")
    trades = list(entry.trades)
    trades[number - 1] = _trade(trades[number - 1], wanted)
    ordered = tuple(sorted(trades, key=lambda trade: trade.at))
    times: dict[str, Any] = {"trades": ordered, "opened_at": ordered[0].at}
    if entry.closed_at is not None:
        times["closed_at"] = ordered[-1].at
    return entry.model_copy(update=times)


def _trade(trade: Trade, wanted: Correction) -> Trade:
    values: dict[str, Any] = {}
    fills = trade.fills
    if wanted.price is not None:
        amounts = [fill.quantity for fill in fills]
        price = campaign.signed_price(wanted.price, fills, amounts)
        if len(fills) == 1:
            fills = (fills[0].model_copy(update={"price": abs(price)}),)
        else:
            values["price"] = price
            fills = tuple(
                fill if fill.is_stock else fill.model_copy(update={"price": None}) for fill in fills
            )
    if wanted.leg is not None:
        fills = _repriced(trade, fills, wanted.leg)
        values["price"] = None
    if wanted.commission is not None:
        fills = _charged(fills, wanted.commission)
    if wanted.at is not None:
        values["at"] = wanted.at
    return Trade.model_validate({**dict(trade), **values, "fills": fills})


def _repriced(trade: Trade, fills: Sequence[Fill], text: str) -> tuple[Fill, ...]:
    name, _, value = text.partition("=")
    try:
        price = float(value)
    except ValueError:
        raise UsageError(f"--leg {text}: write it as 560P=2.35") from None
    wanted = name.upper().replace(" ", "")
    hits = [fill for fill in fills if fill.name.upper().replace(" ", "").startswith(wanted)]
    if len(hits) != 1:
        names = ", ".join(fill.name for fill in fills)
        raise UsageError(f"--leg {text}: the trade has {names}; name one of them")
    return tuple(
        fill.model_copy(update={"price": price}) if fill is hits[0] else fill for fill in fills
    )


def _charged(fills: Sequence[Fill], commission: float) -> tuple[Fill, ...]:
    """The commission of a trade, spread over its contracts."""
    contracts = sum(abs(fill.quantity) for fill in fills if not fill.is_stock)
    if not contracts:
        return (fills[0].model_copy(update={"commission": commission}), *fills[1:])
    return tuple(
        fill.model_copy(
            update={
                "commission": 0.0
                if fill.is_stock
                else round(commission * abs(fill.quantity) / contracts, 6)
            }
        )
        for fill in fills
    )


def _reopened(entry: JournalEntry) -> JournalEntry:
    if len(entry.trades) < 2 and entry.status is not EntryStatus.CANCELLED:
        raise UsageError("only its opening is left; tomic journal correct --cancel drops the entry")
    trades = entry.trades
    if entry.status is not EntryStatus.CANCELLED:
        trades = trades[:-1]
    return entry.model_copy(
        update={"trades": trades, "status": EntryStatus.OPEN, "closed_at": None}
    )


# -- links -------------------------------------------------------------------------------------


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
    costs = journal.settings.costs.commission
    trades = [trade for _, trade in executions.to_trades(chosen, commission=costs)]

    def work(current: JournalEntry) -> JournalEntry:
        for trade in trades:
            current = campaign.with_trade(current, executions.as_part_of(trade, current))
        return current

    changed = await change(journal, entry_id, work, event="link", note=" ".join(exec_ids))
    await journal.store.journal.link_executions(exec_ids, entry_id)
    return changed


async def link_position(journal: Journal, entry_id: int, text: str) -> JournalEntry:
    """
    Note the contract id of a leg: ``560P=712345``.

    Raises:
        UsageError: No such leg, or no number.
    """
    name, _, value = text.partition("=")
    if not value.strip().isdigit():
        raise UsageError(f"--position {text}: write it as 560P=712345")
    wanted, con_id = name.upper().replace(" ", ""), int(value)

    def work(entry: JournalEntry) -> JournalEntry:
        keys = {
            fill.key
            for trade in entry.trades
            for fill in trade.fills
            if fill.name.upper().replace(" ", "").startswith(wanted)
        }
        if len(keys) != 1:
            raise UsageError(f"--position {text}: {len(keys)} legs are called {name}; name one")
        trades = tuple(
            trade.model_copy(
                update={
                    "fills": tuple(
                        fill.model_copy(update={"con_id": con_id}) if fill.key in keys else fill
                        for fill in trade.fills
                    )
                }
            )
            for trade in entry.trades
        )
        return entry.model_copy(update={"trades": trades})

    return await change(journal, entry_id, work, event="link", note=text)
