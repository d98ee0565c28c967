"""The lines below a view: what runs or came out, and the command that does the same."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


class CommandLine(Widget):
    """One line: ``= tomic scan --top 5``."""

    typed = reactive("")

    def render(self) -> Text:
        """The command, cut at the edge of the screen."""
        text = Text("= ", style="bold", no_wrap=True, overflow="ellipsis")
        text.append(self.typed)
        return text


class StatusLine(Widget):
    """One line: what runs, how far it is, or what came out."""

    said = reactive("")
    failed = reactive(False)

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show *text* until something else is said."""
        self.said, self.failed = text, failed

    def render(self) -> Text:
        """The text, cut at the edge of the screen."""
        style = "bold red" if self.failed else ""
        return Text(self.said, style=style, no_wrap=True, overflow="ellipsis")
