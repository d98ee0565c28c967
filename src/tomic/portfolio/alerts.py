"""
Thresholds that were crossed, each with its number, its limit and what to do about it; and short
options that are likely to be exercised: before a dividend, deep in the money, at expiry.

The thresholds are settings; those of the original program are their defaults. ``info`` is context;
``warning`` and ``alarm`` ask for a decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tomic.config.book import AlertsSettings
from tomic.models.book import Book, SymbolMarket
from tomic.models.review import (
    Alert,
    AssignmentRisk,
    BookTotals,
    Concentration,
    LimitUnit,
    PortfolioGreeks,
    Severity,
    Structure,
)
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.lines import BookLine

_RANK = {Severity.ALARM: 0, Severity.WARNING: 1, Severity.INFO: 2}
INFO, WARNING, ALARM = Severity.INFO, Severity.WARNING, Severity.ALARM
_AT_THE_END_DAYS = 2
_PIN = 0.005
"""Share of spot around the strike within which an expiring short option may go either way."""


def ordered(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Alarms first, the book before its structures."""
    return tuple(
        sorted(alerts, key=lambda one: (_RANK[one.severity], one.scope != "book", one.scope))
    )


def of_book(
    totals: BookTotals,
    by_symbol: dict[str, PortfolioGreeks],
    structures: Sequence[Structure],
    concentration: Sequence[Concentration],
    limits: AlertsSettings,
    *,
    net_liquidation: float | None = None,
) -> Iterator[Alert]:
    """
    Alerts about the book as a whole.

    A margin that is known in part is at least that part, which may be too much already; what it is
    a share of is *net_liquidation*.
    """
    greeks = totals.greeks
    if abs(greeks.delta) > limits.book_delta:
        yield _alert(
            "book", "book_delta", WARNING, greeks.delta, limits.book_delta, "shares",
            f"net delta is {greeks.delta:+,.0f} shares",
            "take delta off, or add trades that lean the other way",
        )  # fmt: skip
    if greeks.theta < 0.0:
        yield _alert(
            "book", "book_theta", WARNING, greeks.theta, 0.0, "currency",
            f"the book loses {-greeks.theta:,.2f} a day to time",
            "check that the options bought are meant to be held",
        )  # fmt: skip
    yield from _book_vega(greeks.vega, limits)
    yield from _book_gamma(by_symbol, limits)
    yield from _clusters(structures, limits)
    yield from _shares(concentration, limits)
    yield from _capital(totals, net_liquidation, limits)


def _alert(
    scope: str,
    rule: str,
    severity: Severity,
    value: float | None,
    limit: float | None,
    unit: LimitUnit,
    message: str,
    advice: str,
) -> Alert:
    return Alert(
        rule=rule,
        severity=severity,
        scope=scope,
        value=value,
        limit=limit,
        unit=unit,
        message=message,
        advice=advice,
    )


def _book_vega(vega: float, limits: AlertsSettings) -> Iterator[Alert]:
    if vega < -limits.book_vega_short:
        yield _alert(
            "book", "book_vega_short", WARNING, vega, -limits.book_vega_short, "currency",
            f"the book loses {-vega:,.2f} per point that volatility rises",
            "buy some volatility, or sell less of it",
        )  # fmt: skip
    if vega > limits.book_vega_long:
        yield _alert(
            "book", "book_vega_long", WARNING, vega, limits.book_vega_long, "currency",
            f"the book loses {vega:,.2f} per point that volatility falls",
            "check that being long volatility is meant",
        )  # fmt: skip
    if abs(vega) > limits.book_vega_extreme:
        yield _alert(
            "book", "book_vega_extreme", ALARM, vega, limits.book_vega_extreme, "currency",
            f"vega of the book is {vega:+,.0f}", "bring it down now",
        )  # fmt: skip
    elif abs(vega) > limits.book_vega_high:
        yield _alert(
            "book", "book_vega_high", WARNING, vega, limits.book_vega_high, "currency",
            f"vega of the book is {vega:+,.0f}", "keep an eye on it",
        )  # fmt: skip


def _book_gamma(by_symbol: dict[str, PortfolioGreeks], limits: AlertsSettings) -> Iterator[Alert]:
    high = {name: g.gamma for name, g in by_symbol.items() if abs(g.gamma) > limits.book_gamma}
    if len(high) > 1:
        worst = max(high.values(), key=abs)
        names = ", ".join(sorted(high))
        yield _alert(
            "book", "book_gamma", WARNING, worst, limits.book_gamma, "shares",
            f"gamma is high in {len(high)} symbols: {names}",
            "deltas there change fast; lengthen or widen some of them",
        )  # fmt: skip


def _clusters(structures: Sequence[Structure], limits: AlertsSettings) -> Iterator[Alert]:
    names = [one.strategy for one in structures if one.strategy not in ("shares", "other")]
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


def _shares(concentration: Sequence[Concentration], limits: AlertsSettings) -> Iterator[Alert]:
    most = {"symbol": limits.symbol_share, "sector": limits.sector_share}
    several = {kind: sum(one.kind == kind for one in concentration) > 1 for kind in most}
    for one in concentration:
        limit, share = most.get(one.kind), _least_share(one, concentration)
        if limit is None or share is None or one.name == "unknown":
            continue
        if not several[one.kind] or share <= limit:
            continue
        yield _alert(
            one.name, f"{one.kind}_share", WARNING, share, limit, "fraction",
            f"{one.name} holds {_at_least(one.margin)}{share:.0%} of the margin",
            f"spread over other {one.kind}s before adding here",
        )  # fmt: skip


def _least_share(one: Concentration, every: Sequence[Concentration]) -> float | None:
    """What it holds of the margins that are known, or the least that this can be."""
    whole = sum(other.margin_known for other in every if other.kind == one.kind)
    return one.share if one.margin is not None or not whole else one.margin_known / whole


def _at_least(margin: float | None) -> str:
    return "at least " if margin is None else ""


def _capital(
    totals: BookTotals, net_liquidation: float | None, limits: AlertsSettings
) -> Iterator[Alert]:
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


def of_events(book: Book, symbols: Iterable[str], limits: AlertsSettings) -> Iterator[Alert]:
    """Earnings and ex-dividend days that are near."""
    today = book.today
    for symbol in sorted(set(symbols)):
        market = book.markets.get(symbol)
        if market is None:
            continue
        for what, day in (
            ("earnings", market.next_earnings),
            ("ex-dividend", market.next_dividend),
        ):
            if day is not None and 0 <= (day - today).days <= limits.event_days:
                ahead = (day - today).days
                severity = WARNING if what == "earnings" else INFO
                yield _alert(
                    symbol, what.replace("-", "_"), severity, ahead, limits.event_days, "days",
                    f"{symbol}: {what} on {day}, in {ahead} days",
                    "decide before it whether to hold through it",
                )  # fmt: skip


def of_assignment(risks: Iterable[AssignmentRisk], limits: AlertsSettings) -> Iterator[Alert]:
    """Short options that may well be exercised."""
    for one in risks:
        limit = {"dividend": one.dividend, "deep_in_the_money": limits.itm_share}.get(one.reason)
        unit: LimitUnit = "fraction" if one.reason == "deep_in_the_money" else "currency"
        yield _alert(
            one.structure, f"assignment_{one.reason}", WARNING, one.time_value, limit, unit,
            f"{one.contract}: {one.message}",
            "close or roll it, unless you want the shares to change hands",
        )  # fmt: skip


def of_entry(
    symbol: str, iv: float | None, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
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
    one: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    """Alerts about one structure; what is unknown fires nothing."""
    yield from _direction(one, limits)
    yield from _vega(one, market, limits)
    yield from _volatility(one, market, limits)
    yield from _result(one, limits)
    yield from _pay(one, limits)
    if one.dte is not None and 0 <= one.dte < limits.dte:
        yield _alert(
            one.id, "dte", WARNING, one.dte, limits.dte, "days",
            f"{one.dte} days to expiry", "close or roll: gamma grows from here",
        )  # fmt: skip


def _direction(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    delta = one.delta_per_share
    if delta is not None and abs(delta) >= limits.delta_light:
        strong = abs(delta) >= limits.delta_strong
        limit = limits.delta_strong if strong else limits.delta_light
        side = "bullish" if delta > 0.0 else "bearish"
        yield _alert(
            one.id, "delta_strong" if strong else "delta_light", INFO, delta, limit, "delta",
            f"{'strongly' if strong else 'lightly'} {side}, delta {delta:+.2f}",
            "fine when it is meant",
        )  # fmt: skip
    value = one.greeks.delta_value
    if abs(value) > limits.delta_dollars_high:
        yield _alert(
            one.id, "delta_dollars_high", ALARM, value, limits.delta_dollars_high, "currency",
            f"it moves like {value:+,.0f} of the underlying", "reduce, or hedge the direction",
        )  # fmt: skip
    elif delta is not None and abs(value) < limits.delta_dollars_low:
        yield _alert(
            one.id, "delta_dollars_low", INFO, value, limits.delta_dollars_low, "currency",
            f"it moves like only {value:+,.0f} of the underlying", "direction hardly matters",
        )  # fmt: skip


def _vega(one: Structure, market: SymbolMarket | None, limits: AlertsSettings) -> Iterator[Alert]:
    vega, rank = one.greeks.vega, market.iv_rank if market else None
    if abs(vega) > limits.vega:
        yield _alert(
            one.id, "vega", WARNING, vega, limits.vega, "currency",
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
        yield _alert(one.id, rule, severity, rank, limit, "fraction", message, advice)
    delta = one.delta_per_share
    if delta is None:
        return
    if delta >= limits.delta_light and vega > 0.0 and cheap:
        yield _alert(
            one.id, "bullish_long_cheap", INFO, rank, limits.iv_rank_low, "fraction",
            "bullish and long volatility while it is cheap", "a rise of either helps",
        )  # fmt: skip
    if delta <= -limits.delta_light and vega < 0.0 and dear:
        yield _alert(
            one.id, "bearish_short_dear", INFO, rank, limits.iv_rank_high, "fraction",
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
            yield _alert(
                one.id, "iv_hv", INFO, gap, limits.iv_hv, "fraction",
                f"IV is {abs(gap) * 100.0:.1f} points {words} HV", advice,
            )  # fmt: skip
    skew = market.skew if market else None
    if one.iv is not None and skew is not None and abs(skew) > limits.skew:
        yield _alert(
            one.id, "skew", INFO, skew, limits.skew, "fraction",
            f"skew is {skew * 100.0:+.1f} points", "one side is priced for a larger move",
        )  # fmt: skip


def _result(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if one.pnl is None or one.greeks.theta <= 0.0:
        return
    premium = abs(one.cost) if one.cost is not None else 0.0
    share = one.pnl / premium if premium > 0.0 else math.nan
    if share > limits.profit_share:
        yield _alert(
            one.id, "take_profit", WARNING, share, limits.profit_share, "fraction",
            f"{share:.0%} of what was paid or received is earned", "take the profit",
        )  # fmt: skip
    if one.pnl < -limits.loss:
        yield _alert(
            one.id, "loss", WARNING, one.pnl, -limits.loss, "currency",
            f"it stands at {one.pnl:+,.2f}", "ask whether it would be opened today",
        )  # fmt: skip


def _pay(one: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if one.rom is not None:
        for rule, limit, words in (
            ("rom_high", limits.rom_high, "high"),
            ("rom_good", limits.rom_good, "good"),
        ):
            if one.rom >= limit:
                yield _alert(
                    one.id, rule, INFO, one.rom, limit, "fraction",
                    f"return on margin {one.rom:.1%} is {words}", "compare with what is left",
                )  # fmt: skip
                break
        else:
            if one.rom < limits.rom_low:
                yield _alert(
                    one.id, "rom_low", INFO, one.rom, limits.rom_low, "fraction",
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
    advice = "context for the choice what to close first"
    return _alert(one.id, rule, INFO, pay, limit, "fraction", message, advice)


# -- assignment ---------------------------------------------------------------------------------


def assignment_risks(
    rows: Sequence[ExposureRow], names: Sequence[str], book: Book, *, itm_share: float
) -> tuple[AssignmentRisk, ...]:
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
        risk = (
            _before_dividend(row, names[row.group], book)
            or _at_expiry(row, names[row.group], book)
            or _deep(row, names[row.group], itm_share)
        )
        if risk is not None:
            result.append(risk)
    return tuple(result)


def _intrinsic(line: BookLine) -> float:
    """What exercise pays, currency per share; negative out of the money."""
    gap = line.spot - line.strike
    return gap if line.position.right == "C" else -gap


def _time_value(line: BookLine) -> float | None:
    value = line.value - max(_intrinsic(line), 0.0)
    return None if math.isnan(value) else max(value, 0.0)


def _before_dividend(row: ExposureRow, name: str, book: Book) -> AssignmentRisk | None:
    """A short call in the money whose time value is less than the dividend its holder would get."""
    line, position = row.line, row.line.position
    market = book.markets.get(position.symbol)
    day = market.next_dividend if market else None
    amount = market.dividend_amount if market else None
    left = _time_value(line)
    if position.right != "C" or day is None or amount is None or position.expiry is None:
        return None
    in_time = book.today < day <= position.expiry
    if not in_time or _intrinsic(line) <= 0.0 or left is None or left >= amount:
        return None
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="dividend",
        time_value=left,
        dividend=amount,
        day=day,
        message=f"time value {left:.2f} is less than the dividend {amount:.2f}, ex on {day}",
    )


def _at_expiry(row: ExposureRow, name: str, book: Book) -> AssignmentRisk | None:
    line, position = row.line, row.line.position
    if position.expiry is None:
        return None
    days = (position.expiry - book.today).days
    if days > _AT_THE_END_DAYS or _intrinsic(line) < -_PIN * line.spot:
        return None
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="expiry",
        time_value=_time_value(line),
        day=position.expiry,
        message=f"{_place(line)} with {_span(days)} left",
    )


def _deep(row: ExposureRow, name: str, itm_share: float) -> AssignmentRisk | None:
    line, position = row.line, row.line.position
    share = _intrinsic(line) / line.spot
    if share < itm_share:
        return None
    left = _time_value(line)
    words = "time value unknown" if left is None else f"time value {left:.2f}"
    return AssignmentRisk(
        structure=name,
        contract=position.contract,
        quantity=row.quantity,
        reason="deep_in_the_money",
        time_value=left,
        day=position.expiry,
        message=f"{share:.1%} in the money, {words}",
    )


def _place(line: BookLine) -> str:
    inside = _intrinsic(line)
    where = "in" if inside > 0.0 else "out of"
    return f"{abs(inside):.2f} {where} the money"


def _span(days: int) -> str:
    return "no day" if days == 0 else "1 day" if days == 1 else f"{days} days"
