"""
A simulated TWS gateway and the markets behind it; knows the protocol, and neither client of it.

The names below are imported when they are first asked for.
"""

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.sim import faults as faults
    from tomic.sim.market import Market as Market
    from tomic.sim.market.model import ModelMarket as ModelMarket
    from tomic.sim.replay.chain import Replay as Replay
    from tomic.sim.server.gateway import Gateway as Gateway
    from tomic.sim.server.limits import Limits as Limits, Profile as Profile

_NAMES = {
    "market": "Market",
    "market.model": "ModelMarket",
    "replay.chain": "Replay",
    "server.gateway": "Gateway",
    "server.limits": "Limits Profile",
}
_lazy.offer(__name__, _NAMES, "faults")
