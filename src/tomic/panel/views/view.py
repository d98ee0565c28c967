"""What every view has: a body, a line of status, its equivalent command, and work to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from tomic.desk import Desk
from tomic.errors import SessionError, TomicError
from tomic.workflows.progress import Event

if TYPE_CHECKING:
    from tomic.panel.app import PanelApp


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


T = TypeVar("T")

_BAR = 16
"""Cells of a bar of progress."""


class View(Vertical):
    """One page of the panel; its work runs in the background, one piece at a time."""

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
        self.seen = False
        self._runs = 0
        self._counts: dict[str, Event] = {}
        self._status, self._line = StatusLine(), CommandLine()

    # -- what a view adds ------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """What the view shows."""
        yield from ()

    def typed(self) -> str:
        """The equivalent command."""
        return ""

    def action_load(self) -> None:
        """Fetch what the view shows."""

    # -- shared ----------------------------------------------------------------------------

    @property
    def panel(self) -> PanelApp:
        """The application."""
        from tomic.panel.app import PanelApp

        assert isinstance(self.app, PanelApp)
        return self.app

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

    def appear(self) -> None:
        """Take the focus; load when seen for the first time."""
        self.focus_body()
        self.show_command()
        if not self.seen:
            self.seen = True
            if self.loads_on_first_sight:
                self.action_load()
            else:
                self.say(f"r loads: {self.typed()}")

    def focus_body(self) -> None:
        """Give the focus to what is looked at."""
        if self.name_of_body:
            self.query_one(self.name_of_body).focus()

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
        self._counts = {}
        self.show_command()
        self.say(what)
        job = self._ask(self._runs, ask, show, online)
        return self.run_worker(job, name=what, group=self.id or "view", exclusive=True)

    async def _ask(
        self,
        run: int,
        ask: Callable[[Desk], Awaitable[T]],
        show: Callable[[T], None],
        online: bool,
    ) -> None:
        try:
            result = await self.panel.background.run(ask, watch=self._on_event, online=online)
        except TomicError as exc:
            self.say(str(exc), failed=True)
            if isinstance(exc, SessionError):
                self.panel.lost(str(exc))
        except asyncio.CancelledError:
            if run == self._runs and self.is_mounted:
                self.say("cancelled")
            raise
        else:
            # The panel may have been left meanwhile.
            if self.is_attached:
                if online:
                    self.panel.found()
                self.say("")
                show(result)

    def tell_lost(self, errors: Iterable[TomicError | None]) -> None:
        """Show the banner when one of the errors in a result is a lost connection."""
        lost = next((one for one in errors if isinstance(one, SessionError)), None)
        if lost is not None:
            self.panel.lost(str(lost))

    def _on_event(self, event: Event) -> None:
        """Called on the desk's thread."""
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
