"""A page over the view: a title, a body, and the equivalent command; escape goes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Label, Static

from tomic.desk import Desk
from tomic.errors import SessionError, TomicError
from tomic.panel.views.view import CommandLine, StatusLine

if TYPE_CHECKING:
    from tomic.panel.app import PanelApp


T = TypeVar("T")


class Sheet(ModalScreen[None]):
    """A page of details."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._status = StatusLine()

    def body(self) -> ComposeResult:
        """What the page shows."""
        yield from ()

    def typed(self) -> str:
        """The equivalent command."""
        return ""

    @property
    def panel(self) -> PanelApp:
        """The application."""
        from tomic.panel.app import PanelApp

        assert isinstance(self.app, PanelApp)
        return self.app

    def compose(self) -> ComposeResult:
        """Title, body, status and command."""
        yield Label(self._title, markup=False, classes="title")
        with Vertical(classes="body"):
            yield from self.body()
        yield self._status
        line = CommandLine()
        line.typed = self.typed()
        yield line
        yield Footer()

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show one line of status."""
        self._status.say(text, failed=failed)

    def work(
        self,
        ask: Callable[[Desk], Awaitable[T]],
        show: Callable[[T], None],
        *,
        online: bool = True,
    ) -> None:
        """Ask the desk in the background and show what comes back."""
        self.run_worker(self._ask(ask, show, online), group="sheet", exclusive=True)

    async def _ask(
        self, ask: Callable[[Desk], Awaitable[T]], show: Callable[[T], None], online: bool
    ) -> None:
        try:
            result = await self.panel.background.run(ask, online=online)
        except TomicError as exc:
            self.say(str(exc), failed=True)
            if isinstance(exc, SessionError):
                self.panel.lost(str(exc))
        else:
            # The page may have been left meanwhile.
            if self.is_attached:
                show(result)

    def action_leave(self) -> None:
        """Go back to the view."""
        self.dismiss(None)


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
