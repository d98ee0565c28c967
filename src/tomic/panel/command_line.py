"""The command that does what the view shows, so that the panel teaches the command line."""

from __future__ import annotations

import shlex

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


def command(*words: object) -> str:
    """A `tomic` command as typed in a shell; words that are None or empty are left out."""
    return shlex.join(["tomic", *(str(word) for word in words if word not in (None, ""))])


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
