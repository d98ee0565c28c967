"""A backtest made by hand, with every part that a report can show."""

from __future__ import annotations

import datetime as dt

from tomic.models.backtest import (
    BacktestBaseline,
    BacktestBucket,
    BacktestCosts,
    BacktestGroup,
    BacktestResult,
    BacktestTrade,
    BacktestWeek,
    Estimate,
    ReasonCount,
)

MONDAY = dt.date(2025, 1, 6)
ZERO = Estimate(value=0.004, low=-0.012, high=0.021, blocks=4)
GAIN = Estimate(value=0.021, low=0.005, high=0.035, blocks=4)
FEW = Estimate(value=-0.05, blocks=1)


def group(label: str = "all", trades: int = 40, **changes: object) -> BacktestGroup:
    """A group that won four of five."""
    values = {
        "win_rate": 0.8, "pos": 0.84, "promised": 0.003, "promised_cvar": 0.004,
        "per_margin": ZERO, "per_cvar": GAIN, "median_per_margin": 0.02,
        "median_per_cvar": 0.03, "pnl": -120.5,
    }  # fmt: skip
    return BacktestGroup(label=label, trades=trades, **(values | changes))


def trade(**changes: object) -> BacktestTrade:
    """A put spread that the target closed."""
    values = {
        "symbol": "SPY", "strategy": "short_put_spread",
        "trade": "short_put_spread 560P/550P 2025-02-07", "source": "surface", "day": MONDAY,
        "rank": 1, "expiry": dt.date(2025, 2, 7), "closed": dt.date(2025, 1, 17),
        "exit": "profit_target", "credit": 148.7, "margin": 851.3, "cvar": 800.0, "score": 72.0,
        "pos": 0.81, "ev": 12.0, "ev_market": 11.0, "gross": 80.0, "entry_costs": 5.0,
        "exit_costs": 5.0, "pnl": 70.0,
    }  # fmt: skip
    return BacktestTrade(**(values | changes))


def week(number: int, pnl: float, total: float) -> BacktestWeek:
    """The *number*-th week."""
    monday = MONDAY + dt.timedelta(weeks=number)
    return BacktestWeek(monday=monday, pnl=pnl, total=total, opened=1, closed=1)


def whole(**changes: object) -> BacktestResult:
    """A backtest with everything."""
    weeks = (week(0, 70.0, 70.0), week(1, -190.5, -120.5), week(2, 0.0, -120.5))
    values = {
        "settings": {"score": {}}, "changed": {"score.min_pos": "0.6"},
        "symbols": ("SPY", "QQQ"), "strategies": ("short_put_spread",), "every": "week",
        "run": "managed", "start": MONDAY, "end": dt.date(2025, 6, 30), "entry_days": 26,
        "symbol_days": 52, "candidates": 310, "sources": {"surface": 40},
        "data": ("surface.csv",), "blocks": 3, "overall": group(),
        "trades": (trade(), trade(symbol="QQQ", rank=2, pnl=-190.5, exit="stop")),
        "weeks": weeks, "worst_week": weeks[1], "drawdown": -190.5, "drawdown_from": MONDAY,
        "drawdown_to": weeks[1].monday,
        "ev_deciles": (
            BacktestBucket(trades=155, promised=-0.03, came=ZERO),
            BacktestBucket(trades=155, promised=0.02, came=GAIN),
        ),
        "pos_deciles": (
            BacktestBucket(
                trades=155, promised=0.6, came=Estimate(value=0.5, low=0.4, high=0.62, blocks=3)
            ),
            BacktestBucket(trades=155, promised=0.9, came=Estimate(value=0.88, blocks=1)),
        ),
        "top": (group("top 1", 26), group("top 3", 40, per_margin=FEW)),
        "by_strategy": (group("short_put_spread"),), "by_symbol": (group("SPY"), group("QQQ")),
        "by_year": (group("2025"),), "by_iv_percentile": (group("0 to 20 %"),),
        "by_event": (group("none"),), "by_source": (group("surface"),),
        "by_exit": (group("profit_target"),), "structures": (group("iron_condor", 300),),
        "baselines": (
            BacktestBaseline(
                name="random choice", text="as many, drawn from the same candidates",
                per_margin=FEW, per_cvar=FEW, difference=GAIN,
            ),
        ),
        "costs": (
            BacktestCosts(name="settings", per_margin=ZERO, per_cvar=GAIN, mean_costs=12.3),
            BacktestCosts(name="1 % a leg", per_margin=GAIN, per_cvar=GAIN, mean_costs=4.0),
        ),
        "not_built": (ReasonCount(reason="no surface on the day", count=1234),),
        "refused": (ReasonCount(reason="min credit share", count=99),),
        "excluded": (ReasonCount(reason="impossible IV", count=2),),
        "variants": 7, "verdict": "The interval per margin holds zero: no edge is shown.",
        "notes": ("strikes are modelled",),
    }  # fmt: skip
    return BacktestResult(**(values | changes))


def empty() -> BacktestResult:
    """A backtest that opened nothing."""
    return BacktestResult(
        settings={}, symbols=("SPY",), strategies=(), every="day", run="hold", start=None,
        end=None, entry_days=0, symbol_days=0, candidates=0, sources={},
        overall=BacktestGroup(label="all", trades=0), verdict="Nothing was opened.",
    )  # fmt: skip
