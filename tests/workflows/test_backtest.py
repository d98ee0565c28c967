"""A backtest takes the best source there is, can be stopped, goes on, and counts its looks."""

from __future__ import annotations

import datetime as dt
import gc
import weakref
from collections import Counter

import numpy as np
import pytest

from support import quote_tables, walked
from tomic import Desk
from tomic.config import Settings
from tomic.errors import BadFile, ConfigError, DataError
from tomic.evidence import quoted
from tomic.evidence.quoted import Day
from tomic.files.option_tables import read_days
from tomic.models import Underlying
from tomic.store import Bars, Earnings
from tomic.store.history import VolSeries
from tomic.workflows import backtest as backtesting


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    """A file of made surfaces."""
    table = walked.table(100)
    lines = ["symbol,date,close,atm_iv,skew,term_m1_m2"]
    lines += [",".join(map(str, row)) for row in zip(*table, strict=True)]
    path = tmp_path_factory.mktemp("surface") / "surface.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path):
    """Those of the small walk, with a store of their own."""
    store = walked.SETTINGS.store.model_copy(update={"path": tmp_path / "store.db"})
    return walked.SETTINGS.model_copy(update={"store": store})


async def test_a_surface_gives_what_the_core_gives(settings, surface):
    """Trades are those of the pure walk, and nothing is left behind."""
    async with Desk(settings) as desk:
        result = await desk.backtest(surface=surface, run="hold")

    ours = [trade.pnl for trade in result.trades]
    found = walked.walked(walked.table(100)).pool
    rows = np.flatnonzero((found.rank > 0) & ~np.isnan(found.pnl("hold")))
    assert sorted(ours) == pytest.approx(sorted(found.pnl("hold")[rows]), rel=1e-6, abs=1e-6)
    assert result.sources == {"surface": len(ours)}
    assert result.data == (str(surface),)
    assert not list((settings.store.path.parent / "backtest").glob("*.npz"))
    assert "smiles are modelled" in result.notes[0]


async def test_stopping_keeps_what_is_there_and_the_next_run_goes_on(settings, surface):
    """The first interrupt ends it after a symbol; the same again asks for the others alone."""
    told, open_desk = [], []

    def watch(event):
        told.append(event)
        if event.kind == "count" and event.done == 1:
            open_desk[0].interrupt()

    async with Desk(settings, watch=watch) as first:
        open_desk.append(first)
        part = await first.backtest(surface=surface)
        assert first.interrupted
    assert part.partial.startswith("interrupted: ")
    assert 0 < len(part.symbols) < 4
    kept = len(list((settings.store.path.parent / "backtest").glob("*.npz")))
    assert kept >= 1

    told.clear()
    async with Desk(settings, watch=told.append) as again:
        whole = await again.backtest(surface=surface)

    assert whole.partial == ""
    assert any("worked out before" in event.text for event in told)
    assert sum(event.kind == "count" for event in told) == 4 - kept
    async with Desk(settings) as fresh:
        assert (await fresh.backtest(surface=surface)).trades == whole.trades


async def test_looks_are_counted_once_each(settings, surface):
    """The same again is no further look; another setting is."""
    async with Desk(settings) as desk:
        first = await desk.backtest("AAA", surface=surface)
        again = await desk.backtest("AAA", surface=surface)
        other = await desk.backtest("AAA", surface=surface, run="hold")

    assert (first.variants, again.variants, other.variants) == (1, 1, 2)


async def test_the_period_bounds_days_of_entry(settings, surface):
    """No trade is opened outside it."""
    since, until = dt.date(2022, 4, 1), dt.date(2022, 5, 1)
    async with Desk(settings) as desk:
        result = await desk.backtest(surface=surface, since=since, until=until, every="day")

    assert {trade.day for trade in result.trades} <= {
        since + dt.timedelta(days=n) for n in range(31)
    }
    assert result.entry_days == 21


async def test_two_configurations_share_their_days(settings, surface):
    """What differs is named with both values, and only the weights need no second walk."""
    other = settings.model_copy(update={"scan": settings.scan.model_copy(update={"top": 1})})
    async with Desk(settings) as desk:
        found = await desk.compare(other, "one.toml", surface=surface, run="hold")

    assert found.changed == {"scan.top": ("3", "1")}
    assert found.other.overall.trades < found.base.overall.trades
    assert found.days > 5


async def test_a_sweep_runs_each_value(settings, surface):
    """Values are read as the settings write them; the base is among them."""
    async with Desk(settings) as desk:
        found = await desk.sweep("score.weights.pos", ["0.25", "0.75"], surface=surface)

    assert [(row.value, row.is_base) for row in found.rows] == [("0.25", True), ("0.75", False)]
    assert found.variants >= 2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("score.weight", "1", "there is no weight"),
        ("scan.top", "none at all", "scan.top = none at all"),
        ("scan.top", "0", "scan.top = 0"),
        ("score.weights.pos", "x", "score.weights.pos = x"),
        ("score.weights.pos", "[1]", "score.weights.pos"),
        ("scan.top", "9" * 5000, "scan.top = 9"),
        ("scan.top", "[" * 5000, "scan.top = "),
    ],
)
def test_a_sweep_over_nothing_is_refused(key, value, words):
    """Unknown keys and impossible values are named."""
    with pytest.raises(ConfigError, match=words):
        backtesting.varied(Settings(), key, [value])


def test_the_settings_inside_strategies_can_be_swept():
    """A table of one's own need not be there before."""
    found = backtesting.varied(Settings(), "strategies.naked_put.dte", ["[30, 40]"])

    assert [each.strategies for each in found.values()] == [{"naked_put": {"dte": [30, 40]}}]


async def test_what_is_not_there_is_said(settings, surface, tmp_path):
    """A symbol that the file lacks, no file at all, an empty store, a period without days."""
    async with Desk(settings) as desk:
        with pytest.raises(DataError, match=r"XYZ is not in surface\.csv"):
            await desk.backtest("XYZ", surface=surface)
        with pytest.raises(BadFile):
            await desk.backtest(surface=tmp_path / "absent.csv")
        with pytest.raises(DataError, match="tomic prices --days 2000"):
            await desk.backtest("AAA")
        with pytest.raises(DataError, match="no trade could be found"):
            await desk.backtest(surface=surface, since=dt.date(2030, 1, 1))


async def test_the_store_s_own_history_serves(settings):
    """Closes and 30-day volatilities with an assumed skew, whose weight is shown."""
    table = walked.table(100)
    async with Desk(settings) as desk:
        store = await desk.store()
        for symbol in ("AAA", "BBB"):
            rows = table.symbol == symbol
            day, close, iv = table.day[rows], table.close[rows], table.atm_iv[rows]
            none = np.full(day.size, np.nan)
            await store.history.save_bars(Bars(symbol, day, none, none, none, close, none))
            await store.history.save_iv(VolSeries(symbol, "ib30", day, iv))
        result = await desk.backtest(["AAA", "BBB", "CCC"])

    assert set(result.sources) == {"history"}
    assert len(result.sensitivity) == 3
    assert any("skew is assumed" in note for note in result.notes)
    assert "CCC: no closes stored" in {each.reason for each in result.not_built}


async def test_chains_go_before_surfaces(settings, surface, tmp_path):
    """On a day of a recorded chain its quotes count, on others the surface; each trade says."""
    days = [str(day) for day in np.busday_offset("2022-04-04", np.arange(8), roll="forward")]
    text = quote_tables.table(dict.fromkeys(days, 100.0), ("2022-05-06",), symbol="AAA")
    path = quote_tables.written(tmp_path, text)
    window = {"naked_put": {"dte": [25, 50]}}
    scan = settings.scan.model_copy(update={"strategies": ("naked_put",), "keep_to_exits": False})
    settings = settings.model_copy(update={"scan": scan, "strategies": window})

    async with Desk(settings) as desk:
        result = await desk.backtest("AAA", surface=surface, chains=[path], every="day")

    by_source = {
        source: {str(trade.day) for trade in result.trades if trade.source == source}
        for source in ("quotes", "surface")
    }
    assert by_source["quotes"]
    assert by_source["quotes"] <= set(days)
    assert by_source["surface"]
    assert not by_source["surface"] & set(days)
    assert len(result.data) == 2


async def test_imported_surfaces_serve_before_closes(settings):
    """Of a symbol that was imported its surface counts, of another the closes; each trade says."""
    table = walked.table(100)
    async with Desk(settings) as desk:
        store = await desk.store()
        chosen = table.symbol == "AAA"
        await store.surfaces.save(type(table)._make(column[chosen] for column in table))
        rows = table.symbol == "BBB"
        day, close, iv = table.day[rows], table.close[rows], table.atm_iv[rows]
        none = np.full(day.size, np.nan)
        await store.history.save_bars(Bars("BBB", day, none, none, none, close, none))
        await store.history.save_iv(VolSeries("BBB", "ib30", day, iv))
        result = await desk.backtest(["AAA", "BBB"], run="hold")

    of = {"AAA": "surface", "BBB": "history"}
    assert {trade.source for trade in result.trades} == {"surface", "history"}
    assert all(trade.source == of[trade.symbol] for trade in result.trades)
    assert any("of 1 symbols is assumed" in note for note in result.notes)


async def test_a_run_on_chains_goes_on_where_it_was(settings, tmp_path):
    """Days that were searched are not searched again, and the result is that of a whole run."""
    days = [str(day) for day in np.busday_offset("2022-04-04", np.arange(8), roll="forward")]
    text = quote_tables.table(dict.fromkeys(days, 100.0), ("2022-05-06",), symbol="AAA")
    asked = {"chains": [quote_tables.written(tmp_path, text)], "every": "day"}
    scan = settings.scan.model_copy(update={"strategies": ("naked_put",), "keep_to_exits": False})
    settings = settings.model_copy(
        update={"scan": scan, "strategies": {"naked_put": {"dte": [25, 50]}}}
    )
    told, open_desk = [], []

    def watch(event):
        told.append(event)
        if event.kind == "count" and event.done == 2:
            open_desk[0].interrupt()

    async with Desk(settings, watch=watch) as first:
        open_desk.append(first)
        part = await first.backtest("AAA", **asked)
    folder = settings.store.path.parent / "backtest"
    kept = len(list(folder.glob("*.npz")))
    assert part.partial == f"interrupted: {kept} of 8 days"
    assert 2 <= kept < 8

    told.clear()
    async with Desk(settings, watch=told.append) as again:
        whole = await again.backtest("AAA", **asked)

    assert f"{kept} days were worked out before" in {event.text for event in told}
    assert whole.partial == ""
    assert not list(folder.glob("*.npz"))
    async with Desk(settings) as fresh:
        assert (await fresh.backtest("AAA", **asked)).trades == whole.trades


async def test_what_is_damaged_is_worked_out_again(tmp_path):
    """Half a file on disk is none, of a day as of a symbol."""
    kept = backtesting._Kept(tmp_path)
    (tmp_path / "AAA-1.npz").write_bytes(b"PK\x03\x04 and no more")
    assert kept.load("AAA-1") is None
    shelf = backtesting._Shelf(tmp_path, set())
    day = dt.date(2022, 4, 4)
    shelf.put(day, "key", Day(day, (), (), Counter(a=1), Counter(), 3))
    path = tmp_path / "2022-04-04-key.npz"

    assert shelf.has(day, "key")
    path.write_bytes(path.read_bytes()[:100])
    assert not shelf.has(day, "key")
    assert not shelf.has(day, "other")


async def test_what_a_symbol_is_follows_from_what_is_known(settings):
    """IB's word first, then an index by its name, then reports; the list only for others."""
    own = settings.backtest.model_copy(update={"funds": ("AAA", "CCC", "DDD")})
    async with Desk(settings.model_copy(update={"backtest": own})) as desk:
        store = await desk.store()
        for symbol, kind in (("AAA", "COMMON"), ("FUND", "ETF")):
            known = Underlying(symbol=symbol, con_id=1, stock_type=kind)
            await store.contracts.save_underlying(known, dt.date(2022, 4, 4))
        await store.calendar.save_earnings([Earnings("CCC", dt.date(2022, 5, 2), "csv")])
        names = ["AAA", "FUND", "SPX", "CCC", "DDD", "EEE"]
        found = await backtesting._funds(desk._resources, names)

    assert found == {"FUND", "SPX", "DDD"}


async def test_quotes_of_a_day_are_let_go(settings, tmp_path):
    """Following chains holds the quotes of the day at hand, however many days there are."""
    days = [str(day) for day in np.busday_offset("2022-04-04", np.arange(12), roll="forward")]
    text = quote_tables.table(dict.fromkeys(days, 100.0), ("2022-05-06",), symbol="AAA")
    scan = settings.scan.model_copy(update={"strategies": ("naked_put",), "keep_to_exits": False})
    settings = settings.model_copy(
        update={"scan": scan, "strategies": {"naked_put": {"dte": [25, 50]}}}
    )
    tables = read_days([quote_tables.written(tmp_path, text)], rate={2022: 0.02})
    searched = [quoted.packed(quoted.searched(*table, {}, settings, None)) for table in tables]
    refs, alive = [], []

    class Shelf:
        def days(self):
            for columns in searched:
                day = quoted.unpacked({name: part.copy() for name, part in columns.items()})
                refs.append(weakref.ref(day.quotes[0].mid))
                yield day
                del day
                gc.collect()
                alive.append(sum(ref() is not None for ref in refs))

    made = backtesting._followed(Shelf(), settings, {})

    assert made.pool.size >= 4
    assert max(alive) <= 1
