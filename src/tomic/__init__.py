"""
TOMIC, Tactical Option Modeling & Insight Console. It never trades: it supports, the user decides.

The names below are the public ones, with `tomic.quant` for the kernels. They are imported on first
use, so that ``import tomic`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tomic._version import __version__ as __version__

if TYPE_CHECKING:
    from tomic.chain import Chain
    from tomic.config import ScoreWeights, Settings, load_settings
    from tomic.desk import Desk
    from tomic.errors import (
        BadFile,
        ClientIdInUse,
        CompetingSession,
        ConfigError,
        DataError,
        DeadlineExceeded,
        EmptyChain,
        GatewayRefused,
        GatewayUnreachable,
        InvalidSymbol,
        MissingSpot,
        NoMarketData,
        RequestFailed,
        RequestTimeout,
        SessionError,
        SessionLost,
        StoreBusy,
        StoreError,
        TomicError,
        UnknownContract,
        UsageError,
    )
    from tomic.export import load_chain
    from tomic.models import OptionQuote, Proposal, ScanResult, Spot, Underlying, VolSnapshot
    from tomic.strategies.propose import propose

_HOMES = {
    "BadFile": "errors",
    "Chain": "chain",
    "ClientIdInUse": "errors",
    "CompetingSession": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "DeadlineExceeded": "errors",
    "Desk": "desk",
    "EmptyChain": "errors",
    "GatewayRefused": "errors",
    "GatewayUnreachable": "errors",
    "InvalidSymbol": "errors",
    "MissingSpot": "errors",
    "NoMarketData": "errors",
    "OptionQuote": "models",
    "Proposal": "models",
    "RequestFailed": "errors",
    "RequestTimeout": "errors",
    "ScanResult": "models",
    "ScoreWeights": "config",
    "SessionError": "errors",
    "SessionLost": "errors",
    "Settings": "config",
    "Spot": "models",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "TomicError": "errors",
    "Underlying": "models",
    "UnknownContract": "errors",
    "UsageError": "errors",
    "VolSnapshot": "models",
    "load_chain": "export",
    "load_settings": "config",
    "propose": "strategies.propose",
}

__all__ = [
    "BadFile",
    "Chain",
    "ClientIdInUse",
    "CompetingSession",
    "ConfigError",
    "DataError",
    "DeadlineExceeded",
    "Desk",
    "EmptyChain",
    "GatewayRefused",
    "GatewayUnreachable",
    "InvalidSymbol",
    "MissingSpot",
    "NoMarketData",
    "OptionQuote",
    "Proposal",
    "RequestFailed",
    "RequestTimeout",
    "ScanResult",
    "ScoreWeights",
    "SessionError",
    "SessionLost",
    "Settings",
    "Spot",
    "StoreBusy",
    "StoreError",
    "TomicError",
    "Underlying",
    "UnknownContract",
    "UsageError",
    "VolSnapshot",
    "load_chain",
    "load_settings",
    "propose",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tomic.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tomic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
