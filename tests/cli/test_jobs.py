"""`tomic run`: steps as one would type them, over one connection."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from support import command_line
from support.clean_home import make_clean_home, write
from tomic import dates
from tomic.cli import app
from tomic.cli.options import Invocation
from tomic.cli.running import runs
from tomic.errors import StoreBusy
from tomic.sim.replay.recordings import read_session
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


def run(*words: str, **how: object):
    return command_line.run("run", *words, **how)


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
        more='\n[scan]\nmethod = "thinned"\nmax_contracts = 60\n',
    )

    result = run("morning", "--demo", "--quiet")

    assert result.exit_code == 0, result.stderr
    assert [one["exit_code"] for one in log()] == [0, 0, 0]
    (page,) = Path("reports").iterdir()
    assert page.read_text(encoding="utf-8").count("<figure>") >= 3
    assert "1 symbol of the settings, by the job morning" in page.read_text(encoding="utf-8")


def test_exit_code_is_that_of_the_worst_step():
    """A step that cannot be parsed does not keep the others from running."""
    job("vol --bogus", "vol nonsense!", "vol SPY --stored")

    result = run("morning", "--demo", "--quiet")

    assert [one["exit_code"] for one in log()] == [2, 2, 0]
    assert log()[1]["error"]["code"] == "invalid_symbol"
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("run morning", "a job cannot run a job"),
        ("record r.jsonl run morning", "a job cannot run a job"),
        ("record r.jsonl -- run morning", "a job cannot run a job"),
        ("gateway", "runs until somebody ends it"),
        ("record r.jsonl gateway", "runs until somebody ends it"),
        ("panel", "needs somebody in front of it"),
        ("config init", "has no --demo"),
    ],
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
        commands = []
        run("morning", "--quiet", obj=Invocation(waiting=commands))
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

    commands = []
    run("morning", "--quiet", obj=Invocation(waiting=commands))
    (command,) = commands
    code = await command

    assert code == 0
    assert [one["exit_code"] for one in log()] == [0, 0, 0]
    assert gateway.connections == 1


async def test_a_step_with_another_gateway_gets_its_own_connection(gateway):
    """An option that names another client id cannot be served by the job's connection."""
    job("vol", "vol --client-id 300", more=f"\n[ib]\nport = {gateway.port}\n")

    commands = []
    run("morning", "--quiet", obj=Invocation(waiting=commands))
    (command,) = commands
    await command

    assert [one["exit_code"] for one in log()] == [0, 0]
    assert gateway.connections == 2


@pytest.fixture
def bursting(monkeypatch):
    """A command with a mistake in it, which no command of ours is known to have."""
    module = ModuleType("tomic.cli.burst")
    module.app = typer.Typer()

    @module.app.command()
    @runs
    async def burst() -> None:
        raise ZeroDivisionError("account DUK1234567 has nothing")

    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(app._COMMANDS, "burst", "burst")


@pytest.mark.usefixtures("bursting")
def test_a_mistake_of_the_program_costs_one_step():
    """What nobody expected is the end of its step; the others run, and the log has them all."""
    job("explain delta", "burst", "explain gamma")

    result = run("morning", "--quiet")

    assert result.exit_code == 1
    assert [one["exit_code"] for one in log()] == [0, 1, 0]
    assert log()[1]["error"]["message"].startswith("unexpected ZeroDivisionError: account ")
    assert "gamma  gamma" in result.stdout
    assert "Traceback" not in result.stderr
    assert "DUK1234567" not in result.stderr


@pytest.mark.usefixtures("bursting")
def test_the_traceback_of_a_mistake_is_for_who_asks():
    """With -vv it stands in the log."""
    job("burst")

    assert "ZeroDivisionError" in run("morning", "-vv").stderr.partition("Traceback")[2]


def test_a_log_that_cannot_be_written_costs_no_step():
    """Every step runs, and the end says what could not be written."""
    job("explain delta", "explain gamma")
    Path("log.jsonl").mkdir()

    result = run("morning", "--quiet")

    assert result.exit_code == 5
    assert "log.jsonl cannot be written" in result.stderr
    assert "gamma  gamma" in result.stdout


def test_a_step_can_be_recorded():
    """A recorded step has a session of its own, which is in the file."""
    job("record bug.jsonl chain SPY --strike-range 2 --monthlies 1 --weeklies 0 --demo")

    result = run("morning", "--quiet")

    assert result.exit_code == 0, result.stderr
    assert read_session(Path("bug.jsonl")).command.startswith("chain SPY")


@pytest.mark.parametrize(
    "name",
    ["../../evil", "a/b", "a\\\\b", "c:stream", ".hidden", "CON", "nul.txt", "x" * 80, "", "a."],
)
def test_names_that_are_paths_are_refused(name):
    """A job's lock is a file of its name; what is no plain name is refused with a sentence."""
    write("tomic.toml", f'[jobs."{name}"]\nrun = ["explain delta"]\n')

    result = run(name)

    assert result.exit_code == 2
    assert "cannot name a job" in result.stderr
    assert not list(Path("..").rglob("*.lock"))


def test_garbage_in_a_lock_file_is_survived():
    """A lock file holds nothing, so what somebody put there is no reason to stop."""
    job("explain delta")
    Path("data").mkdir()
    lock = Path("data/volatility.db.job-morning.lock")
    lock.write_bytes(b"this is no database" * 100)

    assert run("morning", "--quiet").exit_code == 0
    assert run("morning", "--quiet").exit_code == 0
    assert lock.stat().st_size == 0
