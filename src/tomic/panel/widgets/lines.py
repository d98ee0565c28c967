"""Lines of text: banner, names of views, facts below a table, status, and equivalent command."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Banner(Widget):
    """Shown while the gateway cannot be reached; one or two lines."""

    reason = reactive("", layout=True)

    def watch_reason(self, reason: str) -> None:
        """Appear with a reason, go without one."""
        self.display = bool(reason)

    def on_mount(self) -> None:
        """Start unseen."""
        self.display = bool(self.reason)

    def render(self) -> Text:
        """What is wrong, and the key that tries again."""
        return Text(f"no connection: {self.reason}  [r: try again]", style="bold")


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
        return Text("\n".join(_cut(line, width) for line in self.lines), no_wrap=True)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 2] + ".."


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
        self._names = [ViewName(f"{place}", view) for place, view in enumerate(labels, start=1)]
        self._link = LinkLabel()
        self.chosen: str | None = None

    def compose(self) -> ComposeResult:
        """A name each, then the connection."""
        yield from self._names
        yield self._link

    def choose(self, label: str) -> None:
        """Mark one."""
        self.chosen = label
        for name in self._names:
            name.chosen = name.label == label

    def say(self, text: str) -> None:
        """Show how things stand with the gateway."""
        self._link.said = text
