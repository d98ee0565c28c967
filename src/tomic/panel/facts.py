"""A few lines of text below a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


class FactLines(Widget):
    """Lines of text, each cut at the edge of the screen."""

    lines: reactive[tuple[str, ...]] = reactive(())

    def __init__(self, *, id: str, rows: int) -> None:
        super().__init__(id=id)
        self.styles.height = rows

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines."""
        self.lines = tuple(lines)

    def render(self) -> Text:
        """As many lines as there is room for."""
        width = max(self.size.width, 1)
        return Text("\n".join(_cut(one, width) for one in self.lines), no_wrap=True)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 2] + ".."
