"""
What every page of the panel is: a body, a line of status, its equivalent command, and work to do.

A view is one of the pages behind the numbers; a sheet lies over it, and escape goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import inspect
import textwrap
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar, cast

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input, Label, Static
from textual.worker import Worker, WorkerState

from tomic.config import Settings, load_settings
from tomic.desk import Desk
from tomic.errors import SessionError, TomicError
from tomic.files.reading import parse_file_name
from tomic.panel.background import Background
from tomic.panel.source import PanelSource
from tomic.panel.widgets.grid import Grid
from tomic.panel.widgets.lines import (
    Banner,
    CommandLine,
    KeyLine,
    LineInput,
    StatusLine,
    ViewBar,
    keys_of,
)
from tomic.panel.widgets.plot import Glyphs, glyphs_here
from tomic.panel.widgets.quick import Backdrop, Blank
from tomic.workflows.progress import Event, Watcher

T = TypeVar("T")
Kind = TypeVar("Kind", bound="View")

_BAR = 16
"""Cells of a bar of progress."""
_STEPS = 256
"""Steps of the work that may wait to be told."""
_HEAR_EVERY_S = 0.1
_KEY, _WORD, _LEAST = 6, 16, 20
"""Cells of a key, of its word, and the fewest for what it does."""
_PAGE_MARGIN = 4
"""Cells at the sides of a page of text."""


class Panel(App[None]):
    """
    What pages know of the application.

    Args:
        source: Demo, recording or the gateway of the settings, and the configuration file.
        settings: Settings instead of those of the configuration file.
        glyphs: Signs to draw with; by default those that the terminal can show.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-tall")]  # noqa: RUF012
    views: ClassVar[tuple[type[View], ...]] = ()

    def __init__(
        self,
        source: PanelSource | None = None,
        *,
        settings: Settings | None = None,
        glyphs: Glyphs | None = None,
    ) -> None:
        super().__init__()
        self.source = source or PanelSource()
        self.settings = settings or load_settings(self.source.config)
        self._given = settings
        self.glyphs = glyphs or glyphs_here()
        self.background = Background(self._open_desk)
        self._bar, self._banner = ViewBar([view.label for view in self.views]), Banner()
        self._seen: dict[str, View] = {}
        self.held: tuple[str, ...] = ()
        """Symbols of the last saved book, once it was read."""

    def _open_desk(self, watch: Watcher) -> Desk:
        source = self.source
        return Desk(
            self.settings,
            demo=source.demo,
            replay=source.replay,
            paced=source.paced,
            demo_store=self.settings.store.demo_path,
            replay_store=self.settings.store.replay_path,
            watch=watch,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols to look at by default: those of the settings, or that of the recording."""
        if self.source.replay is not None:
            symbol = parse_file_name(self.source.replay.name).symbol
            return (symbol,) if symbol else ()
        return tuple(self.settings.market.symbols)

    @property
    def first_symbol(self) -> str:
        """The symbol to begin with: what is held, else SPY where it is looked at."""
        symbols = self.symbols
        if self.source.replay is None and self.held:
            return self.held[0]
        return "SPY" if "SPY" in symbols or not symbols else symbols[0]

    @property
    def now(self) -> dt.datetime | None:
        """The time of the market; None where that of the computer is not it."""
        return None if self.source.name else dt.datetime.now(dt.UTC)

    def held_first(self, rows: Sequence[T], symbol: Callable[[T], str]) -> list[T]:
        """*rows* with those of symbols that are held before the others."""
        return sorted(rows, key=lambda row: symbol(row) not in self.held)

    def get_default_screen(self) -> Screen[None]:
        """One that is drawn quickly."""
        return Backdrop(id="_default")

    def joined(self, parts: Sequence[str]) -> str:
        """Parts that are not empty, with a mark between them."""
        return f" {self.glyphs.bullet} ".join(part for part in parts if part)

    @property
    def ground(self) -> Screen[object]:
        """The screen with the views, whatever lies over it."""
        return self.screen_stack[0]

    def view(self, kind: type[Kind]) -> Kind:
        """The view of that kind, made on first need."""
        if kind.label not in self._seen:
            self._seen[kind.label] = kind(self)
        return cast("Kind", self._seen[kind.label])

    def front(self, kind: type[Kind]) -> Kind:
        """The view of that kind, brought to the front."""
        self.action_view(kind.label)
        return self.view(kind)

    def action_view(self, label: str) -> None:
        """Bring a view to the front; one that nobody has seen yet is built now."""
        switcher = self.ground.query_one(ContentSwitcher)
        view = self.view(next(kind for kind in self.views if kind.label == label))
        if view.parent is None:
            switcher.mount(view)
        switcher.current = view.id
        self._bar.choose(label)
        view.appear()

    def action_keys(self) -> None:
        """Show every key that works here, and what it does."""
        text = keys_text(self.screen, self.size.width - _PAGE_MARGIN)
        self.push_screen(TextSheet("Keys", text, ""))

    def set_banner(self, reason: str) -> None:
        """Say why there is no connection; hide the banner without a *reason*."""
        self._banner.reason = reason

    async def take_settings(self) -> None:
        """Read the settings again; the next request opens a desk with them."""
        if self._given is None:
            self.settings = load_settings(self.source.config)
        await self.background.reopen()
        self.set_banner("")


class PanelPage(Widget):
    """What views and sheets share; a page does one piece of work at a time, in the background."""

    _words: tuple[object, ...] = ()
    """The equivalent command, after `tomic`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs = 0
        self._age = ""
        """Of what is shown, where that comes from the store."""
        self._counts: dict[str, Event] = {}
        self._status, self._line = StatusLine(), CommandLine()

    def body(self) -> ComposeResult:
        """What the page shows."""
        yield from ()

    def command(self) -> str:
        """The equivalent command; empty where there is none."""
        return self.panel.source.command(*self._words) if self._words else ""

    @property
    def panel(self) -> Panel:
        """The application."""
        return cast("Panel", self.app)

    def compose(self) -> ComposeResult:
        """Body, status and command."""
        yield from self.body()
        yield self._status
        yield self._line

    def on_mount(self) -> None:
        """Show the command."""
        self.show_command()

    def show_command(self) -> None:
        """Bring the equivalent command up to date."""
        self._line.command = self.command()

    def show_status(self, text: str, *, failed: bool = False) -> None:
        """Show one line of status."""
        self._status.show(text, failed=failed)

    def mark_age(self, at: dt.datetime | None, *, stored: bool) -> None:
        """Say with every status how old what is shown is, where it comes from the store."""
        self._age = stored_text(at, self.panel.now) if stored and at is not None else ""

    def follow(self, event: Event) -> None:
        """Called on the desk's thread with every step of the work."""

    def request(
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
        self.show_status(self.panel.joined([self._age, what]))
        job = self._ask(self._runs, ask, show, online)
        return self.run_worker(job, name=what, group=self.id or "page", exclusive=True)

    def recall(
        self,
        ask: Callable[[Desk], Awaitable[T | None]],
        show: Callable[[T], None],
        then: Callable[[], Any],
    ) -> None:
        """
        Show what is stored, which takes no gateway, before *then* asks for what is so now.

        Where nothing is stored, or it cannot be read, *then* says what there is to say.
        """

        async def stored(desk: Desk) -> T | None:
            try:
                return await ask(desk)
            except TomicError:
                return None

        def shown(result: T | None) -> None:
            if result is not None:
                show(result)
            then()

        self.request("looking for what is stored", stored, shown, online=False)

    def aside(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what the page can be read without, and which says nothing when it fails."""

        async def quietly() -> None:
            with contextlib.suppress(TomicError):
                await work()

        self.run_worker(quietly(), group=f"{self.id} aside", exclusive=True)

    async def _ask(
        self, run: int, ask: Callable[[Desk], Awaitable[T]], show: Callable[[T], None], online: bool
    ) -> None:
        try:
            result = await self.panel.background.run(ask, watch=self.follow, online=online)
        except TomicError as exc:
            self.show_status(self.panel.joined([self._age, str(exc)]), failed=True)
            if isinstance(exc, SessionError):
                self.panel.set_banner(str(exc))
        except asyncio.CancelledError:
            if run == self._runs and self.is_mounted:
                self.show_status(self.panel.joined([self._age, "cancelled"]))
            raise
        else:
            # The page may have been left meanwhile.
            if self.is_attached:
                if online:
                    self.panel.set_banner("")
                self.show_status("")
                show(result)


class View(Vertical, Blank, PanelPage):
    """One of the pages behind the numbers."""

    label: ClassVar[str] = ""
    table: Grid[Any]
    """What has the focus when the view appears."""
    waits_for_input: ClassVar[bool] = False
    """Whether it loads when what to load was typed, rather than when it is first seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "load", "Load"),
        Binding("escape", "cancel", "Cancel"),
    ]

    class Progress(Message):
        """The work of a view went some steps further."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(id=self.label.lower())
        self._panel = panel
        self.appeared = False
        self._events: deque[Event] = deque(maxlen=_STEPS)
        self._is_told = False

    @property
    def panel(self) -> Panel:
        """The application; known before the view is part of it."""
        return self._panel

    def on_mount(self) -> None:
        """Take the focus, which nothing could have before."""
        if self.display:
            self.focus_body()

    def action_load(self) -> None:
        """Fetch what the view shows."""

    def appear(self) -> None:
        """Take the focus; load when seen for the first time, after it was drawn."""
        if self.is_mounted:
            self.focus_body()
        self.show_command()
        if not self.appeared:
            self.appeared = True
            self.panel.call_after_refresh(self.first_look)

    def first_look(self) -> None:
        """Show what is stored and, unless what to load is to be typed, load."""
        if self.waits_for_input:
            self.show_status(f"r loads: {self.command()}")
        else:
            self.action_load()

    def focus_body(self) -> None:
        """Give the focus to what is looked at."""
        # At once, not in a moment: the table would be drawn without the focus first.
        self.screen.set_focus(self.table, scroll_visible=False)

    def action_filter(self) -> None:
        """Go to the first line to type in."""
        self.query(LineInput).first().focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to what the line is about, and load what it names."""
        event.stop()
        self.focus_body()
        if self.waits_for_input:
            self.action_load()

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

    def show_lost(self, errors: Iterable[TomicError | None]) -> None:
        """Show the banner when one of the errors in a result is a lost connection."""
        lost = next((error for error in errors if isinstance(error, SessionError)), None)
        if lost is not None:
            self.panel.set_banner(str(lost))

    def follow(self, event: Event) -> None:
        """Pass steps on to the panel's own thread, those of a tenth of a second at once."""
        self._events.append(event)
        if not self._is_told:
            self._is_told = True
            self.post_message(self.Progress())

    def on_view_progress(self, message: View.Progress) -> None:
        """Say how far the work is."""
        message.stop()
        self._hear()

    def _hear(self) -> None:
        if not self._events:
            self._is_told = False
            return
        event = self._events[-1]
        while self._events:
            event = self._events.popleft()
            if event.kind == "count":
                self._counts[event.symbol] = event
        if self.working:
            self.show_status(self._step(event))
        self.set_timer(_HEAR_EVERY_S, self._hear)

    def _step(self, event: Event) -> str:
        where = f"{event.symbol}: " if event.symbol else ""
        if event.kind == "count":
            return self._how_far(event)
        if event.kind == "note":
            return f"note: {event.text}"
        return f"{where}spot {event.text}" if event.kind == "spot" else f"{where}{event.text}"

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
        Binding("question_mark", "app.keys", "Keys", key_display="?"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        """Title above, keys below what every page has."""
        yield Label(self._title, markup=False, classes="title")
        yield from PanelPage.compose(self)
        yield KeyLine()

    def action_leave(self) -> None:
        """Go back to the view."""
        self.dismiss(None)


def folded(text: str, width: int) -> str:
    """*text* with its sentences folded at *width*; tables, which begin with #, stay as they are."""
    lines, in_table = [], False
    for line in text.splitlines():
        in_table = bool(line) and (in_table or line.startswith("#"))
        folds = not in_table and len(line) > width
        indent = " " * (len(line) - len(line.lstrip()) + 3)
        lines += textwrap.wrap(line, width, subsequent_indent=indent) if folds else [line]
    return "\n".join(lines)


class TextSheet(Sheet):
    """
    Text that can be scrolled.

    Args:
        title: What it is about.
        text: The page.
        command: The equivalent command.
        wide: Whether lines that are too long are scrolled sideways rather than folded.
    """

    def __init__(self, title: str, text: Text | str, command: str, *, wide: bool = False) -> None:
        super().__init__(title)
        self._text, self._command, self._is_wide = text, command, wide

    def body(self) -> ComposeResult:
        """The page, in letters that the terminal has."""
        text = self._text
        with VerticalScroll(id="page", classes="wide" if self._is_wide else ""):
            yield Static(
                self.panel.glyphs.shown(text) if isinstance(text, str) else text, markup=False
            )

    def command(self) -> str:
        """The equivalent command."""
        return self._command

    def on_mount(self) -> None:
        """The arrow keys scroll."""
        self.query_one("#page").focus()


def keys_text(screen: Screen[Any], width: int) -> Text:
    """Every key that works on *screen*, and what it does in the words of its action."""
    app, text = cast("Panel", screen.app), Text()
    views = {view.label: view for view in app.views}
    for node, binding in keys_of(screen):
        name = binding.action.partition("(")[0].rpartition(".")[2]
        does = views.get(binding.description) or getattr(node, f"action_{name}", None)
        # Textual's own keys, such as tab, do here what they do everywhere.
        if does is None or not does.__module__.startswith("tomic."):
            continue
        said = (inspect.getdoc(does) or "").partition("\n")[0]
        text.append(f"{app.get_key_display(binding):>{_KEY}}  ", "bold")
        text.append(f"{binding.description:<{_WORD}} ")
        start = _KEY + _WORD + 3
        lines = textwrap.wrap(said, max(width - start, _LEAST)) or [""]
        text.append(f"\n{'':{start}}".join(lines) + "\n", "dim")
    return text


def stored_text(at: dt.datetime, now: dt.datetime | None) -> str:
    """That something is stored, since when and, where *now* is known, how old it is."""
    text = f"stored {at:%Y-%m-%d %H:%M} UTC"
    if now is None:
        return text
    minutes = round((now - at).total_seconds() / 60.0)
    for limit, unit, size in ((120, "min", 1), (48 * 60, "h", 60)):
        if minutes < limit:
            return f"{text}, {minutes // size} {unit} old"
    return f"{text}, {minutes // (24 * 60)} days old"
