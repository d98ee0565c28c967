"""Trade nouns: a leg, a proposal with its score, refusals, and the result of a scan."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, Field, model_validator

from tomic._drawing import draw
from tomic.models.documents import UNLIMITED, UnboundedModel
from tomic.models.frames import Framed, row_of
from tomic.models.market import DataType, Model, SpotSource

_NAMED = 5
"""How many symbols of a scan are named in a sentence."""

Side = Literal["bullish", "bearish", "neutral"]
"""Which way the underlying should go; neutral profits where it stays."""


class PriceSource(StrEnum):
    """Where the price of a leg comes from, best first."""

    TRUE = "true"
    """The middle of its own bid and ask."""
    PARITY = "parity"
    """From the option of the other right at the same strike, by put-call parity."""
    MODEL = "model"
    """From the fitted smile of its expiry."""
    CLOSE = "close"
    """Yesterday's close."""
    SPOT = "spot"
    """Shares, at the price of the underlying."""


class Grade(StrEnum):
    """How a trade stands among others of its strategy, in a letter; the limits are settings."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Leg(Model):
    """One option of a structure, or its shares; figures are per share, of one unit held long."""

    name: str
    """Its part in the strategy, for example short_put."""
    sec_type: Literal["OPT", "STK"] = "OPT"
    quantity: int
    """Signed: contracts of an option, shares of the underlying."""
    right: Literal["C", "P"] | None = None
    """None for shares, as are strike and expiry."""
    strike: float | None = None
    expiry: dt.date | None = None
    con_id: int | None = None
    price: float
    """Currency per share, middle of the market or what stands in for it."""
    price_source: PriceSource
    bid: float | None = None
    ask: float | None = None
    value: float | None = None
    """What the fitted smile of its expiry says it is worth."""
    value_error: float | None = None
    """Standard error of price less value."""
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    """Per 0.01 of volatility."""
    theta: float | None = None
    """Per calendar day."""
    volume: int | None = None
    open_interest: int | None = None
    forward: float | None = None
    """Of its own expiry, currency per share; None where it was not known, or not kept."""

    @property
    def text(self) -> str:
        """As people write it: ``-1 560P 2025-06-20`` or ``+100 shares``."""
        if self.sec_type == "STK":
            return f"{self.quantity:+d} shares"
        return f"{self.quantity:+d} {self.strike:g}{self.right} {self.expiry}"


class ScorePart(Model):
    """What one component adds to the score, or takes away, in points."""

    name: str
    points: float


class CurvePoint(Model):
    """P&L at the first expiry at one price of the underlying: currency per structure, then."""

    price: float
    profit: float


class Scenario(Model):
    """P&L if the underlying had moved, volatility changed and days passed; costs included."""

    move: float
    """Of the underlying, fraction."""
    vol: float
    """Relative change of every implied volatility, 0.25 for a quarter more."""
    days: int
    """Calendar days from now."""
    profit: float
    """Currency per structure."""


class ViewFigures(Model):
    """What the user's own view of an underlying makes of a trade; it ranks only by ``trust``."""

    volatility: float
    """Times the market's, 0.9 for a tenth less."""
    drift: float
    """Of the forward, continuously compounded, fraction per year."""
    pos: float
    ev: float
    """Currency per structure, as `Proposal.ev`."""


class ManagedOutcome(Model):
    """
    What a trade brings if the exits of ``[journal]`` close it, over simulated paths.

    Money in currency per structure, after the costs of entry and exit.
    """

    target: float | None = None
    """P&L at which it is closed, before exit costs; None where that rule is off."""
    p_target: float
    """Probability that the target closes it."""
    p_stop: float
    p_time: float
    """Probability that its last day (``min_dte``) closes it."""
    p_expiry: float
    days: float
    """Expected calendar days held."""
    ev: float
    ev_error: float
    """Standard error of `ev` over the paths."""
    tail: float
    """Mean P&L of the worst 5 % of paths."""
    paths: int


class TradeEvent(Model):
    """Something within the life of a trade that can move its price."""

    kind: Literal["earnings", "earnings_unknown", "ex_dividend", "priced"]
    """``priced``: no date is known, but the term structure holds one."""
    date: dt.date | None = None
    """Of ``priced``, the last day by which it happens."""
    move: float | None = None
    """One standard deviation of its jump as the options price it, a fraction."""
    text: str


class TradeSize(Model):
    """How many structures the account can carry."""

    contracts: int
    """The least of all limits; 0 where one structure is too many."""
    by_risk: int | None = None
    """By CVaR95 within ``account.risk_per_trade`` of net liquidation; None where it cannot lose."""
    by_margin: int | None = None
    """By ``account.max_margin_per_trade`` and the excess liquidity left; None without a margin."""
    by_cluster: int | None = None
    """By what is held that moves with it, within ``account.risk_per_cluster``."""
    buying_power_after: float | None = None
    """Excess liquidity after `contracts` structures, currency of the account."""
    kelly: int | None = None
    """By Kelly's fraction at the lower bound of EV; None where that is not positive."""
    limited_by: str
    """The limit that decided, in words."""


class Alternative(Model):
    """Another trade of the same thesis: symbol, side and week of expiry."""

    strategy: str
    trade: str
    expiry: dt.date
    credit: float
    pos: float
    ev: float
    margin: float
    score: float


class Proposal(UnboundedModel):
    """
    One trade with everything that spoke for or against it; money in currency per structure.

    The three credits are prices, commission apart from them: what one types, times the multiplier.
    All else is after the costs of entry. Maximum profit, maximum loss, breakevens and `curve` are
    as a broker prints them, not discounted. Success, expected value and CVaR are at the first
    expiry, in today's money, under the market's density; what a view of the user's own makes of
    them stands beside.
    """

    unbounded: ClassVar[tuple[str, ...]] = ("max_profit", "max_loss", "risk_reward")

    id: str = ""
    """Given by the store, for example 20261120-3; empty before."""
    rank: int = 0
    symbol: str
    strategy: str
    side: Side
    as_of: AwareDatetime
    currency: str = "USD"
    multiplier: int = 100
    """Shares per contract."""
    trading_class: str = ""
    """Of its options; empty in proposals of earlier versions."""
    spot: float
    spot_source: SpotSource
    data_type: DataType
    rate: float
    forward: float
    """Of the first expiry."""
    expiry: dt.date
    """First expiry among the legs."""
    dte: int
    tau: float
    last_expiry: dt.date
    legs: tuple[Leg, ...]

    credit: float
    """Executable: at mid less slippage; negative for a debit. Never below `credit_natural`."""
    credit_mid: float
    credit_natural: float
    """Sold at the bid, bought at the ask; the worst that should happen."""
    commission: float
    """Of entry; it is not in the three credits, and in all that follows."""
    max_profit: float
    """After costs, not discounted. May be inf; negative for a trade that cannot win."""
    max_loss: float
    """After costs, not discounted, >= 0; inf where unbounded."""
    breakevens: tuple[float, ...]
    margin: float
    """What the trade takes from excess liquidity: requirement less `net_credit`."""
    margin_requirement: float
    """As a broker prints it, proceeds not deducted."""
    margin_cash: float | None = None
    """The same as `margin` if every short put were cash-secured; None where that cannot be."""
    profit: float
    """Behind risk-reward: max_profit, or where unbounded the 95 % quantile of P&L."""
    rom: float
    """mean_win / margin, over the life of the trade: no more than is likely."""
    rom_30d: float
    pos: float
    """P(P&L > 0)."""
    ev: float
    """Mean P&L after the costs of entry; quotes count by their reliability, see `ev_quotes`."""
    ev_30d: float
    """ev / margin per 30 days."""
    cvar95: float
    """Mean loss of the worst 5 % of outcomes, those without loss counted as 0."""
    risk_reward: float
    """profit / cvar95; inf where no outcome loses."""
    touch: float | None = None
    """Probability that a short strike is touched before the first expiry; None without one."""
    kelly: float | None = None
    """Capped fraction of capital to commit as margin."""
    edge: float
    """Mid prices against the smile: what the trade receives above its model value."""
    edge_error: float | None = None
    """Standard error of `edge`."""
    delta: float
    """Shares."""
    gamma: float
    """Shares per point."""
    vega: float
    """Per 0.01 of volatility."""
    theta: float
    """Per calendar day."""
    theta_margin: float
    """theta / margin, per calendar day."""

    liquidity: float
    """L in (0, 1]."""
    fit: float = 1.0
    """F in (0, 1]; 1 when no portfolio is known."""
    score: float
    """0 to 100."""
    grade: Grade
    """By `percentile`; C at best where EV or the quotes speak against it."""
    parts: tuple[ScorePart, ...]
    """The components, then what liquidity, fit and correlation take away; sum is `score`."""
    alternatives: int = 0
    """Other candidates of the same thesis (symbol, side, week of expiry) that passed every rule."""
    market_volatility: float
    """Standard deviation of the density's log-return per square-root year."""
    iv30: float | None = None
    iv_rank: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    """P&L at the first expiry around the strikes, ascending in price, kinks included."""
    scenarios: tuple[Scenario, ...] = ()
    short_delta: float | None = None
    """Largest |delta| of the short legs; None without one."""
    distance: float | None = None
    """From spot to the nearest breakeven, in standard deviations to the first expiry, >= 0."""
    expected_move: float | None = None
    """One standard deviation to the first expiry at the money, currency per share."""
    cost_share: float | None = None
    """Costs of entry over the maximum profit before costs; None where that has no bound."""
    mean_win: float | None = None
    """Mean P&L of the outcomes that win, currency per structure."""
    ev_quotes: float | None = None
    """EV at the mid quotes less costs; `ev` trusts them only by their reliability."""
    ev_error: float | None = None
    """Standard error of `ev` from the errors of the quotes."""
    percentile: float | None = None
    """Share of the day's candidates of this strategy, over all symbols, that score lower."""
    view: ViewFigures | None = None
    managed: ManagedOutcome | None = None
    events: tuple[TradeEvent, ...] = ()
    size: TradeSize | None = None
    similar: tuple[Alternative, ...] = ()
    """The best three others of the same thesis, each another strategy or strikes well apart."""
    notes: tuple[str, ...] = ()
    """What the reader must know: unknown gates, prices that are not quotes, odd figures."""

    @model_validator(mode="before")
    @classmethod
    def _of_former_versions(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return _renamed(_without_forecast(_with_gross_credit(data)))

    @property
    def net_credit(self) -> float:
        """The executable credit after commission; negative for a debit."""
        return self.credit - self.commission

    @property
    def trade(self) -> str:
        """The trade in a line: strategy, strikes in the order of its legs, expiry."""
        options = [leg for leg in self.legs if leg.sec_type == "OPT"]
        strikes = "/".join(f"{leg.strike:g}{leg.right}" for leg in options)
        expiries = "/".join(
            dict.fromkeys(
                str(expiry) for expiry in sorted(leg.expiry for leg in options if leg.expiry)
            )
        )
        return f"{self.strategy} {strikes} {expiries}"

    def plot(self, **options: Any) -> Any:
        """
        Draw P&L today, later and at expiry; see `tomic.report.pictures.proposal_payoff`.

        Returns matplotlib axes; needs matplotlib, the extra ``plot``.
        """
        return draw("proposal_payoff", self, **options)

    def _repr_html_(self) -> str:
        figures = {
            "credit": self.credit,
            "max profit": self.max_profit,
            "max loss": self.max_loss,
            "margin": self.margin,
            "EV": self.ev,
        }
        head = "".join(f"<th>{name}</th>" for name in (*figures, "PoS", "score"))
        cells = "".join(f"<td>{_money(value)}</td>" for value in figures.values())
        legs = "".join(f"<li>{leg.text} at {leg.price:.2f}</li>" for leg in self.legs)
        return (
            f"<p><b>{self.symbol}</b> {self.trade} · {self.as_of:%Y-%m-%d %H:%M %Z}</p>"
            f"<table><tr>{head}</tr><tr>{cells}<td>{self.pos:.1%}</td>"
            f"<td>{self.score:.1f} {self.grade.value}</td></tr></table><ul>{legs}</ul>"
        )

    def printed_parts(self, digits: int = 1) -> tuple[ScorePart, ...]:
        """
        Parts rounded to *digits* so that they add up to the rounded score exactly.

        Running totals are rounded, not the parts: each part is off by at most one unit.
        """
        rounded, total, before = [], 0.0, 0.0
        for place, part in enumerate(self.parts, 1):
            total += part.points
            # The last total is the score, but for dust that could tip the last digit.
            now = round(self.score if place == len(self.parts) else total, digits)
            rounded.append(ScorePart(name=part.name, points=round(now - before, digits)))
            before = now
        return tuple(rounded)


FORMER_FORECAST = (
    "found by an earlier version, which ranked by a forecast of its own: PoS and EV are the "
    "market's, score, grade, CVaR95, touch and Kelly that forecast's"
)
"""Note of a stored proposal whose figures mean something else than they do now."""


def _with_gross_credit(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document from when `credit` was after commission; those know no `cost_share`."""
    if "loss_bounded" not in data or "cost_share" in data:
        return data
    return {**data, "credit": data["credit"] + data["commission"]}


def _renamed(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document of a version that had another name for `alternatives`."""
    if "like_it" not in data:
        return data
    values = {name: value for name, value in data.items() if name != "like_it"}
    return {"alternatives": data["like_it"], **values}


def _without_forecast(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document of a version that had figures under a forecast and under the market's density."""
    if "pos_market" not in data or "ev_market" not in data:
        return data
    values = {name: data[name] for name in data if name not in ("forecast_volatility", "hv")}
    values |= {name: values.pop(f"{name}_market") for name in ("pos", "ev")}
    margin = data.get("margin")
    if margin and math.isfinite(margin):
        values["ev_30d"] = 30.0 / max(data["dte"], 1) * values["ev"] / margin
    values["notes"] = (*data.get("notes", ()), FORMER_FORECAST)
    return values


class Refusal(UnboundedModel):
    """Why a strategy or a trade was refused, in numbers."""

    unbounded: ClassVar[tuple[str, ...]] = ("observed",)

    rule: str
    """Machine-readable, for example min_pos."""
    kind: Literal["rule", "no_data"]
    """Whether it failed a rule, or what was needed to judge it was missing."""
    symbol: str = ""
    strategy: str = ""
    trade: str = ""
    """The trade in a line; empty where a whole strategy was refused."""
    observed: float | None = None
    limit: float | None = None
    message: str


class NearestMiss(Refusal):
    """The refused trade that came nearest to passing a rule."""

    distance: float
    """How far it was off, as a share of the limit (or absolute where the limit is 0)."""
    only_rule: bool
    """Whether it passed every other rule."""


class RuleCount(Model):
    """How many candidates a rule refused; each is counted at the first rule it fails."""

    rule: str
    kind: Literal["rule", "no_data"]
    count: int


class SymbolOutcome(Model):
    """How a scan of one symbol went."""

    symbol: str
    ok: bool = True
    error: str = ""
    """What went wrong; empty when all is well."""
    error_code: str = ""
    cut: str = ""
    """What time or a lost line left out of its chain; empty when the chain is whole."""
    considered: int = 0
    passed: int = 0
    as_of: AwareDatetime | None = None
    notes: tuple[str, ...] = ()


class ScanScope(Model):
    """What a scan was asked to look at, by which the one of the day is told from a question."""

    job: str = ""
    """The job of the settings that it is a step of; empty where somebody asked by themselves."""
    symbols: tuple[str, ...] = ()
    is_default: bool = False
    """Whether these are the symbols of the settings."""
    strategies: tuple[str, ...] = ()
    """Those searched."""

    @property
    def text(self) -> str:
        """What was looked at, and for whom: ``3 symbols (CRM, SPY, XLE), asked for once``."""
        count = len(self.symbols)
        noun = "symbol" if count == 1 else "symbols"
        named = ", ".join(self.symbols[:_NAMED])
        named += f" and {count - _NAMED} more" if count > _NAMED else ""
        which = "of the settings" if self.is_default else f"({named})"
        why = f"by the job {self.job}" if self.job else "asked for once"
        return f"{count} {noun} {which}, {why}"


class ScanResult(Model, Framed):
    """What a scan found, and what became of everything it did not show."""

    scope: ScanScope | None = None
    """Given when it is kept; None before, and of scans that were kept without it."""
    proposals: tuple[Proposal, ...] = ()
    considered: int = 0
    """Candidates built from all chains."""
    passed: int = 0
    """Those that no rule refused."""
    rejected: tuple[RuleCount, ...] = ()
    nearest_misses: tuple[NearestMiss, ...] = ()
    gated: tuple[Refusal, ...] = ()
    """Strategies refused before any trade was looked at, and those that a chain cannot hold."""
    outcomes: tuple[SymbolOutcome, ...] = ()
    notes: tuple[str, ...] = ()
    as_of: AwareDatetime | None = None

    @property
    def closest(self) -> tuple[NearestMiss, ...]:
        """The nearest misses, nearest first: those that fail a single rule before all others."""
        return tuple(
            sorted(self.nearest_misses, key=lambda miss: (not miss.only_rule, miss.distance))
        )

    @property
    def failed(self) -> tuple[SymbolOutcome, ...]:
        """Symbols that could not be scanned."""
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)

    @property
    def partial(self) -> tuple[str, ...]:
        """Symbols that could not be scanned, or of whose chains a part is missing."""
        return tuple(outcome.symbol for outcome in self.outcomes if outcome.cut or not outcome.ok)

    @property
    def partial_text(self) -> str:
        """What is missing of which symbols, in one line; empty when all is there."""
        late = [outcome.symbol for outcome in self.failed if outcome.error_code == "deadline"]
        failed = [outcome.symbol for outcome in self.failed if outcome.error_code != "deadline"]
        cut = [
            f"{outcome.symbol} ({outcome.cut})"
            for outcome in self.outcomes
            if outcome.ok and outcome.cut
        ]
        groups = {"failed": failed, "out of time": late, "cut short": cut}
        return "; ".join(
            f"{word} {', '.join(symbols)}" for word, symbols in groups.items() if symbols
        )

    def _framed(self) -> Iterable[Any]:
        for proposal in self.proposals:
            row = row_of(proposal)
            yield {"rank": row["rank"], "symbol": row["symbol"], "trade": proposal.trade, **row}

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{n}</td><td>{proposal.symbol}</td><td>{proposal.trade}</td><td>{proposal.credit:.2f}</td>"
            f"<td>{_money(proposal.max_loss)}</td><td>{proposal.pos:.3f}</td><td>{proposal.ev:.2f}</td>"
            f"<td>{proposal.score:.1f}</td><td>{proposal.grade.value}</td></tr>"
            for n, proposal in enumerate(self.proposals, 1)
        )
        names = ("#", "symbol", "trade", "credit", "max loss", "PoS", "EV", "score", "grade")
        head = "".join(f"<th>{name}</th>" for name in names)
        return f"<table><tr>{head}</tr>{cells}</table><p>{self.considered} considered</p>"


class TradeReview(Model, Framed):
    """The verdict on one trade that the user asked about."""

    trade: str
    accepted: bool
    refusals: Annotated[tuple[Refusal, ...], Field(default=())]
    """Every rule it fails, gates first; empty when accepted."""
    proposal: Proposal | None = None
    """Its figures, whether accepted or not; None where they are not available."""
    place: int | None = None
    """Its place among all accepted trades of its strategy and expiry, 1 the best."""
    better: Proposal | None = None
    """The best trade of the same strategy and expiry, when that is another one."""
    cut: str = ""
    """What time or a lost line left out of the chain it was judged in; empty when it is whole."""

    def _framed(self) -> Iterable[Any]:
        return self.refusals

    def _heading(self) -> str:
        return f"{self.trade}: {'accepted' if self.accepted else 'refused'}"


def _money(value: float) -> str:
    """Currency as a notebook shows it; an unbounded amount as a word."""
    return UNLIMITED if math.isinf(value) else f"{value:,.2f}"
