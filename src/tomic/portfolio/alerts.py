"""
Thresholds that were crossed, each with its number, its limit and what to do about it; and short
options that are likely to be exercised: before a dividend, deep in the money, at expiry.

The thresholds are settings; those of the original program are their defaults. ``info`` is context;
``warning`` and ``alarm`` ask for a decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tomic import dates
from tomic.config.book import AlertsSettings
from tomic.models import review as nouns
from tomic.models.book import Book, SymbolMarket
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.lines import BookLine

_RANK = {nouns.Severity.ALARM: 0, nouns.Severity.WARNING: 1, nouns.Severity.INFO: 2}
INFO, WARNING, ALARM = nouns.Severity.INFO, nouns.Severity.WARNING, nouns.Severity.ALARM
_AT_THE_END_DAYS = 2
_PIN = 0.005
"""Share of spot around the strike within which an expiring short option may go either way."""


def ordered(alerts: Iterable[nouns.Alert]) -> tuple[nouns.Alert, ...]:
    """Alarms first, the book before its structures."""
    return tuple(
        sorted(
            alerts, key=lambda alert: (_RANK[alert.severity], alert.scope != "book", alert.scope)
        )
    )


def of_book(
    totals: nouns.BookTotals,
    by_symbol: dict[str, nouns.PortfolioGreeks],
    structures: Sequence[nouns.Structure],
    concentration: Sequence[nouns.Concentration],
    limits: AlertsSettings,
    *,
    net_liquidation: float | None = None,
) -> Iterator[nouns.Alert]:
    """
    Alerts about the book as a whole.

    A margin that is known in part is at least that part, which may be too much already; what it is
    a share of is *net_liquidation*.
    """
    greeks, vega = totals.greeks, totals.greeks.vega
    yield from _fired("book", (
        (abs(greeks.delta) > limits.book_delta,
         "book_delta", WARNING, greeks.delta, limits.book_delta, "shares",
         f"net delta is {greeks.delta:+,.0f} shares",
         "take delta off, or add trades that lean the other way"),
        (greeks.theta < 0.0,
         "book_theta", WARNING, greeks.theta, 0.0, "currency",
         f"the book loses {-greeks.theta:,.2f} a day to time",
         "check that the options bought are meant to be held"),
        (vega < -limits.book_vega_short,
         "book_vega_short", WARNING, vega, -limits.book_vega_short, "currency",
         f"the book loses {-vega:,.2f} per point that volatility rises",
         "buy some volatility, or sell less of it"),
        (vega > limits.book_vega_long,
         "book_vega_long", WARNING, vega, limits.book_vega_long, "currency",
         f"the book loses {vega:,.2f} per point that volatility falls",
         "check that being long volatility is meant"),
        (abs(vega) > limits.book_vega_extreme,
         "book_vega_extreme", ALARM, vega, limits.book_vega_extreme, "currency",
         f"vega of the book is {vega:+,.0f}", "bring it down now"),
        (limits.book_vega_high < abs(vega) <= limits.book_vega_extreme,
         "book_vega_high", WARNING, vega, limits.book_vega_high, "currency",
         f"vega of the book is {vega:+,.0f}", "keep an eye on it"),
    ))  # fmt: skip
    yield from _book_gamma(by_symbol, limits)
    yield from _clusters(structures, limits)
    yield from _shares(concentration, limits)
    yield from _capital(totals, net_liquidation, limits)


_Threshold = tuple[bool, str, nouns.Severity, float | None, float | None, nouns.LimitUnit, str, str]
"""Whether it was crossed; then rule, severity, value, limit, unit, message and advice."""


def _fired(scope: str, thresholds: Iterable[_Threshold]) -> Iterator[nouns.Alert]:
    """An alert for each of *thresholds* that was crossed."""
    for crossed, rule, severity, value, limit, unit, message, advice in thresholds:
        if crossed:
            yield _alert(scope, rule, severity, value, limit, unit, message, advice)


def _alert(
    scope: str,
    rule: str,
    severity: nouns.Severity,
    value: float | None,
    limit: float | None,
    unit: nouns.LimitUnit,
    message: str,
    advice: str,
) -> nouns.Alert:
    return nouns.Alert(
        rule=rule,
        severity=severity,
        scope=scope,
        value=value,
        limit=limit,
        unit=unit,
        message=message,
        advice=advice,
    )


def _book_gamma(
    by_symbol: dict[str, nouns.PortfolioGreeks], limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    high = {name: g.gamma for name, g in by_symbol.items() if abs(g.gamma) > limits.book_gamma}
    if len(high) > 1:
        worst = max(high.values(), key=abs)
        names = ", ".join(sorted(high))
        yield _alert(
            "book", "book_gamma", WARNING, worst, limits.book_gamma, "shares",
            f"gamma is high in {len(high)} symbols: {names}",
            "deltas there change fast; lengthen or widen some of them",
        )  # fmt: skip


def _clusters(
    structures: Sequence[nouns.Structure], limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    names = [
        structure.strategy
        for structure in structures
        if structure.strategy not in ("shares", "other")
    ]
    if len(names) < 2:
        return
    name = max(sorted(set(names)), key=names.count)
    share = names.count(name) / len(names)
    if share >= limits.same_strategy_share:
        yield _alert(
            "book", "same_strategy", WARNING, share, limits.same_strategy_share, "fraction",
            f"{share:.0%} of the structures are {name}",
            "one kind of market hurts all of them at once; vary",
        )  # fmt: skip


def _shares(
    concentration: Sequence[nouns.Concentration], limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    most = {"symbol": limits.symbol_share, "sector": limits.sector_share}
    several = {kind: sum(part.kind == kind for part in concentration) > 1 for kind in most}
    for part in concentration:
        limit, share = most.get(part.kind), _least_share(part, concentration)
        if limit is None or share is None or part.name == "unknown":
            continue
        if not several[part.kind] or share <= limit:
            continue
        yield _alert(
            part.name, f"{part.kind}_share", WARNING, share, limit, "fraction",
            f"{part.name} holds {_at_least(part.margin)}{share:.0%} of the margin",
            f"spread over other {part.kind}s before adding here",
        )  # fmt: skip


def _least_share(part: nouns.Concentration, every: Sequence[nouns.Concentration]) -> float | None:
    """What it holds of the margins that are known, or the least that this can be."""
    whole = sum(other.margin_known for other in every if other.kind == part.kind)
    return part.share if part.margin is not None or not whole else part.margin_known / whole


def _at_least(margin: float | None) -> str:
    return "at least " if margin is None else ""


def _capital(
    totals: nouns.BookTotals, net_liquidation: float | None, limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    share = totals.margin_share
    if share is None and net_liquidation is not None and net_liquidation > 0.0:
        share = totals.margin_known / net_liquidation
    if share is not None and share > limits.margin_share:
        yield _alert(
            "book", "margin_share", WARNING, share, limits.margin_share, "fraction",
            f"margin takes {_at_least(totals.margin)}{share:.0%} of net liquidation",
            "keep room for margins that rise in a fall",
        )  # fmt: skip
    if totals.worst_share is not None and totals.worst_share > limits.stress_loss:
        yield _alert(
            "book", "stress_loss", ALARM, totals.worst_share, limits.stress_loss, "fraction",
            f"the worst stress cell costs {totals.worst_share:.1%} of net liquidation",
            "see which structure drives it, and hedge or close that one",
        )  # fmt: skip


def of_events(book: Book, symbols: Iterable[str], limits: AlertsSettings) -> Iterator[nouns.Alert]:
    """Earnings and ex-dividend days that are near."""
    today = book.today
    for symbol in sorted(set(symbols)):
        market = book.markets.get(symbol)
        if market is None:
            continue
        for what, day, severity in (
            ("earnings", market.next_earnings, WARNING),
            ("ex-dividend", market.next_dividend, INFO),
        ):
            ahead = (day - today).days if day is not None else -1
            if 0 <= ahead <= limits.event_days:
                yield _alert(
                    symbol, what.replace("-", "_"), severity, ahead, limits.event_days, "days",
                    f"{symbol}: {what} on {day}, in {ahead} days",
                    "decide before it whether to hold through it",
                )  # fmt: skip


_ADVICE_IN_SHARES = "close or roll it, unless you want the shares to change hands"
_ADVICE_IN_CASH = "close or roll it, unless you want to pay its value at that day's close in cash"


def of_assignment(
    risks: Iterable[nouns.AssignmentRisk], limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    """Short options that may well be exercised."""
    for risk in risks:
        limit = {"dividend": risk.dividend, "deep_in_the_money": limits.itm_share}.get(risk.reason)
        unit: nouns.LimitUnit = "fraction" if risk.reason == "deep_in_the_money" else "currency"
        yield _alert(
            risk.structure, f"assignment_{risk.reason}", WARNING, risk.time_value, limit, unit,
            f"{risk.contract}: {risk.message}",
            _ADVICE_IN_CASH if risk.in_cash else _ADVICE_IN_SHARES,
        )  # fmt: skip


def of_entry(
    symbol: str, iv: float | None, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[nouns.Alert]:
    """What speaks for or against opening a trade that sells volatility now."""
    historical = market.hv30 if market else None
    if iv is not None and historical is not None:
        gap = iv - historical
        severity, words, advice = (
            (WARNING, "below HV", "do not sell volatility here")
            if gap < 0.0
            else (INFO, "hardly above HV", "thin")
            if gap < limits.entry_iv_hv
            else (INFO, "above HV", "fine")
        )
        yield _alert(
            symbol, "entry_iv_hv", severity, gap, limits.entry_iv_hv, "fraction",
            f"{symbol}: IV is {words} ({gap * 100.0:+.1f} points)", advice,
        )  # fmt: skip
    rank = market.iv_rank if market else None
    if rank is not None and rank < limits.iv_rank_low:
        yield _alert(
            symbol, "entry_iv_rank", INFO, rank, limits.iv_rank_low, "fraction",
            f"{symbol}: IV rank is {rank:.0%}",
            "little premium; selling pays more when it is higher",
        )  # fmt: skip


def of_structure(
    structure: nouns.Structure,
    market: SymbolMarket | None,
    limits: AlertsSettings,
    *,
    net_liquidation: float | None = None,
) -> Iterator[nouns.Alert]:
    """
    Alerts about one structure; what is unknown fires nothing.

    How far it may lean is a share of *net_liquidation*, or an amount where that is not known.
    """
    for thresholds in (
        _direction(structure, limits, net_liquidation),
        _vega(structure, market, limits),
        _volatility(structure, market, limits),
        _result(structure, limits),
        _pay(structure, limits),
    ):
        yield from _fired(structure.id, thresholds)
    if structure.dte is not None and 0 <= structure.dte < limits.dte:
        yield _alert(
            structure.id, "dte", WARNING, structure.dte, limits.dte, "days",
            f"{structure.dte} days to expiry", "close or roll: gamma grows from here",
        )  # fmt: skip


def _direction(
    structure: nouns.Structure, limits: AlertsSettings, net_liquidation: float | None
) -> Iterator[_Threshold]:
    delta, value = structure.delta_per_share, structure.greeks.delta_value
    if delta is not None:
        strong = abs(delta) >= limits.delta_strong
        limit = limits.delta_strong if strong else limits.delta_light
        yield (
            abs(delta) >= limits.delta_light,
            "delta_strong" if strong else "delta_light", INFO, delta, limit, "delta",
            f"{'strongly' if strong else 'lightly'} {'bullish' if delta > 0.0 else 'bearish'}, "
            f"delta {delta:+.2f}", "fine when it is meant",
        )  # fmt: skip
    few = abs(value) < limits.delta_dollars_low and abs(value) <= limits.delta_dollars_high
    yield _too_far(value, limits, net_liquidation)
    yield from (
        (delta is not None and few,
         "delta_dollars_low", INFO, value, limits.delta_dollars_low, "currency",
         f"it moves like only {value:+,.0f} of the underlying", "direction hardly matters"),
    )  # fmt: skip


def _too_far(value: float, limits: AlertsSettings, net_liquidation: float | None) -> _Threshold:
    text, advice = (
        f"it moves like {value:+,.0f} of the underlying",
        "reduce, or hedge the direction",
    )
    if net_liquidation is None or net_liquidation <= 0.0:
        limit = limits.delta_dollars_high
        return (abs(value) > limit, "delta_dollars_high", ALARM, value, limit, "currency", text,
                advice)  # fmt: skip
    share = value / net_liquidation
    return (
        abs(share) > limits.delta_share, "delta_share", ALARM, share, limits.delta_share,
        "fraction", f"{text}, {abs(share):.0%} of net liquidation", advice,
    )  # fmt: skip


def _vega(
    structure: nouns.Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[_Threshold]:
    vega, rank = structure.greeks.vega, market.iv_rank if market else None
    yield (
        abs(vega) > limits.vega,
        "vega", WARNING, vega, limits.vega, "currency",
        f"vega {vega:+,.0f} per vol point", "large for one structure; consider fewer of it",
    )  # fmt: skip
    if rank is None:
        return
    high, low = limits.iv_rank_high, limits.iv_rank_low
    expensive, cheap = rank > high, rank < low
    short, long = vega < -limits.vega_with_rank, vega > limits.vega_with_rank
    numbers = f"vega {vega:+,.0f}, IV rank {rank:.0%}"
    delta = math.nan if structure.delta_per_share is None else structure.delta_per_share
    yield from (
        (short and expensive, "vega_short_dear", INFO, rank, high, "fraction",
         f"volatility sold while expensive: {numbers}", "time is on its side"),
        (short and cheap and not expensive, "vega_short_cheap", INFO, rank, low, "fraction",
         f"volatility sold while cheap: {numbers}",
         "suits a condor if it stays calm; a rise would hurt"),
        (long and cheap and not expensive, "vega_long_cheap", INFO, rank, low, "fraction",
         f"volatility bought while cheap: {numbers}", "a rise would pay"),
        (delta >= limits.delta_light and vega > 0.0 and cheap,
         "bullish_long_cheap", INFO, rank, low, "fraction",
         "bullish and long volatility while it is cheap", "a rise of either helps"),
        (delta <= -limits.delta_light and vega < 0.0 and expensive,
         "bearish_short_dear", INFO, rank, high, "fraction",
         "bearish and short volatility while it is expensive", "a fall usually lifts volatility"),
    )  # fmt: skip


def _volatility(
    structure: nouns.Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[_Threshold]:
    if structure.iv is None or market is None:
        return
    if market.hv30 is not None:
        gap = structure.iv - market.hv30
        words = "above" if gap > 0.0 else "below"
        yield (
            abs(gap) > limits.iv_hv, "iv_hv", INFO, gap, limits.iv_hv, "fraction",
            f"IV is {abs(gap) * 100.0:.1f} points {words} HV",
            "premium is rich" if gap > 0.0 else "little is paid for the risk",
        )  # fmt: skip
    if market.skew is not None:
        yield (
            abs(market.skew) > limits.skew, "skew", INFO, market.skew, limits.skew, "fraction",
            f"skew is {market.skew * 100.0:+.1f} points", "one side is priced for a larger move",
        )  # fmt: skip


def _result(structure: nouns.Structure, limits: AlertsSettings) -> Iterator[_Threshold]:
    pnl, premium = structure.pnl, abs(structure.cost or 0.0)
    if pnl is None or structure.greeks.theta <= 0.0:
        return
    share = pnl / premium if premium > 0.0 else math.nan
    yield from (
        (share > limits.profit_share,
         "take_profit", WARNING, share, limits.profit_share, "fraction",
         f"{share:.0%} of what was paid or received is earned", "take the profit"),
        (pnl < -limits.loss, "loss", WARNING, pnl, -limits.loss, "currency",
         f"it stands at {pnl:+,.2f}", "ask whether it would be opened today"),
    )  # fmt: skip


def _pay(structure: nouns.Structure, limits: AlertsSettings) -> Iterator[_Threshold]:
    rom, pay = structure.rom, structure.theta_margin
    if rom is not None:
        rule, limit, words, advice = (
            ("rom_high", limits.rom_high, "high", "compare with what is left")
            if rom >= limits.rom_high
            else ("rom_good", limits.rom_good, "good", "compare with what is left")
            if rom >= limits.rom_good
            else ("rom_low", limits.rom_low, "low", "compare with other uses")
        )
        message = f"return on margin {rom:.1%} is {words}"
        yield (
            rule != "rom_low" or rom < limit,
            rule,
            INFO,
            rom,
            limit,
            "fraction",
            message,
            advice,
        )
    if pay is None or structure.delta_per_share is None:
        return
    steps = (
        ("theta_low", limits.theta_low, "hardly pays"),
        ("theta_fair", limits.theta_fair, "pays little"),
        ("theta_high", limits.theta_high, "pays fairly"),
    )
    well = ("theta_high", limits.theta_high, "pays well")
    rule, limit, words = next((step for step in steps if abs(pay) < step[1]), well)
    if pay < 0.0:
        words = "is paid, not earned"
    message = f"time decay {words}: {pay:+.2%} of margin a day"
    advice = "context for the choice what to close first"
    yield True, rule, INFO, pay, limit, "fraction", message, advice


# -- assignment ---------------------------------------------------------------------------------


def assignment_risks(
    rows: Sequence[ExposureRow], names: Sequence[str], book: Book, *, itm_share: float
) -> tuple[nouns.AssignmentRisk, ...]:
    """
    Short American options with a reason to be exercised; index options have none before expiry.

    Args:
        names: Of the structures, by the group of a row.
        itm_share: In the money by this share of spot counts as deep.
    """
    result = []
    for row in rows:
        line, position = row.line, row.line.position
        short = position.is_option and row.quantity < 0.0 and line.is_american
        if not short or math.isnan(line.spot) or position.is_adjusted or line.tau == 0.0:
            continue
        reason = _before_dividend(line, book) or _at_expiry(line, book) or _deep(line, itm_share)
        if reason is not None:
            risk = nouns.AssignmentRisk(
                structure=names[row.group],
                contract=position.contract,
                quantity=row.quantity,
                time_value=_time_value(line),
                in_cash=position.settles_in_cash,
                **reason,
            )
            result.append(risk)
    return tuple(result)


def _intrinsic(line: BookLine) -> float:
    """What exercise pays, currency per share; negative out of the money."""
    gap = line.spot - line.strike
    return gap if line.position.right == "C" else -gap


def _time_value(line: BookLine) -> float | None:
    value = line.value - max(_intrinsic(line), 0.0)
    return None if math.isnan(value) else max(value, 0.0)


def _before_dividend(line: BookLine, book: Book) -> dict[str, Any] | None:
    """A call in the money whose time value is less than the dividend its holder would get."""
    position, market = line.position, book.markets.get(line.position.symbol)
    day = market.next_dividend if market else None
    amount = market.dividend_amount if market else None
    left = _time_value(line)
    if position.right != "C" or day is None or amount is None or position.expiry is None:
        return None
    in_time = book.today < day <= (dates.settlement_of(position) or position.expiry)
    if not in_time or _intrinsic(line) <= 0.0 or left is None or left >= amount:
        return None
    message = f"time value {left:.2f} is less than the dividend {amount:.2f}, ex on {day}"
    return {"reason": "dividend", "dividend": amount, "day": day, "message": message}


def _at_expiry(line: BookLine, book: Book) -> dict[str, Any] | None:
    day = dates.settlement_of(line.position)
    if day is None:
        return None
    days = (day - book.today).days
    if days > _AT_THE_END_DAYS or _intrinsic(line) < -_PIN * line.spot:
        return None
    message = f"{_place(line)} with {_span(days)} left"
    return {"reason": "expiry", "day": day, "message": message}


def _deep(line: BookLine, itm_share: float) -> dict[str, Any] | None:
    share, left = _intrinsic(line) / line.spot, _time_value(line)
    if share < itm_share:
        return None
    words = "time value unknown" if left is None else f"time value {left:.2f}"
    message = f"{share:.1%} in the money, {words}"
    return {"reason": "deep_in_the_money", "day": line.position.expiry, "message": message}


def _place(line: BookLine) -> str:
    inside = _intrinsic(line)
    where = "in" if inside > 0.0 else "out of"
    return f"{abs(inside):.2f} {where} the money"


def _span(days: int) -> str:
    return "no day" if days == 0 else "1 day" if days == 1 else f"{days} days"
