"""The nouns of TOMIC, typed and frozen: what crosses a border is one of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.models.book import (
        AccountSummary as AccountSummary,
        Book as Book,
        Mark as Mark,
        Position as Position,
        SymbolMarket as SymbolMarket,
    )
    from tomic.models.journal import (
        Attribution as Attribution,
        ExitCheck as ExitCheck,
        ExitRules as ExitRules,
        ExitSignal as ExitSignal,
        JournalEntry as JournalEntry,
        Statistics as Statistics,
    )
    from tomic.models.market import (
        DataType as DataType,
        ExerciseStyle as ExerciseStyle,
        OptionParams as OptionParams,
        OptionQuote as OptionQuote,
        QuoteSource as QuoteSource,
        RowStatus as RowStatus,
        Spot as Spot,
        SpotSource as SpotSource,
        TradingSession as TradingSession,
        Underlying as Underlying,
        VolSnapshot as VolSnapshot,
        normalize_symbol as normalize_symbol,
        normalize_symbols as normalize_symbols,
        several as several,
    )
    from tomic.models.review import (
        Alert as Alert,
        BookReview as BookReview,
        FitChange as FitChange,
        StressGrid as StressGrid,
        Structure as Structure,
    )
    from tomic.models.trade import (
        CurvePoint as CurvePoint,
        Grade as Grade,
        Leg as Leg,
        NearestMiss as NearestMiss,
        PriceSource as PriceSource,
        Proposal as Proposal,
        Refusal as Refusal,
        RuleCount as RuleCount,
        ScanResult as ScanResult,
        Scenario as Scenario,
        ScorePart as ScorePart,
        Side as Side,
        SymbolOutcome as SymbolOutcome,
        TradeReview as TradeReview,
    )

# Built on first use: a chain needs none of those of trades and books.
_NAMES = {
    "book": "AccountSummary Book Mark Position SymbolMarket",
    "journal": "Attribution ExitCheck ExitRules ExitSignal JournalEntry Statistics",
    "market": "DataType ExerciseStyle OptionParams OptionQuote QuoteSource RowStatus Spot "
    "SpotSource TradingSession Underlying VolSnapshot normalize_symbol normalize_symbols several",
    "review": "Alert BookReview FitChange StressGrid Structure",
    "trade": "CurvePoint Grade Leg NearestMiss PriceSource Proposal Refusal RuleCount ScanResult "
    "Scenario ScorePart Side SymbolOutcome TradeReview",
}
_lazy.offer(__name__, _NAMES, "documents")
