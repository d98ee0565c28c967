"""Made-up histories, told to a journal by one road or several, and what the journal makes of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support import broker_files
from support.broker_histories import History, Kinds, Row, Terms, history
from support.journal_market import journal
from tomic.ib import account
from tomic.journal import campaign
from tomic.journal.executions import Executed
from tomic.models.journal import (
    CashFlow,
    CashKind,
    ChangeKind,
    Contract,
    ContractChange,
    EntryStatus,
)
from tomic.store import Database
from tomic.workflows.journal import entries, executions, files
from tomic.workflows.journal.entries import Journal

AFTERWARDS = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
_CENT = 0.0101
"""Shares of a commission are rounded, and half a cent may go either way."""


@dataclass(frozen=True)
class Road:
    """How a history is told, and what such reports can tell."""

    name: str
    kinds: Kinds
    forms: tuple[str, ...]


ROADS = {
    road.name: road
    for road in (
        Road("flex csv", Kinds(), ("csv",)),
        Road("flex xml", Kinds(), ("xml",)),
        Road("tws and flex", Kinds(cancels=False), ("tws",)),
        # What TWS charges for a correction is a whole, Flex has the difference to what it corrects.
        Road(
            "csv, xml and tws", Kinds(cancels=False, rebookings=False), ("csv", "xml", "tws")
        ),
        Road(
            "activity",
            # A statement names no contracts by number, and no orders.
            Kinds(splits=False, rebookings=False, indices=False, days_in_parts=False),
            ("activity",),
        ),
        Road(
            "activity and flex",
            Kinds(splits=False, cancels=False, rebookings=False, indices=False,
                  days_in_parts=False),
            ("activity", "csv"),
        ),
    )
}  # fmt: skip


async def told(
    seed: int, road: Road, folder: Path, *, pace: float = 1.0
) -> tuple[list[str], list[str]]:
    """
    Tell the history of a seed by a road to an empty journal; *pace* says how busy it is.

    Returns:
        What the journal has and the truth has not, or the other way round; and what waits.
    """
    rng, made = random.Random(seed + 7_000_003), history(seed, replace(road.kinds, pace=pace))
    bookings = _bookings(made)
    async with Database(folder / f"{seed}-{road.name}.db") as store:
        book = journal(store, None, now=AFTERWARDS)
        periods = broker_files.windows(rng, made)
        for number, rows in enumerate(periods):
            form = rng.choice(road.forms)
            await _TELL[form](book, rows, folder / f"{seed}-{number}.{form}")
            if number == len(periods) - 1 or rng.random() < 0.3:
                await executions.take(book, "bookings", [], bookings)
        found = await _entries_of(book)
        waiting = await executions.listing(book, unplaced=True)
    return _differences(found, made.truth()), [f"{row.symbol}: {row.reason}" for row in waiting]


def _differences(
    found: Sequence[tuple[object, ...]], truth: Sequence[tuple[object, ...]]
) -> list[str]:
    gaps = []
    left = list(found)
    for wanted in truth:
        fits = [own for own in left if own[:-1] == wanted[:-1]
                and abs(float(str(own[-1])) - float(str(wanted[-1]))) < _CENT]  # fmt: skip
        if fits:
            left.remove(fits[0])
        else:
            gaps.append(f"missing {wanted}")
    return gaps + [f"too much {own}" for own in left]


async def _entries_of(book: Journal) -> list[tuple[object, ...]]:
    """Entries in the form of `History.truth`."""
    return sorted(
        (
            entry.account,
            entry.currency,
            entry.symbol,
            tuple(
                sorted(
                    (str(leg.expiry or ""), leg.strike or 0.0, leg.right or "",
                     round(leg.quantity, 6))
                    for leg in campaign.held(entry)
                )
            ),
            round(
                sum(map(campaign.cash, entry.trades))
                + campaign.booked(entry)
                - campaign.commissions(entry),
                2,
            )
            + 0.0,
        )
        for entry in await entries.load_all(book)
        if entry.status is not EntryStatus.CANCELLED
    )  # fmt: skip


def _contract(terms: Terms) -> Contract:
    if not terms.right:
        return Contract(multiplier=1, con_id=terms.con_id)
    return Contract(
        expiry=terms.expiry,
        strike=terms.strike,
        right="C" if terms.right == "C" else "P",
        multiplier=terms.multiplier,
        con_id=terms.con_id,
        trading_class=terms.trading_class,
    )


def _bookings(made: History) -> list[CashFlow | ContractChange]:
    flows: list[CashFlow | ContractChange] = [
        CashFlow(
            id=own.number,
            at=own.at,
            kind=CashKind.SETTLEMENT,
            amount=own.amount,
            currency=own.currency,
            account=own.account,
            symbol=own.terms.symbol,
            contract=_contract(own.terms),
        )
        for own in made.settlements
        if own.amount
    ]
    return flows + [
        ContractChange(
            id=f"CA{number}", at=own.at, kind=ChangeKind.SPLIT, symbol=own.symbol, ratio=own.ratio
        )
        for number, own in enumerate(made.splits)
        if own.is_told
    ]


async def _tell_tws(book: Journal, rows: Sequence[Row], path: Path) -> None:
    """What no exchange reported comes from a Flex query."""
    executed: list[Executed] = []
    for contract, execution, report in broker_files.tws(rows):
        own = account.to_executed(contract, execution)
        assert own is not None
        executed.append(replace(own, commission=report.commission))
    await executions.take(book, "TWS", executed)
    await _tell_csv(book, [row for row in rows if row.is_booked], path)


async def _tell_csv(book: Journal, rows: Sequence[Row], path: Path) -> None:
    await _tell_file(book, path, broker_files.flex_csv(rows) if rows else "")


async def _tell_xml(book: Journal, rows: Sequence[Row], path: Path) -> None:
    await _tell_file(book, path, broker_files.flex_xml(rows))


async def _tell_activity(book: Journal, rows: Sequence[Row], path: Path) -> None:
    await _tell_file(book, path, broker_files.activity(rows))


async def _tell_file(book: Journal, path: Path, text: str) -> None:
    if text:
        await asyncio.to_thread(path.write_text, text, encoding="utf-8")
        await files.import_file(book, path)


_TELL: dict[str, Callable[[Journal, Sequence[Row], Path], Awaitable[None]]] = {
    "tws": _tell_tws, "csv": _tell_csv, "xml": _tell_xml, "activity": _tell_activity,
}  # fmt: skip
