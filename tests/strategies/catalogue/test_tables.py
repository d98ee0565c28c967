"""Strategies as tomic.toml writes them: changed, or declared as one's own."""

from __future__ import annotations

import re
import tomllib

import pytest

from tomic.config import Settings, load_settings
from tomic.errors import ConfigError, UsageError
from tomic.strategies.catalogue.leg_rules import Below, DeltaBand, LegRule, Template
from tomic.strategies.catalogue.tables import declared, written
from tomic.strategies.catalogue.templates import CATALOGUE, choose, effective, own, with_own

MINE = """
[strategies.mine]
outlook = "my own spread"
side = "bullish"
dte = [25, 45]
credit_required = true
legs.short_put = { right = "P", quantity = -1, delta = [-0.30, -0.15] }
legs.long_put = { right = "put", quantity = 1, below = "short_put", points = [5, 10] }

[strategies.slow_condor]
like = "iron_condor"
dte = [60, 90]
short_put = { delta = [-0.20, -0.10] }

[scan]
keep_to_exits = false
"""


@pytest.fixture
def settings(tmp_path):
    """Settings of a file that declares two strategies."""
    (tmp_path / "tomic.toml").write_text(MINE, encoding="utf-8")
    return load_settings(tmp_path / "tomic.toml")


def test_a_table_declares_a_strategy(settings):
    """Its legs are as written, and everything that reads the settings knows it by its name."""
    mine, condor = own(settings).values()

    assert mine == Template(
        name="mine",
        outlook="my own spread",
        side="bullish",
        dte=(25, 45),
        credit_required=True,
        legs=(
            LegRule("short_put", "P", -1, DeltaBand(-0.30, -0.15)),
            LegRule("long_put", "P", 1, Below("short_put", points=(5.0, 10.0))),
        ),
    )
    assert (condor.name, condor.dte, condor.gates) == (
        "slow_condor", (60, 90), CATALOGUE["iron_condor"].gates,
    )  # fmt: skip
    assert condor.leg("short_put").pick == DeltaBand(-0.20, -0.10)
    assert [template.name for template in choose(settings, "mine, slow-condor")] == [
        "mine", "slow_condor",
    ]  # fmt: skip


def test_what_is_declared_is_searched_beside_the_profile(settings):
    """A strategy of one's own needs no further switch, and enabled = false leaves it out."""
    names = [template.name for template in choose(settings)]
    tables = {**settings.strategies, "mine": {**settings.strategies["mine"], "enabled": False}}

    assert names[-2:] == ["mine", "slow_condor"]
    assert effective(settings)["mine"].dte == (25, 45)
    off = settings.model_copy(update={"strategies": tables})
    assert "mine" not in [template.name for template in choose(off)]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("dte = [25, 45]", "mine is unknown; .*a strategy of your own needs legs, or like"),
        ('like = "iron_condr"', "did you mean iron_condor"),
        ('like = "iron_condor"\nwings = 1', "wings: wings is unknown"),
        ('like = "iron_condor"\nside = "up"', "side must be one of bullish, bearish, neutral"),
        ("legs = {}\ndte = [25, 45]", "legs is a table with a table a leg"),
        ('legs.a = { right = "P", quantity = -1, delta = [-0.3, -0.1] }', "dte must be given"),
        (
            'legs.a = { right = "X", quantity = -1, nearest = 1 }',
            'legs.a: right must be "C" or "P"',
        ),
        ('legs.a = { right = "P", quantity = 0, nearest = 1 }', "quantity must be a whole number"),
        ('legs.a = { right = "P", quantity = 1 }', "by exactly one of delta, moneyness, nearest"),
        ('legs.a = { right = "P", quantity = 1, below = "b" }', "a distance in exactly one of"),
        ('legs.a = { right = "P", quantity = 1, nearst = 1 }', "did you mean nearest"),
        ('legs.a = { right = "P", quantity = 1, below = "b", points = [1, 2] }', "to no leg: a"),
        ('legs.a = { right = "P", quantity = 1, nearest = 1, expiry = "far" }', "a gap belongs to"),
        (
            'legs.a = { right = "P", quantity = 1, delta = [1, 2] }',
            "delta must ascend from -1 to 1",
        ),
        ('legs.a = { right = "P", quantity = 1, nearest = 1 }\nstock = -1', "from 0 up, got -1"),
        ('legs.a = { right = "P", quantity = 1, nearest = 1 }\nlegz = 1', "did you mean legs"),
        (
            'legs.a = { right = "P", quantity = 1, nearest = 1 }\ngates = ["iv > 1"]',
            "iv is unknown",
        ),
        ('legs.a = { right = "P", quantity = 1, nearest = 1 }\nwider = [1]', "wider is a list of"),
    ],
)
def test_a_faulty_table_is_refused_with_its_key(table, said):
    """The message names the key, and what may stand there."""
    text = (
        table
        if "dte" in table or "legs.a" not in table or "dte must" in said
        else (f"dte = [20, 40]\n{table}")
    )
    tables = tomllib.loads(f"[mine]\n{text}\n")

    with pytest.raises(ConfigError, match=f"strategies.mine.*{said}"):
        own(Settings(strategies=tables))


def test_a_name_is_one_that_can_be_written():
    """Names are small letters, digits and _, so that legs and commands can name them."""
    with pytest.raises(ConfigError, match=re.escape("as in my_condor")):
        declared("My Condor", {"like": "iron_condor"}, CATALOGUE)


def test_a_template_replaces_that_of_its_name():
    """A changed copy of a strategy of the catalogue goes before it, in these settings only."""
    near = declared("iron_condor", {**written(CATALOGUE["iron_condor"]), "dte": [5, 10]}, {})
    settings, names = with_own(Settings(scan={"keep_to_exits": False}), near)

    assert names == ["iron_condor"]
    assert choose(settings, names) == (near,)
    assert own(settings) == {}
    with pytest.raises(UsageError, match="names or Templates, got 5"):
        with_own(Settings(), [5])
