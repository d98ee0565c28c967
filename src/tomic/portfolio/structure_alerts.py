"""Thresholds that one structure has crossed: direction, volatility, result, pay and time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tomic.config.book import AlertsSettings
from tomic.models.book import SymbolMarket
from tomic.models.review import Alert, Severity, Structure
from tomic.portfolio.alerts import ALARM, INFO, WARNING


def of_structure(
    one: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    """Alerts about one structure; what is unknown fires nothing."""
    yield from _direction(one, limits)
    yield from _vega(one, market, limits)
    yield from _volatility(one, market, limits)
    yield from _result(one, limits)
    yield from _pay(one, limits)
    if one.dte is not None and 0 <= one.dte < limits.dte:
        yield _of(
            one, "dte", WARNING, one.dte, limits.dte,
            f"{one.dte} days to expiry", "close or roll: gamma grows from here",
        )  # fmt: skip


def _of(
    one: Structure,
    rule: str,
    severity: Severity,
    value: float,
    limit: float,
    message: str,
    advice: str,
) -> Alert:
    return Alert(
        rule=rule,
        severity=severity,
        scope=one.id,
        value=value,
        limit=limit,
        message=message,
        advice=advice,
    )


def _direction(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    delta = one.delta_per_share
    if delta is not None and abs(delta) >= limits.delta_light:
        strong = abs(delta) >= limits.delta_strong
        limit = limits.delta_strong if strong else limits.delta_light
        side = "bullish" if delta > 0.0 else "bearish"
        yield _of(
            one, "delta_strong" if strong else "delta_light", INFO, delta, limit,
            f"{'strongly' if strong else 'lightly'} {side}, delta {delta:+.2f}",
            "fine when it is meant",
        )  # fmt: skip
    value = one.greeks.delta_value
    if abs(value) > limits.delta_dollars_high:
        yield _of(
            one, "delta_dollars_high", ALARM, value, limits.delta_dollars_high,
            f"it moves like {value:+,.0f} of the underlying", "reduce, or hedge the direction",
        )  # fmt: skip
    elif delta is not None and abs(value) < limits.delta_dollars_low:
        yield _of(
            one, "delta_dollars_low", INFO, value, limits.delta_dollars_low,
            f"it moves like only {value:+,.0f} of the underlying", "direction hardly matters",
        )  # fmt: skip


def _vega(one: Structure, market: SymbolMarket | None, limits: AlertsSettings) -> Iterator[Alert]:
    vega, rank = one.greeks.vega, market.iv_rank if market else None
    if abs(vega) > limits.vega:
        yield _of(
            one, "vega", WARNING, vega, limits.vega,
            f"vega {vega:+,.0f} per vol point", "large for one structure; consider fewer of it",
        )  # fmt: skip
    if rank is None:
        return
    dear, cheap = rank > limits.iv_rank_high, rank < limits.iv_rank_low
    short, long = vega < -limits.vega_with_rank, vega > limits.vega_with_rank
    told = {
        (True, True): ("vega_short_dear", INFO, "sold while dear", "time is on its side"),
        (True, False): (
            "vega_short_cheap", INFO, "sold while cheap",
            "suits a condor if it stays calm; a rise would hurt",
        ),
        (False, False): ("vega_long_cheap", INFO, "bought while cheap", "a rise would pay"),
    }  # fmt: skip
    if (short and (dear or cheap)) or (long and cheap):
        rule, severity, words, advice = told[short, dear]
        limit = limits.iv_rank_high if dear else limits.iv_rank_low
        message = f"volatility {words}: vega {vega:+,.0f}, IV rank {rank:.0%}"
        yield _of(one, rule, severity, rank, limit, message, advice)
    delta = one.delta_per_share
    if delta is None:
        return
    if delta >= limits.delta_light and vega > 0.0 and cheap:
        yield _of(
            one, "bullish_long_cheap", INFO, rank, limits.iv_rank_low,
            "bullish and long volatility while it is cheap", "a rise of either helps",
        )  # fmt: skip
    if delta <= -limits.delta_light and vega < 0.0 and dear:
        yield _of(
            one, "bearish_short_dear", INFO, rank, limits.iv_rank_high,
            "bearish and short volatility while it is dear", "a fall usually lifts volatility",
        )  # fmt: skip


def _volatility(
    one: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    historical = market.hv30 if market else None
    if one.iv is not None and historical is not None:
        gap = one.iv - historical
        if abs(gap) > limits.iv_hv:
            words, advice = ("above", "premium is rich") if gap > 0.0 else (
                "below", "little is paid for the risk",
            )  # fmt: skip
            yield _of(
                one, "iv_hv", INFO, gap, limits.iv_hv,
                f"IV is {abs(gap) * 100.0:.1f} points {words} HV", advice,
            )  # fmt: skip
    skew = market.skew if market else None
    if one.iv is not None and skew is not None and abs(skew) > limits.skew:
        yield _of(
            one, "skew", INFO, skew, limits.skew,
            f"skew is {skew * 100.0:+.1f} points", "one side is priced for a larger move",
        )  # fmt: skip


def _result(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if one.pnl is None or one.greeks.theta <= 0.0:
        return
    premium = abs(one.cost) if one.cost is not None else 0.0
    share = one.pnl / premium if premium > 0.0 else math.nan
    if share > limits.profit_share:
        yield _of(
            one, "take_profit", WARNING, share, limits.profit_share,
            f"{share:.0%} of what was paid or received is earned", "take the profit",
        )  # fmt: skip
    if one.pnl < -limits.loss:
        yield _of(
            one, "loss", WARNING, one.pnl, -limits.loss,
            f"it stands at {one.pnl:+,.2f}", "ask whether it would be opened today",
        )  # fmt: skip


def _pay(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if one.rom is not None:
        for rule, limit, words in (
            ("rom_high", limits.rom_high, "high"),
            ("rom_good", limits.rom_good, "good"),
        ):
            if one.rom >= limit:
                yield _of(
                    one, rule, INFO, one.rom, limit,
                    f"return on margin {one.rom:.1%} is {words}", "compare with what is left",
                )  # fmt: skip
                break
        else:
            if one.rom < limits.rom_low:
                yield _of(
                    one, "rom_low", INFO, one.rom, limits.rom_low,
                    f"return on margin {one.rom:.1%} is low", "compare with other uses",
                )  # fmt: skip
    pay = one.theta_margin
    if pay is None or one.delta_per_share is None:
        return
    for rule, limit, words in (
        ("theta_low", limits.theta_low, "hardly pays"),
        ("theta_fair", limits.theta_fair, "pays little"),
        ("theta_high", limits.theta_high, "pays fairly"),
    ):
        if abs(pay) < limit:
            yield _theta(one, rule, pay, limit, words)
            return
    yield _theta(one, "theta_high", pay, limits.theta_high, "pays well")


def _theta(one: Structure, rule: str, pay: float, limit: float, words: str) -> Alert:
    if pay < 0.0:
        words = "is paid, not earned"
    message = f"time decay {words}: {pay:+.2%} of margin a day"
    return _of(one, rule, INFO, pay, limit, message, "context for the choice what to close first")
