"""A panel over the demo market, on a small screen, with every file in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import settings_in
from tomic.config import Settings
from tomic.panel.app import PanelApp, PanelSource
from tomic.panel.views.market import MarketView
from tomic.panel.widgets.plot import UNICODE, Glyphs

SMALL = (80, 24)
"""Columns and rows of the smallest terminal that everything must work on."""

MakePanel = Callable[..., PanelApp]


@pytest.fixture
def panel_settings(tmp_path: Path) -> Settings:
    """Two default symbols, and few options of each, for scans too."""
    chain = {"monthlies": 1, "weeklies": 1, "strike_range": "4"}
    return settings_in(
        tmp_path, chain=chain, scan={"method": "thinned"}, market={"symbols": ("SPY", "QQQ")}
    )


@pytest.fixture
def make_panel(panel_settings, tmp_path, monkeypatch) -> MakePanel:
    """A panel with those settings, in an empty folder; *market* says whether it measures first."""
    monkeypatch.chdir(tmp_path)

    def make(
        *,
        source: PanelSource | None = None,
        settings: Settings | None = None,
        glyphs: Glyphs = UNICODE,
        market: bool = False,
    ) -> PanelApp:
        panel = PanelApp(
            source or PanelSource(demo=True), settings=settings or panel_settings, glyphs=glyphs
        )
        return panel if market else without_market(panel)

    return make


def without_market(panel: PanelApp) -> PanelApp:
    """The same panel, whose first view measures nothing: it looks as if it had done so before."""
    panel.view(MarketView).appeared = True
    return panel
