"""`tomic store`: what each command prints, writes and refuses."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.clean_home import make_clean_home
from tomic.cli.store import app
from tomic.store import Bars, Database, schema

STORE = Path("data/volatility.db")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def fill() -> None:
    async def write():
        async with Database(STORE) as db:
            await db.history.save_bars(
                Bars.from_rows("SPY", [("2026-11-20", 1.0, 2.0, 0.5, 1.5, 9.0)])
            )

    asyncio.run(write())


def test_info_before_anything_is_stored():
    """Without a store, info says which command makes one, and makes none itself."""
    result = run("info")

    assert result.exit_code == 0
    assert result.stdout == f"{STORE}: no store yet; tomic prices makes one\n"
    assert not STORE.parent.exists()


def test_info_names_tables_and_series():
    """Info prints the span of each series and the tables that hold something."""
    fill()

    result = run("info")

    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith(f"{STORE}: 0.")
    assert f"MB, schema {schema.LATEST}, SQLite {sqlite3.sqlite_version}" in lines[0]
    assert lines[1:] == [
        "series",
        "bars 1 rows, 1 symbols, 2026-11-20 to 2026-11-20",
        "tables",
        "bars 1 rows",
    ]


def test_info_as_json():
    """The same for programs, with the name of its schema; nothing else on stdout."""
    fill()

    document = json.loads(run("info", "--json").stdout)

    assert document["schema"] == "tomic.store/1"
    assert document["schema_version"] == schema.LATEST
    assert document["tables"]["bars"] == 1
    assert document["series"][0]["last"] == "2026-11-20"


def test_backup_then_check_of_the_copy(monkeypatch):
    """A backup can be used as the store itself."""
    fill()

    copied = run("backup", "copy.db")
    monkeypatch.setenv("TOMIC_STORE__PATH", "copy.db")
    checked = run("check")

    assert (copied.exit_code, checked.exit_code) == (0, 0)
    assert copied.stdout == checked.stdout == ""
    assert copied.stderr.startswith("copy.db: 0.")
    assert checked.stderr.endswith("copy.db: sound\n")


def test_backup_of_nothing_is_refused():
    """Without a store there is nothing to copy, and the message says what makes one."""
    result = run("backup", "copy.db")

    assert result.exit_code == 1
    assert "no store there yet; tomic prices makes one" in result.stderr
    assert not Path("copy.db").exists()


def test_check_prints_what_is_wrong():
    """Each problem is a line on stdout and the exit code is 1."""
    fill()
    with closing(sqlite3.connect(STORE)) as db:
        db.execute("DROP TABLE chains")

    result = run("check")

    assert result.exit_code == 1
    assert result.stdout == "table chains is missing\n"
    assert "1 wrong; put a backup in its place" in result.stderr


def test_a_damaged_store_is_reported_and_kept():
    """Whatever the command, a file that is no database is named and not touched."""
    STORE.parent.mkdir()
    STORE.write_bytes(b"not a database at all" * 100)

    for words in (["info"], ["check"], ["backup", "copy.db"]):
        result = run(*words)
        assert result.exit_code == 1
        assert "damaged" in result.stderr
        assert "put a backup in its place" in result.stderr

    assert STORE.read_bytes() == b"not a database at all" * 100


def test_import_tells_what_it_took():
    """Several files of different kinds are taken in one command, each with its counts."""
    Path("earnings.csv").write_text("symbol,date\nAAPL,2027-01-28\n")
    Path("dividends.csv").write_text("symbol,ex_date,amount\nSPY,2026-12-18,1.95\n")

    result = run("import", "earnings.csv", "dividends.csv")

    assert result.exit_code == 0
    assert result.stderr == (
        "earnings.csv: earnings: 1 earnings dates\ndividends.csv: dividends: 1 dividends\n"
    )


def test_import_of_an_unknown_file_names_the_kinds():
    """A file that is none of the kinds ends with exit code 5 and a list of them."""
    Path("notes.txt").write_text("buy milk\n")

    result = run("import", "notes.txt")

    assert result.exit_code == 5
    assert "volatility.db, daily surfaces (CSV with symbol, date, close, atm_iv" in result.stderr
    assert ", a calendar of earnings (CSV with symbol and date, or" in result.stderr


def test_import_of_surfaces_says_what_will_not_be_believed():
    """Rows are counted, and what cleaning takes out later is told by reason."""
    rows = ["SPY,2024-01-02,470.5,0.12,8.1,-0.5", "SPY,2024-01-03,471.5,4.0,8.1,-0.5"]
    rows.append("SPY,2024-01-04,471.0,0.12,8.1,-0.5")
    Path("s.csv").write_text("\n".join(["symbol,date,close,atm_iv,skew,term_m1_m2", *rows]))

    result = run("import", "s.csv")

    assert result.exit_code == 0
    assert result.stderr == (
        "s.csv: daily surfaces: 3 days of symbols, 1 symbols, 3 new days\n"
        "  a backtest will not believe: impossible IVs: 1\n"
    )


def test_rows_that_were_left_out_are_named():
    """Five of them with their lines, and how many more."""
    rows = "".join(f"S{letter},soon\n" for letter in "ABCDEFG")
    Path("earnings.csv").write_text(f"symbol,date\nAAPL,2027-01-28\n{rows}")

    result = run("import", "earnings.csv")

    first, *faults, last = result.stderr.splitlines()
    assert result.exit_code == 0
    assert first == "earnings.csv: earnings: 1 earnings dates, 7 rows left out"
    assert faults[0] == "  earnings.csv:3: Invalid isoformat string: 'soon'"
    assert (len(faults), last) == (5, "  and 2 more")


def test_a_store_in_use_ends_with_exit_code_7(monkeypatch):
    """When another program keeps writing, the command gives up after the configured wait."""
    fill()
    monkeypatch.setenv("TOMIC_STORE__LOCK_WAIT_S", "0.05")
    Path("earnings.csv").write_text("symbol,date\nAAPL,2027-01-28\n")
    with closing(sqlite3.connect(STORE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = run("import", "earnings.csv")

    assert result.exit_code == 7
    assert "has been writing for 0.05 s" in result.stderr


CSV = """Expiry,Type,Strike,Bid,Ask,IV,Delta,Gamma,Vega,Theta
20261218,C,600,2.0,2.1,0.16,0.30,0.01,0.5,-0.1
20261218,P,600,-1,2.1,0.16,-0.30,0.01,0.5,-0.1
"""


def test_check_judges_a_file():
    """With a file, check prints its quality and what is wrong, and touches no store."""
    Path("chain.csv").write_text(CSV)

    result = run("check", "chain.csv")

    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "chain.csv: quality 50.0%"
    assert {"rows 2", "complete 2", "valid 1", "bid or ask of -1 1"} <= set(lines)
    assert not STORE.parent.exists()


def test_check_judges_files_for_programs():
    """As JSON every count is there, the quality as a fraction."""
    Path("chain.csv").write_text(CSV)

    result = run("check", "chain.csv", "chain.csv", "--json")

    files = json.loads(result.stdout)["files"]
    assert [one["quality"] for one in files] == [0.5, 0.5]
    assert files[0]["wrong"] == {"minus_one": 1}


def test_check_names_the_file_that_is_no_chain():
    """A file that is no chain ends with exit code 5 and its name."""
    Path("notes.csv").write_text("a,b\n1,2\n")

    result = run("check", "notes.csv")

    assert result.exit_code == 5
    assert "notes.csv" in result.stderr


def test_the_store_of_the_demo():
    """Every command takes the demo's store instead, which is the one beside."""
    Path("earnings.csv").write_text("symbol,date\nCRM,2026-12-03\n", encoding="utf-8")

    taken = run("import", "earnings.csv", "--demo")
    told = run("info", "--demo")
    sound = run("check", "--demo")
    copied = run("backup", "copy.db", "--demo")

    assert taken.stderr == "earnings.csv: earnings: 1 earnings dates\n"
    assert told.stdout.startswith(f"{Path('data/demo.db')}: ")
    assert "earnings" in told.stdout
    assert f"{Path('data/demo.db')}: sound" in sound.stderr
    assert copied.exit_code == 0
    assert not STORE.exists()


def test_prune_deletes_what_is_older_than_its_time():
    """It says how many kept chains went and from before when, and makes no store."""
    result = run("prune")

    assert result.exit_code == 0
    assert result.stderr.startswith(f"{STORE}: 0 kept chains from before ")
    assert not STORE.exists()
