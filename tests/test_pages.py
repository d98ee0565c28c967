"""Pages that are made from the program are current."""

from __future__ import annotations

import architecture_page
import command_reference
import strategy_page


def test_the_tree_is_drawn_as_it_stands():
    """docs/architecture.md names every module; `python tests/architecture_page.py` writes it."""
    assert architecture_page.current() == architecture_page.tree()


def test_the_reference_holds_every_option():
    """docs/reference.md is current; `python tests/command_reference.py` writes it."""
    assert command_reference.PAGE.read_text(encoding="utf-8") == command_reference.text()


def test_the_catalogue_holds_every_strategy():
    """docs/strategies.md is current; `python tests/strategy_page.py` writes it."""
    assert strategy_page.PAGE.read_text(encoding="utf-8") == strategy_page.text()
