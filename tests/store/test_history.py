""""""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import sqlite3
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_array_equal

from support.properties import examples
from tomic.models import VolSnapshot
from tomic.store import Bars, Database, SmileDay, VolSeries

NOW = dt.datetime(2026, 11, 20, 21, 5, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


async def test_two_runs_keep_the_limit_together(path):
    """The request that would be one too many waits until the oldest leaves the window."""
    async with Database(path) as one, Database(path) as two:
        for n in range(6):
            store = (one, two)[n % 2]
            assert not await store.history.claim_request(f"bars {n}", after(n), most=6)

        wait = await two.history.claim_request("bars 6", after(10), most=6)

        assert wait == dt.timedelta(seconds=590)
        assert await one.history.claim_request("bars 6", after(599.9), most=6)
        assert not await one.history.claim_request("bars 6", after(600), most=6)


async def test_an_identical_request_waits_fifteen_seconds(store):
    """The same question is not asked again within 15 s, by whichever run; another may."""
    assert not await store.history.claim_request("SPY bars", NOW)

    assert await store.history.claim_request("SPY bars", after(5)) == dt.timedelta(seconds=10)
    assert not await store.history.claim_request("QQQ bars", after(5))
    assert not await store.history.claim_request("SPY bars", after(15))


async def test_requests_are_remembered_for_a_day(store):
    """What was asked lately can be listed; what is older than a day goes by itself."""
    await store.history.claim_request("old", NOW - dt.timedelta(days=2))
    await store.history.claim_request("SPY bars", NOW)
    await store.history.claim_request("SPY iv", after(1))

    assert await store.history.recent_requests(after(0.5)) == [(after(1), "SPY iv")]
    assert len(await store.history.recent_requests(NOW - dt.timedelta(days=9))) == 2


async def test_a_clock_set_back_blocks_nobody(store):
    """A request noted an hour in the future does not make this one wait for it."""
    await store.history.claim_request("SPY bars", after(3600))

    assert not await store.history.claim_request("SPY bars", NOW, most=1)


NAN = float("nan")

prices = st.floats(0.01, 1e6)
maybe = st.one_of(prices, st.just(NAN))
days = st.dates(dt.date(1960, 1, 1), dt.date(2040, 1, 1))
bar_rows = st.lists(
    st.tuples(days, maybe, maybe, maybe, prices, maybe), unique_by=lambda row: row[0], max_size=30
)


def bars_of(symbol: str, first: str, count: int, *, base: float = 100.0) -> Bars:
    date = np.datetime64(first) + np.arange(count)
    close = base + np.arange(count, dtype="float64")
    return Bars(symbol, date, close - 0.5, close + 1.0, close - 1.0, close, close * 1000.0)


def iv_of(symbol: str, first: str, count: int, kind="ib30") -> VolSeries:
    date = np.datetime64(first) + np.arange(count)
    return VolSeries(symbol, kind, date, 0.2 + np.arange(count) / 1000.0)


def assert_same(found, expected):
    for field in fields(expected):
        assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


@given(bar_rows)
@examples(25)
def test_bars_come_back_as_they_went_in(rows):
    """Every bar, missing fields included, is read back bit for bit, in order of day."""

    async def there_and_back() -> Bars:
        with tempfile.TemporaryDirectory() as folder:
            async with Database(Path(folder) / "store.db") as db:
                await db.history.save_bars(bars)
                return await db.history.bars("SPY")

    bars = Bars.from_rows("SPY", rows)

    assert_same(asyncio.run(there_and_back()), bars)


async def test_windows_end_where_asked(store):
    """``days`` counts stored days back from ``until``, which is included."""
    await store.history.save_bars(bars_of("SPY", "2026-01-01", 10), bars_of("QQQ", "2026-01-05", 3))
    until = dt.date(2026, 1, 6)

    spy = await store.history.bars("SPY", days=4, until=until)
    both = await store.history.many_bars(["SPY", "QQQ", "IWM"], days=4, until=until)

    assert spy.date.astype(str).tolist() == [f"2026-01-0{n}" for n in (3, 4, 5, 6)]
    assert sorted(both) == ["QQQ", "SPY"]
    assert_same(both["SPY"], spy)
    assert len(both["QQQ"]) == 2
    assert len(await store.history.bars("SPY", days=0)) == 0


async def test_an_unknown_symbol_has_no_bars(store):
    """A symbol that was never stored gives empty arrays, not an error."""
    assert len(await store.history.bars("SPY")) == 0
    assert len(await store.history.iv("SPY", "ib30")) == 0


async def test_saving_twice_adds_nothing(store):
    """The number of new days is told; the same days again are none."""
    bars = bars_of("SPY", "2026-01-01", 10)

    assert await store.history.save_bars(bars) == 10
    assert await store.history.save_bars(bars) == 0
    assert await store.history.save_bars(bars_of("SPY", "2026-01-09", 3)) == 1
    assert len(await store.history.bars("SPY")) == 11


async def test_volatilities_of_different_kinds_do_not_mix(store):
    """IB's series and that of our own chains stay apart, also on the same day."""
    ours = iv_of("SPY", "2026-01-01", 3, "chain30")
    theirs = iv_of("SPY", "2026-01-01", 5)
    await store.history.save_iv(ours, theirs)

    assert_same(await store.history.iv("SPY", "chain30"), ours)
    assert_same(await store.history.iv("SPY", "ib30"), theirs)
    assert len((await store.history.many_iv(["SPY"], "ib30", days=2))["SPY"]) == 2


async def test_coverage_tells_what_was_asked_and_what_came(store):
    """A symbol listed lately was asked for further back than it has bars."""
    asked = dt.date(2025, 11, 20)
    await store.history.save_bars(bars_of("NEW", "2026-11-10", 5), fetched_at=NOW, asked_from=asked)
    await store.history.save_bars(bars_of("NEW", "2026-11-15", 1), fetched_at=NOW)
    await store.history.save_iv(iv_of("NEW", "2026-11-12", 2))
    await store.history.save_iv(VolSeries.from_rows("GONE", "ib30", ()), fetched_at=NOW)

    covered = await store.history.coverages()

    bars = covered["NEW"]["bars"]
    assert (bars.rows, bars.first, bars.last) == (6, dt.date(2026, 11, 10), dt.date(2026, 11, 15))
    assert (bars.fetched_at, bars.asked_from, bars.close_only) == (NOW, asked, 0)
    assert covered["NEW"]["ib30"].fetched_at is None
    assert covered["GONE"]["ib30"].rows == 0
    assert await store.history.coverage("SPY") == {}


async def test_a_split_replaces_the_whole_series(store):
    """After a replacement no old row is left, and the event says why."""
    await store.history.save_bars(
        bars_of("NVDA", "2026-01-01", 10), bars_of("SPY", "2026-01-01", 2)
    )
    split = bars_of("NVDA", "2026-01-06", 8, base=10.0)

    await store.history.replace(split, at=NOW, reason="close 2026-01-10 differs by 90 %")
    await store.history.replace(iv_of("NVDA", "2026-01-06", 3), at=NOW, reason="with the bars")

    assert_same(await store.history.bars("NVDA"), split)
    assert len(await store.history.bars("SPY")) == 2
    assert await store.history.events("NVDA") == [
        (NOW, "NVDA", "replaced", "close 2026-01-10 differs by 90 %"),
        (NOW, "NVDA", "replaced", "with the bars"),
    ]


async def test_the_last_snapshot_of_a_day_counts(store):
    """One snapshot a day is kept; history is oldest first."""
    first = VolSnapshot(symbol="SPY", as_of=NOW - dt.timedelta(days=1), iv30=0.18)
    early = VolSnapshot(symbol="SPY", as_of=NOW, iv30=0.19, sources={"iv30": "ib"})
    late = early.model_copy(update={"iv30": 0.20, "ages": {"iv30": NOW}})
    await store.history.save_snapshots(first, early)
    await store.history.save_snapshots(late)

    assert await store.history.snapshots("SPY") == [first, late]
    assert await store.history.snapshots("SPY", days=1) == [late]
    assert await store.history.latest_snapshots(["SPY", "QQQ"]) == {"SPY": late}


async def test_a_skew_counts_on_the_day_its_chain_was_taken(store):
    """A snapshot that repeats an earlier chain's skew is no day of the history."""
    own = {"skew": "chain", "term_m1_m2": "chain"}
    taken = VolSnapshot(
        symbol="SPY", as_of=NOW - dt.timedelta(days=1), skew=-0.05, term_m1_m2=0.01, sources=own
    )
    repeated = VolSnapshot(symbol="SPY", as_of=NOW, skew=-0.05, sources={"skew": "store"})
    await store.history.save_snapshots(taken, repeated)

    assert await store.history.smiles("SPY") == [
        SmileDay((NOW - dt.timedelta(days=1)).date(), -0.05, 0.01, None)
    ]
    assert await store.history.smiles("QQQ") == []


def test_a_bar_without_a_close_is_refused():
    """A missing close, a repeated day and unequal lengths are mistakes of the caller."""
    with pytest.raises(ValueError, match="without its value"):
        Bars.from_rows("SPY", [(dt.date(2026, 1, 1), 1.0, 1.0, 1.0, NAN, 0.0)])
    with pytest.raises(ValueError, match="each once"):
        VolSeries.from_rows("SPY", "ib30", [(dt.date(2026, 1, 1), 0.2)] * 2)
    bars = Bars.from_rows("SPY", [(dt.date(2026, 1, 1), 1.0, 1.0, 1.0, 1.0, 0.0)])
    with pytest.raises(ValueError, match="columns differ in length"):
        replace(bars, volume=np.zeros(2))


async def test_snapshot_with_an_impossible_figure(store):
    """What an earlier version kept in per cents is missing with its reason; the rest is read."""
    kept = VolSnapshot(symbol="SPY", as_of=NOW, iv30=0.19, missing={"skew": "no chain"})
    document = {**json.loads(kept.model_dump_json(exclude_defaults=True)), "iv_rank": 60.0}
    await store.history.save_snapshots(kept)
    with contextlib.closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE vol_snapshots SET document = ?", (json.dumps(document),))

    (found,) = await store.history.snapshots("SPY")

    assert (found.iv30, found.iv_rank) == (0.19, None)
    assert found.missing == {"skew": "no chain", "iv_rank": "a fraction: 0.6, not 60"}
    assert (await store.history.latest_snapshots("SPY"))["SPY"] == found
