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
    )
    from tomic.config import (
        Settings as Settings,
    )
    from tomic.config import (
        load_settings as load_settings,
    )
    from tomic.desk import Desk as Desk
    from tomic.errors import (
        BadFile as BadFile,
    )
    from tomic.errors import (
        ClientIdInUse as ClientIdInUse,
    )
    from tomic.errors import (
        CompetingSession as CompetingSession,
    )
    from tomic.errors import (
        ConfigError as ConfigError,
    )
    from tomic.errors import (
        DataError as DataError,
    )
    from tomic.errors import (
        DeadlineExceeded as DeadlineExceeded,
    )
    from tomic.errors import (
        EmptyChain as EmptyChain,
    )
    from tomic.errors import (
        GatewayRefused as GatewayRefused,
    )
    from tomic.errors import (
        GatewayUnreachable as GatewayUnreachable,
    )
    from tomic.errors import (
        InvalidSymbol as InvalidSymbol,
    )
    from tomic.errors import (
        MarketClosed as MarketClosed,
    )
    from tomic.errors import (
        MissingSpot as MissingSpot,
    )
    from tomic.errors import (
        NoMarketData as NoMarketData,
    )
    from tomic.errors import (
        PacingViolation as PacingViolation,
    )
    from tomic.errors import (
        RequestFailed as RequestFailed,
    )
    from tomic.errors import (
        RequestTimeout as RequestTimeout,
    )
    from tomic.errors import (
        SchemaTooNew as SchemaTooNew,
    )
    from tomic.errors import (
        SessionError as SessionError,
    )
    from tomic.errors import (
        SessionLost as SessionLost,
    )
    from tomic.errors import (
        StoreBusy as StoreBusy,
    )
    from tomic.errors import (
        StoreError as StoreError,
    )
    from tomic.errors import (
        TomicError as TomicError,
    )
    from tomic.errors import (
        UnknownContract as UnknownContract,
    )
    from tomic.errors import (
        UnreadableAnswer as UnreadableAnswer,
    )
    from tomic.errors import (
        UsageError as UsageError,
    )
    from tomic.export import load_chain as load_chain
    from tomic.ib.session import Session as Session
    from tomic.models import (
        OptionQuote as OptionQuote,
    )
    from tomic.models import (
        Proposal as Proposal,
    )
    from tomic.models import (
        ScanResult as ScanResult,
    )
    from tomic.models import (
        Spot as Spot,
    )
    from tomic.models import (
        TradeReview as TradeReview,
    )
    from tomic.models import (
        Underlying as Underlying,
    )
    from tomic.models import (
        VolSnapshot as VolSnapshot,
    )
    from tomic.store import Database as Database
    from tomic.strategies.propose import propose as propose
    from tomic.workflows.chain.several import ChainOutcome as ChainOutcome
    from tomic.workflows.doctor.ladder import Check as Check
    from tomic.workflows.journal.entries import Journal as Journal
    from tomic.workflows.portfolio.review import PortfolioView as PortfolioView
    from tomic.workflows.volatility.history import HistoryRun as HistoryRun
    from tomic.workflows.volatility.report import VolReport as VolReport
    from tomic.workflows.volatility.stored import PastDay as PastDay

_HOMES = {
    "BadFile": "errors",
    "Chain": "chain",
    "ChainOutcome": "workflows.chain.several",
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
    "PortfolioView": "workflows.portfolio.review",
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
    "VolReport": "workflows.volatility.report",
    "VolSnapshot": "models",
    "load_chain": "export",
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
