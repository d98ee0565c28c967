"""Settings of `tomic backtest`: what is opened where no chain was recorded, and what it costs."""

from __future__ import annotations

from pydantic import Field

from tomic.config.section import Amount, Fraction, Section, Symbols


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
    """Symbols that are funds, or indices, and report no earnings."""
