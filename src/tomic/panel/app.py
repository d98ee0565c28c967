"""The application: views by key, one desk for all of them, and a clean way out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer

from tomic.config import Settings, load_settings
from tomic.desk import Desk
from tomic.files.reading import parse_file_name
from tomic.panel.background import Background
from tomic.panel.source import Source
from tomic.panel.views.chain import ChainView
from tomic.panel.views.data import DataView, HistorySheet
from tomic.panel.views.journal import JournalView
from tomic.panel.views.market import MarketView
from tomic.panel.views.portfolio import PortfolioView
from tomic.panel.views.scan import ScanView
from tomic.panel.views.settings import SettingsView
from tomic.panel.views.view import View
from tomic.panel.widgets.glyphs import Glyphs, glyphs_here
from tomic.panel.widgets.lines import Banner, ViewBar, ViewName
from tomic.workflows.progress import Watcher

VIEWS: tuple[type[View], ...] = (
    MarketView,
    ChainView,
    ScanView,
    PortfolioView,
    JournalView,
    DataView,
    SettingsView,
)

_LOOK_EVERY_S = 1.0

Kind = TypeVar("Kind", bound=View)


class PanelApp(App[None]):
    """
    The control panel.

    Args:
        source: Demo, recording or the gateway of the settings, and the configuration file.
        settings: Settings instead of those of the configuration file.
        glyphs: Signs to draw with; by default those that the terminal can show.
    """

    TITLE = "TOMIC"
    CSS_PATH = Path(__file__).with_name("panel.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"view('{view.label}')", view.label, show=False)
            for number, view in enumerate(VIEWS, start=1)
        ),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(
        self,
        source: Source | None = None,
        *,
        settings: Settings | None = None,
        glyphs: Glyphs | None = None,
    ) -> None:
        super().__init__()
        self.source = source or Source()
        self.settings = settings or load_settings(self.source.config)
        self._given = settings
        self.glyphs = glyphs or glyphs_here()
        self.background = Background(self._open_desk)
        self._leaving = False
        self._bar, self._banner = ViewBar([view.label for view in VIEWS]), Banner()

    def _open_desk(self, watch: Watcher) -> Desk:
        return Desk(
            self.settings,
            demo=self.source.demo,
            replay=self.source.replay,
            paced=self.source.paced,
            watch=watch,
        )

    def compose(self) -> ComposeResult:
        """All views, one of them visible."""
        yield self._bar
        yield self._banner
        with ContentSwitcher(initial=VIEWS[0].label.lower()):
            for view in VIEWS:
                yield view()
        yield Footer()

    def on_mount(self) -> None:
        """Show the first view and look after the connection."""
        self.set_class(not self.glyphs.braille, "ascii")
        self._bar.say(self.source.name or "not connected")
        self.set_interval(_LOOK_EVERY_S, self._look)
        self.call_after_refresh(self._first_view)

    def _first_view(self) -> None:
        # A key may have been quicker.
        if self._bar.chosen is None:
            self.action_view(VIEWS[0].label)

    # -- what views need -------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols to look at by default: those of the settings, or that of the recording."""
        if self.source.replay is not None:
            symbol = parse_file_name(self.source.replay.name).symbol
            return (symbol,) if symbol else ()
        return tuple(self.settings.market.symbols)

    def typed(self, *words: object) -> str:
        """The command that gives the same from the same source."""
        return self.source.command(*words)

    def joined(self, parts: Sequence[str]) -> str:
        """Parts that are not empty, with a mark between them."""
        return f" {self.glyphs.bullet} ".join(part for part in parts if part)

    @property
    def ground(self) -> Screen[object]:
        """The screen with the views, whatever lies over it."""
        return self.screen_stack[0]

    def view(self, kind: type[Kind]) -> Kind:
        """The view of that kind."""
        return self.ground.query_one(kind)

    def lost(self, reason: str) -> None:
        """Show the banner."""
        self._banner.reason = reason

    def found(self) -> None:
        """Hide the banner."""
        self._banner.reason = ""

    def open_chain(self, symbol: str) -> None:
        """Show the chain of a symbol."""
        self.action_view(ChainView.label)
        self.view(ChainView).open(symbol)

    def open_history(self, symbol: str) -> None:
        """Show the stored days of a symbol."""
        self.push_screen(HistorySheet(symbol))

    def open_entry(self, proposal_id: str) -> None:
        """Ask for what a journal entry of a proposal needs."""
        self.action_view(JournalView.label)
        self.view(JournalView).add(proposal_id)

    async def take_settings(self) -> None:
        """Read the settings again; the next request opens a desk with them."""
        if self._given is None:
            self.settings = load_settings(self.source.config)
        await self.background.reopen()
        self.found()

    # -- actions ---------------------------------------------------------------------------

    def action_view(self, label: str) -> None:
        """Bring a view to the front."""
        self.ground.query_one(ContentSwitcher).current = label.lower()
        self._bar.choose(label)
        self.ground.query_one(f"#{label.lower()}", View).appear()

    def on_view_name_clicked(self, message: ViewName.Clicked) -> None:
        """Bring the clicked view to the front."""
        self.action_view(message.view)

    async def action_quit(self) -> None:
        """Close the session with all its lines, then leave."""
        if not self._leaving:
            self._leaving = True
            self._bar.say("closing")
            self.run_worker(self._leave(), group="leaving")

    async def _leave(self) -> None:
        await self.background.close()
        self.exit()

    async def on_unmount(self) -> None:
        """However the panel ends, the session does not outlive it."""
        self._leaving = True
        await self.background.close()

    # -- connection ------------------------------------------------------------------------

    def _look(self) -> None:
        if not self._leaving:
            self.run_worker(self._watch_connection(), group="connection", exclusive=True)

    async def _watch_connection(self) -> None:
        state = await self.background.connection()
        bar = self._bar
        if not state.opened:
            bar.say(self.source.name or "not connected")
        elif state.alive:
            bar.say(self.source.name or f"id {state.client_id}")
            self.found()
        else:
            bar.say("lost")
            self.lost("the gateway went away")


if TYPE_CHECKING:
    from tomic.panel.views.view import Panel

    # The application is what pages take it for.
    _: Panel = PanelApp()


def run(source: Source, *, settings: Settings | None = None, glyphs: Glyphs | None = None) -> int:
    """Run the panel until the user leaves it; 0, or 1 when it broke."""
    panel = PanelApp(source, settings=settings, glyphs=glyphs)
    stream = sys.__stderr__
    if isinstance(stream, TextIOWrapper):
        # What others write may hold letters that this terminal does not have.
        stream.reconfigure(errors="replace")
    panel.run()
    asyncio.run(panel.background.close())
    return panel.return_code or 0


__all__ = ["VIEWS", "PanelApp", "Source", "run"]
