"""Imported surfaces come back as they were, a row a symbol and day."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from support import made_surfaces
from tomic.evidence.history import SurfaceRows


async def test_what_is_kept_comes_back(store):
    """Exactly, by symbol and day, with what was missing still missing."""
    rows = made_surfaces.rows(("BBB", "AAA"), 30)
    rows.atm_iv[3] = rows.close[40] = np.nan

    assert await store.surfaces.save(rows) == 60
    found = await store.surfaces.load(["AAA", "BBB", "CCC"])

    order = np.lexsort((rows.day, rows.symbol))
    for ours, theirs in zip(found, rows, strict=True):
        assert_array_equal(ours, theirs[order])
    assert set((await store.surfaces.load(["BBB"])).symbol) == {"BBB"}


async def test_a_day_is_replaced(store):
    """What comes later counts, also within a file, and a row without a date is left out."""
    rows = made_surfaces.rows(days=3)
    await store.surfaces.save(rows)
    again = SurfaceRows._make(np.concatenate((part, part)) for part in rows)
    again.close[3:] = 7.0
    again.day[0] = np.datetime64("NaT")

    assert await store.surfaces.save(again) == 0
    assert_array_equal((await store.surfaces.load(["AAA"])).close, 7.0)


async def test_nothing_there_is_no_rows(store):
    """A symbol that was never imported has none."""
    found = await store.surfaces.load(["AAA"])

    assert found.day.size == found.close.size == 0
    assert found.day.dtype == "datetime64[D]"
