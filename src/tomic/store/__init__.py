"""What TOMIC remembers, in one SQLite file. No SQL outside this package."""

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    # The table below says which of them are offered.
    from tomic.store.advice import *  # noqa: F403
    from tomic.store.calendar import *  # noqa: F403
    from tomic.store.contracts import *  # noqa: F403
    from tomic.store.database import *  # noqa: F403
    from tomic.store.followed import *  # noqa: F403
    from tomic.store.history import *  # noqa: F403
    from tomic.store.importing import *  # noqa: F403
    from tomic.store.journal import *  # noqa: F403
    from tomic.store.kept_chains import *  # noqa: F403
    from tomic.store.restoring import *  # noqa: F403
    from tomic.store.scans import *  # noqa: F403
    from tomic.store.upkeep import *  # noqa: F403

_NAMES = {
    "advice": "NewAdvice StoredAdvice",
    "calendar": "Dividend Earnings",
    "contracts": "StoredContract",
    "database": "Database",
    "followed": "FollowedRow",
    "history": "Bars Coverage IvKind SmileDay VolSeries",
    "importing": "Imported",
    "journal": "Booking Change Decision Execution UnreadRow replay",
    "kept_chains": "KeptDay",
    "restoring": "Restored",
    "scans": "NewProposal StoredProposal StoredScan",
    "upkeep": "SeriesInfo StoreInfo",
}
_lazy.offer(__name__, _NAMES, "names")
