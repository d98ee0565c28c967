"""What TOMIC remembers, in one SQLite file. No SQL outside this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomic.store.contracts import StoredContract
    from tomic.store.database import Database
    from tomic.store.history import Bars, Coverage, IvKind, VolSeries

_HOMES = {
    "Bars": "history",
    "Coverage": "history",
    "Database": "database",
    "IvKind": "history",
    "StoredContract": "contracts",
    "VolSeries": "history",
}

__all__ = ["Bars", "Coverage", "Database", "IvKind", "StoredContract", "VolSeries"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
