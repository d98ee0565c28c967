"""The nouns of TOMIC, typed and frozen: what crosses a border is one of these."""

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    # The table below says which of them are offered.
    from tomic.models.book import *  # noqa: F403
    from tomic.models.journal import *  # noqa: F403
    from tomic.models.market import *  # noqa: F403
    from tomic.models.review import *  # noqa: F403
    from tomic.models.ticket import *  # noqa: F403
    from tomic.models.trade import *  # noqa: F403

# Built on first use: a chain needs none of those of trades and books.
_NAMES = {
    "book": "AccountSummary Book Mark Position SymbolMarket",
    "journal": "Attribution ExitCheck ExitRules ExitSignal JournalEntry Statistics",
    "market": "INDEX_CLASSES MINOR_UNITS VOLATILITY_INDICES Carry DataType ExerciseStyle "
    "IndexClass OptionParams OptionQuote QuoteSource RowStatus Spot SpotSource "
    "TradingSession Underlying VolSnapshot major_currency normalize_symbol "
    "normalize_symbols settles_in_cash several split_symbol",
    "review": "Alert BookReview FitChange StressGrid Structure",
    "ticket": "Ticket TicketLeg",
    "trade": "Alternative CurvePoint Grade Leg ManagedOutcome NearestMiss PriceSource Proposal "
    "Refusal RuleCount ScanResult ScanScope Scenario ScorePart Side SymbolOutcome TradeEvent "
    "TradeReview TradeSize ViewFigures",
}
_lazy.offer(__name__, _NAMES, "documents")
