"""
Exit rules against what is observed: which fired, which could not be judged, and what to do.

Each rule is a function of what was agreed and the observed state; it returns nothing where it was
judged and did not fire, and a reason where it cannot be judged. A missing number never counts as
"did not fire".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, TypeAlias

from tomic.models import exits as firing
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
    """Expected P&L of holding to the next expiry, beside closing now and its costs, currency."""
    at_stake: float | None = None
    """What a model can be wrong about: the larger of the premium and the value now, currency."""
    missing: tuple[str, ...] = ()
    """Contracts without a mark."""
    stale: str = ""
    """Why the marks may have moved since; empty for fresh ones."""


class _Fired(NamedTuple):
    """What a rule saw, in the unit of its limit, and what to do about it."""

    observed: float | None
    limit: float | None
    text: str
    advice: str


Rule: TypeAlias = Callable[[ExitRules, Observed], ExitSignal | None]
_Judge: TypeAlias = Callable[[Any, Observed], _Fired | str | None]


def _rule(name: str, *, limit: float | None = None) -> Callable[[_Judge], Rule]:
    """
    A rule under the name of its setting, which may switch it off.

    The function gets what was agreed; a text that it returns says why it cannot judge. *limit* is
    that of a rule that is agreed by yes or no.
    """

    def named(judge: _Judge) -> Rule:
        @wraps(judge)
        def rule(rules: ExitRules, observed: Observed) -> ExitSignal | None:
            agreed = getattr(rules, name)
            judged = None if agreed is None or agreed is False else judge(agreed, observed)
            if judged is None:
                return None
            if isinstance(judged, _Fired):
                return ExitSignal(rule=name, fired=True, **judged._asdict())
            text = f"{name} not judged: {judged}"
            bound = limit if agreed is True else agreed
            return ExitSignal(rule=name, fired=False, limit=bound, text=text)

        return rule

    return named


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


@_rule("stop")
def stop(limit: float, observed: Observed) -> _Fired | str | None:
    """Loss of at least a multiple of the premium."""
    share = share_of_premium(observed)
    if share is None:
        return _no_share(observed)
    if not firing.is_stop(share, limit):
        return None
    text = f"loss {-share:.2f}x {_word(observed)} (stop {limit:.2f}x)"
    return _Fired(-share, limit, text, "close: the stop is reached")


@_rule("profit_target")
def profit_target(limit: float, observed: Observed) -> _Fired | str | None:
    """Profit of at least a share of the premium."""
    share = share_of_premium(observed)
    if share is None:
        return _no_share(observed)
    if not firing.is_target(share, limit):
        return None
    text = f"profit {share:.0%} of the {_word(observed)} (target {limit:.0%})"
    return _Fired(share, limit, text, "close: take the profit")


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


@_rule("min_dte")
def min_dte(limit: int, observed: Observed) -> _Fired | None:
    """Too few days to the next expiry; shares have none."""
    if observed.dte is None or not firing.is_near_expiry(observed.dte, limit):
        return None
    text = f"{observed.dte} days to expiry (rule: {limit} or fewer)"
    advice = "expired: record what became of it" if observed.dte < 0 else "close or roll"
    return _Fired(observed.dte, limit, text, advice)


@_rule("max_days_in_trade")
def max_days_in_trade(limit: int, observed: Observed) -> _Fired | None:
    """Too many days since opening."""
    days = (observed.day - observed.opened).days
    if not firing.is_held_long(days, limit):
        return None
    text = f"{days} days in the trade (rule: at most {limit})"
    return _Fired(days, limit, text, "close: the time set for it is over")


# -- price -----------------------------------------------------------------------------------

_NO_SPOT = "no price of the underlying"


@_rule("short_delta")
def short_delta(limit: float, observed: Observed) -> _Fired | str | None:
    """A short leg whose delta, either sign, has grown to the limit."""
    known = [(abs(leg.delta), leg) for leg in observed.shorts if leg.delta is not None]
    worst = max(known, key=lambda pair: pair[0], default=None)
    if worst is not None and worst[0] >= limit:
        size, leg = worst
        text = f"short {leg.name} has delta {leg.delta:+.2f} (limit {limit:.2f})"
        return _Fired(size, limit, text, "roll or close the tested side")
    unknown = [leg.name for leg in observed.shorts if leg.delta is None]
    return f"no delta of {', '.join(unknown)}" if unknown else None


@_rule("short_strike_breached")
def short_strike_breached(agreed: bool, observed: Observed) -> _Fired | str | None:
    """Spot beyond a short strike."""
    spot = observed.spot
    if not observed.shorts:
        return None
    if spot is None:
        return _NO_SPOT
    worst = max(observed.shorts, key=lambda leg: _inside(leg, spot))
    if _inside(worst, spot) <= 0.0:
        return None
    text = f"spot {spot:.2f} is beyond the short {worst.name}"
    return _Fired(spot, worst.strike, text, "roll or close the tested side")


def _inside(leg: ShortLeg, spot: float) -> float:
    return spot - leg.strike if leg.is_call else leg.strike - spot


@_rule("spot_below")
def spot_below(limit: float, observed: Observed) -> _Fired | str | None:
    """Spot under a level."""
    is_broken = observed.spot is not None and observed.spot < limit
    return _level("below", limit, observed.spot, is_broken=is_broken)


@_rule("spot_above")
def spot_above(limit: float, observed: Observed) -> _Fired | str | None:
    """Spot over a level."""
    is_broken = observed.spot is not None and observed.spot > limit
    return _level("above", limit, observed.spot, is_broken=is_broken)


def _level(side: str, limit: float, spot: float | None, *, is_broken: bool) -> _Fired | str | None:
    if spot is None:
        return _NO_SPOT
    text = f"spot {spot:.2f} is {side} {limit:g}"
    return _Fired(spot, limit, text, "close: the level is broken") if is_broken else None


# -- volatility ------------------------------------------------------------------------------


@_rule("iv_rank_below")
def iv_rank_below(limit: float, observed: Observed) -> _Fired | str | None:
    """IV rank fallen under a level."""
    if observed.iv_rank is None:
        return "IV rank unknown; tomic vol brings it up to date"
    if observed.iv_rank >= limit:
        return None
    text = f"IV rank {observed.iv_rank:.0%} is below {limit:.0%}"
    return _Fired(observed.iv_rank, limit, text, "close: volatility is no longer rich")


@_rule("iv_rise")
def iv_rise(limit: float, observed: Observed) -> _Fired | str | None:
    """Implied volatility up by some points since entry."""
    if observed.iv is None or observed.iv_at_entry is None:
        return f"implied volatility {'now' if observed.iv is None else 'at entry'} unknown"
    rise = round(observed.iv - observed.iv_at_entry, 9)
    if rise < limit:
        return None
    text = f"IV up {100 * rise:.1f} points since entry (limit {100 * limit:.1f})"
    return _Fired(rise, limit, text, "reduce or close: volatility moves against it")


# -- events ----------------------------------------------------------------------------------


@_rule("earnings_days")
def earnings(limit: int, observed: Observed) -> _Fired | None:
    """Earnings within some days; an unknown date is a note of the check, not a signal."""
    if observed.earnings is None:
        return None
    days = (observed.earnings - observed.day).days
    if not firing.is_before_earnings(days, limit):
        return None
    text = f"earnings on {observed.earnings}, in {days} days (rule: {limit} or fewer)"
    return _Fired(days, limit, text, "close, or accept the jump")


@_rule("dividend_days")
def ex_dividend(limit: int, observed: Observed) -> _Fired | str | None:
    """
    A short call that pays to be exercised before an ex-dividend day within some days.

    Whoever holds the call gives up price - (spot - strike) and gets the dividend.
    """
    ex_day = observed.ex_dividend
    if ex_day is None or not 0 <= (ex_day - observed.day).days <= limit:
        return None
    unknown = None
    for leg in observed.shorts:
        if not leg.is_call or leg.expiry < ex_day:
            continue
        if observed.spot is None or leg.price is None:
            unknown = f"no price of {leg.name} or its underlying before ex-day {ex_day}"
        elif (assigned := _assignment(leg, observed, observed.spot, leg.price)) is not None:
            return assigned
    return unknown


def _assignment(leg: ShortLeg, observed: Observed, spot: float, price: float) -> _Fired | None:
    ex_day, dividend, advice = (
        observed.ex_dividend,
        observed.dividend,
        "close or roll before the ex-day",
    )
    if dividend is None:
        text = f"short {leg.name} is in the money at ex-day {ex_day}, amount unknown"
        return _Fired(None, None, text, advice) if _inside(leg, spot) > 0.0 else None
    given_up = price - (spot - leg.strike)
    if given_up >= dividend:
        return None
    text = (
        f"assignment risk on short {leg.name}: ex-day {ex_day}, "
        f"dividend {dividend:.2f} > time value {given_up:.2f}"
    )
    return _Fired(given_up, dividend, text, advice)


# -- expectation -----------------------------------------------------------------------------


@_rule("negative_ev", limit=0.0)
def negative_ev(agreed: bool, observed: Observed) -> _Fired | str | None:
    """Holding to the next expiry has come to bring less on average than closing now."""
    if observed.dte is None:
        return None
    if observed.ev is None:
        missing = ", ".join(observed.missing)
        return (
            f"no marks of {missing}" if missing else "no density of the next expiry: too few quotes"
        )
    error = firing.MODEL_ERROR * max(observed.at_stake or 0.0, abs(observed.premium or 0.0))
    if observed.ev >= -error:
        return None
    text = (
        f"expected value of holding is {observed.ev:+.2f} beside closing now "
        f"(model error {error:.2f})"
    )
    return _Fired(observed.ev, -error, text, "close: holding no longer pays")


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
