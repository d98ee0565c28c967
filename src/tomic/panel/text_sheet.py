"""A page of text over the view."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tomic.panel.sheet import Sheet


class TextSheet(Sheet):
    """
    Text that can be scrolled.

    Args:
        title: What it is about.
        text: The page.
        typed: The equivalent command.
    """

    def __init__(self, title: str, text: Text | str, typed: str) -> None:
        super().__init__(title)
        self._text = text if isinstance(text, Text) else Text(text)
        self._typed = typed

    def body(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="page"):
            yield Static(self._text, markup=False)

    def typed(self) -> str:
        """The equivalent command."""
        return self._typed

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one("#page").focus()
