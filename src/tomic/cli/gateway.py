"""`tomic gateway`: the simulated gateway alone, for any TWS client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from tomic.cli import options
from tomic.cli.running import runs
from tomic.errors import GatewayUnreachable, UsageError

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from tomic.sim.gateway import Gateway
    from tomic.sim.market import Market

app = typer.Typer()


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
    instant: Annotated[bool, typer.Option("--instant", help="Answer without any delay.")] = False,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Add 500 made-up symbols to the demo market.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:KEY=VALUE,…]", help="What goes wrong; may be repeated."),
    ] = None,
) -> None:
    """Run the simulated TWS gateway, with IB's limits enforced, until Ctrl-C."""
    from tomic.sim import faults
    from tomic.sim.gateway import Gateway
    from tomic.sim.limits import Profile

    market = _market(seed, replay, symbol, as_of, closed=closed, synthetic=synthetic)
    profile = Profile.instant() if instant else Profile()
    broken = [faults.parse(text) for text in fault or ()]
    server = Gateway(market, port=port, seed=seed, profile=profile, faults=broken)
    try:
        async with server:
            typer.echo(f"listening on 127.0.0.1:{server.port}; Ctrl-C ends it", err=True)
            await asyncio.Event().wait()
    except OSError as exc:
        raise GatewayUnreachable(
            f"cannot listen on port {port}: {exc.strerror or exc}; choose another --port"
        ) from exc
    finally:
        typer.echo(_tally(server), err=True)


def _market(
    seed: int,
    replay: Path | None,
    symbol: str | None,
    as_of: dt.datetime | None,
    *,
    closed: bool,
    synthetic: bool,
) -> Market:
    from tomic.sim.model import ModelMarket
    from tomic.sim.replay import Replay

    if replay is None:
        universe = "synthetic" if synthetic else "demo"
        return ModelMarket(seed=seed, closed=closed, universe=universe)
    if closed or synthetic:
        raise UsageError(
            "--closed and --synthetic shape the model market; leave them with --replay"
        )
    return Replay.from_csv(replay, symbol, as_of=as_of)


def _tally(server: Gateway) -> str:
    return (
        f"served {server.messages} messages, at most {server.peak_messages()} in a second; "
        f"lines: {server.peak_lines} at most, {server.leaked} left open by clients; "
        f"orders refused: {server.orders}"
    )
