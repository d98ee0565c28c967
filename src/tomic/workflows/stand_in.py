"""What stands in for TWS: the demo market, a recorded chain, or a recorded session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tomic.errors import BadFile
from tomic.models import DataType, Spot, SpotSource

if TYPE_CHECKING:
    from tomic.sim.market import Market
    from tomic.sim.replay.chain import Replay
    from tomic.sim.replay.session import SessionReplay
    from tomic.sim.server.gateway import Gateway


@dataclass(frozen=True, slots=True)
class StandIn:
    """A server that is not yet listening, and the prices that do not come over its sessions."""

    server: Gateway | SessionReplay
    recorded_spot: Spot | None = None
    """Of a recorded chain, whose rows are then labelled ``replay``."""
    web_spots: dict[str, Spot] = field(default_factory=dict)
    """By symbol: prices of a recorded session that came from a web page."""
    notes: tuple[str, ...] = ()
    """What had to be assumed about a recorded chain, for the user."""


def demo(*, seed: int = 1, paced: bool = False) -> StandIn:
    """The model market, on a gateway that is quick and, unless *paced*, counts no messages."""
    from tomic.sim.market.model import ModelMarket

    return StandIn(_gateway(ModelMarket(seed=seed), seed=seed, paced=paced))


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
    from tomic.sim.replay.recordings import is_session

    path = Path(path)
    if is_session(path):
        return _session(path, port)
    market, notes = recorded_chain(path, symbol or None, as_of)
    spot = None
    if market.spot is not None:
        spot = Spot(price=market.spot, source=SpotSource.PARITY, as_of=market.as_of)
    return StandIn(_gateway(market, seed=1, paced=paced), spot, notes=notes)


def recorded_chain(
    path: Path, symbol: str | None, as_of: dt.datetime | None
) -> tuple[Replay, tuple[str, ...]]:
    """
    The chain of a JSON or CSV file as a market, and notes on what had to be assumed.

    Raises:
        BadFile: The file cannot be used.
        InvalidSymbol: *symbol* is not one.
    """
    from tomic.files.reading import read_chain, with_zone
    from tomic.sim.replay.chain import Replay

    moment, notes = (None, ()) if as_of is None else with_zone(as_of)
    chain = read_chain(path, symbol=symbol, as_of=moment)
    if not len(chain):
        raise BadFile(f"{path} holds no options; export the chain again")
    return Replay(chain), notes


def _gateway(market: Market, *, seed: int, paced: bool) -> Gateway:
    from tomic.sim.server.gateway import Gateway
    from tomic.sim.server.limits import Limits, Profile

    limits = Limits() if paced else Limits().unpaced()
    return Gateway(market, seed=seed, profile=Profile.demo(), limits=limits)


def _session(path: Path, port: int) -> StandIn:
    from tomic.sim.replay.recordings import read_session
    from tomic.sim.replay.session import SessionReplay

    recorded = read_session(path)
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
    return StandIn(SessionReplay(recorded, port=port), of_chain[0] if of_chain else None, web)
