"""Files of surfaces go into the store as they are, and get the closes that they lack."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from support import made_surfaces
from tomic.errors import BadFile
from tomic.store import Bars, Database
from tomic.workflows import surfaces


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


def written(path, rows):
    """A file of *rows*."""
    lines = ["symbol,date,close,atm_iv,skew,term_m1_m2"]
    lines += [",".join(map(str, row)) for row in zip(*rows, strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def test_an_import_says_what_cleaning_will_take_out(store, tmp_path):
    """All is kept; what will not be believed is counted by reason, and again adds nothing."""
    rows = made_surfaces.rows(("AAA", "BBB"), 40)
    rows.atm_iv[5], rows.close[9] = 4.0, -1.0
    path = written(tmp_path / "any.txt", rows)

    taken = await surfaces.import_file(store, path)
    again = await surfaces.import_file(store, path)

    assert taken.kind == "daily surfaces"
    assert taken.counts == {"days of symbols": 80, "symbols": 2, "new days": 80}
    assert again.counts["new days"] == 0
    assert taken.cleaned == ("impossible IVs: 1", "impossible closes: 1")
    kept = await store.surfaces.load(["AAA", "BBB"])
    assert_array_equal(kept.atm_iv, rows.atm_iv)


async def test_other_files_are_what_they_were(store, tmp_path):
    """A calendar is still a calendar, and what is nothing is refused with the kinds."""
    calendar, other = tmp_path / "a.csv", tmp_path / "b.csv"
    calendar.write_text("symbol,date\nSPY,2026-01-05\n")
    other.write_text("name,colour\nSPY,blue\n")

    assert (await surfaces.import_file(store, calendar)).kind == "earnings"
    with pytest.raises(BadFile, match="daily surfaces"):
        await surfaces.import_file(store, other)


async def test_closes_come_from_the_stored_bars(store):
    """A symbol without any takes the bars' of the same days; without bars it is left out."""
    rows = made_surfaces.rows(("AAA", "BBB", "CCC"), 30)
    closes = rows.close[rows.symbol == "AAA"].copy()
    rows.close[rows.symbol != "CCC"] = np.nan
    day = rows.day[rows.symbol == "AAA"]
    none = np.full(29, np.nan)
    await store.history.save_bars(Bars("AAA", day[1:], none, none, none, closes[1:], none))
    missing = Counter()

    found = await surfaces.histories(store, rows, (), missing)

    assert [history.symbol for history in found] == ["AAA", "CCC"]
    assert_array_equal(found[0].close[1:], closes[1:])
    assert np.isnan(found[0].close[0])
    assert [reason.split(":")[0] for reason in missing] == ["BBB"]
