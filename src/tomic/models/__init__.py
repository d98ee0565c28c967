"""The nouns of TOMIC, typed and frozen: what crosses a border is one of these."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tomic.models.market import (
    DataType,
    ExerciseStyle,
    OptionParams,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    TradingSession,
    Underlying,
    VolSnapshot,
    normalize_symbol,
    normalize_symbols,
    several,
)

if TYPE_CHECKING:
    from tomic.models.book import AccountSummary, Book, Mark, Position, SymbolMarket
    from tomic.models.journal import (
        Attribution,
        ExitCheck,
        ExitRules,
        ExitSignal,
        JournalEntry,
        Statistics,
    )
    from tomic.models.review import Alert, BookReview, FitChange, StressGrid, Structure
    from tomic.models.trade import (
        CurvePoint,
        Grade,
        Leg,
        NearestMiss,
        PriceSource,
        Proposal,
        Refusal,
        RuleCount,
        ScanResult,
        Scenario,
        ScorePart,
        Side,
        SymbolOutcome,
        TradeReview,
    )

# Those of trades and books are built on first use: a chain needs none of them.
_NAMES = {
    "book": "AccountSummary Book Mark Position SymbolMarket",
    "trade": "CurvePoint Grade Leg NearestMiss PriceSource Proposal Refusal RuleCount ScanResult "
    "Scenario ScorePart Side SymbolOutcome TradeReview",
    "journal": "Attribution ExitCheck ExitRules ExitSignal JournalEntry Statistics",
    "review": "Alert BookReview FitChange StressGrid Structure",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AccountSummary",
    "Alert",
    "Attribution",
    "Book",
    "BookReview",
    "CurvePoint",
    "DataType",
    "ExerciseStyle",
    "ExitCheck",
    "ExitRules",
    "ExitSignal",
    "FitChange",
    "Grade",
    "JournalEntry",
    "Leg",
    "Mark",
    "NearestMiss",
    "OptionParams",
    "OptionQuote",
    "Position",
    "PriceSource",
    "Proposal",
    "QuoteSource",
    "Refusal",
    "RowStatus",
    "RuleCount",
    "ScanResult",
    "Scenario",
    "ScorePart",
    "Side",
    "Spot",
    "SpotSource",
    "Statistics",
    "StressGrid",
    "Structure",
    "SymbolMarket",
    "SymbolOutcome",
    "TradeReview",
    "TradingSession",
    "Underlying",
    "VolSnapshot",
    "normalize_symbol",
    "normalize_symbols",
    "several",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tomic.models.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
