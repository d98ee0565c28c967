"""Lines of text: banner, views, facts, status, equivalent command; and lines to type in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.message import Message
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Label


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

    command = reactive("")

    def render(self) -> Text:
        """The command, cut at the edge of the screen."""
        text = Text(no_wrap=True, overflow="ellipsis")
        return text.append("= ", "bold").append(self.command)


class StatusLine(Widget):
    """One line: what runs, how far it is, or what came out."""

    text = reactive("")
    failed = reactive(False)

    def show(self, text: str, *, failed: bool = False) -> None:
        """Show *text* instead."""
        self.text, self.failed = text, failed

    def render(self) -> Text:
        """The text, cut at the edge of the screen."""
        style = "bold red" if self.failed else ""
        return Text(self.text, style=style, no_wrap=True, overflow="ellipsis")


class ViewBar(Widget):
    """All views by key, the chosen one marked, and at the right what the panel is connected to."""

    chosen: reactive[str | None] = reactive(None)
    link = reactive("")

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = tuple(labels)

    def choose(self, label: str) -> None:
        """Mark one."""
        self.chosen = label

    def show_link(self, text: str) -> None:
        """Show how things stand with the gateway."""
        self.link = text

    def render(self) -> Text:
        """A name each, which can be clicked; then the connection."""
        text = Text(no_wrap=True, overflow="crop")
        for place, label in enumerate(self._labels, start=1):
            clicked = Style(meta={"@click": f"app.view({label!r})"})
            marked = Style(bold=True, reverse=True) if label == self.chosen else Style()
            text.append(f" {place} {label} ", marked + clicked)
        room = self.size.width - text.cell_len - 1
        return text.append(f"{self.link[: max(room, 0)]:>{max(room, 0)}} ", "dim")


class KeyLine(Widget):
    """
    The keys that work now, as many as there is room for; `?` says them all.

    Textual's own footer mounts a widget for each key at every change of view, which costs more
    than the view.
    """

    def on_mount(self) -> None:
        """Follow what can be pressed."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refresh()

    def render(self) -> Text:
        """Key and word of each; those of every view at the right."""
        shown = [binding for _, binding in keys_of(self.screen) if binding.show]
        tail = [self._word(binding) for binding in shown if binding.key in _EVERYWHERE]
        others = [self._word(binding) for binding in shown if binding.key not in _EVERYWHERE]
        room = self.size.width - sum(word.cell_len for word in tail)
        text = Text(no_wrap=True)
        for word in others:
            if text.cell_len + word.cell_len > room:
                break
            text.append_text(word)
        return Text(no_wrap=True).join([text, *tail])

    def _word(self, binding: Binding) -> Text:
        text = Text().append(f" {self.app.get_key_display(binding)}", "bold")
        text.append(f" {binding.description} ")
        text.stylize(Style(meta={"@click": f"app.simulate_key({binding.key!r})"}))
        return text


_EVERYWHERE = ("question_mark", "q")


def keys_of(screen: Screen[Any]) -> list[tuple[DOMNode, Binding]]:
    """What can be pressed now, each action once, with who does it; those of tables after others."""
    found: dict[str, tuple[DOMNode, Binding]] = {}
    for node, binding, enabled, _ in screen.active_bindings.values():
        known = found.get(binding.action)
        if binding.description and enabled and (known is None or not known[1].show):
            found[binding.action] = (node, binding)
    return sorted(found.values(), key=lambda at: (at[0] is screen.focused, at[0] is screen.app))


class LineInput(Input):
    """An input of one line without a frame; escape goes back to what it is about."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, value: str = "", *, id: str, hint: str = "", width: int = 14) -> None:
        super().__init__(value, placeholder=hint, id=id)
        self.styles.width = width

    class Left(Message):
        """Escape was pressed."""

    def action_leave(self) -> None:
        """Say that it is left."""
        self.post_message(self.Left())


class Ask(ModalScreen[tuple[str, ...] | None]):
    """
    Questions over the view; enter on the last answers them, escape answers None.

    Args:
        title: What it is about.
        questions: A label, and the text that is there at first, for each line.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, title: str, questions: Sequence[tuple[str, str]], *, note: str = "") -> None:
        super().__init__()
        self._title, self._questions, self._note = title, list(questions), note

    def compose(self) -> ComposeResult:
        """Title, then a label and a line for each question."""
        with Vertical():
            yield Label(self._title, markup=False)
            if self._note:
                yield Label(self._note, markup=False, classes="hint")
            for number, (label, value) in enumerate(self._questions):
                yield Label(label, markup=False)
                yield LineInput(value, id=f"answer{number}", width=72)
            yield Label("enter: go on   escape: back", markup=False, classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next line; after the last one, answer."""
        event.stop()
        lines = list(self.query(LineInput))
        at = lines.index(self.query_one(f"#{event.input.id}", LineInput))
        if at + 1 < len(lines):
            self.set_focus(lines[at + 1])
        else:
            self.dismiss(tuple(line.value for line in lines))

    def on_line_input_left(self, message: LineInput.Left) -> None:
        """Answer nothing."""
        message.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Answer nothing."""
        self.dismiss(None)
