"""`tomic backtest`: a verdict first, documents on request, and bad input refused by name."""

from __future__ import annotations

import json

import pytest

from support import command_line, walked
from support.clean_home import make_clean_home, write

SMALL = """
[scan]
strategies = ["naked_put", "short_put_spread"]
top = 2
[backtest]
warm_up = 40
processes = 1
random_draws = 2
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder with small settings and a file of surfaces."""
    home = make_clean_home(tmp_path, monkeypatch)
    write("tomic.toml", SMALL)
    table = walked.table(110)
    lines = ["symbol,date,close,atm_iv,skew,term_m1_m2"]
    lines += [",".join(map(str, row)) for row in zip(*table, strict=True)]
    write("surface.csv", "\n".join(lines))
    return home


def run(*words: str):
    return command_line.run("backtest", *words)


def test_a_backtest_says_its_verdict_and_can_be_read_as_json():
    """The text begins with what was walked; the document has every trade."""
    result = run("AAA", "BBB", "--surface", "surface.csv", "--hold")
    document = json.loads(run("AAA", "BBB", "--surface", "surface.csv", "--hold", "--json").stdout)

    assert result.exit_code == 0, result.stderr
    assert document["verdict"] in result.stdout
    assert document["run"] == "hold"
    assert document["sources"] == {"surface": len(document["trades"])}
    assert {trade["strategy"] for trade in document["trades"]} <= {"naked_put", "short_put_spread"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--surface", "absent.csv"], 5, "absent.csv"),
        (["XYZ", "--surface", "surface.csv"], 5, "XYZ is not in surface.csv"),
        (["--surface", "surface.csv", "--sweep", "scan.top"], 2, "write KEY=A,B,C"),
        (["--surface", "surface.csv", "--sweep", "scan.tops=1,2"], 2, "there is no tops"),
        (["--surface", "surface.csv", "--strategy", "condor"], 2, "condor is unknown"),
        (["--every", "month"], 2, "write week or day"),
        (["--from", "soon"], 2, "write a date"),
        (["--surface", "surface.csv", "--compare", "absent.toml"], 2, "absent.toml"),
        (["--sweep", "scan.top=1,2", "--compare", "tomic.toml"], 2, "exclude each other"),
    ],
)
def test_bad_input_is_refused_by_name(words, code, told):
    """What is wrong, and what to write instead; never a traceback."""
    result = run(*words)

    assert result.exit_code == code, result.stderr
    assert told in result.stderr
