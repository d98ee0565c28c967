"""Management nouns: what can be done with what is held, each alternative with its figures."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from pydantic import AwareDatetime

from tomic.models.documents import UnboundedModel
from tomic.models.journal import ExitSignal
from tomic.models.market import DataType, Model
from tomic.models.moves import MoveKind
from tomic.models.trade import Leg


class Move(UnboundedModel):
    """
    One alternative for a position, judged; money in currency for the whole position.

    *mid*, *natural* and *limit* are of one structure, as one types them. Probability of success
    and breakevens are of the campaign with all that it has brought in so far; `ev`, `ev_change`
    and `cvar95` are from here on: what is gained or lost beside the value of now.
    """

    unbounded: ClassVar[tuple[str, ...]] = ("max_profit", "max_loss", "margin")

    kind: MoveKind
    text: str
    """The alternative in words."""
    rank: int = 0
    by_rule: bool = False
    """Whether it does what an exit rule that fired asks for."""
    reason: str = ""
    """Why it stands where it stands."""
    trades: tuple[Leg, ...] = ()
    """What to buy and sell, whole quantities; nothing to hold."""
    structures: int = 1
    """How many times the smallest whole structure is traded."""
    mid: float = 0.0
    """Received > 0, paid < 0: currency per share of one structure."""
    natural: float = 0.0
    """Sold at the bid, bought at the ask."""
    limit: float = 0.0
    """Executable price on its tick."""
    tick: float | None = None
    """Step of the limit, currency per share; None where nothing is traded."""
    spread_cost: float = 0.0
    """Given away beside mid, as `costs.slippage` has it."""
    commission: float = 0.0
    locked_in: float | None = None
    """Realised on what is closed, after the costs of both; None where its opening is unknown."""

    legs: tuple[Leg, ...] = ()
    """What is held afterwards."""
    net_credit: float
    """All cash of the campaign with this trade, its shares counted at the spot of now."""
    expiry: dt.date | None = None
    """First expiry afterwards; None where nothing is left that expires."""
    dte: int | None = None
    tau: float = 0.0
    forward: float
    rate: float
    multiplier: int = 100
    spot: float
    market_volatility: float = 0.0

    breakevens: tuple[float, ...] = ()
    max_profit: float | None = None
    """Of the campaign at the first expiry."""
    max_loss: float | None = None
    pos: float
    """P(campaign ends with a profit)."""
    p_target: float | None = None
    """P(the profit target closes it before the stop); None where not asked, or the rule is off."""
    ev: float
    """Mean P&L from here on, costs of the trade included."""
    ev_change: float = 0.0
    """`ev` beside that of holding."""
    ev_error: float = 0.0
    """Standard error of *ev_change*: of quotes, and of volatility as it usually is missed."""
    cvar95: float
    """Mean loss from here of the worst 5 % of outcomes, those without loss counted as 0."""
    margin: float | None = None
    """Requirement of what is held afterwards, as a broker prints it."""
    margin_change: float | None = None
    buying_power_after: float | None = None
    """Excess liquidity afterwards; None without a saved book."""
    delta: float | None = None
    """Shares, of what is held afterwards, as the other Greeks."""
    vega: float | None = None
    theta: float | None = None
    delta_change: float | None = None
    vega_change: float | None = None
    fit: float = 1.0
    """F in (0, 1] of the trade in the saved book; 1 without one."""
    liquidity: float = 1.0
    """L in (0, 1], of all contracts held before or after."""
    score: float = 0.0
    """0 to 100."""


class MoveRefusal(Model):
    """An alternative that does not apply or that a rule refuses, and why."""

    kind: MoveKind
    reason: str


class Advice(Model):
    """What can be done with one position: its alternatives, best first."""

    id: str
    """Of a journal entry its number, of a structure of the book its name there."""
    entry_id: int | None = None
    symbol: str
    strategy: str
    currency: str = ""
    as_of: AwareDatetime
    data_type: DataType | None = None
    trading_class: str = ""
    spot: float | None = None
    held: tuple[str, ...] = ()
    pnl: float | None = None
    """Of the campaign, at the marks."""
    dte: int | None = None
    signals: tuple[ExitSignal, ...] = ()
    """Exit rules that fired."""
    moves: tuple[Move, ...] = ()
    refused: tuple[MoveRefusal, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    """Why nothing could be judged; empty where something was."""

    @property
    def best(self) -> Move | None:
        """The first of the alternatives."""
        return self.moves[0] if self.moves else None

    @property
    def hold(self) -> Move | None:
        """What the others are compared with."""
        return next((move for move in self.moves if move.kind is MoveKind.HOLD), None)
