"""`tomic report`: a file where it was asked for, and a word about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import command_line
from support.clean_home import make_clean_home, write

SMALL = """
[market]
symbols = ["SPY"]
[scan]
strategies = ["iron_condor"]
top = 1
method = "thinned"
max_contracts = 60
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    home = make_clean_home(tmp_path, monkeypatch)
    write("tomic.toml", SMALL)
    return home


def run(*words: str):
    return command_line.run("report", *words)


def test_day_of_the_demo_is_one_file():
    """The demo makes its scan, and the page stands alone where it was asked for."""
    result = run("day", "--demo", "--html", "reports/day.html")

    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "written to reports/day.html" in result.stderr
    assert [path.name for path in Path("reports").iterdir()] == ["day.html"]
    assert "iron condor" in Path("reports/day.html").read_text(encoding="utf-8")


def test_proposal_of_the_demo_is_one_file():
    """A demo numbers its proposals by its own day."""
    result = run("proposal", "20261120-1", "--demo", "-q", "--html", "one.html")

    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert "SPY iron condor" in Path("one.html").read_text(encoding="utf-8")


def test_an_unknown_proposal_leaves_no_file():
    """Exit code 5, the reason, and nothing written."""
    result = run("proposal", "20200101-1", "--html", "one.html")

    assert result.exit_code == 5
    assert "20200101-1" in result.stderr
    assert not Path("one.html").exists()


def test_without_a_file_nothing_is_collected():
    """--html says where to; without it the command is incomplete."""
    result = run("day", "--demo")

    assert result.exit_code == 2
    assert "--html" in result.stderr


def test_a_folder_is_no_page(tmp_path):
    """Where a folder is named instead of a file, that is said before anything is collected."""
    result = run("day", "--demo", "--html", str(tmp_path))

    assert result.exit_code == 2
    assert "is a directory" in result.stderr
    assert "demo market" not in result.stderr


def test_alone_it_explains_itself():
    """`tomic report` lists the reports there are."""
    result = run()

    assert result.exit_code == 0
    assert "proposal" in result.stdout


def test_portfolio_and_journal_of_the_demo():
    """The demo has an account and an empty journal; both have their page."""
    for name, said in (("portfolio", "Structures"), ("journal", "No trade is open.")):
        result = run(name, "--demo", "-q", "--html", f"{name}.html")

        assert result.exit_code == 0, result.stderr
        assert said in Path(f"{name}.html").read_text(encoding="utf-8")


def test_the_last_book_is_missing_before_the_first():
    """--last without a saved book ends with exit code 5 and leaves no file."""
    result = run("portfolio", "--last", "--html", "book.html")

    assert result.exit_code == 5
    assert not Path("book.html").exists()
