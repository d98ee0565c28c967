"""Pages that are made from the program are current."""

from __future__ import annotations

import re
from pathlib import Path

from tests import tree

from support import command_reference, strategy_page

ROOT = Path(__file__).parents[1]


def test_every_module_says_what_it_is():
    """`python -m tests.tree` has a line for each module, which fits on a screen."""
    lines = {path: tree.first_line(path) for path in tree.SOURCE.rglob("*.py")}

    assert [str(path) for path, line in lines.items() if not line] == []
    assert max(map(len, lines.values())) <= 120


def test_the_page_of_the_architecture_names_every_part():
    """It is short enough to be read, and leaves out no part of the package."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = {path.relative_to(tree.SOURCE).parts[0] for path in tree.SOURCE.rglob("*.py")}
    names = {part.removesuffix(".py") for part in parts} - {"__init__", "__main__"}

    assert len(text.splitlines()) <= 150
    unnamed = {name for name in names if not re.search(rf"\b{name}\b", text)}
    assert unnamed == set(), "give it a floor and a room in docs/architecture.md, by hand"


def test_every_decision_is_in_the_index():
    """Each page of a decision is linked, and each link leads to a page."""
    folder = ROOT / "docs" / "decisions"
    linked = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text("utf-8"))

    mend = "docs/decisions/README.md has a line for each page beside it, and no other"
    assert sorted(linked) == sorted(path.name for path in folder.glob("0*.md")), mend


def test_the_reference_holds_every_option():
    """docs/reference.md is current; `python tests/support/command_reference.py` writes it."""
    mend = "docs/reference.md is out of date; run: python tests/support/command_reference.py"
    assert command_reference.PAGE.read_text(encoding="utf-8") == command_reference.text(), mend


def test_the_catalogue_holds_every_strategy():
    """docs/strategies.md is current; `python tests/support/strategy_page.py` writes it."""
    mend = "docs/strategies.md is out of date; run: python tests/support/strategy_page.py"
    assert strategy_page.PAGE.read_text(encoding="utf-8") == strategy_page.text(), mend
