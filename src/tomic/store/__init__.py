"""What TOMIC remembers, in one SQLite file. No SQL outside this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.store.calendar import Dividend as Dividend, Earnings as Earnings
    from tomic.store.contracts import StoredContract as StoredContract
    from tomic.store.database import Database as Database
    from tomic.store.history import (
        Bars as Bars,
        Coverage as Coverage,
        IvKind as IvKind,
        VolSeries as VolSeries,
    )
    from tomic.store.importing import Imported as Imported
    from tomic.store.journal import (
        Change as Change,
        Decision as Decision,
        Execution as Execution,
        UnreadRow as UnreadRow,
        replay as replay,
    )
    from tomic.store.scans import (
        NewProposal as NewProposal,
        StoredProposal as StoredProposal,
        StoredScan as StoredScan,
    )
    from tomic.store.upkeep import SeriesInfo as SeriesInfo, StoreInfo as StoreInfo

_NAMES = {
    "calendar": "Dividend Earnings",
    "contracts": "StoredContract",
    "database": "Database",
    "history": "Bars Coverage IvKind VolSeries",
    "importing": "Imported",
    "journal": "Change Decision Execution UnreadRow replay",
    "scans": "NewProposal StoredProposal StoredScan",
    "upkeep": "SeriesInfo StoreInfo",
}
_lazy.offer(__name__, _NAMES, "names")
