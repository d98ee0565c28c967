"""The nouns of TOMIC, typed and frozen: what crosses a border is one of these."""

from __future__ import annotations

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
)

__all__ = [
    "DataType",
    "ExerciseStyle",
    "OptionParams",
    "OptionQuote",
    "QuoteSource",
    "RowStatus",
    "Spot",
    "SpotSource",
    "TradingSession",
    "Underlying",
    "VolSnapshot",
    "normalize_symbol",
]
