"""
Exit rules against what is observed: which fired, which could not be judged, and what to do.

Each rule is a function of the rules agreed and the observed state; it returns nothing where it is
switched off or was judged and did not fire. A missing number never counts as "did not fire".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tomic.models.journal import ExitRules, ExitSignal, Verdict


@dataclass(frozen=True, slots=True)
class ShortLeg:
    """A short option held; figures per share, None where not available."""

    name: str
    strike: float
    is_call: bool
    expiry: dt.date
    delta: float | None = None
    """Of the option held long: negative for a put."""
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed state of one open campaign; None where a figure is not available."""

    day: dt.date
    """Today, where the underlying trades."""
    opened: dt.date
    dte: int | None = None
    """Calendar days to the next expiry held; None without options."""
    pnl: float | None = None
    """
    Measured against the premium: of the options, of assigned shares too, after commissions.

    Currency; None unless every leg is marked.
    """
    premium: float | None = None
    """Net premium of opening, adjusting and rolling: credit > 0, debit < 0, currency."""
    spot: float | None = None
    shorts: tuple[ShortLeg, ...] = ()
    iv: float | None = None
    iv_at_entry: float | None = None
    iv_rank: float | None = None
    """Fraction."""
    earnings: dt.date | None = None
    """Next known report; None where none is known."""
    ex_dividend: dt.date | None = None
    """Next known ex-day; None where none is known."""
    dividend: float | None = None
    """Its amount, currency per share."""
    ev: float | None = None
    """Expected P&L from here to the next expiry under the forecast density, currency."""
    missing: tuple[str, ...] = ()
    """Contracts without a mark."""
    stale: str = ""
    """Why the marks may have moved since; empty for fresh ones."""


Rule: TypeAlias = Callable[[ExitRules, Observed], ExitSignal | None]


def evaluate(rules: ExitRules, observed: Observed) -> tuple[ExitSignal, ...]:
    """Every rule that fired or could not be judged, most urgent first."""
    signals = (rule(rules, observed) for rule in RULES)
    return tuple(signal for signal in signals if signal is not None)


def verdict(signals: Iterable[ExitSignal], observed: Observed) -> Verdict:
    """
    The verdict on the signals together.

    HOLD needs every rule judged and every mark present and fresh.
    """
    kept = tuple(signals)
    if any(signal.fired for signal in kept):
        return Verdict.ACT
    if kept or observed.missing:
        return Verdict.UNJUDGED
    return Verdict.STALE if observed.stale else Verdict.HOLD


# -- profit and loss -------------------------------------------------------------------------


def stop(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Loss of at least a multiple of the premium."""
    if rules.stop is None:
        return None
    share = share_of_premium(observed)
    if share is None:
        return _unjudged("stop", rules.stop, _no_share(observed))
    if share > -rules.stop:
        return None
    return _fired(
        "stop",
        -share,
        rules.stop,
        f"loss {-share:.2f}x {_word(observed)} (stop {rules.stop:.2f}x)",
        "close: the stop is reached",
    )


def profit_target(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Profit of at least a share of the premium."""
    if rules.profit_target is None:
        return None
    share = share_of_premium(observed)
    if share is None:
        return _unjudged("profit_target", rules.profit_target, _no_share(observed))
    if share < rules.profit_target:
        return None
    return _fired(
        "profit_target",
        share,
        rules.profit_target,
        f"profit {share:.0%} of the {_word(observed)} (target {rules.profit_target:.0%})",
        "close: take the profit",
    )


def share_of_premium(observed: Observed) -> float | None:
    """P&L over the premium, fraction; None where either is missing or nothing was paid."""
    if observed.pnl is None or not observed.premium:
        return None
    # Rounded, so that a target met exactly is not missed by the last bit of a sum.
    return round(observed.pnl, 6) / abs(observed.premium)


def _no_share(observed: Observed) -> str:
    if observed.pnl is None:
        return "no marks of " + (", ".join(observed.missing) or "its legs")
    return "no premium was received or paid to measure against"


def _word(observed: Observed) -> str:
    return "credit" if (observed.premium or 0.0) > 0.0 else "debit"


# -- time ------------------------------------------------------------------------------------


def min_dte(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Too few days to the next expiry; shares have none."""
    if rules.min_dte is None or observed.dte is None or observed.dte > rules.min_dte:
        return None
    past = observed.dte < 0
    return _fired(
        "min_dte",
        float(observed.dte),
        float(rules.min_dte),
        f"{observed.dte} days to expiry (rule: {rules.min_dte} or fewer)",
        "expired: record what became of it" if past else "close or roll",
    )


def max_days_in_trade(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Too many days since opening."""
    days = (observed.day - observed.opened).days
    if rules.max_days_in_trade is None or days < rules.max_days_in_trade:
        return None
    return _fired(
        "max_days_in_trade",
        float(days),
        float(rules.max_days_in_trade),
        f"{days} days in the trade (rule: at most {rules.max_days_in_trade})",
        "close: the time set for it is over",
    )


# -- price -----------------------------------------------------------------------------------


def short_delta(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """A short leg whose delta, either sign, has grown to the limit."""
    limit = rules.short_delta
    if limit is None or not observed.shorts:
        return None
    known = [(abs(leg.delta), leg) for leg in observed.shorts if leg.delta is not None]
    worst = max(known, key=lambda pair: pair[0], default=None)
    if worst is not None and worst[0] >= limit:
        size, leg = worst
        return _fired(
            "short_delta",
            size,
            limit,
            f"short {leg.name} has delta {leg.delta:+.2f} (limit {limit:.2f})",
            "roll or close the tested side",
        )
    unknown = [leg.name for leg in observed.shorts if leg.delta is None]
    return _unjudged("short_delta", limit, f"no delta of {', '.join(unknown)}") if unknown else None


def short_strike_breached(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Spot beyond a short strike."""
    if not rules.short_strike_breached or not observed.shorts:
        return None
    spot = observed.spot
    if spot is None:
        return _unjudged("short_strike_breached", None, "no price of the underlying")
    worst = max(observed.shorts, key=lambda leg: _inside(leg, spot))
    if _inside(worst, spot) <= 0.0:
        return None
    return _fired(
        "short_strike_breached",
        spot,
        worst.strike,
        f"spot {spot:.2f} is beyond the short {worst.name}",
        "roll or close the tested side",
    )


def _inside(leg: ShortLeg, spot: float) -> float:
    return spot - leg.strike if leg.is_call else leg.strike - spot


def spot_below(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Spot under a level."""
    limit = rules.spot_below
    if limit is None:
        return None
    if observed.spot is None:
        return _unjudged("spot_below", limit, "no price of the underlying")
    if observed.spot >= limit:
        return None
    text = f"spot {observed.spot:.2f} is below {limit:g}"
    return _fired("spot_below", observed.spot, limit, text, "close: the level is broken")


def spot_above(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Spot over a level."""
    limit = rules.spot_above
    if limit is None:
        return None
    if observed.spot is None:
        return _unjudged("spot_above", limit, "no price of the underlying")
    if observed.spot <= limit:
        return None
    text = f"spot {observed.spot:.2f} is above {limit:g}"
    return _fired("spot_above", observed.spot, limit, text, "close: the level is broken")


# -- volatility ------------------------------------------------------------------------------


def iv_rank_below(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """IV rank fallen under a level."""
    limit = rules.iv_rank_below
    if limit is None:
        return None
    if observed.iv_rank is None:
        return _unjudged("iv_rank_below", limit, "IV rank unknown; tomic vol brings it up to date")
    if observed.iv_rank >= limit:
        return None
    return _fired(
        "iv_rank_below",
        observed.iv_rank,
        limit,
        f"IV rank {observed.iv_rank:.0%} is below {limit:.0%}",
        "close: volatility is no longer rich",
    )


def iv_rise(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Implied volatility up by some points since entry."""
    limit = rules.iv_rise
    if limit is None:
        return None
    if observed.iv is None or observed.iv_at_entry is None:
        when = "now" if observed.iv is None else "at entry"
        return _unjudged("iv_rise", limit, f"implied volatility {when} unknown")
    rise = round(observed.iv - observed.iv_at_entry, 9)
    if rise < limit:
        return None
    return _fired(
        "iv_rise",
        rise,
        limit,
        f"IV up {100 * rise:.1f} points since entry (limit {100 * limit:.1f})",
        "reduce or close: volatility moves against it",
    )


# -- events ----------------------------------------------------------------------------------


def earnings(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Earnings within some days; an unknown date is a note of the check, not a signal."""
    limit = rules.earnings_days
    if limit is None or observed.earnings is None:
        return None
    days = (observed.earnings - observed.day).days
    if not 0 <= days <= limit:
        return None
    text = f"earnings on {observed.earnings}, in {days} days (rule: {limit} or fewer)"
    return _fired("earnings_days", float(days), float(limit), text, "close, or accept the jump")


def ex_dividend(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """
    A short call that pays to be exercised before an ex-dividend day within some days.

    Whoever holds the call gives up price - (spot - strike) and gets the dividend.
    """
    limit = rules.dividend_days
    calls = [leg for leg in observed.shorts if leg.is_call]
    if limit is None or not calls or observed.ex_dividend is None:
        return None
    days = (observed.ex_dividend - observed.day).days
    if not 0 <= days <= limit:
        return None
    calls = [leg for leg in calls if leg.expiry >= observed.ex_dividend]
    unknown = ""
    for leg in calls:
        if observed.spot is None or leg.price is None:
            unknown = (
                f"no price of {leg.name} or its underlying before ex-day {observed.ex_dividend}"
            )
        elif (signal := _assignment(leg, observed, observed.spot, leg.price)) is not None:
            return signal
    return _unjudged("dividend_days", float(limit), unknown) if unknown else None


def _assignment(leg: ShortLeg, observed: Observed, spot: float, price: float) -> ExitSignal | None:
    if observed.dividend is None:
        if _inside(leg, spot) <= 0.0:
            return None
        text = f"short {leg.name} is in the money at ex-day {observed.ex_dividend}, amount unknown"
        return _fired("dividend_days", None, None, text, "close or roll before the ex-day")
    given_up = price - (spot - leg.strike)
    if given_up >= observed.dividend:
        return None
    return _fired(
        "dividend_days",
        given_up,
        observed.dividend,
        f"assignment risk on short {leg.name}: ex-day {observed.ex_dividend}, "
        f"dividend {observed.dividend:.2f} > time value {given_up:.2f}",
        "close or roll before the ex-day",
    )


# -- expectation -----------------------------------------------------------------------------


def negative_ev(rules: ExitRules, observed: Observed) -> ExitSignal | None:
    """Holding to the next expiry has come to lose on average under the forecast density."""
    if not rules.negative_ev or observed.dte is None:
        return None
    if observed.ev is None:
        reason = "no density of the next expiry: too few quotes"
        if observed.missing:
            reason = f"no marks of {', '.join(observed.missing)}"
        return _unjudged("negative_ev", 0.0, reason)
    if observed.ev >= 0.0:
        return None
    text = f"expected value of holding is {observed.ev:+.2f} under the forecast density"
    return _fired("negative_ev", observed.ev, 0.0, text, "close: holding no longer pays")


RULES: tuple[Rule, ...] = (
    stop,
    ex_dividend,
    short_strike_breached,
    spot_below,
    spot_above,
    short_delta,
    earnings,
    min_dte,
    profit_target,
    max_days_in_trade,
    iv_rise,
    iv_rank_below,
    negative_ev,
)
"""Most urgent first."""


def _fired(
    rule: str, observed: float | None, limit: float | None, text: str, advice: str
) -> ExitSignal:
    return ExitSignal(
        rule=rule, fired=True, observed=observed, limit=limit, text=text, advice=advice
    )


def _unjudged(rule: str, limit: float | None, reason: str) -> ExitSignal:
    return ExitSignal(rule=rule, fired=False, limit=limit, text=f"{rule} not judged: {reason}")
