"""Widgets that are drawn in one go look as Textual would draw them."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from support.panel_screens import settle
from tomic.panel.widgets.quick import QuickRow


class Beside(App[None]):
    """The same two texts beside each other, in a container of ours and in one of Textual's."""

    CSS = "Row, Horizontal { height: 3; background: blue; } Static { width: 4; height: 1; }"

    def compose(self) -> ComposeResult:
        for kind in (QuickRow, Horizontal):
            with kind():
                yield Static("one")
                yield Static("two")


async def test_a_row_looks_like_a_row_of_textual():
    """Letters and colours of each cell are those of Textual's own container."""
    async with Beside().run_test(size=(20, 6)) as pilot:
        await settle(pilot)
        strips = pilot.app.screen._compositor.render_strips()
        cells = [
            [(letter, segment.style) for segment in strip for letter in segment.text]
            for strip in strips
        ]

    assert cells[0][0][0] == "o"
    assert cells[:3] == cells[3:]
