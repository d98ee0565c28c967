"""`tomic config`: what each command prints, writes and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from support.clean_home import make_clean_home
from tomic.cli.config import app
from tomic.cli.options import (
    DeltaRange,
    DteRange,
    Format,
    chosen_format,
    parse_delta,
    parse_dte,
    parse_moment,
)
from tomic.config import Settings, load_settings
from tomic.config.text import render
from tomic.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_init_then_check_then_show():
    """A fresh file holds the defaults, and everything says so."""
    made = run("init")
    checked = run("check")
    shown = run("show", "--origin")

    assert (made.exit_code, checked.exit_code, shown.exit_code) == (0, 0, 0)
    assert Path("tomic.toml").read_text(encoding="utf-8") == render(Settings())
    assert checked.stdout == ""
    assert "tomic.toml: ok, 0 of" in checked.stderr
    assert "ib.port = 7497" in shown.stdout
    assert shown.stdout.splitlines()[0].endswith("  tomic.toml")


def test_init_refuses_to_overwrite():
    """The second init leaves the first one's file alone."""
    run("init", "mine.toml")

    assert isinstance(run("init", "mine.toml").exception, ConfigError)


def test_show_names_the_variable(monkeypatch):
    """`show --origin` ends a line with the variable that gave the value."""
    monkeypatch.setenv("TOMIC_SCAN__MIN_POS", "0.65")

    lines = run("show", "--origin").stdout.splitlines()

    (line,) = [line for line in lines if line.startswith("scan.min_pos")]
    assert line.split() == ["scan.min_pos", "=", "0.65", "TOMIC_SCAN__MIN_POS"]


def test_show_as_json():
    """JSON holds every key; absent values are null; origins stand beside when asked for."""
    plain = json.loads(run("show", "--json").stdout)
    told = json.loads(run("show", "--json", "--origin").stdout)

    assert plain["schema"] == "tomic.config/1"
    assert plain["settings"]["chain.max_dte"] is None
    assert plain["settings"]["scan.max_chain_age"] == "15m"
    assert told["settings"]["ib.port"] == {"value": 7497, "origin": "default"}
    assert plain["settings"].keys() == told["settings"].keys()


def test_set_then_load():
    """A value that was set is in effect; negative numbers need no escape."""
    done = run("set", "chain.min_delta", "-0.5")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "tomic.toml: chain.min_delta = -0.5" in done.stderr
    assert load_settings().chain.min_delta == -0.5


def test_set_says_what_overrides_it(monkeypatch):
    """A variable that wins over the file is named."""
    monkeypatch.setenv("TOMIC_IB__PORT", "4002")

    assert "TOMIC_IB__PORT overrides it" in run("set", "ib.port", "4001").stderr


def test_set_in_a_named_file():
    """--config chooses the file, which must exist."""
    Path("other.toml").write_text("[ib]\nport = 1\n")

    run("set", "ib.port", "2", "--config", "other.toml")

    assert load_settings("other.toml").ib.port == 2
    assert isinstance(run("set", "ib.port", "2", "--config", "gone.toml").exception, ConfigError)


def test_path_is_one_line():
    """stdout is the file alone, so that an editor can be given it."""
    assert run("path").stdout == "tomic.toml\n"
    assert "no such file yet" in run("path").stderr
    run("init")
    assert (run("path").stdout, run("path").stderr) == ("tomic.toml\n", "")


def test_check_fails_on_a_wrong_file():
    """A wrong key ends in a ConfigError, exit code 2."""
    Path("tomic.toml").write_text("[ib]\nprot = 1\n")

    raised = run("check").exception

    assert isinstance(raised, ConfigError)
    assert raised.exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_check_tells_what_others_may_read():
    """A store that everyone can read is named with what mends it; nothing is changed."""
    store = Path("data/volatility.db")
    store.parent.mkdir(mode=0o700)
    store.touch(mode=0o644)

    result = run("check")

    assert f"note: {store}: others of this computer may read it; chmod 600 {store}" in result.stderr
    assert "chmod 700" not in result.stderr
    assert store.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("15", DteRange(15)),
        ("15:60", DteRange(15, 60)),
        (":30", DteRange(0, 30)),
        ("7:", DteRange(7)),
    ],
)
def test_days_to_expiry(text, wanted):
    """One number is the fewest days; a colon gives both ends."""
    assert parse_dte(text) == wanted


@pytest.mark.parametrize("text", ["-5", "60:15", "x", "1:y", "1.5", ""])
def test_wrong_days_are_refused(text):
    """Negative, descending and wordy ranges are usage errors; so is nothing at all."""
    with pytest.raises(typer.BadParameter):
        parse_dte(text)


def test_delta_ranges():
    """Both ends are signed deltas; an end left out is the widest."""
    assert parse_delta("-0.8:0.8") == DeltaRange(-0.8, 0.8)
    assert parse_delta(".05:") == DeltaRange(0.05, 1.0)
    for text in ("0.5", "0.8:-0.8", "-2:0", "a:b", "nan:1"):
        with pytest.raises(typer.BadParameter):
            parse_delta(text)


def test_moments():
    """ISO dates and times are read; a zone is kept and none is invented."""
    assert parse_moment("2025-05-19T16:00").tzinfo is None
    assert parse_moment("2025-05-19T16:00-04:00").utcoffset() is not None
    with pytest.raises(typer.BadParameter):
        parse_moment("yesterday")


def test_json_flag_is_short_for_the_format():
    """--json alone gives JSON; with another format it is a contradiction."""
    assert chosen_format(Format.TABLE, True) is Format.JSON
    assert chosen_format(Format.CSV, False) is Format.CSV
    with pytest.raises(typer.BadParameter):
        chosen_format(Format.CSV, True)


def test_options_import_nothing_heavy():
    """The shared options load typer and no settings, pandas, numpy or ib_async."""
    heavy = "{'pandas', 'numpy', 'pydantic', 'ib_async', 'tomlkit', 'tomic.config'}"
    code = f"import sys, tomic.cli.options, tomic.cli.config; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("text", "window"), [("15", (15, None)), ("20:45", (20, 45))])
def test_days_go_before_those_of_the_file(text, window):
    """Days on the command line replace both ends of the file's window, an open end too."""
    Path("tomic.toml").write_text("[chain]\nmin_dte = 5\nmax_dte = 10\n", encoding="utf-8")

    chain = load_settings(chain=parse_dte(text).rules).chain

    assert (chain.min_dte, chain.max_dte) == window
