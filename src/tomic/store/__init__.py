"""What TOMIC remembers, in one SQLite file. No SQL outside this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomic.store.calendar import Dividend, Earnings
    from tomic.store.contracts import StoredContract
    from tomic.store.database import Database
    from tomic.store.history import Bars, Coverage, IvKind, VolSeries
    from tomic.store.importing import Imported
    from tomic.store.journal import Change, Decision, Execution, UnreadRow, replay
    from tomic.store.scans import NewProposal, StoredProposal, StoredScan
    from tomic.store.upkeep import SeriesInfo, StoreInfo

_NAMES = {
    "calendar": ("Dividend", "Earnings"),
    "contracts": ("StoredContract",),
    "database": ("Database",),
    "history": ("Bars", "Coverage", "IvKind", "VolSeries"),
    "importing": ("Imported",),
    "journal": ("Change", "Decision", "Execution", "UnreadRow", "replay"),
    "scans": ("NewProposal", "StoredProposal", "StoredScan"),
    "upkeep": ("SeriesInfo", "StoreInfo"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Bars",
    "Change",
    "Coverage",
    "Database",
    "Decision",
    "Dividend",
    "Earnings",
    "Execution",
    "Imported",
    "IvKind",
    "NewProposal",
    "SeriesInfo",
    "StoreInfo",
    "StoredContract",
    "StoredProposal",
    "StoredScan",
    "UnreadRow",
    "VolSeries",
    "replay",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
