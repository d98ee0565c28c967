"""The views over the demo market: what a person does with them, from key to screen."""

from __future__ import annotations

import pytest

from support import panel_figures as figures
from support.made_proposals import bare, whole
from support.panel_screens import text, until
from tomic.errors import UsageError
from tomic.models import SymbolOutcome
from tomic.panel.views.chain import ChainView, window_of
from tomic.panel.views.scan import ProposalSheet, ScanView, figures as figures_of
from tomic.panel.widgets.grid import Grid
from tomic.panel.widgets.lines import LineInput

SMALL = (80, 24)


def rows(panel, name):
    return panel.ground.query_one(f"#{name}", Grid).rows_shown


def test_a_proposal_shows_what_it_has():
    """Exits, view, size and events stand among its figures where they are known, and only there."""
    names = {"P(target)%", "EV managed", "your view", "how many", "event"}

    assert names <= {name for name, _ in figures_of(whole(), "+-")}
    assert not names & {name for name, _ in figures_of(bare(), "+-")}


def test_filters_keep_what_they_say():
    """Days and deltas are bounds; an option without a delta may be inside and stays."""
    kept = window_of("spy", "30:", "-0.4:0.5").keep(figures.chain())

    assert set(kept["dte"]) == {56}
    assert kept["delta"].min() >= -0.4
    assert kept["delta"].max() <= 0.5
    assert window_of("spy", "15:60", "-0.4:").words == (
        "SPY", "--dte", "15:60", "--delta", "-0.4:1",
    )  # fmt: skip


@pytest.mark.parametrize(("dte", "delta"), [("soon", ""), ("", "high:low")])
def test_filters_that_cannot_be_read_are_refused(dte, delta):
    """The message says how to write them."""
    with pytest.raises(UsageError, match="write"):
        window_of("SPY", dte, delta)


async def test_typing_a_filter_narrows_the_chain(make_panel):
    """While the chain is there, nothing is fetched for it; the command follows."""
    panel = make_panel()
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        panel.view(ChainView).show(figures.chain(), figures.smiles())
        panel.ground.query_one("#dte", LineInput).value = "50:"
        await until(pilot, lambda: {row.dte for row in rows(panel, "options")} == {56})

        assert "--dte 50" in text(pilot)


async def test_a_partial_scan_says_so_first(make_panel):
    """The symbols that are missing or cut short stand before what was counted."""
    result = figures.scan_result()
    cut = SymbolOutcome(symbol="QQQ", cut="9 of 90 options missing: lost")
    result = result.model_copy(update={"outcomes": (*result.outcomes, cut)})
    panel = make_panel()
    async with panel.run_test(size=(120, 24)) as pilot:
        await pilot.press("3")
        panel.view(ScanView).show(result)
        await pilot.pause()

        expected = "partial: failed ASML; cut short QQQ (9 of 90 options missing: lost)"
        assert expected in text(pilot)


async def test_what_is_not_kept_cannot_be_entered(make_panel):
    """A proposal without a number, as of a recording, has no command and no way to the journal."""
    one = figures.proposal(id="")
    panel = make_panel()
    async with panel.run_test(size=(120, 40)) as pilot:
        sheet = ProposalSheet(one, figures.scan_result())
        panel.push_screen(sheet)
        await pilot.pause()
        await pilot.press("j")
        await pilot.pause()

        assert sheet.command() == ""
        assert "not kept" in text(pilot)
