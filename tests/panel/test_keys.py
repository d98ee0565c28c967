"""What a person does with the views by keys alone: every dialog, sheet and change."""

from __future__ import annotations

from conftest import settings_in
from support import panel_figures as figures
from support.panel_screens import free_port, settle, text, until
from tomic.panel.app import PanelApp, PanelSource
from tomic.panel.views.scan import ScanView
from tomic.panel.widgets.grid import Grid
from tomic.panel.widgets.lines import Ask, Banner
from tomic.workflows.portfolio.files import snapshot_path

SCREEN = (110, 26)
TRADE = "SPY -1 575P +1 565P 2026-12-18"


def rows(panel, name):
    return panel.ground.query_one(f"#{name}", Grid).rows_shown


async def reaches(pilot, key, words):
    """Press *key* and wait until the screen says *words*."""
    await pilot.press(key)
    await until(pilot, lambda: words in text(pilot), what=f"{words!r} after {key}")


async def answer(pilot, key, *answers):
    """Open the dialog of *key* and answer its questions, each with the enter key."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, Ask), what=f"a dialog after {key}")
    for one in answers:
        pilot.app.focused.value = one
        await pilot.press("enter")
    await settle(pilot)


async def test_a_campaign_from_its_first_key_to_its_last(make_panel):
    """Added, read, noted, marked, counted and closed, at prices that were typed."""
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await reaches(pilot, "5", "no open trades")
        await pilot.press("c", "n")
        assert not isinstance(panel.screen, Ask)  # there is nothing to close or to note

        await answer(pilot, "a", TRADE, "1.95", "some", "")
        assert "write a whole number" in text(pilot)
        await answer(pilot, "a", TRADE, "1.95", "2", "income")
        await until(pilot, lambda: "entry 1 is open" in text(pilot), what="an entry")
        assert "--price 1.95 --quantity 2 --plan income" in text(pilot)

        await reaches(pilot, "enter", "Journal entry 1")
        assert "income" in text(pilot)
        await pilot.press("escape")
        await answer(pilot, "n", "as planned")
        await until(pilot, lambda: "noted with entry 1" in text(pilot), what="a note")
        await reaches(pilot, "m", "1 marked")
        await reaches(pilot, "r", "1 open")
        await reaches(pilot, "t", "Statistics")
        await pilot.press("escape")

        await answer(pilot, "c", "", "half", "")
        assert "structures 'half': write a whole number" in text(pilot)
        await answer(pilot, "c", "-0.60", "2", "done")
        await until(pilot, lambda: "entry 1 is closed" in text(pilot), what="the end")
        assert rows(panel, "entries") == []

        await reaches(pilot, "t", "Statistics")
        await pilot.press("escape")
        await pilot.press("i", "escape")
        await answer(pilot, "i", "")
        await until(pilot, lambda: "changed" in text(pilot), what="the executions of TWS")


async def test_a_book_and_what_a_trade_would_change(make_panel):
    """Strategies open, the grid turns by day and symbol, alerts are read, a trade is put beside."""
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await reaches(pilot, "4", " strategies")
        await reaches(pilot, "enter", "grouped by")
        await pilot.press("escape", "d", "y")
        await reaches(pilot, "i", "What if: ")
        await pilot.press("left", "left", "plus", "w")
        await until(
            pilot,
            lambda: "--move=-2% --vol=+5% --days=7" in text(pilot).replace("\n", " "),
            what="the sliders' command",
        )
        assert "-2.00% to" in text(pilot)
        await pilot.press("0", "escape")
        await reaches(pilot, "n", "beside holding")
        assert "tomic manage" in text(pilot)
        await pilot.press("escape")
        await reaches(pilot, "a", "Alerts")
        await pilot.press("escape")
        await reaches(pilot, "l", "portfolio --last")
        await until(pilot, lambda: " strategies" in text(pilot), what="the saved book")

        await pilot.press("w", "escape")
        await answer(pilot, "w", TRADE)
        await until(pilot, lambda: f"With {TRADE}" in text(pilot), what="the book with a trade")


async def test_a_ranking_and_one_of_its_trades(make_panel):
    """A proposal opens, is quoted anew and goes to the journal; refusals and rules are named."""
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await pilot.press("3", "slash")
        for one in ("3", "spy", "short-put-spread"):
            panel.focused.value = one
            await pilot.press("tab")
        panel.ground.query_one("#top").focus()
        await reaches(pilot, "enter", "considered")
        assert "scan SPY --top 3 --strategy short-put-spread" in text(pilot)
        best = rows(panel, "ranking")[0]

        await reaches(pilot, "x", "Refused")
        await pilot.press("escape")
        await reaches(pilot, "enter", "CVaR95")
        await pilot.press("u")
        await until(
            pilot, lambda: any(one in text(pilot) for one in ("then,", "refused now")), what="now"
        )
        await pilot.press("j")
        await until(pilot, lambda: isinstance(panel.screen, Ask), what="the journal's dialog")
        assert panel.focused.value == best.id
        await pilot.press("escape", "3", "w", "escape")
        await answer(pilot, "w", "SPY", best.trade)
        await until(
            pilot, lambda: any(one in text(pilot) for one in ("accepted", "refused")), what="a rule"
        )
        await pilot.press("escape", "slash")
        panel.focused.value = "0"
        assert "--top" not in panel.view(ScanView).command()


async def test_every_key_is_said(make_panel):
    """The question mark lists the keys of the view, of its table and of the panel."""
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await reaches(pilot, "question_mark", "Ask the gateway, and what is stored.")
        said = text(pilot)

        assert "Sort by the next column" in said
        assert "What is held" in said
        assert "Focus" not in said


async def test_what_is_stored_comes_first(make_panel, panel_settings, tmp_path):
    """Where nobody answers, chain and book of another day are there, with their age."""
    async with make_panel().run_test(size=SCREEN) as pilot:
        await reaches(pilot, "2", "r loads")
        await reaches(pilot, "r", "complete")
        await reaches(pilot, "4", " strategies")

    # The demo's files as if they were real, and a port where no gateway listens.
    store = {"path": panel_settings.store.demo_path}
    book = {"snapshot": snapshot_path(panel_settings, simulated=True)}
    settings = settings_in(tmp_path, store=store, portfolio=book, ib={"port": free_port()})
    panel = make_panel(source=PanelSource(), settings=settings, market=True)
    async with panel.run_test(size=SCREEN) as pilot:
        await until(pilot, lambda: panel.query_one(Banner).display, what="the banner")
        await reaches(pilot, "4", "stored 2026-11-20 20:00 UTC")
        await until(pilot, lambda: bool(rows(panel, "structures")), what="the book")
        await reaches(pilot, "2", "stored 2026-11-20 20:00 UTC")
        assert {row.symbol for row in rows(panel, "volatility")} >= {"SPY"}
        assert rows(panel, "options")
        assert panel.first_symbol == panel.held[0]


async def test_a_proposal_whose_chain_is_gone(make_panel):
    """It cannot be quoted anew, and says what to do."""
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await pilot.press("3")
        panel.view(ScanView).show(figures.scan_result())
        await reaches(pilot, "enter", "CVaR95")
        await reaches(pilot, "u", "scan it again")


async def test_a_setting_is_changed_in_its_file(tmp_path, monkeypatch):
    """As `tomic config set` does: comments stay, and the panel works with the new value."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tomic.toml"
    file.write_text("# mine\n[market]\nparity_rate = 0.03  # of May\nsymbols = ['SPY']\n", "utf-8")
    panel = PanelApp(PanelSource(demo=True, config=file))
    async with panel.run_test(size=SCREEN) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: len(rows(panel, "settings-table")) > 100)
        await pilot.press("slash")
        panel.focused.value = "market.parity_rate"
        await until(pilot, lambda: len(rows(panel, "settings-table")) == 1)
        await pilot.press("enter")
        await answer(pilot, "e", "0.05")
        await until(pilot, lambda: panel.settings.market.parity_rate == 0.05)
        await answer(pilot, "enter", "much")
        assert "market.parity_rate" in text(pilot)
        assert panel.settings.market.parity_rate == 0.05
        await reaches(pilot, "t", "option data")
        await until(
            pilot,
            lambda: any(one in text(pilot) for one in ("connection is sound", "to look at")),
            what="the end of the test",
        )

    assert "# mine" in file.read_text("utf-8")
    assert "rate = 0.05  # of May" in file.read_text("utf-8")


async def test_the_store_is_filled_and_looked_at(make_panel, tmp_path):
    """Prices come, their days are shown, the store is sound, a file is judged or is missing."""
    file = tmp_path / "chain.csv"
    file.write_text("Expiry,Type,Strike,Bid,Ask\n2026-12-18,C,590,1,2\n", "utf-8")
    panel = make_panel()
    async with panel.run_test(size=SCREEN) as pilot:
        await reaches(pilot, "6", "tomic store info")
        await reaches(pilot, "p", "days added")
        await reaches(pilot, "k", "the store is sound")
        await reaches(pilot, "h", "stored days")
        await pilot.press("escape")
        await answer(pilot, "f", str(file))
        await until(pilot, lambda: "chain.csv: quality" in text(pilot))
        await answer(pilot, "f", str(tmp_path / "none.csv"))
        await until(pilot, lambda: "none.csv" in text(pilot))

        await reaches(pilot, "1", "IV-HV")
        await pilot.press("t")
        await until(pilot, lambda: "vol" in text(pilot))
        await pilot.press("h")
        await settle(pilot)
        await pilot.press("escape")
