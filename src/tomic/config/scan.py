"""Settings of the search: what a scan asks for, refuses and prefers, and what a trade costs."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from tomic.config.market import Currency
from tomic.config.section import (
    Amount,
    Days,
    Duration,
    Fraction,
    Location,
    Names,
    Section,
    Symbols,
    symbol_of,
)


class ScanSettings(Section):
    """What a scan looks at and which trades it refuses; "none" switches a rule off."""

    top: int = Field(default=5, ge=1, le=1000)
    """Most proposals to show."""
    profile: Literal["seller", "all"] = "seller"
    """"seller": what pays a credit, 30 to 60 days out; "all": every strategy in its own window."""
    strategies: Names = ()
    """Strategies to search, instead of those of the profile; empty means those."""
    universe: Location | None = None
    """File with one symbol per line, instead of market.symbols; or "none"."""
    symbols_at_once: int = Field(default=4, ge=1, le=50)
    """Symbols worked on at the same time, sharing one message budget."""
    method: Literal["sampled", "thinned", "exhaustive"] = "sampled"
    """How many options are asked for: "sampled" asks for a few and estimates which others matter,
    "thinned" for at most max_contracts of a symbol, "exhaustive" for every one of the windows."""
    sample: int = Field(default=7, ge=5, le=25)
    """Strikes of each expiry that are asked for first; more where smiles bend and spreads are
    narrow."""
    max_contracts: int = Field(default=400, ge=10, le=10000)
    """Most options asked for per symbol when thinned, as at a closed market and for why-not."""
    max_chain_age: Duration = dt.timedelta(minutes=15)
    """A stored chain younger than this is used instead of asking again; "0s" always asks."""
    sigmas: float = Field(default=3.0, gt=0.0, le=10.0)
    """How far out of the money strikes are asked for, in standard deviations."""
    itm_strikes: int = Field(default=2, ge=0, le=100)
    """Strikes in the money asked for beside those."""
    max_per_symbol: int = Field(default=2, ge=1, le=1000)
    """Most proposals of one symbol; not applied when fewer than 3 symbols are scanned."""
    max_per_strategy: int = Field(default=3, ge=1, le=1000)
    """Most proposals of one strategy."""
    max_correlation: Fraction = 0.9
    """Return correlation with an already chosen symbol, on the same side, that costs score."""
    correlation_penalty: Fraction = 0.1
    """Share of the score that it costs."""
    min_pos: Fraction | None = None
    """Least probability of success, or "none"."""
    min_rom: float | None = None
    """Least maximum profit per margin and 30 days, fraction, or "none"."""
    min_ev: float | None = None
    """Least expected value in currency per structure, after costs, or "none"."""
    min_credit: Amount | None = None
    """Least credit in currency per structure, of strategies that receive one, or "none"."""
    min_credit_share: Fraction | None = 0.10
    """Least credit as a share of the width, of spreads and condors that receive one, or "none"."""
    min_credit_commissions: Amount | None = 4.0
    """Least credit in commissions of its contracts, of what is sold uncovered, or "none"."""
    max_cost_share: Fraction | None = 0.20
    """Most that slippage and commission of entry may take of the maximum profit, or "none"."""
    max_spread_share: Amount | None = 0.25
    """Widest bid-ask spread of a whole trade as a share of the credit it receives, or "none"."""
    natural_sign: bool = True
    """Refuse what is a credit at mid and none at natural prices."""
    keep_to_exits: bool = True
    """Refuse what the exit rules of [journal] would close on its first day: min_dte, earnings."""
    min_risk_reward: Amount | None = None
    """Least maximum profit per CVaR95 of the loss, or "none"."""
    max_loss: Amount | None = None
    """Most that one structure may lose, in currency, or "none"."""
    max_spread: Amount = 0.25
    """Widest bid-ask spread of a leg as a fraction of its mid."""
    max_spread_points: Amount = 0.10
    """A spread of at most this much a share is accepted whatever the fraction."""
    min_volume: int = Field(default=5, ge=0)
    """Least volume of each leg today; an unknown volume passes and is flagged."""
    min_open_interest: int = Field(default=100, ge=0)
    """Least open interest of each leg; an unknown one passes and is flagged."""
    min_days_to_earnings: Days = 0
    """Fewest days to the next earnings; an unknown date passes, and is always flagged."""
    expire_before_earnings: bool = False
    """Refuse trades whose last expiry lies beyond the next earnings."""
    true_quotes_only: bool = False
    """Refuse candidates that have a leg priced on anything but its own bid and ask."""


class ScoreWeights(Section):
    """
    Weights of the two parts of the score, which must sum to 1.

    When one of them is named, one left out counts 0.
    """

    pos: Fraction = 0.25
    """Probability of success."""
    ev: Fraction = 0.75
    """Expected value per CVaR95 of the loss."""

    @model_validator(mode="before")
    @classmethod
    def _unnamed_count_nothing(cls, data: Any) -> Any:
        if isinstance(data, dict) and data:
            return dict.fromkeys(cls.model_fields, 0.0) | data
        return data

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.pos + self.ev
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            parts = ", ".join(f"{name} {getattr(self, name):g}" for name in type(self).model_fields)
            raise ValueError(f"weights must sum to 1, got {total:g} ({parts})")
        return self


class ScoreSettings(Section):
    """How candidates are ranked."""

    definition: Literal["tomic", "original"] = "tomic"
    """"original": the weights and definitions of the original program, to compare with."""
    weights: ScoreWeights = ScoreWeights()
    """Weights of the parts; when any is named, those left out count 0."""
    ev_scale: float = Field(default=0.02, gt=0.0, le=10.0)
    """Expected value per CVaR95 that lifts its part from .50 to .73."""
    robust: bool = True
    """Rank by the expected value less half of what a usual error of volatility would cost it."""
    grade_a: Fraction = 0.9
    """Share of the day's candidates of its strategy that an A scores above."""
    grade_b: Fraction = 0.7
    """The same of a B."""
    grade_c: Fraction = 0.4
    """The same of a C; below it is D."""
    kelly_cap: Fraction = 0.25
    """Most of the account that the printed Kelly fraction may say."""

    @model_validator(mode="after")
    def _grades_descend(self) -> Self:
        if not self.grade_a > self.grade_b > self.grade_c:
            raise ValueError(
                f"grades must descend, got {self.grade_a:g}, {self.grade_b:g}, {self.grade_c:g}"
            )
        return self


class View(Section):
    """What you expect of one underlying, where that differs from what its options say."""

    volatility: float = Field(default=1.0, ge=0.1, le=10.0)
    """Times the market's, 0.9 for a tenth less."""
    drift: float = Field(default=0.0, ge=-10.0, le=10.0)
    """Of its price beside the forward's, continuously compounded, fraction per year."""


class ViewSettings(Section):
    """
    Views of your own, each in a table of its symbol: `[view.SPY]` with volatility and drift.

    What a view makes of a trade is shown beside the market's figures.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, View] = Field(init=False)
    tables = View

    trust: Fraction = 0.0
    """How far views move the ranking: 0 not at all, 1 as if they were the market's."""

    @model_validator(mode="before")
    @classmethod
    def _symbols(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given: dict[str, Any] = {}
        for key, value in data.items():
            name = symbol_of(key) if isinstance(value, dict | View) else key
            above = dict(value) if isinstance(value, View) else value
            # A variable writes a symbol in small letters, and belongs to the same table.
            given[name] = given.get(name, {}) | above if isinstance(above, dict) else above
        return given

    @property
    def by_symbol(self) -> dict[str, View]:
        """Views by the symbol of their underlying."""
        return dict(self.model_extra or {})

    def named(self, views: Mapping[str, View]) -> ViewSettings:
        """These settings with *views* in the place of those of the same symbols."""
        return type(self)(trust=self.trust, **{**self.by_symbol, **views})

    def of(self, symbol: str) -> View | None:
        """The view of one underlying; None where there is none, or it changes nothing."""
        view = self.by_symbol.get(symbol)
        return None if view is None or view == View() else view

    def shown(self) -> dict[str, Any]:
        """Its key, then the views."""
        return super().shown() | self.by_symbol


class CostsSettings(Section):
    """What it costs to enter a trade."""

    slippage: Fraction = 0.5
    """Share of each leg's half-spread that is given away: 0 fills at mid, 1 at natural."""
    commission: Amount = 0.65
    """Currency per contract, entry only."""
    commissions: dict[Currency, Amount] = Field(default_factory=dict)
    """The same of other currencies than the dollar: EUR = 1.10. One without takes `commission` as
    if it were in that currency, and says so."""

    def commission_of(self, currency: str) -> float:
        """Commission per contract in *currency*: its own, else the dollar's number."""
        return self.commissions.get(currency, self.commission)

    def knows_commission(self, currency: str) -> bool:
        """Whether `commission_of` is meant for *currency*."""
        return currency in ("", "USD") or currency in self.commissions


class AccountSettings(Section):
    """The account that trades are meant for, and how much of it one of them may take."""

    margin: Literal["reg_t", "cash"] = "reg_t"
    """"reg_t": short puts on margin; "cash": cash-secured, undefined risk refused."""
    net_liquidation: Amount | None = None
    """Net liquidation that trades are sized by, or "none": that of the saved portfolio."""
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    """Currency of net_liquidation."""
    risk_per_trade: Fraction = 0.02
    """Share of net liquidation that the CVaR95 of one trade may be."""
    risk_per_cluster: Fraction = 0.05
    """The same of a trade and all that is held on its side of symbols that move with its own."""
    max_margin_per_trade: Fraction = 0.25
    """Share of net liquidation that the margin of one trade may take."""


class MarginSettings(Section):
    """Percentages of the margin rules; your broker's house rates may be higher."""

    naked_equity: Fraction = 0.20
    """Share of the spot for an uncovered stock or ETF option, less what it is out of the money."""
    naked_index: Fraction = 0.15
    """The same for an option on a broad index."""
    naked_minimum: Fraction = 0.10
    """Least share of the strike (puts) or spot (calls) for an uncovered option."""
    naked_floor: Amount = 2.50
    """Least currency a share for an uncovered option."""
    broad_indices: Symbols = (
        "SPX", "XSP", "OEX", "XEO", "DJX", "VIX", "NDX", "NQX", "XND", "RUT", "MRUT",
    )  # fmt: skip
    """Symbols that count as a broad index."""
    stock_long: Fraction = 0.50
    """Share of the value for stock held."""
    stock_short: Fraction = 0.50
    """Share of the value for stock sold short, beside the proceeds."""
    unequal_condor: Literal["two_spreads", "wider"] = "two_spreads"
    """Condor with unequal wings: both spreads, as at IB, or the wider one, as in the original."""


class BacktestSettings(Section):
    """A walk forward over history; where chains are recorded their own quotes count instead."""

    days: int = Field(default=30, ge=2, le=90)
    """Calendar days to expiry of trades on modelled smiles."""
    slippage: Fraction = 0.03
    """Share of each modelled option's price that is given away, at entry and again at exit."""
    least_slippage: Amount = 0.02
    """At least this much a share of each option."""
    other_slippage: Fraction = 0.01
    """The share at the second level of costs, which the report shows beside it."""
    warm_up: int = Field(default=252, ge=30, le=2520)
    """Closes that a symbol must have had before its first trade."""
    random_draws: int = Field(default=20, ge=1, le=1000)
    """How often a choice without judgement is drawn, to compare with."""
    processes: int | None = Field(default=None, ge=1, le=64)
    """Processes that share the symbols, or "none": one for each processor."""
    wings_fund: float = Field(default=0.9, gt=0.0, le=1.5)
    """Curvature of modelled smiles of funds; calibrated on chains of SPY and XLF."""
    wings_stock: float = Field(default=0.6, gt=0.0, le=1.5)
    """The same of stocks."""
    skew_fund: float = Field(default=0.05, ge=-0.5, le=0.5)
    """Volatility of the 25-delta put less the call of funds, where history holds no skew."""
    skew_stock: float = Field(default=0.03, ge=-0.5, le=0.5)
    """The same of stocks."""
    funds: Symbols = (
        "SPY", "QQQ", "IWM", "DIA", "GLD", "SLV", "TLT", "IEF", "HYG", "LQD", "AGG", "XLF", "XLE",
        "XLK", "XLV", "XLI", "XLY", "XLP", "XLU", "XLB", "XLC", "XLRE", "XOP", "XBI", "XRT", "XHB",
        "XME", "EEM", "EFA", "EWZ", "EWJ", "FXI", "KWEB", "ASHR", "INDA", "GDX", "GDXJ", "USO",
        "UNG", "UUP", "SMH", "SOXX", "SOXL", "SOXS", "TQQQ", "SQQQ", "SPXL", "SPXS", "UPRO", "TNA",
        "TZA", "UVXY", "VXX", "SVXY", "ARKK", "KRE", "KBE", "IYR", "VNQ", "VTI", "VOO", "VEA",
        "VWO", "RSP", "IBIT", "MDY", "JETS", "TAN", "URA", "LIT", "BITO", "MSOS",
    )  # fmt: skip
    """Funds, where neither IB nor a calendar of earnings has said what a symbol is."""
