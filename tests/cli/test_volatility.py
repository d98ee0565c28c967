"""`tomic prices`, `vol` and `explain`: what they print, write and end with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.clean_home import make_clean_home, write
from support.command_line import run
from tomic.errors import UsageError
from tomic.store import Bars, Database, VolSeries

STORE = Path("data/volatility.db")
NO_GATEWAY = "tomic: no gateway at 127.0.0.1:1;"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, no TOMIC variables, no web page."""
    home = make_clean_home(tmp_path, monkeypatch)
    write("tomic.toml", "[web]\nenabled = false\n[ib]\nport = 1\n")
    return home


def fill(symbol="SPY", days=("2026-11-19", "2026-11-20")) -> None:
    """A few stored days."""

    async def work():
        async with Database(STORE) as db:
            rows = [(day, 600.0, 602.0, 598.0, 601.0, 9.0) for day in days]
            await db.history.save_bars(Bars.from_rows(symbol, rows))
            values = [(day, 0.17) for day in days]
            await db.history.save_iv(VolSeries.from_rows(symbol, "ib30", values))

    asyncio.run(work())


# -- prices --------------------------------------------------------------------------------


def test_prices_of_a_demo():
    """Every symbol of the settings gets a row; stderr says beforehand how long it takes."""
    result = run("prices", "SPY", "qqq", "--demo")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split()[:5] for line in lines[1:]] == [
        ["QQQ" if at else "SPY", "253", "+253", "253", "+253"] for at in range(2)
    ]
    assert "4 requests for 2 symbols" in result.stderr
    assert "2 symbols · 4 requests · 1,012 days added" in result.stderr
    assert not STORE.exists()


def test_prices_as_json():
    """One document with a version, and nothing else on stdout."""
    result = run("prices", "SPY", "--demo", "--json", "--ib-hv", "-q")

    document = json.loads(result.stdout)
    assert document["schema"] == "tomic.prices/1"
    assert document["requests"] == 3
    (row,) = document["symbols"]
    assert (row["symbol"], row["bars"], row["ib_hv_days_added"]) == ("SPY", 253, 253)
    assert row["last"] == "2026-11-19"
    assert result.stderr == ""


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_prices_as_rows(format):
    """A row per symbol, as JSON lines or CSV."""
    result = run("prices", "SPY", "QQQ", "--demo", "--format", format)

    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
    else:
        rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["symbol"] for row in rows] == ["SPY", "QQQ"]


def test_an_unknown_symbol_leaves_the_rest():
    """The error names the symbol, the others are there, and the exit code is 3."""
    result = run("prices", "SPY", "NOSUCH", "--demo")

    assert result.exit_code == 3
    assert "IB knows no symbol NOSUCH" in result.stderr
    assert "1 failed" in result.stderr


def test_prices_without_a_gateway():
    """Nothing can be fetched: exit code 4 and one line that says why."""
    result = run("prices", "SPY")

    assert result.exit_code == 4
    assert NO_GATEWAY in result.stderr


def test_two_runs_do_not_collide():
    """While another run holds the lock, this one waits as long as it says and ends with 7."""
    write("tomic.toml", "[store]\nlock_wait_s = 0.0\n[ib]\nport = 1\n")
    fill()
    with closing(sqlite3.connect(f"{STORE}.prices.lock")) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = run("prices", "SPY")

    assert result.exit_code == 7
    assert "another run holds the lock 'prices'" in result.stderr


def test_a_bad_symbol_is_refused_at_once():
    """Before anything is connected."""
    result = run("prices", "SP Y;")

    assert result.exit_code == 2
    assert "is not a ticker symbol" in result.stderr


# -- vol -----------------------------------------------------------------------------------


def test_vol_of_a_demo():
    """An empty home gives whole rows, with sources and the window on stderr."""
    result = run("vol", "SPY", "QQQ", "--demo", "--no-export")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("VIX 17.49 (ib, now)")
    assert [line.split()[0] for line in lines[1:]] == ["symbol", "SPY", "QQQ"]
    assert lines[2].split()[1:6] == ["590.16", "17.1", "87", "96", "252"]
    assert "in its last 252 trading days, today excluded" in result.stderr
    assert "no skew, term_m1_m2, term_m1_m3 (SPY, QQQ): no chain was taken yet" in result.stderr
    assert not Path("exports").exists()


def test_vol_writes_the_originals_files():
    """Each symbol gets its other data, several an overview with the same columns."""
    result = run("vol", "SPY", "QQQ", "--demo", "--out", "out")

    (overview,) = Path("out").rglob("Overzicht_Marktkenmerken.csv")
    rows = list(csv.DictReader(overview.read_text(encoding="utf-8").splitlines()))
    assert result.exit_code == 0
    assert [row["Symbol"] for row in rows] == ["SPY", "QQQ"]
    assert len(list(Path("out").rglob("other_data_*.csv"))) == 2
    for name in ("SpotPrice", "HV_30", "ATR_14", "VIX", "IV_Rank", "Implied_Volatility"):
        assert float(rows[0][name]) > 0.0
    assert rows[0]["IV_Days"] == "252"


def test_vol_in_detail_with_a_chain():
    """Every figure has a line with source and age; estimators and moves follow."""
    result = run("vol", "IWM", "--demo", "--detail", "--chain", "--no-export")

    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert any(line.startswith("IV rank ") and "252 of 252 days of ib30" in line for line in lines)
    assert any(line.startswith("skew -") and " pt chain now" in line for line in lines)
    assert "realised, % 20 30 60 90 252" in lines
    assert any(line.startswith("yang zhang ") for line in lines)
    assert "expected move days ATM IV IV, 1σ straddle density, 1σ" in lines


def test_vol_as_json():
    """Fractions, sources, ages and reasons; no NaN."""
    result = run("vol", "SPY", "--demo", "--json", "--no-export", "-q")

    document = json.loads(result.stdout, parse_constant=pytest.fail)
    assert document["schema"] == "tomic.vol/1"
    (spy,) = document["symbols"]
    assert 0.0 < spy["iv30"] < 1.0
    assert spy["sources"]["iv30"] == "ib"
    assert spy["missing"]["skew"]
    assert spy["skew"] is None
    assert set(spy["hv"]) >= {"close_to_close", "yang_zhang"}
    assert spy["iv_hv"] == pytest.approx(spy["iv30"] - spy["hv30"])


def test_vol_as_csv_has_the_originals_columns():
    """The header begins as the original's."""
    result = run("vol", "SPY", "--demo", "--format", "csv", "--no-export")

    header, row = result.stdout.splitlines()
    assert header.startswith(
        "Symbol,SpotPrice,HV_30,ATR_14,VIX,Skew,Term_M1_M2,Term_M1_M3,IV_Rank,"
        "Implied_Volatility,IV_Percentile,Avg_Parity_Deviation"
    )
    assert row.startswith("SPY,590.16,")


def test_vol_without_a_gateway_shows_what_is_stored():
    """The store's figures are printed, the error is said, and the exit code is 3."""
    fill()
    result = run("vol", "SPY", "--no-export")

    assert result.exit_code == 3
    assert NO_GATEWAY in result.stderr
    assert "601.00" in result.stdout


def test_vol_with_nothing_at_all():
    """No gateway and an empty store: reasons, no file, exit code 4."""
    result = run("vol", "SPY")

    assert result.exit_code == 4
    assert "run tomic prices" in result.stderr
    assert not Path("exports").exists()


def test_vol_from_the_store_alone():
    """With --stored nobody is asked, and that is no error."""
    fill()
    result = run("vol", "SPY", "--stored", "--no-export")

    assert result.exit_code == 0
    assert "no hv20 (SPY): 2 of 21 closes stored, since 2026-11-19" in result.stderr
    assert NO_GATEWAY not in result.stderr


def test_vol_history_prints_stored_days():
    """Closes and volatilities day by day, from the store."""
    fill()
    table = run("vol", "SPY", "--history", "--days", "2")
    rows = run("vol", "SPY", "--history", "--format", "csv")

    assert table.exit_code == rows.exit_code == 0
    # One sigma of 30 days: 601 x 17 % x sqrt(30 / 365).
    assert table.stdout.splitlines()[1].split() == ["2026-11-19", "601.00", "17.0", "29.29"]
    assert rows.stdout.splitlines()[0].startswith("symbol,day,close,hv30")
    assert len(rows.stdout.splitlines()) == 3


def test_vol_history_is_drawn():
    """Into a file by its ending, or as SVG on stdout; of one symbol."""
    fill()
    written = run("vol", "SPY", "--plot", "history.png")
    printed = run("vol", "SPY", "--plot", "-", "-q")
    several = run("vol", "SPY", "QQQ", "--plot", "history.png")

    assert (written.exit_code, written.stdout) == (0, "")
    assert Path("history.png").read_bytes().startswith(b"\x89PNG")
    assert printed.stdout.startswith("<?xml")
    assert several.exit_code == 2
    assert "one symbol makes one picture" in several.stderr


def test_vol_history_of_an_empty_store():
    """Nothing stored says what to run."""
    result = run("vol", "SPY", "--history")

    assert result.stdout == "SPY: nothing stored; run tomic prices SPY\n"


# -- explain -------------------------------------------------------------------------------


def test_explain_prints_everything_about_a_metric():
    """Definition, unit, formula, source, caveat, kernel and the worked example."""
    result = run("explain", "IV-rank")

    assert result.exit_code == 0
    assert result.stdout.startswith("iv_rank  IV rank\n")
    for word in ("unit", "formula", "source", "caveat", "kernel", "example"):
        assert f"\n  {word} " in result.stdout


def test_explain_lists_all():
    """Without a name, every metric has a line; as JSON all of it."""
    table, document = run("explain"), json.loads(run("explain", "--json").stdout)

    assert "parity_deviation" in table.stdout
    assert document["theta"]["unit"].endswith("calendar day")


def test_explain_helps_with_a_wrong_name():
    """A near miss is suggested, and the error is one of usage."""
    result = run("explain", "iv_ranc")

    assert result.exit_code == UsageError.exit_code == 2
    assert "did you mean iv_rank" in result.stderr


# -- chain ---------------------------------------------------------------------------------


def test_chain_completes_the_other_data():
    """Beside a chain stand its own IV and terms, and several symbols give an overview."""
    result = run(
        "chain", "SPY", "QQQ", "--demo", "--out", "out", "--monthlies", "1", "--weeklies", "2"
    )

    (overview,) = Path("out").rglob("Overzicht_Marktkenmerken.csv")
    rows = list(csv.DictReader(overview.read_text(encoding="utf-8").splitlines()))
    assert result.exit_code == 0
    for row in rows:
        assert float(row["Implied_Volatility"]) > 0.0
        assert row["Term_M1_M2"] and row["Term_M1_M3"]
        assert "iv30=chain" in row["Sources"]
        assert row["Avg_Parity_Deviation"]
