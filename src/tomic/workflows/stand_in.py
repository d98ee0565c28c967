"""What stands in for TWS: the demo market, a recorded chain, or a recorded session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from tomic.errors import BadFile
from tomic.models import DataType, Spot, SpotSource
from tomic.sim.market import Market, model
from tomic.sim.replay import chain as chains, recordings, session
from tomic.sim.server import gateway, limits


@dataclass(frozen=True, slots=True)
class StandIn:
    """A server that is not yet listening, and the prices that do not come over its sessions."""

    server: gateway.Gateway | session.SessionReplay
    recorded_spot: Spot | None = None
    """Of a recorded chain, whose rows are then labelled ``replay``."""
    web_spots: dict[str, Spot] = field(default_factory=dict)
    """By symbol: prices of a recorded session that came from a web page."""
    notes: tuple[str, ...] = ()
    """What had to be assumed about a recorded chain, for the user."""


def demo(*, seed: int = 1, paced: bool = False) -> StandIn:
    """The model market, on a gateway that is quick and, unless *paced*, counts no messages."""
    return StandIn(_gateway(model.ModelMarket(seed=seed), seed=seed, paced=paced))


def replay(
    path: Path | str,
    symbol: str = "",
    *,
    as_of: dt.datetime | None = None,
    paced: bool = False,
    port: int = 0,
) -> StandIn:
    """
    A recording, whose kind shows from its content: a session, or a chain as JSON or CSV.

    Args:
        symbol: What a recorded chain holds, if the file does not say, or which of several.
        as_of: When it was recorded; goes before what the file says. Without a zone it is this
            computer's time.

    Raises:
        BadFile: The file cannot be used.
    """
    path = Path(path)
    if recordings.is_session(path):
        return _session(path, port)
    market, notes = recorded_chain(path, symbol or None, as_of)
    spot = None
    if market.spot is not None:
        spot = Spot(price=market.spot, source=SpotSource.PARITY, as_of=market.as_of)
    return StandIn(_gateway(market, seed=1, paced=paced), spot, notes=notes)


def recorded_chain(
    path: Path, symbol: str | None, as_of: dt.datetime | None
) -> tuple[chains.Replay, tuple[str, ...]]:
    """
    The chain of a JSON or CSV file as a market, and notes on what had to be assumed.

    Raises:
        BadFile: The file cannot be used.
        InvalidSymbol: *symbol* is not one.
    """
    from tomic.files.reading import read_chain, with_zone

    moment, notes = (None, ()) if as_of is None else with_zone(as_of)
    chain = read_chain(path, symbol=symbol, as_of=moment)
    if not len(chain):
        raise BadFile(f"{path} holds no options; export the chain again")
    return chains.Replay(chain), notes


def _gateway(market: Market, *, seed: int, paced: bool) -> gateway.Gateway:
    kept = limits.Limits() if paced else limits.Limits().unpaced()
    return gateway.Gateway(market, seed=seed, profile=limits.Profile.demo(), limits=kept)


def _session(path: Path, port: int) -> StandIn:
    recorded = recordings.read_session(path)
    spots = {
        spot.symbol: Spot(
            price=spot.price,
            source=SpotSource(spot.source),
            data_type=DataType.DELAYED if spot.source == SpotSource.WEB else DataType.LIVE,
            as_of=spot.as_of,
        )
        for spot in recorded.spots
    }
    of_chain = [spot for spot in spots.values() if spot.source is SpotSource.PARITY]
    web = {name: spot for name, spot in spots.items() if spot.source is SpotSource.WEB}
    return StandIn(
        session.SessionReplay(recorded, port=port), of_chain[0] if of_chain else None, web
    )
