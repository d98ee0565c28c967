"""Changes to the file: one key, its comments kept, nothing wrong written."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from support.clean_home import write
from tomic.config import ScoreWeights, Settings, load_settings
from tomic.config.loading import leaves, user_config_file
from tomic.config.text import fingerprint, plain, render, set_key, toml_text, write_defaults
from tomic.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]


def test_shipped_file_is_the_defaults():
    """tomic.toml at the root holds every key with its default and a comment."""
    text = (REPOSITORY / "tomic.toml").read_text(encoding="utf-8")

    assert text == render(Settings())
    assert Settings(**tomllib.loads(text)) == Settings()


def test_every_key_is_in_the_shipped_file():
    """No key of any section is missing from tomic.toml, and each has a comment above it."""
    lines = (REPOSITORY / "tomic.toml").read_text(encoding="utf-8").splitlines()
    tree = tomllib.loads("\n".join(lines))

    for keys, _ in leaves(Settings()):
        node = tree
        for part in keys:
            assert part in node, ".".join(keys)
            node = node[part]
    bare = [
        line
        for above, line in pairwise(lines)
        if " = " in line and line[:1].isalpha() and not above.startswith("#")
    ]
    indices = set(Settings().market.indices)
    in_free_tables = indices | {"profit_target", "stop", "min_dte"}
    assert {line.split(" = ")[0] for line in bare} - in_free_tables <= set(Settings().web.patterns)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, '"none"'),
        (True, "true"),
        (0.1, "0.1"),
        (dt.timedelta(hours=36), '"36h"'),
        (dt.timedelta(days=2), '"2d"'),
        (Path("a/b"), '"a/b"'),
        (("x", 'y"'), '["x", "y\\""]'),
        (r"\d'", r'''"\\d'"'''),
        (r"\d", r"'\d'"),
        ({"a b": [1]}, '{ "a b" = [1] }'),
    ],
)
def test_values_as_toml(value, text):
    """Each kind of value is written so that TOML reads the same back."""
    assert toml_text(plain(value)) == text
    tomllib.loads(f"v = {text}")


def test_fingerprint_follows_the_values():
    """Equal settings share it, a changed one does not."""
    changed = Settings(ib={"port": 7496})

    assert fingerprint(Settings()) == fingerprint(Settings())
    assert fingerprint(changed) != fingerprint(Settings())


ORIGINAL_KEYS = """
DEFAULT_SYMBOLS POSITIONS_FILE ACCOUNT_INFO_FILE PORTFOLIO_META_FILE JOURNAL_FILE
VOLATILITY_DATA_FILE VOLATILITY_DB EXPORT_DIR IB_HOST IB_PORT IB_CLIENT_ID LOG_LEVEL INTEREST_RATE
UNDERLYING_EXCHANGE UNDERLYING_PRIMARY_EXCHANGE OPTIONS_EXCHANGE OPTIONS_PRIMARY_EXCHANGE
STRIKE_RANGE AMOUNT_REGULARS AMOUNT_WEEKLIES FIRST_EXPIRY_MIN_DTE DELTA_MIN DELTA_MAX
USE_HISTORICAL_IV_WHEN_CLOSED INCLUDE_GREEKS_ONLY_IF_MARKET_OPEN MAX_CONCURRENT_REQUESTS
CONTRACT_DETAILS_TIMEOUT CONTRACT_DETAILS_RETRIES DOWNLOAD_TIMEOUT DOWNLOAD_RETRIES
BID_ASK_TIMEOUT MARKET_DATA_TIMEOUT OPTION_DATA_RETRIES OPTION_RETRY_WAIT SPOT_TIMEOUT
TERM_STRIKE_WINDOW TOMIC_TODAY TOMIC_DEBUG TOMIC_LOG_LEVEL TOMIC_CONFIG TWS_API_PATH IB_API_PATH
"""


def test_every_key_of_the_original_has_a_line():
    """The migration table names each key, and only settings that exist."""
    text = (REPOSITORY / "docs" / "migration.md").read_text(encoding="utf-8")

    assert [key for key in ORIGINAL_KEYS.split() if f"`{key}`" not in text] == []
    known = {".".join(keys[:depth]) for keys, _ in leaves(Settings()) for depth in (1, 2, 3)}
    named = set(re.findall(r"`([a-z_]+\.[a-z_.]+)`", text)) - {"tomic.toml", "config.yaml"}
    files = {name for name in named if name.endswith((".yaml", ".json", ".db"))}
    assert named - files <= known


def test_init_never_overwrites():
    """A file that exists is left alone."""
    file = Path("conf") / "tomic.toml"
    write_defaults(file)
    before = file.read_bytes()

    with pytest.raises(ConfigError, match="exists already"):
        write_defaults(file)

    assert file.read_bytes() == before
    assert load_settings(file).ib == Settings().ib


def test_set_keeps_comments_and_order():
    """Only the value changes; comments, blank lines and the rest stay byte for byte."""
    text = "# mine\n\n[ib]  # gateway\nport = 7497  # paper\nhost = 'a'\n\n[chain]\nmin_dte = 20\n"
    file = write("tomic.toml", text)

    assert set_key("ib.port", "7496") == (Path("tomic.toml"), 7496)

    assert file.read_text() == text.replace("7497", "7496")


def test_set_adds_tables_that_are_missing():
    """A new key, a new table and a nested one all read back."""
    write("tomic.toml", "[ib]\nport = 1\n")

    set_key("ib.host", "localhost")
    set_key("score.weights", "{ pos = 0.5, ev = 0.5 }")
    set_key("jobs.night.run", '["vol"]')
    set_key("strategies.iron_condor.dte", "[30, 45]")
    set_key("chain.strike_range", "5%")
    set_key("chain.max_dte", "60")

    settings = load_settings()
    assert (settings.ib.host, settings.ib.port) == ("localhost", 1)
    assert settings.score.weights == ScoreWeights(pos=0.5, ev=0.5)
    assert settings.jobs["night"].run == ("vol",)
    assert settings.strategies["iron_condor"] == {"dte": [30, 45]}
    assert (settings.chain.strike_range, settings.chain.max_dte) == ("5%", 60)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ib.port", "abc", "tomic.toml: [ib] port: must be a valid integer, got 'abc'"),
        ("ib.prot", "1", "tomic.toml: [ib] prot: unknown key; did you mean port?"),
        ("ib", "1", "ib: a table; name a key of it, such as ib.KEY"),
        ("ib.port.x", "1", "ib.port: a key, not a table"),
        ("foo", "1", "tomic.toml: foo: unknown key"),
        (
            "limits.lines",
            "91",
            "tomic.toml: [limits] lines: must be less than or equal to 90, got 91",
        ),
    ],
)
def test_set_writes_nothing_that_is_wrong(key, value, message):
    """A refused value leaves the file, and the folder, as they were."""
    file = write("tomic.toml", "[ib]\nport = 7497\n")

    with pytest.raises(ConfigError) as caught:
        set_key(key, value)

    assert str(caught.value) == message
    assert file.read_text() == "[ib]\nport = 7497\n"
    assert list(Path.cwd().iterdir()) == [Path.cwd() / "tomic.toml"]


@pytest.mark.parametrize("value", ["2026-11-20", "12:30:00", "0", "[1979-05-27]"])
def test_set_judges_what_is_hidden(monkeypatch, value):
    """A variable that wins today may be gone tomorrow; then the file must be sound."""
    write("tomic.toml", "[ib]\nport = 4002\n")
    monkeypatch.setenv("TOMIC_IB__PORT", "7497")

    with pytest.raises(ConfigError, match=r"tomic.toml: \[ib\] port"):
        set_key("ib.port", value)
    assert Path("tomic.toml").read_text() == "[ib]\nport = 4002\n"


@pytest.mark.parametrize("text", ["2026-11-20", "12:30:00", "inf", "[1979-05-27]", "1e-05"])
def test_whatever_toml_holds_is_written_back(text):
    """Also what JSON has no word for."""
    assert toml_text(tomllib.loads(f"x = {text}")["x"]) == text


def test_set_mends_a_broken_key():
    """A file that does not load can be mended by setting the key that is wrong."""
    write("tomic.toml", "[ib]\nport = 0\n")

    set_key("ib.port", "7497")

    assert load_settings().ib.port == 7497


def test_set_without_a_file_makes_one():
    """With no file at all, ./tomic.toml is made and holds just that key."""
    set_key("ib.account", "1234567")

    assert Path("tomic.toml").read_text() == '[ib]\naccount = "1234567"\n'


def test_set_changes_the_file_in_effect(home):
    """The user's file is changed when there is no other, and a link stays a link."""
    target = write("real.toml", "[ib]\nport = 1\n")
    link = user_config_file()
    link.parent.mkdir(parents=True)
    link.symlink_to(target.resolve())

    assert set_key("ib.port", "2") == (link, 2)

    assert link.is_symlink()
    assert target.read_text() == "[ib]\nport = 2\n"


def test_set_keeps_windows_line_ends():
    """A file with CR LF keeps them, in old lines and new ones."""
    file = Path("tomic.toml")
    file.write_bytes(b"[ib]\r\nport = 1\r\n")

    set_key("ib.port", "2")

    assert file.read_bytes() == b"[ib]\r\nport = 2\r\n"


def test_set_says_when_a_table_is_no_toml():
    """Something that looks like a list or table is not taken for a text."""
    with pytest.raises(ConfigError, match="not a TOML value"):
        set_key("score.weights", "{ pos = .5, ev = .5 }")
