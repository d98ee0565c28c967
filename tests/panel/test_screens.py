"""Each view reads as it did when somebody last looked at it; TOMIC_UPDATE_SNAPSHOTS=1 rewrites."""

from __future__ import annotations

from textual.filter import LineFilter

from support import panel_figures as figures
from support.panel_screens import check_screen, settle, text
from tomic.panel.app import PanelApp, PanelSource
from tomic.panel.views.chain import ChainView
from tomic.panel.views.data import DataView
from tomic.panel.views.history import HistorySheet
from tomic.panel.views.journal import JournalView, report_text
from tomic.panel.views.market import MarketView
from tomic.panel.views.portfolio import PortfolioView
from tomic.panel.views.scan import ProposalSheet, ScanView
from tomic.panel.views.settings import SettingsView
from tomic.panel.views.view import TextSheet
from tomic.panel.widgets.plot import ASCII, UNICODE
from tomic.workflows.portfolio.review import PortfolioReview

SMALL, LARGE = (80, 24), (132, 40)


class Still(PanelApp):
    """A panel that asks nobody anything by itself."""

    def view(self, kind):
        """Every view looks as if it had been loaded before."""
        view = super().view(kind)
        view.appeared = True
        return view

    def get_line_filters(self) -> list[LineFilter]:
        """None: `red` stays `red`, whatever the theme and the terminal would make of it."""
        return []


def market(panel):
    panel.action_view("Market")
    view = panel.view(MarketView)
    view.show(figures.vol_reports())
    view.look_back({"SPY": figures.past_days()})


def chain(panel):
    panel.action_view("Chain")
    panel.view(ChainView).show(figures.chain(), figures.smiles())


def scan(panel):
    panel.action_view("Scan")
    panel.view(ScanView).show(figures.scan_result())


def proposal(panel):
    panel.push_screen(ProposalSheet(figures.proposal(), figures.scan_result()))


def portfolio(panel):
    panel.action_view("Portfolio")
    review = figures.book_review()
    panel.view(PortfolioView).show(PortfolioReview(book=None, review=review))


def journal(panel):
    panel.action_view("Journal")
    panel.view(JournalView).show(figures.entry_rows())


def statistics(panel):
    text = report_text(figures.journal_report(), panel.glyphs)
    panel.push_screen(TextSheet("Statistics", text, "tomic journal stats"))


def data(panel):
    panel.action_view("Data")
    panel.view(DataView).show(*figures.stored())


def settings(panel):
    panel.action_view("Settings")
    panel.view(SettingsView).show(figures.settings_rows())


def history(panel):
    panel.push_screen(HistorySheet("SPY", figures.past_days()))


def lost(panel):
    market(panel)
    panel.set_banner("no gateway at 127.0.0.1:7497; start TWS or IB Gateway")


SCENES = [
    proposal, statistics, history, market, chain, scan, portfolio, journal, data, settings, lost,
]  # fmt: skip
"""Sheets first, over a market that shows nothing yet; the banner of a lost connection stays."""


async def check_screens(scenes, suffix, size, glyphs, settings) -> None:
    """Compare one panel with the kept screens, scene after scene; name all that differ."""
    different = []
    panel = Still(PanelSource(demo=True), settings=settings, glyphs=glyphs)
    async with panel.run_test(size=size) as pilot:
        await settle(pilot)
        for scene in scenes:
            scene(panel)
            try:
                await check_screen(pilot, f"{scene.__name__}_{suffix}")
            except AssertionError as exc:
                different.append(str(exc))
            if len(panel.screen_stack) > 1:
                await pilot.press("escape")
    assert different == []


async def test_small(panel_settings):
    """On 80 columns and 24 rows."""
    await check_screens(SCENES, "small", SMALL, UNICODE, panel_settings)


async def test_large(panel_settings):
    """With room to spare."""
    await check_screens([proposal, chain, portfolio], "large", LARGE, UNICODE, panel_settings)


async def test_plain_letters(panel_settings):
    """On a terminal that has no more than ASCII."""
    await check_screens([proposal, statistics, chain], "ascii", SMALL, ASCII, panel_settings)


async def test_plain_letters_only(panel_settings):
    """Nothing beyond ASCII is drawn in any view when the terminal has no more."""
    foreign = {}
    panel = Still(PanelSource(demo=True), settings=panel_settings, glyphs=ASCII)
    async with panel.run_test(size=SMALL) as pilot:
        await settle(pilot)
        for scene in SCENES:
            scene(panel)
            await settle(pilot)
            foreign[scene.__name__] = [letter for letter in text(pilot) if ord(letter) > 126]
            if len(panel.screen_stack) > 1:
                await pilot.press("escape")

    assert {name: letters for name, letters in foreign.items() if letters} == {}
