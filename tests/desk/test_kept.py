"""Backtests over the chains that the store kept of each day."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from conftest import settings_in
from support import quote_tables
from tomic.desk import Desk
from tomic.errors import DataError
from tomic.files.option_tables import read_days

DAYS = [str(day) for day in np.busday_offset("2021-03-01", np.arange(26), roll="forward")]
WINDOW = {"naked_put": {"dte": [5, 45]}}
SCAN = {"strategies": list(WINDOW), "keep_to_exits": False, "top": 2}


@pytest.fixture
def given(tmp_path):
    """Settings with a store of their own."""
    return settings_in(tmp_path, scan=SCAN, strategies=WINDOW, backtest={"processes": 1})


async def test_kept_chains_bring_what_the_files_did(given, tmp_path):
    """The same trades, promises and results from the chains kept as from the files they were of."""
    spots = dict(zip(DAYS, np.linspace(100.0, 97.0, len(DAYS)).tolist(), strict=True))
    path = quote_tables.written(tmp_path, quote_tables.table(spots, ("2021-04-01",)))
    async with Desk(given) as desk:
        store = await desk.store()
        for day, chains in read_days([path], rate={2021: 0.02}):
            for chain in chains:
                live = chain.with_columns(quote_source=np.full(len(chain), "live"))
                await store.kept.save(live, day=day, keep=dt.timedelta(days=90))
        of_file = await desk.backtest(chains=[path])
        of_store = await desk.backtest(kept=True)

    assert of_store.data == ("chains kept in the store",)
    assert [trade.trade for trade in of_store.trades] == [trade.trade for trade in of_file.trades]
    assert len(of_store.trades) > 1
    for kept, read in zip(of_store.trades, of_file.trades, strict=True):
        assert (kept.exit, kept.closed, kept.source) == (read.exit, read.closed, "quotes")
        assert kept.pnl == pytest.approx(read.pnl, abs=0.02)
        assert kept.pos == pytest.approx(read.pos, abs=1e-3)


async def test_without_a_kept_chain_it_says_what_leaves_one(given):
    """A store that keeps nothing of a symbol is said, and nothing else is taken instead."""
    async with Desk(given) as desk:
        with pytest.raises(DataError, match="keeps no chain of these symbols yet"):
            await desk.backtest("XYZ", kept=True)
