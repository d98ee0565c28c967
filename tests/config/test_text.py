"""Settings as text, and the file that ships with the program."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tomic.config import Settings
from tomic.config.loading import leaves
from tomic.config.text import fingerprint, plain, render, toml_text

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
    in_free_tables = {"SPX", "XSP", "NDX", "RUT", "VIX", "profit_target", "stop", "min_dte"}
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
