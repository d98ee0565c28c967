"""What a review of the book says: structures, exposure, stress, alerts, and what is missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from tomic.models.book import AccountSummary
from tomic.models.documents import UnboundedModel
from tomic.models.frames import Framed, row_of
from tomic.models.market import DataType, Model

if TYPE_CHECKING:
    import pandas as pd


class PortfolioGreeks(Model):
    """
    Sensitivities of anything held. Money in base currency.

    Positions whose Greeks are unknown are not in it; `Gap` names them.
    """

    contract_delta: float = 0.0
    """Sum of delta x contracts, as the original program counted; shares count as hundreds."""
    delta: float = 0.0
    """Shares of the underlying that move alike."""
    delta_value: float = 0.0
    """Worth of those shares."""
    gamma: float = 0.0
    """Shares of delta per point."""
    gamma_value: float = 0.0
    """Change of `delta_value` if the underlying moves 1 %."""
    vega: float = 0.0
    """Per 0.01 of volatility."""
    theta: float = 0.0
    """Per calendar day."""


class HeldLeg(Model):
    """A part of a position that belongs to a structure; figures per share, quantity signed."""

    contract: str
    quantity: float
    right: Literal["C", "P"] | None = None
    strike: float | None = None
    expiry: dt.date | None = None
    multiplier: float = 1.0
    con_id: int | None = None
    cost: float | None = None
    price: float | None = None
    price_source: str = "none"
    iv: float | None = None
    sigma_source: Literal["own", "near", "iv30", "hv30", "none"] = "none"
    """Whose volatility stands behind its Greeks and stress."""
    delta: float | None = None
    problem: str = ""


class Structure(UnboundedModel):
    """
    One strategy that is held. Money in base currency, for the whole holding.

    `margin` and `rom` are part of the estimate after Cboe's rules, not the broker's own figure.
    """

    unbounded: ClassVar[tuple[str, ...]] = ("max_profit", "max_loss", "margin", "margin_net")

    id: str
    """Symbol and number within this book, for example SPY-1; `contracts` outlives it."""
    strategy: str
    symbol: str
    account: str
    source: Literal["pin", "journal", "match"]
    """Who grouped it: you, the journal, or the matching."""
    link: str = ""
    """Name of the pin or journal entry."""
    quantity: float
    """How many times the structure is held; 1 where its legs have no common multiple."""
    legs: tuple[HeldLeg, ...]
    currency: str = "USD"
    expiry: dt.date | None = None
    """First expiry; None for shares only."""
    last_expiry: dt.date | None = None
    dte: int | None = None
    greeks: PortfolioGreeks
    delta_per_share: float | None = None
    """Sum of delta x ratio of one structure, per share of a contract."""
    credit: float | None = None
    """Option premium received when it was entered; negative for a debit."""
    cost: float | None = None
    """What entering all of it cost, shares included; negative for a credit."""
    pnl: float | None = None
    """Unrealised, against the middle of the market."""
    max_profit: float | None = None
    """At the first expiry, from entry; inf where unbounded."""
    max_loss: float | None = None
    spot: float | None = None
    """Price of the underlying in its own currency, as `breakevens` are."""
    breakevens: tuple[float, ...] = ()
    """At the expiry that all its options share, ascending; empty where they do not."""
    short_delta: float | None = None
    """The largest delta of its short options, signed."""
    to_close: float | None = None
    """What buying its options back costs at the middle of the market; negative where it pays."""
    profit_share: float | None = None
    """P&L over the largest possible profit."""
    margin: float | None = None
    """Requirement as a broker prints it; inf where it may not be held."""
    margin_net: float | None = None
    """Requirement less the credit received, plus the debit paid."""
    rom: float | None = None
    """P&L over `margin_net`."""
    theta_margin: float | None = None
    """Theta over `margin_net`, per day."""
    iv: float | None = None
    """Mean of its options' volatilities."""
    opened: dt.date | None = None
    days_in_trade: int | None = None
    days_at_least: bool = False
    """Whether it may be older: counted from the first saved book that held it."""
    notes: tuple[str, ...] = ()

    @property
    def contracts(self) -> str:
        """
        Account and contracts, sold or bought: ``DU1: -SPY 2026-12-18 580P``.

        The same for as long as these are held together, whatever else comes and goes; `id` counts
        the structures of a symbol and shifts with them.
        """
        names = sorted(f"{'-' if leg.quantity < 0.0 else '+'}{leg.contract}" for leg in self.legs)
        return f"{self.account}: {', '.join(names)}"


class Concentration(Model):
    """What one symbol, sector, strategy or expiry holds of the whole."""

    kind: Literal["symbol", "sector", "strategy", "expiry"]
    name: str
    structures: int
    margin: float | None
    """Base currency; None where that of a structure is unknown, or it may not be held at all."""
    margin_known: float = 0.0
    """Sum of the margins that are known: the least that `margin` can be."""
    margin_unknown: tuple[str, ...] = ()
    """Structures whose margin is unknown or unbounded."""
    share: float | None
    """`margin` of all margins that are known."""
    delta_value: float


class SymbolBeta(Model):
    """How a symbol moves with the benchmark."""

    symbol: str
    beta: float
    """Shrunk towards 1."""
    error: float
    n: int
    """Pairs of returns behind it; 0 where it is assumed to be 1."""


class BetaDelta(Model):
    """The book's delta in shares of the benchmark."""

    benchmark: str
    delta: float | None
    """None without a price of the benchmark."""
    error: float | None
    """One standard error, from the betas."""
    delta_value: float
    """Base currency."""
    window: int
    """Trading days of returns asked for."""
    betas: tuple[SymbolBeta, ...]


class TailRisk(Model):
    """What one day would have cost over the stored returns; base currency, losses positive."""

    confidence: float
    days: int
    value_at_risk: float
    cvar: float
    worst: float
    worst_day: dt.date
    diversification: float | None
    """Standard deviations of the symbols' daily P&L added up, over that of the book; >= 1."""
    symbols: int
    without: tuple[str, ...] = ()
    """Symbols that have no returns, or cannot be valued."""


class StressCell(Model):
    """P&L of one cell, base currency."""

    spot_move: float
    vol_move: float
    days: int
    pnl: float


class Driver(Model):
    """What one symbol or structure adds to a cell."""

    name: str
    pnl: float


class StressGrid(Model, Framed):
    """P&L over spot x volatility x days, by full revaluation from the live spot."""

    name: str
    """A symbol, or the book in terms of the benchmark."""
    spot_moves: tuple[float, ...]
    vol_moves: tuple[float, ...]
    days: tuple[int, ...]
    pnl: tuple[tuple[tuple[float, ...], ...], ...]
    """By spot move, then volatility, then days; base currency."""
    worst: StressCell
    drivers: tuple[Driver, ...] = ()
    """Of the worst cell, largest loss first."""
    without: tuple[str, ...] = ()
    """Positions that cannot be valued."""

    def to_frame(self) -> pd.DataFrame:
        """
        P&L in base currency: columns are moves of the spot, rows days and moves of volatility.

        Moves are fractions, days calendar days; `stack` makes a column of each cell.
        """
        import pandas as pd

        cells = [
            [of_spot[place][number] for of_spot in self.pnl]
            for number in range(len(self.days))
            for place in range(len(self.vol_moves))
        ]
        return pd.DataFrame(
            cells,
            index=pd.MultiIndex.from_product((self.days, self.vol_moves), names=("days", "vol")),
            columns=pd.Index(self.spot_moves, name="spot"),
        )

    def _heading(self) -> str:
        return f"{self.name}: P&L by days and move of volatility, and of the spot"


class Jump(Model):
    """What a known event would do to the structures of one symbol; base currency."""

    symbol: str
    kind: Literal["earnings", "dividend"]
    day: dt.date
    move: float
    """Fraction of the price; of a dividend the drop."""
    up: float | None
    """P&L after a rise; None where the event has no such side."""
    down: float
    """P&L after a fall."""
    note: str = ""


class AssignmentRisk(Model):
    """A short option that its holder may well exercise."""

    structure: str
    contract: str
    quantity: float
    reason: Literal["dividend", "deep_in_the_money", "expiry"]
    time_value: float | None
    """Currency per share."""
    dividend: float | None = None
    day: dt.date | None = None
    in_cash: bool = False
    """Settled in cash, so that no shares change hands."""
    message: str


class Severity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    """Context: nothing has to be done."""
    WARNING = "warning"
    ALARM = "alarm"


LimitUnit: TypeAlias = Literal["fraction", "currency", "shares", "delta", "days"]


class Alert(Model):
    """A threshold that was crossed: the number, the limit, and what one may do."""

    rule: str
    severity: Severity
    scope: str
    """``book``, a symbol, or the id of a structure."""
    value: float | None
    """What was seen; None where it is unknown, as the time value of an option without a price."""
    limit: float | None
    """None where the rule has no number to compare with."""
    unit: LimitUnit
    """Of the limit; a fraction is printed in per cent."""
    message: str
    advice: str

    @property
    def limit_text(self) -> str:
        """The limit in words; empty where the rule has no number."""
        if self.limit is None:
            return ""
        if self.unit == "fraction":
            return f"limit {self.limit * 100.0:.10g}%"
        return f"limit {self.limit:,.10g}"


class Gap(Model):
    """Something that is held but not, or not wholly, in the figures."""

    name: str
    account: str
    quantity: float
    reason: str
    missing: Literal["all", "greeks", "price", "nothing"]
    """What of it the totals lack."""


class WhatIfMargin(Model):
    """What the broker says one combination would change; base currency of the account."""

    account: str
    order: str
    initial_before: float | None = None
    initial_change: float | None = None
    initial_after: float | None = None
    maintenance_change: float | None = None
    maintenance_after: float | None = None
    equity_change: float | None = None
    commission: float | None = None
    currency: str = ""
    warning: str = ""


class BookTotals(Model):
    """The book in one row; base currency."""

    greeks: PortfolioGreeks
    beta: BetaDelta | None = None
    pnl: float | None = None
    """Unrealised; None where that of a structure is unknown."""
    pnl_known: float | None = None
    """Sum of what is known; None where nothing is."""
    pnl_unknown: tuple[str, ...] = ()
    """Structures whose P&L is unknown."""
    margin: float | None = 0.0
    """By our rules; None where that of a structure is unknown, or it may not be held at all."""
    margin_net: float | None = 0.0
    """Less credits received, plus debits paid; None where that of a structure is unknown."""
    margin_known: float = 0.0
    """Sum of the margins that are known: the least that `margin` can be."""
    margin_unknown: tuple[str, ...] = ()
    """Structures that `margin` or `margin_net` lacks."""
    margin_share: float | None = None
    """`margin` of net liquidation."""
    worst: StressCell | None = None
    worst_share: float | None = None
    """Loss of the worst cell over net liquidation."""


class BookReview(Model, Framed):
    """The whole review."""

    as_of: AwareDatetime
    currency: str
    data_type: DataType | None
    accounts: tuple[AccountSummary, ...]
    net_liquidation: float | None
    rates: dict[str, float] = Field(default_factory=dict)
    totals: BookTotals
    structures: tuple[Structure, ...]
    concentration: tuple[Concentration, ...] = ()
    stress: StressGrid | None = None
    stress_by_symbol: tuple[StressGrid, ...] = ()
    tail: TailRisk | None = None
    jumps: tuple[Jump, ...] = ()
    assignments: tuple[AssignmentRisk, ...] = ()
    alerts: tuple[Alert, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()

    def _framed(self) -> Iterable[Any]:
        for structure in self.structures:
            row = row_of(structure)
            legs = ", ".join(f"{leg.quantity:+g} {leg.contract}" for leg in structure.legs)
            yield {"id": row.pop("id"), "symbol": row.pop("symbol"), "legs": legs, **row}

    def _heading(self) -> str:
        return f"{len(self.structures)} structures, {self.as_of:%Y-%m-%d %H:%M %Z}, {self.currency}"


class FitChange(Model):
    """What a trade would change in the book; base currency."""

    trade: str
    fit: float
    """F in (0, 1]."""
    delta_value: float
    """Beta-weighted, of the benchmark."""
    gamma_value: float
    vega: float
    theta: float
    margin: float | None
    """Net; None where what is held or the trade has an unknown one."""
    worst: float | None
    """Change of the P&L in the book's worst stress cell; negative is a larger loss."""
    notes: tuple[str, ...] = ()
