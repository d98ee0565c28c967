"""The store as one object: typed methods over one SQLite file."""

from __future__ import annotations

from tomic.store.chains import ChainTables
from tomic.store.contracts import ContractTables
from tomic.store.history import HistoryTables, LedgerTable
from tomic.store.importing import ImportTables
from tomic.store.journal import JournalTables
from tomic.store.locking import RunLocks
from tomic.store.scans import ScanTables
from tomic.store.upkeep import UpkeepTables


class Database(
    RunLocks,
    ContractTables,
    HistoryTables,
    LedgerTable,
    ChainTables,
    ScanTables,
    JournalTables,
    ImportTables,
    UpkeepTables,
):
    """
    Everything TOMIC remembers, in one SQLite file.

    ``async with Database(path) as db: ...``. Each method is one transaction. Cancelling a caller
    never leaves half of one: what was handed over is finished or rolled back as a whole.

    Raises:
        SchemaTooNew: The file was written by a newer version.
        StoreBusy: Another program kept writing for longer than the stated wait.
        StoreError: The file is damaged, of another program, or cannot be written.
    """
