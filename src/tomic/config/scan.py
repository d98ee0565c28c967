"""Settings of the search: what a scan asks for, refuses and prefers, and what a trade costs."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tomic.config.section import Amount, Days, Duration, Fraction, Location, Names, Section, Symbols


class ScanSettings(Section):
    """What a scan looks at and which trades it refuses; "none" switches a rule off."""

    top: int = Field(default=5, ge=1, le=1000)
    """Most proposals to show."""
    strategies: Names = ()
    """Strategies to search; empty means all of them."""
    universe: Location | None = None
    """File with one symbol per line, instead of market.symbols; or "none"."""
    symbols_at_once: int = Field(default=4, ge=1, le=50)
    """Symbols worked on at the same time, sharing one message budget."""
    max_contracts: int = Field(default=400, ge=10, le=10000)
    """Most options asked for per symbol; beyond that strikes are thinned evenly in sigma."""
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
    """Least probability of success under the forecast density, or "none"."""
    min_rom: float | None = None
    """Least return on margin per 30 days, fraction, or "none"."""
    min_ev: float | None = None
    """Least expected value in currency per structure, after costs, or "none"."""
    min_credit: Amount | None = None
    """Least credit in currency per structure, of strategies that receive one, or "none"."""
    min_risk_reward: Amount | None = None
    """Least maximum profit per CVaR95 of the loss, or "none"."""
    max_loss: Amount | None = None
    """Most that one structure may lose, in currency, or "none"."""
    max_spread: Amount = 0.25
    """Widest bid-ask spread of a leg as a fraction of its mid."""
    max_spread_points: Amount = 0.10
    """A spread of at most this much a share is accepted whatever the fraction."""
    min_volume: int = Field(default=2, ge=0)
    """Least volume of each leg today; an unknown volume passes and is flagged."""
    min_open_interest: int = Field(default=20, ge=0)
    """Least open interest of each leg; an unknown one passes and is flagged."""
    min_days_to_earnings: Days = 0
    """Fewest days to the next earnings; an unknown date passes and is flagged."""
    expire_before_earnings: bool = False
    """Refuse trades whose last expiry lies beyond the next earnings."""
    true_quotes_only: bool = False
    """Refuse candidates that have a leg priced on anything but its own bid and ask."""


class ScoreWeights(Section):
    """
    Weights of the four parts of the score, which must sum to 1.

    When any of them is named, those left out count 0.
    """

    pos: Fraction = 0.25
    """Probability of success."""
    rom: Fraction = 0.30
    """Return on margin per 30 days."""
    ev: Fraction = 0.30
    """Expected value per margin and 30 days."""
    risk_reward: Fraction = 0.15
    """Maximum profit per CVaR95 of the loss."""

    @model_validator(mode="before")
    @classmethod
    def _unnamed_count_nothing(cls, data: Any) -> Any:
        if isinstance(data, dict) and data:
            return dict.fromkeys(cls.model_fields, 0.0) | data
        return data

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.pos + self.rom + self.ev + self.risk_reward
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
    rom_half: float = Field(default=0.10, gt=0.0, le=10.0)
    """Return on margin per 30 days that earns half of its part."""
    ev_scale: float = Field(default=0.02, gt=0.0, le=10.0)
    """Expected value per margin and 30 days that lifts its part from .50 to .73."""
    grade_a: float = Field(default=70.0, ge=0.0, le=100.0)
    """Least score of an A."""
    grade_b: float = Field(default=55.0, ge=0.0, le=100.0)
    """Least score of a B."""
    grade_c: float = Field(default=45.0, ge=0.0, le=100.0)
    """Least score of a C; below it is D."""
    forecast_hv_weight: Fraction = 0.5
    """Weight of historical volatility in the forecast; the rest is IV30."""
    forecast_hv: Literal["yang_zhang_30", "average"] = "yang_zhang_30"
    """Historical volatility of the forecast: Yang-Zhang over 30 days, or the mean of all."""
    kelly_cap: Fraction = 0.25
    """Most of the account that the printed Kelly fraction may say."""

    @model_validator(mode="after")
    def _grades_descend(self) -> Self:
        if not self.grade_a > self.grade_b > self.grade_c:
            raise ValueError(
                f"grades must descend, got {self.grade_a:g}, {self.grade_b:g}, {self.grade_c:g}"
            )
        return self


class CostsSettings(Section):
    """What it costs to enter a trade."""

    slippage: Fraction = 0.5
    """Share of each leg's half-spread that is given away: 0 fills at mid, 1 at natural."""
    commission: Amount = 0.65
    """Currency per contract, entry only."""


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
    broad_indices: Symbols = ("SPX", "XSP", "NDX", "RUT", "VIX")
    """Symbols that count as a broad index."""
    stock_long: Fraction = 0.50
    """Share of the value for stock held."""
    stock_short: Fraction = 0.50
    """Share of the value for stock sold short, beside the proceeds."""
    unequal_condor: Literal["two_spreads", "wider"] = "two_spreads"
    """Condor with unequal wings: both spreads, as at IB, or the wider one, as in the original."""
