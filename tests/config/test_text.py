"""Settings as text, and the file that ships with the program."""

from __future__ import annotations

import datetime as dt
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tomic.config import Settings
from tomic.config.loading import leaves
from tomic.config.text import plain, render, toml_text

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
