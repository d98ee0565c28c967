"""The panel as a whole: views by key, quitting, a lost connection, keys during work."""

from __future__ import annotations

import threading

import pytest

from support.panel_screens import lines, text, until
from tomic.panel.app import VIEWS, PanelSource

SMALL = (80, 24)


def desk_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "tomic desk"]


async def test_every_view_opens_by_its_number(make_panel):
    """Each number brings a view to the front, with its command on the line above the keys."""
    async with make_panel().run_test(size=SMALL) as pilot:
        for number, one in enumerate(VIEWS, start=1):
            await pilot.press(str(number))
            await until(pilot, lambda one=one: pilot.app.query_one(one).display)

            shown = lines(pilot)
            assert one.label in shown[0]
            assert shown[-2].startswith(" = tomic ")
            assert "q Quit" in shown[-1]


async def test_quitting_leaves_no_thread(make_panel):
    """After q the application has ended, and with it the desk's thread."""
    panel = make_panel(market=True)
    async with panel.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: "590" in text(pilot), what="the market is measured")

        await pilot.press("q")
        await until(pilot, lambda: panel._exit, what="left")

    assert desk_threads() == []


@pytest.mark.parametrize(
    "number",
    [1, len(VIEWS), *(pytest.param(one, marks=pytest.mark.soak) for one in range(2, len(VIEWS)))],
)
async def test_quitting_works_from_every_view_at_once(make_panel, number):
    """q pressed right after a view was opened leaves as well."""
    panel = make_panel(market=True)
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press(str(number), "q")
        await until(pilot, lambda: panel._exit, what="left")

    assert desk_threads() == []


async def test_demo_is_named_on_the_screen_and_in_the_commands(make_panel):
    """Nobody takes the demo for the market."""
    async with make_panel(source=PanelSource(demo=True)).run_test(size=SMALL) as pilot:
        await until(pilot, lambda: lines(pilot)[0].rstrip().endswith("demo"))

        assert "--demo" in lines(pilot)[-2]
