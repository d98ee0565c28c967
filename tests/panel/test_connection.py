"""A gateway that is away, goes away or is slow: a banner, a working keyboard, no line left open."""

from __future__ import annotations

import asyncio
import threading

import pytest

from conftest import settings_in
from support.panel_screens import free_port, lines, text, until
from tomic.panel.app import PanelApp, PanelSource
from tomic.panel.views.chain import ChainView
from tomic.panel.views.data import DataView
from tomic.panel.views.market import MarketView
from tomic.panel.widgets.grid import Grid
from tomic.panel.widgets.lines import Banner
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import DropAfterRows, Silent

SMALL = (80, 24)


def settings_for(folder, port):
    return settings_in(
        folder,
        ib={"port": port, "reconnect_pauses_s": (0.02,), "connect_timeout_s": 60.0},
        chain={"monthlies": 1, "weeklies": 0, "strike_range": "3"},
        market={"symbols": ("SPY",)},
    )


@pytest.fixture
async def tws(market):
    """A gateway as TWS is: outside the panel, without a limit on messages."""
    limits = Limits().unpaced()
    async with Gateway(market, seed=1, profile=Profile.instant(), limits=limits) as running:
        yield running


@pytest.fixture
def panel(tws, tmp_path, monkeypatch) -> PanelApp:
    """A panel whose settings name that gateway, and which asks nothing of it by itself."""
    monkeypatch.chdir(tmp_path)
    panel = PanelApp(PanelSource(), settings=settings_for(tmp_path, tws.port))
    panel.view(MarketView).appeared = True
    return panel


def rows(panel: PanelApp) -> int:
    return len(panel.view(ChainView).query_one("#options", Grid).rows_shown)


async def test_without_a_gateway_the_panel_opens_all_the_same(tmp_path, monkeypatch):
    """The banner says where nobody listens; stored data and settings can be used."""
    monkeypatch.chdir(tmp_path)
    port = free_port()
    panel = PanelApp(PanelSource(), settings=settings_for(tmp_path, port))
    async with panel.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: panel.query_one(Banner).display, what="the banner")

        assert f"127.0.0.1:{port}" in text(pilot)
        await pilot.press("6")
        await until(pilot, lambda: "schema" in text(pilot), what="the store")
        await pilot.press("7")
        await until(pilot, lambda: "ib.host" in text(pilot), what="the settings")


async def test_a_lost_connection_is_a_banner_until_it_is_back(panel, tws):
    """The gateway goes away while nothing runs, and comes back at the next request."""
    async with panel.run_test(size=SMALL) as pilot:
        banner = panel.query_one(Banner)
        await pilot.press("2", "r")
        await until(pilot, lambda: rows(panel) > 0, what="a chain")
        assert not banner.display

        for client in list(tws.clients):
            client.abort()
        await until(pilot, lambda: banner.display, what="the banner")
        assert "lost" in lines(pilot)[0]
        assert rows(panel) > 0

        await pilot.press("r")
        await until(pilot, lambda: not banner.display, what="the connection")
        assert tws.connections == 2


async def test_a_drop_in_the_middle_of_a_chain(panel, tws):
    """The chain goes on over a new connection, and the panel does not notice."""
    tws.add(DropAfterRows(rows=4))
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("2", "r")
        await until(pilot, lambda: rows(panel) > 0, what="a chain")

        assert "100% complete" in text(pilot)
        assert tws.connections >= 2


async def test_keys_work_while_the_desk_computes(panel):
    """A desk that is busy and lets go of nothing holds up no key."""
    free = threading.Event()

    async def compute(_: object) -> str:
        assert free.wait(120.0)
        return "done"

    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        shown: list[str] = []
        panel.view(ChainView).request("computing", compute, shown.append, online=False)
        await until(pilot, lambda: "computing" in text(pilot))

        await pilot.press("6")
        assert panel.view(DataView).display
        await pilot.press("2", "g")
        assert not panel.query_one("#smile").display
        assert shown == []
        free.set()
        await until(pilot, lambda: shown == ["done"])


async def test_escape_cancels_and_closes_every_line(panel, tws):
    """What was subscribed is cancelled, the view says so, and the next chain comes whole."""
    tws.add(Silent(on="market_data", share=0.99))
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("2", "r")
        await until(pilot, lambda: tws.lines_open > 5, what="subscriptions")
        assert "esc Cancel" in lines(pilot)[-1]

        await pilot.press("escape")
        await until(pilot, lambda: tws.lines_open == 0, what="the cancels")
        assert "cancelled" in text(pilot)
        assert "esc Cancel" not in lines(pilot)[-1]

        tws.clear()
        await pilot.press("r")
        await until(pilot, lambda: rows(panel) > 0, what="a chain")


async def test_quitting_in_the_middle_leaks_no_line(panel, tws):
    """q while options are subscribed: all are cancelled before the connection is closed."""
    tws.add(Silent(on="market_data", share=0.99))
    async with panel.run_test(size=SMALL) as pilot:
        await pilot.press("2", "r")
        await until(pilot, lambda: tws.lines_open > 5, what="subscriptions")
        await pilot.press("q")
        await until(pilot, lambda: not panel.is_running or panel._exit, what="left")

    for _ in range(6_000):
        if not tws.clients:
            break
        await asyncio.sleep(0.01)
    assert (tws.leaked, tws.lines_open, tws.orders) == (0, 0, 0)
    assert tws.clients == set()


async def test_views_work_side_by_side(panel):
    """Market and chain are loaded at once, each with progress of its own."""
    async with panel.run_test(size=SMALL) as pilot:
        panel.view(MarketView).action_load()
        await pilot.press("2", "r")
        await until(pilot, lambda: rows(panel) > 0, what="a chain")
        market = panel.view(MarketView).query_one("#volatility", Grid)
        await until(pilot, lambda: bool(market.rows_shown), what="volatilities")

        assert market.rows_shown[0].symbol == "SPY"
