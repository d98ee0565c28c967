"""What is read from the journal: exit checks, attributions, statistics, calibration."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime

from tomic.models.documents import UnboundedModel
from tomic.models.market import Model


class JournalModel(Model):
    """A frozen model of the journal, or of what is read from it."""


class Verdict(StrEnum):
    """What a check of an entry came to."""

    ACT = "act"
    """A rule fired."""
    HOLD = "hold"
    """Every rule was judged on fresh marks, and none fired."""
    STALE = "stale"
    """None fired, but on marks that may have moved since."""
    UNJUDGED = "unjudged"
    """None fired, but not every rule could be judged."""


class ExitSignal(JournalModel):
    """A rule that fired, or one that could not be judged."""

    rule: str
    fired: bool
    observed: float | None = None
    """In the unit of the limit; None where it could not be had."""
    limit: float | None = None
    text: str
    """What was seen against what was agreed, in words."""
    advice: str = ""


class ExitCheck(JournalModel):
    """What became of the rules of one entry."""

    entry_id: int | None = None
    symbol: str
    strategy: str
    verdict: Verdict
    signals: tuple[ExitSignal, ...] = ()
    """Rules that fired."""
    unjudged: tuple[ExitSignal, ...] = ()
    """Rules that could not be judged, with the reason."""
    notes: tuple[str, ...] = ()
    as_of: AwareDatetime | None = None
    pnl: float | None = None
    """Currency, whole campaign."""
    share_of_premium: float | None = None
    """P&L of the options over the premium they brought in or cost."""
    dte: int | None = None


class Attribution(JournalModel):
    """
    Where a P&L came from, accounted for twice; currency.

    ``total = delta + gamma + vega + theta + residual + traded + costs``, and also
    ``total = time + volatility + spot + traded + costs``.
    """

    since: AwareDatetime
    until: AwareDatetime
    total: float
    delta: float
    gamma: float
    vega: float
    theta: float
    residual: float
    """What the Greeks of the start do not explain."""
    time: float
    volatility: float
    spot: float
    traded: float = 0.0
    """Fills against the middle of the market, and moves between fills that nobody marked."""
    costs: float = 0.0
    """Commissions, negative."""
    notes: tuple[str, ...] = ()


class Interval(JournalModel):
    """An estimate with its 95 % interval; None where there are too few data."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Statistics(JournalModel, UnboundedModel):
    """How a set of closed campaigns did; money in currency, shares and returns as fractions."""

    unbounded: ClassVar[tuple[str, ...]] = ("profit_factor",)

    label: str = ""
    n: int
    wins: int
    win_rate: Interval
    """Wilson's interval."""
    average_win: float | None = None
    average_loss: float | None = None
    """Negative."""
    expectancy: Interval
    """Mean result; bootstrap over clusters."""
    total: float
    profit_factor: float | None = None
    """Gains over losses; inf without losses, None without results."""
    max_drawdown: float
    """Deepest fall of the running total from its peak, <= 0, marks of open campaigns included."""
    average_days: float | None = None
    rom: float | None = None
    """Mean result over margin, of those whose margin is known."""
    rom_n: int = 0
    slippage: float | None = None
    """Mean given away against mid per campaign, of those whose mids are known."""
    slippage_n: int = 0


class CalibrationBin(JournalModel):
    """Forecasts between two probabilities and how often they came true."""

    low: float
    high: float
    n: int
    forecast: float
    """Mean forecast."""
    hit: Interval
    """Share that came true; bootstrap over clusters."""


class Calibration(JournalModel):
    """How honest the probabilities were."""

    what: str
    n: int
    clusters: int
    """Distinct (symbol, expiry) pairs: the number of independent outcomes."""
    bins: tuple[CalibrationBin, ...] = ()
    brier: Interval
    base_rate: float | None = None
    """Share that came true."""
    skill: float | None = None
    """1 - Brier / that of always saying the base rate; > 0 is better than knowing nothing."""
    bias: Interval
    """Mean forecast less share that came true: positive is too rosy."""


class ScoreBand(JournalModel):
    """What proposals of one grade came to."""

    grade: str
    n: int
    hit: Interval
    forecast: float | None = None
    """Mean forecast probability."""
    ev: float | None = None
    """Mean expected value, currency per structure."""
    result: Interval
    """Mean result at expiry, currency per structure."""
    rom: float | None = None
    """Mean result over margin."""


class ScoreTest(JournalModel):
    """Whether a higher score went with a better outcome."""

    n: int
    clusters: int
    bands: tuple[ScoreBand, ...] = ()
    correlation: Interval
    """Spearman's rank correlation of score and result over margin."""


class JournalReport(JournalModel):
    """Everything `tomic journal stats` shows."""

    overall: Statistics
    groups: tuple[Statistics, ...] = ()
    by: str = ""
    trades: Calibration
    proposals: Calibration
    score: ScoreTest
    notes: tuple[str, ...] = ()
