"""The alternatives that were shown of each position, followed until all of them are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tomic.store.documents import dump, load, stamp, unstamp
from tomic.store.file import TableGroup


class NewAdvice(NamedTuple):
    """Alternatives to be kept; *expiry* is the day on which the last outcome will be known."""

    position: str
    entry_id: int | None
    symbol: str
    expiry: dt.date
    as_of: dt.datetime
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAdvice:
    """Alternatives as they were shown; *document* is never changed afterwards."""

    id: int
    position: str
    entry_id: int | None
    symbol: str
    expiry: dt.date
    as_of: dt.datetime
    document: dict[str, Any]
    outcome: dict[str, Any] | None


class AdviceTables(TableGroup):
    """What was advised."""

    async def save(self, shown: Sequence[NewAdvice], *, day: dt.date) -> None:
        """Keep what was shown on a trading day."""
        await self._write_rows(
            "INSERT INTO advice (day, as_of, position, entry_id, symbol, expiry, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (day.isoformat(), stamp(one.as_of), one.position, one.entry_id, one.symbol,
                 one.expiry.isoformat(), dump(one.document))
                for one in shown
            ],
        )  # fmt: skip

    async def all(
        self, *, symbol: str | None = None, settled: bool | None = None
    ) -> list[StoredAdvice]:
        """Return what was shown, oldest first; *settled* with (True) or without an outcome."""
        return await self._advice(
            "(:symbol IS NULL OR symbol = :symbol)"
            " AND (:settled IS NULL OR (outcome IS NOT NULL) = :settled)",
            {"symbol": symbol, "settled": settled},
        )

    async def awaiting(self, until: dt.date) -> list[StoredAdvice]:
        """Return what is wholly known by *until* and has no outcome yet."""
        return await self._advice("outcome IS NULL AND expiry <= ?", (until.isoformat(),))

    async def settle(
        self, outcomes: Iterable[tuple[int, Mapping[str, Any]]], *, at: dt.datetime
    ) -> None:
        """Note how alternatives ended; a first outcome is never overwritten."""
        await self._write_rows(
            "UPDATE advice SET outcome = ?, settled_at = ? WHERE id = ? AND outcome IS NULL",
            [(dump(outcome), stamp(at), number) for number, outcome in outcomes],
        )

    async def _advice(self, where: str, values: Any) -> list[StoredAdvice]:
        rows = await self._rows(
            "SELECT id, position, entry_id, symbol, expiry, as_of, document, outcome FROM advice"
            f" WHERE {where} ORDER BY id",
            values,
        )
        return [
            StoredAdvice(
                id=number,
                position=position,
                entry_id=entry_id,
                symbol=symbol,
                expiry=dt.date.fromisoformat(expiry),
                as_of=unstamp(as_of),
                document=load(document),
                outcome=None if outcome is None else load(outcome),
            )
            for number, position, entry_id, symbol, expiry, as_of, document, outcome in rows
        ]
