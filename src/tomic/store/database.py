"""The store as one object: a group of methods per subject over one SQLite file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tomic.store import importing, upkeep
from tomic.store.advice import AdviceTables
from tomic.store.backtests import BacktestTables
from tomic.store.calendar import CalendarTables
from tomic.store.chains import ChainTables
from tomic.store.contracts import ContractTables
from tomic.store.file import StoreFile
from tomic.store.followed import FollowedTables
from tomic.store.history import HistoryTables
from tomic.store.importing import Imported
from tomic.store.journal import JournalTables
from tomic.store.kept_chains import KeptChainTables
from tomic.store.notices import NoticeTables
from tomic.store.restoring import Restored, restore
from tomic.store.scans import ScanTables
from tomic.store.surfaces import SurfaceTables
from tomic.store.upkeep import StoreInfo


class Database(StoreFile):
    """
    Everything TOMIC remembers, in one SQLite file.

    ``async with Database(path) as db: await db.history.bars("SPY")``. Each method is one
    transaction. Cancelling a caller never leaves half of one: what was handed over is finished or
    rolled back as a whole.

    Args:
        path, busy_timeout_s, operation_timeout_s: As of `StoreFile`.

    Raises:
        SchemaTooNew: The file was written by a newer version.
        StoreBusy: Another program kept writing for longer than the stated wait.
        StoreError: The file is damaged, of another program, or cannot be written.
    """

    def __init__(
        self, path: str | Path, *, busy_timeout_s: float = 10.0, operation_timeout_s: float = 120.0
    ) -> None:
        super().__init__(
            path, busy_timeout_s=busy_timeout_s, operation_timeout_s=operation_timeout_s
        )
        self.advice = AdviceTables(self)
        self.backtests = BacktestTables(self)
        self.calendar = CalendarTables(self)
        self.chains = ChainTables(self)
        self.contracts = ContractTables(self)
        self.followed = FollowedTables(self)
        self.history = HistoryTables(self)
        self.journal = JournalTables(self)
        self.notices = NoticeTables(self)
        self.kept = KeptChainTables(self)
        self.scans = ScanTables(self)
        self.surfaces = SurfaceTables(self)

    async def import_file(self, path: Path | str) -> Imported:
        """
        Import a file, whatever of the known kinds it is. Importing it again adds nothing.

        Raises:
            BadFile: Missing, unreadable, or of no known kind; for a CSV with the line.
        """
        return await importing.import_file(self, self.calendar, Path(path))

    async def info(self) -> StoreInfo:
        """Return sizes, counts and coverage."""
        return await upkeep.info(self)

    async def check(self) -> list[str]:
        """
        Return what is wrong with the file, one line each; nothing when it is sound.

        Looks at SQLite's own integrity, the tables of this schema version, references between
        tables, and whether every document can be read.
        """
        return await self.read(lambda db: list(upkeep.problems(db)))

    async def backup(self, target: Path | str) -> int:
        """
        Copy the store to *target* while it is in use; return the size in bytes.

        The copy is one consistent moment and appears under its name only when it is whole. Then
        it is opened under that name and compared with what was to be copied. An earlier backup of
        this store is replaced, logs beside it included; until then it stays as it was. A link is
        followed.

        Raises:
            StoreError: There is no store yet, *target* is the store itself, is in use, is no
                backup or holds what this store does not, or it cannot be written.
        """
        return await upkeep.backup(self, Path(target))

    async def restore(self, source: Path | str) -> Restored:
        """
        Put a copy of the backup *source* in this store's place, which must not be open.

        The copy is brought up to date and checked first. What was there keeps its content under
        another name beside it.

        Raises:
            StoreError: *source* is no sound backup, or the store is in use or cannot be written.
        """
        if self._is_open:
            raise RuntimeError("close the store before another is put in its place")
        return await asyncio.to_thread(restore, self.path, Path(source))
