"""The application: views by key, one desk for all of them, and a clean way out."""

from __future__ import annotations

import asyncio
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomic.config import Settings
from tomic.panel.background import prompt
from tomic.panel.source import PanelSource
from tomic.panel.views.chain import ChainView
from tomic.panel.views.data import DataView
from tomic.panel.views.journal import JournalView
from tomic.panel.views.market import MarketView
from tomic.panel.views.portfolio import PortfolioView
from tomic.panel.views.scan import ScanView
from tomic.panel.views.settings import SettingsView
from tomic.panel.views.view import Panel, View
from tomic.panel.widgets.lines import KeyLine
from tomic.panel.widgets.plot import Glyphs
from tomic.panel.widgets.quick import Stage

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


class PanelApp(Panel):
    """The control panel."""

    TITLE = "TOMIC"
    CSS_PATH = Path(__file__).with_name("panel.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"view('{view.label}')", view.label, show=False)
            for number, view in enumerate(VIEWS, start=1)
        ),
        Binding("question_mark", "keys", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    views = VIEWS
    _leaving = False

    def compose(self) -> ComposeResult:
        """What stands around the views; each of them is built when it is first looked at."""
        yield self._bar
        yield self._banner
        yield Stage()
        yield KeyLine()

    def on_mount(self) -> None:
        """Show the first view and look after the connection."""
        self.set_class(not self.glyphs.braille, "ascii")
        self._bar.show_link(self.source.name or "not connected")
        self.set_interval(_LOOK_EVERY_S, self._look)
        self.action_view(VIEWS[0].label)

    # -- actions ---------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Close the session with all its lines, then leave."""
        if not self._leaving:
            self._leaving = True
            self._bar.show_link("closing")
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
            bar.show_link(self.source.name or "not connected")
        elif state.alive:
            bar.show_link(self.source.name or f"id {state.client_id}")
            self.set_banner("")
        else:
            bar.show_link("lost")
            self.set_banner("the gateway went away")


def run(
    source: PanelSource, *, settings: Settings | None = None, glyphs: Glyphs | None = None
) -> int:
    """Run the panel until the user leaves it; 0, or 1 when it broke."""
    panel = PanelApp(source, settings=settings, glyphs=glyphs)
    stream = sys.__stderr__
    if isinstance(stream, TextIOWrapper):
        # What others write may hold letters that this terminal does not have.
        stream.reconfigure(errors="replace")
    with prompt():
        panel.run()
    asyncio.run(panel.background.close())
    return panel.return_code or 0


__all__ = ["VIEWS", "PanelApp", "PanelSource", "run"]
