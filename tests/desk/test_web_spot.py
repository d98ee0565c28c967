"""The last step of the spot ladder: a price from the public page."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from conftest import settings_in
from support import virtual_time
from tomic.desk import Desk
from tomic.errors import MissingSpot
from tomic.models import DataType, SpotSource
from tomic.sim import faults

pytestmark = virtual_time.THROUGHOUT

QUICK = {"silent_s": 0.02, "quote_timeout_s": 0.05, "monthlies": 1, "weeklies": 0}
PAGE = '<script>{"lastPrice":"590.00"}</script>'


@asynccontextmanager
async def site(body: str):
    """A web server on this machine that answers everything with *body*; what it was asked."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.split()[1].decode())
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/{{symbol}}/page", asked


def settings_for(tmp_path, gateway, url):
    return settings_in(
        tmp_path,
        ib={"port": gateway.port},
        web={"enabled": True, "url": url, "attempts": 1, "pause_s": 0.0},
        market={"spot_timeout_s": 0.1},
        chain=QUICK,
    )


async def test_a_silent_market_takes_the_page(gateway, tmp_path):
    """When neither the stock nor any option has a price, the page's is used and labelled."""
    gateway.add(faults.Silent(symbol="SPY"))
    async with site(PAGE) as (url, asked), Desk(settings_for(tmp_path, gateway, url)) as desk:
        chain = await desk.chain("SPY", strike_range="1")

    assert asked == ["/SPY/page"]
    assert chain.spot.price == 590.0
    assert chain.spot.source is SpotSource.WEB
    assert chain.spot.data_type is DataType.DELAYED
    assert set(chain.counts) <= {"timeout", "unknown_contract"}


async def test_a_page_without_a_price_leaves_no_spot(gateway, tmp_path):
    """Nothing is invented: the error names every source that was tried."""
    gateway.add(faults.Silent(symbol="SPY"))
    page = site("<h1>Are you a robot?</h1>")
    async with page as (url, asked), Desk(settings_for(tmp_path, gateway, url)) as desk:
        with pytest.raises(MissingSpot, match="nor the web page"):
            await desk.chain("SPY", strike_range="1")

    assert len(asked) == 1


async def test_a_quoted_market_visits_nobody(gateway, tmp_path):
    """The page is the last step, not a habit."""
    async with site(PAGE) as (url, asked), Desk(settings_for(tmp_path, gateway, url)) as desk:
        await desk.chain("SPY", strike_range="1")

    assert asked == []


async def test_a_demo_visits_nobody(gateway, tmp_path):
    """A demo stays on this machine, also when its spot is asked for in vain."""
    async with (
        site(PAGE) as (url, asked),
        Desk(settings_for(tmp_path, gateway, url), demo=True) as desk,
    ):
        await desk.vol("SPY")

    assert asked == []
