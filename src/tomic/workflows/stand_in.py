"""What stands in for TWS: the demo market, a recorded chain, or a recorded session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tomic.errors import UsageError
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
        symbol: What a recorded chain holds, if the file does not say.
        as_of: When it was recorded, if the file does not say.

    Raises:
        BadFile: The file cannot be used.
    """
    from tomic.sim.replay.recordings import is_session

    path = Path(path)
    if is_session(path):
        return _session(path, port)
    market = recorded_chain(path, symbol or None, _with_zone(as_of))
    spot = None
    if market.spot is not None:
        spot = Spot(price=market.spot, source=SpotSource.PARITY, as_of=market.as_of)
    return StandIn(_gateway(market, seed=1, paced=paced), spot)


def _with_zone(moment: dt.datetime | None) -> dt.datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise UsageError(f"as-of {moment} has no time zone; write it as {moment}+00:00")
    return moment


def recorded_chain(path: Path, symbol: str | None, as_of: dt.datetime | None) -> Replay:
    """
    The chain of a JSON or CSV file as a market.

    Raises:
        BadFile: The file cannot be used.
    """
    from tomic.sim.recorded_document import is_document, read_document
    from tomic.sim.replay.chain import Replay

    if not is_document(path):
        return Replay.from_csv(path, symbol, as_of=as_of)
    chain = read_document(path, symbol)
    assert chain.as_of is not None
    return Replay(chain, symbol or chain.symbol, as_of or chain.as_of)


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
        one.symbol: Spot(
            price=one.price,
            source=SpotSource(one.source),
            data_type=DataType.DELAYED if one.source == SpotSource.WEB else DataType.LIVE,
            as_of=one.as_of,
        )
        for one in recorded.spots
    }
    of_chain = [one for one in spots.values() if one.source is SpotSource.PARITY]
    web = {name: one for name, one in spots.items() if one.source is SpotSource.WEB}
    return StandIn(SessionReplay(recorded, port=port), of_chain[0] if of_chain else None, web)
