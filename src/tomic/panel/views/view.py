"""
What every page of the panel is: a body, a line of status, its equivalent command, and work to do.

A view is one of the pages behind the numbers; a sheet lies over it, and escape goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Footer, Label, Static
from textual.worker import Worker, WorkerState

from tomic.config import Settings
from tomic.desk import Desk
from tomic.errors import SessionError, TomicError
from tomic.panel.background import Background
from tomic.panel.source import Source
from tomic.panel.widgets.entry import LineInput
from tomic.panel.widgets.glyphs import Glyphs
from tomic.panel.widgets.lines import CommandLine, StatusLine
from tomic.workflows.progress import Event

T = TypeVar("T")

_BAR = 16
"""Cells of a bar of progress."""


class Panel(Protocol):
    """What pages know of the application, which knows all of them."""

    background: Background
    glyphs: Glyphs
    settings: Settings
    source: Source

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols to look at by default."""

    def typed(self, *words: object) -> str:
        """The command that gives the same from the same source."""

    def joined(self, parts: Sequence[str]) -> str:
        """Parts that are not empty, with a mark between them."""

    def lost(self, reason: str) -> None:
        """Show the banner."""

    def found(self) -> None:
        """Hide the banner."""

    def open_chain(self, symbol: str) -> None:
        """Show the chain of a symbol."""

    def open_history(self, symbol: str) -> None:
        """Show the stored days of a symbol."""

    def open_entry(self, proposal_id: str) -> None:
        """Ask for what a journal entry of a proposal needs."""

    async def take_settings(self) -> None:
        """Read the settings again."""


class PanelPage(Widget):
    """What views and sheets share; a page does one piece of work at a time, in the background."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs = 0
        self._status, self._line = StatusLine(), CommandLine()

    def body(self) -> ComposeResult:
        """What the page shows."""
        yield from ()

    def typed(self) -> str:
        """The equivalent command."""
        return ""

    @property
    def panel(self) -> Panel:
        """The application."""
        return cast("Panel", self.app)

    def compose(self) -> ComposeResult:
        """Body, status and command."""
        with Vertical(classes="body"):
            yield from self.body()
        yield self._status
        yield self._line

    def on_mount(self) -> None:
        """Show the command."""
        self.show_command()

    def show_command(self) -> None:
        """Bring the equivalent command up to date."""
        self._line.typed = self.typed()

    def say(self, text: str, *, failed: bool = False) -> None:
        """Show one line of status."""
        self._status.say(text, failed=failed)

    def follow(self, event: Event) -> None:
        """Called on the desk's thread with every step of the work."""

    def work(
        self,
        what: str,
        ask: Callable[[Desk], Awaitable[T]],
        show: Callable[[T], None],
        *,
        online: bool = True,
    ) -> Worker[Any]:
        """
        Ask the desk in the background and show what comes back; replaces work under way.

        What goes wrong becomes the line of status, and a lost connection the banner.
        """
        self._runs += 1
        self.show_command()
        self.say(what)
        job = self._ask(self._runs, ask, show, online)
        return self.run_worker(job, name=what, group=self.id or "page", exclusive=True)

    async def _ask(
        self, run: int, ask: Callable[[Desk], Awaitable[T]], show: Callable[[T], None], online: bool
    ) -> None:
        try:
            result = await self.panel.background.run(ask, watch=self.follow, online=online)
        except TomicError as exc:
            self.say(str(exc), failed=True)
            if isinstance(exc, SessionError):
                self.panel.lost(str(exc))
        except asyncio.CancelledError:
            if run == self._runs and self.is_mounted:
                self.say("cancelled")
            raise
        else:
            # The page may have been left meanwhile.
            if self.is_attached:
                if online:
                    self.panel.found()
                self.say("")
                show(result)


class View(Vertical, PanelPage):
    """One of the pages behind the numbers."""

    label: ClassVar[str] = ""
    name_of_body: ClassVar[str] = ""
    """Selector of what has the focus when the view appears."""
    loads_on_first_sight: ClassVar[bool] = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "load", "Load"),
        Binding("escape", "cancel", "Cancel"),
    ]

    class Progress(Message):
        """The work of a view went a step further."""

        def __init__(self, event: Event) -> None:
            super().__init__()
            self.event = event

    def __init__(self) -> None:
        super().__init__(id=self.label.lower())
        self.appeared = False
        self._counts: dict[str, Event] = {}

    def action_load(self) -> None:
        """Fetch what the view shows."""

    def appear(self) -> None:
        """Take the focus; load when seen for the first time."""
        self.focus_body()
        self.show_command()
        if not self.appeared:
            self.appeared = True
            if self.loads_on_first_sight:
                self.action_load()
            else:
                self.say(f"r loads: {self.typed()}")

    def focus_body(self) -> None:
        """Give the focus to what is looked at."""
        if self.name_of_body:
            self.query_one(self.name_of_body).focus()

    def on_line_input_left(self, message: LineInput.Left) -> None:
        """Back from a line to what it is about."""
        message.stop()
        self.focus_body()

    @property
    def is_on_screen(self) -> bool:
        """Whether this is the view that is looked at."""
        return bool(self.display) and self.is_mounted

    @property
    def working(self) -> bool:
        """Whether work of this view is under way."""
        return any(
            worker.group == self.id and worker.state in (WorkerState.PENDING, WorkerState.RUNNING)
            for worker in self.workers
        )

    def tell_lost(self, errors: Iterable[TomicError | None]) -> None:
        """Show the banner when one of the errors in a result is a lost connection."""
        lost = next((error for error in errors if isinstance(error, SessionError)), None)
        if lost is not None:
            self.panel.lost(str(lost))

    def work(
        self,
        what: str,
        ask: Callable[[Desk], Awaitable[T]],
        show: Callable[[T], None],
        *,
        online: bool = True,
    ) -> Worker[Any]:
        """As every page does, counting anew."""
        self._counts = {}
        return super().work(what, ask, show, online=online)

    def follow(self, event: Event) -> None:
        """Pass the step on to the panel's own thread."""
        self.post_message(self.Progress(event))

    def on_view_progress(self, message: View.Progress) -> None:
        """Say how far the work is."""
        message.stop()
        if not self.working:
            return
        event = message.event
        where = f"{event.symbol}: " if event.symbol else ""
        if event.kind == "count":
            self._counts[event.symbol] = event
            self.say(self._how_far(event))
        elif event.kind == "note":
            self.say(f"note: {event.text}")
        elif event.kind == "spot":
            self.say(f"{where}spot {event.text}")
        else:
            self.say(f"{where}{event.text}")

    def _how_far(self, event: Event) -> str:
        """A bar, and how many of how many; of symbols as well when there are several."""
        glyphs = self.panel.glyphs
        whole = self._counts.get("symbols", event)
        filled = round(_BAR * whole.done / whole.total) if whole.total else 0
        bar = glyphs.shades[-1] * filled + glyphs.shades[1] * (_BAR - filled)
        name = event.symbol if event.symbol.isupper() else ""
        parts = [f"{name} {event.done} of {event.total} {event.text or 'contracts'}".strip()]
        if whole is not event:
            parts.insert(0, f"{whole.done} of {whole.total} symbols")
        elif event.symbol == "symbols":
            parts = [f"{event.done} of {event.total} symbols"]
        return f"{bar} {self.panel.joined(parts)}   [escape cancels]"

    def action_cancel(self) -> None:
        """Stop the work, if any."""
        self.workers.cancel_group(self, self.id or "view")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Cancelling is offered while something runs."""
        return self.working if action == "cancel" else True

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Work began or ended: other keys are of use now."""
        event.stop()
        self.refresh_bindings()


class Sheet(ModalScreen[None], PanelPage):
    """A page of details over the view: a title, and escape goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        """Title above, keys below what every page has."""
        yield Label(self._title, markup=False, classes="title")
        yield from PanelPage.compose(self)
        yield Footer()

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
