"""
Backtests as they leave the program: trades, what was promised and what came, and how sure that is.

Money is currency per structure. Whatever is *per margin* or *per CVaR* is a fraction of the net
margin, or of CVaR95 under the market's density of the day of entry.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from tomic.models.frames import Framed
from tomic.models.market import Model

TradeSource = Literal["quotes", "surface", "history"]
"""
What a trade was found and valued on, best first.

``quotes`` are recorded chains with bid and ask; ``surface`` a smile modelled from a day's
volatility at the money, skew and term; ``history`` the same from closes and 30-day IV, the skew a
parameter.
"""


class Estimate(Model):
    """A figure and where it lies in 90 % of the histories that could have been."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    """Both by resampling blocks of two months; None where there are too few."""
    blocks: int = 0
    """Independent blocks of two months that the data fall in, at best."""

    @property
    def holds_zero(self) -> bool:
        """Whether the interval does not tell the figure from nothing; also where there is none."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


class BacktestTrade(Model):
    """One trade that was opened, and what came of it."""

    symbol: str
    strategy: str
    trade: str
    """Its legs in a line, as `Proposal.trade`; strikes of a modelled smile are not listed ones."""
    source: TradeSource
    day: dt.date
    """Of entry."""
    rank: int
    """Place in the ranking of its day, from 1."""
    expiry: dt.date
    closed: dt.date
    exit: str
    """``expiry``, the exit rule that closed it, or ``end_of_data``."""
    credit: float
    """After costs of entry; negative for a debit."""
    margin: float
    cvar: float
    score: float
    pos: float
    ev: float
    """Promised: of holding, after costs of entry, under the density that ranks."""
    ev_market: float
    """The same under the market's density."""
    gross: float
    """P&L at the middle of the market, before all costs."""
    entry_costs: float
    exit_costs: float
    pnl: float
    """Of the way it was run, after all costs."""
    held: float | None = None
    """P&L of the same trade held to its expiry; None where that is not in the data."""
    underlying: float | None = None
    """Return of the underlying from entry to close, fraction."""
    iv30: float | None = None
    iv_percentile: float | None = None
    event: str = ""
    """An event within its life that was known at entry, such as ``earnings 2024-05-02``."""
    unmarked: int = 0
    """Trading days of its life without a price of every leg: no exit was judged on them."""

    @property
    def days(self) -> int:
        """Calendar days held."""
        return (self.closed - self.day).days


class BacktestGroup(Model):
    """Trades that belong together: what they were promised, and what came."""

    label: str
    trades: int
    win_rate: float | None = None
    pos: float | None = None
    """Mean promised probability of success."""
    promised: float | None = None
    """Mean promised EV per margin."""
    promised_cvar: float | None = None
    """Mean promised EV per CVaR."""
    per_margin: Estimate = Estimate()
    per_cvar: Estimate = Estimate()
    median_per_margin: float | None = None
    median_per_cvar: float | None = None
    pnl: float | None = None
    """Sum, currency."""


class BacktestBucket(Model):
    """Forecasts of about one size, and what came."""

    trades: int
    promised: float
    """Mean forecast: a probability, or EV per margin."""
    came: Estimate
    """Share won, or P&L per margin."""


class BacktestBaseline(Model):
    """What no judgement would have brought over the same days."""

    name: str
    """``market EV``, ``random choice`` or ``buy and hold``."""
    text: str
    """What it is, in a sentence."""
    per_margin: Estimate = Estimate()
    per_cvar: Estimate = Estimate()
    difference: Estimate = Estimate()
    """The backtest less it, per CVaR (``buy and hold``: per margin), paired by day of entry."""


class BacktestCosts(Model):
    """The same trades at another level of costs."""

    name: str
    per_margin: Estimate = Estimate()
    per_cvar: Estimate = Estimate()
    mean_costs: float | None = None
    """Entry and exit, currency a trade."""


class ReasonCount(Model):
    """How often something could not be done, and why."""

    reason: str
    count: int


class BacktestWeek(Model):
    """One calendar week of the account, one structure a trade."""

    monday: dt.date
    pnl: float
    """Change of the value of what is open plus what was closed, where marks are known; else what
    was closed."""
    total: float
    """Sum up to its end."""
    opened: int
    closed: int


class BacktestResult(Model, Framed):
    """A walk forward: the scan's own choice of every day, and what came of it."""

    settings: dict[str, Any]
    """Sections that decide, as they were: scan, score, view, costs, account, margin, journal."""
    changed: dict[str, str] = Field(default_factory=dict)
    """Keys that differ from the defaults, with their values."""
    symbols: tuple[str, ...]
    strategies: tuple[str, ...]
    every: Literal["week", "day"]
    run: Literal["hold", "managed"]
    start: dt.date | None
    """First day of entry that was looked at."""
    end: dt.date | None
    """The last."""
    entry_days: int
    symbol_days: int
    """Symbols times days that were searched."""
    candidates: int
    """Trades that the ranking chose from, after gates and rules."""
    sources: dict[TradeSource, int]
    """Trades by source."""
    data: tuple[str, ...] = ()
    """Files, or the store, that the days came from."""
    blocks: int = 0
    """Independent blocks of two months."""
    overall: BacktestGroup
    trades: tuple[BacktestTrade, ...] = ()
    weeks: tuple[BacktestWeek, ...] = ()
    worst_week: BacktestWeek | None = None
    drawdown: float = 0.0
    """Deepest fall of the weekly total from its peak, <= 0, currency."""
    drawdown_from: dt.date | None = None
    """Monday of the week of the peak."""
    drawdown_to: dt.date | None = None
    """Monday of the week of the trough."""
    ev_deciles: tuple[BacktestBucket, ...] = ()
    """Of all candidates by promised EV per margin, held to expiry."""
    pos_deciles: tuple[BacktestBucket, ...] = ()
    """Of all candidates by promised PoS, held to expiry."""
    top: tuple[BacktestGroup, ...] = ()
    """Of the chosen: the first of every day, the first three, and so on."""
    structures: tuple[BacktestGroup, ...] = ()
    """All candidates before gates and rules, held to expiry, by strategy."""
    by_strategy: tuple[BacktestGroup, ...] = ()
    by_symbol: tuple[BacktestGroup, ...] = ()
    by_year: tuple[BacktestGroup, ...] = ()
    by_iv_percentile: tuple[BacktestGroup, ...] = ()
    by_event: tuple[BacktestGroup, ...] = ()
    """With and without an event within the life of the trade."""
    by_source: tuple[BacktestGroup, ...] = ()
    by_exit: tuple[BacktestGroup, ...] = ()
    baselines: tuple[BacktestBaseline, ...] = ()
    costs: tuple[BacktestCosts, ...] = ()
    """First as the settings have them."""
    sensitivity: tuple[BacktestGroup, ...] = ()
    """The whole run again with other parameters of what is modelled; empty on real quotes."""
    not_built: tuple[ReasonCount, ...] = ()
    """Days, symbols and trades that could not be built or followed, most first."""
    refused: tuple[ReasonCount, ...] = ()
    """Candidates that gates and rules refused, most first."""
    excluded: tuple[ReasonCount, ...] = ()
    """What the cleaning took out of the data."""
    variants: int = 1
    """Backtests run so far on this store over these symbols, this one among them."""
    verdict: str
    """The plain sentence: what the interval proves, and whether it holds zero."""
    notes: tuple[str, ...] = ()
    partial: str = ""
    """Why it is not whole; empty when it is."""

    def _framed(self) -> Iterable[Any]:
        return self.trades

    def _heading(self) -> str:
        return f"{len(self.trades)} trades, {self.start} to {self.end}: {self.verdict}"


class BacktestDifference(Model):
    """A figure under two configurations."""

    name: str
    base: float | None
    other: float | None
    difference: Estimate
    """Other less base, paired by day of entry; a day on which neither opens counts nothing."""


class Comparison(Model, Framed):
    """Two configurations over the same days."""

    base: BacktestResult
    other: BacktestResult
    other_name: str
    """The file of the other configuration."""
    changed: dict[str, tuple[str, str]] = Field(default_factory=dict)
    """Keys that differ, with their values: base, other."""
    days: int
    """Days of entry that both looked at."""
    differences: tuple[BacktestDifference, ...]
    verdict: str

    def _framed(self) -> Iterable[Any]:
        return self.differences

    def _heading(self) -> str:
        return f"{self.other_name}: {self.verdict}"


class SweepRow(Model):
    """One value of the key that is swept."""

    value: str
    trades: int
    win_rate: float | None = None
    per_margin: Estimate = Estimate()
    per_cvar: Estimate = Estimate()
    difference: Estimate = Estimate()
    """Per CVaR, less the base, paired by day of entry, with the interval of one look."""
    p_value: float | None = None
    """Two-sided, of one look; None for the base."""
    p_adjusted: float | None = None
    """After the correction; None for the base."""
    is_base: bool = False


class Sweep(Model, Framed):
    """One key at several values, corrected for the number of looks."""

    key: str
    base: BacktestResult
    """With the value that the settings have."""
    rows: tuple[SweepRow, ...]
    correction: str
    """How p values are adjusted, in a sentence."""
    variants: int = 1
    """Backtests run so far on this store over these symbols, these among them."""
    verdict: str

    def _framed(self) -> Iterable[Any]:
        return self.rows

    def _heading(self) -> str:
        return f"{self.key}: {self.verdict}"
