"""`tomic gateway`: the simulated gateway alone, for any TWS client."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tomic import sim
from tomic.cli import options
from tomic.cli.running import runs
from tomic.errors import GatewayUnreachable, UsageError
from tomic.sim.replay import recordings, session
from tomic.sim.server.limits import Manner
from tomic.workflows import stand_in

app = typer.Typer()

_LONGEST_EXPIRY_S = 2.0
_SWITCH_S = 0.0005
"""How long the thread may keep the loop waiting."""


@app.command()
@runs
async def gateway(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any.")] = 7497,
    seed: Annotated[int, typer.Option(help="Seed of the model market.")] = 1,
    replay: options.ReplayOption = None,
    symbol: Annotated[
        str | None, typer.Option(help="What the replayed file holds, if it does not say.")
    ] = None,
    as_of: options.AsOfOption = None,
    closed: Annotated[bool, typer.Option("--closed", help="Serve a Saturday.")] = False,
    profile: Annotated[
        Manner,
        typer.Option(help="Speak as TWS does, warts included, or tidily, the same to the byte."),
    ] = Manner.REALITY,
    instant: Annotated[bool, typer.Option("--instant", help="Answer without any delay.")] = False,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Add 500 made-up symbols to the demo market.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,…]", help="What goes wrong; may be repeated."),
    ] = None,
) -> None:
    """Run the simulated TWS, IB's limits enforced, until Ctrl-C."""
    if replay is not None and (closed or synthetic):
        raise UsageError("--closed and --synthetic shape the model market, not a recording")
    broken = [sim.faults.parse(text) for text in fault or ()]
    if replay is not None and recordings.is_session(replay):
        if broken:
            raise UsageError("a recorded session has its own faults; leave out --fault")
        await _replay_session(replay, port)
        return
    market = _market(seed, replay, symbol, as_of, closed=closed, synthetic=synthetic)
    pace = sim.Profile.instant() if instant else sim.Profile()
    spoken = replace(pace, manner=profile)
    server = sim.Gateway(market, port=port, seed=seed, profile=spoken, faults=broken)
    market.book()  # what is held is asked for by every client that connects
    stop = threading.Event()
    ahead = asyncio.create_task(asyncio.to_thread(_price_ahead, market, stop), name="tomic prices")
    try:
        await _listen(server, port)
    finally:
        stop.set()
        await asyncio.wait({ahead}, timeout=_LONGEST_EXPIRY_S)
        typer.echo(_tally(server), err=True)


def _price_ahead(market: sim.Market, stop: threading.Event) -> None:
    """
    Price the model market in a thread, one expiry after the other.

    TWS has its prices already. A gateway that computed each expiry when it is first asked for
    would stand still for a twentieth of a second meanwhile, then read several messages at once,
    and find more than 50 of them in one second that its client had sent well spaced.
    """
    price_ahead = getattr(market, "price_ahead", None)
    if price_ahead is None:
        return
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        for _ in price_ahead():
            # What is priced stays; to look through it again and again takes a tenth of a second.
            gc.freeze()
            if stop.is_set():
                return
    finally:
        sys.setswitchinterval(usual)


async def _replay_session(file: Path, port: int) -> None:
    recorded = recordings.read_session(file)
    typer.echo(f"{file}: a session of tomic {recorded.command}", err=True)
    await _listen(session.SessionReplay(recorded, port=port, speed=1.0), port)


async def _listen(server: sim.Gateway | session.SessionReplay, port: int) -> None:
    try:
        async with server:
            typer.echo(f"listening on 127.0.0.1:{server.port}; Ctrl-C ends it", err=True)
            await asyncio.Event().wait()
    except OSError as exc:
        raise GatewayUnreachable(
            f"cannot listen on port {port}: {exc.strerror or exc}; choose another --port"
        ) from exc


def _market(
    seed: int,
    replay: Path | None,
    symbol: str | None,
    as_of: dt.datetime | None,
    *,
    closed: bool,
    synthetic: bool,
) -> sim.Market:
    if replay is not None:
        market, notes = stand_in.recorded_chain(replay, symbol, as_of)
        for text in notes:
            typer.echo(f"note: {text}", err=True)
        return market
    return sim.ModelMarket(seed=seed, closed=closed, universe="synthetic" if synthetic else "demo")


def _tally(server: sim.Gateway) -> str:
    return (
        f"served {server.messages} messages, at most {server.peak_messages()} in a second; "
        f"lines: {server.peak_lines} at most, {server.leaked} left open by clients; "
        f"orders refused: {server.orders}"
    )
