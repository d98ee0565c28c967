"""The views over the demo market: what a person does with them, from key to screen."""

from __future__ import annotations

import pytest

import panel_figures as figures
from panel_screens import text, until
from tomic.errors import UsageError
from tomic.panel.app import PanelApp, Source
from tomic.panel.chain import ChainView, window_of
from tomic.panel.entry import Entry
from tomic.panel.grid import Grid

SMALL = (80, 24)


def rows(panel, name):
    return panel.ground.query_one(f"#{name}", Grid).rows_shown


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
        panel.ground.query_one("#dte", Entry).value = "50:"
        await until(pilot, lambda: {row.dte for row in rows(panel, "options")} == {56})

        assert "--dte 50" in text(pilot)


async def test_a_trade_is_added_noted_and_closed(make_panel):
    """A campaign from its first key to its last, at prices that were typed."""
    panel = make_panel()
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "no open trades" in text(pilot), what="an empty journal")
        journal = panel.ground.query_one("#journal")
        journal._add("SPY -1 575P +1 565P 2026-12-18", "1.95", "1", "")
        await until(pilot, lambda: "entry 1 is open" in text(pilot), what="an entry")
        journal._note(1, "as planned")
        await until(pilot, lambda: "noted with entry 1" in text(pilot), what="a note")
        journal._close(1, "-0.60", "", "")
        await until(pilot, lambda: "entry 1 is closed" in text(pilot), what="the end")

        assert rows(panel, "entries") == []


async def test_a_setting_is_changed_in_its_file(tmp_path, monkeypatch):
    """As `tomic config set` does: comments stay, and the panel works with the new value."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tomic.toml"
    file.write_text("# mine\n[market]\nrate = 0.03  # of May\nsymbols = ['SPY']\n", "utf-8")
    panel = PanelApp(Source(demo=True, config=file))
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: len(rows(panel, "settings-table")) > 100)
        settings = panel.ground.query_one("#settings")
        settings._set("market.rate", "0.05")
        await until(pilot, lambda: panel.settings.market.rate == 0.05)
        settings._set("market.rate", "much")
        await until(pilot, lambda: "market" in text(pilot))

    assert "# mine" in file.read_text("utf-8")
    assert "rate = 0.05  # of May" in file.read_text("utf-8")


async def test_the_quality_of_a_file_is_shown(make_panel, tmp_path):
    """A file that is there is judged; one that is not is a line, not an end."""
    file = tmp_path / "chain.csv"
    file.write_text("Expiry,Type,Strike,Bid,Ask\n2026-12-18,C,590,1,2\n", "utf-8")
    panel = make_panel()
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("6")
        data = panel.ground.query_one("#data")
        data._judge((str(file),))
        await until(pilot, lambda: "chain.csv: quality" in text(pilot))
        data._judge((str(tmp_path / "none.csv"),))
        await until(pilot, lambda: "none.csv" in text(pilot))
