"""`tomic run`: steps as one would type them, over one connection."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

import command_line
from clean_home import make_clean_home, write
from tomic import dates
from tomic.cli.running import hosted
from tomic.errors import StoreBusy
from tomic.store import Database

JOB = """
[market]
symbols = ["SPY"]
[jobs.morning]
run = [{steps}]
log = "log.jsonl"
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)


def job(*steps: str, file: str = "tomic.toml", more: str = "") -> None:
    write(file, JOB.format(steps=", ".join(json.dumps(one) for one in steps)) + more)


def is_there(name: str) -> bool:
    return Path(name).exists()


def run(*words: str):
    return command_line.run("run", *words)


def log(folder: str = ".") -> list[dict]:
    return [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]


def test_without_a_name_the_jobs_are_listed():
    """The listing shows each job with the commands it runs."""
    job("prices", "vol SPY")

    result = run()

    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["morning", "  tomic prices", "  tomic vol SPY"]


def test_an_unknown_job_is_refused_with_those_that_exist():
    """The message names the jobs that there are."""
    result = run("evening")

    assert result.exit_code == 2
    assert "morning" in result.stderr


def test_steps_of_a_demo_share_its_store():
    """What the first step stores, the second one reads; both find the demo market."""
    job("prices", "vol SPY --stored --json")

    result = run("morning", "--demo", "--quiet")

    assert result.exit_code == 0, result.stderr
    assert [one["exit_code"] for one in log()] == [0, 0]
    assert '"hv30": 0.' in result.stdout


def test_the_morning_of_a_demo():
    """Scan, check and report: what one step saves, the next one shows."""
    job(
        "scan --top 2 --strategy iron_condor",
        "journal check --exit-code",
        "report day --html reports/{date}.html",
        more="\n[scan]\nmax_contracts = 60\n",
    )

    result = run("morning", "--demo", "--quiet")

    assert result.exit_code == 0, result.stderr
    assert [one["exit_code"] for one in log()] == [0, 0, 0]
    (page,) = Path("reports").iterdir()
    assert page.read_text(encoding="utf-8").count("<figure>") >= 3


def test_exit_code_is_that_of_the_worst_step():
    """A step that cannot be parsed does not keep the others from running."""
    job("vol --bogus", "vol nonsense!", "vol SPY --stored")

    result = run("morning", "--demo", "--quiet")

    assert [one["exit_code"] for one in log()] == [2, 2, 0]
    assert log()[1]["error"]["code"] == "invalid_symbol"
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("step", "why"),
    [("run morning", "a job cannot run a job"), ("store info", "has no --demo")],
)
def test_steps_that_cannot_be_are_refused(step, why):
    """A job inside a job, and a command that would leave the demo, are usage errors."""
    job(step)

    run("morning", "--demo", "--quiet")

    assert log()[0]["exit_code"] == 2
    assert why in log()[0]["error"]["message"]


def test_steps_run_in_the_folder_of_the_configuration():
    """Relative paths of a step are beside the configuration, wherever cron starts."""
    job("prices", "vol SPY --stored --out here", file="elsewhere/tomic.toml")

    result = run("morning", "--config", "elsewhere/tomic.toml", "--demo", "--quiet")

    assert result.exit_code == 0, result.stderr
    assert len(log("elsewhere")) == 2
    assert Path("elsewhere/here").is_dir()


async def test_a_running_job_excludes_a_second_one():
    """While one run holds the lock, another ends with code 7 and runs nothing."""
    job("prices", more="\n[store]\nlock_wait_s = 0.05\n")

    async with Database("data/volatility.db") as db, db.run_lock("job-morning"):
        with hosted() as commands:
            run("morning", "--quiet")
        with pytest.raises(StoreBusy) as caught:
            await commands[0]

    assert caught.value.exit_code == 7
    assert not is_there("log.jsonl")


def test_a_holiday_is_skipped_on_request():
    """On a day without trading --skip-holidays does nothing and says so."""
    job("prices")

    result = run("morning", "--demo", "--skip-holidays")

    if dates.is_trading_day(dt.date.today()):
        assert "morning 1/1" in result.stderr
    else:
        assert "no trading day" in result.stderr
    assert result.exit_code == 0


async def test_all_steps_use_one_connection(gateway):
    """Prices, a volatility table and a chain open one connection together."""
    gateway_of_test = f"\n[ib]\nport = {gateway.port}\n[limits]\nmessages_per_s = 50\n"
    job(
        "prices",
        "vol",
        "chain SPY --strike-range 2 --monthlies 1 --weeklies 0",
        more=gateway_of_test,
    )

    with hosted() as commands:
        run("morning", "--quiet")
    (command,) = commands
    code = await command

    assert code == 0
    assert [one["exit_code"] for one in log()] == [0, 0, 0]
    assert gateway.connections == 1


async def test_a_step_with_another_gateway_gets_its_own_connection(gateway):
    """An option that names another client id cannot be served by the job's connection."""
    job("vol", "vol --client-id 300", more=f"\n[ib]\nport = {gateway.port}\n")

    with hosted() as commands:
        run("morning", "--quiet")
    (command,) = commands
    await command

    assert [one["exit_code"] for one in log()] == [0, 0]
    assert gateway.connections == 2
