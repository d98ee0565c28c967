"""Settings from their layers: which wins, and where each value comes from."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from support.clean_home import refusal, write
from tomic.config import (
    ExitSettings,
    ScoreWeights,
    Settings,
    View,
    config_file,
    load_settings,
    origins,
)
from tomic.config.loading import leaves, user_config_file
from tomic.config.section import is_location


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ib]\nprot = 1", "tomic.toml: [ib] prot: unknown key; did you mean port?"),
        (
            "[chain]\nmonthlys = 1",
            "tomic.toml: [chain] monthlys: unknown key; did you mean monthlies?",
        ),
        ("[chian]\nmin_dte = 1", "tomic.toml: [chian]: unknown table; did you mean [chain]?"),
        (
            "[ib]\nmonthlies = 1",
            "tomic.toml: [ib] monthlies: unknown key; did you mean [chain] monthlies?",
        ),
        ("port = 1", "tomic.toml: port: unknown key; did you mean [ib] port?"),
        (
            "[ib]\nport = 70000",
            "tomic.toml: [ib] port: must be less than or equal to 65535, got 70000",
        ),
        ("[ib]\nport = 'x'", "tomic.toml: [ib] port: must be a valid integer, got 'x'"),
        ("[ib]\nport = true", "tomic.toml: [ib]: port must be a number, got true"),
        ("ib = 5", "tomic.toml: [ib]: must be a table"),
        (
            "[limits]\nlines = 91",
            "tomic.toml: [limits] lines: must be less than or equal to 90, got 91",
        ),
        ("[scan]\nmin_pos = nan", "tomic.toml: [scan] min_pos: must be a finite number, got nan"),
        (
            "[score.weights]\nposs = 1.0",
            "tomic.toml: [score.weights] poss: unknown key; did you mean pos?",
        ),
        (
            "[score]\nforecast_hv_weight = 0.5",
            "tomic.toml: [score] forecast_hv_weight: removed: trades are judged under the market's "
            "own density; what you expect yourself goes into a table [view.SYMBOL]",
        ),
        (
            "[score.weights]\nrom = 1.0",
            "tomic.toml: [score.weights] rom: removed: return on margin and risk-reward are shown, "
            "and no longer part of the score",
        ),
        ("[view]\ntrst = 0.5", "tomic.toml: [view.trst]: must be a table"),
        (
            "[view.SPY]\nvolatilty = 0.9",
            "tomic.toml: [view.SPY] volatilty: unknown key; did you mean volatility?",
        ),
        (
            "[portfolio.stress]\nspot_steps = 40",
            "tomic.toml: [portfolio.stress] spot_steps: must be odd, got 40",
        ),
        (
            "[journal.exits_of.iron_condor]\nstpo = 1.0",
            "tomic.toml: [journal.exits_of.iron_condor] stpo: unknown key; did you mean stop?",
        ),
        ("[jobs.night]\nlog = 'x'", "tomic.toml: [jobs.night] run: must be given"),
        (
            "[market]\nsymbols = ['SP Y']",
            "tomic.toml: [market] symbols.0: 'SP Y' is not a ticker symbol: "
            "a share class comes after a dot; did you mean SP.Y?",
        ),
        (
            "[chain]\nstrike_range = '10x'",
            "tomic.toml: [chain] strike_range: '10x' is not a strike range; "
            "write 10 (points), 5% or 2s (sigmas)",
        ),
        (
            "[chain]\nmin_dte = 20\nmax_dte = 10",
            "tomic.toml: [chain]: max_dte must be >= min_dte, got 10 with min_dte 20",
        ),
    ],
)
def test_message_names_file_table_key_and_remedy(text, message):
    """A person can mend the file from the message alone."""
    write("tomic.toml", text)

    assert refusal() == message


def test_every_fault_is_listed():
    """Several faults give several lines, so that one edit mends all."""
    write("tomic.toml", "[ib]\nprot = 1\nport = 0\n[foo]\n")

    lines = refusal().splitlines()

    assert len(lines) == 3
    assert lines[-1] == "tomic.toml: [foo]: unknown table"


def test_a_number_without_end_is_refused():
    """Python reads no integer of so many digits, and calls that no error of TOML."""
    write("tomic.toml", f"[chain]\nmin_dte = {'9' * 5000}\n")

    assert refusal() == "tomic.toml: a number has too many digits"


def test_a_file_too_long_is_refused_unread():
    """What is larger than any settings can be was not meant."""
    with Path("tomic.toml").open("wb") as file:
        file.truncate(1 << 40)

    assert refusal() == "tomic.toml is longer than 4 MB; name the file that was meant"


def test_broken_toml_names_the_line():
    """The place of a syntax error is said."""
    write("tomic.toml", "[ib]\nport == 1\n")

    assert refusal() == "tomic.toml: invalid value (at line 2, column 7)"


def test_unreadable_files_are_named(tmp_path):
    """Bytes that are no UTF-8 and a folder in place of a file give a ConfigError."""
    file = tmp_path / "latin.toml"
    file.write_bytes(b"[ib]\nhost = '\xe9'\n")

    assert refusal(file) == f"{file}: not UTF-8 at byte 13"
    assert "no such file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TOMIC_IB__PROT", "1", "TOMIC_IB__PROT: unknown key; did you mean TOMIC_IB__PORT?"),
        ("TOMIC_IB__PORT", "x", "TOMIC_IB__PORT: must be a valid integer, got 'x'"),
        ("TOMIC_IB_PORT", "1", "TOMIC_IB_PORT: unknown setting; did you mean TOMIC_IB__PORT?"),
        ("TOMIC_CHIAN__SIDE", "x", "TOMIC_CHIAN__SIDE: unknown section; did you mean TOMIC_CHAIN?"),
        ("TOMIC_FOO__BAR", "x", "TOMIC_FOO__BAR: unknown section"),
    ],
)
def test_message_names_the_variable(monkeypatch, name, value, message):
    """A wrong environment variable is named, with the one that was probably meant."""
    monkeypatch.setenv(name, value)

    assert refusal() == message


def test_defaults_are_those_of_the_mission():
    """Without a file there are 20 symbols, port 7497, 15 days, 3 + 4 expiries and 10 points."""
    settings = load_settings()

    assert settings == Settings()
    assert len(settings.market.symbols) == 20
    assert (settings.ib.host, settings.ib.port, settings.ib.client_id) == ("127.0.0.1", 7497, 100)
    chain = settings.chain
    assert (chain.min_dte, chain.monthlies, chain.weeklies, chain.strike_range) == (15, 3, 4, "10")
    assert (chain.min_delta, chain.max_delta) == (-0.8, 0.8)
    assert settings.store.path == Path("data/volatility.db")


def test_later_layers_win(home, monkeypatch):
    """Argument over variable over project file over user file over default, key by key."""
    write(user_config_file(), "[ib]\nport = 1\nhost = 'user'\naccount = 'U1'\nclient_id = 7\n")
    write("tomic.toml", "[ib]\nport = 2\nhost = 'project'\naccount = 'U2'\n")
    monkeypatch.setenv("TOMIC_IB__PORT", "3")
    monkeypatch.setenv("TOMIC_IB__HOST", "variable")

    settings = load_settings(ib={"port": 4})

    ib = settings.ib
    assert (ib.port, ib.host, ib.account, ib.client_id) == (4, "variable", "U2", 7)
    assert ib.last_client_id == 131


def test_origin_of_each_value(home, monkeypatch):
    """Every key names the layer that it comes from."""
    user = write(user_config_file(), "[ib]\naccount = 'U1'\nclient_id = 7\n")
    write("tomic.toml", "[ib]\nclient_id = 8\n[score.weights]\npos = 1.0\n")
    monkeypatch.setenv("TOMIC_IB__PORT", "7496")

    found = origins(ib={"host": "tws"})

    assert found["ib.host"] == ("tws", "argument")
    assert found["ib.port"] == (7496, "TOMIC_IB__PORT")
    assert found["ib.client_id"] == (8, "tomic.toml")
    assert found["ib.account"] == ("U1", str(user))
    assert found["ib.connect_timeout_s"] == (10.0, "default")
    assert found["score.weights.ev"] == (0.0, "tomic.toml")


def test_origins_name_every_key():
    """The keys of origins are the keys of the sections, no more and no fewer."""
    assert list(origins()) == [".".join(keys) for keys, _ in leaves(Settings())]


def test_named_file_replaces_the_project_file(home, monkeypatch, tmp_path):
    """An argument wins over TOMIC_CONFIG, which wins over ./tomic.toml."""
    write("tomic.toml", "[ib]\nport = 1\n")
    by_variable = write(tmp_path / "variable.toml", "[ib]\nport = 2\n")
    by_argument = write(tmp_path / "argument.toml", "[ib]\nport = 3\n")

    assert load_settings().ib.port == 1
    monkeypatch.setenv("TOMIC_CONFIG", str(by_variable))
    assert load_settings().ib.port == 2
    assert load_settings(by_argument).ib.port == 3
    assert config_file(by_argument) == by_argument


def test_named_but_missing_file_is_an_error(monkeypatch):
    """A file that was named must exist, whether by argument or by variable."""
    assert refusal("nowhere.toml").startswith("nowhere.toml: no such file")
    monkeypatch.setenv("TOMIC_CONFIG", "gone.toml")
    assert refusal().startswith("gone.toml: no such file")


def test_variables_reach_every_kind_of_value(monkeypatch):
    """Numbers, texts, none, lists with commas or as JSON, free tables and jobs."""
    monkeypatch.setenv("TOMIC_CHAIN__MAX_DTE", "none")
    monkeypatch.setenv("TOMIC_MARKET__SYMBOLS", "spy, qqq")
    monkeypatch.setenv("TOMIC_PORTFOLIO__STRESS__DAYS", "[0, 5]")
    monkeypatch.setenv("TOMIC_EXPORT__ENABLED", "false")
    monkeypatch.setenv("TOMIC_SCAN__MAX_CHAIN_AGE", "90s")
    monkeypatch.setenv("TOMIC_JOBS__NIGHT__RUN", "prices,vol --detail")
    monkeypatch.setenv("TOMIC_STRATEGIES__IRON_CONDOR__DTE", "[30, 45]")
    monkeypatch.setenv("TOMIC_STRATEGIES__IRON_CONDOR__OUTLOOK", "quiet")
    monkeypatch.setenv("TOMIC_REAL_DATA", "elsewhere")
    write("tomic.toml", "[chain]\nmax_dte = 30\n")

    settings = load_settings()

    assert settings.chain.max_dte is None
    assert settings.market.symbols == ("SPY", "QQQ")
    assert settings.portfolio.stress.days == (0, 5)
    assert settings.export.enabled is False
    assert settings.scan.max_chain_age == dt.timedelta(seconds=90)
    assert settings.jobs["night"].run == ("prices", "vol --detail")
    assert settings.strategies == {"iron_condor": {"dte": [30, 45], "outlook": "quiet"}}


def test_a_bare_number_is_a_list_of_one(monkeypatch):
    """A variable has no quotes: what reads as a number or a word of JSON may be a name."""
    monkeypatch.setenv("TOMIC_FLEX__QUERY", "123456")
    monkeypatch.setenv("TOMIC_PORTFOLIO__STRESS__DAYS", "0")
    monkeypatch.setenv("TOMIC_MARKET__SYMBOLS", "true")

    settings = load_settings()

    assert settings.flex.query == ("123456",)
    assert settings.portfolio.stress.days == (0,)
    assert settings.market.symbols == ("TRUE",)


@pytest.mark.parametrize("written", ["123456", "'123456'", "[123456]", "'123456,'"])
def test_the_number_of_a_query(written):
    """However its owner writes it."""
    write("tomic.toml", f"[flex]\nquery = {written}\n")

    assert load_settings().flex.query == ("123456",)


def test_relative_paths_belong_to_the_file_that_names_them(home, tmp_path, monkeypatch):
    """Cron may start anywhere: paths of a file, given or default, lie beside it."""
    project = write(tmp_path / "desk" / "tomic.toml", "[store]\npath = 'mine.db'\n")
    user = write(
        user_config_file(), "[log]\nfile = 'log.txt'\n[jobs.night]\nrun=['vol']\nlog='n'\n"
    )
    monkeypatch.setenv("TOMIC_PORTFOLIO__SECTORS", "sectors.csv")

    settings = load_settings(project)

    assert settings.store.path == project.parent / "mine.db"
    assert settings.export.dir == project.parent / "exports"
    assert settings.log.file == user.parent / "log.txt"
    assert settings.jobs["night"].log == user.parent / "n"
    assert settings.portfolio.sectors == Path("sectors.csv")


def test_user_file_does_not_draw_default_paths_to_itself(home):
    """With a user file alone, exports still go to the working folder."""
    write(user_config_file(), "[ib]\nport = 7496\n")

    assert load_settings().export.dir == Path("exports")


def test_paths_are_known_as_such():
    """Every setting that holds a path is put beside its file."""
    missed = [
        f"{section}.{key}"
        for section, info in Settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for key, field in info.annotation.model_fields.items()
        if "Path" in str(field.annotation) and not is_location(info.annotation, key)
    ]

    assert missed == []


def test_none_counts_as_not_given():
    """Options that a command did not get do not disturb the layers below."""
    write("tomic.toml", "[chain]\nmin_dte = 30\nmax_dte = 60\n")

    settings = load_settings(chain={"min_dte": None, "max_dte": "none"})

    assert settings.chain.min_dte == 30
    assert settings.chain.max_dte is None


def test_settings_and_sections_are_frozen():
    """Changed settings are a new object."""
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.ib = settings.ib
    with pytest.raises(ValidationError):
        settings.ib.port = 1


def test_weights_left_out_count_nothing():
    """Naming one weight silences the other; sums other than 1 are refused."""
    assert ScoreWeights(pos=1.0).ev == 0.0
    message = refusal(score={"weights": {"pos": 0.5}})
    assert message == ("argument: [score.weights]: weights must sum to 1, got 0.5 (pos 0.5, ev 0)")


def test_a_view_is_that_of_its_symbol(home, monkeypatch):
    """However the symbol is written; a variable changes one key of the same table."""
    write("tomic.toml", "[view.spy]\nvolatility = 0.9\n[view.QQQ]\ndrift = 0.02\n")
    monkeypatch.setenv("TOMIC_VIEW__SPY__DRIFT", "0.05")

    settings = load_settings(view={"trust": 0.5})

    assert settings.view.of("SPY") == View(volatility=0.9, drift=0.05)
    assert settings.view.of("QQQ") == View(drift=0.02)
    assert settings.view.of("IWM") is None
    assert settings.view.trust == 0.5


def test_a_view_that_says_nothing_is_none():
    """What agrees with the market has nothing to show."""
    assert Settings(view={"SPY": {}}).view.of("SPY") is None


def test_exit_rules_of_a_strategy_differ_only_where_named():
    """A strategy's own rules fall back on the general ones, key by key."""
    write(
        "tomic.toml",
        "[journal.exits]\nprofit_target = 0.6\n[journal.exits_of.calendar]\nstop = 1.0\n",
    )

    journal = load_settings().journal

    calendar = journal.exits_for("calendar")
    assert (calendar.profit_target, calendar.stop, calendar.min_dte) == (0.25, 1.0, 7)
    assert journal.exits_for("iron_condor") == ExitSettings(profit_target=0.6)
    assert journal.exits_for("collar").stop is None


def test_named_tables_add_to_the_defaults():
    """Your indices, web patterns and jobs stand beside those that exist."""
    write(
        "tomic.toml",
        "[market.indices]\ndax = 'EUREX'\n[web.patterns]\nskew = ['(\\d+)']\n[jobs.night]\n"
        "run = ['vol']\n",
    )

    settings = load_settings()

    assert settings.market.indices["DAX"] == "EUREX"
    assert settings.market.indices["SPX"] == "CBOE"
    assert settings.web.patterns["skew"] == (r"(\d+)",)
    assert settings.web.patterns["vix"]
    assert set(settings.jobs) == {"morning", "night"}


def test_import_is_light():
    """Settings load neither pandas nor numpy nor typer nor ib_async nor tomlkit."""
    heavy = "{'pandas', 'numpy', 'typer', 'ib_async', 'tomlkit', 'rich'}"
    code = f"import sys, tomic.config; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_a_key_of_very_many_parts_is_refused():
    """The parser would need gigabytes for it."""
    write("tomic.toml", "[ib]\nport = 1\n" + ".".join("a" * 200_000) + " = 1\n")

    assert refusal() == "tomic.toml: line 3 has a key of too many parts"
