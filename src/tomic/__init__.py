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
    from tomic.chain import Chain as Chain
    from tomic.config import (
        ScoreWeights as ScoreWeights,
        Settings as Settings,
        load_settings as load_settings,
    )
    from tomic.desk import Desk as Desk
    from tomic.errors import (
        BadFile as BadFile,
        ClientIdInUse as ClientIdInUse,
        CompetingSession as CompetingSession,
        ConfigError as ConfigError,
        DataError as DataError,
        DeadlineExceeded as DeadlineExceeded,
        EmptyChain as EmptyChain,
        GatewayRefused as GatewayRefused,
        GatewayUnreachable as GatewayUnreachable,
        InvalidSymbol as InvalidSymbol,
        MarketClosed as MarketClosed,
        MissingSpot as MissingSpot,
        NoMarketData as NoMarketData,
        PacingViolation as PacingViolation,
        RequestFailed as RequestFailed,
        RequestTimeout as RequestTimeout,
        SchemaTooNew as SchemaTooNew,
        SessionError as SessionError,
        SessionLost as SessionLost,
        StoreBusy as StoreBusy,
        StoreError as StoreError,
        TomicError as TomicError,
        UnknownContract as UnknownContract,
        UnreadableAnswer as UnreadableAnswer,
        UsageError as UsageError,
    )
    from tomic.files import load_chain as load_chain
    from tomic.ib.session import Session as Session
    from tomic.models import (
        OptionQuote as OptionQuote,
        Proposal as Proposal,
        ScanResult as ScanResult,
        Spot as Spot,
        TradeReview as TradeReview,
        Underlying as Underlying,
        VolSnapshot as VolSnapshot,
    )
    from tomic.store import Database as Database
    from tomic.strategies.propose import propose as propose
    from tomic.workflows.chain.fetch import ChainOutcome as ChainOutcome
    from tomic.workflows.doctor.ladder import Check as Check
    from tomic.workflows.journal.entries import Journal as Journal
    from tomic.workflows.portfolio.review import PortfolioReview as PortfolioReview
    from tomic.workflows.volatility.history import HistoryRun as HistoryRun
    from tomic.workflows.volatility.measure import VolReport as VolReport
    from tomic.workflows.volatility.stored import PastDay as PastDay

_HOMES = {
    "BadFile": "errors",
    "Chain": "chain",
    "ChainOutcome": "workflows.chain.fetch",
    "Check": "workflows.doctor.ladder",
    "ClientIdInUse": "errors",
    "CompetingSession": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "Database": "store",
    "DeadlineExceeded": "errors",
    "Desk": "desk",
    "EmptyChain": "errors",
    "GatewayRefused": "errors",
    "GatewayUnreachable": "errors",
    "HistoryRun": "workflows.volatility.history",
    "InvalidSymbol": "errors",
    "Journal": "workflows.journal.entries",
    "MarketClosed": "errors",
    "MissingSpot": "errors",
    "NoMarketData": "errors",
    "OptionQuote": "models",
    "PacingViolation": "errors",
    "PastDay": "workflows.volatility.stored",
    "PortfolioReview": "workflows.portfolio.review",
    "Proposal": "models",
    "RequestFailed": "errors",
    "RequestTimeout": "errors",
    "ScanResult": "models",
    "SchemaTooNew": "errors",
    "ScoreWeights": "config",
    "Session": "ib.session",
    "SessionError": "errors",
    "SessionLost": "errors",
    "Settings": "config",
    "Spot": "models",
    "StoreBusy": "errors",
    "StoreError": "errors",
    "TomicError": "errors",
    "TradeReview": "models",
    "Underlying": "models",
    "UnknownContract": "errors",
    "UnreadableAnswer": "errors",
    "UsageError": "errors",
    "VolReport": "workflows.volatility.measure",
    "VolSnapshot": "models",
    "load_chain": "files",
    "load_settings": "config",
    "propose": "strategies.propose",
}
"""Each public name, and the module of `tomic` that defines it."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tomic.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tomic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
