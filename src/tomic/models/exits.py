"""
Exit rules: the same in the settings and in an entry, whatever package reads them.

When a rule fires stands here once, for the check of a held entry (`tomic.journal.exits`) and for
what a scan expects of a trade that is managed by them (`tomic.strategies.managed`).
"""

from __future__ import annotations

from tomic.models.market import Model

MODEL_ERROR = 0.02
"""Of what is at stake: quotes are as wide, and a fitted smile misses them by as much."""


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
    """Whether it is a signal that holding is expected to bring less than closing now."""

    def levels(self, premium: float) -> tuple[float | None, float | None]:
        """
        P&L at which the target and the stop close a trade; None for a rule that is off.

        Args:
            premium: Received or, negative, paid, in the unit of the answer; 0 gives no levels.
        """
        size = abs(premium)
        target = None if self.profit_target is None or not size else self.profit_target * size
        stop = None if self.stop is None or not size else -self.stop * size
        return target, stop

    def is_last_day(self, *, dte: int, held: int, to_earnings: int | None = None) -> bool:
        """Whether time alone closes a trade on a day; days to a report, None where unknown."""
        return (
            is_near_expiry(dte, self.min_dte)
            or is_held_long(held, self.max_days_in_trade)
            or is_before_earnings(to_earnings, self.earnings_days)
        )


def is_target(share: float, limit: float) -> bool:
    """Whether P&L over the premium has reached the profit target."""
    return share >= limit


def is_stop(share: float, limit: float) -> bool:
    """Whether P&L over the premium has fallen to the stop, a multiple of the premium."""
    return share <= -limit


def is_near_expiry(dte: int, limit: int | None) -> bool:
    """Whether too few days are left to the next expiry; never where the rule is off."""
    return limit is not None and dte <= limit


def is_held_long(days: int, limit: int | None) -> bool:
    """Whether a trade has been held as long as it may; never where the rule is off."""
    return limit is not None and days >= limit


def is_before_earnings(days: int | None, limit: int | None) -> bool:
    """Whether a report is today or within some days; never where either is None."""
    return days is not None and limit is not None and 0 <= days <= limit
