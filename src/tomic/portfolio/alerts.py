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
        sorted(
            alerts, key=lambda alert: (_RANK[alert.severity], alert.scope != "book", alert.scope)
        )
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

    A margin of which only a part is known is at least that part, which may already be too much.
    Shares are of *net_liquidation*.
    """
    greeks = totals.greeks
    if abs(greeks.delta) > limits.book_delta:
        yield _book(
            "book_delta", WARNING, greeks.delta, limits.book_delta,
            f"net delta is {greeks.delta:+,.0f} shares",
            "take delta off, or add trades that lean the other way",
        )  # fmt: skip
    if greeks.theta < 0.0:
        yield _book(
            "book_theta", WARNING, greeks.theta, 0.0,
            f"the book loses {-greeks.theta:,.2f} a day to time",
            "check that the options bought are meant to be held",
        )  # fmt: skip
    yield from _book_vega(greeks.vega, limits)
    yield from _book_gamma(by_symbol, limits)
    yield from _clusters(structures, limits)
    yield from _shares(concentration, limits)
    yield from _capital(totals, net_liquidation, limits)


def _book(
    rule: str, severity: Severity, value: float, limit: float, message: str, advice: str
) -> Alert:
    return Alert(
        rule=rule,
        severity=severity,
        scope="book",
        value=value,
        limit=limit,
        message=message,
        advice=advice,
    )


def _book_vega(vega: float, limits: AlertsSettings) -> Iterator[Alert]:
    if vega < -limits.book_vega_short:
        yield _book(
            "book_vega_short", WARNING, vega, -limits.book_vega_short,
            f"the book loses {-vega:,.2f} per point that volatility rises",
            "buy some volatility, or sell less of it",
        )  # fmt: skip
    if vega > limits.book_vega_long:
        yield _book(
            "book_vega_long", WARNING, vega, limits.book_vega_long,
            f"the book loses {vega:,.2f} per point that volatility falls",
            "check that being long volatility is meant",
        )  # fmt: skip
    if abs(vega) > limits.book_vega_extreme:
        yield _book(
            "book_vega_extreme", ALARM, vega, limits.book_vega_extreme,
            f"vega of the book is {vega:+,.0f}", "bring it down now",
        )  # fmt: skip
    elif abs(vega) > limits.book_vega_high:
        yield _book(
            "book_vega_high", WARNING, vega, limits.book_vega_high,
            f"vega of the book is {vega:+,.0f}", "keep an eye on it",
        )  # fmt: skip


def _book_gamma(by_symbol: dict[str, PortfolioGreeks], limits: AlertsSettings) -> Iterator[Alert]:
    high = {name: g.gamma for name, g in by_symbol.items() if abs(g.gamma) > limits.book_gamma}
    if len(high) > 1:
        worst = max(high.values(), key=abs)
        names = ", ".join(sorted(high))
        yield _book(
            "book_gamma", WARNING, worst, limits.book_gamma,
            f"gamma is high in {len(high)} symbols: {names}",
            "deltas there change fast; lengthen or widen some of them",
        )  # fmt: skip


def _clusters(structures: Sequence[Structure], limits: AlertsSettings) -> Iterator[Alert]:
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
        yield _book(
            "same_strategy", WARNING, share, limits.same_strategy_share,
            f"{share:.0%} of the structures are {name}",
            "one kind of market hurts all of them at once; vary",
        )  # fmt: skip


def _shares(concentration: Sequence[Concentration], limits: AlertsSettings) -> Iterator[Alert]:
    most = {"symbol": limits.symbol_share, "sector": limits.sector_share}
    several = {kind: sum(part.kind == kind for part in concentration) > 1 for kind in most}
    for part in concentration:
        limit, share = most.get(part.kind), _least_share(part, concentration)
        if limit is None or share is None or part.name == "unknown":
            continue
        if not several[part.kind] or share <= limit:
            continue
        yield Alert(
            rule=f"{part.kind}_share",
            severity=WARNING,
            scope=part.name,
            value=share,
            limit=limit,
            message=f"{part.name} holds {_at_least(part.margin)}{share:.0%} of the margin",
            advice=f"spread over other {part.kind}s before adding here",
        )


def _least_share(part: Concentration, parts: Sequence[Concentration]) -> float | None:
    """Its share of the known margins, or the least that it can be."""
    total = sum(other.margin_known for other in parts if other.kind == part.kind)
    return part.share if part.margin is not None or not total else part.margin_known / total


def _at_least(margin: float | None) -> str:
    return "at least " if margin is None else ""


def _capital(
    totals: BookTotals, net_liquidation: float | None, limits: AlertsSettings
) -> Iterator[Alert]:
    share = totals.margin_share
    if share is None and net_liquidation is not None and net_liquidation > 0.0:
        share = totals.margin_known / net_liquidation
    if share is not None and share > limits.margin_share:
        yield _book(
            "margin_share", WARNING, share, limits.margin_share,
            f"margin takes {_at_least(totals.margin)}{share:.0%} of net liquidation",
            "keep room for margins that rise in a fall",
        )  # fmt: skip
    if totals.worst_share is not None and totals.worst_share > limits.stress_loss:
        yield _book(
            "stress_loss", ALARM, totals.worst_share, limits.stress_loss,
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
                yield Alert(
                    rule=what.replace("-", "_"),
                    severity=WARNING if what == "earnings" else INFO,
                    scope=symbol,
                    value=ahead,
                    limit=limits.event_days,
                    message=f"{symbol}: {what} on {day}, in {ahead} days",
                    advice="decide before it whether to hold through it",
                )


def of_assignment(risks: Iterable[AssignmentRisk], limits: AlertsSettings) -> Iterator[Alert]:
    """Short options that are likely to be exercised."""
    for risk in risks:
        limit = {"dividend": risk.dividend, "deep_in_the_money": limits.itm_share}.get(risk.reason)
        yield Alert(
            rule=f"assignment_{risk.reason}",
            severity=WARNING,
            scope=risk.structure,
            value=risk.time_value,
            limit=limit,
            message=f"{risk.contract}: {risk.message}",
            advice="close or roll it, unless you want the shares to change hands",
        )


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
        yield Alert(
            rule="entry_iv_hv",
            severity=severity,
            scope=symbol,
            value=gap,
            limit=limits.entry_iv_hv,
            message=f"{symbol}: IV is {words} ({gap * 100.0:+.1f} points)",
            advice=advice,
        )
    rank = market.iv_rank if market else None
    if rank is not None and rank < limits.iv_rank_low:
        yield Alert(
            rule="entry_iv_rank",
            severity=INFO,
            scope=symbol,
            value=rank,
            limit=limits.iv_rank_low,
            message=f"{symbol}: IV rank is {rank:.0%}",
            advice="little premium; selling pays more when it is higher",
        )


def of_structure(
    structure: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    """Alerts about one structure; what is unknown fires nothing."""
    yield from _direction(structure, limits)
    yield from _vega(structure, market, limits)
    yield from _volatility(structure, market, limits)
    yield from _result(structure, limits)
    yield from _pay(structure, limits)
    if structure.dte is not None and 0 <= structure.dte < limits.dte:
        yield _of(
            structure, "dte", WARNING, structure.dte, limits.dte,
            f"{structure.dte} days to expiry", "close or roll: gamma grows from here",
        )  # fmt: skip


def _of(
    structure: Structure,
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
        scope=structure.id,
        value=value,
        limit=limit,
        message=message,
        advice=advice,
    )


def _direction(structure: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    delta = structure.delta_per_share
    if delta is not None and abs(delta) >= limits.delta_light:
        strong = abs(delta) >= limits.delta_strong
        limit = limits.delta_strong if strong else limits.delta_light
        side = "bullish" if delta > 0.0 else "bearish"
        yield _of(
            structure, "delta_strong" if strong else "delta_light", INFO, delta, limit,
            f"{'strongly' if strong else 'lightly'} {side}, delta {delta:+.2f}",
            "fine when it is meant",
        )  # fmt: skip
    value = structure.greeks.delta_value
    if abs(value) > limits.delta_dollars_high:
        yield _of(
            structure, "delta_dollars_high", ALARM, value, limits.delta_dollars_high,
            f"it moves like {value:+,.0f} of the underlying", "reduce, or hedge the direction",
        )  # fmt: skip
    elif delta is not None and abs(value) < limits.delta_dollars_low:
        yield _of(
            structure, "delta_dollars_low", INFO, value, limits.delta_dollars_low,
            f"it moves like only {value:+,.0f} of the underlying", "direction hardly matters",
        )  # fmt: skip


def _vega(
    structure: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    vega, rank = structure.greeks.vega, market.iv_rank if market else None
    if abs(vega) > limits.vega:
        yield _of(
            structure, "vega", WARNING, vega, limits.vega,
            f"vega {vega:+,.0f} per vol point", "large for one structure; consider fewer of it",
        )  # fmt: skip
    if rank is None:
        return
    expensive, cheap = rank > limits.iv_rank_high, rank < limits.iv_rank_low
    short, long = vega < -limits.vega_with_rank, vega > limits.vega_with_rank
    findings = {
        (True, True): ("vega_short_dear", INFO, "sold while dear", "time is on its side"),
        (True, False): (
            "vega_short_cheap", INFO, "sold while cheap",
            "suits a condor if it stays calm; a rise would hurt",
        ),
        (False, False): ("vega_long_cheap", INFO, "bought while cheap", "a rise would pay"),
    }  # fmt: skip
    if (short and (expensive or cheap)) or (long and cheap):
        rule, severity, words, advice = findings[short, expensive]
        limit = limits.iv_rank_high if expensive else limits.iv_rank_low
        message = f"volatility {words}: vega {vega:+,.0f}, IV rank {rank:.0%}"
        yield _of(structure, rule, severity, rank, limit, message, advice)
    delta = structure.delta_per_share
    if delta is None:
        return
    if delta >= limits.delta_light and vega > 0.0 and cheap:
        yield _of(
            structure, "bullish_long_cheap", INFO, rank, limits.iv_rank_low,
            "bullish and long volatility while it is cheap", "a rise of either helps",
        )  # fmt: skip
    if delta <= -limits.delta_light and vega < 0.0 and expensive:
        yield _of(
            structure, "bearish_short_dear", INFO, rank, limits.iv_rank_high,
            "bearish and short volatility while it is dear", "a fall usually lifts volatility",
        )  # fmt: skip


def _volatility(
    structure: Structure, market: SymbolMarket | None, limits: AlertsSettings
) -> Iterator[Alert]:
    historical = market.hv30 if market else None
    if structure.iv is not None and historical is not None:
        gap = structure.iv - historical
        if abs(gap) > limits.iv_hv:
            words, advice = ("above", "premium is rich") if gap > 0.0 else (
                "below", "little is paid for the risk",
            )  # fmt: skip
            yield _of(
                structure, "iv_hv", INFO, gap, limits.iv_hv,
                f"IV is {abs(gap) * 100.0:.1f} points {words} HV", advice,
            )  # fmt: skip
    skew = market.skew if market else None
    if structure.iv is not None and skew is not None and abs(skew) > limits.skew:
        yield _of(
            structure, "skew", INFO, skew, limits.skew,
            f"skew is {skew * 100.0:+.1f} points", "one side is priced for a larger move",
        )  # fmt: skip


def _result(structure: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if structure.pnl is None or structure.greeks.theta <= 0.0:
        return
    premium = abs(structure.cost) if structure.cost is not None else 0.0
    share = structure.pnl / premium if premium > 0.0 else math.nan
    if share > limits.profit_share:
        yield _of(
            structure, "take_profit", WARNING, share, limits.profit_share,
            f"{share:.0%} of what was paid or received is earned", "take the profit",
        )  # fmt: skip
    if structure.pnl < -limits.loss:
        yield _of(
            structure, "loss", WARNING, structure.pnl, -limits.loss,
            f"it stands at {structure.pnl:+,.2f}", "ask whether it would be opened today",
        )  # fmt: skip


def _pay(structure: Structure, limits: AlertsSettings) -> Iterator[Alert]:
    if structure.rom is not None:
        for rule, limit, words in (
            ("rom_high", limits.rom_high, "high"),
            ("rom_good", limits.rom_good, "good"),
        ):
            if structure.rom >= limit:
                yield _of(
                    structure, rule, INFO, structure.rom, limit,
                    f"return on margin {structure.rom:.1%} is {words}", "compare with what is left",
                )  # fmt: skip
                break
        else:
            if structure.rom < limits.rom_low:
                yield _of(
                    structure, "rom_low", INFO, structure.rom, limits.rom_low,
                    f"return on margin {structure.rom:.1%} is low", "compare with other uses",
                )  # fmt: skip
    pay = structure.theta_margin
    if pay is None or structure.delta_per_share is None:
        return
    for rule, limit, words in (
        ("theta_low", limits.theta_low, "hardly pays"),
        ("theta_fair", limits.theta_fair, "pays little"),
        ("theta_high", limits.theta_high, "pays fairly"),
    ):
        if abs(pay) < limit:
            yield _theta(structure, rule, pay, limit, words)
            return
    yield _theta(structure, "theta_high", pay, limits.theta_high, "pays well")


def _theta(structure: Structure, rule: str, pay: float, limit: float, words: str) -> Alert:
    if pay < 0.0:
        words = "is paid, not earned"
    message = f"time decay {words}: {pay:+.2%} of margin a day"
    return _of(
        structure, rule, INFO, pay, limit, message, "context for the choice what to close first"
    )


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
