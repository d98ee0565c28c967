"""How far saved proposals were followed, a document each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, NamedTuple

from tomic.store.documents import load
from tomic.store.file import TableGroup


class FollowedRow(NamedTuple):
    """A proposal as far as it was followed."""

    proposal_id: str
    until: dt.date
    """The last day that was judged, or of the proposal itself."""
    ended: dt.date | None
    document: str
    """JSON."""


class FollowedTables(TableGroup):
    """Proposals followed day by day."""

    async def save(self, rows: Iterable[FollowedRow]) -> None:
        """Keep how far proposals were followed; one that has ended is never changed again."""
        await self._write_rows(
            "INSERT INTO followed VALUES (?, ?, ?, ?) ON CONFLICT (proposal_id) DO UPDATE SET"
            " until = excluded.until, ended = excluded.ended, document = excluded.document"
            " WHERE followed.ended IS NULL AND excluded.until >= followed.until",
            [
                (row.proposal_id, row.until.isoformat(), row.ended and row.ended.isoformat(),
                 row.document)
                for row in rows
            ],
        )  # fmt: skip

    async def documents(self) -> dict[str, dict[str, Any]]:
        """
        The document of every proposal that was followed, by its id.

        Raises:
            StoreError: One is damaged.
        """
        rows = await self._rows("SELECT proposal_id, document FROM followed")
        return {proposal_id: load(text) for proposal_id, text in rows}
