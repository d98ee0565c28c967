"""Journal nouns: an entry with its trades, marks and exit rules, and what is read from them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from tomic.models.documents import UnboundedModel
from tomic.models.exits import ExitRules
from tomic.models.frames import Framed
from tomic.models.market import Marked, Model, normalize_symbol
from tomic.models.moves import EndedMoves

__all__ = ["ExitRules"]


class Verdict(StrEnum):
    """The verdict of a check of an entry."""

    ACT = "act"
    """A rule fired."""
    HOLD = "hold"
    """Every rule was judged on fresh marks, and none fired."""
    STALE = "stale"
    """None fired, but on marks that may have moved since."""
    UNJUDGED = "unjudged"
    """None fired, but not every rule could be judged."""


class ExitSignal(Model):
    """A rule that fired, or one that could not be judged."""

    rule: str
    fired: bool
    observed: float | None = None
    """In the unit of the limit; None where it is not available."""
    limit: float | None = None
    text: str
    """What was observed against what was agreed, in words."""
    advice: str = ""


class ExitLevels(Model):
    """
    Where the rules close an entry, as one types it; None where a rule is off or cannot come about.

    Prices are of one structure, currency per share: received > 0, paid < 0.
    """

    take: float | None = None
    stop: float | None = None
    structures: int = 1
    last_day: dt.date | None = None
    """When *days* are left to the first expiry."""
    days: int | None = None


class ExitCheck(Model):
    """How the rules of one entry were judged."""

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
    levels: ExitLevels | None = None
    """None where nothing is held."""
    lacks_earnings: bool = False
    """Whether a rule looks at earnings and no date is known, of what may have any."""


class Attribution(Model):
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
    """Fills against the middle of the market, and moves between fills without marks."""
    costs: float = 0.0
    """Commissions, negative."""
    notes: tuple[str, ...] = ()


class Interval(Model):
    """An estimate with its 95 % interval; None where there are too few data."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Statistics(UnboundedModel):
    """How a set of closed campaigns did; money in currency, shares and returns as fractions."""

    unbounded: ClassVar[tuple[str, ...]] = ("profit_factor",)

    label: str = ""
    currency: str = ""
    """Of its money; empty where nobody said."""
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


class CalibrationBin(Model):
    """Forecasts between two probabilities and how often they came true."""

    low: float
    high: float
    n: int
    forecast: float
    """Mean forecast."""
    hit: Interval
    """Share that came true; bootstrap over clusters."""


class Calibration(Model):
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
    """Mean forecast less share that came true: positive is too optimistic."""


class ScoreBand(Model):
    """How proposals of one grade ended."""

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


class ScoreTest(Model):
    """Whether a higher score went with a better outcome."""

    n: int
    clusters: int
    bands: tuple[ScoreBand, ...] = ()
    correlation: Interval
    """Spearman's rank correlation of score and result over margin."""


class JournalReport(Model, Framed):
    """Everything `tomic journal stats` shows."""

    overall: Statistics
    groups: tuple[Statistics, ...] = ()
    by: str = ""
    trades: Calibration
    proposals: Calibration
    score: ScoreTest
    alternatives: EndedMoves = EndedMoves()
    """What holding, rolling and closing would have brought, of all that `tomic manage` showed."""
    notes: tuple[str, ...] = ()

    def _framed(self) -> Iterable[Any]:
        return (self.overall, *self.groups)

    def _heading(self) -> str:
        return f"{self.overall.n} closed campaigns"


MOST_NUMBER = 2**63
"""Numbers of entries and contracts are below: there the integers of a store end."""
_NO_LETTERS = re.compile(r"[^A-Za-z0-9]")
_COMPACT_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


def _day(value: Any) -> Any:
    """Read ``20250718`` as the day it is; pydantic would take it for seconds since 1970."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and (match := _COMPACT_DAY.fullmatch(value.strip())):
        return "-".join(match.groups())
    return value


def _or_nan(value: Any) -> Any:
    return math.nan if value is None else value


Day = Annotated[dt.date, BeforeValidator(_day)]
"""A calendar day; in files ``2025-07-18`` and ``20250718`` are the same."""


class EntryStatus(StrEnum):
    """Where an entry stands."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    """Never traded, or entered by mistake: kept, and counted nowhere."""


class Action(StrEnum):
    """What a trade did to the campaign."""

    OPEN = "open"
    ADJUST = "adjust"
    """Legs added beside the ones held."""
    ROLL = "roll"
    """Legs closed and others opened in one go."""
    CLOSE = "close"
    EXPIRE = "expire"
    ASSIGN = "assign"
    """Exercise or assignment, or settlement in cash."""
    CONVERT = "convert"
    """Contracts that go on under other terms, after a split or a special dividend."""


class ContractKey(NamedTuple):
    """What makes two legs the same contract; expiry, strike and right are None for shares."""

    expiry: dt.date | None
    strike: float | None
    right: str | None
    multiplier: int = 100
    """Of an option: a mini contract is another one than the standard. Shares have the default."""
    trading_class: str = ""
    """Of an option where it is known: SPX, settled at the open, is not SPXW."""

    def is_like(self, other: ContractKey) -> bool:
        """Whether both can be one contract: a class that is not known may be any."""
        return self[:4] == other[:4] and is_one_class(self.trading_class, other.trading_class)


def is_one_class(name: str, other: str) -> bool:
    """Whether two trading classes can be one: BRK B, BRK.B and BRKB are; an unknown may be any."""
    if name == other or not name or not other:
        return True
    return _NO_LETTERS.sub("", name) == _NO_LETTERS.sub("", other)


def price_of(prices: Mapping[ContractKey, float | None], key: ContractKey) -> float | None:
    """The price of one contract; one without a class has that of its terms."""
    if key in prices:
        return prices[key]
    return next((price for other, price in prices.items() if other.is_like(key)), None)


_SHARES = (None, None, None, ContractKey(None, None, None).multiplier)
"""Terms of shares, whatever multiplier a broker gives them."""
_GIVEN: dict[frozenset[str], set[str]] = {}
"""Names of the fields that models were given, each collection of them once."""
_OF_CLASS: dict[type, set[str]] = {}
"""Names of all fields of a model."""
_set = object.__setattr__


class _Numerous(Model):
    """
    What a journal has tens of thousands of.

    pydantic keeps with each model a set of the names it was given, which takes as much memory as
    all that they say; models that were given the same fields share it. Nothing adds to it: they
    are frozen, and copies get sets of their own.
    """

    def model_post_init(self, _: Any, /) -> None:
        """Share the set."""
        given = self.__pydantic_fields_set__
        _set(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))

    @classmethod
    def of_checked(cls, values: dict[str, Any]) -> Self:
        """
        A model of values that were checked before: of every field, by name, each of its type.

        It keeps the dictionary itself. An import makes a hundred thousand models of parts of
        others, and to validate those again takes several times as long.
        """
        made = cls.__new__(cls)
        given = _OF_CLASS.get(cls)
        if given is None:
            given = _OF_CLASS[cls] = set(cls.model_fields)
        _set(made, "__dict__", values)
        _set(made, "__pydantic_fields_set__", given)
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with other values, which are not checked; every field counts as given."""
        if deep:
            return super().model_copy(update=update, deep=True)
        return self.of_checked({**self.__dict__, **update} if update else dict(self.__dict__))


class Contract(_Numerous):
    """An option of the entry's symbol, or its shares where expiry, strike and right are None."""

    expiry: Day | None = None
    strike: float | None = Field(default=None, gt=0.0)
    right: Literal["C", "P"] | None = None
    multiplier: int = Field(default=100, gt=0)
    """Shares per contract; 1 for shares."""
    con_id: int | None = None
    trading_class: str = ""

    @model_validator(mode="after")
    def _whole_or_shares(self) -> Self:
        given = (self.expiry is not None, self.strike is not None, self.right is not None)
        if any(given) and not all(given):
            raise ValueError("an option needs expiry, strike and right; shares have none of them")
        return self

    @property
    def key(self) -> ContractKey:
        """What makes two legs the same contract."""
        if self.is_stock:
            return ContractKey(None, None, None)
        return ContractKey(
            self.expiry, self.strike, self.right, self.multiplier, self.trading_class
        )

    @property
    def terms(self) -> tuple[dt.date | None, float | None, str | None, int]:
        """The first four of the key, for those who look through tens of thousands of fills."""
        if self.right is None:
            return _SHARES
        return self.expiry, self.strike, self.right, self.multiplier

    @property
    def is_stock(self) -> bool:
        """Whether these are shares."""
        return self.right is None

    @property
    def is_call(self) -> bool:
        """Whether it is a call; False for puts and shares."""
        return self.right == "C"

    @property
    def name(self) -> str:
        """As people write it: ``560P 2025-06-20``, or ``shares``."""
        if self.is_stock:
            return "shares"
        return f"{self.strike:g}{self.right} {self.expiry}"


class Fill(Contract):
    """What was bought (+) or sold (-) of one contract."""

    quantity: float
    price: float | None = Field(default=None, ge=0.0)
    """Currency per share; None where only the price of the whole structure is known."""
    commission: Annotated[float, BeforeValidator(_or_nan)] = 0.0
    """Currency for the whole fill; negative for a rebate, NaN (null in JSON) where unknown."""
    mid: float | None = None
    """Middle of the market at that moment, currency per share."""
    exec_id: str = ""
    """The broker's number of the execution, where it came from one."""
    account: str = ""
    """Of the broker; empty where nobody said."""
    currency: str = ""
    """Of price and commission; empty where nobody said, which is never taken for dollars."""

    @field_validator("quantity")
    @classmethod
    def _some(cls, value: float) -> float:
        if value == 0.0:
            raise ValueError("a quantity must not be 0")
        return value


class Held(Contract):
    """What is left of one contract."""

    quantity: float


class Trade(_Numerous):
    """
    Fills that belong together, at one moment.

    Either every fill has a price, or *price* says what one structure brought in.
    """

    at: AwareDatetime
    action: Action
    fills: tuple[Fill, ...] = Field(min_length=1)
    price: float | None = None
    """Received for one structure, currency per share; negative when paid."""
    structures: int = Field(default=1, gt=0)
    spot: float | None = None
    note: str = ""
    order: str = ""
    """The broker's number of the order, where it came from one."""

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.price is None and any(fill.price is None for fill in self.fills):
            missing = ", ".join(fill.name for fill in self.fills if fill.price is None)
            raise ValueError(f"a price is missing for {missing}")
        return self


class CashKind(StrEnum):
    """Money that comes or goes without a trade."""

    DIVIDEND = "dividend"
    IN_LIEU = "payment in lieu"
    """Of a dividend, on shares that were lent or sold short."""
    WITHHOLDING = "withholding tax"
    INTEREST = "interest"
    SETTLEMENT = "cash settlement"
    """Of an option that is exercised, assigned or expires without shares changing hands."""
    FEE = "fee"
    OTHER = "other"


class CashFlow(Model):
    """Money that a broker booked beside the trades."""

    id: str = ""
    """The broker's number of the booking."""
    at: AwareDatetime
    kind: CashKind
    amount: float
    """Received > 0, paid < 0, in *currency*."""
    currency: str = ""
    account: str = ""
    symbol: str = ""
    """Underlying that it belongs to; empty where it belongs to none."""
    contract: Contract | None = None
    """What was held, or was settled; None where that is not told."""
    trade_id: str = ""
    """Of the exercise, assignment or expiry that it settles."""
    corrects: tuple[str, ...] = ()
    """Numbers of the bookings that it takes back or replaces."""
    text: str = ""
    """The broker's own words."""
    source: str = ""


class ChangeKind(StrEnum):
    """Why a contract goes on under other terms."""

    SPLIT = "split"
    """Reverse splits and stock dividends too: *ratio* says which."""
    SPECIAL_DIVIDEND = "special dividend"
    SYMBOL = "symbol change"
    OTHER = "other"


class ContractChange(Model):
    """A corporate action: what was held is another contract from a moment on."""

    id: str = ""
    at: AwareDatetime
    kind: ChangeKind
    symbol: str
    """Underlying before it."""
    new_symbol: str = ""
    """Underlying after it; empty where it stays."""
    account: str = ""
    """Empty where it is told for all of them."""
    before: Contract | None = None
    """One contract of before; None where only the underlying is told."""
    after: Contract | None = None
    ratio: float | None = None
    """New shares for an old one: 10 for 10:1, 0.1 for 1:10; None where it is not told."""
    text: str = ""
    """The broker's own words."""
    source: str = ""


class LegMark(Marked, Contract):
    """One contract as it was quoted; None where a number is missing."""

    div_yield: float | None = 0.0
    """Yield that puts the forward where the expiry trades, at `rate`; None where none was known."""
    rate: float | None = None
    """To its expiry, as its options imply it, fraction a year; None: the snapshot's."""
    forward: float | None = None
    """Of its expiry, where Greeks are per unit of that: the spot of a volatility index is not."""
    tau: float | None = None
    """Years to expiry at that moment."""
    source: str = ""
    """live, frozen, delayed, close, history, stored, replay or model; empty when missing."""


class Circumstances(Model):
    """The market around a campaign, and its Greeks; None where a figure is not known."""

    spot: float | None = None
    iv_rank: float | None = None
    iv_percentile: float | None = None
    hv30: float | None = None
    vix: float | None = None
    atr14: float | None = None
    skew: float | None = None
    delta: float | None = None
    """Of all that is held: shares."""
    gamma: float | None = None
    """Shares per point."""
    vega: float | None = None
    """Currency per 0.01 of volatility."""
    theta: float | None = None
    """Currency per calendar day."""


class Snapshot(Circumstances):
    """What was seen of a campaign at one moment."""

    at: AwareDatetime
    data_type: str = ""
    rate: float = 0.0
    european: bool = False
    """Whether the options cannot be exercised early."""
    legs: tuple[LegMark, ...] = ()
    pnl: float | None = None
    """Of the whole campaign at that moment, currency."""
    iv30: float | None = None
    note: str = ""

    def mark(self, key: ContractKey) -> LegMark | None:
        """The mark of one contract, None when it is not among them."""
        exact = next((leg for leg in self.legs if leg.key == key), None)
        return exact or next((leg for leg in self.legs if leg.key.is_like(key)), None)

    @property
    def prices(self) -> dict[ContractKey, float | None]:
        """Price of every contract, shares at the spot; currency per share."""
        prices: dict[ContractKey, float | None] = {leg.key: leg.price for leg in self.legs}
        prices[ContractKey(None, None, None)] = self.spot
        return prices


class Context(Circumstances, UnboundedModel):
    """What was known when the entry was opened; None where it was not."""

    unbounded: ClassVar[tuple[str, ...]] = ("margin", "max_profit", "max_loss")

    as_of: AwareDatetime | None = None
    source: str = ""
    """Where it comes from: proposal, live, demo, replay, stored or import."""
    proposal: str = ""
    """Id of the saved proposal behind the entry."""
    iv: float | None = None
    """30-day implied volatility, fraction."""
    term_m1_m2: float | None = None
    term_m1_m3: float | None = None
    margin: float | None = None
    """What all structures take from excess liquidity, currency."""
    max_profit: float | None = None
    max_loss: float | None = None
    pos: float | None = None
    """P(P&L > 0) at the first expiry as it was said then; by earlier versions under a forecast."""
    ev: float | None = None
    """Mean P&L of all structures together, currency."""
    score: float | None = None
    grade: str = ""
    score_parts: Mapping[str, float] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """Names of figures that were not available."""

    @model_validator(mode="before")
    @classmethod
    def _of_former_versions(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "pos_market" not in data:
            return data
        # What was said of the entry is `pos`; the market's stood beside it.
        return {name: value for name, value in data.items() if name != "pos_market"}


NO_CONTEXT = Context()
"""Shared by thousands of entries: a default that holds a mapping would be copied for each."""


class Note(Model):
    """Something the trader wanted to remember."""

    at: AwareDatetime
    text: str


class Stated(Model):
    """Figures that were typed in the program the entry comes from; used where nothing computes."""

    result: float | None = None
    """Currency."""
    rom: float | None = None
    """Fraction."""
    days: int | None = None


class JournalEntry(_Numerous):
    """
    A campaign: everything done in one idea from its first trade to its last.

    Money, results and what is held are computed from the trades (`tomic.journal.campaign`).
    """

    id: Annotated[int, Field(ge=0, lt=MOST_NUMBER)] | None = None
    revision: int = 0
    continues: Annotated[int, Field(ge=0, lt=MOST_NUMBER)] | None = None
    """Id of the entry whose campaign goes on here."""
    symbol: Annotated[str, AfterValidator(normalize_symbol)]
    account: str = ""
    """The one account of all its trades; empty where nobody said."""
    currency: str = ""
    """Of all its money; empty where nobody said."""
    strategy: str = ""
    status: EntryStatus = EntryStatus.OPEN
    opened_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    trades: tuple[Trade, ...] = ()
    flows: tuple[CashFlow, ...] = ()
    """Dividends, interest and settlements in cash; a part of its result."""
    rules: ExitRules = ExitRules()
    context: Context = Context()
    snapshots: tuple[Snapshot, ...] = ()
    plan: str = ""
    reason: str = ""
    tags: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    stated: Stated | None = None
    original: dict[str, Any] | None = None
    """The entry word for word as it was in the file it was imported from."""

    @property
    def is_open(self) -> bool:
        """Whether the campaign still holds something."""
        return self.status is EntryStatus.OPEN
