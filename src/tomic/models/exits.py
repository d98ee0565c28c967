"""Exit rules: the same in the settings and in an entry, whatever package reads them."""

from __future__ import annotations

from tomic.models.market import Model


class ExitRules(Model):
    """When to act on an entry; None switches a rule off."""

    profit_target: float | None = None
    """Profit as a share of the credit received, or of the debit paid."""
    stop: float | None = None
    """Loss as a multiple of the credit received, or of the debit paid."""
    min_dte: int | None = None
    """Days to expiry at which to close or roll."""
    max_days_in_trade: int | None = None
    """Days after which to close whatever the result."""
    short_delta: float | None = None
    """Delta of a short leg, either sign, at which it is under attack."""
    short_strike_breached: bool = False
    """Whether spot beyond a short strike is a signal."""
    spot_below: float | None = None
    """Spot below which to leave."""
    spot_above: float | None = None
    """Spot above which to leave."""
    iv_rank_below: float | None = None
    """IV rank under which the reason to be short volatility is gone."""
    iv_rise: float | None = None
    """Rise of implied volatility since entry, vol fraction."""
    earnings_days: int | None = None
    """Days before earnings at which to act."""
    dividend_days: int | None = None
    """Days before an ex-dividend date at which to look at short calls."""
    negative_ev: bool = False
    """Whether holding that is expected to bring less than closing now is a signal."""
