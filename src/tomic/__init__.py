"""
TOMIC, Tactical Option Modeling & Insight Console. It never trades: it supports, the user decides.

The names below are the public ones, with `tomic.quant` for the kernels. They are imported on first
use, so that ``import tomic`` costs nothing.
"""

from typing import TYPE_CHECKING

from tomic import _lazy
from tomic._version import __version__ as __version__

if TYPE_CHECKING:
    from tomic.chain import Chain as Chain
    from tomic.config import (
        ScoreWeights as ScoreWeights,
        Settings as Settings,
        View as View,
        load_settings as load_settings,
    )
    from tomic.desk import Desk as Desk
    from tomic.errors import *  # noqa: F403
    from tomic.files import load_chain as load_chain
    from tomic.ib.session import Session as Session
    from tomic.models import (
        BacktestResult as BacktestResult,
        Comparison as Comparison,
        OptionQuote as OptionQuote,
        Proposal as Proposal,
        ScanResult as ScanResult,
        Spot as Spot,
        Sweep as Sweep,
        TradeReview as TradeReview,
        Underlying as Underlying,
        VolSnapshot as VolSnapshot,
    )
    from tomic.models.book import Book as Book, Position as Position
    from tomic.models.frames import Rows as Rows
    from tomic.models.journal import JournalReport as JournalReport
    from tomic.models.review import BookReview as BookReview, StressGrid as StressGrid
    from tomic.store import Database as Database
    from tomic.store.history import Bars as Bars, VolSeries as VolSeries
    from tomic.strategies.catalogue.leg_rules import (
        Above as Above,
        AtTheMoney as AtTheMoney,
        Below as Below,
        DeltaBand as DeltaBand,
        LegRule as LegRule,
        Mirror as Mirror,
        Moneyness as Moneyness,
        SameStrike as SameStrike,
        Template as Template,
        Wider as Wider,
    )
    from tomic.strategies.catalogue.templates import catalogue as catalogue
    from tomic.strategies.propose import propose as propose
    from tomic.workflows.chain.fetch import ChainOutcome as ChainOutcome
    from tomic.workflows.doctor.ladder import Check as Check
    from tomic.workflows.journal.entries import Journal as Journal
    from tomic.workflows.journal.manage import ManageRun as ManageRun
    from tomic.workflows.journal.review import CheckRun as CheckRun
    from tomic.workflows.journal.verbs import DeskJournal as DeskJournal
    from tomic.workflows.portfolio.own import book_of as book_of, review_book as review_book
    from tomic.workflows.portfolio.review import PortfolioReview as PortfolioReview
    from tomic.workflows.volatility.history import HistoryRun as HistoryRun
    from tomic.workflows.volatility.measure import VolReport as VolReport
    from tomic.workflows.volatility.stored import PastDay as PastDay

# Each public name, by the module that defines it.
_NAMES = {
    "chain": "Chain",
    "config": "ScoreWeights Settings View load_settings",
    "desk": "Desk",
    "errors": "BadFile ClientIdInUse CompetingSession ConfigError DataError DeadlineExceeded "
    "EmptyChain EmptyWindow FlexError FlexRefused FlexUnavailable GatewayRefused "
    "GatewayUnreachable IncompatibleVersion InvalidSymbol MarketClosed MissingSpot "
    "NoMarketData PacingViolation RequestFailed RequestTimeout SchemaTooNew "
    "SessionError SessionLost StoreBusy StoreError TomicError UnknownContract "
    "UnreadableAnswer UsageError",
    "files": "load_chain",
    "ib.session": "Session",
    "models": "BacktestResult Comparison OptionQuote Proposal ScanResult Spot Sweep TradeReview "
    "Underlying VolSnapshot",
    "models.book": "Book Position",
    "models.frames": "Rows",
    "models.journal": "JournalReport",
    "models.review": "BookReview StressGrid",
    "store": "Database",
    "store.history": "Bars VolSeries",
    "strategies.catalogue.leg_rules": "Above AtTheMoney Below DeltaBand LegRule Mirror Moneyness "
    "SameStrike Template Wider",
    "strategies.catalogue.templates": "catalogue",
    "strategies.propose": "propose",
    "workflows.chain.fetch": "ChainOutcome",
    "workflows.doctor.ladder": "Check",
    "workflows.journal.entries": "Journal",
    "workflows.journal.manage": "ManageRun",
    "workflows.journal.review": "CheckRun",
    "workflows.journal.verbs": "DeskJournal",
    "workflows.portfolio.own": "book_of review_book",
    "workflows.portfolio.review": "PortfolioReview",
    "workflows.volatility.history": "HistoryRun",
    "workflows.volatility.measure": "VolReport",
    "workflows.volatility.stored": "PastDay",
}
_lazy.offer(__name__, _NAMES, "config desk files figures notices selection testing")
