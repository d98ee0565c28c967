"""Daily surfaces taken into the store, and read from there with the closes that they lack."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from tomic.evidence.history import SurfaceHistory, SurfaceRows, clean
from tomic.files.surfaces import is_surface, read_surface
from tomic.store import Bars, Database, Imported

_DROPPED = "rows without a date"


async def import_file(db: Database, path: Path) -> Imported:
    """
    Take *path* into the store, whatever of the known kinds it is. Doing it again adds nothing.

    Surfaces are a CSV with a row a symbol and day, or the original's ``iv_daily_summary``, a file
    or the folder; all others are those of `Database.import_file`. They are kept as they are and
    cleaned when they are walked over, so what cleaning would take out is only told.

    Raises:
        BadFile: It cannot be read, or is of no known kind.
        StoreError: The store cannot be written.
    """
    if not await asyncio.to_thread(is_surface, path):
        return await db.import_file(path)
    rows = await asyncio.to_thread(read_surface, path)
    new = await db.surfaces.save(rows)
    excluded = await asyncio.to_thread(_excluded, rows)
    left_out = tuple(f"{reason}: {count}" for reason, count in sorted(excluded.items()) if count)
    counts = {
        "days of symbols": int((~np.isnat(rows.day)).sum()),
        "symbols": int(np.unique(rows.symbol).size),
        "new days": new,
    }
    return Imported("daily surfaces", counts, cleaned=left_out)


def _excluded(rows: SurfaceRows) -> Counter[str]:
    total: Counter[str] = Counter()
    for history in clean(rows):
        total.update(history.excluded)
    return total


async def histories(
    db: Database, rows: SurfaceRows, funds: Collection[str], missing: Counter[str]
) -> list[SurfaceHistory]:
    """
    Clean histories of *rows*; a symbol without any close takes those of the stored bars.

    What has none there either is left out and counted in *missing*.
    """
    names = [str(name) for name in np.unique(rows.symbol)]
    bare = [name for name in names if np.isnan(rows.close[rows.symbol == name]).all()]
    bars = await db.history.many_bars(bare) if bare else {}
    close = rows.close.copy()
    lacking = []
    for name in bare:
        if name in bars:
            own = rows.symbol == name
            close[own] = _on_days(rows.day[own], bars[name])
        if np.isnan(close[rows.symbol == name]).all():
            missing[f"{name}: its surfaces have no closes, nor has the store: tomic prices"] += 1
            lacking.append(name)
    kept = ~np.isin(rows.symbol, lacking)
    whole = SurfaceRows._make(column[kept] for column in rows._replace(close=close))
    return await asyncio.to_thread(clean, whole, etfs=funds)


def _on_days(day: np.ndarray, bars: Bars) -> np.ndarray:
    """Closes of *bars* on each day, NaN where there is none."""
    place = np.minimum(np.searchsorted(bars.date, day), len(bars) - 1)
    return np.where(bars.date[place] == day, bars.close[place], np.nan)
