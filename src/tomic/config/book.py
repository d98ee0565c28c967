"""Settings of what is held: alerts, stress, the journal's exit rules."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tomic.config.section import Amount, Days, Fraction, Location, Seconds, Section, Symbol
from tomic.models.exits import ExitRules


class AlertsSettings(Section):
    """Thresholds of the portfolio's alerts; those of the original program are the defaults."""

    book_delta: Amount = 2500.0
    """Net delta of the book in shares, either sign."""
    book_vega_short: Amount = 100.0
    """Negative vega of the book, currency per vol point."""
    book_vega_long: Amount = 50.0
    """Positive vega of the book, currency per vol point."""
    book_gamma: Amount = 10.0
    """Gamma of one symbol, shares per point, either sign; fires when several exceed it."""
    book_vega_high: Amount = 5000.0
    """Vega of the book, either sign, that calls for attention."""
    book_vega_extreme: Amount = 10000.0
    """Vega of the book, either sign, that calls for action."""
    same_strategy_share: Fraction = 0.80
    """Share of structures of one strategy that counts as clustering."""
    symbol_share: Fraction = 0.25
    """Share of the margin in one symbol."""
    sector_share: Fraction = 0.25
    """Share of the margin in one sector."""
    margin_share: Fraction = 0.50
    """Margin used as a share of net liquidation."""
    stress_loss: Fraction = 0.10
    """Loss in the worst stress cell as a share of net liquidation."""
    delta_strong: Fraction = 0.30
    """Delta per share of a structure that is strongly directional."""
    delta_light: Fraction = 0.15
    """Delta per share of a structure that is lightly directional."""
    delta_dollars_high: Amount = 15000.0
    """Currency delta of a structure, either sign, that is an alarm if the account is unknown."""
    delta_share: Fraction = 0.25
    """Currency delta of a structure over net liquidation, either sign, that is an alarm."""
    delta_dollars_low: Amount = 3000.0
    """Currency delta of a structure below which direction hardly matters."""
    vega: Amount = 50.0
    """Vega of a structure, either sign, currency per vol point."""
    vega_with_rank: Amount = 30.0
    """Vega of a structure, either sign, that is judged together with the IV rank."""
    iv_rank_high: Fraction = 0.60
    """IV rank from which volatility counts as expensive."""
    iv_rank_low: Fraction = 0.30
    """IV rank below which volatility counts as cheap."""
    iv_hv: Amount = 0.05
    """IV less HV, either sign, vol fraction."""
    entry_iv_hv: Amount = 0.03
    """IV less HV below which an entry is thin; below 0 it is advised against."""
    skew: Amount = 0.05
    """Skew, either sign, vol fraction."""
    profit_share: Amount = 0.70
    """Profit as a share of the premium at which taking it is advised, theta positive."""
    loss: Amount = 100.0
    """Loss in currency at which a structure is to be reconsidered, theta positive."""
    rom_high: float = 0.20
    """Return on margin that counts as high."""
    rom_good: float = 0.10
    """Return on margin that counts as good."""
    rom_low: float = 0.05
    """Return on margin below which it counts as low."""
    theta_low: Amount = 0.005
    """Theta per margin and day below which time decay hardly pays."""
    theta_fair: Amount = 0.015
    """Theta per margin and day that counts as fair."""
    theta_high: Amount = 0.025
    """Theta per margin and day that counts as high."""
    dte: Days = 10
    """Close or roll is advised with fewer days to expiry than this."""
    event_days: Days = 7
    """Days ahead within which earnings and dividends are mentioned."""
    itm_share: Fraction = 0.05
    """Short options in the money by this share of spot are named for assignment."""

    @model_validator(mode="after")
    def _steps_ascend(self) -> Self:
        for names in (
            ("delta_light", "delta_strong"),
            ("delta_dollars_low", "delta_dollars_high"),
            ("book_vega_high", "book_vega_extreme"),
            ("iv_rank_low", "iv_rank_high"),
            ("rom_low", "rom_good", "rom_high"),
            ("theta_low", "theta_fair", "theta_high"),
        ):
            values = [getattr(self, name) for name in names]
            if values != sorted(values):
                given = ", ".join(f"{value:g}" for value in values)
                raise ValueError(f"{' <= '.join(names)} must hold, got {given}")
        return self


class StressSettings(Section):
    """Axes of the stress grid, around the live spot."""

    spot_reach: float = Field(default=0.20, gt=0.0, lt=1.0)
    """Largest move of the spot, either way, fraction."""
    spot_steps: int = Field(default=41, ge=3, le=401)
    """Moves of the spot in all, an odd number so that 0 is among them."""
    vols: tuple[Annotated[float, Field(gt=-1.0, le=10.0)], ...] = (
        -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0,
    )  # fmt: skip
    """Relative changes of volatility, ascending, 0 among them."""
    days: tuple[Days, ...] = (0, 1, 7, 14, 30)
    """Days from now, ascending, 0 among them."""
    shown_spots: tuple[Annotated[float, Field(gt=-1.0, le=10.0)], ...] = (
        -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2,
    )  # fmt: skip
    """Moves of the spot in the printed table."""
    var_confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence of value at risk and CVaR over stored returns."""

    @field_validator("spot_steps")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, got {value}")
        return value

    @field_validator("vols", "days")
    @classmethod
    def _ascend_through_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)) or 0 not in value:
            raise ValueError(f"must ascend and contain 0, got {list(value)}")
        return value


class PortfolioSettings(Section):
    """How the book is read and judged."""

    snapshot: Location = Field(default="data/portfolio.json", validate_default=True)
    """File in which each run saves the book, for `portfolio --last`."""
    sectors: Location | None = None
    """CSV file with the columns symbol and sector, or "none"."""
    pins: Location | None = None
    """JSON file with your own grouping of legs, which wins over ours, or "none"."""
    benchmark: Symbol = "SPY"
    """Symbol against which deltas are beta-weighted."""
    beta_days: int = Field(default=252, ge=20, le=2520)
    """Trading days of returns for betas and correlations."""
    account_timeout_s: Seconds = 10.0
    """Seconds for positions and account values; no answer is an error, not an empty book."""
    alerts: AlertsSettings = AlertsSettings()
    """Thresholds of the alerts."""
    stress: StressSettings = StressSettings()
    """Axes of the stress grid."""


class ExitSettings(Section, ExitRules):
    """Exit rules of an entry; "none" switches a rule off."""

    profit_target: Amount | None = 0.50
    stop: Amount | None = 2.0
    min_dte: Days | None = 21
    max_days_in_trade: Days | None = None
    short_delta: Fraction | None = None
    spot_below: Amount | None = None
    spot_above: Amount | None = None
    iv_rise: Amount | None = None
    earnings_days: Days | None = 2
    dividend_days: Days | None = 2
    negative_ev: bool = True


class OwnExitSettings(ExitSettings):
    """Exit rules of one strategy: only what differs from the general ones."""

    says_only_changes: ClassVar[bool] = True


_OWN_EXITS = {
    "calendar": OwnExitSettings(profit_target=0.25, stop=0.5, min_dte=7),
    "diagonal": OwnExitSettings(profit_target=0.25, stop=0.5, min_dte=7),
    "covered_call": OwnExitSettings(stop=None),
    "cash_secured_put": OwnExitSettings(stop=None),
    "collar": OwnExitSettings(profit_target=None, stop=None),
}


def _with_own_exits(value: Any) -> Any:
    """Join the strategies that are named with those that have rules by default."""
    if not isinstance(value, dict):
        return value
    joined: dict[str, Any] = dict(value)
    for strategy, rules in _OWN_EXITS.items():
        given = value.get(strategy, {})
        if isinstance(given, dict):
            joined[strategy] = rules.shown() | given
    return joined


class ManageSettings(Section):
    """What `tomic manage` may propose for what is held."""

    only_credit: bool = True
    """Refuse a roll that costs a debit at mid."""
    min_dte: Days = 25
    """Fewest days to the expiry that is rolled to."""
    max_dte: Days = 60
    """Most days to it."""
    expiries: int = Field(default=2, ge=1, le=10)
    """How many expiries of that window are tried, monthly ones first, the nearest to its middle."""
    delta: Fraction = 0.30
    """Delta, either sign, from which a short option counts as tested, and to which it is rolled."""
    max_delta: Fraction = 0.55
    """Most delta, either sign, of an option that a roll sells."""
    max_rolls: int = Field(default=3, ge=0, le=100)
    """Rolls that a campaign may have; 0 never rolls."""
    past_earnings: bool = False
    """Whether a roll may reach beyond the next known earnings."""
    part: float = Field(default=0.5, gt=0.0, lt=1.0)
    """Share of the contracts that is closed where a part is taken off."""

    @model_validator(mode="after")
    def _days_ascend(self) -> Self:
        if self.min_dte > self.max_dte:
            raise ValueError(f"min_dte <= max_dte must hold, got {self.min_dte}, {self.max_dte}")
        return self


class JournalSettings(Section):
    """Defaults of the journal."""

    exits: ExitSettings = ExitSettings()
    """Exit rules that an entry gets when none are given."""
    exits_of: Annotated[dict[str, OwnExitSettings], BeforeValidator(_with_own_exits)] = _OWN_EXITS
    """The same by strategy: only what differs from [journal.exits]."""
    bootstrap: int = Field(default=2000, ge=100, le=100000)
    """Resamples behind the intervals of the statistics."""

    def exits_for(self, strategy: str) -> ExitSettings:
        """Exit rules of *strategy*: its own where it has some, else the general ones."""
        own = self.exits_of.get(strategy)
        return self.exits.model_copy(update=own.shown() if own else {})
