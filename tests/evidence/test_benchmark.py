"""`python -m benchmarks.evidence` gives its figures for any file of that form, or says why not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks import evidence, spx_spreads

from support import made_surfaces, recorded_chains
from tomic.evidence import walk
from tomic.evidence.structures import NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A made table of eight symbols, one of them a fund, and their earnings."""
    folder = tmp_path_factory.mktemp("evidence")
    table = made_surfaces.rows(("SPY", *(f"S{n}" for n in range(7))), 160)
    order = np.random.default_rng(1).permutation(table.day.size)
    lines = ["date,symbol,term_m1_m2,skew,atm_iv,close"]
    lines += [
        f"{table.day[row]},{table.symbol[row]},{table.term_m1_m2[row]:.3f},"
        f"{table.skew[row]:.3f},{table.atm_iv[row]:.4f},{table.close[row]:.4f}"
        for row in order
    ]
    (folder / "surface.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    reports = [f"S{n},2022-0{month}-1{n}" for n in range(7) for month in (5, 7)]
    (folder / "earnings.csv").write_text("symbol,earnings\n" + "\n".join(reports) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def figures(folder):
    """All figures of that table."""
    settings = walk.WalkSettings(warm_up=80, points=101)
    return evidence.measured(folder / "surface.csv", folder / "earnings.csv", settings=settings)


def test_every_figure_is_there(figures):
    """Structures, calibration, slopes, rankings and what was left out, as plain JSON."""
    text = json.dumps(evidence._plain(figures), allow_nan=False)

    assert [row["name"] for row in figures["structures"]] == list(NAMES)
    assert figures["data"]["opened symbols"] == 8
    assert figures["data"]["entries not made"]["no close at the expiry"] > 0
    assert figures["data"]["trades"] == 13 * figures["data"]["symbol-weeks"]
    assert {row["name"] for row in figures["rankings"]} == {
        "score", "robust score", "EV per CVaR alone", "the score before", "five at random"
    }  # fmt: skip
    assert (
        sum(each["n"] for each in figures["earnings"].values()) == (figures["data"]["symbol-weeks"])
    )
    assert json.loads(text)["data"]["symbols"] == 8


def test_the_page_holds_them(figures):
    """Each ranking and structure has its row."""
    page = evidence.page(figures)

    assert all(f"| {name} |" in page for name in NAMES)
    assert "| score (the default) |" in page or "| robust score (the default) |" in page


def test_the_page_of_the_project_has_its_place():
    """docs/evidence.md has one pair of markers, which hold the figures."""
    text = evidence.PAGE.read_text(encoding="utf-8")

    assert text.count(evidence.BEGIN) == text.count(evidence.END) == 1
    assert "symbol-weeks" in text.split(evidence.BEGIN)[1].split(evidence.END)[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "no such file"),
        ("bare.csv", "symbol,date,close\nSPY,2025-01-02,1\n", "no column atm_iv"),
        (
            "short.csv",
            "symbol,date,close,atm_iv,skew,term_m1_m2\nSPY,2025-01-02,580,.15,9,0\n",
            "no trade could be opened",
        ),
    ],
)
def test_a_file_that_says_nothing_is_named(tmp_path, capsys, name, content, words):
    """The command ends with the code of a bad file and says what is wrong with it."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")

    code = evidence.main([str(path), "--json"])

    assert code == 5
    assert words in capsys.readouterr().err


@pytest.mark.skipif(
    recorded_chains.missing(recorded_chains.SPX_2019) is not None,
    reason=str(recorded_chains.missing(recorded_chains.SPX_2019)),
)
def test_spreads_on_real_quotes_are_counted():
    """Each side of both years has its number, and a 30-delta spread is said to win mostly."""
    rows = spx_spreads.figures(recorded_chains.DATA)

    assert [(row["year"], row["side"]) for row in rows] == [
        (2018, "put"), (2018, "call"), (2019, "put"), (2019, "call")
    ]  # fmt: skip
    assert all(row["n"] >= 30 and 0.6 < row["said"] < 0.9 for row in rows)
    assert all(f"| {row['n']} |" in spx_spreads.page(rows) for row in rows)
