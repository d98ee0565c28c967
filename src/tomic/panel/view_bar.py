"""The line on top: the views with their keys, and what the panel is connected to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class ViewName(Widget):
    """A view that can be clicked."""

    chosen = reactive(False)

    class Clicked(Message):
        """This view is wanted."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    def __init__(self, key: str, label: str) -> None:
        super().__init__()
        self.label = label
        self._text = f" {key} {label} "
        self.styles.width = len(self._text)

    def render(self) -> Text:
        """Key and name, reversed for the view on the screen."""
        return Text(self._text, style="bold reverse" if self.chosen else "")

    def on_click(self) -> None:
        """Ask for it."""
        self.post_message(self.Clicked(self.label))


class LinkLabel(Widget):
    """What the panel is connected to, at the right."""

    said = reactive("")

    def render(self) -> Text:
        """A word or two."""
        return Text(self.said, justify="right", no_wrap=True, overflow="crop")


class ViewBar(Horizontal):
    """All views by key; the chosen one is marked."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._names = [ViewName(f"{place}", one) for place, one in enumerate(labels, start=1)]
        self._link = LinkLabel()
        self.chosen: str | None = None

    def compose(self) -> ComposeResult:
        """A name each, then the connection."""
        yield from self._names
        yield self._link

    def choose(self, label: str) -> None:
        """Mark one."""
        self.chosen = label
        for one in self._names:
            one.chosen = one.label == label

    def say(self, text: str) -> None:
        """Show how things stand with the gateway."""
        self._link.said = text
