"""Every metric that is shown is defined, and every worked example is true."""

from __future__ import annotations

import datetime as dt
import importlib
import math
import pkgutil
from operator import attrgetter

import numpy as np
import pytest

from tomic import config, dates, figures, models, quant
from tomic.errors import UsageError
from tomic.figures import ALL, Definition, find
from tomic.files import CHAIN_HEADER, SNAPSHOT_HEADER, quality
from tomic.journal import statistics
from tomic.models import Proposal
from tomic.present import scan, volatility
from tomic.present.chain import _CHAIN_COLUMNS
from tomic.strategies import scoring

MODULES = {
    one.name: importlib.import_module(f"tomic.quant.{one.name}")
    for one in pkgutil.iter_modules(quant.__path__)
    if not one.name.startswith("_")
}
NAMESPACE = {
    "dt": dt,
    "math": math,
    "np": np,
    "dates": dates,
    "models": models,
    "config": config,
    "quality": quality,
    "scoring": scoring,
    "calibration": statistics,
    "resampling": statistics,
    **MODULES,
}
NOT_METRICS = {"Expiry", "Type", "Strike", "Bid", "Ask", "Close", "Volume", "OpenInterest"}
NOT_METRICS |= {"Symbol", "SpotPrice", "oi", "vol", "bid", "ask", "spot", "n", "close"}
NOT_METRICS |= {"#", "id", "symbol", "strategy", "trade", "in", "event", "similar"}
"""What the market says by itself, and what is no number."""
PROPOSED = {
    "credit_mid", "credit_natural", "max_loss", "margin_requirement", "margin_cash", "rom_30d",
    "ev_quotes", "ev_error", "ev_30d", "kelly", "edge_error", "theta_margin", "grade",
    "market_volatility",
}  # fmt: skip
"""Figures of a proposal beside those in its table."""


@pytest.mark.parametrize("one", ALL.values(), ids=attrgetter("name"))
def test_worked_example(one: Definition):
    """The example gives what the definition says, to the digits that it says."""
    value = float(eval(one.example, NAMESPACE))

    assert math.isclose(value, one.result, rel_tol=5e-5, abs_tol=1e-9)


@pytest.mark.parametrize("one", ALL.values(), ids=attrgetter("name"))
def test_kernel_exists(one: Definition):
    """The function that computes it can be imported under its name."""
    path, _, name = one.kernel.rpartition(".")
    try:
        home = importlib.import_module(path)
    except ModuleNotFoundError:
        path, _, owner = path.rpartition(".")
        home = getattr(importlib.import_module(path), owner)

    assert hasattr(home, name)


@pytest.mark.parametrize("one", ALL.values(), ids=attrgetter("name"))
def test_everything_is_said(one: Definition):
    """No field is empty, and none ends in a full stop but the meaning."""
    texts = (one.title, one.meaning, one.unit, one.formula, one.source, one.caveat)

    assert all(texts)
    assert one.meaning.endswith(".")
    assert one.name == one.name.lower()


def test_names_are_unique():
    """No alias means two things."""
    names = [figures.plain(alias) for one in ALL.values() for alias in (one.name, *one.aliases)]

    assert sorted(names) == sorted(set(names))


def test_every_column_is_defined():
    """What tables and files show can be explained by the name in their heading."""
    shown = [
        *CHAIN_HEADER,
        *SNAPSHOT_HEADER,
        *(column.narrow for column in _CHAIN_COLUMNS),
        *(column.narrow for column in volatility._VOL_COLUMNS),
        *(column.narrow for column in volatility.HISTORY_COLUMNS),
        "EM30",
        *(column.title for column in scan.RANKING),
        *("breakevens", "max profit", "CVaR95", "risk-reward", "touch", "edge"),
        *(name for name in Proposal.model_fields if name in PROPOSED),
        *("n_pos", "n_ev", "liquidity", "fit"),
    ]
    wanted = [name for name in shown if name not in NOT_METRICS and name.lower() not in NOT_METRICS]

    for name in wanted:
        assert isinstance(find(name), Definition)


@pytest.mark.parametrize("text", ["iv_rank", "IV Rank", "iv-rank", " rank ", "IV_Rank"])
def test_names_are_found_as_people_write_them(text):
    """Case, blanks and hyphens do not matter."""
    assert find(text).name == "iv_rank"


def test_a_wrong_name_has_a_hint():
    """A near miss is suggested; anything else is told where the list is."""
    with pytest.raises(UsageError, match=r"did you mean .*iv_rank"):
        find("iv_ranc")
    with pytest.raises(UsageError, match="tomic explain lists all of them"):
        find("zzzzzzz")


def test_all_is_read_only():
    """Definitions are facts."""
    with pytest.raises(TypeError):
        figures.ALL["x"] = figures.ALL["iv"]


def test_a_field_is_described_once():
    """Windows and variants share a definition and have a heading of their own."""
    hv20, rank = figures.columns("hv20 iv_rank")

    assert (hv20.name, hv20.heading, hv20.decimals) == ("hv20", "HV20", 1)
    assert (rank.heading, rank.narrow) == ("IV rank", "rank")
    with pytest.raises(KeyError):
        figures.columns("hv21")
