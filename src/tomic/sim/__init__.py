"""
A simulated TWS gateway and the markets behind it; knows the protocol, and neither client of it.

The names below are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomic.sim import faults
    from tomic.sim.market import Market
    from tomic.sim.market.model import ModelMarket
    from tomic.sim.replay.chain import Replay
    from tomic.sim.server.gateway import Gateway
    from tomic.sim.server.limits import Limits, Profile

_HOMES = {
    "Gateway": "server.gateway",
    "Limits": "server.limits",
    "Market": "market",
    "ModelMarket": "market.model",
    "Profile": "server.limits",
    "Replay": "replay.chain",
}

__all__ = ["Gateway", "Limits", "Market", "ModelMarket", "Profile", "Replay", "faults"]


def __getattr__(name: str) -> Any:
    if name == "faults":
        return import_module("tomic.sim.faults")
    if name not in _HOMES:
        raise AttributeError(f"module 'tomic.sim' has no attribute {name!r}")
    return getattr(import_module(f"tomic.sim.{_HOMES[name]}"), name)
