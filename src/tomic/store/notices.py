"""What the trader has been told and still holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from tomic.store.documents import dump, load
from tomic.store.file import TableGroup


class NoticeTables(TableGroup):
    """Notices by their key, in the order in which they came up."""

    async def kept(self) -> list[dict[str, Any]]:
        """Return the documents of all that still hold."""
        rows = await self._rows("SELECT document FROM notices ORDER BY place")
        return [load(text) for (text,) in rows]

    async def keep(self, notices: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Put these keys and documents in the place of all that were kept, in one step."""
        rows = [(place, key, dump(document)) for place, (key, document) in enumerate(notices)]

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM notices")
            db.executemany("INSERT INTO notices (place, key, document) VALUES (?, ?, ?)", rows)

        await self._file.write(work)
