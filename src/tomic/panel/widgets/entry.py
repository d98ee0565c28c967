"""Lines to type in: one beside its label, and one that asks a question over the view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label


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
