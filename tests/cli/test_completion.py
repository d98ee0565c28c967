"""What the shell offers after Tab: names of the store and of the settings, and no trouble."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.clean_home import make_clean_home, write
from tomic.store import Bars, Database, NewProposal, names

DAY = dt.date(2026, 11, 20)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)


def fill(path: str = "data/volatility.db") -> None:
    async def write_all():
        at = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
        async with Database(path) as db:
            await db.history.save_bars(
                Bars.from_rows("XLE", [("2026-11-20", 1.0, 2.0, 0.5, 1.5, 9.0)])
            )
            for symbol in ("SPY", "IWM"):
                one = NewProposal(symbol, "iron_condor", dt.date(2026, 12, 18), {"score": 61.0})
                await db.scans.save([one], as_of=at, day=DAY)

    asyncio.run(write_all())


def offered(*words: str) -> list[str]:
    """What bash gets for the words typed so far, the last one unfinished."""
    line = " ".join(("tomic", *words))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv = ['tomic']; from tomic.cli.app import main; main()",
        ],
        env=os.environ
        | {"_TOMIC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_symbols_of_store_and_settings_are_offered():
    """`tomic prices X<Tab>` knows what is stored, `S<Tab>` what the settings name."""
    fill()
    write("tomic.toml", '[market]\nsymbols = ["SPY", "SMH"]\n')

    assert offered("prices", "X") == ["XLE"]
    assert offered("prices", "S") == ["SPY", "SMH"]


def test_the_names_of_the_demo_are_offered_for_the_demo():
    """`tomic show --demo <Tab>` knows the proposals of the demo's store, and no others."""
    fill("data/demo.db")

    assert offered("show", "--demo", "2") == ["20261120-2", "20261120-1"]
    assert offered("show", "2") == []


def test_jobs_are_offered():
    """`tomic run <Tab>` knows the jobs of the configuration."""
    write("tomic.toml", '[jobs.evening]\nrun = ["prices"]\n')

    assert offered("run", "") == ["evening", "morning"]


def test_strategies_and_metrics_are_offered():
    """Names of the catalogue and of the definitions are known without a store."""
    assert offered("scan", "--strategy", "iron") == ["iron_condor", "iron_butterfly"]
    assert "iv_rank" in offered("explain", "iv_")


def test_a_broken_configuration_offers_nothing():
    """Tab never prints an error into the line that is being typed."""
    write("tomic.toml", "[market\n")

    assert offered("prices", "S") == []


def test_proposals_come_newest_first():
    """Ids of proposals carry what they are."""
    fill()

    assert names.proposals(Path("data/volatility.db")) == [
        ("20261120-2", "IWM iron_condor, 2026-12-18"),
        ("20261120-1", "SPY iron_condor, 2026-12-18"),
    ]


def test_reading_names_creates_nothing(tmp_path):
    """A store that does not exist has no names, and still does not exist."""
    missing = tmp_path / "none" / "store.db"

    assert names.symbols(missing) == []
    assert names.proposals(missing) == []
    assert names.entries(missing) == []
    assert not missing.parent.exists()


def test_a_file_that_is_no_store_has_no_names():
    """A text file where the store should be is nobody's business here."""
    path = write("data/volatility.db", "this is no database")

    assert names.symbols(path) == []


def test_completion_loads_nothing_heavy():
    """Symbols are completed without numpy, pandas, scipy or the gateway's client."""
    fill()
    code = (
        "import sys; from types import SimpleNamespace as N; from tomic.cli import completion;"
        "print(completion.symbols(N(params={}), 'XLE'));"
        "print(sorted({'numpy', 'pandas', 'scipy', 'ib_async', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["[('XLE', '')]", "[]"]
