"""
Widgets that are drawn in one go.

Textual draws each widget line by line: padding, borders, content, and a search for what is dirty.
A container has nothing but its background, and lines that are kept need no more than a filter for
the terminal's colours.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.style import Style
from textual.containers import Horizontal
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import ContentSwitcher


class Blank(Widget):
    """A container without border and padding: nothing of it is seen but its background."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """The same line, again and again."""
        _, background = self.background_colors
        blank = Strip.blank(crop.width, Style(bgcolor=background.rich_color))
        (line,) = filtered(self, [blank])
        return [line] * crop.height


class QuickRow(Horizontal, Blank):
    """Widgets beside each other."""


class Stage(ContentSwitcher, Blank):
    """Views, one of them in front."""


class Backdrop(Screen[None], Blank):
    """The screen below everything."""


def filtered(widget: Widget, lines: Iterable[Strip]) -> list[Strip]:
    """*lines* in colours that the terminal has; each of them remembers what became of it."""
    strips = list(lines)
    _, background = widget.background_colors
    for each in widget.get_line_filters():
        strips = [strip.apply_filter(each, background) for strip in strips]
    return strips
